//! Times as people think of them, beside the exact ones.

use writ_proto::time::LedgerTime;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const MONTH: u64 = 30 * DAY;
const YEAR: u64 = 365 * DAY;

/// The least length of time for which a unit is used, the unit, and its names for one and for many. A unit
/// is used from twice its length on (`36 h` tells more than `1 day`), years and months earlier.
const UNITS: [(u64, u64, &str, &str); 6] = [
    (2 * YEAR, YEAR, "year", "years"),
    (2 * MONTH, MONTH, "month", "months"),
    (2 * DAY, DAY, "day", "days"),
    (2 * HOUR, HOUR, "h", "h"),
    (2 * MINUTE, MINUTE, "min", "min"),
    (SECOND, SECOND, "s", "s"),
];

/// `in 3 h`, `2 days ago`, `just now`.
pub(crate) fn ago(time: LedgerTime, now: LedgerTime) -> String {
    let distance = time.millis_since(now).max(now.millis_since(time));
    let Some((_, unit, one, many)) = UNITS.iter().find(|(least, ..)| distance >= *least) else {
        return "just now".into();
    };
    // To the nearest one: what was asked for eight hours reads as that, a moment later too.
    let count = (distance + unit / 2) / unit;
    let word = if count == 1 { one } else { many };
    if time > now { format!("in {count} {word}") } else { format!("{count} {word} ago") }
}

/// `2026-11-23T00:00:00Z (in 3 h)`.
pub(crate) fn beside(time: LedgerTime, now: LedgerTime) -> String {
    format!("{time} ({})", ago(time, now))
}
