//! Records into a node: one at a time, many at a time, a whole file; each answered when it is in the log.
//!
//! Every block is flushed to the disk several times before anybody hears of it, so a single record waits for the
//! disk and nothing else, while records that come together share a block and its flushes.

use std::time::Instant;

use anyhow::ensure;
use writ_proto::record::Signed;

use crate::dataset::Dataset;
use crate::figure::{Cell, Figure, Section, Table, Unit};
use crate::processes::Chain;
use crate::run::{Part, Run};
use crate::stats::Durations;
use crate::traffic::{record, rows};
use crate::verify;

/// The part.
pub(crate) const PART: Part = Part { name: "ingest", about: "records into a node, beside signature checks", measure };

/// Records in one batch: the most that one request may hold.
const BATCH: usize = 1_000;
/// Callers at a time, where there are several.
const CALLERS: usize = 16;

/// One way in, repetition by repetition.
struct Way {
    name: &'static str,
    what: String,
    rates: Vec<f64>,
    /// Flushes and records for each block.
    flushes: Vec<f64>,
    records: Vec<f64>,
}

/// The node's own counts.
struct Counts {
    flushes: f64,
    height: f64,
    leaves: f64,
}

fn measure(run: &Run, section: &mut Section) -> anyhow::Result<()> {
    let verify = verify::measure(run, section);
    let chain = Chain::start(&run.scratch)?;
    let (single, batches, imported) = if run.short { (10, 1, 200) } else { (300, 10, 40_000) };
    let needed = run.repetitions * (single + single * CALLERS / 4 + batches * BATCH) + imported as usize;
    let dataset = Dataset::new(needed as u64, run.seed);
    let mut facts = (0..dataset.entries()).map(|position| dataset.at(position));
    let mut sign = |count: usize| -> anyhow::Result<Vec<Signed>> {
        facts.by_ref().take(count).map(|fact| record(chain.signer(), &fact)).collect()
    };

    let mut alone = Way::new("single", "one record at a time".into());
    let mut together = Way::new("callers", format!("one record at a time from each of {CALLERS} callers"));
    let mut batch = Way::new("batch", format!("batches of {BATCH}, one at a time"));
    let mut import = Way::new("import", "`writ import`, a file of rows".into());
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    for repetition in 0..run.repetitions {
        let records = sign(single)?;
        let mut waits = Durations::with_capacity(single);
        alone.time(&chain, single, || {
            for record in &records {
                let start = Instant::now();
                chain.http().submit(record);
                waits.push(start.elapsed());
            }
            Ok(())
        })?;
        p50.push(waits.percentile(0.5));
        p99.push(waits.percentile(0.99));

        let records = sign(single * CALLERS / 4)?;
        together.time(&chain, records.len(), || {
            std::thread::scope(|scope| {
                for share in records.chunks(records.len().div_ceil(CALLERS)) {
                    let http = chain.http();
                    scope.spawn(move || share.iter().for_each(|record| drop(http.submit(record))));
                }
            });
            Ok(())
        })?;

        let records = sign(batches * BATCH)?;
        batch.time(&chain, records.len(), || {
            for share in records.chunks(BATCH) {
                let answer = chain.http().submit_batch(share);
                let committed = answer.results.len();
                ensure!(committed == share.len(), "{committed} answers for {} records", share.len());
            }
            Ok(())
        })?;

        let reference = repetition.to_string();
        import.time(&chain, imported as usize, || {
            chain.import(&format!("rows{repetition}.csv"), rows(&dataset, 0..imported, &reference)).map(drop)
        })?;
    }

    let columns = ["how", "records", "beside signature checks", "records in a block", "flushes for a block"];
    let mut table = Table::new("Records that are in the log, each answered with its receipt.", &columns);
    for way in [alone, together, batch, import] {
        let id = |what: &str| format!("ingest/{}/{what}", way.name);
        let rate = Figure::new(id("rate"), way.what.clone(), Unit::PerSecond, way.rates).against(verify.clone());
        let records = Figure::new(id("records"), format!("{}: records in a block", way.what), Unit::Count, way.records);
        let flushes = Figure::new(id("flushes"), format!("{}: flushes", way.what), Unit::Count, way.flushes);
        let (rate, records, flushes) = (section.figure(rate), section.figure(records), section.figure(flushes));
        table.row(vec![
            way.what.into(),
            Cell::Value(rate.clone()),
            Cell::Ratio(rate),
            Cell::Value(records),
            Cell::Value(flushes),
        ]);
    }
    table.row(vec![
        "strict signature checks on all cores".into(),
        Cell::Value(verify),
        "".into(),
        "".into(),
        "".into(),
    ]);
    section.tables.push(table);
    let mut waits =
        Table::new("How long one record takes, from sending to its receipt, with nobody else there.", &["p50", "p99"]);
    let p50 = section.figure(Figure::new("ingest/single/p50", "one record, p50", Unit::Nanoseconds, p50));
    let p99 = section.figure(Figure::new("ingest/single/p99", "one record, p99", Unit::Nanoseconds, p99));
    waits.row(vec![Cell::Value(p50), Cell::Value(p99)]);
    section.tables.push(waits);
    section.note(
        "Client, node and disk share the machine. The import signs every row and checks every receipt's proof; the other \
         ways send what was signed before. A flush is an fsync that the node asked for (`writ_fsyncs_total`): two of the \
         store, three of the sign guard, one of the tip guard, now and then one of the clock's mark; those of the engine's \
         own log are not counted. The node is among the other processes that are named below.",
    );
    Ok(())
}

impl Way {
    fn new(name: &'static str, what: String) -> Self {
        Self { name, what, rates: Vec::new(), flushes: Vec::new(), records: Vec::new() }
    }

    /// One repetition: `work` brings `count` records in.
    fn time(&mut self, chain: &Chain, count: usize, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
        let before = Counts::of(chain)?;
        let start = Instant::now();
        work()?;
        let took = start.elapsed();
        let after = Counts::of(chain)?;
        let blocks = after.height - before.height;
        let records = after.leaves - before.leaves - blocks;
        ensure!(records == count as f64, "{records} records came into the log, expected {count}");
        self.rates.push(count as f64 / took.as_secs_f64());
        self.records.push(records / blocks);
        self.flushes.push((after.flushes - before.flushes) / blocks);
        Ok(())
    }
}

impl Counts {
    fn of(chain: &Chain) -> anyhow::Result<Self> {
        Ok(Self {
            flushes: chain.metric("writ_fsyncs_total ")?,
            height: chain.metric("writ_height ")?,
            leaves: chain.metric("writ_log_size ")?,
        })
    }
}
