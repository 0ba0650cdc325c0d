//! The most that servers answer (closed loop), and what an answer costs them.

use std::net::SocketAddr;
use std::time::Duration;

use crate::figure::{Cell, Figure, Goal, Section, Table, Unit};
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

/// The table of servers beside the one named `empty`, which does nothing; ids begin with `part`, and the others are to
/// reach `share` of its rate.
pub(crate) fn beside_empty(
    section: &mut Section,
    part: &str,
    caption: &str,
    share: f64,
    targets: &[Target<'_>],
    found: &[Throughput],
) {
    let columns = ["server", "answers", "beside the empty handler", "goal", "processor time of the server per answer"];
    let mut table = Table::new(caption, &columns);
    for (target, Throughput { rates, costs }) in targets.iter().zip(found) {
        let id = |what: &str| format!("{part}/{}/{what}", target.name);
        let mut rate = Figure::new(id("rate"), target.what.clone(), Unit::PerSecond, rates.clone());
        let cost = format!("{}: processor time", target.what);
        let mut cost = Figure::new(id("processor"), cost, Unit::Nanoseconds, costs.clone());
        if target.name != "empty" {
            rate = rate.against(format!("{part}/empty/rate")).goal(Goal::RatioAtLeast(share));
            cost = cost.against(format!("{part}/empty/processor"));
        }
        let (rate, cost) = (section.figure(rate), section.figure(cost));
        let (ratio, goal) = match target.name {
            "empty" => ("".into(), "".into()),
            _ => (Cell::Ratio(rate.clone()), Cell::Goal(rate.clone())),
        };
        table.row(vec![target.what.clone().into(), Cell::Value(rate), ratio, goal, Cell::Value(cost)]);
    }
    section.tables.push(table);
}
