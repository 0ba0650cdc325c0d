//! A server that does nothing, on the node's own stack: what a request costs before anybody thinks.
//!
//! The same accept loop, the same bounds on a connection, the same router, and an answer with the headers and
//! the length of a decision. It runs as a process of its own, as the node does: the bench starts itself
//! again with [`VERB`].

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Stdio;

use anyhow::Context as _;
use axum::body::{Body, Bytes};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::response::Response;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use writ_node::http::{HttpLimits, serve_router};
use writ_node::metrics::Metrics;
use writ_tests::process::{Process, command};
use writ_tests::wait;

use crate::processes::Chain;
use crate::serve;

/// The word that starts the server in place of the bench.
pub(crate) const VERB: &str = "serve-nothing";

/// The server, which ends with this.
pub(crate) struct Empty {
    /// Kept for as long as it is asked; none in tests.
    _own: Option<Process>,
    /// Its process.
    pub(crate) process: u32,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

/// Starts the server in a process of its own; what it says goes beside the files of `chain`. In tests, whose program is
/// not the bench, it is a thread.
///
/// # Errors
/// If this program cannot be started again.
pub(crate) fn start(chain: &Chain, bytes: usize) -> anyhow::Result<Empty> {
    if cfg!(test) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || {
            runtime()?.block_on(async { answer_all(TcpListener::from_std(listener)?, bytes).await })
        });
        return Ok(Empty { _own: None, process: std::process::id(), address });
    }
    let own = std::env::current_exe().context("cannot tell where this program stands")?;
    let arguments = ["child", serve::PART.name, VERB, &bytes.to_string()].map(str::to_owned);
    let mut command = command(&own, arguments);
    let url = chain.file("empty.url");
    command.stdout(Stdio::from(std::fs::File::create(&url)?));
    let process = Process::start(command, &chain.file("empty.stderr"));
    let address = wait::until("the empty server to say where it listens", || {
        let said = std::fs::read_to_string(&url).ok()?;
        said.strip_suffix('\n')?.strip_prefix("http://")?.parse().ok()
    });
    Ok(Empty { process: process.id(), _own: Some(process), address })
}

/// Serves a constant of `bytes` bytes until it is killed, to `GET` at `/v1/check`, and to `POST` at `/access/v1/evaluation`
/// once it has read the whole body; says its URL first.
pub(crate) fn serve(bytes: usize) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on loopback")?;
        println!("http://{}", listener.local_addr()?);
        std::io::stdout().flush()?;
        answer_all(listener, bytes).await
    })
}

/// As the node does.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

async fn answer_all(listener: TcpListener, bytes: usize) -> anyhow::Result<()> {
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
    let after_body = {
        let answer = answer.clone();
        move |body: Bytes| {
            drop(body);
            answer()
        }
    };
    let router = axum::Router::new().route("/v1/check", get(answer)).route("/access/v1/evaluation", post(after_body));
    serve_router(listener, router, Metrics::new(), HttpLimits::default(), std::future::pending()).await;
    Ok(())
}
