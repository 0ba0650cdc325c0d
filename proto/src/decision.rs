//! May this subject do this to this object?
//!
//! The answer is a function of the set of entries, the question, and a [`Moment`]; order and repetition
//! of entries never matter. A denial that applies outweighs every grant, and where nothing applies the
//! answer is denied. `docs/decisions/0004-meaning-of-grant-and-deny.md` numbers the steps; the code
//! names them.
//!
//! ```text
//!   subject --memberships that hold somewhere------------>  W   wide: carries denials
//!   subject --memberships that hold throughout, not in D->  N   narrow: carries grants
//! ```
//!
//! W ignores membership denials and conditions that cannot be evaluated, so it only grows with what is
//! known; N only shrinks with denials. Hence more denials never turn a denial into a grant.
//!
//! Cost: a few look-ups per name in W, independent of how many entries the log holds.

mod account;
mod closure;
mod reader;
mod rights;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cell::OnceCell;

use smallvec::SmallVec;

use crate::index::{EntryOrdinal, Index, Mark, Pair, Slot, TextId};
use crate::name::{Action, Name};
use crate::record::RecordId;
use crate::time::{Interval, LedgerTime};
use closure::{Bearer, Ways, Wide};

pub use crate::condition::Truth;
pub use account::{Account, Considered, Obstacle, ObstacleKind, Verdict, account};
pub use rights::Rights;

pub(crate) use reader::{Party, Reader};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who.
    pub sub: Name,
    /// Which action; `None`: every action, also ones never named.
    pub act: Option<Action>,
    /// What.
    pub obj: Name,
}

/// When, and with which knowledge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The instant asked about, as far as it is known.
    pub interval: Interval,
    /// The last height whose records are known.
    pub height: u64,
}

/// Why the answer is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// Granted: a grant applies and no denial does.
    Grant,
    /// Denied: a denial applies.
    Deny,
    /// Denied: nothing applies.
    NoMatch,
    /// Denied: only what could not be evaluated stood in the way, or denies.
    Indeterminate,
}

impl Why {
    /// The word in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::Deny => "deny",
            Self::NoMatch => "no_match",
            Self::Indeterminate => "indeterminate",
        }
    }
}

/// The answer, with its reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Why; [`Decision::is_granted`] follows from it.
    pub why: Why,
    /// The log indexes of the entries that decided, ascending: all denials that apply, or all grants and
    /// the memberships on one shortest path to each. Entries of one set share an index.
    pub entries: Vec<u64>,
    /// The ids of the same entries, in the same order.
    pub ids: Vec<RecordId>,
    /// Before this instant time alone cannot change the answer. At or before the interval's end: do not
    /// keep the answer.
    pub valid_until: Option<LedgerTime>,
    /// The root authorities (ordinals) whose memberships led to too many roles: their grants did not count.
    pub cut_roots: Vec<u32>,
    /// How many keys of the index were looked up.
    pub lookups: u32,
}

impl Decision {
    /// Whether access is granted.
    pub fn is_granted(&self) -> bool {
        self.why == Why::Grant
    }
}

/// A role that a decision reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReachedRole {
    /// Its full name.
    pub role: Box<str>,
    /// The id of the membership grant over which it was first reached.
    pub over: RecordId,
    /// Whether a membership denial keeps its grants away.
    pub denied: bool,
    /// Whether its grants count.
    pub entered: bool,
}

/// Answers `question` at `moment` from `index`. `conditions` evaluates a condition's text; it is asked
/// only about entries that otherwise matter. Cannot fail.
pub fn resolve(index: &Index, question: &Question, moment: &Moment, conditions: &dyn Fn(&str) -> Truth) -> Decision {
    let mut reader = Reader::new(index, moment, conditions);
    let subject = Party::of_name(&mut reader, &question.sub);
    let reach = Reach::of(&mut reader, &subject);
    let object = Party::of_name(&mut reader, &question.obj);
    reach.decide(&mut reader, &object, question.act.as_ref())
}

/// What a subject reaches at a moment, whatever the object: steps 5 to 7.
pub(crate) struct Reach {
    wide: Wide,
    denied_roles: BTreeMap<TextId, bool>,
    /// N, once it was asked for: a denial decides without it, and a search asks for it at every object.
    narrow: OnceCell<Ways>,
}

/// The entries on one bearer and one pattern of the object.
struct Found<'a> {
    bearer: usize,
    obj: TextId,
    pair: &'a Pair,
}

type FoundList<'a> = SmallVec<[Found<'a>; 8]>;

impl Reach {
    pub(crate) fn of(reader: &mut Reader<'_>, subject: &Party<'_>) -> Self {
        let wide = Wide::of(reader, subject);
        let denied_roles = wide.denied_roles(reader);
        Self { wide, denied_roles, narrow: OnceCell::new() }
    }

    /// Every text on entries that carries grants or denials of the subject.
    pub(crate) fn bearers(&self) -> impl Iterator<Item = TextId> {
        self.wide.bearers().iter().map(|bearer| bearer.text)
    }

    /// The same, and whether each carries grants too.
    pub(crate) fn carries(&self) -> BTreeMap<TextId, bool> {
        let narrow = self.narrow();
        let carries = |bearer: &Bearer| (bearer.text, narrow.nearest(&self.wide, bearer).is_some());
        self.wide.bearers().iter().map(carries).collect()
    }

    /// The roots whose memberships led to too many roles.
    pub(crate) fn cut_roots(&self) -> Vec<u32> {
        self.wide.cut_roots()
    }

    /// Every role that was reached.
    fn reached_roles(&self, index: &Index) -> Vec<ReachedRole> {
        self.wide.reached_roles(index, |role| self.denied_roles.contains_key(&role), self.narrow())
    }

    /// Step 9.
    fn narrow(&self) -> &Ways {
        let is_denied = |role| self.denied_roles.contains_key(&role);
        self.narrow.get_or_init(|| Ways::narrow(&self.wide, is_denied, &[Truth::True]))
    }

    /// Step 10.
    fn hopeful(&self) -> Ways {
        let definitely_denied = |role| self.denied_roles.get(&role).is_some_and(|definite| *definite);
        Ways::narrow(&self.wide, definitely_denied, &[Truth::True, Truth::Indeterminate])
    }

    /// Steps 8 to 11, for `object`.
    pub(crate) fn decide(&self, reader: &mut Reader<'_>, object: &Party<'_>, act: Option<&Action>) -> Decision {
        let found = self.find(reader, object);
        let asked = Asked::new(reader.index, act);
        let denials = self.denials(reader, &found, &asked);
        let (why, mut entries) = if denials.is_empty() {
            let narrow = self.narrow();
            let grants = self.grants(reader, &found, narrow, object.own, &asked, &[Truth::True]);
            if grants.is_empty() {
                let either = [Truth::True, Truth::Indeterminate];
                let unclear = self.grants(reader, &found, &self.hopeful(), object.own, &asked, &either);
                let why = if unclear.is_empty() { Why::NoMatch } else { Why::Indeterminate };
                (why, unclear.into_iter().map(|(entry, _)| entry).collect())
            } else {
                let mut entries = Vec::with_capacity(grants.len() + 4);
                for (entry, reached) in grants {
                    entries.push(entry);
                    entries.extend(narrow.path_to(reached));
                }
                (Why::Grant, entries)
            }
        } else {
            // Grants on the same keys bound how long the answer stands, even where a denial decided.
            for Found { pair, .. } in &found {
                for entry in pair.grants(reader.with_past) {
                    reader.note(reader.index.slot(entry));
                }
            }
            let why = if denials.iter().any(|(_, definite)| *definite) { Why::Deny } else { Why::Indeterminate };
            (why, denials.into_iter().map(|(entry, _)| entry).collect::<Vec<EntryOrdinal>>())
        };
        // Ordinals ascend as indexes do, and places within a set.
        entries.sort_unstable();
        entries.dedup();
        Decision {
            why,
            entries: entries.iter().map(|ordinal| reader.index.slot(*ordinal).index).collect(),
            ids: entries.iter().map(|ordinal| reader.index.id(*ordinal)).collect(),
            valid_until: reader.valid_until,
            cut_roots: self.wide.cut_roots(),
            lookups: reader.lookups,
        }
    }

    /// What stands on any bearer and any text that covers the object.
    fn find<'a>(&self, reader: &mut Reader<'a>, object: &Party<'_>) -> FoundList<'a> {
        let mut found = FoundList::new();
        let index = reader.index;
        let objects = object.covering.iter().filter(|obj| index.is_object(**obj));
        let objects: SmallVec<[(TextId, Mark); 8]> = objects.map(|obj| (*obj, index.mark(*obj))).collect();
        for (bearer, Bearer { text, .. }) in self.wide.bearers().iter().enumerate() {
            let glimpse = index.glimpse(*text);
            for (obj, _) in objects.iter().filter(|(_, mark)| glimpse.may_have(*mark)) {
                found.extend(reader.pair(*text, *obj).map(|pair| Found { bearer, obj: *obj, pair }));
            }
        }
        found
    }

    /// Step 8: the denials that apply, and whether each applies definitely.
    fn denials(&self, reader: &mut Reader<'_>, found: &[Found<'_>], asked: &Asked) -> Vec<(EntryOrdinal, bool)> {
        let mut matching = Vec::new();
        for Found { bearer, pair, .. } in found {
            let definite_subject = self.wide.bearers()[*bearer].definite;
            for ordinal in pair.denials(reader.with_past) {
                let entry = reader.index.slot(ordinal);
                reader.note(entry);
                if asked.is_denied_by(entry) && reader.holds_somewhere(entry) {
                    match reader.truth(entry) {
                        Truth::True => matching.push((ordinal, definite_subject)),
                        Truth::Indeterminate => matching.push((ordinal, false)),
                        Truth::False => {}
                    }
                }
            }
        }
        matching
    }

    /// Steps 9 and 10: the grants that apply over `narrow` with a condition among `accepted`, and the
    /// nearest name that each covers. `exact` is the object's own text.
    fn grants(
        &self,
        reader: &mut Reader<'_>,
        found: &[Found<'_>],
        narrow: &Ways,
        exact: Option<TextId>,
        asked: &Asked,
        accepted: &[Truth],
    ) -> Vec<(EntryOrdinal, usize)> {
        let mut matching = Vec::new();
        for Found { bearer, obj, pair } in found {
            // Names of W that are not in N bear no grants, but their keys were looked at.
            let nearest = narrow.nearest(&self.wide, &self.wide.bearers()[*bearer]);
            for ordinal in pair.grants(reader.with_past) {
                let entry = reader.index.slot(ordinal);
                reader.note(entry);
                let Some(nearest) = nearest else { continue };
                if asked.is_granted_by(entry, exact == Some(*obj))
                    && !self.wide.is_cut(reader.index.root_of(entry))
                    && reader.holds_throughout(entry)
                    && accepted.contains(&reader.truth(entry))
                {
                    matching.push((ordinal, nearest));
                }
            }
        }
        matching
    }
}

/// The action of a question, in the terms of the index.
enum Asked {
    /// Every action.
    Every { any: Option<TextId> },
    /// `member`, which only `member` itself grants, and only on the very role.
    Member { any: Option<TextId>, own: Option<TextId> },
    /// Another one.
    One { any: Option<TextId>, own: Option<TextId> },
}

impl Asked {
    fn new(index: &Index, act: Option<&Action>) -> Self {
        let any = index.any();
        match act {
            None => Self::Every { any },
            Some(act) if act.is_member() => Self::Member { any, own: index.text_id(act.as_str()) },
            Some(act) => Self::One { any, own: index.text_id(act.as_str()) },
        }
    }

    fn is_denied_by(&self, entry: &Slot) -> bool {
        let act = Some(entry.act);
        match self {
            Self::Every { .. } => true,
            Self::Member { any, own } | Self::One { any, own } => act == *any || act == *own,
        }
    }

    fn is_granted_by(&self, entry: &Slot, on_the_very_object: bool) -> bool {
        let act = Some(entry.act);
        match self {
            Self::Every { any } => act == *any,
            // A pattern of the object never confers membership.
            Self::Member { own, .. } => act == *own && on_the_very_object,
            Self::One { any, own } => act == *any || act == *own,
        }
    }
}
