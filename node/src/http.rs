//! The HTTP interface: the router, and how every request is handled.
//!
//! ```text
//!   serve    accepts, bounds connections, times, sizes        (http/serve.rs, http/pace.rs)
//!   router   finds the endpoint by method and path
//!   handle   lets callers in (http/access.rs), reads the query strictly, runs the endpoint, renders its error, counts
//!   endpoint reads ledger and store, or submits               (one file for each family of paths)
//! ```
//!
//! [`ENDPOINTS`] is the one list of what there is; `docs/openapi.json` describes it, and a test holds the
//! two against each other. What an endpoint does not know it refuses, since in a question about access
//! nothing may be ignored.

mod access;
mod authzen;
mod body;
mod chain;
mod changes;
mod check;
mod checkpoint;
mod circumstances;
mod cursor;
mod entries;
mod error;
mod explain;
mod health;
mod history;
mod json;
mod moment;
mod pace;
mod paging;
mod preview;
mod proofs;
mod query;
mod receipt;
mod records;
mod room;
mod search;
mod serve;
mod sets;
#[cfg(test)]
mod tests;
mod watch;
mod words;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, HOST, X_CONTENT_TYPE_OPTIONS};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Response};
use axum::routing::{MethodFilter, on};
use hyper::body::Body as _;
use tokio::sync::Semaphore;
use writ_proto::key::KeyId;
use writ_proto::state::State;

use crate::blocking;
use crate::checkpoints::{Checkpoints, FinalCheckpoint};
use crate::config::PublicUrl;
use crate::ledger::Ledger;
use crate::metrics::Metrics;
use crate::network::Endpoint as NodeEndpoint;
use access::{Peer, Stranger};
use body::{Content, Media};
use error::ApiError;
use query::Query;
use room::{Held, Holding, Room};
use watch::WatchLimits;

pub use access::Access;
pub use serve::{HttpLimits, serve, serve_router};

/// Bytes of request bodies that the node holds at a time, all requests together.
const REQUESTS_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of large answers that the node holds at a time, all connections together.
const ANSWERS_BYTES_MAX: usize = 128 * 1024 * 1024;
/// An answer is large beyond so many bytes.
const LARGE_ANSWER_BYTES: usize = 64 * 1024;
/// How long a request waits for its turn to compute, before it is told to come back.
const TURN_TIME_MAX: Duration = Duration::from_secs(5);
/// Questions that wait for a height at a time; a further one is told at once that it is not reached.
const WAITING_QUESTIONS_MAX: usize = 256;

/// Whose voting key the node has: it is a validator while the log names that.
type Role = Option<KeyId>;
/// Tells how many nodes are connected.
type Peers = Arc<dyn Fn() -> usize + Send + Sync>;

/// The interface of one node, ready to be served. Made by [`router`].
#[derive(Clone)]
pub struct Api {
    ledger: Ledger,
    checkpoints: Option<Checkpoints>,
    metrics: Metrics,
    access: Access,
    role: Role,
    peers: Peers,
    endpoint: Option<NodeEndpoint>,
    public_url: Option<PublicUrl>,
    body_timeout: Duration,
    watch: WatchLimits,
}

/// What every endpoint reads.
#[derive(Clone)]
struct App(Arc<Shared>);

struct Shared {
    ledger: Ledger,
    checkpoints: Option<Checkpoints>,
    metrics: Metrics,
    access: Access,
    role: Role,
    peers: Peers,
    endpoint: Option<NodeEndpoint>,
    public_url: Option<PublicUrl>,
    body_timeout: Duration,
    genesis: Bytes,
    requests: Room,
    answers: Room,
    /// Who computes for long, beside the threads that serve connections.
    turns: Arc<Semaphore>,
    waiting_questions: Semaphore,
    /// Who copies the index.
    previews: Arc<Semaphore>,
    watch: WatchLimits,
    watchers: Arc<Semaphore>,
    /// Which watchers read on.
    watch_turns: Arc<Semaphore>,
}

/// A request on its way through an endpoint.
struct Call {
    query: Query,
    parts: Parts,
    body: Body,
}

type Answer = Result<Response<Body>, ApiError>;
type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// One method of one path.
struct Endpoint {
    method: MethodFilter,
    path: &'static str,
    /// The parameters that may stand in the query.
    parameters: &'static [&'static str],
    run: fn(App, Call) -> Answering,
}

const fn get(path: &'static str, parameters: &'static [&'static str], run: fn(App, Call) -> Answering) -> Endpoint {
    Endpoint { method: MethodFilter::GET, path, parameters, run }
}

const fn post(path: &'static str, parameters: &'static [&'static str], run: fn(App, Call) -> Answering) -> Endpoint {
    Endpoint { method: MethodFilter::POST, path, parameters, run }
}

/// Names a request; its answer has the same.
const REQUEST_ID: &str = "x-request-id";

/// The one path that is open to everybody: whether the process lives.
const OPEN_TO_ALL: &str = "/healthz";

/// Every endpoint. `HEAD` works where `GET` does.
const ENDPOINTS: &[Endpoint] = &[
    post("/v1/records", records::SUBMIT, |app, call| Box::pin(records::submit(app, call))),
    post("/v1/records/batch", records::SUBMIT_MANY, |app, call| Box::pin(records::submit_many(app, call))),
    post("/v1/records/prepare", &[], |app, call| Box::pin(records::prepare(app, call))),
    get("/v1/records/{id}", &[], |app, call| Box::pin(records::show(app, call))),
    get("/v1/entries", entries::PARAMETERS, |app, call| Box::pin(entries::list(app, call))),
    get("/v1/check", check::PARAMETERS, |app, call| Box::pin(check::check(app, call))),
    get("/v1/history", history::PARAMETERS, |app, call| Box::pin(history::history(app, call))),
    get("/v1/diff", changes::DIFF, |app, call| Box::pin(changes::diff(app, call))),
    post("/v1/preview", &[], |app, call| Box::pin(preview::preview(app, call))),
    get("/v1/who-can", search::WHO_CAN, |app, call| Box::pin(search::who_can(app, call))),
    get("/v1/what-can", search::WHAT_CAN, |app, call| Box::pin(search::what_can(app, call))),
    get("/v1/expiring", search::EXPIRING, |app, call| Box::pin(search::expiring(app, call))),
    get("/v1/watch", watch::PARAMETERS, |app, call| Box::pin(watch::watch(app, call))),
    post("/access/v1/evaluation", &[], |app, call| Box::pin(authzen::evaluate(app, call))),
    post("/access/v1/evaluations", &[], |app, call| Box::pin(authzen::evaluate_many(app, call))),
    post("/access/v1/search/subject", &[], |app, call| Box::pin(authzen::search_subjects(app, call))),
    post("/access/v1/search/resource", &[], |app, call| Box::pin(authzen::search_resources(app, call))),
    post("/access/v1/search/action", &[], |app, call| Box::pin(authzen::search_actions(app, call))),
    get("/.well-known/authzen-configuration", &[], |app, call| Box::pin(authzen::metadata(app, call))),
    get("/v1/genesis", &[], |app, call| Box::pin(chain::genesis(app, call))),
    get("/v1/status", &[], |app, call| Box::pin(chain::status(app, call))),
    get("/v1/headers", chain::RUN, |app, call| Box::pin(chain::headers(app, call))),
    get("/v1/blocks", chain::RUN, |app, call| Box::pin(chain::blocks(app, call))),
    get("/v1/blocks/{height}", &[], |app, call| Box::pin(chain::block(app, call))),
    get("/v1/authorities", &[], |app, call| Box::pin(chain::authorities(app, call))),
    get("/v1/validators", &[], |app, call| Box::pin(chain::validators(app, call))),
    get("/v1/parameters", &[], |app, call| Box::pin(chain::parameters(app, call))),
    get("/v1/evidence", &[], |app, call| Box::pin(chain::evidence(app, call))),
    get("/v1/proofs/inclusion", proofs::INCLUSION, |app, call| Box::pin(proofs::inclusion(app, call))),
    get("/v1/proofs/consistency", proofs::CONSISTENCY, |app, call| Box::pin(proofs::consistency(app, call))),
    get("/checkpoint", &[], |app, call| Box::pin(checkpoint::checkpoint(app, call))),
    get("/policy", &[], |app, call| Box::pin(checkpoint::policy(app, call))),
    get("/healthz", &[], |app, call| Box::pin(health::alive(app, call))),
    get("/readyz", &[], |app, call| Box::pin(health::ready(app, call))),
    get("/metrics", &[], |app, call| Box::pin(health::metrics(app, call))),
    get("/openapi.json", &[], |app, call| Box::pin(health::openapi(app, call))),
];

/// The interface over `ledger` for those whom `access` lets in, counted in `metrics`; of a node without key and peers,
/// unless it is told more.
pub fn router(ledger: Ledger, metrics: Metrics, access: Access) -> Api {
    Api {
        ledger,
        checkpoints: None,
        metrics,
        access,
        role: None,
        peers: Arc::new(|| 0),
        endpoint: None,
        public_url: None,
        body_timeout: HttpLimits::default().body_timeout,
        watch: HttpLimits::default().watch(),
    }
}

impl Api {
    /// The id of the node's voting key, and how to tell how many nodes are connected.
    #[must_use]
    pub fn standing_as(self, key: KeyId, peers: impl Fn() -> usize + Send + Sync + 'static) -> Self {
        Self { role: Some(key), peers: Arc::new(peers), ..self }
    }

    /// Where other nodes reach it.
    #[must_use]
    pub fn reached_at(self, endpoint: Option<NodeEndpoint>) -> Self {
        Self { endpoint, ..self }
    }

    /// Where callers reach it, if that is another address than they call it by.
    #[must_use]
    pub fn called_at(self, public_url: Option<PublicUrl>) -> Self {
        Self { public_url, ..self }
    }

    /// Shows these checkpoints too.
    #[must_use]
    pub fn with_checkpoints(self, checkpoints: Checkpoints) -> Self {
        Self { checkpoints: Some(checkpoints), ..self }
    }

    /// What the node counts.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn into_app(self) -> App {
        let Self { ledger, checkpoints, metrics, access, role, peers, endpoint, public_url, body_timeout, watch } =
            self;
        let genesis = serde_json::to_vec(ledger.read().genesis()).map(Bytes::from).unwrap_or_default();
        let turns = std::thread::available_parallelism().map_or(2, usize::from) * 2;
        App(Arc::new(Shared {
            ledger,
            checkpoints,
            metrics,
            access,
            role,
            peers,
            endpoint,
            public_url,
            body_timeout,
            genesis,
            requests: Room::new(REQUESTS_BYTES_MAX),
            answers: Room::new(ANSWERS_BYTES_MAX),
            turns: Arc::new(Semaphore::new(turns)),
            waiting_questions: Semaphore::new(WAITING_QUESTIONS_MAX),
            previews: Arc::new(Semaphore::new(1)),
            watch,
            watchers: Arc::new(Semaphore::new(watch.watchers_max)),
            watch_turns: Arc::new(Semaphore::new(turns)),
        }))
    }

    /// The router of every path. Errors are problems (RFC 9457) everywhere, also where no path is.
    pub fn into_router(self) -> Router {
        routed(self.into_app())
    }
}

/// Leads to every endpoint, and says of all else that it is not there.
fn routed(app: App) -> Router {
    let mut router = Router::new();
    for endpoint in ENDPOINTS {
        let app = app.clone();
        let run = move |request| handle(app.clone(), endpoint, request);
        router = router.route(endpoint.path, on(endpoint.method, run));
    }
    let (lost, mistaken) = (app.clone(), app);
    router
        .fallback(move |request: Request| refuse(lost.clone(), request, ApiError::not_found("nothing is at this path")))
        // The router itself adds `Allow`.
        .method_not_allowed_fallback(move |request: Request| {
            refuse(mistaken.clone(), request, ApiError::method_not_allowed())
        })
}

/// Handles a request that found its endpoint.
async fn handle(app: App, endpoint: &'static Endpoint, request: Request) -> Response<Body> {
    let began = Instant::now();
    let (method, id) = (method_label(request.method()), request.headers().get(REQUEST_ID).cloned());
    let answer = run(&app, endpoint, request).await;
    let mut response = answer.unwrap_or_else(|error| fault(endpoint.path, error));
    finish(&mut response, id);
    app.0.metrics.request(method, endpoint.path, response.status().as_u16(), began.elapsed());
    response
}

async fn run(app: &App, endpoint: &'static Endpoint, request: Request) -> Answer {
    if endpoint.path != OPEN_TO_ALL {
        app.let_in(&request)?;
    }
    one_host(&request)?;
    let (parts, body) = request.into_parts();
    let query = Query::parse(parts.uri.query(), endpoint.parameters)?;
    let response = (endpoint.run)(app.clone(), Call { query, parts, body }).await?;
    // What a submission gave is told in any case.
    let is_submission = endpoint.path.starts_with("/v1/records") && endpoint.method == MethodFilter::POST;
    let exact = response.body().size_hint().exact().and_then(|exact| usize::try_from(exact).ok());
    match exact {
        Some(bytes) if bytes > LARGE_ANSWER_BYTES && !is_submission => {
            let mut held = Held::default();
            app.0.answers.take(&mut held, bytes)?;
            Ok(response.map(|body| Body::new(Holding::new(body, held))))
        }
        _ => Ok(response),
    }
}

/// Who names two hosts means one thing to this node and perhaps another to whatever stands before it (RFC 9112, section
/// 3.2).
fn one_host(request: &Request) -> Result<(), ApiError> {
    match request.headers().get_all(HOST).iter().count() {
        0 | 1 => Ok(()),
        count => Err(ApiError::bad("host", format!("{count} headers `Host`, expected one"))),
    }
}

/// Answers a request that found no endpoint.
async fn refuse(app: App, request: Request, error: ApiError) -> Response<Body> {
    // A stranger does not learn which paths there are.
    let error = app.let_in(&request).err().unwrap_or(error);
    let mut response = fault(request.uri().path(), error);
    finish(&mut response, request.headers().get(REQUEST_ID).cloned());
    app.0.metrics.request(method_label(request.method()), "none", response.status().as_u16(), Duration::ZERO);
    response
}

/// An error in the words of whoever calls that path.
fn fault(path: &str, error: ApiError) -> Response<Body> {
    if authzen::speaks_at(path) { authzen::fault(error) } else { error.into_response() }
}

/// The headers of every answer: the identifier of its request, nothing is cached unless its endpoint says so, and
/// nobody guesses types.
fn finish(response: &mut Response<Body>, id: Option<HeaderValue>) {
    let headers = response.headers_mut();
    if let Some(id) = id {
        headers.insert(REQUEST_ID, id);
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        _ => "other",
    }
}

impl App {
    fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }

    /// `validator` while the log names the node's voting key, else `full`.
    fn role(&self, state: &State) -> &'static str {
        if self.0.role.is_some_and(|key| state.voters().contains(&key)) { "validator" } else { "full" }
    }

    /// The final checkpoint, if there is one yet.
    fn final_checkpoint(&self) -> Option<FinalCheckpoint> {
        self.0.checkpoints.as_ref()?.final_note()
    }

    /// Whether the caller may call at all.
    fn let_in(&self, request: &Request) -> Result<(), ApiError> {
        let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
        self.0.access.check(peer, request.headers()).map_err(|stranger: Stranger| {
            self.0.metrics.stranger(stranger.as_str());
            ApiError::unauthenticated(stranger)
        })
    }

    /// Runs something that reads much or computes for long, off the threads that serve connections. Only a
    /// few do so at a time: the turn lasts as long as the work, also when its caller has gone.
    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Ledger) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let turn = tokio::time::timeout(TURN_TIME_MAX, self.0.turns.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(ApiError::overloaded("the node has too many long requests to handle", 1));
        };
        let ledger = self.0.ledger.clone();
        let work = move || {
            let _turn = turn;
            work(&ledger)
        };
        blocking::run(work).await
    }
}

impl Call {
    /// The last segment of the path, as it was sent.
    fn segment(&self) -> &str {
        self.parts.uri.path().rsplit('/').next().unwrap_or_default()
    }

    /// The body, of one of the media types `expected`, at most `bytes_max` bytes of it.
    async fn content(&mut self, app: &App, expected: &[Media], bytes_max: usize) -> Result<(Media, Content), ApiError> {
        let media = Media::of(&self.parts.headers, expected)?;
        let body = std::mem::take(&mut self.body);
        let time_max = app.0.body_timeout;
        Ok((media, body::read(&self.parts.headers, body, bytes_max, time_max, &app.0.requests).await?))
    }
}
