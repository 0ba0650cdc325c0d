//! The writer against a store in memory, as the engine would ask it.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

use std::sync::atomic::{AtomicU64, Ordering};

use writ_proto::certificate::Certificate;

use super::*;
use crate::clock::{Clock, Reading, Source as TimeSource};
use crate::mempool::PoolLimits;
use crate::storage::memory::MemoryDisk;
use crate::storage::sample::{START_MS, Sample};

/// A writer on an empty chain; its clock stands where it is put.
struct Rig {
    sample: Sample,
    chain: Chain,
    disk: MemoryDisk,
    dir: tempfile::TempDir,
    wall_ms: Arc<AtomicU64>,
}

fn me(sample: &Sample) -> KeyId {
    sample.state.validators()[0].vote.key.id()
}

fn chain_on(sample: &Sample, disk: &MemoryDisk, dir: &tempfile::TempDir, wall_ms: &Arc<AtomicU64>) -> Chain {
    let store = disk.open(&sample.chain()).unwrap();
    store.put_genesis(&sample.genesis()).unwrap();
    let (guard, standing) = TipGuard::open(dir.path(), &sample.chain(), &*store).unwrap();
    assert!(standing.may_answer(), "{standing}");
    let wall = wall_ms.clone();
    let read = move || Reading { wall_ms: wall.load(Ordering::SeqCst), boot_ms: wall.load(Ordering::SeqCst) };
    let clock = Clock::in_memory(500, TimeSource::of(read));
    let genesis = State::new(sample.state.genesis().clone()).unwrap();
    let state = rebuild(genesis, &*store).unwrap();
    let ledger = Ledger::new(state, store, clock, PoolLimits::default());
    let guard = Arc::new(guard);
    ledger.count_syncs_of({
        let guard = guard.clone();
        move || guard.syncs()
    });
    Chain::new(ledger, guard, me(sample))
}

impl Rig {
    fn new() -> Self {
        let (sample, disk) = (Sample::new("chain"), MemoryDisk::new());
        let dir = tempfile::tempdir().unwrap();
        let wall_ms = Arc::new(AtomicU64::new(START_MS + 1_000));
        let chain = chain_on(&sample, &disk, &dir, &wall_ms);
        Self { sample, chain, disk, dir, wall_ms }
    }

    /// A grant that waits.
    fn pool(&mut self) -> RecordId {
        let record = self.sample.grant();
        let id = record.id();
        self.chain.ledger.submit(record.bytes().to_vec()).unwrap();
        id
    }

    /// The same home after a crash: what was in memory is gone.
    fn restart(self) -> Self {
        let Self { sample, chain, disk, dir, wall_ms } = self;
        drop(chain);
        let chain = chain_on(&sample, &disk, &dir, &wall_ms);
        Self { sample, chain, disk, dir, wall_ms }
    }

    /// A block as another validator could send it, made when the chain's time was a second after its tip's.
    fn candidate(&mut self, source: Source) -> Candidate {
        let record = self.sample.grant();
        let (stored, changes) = self.sample.build(vec![record]);
        let value = changes.leaf.header.hash();
        let proposer = changes.leaf.header.proposer;
        Candidate {
            height: changes.leaf.header.height,
            round: 0,
            valid_round: None,
            proposer,
            value,
            bytes: stored.block.into(),
            source,
        }
    }
}

fn certificate(height: u64, block: Digest) -> Certificate {
    Certificate { height, round: 0, block, signatures: Vec::new() }
}

#[test]
fn asked_again_it_proposes_the_same_block_also_after_a_crash() {
    let mut rig = Rig::new();
    rig.pool();
    let first = rig.chain.propose(1, 0).unwrap();
    rig.pool();
    rig.wall_ms.fetch_add(7_000, Ordering::SeqCst);
    assert_eq!(rig.chain.propose(1, 0).unwrap(), first);
    let mut rig = rig.restart();
    rig.pool();
    assert_eq!(rig.chain.propose(1, 0).unwrap(), first);
    assert_ne!(rig.chain.propose(1, 1).unwrap(), first, "another round is another step");
}

#[test]
fn from_submission_to_commit_each_signature_is_checked_once() {
    let mut rig = Rig::new();
    let records: Vec<Signed> = (0..5).map(|_| rig.sample.grant()).collect();
    for record in &records {
        rig.chain.ledger.submit(record.bytes().to_vec()).unwrap();
        // The same bytes again, while they wait.
        rig.chain.ledger.submit(record.bytes().to_vec()).unwrap();
    }
    let proposed = rig.chain.propose(1, 0).unwrap();
    rig.chain.undecided(1).unwrap();
    let candidate = Candidate {
        height: 1,
        round: 1,
        valid_round: Some(0),
        proposer: rig.chain.me,
        value: proposed.value,
        bytes: proposed.bytes.clone(),
        source: Source::Reproposed,
    };
    assert_eq!(rig.chain.judge(candidate).unwrap(), Verdict::Valid);
    rig.chain.commit(proposed.value, certificate(1, proposed.value)).unwrap();
    for record in &records {
        // And once it is in the log.
        let again = rig.chain.ledger.submit(record.bytes().to_vec()).unwrap();
        assert!(matches!(again, crate::ledger::Submitted::Settled(_)));
    }
    assert_eq!(rig.chain.ledger.signatures_checked(), records.len() as u64);
    // Other bytes are another matter.
    let mut forged = records[0].bytes().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    assert!(rig.chain.ledger.submit(forged).is_err());
    assert_eq!(rig.chain.ledger.signatures_checked(), records.len() as u64 + 1);
}

#[test]
fn a_block_costs_two_syncs_of_the_store_and_one_of_the_tip_guard() {
    let mut rig = Rig::new();
    rig.pool();
    let proposed = rig.chain.propose(1, 0).unwrap();
    rig.chain.commit(proposed.value, certificate(1, proposed.value)).unwrap();
    let before = rig.chain.ledger.syncs();
    rig.pool();
    let proposed = rig.chain.propose(2, 0).unwrap();
    rig.chain.commit(proposed.value, certificate(2, proposed.value)).unwrap();
    assert_eq!(rig.chain.ledger.syncs() - before, 3);
}

#[test]
fn a_decided_block_is_stored_guarded_applied_and_its_records_leave_the_pool() {
    let mut rig = Rig::new();
    let id = rig.pool();
    let proposed = rig.chain.propose(1, 0).unwrap();
    rig.chain.commit(proposed.value, certificate(1, proposed.value)).unwrap();
    assert_eq!(rig.chain.tip(), 1);
    assert!(rig.chain.ledger.read().settled(&id).is_some());
    assert_eq!(rig.chain.ledger.pooled().0, 0);
    assert_eq!(rig.chain.guard.mark().unwrap().map(|mark| mark.height), Some(1));
    let (bytes, _) = rig.chain.decided(1).unwrap().unwrap();
    assert_eq!(bytes, proposed.bytes);
    let rig = rig.restart();
    assert_eq!(rig.chain.tip(), 1);
    assert!(rig.chain.ledger.read().settled(&id).is_some());
}

#[test]
fn a_block_decided_before_a_crash_is_committed_from_what_was_kept() {
    let mut rig = Rig::new();
    rig.pool();
    let proposed = rig.chain.propose(1, 0).unwrap();
    let mut rig = rig.restart();
    let held = rig.chain.undecided(1).unwrap();
    assert_eq!(held.iter().map(|held| (held.value, held.valid)).collect::<Vec<_>>(), [(proposed.value, true)]);
    rig.chain.commit(proposed.value, certificate(1, proposed.value)).unwrap();
    assert_eq!(rig.chain.tip(), 1);
}

#[test]
fn a_decision_for_a_block_that_is_not_held_ends_it() {
    let mut rig = Rig::new();
    let value = Digest([9; 32]);
    assert!(rig.chain.commit(value, certificate(1, value)).is_err());
    assert_eq!(rig.chain.tip(), 0);
}

#[test]
fn a_failed_write_ends_it_and_nothing_is_applied() {
    let mut rig = Rig::new();
    rig.pool();
    let proposed = rig.chain.propose(1, 0).unwrap();
    rig.disk.fail_after(0);
    assert!(rig.chain.commit(proposed.value, certificate(1, proposed.value)).is_err());
    assert_eq!(rig.chain.tip(), 0);
    assert_eq!(rig.chain.guard.mark().unwrap().map_or(0, |mark| mark.height), 0);
}

#[test]
fn times_are_judged_by_where_a_block_comes_from() {
    // The block's time is one second after the genesis.
    let bound = 500;
    for (case, clock_ms, source, valid) in [
        ("now", 1_000, Source::Fresh, true),
        ("ahead within the bound", 1_000 - bound, Source::Fresh, true),
        ("further ahead", 1_000 - bound - 1, Source::Fresh, false),
        ("further ahead, proposed again", 1_000 - bound - 1, Source::Reproposed, false),
        ("further ahead, but decided", 1_000 - bound - 1, Source::Synced, true),
        ("under way for as long as may be", 1_000 + bound + 2_000, Source::Fresh, true),
        ("longer under way", 1_001 + bound + 2_000, Source::Fresh, false),
        ("long ago, proposed again", 90_000, Source::Reproposed, true),
        ("long ago, decided", 90_000, Source::Synced, true),
    ] {
        let mut rig = Rig::new();
        rig.wall_ms.store(START_MS + clock_ms, Ordering::SeqCst);
        let candidate = rig.candidate(source);
        let verdict = rig.chain.judge(candidate).unwrap();
        assert_eq!(verdict == Verdict::Valid, valid, "{case}: {verdict:?}");
    }
}

#[test]
fn a_fresh_block_is_built_by_whose_turn_it_is() {
    let mut rig = Rig::new();
    let other = KeyId([7; 32]);
    let fresh = Candidate { proposer: other, ..rig.candidate(Source::Fresh) };
    assert!(matches!(rig.chain.judge(fresh.clone()).unwrap(), Verdict::Invalid(_)));
    let again = Candidate { source: Source::Reproposed, ..fresh };
    assert_eq!(rig.chain.judge(again).unwrap(), Verdict::Valid);
}

#[test]
fn garbage_and_false_results_are_invalid_and_what_comes_too_early_waits() {
    let mut rig = Rig::new();
    let good = rig.candidate(Source::Fresh);
    let garbage = Candidate { bytes: Bytes::from_static(b"no block"), ..good.clone() };
    assert!(matches!(rig.chain.judge(garbage).unwrap(), Verdict::Invalid(_)));
    let mut block = Block::decode(&good.bytes).unwrap();
    block.header.result = Digest([9; 32]);
    let forged = Candidate { value: block.header.hash(), bytes: block.encode().into(), ..good.clone() };
    assert!(matches!(rig.chain.judge(forged).unwrap(), Verdict::Invalid(_)));
    let early = Candidate { height: 2, ..good.clone() };
    assert_eq!(rig.chain.judge(early).unwrap(), Verdict::Later);
    assert_eq!(rig.chain.judge(good.clone()).unwrap(), Verdict::Valid);
    assert_eq!(rig.chain.undecided_bytes(1, &good.value).unwrap(), Some(good.bytes), "kept before it is voted for");
}

#[test]
fn an_idle_chain_has_no_work_and_expired_records_make_it_once_a_minute() {
    let mut rig = Rig::new();
    assert!(!rig.chain.has_work());
    let id = rig.pool();
    assert!(rig.chain.has_work());
    // The sample's records are to be submitted within a minute of the genesis.
    rig.wall_ms.store(START_MS + 60_001, Ordering::SeqCst);
    assert!(rig.chain.has_work(), "a minute after the last block");
    let proposed = rig.chain.propose(1, 0).unwrap();
    let block = Block::decode(&proposed.bytes).unwrap();
    assert!(block.records.is_empty(), "what is past its time is not proposed");
    rig.chain.commit(proposed.value, certificate(1, proposed.value)).unwrap();
    assert_eq!(rig.chain.ledger.pooled().0, 0);
    let fate = rig.chain.ledger.fate(&id).unwrap();
    assert!(matches!(fate, crate::ledger::Fate::Refused(refusal) if refusal.code.as_str() == "expired_submission"));
    assert!(!rig.chain.has_work());
}

#[test]
fn what_was_acknowledged_without_a_block_waits_again_after_a_crash() {
    let mut rig = Rig::new();
    let (kept, forgotten) = (rig.pool(), rig.pool());
    rig.chain.ledger.keep(&[kept]).unwrap();
    let rig = rig.restart();
    assert_eq!(rig.chain.ledger.recall_pooled().unwrap(), 1);
    assert!(matches!(rig.chain.ledger.fate(&kept).unwrap(), crate::ledger::Fate::Pending { expired: false }));
    assert_eq!(rig.chain.ledger.fate(&forgotten).unwrap(), crate::ledger::Fate::Unknown);
}

#[test]
fn it_stops_in_order_before_a_protocol_that_its_program_does_not_speak() {
    use writ_proto::record::{Body, ParameterChange};

    let mut rig = Rig::new();
    let activation =
        rig.sample.sign(Body::Parameter(ParameterChange::Activate { protocol: 3, height: 9 })).bytes().to_vec();
    rig.chain.ledger.submit(activation).unwrap();
    let message = "block 9 needs protocol 3, this program speaks up to 2";
    let says = |error: Fatal| std::error::Error::source(&error).map(ToString::to_string);
    for height in 1..=8 {
        rig.wall_ms.fetch_add(1_000, Ordering::SeqCst);
        let block = rig.chain.propose(height, 0).unwrap().value;
        let committed = rig.chain.commit(block, certificate(height, block)).map_err(says);
        let expected = if height < 8 { Ok(()) } else { Err(Some(message.to_owned())) };
        assert_eq!(committed, expected, "at {height}");
        assert_eq!(rig.chain.tip(), height, "the block itself is committed");
    }
    // So it is after a restart, whatever the engine asks first; everything so far is there to be read.
    let mut rig = rig.restart();
    assert_eq!(rig.chain.tip(), 8);
    assert_eq!(rig.chain.undecided(9).map(drop).map_err(says), Err(Some(message.to_owned())));
    assert_eq!(rig.chain.propose(9, 0).map(drop).map_err(says), Err(Some(message.to_owned())));
    assert!(rig.chain.decided(8).unwrap().is_some());
    assert_eq!(rig.chain.validators().len(), 1);
}
