//! A home from a backup.
//!
//! Nothing of the backup is believed: every signature, every certificate and every root is checked, as an auditor
//! would, while a new database grows beside where it will be. Only when all of it is good does it get its name, so a
//! home is restored whole or not at all.
//!
//! | in the home | becomes |
//! |---|---|
//! | nothing | genesis of the file, a configuration with defaults, a database, a tip guard at its tip |
//! | configuration and keys, no database | the same, for its own chain only |
//! | a tip guard | it stays: a backup that is older than what this home answered from is *behind* it |
//! | a sign guard in its place | it stays |
//! | no sign guard, or a copied one | stays so: **the home does not sign** |
//!
//! A backup cannot know what the validator signed after it was made, and a second signature for one step is what
//! forks a chain. So a restored validator signs again only above a height that an operator names, beyond anything that
//! the network can have reached when the original was lost ([`sign_above`]). Until the chain is there, it follows.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use serde_json::json;
use writ_proto::audit::{Auditor, Report, verify_record};
use writ_proto::block::Block;
use writ_proto::export::{Frame, Item, Reader, Trailer};
use writ_proto::genesis::Genesis;
use writ_proto::hash::Digest;
use writ_proto::key::PublicKey;
use writ_proto::record::{RecordId, Verified};
use writ_proto::refusal::Refusal;
use writ_proto::state::State;

use crate::backup::{Waiting, waiting_file};
use crate::clock::{Clock, ClockError};
use crate::config::Config;
use crate::guard::checkpoint::CheckpointGuardError;
use crate::guard::{
    CheckpointGuard, GuardFileError, SignGuard, SignGuardError, Standing, TipGuard, TipGuardError, durable, key_file,
};
use crate::home::Home;
use crate::journal;
use crate::node::{open_store, read_genesis};
use crate::storage::rocks::{self, Filling};
use crate::storage::{LogStore, StoredBlock};

/// A restored validator signs only so many heights or more above the restored tip: less can be no more than a guess
/// at where the chain was when its home was lost.
pub const SIGN_ABOVE_MARGIN: u64 = 10;
/// Bytes that are read of a file at a time.
const PIECE_BYTES: usize = 1024 * 1024;

/// What to restore.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The backup.
    pub from: PathBuf,
    /// Whether to do without its second file.
    pub without_waiting: bool,
    /// Where a home that has no configuration listens.
    pub listen: SocketAddr,
}

/// What was restored.
#[derive(Clone, Debug)]
pub struct Restored {
    /// What the chain is, all of it verified.
    pub report: Report,
    /// How many records wait again.
    pub waiting: usize,
    /// How the database stands to the home's tip guard.
    pub standing: Standing,
    /// Whether the home signs.
    pub signing: Signing,
}

/// Whether a home signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    /// It has no voting key: it follows.
    NoKey,
    /// It has a voting key, and the sign guard of that key in its place.
    Guarded,
    /// It has a voting key, and what that key signed is not known.
    Silent,
    /// The same, and an operator said that it may sign above this height.
    Above(u64),
}

/// Restores `home` from a backup.
///
/// # Errors
/// If the home has a database, the backup is not good in all its parts, or of another chain. The home has no database
/// then, and its guards are what they were.
pub fn restore(home: &Home, plan: &Plan) -> anyhow::Result<Restored> {
    let database = home.database();
    let pinned = if home.is_made() { Some(read_genesis(home)?.chain_id()) } else { None };
    if database.exists() {
        ensure!(
            is_empty(&database, pinned.as_ref())?,
            "`{}` is there: only a home without a database is restored",
            database.display()
        );
        fs::remove_dir_all(&database).with_context(|| format!("cannot remove `{}`", database.display()))?;
    }
    let growing = home.path().join("db.restoring");
    if growing.exists() {
        // What was left behind was never whole.
        fs::remove_dir_all(&growing).with_context(|| format!("cannot remove `{}`", growing.display()))?;
    }
    fs::create_dir_all(home.path()).with_context(|| format!("cannot make `{}`", home.path().display()))?;
    let restored = grow(home, plan, &growing, pinned.as_ref());
    let (genesis, restored) = restored.inspect_err(|_| {
        // Nobody may take it for a database.
        let _ = fs::remove_dir_all(&growing);
    })?;
    if !home.is_made() {
        let text = serde_json::to_string_pretty(&genesis)?;
        durable::replace(&home.genesis(), |mut file| writeln!(file, "{text}")).context("cannot write the genesis")?;
    }
    // Last: until then this is a home that has lost its database, and can be restored again.
    fs::rename(&growing, &database).with_context(|| format!("cannot make `{}`", database.display()))?;
    durable::sync_folder(&database).with_context(|| format!("cannot make `{}` durable", database.display()))?;
    Ok(restored)
}

/// Whether a database holds nothing: a node that was started without one has made such a one.
fn is_empty(database: &Path, chain: Option<&Digest>) -> anyhow::Result<bool> {
    let Some(chain) = chain else { return Ok(false) };
    let store = rocks::open(database, chain)
        .with_context(|| format!("`{}` is there, and cannot be opened", database.display()))?;
    Ok(store.tip()?.is_none() && store.pooled()?.is_empty())
}

fn grow(home: &Home, plan: &Plan, growing: &Path, pinned: Option<&Digest>) -> anyhow::Result<(Genesis, Restored)> {
    let file = File::open(&plan.from).with_context(|| format!("cannot open `{}`", plan.from.display()))?;
    let faulty = || format!("`{}` is not a good backup", plan.from.display());
    let (auditor, filling, trailer) = fill(file, growing, pinned).with_context(faulty)?;
    let report = auditor.finish(&trailer).with_context(faulty)?;
    let state = auditor.into_state();
    let store = filling.store();
    let waiting = if plan.without_waiting { 0 } else { take_waiting(&plan.from, &trailer.digest, &state, store)? };

    for folder in [home.keys(), home.guard()] {
        fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    }
    if !home.config().exists() {
        fs::write(home.config(), Config::new(plan.listen).to_text()).context("cannot write the configuration")?;
    }
    let standing = guard(home, &state, store)?;
    let signing = signing(home, state.chain())?;
    let genesis = state.genesis().clone();
    filling.finish().context("the database could not be made durable")?;
    Ok((genesis, Restored { report, waiting, standing, signing }))
}

/// Takes a whole export into a new database, each block verified before it is.
fn fill(mut file: File, growing: &Path, pinned: Option<&Digest>) -> anyhow::Result<(Auditor, Filling, Trailer)> {
    let mut reader = Reader::new();
    let mut piece = vec![0; PIECE_BYTES];
    let (mut begun, mut end): (Option<(Auditor, Filling)>, Option<Trailer>) = (None, None);
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            break;
        }
        reader.push(&piece[..read]);
        while let Some(item) = reader.take()? {
            match (item, &mut begun) {
                (Item::Genesis(genesis), begun) => {
                    let chain = genesis.chain_id();
                    if let Some(pinned) = pinned {
                        ensure!(chain == *pinned, "it is of chain {chain}, this home is of chain {pinned}");
                    }
                    let encoded = genesis.encode();
                    let auditor = Auditor::new(*genesis)?;
                    let filling = Filling::begin(growing, &chain)?;
                    filling.store().put_genesis(&encoded)?;
                    *begun = Some((auditor, filling));
                }
                (Item::Block { frame, .. }, Some((auditor, filling))) => take(auditor, filling.store(), frame)?,
                (Item::Trailer(trailer), _) => end = Some(trailer),
                (Item::Block { .. }, None) => bail!("a block stands before the genesis"),
            }
        }
    }
    reader.finish()?;
    let (auditor, filling) = begun.context("it has no genesis")?;
    Ok((auditor, filling, end.context("it has no trailer")?))
}

fn take(auditor: &mut Auditor, store: &dyn LogStore, frame: Frame) -> anyhow::Result<()> {
    let block = auditor.open(&frame)?;
    let height = block.header.height;
    let verified = verify(auditor.state(), &block)
        .map_err(|(at, refusal)| anyhow::anyhow!("record {at} of block {height}: {refusal}"))?;
    let changes = auditor.judge(&block, verified, &frame.certificate)?;
    let stored = StoredBlock { block: frame.block.0, certificate: frame.certificate };
    store.commit(&stored, &changes)?;
    auditor.take(changes, &stored.certificate);
    Ok(())
}

/// The records of a block, verified on all cores: nearly all of the work.
fn verify(state: &State, block: &Block) -> Result<Vec<Verified>, (usize, Refusal)> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = block.records.len().div_ceil(cores).max(32);
    let verified = std::thread::scope(|scope| {
        let shares: Vec<_> = block.records.chunks(share).enumerate().collect();
        let verify = |(number, records): (usize, &[writ_proto::codec::Blob])| {
            let one = |(at, bytes): (usize, &writ_proto::codec::Blob)| {
                verify_record(state, &bytes.0).map_err(|refusal| (number * share + at, refusal))
            };
            records.iter().enumerate().map(one).collect::<Result<Vec<_>, _>>()
        };
        let threads: Vec<_> = shares.into_iter().map(|share| scope.spawn(move || verify(share))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect::<Result<Vec<_>, _>>()
    })?;
    Ok(verified.concat())
}

/// Takes what waited in the second file, unless the chain has it.
fn take_waiting(from: &Path, backup: &Digest, state: &State, store: &dyn LogStore) -> anyhow::Result<usize> {
    let path = waiting_file(from);
    let bytes = fs::read(&path).with_context(|| {
        format!(
            "cannot read `{}`, what was acknowledged without being in a block; `--without-waiting` does without",
            path.display()
        )
    })?;
    let faulty = || format!("`{}` is not the second file of this backup", path.display());
    let waiting = Waiting::decode(&bytes).with_context(faulty)?;
    let expected = (state.chain(), backup);
    if (&waiting.chain, &waiting.backup) != expected {
        return Err(anyhow::anyhow!("it belongs to another backup, or another chain")).with_context(faulty);
    }
    let mut records: Vec<(RecordId, Vec<u8>)> = Vec::new();
    for (at, bytes) in waiting.records.into_iter().enumerate() {
        let record = verify_record(state, &bytes).with_context(|| format!("its record {at}")).with_context(faulty)?;
        if state.settled(&record.id()).is_none() {
            records.push((record.id(), bytes));
        }
    }
    store.put_pooled(&records)?;
    Ok(records.len())
}

/// Holds the new database against the guards of the home; those that are not there begin.
fn guard(home: &Home, state: &State, store: &dyn LogStore) -> anyhow::Result<Standing> {
    let (dir, chain) = (home.guard(), state.chain());
    let tip = store.tip()?;
    let standing = {
        let (_, standing) = TipGuard::open(&dir, chain, store)?;
        standing
    };
    let standing = match standing {
        Standing::Missing { .. } => {
            TipGuard::restore(&dir, chain, store)?;
            Standing::Level
        }
        Standing::Conflict { height, guard, db } => {
            bail!(TipGuardError::Conflict { height, found: db, expected: guard })
        }
        other => other,
    };
    let last = tip.map(|tip| tip.time);
    match Clock::open(&dir, chain, state.genesis().parameters.clock_bound_ms, last) {
        Ok(_) => {}
        Err(ClockError::MarkMissing { .. }) => Clock::restore(&dir, chain, last)?,
        Err(error) => return Err(error.into()),
    }
    Ok(standing)
}

/// Whether the home signs as it is.
pub fn signing(home: &Home, chain: &Digest) -> anyhow::Result<Signing> {
    let Some(key) = vote_key(home)? else { return Ok(Signing::NoKey) };
    match SignGuard::open(&home.keys(), chain, key) {
        Ok(guard) if guard.floor() > 0 => Ok(Signing::Above(guard.floor())),
        Ok(_) => Ok(Signing::Guarded),
        Err(error) if is_lost(&error) => Ok(Signing::Silent),
        Err(error) => Err(error.into()),
    }
}

/// Lets a validator whose sign guard was lost, or came with a copy, sign above `height`, by an operator's word: its
/// key signs nowhere else, and signed nothing above that height. Above 0 is for a home that was made elsewhere and has
/// never run.
///
/// # Errors
/// If the home has its sign guard in its place, the height is not [`SIGN_ABOVE_MARGIN`] or more above the tip, or the
/// chain has no other validator who could bring it there.
pub fn sign_above(home: &Home, height: u64) -> anyhow::Result<()> {
    let state = State::new(read_genesis(home)?).context("the genesis makes no chain")?;
    let store = open_store(home, &state)?;
    let state = crate::chain::rebuild(state, &*store)?;
    let tip = state.tip().height;
    let key = vote_key(home)?
        .with_context(|| format!("there is no voting key in `{}`: this home signs nothing", home.keys().display()))?;
    let public = key.public();
    let (dir, chain) = (home.keys(), state.chain());
    let is_new = tip == 0 && height == 0 && SignGuard::was_never_used(&dir, chain, &public);
    ensure!(
        is_new || !is_alone(&state, &public),
        "this is the chain's only validator, so without its signature the chain never comes above its tip; `writ-node repair` says what can be done"
    );
    let least = tip.saturating_add(SIGN_ABOVE_MARGIN);
    ensure!(
        is_new || height >= least,
        "the database ends at block {tip}, so signing begins above height {least} at the least, not above {height}: name a height that the network cannot have reached when this home was lost"
    );
    let lost = match SignGuard::open(&dir, chain, key) {
        Ok(_) => bail!(
            "the sign guard `{}` is in its place and knows what was signed; it stays as it is",
            SignGuard::path(&dir).display()
        ),
        Err(error) if is_lost(&error) => error,
        Err(error) => return Err(error.into()),
    };
    journal::note(
        home,
        "sign-above",
        json!({ "chain": chain, "above": height, "tip": tip, "because": lost.to_string() }),
    )
    .context("cannot note it in `repairs.log`")?;
    match lost {
        SignGuardError::Copied { .. } => SignGuard::adopt(&dir, chain, &public, height)?,
        _ => {
            set_aside(&SignGuard::path(&dir))?;
            SignGuard::create_above(&dir, chain, &public, height)?;
        }
    }
    // Its cosignatures wait for the same height, so here it only must not go back.
    renew_checkpoint_guard(home, chain, state.log().size())
}

/// How the checkpoint guard was lost; nothing if it is in its place, or the home has no checkpoint key.
pub(crate) fn lost_checkpoint_guard(home: &Home, chain: &Digest) -> anyhow::Result<Option<CheckpointGuardError>> {
    if !home.checkpoint_key().exists() {
        return Ok(None);
    }
    match CheckpointGuard::open(&home.keys(), chain, key_file::read(&home.checkpoint_key())?) {
        Ok(_) => Ok(None),
        Err(
            lost @ (CheckpointGuardError::Copied { .. }
            | CheckpointGuardError::GuardMissing { .. }
            | CheckpointGuardError::File(GuardFileError::Damaged { .. })),
        ) => Ok(Some(lost)),
        Err(error) => Err(error.into()),
    }
}

/// Begins the checkpoint guard anew above `size`, if it was lost or copied; one in its place stays as it is.
pub(crate) fn renew_checkpoint_guard(home: &Home, chain: &Digest, size: u64) -> anyhow::Result<()> {
    let Some(lost) = lost_checkpoint_guard(home, chain)? else { return Ok(()) };
    let (dir, public) = (home.keys(), key_file::read(&home.checkpoint_key())?.public());
    if !matches!(lost, CheckpointGuardError::Copied { .. }) {
        set_aside(&CheckpointGuard::path(&dir))?;
        return Ok(CheckpointGuard::create_above(&dir, chain, &public, size)?);
    }
    match CheckpointGuard::adopt(&dir, chain, &public, size) {
        Err(CheckpointGuardError::FloorTooLow { signed, .. }) => {
            Ok(CheckpointGuard::adopt(&dir, chain, &public, signed)?)
        }
        adopted => Ok(adopted?),
    }
}

/// The voting key of a home that has one.
pub(crate) fn vote_key(home: &Home) -> anyhow::Result<Option<writ_proto::key::SecretKey>> {
    if home.vote_key().exists() { Ok(Some(key_file::read(&home.vote_key())?)) } else { Ok(None) }
}

/// Whether `key` is the one that votes, and there is no other.
pub(crate) fn is_alone(state: &State, key: &PublicKey) -> bool {
    matches!(state.validators(), [only] if only.vote.key == *key)
}

/// Whether what was signed is not known any more.
pub(crate) fn is_lost(error: &SignGuardError) -> bool {
    matches!(
        error,
        SignGuardError::GuardMissing { .. }
            | SignGuardError::Copied { .. }
            | SignGuardError::File(GuardFileError::Damaged { .. })
    )
}

/// Moves a sign guard that is not used any more out of the way, as evidence.
pub(crate) fn set_aside(path: &Path) -> anyhow::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let name = path.file_name().unwrap_or_default().display();
    let free = (1..).map(|number| path.with_file_name(format!("{name}.old-{number}"))).find(|path| !path.exists());
    let aside = free.context("there are too many old guards")?;
    fs::rename(path, &aside).with_context(|| format!("cannot move `{}`", path.display()))?;
    Ok(durable::sync_folder(path)?)
}

#[cfg(test)]
pub(crate) mod tests;
