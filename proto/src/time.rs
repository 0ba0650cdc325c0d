//! Milliseconds, and RFC 3339 text.
//!
//! A [`LedgerTime`] counts milliseconds since the Unix epoch, in UTC, up to the end of the year 9999:
//! exactly the instants that RFC 3339 can write. Nothing here reads a clock; times come in as arguments.
//!
//! Two shapes of stretches meet in a decision. An [`Interval`] is closed and says *when we might be*
//! (clocks disagree). A [`Window`] is half-open and says *when something holds*. What gives access must
//! hold throughout the interval; what takes it away counts if it holds anywhere within it:
//!
//! ```text
//!   interval        lo ●───────────● hi
//!   throughout   ●───────────────────────○        start <= lo and end > hi
//!   within               ●────○                   start <= hi and end > lo
//! ```
//!
//! Left out on purpose: leap seconds (RFC 3339 has `:60`, the ledger does not), offsets other than `Z`,
//! and relative forms such as `now` or `+8h`, which only mean something beside a clock.

mod civil;
mod excerpt;
mod text;

use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use excerpt::{EXCERPT_BYTES_MAX, Excerpt};

/// Milliseconds of one day. Every day has the same length, because leap seconds are not counted.
pub const DAY_MILLIS: u64 = 24 * 60 * 60 * 1000;

/// An instant: milliseconds since 1970-01-01T00:00:00Z, at most 9999-12-31T23:59:59.999Z.
///
/// In text (`Display`, `FromStr`) it is RFC 3339 with `Z`; serde carries that text where people read it
/// (JSON) and the bare number elsewhere (records), checked on the way in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LedgerTime(
    // INVARIANT: at most `LedgerTime::MAX`, so every time can be printed.
    u64,
);

/// Why something is not a [`LedgerTime`] or not an [`Interval`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimeError {
    /// A number of milliseconds after the last instant that can be written.
    #[error("{found} ms is after the last time of the ledger, 9999-12-31T23:59:59.999Z ({max} ms)", max = LedgerTime::MAX.0)]
    TooLate {
        /// Milliseconds since the epoch.
        found: u64,
    },
    /// An instant before the epoch.
    #[error("the year {year} is before the first year of the ledger, 1970")]
    TooEarly {
        /// The year that was written.
        year: u16,
    },
    /// The text does not have the form of a time.
    #[error("`{found}` is no time: expected a form like `2026-11-23T08:00:00Z`, with upper-case `T` and `Z`")]
    NotATime {
        /// What was written.
        found: Excerpt,
    },
    /// The text does not have the form of a date.
    #[error("`{found}` is no date: expected a form like `2026-11-23`")]
    NotADate {
        /// What was written.
        found: Excerpt,
    },
    /// The text has an offset from UTC, or none where `Z` must stand.
    #[error(
        "found `{found}` after the time of day, expected `Z`: give the time in UTC, for example `2026-11-23T08:00:00Z`"
    )]
    NotUtc {
        /// What stands where `Z` was expected; empty if nothing does.
        found: Excerpt,
    },
    /// The fraction of a second has more than three digits.
    #[error(
        "the fraction has {digits} digits, expected at most 3: a time of the ledger is no finer than a millisecond"
    )]
    TooFine {
        /// How many digits there were.
        digits: usize,
    },
    /// The calendar has no such day.
    #[error("there is no day {year:04}-{month:02}-{day:02} in the calendar")]
    NoSuchDay {
        /// The year that was written.
        year: u16,
        /// The month that was written.
        month: u8,
        /// The day that was written.
        day: u8,
    },
    /// No day has such an hour, minute or second.
    #[error("there is no time of day {hour:02}:{minute:02}:{second:02}: expected 00:00:00 to 23:59:59")]
    NoSuchTimeOfDay {
        /// The hour that was written.
        hour: u8,
        /// The minute that was written.
        minute: u8,
        /// The second that was written; 60 is refused too, because leap seconds are not counted.
        second: u8,
    },
    /// An interval that ends before it starts.
    #[error("the interval starts at {lo}, after its end {hi}")]
    Backwards {
        /// Where it would start.
        lo: LedgerTime,
        /// Where it would end.
        hi: LedgerTime,
    },
}

impl LedgerTime {
    /// 1970-01-01T00:00:00Z, the first instant.
    pub const EPOCH: Self = Self(0);
    /// 9999-12-31T23:59:59.999Z, the last instant.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// The instant so many milliseconds after the epoch.
    pub const fn from_millis(millis: u64) -> Result<Self, TimeError> {
        if millis > Self::MAX.0 {
            return Err(TimeError::TooLate { found: millis });
        }
        Ok(Self(millis))
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The first instant of a day of the (proleptic) Gregorian calendar, months and days from 1.
    pub fn from_date(year: u16, month: u8, day: u8) -> Result<Self, TimeError> {
        if year < civil::FIRST_YEAR {
            return Err(TimeError::TooEarly { year });
        }
        if year > civil::LAST_YEAR || !civil::is_day(year.into(), month.into(), day.into()) {
            return Err(TimeError::NoSuchDay { year, month, day });
        }
        Ok(Self(u64::from(civil::days_from_civil(year.into(), month.into(), day.into())) * DAY_MILLIS))
    }

    /// The first instant of the day written `YYYY-MM-DD`.
    pub fn parse_date(text: &str) -> Result<Self, TimeError> {
        text::parse_date(text)
    }

    /// 00:00:00Z of the same day.
    #[must_use]
    pub const fn start_of_day(self) -> Self {
        Self(self.0 - self.0 % DAY_MILLIS)
    }

    /// The instant so many milliseconds later; none after [`LedgerTime::MAX`].
    pub const fn checked_add_millis(self, millis: u64) -> Option<Self> {
        match self.0.checked_add(millis) {
            Some(sum) if sum <= Self::MAX.0 => Some(Self(sum)),
            _ => None,
        }
    }

    /// The instant so many milliseconds later, or [`LedgerTime::MAX`].
    #[must_use]
    pub const fn saturating_add_millis(self, millis: u64) -> Self {
        match self.checked_add_millis(millis) {
            Some(sum) => sum,
            None => Self::MAX,
        }
    }

    /// The instant so many milliseconds earlier, or [`LedgerTime::EPOCH`].
    #[must_use]
    pub const fn saturating_sub_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_sub(millis))
    }

    /// How many milliseconds this is after `earlier`; 0 if it is not after it.
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Debug for LedgerTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LedgerTime({self})")
    }
}

impl TryFrom<u64> for LedgerTime {
    type Error = TimeError;

    fn try_from(millis: u64) -> Result<Self, TimeError> {
        Self::from_millis(millis)
    }
}

impl From<LedgerTime> for u64 {
    fn from(time: LedgerTime) -> Self {
        time.0
    }
}

impl Serialize for LedgerTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_u64(self.0) }
    }
}

impl<'de> Deserialize<'de> for LedgerTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return alloc::string::String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom);
        }
        Self::from_millis(u64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// A closed stretch `[lo, hi]` of time: an instant that is only known to lie somewhere in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Interval {
    // INVARIANT: lo <= hi, so an interval holds at least one instant.
    lo: LedgerTime,
    hi: LedgerTime,
}

impl Interval {
    /// The interval from `lo` to `hi`, both included.
    pub fn new(lo: LedgerTime, hi: LedgerTime) -> Result<Self, TimeError> {
        if lo > hi {
            return Err(TimeError::Backwards { lo, hi });
        }
        Ok(Self { lo, hi })
    }

    /// The interval that holds one instant.
    pub const fn at(time: LedgerTime) -> Self {
        Self { lo: time, hi: time }
    }

    /// Its first instant.
    pub const fn lo(self) -> LedgerTime {
        self.lo
    }

    /// Its last instant.
    pub const fn hi(self) -> LedgerTime {
        self.hi
    }
}

/// A half-open stretch `[start, end)` of time in which something holds; without an end, for ever.
///
/// A window whose end is not later than its start is empty: it holds nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// The first instant in it.
    pub start: LedgerTime,
    /// The first instant after it.
    pub end: Option<LedgerTime>,
}

impl Window {
    /// Whether it holds nowhere.
    pub fn is_empty(self) -> bool {
        self.ends_by(self.start)
    }

    /// Whether it holds at this instant.
    pub fn contains(self, time: LedgerTime) -> bool {
        self.holds_throughout(Interval::at(time))
    }

    /// Whether it holds at every instant of the interval: the rule for what gives access.
    pub fn holds_throughout(self, interval: Interval) -> bool {
        // An empty window fails by itself: end <= start <= lo <= hi leaves no end after hi.
        self.start <= interval.lo && !self.ends_by(interval.hi)
    }

    /// Whether it holds at some instant of the interval: the rule for what takes access away.
    pub fn holds_within(self, interval: Interval) -> bool {
        self.start <= interval.hi && !self.ends_by(interval.lo) && !self.is_empty()
    }

    /// Whether it is over at `time`; its end is the first instant at which it is.
    fn ends_by(self, time: LedgerTime) -> bool {
        self.end.is_some_and(|end| end <= time)
    }
}

#[cfg(test)]
mod tests;
