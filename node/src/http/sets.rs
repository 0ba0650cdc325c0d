//! Atomic sets as JSON: what one is to hold, before it is signed.

use serde_json::Value;
use writ_proto::api::Since;
use writ_proto::limits::SET_MEMBERS_MAX;
use writ_proto::record::{Access, AtomicSet, AuthorityName, RecordId, SetMember};
use writ_proto::state::State;

use super::error::ApiError;
use super::json::Members;
use super::moment::size_since;
use super::records::{id_of, read_tuple, revocation};
use crate::ledger::Ledger;

/// What a set is to hold, and since when nothing on its keys may have changed.
pub(super) struct SetWish {
    pub(super) members: Vec<MemberWish>,
    pub(super) unchanged_since: Option<Since>,
}

/// What a member is to be.
pub(super) enum MemberWish {
    Entry(Access),
    Revoke(RecordId),
}

impl SetWish {
    /// Reads the members, each a tuple or `{"revoke":ID}`, of a set that `authority` would sign.
    pub(super) fn read(
        values: Vec<Value>,
        unchanged_since: Option<Since>,
        authority: &AuthorityName,
    ) -> Result<Self, ApiError> {
        check_count(values.len(), "set")?;
        let read = |(place, value)| MemberWish::read(value, authority).map_err(|error| in_member(error, place));
        let members = values.into_iter().enumerate().map(read).collect::<Result<_, _>>()?;
        Ok(Self { members, unchanged_since })
    }
}

impl MemberWish {
    fn read(value: Value, authority: &AuthorityName) -> Result<Self, ApiError> {
        let mut members = Members::of_item(value)?;
        if !members.has("revoke") {
            return Ok(Self::Entry(read_tuple(members, authority)?));
        }
        let target: String = members.require("revoke")?;
        members.finish()?;
        Ok(Self::Revoke(id_of(&target, "revoke")?))
    }
}

/// The set of these members on a state: revocations carry their targets' effects.
pub(super) fn set_of(
    state: &State,
    members: Vec<MemberWish>,
    unchanged_since: Option<u64>,
) -> Result<AtomicSet, ApiError> {
    let member = |(place, wish): (usize, MemberWish)| match wish {
        MemberWish::Entry(access) => Ok(SetMember::Access(access)),
        MemberWish::Revoke(target) => {
            revocation(state, target).map(SetMember::Revoke).map_err(|error| in_member(error, place))
        }
    };
    let members = members.into_iter().enumerate().map(member).collect::<Result<_, _>>()?;
    Ok(AtomicSet { members, unchanged_since })
}

/// The size that a wish means. Reads the store, so no lock is to be held.
pub(super) fn size_of(ledger: &Ledger, since: Option<&Since>) -> Result<Option<u64>, ApiError> {
    since.map(|since| size_since(ledger, since)).transpose()
}

/// Whether a set can have so many members.
pub(super) fn check_count(found: usize, name: &'static str) -> Result<(), ApiError> {
    if (1..=SET_MEMBERS_MAX).contains(&found) {
        return Ok(());
    }
    Err(ApiError::bad(name, format!("a set of {found} members, expected 1 to {SET_MEMBERS_MAX}")))
}

/// A refusal by the names of the JSON: what the record calls `members` is called `set` there.
pub(super) fn renamed(error: ApiError) -> ApiError {
    let field = error.field.as_deref().map(|field| field.replacen("members", "set", 1).into());
    error.blaming(field)
}

fn in_member(error: ApiError, place: usize) -> ApiError {
    let field = match error.field.as_deref() {
        Some(field) => format!("set[{place}].{field}"),
        None => format!("set[{place}]"),
    };
    error.blaming(Some(field.into()))
}
