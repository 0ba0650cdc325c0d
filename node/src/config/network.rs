//! The part of `writ.toml` about other nodes.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use libp2p::PeerId;
use serde::Deserialize;

use crate::network::Endpoint;

/// How to reach the other nodes. A node without this part is alone: nothing listens, nobody is called.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Where to listen for records, checkpoints and questions of other nodes.
    pub listen: Endpoint,
    /// Where the consensus engine listens; left out: one port further.
    #[serde(default)]
    pub consensus_listen: Option<Endpoint>,
    /// Nodes to stay connected to: where they listen for records, each with its peer id.
    #[serde(default)]
    pub peers: Vec<Endpoint>,
    /// Peer ids that may connect by themselves, beside `peers`.
    #[serde(default, deserialize_with = "peer_ids")]
    pub allow: Vec<PeerId>,
    /// Whether anybody may connect.
    #[serde(default)]
    pub open: bool,
    /// Connections to other nodes.
    #[serde(default = "peers_max")]
    pub peers_max: u32,
    /// Bytes a second that one peer may send as gossip, on average over ten seconds.
    #[serde(default = "gossip_bytes_per_s_max")]
    pub gossip_bytes_per_s_max: u64,
}

fn peers_max() -> u32 {
    64
}

/// Ten full blocks.
fn gossip_bytes_per_s_max() -> u64 {
    10 * 1024 * 1024
}

fn peer_ids<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<PeerId>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let read = |text: String| {
        text.parse().map_err(|error| serde::de::Error::custom(format!("`{text}` in `allow` is no peer id: {error}")))
    };
    texts.into_iter().map(read).collect()
}

impl Network {
    /// Listens at `listen`, stays connected to `peers`, and to nobody else unless `open`.
    pub fn new(listen: Endpoint, peers: Vec<Endpoint>, open: bool) -> Self {
        Self {
            listen,
            consensus_listen: None,
            peers,
            allow: Vec::new(),
            open,
            peers_max: peers_max(),
            gossip_bytes_per_s_max: gossip_bytes_per_s_max(),
        }
    }

    /// Where the engine listens.
    pub fn consensus(&self) -> Endpoint {
        // Port 0 takes any, twice; there is none after the last.
        let next = if self.listen.socket.port() == 0 { Some(self.listen) } else { self.listen.next_port() };
        self.consensus_listen.or(next).unwrap_or(self.listen)
    }

    /// What cannot be: the member at fault, and why.
    pub(super) fn fault(&self, http: SocketAddr) -> Option<(&'static str, String)> {
        if self.listen.peer.is_some() || self.consensus().peer.is_some() {
            return Some(("network.listen", "a place to listen at has no peer id".into()));
        }
        if self.listen.socket.port() != 0 && self.consensus() == self.listen {
            return Some(("network.consensus_listen", format!("`{}` is taken by `network.listen`", self.listen)));
        }
        for (field, place) in [("network.listen", self.listen), ("network.consensus_listen", self.consensus())] {
            let (ours, theirs) = (place.socket.ip(), http.ip());
            let is_shared = ours == theirs || [ours, theirs].iter().any(IpAddr::is_unspecified);
            if place.socket.port() != 0 && place.socket.port() == http.port() && is_shared {
                return Some((field, format!("`{place}` is taken by `http.listen`")));
            }
        }
        if self.peers_max == 0 {
            return Some(("network.peers_max", "a bound of 0 keeps everybody out".into()));
        }
        if self.gossip_bytes_per_s_max == 0 {
            return Some(("network.gossip_bytes_per_s_max", "a bound of 0 lets nobody say anything".into()));
        }
        let nameless = self.peers.iter().find(|peer| peer.peer.is_none());
        match nameless {
            Some(peer) if !self.open => {
                Some(("network.peers", format!("`{peer}` has no peer id (`/p2p/...`), and `open` is false")))
            }
            _ => None,
        }
    }

    /// The section of the file.
    pub(super) fn text(&self) -> String {
        let list = |items: Vec<String>| match items.len() {
            0 => "[]".to_owned(),
            _ => format!("[\n{}]", items.iter().map(|item| format!("    \"{item}\",\n")).collect::<String>()),
        };
        format!(
            "\n[network]\n\
             # Where to listen for records, checkpoints and questions of other nodes.\n\
             listen = \"{listen}\"\n\
             # Where the consensus engine listens.\n\
             consensus_listen = \"{consensus}\"\n\
             # Nodes to stay connected to: where they listen for records, each with its peer id.\n\
             peers = {peers}\n\
             # Peer ids that may connect by themselves, beside those. `writ-node id` tells a node's.\n\
             allow = {allow}\n\
             # Whether anybody may connect. Whoever may can follow the chain and hand in records, no more.\n\
             open = {open}\n\
             # Connections to other nodes.\n\
             peers_max = {peers_max}\n\
             # Bytes a second that one peer may send as gossip, on average; what exceeds it is dropped and asked for later,\n\
             # and who sends twice as much is shut out for a minute.\n\
             gossip_bytes_per_s_max = {gossip}\n",
            listen = self.listen,
            consensus = self.consensus(),
            peers = list(self.peers.iter().map(ToString::to_string).collect()),
            allow = list(self.allow.iter().map(ToString::to_string).collect()),
            open = self.open,
            peers_max = self.peers_max,
            gossip = self.gossip_bytes_per_s_max,
        )
    }
}

/// How long each step of a consensus round waits for the others. Too short for the real latency costs rounds, never
/// safety; all nodes should use the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Consensus {
    /// For the proposal, its bytes included.
    pub propose_timeout_ms: u64,
    /// For more prevotes.
    pub prevote_timeout_ms: u64,
    /// For more precommits.
    pub precommit_timeout_ms: u64,
    /// What each further round adds to each of them.
    pub timeout_delta_ms: u64,
    /// After how long a validator that is stuck sends its last votes again.
    pub rebroadcast_ms: u64,
}

impl Default for Consensus {
    /// For a local network.
    fn default() -> Self {
        let timeouts = writ_engine::Timeouts::default();
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self {
            propose_timeout_ms: ms(timeouts.propose),
            prevote_timeout_ms: ms(timeouts.prevote),
            precommit_timeout_ms: ms(timeouts.precommit),
            timeout_delta_ms: ms(timeouts.delta),
            rebroadcast_ms: ms(timeouts.rebroadcast),
        }
    }
}

impl Consensus {
    /// In the engine's terms.
    pub fn timeouts(&self) -> writ_engine::Timeouts {
        writ_engine::Timeouts {
            propose: Duration::from_millis(self.propose_timeout_ms),
            prevote: Duration::from_millis(self.prevote_timeout_ms),
            precommit: Duration::from_millis(self.precommit_timeout_ms),
            delta: Duration::from_millis(self.timeout_delta_ms),
            rebroadcast: Duration::from_millis(self.rebroadcast_ms),
        }
    }

    /// The members, for the check that each is a time.
    pub(super) fn times(&self) -> [(&'static str, u64); 5] {
        [
            ("consensus.propose_timeout_ms", self.propose_timeout_ms),
            ("consensus.prevote_timeout_ms", self.prevote_timeout_ms),
            ("consensus.precommit_timeout_ms", self.precommit_timeout_ms),
            ("consensus.timeout_delta_ms", self.timeout_delta_ms),
            ("consensus.rebroadcast_ms", self.rebroadcast_ms),
        ]
    }

    /// The section of the file.
    pub(super) fn text(&self) -> String {
        let Self { propose_timeout_ms, prevote_timeout_ms, precommit_timeout_ms, timeout_delta_ms, rebroadcast_ms } =
            self;
        format!(
            "\n[consensus]\n\
             # How long a round waits for the proposal, and then for more prevotes and precommits; what each further round\n\
             # adds; and after how long a validator that is stuck sends its last votes again. For a local network: over\n\
             # longer ways use more, the same on all nodes.\n\
             propose_timeout_ms = {propose_timeout_ms}\n\
             prevote_timeout_ms = {prevote_timeout_ms}\n\
             precommit_timeout_ms = {precommit_timeout_ms}\n\
             timeout_delta_ms = {timeout_delta_ms}\n\
             rebroadcast_ms = {rebroadcast_ms}\n"
        )
    }
}
