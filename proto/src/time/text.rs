//! Times as text: a strict subset of RFC 3339, section 5.6.
//!
//! The form is `YYYY-MM-DDTHH:MM:SS[.f{1,3}]Z`. RFC 3339 also allows lower-case letters, a space for the
//! `T`, offsets, leap seconds and longer fractions; all are refused, so that a time has nearly one
//! spelling and nothing is rounded silently.

use core::fmt;
use core::str::FromStr;

use super::{DAY_MILLIS, Excerpt, LedgerTime, TimeError, civil};

impl fmt::Display for LedgerTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.as_millis();
        let days = u32::try_from(millis / DAY_MILLIS).expect("a ledger time is at most LedgerTime::MAX");
        let (year, month, day) = civil::civil_from_days(days);
        let (seconds, fraction) = (millis % DAY_MILLIS / 1000, millis % 1000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if fraction != 0 {
            write!(f, ".{fraction:03}")?;
        }
        f.write_str("Z")
    }
}

impl FromStr for LedgerTime {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let malformed = || TimeError::NotATime { found: Excerpt::of(text) };
        // The checked cut also refuses to cut a character in two.
        let (start, rest) = text.split_at_checked(FORM.len()).ok_or_else(malformed)?;
        let [year, month, day, hour, minute, second] = numbers(start, FORM).ok_or_else(malformed)?;
        let (fraction, zone) = match rest.strip_prefix('.') {
            None => ("", rest),
            Some(rest) => {
                let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                if digits == 0 {
                    return Err(malformed());
                }
                rest.split_at(digits)
            }
        };
        if zone != "Z" {
            let offset = zone.is_empty() || zone.starts_with(['+', '-']);
            return Err(if offset { TimeError::NotUtc { found: Excerpt::of(zone) } } else { malformed() });
        }
        if fraction.len() > 3 {
            return Err(TimeError::TooFine { digits: fraction.len() });
        }
        let midnight = date(year, month, day)?;
        if hour > 23 || minute > 59 || second > 59 {
            let [hour, minute, second] = [hour, minute, second].map(two_digits);
            return Err(TimeError::NoSuchTimeOfDay { hour, minute, second });
        }
        // `.5` is half a second: a missing digit is a zero.
        let millis = (0..3).fold(0, |sum, i| sum * 10 + fraction.as_bytes().get(i).map_or(0, |d| u64::from(d - b'0')));
        let seconds = u64::from(hour) * 3600 + u64::from(minute) * 60 + u64::from(second);
        Ok(midnight.checked_add_millis(seconds * 1000 + millis).expect("the last day ends at LedgerTime::MAX"))
    }
}

/// The first instant of the day written `YYYY-MM-DD`.
pub(super) fn parse_date(text: &str) -> Result<LedgerTime, TimeError> {
    let (form, _) = FORM.split_at(10);
    let [year, month, day] = numbers(text, form).ok_or_else(|| TimeError::NotADate { found: Excerpt::of(text) })?;
    date(year, month, day)
}

/// Zeros stand for digits, everything else for itself.
const FORM: &str = "0000-00-00T00:00:00";

/// The numbers in a text of the given form, or none if it has another form.
fn numbers<const N: usize>(text: &str, form: &str) -> Option<[u16; N]> {
    if text.len() != form.len() {
        return None;
    }
    let mut found = [0; N];
    let mut next = 0;
    for (byte, expected) in text.bytes().zip(form.bytes()) {
        match expected {
            b'0' if byte.is_ascii_digit() => found[next] = found[next] * 10 + u16::from(byte - b'0'),
            b'0' => return None,
            _ if byte == expected => next += 1,
            _ => return None,
        }
    }
    Some(found)
}

fn date(year: u16, month: u16, day: u16) -> Result<LedgerTime, TimeError> {
    LedgerTime::from_date(year, two_digits(month), two_digits(day))
}

fn two_digits(number: u16) -> u8 {
    u8::try_from(number).expect("two digits fit a byte")
}
