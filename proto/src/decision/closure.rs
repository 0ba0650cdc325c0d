//! Which roles a subject reaches: the wide closure W, the denied roles D, the narrow closure N.
//!
//! W is walked once, level by level, and remembers every membership grant it followed as an edge. N and
//! its variants walk those edges again with stricter eyes; since they only ever take edges of W, they
//! are subsets of it.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use smallvec::{SmallVec, smallvec};

use super::reader::{Party, Reader};
use super::{ReachedRole, Truth};
use crate::index::{EntryOrdinal, Index, TextId};
use crate::limits::CLOSURE_ROLES_MAX;
use crate::name::{Action, ActionPattern, covers_text};

/// A membership grant that was followed: from a text that covers names of W to a role, by its place.
///
/// One that stands on a pattern leads on from each name below it, and would be as many edges if it began at names: the
/// product of two bounds, which one root alone could reach for everybody.
#[derive(Clone, Copy)]
struct Edge {
    from: TextId,
    to: usize,
    over: EntryOrdinal,
    truth: Truth,
    throughout: bool,
    root: u32,
}

/// A membership grant that leads on: to which role, from which text.
type Lead = (TextId, TextId, EntryOrdinal);

/// A name in W. Place 0 is the subject of the question.
struct Reached {
    /// The role's text; the subject itself may stand on no entry at all.
    role: Option<TextId>,
    /// The texts on entries that cover this name, among [`Wide::covering`].
    covering: Range<usize>,
    /// Over which grant it was first reached; none for the subject.
    over: Option<EntryOrdinal>,
    /// Reached over conditions that are true only (W!).
    definite: bool,
}

/// A text on entries that covers names in W, and so carries their grants and denials.
pub(super) struct Bearer {
    pub(super) text: TextId,
    /// Whether it covers a name in W!.
    pub(super) definite: bool,
    /// Which names it covers, among [`Wide::borne`].
    names: Range<usize>,
}

/// Steps 5 and 6: the wide closure.
pub(super) struct Wide {
    names: SmallVec<[Reached; 8]>,
    covering: SmallVec<[TextId; 16]>,
    /// By the text that they begin at, once the walk is over.
    edges: SmallVec<[Edge; 8]>,
    places: BTreeMap<TextId, usize>,
    /// Who bears entries, ascending, and the places of the names that each covers.
    bearers: SmallVec<[Bearer; 16]>,
    borne: SmallVec<[usize; 16]>,
    /// The subject, if it is a role that stands on no entry: it has no place by text.
    unnamed_role: Option<String>,
    cut: BTreeSet<u32>,
}

impl Wide {
    pub(super) fn of(reader: &mut Reader<'_>, subject: &Party<'_>) -> Self {
        let own = subject.own.filter(|_| subject.is_role());
        let mut wide = Self {
            names: smallvec![Reached { role: own, covering: 0..subject.covering.len(), over: None, definite: true }],
            covering: subject.covering.iter().copied().collect(),
            edges: SmallVec::new(),
            places: own.into_iter().map(|own| (own, 0)).collect(),
            bearers: SmallVec::new(),
            borne: SmallVec::new(),
            unnamed_role: (subject.is_role() && own.is_none()).then(|| subject.text.clone().into_owned()),
            cut: BTreeSet::new(),
        };
        let (mut counted, mut led) = (None, BTreeSet::new());
        let mut level = 0..1;
        while !level.is_empty() {
            let next = wide.names.len();
            for (role, from, over) in wide.leads(reader, &mut led, level) {
                wide.follow(reader, &mut counted, role, from, over);
            }
            level = next..wide.names.len();
        }
        wide.edges.sort_by_key(|edge| edge.from);
        wide.mark_definite();
        wide.list_bearers();
        wide
    }

    /// The membership grants that lead on from the names at `level`, in the order in which budgets count:
    /// by role bytewise, then as in the log. Those of a text that led on from an earlier level are not among them:
    /// where they lead is known.
    fn leads(&self, reader: &mut Reader<'_>, led: &mut BTreeSet<TextId>, level: Range<usize>) -> SmallVec<[Lead; 8]> {
        let index = reader.index;
        let mut leads: SmallVec<[Lead; 8]> = SmallVec::new();
        for name in level {
            for from in &self.covering[self.names[name].covering.clone()] {
                reader.lookups += 1;
                let mut memberships = index.memberships(*from, reader.with_past).peekable();
                if memberships.peek().is_none() || !led.insert(*from) {
                    continue;
                }
                for ordinal in memberships {
                    let entry = index.slot(ordinal);
                    reader.note(entry);
                    if reader.holds_somewhere(entry) && reader.truth(entry) != Truth::False {
                        leads.push((entry.obj, *from, ordinal));
                    }
                }
            }
        }
        if self.names.len() + leads.len() > CLOSURE_ROLES_MAX {
            leads.sort_by(|a, b| index.text(a.0).cmp(index.text(b.0)).then(a.2.cmp(&b.2)));
        } else {
            // No budget can run out, so any fixed order does.
            leads.sort_unstable_by_key(|(role, _, over)| (*role, *over));
        }
        leads
    }

    /// Follows one membership grant, if its root's budget allows.
    fn follow(
        &mut self,
        reader: &mut Reader<'_>,
        counted: &mut Option<BTreeMap<u32, BTreeSet<usize>>>,
        role: TextId,
        from: TextId,
        over: EntryOrdinal,
    ) {
        let entry = reader.index.slot(over);
        let root = reader.index.root_of(entry);
        let known = self.places.get(&role).copied();
        if known == Some(0) || self.cut.contains(&root) {
            return;
        }
        let to = known.unwrap_or(self.names.len());
        // Who reached no more roles than fit one budget cannot have used one up: counting begins late.
        if self.names.len() > CLOSURE_ROLES_MAX {
            let roles = counted.get_or_insert_with(|| self.count()).entry(root).or_default();
            if !roles.contains(&to) && roles.len() == CLOSURE_ROLES_MAX {
                self.cut.insert(root);
                return;
            }
            roles.insert(to);
        }
        if known.is_none() {
            let begin = self.covering.len();
            let covering = &mut self.covering;
            reader.lookups += reader.index.covering_role(role, |id| covering.push(id));
            self.places.insert(role, to);
            let covering = begin..self.covering.len();
            self.names.push(Reached { role: Some(role), covering, over: Some(over), definite: false });
        }
        let (truth, throughout) = (reader.truth(entry), reader.holds_throughout(entry));
        self.edges.push(Edge { from, to, over, truth, throughout, root });
    }

    /// The places of the roles reached so far, by the root over whose grants.
    fn count(&self) -> BTreeMap<u32, BTreeSet<usize>> {
        let mut counted: BTreeMap<u32, BTreeSet<usize>> = BTreeMap::new();
        for edge in &self.edges {
            counted.entry(edge.root).or_default().insert(edge.to);
        }
        counted
    }

    fn mark_definite(&mut self) {
        // Every name is the end of an edge: where no membership is in doubt, none of them is.
        if self.edges.iter().all(|edge| edge.truth == Truth::True) {
            self.names.iter_mut().for_each(|name| name.definite = true);
            return;
        }
        let certain = Ways::of(self, &[Truth::True]);
        for (place, name) in self.names.iter_mut().enumerate() {
            name.definite = certain.contains(place);
        }
    }

    /// The edges that begin at a text, by their places.
    fn edges_from(&self, text: TextId) -> Range<usize> {
        let begin = self.edges.partition_point(|edge| edge.from < text);
        let end = begin + self.edges[begin..].partition_point(|edge| edge.from == text);
        begin..end
    }

    fn list_bearers(&mut self) {
        let mut borne: SmallVec<[(TextId, usize); 16]> = SmallVec::new();
        for (place, name) in self.names.iter().enumerate() {
            borne.extend(self.covering[name.covering.clone()].iter().map(|text| (*text, place)));
        }
        borne.sort_unstable();
        self.borne = borne.iter().map(|(_, place)| *place).collect();
        let mut begin = 0;
        for names in borne.chunk_by(|a, b| a.0 == b.0) {
            let end = begin + names.len();
            let definite = names.iter().any(|(_, place)| self.names[*place].definite);
            self.bearers.push(Bearer { text: names[0].0, definite, names: begin..end });
            begin = end;
        }
    }

    /// Every text on entries that covers a name in W, once, ascending.
    pub(super) fn bearers(&self) -> &[Bearer] {
        &self.bearers
    }

    /// Step 7: the roles in W that a membership denial covers, and whether one does so definitely.
    pub(super) fn denied_roles(&self, reader: &mut Reader<'_>) -> BTreeMap<TextId, bool> {
        let mut denied: BTreeMap<TextId, bool> = BTreeMap::new();
        let index = reader.index;
        if !index.has_role_denials() || (self.places.is_empty() && self.unnamed_role.is_none()) {
            return denied;
        }
        for bearer in &self.bearers {
            reader.lookups += 1;
            // A subject with more role denials than W has roles is asked role by role.
            let few = index.role_denials_len(bearer.text, reader.with_past) <= 4 * self.places.len();
            let ordinals: Vec<EntryOrdinal> = if few {
                index.role_denials(bearer.text, reader.with_past).collect()
            } else {
                self.role_denials_by_key(reader, bearer.text)
            };
            for ordinal in ordinals {
                let entry = index.slot(ordinal);
                let covered = self.roles_covered(index, entry.obj);
                if covered.is_empty() && !self.covers_unnamed_role(index, entry.obj) {
                    continue;
                }
                reader.note(entry);
                if !reader.holds_somewhere(entry) {
                    continue;
                }
                let definite = match reader.truth(entry) {
                    Truth::True => bearer.definite,
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
        let named = self.places.keys().map(|role| index.text(*role));
        for name in named.chain(self.unnamed_role.as_deref()) {
            reader.lookups += index.covering(name, |id| {
                objects.insert(id);
            });
        }
        let mut ordinals = Vec::new();
        for obj in objects {
            let Some(pair) = reader.pair(sub, obj) else { continue };
            let is_role_denial = |ordinal: &EntryOrdinal| {
                matches!(index.text(index.slot(*ordinal).act), ActionPattern::ANY | Action::MEMBER)
            };
            ordinals.extend(pair.denials(reader.with_past).filter(is_role_denial));
        }
        ordinals
    }

    /// The roles in W that the pattern `obj` covers.
    fn roles_covered(&self, index: &Index, obj: TextId) -> Vec<TextId> {
        if self.places.contains_key(&obj) {
            return vec![obj];
        }
        let pattern = index.text(obj);
        if !pattern.ends_with('*') {
            return Vec::new();
        }
        self.places.keys().filter(|role| covers_text(pattern, index.text(**role))).copied().collect()
    }

    fn covers_unnamed_role(&self, index: &Index, obj: TextId) -> bool {
        self.unnamed_role.as_deref().is_some_and(|role| covers_text(index.text(obj), role))
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
        narrow: &Ways,
    ) -> Vec<ReachedRole> {
        let reached = |(place, name): (usize, &Reached)| {
            let (role, over) = (name.role?, name.over?);
            Some(ReachedRole {
                role: index.text(role).into(),
                over: index.id(over),
                denied: is_denied(role),
                entered: narrow.contains(place),
            })
        };
        self.names.iter().enumerate().filter_map(reached).collect()
    }
}

/// A part of W as the places that are reached, with one shortest way to each.
pub(super) struct Ways {
    /// By place in W: the level, and the edge over which it was reached (none for the subject).
    ways: SmallVec<[Option<Way>; 8]>,
}

#[derive(Clone, Copy)]
struct Way {
    level: usize,
    from: Option<(usize, EntryOrdinal)>,
}

impl Ways {
    /// All that is reached over conditions among `accepted`.
    pub(super) fn of(wide: &Wide, accepted: &[Truth]) -> Self {
        Self::over(wide, |edge| accepted.contains(&edge.truth))
    }

    /// Step 9, the narrow closure: what is reached over memberships that hold throughout, with a condition among
    /// `accepted`, of roots that are not cut, to roles that are not denied.
    pub(super) fn narrow(wide: &Wide, is_denied: impl Fn(TextId) -> bool, accepted: &[Truth]) -> Self {
        Self::over(wide, |edge| {
            let denied = wide.names[edge.to].role.is_some_and(&is_denied);
            edge.throughout && accepted.contains(&edge.truth) && !wide.cut.contains(&edge.root) && !denied
        })
    }

    fn over(wide: &Wide, follows: impl Fn(&Edge) -> bool) -> Self {
        let mut ways: SmallVec<[Option<Way>; 8]> = smallvec![None; wide.names.len()];
        ways[0] = Some(Way { level: 0, from: None });
        let mut walked: SmallVec<[bool; 8]> = smallvec![false; wide.edges.len()];
        let mut level: SmallVec<[usize; 8]> = smallvec![0];
        for depth in 1.. {
            let mut next = SmallVec::new();
            for at in level {
                for text in &wide.covering[wide.names[at].covering.clone()] {
                    let edges = wide.edges_from(*text);
                    // Further names below one pattern lead nowhere else.
                    if edges.is_empty() || core::mem::replace(&mut walked[edges.start], true) {
                        continue;
                    }
                    for edge in &wide.edges[edges] {
                        if ways[edge.to].is_none() && follows(edge) {
                            ways[edge.to] = Some(Way { level: depth, from: Some((at, edge.over)) });
                            next.push(edge.to);
                        }
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

    /// The nearest name reached that `bearer` covers, by its place in W.
    pub(super) fn nearest(&self, wide: &Wide, bearer: &Bearer) -> Option<usize> {
        let names = wide.borne[bearer.names.clone()].iter();
        let reached = names.filter_map(|place| Some((self.ways[*place]?.level, *place)));
        reached.min().map(|(_, place)| place)
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
