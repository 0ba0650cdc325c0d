//! Cosigned checkpoints: this node's own say about its log, those of the others, and the note that a quorum
//! of them makes.
//!
//! ```text
//!   chain.rs --applied()--> the last heights --step(), off the engine's thread--> guard signs --outgoing()--> swarm
//!   swarm --take(bytes)--> verified, compared with this node's own log --> collected --quorum--> final_note()
//! ```
//!
//! A cosignature is compared with *our own* log at its size. What agrees is collected until a quorum of the
//! validators that the log names at that size is together; then their note is the final checkpoint, which
//! only ever grows. What contradicts is evidence that its signer lies (or that this node does not have the
//! log that the others have), and so is a smaller size at a later time: it is kept, counted and told, and never becomes part of a note.
//!
//! What is not executed here yet waits, verified, one for each validator: it also says how far the others
//! are ([`Checkpoints::highest_cosigned_by`]).
//!
//! Memory is bounded: [`APPLIED_MAX`] heights times one cosignature of 216 bytes for each validator.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{Notify, watch};
use writ_proto::checkpoint::{Checkpoint, Cosignature, Cosigners, NOTE_BYTES_MAX};
use writ_proto::hash::Digest;
use writ_proto::key::{KeyId, PublicKey};
use writ_proto::merkle::{self, ProveError};

use crate::blocking;
use crate::guard::{CheckpointGuard, CheckpointRefused, Learned, replace_file};
use crate::ledger::Ledger;
use crate::storage::{self, StoreError};

/// How many of the last heights collect cosignatures. Older ones are final, or a later one will be.
pub const APPLIED_MAX: usize = 64;
/// How soon a validator may cosign the same size again; more often is noise.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// How often a new final checkpoint is written to disk. It can be made again, so a lost second costs nothing.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// A handle on the checkpoints of a node. See the module's doc.
#[derive(Clone)]
pub struct Checkpoints(Arc<Shared>);

struct Shared {
    ledger: Ledger,
    origin: String,
    /// `None`: this node has no checkpoint key.
    guard: Option<Arc<CheckpointGuard>>,
    file: PathBuf,
    inner: Mutex<Inner>,
    /// There is something to do in [`Checkpoints::step`].
    work: Notify,
    outgoing: watch::Sender<Option<Bytes>>,
    advanced: watch::Sender<u64>,
    evidence: AtomicU64,
    /// Nothing is cosigned at this height or below it.
    above: AtomicU64,
    /// Nothing is cosigned at all for the present.
    held: AtomicBool,
    /// The final checkpoint is newer than its file.
    unsaved: AtomicBool,
}

/// What was made of a cosignature that somebody sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// New and good: worth sending on.
    Accept,
    /// Not worth sending on, and perhaps not its sender's fault.
    Ignore(&'static str),
    /// Its sender must have known that it is bad.
    Reject(&'static str),
}

/// A checkpoint that a quorum of the validators signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalCheckpoint {
    /// Leaves in the log.
    pub size: u64,
    /// The block that ends there.
    pub height: u64,
    /// The root.
    pub root: Digest,
    /// The note.
    pub text: Arc<str>,
}

/// Why checkpoints cannot go on; the node ends.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointFault {
    /// The guard cannot keep what is signed.
    #[error("the checkpoint guard failed")]
    Guard(#[source] CheckpointRefused),
    /// The store failed.
    #[error("the log could not be read for a checkpoint")]
    Store(#[from] StoreError),
}

/// The log at the end of a block.
#[derive(Clone, Debug)]
struct Applied {
    height: u64,
    size: u64,
    root: Digest,
    /// The validators of the next height.
    cosigners: Arc<Cosigners>,
}

/// Where a size lies in this node's log.
enum At {
    /// Beyond its end.
    Ahead,
    /// At the end of one of the last blocks.
    Here(Applied),
    /// Before those, or within a block.
    Elsewhere,
}

struct Inner {
    /// INVARIANT: ascending, never empty.
    applied: VecDeque<Applied>,
    /// By size, at ends of blocks in `applied` and from the final checkpoint's size on.
    collected: BTreeMap<u64, BTreeMap<KeyId, Collected>>,
    /// The largest, and of one size the latest, of each key that agrees with this node's log.
    latest: BTreeMap<KeyId, Cosignature>,
    /// Verified and beyond this node's log: the largest of each key.
    parked: BTreeMap<KeyId, Cosignature>,
    /// The first of each key that contradicts this node's log.
    evidence: BTreeMap<KeyId, Cosignature>,
    last: Option<FinalCheckpoint>,
    /// The size that this process cosigned last.
    signed: Option<u64>,
    /// The key has signed another log than this one: it says nothing more.
    silent: bool,
}

#[derive(Clone, Copy)]
struct Collected {
    cosignature: Cosignature,
    taken: Instant,
}

impl Checkpoints {
    /// The checkpoints of `ledger`, signed through `guard` if this node has a checkpoint key. The final one of the
    /// last run is read from `file`, if it is still one.
    pub fn new(ledger: Ledger, guard: Option<CheckpointGuard>, file: PathBuf) -> Self {
        let origin = ledger.read().genesis().chain.clone();
        let inner = Inner {
            applied: VecDeque::from([standing(&ledger, &origin)]),
            collected: BTreeMap::new(),
            latest: BTreeMap::new(),
            parked: BTreeMap::new(),
            evidence: BTreeMap::new(),
            last: None,
            signed: None,
            silent: false,
        };
        let guard = guard.map(Arc::new);
        if let Some(counted) = guard.clone() {
            // The guard alone: a ledger that held these checkpoints would hold itself.
            ledger.count_syncs_of(move || counted.syncs());
        }
        let checkpoints = Self(Arc::new(Shared {
            ledger,
            origin,
            guard,
            file,
            inner: Mutex::new(inner),
            work: Notify::new(),
            outgoing: watch::Sender::new(None),
            advanced: watch::Sender::new(0),
            evidence: AtomicU64::new(0),
            above: AtomicU64::new(0),
            held: AtomicBool::new(false),
            unsaved: AtomicBool::new(false),
        }));
        checkpoints.recall();
        // What this node has is to be cosigned, also if nothing is added to it.
        checkpoints.0.work.notify_one();
        checkpoints
    }

    /// The same, which cosigns nothing at `height` or below it: what the lost original of this home may have signed up
    /// to there is not known.
    #[must_use]
    pub fn signing_above(self, height: u64) -> Self {
        self.0.above.store(height, Ordering::Relaxed);
        self
    }

    /// Cosigns nothing until [`release`](Self::release): what the key signed is being asked of others.
    pub(crate) fn hold(&self) {
        self.0.held.store(true, Ordering::Relaxed);
    }

    /// What others know of the key's signatures is known here too.
    pub(crate) fn release(&self) {
        self.0.held.store(false, Ordering::Relaxed);
        self.look_again();
    }

    /// What kept this node from cosigning may be over.
    pub(crate) fn look_again(&self) {
        self.0.work.notify_one();
    }

    /// The id of the checkpoint key, if this node has one.
    pub(crate) fn key(&self) -> Option<KeyId> {
        self.0.guard.as_ref().map(|guard| guard.public_key().id())
    }

    /// The largest cosignature of a validator that was seen and is no contradiction.
    pub(crate) fn latest_of(&self, key: &KeyId) -> Option<Cosignature> {
        self.lock().known_of(key).max_by_key(|one| one.size).copied()
    }

    /// A block was applied to the ledger's state. Costs a few hashes; the rest happens elsewhere.
    pub fn applied(&self) {
        let mut applied = standing(&self.0.ledger, &self.0.origin);
        {
            let mut inner = self.lock();
            let before = &inner.applied[inner.applied.len() - 1];
            if before.height == applied.height {
                return;
            }
            if before.cosigners == applied.cosigners {
                applied.cosigners = before.cosigners.clone();
            }
            inner.applied.push_back(applied);
            if inner.applied.len() > APPLIED_MAX {
                inner.applied.pop_front();
            }
            let first = inner.applied[0].size;
            inner.collected = inner.collected.split_off(&first);
            inner.forget_strangers();
        }
        self.0.work.notify_one();
    }

    /// Judges a cosignature that came from another node. Costs two signature checks, unless it is known.
    pub fn take(&self, bytes: &[u8]) -> Verdict {
        let Ok(one) = Cosignature::decode(bytes) else {
            return Verdict::Reject("not the encoding of a cosignature");
        };
        if one.size == 0 {
            return Verdict::Reject("its signatures do not fit");
        }
        if let Some(guard) = self.0.guard.as_ref().filter(|guard| guard.public_key().id() == one.key) {
            return self.take_own(guard, one);
        }
        let (key, steps_back) = {
            let inner = self.lock();
            let Some(key) = inner.key_of(&one.key) else {
                return Verdict::Ignore("of a key that is no validator's here");
            };
            let steps_back = inner.steps_back(&one);
            match inner.is_dull(&one) {
                Some(why) if !steps_back => return Verdict::Ignore(why),
                _ => (key, steps_back),
            }
        };
        if one.verify(&self.0.origin, &key).is_err() {
            return Verdict::Reject("its signatures do not fit");
        }
        if steps_back {
            self.keep_evidence(&mut self.lock(), &one);
            return Verdict::Ignore("smaller than what its signer cosigned before");
        }
        self.settle(one)
    }

    /// A cosignature of this node's own key came back. Its guard learns from it, should it have been rolled back.
    fn take_own(&self, guard: &CheckpointGuard, one: Cosignature) -> Verdict {
        if one.verify(&self.0.origin, &guard.public_key()).is_err() {
            return Verdict::Reject("its signatures do not fit");
        }
        match guard.learn(&one) {
            Ok(Learned::New) => {
                tracing::warn!(size = one.size, "this node's key had cosigned more than its guard knew")
            }
            Ok(Learned::Conflict) => self.fall_silent(one.size),
            Ok(Learned::Known | Learned::Foreign) => {}
            // The next thing that is to be signed says so, and ends the node.
            Err(error) => tracing::error!(%error, "the checkpoint guard cannot keep what the key signed"),
        }
        let why = self.lock().is_dull(&one);
        why.map_or_else(|| self.settle(one), Verdict::Ignore)
    }

    /// Own cosignatures, encoded: always the newest.
    pub fn outgoing(&self) -> watch::Receiver<Option<Bytes>> {
        self.0.outgoing.subscribe()
    }

    /// Says `cosignature` as if it were this node's own.
    #[cfg(feature = "byzantine")]
    pub(crate) fn say(&self, cosignature: Bytes) {
        self.0.outgoing.send_replace(Some(cosignature));
    }

    /// The latest cosignature of each validator, encoded, for a peer that connects.
    pub fn latest(&self) -> Vec<Vec<u8>> {
        self.lock().latest.values().map(Cosignature::encode).collect()
    }

    /// The final checkpoint: the largest that a quorum signed.
    pub fn final_note(&self) -> Option<FinalCheckpoint> {
        self.lock().last.clone()
    }

    /// The size of the final checkpoint, and when it grows; 0 before there is one.
    pub fn advanced(&self) -> watch::Receiver<u64> {
        self.0.advanced.subscribe()
    }

    /// The largest size that at least `count` of the present validators say their log has, and a height that goes
    /// with it. Only the size is signed; the height is what the messages say.
    pub fn highest_cosigned_by(&self, count: usize) -> Option<(u64, u64)> {
        let inner = self.lock();
        let furthest = |id: KeyId| inner.known_of(&id).map(|one| (one.size, one.height)).max();
        let mut all: Vec<_> = inner.newest().cosigners.members().iter().filter_map(|one| furthest(one.id())).collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        all.get(count.checked_sub(1)?).copied()
    }

    /// How many cosignatures contradicted this node's log, or each other.
    pub fn evidence_count(&self) -> u64 {
        self.0.evidence.load(Ordering::Relaxed)
    }

    /// The first such cosignature of each validator.
    pub fn evidence(&self) -> Vec<Cosignature> {
        self.lock().evidence.values().copied().collect()
    }

    /// Does what is to be done until `stopped`: cosigns what was applied, takes over what has waited for it,
    /// writes the final checkpoint down.
    ///
    /// # Errors
    /// If what was to be signed cannot be kept: nothing is tried again on a disk that lied once.
    pub async fn run(self, stopped: impl Future<Output = ()>) -> Result<(), CheckpointFault> {
        let mut stopped = std::pin::pin!(stopped);
        let mut ticks = tokio::time::interval(SAVE_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let (on, save) = tokio::select! {
                () = &mut stopped => (false, true),
                () = self.0.work.notified() => (true, false),
                _ = ticks.tick() => (true, true),
            };
            if on && save && !self.0.unsaved.load(Ordering::Relaxed) {
                continue;
            }
            let this = self.clone();
            let work = move || {
                this.step()?;
                if save {
                    this.save();
                }
                Ok::<(), CheckpointFault>(())
            };
            blocking::run(work).await?;
            if !on {
                return Ok(());
            }
        }
    }

    /// Takes over what waited for blocks that are applied now, and cosigns the newest block, if this node is a
    /// validator and did not yet. Blocks for an fsync.
    ///
    /// # Errors
    /// As [`Checkpoints::run`].
    pub fn step(&self) -> Result<(), CheckpointFault> {
        let due: Vec<Cosignature> = {
            let mut inner = self.lock();
            let size = inner.newest().size;
            let (due, ahead) = std::mem::take(&mut inner.parked).into_iter().partition(|(_, one)| one.size <= size);
            inner.parked = ahead;
            let due: BTreeMap<KeyId, Cosignature> = due;
            due.into_values().collect()
        };
        for mut one in due {
            // The height that came with it is nobody's word; what it is here, this node knows.
            if let At::Here(applied) = self.lock().at(one.size) {
                one.height = applied.height;
            }
            self.settle(one);
        }
        self.cosign()
    }

    /// Cosigns the newest block. Those before it that it did not come to are left out: the newest says it all.
    fn cosign(&self) -> Result<(), CheckpointFault> {
        let Some(guard) = &self.0.guard else { return Ok(()) };
        let newest = {
            let inner = self.lock();
            let newest = inner.newest().clone();
            let is_mine = newest.cosigners.get(&guard.public_key().id()).is_some();
            let too_early = newest.height <= self.0.above.load(Ordering::Relaxed);
            // Who may not answer yet has perhaps a log that is shorter than what it signed.
            let is_held = self.0.held.load(Ordering::Relaxed) || !self.0.ledger.may_answer();
            if newest.size == 0 || too_early || is_held || inner.silent || !is_mine || inner.signed == Some(newest.size)
            {
                return Ok(());
            }
            newest
        };
        let Applied { height, size, root, .. } = newest;
        if !self.continues_what_was_signed(guard, size)? {
            self.fall_silent(size);
            return Ok(());
        }
        let checkpoint = Checkpoint { origin: self.0.origin.clone(), size, root };
        let now = self.0.ledger.clock().now().as_millis() / 1000;
        match guard.sign(&checkpoint, height, now) {
            Ok(own) => {
                tracing::debug!(key = %own.key, "cosigned size {size}: {root}");
                self.lock().signed = Some(size);
                self.settle(own);
                self.0.outgoing.send_replace(Some(own.encode().into()));
            }
            Err(refused @ CheckpointRefused::NotKept(_)) => return Err(CheckpointFault::Guard(refused)),
            Err(CheckpointRefused::Conflict { .. }) => self.fall_silent(size),
            // A node that catches up signed larger ones before.
            Err(refused) => tracing::debug!(%refused, "a checkpoint was not signed"),
        }
        Ok(())
    }

    /// Whether the log of `size` leaves begins with what the key signed last. Within one process a log only grows.
    fn continues_what_was_signed(&self, guard: &CheckpointGuard, size: u64) -> Result<bool, CheckpointFault> {
        if self.lock().signed.is_some() {
            return Ok(true);
        }
        match guard.last().map_err(|error| CheckpointFault::Guard(CheckpointRefused::NotKept(error)))? {
            Some(last) if last.size < size => Ok(self.own_root(last.size)? == last.root),
            // A smaller size, and another root of this one, the guard refuses itself.
            _ => Ok(true),
        }
    }

    fn fall_silent(&self, size: u64) {
        tracing::error!(
            size,
            "this node's log is not the one whose checkpoints it has signed: it signs no more; compare it with the other nodes"
        );
        self.lock().silent = true;
    }

    /// Puts a verified cosignature where it belongs.
    fn settle(&self, one: Cosignature) -> Verdict {
        // Read before the lock is taken: it takes the disk.
        let own_root = {
            let at = self.lock().at(one.size);
            match at {
                At::Elsewhere => match self.own_root(one.size) {
                    Ok(root) => Some(root),
                    Err(error) => {
                        tracing::error!(%error, size = one.size, "a cosignature could not be compared with the log");
                        return Verdict::Ignore("the log cannot be read");
                    }
                },
                At::Ahead | At::Here(_) => None,
            }
        };
        let mut inner = self.lock();
        match inner.at(one.size) {
            At::Ahead => {
                match inner.parked.get(&one.key) {
                    Some(other) if other.size == one.size && other.root != one.root => {
                        let other = *other;
                        self.keep_evidence(&mut inner, &other);
                        self.keep_evidence(&mut inner, &one);
                        return Verdict::Ignore("contradicts another one of its signer");
                    }
                    Some(other) if other.size >= one.size => {}
                    _ => drop(inner.parked.insert(one.key, one)),
                }
                Verdict::Ignore("of a size that is not executed here yet")
            }
            At::Here(applied) if applied.root != one.root => self.keep_evidence(&mut inner, &one),
            At::Here(applied) if applied.cosigners.get(&one.key).is_none() => {
                Verdict::Ignore("of a key that is no validator's at that height")
            }
            // Whoever sent it on has that block, and knows its height.
            At::Here(applied) if applied.height != one.height => {
                Verdict::Reject("names another height than that of its size")
            }
            At::Here(applied) => {
                self.enter(&mut inner, &applied, one);
                Verdict::Accept
            }
            At::Elsewhere if own_root.is_some_and(|root| root != one.root) => self.keep_evidence(&mut inner, &one),
            At::Elsewhere => Verdict::Ignore("too old, or not at the end of a block"),
        }
    }

    fn keep_evidence(&self, inner: &mut Inner, one: &Cosignature) -> Verdict {
        self.0.evidence.fetch_add(1, Ordering::Relaxed);
        if !inner.evidence.contains_key(&one.key) {
            let Cosignature { key, size, root, .. } = one;
            tracing::error!(%key, size, %root, "a validator cosigned another log than this node has, or a smaller one than before");
            inner.evidence.insert(*key, *one);
        }
        Verdict::Ignore("contradicts this node's log")
    }

    /// Collects a cosignature that agrees with the log, and makes the note if it completes a quorum.
    fn enter(&self, inner: &mut Inner, applied: &Applied, one: Cosignature) {
        let known = inner.latest.entry(one.key).or_insert(one);
        if (one.size, one.time) > (known.size, known.time) {
            *known = one;
        }
        let collected = inner.collected.entry(one.size).or_default();
        let is_first = collected.insert(one.key, Collected { cosignature: one, taken: Instant::now() }).is_none();
        let size = inner.last.as_ref().map_or(0, |last| last.size);
        // One more signer of the same size is worth a note with more lines; a later time of one is not.
        if one.size < size || (one.size == size && !is_first) {
            return;
        }
        let all: Vec<Cosignature> = collected.values().map(|collected| collected.cosignature).collect();
        let Some(text) = applied.cosigners.assemble(&one.checkpoint(&self.0.origin), &all) else { return };
        let Applied { height, root, .. } = *applied;
        inner.last = Some(FinalCheckpoint { size: one.size, height, root, text: text.into() });
        inner.collected = inner.collected.split_off(&one.size);
        self.0.unsaved.store(true, Ordering::Relaxed);
        if one.size > size {
            self.0.advanced.send_replace(one.size);
        }
    }

    /// This node's own root at a size that its log has had.
    fn own_root(&self, size: u64) -> Result<Digest, StoreError> {
        merkle::root_at(&storage::Nodes(self.0.ledger.store()), size).map_err(|error| match error {
            ProveError::Read { source, .. } => source,
            other => StoreError::Damaged { table: "nodes", key: size.to_string(), detail: other.to_string() },
        })
    }

    /// Reads the final checkpoint of the last run. It is taken only if the present validators signed it and it is
    /// of this log; otherwise the next block brings a new one.
    fn recall(&self) {
        let text = match fs::read_to_string(&self.0.file) {
            Ok(text) if text.len() <= NOTE_BYTES_MAX => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            other => {
                let error = other.err().map_or("it is too long".into(), |error| error.to_string());
                return tracing::warn!(error, file = %self.0.file.display(), "the final checkpoint cannot be read");
            }
        };
        match self.judge_recalled(text) {
            Ok(last) => {
                self.0.advanced.send_replace(last.size);
                self.lock().last = Some(last);
            }
            Err(reason) => tracing::warn!(reason, "the final checkpoint of the last run is not taken over"),
        }
    }

    fn judge_recalled(&self, text: String) -> Result<FinalCheckpoint, String> {
        let newest = self.lock().newest().clone();
        let cosigned = newest.cosigners.verify(&text).map_err(|error| error.to_string())?;
        let Checkpoint { size, root, .. } = *cosigned.checkpoint();
        if size > newest.size {
            return Err(format!("it is of size {size}, the log has {}", newest.size));
        }
        if self.own_root(size).map_err(|error| error.to_string())? != root {
            return Err(format!("its root at size {size} is {root}, the log has another"));
        }
        let height = self.height_of(size, newest.height).map_err(|error| error.to_string())?;
        let height = height.ok_or_else(|| format!("no block ends at size {size}"))?;
        Ok(FinalCheckpoint { size, height, root, text: text.into() })
    }

    /// The block that ends at `size`, among those up to `tip`.
    fn height_of(&self, size: u64, tip: u64) -> Result<Option<u64>, StoreError> {
        let (mut low, mut high) = (1, tip);
        while low <= high {
            let middle = low + (high - low) / 2;
            let Some(leaf) = self.0.ledger.store().commit_leaf(middle)? else { return Ok(None) };
            match (leaf.executed.log_size + 1).cmp(&size) {
                std::cmp::Ordering::Equal => return Ok(Some(middle)),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle - 1,
            }
        }
        Ok(None)
    }

    /// Writes the final checkpoint down, if it is newer than its file.
    pub fn save(&self) {
        if !self.0.unsaved.swap(false, Ordering::Relaxed) {
            return;
        }
        let Some(last) = self.final_note() else { return };
        if let Err(error) = replace_file(&self.0.file, |mut file| file.write_all(last.text.as_bytes())) {
            // It can be made again, so a full disk is no reason to stop.
            tracing::warn!(%error, file = %self.0.file.display(), "the final checkpoint could not be written down");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The log as the ledger's state has it now.
fn standing(ledger: &Ledger, origin: &str) -> Applied {
    let state = ledger.read();
    let cosigners = Arc::new(Cosigners::of(origin, state.validators()));
    Applied { height: state.tip().height, size: state.log().size(), root: state.log().root(), cosigners }
}

impl Inner {
    fn newest(&self) -> &Applied {
        // INVARIANT: never empty.
        &self.applied[self.applied.len() - 1]
    }

    fn at(&self, size: u64) -> At {
        if size > self.newest().size {
            return At::Ahead;
        }
        let here = self.applied.iter().rev().find(|applied| applied.size <= size);
        here.filter(|applied| applied.size == size).map_or(At::Elsewhere, |applied| At::Here(applied.clone()))
    }

    /// The sets of validators of the last heights, the present one first.
    fn sets(&self) -> impl Iterator<Item = &Arc<Cosigners>> {
        let mut before: Option<&Arc<Cosigners>> = None;
        self.applied.iter().rev().map(|applied| &applied.cosigners).filter(move |set| {
            let is_other = before.is_none_or(|before| !Arc::ptr_eq(before, set));
            before = Some(set);
            is_other
        })
    }

    fn key_of(&self, id: &KeyId) -> Option<PublicKey> {
        self.sets().find_map(|set| set.get(id)).map(|cosigner| *cosigner.key())
    }

    /// What a key is known to have cosigned and is no contradiction: within this node's log, and beyond it.
    fn known_of(&self, key: &KeyId) -> impl Iterator<Item = &Cosignature> {
        [self.latest.get(key), self.parked.get(key)].into_iter().flatten()
    }

    /// Whether its signer cosigned a larger log before it cosigned this one: its home was rolled back.
    fn steps_back(&self, one: &Cosignature) -> bool {
        let is_new = !self.evidence.contains_key(&one.key);
        is_new && self.known_of(&one.key).any(|known| known.size > one.size && known.time < one.time)
    }

    /// Why a cosignature need not even be verified.
    fn is_dull(&self, one: &Cosignature) -> Option<&'static str> {
        match self.at(one.size) {
            At::Ahead => {
                let parked = self.parked.get(&one.key)?;
                let is_known = parked.size > one.size || (parked.size == one.size && parked.root == one.root);
                is_known.then_some("not beyond what its signer said before")
            }
            At::Here(applied) if applied.root == one.root => {
                if self.last.as_ref().is_some_and(|last| one.size < last.size) {
                    return Some("smaller than the final checkpoint");
                }
                let known = self.collected.get(&one.size)?.get(&one.key)?;
                if one.time <= known.cosignature.time {
                    return Some("known");
                }
                (known.taken.elapsed() < AGAIN_AFTER).then_some("again too soon")
            }
            // Evidence, if its signatures fit; one of each signer is enough.
            At::Here(_) | At::Elsewhere => self.evidence.get(&one.key).map(|_| "its signer is known to contradict"),
        }
    }

    /// Drops what keys said that are no validator's any more.
    fn forget_strangers(&mut self) {
        if self.sets().nth(1).is_none() && self.latest.keys().all(|key| self.newest().cosigners.get(key).is_some()) {
            return;
        }
        let known: Vec<KeyId> = self.sets().flat_map(|set| set.members()).map(|one| one.id()).collect();
        self.latest.retain(|key, _| known.contains(key));
        self.parked.retain(|key, _| known.contains(key));
    }
}

#[cfg(test)]
mod tests;
