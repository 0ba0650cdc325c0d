//! `nodes`: the full subtrees of the log's tree.
//!
//! ```text
//!   key    level u8 | index u64, big-endian
//!   value  hash 32
//! ```
//!
//! They never change once they are complete; level 0 are the leaf hashes, against which leaves are checked
//! when they are read.

use writ_proto::hash::Digest;
use writ_proto::merkle::NodeId;

use super::{StoreError, Table, damaged, digest};

pub(crate) fn key(node: NodeId) -> [u8; 9] {
    let mut key = [node.level; 9];
    key[1..].copy_from_slice(&node.index.to_be_bytes());
    key
}

pub(crate) fn value(hash: &Digest) -> [u8; 32] {
    hash.0
}

pub(crate) fn read(node: NodeId, bytes: &[u8]) -> Result<Digest, StoreError> {
    digest(Table::Nodes, node, bytes)
}

/// A node that a proof needs and that is not there.
pub(crate) fn missing(node: NodeId) -> StoreError {
    damaged(Table::Nodes, node, "it is missing")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_pinned() {
        let node = NodeId { level: 3, index: 258 };
        assert_eq!(hex::encode(key(node)), "030000000000000102");
        assert_eq!(read(node, &value(&Digest([9; 32]))).unwrap(), Digest([9; 32]));
        assert!(read(node, &[9; 31]).is_err());
    }
}
