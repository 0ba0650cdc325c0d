//! The loop that sends batches and counts.
//!
//! ```text
//!   rows --lots--> signed, on all cores --a queue of one--> appended and settled, one lot after the other
//! ```
//!
//! Records go out in file order, many at a time, and while one lot is on its way the next is signed. A lot is
//! sent only when the one before it is settled, and a withdrawal never stands in one lot with its target: so
//! the log reads as the file does, a target that was refused is known and not waited for, and a denial is in
//! the log before it is lifted.

use std::collections::{HashSet, VecDeque};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::{collections::BTreeSet, thread};

use serde::Serialize;
use writ_proto::record::{Body, Nonce, RecordId, Signed};
use writ_proto::refusal::Refusal;
use writ_proto::time::LedgerTime;

use super::journal::{Journal, JournalError};
use super::plan::{Deed, Draft, Found, Mismatch, Plan, PlannedRow};
use super::rows::{Key, Row, RowFault};
use super::whole::TooLarge;
use crate::author::Author;
use crate::client::BATCH_RECORDS_MAX;
use crate::clock;

/// What an import needs of a ledger.
pub trait Ledger {
    /// Why it cannot go on.
    type Error;

    /// The importing authority's entries on these keys that are not revoked and have not ended by `now`.
    fn live(&mut self, keys: &BTreeSet<Key>, now: LedgerTime) -> Result<Found, Self::Error>;

    /// Whether this record is in the log and counts.
    fn is_in_log(&mut self, id: RecordId) -> Result<bool, Self::Error>;

    /// Appends records and waits until each is settled: one answer for each, in order.
    fn append(&mut self, records: Vec<Signed>) -> Result<Vec<Settled>, Self::Error>;
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
    /// Lines of entries that are in the log now, were not before, and had ended by then: they never hold.
    pub ended: Vec<u64>,
    /// The set that all of it is, where it was imported as one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set: Option<RecordId>,
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
    /// A row makes no record.
    #[error("a row makes no record")]
    Record(#[source] Refusal),
    /// All rows together are too much for one set.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// The file was imported as one set and is another one now.
    #[error("the file was imported as one set, and has changed since")]
    OtherSet,
    /// The file was imported row by row.
    #[error("the file was imported row by row, and not as one set")]
    NotAsSet,
    /// The file was imported as one set.
    #[error("the file was imported as one set, and not row by row")]
    AsSet,
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
    L: Ledger + Send,
    L::Error: std::error::Error + Send + 'static,
{
    if journal.set().is_some() {
        return Err(Failure::AsSet);
    }
    let draft = Draft::new(rows, journal.rows(), author.chain(), author.authority(), now)?;
    let keys = draft.keys_to_look_up();
    let total = rows.len() as u64;
    let stopped = |done| move |source| Failure::Ledger { done, rows: total, source };
    let found = if keys.is_empty() { Found::new() } else { ledger.live(&keys, now).map_err(stopped(0))? };
    let Plan { rows: planned, fresh } = draft.complete(found);
    journal.keep(fresh)?;

    let tallies = send(ledger, author, &planned, &mut progress)?;
    progress(total);

    let (summary, forgotten) = tally(&planned, tallies, now);
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

/// Where a record of a lot comes from.
struct Origin {
    row: usize,
    /// The entry that it states.
    stated: Option<RecordId>,
    /// The entry that it ends.
    target: Option<RecordId>,
}

/// Records that go out together.
struct Lot {
    origins: Vec<Origin>,
    records: Vec<Signed>,
}

/// A lot without what was not worth sending, and how the rest was settled.
type Answered<E> = Result<(Vec<Origin>, Vec<Settled>), E>;

/// Sends what the rows say, and gives what became of each.
fn send<L>(
    ledger: &mut L,
    author: &Author,
    planned: &[PlannedRow],
    progress: &mut impl FnMut(u64),
) -> Result<Vec<Tally>, Failure<L::Error>>
where
    L: Ledger + Send,
    L::Error: std::error::Error + Send + 'static,
{
    // One lot may wait while another is on its way: more would only be signed too early.
    let (lots, queue) = sync_channel(1);
    let (answers, answered) = channel();
    thread::scope(|scope| {
        scope.spawn(move || append_all(ledger, queue, answers));
        let mut sender = Packer::new(author, planned.len(), lots, answered);
        for (at, row) in planned.iter().enumerate() {
            sender.take(at, row, progress)?;
        }
        sender.finish(progress)
    })
}

/// Appends lot after lot, until there are no more or the ledger cannot go on.
fn append_all<L: Ledger>(ledger: &mut L, lots: Receiver<Lot>, answers: Sender<Answered<L::Error>>) {
    // Entries that do not stand, so that nothing is to be withdrawn there.
    let mut refused: HashSet<RecordId> = HashSet::new();
    for Lot { origins, records } in lots {
        let is_due = |(origin, _): &(Origin, Signed)| origin.target.is_none_or(|target| !refused.contains(&target));
        let (origins, records): (Vec<Origin>, Vec<Signed>) = origins.into_iter().zip(records).filter(is_due).unzip();
        let settled = if records.is_empty() { Ok(Vec::new()) } else { ledger.append(records) };
        let answer = settled.map(|settled| {
            assert_eq!(settled.len(), origins.len(), "a ledger answers for each record");
            for (origin, settled) in origins.iter().zip(&settled) {
                if matches!(settled, Settled::Refused { .. }) {
                    refused.extend(origin.stated);
                }
            }
            (origins, settled)
        });
        let is_over = answer.is_err();
        // Nobody listens only where something else went wrong.
        if answers.send(answer).is_err() || is_over {
            return;
        }
    }
}

/// Packs rows into lots, and notes what became of them.
struct Packer<'a, E> {
    author: &'a Author,
    rows: u64,
    said: Vec<(Nonce, Body)>,
    origins: Vec<Origin>,
    /// The entries that the present lot states.
    stated: HashSet<RecordId>,
    lots: SyncSender<Lot>,
    answered: Receiver<Answered<E>>,
    /// The first row of each lot on its way.
    under_way: VecDeque<usize>,
    tallies: Vec<Tally>,
}

impl<'a, E: std::error::Error + 'static> Packer<'a, E> {
    fn new(author: &'a Author, rows: usize, lots: SyncSender<Lot>, answered: Receiver<Answered<E>>) -> Self {
        Self {
            author,
            rows: rows as u64,
            said: Vec::new(),
            origins: Vec::new(),
            stated: HashSet::new(),
            lots,
            answered,
            under_way: VecDeque::new(),
            tallies: vec![Tally::default(); rows],
        }
    }

    fn take(&mut self, row: usize, planned: &PlannedRow, progress: &mut impl FnMut(u64)) -> Result<(), Failure<E>> {
        match &planned.deed {
            Err(fault) => self.tallies[row].fault = Some(fault.clone()),
            Ok(Deed::State { id, body }) => {
                self.said.push((planned.nonce, (**body).clone()));
                self.origins.push(Origin { row, stated: Some(*id), target: None });
                self.stated.insert(*id);
            }
            Ok(Deed::Withdraw { targets }) => {
                if targets.iter().any(|target| self.stated.contains(&target.id)) {
                    self.pack(row, progress)?;
                }
                for target in targets {
                    self.said.push((planned.nonce, Plan::revocation(*target)));
                    self.origins.push(Origin { row, stated: None, target: Some(target.id) });
                }
            }
        }
        if self.said.len() >= BATCH_RECORDS_MAX { self.pack(row + 1, progress) } else { Ok(()) }
    }

    /// Signs the present lot and hands it over; waits while there is no room. `taken` rows are packed then.
    fn pack(&mut self, taken: usize, progress: &mut impl FnMut(u64)) -> Result<(), Failure<E>> {
        if let Some(first) = self.origins.first() {
            let records =
                self.author.sign_all(std::mem::take(&mut self.said), clock::now()).map_err(Failure::Record)?;
            self.under_way.push_back(first.row);
            let lot = Lot { origins: std::mem::take(&mut self.origins), records };
            self.stated.clear();
            // Nobody takes it only if the ledger cannot go on, and then the answer says why.
            if self.lots.send(lot).is_err() {
                while let Ok(answer) = self.answered.recv() {
                    self.note(answer)?;
                }
            }
        }
        while let Ok(answer) = self.answered.try_recv() {
            self.note(answer)?;
            progress(self.settled_before(taken));
        }
        Ok(())
    }

    fn finish(mut self, progress: &mut impl FnMut(u64)) -> Result<Vec<Tally>, Failure<E>> {
        let rows = self.tallies.len();
        self.pack(rows, progress)?;
        while !self.under_way.is_empty() {
            // The other side ends early only with an error, which is noted and returned.
            let Ok(answer) = self.answered.recv() else { break };
            self.note(answer)?;
            progress(self.settled_before(rows));
        }
        Ok(self.tallies)
    }

    fn note(&mut self, answer: Answered<E>) -> Result<(), Failure<E>> {
        let done = self.settled_before(self.tallies.len());
        let (origins, settled) = answer.map_err(|source| Failure::Ledger { done, rows: self.rows, source })?;
        self.under_way.pop_front();
        for (origin, settled) in origins.into_iter().zip(settled) {
            let tally = &mut self.tallies[origin.row];
            match settled {
                Settled::Appended { .. } => tally.appended += 1,
                Settled::Duplicate { .. } => tally.duplicate += 1,
                Settled::Refused { in_log, fault, .. } => {
                    tally.refused += 1;
                    tally.in_log |= in_log;
                    tally.fault.get_or_insert(fault);
                }
            }
        }
        Ok(())
    }

    /// How many rows are settled once `taken` were taken: those before the first whose records still wait.
    fn settled_before(&self, taken: usize) -> u64 {
        let waiting = self.under_way.front().copied().or(self.origins.first().map(|origin| origin.row));
        waiting.unwrap_or(taken) as u64
    }
}

/// The summary, and the rows that left no trace in the log and may be corrected.
fn tally(planned: &[PlannedRow], tallies: Vec<Tally>, now: LedgerTime) -> (Summary, Vec<Nonce>) {
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
            summary.ended.extend(row.has_ended(now).then_some(row.line));
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
