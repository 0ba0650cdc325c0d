//! Connections and streams, with any bytes on them. Pings are answered, so that nobody is cut off for silence alone.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::ReadyUpgrade;
use libp2p::core::{Endpoint, InboundUpgrade, UpgradeInfo};
use libp2p::identity::Keypair;
use libp2p::swarm::handler::{ConnectionEvent, FullyNegotiatedInbound, FullyNegotiatedOutbound};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
    NotifyHandler, Stream, SubstreamProtocol, SwarmEvent, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, noise, ping, tcp, yamux};
use tokio::sync::{mpsc, oneshot, watch};

/// How long a stream or a connection may take to come up.
const PATIENCE: Duration = Duration::from_secs(5);
/// An identity that was refused is told so within this time.
const REFUSAL: Duration = Duration::from_secs(2);

/// Whom to attack, and the names that belong to its chain.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: Multiaddr,
    pub(crate) records: String,
    pub(crate) checkpoints: String,
    pub(crate) pull: StreamProtocol,
    pub(crate) gossip: StreamProtocol,
}

/// What was sent, and what became of it.
#[derive(Debug, Default)]
pub(crate) struct Counts([AtomicU64; 5]);

impl Counts {
    pub(crate) fn sent(&self, messages: usize, bytes: usize) {
        self.add(0, messages);
        self.add(1, bytes);
    }

    pub(crate) fn connected(&self) {
        self.add(2, 1);
    }

    pub(crate) fn cut_off(&self) {
        self.add(3, 1);
    }

    pub(crate) fn refused(&self) {
        self.add(4, 1);
    }

    fn add(&self, which: usize, amount: usize) {
        self.0[which].fetch_add(amount as u64, Ordering::Relaxed);
    }

    /// Messages, bytes, connections, cut off, refused.
    pub(crate) fn all(&self) -> [u64; 5] {
        std::array::from_fn(|which| self.0[which].load(Ordering::Relaxed))
    }
}

/// How the node's own questions are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Not at all, and what the node gossips is read.
    None,
    /// Not at all, and nothing is read.
    Deaf,
    /// With the largest length there is.
    Oversize,
}

pub(crate) fn identity() -> Keypair {
    Keypair::generate_ed25519()
}

impl Target {
    pub(crate) fn new(address: Multiaddr, chain: &str) -> anyhow::Result<Self> {
        Ok(Self {
            address,
            records: format!("/writ/{chain}/records/1"),
            checkpoints: format!("/writ/{chain}/checkpoints/1"),
            pull: StreamProtocol::try_from_owned(format!("/writ/{chain}/pull/1"))?,
            gossip: StreamProtocol::new("/meshsub/1.1.0"),
        })
    }

    /// A connection, if the node has it.
    pub(crate) async fn connect(&self, me: &Keypair, reply: Reply, counts: &Arc<Counts>) -> Option<Client> {
        let mut swarm = self.swarm(me, reply).ok()?;
        swarm.dial(self.address.clone()).ok()?;
        let up = tokio::time::timeout(PATIENCE, async {
            loop {
                match swarm.select_next_some().await {
                    SwarmEvent::ConnectionEstablished { peer_id, .. } => return Some(peer_id),
                    SwarmEvent::OutgoingConnectionError { .. } => return None,
                    _ => {}
                }
            }
        });
        let Ok(Some(node)) = up.await else {
            counts.refused();
            return None;
        };
        counts.connected();
        let (open, opened) = mpsc::channel(64);
        let (closing, closed) = watch::channel(false);
        tokio::spawn(drive(swarm, node, opened, closing));
        Some(Client { open, closed, counts: counts.clone(), target: self.clone() })
    }

    /// Whether the node lets this identity in, and keeps it.
    pub(crate) async fn lets_in(&self, me: &Keypair, counts: &Arc<Counts>) -> bool {
        let Some(client) = self.connect(me, Reply::None, counts).await else { return false };
        tokio::time::timeout(REFUSAL, client.closed().wait()).await.is_err()
    }

    fn swarm(&self, me: &Keypair, reply: Reply) -> anyhow::Result<Swarm<Wire>> {
        let (protocols, close) = (vec![self.gossip.clone(), self.pull.clone()], Duration::from_secs(60));
        let raw = Raw { protocols, reply, to_open: VecDeque::new() };
        // It answers the node's, and asks hardly ever itself.
        let ping = ping::Behaviour::new(ping::Config::new().with_interval(close).with_timeout(close));
        let swarm = SwarmBuilder::with_existing_identity(me.clone())
            .with_tokio()
            .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)?
            .with_behaviour(|_| Wire { raw, ping })?
            .with_swarm_config(|config| config.with_idle_connection_timeout(close))
            .build();
        Ok(swarm)
    }
}

/// A connection to the node. It ends when this is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    open: mpsc::Sender<Open>,
    closed: watch::Receiver<bool>,
    pub(crate) counts: Arc<Counts>,
    target: Target,
}

/// Tells when the node has ended a connection.
#[derive(Debug)]
pub(crate) struct Closed(watch::Receiver<bool>);

impl Closed {
    pub(crate) async fn wait(&mut self) {
        // If nobody drives it any more it is closed too.
        let _ = self.0.wait_for(|closed| *closed).await;
    }
}

impl Client {
    pub(crate) fn closed(&self) -> Closed {
        Closed(self.closed.clone())
    }

    pub(crate) fn is_closed(&self) -> bool {
        *self.closed.borrow() || self.open.is_closed()
    }

    /// A stream for questions.
    pub(crate) async fn ask(&self) -> Option<Stream> {
        self.stream(self.target.pull.clone()).await
    }

    /// A stream for gossip.
    pub(crate) async fn gossip(&self) -> Option<Stream> {
        self.stream(self.target.gossip.clone()).await
    }

    async fn stream(&self, protocol: StreamProtocol) -> Option<Stream> {
        let (reply, stream) = oneshot::channel();
        self.open.send(Open { protocol, reply }).await.ok()?;
        tokio::time::timeout(PATIENCE, stream).await.ok()?.ok()
    }

    /// Sends bytes that hold so many messages; says whether they went out.
    pub(crate) async fn send(&self, stream: &mut Stream, messages: usize, bytes: &[u8]) -> bool {
        let sent = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        let sent = sent.await.is_ok();
        if sent {
            self.counts.sent(messages, bytes.len());
        }
        sent
    }
}

async fn drive(mut swarm: Swarm<Wire>, node: PeerId, mut open: mpsc::Receiver<Open>, closing: watch::Sender<bool>) {
    loop {
        tokio::select! {
            event = swarm.select_next_some() => {
                if let SwarmEvent::ConnectionClosed { .. } = event {
                    let _ = closing.send(true);
                    return;
                }
            }
            one = open.recv() => match one {
                Some(one) => swarm.behaviour_mut().raw.to_open.push_back((node, one)),
                None => return,
            },
        }
    }
}

#[derive(NetworkBehaviour)]
struct Wire {
    raw: Raw,
    ping: ping::Behaviour,
}

/// A stream that is wanted.
#[derive(Debug)]
struct Open {
    protocol: StreamProtocol,
    reply: oneshot::Sender<Stream>,
}

struct Raw {
    protocols: Vec<StreamProtocol>,
    reply: Reply,
    to_open: VecDeque<(PeerId, Open)>,
}

impl Raw {
    fn handler(&self) -> Handler {
        Handler {
            protocols: self.protocols.clone(),
            reply: self.reply,
            to_open: VecDeque::new(),
            opening: VecDeque::new(),
        }
    }
}

impl NetworkBehaviour for Raw {
    type ConnectionHandler = Handler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler())
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        match self.to_open.pop_front() {
            Some((peer_id, event)) => {
                Poll::Ready(ToSwarm::NotifyHandler { peer_id, handler: NotifyHandler::Any, event })
            }
            None => Poll::Pending,
        }
    }
}

struct Handler {
    protocols: Vec<StreamProtocol>,
    reply: Reply,
    to_open: VecDeque<Open>,
    opening: VecDeque<Open>,
}

/// Takes what the node opens, whichever of these it is.
struct Accept(Vec<StreamProtocol>);

impl UpgradeInfo for Accept {
    type Info = StreamProtocol;
    type InfoIter = std::vec::IntoIter<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.clone().into_iter()
    }
}

impl InboundUpgrade<Stream> for Accept {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Open;
    type ToBehaviour = Infallible;
    type InboundProtocol = Accept;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Accept> {
        SubstreamProtocol::new(Accept(self.protocols.clone()), ())
    }

    fn connection_keep_alive(&self) -> bool {
        true
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, (), Self::ToBehaviour>> {
        let Some(one) = self.to_open.pop_front() else { return Poll::Pending };
        let protocol = SubstreamProtocol::new(ReadyUpgrade::new(one.protocol.clone()), ());
        self.opening.push_back(one);
        Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol })
    }

    fn on_behaviour_event(&mut self, open: Open) {
        self.to_open.push_back(open);
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Accept, Self::OutboundProtocol>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: (stream, protocol), ..
            }) => {
                let is_gossip = protocol == self.protocols[0];
                tokio::spawn(take(stream, is_gossip, self.reply));
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, .. }) => {
                if let Some(open) = self.opening.pop_front() {
                    let _ = open.reply.send(protocol);
                }
            }
            ConnectionEvent::DialUpgradeError(_) => drop(self.opening.pop_front()),
            _ => {}
        }
    }
}

/// What the node opened: its gossip, or a question.
async fn take(mut stream: Stream, is_gossip: bool, reply: Reply) -> io::Result<()> {
    match (is_gossip, reply) {
        (_, Reply::Deaf) => std::future::pending().await,
        (true, _) => {
            let mut some = vec![0; 64 * 1024];
            while stream.read(&mut some).await? > 0 {}
            Ok(())
        }
        (false, Reply::None) => Ok(()),
        (false, Reply::Oversize) => {
            stream.write_all(&[255; 4]).await?;
            stream.write_all(&[0; 64 * 1024]).await?;
            stream.close().await
        }
    }
}
