//! Proves several leaves of one tree at once: a proof holds only what the leaves themselves do not tell,
//! and nothing twice.
//!
//! ```text
//!              root                 leaves 1 and 4 of five, each known by its bytes
//!            /      \
//!         2/0        \              the proof: 0/0 and 1/1, from left to right
//!       /     \       \
//!    1/0      [1/1]    \            a part of the tree without any of the leaves is one hash
//!   /   \               \
//! [0/0]  0/1             0/4
//! ```
//!
//! Leaves that stand side by side, as the records of one batch do, need about as many hashes together as
//! one of them alone. A proof of one leaf holds the hashes of its inclusion proof, in another order.

use alloc::vec::Vec;

use super::prove::read_up_to;
use super::{NodeId, NodeReader, ProofError, ProveError, RangeError, node_hash};
use crate::hash::Digest;

/// The hashes that lead, together with the leaves `indexes`, to the root of the tree of the first `size`
/// leaves.
///
/// # Errors
/// If `indexes` is empty, does not ascend strictly or does not end below `size`, or if the store fails.
pub fn prove_leaves<R: NodeReader + ?Sized>(
    reader: &R,
    indexes: &[u64],
    size: u64,
) -> Result<Vec<Digest>, ProveError<R::Error>> {
    check(indexes.iter().copied(), size)?;
    let mut proof = Vec::new();
    let mut result = Ok(());
    parts(0, size, indexes, &mut |start, end| {
        if result.is_ok() {
            // Only the last part of a tree need not be full, and then it starts where a full one would.
            let level = (end - start).next_power_of_two().ilog2() as u8;
            match read_up_to(reader, NodeId { level, index: start >> level }, size) {
                Ok(hash) => proof.push(hash),
                Err(error) => result = Err(error),
            }
        }
    });
    result.map(|()| proof)
}

/// The root that a proof leads to from these leaves, each its index and its leaf hash, for a caller who will
/// compare it with a trusted one. About two hashes for each leaf.
///
/// # Errors
/// If the indexes make no sense, as in [`prove_leaves`], or the proof has not just the hashes that are needed.
pub fn root_from_leaves(leaves: &[(u64, Digest)], size: u64, proof: &[Digest]) -> Result<Digest, ProofError> {
    check(leaves.iter().map(|(index, _)| *index), size)?;
    let mut rest = proof.iter();
    match root_of_part(0, size, leaves, &mut rest) {
        Some(root) if rest.len() == 0 => Ok(root),
        _ => {
            let indexes: Vec<u64> = leaves.iter().map(|(index, _)| *index).collect();
            let mut expected = 0;
            parts(0, size, &indexes, &mut |_, _| expected += 1);
            Err(ProofError::Length { found: proof.len(), expected })
        }
    }
}

fn check(indexes: impl Iterator<Item = u64>, size: u64) -> Result<(), RangeError> {
    let mut last = None;
    for index in indexes {
        if last.is_some_and(|last| last >= index) {
            return Err(RangeError::NotAscending { index });
        }
        super::range::leaf_in_tree(index, size)?;
        last = Some(index);
    }
    if last.is_none() { Err(RangeError::NoLeaves) } else { Ok(()) }
}

/// Where the leaves `start..end`, of which there are at least two, split (RFC 6962 section 2.1).
fn middle(start: u64, end: u64) -> u64 {
    start + (1 << (end - start - 1).ilog2())
}

/// Tells each part of `start..end` that holds none of the leaves, from left to right.
fn parts(start: u64, end: u64, indexes: &[u64], tell: &mut impl FnMut(u64, u64)) {
    if indexes.is_empty() {
        return tell(start, end);
    }
    if end - start > 1 {
        let middle = middle(start, end);
        let (left, right) = indexes.split_at(indexes.partition_point(|index| *index < middle));
        parts(start, middle, left, tell);
        parts(middle, end, right, tell);
    }
}

fn root_of_part<'a>(
    start: u64,
    end: u64,
    leaves: &[(u64, Digest)],
    proof: &mut impl Iterator<Item = &'a Digest>,
) -> Option<Digest> {
    match leaves {
        [] => proof.next().copied(),
        [(_, hash)] if end - start == 1 => Some(*hash),
        _ => {
            let middle = middle(start, end);
            let (left, right) = leaves.split_at(leaves.partition_point(|(index, _)| *index < middle));
            let left = root_of_part(start, middle, left, proof)?;
            Some(node_hash(&left, &root_of_part(middle, end, right, proof)?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::{MemoryTree, leaf_hash, prove_inclusion};

    fn leaf(index: u64) -> Digest {
        leaf_hash(&index.to_le_bytes())
    }

    fn tree(size: u64) -> MemoryTree {
        (0..size).map(leaf).collect()
    }

    #[test]
    fn any_leaves_of_any_tree_lead_to_its_root_and_to_no_other() {
        for size in 1..=11_u64 {
            let tree = tree(size + 3);
            let root = crate::merkle::root_at(&tree, size).unwrap();
            for chosen in 1..1_u64 << size {
                let indexes: Vec<u64> = (0..size).filter(|index| chosen >> index & 1 == 1).collect();
                let proof = prove_leaves(&tree, &indexes, size).unwrap();
                let leaves: Vec<_> = indexes.iter().map(|index| (*index, leaf(*index))).collect();
                assert_eq!(root_from_leaves(&leaves, size, &proof), Ok(root), "{indexes:?} of {size}");
                // Another leaf, another hash, one more or one fewer.
                let mut forged = leaves.clone();
                forged[0].1 = leaf(99);
                assert_ne!(root_from_leaves(&forged, size, &proof), Ok(root));
                for at in 0..proof.len() {
                    let mut forged = proof.clone();
                    forged[at].0[7] ^= 1;
                    assert_ne!(root_from_leaves(&leaves, size, &forged), Ok(root));
                }
                let (found, expected) = (proof.len() + 1, proof.len());
                let longer = [proof.as_slice(), &[leaf(0)]].concat();
                assert_eq!(root_from_leaves(&leaves, size, &longer), Err(ProofError::Length { found, expected }));
                if let Some(shorter) = expected.checked_sub(1) {
                    let refused = Err(ProofError::Length { found: shorter, expected });
                    assert_eq!(root_from_leaves(&leaves, size, &proof[..shorter]), refused);
                }
            }
        }
    }

    #[test]
    fn one_leaf_needs_the_hashes_of_its_inclusion_proof() {
        let tree = tree(300);
        for index in [0, 1, 127, 128, 255, 256, 298, 299] {
            let (mut one, mut other) =
                (prove_leaves(&tree, &[index], 300).unwrap(), prove_inclusion(&tree, index, 300).unwrap());
            one.sort_unstable();
            other.sort_unstable();
            assert_eq!(one, other, "{index}");
        }
    }

    #[test]
    fn leaves_side_by_side_need_few_hashes() {
        let tree = tree(5000);
        let indexes: Vec<u64> = (3100..4100).collect();
        assert!(prove_leaves(&tree, &indexes, 5000).unwrap().len() <= 26);
    }

    #[test]
    fn indexes_must_ascend_within_the_tree() {
        let tree = tree(4);
        for (indexes, fault) in [
            (&[][..], RangeError::NoLeaves),
            (&[1, 1], RangeError::NotAscending { index: 1 }),
            (&[2, 1], RangeError::NotAscending { index: 1 }),
            (&[1, 4], RangeError::LeafOutsideTree { index: 4, size: 4 }),
        ] {
            assert_eq!(prove_leaves(&tree, indexes, 4), Err(ProveError::Range(fault)), "{indexes:?}");
            let leaves: Vec<_> = indexes.iter().map(|index| (*index, leaf(*index))).collect();
            assert_eq!(root_from_leaves(&leaves, 4, &[]), Err(ProofError::Range(fault)), "{indexes:?}");
        }
    }
}
