//! The accept loop: HTTP/1.1 on our own terms.
//!
//! A ready-made server has no bound on the time that a request's head may take, so fifty silent callers hold
//! fifty connections for ever. Here every phase of a connection has its bound ([`super::pace`]), and when all
//! slots are taken, the oldest connection that no request is served on makes room for a new one: whoever
//! opens connections to block others blocks his own.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service as _;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::net::sockopt::set_tcp_user_timeout;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::Api;
use super::access::Peer;
use super::pace::{Bounds, Pace, Paced};
use super::room::Holding;
use super::watch::WatchLimits;
use crate::config;
use crate::metrics::Metrics;

/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Header fields of a request.
const HEADERS_MAX: usize = 64;
/// Bytes that are buffered for one connection, each way.
const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// How long bytes may be on their way to a peer of whom nothing is heard: then it is gone. The system's own bound is a
/// quarter of an hour, and whoever watches is served that long.
const UNHEARD_MS_MAX: u32 = 60_000;
/// How long to wait when the system has no more descriptors to give.
const BREATH: Duration = Duration::from_millis(100);

/// Bounds of the accept loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// Connections at a time.
    pub connections_max: usize,
    /// How long a request's head may take.
    pub header_timeout: Duration,
    /// How long a request's body may take.
    pub body_timeout: Duration,
    /// How long a connection may stay silent between requests.
    pub idle_timeout: Duration,
    /// The window in which a peer must take some of its answer.
    pub write_timeout: Duration,
    /// How often a watcher is told the position.
    pub watch_beat: Duration,
    /// How long open requests may take to finish once the node stops.
    pub drain_timeout: Duration,
}

/// Tells whoever answers for long that the node stops.
#[derive(Clone, Debug)]
pub(super) struct Stopping(pub(super) watch::Receiver<bool>);

impl HttpLimits {
    pub(super) fn watch(&self) -> WatchLimits {
        WatchLimits::within(self.connections_max, self.watch_beat)
    }
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            header_timeout: Duration::from_secs(5),
            body_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(10),
            watch_beat: Duration::from_secs(15),
            drain_timeout: Duration::from_secs(4),
        }
    }
}

impl From<&config::Http> for HttpLimits {
    fn from(http: &config::Http) -> Self {
        Self {
            connections_max: http.connections_max,
            header_timeout: http.header_timeout(),
            body_timeout: http.body_timeout(),
            idle_timeout: http.idle_timeout(),
            ..Self::default()
        }
    }
}

/// Serves `api` on `listener` until `shutdown` completes; then takes no more, and returns when the open
/// requests are answered, or [`HttpLimits::drain_timeout`] is over.
pub async fn serve(listener: TcpListener, api: Api, limits: HttpLimits, shutdown: impl Future<Output = ()>) {
    let metrics = api.metrics.clone();
    let router = Api { body_timeout: limits.body_timeout, watch: limits.watch(), ..api }.into_router();
    serve_router(listener, router, metrics, limits, shutdown).await;
}

/// As [`serve`], for any router: what a request costs before it reaches an endpoint can be measured so.
pub async fn serve_router(
    listener: TcpListener,
    router: Router,
    metrics: Metrics,
    limits: HttpLimits,
    shutdown: impl Future<Output = ()>,
) {
    let doors = Doors {
        router,
        metrics,
        bounds: Bounds { header: limits.header_timeout, idle: limits.idle_timeout, write: limits.write_timeout },
        open: Arc::default(),
        served: Arc::default(),
    };
    let slots = Arc::new(Semaphore::new(limits.connections_max));
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        let slot = tokio::select! {
            () = &mut shutdown => break,
            slot = slot(&slots, &doors) => slot,
        };
        connections.spawn(doors.connection(socket, Peer(peer.ip()), slot, stopping.clone()));
    }
    drop(listener);
    let _ = stop.send(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.drain_timeout, drained).await.is_err() {
        connections.shutdown().await;
    }
}

/// A slot for a connection; if there is none, one is made where that takes nothing from anybody, as soon as that is so.
async fn slot(slots: &Arc<Semaphore>, doors: &Doors) -> Option<OwnedSemaphorePermit> {
    loop {
        if let Ok(slot) = slots.clone().try_acquire_owned() {
            return Some(slot);
        }
        doors.evict_oldest();
        tokio::select! {
            // An error means that the semaphore is closed, which it never is.
            slot = slots.clone().acquire_owned() => return slot.ok(),
            () = doors.served.notified() => {}
        }
    }
}

/// Completes when the node stops.
async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error means that the accept loop is gone, which is as good a reason.
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// Open connections by age.
#[derive(Default)]
struct Open {
    next: u64,
    paces: BTreeMap<u64, Arc<Pace>>,
}

/// What every connection needs.
#[derive(Clone)]
struct Doors {
    router: Router,
    metrics: Metrics,
    bounds: Bounds,
    open: Arc<Mutex<Open>>,
    /// Told when a request was served: that connection waits now.
    served: Arc<Notify>,
}

impl Doors {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the oldest connection on which no request is served, if there is one.
    fn evict_oldest(&self) {
        if self.open().paces.values().find_map(|pace| pace.evict()) == Some(false) {
            self.metrics.connection_cut("evicted");
        }
    }

    /// Serves one connection to its end.
    fn connection(
        &self,
        socket: TcpStream,
        peer: Peer,
        slot: Option<OwnedSemaphorePermit>,
        stopping: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let entry = Entry::of(self);
        let Self { router, metrics, bounds, served, .. } = self.clone();
        async move {
            let _slot = slot;
            let pace = entry.pace.clone();
            prepare(&socket);
            let socket = Paced::new(socket, pace.clone(), bounds, move |reason| metrics.connection_cut(reason));
            let service = TowerToHyperService::new(router);
            let serve = {
                let (pace, stopping) = (pace.clone(), Stopping(stopping.clone()));
                move |mut request: Request<Incoming>| {
                    pace.serving();
                    request.extensions_mut().insert(peer);
                    request.extensions_mut().insert(stopping.clone());
                    let (answer, served) = (service.call(request.map(Body::new)), Served(pace.clone(), served.clone()));
                    async move { Ok::<_, Infallible>(finishing(answer.await, served)) }
                }
            };
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(None)
                .max_headers(HEADERS_MAX)
                .max_header_size(HEAD_BYTES_MAX)
                .max_buf_size(BUFFER_BYTES_MAX)
                .serve_connection(TokioIo::new(socket), hyper::service::service_fn(serve));
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                ended = &mut connection => ended,
                () = pace.evicted() => return,
                () = stopped(stopping) => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended early");
            }
        }
    }
}

/// Makes a socket fit for answers that are small and waited for, and for peers who are gone without a word. An error here
/// only costs time.
fn prepare(socket: &TcpStream) {
    let _ = socket.set_nodelay(true);
    let _ = set_tcp_user_timeout(socket, UNHEARD_MS_MAX);
}

fn finishing(answer: Result<Response<Body>, Infallible>, served: Served) -> Response<Holding<Body, Served>> {
    let Ok(response) = answer;
    response.map(|body| Holding::new(body, served))
}

/// Dropped when an answer's body is sent, or given up.
struct Served(Arc<Pace>, Arc<Notify>);

impl Drop for Served {
    fn drop(&mut self) {
        self.0.served();
        self.1.notify_one();
    }
}

/// A connection's place among the open ones, given back when dropped.
struct Entry {
    doors: Doors,
    number: u64,
    pace: Arc<Pace>,
}

impl Entry {
    fn of(doors: &Doors) -> Self {
        let pace = Pace::new();
        let number = {
            let mut open = doors.open();
            open.next += 1;
            let number = open.next;
            open.paces.insert(number, pace.clone());
            number
        };
        doors.metrics.connection(true);
        Self { doors: doors.clone(), number, pace }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.doors.open().paces.remove(&self.number);
        self.doors.metrics.connection(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_gives_up_on_a_peer_of_whom_nothing_is_heard() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        prepare(&socket);
        assert!(socket.nodelay().unwrap());
        assert_eq!(rustix::net::sockopt::tcp_user_timeout(&socket), Ok(UNHEARD_MS_MAX));
    }
}
