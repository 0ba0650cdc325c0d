//! What an import would do: the same plan, told by a node instead of sent.
//!
//! Nothing is signed, sent, or written to the journal. What an earlier run has sent already changes nothing, and
//! the node tells so by the ids that the rows' records have, or that of the set.

use std::collections::HashMap;

use serde::Serialize;
use writ_proto::api::{AccessChange, Idle, PreviewAnswer, PreviewAsked, Proposal, RefusedStatement, Since, Tuple};
use writ_proto::record::{Body, RecordId};
use writ_proto::time::LedgerTime;

use super::plan::{Deed, Draft, Found, Kept, Plan, PlannedRow};
use super::rows::Row;
use super::run::{Failure, Ledger, Refused};
use super::whole::{NO_LINE, Whole, members_of};
use crate::author::Author;

/// Changes that are asked for: the most that a node tells.
pub const CHANGES_MAX: usize = 10_000;

/// What an import would come to; the counts are those of [`super::Summary`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Preview {
    /// Rows of the file.
    pub rows: u64,
    /// Entries that would be in the log and are not yet.
    pub appended: u64,
    /// Rows all of whose records are in the log already.
    pub duplicate: u64,
    /// Withdrawals that would end at least one entry.
    pub revoked: u64,
    /// Entries that they would end.
    pub entries_revoked: u64,
    /// Withdrawals that find nothing to end.
    pub nothing_to_revoke: u64,
    /// Rows that would not count.
    pub refused: u64,
    /// Which ones and why, in file order.
    pub refusals: Vec<Refused>,
    /// Rows that would be appended, and change nothing by themselves.
    pub notes: Vec<RowNote>,
    /// Who would gain and lose what.
    pub changes: Vec<AccessChange>,
    /// The instant of which that is told: when all rows have begun; `None` if there was nothing to ask.
    pub at: Option<LedgerTime>,
    /// The height on top of which the rows are taken.
    pub height: Option<u64>,
    /// Whether there are more changes or notes than these.
    pub more: bool,
}

/// A row that would change nothing by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RowNote {
    /// Its line in the file.
    pub line: u64,
    /// Why.
    pub note: Idle,
    /// The entries of the log that make it so.
    pub entries: Vec<RecordId>,
}

/// How a file is to be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Row by row.
    Rows,
    /// As one set.
    Set(Whole),
}

/// Tells what [`super::import`] would do, or [`super::whole::import_set`]. `kept` are the rows of the journal; `ask`
/// asks a node.
///
/// # Errors
/// If the file does not fit its journal, or the ledger does not answer.
pub fn preview<L>(
    rows: &[Row],
    kept: &[Kept],
    mode: Mode,
    author: &Author,
    ledger: &mut L,
    now: LedgerTime,
    ask: impl FnOnce(&PreviewAsked) -> Result<PreviewAnswer, L::Error>,
) -> Result<Preview, Failure<L::Error>>
where
    L: Ledger,
    L::Error: std::error::Error + 'static,
{
    let stopped = |source| Failure::Ledger { done: 0, rows: rows.len() as u64, source };
    let draft = Draft::new(rows, kept, author.chain(), author.authority(), now)?;
    let keys = draft.keys_to_look_up();
    let found = if keys.is_empty() { Found::new() } else { ledger.live(&keys, now).map_err(stopped)? };
    let Plan { rows: planned, .. } = draft.complete(found);
    let script = Script::of(&planned);
    let whole = match mode {
        Mode::Rows => None,
        Mode::Set(whole) => Some(whole),
    };
    let total = planned.len() as u64;
    if let Some(whole) = whole {
        let members = match members_of(&planned) {
            Ok(members) => members,
            Err(refusals) => return Ok(Preview { rows: total, refused: total, refusals, ..Preview::default() }),
        };
        if members.is_empty() {
            return Ok(Preview { rows: total, nothing_to_revoke: total, ..Preview::default() });
        }
        let id = whole.id(whole.with(&members, author)?, author).map_err(Failure::Record)?;
        if ledger.is_in_log(id).map_err(stopped)? {
            return Ok(Preview { rows: total, duplicate: total, ..Preview::default() });
        }
    }
    let (atomic, unchanged_since) = (whole.is_some(), whole.and_then(|whole| whole.unchanged_since()).map(Since::Size));
    let told = match script.statements.is_empty() {
        true => None,
        false => {
            let (issuing_auth, statements) = (author.authority().clone(), script.statements.clone());
            let limit = Some(CHANGES_MAX);
            let asked = PreviewAsked { issuing_auth, statements, atomic, unchanged_since, limit };
            Some(ask(&asked).map_err(stopped)?)
        }
    };
    let told = script.tally(&planned, told);
    if atomic && !told.refusals.is_empty() {
        // None of it would be taken.
        let Preview { rows, refusals, at, height, .. } = told;
        return Ok(Preview { rows, refused: rows, refusals, at, height, ..Preview::default() });
    }
    Ok(told)
}

/// What the rows say, as statements.
struct Script {
    statements: Vec<Proposal>,
    /// By row: its statements, and for each the one that makes its target, if that is one of the file.
    of_rows: Vec<Vec<(usize, Option<usize>)>>,
}

impl Script {
    fn of(planned: &[PlannedRow]) -> Self {
        let mut script = Self { statements: Vec::new(), of_rows: Vec::with_capacity(planned.len()) };
        let mut made: HashMap<RecordId, usize> = HashMap::new();
        for row in planned {
            let mut own = Vec::new();
            match &row.deed {
                Ok(Deed::State { id, body }) => {
                    if let Body::Access(access) = &**body {
                        let at = script.statements.len();
                        script.statements.push(Proposal::State { tuple: Tuple::from(access), id: Some(*id) });
                        made.insert(*id, at);
                        own.push((at, None));
                    }
                }
                Ok(Deed::Withdraw { targets }) => {
                    for target in targets {
                        let maker = made.get(&target.id).copied();
                        own.push((script.statements.len(), maker));
                        script.statements.push(match maker {
                            Some(withdraw) => Proposal::Withdraw { withdraw },
                            None => Proposal::Revoke { revoke: target.id },
                        });
                    }
                }
                Err(_) => {}
            }
            script.of_rows.push(own);
        }
        script
    }

    fn tally(self, planned: &[PlannedRow], told: Option<PreviewAnswer>) -> Preview {
        let mut preview = Preview { rows: planned.len() as u64, ..Preview::default() };
        let (mut refused, mut notes) = (HashMap::new(), HashMap::new());
        if let Some(told) = told {
            (preview.at, preview.height) = (Some(told.at), Some(told.height));
            (preview.changes, preview.more) = (told.changes, told.more);
            for refusal in told.refused {
                match refusal.statement {
                    Some(at) => {
                        refused.insert(at, refusal);
                    }
                    None => {
                        let RefusedStatement { code, field, detail, .. } = refusal;
                        preview.refusals.push(Refused { line: NO_LINE, code, field, detail });
                    }
                }
            }
            notes.extend(told.notes.into_iter().map(|note| (note.statement, note)));
        }
        for (row, own) in planned.iter().zip(&self.of_rows) {
            let line = row.line;
            let first = own.iter().find_map(|(at, _)| refused.get(at));
            let refusal = match (&row.deed, first) {
                (Err(fault), _) => {
                    let super::rows::RowFault { code, field, detail } = fault.clone();
                    Some(Refused { line, code, field, detail })
                }
                (Ok(_), Some(first)) => {
                    let (code, field, detail) = (first.code.clone(), first.field.clone(), first.detail.clone());
                    Some(Refused { line, code, field, detail })
                }
                (Ok(_), None) => None,
            };
            if let Some(refusal) = refusal {
                preview.refused += 1;
                preview.refusals.push(refusal);
                continue;
            }
            let note = |at: &usize| notes.get(at).map(|note| note.note);
            if let Ok(Deed::Withdraw { .. }) = row.deed {
                // What is refused is not withdrawn, and what has ended was withdrawn before, or ended by itself.
                let stands = |maker: &Option<usize>| maker.is_none_or(|maker| !refused.contains_key(&maker));
                let standing = own.iter().filter(|(_, maker)| stands(maker));
                let (over, open): (Vec<&_>, Vec<&_>) = standing.partition(|(at, _)| note(at) == Some(Idle::Over));
                preview.entries_revoked += open.len() as u64;
                let count = match (open.is_empty(), over.is_empty()) {
                    (false, _) => &mut preview.revoked,
                    (true, false) => &mut preview.duplicate,
                    (true, true) => &mut preview.nothing_to_revoke,
                };
                *count += 1;
            } else if own.iter().any(|(at, _)| note(at) == Some(Idle::Known)) {
                preview.duplicate += 1;
            } else {
                preview.appended += 1;
                let told = own.iter().filter_map(|(at, _)| notes.get(at));
                let told = told.map(|note| RowNote { line, note: note.note, entries: note.entries.clone() });
                preview.notes.extend(told);
            }
        }
        preview
    }
}
