//! How many connections there may be, and how many may be in the making.
//!
//! Whoever opens sockets and says nothing must not keep others out until they time out: each address has a bound of its
//! own for connections that are being made, and all strangers' addresses together have one. An address at which a peer of
//! the configuration is has more room, and not out of the common one. Named peers are let in whatever strangers hold, each
//! a few times: while one finds out that its old connection is dead it comes with a new one.
//!
//! Everything that is noted here goes when the connection goes. (The bounds that come with libp2p keep an entry for each
//! peer that ever was.)

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::hash::Hash;
use std::net::IpAddr;
use std::task::{Context, Poll};

use libp2p::PeerId;
use libp2p::core::transport::PortUse;
use libp2p::core::{Endpoint as Role, Multiaddr};
use libp2p::swarm::behaviour::{ConnectionClosed, ConnectionEstablished, ListenFailure};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
    dummy,
};

use super::address::Endpoint;

/// Connections that are being made from one address.
const COMING_PER_ADDRESS_MAX: usize = 16;
/// From an address at which a named peer is.
const COMING_PER_NAMED_ADDRESS_MAX: usize = 64;
/// From all addresses at which none is.
const COMING_MAX: usize = 256;
/// Connections with one peer.
const PER_STRANGER_MAX: usize = 2;
const PER_NAMED_MAX: usize = 8;

/// Why a connection is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
struct TooMany(&'static str);

/// See the module's doc.
#[derive(Debug)]
pub(super) struct Behaviour {
    peers_max: usize,
    named: HashSet<PeerId>,
    named_addresses: HashSet<IpAddr>,
    /// Those that are being made; an address that is none counts as one.
    coming: HashMap<ConnectionId, Option<IpAddr>>,
    coming_from: Tally<Option<IpAddr>>,
    made: HashMap<ConnectionId, PeerId>,
    made_with: Tally<PeerId>,
}

/// How many there are of each; nothing is kept of whom there is none.
#[derive(Debug)]
struct Tally<K>(HashMap<K, usize>);

impl<K: Eq + Hash + Copy> Tally<K> {
    fn of(&self, key: &K) -> usize {
        self.0.get(key).copied().unwrap_or(0)
    }

    fn add(&mut self, key: K) {
        *self.0.entry(key).or_default() += 1;
    }

    fn remove(&mut self, key: K) {
        if let Some(count) = self.0.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&key);
            }
        }
    }
}

impl Behaviour {
    /// For at most `peers_max` connections, and the peers that are `named`, some of them with addresses.
    pub(super) fn new(peers_max: u32, named: &[PeerId], addresses: impl Iterator<Item = IpAddr>) -> Self {
        Self {
            peers_max: usize::try_from(peers_max).unwrap_or(usize::MAX),
            named: named.iter().copied().collect(),
            named_addresses: addresses.map(site).collect(),
            coming: HashMap::new(),
            coming_from: Tally(HashMap::new()),
            made: HashMap::new(),
            made_with: Tally(HashMap::new()),
        }
    }

    fn comes(&mut self, connection: ConnectionId, from: Option<IpAddr>) -> Result<(), TooMany> {
        let is_named = |from: &Option<IpAddr>| from.is_some_and(|ip| self.named_addresses.contains(&ip));
        let max = if is_named(&from) { COMING_PER_NAMED_ADDRESS_MAX } else { COMING_PER_ADDRESS_MAX };
        if self.coming_from.of(&from) >= max {
            return Err(TooMany("too many connections are being made from this address"));
        }
        let strangers = || self.coming.values().filter(|from| !is_named(from)).count();
        if !is_named(&from) && strangers() >= COMING_MAX {
            return Err(TooMany("too many connections are being made"));
        }
        self.coming.insert(connection, from);
        self.coming_from.add(from);
        Ok(())
    }

    fn came(&mut self, connection: ConnectionId) {
        if let Some(from) = self.coming.remove(&connection) {
            self.coming_from.remove(from);
        }
    }

    fn admit(&self, peer: &PeerId) -> Result<(), TooMany> {
        let (is_named, own) = (self.named.contains(peer), self.made_with.of(peer));
        if own >= if is_named { PER_NAMED_MAX } else { PER_STRANGER_MAX } {
            return Err(TooMany("too many connections with this peer"));
        }
        if !is_named && self.made.len() >= self.peers_max {
            return Err(TooMany("too many connections"));
        }
        Ok(())
    }
}

/// An address, or as many as one place has for itself: the first half of an IPv6 address.
fn site(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6((u128::from(ip) >> 64 << 64).into()),
        ip => ip,
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        let from = Endpoint::of(remote).map(|endpoint| site(endpoint.socket.ip()));
        self.comes(connection, from).map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.came(connection);
        self.admit(&peer).map_err(ConnectionDenied::new)?;
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Role,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit(&peer).map_err(ConnectionDenied::new)?;
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished { peer_id, connection_id, .. }) => {
                self.made.insert(connection_id, peer_id);
                self.made_with.add(peer_id);
            }
            FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. }) => {
                if let Some(peer) = self.made.remove(&connection_id) {
                    self.made_with.remove(peer);
                }
            }
            FromSwarm::ListenFailure(ListenFailure { connection_id, .. }) => self.came(connection_id),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(n: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, n]))
    }

    fn id(n: usize) -> ConnectionId {
        ConnectionId::new_unchecked(n)
    }

    #[test]
    fn one_address_cannot_keep_others_out_by_connections_that_it_never_completes() {
        let mut limits = Behaviour::new(8, &[], ip(1).into_iter());
        let fill = |limits: &mut Behaviour, from, base: usize| {
            (base..base + 1_000).take_while(|n| limits.comes(id(*n), from).is_ok()).count()
        };
        assert_eq!(fill(&mut limits, ip(9), 0), COMING_PER_ADDRESS_MAX);
        assert_eq!(fill(&mut limits, ip(8), 1_000), COMING_PER_ADDRESS_MAX, "another address has its own room");
        for n in 0..100 {
            fill(&mut limits, ip(20 + n), 2_000 + 1_000 * usize::from(n));
        }
        assert_eq!(limits.coming.len(), COMING_MAX, "and all strangers together have one");
        assert_eq!(fill(&mut limits, ip(1), 200_000), COMING_PER_NAMED_ADDRESS_MAX, "a named peer's is beside it");
        limits.came(id(0));
        assert_eq!(limits.comes(id(300_000), ip(9)), Ok(()), "what is over makes room");
        let all: Vec<_> = limits.coming.keys().copied().collect();
        all.into_iter().for_each(|connection| limits.came(connection));
        assert!(limits.coming_from.0.is_empty(), "and leaves nothing behind");
    }

    #[test]
    fn who_has_a_network_of_addresses_has_one_room() {
        let site = |text: &str| site(text.parse().unwrap());
        assert_eq!(site("2001:db8:1:2:3:4:5:6"), site("2001:db8:1:2::1"));
        assert_ne!(site("2001:db8:1:2::1"), site("2001:db8:1:3::1"));
        assert_ne!(site("192.0.2.1"), site("192.0.2.2"));
        assert_eq!(site("::ffff:192.0.2.1"), site("192.0.2.1"));
    }

    #[test]
    fn named_peers_are_let_in_whatever_strangers_hold() {
        let (named, stranger) = (PeerId::random(), PeerId::random());
        let mut limits = Behaviour::new(4, &[named], std::iter::empty());
        let hold = |limits: &mut Behaviour, n: usize, peer: PeerId| {
            limits.admit(&peer)?;
            limits.made.insert(id(n), peer);
            limits.made_with.add(peer);
            Ok::<_, TooMany>(())
        };
        assert!(hold(&mut limits, 0, stranger).is_ok() && hold(&mut limits, 1, stranger).is_ok());
        assert!(hold(&mut limits, 2, stranger).is_err(), "two of one stranger");
        assert!((2..4).all(|n| hold(&mut limits, n, PeerId::random()).is_ok()));
        assert!(hold(&mut limits, 4, PeerId::random()).is_err(), "four of all");
        assert_eq!((4..100).take_while(|n| hold(&mut limits, *n, named).is_ok()).count(), PER_NAMED_MAX);
    }
}
