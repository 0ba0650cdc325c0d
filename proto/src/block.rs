//! Header, block, outcomes, and the commit leaf that ends each block.
//!
//! ```text
//!            commit leaf h-1                          commit leaf h
//!                 | leaf hash                               |
//!   block h:  [ previous | records root | result ]  ->  header + what `result` hashes, in full
//!   log:      ... record leaves of block h ..., commit leaf h
//! ```
//!
//! The hash chain runs through the commit leaves: a header names the RFC 6962 leaf hash of the commit
//! leaf before it. Voters execute a block before they vote, so the header carries the hash of what
//! execution gave ([`Executed`]); the commit leaf spells it out. The block hash is the hash of the header
//! alone and is what consensus decides on.

use alloc::format;
use alloc::string::ToString as _;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::codec::{self, Blob};
use crate::hash::{Digest, Domain};
use crate::key::KeyId;
use crate::limits::{BLOCK_BYTES_MAX, BLOCK_RECORDS_MAX};
use crate::merkle;
use crate::record::ValidatorKeys;
use crate::refusal::{Code, Refusal};
use crate::time::LedgerTime;

/// The version of header and commit leaf.
pub const BLOCK_VERSION: u16 = 1;

/// What consensus decides on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`BLOCK_VERSION`].
    pub version: u16,
    /// The chain id.
    pub chain: Digest,
    /// The height, from 1.
    pub height: u64,
    /// Leaf hash of the commit leaf before; at height 1 the chain id.
    pub previous: Digest,
    /// When: strictly later than the block before.
    pub time: LedgerTime,
    /// Who built it: the id of a voting key.
    pub proposer: KeyId,
    /// RFC 6962 root of this block's record leaves.
    pub records: Digest,
    /// [`Executed::hash`].
    pub result: Digest,
}

impl Header {
    /// The block hash: tagged hash of the header.
    pub fn hash(&self) -> Digest {
        Domain::Block.hash(&[&codec::encode(self)])
    }
}

/// A header and its records, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// The header.
    pub header: Header,
    /// The records' bytes, in order.
    pub records: Vec<Blob>,
}

impl Block {
    /// The canonical encoding: at most [`BLOCK_BYTES_MAX`] bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads a block; whether it is valid is for [`crate::state::State::execute`] to say.
    pub fn decode(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > BLOCK_BYTES_MAX {
            return Err(Refusal::whole(
                Code::TooLarge,
                format!("a block of {} bytes, at most {BLOCK_BYTES_MAX} are allowed", bytes.len()),
            ));
        }
        let block: Self = codec::decode::<_, BLOCK_BYTES_MAX>(bytes)
            .map_err(|error| Refusal::whole(Code::BadRequest, format!("the block is {error}")))?;
        if block.records.len() > BLOCK_RECORDS_MAX {
            let detail = format!("a block of {} records, at most {BLOCK_RECORDS_MAX} are allowed", block.records.len());
            return Err(Refusal::whole(Code::TooLarge, detail));
        }
        Ok(block)
    }

    /// Bytes of an encoded block without records.
    pub const EMPTY_BYTES: usize = 2 + 32 + 8 + 32 + 8 + 32 + 32 + 32 + 8;

    /// Bytes that a record of `record_len` bytes adds.
    pub const fn bytes_of_record(record_len: usize) -> usize {
        8 + record_len
    }
}

/// The RFC 6962 root of records, in order.
pub fn records_root<'a>(records: impl IntoIterator<Item = &'a [u8]>) -> Digest {
    merkle::root_of(records.into_iter().map(merkle::leaf_hash))
}

/// What became of a record in its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It counts.
    Accepted,
    /// A restrictive record that failed only by state: settled, and never counts.
    Rejected(Code),
}

impl Outcome {
    /// The number that the root of outcomes commits to: 0, or the code's.
    pub fn number(self) -> u16 {
        match self {
            Self::Accepted => 0,
            Self::Rejected(code) => code.number(),
        }
    }

    /// The outcome of a number.
    pub fn from_number(number: u16) -> Option<Self> {
        if number == 0 { Some(Self::Accepted) } else { Code::from_number(number).map(Self::Rejected) }
    }
}

/// The RFC 6962 root of outcomes, in the order of the records: each leaf is its number, two bytes,
/// little-endian.
pub fn outcomes_root(outcomes: impl IntoIterator<Item = Outcome>) -> Digest {
    merkle::root_of(outcomes.into_iter().map(|outcome| merkle::leaf_hash(&outcome.number().to_le_bytes())))
}

/// The hash of a validator set: tagged hash of its encoding, in the order of the log.
pub fn validators_hash(validators: &[ValidatorKeys]) -> Digest {
    Domain::ValidatorSet.hash(&[&codec::encode(validators)])
}

/// What execution of a block gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Executed {
    /// [`outcomes_root`] of this block.
    pub outcomes: Digest,
    /// [`validators_hash`] of the next height's set.
    pub next_validators: Digest,
    /// The root of the authenticated map: 32 zero bytes until a protocol version brings it.
    pub map_root: Digest,
    /// Leaves in the log after this block's records and before its commit leaf.
    pub log_size: u64,
    /// The log's root at that size.
    pub log_root: Digest,
}

impl Executed {
    /// What a header's `result` is.
    pub fn hash(&self) -> Digest {
        Domain::Outcome.hash(&[&codec::encode(self)])
    }
}

/// The last leaf of a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitLeaf {
    /// The version of this leaf.
    pub version: u16,
    /// The block's header.
    pub header: Header,
    /// What its `result` hashes.
    pub executed: Executed,
}

impl CommitLeaf {
    /// The bytes of the leaf: a tag whose first byte differs from every record's, then the encoding.
    pub fn to_bytes(&self) -> Vec<u8> {
        [Domain::CommitLeaf.tag(), &codec::encode(self)].concat()
    }

    /// Reads a commit leaf, and checks that its header belongs to what it spells out.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Refusal> {
        let refuse = |detail| Refusal::whole(Code::BadRequest, detail);
        let rest = bytes
            .strip_prefix(Domain::CommitLeaf.tag())
            .ok_or_else(|| refuse("the bytes do not start with the tag of a commit leaf".to_string()))?;
        let leaf: Self =
            codec::decode::<_, 1024>(rest).map_err(|error| refuse(format!("the commit leaf is {error}")))?;
        if leaf.version != BLOCK_VERSION {
            return Err(Refusal::whole(
                Code::Unsupported,
                format!("commit leaf version {}, this program knows {BLOCK_VERSION}", leaf.version),
            ));
        }
        if leaf.executed.hash() != leaf.header.result {
            return Err(refuse("the commit leaf does not spell out what its header's `result` hashes".into()));
        }
        Ok(leaf)
    }

    /// The RFC 6962 leaf hash: what the next header names as `previous`.
    pub fn hash(&self) -> Digest {
        merkle::leaf_hash(&self.to_bytes())
    }
}
