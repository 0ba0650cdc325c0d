//! `pooled`: records that were acknowledged and wait for a block.
//!
//! ```text
//!   key    record id 32
//!   value  the record's bytes
//! ```
//!
//! An entry goes with the block that settles it, in the same batch, or when the record is refused.

use writ_proto::record::RecordId;

use super::{StoreError, Table, digest};

pub(crate) fn key(id: &RecordId) -> [u8; 32] {
    id.0.0
}

pub(crate) fn read_key(key: &[u8]) -> Result<RecordId, StoreError> {
    digest(Table::Pooled, hex::encode(key), key).map(RecordId)
}

#[cfg(test)]
mod tests {
    use super::*;
    use writ_proto::hash::Digest;

    #[test]
    fn the_bytes_are_pinned() {
        let id = RecordId(Digest([7; 32]));
        assert_eq!(hex::encode(key(&id)), "07".repeat(32));
        assert_eq!(read_key(&key(&id)).unwrap(), id);
        assert!(read_key(&[7; 33]).is_err());
    }
}
