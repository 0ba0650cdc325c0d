//! The swarm put together: gossip, questions, and who may connect at all.
//!
//! TCP, Noise, yamux. A connection whose peer does not answer a ping is closed, so that a peer behind a cut cable is called
//! again once the cable is whole.

use std::net::IpAddr;
use std::time::Duration;

use libp2p::gossipsub::{
    ConfigBuilder, IdentTopic, MessageAuthenticity, MessageId, TopicHash, ValidationMode, WhitelistSubscriptionFilter,
};
use libp2p::identity::Keypair;
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{PeerId, StreamProtocol, Swarm, SwarmBuilder, allow_block_list, noise, ping, tcp};
use writ_proto::hash::Digest;

use super::NetworkError;
use super::gate::{self, AsItIs, Gossip};
use super::limits;
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
/// How long a connection may take until both know who the other is.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(5);
/// Messages in one packet of gossip.
const MESSAGES_PER_PACKET: usize = 64;
/// Messages that wait for a peer that does not read: half of them its own, half passed on.
const UNREAD_MAX: usize = 128;
/// How long a message is remembered, so that it is heard once: longer than it is told of. Heard again after that it is
/// known to the ledger, and goes no further.
const HEARD_ONCE: Duration = Duration::from_secs(5);

#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    pub(super) limits: limits::Behaviour,
    pub(super) allowed: Toggle<allow_block_list::Behaviour<allow_block_list::AllowedPeers>>,
    pub(super) shut_out: allow_block_list::Behaviour<allow_block_list::BlockedPeers>,
    pub(super) ping: ping::Behaviour,
    pub(super) gate: gate::Behaviour,
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

    fn hashes(&self) -> [TopicHash; 2] {
        [self.records.hash(), self.checkpoints.hash()]
    }
}

/// Who may connect.
pub(super) struct Guests<'a> {
    pub(super) peers_max: u32,
    /// Those whom the configuration names: they may, whatever the bound says.
    pub(super) named: &'a [PeerId],
    /// Where some of them are.
    pub(super) addresses: &'a [IpAddr],
    /// Whether others may too.
    pub(super) open: bool,
}

/// A swarm of the chain `chain`.
pub(super) fn swarm(
    keys: Keypair,
    chain: &Digest,
    topics: &Topics,
    guests: &Guests<'_>,
) -> Result<Swarm<Behaviour>, NetworkError> {
    let fault = |error: &dyn std::fmt::Display| NetworkError::Start { reason: error.to_string() };
    let gossip = gossip(topics).map_err(|error| fault(&error))?;
    let Guests { peers_max, named, addresses, open } = *guests;
    let pull = request_response::Behaviour::with_codec(
        PullCodec,
        [(protocol(chain)?, ProtocolSupport::Full)],
        request_response::Config::default()
            .with_request_timeout(ANSWER_PATIENCE)
            .with_max_concurrent_streams(STREAMS_MAX),
    );
    let allowed = (!open).then(|| {
        let mut list = allow_block_list::Behaviour::<allow_block_list::AllowedPeers>::default();
        for peer in named {
            list.allow_peer(*peer);
        }
        list
    });
    let behaviour = Behaviour {
        limits: limits::Behaviour::new(peers_max, named, addresses.iter().copied()),
        allowed: allowed.into(),
        shut_out: allow_block_list::Behaviour::default(),
        ping: ping::Behaviour::new(ping::Config::new().with_interval(PING_EVERY).with_timeout(PING_PATIENCE)),
        gate: gate::Behaviour::new(gossip, topics.hashes(), named),
        pull,
    };
    let swarm = SwarmBuilder::with_existing_identity(keys)
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, || Yamux)
        .map_err(|error| fault(&error))?
        .with_behaviour(|_| behaviour)
        .map_err(|error| fault(&error))?
        .with_swarm_config(|config| config.with_idle_connection_timeout(IDLE))
        .with_connection_timeout(HANDSHAKE_PATIENCE)
        .build();
    Ok(swarm)
}

fn protocol(chain: &Digest) -> Result<StreamProtocol, NetworkError> {
    StreamProtocol::try_from_owned(format!("/writ/{chain}/pull/1"))
        .map_err(|error| NetworkError::Start { reason: error.to_string() })
}

/// Gossip of messages without authors (what they carry is signed), each named by the hash of its bytes, and passed on
/// only once this node has looked at it.
fn gossip(topics: &Topics) -> Result<Gossip, String> {
    let config = ConfigBuilder::default()
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(|message| {
            MessageId::from(Digest::of(&[message.topic.as_str().as_bytes(), b"\0", &message.data]).0.to_vec())
        })
        .max_transmit_size(GOSSIP_BYTES_MAX)
        .max_messages_per_rpc(Some(MESSAGES_PER_PACKET))
        .connection_handler_queue_len(UNREAD_MAX)
        .duplicate_cache_time(HEARD_ONCE)
        .heartbeat_initial_delay(Duration::from_millis(100))
        .heartbeat_interval(Duration::from_millis(500))
        .mesh_outbound_min(2)
        .mesh_n_low(4)
        .mesh_n(8)
        .mesh_n_high(12)
        .build()
        .map_err(|error| error.to_string())?;
    // No scores: they are kept for an hour of everybody who ever connected, and who is to be shut out is decided here.
    let only = WhitelistSubscriptionFilter(topics.hashes().into());
    let mut gossip =
        Gossip::new_with_subscription_filter_and_transform(MessageAuthenticity::Anonymous, config, only, AsItIs)?;
    for topic in [&topics.records, &topics.checkpoints] {
        gossip.subscribe(topic).map_err(|error| error.to_string())?;
    }
    Ok(gossip)
}
