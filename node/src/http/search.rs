//! `GET /v1/who-can`, `/v1/what-can`, `/v1/expiring`: complete answers about many names, page by page.
//!
//! A page may end before it is full ([`super::paging`]); its cursor says where to go on, and only a page without a cursor
//! is the last one. Conditions are evaluated for each name, with the context that the caller tells.

use axum::http::StatusCode;
use writ_proto::api::{ExpiringPage, WhatCanPage, WhoCanPage, check_type, possessions_of, shown, to_nfc};
use writ_proto::hash::Digest;
use writ_proto::index::EntryOrdinal;
use writ_proto::name::{Action, Name, NameError, Side};
use writ_proto::search::{Wanted, WhatCan, WhoCan, ending, is_pattern};
use writ_proto::time::LedgerTime;

use super::check::read_context;
use super::circumstances::Circumstances;
use super::entries::{LIMIT, LIMIT_MAX};
use super::error::ApiError;
use super::json::answer;
use super::moment::{When, caught_up, not_yet};
use super::paging::{Place, walk};
use super::query::Query;
use super::receipt::{Standing, entry_at, position_of, record_at};
use super::{Answer, App, Call, cursor};
use crate::ledger::Ledger;

/// Parameters of [`who_can`].
pub(super) const WHO_CAN: &[&str] =
    &["obj", "act", "context", "at", "height", "as_of", "at_least", "wait_ms", "limit", "cursor"];
/// Parameters of [`what_can`].
pub(super) const WHAT_CAN: &[&str] =
    &["sub", "type", "context", "at", "height", "as_of", "at_least", "wait_ms", "limit", "cursor"];
/// Parameters of [`expiring`].
pub(super) const EXPIRING: &[&str] = &["until", "within_ms", "limit", "cursor"];

/// Entries that one page of what ends looks at.
const ENDING_SEEN_MAX: usize = if cfg!(test) { 30 } else { 20_000 };

/// `GET /v1/who-can`.
pub(super) async fn who_can(app: App, mut call: Call) -> Answer {
    let query = &mut call.query;
    let obj = Name::from_display(&to_nfc(&query.require("obj")?), Side::Object).map_err(fault("obj"))?;
    let act = query.take("act").map(|act| Action::parse(&act)).transpose().map_err(fault("act"))?;
    let asked = Asked::read(query, &app, &["who-can", obj.as_str(), act.as_ref().map_or("", Action::as_str)])?;
    asked.when.reach(&app).await?;
    let page = app.in_turn(move |ledger| who_can_page(ledger, &asked, &obj, act.as_ref())).await?;
    answer(StatusCode::OK, &page)
}

/// `GET /v1/what-can`.
pub(super) async fn what_can(app: App, mut call: Call) -> Answer {
    let query = &mut call.query;
    let sub = Name::from_display(&to_nfc(&query.require("sub")?), Side::Subject).map_err(fault("sub"))?;
    let type_ = query.take("type");
    type_.as_deref().map(check_type).transpose().map_err(fault("type"))?;
    let asked = Asked::read(query, &app, &["what-can", sub.as_str(), type_.as_deref().unwrap_or_default()])?;
    asked.when.reach(&app).await?;
    let page = app.in_turn(move |ledger| what_can_page(ledger, &asked, &sub, type_.as_deref())).await?;
    answer(StatusCode::OK, &page)
}

/// `GET /v1/expiring`.
pub(super) async fn expiring(app: App, mut call: Call) -> Answer {
    let asked = Expiring::read(&mut call.query, &app)?;
    let page = app.in_turn(move |ledger| expiring_page(ledger, &asked)).await?;
    answer(StatusCode::OK, &page)
}

fn fault(field: &'static str) -> impl Fn(NameError) -> ApiError {
    move |error| ApiError::bad(field, error.to_string())
}

/// When a search is about, and which page of it is asked for.
struct Asked {
    when: When,
    circumstances: Circumstances,
    limit: usize,
    /// Where an earlier page ended.
    from: Option<Place>,
    mark: String,
}

impl Asked {
    fn read(query: &mut Query, app: &App, question: &[&str]) -> Result<Self, ApiError> {
        let (when, limit) = (When::read(query)?, limit(query)?);
        let told = query.take("context");
        let context = told.as_deref().map(read_context).transpose()?.unwrap_or_default();
        let circumstances = Circumstances { context, ..Circumstances::default() };
        let mark = mark(app, question, &[&when.words()[..], &[told.unwrap_or_default()]].concat());
        let from = query.take("cursor").map(|text| read_cursor(&text, &mark)).transpose()?;
        Ok(Self { when, circumstances, limit, from, mark })
    }

    /// Where this page begins.
    fn begin(&self, ledger: &Ledger) -> Result<Place, ApiError> {
        caught_up(ledger)?;
        let state = ledger.read();
        match self.from {
            None => Ok(Place { at: 0, moment: self.when.moment(ledger, &state)? }),
            Some(from) => {
                let Place { at, moment } = from.within(state.tip().height, "cursor")?;
                Ok(Place { at, moment: self.when.fixed(moment)? })
            }
        }
    }

    fn cursor(&self, end: Place) -> String {
        cursor::write(&end.to_numbers(), &self.mark)
    }
}

fn limit(query: &mut Query) -> Result<usize, ApiError> {
    let limit = query.number("limit", 1, LIMIT_MAX)?.unwrap_or(LIMIT);
    Ok(usize::try_from(limit).unwrap_or(usize::MAX))
}

fn mark(app: &App, question: &[&str], more: &[String]) -> String {
    let chain: Digest = *app.ledger().read().chain();
    let chain = chain.to_string();
    let parts = [&[chain.as_str()], question, &more.iter().map(String::as_str).collect::<Vec<_>>()].concat();
    cursor::mark(&parts)
}

fn read_cursor(text: &str, mark: &str) -> Result<Place, ApiError> {
    Place::of_numbers(cursor::read(text, mark)?).ok_or_else(|| cursor::malformed(text))
}

fn who_can_page(ledger: &Ledger, asked: &Asked, obj: &Name, act: Option<&Action>) -> Result<WhoCanPage, ApiError> {
    let Place { at: from, moment } = asked.begin(ledger)?;
    let mut search = WhoCan::new(ledger.read().index(), obj.clone(), act.cloned(), Wanted::default(), moment, from);
    let conditions = asked.circumstances.searching();
    let (texts, at) = walk(ledger, from, asked.limit, |index, budget| {
        let mut found = Vec::new();
        search.step(index, &|asked, text| conditions.evaluate(asked, text), budget, &mut found);
        (found.into_iter().map(|text| index.text(text).to_owned()).collect(), search.at())
    });
    let (mut results, mut patterns) = (Vec::new(), Vec::new());
    for text in texts {
        let list = if is_pattern(&text) { &mut patterns } else { &mut results };
        list.push(shown(&text, Side::Subject).map_err(ApiError::internal)?);
    }
    Ok(WhoCanPage {
        results,
        patterns,
        at: moment.interval.hi(),
        height: moment.height,
        position: position_of(ledger, moment.height)?,
        next: at.map(|at| asked.cursor(Place { at, moment })),
    })
}

fn what_can_page(ledger: &Ledger, asked: &Asked, sub: &Name, type_: Option<&str>) -> Result<WhatCanPage, ApiError> {
    let Place { at: from, moment } = asked.begin(ledger)?;
    let mut search = WhatCan::new(ledger.read().index(), sub.clone(), None, Wanted::of_type(type_), moment, from);
    let conditions = asked.circumstances.searching();
    let (rights, at) = walk(ledger, from, asked.limit, |index, budget| {
        let mut found = Vec::new();
        search.step(index, &|asked, text| conditions.evaluate(asked, text), budget, &mut found);
        let owned = found.into_iter().map(|found| (index.text(found.obj).to_owned(), found.rights));
        (owned.collect(), search.at())
    });
    let (mut results, mut patterns) = (Vec::new(), Vec::new());
    for (text, rights) in rights {
        let list = if is_pattern(&text) { &mut patterns } else { &mut results };
        let obj = shown(&text, Side::Object).map_err(ApiError::internal)?;
        list.extend(possessions_of(&obj, &rights));
    }
    Ok(WhatCanPage {
        results,
        patterns,
        at: moment.interval.hi(),
        height: moment.height,
        position: position_of(ledger, moment.height)?,
        next: at.map(|at| asked.cursor(Place { at, moment })),
    })
}

/// Which entries that end are asked for.
struct Expiring {
    end: End,
    limit: usize,
    mark: String,
}

/// Until when, and from where.
enum End {
    Until(LedgerTime),
    WithinMs(u64),
    /// Where an earlier page ended, with what it fixed.
    Next {
        from: (LedgerTime, EntryOrdinal),
        until: LedgerTime,
        height: u64,
    },
}

impl Expiring {
    fn read(query: &mut Query, app: &App) -> Result<Self, ApiError> {
        let (until, within) = (query.time("until")?, query.number("within_ms", 0, u64::MAX)?);
        let limit = limit(query)?;
        let end = match (until, within) {
            (Some(until), None) => End::Until(until),
            (None, Some(within)) => End::WithinMs(within),
            (Some(_), Some(_)) => {
                return Err(ApiError::bad("within_ms", "`until` says until when, found `within_ms` beside it"));
            }
            (None, None) => return Err(ApiError::bad("until", "`until` is missing, or else `within_ms`")),
        };
        let words = [
            until.map_or_else(String::new, |until| until.to_string()),
            within.map_or_else(String::new, |within| within.to_string()),
        ];
        let mark = mark(app, &["expiring"], &words);
        let end = match query.take("cursor") {
            None => end,
            Some(text) => {
                let [end, ordinal, until, height] = cursor::read(&text, &mark)?;
                let next = || {
                    let [end, until] = [end, until].map(LedgerTime::from_millis);
                    Some(End::Next { from: (end.ok()?, u32::try_from(ordinal).ok()?), until: until.ok()?, height })
                };
                next().ok_or_else(|| cursor::malformed(&text))?
            }
        };
        Ok(Self { end, limit, mark })
    }
}

/// One page, found in one step: entries that came after the first page are passed over.
fn expiring_page(ledger: &Ledger, asked: &Expiring) -> Result<ExpiringPage, ApiError> {
    caught_up(ledger)?;
    let mut found = Vec::with_capacity(asked.limit);
    let mut next = None;
    let (until, height) = {
        let state = ledger.read();
        let tip = state.tip();
        let (from, until, height) = match asked.end {
            End::Next { height, .. } if height > tip.height => return Err(not_yet("cursor", height, tip.height)),
            End::Next { from, until, height } => (from, until, height),
            End::Until(_) | End::WithinMs(_) => {
                // What ends at the beginning of the interval has ended.
                let now = ledger.clock().interval(tip.time)?;
                let until = match asked.end {
                    End::WithinMs(within) => now.hi().checked_add_millis(within),
                    End::Until(until) | End::Next { until, .. } => Some(until),
                };
                let until = until.ok_or_else(|| ApiError::bad("within_ms", "this leads beyond the year 9999"))?;
                ((now.lo().saturating_add_millis(1), 0), until, tip.height)
            }
        };
        let index = state.index();
        for (seen, (end, ordinal)) in ending(index, from, until).enumerate() {
            if seen == ENDING_SEEN_MAX || found.len() == asked.limit {
                next = Some((end, ordinal));
                break;
            }
            let entry = index.entry(ordinal);
            if entry.height <= height {
                found.push(Standing::of(&entry));
            }
        }
        (until, height)
    };
    let mut entries = Vec::with_capacity(found.len());
    for standing in &found {
        entries.extend(entry_at(ledger, &record_at(ledger, standing.index)?, standing)?);
    }
    let cursor = |(end, ordinal): (LedgerTime, EntryOrdinal)| {
        cursor::write(&[end.as_millis(), u64::from(ordinal), until.as_millis(), height], &asked.mark)
    };
    Ok(ExpiringPage { entries, until, height, position: position_of(ledger, height)?, next: next.map(cursor) })
}
