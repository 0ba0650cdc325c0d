//! One step of a watcher: from the log to the text of some events.

use serde::Serialize;
use writ_proto::api::{WatchPosition, position_token};
use writ_proto::hash::Digest;
use writ_proto::state::State;
use writ_proto::watch::{EventId, Happened, Interest, Place, events_from};

use super::super::error::ApiError;
use super::super::receipt::{Standing, entry_at, record_at};
use crate::ledger::Ledger;
use crate::metrics::Metrics;

/// Events of one step.
const EVENTS_MAX: usize = if cfg!(test) { 5 } else { 128 };
/// Bytes after which a step ends.
const BYTES_ENOUGH: usize = if cfg!(test) { 1500 } else { 32 * 1024 };
/// Events that are looked at under one hold of the state's lock: while the writer waits for it, so does every question
/// that comes after.
const EVENTS_PER_HOLD: usize = if cfg!(test) { 7 } else { 4096 };
/// Holds of one step.
const HOLDS_MAX: usize = if cfg!(test) { 2 } else { 64 };

/// What a step gave.
pub(super) struct Step {
    /// What was told now.
    pub(super) place: Place,
    /// The events.
    pub(super) text: Vec<u8>,
    /// The end of the log, if all of it is told.
    pub(super) tip: Option<WatchPosition>,
    /// Whether there is more to look at.
    pub(super) has_more: bool,
}

/// An event as it leaves the lock.
struct Found {
    happened: Happened,
    standing: Standing,
    after: Place,
}

/// Goes on from there. The lock is held for steps in memory alone; bytes come from the store afterwards.
pub(super) fn step(
    ledger: &Ledger,
    metrics: &Metrics,
    interest: &Interest,
    chain: &Digest,
    from: Place,
) -> Result<Step, ApiError> {
    let (mut place, mut found) = (from, Vec::new());
    let (mut tip, mut has_more) = (None, true);
    for _ in 0..HOLDS_MAX {
        let state = ledger.read();
        let end = Place::before(state.log().size());
        if place > end {
            // Another node told more than this one has.
            has_more = false;
            break;
        }
        if look(&state, interest, &mut place, &mut found) {
            (place, tip, has_more) = (end, Some(position(&state)), false);
            break;
        }
        if found.len() == EVENTS_MAX {
            break;
        }
    }
    let (mut text, mut told) = (Vec::new(), from);
    for Found { happened, standing, after } in found {
        if text.len() >= BYTES_ENOUGH {
            return Ok(Step { place: told, text, tip: None, has_more: true });
        }
        let leaf = standing.index;
        let entry = entry_at(ledger, &record_at(ledger, leaf)?, &standing)?
            .ok_or_else(|| ApiError::internal(format!("leaf {leaf} is no access entry")))?;
        let word = match happened {
            Happened::Added => "entry",
            Happened::Revoked => "revoked",
        };
        write(&mut text, word, &EventId::new(after, chain), &entry);
        metrics.watch_event(word);
        told = after;
    }
    Ok(Step { place, text, tip, has_more })
}

/// Looks at some events behind `place`, and says whether that were all.
fn look(state: &State, interest: &Interest, place: &mut Place, found: &mut Vec<Found>) -> bool {
    let listening = interest.in_terms_of(state);
    let mut events = events_from(state.index(), *place);
    for _ in 0..EVENTS_PER_HOLD {
        let Some(event) = events.next() else { return true };
        *place = event.after;
        if listening.wants(event.entry) {
            let mut standing = Standing::of(&state.index().entry(event.entry));
            // An entry is told as it was when it came, whatever became of it since.
            standing.revoked = standing.revoked.filter(|_| event.happened == Happened::Revoked);
            found.push(Found { happened: event.happened, standing, after: event.after });
        }
        if found.len() == EVENTS_MAX {
            break;
        }
    }
    false
}

fn position(state: &State) -> WatchPosition {
    let tip = state.tip();
    WatchPosition {
        log_size: state.log().size(),
        height: tip.height,
        at: tip.time,
        position: position_token(tip.height, &tip.commit_leaf),
    }
}

/// Writes one event. JSON on one line has no line break in it.
pub(super) fn write(text: &mut Vec<u8>, event: &str, id: &EventId, data: &impl Serialize) {
    text.extend_from_slice(format!("event: {event}\nid: {id}\ndata: ").as_bytes());
    // Our own types are always JSON, and a vector takes all that is written.
    let _ = serde_json::to_writer(&mut *text, data);
    text.extend_from_slice(b"\n\n");
}
