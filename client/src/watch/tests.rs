//! The stream against nodes that break off, lie, are busy, or are not there.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use super::*;

const MARK: &str = "0123456789abcdef";

/// A node that answers one connection after another with what was written down for it, and then lets none in.
struct Scripted {
    url: String,
    /// The head of each request.
    heads: Arc<Mutex<Vec<String>>>,
}

/// What a connection is answered with.
enum Reply {
    /// A stream that ends in order.
    Stream(String),
    /// One that breaks off.
    Broken(String),
    /// One that stays open and says no more, until the other side has gone.
    Silent(String),
    /// A problem.
    Problem(u16, &'static str),
}

impl Scripted {
    fn new(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heads = Arc::new(Mutex::new(Vec::new()));
        let noted = heads.clone();
        thread::spawn(move || {
            for reply in replies {
                let (mut socket, _) = listener.accept().unwrap();
                noted.lock().unwrap().push(head_of(&socket));
                answer(&mut socket, reply);
            }
        });
        Self { url, heads }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

fn head_of(socket: &TcpStream) -> String {
    let lines = BufReader::new(socket).lines().map(|line| line.unwrap());
    lines.take_while(|line| !line.is_empty()).map(|line| line + "\n").collect()
}

fn answer(socket: &mut TcpStream, reply: Reply) {
    let chunk = |text: &str| if text.is_empty() { String::new() } else { format!("{:x}\r\n{text}\r\n", text.len()) };
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    match reply {
        Reply::Stream(text) => socket.write_all(format!("{head}{}0\r\n\r\n", chunk(&text)).as_bytes()).unwrap(),
        Reply::Broken(text) => socket.write_all(format!("{head}{}", chunk(&text)).as_bytes()).unwrap(),
        Reply::Silent(text) => {
            socket.write_all(format!("{head}{}", chunk(&text)).as_bytes()).unwrap();
            let _ = io::copy(socket, &mut io::sink());
        }
        Reply::Problem(status, code) => {
            let body = format!(
                r#"{{"type":"about:blank","title":"No","status":{status},"code":"{code}","field":null,"detail":"no"}}"#
            );
            let head = "content-type: application/problem+json\r\nconnection: close";
            let text = format!("HTTP/1.1 {status} No\r\n{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            socket.write_all(text.as_bytes()).unwrap();
        }
    }
}

fn id(leaf: u64, told: u32) -> String {
    format!("{leaf}.{told}.{MARK}")
}

fn position(size: u64) -> String {
    let data = format!(r#"{{"log_size":{size},"height":1,"at":"2026-11-22T10:15:03Z","position":"1.{MARK}"}}"#);
    format!("event: position\nid: {}\ndata: {data}\n\n", id(size, 0))
}

fn entry(leaf: u64) -> String {
    let data = format!(
        r#"{{"sub":"a","obj":"b","act":"*","access":"granted","iss":null,"exp":null,"issuingAuth":"org1","added":"2026-11-22T10:15:03Z","ref":null,"cond":null,"id":"{}","index":{leaf},"height":1,"revoked":null}}"#,
        "5".repeat(64)
    );
    format!("event: entry\nid: {}\ndata: {data}\n\n", id(leaf, 1))
}

/// What is told, in short, until something is told so often.
fn watch(nodes: &[&Scripted], start: Start, events: usize) -> Vec<String> {
    let client = Client::new(nodes.iter().map(|node| &node.url)).unwrap();
    let mut watch = client.watch(Interest::default(), start);
    watch.pause = Duration::from_millis(1);
    watch.silence = Duration::from_millis(300);
    let short = |event: WatchEvent| match event.news {
        News::Entry(entry) => format!("entry {}", entry.index),
        News::Revoked(entry) => format!("revoked {}", entry.index),
        News::Position(position) => format!("position {}", position.log_size),
        News::Lost { reason, .. } => format!("lost: {reason}"),
    };
    let told = watch.by_ref().map(|event| event.map_or_else(|error| format!("error: {error}"), short));
    told.take(events).collect()
}

#[test]
fn it_goes_on_with_the_next_node_behind_what_was_told_last() {
    let one = Scripted::new(vec![
        Reply::Stream(position(3) + &entry(3)),
        // The event that breaks off was not told.
        Reply::Broken(entry(9) + &entry(12)[..40]),
    ]);
    let other = Scripted::new(vec![
        Reply::Stream(entry(5) + ": a comment\n\nevent: pending\nid: 6.0.0123456789abcdef\ndata: {}\n\n" + &entry(7)),
        Reply::Silent(entry(12)),
    ]);
    let told = watch(&[&one, &other], Start::Now, 10);
    let ends = |n: usize| told[n].starts_with("lost: ");
    assert_eq!((&told[..2], ends(2)), (&["position 3".to_owned(), "entry 3".into()][..], true), "{told:?}");
    assert_eq!((&told[3..5], ends(5)), (&["entry 5".to_owned(), "entry 7".into()][..], true), "{told:?}");
    assert_eq!((&told[6], ends(7), &told[8]), (&"entry 9".to_owned(), true, &"entry 12".to_owned()), "{told:?}");
    assert_eq!(told[9], "lost: says nothing any more");
    let behind = |head: &String| head.lines().find_map(|line| line.strip_prefix("last-event-id: ")).map(str::to_owned);
    let asked = |node: &Scripted| node.heads().iter().map(behind).collect::<Vec<_>>();
    assert_eq!(asked(&one), [None, Some(id(7, 1))]);
    assert_eq!(asked(&other), [Some(id(3, 1)), Some(id(9, 1))]);
}

#[test]
fn a_node_that_goes_back_or_makes_no_sense_is_left() {
    let other = "fedcba9876543210";
    for (text, reason) in [
        (entry(4), "goes back: it tells 4.1.0123456789abcdef behind 5.1"),
        (entry(5), "goes back: it tells 5.1.0123456789abcdef behind 5.1"),
        (position(5), "goes back: it tells 5.0.0123456789abcdef behind 5.1"),
        (entry(6).replace("id: 6", "id: 06"), "`06.1.0123456789abcdef` is no id of an event"),
        (entry(6).replace("granted", "maybe"), "tells an event `entry` that makes no sense"),
        (entry(6).replace(MARK, other), "tells another chain"),
    ] {
        let liar = Scripted::new(vec![Reply::Silent(entry(5) + &text)]);
        let honest = Scripted::new(vec![Reply::Silent(entry(6))]);
        let told = watch(&[&liar, &honest], Start::Index(0), 3);
        assert_eq!((told[0].as_str(), told[2].as_str()), ("entry 5", "entry 6"), "{told:?}");
        assert!(told[1].starts_with(&format!("lost: {reason}")), "{told:?}");
    }
}

#[test]
fn what_every_node_would_say_is_the_end_and_a_busy_node_is_not() {
    let busy = Scripted::new(vec![Reply::Problem(429, "overloaded"), Reply::Silent(entry(1))]);
    let failing = Scripted::new(vec![Reply::Problem(500, "internal")]);
    let good = Scripted::new(vec![Reply::Stream(entry(0)), Reply::Problem(400, "wrong_chain")]);
    assert_eq!(watch(&[&busy, &failing, &good], Start::Now, 1), ["entry 0"]);
    let busy = Scripted::new(vec![Reply::Problem(429, "overloaded"), Reply::Silent(entry(1))]);
    let once = Scripted::new(vec![Reply::Stream(entry(0)), Reply::Problem(503, "not_ready")]);
    let told = watch(&[&once, &busy], Start::Now, 3);
    assert_eq!((told[0].as_str(), told[2].as_str()), ("entry 0", "entry 1"), "{told:?}");
    let refusing = Scripted::new(vec![Reply::Problem(400, "bad_request")]);
    assert_eq!(watch(&[&refusing, &once], Start::Now, 3), ["error: no"], "after an error there is nothing");
}

#[test]
fn nodes_that_were_never_reached_are_an_error_and_those_that_were_are_waited_for() {
    let closed = |count: usize| Scripted::new((0..count).map(|n| Reply::Stream(entry(n as u64))).collect());
    let (none, neither) = (closed(0), closed(0));
    // Whoever accepts connections must be gone.
    let gone = |node: &Scripted| while TcpStream::connect(node.url.trim_start_matches("http://")).is_ok() {};
    [&none, &neither].into_iter().for_each(gone);
    let told = watch(&[&none, &neither], Start::Now, 3);
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("error: no node answers: ") && told[0].matches("refuses").count() == 2, "{told:?}");

    // It comes back at the same place.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let node = Scripted { url: format!("http://{address}"), heads: Arc::default() };
    let again = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        head_of(&socket);
        answer(&mut socket, Reply::Stream(entry(0)));
        drop((socket, listener));
        let listener = TcpListener::bind(address).unwrap();
        let (mut socket, _) = listener.accept().unwrap();
        let head = head_of(&socket);
        answer(&mut socket, Reply::Silent(entry(8)));
        head
    });
    let told = watch(&[&node], Start::After(id(0, 0)), 3);
    assert_eq!((told[0].as_str(), told[2].as_str()), ("entry 0", "entry 8"), "{told:?}");
    assert!(again.join().unwrap().contains(&format!("last-event-id: {}", id(0, 1))));
}
