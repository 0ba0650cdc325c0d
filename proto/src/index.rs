//! The access entries of a log, arranged so that a decision touches few of them.
//!
//! ```text
//!   (subject pattern, object pattern)  ->  grants, denials          what a question looks up
//!   subject pattern                    ->  memberships              where the closures go on
//!   subject pattern                    ->  denials that may cover a role
//! ```
//!
//! Nothing is ever removed, since a question about the past must find what held then. But each list is
//! cut in two: *live* entries may still hold at or after the last block, *past* ones cannot. A question
//! about now reads live entries only, so dead ones cost it nothing.
//!
//! Everything here follows from the log and can be rebuilt from it.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::name::ActionPattern;
use crate::record::{Access, Effect, may_cover_role};
use crate::time::{LedgerTime, Window};

/// An interned text: a name, pattern or action that stands on some entry.
pub type TextId = u32;
/// The place of an entry among the access entries, from 0. (Its *index* is its leaf in the log.)
pub type EntryOrdinal = u32;

/// An accepted access record at its place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its leaf in the log.
    pub index: u64,
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
    pub cond: Option<Box<str>>,
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

impl Entry {
    /// When it holds, by what is known at `height`.
    pub fn window(&self, height: u64) -> Window {
        let revoked = self.revoked_by(height).map(|revoked| revoked.at);
        let end = match (self.end, revoked) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Window { start: self.start, end }
    }

    /// The revocation, if it is known at `height`.
    pub fn revoked_by(&self, height: u64) -> Option<Revoked> {
        self.revoked.filter(|revoked| revoked.height <= height)
    }

    /// Whether it still counts against the bounds in a block of time `time`: neither revoked nor ended.
    pub fn is_live(&self, time: LedgerTime) -> bool {
        self.revoked.is_none() && self.end.is_none_or(|end| end > time)
    }
}

/// The two parts of a list of entries.
#[derive(Clone, Debug, Default)]
pub(crate) struct Track {
    live: Vec<EntryOrdinal>,
    past: Vec<EntryOrdinal>,
}

impl Track {
    /// The live entries, and the past ones too where the question needs them.
    fn read(&self, with_past: bool) -> impl Iterator<Item = EntryOrdinal> {
        let past: &[EntryOrdinal] = if with_past { &self.past } else { &[] };
        self.live.iter().chain(past).copied()
    }

    fn len(&self, with_past: bool) -> usize {
        self.live.len() + if with_past { self.past.len() } else { 0 }
    }

    fn retire(&mut self, entry: EntryOrdinal) {
        // Ordinals are pushed in ascending order and removal keeps it, so the list is sorted.
        if let Ok(at) = self.live.binary_search(&entry) {
            self.live.remove(at);
            self.past.push(entry);
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Pair {
    grants: Track,
    denials: Track,
}

/// All access entries of a log. See the module's doc.
#[derive(Clone, Debug)]
pub struct Index {
    ids: BTreeMap<Arc<str>, TextId>,
    texts: Vec<Arc<str>>,
    entries: Vec<Entry>,
    pairs: BTreeMap<(TextId, TextId), Pair>,
    memberships: BTreeMap<TextId, Track>,
    role_denials: BTreeMap<TextId, Track>,
    /// Live entries that end by themselves, soonest first.
    ending: BTreeSet<(LedgerTime, EntryOrdinal)>,
    tip_time: LedgerTime,
    tip_height: u64,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            ids: BTreeMap::new(),
            texts: Vec::new(),
            entries: Vec::new(),
            pairs: BTreeMap::new(),
            memberships: BTreeMap::new(),
            role_denials: BTreeMap::new(),
            ending: BTreeSet::new(),
            tip_time: LedgerTime::EPOCH,
            tip_height: 0,
        }
    }
}

impl Index {
    /// How many access entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All access entries, in the order of the log.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// One entry.
    ///
    /// # Panics
    /// If there is no such entry: an ordinal comes from this index.
    pub fn entry(&self, ordinal: EntryOrdinal) -> &Entry {
        &self.entries[ordinal as usize]
    }

    /// An interned text.
    ///
    /// # Panics
    /// If there is no such text: an id comes from this index.
    pub fn text(&self, id: TextId) -> &Arc<str> {
        &self.texts[id as usize]
    }

    /// The id of a text, if it stands on some entry.
    pub fn text_id(&self, text: &str) -> Option<TextId> {
        self.ids.get(text).copied()
    }

    /// The access entry at leaf `index` of the log, if there is one. O(log n).
    pub fn by_index(&self, index: u64) -> Option<&Entry> {
        let at = self.entries.binary_search_by_key(&index, |entry| entry.index).ok()?;
        self.entries.get(at)
    }

    /// Whether a question from `lo` on, with knowledge up to `height`, needs past entries.
    pub(crate) fn needs_past(&self, lo: LedgerTime, height: u64) -> bool {
        lo < self.tip_time || height < self.tip_height
    }

    pub(crate) fn grants(&self, sub: TextId, obj: TextId, with_past: bool) -> impl Iterator<Item = EntryOrdinal> {
        self.pairs.get(&(sub, obj)).into_iter().flat_map(move |pair| pair.grants.read(with_past))
    }

    pub(crate) fn denials(&self, sub: TextId, obj: TextId, with_past: bool) -> impl Iterator<Item = EntryOrdinal> {
        self.pairs.get(&(sub, obj)).into_iter().flat_map(move |pair| pair.denials.read(with_past))
    }

    pub(crate) fn memberships(&self, sub: TextId, with_past: bool) -> impl Iterator<Item = EntryOrdinal> {
        self.memberships.get(&sub).into_iter().flat_map(move |track| track.read(with_past))
    }

    pub(crate) fn role_denials(&self, sub: TextId, with_past: bool) -> impl Iterator<Item = EntryOrdinal> {
        self.role_denials.get(&sub).into_iter().flat_map(move |track| track.read(with_past))
    }

    pub(crate) fn role_denials_len(&self, sub: TextId, with_past: bool) -> usize {
        self.role_denials.get(&sub).map_or(0, |track| track.len(with_past))
    }

    /// How many live grants of root `root` stand on exactly this subject, object and action.
    pub(crate) fn live_grants<'a>(
        &'a self,
        root: u32,
        access: &Access,
        time: LedgerTime,
    ) -> impl Iterator<Item = EntryOrdinal> + use<'a> {
        let key = (|| {
            Some((
                self.text_id(access.sub.as_str())?,
                self.text_id(access.obj.as_str())?,
                self.text_id(access.act.as_str())?,
            ))
        })();
        key.into_iter().flat_map(move |(sub, obj, act)| {
            self.grants(sub, obj, false).filter(move |ordinal| {
                let entry = self.entry(*ordinal);
                entry.root == root && entry.act == act && entry.is_live(time)
            })
        })
    }

    /// How many live membership grants of root `root` stand on exactly this subject.
    pub(crate) fn live_memberships<'a>(
        &'a self,
        root: u32,
        access: &Access,
        time: LedgerTime,
    ) -> impl Iterator<Item = EntryOrdinal> + use<'a> {
        self.text_id(access.sub.as_str()).into_iter().flat_map(move |sub| {
            self.memberships(sub, false).filter(move |ordinal| {
                let entry = self.entry(*ordinal);
                entry.root == root && entry.is_live(time)
            })
        })
    }

    fn intern(&mut self, text: &str) -> TextId {
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        let id = u32::try_from(self.texts.len()).expect("a log names fewer than 2^32 texts");
        let text: Arc<str> = text.into();
        self.texts.push(text.clone());
        self.ids.insert(text, id);
        id
    }

    /// Adds an entry and gives its ordinal. Entries come in the order of the log.
    pub(crate) fn insert(&mut self, place: NewEntry<'_>) -> EntryOrdinal {
        let NewEntry { access, index, height, added, authority, root, signers, revoked } = place;
        let ordinal = u32::try_from(self.entries.len()).expect("a log holds fewer than 2^32 entries");
        let (sub, obj) = (self.intern(access.sub.as_str()), self.intern(access.obj.as_str()));
        let act = self.intern(access.act.as_str());
        let entry = Entry {
            index,
            height,
            added,
            authority,
            root,
            signers,
            effect: access.effect,
            sub,
            obj,
            act,
            start: access.iss.map_or(added, |iss| iss.max(added)),
            end: access.exp,
            revoked,
            cond: access.cond.as_deref().map(Box::from),
        };
        let live = entry.is_live(added);
        if let (true, Some(end)) = (live, entry.end) {
            self.ending.insert((end, ordinal));
        }
        self.entries.push(entry);
        for track in self.tracks_of(ordinal) {
            if live { track.live.push(ordinal) } else { track.past.push(ordinal) }
        }
        ordinal
    }

    /// Ends an entry. The first revocation in the log counts; a later one changes nothing.
    pub(crate) fn revoke(&mut self, ordinal: EntryOrdinal, revoked: Revoked) {
        let entry = &mut self.entries[ordinal as usize];
        if entry.revoked.is_some() {
            return;
        }
        entry.revoked = Some(revoked);
        if let Some(end) = entry.end {
            self.ending.remove(&(end, ordinal));
        }
        for track in self.tracks_of(ordinal) {
            track.retire(ordinal);
        }
    }

    /// Moves to a block's height and time: what ended by then is past.
    pub(crate) fn advance(&mut self, height: u64, time: LedgerTime) {
        self.tip_height = height;
        self.tip_time = time;
        while let Some((end, ordinal)) = self.ending.first().copied() {
            if end > time {
                break;
            }
            self.ending.pop_first();
            for track in self.tracks_of(ordinal) {
                track.retire(ordinal);
            }
        }
    }

    /// Every list that an entry stands on.
    fn tracks_of(&mut self, ordinal: EntryOrdinal) -> impl Iterator<Item = &mut Track> {
        let Entry { sub, obj, act, effect, .. } = self.entries[ordinal as usize];
        let is_member = |act: &str| act == crate::name::Action::MEMBER;
        let (membership, role_denial) = match effect {
            Effect::Grant => (is_member(&self.texts[act as usize]), false),
            Effect::Deny => {
                let act = &self.texts[act as usize];
                (false, (is_member(act) || &**act == ActionPattern::ANY) && may_cover_role(&self.texts[obj as usize]))
            }
        };
        let pair = self.pairs.entry((sub, obj)).or_default();
        let track = match effect {
            Effect::Grant => &mut pair.grants,
            Effect::Deny => &mut pair.denials,
        };
        let membership = membership.then(|| self.memberships.entry(sub).or_default());
        let role_denial = role_denial.then(|| self.role_denials.entry(sub).or_default());
        [Some(track), membership, role_denial].into_iter().flatten()
    }
}

/// What the index takes in: an access statement and where it stands.
pub(crate) struct NewEntry<'a> {
    pub(crate) access: &'a Access,
    pub(crate) index: u64,
    pub(crate) height: u64,
    pub(crate) added: LedgerTime,
    pub(crate) authority: u32,
    pub(crate) root: u32,
    pub(crate) signers: u32,
    pub(crate) revoked: Option<Revoked>,
}
