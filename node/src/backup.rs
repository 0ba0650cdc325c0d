//! Backups: what a home could not get back from itself, taken while its node runs.
//!
//! ```text
//!   FILE           the chain, exactly as `writ export` writes it: genesis, every block with its certificate, trailer
//!   FILE.waiting   what was acknowledged and is in no block yet (backup/waiting.rs)
//! ```
//!
//! So a backup is an export: `writ audit --file FILE` verifies it, on any machine, with no node and no key. The second
//! file is apart because it is no part of the chain; it names the first by its digest, and is there even if nothing
//! waits, so that a lost one is not mistaken for that.
//!
//! **Never in a backup**: the keys, the sign guard, the tip guard, the clock's mark. An old copy of a guard defeats it.
//!
//! The database is read through a second instance beside the running node's, which sees one instant of it and
//! writes nothing there. On the way every leaf is hashed again and compared with what its block agreed on, so a
//! damaged database makes no backup; signatures are left to the audit, and to [`crate::restore`], which checks all.

mod waiting;

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use writ_proto::block::Block;
use writ_proto::codec::Blob;
use writ_proto::export::{End, Frame, Trailer, Writer};
use writ_proto::genesis::Genesis;
use writ_proto::hash::Digest;
use writ_proto::merkle::{Frontier, leaf_hash};
use writ_proto::time::LedgerTime;

use crate::clock;
use crate::guard::durable;
use crate::home::Home;
use crate::node::read_genesis;
use crate::storage::{LogStore, StoreError, rocks};
pub use waiting::{Waiting, WaitingError};

/// How often a running node may get in the way of opening its database beside it: it may be deleting a file
/// just then.
const OPEN_TRIES: u32 = 20;
/// How long to wait in between.
const OPEN_PAUSE: Duration = Duration::from_millis(250);

/// What a backup holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// Where the chain stands in it.
    pub end: End,
    /// How many records wait in it.
    pub waiting: usize,
}

/// What the last backup of a home was: left in the home, for whoever watches that there are any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastBackup {
    /// Where the chain stood in it.
    pub height: u64,
    /// When it was finished.
    pub time: LedgerTime,
}

impl LastBackup {
    /// Reads what the last backup left; nothing if there was none.
    pub fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    /// Leaves word.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let text = serde_json::to_vec(self).map_err(io::Error::other)?;
        durable::replace(path, |mut file| file.write_all(&text))
    }
}

/// The second file of the backup `file`.
pub fn waiting_file(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".waiting");
    name.into()
}

/// Makes a backup of the ledger in `home` in the file `to`, whether a node runs there or not.
///
/// # Errors
/// If there is a file already, or the database cannot be read, or does not add up. Nothing is left behind then.
pub fn backup(home: &Home, to: &Path) -> anyhow::Result<Made> {
    for file in [to, &waiting_file(to)] {
        ensure!(!file.exists(), "`{}` is there already; a backup is never written over", file.display());
    }
    let genesis = read_genesis(home)?;
    let chain = genesis.chain_id();
    let scratch = Scratch::beside(to)?;
    let store = open_beside(home, &chain, &scratch.0)?;
    let drafts = [to, &waiting_file(to)].map(draft_of);
    let made = write(&*store, genesis, &drafts).inspect_err(|_| {
        // A draft is of no use to anybody.
        let _ = drafts.iter().try_for_each(fs::remove_file);
    })?;
    // The second first: who finds the first finds both.
    for (draft, file) in drafts.iter().zip([to, &waiting_file(to)]).rev() {
        fs::rename(draft, file).with_context(|| format!("cannot make `{}`", file.display()))?;
    }
    durable::sync_folder(to).with_context(|| format!("cannot make `{}` durable", to.display()))?;
    let last = LastBackup { height: made.end.height, time: clock::wall_time() };
    if let Err(error) = last.write(&home.last_backup()) {
        tracing::warn!(%error, "the backup is made, but the node's metrics will not tell of it");
    }
    Ok(made)
}

fn open_beside(home: &Home, chain: &Digest, scratch: &Path) -> anyhow::Result<std::sync::Arc<dyn LogStore>> {
    let path = home.database();
    ensure!(path.join("CURRENT").exists(), "there is no database in `{}`", path.display());
    for _ in 1..OPEN_TRIES {
        match rocks::open_beside(&path, chain, scratch) {
            Err(StoreError::Database { source, .. }) => tracing::debug!(%source, "the database is moving"),
            opened => return opened.with_context(|| format!("cannot read `{}`", path.display())),
        }
        std::thread::sleep(OPEN_PAUSE);
    }
    rocks::open_beside(&path, chain, scratch).with_context(|| format!("cannot read `{}`", path.display()))
}

fn write(store: &dyn LogStore, genesis: Genesis, drafts: &[PathBuf; 2]) -> anyhow::Result<Made> {
    let chain = genesis.chain_id();
    let cannot = |draft: &Path| format!("cannot write `{}`", draft.display());
    let mut file = draft_file(&drafts[0]).with_context(|| cannot(&drafts[0]))?;
    let mut writer = Writer::new();
    file.write_all(&writer.header(&genesis)).with_context(|| cannot(&drafts[0]))?;
    let mut walk = Walk { previous: chain, log: Frontier::new() };
    let tip = store.tip()?.map_or(0, |tip| tip.height);
    for height in 1..=tip {
        let frame = walk.next(store, height)?;
        file.write_all(&writer.frame(&frame)).with_context(|| cannot(&drafts[0]))?;
    }
    let end = End { height: tip, log_size: walk.log.size(), log_root: walk.log.root(), commit_leaf: walk.previous };
    let trailer = writer.trailer(end);
    file.write_all(&trailer).with_context(|| cannot(&drafts[0]))?;
    finish(file).with_context(|| cannot(&drafts[0]))?;

    let encoded = trailer.last_chunk::<{ Trailer::BYTES }>().context("a trailer has its size")?;
    let digest = Trailer::decode(encoded)?.digest;
    let records = store.pooled()?.into_iter().map(|(_, record)| record).collect();
    let waiting = Waiting { chain, backup: digest, records };
    let mut file = draft_file(&drafts[1]).with_context(|| cannot(&drafts[1]))?;
    file.write_all(&waiting.encode()).with_context(|| cannot(&drafts[1]))?;
    finish(file).with_context(|| cannot(&drafts[1]))?;
    Ok(Made { end, waiting: waiting.records.len() })
}

/// A walk over the blocks that hashes everything again.
struct Walk {
    /// Leaf hash of the commit leaf before.
    previous: Digest,
    log: Frontier,
}

impl Walk {
    fn next(&mut self, store: &dyn LogStore, height: u64) -> anyhow::Result<Frame> {
        let stored = store.block(height)?.with_context(|| format!("block {height} is missing"))?;
        let leaf = store.commit_leaf(height)?.with_context(|| format!("commit leaf {height} is missing"))?;
        let block = Block::decode(&stored.block).with_context(|| format!("block {height} cannot be read"))?;
        for record in &block.records {
            self.log.push(leaf_hash(&record.0));
        }
        let agreed = (leaf.executed.log_size, leaf.executed.log_root);
        let adds_up = block.header == leaf.header
            && leaf.header.previous == self.previous
            && agreed == (self.log.size(), self.log.root());
        ensure!(adds_up, "block {height} of the database is not what was agreed on: no backup is made of it");
        self.previous = leaf.hash();
        self.log.push(self.previous);
        Ok(Frame { block: Blob(stored.block), certificate: stored.certificate })
    }
}

fn draft_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    name.into()
}

/// Who may do what is nobody else's business.
fn draft_file(path: &Path) -> io::Result<BufWriter<File>> {
    Ok(BufWriter::new(OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?))
}

fn finish(file: BufWriter<File>) -> io::Result<()> {
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// A folder for what the second instance writes about itself; goes away.
struct Scratch(PathBuf);

impl Scratch {
    fn beside(to: &Path) -> anyhow::Result<Self> {
        let mut name = to.as_os_str().to_owned();
        name.push(format!(".{}.scratch", std::process::id()));
        let path = PathBuf::from(name);
        fs::create_dir(&path).with_context(|| format!("cannot make `{}`", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Left behind it is in nobody's way.
        let _ = fs::remove_dir_all(&self.0);
    }
}
