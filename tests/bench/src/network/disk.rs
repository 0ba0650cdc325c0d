//! This disk's own measure for whatever is durable: how long one `fdatasync` takes after a little was written.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tempfile::TempDir;

use crate::stats::Durations;

/// What is written each time.
const PIECE: [u8; 4096] = [7; 4096];

/// Where it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    /// At the end of the file, as a store's log grows: its new length is flushed too.
    Appended,
    /// Over what was there, as in a guard's file.
    InPlace,
}

/// The median of `count` waits in nanoseconds, of each of so many files at a time, below `scratch`.
///
/// # Errors
/// If a file cannot be written.
pub(super) fn median(scratch: &Path, place: Where, files: usize, count: usize) -> anyhow::Result<f64> {
    let folder = TempDir::new_in(scratch).context("cannot make a folder for the disk's measure")?;
    let one = |number: usize| -> anyhow::Result<Vec<Duration>> {
        let mut file = File::create(folder.path().join(number.to_string()))?;
        file.write_all(&PIECE)?;
        file.sync_all()?;
        let mut waits = Vec::with_capacity(count);
        for _ in 0..count {
            if place == Where::InPlace {
                file.rewind()?;
            }
            file.write_all(&PIECE)?;
            let start = Instant::now();
            file.sync_data()?;
            waits.push(start.elapsed());
        }
        Ok(waits)
    };
    let mut all = Durations::with_capacity(files * count);
    std::thread::scope(|scope| {
        let one = &one;
        let threads: Vec<_> = (0..files).map(|number| scope.spawn(move || one(number))).collect();
        for thread in threads {
            let waits = thread.join().map_err(|_| anyhow::anyhow!("a thread that writes panicked"))??;
            waits.into_iter().for_each(|wait| all.push(wait));
        }
        anyhow::Ok(())
    })?;
    Ok(all.percentile(0.5))
}
