//! The single writer: what the engine asks, answered from the state machine and carried out on the store.
//!
//! A block takes effect in this order, and each step is done before the next begins:
//!
//! 1. store: block, certificate, leaves, places, tree nodes, tip, in one synced batch;
//! 2. tip guard: height and hashes, fsynced, outside the database;
//! 3. state: the changes, under the write lock;
//! 4. pool: settled records leave;
//! 5. checkpoints and waiters are told.
//!
//! So nobody hears of a block that is not durable, and no record leaves the pool before the state has it.
//! Any failure of a write ends the process: nothing is tried again on a disk that lied once.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use writ_engine::{Application, Candidate, Evidence, Fatal, Held, Proposed, Source, Statement, Validator, Verdict};
use writ_proto::block::Block;
use writ_proto::certificate::Certificate;
use writ_proto::hash::Digest;
use writ_proto::key::KeyId;
use writ_proto::limits::BLOCK_RECORDS_MAX;
use writ_proto::record::{RecordId, Signed, Verified};
use writ_proto::refusal::{Code, Refusal};
use writ_proto::state::{Changes, Placed, State};

use crate::checkpoints::Checkpoints;
use crate::guard::TipGuard;
use crate::ledger::Ledger;
use crate::metrics::{Judged, Metrics};
use crate::storage::{LogStore, SignedStatement, StoredBlock, StoredEvidence, StoredPlace, Undecided};

/// An empty block to settle expired submissions comes at most this often.
const SETTLE_EVERY_MS: u64 = 60_000;
/// Records that waited through a block and are judged again after it: some milliseconds' worth.
const LINGERING_MAX: usize = 1024;

/// The chain as its one writer sees it.
pub struct Chain {
    ledger: Ledger,
    store: Arc<dyn LogStore>,
    guard: Arc<TipGuard>,
    me: KeyId,
    /// What this validator signed as its proposal for a height and round, if it did.
    signed: SignedProposal,
    metrics: Metrics,
    /// Blocks of the next height that were executed on the present state, by block hash.
    executed: HashMap<Digest, Executed>,
    checkpoints: Option<Checkpoints>,
}

/// See [`Chain::remembering`].
type SignedProposal = Box<dyn Fn(u64, u32) -> Option<Digest> + Send>;

/// A block with what follows from it.
struct Executed {
    bytes: Bytes,
    changes: Changes,
}

impl Chain {
    /// The writer of `ledger`, voting with the key of id `me`.
    pub fn new(ledger: Ledger, guard: Arc<TipGuard>, me: KeyId) -> Self {
        let store = ledger.shared_store();
        Self {
            ledger,
            store,
            guard,
            me,
            signed: Box::new(|_, _| None),
            metrics: Metrics::new(),
            executed: HashMap::new(),
            checkpoints: None,
        }
    }

    /// Asks `signed` what was signed as the proposal of a height and round, before it builds one.
    #[must_use]
    pub fn remembering(self, signed: impl Fn(u64, u32) -> Option<Digest> + Send + 'static) -> Self {
        Self { signed: Box::new(signed), ..self }
    }

    /// The same, which tells `checkpoints` of each block.
    #[must_use]
    pub fn telling(self, checkpoints: Checkpoints) -> Self {
        Self { checkpoints: Some(checkpoints), ..self }
    }

    /// Counts what it does in `metrics`.
    #[must_use]
    pub fn counting(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    fn build(&mut self, height: u64, round: u32) -> Result<Proposed, Fatal> {
        let state = self.ledger.read();
        let time = self.ledger.clock().proposal_time(state.tip().time);
        let candidates = self.ledger.pool().candidates(time, BLOCK_RECORDS_MAX);
        let built = state.build(time, self.me, candidates).map_err(|invalid| Fatal::new(invalid.to_string()))?;
        drop(state);
        self.refuse(built.refused)?;

        let value = built.block.header.hash();
        let bytes = Bytes::from(built.block.encode());
        self.put_undecided(height, round, None, self.me, value, &bytes)?;
        self.executed.insert(value, Executed { bytes: bytes.clone(), changes: built.changes });
        Ok(Proposed { value, bytes })
    }

    /// Stops this node in order before a block whose protocol its program does not speak.
    fn check_protocol(&self) -> Result<(), Fatal> {
        self.ledger.read().next_protocol().map(drop).map_err(Fatal::new)
    }

    /// Decodes, verifies and executes a block on the present state.
    fn execute(&self, bytes: &Bytes) -> Result<(Block, Changes), String> {
        let block = Block::decode(bytes).map_err(|refusal| refusal.to_string())?;
        let state = self.ledger.read();
        let mut records = Vec::with_capacity(block.records.len());
        for record in &block.records {
            records.push(self.verified(&state, &record.0).map_err(|refusal| refusal.to_string())?);
        }
        let changes = state.execute(&block, records).map_err(|invalid| invalid.to_string())?;
        Ok((block, changes))
    }

    /// A record of a block: as the pool verified it, if it waits there byte for byte, else verified now.
    fn verified(&self, state: &State, bytes: &[u8]) -> Result<Verified, Refusal> {
        let signed = Signed::decode(bytes.to_vec())?;
        let pooled = self.ledger.pool().get(&signed.id()).filter(|record| record.signed().bytes() == bytes).cloned();
        match pooled {
            Some(record) => Ok(record),
            None => self.ledger.verify(state, signed),
        }
    }

    /// The rules of time and proposer that depend on this node's clock and on where a block came from.
    fn judge_source(&self, candidate: &Candidate, block: &Block, is_known: bool) -> Result<(), String> {
        if candidate.source == Source::Synced {
            return Ok(());
        }
        let parameters = self.ledger.read().parameters().clone();
        let (now, time) = (self.ledger.clock().now(), block.header.time);
        let latest = now.saturating_add_millis(parameters.clock_bound_ms);
        if time > latest {
            return Err(format!("its time {time} is later than {latest}, this node's clock with its bound"));
        }
        if candidate.source == Source::Fresh {
            let age = parameters.clock_bound_ms.saturating_add(parameters.proposal_age_ms_max);
            let earliest = now.saturating_sub_millis(age);
            // A chain whose last block lies ahead of this clock goes on one millisecond at a time.
            if time < earliest && !is_known {
                return Err(format!("its time {time} is earlier than {earliest}, too long ago for a new block"));
            }
            if block.header.proposer != candidate.proposer {
                return Err(format!(
                    "built by {}, but it is the turn of {}",
                    block.header.proposer, candidate.proposer
                ));
            }
        }
        Ok(())
    }

    fn put_undecided(
        &self,
        height: u64,
        round: u32,
        valid_round: Option<u32>,
        proposer: KeyId,
        value: Digest,
        bytes: &Bytes,
    ) -> Result<(), Fatal> {
        let undecided = Undecided { round, valid_round, proposer, bytes: bytes.to_vec() };
        self.store.put_undecided(height, &value, &undecided).map_err(Fatal::new)
    }

    /// Records that will not be in the log leave the pool, durably for those that were kept.
    fn refuse(&self, refused: Vec<(RecordId, Refusal)>) -> Result<(), Fatal> {
        if refused.is_empty() {
            return Ok(());
        }
        self.store.put_refused(&refused).map_err(Fatal::new)?;
        let mut pool = self.ledger.pool();
        for (id, refusal) in refused {
            tracing::debug!(%id, code = %refusal.code, "record refused");
            self.metrics.consensus().refused(refusal.code.as_str());
            pool.refuse(id, refusal);
        }
        drop(pool);
        self.ledger.announce();
        Ok(())
    }

    /// Those of these permissive records that the chain has made inadmissible while they waited. Whoever proposes next
    /// would refuse them in its own pool only; a node that never proposes would keep them for ever.
    fn inadmissible(&self, waiting: Vec<Verified>) -> Vec<(RecordId, Refusal)> {
        let state = self.ledger.read();
        let time = self.ledger.clock().proposal_time(state.tip().time);
        let judge = |record: &Verified| Some((record.id(), state.admit(record, time).err()?));
        let refused = waiting.iter().filter_map(judge);
        // Past its `submit_by` by the clock a record waits on: only a block's time ends it.
        refused.filter(|(_, refusal)| refusal.code != Code::ExpiredSubmission).collect()
    }

    fn apply(&mut self, executed: Executed, certificate: Certificate) -> Result<(), Fatal> {
        let Executed { bytes, changes } = executed;
        let header = changes.leaf.header.clone();
        let (block, commit_leaf) = (header.hash(), changes.leaf.hash());
        let ids: Vec<RecordId> = changes.records.iter().map(|placed| placed.record.id()).collect();
        let round = certificate.round;

        self.store.commit(&StoredBlock { block: bytes.to_vec(), certificate }, &changes).map_err(Fatal::new)?;
        self.guard.advance(header.height, block, commit_leaf).map_err(Fatal::new)?;
        let place = |placed: &Placed| (placed.record.id(), StoredPlace::of(placed, header.height));
        let places: Vec<_> = changes.records.iter().map(place).collect();
        let clock_bound_ms = {
            let mut state = self.ledger.write();
            state.commit(changes);
            state.parameters().clock_bound_ms
        };
        self.ledger.clock().set_bound(clock_bound_ms);
        self.ledger.remember(places);
        let (expired, lingering) = {
            let mut pool = self.ledger.pool();
            pool.settle(&ids);
            let expired = pool.refuse_expired(header.time);
            let lingering = pool.lingering(LINGERING_MAX);
            pool.mark_block();
            (expired, lingering)
        };
        if !expired.is_empty() {
            self.store.put_refused(&expired).map_err(Fatal::new)?;
        }
        expired.iter().for_each(|(_, refusal)| self.metrics.consensus().refused(refusal.code.as_str()));
        self.refuse(self.inadmissible(lingering))?;
        self.executed.clear();
        if let Some(checkpoints) = &self.checkpoints {
            checkpoints.applied();
        }
        self.ledger.announce();
        self.metrics.consensus().decided(round);
        tracing::debug!(height = header.height, records = ids.len(), block = %block.to_short(), "block committed");
        Ok(())
    }
}

impl Application for Chain {
    fn tip(&self) -> u64 {
        self.ledger.read().tip().height
    }

    fn validators(&self) -> Vec<Validator> {
        let state = self.ledger.read();
        let of = |id: &KeyId| state.validators().iter().find(|keys| keys.vote.key.id() == *id);
        let validator =
            |keys: &writ_proto::record::ValidatorKeys| Validator { name: keys.name.to_string(), key: keys.vote.key };
        state.proposing_order().iter().filter_map(of).map(validator).collect()
    }

    fn has_work(&self) -> bool {
        let now = self.ledger.clock().now();
        let last = self.ledger.read().tip().time;
        let pool = self.ledger.pool();
        // Expired submissions settle with the next block; without one, an empty block does it, now and then.
        pool.has_candidates(now) || (!pool.is_empty() && now.millis_since(last) >= SETTLE_EVERY_MS)
    }

    fn value_of(&self, bytes: &[u8]) -> Option<Digest> {
        Block::decode(bytes).ok().map(|block| block.header.hash())
    }

    fn propose(&mut self, height: u64, round: u32) -> Result<Proposed, Fatal> {
        self.check_protocol()?;
        let held = self.store.undecided(height).map_err(Fatal::new)?;
        // What is stored with a value is the last round it was proposed in, perhaps by another validator since; what
        // was signed for this round stays what it was.
        let signed = (self.signed)(height, round);
        let is_mine = |value: &Digest, held: &Undecided| match signed {
            Some(signed) => signed == *value,
            None => held.round == round && held.proposer == self.me,
        };
        let mine = held.into_iter().find(|(value, held)| is_mine(value, held));
        match mine {
            Some((value, held)) => Ok(Proposed { value, bytes: held.bytes.into() }),
            None => self.build(height, round),
        }
    }

    fn judge(&mut self, candidate: Candidate) -> Result<Verdict, Fatal> {
        if candidate.height != self.tip() + 1 {
            self.metrics.consensus().judged(Judged::Later);
            return Ok(Verdict::Later);
        }
        self.check_protocol()?;
        let executed = self.execute(&candidate.bytes);
        // What was found good stays good: only a block that is new here can come too late.
        let is_known = self.executed.contains_key(&candidate.value);
        let judged =
            executed.and_then(|(block, changes)| self.judge_source(&candidate, &block, is_known).map(|()| changes));
        let changes = match judged {
            Ok(changes) => changes,
            Err(reason) => {
                self.metrics.consensus().judged(Judged::Invalid);
                return Ok(Verdict::Invalid(reason));
            }
        };
        self.metrics.consensus().judged(Judged::Valid);
        let Candidate { height, round, valid_round, proposer, value, bytes, .. } = candidate;
        self.put_undecided(height, round, valid_round, proposer, value, &bytes)?;
        self.executed.insert(value, Executed { bytes, changes });
        Ok(Verdict::Valid)
    }

    fn undecided(&mut self, height: u64) -> Result<Vec<Held>, Fatal> {
        if height != self.tip() + 1 {
            return Ok(Vec::new());
        }
        self.check_protocol()?;
        let mut held = Vec::new();
        for (value, undecided) in self.store.undecided(height).map_err(Fatal::new)? {
            let Undecided { round, valid_round, proposer, bytes } = undecided;
            let bytes = Bytes::from(bytes);
            let valid = match self.execute(&bytes) {
                Ok((_, changes)) => {
                    self.executed.insert(value, Executed { bytes, changes });
                    true
                }
                Err(_) => false,
            };
            held.push(Held { round, valid_round, proposer, value, valid });
        }
        Ok(held)
    }

    fn undecided_bytes(&self, height: u64, value: &Digest) -> Result<Option<Bytes>, Fatal> {
        let held = self.store.undecided(height).map_err(Fatal::new)?;
        Ok(held.into_iter().find(|(own, _)| own == value).map(|(_, held)| held.bytes.into()))
    }

    fn commit(&mut self, value: Digest, certificate: Certificate) -> Result<(), Fatal> {
        let executed = match self.executed.remove(&value) {
            Some(executed) => executed,
            None => {
                let height = self.tip() + 1;
                let bytes = self.undecided_bytes(height, &value)?.ok_or_else(|| {
                    Fatal::new(format!("block {height} was decided as {value}, which this node does not hold"))
                })?;
                let (_, changes) = self.execute(&bytes).map_err(Fatal::new)?;
                Executed { bytes, changes }
            }
        };
        self.apply(executed, certificate)?;
        self.check_protocol()
    }

    fn decided(&self, height: u64) -> Result<Option<(Bytes, Certificate)>, Fatal> {
        let stored = self.store.block(height).map_err(Fatal::new)?;
        Ok(stored.map(|stored| (stored.block.into(), stored.certificate)))
    }

    fn evidence(&mut self, evidence: Evidence) -> Result<(), Fatal> {
        let Evidence { offender, height, round, first, second } = evidence;
        self.metrics.consensus().evidence();
        tracing::error!(%offender, height, round, "a validator signed two conflicting statements");
        let signed = |statement: Statement| SignedStatement { bytes: statement.bytes, signature: statement.signature };
        let evidence = StoredEvidence { offender, height, round, first: signed(first), second: signed(second) };
        self.store.put_evidence(&evidence).map_err(Fatal::new)
    }
}

/// Rebuilds the state from the blocks in `store`. Signatures were checked before the blocks were stored and
/// are not checked again here; `writ-node check` does that.
pub fn rebuild(mut state: State, store: &dyn LogStore) -> anyhow::Result<State> {
    use anyhow::Context as _;

    let tip = store.tip()?.map_or(0, |tip| tip.height);
    for height in 1..=tip {
        let stored = store.block(height)?.with_context(|| format!("block {height} is missing from the store"))?;
        let block = Block::decode(&stored.block).with_context(|| format!("block {height} cannot be read"))?;
        let recall =
            |record: &writ_proto::codec::Blob| Signed::decode(record.0.clone()).and_then(|signed| state.recall(signed));
        let records = block.records.iter().map(recall).collect::<Result<Vec<_>, _>>();
        let records = records.with_context(|| format!("a record of block {height} cannot be read"))?;
        let changes = state
            .execute(&block, records)
            .with_context(|| format!("block {height} does not follow from the blocks before it"))?;
        state.commit(changes);
    }
    Ok(state)
}

/// The time of a wake-up that settles expired submissions on an otherwise idle chain.
pub const fn settle_every() -> std::time::Duration {
    std::time::Duration::from_millis(SETTLE_EVERY_MS)
}

#[cfg(test)]
mod tests;
