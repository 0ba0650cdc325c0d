//! `ids`: where a record stands in the log.
//!
//! ```text
//!   key    record id 32
//!   value  index u64, big-endian
//! ```

use writ_proto::hash::Digest;
use writ_proto::record::RecordId;

use super::{StoreError, Table, damaged, digest, number};

pub(crate) fn key(id: &RecordId) -> [u8; 32] {
    id.0.0
}

pub(crate) fn read_key(key: &[u8]) -> Result<RecordId, StoreError> {
    digest(Table::Ids, hex::encode(key), key).map(RecordId)
}

pub(crate) fn value(index: u64) -> [u8; 8] {
    index.to_be_bytes()
}

pub(crate) fn read(id: &RecordId, bytes: &[u8]) -> Result<u64, StoreError> {
    number(Table::Ids, bytes).map_err(|_| damaged(Table::Ids, id, format!("{} bytes, expected 8", bytes.len())))
}

/// An id that points at a leaf without a place.
pub(crate) fn dangling(id: &RecordId, index: u64) -> StoreError {
    damaged(Table::Ids, Digest::to_string(&id.0), format!("points at leaf {index}, which has no place"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_pinned() {
        let id = RecordId(Digest([7; 32]));
        assert_eq!(hex::encode(key(&id)), "07".repeat(32));
        assert_eq!(hex::encode(value(258)), "0000000000000102");
        assert_eq!(read_key(&key(&id)).unwrap(), id);
        assert_eq!(read(&id, &value(258)).unwrap(), 258);
        assert!(read(&id, &[0; 9]).is_err() && read_key(&[0; 31]).is_err());
    }
}
