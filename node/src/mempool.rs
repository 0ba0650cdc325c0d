//! Records that wait for a block: verified, bounded, without duplicates, in the order they came.
//!
//! The pool is memory; what it acknowledges without a block behind it is also in the store
//! ([`crate::storage::LogStore::put_pooled`]) before the caller hears of it.
//!
//! Restrictive records go first into a block, so that what takes access away never queues behind what
//! gives it.
//!
//! **No organisation can fill the pool for the others.** Half of the room is common; the other half is divided into
//! equal shares, one for each root authority, that only records of it and its descendants may take. So a root that
//! floods takes the common half and its own share, and every other root still finds its share empty.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use writ_proto::record::{Class, RecordId, Verified};
use writ_proto::refusal::{Code, Refusal};
use writ_proto::time::LedgerTime;

/// How many refused records are remembered, so that a caller who asks later learns why.
const REFUSED_MAX: usize = 16_384;

/// Bounds of the pool.
#[derive(Clone, Copy, Debug)]
pub struct PoolLimits {
    /// Records.
    pub records_max: usize,
    /// Bytes of records.
    pub bytes_max: usize,
}

impl Default for PoolLimits {
    /// Sixteen full blocks: what a burst brings while a block or two are decided.
    fn default() -> Self {
        Self { records_max: 16 * 4096, bytes_max: 16 * 1024 * 1024 }
    }
}

/// The pool is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// What some records take up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Use {
    records: usize,
    bytes: usize,
}

/// See the module's doc.
#[derive(Debug)]
pub struct Mempool {
    limits: PoolLimits,
    /// How many root authorities share it.
    roots: usize,
    records: HashMap<RecordId, Waiting>,
    /// By class, then by arrival.
    queue: BTreeMap<(Lane, u64), RecordId>,
    /// By the ordinal of the root authority.
    used: BTreeMap<u32, Use>,
    bytes: usize,
    arrivals: u64,
    /// How many had arrived when the last block was committed.
    arrived_before: u64,
    refused: HashMap<RecordId, Refusal>,
    refused_order: VecDeque<RecordId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lane {
    Restrictive,
    Permissive,
}

#[derive(Debug)]
struct Waiting {
    record: Verified,
    root: u32,
    since: Instant,
    at: (Lane, u64),
}

impl Mempool {
    /// An empty pool that `roots` root authorities share.
    pub fn new(limits: PoolLimits, roots: usize) -> Self {
        Self {
            limits,
            roots: roots.max(1),
            records: HashMap::new(),
            queue: BTreeMap::new(),
            used: BTreeMap::new(),
            bytes: 0,
            arrivals: 0,
            arrived_before: 0,
            refused: HashMap::new(),
            refused_order: VecDeque::new(),
        }
    }

    /// Takes a record of a descendant of `root`, or of `root` itself, in, unless it waits already.
    ///
    /// # Errors
    /// If there is no room for one of `root`. What the pool holds it never drops for a newcomer.
    pub fn insert(&mut self, record: Verified, root: u32) -> Result<(), Full> {
        let id = record.id();
        if self.records.contains_key(&id) {
            return Ok(());
        }
        let len = record.signed().bytes().len();
        if !self.has_room(root, len) {
            return Err(Full);
        }
        let lane = match record.class() {
            Class::Restrictive => Lane::Restrictive,
            Class::Permissive => Lane::Permissive,
        };
        let at = (lane, self.arrivals);
        self.arrivals += 1;
        self.bytes += len;
        self.queue.insert(at, id);
        let used = self.used.entry(root).or_default();
        (used.records, used.bytes) = (used.records + 1, used.bytes + len);
        self.records.insert(id, Waiting { record, root, since: Instant::now(), at });
        self.refused.remove(&id);
        Ok(())
    }

    /// The records to build a block from at clock time `now`: restrictive ones first, each lane in the
    /// order of arrival, at most `max`. What is past its `submit_by` by the clock is not proposed.
    pub fn candidates(&self, now: LedgerTime, max: usize) -> Vec<Verified> {
        let waiting = self.queue.values().filter_map(|id| self.records.get(id));
        waiting.map(|waiting| &waiting.record).filter(|record| !is_expired(record, now)).take(max).cloned().collect()
    }

    /// Whether a block has something to hold at clock time `now`.
    pub fn has_candidates(&self, now: LedgerTime) -> bool {
        self.queue.values().filter_map(|id| self.records.get(id)).any(|waiting| !is_expired(&waiting.record, now))
    }

    /// Takes settled records out.
    pub fn settle<'a>(&mut self, ids: impl IntoIterator<Item = &'a RecordId>) {
        for id in ids {
            self.remove(id);
            // Another node may have put into a block what this one had given up.
            self.refused.remove(id);
        }
    }

    /// Permissive records that were here before the last block was committed, the oldest first, at most `max`: things
    /// may have changed for them.
    pub fn lingering(&self, max: usize) -> Vec<Verified> {
        let oldest = self.queue.range((Lane::Permissive, 0)..(Lane::Permissive, self.arrived_before));
        oldest.take(max).filter_map(|(_, id)| self.records.get(id)).map(|waiting| waiting.record.clone()).collect()
    }

    /// A block was committed: what waits now waited through it.
    pub fn mark_block(&mut self) {
        self.arrived_before = self.arrivals;
    }

    /// The ids of the records that have waited for `age` and are not past their `submit_by` at clock time `now`: what
    /// gossip should have brought everywhere by then.
    pub fn aged(&self, age: Duration, now: LedgerTime) -> impl Iterator<Item = &RecordId> {
        let since = Instant::now().checked_sub(age);
        self.records
            .iter()
            .filter(move |(_, waiting)| since.is_some_and(|since| waiting.since <= since))
            .filter(move |(_, waiting)| !is_expired(&waiting.record, now))
            .map(|(id, _)| id)
    }

    /// Takes a record out that will not be in the log, and remembers why.
    pub fn refuse(&mut self, id: RecordId, refusal: Refusal) {
        if !self.remove(&id) || self.refused.insert(id, refusal).is_some() {
            return;
        }
        self.refused_order.push_back(id);
        if self.refused_order.len() > REFUSED_MAX
            && let Some(oldest) = self.refused_order.pop_front()
        {
            self.refused.remove(&oldest);
        }
    }

    /// Refuses what a block of time `block` left behind past its `submit_by`; gives their ids.
    pub fn refuse_expired(&mut self, block: LedgerTime) -> Vec<(RecordId, Refusal)> {
        let expired = self.records.values().filter(|waiting| is_expired(&waiting.record, block));
        let ids: Vec<_> =
            expired.map(|waiting| (waiting.record.id(), waiting.record.signed().statement().submit_by)).collect();
        let mut refused = Vec::with_capacity(ids.len());
        for (id, submit_by) in ids {
            let by = submit_by.map_or_else(String::new, |time| time.to_string());
            let detail = format!("to be submitted by {by}, the chain's time is {block}");
            let refusal = Refusal::of(Code::ExpiredSubmission, "submit_by", detail);
            self.refuse(id, refusal.clone());
            refused.push((id, refusal));
        }
        refused
    }

    /// A waiting record.
    pub fn get(&self, id: &RecordId) -> Option<&Verified> {
        self.records.get(id).map(|waiting| &waiting.record)
    }

    /// Why a record that waited was refused, as long as that is remembered.
    pub fn refusal(&self, id: &RecordId) -> Option<&Refusal> {
        self.refused.get(id)
    }

    /// How many records wait.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// How many of them are restrictive.
    pub fn restrictive(&self) -> usize {
        self.queue.range(..(Lane::Permissive, 0)).count()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of the waiting records.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a record of `len` bytes of `root` finds room: in the root's own share, or in the common half.
    fn has_room(&self, root: u32, len: usize) -> bool {
        let PoolLimits { records_max, bytes_max } = self.limits;
        if self.records.len() >= records_max || self.bytes + len > bytes_max {
            return false;
        }
        let share = Use { records: records_max / 2 / self.roots, bytes: bytes_max / 2 / self.roots };
        // What the shares do not divide evenly is common too.
        let common =
            Use { records: records_max - share.records * self.roots, bytes: bytes_max - share.bytes * self.roots };
        let beyond = |used: &Use| Use {
            records: used.records.saturating_sub(share.records),
            bytes: used.bytes.saturating_sub(share.bytes),
        };
        let mut in_common = Use::default();
        for (other, used) in &self.used {
            if *other != root {
                let beyond = beyond(used);
                in_common.records += beyond.records;
                in_common.bytes += beyond.bytes;
            }
        }
        let own = self.used.get(&root).copied().unwrap_or_default();
        let own = beyond(&Use { records: own.records + 1, bytes: own.bytes + len });
        in_common.records + own.records <= common.records && in_common.bytes + own.bytes <= common.bytes
    }

    fn remove(&mut self, id: &RecordId) -> bool {
        let Some(waiting) = self.records.remove(id) else { return false };
        self.queue.remove(&waiting.at);
        let len = waiting.record.signed().bytes().len();
        self.bytes -= len;
        if let Some(used) = self.used.get_mut(&waiting.root) {
            (used.records, used.bytes) = (used.records - 1, used.bytes - len);
        }
        true
    }
}

/// Whether a record is past its `submit_by` at `time`.
pub fn is_expired(record: &Verified, time: LedgerTime) -> bool {
    record.signed().statement().submit_by.is_some_and(|submit_by| submit_by < time)
}

#[cfg(test)]
mod tests;
