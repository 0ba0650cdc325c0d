//! Why a text is no condition.

use alloc::format;
use alloc::string::{String, ToString as _};

use super::DEPTH_MAX;
use crate::limits::CONDITION_BYTES_MAX;
use crate::refusal::{Code, Refusal};
use crate::time::Excerpt;

/// Why a text is no condition: the first fault. Positions count the bytes of the text, from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConditionError {
    /// The text is too long.
    #[error("a condition of {found} bytes, expected at most {CONDITION_BYTES_MAX}")]
    TooLong {
        /// Bytes of the text.
        found: usize,
    },
    /// Something else should stand here.
    #[error("{} at byte {at}, expected {expected}", quoted(found))]
    Unexpected {
        /// Where.
        at: usize,
        /// What stands there; none at the end of the text.
        found: Option<Excerpt>,
        /// What could.
        expected: &'static str,
    },
    /// CEL has it, conditions do not.
    #[error("`{found}` at byte {at}: conditions have no {what}")]
    Unsupported {
        /// Where.
        at: usize,
        /// What stands there.
        found: Excerpt,
        /// What it is.
        what: &'static str,
    },
    /// A name that is none of the variables.
    #[error("`{found}` at byte {at} is no variable, expected `context`, `subject`, `action` or `resource`")]
    UnknownVariable {
        /// Where.
        at: usize,
        /// The name.
        found: Excerpt,
    },
    /// A member that this variable never has.
    #[error("`{found}` at byte {at} is no member of `{variable}`, expected {expected}")]
    UnknownMember {
        /// Where.
        at: usize,
        /// The name.
        found: Excerpt,
        /// Of which variable.
        variable: &'static str,
        /// Which members it has.
        expected: &'static str,
    },
    /// A name that is none of the functions, or one that is called in another way.
    #[error(
        "`{found}` at byte {at} is no function, expected `has(x.y)`, `size(x)`, `x.size()`, `x.startsWith(y)` \
         or `x.endsWith(y)`"
    )]
    UnknownFunction {
        /// Where.
        at: usize,
        /// The name.
        found: Excerpt,
    },
    /// A backslash in a text that begins no escape.
    #[error("`{found}` at byte {at} is no escape: expected {expected}")]
    BadEscape {
        /// Where.
        at: usize,
        /// The backslash and what follows.
        found: Excerpt,
        /// What could follow it.
        expected: &'static str,
    },
    /// A number that its type cannot hold.
    #[error("`{found}` at byte {at} does not fit: expected {expected}")]
    BadNumber {
        /// Where.
        at: usize,
        /// The number.
        found: Excerpt,
        /// What fits.
        expected: &'static str,
    },
    /// Too many levels.
    #[error("a condition of more than {DEPTH_MAX} levels at byte {at}, expected at most {DEPTH_MAX}")]
    TooDeep {
        /// Where there was one too many.
        at: usize,
    },
}

impl ConditionError {
    /// Where the fault is, in bytes from 0; none if it is the whole text.
    pub fn at(&self) -> Option<usize> {
        match self {
            Self::TooLong { .. } => None,
            Self::Unexpected { at, .. }
            | Self::Unsupported { at, .. }
            | Self::UnknownVariable { at, .. }
            | Self::UnknownMember { at, .. }
            | Self::UnknownFunction { at, .. }
            | Self::BadEscape { at, .. }
            | Self::BadNumber { at, .. }
            | Self::TooDeep { at } => Some(*at),
        }
    }
}

impl From<ConditionError> for Refusal {
    fn from(error: ConditionError) -> Self {
        Self::of(Code::BadCondition, "cond", error.to_string())
    }
}

fn quoted(found: &Option<Excerpt>) -> String {
    found.as_ref().map_or_else(|| "the end of the condition".into(), |found| format!("`{found}`"))
}
