//! Watching: everything once, in one order, wherever a reader goes on; and readers who are slow, gone, or too many.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tower::ServiceExt as _;
use writ_proto::record::{Body as Says, Effect};
use writ_proto::watch::{EventId, Place};

use super::super::access::Peer;
use super::super::watch::WatchLimits;
use super::super::{Api, HttpLimits};
use super::entries::mixed;
use super::openapi;
use super::serve::{Served, small, to_end};
use super::world::{World, access};

/// An event as a reader gets it.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    event: String,
    id: String,
    data: Value,
}

/// A reader of a stream, by the rules of HTML 9.2.6 as far as we make use of them.
struct Reader {
    status: StatusCode,
    headers: HeaderMap,
    body: Body,
    text: String,
    comments: usize,
}

impl Reader {
    async fn open(router: &Router, query: &str, headers: &[(&str, &str)]) -> Self {
        let mut request = Request::builder().uri(format!("/v1/watch{query}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let near = Peer(std::net::Ipv4Addr::LOCALHOST.into());
        let response = router.clone().oneshot(request.extension(near).body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        assert_eq!(parts.status, 200, "{query}");
        Self { status: parts.status, headers: parts.headers, body, text: String::new(), comments: 0 }
    }

    /// The next event.
    async fn next(&mut self) -> Told {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                if block.starts_with(':') {
                    self.comments += 1;
                } else if let Some(told) = told(&block) {
                    return told;
                }
            }
            assert!(self.more().await, "the stream ended");
        }
    }

    /// The next comment, before which there must be no event.
    async fn comment(&mut self) {
        let before = self.comments;
        while self.comments == before {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                assert!(told(block).is_none(), "{block}");
                self.comments += usize::from(block.starts_with(':'));
                self.text = rest.to_owned();
            }
            assert!(self.comments > before || self.more().await, "the stream ended");
        }
    }

    async fn more(&mut self) -> bool {
        let frame = tokio::time::timeout(Duration::from_secs(30), self.body.frame()).await.expect("something comes");
        let Some(frame) = frame else { return false };
        let bytes = frame.unwrap().into_data().unwrap();
        assert!(bytes.len() < 20_000, "a piece of {} bytes", bytes.len());
        self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        true
    }

    /// What happened, up to the first position.
    async fn until_position(&mut self) -> (Vec<Told>, Told) {
        let mut all = Vec::new();
        loop {
            match self.next().await {
                told if told.event == "position" => return (all, told),
                told => all.push(told),
            }
        }
    }
}

fn told(block: &str) -> Option<Told> {
    let (mut event, mut id, mut data) = (None, None, None);
    for line in block.lines().filter(|line| !line.starts_with(':')) {
        let (name, value) = line.split_once(": ").unwrap();
        let place = match name {
            "event" => &mut event,
            "id" => &mut id,
            "data" => &mut data,
            "retry" => continue,
            other => panic!("a field `{other}`"),
        };
        assert_eq!(place.replace(value.to_owned()), None, "`{name}` stands twice");
    }
    let told = Told { data: serde_json::from_str(&data?).unwrap(), event: event.unwrap(), id: id.unwrap() };
    openapi::event_conforms(&told.event, &told.data).unwrap();
    Some(told)
}

async fn all(world: &World, query: &str) -> Vec<Told> {
    let joint = if query.is_empty() { "" } else { "&" };
    Reader::open(&patient(world), &format!("?from_index=0{joint}{query}"), &[]).await.until_position().await.0
}

fn id(world: &World, leaf: u64, told: u32) -> String {
    EventId::new(Place { leaf, told }, &world.chain).to_string()
}

fn place(told: &Told) -> Place {
    told.id.parse::<EventId>().unwrap().place
}

/// The interface with small bounds on watchers.
fn watching(world: &World, watchers_max: usize, beat: Duration) -> Router {
    Api { watch: WatchLimits { watchers_max, beat }, ..world.api() }.into_router()
}

/// The position is told once all is told, and then not for an hour.
fn patient(world: &World) -> Router {
    watching(world, 9, Duration::from_secs(3600))
}

const SOON: Duration = Duration::from_millis(20);

#[tokio::test]
async fn what_happens_is_told_in_order_and_as_it_was_then() {
    let world = World::new();
    let (a, b) = (world.grant("alice", "read", "file:x"), world.grant("café", "read", "file:y"));
    let (end_a, end_b) = (world.revoke(a.id(), Effect::Grant), world.revoke(b.id(), Effect::Grant));
    // Leaves 0 and 1; then 2, with the revocation of what is not there yet, to 4; then 5 and 6.
    world.append(&[&a]);
    world.append(&[&end_b, &end_a]);
    world.append(&[&b]);
    let told = all(&world, "").await;
    let rows = world.get("/v1/entries").await.json()["entries"].clone();
    let fresh = |row: &Value| {
        let mut row = row.clone();
        row["revoked"] = Value::Null;
        row
    };
    let (at_a, at_b) = (rows[0]["revoked"]["by"].clone(), rows[1]["revoked"]["by"].clone());
    assert_eq!((at_a, at_b), (json!(end_a.id()), json!(end_b.id())));
    let leaf = world.get(&format!("/v1/records/{}", end_a.id())).await.json()["index"].as_u64().unwrap();
    let event = |event: &str, leaf, told, data: Value| Told { event: event.into(), id: id(&world, leaf, told), data };
    assert_eq!(
        told,
        [
            event("entry", 0, 1, fresh(&rows[0])),
            event("revoked", leaf, 1, rows[0].clone()),
            event("entry", 5, 1, fresh(&rows[1])),
            event("revoked", 5, 2, rows[1].clone()),
        ]
    );
    assert_eq!(told[2].data["sub"], "café");
}

#[tokio::test]
async fn a_reader_who_does_not_say_hears_of_what_comes_from_now_on() {
    let world = World::new();
    world.append(&[&world.grant("alice", "read", "file:x")]);
    let mut reader = Reader::open(&world.router, "", &[]).await;
    assert_eq!(reader.status, 200);
    let header = |name| reader.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("content-type"), Some("text/event-stream"));
    assert_eq!(header("cache-control"), Some("no-store"));
    assert_eq!(header("x-accel-buffering"), Some("no"));
    assert_eq!(header("content-encoding"), None);
    let position = reader.next().await;
    assert_eq!((position.event.as_str(), position.id.as_str()), ("position", id(&world, 2, 0).as_str()));
    let status = world.get("/v1/status").await.json();
    assert_eq!(
        position.data,
        json!({"log_size": 2, "height": 1, "at": status["time"],
            "position": world.get("/v1/check?sub=a&obj=b").await.json()["position"]})
    );
    let next = world.grant("bob", "read", "file:x");
    world.append(&[&next]);
    let told = reader.next().await;
    assert_eq!((told.event.as_str(), told.id, &told.data["id"]), ("entry", id(&world, 2, 1), &json!(next.id())));
    // When to come again stands in the first event, and nothing is known of the reader before it says so.
    let mut fresh = Reader::open(&world.router, "", &[]).await;
    assert!(
        fresh.more().await && fresh.more().await && fresh.text.starts_with("retry: 1000\nevent: position\n"),
        "{}",
        fresh.text
    );
}

#[tokio::test]
async fn wherever_a_reader_goes_on_the_rest_follows_once() {
    let (world, accepted, _) = mixed();
    let router = patient(&world);
    let whole = all(&world, "").await;
    let entries: Vec<&Value> = whole.iter().filter(|told| told.event == "entry").map(|told| &told.data["id"]).collect();
    assert_eq!(
        entries,
        accepted.iter().map(|record| json!(record.id())).collect::<Vec<_>>().iter().collect::<Vec<_>>()
    );
    assert!(whole.is_sorted_by_key(place) && whole.iter().any(|told| told.event == "revoked"));
    for (at, told) in whole.iter().enumerate() {
        let header = [("last-event-id", told.id.as_str())];
        let (rest, end) = Reader::open(&router, "", &header).await.until_position().await;
        assert_eq!(rest, whole[at + 1..], "after {}", told.id);
        assert_eq!(end.data["log_size"], world.ledger.read().log().size());
        let query = format!("?last_event_id={}", told.id);
        assert_eq!(Reader::open(&router, &query, &[]).await.until_position().await.0, rest);
        let query = format!("?from_index={}", place(told).leaf);
        let rest: Vec<Told> = whole.iter().filter(|other| place(other).leaf >= place(told).leaf).cloned().collect();
        assert_eq!(Reader::open(&router, &query, &[]).await.until_position().await.0, rest);
        // What a reader who comes again says counts for more than the address it comes to.
        let query = format!("?last_event_id={}", whole[0].id);
        let (again, _) = Reader::open(&router, &query, &header).await.until_position().await;
        assert_eq!(again, whole[at + 1..]);
    }
}

#[tokio::test]
async fn a_filter_tells_what_overlaps_it_and_in_the_same_places() {
    let (world, ..) = mixed();
    world.append(&[&world.grant("alice", "member", "role:staff"), &world.deny("user:org/*", "*", "*")]);
    let whole = all(&world, "").await;
    let overlap = |one: &str, other: &str| {
        let (prefix, other_prefix) = (one.strip_suffix('*'), other.strip_suffix('*'));
        one == other
            || prefix.is_some_and(|prefix| other_prefix.unwrap_or(other).starts_with(prefix))
            || other_prefix.is_some_and(|prefix| prefix_of(one).starts_with(prefix))
    };
    let of = |told: &Told, member: &str, side: &str| {
        let text = told.data[member].as_str().unwrap().to_owned();
        if text.contains(':') || text == "*" { text } else { format!("{side}:{text}") }
    };
    for (query, wants) in [
        ("obj=file:acl/x", (&|told: &Told| overlap("file:acl/x", &of(told, "obj", ""))) as &dyn Fn(&Told) -> bool),
        ("obj=file:acl/*", &|told| overlap("file:acl/*", &of(told, "obj", ""))),
        ("obj=thing:z", &|told| overlap("thing:z", &of(told, "obj", ""))),
        ("obj=thing:z&memberships=true", &|told| {
            overlap("thing:z", &of(told, "obj", "")) || told.data["act"] == "member"
        }),
        ("obj=*", &|_| true),
        ("sub=alice", &|told| overlap("user:alice", &of(told, "sub", "user"))),
        ("sub=role:r&act=read&authority=org2", &|told| {
            overlap("role:r", &of(told, "sub", "user"))
                && ["read", "*"].contains(&told.data["act"].as_str().unwrap())
                && told.data["issuingAuth"] == "org2"
        }),
        ("act=write", &|told| told.data["act"] == "*"),
        ("access=denied", &|told| told.data["access"] == "denied"),
        ("authority=org2", &|told| told.data["issuingAuth"] == "org2"),
        ("authority=nobody", &|_| false),
    ] {
        let want: Vec<Told> = whole.iter().filter(|told| wants(told)).cloned().collect();
        let told = all(&world, query).await;
        assert_eq!(told, want, "{query}");
        // Another filter goes on at a place of this one.
        if let Some(half) = told.get(told.len() / 2) {
            let rest: Vec<Told> = whole.iter().filter(|other| place(other) > place(half)).cloned().collect();
            let header = [("last-event-id", half.id.as_str())];
            assert_eq!(Reader::open(&patient(&world), "", &header).await.until_position().await.0, rest, "{query}");
        }
    }
}

fn prefix_of(text: &str) -> &str {
    text.strip_suffix('*').unwrap_or(text)
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_named() {
    let world = World::new();
    let other = World::of("ledger.example/other", crate::mempool::PoolLimits::default());
    let stranger = id(&other, 0, 0);
    let own = id(&world, 0, 0);
    let header = |value: &str| vec![("last-event-id", value.to_owned())];
    for (query, headers, code, field) in [
        ("", header("5"), "bad_request", "Last-Event-ID"),
        ("", header(""), "bad_request", "Last-Event-ID"),
        ("", header("é"), "bad_request", "Last-Event-ID"),
        ("", header(&own.replace("0.0", "00.0")), "bad_request", "Last-Event-ID"),
        ("", header(&stranger), "wrong_chain", "Last-Event-ID"),
        ("", [header(&own), header(&own)].concat(), "bad_request", "Last-Event-ID"),
        ("?last_event_id=5.1", vec![], "bad_request", "last_event_id"),
        ("?last_event_id=5.1", header(&own), "bad_request", "last_event_id"),
        (&format!("?last_event_id={stranger}"), vec![], "wrong_chain", "last_event_id"),
        (&format!("?last_event_id={own}&from_index=0"), vec![], "bad_request", "last_event_id"),
        ("?from_index=-1", vec![], "bad_request", "from_index"),
        ("?from_index=1.0", vec![], "bad_request", "from_index"),
        ("?obj=file:a*", vec![], "bad_request", "obj"),
        ("?sub=", vec![], "bad_request", "sub"),
        ("?act=a%20b", vec![], "bad_request", "act"),
        ("?access=maybe", vec![], "bad_request", "access"),
        ("?authority=a%20b", vec![], "bad_request", "authority"),
        ("?memberships=yes", vec![], "bad_request", "memberships"),
        ("?type=file", vec![], "bad_request", "type"),
        ("?obj=a&obj=a", vec![], "bad_request", "obj"),
    ] {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let reply = world.call(Method::GET, &format!("/v1/watch{query}"), &headers, Vec::new()).await;
        assert_eq!(reply.problem(), (400, code.into(), Some(field.into())), "{query} {headers:?}");
    }
    let reply = world.call(Method::HEAD, "/v1/watch", &[], Vec::new()).await;
    assert_eq!((reply.status, reply.header("content-type")), (StatusCode::OK, Some("text/event-stream")));
}

#[tokio::test]
async fn a_node_that_has_not_got_there_waits_and_tells_nothing_twice() {
    let (world, ahead) = (World::new(), World::new());
    let router = watching(&world, 9, SOON);
    // Another node of the same chain is three blocks ahead.
    let records: Vec<_> = (0..4).map(|n| world.grant(&format!("u{n}"), "read", "file:x")).collect();
    records.iter().for_each(|record| {
        ahead.append(&[record]);
    });
    world.append(&[&records[0]]);
    let whole = all(&ahead, "").await;
    let header = [("last-event-id", whole[2].id.as_str())];
    let mut reader = Reader::open(&router, "", &header).await;
    let mut later = Reader::open(&router, "?from_index=6", &[]).await;
    reader.comment().await;
    later.comment().await;
    for record in &records[1..] {
        world.append(&[record]);
    }
    assert_eq!(reader.next().await, whole[3]);
    assert_eq!(later.next().await, whole[3]);
    let position = reader.next().await;
    assert_eq!((position.event.as_str(), position.id), ("position", id(&world, 8, 0)));
}

#[tokio::test]
async fn the_position_is_told_again_and_again_and_grows_past_what_a_filter_leaves_out() {
    let world = World::new();
    let router = watching(&world, 9, SOON);
    let mut reader = Reader::open(&router, "?obj=thing:z", &[]).await;
    assert_eq!(reader.next().await.id, id(&world, 0, 0));
    let again = reader.next().await;
    assert_eq!((again.event.as_str(), again.id), ("position", id(&world, 0, 0)));
    world.append(&[&world.grant("alice", "read", "file:x")]);
    loop {
        let told = reader.next().await;
        assert_eq!(told.event, "position", "{told:?}");
        if told.id == id(&world, 2, 0) {
            break;
        }
        assert_eq!(told.id, id(&world, 0, 0));
    }
}

#[tokio::test]
async fn there_are_so_many_watchers_and_who_goes_makes_room() {
    let world = World::new();
    let router = watching(&world, 2, SOON);
    let gauge = async || {
        let request = Request::builder().uri("/metrics").extension(Peer(std::net::Ipv4Addr::LOCALHOST.into()));
        let answer = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let text = String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
        text.lines().find_map(|line| line.strip_prefix("writ_watchers ")).unwrap().to_owned()
    };
    let mut first = Reader::open(&router, "", &[]).await;
    let second = Reader::open(&router, "", &[]).await;
    first.next().await;
    assert_eq!(gauge().await, "2");
    let request = Request::builder().uri("/v1/watch").extension(Peer(std::net::Ipv4Addr::LOCALHOST.into()));
    let refused = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(
        (refused.status(), refused.headers()["retry-after"].to_str().unwrap()),
        (StatusCode::TOO_MANY_REQUESTS, "5")
    );
    drop(second);
    assert_eq!(gauge().await, "1");
    Reader::open(&router, "", &[]).await.next().await;
}

#[test]
fn half_of_the_connections_are_left_to_others() {
    for (connections, want) in [(1, 1), (2, 1), (7, 4), (512, 256), (1024, 256), (100_000, 256)] {
        assert_eq!(WatchLimits::within(connections, SOON).watchers_max, want, "of {connections}");
    }
}

/// Opens a watch over a socket and reads so many events.
async fn over_socket(served: &Served, query: &str, events: usize) -> TcpStream {
    let mut socket = served.connect().await;
    socket.write_all(format!("GET /v1/watch{query} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).await.unwrap();
    let mut text = String::new();
    let mut piece = [0; 4096];
    while text.matches("event: ").count() < events {
        let read = tokio::time::timeout(Duration::from_secs(30), socket.read(&mut piece)).await.expect("it goes on");
        let read = read.unwrap();
        assert!(read > 0, "closed after {text}");
        text += &String::from_utf8_lossy(&piece[..read]);
    }
    socket
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_stream_outlives_every_bound_on_other_requests_and_ends_in_order_with_the_node() {
    let mut served = Served::start(small()).await;
    // The position is told each tenth of a second; heads, bodies and idle connections may take less than one.
    let mut socket = over_socket(&served, "", 20).await;
    served.stop();
    let rest = to_end(&mut socket).await;
    assert!(rest.ends_with("0\r\n\r\n"), "{rest}");
    served.ended().await;
}

/// More than sockets hold.
fn long_log(world: &World) {
    for n in 0..14 {
        let records: Vec<_> = (0..300)
            .map(|m| {
                let mut says = access(Effect::Grant, &format!("{}-{n}-{m}", "s".repeat(240)), "read", &"o".repeat(256));
                says.reference = Some("r".repeat(256));
                says.cond = Some(format!("\"{}\" != \"\"", "c".repeat(900)));
                world.sign("org1", Says::Access(says))
            })
            .collect();
        world.append(&records.iter().collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_nothing_is_cut_and_who_reads_slowly_gets_everything() {
    // Long enough for an honest reader on a machine that has other things to do.
    let served = Served::start(HttpLimits { write_timeout: Duration::from_secs(3), ..small() }).await;
    long_log(&served.world);
    let metric = async |line: &str| {
        let answer = served.exchange("GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
        answer.lines().any(|own| own == line)
    };
    let silent = over_socket(&served, "?from_index=0", 1).await;
    let mut waited = 0;
    while !metric(r#"writ_http_connections_cut_total{reason="write"} 1"#).await || !metric("writ_watchers 0").await {
        tokio::time::sleep(Duration::from_millis(50)).await;
        waited += 1;
        assert!(waited < 600, "it is never cut");
    }
    drop(silent);
    let mut socket = served.connect().await;
    socket.write_all(b"GET /v1/watch?from_index=0 HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let (mut text, mut piece) = (String::new(), vec![0; 16 * 1024]);
    // What is read all over again each time makes a reader slower than is meant.
    let ends = |text: &str| text[text.len().saturating_sub(1_000)..].contains("event: position");
    while !ends(&text) {
        // Slower than it is written, and not so slow that it is cut.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let read = socket.read(&mut piece).await.unwrap();
        assert!(read > 0, "closed after {} bytes", text.len());
        text += std::str::from_utf8(&piece[..read]).unwrap();
    }
    assert_eq!(text.matches("event: entry").count(), 4200);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever stands for an id, the answer is a stream or a problem.
    #[test]
    fn no_id_is_too_strange(value in proptest::collection::vec(32_u8..=255, 0..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new();
            let Ok(value) = axum::http::HeaderValue::from_bytes(&value) else { return };
            let near = Peer(std::net::Ipv4Addr::LOCALHOST.into());
            let request = Request::builder().uri("/v1/watch").header("last-event-id", value).extension(near);
            let response = world.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            assert_eq!(response.status(), 400);
        });
    }
}
