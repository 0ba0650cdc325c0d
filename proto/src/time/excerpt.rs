//! A safe quotation of outside input, for error messages.

use alloc::string::String;
use core::fmt::{self, Write as _};

/// Bytes of the longest excerpt, without the mark that something was cut off.
pub const EXCERPT_BYTES_MAX: usize = 80;

/// The beginning of some outside input, as it may stand in a message.
///
/// It is short, and it is inert: letters, digits and printable ASCII stand for themselves, everything
/// else (control characters, marks that turn the direction of writing) is written `\u{..}`. So nobody
/// can paint a terminal or forge a line of a log by sending a bad name.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Excerpt(String);

impl Excerpt {
    /// The excerpt of `text`; `…` at its end says that there was more.
    pub fn of(text: &str) -> Self {
        let mut excerpt = String::new();
        for character in text.chars() {
            let before = excerpt.len();
            if matches!(character, ' '..='~') || (!character.is_ascii() && character.is_alphanumeric()) {
                excerpt.push(character);
            } else {
                excerpt.extend(character.escape_unicode());
            }
            if excerpt.len() > EXCERPT_BYTES_MAX {
                excerpt.truncate(before);
                excerpt.push('…');
                break;
            }
        }
        Self(excerpt)
    }

    /// The text of the excerpt.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('`')?;
        f.write_str(&self.0)?;
        f.write_char('`')
    }
}

impl From<&str> for Excerpt {
    fn from(text: &str) -> Self {
        Self::of(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_short_and_inert() {
        for (text, want) in [
            ("", ""),
            ("file.dat", "file.dat"),
            ("café 日本", "café 日本"),
            ("a\0b\x1b[2J\n", r"a\u{0}b\u{1b}[2J\u{a}"),
            // Right-to-left override, zero-width space, a soft hyphen.
            ("a\u{202e}b\u{200b}c\u{ad}", r"a\u{202e}b\u{200b}c\u{ad}"),
            ("\u{7f}\u{9b}", r"\u{7f}\u{9b}"),
        ] {
            assert_eq!(Excerpt::of(text).as_str(), want);
        }
    }

    #[test]
    fn an_excerpt_is_cut_at_its_bound_between_characters() {
        for unit in ["a", "é", "日", "\0", "\u{10ffff}"] {
            let excerpt = Excerpt::of(&unit.repeat(1000));
            let kept = excerpt.as_str().strip_suffix('…').expect("the mark of a cut");
            assert!(kept.len() <= EXCERPT_BYTES_MAX && kept.len() + 10 > EXCERPT_BYTES_MAX, "{unit:?}: {kept}");
        }
        assert_eq!(Excerpt::of(&"a".repeat(80)).as_str(), "a".repeat(80));
    }
}
