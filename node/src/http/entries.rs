//! `GET /v1/entries`: access entries in the order of the log.
//!
//! A page is a walk over the log from where the last one ended. The log only grows at its end and an index
//! never changes what it names, so pages neither skip nor repeat, whatever is appended between them. A walk
//! is bounded: when it has looked at enough, the page ends, perhaps without an entry, and its cursor
//! says where to go on. Only a page without a cursor is the last one.
//!
//! The cursor also carries a mark of chain and filters, so one of another walk is refused.

use writ_proto::api::{EntriesPage, Entry};
use writ_proto::block::Outcome;
use writ_proto::hash::Digest;
use writ_proto::index::{self, TextId};
use writ_proto::name::{ActionPattern, Pattern};
use writ_proto::record::{Access, AuthorityName, Body, Effect};
use writ_proto::state::State;
use writ_proto::time::Excerpt;

use super::error::ApiError;
use super::json::answer;
use super::query::Query;
use super::receipt::{Standing, entry_at, record_at, standing_of_rejected};
use super::words::Words;
use super::{Answer, App, Call, cursor};
use crate::ledger::Ledger;

/// Parameters of [`list`].
pub(super) const PARAMETERS: &[&str] =
    &["sub", "obj", "act", "access", "authority", "from_index", "to_index", "height", "outcome", "limit", "cursor"];

/// Entries of a page, if the caller does not say, and at most.
pub(super) const LIMIT: u64 = 100;
pub(super) const LIMIT_MAX: u64 = 1000;

/// Accepted entries that one walk looks at, all of it in memory.
const ENTRIES_SEEN_MAX: usize = if cfg!(test) { 50 } else { 100_000 };
/// Places of other records that one walk looks up in the store, with `outcome=all`.
const PLACES_SEEN_MAX: u64 = if cfg!(test) { 40 } else { 10_000 };
/// Entries that a walk looks at under one hold of the state's lock: while the writer waits for it, so does
/// every question that comes after.
const ENTRIES_PER_HOLD: usize = if cfg!(test) { 7 } else { 4096 };

/// Where a walk stands: before everything at a leaf, or, of a set's leaf, before the member at a place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Spot {
    index: u64,
    member: u8,
}

impl Spot {
    /// Before the leaf.
    fn before(index: u64) -> Self {
        Self { index, member: 0 }
    }

    /// Behind an entry.
    fn behind(entry: &index::Entry<'_>) -> Self {
        let index = entry.index;
        entry.member.map_or(Self::before(index + 1), |member| Self { index, member: member + 1 })
    }

    /// The first leaf of which nothing was looked at.
    fn next_leaf(self) -> u64 {
        self.index + u64::from(self.member > 0)
    }
}

/// What is asked for, as it stands in entries.
struct Filter {
    sub: Option<Pattern>,
    obj: Option<Pattern>,
    act: Option<ActionPattern>,
    access: Option<Effect>,
    authority: Option<AuthorityName>,
    height: Option<u64>,
    rejected_too: bool,
    /// Where this walk begins, and the last index of all.
    from: Spot,
    to: u64,
    limit: usize,
    /// What a cursor of this walk carries.
    mark: String,
}

/// `GET /v1/entries`.
pub(super) async fn list(app: App, mut call: Call) -> Answer {
    let chain = *app.ledger().read().chain();
    let filter = Filter::read(&mut call.query, &chain)?;
    let page = app.in_turn(move |ledger| page(ledger, &filter)).await?;
    answer(axum::http::StatusCode::OK, &page)
}

impl Filter {
    fn read(query: &mut Query, chain: &Digest) -> Result<Self, ApiError> {
        let Words { sub, obj, act, access, authority } = Words::read(query)?;
        let rejected_too = match query.take("outcome").as_deref() {
            None | Some("accepted") => false,
            Some("all") => true,
            Some(other) => {
                let detail = format!("`{}`, expected `accepted` or `all`", Excerpt::of(other));
                return Err(ApiError::bad("outcome", detail));
            }
        };
        let height = query.number("height", 1, u64::MAX)?;
        let from_index = query.number("from_index", 0, u64::MAX)?;
        let to_index = query.number("to_index", 0, u64::MAX)?;
        let limit = query.number("limit", 1, LIMIT_MAX)?.unwrap_or(LIMIT);
        let next = query.take("cursor");
        if let (Some(from), Some(to)) = (from_index, to_index)
            && from > to
        {
            return Err(ApiError::bad("to_index", format!("{to} is before `from_index`, {from}")));
        }

        let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
        let number = |part: Option<u64>| part.map_or_else(String::new, |part| part.to_string());
        let parts = [
            chain.to_string(),
            text(sub.as_ref().map(Pattern::as_str)),
            text(obj.as_ref().map(Pattern::as_str)),
            text(act.as_ref().map(ActionPattern::as_str)),
            text(access.map(Effect::as_str)),
            text(authority.as_ref().map(AuthorityName::as_str)),
            number(height),
            number(from_index),
            number(to_index),
            rejected_too.to_string(),
        ];
        let mark = cursor::mark(&parts.each_ref().map(String::as_str));
        let from = match next {
            None => Spot::before(from_index.unwrap_or(0)),
            Some(next) => read_cursor(&next, &mark)?,
        };
        let (to, limit) = (to_index.unwrap_or(u64::MAX), usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(Self { sub, obj, act, access, authority, height, rejected_too, from, to, limit, mark })
    }

    fn cursor(&self, next: Spot) -> String {
        match next.member {
            0 => cursor::write(&[next.index], &self.mark),
            member => cursor::write(&[next.index, member.into()], &self.mark),
        }
    }

    /// Whether a record's own words fit; its place is looked at elsewhere.
    fn fits(&self, access: &Access, authority: &AuthorityName) -> bool {
        self.sub.as_ref().is_none_or(|sub| *sub == access.sub)
            && self.obj.as_ref().is_none_or(|obj| *obj == access.obj)
            && self.act.as_ref().is_none_or(|act| *act == access.act)
            && self.access.is_none_or(|effect| effect == access.effect)
            && self.authority.as_ref().is_none_or(|own| own == authority)
    }
}

/// Where a page that a set was cut by goes on is two numbers, elsewhere one.
fn read_cursor(next: &str, mark: &str) -> Result<Spot, ApiError> {
    if let Ok([index]) = cursor::read::<1>(next, mark) {
        return Ok(Spot::before(index));
    }
    let [index, member] = cursor::read::<2>(next, mark)?;
    let member = u8::try_from(member).map_err(|_| cursor::malformed(next))?;
    Ok(Spot { index, member })
}

/// A filter in the terms of the index: what stands on no entry is found on none.
struct Terms {
    sub: Option<Option<TextId>>,
    obj: Option<Option<TextId>>,
    act: Option<Option<TextId>>,
    authority: Option<Option<u32>>,
    effect: Option<Effect>,
}

impl Terms {
    fn of(filter: &Filter, state: &State) -> Self {
        let id = |text: Option<&str>| text.map(|text| state.index().text_id(text));
        let ordinal = |name| state.authorities().by_name(name).map(|(ordinal, _)| ordinal);
        Self {
            sub: id(filter.sub.as_ref().map(Pattern::as_str)),
            obj: id(filter.obj.as_ref().map(Pattern::as_str)),
            act: id(filter.act.as_ref().map(ActionPattern::as_str)),
            authority: filter.authority.as_ref().map(ordinal),
            effect: filter.access,
        }
    }

    fn fit(&self, entry: &index::Entry<'_>) -> bool {
        let is = |wanted: Option<Option<u32>>, found| wanted.is_none_or(|wanted| wanted == Some(found));
        is(self.sub, entry.sub)
            && is(self.obj, entry.obj)
            && is(self.act, entry.act)
            && is(self.authority, entry.authority)
            && self.effect.is_none_or(|effect| effect == entry.effect)
    }
}

/// A walk over the index, and what it has found.
struct Walk {
    found: Vec<Standing>,
    /// Places between accepted entries, where a rejected one may stand; looked up with `outcome=all` only.
    gaps: Vec<(u64, u64)>,
    at: Spot,
    /// How many entries, and how many places in gaps, it has looked at.
    seen: usize,
    places: u64,
    /// Where the next walk goes on, if there is more.
    next: Option<Spot>,
}

fn page(ledger: &Ledger, filter: &Filter) -> Result<EntriesPage, ApiError> {
    let Some((from, to)) = bounds(ledger, filter)? else {
        return Ok(EntriesPage { entries: Vec::new(), next: None });
    };
    let mut walk = Walk { found: Vec::new(), gaps: Vec::new(), at: from, seen: 0, places: 0, next: None };
    // The lock is held for steps of this walk in memory alone; bytes come from the store afterwards. What is
    // added meanwhile lies beyond `to`.
    while !walk.step(&ledger.read(), filter, to) {}
    let mut entries: Vec<Entry> = Vec::new();
    if filter.rejected_too {
        entries = with_rejected(ledger, filter, &mut walk)?;
    } else {
        for standing in &walk.found {
            let signed = record_at(ledger, standing.index)?;
            entries.extend(entry_at(ledger, &signed, standing)?);
        }
    }
    Ok(EntriesPage { entries, next: walk.next.map(|next| filter.cursor(next)) })
}

/// Where to begin, and the index to end before; none if there is nothing between.
fn bounds(ledger: &Ledger, filter: &Filter) -> Result<Option<(Spot, u64)>, ApiError> {
    let (tip, size) = {
        let state = ledger.read();
        (state.tip().height, state.log().size())
    };
    let (mut from, mut to) = (filter.from, filter.to.saturating_add(1).min(size));
    if let Some(height) = filter.height {
        if height > tip {
            return Ok(None);
        }
        from = from.max(Spot::before(end_of(ledger, height - 1)?));
        to = to.min(end_of(ledger, height)?);
    }
    Ok((from.index < to).then_some((from, to)))
}

/// The log's size at the end of a block.
fn end_of(ledger: &Ledger, height: u64) -> Result<u64, ApiError> {
    match height {
        0 => Ok(0),
        _ => Ok(super::receipt::commit_leaf(ledger, height)?.executed.log_size + 1),
    }
}

impl Walk {
    /// Goes on for some entries, and says whether the walk is over.
    fn step(&mut self, state: &State, filter: &Filter, to: u64) -> bool {
        let terms = Terms::of(filter, state);
        for (held, entry) in state.index().entries_from_member(self.at.index, self.at.member).enumerate() {
            if entry.index >= to {
                break;
            }
            if self.seen == ENTRIES_SEEN_MAX || self.found.len() == filter.limit {
                self.next = Some(self.at);
                return true;
            }
            if held == ENTRIES_PER_HOLD {
                return false;
            }
            if filter.rejected_too && entry.index > self.at.next_leaf() {
                let gap = self.gap(entry.index);
                if gap < entry.index {
                    self.next = Some(Spot::before(gap));
                    return true;
                }
            }
            if terms.fit(&entry) {
                self.found.push(Standing::of(&entry));
            }
            self.at = Spot::behind(&entry);
            self.seen += 1;
        }
        let end = if filter.rejected_too && self.at.next_leaf() < to { self.gap(to) } else { to };
        self.next = (end < to).then_some(Spot::before(end));
        true
    }

    /// Takes the places up to `end` in, as many as a page may look at, and gives where they end.
    fn gap(&mut self, end: u64) -> u64 {
        let start = self.at.next_leaf();
        let end = end.min(start + (PLACES_SEEN_MAX - self.places));
        self.places += end - start;
        self.gaps.push((start, end));
        end
    }
}

/// The accepted entries of the walk with the rejected ones between them, as many as fit the page.
fn with_rejected(ledger: &Ledger, filter: &Filter, walk: &mut Walk) -> Result<Vec<Entry>, ApiError> {
    let store = ledger.store();
    let spot = |standing: &Standing| Spot { index: standing.index, member: standing.member.unwrap_or(0) };
    let mut all: Vec<(Spot, Option<Standing>)> =
        walk.found.iter().map(|standing| (spot(standing), Some(*standing))).collect();
    for (start, end) in &walk.gaps {
        for index in *start..*end {
            let rejected = store.place_at(index)?.is_some_and(|place| place.outcome != Outcome::Accepted);
            all.extend(rejected.then_some((Spot::before(index), None)));
        }
    }
    all.sort_unstable_by_key(|(spot, _)| *spot);
    let mut entries = Vec::new();
    for (spot, standing) in all {
        if entries.len() == filter.limit {
            // The first one that found no room is where the next page begins.
            walk.next = Some(spot);
            break;
        }
        let index = spot.index;
        let signed = record_at(ledger, index)?;
        let (standing, outcome) = match standing {
            Some(standing) => (standing, "accepted"),
            None => {
                let Body::Access(access) = signed.body() else { continue };
                if !filter.fits(access, &signed.statement().authority) {
                    continue;
                }
                let place = store
                    .place(&signed.id())?
                    .ok_or_else(|| ApiError::internal(format!("leaf {index} has no place")))?;
                let Outcome::Rejected(code) = place.outcome else { continue };
                (standing_of_rejected(ledger, index, place.height)?, code.as_str())
            }
        };
        let entry = entry_at(ledger, &signed, &standing)?;
        entries.extend(entry.map(|entry| Entry { outcome: Some(outcome.into()), ..entry }));
    }
    Ok(entries)
}
