//! The export: a whole chain in one file.
//!
//! ```text
//!   "writ/export/v1\0"
//!   length | genesis
//!   length | frame of block 1          a frame: the block's bytes, and the certificate beside it
//!   length | frame of block 2
//!   ...
//!   0                                  where the next length would stand
//!   trailer: height, log size, log root, commit leaf, SHA-256 of every byte before the trailer
//! ```
//!
//! Lengths are eight bytes, little-endian. The trailer makes a file that was cut short visible, also one
//! that was cut between two frames. It carries no signature: whoever can make frames can make a trailer,
//! so only [`crate::audit`] tells whether the chain is good.
//!
//! A [`Writer`] gives the bytes of a file part by part, and a [`Reader`] takes them in pieces of any
//! size; neither touches a file. Commit leaves are not in the file, because they follow from the rest.
//!
//! ```
//! use writ_proto::export::{Item, Reader};
//!
//! # fn read(chunks: &[&[u8]]) -> Result<(), writ_proto::export::ExportError> {
//! let mut reader = Reader::new();
//! for chunk in chunks {
//!     reader.push(chunk);
//!     while let Some(item) = reader.take()? {
//!         match item {
//!             Item::Genesis(genesis) => println!("the chain {}", genesis.chain_id()),
//!             Item::Block { height, frame, .. } => println!("block {height}: {} bytes", frame.block.0.len()),
//!             Item::Trailer(trailer) => println!("{} blocks in all", trailer.end.height),
//!         }
//!     }
//! }
//! reader.finish()
//! # }
//! # assert!(read(&[b"writ/export", b"/v2"]).is_err());
//! ```

mod reader;

use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use reader::{Item, Reader};

use crate::certificate::Certificate;
use crate::codec::{self, Blob, CodecError};
use crate::genesis::Genesis;
use crate::hash::Digest;
use crate::limits::{BLOCK_BYTES_MAX, GENESIS_MEMBERS_MAX};
use crate::refusal::Refusal;
use crate::state::State;

/// The first bytes of an export.
pub const START: &[u8] = b"writ/export/v1\0";

/// Bytes of one frame, its length not counted.
pub const FRAME_BYTES_MAX: usize = 8 + BLOCK_BYTES_MAX + Certificate::BYTES_MAX;

/// Bytes of the length before a genesis or a frame.
pub(crate) const LENGTH_BYTES: usize = 8;

/// A block with the votes that made it final.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// The block's canonical encoding.
    pub block: Blob,
    /// The certificate.
    pub certificate: Certificate,
}

impl Frame {
    /// The canonical encoding, without the length before it.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// The encoding with its length before it: as it stands in an export, and in what a node serves.
    pub fn encode_framed(&self) -> Vec<u8> {
        with_length(&self.encode())
    }

    /// Reads the canonical encoding. Block and certificate are not judged, only bounded.
    pub fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let frame: Self = codec::decode::<_, FRAME_BYTES_MAX>(bytes)?;
        let found = frame.certificate.signatures.len();
        if found > GENESIS_MEMBERS_MAX {
            return Err(Fault::TooManySignatures { found });
        }
        Ok(frame)
    }

    /// Reads frames with their lengths, one after another up to the end: the answer of a node that was
    /// asked for blocks. An error: how many frames were good, and what is wrong with the next one.
    pub fn decode_all(mut bytes: &[u8]) -> Result<Vec<Self>, (usize, Fault)> {
        let mut frames = Vec::new();
        while !bytes.is_empty() {
            let (frame, rest) = first_framed(bytes, FRAME_BYTES_MAX)
                .and_then(|(frame, rest)| Ok((Self::decode(frame)?, rest)))
                .map_err(|fault| (frames.len(), fault))?;
            frames.push(frame);
            bytes = rest;
        }
        Ok(frames)
    }
}

/// What stands behind a length, and what follows it.
fn first_framed(bytes: &[u8], max: usize) -> Result<(&[u8], &[u8]), Fault> {
    let (length, rest) = bytes
        .split_first_chunk::<LENGTH_BYTES>()
        .ok_or(Fault::Cut { found: bytes.len() as u64, expected: LENGTH_BYTES as u64 })?;
    let length = checked_length(u64::from_le_bytes(*length), max)?;
    if rest.len() < length {
        return Err(Fault::Cut { found: rest.len() as u64, expected: length as u64 });
    }
    Ok(rest.split_at(length))
}

/// A length, once it is known to be neither nothing nor beyond `max`.
pub(crate) fn checked_length(found: u64, max: usize) -> Result<usize, Fault> {
    match usize::try_from(found) {
        Ok(length) if (1..=max).contains(&length) => Ok(length),
        _ => Err(Fault::Length { found, max }),
    }
}

fn with_length(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u64).to_le_bytes(), bytes].concat()
}

/// Where a chain stands after its last block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// The last block's height; 0 if there is none.
    pub height: u64,
    /// Leaves in the log, the last commit leaf included.
    pub log_size: u64,
    /// The log's root at that size.
    pub log_root: Digest,
    /// Leaf hash of the last commit leaf; at height 0 the chain id.
    pub commit_leaf: Digest,
}

impl End {
    /// Where the chain of `state` stands.
    pub fn of(state: &State) -> Self {
        Self {
            height: state.tip().height,
            log_size: state.log().size(),
            log_root: state.log().root(),
            commit_leaf: state.tip().commit_leaf,
        }
    }
}

/// The last part of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trailer {
    /// Where the chain stands after the last frame.
    pub end: End,
    /// SHA-256 of every byte before the trailer, the zero length included.
    pub digest: Digest,
}

impl Trailer {
    /// Bytes of the encoding, which has no length before it.
    pub const BYTES: usize = 8 + 8 + 32 + 32 + 32;

    /// The canonical encoding.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads the canonical encoding.
    pub fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        Ok(codec::decode::<_, { Self::BYTES }>(bytes)?)
    }
}

/// Makes an export: each method gives the bytes of the next part, to be written in this order:
/// [`Writer::header`] once, frames in any number, [`Writer::trailer`].
#[derive(Clone, Debug, Default)]
pub struct Writer {
    hasher: Sha256,
}

impl Writer {
    /// A writer that has not written anything.
    pub fn new() -> Self {
        Self::default()
    }

    /// The start of the file and the genesis.
    pub fn header(&mut self, genesis: &Genesis) -> Vec<u8> {
        self.counted([START, &with_length(&genesis.encode())].concat())
    }

    /// The next block.
    pub fn frame(&mut self, frame: &Frame) -> Vec<u8> {
        self.counted(frame.encode_framed())
    }

    /// Takes note of frames that came with their lengths already, as a node serves them, and are written
    /// as they are.
    pub fn pass_framed(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// The end of the frames, and the trailer.
    pub fn trailer(mut self, end: End) -> Vec<u8> {
        let mut bytes = self.counted([0; LENGTH_BYTES].to_vec());
        bytes.extend(Trailer { end, digest: Digest(self.hasher.finalize().into()) }.encode());
        bytes
    }

    fn counted(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        self.hasher.update(&bytes);
        bytes
    }
}

/// A part of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The bytes that every export starts with.
    Start,
    /// The genesis.
    Genesis,
    /// The frame where the block of this height must stand.
    Frame(u64),
    /// The trailer.
    Trailer,
    /// What follows the trailer.
    End,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("start of the file"),
            Self::Genesis => f.write_str("genesis"),
            Self::Frame(height) => write!(f, "block {height}, frame"),
            Self::Trailer => f.write_str("trailer"),
            Self::End => f.write_str("end of the file"),
        }
    }
}

/// Which part of an export cannot be read, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place} (at byte {offset}): {fault}")]
pub struct ExportError {
    /// Which part.
    pub place: Place,
    /// Where that part begins, in bytes from the start of the file.
    pub offset: u64,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a part of an export.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The file starts with other bytes.
    #[error("the file does not start with the bytes of an export of version 1")]
    NotAnExport,
    /// A length that no such part has.
    #[error("a length of {found} bytes, expected 1 to {max}")]
    Length {
        /// The length.
        found: u64,
        /// The bound.
        max: usize,
    },
    /// The bytes end too early.
    #[error("the bytes end after {found} of {expected}")]
    Cut {
        /// How many there were.
        found: u64,
        /// How many there must be.
        expected: u64,
    },
    /// The bytes end where a block or the trailer had to follow.
    #[error("missing: the file ends after block {height}")]
    Missing {
        /// The last block before the end.
        height: u64,
    },
    /// The bytes are not the encoding of what must stand there.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The genesis cannot start a chain.
    #[error("`{}`: {}", .0.field.unwrap_or("genesis"), .0.detail)]
    Genesis(Refusal),
    /// More signatures on a certificate than a chain has validators.
    #[error("a certificate of {found} signatures, at most {GENESIS_MEMBERS_MAX} are allowed")]
    TooManySignatures {
        /// How many there were.
        found: usize,
    },
    /// The bytes before the trailer are not those that it was made for.
    #[error("the SHA-256 of what comes before is {found}, expected {expected}")]
    Digest {
        /// The digest of the bytes.
        found: Digest,
        /// What the trailer says.
        expected: Digest,
    },
    /// Something follows the trailer.
    #[error("bytes follow the trailer")]
    Surplus,
}

#[cfg(test)]
mod tests;
