//! The numbers and texts that stand in a condition.
//!
//! Source: langdef, *Syntax* (`INT_LIT` and those after it), *Numeric Values*, *String and Bytes Values*.

use alloc::boxed::Box;
use alloc::string::String;

use super::error::ConditionError;
use super::lexer::Kind;
use crate::time::Excerpt;

/// The number that `rest` begins with, a digit or a point before one, and its length. It takes as much as
/// makes a number, so `1in [1]` is `1 in [1]`.
pub(super) fn number<'t>(rest: &str, at: usize) -> Result<(Kind<'t>, usize), ConditionError> {
    let bytes = rest.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let hex_digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let too_large = |len: usize, expected| ConditionError::BadNumber { at, found: Excerpt::of(&rest[..len]), expected };

    let (radix, from, len) = match rest.starts_with("0x").then(|| hex_digits(2)) {
        Some(len) if len > 0 => (16, 2, 2 + len),
        _ => (10, 0, digits(0)),
    };
    if radix == 10
        && let Some(len) = double_len(bytes, len, digits)
    {
        // Numbers too large for a double read as infinite; those too small, as zero, which is what is nearest.
        let value = rest[..len].parse().ok().filter(|value: &f64| value.is_finite());
        let value = value.ok_or_else(|| too_large(len, "at most 1.7976931348623157e308"))?;
        return Ok((Kind::Double(value), len));
    }
    let is_uint = rest[len..].starts_with(['u', 'U']);
    let value = u64::from_str_radix(&rest[from..len], radix);
    match value {
        Ok(value) if is_uint => Ok((Kind::Uint(value), len + 1)),
        Ok(value) => Ok((Kind::Int(value), len)),
        Err(_) if is_uint => Err(too_large(len + 1, "at most 18446744073709551615u")),
        Err(_) => Err(too_large(len, INT_RANGE)),
    }
}

pub(super) const INT_RANGE: &str = "-9223372036854775808 to 9223372036854775807";

/// How long the double is that begins with `whole` digits; none if it is no double.
fn double_len(bytes: &[u8], whole: usize, digits: impl Fn(usize) -> usize) -> Option<usize> {
    let fraction = if bytes.get(whole) == Some(&b'.') { digits(whole + 1) } else { 0 };
    let mantissa = if fraction > 0 { whole + 1 + fraction } else { whole };
    let exponent = match (bytes.get(mantissa), bytes.get(mantissa + 1)) {
        (Some(b'e' | b'E'), Some(b'+' | b'-')) => Some(mantissa + 2),
        (Some(b'e' | b'E'), Some(_)) => Some(mantissa + 1),
        _ => None,
    };
    match exponent.map(|from| (from, digits(from))) {
        Some((from, len)) if len > 0 => Some(from + len),
        _ => (fraction > 0).then_some(mantissa),
    }
}

/// The text that `rest` begins with, a quote, and its length, quotes included.
pub(super) fn string(rest: &str, at: usize) -> Result<(Box<str>, usize), ConditionError> {
    let (quote, _) = rest.split_at(1);
    if rest[1..].starts_with(quote) && rest[2..].starts_with(quote) {
        let (found, what) = (Excerpt::of(&rest[..3]), "texts in three quotes");
        return Err(ConditionError::Unsupported { at, found, what });
    }
    let mut text = String::new();
    let mut len = 1;
    loop {
        let plain = rest[len..].find(['\\', '\r', '\n', '"', '\'']).unwrap_or(rest.len() - len);
        text.push_str(&rest[len..len + plain]);
        len += plain;
        let unfinished = |found| ConditionError::Unexpected { at: at + len, found, expected: "the closing quote" };
        match rest[len..].chars().next() {
            None => return Err(unfinished(None)),
            Some(broken @ ('\r' | '\n')) => return Err(unfinished(Some(Excerpt::of(broken.encode_utf8(&mut [0; 4]))))),
            Some('\\') => {
                let (character, escape_len) = escape(&rest[len..], at + len)?;
                text.push(character);
                len += escape_len;
            }
            Some(_) if rest[len..].starts_with(quote) => return Ok((text.into(), len + 1)),
            Some(other_quote) => {
                text.push(other_quote);
                len += 1;
            }
        }
    }
}

/// The character that the escape at the beginning of `rest` stands for, and the escape's length.
fn escape(rest: &str, at: usize) -> Result<(char, usize), ConditionError> {
    let bad = |len: usize, expected| {
        let end = rest.char_indices().map(|(at, _)| at).find(|at| *at >= len).unwrap_or(rest.len());
        ConditionError::BadEscape { at, found: Excerpt::of(&rest[..end]), expected }
    };
    let code = |from: usize, digits: usize, radix: u32, expected: &'static str| {
        let end = from + digits;
        let text = rest.get(from..end).filter(|text| text.bytes().all(|byte| char::from(byte).is_digit(radix)));
        let code = text.and_then(|text| u32::from_str_radix(text, radix).ok()).ok_or_else(|| bad(end, expected))?;
        let character = char::from_u32(code).ok_or_else(|| bad(end, "a Unicode code point that is no surrogate"))?;
        Ok((character, end))
    };
    let plain = |character| Ok((character, 2));
    match rest[1..].chars().next() {
        Some(itself @ ('\\' | '?' | '"' | '\'' | '`')) => plain(itself),
        Some('a') => plain('\x07'),
        Some('b') => plain('\x08'),
        Some('f') => plain('\x0c'),
        Some('n') => plain('\n'),
        Some('r') => plain('\r'),
        Some('t') => plain('\t'),
        Some('v') => plain('\x0b'),
        Some('x' | 'X') => code(2, 2, 16, "two hexadecimal digits"),
        Some('u') => code(2, 4, 16, "four hexadecimal digits"),
        Some('U') => code(2, 8, 16, "eight hexadecimal digits"),
        Some('0'..='3') => code(1, 3, 8, "three octal digits, at most 377"),
        _ => Err(bad(2, "one of `\\ ? \" ' a b f n r t v x u U`, a backtick, or an octal number")),
    }
}
