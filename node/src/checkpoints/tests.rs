//! Nodes of one chain that hand each other cosignatures, over ledgers in memory.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

use proptest::prelude::*;
use writ_proto::key::SecretKey;
use writ_proto::state::{Changes, State};

use super::*;
use crate::chain::rebuild;
use crate::clock::{Clock, Reading, Source};
use crate::mempool::PoolLimits;
use crate::storage::StoredBlock;
use crate::storage::memory::MemoryDisk;
use crate::storage::sample::{START_MS, Sample};

const ORIGIN: &str = "ledger.example/main";
/// The clock of every node, in seconds.
const NOW: u64 = START_MS / 1000 + 77;

struct Node {
    ledger: Ledger,
    checkpoints: Checkpoints,
    disk: MemoryDisk,
    home: tempfile::TempDir,
}

/// A chain and what its blocks were.
struct Chain {
    sample: Sample,
    blocks: Vec<(StoredBlock, Changes)>,
}

impl Chain {
    fn new(validators: u8) -> Self {
        Self { sample: Sample::with_validators(ORIGIN, validators), blocks: Vec::new() }
    }

    fn grow(&mut self, blocks: usize) -> &mut Self {
        for _ in 0..blocks {
            let block = self.sample.next(1);
            self.blocks.push(block);
        }
        self
    }

    /// What validator `n` says at a height.
    fn cosignature(&self, n: u8, height: u64) -> Cosignature {
        let log = self.blocks[height as usize - 1].1.log();
        signed(n, height, log.size(), log.root(), NOW)
    }
}

fn signed(n: u8, height: u64, size: u64, root: Digest, time: u64) -> Cosignature {
    let checkpoint = Checkpoint { origin: ORIGIN.into(), size, root };
    Cosignature::sign(&checkpoint, height, &Sample::checkpoint_key(n), time)
}

fn open(sample: &Sample, disk: &MemoryDisk, home: &std::path::Path, key: Option<SecretKey>) -> (Ledger, Checkpoints) {
    let store = disk.open(&sample.chain()).unwrap();
    store.put_genesis(&sample.genesis()).unwrap();
    let clock = Clock::in_memory(500, Source::of(|| Reading { wall_ms: NOW * 1000, boot_ms: 1 }));
    let state = rebuild(State::new(sample.state.genesis().clone()).unwrap(), &*store).unwrap();
    let ledger = Ledger::new(state, store, clock, PoolLimits::default());
    let guard = key.map(|key| CheckpointGuard::open(home, &sample.chain(), key).unwrap());
    let checkpoints = Checkpoints::new(ledger.clone(), guard, home.join("checkpoint"));
    (ledger, checkpoints)
}

impl Node {
    /// Validator `n` before block 1; with `None` a node that is no validator.
    fn new(chain: &Chain, n: Option<u8>) -> Self {
        let (disk, home) = (MemoryDisk::new(), tempfile::tempdir().unwrap());
        let key = n.map(Sample::checkpoint_key);
        if let Some(key) = &key {
            CheckpointGuard::create(home.path(), &chain.sample.chain(), &key.public()).unwrap();
        }
        let (ledger, checkpoints) = open(&chain.sample, &disk, home.path(), key);
        Self { ledger, checkpoints, disk, home }
    }

    /// Applies the blocks of `chain` up to a height.
    fn apply(&self, chain: &Chain, height: u64) {
        let tip = self.ledger.read().tip().height;
        for (block, changes) in &chain.blocks[tip as usize..height as usize] {
            self.ledger.store().commit(block, changes).unwrap();
            self.ledger.write().commit(changes.clone());
            self.checkpoints.applied();
        }
    }

    fn take(&self, one: &Cosignature) -> Verdict {
        self.checkpoints.take(&one.encode())
    }

    /// What it said last.
    fn said(&self) -> Option<Cosignature> {
        self.checkpoints.outgoing().borrow().as_ref().map(|bytes| Cosignature::decode(bytes).unwrap())
    }

    fn final_size(&self) -> Option<u64> {
        self.checkpoints.final_note().map(|last| last.size)
    }

    /// The same home after the process ended.
    fn restart(self, chain: &Chain, n: Option<u8>) -> Self {
        let Self { ledger, checkpoints, disk, home } = self;
        drop((ledger, checkpoints));
        let (ledger, checkpoints) = open(&chain.sample, &disk, home.path(), n.map(Sample::checkpoint_key));
        Self { ledger, checkpoints, disk, home }
    }
}

#[test]
fn a_lone_validator_makes_its_own_final_checkpoints() {
    let mut chain = Chain::new(1);
    let node = Node::new(&chain, Some(0));
    node.checkpoints.step().unwrap();
    assert_eq!((node.said(), node.final_size()), (None, None), "nothing is said of an empty log");
    let mut advanced = node.checkpoints.advanced();
    for height in 1..=3 {
        chain.grow(1);
        node.apply(&chain, height);
        node.checkpoints.step().unwrap();
        let last = node.checkpoints.final_note().unwrap();
        assert_eq!((last.height, last.size), (height, 2 * height));
        assert_eq!(*advanced.borrow_and_update(), last.size);
        let cosigned = Cosigners::of(ORIGIN, node.ledger.read().validators()).verify(&last.text).unwrap();
        assert_eq!(cosigned.checkpoint().root, node.ledger.read().log().root());
        assert_eq!(cosigned.signers()[0].1, NOW);
        // Nothing is signed twice.
        let syncs = node.ledger.syncs();
        node.checkpoints.step().unwrap();
        assert_eq!(node.ledger.syncs(), syncs);
    }
}

#[test]
fn a_quorum_of_four_makes_a_checkpoint_final_on_every_node() {
    let mut chain = Chain::new(4);
    let mut nodes: Vec<Node> = (0..4).map(|n| Node::new(&chain, Some(n))).collect();
    nodes.push(Node::new(&chain, None));
    chain.grow(3);
    for node in &nodes {
        node.apply(&chain, 3);
        node.checkpoints.step().unwrap();
    }
    assert_eq!(nodes[4].said(), None, "who is no validator says nothing");
    let said: Vec<Cosignature> = nodes[..4].iter().map(|node| node.said().unwrap()).collect();
    for (at, node) in nodes.iter().enumerate() {
        let others: Vec<_> = said.iter().enumerate().filter(|(other, _)| *other != at).collect();
        for (heard, (_, one)) in others.iter().enumerate() {
            assert_eq!(node.take(one), Verdict::Accept);
            let known = heard + 1 + usize::from(at < 4);
            assert_eq!(node.final_size().is_some(), known >= 3, "node {at} knows {known}");
            assert_eq!(node.checkpoints.highest_cosigned_by(known), Some((6, 3)));
            assert_eq!(node.checkpoints.highest_cosigned_by(known + 1), None);
            assert_eq!(node.take(one), Verdict::Ignore("known"));
        }
        let last = node.checkpoints.final_note().unwrap();
        let cosigners = Cosigners::of(ORIGIN, node.ledger.read().validators());
        assert_eq!(cosigners.verify(&last.text).unwrap().signers().len(), 4, "the fourth is added");
    }
    assert_eq!(nodes[4].checkpoints.latest().len(), 4);
    assert_eq!(nodes[0].checkpoints.highest_cosigned_by(0), None);
}

#[test]
fn a_checkpoint_key_that_is_no_validators_says_nothing() {
    let mut chain = Chain::new(4);
    let node = Node::new(&chain, Some(9));
    node.apply(chain.grow(2), 2);
    let syncs = node.ledger.syncs();
    node.checkpoints.step().unwrap();
    assert_eq!((node.said(), node.checkpoints.latest().len(), node.ledger.syncs()), (None, 0, syncs));
}

#[test]
fn of_blocks_that_come_fast_the_newest_is_signed_and_one_quorum_makes_it_final() {
    let mut chain = Chain::new(1);
    let node = Node::new(&chain, Some(0));
    node.apply(chain.grow(10), 10);
    let syncs = node.ledger.syncs();
    node.checkpoints.step().unwrap();
    assert_eq!(node.said().unwrap().height, 10);
    assert_eq!(node.ledger.syncs(), syncs + 1, "one fsync for all of them");
}

#[test]
fn what_others_send_is_judged() {
    let mut chain = Chain::new(4);
    let node = Node::new(&chain, None);
    node.apply(chain.grow(80), 80);
    chain.grow(10);
    let good = chain.cosignature(1, 80);
    assert_eq!(node.take(&good), Verdict::Accept);
    let at = |height: u64| chain.cosignature(2, height);
    let other_root = signed(2, 79, at(79).size, Digest([9; 32]), NOW);
    let stranger = signed(9, 80, good.size, good.root, NOW);
    let reject = "its signatures do not fit";
    let ahead = "of a size that is not executed here yet";
    for (case, one, want) in [
        ("the same", good, Verdict::Ignore("known")),
        ("an earlier time", signed(1, 80, good.size, good.root, NOW - 1), Verdict::Ignore("known")),
        ("a later time, at once", signed(1, 80, good.size, good.root, NOW + 1), Verdict::Ignore("again too soon")),
        ("a stranger", stranger, Verdict::Ignore("of a key that is no validator's here")),
        (
            "another height",
            Cosignature { height: 79, ..at(80) },
            Verdict::Reject("names another height than that of its size"),
        ),
        ("another time", Cosignature { time: 5, ..at(80) }, Verdict::Reject(reject)),
        ("another root, unsigned", Cosignature { root: Digest([1; 32]), ..at(80) }, Verdict::Reject(reject)),
        ("signatures exchanged", Cosignature { cosignature: at(80).log_signature, ..at(80) }, Verdict::Reject(reject)),
        ("another's", Cosignature { key: chain.cosignature(3, 80).key, ..at(80) }, Verdict::Reject(reject)),
        ("an empty log", signed(2, 0, 0, merkle::EMPTY_ROOT, NOW), Verdict::Reject(reject)),
        ("a block before", at(79), Verdict::Accept),
        ("a block long before", at(3), Verdict::Ignore("too old, or not at the end of a block")),
        (
            "within a block",
            signed(2, 80, good.size - 1, node.checkpoints.own_root(good.size - 1).unwrap(), NOW),
            Verdict::Ignore("too old, or not at the end of a block"),
        ),
        ("ahead", at(85), Verdict::Ignore(ahead)),
        ("ahead, badly signed", Cosignature { time: 5, ..at(86) }, Verdict::Reject(reject)),
        ("less ahead than before", at(84), Verdict::Ignore("not beyond what its signer said before")),
        ("further ahead", at(88), Verdict::Ignore(ahead)),
        (
            "an earlier block, cosigned later",
            signed(1, 3, at(3).size, at(3).root, NOW + 1),
            Verdict::Ignore("smaller than what its signer cosigned before"),
        ),
        ("another root, signed", other_root, Verdict::Ignore("contradicts this node's log")),
    ] {
        assert_eq!(node.take(&one), want, "{case}");
    }
    for bytes in [&[][..], &[0; 7], &[0; Cosignature::BYTES + 1], &[0xff; Cosignature::BYTES]] {
        assert_eq!(node.checkpoints.take(bytes), Verdict::Reject("not the encoding of a cosignature"));
    }
    assert_eq!((node.checkpoints.evidence_count(), node.checkpoints.evidence().len()), (2, 2));
    assert_eq!(node.checkpoints.highest_cosigned_by(1), Some((at(88).size, 88)));
    assert_eq!(node.final_size(), None);
}

#[test]
fn every_flip_of_what_is_signed_is_refused() {
    let mut chain = Chain::new(4);
    let node = Node::new(&chain, None);
    node.apply(chain.grow(2), 2);
    let bytes = chain.cosignature(1, 2).encode();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert_ne!(node.checkpoints.take(&changed), Verdict::Accept, "byte {at}");
    }
    assert_eq!(node.checkpoints.take(&bytes), Verdict::Accept);
    assert_eq!(node.checkpoints.evidence_count(), 0, "what is not signed is evidence of nothing");
}

#[test]
fn what_came_early_counts_once_its_block_is_here() {
    let mut chain = Chain::new(4);
    let node = Node::new(&chain, Some(0));
    chain.grow(5);
    for n in 1..4 {
        // A relay may write any height on it: it is not signed.
        let one = Cosignature { height: 99, ..chain.cosignature(n, 5) };
        assert!(matches!(node.take(&one), Verdict::Ignore(_)));
    }
    let liar = signed(1, 4, 8, Digest([9; 32]), NOW);
    assert_eq!(node.take(&liar), Verdict::Ignore("not beyond what its signer said before"));
    node.apply(&chain, 4);
    node.checkpoints.step().unwrap();
    assert_eq!(node.final_size(), None);
    assert_eq!(node.checkpoints.highest_cosigned_by(2).map(|(size, _)| size), Some(10));
    node.apply(&chain, 5);
    node.checkpoints.step().unwrap();
    let last = node.checkpoints.final_note().unwrap();
    assert_eq!((last.size, last.height), (10, 5));
    assert_eq!(node.checkpoints.highest_cosigned_by(4), Some((10, 5)));
}

#[test]
fn what_contradicts_the_log_is_kept_and_never_becomes_a_note() {
    let mut chain = Chain::new(4);
    let node = Node::new(&chain, None);
    node.apply(chain.grow(3), 3);
    let lie = |n: u8, size: u64| signed(n, 3, size, Digest([9; 32]), NOW);
    // One of them of a size within a block.
    for (n, size) in [(0, 5), (1, 6), (2, 6), (3, 6)] {
        assert_eq!(node.take(&lie(n, size)), Verdict::Ignore("contradicts this node's log"));
    }
    assert_eq!(node.final_size(), None, "however many say so");
    // More of one signer are not even verified.
    assert_eq!(node.take(&lie(0, 6)), Verdict::Ignore("its signer is known to contradict"));
    assert_eq!((node.checkpoints.evidence_count(), node.checkpoints.evidence().len()), (4, 4));
    // Who lied is still heard where it tells the truth.
    for n in 0..3 {
        assert_eq!(node.take(&chain.cosignature(n, 3)), Verdict::Accept);
    }
    assert_eq!(node.final_size(), Some(6));
}

#[test]
fn two_roots_of_a_size_to_come_are_evidence_before_it_comes() {
    let chain = Chain::new(4);
    let node = Node::new(&chain, None);
    node.take(&signed(1, 5, 10, Digest([1; 32]), NOW));
    let second = node.take(&signed(1, 5, 10, Digest([2; 32]), NOW));
    assert_eq!(second, Verdict::Ignore("contradicts another one of its signer"));
    assert_eq!(node.checkpoints.evidence_count(), 2);
}

#[test]
fn a_restart_keeps_the_final_checkpoint_and_what_was_signed() {
    let mut chain = Chain::new(1);
    let node = Node::new(&chain, Some(0));
    node.apply(chain.grow(3), 3);
    node.checkpoints.step().unwrap();
    node.checkpoints.save();
    let (last, said) = (node.checkpoints.final_note(), node.said());
    let node = node.restart(&chain, Some(0));
    assert_eq!((node.checkpoints.final_note(), *node.checkpoints.advanced().borrow()), (last, 6));
    // It says again what it said before, for those who did not hear it.
    node.checkpoints.step().unwrap();
    assert_eq!(node.said(), said);
    node.apply(chain.grow(1), 4);
    node.checkpoints.step().unwrap();
    assert_eq!(node.final_size(), Some(8));
    // Without being written down, it is made again.
    let node = node.restart(&chain, Some(0));
    assert_eq!(node.final_size(), Some(6));
    node.checkpoints.step().unwrap();
    assert_eq!(node.final_size(), Some(8));
}

#[test]
fn a_file_that_is_no_final_checkpoint_of_this_log_is_not_taken_over() {
    let mut chain = Chain::new(1);
    let node = Node::new(&chain, Some(0));
    node.apply(chain.grow(3), 3);
    node.checkpoints.step().unwrap();
    node.checkpoints.save();
    let file = node.home.path().join("checkpoint");
    let good = fs::read_to_string(&file).unwrap();
    let cosigners = Cosigners::of(ORIGIN, node.ledger.read().validators());
    let of = |size, root| {
        let one = signed(0, 1, size, root, NOW);
        cosigners.assemble(&one.checkpoint(ORIGIN), &[one]).unwrap()
    };
    let mut node = node;
    for (case, text) in [
        ("empty", String::new()),
        ("cut", good[..good.len() - 9].to_owned()),
        ("changed", good.replacen('6', "5", 1)),
        ("another root", of(6, Digest([9; 32]))),
        ("beyond the log", of(8, Digest([9; 32]))),
        ("within a block", of(5, node.checkpoints.own_root(5).unwrap())),
        ("not text", "x".repeat(NOTE_BYTES_MAX + 1)),
    ] {
        fs::write(&file, text).unwrap();
        node = node.restart(&chain, Some(0));
        assert_eq!(node.final_size(), None, "{case}");
    }
    fs::write(&file, good).unwrap();
    assert_eq!(node.restart(&chain, Some(0)).final_size(), Some(6));
}

#[test]
fn a_key_that_signed_another_log_says_nothing_more() {
    let mut chain = Chain::new(1);
    chain.grow(5);
    for (case, size) in [("a smaller size", 4), ("this size", 6), ("a larger size", 8)] {
        let node = Node::new(&chain, Some(0));
        let guard = node.checkpoints.0.guard.as_ref().unwrap();
        let other = Checkpoint { origin: ORIGIN.into(), size, root: Digest([9; 32]) };
        guard.sign(&other, 2, NOW).unwrap();
        node.apply(&chain, 3);
        node.checkpoints.step().unwrap();
        assert_eq!((node.said(), node.final_size()), (None, None), "{case}");
        node.apply(&chain, 5);
        node.checkpoints.step().unwrap();
        assert_eq!((node.said(), node.final_size()), (None, None), "{case}, two blocks later");
    }
}

#[test]
fn a_node_that_catches_up_says_nothing_until_it_is_beyond_what_it_said() {
    let mut chain = Chain::new(1);
    let node = Node::new(&chain, Some(0));
    chain.grow(6);
    let before = chain.cosignature(0, 4);
    let guard = node.checkpoints.0.guard.as_ref().unwrap();
    guard.sign(&before.checkpoint(ORIGIN), 4, NOW + 500).unwrap();
    for height in 1..=3 {
        node.apply(&chain, height);
        node.checkpoints.step().unwrap();
        assert_eq!(node.said(), None, "at {height}");
    }
    for height in 4..=6 {
        node.apply(&chain, height);
        node.checkpoints.step().unwrap();
        let said = node.said().unwrap();
        assert_eq!((said.height, said.time), (height, NOW + 500), "the time never goes back");
    }
}

#[test]
fn a_guard_that_cannot_keep_what_is_signed_ends_it() {
    let mut chain = Chain::new(1);
    let node = Node::new(&chain, Some(0));
    node.apply(chain.grow(1), 1);
    node.checkpoints.0.guard.as_ref().unwrap().break_disk();
    assert!(matches!(node.checkpoints.step(), Err(CheckpointFault::Guard(_))));
    assert_eq!((node.said(), node.final_size()), (None, None));
}

#[test]
fn what_is_kept_is_bounded() {
    let mut chain = Chain::new(4);
    let node = Node::new(&chain, None);
    chain.grow(3 * APPLIED_MAX);
    for height in 1..=chain.blocks.len() as u64 {
        node.apply(&chain, height);
        // Two are no quorum: nothing ever gets final.
        for n in 0..2 {
            assert_eq!(node.take(&chain.cosignature(n, height)), Verdict::Accept);
        }
        let inner = node.checkpoints.lock();
        assert!(inner.applied.len() <= APPLIED_MAX && inner.collected.len() <= APPLIED_MAX);
        assert_eq!((inner.latest.len(), inner.parked.len()), (2, 0));
    }
}

#[tokio::test]
async fn the_task_cosigns_saves_and_stops() {
    let mut chain = Chain::new(1);
    let node = Node::new(&chain, Some(0));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(node.checkpoints.clone().run(async { drop(stopped.await) }));
    let mut advanced = node.checkpoints.advanced();
    for height in 1..=3 {
        node.apply(chain.grow(1), height);
        advanced.wait_for(|size| *size == 2 * height).await.unwrap();
    }
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
    let saved = fs::read_to_string(node.home.path().join("checkpoint")).unwrap();
    assert_eq!(saved, node.checkpoints.final_note().unwrap().text.as_ref());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whoever hears what in whatever order, twice or not at all, with blocks that come late: once all is delivered,
    /// every node has the last block's checkpoint as final; on the way it never shrinks, and is never of another log.
    #[test]
    fn all_end_with_the_same_final_checkpoint(script in prop::collection::vec((0_usize..4, 0_usize..4, 0_u64..3), 0..60)) {
        let mut chain = Chain::new(4);
        let nodes: Vec<Node> = (0..4).map(|n| Node::new(&chain, Some(n))).collect();
        chain.grow(6);
        let mut sizes = [0; 4];
        let mut hear = |from: usize, to: usize| {
            if let Some(said) = nodes[from].said() {
                assert!(!matches!(nodes[to].take(&said), Verdict::Reject(_)), "{from} to {to}");
            }
            if let Some(last) = nodes[to].checkpoints.final_note() {
                assert!(last.size >= sizes[to]);
                sizes[to] = last.size;
                assert_eq!(last.root, nodes[to].checkpoints.own_root(last.size).unwrap());
            }
        };
        for (from, to, blocks) in script {
            let height = (nodes[from].ledger.read().tip().height + blocks).min(6);
            nodes[from].apply(&chain, height);
            nodes[from].checkpoints.step().unwrap();
            hear(from, to);
        }
        for node in &nodes {
            node.apply(&chain, 6);
            node.checkpoints.step().unwrap();
        }
        for (from, to) in (0..16).map(|pair| (pair / 4, pair % 4)) {
            hear(from, to);
        }
        for node in &nodes {
            prop_assert_eq!(node.final_size(), Some(12));
            prop_assert_eq!(node.checkpoints.evidence_count(), 0);
        }
    }
}

#[test]
fn a_guard_that_was_rolled_back_learns_from_what_its_key_said() {
    let mut chain = Chain::new(4);
    let node = Node::new(&chain, Some(1));
    node.apply(chain.grow(3), 3);
    // What the key said before, and others kept: of a block that is not here yet.
    chain.grow(3);
    let before = chain.cosignature(1, 6);
    node.checkpoints.hold();
    node.checkpoints.step().unwrap();
    assert_eq!(node.said(), None, "it is not known yet what the key said");
    assert!(matches!(node.take(&before), Verdict::Ignore(_)));
    node.checkpoints.release();
    node.checkpoints.step().unwrap();
    assert_eq!(node.said(), None, "nothing smaller than that");
    assert_eq!(node.checkpoints.latest_of(&before.key), Some(before));
    for height in 4..=7 {
        if height == 7 {
            chain.grow(1);
        }
        node.apply(&chain, height);
        node.checkpoints.step().unwrap();
        let said = node.said().map(|said| (said.size, said.root));
        let want = chain.cosignature(1, height);
        assert_eq!(said, (height >= 6).then_some((want.size, want.root)), "height {height}");
    }
}

#[test]
fn a_key_that_said_something_else_elsewhere_says_nothing_more() {
    let mut chain = Chain::new(4);
    let node = Node::new(&chain, Some(1));
    node.apply(chain.grow(3), 3);
    node.checkpoints.step().unwrap();
    let own = node.said().unwrap();
    node.take(&signed(1, own.height, own.size, Digest([9; 32]), NOW + 5));
    node.apply(chain.grow(1), 4);
    node.checkpoints.step().unwrap();
    assert_eq!(node.said().unwrap().size, own.size, "its word is worth nothing any more, and it does not add to it");
}
