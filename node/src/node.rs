//! One node, from its home to its last answer: how the parts are wired.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use writ_engine::EngineError;
use writ_proto::certificate::faulty;
use writ_proto::genesis::Genesis;
use writ_proto::index::HashKey;
use writ_proto::key::{KeyId, SecretKey};
use writ_proto::limits::BLOCK_BYTES_MAX;
use writ_proto::state::State;

use crate::chain::{rebuild, settle_every};
use crate::checkpoints::{CheckpointFault, Checkpoints};
use crate::clock::Clock;
use crate::config::Config;
use crate::consensus::{self, Consensus, ConsensusError, EnginePeers, Mode};
use crate::guard::{self, CheckpointGuard, MustNotAnswer, SignGuard, TipGuard, key_file};
use crate::home::Home;
use crate::http::{self, Access};
use crate::init::DEV_AUTHORITY;
use crate::ledger::Ledger;
use crate::metrics::Metrics;
use crate::network::{self, Claim, Endpoint, Network};
use crate::recollection::Recollection;
use crate::shutdown::stopped;
use crate::signer::Signer;
use crate::standing::{Observed, Standing};
use crate::storage::{self, LogStore};
use crate::tokens::Tokens;

/// How long connections may take to finish their last request.
const DRAIN: Duration = Duration::from_secs(5);
/// How often the disk's free room is looked at.
const DISK_EVERY: Duration = Duration::from_millis(250);

/// How often it is looked at whether the node has all that is known to exist.
const STANDING_EVERY: Duration = Duration::from_millis(100);

/// A running node.
pub struct Node {
    address: SocketAddr,
    ledger: Ledger,
    consensus: JoinHandle<Result<(), ConsensusError>>,
    network: Option<Network>,
    checkpoints: Checkpoints,
    cosigning: JoinHandle<Result<(), CheckpointFault>>,
    http: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl Node {
    /// Starts the node that lives in `home`: opens the store, holds it against its guards, rebuilds the
    /// state, starts the engine and the network, and listens.
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
        let Opened { ledger, guard, guarded, signer, me, identity, checkpoints } = opened.await??;
        let recollection = match &identity {
            Some(_) => Some(Recollection::new(ledger.clone(), checkpoints.clone(), signer.clone(), me)?),
            None => None,
        };
        if recollection.is_some() {
            checkpoints.hold();
        }
        let claim =
            identity.as_ref().zip(signer.as_ref()).map(|(identity, signer)| claim(identity, signer)).transpose()?;

        let (stop, stopping) = watch::channel(false);
        let (port, engine_port) = watch::channel(None);
        let (mode, _) = watch::channel(Mode::Waiting);
        let peers = EnginePeers::default();
        let mut consensus = Consensus::new(
            consensus::Setup {
                engine: engine_config(&home, &config, &ledger, identity.as_ref(), recollection.as_ref()),
                ledger: ledger.clone(),
                checkpoints: checkpoints.clone(),
                guard,
                guarded,
                signer,
                me,
                recollection: recollection.clone(),
                peers: peers.clone(),
                port,
                mode,
                metrics: metrics.clone(),
            },
            stopping.clone(),
        );
        if let Some(network) = &config.network {
            // The engine would share a port with another process without a word.
            std::net::TcpListener::bind(network.consensus().socket)
                .with_context(|| format!("cannot listen at `{}`", network.consensus()))?;
        }
        let engine = consensus.start().await?;
        let network = match config.network.clone().zip(identity).zip(recollection) {
            None => None,
            Some(((config, identity), recollection)) => {
                let setup = network::Setup {
                    identity,
                    config,
                    ledger: ledger.clone(),
                    checkpoints: checkpoints.clone(),
                    recollection,
                    claim,
                    engine_peers: peers,
                    engine_port,
                    metrics: metrics.clone(),
                    stopping: stopping.clone(),
                };
                Some(Network::start(setup).await?)
            }
        };
        let consensus = tokio::spawn(consensus.run(engine));
        let cosigning = tokio::spawn(checkpoints.clone().run(stopped(stopping.clone())));

        if let Some(network) = &network {
            ledger.set_may_answer(false);
            let heard = network.heard();
            let standing = Standing::new(guarded, Instant::now());
            tokio::spawn(judge_standing(ledger.clone(), checkpoints.clone(), me, heard, standing, stopping.clone()));
        }
        tokio::spawn(watch_disk(ledger.clone(), home, config.disk.free_bytes_min, stopping.clone()));
        tokio::spawn(wake_to_settle(ledger.clone(), stopping.clone()));
        tokio::spawn(keep_clock_ahead(ledger.clone(), stopping.clone()));
        let connected = network.as_ref().map(Network::counter);
        let peers = move || connected.as_ref().map_or(0, |count| count.load(Ordering::Relaxed));
        let api = http::router(ledger.clone(), metrics, access)
            .with_checkpoints(checkpoints.clone())
            .standing_as(me, peers)
            .reached_at(network.as_ref().map(Network::endpoint))
            .called_at(config.http.public_url.clone());
        let http = tokio::spawn(http::serve(listener, api, http::HttpLimits::from(&config.http), stopped(stopping)));
        let (height, entries) = {
            let state = ledger.read();
            (state.tip().height, state.index().len())
        };
        tracing::info!(%address, height, entries, "the node answers");
        Ok(Self { address, ledger, consensus, network, checkpoints, cosigning, http, stop })
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Its checkpoints.
    pub fn checkpoints(&self) -> &Checkpoints {
        &self.checkpoints
    }

    /// Where other nodes reach it; none if it is alone.
    pub fn endpoint(&self) -> Option<Endpoint> {
        self.network.as_ref().map(Network::endpoint)
    }

    /// Runs until `shutdown` completes, then stops in order; or until the engine ends by itself, which is
    /// an error.
    pub async fn run_until(mut self, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let ended = tokio::select! {
            () = shutdown => None,
            outcome = &mut self.consensus => Some(match outcome {
                Ok(outcome) => outcome.map_err(anyhow::Error::new),
                Err(panicked) => Err(anyhow::Error::new(panicked).context("consensus has ended")),
            }),
            outcome = &mut self.cosigning => Some(match outcome {
                Ok(outcome) => outcome.context("checkpoints can no longer be signed"),
                Err(panicked) => Err(anyhow::Error::new(panicked).context("cosigning has ended")),
            }),
        };
        match ended {
            None => self.stop().await,
            // Nothing can be taken in any more, and to go on answering could hide that.
            Some(outcome) => {
                let _ = self.stop.send(true);
                outcome?;
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
        let ended = (&mut self.consensus).await.context("consensus did not stop in order")?;
        ended.context("consensus did not stop in order")?;
        // It writes the last final checkpoint down.
        (&mut self.cosigning).await.context("cosigning did not stop in order")??;
        drop(self.network);
        self.ledger.clock().settle().context("the clock's mark could not be kept")
    }
}

/// What the engine is told.
fn engine_config(
    home: &Home,
    config: &Config,
    ledger: &Ledger,
    identity: Option<&SecretKey>,
    recollection: Option<&Recollection>,
) -> writ_engine::Config {
    let network = config.network.as_ref().zip(identity).map(|(network, identity)| writ_engine::Network {
        // Whom to call, the other nodes tell: where their engines listen.
        peers: Vec::new(),
        allow: network
            .allow
            .iter()
            .chain(network.peers.iter().filter_map(|peer| peer.peer.as_ref()))
            .map(ToString::to_string)
            .collect(),
        only_peers: !network.open,
        ..writ_engine::Network::new(identity.clone(), network.consensus().to_string(), Vec::new())
    });
    let chain = *ledger.read().chain();
    writ_engine::Config {
        timeouts: config.consensus.timeouts(),
        network,
        witness: recollection.map(Recollection::witness).unwrap_or_default(),
        ..writ_engine::Config::new(chain, home.path(), BLOCK_BYTES_MAX)
    }
}

/// Shows other nodes which key this one votes with.
fn claim(identity: &SecretKey, signer: &Signer) -> anyhow::Result<Claim> {
    let peer = network::peer_id(identity)?.to_bytes();
    Ok(Claim { key: signer.0.public_key(), signature: signer.0.sign_peer_claim(&peer) })
}

struct Opened {
    ledger: Ledger,
    guard: Arc<TipGuard>,
    /// The height that the tip guard knows of.
    guarded: u64,
    /// None: nothing may be signed.
    signer: Option<Arc<Signer>>,
    /// The id of the voting key.
    me: KeyId,
    /// The transport's key, of a node with a network.
    identity: Option<SecretKey>,
    checkpoints: Checkpoints,
}

/// A key for the tables in memory that nobody else knows.
fn hash_key() -> anyhow::Result<HashKey> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness for the hash tables: {error}"))?;
    Ok(HashKey::from_bytes(bytes))
}

/// Opens everything on disk, and refuses where its parts do not fit together.
fn open(home: &Home, config: &Config, genesis: Genesis) -> anyhow::Result<Opened> {
    let state = State::keyed(genesis, hash_key()?).context("the genesis makes no chain")?.speaking(config.speaks);
    let store = open_store(home, &state)?;
    let (guard, standing) = TipGuard::open(&home.guard(), state.chain(), &*store)?;
    // Blocks that are lost can be fetched from peers, up to where the guard knows them; who is alone cannot.
    let catches_up = matches!(standing, guard::Standing::Behind { .. }) && config.network.is_some();
    ensure!(standing.may_answer() || catches_up, MustNotAnswer(standing));
    let guarded = guard.mark()?.map_or(0, |mark| mark.height);
    let last_block = store.tip()?.map(|tip| tip.time);
    let state = rebuild(state, &*store)?;
    let vote = key_file::read(&home.vote_key())?;
    let (me, public) = (vote.public().id(), vote.public());
    let signer = match SignGuard::open(&home.keys(), state.chain(), vote) {
        Ok(guard) => Some(Arc::new(Signer(guard))),
        // It may be a full node's, which needs none; a validator follows until its operator has seen to it.
        Err(error) if config.network.is_some() => {
            tracing::error!(error = format!("{:#}", anyhow::Error::new(error)), key = %public, "this node signs nothing");
            None
        }
        Err(error) => return Err(error.into()),
    };
    let others = state.validators().iter().filter(|validator| validator.vote.key != public).count();
    ensure!(
        others == 0 || config.network.is_some(),
        "the chain has {others} other validators, and `{}` has no `[network]` to reach them",
        home.config().display()
    );
    let clock_bound_ms = state.parameters().clock_bound_ms;
    let clock = Clock::open(&home.guard(), state.chain(), clock_bound_ms, last_block)?;
    let ledger = Ledger::new(state, store, clock, config.pool_limits());
    if catches_up {
        tracing::warn!(%standing, "this node does not answer until it has fetched the blocks that it lost");
        ledger.set_may_answer(false);
    }
    let recalled = ledger.recall_pooled()?;
    if recalled > 0 {
        tracing::info!(recalled, "records that were acknowledged before the last stop wait for a block again");
        ledger.work().notify_one();
    }
    let guard = Arc::new(guard);
    ledger.count_syncs_of({
        let guard = guard.clone();
        move || guard.syncs()
    });
    if let Some(signer) = signer.clone() {
        ledger.count_syncs_of(move || signer.0.syncs());
    }
    let identity = config.network.is_some().then(|| key_file::read(&home.node_key())).transpose()?;
    let cosigner = open_cosigner(home, config, &ledger)?;
    // Where the votes of a restored home wait, its cosignatures do too.
    let above = signer.as_ref().map_or(0, |signer| signer.0.floor());
    let checkpoints = Checkpoints::new(ledger.clone(), cosigner, home.checkpoint()).signing_above(above);
    Ok(Opened { ledger, guard, guarded, signer, me, identity, checkpoints })
}

/// Opens what cosigns checkpoints: nothing, if the home has no key for that, or its guard is lost and others cosign.
fn open_cosigner(home: &Home, config: &Config, ledger: &Ledger) -> anyhow::Result<Option<CheckpointGuard>> {
    if !home.checkpoint_key().exists() {
        tracing::warn!(key = %home.checkpoint_key().display(), "there is no checkpoint key: this node cosigns nothing");
        return Ok(None);
    }
    let key = key_file::read(&home.checkpoint_key())?;
    match CheckpointGuard::open(&home.keys(), ledger.read().chain(), key) {
        Ok(guard) => Ok(Some(guard)),
        Err(error) if config.network.is_some() => {
            tracing::error!(error = format!("{:#}", anyhow::Error::new(error)), "this node cosigns nothing");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
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
        let (writable, exhausted) = match storage::space(home.path()) {
            Ok(space) => (!space.is_low(free_bytes_min), space.is_exhausted(free_bytes_min)),
            Err(error) => {
                tracing::warn!(%error, "cannot tell how full the disk is");
                (true, false)
            }
        };
        ledger.set_exhausted(exhausted);
        if writable != ledger.is_writable() {
            tracing::warn!(writable, "the disk's free room crossed its bound");
            ledger.set_writable(writable);
        }
    }
}

/// Says whether the node may answer, and whether it is caught up, as that changes.
async fn judge_standing(
    ledger: Ledger,
    checkpoints: Checkpoints,
    me: KeyId,
    heard: Arc<AtomicBool>,
    mut standing: Standing,
    stopping: watch::Receiver<bool>,
) {
    let mut looks = tokio::time::interval(STANDING_EVERY);
    let mut stop = std::pin::pin!(stopped(stopping));
    loop {
        tokio::select! {
            () = &mut stop => return,
            _ = looks.tick() => {}
        }
        let (height, size, validators, is_only) = {
            let state = ledger.read();
            let all = state.validators();
            (state.tip().height, state.log().size(), all.len(), matches!(all, [only] if only.vote.key.id() == me))
        };
        // Whoever decides alone has nobody to hear from.
        let heard = is_only || heard.load(Ordering::Relaxed);
        // So many that one of them is honest.
        let cosigned = checkpoints.highest_cosigned_by(faulty(validators) + 1).map(|(size, _)| size);
        // Whom nobody can tell the time need not wait for it.
        let compared = is_only || ledger.clock().is_compared();
        let observed = Observed { height, size, cosigned, heard, compared };
        let verdict = standing.judge(observed, Instant::now());
        if (verdict.may_answer, verdict.caught_up) != (ledger.may_answer(), ledger.is_caught_up()) {
            tracing::info!(verdict.may_answer, verdict.caught_up, height = observed.height, "standing");
            ledger.set_may_answer(verdict.may_answer);
            ledger.set_caught_up(verdict.caught_up);
            checkpoints.look_again();
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
