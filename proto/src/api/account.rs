//! Why a decision is what it is, entry by entry.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::Entry;
use crate::record::{AuthorityName, Effect, RecordId};
use crate::time::LedgerTime;

/// The reasons of a decision at length.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The entries that decided, whole.
    pub entries: Vec<Entry>,
    /// The roles reached on the way.
    pub roles: Vec<ExplainedRole>,
    /// Everything that stands between subject and object, and what became of it: denials first, then grants, the
    /// nearest first.
    #[serde(default)]
    pub considered: Vec<ConsideredEntry>,
    /// Whether there was more than `considered` tells of.
    #[serde(default)]
    pub more: bool,
    /// Where access is denied: what stood in the way of the nearest grant, in words.
    #[serde(default)]
    pub why_not: Option<String>,
    /// The root authorities whose memberships led to too many roles: their grants did not count.
    pub cut_authorities: Vec<AuthorityName>,
    /// The interval `[lo, hi]` of time that the answer is for.
    pub interval: [LedgerTime; 2],
    /// How many keys were looked up.
    pub lookups: u32,
}

/// A role that a decision reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainedRole {
    /// The role.
    pub role: String,
    /// The membership over which it was first reached.
    pub over: RecordId,
    /// Whether a denied membership keeps its grants away.
    pub denied: bool,
    /// Whether its grants count.
    pub entered: bool,
}

/// An entry between subject and object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsideredEntry {
    /// Its id.
    pub id: RecordId,
    /// Granted or denied.
    pub access: Effect,
    /// Who: the subject, a role of it, or a pattern above either.
    pub sub: String,
    /// Which action.
    pub act: String,
    /// What: the object, or a pattern above it.
    pub obj: String,
    /// The memberships that lead from the subject to `sub`.
    pub over: Vec<RecordId>,
    /// What became of it.
    pub verdict: Verdict,
    /// What stood in its way, from the subject on; empty if it applies.
    pub obstacles: Vec<ObstacleAnswer>,
}

/// What a decision made of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It applies; a grant may still be outweighed by a denial.
    Applies,
    /// A condition on the way cannot be evaluated: a denial denies, a grant does not grant.
    Unclear,
    /// It does not apply.
    DoesNotApply,
}

/// Something in the way of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObstacleAnswer {
    /// What.
    pub code: ObstacleCode,
    /// Where: the entry itself, or a membership on the way to it.
    pub entry: RecordId,
    /// When it starts, ended, or was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<LedgerTime>,
    /// The revocation, or the denial of the membership.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<RecordId>,
    /// What the condition looked for in vain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// The same in words.
    pub detail: String,
}

/// What stands in the way of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObstacleCode {
    /// It starts later.
    NotYet,
    /// It ended by itself.
    Ended,
    /// It never holds: it was over before it began.
    Never,
    /// It was revoked.
    Revoked,
    /// Its condition is false.
    ConditionFalse,
    /// Its condition cannot be evaluated.
    ConditionUnknown,
    /// It is about another action.
    OtherAction,
    /// The membership is denied.
    MembershipDenied,
    /// The memberships of its authority lead to too many roles.
    TooManyRoles,
}

/// Why access is denied, in words: what stood in the way of the nearest grant.
///
/// `more`: whether there is more than was looked at.
pub fn why_not(considered: &[ConsideredEntry], more: bool) -> String {
    let denials = considered.iter().filter(|one| one.access == Effect::Deny && one.verdict != Verdict::DoesNotApply);
    let nearest = considered.iter().find(|one| one.access == Effect::Grant);
    let grant = |one: &ConsideredEntry| format!("a grant of `{}` on `{}` to `{}`", one.act, one.obj, one.sub);
    let obstacles = |one: &ConsideredEntry| {
        let details: Vec<&str> = one.obstacles.iter().map(|obstacle| obstacle.detail.as_str()).collect();
        details.join(", and ")
    };
    match (denials.count(), nearest) {
        (0, None) if more => "no entry was found that grants it, and there are more than were looked at".to_string(),
        (0, None) => "no entry grants it, nor ever did, to the subject or to a role that it could be in".to_string(),
        (0, Some(one)) => format!("{} exists, but {}", grant(one), obstacles(one)),
        (count, nearest) => {
            let denied = if count == 1 { "a denial stands".into() } else { format!("{count} denials stand") };
            match nearest {
                None => format!("{denied}, and no entry grants it"),
                Some(one) if one.obstacles.is_empty() => format!("{denied}; without, {} would count", grant(one)),
                Some(one) => format!("{denied}, and of {}, {}", grant(one), obstacles(one)),
            }
        }
    }
}
