//! What nodes cost that have nothing to do.

use std::time::{Duration, Instant};

use writ_tests::cluster::Cluster;

use super::VALIDATORS;
use crate::figure::{Cell, Figure, Goal, Section, Table, Unit};
use crate::processes::{Chain, Usage};
use crate::run::Run;

/// Of one core, for each node.
const SHARE_MAX: f64 = 0.02;

/// Measures the nodes of `cluster`, and the one of `lone`, at rest.
pub(super) fn measure(run: &Run, section: &mut Section, cluster: &mut Cluster, lone: &mut Chain) -> anyhow::Result<()> {
    let (settle, time) = if run.short { (0, 1) } else { (3, 20) };
    let mut processes: Vec<u32> = (0..VALIDATORS).map(|n| cluster.node(n).process_id()).collect();
    processes.push(lone.node().process_id());
    std::thread::sleep(Duration::from_secs(settle));
    let (mut busiest, mut alone) = (Vec::new(), Vec::new());
    for _ in 0..run.repetitions {
        let all = || processes.iter().map(|process| Usage::of(*process)).collect::<anyhow::Result<Vec<Usage>>>();
        let (before, start) = (all()?, Instant::now());
        std::thread::sleep(Duration::from_secs(time));
        let (after, took) = (all()?, start.elapsed().as_secs_f64());
        let shares = before.iter().zip(&after).map(|(before, after)| (after.seconds - before.seconds) / took);
        let shares: Vec<f64> = shares.collect();
        busiest.push(shares[..VALIDATORS].iter().copied().fold(0.0, f64::max));
        alone.push(shares[VALIDATORS]);
    }
    let mut table = Table::new(
        format!("Processor time of a node with nothing to do, as a share of one core, over {time} s."),
        &["node", "share", "goal"],
    );
    let four = Figure::new("network/idle/four", "one of four validators, the busiest", Unit::Share, busiest);
    let four = section.figure(four.goal(Goal::AtMost(SHARE_MAX)));
    table.row(vec!["one of four validators, the busiest".into(), Cell::Value(four.clone()), Cell::Goal(four)]);
    let alone = section.figure(Figure::new("network/idle/lone", "a lone node at rest", Unit::Share, alone));
    table.row(vec!["a lone node".into(), Cell::Value(alone), "".into()]);
    section.tables.push(table);
    Ok(())
}
