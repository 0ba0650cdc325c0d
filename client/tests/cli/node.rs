//! A node of one validator in memory: the state machine of the protocol behind a plain socket.
//!
//! It makes a block of each submission, so what `writ` is told is what a real node would tell it, down to
//! proofs and certificates. What it lacks is consensus, a disk, and all care for strangers. [`Node::faults`]
//! makes it fail or lie on purpose.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use serde_json::{Value, json};
use writ_proto::api::{
    self, AccessChange, AuthorityAnswer, BlockProof, BriefAnswer, BriefResult, CheckAnswer, DiffPage, EntriesPage,
    Entry, Explanation, Happening, HeaderAnswer, HeadersPage, HistoryEvent, HistoryPage, Idle, LogPoint, Place,
    PreviewAnswer, Problem, Receipt, RecordStatus, RefusedStatement, RevokedBy, RevokedWith, StatementNote, Status,
    Tuple, ValidatorAnswer, entry_of, from_base64, position_token, possessions_of, question_of, read_position_token,
    rights_of, shown, to_base64,
};
use writ_proto::block::{CommitLeaf, Outcome};
use writ_proto::certificate::{Certificate, Vote, VoteKind};
use writ_proto::checkpoint::Cosigners;
use writ_proto::codec::Blob;
use writ_proto::decision::{Moment, Truth, resolve};
use writ_proto::export::Frame;
use writ_proto::genesis::{Genesis, Parameters, RootAuthority};
use writ_proto::hash::{Digest, Domain};
use writ_proto::index::Index;
use writ_proto::key::SecretKey;
use writ_proto::merkle::{self, MemoryTree};
use writ_proto::name::{ActionPattern, Pattern, Side};
use writ_proto::record::{Class, Effect, EnrolledKey, RecordId, Signed, ValidatorKeys};
use writ_proto::refusal::Refusal;
use writ_proto::scope::Scope;
use writ_proto::search::{
    Budget, Changes, Event, EventKind, History, Proposed, Remark, Wanted, WhatCan, WhoCan, ending, is_pattern,
};
use writ_proto::state::State;
use writ_proto::time::{Interval, LedgerTime};

/// A running node, until the tests end.
#[derive(Clone)]
pub(crate) struct Node {
    url: String,
    chain: Arc<Mutex<Chain>>,
}

/// What goes wrong on purpose.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// Connections are cut once so many more records are in the log.
    pub(crate) dies_after: Option<usize>,
    /// Connections are cut after a submission was carried out, this many times, instead of an answer.
    pub(crate) forgets_to_answer: usize,
    /// This many submissions are answered `429 overloaded`.
    pub(crate) is_overloaded: usize,
    /// This many submissions are answered `pending`, and carried out later.
    pub(crate) is_slow: usize,
    /// Receipts prove another log.
    pub(crate) lies: bool,
    /// Each page of a search is about another moment.
    pub(crate) drifts: bool,
    /// Every answer is `503 stale`.
    pub(crate) is_stale: bool,
    /// Nothing is ever answered.
    pub(crate) hangs: bool,
    /// Every answer is this problem.
    pub(crate) answers: Option<(u16, &'static str)>,
    /// Every answer sends to this address.
    pub(crate) sends_to: Option<&'static str>,
    /// Callers need this bearer token.
    pub(crate) wants_token: Option<&'static str>,
    /// The status tells another root.
    pub(crate) is_damaged: bool,
}

#[derive(Clone)]
struct Chain {
    state: State,
    genesis: Genesis,
    validator: SecretKey,
    frames: Vec<Frame>,
    commit_leaves: Vec<CommitLeaf>,
    tree: MemoryTree,
    records: HashMap<RecordId, (u64, u64, Outcome)>,
    bytes: HashMap<u64, Vec<u8>>,
    faults: Faults,
    /// Records as they were submitted.
    received: Vec<Vec<u8>>,
    /// What callers showed to be let in.
    authorizations: Vec<Option<String>>,
    /// Parameters, where the node tells them.
    parameters: Option<Parameters>,
    /// The note that it shows.
    checkpoint: Option<String>,
}

/// A key from a number.
pub(crate) fn key(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

pub(crate) fn enrolled(key: &SecretKey) -> EnrolledKey {
    EnrolledKey { key: key.public(), possession: key.prove_possession(&Digest::ZERO) }
}

/// A chain with these root authorities, each with the key of its place: `key(1)` and so on.
pub(crate) fn genesis(authorities: &[&str]) -> Genesis {
    let root = |(name, n): (&&str, u8)| RootAuthority {
        name: name.parse().unwrap(),
        keys: vec![enrolled(&key(n))],
        threshold: 1,
        scope: Scope::everything(),
    };
    Genesis {
        protocol: 2,
        chain: "ledger.example/test".into(),
        time: writ_client::clock::now().saturating_sub_millis(60_000),
        parameters: Parameters::default(),
        authorities: authorities.iter().zip(1..).map(root).collect(),
        root_quorum: 1,
        validators: vec![ValidatorKeys {
            name: "v0".parse().unwrap(),
            vote: enrolled(&key(200)),
            checkpoint: enrolled(&key(201)),
        }],
    }
}

impl Node {
    /// A node of a chain whose root authorities are these.
    pub(crate) fn new(authorities: &[&str]) -> Self {
        Self::of(genesis(authorities))
    }

    /// A node of this chain.
    pub(crate) fn of(genesis: Genesis) -> Self {
        let chain = Chain {
            state: State::new(genesis.clone()).unwrap(),
            genesis,
            validator: key(200),
            frames: Vec::new(),
            commit_leaves: Vec::new(),
            tree: MemoryTree::new(),
            records: HashMap::new(),
            bytes: HashMap::new(),
            faults: Faults::default(),
            received: Vec::new(),
            authorizations: Vec::new(),
            parameters: None,
            checkpoint: None,
        };
        Self::serving(chain)
    }

    /// Another node that has what this one has now.
    pub(crate) fn twin(&self) -> Self {
        Self::serving(self.chain().clone())
    }

    fn serving(chain: Chain) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let node =
            Self { url: format!("http://{}", listener.local_addr().unwrap()), chain: Arc::new(Mutex::new(chain)) };
        let chain = Arc::clone(&node.chain);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let chain = Arc::clone(&chain);
                thread::spawn(move || serve(stream, &chain));
            }
        });
        node
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn genesis(&self) -> Genesis {
        self.chain().genesis.clone()
    }

    pub(crate) fn faults(&self, faults: Faults) {
        self.chain().faults = faults;
    }

    /// Records as they were submitted, byte for byte.
    pub(crate) fn received(&self) -> Vec<Vec<u8>> {
        self.chain().received.clone()
    }

    /// The `authorization` of every call so far.
    pub(crate) fn authorizations(&self) -> Vec<Option<String>> {
        self.chain().authorizations.clone()
    }

    /// Tells these parameters.
    pub(crate) fn parameters(&self, parameters: Parameters) {
        self.chain().parameters = Some(parameters);
    }

    /// Shows this note as its final checkpoint from now on.
    pub(crate) fn show_checkpoint(&self, note: String) {
        self.chain().checkpoint = Some(note);
    }

    /// Leaves in the log.
    pub(crate) fn log_size(&self) -> u64 {
        self.chain().tree.size()
    }

    /// Entries as they are listed.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.chain().entries(&HashMap::new())
    }

    fn chain(&self) -> MutexGuard<'_, Chain> {
        self.chain.lock().unwrap()
    }
}

type Reply = Result<(u16, &'static str, Vec<u8>), ()>;

fn serve(stream: TcpStream, chain: &Mutex<Chain>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    stream.set_nodelay(true).unwrap();
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            match reader.read_line(&mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) if line.trim().is_empty() => break,
                Ok(_) => head.push(line.trim().to_owned()),
            }
        }
        let length = head.iter().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let mut first = head.first().map_or("", String::as_str).split(' ');
        let (method, target) = (first.next().unwrap_or(""), first.next().unwrap_or(""));
        let authorization = head.iter().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("authorization").then(|| value.to_owned())
        });
        let faults = {
            let mut chain = chain.lock().unwrap();
            chain.authorizations.push(authorization.clone());
            chain.faults
        };
        if faults.hangs {
            loop {
                thread::park();
            }
        }
        let wanted = faults.wants_token.map(|token| format!("Bearer {token}"));
        let answer = if wanted.is_some() && authorization != wanted {
            reply(Err(problem(401, "unauthenticated", None, "no bearer token that is known here")))
        } else {
            chain.lock().unwrap().answer(method, target, &body)
        };
        let Ok((status, media, answer)) = answer else { return };
        let length = answer.len();
        let location = faults.sends_to.map_or_else(String::new, |url| format!("location: {url}{target}\r\n"));
        let status = if faults.sends_to.is_some() { 307 } else { status };
        let head = format!(
            "HTTP/1.1 {status} X\r\n{location}content-type: {media}\r\ncontent-length: {length}\r\nretry-after: 0\r\n\r\n"
        );
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&answer)).is_err() {
            return;
        }
    }
}

fn problem(status: u16, code: &str, field: Option<&str>, detail: impl Into<String>) -> Problem {
    let (field, code) = (field.map(Into::into), code.into());
    Problem { type_: "about:blank".into(), title: "No".into(), status, code, field, detail: detail.into() }
}

fn of_refusal(refusal: &Refusal) -> Problem {
    problem(400, refusal.code.as_str(), refusal.path().as_deref(), refusal.detail.clone())
}

fn reply(result: Result<Value, Problem>) -> Reply {
    match result {
        Ok(value) => Ok((200, "application/json", value.to_string().into_bytes())),
        Err(problem) => {
            let body = serde_json::to_vec(&problem).unwrap();
            Ok((problem.status, "application/problem+json", body))
        }
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            bytes.push(u8::from_str_radix(std::str::from_utf8(&after[..2]).unwrap(), 16).unwrap());
            rest = &after[2..];
        } else {
            assert!(first.is_ascii_alphanumeric() || b"-._~".contains(first), "unescaped {text}");
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// The records of a batch in bytes: each after its length.
fn records_of(mut body: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    while let Some((length, rest)) = body.split_first_chunk::<4>() {
        let (record, rest) = rest.split_at(u32::from_le_bytes(*length) as usize);
        records.push(record.to_vec());
        body = rest;
    }
    records
}

impl Chain {
    fn answer(&mut self, method: &str, target: &str, body: &[u8]) -> Reply {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query: HashMap<String, String> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), decode(value)))
            .collect();
        if self.faults.is_stale {
            return reply(Err(problem(503, "stale", None, "the node has not caught up")));
        }
        if let Some((status, code)) = self.faults.answers {
            return reply(Err(problem(status, code, None, "so it was ordered")));
        }
        match (method, path) {
            ("GET", "/v1/genesis") => reply(Ok(json!(self.genesis))),
            ("GET", "/v1/status") => reply(Ok(json!(self.status()))),
            ("GET", "/checkpoint") => match &self.checkpoint {
                Some(note) => Ok((200, "text/plain; charset=utf-8", note.clone().into_bytes())),
                None => reply(Err(problem(404, "not_found", None, "there is none yet"))),
            },
            ("GET", "/policy") => {
                let policy = Cosigners::of(&self.genesis.chain, &self.genesis.validators).to_policy();
                Ok((200, "text/plain; charset=utf-8", policy.into_bytes()))
            }
            ("GET", "/v1/authorities") => reply(Ok(json!({ "authorities": self.authorities() }))),
            ("GET", "/v1/validators") => reply(Ok(self.validators())),
            ("GET", "/v1/parameters") if self.parameters.is_some() || self.state.tip().height > 0 => {
                let height = self.state.tip().height + 1;
                let parameters = self.parameters.as_ref().unwrap_or(self.state.parameters());
                let protocol = self.state.protocol_at(height);
                let activation = self.state.pending_activation();
                let activation = activation.map(|next| json!({ "protocol": next.protocol, "height": next.height }));
                reply(Ok(
                    json!({ "height": height, "protocol": protocol, "parameters": parameters, "activation": activation }),
                ))
            }
            ("GET", "/v1/check") => reply(self.check(&query).map(|answer| json!(answer))),
            ("GET", "/v1/who-can") => reply(self.who_can(&query)),
            ("GET", "/v1/what-can") => reply(self.what_can(&query)),
            ("GET", "/v1/expiring") => reply(self.expiring(&query)),
            ("GET", "/v1/entries") => reply(Ok(json!(self.page(&query)))),
            ("GET", "/v1/history") => reply(self.history(&query).map(|page| json!(page))),
            ("GET", "/v1/diff") => reply(self.diff(&query).map(|page| json!(page))),
            ("POST", "/v1/preview") => reply(self.preview(body).map(|answer| json!(answer))),
            ("GET", "/v1/headers") => reply(Ok(json!(self.headers(&query)))),
            ("GET", "/v1/blocks") => Ok((200, "application/octet-stream", self.blocks(&query))),
            ("GET", "/v1/proofs/consistency") => reply(Ok(self.consistency(&query))),
            ("POST", "/v1/records") => {
                self.submit(vec![body.to_vec()], &query).and_then(|mut results| reply(results.remove(0)))
            }
            ("POST", "/v1/records/batch") => {
                let is_brief = query.get("receipts").is_some_and(|receipts| receipts == "brief");
                let records = if is_brief {
                    records_of(body)
                } else {
                    let batch: api::Batch = serde_json::from_slice(body).unwrap();
                    batch.records.iter().map(|text| from_base64(text).unwrap()).collect()
                };
                let results = self.submit(records, &query)?;
                let in_vain =
                    |result: &Result<Value, Problem>| matches!(result, Err(problem) if problem.code == "overloaded");
                if is_brief && !results.iter().all(in_vain) {
                    return reply(Ok(json!(self.brief(results))));
                }
                let results: Vec<Value> =
                    results.into_iter().map(|result| result.unwrap_or_else(|problem| json!(problem))).collect();
                let status = if results.iter().all(|result| result["code"] == "overloaded") { 429 } else { 200 };
                match status {
                    429 => reply(Err(problem(429, "overloaded", None, "too much to do"))),
                    _ => reply(Ok(json!({ "results": results }))),
                }
            }
            ("GET", path) if path.starts_with("/v1/records/") => {
                reply(self.record(path.trim_start_matches("/v1/records/")).map(|receipt| json!(receipt)))
            }
            _ => reply(Err(problem(404, "not_found", None, format!("there is no {path}")))),
        }
    }

    fn submit(
        &mut self,
        records: Vec<Vec<u8>>,
        query: &HashMap<String, String>,
    ) -> Result<Vec<Result<Value, Problem>>, ()> {
        self.received.extend(records.iter().cloned());
        if self.faults.is_overloaded > 0 {
            self.faults.is_overloaded -= 1;
            return Ok(records.iter().map(|_| Err(problem(429, "overloaded", None, "too much to do"))).collect());
        }
        let waits = query.get("wait").is_none_or(|wait| wait == "committed");
        if !waits || self.faults.is_slow > 0 {
            self.faults.is_slow = self.faults.is_slow.saturating_sub(1);
            let pending = |bytes: &Vec<u8>| {
                let signed = Signed::decode(bytes.clone()).unwrap();
                Ok(json!(bare(signed.id(), RecordStatus::Pending)))
            };
            return Ok(records.iter().map(pending).collect());
        }
        let mut records = records;
        let mut dead = false;
        if let Some(left) = self.faults.dies_after.as_mut() {
            dead = records.len() > *left;
            records.truncate(*left);
            *left -= records.len();
        }
        let signed = records.into_iter().map(|bytes| Signed::decode(bytes).map_err(|refusal| of_refusal(&refusal)));
        let signed: Vec<_> = signed.collect();
        let mut settled = self.append(signed.iter().flatten().cloned().collect()).into_iter();
        let results = signed
            .into_iter()
            .map(|signed| signed.and_then(|_| settled.next().unwrap()))
            .map(|receipt| receipt.map(|receipt| json!(receipt)));
        let results = results.collect();
        if self.faults.forgets_to_answer > 0 {
            self.faults.forgets_to_answer -= 1;
            return Err(());
        }
        if dead { Err(()) } else { Ok(results) }
    }

    /// The results in brief: one proof for all that the last block took in.
    fn brief(&self, results: Vec<Result<Value, Problem>>) -> BriefAnswer {
        let (mut brief, mut proved) = (Vec::new(), Vec::new());
        for result in results {
            let (receipt, problem) = match result {
                Ok(receipt) => (Some(serde_json::from_value::<Receipt>(receipt).unwrap()), None),
                Err(problem) => (None, Some(problem)),
            };
            let place = receipt.as_ref().and_then(|receipt| receipt.place.clone());
            let duplicate = receipt.as_ref().is_some_and(|receipt| receipt.duplicate);
            proved.extend(place.as_ref().filter(|_| !duplicate).map(|place| place.index));
            brief.push(BriefResult {
                status: receipt.map_or(RecordStatus::Refused, |receipt| receipt.status),
                duplicate,
                index: place.as_ref().map(|place| place.index),
                height: place.as_ref().map(|place| place.height),
                problem,
            });
        }
        proved.sort_unstable();
        let (height, size) = (self.state.tip().height, self.tree.size());
        let mut blocks = Vec::new();
        if !proved.is_empty() {
            let mut proof = merkle::prove_leaves(&self.tree, &proved, size).unwrap();
            if self.faults.lies {
                proof[0].0[0] ^= 1;
            }
            let proof = proof.iter().map(|hash| to_base64(&hash.0)).collect();
            let log_root = to_base64(&self.tree.root().0);
            blocks.push(BlockProof { height, position: self.position(height), log_size: size, log_root, proof });
        }
        BriefAnswer { results: brief, blocks }
    }

    /// One block of these records, as far as they may stand in it.
    fn append(&mut self, records: Vec<Signed>) -> Vec<Result<Receipt, Problem>> {
        let ids: Vec<RecordId> = records.iter().map(Signed::id).collect();
        let mut refused: HashMap<RecordId, Problem> = HashMap::new();
        let (mut known, mut new) = (Vec::new(), Vec::new());
        let time = writ_client::clock::now().max(self.state.tip().time.saturating_add_millis(1));
        for record in records {
            let id = record.id();
            let is_known = self.records.contains_key(&id)
                || new.iter().any(|other: &writ_proto::record::Verified| other.id() == id);
            known.push(is_known);
            if is_known {
                continue;
            }
            match self.state.verify(record) {
                Ok(verified) => new.push(verified),
                Err(refusal) => drop(refused.insert(id, of_refusal(&refusal))),
            }
        }
        // What can only reduce access goes first, as proposers do it.
        new.sort_by_key(|record| record.class() == Class::Permissive);
        if !new.is_empty() {
            let built = self.state.build(time, self.validator.public().id(), new).unwrap();
            refused.extend(built.refused.into_iter().map(|(id, refusal)| (id, of_refusal(&refusal))));
            let header = &built.block.header;
            let voter = self.validator.public().id();
            let vote =
                Vote { kind: VoteKind::Precommit, height: header.height, round: 0, value: Some(header.hash()), voter };
            let signature = self.validator.sign_in(Domain::Vote, &vote.signed_bytes(self.state.chain()));
            let certificate = Certificate {
                height: header.height,
                round: 0,
                block: header.hash(),
                signatures: vec![(voter, signature)],
            };
            let height = header.height;
            self.frames.push(Frame { block: Blob(built.block.encode()), certificate });
            for placed in &built.changes.records {
                let signed = placed.record.signed();
                self.tree.push(merkle::leaf_hash(signed.bytes()));
                let entries = signed.entries().map(|made| made.id);
                for id in entries.chain([signed.id()]) {
                    self.records.insert(id, (placed.index, height, placed.outcome));
                }
                self.bytes.insert(placed.index, signed.bytes().to_vec());
            }
            self.tree.push(built.changes.leaf.hash());
            self.commit_leaves.push(built.changes.leaf.clone());
            self.state.commit(built.changes);
        }
        let receipt = |(id, known): (&RecordId, bool)| match refused.get(id) {
            Some(problem) => Err(problem.clone()),
            None => self.receipt(*id).map(|receipt| Receipt { duplicate: known, ..receipt }),
        };
        ids.iter().zip(known).map(receipt).collect()
    }

    fn receipt(&self, id: RecordId) -> Result<Receipt, Problem> {
        let Some((index, height, outcome)) = self.records.get(&id).copied() else {
            return Err(problem(404, "not_found", Some("id"), format!("no record {id} is known here")));
        };
        if let Outcome::Rejected(code) = outcome {
            return Err(problem(403, code.as_str(), None, "the record is in the log and does not count"));
        }
        let size = self.tree.size();
        let lied = if self.faults.lies { index ^ 1 } else { index };
        let inclusion = merkle::prove_inclusion(&self.tree, lied, size).unwrap();
        let place = Place {
            index,
            height,
            position: self.position(height),
            log_size: size,
            log_root: to_base64(&self.tree.root().0),
            inclusion: inclusion.iter().map(|hash| to_base64(&hash.0)).collect(),
            checkpoint: None,
            checkpoint_inclusion: None,
        };
        let members = self.state.index().entries_at(index).filter(|entry| entry.member.is_some());
        let entries = members.map(|entry| entry.id).collect();
        Ok(Receipt { place: Some(place), entries, ..bare(id, RecordStatus::Committed) })
    }

    fn record(&self, id: &str) -> Result<Receipt, Problem> {
        let id: RecordId = id.parse().map_err(|_| problem(400, "bad_request", Some("id"), "no id"))?;
        let receipt = self.receipt(id)?;
        let (index, height, _) = self.records[&id];
        let bytes = &self.bytes[&index];
        let member = self.state.index().by_id(&id).and_then(|ordinal| self.state.index().entry(ordinal).member);
        Ok(Receipt { entry: self.entry(index, member, height), record: Some(to_base64(bytes)), ..receipt })
    }

    fn entry(&self, index: u64, member: Option<u8>, height: u64) -> Option<Entry> {
        let signed = Signed::decode(self.bytes[&index].clone()).unwrap();
        let made = signed.entries().find(|made| made.member == member)?;
        let entry = self.state.index().entries_at(index).find(|entry| entry.member == member);
        let revoked = entry.and_then(|entry| entry.revoked).map(|revoked| RevokedBy {
            by: Signed::decode(self.bytes[&revoked.by].clone()).unwrap().id(),
            height: revoked.height,
            at: revoked.at,
        });
        let added = self.state.time_of(height).unwrap();
        let entry = entry_of(made.access, &signed.statement().authority, made.id, index, height, added, revoked);
        Some(Entry { set: member.map(|_| signed.id()), ..entry })
    }

    fn entries(&self, query: &HashMap<String, String>) -> Vec<Entry> {
        let pattern = |name: &str, side| query.get(name).map(|text| Pattern::from_display(text, side).unwrap());
        let (sub, obj) = (pattern("sub", Side::Subject), pattern("obj", Side::Object));
        let act = query.get("act").map(|text| ActionPattern::parse(text).unwrap());
        let all = self.state.index().entries().filter_map(|entry| self.entry(entry.index, entry.member, entry.height));
        let fits = |entry: &Entry| {
            let (own_sub, own_obj) =
                (Pattern::from_display(&entry.sub, Side::Subject), Pattern::from_display(&entry.obj, Side::Object));
            sub.as_ref().is_none_or(|sub| *sub == own_sub.unwrap())
                && obj.as_ref().is_none_or(|obj| *obj == own_obj.unwrap())
                && act.as_ref().is_none_or(|act| act.as_str() == entry.act)
                && query.get("access").is_none_or(|access| access == entry.access.as_str())
                && query.get("authority").is_none_or(|name| *name == entry.issuing_auth.to_string())
                && query.get("from_index").is_none_or(|from| entry.index >= from.parse().unwrap())
        };
        all.filter(fits).collect()
    }

    fn page(&self, query: &HashMap<String, String>) -> EntriesPage {
        let from: usize = query.get("cursor").map_or(0, |cursor| cursor.parse().unwrap());
        let limit: usize = query.get("limit").map_or(100, |limit| limit.parse().unwrap());
        let all = self.entries(query);
        let next = (all.len() > from + limit).then(|| (from + limit).to_string());
        EntriesPage { entries: all.into_iter().skip(from).take(limit).collect(), next }
    }

    fn position(&self, height: u64) -> String {
        let leaf = height.checked_sub(1).map_or(*self.state.chain(), |at| self.commit_leaves[at as usize].hash());
        position_token(height, &leaf)
    }

    fn status(&self) -> Status {
        let tip = self.state.tip();
        Status {
            chain: *self.state.chain(),
            name: self.genesis.chain.clone(),
            role: "validator".into(),
            height: tip.height,
            log_size: self.tree.size(),
            log_root: to_base64(&if self.faults.is_damaged { Digest::ZERO } else { self.tree.root() }.0),
            commit_leaf: tip.commit_leaf,
            position: self.position(tip.height),
            time: tip.time,
            caught_up: true,
            endpoint: None,
            peers: 0,
            pending: 0,
            dev_authority: false,
            version: "test".into(),
        }
    }

    fn authorities(&self) -> Vec<AuthorityAnswer> {
        let answer = |root: &RootAuthority| AuthorityAnswer {
            name: root.name.clone(),
            parent: None,
            keys: root.keys.iter().map(|key| key.key).collect(),
            threshold: root.threshold,
            scope: root.scope.clone(),
        };
        self.genesis.authorities.iter().map(answer).collect()
    }

    fn validators(&self) -> Value {
        let answer = |validator: &ValidatorKeys| ValidatorAnswer {
            name: validator.name.clone(),
            vote_key: validator.vote.key,
            checkpoint_key: validator.checkpoint.key,
        };
        let all: Vec<ValidatorAnswer> = self.state.validators().iter().map(answer).collect();
        json!({ "height": self.state.tip().height + 1, "validators": all })
    }

    fn check(&self, query: &HashMap<String, String>) -> Result<CheckAnswer, Problem> {
        let question = question_of(&query["sub"], query.get("act").map(String::as_str), &query["obj"]);
        let question = question.map_err(|refusal| of_refusal(&refusal))?;
        let time = |name: &str| query.get(name).map(|text| text.parse::<LedgerTime>().unwrap());
        let height = match (query.get("height"), time("as_of")) {
            (_, Some(as_of)) => self.state.height_at(as_of).unwrap(),
            (Some(height), None) => height.parse().unwrap(),
            (None, None) => self.state.tip().height,
        };
        if height > self.state.tip().height {
            return Err(problem(409, "not_yet", Some("height"), "this node has not reached that height"));
        }
        if let Some(token) = query.get("at_least") {
            let (least, _) = read_position_token(token).unwrap();
            if least > self.state.tip().height {
                return Err(problem(409, "not_yet", Some("at_least"), "this node has not reached that height"));
            }
            if *token != self.position(least) {
                return Err(problem(400, "wrong_chain", Some("at_least"), "that is a token of another chain"));
            }
        }
        let now = writ_client::clock::now().max(self.state.tip().time);
        let at = time("at").or(time("as_of")).unwrap_or(now);
        let moment = Moment { interval: Interval::at(at), height };
        let decision = resolve(self.state.index(), &question, &moment, &|_| Truth::Indeterminate);
        let index = self.state.index();
        let entry = |id| index.entry(index.by_id(id).unwrap());
        let entries: Vec<Entry> = decision
            .ids
            .iter()
            .map(entry)
            .filter_map(|entry| self.entry(entry.index, entry.member, entry.height))
            .collect();
        Ok(CheckAnswer {
            decision: if decision.is_granted() { Effect::Grant } else { Effect::Deny },
            why: decision.why.as_str().into(),
            entries: entries.iter().map(|entry| entry.id).collect(),
            at,
            height,
            position: self.position(height),
            valid_until: decision.valid_until,
            fresh_until: None,
            pending: false,
            missing: Vec::new(),
            explain: query.contains_key("explain").then(|| Explanation {
                entries,
                considered: Vec::new(),
                more: false,
                why_not: None,
                roles: Vec::new(),
                cut_authorities: Vec::new(),
                interval: [at, at],
                lookups: decision.lookups,
            }),
        })
    }

    /// Two events on a page: more than one page is what tests need.
    fn history(&self, query: &HashMap<String, String>) -> Result<HistoryPage, Problem> {
        let question = question_of(&query["sub"], None, &query["obj"]).map_err(|refusal| of_refusal(&refusal))?;
        let (index, height) = (self.state.index(), self.state.tip().height);
        let at = writ_client::clock::now().max(self.state.tip().time);
        let mut history = History::new(index, question.sub, question.obj, height, at, (LedgerTime::EPOCH, 0));
        let mut events = Vec::new();
        while history.at().is_some() {
            history.step(index, &|_, _| Truth::Indeterminate.into(), WHOLE, &mut events);
        }
        let from: usize = query.get("cursor").map_or(0, |cursor| cursor.parse().unwrap());
        let next = (events.len() > from + 2).then(|| (from + 2).to_string());
        let events = events.into_iter().skip(from).take(2).map(|event| self.happening(event)).collect();
        Ok(HistoryPage { events, at, height, next })
    }

    fn happening(&self, event: Event) -> HistoryEvent {
        let (kind, ordinal) = match event.kind {
            EventKind::Answer(rights) => {
                let (event, rights) = ((event.at, event.height), Some(rights_of(&rights)));
                let (at, height) = event;
                return HistoryEvent { at, height, event: Happening::Answer, entry: None, by: None, rights };
            }
            EventKind::Added(ordinal) => (Happening::Added, ordinal),
            EventKind::Began(ordinal) => (Happening::Began, ordinal),
            EventKind::Ended(ordinal) => (Happening::Ended, ordinal),
            EventKind::Revoked(ordinal) => (Happening::Revoked, ordinal),
        };
        let entry = self.state.index().entry(ordinal);
        let by = entry.revoked.filter(|_| kind == Happening::Revoked).map(|revoked| {
            let signed = Signed::decode(self.bytes[&revoked.by].clone()).unwrap();
            RevokedWith { id: signed.id(), issuing_auth: signed.statement().authority.clone() }
        });
        let entry = self.entry(entry.index, entry.member, entry.height);
        HistoryEvent { at: event.at, height: event.height, event: kind, entry, by, rights: None }
    }

    /// One change on a page.
    fn diff(&self, query: &HashMap<String, String>) -> Result<DiffPage, Problem> {
        let tip = self.state.tip();
        let point = |text: Option<&String>| {
            let (height, at) = match text.map(|text| (text.parse::<u64>(), text)) {
                None => (tip.height, tip.time),
                Some((Ok(height), _)) if height > tip.height => {
                    return Err(problem(409, "not_yet", Some("to"), "this node has not reached that height"));
                }
                Some((Ok(height), _)) => (height, self.state.time_of(height).unwrap()),
                Some((Err(_), text)) => {
                    let at: LedgerTime = text.parse().unwrap();
                    let height = self.state.height_at(at);
                    (height.ok_or_else(|| problem(400, "bad_request", Some("from"), "before the chain began"))?, at)
                }
            };
            Ok(LogPoint { height, at })
        };
        let (from, to) = (point(query.get("from"))?, point(query.get("to"))?);
        let moment = |point: LogPoint| Moment { interval: Interval::at(point.at), height: point.height };
        let mut search = Changes::new(self.state.index(), moment(from), moment(to), (0, 0));
        let changes = changes_of(self.state.index(), &mut search);
        let skip: usize = query.get("cursor").map_or(0, |cursor| cursor.parse().unwrap());
        let next = (changes.len() > skip + 1).then(|| (skip + 1).to_string());
        Ok(DiffPage { changes: changes.into_iter().skip(skip).take(1).collect(), from, to, next })
    }

    fn preview(&self, body: &[u8]) -> Result<PreviewAnswer, Problem> {
        let body: Value = serde_json::from_slice(body).unwrap();
        let name = body["issuingAuth"].as_str().unwrap().parse().unwrap();
        let (authority, _) = self.state.authorities().by_name(&name).unwrap();
        let mut refused = Vec::new();
        let mut proposed = Vec::new();
        for (at, statement) in body["statements"].as_array().unwrap().iter().enumerate() {
            let settled = |member: &str| self.state.settled(&statement[member].as_str()?.parse().unwrap());
            proposed.push(if let Some(place) = statement["withdraw"].as_u64() {
                Proposed::Withdraw(place as usize)
            } else if statement["revoke"].is_string() {
                settled("revoke").and_then(|settled| settled.entry).map_or_else(
                    || {
                        let (code, field) = ("not_found".into(), Some("revoke".into()));
                        let detail = "no record is in the log".into();
                        refused.push(RefusedStatement { statement: Some(at), code, field, detail });
                        Proposed::Known(None)
                    },
                    Proposed::Revoke,
                )
            } else if let Some(settled) = settled("id") {
                Proposed::Known(settled.entry)
            } else {
                let mut tuple = statement.clone();
                tuple.as_object_mut().unwrap().remove("id");
                Proposed::Access(serde_json::from_value::<Tuple>(tuple).unwrap().to_access().unwrap())
            });
        }
        let preview = self.state.preview(authority, &proposed, writ_client::clock::now());
        refused.extend(preview.refused.iter().map(|(statement, refusal)| RefusedStatement {
            statement: Some(*statement),
            code: refusal.code.as_str().into(),
            field: refusal.path(),
            detail: refusal.detail.clone(),
        }));
        let is_refused = |at: usize| refused.iter().any(|refusal| refusal.statement == Some(at));
        let remark = |(statement, proposed): (usize, &Proposed)| {
            let (note, entries) = match preview.remark(proposed, &|_, _| Truth::Indeterminate.into())? {
                Remark::Known => (Idle::Known, Vec::new()),
                Remark::Covered => (Idle::Covered, Vec::new()),
                Remark::Denied(entries) => (Idle::Denied, entries),
                Remark::Over => (Idle::Over, Vec::new()),
            };
            Some(StatementNote { statement, note, entries })
        };
        let taken = proposed.iter().enumerate().filter(|(at, _)| !is_refused(*at));
        Ok(PreviewAnswer {
            changes: changes_of(&preview.index, &mut preview.changes()),
            notes: taken.filter_map(remark).collect(),
            refused: refused.clone(),
            at: preview.after.interval.lo(),
            height: preview.before.height,
            more: false,
        })
    }

    /// The moment that a search is about and where it goes on, from its cursor or its parameters.
    fn search(&self, query: &HashMap<String, String>) -> Result<(Moment, u32), Problem> {
        let time = |name: &str| query.get(name).map(|text| text.parse::<LedgerTime>().unwrap());
        if let Some(cursor) = query.get("cursor") {
            let numbers: Vec<u64> = cursor.split('-').map(|number| number.parse().unwrap()).collect();
            let at = LedgerTime::from_millis(numbers[1]).unwrap();
            return Ok((Moment { interval: Interval::at(at), height: numbers[2] }, numbers[0] as u32));
        }
        let tip = self.state.tip();
        let height = match (query.get("height"), time("as_of")) {
            (_, Some(as_of)) => self.state.height_at(as_of).unwrap(),
            (Some(height), None) => height.parse().unwrap(),
            (None, None) => tip.height,
        };
        if height > tip.height {
            return Err(problem(409, "not_yet", Some("height"), "this node has not reached that height"));
        }
        let at = time("at").or(time("as_of")).unwrap_or(writ_client::clock::now().max(tip.time));
        Ok((Moment { interval: Interval::at(at), height }, 0))
    }

    /// Fewer at a time than asked for, as a node does that bounds its work.
    fn budget(query: &HashMap<String, String>) -> Budget {
        Budget { results: query.get("limit").map_or(2, |limit| limit.parse().unwrap()).min(2), lookups: 30 }
    }

    fn page_of(&self, moment: &Moment, at: Option<u32>, lists: [Vec<Value>; 2]) -> Value {
        let [results, patterns] = lists;
        let hi = moment.interval.hi();
        // One that answers about another moment from page to page cannot be put together.
        let told = if self.faults.drifts {
            writ_client::clock::now().saturating_add_millis(at.unwrap_or(0).into())
        } else {
            hi
        };
        let next = at.map(|at| format!("{at}-{}-{}", hi.as_millis(), moment.height));
        json!({ "results": results, "patterns": patterns, "at": told, "height": moment.height,
            "position": self.position(moment.height), "next": next })
    }

    fn who_can(&self, query: &HashMap<String, String>) -> Result<Value, Problem> {
        let question = question_of("x", query.get("act").map(String::as_str), &query["obj"]);
        let question = question.map_err(|refusal| of_refusal(&refusal))?;
        let (moment, from) = self.search(query)?;
        let index = self.state.index();
        let mut search = WhoCan::new(index, question.obj, question.act, Wanted::default(), moment, from);
        let mut found = Vec::new();
        search.step(index, &|_, _| Truth::Indeterminate.into(), Self::budget(query), &mut found);
        let mut lists = [Vec::new(), Vec::new()];
        for text in found.into_iter().map(|text| index.text(text)) {
            lists[usize::from(is_pattern(text))].push(json!(shown(text, Side::Subject).unwrap()));
        }
        Ok(self.page_of(&moment, search.at(), lists))
    }

    fn what_can(&self, query: &HashMap<String, String>) -> Result<Value, Problem> {
        let question = question_of(&query["sub"], None, "x").map_err(|refusal| of_refusal(&refusal))?;
        let (moment, from) = self.search(query)?;
        let (index, conditions) =
            (self.state.index(), |_: &writ_proto::search::Asked<'_>, _: &str| Truth::Indeterminate.into());
        let wanted = Wanted::of_type(query.get("type").map(String::as_str));
        let mut search = WhatCan::new(index, question.sub, None, wanted, moment, from);
        let mut found = Vec::new();
        search.step(index, &conditions, Self::budget(query), &mut found);
        let mut lists = [Vec::new(), Vec::new()];
        for found in &found {
            let text = index.text(found.obj);
            let rows = possessions_of(&shown(text, Side::Object).unwrap(), &found.rights);
            lists[usize::from(is_pattern(text))].extend(rows.into_iter().map(|row| json!(row)));
        }
        Ok(self.page_of(&moment, search.at(), lists))
    }

    fn expiring(&self, query: &HashMap<String, String>) -> Result<Value, Problem> {
        let (tip, now) = (self.state.tip(), writ_client::clock::now());
        let (from, until) = match query.get("cursor") {
            Some(cursor) => {
                let numbers: Vec<u64> = cursor.split('-').map(|number| number.parse().unwrap()).collect();
                let [end, until] = [numbers[0], numbers[2]].map(|millis| LedgerTime::from_millis(millis).unwrap());
                ((end, numbers[1] as u32), until)
            }
            None => {
                let within = query.get("within_ms").map(|within| now.saturating_add_millis(within.parse().unwrap()));
                let until = within.unwrap_or_else(|| query["until"].parse().unwrap());
                ((now.max(tip.time).saturating_add_millis(1), 0), until)
            }
        };
        let index = self.state.index();
        let mut ending = ending(index, from, until);
        let entry = |(_, ordinal)| {
            let entry = index.entry(ordinal);
            self.entry(entry.index, entry.member, entry.height)
        };
        let entries: Vec<Entry> = ending.by_ref().take(2).filter_map(entry).collect();
        let next = ending.next().map(|(end, ordinal)| format!("{}-{ordinal}-{}", end.as_millis(), until.as_millis()));
        Ok(
            json!({ "entries": entries, "until": until, "height": tip.height, "position": self.position(tip.height), "next": next }),
        )
    }

    fn headers(&self, query: &HashMap<String, String>) -> HeadersPage {
        let from: usize = query["from"].parse().unwrap();
        let leaf = &self.commit_leaves[from - 1];
        let header = HeaderAnswer {
            hash: leaf.header.hash(),
            header: leaf.header.clone(),
            executed: leaf.executed,
            leaf_index: leaf.executed.log_size,
            commit_leaf: leaf.hash(),
            records: 0,
        };
        HeadersPage { headers: vec![header], next: None }
    }

    fn blocks(&self, query: &HashMap<String, String>) -> Vec<u8> {
        let from: usize = query["from"].parse().unwrap();
        // Fewer than asked for, as a node does that bounds its answers.
        let limit: usize = query["limit"].parse::<usize>().unwrap().min(3);
        self.frames.iter().skip(from - 1).take(limit).flat_map(Frame::encode_framed).collect()
    }

    fn consistency(&self, query: &HashMap<String, String>) -> Value {
        let (from, to) = (query["from"].parse().unwrap(), query["to"].parse().unwrap());
        let proof = merkle::prove_consistency(&self.tree, from, to).unwrap();
        let root = |size| to_base64(&merkle::root_at(&self.tree, size).unwrap().0);
        json!({ "from": from, "to": to, "from_root": root(from), "to_root": root(to),
            "proof": proof.iter().map(|hash| to_base64(&hash.0)).collect::<Vec<_>>() })
    }
}

const WHOLE: Budget = Budget { results: usize::MAX / 2, lookups: u32::MAX };

fn changes_of(index: &Index, search: &mut Changes) -> Vec<AccessChange> {
    let mut found = Vec::new();
    while search.at().is_some() {
        search.step(index, &|_, _| Truth::Indeterminate.into(), WHOLE, &mut found);
    }
    let show =
        |text, side| Pattern::parse_full(index.text(text)).unwrap().to_display_if(side, writ_proto::api::is_readable);
    let change = |change: writ_proto::search::Change| AccessChange {
        sub: show(change.sub, Side::Subject),
        obj: show(change.obj, Side::Object),
        gained: rights_of(&change.gained),
        lost: rights_of(&change.lost),
    };
    found.into_iter().map(change).collect()
}

fn bare(id: RecordId, status: RecordStatus) -> Receipt {
    Receipt {
        id,
        status,
        duplicate: false,
        place: None,
        code: None,
        field: None,
        detail: None,
        entry: None,
        entries: Vec::new(),
        record: None,
    }
}
