//! RFC 6962 section 2.1 word for word: recursive, quadratic, and written without a look at the code
//! under test.

use alloc::vec::Vec;

use crate::hash::Digest;

/// MTH(D[n]), over leaf hashes.
pub(super) fn root(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => Digest::of(&[]),
        [leaf] => *leaf,
        _ => {
            let (left, right) = split(leaves);
            Digest::of(&[&[1], &root(left).0, &root(right).0])
        }
    }
}

/// On which side of the path a hash of a proof stands, and for which tree it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// What both trees are computed from.
    Seed,
    /// On the left; in a consistency proof, for both trees.
    Left,
    /// On the right; in a consistency proof, for the later tree only.
    Right,
}

/// A proof with the side of each hash.
pub(super) type Steps = Vec<(Step, Digest)>;

/// PATH(m, D[n]) (2.1.1).
pub(super) fn path(index: usize, leaves: &[Digest]) -> Steps {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = split(leaves);
    let (mut steps, sibling) = if index < left.len() {
        (path(index, left), (Step::Right, root(right)))
    } else {
        (path(index - left.len(), right), (Step::Left, root(left)))
    };
    steps.push(sibling);
    steps
}

/// SUBPROOF(m, D[n], b) (2.1.2), with the draft's `start`: SUBTREE_SUBPROOF(start, end, D_n, b).
pub(super) fn subproof(start: usize, end: usize, leaves: &[Digest], known: bool) -> Steps {
    if (start, end) == (0, leaves.len()) {
        return if known { Vec::new() } else { Vec::from([(Step::Seed, root(leaves))]) };
    }
    let (left, right) = split(leaves);
    let middle = left.len();
    let (mut steps, sibling) = if end <= middle {
        (subproof(start, end, left, known), (Step::Right, root(right)))
    } else if middle <= start {
        let below = subproof(start - middle, end - middle, right, known);
        (below, (Step::Left, root(left)))
    } else {
        assert_eq!(start, 0, "a subtree across the middle starts at the left edge");
        (subproof(0, end - middle, right, false), (Step::Left, root(left)))
    };
    steps.push(sibling);
    steps
}

/// Halves of a tree: the left one is the largest power of two smaller than the whole.
fn split(leaves: &[Digest]) -> (&[Digest], &[Digest]) {
    let mut middle = 1;
    while middle * 2 < leaves.len() {
        middle *= 2;
    }
    leaves.split_at(middle)
}
