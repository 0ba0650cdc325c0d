//! What a node answers about change: histories, differences, previews.

use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{Entry, Since, Tuple};
use crate::decision::Rights;
use crate::name::ActionPattern;
use crate::record::{AuthorityName, RecordId};
use crate::time::LedgerTime;

/// What is granted: one action, or every action but some.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Right {
    /// The action; `*`: every action, also ones that no entry names, but for `except`.
    pub act: String,
    /// The actions that are not granted; none unless `act` is `*`.
    pub except: Vec<String>,
}

/// Rights as rows: one for every action but some, or one for each action, in bytewise order.
pub fn rights_of(rights: &Rights) -> Vec<Right> {
    let actions = rights.actions.iter().map(|action| action.to_string());
    if rights.every {
        return vec![Right { act: ActionPattern::ANY.into(), except: actions.collect() }];
    }
    actions.map(|act| Right { act, except: Vec::new() }).collect()
}

/// A page of the history of a subject and an object, in the order of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryPage {
    /// The events.
    pub events: Vec<HistoryEvent>,
    /// Up to when it is told; the same on all pages.
    pub at: LedgerTime,
    /// The height by whose knowledge it is told; the same on all pages.
    pub height: u64,
    /// The cursor of the next page; `None`: this is the last one.
    pub next: Option<String>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEvent {
    /// When.
    pub at: LedgerTime,
    /// The last block by then.
    pub height: u64,
    /// What.
    pub event: Happening,
    /// The entry that it happened to, as it stands now; `None` for an answer.
    pub entry: Option<Entry>,
    /// The revocation, where the entry was revoked.
    pub by: Option<RevokedWith>,
    /// What the subject may do to the object from now on; only for an answer. None at all: no action.
    pub rights: Option<Vec<Right>>,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happening {
    /// An entry came into the log.
    Added,
    /// It began to hold, later than it was added.
    Began,
    /// It ended by itself.
    Ended,
    /// It was revoked.
    Revoked,
    /// The answer changed.
    Answer,
}

/// A revocation, and who signed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedWith {
    /// Its id.
    pub id: RecordId,
    /// Who signed it.
    #[serde(rename = "issuingAuth")]
    pub issuing_auth: AuthorityName,
}

/// A page of who gained and lost what between two points of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffPage {
    /// The changes, in the order in which the log first named the subjects, then the objects.
    pub changes: Vec<AccessChange>,
    /// The earlier point.
    pub from: LogPoint,
    /// The later point.
    pub to: LogPoint,
    /// The cursor of the next page; `None`: this is the last one.
    pub next: Option<String>,
}

/// What was known at a height, asked about an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPoint {
    /// The height.
    pub height: u64,
    /// The instant.
    pub at: LedgerTime,
}

/// A subject and an object about which another answer is given. Either may be a pattern: it stands for the names
/// below it that no entry names and no narrower pattern covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessChange {
    /// Who.
    pub sub: String,
    /// What.
    pub obj: String,
    /// What is granted and was not.
    pub gained: Vec<Right>,
    /// What was granted and is not.
    pub lost: Vec<Right>,
}

/// Statements that are not made: what would they change?
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PreviewAsked {
    /// Who would sign them.
    #[serde(rename = "issuingAuth")]
    pub issuing_auth: AuthorityName,
    /// The statements, in order.
    pub statements: Vec<Proposal>,
    /// Whether they stand in one set, all or nothing.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub atomic: bool,
    /// Of a set: only if nothing on its keys changed since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unchanged_since: Option<Since>,
    /// Changes that are told, at most; left out: as the node likes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// A statement that is not made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[expect(clippy::large_enum_variant, reason = "most of a list are entries")]
pub enum Proposal {
    /// The end of an entry of the log.
    Revoke {
        /// Its id.
        revoke: RecordId,
    },
    /// The end of the entry that an earlier statement of the list makes.
    Withdraw {
        /// Its place in the list, from 0.
        withdraw: usize,
    },
    /// An entry.
    State {
        /// What it says.
        #[serde(flatten)]
        tuple: Tuple,
        /// The id that its record would have: if it is in the log already, nothing changes.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<RecordId>,
    },
}

/// What some statements would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewAnswer {
    /// Who would gain and lose what, as in a [`DiffPage`].
    pub changes: Vec<AccessChange>,
    /// Statements that would be refused; they are left out of all else.
    pub refused: Vec<RefusedStatement>,
    /// Statements that change nothing by themselves.
    pub notes: Vec<StatementNote>,
    /// The instant of which this is told: when all statements have begun.
    pub at: LedgerTime,
    /// The height on top of which they are taken.
    pub height: u64,
    /// Whether there are more changes or notes than these.
    pub more: bool,
}

/// A statement that would be refused, or a set as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedStatement {
    /// Its place in the list, from 0; `None`: no statement is at fault, the set as a whole is.
    pub statement: Option<usize>,
    /// The stable code.
    pub code: String,
    /// The member at fault, of the statement or of the set.
    pub field: Option<String>,
    /// What was found and what was expected.
    pub detail: String,
}

/// A statement that changes nothing by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementNote {
    /// Its place in the list, from 0.
    pub statement: usize,
    /// Why.
    pub note: Idle,
    /// The entries that make it so, where some of the log do.
    pub entries: Vec<RecordId>,
}

/// Why a statement changes nothing by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Idle {
    /// It is in the log already.
    Known,
    /// What it says holds without it.
    Covered,
    /// It grants, and a denial stands.
    Denied,
    /// It has ended by then, or what it is to end has ended already.
    Over,
}
