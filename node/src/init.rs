//! Making a chain: its genesis, and one home for each of its nodes.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use writ_proto::genesis::{Genesis, PROTOCOL, Parameters, RootAuthority};
use writ_proto::hash::Digest;
use writ_proto::key::SecretKey;
use writ_proto::limits::GENESIS_MEMBERS_MAX;
use writ_proto::record::{AuthorityName, EnrolledKey, ValidatorKeys};
use writ_proto::scope::Scope;

use crate::clock;
use crate::config::{self, Config};
use crate::guard::{durable, key_file};
use crate::home::Home;
use crate::network::{Endpoint, peer_id};

/// Where HTTP is, unless told otherwise.
const HTTP_PORT: u16 = 7001;
/// How many ports above it the nodes listen for each other.
const PORTS_ABOVE: usize = 100;

/// The authority that everybody may use.
pub const DEV_AUTHORITY: &str = "dev";

/// What a new chain is to be.
#[derive(Debug, Default)]
pub struct Plan {
    /// The chain's name.
    pub chain: String,
    /// How many validators.
    pub validators: usize,
    /// Root authorities, as `NAME=PUBKEYFILE`.
    pub authorities: Vec<String>,
    /// Their scopes, as `NAME=FILE`.
    pub scopes: Vec<String>,
    /// Whether to trust `dev` too.
    pub dev_authority: bool,
    /// A genesis to start from instead.
    pub genesis_file: Option<PathBuf>,
    /// Where node0 listens for other nodes; each further node two ports higher. Left out: a chain of one has no
    /// network, one of several listens a hundred ports above HTTP.
    pub network: Option<Endpoint>,
}

/// Makes the chain of `plan`, and its nodes' homes under `dir`; gives the homes.
///
/// # Errors
/// If a home is there already, or what was asked for makes no chain. Nothing is made then but perhaps
/// empty folders.
pub fn init(dir: &Path, plan: &Plan, listen: SocketAddr) -> anyhow::Result<Vec<Home>> {
    let homes: Vec<Home> = (0..plan.validators).map(|n| Home::at(dir.join(format!("node{n}")))).collect();
    make(dir, &homes, plan, listen)?;
    Ok(homes)
}

/// Makes the chain of a `writ-node dev`, in one home.
pub fn init_dev(home: &Home, listen: SocketAddr) -> anyhow::Result<()> {
    let plan = Plan { chain: "writ.localhost/dev".into(), validators: 1, dev_authority: true, ..Plan::default() };
    make(home.path(), std::slice::from_ref(home), &plan, listen)
}

fn make(dir: &Path, homes: &[Home], plan: &Plan, listen: SocketAddr) -> anyhow::Result<()> {
    ensure!(
        (1..=GENESIS_MEMBERS_MAX).contains(&plan.validators),
        "{} validators were asked for, a chain has 1 to {GENESIS_MEMBERS_MAX}",
        plan.validators
    );
    if let Some(made) = homes.iter().find(|home| home.path().exists() && !is_empty(home.path())) {
        bail!("`{}` is not empty; a chain is made in new folders only", made.path().display());
    }
    let mut authorities = named_authorities(plan)?;
    let dev = plan.dev_authority.then(|| new_key("dev")).transpose()?;
    if let Some(dev) = &dev {
        authorities.push(root(DEV_AUTHORITY.parse()?, enrolled(dev), Scope::everything()));
    }
    let validators: Vec<NodeKeys> = homes.iter().map(|_| NodeKeys::new()).collect::<anyhow::Result<_>>()?;
    let genesis = genesis(plan, authorities, &validators)?;
    genesis.check().context("these make no chain")?;

    fs::create_dir_all(dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
    if let Some(dev) = &dev {
        write_authority_key(&dir.join("dev.key"), dev)?;
    }
    let places = places(plan, listen, &validators)?;
    for (n, (home, keys)) in homes.iter().zip(&validators).enumerate() {
        let mut config = Config::new(SocketAddr::new(listen.ip(), port(listen.port(), n)?));
        config.network = places.get(n).map(|own| {
            let others = places.iter().filter(|other| other.peer != own.peer).copied().collect();
            // Whoever reaches a loopback port is on this machine, where the keys are.
            config::Network::new(own.place(), others, own.socket.ip().is_loopback())
        });
        keys.write(home, &genesis, genesis.validators[n].name.clone())?;
        finish(home, &config, &genesis)?;
    }
    Ok(())
}

/// Where the nodes listen for each other, each with its peer id; nowhere, if there is no network.
fn places(plan: &Plan, listen: SocketAddr, nodes: &[NodeKeys]) -> anyhow::Result<Vec<Endpoint>> {
    let first = match plan.network {
        Some(first) => first,
        None if nodes.len() == 1 => return Ok(Vec::new()),
        None => Endpoint { socket: SocketAddr::new(listen.ip(), port(listen.port(), PORTS_ABOVE)?), peer: None },
    };
    ensure!(
        first.socket.port() != 0 || nodes.len() == 1,
        "nodes of one chain must know where the others listen: give `--network-listen` a port, or `--listen`"
    );
    let place = |(n, keys): (usize, &NodeKeys)| {
        let socket = SocketAddr::new(first.socket.ip(), port(first.socket.port(), 2 * n)?);
        Ok(Endpoint { socket, peer: Some(peer_id(&keys.node)?) })
    };
    nodes.iter().enumerate().map(place).collect()
}

/// The port `n` above `first`; 0, which takes any, stays 0.
fn port(first: u16, n: usize) -> anyhow::Result<u16> {
    if first == 0 {
        return Ok(0);
    }
    u16::try_from(n).ok().and_then(|n| first.checked_add(n)).context("there are not that many ports")
}

/// Writes what makes a folder with keys a home.
fn finish(home: &Home, config: &Config, genesis: &Genesis) -> anyhow::Result<()> {
    write_durably(&home.config(), &config.to_text()).context("cannot write the configuration")?;
    let mut text = serde_json::to_string_pretty(genesis)?;
    text.push('\n');
    // Last: a home with a genesis is whole.
    write_durably(&home.genesis(), &text).context("cannot write the genesis")?;
    // The home's own name.
    durable::sync_folder(home.path()).context("cannot write the home's folder")
}

/// Writes a file that is still there after a power cut: nothing is told to be made that is not.
fn write_durably(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    durable::sync_folder(path)
}

/// What a node is to be that joins a chain.
#[derive(Debug)]
pub struct Joining {
    /// Its name, should it become a validator.
    pub name: AuthorityName,
    /// Where the chain starts.
    pub genesis: Genesis,
    /// Nodes of the chain.
    pub peers: Vec<Endpoint>,
    /// Where it answers; `None`: at the first free port from 7001 on.
    pub listen: Option<SocketAddr>,
    /// Where it listens for other nodes; `None`: at the first two free ports from 7101 on.
    pub network: Option<Endpoint>,
}

/// Makes the home of a node that follows the chain; it has voting and checkpoint keys too, so that it can become a
/// validator. Gives its configuration.
///
/// # Errors
/// If `home` is not empty, or the genesis makes no chain.
pub fn join(home: &Home, joining: Joining) -> anyhow::Result<Config> {
    let Joining { name, genesis, peers, listen, network } = joining;
    ensure!(
        !home.path().exists() || is_empty(home.path()),
        "`{}` is not empty; a home is made in a new folder only",
        home.path().display()
    );
    genesis.check().context("this genesis makes no chain")?;
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    // The validators of a chain that was made on this machine have the first ports, whether they run now or not.
    let made = genesis.validators.len();
    let listen = match listen {
        Some(listen) => listen,
        None => SocketAddr::new(loopback, free_ports(loopback, port(HTTP_PORT, made)?, 1)?),
    };
    let place = match network {
        Some(place) => place.place(),
        None => {
            let free = free_ports(loopback, port(HTTP_PORT, PORTS_ABOVE + 2 * made)?, 2)?;
            Endpoint { socket: SocketAddr::new(loopback, free), peer: None }
        }
    };
    // A peer without an id can be anybody, and so can whoever calls.
    let open = place.socket.ip().is_loopback() || peers.iter().any(|peer| peer.peer.is_none());
    let config = Config { network: Some(config::Network::new(place, peers, open)), ..Config::new(listen) };
    let keys = NodeKeys::new()?;
    fs::create_dir_all(home.path()).with_context(|| format!("cannot make `{}`", home.path().display()))?;
    keys.write(home, &genesis, name)?;
    finish(home, &config, &genesis)?;
    Ok(config)
}

/// The first of `count` neighbouring ports from `from` on at which nobody listens now.
fn free_ports(ip: IpAddr, from: u16, count: u16) -> anyhow::Result<u16> {
    let is_free = |port: u16| TcpListener::bind((ip, port)).is_ok();
    let fits = |first: &u16| (0..count).all(|n| first.checked_add(n).is_some_and(is_free));
    (from..from.saturating_add(1000)).step_by(count.into()).find(fits).context("no port is free")
}

fn genesis(plan: &Plan, authorities: Vec<RootAuthority>, nodes: &[NodeKeys]) -> anyhow::Result<Genesis> {
    let validators: Vec<ValidatorKeys> = nodes
        .iter()
        .enumerate()
        .map(|(n, keys)| {
            let name = format!("validator{n}").parse()?;
            Ok(ValidatorKeys { name, vote: enrolled(&keys.vote), checkpoint: enrolled(&keys.checkpoint) })
        })
        .collect::<anyhow::Result<_>>()?;
    if let Some(file) = &plan.genesis_file {
        let mut genesis: Genesis = read_json(file)?;
        ensure!(
            genesis.validators.is_empty(),
            "`{}` names validators, whose keys this command cannot have; leave `validators` empty",
            file.display()
        );
        genesis.validators = validators;
        return Ok(genesis);
    }
    ensure!(
        !authorities.is_empty(),
        "a chain needs at least one authority: --authority NAME=PUBKEYFILE or --dev-authority"
    );
    // A majority of the roots changes validators and parameters.
    let root_quorum = u8::try_from(authorities.len() / 2 + 1).context("there are too many authorities")?;
    Ok(Genesis {
        protocol: PROTOCOL,
        chain: plan.chain.clone(),
        time: clock::wall_time(),
        parameters: Parameters::default(),
        authorities,
        root_quorum,
        validators,
    })
}

fn named_authorities(plan: &Plan) -> anyhow::Result<Vec<RootAuthority>> {
    let mut scopes = BTreeMap::new();
    for given in &plan.scopes {
        let (name, file) = split(given, "--scope")?;
        let scope: Scope = read_json(Path::new(file))?;
        ensure!(scopes.insert(name, scope).is_none(), "the scope of `{name}` is given twice");
    }
    let mut authorities = Vec::new();
    for given in &plan.authorities {
        let (name, file) = split(given, "--authority")?;
        let key: EnrolledKey = read_json(Path::new(file))?;
        let scope = scopes.remove(name).unwrap_or_else(Scope::everything);
        let name: AuthorityName = name.parse().with_context(|| format!("`{name}` cannot be an authority"))?;
        authorities.push(root(name, key, scope));
    }
    if let Some((name, _)) = scopes.first_key_value() {
        bail!("a scope is given for `{name}`, which no --authority names");
    }
    Ok(authorities)
}

fn root(name: AuthorityName, key: EnrolledKey, scope: Scope) -> RootAuthority {
    RootAuthority { name, keys: vec![key], threshold: 1, scope }
}

/// The keys of one node.
struct NodeKeys {
    vote: SecretKey,
    checkpoint: SecretKey,
    node: SecretKey,
}

impl NodeKeys {
    fn new() -> anyhow::Result<Self> {
        Ok(Self { vote: new_key("voting")?, checkpoint: new_key("checkpoint")?, node: new_key("node")? })
    }

    fn write(&self, home: &Home, genesis: &Genesis, name: AuthorityName) -> anyhow::Result<()> {
        for folder in [home.keys(), home.guard()] {
            fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
        }
        key_file::write(&home.vote_key(), &self.vote)?;
        key_file::write(&home.checkpoint_key(), &self.checkpoint)?;
        key_file::write(&home.node_key(), &self.node)?;
        crate::guard::SignGuard::create(&home.keys(), &genesis.chain_id(), &self.vote.public())?;
        crate::guard::CheckpointGuard::create(&home.keys(), &genesis.chain_id(), &self.checkpoint.public())?;
        // A record admits a key by a proof of possession over its own chain, unlike a genesis, which has no id yet.
        let chain = genesis.chain_id();
        let shown = |key: &SecretKey| EnrolledKey { key: key.public(), possession: key.prove_possession(&chain) };
        let public = ValidatorKeys { name, vote: shown(&self.vote), checkpoint: shown(&self.checkpoint) };
        let text = serde_json::to_string_pretty(&public)? + "\n";
        write_durably(&home.validator(), &text).context("cannot write the public keys")
    }
}

fn new_key(what: &str) -> anyhow::Result<SecretKey> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("no randomness for the {what} key: {error}"))?;
    Ok(SecretKey::from_seed(&seed))
}

fn enrolled(key: &SecretKey) -> EnrolledKey {
    EnrolledKey { key: key.public(), possession: key.prove_possession(&Digest::ZERO) }
}

/// Writes a key as `writ key new` does, so that `writ --key` reads it.
fn write_authority_key(file: &Path, key: &SecretKey) -> anyhow::Result<()> {
    let EnrolledKey { key: public, possession } = enrolled(key);
    let possession = hex::encode(possession.0);
    let seed = zeroize::Zeroizing::new(hex::encode(key.to_seed()));
    let text = serde_json::json!({ "version": 1, "key": public.to_string(), "possession": possession, "seed": *seed });
    let mut options = fs::OpenOptions::new();
    let made = options.write(true).create_new(true).mode(0o600).open(file);
    made.and_then(|mut file| writeln!(file, "{text:#}"))
        .with_context(|| format!("cannot write `{}`", file.display()))?;
    let public = serde_json::json!({ "key": public.to_string(), "possession": possession });
    fs::write(file.with_extension("key.pub"), format!("{public:#}\n")).context("cannot write the public key")
}

fn split<'a>(given: &'a str, option: &str) -> anyhow::Result<(&'a str, &'a str)> {
    given.split_once('=').with_context(|| format!("`{option} {given}` is not of the form NAME=FILE"))
}

fn read_json<T: serde::de::DeserializeOwned>(file: &Path) -> anyhow::Result<T> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("`{}` is not what was expected", file.display()))
}

fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none())
}
