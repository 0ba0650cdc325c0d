//! Checkpoints: what validators sign about the log so that existing transparency tools can read it.
//!
//! A checkpoint says how long the log of a name is, and what its root is at that size: three lines, and
//! nothing else (C2SP [tlog-checkpoint]). It is signed as a *note* (C2SP [signed-note]), with one line for
//! each signature. Every validator signs twice with its checkpoint key, which signs nothing else:
//!
//! ```text
//!   ledger.example/main                              the origin: the chain's name
//!   70000                                            the size
//!   U2mrkAiElt9SKThaf3TYAecYlane8Kyy/aBFvNeRYBQ=     the root
//!
//!   — ledger.example/main st/J...                    type 0x01: one log signature of each validator,
//!   — ledger.example/main B93x...                      under the log's own name, told apart by key id
//!   — ledger.example/main/validator0 xmyW...         type 0x04: one cosignature of each validator,
//!   — ledger.example/main/validator1 0aBf...           with a time (C2SP tlog-cosignature)
//! ```
//!
//! The log signatures let every tool that opens signed notes read the log; the cosignatures, a quorum of
//! them, are what makes a checkpoint final ([`Cosigners::verify`]). Who cosigns a log is said by its last
//! commit leaf: the validators of the next height. [`Cosigners::to_policy`] says the same to tools, as a C2SP
//! [tlog-policy].
//!
//! Between nodes both signatures of one validator travel as a [`Cosignature`].
//!
//! What is left out: extension lines (recommended against, and not covered by all kinds of cosignatures),
//! and signatures other than Ed25519.
//!
//! [tlog-checkpoint]: https://c2sp.org/tlog-checkpoint
//! [signed-note]: https://c2sp.org/signed-note
//! [tlog-policy]: https://c2sp.org/tlog-policy

mod cosigners;
mod note;
mod policy;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

pub use cosigners::{Cosigned, Cosigner, Cosigners};
pub use note::{KeyType, NOTE_BYTES_MAX, NoteError, NoteKey, SIGNATURE_LINES_MAX};
pub use policy::{POLICY_BYTES_MAX, PolicyError};

use crate::codec::{self, CodecError};
use crate::hash::Digest;
use crate::key::{BadSignature, KeyId, PublicKey, SecretKey, Signature};
use crate::merkle::SIZE_MAX;

/// How long the log of a name is, and its root at that size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name: the chain's, from its genesis.
    pub origin: String,
    /// Leaves in the log.
    pub size: u64,
    /// The RFC 6962 root of these leaves.
    pub root: Digest,
}

/// The last second that a cosignature can name, by C2SP tlog-cosignature.
pub const TIME_MAX: u64 = i64::MAX as u64;

impl Checkpoint {
    /// The three lines, each ended: what a log signature signs.
    pub fn body(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.0))
    }

    /// What a cosignature of the time `time`, in seconds since 1970, signs.
    ///
    /// It is never the body of a checkpoint, whatever the origin: the second line of a body is a number.
    pub fn cosigned_bytes(&self, time: u64) -> String {
        format!("cosignature/v1\ntime {time}\n{}", self.body())
    }

    /// Reads the three lines.
    pub fn from_body(body: &str) -> Result<Self, NoteError> {
        let mut lines = body.split('\n');
        let (origin, size, root, end) = (lines.next(), lines.next(), lines.next(), lines.next());
        let (Some(origin), Some(size), Some(root), Some(""), None) = (origin, size, root, end, lines.next()) else {
            let found = body.bytes().filter(|byte| *byte == b'\n').count();
            return Err(NoteError::Body { detail: format!("{found} ended lines, expected origin, size and root") });
        };
        if origin.is_empty() {
            return Err(NoteError::Body { detail: "the origin is empty".into() });
        }
        let size = number(size).filter(|size| *size <= SIZE_MAX);
        let size = size.ok_or_else(|| NoteError::Body { detail: "the second line is no size".into() })?;
        let root = STANDARD.decode(root).ok().and_then(|root| root.try_into().ok()).map(Digest);
        let root = root.ok_or_else(|| NoteError::Body { detail: "the third line is no root".into() })?;
        Ok(Self { origin: origin.into(), size, root })
    }

    /// What a note claims. **Nothing is verified**: that is for [`Cosigners::verify`].
    pub fn claimed_by(note: &str) -> Result<Self, NoteError> {
        Self::from_body(note::Note::parse(note)?.body)
    }

    /// The log signature and the cosignature of `key`, at `time` in seconds since 1970.
    ///
    /// Whoever signs keeps what it signed, so that it never signs a smaller size, nor another root of one size.
    ///
    /// # Panics
    /// If the three lines do not read back as this checkpoint: an origin of two lines would sign something else.
    pub fn sign(&self, key: &SecretKey, time: u64) -> (Signature, Signature) {
        assert_eq!(Self::from_body(&self.body()).as_ref(), Ok(self), "what is signed reads as what was meant");
        (key.sign_note(self.body().as_bytes()), key.sign_note(self.cosigned_bytes(time).as_bytes()))
    }
}

/// A decimal number as notes write it: digits alone, and no zero before others.
fn number(text: &str) -> Option<u64> {
    let plain = text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
    if plain { text.parse().ok() } else { None }
}

/// What one validator says of the log, as it travels between nodes: both signatures over one checkpoint. The
/// origin is the chain's and does not travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cosignature {
    /// The height of the block that ends at this size. **Not signed**: size and root are.
    pub height: u64,
    /// Leaves in the log.
    pub size: u64,
    /// Its root.
    pub root: Digest,
    /// The id of the validator's checkpoint key.
    pub key: KeyId,
    /// When it cosigned, in seconds since 1970.
    pub time: u64,
    /// Its log signature, type 0x01.
    pub log_signature: Signature,
    /// Its cosignature, type 0x04.
    pub cosignature: Signature,
}

impl Cosignature {
    /// The bytes of its encoding.
    pub const BYTES: usize = 3 * 8 + 2 * 32 + 2 * 64;

    /// Signs `checkpoint`, which ends the block of `height`, at `time` in seconds since 1970. See
    /// [`Checkpoint::sign`].
    pub fn sign(checkpoint: &Checkpoint, height: u64, key: &SecretKey, time: u64) -> Self {
        let (log_signature, cosignature) = checkpoint.sign(key, time);
        let (size, root, key) = (checkpoint.size, checkpoint.root, key.public().id());
        Self { height, size, root, key, time, log_signature, cosignature }
    }

    /// The canonical encoding.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads the canonical encoding. Nothing is verified but its form.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let read: Self = codec::decode::<_, { Self::BYTES }>(bytes)?;
        if read.size > SIZE_MAX || read.time > TIME_MAX {
            return Err(CodecError::Malformed { reason: "a size or a time is beyond the last that can be".into() });
        }
        Ok(read)
    }

    /// The checkpoint that was signed, if this is of the log of that name.
    pub fn checkpoint(&self, origin: &str) -> Checkpoint {
        Checkpoint { origin: origin.into(), size: self.size, root: self.root }
    }

    /// Whether both signatures are those of `key` over this size and root of the log named `origin`.
    ///
    /// # Errors
    /// Also if `key` is not the key that it names.
    pub fn verify(&self, origin: &str, key: &PublicKey) -> Result<(), BadSignature> {
        if key.id() != self.key {
            return Err(BadSignature);
        }
        let (key, checkpoint) = (key.open()?, self.checkpoint(origin));
        key.verify(checkpoint.body().as_bytes(), &self.log_signature)?;
        key.verify(checkpoint.cosigned_bytes(self.time).as_bytes(), &self.cosignature)
    }
}

#[cfg(test)]
mod tests;
