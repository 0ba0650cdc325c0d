//! Where a file lies: what a copy of it does not share.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

/// The inode that a file was made in, and when that was born, where the file system tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) inode: u64,
    pub(super) born: Option<u64>,
}

impl Place {
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let born = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Ok(Self { inode: metadata.ino(), born: born.and_then(|born| u64::try_from(born.as_nanos()).ok()) })
    }

    pub(super) fn is(self, other: Self) -> bool {
        // A file system may tell the birth under one kernel and not under another.
        self.inode == other.inode && (self.born == other.born || self.born.is_none() || other.born.is_none())
    }
}
