//! What a store must be able to do. Everything that means something is above, in `log`.

use std::ops::ControlFlow;

use super::StoreError;
use super::batch::Batch;
use super::schema::Table;

/// What a scan calls for each key and value; it goes on or stops.
pub(crate) type Row<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, StoreError>;

/// Ordered tables of bytes.
pub(crate) trait Tables: Send + Sync + 'static {
    /// The value of a key.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Shows the entries whose key is `from` or greater, in bytewise order.
    fn scan(&self, table: Table, from: &[u8], row: Row<'_>) -> Result<(), StoreError>;

    /// Carries out a batch, all or nothing. If `durable`, it is on disk when this returns.
    fn write(&self, batch: Batch, durable: bool) -> Result<(), StoreError>;
}
