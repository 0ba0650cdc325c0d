//! Issuer keys on disk.
//!
//! A key file is JSON for one Ed25519 key. All bytes are lower-case hexadecimal:
//!
//! ```json
//! {
//!   "version": 1,
//!   "key": "<public key, 32 bytes>",
//!   "possession": "<proof of possession for the chain id of 32 zero bytes, 64 bytes>",
//!   "seed": "<secret seed, 32 bytes>"
//! }
//! ```
//!
//! or, where a passphrase protects it, `sealed` in the place of `seed`:
//!
//! ```json
//!   "sealed": {
//!     "kdf": "argon2id", "memory_kib": 65536, "passes": 3, "lanes": 4, "salt": "<16 bytes>",
//!     "cipher": "chacha20poly1305", "nonce": "<12 bytes>", "seed": "<seed and tag, 48 bytes>"
//!   }
//! ```
//!
//! The key of the cipher is Argon2id (version 0x13, 32 bytes) of the passphrase; its associated data are
//! `writ/key-file/v1` with a zero byte, the public key, and memory, passes and lanes as 4 bytes each,
//! little-endian. So neither another public key nor cheaper parameters can be put into a sealed file.
//!
//! A file that holds nothing but the 64 digits of a seed is read too: that is how nodes keep their keys.
//!
//! Beside it lies `FILE.pub`, `{"key": .., "possession": ..}`: what a genesis needs to know
//! (`writ-node init --authority NAME=FILE.pub`), and no secret.
//!
//! A key file is created whole or not at all, readable for its owner only, and never written over:
//! a key that is gone is an authority that cannot speak.

mod seal;

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use writ_proto::hash::Digest;
use writ_proto::key::{KeyError, PublicKey, SecretKey, Signature};
use writ_proto::record::EnrolledKey;
use zeroize::{Zeroize as _, Zeroizing};

pub use seal::{Cost, SealError};
use seal::{Sealed, open, seal};

/// The version of the format.
pub const VERSION: u32 = 1;

/// Bytes of the largest file that is read as a key: many times what one needs.
const FILE_BYTES_MAX: u64 = 16 * 1024;

/// What protects a key file.
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl Passphrase {
    /// The passphrase of these bytes.
    ///
    /// # Errors
    /// If there are none.
    pub fn new(bytes: Vec<u8>) -> Result<Self, KeyFileError> {
        if bytes.is_empty() {
            return Err(KeyFileError::EmptyPassphrase);
        }
        Ok(Self(Zeroizing::new(bytes)))
    }

    /// Reads a passphrase from a file: all of it but one line end, which editors add.
    ///
    /// # Errors
    /// If the file cannot be read or holds nothing.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let mut bytes = Zeroizing::new(read_bounded(path)?);
        if bytes.ends_with(b"\n") {
            bytes.pop();
            if bytes.ends_with(b"\r") {
                bytes.pop();
            }
        }
        Self::new(std::mem::take(&mut *bytes))
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

/// A key file that was read: its form is good, its public half fits its proof of possession.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    public: EnrolledKey,
    secret: Secret,
    exposed: bool,
}

/// The secret half.
enum Secret {
    Plain(Zeroizing<[u8; 32]>),
    Sealed(Sealed),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain(..)",
            Self::Sealed(_) => "Sealed(..)",
        })
    }
}

/// Why a key file cannot be used or made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
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
    #[error("`{path}` is there already, and keys are never written over", path = .path.display())]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// Not a key file, or not a whole one.
    #[error("`{path}` is no key file: {reason}", path = .path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A public key that no chain would admit.
    #[error("`{path}` holds a key that no chain admits", path = .path.display())]
    Key {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: KeyError,
    },
    /// The seed belongs to another public key.
    #[error("`{path}` holds the public key {stated}, but its seed makes {made}", path = .path.display())]
    OtherSeed {
        /// Which file.
        path: PathBuf,
        /// The public key that the file states.
        stated: PublicKey,
        /// The public key of the seed.
        made: PublicKey,
    },
    /// A passphrase is needed.
    #[error("`{path}` is protected by a passphrase", path = .path.display())]
    NeedsPassphrase {
        /// Which file.
        path: PathBuf,
    },
    /// The passphrase opens nothing.
    #[error("`{path}` cannot be opened", path = .path.display())]
    Seal {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: SealError,
    },
    /// A passphrase of nothing.
    #[error("the passphrase is empty")]
    EmptyPassphrase,
    /// The machine gave no randomness.
    #[error("the machine gives no randomness: {reason}")]
    Randomness {
        /// What it said.
        reason: String,
    },
}

/// The file as it lies on the disk.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    version: u32,
    key: PublicKey,
    possession: Signature,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seed: Option<SecretText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed: Option<Sealed>,
}

/// A secret in hexadecimal, erased when dropped.
#[derive(Serialize, Deserialize)]
struct SecretText(String);

impl Drop for SecretText {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl KeyFile {
    /// Reads a key file, and checks what can be checked without its passphrase.
    ///
    /// # Errors
    /// If it cannot be read, is cut short or changed, or belongs to a newer version.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let malformed = |reason: String| KeyFileError::Malformed { path: path.into(), reason };
        let bytes = Zeroizing::new(read_bounded(path)?);
        let exposed = fs::metadata(path).map_err(io_error("look at", path))?.permissions().mode() & 0o077 != 0;
        if let Some(seed) = bare_seed(&bytes) {
            let public = enrolled(&SecretKey::from_seed(&seed));
            return Ok(Self { path: path.into(), public, secret: Secret::Plain(seed), exposed });
        }
        let wire: Wire = serde_json::from_slice(&bytes).map_err(|error| malformed(words_of(&error)))?;
        if wire.version != VERSION {
            return Err(malformed(format!("its version is {}, this program knows {VERSION}", wire.version)));
        }
        let public = EnrolledKey { key: wire.key, possession: wire.possession };
        public
            .key
            .admit_possessed(&Digest::ZERO, &public.possession)
            .map_err(|source| KeyFileError::Key { path: path.into(), source })?;
        let secret = match (wire.seed, wire.sealed) {
            (Some(text), None) => {
                let mut seed = Zeroizing::new([0; 32]);
                hex::decode_to_slice(&text.0, seed.as_mut())
                    .map_err(|_| malformed("its seed is not 64 hexadecimal digits".into()))?;
                Secret::Plain(seed)
            }
            (None, Some(sealed)) => Secret::Sealed(sealed),
            (None, None) => return Err(malformed("it has neither `seed` nor `sealed`".into())),
            (Some(_), Some(_)) => return Err(malformed("it has both `seed` and `sealed`".into())),
        };
        Ok(Self { path: path.into(), public, secret, exposed })
    }

    /// The public key with its proof of possession.
    pub fn public(&self) -> &EnrolledKey {
        &self.public
    }

    /// Whether a passphrase protects the secret.
    pub fn is_sealed(&self) -> bool {
        matches!(self.secret, Secret::Sealed(_))
    }

    /// Whether others than the owner have rights on the file.
    pub fn is_exposed(&self) -> bool {
        self.exposed
    }

    /// The key pair. A file that is sealed needs its passphrase; another one ignores it.
    ///
    /// # Errors
    /// If the passphrase is missing or wrong, or the seed belongs to another public key.
    pub fn open(&self, passphrase: Option<&Passphrase>) -> Result<SecretKey, KeyFileError> {
        let seed = match (&self.secret, passphrase) {
            (Secret::Plain(seed), _) => seed.clone(),
            (Secret::Sealed(_), None) => return Err(KeyFileError::NeedsPassphrase { path: self.path.clone() }),
            (Secret::Sealed(sealed), Some(passphrase)) => open(sealed, &passphrase.0, &self.public.key)
                .map_err(|source| KeyFileError::Seal { path: self.path.clone(), source })?,
        };
        let key = SecretKey::from_seed(&seed);
        if key.public() != self.public.key {
            return Err(KeyFileError::OtherSeed {
                path: self.path.clone(),
                stated: self.public.key,
                made: key.public(),
            });
        }
        Ok(key)
    }
}

/// Draws a new key.
///
/// # Errors
/// If the machine gives no randomness.
pub fn generate() -> Result<SecretKey, KeyFileError> {
    let mut seed = Zeroizing::new([0; 32]);
    fill(seed.as_mut())?;
    Ok(SecretKey::from_seed(&seed))
}

/// Where the public half of the key in `path` lies: `FILE.pub`.
pub fn public_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

/// Makes the key file `path` and `FILE.pub` beside it, sealed if there is a passphrase.
///
/// # Errors
/// If one of the files is there already (then nothing is made), or the disk says no.
pub fn create(path: &Path, key: &SecretKey, passphrase: Option<&Passphrase>) -> Result<EnrolledKey, KeyFileError> {
    create_at_cost(path, key, passphrase, Cost::DEFAULT)
}

fn create_at_cost(
    path: &Path,
    key: &SecretKey,
    passphrase: Option<&Passphrase>,
    cost: Cost,
) -> Result<EnrolledKey, KeyFileError> {
    let public = enrolled(key);
    let seed = Zeroizing::new(key.to_seed());
    let (plain, sealed) = match passphrase {
        None => (Some(SecretText(hex::encode(*seed))), None),
        Some(passphrase) => {
            let (mut salt, mut nonce) = ([0; 16], [0; 12]);
            fill(&mut salt)?;
            fill(&mut nonce)?;
            let sealed = seal(&seed, &passphrase.0, &public.key, cost, salt, nonce)
                .map_err(|source| KeyFileError::Seal { path: path.into(), source })?;
            (None, Some(sealed))
        }
    };
    let wire = Wire { version: VERSION, key: public.key, possession: public.possession, seed: plain, sealed };
    let public_path = public_path(path);
    if public_path.symlink_metadata().is_ok() {
        return Err(KeyFileError::Exists { path: public_path });
    }
    create_whole(path, &Zeroizing::new(pretty(&wire)), 0o600)?;
    create_whole(&public_path, &pretty(&public), 0o644)?;
    Ok(public)
}

/// The public half, as a genesis knows it.
fn enrolled(key: &SecretKey) -> EnrolledKey {
    EnrolledKey { key: key.public(), possession: key.prove_possession(&Digest::ZERO) }
}

/// The seed, if there is nothing else.
fn bare_seed(bytes: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let mut seed = Zeroizing::new([0; 32]);
    hex::decode_to_slice(bytes.trim_ascii_end(), seed.as_mut()).ok()?;
    Some(seed)
}

/// JSON with a line end.
fn pretty<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("texts and numbers are JSON");
    bytes.push(b'\n');
    bytes
}

/// Creates a file that appears whole and durable, or not at all, in the place of no other file.
fn create_whole(path: &Path, bytes: &[u8], mode: u32) -> Result<(), KeyFileError> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}.new", std::process::id()));
    let draft = PathBuf::from(draft);
    let written = write_durably(&draft, bytes, mode).map_err(io_error("write", path)).and_then(|()| {
        // A hard link, unlike a rename, never takes the place of a file that is there.
        fs::hard_link(&draft, path).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => KeyFileError::Exists { path: path.into() },
            _ => KeyFileError::Io { doing: "create", path: path.into(), source },
        })
    });
    // The draft is ours, and the link keeps the file: a draft that stays behind harms nobody.
    let _ = fs::remove_file(&draft);
    written?;
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error("sync the folder of", path))
}

fn write_durably(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, KeyFileError> {
    let size = fs::metadata(path).map_err(io_error("read", path))?.len();
    if size > FILE_BYTES_MAX {
        let reason = format!("it has {size} bytes, at most {FILE_BYTES_MAX} are expected");
        return Err(KeyFileError::Malformed { path: path.into(), reason });
    }
    fs::read(path).map_err(io_error("read", path))
}

fn io_error<'a>(doing: &'static str, path: &'a Path) -> impl Fn(io::Error) -> KeyFileError + 'a {
    move |source| KeyFileError::Io { doing, path: path.into(), source }
}

/// What is wrong with the JSON, without quoting it: it may hold a secret.
fn words_of(error: &serde_json::Error) -> String {
    match error.classify() {
        serde_json::error::Category::Eof if error.line() <= 1 && error.column() == 0 => "it is empty".into(),
        serde_json::error::Category::Eof => "it is cut short".into(),
        serde_json::error::Category::Syntax => format!("it is not JSON (line {})", error.line()),
        _ => format!("its members are not those of a key (line {})", error.line()),
    }
}

fn fill(bytes: &mut [u8]) -> Result<(), KeyFileError> {
    getrandom::fill(bytes).map_err(|error| KeyFileError::Randomness { reason: error.to_string() })
}

#[cfg(test)]
mod tests;
