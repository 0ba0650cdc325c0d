use std::fs;

use writ_proto::audit::audit_export;
use writ_proto::certificate::{Vote, VoteKind};
use writ_proto::export::End;

use super::*;
use crate::backup::{LastBackup, backup};
use crate::check::check;
use crate::storage::sample::{START_MS, Sample};

/// A home as `init` makes it, and what its node left there: some blocks, some records that wait.
pub(crate) fn home(sample: &mut Sample, dir: &Path, blocks: u64, waiting: usize) -> Home {
    let home = bare(sample, dir);
    let chain = sample.chain();
    let store = rocks::open(&home.database(), &chain).unwrap();
    store.put_genesis(&sample.genesis()).unwrap();
    let (guard, _) = TipGuard::open(&home.guard(), &chain, &*store).unwrap();
    let signs = SignGuard::open(&home.keys(), &chain, sample.vote()).unwrap();
    for height in 1..=blocks {
        let (block, changes) = sample.next(2);
        let leaf = &changes.leaf;
        for kind in [VoteKind::Prevote, VoteKind::Precommit] {
            signs.sign_vote(&vote(sample, kind, height, leaf.header.hash())).unwrap();
        }
        store.commit(&block, &changes).unwrap();
        guard.advance(height, leaf.header.hash(), leaf.hash()).unwrap();
    }
    let records: Vec<_> = (0..waiting).map(|_| sample.grant()).map(|one| (one.id(), one.bytes().to_vec())).collect();
    store.put_pooled(&records).unwrap();
    Clock::open(&home.guard(), &chain, 500, None).unwrap();
    home
}

/// A home before its node first ran.
pub(crate) fn bare(sample: &Sample, dir: &Path) -> Home {
    let home = Home::at(dir);
    for folder in [home.keys(), home.guard()] {
        fs::create_dir_all(folder).unwrap();
    }
    fs::write(home.config(), Config::new("127.0.0.1:0".parse().unwrap()).to_text()).unwrap();
    key_file::write(&home.vote_key(), &sample.vote()).unwrap();
    SignGuard::create(&home.keys(), &sample.chain(), &sample.vote().public()).unwrap();
    fs::write(home.genesis(), serde_json::to_string(sample.state.genesis()).unwrap()).unwrap();
    home
}

pub(crate) fn vote(sample: &Sample, kind: VoteKind, height: u64, block: Digest) -> Vote {
    Vote { kind, height, round: 0, value: Some(block), voter: sample.vote().public().id() }
}

fn plan(from: &Path) -> Plan {
    Plan { from: from.into(), without_waiting: false, listen: "127.0.0.1:0".parse().unwrap() }
}

fn said(error: anyhow::Error) -> String {
    format!("{error:#}")
}

/// A chain of `validators`, its home with 6 blocks and 2 waiting records, and a backup of that.
struct World {
    dir: tempfile::TempDir,
    sample: Sample,
    home: Home,
    file: PathBuf,
}

impl World {
    fn new(validators: u8) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut sample = Sample::with_validators("a.example/log", validators);
        let home = home(&mut sample, &dir.path().join("node0"), 6, 2);
        let file = dir.path().join("backup");
        backup(&home, &file).unwrap();
        Self { dir, sample, home, file }
    }

    fn folder(&self, name: &str) -> Home {
        Home::at(self.dir.path().join(name))
    }

    /// Its home, once the database is lost.
    fn without_database(&self) -> &Home {
        fs::remove_dir_all(self.home.database()).unwrap();
        &self.home
    }
}

#[test]
fn a_backup_is_an_export_and_restores_to_the_same_roots() {
    let world = World::new(1);
    let end = End::of(&world.sample.state);
    let audited = audit_export([fs::read(&world.file).unwrap()], Some(&world.sample.chain())).unwrap();
    assert_eq!(audited.report.end, end);
    let last = LastBackup::read(&world.home.last_backup()).unwrap();
    assert!(last.height == 6 && last.time.as_millis() > START_MS - 1_000_000_000_000, "{last:?}");

    let new = world.folder("new");
    let restored = restore(&new, &plan(&world.file)).unwrap();
    assert_eq!((restored.report.end, restored.waiting), (end, 2));
    assert_eq!((restored.standing, restored.signing), (Standing::Level, Signing::NoKey));
    let report = check(&new).unwrap();
    assert!(report.is_clean(), "{report}");
    let pooled = |home: &Home| rocks::open(&home.database(), &world.sample.chain()).unwrap().pooled().unwrap();
    assert_eq!(pooled(&new), pooled(&world.home));

    let again = restore(&new, &plan(&world.file)).unwrap_err();
    assert!(said(again).contains("only a home without a database"));
    let over = backup(&world.home, &world.file).unwrap_err();
    assert!(said(over).contains("never written over"));
    // Of the restored home another backup is the same, byte for byte.
    let second = world.dir.path().join("second");
    backup(&new, &second).unwrap();
    assert_eq!(fs::read(&second).unwrap(), fs::read(&world.file).unwrap());
    assert_eq!(fs::read(waiting_file(&second)).unwrap(), fs::read(waiting_file(&world.file)).unwrap());
}

#[test]
fn what_is_in_no_backup() {
    let world = World::new(1);
    let files = [fs::read(&world.file).unwrap(), fs::read(waiting_file(&world.file)).unwrap()].concat();
    let holds = |secret: &[u8]| files.windows(secret.len()).any(|bytes| bytes == secret);
    assert!(!holds(&world.sample.vote().to_seed()), "the voting key");
    assert!(!holds(b"writ/sign/v1") && !holds(b"writ/tip/v1"), "a guard");
    assert!(holds(&world.sample.chain().0), "(and the search finds what is there)");
    let left: Vec<_> = fs::read_dir(world.dir.path()).unwrap().map(|one| one.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "nothing else is left behind: {left:?}");
}

#[test]
fn any_changed_byte_is_refused_and_leaves_nothing() {
    let world = World::new(1);
    let good = fs::read(&world.file).unwrap();
    let changed = world.dir.path().join("changed");
    fs::copy(waiting_file(&world.file), waiting_file(&changed)).unwrap();
    let refuse = |bytes: &[u8], what: &str| {
        fs::write(&changed, bytes).unwrap();
        let home = world.folder("refused");
        assert!(restore(&home, &plan(&changed)).is_err(), "{what}");
        assert!(!home.database().exists() && !home.is_made(), "{what} left a home");
        assert!(!home.path().join("db.restoring").exists(), "{what} left half a database");
    };
    for at in (0..good.len()).step_by(61).chain((good.len() - 120..good.len()).step_by(7)) {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        refuse(&bytes, &format!("a bit of byte {at}"));
    }
    for at in [0, 1, 15, 100, good.len() / 2, good.len() - 113, good.len() - 112, good.len() - 1] {
        refuse(&good[..at], &format!("cut after {at}"));
    }
    refuse(&[good.clone(), vec![0]].concat(), "a byte more");

    fs::write(&changed, &good).unwrap();
    let waiting = fs::read(waiting_file(&world.file)).unwrap();
    for at in (0..waiting.len()).step_by(97) {
        let mut bytes = waiting.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(waiting_file(&changed), &bytes).unwrap();
        refuse(&good, &format!("a bit of byte {at} of what waits"));
    }
}

#[test]
fn what_waits_must_be_there_belong_to_the_backup_and_be_signed() {
    let world = World::new(1);
    let path = waiting_file(&world.file);
    let good = Waiting::decode(&fs::read(&path).unwrap()).unwrap();
    let mut forged = good.records[0].clone();
    *forged.last_mut().unwrap() ^= 1;
    for (case, bytes, want) in [
        ("another backup", Waiting { backup: Digest([1; 32]), ..good.clone() }.encode(), "another backup"),
        ("another chain", Waiting { chain: Digest([1; 32]), ..good.clone() }.encode(), "another backup"),
        ("not signed", Waiting { records: vec![forged], ..good.clone() }.encode(), "its record 0"),
        ("no record", Waiting { records: vec![vec![1, 2]], ..good.clone() }.encode(), "its record 0"),
    ] {
        fs::write(&path, bytes).unwrap();
        let error = said(restore(&world.folder("new"), &plan(&world.file)).unwrap_err());
        assert!(error.contains(want), "{case}: {error}");
    }
    fs::remove_file(&path).unwrap();
    let error = said(restore(&world.folder("new"), &plan(&world.file)).unwrap_err());
    assert!(error.contains("--without-waiting"), "{error}");
    let without = Plan { without_waiting: true, ..plan(&world.file) };
    assert_eq!(restore(&world.folder("new"), &without).unwrap().waiting, 0);
}

#[test]
fn a_damaged_database_makes_no_backup() {
    let world = World::new(1);
    let store = rocks::open(&world.home.database(), &world.sample.chain()).unwrap();
    drop(store);
    // A certificate for another block.
    let certificate = rocksdb_put(&world);
    assert!(certificate.is_ok());
    let to = world.dir.path().join("none");
    assert!(backup(&world.home, &to).is_err());
    assert!(!to.exists() && !waiting_file(&to).exists());
}

/// Puts the first block's certificate in the place of the third's, behind the back of the store.
fn rocksdb_put(world: &World) -> Result<(), rocksdb::Error> {
    let path = world.home.database();
    let names = rocksdb::DB::list_cf(&rocksdb::Options::default(), &path)?;
    let db = rocksdb::DB::open_cf(&rocksdb::Options::default(), &path, names)?;
    let family = db.cf_handle("certificates").unwrap();
    let first = db.get_cf(family, 1_u64.to_be_bytes())?.unwrap();
    db.put_cf(family, 3_u64.to_be_bytes(), first)
}

#[test]
fn a_home_takes_only_its_own_chain() {
    let world = World::new(1);
    let other = bare(&Sample::new("b.example/log"), &world.dir.path().join("other"));
    let error = said(restore(&other, &plan(&world.file)).unwrap_err());
    assert!(error.contains(&world.sample.chain().to_string()) && error.contains("this home is of chain"), "{error}");
    assert!(!other.database().exists());
}

#[test]
fn the_guards_of_a_home_stay_as_they_are() {
    // Its own tip guard and sign guard, and as much as was in the backup.
    let world = World::new(4);
    let restored = restore(world.without_database(), &plan(&world.file)).unwrap();
    assert_eq!((restored.standing, restored.signing), (Standing::Level, Signing::Guarded));

    // It had answered from two blocks more.
    let mut world = World::new(4);
    {
        let chain = world.sample.chain();
        let store = rocks::open(&world.home.database(), &chain).unwrap();
        let (guard, _) = TipGuard::open(&world.home.guard(), &chain, &*store).unwrap();
        for height in 7..=8 {
            let (block, changes) = world.sample.next(1);
            store.commit(&block, &changes).unwrap();
            guard.advance(height, changes.leaf.header.hash(), changes.leaf.hash()).unwrap();
        }
    }
    let restored = restore(world.without_database(), &plan(&world.file)).unwrap();
    assert_eq!(restored.standing, Standing::Behind { guard: 8, db: 6 });
    assert!(!restored.standing.may_answer(), "an older truth");

    // It had answered from another block.
    let world = World::new(1);
    let mut fork = Sample::new("a.example/log");
    let elsewhere = home(&mut fork, &world.dir.path().join("fork"), 0, 0);
    {
        let chain = fork.chain();
        let store = rocks::open(&elsewhere.database(), &chain).unwrap();
        let (guard, _) = TipGuard::open(&elsewhere.guard(), &chain, &*store).unwrap();
        let (block, changes) = fork.next(5);
        store.commit(&block, &changes).unwrap();
        guard.advance(1, changes.leaf.header.hash(), changes.leaf.hash()).unwrap();
    }
    fs::remove_dir_all(elsewhere.database()).unwrap();
    let error = said(restore(&elsewhere, &plan(&world.file)).unwrap_err());
    assert!(error.contains("but it was"), "{error}");
    assert!(!elsewhere.database().exists());
}

#[test]
fn a_restored_validator_signs_only_above_a_height_that_is_named_and_high_enough() {
    let world = World::new(4);
    let chain = world.sample.chain();
    let key = world.sample.vote().public();
    let new = world.folder("new");
    fs::create_dir_all(new.keys()).unwrap();
    key_file::write(&new.vote_key(), &world.sample.vote()).unwrap();
    assert_eq!(restore(&new, &plan(&world.file)).unwrap().signing, Signing::Silent);
    let open = || SignGuard::open(&new.keys(), &chain, world.sample.vote());
    assert!(matches!(open(), Err(SignGuardError::GuardMissing { .. })), "it does not sign");

    for low in [0, 5, 6, 7, 6 + SIGN_ABOVE_MARGIN - 1] {
        assert!(said(sign_above(&new, low).unwrap_err()).contains("above height 16 at the least"), "{low}");
        assert!(matches!(open(), Err(SignGuardError::GuardMissing { .. })), "{low}");
    }
    sign_above(&new, 6 + SIGN_ABOVE_MARGIN).unwrap();
    let line = fs::read_to_string(journal::path(&new)).unwrap();
    assert!(line.ends_with('\n') && line.contains(r#""above":16"#) && line.contains("sign-above"), "{line}");
    assert_eq!(signing(&new, &chain).unwrap(), Signing::Above(16));

    // The original goes on signing where it was; the restored one signs at none of its steps.
    let original = SignGuard::open(&world.home.keys(), &chain, world.sample.vote()).unwrap();
    let restored = open().unwrap();
    for height in 7..=16 {
        let asked = |block: u8| vote(&world.sample, VoteKind::Precommit, height, Digest([block; 32]));
        assert!(original.sign_vote(&asked(1)).is_ok());
        assert!(restored.sign_vote(&asked(2)).is_err() && restored.sign_vote(&asked(1)).is_err(), "height {height}");
    }
    assert!(restored.sign_vote(&vote(&world.sample, VoteKind::Precommit, 17, Digest([2; 32]))).is_ok());
    drop(restored);
    assert!(said(sign_above(&new, 100).unwrap_err()).contains("stays as it is"), "not a second time");
    drop(original);
    assert!(said(sign_above(&world.home, 100).unwrap_err()).contains("stays as it is"), "nor where it never was lost");

    // A guard that came with a copy of the home is adopted, one that is damaged set aside.
    for (name, damage) in [("copied", false), ("damaged", true)] {
        let copy = world.folder(name);
        fs::create_dir_all(copy.keys()).unwrap();
        key_file::write(&copy.vote_key(), &world.sample.vote()).unwrap();
        let bytes = fs::read(SignGuard::path(&world.home.keys())).unwrap();
        let bytes = if damage { vec![0; bytes.len()] } else { bytes };
        fs::write(SignGuard::path(&copy.keys()), bytes).unwrap();
        assert_eq!(restore(&copy, &plan(&world.file)).unwrap().signing, Signing::Silent, "{name}");
        sign_above(&copy, 40).unwrap();
        let guard = SignGuard::open(&copy.keys(), &chain, world.sample.vote()).unwrap();
        assert_eq!(guard.floor(), 40, "{name}");
        assert_eq!(copy.keys().join("sign-guard.old-1").exists(), damage, "{name}");
    }
    assert_eq!(key, world.sample.vote().public());
}

#[test]
fn a_home_that_was_made_elsewhere_and_never_ran_signs_from_the_first_block() {
    for validators in [1, 4] {
        let dir = tempfile::tempdir().unwrap();
        let sample = Sample::with_validators("a.example/log", validators);
        let made = bare(&sample, &dir.path().join("made"));
        let moved = bare(&sample, &dir.path().join("moved"));
        let (from, to) = (SignGuard::path(&made.keys()), SignGuard::path(&moved.keys()));
        let open = |home: &Home| SignGuard::open(&home.keys(), &sample.chain(), sample.vote());
        fs::copy(&from, &to).unwrap();
        assert!(matches!(open(&moved), Err(SignGuardError::Copied { .. })));
        assert!(sign_above(&moved, 1).is_err(), "from the first block or far above");
        sign_above(&moved, 0).unwrap();
        assert_eq!(open(&moved).unwrap().floor(), 0);
        assert!(said(sign_above(&moved, 0).unwrap_err()).contains("stays as it is"));
        // Of one that did run, what it signed since is not known.
        let first = vote(&sample, VoteKind::Prevote, 1, Digest([1; 32]));
        open(&made).unwrap().sign_vote(&first).unwrap();
        let again = bare(&sample, &dir.path().join("again"));
        fs::copy(&from, SignGuard::path(&again.keys())).unwrap();
        assert!(sign_above(&again, 0).is_err());
        assert!(open(&again).is_err());
    }
}

#[test]
fn the_only_validator_is_not_sent_to_a_height_that_it_could_never_reach() {
    let world = World::new(1);
    let new = world.folder("new");
    fs::create_dir_all(new.keys()).unwrap();
    key_file::write(&new.vote_key(), &world.sample.vote()).unwrap();
    restore(&new, &plan(&world.file)).unwrap();
    assert!(said(sign_above(&new, 1000).unwrap_err()).contains("only validator"));
    assert!(!SignGuard::path(&new.keys()).exists());
    let follower = world.folder("follower");
    restore(&follower, &plan(&world.file)).unwrap();
    assert!(said(sign_above(&follower, 1000).unwrap_err()).contains("no voting key"));
}

#[test]
fn a_database_that_a_start_without_one_made_is_in_nobodys_way() {
    let world = World::new(1);
    let home = world.without_database();
    drop(rocks::open(&home.database(), &world.sample.chain()).unwrap());
    assert_eq!(restore(home, &plan(&world.file)).unwrap().standing, Standing::Level);
    assert!(check(home).unwrap().is_clean());
    assert!(said(restore(home, &plan(&world.file)).unwrap_err()).contains("only a home without a database"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_validator_follows_until_it_may_sign() {
    for (floor, signs) in [(6, true), (7, false), (1000, false)] {
        let dir = tempfile::tempdir().unwrap();
        let mut sample = Sample::new("a.example/log");
        let home = home(&mut sample, dir.path(), 6, 1);
        let (chain, key) = (sample.chain(), sample.vote().public());
        fs::remove_file(SignGuard::path(&home.keys())).unwrap();
        SignGuard::create_above(&home.keys(), &chain, &key, floor).unwrap();
        let config = Config::read(&home.config()).unwrap();
        let node = crate::node::Node::start(home.clone(), config).await.unwrap();
        let height = async || node.ledger().read().tip().height;
        // What waits makes a validator that may sign go on at once; one that may not has nobody to follow.
        let patience = if signs { 60_000 } else { 500 };
        for _ in 0..patience / 10 {
            if height().await > 6 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert_eq!(height().await, if signs { 7 } else { 6 }, "above {floor}");
        node.stop().await.unwrap();
        let guard = SignGuard::open(&home.keys(), &chain, sample.vote()).unwrap();
        assert_eq!(guard.last().unwrap().is_some(), signs, "above {floor}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_signs_by_itself_once_the_chain_is_where_it_may() {
    let dir = tempfile::tempdir().unwrap();
    let mut sample = Sample::new("a.example/log");
    let home = home(&mut sample, dir.path(), 6, 0);
    fs::remove_file(SignGuard::path(&home.keys())).unwrap();
    SignGuard::create_above(&home.keys(), &sample.chain(), &sample.vote().public(), 7).unwrap();
    let config = Config::read(&home.config()).unwrap();
    let node = crate::node::Node::start(home.clone(), config.clone()).await.unwrap();
    let ledger = node.ledger().clone();
    // What the others decide.
    let (block, changes) = sample.next(1);
    ledger.store().commit(&block, &changes).unwrap();
    ledger.write().commit(changes);
    ledger.announce();
    node.ledger().submit(sample.grant().bytes().to_vec()).unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    assert!(node.ledger().reached(8, deadline).await, "now it signs");
    node.stop().await.unwrap();
}

#[test]
fn what_an_interrupted_restore_left_is_cleared_away() {
    let world = World::new(1);
    let new = world.folder("new");
    fs::create_dir_all(new.path().join("db.restoring")).unwrap();
    fs::write(new.path().join("db.restoring/CURRENT"), "half").unwrap();
    restore(&new, &plan(&world.file)).unwrap();
    assert!(check(&new).unwrap().is_clean());

    // Cut off just before the database got its name: a home that has lost it, to be restored again.
    fs::remove_dir_all(new.database()).unwrap();
    assert!(new.is_made());
    assert_eq!(restore(&new, &plan(&world.file)).unwrap().standing, Standing::Level);
    assert!(check(&new).unwrap().is_clean());
}

#[test]
fn a_lost_or_copied_checkpoint_guard_is_begun_anew_with_the_sign_guard_and_never_below_what_it_signed() {
    let world = World::new(4);
    let chain = world.sample.chain();
    let key = || Sample::checkpoint_key(0);
    let size = world.sample.state.log().size();
    for (case, prepare) in [("missing", None), ("copied", Some(size + 7))] {
        let home = world.folder(case);
        fs::create_dir_all(home.keys()).unwrap();
        key_file::write(&home.vote_key(), &world.sample.vote()).unwrap();
        key_file::write(&home.checkpoint_key(), &key()).unwrap();
        if let Some(floor) = prepare {
            let made = tempfile::tempdir().unwrap();
            CheckpointGuard::create_above(made.path(), &chain, &key().public(), floor).unwrap();
            fs::copy(CheckpointGuard::path(made.path()), CheckpointGuard::path(&home.keys())).unwrap();
        }
        restore(&home, &plan(&world.file)).unwrap();
        assert!(CheckpointGuard::open(&home.keys(), &chain, key()).is_err(), "{case}");
        sign_above(&home, 1000).unwrap();
        let guard = CheckpointGuard::open(&home.keys(), &chain, key()).unwrap();
        let checkpoint =
            |size| writ_proto::checkpoint::Checkpoint { origin: "a.example/log".into(), size, root: Digest([1; 32]) };
        let floor = prepare.unwrap_or(size);
        assert!(guard.sign(&checkpoint(floor), 9, 1).is_err(), "{case}: at its floor");
        assert!(guard.sign(&checkpoint(floor + 1), 9, 1).is_ok(), "{case}: above it");
    }
}
