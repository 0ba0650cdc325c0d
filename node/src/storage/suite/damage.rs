//! Damage: whatever is lost or altered on disk, the answer is the same, or an error, or seen by the tip guard.
//! Never another one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use writ_proto::merkle::NodeId;

use super::{Disk as _, commit_all, id, with_genesis};
use crate::guard::{Standing, TipGuard};
use crate::storage::memory::MemoryDisk;
use crate::storage::sample::Sample;
use crate::storage::schema::Table;
use crate::storage::{LogStore, StoreError, StoredTip, Undecided, rocks};

/// Everything that a store answers, in words.
fn answers(store: &dyn LogStore) -> Result<Vec<String>, StoreError> {
    let tip = store.tip()?;
    let mut said = vec![format!("{tip:?} {:?}", store.genesis()?)];
    let (height, size) = tip.map_or((0, 0), |tip: StoredTip| (tip.height, tip.log_size));
    for height in 0..=height + 1 {
        said.push(format!("{:?} {:?}", store.block(height)?, store.certificate(height)?));
        said.push(format!("{:?} {:?}", store.commit_leaf(height)?, store.undecided(height)?));
    }
    for index in 0..size {
        said.push(format!("{:?} {:?}", store.leaf(index)?, store.place_at(index)?));
        for level in 0..6 {
            said.push(format!("{:?}", store.node(NodeId { level, index })?));
        }
    }
    store.scan_leaves(0, &mut |leaf| {
        said.push(format!("{leaf:?}"));
        Ok(())
    })?;
    let mut ids = Vec::new();
    store.scan_ids(&mut |entry| {
        ids.push(entry);
        Ok(())
    })?;
    for (id, index) in ids {
        said.push(format!("{id} {index} {:?}", store.place(&id)?));
    }
    said.push(format!("{:?}", store.pooled()?));
    Ok(said)
}

#[test]
fn after_a_failed_write_there_is_no_other_and_nothing_of_it_stays() {
    let mut sample = Sample::new("a.example/log");
    let disk = MemoryDisk::new();
    let store = with_genesis(&disk, &sample);
    commit_all(&*store, &mut sample, &[2]);
    let (block, changes) = sample.next(2);
    let undecided =
        Undecided { round: 0, valid_round: None, proposer: writ_proto::key::KeyId([9; 32]), bytes: vec![1] };
    let before = disk.image();
    disk.fail_after(0);
    assert!(matches!(store.commit(&block, &changes), Err(StoreError::Database { .. })));
    // The disk works again, the store does not.
    for (case, refused) in [
        ("the same again", store.commit(&block, &changes)),
        ("a proposal", store.put_undecided(2, &block.certificate.block, &undecided)),
        ("a waiting record", store.put_pooled(&[(id(1), vec![1])])),
    ] {
        assert!(matches!(refused, Err(StoreError::Failed)), "{case}: {refused:?}");
    }
    assert_eq!(store.tip().unwrap().unwrap().height, 1, "reads go on");
    assert_eq!(disk.image(), before);
    let store = disk.open(&sample.chain()).unwrap();
    store.commit(&block, &changes).unwrap();
}

#[test]
fn an_entry_that_is_gone_is_missed() {
    let mut sample = Sample::new("a.example/log");
    let disk = MemoryDisk::new();
    let store = with_genesis(&disk, &sample);
    commit_all(&*store, &mut sample, &[2, 0, 3]);
    drop(store);
    let whole = disk.image();
    for (table, key) in whole.keys() {
        let damaged = MemoryDisk::new();
        damaged.change(|tables| {
            tables.extend(whole.clone());
            tables.remove(&(*table, key.clone()));
        });
        let told = damaged.open(&sample.chain()).and_then(|store| {
            answers(&*store)?;
            // Ids and places are looked up, so a missing one reads as *not in the log*: fsck finds it.
            let lookups = |table| whole.keys().filter(|(at, _)| *at == table).count();
            let mut found = 0;
            store.scan_ids(&mut |_| {
                found += 1;
                Ok(())
            })?;
            assert_eq!(found + usize::from(*table == Table::Ids), lookups(Table::Ids));
            Ok(store)
        });
        let may_be_silent = match table {
            Table::Ids | Table::Places => true,
            // An inner node is only missed by the proof that needs it.
            Table::Nodes => key[0] > 0,
            _ => false,
        };
        assert!(told.is_err() || may_be_silent, "{table:?} {}", hex::encode(key));
    }
}

#[test]
fn an_altered_leaf_block_tip_or_genesis_is_seen() {
    let mut sample = Sample::new("a.example/log");
    let disk = MemoryDisk::new();
    let store = with_genesis(&disk, &sample);
    commit_all(&*store, &mut sample, &[2, 0, 1]);
    let said = answers(&*store).unwrap();
    drop(store);
    let whole = disk.image();
    let mut flips = 0;
    for ((table, key), value) in &whole {
        // RocksDB's checksums guard the others; here there are none.
        if !matches!(table, Table::Leaves | Table::Blocks | Table::Meta) {
            continue;
        }
        for at in 0..value.len() {
            let damaged = MemoryDisk::new();
            damaged.change(|tables| {
                tables.extend(whole.clone());
                tables.get_mut(&(*table, key.clone())).unwrap()[at] ^= 1;
            });
            flips += 1;
            match damaged.open(&sample.chain()).and_then(|store| answers(&*store)) {
                Err(_) => {}
                Ok(now) => assert!(now == said, "{table:?} {} byte {at}", hex::encode(key)),
            }
        }
    }
    assert!(flips > 2000, "{flips}");
}

/// A database with its guard, some of it in tables and some in the log file, and what it answers.
struct Home {
    dir: tempfile::TempDir,
    sample: Sample,
    said: Vec<String>,
    older: PathBuf,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (db, guards) = (dir.path().join("db"), dir.path().join("guard"));
        fs::create_dir(&guards).unwrap();
        let mut sample = Sample::new("a.example/log");
        let mut older = PathBuf::new();
        let mut said = Vec::new();
        // Opening again moves what was in the log file into tables.
        for (run, blocks) in [[9, 0, 40], [3, 20, 1], [5, 2, 30]].iter().enumerate() {
            let store = rocks::open(&db, &sample.chain()).unwrap();
            store.put_genesis(&sample.genesis()).unwrap();
            let (guard, standing) = TipGuard::open(&guards, &sample.chain(), &*store).unwrap();
            assert!(standing.may_answer());
            for (_, changes) in commit_all(&*store, &mut sample, blocks) {
                guard.advance(changes.leaf.header.height, changes.leaf.header.hash(), changes.leaf.hash()).unwrap();
            }
            said = answers(&*store).unwrap();
            drop(store);
            if run == 1 {
                older = dir.path().join("older");
                copy(&db, &older);
            }
        }
        Self { dir, sample, said, older }
    }

    /// What becomes of a copy of the database once `harm` is done to it.
    fn after(&self, harm: impl FnOnce(&Path)) -> After {
        let (db, guards) = (self.dir.path().join("harmed"), self.dir.path().join("guard"));
        let _ = fs::remove_dir_all(&db);
        copy(&self.dir.path().join("db"), &db);
        harm(&db);
        let store = match rocks::open(&db, &self.sample.chain()) {
            Ok(store) => store,
            Err(error) => return After::Refused(error),
        };
        let (_, standing) = match TipGuard::open(&guards, &self.sample.chain(), &*store) {
            Ok(opened) => opened,
            Err(error) => return After::Unreadable(error.to_string()),
        };
        if !standing.may_answer() {
            return After::Seen(standing);
        }
        match answers(&*store) {
            Ok(said) if said == self.said => After::Same,
            Ok(_) => After::Other,
            Err(error) => After::Unreadable(error.to_string()),
        }
    }

    fn files(&self) -> Vec<(String, u64)> {
        let mut files: Vec<_> = fs::read_dir(self.dir.path().join("db"))
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().len()))
            // RocksDB's diary and its lock mean nothing.
            .filter(|(name, _)| !name.starts_with("LO"))
            .collect();
        files.sort();
        files
    }
}

#[derive(Debug)]
enum After {
    /// Nothing came of it.
    Same,
    /// The database does not open.
    Refused(StoreError),
    /// It opens, and the guard sees that it is not what it was.
    Seen(Standing),
    /// It opens, and reading what is damaged is an error.
    Unreadable(#[expect(dead_code, reason = "for the reader of a failure")] String),
    /// It opens and answers otherwise: what must not be.
    Other,
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_database_that_is_gone_older_or_without_its_log_file_is_seen() {
    let home = Home::new();
    assert!(matches!(home.after(|_| ()), After::Same));
    let last = home.sample.state.tip().height;

    let gone = home.after(|db| fs::remove_dir_all(db).unwrap());
    assert!(matches!(gone, After::Seen(Standing::Behind { guard, db: 0 }) if guard == last), "{gone:?}");
    let older = home.after(|db| {
        fs::remove_dir_all(db).unwrap();
        copy(&home.older, db);
    });
    assert!(matches!(older, After::Seen(Standing::Behind { guard, db: 6 }) if guard == last), "{older:?}");
    let logs: Vec<_> = home.files().into_iter().filter(|(name, len)| name.ends_with(".log") && *len > 0).collect();
    assert_eq!(logs.len(), 1, "{logs:?}");
    let without = home.after(|db| fs::remove_file(db.join(&logs[0].0)).unwrap());
    assert!(matches!(without, After::Seen(Standing::Behind { db: 6, .. })), "{without:?}");
    let emptied = home.after(|db| edit(&db.join(&logs[0].0), Vec::clear));
    assert!(matches!(emptied, After::Seen(Standing::Behind { db: 6, .. })), "{emptied:?}");
    // A torn tail is what a power cut leaves of a batch nobody heard of; here it was acknowledged, so it is seen.
    let torn = home.after(|db| edit(&db.join(&logs[0].0), |bytes| bytes.truncate(bytes.len() - 37)));
    assert!(matches!(torn, After::Seen(Standing::Behind { guard, db }) if guard == last && db == last - 1), "{torn:?}");
    // In the middle it is no tail: RocksDB's default would open with what was before it.
    let middle = home.after(|db| edit(&db.join(&logs[0].0), |bytes| bytes[500] ^= 1));
    assert!(matches!(middle, After::Refused(_)), "{middle:?}");

    let mut other = Sample::new("b.example/log");
    let swapped = home.after(|db| {
        fs::remove_dir_all(db).unwrap();
        let store = rocks::open(db, &other.chain()).unwrap();
        store.put_genesis(&other.genesis()).unwrap();
        commit_all(&*store, &mut other, &[1]);
    });
    assert!(matches!(swapped, After::Refused(StoreError::OtherChain { .. })), "{swapped:?}");
    let mut fork = Sample::new("a.example/log");
    let forked = home.after(|db| {
        fs::remove_dir_all(db).unwrap();
        let store = rocks::open(db, &fork.chain()).unwrap();
        store.put_genesis(&fork.genesis()).unwrap();
        commit_all(&*store, &mut fork, &[1; 12]);
    });
    assert!(matches!(forked, After::Seen(Standing::Conflict { height: 9, .. })), "{forked:?}");
}

#[test]
fn a_flipped_bit_or_a_missing_file_never_changes_an_answer() {
    const FLIPS_PER_FILE: u64 = 5;
    let home = Home::new();
    let (mut harmed, mut noticed) = (0, 0);
    for (name, len) in home.files() {
        let mut judge = |what: String, after: After| {
            harmed += 1;
            noticed += usize::from(!matches!(after, After::Same));
            assert!(!matches!(after, After::Other), "{what} of {name}");
        };
        judge("loss".into(), home.after(|db| fs::remove_file(db.join(&name)).unwrap()));
        for n in 0..FLIPS_PER_FILE.min(len) {
            let at = (len * n / FLIPS_PER_FILE + n) % len;
            let flip = |bytes: &mut Vec<u8>| bytes[at as usize] ^= 1 << (n % 8);
            judge(format!("a flip at {at}"), home.after(|db| edit(&db.join(&name), flip)));
        }
    }
    assert!(harmed > 50 && noticed > harmed / 2, "{noticed} of {harmed}");
}

#[test]
fn a_database_in_use_and_one_of_a_newer_program_are_refused_in_plain_words() {
    let dir = tempfile::tempdir().unwrap();
    let sample = Sample::new("a.example/log");
    let store = with_genesis(&dir, &sample);
    let second = dir.open(&sample.chain()).err().unwrap();
    assert!(matches!(second, StoreError::InUse { .. }), "{second:?}");
    drop(store);
    let db = dir.path().join("db");
    let mut names = rocksdb::DB::list_cf(&rocksdb::Options::default(), &db).unwrap();
    names.sort();
    let mut ours: Vec<_> = Table::ALL.iter().map(|table| table.name()).chain(["default"]).collect();
    ours.sort_unstable();
    assert_eq!(names, ours);
    let mut newer = rocksdb::DB::open_cf(&rocksdb::Options::default(), &db, &names).unwrap();
    newer.put_cf(newer.cf_handle("meta").unwrap(), "format", [2, 0, 0, 0]).unwrap();
    drop(newer);
    let error = dir.open(&sample.chain()).err().unwrap();
    assert!(matches!(error, StoreError::Format { found: 2 }), "{error:?}");
    newer = rocksdb::DB::open_cf(&rocksdb::Options::default(), &db, &names).unwrap();
    newer.create_cf("maps", &rocksdb::Options::default()).unwrap();
    drop(newer);
    let error = dir.open(&sample.chain()).err().unwrap();
    assert!(matches!(&error, StoreError::UnknownTable { name } if name == "maps"), "{error:?}");
    let _: Arc<dyn LogStore> = with_genesis(&tempfile::tempdir().unwrap(), &sample);
}
