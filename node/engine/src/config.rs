//! What a node chooses about its engine.

use std::path::PathBuf;
use std::time::Duration;

use malachitebft_app_channel::app::config::{
    ConsensusConfig, DiscoveryConfig, P2pConfig, ProtocolNames, PubSubMaxSizePerTopic, ValuePayload, ValueSyncConfig,
};
use malachitebft_app_channel::app::net::Multiaddr;
use malachitebft_core_types::LinearTimeouts;
use writ_proto::hash::Digest;
use writ_proto::key::SecretKey;

use crate::admission::HEIGHTS_AHEAD;
use crate::error::EngineError;
use crate::parts::CHUNK_BYTES;
use crate::witness::Witness;

/// Bytes of an answer to a peer that lags: several full blocks at once.
pub(crate) const SYNC_RESPONSE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes that a value may have at most, so that an answer holds one with its certificate.
const VALUE_BYTES_MAX: usize = SYNC_RESPONSE_BYTES_MAX - 64 * 1024;
/// Bytes that one message on a gossip topic may have, frame included.
const GOSSIP_BYTES_MAX: usize = 512 * 1024;
/// Connections from one address: several nodes behind one address translation, or on one test machine.
const CONNECTIONS_PER_IP: usize = 64;
/// How long an address that broke a connection waits before the next one (configured peers do not wait).
const RECONNECT_AFTER: Duration = Duration::from_secs(2);

/// What a node chooses about its engine.
#[derive(Clone, Debug)]
pub struct Config {
    /// The chain: hash of its genesis. Goes into everything that is signed.
    pub chain: Digest,
    /// What this node is called, in logs, metrics and towards peers.
    pub moniker: String,
    /// The node's directory; the engine's write-ahead log is `wal/consensus.wal` below it.
    pub home: PathBuf,
    /// How long each step waits for the others.
    pub timeouts: Timeouts,
    /// Bytes that a value may have, at most 8 MiB less 64 KiB. The same on all nodes of a chain.
    pub value_bytes_max: usize,
    /// How to reach the other nodes; `None`: there are none, and nothing listens.
    pub network: Option<Network>,
    /// Where it is noted what validators sign.
    pub witness: Witness,
    /// What this node does wrong, in a test.
    #[cfg(feature = "byzantine")]
    pub misbehaviour: Option<crate::misbehaviour::Misbehaviour>,
}

/// How long each step of a round waits for the others. A lone validator waits for nobody.
///
/// All nodes should use the same. Too short for the real latency costs rounds, never safety: each round adds
/// [`delta`](Self::delta).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the proposal, its bytes included.
    pub propose: Duration,
    /// For more prevotes, once a quorum of them disagrees.
    pub prevote: Duration,
    /// For more precommits, likewise.
    pub precommit: Duration,
    /// What each further round adds to each of the three.
    pub delta: Duration,
    /// How long a validator that is stuck waits before it sends its last votes again: this is also how long
    /// a chain that has lost its quorum takes to go on once it is back.
    pub rebroadcast: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            propose: Duration::from_millis(500),
            prevote: Duration::from_millis(200),
            precommit: Duration::from_millis(200),
            delta: Duration::from_millis(200),
            rebroadcast: Duration::from_secs(1),
        }
    }
}

impl Timeouts {
    pub(crate) fn linear(&self) -> LinearTimeouts {
        LinearTimeouts {
            propose: self.propose,
            propose_delta: self.delta,
            prevote: self.prevote,
            prevote_delta: self.delta,
            precommit: self.precommit,
            precommit_delta: self.delta,
            rebroadcast: self.rebroadcast,
            max_timeout: Duration::from_secs(30),
        }
    }
}

/// How to reach the other nodes.
#[derive(Clone, Debug)]
pub struct Network {
    /// The transport's own key: it names this node as a peer and signs nothing else. Never the voting key.
    pub identity: SecretKey,
    /// Where to listen, for example `/ip4/0.0.0.0/tcp/26656`; port 0 takes any.
    pub listen: String,
    /// Peers to stay connected to, for example `/ip4/192.0.2.7/tcp/26656`.
    pub peers: Vec<String>,
    /// Peers, by the peer id alone, that may connect by themselves although they are not in `peers`.
    pub allow: Vec<String>,
    /// Whether to talk to `peers` and `allow` only.
    pub only_peers: bool,
    /// How often to tell peers the own tip: how soon a node learns that it is behind.
    pub status_interval: Duration,
    /// How long to wait for a peer's answer when catching up.
    pub request_timeout: Duration,
    /// How long a validator that starts waits for a quorum to be connected, before it goes on with the height that
    /// was under way: what it signs again then reaches the others, and theirs reaches it.
    pub gather: Duration,
}

impl Network {
    /// Listens at `listen` and stays connected to `peers`, open to others, with the usual intervals.
    pub fn new(identity: SecretKey, listen: impl Into<String>, peers: Vec<String>) -> Self {
        let (status_interval, request_timeout) = (Duration::from_millis(500), Duration::from_secs(5));
        Self {
            identity,
            listen: listen.into(),
            peers,
            allow: Vec::new(),
            only_peers: false,
            status_interval,
            request_timeout,
            gather: Duration::from_secs(3),
        }
    }
}

/// A peer id as an address without a place: who may connect, not where to.
fn allowed(id: &str) -> Result<Multiaddr, EngineError> {
    format!("/p2p/{id}")
        .parse()
        .map_err(|error| EngineError::Address { found: id.into(), reason: format!("not a peer id: {error}") })
}

/// An address as typed.
pub(crate) fn address(text: &str) -> Result<Multiaddr, EngineError> {
    let malformed = |reason: String| EngineError::Address { found: text.into(), reason };
    let address: Multiaddr = text.parse().map_err(|error| malformed(format!("{error}")))?;
    // The engine panics on an address without a transport that it knows.
    match address.protocol_stack().any(|protocol| protocol == "tcp") {
        true => Ok(address),
        false => Err(malformed("expected an address such as `/ip4/127.0.0.1/tcp/26656`".into())),
    }
}

impl Config {
    /// Of a node of `chain` that lives in `home`: without a network, with the usual timeouts.
    pub fn new(chain: Digest, home: impl Into<PathBuf>, value_bytes_max: usize) -> Self {
        Self {
            chain,
            moniker: "writ".into(),
            home: home.into(),
            timeouts: Timeouts::default(),
            value_bytes_max,
            network: None,
            witness: Witness::default(),
            #[cfg(feature = "byzantine")]
            misbehaviour: None,
        }
    }

    /// The engine's configuration. Without a network its network part is not used.
    pub(crate) fn consensus(&self) -> Result<ConsensusConfig, EngineError> {
        if !(1..=VALUE_BYTES_MAX).contains(&self.value_bytes_max) {
            return Err(EngineError::ValueBound { found: self.value_bytes_max, max: VALUE_BYTES_MAX });
        }
        // Names of protocols carry the chain, so nodes of different chains do not even meet.
        let chain = self.chain.to_short();
        let p2p = match &self.network {
            None => P2pConfig::default(),
            Some(network) => P2pConfig {
                listen_addr: address(&network.listen)?,
                persistent_peers: network
                    .peers
                    .iter()
                    .map(|peer| address(peer))
                    .chain(network.allow.iter().map(|id| allowed(id)))
                    .collect::<Result<_, _>>()?,
                persistent_peers_only: network.only_peers,
                discovery: DiscoveryConfig {
                    enabled: false,
                    max_connections_per_ip: CONNECTIONS_PER_IP,
                    ip_throttle_duration: RECONNECT_AFTER,
                    ..DiscoveryConfig::default()
                },
                pubsub_max_size: bytes(GOSSIP_BYTES_MAX),
                pubsub_max_size_per_topic: PubSubMaxSizePerTopic {
                    consensus: Some(bytes(4 * 1024)),
                    proposal_parts: Some(bytes(CHUNK_BYTES + 1024)),
                    liveness: Some(bytes(64 * 1024)),
                },
                rpc_max_size: bytes(SYNC_RESPONSE_BYTES_MAX + 1024 * 1024),
                protocol_names: ProtocolNames {
                    consensus: format!("/writ/{chain}/consensus/1"),
                    discovery_kad: format!("/writ/{chain}/kad/1"),
                    discovery_regres: format!("/writ/{chain}/discovery/1"),
                    sync: format!("/writ/{chain}/sync/1"),
                    validator_proof: format!("/writ/{chain}/validator/1"),
                },
                ..P2pConfig::default()
            },
        };
        let queue_capacity = HEIGHTS_AHEAD as usize;
        Ok(ConsensusConfig {
            p2p,
            value_payload: ValuePayload::ProposalAndParts,
            queue_capacity,
            ..ConsensusConfig::default()
        })
    }

    /// How the engine catches up. Without a network there is nobody to catch up with.
    pub(crate) fn sync(&self) -> ValueSyncConfig {
        let Some(network) = &self.network else {
            return ValueSyncConfig { enabled: false, ..ValueSyncConfig::default() };
        };
        ValueSyncConfig {
            enabled: true,
            status_update_interval: network.status_interval,
            request_timeout: network.request_timeout,
            max_response_size: bytes(SYNC_RESPONSE_BYTES_MAX),
            ..ValueSyncConfig::default()
        }
    }
}

/// A size in the engine's type, which has no name in the crates that it exports.
fn bytes<T: Default + std::ops::AddAssign<u64>>(n: usize) -> T {
    let mut size = T::default();
    size += n as u64;
    size
}
