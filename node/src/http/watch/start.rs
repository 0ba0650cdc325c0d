//! Where a watcher begins.

use axum::http::HeaderName;
use writ_proto::hash::Digest;
use writ_proto::state::State;
use writ_proto::time::Excerpt;
use writ_proto::watch::{EventId, Place};

use super::super::Call;
use super::super::error::ApiError;

/// The header in which a reader that comes again says what it was told last (HTML, 9.2.4).
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Where a watcher begins: behind what its reader was told, at a leaf, or with what comes from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Now,
    At(Place),
}

impl Start {
    /// What the caller says. The header comes from a reader that comes again to the same address, so it is later than
    /// what that address says.
    pub(super) fn read(call: &mut Call, chain: &Digest) -> Result<Self, ApiError> {
        let from_index = call.query.number("from_index", 0, u64::MAX)?;
        let last_event_id = call.query.take("last_event_id");
        if from_index.is_some() && last_event_id.is_some() {
            let detail = "`last_event_id` says where to begin, found `from_index` beside it";
            return Err(ApiError::bad("last_event_id", detail));
        }
        // Both are judged, also where the header stands before them.
        let asked = match last_event_id {
            Some(text) => Self::behind(&text, "last_event_id", chain)?,
            None => from_index.map_or(Self::Now, |leaf| Self::At(Place::before(leaf))),
        };
        let mut headers = call.parts.headers.get_all(LAST_EVENT_ID).iter();
        match (headers.next(), headers.next()) {
            (None, _) => Ok(asked),
            (Some(value), None) => Self::behind(&String::from_utf8_lossy(value.as_bytes()), "Last-Event-ID", chain),
            (Some(_), Some(_)) => Err(ApiError::bad("Last-Event-ID", "`Last-Event-ID` stands twice, expected once")),
        }
    }

    fn behind(text: &str, field: &'static str, chain: &Digest) -> Result<Self, ApiError> {
        let id: EventId =
            text.parse().map_err(|error: writ_proto::watch::BadEventId| ApiError::bad(field, error.to_string()))?;
        if !id.is_of(chain) {
            let detail = format!("`{}` is an event of another chain than this one, {chain}", Excerpt::of(text));
            return Err(ApiError::of("wrong_chain", field, detail));
        }
        Ok(Self::At(id.place))
    }

    /// The place, in the log as it is.
    pub(super) fn place(self, state: &State) -> Place {
        match self {
            Self::Now => Place::before(state.log().size()),
            Self::At(place) => place,
        }
    }
}
