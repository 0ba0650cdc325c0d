//! What gossip is let through, before anything of it is kept.
//!
//! Gossip keeps what it hears before this node can look at it: messages of topics that nobody here follows, the names of
//! whatever topics a peer says that it follows or has left, ids of any length. Each is forgotten after seconds, some after
//! an hour; at the rate of a wire that is memory without a bound. So every packet passes here first:
//!
//! - messages and control messages are about the two topics of this chain, ids are digests; whoever sends another knows
//!   that it is none of this chain's, and is blamed;
//! - one peer sends so many in a second and no more: who exceeds that by far is shut out;
//! - the peers that are not named in the configuration have one such rate together: coming as somebody else does not help.
//!   What exceeds it is dropped; peers ask for it later.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::io;
use std::task::{Context, Poll};
use std::time::Instant;

use libp2p::PeerId;
use libp2p::core::transport::PortUse;
use libp2p::core::{Endpoint, Multiaddr};
use libp2p::gossipsub::{self, DataTransform, Message, RawMessage, TopicHash, WhitelistSubscriptionFilter};
use libp2p::swarm::behaviour::ConnectionClosed;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};

use super::peers::Bucket;

/// Messages and control messages a second from one peer, on average over ten seconds: a node makes at most 500 batches a
/// second, and passes on those of others.
const ITEMS_PER_S: u64 = 4_000;
/// The same from all peers together that are not named.
const STRANGERS_ITEMS_PER_S: u64 = 8_000;
/// Bytes of control messages that count as one item.
const CONTROL_ITEM: usize = 512;
/// Bytes of an id: messages are named by the digest of their bytes.
const ID_BYTES: usize = 32;

/// Gossip, for the two topics only.
pub(super) type Gossip = gossipsub::Behaviour<AsItIs, WhitelistSubscriptionFilter>;
type Heard = THandlerOutEvent<Gossip>;

/// What comes out of the gate.
#[derive(Debug)]
pub(super) enum Event {
    /// What gossip tells.
    Gossip(gossipsub::Event),
    /// A peer sent what it must have known to be bad.
    Bad(PeerId, &'static str),
    /// A peer sent far more than any has to tell.
    Flood(PeerId),
    /// Messages were dropped because strangers send too much together.
    Dropped(usize),
}

/// See the module's doc.
pub(super) struct Behaviour {
    pub(super) gossip: Gossip,
    topics: [TopicHash; 2],
    named: HashSet<PeerId>,
    items: HashMap<PeerId, Bucket>,
    strangers: Bucket,
    caught: VecDeque<Event>,
}

impl Behaviour {
    pub(super) fn new(gossip: Gossip, topics: [TopicHash; 2], named: &[PeerId]) -> Self {
        Self {
            gossip,
            topics,
            named: named.iter().copied().collect(),
            items: HashMap::new(),
            strangers: Bucket::new(STRANGERS_ITEMS_PER_S, Instant::now()),
            caught: VecDeque::new(),
        }
    }

    /// Looks at a packet and takes out of it what is not let through.
    fn look(&mut self, peer: PeerId, packet: &mut Packet, now: Instant) {
        let looked: Vec<Looked> = packet.control_msgs.iter().map(Looked::at).collect();
        let control: usize = looked.iter().map(|one| 1 + one.bytes / CONTROL_ITEM).sum();
        let items = packet.messages.len() + packet.subscriptions.len() + control;
        let own = self.items.entry(peer).or_insert_with(|| Bucket::new(ITEMS_PER_S, now));
        if !own.take(items, now) {
            self.caught.push_back(Event::Flood(peer));
            return packet.clear();
        }
        let before = packet.messages.len();
        packet.messages.retain(|message| self.topics.contains(&message.topic));
        if packet.messages.len() < before {
            self.caught.push_back(Event::Bad(peer, "a message of another topic"));
        }
        if looked.iter().any(|one| one.is_strange(&self.topics)) {
            packet.control_msgs.clear();
            self.caught.push_back(Event::Bad(peer, "a control message that no node sends"));
        }
        if !self.named.contains(&peer) && !self.strangers.take(items, now) {
            self.caught.push_back(Event::Dropped(packet.messages.len()));
            packet.messages.clear();
            packet.control_msgs.clear();
        }
    }
}

#[allow(deprecated, reason = "its name will go, its parts stay reachable")]
type Packet = gossipsub::Rpc;

trait Clear {
    fn clear(&mut self);
}

impl Clear for Packet {
    fn clear(&mut self) {
        self.messages.clear();
        self.subscriptions.clear();
        self.control_msgs.clear();
    }
}

/// What a control message is made of. Its members are private; what it feeds a hasher is not.
#[derive(Debug, Default)]
struct Looked {
    bytes: usize,
    /// The topics that it names.
    texts: Vec<Vec<u8>>,
    /// What may be an id or the start of a text.
    last: Option<Vec<u8>>,
    has_odd_id: bool,
}

impl Looked {
    fn at(control: &impl Hash) -> Self {
        let mut looked = Self::default();
        control.hash(&mut looked);
        looked.end_id();
        looked
    }

    fn is_strange(&self, topics: &[TopicHash]) -> bool {
        let is_known = |text: &Vec<u8>| topics.iter().any(|topic| topic.as_str().as_bytes() == text);
        self.has_odd_id || !self.texts.iter().all(is_known)
    }

    fn end_id(&mut self) {
        self.has_odd_id |= self.last.take().is_some_and(|id| id.len() != ID_BYTES);
    }
}

impl Hasher for Looked {
    fn write(&mut self, bytes: &[u8]) {
        self.end_id();
        self.bytes += bytes.len();
        self.last = Some(bytes.to_vec());
    }

    /// What ends a text.
    fn write_u8(&mut self, byte: u8) {
        match self.last.take() {
            Some(text) if byte == 0xff => self.texts.push(text),
            other => self.last = other,
        }
    }

    // Counts, kinds and times.
    fn write_usize(&mut self, _: usize) {
        self.bytes += 8;
    }
    fn write_isize(&mut self, _: isize) {}
    fn write_u64(&mut self, _: u64) {}

    fn finish(&self) -> u64 {
        0
    }
}

/// Messages are passed on as they are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AsItIs;

impl DataTransform for AsItIs {
    fn inbound_transform(&self, raw: RawMessage) -> Result<Message, io::Error> {
        let RawMessage { source, data, sequence_number, topic, .. } = raw;
        Ok(Message { source, data, sequence_number, topic })
    }

    fn outbound_transform(&self, _: &TopicHash, data: Vec<u8>) -> Result<Vec<u8>, io::Error> {
        Ok(data)
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = <Gossip as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = Event;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.gossip.handle_pending_inbound_connection(connection, local, remote)
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.gossip.handle_established_inbound_connection(connection, peer, local, remote)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.gossip.handle_pending_outbound_connection(connection, peer, addresses, role)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port_use: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.gossip.handle_established_outbound_connection(connection, peer, address, role, port_use)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::ConnectionClosed(ConnectionClosed { peer_id, remaining_established: 0, .. }) = &event {
            self.items.remove(peer_id);
        }
        self.gossip.on_swarm_event(event);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        mut event: THandlerOutEvent<Self>,
    ) {
        if let Heard::Message { rpc, invalid_messages } = &mut event {
            self.look(peer, rpc, Instant::now());
            if !invalid_messages.is_empty() {
                self.caught.push_back(Event::Bad(peer, "a message with an author"));
                invalid_messages.clear();
            }
        }
        self.gossip.on_connection_handler_event(peer, connection, event);
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        if let Some(caught) = self.caught.pop_front() {
            return Poll::Ready(ToSwarm::GenerateEvent(caught));
        }
        self.gossip.poll(context).map(|event| event.map_out(Event::Gossip))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked(parts: impl Hash) -> Looked {
        Looked::at(&parts)
    }

    #[test]
    fn a_control_message_is_about_the_chains_topics_and_digests() {
        let topics = [TopicHash::from_raw("/writ/a/records/1"), TopicHash::from_raw("/writ/a/checkpoints/1")];
        let id = |len: usize| gossipsub::MessageId::from(vec![7; len]);
        let known = topics[0].clone();
        let other = TopicHash::from_raw("/writ/b/records/1");
        // As long as an id.
        let long = TopicHash::from_raw("x".repeat(ID_BYTES));
        for (case, looked, is_strange) in [
            ("a graft", looked((3_isize, known.clone())), false),
            ("a prune", looked((4_isize, known.clone(), Vec::<gossipsub::MessageId>::new(), Some(60_u64))), false),
            ("what it has", looked((0_isize, known.clone(), vec![id(32), id(32)])), false),
            ("what it wants", looked((1_isize, vec![id(32); 3])), false),
            ("another topic", looked((3_isize, other)), true),
            ("a topic as long as an id", looked((3_isize, long)), true),
            ("a long id", looked((1_isize, vec![id(32), id(33)])), true),
            ("a short id", looked((0_isize, known, vec![id(31), id(32)])), true),
        ] {
            assert_eq!(looked.is_strange(&topics), is_strange, "{case}: {looked:?}");
        }
        assert!(looked(vec![id(2_000); 60]).bytes > 120_000);
    }
}
