//! The loop that sends batches and counts.
//!
//! Records go out in file order, many at a time. Before a withdrawal, the batch that holds one of its targets
//! is sent and settled: so the log reads as the file does, a target that was refused is known and not
//! waited for, and a denial is in the log before it is lifted.

use std::collections::{BTreeSet, HashSet};

use serde::Serialize;
use writ_proto::record::{Body, Nonce, RecordId};
use writ_proto::time::LedgerTime;

use super::journal::{Journal, JournalError};
use super::plan::{Deed, Draft, Found, Mismatch, Plan, PlannedRow};
use super::rows::{Key, Row, RowFault};
use crate::author::Author;
use crate::client::BATCH_RECORDS_MAX;

/// What an import needs of a ledger.
pub trait Ledger {
    /// Why it cannot go on.
    type Error;

    /// The importing authority's entries on these keys that are not revoked and have not ended by `now`.
    fn live(&mut self, keys: &BTreeSet<Key>, now: LedgerTime) -> Result<Found, Self::Error>;

    /// Appends records and waits until each is settled: one answer for each, in order.
    fn append(&mut self, records: &[(Nonce, Body)]) -> Result<Vec<Settled>, Self::Error>;
}

/// How a record was settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is in the log now.
    Appended {
        /// Its id.
        id: RecordId,
    },
    /// It was in the log before.
    Duplicate {
        /// Its id.
        id: RecordId,
    },
    /// It does not count, and why.
    Refused {
        /// Its id.
        id: RecordId,
        /// Whether it is in the log all the same.
        in_log: bool,
        /// Why.
        fault: RowFault,
    },
}

/// What an import came to, in rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Rows of the file.
    pub rows: u64,
    /// Entries that are in the log now and were not before.
    pub appended: u64,
    /// Rows all of whose records were in the log before.
    pub duplicate: u64,
    /// Withdrawals that ended at least one entry now.
    pub revoked: u64,
    /// Entries that they ended.
    pub entries_revoked: u64,
    /// Withdrawals that found nothing to end.
    pub nothing_to_revoke: u64,
    /// Rows that do not count.
    pub refused: u64,
    /// Which ones and why, in file order.
    pub refusals: Vec<Refused>,
}

/// A row that does not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Its line in the file.
    pub line: u64,
    /// A stable code.
    pub code: String,
    /// The member at fault.
    pub field: Option<String>,
    /// What was found and what was expected.
    pub detail: String,
}

/// Why an import stopped. Nothing is lost: the next run goes on where this one stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure<E: std::error::Error + 'static> {
    /// The file is not the one that its journal is of.
    #[error("the file does not fit its journal")]
    Mismatch(#[from] Mismatch),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The ledger cannot go on.
    #[error("the import stopped after {done} of {rows} rows")]
    Ledger {
        /// Rows that are settled.
        done: u64,
        /// Rows of the file.
        rows: u64,
        /// Why.
        source: E,
    },
}

/// Brings `rows` into the ledger as `author`, and calls `progress` with how many rows are settled.
///
/// # Errors
/// If the file, its journal or the ledger do not let it come to its end. Rows that are refused are no
/// error: the summary has them.
pub fn import<L>(
    rows: &[Row],
    author: &Author,
    journal: &mut Journal,
    ledger: &mut L,
    now: LedgerTime,
    mut progress: impl FnMut(u64),
) -> Result<Summary, Failure<L::Error>>
where
    L: Ledger,
    L::Error: std::error::Error + 'static,
{
    let draft = Draft::new(rows, journal.rows(), author.chain(), author.authority(), now)?;
    let keys = draft.keys_to_look_up();
    let total = rows.len() as u64;
    let stopped = |done| move |source| Failure::Ledger { done, rows: total, source };
    let found = if keys.is_empty() { Found::new() } else { ledger.live(&keys, now).map_err(stopped(0))? };
    let Plan { rows: planned, fresh } = draft.complete(found);
    journal.keep(fresh)?;

    let mut sender = Sender::new(ledger, planned.len());
    for (at, row) in planned.iter().enumerate() {
        let taken = sender.take(at, row);
        let done = sender.settled_before(at as u64 + 1);
        taken.map_err(stopped(done))?;
        progress(done);
    }
    let flushed = sender.flush();
    flushed.map_err(stopped(sender.settled_before(total)))?;
    progress(total);

    let (summary, forgotten) = tally(&planned, sender.tallies);
    journal.finish(&forgotten, planned.len(), now)?;
    Ok(summary)
}

/// What became of a row's records.
#[derive(Clone, Debug, Default)]
struct Tally {
    appended: u64,
    duplicate: u64,
    refused: u64,
    in_log: bool,
    fault: Option<RowFault>,
}

struct Sender<'a, L> {
    ledger: &'a mut L,
    batch: Vec<(Nonce, Body)>,
    /// The row of each record of the batch, and the entry that it states.
    origins: Vec<(usize, Option<RecordId>)>,
    /// The entries that the batch states.
    under_way: HashSet<RecordId>,
    /// Entries that do not stand, so that nothing is to be withdrawn there.
    refused: HashSet<RecordId>,
    tallies: Vec<Tally>,
}

impl<'a, L: Ledger> Sender<'a, L> {
    fn new(ledger: &'a mut L, rows: usize) -> Self {
        Self {
            ledger,
            batch: Vec::new(),
            origins: Vec::new(),
            under_way: HashSet::new(),
            refused: HashSet::new(),
            tallies: vec![Tally::default(); rows],
        }
    }

    fn take(&mut self, at: usize, row: &PlannedRow) -> Result<(), L::Error> {
        match &row.deed {
            Err(fault) => self.tallies[at].fault = Some(fault.clone()),
            Ok(Deed::State { id, body }) => self.push(at, row.nonce, (**body).clone(), Some(*id))?,
            Ok(Deed::Withdraw { targets }) => {
                if targets.iter().any(|target| self.under_way.contains(&target.id)) {
                    self.flush()?;
                }
                for target in targets {
                    if !self.refused.contains(&target.id) {
                        self.push(at, row.nonce, Plan::revocation(*target), None)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, at: usize, nonce: Nonce, body: Body, stated: Option<RecordId>) -> Result<(), L::Error> {
        self.batch.push((nonce, body));
        self.origins.push((at, stated));
        self.under_way.extend(stated);
        if self.batch.len() >= BATCH_RECORDS_MAX { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), L::Error> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let settled = self.ledger.append(&self.batch)?;
        assert_eq!(settled.len(), self.batch.len(), "a ledger answers for each record");
        self.batch.clear();
        self.under_way.clear();
        for ((at, stated), settled) in self.origins.drain(..).zip(settled) {
            let tally = &mut self.tallies[at];
            match settled {
                Settled::Appended { .. } => tally.appended += 1,
                Settled::Duplicate { .. } => tally.duplicate += 1,
                Settled::Refused { in_log, fault, .. } => {
                    tally.refused += 1;
                    tally.in_log |= in_log;
                    tally.fault.get_or_insert(fault);
                    self.refused.extend(stated);
                }
            }
        }
        Ok(())
    }

    /// How many rows are settled once `taken` were taken: those before the first whose records still wait.
    fn settled_before(&self, taken: u64) -> u64 {
        self.origins.first().map_or(taken, |(first, _)| *first as u64)
    }
}

/// The summary, and the rows that left no trace in the log and may be corrected.
fn tally(planned: &[PlannedRow], tallies: Vec<Tally>) -> (Summary, Vec<Nonce>) {
    let mut summary = Summary { rows: planned.len() as u64, ..Summary::default() };
    let mut forgotten = Vec::new();
    for (row, tally) in planned.iter().zip(tallies) {
        let is_withdrawal = matches!(row.deed, Ok(Deed::Withdraw { .. }));
        if is_withdrawal {
            summary.entries_revoked += tally.appended;
        }
        if let Some(RowFault { code, field, detail }) = tally.fault {
            summary.refused += 1;
            summary.refusals.push(Refused { line: row.line, code, field, detail });
            let without_trace = tally.appended + tally.duplicate == 0 && !tally.in_log;
            if row.deed.is_ok() && without_trace {
                forgotten.push(row.nonce);
            }
        } else if tally.appended > 0 {
            *(if is_withdrawal { &mut summary.revoked } else { &mut summary.appended }) += 1;
        } else if tally.duplicate > 0 {
            summary.duplicate += 1;
        } else {
            summary.nothing_to_revoke += 1;
        }
    }
    (summary, forgotten)
}

#[cfg(test)]
mod tests;
