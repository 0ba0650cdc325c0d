//! The RFC 6962 tree: one root stands for the whole log, and short proofs tie leaves and older
//! roots to it.
//!
//! Leaves are hashed with a zero byte before them and nodes with a one byte, so no node reads as a
//! leaf. A tree of more than one leaf splits after the largest power of two below its size. Its
//! *full* subtrees (2^level leaves, starting at a multiple of that) never change once they are
//! complete: a store keeps those and nothing else, each under its [`NodeId`]. A tree of five
//! leaves:
//!
//! ```text
//!              root                 not full, changes with the next leaf: never stored
//!            /      \
//!         2/0        \              level 2, index 0
//!       /     \       \
//!    1/0       1/1     \
//!   /   \     /   \     \
//! 0/0   0/1 0/2   0/3   0/4         the leaf hashes
//! ```
//!
//! The [`Frontier`] of a tree holds the roots of the full subtrees that it is made of, here 2/0 and
//! 0/4: what is needed to append and to tell the root. A prover reads nodes through a
//! [`NodeReader`]; a verifier needs hashes alone.
//!
//! ```
//! use writ_proto::merkle::{self, MemoryTree};
//!
//! let leaves = ["alice may read", "bob may read", "alice may not"];
//! let tree: MemoryTree = leaves.iter().map(|leaf| merkle::leaf_hash(leaf.as_bytes())).collect();
//! let proof = merkle::prove_inclusion(&tree, 1, 3)?;
//! merkle::verify_inclusion(1, 3, &merkle::leaf_hash(b"bob may read"), &proof, &tree.root())?;
//!
//! let earlier = merkle::root_at(&tree, 2)?;
//! let proof = merkle::prove_consistency(&tree, 2, 3)?;
//! merkle::verify_consistency(2, 3, &proof, &earlier, &tree.root())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What a proof does not say:
//!
//! - **The size.** A root does not commit to its size, and trees of different sizes can have one
//!   path of the same shape (leaf 0 of 3 and leaf 0 of 4). Take size and root together, from one
//!   signed checkpoint or header.
//! - **The leaf's bytes.** Hash them yourself with [`leaf_hash`]: whoever takes a *leaf hash* from
//!   a stranger may be given a node's.

mod frontier;
mod memory;
mod node;
mod path;
mod proof;
mod prove;
mod range;
mod several;
mod subtree;
#[cfg(test)]
mod tests;

pub use frontier::{Frontier, FrontierError, SIZE_MAX};
pub use memory::{MemoryTree, MissingNode};
pub use node::{NodeId, NodeReader};
pub use proof::{PROOF_HASHES_MAX, ProofError, root_from_inclusion, verify_consistency, verify_inclusion};
pub use prove::{ProveError, prove_consistency, prove_inclusion, prove_subtree_consistency, root_at};
pub use range::RangeError;
pub use several::{prove_leaves, root_from_leaves};
pub use subtree::{verify_subtree_consistency, verify_subtree_inclusion};

use crate::hash::Digest;

/// The root of the tree without leaves: SHA-256 of nothing (RFC 6962 section 2.1).
pub const EMPTY_ROOT: Digest = Digest([
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41,
    0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
]);

/// The hash of a leaf: SHA-256 of a zero byte and the leaf's bytes.
pub fn leaf_hash(bytes: &[u8]) -> Digest {
    Digest::of(&[&[0x00], bytes])
}

/// The hash of a node: SHA-256 of a one byte and its two children.
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    Digest::of(&[&[0x01], &left.0, &right.0])
}

/// The root over `leaves`, which are leaf *hashes* in order. O(n) hashes, O(log n) memory.
pub fn root_of(leaves: impl IntoIterator<Item = Digest>) -> Digest {
    leaves.into_iter().collect::<Frontier>().root()
}

/// The hash over neighbouring full subtrees, given from left to right, each smaller than the one
/// before.
fn fold(subtrees: &[Digest]) -> Digest {
    // RFC 6962 splits off the largest full subtree first, so the hashes nest to the right.
    subtrees.iter().rev().copied().reduce(|right, left| node_hash(&left, &right)).unwrap_or(EMPTY_ROOT)
}
