//! Patterns over names, and which patterns can cover a name.
//!
//! Every pattern that is not exact ends in its only `*`, and covers the names that start with what stands
//! before it. So covering is comparing a prefix, and a name has few patterns over it, all known from its
//! text: a decision looks those up instead of searching ([`candidates`]).

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::borrow::Borrow;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    Name, NameError, RAW_MARK, Side, check_id, escape, escape_checked, identified_by_text, raw_form, split, split_full,
};
use crate::limits::NAME_ID_BYTES_MAX;
use crate::time::Excerpt;

/// One name or many: `*`, `type:*`, `type:prefix/*` or an exact name, in ledger form.
///
/// Compared, ordered and hashed as its full text, so a map of patterns can be asked with a `&str`.
/// Serde carries the full text, checked by the same rules on the way in.
#[derive(Clone)]
pub struct Pattern(Form);

#[derive(Clone)]
enum Form {
    Exact(Name),
    // INVARIANT: ends in `*`, which is alone or follows `type:` or a `/`, and is the only one.
    Below(Box<str>),
}

impl Pattern {
    /// Every name: `*`.
    pub fn everything() -> Self {
        Self(Form::Below(EVERYTHING.into()))
    }

    /// Reads a pattern in ledger form; its type may be left out, except before a lone `*`, which stands
    /// for everything.
    pub fn parse(text: &str, side: Side) -> Result<Self, NameError> {
        Self::read(text, |text| split(text, side), |id| Ok(Cow::Borrowed(id)))
    }

    /// Reads the full text of a pattern: ledger form, with its type.
    pub fn parse_full(text: &str) -> Result<Self, NameError> {
        Self::read(text, split_full, |id| Ok(Cow::Borrowed(id)))
    }

    /// Reads a pattern as a person wrote it, as [`Name::from_display`] reads a name.
    pub fn from_display(text: &str, side: Side) -> Result<Self, NameError> {
        match raw_form(text) {
            Some(raw) => Self::parse_full(raw),
            None => Self::read(text, |text| split(text, side), escape_checked),
        }
    }

    fn read<'a>(
        text: &'a str,
        split: impl FnOnce(&'a str) -> Result<(&'a str, &'a str), NameError>,
        to_ledger: impl FnOnce(&'a str) -> Result<Cow<'a, str>, NameError>,
    ) -> Result<Self, NameError> {
        if text == EVERYTHING {
            return Ok(Self::everything());
        }
        let (kind, id) = split(text)?;
        let exact = match id.find('*') {
            None => true,
            Some(star) if star + 1 == id.len() && (star == 0 || id[..star].ends_with('/')) => false,
            Some(_) => return Err(NameError::MisplacedStar { found: Excerpt::of(text) }),
        };
        // Escaping neither makes nor takes a `*` or a `/`.
        let id = to_ledger(id)?;
        check_id(&id)?;
        let name = Name::join(kind, &id);
        Ok(Self(if exact { Form::Exact(name) } else { Form::Below(name.text) }))
    }

    /// The full text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Form::Exact(name) => name.as_str(),
            Form::Below(text) => text,
        }
    }

    /// The name, if the pattern stands for one alone.
    pub fn as_exact(&self) -> Option<&Name> {
        match &self.0 {
            Form::Exact(name) => Some(name),
            Form::Below(_) => None,
        }
    }

    /// The short text: an exact name as [`Name::to_text`] writes it, everything else in full.
    /// [`Pattern::parse`] reads it back.
    pub fn to_text(&self, side: Side) -> String {
        match &self.0 {
            Form::Exact(name) => name.to_text(side),
            Form::Below(text) => text.as_ref().into(),
        }
    }

    /// The text for people, as [`Name::to_display`] writes it. [`Pattern::from_display`] reads it back.
    pub fn to_display(&self, side: Side) -> String {
        self.to_display_if(side, |_| true)
    }

    /// As [`Pattern::to_display`], but the decoded id is shown only if `readable` says so of it; see
    /// [`Name::to_display_if`].
    pub fn to_display_if(&self, side: Side, readable: impl FnOnce(&str) -> bool) -> String {
        let text = match &self.0 {
            Form::Exact(name) => return name.to_display_if(side, readable),
            Form::Below(text) => text,
        };
        let Some((kind, id)) = text.split_once(':') else {
            return EVERYTHING.into();
        };
        match escape::unescape(id) {
            Some(id) if readable(&id) => format!("{kind}:{id}"),
            _ => format!("{RAW_MARK}{text}"),
        }
    }

    /// Whether it stands for this name.
    pub fn covers(&self, name: &Name) -> bool {
        match &self.0 {
            Form::Exact(own) => own == name,
            Form::Below(text) => name.as_str().starts_with(prefix(text)),
        }
    }

    /// Whether it stands for every name that `other` stands for.
    pub fn covers_pattern(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (_, Form::Exact(name)) => self.covers(name),
            (Form::Exact(_), Form::Below(_)) => false,
            (Form::Below(own), Form::Below(text)) => prefix(text).starts_with(prefix(own)),
        }
    }
}

identified_by_text!(Pattern, Pattern::parse_full);

impl From<Name> for Pattern {
    fn from(name: Name) -> Self {
        Self(Form::Exact(name))
    }
}

const EVERYTHING: &str = "*";

/// What stands before the `*`.
fn prefix(below: &str) -> &str {
    &below[..below.len() - EVERYTHING.len()]
}

/// Whether the pattern `text` (a full text, or a name's) stands for the name `name` (a full text).
pub(crate) fn covers_text(text: &str, name: &str) -> bool {
    match text.strip_suffix(EVERYTHING) {
        Some(prefix) => name.starts_with(prefix),
        None => text == name,
    }
}

/// Whether some name is covered by both patterns (full texts, or names'): then one of them covers the other.
pub(crate) fn overlap_texts(one: &str, other: &str) -> bool {
    match (one.strip_suffix(EVERYTHING), other.strip_suffix(EVERYTHING)) {
        (Some(one), Some(other)) => one.starts_with(other) || other.starts_with(one),
        (None, Some(_)) => covers_text(other, one),
        (_, None) => covers_text(one, other),
    }
}

/// What stands before the `*` in every pattern that covers the name `name` (a full text) and others too, the
/// most specific first: its prefixes that end in `/` from the longest, its type and a colon, nothing.
///
/// At most [`NAME_SEGMENTS_MAX`](crate::limits::NAME_SEGMENTS_MAX)` + 1` of them.
pub(crate) fn wider(name: &str) -> impl Iterator<Item = &str> {
    let id = name.find(':').map_or(0, |colon| colon + 1);
    // A prefix whose id takes 256 bytes leaves no room for a `*`: no pattern has it.
    let longest = name.len().min(id + NAME_ID_BYTES_MAX - 1);
    let shorter = move |prefix: &&str| match prefix.len() {
        0 => None,
        end if end <= id => Some(""),
        end => Some(up_to_slash(name, id, end - 1)),
    };
    core::iter::successors(Some(up_to_slash(name, id, longest)), shorter)
}

/// The longest prefix of `name` that ends in a `/` before byte `end`, or else where its id begins.
fn up_to_slash(name: &str, id: usize, end: usize) -> &str {
    let slash = name.as_bytes()[id..end].iter().rposition(|byte| *byte == b'/');
    &name[..slash.map_or(id, |slash| id + slash + 1)]
}

/// The full text of every pattern that covers `name`, the most specific first: the name itself, its
/// prefixes from the longest, its type, everything.
///
/// At most [`NAME_SEGMENTS_MAX`](crate::limits::NAME_SEGMENTS_MAX)` + 2` of them.
pub fn candidates(name: &Name) -> impl Iterator<Item = Cow<'_, str>> {
    let wider = wider(name.as_str()).map(|prefix| Cow::Owned([prefix, EVERYTHING].concat()));
    core::iter::once(Cow::Borrowed(name.as_str())).chain(wider)
}
