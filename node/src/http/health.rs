//! What operators and their tools ask: alive, ready, metrics, and the description of this interface.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

use super::error::ApiError;
use super::json::answer;
use super::{Answer, App, Call};
use crate::metrics::Standing;

/// The description of every path, parameter and answer.
pub(super) const OPENAPI: &str = include_str!("../../../docs/openapi.json");

#[derive(Serialize)]
struct Alive {
    alive: bool,
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
    caught_up: bool,
    writable: bool,
    clock: bool,
}

/// `GET /healthz`: the process runs and answers.
pub(super) async fn alive(_: App, _: Call) -> Answer {
    answer(StatusCode::OK, &Alive { alive: true })
}

/// `GET /readyz`: the node answers from all that it knows to exist, takes records, and trusts its clock.
pub(super) async fn ready(app: App, _: Call) -> Answer {
    let ledger = app.ledger();
    let last = ledger.read().tip().time;
    let (caught_up, writable, clock) =
        (ledger.is_caught_up(), ledger.is_writable(), ledger.clock().check(last).is_ok());
    for (holds, field, detail) in [
        (caught_up, "caught_up", "the node has not caught up with what it knows to exist"),
        (writable, "writable", "the node takes no records because its disk is nearly full; it goes on answering"),
        (clock, "clock", "the node's clock cannot be trusted now"),
    ] {
        if !holds {
            return Err(ApiError::of("not_ready", field, detail));
        }
    }
    answer(StatusCode::OK, &Ready { ready: true, caught_up, writable, clock })
}

/// `GET /metrics`: OpenMetrics text.
pub(super) async fn metrics(app: App, _: Call) -> Answer {
    let ledger = app.ledger();
    let (pooled, pooled_bytes) = ledger.pooled();
    let (height, log_size) = {
        let state = ledger.read();
        (state.tip().height, state.log().size())
    };
    let standing = Standing {
        height,
        log_size,
        pooled: pooled as u64,
        pooled_restrictive: ledger.pooled_restrictive() as u64,
        pooled_bytes: pooled_bytes as u64,
        caught_up: ledger.is_caught_up(),
        fsyncs: ledger.syncs(),
        signatures_checked: ledger.signatures_checked(),
    };
    if let Some(last) = app.final_checkpoint() {
        app.0.metrics.checkpoints().finalised(last.size, last.height);
    }
    let text = app.0.metrics.encode(&standing, &writ_engine::encode_metrics());
    let mut response = Response::new(Body::from(text));
    let media = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, media);
    Ok(response)
}

/// `GET /openapi.json`.
pub(super) async fn openapi(_: App, _: Call) -> Answer {
    let mut response = Response::new(Body::from(OPENAPI));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=3600"));
    Ok(response)
}
