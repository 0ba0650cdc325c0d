//! The one place that reads time.
//!
//! A question about *now* is answered over an [`Interval`] `[lo, hi]`, because the local clock may be wrong:
//!
//! ```text
//!   lo = the later of   last block's time, local clock
//!   hi = the latest of  last block's time, local clock, high-water mark
//! ```
//!
//! What gives access must hold throughout it. The **high-water mark** is the latest `hi` that was ever given, here
//! or before a restart, so an entry that was once found to have ended never gives access again, wherever the
//! clock goes: a clock that is set back moves `lo`, never `hi`.
//!
//! The mark follows the local clock only while that agrees with the boot-time clock, which nobody can set, to within
//! the chain's clock bound. After a jump, and with a clock further behind the mark than the bound, there is no answer but
//! [`ClockFault`] (`503 clock`), and the mark moves with the chain's blocks alone.
//!
//! In a network the clocks of other validators are [compared](others) with the local one, which is *disputed* while more
//! than a third say that it is off by more than the bound: no answer then either. After a jump the same many of
//! them make it good again by agreeing, so that a clock that was put right needs no restart.
//!
//! **On disk** the mark is written ahead: before an interval with a `hi` later than what is stored is given
//! out, a mark up to [`Clock::ahead_ms`] ahead of the clock is made durable, so that the next half a second of
//! answers writes nothing.
//!
//! ```text
//!   answered up to      stored (the mark after a crash)
//!   ---------------|----------------------|----------> time
//!                  |<---- at most ahead -->|
//! ```
//!
//! After a crash the clock starts at the stored mark, at or after every `hi` that anybody ever saw, and at most
//! the greater of *ahead* and bound later than the clock then was. As *ahead* is at most the bound where that is half a
//! second or more, a crash alone never makes the clock faulty; entries that end within that time are found to have
//! ended up to that much too early, once, for that long. To store the exact mark instead would cost an fsync per answer,
//! to store it behind would give back what had ended. A clean stop ([`Clock::settle`]) stores the exact mark.
//!
//! **Cost.** An answer is two clock readings and a few atomic operations. No thread works here: who comes when more
//! than half of what is stored ahead is used up renews it (others pass by meanwhile); with no questions
//! nothing is written. [`Clock::keep_ahead`], called now and then where blocking is fine, takes even that off the
//! answers.

mod mark;
mod others;
mod source;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};

use writ_proto::hash::Digest;
use writ_proto::time::{Interval, LedgerTime};

use crate::guard::{GuardFileError, SlotFile};
use mark::ClockMark;
pub use others::Offset;
pub use source::{Reading, Source};

/// The least that the mark is stored ahead, in milliseconds: it bounds how often it is written.
pub const AHEAD_MS_MIN: u64 = 500;
/// The most that the mark is stored ahead, in milliseconds, however far clocks may differ.
pub const AHEAD_MS_MAX: u64 = 2_000;

/// Why there is no telling what time it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClockFault {
    /// The local clock is behind what it, or the chain, said before.
    #[error(
        "the local clock is {by_ms} ms behind the latest time that was answered for, at most {bound_ms} ms are allowed"
    )]
    Behind {
        /// By how much.
        by_ms: u64,
        /// The chain's clock bound.
        bound_ms: u64,
    },
    /// The local clock jumped.
    #[error(
        "the local clock jumped by {by_ms} ms since the node started, at most {bound_ms} ms are allowed; once it is right and other validators agree with it this passes, alone it takes a restart"
    )]
    Stepped {
        /// By how much; negative: back.
        by_ms: i64,
        /// The chain's clock bound.
        bound_ms: u64,
    },
    /// Other validators have other clocks.
    #[error(
        "the local clock is off by {by_ms} ms (negative: behind) from the clocks of more than a third of the validators, at most {bound_ms} ms are allowed"
    )]
    Disputed {
        /// By how much, at least; negative: behind.
        by_ms: i64,
        /// The chain's clock bound.
        bound_ms: u64,
    },
    /// The local clock is beyond what the ledger can write.
    #[error("the local clock is beyond the last time of the ledger")]
    BeyondTime,
    /// The mark could not be stored; the process must end.
    #[error("the high-water mark of time could not be kept")]
    NotKept,
}

/// Why the clock cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClockError {
    /// The mark is missing, though the node has blocks.
    #[error("the high-water mark of time `{path}` is missing, so what was answered before is not known")]
    MarkMissing {
        /// Which file.
        path: PathBuf,
    },
    /// Its file cannot be used.
    #[error(transparent)]
    File(#[from] GuardFileError),
}

/// The clock of one node. See the module's doc.
#[derive(Debug)]
pub struct Clock {
    source: Source,
    /// The chain's clock bound, as its parameters say now.
    bound_ms: AtomicU64,
    /// Wall clock less boot-time clock, at start or when others agreed after a jump.
    anchor_ms: AtomicI64,
    /// By how much others say that the local clock is ahead; 0: they do not.
    disputed_ms: AtomicI64,
    /// Whether enough others were ever heard.
    compared: AtomicBool,
    /// The latest `hi` ever given out, and block time seen.
    mark: AtomicU64,
    /// What the mark is after a crash now. INVARIANT: no `hi` later than this was given out.
    stored: AtomicU64,
    /// `None`: the mark is kept nowhere.
    file: Option<Mutex<SlotFile<ClockMark>>>,
    failed: AtomicBool,
}

/// The local clock as it stands: for `init`, and wherever no node is running.
pub fn wall_time() -> LedgerTime {
    to_time(Source::system().read().wall_ms)
}

impl Clock {
    /// The clock of a node of chain `chain`, with its mark in the folder `dir`. `last_block` is the time of the last
    /// stored block; without one the mark may begin here.
    ///
    /// # Errors
    /// If the mark is missing though there are blocks, damaged, or in use.
    pub fn open(dir: &Path, chain: &Digest, bound_ms: u64, last_block: Option<LedgerTime>) -> Result<Self, ClockError> {
        Self::with_source(dir, chain, bound_ms, last_block, Source::system())
    }

    /// [`Clock::open`] with another source of time.
    pub fn with_source(
        dir: &Path,
        chain: &Digest,
        bound_ms: u64,
        last_block: Option<LedgerTime>,
        source: Source,
    ) -> Result<Self, ClockError> {
        let file = mark::open(dir, chain, last_block.is_none())?;
        Ok(Self::start(Some(file), bound_ms, last_block, source))
    }

    /// A clock whose mark is kept nowhere: for tests.
    pub fn in_memory(bound_ms: u64, source: Source) -> Self {
        Self::start(None, bound_ms, None, source)
    }

    /// Begins the mark anew, by an operator's word, at the time of the last block: it was lost, or a clock that
    /// was far ahead has carried it away. What had ended by the old mark and not by the clock may give access
    /// again.
    ///
    /// # Errors
    /// If a node is running on it.
    pub fn restore(dir: &Path, chain: &Digest, last_block: Option<LedgerTime>) -> Result<(), ClockError> {
        mark::restore(dir, chain, last_block.unwrap_or(LedgerTime::EPOCH))
    }

    /// The chain's parameters give another bound from now on.
    pub(crate) fn set_bound(&self, bound_ms: u64) {
        self.bound_ms.store(bound_ms, Ordering::Relaxed);
    }

    fn bound_ms(&self) -> u64 {
        self.bound_ms.load(Ordering::Relaxed)
    }

    fn start(file: Option<SlotFile<ClockMark>>, bound_ms: u64, last_block: Option<LedgerTime>, source: Source) -> Self {
        let stored = file.as_ref().map_or(0, |file| file.get().until.as_millis());
        let mark = stored.max(last_block.map_or(0, LedgerTime::as_millis));
        let anchor_ms = source.read().offset_ms();
        Self {
            source,
            bound_ms: AtomicU64::new(bound_ms),
            anchor_ms: AtomicI64::new(anchor_ms),
            disputed_ms: AtomicI64::new(0),
            compared: AtomicBool::new(false),
            mark: AtomicU64::new(mark),
            stored: AtomicU64::new(stored),
            file: file.map(Mutex::new),
            failed: AtomicBool::new(false),
        }
    }

    /// The interval that a question without an instant is about, with the last block of time `last_block`.
    pub fn interval(&self, last_block: LedgerTime) -> Result<Interval, ClockFault> {
        let wall = self.check(last_block)?;
        let before = self.mark.fetch_max(wall.as_millis(), Ordering::SeqCst);
        let hi = to_time(before.max(wall.as_millis()));
        self.cover(hi, wall, self.ahead_ms() / 2)?;
        Ok(Interval::new(last_block.max(wall), hi).expect("the mark is at or after the last block and the clock"))
    }

    /// Whether the clock can be trusted now, and what it says. Blocks carry the mark along in any case.
    pub fn check(&self, last_block: LedgerTime) -> Result<LedgerTime, ClockFault> {
        let last = last_block.as_millis();
        let mark = self.mark.fetch_max(last, Ordering::SeqCst).max(last);
        if self.failed.load(Ordering::SeqCst) {
            return Err(ClockFault::NotKept);
        }
        let reading = self.source.read();
        let by_ms = self.step(reading);
        let bound_ms = self.bound_ms();
        if by_ms.unsigned_abs() > bound_ms {
            return Err(ClockFault::Stepped { by_ms, bound_ms });
        }
        match self.disputed_ms.load(Ordering::Relaxed) {
            0 => {}
            by_ms => return Err(ClockFault::Disputed { by_ms, bound_ms }),
        }
        let by_ms = mark.saturating_sub(reading.wall_ms);
        if by_ms > bound_ms {
            return Err(ClockFault::Behind { by_ms, bound_ms });
        }
        LedgerTime::from_millis(reading.wall_ms).map_err(|_| ClockFault::BeyondTime)
    }

    /// The local clock, but never further ahead than the boot-time clock allows: after a jump forward it does not
    /// carry a block's time away. For proposing, judging and admitting, where there is always an answer.
    pub fn now(&self) -> LedgerTime {
        let reading = self.source.read();
        let steady = signed(reading.boot_ms).saturating_add(self.anchor_ms.load(Ordering::Relaxed));
        let latest = u64::try_from(steady).unwrap_or(0).saturating_add(self.bound_ms());
        to_time(reading.wall_ms.min(latest))
    }

    /// Both clocks as they are now, for comparing them with those of others.
    pub fn read(&self) -> Reading {
        self.source.read()
    }

    /// Compares the local clock with those of other validators, of whom at least `enough` have to say something.
    ///
    /// Until they say something else it stays as they said: a node that loses them does not trust a clock that they
    /// disputed.
    pub fn compare(&self, others: &[Offset], enough: usize) {
        let reading = self.source.read();
        let own = reading.offset_ms();
        let bound_ms = self.bound_ms();
        match others::judge(own, others, bound_ms, enough) {
            others::Verdict::Unheard => return,
            others::Verdict::Agrees => {
                if self.disputed_ms.swap(0, Ordering::Relaxed) != 0 {
                    tracing::info!("other validators agree with the local clock again");
                }
                let by_ms = self.step(reading);
                if by_ms.unsigned_abs() > bound_ms {
                    tracing::warn!(by_ms, "the local clock jumped, and other validators agree with it now");
                    self.anchor_ms.store(own, Ordering::Relaxed);
                }
            }
            others::Verdict::Disputed { by_ms } => {
                if self.disputed_ms.swap(by_ms, Ordering::Relaxed) == 0 {
                    tracing::error!(
                        by_ms,
                        bound_ms,
                        "other validators have other clocks: this node does not answer by its own"
                    );
                }
            }
        }
        self.compared.store(true, Ordering::Relaxed);
    }

    /// Whether enough others were ever heard to tell whether the local clock is right.
    pub fn is_compared(&self) -> bool {
        self.compared.load(Ordering::Relaxed)
    }

    /// The time to propose for a block after one of time `last_block`: now, but later than that.
    pub fn proposal_time(&self, last_block: LedgerTime) -> LedgerTime {
        self.now().max(last_block.saturating_add_millis(1))
    }

    /// How far ahead of the clock the mark is stored, in milliseconds: within a second what the bound is.
    pub fn ahead_ms(&self) -> u64 {
        self.bound_ms().clamp(AHEAD_MS_MIN, AHEAD_MS_MAX)
    }

    /// Stores the mark ahead again if a quarter of what was stored ahead is used up. Called every quarter of
    /// [`ahead_ms`](Clock::ahead_ms) where blocking is fine, it keeps fsyncs out of answers.
    pub fn keep_ahead(&self) -> Result<(), ClockFault> {
        let answered = to_time(self.mark.load(Ordering::SeqCst));
        // Not beyond the clock: a mark that already runs ahead of it must not run further with every start.
        self.cover(answered, answered.min(self.now()), self.ahead_ms() / 4 * 3)
    }

    /// Stores the exact mark, at a clean stop, so that the next start knows it and not what was stored ahead.
    pub fn settle(&self) -> Result<(), ClockFault> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut file = file.lock().map_err(|_| self.lost())?;
        // From here on everybody who answers waits for this and then stores anew; whoever did not see the zero
        // had put its `hi` into the mark before it is read here.
        self.stored.store(0, Ordering::SeqCst);
        let mark = to_time(self.mark.load(Ordering::SeqCst));
        self.put(&mut file, mark)
    }

    /// How many fsyncs there were.
    pub fn syncs(&self) -> u64 {
        self.file.as_ref().and_then(|file| file.lock().ok()).map_or(0, |file| file.syncs())
    }

    /// How far the local clock moved against the boot-time clock since start.
    fn step(&self, reading: Reading) -> i64 {
        reading.offset_ms().saturating_sub(self.anchor_ms.load(Ordering::Relaxed))
    }

    /// Sees to it that no start after a crash has a mark before `hi`, with the clock at `wall`; and that less than
    /// `left_ms` ahead of it are not left, unless somebody else is at that.
    fn cover(&self, hi: LedgerTime, wall: LedgerTime, left_ms: u64) -> Result<(), ClockFault> {
        let Some(file) = &self.file else { return Ok(()) };
        let stored = || to_time(self.stored.load(Ordering::SeqCst));
        let target = wall.saturating_add_millis(self.ahead_ms()).max(hi);
        if hi > stored() {
            let mut file = file.lock().map_err(|_| self.lost())?;
            // Somebody else may have stored it while this one waited.
            return if hi > stored() { self.put(&mut file, target) } else { Ok(()) };
        }
        if wall.saturating_add_millis(left_ms) > stored() {
            return match file.try_lock() {
                Ok(mut file) if target > stored() => self.put(&mut file, target),
                // This answer is covered, and so will the next ones be.
                Ok(_) | Err(TryLockError::WouldBlock) => Ok(()),
                Err(TryLockError::Poisoned(_)) => Err(self.lost()),
            };
        }
        Ok(())
    }

    fn put(&self, file: &mut MutexGuard<'_, SlotFile<ClockMark>>, until: LedgerTime) -> Result<(), ClockFault> {
        file.set(ClockMark { until }).map_err(|error| {
            tracing::error!(%error, "the high-water mark of time could not be kept");
            self.lost()
        })?;
        self.stored.store(until.as_millis(), Ordering::SeqCst);
        Ok(())
    }

    /// What is on disk is not known any more: no further answers.
    fn lost(&self) -> ClockFault {
        self.failed.store(true, Ordering::SeqCst);
        ClockFault::NotKept
    }
}

/// The nearest time that the ledger can write.
fn to_time(millis: u64) -> LedgerTime {
    LedgerTime::from_millis(millis).unwrap_or(LedgerTime::MAX)
}

fn signed(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}
