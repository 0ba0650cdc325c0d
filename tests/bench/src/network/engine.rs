//! The consensus engine alone: four validators in this process, on loopback, over a ledger that does nothing.
//!
//! What a network of real nodes takes longer than this is what our ledger adds: executing, storing, guarding, telling.
//! The engine still writes its own log, so its home lies on the disk that the nodes use. That a record is known
//! everywhere before its height starts, which gossip brings about between nodes, is given here: all four are woken.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use ed25519_dalek::{Signer as _, SigningKey};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use writ_engine::{
    Application, Candidate, Config, Engine, Evidence, Fatal, Held, Network, PeerClaim, Proposed, SignRefused,
    Validator, Verdict, VoteSigner,
};
use writ_proto::certificate::{Certificate, Proposal, Vote};
use writ_proto::hash::{Digest, Domain};
use writ_proto::key::{KeyId, PublicKey, SecretKey, Signature};
use writ_proto::limits::BLOCK_BYTES_MAX;

use super::VALIDATORS;
use crate::stats::Durations;

const CHAIN: Digest = Digest([7; 32]);
/// How long one height may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The bytes of a value that count: height, round, proposer. The rest is there to be carried.
const HEAD: usize = 8 + 4 + 32;

/// Four engines that run. Dropped, they end.
pub(super) struct Engines {
    /// The last height that there is work for.
    wanted: Arc<AtomicU64>,
    wakes: Vec<Arc<Notify>>,
    /// The heights that the first of them commits.
    commits: Receiver<u64>,
    height: u64,
    engines: Vec<Engine>,
    runtime: Runtime,
    _folder: TempDir,
}

impl Engines {
    /// Engines whose values have `bytes` bytes, with homes below `scratch`; the first height is behind them.
    ///
    /// # Errors
    /// If one of them does not start, or they do not agree.
    pub(super) fn start(scratch: &Path, bytes: usize) -> anyhow::Result<Self> {
        let folder = TempDir::new_in(scratch).context("cannot make a folder for the engines")?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let keys: Vec<SecretKey> = (0..VALIDATORS).map(|n| SecretKey::from_seed(&[1 + n as u8; 32])).collect();
        let validator = |(n, key): (usize, &SecretKey)| Validator { name: format!("v{n}"), key: key.public() };
        let validators: Vec<Validator> = keys.iter().enumerate().map(validator).collect();
        let wanted = Arc::new(AtomicU64::new(0));
        let (commit, commits) = channel();
        let (mut engines, mut wakes, mut peers) = (Vec::new(), Vec::new(), Vec::new());
        for (n, key) in keys.into_iter().enumerate() {
            let identity = SecretKey::from_seed(&[101 + n as u8; 32]);
            let config = Config {
                moniker: format!("v{n}"),
                network: Some(Network::new(identity, "/ip4/127.0.0.1/tcp/0", peers.clone())),
                ..Config::new(CHAIN, folder.path().join(format!("v{n}")), BLOCK_BYTES_MAX)
            };
            let app = Nothing {
                me: key.public().id(),
                validators: validators.clone(),
                wanted: wanted.clone(),
                bytes,
                undecided: Vec::new(),
                blocks: Vec::new(),
                commit: (n == 0).then(|| commit.clone()),
            };
            let wake = Arc::new(Notify::new());
            let start = Engine::start(config, app, Some(Arc::new(Key(key))), wake.clone());
            let engine = runtime.block_on(start).with_context(|| format!("engine {n} does not start"))?;
            peers.push(engine.addresses().first().cloned().context("an engine listens nowhere")?);
            engines.push(engine);
            wakes.push(wake);
        }
        let mut engines = Self { wanted, wakes, commits, height: 0, engines, runtime, _folder: folder };
        // By then they know each other.
        engines.decide(1)?;
        Ok(engines)
    }

    /// Decides so many heights, one after the other without a pause, and gives how long that took at the first engine.
    ///
    /// # Errors
    /// If they do not agree before long.
    pub(super) fn decide(&mut self, heights: u64) -> anyhow::Result<Duration> {
        let last = self.height + heights;
        let start = Instant::now();
        self.wanted.store(last, Ordering::SeqCst);
        self.wakes.iter().for_each(|wake| wake.notify_one());
        while self.height < last {
            let height = self.commits.recv_timeout(PATIENCE).context("the engines alone do not decide a height")?;
            ensure!(height == self.height + 1, "height {height} was committed after height {}", self.height);
            self.height = height;
        }
        Ok(start.elapsed())
    }

    /// How long `count` heights take, each from rest.
    ///
    /// # Errors
    /// As [`Engines::decide`].
    pub(super) fn waits(&mut self, count: usize, gap: Duration) -> anyhow::Result<Durations> {
        let mut waits = Durations::with_capacity(count);
        for _ in 0..count {
            waits.push(self.decide(1)?);
            std::thread::sleep(gap);
        }
        Ok(waits)
    }
}

impl Drop for Engines {
    fn drop(&mut self) {
        self.engines.iter().for_each(Engine::stop);
        for engine in &mut self.engines {
            // How they end does not matter any more.
            let _ = self.runtime.block_on(engine.stopped());
        }
    }
}

/// A ledger in memory in which every value is good and says nothing.
struct Nothing {
    me: KeyId,
    validators: Vec<Validator>,
    wanted: Arc<AtomicU64>,
    bytes: usize,
    /// Values of the height after the tip.
    undecided: Vec<(Held, Bytes)>,
    blocks: Vec<(Bytes, Certificate)>,
    commit: Option<Sender<u64>>,
}

impl Nothing {
    fn hold(&mut self, round: u32, valid_round: Option<u32>, proposer: KeyId, value: Digest, bytes: Bytes) {
        self.undecided.push((Held { round, valid_round, proposer, value, valid: true }, bytes));
    }
}

impl Application for Nothing {
    fn tip(&self) -> u64 {
        self.blocks.len() as u64
    }

    fn validators(&self) -> Vec<Validator> {
        let mut order = self.validators.clone();
        let first = self.blocks.len() % order.len();
        order.rotate_left(first);
        order
    }

    fn has_work(&self) -> bool {
        self.wanted.load(Ordering::SeqCst) > self.tip()
    }

    fn value_of(&self, bytes: &[u8]) -> Option<Digest> {
        Some(Domain::Block.hash(&[bytes.get(..HEAD)?]))
    }

    fn propose(&mut self, height: u64, round: u32) -> Result<Proposed, Fatal> {
        let mut bytes = [&height.to_le_bytes()[..], &round.to_le_bytes(), &self.me.0].concat();
        let value = Domain::Block.hash(&[&bytes]);
        bytes.resize(self.bytes.max(HEAD), 0);
        let bytes = Bytes::from(bytes);
        self.hold(round, None, self.me, value, bytes.clone());
        Ok(Proposed { value, bytes })
    }

    fn judge(&mut self, candidate: Candidate) -> Result<Verdict, Fatal> {
        let Candidate { round, valid_round, proposer, value, bytes, .. } = candidate;
        self.hold(round, valid_round, proposer, value, bytes);
        Ok(Verdict::Valid)
    }

    fn undecided(&mut self, _: u64) -> Result<Vec<Held>, Fatal> {
        Ok(self.undecided.iter().map(|(held, _)| held.clone()).collect())
    }

    fn undecided_bytes(&self, _: u64, value: &Digest) -> Result<Option<Bytes>, Fatal> {
        Ok(self.undecided.iter().find(|(held, _)| held.value == *value).map(|(_, bytes)| bytes.clone()))
    }

    fn commit(&mut self, value: Digest, certificate: Certificate) -> Result<(), Fatal> {
        let held = self.undecided.drain(..).find(|(held, _)| held.value == value);
        let (_, bytes) = held.ok_or_else(|| Fatal::new(format!("value {value} was decided, and is not held")))?;
        self.blocks.push((bytes, certificate));
        if let Some(commit) = &self.commit {
            // Nobody listens any more when the engines end.
            let _ = commit.send(self.tip());
        }
        Ok(())
    }

    fn decided(&self, height: u64) -> Result<Option<(Bytes, Certificate)>, Fatal> {
        let place = usize::try_from(height).ok().and_then(|height| height.checked_sub(1));
        Ok(place.and_then(|place| self.blocks.get(place)).cloned())
    }

    fn evidence(&mut self, evidence: Evidence) -> Result<(), Fatal> {
        Err(Fatal::new(format!("{} signed twice at height {}", evidence.offender, evidence.height)))
    }
}

/// A voting key without a guard.
struct Key(SecretKey);

impl VoteSigner for Key {
    fn public_key(&self) -> PublicKey {
        self.0.public()
    }

    fn sign_vote(&self, vote: &Vote) -> Result<(Vote, Signature), SignRefused> {
        Ok((*vote, self.0.sign_in(Domain::Vote, &vote.signed_bytes(&CHAIN))))
    }

    fn sign_proposal(&self, proposal: &Proposal) -> Result<Signature, SignRefused> {
        Ok(self.0.sign_in(Domain::Proposal, &proposal.signed_bytes(&CHAIN)))
    }

    fn sign_peer_claim(&self, claim: &PeerClaim) -> Result<Signature, SignRefused> {
        let key = SigningKey::from_bytes(&self.0.to_seed());
        Ok(Signature(key.sign(&claim.signed_bytes(&CHAIN)).to_bytes()))
    }
}
