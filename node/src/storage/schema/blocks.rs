//! `blocks`: which leaves a block is made of.
//!
//! ```text
//!   key    height u64, big-endian
//!   value  first u64 | commit leaf u64         records are the leaves first..commit leaf
//! ```
//!
//! A block is its commit leaf's header and the records before that leaf. They stand among the leaves once;
//! to store the block again would double the disk and allow the two to differ.

use serde::{Deserialize, Serialize};
use writ_proto::codec;

use super::{StoreError, Table, decode};

/// Where a block stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Span {
    /// Its first leaf.
    pub(crate) first: u64,
    /// Its last leaf, the commit leaf.
    pub(crate) commit_leaf: u64,
}

pub(crate) fn key(height: u64) -> [u8; 8] {
    height.to_be_bytes()
}

pub(crate) fn value(span: Span) -> Vec<u8> {
    codec::encode(&span)
}

pub(crate) fn read(height: u64, bytes: &[u8]) -> Result<Span, StoreError> {
    decode::<_, 16>(Table::Blocks, height, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_pinned() {
        assert_eq!(hex::encode(key(258)), "0000000000000102");
        let span = Span { first: 258, commit_leaf: 300 };
        let bytes = value(span);
        assert_eq!(hex::encode(&bytes), "02010000000000002c01000000000000");
        assert_eq!(read(1, &bytes).unwrap(), span);
        assert!(read(1, &bytes[..15]).is_err());
    }
}
