//! Room for bodies: a bound on the bytes that all requests, or all answers, hold together.
//!
//! Bounds on single bodies do not bound their sum, and a caller who reads or writes slowly keeps a body in
//! memory for long. So bytes are accounted for while they are held, and when there is no room the caller
//! is told to come back.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::ApiError;

/// Bytes of one unit of account.
const UNIT: usize = 1024;

/// A bound on bytes, shared by all who hold some.
#[derive(Clone, Debug)]
pub(super) struct Room(Arc<Semaphore>);

/// What somebody holds of a [`Room`]; given back when dropped.
#[derive(Debug, Default)]
pub(super) struct Held {
    permit: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl Room {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes_max / UNIT)))
    }

    /// Takes room for `bytes` more.
    pub(super) fn take(&self, held: &mut Held, bytes: usize) -> Result<(), ApiError> {
        let total = held.bytes.saturating_add(bytes);
        let units = total.div_ceil(UNIT) - held.bytes.div_ceil(UNIT);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let Ok(more) = self.0.clone().try_acquire_many_owned(units) else {
            return Err(ApiError::overloaded("the node handles too many large bodies at a time", 1));
        };
        match &mut held.permit {
            Some(own) => own.merge(more),
            none => *none = Some(more),
        }
        held.bytes = total;
        Ok(())
    }
}

/// A body that gives something back when it is sent, or dropped.
pub(super) struct Holding<B, T> {
    body: B,
    _held: T,
}

impl<B, T> Holding<B, T> {
    pub(super) fn new(body: B, held: T) -> Self {
        Self { body, _held: held }
    }
}

impl<T: Unpin> HttpBody for Holding<Body, T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

    use super::*;

    #[test]
    fn room_is_bounded_and_comes_back() {
        let room = Room::new(10 * UNIT);
        let mut held = Held::default();
        room.take(&mut held, 4 * UNIT).unwrap();
        room.take(&mut held, 5 * UNIT + 1).unwrap();
        let mut other = Held::default();
        assert_eq!(room.take(&mut other, 1).unwrap_err().code, "overloaded");
        drop(held);
        // A thousand drops fill a bucket, not a thousand buckets.
        for _ in 0..10 * UNIT {
            room.take(&mut other, 1).unwrap();
        }
        assert!(room.take(&mut other, 1).is_err());
        assert!(room.take(&mut Held::default(), usize::MAX).is_err());
    }
}
