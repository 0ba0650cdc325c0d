//! A full node that has nothing catches up with a chain.

use std::time::{Duration, Instant};

use anyhow::ensure;
use writ_tests::cluster::Cluster;

use super::VALIDATORS;
use super::load::submit_in;
use crate::dataset::Dataset;
use crate::figure::{Cell, Figure, Goal, Section, Table, Unit};
use crate::format::grouped;
use crate::processes::Usage;
use crate::run::Run;
use crate::traffic::records;
use crate::verify;

/// Records of one batch: about those of a block.
const BATCH: usize = 500;
/// Records per second.
const RATE_MIN: f64 = 5_000.0;
/// After which a node is taken for stuck.
const PATIENCE: Duration = Duration::from_secs(300);

/// Makes a chain of its own, and has one new full node after the other follow it.
pub(super) fn measure(run: &Run, section: &mut Section) -> anyhow::Result<()> {
    let verify = verify::measure(run, section);
    let wanted = if run.short { 1_000 } else { 40_000 };
    let mut cluster = Cluster::new(VALIDATORS, run.repetitions);
    // They know the genesis and one peer, and nothing of what follows.
    let full_nodes = VALIDATORS..VALIDATORS + run.repetitions;
    full_nodes.clone().for_each(|n| cluster.stop(n));
    let dataset = Dataset::new(wanted, run.seed);
    let batch = records(&dataset, 0..wanted, cluster.issuer())?;
    // Two, so that a block is filled while the one before it is decided.
    submit_in(cluster.http(0), &batch, BATCH, 2)?;
    let tip = cluster.until_level(&(0..VALIDATORS).collect::<Vec<_>>());
    let in_block = wanted as f64 / tip.height as f64;

    let (mut rates, mut fetching, mut seconds) = (Vec::new(), Vec::new(), Vec::new());
    for n in full_nodes {
        let start = Instant::now();
        cluster.launch(n);
        let mut began = None;
        loop {
            let height = cluster.status(n).map_or(0, |status| status.height);
            if height > 0 && began.is_none() {
                began = Some((Instant::now(), height));
            }
            if height >= tip.height {
                break;
            }
            ensure!(
                start.elapsed() < PATIENCE,
                "a full node is at height {height} of {} after {PATIENCE:?}",
                tip.height
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        rates.push(wanted as f64 / start.elapsed().as_secs_f64());
        seconds.push(Usage::of(cluster.node(n).process_id())?.seconds / wanted as f64 * 1e9);
        if let Some((began, height)) = began.filter(|(_, height)| *height < tip.height) {
            fetching.push((tip.height - height) as f64 * in_block / began.elapsed().as_secs_f64());
        }
        let found = cluster.http(n).status();
        ensure!(found.commit_leaf == tip.commit_leaf, "the full node has another log: {found:?}, expected {tip:?}");
        cluster.stop(n);
    }

    let figure = |id: &str, what: &str, unit, values| Figure::new(format!("network/catchup/{id}"), what, unit, values);
    let rate = figure("rate", "catching up, from the start of the process", Unit::PerSecond, rates);
    let rate = section.figure(rate.against(verify.clone()).goal(Goal::AtLeast(RATE_MIN)));
    let seconds = section.figure(figure("processor", "processor time for a record", Unit::Nanoseconds, seconds));
    let columns =
        ["how", "records", "beside signature checks on all cores", "goal", "processor time of the node for a record"];
    let mut table = Table::new(
        format!(
            "A full node that knows only the genesis and one peer catches up with {} records in {} blocks of {in_block:.0}.",
            grouped(wanted),
            grouped(tip.height)
        ),
        &columns,
    );
    table.row(vec![
        "from the start of its process until it is level".into(),
        Cell::Value(rate.clone()),
        Cell::Ratio(rate.clone()),
        Cell::Goal(rate),
        Cell::Value(seconds),
    ]);
    if !fetching.is_empty() {
        let fetching = figure("fetching", "catching up, from its first block on", Unit::PerSecond, fetching);
        let fetching = section.figure(fetching.against(verify.clone()));
        table.row(vec![
            "from its first block on".into(),
            Cell::Value(fetching.clone()),
            Cell::Ratio(fetching),
            "".into(),
            "".into(),
        ]);
    }
    section.tables.push(table);
    Ok(())
}
