//! The checkpoint guard: one object that holds the checkpoint key and never says two things about one log.
//!
//! Who cosigns checkpoints of two histories helps to show different logs to different people, which is what
//! checkpoints are there to prevent. So every checkpoint goes through here, and what was signed is on disk
//! *before* the signature leaves:
//!
//! | asked to sign | answer |
//! |---|---|
//! | a larger size than any before | write it, fsync, give the signatures |
//! | the same size and root | the same again; with a later time if that is later |
//! | the same size, another root | refused |
//! | a smaller size | refused |
//!
//! The time of a cosignature never goes back: where the clock did, the last time is signed again.
//!
//! ```text
//!   HOME/keys/checkpoint-guard = slots of: key id 32 | inode u64 | born (u8 0, or 1 and u64) | floor u64
//!                                          | last (u8 0, or 1 and: size u64 | root 32 | time u64)
//! ```
//!
//! It has a place, is adopted, and learns from others like the [`sign guard`](super::sign), for the same reasons. That a larger size
//! is of the *same* log as the last one is for the caller to see to ([`CheckpointGuard::last`] says which
//! that was): it takes the log.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use serde::{Deserialize, Serialize};
use writ_proto::checkpoint::{Checkpoint, Cosignature, TIME_MAX};
use writ_proto::hash::Digest;
use writ_proto::key::{KeyId, PublicKey, SecretKey};

use super::Learned;
use super::place::Place;
use super::slots::{GuardFileError, Kept, SlotFile};

/// A checkpoint that was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedCheckpoint {
    /// Leaves in the log.
    pub size: u64,
    /// Its root.
    pub root: Digest,
    /// The last time at which it was cosigned, in seconds since 1970.
    pub time: u64,
}

/// What the checkpoint key signed last, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct CheckpointMark {
    key: KeyId,
    place: Place,
    /// Nothing is signed of this size or a smaller one.
    floor: u64,
    last: Option<SignedCheckpoint>,
}

impl Kept for CheckpointMark {
    const TAG: &'static [u8; 16] = b"writ/cosign/v1\0\0";
}

/// Why the checkpoint guard cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointGuardError {
    /// It is missing: what the key signed is not known.
    #[error(
        "the checkpoint guard `{path}` is missing, so what the checkpoint key signed is not known, and it signs no more"
    )]
    GuardMissing {
        /// Which file.
        path: PathBuf,
    },
    /// Its file cannot be used.
    #[error(transparent)]
    File(#[from] GuardFileError),
    /// It guards another key.
    #[error("the checkpoint guard `{path}` is of key {found}, expected key {expected}")]
    OtherKey {
        /// Which file.
        path: PathBuf,
        /// The key it is of.
        found: KeyId,
        /// The key that was given.
        expected: KeyId,
    },
    /// It was copied.
    #[error(
        "the checkpoint guard `{path}` was copied or restored: what the checkpoint key signed since is not known, and it signs no more"
    )]
    Copied {
        /// Which file.
        path: PathBuf,
    },
    /// To be adopted at a size below one that it already signed.
    #[error("the key signed a checkpoint of size {signed} already, so it can start above that only, not above {floor}")]
    FloorTooLow {
        /// The floor that was given.
        floor: u64,
        /// The size that it signed last.
        signed: u64,
    },
}

/// Why a checkpoint was not signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointRefused {
    /// Smaller than one that was signed.
    #[error("a checkpoint of size {size} is smaller than the last one that was signed, of size {last}")]
    Smaller {
        /// The size asked for.
        size: u64,
        /// The size signed last.
        last: u64,
    },
    /// Another root was signed for this size.
    #[error("for size {size} the root {signed} was signed, now asked for is {asked}")]
    Conflict {
        /// The size.
        size: u64,
        /// The root asked for.
        asked: Digest,
        /// The root signed.
        signed: Digest,
    },
    /// At or below the size that an operator gave.
    #[error("the checkpoint guard was begun anew above size {floor}, nothing is signed of size {size}")]
    BelowFloor {
        /// The size asked for.
        size: u64,
        /// The floor.
        floor: u64,
    },
    /// A time that a cosignature cannot have.
    #[error("the time {time} is beyond the last second that a cosignature can name")]
    Time {
        /// The time asked for.
        time: u64,
    },
    /// What was to be signed could not be made durable.
    #[error("what was to be signed could not be kept")]
    NotKept(#[source] GuardFileError),
}

/// The one object that signs with the checkpoint key. See the module's doc.
#[derive(Debug)]
pub struct CheckpointGuard {
    key: SecretKey,
    path: PathBuf,
    file: Mutex<SlotFile<CheckpointMark>>,
}

impl CheckpointGuard {
    /// The guard file in the folder `dir`.
    pub fn path(dir: &Path) -> PathBuf {
        dir.join("checkpoint-guard")
    }

    /// Begins the guard of a key that has never signed, in the folder `dir`. Only for `init`.
    ///
    /// # Errors
    /// If there is one already.
    pub fn create(dir: &Path, chain: &Digest, key: &PublicKey) -> Result<(), CheckpointGuardError> {
        Self::create_above(dir, chain, key, 0)
    }

    /// Begins the guard of a key whose own guard was lost, by an operator's word: it signs nowhere else, and may
    /// sign above size `floor`, which lies beyond anything it may have signed.
    ///
    /// # Errors
    /// If there is one already.
    pub fn create_above(dir: &Path, chain: &Digest, key: &PublicKey, floor: u64) -> Result<(), CheckpointGuardError> {
        let key = key.id();
        let mark = |file: &File| Ok(CheckpointMark { key, place: Place::of(file)?, floor, last: None });
        Ok(SlotFile::create(&Self::path(dir), chain, mark)?)
    }

    /// Accepts a guard that was copied or restored, by an operator's word: the key signs nowhere else, and may
    /// sign above size `floor`, which lies beyond anything it may have signed since the copy was made.
    pub fn adopt(dir: &Path, chain: &Digest, key: &PublicKey, floor: u64) -> Result<(), CheckpointGuardError> {
        let path = Self::path(dir);
        let mut file = open_of(&path, chain, key.id())?;
        let mark = file.get().clone();
        let signed = mark.last.map_or(0, |last| last.size).max(mark.floor);
        if floor < signed {
            return Err(CheckpointGuardError::FloorTooLow { floor, signed });
        }
        let place = place_of(&file, &path)?;
        file.set(CheckpointMark { place, floor, ..mark })?;
        Ok(())
    }

    /// Opens the guard of `key` in the folder `dir`.
    ///
    /// # Errors
    /// If it is missing, damaged, copied, in use, or of another key or chain: then nothing may be signed.
    pub fn open(dir: &Path, chain: &Digest, key: SecretKey) -> Result<Self, CheckpointGuardError> {
        let path = Self::path(dir);
        let file = open_of(&path, chain, key.public().id())?;
        if !place_of(&file, &path)?.is(file.get().place) {
            return Err(CheckpointGuardError::Copied { path });
        }
        Ok(Self { key, path, file: Mutex::new(file) })
    }

    /// The public half of the checkpoint key.
    pub fn public_key(&self) -> PublicKey {
        self.key.public()
    }

    /// What was signed last; `None` if nothing was.
    pub fn last(&self) -> Result<Option<SignedCheckpoint>, GuardFileError> {
        Ok(self.lock()?.get().last)
    }

    /// Signs a checkpoint, which ends the block of `height`, both ways: with the time `now`, in seconds since 1970,
    /// or the last one that was signed if that is later. Blocks for an fsync if that was not signed already.
    pub fn sign(&self, checkpoint: &Checkpoint, height: u64, now: u64) -> Result<Cosignature, CheckpointRefused> {
        let mut file = self.lock().map_err(CheckpointRefused::NotKept)?;
        let mark = file.get();
        let next = mark.judge(checkpoint, now)?;
        if mark.last != Some(next) {
            let mark = CheckpointMark { last: Some(next), ..mark.clone() };
            file.set(mark).map_err(CheckpointRefused::NotKept)?;
        }
        // Ed25519 gives the same signature for the same text, so it need not be kept itself.
        Ok(Cosignature::sign(checkpoint, height, &self.key, next.time))
    }

    /// Takes over a cosignature of this key that others have kept and whose signatures were checked. Blocks for an
    /// fsync if it is new.
    ///
    /// # Errors
    /// If it could not be kept.
    pub fn learn(&self, one: &Cosignature) -> Result<Learned, GuardFileError> {
        let Cosignature { size, root, time, key, .. } = *one;
        if key != self.key.public().id() {
            return Ok(Learned::Foreign);
        }
        let mut file = self.lock()?;
        let mark = file.get();
        match mark.last {
            Some(last) if size < last.size || (size, root) == (last.size, last.root) => Ok(Learned::Known),
            Some(last) if size == last.size => Ok(Learned::Conflict),
            _ => {
                let mark = CheckpointMark { last: Some(SignedCheckpoint { size, root, time }), ..mark.clone() };
                file.set(mark)?;
                Ok(Learned::New)
            }
        }
    }

    /// How many fsyncs there were.
    pub fn syncs(&self) -> u64 {
        self.lock().map_or(0, |file| file.syncs())
    }

    /// Lets every later write fail.
    #[cfg(test)]
    pub(crate) fn break_disk(&self) {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a device that is always full");
        self.lock().expect("no write failed yet").write_to(full);
    }

    fn lock(&self) -> Result<MutexGuard<'_, SlotFile<CheckpointMark>>, GuardFileError> {
        // Poisoned: a write was cut off by a panic.
        self.file.lock().map_err(|_| GuardFileError::Failed { path: self.path.clone() })
    }
}

impl CheckpointMark {
    /// The rule: what will have been signed last, or why it may not be signed.
    fn judge(&self, checkpoint: &Checkpoint, now: u64) -> Result<SignedCheckpoint, CheckpointRefused> {
        let Checkpoint { size, root, .. } = *checkpoint;
        if now > TIME_MAX {
            return Err(CheckpointRefused::Time { time: now });
        }
        if size <= self.floor {
            return Err(CheckpointRefused::BelowFloor { size, floor: self.floor });
        }
        let Some(last) = self.last else { return Ok(SignedCheckpoint { size, root, time: now }) };
        if size < last.size {
            return Err(CheckpointRefused::Smaller { size, last: last.size });
        }
        if size == last.size && root != last.root {
            return Err(CheckpointRefused::Conflict { size, asked: root, signed: last.root });
        }
        Ok(SignedCheckpoint { size, root, time: now.max(last.time) })
    }
}

fn open_of(path: &Path, chain: &Digest, key: KeyId) -> Result<SlotFile<CheckpointMark>, CheckpointGuardError> {
    let file = SlotFile::<CheckpointMark>::open(path, chain).map_err(|error| match error {
        GuardFileError::Missing { path } => CheckpointGuardError::GuardMissing { path },
        error => error.into(),
    })?;
    let found = file.get().key;
    if found != key {
        return Err(CheckpointGuardError::OtherKey { path: path.into(), found, expected: key });
    }
    Ok(file)
}

fn place_of(file: &SlotFile<CheckpointMark>, path: &Path) -> Result<Place, GuardFileError> {
    Place::of(file.file()).map_err(|source| GuardFileError::Io { doing: "read", path: path.into(), source })
}

#[cfg(test)]
mod tests;
