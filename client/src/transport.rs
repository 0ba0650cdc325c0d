//! One call to a node, and to the next one if that fails.
//!
//! Every call of the interface may be repeated: what is asked has no effect, and what is submitted is known
//! by its id. So a node that does not answer, or not now, costs no more than the call to the next. The
//! node that answered last is asked first.
//!
//! | what happens | |
//! |---|---|
//! | no connection, no whole answer in time, 5xx | the next node is asked |
//! | 409 `not_yet`, 429 `overloaded` | the next node is asked: it may be further, or have less to do |
//! | any other 4xx | the answer: it is about what was asked, and every node would say it |
//! | 3xx | not followed: nobody but the nodes that were named is asked, or gets to see a token |

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use writ_proto::api::Problem;

use crate::error::{Attempt, ClientError};
use crate::token::{Token, Tokens};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(3);

/// How long an answer may take, waiting that was asked for not counted, unless the caller says otherwise.
pub(crate) const ANSWER: Duration = Duration::from_secs(20);

/// Bytes of the largest answer that is read: a page of blocks is the largest, and a node sends 8 MiB of them.
const ANSWER_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// What is asked.
pub(crate) struct Call<'a> {
    /// The path and query, from the first slash on.
    pub(crate) path: String,
    /// What is sent, with its media type; nothing makes it a GET.
    pub(crate) body: Option<(&'a [u8], &'static str)>,
    /// The media type that is expected.
    pub(crate) accept: &'static str,
    /// For how long the node was asked to wait.
    pub(crate) wait: Duration,
}

/// What a node answered.
pub(crate) struct Answer {
    pub(crate) node: String,
    pub(crate) body: Vec<u8>,
}

/// An answer that goes on.
pub(crate) struct Stream(ureq::BodyReader<'static>);

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stream")
    }
}

impl io::Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf).map_err(|error| match ureq::Error::from(error) {
            ureq::Error::Timeout(_) => io::Error::new(io::ErrorKind::TimedOut, "says nothing any more"),
            error => io::Error::other(words_of(&error)),
        })
    }
}

type Response = ureq::http::Response<ureq::Body>;

/// The nodes, and the way to them.
#[derive(Debug)]
pub(crate) struct Transport {
    nodes: Vec<String>,
    /// The token of each node.
    tokens: Vec<Option<Token>>,
    agent: ureq::Agent,
    answer_within: Duration,
    first: AtomicUsize,
}

impl<'a> Call<'a> {
    /// A GET of JSON.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self { path: path.into(), body: None, accept: "application/json", wait: Duration::ZERO }
    }

    /// A POST that is answered with JSON.
    pub(crate) fn post(path: impl Into<String>, body: &'a [u8], media: &'static str) -> Self {
        Self { body: Some((body, media)), ..Self::get(path) }
    }
}

impl Transport {
    /// The way to `nodes`, of which there must be at least one.
    pub(crate) fn new(
        nodes: impl IntoIterator<Item = impl AsRef<str>>,
        tokens: &Tokens,
        answer_within: Duration,
    ) -> Result<Self, ClientError> {
        let nodes = nodes.into_iter().map(|node| base_url(node.as_ref())).collect::<Result<Vec<_>, _>>()?;
        if nodes.is_empty() {
            return Err(ClientError::NoNode);
        }
        let tokens = nodes.iter().map(|node| tokens.of(node).cloned()).collect();
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT))
            // The nodes that were named are asked, and nobody in between.
            .proxy(None)
            .user_agent(concat!("writ/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { nodes, tokens, agent: config.into(), answer_within, first: AtomicUsize::new(0) })
    }

    /// The way to each node alone.
    pub(crate) fn apart(&self) -> impl Iterator<Item = Self> {
        self.nodes.iter().zip(&self.tokens).map(|(node, token)| Self {
            nodes: vec![node.clone()],
            tokens: vec![token.clone()],
            agent: self.agent.clone(),
            answer_within: self.answer_within,
            first: AtomicUsize::new(0),
        })
    }

    /// The nodes, as they are called.
    pub(crate) fn nodes(&self) -> &[String] {
        &self.nodes
    }

    /// Asks one node after the other, until one answers.
    pub(crate) fn call(&self, call: &Call<'_>) -> Result<Answer, ClientError> {
        self.call_until(call, |_| Ok(true))
    }

    /// Asks one node after the other, until one gives an answer that is good enough; if none does, the first answer
    /// of all has to do.
    pub(crate) fn call_until(
        &self,
        call: &Call<'_>,
        mut is_enough: impl FnMut(&Answer) -> Result<bool, ClientError>,
    ) -> Result<Answer, ClientError> {
        let first = self.first.load(Ordering::Relaxed);
        let mut attempts = Vec::new();
        let (mut fallback, mut refusal) = (None, None);
        for step in 0..self.nodes.len() {
            let at = (first + step) % self.nodes.len();
            match self.call_node(at, call, true) {
                Ok(Ok(body)) => {
                    let answer = Answer { node: self.nodes[at].clone(), body };
                    if is_enough(&answer)? {
                        self.first.store(at, Ordering::Relaxed);
                        return Ok(answer);
                    }
                    fallback.get_or_insert(answer);
                }
                Ok(Err(error)) => {
                    // A node that is behind or busy may have a neighbour that is not.
                    let elsewhere = error.is_passing() || error.code() == Some("not_yet");
                    if !elsewhere && fallback.is_none() {
                        self.first.store(at, Ordering::Relaxed);
                        return Err(error);
                    }
                    refusal.get_or_insert(error);
                }
                Err(reason) => attempts.push(Attempt { node: self.nodes[at].clone(), reason }),
            }
        }
        fallback.ok_or_else(|| refusal.unwrap_or(ClientError::Unreachable { attempts }))
    }

    /// Opens an answer that goes on and on, of one node: each piece of it comes within `silence`. The errors as for a
    /// call.
    pub(crate) fn open(
        &self,
        at: usize,
        path: &str,
        header: Option<(&str, &str)>,
        silence: Duration,
    ) -> Result<Result<Stream, ClientError>, String> {
        let node = &self.nodes[at];
        let bearer = self.tokens[at].as_ref().map(Token::header);
        let bearer = bearer.iter().map(|bearer| ("authorization", bearer.as_str()));
        let asked = self.agent.get(format!("{node}{path}")).config();
        let asked = asked.timeout_recv_response(Some(self.answer_within)).timeout_per_read(Some(silence)).build();
        // Nothing else is ever asked on such a connection.
        let own = [("accept", "text/event-stream"), ("connection", "close")];
        let headers = own.into_iter().chain(bearer).chain(header);
        let sent = headers.fold(asked, |asked, (name, value)| asked.header(name, value)).call();
        let mut response = sent.map_err(|error| words_of(&error))?;
        let media = response.headers().get("content-type").and_then(|value| value.to_str().ok());
        if response.status().as_u16() == 200 && media.is_some_and(|media| media.starts_with("text/event-stream")) {
            return Ok(Ok(Stream(response.into_body().into_reader())));
        }
        self.refusal(at, &mut response).map(Err)
    }

    /// Asks one node. The outer error: it could not be reached; the inner one: it said no.
    fn call_node(&self, at: usize, call: &Call<'_>, may_repeat: bool) -> Result<Result<Vec<u8>, ClientError>, String> {
        let node = &self.nodes[at];
        let url = format!("{node}{}", call.path);
        let patience = Some(self.answer_within + call.wait);
        let bearer = self.tokens[at].as_ref().map(Token::header);
        let bearer = bearer.iter().map(|bearer| ("authorization", bearer.as_str()));
        let headers = [("accept", call.accept)].into_iter().chain(bearer);
        let sent = match call.body {
            None => {
                let asked = self.agent.get(&url).config().timeout_global(patience).build();
                headers.fold(asked, |asked, (name, value)| asked.header(name, value)).call()
            }
            Some((body, media)) => {
                let asked = self.agent.post(&url).config().timeout_global(patience).build();
                let headers = headers.chain([("content-type", media)]);
                headers.fold(asked, |asked, (name, value)| asked.header(name, value)).send(body)
            }
        };
        let mut response = match sent {
            // A connection that was kept open may have ended meanwhile; a new one tells.
            Err(ureq::Error::Io(error)) if may_repeat && is_broken(&error) => return self.call_node(at, call, false),
            sent => sent.map_err(|error| words_of(&error))?,
        };
        match response.status().as_u16() {
            200..300 => body_of(&mut response).map(Ok),
            _ => self.refusal(at, &mut response).map(Err),
        }
    }

    /// What a node says that does not answer. The outer error: it is no word of a node.
    fn refusal(&self, at: usize, response: &mut Response) -> Result<ClientError, String> {
        let (node, status) = (self.nodes[at].clone(), response.status().as_u16());
        let retry_after_s = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let body = body_of(response)?;
        if (300..400).contains(&status) {
            let reason = format!("status {status}: it sends elsewhere, and only the nodes that are named are asked");
            return Ok(ClientError::Answer { node, what: "question itself", reason });
        }
        Ok(match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => ClientError::Problem { node, problem: Box::new(problem), retry_after_s },
            Err(_) if status >= 500 => return Err(format!("answers status {status}")),
            Err(_) => ClientError::Answer { node, what: "problem that we know", reason: format!("status {status}") },
        })
    }
}

/// A node's address without a trailing slash; `http://` may be left out.
pub(crate) fn base_url(given: &str) -> Result<String, ClientError> {
    let wrong = |reason| Err(ClientError::BadUrl { url: given.chars().take(200).collect(), reason });
    let rest = match given.split_once("://") {
        None => given,
        Some(("http", rest)) => rest,
        Some(("https", _)) => return wrong("this program speaks plain HTTP, put a proxy in front for TLS"),
        Some(_) => return wrong("expected one like `http://127.0.0.1:7001`"),
    };
    let rest = rest.trim_end_matches('/');
    let plain = |c: char| c.is_ascii_graphic() && !"?#@\\\"<>".contains(c);
    if rest.is_empty() || rest.starts_with('/') || !rest.chars().all(plain) {
        return wrong("expected one like `http://127.0.0.1:7001`");
    }
    Ok(format!("http://{rest}"))
}

/// A path with its query: everything but letters, digits and `-._~` is escaped.
pub(crate) fn with_query<'a>(path: &str, pairs: impl IntoIterator<Item = (&'a str, Option<String>)>) -> String {
    let mut text = path.to_owned();
    let mut mark = '?';
    for (name, value) in pairs {
        let Some(value) = value else { continue };
        text.push(mark);
        text.push_str(name);
        text.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                text.push(byte.into());
            } else {
                text.push_str(&format!("%{byte:02X}"));
            }
        }
        mark = '&';
    }
    text
}

/// A whole body.
fn body_of(response: &mut Response) -> Result<Vec<u8>, String> {
    let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
    body.map_err(|error| words_of(&error))
}

/// Whether a connection ended that was there.
fn is_broken(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

/// What happened on the way, in few words.
fn words_of(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => "refuses connections".into(),
        ureq::Error::Io(error) => match error.kind() {
            io::ErrorKind::TimedOut => "takes too long".into(),
            _ => error.to_string(),
        },
        ureq::Error::Timeout(_) => "takes too long".into(),
        ureq::Error::HostNotFound => "there is no such host".into(),
        ureq::Error::ConnectionFailed => "cannot be reached".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_people_write_it() {
        for (given, want) in [
            ("http://127.0.0.1:7001", Some("http://127.0.0.1:7001")),
            ("http://127.0.0.1:7001/", Some("http://127.0.0.1:7001")),
            ("127.0.0.1:7001", Some("http://127.0.0.1:7001")),
            ("ledger.example/writ/", Some("http://ledger.example/writ")),
            ("[::1]:7001", Some("http://[::1]:7001")),
            ("", None),
            ("http://", None),
            ("/etc", None),
            ("ftp://x", None),
            ("https://x", None),
            ("http://a b", None),
            ("http://user:secret@host", None),
            ("http://x?y=z", None),
        ] {
            assert_eq!(base_url(given).ok().as_deref(), want, "{given}");
        }
    }

    #[test]
    fn a_query_holds_any_text() {
        let pairs = [("sub", Some("a b+c/é&*".into())), ("act", None), ("limit", Some("5".into()))];
        assert_eq!(with_query("/v1/x", pairs), "/v1/x?sub=a%20b%2Bc%2F%C3%A9%26%2A&limit=5");
        assert_eq!(with_query("/v1/x", [("a", None)]), "/v1/x");
    }
}
