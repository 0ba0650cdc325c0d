//! A whole file as one atomic set: all of its rows or none.
//!
//! ```text
//!   rows --draft--> resolved times, targets --journal, fsync--> one record --sent--> in the log, or not at all
//! ```
//!
//! The set's nonce follows from the file's text, its body also from what the journal keeps: so it has one id however
//! often it is sent. A file that was imported so stays as it is: with another row it would be another set, which says
//! everything once more.
//!
//! Nothing in a set can end what the set itself makes: no id of it is known before all of it is. So a row that
//! withdraws what an earlier row of the file states is refused.

use std::collections::HashMap;

use writ_proto::hash::Digest;
use writ_proto::limits::{RECORD_BYTES_MAX, SET_MEMBERS_MAX};
use writ_proto::record::{AtomicSet, AuthorityName, Body, Nonce, RecordId, SetMember, Signed};
use writ_proto::refusal::Refusal;
use writ_proto::time::LedgerTime;

use super::journal::{Journal, KeptSet};
use super::plan::{Deed, Draft, Found, Kept, Plan, PlannedRow, nonce_of};
use super::rows::{Row, RowFault};
use super::run::{Failure, Ledger, Refused, Settled, Summary};
use crate::author::Author;

/// More than one record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "one set of all this has {members} members and {bytes} bytes, at most {SET_MEMBERS_MAX} members and {RECORD_BYTES_MAX} bytes fit"
)]
pub struct TooLarge {
    /// Its members.
    pub members: usize,
    /// Bytes of its record, if it were one.
    pub bytes: usize,
}

/// The line of a fault that is of no line alone.
pub const NO_LINE: u64 = 0;

/// Something that a set makes or ends, and the line that says so.
pub type Lined = (u64, SetMember);

/// The members that planned rows make, in file order.
///
/// # Errors
/// Every row that is no part of a set, and why.
pub fn members_of(planned: &[PlannedRow]) -> Result<Vec<Lined>, Vec<Refused>> {
    let (mut members, mut refused) = (Vec::new(), Vec::new());
    let mut stated: HashMap<RecordId, u64> = HashMap::new();
    for PlannedRow { line, deed, .. } in planned {
        let line = *line;
        match deed {
            Err(fault) => refused.push(refused_row(line, fault.clone())),
            Ok(Deed::State { id, body }) => {
                stated.insert(*id, line);
                if let Body::Access(access) = &**body {
                    members.push((line, SetMember::Access(access.clone())));
                }
            }
            Ok(Deed::Withdraw { targets }) => match targets.iter().find_map(|target| stated.get(&target.id)) {
                Some(maker) => {
                    let detail = format!(
                        "it withdraws what line {maker} states, and in one set nothing can end what the set itself makes: \
                         take both rows out"
                    );
                    refused.push(refused_row(line, RowFault::of("access", detail)));
                }
                None => members.extend(targets.iter().map(|target| (line, SetMember::Revoke(target.revoke())))),
            },
        }
    }
    if refused.is_empty() { Ok(members) } else { Err(refused) }
}

/// Whether a set of `authority` fits into one record with so many signatures.
///
/// # Errors
/// If not: how large it is.
pub fn check_size(
    chain: &Digest,
    authority: &AuthorityName,
    set: &AtomicSet,
    signatures: usize,
) -> Result<(), TooLarge> {
    let (body, nonce) = (Body::Set(set.clone()), Nonce([0; 16]));
    let statement = writ_proto::api::statement_of(*chain, authority.clone(), nonce, body, LedgerTime::EPOCH);
    let bytes = statement.record_bytes(signatures).unwrap_or(usize::MAX);
    let members = set.members.len();
    if members > SET_MEMBERS_MAX || bytes > RECORD_BYTES_MAX { Err(TooLarge { members, bytes }) } else { Ok(()) }
}

/// The nonce of a file's set.
pub fn nonce_of_set(chain: &Digest, authority: &AuthorityName, text: &[u8]) -> Nonce {
    // No row stands behind so many equal ones.
    nonce_of(chain, authority, text, u64::MAX)
}

/// The set that a file is, before its members are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole {
    nonce: Nonce,
    unchanged_since: Option<u64>,
}

impl Whole {
    /// That of the file with this `text`: as its journal has it, which keeps `rows` and `set`, or else as is asked for now.
    ///
    /// # Errors
    /// If the journal is that of another file, or of an import row by row.
    pub fn of<E: std::error::Error + 'static>(
        text: &[u8],
        unchanged_since: Option<u64>,
        author: &Author,
        rows: &[Kept],
        set: Option<KeptSet>,
    ) -> Result<Self, Failure<E>> {
        let nonce = nonce_of_set(author.chain(), author.authority(), text);
        match set {
            Some(kept) if kept.nonce != nonce => Err(Failure::OtherSet),
            Some(kept) => Ok(Self { nonce, unchanged_since: kept.unchanged_since }),
            None if !rows.is_empty() => Err(Failure::NotAsSet),
            None => Ok(Self { nonce, unchanged_since }),
        }
    }

    /// The size of the log since which nothing on its keys may have changed.
    pub const fn unchanged_since(&self) -> Option<u64> {
        self.unchanged_since
    }

    /// The set with these members.
    ///
    /// # Errors
    /// If it fits no record.
    pub fn with(&self, members: &[Lined], author: &Author) -> Result<AtomicSet, TooLarge> {
        let members = members.iter().map(|(_, member)| member.clone()).collect();
        let set = AtomicSet { members, unchanged_since: self.unchanged_since };
        check_size(author.chain(), author.authority(), &set, 1)?;
        Ok(set)
    }

    /// The id of its record.
    ///
    /// # Errors
    /// If the set makes no sense.
    pub fn id(&self, set: AtomicSet, author: &Author) -> Result<RecordId, Refusal> {
        // It does not depend on the time by which it must be in the log.
        author.statement(self.nonce, Body::Set(set), LedgerTime::EPOCH).id()
    }
}

/// Brings all `rows` of the file with this `text` into the ledger in one set, or none of them; with `unchanged_since`,
/// only if nothing on its keys changed since the log had that size.
///
/// # Errors
/// As for [`super::import`]; and if the rows are too many for one set, or were imported otherwise before. A set
/// that is refused is no error: the summary says why, and the file may be corrected and imported again.
pub fn import_set<L>(
    rows: &[Row],
    text: &[u8],
    unchanged_since: Option<u64>,
    author: &Author,
    journal: &mut Journal,
    ledger: &mut L,
    now: LedgerTime,
) -> Result<Summary, Failure<L::Error>>
where
    L: Ledger,
    L::Error: std::error::Error + 'static,
{
    let whole = Whole::of(text, unchanged_since, author, journal.rows(), journal.set())?;
    let total = rows.len() as u64;
    let stopped = |source| Failure::Ledger { done: 0, rows: total, source };
    let draft = Draft::new(rows, journal.rows(), author.chain(), author.authority(), now)?;
    let keys = draft.keys_to_look_up();
    let found = if keys.is_empty() { Found::new() } else { ledger.live(&keys, now).map_err(stopped)? };
    let Plan { rows: planned, fresh } = draft.complete(found);
    let mut summary = Summary { rows: total, ..Summary::default() };
    let members = match members_of(&planned) {
        Ok(members) => members,
        Err(refusals) => return Ok(Summary { refused: total, refusals, ..summary }),
    };
    if members.is_empty() {
        return Ok(Summary { nothing_to_revoke: total, ..summary });
    }
    let set = whole.with(&members, author)?;
    let Whole { nonce, unchanged_since } = whole;
    journal.keep_set(KeptSet { nonce, unchanged_since }, fresh)?;
    let signed: Signed = author.sign(nonce, Body::Set(set), crate::clock::now()).map_err(Failure::Record)?;
    let id = signed.id();
    let settled = ledger.append(vec![signed]).map_err(stopped)?;
    summary.set = Some(id);
    match settled.into_iter().next() {
        Some(Settled::Refused { in_log, fault, .. }) => {
            if !in_log {
                journal.forget_set()?;
            }
            summary.refused = total;
            summary.refusals.push(blamed(&members, fault));
            return Ok(summary);
        }
        Some(Settled::Duplicate { .. }) => summary.duplicate = total,
        Some(Settled::Appended { .. }) | None => {
            for row in &planned {
                summary.ended.extend(row.has_ended(now).then_some(row.line));
                match &row.deed {
                    Ok(Deed::Withdraw { targets }) if targets.is_empty() => summary.nothing_to_revoke += 1,
                    Ok(Deed::Withdraw { targets }) => {
                        summary.revoked += 1;
                        summary.entries_revoked += targets.len() as u64;
                    }
                    Ok(Deed::State { .. }) | Err(_) => summary.appended += 1,
                }
            }
        }
    }
    journal.finish(&[], planned.len(), now)?;
    Ok(summary)
}

/// A fault of a set as one of the line that says the member at fault; of the whole, it is of [`NO_LINE`].
pub fn blamed(members: &[Lined], fault: RowFault) -> Refused {
    let (place, field) = fault.field.as_deref().map_or((None, None), split);
    let line = place.and_then(|place| Some(members.get(place)?.0)).unwrap_or(NO_LINE);
    Refused { line, code: fault.code, field: field.map(Into::into), detail: fault.detail }
}

/// `members[3].exp`: the place and the rest.
fn split(path: &str) -> (Option<usize>, Option<&str>) {
    let member = path.strip_prefix("members[").and_then(|rest| rest.split_once(']'));
    match member.and_then(|(place, rest)| Some((place.parse().ok()?, rest))) {
        Some((place, rest)) => (Some(place), rest.strip_prefix('.')),
        None => (None, Some(path)),
    }
}

fn refused_row(line: u64, fault: RowFault) -> Refused {
    let RowFault { code, field, detail } = fault;
    Refused { line, code, field, detail }
}

#[cfg(test)]
mod tests;
