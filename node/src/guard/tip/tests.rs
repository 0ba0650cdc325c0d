use super::*;
use std::fs;

use crate::storage::memory::MemoryDisk;
use crate::storage::sample::Sample;

/// A chain of `heights` blocks in a store, with the hashes of each.
struct Chain {
    sample: Sample,
    store: std::sync::Arc<dyn LogStore>,
    hashes: Vec<(Digest, Digest)>,
}

impl Chain {
    fn new(heights: usize) -> Self {
        let sample = Sample::new("a.example/log");
        let store = MemoryDisk::new().open(&sample.chain()).unwrap();
        store.put_genesis(&sample.genesis()).unwrap();
        let mut chain = Self { sample, store, hashes: Vec::new() };
        for _ in 0..heights {
            chain.commit(1);
        }
        chain
    }

    fn commit(&mut self, grants: usize) {
        let (block, changes) = self.sample.next(grants);
        self.store.commit(&block, &changes).unwrap();
        self.hashes.push((changes.leaf.header.hash(), changes.leaf.hash()));
    }

    fn open(&self, dir: &Path) -> Result<(TipGuard, Standing), TipGuardError> {
        TipGuard::open(dir, &self.sample.chain(), &*self.store)
    }

    fn note(&self, guard: &TipGuard, height: u64) -> Result<(), TipGuardError> {
        let (block, commit_leaf) = self.hashes[height as usize - 1];
        guard.advance(height, block, commit_leaf)
    }
}

/// A folder whose guard has seen `chain` up to `height`.
fn guarded(chain: &Chain, height: u64) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (guard, standing) = TipGuard::open(dir.path(), &chain.sample.chain(), &*Chain::new(0).store).unwrap();
    assert_eq!(standing, Standing::Fresh);
    for height in 1..=height {
        chain.note(&guard, height).unwrap();
    }
    dir
}

#[test]
fn a_database_is_judged_by_what_its_guard_has_seen() {
    let chain = Chain::new(9);
    for (case, seen, db, want) in [
        ("both begin", 0, 0, Standing::Level),
        ("at the same block", 7, 7, Standing::Level),
        ("a crash before the guard", 7, 8, Standing::Ahead),
        ("far ahead", 1, 9, Standing::Ahead),
        ("a guard that never saw a block", 0, 9, Standing::Ahead),
        ("one block lost", 7, 6, Standing::Behind { guard: 7, db: 6 }),
        ("all blocks lost", 7, 0, Standing::Behind { guard: 7, db: 0 }),
    ] {
        let dir = guarded(&chain, seen);
        let (guard, standing) = Chain::new(db).open(dir.path()).unwrap();
        assert_eq!(standing, want, "{case}");
        assert_eq!(standing.may_answer(), !matches!(want, Standing::Behind { .. }), "{case}");
        assert_eq!(guard.mark().unwrap().unwrap().height, seen, "{case}: judging changes nothing");
    }
}

#[test]
fn another_history_at_the_guards_height_is_seen_however_long_it_is() {
    let chain = Chain::new(7);
    let dir = guarded(&chain, 7);
    for more in [7, 8, 12] {
        let mut fork = Chain::new(6);
        while fork.hashes.len() < more {
            fork.commit(2);
        }
        let (_, standing) = fork.open(dir.path()).unwrap();
        let expected = Standing::Conflict { height: 7, guard: chain.hashes[6].0, db: fork.hashes[6].0 };
        assert_eq!(standing, expected, "{more} blocks");
        assert!(!standing.may_answer());
    }
}

#[test]
fn a_guard_begins_beside_an_empty_database_and_only_there() {
    let dir = tempfile::tempdir().unwrap();
    let full = Chain::new(3);
    let (guard, standing) = full.open(dir.path()).unwrap();
    assert_eq!(standing, Standing::Missing { db: 3 });
    assert!(!standing.may_answer());
    assert!(!TipGuard::path(dir.path()).exists(), "nothing is made silently");
    let refused = full.note(&guard, 3);
    assert!(matches!(refused, Err(TipGuardError::File(GuardFileError::Missing { .. }))), "{refused:?}");
    drop(guard);

    let mut empty = Chain::new(0);
    assert_eq!(empty.open(dir.path()).unwrap().1, Standing::Fresh);
    // A crash right after the first commit: the guard is there already.
    empty.commit(1);
    assert_eq!(empty.open(dir.path()).unwrap().1, Standing::Ahead);
}

#[test]
fn a_guard_only_goes_forward() {
    let chain = Chain::new(9);
    let dir = guarded(&chain, 7);
    let (guard, _) = Chain::new(5).open(dir.path()).unwrap();
    let syncs = guard.syncs();
    // The database catches up: known heights change nothing, the guard's own block must be the same.
    for height in [1, 6, 7, 3] {
        chain.note(&guard, height).unwrap();
        assert_eq!(guard.mark().unwrap().unwrap().height, 7);
    }
    assert_eq!(guard.syncs(), syncs);
    for (block, leaf) in [(Digest([1; 32]), chain.hashes[6].1), (chain.hashes[6].0, Digest([1; 32]))] {
        let refused = guard.advance(7, block, leaf);
        assert!(matches!(refused, Err(TipGuardError::Conflict { height: 7, .. })), "{refused:?}");
    }
    chain.note(&guard, 9).unwrap();
    assert_eq!(guard.syncs(), syncs + 1, "one fsync a block");
    let mark = TipMark {
        height: 9,
        block: chain.hashes[8].0,
        commit_leaf: chain.hashes[8].1,
        pending_sequence: 0,
        pending_count: 0,
    };
    assert_eq!(guard.mark().unwrap(), Some(mark));
}

#[test]
fn a_database_that_caught_up_is_level_again() {
    let mut chain = Chain::new(7);
    let dir = guarded(&chain, 7);
    let mut behind = Chain::new(5);
    let (guard, standing) = behind.open(dir.path()).unwrap();
    assert_eq!(standing, Standing::Behind { guard: 7, db: 5 });
    for height in 6..=8 {
        behind.commit(1);
        behind.note(&guard, height).unwrap();
        let standing = guard.judge(&*behind.store).unwrap();
        assert_eq!(standing.may_answer(), height >= 7, "at {height}: {standing}");
    }
    chain.commit(1);
    assert_eq!(guard.mark().unwrap().unwrap().block, chain.hashes[7].0);
}

#[test]
fn the_count_of_pending_records_only_grows() {
    let chain = Chain::new(2);
    let dir = guarded(&chain, 1);
    let (guard, _) = chain.open(dir.path()).unwrap();
    guard.note_pending(5, 3).unwrap();
    guard.note_pending(5, 0).unwrap();
    assert!(matches!(guard.note_pending(4, 0), Err(TipGuardError::Backwards { found: 4, last: 5 })));
    chain.note(&guard, 2).unwrap();
    drop(guard);
    let mark = chain.open(dir.path()).unwrap().0.mark().unwrap().unwrap();
    assert_eq!((mark.height, mark.pending_sequence, mark.pending_count), (2, 5, 0));
}

#[test]
fn a_damaged_guard_is_refused_and_a_restored_one_says_what_it_was() {
    let chain = Chain::new(7);
    let dir = guarded(&chain, 7);
    let path = TipGuard::path(dir.path());
    let whole = fs::read(&path).unwrap();
    // One slot is enough, two must not be.
    let mut bytes = whole.clone();
    bytes[40] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert_eq!(chain.open(dir.path()).unwrap().1, Standing::Level);
    bytes[5000] ^= 1;
    bytes[40] ^= 2;
    fs::write(&path, &bytes).unwrap();
    let refused = chain.open(dir.path()).err().unwrap();
    assert!(matches!(refused, TipGuardError::File(GuardFileError::Damaged { .. })), "{refused}");

    let behind = Chain::new(5);
    let restore = |chain: &Chain| TipGuard::restore(dir.path(), &chain.sample.chain(), &*chain.store);
    assert_eq!(restore(&behind).unwrap(), None);
    assert_eq!(behind.open(dir.path()).unwrap().1, Standing::Level);
    assert_eq!(restore(&chain).unwrap().unwrap().height, 5);
    let (running, standing) = chain.open(dir.path()).unwrap();
    assert_eq!(standing, Standing::Level);
    assert!(matches!(restore(&behind), Err(TipGuardError::File(GuardFileError::InUse { .. }))));
    drop(running);
    assert_eq!(chain.open(dir.path()).unwrap().1, Standing::Level);
}

#[test]
fn a_guard_of_another_chain_is_refused() {
    let chain = Chain::new(1);
    let dir = guarded(&chain, 1);
    let other = Sample::new("b.example/log");
    let refused = TipGuard::open(dir.path(), &other.chain(), &*chain.store).err().unwrap();
    assert!(matches!(refused, TipGuardError::File(GuardFileError::OtherChain { .. })), "{refused}");
}

#[test]
fn a_block_counts_only_once_it_is_synced() {
    let chain = Chain::new(2);
    let dir = guarded(&chain, 1);
    let (guard, _) = chain.open(dir.path()).unwrap();
    // A device that takes writes and cannot sync.
    let null = fs::OpenOptions::new().write(true).open("/dev/null").unwrap();
    guard.file.lock().unwrap().as_mut().unwrap().write_to(null);
    let refused = chain.note(&guard, 2);
    assert!(matches!(refused, Err(TipGuardError::File(GuardFileError::Io { .. }))), "{refused:?}");
    let refused = chain.note(&guard, 2);
    assert!(matches!(refused, Err(TipGuardError::File(GuardFileError::Failed { .. }))), "{refused:?}");
}

#[test]
fn the_bytes_are_pinned() {
    let mark = TipMark {
        height: 258,
        block: Digest([1; 32]),
        commit_leaf: Digest([2; 32]),
        pending_sequence: 3,
        pending_count: 4,
    };
    let golden = ["0201000000000000", &"01".repeat(32), &"02".repeat(32), "0300000000000000", "0400000000000000"];
    assert_eq!(hex::encode(writ_proto::codec::encode(&mark)), golden.concat());
}
