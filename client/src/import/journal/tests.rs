use std::fs;

use proptest::prelude::*;

use super::*;

fn chain(n: u8) -> Digest {
    Digest([n; 32])
}

fn org(name: &str) -> AuthorityName {
    name.parse().unwrap()
}

fn kept(n: u8) -> Kept {
    let time = |millis| LedgerTime::from_millis(millis).ok();
    let found = (0..n % 3).map(|k| Target { id: RecordId(Digest([k; 32])), effect: Effect::Grant }).collect();
    let resolved =
        Resolved { iss: time(u64::from(n) * 1000), exp: n.is_multiple_of(2).then(|| time(7)).flatten(), found };
    Kept { nonce: Nonce([n; 16]), line: u64::from(n) + 2, resolved }
}

fn open(path: &Path) -> Result<Journal, JournalError> {
    Journal::open(path, &chain(1), &org("org1"))
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("rows.csv.writ-journal")
    }
}

#[test]
fn what_is_kept_is_there_next_time_in_its_order() {
    let folder = Folder::new();
    let mut journal = open(&folder.path()).unwrap();
    assert_eq!(journal.rows(), []);
    journal.keep(vec![(0, kept(1)), (1, kept(2)), (2, kept(3))]).unwrap();
    journal.keep(vec![(1, kept(4)), (4, kept(5))]).unwrap();
    journal.finish(&[Nonce([2; 16])], 5, LedgerTime::EPOCH).unwrap();
    let want = [kept(1), kept(4), kept(3), kept(5)];
    assert_eq!(journal.rows(), want);
    drop(journal);
    assert_eq!(open(&folder.path()).unwrap().rows(), want);
}

#[test]
fn a_journal_of_another_chain_or_authority_or_no_journal_at_all_is_refused() {
    let folder = Folder::new();
    drop(open(&folder.path()).unwrap());
    let error = |chain, authority| Journal::open(&folder.path(), &chain, &org(authority)).unwrap_err();
    assert!(matches!(error(chain(2), "org1"), JournalError::OtherChain { .. }));
    assert!(matches!(error(chain(1), "org2"), JournalError::OtherAuthority { .. }));
    for text in ["sub,obj\nalice,file\n", "deadbeef {}\n", &"0123 ".repeat(100)] {
        fs::write(folder.path(), text).unwrap();
        assert!(matches!(open(&folder.path()), Err(JournalError::Foreign { .. })), "{text:?}");
        assert_eq!(fs::read_to_string(folder.path()).unwrap(), text, "somebody's file is left as it is");
    }
}

#[test]
fn two_imports_do_not_share_a_journal() {
    let folder = Folder::new();
    let first = open(&folder.path()).unwrap();
    assert!(matches!(open(&folder.path()), Err(JournalError::Busy { .. })));
    drop(first);
    assert!(open(&folder.path()).is_ok());
}

#[test]
fn a_damaged_line_before_good_ones_is_refused_and_named() {
    let folder = Folder::new();
    let mut journal = open(&folder.path()).unwrap();
    journal.keep((0..5).map(|n| (n, kept(n as u8))).collect()).unwrap();
    drop(journal);
    let good = fs::read_to_string(folder.path()).unwrap();
    let mut lines: Vec<String> = good.lines().map(Into::into).collect();
    lines[3] = lines[3].replace("\"line\":", "\"line\" :");
    fs::write(folder.path(), lines.join("\n") + "\n").unwrap();
    match open(&folder.path()) {
        Err(JournalError::Damaged { line, .. }) => assert_eq!(line, 4),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_bytes_of_a_journal_are_as_documented() {
    let folder = Folder::new();
    let mut journal = open(&folder.path()).unwrap();
    journal.keep(vec![(0, kept(1))]).unwrap();
    journal.finish(&[], 1, LedgerTime::EPOCH).unwrap();
    let text = fs::read_to_string(folder.path()).unwrap();
    let chain = "01".repeat(32);
    let lines: Vec<&str> = text.lines().map(|line| line.split_once(' ').unwrap().1).collect();
    assert_eq!(
        lines,
        [
            format!(r#"{{"head":{{"version":1,"chain":"{chain}","authority":"org1"}}}}"#).as_str(),
            &format!(
                r#"{{"row":{{"at":0,"line":3,"nonce":"{}","iss":"1970-01-01T00:00:01Z","found":[["{}","granted"]]}}}}"#,
                "01".repeat(16),
                "00".repeat(32)
            ),
            r#"{"run":{"at":"1970-01-01T00:00:00Z","rows":1}}"#,
        ]
    );
}

proptest! {
    /// Cut anywhere, a journal opens with the rows of its whole lines, and goes on from there.
    #[test]
    fn a_torn_tail_is_dropped(rows in 1..12_u8, cut in any::<prop::sample::Index>()) {
        let folder = Folder::new();
        let mut journal = open(&folder.path()).unwrap();
        journal.keep((0..rows).map(|n| (usize::from(n), kept(n))).collect()).unwrap();
        drop(journal);
        let whole = fs::read(folder.path()).unwrap();
        let length = cut.index(whole.len() + 1);
        fs::write(folder.path(), &whole[..length]).unwrap();

        let lines = whole[..length].iter().filter(|byte| **byte == b'\n').count();
        let survivors = u8::try_from(lines.saturating_sub(1)).unwrap();
        let mut journal = open(&folder.path()).unwrap();
        prop_assert_eq!(journal.rows(), (0..survivors).map(kept).collect::<Vec<_>>());
        journal.keep(vec![(0, kept(99))]).unwrap();
        drop(journal);
        let again = open(&folder.path()).unwrap();
        prop_assert_eq!(again.rows().len(), usize::from(survivors) + 1);
        prop_assert_eq!(&again.rows()[0], &kept(99));
    }

    /// One changed byte is noticed: the rows that are given are rows that were kept.
    #[test]
    fn a_changed_byte_never_changes_a_row(rows in 1..6_u8, at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let folder = Folder::new();
        let mut journal = open(&folder.path()).unwrap();
        journal.keep((0..rows).map(|n| (usize::from(n), kept(n))).collect()).unwrap();
        drop(journal);
        let mut bytes = fs::read(folder.path()).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        fs::write(folder.path(), &bytes).unwrap();
        if let Ok(journal) = open(&folder.path()) {
            let all: Vec<Kept> = (0..rows).map(kept).collect();
            prop_assert!(all.starts_with(journal.rows()), "{:?}", journal.rows());
        }
    }
}
