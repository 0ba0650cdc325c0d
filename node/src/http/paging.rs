//! How far a search goes for one page, and how the next page goes on where it ended.
//!
//! The first page fixes the moment, and the place where a page ends carries it on: all pages together are one answer
//! about one moment, whatever is appended between them, on whichever node they are asked. A search goes in steps. The
//! state's lock is held for one of them, some 20,000 look-ups, and let go before the next, since a writer that waits lets
//! no further reader in. After a second of work the page ends, perhaps without a result.

use std::time::{Duration, Instant};

use writ_proto::decision::Moment;
use writ_proto::index::{Index, TextId};
use writ_proto::search::Budget;
use writ_proto::time::{Interval, LedgerTime};

use super::error::ApiError;
use super::moment::not_yet;
use crate::ledger::Ledger;

/// Look-ups of one step: two or three milliseconds' worth, as decisions take them (`docs/benchmarks.md`).
const STEP_LOOKUPS: u32 = if cfg!(test) { 60 } else { 20_000 };
/// Steps of one request, and how long it goes on with further ones.
const STEPS_MAX: usize = if cfg!(test) { 3 } else { 1_000 };
const WORK_TIME_MAX: Duration = Duration::from_secs(1);

/// Where a page begins, and the moment of all pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The first text that was not looked at yet.
    pub(super) at: TextId,
    pub(super) moment: Moment,
}

impl Place {
    /// As a cursor carries it.
    pub(super) fn to_numbers(self) -> [u64; 4] {
        let Moment { interval, height } = self.moment;
        [u64::from(self.at), interval.lo().as_millis(), interval.hi().as_millis(), height]
    }

    /// The same, where the chain has reached its moment; `field` brought it. Another node may have given it out, which is
    /// further than this one.
    pub(super) fn within(self, tip: u64, field: &'static str) -> Result<Self, ApiError> {
        let height = self.moment.height;
        if height > tip { Err(not_yet(field, height, tip)) } else { Ok(self) }
    }

    /// Reads [`Place::to_numbers`]; none if no page ends there.
    pub(super) fn of_numbers([at, lo, hi, height]: [u64; 4]) -> Option<Self> {
        let [lo, hi] = [lo, hi].map(LedgerTime::from_millis);
        let interval = Interval::new(lo.ok()?, hi.ok()?).ok()?;
        Some(Self { at: TextId::try_from(at).ok()?, moment: Moment { interval, height } })
    }
}

/// Takes steps until `limit` results are found and one more is in sight, the search is at its end, or it was enough for
/// one request. A step gives what it found, and where to go on. Gives what was found, and where the next page begins:
/// none if nothing follows, so the last page says that it is the last.
pub(super) fn walk<T>(
    ledger: &Ledger,
    from: TextId,
    limit: usize,
    mut step: impl FnMut(&Index, Budget) -> (Vec<T>, Option<TextId>),
) -> (Vec<T>, Option<TextId>) {
    let began = Instant::now();
    let (mut found, mut here) = (Vec::new(), from);
    for number in 1.. {
        let left = limit.saturating_sub(found.len());
        let (more, at) = step(ledger.read().index(), Budget { results: left.max(1), lookups: STEP_LOOKUPS });
        if left == 0 && !more.is_empty() {
            return (found, Some(here));
        }
        found.extend(more);
        match at {
            Some(at) if number < STEPS_MAX && began.elapsed() <= WORK_TIME_MAX => here = at,
            end => return (found, end),
        }
    }
    (found, None)
}
