//! `GET /v1/watch`: what happens to access entries, as it is committed, as server-sent events.
//!
//! ```text
//!   retry: 1000
//!   event: position                     how far everything was told: at once, and then again and again
//!   id: 18.0.0123456789abcdef
//!   data: {"log_size":18,"height":6,"at":"..","position":".."}
//!
//!   event: entry                        an entry came in
//!   id: 18.1.0123456789abcdef
//!   data: {"sub":"..",..,"revoked":null}
//!
//!   event: revoked                      its revocation came to count
//!   id: 20.1.0123456789abcdef
//!   data: {"sub":"..",..,"revoked":{"by":"..","height":7,"at":".."}}
//! ```
//!
//! What is told follows from the log alone ([`writ_proto::watch`]): entries stand as they were at their event, so all
//! nodes tell the same to the byte, and an id is a place in the log at which any of them goes on (`Last-Event-ID`).
//!
//! **A watcher owns nothing but a place.** The body is asked for its next piece when the connection has room for it, and
//! each piece is read from the index and the store then ([`step`]). So a slow reader costs no memory and misses nothing: it
//! lags, and if it takes nothing for long its connection is cut like any other ([`super::pace`]), and it goes on where it
//! was. A node that has not reached the place yet waits until it has.

mod start;
mod step;

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, Response};
use futures::stream::try_unfold;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep_until};
use writ_proto::api::WatchPosition;
use writ_proto::hash::Digest;
use writ_proto::watch::{EventId, Interest, Place};

use super::error::ApiError;
use super::serve::Stopping;
use super::words::Words;
use super::{Answer, App, Call};
use crate::blocking;
use crate::metrics::Metrics;
use crate::shutdown::stopped;
use start::Start;
use step::{Step, step};

/// Parameters of [`watch`].
pub(super) const PARAMETERS: &[&str] =
    &["sub", "obj", "act", "access", "authority", "memberships", "from_index", "last_event_id"];

/// Watchers at a time, if there are connections enough.
const WATCHERS_MAX: usize = 256;

/// After how many milliseconds a reader whose connection broke should come again. A line of the first event, since some
/// readers take one that stands alone for an event without data.
const RETRY: &str = "retry: 1000\n";

/// Bounds of all watchers.
#[derive(Clone, Copy, Debug)]
pub(super) struct WatchLimits {
    /// How many there are at most.
    pub(super) watchers_max: usize,
    /// How often each is told the position, so that both sides see whether the other is there.
    pub(super) beat: Duration,
}

impl WatchLimits {
    /// Of a server with so many connections: half of them are left for everybody else.
    pub(super) fn within(connections_max: usize, beat: Duration) -> Self {
        Self { watchers_max: WATCHERS_MAX.min(connections_max.div_ceil(2)), beat }
    }
}

/// `GET /v1/watch`.
pub(super) async fn watch(app: App, mut call: Call) -> Answer {
    let chain = *app.ledger().read().chain();
    let Words { sub, obj, act, access, authority } = Words::read(&mut call.query)?;
    let memberships = call.query.flag("memberships")?;
    let interest = Interest { sub, obj, act, access, authority, memberships };
    let start = Start::read(&mut call, &chain)?;
    let watcher = Watcher::new(&app)?;
    let place = start.place(&app.ledger().read());
    let feed = Feed {
        progress: app.ledger().progress(),
        stopping: call.parts.extensions.get::<Stopping>().map(|stopping| stopping.0.clone()),
        beat: Instant::now(),
        is_greeted: false,
        interest: Arc::new(interest),
        app,
        chain,
        place,
        _watcher: watcher,
    };
    let mut response = Response::new(Body::from_stream(try_unfold(feed, Feed::next)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // A proxy that gathers answers before it passes them on would hold every event back.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

/// One of the watchers that there may be at a time.
struct Watcher {
    metrics: Metrics,
    _permit: OwnedSemaphorePermit,
}

impl Watcher {
    fn new(app: &App) -> Result<Self, ApiError> {
        let permit = app.0.watchers.clone().try_acquire_owned();
        let permit = permit.map_err(|_| ApiError::overloaded("the node has as many watchers as it takes", 5))?;
        let metrics = app.0.metrics.clone();
        metrics.watcher(true);
        Ok(Self { metrics, _permit: permit })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.metrics.watcher(false);
    }
}

/// What one watcher is told, piece by piece.
struct Feed {
    app: App,
    chain: Digest,
    interest: Arc<Interest>,
    /// What was told so far.
    place: Place,
    progress: watch::Receiver<u64>,
    /// Without a server around it, nothing stops.
    stopping: Option<watch::Receiver<bool>>,
    /// When the position is due.
    beat: Instant,
    is_greeted: bool,
    _watcher: Watcher,
}

/// The stream cannot go on; the log of the node says why. The connection breaks off, so that no reader takes the end for
/// one in order.
#[derive(Debug, thiserror::Error)]
#[error("the node failed to read on")]
struct Broken;

impl Feed {
    /// The next piece: whole events, or a comment. `None`: the node stops.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, Broken> {
        if !self.is_greeted {
            self.is_greeted = true;
            return Ok(Some((Bytes::from_static(RETRY.as_bytes()), self)));
        }
        loop {
            if self.stopping.as_ref().is_some_and(|stopping| *stopping.borrow()) {
                return Ok(None);
            }
            // Before the log is looked at, so that what comes meanwhile wakes.
            self.progress.mark_unchanged();
            let Step { place, mut text, tip, has_more } = self.step().await?;
            self.place = place;
            if Instant::now() >= self.beat {
                match tip {
                    Some(tip) => self.tell_position(&tip, &mut text),
                    // A comment, since there is no place yet that could be told.
                    None if !has_more => self.tell_waiting(&mut text),
                    // It stays due until all is told.
                    None => {}
                }
            }
            if !text.is_empty() {
                return Ok(Some((text.into(), self)));
            }
            if !has_more {
                self.wait().await;
            }
        }
    }

    /// Reads on, in turn: of all watchers only a few read at a time, however many a block wakes.
    async fn step(&self) -> Result<Step, Broken> {
        // The semaphore is never closed.
        let turn = self.app.0.watch_turns.clone().acquire_owned().await.map_err(|_| Broken)?;
        let (ledger, metrics) = (self.app.0.ledger.clone(), self.app.0.metrics.clone());
        let (interest, chain, place) = (self.interest.clone(), self.chain, self.place);
        let work = move || {
            // Also when the watcher has gone meanwhile.
            let _turn = turn;
            step(&ledger, &metrics, &interest, &chain, place)
        };
        // What went wrong is in the log already.
        blocking::run(work).await.map_err(|_| Broken)
    }

    /// Waits until there may be more, the position is due, or the node stops.
    async fn wait(&mut self) {
        let stopping = self.stopping.clone();
        let stopped = async move {
            match stopping {
                Some(stopping) => stopped(stopping).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stopped => {}
            // The ledger is there as long as this is.
            _ = self.progress.changed() => {}
            () = sleep_until(self.beat) => {}
        }
    }

    fn tell_waiting(&mut self, text: &mut Vec<u8>) {
        self.beat = Instant::now() + self.app.0.watch.beat;
        text.extend_from_slice(b": not there yet\n\n");
    }

    fn tell_position(&mut self, tip: &WatchPosition, text: &mut Vec<u8>) {
        self.beat = Instant::now() + self.app.0.watch.beat;
        step::write(text, "position", &EventId::new(self.place, &self.chain), tip);
        self.app.0.metrics.watch_event("position");
    }
}
