//! The others, one after the other, each asserted to answer as Writ did.

use writ_proto::decision::Moment;

use super::super::measure::{agree, answers, timed};
use super::super::sqlite::Database;
use super::{Asked, Order, Size};
use crate::dataset::Dataset;
use crate::format::grouped;

/// SQLite on the same full question.
///
/// # Errors
/// What SQLite reports, or that it answers otherwise.
pub(super) fn ask_sqlite(
    order: &Order,
    dataset: &Dataset,
    asked: &[Asked],
    moment: Moment,
    size: &mut Size,
) -> anyhow::Result<()> {
    let say = |what: &str| eprintln!("   {} entries: {what}", grouped(dataset.entries()));
    say("loading SQLite");
    let database = Database::new(dataset)?;
    size.peer_bytes.push(("SQLite".into(), database.bytes()?));
    size.sqlite_version = Some(Database::version().into());
    let count = order.sqlite_questions();
    for (Asked { keys, questions, answers: known, .. }, measured) in asked.iter().zip(&mut size.by_keys) {
        say(&format!("asking SQLite, {} keys", keys.as_str()));
        let mut sqlite = database.ready(questions, moment)?;
        agree("SQLite", &known[..count], &answers(&mut sqlite, count)?, questions)?;
        measured.peers.push(("SQLite".into(), timed(&mut sqlite, count, order.repetitions)?));
    }
    Ok(())
}

#[cfg(feature = "peers")]
pub(super) use engines::{ENGINE_ENTRIES_MAX, ask_engines};

#[cfg(feature = "peers")]
mod engines {
    use writ_proto::decision::{Question, Why};

    use super::super::super::cedar::Cedar;
    use super::super::super::measure::Evaluator;
    use super::super::super::rego::Rego;
    use super::super::super::relations::Relations;
    use super::*;

    /// Beyond that the engines' data does not fit beside anything else: see `docs/benchmarks.md`.
    pub(in super::super) const ENGINE_ENTRIES_MAX: u64 = 1_100_000;

    /// The policy engines on what they can express of the question.
    ///
    /// # Errors
    /// What they report, or that they answer otherwise.
    pub(in super::super) fn ask_engines(
        order: &Order,
        dataset: &Dataset,
        asked: &[Asked],
        size: &mut Size,
    ) -> anyhow::Result<()> {
        let all: Vec<Question> =
            asked.iter().flat_map(|asked| asked.expressible.iter().map(|at| asked.questions[*at].clone())).collect();
        let relations = Relations::of(dataset, &all)?;
        ask("Cedar", order, dataset, asked, size, |questions| Cedar::new(&relations, questions))?;
        ask("Rego", order, dataset, asked, size, |questions| Rego::new(&relations, questions))
    }

    fn ask<E: Evaluator>(
        name: &str,
        order: &Order,
        dataset: &Dataset,
        asked: &[Asked],
        size: &mut Size,
        ready: impl Fn(&[Question]) -> anyhow::Result<E>,
    ) -> anyhow::Result<()> {
        for (Asked { keys, questions, answers: known, expressible }, measured) in asked.iter().zip(&mut size.by_keys) {
            eprintln!("   {} entries: {name}, {} keys", grouped(dataset.entries()), keys.as_str());
            let questions: Vec<Question> = expressible.iter().map(|at| questions[*at].clone()).collect();
            let known: Vec<Why> = expressible.iter().map(|at| known[*at]).collect();
            let mut engine = ready(&questions)?;
            agree(name, &known, &answers(&mut engine, known.len())?, &questions)?;
            measured.peers.push((name.into(), timed(&mut engine, known.len(), order.repetitions)?));
        }
        Ok(())
    }
}
