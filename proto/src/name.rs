//! Who, what and which action, and the patterns over them.
//!
//! A [`Name`] is `type:id`, split at the first colon; a [`Pattern`] stands for many names. Both are
//! checked once, where they come in, and are then compared byte by byte:
//!
//! ```text
//!   user:alice             file:acl/2026/plan.txt        a name: type, colon, id; `/` makes a hierarchy
//!   file:acl/*             every name that starts with `file:acl/`; not `file:acl`, not `file:acl2`
//!   file:*                 every name of the type
//!   *                      every name
//! ```
//!
//! There are three spellings of one name:
//!
//! - the **full text** `user:1234-org2`, which is signed, stored and compared;
//! - the **short text**, in which the type that goes without saying on that [`Side`] is left out;
//! - the **display text** at the edges, in which the id is Unicode: on the ledger an id is printable ASCII,
//!   and everything else is percent-encoded (see [`escape`]), so no Unicode table is part of the protocol.
//!
//! ```
//! use writ_proto::name::{Name, Pattern, Side};
//!
//! let name = Name::from_display("café/menu", Side::Object)?;
//! assert_eq!(name.as_str(), "resource:caf%C3%A9/menu");
//! assert_eq!(name.to_display(Side::Object), "café/menu");
//! assert!(Pattern::parse("resource:caf%C3%A9/*", Side::Object)?.covers(&name));
//! # Ok::<(), writ_proto::name::NameError>(())
//! ```
//!
//! Left out on purpose: normalization (display text is expected in NFC; the edges see to that), and any
//! pattern with a `*` elsewhere than at the end.

mod action;
mod error;
pub mod escape;
mod pattern;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::borrow::Borrow;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use action::{Action, ActionPattern};
pub use error::NameError;
pub use pattern::{Pattern, candidates};
pub(crate) use pattern::{covers_text, overlap_texts, wider};

use crate::limits::{NAME_ID_BYTES_MAX, NAME_SEGMENTS_MAX, NAME_TYPE_BYTES_MAX};
use crate::time::Excerpt;

/// The type of roles, which are subjects as well as objects.
pub const ROLE_TYPE: &str = "role";

/// Which place of an entry or a question a name stands in: it decides the type that may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Who asks for access.
    Subject,
    /// What access is asked to.
    Object,
}

impl Side {
    /// The type of a name that is written without one.
    pub const fn default_type(self) -> &'static str {
        match self {
            Self::Subject => "user",
            Self::Object => "resource",
        }
    }
}

/// One exact subject or object, as it stands on the ledger: `type:id`.
///
/// Compared, ordered and hashed as its full text, so a map of names can be asked with a `&str`.
/// Serde carries the full text, checked by the same rules on the way in.
#[derive(Clone)]
pub struct Name {
    // INVARIANT: `text[..colon]` is a type and `text[colon + 1..]` an id, by `check_type` and `check_id`.
    text: Box<str>,
    colon: usize,
}

impl Name {
    /// Reads a name in ledger form; its type may be left out.
    pub fn parse(text: &str, side: Side) -> Result<Self, NameError> {
        refuse_star(text)?;
        let (kind, id) = split(text, side)?;
        check_id(id)?;
        Ok(Self::join(kind, id))
    }

    /// Reads the full text of a name: ledger form, with its type.
    pub fn parse_full(text: &str) -> Result<Self, NameError> {
        refuse_star(text)?;
        let (kind, id) = split_full(text)?;
        check_id(id)?;
        Ok(Self::join(kind, id))
    }

    /// Reads a name as a person wrote it: `text` is in NFC, its type may be left out, and what an id
    /// cannot hold is percent-encoded. `%type:id` is read as ledger form, with its escapes as they are.
    pub fn from_display(text: &str, side: Side) -> Result<Self, NameError> {
        if let Some(raw) = raw_form(text) {
            return Self::parse_full(raw);
        }
        refuse_star(text)?;
        let (kind, id) = split(text, side)?;
        let id = escape_checked(id)?;
        check_id(&id)?;
        Ok(Self::join(kind, &id))
    }

    /// The full text, `type:id`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part before the first colon.
    pub fn type_(&self) -> &str {
        &self.text[..self.colon]
    }

    /// The part after the first colon, in ledger form.
    pub fn id(&self) -> &str {
        &self.text[self.colon + 1..]
    }

    /// Whether it names a role.
    pub fn is_role(&self) -> bool {
        self.type_() == ROLE_TYPE
    }

    /// The short text: without the type if that is the default of this side and the id holds no colon.
    /// [`Name::parse`] reads it back.
    pub fn to_text(&self, side: Side) -> String {
        short(self.type_(), self.id(), side)
    }

    /// The text for people: short, with the id decoded. [`Name::from_display`] reads it back.
    ///
    /// An id that decodes to no valid UTF-8 stands in ledger form, marked by a leading `%`: `%user:%FF`.
    pub fn to_display(&self, side: Side) -> String {
        self.to_display_if(side, |_| true)
    }

    /// As [`Name::to_display`], but the decoded id is shown only if `readable` says so of it; else the
    /// marked ledger form. An edge that normalizes what it reads passes "is in NFC" here, and one that
    /// writes to a terminal also "has no control characters": both then stay readable back.
    pub fn to_display_if(&self, side: Side, readable: impl FnOnce(&str) -> bool) -> String {
        match escape::unescape(self.id()) {
            Some(id) if readable(&id) => short(self.type_(), &id, side),
            _ => format!("{RAW_MARK}{}", self.text),
        }
    }

    fn join(kind: &str, id: &str) -> Self {
        Self { text: [kind, ":", id].concat().into_boxed_str(), colon: kind.len() }
    }
}

/// Before a full text in ledger form where display text is expected. No type begins with it, so the mark
/// takes nothing away from what display text can say.
const RAW_MARK: char = '%';

/// The full text behind the mark, if `text` is `%type:id`.
///
/// Without a colon it is not that form, but an id that happens to begin with `%`.
fn raw_form(text: &str) -> Option<&str> {
    text.strip_prefix(RAW_MARK).filter(|raw| raw.contains(':'))
}

/// Type and id, where the type may be left out.
fn split(text: &str, side: Side) -> Result<(&str, &str), NameError> {
    if text.contains(':') { split_full(text) } else { Ok((side.default_type(), text)) }
}

/// Type and id, where the type must be there.
fn split_full(text: &str) -> Result<(&str, &str), NameError> {
    let (kind, id) = text.split_once(':').ok_or_else(|| NameError::TypeMissing { found: Excerpt::of(text) })?;
    check_type(kind)?;
    Ok((kind, id))
}

/// Type and id as short as they read back.
fn short(kind: &str, id: &str, side: Side) -> String {
    if kind == side.default_type() && !id.contains(':') { id.into() } else { format!("{kind}:{id}") }
}

/// The id in ledger form, unless that would be too long: the length is counted before room is taken.
fn escape_checked(id: &str) -> Result<Cow<'_, str>, NameError> {
    match escape::escaped_len(id) {
        found if found > NAME_ID_BYTES_MAX => Err(NameError::IdTooLong { found }),
        _ => Ok(escape::escape(id)),
    }
}

fn refuse_star(text: &str) -> Result<(), NameError> {
    if text.contains('*') {
        return Err(NameError::NotExact { found: Excerpt::of(text) });
    }
    Ok(())
}

fn check_type(kind: &str) -> Result<(), NameError> {
    let mut letters = kind.bytes();
    let good = kind.len() <= NAME_TYPE_BYTES_MAX
        && letters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, b'_' | b'.' | b'-'));
    if good { Ok(()) } else { Err(NameError::BadType { found: Excerpt::of(kind) }) }
}

/// Checks an id in ledger form. Where a `*` may stand is the caller's question.
fn check_id(id: &str) -> Result<(), NameError> {
    if id.is_empty() {
        return Err(NameError::IdEmpty);
    }
    if id.len() > NAME_ID_BYTES_MAX {
        return Err(NameError::IdTooLong { found: id.len() });
    }
    escape::check(id)?;
    let segments = 1 + id.bytes().filter(|byte| *byte == b'/').count();
    if segments > NAME_SEGMENTS_MAX {
        return Err(NameError::TooManySegments { found: segments });
    }
    Ok(())
}

/// Gives a type the identity of its full text, in comparisons and on the wire.
macro_rules! identified_by_text {
    ($type:ident, $read:path) => {
        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                self.as_str() == other.as_str()
            }
        }

        impl Eq for $type {}

        impl PartialOrd for $type {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $type {
            fn cmp(&self, other: &Self) -> Ordering {
                self.as_str().cmp(other.as_str())
            }
        }

        impl Hash for $type {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.as_str().hash(state);
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($type), "({})"), self.as_str())
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $read(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}
use identified_by_text;

identified_by_text!(Name, Name::parse_full);

#[cfg(test)]
mod tests;
