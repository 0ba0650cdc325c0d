//! A ledger in memory, signers, and nodes made of both.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use ed25519_dalek::Signer as _;
use tokio::sync::Notify;
use writ_engine::{
    Application, Candidate, Config, Engine, EngineError, Evidence, Fatal, Held, Network, PeerClaim, Proposed, Refusing,
    SignRefused, Source, Validator, Verdict, VoteSigner, proposer,
};
use writ_proto::certificate::{Certificate, Proposal, Vote, VoteKind, quorum};
use writ_proto::hash::{Digest, Domain};
use writ_proto::key::{KeyId, PublicKey, SecretKey, Signature};

pub(crate) const CHAIN: Digest = Digest([7; 32]);
pub(crate) const VALUE_BYTES_MAX: usize = 1024 * 1024;
/// How long anything may take before a test gives up: far longer than it does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

pub(crate) fn validators(of: impl IntoIterator<Item = u8>) -> Vec<Validator> {
    of.into_iter().map(|n| Validator { name: format!("v{n}"), key: secret(n).public() }).collect()
}

/// No item: a value that holds it is invalid.
pub(crate) const BAD_ITEM: u64 = u64::MAX;
/// Where in a value its result stands, and where its items begin.
pub(crate) const RESULT: std::ops::Range<usize> = 40..48;
pub(crate) const ITEMS_AT: usize = 56;

/// What a ledger holds. A value is: height, digest of the parent, result (the sum of all items of the chain, these
/// included), number of items, the items of 8 bytes each, and padding.
#[derive(Debug, Default)]
pub(crate) struct Store {
    pub(crate) blocks: Vec<(Bytes, Certificate)>,
    pub(crate) pool: Vec<u64>,
    pub(crate) padding: usize,
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) judged: Vec<(u64, Source)>,
    /// The heights of values that were found invalid.
    pub(crate) refused: Vec<u64>,
    pub(crate) fail_commit_of: Option<u64>,
    pub(crate) panic_in_propose: bool,
    /// How long judging takes.
    pub(crate) judging: Duration,
    /// What is done to a value before it is proposed: by a ledger that lies.
    pub(crate) twist: Option<fn(&mut Vec<u8>)>,
    /// The sum of all items.
    sum: u64,
    undecided: BTreeMap<(u64, Digest), (Held, Bytes)>,
}

impl Store {
    pub(crate) fn tip(&self) -> u64 {
        self.blocks.len() as u64
    }

    fn parent(&self) -> Digest {
        self.blocks.last().map_or(CHAIN, |(bytes, _)| digest(bytes))
    }

    pub(crate) fn items_of(bytes: &[u8]) -> Vec<u64> {
        let count = u64::from_le_bytes(bytes[RESULT.end..ITEMS_AT].try_into().unwrap()) as usize;
        bytes[ITEMS_AT..][..8 * count].chunks(8).map(|item| u64::from_le_bytes(item.try_into().unwrap())).collect()
    }

    /// All items, block by block.
    pub(crate) fn items(&self) -> Vec<u64> {
        self.blocks.iter().flat_map(|(bytes, _)| Self::items_of(bytes)).collect()
    }

    pub(crate) fn empty_blocks(&self) -> usize {
        self.blocks.iter().filter(|(bytes, _)| Self::items_of(bytes).is_empty()).count()
    }

    pub(crate) fn digests(&self) -> Vec<Digest> {
        self.blocks.iter().map(|(bytes, _)| digest(bytes)).collect()
    }

    /// Executes a value on what is stored: whether it follows, and its result is right.
    fn is_valid(&self, height: u64, bytes: &[u8]) -> bool {
        if bytes.len() < ITEMS_AT {
            return false;
        }
        let items = Self::items_of(bytes);
        let sum = items.iter().fold(self.sum, |sum, item| sum.wrapping_add(*item));
        height == self.tip() + 1
            && bytes[..8] == height.to_le_bytes()
            && bytes[8..40] == self.parent().0
            && bytes[RESULT] == sum.to_le_bytes()
            && !items.contains(&BAD_ITEM)
    }
}

pub(crate) fn digest(bytes: &[u8]) -> Digest {
    Domain::Block.hash(&[bytes])
}

/// The value that puts `items` after a parent whose result is `sum`.
pub(crate) fn value(height: u64, parent: Digest, sum: u64, items: &[u64]) -> Vec<u8> {
    let result = items.iter().fold(sum, |sum, item| sum.wrapping_add(*item));
    let count = items.len() as u64;
    let items: Vec<_> = items.iter().flat_map(|item| item.to_le_bytes()).collect();
    [&height.to_le_bytes()[..], &parent.0, &result.to_le_bytes(), &count.to_le_bytes(), &items].concat()
}

/// A ledger that any number of engines, one after another, may run on.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    pub(crate) me: Option<KeyId>,
    pub(crate) validators: Vec<Validator>,
    pub(crate) store: Arc<Mutex<Store>>,
    pub(crate) work: Arc<Notify>,
}

impl Ledger {
    pub(crate) fn new(me: Option<u8>, validators: Vec<Validator>) -> Self {
        Self { me: me.map(|n| secret(n).public().id()), validators, store: Arc::default(), work: Arc::default() }
    }

    /// Whose turn it is at `height`: everybody's in ascending order, one step with each height.
    pub(crate) fn order(&self, height: u64) -> Vec<Validator> {
        let mut order = self.validators.clone();
        order.sort_by_key(|validator| validator.key.id());
        if !order.is_empty() {
            let first = height as usize % order.len();
            order.rotate_left(first);
        }
        order
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap()
    }

    pub(crate) fn submit(&self, item: u64) {
        self.lock().pool.push(item);
        self.work.notify_one();
    }

    pub(crate) fn tip(&self) -> u64 {
        self.lock().tip()
    }

    /// Waits until `done` holds of what is stored.
    pub(crate) async fn until(&self, what: &str, done: impl Fn(&Store) -> bool) {
        let waiting = async {
            while !done(&self.lock()) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            panic!("{what}: still not so at height {}, {} in the pool", self.tip(), self.lock().pool.len());
        }
    }
}

impl Application for Ledger {
    fn tip(&self) -> u64 {
        self.lock().tip()
    }

    fn validators(&self) -> Vec<Validator> {
        self.order(self.tip() + 1)
    }

    fn has_work(&self) -> bool {
        !self.lock().pool.is_empty()
    }

    fn value_of(&self, bytes: &[u8]) -> Option<Digest> {
        let count = bytes.get(RESULT.end..ITEMS_AT)?.try_into().ok().map(u64::from_le_bytes)?;
        let items = bytes.len().checked_sub(ITEMS_AT)? as u64 / 8;
        (count <= items).then(|| digest(bytes))
    }

    fn propose(&mut self, height: u64, round: u32) -> Result<Proposed, Fatal> {
        assert!(!self.lock().panic_in_propose, "asked to");
        let mut store = self.lock();
        assert_eq!(height, store.tip() + 1, "only the next height is proposed");
        let me = self.me.expect("a proposer has a key");
        let mine = |held: &&(Held, Bytes)| held.0.round == round && held.0.proposer == me;
        if let Some((held, bytes)) = store.undecided.values().find(mine) {
            return Ok(Proposed { value: held.value, bytes: bytes.clone() });
        }
        let items: Vec<u64> = store.pool.iter().take(8).copied().collect();
        let mut bytes = value(height, store.parent(), store.sum, &items);
        bytes.resize(bytes.len() + store.padding, 0);
        if let Some(twist) = store.twist {
            twist(&mut bytes);
        }
        let bytes = Bytes::from(bytes);
        let value = digest(&bytes);
        store.undecided.insert(
            (height, value),
            (Held { round, valid_round: None, proposer: me, value, valid: true }, bytes.clone()),
        );
        Ok(Proposed { value, bytes })
    }

    fn judge(&mut self, candidate: Candidate) -> Result<Verdict, Fatal> {
        let Candidate { height, round, valid_round, proposer: turn, value, bytes, source } = candidate;
        std::thread::sleep(self.lock().judging);
        let mut store = self.lock();
        assert_eq!(height, store.tip() + 1, "only the next height is judged");
        assert_eq!(value, digest(&bytes));
        assert_eq!(turn, proposer(&self.order(height), round).unwrap(), "and only what is proposed in turn");
        store.judged.push((height, source));
        if !store.is_valid(height, &bytes) {
            store.refused.push(height);
            return Ok(Verdict::Invalid("does not follow from the tip".into()));
        }
        store
            .undecided
            .insert((height, value), (Held { round, valid_round, proposer: turn, value, valid: true }, bytes));
        Ok(Verdict::Valid)
    }

    fn undecided(&mut self, height: u64) -> Result<Vec<Held>, Fatal> {
        let store = self.lock();
        Ok(store
            .undecided
            .values()
            .filter(|(_, bytes)| store.is_valid(height, bytes))
            .map(|(held, _)| held.clone())
            .collect())
    }

    fn undecided_bytes(&self, height: u64, value: &Digest) -> Result<Option<Bytes>, Fatal> {
        Ok(self.lock().undecided.get(&(height, *value)).map(|(_, bytes)| bytes.clone()))
    }

    fn commit(&mut self, value: Digest, certificate: Certificate) -> Result<(), Fatal> {
        let mut store = self.lock();
        let height = store.tip() + 1;
        if store.fail_commit_of == Some(height) {
            return Err(Fatal::new("the disk is on fire"));
        }
        let (_, bytes) = store.undecided.get(&(height, value)).cloned().expect("a decided value is held");
        assert!(store.is_valid(height, &bytes), "and follows the tip");
        verify(&self.validators, height, value, &certificate);
        let items = Store::items_of(&bytes);
        store.pool.retain(|item| !items.contains(item));
        store.sum = items.iter().fold(store.sum, |sum, item| sum.wrapping_add(*item));
        store.blocks.push((bytes, certificate));
        store.undecided.retain(|(of, _), _| *of > height);
        Ok(())
    }

    fn decided(&self, height: u64) -> Result<Option<(Bytes, Certificate)>, Fatal> {
        Ok(self.lock().blocks.get(height as usize - 1).cloned())
    }

    fn evidence(&mut self, evidence: Evidence) -> Result<(), Fatal> {
        self.lock().evidence.push(evidence);
        Ok(())
    }
}

/// A certificate is what an auditor checks: signed precommits of a quorum.
pub(crate) fn verify(validators: &[Validator], height: u64, value: Digest, certificate: &Certificate) {
    assert_eq!((certificate.height, certificate.block), (height, value));
    assert!(certificate.signatures.len() >= quorum(validators.len()), "a quorum signed");
    assert!(certificate.signatures.windows(2).all(|pair| pair[0].0 < pair[1].0), "each once, in order");
    for (voter, signature) in &certificate.signatures {
        let key = validators.iter().map(|v| v.key).find(|key| key.id() == *voter).expect("signers are validators");
        let vote =
            Vote { kind: VoteKind::Precommit, height, round: certificate.round, value: Some(value), voter: *voter };
        key.verify(&vote.signed_bytes(&CHAIN), signature).expect("signatures fit");
    }
}

/// Signs like a guard does: one statement for each step, in ascending order; or refuses from a height on.
pub(crate) struct TestSigner {
    key: SecretKey,
    signed: Mutex<BTreeMap<(u64, u32, u8), Vec<u8>>>,
    /// The votes among them.
    votes: Mutex<BTreeMap<(u64, u32, u8), Vote>>,
    /// Steps for which it signed two statements.
    doubled: Mutex<BTreeSet<(u64, u32, u8)>>,
    refuse_from: u64,
    guarded: bool,
}

impl TestSigner {
    pub(crate) fn new(n: u8) -> Arc<Self> {
        Arc::new(Self::made(n, u64::MAX, true))
    }

    /// Refuses from `height` on.
    pub(crate) fn refusing(n: u8, height: u64) -> Arc<Self> {
        Arc::new(Self::made(n, height, true))
    }

    /// Signs whatever it is asked to.
    pub(crate) fn reckless(n: u8) -> Arc<Self> {
        Arc::new(Self::made(n, u64::MAX, false))
    }

    fn made(n: u8, refuse_from: u64, guarded: bool) -> Self {
        let (signed, votes, doubled) = Default::default();
        Self { key: secret(n), signed, votes, doubled, refuse_from, guarded }
    }

    /// It signed this prevote of height 1, round 0, before its engine lost what it knew.
    pub(crate) fn has_prevoted(&self, value: Option<Digest>) {
        let voter = self.key.public().id();
        self.sign_vote(&Vote { kind: VoteKind::Prevote, height: 1, round: 0, value, voter }).unwrap();
    }

    /// It keeps only the last of what it signed, as a guard does after many rounds.
    pub(crate) fn forget_all_but_the_last(&self) {
        let (mut signed, mut votes) = (self.signed.lock().unwrap(), self.votes.lock().unwrap());
        let last = *signed.keys().next_back().unwrap();
        signed.retain(|step, _| *step == last);
        votes.retain(|step, _| *step == last);
    }

    /// What it signed as a vote of this step.
    pub(crate) fn voted(&self, kind: VoteKind, height: u64, round: u32) -> Option<Option<Digest>> {
        self.votes.lock().unwrap().get(&(height, round, number(kind))).map(|vote| vote.value)
    }

    /// The heights of what it has signed.
    pub(crate) fn heights(&self) -> Vec<u64> {
        self.signed.lock().unwrap().keys().map(|step| step.0).collect()
    }

    /// The heights at which it signed two proposals for one round.
    #[cfg(feature = "byzantine")]
    pub(crate) fn proposed_twice(&self) -> Vec<u64> {
        self.doubled.lock().unwrap().iter().filter(|step| step.2 == 0).map(|step| step.0).collect()
    }

    fn sign(&self, step: (u64, u32, u8), domain: Domain, bytes: Vec<u8>) -> Result<Signature, SignRefused> {
        let refuse = |reason: &str| {
            Err(SignRefused { what: format!("step {step:?}"), reason: reason.into(), because: Refusing::Guard })
        };
        if step.0 >= self.refuse_from {
            return refuse("the guard is shut");
        }
        let mut signed = self.signed.lock().unwrap();
        if self.guarded {
            if signed.get(&step).is_some_and(|other| *other != bytes) {
                return refuse("something else was signed for this step");
            }
            if !signed.contains_key(&step) && signed.keys().next_back().is_some_and(|last| *last > step) {
                return refuse("a later step was signed");
            }
        }
        let signature = self.key.sign_in(domain, &bytes);
        if signed.insert(step, bytes.clone()).is_some_and(|other| other != bytes) {
            self.doubled.lock().unwrap().insert(step);
        }
        Ok(signature)
    }
}

fn number(kind: VoteKind) -> u8 {
    if kind == VoteKind::Prevote { 1 } else { 2 }
}

impl VoteSigner for TestSigner {
    fn public_key(&self) -> PublicKey {
        self.key.public()
    }

    fn sign_vote(&self, vote: &Vote) -> Result<(Vote, Signature), SignRefused> {
        let step = (vote.height, vote.round, number(vote.kind));
        let before = self.votes.lock().unwrap().get(&step).copied();
        let again = before.filter(|before| self.guarded && !before.binds());
        let vote = again.unwrap_or(*vote);
        let signature = self.sign(step, Domain::Vote, vote.signed_bytes(&CHAIN))?;
        self.votes.lock().unwrap().insert(step, vote);
        Ok((vote, signature))
    }

    fn sign_proposal(&self, proposal: &Proposal) -> Result<Signature, SignRefused> {
        self.sign((proposal.height, proposal.round, 0), Domain::Proposal, proposal.signed_bytes(&CHAIN))
    }

    fn sign_peer_claim(&self, claim: &PeerClaim) -> Result<Signature, SignRefused> {
        let key = ed25519_dalek::SigningKey::from_bytes(&self.key.to_seed());
        Ok(Signature(key.sign(&claim.signed_bytes(&CHAIN)).to_bytes()))
    }
}

pub(crate) fn config(name: &str, home: &Path, network: Option<Network>) -> Config {
    Config { moniker: name.to_owned(), network, ..Config::new(CHAIN, home, VALUE_BYTES_MAX) }
}

/// A network on a port of its own, known to `peers`.
pub(crate) fn network(identity: u8, peers: Vec<String>) -> Network {
    Network::new(SecretKey::from_seed(&[100 + identity; 32]), "/ip4/127.0.0.1/tcp/0", peers)
}

/// Starts an engine for `ledger`.
pub(crate) async fn start(
    config: Config,
    ledger: &Ledger,
    signer: Option<Arc<TestSigner>>,
) -> Result<Engine, EngineError> {
    let signer = signer.map(|signer| signer as Arc<dyn VoteSigner>);
    Engine::start(config, ledger.clone(), signer, Arc::clone(&ledger.work)).await
}

/// Stops an engine and waits for its end.
pub(crate) async fn stop(mut engine: Engine) {
    engine.stop();
    engine.stopped().await.expect("an engine that is asked to stop has no error");
}

/// Lets time pass in which nothing should happen.
pub(crate) async fn idle() {
    tokio::time::sleep(Duration::from_millis(1500)).await;
}

/// Shows the engine's log, if asked for in `RUST_LOG`.
pub(crate) fn logs() {
    use tracing_subscriber::EnvFilter;
    let _ = tracing_subscriber::fmt().with_env_filter(EnvFilter::from_default_env()).with_test_writer().try_init();
}
