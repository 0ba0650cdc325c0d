//! The dataset as the programs take it: rows to import, records, and questions.

use std::ops::Range;

use writ_proto::name::{ActionPattern, Pattern};
use writ_proto::record::{Access, Body, Effect, Signed};
use writ_tests::http::escape;
use writ_tests::issuer::Issuer;

use crate::dataset::{ACTIONS, Dataset, Fact, Fate, file, place_of_file};
use crate::processes::Chain;
use crate::random::{Keys, Random};
use crate::run::Run;

/// The row of a CSV file for an entry (columns `sub,act,obj,access,exp,ref`). What has ended or was revoked in
/// the dataset stands here without an end: the programs' clock is the machine's.
fn row(fact: &Fact, reference: &str) -> String {
    let Fact { sub, act, obj, effect, fate, .. } = fact;
    let access = if *effect == Effect::Grant { "granted" } else { "denied" };
    let exp = if *fate == Fate::EndsLater { "2100-01-01T00:00:00Z" } else { "" };
    format!("{sub},{act},{obj},{access},{exp},{reference}")
}

/// A node that has taken in the dataset of this run (100,000 entries, if it names no other size), as after any start and
/// not as an import leaves it.
///
/// # Errors
/// If the node does not start, or a row is not taken.
pub(crate) fn loaded(run: &Run) -> anyhow::Result<(Dataset, Chain)> {
    let entries = if run.short { 2_000 } else { run.sizes(&[100_000]).first().copied().unwrap_or(100_000) };
    let dataset = Dataset::new(entries, run.seed);
    let mut chain = Chain::start(&run.scratch)?;
    chain.import("rows.csv", rows(&dataset, 0..dataset.entries(), ""))?;
    chain.node().stop();
    chain.node().start_again();
    Ok((dataset, chain))
}

/// The rows of the entries at these positions. Another `reference` makes the same entries other records.
pub(crate) fn rows(dataset: &Dataset, positions: Range<u64>, reference: &str) -> impl Iterator<Item = String> {
    positions.map(move |position| row(&dataset.at(position), reference))
}

/// The entry as a record that `issuer` signs. Like a row, it has no end.
///
/// # Errors
/// If the dataset has a name that the ledger does not take.
pub(crate) fn record(issuer: &Issuer, fact: &Fact) -> anyhow::Result<Signed> {
    Ok(issuer.sign(Body::Access(Access {
        sub: Pattern::parse_full(&fact.sub)?,
        obj: Pattern::parse_full(&fact.obj)?,
        act: ActionPattern::parse(fact.act)?,
        effect: fact.effect,
        iss: None,
        exp: None,
        cond: None,
        reference: None,
    })))
}

/// The entries at these positions as records, signed on all cores.
///
/// # Errors
/// As [`record`].
pub(crate) fn records(dataset: &Dataset, positions: Range<u64>, issuer: &Issuer) -> anyhow::Result<Vec<Signed>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let share = (positions.end - positions.start).div_ceil(cores).max(1);
    std::thread::scope(|scope| {
        let sign = |first: u64| {
            let own = first..(first + share).min(positions.end);
            scope.spawn(move || own.map(|position| record(issuer, &dataset.at(position))).collect())
        };
        let threads: Vec<_> = positions.clone().step_by(share as usize).map(sign).collect();
        let mut all = Vec::new();
        for thread in threads {
            let one: anyhow::Result<Vec<Signed>> =
                thread.join().map_err(|_| anyhow::anyhow!("a thread that signs panicked"))?;
            all.extend(one?);
        }
        Ok(all)
    })
}

/// A question as callers ask it: full names, as the dataset spells them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Who.
    pub(crate) sub: String,
    /// Which action.
    pub(crate) act: &'static str,
    /// What.
    pub(crate) obj: String,
}

impl Asked {
    /// As the path of `GET`.
    pub(crate) fn to_path(&self) -> String {
        let Self { sub, act, obj } = self;
        format!("/v1/check?sub={}&act={act}&obj={}", escape(sub), escape(obj))
    }
}

/// `count` questions, each user asked about as often as `keys` says: half of them about something that an own
/// entry of the user names, half about any file.
pub(crate) fn questions(dataset: &Dataset, keys: Keys, random: &mut Random, count: usize) -> Vec<Asked> {
    (0..count)
        .map(|_| {
            let user = keys.pick(random, dataset.users());
            question(dataset, user, random)
        })
        .collect()
}

/// Such a question about one user.
pub(crate) fn question(dataset: &Dataset, user: u64, random: &mut Random) -> Asked {
    let own: Vec<Fact> = dataset.of_user(user).filter(|fact| fact.act != "member").collect();
    let sub = dataset.of_user(user).next().map(|fact| fact.sub).unwrap_or_default();
    let action = ACTIONS[random.below(ACTIONS.len() as u64) as usize];
    let (act, obj) = match own.get(random.below(2 * own.len().max(1) as u64) as usize) {
        // Any file of a folder has the same entries above it.
        Some(fact) => (if fact.act == "*" { action } else { fact.act }, fact.obj.replace('*', "f0")),
        None => {
            let (department, folder, at) = place_of_file(random.below(dataset.files()));
            (action, file(department, folder, at))
        }
    };
    Asked { sub, act, obj }
}
