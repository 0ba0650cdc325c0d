//! The accept loop against callers who are slow, greedy, or gone.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use writ_proto::api::to_base64;

use super::super::{HttpLimits, serve};
use super::world::{World, access};

/// Small bounds, so that the tests take a moment.
pub(super) fn small() -> HttpLimits {
    HttpLimits {
        connections_max: 100,
        header_timeout: Duration::from_millis(300),
        body_timeout: Duration::from_millis(300),
        idle_timeout: Duration::from_millis(900),
        write_timeout: Duration::from_millis(300),
        watch_beat: Duration::from_millis(100),
        drain_timeout: Duration::from_millis(600),
    }
}

pub(super) struct Served {
    pub(super) world: World,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Served {
    pub(super) async fn start(limits: HttpLimits) -> Self {
        let world = World::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            let _ = stopped.await;
        };
        let task = tokio::spawn(serve(listener, world.api(), limits, shutdown));
        Self { world, address, stop: Some(stop), task }
    }

    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends `text` on a connection of its own and gives all that comes back until it is closed.
    pub(super) async fn exchange(&self, text: impl AsRef<[u8]>) -> String {
        let mut socket = self.connect().await;
        let _ = socket.write_all(text.as_ref()).await;
        to_end(&mut socket).await
    }

    /// So many connections, each with a submission that waits for a block; `headers` are of all of them.
    async fn submitting(&self, count: usize, headers: &str) -> Vec<TcpStream> {
        let mut sockets = Vec::new();
        for n in 0..count {
            let record = self.world.grant(&format!("user{n}"), "read", "file:x");
            let body = format!("{{\"record\":\"{}\"}}", to_base64(record.bytes()));
            let mut socket = self.connect().await;
            let head = format!(
                "POST /v1/records?wait_ms=5000 HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{headers}\r\n",
                body.len()
            );
            socket.write_all((head + &body).as_bytes()).await.unwrap();
            sockets.push(socket);
        }
        while self.world.mark().2 < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        sockets
    }

    /// A whole honest request, timed.
    async fn honest(&self) -> Duration {
        let began = Instant::now();
        let answer = self.exchange("GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        began.elapsed()
    }

    pub(super) fn stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    /// Waits until nobody is served any more.
    pub(super) async fn ended(self) {
        self.task.await.unwrap();
    }
}

pub(super) async fn to_end(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // An abrupt end is an end too.
    let _ = tokio::time::timeout(Duration::from_secs(20), socket.read_to_end(&mut bytes)).await.expect("it ends");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads one answer with a content length, and leaves the connection open.
async fn one_answer(socket: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut chunk = [0; 4096];
    loop {
        let read = socket.read(&mut chunk).await.unwrap();
        assert!(read > 0, "closed after {text}");
        text += &String::from_utf8_lossy(&chunk[..read]);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
        if body.len() >= length.parse::<usize>().unwrap() {
            return text;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_callers_who_never_finish_their_heads_are_closed() {
    let served = Served::start(small()).await;
    let mut slow = Vec::new();
    for n in 0..50 {
        let mut socket = served.connect().await;
        // Some say nothing, some start, some add a byte now and then.
        if n % 3 > 0 {
            socket.write_all(b"GET /healthz HTTP/1.1\r\nx: ").await.unwrap();
        }
        slow.push(tokio::spawn(async move {
            let began = Instant::now();
            if n % 3 == 2 {
                while socket.write_all(b"a").await.is_ok() && began.elapsed() < Duration::from_secs(10) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            assert_eq!(to_end(&mut socket).await, "");
            began.elapsed()
        }));
    }
    assert!(served.honest().await < Duration::from_millis(250));
    for slow in slow {
        let took = slow.await.unwrap();
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_who_never_finish_their_bodies_are_told_and_closed() {
    let served = Served::start(small()).await;
    let began = Instant::now();
    let head = "POST /v1/records HTTP/1.1\r\nhost: a\r\ncontent-type: application/octet-stream\r\n";
    let slow = async |length: &str| {
        let mut socket = served.connect().await;
        socket.write_all(format!("{head}{length}\r\n").as_bytes()).await.unwrap();
        let (mut read, mut write) = socket.into_split();
        let drip = tokio::spawn(async move {
            while write.write_all(b"1\r\nx\r\n").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        });
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(5), read.read_to_end(&mut answer)).await.expect("it ends");
        drip.abort();
        String::from_utf8_lossy(&answer).into_owned()
    };
    for length in ["content-length: 5000\r\n", "transfer-encoding: chunked\r\n"] {
        let answer = slow(length).await;
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("\"code\":\"timeout\""), "{answer}");
    }
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_who_do_not_read_are_closed() {
    let served = Served::start(small()).await;
    for n in 0..4 {
        let records: Vec<_> = (0..500)
            .map(|m| {
                let mut says = access(
                    writ_proto::record::Effect::Deny,
                    &format!("{}-{n}-{m}", "s".repeat(240)),
                    "read",
                    &"o".repeat(256),
                );
                says.reference = Some("r".repeat(256));
                served.world.sign("org1", writ_proto::record::Body::Access(says))
            })
            .collect();
        served.world.append(&records.iter().collect::<Vec<_>>());
    }
    let mut socket = served.connect().await;
    // Two megabytes each, asked for again and again, and never read.
    for _ in 0..30 {
        socket.write_all(b"GET /v1/blocks HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    }
    let began = Instant::now();
    // The connection goes although nothing was read: the counter of open ones says so.
    loop {
        let metrics = served.exchange("GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
        if metrics.contains("writ_http_connections_cut_total{reason=\"write\"} 1") {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{metrics}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Who reads gets everything.
    let answer = served.exchange("GET /v1/blocks?limit=1000 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(answer.len() > 1_900_000, "{}", answer.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_may_be_silent_between_requests_for_longer_than_within_one() {
    let served = Served::start(small()).await;
    let mut socket = served.connect().await;
    for _ in 0..3 {
        socket.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        assert!(one_answer(&mut socket).await.starts_with("HTTP/1.1 200 "));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(to_end(&mut socket).await, "");

    // A head that begins on a connection that was idle has the short bound again.
    let mut socket = served.connect().await;
    socket.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    one_answer(&mut socket).await;
    socket.write_all(b"GET /he").await.unwrap();
    assert_eq!(to_end(&mut socket).await, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_make_room_for_new_ones() {
    let served = Served::start(HttpLimits {
        connections_max: 8,
        idle_timeout: Duration::from_secs(60),
        header_timeout: Duration::from_secs(60),
        ..small()
    })
    .await;
    let mut idle = Vec::new();
    for _ in 0..30 {
        let mut socket = served.connect().await;
        socket.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        assert!(one_answer(&mut socket).await.starts_with("HTTP/1.1 200 "));
        idle.push(socket);
        assert!(served.honest().await < Duration::from_millis(500));
    }
    // The oldest went, the youngest stay.
    assert_eq!(to_end(&mut idle[0]).await, "");
    let last = idle.last_mut().unwrap();
    last.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert!(one_answer(last).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_being_served_are_never_evicted() {
    let served = Served::start(HttpLimits { connections_max: 4, ..small() }).await;
    let waiting = served.submitting(4, "connection: close\r\n").await;
    // No slot is free, and none is taken away; the newcomer waits for one.
    let honest = served.honest();
    tokio::pin!(honest);
    tokio::select! {
        _ = &mut honest => panic!("a fifth connection was served"),
        () = tokio::time::sleep(Duration::from_millis(200)) => {}
    }
    served.world.commit();
    for mut socket in waiting {
        let answer = to_end(&mut socket).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"status\":\"committed\""), "{answer}");
    }
    honest.await;
}

/// They keep their connections, and wait for nothing more: the newcomer gets the slot of one of them, long before any of
/// them has been silent for too long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_was_served_makes_room_for_who_waits_already() {
    let hour = Duration::from_secs(3_600);
    let served = Served::start(HttpLimits { connections_max: 2, idle_timeout: hour, ..small() }).await;
    let _waiting = served.submitting(2, "").await;
    let honest = served.honest();
    tokio::pin!(honest);
    tokio::select! {
        _ = &mut honest => panic!("a third connection was served"),
        () = tokio::time::sleep(Duration::from_millis(200)) => {}
    }
    served.world.commit();
    tokio::time::timeout(Duration::from_secs(120), honest).await.expect("a slot is given up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_are_bounded_in_size_and_number() {
    let served = Served::start(small()).await;
    let long_line = format!("GET /healthz?{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(20_000));
    let long_field = format!("GET /healthz HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "a".repeat(20_000));
    let many = format!("GET /healthz HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: y\r\n".repeat(70));
    for head in [long_line, long_field, many] {
        let answer = served.exchange(&head).await;
        assert!(answer.starts_with("HTTP/1.1 431 ") || answer.starts_with("HTTP/1.1 414 "), "{answer}");
    }
    for garbage in [
        "\r\n\r\nnonsense\r\n\r\n",
        "GET\r\n\r\n",
        "GET /healthz HTTP/3.0\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03",
    ] {
        let answer = served.exchange(garbage).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{garbage:?}: {answer}");
    }
    // Two lengths that disagree would let two readers see two requests.
    let answer = served
        .exchange("POST /v1/records HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd")
        .await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    served.honest().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_too_large_is_refused_and_its_sender_gets_to_read_why() {
    let served = Served::start(HttpLimits { body_timeout: Duration::from_secs(5), ..small() }).await;
    let head = "POST /v1/records HTTP/1.1\r\nhost: a\r\ncontent-type: application/octet-stream\r\n";
    let body = vec![b'x'; 2_000_000];
    let sized = [format!("{head}content-length: {}\r\n\r\n", body.len()).as_bytes(), &body].concat();
    let chunked =
        [format!("{head}transfer-encoding: chunked\r\n\r\n{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"]
            .concat();
    for request in [sized, chunked] {
        let answer = served.exchange(&request).await;
        assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("\"code\":\"too_large\""), "{answer}");
    }
    // Whoever asks first is told before he sends.
    let answer = served.exchange(format!("{head}expect: 100-continue\r\ncontent-length: {}\r\n\r\n", body.len())).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert_eq!(served.world.mark(), (0, 0, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_end_open_requests_are_answered_and_nobody_is_waited_for_too_long() {
    let mut served = Served::start(small()).await;
    let mut idle = served.connect().await;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    one_answer(&mut idle).await;
    let record = served.world.grant("alice", "read", "file:x");
    let ask = |wait_ms: u64| {
        let length = record.bytes().len();
        let head = format!(
            "POST /v1/records?wait_ms={wait_ms} HTTP/1.1\r\nhost: a\r\ncontent-type: application/octet-stream\r\ncontent-length: {length}\r\n\r\n"
        );
        [head.as_bytes(), record.bytes()].concat()
    };
    let (mut short, mut long) = (served.connect().await, served.connect().await);
    short.write_all(&ask(250)).await.unwrap();
    long.write_all(&ask(30_000)).await.unwrap();
    while served.world.mark().2 < 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let began = Instant::now();
    served.stop();
    assert_eq!(to_end(&mut idle).await, "");
    assert!(began.elapsed() < Duration::from_millis(200), "an idle connection ends at once");
    let answer = to_end(&mut short).await;
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    assert_eq!(to_end(&mut long).await, "", "beyond the bound it is cut");
    served.task.await.unwrap();
    assert!((500..2_000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    assert!(TcpStream::connect(served.address).await.is_err(), "nobody listens any more");
}
