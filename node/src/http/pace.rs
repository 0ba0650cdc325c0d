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
use std::task::{Context, Poll, ready};
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
    phase: Mutex<(Phase, Instant)>,
    evicted: Notify,
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
        Arc::new(Self { phase: Mutex::new((Phase::Head, Instant::now())), evicted: Notify::new() })
    }

    /// A request's head is complete.
    pub(super) fn serving(&self) {
        *self.lock() = (Phase::Serving, Instant::now());
    }

    /// Its answer is on its way.
    pub(super) fn served(&self) {
        *self.lock() = (Phase::Idle, Instant::now());
    }

    /// Whether no request is being served.
    pub(super) fn is_waiting(&self) -> bool {
        self.lock().0 != Phase::Serving
    }

    /// Asks the connection to end at once.
    pub(super) fn evict(&self) {
        self.evicted.notify_one();
    }

    /// Completes when the connection is to end at once.
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }

    fn read_some(&self) {
        let mut phase = self.lock();
        if phase.0 == Phase::Idle {
            *phase = (Phase::Head, Instant::now());
        }
    }

    /// When to give up on bytes to read; never while a request is served.
    fn read_deadline(&self, bounds: &Bounds) -> Option<(Instant, &'static str)> {
        match *self.lock() {
            (Phase::Idle, since) => Some((since + bounds.idle, "idle")),
            (Phase::Head, since) => Some((since + bounds.header, "head")),
            (Phase::Serving, _) => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, (Phase, Instant)> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
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
        let Some((deadline, reason)) = this.pace.read_deadline(&this.bounds) else { return Poll::Pending };
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
