//! A record that goes from hand to hand until enough have signed it.
//!
//! A draft is a file:
//!
//! ```json
//! {
//!   "version": 1,
//!   "bytes": "<what is signed, base64>",
//!   "signatures": [{ "key": "<public key, hex>", "signature": "<hex>" }]
//! }
//! ```
//!
//! What it says stands in `bytes` alone, which every signer reads for themselves: words beside them could say
//! something else. Public keys rather than key ids stand in it, so that each signature is checked whenever a draft
//! is read, on a machine without a network too; the record that becomes of it names them by their ids. A draft is no
//! secret, and none of its holders can change what the others signed.
//!
//! [`Draft::read`] also takes what `POST /v1/records/prepare` answers, and the bytes to sign by themselves.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use writ_proto::api::{Prepared, from_base64, to_base64};
use writ_proto::hash::Domain;
use writ_proto::key::{KeyId, PublicKey, SecretKey, Signature};
use writ_proto::limits::{RECORD_BYTES_MAX, SIGNATURES_MAX};
use writ_proto::record::{RecordId, Signed, Statement};
use writ_proto::refusal::Refusal;

/// The version of the format.
pub const VERSION: u32 = 1;

/// Bytes of the largest file that is read as a draft: several times what one needs.
const FILE_BYTES_MAX: u64 = 8 * RECORD_BYTES_MAX as u64;

/// What is stated, and who has signed it so far.
///
/// INVARIANT: the bytes are those of the statement, and every signature is good for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    bytes: Vec<u8>,
    statement: Statement,
    id: RecordId,
    /// In the order in which a record has them.
    signatures: BTreeMap<KeyId, (PublicKey, Signature)>,
}

/// Why there is no draft, or no record of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DraftError {
    /// The disk said no.
    #[error("cannot {doing} `{path}`", path = .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// There is such a file already.
    #[error("`{path}` is there already, and may hold signatures", path = .path.display())]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// No draft.
    #[error("that is no record to sign: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
    /// A record that makes no sense.
    #[error("that is no record to sign: {}", .0.detail)]
    Refused(Refusal),
    /// A signature of something else.
    #[error("the signature of key {key} is not one of these bytes")]
    Signature {
        /// The key.
        key: PublicKey,
    },
    /// Two drafts of different things.
    #[error("they do not say the same: record {found} and record {expected} have different bytes to sign")]
    OtherBytes {
        /// The id of what the other says.
        found: RecordId,
        /// The id of what this one says.
        expected: RecordId,
    },
    /// More signatures than a record has.
    #[error("a record has at most {SIGNATURES_MAX} signatures")]
    Full,
    /// Nobody has signed.
    #[error("nobody has signed it yet")]
    Unsigned,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    version: u32,
    bytes: String,
    signatures: Vec<WireSignature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireSignature {
    key: PublicKey,
    signature: Signature,
}

impl Draft {
    /// What is stated, without signatures.
    ///
    /// # Errors
    /// If it makes no sense.
    pub fn new(statement: &Statement) -> Result<Self, Refusal> {
        let (bytes, _) = statement.signed_bytes()?;
        Self::of(bytes)
    }

    fn of(bytes: Vec<u8>) -> Result<Self, Refusal> {
        let (statement, id) = Signed::read_unsigned(&bytes)?;
        Ok(Self { bytes, statement, id, signatures: BTreeMap::new() })
    }

    /// Reads a draft, what a node prepared, or the bytes to sign, as they are or in base64.
    ///
    /// # Errors
    /// If it is none of them, or a signature is not good.
    pub fn read(bytes: &[u8]) -> Result<Self, DraftError> {
        let malformed = |reason: String| DraftError::Malformed { reason };
        let unsigned = |bytes| Self::of(bytes).map_err(DraftError::Refused);
        if bytes.starts_with(Domain::Record.tag()) {
            return unsigned(bytes.to_vec());
        }
        let text = std::str::from_utf8(bytes).map_err(|_| malformed("it begins like no record".into()))?.trim();
        let decoded = |text: &str| from_base64(text).ok_or_else(|| malformed("its bytes are not base64".into()));
        if !text.starts_with('{') {
            return unsigned(decoded(text)?);
        }
        let wire = match serde_json::from_str::<Wire>(text) {
            Ok(wire) if wire.version == VERSION => wire,
            Ok(Wire { version, .. }) => {
                return Err(malformed(format!("its version is {version}, this program knows {VERSION}")));
            }
            Err(error) => match serde_json::from_str::<Prepared>(text) {
                Ok(prepared) => return unsigned(decoded(&prepared.bytes)?),
                Err(_) => return Err(malformed(error.to_string())),
            },
        };
        let mut draft = unsigned(decoded(&wire.bytes)?)?;
        for WireSignature { key, signature } in wire.signatures {
            if draft.signatures.contains_key(&key.id()) {
                return Err(malformed(format!("key {key} stands twice")));
            }
            draft.add(key, signature)?;
        }
        Ok(draft)
    }

    /// Reads a file as [`Draft::read`] does.
    ///
    /// # Errors
    /// If it cannot be read, or is no draft.
    pub fn open(path: &Path) -> Result<Self, DraftError> {
        let io_error = |source| DraftError::Io { doing: "read", path: path.into(), source };
        let size = fs::metadata(path).map_err(io_error)?.len();
        if size > FILE_BYTES_MAX {
            let reason = format!("it has {size} bytes, at most {FILE_BYTES_MAX} are expected");
            return Err(DraftError::Malformed { reason });
        }
        Self::read(&fs::read(path).map_err(io_error)?)
    }

    /// What is stated.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// The id that the record will have.
    pub fn id(&self) -> RecordId {
        self.id
    }

    /// The bytes that are signed.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The keys that have signed, in the order of their ids.
    pub fn keys(&self) -> Vec<PublicKey> {
        self.signatures.values().map(|(key, _)| *key).collect()
    }

    /// Signs, and says whether that is new.
    ///
    /// # Errors
    /// If there is no room for one more signature.
    pub fn sign(&mut self, key: &SecretKey) -> Result<bool, DraftError> {
        self.insert(key.public(), key.sign_in(Domain::Record, &self.bytes))
    }

    /// Adds a signature that was made elsewhere, and says whether it is new.
    ///
    /// # Errors
    /// If it is not good, or there is no room for it.
    pub fn add(&mut self, key: PublicKey, signature: Signature) -> Result<bool, DraftError> {
        key.verify(&self.bytes, &signature).map_err(|_| DraftError::Signature { key })?;
        self.insert(key, signature)
    }

    /// Adds the signatures of another draft of the same bytes, and says how many are new.
    ///
    /// # Errors
    /// If it is a draft of something else, or there is no room for its signatures.
    pub fn join(&mut self, other: &Self) -> Result<usize, DraftError> {
        if self.bytes != other.bytes {
            return Err(DraftError::OtherBytes { found: other.id, expected: self.id });
        }
        let mut new = 0;
        for (key, signature) in other.signatures.values() {
            new += usize::from(self.insert(*key, *signature)?);
        }
        Ok(new)
    }

    fn insert(&mut self, key: PublicKey, signature: Signature) -> Result<bool, DraftError> {
        let id = key.id();
        // A key's first signature stays: a second one would say nothing more.
        if self.signatures.contains_key(&id) {
            return Ok(false);
        }
        if self.signatures.len() == SIGNATURES_MAX {
            return Err(DraftError::Full);
        }
        self.signatures.insert(id, (key, signature));
        Ok(true)
    }

    /// The record, with the signatures so far.
    ///
    /// # Errors
    /// If nobody has signed, or the record would be too large.
    pub fn record(&self) -> Result<Signed, DraftError> {
        if self.signatures.is_empty() {
            return Err(DraftError::Unsigned);
        }
        let signatures = self.signatures.iter().map(|(id, (_, signature))| (*id, *signature)).collect();
        Signed::assemble(self.bytes.clone(), signatures).map_err(DraftError::Refused)
    }

    /// The draft as a file holds it.
    pub fn to_json(&self) -> String {
        let signature = |(key, signature): &(PublicKey, Signature)| WireSignature { key: *key, signature: *signature };
        let signatures = self.signatures.values().map(signature).collect();
        let wire = Wire { version: VERSION, bytes: to_base64(&self.bytes), signatures };
        serde_json::to_string_pretty(&wire).expect("texts and numbers are JSON") + "\n"
    }

    /// Makes the file `path`, whole or not at all.
    ///
    /// # Errors
    /// If there is one already, or the disk says no.
    pub fn create(&self, path: &Path) -> Result<(), DraftError> {
        self.write(path, |part| {
            // A hard link, unlike a rename, never takes the place of a file that is there.
            fs::hard_link(part, path).map_err(|source| match source.kind() {
                io::ErrorKind::AlreadyExists => DraftError::Exists { path: path.into() },
                _ => DraftError::Io { doing: "create", path: path.into(), source },
            })
        })
    }

    /// Puts the draft in the place of the file `path`, whole or not at all.
    ///
    /// # Errors
    /// If the disk says no.
    pub fn replace(&self, path: &Path) -> Result<(), DraftError> {
        self.write(path, |part| {
            fs::rename(part, path).map_err(|source| DraftError::Io { doing: "replace", path: path.into(), source })
        })
    }

    fn write(&self, path: &Path, finish: impl FnOnce(&Path) -> Result<(), DraftError>) -> Result<(), DraftError> {
        let mut part = path.as_os_str().to_owned();
        part.push(format!(".{}.part", std::process::id()));
        let part = PathBuf::from(part);
        let written = OpenOptions::new().write(true).create_new(true).open(&part).and_then(|mut file| {
            file.write_all(self.to_json().as_bytes())?;
            file.sync_all()
        });
        let written = written.map_err(|source| DraftError::Io { doing: "write", path: path.into(), source });
        let finished = written.and_then(|()| finish(&part));
        // After a rename there is none; any other is of no use to anybody.
        let _ = fs::remove_file(&part);
        finished
    }
}

#[cfg(test)]
mod tests;
