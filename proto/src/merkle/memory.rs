//! A whole tree in memory, for audits and tests.

use alloc::vec::Vec;

use super::{Frontier, NodeId, NodeReader};
use crate::hash::Digest;

/// Every full subtree of a tree, in memory: 64 bytes a leaf.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryTree {
    frontier: Frontier,
    /// `levels[level][index]`, as a [`NodeId`] names them.
    levels: Vec<Vec<Digest>>,
}

/// The tree in memory has no such full subtree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the tree of {size} leaves has no node {node}")]
pub struct MissingNode {
    /// Which node was asked for.
    pub node: NodeId,
    /// How many leaves the tree has.
    pub size: u64,
}

impl MemoryTree {
    /// The empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the leaf with this leaf hash.
    pub fn push(&mut self, leaf: Digest) {
        let levels = &mut self.levels;
        self.frontier.push_with(leaf, |node, hash| {
            let level = usize::from(node.level);
            if levels.len() == level {
                levels.push(Vec::new());
            }
            // Subtrees of one level are completed in order, so the place of a hash is its index.
            levels[level].push(hash);
        });
    }

    /// How many leaves the tree has.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The root of the tree. For the root of an earlier size there is [`root_at`](super::root_at).
    pub fn root(&self) -> Digest {
        self.frontier.root()
    }

    /// The growing edge of the tree.
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }
}

impl NodeReader for MemoryTree {
    type Error = MissingNode;

    fn node(&self, node: NodeId) -> Result<Digest, MissingNode> {
        let level = self.levels.get(usize::from(node.level));
        let index = usize::try_from(node.index).ok();
        level
            .zip(index)
            .and_then(|(level, index)| level.get(index))
            .copied()
            .ok_or(MissingNode { node, size: self.size() })
    }
}

impl Extend<Digest> for MemoryTree {
    fn extend<I: IntoIterator<Item = Digest>>(&mut self, leaves: I) {
        leaves.into_iter().for_each(|leaf| self.push(leaf));
    }
}

impl FromIterator<Digest> for MemoryTree {
    fn from_iter<I: IntoIterator<Item = Digest>>(leaves: I) -> Self {
        let mut tree = Self::new();
        tree.extend(leaves);
        tree
    }
}
