//! The log on disk: one trait, two stores, one set of tests for both.
//!
//! Everything that must survive lies here; the state in memory is rebuilt from it. A block enters in one
//! atomic batch that is durable before [`LogStore::commit`] returns, so there is no block in part:
//!
//! ```text
//!   commit(height h):   leaves   records and commit leaf     places   index -> height, outcome, ordinals
//!   ONE synced batch    nodes    the log's tree              ids      record id -> index
//!                       blocks   where block h begins        certificates
//!                       meta     the tip                     undecided, pooled: what h settles goes
//! ```
//!
//! | module | idea |
//! |---|---|
//! | `schema` | one file for each column family: its key and its value, drawn and pinned |
//! | `tables` | what a store must be able to do: get, scan, write a batch |
//! | `log` | [`LogStore`] over any tables: what a batch holds, what is checked on the way in and out |
//! | [`rocks`] | tables in RocksDB |
//! | [`memory`] | tables in memory, for tests |
//! | `space` | how much room the disk has left |
//!
//! **A write that fails is the last one.** After it the store answers every further write with
//! [`StoreError::Failed`], whatever became of the disk, and the process ends: a kernel that reported a failed
//! fsync may report the next one as done without having written anything. A database opened again shows
//! what is really there.
//!
//! What the store does not do: notice that the whole database was swapped for an older one. That is the
//! tip guard's part ([`crate::guard::TipGuard`]).

use std::error::Error;

use writ_proto::block::{CommitLeaf, Outcome};
use writ_proto::certificate::Certificate;
use writ_proto::hash::Digest;
use writ_proto::key::{KeyId, Signature};
use writ_proto::merkle::{NodeId, NodeReader};
use writ_proto::record::RecordId;
use writ_proto::refusal::{Code, Refusal};
use writ_proto::state::{Changes, Placed};
use writ_proto::time::LedgerTime;

mod batch;
mod log;
pub mod memory;
pub mod rocks;
#[cfg(test)]
pub(crate) mod sample;
mod schema;
mod space;
#[cfg(test)]
mod suite;
mod tables;

pub use space::{FREE_BYTES_MIN, Space, free_bytes, space};

/// The version of what [`schema`] describes. A database of another version is refused.
pub const STORAGE_FORMAT: u32 = 1;

/// How many refused records are remembered with the reason: a day's worth for whoever asks late.
pub const REFUSED_MAX: usize = 16_384;

/// The last block that is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredTip {
    /// Its height.
    pub height: u64,
    /// Its hash.
    pub block: Digest,
    /// Leaf hash of its commit leaf.
    pub commit_leaf: Digest,
    /// Leaves in the log, its commit leaf included.
    pub log_size: u64,
    /// Its time.
    pub time: LedgerTime,
}

/// A block and the votes that made it final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBlock {
    /// The block's canonical encoding.
    pub block: Vec<u8>,
    /// The certificate that this node saw; other nodes may hold another.
    pub certificate: Certificate,
}

/// A record's place in the log, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPlace {
    /// Its leaf.
    pub index: u64,
    /// Its block.
    pub height: u64,
    /// Whether it counts.
    pub outcome: Outcome,
    /// The ordinal of its authority.
    pub authority: u32,
    /// The ordinals of the keys that signed it, ascending.
    pub keys: Vec<u32>,
}

impl StoredPlace {
    /// The place of a record that the block of height `height` takes in.
    pub fn of(placed: &Placed, height: u64) -> Self {
        Self {
            index: placed.index,
            height,
            outcome: placed.outcome,
            authority: placed.record.authority(),
            keys: placed.record.keys().to_vec(),
        }
    }
}

/// A value that was proposed here or judged good here, for a height that is not decided yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecided {
    /// The round in which it was proposed, last if in several.
    pub round: u32,
    /// The round in which a quorum had already prevoted for it.
    pub valid_round: Option<u32>,
    /// Who proposed it in that round.
    pub proposer: KeyId,
    /// The value: a block's encoding.
    pub bytes: Vec<u8>,
}

/// Bytes that a validator signed, with its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedStatement {
    /// What was signed.
    pub bytes: Vec<u8>,
    /// The signature over it.
    pub signature: Signature,
}

/// Proof that a validator signed two statements of which an honest one signs at most one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvidence {
    /// The id of the voting key that signed both.
    pub offender: KeyId,
    /// The height that both are about.
    pub height: u64,
    /// The round that both are about.
    pub round: u32,
    /// One statement.
    pub first: SignedStatement,
    /// The other.
    pub second: SignedStatement,
}

/// Why a record that waited durably will not be in the log. (A [`Refusal`] whose field has no fixed text.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRefusal {
    /// The stable code.
    pub code: Code,
    /// The member at fault.
    pub field: Option<String>,
    /// In words.
    pub detail: String,
}

/// A leaf of the log as [`LogStore::scan_leaves`] shows it.
#[derive(Clone, Copy, Debug)]
pub struct StoredLeaf<'a> {
    /// Its index.
    pub index: u64,
    /// Its bytes: a record's or a commit leaf's.
    pub bytes: &'a [u8],
}

/// How much was written since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Writes {
    /// Batches.
    pub batches: u64,
    /// Batches that were made durable before the write returned: one fsync each.
    pub syncs: u64,
}

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database failed.
    #[error("the database cannot {doing}")]
    Database {
        /// What it was to do.
        doing: &'static str,
        /// What it said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Another process has it open.
    #[error("the database in `{path}` is in use by another process")]
    InUse {
        /// Where it is.
        path: String,
    },
    /// A write failed before.
    #[error("an earlier write to the database failed, so it takes no more until the process starts again")]
    Failed,
    /// Written in another format.
    #[error("the database has storage format {found}, this program knows format {STORAGE_FORMAT} only")]
    Format {
        /// The format it says it has.
        found: u32,
    },
    /// Written by a program that knew more.
    #[error("the database has a column family `{name}` that this program does not know: a newer version wrote it")]
    UnknownTable {
        /// The column family.
        name: String,
    },
    /// The database of another chain.
    #[error("the database holds chain {found}, expected chain {expected}")]
    OtherChain {
        /// The chain that it holds.
        found: Digest,
        /// The chain that was asked for.
        expected: Digest,
    },
    /// A block before the genesis is there.
    #[error("the database has no genesis yet")]
    NoGenesis,
    /// Not the block after the tip.
    #[error("block {found} was to be stored, expected block {expected}")]
    NotNext {
        /// The height that came.
        found: u64,
        /// The height after the tip.
        expected: u64,
    },
    /// A block that continues another history.
    #[error("block {height} follows commit leaf {found}, the last one stored is {expected}")]
    BrokenLink {
        /// Its height.
        height: u64,
        /// What it names as previous.
        found: Digest,
        /// The commit leaf of the tip; the chain id before block 1.
        expected: Digest,
    },
    /// Block, certificate and changes are not about the same.
    #[error("what was to be stored for block {height} does not belong together: {detail}")]
    Mismatch {
        /// The block's height.
        height: u64,
        /// What differs.
        detail: &'static str,
    },
    /// A proposal for a height that is decided.
    #[error("a proposal for height {height} came too late, the last block stored is {tip}")]
    Late {
        /// The proposal's height.
        height: u64,
        /// The last block.
        tip: u64,
    },
    /// Something stored is not what was stored, or is gone.
    #[error("the database is damaged: `{table}` at {key}: {detail}")]
    Damaged {
        /// The column family.
        table: &'static str,
        /// Which entry.
        key: String,
        /// What is wrong.
        detail: String,
    },
}

/// What [`LogStore::scan_leaves`] calls for each leaf; an error ends the scan.
pub type VisitLeaf<'a> = &'a mut dyn FnMut(StoredLeaf<'_>) -> Result<(), StoreError>;

/// What [`LogStore::scan_ids`] calls for each record id and its leaf; an error ends the scan.
pub type VisitId<'a> = &'a mut dyn FnMut((RecordId, u64)) -> Result<(), StoreError>;

/// The log on disk.
///
/// All methods block. Reads may run beside each other and beside a write; writes wait for one another. What
/// [`commit`](LogStore::commit), [`put_genesis`](LogStore::put_genesis),
/// [`put_undecided`](LogStore::put_undecided) and [`put_pooled`](LogStore::put_pooled) took is durable when
/// they return.
pub trait LogStore: Send + Sync + 'static {
    /// The last block; `None` before block 1. Costs nothing.
    fn tip(&self) -> Result<Option<StoredTip>, StoreError>;

    /// The genesis as it was stored.
    fn genesis(&self) -> Result<Option<Vec<u8>>, StoreError>;

    /// Stores the canonical encoding of the genesis, once. The same again is fine, another one is refused.
    fn put_genesis(&self, bytes: &[u8]) -> Result<(), StoreError>;

    /// Stores the block after the tip with all that follows from it, in one atomic, synced batch, and drops the
    /// undecided proposals up to its height and the waiting records that it settles.
    fn commit(&self, block: &StoredBlock, changes: &Changes) -> Result<(), StoreError>;

    /// The block of a height, put together from its leaves and checked against its own header.
    fn block(&self, height: u64) -> Result<Option<StoredBlock>, StoreError>;

    /// The certificate of a height.
    fn certificate(&self, height: u64) -> Result<Option<Certificate>, StoreError>;

    /// The commit leaf of a height.
    fn commit_leaf(&self, height: u64) -> Result<Option<CommitLeaf>, StoreError>;

    /// The bytes of a leaf, a record's or a commit leaf's, checked against its hash in the tree.
    fn leaf(&self, index: u64) -> Result<Option<Vec<u8>>, StoreError>;

    /// Where a record stands.
    fn place(&self, id: &RecordId) -> Result<Option<StoredPlace>, StoreError>;

    /// What stands at a leaf; `None` for commit leaves and beyond the log's end.
    fn place_at(&self, index: u64) -> Result<Option<StoredPlace>, StoreError>;

    /// The hash of a full subtree of the log's tree. For proofs see [`Nodes`].
    fn node(&self, node: NodeId) -> Result<Option<Digest>, StoreError>;

    /// Keeps a proposal for a height after the tip.
    fn put_undecided(&self, height: u64, value: &Digest, undecided: &Undecided) -> Result<(), StoreError>;

    /// Every proposal of a height that is not decided yet, with its digest, in the order of digests.
    fn undecided(&self, height: u64) -> Result<Vec<(Digest, Undecided)>, StoreError>;

    /// Keeps records that wait for a block, so that a restart does not lose them. Those in the log already
    /// are left out.
    fn put_pooled(&self, records: &[(RecordId, Vec<u8>)]) -> Result<(), StoreError>;

    /// Every record that was kept and is neither in the log nor refused.
    fn pooled(&self) -> Result<Vec<(RecordId, Vec<u8>)>, StoreError>;

    /// Drops records that will not be in the log, and remembers the reason for those that were kept (at most
    /// [`REFUSED_MAX`] of them, the latest). Not synced: forgotten in a crash, they wait and are refused again.
    fn put_refused(&self, refused: &[(RecordId, Refusal)]) -> Result<(), StoreError>;

    /// Why a record that was kept will not be in the log, as long as that is remembered.
    fn refusal(&self, id: &RecordId) -> Result<Option<StoredRefusal>, StoreError>;

    /// Keeps the proof that a validator misbehaved; the same one again changes nothing.
    fn put_evidence(&self, evidence: &StoredEvidence) -> Result<(), StoreError>;

    /// Proofs of misbehaviour in the order of heights, the first `max` of them.
    fn evidence(&self, max: usize) -> Result<Vec<StoredEvidence>, StoreError>;

    /// Shows every leaf from `from` on, in order, unchecked but for gaps: a missing leaf is an error.
    fn scan_leaves(&self, from: u64, visit: VisitLeaf<'_>) -> Result<(), StoreError>;

    /// Shows every record id with its leaf, in the order of ids.
    fn scan_ids(&self, visit: VisitId<'_>) -> Result<(), StoreError>;

    /// How much was written since the store was opened.
    fn writes(&self) -> Writes;
}

/// The log's tree, for provers: a node that is missing is damage.
#[derive(Clone, Copy)]
pub struct Nodes<'a>(pub &'a dyn LogStore);

impl NodeReader for Nodes<'_> {
    type Error = StoreError;

    fn node(&self, node: NodeId) -> Result<Digest, StoreError> {
        self.0.node(node)?.ok_or_else(|| schema::nodes::missing(node))
    }
}
