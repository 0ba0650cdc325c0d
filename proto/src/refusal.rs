//! Why a record is not taken: a stable code, the field at fault, and words.
//!
//! The same codes stand in HTTP answers, in receipts, and, as numbers, in the outcomes that a block
//! commits to. The numbers are part of the protocol and never change their meaning.

use alloc::format;
use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};

/// A stable code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Code {
    /// Malformed bytes or text.
    BadRequest,
    /// A condition that does not parse.
    BadCondition,
    /// A kind or a feature that this version does not know.
    Unsupported,
    /// Signed for another chain.
    WrongChain,
    /// A signature that does not fit.
    BadSignature,
    /// A key that its authority never had.
    UnknownKey,
    /// An authority that the chain does not know.
    UnknownAuthority,
    /// Fewer signatures than the authority's threshold.
    ThresholdNotMet,
    /// The record's `submit_by` has passed, or lies too far ahead.
    ExpiredSubmission,
    /// No rule of the authority's scope allows it.
    OutOfScope,
    /// The authority no longer makes entries.
    RetiredAuthority,
    /// The authority may not do this to that target.
    Forbidden,
    /// What is named does not exist.
    NotFound,
    /// The state has moved on, or contradicts the record.
    Conflict,
    /// Larger than a bound on bytes.
    TooLarge,
    /// A bound on how many is reached.
    LimitExceeded,
}

impl Code {
    /// Every code with its number in outcomes. 0 is *accepted*.
    pub const ALL: [(Self, u16); 16] = [
        (Self::BadRequest, 1),
        (Self::BadCondition, 2),
        (Self::Unsupported, 3),
        (Self::WrongChain, 4),
        (Self::BadSignature, 5),
        (Self::UnknownKey, 6),
        (Self::UnknownAuthority, 7),
        (Self::ThresholdNotMet, 8),
        (Self::ExpiredSubmission, 9),
        (Self::OutOfScope, 10),
        (Self::RetiredAuthority, 11),
        (Self::Forbidden, 12),
        (Self::NotFound, 13),
        (Self::Conflict, 14),
        (Self::TooLarge, 15),
        (Self::LimitExceeded, 16),
    ];

    /// The number in an outcome.
    pub fn number(self) -> u16 {
        Self::ALL.iter().find(|(code, _)| *code == self).map_or(u16::MAX, |(_, number)| *number)
    }

    /// The code of a number in an outcome.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.iter().find(|(_, n)| *n == number).map(|(code, _)| *code)
    }

    /// The code as HTTP answers spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::BadCondition => "bad_condition",
            Self::Unsupported => "unsupported",
            Self::WrongChain => "wrong_chain",
            Self::BadSignature => "bad_signature",
            Self::UnknownKey => "unknown_key",
            Self::UnknownAuthority => "unknown_authority",
            Self::ThresholdNotMet => "threshold_not_met",
            Self::ExpiredSubmission => "expired_submission",
            Self::OutOfScope => "out_of_scope",
            Self::RetiredAuthority => "retired_authority",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
            Self::LimitExceeded => "limit_exceeded",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a record is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refusal {
    /// The stable code.
    pub code: Code,
    /// The member at fault, by its JSON name, where one is.
    pub field: Option<&'static str>,
    /// The place, from 0, of the member of a set at fault, where one is.
    pub member: Option<u8>,
    /// What was found and what was expected.
    pub detail: String,
}

impl Refusal {
    /// A refusal that blames `field`.
    pub fn of(code: Code, field: &'static str, detail: impl Into<String>) -> Self {
        Self { code, field: Some(field), member: None, detail: detail.into() }
    }

    /// A refusal of the whole.
    pub fn whole(code: Code, detail: impl Into<String>) -> Self {
        Self { code, field: None, member: None, detail: detail.into() }
    }

    /// The same, of what stands at this place of a set.
    #[must_use]
    pub fn in_member(self, place: u8) -> Self {
        Self { member: Some(place), ..self }
    }

    /// What is at fault, in words for people and JSON: `exp`, `members[3].exp`, `members[3]`.
    pub fn path(&self) -> Option<String> {
        match (self.member, self.field) {
            (None, field) => field.map(Into::into),
            (Some(place), None) => Some(format!("members[{place}]")),
            (Some(place), Some(field)) => Some(format!("members[{place}].{field}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_codes_are_one_to_one_and_zero_is_free() {
        for (at, (code, number)) in Code::ALL.iter().enumerate() {
            assert_eq!(*number as usize, at + 1);
            assert_eq!(Code::from_number(*number), Some(*code));
            assert_eq!(code.number(), *number);
        }
        assert_eq!(Code::from_number(0), None);
        assert_eq!(Code::from_number(17), None);
    }

    #[test]
    fn a_path_names_the_member_of_a_set_and_its_field() {
        let (of_field, whole) = (Refusal::of(Code::BadRequest, "exp", ""), Refusal::whole(Code::BadRequest, ""));
        for (refusal, path) in [
            (whole.clone(), None),
            (of_field.clone(), Some("exp")),
            (whole.in_member(0), Some("members[0]")),
            (of_field.in_member(63), Some("members[63].exp")),
        ] {
            assert_eq!(refusal.path().as_deref(), path);
        }
    }
}
