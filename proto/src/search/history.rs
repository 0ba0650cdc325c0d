//! The story of one subject and one object: what was said, what ended, and when the answer changed.
//!
//! ```text
//!   subject --memberships, ever--> bearers, roles --pairs, role denials--> entries --> instants --> events, answers
//! ```
//!
//! It is told of the knowledge of one height and up to one instant, both fixed when it begins. Only what
//! bears on the pair can change its answer, and only at an instant at which some of it was added, began,
//! ended or was revoked: so the answer is asked for at these instants alone.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::rights::{self, Met};
use super::{Budget, Conditions, is_pattern};
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
    height: u64,
    now: LedgerTime,
    stage: Stage,
    /// Texts that bear entries of the subject: they cover it or a role it was ever in.
    bearers: BTreeSet<TextId>,
    /// The roles it was ever in; itself, if it is one.
    roles: BTreeSet<TextId>,
    /// What bears on the pair.
    entries: BTreeSet<EntryOrdinal>,
    /// What happened when.
    instants: BTreeMap<LedgerTime, Vec<EventKind>>,
    /// The event to go on with: its instant, and its place among those of that instant.
    at: Option<(LedgerTime, usize)>,
    /// The answer before `at`, once it was asked for.
    last: Option<Rights>,
}

/// What is being done, and what is left of it.
#[derive(Clone, Debug)]
enum Stage {
    /// Following memberships, from texts and over entries that were not looked at yet.
    Reach { texts: Vec<TextId>, memberships: Vec<EntryOrdinal> },
    /// Collecting what the bearers bear: entries on the pair, and denials that may be of a role that was reached.
    Collect { bearers: Vec<TextId>, on_the_pair: Vec<EntryOrdinal>, role_denials: Vec<EntryOrdinal> },
    /// Putting the events of the entries from this one on in the order of time.
    Order { from: EntryOrdinal },
    /// Telling.
    Tell,
}

impl History {
    /// Begins the history of `sub` and `obj` up to the instant `now`, by what was known at `height`, with the event
    /// `from`: zeros, or where an earlier one of the same names, height and instant ended.
    ///
    /// It tells of every entry that bears on the two, now or ever: on them, on patterns above them, on roles that
    /// the subject was ever in, and the memberships and denials of these.
    pub fn new(index: &Index, sub: Name, obj: Name, height: u64, now: LedgerTime, from: (LedgerTime, usize)) -> Self {
        let moment = Moment { interval: Interval::at(now), height };
        let Party { own, covering, .. } =
            Party::of_name(&mut Reader::new(index, &moment, &|_| Truth::Indeterminate), &sub);
        let roles = own.filter(|_| sub.is_role()).into_iter().collect();
        Self {
            sub,
            obj,
            height,
            now,
            stage: Stage::Reach { texts: covering.into_vec(), memberships: Vec::new() },
            bearers: BTreeSet::new(),
            roles,
            entries: BTreeSet::new(),
            instants: BTreeMap::new(),
            at: Some(from),
            last: None,
        }
    }

    /// Where the history goes on; `None`: it is told.
    pub fn at(&self) -> Option<(LedgerTime, usize)> {
        self.at
    }

    /// How many entries were found to bear on the pair, so far.
    pub fn entries(&self) -> usize {
        self.entries.len()
    }

    /// Goes on for a step, and adds the events told in the order of time; of one instant, those of entries in the
    /// order of the log, then the answer.
    ///
    /// An answer stands where it changed: it is what check says `as_of` that instant, by what was known at the
    /// history's height.
    pub fn step(&mut self, index: &Index, conditions: Conditions<'_>, budget: Budget, found: &mut Vec<Event>) {
        let most = found.len() + budget.results;
        let mut looked = 0;
        while looked < budget.lookups && found.len() < most && self.at.is_some() {
            looked += match &mut self.stage {
                Stage::Reach { .. } => self.reach(index),
                Stage::Collect { .. } => self.collect(index),
                Stage::Order { .. } => self.order(index),
                Stage::Tell => self.tell(index, conditions, most, found),
            };
        }
    }

    /// Looks at one membership, or else at one text; gives how much it looked at.
    fn reach(&mut self, index: &Index) -> u32 {
        let Stage::Reach { texts, memberships } = &mut self.stage else { return 0 };
        if let Some(ordinal) = memberships.pop() {
            let slot = index.slot(ordinal);
            if slot.height() <= self.height && self.entries.insert(ordinal) && self.roles.insert(slot.obj) {
                return 1 + index.covering(index.text(slot.obj), |text| texts.push(text));
            }
        } else if let Some(text) = texts.pop() {
            if self.bearers.insert(text) {
                memberships.extend(index.memberships(text, true));
            }
        } else {
            let bearers = self.bearers.iter().copied().collect();
            self.stage = Stage::Collect { bearers, on_the_pair: Vec::new(), role_denials: Vec::new() };
        }
        1
    }

    /// Looks at one entry, or else at one bearer; gives how much it looked at.
    fn collect(&mut self, index: &Index) -> u32 {
        let Stage::Collect { bearers, on_the_pair, role_denials } = &mut self.stage else { return 0 };
        if let Some(ordinal) = on_the_pair.pop() {
            if index.slot(ordinal).height() <= self.height {
                self.entries.insert(ordinal);
            }
            return 1;
        }
        if let Some(ordinal) = role_denials.pop() {
            let slot = index.slot(ordinal);
            let pattern = index.text(slot.obj);
            let is_wide = is_pattern(pattern);
            let covered = match is_wide {
                // The subject may be a role that stands on no entry, so it has no id.
                true => {
                    let is_subject = self.sub.is_role() && covers_text(pattern, self.sub.as_str());
                    is_subject || self.roles.iter().any(|role| covers_text(pattern, index.text(*role)))
                }
                false => self.roles.contains(&slot.obj),
            };
            if covered && slot.height() <= self.height {
                self.entries.insert(ordinal);
            }
            return 1 + if is_wide { u32::try_from(self.roles.len()).unwrap_or(u32::MAX) / 4 } else { 0 };
        }
        let Some(bearer) = bearers.pop() else {
            self.stage = Stage::Order { from: 0 };
            return 1;
        };
        let looked = 1 + index.covering(self.obj.as_str(), |obj| {
            if let Some(pair) = index.pair(bearer, obj) {
                on_the_pair.extend(pair.grants(true).chain(pair.denials(true)));
            }
        });
        role_denials.extend(index.role_denials(bearer, true));
        2 * looked
    }

    /// Puts the events of one entry where they belong.
    fn order(&mut self, index: &Index) -> u32 {
        let Stage::Order { from } = &mut self.stage else { return 0 };
        let Some(ordinal) = self.entries.range(*from..).next().copied() else {
            self.stage = Stage::Tell;
            return 1;
        };
        *from = ordinal + 1;
        for (at, kind) in events_of(index, ordinal, self.height).filter(|(at, _)| *at <= self.now) {
            self.instants.entry(at).or_default().push(kind);
        }
        4
    }

    /// Tells the events of one instant, as far as there is room.
    fn tell(&mut self, index: &Index, conditions: Conditions<'_>, most: usize, found: &mut Vec<Event>) -> u32 {
        let Some(from) = self.at else { return 0 };
        let Some((at, kinds)) = self.instants.range(from.0..).next() else {
            self.at = None;
            return 1;
        };
        let at = *at;
        let told = if at == from.0 { from.1 } else { 0 };
        let height = self.height_at(index, at).unwrap_or(0);
        let event = |kind| Event { at, height, kind };
        let room = most - found.len();
        found.extend(kinds.iter().skip(told).take(room).cloned().map(event));
        if found.len() >= most {
            // The answer, which comes last, finds no room either.
            self.at = Some((at, told + room));
            return 1;
        }
        let mut looked = 1;
        let last = match self.last.take() {
            Some(last) => last,
            None => self.rights(index, conditions, at.saturating_sub_millis(1), &mut looked),
        };
        let rights = self.rights(index, conditions, at, &mut looked);
        if rights != last {
            found.push(event(EventKind::Answer(rights.clone())));
        }
        self.last = Some(rights);
        self.at = at.checked_add_millis(1).map(|next| (next, 0));
        looked
    }

    fn height_at(&self, index: &Index, at: LedgerTime) -> Option<u64> {
        Some(index.height_at(at)?.min(self.height))
    }

    fn rights(&self, index: &Index, conditions: Conditions<'_>, at: LedgerTime, looked: &mut u32) -> Rights {
        let Some(height) = self.height_at(index, at) else { return Rights::default() };
        let moment = Moment { interval: Interval::at(at), height };
        let met = Met::default();
        let see = |_: &str| met.see();
        let mut reader = Reader::new(index, &moment, &see);
        let subject = Party::of_name(&mut reader, &self.sub);
        let object = Party::of_name(&mut reader, &self.obj);
        let mut rights = Reach::of(&mut reader, &subject).rights(&mut reader, &object);
        if met.take() {
            let (sub, obj) = (self.sub.as_str(), self.obj.as_str());
            rights = rights::asked(&mut reader, ((&subject, sub), (&object, obj)), conditions, self.height);
        }
        // A decision about the past looks at what is over, too.
        *looked += reader.lookups + u32::try_from(self.entries.len()).unwrap_or(u32::MAX) / 4;
        rights
    }
}

/// What happened to an entry, by what was known at `height`, in the order of time.
fn events_of(index: &Index, ordinal: EntryOrdinal, height: u64) -> impl Iterator<Item = (LedgerTime, EventKind)> {
    let entry = index.entry(ordinal);
    let revoked = entry.revoked.filter(|revoked| revoked.height <= height).map(|revoked| revoked.at);
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
