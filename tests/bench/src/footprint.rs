//! What a ledger takes: the time of a start, memory, disk; by the number of entries.
//!
//! ```text
//!   empty node -> import -> "loaded" -> stop, start -> "started" -> stop -> every table compacted -> "compacted"
//! ```

use std::time::Instant;

use anyhow::Context as _;
use rocksdb::{DB, DBCompressionType, Options};
use writ_node::storage;
use writ_proto::block::CommitLeaf;
use writ_proto::hash::Digest;

use crate::dataset::Dataset;
use crate::figure::{Cell, Figure, Goal, Section, Table, Unit};
use crate::format::{count, grouped, quantity};
use crate::plot::{Axis, Chart, Plot, Point, Scale, Series};
use crate::processes::{Chain, Usage, disk_bytes};
use crate::run::{Part, Run};
use crate::stats::Summary;
use crate::traffic::rows;

/// The part.
pub(crate) const PART: Part =
    Part { name: "footprint", about: "start-up time, memory and disk by the number of entries", measure };

/// Rows of one file: an import of more takes longer than a program of the harness may.
const FILE_ROWS: usize = 100_000;
/// What a node may take in memory, whatever the ledger holds.
const MEMORY_BYTES: u64 = 150 * 1024 * 1024;
/// What it may take for each entry besides.
const ENTRY_BYTES: u64 = 250;

fn measure(run: &Run, section: &mut Section) -> anyhow::Result<()> {
    let sizes = if run.short { vec![1_000] } else { run.sizes(&[10_000, 100_000, 1_000_000]) };
    let columns = ["entries", "start", "memory, loaded", "memory, started", "goal", "per entry"];
    let mut memory = Table::new("Time until a node that is started again answers, and its memory (RSS).", &columns);
    let columns =
        ["entries", "signed", "disk, loaded", "disk, started", "beside signed", "goal", "compacted", "beside signed"];
    let mut disk =
        Table::new("Bytes on disk beside the bytes that were signed: the records, signatures included.", &columns);
    let mut starts = Vec::new();
    for size in sizes {
        let point = ledger(run, section, size, &mut memory, &mut disk)?;
        starts.push(point);
    }
    section.tables.extend([memory, disk]);
    let line =
        Series { name: "from the start of the process to ready".into(), colour: 0, dashed: false, points: starts };
    section.plots.push(Plot {
        file: "footprint-start.svg".into(),
        title: "How long a start takes".into(),
        subtitle: "the state is rebuilt from all blocks".into(),
        chart: Chart::Lines {
            x: Axis::new("entries", Unit::Count, Scale::Log),
            y: Axis::new("time", Unit::Seconds, Scale::Log),
            series: vec![line],
            marks: Vec::new(),
        },
    });
    section.note("The node is among the other processes that are named below.");
    section.note(
        "On disk counts every block that a file has, also what RocksDB reserved ahead. Loaded: right after the import, the \
         write-ahead log included. Started: after a stop and a start, when that log has become tables. Compacted: all \
         tables merged by the bench, which no node has to do.",
    );
    Ok(())
}

/// Measures one size; gives the point of its start.
fn ledger(run: &Run, section: &mut Section, size: u64, memory: &mut Table, disk: &mut Table) -> anyhow::Result<Point> {
    let dataset = Dataset::new(size, run.seed);
    let entries = dataset.entries();
    let name = count(size);
    let mut chain = Chain::start(&run.scratch)?;
    let (home, id) = (chain.home(), chain.id());
    let empty = chain.usage()?;
    for first in (0..entries).step_by(FILE_ROWS) {
        let end = entries.min(first + FILE_ROWS as u64);
        chain.import(&format!("rows{first}.csv"), rows(&dataset, first..end, &first.to_string()))?;
    }
    let loaded = (chain.usage()?, disk_bytes(&home)?);
    let (mut starts, mut started) = (Vec::new(), Vec::<Usage>::new());
    for _ in 0..run.repetitions {
        chain.node().stop();
        let start = Instant::now();
        chain.node().start_again();
        starts.push(start.elapsed().as_secs_f64());
        started.push(chain.usage()?);
    }
    let disk_started = disk_bytes(&home)?;
    chain.node().stop();
    let database = home.join("db");
    let signed = signed_bytes(&database, &id)?;
    let tables = compact(&database)?;
    let disk_compacted = disk_bytes(&home)?;

    let figure = |what: &str, words: &str, unit, values: Vec<f64>| {
        Figure::new(format!("footprint/{name}/{what}"), format!("{words}, {name} entries"), unit, values)
    };
    let bytes = |of: &dyn Fn(&Usage) -> u64| started.iter().map(|usage| of(usage) as f64).collect::<Vec<f64>>();
    let start = figure("start", "start", Unit::Seconds, starts);
    let Summary { median, min, max } = start.summary();
    let resident = bytes(&|usage| usage.resident);
    let per_entry = resident.iter().map(|bytes| (bytes - empty.resident as f64) / entries as f64).collect();
    let bound = Goal::AtMost((MEMORY_BYTES + ENTRY_BYTES * entries) as f64);
    let own = [
        start,
        figure("memory-loaded", "memory after the load", Unit::Bytes, vec![loaded.0.resident as f64]),
        figure("memory", "memory after a start", Unit::Bytes, resident).goal(bound),
        figure("memory-entry", "memory per entry beyond an empty node", Unit::Bytes, per_entry),
        figure(
            "memory-anonymous",
            "memory after a start that is no file's",
            Unit::Bytes,
            bytes(&|usage| usage.anonymous),
        ),
        figure("memory-empty", "memory of an empty node, before", Unit::Bytes, vec![empty.resident as f64]),
    ];
    let ids = own.map(|figure| section.figure(figure));
    memory.row(vec![
        grouped(entries).into(),
        Cell::Value(ids[0].clone()),
        Cell::Value(ids[1].clone()),
        Cell::Value(ids[2].clone()),
        Cell::Goal(ids[2].clone()),
        Cell::Value(ids[3].clone()),
    ]);

    let signed = figure("signed", "signed bytes", Unit::Bytes, vec![signed as f64]);
    let signed_id = signed.id.clone();
    let on_disk = |what: &str, words: &str, bytes: u64| {
        Figure::new(
            format!("footprint/{name}/{what}"),
            format!("{words}, {name} entries"),
            Unit::Bytes,
            vec![bytes as f64],
        )
        .against(signed_id.clone())
    };
    let own = [
        signed,
        on_disk("disk-loaded", "disk after the load", loaded.1),
        on_disk("disk", "disk after a start", disk_started).goal(Goal::RatioAtMost(3.0)),
        on_disk("disk-compacted", "disk, compacted", disk_compacted),
    ];
    let ids = own.map(|figure| section.figure(figure));
    disk.row(vec![
        grouped(entries).into(),
        Cell::Value(ids[0].clone()),
        Cell::Value(ids[1].clone()),
        Cell::Value(ids[2].clone()),
        Cell::Ratio(ids[2].clone()),
        Cell::Goal(ids[2].clone()),
        Cell::Value(ids[3].clone()),
        Cell::Ratio(ids[3].clone()),
    ]);
    let list: Vec<String> = tables
        .iter()
        .filter(|(_, bytes)| *bytes * 200 > disk_compacted)
        .map(|(name, bytes)| format!("`{name}` {}", quantity(*bytes as f64 / entries as f64, Unit::Bytes)))
        .collect();
    section.note(format!("Tables per entry of {name}, compacted: {}.", list.join(", ")));
    Ok(Point { x: entries as f64, y: median, min, max })
}

/// The bytes of all records in a log, signatures included.
fn signed_bytes(database: &std::path::Path, chain: &Digest) -> anyhow::Result<u64> {
    let store = storage::rocks::open(database, chain)?;
    let mut bytes = 0;
    store.scan_leaves(0, &mut |leaf| {
        if CommitLeaf::from_bytes(leaf.bytes).is_err() {
            bytes += leaf.bytes.len() as u64;
        }
        Ok(())
    })?;
    Ok(bytes)
}

/// Merges every table of a database that nobody has open; gives what each column family takes then.
fn compact(database: &std::path::Path) -> anyhow::Result<Vec<(String, u64)>> {
    let mut options = Options::default();
    options.set_compression_type(DBCompressionType::Lz4);
    let names = DB::list_cf(&options, database).context("the database cannot be read")?;
    let db = DB::open_cf_with_opts(&options, database, names.iter().map(|name| (name, options.clone())))?;
    for name in &names {
        let family = db.cf_handle(name).context("a column family that was listed")?;
        db.flush_cf(&family)?;
        db.compact_range_cf(&family, None::<&[u8]>, None::<&[u8]>);
    }
    let mut tables = Vec::new();
    for name in names {
        let family = db.cf_handle(&name).context("a column family that was listed")?;
        let bytes = db.property_int_value_cf(&family, "rocksdb.total-sst-files-size")?.unwrap_or(0);
        tables.push((name, bytes));
    }
    tables.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    Ok(tables)
}
