//! One size, measured in this process.

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use writ_proto::decision::{Question, Why};

use super::measure::{Timed, answers, timed};
use super::questions::questions;
use super::writ::{Writ, moment_after};
use crate::dataset::Dataset;
use crate::format::grouped;
use crate::ledger::state_of;
use crate::machine::resident_bytes;
use crate::random::Keys;
use crate::stats::timer_cost;

/// What is to be measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Order {
    /// About how many access entries.
    pub(super) entries: u64,
    pub(super) seed: u64,
    pub(super) repetitions: usize,
    pub(super) short: bool,
}

/// What was measured at one size.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Size {
    /// As it was ordered.
    pub(super) ordered: u64,
    /// How many access entries there are in fact.
    pub(super) entries: u64,
    /// How much more memory was resident once the state stood.
    pub(super) state_bytes: u64,
    /// How long it took to make the records and execute them, with two threads.
    pub(super) build_seconds: f64,
    /// What one reading of the clock costs in nanoseconds.
    pub(super) timer: f64,
    /// Uniform and Zipf keys.
    pub(super) by_keys: Vec<ByKeys>,
    /// The rest, by name of the evaluator: what its database or store takes in memory.
    pub(super) peer_bytes: Vec<(String, u64)>,
    /// The version of SQLite, where it was asked.
    pub(super) sqlite_version: Option<String>,
}

/// What was measured with one sort of keys.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ByKeys {
    /// The word for the keys.
    pub(super) keys: String,
    /// The shares of what was answered: granted, denied by a denial, no match.
    pub(super) answered: [f64; 3],
    /// Least, mean and greatest number of keys looked up.
    pub(super) lookups: [f64; 3],
    /// Decisions per second of one thread and of two, with no clock between them.
    pub(super) threads: [Vec<f64>; 2],
    /// Writ.
    pub(super) writ: Timed,
    /// The others by name, on the same questions or on the part that they can answer.
    pub(super) peers: Vec<(String, Timed)>,
}

struct Asked {
    keys: Keys,
    questions: Vec<Question>,
    answers: Vec<Why>,
}

/// Measures one size and writes the figures to standard output.
///
/// # Errors
/// If the order cannot be read, or any two evaluators disagree.
pub(crate) fn child(words: &[String]) -> anyhow::Result<()> {
    let order = words.first().context("an order is expected")?;
    let size = measure(&serde_json::from_str(order).context("the order cannot be read")?)?;
    serde_json::to_writer(std::io::stdout(), &size)?;
    Ok(())
}

fn measure(order: &Order) -> anyhow::Result<Size> {
    let dataset = Dataset::new(order.entries, order.seed);
    let say = |what: &str| eprintln!("   {} entries: {what}", grouped(dataset.entries()));
    let count = if order.short { 10_000 } else { 200_000 };
    let mut asked: Vec<Asked> = [Keys::Uniform, Keys::Zipf]
        .into_iter()
        .map(|keys| Asked { keys, questions: questions(&dataset, keys, count, order.seed), answers: Vec::new() })
        .collect();

    say("building the state");
    let before = resident_bytes();
    let start = std::time::Instant::now();
    let state = state_of(&dataset)?;
    let build_seconds = start.elapsed().as_secs_f64();
    let state_bytes = resident_bytes().saturating_sub(before);

    let mut size = Size {
        ordered: order.entries,
        entries: dataset.entries(),
        state_bytes,
        build_seconds,
        timer: timer_cost(),
        by_keys: Vec::new(),
        peer_bytes: Vec::new(),
        sqlite_version: None,
    };
    let moment = moment_after(&state)?;
    for Asked { keys, questions, answers: known } in &mut asked {
        say(&format!("asking Writ, {} keys", keys.as_str()));
        let mut writ = Writ { state: &state, questions, moment };
        *known = answers(&mut writ, count)?;
        let share = |why| known.iter().filter(|known| **known == why).count() as f64 / count as f64;
        size.by_keys.push(ByKeys {
            keys: keys.as_str().into(),
            answered: [share(Why::Grant), share(Why::Deny), share(Why::NoMatch)],
            lookups: writ.lookups(),
            threads: [1, 2].map(|threads| writ.per_second(threads, order.repetitions)),
            writ: timed(&mut writ, count, order.repetitions)?,
            peers: Vec::new(),
        });
    }
    drop(state);
    ask_sqlite(order, &dataset, &asked, moment, &mut size)?;
    Ok(size)
}

#[cfg(feature = "sqlite")]
fn ask_sqlite(
    order: &Order,
    dataset: &Dataset,
    asked: &[Asked],
    moment: writ_proto::decision::Moment,
    size: &mut Size,
) -> anyhow::Result<()> {
    use super::measure::agree;
    use super::sqlite::Database;

    eprintln!("   {} entries: loading SQLite", grouped(dataset.entries()));
    let database = Database::new(dataset)?;
    size.peer_bytes.push(("SQLite".into(), database.bytes()?));
    size.sqlite_version = Some(Database::version().into());
    let count = if order.short { 10_000 } else { 50_000 };
    for (Asked { keys, questions, answers: known }, measured) in asked.iter().zip(&mut size.by_keys) {
        eprintln!("   {} entries: asking SQLite, {} keys", grouped(dataset.entries()), keys.as_str());
        let mut sqlite = database.ready(questions, moment)?;
        agree("SQLite", &known[..count], &answers(&mut sqlite, count)?, questions)?;
        measured.peers.push(("SQLite".into(), timed(&mut sqlite, count, order.repetitions)?));
    }
    Ok(())
}

#[cfg(not(feature = "sqlite"))]
fn ask_sqlite(
    _: &Order,
    dataset: &Dataset,
    _: &[Asked],
    _: writ_proto::decision::Moment,
    _: &mut Size,
) -> anyhow::Result<()> {
    eprintln!("   {} entries: built without SQLite", grouped(dataset.entries()));
    Ok(())
}
