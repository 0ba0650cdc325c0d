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
    /// The last leaf of the log that brought an entry on them, or ended one.
    pub(crate) changed: u64,
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
    /// By text.
    ends: Vec<Ends>,
}

/// Where a text's rings are, and which objects its pairs may have.
#[derive(Clone, Copy, Debug)]
struct Ends {
    /// The last pair that the text is the subject of.
    of_sub: PairId,
    /// The last pair that it is the object of.
    of_obj: PairId,
    /// The marks of the objects of its pairs.
    marks: u64,
}

const NO_ENDS: Ends = Ends { of_sub: NONE, of_obj: NONE, marks: 0 };

/// What can be told of a subject's pairs before looking for one: a Bloom filter of their objects in 64 bits.
/// Most pairs that a decision asks for are not there, and most subjects have few.
#[derive(Clone, Copy)]
pub(crate) struct Glimpse(u64);

/// One bit for an object.
#[derive(Clone, Copy)]
pub(crate) struct Mark(u64);

impl Glimpse {
    /// Whether there may be a pair with the object of this mark; if not, there is none.
    pub(crate) fn may_have(self, mark: Mark) -> bool {
        self.0 & mark.0 != 0
    }
}

impl Pairs {
    pub(super) fn new(key: HashKey) -> Self {
        Self { key, ..Self::default() }
    }

    pub(super) fn get(&self, sub: TextId, obj: TextId) -> Option<&Pair> {
        let at = self.places.find(hash(self.key, sub, obj), |at| self.is(*at, sub, obj))?;
        Some(&self.all[*at as usize])
    }

    pub(super) fn glimpse(&self, sub: TextId) -> Glimpse {
        Glimpse(self.ends(sub).marks)
    }

    pub(super) fn mark(&self, obj: TextId) -> Mark {
        Mark(1 << (self.key.of_number(u64::from(obj)) >> 58))
    }

    /// Whether any pair has this text as its object.
    pub(super) fn is_obj(&self, text: TextId) -> bool {
        self.ends(text).of_obj != NONE
    }

    /// The pairs of a subject, as it stands on entries, in the order in which they came.
    pub(super) fn of_sub(&self, sub: TextId) -> impl Iterator<Item = &Pair> {
        self.ring(self.ends(sub).of_sub, |pair| pair.next_of_sub)
    }

    /// The pairs of an object, as it stands on entries, in the order in which they came.
    pub(super) fn of_obj(&self, obj: TextId) -> impl Iterator<Item = &Pair> {
        self.ring(self.ends(obj).of_obj, |pair| pair.next_of_obj)
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

    fn push(&mut self, sub: TextId, obj: TextId, entry: EntryOrdinal, hash_of_it: u64) -> PairId {
        let at = u32::try_from(self.all.len()).expect("there are no more pairs than entries");
        let (last_of_sub, last_of_obj) = (self.ends(sub).of_sub, self.ends(obj).of_obj);
        let mut pair = Pair {
            sub,
            obj,
            first: entry,
            changed: 0,
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
        let mark = self.mark(obj);
        let of_sub = self.ends_mut(sub);
        of_sub.of_sub = at;
        of_sub.marks |= mark.0;
        self.ends_mut(obj).of_obj = at;
        self.all.push(pair);
        let Self { key, all, places, .. } = self;
        places.insert_unique(hash_of_it, at, |at| hash(*key, all[*at as usize].sub, all[*at as usize].obj));
        at
    }

    fn ends(&self, text: TextId) -> Ends {
        self.ends.get(text as usize).copied().unwrap_or(NO_ENDS)
    }

    fn ends_mut(&mut self, text: TextId) -> &mut Ends {
        let text = text as usize;
        if self.ends.len() <= text {
            self.ends.resize(text + 1, NO_ENDS);
        }
        &mut self.ends[text]
    }

    fn is(&self, at: PairId, sub: TextId, obj: TextId) -> bool {
        let pair = &self.all[at as usize];
        pair.sub == sub && pair.obj == obj
    }
}

fn hash(key: HashKey, sub: TextId, obj: TextId) -> u64 {
    key.of_number(u64::from(sub) << 32 | u64::from(obj))
}
