//! A small value in a file of two slots, so that neither a crash nor a damaged byte loses it.
//!
//! ```text
//!   0      slot 0                                                                        4096  slot 1      8192
//!   | tag 16 | length u32 | sequence u64 | chain 32 | value | zeros ... | SHA-256 32 |   | the same |
//!                         \___ length bytes, proto::codec ___/            of all before
//! ```
//!
//! A change is written to the slot of its sequence's parity and synced; that is when it counts. Then it is
//! written to the other slot too, which the next change's sync makes durable. So at any instant
//!
//! - one slot is whole and holds the newest value that counts or the one that was just being written,
//!   whatever a crash does to the other;
//! - in a file at rest both slots hold the newest value, so one that is damaged loses nothing. (Only damage
//!   *and* a power cut within the seconds before it together bring back the value before the last.)
//!
//! Each slot is a page of its own: a write that is torn within one cannot touch the other. A file with no
//! whole slot is refused. The file is locked while it is open, against a second process on the same home.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use writ_proto::codec;
use writ_proto::hash::Digest;

use super::durable;

/// Bytes of a slot.
pub(crate) const SLOT: usize = 4096;
const TAG: usize = 16;
const CHECKSUM: usize = 32;
const BODY_AT: usize = TAG + 4;
const BODY_MAX: usize = SLOT - CHECKSUM - BODY_AT;

/// What a file of slots holds.
pub(crate) trait Kept: Clone + PartialEq + Serialize + DeserializeOwned {
    /// What kind of file it is; starts both slots.
    const TAG: &'static [u8; TAG];
}

/// Why a guard file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuardFileError {
    /// It is not there.
    #[error("`{path}` is missing")]
    Missing {
        /// Which file.
        path: PathBuf,
    },
    /// It is there, and was to be made.
    #[error("`{path}` is there already")]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// Another process has it open.
    #[error("`{path}` is in use by another process")]
    InUse {
        /// Which file.
        path: PathBuf,
    },
    /// Neither slot is whole.
    #[error("`{path}` is damaged: {detail}")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// It guards another chain.
    #[error("`{path}` is of chain {found}, expected chain {expected}")]
    OtherChain {
        /// Which file.
        path: PathBuf,
        /// The chain it is of.
        found: Digest,
        /// The chain that was asked for.
        expected: Digest,
    },
    /// A write failed before.
    #[error("an earlier write to `{path}` failed, so it takes no more until the process starts again")]
    Failed {
        /// Which file.
        path: PathBuf,
    },
    /// The operating system failed.
    #[error("cannot {doing} `{path}`")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What it said.
        #[source]
        source: io::Error,
    },
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Body<T> {
    sequence: u64,
    chain: Digest,
    value: T,
}

/// A value in a file of two slots. See the module's doc.
#[derive(Debug)]
pub(crate) struct SlotFile<T> {
    path: PathBuf,
    file: File,
    chain: Digest,
    sequence: u64,
    value: T,
    failed: bool,
    syncs: u64,
}

impl<T: Kept> SlotFile<T> {
    /// Makes the file with a first value, durably. `value` is given the empty file, to say where it lies.
    ///
    /// # Errors
    /// If it is there already.
    pub(crate) fn create(
        path: &Path,
        chain: &Digest,
        value: impl FnOnce(&File) -> io::Result<T>,
    ) -> Result<(), GuardFileError> {
        durable::create(path, |file| fill(file, chain, value)).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => GuardFileError::Exists { path: path.into() },
            _ => GuardFileError::Io { doing: "make", path: path.into(), source },
        })
    }

    /// Puts a new file with a first value in the place of whatever is there, unless somebody uses it.
    pub(crate) fn replace(
        path: &Path,
        chain: &Digest,
        value: impl FnOnce(&File) -> io::Result<T>,
    ) -> Result<(), GuardFileError> {
        // Held until the new file is in place.
        let _old = match File::open(path) {
            Ok(file) => {
                lock(&file, path)?;
                Some(file)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(GuardFileError::Io { doing: "open", path: path.into(), source }),
        };
        durable::replace(path, |file| fill(file, chain, value)).map_err(|source| GuardFileError::Io {
            doing: "replace",
            path: path.into(),
            source,
        })
    }

    /// Opens the file of chain `chain`, locks it, and makes both slots whole again.
    pub(crate) fn open(path: &Path, chain: &Digest) -> Result<Self, GuardFileError> {
        let io = |doing| move |source| GuardFileError::Io { doing, path: path.into(), source };
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => GuardFileError::Missing { path: path.into() },
            _ => io("open")(source),
        })?;
        lock(&file, path)?;
        let mut bytes = Vec::with_capacity(2 * SLOT);
        (&file).take(2 * SLOT as u64).read_to_end(&mut bytes).map_err(io("read"))?;
        let slots = read_slots::<T>(&bytes);
        let newest = newest(&slots).map_err(|detail| GuardFileError::Damaged { path: path.into(), detail })?;
        if newest.chain != *chain {
            return Err(GuardFileError::OtherChain { path: path.into(), found: newest.chain, expected: *chain });
        }
        let mut opened = Self {
            path: path.into(),
            file,
            chain: *chain,
            sequence: newest.sequence,
            value: newest.value.clone(),
            failed: false,
            syncs: 0,
        };
        // A slot that is not whole must not be the last hope of a later crash.
        for (at, slot) in slots.iter().enumerate() {
            if slot.as_ref().ok() != Some(newest) {
                opened.write(at, newest).map_err(io("mend"))?;
                opened.sync().map_err(io("mend"))?;
            }
        }
        Ok(opened)
    }

    /// The value.
    pub(crate) fn get(&self) -> &T {
        &self.value
    }

    /// The file.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Changes the value. It is durable when this returns.
    ///
    /// # Errors
    /// If a write or an fsync fails, now or ever before: what is on disk is not known then, and nothing that
    /// depends on the new value may happen.
    pub(crate) fn set(&mut self, value: T) -> Result<(), GuardFileError> {
        if self.failed {
            return Err(GuardFileError::Failed { path: self.path.clone() });
        }
        let body = Body { sequence: self.sequence + 1, chain: self.chain, value };
        if let Err(source) = self.put(&body) {
            self.failed = true;
            return Err(GuardFileError::Io { doing: "write", path: self.path.clone(), source });
        }
        self.sequence = body.sequence;
        self.value = body.value;
        Ok(())
    }

    /// How many fsyncs there were.
    pub(crate) fn syncs(&self) -> u64 {
        self.syncs
    }

    fn put(&mut self, body: &Body<T>) -> io::Result<()> {
        // The slot of the other parity is durable with the value before: it was the last one to be synced.
        let first = (body.sequence % 2) as usize;
        self.write(first, body)?;
        self.sync()?;
        self.write(1 - first, body)
    }

    fn write(&self, slot: usize, body: &Body<T>) -> io::Result<()> {
        self.file.write_all_at(&to_bytes(body)?, (slot * SLOT) as u64)
    }

    fn sync(&mut self) -> io::Result<()> {
        // The file's length never changes, so its data is all there is to sync.
        self.file.sync_data()?;
        self.syncs += 1;
        Ok(())
    }

    /// Lets every later write go to `file`, as if the disk had changed its mind.
    #[cfg(test)]
    pub(crate) fn write_to(&mut self, file: File) {
        self.file = file;
    }
}

fn fill<T: Kept>(file: &File, chain: &Digest, value: impl FnOnce(&File) -> io::Result<T>) -> io::Result<()> {
    let bytes = to_bytes(&Body { sequence: 0, chain: *chain, value: value(file)? })?;
    file.write_all_at(&bytes, 0)?;
    file.write_all_at(&bytes, SLOT as u64)
}

fn lock(file: &File, path: &Path) -> Result<(), GuardFileError> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => GuardFileError::InUse { path: path.into() },
        TryLockError::Error(source) => GuardFileError::Io { doing: "lock", path: path.into(), source },
    })
}

fn to_bytes<T: Kept>(body: &Body<T>) -> io::Result<[u8; SLOT]> {
    let encoded = codec::encode(body);
    if encoded.len() > BODY_MAX {
        return Err(io::Error::other(format!("{} bytes do not fit a slot of {BODY_MAX}", encoded.len())));
    }
    let mut slot = [0; SLOT];
    slot[..TAG].copy_from_slice(T::TAG);
    slot[TAG..BODY_AT].copy_from_slice(&(encoded.len() as u32).to_le_bytes());
    slot[BODY_AT..BODY_AT + encoded.len()].copy_from_slice(&encoded);
    let checksum = Digest::of(&[&slot[..SLOT - CHECKSUM]]);
    slot[SLOT - CHECKSUM..].copy_from_slice(&checksum.0);
    Ok(slot)
}

/// A slot, or what is wrong with it.
type Slot<T> = Result<Body<T>, &'static str>;

/// Both slots of a file.
fn read_slots<T: Kept>(bytes: &[u8]) -> [Slot<T>; 2] {
    [0, 1].map(|slot| match bytes.get(slot * SLOT..).and_then(<[u8]>::first_chunk) {
        Some(bytes) => from_bytes(bytes),
        None => Err("cut off"),
    })
}

fn from_bytes<T: Kept>(slot: &[u8; SLOT]) -> Slot<T> {
    let (data, checksum) = slot.split_at(SLOT - CHECKSUM);
    if Digest::of(&[data]).0 != checksum {
        return Err("its checksum does not fit");
    }
    let rest = data.strip_prefix(T::TAG).ok_or("it is a file of another kind")?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or("cut off")?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| "its length is impossible")?;
    let body = rest.get(..length).ok_or("its length is impossible")?;
    codec::decode::<_, BODY_MAX>(body).map_err(|_| "its value cannot be read")
}

/// The newer of two slots.
fn newest<T: Kept>(slots: &[Slot<T>; 2]) -> Result<&Body<T>, String> {
    match slots {
        [Ok(a), Ok(b)] if a.sequence == b.sequence && a != b => Err("its slots contradict each other".into()),
        [Ok(a), Ok(b)] => Ok(if a.sequence >= b.sequence { a } else { b }),
        [Ok(whole), Err(_)] | [Err(_), Ok(whole)] => Ok(whole),
        [Err(a), Err(b)] => Err(format!("neither slot can be read (the first: {a}; the second: {b})")),
    }
}

#[cfg(test)]
mod tests;
