//! How long one record takes from rest: the engine alone, what a lone node adds, and four nodes.

use std::time::{Duration, Instant};

use writ_tests::cluster::{Cluster, new_record};
use writ_tests::http::Http;
use writ_tests::issuer::Issuer;

use super::VALIDATORS;
use super::disk::{self, Where};
use super::engine::Engines;
use crate::figure::{Cell, Figure, Goal, Section, Table, Unit};
use crate::processes::{Chain, Usage, metric};
use crate::run::Run;
use crate::stats::{Durations, Summary};

/// Between an answer and the next record.
const GAP: Duration = Duration::from_millis(5);
/// The flushes of a block that append to a file: of the store, the block before it is voted for and when it is decided.
/// The others overwrite a guard's file in place.
const APPENDING: f64 = 2.0;
/// How often the counted flushes may cost the disk's time: four nodes share the disk.
const FLUSH_FACTOR: f64 = 1.5;

/// What was measured of one kind of chain.
#[derive(Default)]
struct Waits {
    p50: Vec<f64>,
    p99: Vec<f64>,
    /// Of a node for a block: flushes, and processor time in nanoseconds.
    flushes: Vec<f64>,
    processor: Vec<f64>,
    records: Vec<f64>,
}

/// Measures the chains of `cluster` and `lone`, and engines of its own.
pub(super) fn measure(run: &Run, section: &mut Section, cluster: &mut Cluster, lone: &mut Chain) -> anyhow::Result<()> {
    let (count, syncs) = if run.short { (5, 20) } else { (200, 200) };
    let alone_process = [lone.node().process_id()];
    let four_processes: Vec<u32> = (0..VALIDATORS).map(|n| cluster.node(n).process_id()).collect();
    let mut engines = Engines::start(&run.scratch, 0)?;
    let (mut engine, mut alone, mut four) = (Waits::default(), Waits::default(), Waits::default());
    let (mut appended, mut in_place, mut crowded) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..run.repetitions {
        appended.push(disk::median(&run.scratch, Where::Appended, 1, syncs)?);
        in_place.push(disk::median(&run.scratch, Where::InPlace, 1, syncs)?);
        crowded.push(disk::median(&run.scratch, Where::InPlace, VALIDATORS, syncs)?);
        let before = Usage::of(std::process::id())?.seconds;
        engine.add(engines.waits(count, GAP)?);
        let seconds = Usage::of(std::process::id())?.seconds - before;
        engine.processor.push(seconds * 1e9 / (count * VALIDATORS) as f64);
        alone.time(lone.http(), lone.signer(), &alone_process, count)?;
        four.time(cluster.http(0), cluster.issuer(), &four_processes, count)?;
    }
    drop(engines);

    let nanoseconds = |id: &str, what: &str, values: Vec<f64>| {
        Figure::new(format!("network/commit/{id}"), what, Unit::Nanoseconds, values)
    };
    let counts =
        |id: &str, what: &str, values: Vec<f64>| Figure::new(format!("network/commit/{id}"), what, Unit::Count, values);
    let appended = nanoseconds("fdatasync", "one fdatasync after an append", appended);
    let in_place = nanoseconds("fdatasync-in-place", "one fdatasync in place", in_place);
    let flushes = counts("four-flushes", "four validators: flushes of one node for a block", four.flushes);
    let engine_p50 = nanoseconds("engine-p50", "the engine alone, p50", engine.p50);
    let of = |figure: &Figure| figure.summary().median;
    let disk = APPENDING * of(&appended) + (of(&flushes) - APPENDING) * of(&in_place);
    let bound = of(&engine_p50) + FLUSH_FACTOR * disk;
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
    let mut processor = |id: &str, who: &str, values: Vec<f64>| {
        let figure = nanoseconds(&format!("{id}-processor"), &format!("{who}: processor time for a block"), values);
        Cell::Value(section.figure(figure))
    };
    let engine_processor = processor("engine", "one engine alone", engine.processor);
    let four_processor = processor("four", "one of four validators", four.processor);
    let lone_processor = processor("lone", "a lone node", alone.processor);
    let records = counts("four-records", "four validators: records in a block", four.records);
    let Summary { median: in_block, .. } = records.summary();
    section.figure(records);
    let lone_records = counts("lone-records", "a lone node: records in a block", alone.records);
    section.figure(lone_records);

    let columns = ["who", "p50", "beside the engine", "goal", "p99", "flushes of a node", "its processor time"];
    let mut table = Table::new(
        "How long one record takes, from sending to its receipt, with nobody else there; the next follows 5 ms later. \
         Flushes and processor time are those of one node for one block.",
        &columns,
    );
    table.row(vec![
        "four engines alone, on an empty ledger".into(),
        Cell::Value(engine_p50),
        "".into(),
        "".into(),
        Cell::Value(engine_p99),
        "".into(),
        engine_processor,
    ]);
    table.row(vec![
        "four validators".into(),
        Cell::Value(four_p50.clone()),
        Cell::Ratio(four_p50.clone()),
        Cell::Goal(four_p50),
        Cell::Value(four_p99),
        Cell::Value(flushes),
        four_processor,
    ]);
    table.row(vec![
        "a lone node".into(),
        Cell::Value(lone_p50.clone()),
        Cell::Ratio(lone_p50),
        "".into(),
        Cell::Value(lone_p99),
        Cell::Value(lone_flushes),
        lone_processor,
    ]);
    section.tables.push(table);

    let mut table = Table::new(
        "This disk: 4 KiB written and `fdatasync`, the median of each repetition.",
        &["appended", "in place", "in place, in four files at a time"],
    );
    let crowded = section.figure(nanoseconds("fdatasync-four", "one fdatasync of four at a time", crowded));
    let (appended, in_place) = (section.figure(appended), section.figure(in_place));
    table.row(vec![Cell::Value(appended), Cell::Value(in_place), Cell::Value(crowded)]);
    section.tables.push(table);
    section.note(format!(
        "The goal of a commit is the engine alone, and {FLUSH_FACTOR} times the flushes of a node for a block \
         (`writ_fsyncs_total`) as if one followed the other: {APPENDING} that append, in its store, and the others in place, in \
         its guards. {in_block:.2} records in a block."
    ));
    Ok(())
}

impl Waits {
    fn add(&mut self, mut waits: Durations) {
        self.p50.push(waits.percentile(0.5));
        self.p99.push(waits.percentile(0.99));
    }

    /// One repetition: `count` records, one after the other, into the first of the nodes that these processes are.
    fn time(&mut self, http: &Http, issuer: &Issuer, processes: &[u32], count: usize) -> anyhow::Result<()> {
        let records: Vec<_> = (0..count).map(|_| new_record(issuer)).collect();
        let counts = || {
            let of = |process: &u32| Usage::of(*process).map(|usage| usage.seconds);
            let seconds: f64 = processes.iter().map(of).sum::<anyhow::Result<f64>>()?;
            anyhow::Ok([metric(http, "writ_fsyncs_total ")?, metric(http, "writ_height ")?, seconds])
        };
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
        self.processor.push((after[2] - before[2]) * 1e9 / blocks / processes.len() as f64);
        Ok(())
    }
}
