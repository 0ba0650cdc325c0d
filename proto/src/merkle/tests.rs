//! The tree against the recursive definitions of RFC 6962 section 2.1, for all small sizes and for
//! huge ones.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

mod naive;
mod proofs;
mod vast;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use std::format;
use std::string::ToString;

use super::*;

/// Sizes tested one by one: beyond 64, so that a tree with a lone leaf beside a large full subtree
/// is among them.
const SMALL: u64 = 65;

fn leaves(size: u64) -> Vec<Digest> {
    (0..size).map(|index| leaf_hash(format!("leaf {index}").as_bytes())).collect()
}

#[test]
fn the_empty_root_is_the_hash_of_nothing() {
    assert_eq!(EMPTY_ROOT, Digest::of(&[]));
    assert_eq!(root_of([]), EMPTY_ROOT);
    assert_eq!(Frontier::new().root(), EMPTY_ROOT);
    assert_eq!(root_at(&MemoryTree::new(), 0), Ok(EMPTY_ROOT));
}

#[test]
fn no_node_hashes_like_a_leaf() {
    let (left, right) = (leaf_hash(b"left"), leaf_hash(b"right"));
    let both = [left.0, right.0].concat();
    assert_ne!(node_hash(&left, &right), leaf_hash(&both));
    assert_ne!(node_hash(&left, &right), node_hash(&right, &left));
}

#[test]
fn every_way_to_the_root_agrees_with_the_definition() {
    let leaves = leaves(SMALL);
    let tree: MemoryTree = leaves.iter().copied().collect();
    let mut frontier = Frontier::new();
    for size in 0..=SMALL {
        let want = naive::root(&leaves[..size as usize]);
        assert_eq!(frontier.size(), size);
        assert_eq!(frontier.root(), want, "frontier of {size}");
        assert_eq!(root_of(leaves[..size as usize].iter().copied()), want, "root of {size}");
        assert_eq!(root_at(&tree, size), Ok(want), "root at {size}");
        if let Some(leaf) = leaves.get(size as usize) {
            frontier.push(*leaf);
        }
    }
    assert_eq!(*tree.frontier(), frontier);
    assert_eq!((tree.size(), tree.root()), (SMALL, frontier.root()));
}

#[test]
fn pushing_reports_each_full_subtree_once_and_with_its_leaf() {
    let leaves = leaves(SMALL);
    let mut frontier = Frontier::new();
    let mut reported = BTreeMap::new();
    for (index, leaf) in leaves.iter().enumerate() {
        let mut last = None;
        frontier.push_with(*leaf, |node, hash| {
            assert!(reported.insert(node, hash).is_none(), "{node} twice");
            let end = ((node.index + 1) << node.level) as usize;
            assert_eq!(end, index + 1, "{node} ends with the leaf that completes it");
            assert!(last.is_none_or(|below| below < node), "from the leaf upwards");
            last = Some(node);
        });
    }
    let mut want = BTreeMap::new();
    for level in 0..7_u8 {
        for index in 0..SMALL >> level {
            let (start, end) = (index << level, (index + 1) << level);
            let hash = naive::root(&leaves[start as usize..end as usize]);
            want.insert(NodeId { level, index }, hash);
        }
    }
    assert_eq!(reported, want);
}

#[test]
fn a_frontier_continues_from_its_parts() {
    let leaves = leaves(SMALL);
    let tree: MemoryTree = leaves.iter().copied().collect();
    for size in 0..=SMALL {
        let hashes: Vec<_> = NodeId::frontier(size).map(|node| tree.node(node).unwrap()).collect();
        let mut frontier = Frontier::from_parts(size, hashes.clone()).unwrap();
        assert_eq!(frontier.hashes(), hashes);
        frontier.extend(leaves[size as usize..].iter().copied());
        assert_eq!(frontier, *tree.frontier(), "continued from {size}");
    }
}

#[test]
fn parts_that_do_not_fit_are_no_frontier() {
    let hash = leaf_hash(b"x");
    for (size, found, expected) in [(0, 1, 0), (1, 0, 1), (3, 1, 2), (3, 3, 2), (4, 2, 1)] {
        let error = FrontierError::Hashes { size, found, expected };
        assert_eq!(Frontier::from_parts(size, vec_of(hash, found)), Err(error));
    }
    assert!(Frontier::from_parts(SIZE_MAX, vec_of(hash, 63)).is_ok());
    for size in [SIZE_MAX + 1, u64::MAX] {
        let hashes = vec_of(hash, size.count_ones() as usize);
        assert_eq!(Frontier::from_parts(size, hashes), Err(FrontierError::TooLarge { size }));
    }
}

#[test]
fn the_largest_frontier_still_takes_a_leaf() {
    let hash = leaf_hash(b"x");
    let mut frontier = Frontier::from_parts(SIZE_MAX, vec_of(hash, 63)).unwrap();
    let mut completed = 0;
    frontier.push_with(hash, |_, _| completed += 1);
    frontier.push(hash);
    assert_eq!((completed, frontier.size(), frontier.hashes().len()), (64, SIZE_MAX + 2, 2));
}

#[test]
fn a_tree_in_memory_names_the_node_that_it_lacks() {
    let tree: MemoryTree = leaves(5).into_iter().collect();
    for (level, index) in [(0, 5), (1, 2), (2, 1), (3, 0), (63, 0), (255, u64::MAX)] {
        let node = NodeId { level, index };
        assert_eq!(tree.node(node), Err(MissingNode { node, size: 5 }));
    }
    let error = prove_inclusion(&tree, 1, 8).unwrap_err();
    assert_eq!(error.to_string(), "cannot read node 2/1 of the tree");
    assert_eq!(core::error::Error::source(&error).unwrap().to_string(), "the tree of 5 leaves has no node 2/1");
}

fn vec_of(hash: Digest, count: usize) -> Vec<Digest> {
    alloc::vec![hash; count]
}
