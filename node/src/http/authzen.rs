//! The OpenID AuthZEN Authorization API 1.0: decisions in the words that policy enforcement points already speak.
//!
//! | path | answers |
//! |---|---|
//! | `POST /access/v1/evaluation` | one question |
//! | `POST /access/v1/evaluations` | many, all about one moment |
//! | `POST /access/v1/search/subject` · `/resource` · `/action` | everything of one type for which it is yes, page by page |
//! | `GET /.well-known/authzen-configuration` | where these are |
//!
//! An answer here is that of `GET /v1/check` for now: `{"decision": true}` where that says *granted*. A name that the
//! ledger cannot hold stands on no entry, so the decision about it is `false`: never an error, and never that of a name
//! which is merely spelled alike. What only Writ knows (why, which entries, until when) stands in the response's `context`
//! if the caller asks for it, by `"options": {"reasons": true}` or the header `Writ-Explain: 1`.
//!
//! Members that the standard does not name are ignored, at every level, as it asks; what it names must have its type. A
//! request at fault as a whole is an HTTP error whose body is its message. An item of a batch that is at fault is
//! denied, with the error in its `context`, and the others are answered.

mod entity;
mod evaluation;
mod metadata;
mod search;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, Response};
use serde_json::{Map, Value};

pub(super) use evaluation::{evaluate, evaluate_many};
pub(super) use metadata::metadata;
pub(super) use search::{search_actions, search_resources, search_subjects};

use super::body::{Content, Media};
use super::error::ApiError;
use super::json::Members;
use super::room::Held;
use super::{App, Call};

/// Asks for the reasons of decisions, if it is `1`.
const EXPLAIN: &str = "writ-explain";

/// Whether a path speaks AuthZEN, also where it is at fault.
pub(super) fn speaks_at(path: &str) -> bool {
    path.starts_with("/access/v1/") || path.starts_with("/.well-known/authzen-configuration")
}

/// An error as AuthZEN has it (section 10.1.2): the status, and a message.
pub(super) fn fault(error: ApiError) -> Response<Body> {
    let message = message(&error);
    let mut response = error.into_response().map(|_| Body::from(message));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// A body of more bytes is large: it is read in turn, off the threads that serve connections, and so is what it asks for.
const LARGE_BODY_BYTES: usize = 64 * 1024;
/// How many times its bytes a large body takes once it is read, about: `[[],[],[]]` has eleven.
const LARGE_BODY_TIMES: usize = 12;

/// A request's members, and the room that they take until it is answered.
struct Asked {
    members: Map<String, Value>,
    is_large: bool,
    _held: Held,
}

impl Asked {
    async fn read(app: &App, call: &mut Call, bytes_max: usize) -> Result<Self, ApiError> {
        let (_, Content { bytes, mut held }) = call.content(app, &[Media::Json], bytes_max).await?;
        let is_large = bytes.len() > LARGE_BODY_BYTES;
        let more = bytes.len() * (LARGE_BODY_TIMES - 1);
        let parse = move || Members::parse("the body", &bytes).map(Members::into_map);
        let members = if is_large {
            app.0.requests.take(&mut held, more)?;
            app.in_turn(move |_| parse()).await?
        } else {
            parse()?
        };
        Ok(Self { members, is_large, _held: held })
    }
}

/// Whether the caller asks for what only Writ knows. `options` that are no object ask for nothing.
fn asks_for_reasons(options: Option<&Value>, headers: &HeaderMap) -> bool {
    let by_header = headers.get(EXPLAIN).is_some_and(|asked| asked.as_bytes() == b"1");
    by_header || options.and_then(|options| options.get("reasons")) == Some(&Value::Bool(true))
}

fn message(error: &ApiError) -> String {
    match &error.field {
        Some(field) => format!("{field}: {}", error.detail),
        None => error.detail.clone(),
    }
}
