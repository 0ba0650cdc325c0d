//! `POST /access/v1/search/subject`, `/resource`, `/action`: everything to which an evaluation says yes (section 7).
//!
//! The searches are those of `GET /v1/who-can` and `/v1/what-can` for one action and one type, with names alone: a
//! pattern is no entity that an evaluation could be about. What the caller tells in `context` and `properties` is told to
//! every question asked on the way.
//!
//! A token carries the moment of the first page and its limit, and a mark of all that was asked: pages neither skip nor
//! repeat while the log grows, and a token of another search is refused. A page may end before it is full, even empty,
//! and the last one says that it is: the search is over when `next_token` is empty or there is no `page`.

use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value, json};
use writ_proto::decision::Moment;
use writ_proto::index::{Index, TextId};
use writ_proto::name::Side;
use writ_proto::search::{self, Budget, Wanted, WhatCan, WhichActions, WhoCan};

use super::entity::{Path, Search, Sought, object, type_and_id};
use super::{Asked, asks_for_reasons};
use crate::http::circumstances::{Attributes, Circumstances};
use crate::http::cursor;
use crate::http::entries::LIMIT_MAX;
use crate::http::error::ApiError;
use crate::http::json::{answer, kind};
use crate::http::moment::caught_up;
use crate::http::paging::{Place, walk};
use crate::http::receipt::position_of;
use crate::http::{Answer, App, Call};
use crate::ledger::Ledger;

/// Bytes of a request: its properties and context are looked at for every name.
const BYTES_MAX: usize = 64 * 1024;

/// Reads what is looked for.
type Read = fn(&mut Map<String, Value>) -> Result<Search, ApiError>;

/// `POST /access/v1/search/subject`.
pub(in crate::http) async fn search_subjects(app: App, call: Call) -> Answer {
    search(app, call, Search::of_subjects).await
}

/// `POST /access/v1/search/resource`.
pub(in crate::http) async fn search_resources(app: App, call: Call) -> Answer {
    search(app, call, Search::of_resources).await
}

/// `POST /access/v1/search/action`.
pub(in crate::http) async fn search_actions(app: App, call: Call) -> Answer {
    search(app, call, Search::of_actions).await
}

async fn search(app: App, mut call: Call, read: Read) -> Answer {
    let mut asked = Asked::read(&app, &mut call, BYTES_MAX).await?;
    let members = &mut asked.members;
    let with_reasons = asks_for_reasons(members.get("options"), &call.parts.headers);
    let page = object(members, Path::ROOT, "page")?;
    let search = read(members)?;
    let mark = mark(&app, call.parts.uri.path(), &search, page.as_ref());
    let page = page.map(|page| Page::read(page, &mark)).transpose()?;
    let found = app.in_turn(move |ledger| found(ledger, search, page, &mark, with_reasons)).await?;
    answer(StatusCode::OK, &found)
}

/// All that must stay the same from page to page; what is ignored may change.
fn mark(app: &App, path: &str, search: &Search, page: Option<&Map<String, Value>>) -> String {
    let chain = app.ledger().read().chain().to_string();
    let sought = format!("{:?}", search.sought);
    let Circumstances { subject, action, resource, context } = &search.circumstances;
    let told = [subject, action, resource, context].map(Attributes::to_string);
    let properties = page.and_then(|page| page.get("properties")).map_or_else(String::new, Value::to_string);
    cursor::mark(&[&chain, path, &sought, &told[0], &told[1], &told[2], &told[3], &properties])
}

/// The answer. `page` comes first, so that who reads it as it comes knows what to expect.
#[derive(Serialize)]
struct Found {
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Value>,
    results: Vec<Value>,
}

/// What the page is of the whole.
#[derive(Serialize)]
struct Shown {
    next_token: String,
    count: usize,
}

/// Which page is asked for.
struct Page {
    from: Option<Place>,
    limit: usize,
}

impl Page {
    fn read(mut page: Map<String, Value>, mark: &str) -> Result<Self, ApiError> {
        object(&mut page, Path::ROOT.part("page"), "properties")?;
        let limit = match page.remove("limit") {
            None => None,
            Some(limit) => {
                let number = whole(&limit).ok_or_else(|| {
                    let found = if limit.is_number() { limit.to_string() } else { kind(&limit).to_owned() };
                    ApiError::bad("page.limit", format!("{found}, expected a whole number, not negative"))
                })?;
                Some(number.min(LIMIT_MAX))
            }
        };
        let token = match page.remove("token") {
            None => None,
            Some(Value::String(token)) => Some(token),
            Some(other) => {
                return Err(ApiError::bad("page.token", format!("{}, expected a string", kind(&other))));
            }
        };
        let size = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
        let Some(token) = token else { return Ok(Self { from: None, limit: size(limit.unwrap_or(LIMIT_MAX)) }) };
        let other = || {
            let detail = "no token of this search, expected the `next_token` of its last page, and all else as it was";
            ApiError::bad("page.token", detail)
        };
        let [at, lo, hi, height, first] = cursor::read(&token, mark).map_err(|_| other())?;
        let from = Place::of_numbers([at, lo, hi, height]).ok_or_else(other)?;
        if limit.is_some_and(|limit| limit != first) {
            return Err(ApiError::bad("page.limit", format!("it was {first} on the first page")));
        }
        Ok(Self { from: Some(from), limit: size(first.min(LIMIT_MAX)) })
    }
}

/// A whole number that is not negative, however it is written: `2.0` is one.
fn whole(value: &Value) -> Option<u64> {
    let written = |number: f64| (number >= 0.0 && number.fract() == 0.0).then_some(number as u64);
    value.as_u64().or_else(|| value.as_f64().and_then(written))
}

fn found(
    ledger: &Ledger,
    search: Search,
    page: Option<Page>,
    mark: &str,
    with_reasons: bool,
) -> Result<Found, ApiError> {
    let is_paged = page.is_some();
    let Page { from, limit } = page.unwrap_or(Page { from: None, limit: LIMIT_MAX as usize });
    let Place { at: from, moment } = begin(ledger, from)?;
    let Search { sought, circumstances } = search;
    let conditions = circumstances.searching();
    let (results, next) = match sought {
        None => (Vec::new(), None),
        Some(sought) => {
            let mut search = Searching::begin(ledger.read().index(), sought, moment, from);
            walk(ledger, from, limit, |index, budget| {
                let found = search.step(index, &|asked, text| conditions.evaluate(asked, text), budget);
                (found, search.at())
            })
        }
    };
    let context = match with_reasons {
        true => Some(
            json!({ "at": moment.interval.hi(), "height": moment.height, "position": position_of(ledger, moment.height)? }),
        ),
        false => None,
    };
    let token = |at| {
        let [at, lo, hi, height] = Place { at, moment }.to_numbers();
        cursor::write(&[at, lo, hi, height, limit as u64], mark)
    };
    let page = (is_paged || next.is_some())
        .then(|| Shown { next_token: next.map_or_else(String::new, token), count: results.len() });
    Ok(Found { page, context, results })
}

/// Where this page begins.
fn begin(ledger: &Ledger, from: Option<Place>) -> Result<Place, ApiError> {
    caught_up(ledger)?;
    let state = ledger.read();
    let tip = state.tip();
    match from {
        None => {
            let interval = ledger.clock().interval(tip.time)?;
            Ok(Place { at: 0, moment: Moment { interval, height: tip.height } })
        }
        Some(from) => from.within(tip.height, "page.token"),
    }
}

/// A search under way.
enum Searching {
    Subjects(WhoCan),
    Resources(WhatCan),
    Actions(WhichActions),
}

impl Searching {
    fn begin(index: &Index, sought: Sought, moment: Moment, from: TextId) -> Self {
        let names = |type_: &str| Wanted::of_type(Some(type_)).only_names();
        match sought {
            Sought::Subjects { type_, act, obj } => {
                Self::Subjects(WhoCan::new(index, obj, Some(act), names(&type_), moment, from))
            }
            Sought::Resources { type_, sub, act } => {
                Self::Resources(WhatCan::new(index, sub, Some(act), names(&type_), moment, from))
            }
            Sought::Actions { sub, obj } => Self::Actions(WhichActions::new(index, sub, obj, moment, from)),
        }
    }

    fn at(&self) -> Option<TextId> {
        match self {
            Self::Subjects(search) => search.at(),
            Self::Resources(search) => search.at(),
            Self::Actions(search) => search.at(),
        }
    }

    /// What a step finds, as AuthZEN has it. A name about which no evaluation can ask is left out.
    fn step(
        &mut self,
        index: &Index,
        conditions: &dyn Fn(&search::Asked<'_>, &str) -> writ_proto::condition::Evaluation,
        budget: Budget,
    ) -> Vec<Value> {
        let entity = |text: TextId, side: Side| {
            let (type_, id) = type_and_id(index.text(text), side)?;
            Some(json!({ "type": type_, "id": id }))
        };
        match self {
            Self::Subjects(search) => {
                let mut found = Vec::new();
                search.step(index, conditions, budget, &mut found);
                found.into_iter().filter_map(|text| entity(text, Side::Subject)).collect()
            }
            Self::Resources(search) => {
                let mut found = Vec::new();
                search.step(index, conditions, budget, &mut found);
                found.into_iter().filter_map(|found| entity(found.obj, Side::Object)).collect()
            }
            Self::Actions(search) => {
                let mut found = Vec::new();
                search.step(index, conditions, budget, &mut found);
                found.into_iter().map(|text| json!({ "name": index.text(text) })).collect()
            }
        }
    }
}
