//! Validators that lie, for tests: behind the feature `byzantine`, which no program that is shipped turns on.
//!
//! A liar runs the whole honest engine; what it says passes through two actors on its way to the network:
//!
//! ```text
//!   consensus --+
//!   host -------+--> the engine's own proxy --------------> Mask ----------------------> network
//!   sync -------+    votes and proposals dropped,           pieces, early proposals,
//!                    doubled, not listened to               tips, answers to who lags
//! ```
//!
//! The proxy is `arc-malachitebft-engine-byzantine`; the [`Mask`] is ours, for what the proxy cannot do. What the
//! *ledger* of a liar does wrong (a wrong result, an invalid record) needs nothing here: a test wraps its
//! [`Application`](crate::Application).
//!
//! A liar needs a [`VoteSigner`](crate::VoteSigner) that signs anything. With a guarded one its first second statement
//! for a step is refused, and that ends its engine: which is what the guard is for.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use malachitebft_app_channel::app::consensus::LivenessMsg;
use malachitebft_app_channel::app::engine::network::{NetworkMsg, NetworkRef};
use malachitebft_app_channel::app::engine::node::NodeRef;
use malachitebft_app_channel::app::engine::util::streaming::{StreamContent, StreamId, StreamMessage};
use malachitebft_app_channel::app::types::SignedConsensusMsg;
use malachitebft_core_types::{NilOrVal, Round, SignedVote, VoteType};
use malachitebft_engine_byzantine::{ByzantineConfig, ByzantineNetworkProxy, Trigger};
use malachitebft_signing::Signer as _;
use malachitebft_sync::{RawDecidedValue, Response};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use writ_proto::hash::Digest;

use crate::application::Proposed;
use crate::context::{Address, Announcement, Ctx, Height, Part, Proposal, ValueId, Vote};
use crate::error::EngineError;
use crate::parts::{CHUNK_BYTES, split};
use crate::signing::Guarded;

/// Makes another value out of an honest one.
pub type Twist = Arc<dyn Fn(&Proposed) -> Proposed + Send + Sync>;
/// Makes a value for a height of which not even the parent is known, and the round in which the liar may propose it;
/// `None`: not for this height.
pub type Guess = Arc<dyn Fn(u64) -> Option<(u32, Proposed)> + Send + Sync>;

/// What a liar does.
#[derive(Clone)]
#[non_exhaustive]
pub enum Act {
    /// Votes for two values, one of which nobody has.
    VoteTwice,
    /// Proposes two values, one of which nobody has.
    ProposeTwice,
    /// Proposes two values and sends the bytes of both.
    ProposeTwins(Twist),
    /// Never votes.
    DropVotes,
    /// Never proposes.
    DropProposals,
    /// Does not listen to what others propose.
    IgnoreProposals,
    /// Never precommits a value.
    PrecommitNil,
    /// Proposes a value and keeps its bytes to itself.
    WithholdParts,
    /// Sends other bytes than it announced.
    GarbageParts,
    /// Announces more bytes than a value may have, and sends them.
    OversizedParts,
    /// Proposes values for heights to come.
    ProposeEarly(Guess),
    /// Says that its tip is so much higher than it is.
    ExaggerateTip(u64),
    /// Answers nodes that lag with wrong values, wrong certificates, wrong heights, or nothing.
    AnswerFalsely,
}

impl fmt::Debug for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::VoteTwice => "VoteTwice",
            Self::ProposeTwice => "ProposeTwice",
            Self::ProposeTwins(_) => "ProposeTwins",
            Self::DropVotes => "DropVotes",
            Self::DropProposals => "DropProposals",
            Self::IgnoreProposals => "IgnoreProposals",
            Self::PrecommitNil => "PrecommitNil",
            Self::WithholdParts => "WithholdParts",
            Self::GarbageParts => "GarbageParts",
            Self::OversizedParts => "OversizedParts",
            Self::ProposeEarly(_) => "ProposeEarly",
            Self::ExaggerateTip(_) => "ExaggerateTip",
            Self::AnswerFalsely => "AnswerFalsely",
        })
    }
}

/// What a validator does wrong, all the time.
#[derive(Clone, Debug, Default)]
pub struct Misbehaviour(Vec<Act>);

impl Misbehaviour {
    /// Does all of `acts`. Some cannot go together: who never votes does not vote twice.
    pub fn new(acts: impl IntoIterator<Item = Act>) -> Self {
        Self(acts.into_iter().collect())
    }

    /// Stands between the engine and `network`; gives what the engine then takes for the network.
    pub(crate) async fn splice(
        &self,
        network: NetworkRef<Ctx>,
        me: Address,
        signer: Option<&Guarded>,
        supervisor: &NodeRef,
    ) -> Result<NetworkRef<Ctx>, EngineError> {
        let start_error = |error: &dyn fmt::Display| EngineError::Start { reason: format!("{error:#}") };
        let signer = signer.ok_or_else(|| start_error(&"only a validator can misbehave"))?;
        let mask = Mask { acts: self.0.clone(), network, me, signer: signer.clone() };
        let (mask, _) = Actor::spawn(None, mask, State::default()).await.map_err(|error| start_error(&error))?;

        let on = |wanted: fn(&Act) -> bool| if self.0.iter().any(wanted) { Trigger::Always } else { Trigger::Never };
        let config = ByzantineConfig::new(Some(0))
            .with_equivocate_votes(on(|act| matches!(act, Act::VoteTwice)))
            .with_equivocate_proposals(on(|act| matches!(act, Act::ProposeTwice)))
            .with_drop_votes(on(|act| matches!(act, Act::DropVotes)))
            .with_drop_proposals(on(|act| matches!(act, Act::DropProposals)))
            .with_drop_inbound_proposals(on(|act| matches!(act, Act::IgnoreProposals)));
        let proxy = ByzantineNetworkProxy::spawn(
            config,
            mask.clone(),
            Box::new(signer.clone()),
            Ctx,
            me,
            tracing::error_span!("byzantine"),
            Some(Box::new(|value: &ValueId| other(value))),
            Some(Box::new(|value: Option<&ValueId>| value.map_or(ValueId(Digest([0xee; 32])), other))),
        )
        .await
        .map_err(|error| start_error(&error))?;
        for actor in [mask.get_cell(), proxy.get_cell()] {
            actor.link(supervisor.get_cell());
        }
        Ok(proxy)
    }
}

/// A value that is not this one, and of which there are no bytes.
fn other(value: &ValueId) -> ValueId {
    let mut digest = value.0;
    digest.0[0] ^= 0xff;
    ValueId(digest)
}

/// Changes what leaves the node.
struct Mask {
    acts: Vec<Act>,
    network: NetworkRef<Ctx>,
    me: Address,
    signer: Guarded,
}

/// What a mask remembers.
#[derive(Default)]
struct State {
    /// Own values on their way out: what was announced, and the bytes so far.
    streams: BTreeMap<StreamId, (Announcement, Vec<u8>)>,
    /// How many values were made up.
    made_up: u64,
    /// How many answers were given to nodes that lag.
    answers: usize,
    /// The highest height for which something was proposed early.
    early: u64,
}

#[ractor::async_trait]
impl Actor for Mask {
    type Msg = NetworkMsg<Ctx>;
    type State = State;
    type Arguments = State;

    async fn pre_start(&self, _: ActorRef<Self::Msg>, state: State) -> Result<State, ActorProcessingErr> {
        Ok(state)
    }

    async fn handle(
        &self,
        _: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            NetworkMsg::PublishConsensusMsg(SignedConsensusMsg::Vote(vote)) => {
                self.propose_early(vote.message.height, state).await?;
                let vote = self.twisted(vote).await?;
                self.pass(NetworkMsg::PublishConsensusMsg(SignedConsensusMsg::Vote(vote)))
            }
            NetworkMsg::PublishLivenessMsg(LivenessMsg::Vote(vote)) => {
                let vote = self.twisted(vote).await?;
                self.pass(NetworkMsg::PublishLivenessMsg(LivenessMsg::Vote(vote)))
            }
            NetworkMsg::PublishProposalPart(piece) => self.publish(piece, state).await,
            NetworkMsg::BroadcastStatus(mut status) => {
                for act in &self.acts {
                    if let Act::ExaggerateTip(by) = act {
                        status.tip_height = Height(status.tip_height.0.saturating_add(*by));
                    }
                }
                self.pass(NetworkMsg::BroadcastStatus(status))
            }
            NetworkMsg::OutgoingResponse(request, Response::ValueResponse(mut response))
                if self.does(|act| matches!(act, Act::AnswerFalsely)) =>
            {
                state.answers += 1;
                match state.answers % 5 {
                    0 => response.values.clear(),
                    1 => response.values.iter_mut().for_each(spoil_value),
                    2 => response.values.iter_mut().for_each(spoil_certificate),
                    3 => response.values.reverse(),
                    _ => return self.pass(NetworkMsg::CancelInboundRequest(request)),
                }
                self.pass(NetworkMsg::OutgoingResponse(request, Response::ValueResponse(response)))
            }
            other => self.pass(other),
        }
    }
}

impl Mask {
    fn does(&self, act: impl Fn(&Act) -> bool) -> bool {
        self.acts.iter().any(act)
    }

    fn pass(&self, message: NetworkMsg<Ctx>) -> Result<(), ActorProcessingErr> {
        Ok(self.network.cast(message)?)
    }

    /// The vote, or another in its place.
    async fn twisted(&self, vote: SignedVote<Ctx>) -> Result<SignedVote<Ctx>, ActorProcessingErr> {
        let is_for_value = vote.message.kind == VoteType::Precommit && vote.message.value != NilOrVal::Nil;
        if is_for_value && self.does(|act| matches!(act, Act::PrecommitNil)) {
            return Ok(self.signer.sign_vote(Vote { value: NilOrVal::Nil, ..vote.message }).await?);
        }
        Ok(vote)
    }

    /// A piece of an own value on its way out.
    async fn publish(&self, piece: StreamMessage<Part>, state: &mut State) -> Result<(), ActorProcessingErr> {
        let StreamMessage { stream_id, sequence, content } = &piece;
        match content {
            StreamContent::Data(Part::Announcement(announcement)) => {
                state.streams.insert(stream_id.clone(), (*announcement, Vec::new()));
                if self.does(|act| matches!(act, Act::OversizedParts)) {
                    self.oversized(stream_id, *announcement)?;
                    return Ok(());
                }
            }
            StreamContent::Data(Part::Data(bytes)) => {
                if let Some((_, whole)) = state.streams.get_mut(stream_id) {
                    whole.extend_from_slice(bytes);
                }
                if self.does(|act| matches!(act, Act::WithholdParts | Act::OversizedParts)) {
                    return Ok(());
                }
                if self.does(|act| matches!(act, Act::GarbageParts)) {
                    let garbage = bytes.iter().map(|byte| byte ^ 0x55).collect::<Bytes>();
                    let content = StreamContent::Data(Part::Data(garbage));
                    return self.pass(NetworkMsg::PublishProposalPart(StreamMessage::new(
                        stream_id.clone(),
                        *sequence,
                        content,
                    )));
                }
            }
            StreamContent::Fin => {
                if let Some((announcement, bytes)) = state.streams.remove(stream_id) {
                    self.propose_twins(announcement, bytes.into(), state).await?;
                }
            }
        }
        self.pass(NetworkMsg::PublishProposalPart(piece))
    }

    /// Announces what no node may keep, and sends pieces of it: as large as pieces may be, larger, and out of any
    /// order.
    fn oversized(&self, stream: &StreamId, announcement: Announcement) -> Result<(), ActorProcessingErr> {
        let sequences = [0, 1, 2, 3, 200, u64::MAX];
        for sequence in sequences {
            let content = match sequence {
                0 => Part::Announcement(Announcement { size: u32::MAX, ..announcement }),
                3 => Part::Data(vec![0; CHUNK_BYTES + 256].into()),
                _ => Part::Data(vec![0; CHUNK_BYTES].into()),
            };
            let piece = StreamMessage::new(stream.clone(), sequence, StreamContent::Data(content));
            self.pass(NetworkMsg::PublishProposalPart(piece))?;
        }
        Ok(())
    }

    /// After an own proposal another one for the same round, complete.
    async fn propose_twins(
        &self,
        announcement: Announcement,
        bytes: Bytes,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        let honest = Proposed { value: announcement.value, bytes };
        for act in &self.acts {
            if let Act::ProposeTwins(twist) = act {
                self.propose(announcement, &twist(&honest), state).await?;
            }
        }
        Ok(())
    }

    /// For the heights after the one under way, once each.
    async fn propose_early(&self, under_way: Height, state: &mut State) -> Result<(), ActorProcessingErr> {
        for act in &self.acts {
            let Act::ProposeEarly(guess) = act else { continue };
            for height in under_way.0 + 1..=under_way.0 + 6 {
                let (true, Some((round, proposed))) = (height > state.early, guess(height)) else { continue };
                state.early = height;
                let value = proposed.value;
                let announcement =
                    Announcement { height, round, valid_round: None, proposer: self.me.0, value, size: 0 };
                self.propose(announcement, &proposed, state).await?;
            }
        }
        Ok(())
    }

    /// Signs and sends a proposal and its bytes.
    async fn propose(
        &self,
        announcement: Announcement,
        proposed: &Proposed,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        let proposal = Proposal {
            height: Height(announcement.height),
            round: Round::new(announcement.round),
            value: ValueId(proposed.value),
            valid_round: Round::from(announcement.valid_round),
            proposer: self.me,
        };
        let signed = self.signer.sign_proposal(proposal).await?;
        self.pass(NetworkMsg::PublishConsensusMsg(SignedConsensusMsg::Proposal(signed)))?;
        let announcement = Announcement { value: proposed.value, size: proposed.bytes.len() as u32, ..announcement };
        state.made_up += 1;
        // Numbers that the host's own do not reach.
        for piece in split(announcement, &proposed.bytes, u64::MAX - state.made_up) {
            self.pass(NetworkMsg::PublishProposalPart(piece))?;
        }
        Ok(())
    }
}

fn spoil_value(value: &mut RawDecidedValue<Ctx>) {
    value.value_bytes = value.value_bytes.iter().map(|byte| byte ^ 1).collect();
}

fn spoil_certificate(value: &mut RawDecidedValue<Ctx>) {
    for signature in &mut value.certificate.commit_signatures {
        signature.signature.0.0[5] ^= 1;
    }
}
