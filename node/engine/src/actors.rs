//! The engine put together: its own actors, and four small ones of ours.
//!
//! The engine is a set of actors under one supervisor. Its usual way to an application (a connector that
//! forwards one message and waits for the answer before it takes the next) cannot hold back an answer
//! without holding up everything else. Ours, [`HostPort`], hands each message to the host *with* its reply
//! port and takes the next one, so the host answers when it is right to: an idle validator holds back the
//! start of a height while it goes on serving peers that lag.
//!
//! [`Listener`] lets the host hear what peers send before consensus has looked at it: that is how an idle
//! node learns that the others are ahead. [`Nobody`] stands in for the network of a node without peers. [`Replay`] keeps
//! its own votes from the engine when it reads its write-ahead log: it is given them again as it asks for them.

use std::sync::Arc;
use std::time::Duration;

use malachitebft_app_channel::app::engine::host::HostMsg;
use malachitebft_app_channel::app::engine::network::{
    NetworkEvent, NetworkIdentity, NetworkMsg, NetworkRef, PersistentPeerError,
};
use malachitebft_app_channel::app::engine::node::NodeRef;
use malachitebft_app_channel::app::engine::sync::SyncMsg;
use malachitebft_app_channel::app::engine::util::events::TxEvent;
use malachitebft_app_channel::app::engine::util::output_port::{OutputPort, OutputPortSubscriberTrait as _};
use malachitebft_app_channel::app::metrics::{Metrics, SharedRegistry};
use malachitebft_app_channel::app::spawn::{
    spawn_consensus_actor, spawn_network_actor, spawn_node_actor, spawn_sync_actor, spawn_wal_actor,
};
use malachitebft_app_channel::app::types::Keypair;
use malachitebft_app_channel::app::types::codec::Codec as _;
use malachitebft_signing::Signer;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::codec::Wire;
use crate::config::{Config, Network};
use crate::context::{Address, Ctx};
use crate::error::EngineError;
use crate::replay::Replay;
use crate::signing::{Checker, Guarded};
use crate::tail;
use crate::witness::Watchful;

/// How long the actors may take to end.
const STOP_PATIENCE: Duration = Duration::from_secs(3);

/// Hands the engine's questions to the host, in order.
struct HostPort {
    host: mpsc::Sender<HostMsg<Ctx>>,
}

#[ractor::async_trait]
impl Actor for HostPort {
    type Msg = HostMsg<Ctx>;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Self::Msg>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(&self, _: ActorRef<Self::Msg>, message: Self::Msg, (): &mut ()) -> Result<(), ActorProcessingErr> {
        // Without a host nobody decides anything: the error ends this actor, and with it the engine.
        self.host.send(message).await.map_err(|_| "the host has stopped".into())
    }
}

/// Lets the host hear what peers send.
struct Listener {
    host: mpsc::Sender<NetworkEvent<Ctx>>,
}

#[ractor::async_trait]
impl Actor for Listener {
    type Msg = NetworkEvent<Ctx>;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Self::Msg>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(&self, _: ActorRef<Self::Msg>, event: Self::Msg, (): &mut ()) -> Result<(), ActorProcessingErr> {
        let of_interest = matches!(
            event,
            NetworkEvent::Listening(_)
                | NetworkEvent::Vote(..)
                | NetworkEvent::Proposal(..)
                | NetworkEvent::Status(..)
                | NetworkEvent::ValidatorProofReceived { .. }
        );
        if of_interest {
            // Whatever is lost when peers send faster than the host hears, they send again.
            let _ = self.host.try_send(event);
        }
        Ok(())
    }
}

/// The network of a node without peers: listens to nobody, tells nobody.
struct Nobody;

#[ractor::async_trait]
impl Actor for Nobody {
    type Msg = NetworkMsg<Ctx>;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Self::Msg>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(&self, _: ActorRef<Self::Msg>, message: Self::Msg, (): &mut ()) -> Result<(), ActorProcessingErr> {
        match message {
            // Consensus begins when it hears that the network listens.
            NetworkMsg::Subscribe(subscriber) => subscriber.send(NetworkEvent::Listening("/memory/0".parse()?)),
            NetworkMsg::DumpState(reply) => reply.send(None)?,
            NetworkMsg::UpdatePersistentPeers(_, reply) => reply.send(Err(PersistentPeerError::NetworkStopped))?,
            _ => {}
        }
        Ok(())
    }
}

/// Where the actors of the engine lead to: the host's ends are elsewhere.
pub(crate) struct Outlets {
    pub(crate) host: mpsc::Sender<HostMsg<Ctx>>,
    pub(crate) heard: mpsc::Sender<NetworkEvent<Ctx>>,
}

/// The running actors.
pub(crate) struct Actors {
    supervisor: NodeRef,
    /// Ends when the supervisor ends, that is when any actor has failed.
    pub(crate) ended: JoinHandle<()>,
    pub(crate) network: NetworkRef<Ctx>,
    /// Leads to the synchronisation with peers.
    pub(crate) sync: Arc<OutputPort<SyncMsg<Ctx>>>,
    /// What the engine says of itself.
    pub(crate) metrics: Metrics,
}

impl Actors {
    /// Starts them all, supervisor first, each after those it talks to. If one fails to start, then the
    /// caller ends the runtime, and with it the others.
    pub(crate) async fn start(
        config: &Config,
        me: Address,
        checker: Checker,
        signer: Option<Guarded>,
        outlets: Outlets,
    ) -> Result<Self, EngineError> {
        let (consensus_config, sync_config) = (config.consensus()?, config.sync());
        let registry = SharedRegistry::global().with_moniker(config.moniker.clone());
        let metrics = Metrics::register(&registry);
        let (supervisor, ended) = spawn_node_actor(metrics.clone()).await.map_err(start_error)?;

        let network = match &config.network {
            None => Actor::spawn(None, Nobody, ()).await.map_err(start_error)?.0,
            Some(network) => {
                let identity = identity(config, network, me, signer.as_ref()).await?;
                spawn_network_actor(&consensus_config, &sync_config, identity, &registry, Wire)
                    .await
                    .map_err(start_error)?
            }
        };
        network.link(supervisor.get_cell());
        #[cfg(feature = "byzantine")]
        let network = match &config.misbehaviour {
            None => network,
            Some(misbehaviour) => misbehaviour.splice(network, me, signer.as_ref(), &supervisor).await?,
        };
        if config.network.is_some() {
            let (listener, _) = Actor::spawn(None, Listener { host: outlets.heard }, ()).await.map_err(start_error)?;
            listener.link(supervisor.get_cell());
            network.cast(NetworkMsg::Subscribe(Box::new(listener))).map_err(start_error)?;
        }

        let log = config.home.join("wal").join("consensus.wal");
        tail::prepare(&log).await.map_err(|source| EngineError::Log { path: log.clone(), source })?;
        let wal = spawn_wal_actor(&Ctx, Wire, &log, &registry, supervisor.clone()).await.map_err(start_error)?;
        wal.link(supervisor.get_cell());
        let wal = match signer.clone() {
            None => wal,
            Some(signer) => {
                let (replay, _) = Actor::spawn(None, Replay { log: wal, me, signer }, ()).await.map_err(start_error)?;
                replay.link(supervisor.get_cell());
                replay
            }
        };

        let (host, _) = Actor::spawn(None, HostPort { host: outlets.host }, ()).await.map_err(start_error)?;
        host.link(supervisor.get_cell());

        let sync_port = Arc::new(OutputPort::new());
        let consensus = spawn_consensus_actor(
            Ctx,
            me,
            consensus_config,
            Box::new(Watchful { checker, witness: config.witness.clone() }),
            signer.map(|signer| Box::new(signer) as Box<dyn Signer<Ctx>>),
            network.clone(),
            host.clone(),
            wal,
            Arc::clone(&sync_port),
            metrics.clone(),
            TxEvent::new(),
            supervisor.clone(),
        )
        .await
        .map_err(start_error)?;
        consensus.link(supervisor.get_cell());

        let sync = spawn_sync_actor(Ctx, network.clone(), host, consensus, Wire, &sync_config, &registry)
            .await
            .map_err(start_error)?;
        if let Some(sync) = sync {
            sync.link(supervisor.get_cell());
            sync.subscribe_to_port(&sync_port);
        }
        Ok(Self { supervisor, ended, network, sync: sync_port, metrics })
    }

    /// Ends them all. What has not ended in time ends with the runtime.
    pub(crate) async fn stop(self) {
        let supervised = self.supervisor.get_cell();
        supervised.stop_children_and_wait(None, Some(STOP_PATIENCE)).await;
        let _ = supervised.stop_and_wait(None, Some(STOP_PATIENCE)).await;
    }
}

fn start_error(error: impl std::fmt::Display) -> EngineError {
    EngineError::Start { reason: format!("{error:#}") }
}

/// Who this node is towards its peers; a validator shows that it is one.
async fn identity(
    config: &Config,
    network: &Network,
    me: Address,
    signer: Option<&Guarded>,
) -> Result<NetworkIdentity, EngineError> {
    let keys = Keypair::ed25519_from_bytes(network.identity.to_seed()).map_err(start_error)?;
    let Some(signer) = signer else { return Ok(NetworkIdentity::new(config.moniker.clone(), keys, None)) };
    let peer = keys.public().to_peer_id().to_bytes();
    let proof = signer.peer_claim(peer).await?;
    let proof = Wire.encode(&proof).map_err(start_error)?;
    Ok(NetworkIdentity::new_validator(config.moniker.clone(), keys, me.to_string(), proof))
}
