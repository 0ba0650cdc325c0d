//! What happens to access entries, as it is committed: a stream that goes on by itself.
//!
//! A node tells what happens as server-sent events ([`sse`]), each with an id that is a place in the log and not in the
//! node. So when a connection ends, for whatever reason, the next node is asked to go on behind the last id, and nothing
//! is missed and nothing told twice. A node that says nothing for [`SILENCE`] is given up: one that lives tells its
//! position every fifteen seconds.
//!
//! ```no_run
//! use writ_client::client::Client;
//! use writ_client::watch::{Interest, News, Start};
//!
//! let client = Client::new(["http://127.0.0.1:7001", "http://127.0.0.1:7002"])?;
//! let interest = Interest { obj: Some("file:acl/*".into()), memberships: true, ..Interest::default() };
//! for event in client.watch(interest, Start::Now) {
//!     match event?.news {
//!         News::Entry(entry) | News::Revoked(entry) => println!("forget what is known of {}", entry.obj),
//!         News::Position(position) => println!("all is told up to height {}", position.height),
//!         News::Lost { node, reason } => println!("{node} {reason}: until the next position we are blind"),
//!     }
//! }
//! # Ok::<(), writ_client::ClientError>(())
//! ```
//!
//! A node is believed here, as in every answer without a proof. That it goes backwards is noticed; that it leaves
//! something out is not.

mod sse;
#[cfg(test)]
mod tests;

use std::io::{self, Read as _};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use writ_proto::api::{Entry, WatchPosition};
use writ_proto::record::Effect;
use writ_proto::watch::{EventId, Place};

use crate::client::Client;
use crate::error::{Attempt, ClientError};
use crate::transport::{Stream, with_query};
use sse::{Message, Parser};

/// After so long a silence a node is taken for dead: three positions did not come.
const SILENCE: Duration = Duration::from_secs(45);

/// The pause before the next node is asked, where the one before was of no use; and the longest one.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Of which entries to hear: those that overlap all that is said here, so that one of them covers the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Entries whose subject overlaps this name or pattern.
    pub sub: Option<String>,
    /// Entries whose object overlaps this name or pattern.
    pub obj: Option<String>,
    /// Entries of this action, or of every action.
    pub act: Option<String>,
    /// Of this effect.
    pub access: Option<Effect>,
    /// Of this authority.
    pub authority: Option<String>,
    /// Also entries that make or deny members of roles, whatever `sub`, `obj` and `act` say.
    pub memberships: bool,
}

/// Where to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// With what comes from now on.
    Now,
    /// At this leaf of the log; 0: at its beginning.
    Index(u64),
    /// Behind the event of this id.
    After(String),
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchEvent {
    /// What.
    #[serde(flatten)]
    pub news: News,
    /// Where to go on behind it ([`Start::After`]); `None`: nothing was told yet.
    pub id: Option<String>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", content = "data", rename_all = "snake_case")]
pub enum News {
    /// An entry came in. It stands as it was then: not revoked.
    Entry(Entry),
    /// The revocation of this entry came to count.
    Revoked(Entry),
    /// All was told up to here.
    Position(WatchPosition),
    /// The connection to a node ended. It goes on by itself; until the next position it is not known what happens.
    Lost {
        /// Which node.
        node: String,
        /// What happened.
        reason: String,
    },
}

/// What happens, without an end. After an error there is nothing more.
///
/// An error is one that every node would give, such as a name that is none; or, before any of them was reached, that none
/// can be.
#[derive(Debug)]
pub struct Watch<'a> {
    client: &'a Client,
    interest: Interest,
    start: Start,
    /// What was told last.
    last: Option<EventId>,
    connection: Option<Connection>,
    /// The node to ask next, modulo their number.
    turn: usize,
    /// Attempts since something was told.
    attempts: Vec<Attempt>,
    failures: u32,
    was_connected: bool,
    is_over: bool,
    pause: Duration,
    silence: Duration,
}

/// An open stream.
#[derive(Debug)]
struct Connection {
    node: String,
    stream: Stream,
    parser: Parser,
    /// Messages that were read and not looked at yet, the next one last.
    messages: Vec<Message>,
}

impl Client {
    /// What happens to the entries of interest, from there on.
    pub fn watch(&self, interest: Interest, start: Start) -> Watch<'_> {
        // What is no id, the node refuses.
        let last = match &start {
            Start::After(id) => id.parse().ok(),
            Start::Now | Start::Index(_) => None,
        };
        Watch {
            client: self,
            interest,
            start,
            last,
            connection: None,
            turn: 0,
            attempts: Vec::new(),
            failures: 0,
            was_connected: false,
            is_over: false,
            pause: PAUSE,
            silence: SILENCE,
        }
    }
}

impl Watch<'_> {
    /// Where to go on behind what was told; `None`: nothing was.
    pub fn last_id(&self) -> Option<String> {
        self.last.as_ref().map(ToString::to_string)
    }

    fn event(&self, news: News) -> WatchEvent {
        WatchEvent { news, id: self.last_id() }
    }

    /// Asks nodes until one of them tells.
    fn connect(&mut self) -> Result<Connection, ClientError> {
        let transport = self.client.transport();
        let nodes = transport.nodes().len();
        loop {
            if self.failures > 0 {
                std::thread::sleep(self.backoff(nodes));
            }
            let at = self.turn % nodes;
            let node = transport.nodes()[at].clone();
            let last = self.last_id();
            let header = last.as_deref().map(|id| ("last-event-id", id));
            let opened = transport.open(at, &self.path(), header, self.silence);
            match opened {
                Ok(Ok(stream)) => {
                    self.was_connected = true;
                    return Ok(Connection { node, stream, parser: Parser::default(), messages: Vec::new() });
                }
                Ok(Err(error)) if !error.is_passing() => return Err(error),
                Ok(Err(error)) => self.failed(node, error.to_string()),
                Err(reason) => self.failed(node, reason),
            }
            // Somebody who was never told anything has perhaps mistyped where the nodes are.
            if !self.was_connected && self.attempts.len() >= nodes {
                return Err(ClientError::Unreachable { attempts: std::mem::take(&mut self.attempts) });
            }
        }
    }

    fn failed(&mut self, node: String, reason: String) {
        self.turn = self.turn.wrapping_add(1);
        self.failures = self.failures.saturating_add(1);
        if !self.was_connected {
            self.attempts.push(Attempt { node, reason });
        }
    }

    /// The pause before the next attempt: short while there are nodes that were not asked yet, then longer and longer.
    fn backoff(&self, nodes: usize) -> Duration {
        let rounds = (self.failures as usize - 1) / nodes;
        let doubled = self.pause.saturating_mul(1 << rounds.min(16));
        doubled.min(PAUSE_MAX)
    }

    fn path(&self) -> String {
        let Interest { sub, obj, act, access, authority, memberships } = &self.interest;
        let (from_index, after) = match &self.start {
            Start::Now => (None, None),
            Start::Index(index) => (Some(index.to_string()), None),
            Start::After(id) => (None, Some(id.clone())),
        };
        with_query(
            "/v1/watch",
            [
                ("sub", sub.clone()),
                ("obj", obj.clone()),
                ("act", act.clone()),
                ("access", access.map(|access| access.as_str().into())),
                ("authority", authority.clone()),
                ("memberships", memberships.then(|| "true".into())),
                ("from_index", from_index),
                ("last_event_id", after),
            ],
        )
    }

    /// What a message says; `None`: nothing to us. The error says what is wrong with it.
    fn read(&mut self, message: &Message) -> Result<Option<News>, String> {
        let id: EventId = match &message.id {
            Some(id) => id.parse().map_err(|error: writ_proto::watch::BadEventId| error.to_string())?,
            None => return Err("tells an event without an id".into()),
        };
        let news = match message.event.as_str() {
            "entry" => Some(News::Entry(data(message)?)),
            "revoked" => Some(News::Revoked(data(message)?)),
            "position" => Some(News::Position(data(message)?)),
            // A newer node may tell of more than we know.
            _ => None,
        };
        if let Some(last) = self.last.as_ref().filter(|last| !last.is_beside(&id)) {
            return Err(format!("tells another chain: {id} behind {last}"));
        }
        let last = self.last.as_ref().map(|last| last.place);
        let goes_on = match news {
            Some(News::Entry(_) | News::Revoked(_)) => last < Some(id.place),
            _ => last <= Some(id.place),
        };
        if !goes_on {
            let Place { leaf, told } = last.unwrap_or_default();
            return Err(format!("goes back: it tells {id} behind {leaf}.{told}"));
        }
        self.last = Some(id);
        self.failures = 0;
        Ok(news)
    }
}

fn data<T: DeserializeOwned>(message: &Message) -> Result<T, String> {
    let Message { event, data, .. } = message;
    serde_json::from_str(data).map_err(|error| format!("tells an event `{event}` that makes no sense: {error}"))
}

impl Connection {
    /// The next message. The error says how the stream ended.
    fn message(&mut self) -> Result<Message, String> {
        loop {
            if let Some(message) = self.messages.pop() {
                return Ok(message);
            }
            let mut piece = [0; 16 * 1024];
            let read = match self.stream.read(&mut piece) {
                Ok(0) => return Err("ended the stream".into()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.to_string()),
            };
            self.messages = self.parser.push(&piece[..read]).map_err(|error| error.to_string())?;
            self.messages.reverse();
        }
    }
}

impl Iterator for Watch<'_> {
    type Item = Result<WatchEvent, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        loop {
            let mut connection = match self.connection.take() {
                Some(connection) => connection,
                None => match self.connect() {
                    Ok(connection) => connection,
                    Err(error) => {
                        self.is_over = true;
                        return Some(Err(error));
                    }
                },
            };
            let read = connection.message().and_then(|message| self.read(&message));
            match read {
                Ok(news) => {
                    self.connection = Some(connection);
                    if let Some(news) = news {
                        return Some(Ok(self.event(news)));
                    }
                }
                Err(reason) => {
                    let node = connection.node;
                    self.failed(node.clone(), reason.clone());
                    return Some(Ok(self.event(News::Lost { node, reason })));
                }
            }
        }
    }
}
