//! The configuration file `writ.toml`: what it says, checked, with units.
//!
//! Every member has a default but the listening address. Unknown members are refused: a mistyped bound
//! must not be a missing one.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

mod network;
mod public_url;

pub use network::{Consensus, Network};
pub(crate) use public_url::is_address;
pub use public_url::{PublicUrl, PublicUrlError};

use crate::mempool::PoolLimits;
use crate::tokens::Tokens;

/// What a node is told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The HTTP interface.
    pub http: Http,
    /// The pool of waiting records.
    #[serde(default)]
    pub pool: Pool,
    /// The disk.
    #[serde(default)]
    pub disk: Disk,
    /// The other nodes; none: this node is alone.
    #[serde(default)]
    pub network: Option<Network>,
    /// How long consensus waits.
    #[serde(default)]
    pub consensus: Consensus,
    /// The newest protocol version that this program speaks: what it is, not what it is told.
    #[serde(skip, default = "defaults::speaks")]
    pub speaks: u32,
}

/// The HTTP interface.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Connections at a time; further ones wait to be accepted.
    #[serde(default = "defaults::connections_max")]
    pub connections_max: usize,
    /// How long a request's head may take.
    #[serde(default = "defaults::header_timeout_ms")]
    pub header_timeout_ms: u64,
    /// How long a request's body may take.
    #[serde(default = "defaults::body_timeout_ms")]
    pub body_timeout_ms: u64,
    /// How long a connection may stay silent between requests.
    #[serde(default = "defaults::idle_timeout_ms")]
    pub idle_timeout_ms: u64,
    /// The file that lists who may call from beyond this machine, relative to the home.
    #[serde(default = "defaults::tokens_file")]
    pub tokens_file: PathBuf,
    /// Whether callers of this machine need a token too.
    #[serde(default)]
    pub require_token: bool,
    /// Where callers reach the node, if they call something in front of it.
    #[serde(default)]
    pub public_url: Option<PublicUrl>,
}

/// The pool of waiting records.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pool {
    /// Records that may wait.
    pub records_max: usize,
    /// Their bytes.
    pub bytes_max: usize,
}

/// The disk.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Disk {
    /// Below so many free bytes, or below a twentieth of the disk if that is less, the node takes no records,
    /// and goes on answering.
    pub free_bytes_min: u64,
}

impl Default for Pool {
    fn default() -> Self {
        let PoolLimits { records_max, bytes_max } = PoolLimits::default();
        Self { records_max, bytes_max }
    }
}

impl Default for Disk {
    /// 256 MiB: several hundred full blocks.
    fn default() -> Self {
        Self { free_bytes_min: 256 * 1024 * 1024 }
    }
}

mod defaults {
    pub(super) fn speaks() -> u32 {
        writ_proto::genesis::PROTOCOL
    }
    pub(super) fn connections_max() -> usize {
        1024
    }
    pub(super) fn header_timeout_ms() -> u64 {
        5_000
    }
    pub(super) fn body_timeout_ms() -> u64 {
        10_000
    }
    pub(super) fn idle_timeout_ms() -> u64 {
        60_000
    }
    pub(super) fn tokens_file() -> std::path::PathBuf {
        "tokens".into()
    }
}

/// The longest that anything may take, an hour: more is a mistake, or for ever.
const TIME_MS_MAX: u64 = 3_600_000;
/// The most of anything that is counted: a tebibyte, or far more connections and records than any machine has room for.
const COUNT_MAX: u64 = 1 << 40;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read `{path}`")]
    Read {
        /// Which file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not what a configuration looks like.
    #[error("`{path}` is not a configuration")]
    Malformed {
        /// Which file.
        path: String,
        /// What is wrong, and where.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A bound of nothing, or of no sense.
    #[error("`{field}` is {found} in `{path}`, expected 1 to {most}")]
    Bound {
        /// Which file.
        path: String,
        /// Which member.
        field: &'static str,
        /// What it is.
        found: u64,
        /// What it may be.
        most: u64,
    },
    /// Members that do not go together.
    #[error("`{field}` in `{path}` cannot be used: {reason}")]
    Unusable {
        /// Which file.
        path: String,
        /// Which member.
        field: &'static str,
        /// Why not.
        reason: String,
    },
    /// Everybody could call, or nobody.
    #[error("{asked}, and `{tokens_file}` lists no token: make one with `writ-node token new --home DIR --name NAME`")]
    NoToken {
        /// Why callers need a token.
        asked: String,
        /// Which file.
        tokens_file: String,
    },
}

impl Config {
    /// The configuration of a node that listens at `listen`, with every bound at its default.
    pub fn new(listen: SocketAddr) -> Self {
        let http = Http {
            listen,
            connections_max: defaults::connections_max(),
            header_timeout_ms: defaults::header_timeout_ms(),
            body_timeout_ms: defaults::body_timeout_ms(),
            idle_timeout_ms: defaults::idle_timeout_ms(),
            tokens_file: defaults::tokens_file(),
            require_token: false,
            public_url: None,
        };
        Self {
            http,
            pool: Pool::default(),
            disk: Disk::default(),
            network: None,
            consensus: Consensus::default(),
            speaks: defaults::speaks(),
        }
    }

    /// Reads and checks a file.
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        let path = file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|source| ConfigError::Read { path: path.clone(), source })?;
        let config: Self = toml::from_str(&text)
            .map_err(|source| ConfigError::Malformed { path: path.clone(), source: Box::new(source) })?;
        let times = [
            ("http.header_timeout_ms", config.http.header_timeout_ms),
            ("http.body_timeout_ms", config.http.body_timeout_ms),
            ("http.idle_timeout_ms", config.http.idle_timeout_ms),
        ];
        let counts = [
            ("http.connections_max", config.http.connections_max as u64),
            ("pool.records_max", config.pool.records_max as u64),
            ("pool.bytes_max", config.pool.bytes_max as u64),
        ];
        let times = times.into_iter().chain(config.consensus.times()).map(|(field, found)| (field, found, TIME_MS_MAX));
        let counts = counts.into_iter().map(|(field, found)| (field, found, COUNT_MAX));
        if let Some((field, found, most)) = times.chain(counts).find(|(_, found, most)| !(1..=*most).contains(found)) {
            return Err(ConfigError::Bound { path, field, found, most });
        }
        let fault = config.network.as_ref().and_then(|network| network.fault(config.http.listen));
        match fault {
            Some((field, reason)) => Err(ConfigError::Unusable { path, field, reason }),
            None => Ok(config),
        }
    }

    /// The file that says this, each member explained.
    pub fn to_text(&self) -> String {
        let Self { http, pool, disk, network, consensus, speaks: _ } = self;
        let alone = format!(
            "# The configuration of one Writ node. Members left out have these defaults.\n\
             \n\
             [http]\n\
             listen = \"{listen}\"\n\
             # Connections at a time; further ones wait to be accepted.\n\
             connections_max = {connections}\n\
             # How long a request's head, its body, and the silence between two requests may last.\n\
             header_timeout_ms = {header}\n\
             body_timeout_ms = {body}\n\
             idle_timeout_ms = {idle}\n\
             # Callers from beyond loopback show a token that this file lists (`writ-node token new` makes one); with\n\
             # `require_token`, so do those of this machine: needed behind a proxy that runs here too.\n\
             tokens_file = \"{tokens}\"\n\
             require_token = {require}\n\
             # Where callers reach the node, if that is a proxy in front of it; what the node says of its address is this.\n\
             {public}\n\
             \n\
             [pool]\n\
             # Records, and their bytes, that may wait for a block; beyond it a submission gets `429 overloaded`.\n\
             records_max = {records}\n\
             bytes_max = {bytes}\n\
             \n\
             [disk]\n\
             # Below so many free bytes, or below a twentieth of the disk if that is less, the node takes no records,\n\
             # and goes on answering.\n\
             free_bytes_min = {free}\n",
            listen = http.listen,
            connections = http.connections_max,
            header = http.header_timeout_ms,
            body = http.body_timeout_ms,
            idle = http.idle_timeout_ms,
            tokens = http.tokens_file.display(),
            require = http.require_token,
            public = match &http.public_url {
                None => "# public_url = \"https://ledger.example\"".to_owned(),
                Some(url) => format!("public_url = \"{}\"", url.as_str()),
            },
            records = pool.records_max,
            bytes = pool.bytes_max,
            free = disk.free_bytes_min,
        );
        match network {
            None => alone,
            Some(network) => [alone, network.text(), consensus.text()].concat(),
        }
    }

    /// The bounds of the pool.
    pub fn pool_limits(&self) -> PoolLimits {
        PoolLimits { records_max: self.pool.records_max, bytes_max: self.pool.bytes_max }
    }
}

impl Http {
    /// How long a request's head may take.
    pub fn header_timeout(&self) -> Duration {
        Duration::from_millis(self.header_timeout_ms)
    }

    /// How long a request's body may take.
    pub fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.body_timeout_ms)
    }

    /// Refuses what would let everybody call, or nobody: callers who need a token, and no token.
    pub fn check_tokens(&self, tokens: &Tokens) -> Result<(), ConfigError> {
        let asked = match (self.listen.ip().to_canonical().is_loopback(), self.require_token) {
            (true, false) => return Ok(()),
            (false, _) => format!("`{}` can be called from beyond this machine", self.listen),
            (true, true) => "`http.require_token` asks every caller for a token".into(),
        };
        if !tokens.is_empty() {
            return Ok(());
        }
        Err(ConfigError::NoToken { asked, tokens_file: tokens.path().display().to_string() })
    }

    /// How long a connection may stay silent.
    pub fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_that_is_written_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("writ.toml");
        let config = Config::new("127.0.0.1:7001".parse().unwrap());
        std::fs::write(&file, config.to_text()).unwrap();
        assert_eq!(Config::read(&file).unwrap().to_text(), config.to_text());
        let public_url = Some(PublicUrl::try_from("https://ledger.example".to_owned()).unwrap());
        let config = Config { http: Http { public_url: public_url.clone(), ..config.http }, ..config };
        std::fs::write(&file, config.to_text()).unwrap();
        assert_eq!(Config::read(&file).unwrap().http.public_url, public_url);
        let peer = "/ip4/192.0.2.7/tcp/7101/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
        let listen = "/ip4/127.0.0.1/tcp/7101".parse().unwrap();
        let network = Network::new(listen, vec![peer.parse().unwrap()], false);
        let config = Config { network: Some(network), ..config };
        std::fs::write(&file, config.to_text()).unwrap();
        assert_eq!(Config::read(&file).unwrap().to_text(), config.to_text());
        assert!(config.to_text().contains("consensus_listen = \"/ip4/127.0.0.1/tcp/7102\""));
    }

    #[test]
    fn a_mistyped_member_and_a_bound_of_nothing_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("writ.toml");
        let network = |more: &str| {
            format!("[http]\nlisten = \"127.0.0.1:7001\"\n[network]\nlisten = \"/ip4/127.0.0.1/tcp/1\"\n{more}\n")
        };
        for (text, said) in [
            ("[http]\nlisten = \"127.0.0.1:1\"\nconections_max = 3\n", "is not a configuration"),
            ("[http]\nlisten = \"127.0.0.1:1\"\nconnections_max = 0\n", "http.connections_max"),
            ("[http]\nlisten = \"nowhere\"\n", "is not a configuration"),
            ("[http]\nlisten = \"127.0.0.1:1\"\npublic_url = \"ledger.example\"\n", "is not a configuration"),
            ("[pool]\nbytes_max = 1\n", "is not a configuration"),
            (&network("open = false\npeers = [\"/ip4/127.0.0.1/tcp/2\"]"), "network.peers"),
            (&network("consensus_listen = \"/ip4/127.0.0.1/tcp/1\""), "network.consensus_listen"),
            (&network("peers_max = 0"), "network.peers_max"),
            (&network("peers = [\"/dns4/localhost/tcp/2\"]"), "is not a configuration"),
            (&network("allow = [\"me\"]"), "is not a configuration"),
            (&network("open = true\n[consensus]\nrebroadcast_ms = 0"), "consensus.rebroadcast_ms"),
            (&network("open = true\n[consensus]\npropose_timeout_ms = 3600001"), "expected 1 to 3600000"),
            (&network("gossip_bytes_per_s_max = 0"), "network.gossip_bytes_per_s_max"),
            (&network("consensus_listen = \"/ip4/127.0.0.1/tcp/7001\""), "taken by `http.listen`"),
            (&network("consensus_listen = \"/ip4/0.0.0.0/tcp/7001\""), "taken by `http.listen`"),
            ("[http]\nlisten = \"127.0.0.1:1\"\nidle_timeout_ms = 18446744073709551615\n", "http.idle_timeout_ms"),
        ] {
            std::fs::write(&file, text).unwrap();
            let error = Config::read(&file).unwrap_err().to_string();
            assert!(error.contains(said), "{text:?}: {error}");
        }
    }
}
