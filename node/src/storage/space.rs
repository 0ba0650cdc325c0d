//! How much room the disk has left.
//!
//! RocksDB survives a full disk, but what comes then is a failed write, and that ends the process. So the node
//! stops taking records while there is still room, and goes on answering.

use std::io;
use std::path::Path;

/// What is left that no one may use up: room for what is under way, compaction included.
pub const FREE_BYTES_MIN: u64 = 256 * 1024 * 1024;

/// The room on one file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that this process may still use.
    pub free: u64,
    /// Bytes that there are.
    pub total: u64,
}

impl Space {
    /// Whether it is time to refuse writes: less is free than `free_bytes_min`, or than a twentieth of the disk if
    /// that is less (a small disk would never be large enough otherwise).
    pub fn is_low(&self, free_bytes_min: u64) -> bool {
        self.free < free_bytes_min.min(self.total / 20)
    }

    /// Whether it is time to write nothing more at all, not even what other nodes decide: less is free than a quarter
    /// of what [`Space::is_low`] goes by. A write that fails ends the process; one that is not tried can wait.
    pub fn is_exhausted(&self, free_bytes_min: u64) -> bool {
        self.free < free_bytes_min.min(self.total / 20) / 4
    }
}

/// The room on the file system that `path` is on.
///
/// # Errors
/// If there is no `path`.
pub fn space(path: &Path) -> io::Result<Space> {
    let found = rustix::fs::statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    // `f_bavail`: what is reserved for root is not ours.
    Ok(Space { free: bytes(found.f_bavail), total: bytes(found.f_blocks) })
}

/// The bytes that this process may still use on the file system that `path` is on.
///
/// # Errors
/// If there is no `path`.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    Ok(space(path)?.free)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_low_below_the_bound_or_a_twentieth_whichever_is_less() {
        const GIB: u64 = 1 << 30;
        for (free, total, low) in [
            (100 * GIB, 1000 * GIB, false),
            (FREE_BYTES_MIN, 1000 * GIB, false),
            (FREE_BYTES_MIN - 1, 1000 * GIB, true),
            // A disk of 1 GiB: the twentieth counts.
            (GIB / 20, GIB, false),
            (GIB / 20 - 1, GIB, true),
            (0, 0, false),
        ] {
            assert_eq!(Space { free, total }.is_low(FREE_BYTES_MIN), low, "{free} of {total}");
        }
    }

    #[test]
    fn the_room_of_a_real_disk_makes_sense() {
        let dir = tempfile::tempdir().unwrap();
        let space = space(dir.path()).unwrap();
        assert!(space.free > 0 && space.free <= space.total, "{space:?}");
        assert!(free_bytes(&dir.path().join("missing")).is_err());
    }
}
