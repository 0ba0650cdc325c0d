//! Proofs of what a node answers, checked here.
//!
//! A receipt says where a record stands in the log, and proves it with the hashes that lead from the record
//! to the log's root. These functions recompute that root from *our own* bytes: a node that dropped,
//! changed or moved the record cannot find such hashes. A root proves no more than that there is one log in
//! which the record stands. That all see the same log is what checkpoints are for: [`check_checkpoint`] holds
//! the one in a receipt against the keys of the validators; an audit, the whole chain.

use std::collections::BTreeMap;

use writ_proto::api::{
    BriefAnswer, ConsistencyAnswer, InclusionAnswer, Place, Receipt, RecordStatus, digest_from_base64, from_base64,
    read_position_token,
};
use writ_proto::checkpoint::{Checkpoint, Cosigners, NoteError};
use writ_proto::hash::Digest;
use writ_proto::merkle::{self, PROOF_HASHES_MAX, ProofError};
use writ_proto::record::{RecordId, Signed};

/// What is wrong with a proof.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofFault {
    /// About another record.
    #[error("the answer is about record {found}, asked was {expected}")]
    OtherRecord {
        /// The record it is about.
        found: RecordId,
        /// The record that was asked about.
        expected: RecordId,
    },
    /// Settled without a place.
    #[error("the record is said to be in the log, but not where")]
    NoPlace,
    /// Records are said to be in a block of which nothing is proved.
    #[error("records are said to be in block {height}, and nothing is proved of it")]
    NoBlock {
        /// Its height.
        height: u64,
    },
    /// A member that is not what it must be.
    #[error("`{member}` cannot be read")]
    Unreadable {
        /// Which.
        member: &'static str,
    },
    /// The position token names another height.
    #[error("the position token is of height {found}, the record of height {expected}")]
    Position {
        /// The token's height.
        found: u64,
        /// The record's height.
        expected: u64,
    },
    /// An answer about other sizes than those asked about.
    #[error("the proof is from size {} to {}, asked was {} to {}", .found.0, .found.1, .expected.0, .expected.1)]
    OtherSizes {
        /// The sizes it is about.
        found: (u64, u64),
        /// The sizes that were asked about.
        expected: (u64, u64),
    },
    /// What should be a final checkpoint is none.
    #[error("no final checkpoint: {0}")]
    Checkpoint(#[from] NoteError),
    /// A checkpoint has the record not where it stands, or the log of another one not as its start.
    #[error("the log of the checkpoint is another: {0}")]
    OtherLog(#[source] ProofError),
    /// The hashes do not lead where they must.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

/// A size of the log and the root that some proof led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Leaves in the log.
    pub size: u64,
    /// Its root at that size.
    pub root: Digest,
}

/// Whether the record with these bytes stands where `place` says; gives the log that this is proved for.
pub fn check_place(record: &[u8], place: &Place) -> Result<View, ProofFault> {
    let (height, _) = read_position_token(&place.position).ok_or(ProofFault::Unreadable { member: "position" })?;
    if height != place.height {
        return Err(ProofFault::Position { found: height, expected: place.height });
    }
    let root = digest_from_base64(&place.log_root).ok_or(ProofFault::Unreadable { member: "log_root" })?;
    let proof = hashes("inclusion", &place.inclusion, PROOF_HASHES_MAX)?;
    merkle::verify_inclusion(place.index, place.log_size, &merkle::leaf_hash(record), &proof, &root)?;
    if let Some(note) = &place.checkpoint {
        // Whoever signed it, or did not: the record must be in the log that it speaks of.
        check_covered(record, place, &Checkpoint::claimed_by(note)?)?;
    }
    Ok(View { size: place.log_size, root })
}

/// Whether the checkpoint in a receipt's place is final by the word of `cosigners`, and its log has the record with
/// these bytes where the place says; gives that log. `None` if there is no checkpoint, as in a fresh receipt.
///
/// `cosigners` are those whom the caller trusts: the validators of the genesis ([`Cosigners::of`]), as long as
/// they are the same, or of a policy that came another way ([`Cosigners::from_policy`]).
pub fn check_checkpoint(record: &[u8], place: &Place, cosigners: &Cosigners) -> Result<Option<View>, ProofFault> {
    let Some(note) = &place.checkpoint else { return Ok(None) };
    let cosigned = cosigners.verify(note)?;
    check_covered(record, place, cosigned.checkpoint()).map(Some)
}

fn check_covered(record: &[u8], place: &Place, checkpoint: &Checkpoint) -> Result<View, ProofFault> {
    let member = "checkpoint_inclusion";
    let texts = place.checkpoint_inclusion.as_ref().ok_or(ProofFault::Unreadable { member })?;
    let proof = hashes(member, texts, PROOF_HASHES_MAX)?;
    let Checkpoint { size, root, .. } = *checkpoint;
    merkle::verify_inclusion(place.index, size, &merkle::leaf_hash(record), &proof, &root)
        .map_err(ProofFault::OtherLog)?;
    Ok(View { size, root })
}

/// Whether a receipt is about `record` and, where it says that the record is in the log, proves it.
///
/// A duplicate may stand in the log as it was signed another time, with another `submit_by`: then its
/// bytes there must be the receipt's `record`.
pub fn check_receipt(record: &Signed, receipt: &Receipt) -> Result<Option<View>, ProofFault> {
    check_id(record.id(), receipt.id)?;
    check_entries(record, receipt)?;
    let Some(place) = &receipt.place else {
        return if is_settled(receipt.status) { Err(ProofFault::NoPlace) } else { Ok(None) };
    };
    match &receipt.record {
        None => check_place(record.bytes(), place).map(Some),
        Some(text) => check_place(&stored(record.id(), text)?, place).map(Some),
    }
}

/// As [`check_checkpoint`], of a receipt about `record` that [`check_receipt`] found good.
pub fn check_receipt_checkpoint(
    record: &Signed,
    receipt: &Receipt,
    cosigners: &Cosigners,
) -> Result<Option<View>, ProofFault> {
    let Some(place) = &receipt.place else { return Ok(None) };
    match &receipt.record {
        None => check_checkpoint(record.bytes(), place, cosigners),
        Some(text) => check_checkpoint(&stored(record.id(), text)?, place, cosigners),
    }
}

/// Whether a brief answer proves that every record which it calls committed and no duplicate stands where it
/// says, each in the log as it was at the end of its block.
///
/// # Panics
/// If there is not one result for each record.
pub fn check_batch(records: &[Signed], answer: &BriefAnswer) -> Result<(), ProofFault> {
    assert_eq!(records.len(), answer.results.len(), "a result for each record");
    let mut placed: BTreeMap<u64, Vec<(u64, Digest)>> = BTreeMap::new();
    for (record, result) in records.iter().zip(&answer.results) {
        let place = result.index.zip(result.height);
        if is_settled(result.status) && place.is_none() {
            return Err(ProofFault::NoPlace);
        }
        if let (RecordStatus::Committed, false, Some((index, height))) = (result.status, result.duplicate, place) {
            placed.entry(height).or_default().push((index, merkle::leaf_hash(record.bytes())));
        }
    }
    for (height, mut leaves) in placed {
        let block = answer.blocks.iter().find(|block| block.height == height).ok_or(ProofFault::NoBlock { height })?;
        let (found, _) = read_position_token(&block.position).ok_or(ProofFault::Unreadable { member: "position" })?;
        if found != height {
            return Err(ProofFault::Position { found, expected: height });
        }
        let expected = digest_from_base64(&block.log_root).ok_or(ProofFault::Unreadable { member: "log_root" })?;
        leaves.sort_unstable_by_key(|(index, _)| *index);
        // No more hashes than a proof for each leaf alone would have.
        let proof = hashes("proof", &block.proof, leaves.len().saturating_mul(PROOF_HASHES_MAX))?;
        let found = merkle::root_from_leaves(&leaves, block.log_size, &proof)?;
        if found != expected {
            return Err(ProofError::Root { found, expected }.into());
        }
    }
    Ok(())
}

/// Whether `GET /v1/records/{id}` gave that record, or the set that made the entry of that id, and proves where it
/// stands. Gives the record too, if it is there.
pub fn check_record(id: RecordId, receipt: &Receipt) -> Result<Option<(Signed, View)>, ProofFault> {
    check_id(id, receipt.id)?;
    let Some(place) = &receipt.place else {
        return if is_settled(receipt.status) { Err(ProofFault::NoPlace) } else { Ok(None) };
    };
    let text = receipt.record.as_ref().ok_or(ProofFault::Unreadable { member: "record" })?;
    let signed = read_record(text)?;
    if !signed.entries().any(|made| made.id == id) {
        check_id(id, signed.id())?;
    }
    check_entries(&signed, receipt)?;
    let view = check_place(signed.bytes(), place)?;
    Ok(Some((signed, view)))
}

/// Whether an answer proves that the record with these bytes is in the log.
pub fn check_inclusion(record: &Signed, answer: &InclusionAnswer) -> Result<View, ProofFault> {
    check_id(record.id(), answer.id)?;
    let root = digest_from_base64(&answer.root).ok_or(ProofFault::Unreadable { member: "root" })?;
    let proof = hashes("proof", &answer.proof, PROOF_HASHES_MAX)?;
    // The leaf hash is ours, not the answer's: a node could name that of another leaf.
    merkle::verify_inclusion(answer.index, answer.size, &merkle::leaf_hash(record.bytes()), &proof, &root)?;
    Ok(View { size: answer.size, root })
}

/// Whether an answer proves that the log of `earlier` is the start of the log of `later`.
pub fn check_consistency(earlier: View, later: View, answer: &ConsistencyAnswer) -> Result<(), ProofFault> {
    let (found, expected) = ((answer.from, answer.to), (earlier.size, later.size));
    if found != expected {
        return Err(ProofFault::OtherSizes { found, expected });
    }
    let proof = hashes("proof", &answer.proof, PROOF_HASHES_MAX)?;
    Ok(merkle::verify_consistency(earlier.size, later.size, &proof, &earlier.root, &later.root)?)
}

fn check_id(expected: RecordId, found: RecordId) -> Result<(), ProofFault> {
    if found == expected { Ok(()) } else { Err(ProofFault::OtherRecord { found, expected }) }
}

/// The bytes of a record in the log, if they are that record's.
fn stored(id: RecordId, text: &str) -> Result<Vec<u8>, ProofFault> {
    let signed = read_record(text)?;
    check_id(id, signed.id())?;
    Ok(signed.bytes().to_vec())
}

fn read_record(text: &str) -> Result<Signed, ProofFault> {
    let unreadable = ProofFault::Unreadable { member: "record" };
    let bytes = from_base64(text).ok_or(unreadable.clone())?;
    Signed::decode(bytes).map_err(|_| unreadable)
}

/// Whether the entries that a receipt names, if it does, are those of the set.
fn check_entries(record: &Signed, receipt: &Receipt) -> Result<(), ProofFault> {
    let own = record.entries().filter(|made| made.member.is_some()).map(|made| made.id);
    if receipt.entries.is_empty() || own.eq(receipt.entries.iter().copied()) {
        return Ok(());
    }
    Err(ProofFault::Unreadable { member: "entries" })
}

fn hashes(member: &'static str, texts: &[String], max: usize) -> Result<Vec<Digest>, ProofFault> {
    let unreadable = ProofFault::Unreadable { member };
    if texts.len() > max {
        return Err(unreadable);
    }
    texts.iter().map(|text| digest_from_base64(text)).collect::<Option<_>>().ok_or(unreadable)
}

/// Whether a status means that the record is in the log.
fn is_settled(status: RecordStatus) -> bool {
    matches!(status, RecordStatus::Committed | RecordStatus::Rejected)
}

#[cfg(test)]
mod tests;
