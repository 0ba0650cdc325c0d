//! Which roles a subject reaches: the wide closure W, the denied roles D, the narrow closure N.
//!
//! W is walked once, level by level, and remembers every membership grant it followed as an edge. N and
//! its variants walk those edges again with stricter eyes; since they only ever take edges of W, they
//! are subsets of it.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;

use super::{ReachedRole, Reader, Truth};
use crate::index::{EntryOrdinal, Index, TextId};
use crate::limits::CLOSURE_ROLES_MAX;
use crate::name::{Name, Pattern, candidates};

/// A membership grant that was followed: from one name of W to another, by their places.
struct Edge {
    to: usize,
    over: EntryOrdinal,
    truth: Truth,
    throughout: bool,
    root: u32,
}

/// A name in W. Place 0 is the subject of the question.
struct Reached {
    /// The role's text; the subject itself may stand on no entry at all.
    role: Option<TextId>,
    /// The patterns on entries that cover this name.
    patterns: Vec<TextId>,
    /// The membership grants that lead on from here.
    edges: Vec<Edge>,
    /// Over which grant it was first reached; none for the subject.
    over: Option<EntryOrdinal>,
    /// Reached over conditions that are true only (W!).
    definite: bool,
}

/// Steps 5 and 6: the wide closure.
pub(super) struct Wide {
    names: Vec<Reached>,
    places: BTreeMap<TextId, usize>,
    /// The subject, if it is a role that stands on no entry: it has no place by text.
    unnamed_role: Option<Name>,
    cut: BTreeSet<u32>,
}

impl Wide {
    pub(super) fn of(reader: &mut Reader<'_>, subject: &Name) -> Self {
        let own = reader.index.text_id(subject.as_str());
        let unnamed_role = (subject.is_role() && own.is_none()).then(|| subject.clone());
        let mut wide = Self { names: Vec::new(), places: BTreeMap::new(), unnamed_role, cut: BTreeSet::new() };
        if let Some(own) = own.filter(|_| subject.is_role()) {
            wide.places.insert(own, 0);
        }
        let patterns = reader.text_ids(subject);
        wide.names.push(Reached { role: own, patterns, edges: Vec::new(), over: None, definite: true });

        let mut counted: BTreeMap<u32, BTreeSet<TextId>> = BTreeMap::new();
        let mut level = 0..1;
        while !level.is_empty() {
            let next = wide.names.len();
            for (role, from, over) in wide.leads(reader, level) {
                wide.follow(reader, &mut counted, role, from, over);
            }
            level = next..wide.names.len();
        }
        wide.mark_definite();
        wide
    }

    /// The membership grants that lead on from the names at `level`, in the order in which budgets count:
    /// by role bytewise, then as in the log.
    fn leads(&self, reader: &mut Reader<'_>, level: core::ops::Range<usize>) -> Vec<(TextId, usize, EntryOrdinal)> {
        let index = reader.index;
        let mut leads = Vec::new();
        for from in level {
            for pattern in &self.names[from].patterns {
                reader.lookups += 1;
                for ordinal in index.memberships(*pattern, reader.with_past) {
                    let entry = index.entry(ordinal);
                    reader.note(entry);
                    if reader.holds_somewhere(entry) && reader.truth(entry) != Truth::False {
                        leads.push((entry.obj, from, ordinal));
                    }
                }
            }
        }
        leads.sort_by(|a, b| index.text(a.0).cmp(index.text(b.0)).then(a.2.cmp(&b.2)).then(a.1.cmp(&b.1)));
        leads
    }

    /// Follows one membership grant, if its root's budget allows.
    fn follow(
        &mut self,
        reader: &mut Reader<'_>,
        counted: &mut BTreeMap<u32, BTreeSet<TextId>>,
        role: TextId,
        from: usize,
        over: EntryOrdinal,
    ) {
        let entry = reader.index.entry(over);
        let known = self.places.get(&role).copied();
        if known == Some(0) || self.cut.contains(&entry.root) {
            return;
        }
        let roles = counted.entry(entry.root).or_default();
        if !roles.contains(&role) {
            if roles.len() == CLOSURE_ROLES_MAX {
                self.cut.insert(entry.root);
                return;
            }
            roles.insert(role);
        }
        let to = known.unwrap_or_else(|| {
            let name = Name::parse_full(reader.index.text(role)).expect("a membership grant names an exact role");
            let patterns = reader.text_ids(&name);
            self.places.insert(role, self.names.len());
            self.names.push(Reached {
                role: Some(role),
                patterns,
                edges: Vec::new(),
                over: Some(over),
                definite: false,
            });
            self.names.len() - 1
        });
        let edge =
            Edge { to, over, truth: reader.truth(entry), throughout: reader.holds_throughout(entry), root: entry.root };
        self.names[from].edges.push(edge);
    }

    fn mark_definite(&mut self) {
        let mut open = vec![0];
        while let Some(at) = open.pop() {
            let onward: Vec<usize> =
                self.names[at].edges.iter().filter(|edge| edge.truth == Truth::True).map(|edge| edge.to).collect();
            for to in onward {
                if !self.names[to].definite {
                    self.names[to].definite = true;
                    open.push(to);
                }
            }
        }
    }

    /// Step 7: the roles in W that a membership denial covers, and whether one does so definitely.
    pub(super) fn denied_roles(&self, reader: &mut Reader<'_>) -> BTreeMap<TextId, bool> {
        let mut denied: BTreeMap<TextId, bool> = BTreeMap::new();
        let index = reader.index;
        if self.places.is_empty() && self.unnamed_role.is_none() {
            return denied;
        }
        for (sub, definite_subject) in self.subjects() {
            reader.lookups += 1;
            // A subject with more role denials than W has roles is asked role by role.
            let ordinals: Vec<EntryOrdinal> = if index.role_denials_len(sub, reader.with_past) <= 4 * self.places.len()
            {
                index.role_denials(sub, reader.with_past).collect()
            } else {
                self.role_denials_by_key(reader, sub)
            };
            for ordinal in ordinals {
                let entry = index.entry(ordinal);
                let covered = self.roles_covered(index, entry.obj);
                if covered.is_empty() && !self.covers_unnamed_role(index, entry.obj) {
                    continue;
                }
                reader.note(entry);
                if !reader.holds_somewhere(entry) {
                    continue;
                }
                let definite = match reader.truth(entry) {
                    Truth::True => definite_subject,
                    Truth::Indeterminate => false,
                    Truth::False => continue,
                };
                for role in covered {
                    *denied.entry(role).or_default() |= definite;
                }
            }
        }
        denied
    }

    fn role_denials_by_key(&self, reader: &mut Reader<'_>, sub: TextId) -> Vec<EntryOrdinal> {
        let index = reader.index;
        let mut objects: BTreeSet<TextId> = BTreeSet::new();
        let named = self.places.keys().map(|role| Name::parse_full(index.text(*role)).expect("a role in W is a name"));
        for name in named.chain(self.unnamed_role.clone()) {
            objects.extend(candidates(&name).filter_map(|text| index.text_id(&text)));
        }
        let mut ordinals = Vec::new();
        for obj in objects {
            reader.lookups += 1;
            let is_role_denial = |ordinal: &EntryOrdinal| {
                let act = index.text(index.entry(*ordinal).act);
                **act == *crate::name::ActionPattern::ANY || **act == *crate::name::Action::MEMBER
            };
            ordinals.extend(index.denials(sub, obj, reader.with_past).filter(is_role_denial));
        }
        ordinals
    }

    /// The roles in W that the pattern `obj` covers.
    fn roles_covered(&self, index: &Index, obj: TextId) -> Vec<TextId> {
        if self.places.contains_key(&obj) {
            return vec![obj];
        }
        let pattern = Pattern::parse_full(index.text(obj)).expect("an entry's object is a pattern");
        if pattern.as_exact().is_some() {
            return Vec::new();
        }
        let covers = |role: &&TextId| Name::parse_full(index.text(**role)).is_ok_and(|name| pattern.covers(&name));
        self.places.keys().filter(covers).copied().collect()
    }

    fn covers_unnamed_role(&self, index: &Index, obj: TextId) -> bool {
        let covers = |role: &Name| Pattern::parse_full(index.text(obj)).is_ok_and(|pattern| pattern.covers(role));
        self.unnamed_role.as_ref().is_some_and(covers)
    }

    /// Every pattern that covers a name in W, once, and whether it covers one in W!.
    pub(super) fn subjects(&self) -> BTreeMap<TextId, bool> {
        let mut subjects: BTreeMap<TextId, bool> = BTreeMap::new();
        for name in &self.names {
            for pattern in &name.patterns {
                *subjects.entry(*pattern).or_default() |= name.definite;
            }
        }
        subjects
    }

    /// The names in W by place, with the patterns that cover each.
    pub(super) fn names(&self) -> impl Iterator<Item = (usize, &[TextId])> {
        self.names.iter().map(|name| name.patterns.as_slice()).enumerate()
    }

    pub(super) fn is_cut(&self, root: u32) -> bool {
        self.cut.contains(&root)
    }

    pub(super) fn cut_roots(&self) -> Vec<u32> {
        self.cut.iter().copied().collect()
    }

    pub(super) fn reached_roles(
        &self,
        index: &Index,
        is_denied: impl Fn(TextId) -> bool,
        narrow: &Narrow,
    ) -> Vec<ReachedRole> {
        let reached = |(place, name): (usize, &Reached)| {
            let (role, over) = (name.role?, name.over?);
            Some(ReachedRole {
                role: index.text(role).clone(),
                over: index.entry(over).index,
                denied: is_denied(role),
                entered: narrow.contains(place),
            })
        };
        self.names.iter().enumerate().filter_map(reached).collect()
    }
}

/// Step 9: the narrow closure, as places in W with the way to each.
pub(super) struct Narrow {
    /// By place in W: the level, and the edge over which it was reached (none for the subject).
    ways: Vec<Option<Way>>,
}

#[derive(Clone, Copy)]
struct Way {
    level: usize,
    from: Option<(usize, EntryOrdinal)>,
}

impl Narrow {
    /// Walks W's edges that hold throughout, with a condition among `accepted`, of roots that are not cut,
    /// to roles that are not denied.
    pub(super) fn of(wide: &Wide, is_denied: impl Fn(TextId) -> bool, accepted: &[Truth]) -> Self {
        let mut ways: Vec<Option<Way>> = vec![None; wide.names.len()];
        ways[0] = Some(Way { level: 0, from: None });
        let mut level = vec![0];
        for depth in 1.. {
            let mut next = Vec::new();
            for at in level {
                for edge in &wide.names[at].edges {
                    let denied = wide.names[edge.to].role.is_some_and(&is_denied);
                    let followed = edge.throughout && accepted.contains(&edge.truth) && !wide.cut.contains(&edge.root);
                    if followed && !denied && ways[edge.to].is_none() {
                        ways[edge.to] = Some(Way { level: depth, from: Some((at, edge.over)) });
                        next.push(edge.to);
                    }
                }
            }
            if next.is_empty() {
                break;
            }
            level = next;
        }
        Self { ways }
    }

    pub(super) fn contains(&self, place: usize) -> bool {
        self.ways[place].is_some()
    }

    /// How many memberships lead to this name; the most there can be for one that is not reached.
    pub(super) fn level(&self, place: usize) -> usize {
        self.ways[place].map_or(usize::MAX, |way| way.level)
    }

    /// The memberships on one shortest path from the subject to this name.
    pub(super) fn path_to(&self, place: usize) -> Vec<EntryOrdinal> {
        let mut path = Vec::new();
        let mut at = place;
        while let Some(Way { from: Some((before, over)), .. }) = self.ways[at] {
            path.push(over);
            at = before;
        }
        path
    }
}
