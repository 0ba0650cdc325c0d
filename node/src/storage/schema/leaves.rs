//! `leaves`: the log itself.
//!
//! ```text
//!   key    index u64, big-endian
//!   value  the leaf's bytes as they were hashed: a record, or a commit leaf
//! ```
//!
//! The first byte tells which it is, so nothing is put around them.

use super::{StoreError, Table, number};

pub(crate) fn key(index: u64) -> [u8; 8] {
    index.to_be_bytes()
}

pub(crate) fn read_key(key: &[u8]) -> Result<u64, StoreError> {
    number(Table::Leaves, key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_pinned() {
        assert_eq!(hex::encode(key(258)), "0000000000000102");
        assert_eq!(read_key(&key(258)).unwrap(), 258);
    }
}
