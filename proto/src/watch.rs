//! What happened, in the order of the log, and who wants to hear of it.
//!
//! Two things happen to access entries: one comes in, and one comes to be revoked. At a leaf of the log there may be
//! several of both, in one order:
//!
//! ```text
//!   leaf 4   entry A comes in                                 4.1
//!   leaf 5   (a commit leaf, a record of another kind)
//!   leaf 6   revocation of A                                  6.1     A is revoked
//!   leaf 7   revocation of B, which is not there yet                  nothing yet
//!   leaf 9   entry B comes in, and its revocation waited      9.1     B comes in
//!                                                             9.2     B is revoked
//! ```
//!
//! Behind each stands the [`Place`] of somebody who was told of it and of all before. All of it follows from the log
//! alone, so every node tells the same in the same order, and a place that one node gave is one at which another can go on.
//!
//! [`Interest`] says of which entries somebody wants to hear. The words of an entry and those of an interest are both
//! patterns; an entry is told if the two **overlap**, that is, if one of them covers the other. So nothing that can bear on
//! a name below the interest is left out, be it written of that name, of what lies above it, or of everything.
//!
//! Left out on purpose: records that were rejected, which never count, and what happens by time alone (an entry that
//! begins or ends), which the entry told when it came.

mod id;
mod interest;

use core::iter::Peekable;

pub use id::{BadEventId, EventId};
pub use interest::{Interest, Listening};

use crate::index::{EntryOrdinal, Index};

/// How far somebody was told: of everything before leaf `leaf`, and of the first `told` events of that leaf.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The leaf.
    pub leaf: u64,
    /// How many events of the leaf.
    pub told: u32,
}

impl Place {
    /// The place of who was told of everything in a log of this size.
    pub const fn before(leaf: u64) -> Self {
        Self { leaf, told: 0 }
    }
}

/// What happened to an entry. In the order in which it is told at one leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Happened {
    /// It came in.
    Added,
    /// Its revocation came to count.
    Revoked,
}

/// One thing that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// What.
    pub happened: Happened,
    /// To which entry.
    pub entry: EntryOrdinal,
    /// The place of who was told of it.
    pub after: Place,
}

/// Everything that happened behind `place`, in order, up to the last block. O(log n) to begin, and as many steps as
/// `place` has been told events of its leaf.
pub fn events_from(index: &Index, place: Place) -> impl Iterator<Item = Event> {
    let added = index.added_from(place.leaf).map(|(leaf, entry)| (leaf, Happened::Added, entry));
    let revoked = index.revoked_from(place.leaf).map(|(leaf, entry)| (leaf, Happened::Revoked, entry));
    let merged = Merged { one: added.peekable(), other: revoked.peekable() };
    let mut last = Place::before(place.leaf);
    let numbered = merged.map(move |(leaf, happened, entry)| {
        let told = if leaf == last.leaf { last.told } else { 0 };
        last = Place { leaf, told: told + 1 };
        Event { happened, entry, after: last }
    });
    numbered.skip_while(move |event| event.after <= place)
}

/// Two ascending sequences as one.
struct Merged<A: Iterator, B: Iterator> {
    one: Peekable<A>,
    other: Peekable<B>,
}

impl<T: Ord, A: Iterator<Item = T>, B: Iterator<Item = T>> Iterator for Merged<A, B> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match (self.one.peek(), self.other.peek()) {
            (Some(one), Some(other)) if other < one => self.other.next(),
            (Some(_), _) => self.one.next(),
            (None, _) => self.other.next(),
        }
    }
}
