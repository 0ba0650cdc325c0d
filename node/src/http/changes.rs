//! `GET /v1/diff`: who gained and lost what between two points of the log; and what histories and previews share
//! with it.
//!
//! All three are searches in steps. A step holds the state's lock for a millisecond or two; between steps it is let
//! go, since a long reader makes the writer wait and the writer everybody else. After [`WORK_TIME_MAX`] a page
//! ends, perhaps without a result, and its cursor says where to go on.
//!
//! The first page fixes what all pages speak of: the cursor carries it, with a mark of the chain and the question,
//! so a cursor of another question is refused.

use std::time::{Duration, Instant};

use writ_proto::api::{AccessChange, DiffPage, LogPoint, is_readable, rights_of};
use writ_proto::decision::Moment;
use writ_proto::hash::Digest;
use writ_proto::index::{Index, TextId};
use writ_proto::name::{Pattern, Side};
use writ_proto::search::{Budget, Change, Changes};
use writ_proto::state::State;
use writ_proto::time::{Excerpt, Interval, LedgerTime};

use super::circumstances::unknown;
use super::cursor;
use super::error::ApiError;
use super::json::answer;
use super::moment::{caught_up, not_yet};
use super::query::Query;
use super::{Answer, App, Call};
use crate::ledger::Ledger;

/// Parameters of [`diff`].
pub(super) const DIFF: &[&str] = &["from", "to", "limit", "cursor"];

/// Changes or events of a page, if the caller does not say, and at most.
pub(super) const LIMIT: u64 = 100;
pub(super) const LIMIT_MAX: u64 = 1000;

/// Look-ups of one step: a millisecond or two.
pub(super) const STEP_LOOKUPS: u32 = if cfg!(test) { 20 } else { 20_000 };
/// How long one request works, about.
pub(super) const WORK_TIME_MAX: Duration = Duration::from_secs(1);

/// Does `step` until it says that it is done, or so long that a page has to end. It counts as long only from when
/// `has_moved`: a search that did not get on must not begin again at the same place.
pub(super) fn in_steps(mut step: impl FnMut() -> Result<Progress, ApiError>) -> Result<(), ApiError> {
    let began = Instant::now();
    loop {
        match step()? {
            Progress::Done => return Ok(()),
            Progress::Moved if began.elapsed() >= WORK_TIME_MAX => return Ok(()),
            Progress::Moved | Progress::Waits => {}
        }
    }
}

/// How far a search has got.
pub(super) enum Progress {
    /// At its end, or the page is full.
    Done,
    /// Further than where the page began.
    Moved,
    /// Still before its first result.
    Waits,
}

/// The instant of a number in a cursor.
pub(super) fn instant(millis: u64, text: &str) -> Result<LedgerTime, ApiError> {
    LedgerTime::from_millis(millis).map_err(|_| cursor::malformed(text))
}

/// `limit` of the query.
pub(super) fn limit_of(query: &mut Query) -> Result<usize, ApiError> {
    let limit = query.number("limit", 1, LIMIT_MAX)?.unwrap_or(LIMIT);
    Ok(usize::try_from(limit).unwrap_or(usize::MAX))
}

/// A change with its names in ledger form, as it leaves the lock.
pub(super) struct Named {
    sub: String,
    obj: String,
    change: Change,
}

impl Named {
    pub(super) fn of(index: &Index, change: Change) -> Self {
        let text = |id: TextId| index.text(id).to_owned();
        Self { sub: text(change.sub), obj: text(change.obj), change }
    }

    pub(super) fn shown(self) -> Result<AccessChange, ApiError> {
        let show = |text: &str, side| {
            let name = Pattern::parse_full(text).map_err(ApiError::internal)?;
            Ok::<_, ApiError>(name.to_display_if(side, is_readable))
        };
        Ok(AccessChange {
            sub: show(&self.sub, Side::Subject)?,
            obj: show(&self.obj, Side::Object)?,
            gained: rights_of(&self.change.gained),
            lost: rights_of(&self.change.lost),
        })
    }
}

/// A point of the log as it is asked for: a height, or as of an instant.
#[derive(Clone, Copy)]
enum Point {
    Height(u64),
    AsOf(LedgerTime),
}

/// What is asked.
struct Asked {
    from: Point,
    to: Option<Point>,
    limit: usize,
    cursor: Option<String>,
    mark: String,
}

/// `GET /v1/diff`.
pub(super) async fn diff(app: App, mut call: Call) -> Answer {
    let chain = *app.ledger().read().chain();
    let asked = Asked::read(&mut call.query, &chain)?;
    let page = app.in_turn(move |ledger| page(ledger, &asked)).await?;
    answer(axum::http::StatusCode::OK, &page)
}

impl Point {
    fn read(text: &str, field: &'static str) -> Result<Self, ApiError> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let too_large = |_| ApiError::bad(field, format!("`{}`, expected a height", Excerpt::of(text)));
            return text.parse().map(Self::Height).map_err(too_large);
        }
        text.parse().map(Self::AsOf).map_err(|_| {
            let detail = format!("`{}`, expected a height or an instant (RFC 3339 with `Z`)", Excerpt::of(text));
            ApiError::bad(field, detail)
        })
    }

    fn moment(self, state: &State, field: &'static str) -> Result<Moment, ApiError> {
        match self {
            Self::Height(height) => {
                let time = state.time_of(height).ok_or_else(|| not_yet(field, height, state.tip().height))?;
                Ok(Moment { interval: Interval::at(time), height })
            }
            Self::AsOf(instant) => {
                let height = state.height_at(instant).ok_or_else(|| {
                    let began = state.genesis().time;
                    ApiError::bad(field, format!("{instant} is before the chain began, at {began}"))
                })?;
                Ok(Moment { interval: Interval::at(instant), height })
            }
        }
    }
}

impl Asked {
    fn read(query: &mut Query, chain: &Digest) -> Result<Self, ApiError> {
        let (from, to) = (query.require("from")?, query.take("to"));
        let mark = cursor::mark(&[&chain.to_string(), "diff", &from, to.as_deref().unwrap_or_default()]);
        Ok(Self {
            from: Point::read(&from, "from")?,
            to: to.map(|to| Point::read(&to, "to")).transpose()?,
            limit: limit_of(query)?,
            cursor: query.take("cursor"),
            mark,
        })
    }

    /// The two moments, and where to begin.
    fn start(&self, state: &State) -> Result<(Moment, Moment, (TextId, TextId)), ApiError> {
        if let Some(text) = &self.cursor {
            let [from, from_ms, to, to_ms, sub, obj] = cursor::read(text, &self.mark)?;
            if from.max(to) > state.tip().height {
                return Err(not_yet("cursor", from.max(to), state.tip().height));
            }
            let moment = |height, ms| Ok::<_, ApiError>(Moment { interval: Interval::at(instant(ms, text)?), height });
            let id = |number: u64| TextId::try_from(number).map_err(|_| cursor::malformed(text));
            return Ok((moment(from, from_ms)?, moment(to, to_ms)?, (id(sub)?, id(obj)?)));
        }
        let before = self.from.moment(state, "from")?;
        let after = self.to.unwrap_or(Point::Height(state.tip().height)).moment(state, "to")?;
        if (before.height, before.interval.lo()) > (after.height, after.interval.lo()) {
            let point = |moment: &Moment| format!("height {} at {}", moment.height, moment.interval.lo());
            let detail = format!("{} is before `from`, {}", point(&after), point(&before));
            return Err(ApiError::bad("to", detail));
        }
        Ok((before, after, (0, 0)))
    }
}

fn page(ledger: &Ledger, asked: &Asked) -> Result<DiffPage, ApiError> {
    caught_up(ledger)?;
    let (before, after, from, mut search) = {
        let state = ledger.read();
        let (before, after, from) = asked.start(&state)?;
        (before, after, from, Changes::new(state.index(), before, after, from))
    };
    let mut found = Vec::new();
    in_steps(|| {
        let state = ledger.read();
        let mut step = Vec::new();
        let budget = Budget { results: asked.limit - found.len(), lookups: STEP_LOOKUPS };
        search.step(state.index(), &unknown, budget, &mut step);
        found.extend(step.into_iter().map(|change| Named::of(state.index(), change)));
        Ok(progress(search.at(), from, found.len() >= asked.limit))
    })?;
    let next = search.at().map(|(sub, obj)| {
        let ms = |moment: Moment| moment.interval.lo().as_millis();
        let numbers = [before.height, ms(before), after.height, ms(after), sub.into(), obj.into()];
        cursor::write(&numbers, &asked.mark)
    });
    let point = |moment: Moment| LogPoint { height: moment.height, at: moment.interval.lo() };
    let changes = found.into_iter().map(Named::shown).collect::<Result<_, _>>()?;
    Ok(DiffPage { changes, from: point(before), to: point(after), next })
}

/// How far a search has got that began at `from` and is `at` now.
pub(super) fn progress<T: PartialEq>(at: Option<T>, from: T, is_full: bool) -> Progress {
    match at {
        None => Progress::Done,
        Some(_) if is_full => Progress::Done,
        Some(at) if at == from => Progress::Waits,
        Some(_) => Progress::Moved,
    }
}
