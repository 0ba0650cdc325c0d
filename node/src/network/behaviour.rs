//! The swarm put together: gossip, questions, and who may connect at all.
//!
//! TCP, Noise, yamux. A connection whose peer does not answer a ping is closed, so that a peer behind a cut cable is called
//! again once the cable is whole.

use std::time::Duration;

use libp2p::gossipsub::{
    self, ConfigBuilder, IdentTopic, MessageAuthenticity, MessageId, PeerScoreParams, PeerScoreThresholds,
    TopicScoreParams, ValidationMode,
};
use libp2p::identity::Keypair;
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{
    PeerId, StreamProtocol, Swarm, SwarmBuilder, allow_block_list, connection_limits, noise, ping, tcp,
};
use writ_proto::hash::Digest;

use super::NetworkError;
use super::muxer::Yamux;
use super::wire::{GOSSIP_BYTES_MAX, PullCodec};

/// How long a question may stay unanswered.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);
/// Questions of one connection that are answered at a time.
const STREAMS_MAX: usize = 16;
/// How often a peer is asked whether it is there, and how long it may take to say so.
const PING_EVERY: Duration = Duration::from_secs(2);
const PING_PATIENCE: Duration = Duration::from_secs(4);
/// How long a connection that carries nothing is kept.
const IDLE: Duration = Duration::from_secs(60);
/// Connections that are being made: who opens some and says nothing must not keep others out while they time out.
const PENDING_MAX: u32 = 1024;
/// Messages in one packet of gossip.
const MESSAGES_PER_PACKET: usize = 64;

#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    pub(super) limits: connection_limits::Behaviour,
    pub(super) allowed: Toggle<allow_block_list::Behaviour<allow_block_list::AllowedPeers>>,
    pub(super) shut_out: allow_block_list::Behaviour<allow_block_list::BlockedPeers>,
    pub(super) ping: ping::Behaviour,
    pub(super) gossip: gossipsub::Behaviour,
    pub(super) pull: request_response::Behaviour<PullCodec>,
}

/// What is gossiped about. The names carry the chain, so that nodes of different chains have nothing in common.
#[derive(Clone, Debug)]
pub(super) struct Topics {
    pub(super) records: IdentTopic,
    pub(super) checkpoints: IdentTopic,
}

impl Topics {
    pub(super) fn of(chain: &Digest) -> Self {
        let topic = |what: &str| IdentTopic::new(format!("/writ/{chain}/{what}/1"));
        Self { records: topic("records"), checkpoints: topic("checkpoints") }
    }
}

/// A swarm of the chain `chain`, for those who are `named`, whatever the bound says, and if it is `open` for others too.
pub(super) fn swarm(
    keys: Keypair,
    chain: &Digest,
    topics: &Topics,
    peers_max: u32,
    named: &[PeerId],
    open: bool,
) -> Result<Swarm<Behaviour>, NetworkError> {
    let fault = |error: &dyn std::fmt::Display| NetworkError::Start { reason: error.to_string() };
    let gossip = gossip(topics).map_err(|error| fault(&error))?;
    let pull = request_response::Behaviour::with_codec(
        PullCodec,
        [(protocol(chain)?, ProtocolSupport::Full)],
        request_response::Config::default()
            .with_request_timeout(ANSWER_PATIENCE)
            .with_max_concurrent_streams(STREAMS_MAX),
    );
    let limits = connection_limits::ConnectionLimits::default()
        .with_max_pending_incoming(Some(PENDING_MAX))
        .with_max_pending_outgoing(Some(PENDING_MAX))
        .with_max_established(Some(peers_max))
        .with_max_established_per_peer(Some(2));
    let mut limits = connection_limits::Behaviour::new(limits);
    named.iter().for_each(|peer| limits.bypass_peer_id(peer));
    let allowed = (!open).then(|| {
        let mut list = allow_block_list::Behaviour::<allow_block_list::AllowedPeers>::default();
        for peer in named {
            list.allow_peer(*peer);
        }
        list
    });
    let behaviour = Behaviour {
        limits,
        allowed: allowed.into(),
        shut_out: allow_block_list::Behaviour::default(),
        ping: ping::Behaviour::new(ping::Config::new().with_interval(PING_EVERY).with_timeout(PING_PATIENCE)),
        gossip,
        pull,
    };
    let swarm = SwarmBuilder::with_existing_identity(keys)
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, || Yamux)
        .map_err(|error| fault(&error))?
        .with_behaviour(|_| behaviour)
        .map_err(|error| fault(&error))?
        .with_swarm_config(|config| config.with_idle_connection_timeout(IDLE))
        .build();
    Ok(swarm)
}

fn protocol(chain: &Digest) -> Result<StreamProtocol, NetworkError> {
    StreamProtocol::try_from_owned(format!("/writ/{chain}/pull/1"))
        .map_err(|error| NetworkError::Start { reason: error.to_string() })
}

/// Gossip of messages without authors (what they carry is signed), each named by the hash of its bytes, and passed on
/// only once this node has looked at it.
fn gossip(topics: &Topics) -> Result<gossipsub::Behaviour, String> {
    let config = ConfigBuilder::default()
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(|message| {
            MessageId::from(Digest::of(&[message.topic.as_str().as_bytes(), b"\0", &message.data]).0.to_vec())
        })
        .max_transmit_size(GOSSIP_BYTES_MAX)
        .max_messages_per_rpc(Some(MESSAGES_PER_PACKET))
        .heartbeat_initial_delay(Duration::from_millis(100))
        .heartbeat_interval(Duration::from_millis(500))
        .mesh_outbound_min(2)
        .mesh_n_low(4)
        .mesh_n(8)
        .mesh_n_high(12)
        .build()
        .map_err(|error| error.to_string())?;
    let mut gossip = gossipsub::Behaviour::new(MessageAuthenticity::Anonymous, config)?;
    let params = PeerScoreParams {
        topics: [&topics.records, &topics.checkpoints].map(|topic| (topic.hash(), score())).into(),
        // Several nodes may stand behind one address, or on one machine.
        ip_colocation_factor_weight: 0.0,
        ..PeerScoreParams::default()
    };
    gossip.with_peer_score(params, PeerScoreThresholds::default())?;
    for topic in [&topics.records, &topics.checkpoints] {
        gossip.subscribe(topic).map_err(|error| error.to_string())?;
    }
    Ok(gossip)
}

/// Bad messages cost a peer its standing, the third about as much as gossip bears: by then it is shut out, and until then
/// it is heard. That it delivers few is no fault: an idle chain has nothing to tell.
fn score() -> TopicScoreParams {
    TopicScoreParams {
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: -10.0,
        ..TopicScoreParams::default()
    }
}
