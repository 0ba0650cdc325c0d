//! The access entries of a log, arranged so that a decision touches few of them.
//!
//! ```text
//!   (subject pattern, object pattern)  ->  grants, denials          what a question looks up
//!   subject pattern                    ->  memberships              where the closures go on
//!   subject pattern                    ->  denials that may cover a role
//!   subject pattern, object pattern    ->  their pairs              what a search walks
//!   id                                 ->  entry
//!   leaf                               ->  entries, and what came to be revoked there
//! ```
//!
//! Nothing is ever removed, since a question about the past must find what held then. But each list is
//! cut in two: *live* entries may still hold at or after the last block, *past* ones cannot. A question
//! about now reads live entries only, so dead ones cost it nothing.
//!
//! Every look-up costs the same however many entries there are: texts, pairs and ids lie in hash tables under
//! a key of this process. An entry takes 88 bytes, a pair 64, a text its own length and 16, and each a few
//! more in its table; an entry with an end some 24 more, one that was revoked 40.
//!
//! Everything here follows from the log and can be rebuilt from it.

mod endings;
mod entries;
mod keyed;
mod pairs;
mod texts;
mod track;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use hashbrown::HashMap;

use crate::name::{Action, ActionPattern, Name, Pattern};
use crate::record::{Access, Effect, RecordId, may_cover_role};
use crate::time::{LedgerTime, Window};
use endings::Endings;
use entries::{Entries, NewSlot};
use pairs::Pairs;
use texts::Texts;
use track::Track;

pub use keyed::HashKey;
pub use texts::TextId;
pub use track::EntryOrdinal;

pub(crate) use entries::Slot;
pub(crate) use pairs::{Glimpse, Mark, Pair};

/// An accepted access record at its place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its id.
    pub id: RecordId,
    /// Its leaf in the log: the entries of a set share one.
    pub index: u64,
    /// Its place among the members of the set that made it, from 0, if one did.
    pub member: Option<u8>,
    /// Its block.
    pub height: u64,
    /// The time of its block.
    pub added: LedgerTime,
    /// The ordinal of its authority.
    pub authority: u32,
    /// The ordinal of the root authority above it (itself, if it is one).
    pub root: u32,
    /// Which keys signed it: an ordinal among the sets of keys that signed anything.
    pub signers: u32,
    /// Granted or denied.
    pub effect: Effect,
    /// Who.
    pub sub: TextId,
    /// What.
    pub obj: TextId,
    /// Which action.
    pub act: TextId,
    /// `max(iss, added)`.
    pub start: LedgerTime,
    /// `exp`.
    pub end: Option<LedgerTime>,
    /// The revocation that ends it, if one does.
    pub revoked: Option<Revoked>,
    /// Its condition.
    pub cond: Option<&'a str>,
}

/// The revocation that ends an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// The revocation's leaf in the log.
    pub by: u64,
    /// The height from which it is known: the later of its block and its target's.
    pub height: u64,
    /// From when it counts: the time of that block.
    pub at: LedgerTime,
}

/// Who signed an entry: its authority, the root above it, and the set of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Issuer {
    authority: u32,
    root: u32,
    signers: u32,
}

/// All access entries of a log. See the module's doc.
#[derive(Clone, Debug)]
pub struct Index {
    texts: Texts,
    entries: Entries,
    issuers: Vec<Issuer>,
    pairs: Pairs,
    /// By text.
    memberships: Vec<Track>,
    role_denials: HashMap<TextId, Track, HashKey>,
    /// Live entries that end by themselves, soonest first.
    ending: BTreeSet<(LedgerTime, EntryOrdinal)>,
    /// Entries that were revoked, by the leaf from which that counts.
    endings: Endings,
    /// Exact roles that stand on some entry.
    roles: BTreeSet<TextId>,
    /// Exact actions that stand on some entry, and the height from which each does.
    actions: BTreeMap<TextId, u64>,
    genesis_time: LedgerTime,
    /// The time of each block, from height 1.
    times: Vec<LedgerTime>,
}

impl Index {
    /// The index of an empty log whose genesis is of `genesis_time`.
    pub fn new(genesis_time: LedgerTime, key: HashKey) -> Self {
        Self {
            texts: Texts::new(key),
            entries: Entries::new(key),
            issuers: Vec::new(),
            pairs: Pairs::new(key),
            memberships: Vec::new(),
            role_denials: HashMap::with_hasher(key),
            ending: BTreeSet::new(),
            endings: Endings::default(),
            roles: BTreeSet::new(),
            actions: BTreeMap::new(),
            genesis_time,
            times: Vec::new(),
        }
    }

    /// How many access entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All access entries, in the order of the log.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.entries_from(0)
    }

    /// The access entries from leaf `index` of the log on, in its order. O(log n) to begin.
    pub fn entries_from(&self, index: u64) -> impl Iterator<Item = Entry<'_>> {
        self.entries_from_member(index, 0)
    }

    /// The same, but of leaf `index` itself, if it is a set's, only from the member at place `member` on.
    pub fn entries_from_member(&self, index: u64, member: u8) -> impl Iterator<Item = Entry<'_>> {
        let slots = self.entries.slots();
        let first = slots.partition_point(|slot| (slot.index, slot.member().unwrap_or(0)) < (index, member));
        (first..slots.len()).filter_map(|at| Some(self.entry(EntryOrdinal::try_from(at).ok()?)))
    }

    /// The ordinals of the access entries from leaf `index` of the log on, each with its leaf. O(log n) to begin.
    pub(crate) fn added_from(&self, index: u64) -> impl Iterator<Item = (u64, EntryOrdinal)> + use<'_> {
        let slots = self.entries.slots();
        let first = slots.partition_point(|slot| slot.index < index);
        (first..slots.len()).filter_map(|at| Some((slots[at].index, EntryOrdinal::try_from(at).ok()?)))
    }

    /// The entries that came to be revoked at leaf `index` of the log or later, each with the leaf: the later of its
    /// own and its revocation's. In the order of the log. O(log n) to begin.
    pub(crate) fn revoked_from(&self, index: u64) -> impl Iterator<Item = (u64, EntryOrdinal)> + use<'_> {
        self.endings.from(index)
    }

    /// One entry.
    ///
    /// # Panics
    /// If there is no such entry: an ordinal comes from this index.
    pub fn entry(&self, ordinal: EntryOrdinal) -> Entry<'_> {
        let slot = self.entries.get(ordinal);
        let Issuer { authority, root, signers } = self.issuers[slot.issuer as usize];
        Entry {
            id: self.entries.id(ordinal),
            index: slot.index,
            member: slot.member(),
            height: slot.height(),
            added: self.time_of(slot.height()).expect("an entry's block has a time"),
            authority,
            root,
            signers,
            effect: slot.effect,
            sub: slot.sub,
            obj: slot.obj,
            act: slot.act,
            start: slot.start,
            end: slot.end(),
            revoked: self.entries.revoked(slot),
            cond: slot.cond().map(|cond| self.text(cond)),
        }
    }

    /// The access entries at leaf `index` of the log: none, one, or those of a set. O(log n) to begin.
    pub fn entries_at(&self, index: u64) -> impl Iterator<Item = Entry<'_>> {
        self.entries_from(index).take_while(move |entry| entry.index == index)
    }

    /// The ordinal of the access entry with this id, if there is one.
    pub fn by_id(&self, id: &RecordId) -> Option<EntryOrdinal> {
        self.entries.find(id)
    }

    /// An interned text.
    ///
    /// # Panics
    /// If there is no such text: an id comes from this index.
    pub fn text(&self, id: TextId) -> &str {
        self.texts.get(id)
    }

    /// The id of a text, if it stands on some entry.
    pub fn text_id(&self, text: &str) -> Option<TextId> {
        self.texts.find(text)
    }

    /// How many texts there are; their ids are the numbers below, in the order in which they came.
    pub fn texts(&self) -> usize {
        self.texts.len()
    }

    /// The time of a block; of height 0 the genesis time.
    pub fn time_of(&self, height: u64) -> Option<LedgerTime> {
        match height.checked_sub(1) {
            None => Some(self.genesis_time),
            Some(at) => self.times.get(usize::try_from(at).ok()?).copied(),
        }
    }

    /// The last height whose block's time is at most `time`; `None` before the genesis.
    pub fn height_at(&self, time: LedgerTime) -> Option<u64> {
        (self.genesis_time <= time).then(|| self.times.partition_point(|block| *block <= time) as u64)
    }

    /// The height of the last block.
    pub fn tip_height(&self) -> u64 {
        self.times.len() as u64
    }

    /// The time of the last block; of the genesis, if there is none.
    pub fn tip_time(&self) -> LedgerTime {
        self.times.last().copied().unwrap_or(self.genesis_time)
    }

    /// Whether a question from `lo` on, with knowledge up to `height`, needs past entries.
    pub(crate) fn needs_past(&self, lo: LedgerTime, height: u64) -> bool {
        lo < self.tip_time() || height < self.tip_height()
    }

    pub(crate) fn slot(&self, ordinal: EntryOrdinal) -> &Slot {
        self.entries.get(ordinal)
    }

    /// When an entry holds, by what is known at `height`.
    pub(crate) fn window(&self, slot: &Slot, height: u64) -> Window {
        self.entries.window(slot, height)
    }

    /// The revocation that ends an entry, if one does that is known at `height`.
    pub(crate) fn revoked_by(&self, slot: &Slot, height: u64) -> Option<Revoked> {
        self.entries.revoked(slot).filter(|revoked| revoked.height <= height)
    }

    /// The root authority above an entry's authority.
    pub(crate) fn root_of(&self, slot: &Slot) -> u32 {
        self.issuers[slot.issuer as usize].root
    }

    /// Whether an entry still counts against the bounds in a block of time `time`: neither revoked nor ended.
    fn is_live(&self, slot: &Slot, time: LedgerTime) -> bool {
        self.entries.revoked(slot).is_none() && slot.end().is_none_or(|end| end > time)
    }

    /// Calls `found` with the id of every pattern that covers the name `name` and stands on some entry, most
    /// specific first, and gives how many were looked up.
    pub(crate) fn covering(&self, name: &str, found: impl FnMut(TextId)) -> u32 {
        self.texts.covering(name, found)
    }

    /// As [`Index::covering`], for an exact role that stands on some entry: its own text need not be found.
    pub(crate) fn covering_role(&self, role: TextId, found: impl FnMut(TextId)) -> u32 {
        self.texts.covering_role(role, found)
    }

    /// The text `*`, if it stands on some entry.
    pub(crate) fn any(&self) -> Option<TextId> {
        self.texts.everything()
    }

    /// The id of an entry.
    pub(crate) fn id(&self, ordinal: EntryOrdinal) -> RecordId {
        self.entries.id(ordinal)
    }

    /// What can be told of a subject's pairs before looking for one.
    pub(crate) fn glimpse(&self, sub: TextId) -> Glimpse {
        self.pairs.glimpse(sub)
    }

    /// What an object is in a [`Glimpse`].
    pub(crate) fn mark(&self, obj: TextId) -> Mark {
        self.pairs.mark(obj)
    }

    pub(crate) fn pair(&self, sub: TextId, obj: TextId) -> Option<&Pair> {
        self.pairs.get(sub, obj)
    }

    /// The last leaf of the log that brought an entry on exactly these two, or ended one.
    pub(crate) fn changed(&self, sub: &str, obj: &str) -> Option<u64> {
        Some(self.pair(self.text_id(sub)?, self.text_id(obj)?)?.changed)
    }

    /// The pairs of a subject, as it stands on entries, in the order in which they came.
    pub(crate) fn pairs_of_sub(&self, sub: TextId) -> impl Iterator<Item = &Pair> {
        self.pairs.of_sub(sub)
    }

    /// The pairs of an object, as it stands on entries, in the order in which they came.
    pub(crate) fn pairs_of_obj(&self, obj: TextId) -> impl Iterator<Item = &Pair> {
        self.pairs.of_obj(obj)
    }

    /// The height from which a text stands on some entry as its subject.
    pub(crate) fn subject_since(&self, sub: TextId) -> Option<u64> {
        self.pairs_of_sub(sub).next().map(|pair| self.slot(pair.first).height())
    }

    /// The height from which a text stands on some entry as its object.
    pub(crate) fn object_since(&self, obj: TextId) -> Option<u64> {
        self.pairs_of_obj(obj).next().map(|pair| self.slot(pair.first).height())
    }

    /// Every exact role that stands on some entry, as a subject or as an object.
    pub(crate) fn roles(&self) -> impl Iterator<Item = TextId> {
        self.roles.iter().copied()
    }

    /// Every exact action that stands on some entry.
    pub(crate) fn actions(&self) -> impl Iterator<Item = TextId> {
        self.actions.keys().copied()
    }

    /// The height from which a text stands on some entry as its action, exactly.
    pub(crate) fn action_since(&self, act: TextId) -> Option<u64> {
        self.actions.get(&act).copied()
    }

    /// Live entries that end by themselves, soonest first, from (`time`, `ordinal`) on.
    pub(crate) fn ending_from(
        &self,
        time: LedgerTime,
        ordinal: EntryOrdinal,
    ) -> impl Iterator<Item = (LedgerTime, EntryOrdinal)> {
        self.ending.range((time, ordinal)..).copied()
    }

    /// Whether any entry has this text as its object.
    pub(crate) fn is_object(&self, text: TextId) -> bool {
        self.pairs.is_obj(text)
    }

    pub(crate) fn memberships(&self, sub: TextId, with_past: bool) -> impl Iterator<Item = EntryOrdinal> {
        self.memberships.get(sub as usize).into_iter().flat_map(move |track| track.read(with_past))
    }

    pub(crate) fn has_role_denials(&self) -> bool {
        !self.role_denials.is_empty()
    }

    pub(crate) fn role_denials(&self, sub: TextId, with_past: bool) -> impl Iterator<Item = EntryOrdinal> {
        self.role_denials.get(&sub).into_iter().flat_map(move |track| track.read(with_past))
    }

    pub(crate) fn role_denials_len(&self, sub: TextId, with_past: bool) -> usize {
        self.role_denials.get(&sub).map_or(0, |track| track.len(with_past))
    }

    /// The live grants of root `root` on exactly this subject, object and action.
    pub(crate) fn live_grants<'a>(
        &'a self,
        root: u32,
        access: &Access,
        time: LedgerTime,
    ) -> impl Iterator<Item = EntryOrdinal> + use<'a> {
        let found = (|| {
            let (sub, obj) = (self.text_id(access.sub.as_str())?, self.text_id(access.obj.as_str())?);
            Some((self.pair(sub, obj)?, self.text_id(access.act.as_str())?))
        })();
        found.into_iter().flat_map(move |(pair, act)| {
            pair.grants(false).filter(move |ordinal| {
                let slot = self.slot(*ordinal);
                self.root_of(slot) == root && slot.act == act && self.is_live(slot, time)
            })
        })
    }

    /// The live membership grants of root `root` of exactly this subject.
    pub(crate) fn live_memberships<'a>(
        &'a self,
        root: u32,
        access: &Access,
        time: LedgerTime,
    ) -> impl Iterator<Item = EntryOrdinal> + use<'a> {
        self.text_id(access.sub.as_str()).into_iter().flat_map(move |sub| {
            self.memberships(sub, false).filter(move |ordinal| {
                let slot = self.slot(*ordinal);
                self.root_of(slot) == root && self.is_live(slot, time)
            })
        })
    }

    /// Adds an entry of the block at `height` and gives its ordinal. Entries come in the order of the log.
    pub(crate) fn insert(&mut self, new: NewEntry<'_>) -> EntryOrdinal {
        let NewEntry { id, access, index, member, height, added, authority, root, signers } = new;
        let (sub, obj) = (self.texts.intern(access.sub.as_str()), self.texts.intern(access.obj.as_str()));
        let act = self.texts.intern(access.act.as_str());
        if access.act.as_exact().is_some() {
            self.actions.entry(act).or_insert(height);
        }
        let cond = access.cond.as_deref().map(|cond| self.texts.intern(cond));
        let issuer = self.intern_issuer(Issuer { authority, root, signers });
        let start = access.iss.map_or(added, |iss| iss.max(added));
        let (end, effect) = (access.exp, access.effect);
        let is_role = |name: &&Pattern| name.as_exact().is_some_and(Name::is_role);
        self.roles.extend(
            [(&access.sub, sub), (&access.obj, obj)].iter().filter(|(name, _)| is_role(name)).map(|(_, id)| *id),
        );
        let slot = NewSlot { id, index, start, end, height, issuer, sub, obj, act, cond, effect, member };
        let ordinal = self.entries.push(slot);
        let is_live = end.is_none_or(|end| end > added);
        if let (true, Some(end)) = (is_live, end) {
            self.ending.insert((end, ordinal));
        }
        self.tracks_of(ordinal, |track| track.push(ordinal, is_live)).changed = index;
        ordinal
    }

    /// Ends an entry. The first revocation in the log counts; a later one changes nothing.
    pub(crate) fn revoke(&mut self, ordinal: EntryOrdinal, revoked: Revoked) {
        let slot = self.entries.get(ordinal);
        if self.entries.revoked(slot).is_some() {
            return;
        }
        if let Some(end) = slot.end() {
            self.ending.remove(&(end, ordinal));
        }
        self.endings.push(slot.index.max(revoked.by), ordinal);
        self.entries.revoke(ordinal, revoked);
        let pair = self.tracks_of(ordinal, |track| track.retire(ordinal));
        // What waited for its target is older than that.
        pair.changed = pair.changed.max(revoked.by);
    }

    /// Moves to the next block, of time `time`: what ended by then is past.
    pub(crate) fn advance(&mut self, time: LedgerTime) {
        self.times.push(time);
        self.endings.settle();
        while let Some((end, ordinal)) = self.ending.first().copied() {
            if end > time {
                break;
            }
            self.ending.pop_first();
            self.tracks_of(ordinal, |track| track.retire(ordinal));
        }
    }

    /// Changes every list that an entry stands on, and gives its pair.
    fn tracks_of(&mut self, ordinal: EntryOrdinal, mut change: impl FnMut(&mut Track)) -> &mut Pair {
        let Slot { sub, obj, act, effect, .. } = *self.entries.get(ordinal);
        let is_member = self.texts.get(act) == Action::MEMBER;
        match effect {
            Effect::Grant if is_member => {
                let at = sub as usize;
                if self.memberships.len() <= at {
                    self.memberships.resize_with(at + 1, Track::default);
                }
                change(&mut self.memberships[at]);
            }
            Effect::Deny
                if (is_member || self.texts.get(act) == ActionPattern::ANY) && may_cover_role(self.texts.get(obj)) =>
            {
                change(self.role_denials.entry(sub).or_default());
            }
            Effect::Grant | Effect::Deny => {}
        }
        let pair = self.pairs.enter(sub, obj, ordinal);
        change(pair.track(effect));
        pair
    }

    fn intern_issuer(&mut self, issuer: Issuer) -> u32 {
        // Neighbours in the log are mostly of one issuer, and there are few issuers in all.
        let at = self.issuers.iter().rposition(|own| *own == issuer).unwrap_or_else(|| {
            self.issuers.push(issuer);
            self.issuers.len() - 1
        });
        u32::try_from(at).expect("no more issuers than entries")
    }
}

/// What the index takes in: an access statement and where it stands.
pub(crate) struct NewEntry<'a> {
    pub(crate) id: RecordId,
    pub(crate) access: &'a Access,
    pub(crate) index: u64,
    pub(crate) member: Option<u8>,
    pub(crate) height: u64,
    pub(crate) added: LedgerTime,
    pub(crate) authority: u32,
    pub(crate) root: u32,
    pub(crate) signers: u32,
}
