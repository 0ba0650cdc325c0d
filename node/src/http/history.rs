//! `GET /v1/history`: every entry, revocation and change of the answer on one subject and one object.

use std::collections::HashMap;

use axum::http::StatusCode;
use writ_proto::api::{Entry, Happening, HistoryEvent, HistoryPage, RevokedWith, question_of, rights_of};
use writ_proto::decision::Rights;
use writ_proto::hash::Digest;
use writ_proto::index::{EntryOrdinal, Index};
use writ_proto::name::Name;
use writ_proto::search::{Budget, EventKind, History};
use writ_proto::state::State;
use writ_proto::time::LedgerTime;

use super::changes::{STEP_LOOKUPS, in_steps, instant, limit_of, progress};
use super::circumstances::unknown;
use super::cursor;
use super::error::ApiError;
use super::json::answer;
use super::moment::{caught_up, not_yet};
use super::query::Query;
use super::receipt::{Standing, entry_at, record_at};
use super::{Answer, App, Call};
use crate::ledger::Ledger;

/// Parameters of [`history`].
pub(super) const PARAMETERS: &[&str] = &["sub", "obj", "limit", "cursor"];

/// Entries that may bear on a pair whose history is told: each page looks at all of them, and holds them in memory.
const ENTRIES_MAX: usize = if cfg!(test) { 200 } else { 100_000 };

/// What is asked.
struct Asked {
    sub: Name,
    obj: Name,
    limit: usize,
    cursor: Option<String>,
    mark: String,
}

/// An event as it leaves the lock.
struct Found {
    at: LedgerTime,
    height: u64,
    what: What,
}

enum What {
    Entry(Happening, Standing),
    Answer(Rights),
}

/// `GET /v1/history`.
pub(super) async fn history(app: App, mut call: Call) -> Answer {
    let chain = *app.ledger().read().chain();
    let asked = Asked::read(&mut call.query, &chain)?;
    let page = app.in_turn(move |ledger| page(ledger, &asked)).await?;
    answer(StatusCode::OK, &page)
}

impl Asked {
    fn read(query: &mut Query, chain: &Digest) -> Result<Self, ApiError> {
        let question = question_of(&query.require("sub")?, None, &query.require("obj")?)?;
        let (sub, obj) = (question.sub, question.obj);
        let mark = cursor::mark(&[&chain.to_string(), "history", sub.as_str(), obj.as_str()]);
        Ok(Self { sub, obj, limit: limit_of(query)?, cursor: query.take("cursor"), mark })
    }

    /// Height and instant of which the history is told, and the event to begin with.
    fn start(&self, ledger: &Ledger, state: &State) -> Result<(u64, LedgerTime, (LedgerTime, usize)), ApiError> {
        let Some(text) = &self.cursor else {
            // What has surely happened: as early as now can be.
            let now = ledger.clock().interval(state.tip().time)?.lo();
            return Ok((state.tip().height, now, (LedgerTime::EPOCH, 0)));
        };
        let [height, now, at, told] = cursor::read(text, &self.mark)?;
        if height > state.tip().height {
            return Err(not_yet("cursor", height, state.tip().height));
        }
        let told = usize::try_from(told).unwrap_or(usize::MAX);
        Ok((height, instant(now, text)?, (instant(at, text)?, told)))
    }
}

fn page(ledger: &Ledger, asked: &Asked) -> Result<HistoryPage, ApiError> {
    caught_up(ledger)?;
    let (height, now, from, mut search) = {
        let state = ledger.read();
        let (height, now, from) = asked.start(ledger, &state)?;
        let search = History::new(state.index(), asked.sub.clone(), asked.obj.clone(), height, now, from);
        (height, now, from, search)
    };
    let mut found: Vec<Found> = Vec::new();
    in_steps(|| {
        let state = ledger.read();
        let mut events = Vec::new();
        let budget = Budget { results: asked.limit - found.len(), lookups: STEP_LOOKUPS };
        search.step(state.index(), &unknown, budget, &mut events);
        if search.entries() > ENTRIES_MAX {
            let detail =
                format!("more than {ENTRIES_MAX} entries bear on this subject and object, too many for a history");
            return Err(ApiError::whole("limit_exceeded", detail));
        }
        found.extend(events.into_iter().map(|event| Found {
            at: event.at,
            height: event.height,
            what: what_of(state.index(), event.kind, height),
        }));
        Ok(progress(search.at(), from, found.len() >= asked.limit))
    })?;
    let next = search
        .at()
        .map(|(at, told)| cursor::write(&[height, now.as_millis(), at.as_millis(), told as u64], &asked.mark));
    // Bytes come from the store, the lock is not held.
    let mut library = Library { ledger, entries: HashMap::new(), signers: HashMap::new() };
    let events = found.into_iter().map(|found| library.event(found)).collect::<Result<_, _>>()?;
    Ok(HistoryPage { events, at: now, height, next })
}

/// What happened, and the entry's place, by what was known at `height`.
fn what_of(index: &Index, kind: EventKind, height: u64) -> What {
    let entry =
        |happening, ordinal: EntryOrdinal| What::Entry(happening, Standing::of(&index.entry(ordinal)).known_at(height));
    match kind {
        EventKind::Added(ordinal) => entry(Happening::Added, ordinal),
        EventKind::Began(ordinal) => entry(Happening::Began, ordinal),
        EventKind::Ended(ordinal) => entry(Happening::Ended, ordinal),
        EventKind::Revoked(ordinal) => entry(Happening::Revoked, ordinal),
        EventKind::Answer(rights) => What::Answer(rights),
    }
}

/// What was read for this page.
struct Library<'a> {
    ledger: &'a Ledger,
    /// By leaf and place in a set.
    entries: HashMap<(u64, Option<u8>), Entry>,
    /// Revocations, by leaf.
    signers: HashMap<u64, RevokedWith>,
}

impl Library<'_> {
    fn event(&mut self, found: Found) -> Result<HistoryEvent, ApiError> {
        let Found { at, height, what } = found;
        let bare = |event| HistoryEvent { at, height, event, entry: None, by: None, rights: None };
        Ok(match what {
            What::Answer(rights) => HistoryEvent { rights: Some(rights_of(&rights)), ..bare(Happening::Answer) },
            What::Entry(happening, standing) => {
                let by = match (happening, standing.revoked) {
                    (Happening::Revoked, Some(revoked)) => Some(self.signer(revoked.by)?),
                    _ => None,
                };
                HistoryEvent { entry: Some(self.entry(&standing)?), by, ..bare(happening) }
            }
        })
    }

    fn entry(&mut self, standing: &Standing) -> Result<Entry, ApiError> {
        let Standing { index: leaf, member, .. } = *standing;
        if let Some(entry) = self.entries.get(&(leaf, member)) {
            return Ok(entry.clone());
        }
        let entry = entry_at(self.ledger, &record_at(self.ledger, leaf)?, standing)?
            .ok_or_else(|| ApiError::internal(format!("leaf {leaf} is no access entry")))?;
        self.entries.insert((leaf, member), entry.clone());
        Ok(entry)
    }

    fn signer(&mut self, leaf: u64) -> Result<RevokedWith, ApiError> {
        if let Some(signer) = self.signers.get(&leaf) {
            return Ok(signer.clone());
        }
        let record = record_at(self.ledger, leaf)?;
        let signer = RevokedWith { id: record.id(), issuing_auth: record.statement().authority.clone() };
        self.signers.insert(leaf, signer.clone());
        Ok(signer)
    }
}
