//! The place of somebody who is told of events, as text.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use super::Place;
use crate::hash::Digest;
use crate::time::Excerpt;

/// Hexadecimal digits of the mark.
const MARK_DIGITS: usize = 16;

/// A [`Place`] in the log of one chain: `leaf.told.mark`, where the mark is the first sixteen hexadecimal digits of the
/// chain id, so that a place of another chain is told from one of this.
///
/// A place has one text: numbers stand without leading zeros, and nothing stands around them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventId {
    /// The place.
    pub place: Place,
    // INVARIANT: `MARK_DIGITS` lower-case hexadecimal digits.
    mark: String,
}

/// A text that is no [`EventId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is no id of an event, expected one like `5.1.0123456789abcdef`")]
pub struct BadEventId {
    /// The text.
    pub found: Excerpt,
}

impl EventId {
    /// The id of a place in the log of this chain.
    pub fn new(place: Place, chain: &Digest) -> Self {
        Self { place, mark: hex::encode(&chain.0[..MARK_DIGITS / 2]) }
    }

    /// Whether both are of one chain.
    pub fn is_beside(&self, other: &Self) -> bool {
        self.mark == other.mark
    }

    /// Whether it is of this chain.
    pub fn is_of(&self, chain: &Digest) -> bool {
        Self::new(self.place, chain) == *self
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place: Place { leaf, told }, mark } = self;
        write!(f, "{leaf}.{told}.{mark}")
    }
}

impl FromStr for EventId {
    type Err = BadEventId;

    fn from_str(text: &str) -> Result<Self, BadEventId> {
        read(text).ok_or_else(|| BadEventId { found: Excerpt::of(text) })
    }
}

fn read(text: &str) -> Option<EventId> {
    let (leaf, rest) = text.split_once('.')?;
    let (told, mark) = rest.split_once('.')?;
    let digits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let fits = mark.len() == MARK_DIGITS && mark.bytes().all(digits);
    let place = Place { leaf: number(leaf)?, told: number(told)? };
    fits.then(|| EventId { place, mark: mark.into() })
}

/// A number as it is written: without a sign and without leading zeros.
fn number<T: FromStr>(text: &str) -> Option<T> {
    let plain = text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use std::string::ToString as _;

    use super::*;

    #[test]
    fn a_place_has_one_text_and_that_reads_back() {
        let chain = Digest([0x5a; 32]);
        for (leaf, told, text) in [
            (0, 0, "0.0.5a5a5a5a5a5a5a5a"),
            (5, 1, "5.1.5a5a5a5a5a5a5a5a"),
            (u64::MAX, u32::MAX, "18446744073709551615.4294967295.5a5a5a5a5a5a5a5a"),
        ] {
            let id = EventId::new(Place { leaf, told }, &chain);
            assert_eq!(id.to_string(), text);
            assert_eq!(text.parse(), Ok(id.clone()));
            assert!(id.is_of(&chain) && !id.is_of(&Digest::ZERO), "{text}");
            assert!(id.is_beside(&EventId::new(Place::default(), &chain)), "{text}");
            assert!(!id.is_beside(&EventId::new(Place::default(), &Digest::ZERO)), "{text}");
        }
    }

    #[test]
    fn what_is_written_otherwise_is_refused() {
        for text in [
            "",
            ".",
            "..",
            "5",
            "5.1",
            "5.1.",
            "5..5a5a5a5a5a5a5a5a",
            ".1.5a5a5a5a5a5a5a5a",
            "05.1.5a5a5a5a5a5a5a5a",
            "5.01.5a5a5a5a5a5a5a5a",
            "5.00.5a5a5a5a5a5a5a5a",
            "+5.1.5a5a5a5a5a5a5a5a",
            "5.+1.5a5a5a5a5a5a5a5a",
            "-5.1.5a5a5a5a5a5a5a5a",
            " 5.1.5a5a5a5a5a5a5a5a",
            "5.1.5a5a5a5a5a5a5a5a ",
            "5.1.5a5a5a5a5a5a5a5",
            "5.1.5a5a5a5a5a5a5a5a5",
            "5.1.5A5a5a5a5a5a5a5a",
            "5.1.5g5a5a5a5a5a5a5a",
            "5.1.0.5a5a5a5a5a5a5a5a",
            "18446744073709551616.1.5a5a5a5a5a5a5a5a",
            "5.4294967296.5a5a5a5a5a5a5a5a",
            "5.1.5a5a5a5a5a5a5aé",
            "٥.1.5a5a5a5a5a5a5a5a",
        ] {
            assert!(text.parse::<EventId>().is_err(), "{text:?}");
        }
    }
}
