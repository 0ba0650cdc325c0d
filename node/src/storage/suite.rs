//! What every store must do: each claim is a function over a disk, and runs on all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use writ_proto::block::Outcome;
use writ_proto::hash::{Digest, Domain};
use writ_proto::key::KeyId;
use writ_proto::merkle::{self, MemoryTree, NodeId};
use writ_proto::record::RecordId;
use writ_proto::refusal::{Code, Refusal};
use writ_proto::state::Changes;

use super::memory::MemoryDisk;
use super::sample::Sample;
use super::{LogStore, Nodes, REFUSED_MAX, StoreError, StoredBlock, StoredPlace, StoredTip, Undecided, Writes, rocks};

mod damage;

/// Where a store lies, so that it can be opened again.
trait Disk {
    fn open(&self, chain: &Digest) -> Result<Arc<dyn LogStore>, StoreError>;
}

impl Disk for MemoryDisk {
    fn open(&self, chain: &Digest) -> Result<Arc<dyn LogStore>, StoreError> {
        self.open(chain)
    }
}

impl Disk for tempfile::TempDir {
    fn open(&self, chain: &Digest) -> Result<Arc<dyn LogStore>, StoreError> {
        rocks::open(&self.path().join("db"), chain)
    }
}

macro_rules! claims {
    ($($claim:ident,)*) => {
        mod memory { $(#[test] fn $claim() { super::$claim(&super::MemoryDisk::new()); })* }
        mod rocksdb { $(#[test] fn $claim() { super::$claim(&tempfile::tempdir().unwrap()); })* }
    };
}

claims! {
    an_empty_store_holds_nothing,
    what_was_committed_reads_back_before_and_after_a_restart,
    the_stored_tree_proves_every_leaf,
    only_the_next_block_of_this_history_is_taken,
    a_block_that_does_not_belong_together_is_refused,
    the_genesis_is_stored_once_and_names_the_chain,
    a_store_of_another_format_is_refused,
    proposals_are_kept_until_their_height_is_decided,
    waiting_records_are_kept_until_they_are_settled_or_refused,
    a_settled_record_never_waits_again,
    refusals_are_remembered_but_not_without_bound,
    one_block_is_one_batch_and_one_sync,
    scans_show_everything_once_and_in_order,
    a_reader_finds_every_block_that_the_tip_promises,
}

fn with_genesis(disk: &dyn Disk, sample: &Sample) -> Arc<dyn LogStore> {
    let store = disk.open(&sample.chain()).unwrap();
    store.put_genesis(&sample.genesis()).unwrap();
    store
}

fn commit_all(store: &dyn LogStore, sample: &mut Sample, grants: &[usize]) -> Vec<(StoredBlock, Changes)> {
    let next = |count: &usize| {
        let (block, changes) = sample.next(*count);
        store.commit(&block, &changes).unwrap();
        (block, changes)
    };
    grants.iter().map(next).collect()
}

fn id(n: u64) -> RecordId {
    RecordId(Digest::of(&[&n.to_le_bytes()]))
}

fn an_empty_store_holds_nothing(disk: &dyn Disk) {
    let sample = Sample::new("a.example/log");
    let store = disk.open(&sample.chain()).unwrap();
    assert_eq!(store.tip().unwrap(), None);
    assert_eq!(store.genesis().unwrap(), None);
    assert_eq!(store.block(0).unwrap(), None);
    assert_eq!(store.block(1).unwrap(), None);
    assert_eq!(store.commit_leaf(1).unwrap(), None);
    assert_eq!(store.certificate(1).unwrap(), None);
    assert_eq!(store.leaf(0).unwrap(), None);
    assert_eq!(store.place_at(0).unwrap(), None);
    assert_eq!(store.place(&id(1)).unwrap(), None);
    assert_eq!(store.node(NodeId { level: 0, index: 0 }).unwrap(), None);
    assert!(store.undecided(1).unwrap().is_empty() && store.pooled().unwrap().is_empty());
    assert_eq!(store.refusal(&id(1)).unwrap(), None);
    store.scan_leaves(0, &mut |_| panic!("a leaf")).unwrap();
    store.scan_ids(&mut |_| panic!("an id")).unwrap();
}

fn what_was_committed_reads_back_before_and_after_a_restart(disk: &dyn Disk) {
    let mut sample = Sample::new("a.example/log");
    let mut store = with_genesis(disk, &sample);
    let blocks = commit_all(&*store, &mut sample, &[3, 0, 1, 7]);
    for _ in 0..2 {
        let (last, changes) = blocks.last().unwrap();
        let tip = StoredTip {
            height: 4,
            block: last.certificate.block,
            commit_leaf: changes.leaf.hash(),
            log_size: sample.state.log().size(),
            time: sample.state.tip().time,
        };
        assert_eq!(store.tip().unwrap(), Some(tip));
        assert_eq!(store.genesis().unwrap(), Some(sample.genesis()));
        for ((block, changes), height) in blocks.iter().zip(1..) {
            assert_eq!(store.block(height).unwrap().as_ref(), Some(block), "block {height}");
            assert_eq!(store.certificate(height).unwrap().as_ref(), Some(&block.certificate));
            assert_eq!(store.commit_leaf(height).unwrap().as_ref(), Some(&changes.leaf));
            assert_eq!(store.leaf(changes.leaf_index).unwrap(), Some(changes.leaf.to_bytes()));
            assert_eq!(store.place_at(changes.leaf_index).unwrap(), None, "a commit leaf is no record");
            for placed in &changes.records {
                let place = StoredPlace {
                    index: placed.index,
                    height,
                    outcome: Outcome::Accepted,
                    authority: placed.record.authority(),
                    keys: placed.record.keys().to_vec(),
                };
                assert_eq!(store.place(&placed.record.id()).unwrap().as_ref(), Some(&place));
                assert_eq!(store.place_at(placed.index).unwrap(), Some(place));
                assert_eq!(store.leaf(placed.index).unwrap().as_deref(), Some(placed.record.signed().bytes()));
            }
        }
        assert_eq!(store.block(0).unwrap(), None);
        assert_eq!(store.block(5).unwrap(), None);
        assert_eq!(store.leaf(tip.log_size).unwrap(), None);
        drop(store);
        store = disk.open(&sample.chain()).unwrap();
    }
}

fn the_stored_tree_proves_every_leaf(disk: &dyn Disk) {
    let mut sample = Sample::new("a.example/log");
    let store = with_genesis(disk, &sample);
    commit_all(&*store, &mut sample, &[3, 0, 1, 7, 2]);
    let size = store.tip().unwrap().unwrap().log_size;
    let leaf = |index| merkle::leaf_hash(&store.leaf(index).unwrap().unwrap());
    let tree: MemoryTree = (0..size).map(leaf).collect();
    assert_eq!(tree.root(), sample.state.log().root());
    let nodes = Nodes(&*store);
    for index in 0..size {
        let proof = merkle::prove_inclusion(&nodes, index, size).unwrap();
        merkle::verify_inclusion(index, size, &leaf(index), &proof, &tree.root()).unwrap();
    }
    for earlier in 1..size {
        let proof = merkle::prove_consistency(&nodes, earlier, size).unwrap();
        let root = merkle::root_at(&nodes, earlier).unwrap();
        merkle::verify_consistency(earlier, size, &proof, &root, &tree.root()).unwrap();
    }
    assert!(merkle::root_at(&nodes, size + 1).is_err(), "nodes that are not there are damage");
}

fn only_the_next_block_of_this_history_is_taken(disk: &dyn Disk) {
    let mut sample = Sample::new("a.example/log");
    let store = disk.open(&sample.chain()).unwrap();
    let (first, first_changes) = sample.build(vec![]);
    assert!(matches!(store.commit(&first, &first_changes), Err(StoreError::NoGenesis)));
    store.put_genesis(&sample.genesis()).unwrap();

    let mut other = sample.clone();
    let (block, changes) = sample.next(2);
    let (ahead, ahead_changes) = sample.next(1);
    let refused = store.commit(&ahead, &ahead_changes);
    assert!(matches!(refused, Err(StoreError::NotNext { found: 2, expected: 1 })), "{refused:?}");
    store.commit(&block, &changes).unwrap();
    let refused = store.commit(&block, &changes);
    assert!(matches!(refused, Err(StoreError::NotNext { found: 1, expected: 2 })), "{refused:?}");

    other.next(1);
    let (fork, fork_changes) = other.next(1);
    let refused = store.commit(&fork, &fork_changes);
    assert!(matches!(refused, Err(StoreError::BrokenLink { height: 2, .. })), "{refused:?}");
    let mut stranger = Sample::new("b.example/log");
    stranger.next(2);
    let (block, changes) = stranger.next(1);
    assert!(matches!(store.commit(&block, &changes), Err(StoreError::BrokenLink { height: 2, .. })));

    // None of that was a failed write, and none left a trace.
    store.commit(&ahead, &ahead_changes).unwrap();
    assert_eq!(store.block(2).unwrap(), Some(ahead));
    assert_eq!(store.tip().unwrap().unwrap().height, 2);
}

fn a_block_that_does_not_belong_together_is_refused(disk: &dyn Disk) {
    let mut sample = Sample::new("a.example/log");
    let store = with_genesis(disk, &sample);
    let (one, two) = (sample.grant(), sample.grant());
    let (block, changes) = sample.build(vec![one]);
    let (other, other_changes) = sample.build(vec![two]);
    let mixed = |block: &StoredBlock, certified: &StoredBlock| StoredBlock {
        block: block.block.clone(),
        certificate: certified.certificate.clone(),
    };
    let mut shifted = changes.clone();
    shifted.records[0].index += 1;
    let mut longer = changes.clone();
    longer.leaf_index += 1;
    for (case, block, changes) in [
        ("another certificate", &mixed(&block, &other), &changes),
        ("another block", &mixed(&other, &block), &changes),
        ("other changes", &block, &other_changes),
        ("no block", &StoredBlock { block: vec![], ..block.clone() }, &changes),
        ("leaves elsewhere", &block, &shifted),
        ("a commit leaf elsewhere", &block, &longer),
    ] {
        let refused = store.commit(block, changes);
        assert!(matches!(refused, Err(StoreError::Mismatch { height: 1, .. })), "{case}: {refused:?}");
        assert_eq!(store.tip().unwrap(), None, "{case}");
    }
    store.commit(&block, &changes).unwrap();
}

fn the_genesis_is_stored_once_and_names_the_chain(disk: &dyn Disk) {
    let (sample, other) = (Sample::new("a.example/log"), Sample::new("b.example/log"));
    let store = with_genesis(disk, &sample);
    store.put_genesis(&sample.genesis()).unwrap();
    let refused = store.put_genesis(&other.genesis());
    assert!(
        matches!(refused, Err(StoreError::OtherChain { found, expected }) if found == other.chain() && expected == sample.chain())
    );
    assert_eq!(store.genesis().unwrap(), Some(sample.genesis()));
    drop(store);
    assert!(matches!(disk.open(&other.chain()), Err(StoreError::OtherChain { .. })));
    let store = disk.open(&sample.chain()).unwrap();
    assert_eq!(Domain::Genesis.hash(&[&store.genesis().unwrap().unwrap()]), sample.chain());
}

fn a_store_of_another_format_is_refused(disk: &dyn Disk) {
    // Told through the memory disk, whose bytes a test can reach; RocksDB is asked in `damage`.
    let _ = disk;
    let sample = Sample::new("a.example/log");
    let disk = MemoryDisk::new();
    drop(with_genesis(&disk, &sample));
    let format = (super::schema::Table::Meta, super::schema::meta::FORMAT.to_vec());
    for (value, found) in [(vec![2, 0, 0, 0], 2), (vec![0; 4], 0), (vec![255; 4], u32::MAX)] {
        disk.change(|tables| tables.insert(format.clone(), value).map(drop).unwrap());
        let error = Disk::open(&disk, &sample.chain()).err().unwrap();
        assert!(matches!(error, StoreError::Format { found: is } if is == found), "{error}");
    }
    disk.change(|tables| tables.remove(&format).map(drop).unwrap());
    assert!(matches!(Disk::open(&disk, &sample.chain()), Err(StoreError::Damaged { table: "meta", .. })));
}

fn proposals_are_kept_until_their_height_is_decided(disk: &dyn Disk) {
    let mut sample = Sample::new("a.example/log");
    let store = with_genesis(disk, &sample);
    let proposal =
        |round, bytes: &[u8]| Undecided { round, valid_round: None, proposer: KeyId([9; 32]), bytes: bytes.to_vec() };
    let (a, b) = (Digest([1; 32]), Digest([2; 32]));
    store.put_undecided(1, &b, &proposal(0, b"b")).unwrap();
    store.put_undecided(1, &a, &proposal(0, b"a")).unwrap();
    store.put_undecided(2, &a, &proposal(0, b"later")).unwrap();
    let again = Undecided { valid_round: Some(0), ..proposal(3, b"a") };
    store.put_undecided(1, &a, &again).unwrap();
    drop(store);

    let store = disk.open(&sample.chain()).unwrap();
    assert_eq!(store.undecided(1).unwrap(), [(a, again), (b, proposal(0, b"b"))]);
    commit_all(&*store, &mut sample, &[1]);
    assert!(store.undecided(1).unwrap().is_empty());
    assert_eq!(store.undecided(2).unwrap(), [(a, proposal(0, b"later"))]);
    for height in [0, 1] {
        let late = store.put_undecided(height, &a, &proposal(0, b"a"));
        assert!(matches!(late, Err(StoreError::Late { tip: 1, .. })), "{height}: {late:?}");
    }
    commit_all(&*store, &mut sample, &[1]);
    assert!(store.undecided(2).unwrap().is_empty());
}

fn waiting_records_are_kept_until_they_are_settled_or_refused(disk: &dyn Disk) {
    let mut sample = Sample::new("a.example/log");
    let store = with_genesis(disk, &sample);
    let records: Vec<_> = (0..4).map(|_| sample.grant()).collect();
    let kept: Vec<_> = records.iter().map(|record| (record.id(), record.bytes().to_vec())).collect();
    store.put_pooled(&kept[..3]).unwrap();
    drop(store);

    let store = disk.open(&sample.chain()).unwrap();
    let pooled = || store.pooled().unwrap().into_iter().collect::<BTreeMap<_, _>>();
    assert_eq!(pooled(), kept[..3].iter().cloned().collect());
    // One is settled with another that was never kept; one is refused, and so is one that was never kept.
    let (block, changes) = sample.build(vec![records[0].clone(), records[3].clone()]);
    store.commit(&block, &changes).unwrap();
    assert_eq!(pooled(), kept[1..3].iter().cloned().collect());
    let refusal = Refusal::of(Code::OutOfScope, "sub", "not yours");
    store.put_refused(&[(kept[1].0, refusal.clone()), (id(77), refusal.clone())]).unwrap();
    assert_eq!(pooled(), kept[2..3].iter().cloned().collect());
    drop(store);

    let store = disk.open(&sample.chain()).unwrap();
    let stored = store.refusal(&kept[1].0).unwrap().unwrap();
    assert_eq!(
        (stored.code, stored.field.as_deref(), stored.detail.as_str()),
        (Code::OutOfScope, Some("sub"), "not yours")
    );
    assert_eq!(store.refusal(&id(77)).unwrap(), None, "nobody was told that it waits");
    assert_eq!(store.pooled().unwrap(), kept[2..3]);
    // Submitted again, it waits again.
    store.put_pooled(&kept[1..2]).unwrap();
    assert_eq!(store.refusal(&kept[1].0).unwrap(), None);
    assert_eq!(store.pooled().unwrap().len(), 2);
}

fn a_settled_record_never_waits_again(disk: &dyn Disk) {
    let mut sample = Sample::new("a.example/log");
    let store = with_genesis(disk, &sample);
    let (_, changes) = commit_all(&*store, &mut sample, &[1]).remove(0);
    let record = &changes.records[0].record;
    let before = store.writes();
    store.put_pooled(&[(record.id(), record.signed().bytes().to_vec())]).unwrap();
    assert!(store.pooled().unwrap().is_empty());
    assert_eq!(store.writes(), before, "and nothing is written for it");
}

fn refusals_are_remembered_but_not_without_bound(disk: &dyn Disk) {
    let sample = Sample::new("a.example/log");
    let mut store = with_genesis(disk, &sample);
    let refusal = Refusal::whole(Code::Conflict, "late");
    let refuse = |store: &dyn LogStore, range: std::ops::Range<u64>| {
        let records: Vec<_> = range.clone().map(|n| (id(n), vec![1])).collect();
        store.put_pooled(&records).unwrap();
        store.put_refused(&range.map(|n| (id(n), refusal.clone())).collect::<Vec<_>>()).unwrap();
        assert!(store.pooled().unwrap().is_empty());
    };
    let max = REFUSED_MAX as u64;
    refuse(&*store, 0..max / 2);
    refuse(&*store, max / 2..max);
    let remembered =
        |store: &dyn LogStore, upto| (0..upto).filter(|n| store.refusal(&id(*n)).unwrap().is_some()).count();
    assert_eq!(remembered(&*store, max), REFUSED_MAX);
    for round in 0..2 {
        refuse(&*store, max + round..max + round + 1);
        assert!(remembered(&*store, max + 10) <= REFUSED_MAX);
        assert!(store.refusal(&id(max + round)).unwrap().is_some(), "the latest is there");
        drop(store);
        store = disk.open(&sample.chain()).unwrap();
    }
    // The oldest half went first. (Within one call the order is that of the ids.)
    let of = |range: std::ops::Range<u64>| range.filter(|n| store.refusal(&id(*n)).unwrap().is_some()).count() as u64;
    assert!(of(0..max / 2) < max / 2 && of(max / 2..max) == max / 2);
}

fn one_block_is_one_batch_and_one_sync(disk: &dyn Disk) {
    let mut sample = Sample::new("a.example/log");
    let store = with_genesis(disk, &sample);
    let count = |what: &str, want: (u64, u64), act: &mut dyn FnMut()| {
        let Writes { batches, syncs } = store.writes();
        act();
        let after = store.writes();
        assert_eq!((after.batches - batches, after.syncs - syncs), want, "{what}");
    };
    let undecided = Undecided { round: 0, valid_round: None, proposer: KeyId([9; 32]), bytes: vec![1] };
    count("a proposal", (1, 1), &mut || store.put_undecided(1, &Digest::ZERO, &undecided).unwrap());
    count("waiting records", (1, 1), &mut || store.put_pooled(&[(id(1), vec![1]), (id(2), vec![2])]).unwrap());
    count("a block", (1, 1), &mut || drop(commit_all(&*store, &mut sample, &[50])));
    let refusal = Refusal::whole(Code::Conflict, "late");
    count("a refusal", (1, 0), &mut || store.put_refused(&[(id(1), refusal.clone())]).unwrap());
    count("a refusal of nothing", (0, 0), &mut || store.put_refused(&[(id(1), refusal.clone())]).unwrap());
    count("the genesis again", (0, 0), &mut || store.put_genesis(&Sample::new("a.example/log").genesis()).unwrap());
}

fn scans_show_everything_once_and_in_order(disk: &dyn Disk) {
    let mut sample = Sample::new("a.example/log");
    let store = with_genesis(disk, &sample);
    let blocks = commit_all(&*store, &mut sample, &[2, 0, 300]);
    let size = store.tip().unwrap().unwrap().log_size;
    for from in [0, 1, 4, size - 1, size, size + 1] {
        let mut next = from;
        store
            .scan_leaves(from, &mut |leaf| {
                assert_eq!(leaf.index, next);
                assert_eq!(store.leaf(next)?.as_deref(), Some(leaf.bytes));
                next += 1;
                Ok(())
            })
            .unwrap();
        assert_eq!(next, size.max(from), "from {from}");
    }
    let mut ids = BTreeMap::new();
    store
        .scan_ids(&mut |(id, index)| {
            assert!(ids.insert(id, index).is_none());
            Ok(())
        })
        .unwrap();
    let placed = blocks.iter().flat_map(|(_, changes)| &changes.records);
    assert_eq!(ids, placed.map(|placed| (placed.record.id(), placed.index)).collect());
    let stopped = store.scan_ids(&mut |_| Err(StoreError::Failed));
    assert!(matches!(stopped, Err(StoreError::Failed)));
}

fn a_reader_finds_every_block_that_the_tip_promises(disk: &dyn Disk) {
    let mut sample = Sample::new("a.example/log");
    let store = with_genesis(disk, &sample);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            loop {
                let Some(tip) = store.tip().unwrap() else { continue };
                assert_eq!(store.block(tip.height).unwrap().unwrap().certificate.block, tip.block);
                assert!(store.leaf(tip.log_size - 1).unwrap().is_some());
                if tip.height == 100 {
                    break;
                }
            }
        });
        commit_all(&*store, &mut sample, &[1; 100]);
        reader.join().unwrap();
    });
}
