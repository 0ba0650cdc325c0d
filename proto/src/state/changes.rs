//! What committing a block changes: all that a store has to keep, and all that the state takes over.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::Waiting;
use super::protocol::Protocols;
use super::validators::Validators;
use crate::block::{CommitLeaf, Outcome};
use crate::genesis::Parameters;
use crate::hash::Digest;
use crate::index::Revoked;
use crate::merkle::{Frontier, NodeId};
use crate::record::{RecordId, Verified};

/// A record at its place in the log.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Its leaf.
    pub index: u64,
    /// The record.
    pub record: Verified,
    /// What became of it.
    pub outcome: Outcome,
}

impl Placed {
    /// Whether it counts.
    pub fn is_accepted(&self) -> bool {
        self.outcome == Outcome::Accepted
    }
}

/// What committing a block changes.
///
/// Made by [`super::State::build`] or [`super::State::execute`], for the state that it was made on.
#[derive(Clone, Debug)]
pub struct Changes {
    /// The block's records, in order.
    pub records: Vec<Placed>,
    /// The commit leaf, which holds the header.
    pub leaf: CommitLeaf,
    /// The commit leaf's place in the log.
    pub leaf_index: u64,
    /// The full subtrees of the log's tree that this block completes, leaves included.
    pub nodes: Vec<(NodeId, Digest)>,
    /// Entries that this block ends.
    pub revoked: Vec<(RecordId, Revoked)>,
    pub(super) now_waiting: Vec<(RecordId, Waiting)>,
    pub(super) no_longer_waiting: BTreeSet<RecordId>,
    /// The validators of the next height, the parameters and the protocol versions, each if this block changed them.
    pub(super) validators: Option<Validators>,
    pub(super) parameters: Option<Parameters>,
    pub(super) protocols: Option<Protocols>,
    pub(super) log: Frontier,
}

impl Changes {
    /// The log once the block is committed.
    pub fn log(&self) -> &Frontier {
        &self.log
    }
}
