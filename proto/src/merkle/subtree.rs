//! Proofs about *subtrees*: aligned ranges of leaves that are trees of their own.
//!
//! A subtree of leaves `start..end` starts at a multiple of its length, rounded up to a power of
//! two, and its hash is that of a tree of just those leaves. So a part of the log (a block, a day)
//! can be signed and proved by itself, and tied to the whole later.
//!
//! Source: draft-ietf-plants-merkle-tree-certs, sections "Subtree Inclusion Proofs" and "Subtree
//! Consistency Proofs". Steps are those of the draft; its `fn`, `sn` and `tn` are `first`, `node`
//! and `last` here.

use super::path::Path;
use super::proof::{expect_earlier_root, expect_root};
use super::{EMPTY_ROOT, ProofError, node_hash, range, root_from_inclusion};
use crate::hash::Digest;

/// Checks that the leaf with this leaf hash is number `index` of the log, by the hash of the
/// subtree of leaves `start..end`.
pub fn verify_subtree_inclusion(
    index: u64,
    start: u64,
    end: u64,
    leaf_hash: &Digest,
    proof: &[Digest],
    subtree_hash: &Digest,
) -> Result<(), ProofError> {
    // Evaluation, step 1.
    range::leaf_in_subtree(index, start, end)?;
    // Steps 2 to 6: those of RFC 9162 2.1.3.2, with the subtree as the tree.
    let found = root_from_inclusion(index - start, end - start, leaf_hash, proof)?;
    expect_root(found, subtree_hash)
}

/// Checks that the leaves `start..end` of the tree of `size` leaves under `root` are those under
/// `subtree_hash`.
///
/// With `start` = 0 this is consistency of two trees, with `end` = `start` + 1 it is inclusion of a
/// leaf. The empty subtree is part of every tree: its hash is [`EMPTY_ROOT`], its proof is empty,
/// and `root` plays no part.
pub fn verify_subtree_consistency(
    start: u64,
    end: u64,
    size: u64,
    proof: &[Digest],
    subtree_hash: &Digest,
    root: &Digest,
) -> Result<(), ProofError> {
    // Step 1.
    range::subtree_in_tree(start, end, size)?;
    // Step 2.
    if start == end {
        if !proof.is_empty() {
            return Err(ProofError::Length { found: proof.len(), expected: 0 });
        }
        return expect_earlier_root(EMPTY_ROOT, subtree_hash);
    }
    let wrong_length =
        || ProofError::Length { found: proof.len(), expected: Path::of_subtree(start, end, size).proof_len() };
    // Step 3.
    let (mut first, mut node, mut last) = (start, end - 1, size - 1);
    // Steps 4 and 5: a subtree that ends with the tree is a node of it.
    let at_the_end = node == last;
    while first != node && (at_the_end || node & 1 == 1) {
        (first, node, last) = (first >> 1, node >> 1, last >> 1);
    }
    // Steps 6 and 7: what both start from.
    let (seed, rest) =
        if first == node { (subtree_hash, proof) } else { proof.split_first().ok_or_else(wrong_length)? };
    let (mut subtree, mut tree) = (*seed, *seed);
    // Step 8.
    for sibling in rest {
        // 8.1
        if last == 0 {
            return Err(wrong_length());
        }
        // 8.2
        if node & 1 == 1 || node == last {
            // 8.2.1: on the left, and still inside the subtree.
            if first < node {
                subtree = node_hash(sibling, &subtree);
            }
            // 8.2.2
            tree = node_hash(sibling, &tree);
            // 8.2.3
            while node & 1 == 0 && node != 0 {
                (first, node, last) = (first >> 1, node >> 1, last >> 1);
            }
        } else {
            // 8.3.1
            tree = node_hash(&tree, sibling);
        }
        // 8.4
        (first, node, last) = (first >> 1, node >> 1, last >> 1);
    }
    // Step 9.
    if last != 0 {
        return Err(wrong_length());
    }
    expect_earlier_root(subtree, subtree_hash)?;
    expect_root(tree, root)
}
