//! Which questions about a tree make sense, checked before anything is proved or verified.

/// Why a question has no proof at all, whatever the hashes: always the fault of who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RangeError {
    /// The leaf comes after the end of the tree.
    #[error("leaf {index} is not in a tree of {size} leaves")]
    LeafOutsideTree {
        /// The leaf's index.
        index: u64,
        /// The size of the tree.
        size: u64,
    },
    /// The leaf is outside the subtree.
    #[error("leaf {index} is not in the subtree of leaves {start}..{end}")]
    LeafOutsideSubtree {
        /// The leaf's index.
        index: u64,
        /// The first leaf of the subtree.
        start: u64,
        /// The leaf after its last.
        end: u64,
    },
    /// The earlier tree is empty. Every tree extends the empty one, so a proof would say nothing,
    /// and RFC 9162 (2.1.4.1) defines none.
    #[error("a consistency proof starts at a tree of at least one leaf, found an empty one")]
    FromEmptyTree,
    /// The later tree is smaller than the earlier one.
    #[error("a tree of {from} leaves cannot have grown into one of {to} leaves")]
    Shrinks {
        /// The earlier size.
        from: u64,
        /// The later size.
        to: u64,
    },
    /// The leaves are not those of a subtree.
    #[error(
        "leaves {start}..{end} are no subtree: expected a start that is a multiple of the length, \
         rounded up to a power of two"
    )]
    NotASubtree {
        /// The first leaf.
        start: u64,
        /// The leaf after the last.
        end: u64,
    },
    /// No leaves are asked about.
    #[error("no leaves are asked about, expected at least one")]
    NoLeaves,
    /// The leaves are not asked about in their order, each once.
    #[error("leaf {index} does not come after the leaf before it")]
    NotAscending {
        /// The leaf that does not.
        index: u64,
    },
    /// The subtree goes on after the end of the tree.
    #[error("the subtree of leaves {start}..{end} is not in a tree of {size} leaves")]
    SubtreeOutsideTree {
        /// The first leaf of the subtree.
        start: u64,
        /// The leaf after its last.
        end: u64,
        /// The size of the tree.
        size: u64,
    },
}

pub(super) fn leaf_in_tree(index: u64, size: u64) -> Result<(), RangeError> {
    if index < size { Ok(()) } else { Err(RangeError::LeafOutsideTree { index, size }) }
}

pub(super) fn growth(from: u64, to: u64) -> Result<(), RangeError> {
    match from {
        0 => Err(RangeError::FromEmptyTree),
        _ if from > to => Err(RangeError::Shrinks { from, to }),
        _ => Ok(()),
    }
}

/// draft-ietf-plants-merkle-tree-certs, "Definition of a Subtree": `start` is a multiple of
/// BIT_CEIL(`end` - `start`), where BIT_CEIL(0) is 1: the empty range is a subtree anywhere.
pub(super) fn subtree(start: u64, end: u64) -> Result<(), RangeError> {
    let aligned = match end.checked_sub(start).map(u64::checked_next_power_of_two) {
        Some(Some(unit)) => start.is_multiple_of(unit),
        // The length rounds up to 2^64, and of that only 0 is a multiple.
        Some(None) => start == 0,
        None => false,
    };
    if aligned { Ok(()) } else { Err(RangeError::NotASubtree { start, end }) }
}

pub(super) fn subtree_in_tree(start: u64, end: u64, size: u64) -> Result<(), RangeError> {
    subtree(start, end)?;
    if end <= size { Ok(()) } else { Err(RangeError::SubtreeOutsideTree { start, end, size }) }
}

pub(super) fn leaf_in_subtree(index: u64, start: u64, end: u64) -> Result<(), RangeError> {
    subtree(start, end)?;
    let inside = (start..end).contains(&index);
    if inside { Ok(()) } else { Err(RangeError::LeafOutsideSubtree { index, start, end }) }
}
