//! Checks inclusion and consistency proofs, step by step as RFC 9162 writes them.
//!
//! `fn` and `sn` of the RFC are `node` and `last` here (in 2.1.4.2 `first` and `last`): the place
//! of the node that was computed so far and of the last node, on the level that was reached.
//! Nothing here can overflow, panic or run for more than 65 hashes, whatever the input.

use super::path::Path;
use super::{RangeError, node_hash, range};
use crate::hash::Digest;

/// Hashes that a proof has at most, for any sizes: a decoder can refuse more at once.
pub const PROOF_HASHES_MAX: usize = 65;

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The question makes no sense.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// Too few or too many hashes. A longer proof is refused even if it begins with a good one, so
    /// no fact has two proofs.
    #[error("the proof has {found} hashes, expected {expected}")]
    Length {
        /// How many hashes there were.
        found: usize,
        /// How many a proof for this place and these sizes has.
        expected: usize,
    },
    /// The proof leads to another root.
    #[error("the proof leads to root {found}, expected {expected}")]
    Root {
        /// What the proof leads to.
        found: Digest,
        /// The root that was given.
        expected: Digest,
    },
    /// The proof leads to another root of the earlier tree, or another hash of the subtree.
    #[error("the proof leads to the earlier root {found}, expected {expected}")]
    EarlierRoot {
        /// What the proof leads to.
        found: Digest,
        /// The root or hash that was given.
        expected: Digest,
    },
}

/// Checks that the leaf with this leaf hash is number `index` of the `size` leaves under `root`.
///
/// Size and root must come from one trusted source, the leaf hash from the leaf's bytes: see the
/// module.
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf_hash: &Digest,
    proof: &[Digest],
    root: &Digest,
) -> Result<(), ProofError> {
    let found = root_from_inclusion(index, size, leaf_hash, proof)?;
    // 2.1.3.2 step 5, second half.
    expect_root(found, root)
}

/// The root that an inclusion proof leads to, for a caller who will compare it with a trusted one.
///
/// Source: RFC 9162 section 2.1.3.2.
pub fn root_from_inclusion(index: u64, size: u64, leaf_hash: &Digest, proof: &[Digest]) -> Result<Digest, ProofError> {
    // Step 1: the index is below the size.
    range::leaf_in_tree(index, size)?;
    let wrong_length = || ProofError::Length { found: proof.len(), expected: Path::of_leaf(index, size).proof_len() };
    // Steps 2 and 3.
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf_hash;
    // Step 4.
    for sibling in proof {
        // a: at the root already.
        if last == 0 {
            return Err(wrong_length());
        }
        // b
        if node & 1 == 1 || node == last {
            // i
            hash = node_hash(sibling, &hash);
            // ii: the last node of a level without a sibling moves up alone.
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        // c
        (node, last) = (node >> 1, last >> 1);
    }
    // Step 5, first half: the path ends at the root, not below.
    if last != 0 {
        return Err(wrong_length());
    }
    Ok(hash)
}

/// Checks that the tree of `size2` leaves under `root2` begins with the `size1` leaves under
/// `root1`.
///
/// Equal sizes need equal roots and an empty proof. A `size1` of 0 is refused: it would prove
/// nothing.
///
/// Source: RFC 9162 section 2.1.4.2.
pub fn verify_consistency(
    size1: u64,
    size2: u64,
    proof: &[Digest],
    root1: &Digest,
    root2: &Digest,
) -> Result<(), ProofError> {
    range::growth(size1, size2)?;
    let wrong_length =
        || ProofError::Length { found: proof.len(), expected: Path::of_subtree(0, size1, size2).proof_len() };
    // 2.1.4.1: the proof between equal sizes is empty, and 2.1.4.2 does not speak of them.
    if size1 == size2 {
        return if proof.is_empty() { expect_root(*root1, root2) } else { Err(wrong_length()) };
    }
    // Steps 1, 2 and 5: what both trees start from. A size that is a power of two is one full
    // subtree. (Step 1 needs no line of its own there: an empty proof then fails step 7, as the
    // sizes differ.)
    let (seed, rest) =
        if size1.is_power_of_two() { (root1, proof) } else { proof.split_first().ok_or_else(wrong_length)? };
    // Step 3.
    let (mut first, mut last) = (size1 - 1, size2 - 1);
    // Step 4.
    while first & 1 == 1 {
        (first, last) = (first >> 1, last >> 1);
    }
    // Step 5.
    let (mut hash1, mut hash2) = (*seed, *seed);
    // Step 6.
    for sibling in rest {
        // a
        if last == 0 {
            return Err(wrong_length());
        }
        // b
        if first & 1 == 1 || first == last {
            // i: left of both.
            hash1 = node_hash(sibling, &hash1);
            hash2 = node_hash(sibling, &hash2);
            // ii
            while first & 1 == 0 && first != 0 {
                (first, last) = (first >> 1, last >> 1);
            }
        } else {
            // Leaves that only the later tree has.
            hash2 = node_hash(&hash2, sibling);
        }
        // c
        (first, last) = (first >> 1, last >> 1);
    }
    // Step 7.
    if last != 0 {
        return Err(wrong_length());
    }
    expect_earlier_root(hash1, root1)?;
    expect_root(hash2, root2)
}

pub(super) fn expect_root(found: Digest, expected: &Digest) -> Result<(), ProofError> {
    if found == *expected {
        return Ok(());
    }
    Err(ProofError::Root { found, expected: *expected })
}

pub(super) fn expect_earlier_root(found: Digest, expected: &Digest) -> Result<(), ProofError> {
    if found == *expected {
        return Ok(());
    }
    Err(ProofError::EarlierRoot { found, expected: *expected })
}
