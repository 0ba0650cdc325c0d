//! A server that does nothing, on the node's own stack: what a request costs before anybody thinks.
//!
//! The same accept loop, the same bounds on a connection, the same router, and an answer with the headers and
//! the length of a decision. It runs as a process of its own, as the node does: the bench starts itself
//! again with [`VERB`].

use std::io::Write as _;

use anyhow::Context as _;
use axum::body::{Body, Bytes};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::response::Response;
use axum::routing::get;
use tokio::net::TcpListener;
use writ_node::http::{HttpLimits, serve_router};
use writ_node::metrics::Metrics;

/// The word that starts the server in place of the bench.
pub(crate) const VERB: &str = "serve-nothing";

/// Serves a constant of `bytes` bytes at `/v1/check` until it is killed; says its URL first.
pub(crate) fn serve(bytes: usize) -> anyhow::Result<()> {
    let body = Bytes::from("x".repeat(bytes));
    let answer = move || {
        let body = body.clone();
        async move {
            let mut response = Response::new(Body::from(body));
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            response
        }
    };
    let router = axum::Router::new().route("/v1/check", get(answer));
    // As the node does.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on loopback")?;
        println!("http://{}", listener.local_addr()?);
        std::io::stdout().flush()?;
        serve_router(listener, router, Metrics::new(), HttpLimits::default(), std::future::pending()).await;
        Ok(())
    })
}
