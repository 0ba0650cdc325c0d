//! What was typed.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::exit;
use crate::network::Endpoint;

/// One node of an access ledger.
#[derive(Debug, Parser)]
#[command(name = "writ-node", version, about, disable_help_subcommand = true, after_help = exit::HELP)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run one validator on a fresh chain for trying things out (or on the chain that DIR has).
    ///
    /// The chain trusts the authority `dev`, whose key lies in DIR/dev.key for everybody to use, so the
    /// node listens on loopback only.
    Dev {
        /// Where the node lives.
        #[arg(long, value_name = "DIR", default_value = "writ-dev")]
        home: PathBuf,
        /// Where it listens: a loopback address; port 0 takes a free one.
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7001")]
        listen: SocketAddr,
    },
    /// Make the genesis of a chain, and one home for each of its nodes under DIR (node0, node1, ...).
    Init {
        /// Where to make the homes; must not hold any yet.
        #[arg(long, value_name = "DIR")]
        home: PathBuf,
        /// The chain's name, for example `ledger.example/main`.
        #[arg(long, value_name = "NAME", required_unless_present = "genesis_file")]
        chain: Option<String>,
        /// How many validators.
        #[arg(long, value_name = "N", default_value_t = 1)]
        validators: usize,
        /// A root authority and the file with its public key (`FILE.pub` of `writ key new`); repeatable.
        #[arg(long = "authority", value_name = "NAME=PUBKEYFILE")]
        authorities: Vec<String>,
        /// The scope of a root authority as JSON; without it: everything. Repeatable.
        #[arg(long = "scope", value_name = "NAME=FILE")]
        scopes: Vec<String>,
        /// Also trust an authority `dev`, its key in DIR/dev.key: for trying things out only.
        #[arg(long)]
        dev_authority: bool,
        /// A genesis as JSON, for full control; its `validators` may be left empty, then they are made here.
        #[arg(long, value_name = "FILE", conflicts_with_all = ["chain", "authorities", "scopes", "dev_authority"])]
        genesis_file: Option<PathBuf>,
        /// Where node0 listens; each further node one port higher.
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7001")]
        listen: SocketAddr,
        /// Where node0 listens for other nodes (the consensus engine one port higher), each further node two ports
        /// higher [default: a hundred ports above --listen; a chain of one validator: nowhere].
        #[arg(long, value_name = "MULTIADDR")]
        network_listen: Option<Endpoint>,
    },
    /// Make the home of a full node of a chain: it follows, verifies everything, answers, and hands on records.
    ///
    /// Its keys are made too, so that it can become a validator: `writ validator add --validator DIR/validator.json`.
    Join {
        /// Where to make the home.
        #[arg(long, value_name = "DIR")]
        home: PathBuf,
        /// The chain's genesis: a file, or the URL of a node that serves it at /v1/genesis (http only). Compare the
        /// chain id that is printed with one that you trust: everything else is verified from it.
        #[arg(long, value_name = "FILE|URL")]
        genesis: String,
        /// A node of the chain, as `writ-node id` or `writ status` tells, such as
        /// `/ip4/192.0.2.7/tcp/7101/p2p/12D3KooW...`; repeatable.
        #[arg(long = "peer", value_name = "MULTIADDR", required = true)]
        peers: Vec<Endpoint>,
        /// The node's name, should it become a validator [default: node- and a part of its peer id].
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Where it answers [default: the first free port of 127.0.0.1 after those that `init` gives the chain's validators].
        #[arg(long, value_name = "ADDR")]
        listen: Option<SocketAddr>,
        /// Where it listens for other nodes [default: likewise].
        #[arg(long, value_name = "MULTIADDR")]
        network_listen: Option<Endpoint>,
    },
    /// Print where other nodes reach this one: its address and peer id.
    Id {
        /// Where the node lives.
        #[arg(long, value_name = "DIR")]
        home: PathBuf,
    },
    /// Run one node of a chain.
    Run {
        /// Where the node lives.
        #[arg(long, value_name = "DIR")]
        home: PathBuf,
        /// Where it listens, rather than where its configuration says.
        #[arg(long, value_name = "ADDR")]
        listen: Option<SocketAddr>,
    },
    /// Copy the chain, and what waits for it, into FILE and FILE.waiting, while the node runs.
    ///
    /// FILE is an export, as `writ export` makes it: `writ audit --file FILE` verifies it. Keys and guards are never in
    /// it.
    Backup {
        /// Where the node lives.
        #[arg(long, value_name = "DIR")]
        home: PathBuf,
        /// The file to make; must not be there yet.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Make a home, or the lost database of one, from a backup, with everything in it verified.
    ///
    /// What the home's validator signed since the backup is not known, so it signs only if its own sign guard is still in
    /// its place, or above a height that you name.
    Restore {
        /// The backup.
        #[arg(long, value_name = "FILE", required_unless_present = "sign_above")]
        from: Option<PathBuf>,
        /// Where the node is to live, or lives without a database.
        #[arg(long, value_name = "DIR")]
        home: PathBuf,
        /// Let the validator sign above this height, at least 10 above the restored tip, which the network cannot have
        /// reached when the original was lost. The key must sign nowhere else. Without --from: of a home restored before;
        /// then 0 is for one that was made on another machine and has never run.
        #[arg(long, value_name = "HEIGHT")]
        sign_above: Option<u64>,
        /// Do without FILE.waiting: what was acknowledged and not in a block is then lost.
        #[arg(long, requires = "from")]
        without_waiting: bool,
        /// Where a home without a configuration listens.
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7001")]
        listen: SocketAddr,
    },
    /// Let the only validator of a chain go on from where its database ends, although blocks or guards were lost.
    Repair {
        /// Where the node lives. No node may run there meanwhile.
        #[arg(long, value_name = "DIR")]
        home: PathBuf,
        /// Yes: what is lost is lost. It is told, and noted in guard/repairs.log.
        #[arg(long, required = true)]
        accept_loss: bool,
        /// Sign other blocks at heights for which this key has signed before, because nobody has a copy of those.
        #[arg(long)]
        sign_again: bool,
    },
    /// Make, list and revoke the tokens of callers from beyond this machine.
    Token {
        /// What to do.
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Derive everything again from the log, with every signature, and compare it with what is stored.
    Check {
        /// Where the node lives. No node may run there meanwhile.
        #[arg(long, value_name = "DIR")]
        home: PathBuf,
    },
}

/// What to do about tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token and print it, this once: only its hash is kept.
    New {
        /// Where the node lives.
        #[arg(long, value_name = "DIR")]
        home: PathBuf,
        /// What to call it.
        #[arg(long, value_name = "NAME")]
        name: String,
    },
    /// List the names of all tokens, with their hashes.
    List {
        /// Where the node lives.
        #[arg(long, value_name = "DIR")]
        home: PathBuf,
    },
    /// Revoke a token; a running node refuses it within a second.
    Remove {
        /// Where the node lives.
        #[arg(long, value_name = "DIR")]
        home: PathBuf,
        /// What it is called.
        #[arg(long, value_name = "NAME")]
        name: String,
    },
}
