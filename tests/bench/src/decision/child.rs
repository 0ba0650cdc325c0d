//! One size, measured in this process.

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use writ_proto::decision::{Question, Why};

use super::measure::{Timed, answers, timed};
use super::questions::questions;
use super::writ::{Writ, moment_after};
#[cfg(feature = "sqlite")]
mod peers;

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

impl Order {
    /// How many questions Writ is asked.
    fn questions(&self) -> usize {
        if self.short { 5_000 } else { 100_000 }
    }

    /// How many of them SQLite is asked.
    #[cfg(feature = "sqlite")]
    fn sqlite_questions(&self) -> usize {
        if self.short { 5_000 } else { 50_000 }
    }

    /// How many of them the policy engines are asked, unless they cannot express one.
    fn engine_questions(&self) -> usize {
        if self.short { 1_000 } else { 20_000 }
    }
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
    /// What the database of a peer takes in memory, where it can tell.
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

/// Questions with what Writ answered.
struct Asked {
    keys: Keys,
    questions: Vec<Question>,
    answers: Vec<Why>,
    /// The places of those that the policy engines can express.
    expressible: Vec<usize>,
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
    let count = order.questions();
    let mut asked: Vec<Asked> = [Keys::Uniform, Keys::Zipf]
        .into_iter()
        .map(|keys| {
            let questions = questions(&dataset, keys, count, order.seed);
            Asked { keys, questions, answers: Vec::new(), expressible: Vec::new() }
        })
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
    for Asked { keys, questions, answers: known, expressible } in &mut asked {
        say(&format!("asking Writ, {} keys", keys.as_str()));
        let mut writ = Writ { state: &state, questions, moment };
        *known = answers(&mut writ, count)?;
        let first = 0..order.engine_questions();
        *expressible = first.filter(|at| !writ.meets_denied_role(*at)).collect();
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
    // The peers get the room that the state had.
    drop(state);
    #[cfg(feature = "sqlite")]
    peers::ask_sqlite(order, &dataset, &asked, moment, &mut size)?;
    #[cfg(feature = "peers")]
    if dataset.entries() <= peers::ENGINE_ENTRIES_MAX {
        peers::ask_engines(order, &dataset, &asked, &mut size)?;
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Also that SQLite and the policy engines answer as Writ does, where they are built in: measuring asserts it.
    #[test]
    fn all_evaluators_agree_on_ten_thousand_questions() {
        let order = Order { entries: 20_000, seed: 3, repetitions: 1, short: true };
        let size = measure(&order).unwrap();
        let who: Vec<&str> = size.by_keys[0].peers.iter().map(|(name, _)| name.as_str()).collect();
        let all = ["SQLite", "Cedar", "Rego"];
        let built_in = if cfg!(feature = "peers") { 3 } else { usize::from(cfg!(feature = "sqlite")) };
        assert_eq!(who, all[..built_in]);
        for by in &size.by_keys {
            let [granted, denied, no_match] = by.answered;
            assert!(granted > 0.4 && denied > 0.05 && no_match > 0.2, "{:?}", by.answered);
            assert!((granted + denied + no_match - 1.0).abs() < 1e-9, "{:?}", by.answered);
        }
    }

    #[test]
    fn a_decision_looks_up_as_much_in_a_small_log_as_in_a_large_one() {
        let mean = |entries| {
            let dataset = Dataset::new(entries, 3);
            let state = state_of(&dataset).unwrap();
            let questions = questions(&dataset, Keys::Uniform, 2_000, 3);
            Writ { state: &state, questions: &questions, moment: moment_after(&state).unwrap() }.lookups()[1]
        };
        let (small, large) = (mean(10_000), mean(80_000));
        assert!((large / small - 1.0).abs() < 0.1, "{small} and {large} look-ups");
    }
}
