//! Signed notes: a text, an empty line, and one line for each signature.
//!
//! ```text
//!   line = "— " name " " base64( key id 4 || signature ) "\n"
//!   key id = the first 4 bytes of SHA-256( name || "\n" || type || public key 32 )
//!   vkey = name "+" key id in hex "+" base64( type || public key )
//! ```

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::TIME_MAX;
use crate::hash::Digest;
use crate::key::{PublicKey, Signature};
use crate::limits::GENESIS_MEMBERS_MAX;

/// Bytes of a note: two lines for each of as many validators as there can be, with the longest names, and room
/// for some witnesses.
pub const NOTE_BYTES_MAX: usize = 128 * 1024;
/// Signature lines of a note: two for each validator, and some for witnesses.
pub const SIGNATURE_LINES_MAX: usize = 2 * GENESIS_MEMBERS_MAX + 16;
/// How a signature line begins: an em dash and a space.
const DASH: &str = "\u{2014} ";

/// Why a text is no final checkpoint of a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// More bytes or lines than the bound.
    #[error("a note of {found} {what}, at most {max} are allowed")]
    TooLong {
        /// Bytes or signatures.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// The bound.
        max: usize,
    },
    /// Not of the form of a note.
    #[error("not a signed note: {detail}")]
    Form {
        /// What was found.
        detail: &'static str,
    },
    /// A signature line that cannot be read.
    #[error("signature line {line} of the note cannot be read")]
    Line {
        /// Which, from 1.
        line: usize,
    },
    /// The text is not that of a checkpoint.
    #[error("not the text of a checkpoint: {detail}")]
    Body {
        /// What was found.
        detail: String,
    },
    /// Of another log.
    #[error("a checkpoint of the log `{}`, expected `{expected}`", crate::time::Excerpt::of(.found))]
    OtherOrigin {
        /// The log it is of.
        found: String,
        /// The log that was asked for.
        expected: String,
    },
    /// A known key whose signature does not fit: the whole note is refused.
    #[error("the signature of `{name}` in line {line} does not fit the note")]
    BadSignature {
        /// Whose.
        name: String,
        /// Which signature line, from 1.
        line: usize,
    },
    /// A known key that signed twice in one way.
    #[error("`{name}` stands again in signature line {line}")]
    Repeated {
        /// Whose.
        name: String,
        /// Which signature line, from 1.
        line: usize,
    },
    /// Fewer cosigners than a quorum.
    #[error("{found} validators signed the checkpoint, a quorum is {quorum}")]
    NoQuorum {
        /// How many did, both ways.
        found: usize,
        /// How many there must be.
        quorum: usize,
    },
}

/// What kind of signature a key makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum KeyType {
    /// Ed25519 over the text.
    Log = 0x01,
    /// Ed25519 over the text with a time before it.
    Cosigner = 0x04,
}

/// A key as notes name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteKey {
    name: String,
    key_type: KeyType,
    key: PublicKey,
    id: [u8; 4],
}

impl NoteKey {
    /// The key of this name, type and public half. The name must have neither spaces nor `+` in it.
    pub fn new(name: String, key_type: KeyType, key: PublicKey) -> Self {
        let hash = Digest::of(&[name.as_bytes(), b"\n", &[key_type as u8], &key.0]);
        let [a, b, c, d, ..] = hash.0;
        Self { name, key_type, key, id: [a, b, c, d] }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its public half.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The id under which its signatures stand.
    pub fn id(&self) -> [u8; 4] {
        self.id
    }

    /// What it signs.
    pub fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// The verifier key, as tools read it.
    pub fn to_vkey(&self) -> String {
        let material = [&[self.key_type as u8], self.key.0.as_slice()].concat();
        format!("{}+{}+{}", self.name, hex::encode(self.id), STANDARD.encode(material))
    }

    /// Reads a verifier key of one of our two types; `None` if it is none, or its parts do not fit together.
    pub fn from_vkey(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once('+')?;
        let (id, material) = rest.split_once('+')?;
        if !is_name(name) {
            return None;
        }
        let material = STANDARD.decode(material).ok()?;
        let (key_type, key) = match material.split_first()? {
            (0x01, key) => (KeyType::Log, key),
            (0x04, key) => (KeyType::Cosigner, key),
            _ => return None,
        };
        let read = Self::new(name.into(), key_type, PublicKey(key.try_into().ok()?));
        (hex::encode(read.id) == id).then_some(read)
    }

    #[cfg(test)]
    pub(super) fn with_id(&self, id: [u8; 4]) -> Self {
        Self { id, ..self.clone() }
    }

    /// The line of a log signature.
    pub(super) fn log_line(&self, signature: &Signature) -> String {
        self.line(&signature.0)
    }

    /// The line of a cosignature at `time`.
    pub(super) fn cosignature_line(&self, time: u64, signature: &Signature) -> String {
        self.line(&[time.to_be_bytes().as_slice(), &signature.0].concat())
    }

    fn line(&self, signature: &[u8]) -> String {
        format!("{DASH}{} {}\n", self.name, STANDARD.encode([&self.id, signature].concat()))
    }

    /// The log signature in a line's bytes.
    pub(super) fn read_log(bytes: &[u8]) -> Option<Signature> {
        Some(Signature(bytes.try_into().ok()?))
    }

    /// Time and signature in a line's bytes.
    pub(super) fn read_cosignature(bytes: &[u8]) -> Option<(u64, Signature)> {
        let (time, signature) = bytes.split_first_chunk::<8>()?;
        let time = u64::from_be_bytes(*time);
        (time <= TIME_MAX).then_some((time, Signature(signature.try_into().ok()?)))
    }
}

/// A note taken apart; nothing of it is verified.
#[derive(Debug)]
pub(super) struct Note<'a> {
    /// The text, its last line end included.
    pub(super) body: &'a str,
    pub(super) lines: Vec<Line<'a>>,
}

/// A signature line.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    pub(super) id: [u8; 4],
    pub(super) signature: Vec<u8>,
}

impl<'a> Note<'a> {
    /// Takes a note apart. Bounds come before anything that grows.
    pub(super) fn parse(text: &'a str) -> Result<Self, NoteError> {
        if text.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong { what: "bytes", found: text.len(), max: NOTE_BYTES_MAX });
        }
        if text.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
            return Err(NoteError::Form { detail: "there are control characters in it" });
        }
        let at = text.rfind("\n\n").ok_or(NoteError::Form { detail: "no empty line parts text and signatures" })?;
        let (body, signatures) = (&text[..=at], &text[at + 2..]);
        let signatures = signatures
            .strip_suffix('\n')
            .ok_or(NoteError::Form { detail: "its last line has no end, or is missing" })?;
        let found = signatures.bytes().filter(|byte| *byte == b'\n').count() + 1;
        if found > SIGNATURE_LINES_MAX {
            return Err(NoteError::TooLong { what: "signatures", found, max: SIGNATURE_LINES_MAX });
        }
        let numbered = signatures.split('\n').zip(1..);
        let lines = numbered.map(|(text, line)| Line::parse(text).ok_or(NoteError::Line { line }));
        Ok(Self { body, lines: lines.collect::<Result<_, _>>()? })
    }
}

impl<'a> Line<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (name, encoded) = text.strip_prefix(DASH)?.split_once(' ')?;
        let bytes = STANDARD.decode(encoded).ok()?;
        let (id, signature) = bytes.split_first_chunk::<4>()?;
        (is_name(name) && !signature.is_empty()).then(|| Self { name, id: *id, signature: signature.to_vec() })
    }
}

/// Whether a text can be the name of a key.
fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|char| char == '+' || char.is_whitespace() || char.is_control())
}
