//! A small blocking HTTP client: one connection kept alive, every status an answer.

use std::time::Duration;

use serde::de::DeserializeOwned;
use ureq::Agent;
use writ_proto::api::{
    BatchAnswer, CheckAnswer, EntriesPage, Entry, Possession, Problem, Receipt, Status, WhatCanPage, WhoCanPage,
    to_base64,
};
use writ_proto::record::{RecordId, Signed};

/// Speaks to one node. A clone shares the connections.
#[derive(Clone, Debug)]
pub struct Http {
    agent: Agent,
    base: String,
}

/// What a node answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The content type, empty if there is none.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
}

/// No answer came: the connection broke, or was never made.
pub type Broken = Box<ureq::Error>;

impl Http {
    /// Speaks to the node at `base`.
    pub fn new(base: &str) -> Self {
        Self::impatient(base, Duration::from_secs(60))
    }

    /// The same, and waits no longer than this for an answer.
    pub fn impatient(base: &str, patience: Duration) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(patience))
            .max_redirects(0)
            .proxy(None)
            .build();
        Self { agent: config.into(), base: base.trim_end_matches('/').to_owned() }
    }

    /// The node's URL.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// `host:port` of the node.
    pub fn address(&self) -> &str {
        self.base.strip_prefix("http://").unwrap_or(&self.base)
    }

    /// Any request.
    pub fn try_request(&self, method: &str, path: &str, content: Option<(&str, &[u8])>) -> Result<Answer, Broken> {
        let request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        let response = match content {
            Some((content_type, body)) => {
                let request = request.header("content-type", content_type).body(body);
                self.agent.run(request.unwrap_or_else(|error| panic!("`{path}` cannot be asked for: {error}")))
            }
            None => {
                let request = request.body(());
                self.agent.run(request.unwrap_or_else(|error| panic!("`{path}` cannot be asked for: {error}")))
            }
        };
        let mut response = response?;
        let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok());
        let (status, content_type) = (response.status().as_u16(), content_type.unwrap_or_default().to_owned());
        let body = response.body_mut().with_config().limit(64 * 1024 * 1024).read_to_vec()?;
        Ok(Answer { status, content_type, body })
    }

    /// Asks.
    pub fn try_get(&self, path: &str) -> Result<Answer, Broken> {
        self.try_request("GET", path, None)
    }

    /// Asks; panics if no answer comes.
    pub fn get(&self, path: &str) -> Answer {
        self.try_get(path).unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    /// Asks for JSON that must be there.
    pub fn read<T: DeserializeOwned>(&self, path: &str) -> T {
        self.get(path).expect(200, path)
    }

    /// Sends; panics if no answer comes.
    pub fn post(&self, path: &str, content_type: &str, body: &[u8]) -> Answer {
        self.try_request("POST", path, Some((content_type, body)))
            .unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    /// How the node stands.
    pub fn status(&self) -> Status {
        self.read("/v1/status")
    }

    /// Submits a record; `wait` is the query, such as `wait=none`.
    pub fn try_submit(&self, record: &Signed, wait: &str) -> Result<Answer, Broken> {
        let path = format!("/v1/records?{wait}");
        self.try_request("POST", &path, Some(("application/octet-stream", record.bytes())))
    }

    /// Submits a record and waits until it is in the log.
    pub fn submit(&self, record: &Signed) -> Receipt {
        let answer = self.try_submit(record, "wait=committed&wait_ms=60000");
        let receipt: Receipt =
            answer.unwrap_or_else(|error| panic!("a submission: {error}")).expect(200, "a submission");
        assert!(receipt.place.is_some(), "a committed record has its place: {receipt:?}");
        receipt
    }

    /// Submits records in one request; `wait` as for one.
    pub fn try_submit_batch(&self, records: &[Signed], wait: &str) -> Result<Answer, Broken> {
        let texts: Vec<String> = records.iter().map(|record| to_base64(record.bytes())).collect();
        let body = serde_json::json!({ "records": texts }).to_string();
        self.try_request("POST", &format!("/v1/records/batch?{wait}"), Some(("application/json", body.as_bytes())))
    }

    /// Submits records in one request and waits until all are in the log.
    pub fn submit_batch(&self, records: &[Signed]) -> BatchAnswer {
        let answer = self.try_submit_batch(records, "wait=committed&wait_ms=60000");
        answer.unwrap_or_else(|error| panic!("a batch: {error}")).expect(200, "a batch")
    }

    /// What became of a record.
    pub fn record(&self, id: &RecordId) -> Receipt {
        self.read(&format!("/v1/records/{id}"))
    }

    /// The answer to a question; `query` is the part of the URL after `?`.
    pub fn check(&self, query: &str) -> CheckAnswer {
        self.read(&format!("/v1/check?{query}"))
    }

    /// All subjects and patterns who can, page by page; `query` as for a check.
    pub fn who_can(&self, query: &str) -> [Vec<String>; 2] {
        let mut all = [Vec::new(), Vec::new()];
        let mut cursor = String::new();
        loop {
            let WhoCanPage { results, patterns, next, .. } = self.read(&format!("/v1/who-can?{query}{cursor}"));
            all[0].extend(results);
            all[1].extend(patterns);
            let Some(next) = next else { return all };
            cursor = format!("&cursor={}", escape(&next));
        }
    }

    /// All that somebody can do, on objects and on patterns, page by page; `query` as for a check.
    pub fn what_can(&self, query: &str) -> [Vec<Possession>; 2] {
        let mut all = [Vec::new(), Vec::new()];
        let mut cursor = String::new();
        loop {
            let WhatCanPage { results, patterns, next, .. } = self.read(&format!("/v1/what-can?{query}{cursor}"));
            all[0].extend(results);
            all[1].extend(patterns);
            let Some(next) = next else { return all };
            cursor = format!("&cursor={}", escape(&next));
        }
    }

    /// Every access entry of the log, page by page; `filter` starts with `&` or is empty.
    pub fn entries(&self, filter: &str) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut cursor = String::new();
        loop {
            let page: EntriesPage = self.read(&format!("/v1/entries?limit=1000{filter}{cursor}"));
            entries.extend(page.entries);
            match page.next {
                Some(next) => cursor = format!("&cursor={}", escape(&next)),
                None => return entries,
            }
        }
    }
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> T {
        let read = serde_json::from_slice(&self.body);
        read.unwrap_or_else(|error| panic!("{error} in the answer {}: {}", self.status, self.text()))
    }

    /// The body as JSON, if the status is the one expected.
    pub fn expect<T: DeserializeOwned>(&self, status: u16, what: &str) -> T {
        assert_eq!(self.status, status, "{what}: {}", self.text());
        self.json()
    }

    /// The body as a problem (RFC 9457), if it is one in form.
    pub fn problem(&self) -> Result<Problem, String> {
        if self.content_type != "application/problem+json" {
            return Err(format!("{} with content type `{}`: {}", self.status, self.content_type, self.text()));
        }
        let problem: Problem =
            serde_json::from_slice(&self.body).map_err(|error| format!("{error} in {}", self.text()))?;
        if problem.status == self.status {
            Ok(problem)
        } else {
            Err(format!("status {} of a problem that says {}", self.status, problem.status))
        }
    }
}

/// A text as part of a query.
pub fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let one = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}
