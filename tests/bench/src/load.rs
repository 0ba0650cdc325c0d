//! A generator of HTTP load: closed loop for the most that a server can do, open loop for how long callers wait.
//!
//! ```text
//!   closed   each connection: write, read, write, read ...     as fast as the server answers
//!   open     each connection: write at t0, t0 + step ...       whether the answers come or not
//! ```
//!
//! In the open loop the time of an answer counts from the instant at which its request was *due*. So a server
//! that stands still for a second is charged with that second by every request that fell into it, and not by
//! the few that happened to be under way (coordinated omission).
//!
//! The generator shares its machine with the server, so it is cheap: requests are bytes made beforehand, and
//! nothing stands between it and its sockets. In the closed loop a few threads go round all connections, and
//! rarely have to wait; in the open loop each connection has a thread, which mostly sleeps.

mod answer;
pub(crate) mod postgres;

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};

use crate::histogram::Histogram;
use answer::Answers;
pub(crate) use answer::Protocol;

/// How long an answer may take before the server is taken for dead.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is sent: requests, ready to be written.
pub(crate) struct Script {
    protocol: Protocol,
    /// What a new connection sends first, each answered before the next.
    opening: Vec<Vec<u8>>,
    requests: Vec<Vec<u8>>,
}

/// How hard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Connections at a time, each with one request at a time.
    pub(crate) connections: usize,
    /// How long nothing is counted, at first.
    pub(crate) warm_up: Duration,
    /// How long is counted.
    pub(crate) time: Duration,
    /// Open loop: requests per second of all connections together. None: closed loop.
    pub(crate) rate: Option<f64>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Answers that counted: in the closed loop what was read in the time, in the open loop what was due in it.
    pub(crate) answers: u64,
    /// Bytes of these answers, heads included.
    pub(crate) bytes: u64,
    /// Open loop: from due to read.
    pub(crate) waits: Histogram,
    /// Open loop: how late the generator itself woke up, where the connection was free when a request was due.
    pub(crate) lateness: Histogram,
}

impl Script {
    /// `GET` of each of these paths.
    pub(crate) fn get(host: &str, paths: impl IntoIterator<Item = String>) -> Self {
        let request = |path: String| format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n").into_bytes();
        Self::new(Protocol::Http, Vec::new(), paths.into_iter().map(request))
    }

    /// `POST` of each of these bodies (JSON) to `path`.
    pub(crate) fn post(host: &str, path: &str, bodies: impl IntoIterator<Item = String>) -> Self {
        let head = format!("POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n");
        let request = |body: String| format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes();
        Self::new(Protocol::Http, Vec::new(), bodies.into_iter().map(request))
    }

    /// Requests of any protocol, after what opens a connection.
    pub(crate) fn new(protocol: Protocol, opening: Vec<Vec<u8>>, requests: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self { protocol, opening, requests: requests.into_iter().collect() }
    }

    /// How many requests there are.
    pub(crate) fn len(&self) -> usize {
        self.requests.len()
    }
}

/// Threads of the closed loop.
const CLOSED_THREADS: usize = 2;

/// Sends `script`, over and over, as `plan` says. Each connection begins at another place of it.
///
/// # Errors
/// If a connection fails, or an answer is not `200`.
pub(crate) fn run(address: SocketAddr, script: &Script, plan: &Plan) -> anyhow::Result<Outcome> {
    ensure!(script.len() > 0 && plan.connections > 0, "nothing to send");
    let open = |number| Connection::open(address, script, number * script.len() / plan.connections);
    let connections: Vec<Connection> = (0..plan.connections).map(open).collect::<anyhow::Result<_>>()?;
    let start = Instant::now();
    thread::scope(|scope| {
        let mut threads = Vec::new();
        match plan.rate {
            Some(rate) => {
                let step = Duration::from_secs_f64(plan.connections as f64 / rate);
                for (number, connection) in connections.into_iter().enumerate() {
                    // Connections take turns, so that all of them together send evenly.
                    let first = start + step.mul_f64(number as f64 / plan.connections as f64);
                    threads.push(scope.spawn(move || connection.open_loop(script, plan, start, first, step)));
                }
            }
            None => {
                let share = plan.connections.div_ceil(CLOSED_THREADS);
                let mut connections = connections.into_iter();
                while connections.len() > 0 {
                    let own = connections.by_ref().take(share).collect();
                    threads.push(scope.spawn(move || closed_loop(own, script, plan, start)));
                }
            }
        }
        let mut all = Outcome::default();
        for thread in threads {
            let one: Outcome = thread.join().map_err(|_| anyhow!("a thread of the generator panicked"))??;
            all.answers += one.answers;
            all.bytes += one.bytes;
            all.waits.add(&one.waits);
            all.lateness.add(&one.lateness);
        }
        Ok(all)
    })
}

/// What the first `count` requests of `script` are answered with: the contents, without heads. Sent one after another.
///
/// # Errors
/// As [`run`].
pub(crate) fn answers(address: SocketAddr, script: &Script, count: usize) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut connection = Connection::open(address, script, 0)?;
    let mut answers = Vec::with_capacity(count.min(script.len()));
    for _ in 0..count.min(script.len()) {
        connection.write(script)?;
        let length = connection.answers.read(&mut connection.socket)?;
        answers.push(connection.answers.content(length)?.to_vec());
    }
    Ok(answers)
}

/// Goes round some connections: reads the answer of each, and writes its next request at once. While it waits
/// for one answer the others come in, so that it seldom has to sleep.
fn closed_loop(
    mut connections: Vec<Connection>,
    script: &Script,
    plan: &Plan,
    start: Instant,
) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::default();
    let from = start + plan.warm_up;
    let end = from + plan.time;
    for connection in &mut connections {
        connection.write(script)?;
    }
    loop {
        for connection in &mut connections {
            let bytes = connection.read()?;
            let now = Instant::now();
            if now >= end {
                return Ok(outcome);
            }
            connection.write(script)?;
            if now >= from {
                outcome.answers += 1;
                outcome.bytes += bytes;
            }
        }
    }
}

/// One connection of the generator.
struct Connection {
    socket: TcpStream,
    answers: Answers,
    /// The next request in the script.
    next: usize,
}

impl Connection {
    fn open(address: SocketAddr, script: &Script, next: usize) -> anyhow::Result<Self> {
        let mut socket = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut answers = Answers::new(script.protocol);
        for message in &script.opening {
            socket.write_all(message).context("a connection cannot be opened")?;
            answers.read(&mut socket)?;
        }
        Ok(Self { socket, answers, next })
    }

    fn write(&mut self, script: &Script) -> anyhow::Result<()> {
        self.socket.write_all(&script.requests[self.next]).context("a request cannot be sent")?;
        self.next = (self.next + 1) % script.len();
        Ok(())
    }

    fn read(&mut self) -> anyhow::Result<u64> {
        Ok(self.answers.read(&mut self.socket)? as u64)
    }

    fn open_loop(
        mut self,
        script: &Script,
        plan: &Plan,
        start: Instant,
        first: Instant,
        step: Duration,
    ) -> anyhow::Result<Outcome> {
        let mut outcome = Outcome::default();
        let from = start + plan.warm_up;
        let end = from + plan.time;
        let mut due = first;
        while due < end {
            let early = due.saturating_duration_since(Instant::now());
            if !early.is_zero() {
                thread::sleep(early);
            }
            let woke = Instant::now();
            self.write(script)?;
            let bytes = self.read()?;
            if due >= from {
                outcome.answers += 1;
                outcome.bytes += bytes;
                outcome.waits.record(due.elapsed());
                if !early.is_zero() {
                    outcome.lateness.record(woke - due);
                }
            }
            due += step;
        }
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpListener;

    use super::*;

    /// A server that answers every request, and before request `stall` (from 0) of a connection sleeps for so long.
    fn server(stall: usize, sleep: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for socket in listener.incoming() {
                let mut socket = socket.unwrap();
                thread::spawn(move || {
                    let mut request = [0; 1024];
                    for number in 0.. {
                        if socket.read(&mut request).unwrap_or(0) == 0 {
                            return;
                        }
                        if number == stall {
                            thread::sleep(sleep);
                        }
                        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
                    }
                });
            }
        });
        address
    }

    fn plan(rate: Option<f64>) -> Plan {
        Plan { connections: 2, warm_up: Duration::ZERO, time: Duration::from_millis(600), rate }
    }

    #[test]
    fn a_stall_is_charged_to_every_request_that_fell_into_it() {
        let address = server(10, Duration::from_millis(200));
        let script = Script::get("a", ["/".to_owned()]);
        // 50 requests a second on each connection: 10 are due while it stands still.
        let outcome = run(address, &script, &plan(Some(100.0))).unwrap();
        assert_eq!(outcome.answers, 60, "every request that was due was sent and answered");
        let slow = outcome.waits.count_above(Duration::from_millis(15));
        assert!(slow >= 18, "{slow} of 60 requests waited, expected about 20");
    }

    #[test]
    fn a_closed_loop_sends_when_the_answer_is_there() {
        let address = server(3, Duration::from_millis(100));
        let script = Script::get("a", ["/a".to_owned(), "/b".to_owned()]);
        let outcome = run(address, &script, &plan(None)).unwrap();
        assert!(outcome.answers > 10, "{outcome:?}");
        assert_eq!(outcome.bytes, outcome.answers * 40);
    }

    #[test]
    fn a_server_that_is_not_there_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert!(run(address, &Script::get("a", ["/".to_owned()]), &plan(None)).is_err());
    }
}
