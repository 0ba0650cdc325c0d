//! When the consensus engine runs, and whether it votes.
//!
//! ```text
//!   Voting     the engine has the signer: it votes while the log names its key
//!   Following  it has none: it takes decided blocks from its peers, and signs nothing
//!   Waiting    it does not run: the disk has no room even for what others decide, or others are being asked what
//!              this node signed, which takes a moment
//! ```
//!
//! A node votes only from where it signed last. It *follows* instead while
//!
//! - others have not yet told what they remember of its keys, or remember more than its guard does
//!   ([`crate::recollection`]);
//! - its database is behind its tip guard (it was damaged, or an older copy was put in its place): what it signed
//!   since is known to the sign guard, and the blocks are fetched from peers;
//! - its sign guard refused: the engine's own log has lost what was signed in the present height. Once the others have
//!   decided that height there is nothing left to contradict. Should they need this node for that, it tries again
//!   after a while, when rounds may have moved on;
//! - it has no sign guard, or one that was copied: then it follows until its operator has said what may be signed.
//!
//! A validator that starts in the middle of a height at which it signed already is patient: it waits longer for the
//! proposal of its first round, and starts once more if the height is not decided after a while. Of validators that lost
//! their power at one instant, each knows by its guard what it voted for, and none by the engine's log; they agree once
//! the proposer says it again while the others listen.
//!
//! So a validator whose directory was rolled back, cloned or damaged signs no second statement for a step, and comes
//! back by itself where that is safe. A validator that is alone has nobody to follow, and ends with the reason.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use writ_engine::{Engine, EngineError, VoteSigner};
use writ_proto::key::KeyId;

use crate::chain::Chain;
use crate::checkpoints::Checkpoints;
use crate::guard::TipGuard;
use crate::ledger::Ledger;
use crate::metrics::Metrics;
use crate::network::Endpoint;
use crate::recollection::Recollection;
use crate::shutdown::stopped;
use crate::signer::Signer;
use crate::watchdog::{Fault, Watchdog};

/// Places at which one peer's engine is called: where it is, and where it was before it was moved.
const PLACES_PER_PEER: usize = 4;
/// How often it is looked at whether the mode still fits.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long a validator whose guard refused follows before it tries again to vote, at least. To this comes up to as
/// much again, another part for each validator, so that they do not try in step.
const RETRY_AFTER: Duration = Duration::from_secs(3);

/// Whom the engine should stay connected to, as the network finds out.
#[derive(Clone, Debug, Default)]
pub struct EnginePeers(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    endpoints: Mutex<BTreeSet<Endpoint>>,
    more: Notify,
}

impl EnginePeers {
    /// One more; the same again changes nothing.
    pub(crate) fn add(&self, endpoint: Endpoint) {
        let mut endpoints = self.0.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        // A peer that names another port each time is not called at all of them.
        let of_peer = endpoints.iter().filter(|known| known.peer == endpoint.peer).count();
        if of_peer < PLACES_PER_PEER && endpoints.insert(endpoint) {
            self.0.more.notify_one();
        }
    }

    fn all(&self) -> BTreeSet<Endpoint> {
        self.0.endpoints.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// How long a node that starts waits for what others remember, before it follows meanwhile.
const RECALL_WITHIN: Duration = Duration::from_secs(2);

/// How long a validator that starts in the middle of a height waits for the proposal of its first round, and how long
/// once its guard has refused. The proposer is among those that start again; its proposal must find the others waiting,
/// or they would want to vote for nothing where they voted for it before.
const PROPOSAL_PATIENCE: Duration = Duration::from_secs(4);
const PROPOSAL_PATIENCE_REFUSED: Duration = Duration::from_secs(12);
/// How long such a height may take before the engine starts once more, and says again what it signed: messages that
/// were sent before anybody listened are sent once only. To this comes up to as much again, as above.
const RECOVER_WITHIN: Duration = Duration::from_secs(15);

/// What the engine is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It votes while the log names its key.
    Voting,
    /// It follows, and signs nothing.
    Following,
    /// It does not run.
    Waiting,
}

/// What runs the engine.
pub(crate) struct Setup {
    pub(crate) engine: writ_engine::Config,
    pub(crate) ledger: Ledger,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) guard: Arc<TipGuard>,
    /// The height that the tip guard knew when the node started.
    pub(crate) guarded: u64,
    /// None: the node may sign nothing.
    pub(crate) signer: Option<Arc<Signer>>,
    /// The id of the voting key, also where it may not sign.
    pub(crate) me: KeyId,
    /// What others remember of this node's keys; `None`: there are no others.
    pub(crate) recollection: Option<Recollection>,
    pub(crate) peers: EnginePeers,
    pub(crate) port: watch::Sender<Option<u16>>,
    pub(crate) mode: watch::Sender<Mode>,
    pub(crate) metrics: Metrics,
}

/// An engine, and who watches that it works.
pub(crate) struct Running {
    engine: Engine,
    watchdog: Watchdog,
    /// The height in the middle of which it started, and by when that should be over.
    recovering: Option<(u64, Instant)>,
}

/// Why consensus cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConsensusError {
    /// The engine ended, for a reason that no other mode can help.
    #[error("consensus has ended")]
    Engine(#[from] EngineError),
    /// It does not work, and does not end.
    #[error("consensus does not work")]
    Fault(#[from] Fault),
    /// It cannot be watched over.
    #[error("cannot start the watch over consensus")]
    Watch(#[from] std::io::Error),
}

/// Why a run of the engine ended.
enum Ended {
    /// The node stops.
    Asked,
    /// Another mode fits now.
    Changed,
    /// The sign guard refused.
    Refused,
}

pub(crate) struct Consensus {
    setup: Setup,
    started: Instant,
    /// When the sign guard refused last.
    refused: Option<Instant>,
    stopping: watch::Receiver<bool>,
}

impl Consensus {
    pub(crate) fn new(setup: Setup, stopping: watch::Receiver<bool>) -> Self {
        Self { setup, started: Instant::now(), refused: None, stopping }
    }

    /// Starts the engine for the first time; a fault of the configuration shows here.
    pub(crate) async fn start(&mut self) -> Result<Option<Running>, ConsensusError> {
        match self.fitting() {
            Mode::Waiting => {
                self.setup.mode.send_replace(Mode::Waiting);
                Ok(None)
            }
            mode => self.engine(mode).await.map(Some),
        }
    }

    /// Goes on until the node stops, or the engine ends for a reason that no other mode can help.
    pub(crate) async fn run(mut self, first: Option<Running>) -> Result<(), ConsensusError> {
        let mut running = first;
        loop {
            let ended = match &mut running {
                Some(running) => self.watch(running).await?,
                None => self.wait().await,
            };
            match ended {
                Ended::Asked => return Ok(()),
                Ended::Changed => {}
                Ended::Refused => self.refused = Some(Instant::now()),
            }
            running = match self.fitting() {
                Mode::Waiting => {
                    if self.setup.ledger.is_exhausted() {
                        tracing::error!("the disk has no room left: consensus waits until there is some");
                    }
                    self.setup.mode.send_replace(Mode::Waiting);
                    None
                }
                mode => Some(self.engine(mode).await?),
            };
        }
    }

    /// The mode that fits the present.
    fn fitting(&self) -> Mode {
        let Setup { ledger, signer, guarded, .. } = &self.setup;
        if ledger.is_exhausted() {
            return Mode::Waiting;
        }
        let Some(signer) = signer else { return Mode::Following };
        // Who is no validator signs nothing: it need not wait.
        if self.is_validator() && self.setup.recollection.as_ref().is_some_and(|all| !all.may_sign()) {
            let is_asking = self.started.elapsed() < RECALL_WITHIN;
            return if is_asking { Mode::Waiting } else { Mode::Following };
        }
        let tip = ledger.read().tip().height;
        // Statements of the height under way may be asked for again; those of a height beyond it were signed on
        // blocks that this database does not have.
        let signed = signer.0.height();
        if tip < *guarded || tip.saturating_add(1) < signed {
            return Mode::Following;
        }
        match self.refused {
            Some(at) if tip < signed && at.elapsed() < self.spread(RETRY_AFTER) => Mode::Following,
            _ => Mode::Voting,
        }
    }

    /// Whether the log names this node's key, as far as it is known here.
    fn is_validator(&self) -> bool {
        self.setup.ledger.read().voters().contains(&self.setup.me)
    }

    /// `time` and up to as much again: another part for each validator, so that they do not try in step.
    fn spread(&self, time: Duration) -> Duration {
        time + time * u32::from(self.setup.me.0[0]) / 256
    }

    /// The height under way, if the voting key has signed for it already and there are others to agree with.
    fn under_way(&self, mode: Mode) -> Option<u64> {
        let signer = self.setup.signer.as_ref().filter(|_| mode == Mode::Voting && !self.is_alone())?;
        let next = self.setup.ledger.read().tip().height + 1;
        (signer.0.height() == next).then_some(next)
    }

    /// Whether there is anybody to follow.
    fn is_alone(&self) -> bool {
        self.setup.engine.network.is_none()
    }

    async fn engine(&self, mode: Mode) -> Result<Running, ConsensusError> {
        let Setup { engine, ledger, checkpoints, guard, signer, me, peers, port, metrics, .. } = &self.setup;
        let mut config = engine.clone();
        let under_way = self.under_way(mode);
        if under_way.is_some() {
            let patience = if self.refused.is_some() { PROPOSAL_PATIENCE_REFUSED } else { PROPOSAL_PATIENCE };
            config.timeouts.propose = config.timeouts.propose.max(patience);
        }
        if let Some(network) = &mut config.network {
            network.peers.extend(peers.all().iter().map(ToString::to_string));
        }
        let mut chain =
            Chain::new(ledger.clone(), guard.clone(), *me).telling(checkpoints.clone()).counting(metrics.clone());
        let votes = signer.as_ref().filter(|_| mode == Mode::Voting);
        if let Some(signer) = votes {
            let signer = signer.clone();
            chain = chain.remembering(move |height, round| signer.0.signed_proposal(height, round));
        }
        let signer = votes.map(|signer| signer.clone() as Arc<dyn VoteSigner>);
        #[cfg(feature = "byzantine")]
        let (config, chain, signer) = crate::lies::told(&self.setup, config, chain, signer);
        let engine = Engine::start(config, chain, signer, ledger.work()).await?;
        let listening = engine.addresses().first().and_then(|address| address.parse::<Endpoint>().ok());
        port.send_replace(listening.map(|endpoint| endpoint.socket.port()));
        if self.setup.mode.send_replace(mode) != mode || mode == Mode::Following {
            tracing::info!(?mode, "consensus");
        }
        ledger.work().notify_one();
        let watchdog = Watchdog::start(engine.vitals(), metrics.clone())?;
        let recovering = under_way.map(|height| (height, Instant::now() + self.spread(RECOVER_WITHIN)));
        Ok(Running { engine, watchdog, recovering })
    }

    /// Watches a running engine until it has ended, and says why it did.
    async fn watch(&mut self, running: &mut Running) -> Result<Ended, ConsensusError> {
        let Running { engine, watchdog, recovering } = running;
        let mode = *self.setup.mode.borrow();
        let mut known = self.setup.peers.all();
        let mut looks = tokio::time::interval(LOOK_EVERY);
        let mut stop = std::pin::pin!(stopped(self.stopping.clone()));
        loop {
            tokio::select! {
                () = &mut stop => return Ok(end(engine).await.map(|()| Ended::Asked)?),
                outcome = engine.stopped() => return match outcome {
                    Err(EngineError::SignRefused(refusal)) if !self.is_alone() => {
                        tracing::warn!(%refusal, "this node follows for a while instead of voting");
                        Ok(Ended::Refused)
                    }
                    Err(error) => Err(error.into()),
                    Ok(()) => Err(EngineError::Stopped.into()),
                },
                fault = watchdog.fault() => return Err(fault.into()),
                () = self.setup.peers.0.more.notified() => {
                    for peer in self.setup.peers.all() {
                        if known.insert(peer)
                            && let Err(error) = engine.add_peer(&peer.to_string()).await
                        {
                            tracing::debug!(%peer, %error, "the engine does not take a peer");
                        }
                    }
                }
                _ = looks.tick() => {
                    if self.fitting() != mode || self.is_over(*recovering) {
                        return Ok(end(engine).await.map(|()| Ended::Changed)?);
                    }
                }
            }
        }
    }

    /// Whether the engine should start anew: the height that it started in the middle of is decided, so that it need
    /// not be so patient any more; or it is not, and time is up.
    fn is_over(&self, recovering: Option<(u64, Instant)>) -> bool {
        recovering
            .is_some_and(|(height, until)| self.setup.ledger.read().tip().height >= height || Instant::now() >= until)
    }

    /// Waits for room on the disk, or for others to tell what they remember.
    async fn wait(&mut self) -> Ended {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        let mut stop = std::pin::pin!(stopped(self.stopping.clone()));
        loop {
            tokio::select! {
                () = &mut stop => return Ended::Asked,
                () = told(self.setup.recollection.as_ref()) => {}
                _ = looks.tick() => {}
            }
            if self.fitting() != Mode::Waiting {
                return Ended::Changed;
            }
        }
    }
}

/// Waits until others have told something of this node's keys.
async fn told(recollection: Option<&Recollection>) {
    match recollection {
        Some(recollection) => recollection.changed().await,
        None => std::future::pending().await,
    }
}

/// Stops an engine and waits until it has. That it was just about to end by itself for want of a signature is no
/// matter now.
async fn end(engine: &mut Engine) -> Result<(), EngineError> {
    engine.stop();
    match engine.stopped().await {
        Err(EngineError::SignRefused(_)) => Ok(()),
        outcome => outcome,
    }
}
