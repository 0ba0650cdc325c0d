//! One running engine: its thread, its start and its end.
//!
//! The engine has a runtime of its own: two worker threads for its actors, so that whatever else the process
//! does (answer thousands of questions a second, say) does not delay a vote; and one thread, `writ-engine`,
//! for the host and the [`Application`], whose calls may block on the disk without holding up an actor. When
//! the host ends, for whatever reason, the runtime ends, and everything that belongs to the engine with it.

use std::sync::Arc;
use std::time::Duration;

use malachitebft_app_channel::app::metrics::Metrics;
use malachitebft_app_channel::app::types::Keypair;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tracing::{Instrument as _, error_span};

use crate::actors::{Actors, Outlets};
use crate::application::Application;
use crate::config::{Config, address};
use crate::context::Address;
use crate::error::EngineError;
use crate::host::{Command, Ears, Host, Setting};
use crate::signing::{Checker, Guarded, VoteSigner};
use crate::vitals::Vitals;

/// Threads for the engine's actors.
const WORKERS: usize = 2;
/// How long the network may take until it listens.
const LISTEN_PATIENCE: Duration = Duration::from_secs(10);
/// How long tasks that ignore their end are waited for.
const RUNTIME_PATIENCE: Duration = Duration::from_secs(3);
/// Questions of the engine, and messages of peers, on their way to the host.
const QUEUE: usize = 256;

/// A running engine. Dropping it stops the engine, without waiting.
#[derive(Debug)]
pub struct Engine {
    commands: mpsc::UnboundedSender<Command>,
    addresses: watch::Receiver<Vec<String>>,
    peer: Option<String>,
    vitals: Vitals,
    ended: Option<oneshot::Receiver<Result<(), EngineError>>>,
}

impl Engine {
    /// Starts an engine for `app` and returns when it runs, with a network when that listens.
    ///
    /// `signer` holds the voting key; without one this is a full node, which follows and never votes. `work`
    /// is for the application's owner: after each [`Notify::notify_one`] an idle engine asks
    /// [`Application::has_work`].
    pub async fn start(
        config: Config,
        app: impl Application,
        signer: Option<Arc<dyn VoteSigner>>,
        work: Arc<Notify>,
    ) -> Result<Self, EngineError> {
        // Boxed, so that the engine is compiled here, not again in every crate with an application.
        Self::start_boxed(config, Box::new(app), signer, work).await
    }

    async fn start_boxed(
        config: Config,
        app: Box<dyn Application>,
        signer: Option<Arc<dyn VoteSigner>>,
        work: Arc<Notify>,
    ) -> Result<Self, EngineError> {
        let peer = match &config.network {
            None => None,
            Some(network) => {
                let keys = Keypair::ed25519_from_bytes(network.identity.to_seed())
                    .map_err(|error| EngineError::Start { reason: error.to_string() })?;
                Some(keys.public().to_peer_id().to_string())
            }
        };
        let listen = config.network.as_ref().map(|network| network.listen.clone());
        let (commands, command_receiver) = mpsc::unbounded_channel();
        let (address_sender, addresses) = watch::channel(Vec::new());
        let (started, start) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let thread = move || {
            let outcome = run(config, app, signer, work, command_receiver, address_sender, started);
            // Nobody may want to know.
            let _ = end.send(outcome);
        };
        std::thread::Builder::new()
            .name("writ-engine".into())
            .spawn(thread)
            .map_err(|error| EngineError::Start { reason: error.to_string() })?;
        let mut ended = Some(ended);
        let Ok(metrics) = start.await else {
            // It ended before it ran, so it has an error to tell.
            return Err(outcome(&mut ended).await.err().unwrap_or(EngineError::Stopped));
        };
        let vitals = Vitals::new(metrics, commands.clone());
        let mut engine = Self { commands, addresses, peer, vitals, ended };
        if let Some(listen) = listen {
            engine.wait_until_listening(listen).await?;
        }
        Ok(engine)
    }

    async fn wait_until_listening(&mut self, listen: String) -> Result<(), EngineError> {
        let mut addresses = self.addresses.clone();
        let listening = tokio::time::timeout(LISTEN_PATIENCE, addresses.wait_for(|addresses| !addresses.is_empty()));
        // What is awaited below must not hold the lock on the addresses.
        let listening = listening.await.map(|heard| heard.map(|_| ()));
        match listening {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(self.stopped().await.err().unwrap_or(EngineError::Stopped)),
            Err(_) => Err(EngineError::NotListening { address: listen }),
        }
    }

    /// Where the engine listens, as far as it has told so far; empty without a network.
    pub fn addresses(&self) -> Vec<String> {
        self.addresses.borrow().clone()
    }

    /// This node's peer id; none without a network.
    pub fn peer_id(&self) -> Option<&str> {
        self.peer.as_deref()
    }

    /// Connects to one more peer and stays connected, until the engine stops.
    pub async fn add_peer(&self, peer: &str) -> Result<(), EngineError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::AddPeer(address(peer)?, reply.into())).map_err(|_| EngineError::Stopped)?;
        let answer = answer.await.map_err(|_| EngineError::Stopped)?;
        answer.map_err(|error| EngineError::Peer { address: peer.into(), reason: error.to_string() })
    }

    /// Asks the engine to stop, and does not wait.
    pub fn stop(&self) {
        // If it cannot be asked, then it has stopped.
        let _ = self.commands.send(Command::Stop);
    }

    /// Waits until the engine has stopped, and says why: `Ok` if it was asked to. May be given up and called
    /// again; after it has answered once it answers [`EngineError::Stopped`].
    pub async fn stopped(&mut self) -> Result<(), EngineError> {
        outcome(&mut self.ended).await
    }

    /// Its vital signs, for whoever watches over it.
    pub fn vitals(&self) -> Vitals {
        self.vitals.clone()
    }
}

/// How an engine ended, once.
async fn outcome(ended: &mut Option<oneshot::Receiver<Result<(), EngineError>>>) -> Result<(), EngineError> {
    let Some(end) = ended else { return Err(EngineError::Stopped) };
    let outcome = end.await.unwrap_or(Err(EngineError::Panicked));
    *ended = None;
    outcome
}

/// The engine's thread.
fn run(
    config: Config,
    app: Box<dyn Application>,
    signer: Option<Arc<dyn VoteSigner>>,
    work: Arc<Notify>,
    commands: mpsc::UnboundedReceiver<Command>,
    addresses: watch::Sender<Vec<String>>,
    started: oneshot::Sender<Metrics>,
) -> Result<(), EngineError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("writ-engine-actor")
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| EngineError::Start { reason: error.to_string() })?;
    let span = error_span!("engine", node = %config.moniker);
    // The host runs here, on the calling thread, which is none of the runtime's workers.
    let outcome = runtime.block_on(host(config, app, signer, work, commands, addresses, started).instrument(span));
    runtime.shutdown_timeout(RUNTIME_PATIENCE);
    outcome
}

async fn host(
    config: Config,
    app: Box<dyn Application>,
    signer: Option<Arc<dyn VoteSigner>>,
    work: Arc<Notify>,
    commands: mpsc::UnboundedReceiver<Command>,
    addresses: watch::Sender<Vec<String>>,
    started: oneshot::Sender<Metrics>,
) -> Result<(), EngineError> {
    let checker = Checker { chain: config.chain };
    let (refuse, refusals) = mpsc::unbounded_channel();
    let (ask, questions) = mpsc::channel(QUEUE);
    let (tell, heard) = mpsc::channel(QUEUE);
    let me = signer.as_ref().map(|signer| signer.public_key().id());
    let signer = signer.map(|signer| Guarded::new(signer, checker, refuse));
    // A node without a voting key goes by the id of no key.
    let address = Address(me.unwrap_or(writ_proto::key::KeyId([0; 32])));
    let mut actors = Actors::start(&config, address, checker, signer, Outlets { host: ask, heard: tell }).await?;
    let setting = Setting {
        me,
        checker,
        timeouts: config.timeouts.linear(),
        value_bytes_max: config.value_bytes_max,
        network: actors.network.clone(),
        sync: Arc::clone(&actors.sync),
        addresses,
        gather: config.network.as_ref().map_or(Duration::ZERO, |network| network.gather),
    };
    let outcome = match Host::new(app, setting) {
        Ok(host) => {
            // Whoever started the engine may have given up.
            let _ = started.send(actors.metrics.clone());
            host.run(Ears { questions, heard, work, refusals, commands }, &mut actors.ended).await
        }
        Err(error) => Err(error),
    };
    actors.stop().await;
    outcome
}
