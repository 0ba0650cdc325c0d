//! The naive evaluator: a plain fold over the log, against which the real one is checked.
//!
//! It shares nothing with the real evaluator but the types of a question and of its answer: no index,
//! no windows, no patterns of the library, no caches. One function for each numbered step of
//! `docs/decisions/0004-meaning-of-grant-and-deny.md`, in its order and its words, so that whoever reads
//! both sees that they say the same. Speed is of no interest; being obviously right is.
//!
//! It uses only `writ_proto`'s public types and `std`, so another crate can include this file by `#[path]`.

use std::collections::{BTreeMap, BTreeSet};

use writ_proto::decision::{Moment, Question, Truth, Why};
use writ_proto::limits::CLOSURE_ROLES_MAX;
use writ_proto::record::{Access, Body, Effect, RecordId, Revoke, SetMember, Signed};
use writ_proto::time::LedgerTime;

/// Where something stands in the log: its leaf, and its place in the set if it is a member of one.
pub(crate) type Place = (u64, Option<u8>);

/// One accepted record, or one member of an accepted set, at its place in the log.
#[derive(Clone, Debug)]
pub(crate) struct LogRecord {
    /// Its leaf in the log.
    pub(crate) index: u64,
    /// Its place in its set, from 0.
    pub(crate) member: Option<u8>,
    /// Its block.
    pub(crate) height: u64,
    /// The time of its block.
    pub(crate) added: LedgerTime,
    /// Its id.
    pub(crate) id: RecordId,
    /// Its signer first, then the authority above that, up to the root authority.
    pub(crate) lineage: Vec<String>,
    /// What it says.
    pub(crate) says: Says,
}

/// What an accepted record says, as far as decisions are concerned.
#[derive(Clone, Debug)]
pub(crate) enum Says {
    /// A grant or a denial.
    Access(Access),
    /// The end of one.
    Revoke(Revoke),
}

impl LogRecord {
    /// What a record that a block took in says; nothing for kinds that mean nothing to a decision. It is taken to
    /// be signed by a root authority: `lineage` is for the caller to extend where there are others.
    pub(crate) fn all_of(index: u64, height: u64, added: LedgerTime, signed: &Signed) -> Vec<Self> {
        let lineage = vec![signed.statement().authority.as_str().to_owned()];
        let said = |member, id, says| Self { index, member, height, added, id, lineage: lineage.clone(), says };
        match signed.body() {
            Body::Access(access) => vec![said(None, signed.id(), Says::Access(access.clone()))],
            Body::Revoke(revoke) => vec![said(None, signed.id(), Says::Revoke(*revoke))],
            Body::Set(set) => (0..)
                .zip(&set.members)
                .map(|(place, member)| {
                    let says = match member {
                        SetMember::Access(access) => Says::Access(access.clone()),
                        SetMember::Revoke(revoke) => Says::Revoke(*revoke),
                    };
                    said(Some(place), signed.id().of_member(place), says)
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Where it stands.
    pub(crate) fn place(&self) -> Place {
        (self.index, self.member)
    }
}

/// The answer, with all that is needed to judge another evaluator's answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// Why.
    pub(crate) why: Why,
    /// The places of the entries that decided, without the memberships that lead to them.
    pub(crate) deciding: BTreeSet<Place>,
    /// Before this instant, time alone changes nothing.
    pub(crate) valid_until: Option<LedgerTime>,
    /// The root authorities whose memberships led too far.
    pub(crate) cut: BTreeSet<String>,
    /// Every role that the subject reaches (W without itself), each with whether it is in D, and in N.
    pub(crate) reached: BTreeMap<String, (bool, bool)>,
    /// For each grant that decided, by place: the ways on which the subject comes to it.
    ways: BTreeMap<Place, Ways>,
}

/// All shortest ways from the subject to one grant, each as the set of its membership grants.
#[derive(Clone, Debug, Default)]
struct Ways(BTreeSet<BTreeSet<Place>>);

/// An access record as it stands at one moment of knowledge.
struct Entry<'a> {
    place: Place,
    root: &'a str,
    effect: Effect,
    sub: &'a str,
    act: &'a str,
    obj: &'a str,
    truth: Truth,
    /// The first instant at which it holds.
    start: u64,
    /// The first instant at which it no longer holds; `u64::MAX` is later than every instant.
    end: u64,
    revoked: bool,
}

/// What the question's subject reaches.
struct Wide {
    /// W.
    names: BTreeSet<String>,
    /// W!.
    definite: BTreeSet<String>,
    /// The roots that were cut.
    cut: BTreeSet<String>,
}

/// What the question's subject reaches with all that can be taken for sure.
struct Narrow {
    /// The names, each with the number of memberships on the shortest way to it.
    distance: BTreeMap<String, usize>,
    /// Every membership that leads from one of them to one of them.
    steps: Vec<Step>,
}

struct Step {
    from: String,
    to: String,
    over: Place,
}

/// Answers `question` at `moment` from the accepted records of `log`, in the order of their places.
pub(crate) fn decide(
    log: &[LogRecord],
    question: &Question,
    moment: &Moment,
    conditions: &dyn Fn(&str) -> Truth,
) -> Answer {
    decide_within(CLOSURE_ROLES_MAX, log, question, moment, conditions)
}

/// As [`decide`], where the memberships of one root lead to at most `roles_max` roles.
pub(crate) fn decide_within(
    roles_max: usize,
    log: &[LogRecord],
    question: &Question,
    moment: &Moment,
    conditions: &dyn Fn(&str) -> Truth,
) -> Answer {
    let known: Vec<&LogRecord> = log.iter().filter(|record| record.height <= moment.height).collect();
    let entries: Vec<Entry> = known.iter().filter_map(|record| entry(record, &known, conditions)).collect();
    let (lo, hi) = (moment.interval.lo().as_millis(), moment.interval.hi().as_millis());
    let case = Case { entries: &entries, question, lo, hi };

    let wide = case.wide(roles_max);
    let (denied, denied_definitely) = case.denied_roles(&wide);
    let valid_until = case.valid_until(&wide);
    let sure = |truth| truth == Truth::True;
    let narrow = case.narrow(&wide, &denied, sure);
    let roles = wide.names.iter().filter(|name| *name != question.sub.as_str());
    let reached: BTreeMap<String, (bool, bool)> =
        roles.map(|role| (role.clone(), (denied.contains(role), narrow.distance.contains_key(role)))).collect();
    let answer = |why, deciding, ways| Answer {
        why,
        deciding,
        valid_until,
        cut: wide.cut.clone(),
        reached: reached.clone(),
        ways,
    };

    let (denials, definite) = case.denials(&wide);
    if !denials.is_empty() {
        return answer(if definite { Why::Deny } else { Why::Indeterminate }, denials, BTreeMap::new());
    }

    let grants = case.grants(&wide, &narrow, sure);
    if !grants.is_empty() {
        let ways = grants.iter().map(|place| (*place, case.ways(*place, &narrow))).collect();
        return answer(Why::Grant, grants, ways);
    }

    let possible = |truth| truth != Truth::False;
    let narrow = case.narrow(&wide, &denied_definitely, possible);
    let grants = case.grants(&wide, &narrow, possible);
    if !grants.is_empty() {
        return answer(Why::Indeterminate, grants, BTreeMap::new());
    }
    answer(Why::NoMatch, BTreeSet::new(), BTreeMap::new())
}

/// Step 1: where the entry holds. An access record that does not stand there is none.
fn entry<'a>(record: &'a LogRecord, known: &[&LogRecord], conditions: &dyn Fn(&str) -> Truth) -> Option<Entry<'a>> {
    let Says::Access(access) = &record.says else {
        return None;
    };
    let revoked = revoked_at(record, access.effect, known);
    let start = match access.iss {
        Some(iss) => iss.max(record.added).as_millis(),
        None => record.added.as_millis(),
    };
    let exp = access.exp.map_or(u64::MAX, LedgerTime::as_millis);
    Some(Entry {
        place: record.place(),
        root: record.lineage.last()?,
        effect: access.effect,
        sub: access.sub.as_str(),
        act: access.act.as_str(),
        obj: access.obj.as_str(),
        truth: truth(access, conditions),
        start,
        end: revoked.map_or(exp, |at| exp.min(at)),
        revoked: revoked.is_some(),
    })
}

/// Step 2: when the first revocation that may end it does so, by what is known.
fn revoked_at(target: &LogRecord, effect: Effect, known: &[&LogRecord]) -> Option<u64> {
    for record in known {
        let Says::Revoke(revoke) = &record.says else {
            continue;
        };
        let signer = &record.lineage[0];
        if revoke.target == target.id && revoke.effect == effect && target.lineage.contains(signer) {
            // One that waited for its target ends it as it comes.
            return Some(record.added.max(target.added).as_millis());
        }
    }
    None
}

/// Step 3: whether its condition is fulfilled.
fn truth(access: &Access, conditions: &dyn Fn(&str) -> Truth) -> Truth {
    match &access.cond {
        Some(text) => conditions(text),
        None => Truth::True,
    }
}

/// Whether the text of a pattern, or of a name, covers `name`.
fn covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        // `file:acl/*`: all that starts with `file:acl/`; `file:*`: with `file:`; `*`: with nothing.
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

fn covers_any(pattern: &str, names: &BTreeSet<String>) -> bool {
    names.iter().any(|name| covers(pattern, name))
}

fn is_role(name: &str) -> bool {
    name.starts_with("role:")
}

impl Entry<'_> {
    /// Step 1: whether it holds at some instant of `[lo, hi]`.
    fn holds_somewhere(&self, lo: u64, hi: u64) -> bool {
        !self.never_holds() && self.start <= hi && self.end > lo
    }

    /// Step 1: whether it holds at every instant of `[lo, hi]`.
    fn holds_throughout(&self, lo: u64, hi: u64) -> bool {
        !self.never_holds() && self.start <= lo && self.end > hi
    }

    fn never_holds(&self) -> bool {
        self.end <= self.start
    }

    /// Step 4.
    fn is_membership_grant(&self) -> bool {
        self.effect == Effect::Grant && self.act == "member" && is_role(self.obj) && !self.obj.contains('*')
    }

    /// Step 4.
    fn is_membership_denial_of(&self, role: &str) -> bool {
        self.effect == Effect::Deny
            && (self.act == "member" || self.act == "*")
            && is_role(role)
            && covers(self.obj, role)
    }
}

/// A question, and the entries that are known.
struct Case<'a> {
    entries: &'a [Entry<'a>],
    question: &'a Question,
    lo: u64,
    hi: u64,
}

impl Case<'_> {
    fn subject(&self) -> String {
        self.question.sub.as_str().to_owned()
    }

    /// Steps 5 and 6: W, level by level, and W!.
    fn wide(&self, roles_max: usize) -> Wide {
        let mut names = BTreeSet::from([self.subject()]);
        let mut level = names.clone();
        let mut counted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut cut = BTreeSet::new();
        let mut certain_steps: Vec<(String, String)> = Vec::new();
        while !level.is_empty() {
            let mut by_role: BTreeMap<&str, Vec<(&str, &Entry)>> = BTreeMap::new();
            for grant in self.entries {
                let leads = grant.is_membership_grant()
                    && grant.truth != Truth::False
                    && grant.holds_somewhere(self.lo, self.hi);
                for from in level.iter().filter(|name| leads && covers(grant.sub, name)) {
                    by_role.entry(grant.obj).or_default().push((from, grant));
                }
            }
            let mut next = BTreeSet::new();
            for (role, steps) in by_role {
                for (from, grant) in steps {
                    if cut.contains(grant.root) {
                        continue;
                    }
                    let roles = counted.entry(grant.root).or_default();
                    if role != self.question.sub.as_str() && !roles.contains(role) {
                        if roles.len() == roles_max {
                            cut.insert(grant.root.to_owned());
                            continue;
                        }
                        roles.insert(role);
                    }
                    if grant.truth == Truth::True {
                        certain_steps.push((from.to_owned(), role.to_owned()));
                    }
                    if !names.contains(role) {
                        next.insert(role.to_owned());
                    }
                }
            }
            names.extend(next.clone());
            level = next;
        }

        let mut definite = BTreeSet::from([self.subject()]);
        let mut before = 0;
        while definite.len() > before {
            before = definite.len();
            let reached = certain_steps.iter().filter(|(from, _)| definite.contains(from));
            let reached: Vec<String> = reached.map(|(_, to)| to.clone()).collect();
            definite.extend(reached);
        }
        Wide { names, definite, cut }
    }

    /// Step 7: D and D!.
    fn denied_roles(&self, wide: &Wide) -> (BTreeSet<String>, BTreeSet<String>) {
        let (mut denied, mut definitely) = (BTreeSet::new(), BTreeSet::new());
        for role in &wide.names {
            for denial in self.entries {
                if !denial.is_membership_denial_of(role) || !denial.holds_somewhere(self.lo, self.hi) {
                    continue;
                }
                if denial.truth != Truth::False && covers_any(denial.sub, &wide.names) {
                    denied.insert(role.clone());
                }
                if denial.truth == Truth::True && covers_any(denial.sub, &wide.definite) {
                    definitely.insert(role.clone());
                }
            }
        }
        (denied, definitely)
    }

    /// Step 8: the denials that apply, and whether one applies definitely.
    fn denials(&self, wide: &Wide) -> (BTreeSet<Place>, bool) {
        let (mut applying, mut definite) = (BTreeSet::new(), false);
        for denial in self.entries {
            let action = match &self.question.act {
                Some(act) => denial.act == "*" || denial.act == act.as_str(),
                None => true,
            };
            let applies = denial.effect == Effect::Deny
                && denial.truth != Truth::False
                && denial.holds_somewhere(self.lo, self.hi)
                && covers_any(denial.sub, &wide.names)
                && covers(denial.obj, self.question.obj.as_str())
                && action;
            if applies {
                applying.insert(denial.place);
                definite |= denial.truth == Truth::True && covers_any(denial.sub, &wide.definite);
            }
        }
        (applying, definite)
    }

    /// Step 9, and step 10 with other conditions and other denied roles: N.
    fn narrow(&self, wide: &Wide, denied: &BTreeSet<String>, counts: fn(Truth) -> bool) -> Narrow {
        let mut distance = BTreeMap::from([(self.subject(), 0)]);
        let mut level = vec![self.subject()];
        for length in 1.. {
            let mut next = Vec::new();
            for from in &level {
                for grant in self.gives_membership(wide, counts).filter(|grant| covers(grant.sub, from)) {
                    let enters = wide.names.contains(grant.obj) && !denied.contains(grant.obj);
                    if enters && !distance.contains_key(grant.obj) {
                        distance.insert(grant.obj.to_owned(), length);
                        next.push(grant.obj.to_owned());
                    }
                }
            }
            if next.is_empty() {
                break;
            }
            level = next;
        }
        let mut steps = Vec::new();
        for grant in self.gives_membership(wide, counts).filter(|grant| distance.contains_key(grant.obj)) {
            for from in distance.keys().filter(|name| covers(grant.sub, name)) {
                steps.push(Step { from: from.clone(), to: grant.obj.to_owned(), over: grant.place });
            }
        }
        Narrow { distance, steps }
    }

    /// Step 9: the membership grants that can count in N.
    fn gives_membership(&self, wide: &Wide, counts: fn(Truth) -> bool) -> impl Iterator<Item = &Entry<'_>> {
        self.entries.iter().filter(move |grant| {
            grant.is_membership_grant()
                && counts(grant.truth)
                && grant.holds_throughout(self.lo, self.hi)
                && !wide.cut.contains(grant.root)
        })
    }

    /// Step 9: the grants that apply over N.
    fn grants(&self, wide: &Wide, narrow: &Narrow, counts: fn(Truth) -> bool) -> BTreeSet<Place> {
        let mut applying = BTreeSet::new();
        for grant in self.entries {
            let obj = self.question.obj.as_str();
            let action_and_object = match self.question.act.as_ref().map(|act| act.as_str()) {
                None => grant.act == "*" && covers(grant.obj, obj),
                Some("member") => grant.act == "member" && grant.obj == obj,
                Some(act) => (grant.act == "*" || grant.act == act) && covers(grant.obj, obj),
            };
            let applies = grant.effect == Effect::Grant
                && counts(grant.truth)
                && grant.holds_throughout(self.lo, self.hi)
                && narrow.distance.keys().any(|name| covers(grant.sub, name))
                && action_and_object
                && !wide.cut.contains(grant.root);
            if applies {
                applying.insert(grant.place);
            }
        }
        applying
    }

    /// Step 9: every shortest way to the grant at `place`.
    fn ways(&self, place: Place, narrow: &Narrow) -> Ways {
        let mut ways = Ways::default();
        let Some(grant) = self.entries.iter().find(|entry| entry.place == place) else {
            return ways;
        };
        let covered = || narrow.distance.iter().filter(|(name, _)| covers(grant.sub, name));
        let shortest = covered().map(|(_, distance)| *distance).min();
        for (name, distance) in covered() {
            if Some(*distance) == shortest {
                narrow.walk_back(name, &mut BTreeSet::new(), &mut ways);
            }
        }
        ways
    }

    /// Step 11: the next instant at which anything on a key looked at starts or ends.
    fn valid_until(&self, wide: &Wide) -> Option<LedgerTime> {
        let mut instants = BTreeSet::new();
        for entry in self.entries {
            let on_the_question = covers(entry.obj, self.question.obj.as_str());
            let on_a_membership = entry.is_membership_grant();
            let on_a_denied_role = wide.names.iter().any(|role| entry.is_membership_denial_of(role));
            let looked_at =
                covers_any(entry.sub, &wide.names) && (on_the_question || on_a_membership || on_a_denied_role);
            if looked_at && !entry.revoked && !entry.never_holds() {
                instants.extend([entry.start, entry.end]);
            }
        }
        let next = instants.into_iter().find(|instant| *instant > self.lo);
        // What has no end ends at `u64::MAX`, which is no time of the ledger.
        next.and_then(|instant| LedgerTime::from_millis(instant).ok())
    }
}

impl Narrow {
    /// Collects the ways from the subject to `name`, each with `walked` behind it.
    fn walk_back(&self, name: &str, walked: &mut BTreeSet<Place>, ways: &mut Ways) {
        if self.distance[name] == 0 {
            ways.0.insert(walked.clone());
        }
        for step in &self.steps {
            if step.to == name && self.distance[&step.from] + 1 == self.distance[name] {
                let new = walked.insert(step.over);
                self.walk_back(&step.from, walked, ways);
                if new {
                    walked.remove(&step.over);
                }
            }
        }
    }
}

impl Answer {
    /// Whether the answer of another evaluator is this one; if not, what differs. Where a grant can be
    /// come to in several shortest ways, each of them is right.
    pub(crate) fn agrees_with(
        &self,
        why: Why,
        entries: &[Place],
        valid_until: Option<LedgerTime>,
    ) -> Result<(), String> {
        if why != self.why {
            return Err(format!("it says `{}`, expected `{}`", why.as_str(), self.why.as_str()));
        }
        if valid_until != self.valid_until {
            return Err(format!("it is valid until {valid_until:?}, expected {:?}", self.valid_until));
        }
        if entries.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(format!("its entries {entries:?} are not ascending"));
        }
        let found: BTreeSet<Place> = entries.iter().copied().collect();
        if !found.is_superset(&self.deciding) {
            return Err(format!("its entries {found:?} lack some of {:?}", self.deciding));
        }
        let ways: Vec<&Ways> = self.ways.values().collect();
        if !is_one_way_each(&found, &self.deciding, &ways) {
            let detail = format!("its entries {found:?} are not {:?} and one shortest way to each", self.deciding);
            return Err(format!("{detail}, of {:?}", self.ways));
        }
        Ok(())
    }
}

/// Whether `found` is `so_far` and one way of each of `ways`.
fn is_one_way_each(found: &BTreeSet<Place>, so_far: &BTreeSet<Place>, ways: &[&Ways]) -> bool {
    let Some((first, rest)) = ways.split_first() else {
        return found == so_far;
    };
    first.0.iter().filter(|way| way.is_subset(found)).any(|way| {
        let joined: BTreeSet<Place> = so_far.union(way).copied().collect();
        is_one_way_each(found, &joined, rest)
    })
}
