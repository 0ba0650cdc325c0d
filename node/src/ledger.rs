//! The ledger as the rest of the node sees it: the state to read, the way for records to get in, and the
//! wait until they are settled.
//!
//! ```text
//!   http --submit--> verify, admit, pool --wake--> engine --Application--> chain.rs, the single writer
//!   http --read----> State behind a lock, LogStore       <---- commit: store, guard, state, pool, in this order
//! ```
//!
//! [`Ledger`] is a cheap handle. Only [`crate::chain::Chain`], which the engine's one thread owns, writes.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, mpsc};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use writ_proto::record::{RecordId, Signed, Verified};
use writ_proto::refusal::Refusal;
use writ_proto::state::State;
use writ_proto::time::Interval;

use crate::blocking;
use crate::clock::{Clock, ClockFault};
use crate::mempool::{self, Mempool, PoolLimits};
use crate::network::Summary;
use crate::storage::{LogStore, StoreError, StoredPlace};

/// Records of a batch that are verified and admitted together: small enough for the first of them to be in
/// a block while the last are verified.
const SHARE: usize = 128;

/// Places of records that were settled last, kept in memory for those who wait for them.
const RECENT_MAX: usize = 16 * 1024;

/// A handle on the ledger. See the module's doc.
#[derive(Clone)]
pub struct Ledger(Arc<Shared>);

/// What all handles share.
struct Shared {
    state: RwLock<State>,
    store: Arc<dyn LogStore>,
    clock: Clock,
    pool: Mutex<Mempool>,
    /// Wakes the engine when there is work.
    work: Arc<Notify>,
    /// Counts commits and refusals, so that waiters look again.
    progress: watch::Sender<u64>,
    /// Whether the node takes records at all; it stops when the disk is nearly full.
    writable: AtomicBool,
    /// Whether the disk has no room left at all.
    exhausted: AtomicBool,
    /// Whether the state is as new as what was answered from before, so that it may be answered from.
    may_answer: AtomicBool,
    /// Whether the state is what the chain is known to be.
    caught_up: AtomicBool,
    /// Records that were submitted here and that other nodes have not been told of yet.
    outbox: Outbox,
    /// The places of the records of the last blocks, in the state and durable.
    recent: Mutex<HashMap<RecordId, StoredPlace>>,
    /// Record signatures that were checked.
    signatures: AtomicU64,
    /// Who counts the fsyncs of the guards.
    syncs: Mutex<Vec<SyncCount>>,
}

/// What is to be told to other nodes.
#[derive(Default)]
struct Outbox {
    ids: Mutex<Vec<RecordId>>,
    filled: Notify,
}

/// Ids in the outbox at most. Beyond it they are left to the others' pull.
const OUTBOX_MAX: usize = 64 * 1024;

/// Where a record came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// It was submitted here: other nodes are to be told.
    Here,
    /// A peer told it: gossip does the rest.
    Peer,
}

/// Tells how many fsyncs of some file there were.
type SyncCount = Box<dyn Fn() -> u64 + Send>;

/// What is known of a submission once it was looked at alone.
#[expect(clippy::large_enum_variant, reason = "one per record of a share, nearly all of them the large one")]
enum Checked {
    /// Its signatures are good.
    Verified(Verified),
    /// Just these bytes wait already, or are in the log: their signatures were checked then.
    Known(Submitted),
}

/// What became of a submission at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// It waits for a block from now on.
    New(RecordId),
    /// It waited already.
    Pending(RecordId),
    /// It is in the log already.
    Settled(RecordId),
}

impl Submitted {
    /// The record's id.
    pub fn id(&self) -> RecordId {
        match self {
            Self::New(id) | Self::Pending(id) | Self::Settled(id) => *id,
        }
    }

    /// Whether it was known before.
    pub fn is_duplicate(&self) -> bool {
        !matches!(self, Self::New(_))
    }
}

/// Why a submission was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// The record is at fault, or the state does not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The pool is full.
    #[error("too many records wait for a block, try again in {retry_after_s} s")]
    Overloaded {
        /// When to try again.
        retry_after_s: u64,
    },
    /// The disk is nearly full.
    #[error("the node takes no records because its disk is nearly full; it goes on answering")]
    ReadOnly,
    /// The store failed; the node is about to end.
    #[error("the record could not be kept")]
    Store(#[from] StoreError),
}

/// There is no room now; a block makes some.
const OVERLOADED: SubmitError = SubmitError::Overloaded { retry_after_s: 1 };

/// What is known of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing.
    Unknown,
    /// It waits for a block.
    Pending {
        /// Whether it is past its `submit_by` by the clock: it will not be proposed.
        expired: bool,
    },
    /// It is in the log.
    Settled(StoredPlace),
    /// It waited, and will not be in the log.
    Refused(Refusal),
}

impl Ledger {
    /// A ledger over a state that was rebuilt from `store`.
    pub fn new(state: State, store: Arc<dyn LogStore>, clock: Clock, limits: PoolLimits) -> Self {
        let roots = state.genesis().authorities.len();
        Self(Arc::new(Shared {
            state: RwLock::new(state),
            store,
            clock,
            pool: Mutex::new(Mempool::new(limits, roots)),
            work: Arc::new(Notify::new()),
            progress: watch::Sender::new(0),
            writable: AtomicBool::new(true),
            exhausted: AtomicBool::new(false),
            may_answer: AtomicBool::new(true),
            caught_up: AtomicBool::new(true),
            outbox: Outbox::default(),
            recent: Mutex::new(HashMap::new()),
            signatures: AtomicU64::new(0),
            syncs: Mutex::default(),
        }))
    }

    /// The state, to read. Hold it briefly, and never across an await: the writer waits for it.
    pub fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store.
    pub fn store(&self) -> &dyn LogStore {
        &*self.0.store
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// What wakes the engine.
    pub fn work(&self) -> Arc<Notify> {
        self.0.work.clone()
    }

    /// The interval of time that a question without an instant is about.
    pub fn interval(&self) -> Result<Interval, ClockFault> {
        let last = self.read().tip().time;
        self.0.clock.interval(last)
    }

    /// Takes a record in: decodes, verifies, admits, pools. Blocks for a signature check.
    pub fn submit(&self, bytes: Vec<u8>) -> Result<Submitted, SubmitError> {
        let submitted = self.take(self.check(bytes))?;
        if let Submitted::New(id) = submitted {
            self.0.work.notify_one();
            self.send_out([id]);
        }
        Ok(submitted)
    }

    /// Records that were submitted here since the last call, for other nodes to be told of; waits until there are
    /// some. Those that are settled or past their `submit_by` meanwhile are left out.
    pub async fn outgoing(&self) -> Vec<Vec<u8>> {
        loop {
            let filled = self.0.outbox.filled.notified();
            let ids = std::mem::take(&mut *self.0.outbox.ids.lock().unwrap_or_else(PoisonError::into_inner));
            if ids.is_empty() {
                filled.await;
                continue;
            }
            let now = self.0.clock.now();
            let pool = self.pool();
            let fresh = |id: &RecordId| pool.get(id).filter(|record| !mempool::is_expired(record, now));
            let records: Vec<_> = ids.iter().filter_map(fresh).map(|record| record.signed().bytes().to_vec()).collect();
            if !records.is_empty() {
                return records;
            }
        }
    }

    fn send_out(&self, new: impl IntoIterator<Item = RecordId>) {
        let mut ids = self.0.outbox.ids.lock().unwrap_or_else(PoisonError::into_inner);
        if ids.len() < OUTBOX_MAX {
            ids.extend(new);
        }
        drop(ids);
        self.0.outbox.filled.notify_one();
    }

    /// What can be said of a record without its place among others: form, features, authority, signatures.
    fn check(&self, bytes: Vec<u8>) -> Result<Checked, SubmitError> {
        let signed = Signed::decode(bytes)?;
        // What no block asks is asked at the door: a condition that does not parse would make an entry that never
        // counts, or a denial that always does.
        signed.body().check_conditions()?;
        if let Some(known) = self.known(&signed)? {
            return Ok(Checked::Known(known));
        }
        Ok(Checked::Verified(self.verify(&self.read(), signed)?))
    }

    /// Whether a record waits or is in the log byte for byte: no signature is checked twice.
    fn known(&self, signed: &Signed) -> Result<Option<Submitted>, StoreError> {
        let id = signed.id();
        if self.pool().get(&id).is_some_and(|pooled| pooled.signed().bytes() == signed.bytes()) {
            return Ok(Some(Submitted::Pending(id)));
        }
        let Some(settled) = self.read().settled(&id) else { return Ok(None) };
        let stored = self.0.store.leaf(settled.index)?;
        Ok((stored.as_deref() == Some(signed.bytes())).then_some(Submitted::Settled(id)))
    }

    /// The one place where this node checks the signatures of a record.
    pub(crate) fn verify(&self, state: &State, signed: Signed) -> Result<Verified, Refusal> {
        self.0.signatures.fetch_add(signed.signatures().len() as u64, Ordering::Relaxed);
        state.verify(signed)
    }

    /// How many signatures on records this node has checked since its start.
    pub fn signatures_checked(&self) -> u64 {
        self.0.signatures.load(Ordering::Relaxed)
    }

    /// Takes many records in, in order, the signature checks on all cores. A result for each, in order.
    pub async fn submit_many(&self, records: Vec<Vec<u8>>) -> Vec<Result<Submitted, SubmitError>> {
        let ledger = self.clone();
        blocking::run(move || ledger.submit_all(records, Origin::Here)).await
    }

    /// As [`Ledger::submit_many`], of records that a peer told.
    pub async fn take_from_peer(&self, records: Vec<Vec<u8>>) -> Vec<Result<Submitted, SubmitError>> {
        let ledger = self.clone();
        blocking::run(move || ledger.submit_all(records, Origin::Peer)).await
    }

    /// Verification is pure and costs most, so it is spread; admission follows in order, while later records
    /// are still verified and earlier ones are perhaps in a block already.
    fn submit_all(&self, records: Vec<Vec<u8>>, origin: Origin) -> Vec<Result<Submitted, SubmitError>> {
        let (mut submitted, mut closed) = (Vec::with_capacity(records.len()), false);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        if cores == 1 || records.len() <= SHARE {
            let checked = records.into_iter().map(|bytes| self.check(bytes));
            self.take_all(checked, origin, &mut submitted, &mut closed);
            return submitted;
        }
        let mut shares: Vec<Mutex<Vec<Vec<u8>>>> = Vec::new();
        let mut rest = records.into_iter().peekable();
        while rest.peek().is_some() {
            shares.push(Mutex::new(rest.by_ref().take(SHARE).collect()));
        }
        let next = AtomicUsize::new(0);
        let (sender, receiver) = mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..cores.min(shares.len()) {
                let (sender, next, shares) = (sender.clone(), &next, &shares);
                scope.spawn(move || {
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(share) = shares.get(at) else { return };
                        let records = std::mem::take(&mut *share.lock().unwrap_or_else(PoisonError::into_inner));
                        let checked: Vec<_> = records.into_iter().map(|bytes| self.check(bytes)).collect();
                        // Nobody listens any more only after a panic, which goes on elsewhere.
                        let _ = sender.send((at, checked));
                    }
                });
            }
            drop(sender);
            let (mut due, mut early) = (0, BTreeMap::new());
            for (at, checked) in receiver {
                early.insert(at, checked);
                while let Some(checked) = early.remove(&due) {
                    self.take_all(checked, origin, &mut submitted, &mut closed);
                    due += 1;
                }
            }
        });
        submitted
    }

    fn take(&self, checked: Result<Checked, SubmitError>) -> Result<Submitted, SubmitError> {
        match checked? {
            Checked::Known(known) => Ok(known),
            Checked::Verified(record) => self.admit(record),
        }
    }

    /// Takes the next records of a batch. Once one of them finds no room none after it is taken: what is sent
    /// again later must not come behind what followed it.
    fn take_all(
        &self,
        checked: impl IntoIterator<Item = Result<Checked, SubmitError>>,
        origin: Origin,
        submitted: &mut Vec<Result<Submitted, SubmitError>>,
        closed: &mut bool,
    ) {
        let first = submitted.len();
        for checked in checked {
            let result = match checked {
                Ok(Checked::Verified(_)) if *closed => Err(OVERLOADED),
                checked => self.take(checked),
            };
            *closed |= matches!(result, Err(SubmitError::Overloaded { .. } | SubmitError::ReadOnly));
            submitted.push(result);
        }
        if origin == Origin::Here {
            let new = |result: &Result<Submitted, SubmitError>| match result {
                Ok(Submitted::New(id)) => Some(*id),
                _ => None,
            };
            self.send_out(submitted[first..].iter().filter_map(new));
        }
        self.0.work.notify_one();
    }

    fn admit(&self, record: Verified) -> Result<Submitted, SubmitError> {
        let id = record.id();
        if !self.0.writable.load(Ordering::Relaxed) && self.read().settled(&id).is_none() {
            return Err(SubmitError::ReadOnly);
        }
        // Held until the record is in the pool, so that no block can settle it in between.
        let state = self.read();
        if state.settled(&id).is_some() {
            return Ok(Submitted::Settled(id));
        }
        if self.pool().get(&id).is_some() {
            return Ok(Submitted::Pending(id));
        }
        state.admit(&record, self.0.clock.proposal_time(state.tip().time))?;
        let root = state.authorities().root_of(record.authority());
        self.pool().insert(record, root).map_err(|mempool::Full| OVERLOADED)?;
        Ok(Submitted::New(id))
    }

    /// Makes waiting records durable: before anybody is told that they are taken without being in a block.
    pub fn keep(&self, ids: &[RecordId]) -> Result<(), StoreError> {
        let records: Vec<(RecordId, Vec<u8>)> = {
            let pool = self.pool();
            let bytes = |id: &RecordId| Some((*id, pool.get(id)?.signed().bytes().to_vec()));
            ids.iter().filter_map(bytes).collect()
        };
        if records.is_empty() { Ok(()) } else { self.0.store.put_pooled(&records) }
    }

    /// What is known of a record.
    pub fn fate(&self, id: &RecordId) -> Result<Fate, StoreError> {
        if let Some(place) = self.recent().get(id) {
            return Ok(Fate::Settled(place.clone()));
        }
        {
            let pool = self.pool();
            if let Some(record) = pool.get(id) {
                let expired = mempool::is_expired(record, self.0.clock.now());
                return Ok(Fate::Pending { expired });
            }
            if let Some(refusal) = pool.refusal(id) {
                return Ok(Fate::Refused(refusal.clone()));
            }
        }
        // What leaves the pool for the log is in the store before.
        if let Some(place) = self.0.store.place(id)? {
            return Ok(Fate::Settled(place));
        }
        if let Some(stored) = self.0.store.refusal(id)? {
            let (member, field) = stored.field.as_deref().map_or((None, None), read_path);
            return Ok(Fate::Refused(Refusal { code: stored.code, field, member, detail: stored.detail }));
        }
        // An entry of a set stands where its set does.
        let member = self.read().settled(id);
        let place = member.map(|settled| self.0.store.place_at(settled.index)).transpose()?.flatten();
        Ok(place.map_or(Fate::Unknown, Fate::Settled))
    }

    /// Waits until a record is settled or refused, or `deadline`; says what is known then.
    pub async fn settled(&self, id: &RecordId, deadline: Instant) -> Result<Fate, StoreError> {
        let fates = self.all_settled(std::slice::from_ref(id), deadline).await?;
        Ok(fates.into_iter().next().unwrap_or(Fate::Unknown))
    }

    /// Waits until all of these records are settled or refused, or `deadline`; says what is known of each
    /// then, in order.
    pub async fn all_settled(&self, ids: &[RecordId], deadline: Instant) -> Result<Vec<Fate>, StoreError> {
        let mut progress = self.0.progress.subscribe();
        let mut fates = Vec::with_capacity(ids.len());
        loop {
            progress.mark_unchanged();
            // What was settled stays so, and blocks settle records about in their order: each is looked at
            // about once.
            while let Some(id) = ids.get(fates.len()) {
                match self.fate(id)? {
                    Fate::Pending { .. } => break,
                    fate => fates.push(fate),
                }
            }
            if fates.len() == ids.len() {
                return Ok(fates);
            }
            if tokio::time::timeout_at(deadline.into(), progress.changed()).await.is_err() {
                for id in &ids[fates.len()..] {
                    fates.push(self.fate(id)?);
                }
                return Ok(fates);
            }
        }
    }

    /// Counts commits and refusals: whoever waits for more of the log looks again when it changes.
    pub(crate) fn progress(&self) -> watch::Receiver<u64> {
        self.0.progress.subscribe()
    }

    /// Waits until the chain has reached `height`, or `deadline`; says whether it has.
    pub async fn reached(&self, height: u64, deadline: Instant) -> bool {
        let mut progress = self.0.progress.subscribe();
        loop {
            progress.mark_unchanged();
            if self.read().tip().height >= height {
                return true;
            }
            if tokio::time::timeout_at(deadline.into(), progress.changed()).await.is_err() {
                return self.read().tip().height >= height;
            }
        }
    }

    /// How many records wait, and their bytes.
    pub fn pooled(&self) -> (usize, usize) {
        let pool = self.pool();
        (pool.len(), pool.bytes())
    }

    /// How many of them are restrictive.
    pub fn pooled_restrictive(&self) -> usize {
        self.pool().restrictive()
    }

    /// A waiting record's bytes.
    pub fn waiting(&self, id: &RecordId) -> Option<Vec<u8>> {
        self.pool().get(id).map(|record| record.signed().bytes().to_vec())
    }

    /// Whether questions may be answered from this state: it is as new as what was answered from before, and at some
    /// time since the start it was all that was known to exist.
    pub fn may_answer(&self) -> bool {
        self.0.may_answer.load(Ordering::Relaxed)
    }

    /// Whether the node answers from all that it knows to exist.
    pub fn is_caught_up(&self) -> bool {
        self.may_answer() && self.0.caught_up.load(Ordering::Relaxed)
    }

    /// Says whether the node may answer.
    pub(crate) fn set_may_answer(&self, may: bool) {
        self.0.may_answer.store(may, Ordering::Relaxed);
    }

    /// Says whether the state is all that is known to exist.
    pub(crate) fn set_caught_up(&self, caught_up: bool) {
        self.0.caught_up.store(caught_up, Ordering::Relaxed);
    }

    /// The ids of records that have waited a while: what peers that lack one should ask for.
    pub(crate) fn aged(&self, age: Duration) -> Vec<RecordId> {
        let now = self.0.clock.now();
        let mut ids: Vec<_> = self.pool().aged(age, now).copied().collect();
        ids.sort_unstable();
        ids
    }

    /// What has waited for `age`, in short.
    pub(crate) fn summary(&self, age: Duration) -> Summary {
        let now = self.0.clock.now();
        let mut summary = Summary::default();
        self.pool().aged(age, now).for_each(|id| summary.add(id));
        summary
    }

    /// Those of these records that are not known here at all.
    pub(crate) fn lacks(&self, ids: &[RecordId]) -> Vec<RecordId> {
        let state = self.read();
        let pool = self.pool();
        let unknown =
            |id: &&RecordId| pool.get(id).is_none() && pool.refusal(id).is_none() && state.settled(id).is_none();
        ids.iter().filter(unknown).copied().collect()
    }

    /// Whether the node takes records.
    pub fn is_writable(&self) -> bool {
        self.0.writable.load(Ordering::Relaxed)
    }

    /// Says whether the disk has room for more records.
    pub fn set_writable(&self, writable: bool) {
        self.0.writable.store(writable, Ordering::Relaxed);
    }

    /// Whether the disk has no room left, not even for what other nodes decide.
    pub fn is_exhausted(&self) -> bool {
        self.0.exhausted.load(Ordering::Relaxed)
    }

    /// Says whether the disk has no room left.
    pub fn set_exhausted(&self, exhausted: bool) {
        self.0.exhausted.store(exhausted, Ordering::Relaxed);
    }

    /// Takes back into the pool what was acknowledged before the last stop, unless it is settled since.
    pub fn recall_pooled(&self) -> Result<usize, StoreError> {
        let state = self.read();
        let mut pool = self.pool();
        let mut recalled = Vec::new();
        for (id, bytes) in self.0.store.pooled()? {
            match Signed::decode(bytes).and_then(|signed| state.verify(signed)) {
                Ok(record) if state.settled(&id).is_none() => {
                    let root = state.authorities().root_of(record.authority());
                    if pool.insert(record, root).is_ok() {
                        recalled.push(id);
                    }
                }
                Ok(_) => {}
                Err(refusal) => pool.refuse(id, refusal),
            }
        }
        drop(pool);
        let count = recalled.len();
        // Nobody else may have heard of them before the stop.
        self.send_out(recalled);
        Ok(count)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn pool(&self) -> MutexGuard<'_, Mempool> {
        self.0.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers where the records of a block that is durable stand.
    pub(crate) fn remember(&self, places: impl IntoIterator<Item = (RecordId, StoredPlace)>) {
        let mut recent = self.recent();
        if recent.len() > RECENT_MAX {
            recent.clear();
        }
        recent.extend(places);
    }

    fn recent(&self) -> MutexGuard<'_, HashMap<RecordId, StoredPlace>> {
        self.0.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the fsyncs of one more file.
    pub(crate) fn count_syncs_of(&self, count: impl Fn() -> u64 + Send + 'static) {
        self.0.syncs.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(count));
    }

    /// How many fsyncs there were since the start: of the store, the guards and the clock's mark. Those of
    /// the engine's own log are not among them.
    pub fn syncs(&self) -> u64 {
        let guards = self.0.syncs.lock().unwrap_or_else(PoisonError::into_inner);
        let guards: u64 = guards.iter().map(|count| count()).sum();
        self.0.store.writes().syncs + guards + self.0.clock.syncs()
    }

    pub(crate) fn shared_store(&self) -> Arc<dyn LogStore> {
        self.0.store.clone()
    }

    /// Tells waiters to look again.
    pub(crate) fn announce(&self) {
        self.0.progress.send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// The two parts of [`Refusal::path`].
fn read_path(path: &str) -> (Option<u8>, Option<&'static str>) {
    let member = path.strip_prefix("members[").and_then(|rest| rest.split_once(']'));
    match member.and_then(|(place, rest)| Some((place.parse().ok()?, rest))) {
        Some((place, rest)) => (Some(place), rest.strip_prefix('.').and_then(known_field)),
        None => (None, known_field(path)),
    }
}

/// The name of a record's member as a fixed text: a stored refusal brings it back as any text.
fn known_field(field: &str) -> Option<&'static str> {
    const FIELDS: [&str; 17] = [
        "sub",
        "obj",
        "act",
        "access",
        "iss",
        "exp",
        "cond",
        "ref",
        "chain",
        "issuingAuth",
        "submit_by",
        "target",
        "effect",
        "signatures",
        "record",
        "members",
        "unchanged_since",
    ];
    FIELDS.into_iter().find(|known| *known == field)
}
