//! What ends by itself, soonest first.

use crate::index::{EntryOrdinal, Index};
use crate::time::LedgerTime;

/// The entries in force or still to begin that end by themselves after `from` (a time and, among those of
/// that time, an ordinal) and not after `until`: when, and which. Revoked ones are not among them.
pub fn ending(
    index: &Index,
    from: (LedgerTime, EntryOrdinal),
    until: LedgerTime,
) -> impl Iterator<Item = (LedgerTime, EntryOrdinal)> {
    index.ending_from(from.0, from.1).take_while(move |(end, _)| *end <= until)
}
