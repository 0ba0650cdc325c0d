//! The query of a request, read strictly.
//!
//! In a question about access nothing may be ignored: a parameter that the path does not know, one that
//! stands twice, a bad escape or bad UTF-8 refuses the request and is named. Values are form-encoded, so a
//! `+` is a space and `%2B` a plus.

use std::str::FromStr;

use writ_proto::time::{Excerpt, LedgerTime};

use super::error::ApiError;

/// The parameters of a request. Each is taken once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query(Vec<(&'static str, String)>);

impl Query {
    /// Reads `query`, in which only the parameters `known` may stand, each once.
    pub(super) fn parse(query: Option<&str>, known: &[&'static str]) -> Result<Self, ApiError> {
        let mut pairs: Vec<(&'static str, String)> = Vec::new();
        // `&&` and a trailing `&` say nothing, so nothing is ignored in them.
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (raw_name, raw_value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(raw_name, true)
                .map_err(|fault| ApiError::bad(excerpt(raw_name), format!("the name of a parameter has {fault}")))?;
            let Some(known) = known.iter().find(|known| **known == name) else {
                let list = match known {
                    [] => "this path takes none".into(),
                    _ => format!("this path takes {}", quoted(known)),
                };
                return Err(ApiError::bad(
                    excerpt(&name),
                    format!("there is no parameter `{}`: {list}", Excerpt::of(&name)),
                ));
            };
            if pairs.iter().any(|(own, _)| own == known) {
                return Err(ApiError::bad(*known, format!("`{known}` stands twice, expected once")));
            }
            let value =
                decode(raw_value, true).map_err(|fault| ApiError::bad(*known, format!("`{known}` has {fault}")))?;
            pairs.push((known, value));
        }
        Ok(Self(pairs))
    }

    /// A parameter's value, if it is there.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(own, _)| *own == name)?;
        Some(self.0.swap_remove(at).1)
    }

    /// A parameter that must be there.
    pub(super) fn require(&mut self, name: &'static str) -> Result<String, ApiError> {
        self.take(name).ok_or_else(|| ApiError::bad(name, format!("`{name}` is missing")))
    }

    /// A whole number from `least` to `most`.
    pub(super) fn number(&mut self, name: &'static str, least: u64, most: u64) -> Result<Option<u64>, ApiError> {
        let Some(text) = self.take(name) else { return Ok(None) };
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(number) if plain && (least..=most).contains(&number) => Ok(Some(number)),
            _ => Err(ApiError::bad(name, out_of_range(&text, least, most))),
        }
    }

    /// `true` or `false`; left out: false.
    pub(super) fn flag(&mut self, name: &'static str) -> Result<bool, ApiError> {
        match self.take(name).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(ApiError::bad(name, format!("`{}`, expected `true` or `false`", Excerpt::of(other)))),
        }
    }

    /// An instant, RFC 3339 with `Z`.
    pub(super) fn time(&mut self, name: &'static str) -> Result<Option<LedgerTime>, ApiError> {
        self.parsed(name)
    }

    /// Anything that is read from text.
    pub(super) fn parsed<T: FromStr<Err: ToString>>(&mut self, name: &'static str) -> Result<Option<T>, ApiError> {
        let read = |text: String| text.parse().map_err(|error: T::Err| ApiError::bad(name, error.to_string()));
        self.take(name).map(read).transpose()
    }
}

fn out_of_range(text: &str, least: u64, most: u64) -> String {
    let expected = match most {
        u64::MAX if least == 0 => "a whole number".to_owned(),
        u64::MAX => format!("a whole number from {least}"),
        _ => format!("a whole number from {least} to {most}"),
    };
    format!("`{}`, expected {expected}", Excerpt::of(text))
}

fn excerpt(text: &str) -> String {
    Excerpt::of(text).to_string()
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" ")
}

/// Percent-decodes a part of a URL; in a form a `+` is a space.
pub(super) fn decode(text: &str, form: bool) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'+' if form => bytes.push(b' '),
            b'%' => {
                let escape = after.split_first_chunk().and_then(|([high, low], after)| {
                    let digit = |byte: u8| char::from(byte).to_digit(16);
                    Some((u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()?, after))
                });
                let Some((byte, after)) = escape else { return Err("a `%` that two hexadecimal digits do not follow") };
                bytes.push(byte);
                rest = after;
            }
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).map_err(|_| "bytes that are not UTF-8")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

    use super::*;

    const KNOWN: &[&str] = &["sub", "obj", "height", "limit"];

    #[test]
    fn values_are_form_decoded() {
        let mut query = Query::parse(Some("sub=a%20b+c%2Bd&obj=caf%C3%A9%2F&&height="), KNOWN).unwrap();
        assert_eq!(query.take("sub").as_deref(), Some("a b c+d"));
        assert_eq!(query.take("obj").as_deref(), Some("café/"));
        assert_eq!(query.take("height").as_deref(), Some(""));
        assert_eq!(query.take("limit"), None);
        assert_eq!(Query::parse(None, KNOWN), Ok(Query::default()));
    }

    #[test]
    fn nothing_is_ignored() {
        for (query, field) in [
            ("heigth=3", "heigth"),
            ("Height=3", "Height"),
            ("sub=a&sub=a", "sub"),
            ("sub=a&su%62=b", "sub"),
            ("sub=%", "sub"),
            ("sub=%4", "sub"),
            ("sub=%zz", "sub"),
            ("sub=%+1", "sub"),
            ("sub=%ff", "sub"),
            ("sub=%C3", "sub"),
            ("%zz=1", "%zz"),
            ("=1", ""),
            ("sub=a;obj=b&x", "x"),
        ] {
            let error = Query::parse(Some(query), KNOWN).unwrap_err();
            assert_eq!((error.code, error.field.as_deref()), ("bad_request", Some(field)), "{query}");
        }
    }

    #[test]
    fn a_name_that_nobody_knows_is_quoted_short_and_inert() {
        let error = Query::parse(Some(&format!("a%1b%0a{}", "x".repeat(9_000))), KNOWN).unwrap_err();
        assert!(error.detail.len() < 300 && !error.detail.contains(['\u{1b}', '\n']), "{}", error.detail);
    }

    #[test]
    fn numbers_are_plain_and_in_range() {
        for (text, want) in [
            ("7", Some(7)),
            ("007", Some(7)),
            ("100", Some(100)),
            ("0", None),
            ("101", None),
            ("", None),
            ("+7", None),
            ("%2B7", None),
            ("-1", None),
            ("7.0", None),
            ("0x7", None),
            (" 7", None),
            ("18446744073709551616", None),
        ] {
            let mut query = Query::parse(Some(&format!("limit={text}")), KNOWN).unwrap();
            let found = query.number("limit", 1, 100);
            assert_eq!(found.clone().ok(), want.map(Some), "{text:?}: {found:?}");
            if let Err(error) = found {
                assert_eq!(error.field.as_deref(), Some("limit"));
            }
        }
    }
}
