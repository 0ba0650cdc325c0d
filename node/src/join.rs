//! A node that joins a chain: its genesis from a file or a node, its home, and where others reach it.

use std::fs;
use std::io::Read as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use writ_proto::genesis::Genesis;
use writ_proto::limits::GENESIS_BYTES_MAX;

use crate::config::Config;
use crate::guard::key_file;
use crate::home::Home;
use crate::init::{self, Joining};
use crate::network::{Endpoint, peer_id};

/// How long a node may take to tell the genesis.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a genesis as JSON: four times its encoding.
const JSON_BYTES_MAX: u64 = 4 * GENESIS_BYTES_MAX as u64;

/// Makes the home and says what was made.
pub fn join(
    home: &Home,
    genesis: &str,
    peers: Vec<Endpoint>,
    name: Option<String>,
    listen: Option<SocketAddr>,
    network: Option<Endpoint>,
) -> anyhow::Result<()> {
    let genesis = read_genesis(genesis)?;
    let chain = genesis.chain_id();
    let name = match name {
        Some(name) => name.parse().with_context(|| format!("`{name}` cannot be a validator's name"))?,
        None => fresh_name()?.parse()?,
    };
    let config = init::join(home, Joining { name, genesis, peers, listen, network })?;
    println!("{}", home.path().display());
    eprintln!("chain   {chain}");
    eprintln!("answers http://{} once it runs: writ-node run --home {}", config.http.listen, home.path().display());
    let own = endpoint(home)?;
    eprintln!("peer    {own}");
    if own.socket.ip().is_unspecified() {
        eprintln!("note: others need this machine's address in the place of `{}`", own.socket.ip());
    }
    Ok(())
}

/// A name that no other node is likely to have.
fn fresh_name() -> anyhow::Result<String> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness for a name: {error}"))?;
    Ok(format!("node-{}", hex::encode(bytes)))
}

/// Where other nodes reach the node that lives in `home`, with its peer id.
///
/// # Errors
/// If it has no network.
pub fn endpoint(home: &Home) -> anyhow::Result<Endpoint> {
    let config = Config::read(&home.config())?;
    let network = config
        .network
        .with_context(|| format!("`{}` has no `[network]`: nobody reaches this node", home.config().display()))?;
    let identity = key_file::read(&home.node_key())?;
    Ok(Endpoint { peer: Some(peer_id(&identity)?), ..network.listen })
}

/// The genesis from a file, or from the node at a URL.
fn read_genesis(from: &str) -> anyhow::Result<Genesis> {
    let text = match from.split_once("://") {
        Some(("http", _)) => fetch(from)?,
        Some((scheme, _)) => {
            anyhow::bail!("`{scheme}://` is not spoken here; fetch the genesis with a tool of yours and give the file")
        }
        None => fs::read_to_string(from).with_context(|| format!("cannot read `{from}`"))?,
    };
    serde_json::from_str(&text).with_context(|| format!("`{from}` is not a genesis"))
}

fn fetch(url: &str) -> anyhow::Result<String> {
    let url = match url.trim_end_matches('/') {
        url if url.ends_with("/v1/genesis") => url.to_owned(),
        url => format!("{url}/v1/genesis"),
    };
    let agent = ureq::Agent::new_with_config(
        ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).max_redirects(0).build(),
    );
    let response = agent.get(&url).call().with_context(|| format!("cannot fetch `{url}`"))?;
    let mut text = String::new();
    let read = response.into_body().into_reader().take(JSON_BYTES_MAX + 1).read_to_string(&mut text);
    read.with_context(|| format!("cannot fetch `{url}`"))?;
    ensure!(text.len() as u64 <= JSON_BYTES_MAX, "`{url}` has more than {JSON_BYTES_MAX} bytes, it is not a genesis");
    Ok(text)
}
