//! One node, from its home to its last answer: how the parts are wired.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use writ_engine::{Engine, EngineError, VoteSigner};
use writ_proto::genesis::Genesis;
use writ_proto::index::HashKey;
use writ_proto::limits::BLOCK_BYTES_MAX;
use writ_proto::state::State;

use crate::chain::{Chain, rebuild, settle_every};
use crate::clock::Clock;
use crate::config::Config;
use crate::guard::{MustNotAnswer, SignGuard, TipGuard, key_file};
use crate::home::Home;
use crate::http::{self, Access};
use crate::init::DEV_AUTHORITY;
use crate::ledger::Ledger;
use crate::metrics::Metrics;
use crate::signer::Signer;
use crate::storage::{self, LogStore};
use crate::tokens::Tokens;
use crate::watchdog::Watchdog;

/// How long connections may take to finish their last request.
const DRAIN: Duration = Duration::from_secs(5);
/// How often the disk's free room is looked at.
const DISK_EVERY: Duration = Duration::from_secs(1);

/// A running node.
pub struct Node {
    address: SocketAddr,
    ledger: Ledger,
    engine: Engine,
    watchdog: Watchdog,
    /// The height that the chain must reach before this validator signs.
    waits: Option<u64>,
    http: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl Node {
    /// Starts the node that lives in `home`: opens the store, holds it against its guards, rebuilds the
    /// state, starts the engine and listens.
    ///
    /// # Errors
    /// With the reason why the node must not answer or sign.
    pub async fn start(home: Home, config: Config) -> anyhow::Result<Self> {
        let metrics = Metrics::new();
        metrics.tell_backups(home.last_backup());
        let tokens = Tokens::open(&home.tokens(&config))?;
        config.http.check_tokens(&tokens)?;
        let access = Access::with_tokens(Arc::new(tokens), config.http.require_token);
        let genesis = read_genesis(&home)?;
        if genesis.authorities.iter().any(|authority| authority.name.as_str() == DEV_AUTHORITY) {
            ensure!(
                config.http.listen.ip().is_loopback(),
                "the chain trusts the authority `{DEV_AUTHORITY}`, whose key everybody may use, so this node listens on loopback only, not on `{}`",
                config.http.listen
            );
            tracing::warn!("this chain trusts the authority `{DEV_AUTHORITY}`: for trying things out only");
        }
        // Bound first: a node that cannot be asked need not open anything.
        let listener = TcpListener::bind(config.http.listen)
            .await
            .with_context(|| format!("cannot listen on `{}`", config.http.listen))?;
        let address = listener.local_addr()?;

        let opened = tokio::task::spawn_blocking({
            let (home, config) = (home.clone(), config.clone());
            move || open(&home, &config, genesis)
        });
        let Opened { ledger, guard, signer } = opened.await??;
        let me = signer.0.public_key().id();
        let signer = Arc::new(signer);
        let counted = signer.clone();
        ledger.count_syncs_of(move || counted.0.syncs());
        let chain = Chain::new(ledger.clone(), guard, me).counting(metrics.clone());
        let engine_config = writ_engine::Config {
            chain: *ledger.read().chain(),
            moniker: "writ".into(),
            home: home.path().to_path_buf(),
            timeouts: writ_engine::Timeouts::default(),
            value_bytes_max: BLOCK_BYTES_MAX,
            network: None,
        };
        let floor = signer.0.floor();
        let waits = (floor > ledger.read().tip().height).then_some(floor);
        if let Some(floor) = waits {
            tracing::warn!(floor, "this validator was restored: it follows, and signs only above that height");
        }
        let signer: Option<Arc<dyn VoteSigner>> = if waits.is_some() { None } else { Some(signer) };
        let engine = Engine::start(engine_config, chain, signer, ledger.work()).await?;
        let watchdog = Watchdog::start(engine.vitals(), metrics.clone()).context("cannot start the watch")?;

        let (stop, stopping) = watch::channel(false);
        tokio::spawn(watch_disk(ledger.clone(), home, config.disk.free_bytes_min, stopping.clone()));
        tokio::spawn(wake_to_settle(ledger.clone(), stopping.clone()));
        tokio::spawn(keep_clock_ahead(ledger.clone(), stopping.clone()));
        let router = http::router(ledger.clone(), metrics, access);
        let http = tokio::spawn(http::serve(listener, router, http::HttpLimits::from(&config.http), stopped(stopping)));
        let (height, entries) = {
            let state = ledger.read();
            (state.tip().height, state.index().len())
        };
        tracing::info!(%address, height, entries, "the node answers");
        Ok(Self { address, ledger, engine, watchdog, waits, http, stop })
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Runs until `shutdown` completes, then stops in order; or until the engine ends by itself, which is
    /// an error.
    pub async fn run_until(mut self, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let ended = tokio::select! {
            () = shutdown => None,
            outcome = self.engine.stopped() => Some(outcome),
            fault = self.watchdog.fault() => {
                let _ = self.stop.send(true);
                return Err(fault.into());
            }
            height = may_sign(&self.ledger, self.waits) => {
                self.stop().await?;
                return Err(MaySign { height }.into());
            }
        };
        match ended {
            None => self.stop().await,
            // Nothing can be taken in any more, and to go on answering could hide that.
            Some(outcome) => {
                let _ = self.stop.send(true);
                outcome.context("consensus has ended")?;
                Err(EngineError::Stopped.into())
            }
        }
    }

    /// Stops in order: no new connections, last answers, then the engine.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        tracing::info!("stopping");
        let _ = self.stop.send(true);
        if tokio::time::timeout(DRAIN, &mut self.http).await.is_err() {
            tracing::warn!("connections were still open, and are cut off");
            self.http.abort();
        }
        self.engine.stop();
        self.engine.stopped().await.context("consensus did not stop in order")?;
        self.ledger.clock().settle().context("the clock's mark could not be kept")
    }
}

/// A restored validator that followed until it may sign again; started again, it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the chain has reached height {height}, above which this restored validator signs: start it again")]
pub struct MaySign {
    /// That height.
    pub height: u64,
}

/// Completes when the chain is where a restored validator may sign; never, if there is nothing to wait for.
async fn may_sign(ledger: &Ledger, waits: Option<u64>) -> u64 {
    let Some(height) = waits else { return std::future::pending().await };
    while !ledger.reached(height, Instant::now() + DISK_EVERY * 60).await {}
    height
}

struct Opened {
    ledger: Ledger,
    guard: TipGuard,
    signer: Signer,
}

/// A key for the tables in memory that nobody else knows.
fn hash_key() -> anyhow::Result<HashKey> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness for the hash tables: {error}"))?;
    Ok(HashKey::from_bytes(bytes))
}

/// Opens everything on disk, and refuses where its parts do not fit together.
fn open(home: &Home, config: &Config, genesis: Genesis) -> anyhow::Result<Opened> {
    let state = State::keyed(genesis, hash_key()?).context("the genesis makes no chain")?;
    let store = open_store(home, &state)?;
    let (guard, standing) = TipGuard::open(&home.guard(), state.chain(), &*store)?;
    ensure!(standing.may_answer(), MustNotAnswer(standing));
    let last_block = store.tip()?.map(|tip| tip.time);
    let state = rebuild(state, &*store)?;
    let vote = key_file::read(&home.vote_key())?;
    let signer = Signer(SignGuard::open(&home.keys(), state.chain(), vote)?);
    let clock_bound_ms = state.genesis().parameters.clock_bound_ms;
    let clock = Clock::open(&home.guard(), state.chain(), clock_bound_ms, last_block)?;
    let ledger = Ledger::new(state, store, clock, config.pool_limits());
    let recalled = ledger.recall_pooled()?;
    if recalled > 0 {
        tracing::info!(recalled, "records that were acknowledged before the last stop wait for a block again");
        ledger.work().notify_one();
    }
    Ok(Opened { ledger, guard, signer })
}

/// Opens the database of the chain of `state`, or makes it.
pub(crate) fn open_store(home: &Home, state: &State) -> anyhow::Result<Arc<dyn LogStore>> {
    let path = home.database();
    let store =
        storage::rocks::open(&path, state.chain()).with_context(|| format!("cannot open `{}`", path.display()))?;
    store.put_genesis(&state.genesis().encode())?;
    Ok(store)
}

/// Reads the genesis of a home.
pub(crate) fn read_genesis(home: &Home) -> anyhow::Result<Genesis> {
    let path = home.genesis();
    let text = fs::read_to_string(&path)
        .with_context(|| format!("cannot read `{}`; `writ-node init` makes a chain and its homes", path.display()))?;
    let genesis: Genesis =
        serde_json::from_str(&text).with_context(|| format!("`{}` is not a genesis", path.display()))?;
    Ok(genesis)
}

/// Stops taking records while the disk is nearly full, and starts again when it is not.
async fn watch_disk(ledger: Ledger, home: Home, free_bytes_min: u64, stopping: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(DISK_EVERY);
    let mut stop = std::pin::pin!(stopped(stopping));
    loop {
        tokio::select! {
            () = &mut stop => return,
            _ = ticks.tick() => {}
        }
        let writable = match storage::space(home.path()) {
            Ok(space) => !space.is_low(free_bytes_min),
            Err(error) => {
                tracing::warn!(%error, "cannot tell how full the disk is");
                true
            }
        };
        if writable != ledger.is_writable() {
            tracing::warn!(writable, "the disk's free room crossed its bound");
            ledger.set_writable(writable);
        }
    }
}

/// An idle chain whose pool holds only expired submissions still has to settle them, now and then.
async fn wake_to_settle(ledger: Ledger, stopping: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(settle_every());
    let mut stop = std::pin::pin!(stopped(stopping));
    loop {
        tokio::select! {
            () = &mut stop => return,
            _ = ticks.tick() => {}
        }
        if ledger.pooled().0 > 0 {
            ledger.work().notify_one();
        }
    }
}

/// Keeps the clock's mark on disk ahead of what is answered, so that no answer waits for the disk.
async fn keep_clock_ahead(ledger: Ledger, stopping: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(Duration::from_millis((ledger.clock().ahead_ms() / 4).max(1)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut stop = std::pin::pin!(stopped(stopping));
    loop {
        tokio::select! {
            () = &mut stop => return,
            _ = ticks.tick() => {}
        }
        let keeper = ledger.clone();
        match tokio::task::spawn_blocking(move || keeper.clock().keep_ahead()).await {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => tracing::error!(%fault, "the clock's mark could not be kept"),
            Err(_) => return,
        }
    }
}

/// Completes when the node stops.
async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error means that the node is gone, which is as good a reason.
    let _ = stopping.wait_for(|stop| *stop).await;
}
