//! How much goes in, and what it then takes in memory.

use std::time::{Duration, Instant};

use anyhow::ensure;
use writ_proto::limits::{BLOCK_BYTES_MAX, BLOCK_RECORDS_MAX};
use writ_proto::record::Signed;
use writ_tests::cluster::Cluster;
use writ_tests::http::Http;

use super::VALIDATORS;
use super::engine::Engines;
use crate::dataset::Dataset;
use crate::figure::{Cell, Figure, Goal, Section, Table, Unit};
use crate::format::{count, grouped};
use crate::processes::{Chain, Usage, metric};
use crate::run::Run;
use crate::traffic::records;

/// Records in one batch: the most that one request may hold.
const BATCH: usize = 1_000;
/// Callers at a time, each with one batch under way.
const CALLERS: usize = 4;
/// Entries that are loaded at a time once nothing is timed any more.
const PIECE: u64 = 100_000;
/// What a node may take in memory at a million entries.
const MEMORY_BYTES_MAX: f64 = 400.0 * 1024.0 * 1024.0;

/// Loads the first size in as many parts as there are repetitions, each timed; then goes on to the further sizes.
pub(super) fn measure(run: &Run, section: &mut Section, cluster: &mut Cluster, lone: &Chain) -> anyhow::Result<()> {
    let mut sizes = if run.short { vec![2_000] } else { run.sizes(&[100_000, 1_000_000]) };
    sizes.sort_unstable();
    let (first, last) = (sizes[0], sizes[sizes.len() - 1]);
    let dataset = Dataset::new(last, run.seed);
    let empty = residents(cluster)?;

    let part = first / run.repetitions as u64;
    let heights = if run.short { 3 } else { 40 };
    let mut rates = Rates::default();
    let mut loaded = 0;
    for _ in 0..run.repetitions {
        let mut engines = Engines::start(&run.scratch, BLOCK_BYTES_MAX)?;
        rates.engine.push(heights as f64 / engines.decide(heights)?.as_secs_f64());
        drop(engines);
        let positions = loaded..loaded + part;
        let batch = records(&dataset, positions.clone(), lone.signer())?;
        rates.lone.push(part as f64 / submit(lone.http(), &batch)?.as_secs_f64());
        let batch = records(&dataset, positions.clone(), cluster.issuer())?;
        let before = Counts::of(cluster)?;
        rates.four.push(part as f64 / submit(cluster.http(0), &batch)?.as_secs_f64());
        cluster.until_level(&(0..VALIDATORS).collect::<Vec<_>>());
        let after = Counts::of(cluster)?;
        rates.in_block.push(part as f64 / (after.height - before.height));
        let of_each = (part * VALIDATORS as u64) as f64;
        rates.checks.push((after.checks - before.checks) / of_each);
        rates.processor.push((after.seconds - before.seconds) / of_each * 1e9);
        loaded = positions.end;
    }
    rates.tell(section);

    let columns =
        ["entries", "memory of a node, loaded", "goal", "of that no file's", "started again", "empty, before"];
    let mut table =
        Table::new("Memory (RSS) of one of four validators: the median, least and greatest of them.", &columns);
    for size in sizes {
        while loaded < size.min(dataset.entries()) {
            let end = (loaded + PIECE).min(size.min(dataset.entries()));
            let batch = records(&dataset, loaded..end, cluster.issuer())?;
            submit(cluster.http(0), &batch)?;
            loaded = end;
        }
        memory(section, cluster, size, loaded, &empty, &mut table)?;
    }
    section.tables.push(table);
    section.note(format!(
        "Loaded by {CALLERS} callers with batches of {BATCH} at one node, which answers when they are in the log. Signed \
         beforehand; the callers share the cores with all four nodes."
    ));
    section.note(
        "Where a node's memory goes: what an empty one has (program, consensus engine, both networks); what one that was \
         started again has beyond that (the state); the rest of a loaded one: RocksDB's write buffers and cache, bounded \
         by 64 MiB each, buffers of the engine, and what the allocator keeps.",
    );
    Ok(())
}

/// One value per repetition of each.
#[derive(Default)]
struct Rates {
    /// Full blocks per second of the engine alone.
    engine: Vec<f64>,
    /// Records per second.
    lone: Vec<f64>,
    four: Vec<f64>,
    /// Of the four: records in a block; signature checks and processor time (nanoseconds) of one node for a record.
    in_block: Vec<f64>,
    checks: Vec<f64>,
    processor: Vec<f64>,
}

/// What four validators have done so far: of the first one its height, of all together the rest.
struct Counts {
    height: f64,
    checks: f64,
    seconds: f64,
}

impl Counts {
    fn of(cluster: &mut Cluster) -> anyhow::Result<Self> {
        let mut counts = Self { height: metric(cluster.http(0), "writ_height ")?, checks: 0.0, seconds: 0.0 };
        for n in 0..VALIDATORS {
            counts.checks += metric(cluster.http(n), "writ_signatures_checked_total ")?;
            counts.seconds += Usage::of(cluster.node(n).process_id())?.seconds;
        }
        Ok(counts)
    }
}

impl Rates {
    fn tell(self, section: &mut Section) {
        let Self { engine, lone, four, in_block, checks, processor } = self;
        let figure = |id: &str, what: &str, unit, values| Figure::new(format!("network/load/{id}"), what, unit, values);
        let most = engine.iter().map(|blocks| blocks * BLOCK_RECORDS_MAX as f64).collect();
        let blocks = section.figure(figure("engine-blocks", "the engine alone: full blocks", Unit::PerSecond, engine));
        let most = section.figure(figure("engine", "records that those could hold", Unit::PerSecond, most));
        let lone = section.figure(figure("lone", "a lone node", Unit::PerSecond, lone));
        let beside = figure("four", "four validators", Unit::PerSecond, four.clone()).against(lone.clone());
        let beside = section.figure(beside);
        let four = figure("four-engine", "four validators", Unit::PerSecond, four).against(most.clone());
        let four = section.figure(four);
        let in_block = section.figure(figure("four-records", "records in a block", Unit::Count, in_block));
        let checks = section.figure(figure("four-checks", "signature checks of a node", Unit::Count, checks));
        let processor = figure("four-processor", "processor time of a node", Unit::Nanoseconds, processor);
        let processor = section.figure(processor);

        let columns = ["who", "records", "beside a lone node", "beside the engine alone"];
        let mut table = Table::new("Records that are in the log, as many as go in.", &columns);
        let value = |figure: &String| Cell::Value(figure.clone());
        table.row(vec!["four validators".into(), value(&beside), Cell::Ratio(beside.clone()), Cell::Ratio(four)]);
        table.row(vec!["a lone node".into(), value(&lone), "".into(), "".into()]);
        let whose = "four engines alone, 4096 records in 1 MiB";
        table.row(vec![whose.into(), value(&most), "".into(), "".into()]);
        table.row(vec!["the same, in blocks".into(), value(&blocks), "".into(), "".into()]);
        section.tables.push(table);
        let columns =
            ["records in a block", "signature checks of a node for a record", "its processor time for a record"];
        let mut table = Table::new("The four validators meanwhile.", &columns);
        table.row(vec![value(&in_block), value(&checks), value(&processor)]);
        section.tables.push(table);
    }
}

/// Submits all of them, and waits until they are in the log.
pub(super) fn submit(http: &Http, records: &[Signed]) -> anyhow::Result<Duration> {
    submit_in(http, records, BATCH, CALLERS)
}

/// The same in batches of `batch`, `callers` at a time.
pub(super) fn submit_in(http: &Http, records: &[Signed], batch: usize, callers: usize) -> anyhow::Result<Duration> {
    let start = Instant::now();
    std::thread::scope(|scope| {
        let share = |caller: usize| {
            move || {
                for batch in records.chunks(batch).skip(caller).step_by(callers) {
                    let committed = http.submit_batch(batch).results.len();
                    ensure!(committed == batch.len(), "{committed} answers for {} records", batch.len());
                }
                Ok(())
            }
        };
        let threads: Vec<_> = (0..callers).map(|caller| scope.spawn(share(caller))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| anyhow::anyhow!("a caller panicked"))?)
    })?;
    Ok(start.elapsed())
}

fn residents(cluster: &mut Cluster) -> anyhow::Result<Vec<f64>> {
    (0..VALIDATORS).map(|n| Ok(Usage::of(cluster.node(n).process_id())?.resident as f64)).collect()
}

fn memory(
    section: &mut Section,
    cluster: &mut Cluster,
    size: u64,
    loaded: u64,
    empty: &[f64],
    table: &mut Table,
) -> anyhow::Result<()> {
    let all: Vec<usize> = (0..VALIDATORS).collect();
    cluster.until_level(&all);
    let resident = residents(cluster)?;
    let anonymous: anyhow::Result<Vec<f64>> =
        all.iter().map(|n| Ok(Usage::of(cluster.node(*n).process_id())?.anonymous as f64)).collect();
    // One after the other, so that the chain never stands.
    for n in &all {
        cluster.stop(*n);
        cluster.start(*n);
    }
    cluster.until_level(&all);
    let started = residents(cluster)?;
    let name = count(size);
    let mut figure = |id: &str, what: &str, values: Vec<f64>, goal: bool| {
        let figure =
            Figure::new(format!("network/memory/{name}/{id}"), format!("{what}, {name} entries"), Unit::Bytes, values);
        section.figure(if goal { figure.goal(Goal::AtMost(MEMORY_BYTES_MAX)) } else { figure })
    };
    let resident = figure("loaded", "memory of a validator, loaded", resident, true);
    let anonymous = figure("anonymous", "of that no file's", anonymous?, false);
    let started = figure("started", "memory of a validator, started again", started, false);
    let empty = figure("empty", "memory of a validator before", empty.to_vec(), false);
    table.row(vec![
        grouped(loaded).into(),
        Cell::Value(resident.clone()),
        Cell::Goal(resident),
        Cell::Value(anonymous),
        Cell::Value(started),
        Cell::Value(empty),
    ]);
    Ok(())
}
