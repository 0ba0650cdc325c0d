//! Entry by entry, what a decision made of all that stands between subject and object, and how near a grant was.
//!
//! ```text
//!   subject --memberships, also such as do not count--> names --grants, also such as do not count--> object
//!                            \__ what stands in their way: obstacles __/
//! ```
//!
//! A decision follows what counts. An account also follows what does not, and says of each entry what was in its way:
//! it starts tomorrow, it was revoked, its condition needs something, it is of a role of which the membership is denied.
//! Ways with fewer obstacles are gone first, so the first grant of an account is the nearest. It looks at a bounded
//! number of entries and says so if there were more; what decided is never left out.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, BinaryHeap};
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::cmp::Reverse;

use smallvec::SmallVec;

use super::closure::Ways;
use super::{Asked, Decision, Moment, Party, Question, Reach, ReachedRole, Reader, Truth};
use crate::condition::Evaluation;
use crate::index::{EntryOrdinal, Index, Revoked, TextId};
use crate::record::Effect;
use crate::time::LedgerTime;

/// Entries that an account tells of.
const TOLD_MAX: usize = 256;
/// Entries and memberships that it looks at.
const LOOKED_MAX: usize = 20_000;
/// Names over which it follows memberships that do not count.
const NAMES_MAX: usize = 1_024;

/// A decision with its account. See the module's doc.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The decision.
    pub decision: Decision,
    /// Every role that it reached on the way.
    pub roles: Vec<ReachedRole>,
    /// Denials first, then grants; of each, those that apply before those that cannot be judged and those that do
    /// not apply, the nearest first.
    pub considered: Vec<Considered>,
    /// Whether there was more than an account tells of.
    pub more: bool,
}

/// An entry between subject and object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Considered {
    /// The entry.
    pub entry: EntryOrdinal,
    /// Granted or denied.
    pub effect: Effect,
    /// The memberships that lead from the subject to whom it speaks of: the way with the fewest obstacles.
    pub over: Vec<EntryOrdinal>,
    /// What became of it.
    pub verdict: Verdict,
    /// What stood in its way, from the subject on.
    pub obstacles: Vec<Obstacle>,
}

/// What a decision made of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It applies. A grant may still be outweighed by a denial.
    Applies,
    /// A condition on the way cannot be evaluated: a denial denies, a grant does not grant.
    Unclear,
    /// It does not apply.
    DoesNot,
}

/// Something in the way of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// Where: the entry itself, or a membership on the way to it.
    pub at: EntryOrdinal,
    /// What.
    pub kind: ObstacleKind,
}

/// What stands in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObstacleKind {
    /// It starts at this instant.
    NotYet(LedgerTime),
    /// It ended by itself at this instant.
    Ended(LedgerTime),
    /// It never holds: it was over before it began.
    Never,
    /// It was revoked.
    Revoked(Revoked),
    /// Its condition is false.
    False,
    /// Its condition cannot be evaluated; what is missing for it.
    Unknown(Vec<String>),
    /// It is about another action.
    OtherAction,
    /// The membership is denied.
    MembershipDenied {
        /// By which entry.
        by: EntryOrdinal,
        /// Whether it covers the subject for certain.
        definite: bool,
    },
    /// The memberships of its root lead to too many roles, so its grants do not count.
    TooManyRoles,
}

/// The membership denials in force for the subject, by their object; a definite one of each, if there is any.
type MembershipDenials = BTreeMap<TextId, (EntryOrdinal, bool)>;

impl Reach {
    fn membership_denials(&self, reader: &Reader<'_>, looked: &mut usize) -> MembershipDenials {
        let index = reader.index;
        let mut found = MembershipDenials::new();
        for bearer in self.wide.bearers() {
            for ordinal in index.role_denials(bearer.text, reader.with_past) {
                *looked += 1;
                // Where none of them decided, they are no more than told.
                if *looked > LOOKED_MAX && self.denied_roles.is_empty() {
                    return found;
                }
                let entry = index.slot(ordinal);
                if !reader.holds_somewhere(entry) {
                    continue;
                }
                let truth = reader.truth(entry);
                if truth == Truth::False {
                    continue;
                }
                let definite = bearer.definite && truth == Truth::True;
                let known = found.entry(entry.obj).or_insert((ordinal, definite));
                if definite && !known.1 {
                    *known = (ordinal, definite);
                }
            }
        }
        found
    }
}

impl ObstacleKind {
    /// Whether it only leaves open what is.
    fn is_soft(&self) -> bool {
        matches!(self, Self::Unknown(_) | Self::MembershipDenied { definite: false, .. })
    }
}

/// Fewest first: of another action, other hard ones, soft ones, memberships.
type Cost = (u32, u32, u32, u32);

/// A name, and the best way to it.
struct Place {
    covering: SmallVec<[TextId; 8]>,
    /// The place before, the membership from there, and what is in its way.
    hop: Option<(usize, EntryOrdinal, Vec<Obstacle>)>,
}

/// What is known of conditions by now: each is evaluated once.
struct Conditions<'a> {
    evaluate: &'a dyn Fn(&str) -> Evaluation,
    known: RefCell<BTreeMap<Box<str>, Evaluation>>,
}

impl Conditions<'_> {
    fn get(&self, text: &str) -> Evaluation {
        if let Some(known) = self.known.borrow().get(text) {
            return known.clone();
        }
        let found = (self.evaluate)(text);
        self.known.borrow_mut().insert(text.into(), found.clone());
        found
    }
}

/// [`super::resolve`], with an account of everything that bears on the answer.
///
/// `deciding` evaluates the conditions for the decision, as `resolve` has it: it is asked about the same entries.
/// `telling` evaluates them for the account, also those that did not matter.
pub fn account(
    index: &Index,
    question: &Question,
    moment: &Moment,
    deciding: &dyn Fn(&str) -> Truth,
    telling: &dyn Fn(&str) -> Evaluation,
) -> Account {
    let mut reader = Reader::new(index, moment, deciding);
    let subject = Party::of_name(&mut reader, &question.sub);
    let reach = Reach::of(&mut reader, &subject);
    let object = Party::of_name(&mut reader, &question.obj);
    let decision = reach.decide(&mut reader, &object, question.act.as_ref());
    let roles = reach.reached_roles(index);
    let asked = Asked::new(index, question.act.as_ref());
    let conditions = Conditions { evaluate: telling, known: RefCell::default() };
    let truth = |text: &str| conditions.get(text).truth;
    let reader = reader.under(&truth);
    let mut looked = 0;
    let denied = reach.membership_denials(&reader, &mut looked);
    let teller = Teller {
        reader: &reader,
        reach: &reach,
        denied: &denied,
        conditions: &conditions,
        object: &object,
        asked: &asked,
    };
    let mut considered = teller.denials(&mut looked);
    considered.append(&mut teller.grants(&subject, &mut looked));
    // What decided is told of whatever there is; of the rest, what fits beside it.
    let decided = considered.iter().filter(|one| one.verdict != Verdict::DoesNot).count();
    let mut room = TOLD_MAX.saturating_sub(decided);
    let all = considered.len();
    considered.retain(|one| {
        let is_told = one.verdict != Verdict::DoesNot || room > 0;
        room -= usize::from(one.verdict == Verdict::DoesNot && room > 0);
        is_told
    });
    let more = looked > LOOKED_MAX || considered.len() < all;
    Account { decision, roles, considered, more }
}

struct Teller<'r, 'a> {
    reader: &'r Reader<'a>,
    reach: &'r Reach,
    denied: &'r MembershipDenials,
    conditions: &'r Conditions<'r>,
    object: &'r Party<'r>,
    asked: &'r Asked,
}

impl Teller<'_, '_> {
    /// Everything that denies, did or would.
    fn denials(&self, looked: &mut usize) -> Vec<Considered> {
        let mut found = Vec::new();
        let index = self.reader.index;
        let wide = &self.reach.wide;
        let (certain, any) = (Ways::of(wide, &[Truth::True]), Ways::of(wide, &[Truth::True, Truth::Indeterminate]));
        for bearer in wide.bearers() {
            let ways = if bearer.definite { &certain } else { &any };
            let mut over = ways.nearest(wide, bearer).map(|place| ways.path_to(place)).unwrap_or_default();
            over.reverse();
            for obj in &self.object.covering {
                let pair = index.pair(bearer.text, *obj);
                for ordinal in pair.into_iter().flat_map(|pair| pair.denials(true)) {
                    *looked += 1;
                    let entry = index.slot(ordinal);
                    if entry.height() > self.reader.moment.height {
                        continue;
                    }
                    let applies = self.asked.is_denied_by(entry) && self.reader.holds_somewhere(entry);
                    // All that apply are told of, however many.
                    if *looked > LOOKED_MAX && !applies {
                        continue;
                    }
                    let mut obstacles: Vec<Obstacle> = Vec::new();
                    if !bearer.definite {
                        let unknown = |ordinal: &EntryOrdinal| self.condition(*ordinal);
                        obstacles.extend(over.iter().filter_map(unknown));
                    }
                    if !self.asked.is_denied_by(entry) {
                        obstacles.push(Obstacle { at: ordinal, kind: ObstacleKind::OtherAction });
                    }
                    if !self.reader.holds_somewhere(entry) {
                        obstacles.push(self.absence(ordinal, false));
                    }
                    obstacles.extend(self.condition(ordinal));
                    let verdict =
                        verdict(obstacles.iter().map(|obstacle| matches!(obstacle.kind, ObstacleKind::Unknown(_))));
                    found.push(Considered {
                        entry: ordinal,
                        effect: Effect::Deny,
                        over: over.clone(),
                        verdict,
                        obstacles,
                    });
                }
            }
        }
        found.sort_by_key(|denial| (denial.verdict, denial.obstacles.len(), denial.over.len(), denial.entry));
        found
    }

    /// Everything that grants, did or would, nearest first.
    fn grants(&self, subject: &Party<'_>, looked: &mut usize) -> Vec<Considered> {
        let places = self.places(subject, looked);
        let index = self.reader.index;
        let mut found: Vec<(Cost, Considered)> = Vec::new();
        let mut seen = BTreeSet::new();
        for (at, place) in places.iter().enumerate() {
            for (text, obj) in
                place.covering.iter().flat_map(|text| self.object.covering.iter().map(move |obj| (*text, *obj)))
            {
                let Some(pair) = index.pair(text, obj).filter(|_| seen.insert((text, obj))) else { continue };
                for ordinal in pair.grants(true) {
                    *looked += 1;
                    let entry = index.slot(ordinal);
                    let is_asked = self.asked.is_granted_by(entry, self.object.own == Some(obj));
                    let is_known = entry.height() <= self.reader.moment.height;
                    if !is_known || (*looked > LOOKED_MAX && !(is_asked && self.reader.holds_throughout(entry))) {
                        continue;
                    }
                    let (over, mut obstacles) = way_to(&places, at);
                    if !is_asked {
                        obstacles.push(Obstacle { at: ordinal, kind: ObstacleKind::OtherAction });
                    }
                    obstacles.extend(self.own_obstacles(ordinal));
                    let cost = Self::cost(&obstacles, over.len());
                    let verdict = verdict(obstacles.iter().map(|obstacle| obstacle.kind.is_soft()));
                    found.push((cost, Considered { entry: ordinal, effect: Effect::Grant, over, verdict, obstacles }));
                }
            }
        }
        found.sort_by_key(|(cost, grant)| (grant.verdict, *cost, grant.entry));
        found.into_iter().map(|(_, grant)| grant).collect()
    }

    /// The subject, and every role that any membership leads to, the nearest first. Ways are gone by Dijkstra's
    /// algorithm: obstacles are lengths.
    fn places(&self, subject: &Party<'_>, looked: &mut usize) -> Vec<Place> {
        type Hop = Option<(usize, EntryOrdinal)>;
        let index = self.reader.index;
        let mut places: Vec<Place> = Vec::new();
        let mut settled: BTreeSet<TextId> = BTreeSet::new();
        let mut open: BinaryHeap<Reverse<(Cost, Option<TextId>, Hop)>> = BinaryHeap::new();
        open.push(Reverse((Cost::default(), None, None)));
        while let Some(Reverse((cost, role, hop))) = open.pop() {
            let is_free = (cost.0, cost.1, cost.2) == (0, 0, 0);
            if role.is_some_and(|role| settled.contains(&role)) {
                continue;
            }
            if !is_free && places.len() >= NAMES_MAX {
                *looked = LOOKED_MAX + 1;
                continue;
            }
            let at = places.len();
            let mut covering: SmallVec<[TextId; 8]> = SmallVec::new();
            if let Some(role) = role {
                settled.insert(role);
                index.covering_role(role, |id| covering.push(id));
            } else {
                settled.extend(subject.own.filter(|_| subject.is_role()));
                covering.extend(subject.covering.iter().copied());
            }
            let hop = hop.map(|(from, over)| (from, over, self.hop_obstacles(over)));
            places.push(Place { covering, hop });
            for text in &places[at].covering.clone() {
                for over in index.memberships(*text, true) {
                    *looked += 1;
                    let entry = index.slot(over);
                    let may_lead = entry.height() <= self.reader.moment.height && !settled.contains(&entry.obj);
                    if !may_lead || (*looked > LOOKED_MAX && !self.reader.holds_throughout(entry)) {
                        continue;
                    }
                    let obstacles = self.hop_obstacles(over);
                    let more = Self::cost(&obstacles, 1);
                    let cost = (cost.0 + more.0, cost.1 + more.1, cost.2 + more.2, cost.3 + more.3);
                    open.push(Reverse((cost, Some(entry.obj), Some((at, over)))));
                }
            }
        }
        places
    }

    /// What is in the way of a membership that is followed.
    fn hop_obstacles(&self, over: EntryOrdinal) -> Vec<Obstacle> {
        let mut obstacles = self.own_obstacles(over);
        let denial = self.membership_denial(self.reader.index.slot(over).obj);
        obstacles.extend(denial.map(|kind| Obstacle { at: over, kind }));
        obstacles
    }

    /// What keeps a grant from counting by itself.
    fn own_obstacles(&self, ordinal: EntryOrdinal) -> Vec<Obstacle> {
        let entry = self.reader.index.slot(ordinal);
        let mut obstacles = Vec::new();
        if !self.reader.holds_throughout(entry) {
            obstacles.push(self.absence(ordinal, true));
        }
        obstacles.extend(self.condition(ordinal));
        if self.reach.wide.is_cut(self.reader.index.root_of(entry)) {
            obstacles.push(Obstacle { at: ordinal, kind: ObstacleKind::TooManyRoles });
        }
        obstacles
    }

    /// A denial of the membership of `role` in force for the subject; a definite one, if there is any.
    fn membership_denial(&self, role: TextId) -> Option<ObstacleKind> {
        if self.denied.is_empty() {
            return None;
        }
        let index = self.reader.index;
        let mut found: Option<(EntryOrdinal, bool)> = None;
        index.covering(index.text(role), |pattern| {
            let denial = self.denied.get(&pattern).copied();
            found = found
                .filter(|(_, definite)| *definite)
                .or(denial.filter(|(_, definite)| *definite))
                .or(found)
                .or(denial);
        });
        found.map(|(by, definite)| ObstacleKind::MembershipDenied { by, definite })
    }

    /// What a condition has against an entry.
    fn condition(&self, ordinal: EntryOrdinal) -> Option<Obstacle> {
        let cond = self.reader.index.slot(ordinal).cond()?;
        let Evaluation { truth, missing, .. } = self.conditions.get(self.reader.index.text(cond));
        let kind = match truth {
            Truth::True => return None,
            Truth::False => ObstacleKind::False,
            Truth::Indeterminate => ObstacleKind::Unknown(missing),
        };
        Some(Obstacle { at: ordinal, kind })
    }

    /// Why an entry does not hold when it is asked about: throughout the interval, or anywhere in it.
    fn absence(&self, at: EntryOrdinal, throughout: bool) -> Obstacle {
        let Moment { interval, height } = *self.reader.moment;
        let index = self.reader.index;
        let slot = index.slot(at);
        let revoked = index.revoked_by(slot, height);
        let is_before = |end: LedgerTime| revoked.is_none_or(|revoked| end < revoked.at);
        // What must hold throughout has begun when the interval begins, and anywhere, when it ends.
        let begun_by = if throughout { interval.lo() } else { interval.hi() };
        let kind = match (slot.end().filter(|end| is_before(*end)), revoked) {
            // Neither has to have happened yet: what is over before it begins never holds.
            (Some(end), _) if end <= slot.start => ObstacleKind::Never,
            (None, Some(revoked)) if revoked.at <= slot.start => ObstacleKind::Revoked(revoked),
            _ if slot.start > begun_by => ObstacleKind::NotYet(slot.start),
            (Some(end), _) => ObstacleKind::Ended(end),
            (None, Some(revoked)) => ObstacleKind::Revoked(revoked),
            (None, None) => ObstacleKind::NotYet(slot.start),
        };
        Obstacle { at, kind }
    }

    fn cost(obstacles: &[Obstacle], memberships: usize) -> Cost {
        let (mut others, mut hard, mut soft) = (0, 0, 0);
        for Obstacle { kind, .. } in obstacles {
            match kind {
                ObstacleKind::OtherAction => others += 1,
                kind if kind.is_soft() => soft += 1,
                _ => hard += 1,
            }
        }
        (others, hard, soft, u32::try_from(memberships).unwrap_or(u32::MAX))
    }
}

fn verdict(are_soft: impl Iterator<Item = bool>) -> Verdict {
    are_soft.map(|is_soft| if is_soft { Verdict::Unclear } else { Verdict::DoesNot }).max().unwrap_or(Verdict::Applies)
}

/// The memberships that lead to a place, and what is in their way, from the subject on.
fn way_to(places: &[Place], mut at: usize) -> (Vec<EntryOrdinal>, Vec<Obstacle>) {
    let mut hops = Vec::new();
    while let Some((before, over, obstacles)) = &places[at].hop {
        hops.push((*over, obstacles));
        at = *before;
    }
    hops.reverse();
    let obstacles = hops.iter().flat_map(|(_, obstacles)| obstacles.iter().cloned()).collect();
    (hops.into_iter().map(|(over, _)| over).collect(), obstacles)
}
