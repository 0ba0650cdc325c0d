//! The growing edge of a tree: enough to append and to tell the root.

use alloc::vec::Vec;

use super::{NodeId, fold, node_hash};
use crate::hash::Digest;

/// Leaves that a tree may have: sizes then fit a signed 64-bit integer too, which other tools use.
pub const SIZE_MAX: u64 = i64::MAX as u64;

/// The roots of the full subtrees that a tree is made of, largest first (also called a compact
/// range).
///
/// At most 63 hashes. The default is the empty tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// INVARIANT: one hash for each set bit of `size`, highest bit first.
    hashes: Vec<Digest>,
}

/// Why a size and hashes are not a frontier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrontierError {
    /// The number of hashes does not fit the size.
    #[error("a tree of {size} leaves has a frontier of {expected} hashes, found {found}")]
    Hashes {
        /// The size of the tree.
        size: u64,
        /// How many hashes there were.
        found: usize,
        /// How many full subtrees the tree is made of.
        expected: usize,
    },
    /// More leaves than a tree may have.
    #[error("a tree has at most {SIZE_MAX} leaves, found {size}")]
    TooLarge {
        /// The size of the tree.
        size: u64,
    },
}

impl Frontier {
    /// The empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// The tree of `size` leaves whose full subtrees, as [`NodeId::frontier`] names them, have
    /// these hashes.
    ///
    /// Only the number of hashes can be checked here: compare [`root`](Self::root) with one that is
    /// trusted.
    pub fn from_parts(size: u64, hashes: Vec<Digest>) -> Result<Self, FrontierError> {
        if size > SIZE_MAX {
            return Err(FrontierError::TooLarge { size });
        }
        let (found, expected) = (hashes.len(), size.count_ones() as usize);
        if found != expected {
            return Err(FrontierError::Hashes { size, found, expected });
        }
        Ok(Self { size, hashes })
    }

    /// How many leaves the tree has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the full subtrees, largest (leftmost) first.
    pub fn hashes(&self) -> &[Digest] {
        &self.hashes
    }

    /// The root of the tree (RFC 6962 section 2.1).
    pub fn root(&self) -> Digest {
        fold(&self.hashes)
    }

    /// Appends the leaf with this leaf hash.
    pub fn push(&mut self, leaf: Digest) {
        self.push_with(leaf, |_, _| ());
    }

    /// Appends the leaf with this leaf hash and reports every full subtree that it completes, the
    /// leaf itself first, then upwards: what a store has to keep.
    pub fn push_with(&mut self, leaf: Digest, mut completed: impl FnMut(NodeId, Digest)) {
        let mut node = NodeId { level: 0, index: self.size };
        let mut hash = leaf;
        completed(node, hash);
        // A right child closes its parent: the left child is the last hash of the frontier.
        while node.index & 1 == 1 {
            let left = self.hashes.pop().expect("a frontier has one hash for each set bit of its size");
            hash = node_hash(&left, &hash);
            node = NodeId { level: node.level + 1, index: node.index >> 1 };
            completed(node, hash);
        }
        self.hashes.push(hash);
        // No overflow: a frontier starts at or below `SIZE_MAX`, and nobody appends 2^63 leaves one
        // by one.
        self.size += 1;
    }
}

impl Extend<Digest> for Frontier {
    fn extend<I: IntoIterator<Item = Digest>>(&mut self, leaves: I) {
        leaves.into_iter().for_each(|leaf| self.push(leaf));
    }
}

impl FromIterator<Digest> for Frontier {
    fn from_iter<I: IntoIterator<Item = Digest>>(leaves: I) -> Self {
        let mut frontier = Self::new();
        frontier.extend(leaves);
        frontier
    }
}
