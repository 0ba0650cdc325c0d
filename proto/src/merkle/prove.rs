//! Builds proofs from the full subtrees that a store keeps. At most 127 reads for one proof.

use alloc::vec::Vec;

use super::path::Path;
use super::{NodeId, NodeReader, RangeError, fold, range};
use crate::hash::Digest;

/// Why there is no proof.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProveError<E> {
    /// The question makes no sense.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// The store failed, or the size is beyond what it holds.
    #[error("cannot read node {node} of the tree")]
    Read {
        /// Which node.
        node: NodeId,
        /// What the store says.
        #[source]
        source: E,
    },
}

/// The hashes that lead from leaf `index` to the root of the tree of the first `size` leaves: its
/// siblings, lowest first (RFC 9162 section 2.1.3.1).
pub fn prove_inclusion<R: NodeReader + ?Sized>(
    reader: &R,
    index: u64,
    size: u64,
) -> Result<Vec<Digest>, ProveError<R::Error>> {
    range::leaf_in_tree(index, size)?;
    hashes_of(reader, Path::of_leaf(index, size), size)
}

/// The hashes that show that the tree of the first `to` leaves only appended to that of the first
/// `from` (RFC 9162 section 2.1.4.1). Empty if the sizes are equal.
pub fn prove_consistency<R: NodeReader + ?Sized>(
    reader: &R,
    from: u64,
    to: u64,
) -> Result<Vec<Digest>, ProveError<R::Error>> {
    range::growth(from, to)?;
    prove_subtree_consistency(reader, 0, from, to)
}

/// The hashes that show that the subtree of leaves `start..end` is part of the tree of the first
/// `size` (draft-ietf-plants-merkle-tree-certs, "Generating a Subtree Consistency Proof"). Empty
/// for an empty subtree.
pub fn prove_subtree_consistency<R: NodeReader + ?Sized>(
    reader: &R,
    start: u64,
    end: u64,
    size: u64,
) -> Result<Vec<Digest>, ProveError<R::Error>> {
    range::subtree_in_tree(start, end, size)?;
    if start == end {
        return Ok(Vec::new());
    }
    hashes_of(reader, Path::of_subtree(start, end, size), size)
}

/// The root of the tree of the first `size` leaves, now or at any earlier time.
pub fn root_at<R: NodeReader + ?Sized>(reader: &R, size: u64) -> Result<Digest, ProveError<R::Error>> {
    Ok(fold(&NodeId::frontier(size).map(|node| read(reader, node)).collect::<Result<Vec<_>, _>>()?))
}

fn hashes_of<R: NodeReader + ?Sized>(reader: &R, path: Path, size: u64) -> Result<Vec<Digest>, ProveError<R::Error>> {
    // The start of a path that the verifier does not know is always a full subtree.
    let start = (!path.known).then_some(path.node);
    start.into_iter().chain(path.siblings()).map(|node| read_up_to(reader, node, size)).collect()
}

/// The hash of `node` in the tree of the first `size` leaves, where the last node of a level may
/// not be full.
pub(super) fn read_up_to<R: NodeReader + ?Sized>(
    reader: &R,
    node: NodeId,
    size: u64,
) -> Result<Digest, ProveError<R::Error>> {
    if node.index < size >> node.level {
        return read(reader, node);
    }
    let full = NodeId::covering(node.index << node.level, size);
    Ok(fold(&full.map(|node| read(reader, node)).collect::<Result<Vec<_>, _>>()?))
}

fn read<R: NodeReader + ?Sized>(reader: &R, node: NodeId) -> Result<Digest, ProveError<R::Error>> {
    reader.node(node).map_err(|source| ProveError::Read { node, source })
}
