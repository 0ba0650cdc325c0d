use super::*;
use proptest::prelude::*;
use std::fs;
use std::io::Write as _;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Note {
    number: u64,
    words: String,
}

impl Kept for Note {
    const TAG: &'static [u8; 16] = b"writ/test-note\0\0";
}

/// The same shape under another tag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Other {
    number: u64,
    words: String,
}

impl Kept for Other {
    const TAG: &'static [u8; 16] = b"writ/test-other\0";
}

const CHAIN: Digest = Digest([7; 32]);

fn note(number: u64) -> Note {
    Note { number, words: format!("note {number}") }
}

/// A file in a folder of its own, with the values 0 to `last` written one after another.
fn written(last: u64) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("note");
    SlotFile::create(&path, &CHAIN, |_| Ok(note(0))).unwrap();
    let mut file = SlotFile::open(&path, &CHAIN).unwrap();
    for number in 1..=last {
        file.set(note(number)).unwrap();
    }
    (dir, path)
}

fn open(path: &Path) -> Result<SlotFile<Note>, GuardFileError> {
    SlotFile::open(path, &CHAIN)
}

/// The value of a file with these bytes.
fn peek(bytes: &[u8]) -> Result<Note, String> {
    newest(&read_slots::<Note>(bytes)).map(|body| body.value.clone())
}

fn halves(bytes: &[u8]) -> (&[u8], &[u8]) {
    bytes.split_at(SLOT)
}

#[test]
fn the_bytes_are_pinned() {
    let (_dir, path) = written(258);
    let bytes = fs::read(&path).unwrap();
    assert_eq!(bytes.len(), 2 * SLOT);
    let body = ["0201000000000000", &"07".repeat(32), "0201000000000000", "0800000000000000", &hex::encode("note 258")];
    let body = hex::decode(body.concat()).unwrap();
    let mut slot = b"writ/test-note\0\0".to_vec();
    slot.extend((body.len() as u32).to_le_bytes());
    slot.extend(body);
    slot.resize(SLOT - 32, 0);
    slot.extend(Digest::of(&[&slot]).0);
    assert_eq!(halves(&bytes), (&slot[..], &slot[..]), "at rest both slots hold the newest value");
}

#[test]
fn a_value_reads_back_and_the_last_one_wins() {
    for last in [0, 1, 2, 3, 10] {
        let (_dir, path) = written(last);
        let mut file = open(&path).unwrap();
        assert_eq!(file.get(), &note(last));
        assert_eq!(file.syncs(), 0, "a file that is whole needs no mending");
        file.set(note(99)).unwrap();
        assert_eq!(file.syncs(), 1, "one fsync a change");
    }
}

#[test]
fn a_damaged_byte_anywhere_loses_nothing() {
    for last in [4, 5] {
        let (_dir, path) = written(last);
        let whole = fs::read(&path).unwrap();
        assert_eq!(whole.len(), 2 * SLOT);
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            assert_eq!(peek(&bytes).unwrap(), note(last), "byte {at}");
        }
    }
}

#[test]
fn with_a_byte_damaged_in_both_slots_it_is_refused() {
    let (_dir, path) = written(4);
    let whole = fs::read(&path).unwrap();
    for at in (0..SLOT).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes[SLOT + (at * 31) % SLOT] ^= 1;
        assert!(peek(&bytes).is_err(), "byte {at}");
    }
}

#[test]
fn opening_mends_a_damaged_slot() {
    let (_dir, path) = written(4);
    let whole = fs::read(&path).unwrap();
    for slot in [0, 1] {
        let mut bytes = whole.clone();
        bytes[slot * SLOT + 100] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let file = open(&path).unwrap();
        assert_eq!(file.syncs(), 1);
        drop(file);
        assert_eq!(fs::read(&path).unwrap(), whole);
    }
}

/// What a crash leaves while a change is written: each slot as it was, as it was to be, or torn in between.
/// Before the fsync the first slot may be anything and the second is as it was; after it the first is new.
#[test]
fn a_change_that_a_crash_cut_off_leaves_the_value_before_or_the_new_one() {
    for last in [4, 5] {
        let (_dir, path) = written(last);
        let before = fs::read(&path).unwrap();
        open(&path).unwrap().set(note(last + 1)).unwrap();
        let after = fs::read(&path).unwrap();
        let first = ((last + 1) % 2) as usize * SLOT;
        let second = SLOT - first;
        // Pages may reach the disk in pieces of 512 bytes, or in any other.
        let cuts = (0..=SLOT).step_by(64).chain([1, 19, 20, 21, 27, 28, SLOT - 33, SLOT - 32, SLOT - 31, SLOT - 1]);
        for cut in cuts {
            for from_the_end in [false, true] {
                let torn = |at: usize, old: &[u8], new: &[u8]| {
                    let (head, tail) = if from_the_end { (old, new) } else { (new, old) };
                    [&head[at..at + cut], &tail[at + cut..at + SLOT]].concat()
                };
                let mut bytes = before.clone();
                bytes[first..first + SLOT].copy_from_slice(&torn(first, &before, &after));
                let value = peek(&bytes).unwrap();
                assert!(value == note(last) || value == note(last + 1), "first slot cut at {cut}");

                let mut bytes = after.clone();
                bytes[second..second + SLOT].copy_from_slice(&torn(second, &before, &after));
                assert_eq!(peek(&bytes).unwrap(), note(last + 1), "second slot cut at {cut}: the change counted");
            }
        }
    }
}

#[test]
fn after_a_torn_change_the_next_one_cannot_lose_both_slots() {
    let (_dir, path) = written(4);
    let mut bytes = fs::read(&path).unwrap();
    // The change to 5 was torn in its first slot.
    bytes[SLOT + 30] ^= 1;
    fs::write(&path, &bytes).unwrap();
    drop(open(&path).unwrap());
    let mended = fs::read(&path).unwrap();
    for slot in [0, SLOT] {
        let mut bytes = mended.clone();
        bytes[slot..slot + SLOT].fill(0xff);
        assert_eq!(peek(&bytes).unwrap(), note(4));
    }
}

#[test]
fn a_file_that_is_short_empty_or_of_another_kind_is_refused() {
    let (_dir, path) = written(4);
    let whole = fs::read(&path).unwrap();
    let other = path.with_extension("other");
    SlotFile::create(&other, &CHAIN, |_| Ok(Other { number: 4, words: "note 4".into() })).unwrap();
    let other = fs::read(other).unwrap();
    for (case, bytes) in [
        ("empty", vec![]),
        ("cut in the first slot", whole[..SLOT - 1].to_vec()),
        ("zeros", vec![0; 2 * SLOT]),
        ("of another kind", other),
        ("one slot after the other's place", [&whole[1..], &[0]].concat()),
    ] {
        assert!(peek(&bytes).is_err(), "{case}");
        fs::write(&path, &bytes).unwrap();
        assert!(matches!(open(&path), Err(GuardFileError::Damaged { .. })), "{case}");
    }
    // Half a file is one whole slot.
    assert_eq!(peek(&whole[..SLOT]).unwrap(), note(4));
    assert_eq!(peek(&whole[..2 * SLOT - 1]).unwrap(), note(4));
}

#[test]
fn slots_that_contradict_each_other_are_refused() {
    let (_dir, path) = written(4);
    let (_other_dir, other_path) = written(3);
    let mut other = SlotFile::<Note>::open(&other_path, &CHAIN).unwrap();
    other.set(note(77)).unwrap();
    let (one, two) = (fs::read(&path).unwrap(), fs::read(&other_path).unwrap());
    let mixed = [halves(&one).0, halves(&two).1].concat();
    assert!(peek(&mixed).is_err());
}

#[test]
fn a_file_is_made_once_and_never_found_missing_silently() {
    let (_dir, path) = written(4);
    let again = SlotFile::create(&path, &CHAIN, |_| Ok(note(0)));
    assert!(matches!(again, Err(GuardFileError::Exists { .. })));
    assert_eq!(open(&path).unwrap().get(), &note(4));
    fs::remove_file(&path).unwrap();
    assert!(matches!(open(&path), Err(GuardFileError::Missing { .. })));
    assert!(!path.exists());
}

#[test]
fn a_file_of_another_chain_is_refused() {
    let (_dir, path) = written(4);
    let error = SlotFile::<Note>::open(&path, &Digest([8; 32])).unwrap_err();
    assert!(matches!(error, GuardFileError::OtherChain { found: CHAIN, .. }), "{error}");
}

#[test]
fn a_file_in_use_is_neither_opened_nor_replaced() {
    let (_dir, path) = written(4);
    let held = open(&path).unwrap();
    assert!(matches!(open(&path), Err(GuardFileError::InUse { .. })));
    let replaced = SlotFile::replace(&path, &CHAIN, |_| Ok(note(9)));
    assert!(matches!(replaced, Err(GuardFileError::InUse { .. })));
    drop(held);
    SlotFile::replace(&path, &CHAIN, |_| Ok(note(9))).unwrap();
    assert_eq!(open(&path).unwrap().get(), &note(9));
}

#[test]
fn after_a_failed_write_or_fsync_there_is_no_other() {
    // Writes to the first fail; the second takes them and cannot sync.
    for (case, device) in [("write", "/dev/full"), ("fsync", "/dev/null")] {
        let (_dir, path) = written(4);
        let mut file = open(&path).unwrap();
        let device = OpenOptions::new().write(true).open(device).unwrap();
        let good = std::mem::replace(&mut file.file, device);
        assert!(matches!(file.set(note(5)), Err(GuardFileError::Io { .. })), "{case}");
        assert_eq!(file.get(), &note(4), "{case}: nobody may act on it");
        // The disk works again, the file does not.
        file.write_to(good);
        assert!(matches!(file.set(note(5)), Err(GuardFileError::Failed { .. })), "{case}");
        drop(file);
        assert_eq!(open(&path).unwrap().get(), &note(4), "{case}");
    }
}

#[test]
fn a_value_too_large_for_a_slot_is_an_error_and_not_cut() {
    let (_dir, path) = written(4);
    let mut file = open(&path).unwrap();
    let long = |len| Note { number: 5, words: "x".repeat(len) };
    // sequence, chain, number, length
    let most = BODY_MAX - 8 - 32 - 8 - 8;
    file.set(long(most)).unwrap();
    assert!(file.set(long(most + 1)).is_err());
    drop(file);
    assert_eq!(open(&path).unwrap().get(), &long(most));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Power cuts at any moment, between runs of changes and restarts: what counted is never lost, and what
    /// comes back was written. (The model: a sync makes durable what was written before it; of later writes a
    /// power cut keeps any part.)
    #[test]
    fn what_counted_survives_any_power_cut(
        script in prop::collection::vec((1..4_u64, any::<bool>(), 0..=SLOT, any::<bool>()), 1..12),
    ) {
        let (_dir, path) = written(0);
        let mut number = 0;
        for (changes, in_the_middle, cut, second_kept) in script {
            let mut durable = fs::read(&path).unwrap();
            let mut counted = number;
            let mut file = open(&path).unwrap();
            for _ in 0..changes {
                let before = fs::read(&path).unwrap();
                number += 1;
                file.set(note(number)).unwrap();
                let after = fs::read(&path).unwrap();
                let first = (file.sequence % 2) as usize * SLOT;
                let second = SLOT - first;
                // The sync covers the first slot, and what was left in the cache of the second.
                durable.copy_from_slice(&before);
                durable[first..first + SLOT].copy_from_slice(&after[first..first + SLOT]);
                counted = number;
                if in_the_middle {
                    // Cut off in the next change, before its sync: its first slot is torn.
                    durable[second..second + cut].copy_from_slice(&after[second..second + cut]);
                }
                if second_kept {
                    durable.copy_from_slice(&after);
                }
            }
            drop(file);
            fs::File::create(&path).unwrap().write_all(&durable).unwrap();
            let found = open(&path).unwrap().get().clone();
            prop_assert_eq!(found, note(counted));
        }
    }

    /// No bytes make the reader panic, and only a whole slot is a value.
    #[test]
    fn garbage_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..3 * SLOT)) {
        prop_assert!(peek(&bytes).is_err(), "garbage is a note");
    }
}
