//! The full subtrees of a tree: their names, and the trait that reads them.

use core::fmt;

use crate::hash::Digest;

/// The name of a full subtree: the 2^`level` leaves from `index` * 2^`level` on. Level 0 are the
/// leaves.
///
/// Ordered by level, then by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId {
    /// The height above the leaves, at most 63.
    pub level: u8,
    /// The place among the subtrees of this level, from 0.
    pub index: u64,
}

impl NodeId {
    /// The full subtrees that make up a tree of `size` leaves, from left to right: those whose
    /// roots a [`Frontier`](super::Frontier) of that size holds. One for each set bit of `size`.
    pub fn frontier(size: u64) -> impl Iterator<Item = Self> {
        Self::covering(0, size)
    }

    /// The full subtrees that make up the subtree of the leaves `start..end`, from left to right.
    ///
    /// The caller has checked that this is a subtree: so each power of two taken below divides its
    /// start.
    pub(super) fn covering(start: u64, end: u64) -> impl Iterator<Item = Self> {
        let mut at = start;
        core::iter::from_fn(move || {
            let level = (end - at).checked_ilog2()?;
            let index = at >> level;
            at += 1 << level;
            Some(Self { level: level as u8, index })
        })
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.level, self.index)
    }
}

/// Where a prover reads the hashes of full subtrees: a database, a tile server, memory.
pub trait NodeReader {
    /// Why a node could not be read.
    type Error;

    /// The hash of the full subtree `node`. Provers ask only for subtrees that are complete at the
    /// size they prove; that one is not there is an error.
    fn node(&self, node: NodeId) -> Result<Digest, Self::Error>;
}
