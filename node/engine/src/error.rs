//! Why an engine did not start, or stopped.

use std::path::PathBuf;

use writ_proto::hash::Digest;

use crate::application::Fatal;
use crate::context::ValidatorsError;
use crate::signing::SignRefused;

/// Why an engine did not start, or stopped. None of these is tried again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// An address of the configuration makes no sense.
    #[error("cannot use the address `{found}`: {reason}")]
    Address {
        /// What was found.
        found: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The write-ahead log cannot be used: damaged, or in use by another process.
    #[error("cannot open the write-ahead log `{}`", path.display())]
    Log {
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The engine could not be put together.
    #[error("cannot start the consensus engine: {reason}")]
    Start {
        /// What it said.
        reason: String,
    },
    /// The network does not listen.
    #[error("cannot listen at `{address}`: is it in use by another process?")]
    NotListening {
        /// Where it was to listen.
        address: String,
    },
    /// The ledger's validators cannot decide anything.
    #[error("the validators of height {height} are not usable")]
    Validators {
        /// The height.
        height: u64,
        /// What is wrong with them.
        #[source]
        source: ValidatorsError,
    },
    /// The ledger cannot go on.
    #[error("the ledger failed to {doing}")]
    Application {
        /// What it was asked to do.
        doing: &'static str,
        /// What it said.
        #[source]
        source: Fatal,
    },
    /// The signer did not sign. Nothing was sent in its place.
    #[error(transparent)]
    SignRefused(#[from] SignRefused),
    /// The bound on values cannot be kept by the engine's own messages.
    #[error("values of up to {found} bytes were asked for, between 1 and {max} can be exchanged")]
    ValueBound {
        /// What was asked for.
        found: usize,
        /// What is possible.
        max: usize,
    },
    /// The ledger's own value breaks that bound.
    #[error("the ledger proposed a value of {found} bytes for height {height}, expected between 1 and {max}")]
    ValueSize {
        /// The height.
        height: u64,
        /// How large it is.
        found: usize,
        /// How large it may be.
        max: usize,
    },
    /// The engine and the ledger disagree about what comes next.
    #[error("a block was decided at height {decided}, but the tip is {tip}")]
    OutOfStep {
        /// What was decided.
        decided: u64,
        /// Where the ledger is.
        tip: u64,
    },
    /// A decision without a round: the engine is broken.
    #[error("the decision for block {value} at height {height} names no round")]
    NoRound {
        /// The height.
        height: u64,
        /// The block.
        value: Digest,
    },
    /// The engine stopped by itself. What led to it is in its log; a damaged write-ahead log and a disk that
    /// takes no more writes look like this.
    #[error("the consensus engine stopped by itself, its log says why")]
    Halted,
    /// The thread of the engine panicked: a bug, most likely in the application.
    #[error("the consensus thread panicked")]
    Panicked,
    /// The engine has stopped, so it cannot do what it was asked.
    #[error("the consensus engine has stopped")]
    Stopped,
    /// The peer cannot be added.
    #[error("cannot add the peer `{address}`: {reason}")]
    Peer {
        /// Its address.
        address: String,
        /// Why not.
        reason: String,
    },
}
