//! Which action, and "every action".

use alloc::boxed::Box;
use alloc::string::String;
use core::borrow::Borrow;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{NameError, identified_by_text};
use crate::limits::ACTION_BYTES_MAX;
use crate::time::Excerpt;

/// One exact action: `[A-Za-z0-9][A-Za-z0-9_.:/-]{0,63}`.
///
/// Compared byte by byte; serde carries its text, checked on the way in.
#[derive(Clone)]
pub struct Action(Box<str>);

impl Action {
    /// The action of role memberships; it means nothing else.
    pub const MEMBER: &str = "member";

    /// The action [`Action::MEMBER`].
    pub fn member() -> Self {
        Self(Self::MEMBER.into())
    }

    /// Reads an action.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text == ActionPattern::ANY {
            return Err(NameError::NotExact { found: Excerpt::of(text) });
        }
        let mut letters = text.bytes();
        let good = text.len() <= ACTION_BYTES_MAX
            && letters.next().is_some_and(|first| first.is_ascii_alphanumeric())
            && letters.all(|letter| letter.is_ascii_alphanumeric() || b"_.:/-".contains(&letter));
        if good { Ok(Self(text.into())) } else { Err(NameError::BadAction { found: Excerpt::of(text) }) }
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the action of role memberships.
    pub fn is_member(&self) -> bool {
        self.as_str() == Self::MEMBER
    }
}

identified_by_text!(Action, Action::parse);

impl FromStr for Action {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

/// One action, or every action.
///
/// Compared as its text; serde carries that, checked on the way in.
#[derive(Clone)]
pub enum ActionPattern {
    /// Every action, also ones never named: `*`.
    Any,
    /// This action alone.
    Exact(Action),
}

impl ActionPattern {
    /// The text of [`ActionPattern::Any`].
    pub const ANY: &str = "*";

    /// Reads an action or `*`.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text == Self::ANY { Ok(Self::Any) } else { Action::parse(text).map(Self::Exact) }
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Any => Self::ANY,
            Self::Exact(action) => action.as_str(),
        }
    }

    /// The action, if it is one alone.
    pub fn as_exact(&self) -> Option<&Action> {
        match self {
            Self::Any => None,
            Self::Exact(action) => Some(action),
        }
    }

    /// Whether it is exactly the action of role memberships; `*` is not.
    pub fn is_member(&self) -> bool {
        self.as_exact().is_some_and(Action::is_member)
    }

    /// Whether it stands for this action.
    pub fn covers(&self, action: &Action) -> bool {
        self.as_exact().is_none_or(|own| own == action)
    }

    /// Whether it stands for every action that `other` stands for.
    pub fn covers_pattern(&self, other: &Self) -> bool {
        match other {
            Self::Any => matches!(self, Self::Any),
            Self::Exact(action) => self.covers(action),
        }
    }
}

identified_by_text!(ActionPattern, ActionPattern::parse);

impl FromStr for ActionPattern {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl From<Action> for ActionPattern {
    fn from(action: Action) -> Self {
        Self::Exact(action)
    }
}
