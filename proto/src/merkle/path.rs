//! The way from a leaf or subtree up to the root: which nodes a proof lists, and so how many.

use super::NodeId;

/// Where a proof starts, in a tree whose last node on that level has the index `last`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    /// The lowest node whose hash the verifier starts with.
    pub(super) node: NodeId,
    /// The verifier knows that hash already; else it is the first of the proof.
    pub(super) known: bool,
    last: u64,
}

impl Path {
    /// The way up from leaf `index`. The caller has checked that it is in the tree.
    pub(super) fn of_leaf(index: u64, size: u64) -> Self {
        Self { node: NodeId { level: 0, index }, known: true, last: size - 1 }
    }

    /// The way up from the subtree of leaves `start..end`, or from the largest full subtree at its
    /// end if the tree has no node for the whole. The caller has checked that it is not empty and
    /// in the tree.
    pub(super) fn of_subtree(start: u64, end: u64, size: u64) -> Self {
        let mut level = 0;
        let (mut first, mut node, mut last) = (start, end - 1, size - 1);
        // Upwards until one node covers it all, or the next one would reach beyond its end.
        while first != node && (node == last || node & 1 == 1) {
            (first, node, last) = (first >> 1, node >> 1, last >> 1);
            level += 1;
        }
        Self { node: NodeId { level, index: node }, known: first == node, last }
    }

    /// The siblings on the way, lowest first. The last one of a level need not be full.
    pub(super) fn siblings(self) -> impl Iterator<Item = NodeId> {
        let Self { mut node, mut last, .. } = self;
        core::iter::from_fn(move || {
            while last > 0 {
                let NodeId { level, index } = node;
                let sibling = match index & 1 {
                    1 => Some(index - 1),
                    // The last node of a level moves up alone if it has no sibling.
                    _ => (index < last).then(|| index + 1),
                };
                node = NodeId { level: level + 1, index: index >> 1 };
                last >>= 1;
                if let Some(index) = sibling {
                    return Some(NodeId { level, index });
                }
            }
            None
        })
    }

    /// How many hashes the proof has.
    pub(super) fn proof_len(self) -> usize {
        usize::from(!self.known) + self.siblings().count()
    }
}
