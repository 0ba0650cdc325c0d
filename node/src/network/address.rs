//! Where a node can be reached: `/ip4/192.0.2.7/tcp/7101/p2p/12D3KooW...`.
//!
//! Only `/ip4` and `/ip6` with `/tcp`, and perhaps the peer id that must answer there. Names (`/dns`) are refused: who
//! answers for a name is for somebody else to say, and the resolver that would be asked has known faults.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

/// A place, and perhaps the peer that must answer there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// The place.
    pub socket: SocketAddr,
    /// Who must answer; `None`: whoever does.
    pub peer: Option<PeerId>,
}

/// Why a text is not an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is no address of a node: {reason}; expected such as `/ip4/192.0.2.7/tcp/7101/p2p/12D3KooW...`")]
pub struct EndpointError {
    /// What was found.
    pub found: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Endpoint {
    /// The same place, one port further: where consensus listens, unless told otherwise.
    pub fn next_port(self) -> Option<Self> {
        let port = self.socket.port().checked_add(1)?;
        Some(Self { socket: SocketAddr::new(self.socket.ip(), port), ..self })
    }

    /// Without the peer.
    #[must_use]
    pub fn place(self) -> Self {
        Self { peer: None, ..self }
    }

    /// As libp2p writes it.
    pub fn to_multiaddr(self) -> Multiaddr {
        let ip = match self.socket.ip() {
            IpAddr::V4(ip) => Protocol::Ip4(ip),
            IpAddr::V6(ip) => Protocol::Ip6(ip),
        };
        let mut address = Multiaddr::empty().with(ip).with(Protocol::Tcp(self.socket.port()));
        if let Some(peer) = self.peer {
            address.push(Protocol::P2p(peer));
        }
        address
    }

    /// Of an address that libp2p tells.
    pub fn of(address: &Multiaddr) -> Option<Self> {
        let mut parts = address.iter();
        let ip = match parts.next()? {
            Protocol::Ip4(ip) => IpAddr::V4(ip),
            Protocol::Ip6(ip) => IpAddr::V6(ip),
            _ => return None,
        };
        let Protocol::Tcp(port) = parts.next()? else { return None };
        let peer = match parts.next() {
            None => None,
            Some(Protocol::P2p(peer)) => Some(peer),
            Some(_) => return None,
        };
        parts.next().is_none().then_some(Self { socket: SocketAddr::new(ip, port), peer })
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let fault = |reason: String| EndpointError { found: text.chars().take(128).collect(), reason };
        let address: Multiaddr = text.parse().map_err(|error| fault(format!("{error}")))?;
        if address.protocol_stack().next().is_some_and(|first| first.starts_with("dns")) {
            return Err(fault("names are not resolved, only `/ip4` and `/ip6` are used".into()));
        }
        Self::of(&address).ok_or_else(|| fault("it is not an IP address and a TCP port, and perhaps a peer id".into()))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_multiaddr().fmt(f)
    }
}

impl<'de> serde::Deserialize<'de> for Endpoint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";

    #[test]
    fn an_endpoint_is_an_address_a_port_and_perhaps_a_peer() {
        for text in [
            "/ip4/192.0.2.7/tcp/7101".to_owned(),
            "/ip6/::1/tcp/0".to_owned(),
            format!("/ip4/127.0.0.1/tcp/7101/p2p/{PEER}"),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(endpoint.to_string(), text);
        }
        for (text, said) in [
            ("", "not an IP address"),
            ("127.0.0.1:7101", "no address of a node"),
            ("/dns4/node.example/tcp/7101", "names are not resolved"),
            ("/dns/node.example/tcp/7101", "names are not resolved"),
            ("/ip4/127.0.0.1/udp/7101/quic-v1", "not an IP address"),
            ("/ip4/127.0.0.1", "not an IP address"),
            ("/ip4/127.0.0.1/tcp/7101/ws", "not an IP address"),
            ("/ip4/127.0.0.1/tcp/70000", "no address of a node"),
            ("/ip4/127.0.0.1/tcp/7101/p2p/nobody", "no address of a node"),
        ] {
            let error = text.parse::<Endpoint>().unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn consensus_is_next_door() {
        let endpoint: Endpoint = "/ip4/127.0.0.1/tcp/7101".parse().unwrap();
        assert_eq!(endpoint.next_port().unwrap().to_string(), "/ip4/127.0.0.1/tcp/7102");
        let last: Endpoint = "/ip4/127.0.0.1/tcp/65535".parse().unwrap();
        assert_eq!(last.next_port(), None);
    }
}
