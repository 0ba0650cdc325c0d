//! Whether an engine lives, seen from outside.
//!
//! An engine that cannot keep its write-ahead log stops working *without ending*, so that nobody starts it again
//! before somebody has looked: it might vote twice. (Here it could not: the signer keeps a guard of its own.)
//! Usually the host notices that and ends, but the host is one thread that waits for disks. So there are two
//! signs that need neither to be in order, for whoever watches over the process: what the engine says of itself,
//! and whether the host still answers.

use malachitebft_app_channel::app::metrics::Metrics;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use crate::host::Command;

/// A handle on the vital signs of one engine.
#[derive(Clone, Debug)]
pub struct Vitals {
    metrics: Metrics,
    commands: UnboundedSender<Command>,
}

/// A question to the host whether it is there.
#[derive(Debug)]
pub struct Pulse(oneshot::Receiver<()>);

impl Vitals {
    pub(crate) fn new(metrics: Metrics, commands: UnboundedSender<Command>) -> Self {
        Self { metrics, commands }
    }

    /// Whether the engine says that it has stopped for safety's sake, without ending.
    pub fn has_halted(&self) -> bool {
        self.metrics.node_safety_failure.get() != 0
    }

    /// Asks the host for a sign of life, without waiting for it.
    pub fn ask(&self) -> Pulse {
        let (reply, answer) = oneshot::channel();
        // A host that has ended says so elsewhere; the dropped question counts as answered.
        let _ = self.commands.send(Command::Pulse(reply));
        Pulse(answer)
    }
}

impl Pulse {
    /// Whether the host has answered, or has ended.
    pub fn is_answered(&mut self) -> bool {
        !matches!(self.0.try_recv(), Err(oneshot::error::TryRecvError::Empty))
    }
}
