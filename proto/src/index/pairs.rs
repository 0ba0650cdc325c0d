//! What is said of each (subject, object), patterns as they stand; and from a subject or an object to its pairs.
//!
//! The pairs of a subject form a ring, in the order in which they came; so do those of an object. A text
//! knows its last pair, which knows the first.

use alloc::vec::Vec;

use hashbrown::HashTable;

use super::keyed::HashKey;
use super::texts::TextId;
use super::track::{EntryOrdinal, Track};
use crate::record::Effect;

type PairId = u32;

const NONE: PairId = PairId::MAX;

/// All entries on one subject and one object.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) sub: TextId,
    pub(crate) obj: TextId,
    /// The entry that named this pair first.
    pub(crate) first: EntryOrdinal,
    next_of_sub: PairId,
    next_of_obj: PairId,
    grants: Track,
    denials: Track,
}

impl Pair {
    pub(crate) fn grants(&self, with_past: bool) -> impl Iterator<Item = EntryOrdinal> + use<'_> {
        self.grants.read(with_past)
    }

    pub(crate) fn denials(&self, with_past: bool) -> impl Iterator<Item = EntryOrdinal> + use<'_> {
        self.denials.read(with_past)
    }

    pub(super) fn track(&mut self, effect: Effect) -> &mut Track {
        match effect {
            Effect::Grant => &mut self.grants,
            Effect::Deny => &mut self.denials,
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Pairs {
    key: HashKey,
    all: Vec<Pair>,
    places: HashTable<PairId>,
    /// By text: the last pair that it is the subject of.
    last_of_sub: Vec<PairId>,
    /// By text: the last pair that it is the object of.
    last_of_obj: Vec<PairId>,
}

impl Pairs {
    pub(super) fn new(key: HashKey) -> Self {
        Self { key, ..Self::default() }
    }

    pub(super) fn get(&self, sub: TextId, obj: TextId) -> Option<&Pair> {
        let at = self.places.find(hash(self.key, sub, obj), |at| self.is(*at, sub, obj))?;
        Some(&self.all[*at as usize])
    }

    /// The pairs of a subject, as it stands on entries, in the order in which they came.
    pub(super) fn of_sub(&self, sub: TextId) -> impl Iterator<Item = &Pair> {
        self.ring(last(&self.last_of_sub, sub), |pair| pair.next_of_sub)
    }

    /// The pairs of an object, as it stands on entries, in the order in which they came.
    pub(super) fn of_obj(&self, obj: TextId) -> impl Iterator<Item = &Pair> {
        self.ring(last(&self.last_of_obj, obj), |pair| pair.next_of_obj)
    }

    fn ring(&self, last: PairId, next: fn(&Pair) -> PairId) -> impl Iterator<Item = &Pair> {
        let pair = |at: PairId| &self.all[at as usize];
        let first = (last != NONE).then(|| next(pair(last)));
        core::iter::successors(first, move |at| (*at != last).then(|| next(pair(*at)))).map(pair)
    }

    /// The pair of these two, made if it is not there; `entry` is what names it.
    pub(super) fn enter(&mut self, sub: TextId, obj: TextId, entry: EntryOrdinal) -> &mut Pair {
        let hash_of_it = hash(self.key, sub, obj);
        let found = self.places.find(hash_of_it, |at| self.is(*at, sub, obj)).copied();
        let at = found.unwrap_or_else(|| self.push(sub, obj, entry, hash_of_it));
        &mut self.all[at as usize]
    }

    pub(super) fn get_mut(&mut self, sub: TextId, obj: TextId) -> Option<&mut Pair> {
        let at = *self.places.find(hash(self.key, sub, obj), |at| self.is(*at, sub, obj))?;
        Some(&mut self.all[at as usize])
    }

    fn push(&mut self, sub: TextId, obj: TextId, entry: EntryOrdinal, hash_of_it: u64) -> PairId {
        let at = u32::try_from(self.all.len()).expect("there are no more pairs than entries");
        let (last_of_sub, last_of_obj) = (last(&self.last_of_sub, sub), last(&self.last_of_obj, obj));
        let mut pair = Pair {
            sub,
            obj,
            first: entry,
            next_of_sub: at,
            next_of_obj: at,
            grants: Track::default(),
            denials: Track::default(),
        };
        if let Some(last) = self.all.get_mut(last_of_sub as usize) {
            pair.next_of_sub = core::mem::replace(&mut last.next_of_sub, at);
        }
        if let Some(last) = self.all.get_mut(last_of_obj as usize) {
            pair.next_of_obj = core::mem::replace(&mut last.next_of_obj, at);
        }
        set_last(&mut self.last_of_sub, sub, at);
        set_last(&mut self.last_of_obj, obj, at);
        self.all.push(pair);
        let Self { key, all, places, .. } = self;
        places.insert_unique(hash_of_it, at, |at| hash(*key, all[*at as usize].sub, all[*at as usize].obj));
        at
    }

    fn is(&self, at: PairId, sub: TextId, obj: TextId) -> bool {
        let pair = &self.all[at as usize];
        pair.sub == sub && pair.obj == obj
    }
}

fn hash(key: HashKey, sub: TextId, obj: TextId) -> u64 {
    key.of_bytes(&(u64::from(sub) << 32 | u64::from(obj)).to_le_bytes())
}

fn last(lasts: &[PairId], text: TextId) -> PairId {
    lasts.get(text as usize).copied().unwrap_or(NONE)
}

fn set_last(lasts: &mut Vec<PairId>, text: TextId, at: PairId) {
    let text = text as usize;
    if lasts.len() <= text {
        lasts.resize(text + 1, NONE);
    }
    lasts[text] = at;
}
