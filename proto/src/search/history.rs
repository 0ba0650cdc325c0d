//! The story of one subject and one object: what was said, what ended, and when the answer changed.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::Conditions;
use crate::decision::{Moment, Party, Reach, Reader, Rights, Truth};
use crate::index::{EntryOrdinal, Index, TextId};
use crate::name::{Name, covers_text};
use crate::time::{Interval, LedgerTime};

/// Something that happened to an entry, or to the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The entry came into the log.
    Added(EntryOrdinal),
    /// The entry began to hold, later than it was added.
    Began(EntryOrdinal),
    /// The entry ended by itself.
    Ended(EntryOrdinal),
    /// The entry was revoked.
    Revoked(EntryOrdinal),
    /// From here on the subject may do this.
    Answer(Rights),
}

/// An event of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: LedgerTime,
    /// The last block by then.
    pub height: u64,
    /// What.
    pub kind: EventKind,
}

/// The history of a pair. See the module's doc.
#[derive(Clone, Debug)]
pub struct History {
    sub: Name,
    obj: Name,
    /// What happened when; answers are computed as they are asked for.
    instants: BTreeMap<LedgerTime, Vec<EventKind>>,
    entries: usize,
}

impl History {
    /// Finds every entry that bears on `sub` and `obj`, now or ever: on the two, on patterns above them, on roles that
    /// the subject ever reached, and the memberships and denials of these. Of what is known at the tip.
    ///
    /// Costs a look-up for each such key; [`History::entries`] says how many entries there are.
    pub fn new(index: &Index, sub: Name, obj: Name) -> Self {
        let now = Moment { interval: Interval::at(index.tip_time()), height: index.tip_height() };
        let mut reader = Reader::new(index, &now, &|_| Truth::Indeterminate);
        let (bearers, roles, mut entries) = ever_reached(index, &mut reader, &sub);
        let object = Party::of_name(&mut reader, &obj);
        for bearer in bearers {
            for obj in &object.covering {
                let Some(pair) = index.pair(bearer, *obj) else { continue };
                entries.extend(pair.grants(true));
                entries.extend(pair.denials(true));
            }
            let covers = |ordinal: &EntryOrdinal| {
                let pattern = index.text(index.slot(*ordinal).obj);
                roles.iter().any(|role| covers_text(pattern, index.text(*role)))
            };
            entries.extend(index.role_denials(bearer, true).filter(covers));
        }
        let mut instants: BTreeMap<LedgerTime, Vec<EventKind>> = BTreeMap::new();
        for ordinal in &entries {
            for (at, kind) in events_of(index, *ordinal) {
                instants.entry(at).or_default().push(kind);
            }
        }
        Self { sub, obj, instants, entries: entries.len() }
    }

    /// How many entries bear on the pair.
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// The events after `after` (all, if it is none) of at most `instants_max` instants, in the order of time, and
    /// whether there are more. Later than `now` nothing has happened yet.
    ///
    /// An answer stands where it changed: it is what check says `as_of` that instant. Costs a decision for each
    /// instant.
    pub fn events(
        &self,
        index: &Index,
        conditions: Conditions<'_>,
        after: Option<LedgerTime>,
        now: LedgerTime,
        instants_max: usize,
    ) -> (Vec<Event>, Option<LedgerTime>) {
        let mut last = after.map_or_else(Rights::default, |after| self.rights(index, conditions, after));
        let mut events = Vec::new();
        let mut told = None;
        let from = after.map_or(core::ops::Bound::Unbounded, core::ops::Bound::Excluded);
        let past = self.instants.range((from, core::ops::Bound::Included(now)));
        for (seen, (at, kinds)) in past.enumerate() {
            if seen == instants_max {
                return (events, told);
            }
            let height = index.height_at(*at).unwrap_or(0);
            let event = |kind| Event { at: *at, height, kind };
            events.extend(kinds.iter().cloned().map(event));
            let rights = self.rights(index, conditions, *at);
            if rights != last {
                events.push(event(EventKind::Answer(rights.clone())));
                last = rights;
            }
            told = Some(*at);
        }
        (events, None)
    }

    fn rights(&self, index: &Index, conditions: Conditions<'_>, at: LedgerTime) -> Rights {
        let Some(height) = index.height_at(at) else { return Rights::default() };
        let moment = Moment { interval: Interval::at(at), height };
        let mut reader = Reader::new(index, &moment, conditions);
        let subject = Party::of_name(&mut reader, &self.sub);
        let object = Party::of_name(&mut reader, &self.obj);
        Reach::of(&mut reader, &subject).rights(&mut reader, &object)
    }
}

/// Who ever bore entries of `sub` (texts that cover it or a role it was in), those roles, and the memberships.
fn ever_reached(
    index: &Index,
    reader: &mut Reader<'_>,
    sub: &Name,
) -> (BTreeSet<TextId>, BTreeSet<TextId>, BTreeSet<EntryOrdinal>) {
    let (mut bearers, mut roles, mut memberships) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let own = Party::of_name(reader, sub);
    roles.extend(own.own.filter(|_| sub.is_role()));
    let mut open = own.covering;
    while let Some(bearer) = open.pop() {
        if !bearers.insert(bearer) {
            continue;
        }
        for ordinal in index.memberships(bearer, true) {
            memberships.insert(ordinal);
            let role = index.slot(ordinal).obj;
            if roles.insert(role) {
                reader.index.covering(index.text(role), |text| open.push(text));
            }
        }
    }
    (bearers, roles, memberships)
}

fn events_of(index: &Index, ordinal: EntryOrdinal) -> impl Iterator<Item = (LedgerTime, EventKind)> {
    let entry = index.entry(ordinal);
    let revoked = entry.revoked.map(|revoked| revoked.at);
    let over = |at: LedgerTime| revoked.is_some_and(|revoked| revoked <= at);
    let began = Some(entry.start).filter(|start| *start > entry.added && !over(*start));
    let ended = entry.end.filter(|end| *end > entry.added && !over(*end));
    [
        Some((entry.added, EventKind::Added(ordinal))),
        began.map(|at| (at, EventKind::Began(ordinal))),
        ended.map(|at| (at, EventKind::Ended(ordinal))),
        revoked.map(|at| (at, EventKind::Revoked(ordinal))),
    ]
    .into_iter()
    .flatten()
}
