//! The host: answers every question of the engine, in order, from the ledger.
//!
//! One loop, on the engine's own thread, owns the [`Application`]; its calls may block, and nothing else
//! waits for that thread. It hears three things: questions of the engine, what peers send (to know when an
//! idle node should go on), and wake-ups when there is work. Any error ends the loop, and with it the
//! engine.
//!
//! The order of a height, and what holds before each answer is given:
//!
//! 1. the height starts (held back until [`Pace`] sees a reason; no empty blocks while idle);
//! 2. a round starts: all values already held for the height are told, judged again;
//! 3. a value is asked for: the ledger has it on disk; or one arrives: the ledger has judged it, after its
//!    parent was applied, and has it on disk;
//! 4. a value is decided: the ledger has committed it, then peers may hear of it;
//! 5. the height is over: evidence is handed to the ledger, and all begins again at 1.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use malachitebft_app_channel::app::consensus::{MisbehaviorEvidence, VoteExtensionError};
use malachitebft_app_channel::app::engine::host::{
    HostMsg, LocallyProposedValue, Next, ProposedValue, SyncedValueOutcome,
};
use malachitebft_app_channel::app::engine::network::{
    Multiaddr, NetworkEvent, NetworkMsg, NetworkRef, PersistentPeerError, PersistentPeersOp,
};
use malachitebft_app_channel::app::engine::sync::SyncMsg;
use malachitebft_app_channel::app::engine::util::output_port::OutputPort;
use malachitebft_core_types::{
    CommitCertificate, HeightParams, LinearTimeouts, Round, SignedProposal, SignedVote, Validity,
};
use malachitebft_sync::{HeightStartType, RawDecidedValue};
use ractor::RpcReplyPort;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tracing::{debug, info, warn};
use writ_proto::certificate::quorum;
use writ_proto::key::KeyId;

use crate::admission::{Admission, Arrival, HEIGHTS_AHEAD};
use crate::application::{Application, Candidate, Evidence, Fatal, Held, Proposed, Source, Statement, Verdict};
use crate::codec;
use crate::config::SYNC_RESPONSE_BYTES_MAX;
use crate::context::{Address, Announcement, Ctx, Height, Members, ValueId, number};
use crate::error::EngineError;
use crate::pace::{Pace, Reason};
use crate::parts::{Reassembly, split};
use crate::signing::{Checker, SignRefused};

/// What the owner of the engine asks of it.
pub(crate) enum Command {
    AddPeer(Multiaddr, RpcReplyPort<Result<(), PersistentPeerError>>),
    /// Whether anybody is there.
    Pulse(oneshot::Sender<()>),
    Stop,
}

/// All that the host hears.
pub(crate) struct Ears {
    pub(crate) questions: mpsc::Receiver<HostMsg<Ctx>>,
    pub(crate) heard: mpsc::Receiver<NetworkEvent<Ctx>>,
    pub(crate) work: Arc<Notify>,
    pub(crate) refusals: mpsc::UnboundedReceiver<SignRefused>,
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
}

/// The start of a height, which the engine waits for.
enum Start {
    /// Of its first height.
    First {
        reply: RpcReplyPort<(Height, HeightParams<Ctx>)>,
        /// Whether that height was already under way before a restart.
        under_way: bool,
    },
    /// Of the one after a decision.
    Next(RpcReplyPort<Next<Ctx>>),
}

/// What the host needs to know about its node.
pub(crate) struct Setting {
    /// The id of the voting key, of a node that has one.
    pub(crate) me: Option<KeyId>,
    pub(crate) checker: Checker,
    pub(crate) timeouts: LinearTimeouts,
    pub(crate) value_bytes_max: usize,
    pub(crate) network: NetworkRef<Ctx>,
    pub(crate) sync: Arc<OutputPort<SyncMsg<Ctx>>>,
    pub(crate) addresses: watch::Sender<Vec<String>>,
    /// How long the first height waits for a quorum to be connected.
    pub(crate) gather: Duration,
}

pub(crate) struct Host {
    app: Box<dyn Application>,
    setting: Setting,
    /// The last committed height, and the validators of the one after it.
    tip: u64,
    members: Members,
    /// The start of a height that is held back while the chain is idle.
    held_back: Option<Start>,
    pace: Pace,
    reassembly: Reassembly,
    admission: Admission,
    /// How many values were published.
    published: u64,
    /// Until when the first height waits for a quorum to be connected; `None`: no longer.
    gathering: Option<Instant>,
}

impl Host {
    /// A host for `app`, where it stands now.
    pub(crate) fn new(app: Box<dyn Application>, setting: Setting) -> Result<Self, EngineError> {
        let (tip, members) = standing(app.as_ref())?;
        Ok(Self {
            tip,
            members,
            held_back: None,
            pace: Pace::new(),
            reassembly: Reassembly::new(setting.value_bytes_max),
            admission: Admission::new(setting.checker),
            published: 0,
            gathering: Some(Instant::now() + setting.gather),
            app,
            setting,
        })
    }

    /// Answers until it is told to stop, or cannot go on. `ended` is the end of the engine's actors.
    pub(crate) async fn run(mut self, mut ears: Ears, ended: &mut JoinHandle<()>) -> Result<(), EngineError> {
        let outcome = loop {
            let heard = tokio::select! {
                question = ears.questions.recv() => match question {
                    Some(question) => self.answer(question),
                    None => Err(EngineError::Halted),
                },
                Some(event) = ears.heard.recv() => self.hear(event),
                () = ears.work.notified() => self.start_if_due(),
                () = until(self.gathering) => {
                    self.gathering = None;
                    self.start_if_due()
                }
                Some(refusal) = ears.refusals.recv() => Err(refusal.into()),
                _ = &mut *ended => Err(EngineError::Halted),
                command = ears.commands.recv() => match command {
                    Some(Command::AddPeer(address, reply)) => self.add_peer(address, reply),
                    Some(Command::Pulse(reply)) => {
                        // Whoever asked may have given up.
                        let _ = reply.send(());
                        Ok(())
                    }
                    // Without an owner the engine has no purpose.
                    Some(Command::Stop) | None => break Ok(()),
                },
            };
            if let Err(error) = heard {
                break Err(error);
            }
        };
        // A refusal ends the actors too, and either may be noticed first: the refusal is the reason.
        match ears.refusals.try_recv() {
            Ok(refusal) => Err(refusal.into()),
            Err(_) => outcome,
        }
    }

    fn answer(&mut self, question: HostMsg<Ctx>) -> Result<(), EngineError> {
        match question {
            HostMsg::ConsensusReady { reply_to } => self.ready(reply_to),
            HostMsg::StartedRound { height, round, role, reply_to, .. } => {
                debug!(%height, %round, ?role, "round");
                let values = self.held_values(height)?;
                answer(reply_to, values);
                Ok(())
            }
            HostMsg::GetValue { height, round, reply_to, .. } => self.propose(height, round, reply_to),
            HostMsg::ReceivedProposalPart { from, published_by, part, reply_to } => {
                let wanted = self.tip.saturating_add(1)..=self.tip.saturating_add(HEIGHTS_AHEAD);
                let Some(whole) = self.reassembly.accept(from, published_by, part, &wanted) else { return Ok(()) };
                match self.app.value_of(&whole.bytes) {
                    Some(value) if value == whole.announcement.value => {
                        let arrival = Arrival { whole, value, reply: reply_to };
                        let due = self.admission.arrive(arrival, self.tip, &self.members);
                        due.map_or(Ok(()), |arrival| self.judge_arrival(arrival))
                    }
                    _ => {
                        debug!(%from, "a peer sent bytes that are not the value announced");
                        Ok(())
                    }
                }
            }
            HostMsg::RestreamValue { height, round, valid_round, address, value_id } => {
                self.restream(height, round, valid_round, address, value_id)
            }
            HostMsg::Decided { certificate, reply_to, .. } => self.commit(&certificate, reply_to),
            HostMsg::Finalized { certificate, evidence, reply_to, .. } => {
                self.hand_over(&evidence)?;
                self.pace.decided(certificate.height.0, Instant::now());
                self.held_back = Some(Start::Next(reply_to));
                self.start_if_due()
            }
            HostMsg::ProcessSyncedValue { height, round, proposer, value_bytes, reply_to } => {
                let outcome = self.judge_synced(height, round, proposer, value_bytes)?;
                answer(reply_to, outcome);
                Ok(())
            }
            HostMsg::GetHistoryMinHeight { reply_to } => {
                // Nothing is ever deleted.
                answer(reply_to, Height(1));
                Ok(())
            }
            HostMsg::GetDecidedValues { range, reply_to } => {
                let values = self.decided_values(range.start().0, range.end().0)?;
                answer(reply_to, values);
                Ok(())
            }
            // The policy of every height is to have no vote extensions.
            HostMsg::ExtendVote { reply_to, .. } => {
                answer(reply_to, None);
                Ok(())
            }
            HostMsg::VerifyVoteExtensions { extensions, reply_to, .. } => {
                answer(
                    reply_to,
                    extensions
                        .into_iter()
                        .map(|(voter, ())| (voter, Err(VoteExtensionError::InvalidVoteExtension)))
                        .collect(),
                );
                Ok(())
            }
        }
    }

    /// The engine can start. A height that was under way goes on at once; else the chain may stay idle.
    fn ready(&mut self, reply: RpcReplyPort<(Height, HeightParams<Ctx>)>) -> Result<(), EngineError> {
        let height = self.next();
        let under_way = !self.undecided(height.0)?.is_empty();
        self.held_back = Some(Start::First { reply, under_way });
        self.start_if_due()?;
        if self.held_back.is_some() {
            // Synchronisation takes its first height from the first start. Idle, this node still tells peers
            // its tip and serves those that lag, so it is told now.
            self.setting.sync.send(SyncMsg::StartedHeight(height, HeightStartType::Start));
        }
        Ok(())
    }

    /// Starts the next height, if the engine waits for that and there is a reason to.
    fn start_if_due(&mut self) -> Result<(), EngineError> {
        let under_way = match &self.held_back {
            None => return Ok(()),
            Some(Start::First { under_way, .. }) => *under_way,
            Some(Start::Next(_)) => false,
        };
        let votes = self.setting.me.is_some_and(|me| self.members.contains(&me));
        if votes && self.is_gathering() {
            return Ok(());
        }
        let has_work = under_way || (votes && self.app.has_work());
        let Some(reason) = self.pace.reason(self.tip, votes, has_work) else { return Ok(()) };
        self.start(reason);
        Ok(())
    }

    /// Whether too few validators are connected for a start to be of use, and not for long yet.
    ///
    /// After a crash of all, each asks for its last steps again. What it may then sign is what it signed before,
    /// and that helps only if the others hear it.
    fn is_gathering(&mut self) -> bool {
        let Some(until) = self.gathering else { return false };
        let me = self.setting.me.is_some_and(|me| self.members.contains(&me));
        let there = self.admission.introduced(&self.members) + usize::from(me);
        if Instant::now() < until && there < quorum(self.members.len()) {
            return true;
        }
        self.gathering = None;
        false
    }

    fn start(&mut self, reason: Reason) {
        let height = self.next();
        debug!(%height, ?reason, "height");
        self.pace.started(reason);
        // No target time: a height is over as soon as it is decided.
        let params = HeightParams::new(self.members.clone(), self.setting.timeouts, None);
        match self.held_back.take() {
            Some(Start::First { reply, .. }) => answer(reply, (height, params)),
            Some(Start::Next(reply)) => answer(reply, Next::Start(height, params)),
            None => {}
        }
    }

    /// The values held for `height`. The engine may have lost them in a crash, may not have been told them
    /// because their parent was not applied, or may know them already: then they change nothing.
    fn held_values(&mut self, height: Height) -> Result<Vec<ProposedValue<Ctx>>, EngineError> {
        if height != self.next() {
            warn!(%height, tip = self.tip, "a round of another height than the next");
            return Ok(Vec::new());
        }
        Ok(self.undecided(height.0)?.iter().map(|held| proposed(height, held)).collect())
    }

    fn propose(
        &mut self,
        height: Height,
        round: Round,
        reply: RpcReplyPort<LocallyProposedValue<Ctx>>,
    ) -> Result<(), EngineError> {
        let (Some(me), Ok(number), true) = (self.setting.me, number(round), height == self.next()) else {
            debug!(%height, %round, "asked too late for a value");
            return Ok(());
        };
        let Proposed { value, bytes } = self.app.propose(height.0, number).map_err(failed("propose a value"))?;
        if bytes.is_empty() || bytes.len() > self.setting.value_bytes_max {
            return Err(EngineError::ValueSize {
                height: height.0,
                found: bytes.len(),
                max: self.setting.value_bytes_max,
            });
        }
        answer(reply, LocallyProposedValue::new(height, round, ValueId(value)));
        let announcement =
            Announcement { height: height.0, round: number, valid_round: None, proposer: me, value, size: 0 };
        self.publish(announcement, &bytes);
        Ok(())
    }

    fn restream(
        &mut self,
        height: Height,
        round: Round,
        valid_round: Round,
        proposer: Address,
        value: ValueId,
    ) -> Result<(), EngineError> {
        let Ok(number) = number(round) else { return Ok(()) };
        let bytes = self.app.undecided_bytes(height.0, &value.0).map_err(failed("read an undecided value"))?;
        let Some(bytes) = bytes else {
            debug!(%height, %round, %value, "asked to send a value that is not held");
            return Ok(());
        };
        let announcement = Announcement {
            height: height.0,
            round: number,
            valid_round: valid_round.as_u32(),
            proposer: proposer.0,
            value: value.0,
            size: 0,
        };
        self.publish(announcement, &bytes);
        Ok(())
    }

    fn publish(&mut self, announcement: Announcement, bytes: &Bytes) {
        self.published += 1;
        let announcement = Announcement { size: bytes.len() as u32, ..announcement };
        for piece in split(announcement, bytes, self.published) {
            if self.setting.network.cast(NetworkMsg::PublishProposalPart(piece)).is_err() {
                // The network has ended, and with it the engine: the loop will notice.
                return;
            }
        }
    }

    /// Judges a value that arrived and that somebody vouches for, and answers whoever delivered its last piece.
    fn judge_arrival(&mut self, arrival: Arrival) -> Result<(), EngineError> {
        let Arrival { whole, value, reply } = arrival;
        let Announcement { height, round, valid_round, proposer, .. } = whole.announcement;
        let source = if valid_round.is_some() { Source::Reproposed } else { Source::Fresh };
        let candidate = Candidate { height, round, valid_round, proposer, value, bytes: whole.bytes, source };
        if let Some(proposed) = self.judge(candidate)? {
            answer(reply, proposed);
        }
        Ok(())
    }

    /// Judges all values that have become due.
    fn judge_waiting(&mut self) -> Result<(), EngineError> {
        while let Some(arrival) = self.admission.next(self.tip, &self.members) {
            self.judge_arrival(arrival)?;
        }
        Ok(())
    }

    fn judge_synced(
        &mut self,
        height: Height,
        round: Round,
        proposer: Address,
        bytes: Bytes,
    ) -> Result<SyncedValueOutcome<Ctx>, EngineError> {
        let (Ok(round), true) = (number(round), height == self.next()) else {
            return Ok(SyncedValueOutcome::LocalTransientError);
        };
        let Some(value) = self.app.value_of(&bytes).filter(|_| bytes.len() <= self.setting.value_bytes_max) else {
            return Ok(SyncedValueOutcome::PeerFault);
        };
        let candidate = Candidate {
            height: height.0,
            round,
            valid_round: None,
            proposer: proposer.0,
            value,
            bytes,
            source: Source::Synced,
        };
        Ok(match self.judge(candidate)? {
            Some(proposed) => {
                self.pace.fetched(height.0);
                SyncedValueOutcome::Verdict(proposed)
            }
            None => SyncedValueOutcome::LocalTransientError,
        })
    }

    fn judge(&mut self, candidate: Candidate) -> Result<Option<ProposedValue<Ctx>>, EngineError> {
        let Candidate { height, round, valid_round, proposer, value, source, .. } = candidate;
        let valid = match self.app.judge(candidate).map_err(failed("judge a value"))? {
            Verdict::Valid => true,
            Verdict::Invalid(reason) => {
                warn!(height, round, value = %value.to_short(), proposer = %proposer.to_short(), ?source, reason, "invalid value");
                false
            }
            Verdict::Later => {
                debug!(height, round, value = %value.to_short(), ?source, "value not judged yet");
                return Ok(None);
            }
        };
        Ok(Some(proposed(Height(height), &Held { round, valid_round, proposer, value, valid })))
    }

    fn commit(&mut self, certificate: &CommitCertificate<Ctx>, reply: RpcReplyPort<()>) -> Result<(), EngineError> {
        let (decided, value) = (certificate.height.0, certificate.value_id.0);
        if certificate.height != self.next() {
            return Err(EngineError::OutOfStep { decided, tip: self.tip });
        }
        let certificate =
            codec::from_engine(certificate).map_err(|_| EngineError::NoRound { height: decided, value })?;
        let (round, signatures) = (certificate.round, certificate.signatures.len());
        self.app.commit(value, certificate).map_err(failed("commit a value"))?;
        (self.tip, self.members) = standing(self.app.as_ref())?;
        if self.tip != decided {
            return Err(EngineError::OutOfStep { decided, tip: self.tip });
        }
        debug!(height = decided, round, value = %value.to_short(), signatures, "committed");
        // From now on peers may learn that this node has it.
        answer(reply, ());
        self.reassembly.prune(self.tip);
        self.admission.prune(self.tip, &self.members);
        self.judge_waiting()
    }

    fn decided_values(&self, first: u64, last: u64) -> Result<Vec<RawDecidedValue<Ctx>>, EngineError> {
        let (mut values, mut bytes) = (Vec::new(), 0);
        // The range is a peer's wish: it ends at the tip, and where the answer is full.
        for height in first.max(1)..=last.min(self.tip) {
            let decided = self.app.decided(height).map_err(failed("read a decided value"))?;
            let Some((value, certificate)) = decided else { break };
            bytes += value.len();
            if bytes > SYNC_RESPONSE_BYTES_MAX && !values.is_empty() {
                break;
            }
            values.push(RawDecidedValue::new(value, codec::to_engine(&certificate)));
        }
        Ok(values)
    }

    /// What a peer sent, before consensus has looked at it.
    fn hear(&mut self, event: NetworkEvent<Ctx>) -> Result<(), EngineError> {
        match event {
            NetworkEvent::Listening(address) => {
                info!(%address, "listening");
                self.setting.addresses.send_modify(|addresses| addresses.push(address.to_string()));
                return Ok(());
            }
            NetworkEvent::ValidatorProofReceived { peer_id, proof } => {
                self.admission.claim(peer_id, &proof, &self.members);
                self.judge_waiting()?;
            }
            NetworkEvent::Proposal(_, proposal) => {
                let height = proposal.message.height.0;
                if self.admission.proposal(&proposal, self.tip, &self.members) {
                    if self.pace.is_news(height, self.tip) {
                        self.pace.heard(height);
                    }
                    self.judge_waiting()?;
                }
            }
            NetworkEvent::Vote(_, vote) => {
                let height = vote.message.height.0;
                let voter = self.members.key(&vote.message.voter.0);
                let signed = |key| self.setting.checker.vote(&vote.message, &vote.signature, key);
                if self.pace.is_news(height, self.tip) && voter.is_some_and(signed) {
                    self.pace.heard(height);
                }
            }
            NetworkEvent::Status(_, status) => self.pace.claim(status.tip_height.0, Instant::now()),
            _ => {}
        }
        self.start_if_due()
    }

    /// Hands over who was caught. The engine keeps a few pairs for each offender and forgets them afterwards.
    fn hand_over(&mut self, caught: &MisbehaviorEvidence<Ctx>) -> Result<(), EngineError> {
        let chain = self.setting.checker.chain;
        let vote = |signed: &SignedVote<Ctx>| {
            let statement = signed.message.statement().ok()?;
            Some((
                statement.height,
                statement.round,
                Statement { bytes: statement.signed_bytes(&chain), signature: signed.signature.0 },
            ))
        };
        let proposal = |signed: &SignedProposal<Ctx>| {
            let statement = signed.message.statement().ok()?;
            Some((
                statement.height,
                statement.round,
                Statement { bytes: statement.signed_bytes(&chain), signature: signed.signature.0 },
            ))
        };
        let votes =
            caught.votes.iter().flat_map(|(offender, pairs)| pairs.iter().map(|(a, b)| (*offender, vote(a), vote(b))));
        let proposals = caught
            .proposals
            .iter()
            .flat_map(|(offender, pairs)| pairs.iter().map(|(a, b)| (*offender, proposal(a), proposal(b))));
        let all: Vec<_> = votes.chain(proposals).collect();
        for (offender, first, second) in all {
            // Statements without a round were never signed.
            let (Some((height, round, first)), Some((.., second))) = (first, second) else { continue };
            let offender = offender.0;
            warn!(offender = %offender.to_short(), height, round, "a validator signed two statements for one round");
            self.app.evidence(Evidence { offender, height, round, first, second }).map_err(failed("keep evidence"))?;
        }
        Ok(())
    }

    fn add_peer(
        &mut self,
        address: Multiaddr,
        reply: RpcReplyPort<Result<(), PersistentPeerError>>,
    ) -> Result<(), EngineError> {
        let request = NetworkMsg::UpdatePersistentPeers(PersistentPeersOp::Add(address), reply);
        self.setting.network.cast(request).map_err(|_| EngineError::Halted)
    }

    fn undecided(&mut self, height: u64) -> Result<Vec<Held>, EngineError> {
        self.app.undecided(height).map_err(failed("read the undecided values"))
    }

    fn next(&self) -> Height {
        Height(self.tip.saturating_add(1))
    }
}

/// Where the ledger stands: its tip, and the validators of the height after it.
fn standing(app: &dyn Application) -> Result<(u64, Members), EngineError> {
    let tip = app.tip();
    let members = Members::new(&app.validators())
        .map_err(|source| EngineError::Validators { height: tip.saturating_add(1), source })?;
    Ok((tip, members))
}

fn proposed(height: Height, held: &Held) -> ProposedValue<Ctx> {
    ProposedValue {
        height,
        round: Round::new(held.round),
        valid_round: Round::from(held.valid_round),
        proposer: Address(held.proposer),
        value: ValueId(held.value),
        validity: Validity::from_bool(held.valid),
    }
}

/// Completes at `then`; never, if there is no such instant.
async fn until(then: Option<Instant>) {
    match then {
        Some(then) => tokio::time::sleep_until(then.into()).await,
        None => std::future::pending().await,
    }
}

fn failed(doing: &'static str) -> impl FnOnce(Fatal) -> EngineError {
    move |source| EngineError::Application { doing, source }
}

/// Answers, unless whoever asked no longer waits.
fn answer<T>(reply: RpcReplyPort<T>, with: T) {
    if reply.send(with).is_err() {
        debug!("an answer came too late");
    }
}

#[cfg(test)]
mod tests;
