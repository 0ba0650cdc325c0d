//! The high-water mark on disk.
//!
//! ```text
//!   HOME/guard/clock = slots of: until u64         no answer was given for a time later than this
//! ```

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use writ_proto::hash::Digest;
use writ_proto::time::LedgerTime;

use super::ClockError;
use crate::guard::{GuardFileError, Kept, SlotFile};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ClockMark {
    pub(super) until: LedgerTime,
}

impl Kept for ClockMark {
    const TAG: &'static [u8; 16] = b"writ/clock/v1\0\0\0";
}

pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join("clock")
}

/// Opens the mark in the folder `dir`; a missing one begins at the beginning of time if it `may_begin`.
pub(super) fn open(dir: &Path, chain: &Digest, may_begin: bool) -> Result<SlotFile<ClockMark>, ClockError> {
    let path = path(dir);
    match SlotFile::open(&path, chain) {
        Err(GuardFileError::Missing { .. }) if may_begin => {
            SlotFile::create(&path, chain, |_| Ok(ClockMark { until: LedgerTime::EPOCH }))?;
            Ok(SlotFile::open(&path, chain)?)
        }
        Err(GuardFileError::Missing { path }) => Err(ClockError::MarkMissing { path }),
        opened => Ok(opened?),
    }
}

/// Begins the mark anew.
pub(super) fn restore(dir: &Path, chain: &Digest, until: LedgerTime) -> Result<(), ClockError> {
    Ok(SlotFile::replace(&path(dir), chain, |_| Ok(ClockMark { until }))?)
}
