//! The pace of a connection: a socket that gives up on a peer who is too slow.
//!
//! ```text
//!           first byte              head complete             answer sent
//!   idle ---------------> head -----------------> serving -----------------> idle ...
//!   idle_timeout          header_timeout          the endpoint's own bounds
//! ```
//!
//! A fresh connection begins in *head*. While an answer is written, the peer must take a least number of
//! bytes in each window of time, so that one who reads a byte now and then holds no memory of ours.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep_until};

/// Bytes that a peer must take in one window while an answer waits for it.
const WINDOW_BYTES_MIN: u64 = 64 * 1024;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Head,
    Serving,
}

/// The pace of one connection, shared by its socket, its service and the accept loop.
#[derive(Debug)]
pub(super) struct Pace {
    step: Mutex<Step>,
    evicted: Notify,
}

/// The phase, and since when it lasts.
#[derive(Debug)]
struct Step {
    phase: Phase,
    since: Instant,
    /// Whether it was asked to end since it waits.
    asked: bool,
    /// Who looked for bytes while a request was served, and so was given no time.
    reader: Option<Waker>,
}

/// How long each phase may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) header: Duration,
    pub(super) idle: Duration,
    pub(super) write: Duration,
}

impl Pace {
    pub(super) fn new() -> Arc<Self> {
        let step = Step { phase: Phase::Head, since: Instant::now(), asked: false, reader: None };
        Arc::new(Self { step: Mutex::new(step), evicted: Notify::new() })
    }

    /// A request's head is complete.
    pub(super) fn serving(&self) {
        self.lock().enter(Phase::Serving);
    }

    /// Its answer is on its way.
    pub(super) fn served(&self) {
        let reader = {
            let mut step = self.lock();
            step.enter(Phase::Idle);
            step.reader.take()
        };
        // It need not look again by itself, and from now on its time is bounded.
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Asks the connection to end at once, unless a request is served on it. Gives whether that is so, and whether it was
    /// asked before.
    pub(super) fn evict(&self) -> Option<bool> {
        let mut step = self.lock();
        (step.phase != Phase::Serving).then(|| {
            self.evicted.notify_one();
            std::mem::replace(&mut step.asked, true)
        })
    }

    /// Completes when the connection is to end at once.
    pub(super) async fn evicted(&self) {
        loop {
            self.evicted.notified().await;
            // A request may have come meanwhile; then it is served.
            if self.lock().asked {
                return;
            }
        }
    }

    fn read_some(&self) {
        let mut step = self.lock();
        if step.phase == Phase::Idle {
            step.enter(Phase::Head);
        }
    }

    /// When to give up on bytes to read; not while a request is served: then `reader` is woken at its end.
    fn read_deadline(&self, bounds: &Bounds, reader: &Waker) -> Option<(Instant, &'static str)> {
        let mut step = self.lock();
        match step.phase {
            Phase::Idle => Some((step.since + bounds.idle, "idle")),
            Phase::Head => Some((step.since + bounds.header, "head")),
            Phase::Serving => {
                step.reader = Some(reader.clone());
                None
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Step> {
        self.step.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Step {
    fn enter(&mut self, phase: Phase) {
        (self.phase, self.since) = (phase, Instant::now());
        self.asked &= phase != Phase::Serving;
    }
}

/// A socket that keeps pace.
pub(super) struct Paced<S> {
    socket: S,
    pace: Arc<Pace>,
    bounds: Bounds,
    reading: Pin<Box<Sleep>>,
    writing: Pin<Box<Sleep>>,
    /// Bytes that the peer took in this window; `None` while it keeps up.
    window: Option<u64>,
    cut: Box<dyn Fn(&'static str) + Send + Sync>,
}

impl<S> Paced<S> {
    /// `cut` hears why, when the socket gives up.
    pub(super) fn new(
        socket: S,
        pace: Arc<Pace>,
        bounds: Bounds,
        cut: impl Fn(&'static str) + Send + Sync + 'static,
    ) -> Self {
        let (reading, writing) = (Box::pin(sleep_until(Instant::now())), Box::pin(sleep_until(Instant::now())));
        Self { socket, pace, bounds, reading, writing, window: None, cut: Box::new(cut) }
    }

    fn give_up(&self, reason: &'static str) -> io::Error {
        (self.cut)(reason);
        io::Error::new(io::ErrorKind::TimedOut, reason)
    }

    /// What a write of any kind gave, with the window kept.
    fn paced_write(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = written {
            if let (Ok(written), Some(window)) = (&written, &mut self.window) {
                *window += *written as u64;
            }
            return Poll::Ready(written);
        }
        if self.window.is_none() {
            self.window = Some(0);
            self.writing.as_mut().reset(Instant::now() + self.bounds.write);
        }
        while self.writing.as_mut().poll(cx).is_ready() {
            if self.window < Some(WINDOW_BYTES_MIN) {
                return Poll::Ready(Err(self.give_up("write")));
            }
            self.window = Some(0);
            self.writing.as_mut().reset(Instant::now() + self.bounds.write);
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut this.socket).poll_read(cx, buf) {
            if buf.filled().len() > before {
                this.pace.read_some();
            }
            return Poll::Ready(read);
        }
        let Some((deadline, reason)) = this.pace.read_deadline(&this.bounds, cx.waker()) else { return Poll::Pending };
        if this.reading.deadline() != deadline {
            this.reading.as_mut().reset(deadline);
        }
        ready!(this.reading.as_mut().poll(cx));
        Poll::Ready(Err(this.give_up(reason)))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.paced_write(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, bytes);
        self.paced_write(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A flush follows the last byte that there was to write, so the peer has kept up.
        self.window = None;
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    struct Counting(AtomicUsize);

    impl Wake for Counting {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn a_connection_on_which_a_request_has_come_does_not_end() {
        let pace = Pace::new();
        assert_eq!(pace.evict(), Some(false));
        assert_eq!(pace.evict(), Some(true), "it was asked already");
        pace.serving();
        let ends = tokio::time::timeout(Duration::from_millis(50), pace.evicted()).await;
        assert!(ends.is_err(), "the request came first");
        assert_eq!(pace.evict(), None);
        pace.served();
        assert_eq!(pace.evict(), Some(false));
        pace.evicted().await;
    }

    #[test]
    fn who_looks_for_bytes_while_a_request_is_served_is_woken_at_its_end() {
        let second = Duration::from_secs(1);
        let bounds = Bounds { header: second, idle: second, write: second };
        let (pace, woken) = (Pace::new(), Arc::new(Counting(AtomicUsize::new(0))));
        let waker = Waker::from(woken.clone());
        pace.serving();
        assert_eq!(pace.read_deadline(&bounds, &waker), None);
        assert_eq!(woken.0.load(Ordering::Relaxed), 0);
        pace.served();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1, "or nobody would ever count its time");
        assert_eq!(pace.read_deadline(&bounds, &waker).map(|(_, phase)| phase), Some("idle"));
    }
}
