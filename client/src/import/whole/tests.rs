use std::collections::BTreeSet;
use std::path::PathBuf;

use writ_proto::record::Effect;

use super::*;
use crate::import::fixtures::{at, author};
use crate::import::import;
use crate::import::plan::Target;
use crate::import::rows::{Format, Key, read};

/// When whoever imports is killed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Killed {
    #[default]
    Never,
    BeforeItIsTaken,
    AfterItIsTaken,
}

#[derive(Debug, thiserror::Error)]
#[error("killed")]
struct Stopped;

/// A ledger that has some live entries and takes sets.
#[derive(Debug, Default)]
struct Memory {
    log: Vec<Signed>,
    live: Vec<Target>,
    refuses: Option<RowFault>,
    killed: Killed,
}

impl Ledger for Memory {
    type Error = Stopped;

    fn live(&mut self, keys: &BTreeSet<Key>, _: LedgerTime) -> Result<Found, Stopped> {
        Ok(keys.iter().map(|key| (key.clone(), self.live.clone())).collect())
    }

    fn is_in_log(&mut self, id: RecordId) -> Result<bool, Stopped> {
        Ok(self.log.iter().any(|known| known.id() == id))
    }

    fn append(&mut self, records: Vec<Signed>) -> Result<Vec<Settled>, Stopped> {
        let [record] = records.try_into().expect("one record");
        let id = record.id();
        if self.killed == Killed::BeforeItIsTaken {
            return Err(Stopped);
        }
        if let Some(fault) = self.refuses.clone() {
            return Ok(vec![Settled::Refused { id, in_log: false, fault }]);
        }
        if self.log.iter().any(|known| known.id() == id) {
            return Ok(vec![Settled::Duplicate { id }]);
        }
        self.log.push(record);
        // What the set ended is not found again.
        self.live.clear();
        if self.killed == Killed::AfterItIsTaken { Err(Stopped) } else { Ok(vec![Settled::Appended { id }]) }
    }
}

struct Rig {
    folder: tempfile::TempDir,
    ledger: Memory,
    hour: u64,
}

impl Rig {
    fn new() -> Self {
        let live = vec![Target { id: RecordId(Digest([7; 32])), effect: Effect::Grant }];
        let ledger = Memory { live, ..Memory::default() };
        Self { folder: tempfile::tempdir().unwrap(), ledger, hour: 0 }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    fn journal(&self) -> Journal {
        Journal::open(&self.path(), author().chain(), author().authority()).unwrap()
    }

    /// Imports, an hour later each time.
    fn import(&mut self, text: &str) -> Result<Summary, Failure<Stopped>> {
        self.hour += 1;
        let rows = read(text.as_bytes(), Format::Csv, author().authority()).unwrap();
        let mut journal = self.journal();
        import_set(&rows, text.as_bytes(), None, &author(), &mut journal, &mut self.ledger, at(self.hour))
    }

    fn members(&self) -> Vec<SetMember> {
        let [record] = &self.ledger.log[..] else { panic!("one record: {:?}", self.ledger.log) };
        let Body::Set(set) = record.body() else { panic!("a set: {record:?}") };
        set.members.clone()
    }
}

const FILE: &str = "sub,obj,access,exp\nada,f,granted,+8h\nbob,g,denied,\ncid,h,revoked,\n";

#[test]
fn a_file_is_one_record_however_often_and_wherever_it_stopped() {
    for killed in [Killed::Never, Killed::BeforeItIsTaken, Killed::AfterItIsTaken] {
        let mut rig = Rig::new();
        rig.ledger.killed = killed;
        let first = rig.import(FILE);
        assert_eq!(first.is_ok(), killed == Killed::Never, "{killed:?}");
        rig.ledger.killed = Killed::Never;
        let second = rig.import(FILE).unwrap();
        assert_eq!(second.refused, 0);
        let counted = if killed == Killed::BeforeItIsTaken { (2, 1, 1, 0) } else { (0, 0, 0, 3) };
        let found = (second.appended, second.revoked, second.entries_revoked, second.duplicate);
        assert_eq!(found, counted, "{killed:?}");
        assert_eq!(second.set, Some(rig.ledger.log[0].id()));
        // Times and targets are those of the first run.
        let members = rig.members();
        let SetMember::Access(first) = &members[0] else { panic!("{members:?}") };
        assert_eq!(first.exp, Some(at(9)), "{killed:?}");
        assert!(matches!(members[2], SetMember::Revoke(revoke) if revoke.target == RecordId(Digest([7; 32]))));
        assert_eq!(members.len(), 3);
    }
}

#[test]
fn a_file_that_was_imported_whole_stays_as_it_is_and_whole() {
    let mut rig = Rig::new();
    rig.import(FILE).unwrap();
    let grown = format!("{FILE}dan,i,granted,\n");
    assert!(matches!(rig.import(&grown), Err(Failure::OtherSet)));
    let rows = read(FILE.as_bytes(), Format::Csv, author().authority()).unwrap();
    let mut journal = rig.journal();
    let by_rows = import(&rows, &author(), &mut journal, &mut rig.ledger, at(9), |_| {});
    assert!(matches!(by_rows, Err(Failure::AsSet)), "{by_rows:?}");
    assert_eq!(rig.ledger.log.len(), 1);
}

#[test]
fn a_file_that_was_imported_row_by_row_is_not_imported_whole() {
    let rig = Rig::new();
    let rows = read(FILE.as_bytes(), Format::Csv, author().authority()).unwrap();
    let draft = Draft::new(&rows, &[], author().chain(), author().authority(), at(1)).unwrap();
    rig.journal().keep(draft.complete(Found::new()).fresh).unwrap();
    let mut rig = rig;
    assert!(matches!(rig.import(FILE), Err(Failure::NotAsSet)));
    assert_eq!(rig.ledger.log.len(), 0);
}

#[test]
fn a_set_that_is_refused_names_its_line_and_may_be_corrected() {
    let mut rig = Rig::new();
    let fault = |field: &str| RowFault { code: "out_of_scope".into(), ..RowFault::of(field, "not yours") };
    for (path, line, field) in [
        ("members[1].obj", 3, Some("obj")),
        ("members[2]", 4, None),
        ("unchanged_since", 0, Some("unchanged_since")),
        ("members[9].obj", 0, Some("obj")),
    ] {
        rig.ledger.refuses = Some(fault(path));
        let summary = rig.import(FILE).unwrap();
        assert_eq!((summary.refused, summary.appended), (3, 0), "{path}");
        let refusal = &summary.refusals[0];
        assert_eq!((refusal.line, refusal.field.as_deref()), (line, field), "{path}");
    }
    rig.ledger.refuses = None;
    let corrected = FILE.replace("bob,g", "bob,j");
    assert_eq!(rig.import(&corrected).unwrap().appended, 2);
    assert_eq!(rig.members().len(), 3);
}

#[test]
fn rows_that_are_no_part_of_a_set_refuse_it_before_anything_is_sent_or_kept() {
    for (text, lines) in [
        ("sub,obj,access\nada,f,granted\n,g,granted\nbob,h,maybe\n", vec![3, 4]),
        ("sub,obj,access\nada,f,granted\nada,f,revoked\n", vec![3]),
    ] {
        let mut rig = Rig::new();
        rig.ledger.live.clear();
        let summary = rig.import(text).unwrap();
        let found: Vec<u64> = summary.refusals.iter().map(|refusal| refusal.line).collect();
        assert_eq!((found, summary.refused), (lines, summary.rows), "{text}");
        assert!(rig.ledger.log.is_empty() && rig.journal().rows().is_empty() && rig.journal().set().is_none());
    }
}

#[test]
fn what_is_too_much_for_one_set_says_how_much_there_is() {
    let rows = |count: usize, reference: usize| {
        let row = |n| format!("u{n},f,{}\n", "r".repeat(reference));
        format!("sub,obj,ref\n{}", (0..count).map(row).collect::<String>())
    };
    let mut rig = Rig::new();
    assert_eq!(rig.import(&rows(SET_MEMBERS_MAX, 1)).unwrap().appended, SET_MEMBERS_MAX as u64);
    for (text, members) in [(rows(SET_MEMBERS_MAX + 1, 1), SET_MEMBERS_MAX + 1), (rows(30, 250), 30)] {
        let mut rig = Rig::new();
        let Err(Failure::TooLarge(found)) = rig.import(&text) else { panic!("{members} members fit") };
        assert_eq!(found.members, members);
        assert!(found.to_string().contains(&format!("{members} members and {} bytes", found.bytes)), "{found}");
        assert!(rig.journal().rows().is_empty(), "nothing is kept");
    }
}

#[test]
fn withdrawals_that_find_nothing_make_no_record() {
    let mut rig = Rig::new();
    rig.ledger.live.clear();
    let summary = rig.import("sub,obj,access\nada,f,revoked\n").unwrap();
    assert_eq!((summary.nothing_to_revoke, summary.set), (1, None));
    assert!(rig.ledger.log.is_empty());
}

/// A journal that was cut anywhere, as by a power cut while it was written, leads to the same set or to a new one, and
/// never to a refusal.
#[test]
fn a_torn_journal_is_gone_on_with() {
    let mut rig = Rig::new();
    rig.ledger.killed = Killed::BeforeItIsTaken;
    assert!(rig.import(FILE).is_err());
    let whole = std::fs::read(rig.path()).unwrap();
    for length in 0..=whole.len() {
        std::fs::write(rig.path(), &whole[..length]).unwrap();
        rig.ledger = Memory { live: rig.ledger.live.clone(), ..Memory::default() };
        let live = rig.ledger.live.clone();
        let summary = rig.import(FILE).unwrap_or_else(|failure| panic!("{length} bytes: {failure}"));
        assert_eq!((summary.appended, summary.revoked), (2, 1), "{length} bytes");
        rig.ledger.live = live;
    }
}
