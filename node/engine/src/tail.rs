//! The engine's write-ahead log before the engine opens it: waited for, and its torn tail cut off.
//!
//! After a power cut the log may be longer than what was flushed of it: what follows is cut off in the middle of an entry, or
//! zeros, which read as entries without content. The engine takes either for damage and stands still for good. But nothing
//! that follows the last flush has had any effect: the engine flushes before it says anything. So a tail like that is cut off.
//!
//! Damage *before* intact entries is no torn tail. It stays, and the engine refuses: it may have forgotten on which value it
//! is locked, and that no guard knows.

use std::io;
use std::path::Path;
use std::time::Duration;

use malachitebft_app_channel::app::wal::Log;

/// How long the log may stay locked by a process, or an engine of this one, that is just ending.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
/// Bytes before the first entry: version and height.
const HEAD: usize = 12;
/// Bytes of an entry before its content: whether it is compressed, its length, its checksum.
const ENTRY_HEAD: usize = 13;

/// Waits until nobody holds the log (a process that was killed a moment ago still may), and mends it.
pub(crate) async fn prepare(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let give_up = tokio::time::Instant::now() + LOCK_PATIENCE;
    loop {
        match Log::open(path) {
            Ok(mut log) => return mend(&mut log, path),
            // The engine's log gives this no kind of its own.
            Err(error) if error.to_string().contains("advisory lock") && tokio::time::Instant::now() < give_up => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

fn mend(log: &mut Log, path: &Path) -> io::Result<()> {
    let is_good = |entry: io::Result<Vec<u8>>| entry.is_ok_and(|content| !content.is_empty());
    let Some(bad) = log.iter()?.position(|entry| !is_good(entry)) else { return Ok(()) };
    // Opening the log cut off what does not fit into the file, so all lengths do.
    let bytes = std::fs::read(path)?;
    if lengths(&bytes).skip(bad + 1).any(|length| length > 0) {
        return Ok(());
    }
    tracing::warn!(entries = bad, of = log.len(), "the end of the write-ahead log was never flushed, and is cut off");
    log.truncate(bad as u64)
}

/// The lengths of the entries in a log.
fn lengths(log: &[u8]) -> impl Iterator<Item = u64> {
    let mut at = HEAD;
    std::iter::from_fn(move || {
        let length = u64::from_be_bytes(*log.get(at + 1..)?.first_chunk()?);
        at = at.checked_add(ENTRY_HEAD)?.checked_add(usize::try_from(length).ok()?)?;
        Some(length)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log with these entries, and these bytes after them.
    fn log(entries: &[&[u8]], tail: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = Log::open(&path).unwrap();
        log.reset(7).unwrap();
        entries.iter().for_each(|entry| log.append(entry).unwrap());
        drop(log);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&bytes[..], tail].concat()).unwrap();
        (folder, path)
    }

    fn read(path: &Path) -> Vec<Vec<u8>> {
        Log::open(path).unwrap().iter().unwrap().collect::<io::Result<_>>().unwrap()
    }

    #[tokio::test]
    async fn a_torn_tail_is_cut_off() {
        // Of an entry whose content did not all arrive: its length fits by chance.
        let half = [&[0][..], &3u64.to_be_bytes(), &[1, 2, 3, 4], b"abc"].concat();
        for (case, tail) in [
            ("nothing", vec![]),
            ("zeros", vec![0; 4096]),
            ("a few zeros", vec![0; 5]),
            ("the head of an entry", half[..9].to_vec()),
            ("an entry without its content", half[..13].to_vec()),
            ("an entry with wrong content", half.clone()),
            ("the same, then zeros", [&half[..], &[0; 300]].concat()),
        ] {
            let (_folder, path) = log(&[b"one", b"two"], &tail);
            prepare(&path).await.unwrap();
            assert_eq!(read(&path), [b"one", b"two"], "{case}");
            assert_eq!(Log::open(&path).unwrap().sequence(), 7, "{case}");
        }
    }

    #[tokio::test]
    async fn damage_before_intact_entries_stays() {
        for (case, at) in [("the content of the first entry", 26), ("its checksum", 22)] {
            let (_folder, path) = log(&[b"one", b"two"], &[]);
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            prepare(&path).await.unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), bytes, "{case}");
        }
    }
}
