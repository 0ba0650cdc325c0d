//! Every proof of every small tree, and what happens to it when anything about it is changed.

use alloc::vec::Vec;

use super::super::{path::Path, range};
use super::naive::{self, Step, Steps};
use super::*;

struct Small {
    leaves: Vec<Digest>,
    tree: MemoryTree,
}

fn small() -> Small {
    let leaves = leaves(2 * SMALL);
    Small { tree: leaves.iter().copied().collect(), leaves }
}

impl Small {
    fn root(&self, size: u64) -> Digest {
        root_at(&self.tree, size).unwrap()
    }

    fn leaf(&self, index: u64) -> Digest {
        self.leaves[index as usize]
    }

    fn of(&self, size: u64) -> &[Digest] {
        &self.leaves[..size as usize]
    }
}

fn hashes(steps: &Steps) -> Vec<Digest> {
    steps.iter().map(|(_, hash)| *hash).collect()
}

fn shape(steps: &Steps) -> Vec<Step> {
    steps.iter().map(|(step, _)| *step).collect()
}

/// Everything that can be done to a proof without knowing another one. All of it must be refused.
fn forgeries(proof: &[Digest], others: &[Digest]) -> Vec<Vec<Digest>> {
    let mut all = Vec::new();
    for at in 0..proof.len() {
        for byte in [0, 13, 31] {
            let mut flipped = proof.to_vec();
            flipped[at].0[byte] ^= 1 << (at % 8);
            all.push(flipped);
        }
        let mut without = proof.to_vec();
        without.remove(at);
        all.push(without);
        all.push(proof[..at].to_vec());
        let mut swapped = proof.to_vec();
        swapped.swap(at, (at + 1) % proof.len());
        if swapped != proof {
            all.push(swapped);
        }
    }
    for other in others.iter().chain(proof) {
        for at in 0..=proof.len() {
            let mut padded = proof.to_vec();
            padded.insert(at, *other);
            all.push(padded);
        }
    }
    let mut long = proof.to_vec();
    long.resize(1000, Digest::ZERO);
    all.push(long);
    all
}

#[test]
fn inclusion_is_proved_for_every_leaf_of_every_size_and_not_otherwise() {
    let small = small();
    for size in 1..=SMALL {
        let root = small.root(size);
        for index in 0..size {
            let proof = prove_inclusion(&small.tree, index, size).unwrap();
            assert_eq!(proof, hashes(&naive::path(index as usize, small.of(size))));
            assert_eq!(Path::of_leaf(index, size).proof_len(), proof.len());
            let leaf = small.leaf(index);
            assert_eq!(verify_inclusion(index, size, &leaf, &proof, &root), Ok(()));
            assert_eq!(root_from_inclusion(index, size, &leaf, &proof), Ok(root));

            for forged in forgeries(&proof, &[leaf, root, Digest::ZERO]) {
                let verdict = verify_inclusion(index, size, &leaf, &forged, &root);
                assert!(verdict.is_err(), "leaf {index} of {size}: {forged:?}");
                if forged.len() != proof.len() {
                    let (found, expected) = (forged.len(), proof.len());
                    assert_eq!(verdict, Err(ProofError::Length { found, expected }));
                }
            }
            for wrong in [EMPTY_ROOT, Digest::ZERO, small.root(size - 1), small.root(size + 1)] {
                let error = ProofError::Root { found: root, expected: wrong };
                let verdict = verify_inclusion(index, size, &leaf, &proof, &wrong);
                assert_eq!(verdict, Err(error), "leaf {index} of {size}");
            }
            let wrong = small.leaf((index + 1) % (size + 1));
            assert!(verify_inclusion(index, size, &wrong, &proof, &root).is_err());
            for wrong in 0..=2 * size {
                let verdict = verify_inclusion(wrong, size, &leaf, &proof, &root);
                assert_eq!(verdict.is_ok(), wrong == index, "leaf {index} of {size} as {wrong}");
            }
        }
    }
}

/// The root does not commit to the size, so this is all that can be had: a proof for one place
/// counts for another exactly if the way up from there turns the same way at each step.
#[test]
fn an_inclusion_proof_counts_only_for_places_with_a_path_of_the_same_shape() {
    let small = small();
    let paths: Vec<_> = (1..=34)
        .flat_map(|size| (0..size).map(move |index| (index, size)))
        .map(|(index, size)| (index, size, naive::path(index as usize, small.of(size))))
        .collect();
    let mut shared = 0;
    for (index, size, path) in &paths {
        let (leaf, proof, root) = (small.leaf(*index), hashes(path), small.root(*size));
        for (index2, size2, path2) in &paths {
            let verdict = verify_inclusion(*index2, *size2, &leaf, &proof, &root);
            let same = shape(path) == shape(path2);
            assert_eq!(verdict.is_ok(), same, "leaf {index} of {size} as {index2} of {size2}");
            shared += usize::from(same && (index, size) != (index2, size2));
            assert!(!same || index == index2 || size != size2, "one path, one leaf of a tree");
        }
    }
    assert!(shared > 0, "leaf 0 of 3 and leaf 0 of 4 at least");
}

#[test]
fn neighbouring_sizes_with_another_path_are_refused() {
    let small = small();
    // Leaf 4 of 5 stands alone on the right; in any larger tree it has neighbours.
    let proof = prove_inclusion(&small.tree, 4, 5).unwrap();
    for (size, want) in [
        (3, ProofError::Range(RangeError::LeafOutsideTree { index: 4, size: 3 })),
        (4, ProofError::Range(RangeError::LeafOutsideTree { index: 4, size: 4 })),
        (6, ProofError::Length { found: 1, expected: 2 }),
        (7, ProofError::Length { found: 1, expected: 3 }),
        (10, ProofError::Length { found: 1, expected: 4 }),
    ] {
        let verdict = verify_inclusion(4, size, &small.leaf(4), &proof, &small.root(5));
        assert_eq!(verdict, Err(want), "size {size}");
    }
}

#[test]
fn consistency_is_proved_for_every_pair_of_sizes_and_not_otherwise() {
    let small = small();
    for (size1, size2) in pairs(1, SMALL) {
        let (root1, root2) = (small.root(size1), small.root(size2));
        let proof = prove_consistency(&small.tree, size1, size2).unwrap();
        let want = naive::subproof(0, size1 as usize, small.of(size2), true);
        assert_eq!(proof, hashes(&want), "{size1} to {size2}");
        assert_eq!(Path::of_subtree(0, size1, size2).proof_len(), proof.len());
        assert_eq!(verify_consistency(size1, size2, &proof, &root1, &root2), Ok(()));

        for forged in forgeries(&proof, &[root1, root2, Digest::ZERO]) {
            let verdict = verify_consistency(size1, size2, &forged, &root1, &root2);
            assert!(verdict.is_err(), "{size1} to {size2}: {forged:?}");
            if forged.len() != proof.len() {
                let (found, expected) = (forged.len(), proof.len());
                assert_eq!(verdict, Err(ProofError::Length { found, expected }));
            }
        }
        for wrong in [EMPTY_ROOT, Digest::ZERO, small.root(size1 - 1), small.root(size2 + 1)] {
            assert!(verify_consistency(size1, size2, &proof, &wrong, &root2).is_err());
            assert!(verify_consistency(size1, size2, &proof, &root1, &wrong).is_err());
        }
        if size1 != size2 {
            assert!(verify_consistency(size1, size2, &proof, &root2, &root1).is_err());
            assert!(verify_consistency(size1, size2, &proof, &root1, &root1).is_err());
            assert!(verify_consistency(size1, size2, &proof, &root2, &root2).is_err());
        }
    }
}

#[test]
fn a_consistency_proof_counts_only_for_sizes_with_a_path_of_the_same_shape() {
    let small = small();
    let paths: Vec<_> =
        pairs(1, 34).map(|(from, to)| (from, to, naive::subproof(0, from as usize, small.of(to), true))).collect();
    for (from, to, path) in &paths {
        let (proof, root1, root2) = (hashes(path), small.root(*from), small.root(*to));
        for (from2, to2, path2) in &paths {
            let verdict = verify_consistency(*from2, *to2, &proof, &root1, &root2);
            let same = shape(path) == shape(path2);
            assert_eq!(verdict.is_ok(), same, "{from} to {to} as {from2} to {to2}");
        }
    }
}

#[test]
fn another_earlier_size_is_refused_whatever_the_path() {
    let small = small();
    for (size1, size2) in pairs(1, SMALL) {
        let (root1, root2) = (small.root(size1), small.root(size2));
        let proof = prove_consistency(&small.tree, size1, size2).unwrap();
        for wrong in (0..=size2 + 1).filter(|wrong| *wrong != size1) {
            let verdict = verify_consistency(wrong, size2, &proof, &root1, &root2);
            assert!(verdict.is_err(), "{size1} to {size2} as {wrong} to {size2}");
        }
    }
}

#[test]
fn a_rewritten_log_is_not_consistent() {
    let small = small();
    for (size1, size2) in pairs(1, 20) {
        for changed in 0..size1 {
            let mut rewritten = small.of(size2).to_vec();
            rewritten[changed as usize] = leaf_hash(b"another");
            let tree: MemoryTree = rewritten.into_iter().collect();
            let proof = prove_consistency(&tree, size1, size2).unwrap();
            let (root1, root2) = (small.root(size1), tree.root());
            let verdict = verify_consistency(size1, size2, &proof, &root1, &root2);
            assert!(verdict.is_err(), "leaf {changed} of {size1} in {size2}");
        }
    }
}

#[test]
fn every_subtree_is_tied_to_its_leaves_and_to_the_whole() {
    let small = small();
    for (start, end) in subtrees(40) {
        let (first, after) = (start as usize, end as usize);
        let within = &small.leaves[first..after];
        let hash = naive::root(within);
        for index in start..end {
            let leaf = small.leaf(index);
            let proof = hashes(&naive::path((index - start) as usize, within));
            let verify = |index, proof: &[Digest]| verify_subtree_inclusion(index, start, end, &leaf, proof, &hash);
            assert_eq!(verify(index, &proof), Ok(()));
            for forged in forgeries(&proof, &[leaf, hash]) {
                assert!(verify(index, &forged).is_err(), "leaf {index} of {start}..{end}");
            }
            for wrong in (0..=2 * end).filter(|wrong| *wrong != index) {
                assert!(verify(wrong, &proof).is_err(), "{index} as {wrong} of {start}..{end}");
            }
        }
        for size in end..=40 {
            let root = small.root(size);
            let proof = prove_subtree_consistency(&small.tree, start, end, size).unwrap();
            let verify = |proof: &[Digest], hash: &Digest, root: &Digest| {
                verify_subtree_consistency(start, end, size, proof, hash, root)
            };
            assert_eq!(verify(&proof, &hash, &root), Ok(()), "{start}..{end} of {size}");
            if start < end {
                let want = naive::subproof(first, after, small.of(size), true);
                assert_eq!(proof, hashes(&want), "{start}..{end} of {size}");
                assert!(verify(&proof, &hash, &small.root(size + 1)).is_err());
            }
            assert!(verify(&proof, &small.leaf(99), &root).is_err());
            for forged in forgeries(&proof, &[hash, root]) {
                let verdict = verify(&forged, &hash, &root);
                assert!(verdict.is_err(), "{start}..{end} of {size}: {forged:?}");
                if forged.len() != proof.len() {
                    let (found, expected) = (forged.len(), proof.len());
                    assert_eq!(verdict, Err(ProofError::Length { found, expected }));
                }
            }
        }
    }
}

/// The two verifiers were written from two documents, so they check each other.
#[test]
fn a_subtree_at_the_left_edge_is_judged_like_an_earlier_tree_and_one_leaf_like_an_inclusion() {
    let small = small();
    for (size1, size2) in pairs(1, SMALL) {
        let (root1, root2) = (small.root(size1), small.root(size2));
        let proof = prove_consistency(&small.tree, size1, size2).unwrap();
        for proof in forgeries(&proof, &[root1, root2]).iter().chain([&proof]) {
            assert_eq!(
                verify_subtree_consistency(0, size1, size2, proof, &root1, &root2),
                verify_consistency(size1, size2, proof, &root1, &root2),
            );
        }
        let (index, leaf) = (size1 - 1, small.leaf(size1 - 1));
        let proof = prove_inclusion(&small.tree, index, size2).unwrap();
        for proof in forgeries(&proof, &[leaf, root2]).iter().chain([&proof]) {
            assert_eq!(
                verify_subtree_consistency(index, index + 1, size2, proof, &leaf, &root2),
                verify_inclusion(index, size2, &leaf, proof, &root2),
            );
        }
    }
}

#[test]
fn questions_without_sense_are_refused_by_prover_and_verifier_alike() {
    let small = small();
    let (hash, max) = (Digest::ZERO, u64::MAX);
    for (index, size) in [(0, 0), (1, 1), (5, 5), (max, 5), (max, max), (max, 0)] {
        let error = RangeError::LeafOutsideTree { index, size };
        assert_eq!(prove_inclusion(&small.tree, index, size), Err(error.into()));
        assert_eq!(verify_inclusion(index, size, &hash, &[], &hash), Err(error.into()));
    }
    for (from, to, error) in [
        (0, 0, RangeError::FromEmptyTree),
        (0, 7, RangeError::FromEmptyTree),
        (2, 1, RangeError::Shrinks { from: 2, to: 1 }),
        (1, 0, RangeError::Shrinks { from: 1, to: 0 }),
        (max, 3, RangeError::Shrinks { from: max, to: 3 }),
    ] {
        assert_eq!(prove_consistency(&small.tree, from, to), Err(error.into()));
        assert_eq!(verify_consistency(from, to, &[], &EMPTY_ROOT, &hash), Err(error.into()));
    }
    let none = |start, end| RangeError::NotASubtree { start, end };
    let outside = |start, end, size| RangeError::SubtreeOutsideTree { start, end, size };
    for (start, end, size, error) in [
        (2, 1, 8, none(2, 1)),
        (1, 3, 8, none(1, 3)),
        (2, 5, 8, none(2, 5)),
        (max, 0, 8, none(max, 0)),
        (1, (1 << 63) + 2, max, none(1, (1 << 63) + 2)),
        (1 << 63, max, 8, outside(1 << 63, max, 8)),
        (0, 9, 8, outside(0, 9, 8)),
        (9, 9, 8, outside(9, 9, 8)),
    ] {
        assert_eq!(prove_subtree_consistency(&small.tree, start, end, size), Err(error.into()));
        assert_eq!(verify_subtree_consistency(start, end, size, &[], &EMPTY_ROOT, &hash), Err(error.into()));
    }
    for (index, start, end) in [(0, 1, 2), (2, 1, 2), (1, 1, 1), (8, 0, 8)] {
        let error = RangeError::LeafOutsideSubtree { index, start, end };
        let verdict = verify_subtree_inclusion(index, start, end, &hash, &[], &hash);
        assert_eq!(verdict, Err(error.into()));
    }
    let verdict = verify_subtree_inclusion(3, 3, 5, &hash, &[], &hash);
    assert_eq!(verdict, Err(none(3, 5).into()));
}

#[test]
fn every_bit_of_a_root_and_of_a_leaf_hash_counts() {
    let small = small();
    let (leaf, earlier, root) = (small.leaf(6), small.root(7), small.root(11));
    let (middle, inclusion) = (small.root(4), prove_inclusion(&small.tree, 6, 11).unwrap());
    let consistency = prove_consistency(&small.tree, 7, 11).unwrap();
    for bit in 0..256 {
        let flip = |hash: &Digest| {
            let mut hash = *hash;
            hash.0[bit / 8] ^= 1 << (bit % 8);
            hash
        };
        assert!(verify_inclusion(6, 11, &leaf, &inclusion, &flip(&root)).is_err());
        assert!(verify_inclusion(6, 11, &flip(&leaf), &inclusion, &root).is_err());
        assert!(verify_consistency(7, 11, &consistency, &flip(&earlier), &root).is_err());
        assert!(verify_consistency(7, 11, &consistency, &earlier, &flip(&root)).is_err());
        assert!(verify_consistency(4, 4, &[], &middle, &flip(&middle)).is_err());
        assert!(verify_subtree_consistency(5, 5, 9, &[], &flip(&EMPTY_ROOT), &root).is_err());
    }
}

#[test]
fn refusals_say_what_was_found_and_what_was_expected() {
    let small = small();
    let (root1, root2) = (small.root(3), small.root(5));
    let proof = prove_consistency(&small.tree, 3, 5).unwrap();
    let said = |size1, size2, proof: &[Digest], root1: &Digest, root2: &Digest| {
        verify_consistency(size1, size2, proof, root1, root2).unwrap_err().to_string()
    };
    for (found, expected) in [
        (said(3, 5, &proof[1..], &root1, &root2), "the proof has 3 hashes, expected 4".into()),
        (said(5, 5, &proof, &root2, &root2), "the proof has 4 hashes, expected 0".into()),
        (said(3, 5, &proof, &root2, &root2), format!("the proof leads to the earlier root {root1}, expected {root2}")),
        (said(3, 5, &proof, &root1, &root1), format!("the proof leads to root {root2}, expected {root1}")),
        (
            said(0, 5, &proof, &root1, &root1),
            "a consistency proof starts at a tree of at least one leaf, found an empty one".into(),
        ),
        (said(5, 3, &proof, &root1, &root1), "a tree of 5 leaves cannot have grown into one of 3 leaves".into()),
    ] {
        assert_eq!(found, expected);
    }
}

/// All pairs of sizes `from..=to`, the first not larger than the second.
fn pairs(from: u64, to: u64) -> impl Iterator<Item = (u64, u64)> {
    (from..=to).flat_map(move |size1| (size1..=to).map(move |size2| (size1, size2)))
}

/// All subtrees within `size` leaves, found by the definition and not by the code under test.
fn subtrees(size: u64) -> impl Iterator<Item = (u64, u64)> {
    let found: Vec<_> = pairs(0, size)
        .filter(|(start, end)| {
            let unit = (0..7).map(|bit| 1 << bit).find(|unit| *unit >= end - start).unwrap();
            start % unit == 0
        })
        .collect();
    for (start, end) in pairs(0, size) {
        assert_eq!(range::subtree(start, end).is_ok(), found.contains(&(start, end)));
    }
    found.into_iter()
}
