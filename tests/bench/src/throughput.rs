//! The most that servers answer (closed loop), and what an answer costs them.

use std::net::SocketAddr;
use std::time::Duration;

use crate::load::{self, Plan, Script};
use crate::processes::seconds_of_all;
use crate::run::Run;

/// A server under load.
pub(crate) struct Target<'a> {
    /// Its name in ids of figures.
    pub(crate) name: &'static str,
    /// What is asked of it, for readers.
    pub(crate) what: String,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Its process; those that it started count as it.
    pub(crate) process: u32,
    /// What it is sent.
    pub(crate) script: &'a Script,
}

/// What came of it, in each repetition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Throughput {
    /// Answers per second.
    pub(crate) rates: Vec<f64>,
    /// Processor time of the server per answer, in nanoseconds.
    pub(crate) costs: Vec<f64>,
}

/// The throughput of each target, with so many connections.
///
/// # Errors
/// If a target does not answer, or its process is not there.
pub(crate) fn measure(run: &Run, connections: usize, targets: &[Target<'_>]) -> anyhow::Result<Vec<Throughput>> {
    let plan = Plan {
        connections,
        warm_up: Duration::from_millis(if run.short { 20 } else { 500 }),
        time: Duration::from_millis(if run.short { 100 } else { 3_000 }),
        rate: None,
    };
    let mut all = vec![Throughput::default(); targets.len()];
    // In turns, so that whatever else the machine does meets all of them.
    for _ in 0..run.repetitions {
        for (target, found) in targets.iter().zip(&mut all) {
            let before = seconds_of_all(target.process)?;
            let outcome = load::run(target.address, target.script, &plan)?;
            let spent = seconds_of_all(target.process)? - before;
            found.rates.push(outcome.answers as f64 / plan.time.as_secs_f64());
            // Answers of the warm-up cost too.
            let share = plan.time.as_secs_f64() / (plan.time + plan.warm_up).as_secs_f64();
            found.costs.push(spent * share * 1e9 / outcome.answers.max(1) as f64);
        }
    }
    Ok(all)
}
