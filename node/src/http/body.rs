//! The body of a request: its media type, and its bytes within bounds of size and time.

use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout_at};
use writ_proto::time::Excerpt;

use super::error::ApiError;
use super::room::{Held, Room};

/// Bytes of a body that is too large which are read and thrown away, so that a caller who sends first and
/// reads then gets to read why.
const DISCARDED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How long that may take.
const DISCARDING_TIME_MAX: Duration = Duration::from_secs(2);

/// The media types that paths take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    /// `application/json`.
    Json,
    /// `application/octet-stream`.
    Bytes,
}

/// The bytes of a body, with the room that they take.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) bytes: Vec<u8>,
    pub(super) held: Held,
}

impl Media {
    /// What the head of a request says of its body; only `expected` will do.
    pub(super) fn of(headers: &HeaderMap, expected: &[Self]) -> Result<Self, ApiError> {
        if let Some(encoding) = headers.get(CONTENT_ENCODING)
            && encoding.as_bytes() != b"identity"
        {
            return Err(ApiError::bad("content-encoding", "an encoded body, expected one as it is"));
        }
        let list = expected.iter().map(|media| media.as_str()).collect::<Vec<_>>().join(" or ");
        let mut given = headers.get_all(CONTENT_TYPE).iter();
        let found = match (given.next(), given.next()) {
            (Some(one), None) => one.to_str().unwrap_or("bytes that are not ASCII"),
            (None, _) => return Err(ApiError::bad("content-type", format!("no media type, expected {list}"))),
            (Some(_), Some(_)) => {
                return Err(ApiError::bad("content-type", format!("several media types, expected {list}")));
            }
        };
        // Parameters such as `charset=utf-8` change nothing for either.
        let essence = found.split(';').next().unwrap_or_default().trim();
        let media = expected.iter().find(|media| media.as_str().eq_ignore_ascii_case(essence));
        media
            .copied()
            .ok_or_else(|| ApiError::bad("content-type", format!("`{}`, expected {list}", Excerpt::of(found))))
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Bytes => "application/octet-stream",
        }
    }
}

/// Reads a body of at most `bytes_max` bytes within `time_max`.
pub(super) async fn read(
    headers: &HeaderMap,
    mut body: Body,
    bytes_max: usize,
    time_max: Duration,
    room: &Room,
) -> Result<Content, ApiError> {
    let deadline = Instant::now() + time_max;
    let too_large = || ApiError::whole("too_large", format!("the body is larger than {bytes_max} bytes"));
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|announced| announced > bytes_max as u64) {
        // Whoever asks before sending has not sent anything yet.
        if !headers.contains_key(EXPECT) {
            discard(body).await;
        }
        return Err(too_large());
    }
    let mut content = Content { bytes: Vec::new(), held: Held::default() };
    loop {
        let frame = timeout_at(deadline, body.frame()).await.map_err(|_| {
            ApiError::whole("timeout", format!("the body took longer than {} ms", time_max.as_millis()))
        })?;
        let data = match frame {
            None => return Ok(content),
            Some(Err(_)) => {
                return Err(ApiError::whole(
                    "bad_request",
                    "the body ended before its end, or its chunks are malformed",
                ));
            }
            // Trailers say nothing to us.
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
        };
        if content.bytes.len() + data.len() > bytes_max {
            // What was read is of no use any more.
            drop(content);
            discard(body).await;
            return Err(too_large());
        }
        room.take(&mut content.held, data.len())?;
        content.bytes.extend_from_slice(&data);
    }
}

async fn discard(mut body: Body) {
    let deadline = Instant::now() + DISCARDING_TIME_MAX;
    let mut left = DISCARDED_BYTES_MAX;
    while let Ok(Some(Ok(frame))) = timeout_at(deadline, body.frame()).await {
        let read = frame.into_data().map_or(0, |data| data.len());
        left = left.saturating_sub(read);
        if left == 0 {
            break;
        }
    }
}
