//! What is counted about agreement, and about the checkpoints that follow from it.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::labels::{Labels, label};

/// A verdict on a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It may be decided.
    Valid,
    /// It must not be.
    Invalid,
    /// Its parent is not here yet.
    Later,
}

/// What is counted about agreement.
#[derive(Debug, Default)]
pub struct Consensus {
    round: Gauge<u64, AtomicU64>,
    blocks: Counter,
    further_rounds: Counter,
    judged: Family<Labels<1>, Counter>,
    evidence: Counter,
    refused: Family<Labels<1>, Counter>,
    silent: Gauge<f64, AtomicU64>,
}

impl Consensus {
    /// A block was decided, in this round by its certificate.
    pub fn decided(&self, round: u32) {
        self.round.set(round.into());
        self.blocks.inc();
        self.further_rounds.inc_by(round.into());
    }

    /// Somebody else's proposal was judged.
    pub fn judged(&self, judged: Judged) {
        let verdict = match judged {
            Judged::Valid => "valid",
            Judged::Invalid => "invalid",
            Judged::Later => "later",
        };
        self.judged.get_or_create(&label("verdict", verdict)).inc();
    }

    /// A validator was caught signing two conflicting statements.
    pub fn evidence(&self) {
        self.evidence.inc();
    }

    /// A record that waited will not be in the log; `code` is the refusal's.
    pub fn refused(&self, code: &'static str) {
        self.refused.get_or_create(&label("code", code)).inc();
    }

    /// The thread that writes the chain has not answered for so long.
    pub fn silent_for(&self, silent: Duration) {
        self.silent.set(silent.as_secs_f64());
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("decided_round", "The round in which the last block was decided", self.round.clone());
        registry.register("blocks_decided", "Blocks decided since the start", self.blocks.clone());
        let further = self.further_rounds.clone();
        registry.register("further_rounds", "Rounds after the first that blocks took since the start", further);
        registry.register("proposals_judged", "Proposals of others, by verdict", self.judged.clone());
        registry.register("evidence", "Validators caught signing two conflicting statements", self.evidence.clone());
        registry.register("records_refused", "Records that waited and will not be in the log", self.refused.clone());
        let silent = self.silent.clone();
        registry.register("chain_silent_seconds", "For how long the chain's thread has not answered", silent);
    }
}

/// What is counted about checkpoints.
#[derive(Debug, Default)]
pub struct Checkpoints {
    size: Gauge<u64, AtomicU64>,
    height: Gauge<u64, AtomicU64>,
    cosignatures: Family<Labels<1>, Counter>,
}

impl Checkpoints {
    /// A checkpoint of this size, which the log has at this height, has cosignatures of a quorum.
    pub fn finalised(&self, size: u64, height: u64) {
        self.size.set(size);
        self.height.set(height);
    }

    /// A cosignature came; `outcome` says what became of it (`accepted`, `duplicate`, `bad_signature`, ...).
    pub fn cosignature(&self, outcome: &'static str) {
        self.cosignatures.get_or_create(&label("outcome", outcome)).inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("checkpoint_size", "Leaves under the last final checkpoint", self.size.clone());
        registry.register("checkpoint_height", "Height of the last final checkpoint", self.height.clone());
        registry.register("cosignatures", "Cosignatures of checkpoints received", self.cosignatures.clone());
    }
}
