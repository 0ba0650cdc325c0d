//! Tables in memory: the store of tests, and the proof that nothing above leans on RocksDB.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use writ_proto::hash::Digest;

use super::batch::{Batch, Change};
use super::log::Log;
use super::schema::Table;
use super::tables::{Row, Tables};
use super::{LogStore, StoreError};

/// A disk made of memory. Clones are the same disk, so a store can be opened on it again, as after a crash.
#[derive(Clone, Default)]
pub struct MemoryDisk(Arc<Disk>);

/// By table and key.
type Rows = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

#[derive(Default)]
struct Disk {
    tables: RwLock<Rows>,
    /// Writes until the first one that fails, as its `u64` before 0; `u64::MAX` fails never.
    writes_left: WritesLeft,
}

struct WritesLeft(AtomicU64);

impl Default for WritesLeft {
    fn default() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }
}

impl MemoryDisk {
    /// A disk with nothing on it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the log of chain `chain` on this disk.
    ///
    /// # Errors
    /// As [`super::rocks::open`].
    pub fn open(&self, chain: &Digest) -> Result<Arc<dyn LogStore>, StoreError> {
        Ok(Arc::new(Log::open(self.clone(), chain)?))
    }

    /// Lets `writes` more writes succeed; the next one fails, and the disk works again after it. What a store
    /// must not rely on.
    pub fn fail_after(&self, writes: u64) {
        self.0.writes_left.0.store(writes, Ordering::SeqCst);
    }

    #[cfg(test)]
    pub(crate) fn change(&self, change: impl FnOnce(&mut Rows)) {
        change(&mut self.0.tables.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// All that is on it.
    #[cfg(test)]
    pub(crate) fn image(&self) -> BTreeMap<(Table, Vec<u8>), Vec<u8>> {
        self.0.tables.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Tables for MemoryDisk {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let tables = self.0.tables.read().unwrap_or_else(PoisonError::into_inner);
        Ok(tables.get(&(table, key.to_vec())).cloned())
    }

    fn scan(&self, table: Table, from: &[u8], row: Row<'_>) -> Result<(), StoreError> {
        // A copy, so that `row` may read the store too.
        let tables = self.0.tables.read().unwrap_or_else(PoisonError::into_inner);
        let rows: Vec<_> = tables
            .range((Bound::Included((table, from.to_vec())), Bound::Unbounded))
            .take_while(|((at, _), _)| *at == table)
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect();
        drop(tables);
        for (key, value) in rows {
            if let ControlFlow::Break(()) = row(&key, &value)? {
                break;
            }
        }
        Ok(())
    }

    fn write(&self, batch: Batch, _durable: bool) -> Result<(), StoreError> {
        let left = &self.0.writes_left.0;
        match left.load(Ordering::SeqCst) {
            u64::MAX => {}
            0 => {
                left.store(u64::MAX, Ordering::SeqCst);
                return Err(StoreError::Database { doing: "be written", source: "told to fail".into() });
            }
            writes => left.store(writes - 1, Ordering::SeqCst),
        }
        let mut tables = self.0.tables.write().unwrap_or_else(PoisonError::into_inner);
        for change in batch.0 {
            match change {
                Change::Put(table, key, value) => tables.insert((table, key), value),
                Change::Delete(table, key) => tables.remove(&(table, key)),
            };
        }
        Ok(())
    }
}
