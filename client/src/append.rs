//! Appending many records, with the patience that a busy network needs.
//!
//! A record that is not settled is sent again, signed anew with a later `submit_by`, to the next node if need
//! be: its id stays the same, so that costs nothing but time. Only when nothing at all is settled for a while,
//! the rest is given up, and may be sent again later, by the same rule.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

use writ_proto::api::{BriefResult, Problem, RecordStatus, is_readable};
use writ_proto::name::{ActionPattern, Pattern, Side};
use writ_proto::record::{RecordId, Signed};
use writ_proto::refusal::Refusal;
use writ_proto::time::LedgerTime;

use crate::author::Author;
use crate::client::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Client, Filter, Known, Wait, may_be_for_lag};
use crate::clock;
use crate::error::{ClientError, is_passing};
use crate::import::plan::{Found, Target};
use crate::import::rows::{Key, RowFault};
use crate::import::run::{Ledger, Settled};

/// How long nothing may be settled before the rest is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The first pause after an attempt in vain; each further one is twice as long, up to [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_millis(50);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Entries on one page, where all of an authority are looked through.
const PAGE: usize = 1000;

/// Appends what an author says.
#[derive(Debug)]
pub struct Appender<'a> {
    client: &'a Client,
    author: &'a Author,
    patience: Duration,
    /// Leaves in the log when we began: what stands behind them is not older than we are.
    began_at: Option<u64>,
}

/// Why records could not be appended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// A node said something that stops us.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// What is said makes no sense.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nothing goes forward.
    #[error("{open} records are not in the log after {seconds} s in which none of them got there")]
    Stalled {
        /// How many are left.
        open: usize,
        /// How long nothing went forward.
        seconds: u64,
        /// The last thing that a node said, if it said no.
        #[source]
        last: Option<ClientError>,
    },
}

impl<'a> Appender<'a> {
    /// Appends to the log of `client` what `author` says.
    pub fn new(client: &'a Client, author: &'a Author) -> Self {
        Self { client, author, patience: PATIENCE, began_at: None }
    }

    /// Gives up after so long without any progress.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    fn began_at(&mut self) -> Result<u64, ClientError> {
        if let Some(size) = self.began_at {
            return Ok(size);
        }
        let size = self.client.status()?.log_size;
        self.began_at = Some(size);
        Ok(size)
    }
}

impl Ledger for Appender<'_> {
    type Error = AppendError;

    fn live(&mut self, keys: &BTreeSet<Key>, now: LedgerTime) -> Result<Found, AppendError> {
        // One question for each key, or all entries page by page: whichever takes fewer calls.
        let pages = self.began_at()? / PAGE as u64 + 1;
        let authority = Some(self.author.authority().to_string());
        let filters = if pages <= keys.len() as u64 {
            vec![Filter { authority, page: Some(PAGE), ..Filter::default() }]
        } else {
            let filter = |key: &Key| Filter {
                sub: Some(key.sub.to_display_if(Side::Subject, is_readable)),
                obj: Some(key.obj.to_display_if(Side::Object, is_readable)),
                act: Some(key.act.as_str().into()),
                authority: authority.clone(),
                ..Filter::default()
            };
            keys.iter().map(filter).collect()
        };
        let mut found = Found::new();
        for filter in filters {
            for entry in self.client.entries(filter) {
                let entry = entry?;
                let live = entry.revoked.is_none() && entry.exp.is_none_or(|exp| exp > now);
                let Some(key) = key_of(&entry).filter(|key| live && keys.contains(key)) else { continue };
                if entry.issuing_auth == *self.author.authority() {
                    found.entry(key).or_default().push(Target { id: entry.id, effect: entry.access });
                }
            }
        }
        Ok(found)
    }

    fn is_in_log(&mut self, id: RecordId) -> Result<bool, AppendError> {
        let known = self.client.record_if_any(id)?;
        Ok(known.is_some_and(|receipt| receipt.status == RecordStatus::Committed))
    }

    fn append(&mut self, records: Vec<Signed>) -> Result<Vec<Settled>, AppendError> {
        let began_at = self.began_at()?;
        let mut open: Vec<Open> =
            records.into_iter().map(|record| Open { record, is_repeated: false, settled: None }).collect();
        let mut deadline = Instant::now() + self.patience;
        let mut pause = PAUSE;
        let mut last = None;
        let mut batch_max = BATCH_RECORDS_MAX;
        loop {
            let left: Vec<usize> = (0..open.len()).filter(|at| open[*at].settled.is_none()).collect();
            if left.is_empty() {
                break;
            }
            let (places, signed) = self.next_batch(&open, &left, batch_max)?;
            let mut asked_pause = None;
            let mut settled_some = false;
            match self.client.submit_many(&signed, Wait::Committed) {
                Ok(results) => {
                    for ((at, record), result) in places.into_iter().zip(&signed).zip(results) {
                        let open = &mut open[at];
                        let settled = judge(record.id(), result, open.is_repeated, began_at);
                        open.settled = settled.and_then(|settled| self.confirmed(settled));
                        settled_some |= open.settled.is_some();
                        open.is_repeated = true;
                    }
                }
                // A node may take smaller batches than we make.
                Err(error) if error.code() == Some("too_large") && signed.len() > 1 => {
                    batch_max = signed.len() / 2;
                    continue;
                }
                Err(error) if error.is_passing() => {
                    if let ClientError::Problem { retry_after_s, .. } = &error {
                        asked_pause = retry_after_s.map(Duration::from_secs);
                    }
                    // It may have arrived although no answer did.
                    places.into_iter().for_each(|at| open[at].is_repeated = true);
                    last = Some(error);
                }
                Err(error) => return Err(error.into()),
            }
            if settled_some {
                (deadline, pause, last) = (Instant::now() + self.patience, PAUSE, None);
            } else if Instant::now() >= deadline {
                let open = open.iter().filter(|open| open.settled.is_none()).count();
                return Err(AppendError::Stalled { open, seconds: self.patience.as_secs(), last });
            } else {
                sleep(asked_pause.unwrap_or(pause).min(PAUSE_MAX));
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
        Ok(open.into_iter().filter_map(|open| open.settled).collect())
    }
}

impl Appender<'_> {
    /// A refusal only where no node has taken the record: one may have, and then failed before it answered.
    fn confirmed(&self, settled: Settled) -> Option<Settled> {
        let Settled::Refused { id, in_log: false, fault } = &settled else { return Some(settled) };
        if !may_be_for_lag(&fault.code) || self.client.apart().count() < 2 {
            return Some(settled);
        }
        match self.client.known_anywhere(*id) {
            Known::Nowhere => Some(settled),
            Known::Taken(receipt) if receipt.status == RecordStatus::Committed => Some(Settled::Appended { id: *id }),
            Known::Taken(_) | Known::Untold => None,
        }
    }
}

/// A record under way.
struct Open {
    record: Signed,
    /// Whether it was sent before, so that a node may know it from us.
    is_repeated: bool,
    settled: Option<Settled>,
}

impl Appender<'_> {
    /// As many of the records that are left as fit into a batch; those that were sent before are signed anew.
    fn next_batch(
        &self,
        open: &[Open],
        left: &[usize],
        batch_max: usize,
    ) -> Result<(Vec<usize>, Vec<Signed>), AppendError> {
        let now = clock::now();
        let (mut places, mut signed, mut bytes) = (Vec::new(), Vec::new(), 0);
        for at in left {
            let Open { record, is_repeated, .. } = &open[*at];
            let statement = record.statement();
            let record = match is_repeated {
                true => self.author.sign(statement.nonce, statement.body.clone(), now)?,
                false => record.clone(),
            };
            bytes += record.bytes().len();
            if signed.len() == batch_max || (bytes > BATCH_BYTES_MAX && !signed.is_empty()) {
                break;
            }
            places.push(*at);
            signed.push(record);
        }
        Ok((places, signed))
    }
}

/// How a record is settled by a node's answer; `None`: not yet.
fn judge(id: RecordId, result: BriefResult, is_repeated: bool, began_at: u64) -> Option<Settled> {
    let BriefResult { status, duplicate, index, problem, .. } = result;
    match status {
        RecordStatus::Pending => None,
        RecordStatus::Committed => {
            // What we sent twice ourselves is no duplicate, unless it is older than we are.
            let is_ours = is_repeated && index.is_some_and(|index| index >= began_at);
            Some(if duplicate && !is_ours { Settled::Duplicate { id } } else { Settled::Appended { id } })
        }
        RecordStatus::Rejected | RecordStatus::Refused => {
            let in_log = status == RecordStatus::Rejected;
            let fault = match problem {
                Some(problem) if !in_log && (is_passing(&problem) || is_late(&problem.code)) => return None,
                Some(Problem { code, field, detail, .. }) => RowFault { code, field, detail },
                None => RowFault::whole("the node does not say why"),
            };
            Some(Settled::Refused { id, in_log, fault })
        }
    }
}

/// Whether a record only has to be signed again, with a later `submit_by`.
fn is_late(code: &str) -> bool {
    code == "expired_submission"
}

fn key_of(entry: &writ_proto::api::Entry) -> Option<Key> {
    Some(Key {
        sub: Pattern::from_display(&entry.sub, Side::Subject).ok()?,
        obj: Pattern::from_display(&entry.obj, Side::Object).ok()?,
        act: ActionPattern::parse(&entry.act).ok()?,
    })
}
