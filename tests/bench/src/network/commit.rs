//! How long one record takes from rest: the engine alone, what a lone node adds, and four nodes.

use std::time::{Duration, Instant};

use writ_tests::cluster::{Cluster, new_record};
use writ_tests::http::Http;
use writ_tests::issuer::Issuer;

use super::engine::Engines;
use super::{VALIDATORS, disk};
use crate::figure::{Cell, Figure, Goal, Section, Table, Unit};
use crate::processes::{Chain, metric};
use crate::run::Run;
use crate::stats::{Durations, Summary};

/// Between an answer and the next record.
const GAP: Duration = Duration::from_millis(5);
/// How often the counted flushes may cost the disk's time: four nodes share the disk.
const FLUSH_FACTOR: f64 = 1.5;

/// What was measured of one kind of chain.
#[derive(Default)]
struct Waits {
    p50: Vec<f64>,
    p99: Vec<f64>,
    flushes: Vec<f64>,
    records: Vec<f64>,
}

/// Measures the chains of `cluster` and `lone`, and engines of its own.
pub(super) fn measure(run: &Run, section: &mut Section, cluster: &Cluster, lone: &Chain) -> anyhow::Result<()> {
    let (count, syncs) = if run.short { (5, 20) } else { (200, 200) };
    let mut engines = Engines::start(&run.scratch, 0)?;
    let (mut engine, mut alone, mut four) = (Waits::default(), Waits::default(), Waits::default());
    let (mut single, mut crowded) = (Vec::new(), Vec::new());
    for _ in 0..run.repetitions {
        single.push(disk::median(&run.scratch, 1, syncs)?);
        crowded.push(disk::median(&run.scratch, VALIDATORS, syncs)?);
        engine.add(engines.waits(count, GAP)?);
        alone.time(lone.http(), lone.signer(), count)?;
        four.time(cluster.http(0), cluster.issuer(), count)?;
    }
    drop(engines);

    let nanoseconds = |id: &str, what: &str, values: Vec<f64>| {
        Figure::new(format!("network/commit/{id}"), what, Unit::Nanoseconds, values)
    };
    let counts =
        |id: &str, what: &str, values: Vec<f64>| Figure::new(format!("network/commit/{id}"), what, Unit::Count, values);
    let single = nanoseconds("fdatasync", "one fdatasync", single);
    let flushes = counts("four-flushes", "four validators: flushes of one node for a block", four.flushes);
    let engine_p50 = nanoseconds("engine-p50", "the engine alone, p50", engine.p50);
    let bound = engine_p50.summary().median + FLUSH_FACTOR * flushes.summary().median * single.summary().median;
    let engine_p50 = section.figure(engine_p50);
    let engine_p99 = section.figure(nanoseconds("engine-p99", "the engine alone, p99", engine.p99));
    let against = |id: &str, what: &str, values: Vec<f64>| nanoseconds(id, what, values).against(engine_p50.clone());
    let p50 = against("four-p50", "four validators, p50", four.p50).goal(Goal::AtMost(bound));
    let four_p50 = section.figure(p50);
    let four_p99 = section.figure(nanoseconds("four-p99", "four validators, p99", four.p99));
    let lone_p50 = section.figure(against("lone-p50", "a lone node, p50", alone.p50));
    let lone_p99 = section.figure(nanoseconds("lone-p99", "a lone node, p99", alone.p99));
    let flushes = section.figure(flushes);
    let lone_flushes = section.figure(counts("lone-flushes", "a lone node: flushes for a block", alone.flushes));
    let records = counts("four-records", "four validators: records in a block", four.records);
    let Summary { median: in_block, .. } = records.summary();
    section.figure(records);
    let lone_records = counts("lone-records", "a lone node: records in a block", alone.records);
    section.figure(lone_records);

    let mut table = Table::new(
        "How long one record takes, from sending to its receipt, with nobody else there; the next follows 5 ms later.",
        &["who", "p50", "beside the engine", "goal", "p99", "flushes of a node for a block"],
    );
    let row = |p50: &String, p99: String, ratio: Cell, goal: Cell, flushes: Cell| {
        vec![Cell::Value(p50.clone()), ratio, goal, Cell::Value(p99), flushes]
    };
    let mut add = |who: &str, cells: Vec<Cell>| {
        let who = vec![Cell::from(who)];
        table.row(who.into_iter().chain(cells).collect());
    };
    add("four engines alone, on an empty ledger", row(&engine_p50, engine_p99, "".into(), "".into(), "".into()));
    add(
        "four validators",
        row(&four_p50, four_p99, Cell::Ratio(four_p50.clone()), Cell::Goal(four_p50.clone()), Cell::Value(flushes)),
    );
    add("a lone node", row(&lone_p50, lone_p99, Cell::Ratio(lone_p50.clone()), "".into(), Cell::Value(lone_flushes)));
    section.tables.push(table);

    let mut table = Table::new(
        "This disk: 4 KiB appended and `fdatasync`, median of each repetition.",
        &["one file", "four files at a time, each"],
    );
    let crowded = section.figure(nanoseconds("fdatasync-four", "one fdatasync of four at a time", crowded));
    let single = section.figure(single);
    table.row(vec![Cell::Value(single), Cell::Value(crowded)]);
    section.tables.push(table);
    section.note(format!(
        "The goal of a commit is the engine alone, and {FLUSH_FACTOR} times the flushes of a node for a block \
         (`writ_fsyncs_total`; all of them counted as if one followed the other) times one `fdatasync` of this disk. \
         {in_block:.2} records in a block."
    ));
    Ok(())
}

impl Waits {
    fn add(&mut self, mut waits: Durations) {
        self.p50.push(waits.percentile(0.5));
        self.p99.push(waits.percentile(0.99));
    }

    /// One repetition: `count` records, one after the other.
    fn time(&mut self, http: &Http, issuer: &Issuer, count: usize) -> anyhow::Result<()> {
        let records: Vec<_> = (0..count).map(|_| new_record(issuer)).collect();
        let counts = || anyhow::Ok([metric(http, "writ_fsyncs_total ")?, metric(http, "writ_height ")?]);
        let before = counts()?;
        let mut waits = Durations::with_capacity(count);
        for record in &records {
            let start = Instant::now();
            http.submit(record);
            waits.push(start.elapsed());
            std::thread::sleep(GAP);
        }
        let after = counts()?;
        self.add(waits);
        let blocks = after[1] - before[1];
        self.flushes.push((after[0] - before[0]) / blocks);
        self.records.push(count as f64 / blocks);
        Ok(())
    }
}
