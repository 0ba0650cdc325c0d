//! Unicode in an id, as printable ASCII: percent-encoding with exactly one spelling.
//!
//! The ledger form of an id holds bytes 0x20 to 0x7E only. A byte of the text (in UTF-8) is written
//! `%XX`, with upper-case hexadecimal digits, if it *cannot stand for itself*: it is not printable ASCII,
//! or is a `%`, or is a space at the very beginning or end. No other byte may be escaped, so one text has
//! one ledger form, and ids are equal exactly if their bytes are.
//!
//! An escape never stands for `/`, `:` or `*`. Segments, colons and stars are therefore the same in the
//! text and in its ledger form, and a pattern covers the same names in either.

use alloc::borrow::Cow;
use alloc::string::String;

use super::NameError;
use crate::time::Excerpt;

const DIGITS: &[u8; 16] = b"0123456789ABCDEF";

/// The ledger form of an id given as text in NFC.
///
/// Only the escapes are this function's matter: the result can still be empty or too long.
pub fn escape(text: &str) -> Cow<'_, str> {
    let len = escaped_len(text);
    if len == text.len() {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(len);
    for (at, byte) in text.bytes().enumerate() {
        if stands_for_itself(byte, at == 0 || at + 1 == text.len()) {
            escaped.push(char::from(byte));
        } else {
            escaped.push('%');
            escaped.push(char::from(DIGITS[usize::from(byte >> 4)]));
            escaped.push(char::from(DIGITS[usize::from(byte & 0xf)]));
        }
    }
    Cow::Owned(escaped)
}

/// How many bytes [`escape`] will give.
pub fn escaped_len(text: &str) -> usize {
    let edge = |at| at == 0 || at + 1 == text.len();
    text.bytes().enumerate().map(|(at, byte)| if stands_for_itself(byte, edge(at)) { 1 } else { 3 }).sum()
}

/// The text behind the ledger form of an id: none if that is not canonical or not valid UTF-8.
pub fn unescape(ledger: &str) -> Option<Cow<'_, str>> {
    check(ledger).ok()?;
    if !ledger.contains('%') {
        return Some(Cow::Borrowed(ledger));
    }
    let mut text = alloc::vec::Vec::with_capacity(ledger.len());
    let mut rest = ledger.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let (byte, after) = match *first {
            b'%' => unescape_byte(after)?,
            byte => (byte, after),
        };
        text.push(byte);
        rest = after;
    }
    String::from_utf8(text).ok().map(Cow::Owned)
}

/// Whether this is the ledger form of some string of bytes: what [`escape`] gives, or would give if the
/// bytes were text.
pub fn is_canonical(ledger: &str) -> bool {
    check(ledger).is_ok()
}

/// As [`is_canonical`], with the reason.
pub(super) fn check(ledger: &str) -> Result<(), NameError> {
    let bytes = ledger.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%' {
            let good = unescape_byte(&bytes[at + 1..])
                .is_some_and(|(byte, after)| !stands_for_itself(byte, at == 0 || after.is_empty()));
            if !good {
                return Err(NameError::BadEscape { at, found: excerpt(ledger, at, 3) });
            }
            at += 3;
        } else if stands_for_itself(bytes[at], at == 0 || at + 1 == bytes.len()) {
            at += 1;
        } else {
            return Err(NameError::BadCharacter { at, found: excerpt(ledger, at, 1) });
        }
    }
    Ok(())
}

/// Whether a byte needs no escape; `edge` says whether it is the first or last of the id.
fn stands_for_itself(byte: u8, edge: bool) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'%' && !(edge && byte == b' ')
}

/// The byte of an escape, given what follows its `%`, and what follows the escape.
fn unescape_byte(digits: &[u8]) -> Option<(u8, &[u8])> {
    let ([high, low], after) = digits.split_first_chunk()?;
    Some((digit(*high)? << 4 | digit(*low)?, after))
}

fn digit(letter: u8) -> Option<u8> {
    match letter {
        b'0'..=b'9' => Some(letter - b'0'),
        b'A'..=b'F' => Some(letter - b'A' + 10),
        _ => None,
    }
}

/// The characters from byte `at` on, `at` being the first byte of a character.
fn excerpt(text: &str, at: usize, characters: usize) -> Excerpt {
    let rest = text.get(at..).unwrap_or_default();
    let end = rest.char_indices().nth(characters).map_or(rest.len(), |(end, _)| end);
    Excerpt::of(&rest[..end])
}
