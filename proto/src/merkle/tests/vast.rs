//! Trees of any size that 64 bits can hold, and hostile input.

use alloc::vec::Vec;
use core::convert::Infallible;

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::path::Path;
use super::*;

/// A tree of any size in which all leaves are alike: so all full subtrees of one level are, too.
struct Uniform(Vec<Digest>);

impl Uniform {
    fn new() -> Self {
        let mut levels = alloc::vec![leaf_hash(b"alike")];
        for level in 0..63 {
            levels.push(node_hash(&levels[level], &levels[level]));
        }
        Self(levels)
    }

    fn root(&self, size: u64) -> Digest {
        root_at(self, size).unwrap()
    }
}

impl NodeReader for Uniform {
    type Error = Infallible;

    fn node(&self, node: NodeId) -> Result<Digest, Infallible> {
        Ok(self.0[usize::from(node.level)])
    }
}

/// Numbers around which arithmetic goes wrong, and all the others.
fn any_size() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        0..20_u64,
        (0..64_u32, -2..=2_i64).prop_map(|(bit, off)| (1_u64 << bit).wrapping_add_signed(off)),
        (0..64_u32).prop_map(|bits| u64::MAX >> bits),
    ]
}

fn any_hash() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

fn flip(proof: &[Digest], at: usize, bit: u8) -> Vec<Digest> {
    let mut proof = proof.to_vec();
    let at = at % proof.len();
    proof[at].0[usize::from(bit / 8)] ^= 1 << (bit % 8);
    proof
}

#[test]
fn no_proof_is_longer_than_the_bound_and_some_proof_reaches_it() {
    let mut longest = 0;
    for size1 in (0..64).flat_map(|bit| [1 << bit, (1 << bit) + 1, u64::MAX - (1 << bit)]) {
        let size1: u64 = size1;
        longest = longest.max(Path::of_subtree(0, size1, u64::MAX).proof_len());
        longest = longest.max(Path::of_leaf(size1 - 1, u64::MAX).proof_len());
    }
    assert_eq!(longest, PROOF_HASHES_MAX);
}

proptest! {
    #[test]
    fn inclusion_holds_at_any_size(a in any_size(), b in any_size(), at: usize, bit: u8) {
        prop_assume!(a != b);
        let (index, size) = (a.min(b), a.max(b));
        let tree = Uniform::new();
        let (leaf, root) = (tree.0[0], tree.root(size));
        let proof = prove_inclusion(&tree, index, size).unwrap();
        prop_assert!(proof.len() <= PROOF_HASHES_MAX);
        prop_assert_eq!(verify_inclusion(index, size, &leaf, &proof, &root), Ok(()));
        prop_assert!(verify_inclusion(index, size, &root, &proof, &leaf).is_err() || size == 1);
        if !proof.is_empty() {
            let flipped = flip(&proof, at, bit);
            prop_assert!(verify_inclusion(index, size, &leaf, &flipped, &root).is_err());
            prop_assert!(verify_inclusion(index, size, &leaf, &proof[1..], &root).is_err());
        }
    }

    #[test]
    fn consistency_holds_at_any_size(a in any_size(), b in any_size(), at: usize, bit: u8) {
        prop_assume!(a.min(b) > 0);
        let (size1, size2) = (a.min(b), a.max(b));
        let tree = Uniform::new();
        let (root1, root2) = (tree.root(size1), tree.root(size2));
        let proof = prove_consistency(&tree, size1, size2).unwrap();
        prop_assert!(proof.len() <= PROOF_HASHES_MAX);
        prop_assert_eq!(verify_consistency(size1, size2, &proof, &root1, &root2), Ok(()));
        if !proof.is_empty() {
            let flipped = flip(&proof, at, bit);
            prop_assert!(verify_consistency(size1, size2, &flipped, &root1, &root2).is_err());
            prop_assert!(verify_consistency(size1, size2, &proof[1..], &root1, &root2).is_err());
            prop_assert!(verify_consistency(size1, size2, &proof, &root2, &root1).is_err());
        }
    }

    #[test]
    fn subtrees_hold_at_any_size(
        bits in 0..64_u32, place: u64, length: u64, beyond in any_size(), at: usize, bit: u8,
    ) {
        let start = place >> bits << bits;
        let end = start.saturating_add(1 + length % (1 << bits));
        let size = beyond.max(end);
        let tree = Uniform::new();
        // All leaves are alike, so the subtree's hash is the root of as many leaves.
        let (hash, root) = (tree.root(end - start), tree.root(size));
        let proof = prove_subtree_consistency(&tree, start, end, size).unwrap();
        let verify = |proof: &[Digest]| {
            verify_subtree_consistency(start, end, size, proof, &hash, &root)
        };
        prop_assert_eq!(verify(&proof), Ok(()));
        if !proof.is_empty() {
            prop_assert!(verify(&flip(&proof, at, bit)).is_err());
            prop_assert!(verify(&proof[1..]).is_err());
        }
    }

    /// Hostile input ends in a refusal, never in a panic, and every wrong length is called one.
    #[test]
    fn no_input_panics(
        a in any_size(), b in any_size(), c in any_size(),
        mut proof in vec(any_hash(), 0..80), root1 in any_hash(), root2 in any_hash(),
        fit: bool,
    ) {
        if fit && a < b {
            proof.resize(Path::of_leaf(a, b).proof_len(), root1);
        }
        let inclusion = verify_inclusion(a, b, &root1, &proof, &root2);
        if a < b && proof.len() != Path::of_leaf(a, b).proof_len() {
            let is_length = matches!(inclusion, Err(ProofError::Length { .. }));
            prop_assert!(is_length, "{:?}", inclusion);
        }
        if fit && 0 < a && a <= b {
            proof.resize(Path::of_subtree(0, a, b).proof_len(), root2);
        }
        let consistency = verify_consistency(a, b, &proof, &root1, &root2);
        if 0 < a && a <= b && proof.len() != Path::of_subtree(0, a, b).proof_len() {
            let is_length = matches!(consistency, Err(ProofError::Length { .. }));
            prop_assert!(is_length, "{:?}", consistency);
        }
        let within = verify_subtree_inclusion(a, b, c, &root1, &proof, &root2);
        let whole = verify_subtree_consistency(a, b, c, &proof, &root1, &root2);
        prop_assert!(inclusion.is_err() && consistency.is_err());
        prop_assert!(within.is_err() && whole.is_err());
    }
}
