//! What a node answers.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::Explanation;
use crate::block::{Executed, Header};
use crate::certificate::Certificate;
use crate::genesis::Parameters;
use crate::hash::Digest;
use crate::key::PublicKey;
use crate::record::{AuthorityName, Effect, RecordId};
use crate::scope::Scope;
use crate::time::LedgerTime;

/// An access entry at its place in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Who.
    pub sub: String,
    /// What.
    pub obj: String,
    /// Which action.
    pub act: String,
    /// `granted` or `denied`.
    pub access: Effect,
    /// From when; `None`: from `added`.
    pub iss: Option<LedgerTime>,
    /// Until when; `None`: until revoked.
    pub exp: Option<LedgerTime>,
    /// Who signed it.
    #[serde(rename = "issuingAuth")]
    pub issuing_auth: AuthorityName,
    /// The time of its block.
    pub added: LedgerTime,
    /// The request that led to it.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    /// Its condition.
    pub cond: Option<String>,
    /// Its id.
    pub id: RecordId,
    /// The set that made it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<RecordId>,
    /// Its leaf in the log: the entries of a set share that of the set.
    pub index: u64,
    /// Its block.
    pub height: u64,
    /// What ended it.
    pub revoked: Option<RevokedBy>,
    /// `accepted` or the code of its rejection; only where asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
}

/// The revocation that ended an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedBy {
    /// The revocation's id, or that of the set that it stands in.
    pub by: RecordId,
    /// Its block.
    pub height: u64,
    /// The time of that block.
    pub at: LedgerTime,
}

/// A page of entries, ascending by index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntriesPage {
    /// The entries.
    pub entries: Vec<Entry>,
    /// The cursor of the next page; `None`: this is the last one, for now.
    pub next: Option<String>,
}

/// What became of a submitted record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordStatus {
    /// Waiting for a block.
    Pending,
    /// In the log, and it counts.
    Committed,
    /// In the log, settled, and it never counts.
    Rejected,
    /// Not in the log, and not going there.
    Refused,
}

/// The receipt of a record: with the proof that it is in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The record's id.
    pub id: RecordId,
    /// What became of it.
    pub status: RecordStatus,
    /// Whether it was in the log, or waiting, before it was submitted.
    #[serde(default)]
    pub duplicate: bool,
    /// Its place; `None` while pending.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// Why it is rejected or refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The member at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The same in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The access entry, where the record is one (in `GET /v1/records/{id}`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<Entry>,
    /// The ids of the entries of a set that is in the log, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<RecordId>,
    /// The record's bytes in base64 (in `GET /v1/records/{id}`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
}

/// A record's place in the log, with its inclusion proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its leaf.
    pub index: u64,
    /// Its block.
    pub height: u64,
    /// The token of that block.
    pub position: String,
    /// The log's size that the proof is for.
    pub log_size: u64,
    /// The log's root at that size, base64.
    pub log_root: String,
    /// The inclusion proof (RFC 9162 2.1.3), base64 hashes.
    pub inclusion: Vec<String>,
    /// The final checkpoint, a signed note ([`crate::checkpoint::Cosigners::verify`]), if there is one that covers
    /// the record's block; `None` before that, and in the receipts of a batch.
    pub checkpoint: Option<String>,
    /// The inclusion proof against the checkpoint's size and root, base64 hashes; there with `checkpoint`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_inclusion: Option<Vec<String>>,
}

/// Records to append, each in base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// The records.
    pub records: Vec<String>,
}

/// One record to append.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// The record in base64.
    pub record: String,
}

/// What became of each record of a batch, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchAnswer {
    /// One result for each record.
    pub results: Vec<BatchResult>,
}

/// A receipt, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[expect(clippy::large_enum_variant, reason = "one per record of a batch, most of them receipts")]
pub enum BatchResult {
    /// The record was taken.
    Receipt(Receipt),
    /// It was not.
    Problem(Problem),
}

/// What became of each record of a batch, in order, with one proof for each block instead of one for each
/// record (`receipts=brief`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BriefAnswer {
    /// One result for each record.
    pub results: Vec<BriefResult>,
    /// The blocks that took records of the batch in, ascending by height.
    pub blocks: Vec<BlockProof>,
}

/// What became of one record of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BriefResult {
    /// What became of it. `refused` together with a problem that passes: it may be sent again.
    pub status: RecordStatus,
    /// Whether it was in the log, or waiting, before it was submitted.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub duplicate: bool,
    /// Its leaf; `None` unless it is in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// Its block; `None` unless it is in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u64>,
    /// Why it does not count, or is not in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// The end of a block, and the proof that records of a batch stand in it: all that are committed there and
/// are no duplicates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockProof {
    /// The height.
    pub height: u64,
    /// The token of the block.
    pub position: String,
    /// The log's size after it.
    pub log_size: u64,
    /// The log's root at that size, base64.
    pub log_root: String,
    /// What those records do not tell of the log, from left to right
    /// ([`crate::merkle::root_from_leaves`]), base64 hashes.
    pub proof: Vec<String>,
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckAnswer {
    /// `granted` or `denied`.
    pub decision: Effect,
    /// `grant`, `deny`, `no_match` or `indeterminate`.
    pub why: String,
    /// The ids of the entries that decided.
    pub entries: Vec<RecordId>,
    /// The instant asked about: the end of the interval, or the `at` asked.
    pub at: LedgerTime,
    /// The height whose knowledge was used.
    pub height: u64,
    /// The token of that height.
    pub position: String,
    /// Before this instant time alone cannot change the answer.
    pub valid_until: Option<LedgerTime>,
    /// When the lease runs out; `None` while there are no leases.
    pub fresh_until: Option<LedgerTime>,
    /// Whether the answer rests on a record that is not in the log yet.
    pub pending: bool,
    /// What conditions that could not be evaluated looked for in vain, such as `context.mfa`, where the answer
    /// is `indeterminate`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// The reasons at length, where asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<Explanation>,
}

/// How a node stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The chain id.
    pub chain: Digest,
    /// The chain's name.
    pub name: String,
    /// `validator` or `full`.
    pub role: String,
    /// The last height.
    pub height: u64,
    /// Leaves in the log.
    pub log_size: u64,
    /// Its root, base64.
    pub log_root: String,
    /// Leaf hash of the last commit leaf.
    pub commit_leaf: Digest,
    /// The token of the last height.
    pub position: String,
    /// The time of the last block.
    pub time: LedgerTime,
    /// Whether the node answers from all that it knows to exist.
    pub caught_up: bool,
    /// Connected nodes.
    pub peers: usize,
    /// Where other nodes reach this one, with its peer id; none if it is alone.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Records waiting for a block.
    pub pending: usize,
    /// Whether the chain trusts the authority `dev`, whose key lies in a file for everybody to use.
    pub dev_authority: bool,
    /// The program's version.
    pub version: String,
}

/// What the chain lets its bounds be from the next block on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParametersAnswer {
    /// The next height.
    pub height: u64,
    /// The protocol version at that height.
    pub protocol: u32,
    /// The bounds at that height.
    pub parameters: Parameters,
    /// The protocol version that is to come, if one was activated.
    #[serde(default)]
    pub activation: Option<ActivationAnswer>,
}

/// A protocol version that is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivationAnswer {
    /// The version.
    pub protocol: u32,
    /// The first height under it.
    pub height: u64,
}

/// Something a validator signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedAnswer {
    /// The signed bytes, base64.
    pub bytes: String,
    /// The signature over them, base64.
    pub signature: String,
}

/// Proof that a validator signed two statements of which an honest one signs at most one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceAnswer {
    /// The id of its voting key.
    pub offender: String,
    /// Its name, if it still is a validator.
    pub name: Option<String>,
    /// The height that both are about.
    pub height: u64,
    /// The round that both are about.
    pub round: u32,
    /// One statement.
    pub first: SignedAnswer,
    /// The other.
    pub second: SignedAnswer,
}

/// A block's header with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderAnswer {
    /// The block hash.
    pub hash: Digest,
    /// The header.
    pub header: Header,
    /// What its `result` hashes.
    pub executed: Executed,
    /// The commit leaf's place in the log.
    pub leaf_index: u64,
    /// Its leaf hash.
    pub commit_leaf: Digest,
    /// How many records the block holds.
    pub records: usize,
}

/// Headers, ascending by height.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadersPage {
    /// The headers.
    pub headers: Vec<HeaderAnswer>,
    /// The height to go on from; `None`: this is the tip.
    pub next: Option<u64>,
}

/// A whole block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockAnswer {
    /// The header with what belongs to it.
    #[serde(flatten)]
    pub header: HeaderAnswer,
    /// The block's canonical encoding, base64.
    pub block: String,
    /// What became of each record: `accepted` or a code.
    pub outcomes: Vec<String>,
    /// The votes that made it final, as this node saw them.
    pub certificate: Certificate,
}

/// Who may speak of what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorityAnswer {
    /// Its name.
    pub name: AuthorityName,
    /// The authority that enrolled it; `None` for a root.
    pub parent: Option<AuthorityName>,
    /// Its keys.
    pub keys: Vec<PublicKey>,
    /// How many of them must sign.
    pub threshold: u8,
    /// What it may speak of.
    pub scope: Scope,
}

/// A validator of the next height.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidatorAnswer {
    /// Its name.
    pub name: AuthorityName,
    /// The key it votes with.
    pub vote_key: PublicKey,
    /// The key it cosigns checkpoints with.
    pub checkpoint_key: PublicKey,
}

/// That a leaf is in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InclusionAnswer {
    /// The record's id.
    pub id: RecordId,
    /// Its leaf.
    pub index: u64,
    /// The log's size that the proof is for.
    pub size: u64,
    /// The RFC 6962 leaf hash, base64.
    pub leaf_hash: String,
    /// The log's root at that size, base64.
    pub root: String,
    /// The proof (RFC 9162 2.1.3), base64 hashes.
    pub proof: Vec<String>,
}

/// That one size of the log is the start of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsistencyAnswer {
    /// The smaller size.
    pub from: u64,
    /// The larger size.
    pub to: u64,
    /// The root at the smaller size, base64.
    pub from_root: String,
    /// The root at the larger size, base64.
    pub to_root: String,
    /// The proof (RFC 9162 2.1.4), base64 hashes.
    pub proof: Vec<String>,
}

/// What to prepare for signing: a tuple, or the revocation of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prepare {
    /// Who will sign.
    pub authority: AuthorityName,
    /// The entry to state.
    #[serde(default)]
    pub entry: Option<super::Tuple>,
    /// The entry to revoke, by its id.
    #[serde(default)]
    pub revoke: Option<RecordId>,
    /// Sixteen bytes in hex; left out: the node draws them.
    #[serde(default)]
    pub nonce: Option<String>,
    /// Until when it may be included; left out: as far ahead as the chain allows.
    #[serde(default)]
    pub submit_by: Option<LedgerTime>,
}

/// The bytes to sign. Whoever signs decodes and checks them first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// The bytes to sign, base64.
    pub bytes: String,
    /// The id that the record will have.
    pub id: RecordId,
    /// The keys that may sign, of which `threshold` must.
    pub keys: Vec<PublicKey>,
    /// How many must sign.
    pub threshold: u8,
}

/// What went wrong (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `about:blank`.
    #[serde(rename = "type")]
    pub type_: String,
    /// The status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable code.
    pub code: String,
    /// The member at fault, by its JSON name.
    pub field: Option<String>,
    /// What was found and what was expected.
    pub detail: String,
}
