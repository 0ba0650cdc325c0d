//! The ledger as the rest of the node sees it: the state to read, the way for records to get in, and the
//! wait until they are settled.
//!
//! ```text
//!   http --submit--> verify, admit, pool --wake--> engine --Application--> chain.rs, the single writer
//!   http --read----> State behind a lock, LogStore       <---- commit: store, guard, state, pool, in this order
//! ```
//!
//! [`Ledger`] is a cheap handle. Only [`crate::chain::Chain`], which the engine's one thread owns, writes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use tokio::sync::{Notify, watch};
use writ_proto::record::{Body, RecordId, Signed, Verified};
use writ_proto::refusal::{Code, Refusal};
use writ_proto::state::State;
use writ_proto::time::Interval;

use crate::clock::{Clock, ClockFault};
use crate::mempool::{self, Mempool, PoolLimits};
use crate::storage::{LogStore, StoreError, StoredPlace};

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
    /// Whether the state is what the chain is known to be.
    caught_up: AtomicBool,
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
        Self(Arc::new(Shared {
            state: RwLock::new(state),
            store,
            clock,
            pool: Mutex::new(Mempool::new(limits)),
            work: Arc::new(Notify::new()),
            progress: watch::Sender::new(0),
            writable: AtomicBool::new(true),
            caught_up: AtomicBool::new(true),
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
        let record = self.verify(bytes)?;
        self.admit(record)
    }

    /// What can be said of a record without its place among others: form, features, authority, signatures.
    fn verify(&self, bytes: Vec<u8>) -> Result<Verified, SubmitError> {
        let signed = Signed::decode(bytes)?;
        check_features(&signed)?;
        Ok(self.read().verify(signed)?)
    }

    /// Takes many records in, in order, the signature checks on all cores. A result for each, in order.
    pub async fn submit_many(&self, records: Vec<Vec<u8>>) -> Vec<Result<Submitted, SubmitError>> {
        // Verification is pure and costs most, so it is spread; admission follows in order.
        let verified = self.verify_many(records).await;
        let ledger = self.clone();
        let admit = move || verified.into_iter().map(|record| record.and_then(|record| ledger.admit(record))).collect();
        run_blocking(admit).await
    }

    async fn verify_many(&self, records: Vec<Vec<u8>>) -> Vec<Result<Verified, SubmitError>> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let share = records.len().div_ceil(threads).max(1);
        let mut rest = records.into_iter().peekable();
        let mut tasks = Vec::new();
        while rest.peek().is_some() {
            let chunk: Vec<Vec<u8>> = rest.by_ref().take(share).collect();
            let ledger = self.clone();
            let verify = move || chunk.into_iter().map(|bytes| ledger.verify(bytes)).collect::<Vec<_>>();
            tasks.push(run_blocking(verify));
        }
        let mut verified = Vec::new();
        for task in tasks {
            verified.extend(task.await);
        }
        verified
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
        self.pool().insert(record).map_err(|mempool::Full| SubmitError::Overloaded { retry_after_s: 1 })?;
        drop(state);
        self.0.work.notify_one();
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
        if let Some(place) = self.0.store.place(id)? {
            return Ok(Fate::Settled(place));
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
        // It may have been committed between the two looks.
        if let Some(place) = self.0.store.place(id)? {
            return Ok(Fate::Settled(place));
        }
        Ok(self.0.store.refusal(id)?.map_or(Fate::Unknown, |stored| {
            let field = stored.field.as_deref().and_then(known_field);
            Fate::Refused(Refusal { code: stored.code, field, detail: stored.detail })
        }))
    }

    /// Waits until a record is settled or refused, or `deadline`; says what is known then.
    pub async fn settled(&self, id: &RecordId, deadline: Instant) -> Result<Fate, StoreError> {
        let mut progress = self.0.progress.subscribe();
        loop {
            progress.mark_unchanged();
            let fate = self.fate(id)?;
            if !matches!(fate, Fate::Pending { .. }) {
                return Ok(fate);
            }
            if tokio::time::timeout_at(deadline.into(), progress.changed()).await.is_err() {
                return self.fate(id);
            }
        }
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

    /// A waiting record's bytes.
    pub fn waiting(&self, id: &RecordId) -> Option<Vec<u8>> {
        self.pool().get(id).map(|record| record.signed().bytes().to_vec())
    }

    /// Whether the node answers from all that it knows to exist.
    pub fn is_caught_up(&self) -> bool {
        self.0.caught_up.load(Ordering::Relaxed)
    }

    /// As if more were known to exist than is here.
    #[cfg(test)]
    pub(crate) fn set_behind(&self) {
        self.0.caught_up.store(false, Ordering::Relaxed);
    }

    /// Whether the node takes records.
    pub fn is_writable(&self) -> bool {
        self.0.writable.load(Ordering::Relaxed)
    }

    /// Says whether the disk has room for more records.
    pub fn set_writable(&self, writable: bool) {
        self.0.writable.store(writable, Ordering::Relaxed);
    }

    /// Takes back into the pool what was acknowledged before the last stop, unless it is settled since.
    pub fn recall_pooled(&self) -> Result<usize, StoreError> {
        let state = self.read();
        let mut pool = self.pool();
        let mut recalled = 0;
        for (id, bytes) in self.0.store.pooled()? {
            match Signed::decode(bytes).and_then(|signed| state.verify(signed)) {
                Ok(record) if state.settled(&id).is_none() => recalled += usize::from(pool.insert(record).is_ok()),
                Ok(_) => {}
                Err(refusal) => pool.refuse(id, refusal),
            }
        }
        Ok(recalled)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn pool(&self) -> MutexGuard<'_, Mempool> {
        self.0.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn shared_store(&self) -> Arc<dyn LogStore> {
        self.0.store.clone()
    }

    /// Tells waiters to look again.
    pub(crate) fn announce(&self) {
        self.0.progress.send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// What this version does not carry out yet is refused at the door: a condition that nobody evaluates
/// would make an entry that never counts.
fn check_features(signed: &Signed) -> Result<(), Refusal> {
    match signed.body() {
        Body::Access(access) if access.cond.is_some() => {
            Err(Refusal::of(Code::Unsupported, "cond", "conditions are not supported by this version"))
        }
        _ => Ok(()),
    }
}

/// The name of a record's member as a fixed text: a stored refusal brings it back as any text.
fn known_field(field: &str) -> Option<&'static str> {
    const FIELDS: [&str; 15] = [
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
    ];
    FIELDS.into_iter().find(|known| *known == field)
}

/// Runs something that computes for long off the threads that serve connections.
fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> impl Future<Output = T> {
    let task = tokio::task::spawn_blocking(work);
    async move {
        match task.await {
            Ok(done) => done,
            // The only way for it to fail is a panic inside, which goes on here.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}
