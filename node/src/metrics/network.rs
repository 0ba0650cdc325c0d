//! What is counted between nodes.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::labels::{Labels, label};

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From a peer to this node.
    In,
    /// From this node to a peer.
    Out,
}

/// What is counted between nodes. `kind` says of what (`records`, `cosignatures`, ...), `reason` why; both are
/// words of our own, never a peer's.
///
/// Of what was *received*, each thing is *accepted*, *ignored* (nobody's fault: known already, too early, no
/// room) or *rejected* (its sender must have known that it is bad).
#[derive(Debug, Default)]
pub struct Network {
    peers: Gauge,
    received: Family<Labels<1>, Counter>,
    accepted: Family<Labels<1>, Counter>,
    ignored: Family<Labels<2>, Counter>,
    rejected: Family<Labels<2>, Counter>,
    bytes: Family<Labels<1>, Counter>,
    pulls: Family<Labels<2>, Counter>,
    bans: Family<Labels<1>, Counter>,
}

impl Network {
    /// So many peers are connected now.
    pub fn peers(&self, connected: usize) {
        self.peers.set(i64::try_from(connected).unwrap_or(i64::MAX));
    }

    /// So many things came from peers.
    pub fn received(&self, kind: &'static str, count: u64) {
        self.received.get_or_create(&label("kind", kind)).inc_by(count);
    }

    /// So many of them were good and new.
    pub fn accepted(&self, kind: &'static str, count: u64) {
        self.accepted.get_or_create(&label("kind", kind)).inc_by(count);
    }

    /// So many of them were of no use here.
    pub fn ignored(&self, kind: &'static str, reason: &'static str, count: u64) {
        self.ignored.get_or_create(&Labels([("kind", kind), ("reason", reason)])).inc_by(count);
    }

    /// So many of them were bad.
    pub fn rejected(&self, kind: &'static str, reason: &'static str, count: u64) {
        self.rejected.get_or_create(&Labels([("kind", kind), ("reason", reason)])).inc_by(count);
    }

    /// So many bytes of gossip went this way.
    pub fn bytes(&self, way: Way, count: u64) {
        let way = match way {
            Way::In => "in",
            Way::Out => "out",
        };
        self.bytes.get_or_create(&label("way", way)).inc_by(count);
    }

    /// A peer was asked (`Out`), or asked (`In`), for what this node or it lacks; `outcome` says what became of it.
    pub fn pulled(&self, way: Way, outcome: &'static str) {
        let way = match way {
            Way::In => "in",
            Way::Out => "out",
        };
        self.pulls.get_or_create(&Labels([("way", way), ("outcome", outcome)])).inc();
    }

    /// A peer was cut off.
    pub fn banned(&self, reason: &'static str) {
        self.bans.get_or_create(&label("reason", reason)).inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("peers_connected", "Peers connected now", self.peers.clone());
        registry.register("gossip_received", "Things that came from peers", self.received.clone());
        registry.register("gossip_accepted", "Of them, those that were good and new", self.accepted.clone());
        registry.register("gossip_ignored", "Of them, those of no use here, nobody's fault", self.ignored.clone());
        registry.register("gossip_rejected", "Of them, those that were bad", self.rejected.clone());
        registry.register("gossip_bytes", "Bytes of gossip", self.bytes.clone());
        registry.register("pulls", "Requests for what one side lacks", self.pulls.clone());
        registry.register("peers_banned", "Peers that were cut off", self.bans.clone());
    }
}
