//! What tools for transparency logs ask: the final checkpoint, and whom to believe about it.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, Response};
use writ_proto::checkpoint::Cosigners;

use super::error::ApiError;
use super::{Answer, App, Call};

/// `GET /checkpoint`: the largest checkpoint that a quorum of the validators signed, a C2SP signed note.
pub(super) async fn checkpoint(app: App, _: Call) -> Answer {
    let last = app.final_checkpoint();
    let last = last.ok_or_else(|| ApiError::not_found("no quorum of the validators has signed a checkpoint yet"))?;
    // It grows with every block; a second old is good enough for those who are many.
    Ok(text(last.text.as_ref().to_owned(), "max-age=1"))
}

/// `GET /policy`: the keys of the present validators and their quorum, a C2SP tlog-policy.
pub(super) async fn policy(app: App, _: Call) -> Answer {
    let policy = {
        let state = app.ledger().read();
        Cosigners::of(&state.genesis().chain, state.validators()).to_policy()
    };
    Ok(text(policy, "max-age=60"))
}

fn text(text: String, caching: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    response
}
