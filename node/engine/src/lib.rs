//! The consensus engine behind one trait.
//!
//! Malachite (Tendermint in Rust) agrees on values; a ledger that implements [`Application`] builds, judges
//! and commits them; a holder of the voting key that implements [`VoteSigner`] signs for it. [`Engine::start`]
//! runs the three together, for a lone validator without any network as for many validators and full nodes.
//! The engine's generics are compiled here, so that no other crate pays for them or sees them.
//!
//! | module | idea |
//! |---|---|
//! | `application` | what the engine asks of the ledger |
//! | `signing` | how it asks for signatures, and checks them |
//! | `config` | what a node chooses: timeouts, network, limits |
//! | `context` | the engine's vocabulary in our words |
//! | `codec` | the bytes of its messages |
//! | `parts` | values on their way through the network |
//! | `admission` | which of them are worth judging |
//! | `pace` | when to start the next height |
//! | `host` | answers the engine's questions, in order |
//! | `tail` | its log, after a power cut |
//! | `actors` | the engine put together |
//! | `engine` | its thread, its start and its end |
//! | `witness` | what validators were seen to sign |
//! | `vitals` | whether it lives, seen from outside |
//! | `error` | why it did not start, or stopped |
//! | `misbehaviour` | validators that lie, for tests: behind the feature `byzantine` |
//!
//! What this crate leaves out: what a value *is* (the application's), how records travel before they are in
//! one (the node's own network), discovery of peers (they are configured).

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "in a test a panic is the verdict"))]

mod actors;
mod admission;
mod application;
mod codec;
mod config;
mod context;
mod engine;
mod error;
mod host;
#[cfg(feature = "byzantine")]
mod misbehaviour;
mod pace;
mod parts;
mod replay;
mod signing;
mod tail;
mod vitals;
mod witness;

pub use application::{Application, Candidate, Evidence, Fatal, Held, Proposed, Source, Statement, Validator, Verdict};
pub use config::{Config, Network, Timeouts};
pub use context::{ValidatorsError, proposer};
pub use engine::Engine;
pub use error::EngineError;
#[cfg(feature = "byzantine")]
pub use misbehaviour::{Act, Guess, Misbehaviour, Twist};
pub use signing::{PeerClaim, Refusing, SignRefused, VoteSigner};
pub use vitals::{Pulse, Vitals};
pub use witness::{Said, Signed, Witness};

/// What to let through of the engine's own log: a filter in the syntax of `tracing_subscriber::EnvFilter`, to
/// be joined with the node's own. The engine calls it an error when a validator is alone, tells at length
/// about every peer that it cannot reach, and warns of each end that was asked for; what matters of that is
/// in its metrics and in what [`Engine::stopped`] says.
pub const LOG_FILTER: &str = "arc_malachitebft=warn,arc_malachitebft_engine::node=error,arc_malachitebft_network=off,\
                              arc_malachitebft_discovery=off,arc_malachitebft_sync=error,libp2p=error";

/// The engine's metrics in the Prometheus text format: of all engines of this process, told apart by their
/// moniker.
pub fn encode_metrics() -> String {
    let mut text = String::new();
    malachitebft_app_channel::app::metrics::export(&mut text);
    text
}
