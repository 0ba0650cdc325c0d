//! The entries themselves, by ordinal and by id, in 88 bytes each: 56 that decisions read, and the id beside.
//!
//! What is the same for many entries (who signed, when a block was) is kept once; what few have (a revocation)
//! lies beside.

use alloc::vec::Vec;

use hashbrown::HashTable;

use super::Revoked;
use super::keyed::HashKey;
use super::texts::TextId;
use super::track::EntryOrdinal;
use crate::record::{Effect, RecordId};
use crate::time::{LedgerTime, Window};

const NONE: u32 = u32::MAX;
/// More than a place in a set can be.
const NO_SET: u8 = u8::MAX;

/// An entry as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) index: u64,
    /// `max(iss, added)`.
    pub(crate) start: LedgerTime,
    /// `exp` in milliseconds; the greatest number for none, which no time reaches.
    end: u64,
    height: u32,
    pub(super) issuer: u32,
    pub(crate) sub: TextId,
    pub(crate) obj: TextId,
    pub(crate) act: TextId,
    cond: TextId,
    /// Among the revocations.
    revoked: u32,
    pub(crate) effect: Effect,
    /// The place in its set; [`NO_SET`] for none.
    member: u8,
}

impl Slot {
    pub(crate) fn member(&self) -> Option<u8> {
        (self.member != NO_SET).then_some(self.member)
    }

    pub(crate) fn height(&self) -> u64 {
        u64::from(self.height)
    }

    pub(crate) fn end(&self) -> Option<LedgerTime> {
        LedgerTime::from_millis(self.end).ok()
    }

    pub(crate) fn cond(&self) -> Option<TextId> {
        (self.cond != NONE).then_some(self.cond)
    }
}

/// What an entry is made from.
pub(super) struct NewSlot {
    pub(super) id: RecordId,
    pub(super) index: u64,
    pub(super) start: LedgerTime,
    pub(super) end: Option<LedgerTime>,
    pub(super) height: u64,
    pub(super) issuer: u32,
    pub(super) sub: TextId,
    pub(super) obj: TextId,
    pub(super) act: TextId,
    pub(super) cond: Option<TextId>,
    pub(super) effect: Effect,
    pub(super) member: Option<u8>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Entries {
    key: HashKey,
    slots: Vec<Slot>,
    ids: Vec<RecordId>,
    places: HashTable<EntryOrdinal>,
    revocations: Vec<Revoked>,
}

impl Entries {
    pub(super) fn new(key: HashKey) -> Self {
        Self { key, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    pub(super) fn get(&self, ordinal: EntryOrdinal) -> &Slot {
        &self.slots[ordinal as usize]
    }

    pub(super) fn find(&self, id: &RecordId) -> Option<EntryOrdinal> {
        self.places.find(self.key.of_id(id), |at| self.id(*at) == *id).copied()
    }

    pub(super) fn id(&self, ordinal: EntryOrdinal) -> RecordId {
        self.ids[ordinal as usize]
    }

    pub(super) fn push(&mut self, new: NewSlot) -> EntryOrdinal {
        let ordinal = u32::try_from(self.slots.len()).expect("a log holds fewer than 2^32 entries");
        let NewSlot { id, index, start, end, height, issuer, sub, obj, act, cond, effect, member } = new;
        self.ids.push(id);
        self.slots.push(Slot {
            index,
            start,
            end: end.map_or(u64::MAX, LedgerTime::as_millis),
            height: u32::try_from(height).expect("a chain has fewer than 2^32 blocks"),
            issuer,
            sub,
            obj,
            act,
            cond: cond.unwrap_or(NONE),
            revoked: NONE,
            effect,
            member: member.unwrap_or(NO_SET),
        });
        let Self { key, ids, places, .. } = self;
        places.insert_unique(key.of_id(&id), ordinal, |at| key.of_id(&ids[*at as usize]));
        ordinal
    }

    pub(super) fn revoke(&mut self, ordinal: EntryOrdinal, revoked: Revoked) {
        self.slots[ordinal as usize].revoked =
            u32::try_from(self.revocations.len()).expect("no more revocations than entries");
        self.revocations.push(revoked);
    }

    /// The revocation that ends an entry, if one does.
    pub(super) fn revoked(&self, slot: &Slot) -> Option<Revoked> {
        self.revocations.get(slot.revoked as usize).copied()
    }

    /// When an entry holds, by what is known at `height`.
    pub(super) fn window(&self, slot: &Slot, height: u64) -> Window {
        let revoked = self.revoked(slot).filter(|revoked| revoked.height <= height).map(|revoked| revoked.at);
        let end = match (slot.end(), revoked) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Window { start: slot.start, end }
    }
}
