//! A ledger in memory with the interface over it. Blocks are made on command; time stands still until told.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;
use writ_proto::api::{statement_of, to_base64};
use writ_proto::certificate::Certificate;
use writ_proto::genesis::{Genesis, PROTOCOL, Parameters, RootAuthority};
use writ_proto::hash::Digest;
use writ_proto::key::SecretKey;
use writ_proto::limits::BLOCK_RECORDS_MAX;
use writ_proto::name::{ActionPattern, Pattern, Side};
use writ_proto::record::{
    Access, AuthorityName, Body as Says, Effect, EnrolledKey, Nonce, RecordId, Revoke, Signed, ValidatorKeys,
};
use writ_proto::scope::{Rule, Scope};
use writ_proto::state::State;
use writ_proto::time::LedgerTime;

use super::super::access::Peer;
use super::super::{Access as Callers, Api, router};
use super::openapi;
use crate::checkpoints::Checkpoints;
use crate::clock::{Clock, Reading, Source};
use crate::guard::CheckpointGuard;
use crate::ledger::Ledger;
use crate::mempool::PoolLimits;
use crate::metrics::Metrics;
use crate::storage::StoredBlock;
use crate::storage::memory::MemoryDisk;

/// The genesis time.
pub(super) const START_MS: u64 = 1_800_000_000_000;

/// `ms` milliseconds after the genesis.
pub(super) fn time(ms: u64) -> LedgerTime {
    LedgerTime::from_millis(START_MS + ms).unwrap()
}

/// See the module's doc. Authorities: `org1` and `org2` for everything, `narrow` for `file:acl/*` alone,
/// `pair` with two keys that must both sign.
pub(super) struct World {
    pub(super) ledger: Ledger,
    pub(super) router: Router,
    pub(super) disk: MemoryDisk,
    pub(super) chain: Digest,
    pub(super) checkpoints: Checkpoints,
    /// Where the checkpoint guard lies.
    _home: tempfile::TempDir,
    wall_ms: Arc<AtomicU64>,
    boot_ms: Arc<AtomicU64>,
    keys: BTreeMap<&'static str, Vec<SecretKey>>,
    vote: SecretKey,
    nonces: AtomicU64,
}

/// An answer.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.text()))
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Status, code and field of a problem.
    pub(super) fn problem(&self) -> (u16, String, Option<String>) {
        let problem = self.json();
        let text = |member: &str| problem[member].as_str().map(str::to_owned);
        (self.status.as_u16(), text("code").unwrap_or_else(|| panic!("no problem: {problem}")), text("field"))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

fn enrolled(key: &SecretKey) -> EnrolledKey {
    EnrolledKey { key: key.public(), possession: key.prove_possession(&Digest::ZERO) }
}

fn authority(name: &str) -> AuthorityName {
    AuthorityName::from_str(name).unwrap()
}

impl World {
    pub(super) fn new() -> Self {
        Self::with_pool(PoolLimits::default())
    }

    pub(super) fn with_pool(limits: PoolLimits) -> Self {
        Self::of("ledger.example/test", limits)
    }

    pub(super) fn of(name: &str, limits: PoolLimits) -> Self {
        let key = |number: u8| SecretKey::from_seed(&[number; 32]);
        let keys = BTreeMap::from([
            ("org1", vec![key(1)]),
            ("org2", vec![key(2)]),
            ("narrow", vec![key(3)]),
            ("pair", vec![key(4), key(5)]),
        ]);
        let (vote, checkpoint) = (key(101), key(102));
        let rule = Rule { objects: vec![Pattern::parse_full("file:acl/*").unwrap()], ..Rule::everything() };
        let root = |(name, keys): (&&'static str, &Vec<SecretKey>)| RootAuthority {
            name: authority(name),
            keys: keys.iter().map(enrolled).collect(),
            threshold: u8::try_from(keys.len()).unwrap(),
            scope: match *name {
                "narrow" => Scope { rules: vec![rule.clone()], enrol_depth: 0 },
                _ => Scope::everything(),
            },
        };
        let genesis = Genesis {
            protocol: PROTOCOL,
            chain: name.into(),
            time: time(0),
            parameters: Parameters::default(),
            authorities: keys.iter().map(root).collect(),
            root_quorum: 1,
            validators: vec![ValidatorKeys {
                name: authority("validator0"),
                vote: enrolled(&vote),
                checkpoint: enrolled(&checkpoint),
            }],
        };
        let encoded = genesis.encode();
        let state = State::new(genesis).unwrap();
        let chain = *state.chain();
        let disk = MemoryDisk::new();
        let store = disk.open(&chain).unwrap();
        store.put_genesis(&encoded).unwrap();
        let (wall_ms, boot_ms) = (Arc::new(AtomicU64::new(START_MS + 1000)), Arc::new(AtomicU64::new(1_000_000)));
        let source = {
            let (wall, boot) = (wall_ms.clone(), boot_ms.clone());
            Source::of(move || Reading { wall_ms: wall.load(Ordering::SeqCst), boot_ms: boot.load(Ordering::SeqCst) })
        };
        let ledger = Ledger::new(state, store, Clock::in_memory(500, source), limits);
        let home = tempfile::tempdir().unwrap();
        let checkpoint_key = key(102);
        CheckpointGuard::create(home.path(), &chain, &checkpoint_key.public()).unwrap();
        let guard = CheckpointGuard::open(home.path(), &chain, checkpoint_key).unwrap();
        let checkpoints = Checkpoints::new(ledger.clone(), Some(guard), home.path().join("checkpoint"));
        let router = router(ledger.clone(), Metrics::new(), Callers::loopback_only())
            .with_checkpoints(checkpoints.clone())
            .standing_as(vote.public().id(), || 0)
            .into_router();
        Self {
            ledger,
            router,
            disk,
            chain,
            checkpoints,
            _home: home,
            wall_ms,
            boot_ms,
            keys,
            vote,
            nonces: AtomicU64::new(1),
        }
    }

    pub(super) fn api(&self) -> Api {
        router(self.ledger.clone(), Metrics::new(), Callers::loopback_only())
    }

    /// Lets the validator cosign what was committed so far.
    pub(super) fn cosign(&self) {
        self.checkpoints.applied();
        self.checkpoints.step().unwrap();
    }

    /// Lets time pass.
    pub(super) fn pass(&self, ms: u64) {
        self.wall_ms.fetch_add(ms, Ordering::SeqCst);
        self.boot_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// Sets the wall clock alone, as an operator does.
    pub(super) fn set_wall(&self, ms: u64) {
        self.wall_ms.store(START_MS + ms, Ordering::SeqCst);
    }

    fn nonce(&self) -> Nonce {
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.nonces.fetch_add(1, Ordering::SeqCst).to_le_bytes());
        Nonce(nonce)
    }

    /// `says`, signed by all keys of `by`, to be submitted within half an hour.
    pub(super) fn sign(&self, by: &str, says: Says) -> Signed {
        let submit_by = self.ledger.clock().now().saturating_add_millis(1_800_000);
        let keys: Vec<&SecretKey> = self.keys[by].iter().collect();
        statement_of(self.chain, authority(by), self.nonce(), says, submit_by).sign(&keys).unwrap()
    }

    /// The same with the keys and everything else as told.
    pub(super) fn sign_as(&self, by: &str, keys: &[&SecretKey], says: Says, submit_by: LedgerTime) -> Signed {
        statement_of(self.chain, authority(by), self.nonce(), says, submit_by).sign(keys).unwrap()
    }

    pub(super) fn entry(&self, by: &str, effect: Effect, sub: &str, act: &str, obj: &str) -> Signed {
        self.sign(by, Says::Access(access(effect, sub, act, obj)))
    }

    pub(super) fn grant(&self, sub: &str, act: &str, obj: &str) -> Signed {
        self.entry("org1", Effect::Grant, sub, act, obj)
    }

    pub(super) fn deny(&self, sub: &str, act: &str, obj: &str) -> Signed {
        self.entry("org1", Effect::Deny, sub, act, obj)
    }

    pub(super) fn revoke(&self, target: RecordId, effect: Effect) -> Signed {
        self.sign("org1", Says::Revoke(Revoke { target, effect }))
    }

    /// Puts records into the pool; they must be good.
    pub(super) fn pool(&self, records: &[&Signed]) {
        for record in records {
            self.ledger.submit(record.bytes().to_vec()).unwrap();
        }
    }

    /// Commits a block of what waits, and gives its height.
    pub(super) fn commit(&self) -> u64 {
        commit(&self.ledger, &self.vote)
    }

    /// Puts records in a block of their own.
    pub(super) fn append(&self, records: &[&Signed]) -> u64 {
        self.pool(records);
        self.commit()
    }

    /// Commits blocks by itself from now on, whenever something waits.
    pub(super) fn run(&self) {
        let (ledger, vote) = (self.ledger.clone(), SecretKey::from_seed(&self.vote.to_seed()));
        tokio::spawn(async move {
            let work = ledger.work();
            loop {
                work.notified().await;
                commit(&ledger, &vote);
            }
        });
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        self.call(Method::GET, path, &[], Vec::new()).await
    }

    pub(super) async fn post(&self, path: &str, media: &str, body: impl Into<Vec<u8>>) -> Reply {
        self.call(Method::POST, path, &[("content-type", media)], body.into()).await
    }

    pub(super) async fn post_json(&self, path: &str, body: &Value) -> Reply {
        self.post(path, "application/json", body.to_string()).await
    }

    pub(super) async fn submit(&self, query: &str, record: &Signed) -> Reply {
        self.post(&format!("/v1/records{query}"), "application/octet-stream", record.bytes()).await
    }

    /// Calls, and holds the answer against the interface's description.
    pub(super) async fn call(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Reply {
        self.call_from(Ipv4Addr::LOCALHOST.into(), method, path, headers, body).await
    }

    /// The same from somewhere else.
    pub(super) async fn call_from(
        &self,
        peer: IpAddr,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Reply {
        let mut request = Request::builder().method(method.clone()).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.extension(Peer(peer)).body(Body::from(body));
        let request = request.unwrap_or_else(|error| panic!("{path}: {error}"));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let is_stream = parts.headers.get("content-type").is_some_and(|media| media == "text/event-stream");
        let body = match is_stream {
            // It has no end; what it tells is looked at elsewhere.
            true => Vec::new(),
            false => body.collect().await.unwrap().to_bytes().to_vec(),
        };
        let reply = Reply { status: parts.status, headers: parts.headers, body };
        if let Err(what) = openapi::conforms(&method, path, &reply) {
            panic!("{method} {path} answers {} {}: {what}", reply.status, reply.text());
        }
        reply
    }

    /// All that a refused request must not change.
    pub(super) fn mark(&self) -> (u64, u64, usize, usize) {
        let (records, bytes) = self.ledger.pooled();
        let state = self.ledger.read();
        (state.tip().height, state.log().size(), records, bytes)
    }

    pub(super) fn keys_of(&self, name: &str) -> &[SecretKey] {
        &self.keys[name]
    }
}

/// An access entry without bounds in time.
pub(super) fn access(effect: Effect, sub: &str, act: &str, obj: &str) -> Access {
    Access {
        sub: Pattern::from_display(sub, Side::Subject).unwrap(),
        obj: Pattern::from_display(obj, Side::Object).unwrap(),
        act: ActionPattern::parse(act).unwrap(),
        effect,
        iss: None,
        exp: None,
        cond: None,
        reference: None,
    }
}

/// A batch as JSON.
pub(super) fn batch(records: &[&Signed]) -> Value {
    let texts: Vec<String> = records.iter().map(|record| to_base64(record.bytes())).collect();
    serde_json::json!({ "records": texts })
}

fn commit(ledger: &Ledger, vote: &SecretKey) -> u64 {
    let built = {
        let state = ledger.read();
        let now = ledger.clock().proposal_time(state.tip().time);
        let records = ledger.pool().candidates(now, BLOCK_RECORDS_MAX);
        state.build(now, vote.public().id(), records).unwrap()
    };
    let header = built.block.header.clone();
    let certificate = Certificate { height: header.height, round: 0, block: header.hash(), signatures: Vec::new() };
    let ids: Vec<RecordId> = built.changes.records.iter().map(|placed| placed.record.id()).collect();
    ledger.store().commit(&StoredBlock { block: built.block.encode(), certificate }, &built.changes).unwrap();
    ledger.write().commit(built.changes);
    {
        let mut pool = ledger.pool();
        pool.settle(&ids);
        built.refused.into_iter().for_each(|(id, refusal)| pool.refuse(id, refusal));
    }
    ledger.announce();
    header.height
}
