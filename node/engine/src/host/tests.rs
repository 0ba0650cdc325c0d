//! The host alone: questions as the engine asks them, a ledger that says what it is told to say, and a network
//! that records what is published.

use std::sync::Mutex;

use malachitebft_app_channel::app::engine::network::Status;
use malachitebft_app_channel::app::engine::util::streaming::StreamMessage;
use malachitebft_core_types::{CommitSignature, NilOrVal, SignedMessage, VoteType};
use malachitebft_peer::PeerId;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::oneshot;
use writ_proto::certificate::{self, Certificate};
use writ_proto::hash::{Digest, Domain};
use writ_proto::key::{SecretKey, Signature};

use super::*;
use crate::application::Validator;
use crate::context::{Part, Proposal, Vote};
use crate::parts::CHUNK_BYTES;
use crate::signing::Sig;

const CHAIN: Digest = Digest([9; 32]);
const TIP: u64 = 6;
const NEXT: u64 = TIP + 1;

/// A ledger without meaning: a value's digest is the hash of its bytes, and bytes that start with 0 are none.
#[derive(Clone)]
struct Mock(Arc<Mutex<State>>);

struct State {
    tip: u64,
    verdict: Verdict,
    undecided: Vec<(Held, Bytes)>,
    judged: Vec<Candidate>,
    proposed: usize,
    has_work: bool,
    advances: bool,
    fails: bool,
    size: usize,
}

fn digest(bytes: &[u8]) -> Digest {
    Domain::Block.hash(&[bytes])
}

fn certificate_of(height: u64) -> Certificate {
    Certificate { height, round: 0, block: Digest([1; 32]), signatures: vec![(KeyId([1; 32]), Signature([2; 64]))] }
}

impl Mock {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl Application for Mock {
    fn tip(&self) -> u64 {
        self.state().tip
    }
    fn validators(&self) -> Vec<Validator> {
        [1, 2, 3, 4].map(|n| Validator { name: format!("v{n}"), key: secret(n).public() }).to_vec()
    }
    fn has_work(&self) -> bool {
        self.state().has_work
    }
    fn value_of(&self, bytes: &[u8]) -> Option<Digest> {
        (bytes[0] != 0).then(|| digest(bytes))
    }
    fn propose(&mut self, _: u64, _: u32) -> Result<Proposed, Fatal> {
        let mut state = self.state();
        state.proposed += 1;
        let bytes = Bytes::from(vec![1; state.size]);
        Ok(Proposed { value: digest(&bytes), bytes })
    }
    fn judge(&mut self, candidate: Candidate) -> Result<Verdict, Fatal> {
        self.state().judged.push(candidate);
        Ok(self.state().verdict.clone())
    }
    fn undecided(&mut self, _: u64) -> Result<Vec<Held>, Fatal> {
        Ok(self.state().undecided.iter().map(|(held, _)| held.clone()).collect())
    }
    fn undecided_bytes(&self, _: u64, value: &Digest) -> Result<Option<Bytes>, Fatal> {
        Ok(self.state().undecided.iter().find(|(held, _)| held.value == *value).map(|(_, bytes)| bytes.clone()))
    }
    fn commit(&mut self, _: Digest, _: Certificate) -> Result<(), Fatal> {
        let mut state = self.state();
        if state.fails {
            return Err(Fatal::new("asked to"));
        }
        state.tip += u64::from(state.advances);
        Ok(())
    }
    fn decided(&self, height: u64) -> Result<Option<(Bytes, Certificate)>, Fatal> {
        assert!((1..=TIP).contains(&height), "only what is decided is read");
        Ok(Some((vec![1; self.state().size].into(), certificate_of(height))))
    }
    fn evidence(&mut self, _: Evidence) -> Result<(), Fatal> {
        Ok(())
    }
}

/// A network that keeps what is to be published.
struct Recorder(mpsc::UnboundedSender<StreamMessage<Part>>);

#[ractor::async_trait]
impl Actor for Recorder {
    type Msg = NetworkMsg<Ctx>;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Self::Msg>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(&self, _: ActorRef<Self::Msg>, message: Self::Msg, (): &mut ()) -> Result<(), ActorProcessingErr> {
        if let NetworkMsg::PublishProposalPart(piece) = message {
            self.0.send(piece)?;
        }
        Ok(())
    }
}

struct Bench {
    host: Host,
    app: Mock,
    published: mpsc::UnboundedReceiver<StreamMessage<Part>>,
}

fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

/// The number of the validator that proposes in `round`.
fn turn(round: u32) -> u8 {
    let app = Mock(Arc::new(Mutex::new(state())));
    let proposer = crate::proposer(&app.validators(), round).unwrap();
    (1..=4).find(|n| secret(*n).public().id() == proposer).unwrap()
}

fn peer(n: u8) -> PeerId {
    let keys = malachitebft_app_channel::app::types::Keypair::ed25519_from_bytes([n; 32]).unwrap();
    PeerId::from_bytes(&keys.public().to_peer_id().to_bytes()).unwrap()
}

fn state() -> State {
    let (undecided, judged) = (Vec::new(), Vec::new());
    State {
        tip: TIP,
        verdict: Verdict::Valid,
        undecided,
        judged,
        proposed: 0,
        has_work: false,
        advances: true,
        fails: false,
        size: 100,
    }
}

impl Bench {
    async fn new() -> Self {
        let app = Mock(Arc::new(Mutex::new(state())));
        let (record, published) = mpsc::unbounded_channel();
        let (network, _) = Actor::spawn(None, Recorder(record), ()).await.unwrap();
        let setting = Setting {
            me: Some(secret(1).public().id()),
            checker: Checker { chain: CHAIN },
            timeouts: LinearTimeouts::default(),
            value_bytes_max: 1024 * 1024,
            network,
            sync: Arc::new(OutputPort::new()),
            addresses: watch::channel(Vec::new()).0,
            gather: Duration::ZERO,
        };
        Self { host: Host::new(Box::new(app.clone()), setting).unwrap(), app, published }
    }

    /// Asks the host; the answer, if it gave one at once.
    fn ask<T>(&mut self, question: impl FnOnce(RpcReplyPort<T>) -> HostMsg<Ctx>) -> Option<T> {
        let (reply, mut answer) = oneshot::channel();
        self.host.answer(question(reply.into())).unwrap();
        answer.try_recv().ok()
    }

    /// Lets a value arrive in pieces; the answer to the last one, which may come later.
    fn deliver(&mut self, announcement: Announcement, bytes: &Bytes) -> oneshot::Receiver<ProposedValue<Ctx>> {
        let mut last = None;
        for part in split(announcement, bytes, 0) {
            let (reply, answer) = oneshot::channel();
            let reply_to = reply.into();
            let whole = matches!(&part.content.as_data(), Some(Part::Data(_)));
            let message = HostMsg::ReceivedProposalPart { from: peer(7), published_by: Some(peer(8)), part, reply_to };
            self.host.answer(message).unwrap();
            if whole {
                last = Some(answer);
            }
        }
        last.unwrap()
    }

    /// What was published, put together.
    async fn published(&mut self) -> (Announcement, Bytes) {
        let mut reassembly = Reassembly::new(1024 * 1024);
        loop {
            let piece = self.published.recv().await.unwrap();
            if let Some(whole) = reassembly.accept(peer(1), None, piece, &(1..=100)) {
                return (whole.announcement, whole.bytes);
            }
        }
    }

    fn synced(&mut self, height: u64, bytes: &'static [u8]) -> SyncedValueOutcome<Ctx> {
        let (round, proposer, value_bytes) = (Round::new(2), Address(KeyId([3; 32])), Bytes::from_static(bytes));
        self.ask(|reply_to| HostMsg::ProcessSyncedValue {
            height: Height(height),
            round,
            proposer,
            value_bytes,
            reply_to,
        })
        .expect("an answer")
    }
}

fn announcement(height: u64, round: u32, valid_round: Option<u32>, bytes: &Bytes) -> Announcement {
    let proposer = secret(turn(round)).public().id();
    Announcement { height, round, valid_round, proposer, value: digest(bytes), size: bytes.len() as u32 }
}

fn proposal(height: u64, round: u32, bytes: &[u8]) -> NetworkEvent<Ctx> {
    let by = secret(turn(round));
    let value = digest(bytes);
    let statement = certificate::Proposal { height, round, value, valid_round: None, proposer: by.public().id() };
    let signature = Sig(by.sign_in(Domain::Proposal, &statement.signed_bytes(&CHAIN)));
    NetworkEvent::Proposal(peer(7), SignedMessage::new(Proposal::from(statement), signature))
}

fn vote(height: u64, by: u8, chain: Digest) -> NetworkEvent<Ctx> {
    let (kind, round, value) = (VoteType::Prevote, Round::new(0), NilOrVal::Nil);
    let voter = Address(secret(by).public().id());
    let vote = Vote { kind, height: Height(height), round, value, voter, extension: None };
    let bytes = vote.statement().unwrap().signed_bytes(&chain);
    NetworkEvent::Vote(peer(7), SignedMessage::new(vote, Sig(secret(by).sign_in(Domain::Vote, &bytes))))
}

#[tokio::test]
async fn a_value_asked_for_is_answered_and_then_published() {
    let mut bench = Bench::new().await;
    bench.app.state().size = 3 * CHUNK_BYTES;
    let (height, round, timeout) = (Height(NEXT), Round::new(2), std::time::Duration::ZERO);
    let answer = bench.ask(|reply_to| HostMsg::GetValue { height, round, timeout, reply_to }).unwrap();
    let (announced, bytes) = bench.published().await;
    assert_eq!((answer.height, answer.round, answer.value.0), (height, round, digest(&bytes)));
    assert_eq!((announced.height, announced.round, announced.valid_round), (NEXT, 2, None));
    assert_eq!(announced.proposer, secret(1).public().id());
    // Too late, it is not even built: it would be for another parent.
    for height in [Height(TIP), Height(NEXT + 1)] {
        assert!(bench.ask(|reply_to| HostMsg::GetValue { height, round, timeout, reply_to }).is_none());
    }
    assert_eq!(bench.app.state().proposed, 1);
}

#[tokio::test]
async fn a_value_held_is_published_again_for_the_round_asked() {
    let mut bench = Bench::new().await;
    let bytes = Bytes::from(vec![3; CHUNK_BYTES + 1]);
    let held = Held { round: 0, valid_round: None, proposer: KeyId([5; 32]), value: digest(&bytes), valid: true };
    bench.app.state().undecided.push((held, bytes.clone()));
    let again = |value| HostMsg::RestreamValue {
        height: Height(NEXT),
        round: Round::new(3),
        valid_round: Round::new(0),
        address: Address(KeyId([6; 32])),
        value_id: ValueId(value),
    };
    bench.host.answer(again(Digest([0; 32]))).unwrap();
    bench.host.answer(again(digest(&bytes))).unwrap();
    let (announced, published) = bench.published().await;
    assert_eq!(published, bytes, "and what is not held is passed over");
    assert_eq!((announced.round, announced.valid_round, announced.proposer), (3, Some(0), KeyId([6; 32])));
}

#[tokio::test]
async fn what_is_held_is_told_when_a_round_starts() {
    let mut bench = Bench::new().await;
    for (n, valid) in [(3, true), (4, false)] {
        let bytes = Bytes::from(vec![n; 10]);
        let held = Held { round: 0, valid_round: None, proposer: KeyId([n; 32]), value: digest(&bytes), valid };
        bench.app.state().undecided.push((held, bytes));
    }
    let (proposer, role) = (Address(KeyId([3; 32])), malachitebft_app_channel::app::consensus::Role::Validator);
    for (height, round, want) in [(NEXT, 0, vec![true, false]), (NEXT, 1, vec![true, false]), (NEXT + 1, 0, vec![])] {
        let (height, round) = (Height(height), Round::new(round));
        let told = bench.ask(|reply_to| HostMsg::StartedRound { height, round, proposer, role, reply_to }).unwrap();
        let valid: Vec<_> = told.iter().map(|value| value.validity.is_valid()).collect();
        assert_eq!(valid, want, "height {height}, round {round}");
    }
}

#[tokio::test]
async fn a_value_is_judged_when_its_proposer_has_signed_for_it() {
    let mut bench = Bench::new().await;
    let bytes = Bytes::from(vec![3; CHUNK_BYTES + 1]);
    let mut answer = bench.deliver(announcement(NEXT, 0, None, &bytes), &bytes);
    assert!(answer.try_recv().is_err() && bench.app.state().judged.is_empty(), "anybody can publish pieces");
    bench.host.hear(proposal(NEXT, 0, &bytes)).unwrap();
    let proposed = answer.try_recv().expect("an answer");
    assert_eq!((proposed.value.0, proposed.validity.is_valid()), (digest(&bytes), true));
    let candidate = bench.app.state().judged.pop().unwrap();
    assert_eq!((candidate.source, candidate.bytes), (Source::Fresh, bytes));
}

#[tokio::test]
async fn a_verdict_goes_to_the_engine_as_it_is() {
    for (verdict, source, valid_round, want) in [
        (Verdict::Valid, Source::Fresh, None, Some(true)),
        (Verdict::Invalid("a reason".into()), Source::Fresh, None, Some(false)),
        (Verdict::Valid, Source::Reproposed, Some(0), Some(true)),
        (Verdict::Later, Source::Reproposed, Some(0), None),
    ] {
        let mut bench = Bench::new().await;
        bench.app.state().verdict = verdict.clone();
        let bytes = Bytes::from(vec![3; 10]);
        bench.host.hear(proposal(NEXT, 1, &bytes)).unwrap();
        let answer = bench.deliver(announcement(NEXT, 1, valid_round, &bytes), &bytes).try_recv().ok();
        assert_eq!(answer.map(|proposed| proposed.validity.is_valid()), want, "{verdict:?}");
        assert_eq!(bench.app.state().judged[0].source, source);
    }
}

#[tokio::test]
async fn bytes_that_are_not_the_value_announced_go_no_further() {
    let mut bench = Bench::new().await;
    let (bytes, none) = (Bytes::from(vec![3; 10]), Bytes::from(vec![0; 10]));
    for (value, sent) in [(digest(&bytes), &none), (digest(&none), &none), (digest(b"other"), &bytes)] {
        bench.host.hear(proposal(NEXT, 0, &bytes)).unwrap();
        let announcement = Announcement { value, ..announcement(NEXT, 0, None, sent) };
        assert!(bench.deliver(announcement, sent).try_recv().is_err());
    }
    assert!(bench.app.state().judged.is_empty());
}

#[tokio::test]
async fn a_value_ahead_is_judged_once_its_parent_is_committed() {
    let mut bench = Bench::new().await;
    let bytes = Bytes::from(vec![3; 10]);
    bench.host.hear(proposal(NEXT + 1, 0, &bytes)).unwrap();
    let mut answer = bench.deliver(announcement(NEXT + 1, 0, None, &bytes), &bytes);
    assert!(answer.try_recv().is_err() && bench.app.state().judged.is_empty());
    decide(&mut bench, NEXT).0.unwrap();
    assert!(answer.try_recv().is_ok());
}

/// Decides a value; whether that went well, and whether it was acknowledged.
fn decide(bench: &mut Bench, height: u64) -> (Result<(), EngineError>, bool) {
    let (reply, mut answer) = oneshot::channel();
    let commit_signatures = vec![CommitSignature::new(Address(KeyId([1; 32])), Sig(Signature([2; 64])))];
    let (round, value_id) = (Round::new(0), ValueId(Digest([4; 32])));
    let certificate = CommitCertificate { height: Height(height), round, value_id, commit_signatures };
    let question = HostMsg::Decided { certificate, extensions: Default::default(), reply_to: reply.into() };
    let outcome = bench.host.answer(question);
    (outcome, answer.try_recv().is_ok())
}

#[tokio::test]
async fn a_decision_is_acknowledged_only_for_the_next_height_and_once_the_ledger_has_it() {
    let mut bench = Bench::new().await;
    assert!(matches!(decide(&mut bench, NEXT), (Ok(()), true)));
    for height in [NEXT, NEXT + 2] {
        let (outcome, acknowledged) = decide(&mut bench, height);
        assert!(matches!(outcome, Err(EngineError::OutOfStep { decided, tip: NEXT }) if decided == height));
        assert!(!acknowledged);
    }
    bench.app.state().advances = false;
    assert!(
        matches!(decide(&mut bench, NEXT + 1), (Err(EngineError::OutOfStep { .. }), false)),
        "it stays where it is"
    );
    bench.app.state().fails = true;
    assert!(matches!(decide(&mut bench, NEXT + 1), (Err(EngineError::Application { .. }), false)), "it cannot write");
}

#[tokio::test]
async fn a_fetched_value_is_judged_blamed_on_its_peer_or_asked_for_again() {
    let mut bench = Bench::new().await;
    assert!(matches!(bench.synced(NEXT, &[0, 1]), SyncedValueOutcome::PeerFault), "no value at all");
    assert!(matches!(bench.synced(NEXT + 1, &[1]), SyncedValueOutcome::LocalTransientError), "of another height");
    let verdict = |bench: &mut Bench, verdict| {
        bench.app.state().verdict = verdict;
        bench.synced(NEXT, &[1])
    };
    let valid = |outcome| matches!(outcome, SyncedValueOutcome::Verdict(proposed) if proposed.validity.is_valid());
    assert!(valid(verdict(&mut bench, Verdict::Valid)));
    assert!(!valid(verdict(&mut bench, Verdict::Invalid(String::new()))));
    assert!(matches!(verdict(&mut bench, Verdict::Later), SyncedValueOutcome::LocalTransientError));
    let state = bench.app.state();
    assert_eq!(state.judged.len(), 3);
    assert!(state.judged.iter().all(|candidate| candidate.source == Source::Synced && candidate.round == 2));
}

#[tokio::test]
async fn a_range_of_decided_values_is_cut_to_what_there_is_and_what_fits() {
    let mut bench = Bench::new().await;
    let heights = |bench: &mut Bench, first, last| {
        let range = Height(first)..=Height(last);
        let values = bench.ask(|reply_to| HostMsg::GetDecidedValues { range, reply_to }).unwrap();
        values.iter().map(|value| value.certificate.height.0).collect::<Vec<_>>()
    };
    assert_eq!(heights(&mut bench, 2, 4), [2, 3, 4]);
    assert_eq!(heights(&mut bench, 0, u64::MAX), [1, 2, 3, 4, 5, 6]);
    assert_eq!(heights(&mut bench, 7, u64::MAX), [0; 0]);
    assert_eq!(heights(&mut bench, 4, 3), [0; 0]);
    bench.app.state().size = SYNC_RESPONSE_BYTES_MAX / 3 + 1;
    assert_eq!(heights(&mut bench, 1, 6), [1, 2]);
    assert_eq!(bench.ask(|reply_to| HostMsg::GetHistoryMinHeight { reply_to }), Some(Height(1)));
}

#[tokio::test]
async fn an_idle_validator_starts_when_a_validator_was_heard_and_for_nobody_else() {
    let mut bench = Bench::new().await;
    let (reply, mut start) = oneshot::channel();
    bench.host.answer(HostMsg::ConsensusReady { reply_to: reply.into() }).unwrap();
    for (case, event) in [
        ("a stranger's vote", vote(NEXT, 8, CHAIN)),
        ("a vote on another chain", vote(NEXT, 2, Digest([8; 32]))),
        ("a vote for what is decided", vote(TIP, 2, CHAIN)),
        ("a vote for the far future", vote(NEXT + 1000, 2, CHAIN)),
        ("a peer that is not ahead", NetworkEvent::Status(peer(7), Status::new(Height(TIP), Height(1)))),
        ("no event of interest", NetworkEvent::PeerConnected(peer(7))),
    ] {
        bench.host.hear(event).unwrap();
        assert!(start.try_recv().is_err(), "{case}");
    }
    bench.host.hear(vote(NEXT, 2, CHAIN)).unwrap();
    let (height, params) = start.try_recv().expect("started");
    assert_eq!((height, params.target_time), (Height(NEXT), None));
}

#[tokio::test]
async fn an_idle_validator_starts_for_work_for_a_proposal_and_to_catch_up() {
    for case in ["work", "a proposal", "a peer that is ahead", "a height under way"] {
        let mut bench = Bench::new().await;
        if case == "a height under way" {
            let held = Held { round: 0, valid_round: None, proposer: KeyId([1; 32]), value: digest(b"x"), valid: true };
            bench.app.state().undecided.push((held, Bytes::from_static(b"x")));
        }
        let (reply, mut start) = oneshot::channel();
        bench.host.answer(HostMsg::ConsensusReady { reply_to: reply.into() }).unwrap();
        if case != "a height under way" {
            assert!(start.try_recv().is_err(), "{case}");
        }
        bench.app.state().has_work = case == "work";
        let ahead = NetworkEvent::Status(peer(7), Status::new(Height(NEXT), Height(1)));
        match case {
            "work" => bench.host.start_if_due().unwrap(),
            "a proposal" => bench.host.hear(proposal(NEXT, 0, b"x")).unwrap(),
            "a peer that is ahead" => bench.host.hear(ahead).unwrap(),
            _ => {}
        }
        assert!(start.try_recv().is_ok(), "{case}");
    }
}

#[tokio::test]
async fn nobody_extends_votes() {
    let mut bench = Bench::new().await;
    let (height, round, value_id) = (Height(NEXT), Round::new(0), ValueId(Digest([1; 32])));
    let policy = malachitebft_core_types::VoteExtensionPolicy::Disabled;
    let none =
        bench.ask(|reply_to| HostMsg::ExtendVote { height, round, value_id, vote_extension_policy: policy, reply_to });
    assert_eq!(none, Some(None));
    let voter = Address(KeyId([1; 32]));
    let extensions = vec![(voter, ())];
    let refused = bench.ask(|reply_to| HostMsg::VerifyVoteExtensions { height, round, value_id, extensions, reply_to });
    assert_eq!(refused, Some(vec![(voter, Err(VoteExtensionError::InvalidVoteExtension))]));
}
