//! Streams of one connection: yamux, with a bound on what a peer may send before it is read.
//!
//! libp2p's own setting lets a peer that feigns a slow line grow what is kept for it to a gigabyte, and the setting cannot
//! be changed there. This is the same yamux, told less.

use std::collections::VecDeque;
use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures::{AsyncRead, AsyncWrite};
use libp2p::core::UpgradeInfo;
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade};
use yamux::{Connection, ConnectionError, Mode, Stream};

/// Streams of one connection at a time, of both sides: whoever opens more is cut off. Two nodes at work use about thirty.
const STREAMS_MAX: usize = 64;
/// What each stream may hold at least: yamux asks for that.
const STREAM_WINDOW: usize = 256 * 1024;
/// What streams that are read fast may hold beside it, together.
const MORE_WINDOW: usize = 4 * 1024 * 1024;
/// Streams that the other side opened and that this one has not taken up yet.
const WAITING_MAX: usize = STREAMS_MAX;

/// The protocol, as it is agreed on when a connection is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Yamux;

impl Yamux {
    fn start<C: AsyncRead + AsyncWrite + Unpin>(connection: C, mode: Mode) -> Muxer<C> {
        let mut config = yamux::Config::default();
        config.set_max_num_streams(STREAMS_MAX);
        config.set_max_connection_receive_window(Some(STREAMS_MAX * STREAM_WINDOW + MORE_WINDOW));
        Muxer { connection: Connection::new(connection, config, mode), waiting: VecDeque::new(), waker: None }
    }
}

impl UpgradeInfo for Yamux {
    type Info = &'static str;
    type InfoIter = std::iter::Once<&'static str>;

    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once("/yamux/1.0.0")
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> InboundConnectionUpgrade<C> for Yamux {
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = Ready<Result<Muxer<C>, io::Error>>;

    fn upgrade_inbound(self, connection: C, _: &'static str) -> Self::Future {
        ready(Ok(Self::start(connection, Mode::Server)))
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> OutboundConnectionUpgrade<C> for Yamux {
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = Ready<Result<Muxer<C>, io::Error>>;

    fn upgrade_outbound(self, connection: C, _: &'static str) -> Self::Future {
        ready(Ok(Self::start(connection, Mode::Client)))
    }
}

/// A connection that carries streams.
pub(super) struct Muxer<C> {
    connection: Connection<C>,
    /// Opened by the other side while this one was not asked for any.
    waiting: VecDeque<Stream>,
    waker: Option<Waker>,
}

impl<C: AsyncRead + AsyncWrite + Unpin> Muxer<C> {
    /// The next stream of the other side. Nothing moves on the connection unless this is asked for.
    fn next(&mut self, context: &mut Context<'_>) -> Poll<Result<Stream, ConnectionError>> {
        self.connection.poll_next_inbound(context).map(|next| next.unwrap_or(Err(ConnectionError::Closed)))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> StreamMuxer for Muxer<C> {
    type Substream = Stream;
    type Error = ConnectionError;

    fn poll_inbound(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Stream, ConnectionError>> {
        if let Some(stream) = self.waiting.pop_front() {
            return Poll::Ready(Ok(stream));
        }
        let next = self.next(context);
        if next.is_pending() {
            self.waker = Some(context.waker().clone());
        }
        next
    }

    fn poll_outbound(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Stream, ConnectionError>> {
        self.connection.poll_new_outbound(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        self.connection.poll_close(context)
    }

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, ConnectionError>> {
        let Poll::Ready(next) = self.next(context) else { return Poll::Pending };
        let stream = next?;
        // More than that and it is dropped, which tells the other side.
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push_back(stream);
            if let Some(waker) = self.waker.take() {
                waker.wake();
            }
        }
        // There may be more.
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
