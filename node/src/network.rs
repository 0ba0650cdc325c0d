//! Nodes that tell each other what they know, apart from consensus.
//!
//! ```text
//!   ledger --outgoing--> batches --gossip--> every node --looked at--> its ledger, then passed on
//!   every second, and on connecting: Hello --> what waits there and not here? --> Ids --> Records
//! ```
//!
//! The consensus engine has a swarm of its own, which it does not share; this is the other one, for records and
//! cosigned checkpoints. Gossip is fast and forgets: it may lose a message, and after a cut of some seconds nobody
//! sends it again. So nodes also *pull*: what has waited in one pool for a second and is not known in another is asked
//! for. A record is thus everywhere soon, or a second later.
//!
//! | module | idea |
//! |---|---|
//! | `address` | where a node is: `/ip4` or `/ip6`, a port, a peer id |
//! | `wire` | what is said, bounded and canonical |
//! | `behaviour` | the parts of libp2p that are used, and how they are set |
//! | `limits` | how many connections there may be, and in the making |
//! | `muxer` | streams of a connection, and what they hold unread |
//! | `gate` | what gossip is let through, before anything of it is kept |
//! | `swarm` | the loop: what happens when something is heard |
//! | `intake` | what became of a peer's records, and what that says of the peer |
//! | `peers` | when to call again, who is blamed, who is shut out |
//!
//! A peer is trusted with nothing: records and cosignatures carry signatures, and each is checked before it is passed
//! on. What a hostile peer can cost is bounded: one message and one question at a time are looked at, a bounded few
//! wait, and the rest is dropped and pulled later.

mod address;
mod behaviour;
mod gate;
mod intake;
mod limits;
mod muxer;
mod peers;
mod swarm;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use libp2p::PeerId;
use libp2p::identity::Keypair;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use writ_proto::key::SecretKey;

pub use address::{Endpoint, EndpointError};
pub(crate) use wire::{Claim, Summary};

use crate::checkpoints::Checkpoints;
use crate::config;
use crate::consensus::EnginePeers;
use crate::ledger::Ledger;
use crate::metrics::Metrics;
use crate::recollection::Recollection;

/// How long a swarm may take until it listens.
const LISTEN_PATIENCE: Duration = Duration::from_secs(10);

/// Why the network did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// It could not be put together.
    #[error("cannot start the network: {reason}")]
    Start {
        /// Why.
        reason: String,
    },
    /// It does not listen.
    #[error("cannot listen at `{address}`: {reason}")]
    NotListening {
        /// Where it was to listen.
        address: Box<Endpoint>,
        /// Why not.
        reason: String,
    },
}

/// A running network. Dropped, it ends.
#[derive(Debug)]
pub struct Network {
    endpoint: Endpoint,
    connected: Arc<AtomicUsize>,
    heard: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

/// What a network works with.
pub(crate) struct Setup {
    /// The transport's own key.
    pub(crate) identity: SecretKey,
    pub(crate) config: config::Network,
    pub(crate) ledger: Ledger,
    pub(crate) checkpoints: Checkpoints,
    /// What others remember of this node's keys, and this node of theirs.
    pub(crate) recollection: Recollection,
    /// Shows which key this node votes with; none if it may not.
    pub(crate) claim: Option<Claim>,
    /// Whom the engine should call.
    pub(crate) engine_peers: EnginePeers,
    /// The port at which the engine listens, once it does.
    pub(crate) engine_port: watch::Receiver<Option<u16>>,
    pub(crate) metrics: Metrics,
    pub(crate) stopping: watch::Receiver<bool>,
}

impl Network {
    /// Listens, calls the configured peers, and goes on until the node stops.
    pub(crate) async fn start(setup: Setup) -> Result<Self, NetworkError> {
        let connected = Arc::new(AtomicUsize::new(0));
        let heard = Arc::new(AtomicBool::new(false));
        let (endpoint, run) = swarm::start(setup, connected.clone(), heard.clone()).await?;
        Ok(Self { endpoint, connected, heard, task: tokio::spawn(run) })
    }

    /// How many peers are connected.
    pub fn peers(&self) -> usize {
        self.connected.load(Ordering::Relaxed)
    }

    /// A way to tell how many are, for those who outlive this.
    pub(crate) fn counter(&self) -> Arc<AtomicUsize> {
        self.connected.clone()
    }

    /// Whether a peer has told all the cosignatures that it knows: from then on this node knows how far the others are.
    pub(crate) fn heard(&self) -> Arc<AtomicBool> {
        self.heard.clone()
    }

    /// Where it listens, with its peer id.
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The peer id of a transport key.
///
/// # Errors
/// If the transport cannot use the key.
pub fn peer_id(identity: &SecretKey) -> Result<PeerId, NetworkError> {
    Ok(keypair(identity)?.public().to_peer_id())
}

fn keypair(identity: &SecretKey) -> Result<Keypair, NetworkError> {
    Keypair::ed25519_from_bytes(identity.to_seed()).map_err(|error| NetworkError::Start { reason: error.to_string() })
}
