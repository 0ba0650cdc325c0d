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

mod closure;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::index::{Entry, EntryOrdinal, Index, TextId};
use crate::name::{Action, ActionPattern, Name, candidates};
use crate::time::{Interval, LedgerTime, Window};
use closure::{Narrow, Wide};

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

/// What became of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not.
    False,
    /// It could not be evaluated.
    Indeterminate,
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
    /// the memberships on one shortest path to each.
    pub entries: Vec<u64>,
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
    pub role: Arc<str>,
    /// The log index of the membership grant over which it was first reached.
    pub over: u64,
    /// Whether a membership denial keeps its grants away.
    pub denied: bool,
    /// Whether its grants count.
    pub entered: bool,
}

/// Answers `question` at `moment` from `index`. `conditions` evaluates a condition's text; it is asked
/// only about entries that otherwise matter. Cannot fail.
pub fn resolve(index: &Index, question: &Question, moment: &Moment, conditions: &dyn Fn(&str) -> Truth) -> Decision {
    explain(index, question, moment, conditions).0
}

/// [`resolve`], with every role that was reached on the way.
pub fn explain(
    index: &Index,
    question: &Question,
    moment: &Moment,
    conditions: &dyn Fn(&str) -> Truth,
) -> (Decision, Vec<ReachedRole>) {
    let mut reader = Reader::new(index, moment, conditions);
    let objects = reader.text_ids(&question.obj);

    // Steps 5 to 7.
    let wide = Wide::of(&mut reader, &question.sub);
    let denied_roles = wide.denied_roles(&mut reader);

    // Step 8.
    let denials = matching_denials(&mut reader, &wide, &objects, question);
    let (why, mut entries, narrow) = if denials.is_empty() {
        // Step 9.
        let narrow = Narrow::of(&wide, |role| denied_roles.contains_key(&role), &[Truth::True]);
        let grants = matching_grants(&mut reader, &wide, &narrow, &objects, question, &[Truth::True]);
        if grants.is_empty() {
            // Step 10.
            let either = [Truth::True, Truth::Indeterminate];
            let definitely_denied = |role| denied_roles.get(&role).is_some_and(|definite| *definite);
            let hopeful = Narrow::of(&wide, definitely_denied, &either);
            let unclear = matching_grants(&mut reader, &wide, &hopeful, &objects, question, &either);
            let why = if unclear.is_empty() { Why::NoMatch } else { Why::Indeterminate };
            (why, unclear.into_keys().collect(), narrow)
        } else {
            let mut entries: Vec<EntryOrdinal> = grants.keys().copied().collect();
            for reached in grants.values() {
                entries.extend(narrow.path_to(*reached));
            }
            (Why::Grant, entries, narrow)
        }
    } else {
        let why = if denials.values().any(|definite| *definite) { Why::Deny } else { Why::Indeterminate };
        let narrow = Narrow::of(&wide, |role| denied_roles.contains_key(&role), &[Truth::True]);
        // Grants on the same keys bound how long the answer stands, even where a denial decided.
        reader.note_grants(&wide, &objects);
        (why, denials.into_keys().collect(), narrow)
    };
    entries.sort_unstable();
    entries.dedup();

    let decision = Decision {
        why,
        entries: entries.into_iter().map(|ordinal| index.entry(ordinal).index).collect(),
        valid_until: reader.valid_until,
        cut_roots: wide.cut_roots(),
        lookups: reader.lookups,
    };
    let roles = wide.reached_roles(index, |role| denied_roles.contains_key(&role), &narrow);
    (decision, roles)
}

/// Step 8: the denials that apply, and whether each applies definitely.
fn matching_denials(
    reader: &mut Reader<'_>,
    wide: &Wide,
    objects: &[TextId],
    question: &Question,
) -> BTreeMap<EntryOrdinal, bool> {
    let mut matching = BTreeMap::new();
    for (sub, definite_subject) in wide.subjects() {
        for obj in objects {
            reader.lookups += 1;
            for ordinal in reader.index.denials(sub, *obj, reader.with_past) {
                let entry = reader.index.entry(ordinal);
                reader.note(entry);
                let act = reader.index.text(entry.act);
                let applies = match &question.act {
                    Some(action) => **act == *ActionPattern::ANY || **act == *action.as_str(),
                    None => true,
                };
                if applies && reader.holds_somewhere(entry) {
                    match reader.truth(entry) {
                        Truth::True => matching.insert(ordinal, definite_subject),
                        Truth::Indeterminate => matching.insert(ordinal, false),
                        Truth::False => None,
                    };
                }
            }
        }
    }
    matching
}

/// Steps 9 and 10: the grants that apply over `narrow` with a condition among `accepted`, and the
/// nearest name that each covers.
fn matching_grants(
    reader: &mut Reader<'_>,
    wide: &Wide,
    narrow: &Narrow,
    objects: &[TextId],
    question: &Question,
    accepted: &[Truth],
) -> BTreeMap<EntryOrdinal, usize> {
    let mut matching: BTreeMap<EntryOrdinal, usize> = BTreeMap::new();
    // `member` is granted on an exact role only, so patterns of the object never confer it.
    let exact = reader.index.text_id(question.obj.as_str());
    // Names of W that are not in N bear no grants, but their keys were looked at.
    for (reached, subjects) in wide.names() {
        for sub in subjects {
            for obj in objects {
                reader.lookups += 1;
                for ordinal in reader.index.grants(*sub, *obj, reader.with_past) {
                    let entry = reader.index.entry(ordinal);
                    reader.note(entry);
                    if !narrow.contains(reached)
                        || matching.get(&ordinal).is_some_and(|nearest| narrow.level(*nearest) <= narrow.level(reached))
                    {
                        continue;
                    }
                    let act = reader.index.text(entry.act);
                    let applies = match &question.act {
                        Some(action) if action.is_member() => **act == *Action::MEMBER && exact == Some(*obj),
                        Some(action) => **act == *ActionPattern::ANY || **act == *action.as_str(),
                        None => **act == *ActionPattern::ANY,
                    };
                    if applies
                        && !wide.is_cut(entry.root)
                        && reader.holds_throughout(entry)
                        && accepted.contains(&reader.truth(entry))
                    {
                        matching.insert(ordinal, reached);
                    }
                }
            }
        }
    }
    matching
}

/// The index as one question sees it: its moment, its conditions, and what it has looked at.
struct Reader<'a> {
    index: &'a Index,
    moment: &'a Moment,
    conditions: &'a dyn Fn(&str) -> Truth,
    with_past: bool,
    valid_until: Option<LedgerTime>,
    lookups: u32,
}

impl<'a> Reader<'a> {
    fn new(index: &'a Index, moment: &'a Moment, conditions: &'a dyn Fn(&str) -> Truth) -> Self {
        let with_past = index.needs_past(moment.interval.lo(), moment.height);
        Self { index, moment, conditions, with_past, valid_until: None, lookups: 0 }
    }

    /// The ids of every pattern that covers `name` and stands on some entry.
    fn text_ids(&mut self, name: &Name) -> Vec<TextId> {
        let mut ids = Vec::new();
        for text in candidates(name) {
            self.lookups += 1;
            ids.extend(self.index.text_id(&text));
        }
        ids
    }

    /// The window of an entry that exists at the moment's height; none otherwise.
    fn window(&self, entry: &Entry) -> Option<Window> {
        (entry.height <= self.moment.height).then(|| entry.window(self.moment.height))
    }

    /// Step 1.
    fn holds_somewhere(&self, entry: &Entry) -> bool {
        self.window(entry).is_some_and(|window| window.holds_within(self.moment.interval))
    }

    /// Step 1.
    fn holds_throughout(&self, entry: &Entry) -> bool {
        self.window(entry).is_some_and(|window| window.holds_throughout(self.moment.interval))
    }

    /// Step 3.
    fn truth(&self, entry: &Entry) -> Truth {
        entry.cond.as_deref().map_or(Truth::True, self.conditions)
    }

    /// Step 11: takes an entry on a key that was looked at into account.
    fn note(&mut self, entry: &Entry) {
        let Some(window) = self.window(entry) else { return };
        let empty = window.end.is_some_and(|end| end <= window.start);
        if empty || entry.revoked_by(self.moment.height).is_some() {
            return;
        }
        let lo = self.moment.interval.lo();
        for edge in [Some(window.start), window.end].into_iter().flatten().filter(|edge| *edge > lo) {
            self.valid_until = Some(self.valid_until.map_or(edge, |least| least.min(edge)));
        }
    }

    fn note_grants(&mut self, wide: &Wide, objects: &[TextId]) {
        for (sub, _) in wide.subjects() {
            for obj in objects {
                self.lookups += 1;
                for ordinal in self.index.grants(sub, *obj, self.with_past) {
                    self.note(self.index.entry(ordinal));
                }
            }
        }
    }
}
