//! From the store to what callers see: places with their proofs, receipts, entries.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use writ_proto::api::{
    BlockProof, Entry, Place, Receipt, RecordStatus, RevokedBy, entry_of, position_token, to_base64,
};
use writ_proto::block::{CommitLeaf, Outcome};
use writ_proto::hash::Digest;
use writ_proto::index::{self, Revoked};
use writ_proto::merkle::{self, NodeId, NodeReader, ProveError};
use writ_proto::record::{RecordId, Signed};
use writ_proto::state::State;
use writ_proto::time::LedgerTime;

use super::error::ApiError;
use crate::checkpoints::FinalCheckpoint;
use crate::ledger::Ledger;
use crate::storage::{self, StoreError, StoredPlace};

/// The nodes of the log's tree, each read once: the proofs of a batch have most of them in common.
pub(super) struct Nodes<'a> {
    store: storage::Nodes<'a>,
    seen: RefCell<HashMap<NodeId, Digest>>,
}

impl<'a> Nodes<'a> {
    pub(super) fn of(ledger: &'a Ledger) -> Self {
        Self { store: storage::Nodes(ledger.store()), seen: RefCell::default() }
    }
}

impl NodeReader for Nodes<'_> {
    type Error = StoreError;

    fn node(&self, node: NodeId) -> Result<Digest, StoreError> {
        if let Some(hash) = self.seen.borrow().get(&node) {
            return Ok(*hash);
        }
        let hash = self.store.node(node)?;
        self.seen.borrow_mut().insert(node, hash);
        Ok(hash)
    }
}

/// A proof that should be there: sizes were checked, so any failure is ours.
pub(super) fn proved<T>(result: Result<T, ProveError<StoreError>>) -> Result<T, ApiError> {
    result.map_err(|error| match error {
        ProveError::Read { source, .. } => source.into(),
        other => ApiError::internal(other),
    })
}

/// Hashes as proofs in JSON carry them.
pub(super) fn hashes_to_base64(hashes: &[Digest]) -> Vec<String> {
    hashes.iter().map(|hash| to_base64(&hash.0)).collect()
}

/// The commit leaf of a block that is committed.
pub(super) fn commit_leaf(ledger: &Ledger, height: u64) -> Result<CommitLeaf, ApiError> {
    ledger
        .store()
        .commit_leaf(height)?
        .ok_or_else(|| ApiError::internal(format!("the commit leaf of block {height} is missing")))
}

/// The token of a committed height.
pub(super) fn position_of(ledger: &Ledger, height: u64) -> Result<String, ApiError> {
    let leaf = match height {
        0 => *ledger.read().chain(),
        _ => commit_leaf(ledger, height)?.hash(),
    };
    Ok(position_token(height, &leaf))
}

/// The end of a block, as the receipts of its records share it.
struct BlockEnd {
    position: String,
    log_size: u64,
    log_root: String,
}

/// Writes receipts; what they share is read once.
pub(super) struct Receipts<'a> {
    ledger: &'a Ledger,
    nodes: Nodes<'a>,
    ends: BTreeMap<u64, BlockEnd>,
    checkpoint: Option<FinalCheckpoint>,
}

impl<'a> Receipts<'a> {
    pub(super) fn of(ledger: &'a Ledger) -> Self {
        Self { ledger, nodes: Nodes::of(ledger), ends: BTreeMap::new(), checkpoint: None }
    }

    /// The same, which adds this checkpoint to the receipts of the records that it covers.
    pub(super) fn with_checkpoint(self, checkpoint: Option<FinalCheckpoint>) -> Self {
        Self { checkpoint, ..self }
    }

    /// A record's place, proved in the log as it was at the end of its block: so a record has one receipt,
    /// whenever it is asked for, but for the checkpoint, which comes later and has a proof of its own.
    fn place(&mut self, place: &StoredPlace) -> Result<Place, ApiError> {
        self.read_end(place.height)?;
        let end = &self.ends[&place.height];
        let inclusion = proved(merkle::prove_inclusion(&self.nodes, place.index, end.log_size))?;
        let covering = self.checkpoint.as_ref().filter(|checkpoint| checkpoint.size >= end.log_size);
        let checkpoint_inclusion = match covering {
            Some(checkpoint) => {
                let proof = proved(merkle::prove_inclusion(&self.nodes, place.index, checkpoint.size))?;
                Some(hashes_to_base64(&proof))
            }
            None => None,
        };
        Ok(Place {
            index: place.index,
            height: place.height,
            position: end.position.clone(),
            log_size: end.log_size,
            log_root: end.log_root.clone(),
            inclusion: hashes_to_base64(&inclusion),
            checkpoint: covering.map(|checkpoint| checkpoint.text.as_ref().into()),
            checkpoint_inclusion,
        })
    }

    /// The end of a block, with the proof that the leaves `indexes` (ascending) stand in the log as it was then.
    pub(super) fn block(&mut self, height: u64, indexes: &[u64]) -> Result<BlockProof, ApiError> {
        self.read_end(height)?;
        let BlockEnd { position, log_size, log_root } = &self.ends[&height];
        let proof = proved(merkle::prove_leaves(&self.nodes, indexes, *log_size))?;
        let (position, log_root) = (position.clone(), log_root.clone());
        Ok(BlockProof { height, position, log_size: *log_size, log_root, proof: hashes_to_base64(&proof) })
    }

    fn read_end(&mut self, height: u64) -> Result<(), ApiError> {
        if !self.ends.contains_key(&height) {
            let leaf = commit_leaf(self.ledger, height)?;
            let log_size = leaf.executed.log_size + 1;
            let log_root = to_base64(&proved(merkle::root_at(&self.nodes, log_size))?.0);
            let position = position_token(height, &leaf.hash());
            self.ends.insert(height, BlockEnd { position, log_size, log_root });
        }
        Ok(())
    }

    /// The entries that the record at a place made, if it is a set.
    fn entries_of_set(&self, place: &StoredPlace) -> Vec<RecordId> {
        let state = self.ledger.read();
        let members = state.index().entries_at(place.index).filter(|entry| entry.member.is_some());
        members.map(|entry| entry.id).collect()
    }

    /// The receipt of a record that is in the log.
    pub(super) fn settled(&mut self, id: RecordId, place: &StoredPlace, duplicate: bool) -> Result<Receipt, ApiError> {
        let entries = self.entries_of_set(place);
        let receipt =
            Receipt { place: Some(self.place(place)?), duplicate, entries, ..bare(id, RecordStatus::Committed) };
        Ok(match place.outcome {
            Outcome::Accepted => receipt,
            Outcome::Rejected(code) => Receipt {
                status: RecordStatus::Rejected,
                code: Some(code.as_str().into()),
                detail: Some(
                    "the record is in the log and does not count: the state at its block did not allow it".into(),
                ),
                ..receipt
            },
        })
    }
}

/// A receipt that says nothing but a status.
pub(super) fn bare(id: RecordId, status: RecordStatus) -> Receipt {
    Receipt {
        id,
        status,
        duplicate: false,
        place: None,
        code: None,
        field: None,
        detail: None,
        entry: None,
        entries: Vec::new(),
        record: None,
    }
}

/// What an entry is at its place, as far as its bytes do not tell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) index: u64,
    /// The place in its set.
    pub(super) member: Option<u8>,
    pub(super) height: u64,
    pub(super) added: LedgerTime,
    pub(super) revoked: Option<Revoked>,
}

impl Standing {
    /// That of an accepted entry.
    pub(super) fn of(entry: &index::Entry<'_>) -> Self {
        let index::Entry { index, member, height, added, revoked, .. } = *entry;
        Self { index, member, height, added, revoked }
    }

    /// The same by what was known at `height`: a revocation that came later was not.
    pub(super) fn known_at(self, height: u64) -> Self {
        Self { revoked: self.revoked.filter(|revoked| revoked.height <= height), ..self }
    }

    /// That of the accepted entry with this id, if there is one.
    pub(super) fn by_id(state: &State, id: &RecordId) -> Option<Self> {
        let entry = state.index().entry(state.index().by_id(id)?);
        Some(Self::of(&entry))
    }
}

/// The record at leaf `index`, which must hold one.
pub(super) fn record_at(ledger: &Ledger, index: u64) -> Result<Signed, ApiError> {
    let bytes = ledger.store().leaf(index)?.ok_or_else(|| ApiError::internal(format!("leaf {index} is missing")))?;
    Signed::decode(bytes).map_err(|refusal| ApiError::internal(format!("leaf {index} is no record: {refusal}")))
}

/// The id of the record at leaf `index`.
pub(super) fn id_at(ledger: &Ledger, index: u64) -> Result<RecordId, ApiError> {
    Ok(record_at(ledger, index)?.id())
}

/// The entry that `signed` states, at its place; `None` if it states something else there.
pub(super) fn entry_at(ledger: &Ledger, signed: &Signed, standing: &Standing) -> Result<Option<Entry>, ApiError> {
    let Some(made) = signed.entries().find(|made| made.member == standing.member) else { return Ok(None) };
    let revoked = match standing.revoked {
        None => None,
        Some(Revoked { by, height, at }) => Some(RevokedBy { by: id_at(ledger, by)?, height, at }),
    };
    let authority = &signed.statement().authority;
    let Standing { index, height, added, .. } = *standing;
    let entry = entry_of(made.access, authority, made.id, index, height, added, revoked);
    Ok(Some(Entry { set: made.member.map(|_| signed.id()), ..entry }))
}

/// The standing of a record that its block rejected.
pub(super) fn standing_of_rejected(ledger: &Ledger, index: u64, height: u64) -> Result<Standing, ApiError> {
    let added = ledger.read().time_of(height);
    let added = added.ok_or_else(|| ApiError::internal(format!("block {height} has no time")))?;
    Ok(Standing { index, member: None, height, added, revoked: None })
}
