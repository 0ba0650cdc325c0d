//! The log's order: entries in blocks, with revocations some time after what they revoke.

use std::collections::VecDeque;

use writ_proto::name::{ActionPattern, Pattern};
use writ_proto::record::{Access, Effect};
use writ_proto::time::{DAY_MILLIS, LedgerTime};

use super::{Dataset, Fact, Fate};
use crate::random::{Random, mix};

/// Records in one block: about 900 kB of the 1 MiB that a block may have.
pub(crate) const BLOCK_RECORDS: usize = 2_500;
/// How many entries later a revocation comes.
const REVOKED_AFTER: u64 = 5_000;
/// The genesis time.
const START_MS: u64 = 1_800_000_000_000;
/// From the genesis to the last block.
const SPAN_MS: u64 = 2 * 365 * DAY_MILLIS;

/// The records of a block, in order.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// Its time.
    pub(crate) time: LedgerTime,
    /// Its records.
    pub(crate) changes: Vec<Change>,
}

/// A record.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// An access entry, with its position among them from 0.
    Entry(u64, Box<Fact>, Option<LedgerTime>),
    /// The revocation of an earlier one.
    Revocation(Revocation),
}

/// The revocation of an access entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Revocation {
    /// The position of what it revokes.
    pub(crate) of: u64,
    /// The effect of what it revokes.
    pub(crate) effect: Effect,
    /// The organisation whose authority signs, which is that of the target.
    pub(crate) organisation: u64,
}

impl Fact {
    /// As an access statement that ends at `exp`.
    ///
    /// # Panics
    /// If a name of the dataset is no name.
    pub(crate) fn access(&self, exp: Option<LedgerTime>) -> Access {
        Access {
            sub: Pattern::parse_full(&self.sub).expect("the dataset's subjects are patterns"),
            obj: Pattern::parse_full(&self.obj).expect("the dataset's objects are patterns"),
            act: ActionPattern::parse(self.act).expect("the dataset's actions are actions"),
            effect: self.effect,
            iss: None,
            exp,
            cond: None,
            reference: None,
        }
    }
}

impl Dataset {
    /// The genesis time.
    pub(crate) fn start(&self) -> LedgerTime {
        time(START_MS)
    }

    /// The time of the last block.
    pub(crate) fn end(&self) -> LedgerTime {
        time(START_MS + SPAN_MS)
    }

    /// All blocks, in order.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = Block> {
        let mut next = 0;
        let mut revocations: VecDeque<Revocation> = VecDeque::new();
        std::iter::from_fn(move || {
            let mut changes = Vec::with_capacity(BLOCK_RECORDS);
            while changes.len() < BLOCK_RECORDS {
                let is_due = |first: &Revocation| next == self.entries || first.of + REVOKED_AFTER <= next;
                if revocations.front().is_some_and(is_due) {
                    changes.extend(revocations.pop_front().map(Change::Revocation));
                } else if next < self.entries {
                    let fact = self.at(next);
                    if fact.fate == Fate::Revoked {
                        let Fact { effect, organisation, .. } = fact;
                        revocations.push_back(Revocation { of: next, effect, organisation });
                    }
                    let exp = self.exp(next, fact.fate);
                    changes.push(Change::Entry(next, Box::new(fact), exp));
                    next += 1;
                } else {
                    break;
                }
            }
            let is_last = next == self.entries && revocations.is_empty();
            let time = if is_last { self.end() } else { time(self.millis_at(next)) };
            (!changes.is_empty()).then_some(Block { time, changes })
        })
    }

    /// When the entry at this position ends by itself.
    fn exp(&self, position: u64, fate: Fate) -> Option<LedgerTime> {
        let mut random = Random::new(self.seed ^ mix(!position));
        match fate {
            Fate::Open | Fate::Revoked => None,
            Fate::EndsLater => Some(time(START_MS + SPAN_MS + DAY_MILLIS + random.below(365 * DAY_MILLIS))),
            // At least as late as its block, and not later than the last one.
            Fate::Expired => {
                let added = self.millis_at((position + 2 * BLOCK_RECORDS as u64).min(self.entries));
                Some(time(added + random.below((START_MS + SPAN_MS - added).max(1))))
            }
        }
    }

    /// About when the entry at this position is added: never the genesis time, never after the end.
    fn millis_at(&self, position: u64) -> u64 {
        let share = u128::from(SPAN_MS) * u128::from(position) / u128::from(self.entries + 1);
        START_MS + 1 + share as u64
    }
}

fn time(millis: u64) -> LedgerTime {
    LedgerTime::from_millis(millis).unwrap_or(LedgerTime::MAX)
}
