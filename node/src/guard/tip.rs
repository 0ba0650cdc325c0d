//! The tip guard: how far the database was.
//!
//! RocksDB opens without a word when its log file was deleted or the whole folder was swapped for an older
//! copy, and an older truth can hold grants that were revoked since. So after each block its height and hashes are
//! written to a file of their own, and at start the two are compared:
//!
//! ```text
//!   guard        database
//!   none         empty        Fresh      a new node; the guard begins
//!   none         height 7     Missing    the guard was lost: what the database should hold is not known
//!   height 7     height 7     Level      if the hashes are the same, else Conflict
//!   height 7     height 8     Ahead      a crash between database and guard; fine, if it holds the guard's block
//!   height 7     height 6     Behind     the database lost a block that was answered from
//! ```
//!
//! Only *fresh*, *level* and *ahead* may answer and sign. A database that is *behind* catches up from its
//! peers, block by block, and is level when it comes to the guard's own block; alone, or with the guard
//! *missing*, an operator has to say that the loss is accepted ([`TipGuard::restore`]).

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use serde::{Deserialize, Serialize};
use writ_proto::hash::Digest;

use super::slots::{GuardFileError, Kept, SlotFile};
use crate::storage::{LogStore, StoreError};

/// How far the database was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TipMark {
    /// Height of the last block; 0 before block 1.
    pub height: u64,
    /// Its hash; at height 0 the chain id.
    pub block: Digest,
    /// Leaf hash of its commit leaf; at height 0 the chain id.
    pub commit_leaf: Digest,
    /// How many pending restrictive records were ever taken in.
    pub pending_sequence: u64,
    /// How many of them are not settled.
    pub pending_count: u64,
}

impl Kept for TipMark {
    const TAG: &'static [u8; 16] = b"writ/tip/v1\0\0\0\0\0";
}

/// How guard and database stand to each other. See the module's doc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Neither holds anything.
    Fresh,
    /// Both at the same block.
    Level,
    /// The database is further.
    Ahead,
    /// The database lost blocks.
    Behind {
        /// Where the guard is.
        guard: u64,
        /// Where the database is.
        db: u64,
    },
    /// The guard was lost.
    Missing {
        /// Where the database is.
        db: u64,
    },
    /// The database holds another block at the guard's height.
    Conflict {
        /// That height.
        height: u64,
        /// The guard's block.
        guard: Digest,
        /// The database's block.
        db: Digest,
    },
}

impl Standing {
    /// Whether the node may answer and sign.
    pub fn may_answer(&self) -> bool {
        matches!(self, Self::Fresh | Self::Level | Self::Ahead)
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fresh => f.write_str("the database is empty and its guard begins"),
            Self::Level => f.write_str("the database is where its guard is"),
            Self::Ahead => f.write_str("the database is ahead of its guard"),
            Self::Behind { guard, db } => {
                write!(
                    f,
                    "the database ends at block {db}, but it was at block {guard} before: it lost blocks or was replaced"
                )
            }
            Self::Missing { db } => {
                write!(f, "the database ends at block {db}, but the guard that knows where it should end is missing")
            }
            Self::Conflict { height, guard, db } => {
                write!(f, "block {height} of the database is {db}, but it was {guard} before: it was replaced")
            }
        }
    }
}

/// Why a node neither answers nor signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this node must not answer: {0}")]
pub struct MustNotAnswer(pub Standing);

/// Why the tip guard cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TipGuardError {
    /// Its file cannot be used.
    #[error(transparent)]
    File(#[from] GuardFileError),
    /// The database could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A block that contradicts what the guard knows.
    #[error("block {height} is {found}, but it was {expected} before")]
    Conflict {
        /// Its height.
        height: u64,
        /// The block that came.
        found: Digest,
        /// The block that was there.
        expected: Digest,
    },
    /// The count of pending records went back.
    #[error("pending record {found} comes after {last}")]
    Backwards {
        /// The sequence that came.
        found: u64,
        /// The last one.
        last: u64,
    },
}

/// The tip guard. See the module's doc.
#[derive(Debug)]
pub struct TipGuard {
    path: PathBuf,
    /// `None`: the file is missing.
    file: Mutex<Option<SlotFile<TipMark>>>,
}

impl TipGuard {
    /// The guard file in the folder `dir`.
    pub fn path(dir: &Path) -> PathBuf {
        dir.join("tip")
    }

    /// Opens the guard in the folder `dir` and judges the database of chain `chain`. A missing guard begins here
    /// if the database is empty, and only then.
    pub fn open(dir: &Path, chain: &Digest, store: &dyn LogStore) -> Result<(Self, Standing), TipGuardError> {
        let path = Self::path(dir);
        let file = match SlotFile::open(&path, chain) {
            Ok(file) => Some(file),
            Err(GuardFileError::Missing { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let guard = Self { path, file: Mutex::new(file) };
        let standing = guard.judge(store)?;
        if standing == Standing::Fresh {
            let mark = mark_of(chain, store)?;
            SlotFile::create(&guard.path, chain, |_| Ok(mark))?;
            *guard.lock()? = Some(SlotFile::open(&guard.path, chain)?);
        }
        Ok((guard, standing))
    }

    /// Accepts the database as it is, by an operator's word: the guard begins anew at its tip. Gives what the
    /// guard held before, if that can be read, for the record.
    ///
    /// # Errors
    /// If a node is running on it.
    pub fn restore(dir: &Path, chain: &Digest, store: &dyn LogStore) -> Result<Option<TipMark>, TipGuardError> {
        let path = Self::path(dir);
        let before = match SlotFile::<TipMark>::open(&path, chain) {
            Ok(file) => Some(*file.get()),
            Err(error @ GuardFileError::InUse { .. }) => return Err(error.into()),
            Err(_) => None,
        };
        let mark = mark_of(chain, store)?;
        SlotFile::replace(&path, chain, |_| Ok(mark))?;
        Ok(before)
    }

    /// Compares the guard with the database.
    pub fn judge(&self, store: &dyn LogStore) -> Result<Standing, TipGuardError> {
        let (mark, tip) = (self.mark()?, store.tip()?);
        let db = tip.map_or(0, |tip| tip.height);
        let Some(mark) = mark else {
            return Ok(if tip.is_none() { Standing::Fresh } else { Standing::Missing { db } });
        };
        if db < mark.height {
            return Ok(Standing::Behind { guard: mark.height, db });
        }
        if mark.height > 0 {
            let leaf = store.commit_leaf(mark.height)?;
            let found = leaf.map_or((Digest::ZERO, Digest::ZERO), |leaf| (leaf.header.hash(), leaf.hash()));
            if found != (mark.block, mark.commit_leaf) {
                return Ok(Standing::Conflict { height: mark.height, guard: mark.block, db: found.0 });
            }
        }
        Ok(if db == mark.height { Standing::Level } else { Standing::Ahead })
    }

    /// Takes note of a block that is in the database, durably. One below the guard, while the database catches up,
    /// changes nothing.
    ///
    /// # Errors
    /// If it is another block than the guard knows, the guard is missing, or a write fails: the process must end.
    pub fn advance(&self, height: u64, block: Digest, commit_leaf: Digest) -> Result<(), TipGuardError> {
        self.change(|mark| {
            if height == mark.height && (block, commit_leaf) != (mark.block, mark.commit_leaf) {
                return Err(TipGuardError::Conflict { height, found: block, expected: mark.block });
            }
            Ok((height > mark.height).then_some(TipMark { height, block, commit_leaf, ..mark }))
        })
    }

    /// Takes note of how many pending restrictive records were ever taken in, and how many are not settled.
    ///
    /// # Errors
    /// If fewer were taken in than before, the guard is missing, or a write fails.
    pub fn note_pending(&self, sequence: u64, count: u64) -> Result<(), TipGuardError> {
        self.change(|mark| {
            if sequence < mark.pending_sequence {
                return Err(TipGuardError::Backwards { found: sequence, last: mark.pending_sequence });
            }
            let next = TipMark { pending_sequence: sequence, pending_count: count, ..mark };
            Ok((next != mark).then_some(next))
        })
    }

    /// What the guard holds; `None` if it is missing.
    pub fn mark(&self) -> Result<Option<TipMark>, TipGuardError> {
        Ok(self.lock()?.as_ref().map(|file| *file.get()))
    }

    /// How many fsyncs there were.
    pub fn syncs(&self) -> u64 {
        self.lock().ok().and_then(|file| Some(file.as_ref()?.syncs())).unwrap_or(0)
    }

    fn change(
        &self,
        change: impl FnOnce(TipMark) -> Result<Option<TipMark>, TipGuardError>,
    ) -> Result<(), TipGuardError> {
        let mut file = self.lock()?;
        let file = file.as_mut().ok_or_else(|| GuardFileError::Missing { path: self.path.clone() })?;
        if let Some(mark) = change(*file.get())? {
            file.set(mark)?;
        }
        Ok(())
    }

    fn lock(&self) -> Result<MutexGuard<'_, Option<SlotFile<TipMark>>>, GuardFileError> {
        // Poisoned: a write was cut off by a panic.
        self.file.lock().map_err(|_| GuardFileError::Failed { path: self.path.clone() })
    }
}

/// What the guard of this database would hold.
fn mark_of(chain: &Digest, store: &dyn LogStore) -> Result<TipMark, StoreError> {
    let (height, block, commit_leaf) =
        store.tip()?.map_or((0, *chain, *chain), |tip| (tip.height, tip.block, tip.commit_leaf));
    Ok(TipMark { height, block, commit_leaf, pending_sequence: 0, pending_count: 0 })
}

#[cfg(test)]
mod tests;
