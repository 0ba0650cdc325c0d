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

struct Rocks(DB);

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
        let cache = Cache::new_lru_cache(64 * MIB);
        let families = Table::ALL.map(|table| ColumnFamilyDescriptor::new(table.name(), family(table, &cache)));
        let db = DB::open_cf_descriptors(&options, path, families).map_err(|error| match error.to_string() {
            text if text.contains("LOCK") || text.contains("lock hold") => {
                StoreError::InUse { path: path.display().to_string() }
            }
            _ => cannot("be opened", error),
        })?;
        Ok(Self(db))
    }

    fn family(&self, table: Table) -> &ColumnFamily {
        self.0.cf_handle(table.name()).expect("every column family was opened")
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
        self.0.get_cf(self.family(table), key).map_err(|error| cannot("be read", error))
    }

    fn scan(&self, table: Table, from: &[u8], row: Row<'_>) -> Result<(), StoreError> {
        let mut how = ReadOptions::default();
        // A walk over the log at start would leave the cache full of what nobody asks for again.
        how.fill_cache(false);
        for entry in self.0.iterator_cf_opt(self.family(table), how, IteratorMode::From(from, Direction::Forward)) {
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
        how.set_sync(durable);
        self.0.write_opt(writes, &how).map_err(|error| cannot("be written", error))
    }
}
