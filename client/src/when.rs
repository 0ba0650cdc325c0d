//! Times as people write them: on the command line and in the rows of an import.
//!
//! | written | means |
//! |---|---|
//! | `2026-11-23T08:00:00Z` | that instant, to the millisecond |
//! | `2026-12-01` | 00:00:00Z of that day |
//! | `now` | this instant |
//! | `yesterday`, `today`, `tomorrow` | 00:00:00Z of that day |
//! | `tomorrow+1`, `today+30` | so many days after it |
//! | `+8h`, `+1d12h`, `-30m` | so long after or before now; `w d h m s`, from large to small |
//!
//! [`When`] is what was written, checked; [`When::resolve`] makes an instant of it, with the clock handed
//! in, so that nothing here depends on when it runs. A day starts at 00:00:00Z, whatever the time zone
//! of the machine: a ledger that organisations share has one calendar.

use std::str::FromStr;

use writ_proto::time::{DAY_MILLIS, Excerpt, LedgerTime, TimeError};

const SECOND_MILLIS: u64 = 1000;
const MINUTE_MILLIS: u64 = 60 * SECOND_MILLIS;
const HOUR_MILLIS: u64 = 60 * MINUTE_MILLIS;
const WEEK_MILLIS: u64 = 7 * DAY_MILLIS;

/// Units of a duration, from large to small.
const UNITS: [(u8, u64); 5] =
    [(b'w', WEEK_MILLIS), (b'd', DAY_MILLIS), (b'h', HOUR_MILLIS), (b'm', MINUTE_MILLIS), (b's', SECOND_MILLIS)];

/// A time as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// An instant.
    At(LedgerTime),
    /// 00:00:00Z of the day so many days after today.
    Day(i64),
    /// So many milliseconds after now; 0 is `now`.
    After(u64),
    /// So many milliseconds before now.
    Before(u64),
}

/// A length of time, in milliseconds: `8h`, `1d12h`, `90s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub u64);

/// Why a text is no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WhenError {
    /// A time of the ledger, but not a good one.
    #[error(transparent)]
    Time(#[from] TimeError),
    /// Nothing that we know.
    #[error(
        "`{found}` is no time: expected one like `2026-11-23T08:00:00Z`, `2026-11-23`, `now`, `today`, `tomorrow`, `tomorrow+1` or `+8h`"
    )]
    Unknown {
        /// What was written.
        found: Excerpt,
    },
    /// No length of time.
    #[error("`{found}` is no length of time: expected one like `90s`, `30m`, `8h`, `1d12h` or `2w`")]
    NotASpan {
        /// What was written.
        found: Excerpt,
    },
    /// An instant that the ledger cannot write.
    #[error("`{found}` leads out of the years 1970 to 9999")]
    OutOfRange {
        /// What was written.
        found: Excerpt,
    },
}

impl When {
    /// Now itself.
    pub const NOW: Self = Self::After(0);

    /// The instant that it means when the clock shows `now`; none outside of the years 1970 to 9999.
    pub fn resolve(self, now: LedgerTime) -> Option<LedgerTime> {
        match self {
            Self::At(time) => Some(time),
            Self::After(millis) => now.checked_add_millis(millis),
            Self::Before(millis) => shifted_back(now, millis),
            Self::Day(days) => {
                let millis = days.unsigned_abs().checked_mul(DAY_MILLIS)?;
                let today = now.start_of_day();
                if days >= 0 { today.checked_add_millis(millis) } else { shifted_back(today, millis) }
            }
        }
    }

    /// Whether it means another instant at another time.
    pub const fn is_relative(self) -> bool {
        !matches!(self, Self::At(_))
    }
}

fn shifted_back(time: LedgerTime, millis: u64) -> Option<LedgerTime> {
    (millis <= time.as_millis()).then(|| time.saturating_sub_millis(millis))
}

/// What `text` means when the clock shows `now`.
pub fn parse_at(text: &str, now: LedgerTime) -> Result<LedgerTime, WhenError> {
    text.parse::<When>()?.resolve(now).ok_or_else(|| WhenError::OutOfRange { found: Excerpt::of(text) })
}

impl FromStr for When {
    type Err = WhenError;

    fn from_str(text: &str) -> Result<Self, WhenError> {
        let unknown = || WhenError::Unknown { found: Excerpt::of(text) };
        if text == "now" {
            return Ok(Self::NOW);
        }
        for (word, day) in [("yesterday", -1), ("today", 0), ("tomorrow", 1)] {
            if let Some(rest) = text.strip_prefix(word) {
                return days_after(rest).map(|days| Self::Day(day + days)).ok_or_else(unknown);
            }
        }
        if let Some(span) = text.strip_prefix('+') {
            return Ok(Self::After(span.parse::<Span>()?.0));
        }
        match text.as_bytes().first() {
            Some(b'-') => Ok(Self::Before(text[1..].parse::<Span>()?.0)),
            Some(b'0'..=b'9') if text.contains('T') => Ok(Self::At(text.parse()?)),
            Some(b'0'..=b'9') => Ok(Self::At(LedgerTime::parse_date(text)?)),
            _ => Err(unknown()),
        }
    }
}

/// The days in the `+1` after a word; none written are zero.
fn days_after(text: &str) -> Option<i64> {
    match text.strip_prefix('+') {
        None => text.is_empty().then_some(0),
        Some(digits) => i64::from(number(digits)?).into(),
    }
}

impl FromStr for Span {
    type Err = WhenError;

    fn from_str(text: &str) -> Result<Self, WhenError> {
        let wrong = || WhenError::NotASpan { found: Excerpt::of(text) };
        let mut units = UNITS.iter();
        let mut millis = 0_u64;
        let mut rest = text;
        // At least one part, and each of a smaller unit than the one before.
        loop {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (count, after) = rest.split_at(digits);
            let unit = *after.as_bytes().first().ok_or_else(wrong)?;
            let (_, each) = units.find(|(letter, _)| *letter == unit).ok_or_else(wrong)?;
            let part = u64::from(number(count).ok_or_else(wrong)?).checked_mul(*each).ok_or_else(wrong)?;
            millis = millis.checked_add(part).ok_or_else(wrong)?;
            rest = &after[1..];
            if rest.is_empty() {
                return Ok(Self(millis));
            }
        }
    }
}

/// A plain number of at most nine digits.
fn number(digits: &str) -> Option<u32> {
    let plain = (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests;
