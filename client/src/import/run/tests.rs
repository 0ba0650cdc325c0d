use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use writ_proto::name::{ActionPattern, Pattern, Side};
use writ_proto::record::{Access, Effect};

use super::*;
use crate::import::fixtures::{at, author};
use crate::import::plan::Target;
use crate::import::rows::{Format, read};

/// A ledger in memory that stops after some records, as one does whose node or client is killed.
#[derive(Clone, Debug, Default)]
struct Memory {
    /// In log order.
    log: Vec<(RecordId, Body)>,
    /// What is in the log.
    held: HashSet<RecordId>,
    /// What was revoked.
    revoked: HashSet<RecordId>,
    /// Records to go until it stops.
    stops_after: Option<usize>,
    /// Subjects whose entries it refuses.
    refuses: BTreeSet<String>,
    /// Records of each append that were new.
    batches: Vec<usize>,
}

#[derive(Debug, thiserror::Error)]
#[error("killed")]
struct Killed;

impl Memory {
    fn id(nonce: Nonce, body: &Body) -> RecordId {
        author().statement(nonce, body.clone(), at(0)).id().unwrap()
    }

    fn holds(&self, id: &RecordId) -> bool {
        self.held.contains(id)
    }

    fn put(&mut self, nonce: Nonce, body: &Body) -> Result<Settled, Killed> {
        let id = Self::id(nonce, body);
        if self.holds(&id) {
            return Ok(Settled::Duplicate { id });
        }
        match body {
            Body::Access(access) if self.refuses.contains(access.sub.as_str()) => {
                let fault = RowFault { code: "out_of_scope".into(), ..RowFault::of("sub", "not yours") };
                return Ok(Settled::Refused { id, in_log: false, fault });
            }
            Body::Revoke(revoke) => {
                let target = self.log.iter().find(|(own, _)| *own == revoke.target);
                let Some((_, Body::Access(access))) = target else {
                    panic!("a withdrawal never comes before what it ends, and never ends what is not there");
                };
                assert_eq!(access.effect, revoke.effect);
            }
            _ => {}
        }
        match &mut self.stops_after {
            Some(0) => return Err(Killed),
            Some(left) => *left -= 1,
            None => {}
        }
        if let Body::Revoke(revoke) = body {
            self.revoked.insert(revoke.target);
        }
        self.held.insert(id);
        self.log.push((id, body.clone()));
        Ok(Settled::Appended { id })
    }

    /// The entries that stand, by key.
    fn standing(&self) -> BTreeMap<Key, BTreeSet<RecordId>> {
        let mut standing: BTreeMap<Key, BTreeSet<RecordId>> = BTreeMap::new();
        for (id, body) in &self.log {
            if let (Body::Access(access), false) = (body, self.revoked.contains(id)) {
                standing.entry(Key::from(access)).or_default().insert(*id);
            }
        }
        standing
    }

    fn ids(&self) -> BTreeSet<RecordId> {
        self.log.iter().map(|(id, _)| *id).collect()
    }

    /// An entry that was made otherwise.
    fn with(mut self, sub: &str, effect: Effect, nonce: u8) -> Self {
        self.put(Nonce([nonce; 16]), &Body::Access(entry(sub, effect))).unwrap();
        self
    }
}

impl Ledger for Memory {
    type Error = Killed;

    fn live(&mut self, keys: &BTreeSet<Key>, _: LedgerTime) -> Result<Found, Killed> {
        let mut found = Found::new();
        for (id, body) in &self.log {
            let Body::Access(access) = body else { continue };
            let key = Key::from(access);
            if keys.contains(&key) && !self.revoked.contains(id) {
                found.entry(key).or_default().push(Target { id: *id, effect: access.effect });
            }
        }
        Ok(found)
    }

    fn is_in_log(&mut self, id: RecordId) -> Result<bool, Killed> {
        Ok(self.log.iter().any(|(known, _)| *known == id))
    }

    fn append(&mut self, records: Vec<Signed>) -> Result<Vec<Settled>, Killed> {
        let before = self.log.len();
        let said = records.iter().map(Signed::statement);
        let settled = said.map(|statement| self.put(statement.nonce, &statement.body)).collect();
        self.batches.push(self.log.len() - before);
        settled
    }
}

fn entry(sub: &str, effect: Effect) -> Access {
    Access {
        sub: Pattern::parse(sub, Side::Subject).unwrap(),
        obj: Pattern::parse("f", Side::Object).unwrap(),
        act: ActionPattern::Any,
        effect,
        iss: None,
        exp: None,
        cond: None,
        reference: None,
    }
}

/// A folder for one file's journal.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        // Thousands of runs, each with its fsyncs: memory is as good as a disk for them.
        Self(tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap())
    }

    fn journal(&self) -> PathBuf {
        self.0.path().join("j")
    }

    fn run(&self, text: &str, ledger: &mut Memory, now: LedgerTime) -> Result<Summary, Failure<Killed>> {
        let author = author();
        let rows = read(file(text).as_bytes(), Format::Csv, author.authority()).unwrap();
        let mut journal = Journal::open(&self.journal(), author.chain(), author.authority())?;
        import(&rows, &author, &mut journal, ledger, now, |_| ())
    }
}

fn file(rows: &str) -> String {
    format!("sub,access,exp,obj\n{rows}")
}

fn counts(summary: &Summary) -> [u64; 5] {
    let Summary { appended, duplicate, revoked, nothing_to_revoke, refused, .. } = summary;
    assert_eq!(summary.rows, appended + duplicate + revoked + nothing_to_revoke + refused, "each row counts once");
    [*appended, *duplicate, *revoked, *nothing_to_revoke, *refused]
}

#[test]
fn a_file_counts_and_a_second_run_adds_nothing() {
    let place = Place::new();
    let text =
        "a,granted,+8h,f\nb,denied,,f\na,revoked,,f\nc,revoked,,f\nbad*,granted,,f\na,granted,+8h,f\nd,revoked,,f\n";
    let mut ledger = Memory::default().with("d", Effect::Grant, 9).with("d", Effect::Deny, 8);
    let summary = place.run(text, &mut ledger, at(0)).unwrap();
    assert_eq!(counts(&summary), [3, 0, 2, 1, 1]);
    assert_eq!(summary.entries_revoked, 3);
    assert_eq!(summary.refusals.len(), 1);
    assert_eq!((summary.refusals[0].line, summary.refusals[0].code.as_str()), (6, "bad_request"));
    let standing = ledger.standing();
    assert_eq!(standing.values().map(BTreeSet::len).sum::<usize>(), 2, "b is denied, and a granted again");

    let before = ledger.ids();
    let again = place.run(text, &mut ledger, at(5)).unwrap();
    assert_eq!(counts(&again), [0, 5, 0, 1, 1]);
    assert_eq!(ledger.ids(), before);
}

#[test]
fn a_batch_is_settled_before_one_of_its_entries_is_withdrawn() {
    let place = Place::new();
    let mut ledger = Memory::default();
    place
        .run("a,granted,,f\nb,granted,,f\nc,revoked,,f\na,revoked,,f\na,granted,,f\nb,revoked,,f\n", &mut ledger, at(0))
        .unwrap();
    assert_eq!(ledger.batches, [2, 3], "b was in the log already when it was withdrawn");
}

#[test]
fn many_rows_go_out_in_batches_and_progress_is_told() {
    let place = Place::new();
    let lot = BATCH_RECORDS_MAX;
    let rows: String = (0..2 * lot + 400).map(|n| format!("u{n},granted,,f\n")).collect();
    let author = author();
    let rows = read(file(&rows).as_bytes(), Format::Csv, author.authority()).unwrap();
    let mut journal = Journal::open(&place.journal(), author.chain(), author.authority()).unwrap();
    let (mut ledger, mut told) = (Memory::default(), Vec::new());
    import(&rows, &author, &mut journal, &mut ledger, at(0), |done| told.push(done)).unwrap();
    assert_eq!(ledger.batches, [lot, lot, 400]);
    assert!(told.is_sorted());
    let mut steps = told.clone();
    steps.dedup();
    let lot = lot as u64;
    assert_eq!(steps, [lot, 2 * lot, 2 * lot + 400]);
}

#[test]
fn a_refused_entry_is_not_withdrawn_and_may_be_corrected() {
    let place = Place::new();
    let mut ledger = Memory { refuses: BTreeSet::from(["user:x".into()]), ..Memory::default() };
    let text = "x,granted,,f\nx,revoked,,f\ny,granted,,f\n";
    let summary = place.run(text, &mut ledger, at(0)).unwrap();
    assert_eq!(counts(&summary), [1, 0, 0, 1, 1]);
    assert_eq!(summary.refusals[0].code, "out_of_scope");
    let corrected = text.replace("x,granted", "z,granted");
    assert_eq!(counts(&place.run(&corrected, &mut ledger, at(1)).unwrap()), [1, 1, 0, 1, 0]);
    let error = place.run(&corrected.replace("z,granted", "w,granted"), &mut ledger, at(1)).unwrap_err();
    assert!(matches!(error, Failure::Mismatch(Mismatch::Missing { line: 2 })), "{error}");
}

#[test]
fn a_stopped_import_says_how_far_it_came() {
    let place = Place::new();
    let lot = BATCH_RECORDS_MAX as u64;
    let rows: String = (0..3 * lot).map(|n| format!("u{n},granted,,f\n")).collect();
    let mut ledger = Memory { stops_after: Some(BATCH_RECORDS_MAX + 300), ..Memory::default() };
    match place.run(&rows, &mut ledger, at(0)) {
        Err(Failure::Ledger { done, rows, .. }) => assert_eq!((done, rows), (lot, 3 * lot)),
        other => panic!("{other:?}"),
    }
    ledger.stops_after = None;
    assert_eq!(counts(&place.run(&rows, &mut ledger, at(3)).unwrap()), [2 * lot - 300, lot + 300, 0, 0, 0]);
}

/// A row of the property tests: who, and what happens.
#[derive(Clone, Copy, Debug)]
enum Happens {
    Granted,
    GrantedForHours,
    Denied,
    Withdrawn,
    Faulty,
}

fn any_rows(most: usize) -> impl Strategy<Value = Vec<(u8, Happens)>> {
    let happens = prop_oneof![
        3 => Just(Happens::Granted),
        2 => Just(Happens::GrantedForHours),
        2 => Just(Happens::Denied),
        3 => Just(Happens::Withdrawn),
        1 => Just(Happens::Faulty),
    ];
    prop::collection::vec((0..4_u8, happens), 0..most)
}

fn text_of(rows: &[(u8, Happens)]) -> String {
    rows.iter()
        .map(|(who, happens)| match happens {
            Happens::Granted => format!("u{who},granted,,f\n"),
            Happens::GrantedForHours => format!("u{who},granted,+8h,f\n"),
            Happens::Denied => format!("u{who},denied,,f\n"),
            Happens::Withdrawn => format!("u{who},revoked,,f\n"),
            Happens::Faulty => format!("u{who}*,granted,,f\n"),
        })
        .collect()
}

fn any_others() -> impl Strategy<Value = Vec<(u8, bool)>> {
    prop::collection::vec((0..4_u8, any::<bool>()), 0..5)
}

fn ledger_with(others: &[(u8, bool)], from: u8) -> Memory {
    others.iter().zip(from..).fold(Memory::default(), |ledger, ((who, grant), nonce)| {
        ledger.with(&format!("u{who}"), if *grant { Effect::Grant } else { Effect::Deny }, nonce)
    })
}

/// How many entries stand for each subject if the rows simply take effect one after the other.
fn naive(mut standing: HashMap<u8, usize>, rows: &[(u8, Happens)]) -> BTreeMap<u8, usize> {
    for (who, happens) in rows {
        match happens {
            Happens::Granted | Happens::GrantedForHours | Happens::Denied => *standing.entry(*who).or_default() += 1,
            Happens::Withdrawn => drop(standing.remove(who)),
            Happens::Faulty => {}
        }
    }
    standing.into_iter().collect()
}

fn counted(ledger: &Memory) -> BTreeMap<u8, usize> {
    let standing = ledger.standing();
    standing.iter().map(|(key, ids)| (key.sub.as_str()[6..].parse().unwrap(), ids.len())).collect()
}

fn count_of(others: &[(u8, bool)]) -> HashMap<u8, usize> {
    let mut counts = HashMap::new();
    for (who, _) in others {
        *counts.entry(*who).or_default() += 1;
    }
    counts
}

proptest! {
    /// Rows take effect in file order.
    #[test]
    fn the_ledger_stands_as_the_rows_say(rows in any_rows(14), others in any_others()) {
        let mut ledger = ledger_with(&others, 100);
        Place::new().run(&text_of(&rows), &mut ledger, at(0)).unwrap();
        prop_assert_eq!(counted(&ledger), naive(count_of(&others), &rows));
    }

    /// Killed after any records, any number of times, at whatever hours, an import comes to the same ledger
    /// as one that was left in peace; and one run more changes nothing.
    #[test]
    fn killed_and_run_again_is_as_if_left_in_peace(
        rows in any_rows(14),
        others in any_others(),
        kills in prop::collection::vec(0..9_usize, 0..4),
    ) {
        let text = text_of(&rows);
        let mut peaceful = ledger_with(&others, 100);
        Place::new().run(&text, &mut peaceful, at(0)).unwrap();

        let place = Place::new();
        let mut ledger = ledger_with(&others, 100);
        let mut hour = 0;
        for after in kills {
            ledger.stops_after = Some(after);
            // A run that comes to its end before it is killed is one of the cases.
            let _ = place.run(&text, &mut ledger, at(hour));
            hour += 5;
        }
        ledger.stops_after = None;
        place.run(&text, &mut ledger, at(hour)).unwrap();
        prop_assert_eq!(ledger.ids(), peaceful.ids());
        prop_assert_eq!(ledger.standing(), peaceful.standing());

        let once_more = place.run(&text, &mut ledger, at(hour + 30)).unwrap();
        prop_assert_eq!(once_more.appended + once_more.revoked + once_more.entries_revoked, 0);
        prop_assert_eq!(ledger.ids(), peaceful.ids());
    }

    /// Killed while the journal was written, with any part of it on the disk: nothing was sent yet.
    #[test]
    fn a_torn_journal_costs_nothing(
        rows in any_rows(14),
        others in any_others(),
        cut in any::<prop::sample::Index>(),
    ) {
        let text = text_of(&rows);
        let mut peaceful = ledger_with(&others, 100);
        let place = Place::new();
        place.run(&text, &mut peaceful, at(0)).unwrap();

        let torn = Place::new();
        let whole = fs::read(place.journal()).unwrap();
        fs::write(torn.journal(), &whole[..cut.index(whole.len() + 1)]).unwrap();
        let mut ledger = ledger_with(&others, 100);
        torn.run(&text, &mut ledger, at(0)).unwrap();
        prop_assert_eq!(ledger.ids(), peaceful.ids());
        prop_assert_eq!(ledger.standing(), peaceful.standing());
    }

    /// A file that grows: each new row takes effect after the old ones and after what others did meanwhile.
    #[test]
    fn a_file_may_grow(
        first in any_rows(8),
        second in any_rows(8),
        before in any_others(),
        between in any_others(),
        kill in prop::option::of(0..9_usize),
    ) {
        let place = Place::new();
        let mut ledger = ledger_with(&before, 100);
        place.run(&text_of(&first), &mut ledger, at(0)).unwrap();
        let mut standing: HashMap<u8, usize> = naive(count_of(&before), &first).into_iter().collect();
        for (nonce, (who, grant)) in (200..).zip(&between) {
            ledger = ledger.with(&format!("u{who}"), if *grant { Effect::Grant } else { Effect::Deny }, nonce);
            *standing.entry(*who).or_default() += 1;
        }
        let whole: Vec<_> = first.iter().chain(&second).copied().collect();
        if kill.is_some() {
            ledger.stops_after = kill;
            let _ = place.run(&text_of(&whole), &mut ledger, at(5));
            ledger.stops_after = None;
        }
        place.run(&text_of(&whole), &mut ledger, at(9)).unwrap();
        prop_assert_eq!(counted(&ledger), naive(standing, &second));
    }

    /// A journal that is lost costs nothing as long as no row says a relative time.
    #[test]
    fn a_lost_journal_costs_nothing_where_times_are_absolute(rows in any_rows(14), others in any_others()) {
        let rows: Vec<_> = rows.into_iter().filter(|(_, happens)| !matches!(happens, Happens::GrantedForHours)).collect();
        let text = text_of(&rows);
        let mut ledger = ledger_with(&others, 100);
        Place::new().run(&text, &mut ledger, at(0)).unwrap();
        let (ids, standing) = (ledger.ids(), ledger.standing());
        Place::new().run(&text, &mut ledger, at(9)).unwrap();
        prop_assert_eq!(ledger.ids(), ids);
        prop_assert_eq!(ledger.standing(), standing);
    }
}
