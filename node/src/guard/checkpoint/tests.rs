use super::*;
use proptest::prelude::*;
use std::fs;

const CHAIN: Digest = Digest([7; 32]);
const ORIGIN: &str = "ledger.example/main";

fn secret() -> SecretKey {
    SecretKey::from_seed(&[1; 32])
}

fn begun() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    CheckpointGuard::create(dir.path(), &CHAIN, &secret().public()).unwrap();
    dir
}

fn open(dir: &Path) -> Result<CheckpointGuard, CheckpointGuardError> {
    CheckpointGuard::open(dir, &CHAIN, secret())
}

/// A checkpoint in short: size, root, time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ask(u64, u8, u64);

impl Ask {
    fn of(&self, guard: &CheckpointGuard) -> Result<Cosignature, CheckpointRefused> {
        let Self(size, root, time) = *self;
        let given = guard.sign(&Checkpoint { origin: ORIGIN.into(), size, root: Digest([root; 32]) }, 3, time)?;
        given.verify(ORIGIN, &secret().public()).expect("what is given fits");
        assert_eq!((given.size, given.root, given.height), (size, Digest([root; 32]), 3));
        Ok(given)
    }
}

#[test]
fn sizes_and_times_go_forward_and_one_size_has_one_root() {
    let dir = begun();
    let mut guard = open(dir.path()).unwrap();
    #[derive(Debug, PartialEq)]
    enum Want {
        Signed(u64),
        Again(u64),
        Smaller,
        Conflict,
    }
    use Want::{Again, Conflict, Signed, Smaller};
    for (case, ask, want) in [
        ("the first", Ask(5, 1, 100), Signed(100)),
        ("the same", Ask(5, 1, 100), Again(100)),
        ("another root", Ask(5, 2, 100), Conflict),
        ("another root, later", Ask(5, 2, 200), Conflict),
        ("the same, later", Ask(5, 1, 101), Signed(101)),
        ("the same by a clock that was set back", Ask(5, 1, 50), Again(101)),
        ("smaller", Ask(4, 1, 102), Smaller),
        ("none", Ask(0, 1, 102), Smaller),
        ("larger, by a clock that was set back", Ask(9, 3, 50), Signed(101)),
        ("what was signed before", Ask(5, 1, 101), Smaller),
        ("larger", Ask(10, 1, 103), Signed(103)),
    ] {
        let syncs = guard.syncs();
        let found = match ask.of(&guard) {
            Ok(given) if guard.syncs() > syncs => Signed(given.time),
            Ok(given) => Again(given.time),
            Err(CheckpointRefused::Smaller { .. }) => Smaller,
            Err(CheckpointRefused::Conflict { .. }) => Conflict,
            // Size 0 is at the floor of every guard.
            Err(CheckpointRefused::BelowFloor { floor: 0, size: 0 }) => Smaller,
            Err(other) => panic!("{case}: {other}"),
        };
        assert_eq!(found, want, "{case}");
        // All of it survives a restart.
        drop(guard);
        guard = open(dir.path()).unwrap();
    }
    let last = SignedCheckpoint { size: 10, root: Digest([1; 32]), time: 103 };
    assert_eq!(guard.last().unwrap(), Some(last));
    assert!(matches!(Ask(11, 1, 1 << 63).of(&guard), Err(CheckpointRefused::Time { .. })));
}

#[test]
fn nothing_leaves_that_is_not_on_disk() {
    for (case, device) in [("write", "/dev/full"), ("fsync", "/dev/null")] {
        let dir = begun();
        let guard = open(dir.path()).unwrap();
        Ask(5, 1, 100).of(&guard).unwrap();
        let broken = fs::OpenOptions::new().write(true).open(device).unwrap();
        guard.file.lock().unwrap().write_to(broken);
        let refused = Ask(6, 1, 100).of(&guard);
        assert!(matches!(refused, Err(CheckpointRefused::NotKept(GuardFileError::Io { .. }))), "{case}: {refused:?}");
        // Refused for ever, whatever the disk does now; what was signed before may be said again.
        let path = CheckpointGuard::path(dir.path());
        let good = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
        guard.file.lock().unwrap().write_to(good);
        for ask in [Ask(6, 1, 100), Ask(7, 1, 100), Ask(5, 1, 101)] {
            let refused = ask.of(&guard);
            assert!(
                matches!(refused, Err(CheckpointRefused::NotKept(GuardFileError::Failed { .. }))),
                "{case}: {refused:?}"
            );
        }
        assert!(Ask(5, 1, 100).of(&guard).is_ok());
    }
}

#[test]
fn a_missing_guard_is_never_made_by_opening() {
    let dir = begun();
    let again = CheckpointGuard::create(dir.path(), &CHAIN, &secret().public());
    assert!(matches!(again, Err(CheckpointGuardError::File(GuardFileError::Exists { .. }))));
    fs::remove_file(CheckpointGuard::path(dir.path())).unwrap();
    let missing = open(dir.path()).unwrap_err();
    assert!(matches!(missing, CheckpointGuardError::GuardMissing { .. }), "{missing}");
    assert!(!CheckpointGuard::path(dir.path()).exists());
}

#[test]
fn a_guard_of_another_key_or_chain_or_in_use_is_refused() {
    let dir = begun();
    let other = CheckpointGuard::open(dir.path(), &CHAIN, SecretKey::from_seed(&[2; 32])).unwrap_err();
    assert!(matches!(other, CheckpointGuardError::OtherKey { .. }), "{other}");
    let other = CheckpointGuard::open(dir.path(), &Digest([8; 32]), secret()).unwrap_err();
    assert!(matches!(other, CheckpointGuardError::File(GuardFileError::OtherChain { .. })), "{other}");
    let _first = open(dir.path()).unwrap();
    let second = open(dir.path()).unwrap_err();
    assert!(matches!(second, CheckpointGuardError::File(GuardFileError::InUse { .. })), "{second}");
}

#[test]
fn a_guard_of_votes_in_its_place_is_refused() {
    let dir = begun();
    super::super::SignGuard::create(dir.path(), &CHAIN, &secret().public()).unwrap();
    fs::rename(super::super::SignGuard::path(dir.path()), CheckpointGuard::path(dir.path())).unwrap();
    let refused = open(dir.path()).unwrap_err();
    assert!(matches!(refused, CheckpointGuardError::File(GuardFileError::Damaged { .. })), "{refused}");
}

#[test]
fn a_damaged_byte_loses_nothing_and_two_refuse() {
    let dir = begun();
    let path = CheckpointGuard::path(dir.path());
    let guard = open(dir.path()).unwrap();
    Ask(5, 1, 100).of(&guard).unwrap();
    Ask(9, 1, 100).of(&guard).unwrap();
    drop(guard);
    let whole = fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(97) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let guard = open(dir.path()).unwrap();
        assert!(matches!(Ask(8, 1, 100).of(&guard), Err(CheckpointRefused::Smaller { last: 9, .. })), "byte {at}");
        assert!(matches!(Ask(9, 2, 100).of(&guard), Err(CheckpointRefused::Conflict { .. })), "byte {at}");
        drop(guard);
        bytes[(at + 4096) % 8192] ^= 1;
        bytes[at] = whole[at] ^ 1;
        fs::write(&path, &bytes).unwrap();
        let refused = open(dir.path()).unwrap_err();
        assert!(matches!(refused, CheckpointGuardError::File(GuardFileError::Damaged { .. })), "byte {at}: {refused}");
    }
}

#[test]
fn a_copied_or_restored_guard_signs_nothing_until_it_is_adopted() {
    let dir = begun();
    let path = CheckpointGuard::path(dir.path());
    let guard = open(dir.path()).unwrap();
    Ask(5, 1, 100).of(&guard).unwrap();
    let backup = fs::read(&path).unwrap();
    Ask(6, 1, 100).of(&guard).unwrap();
    drop(guard);

    // A twin in another home, and a backup put into a new one.
    let twin = tempfile::tempdir().unwrap();
    fs::copy(&path, CheckpointGuard::path(twin.path())).unwrap();
    let restored = tempfile::tempdir().unwrap();
    fs::write(CheckpointGuard::path(restored.path()), backup).unwrap();
    for home in [twin.path(), restored.path()] {
        let refused = open(home).unwrap_err();
        assert!(matches!(refused, CheckpointGuardError::Copied { .. }), "{refused}");
    }
    // The original goes on, also under another name.
    let moved = dir.path().join("moved");
    fs::create_dir(&moved).unwrap();
    fs::rename(&path, CheckpointGuard::path(&moved)).unwrap();
    Ask(7, 1, 100).of(&open(&moved).unwrap()).unwrap();

    let adopt = |home: &Path, floor| CheckpointGuard::adopt(home, &CHAIN, &secret().public(), floor);
    let low = adopt(twin.path(), 5).unwrap_err();
    assert!(matches!(low, CheckpointGuardError::FloorTooLow { floor: 5, signed: 6 }), "{low}");
    adopt(restored.path(), 16).unwrap();
    let guard = open(restored.path()).unwrap();
    for ask in [Ask(5, 1, 101), Ask(6, 2, 101), Ask(16, 1, 101)] {
        assert!(matches!(ask.of(&guard), Err(CheckpointRefused::BelowFloor { floor: 16, .. })), "{ask:?}");
    }
    // The time that it knows of still binds it.
    assert_eq!(Ask(17, 1, 7).of(&guard).unwrap().time, 100);
    drop(guard);
    assert!(adopt(restored.path(), 16).is_err(), "the floor lies above what was signed since");
}

#[test]
fn twins_that_run_after_each_other_or_at_once_never_contradict() {
    // However often the home is copied: only the first guard signs, and it remembers.
    let dir = begun();
    Ask(3, 1, 100).of(&open(dir.path()).unwrap()).unwrap();
    for n in 0..20 {
        let twin = tempfile::tempdir().unwrap();
        fs::copy(CheckpointGuard::path(dir.path()), CheckpointGuard::path(twin.path())).unwrap();
        Ask(4 + n, 1, 100).of(&open(dir.path()).unwrap()).unwrap();
        assert!(matches!(open(twin.path()), Err(CheckpointGuardError::Copied { .. })), "copy {n}");
    }
}

#[test]
fn a_guard_begun_anew_starts_above_its_floor() {
    let dir = tempfile::tempdir().unwrap();
    CheckpointGuard::create_above(dir.path(), &CHAIN, &secret().public(), 100).unwrap();
    let guard = open(dir.path()).unwrap();
    assert!(matches!(Ask(100, 1, 1).of(&guard), Err(CheckpointRefused::BelowFloor { size: 100, floor: 100 })));
    Ask(101, 1, 1).of(&guard).unwrap();
}

#[test]
fn the_bytes_are_pinned() {
    let mark = |last| CheckpointMark { key: KeyId([1; 32]), place: Place { inode: 2, born: Some(3) }, floor: 4, last };
    let begin = ["01".repeat(32), "0200000000000000010300000000000000".into(), "0400000000000000".into()].concat();
    let last = SignedCheckpoint { size: 258, root: Digest([5; 32]), time: 6 };
    let end = ["01", "0201000000000000", &"05".repeat(32), "0600000000000000"].concat();
    assert_eq!(hex::encode(writ_proto::codec::encode(&mark(None))), format!("{begin}00"));
    assert_eq!(hex::encode(writ_proto::codec::encode(&mark(Some(last)))), begin + &end);
}

/// What may happen between two questions.
#[derive(Clone, Copy, Debug)]
enum Event {
    Nothing,
    Restart,
    /// The newest write is torn in the slot of this parity, as far as a crash can do that.
    Torn(bool),
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is asked, in whatever order, over restarts and torn files: what leaves never has a smaller size, another
    /// root of one size or an earlier time than what left before, and nothing that could be signed is refused.
    #[test]
    fn what_leaves_never_contradicts_what_left(
        script in prop::collection::vec(
            ((1..6_u64, 1..3_u8, 0..9_u64), prop_oneof![4 => Just(Event::Nothing), 1 => Just(Event::Restart), 1 => any::<bool>().prop_map(Event::Torn)]),
            1..40,
        ),
    ) {
        let dir = begun();
        let mut guard = open(dir.path()).unwrap();
        let mut last: Option<Cosignature> = None;
        for ((size, root, time), event) in script {
            let ask = Ask(size, root, time);
            let may = last.is_none_or(|last| size > last.size || (size == last.size && Digest([root; 32]) == last.root));
            match ask.of(&guard) {
                Ok(given) => {
                    prop_assert!(may, "{ask:?} after {last:?}");
                    prop_assert!(given.time >= time && last.is_none_or(|last| given.time >= last.time));
                    last = Some(given);
                }
                Err(refused) => prop_assert!(!may, "{refused}"),
            }
            match event {
                Event::Nothing => {}
                Event::Restart => {
                    drop(guard);
                    guard = open(dir.path()).unwrap();
                }
                Event::Torn(slot) => {
                    drop(guard);
                    let path = CheckpointGuard::path(dir.path());
                    let mut bytes = fs::read(&path).unwrap();
                    bytes[usize::from(slot) * 4096 + 60] ^= 0x55;
                    fs::write(&path, bytes).unwrap();
                    guard = open(dir.path()).unwrap();
                }
            }
        }
    }
}

#[test]
fn what_others_have_kept_is_neither_contradicted_nor_gone_behind() {
    let (dir, elsewhere) = (begun(), begun());
    let (guard, other) = (open(dir.path()).unwrap(), open(elsewhere.path()).unwrap());
    let later = Ask(9, 3, 200).of(&other).unwrap();
    Ask(5, 1, 100).of(&guard).unwrap();
    assert_eq!(guard.learn(&later).unwrap(), Learned::New);
    assert_eq!(guard.learn(&later).unwrap(), Learned::Known);
    drop(guard);
    let guard = open(dir.path()).unwrap();
    assert!(matches!(Ask(8, 1, 300).of(&guard), Err(CheckpointRefused::Smaller { last: 9, .. })));
    assert!(matches!(Ask(9, 1, 300).of(&guard), Err(CheckpointRefused::Conflict { .. })));
    assert_eq!(Ask(9, 3, 150).of(&guard).unwrap().time, 200, "its time does not go back either");
    let smaller = Cosignature { size: 7, ..later };
    assert_eq!(guard.learn(&smaller).unwrap(), Learned::Known);
    assert_eq!(guard.learn(&Cosignature { root: Digest([4; 32]), ..later }).unwrap(), Learned::Conflict);
    let stranger = Cosignature { key: SecretKey::from_seed(&[2; 32]).public().id(), size: 99, ..later };
    assert_eq!(guard.learn(&stranger).unwrap(), Learned::Foreign);
    assert!(Ask(10, 1, 300).of(&guard).is_ok());
}
