//! The node: the shell that serves.
//!
//! It brings bytes to [`writ_proto`] and carries out what that answers: records from HTTP into the pool,
//! blocks from the engine into RocksDB, questions from HTTP into decisions. Read [`node::Node::start`] from
//! top to bottom to see how the parts are wired.

pub mod backup;
mod blocking;
pub mod chain;
pub mod check;
pub mod checkpoints;
pub mod cli;
pub mod clock;
pub mod conditions;
pub mod config;
pub mod consensus;
pub mod exit;
pub mod guard;
pub mod home;
pub mod http;
pub mod init;
pub mod join;
pub mod journal;
pub mod ledger;
#[cfg(feature = "byzantine")]
pub mod lies;
pub mod mempool;
pub mod metrics;
pub mod network;
pub mod node;
pub mod operate;
mod recollection;
pub mod repair;
pub mod restore;
pub mod shutdown;
pub mod signer;
mod standing;
pub mod storage;
pub mod tokens;
pub mod watchdog;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use cli::Command;
use config::Config;
use home::Home;
use node::Node;
use writ_proto::genesis::PROTOCOL;

/// How long threads that still work may take once the node has stopped.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// As [`run`], of a program that speaks the protocol up to version `speaks`: of a newer build than this one. The version
/// after [`PROTOCOL`] is not made yet and changes nothing but the number in a block's header; the test of a network of two
/// builds lives on that.
pub fn run_speaking(command: Command, speaks: u32) -> anyhow::Result<()> {
    match command {
        Command::Run { home, listen } => run_node(home, listen, speaks),
        other => run(other),
    }
}

/// Carries out a command; returns when it is done, or the node has stopped.
pub fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Dev { home, listen } => {
            anyhow::ensure!(
                listen.ip().is_loopback(),
                "`{listen}` is beyond loopback; a development chain trusts a key that everybody may use, so it listens on loopback only"
            );
            let home = Home::at(home);
            if !home.is_made() {
                init::init_dev(&home, listen)?;
            }
            let mut config = Config::read(&home.config())?;
            config.http.listen = listen;
            serve(home, config)
        }
        Command::Init {
            home,
            chain,
            validators,
            authorities,
            scopes,
            dev_authority,
            genesis_file,
            listen,
            network_listen: network,
        } => {
            let chain = chain.unwrap_or_default();
            let plan = init::Plan { chain, validators, authorities, scopes, dev_authority, genesis_file, network };
            for made in init::init(&home, &plan, listen)? {
                println!("{}", made.path().display());
            }
            Ok(())
        }
        Command::Join { home, genesis, peers, name, listen, network_listen } => {
            join::join(&Home::at(home), &genesis, peers, name, listen, network_listen)
        }
        Command::Id { home } => {
            println!("{}", join::endpoint(&Home::at(home))?);
            Ok(())
        }
        Command::Run { home, listen } => run_node(home, listen, PROTOCOL),
        Command::Backup { home, to } => operate::backup(&Home::at(home), &to),
        Command::Restore { from, home, sign_above, without_waiting, listen } => {
            let plan = from.map(|from| restore::Plan { from, without_waiting, listen });
            operate::restore(&Home::at(home), plan.as_ref(), sign_above)
        }
        Command::Repair { home, accept_loss: _, sign_again } => operate::repair(&Home::at(home), sign_again),
        Command::Token { command } => operate::token(command),
        Command::Check { home } => check(&home),
    }
}

/// Logs to stderr; `RUST_LOG` says what, with the engine's own chatter left out unless asked for.
pub fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(format!("info,{}", writ_engine::LOG_FILTER)));
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();
}

fn run_node(home: PathBuf, listen: Option<SocketAddr>, speaks: u32) -> anyhow::Result<()> {
    let home = Home::at(home);
    let mut config = Config { speaks, ..Config::read(&home.config())? };
    config.http.listen = listen.unwrap_or(config.http.listen);
    serve(home, config)
}

fn serve(home: Home, config: Config) -> anyhow::Result<()> {
    operate::raise_file_limit();
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let outcome = runtime.block_on(async {
        let node = Node::start(home, config).await?;
        // The one line on stdout: whoever started the node waits for it.
        println!("{}", node.url());
        node.run_until(shutdown::signal()).await
    });
    // What does not end by itself must not keep the process, least of all a thread that hangs.
    runtime.shutdown_timeout(LAST_WORDS);
    outcome
}

fn check(home: &Path) -> anyhow::Result<()> {
    let report = check::check(&Home::at(home))?;
    println!("{report}");
    anyhow::ensure!(report.is_clean(), "the ledger in `{}` is not sound", home.display());
    Ok(())
}
