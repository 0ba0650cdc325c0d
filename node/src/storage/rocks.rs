//! Tables in RocksDB: a column family for each.
//!
//! How it is opened is half of what it promises:
//!
//! - `TolerateCorruptedTailRecords`: a batch that a power cut tore at the very end of the write-ahead log was
//!   never acknowledged and goes; damage anywhere else is an error. (RocksDB's default drops everything from
//!   the first damaged record on and opens, with an older truth.) What no mode notices, a log file that is
//!   gone or a database that was swapped, the tip guard does.
//! - Every durable write syncs the write-ahead log before it returns, and checksums are checked on every read.
//! - LZ4, small write buffers and few open files: a ledger writes a block now and then and should leave the
//!   memory to its decisions.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, DBRecoveryMode, Direction,
    IteratorMode, Options, ReadOptions, WriteBatch, WriteOptions,
};
use writ_proto::hash::Digest;

use super::batch::{Batch, Change};
use super::log::Log;
use super::schema::Table;
use super::tables::{Row, Tables};
use super::{LogStore, StoreError};

const MIB: usize = 1024 * 1024;

/// Opens the log of chain `chain` in the folder `path`, which is made if it is not there.
///
/// # Errors
/// If another process has it open, it holds another chain or a format of another version, or it is damaged
/// where opening looks: the tip, its block, and the edge of the tree.
pub fn open(path: &Path, chain: &Digest) -> Result<Arc<dyn LogStore>, StoreError> {
    Ok(Arc::new(Log::open(Rocks::open(path)?, chain)?))
}

/// Opens the log of chain `chain` in the folder `path` to read, beside a process that may be writing it: at one
/// instant, which it does not leave. Nothing is written there; what the instance says about itself goes into the
/// folder `scratch`.
///
/// # Errors
/// As [`open`]; also if the other process was just deleting a file, then another try may do.
pub fn open_beside(path: &Path, chain: &Digest, scratch: &Path) -> Result<Arc<dyn LogStore>, StoreError> {
    let mut options = options();
    options.create_if_missing(false);
    options.create_missing_column_families(false);
    // All files are opened now, so that none can go away later.
    options.set_max_open_files(-1);
    let db = DB::open_cf_descriptors_as_secondary(&options, path, scratch, families())
        .map_err(|error| cannot("be opened beside its node", error))?;
    Ok(Arc::new(Log::open(Rocks { db, syncs: false }, chain)?))
}

/// A new log that is filled without waiting for the disk after each block, and is durable once it is finished.
pub struct Filling(Log<Rocks>);

impl Filling {
    /// Begins the log of chain `chain` in the folder `path`.
    pub fn begin(path: &Path, chain: &Digest) -> Result<Self, StoreError> {
        let rocks = Rocks { syncs: false, ..Rocks::open(path)? };
        Ok(Self(Log::open(rocks, chain)?))
    }

    /// The log. What it says is durable is so only after [`Filling::finish`].
    pub fn store(&self) -> &dyn LogStore {
        &self.0
    }

    /// Makes all of it durable, and closes it.
    pub fn finish(self) -> Result<(), StoreError> {
        let Rocks { db, .. } = self.0.tables();
        for table in Table::ALL {
            db.flush_cf(self.0.tables().family(table)).map_err(|error| cannot("be written", error))?;
        }
        db.flush_wal(true).map_err(|error| cannot("be written", error))
    }
}

struct Rocks {
    db: DB,
    /// Whether a durable write waits for the disk.
    syncs: bool,
}

impl Rocks {
    fn open(path: &Path) -> Result<Self, StoreError> {
        let options = options();
        // Before anything is written: a family that we do not know is somebody's who knows more.
        if path.join("CURRENT").exists() {
            let names = DB::list_cf(&options, path).map_err(|error| cannot("be opened", error))?;
            let is_known = |name: &String| name == "default" || Table::ALL.iter().any(|table| table.name() == name);
            if let Some(name) = names.into_iter().find(|name| !is_known(name)) {
                return Err(StoreError::UnknownTable { name });
            }
        }
        let db = DB::open_cf_descriptors(&options, path, families()).map_err(|error| match error.to_string() {
            text if text.contains("LOCK") || text.contains("lock hold") => {
                StoreError::InUse { path: path.display().to_string() }
            }
            _ => cannot("be opened", error),
        })?;
        Ok(Self { db, syncs: true })
    }

    fn family(&self, table: Table) -> &ColumnFamily {
        self.db.cf_handle(table.name()).expect("every column family was opened")
    }
}

/// The options of the whole database.
fn options() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_paranoid_checks(true);
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    // Families that are written seldom would keep old log files alive; this flushes them.
    options.set_max_total_wal_size(64 * MIB as u64);
    options.set_db_write_buffer_size(64 * MIB);
    options.set_max_open_files(256);
    options.set_max_background_jobs(2);
    // RocksDB's own diary.
    options.set_max_log_file_size(MIB);
    options.set_keep_log_file_num(4);
    options
}

/// All column families, with one cache.
fn families() -> [ColumnFamilyDescriptor; Table::ALL.len()] {
    let cache = Cache::new_lru_cache(64 * MIB);
    Table::ALL.map(|table| ColumnFamilyDescriptor::new(table.name(), family(table, &cache)))
}

/// The options of one column family.
fn family(table: Table, cache: &Cache) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    if matches!(table, Table::Ids | Table::Pooled | Table::Refused) {
        // Asked mostly for what is not there.
        blocks.set_bloom_filter(10.0, false);
    }
    let mut options = Options::default();
    options.set_block_based_table_factory(&blocks);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_write_buffer_size(16 * MIB);
    options
}

fn cannot(doing: &'static str, error: rocksdb::Error) -> StoreError {
    StoreError::Database { doing, source: Box::new(error) }
}

impl Tables for Rocks {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.db.get_cf(self.family(table), key).map_err(|error| cannot("be read", error))
    }

    fn scan(&self, table: Table, from: &[u8], row: Row<'_>) -> Result<(), StoreError> {
        let mut how = ReadOptions::default();
        // A walk over the log at start would leave the cache full of what nobody asks for again.
        how.fill_cache(false);
        for entry in self.db.iterator_cf_opt(self.family(table), how, IteratorMode::From(from, Direction::Forward)) {
            let (key, value) = entry.map_err(|error| cannot("be read", error))?;
            if let ControlFlow::Break(()) = row(&key, &value)? {
                break;
            }
        }
        Ok(())
    }

    fn write(&self, batch: Batch, durable: bool) -> Result<(), StoreError> {
        let mut writes = WriteBatch::default();
        for change in &batch.0 {
            match change {
                Change::Put(table, key, value) => writes.put_cf(self.family(*table), key, value),
                Change::Delete(table, key) => writes.delete_cf(self.family(*table), key),
            }
        }
        let mut how = WriteOptions::default();
        how.set_sync(durable && self.syncs);
        self.db.write_opt(writes, &how).map_err(|error| cannot("be written", error))
    }
}
