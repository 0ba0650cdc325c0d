//! A hostile peer: a client of its own that says to a node whatever no node says. The test of a node under attack
//! (`tests/it/hostile.rs`) runs several of them.
//!
//! ```text
//! hostile --node /ip4/127.0.0.1/tcp/7101/p2p/12D3... --chain HEX --modes flood,control --seconds 10 [--records FILE]
//! ```
//!
//! Each mode attacks for so long, all at once, with one identity after another: whoever is cut off comes back as somebody
//! else. At the end each prints one line of JSON: what was sent, how often it was cut off and when first, and whether the
//! identity that was cut off was let in again at once.
//!
//! | module | idea |
//! |---|---|
//! | `raw` | connections and streams, with any bytes on them |
//! | `rpc` | packets of gossip, made by hand |
//! | `said` | questions, as a node would ask them |
//! | `modes` | the attacks |
//!
//! What a node would say is written out here once more, as whoever attacks would have to.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use libp2p::Multiaddr;
use serde::Serialize;

mod modes;
mod raw;
mod rpc;
mod said;

use modes::{Attack, Mode};
use raw::{Counts, Target};

/// Attacks a node of one's own.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where the node listens for records, with its peer id.
    #[arg(long)]
    node: Multiaddr,
    /// The chain id, in hexadecimal digits.
    #[arg(long)]
    chain: String,
    /// What to do, all of it at once; left out: everything.
    #[arg(long, value_delimiter = ',')]
    modes: Vec<Mode>,
    /// For how long.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// True records of the chain, one a line, in hexadecimal digits.
    #[arg(long)]
    records: Option<PathBuf>,
}

/// What became of one attack.
#[derive(Debug, Serialize)]
struct Verdict {
    mode: String,
    messages: u64,
    bytes: u64,
    /// Connections that were made, and those that the node ended or refused.
    connections: u64,
    cut_off: u64,
    refused: u64,
    /// Milliseconds from the first connection until it was cut off.
    first_cut_off_ms: Option<u64>,
    /// Whether the identity that was cut off first was let in when it called again at once.
    came_back: Option<bool>,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let records = match &arguments.records {
        Some(file) => std::fs::read_to_string(file)?.lines().map(hex::decode).collect::<Result<_, _>>()?,
        None => Vec::new(),
    };
    let target = Target::new(arguments.node, &arguments.chain)?;
    let attack = Arc::new(Attack { target, records });
    let end = Instant::now() + Duration::from_secs(arguments.seconds);
    let modes = if arguments.modes.is_empty() { Mode::all() } else { arguments.modes };
    let attacks = modes.into_iter().map(|mode| tokio::spawn(carry_out(attack.clone(), mode, end)));
    for verdict in futures::future::join_all(attacks).await {
        println!("{}", serde_json::to_string(&verdict?)?);
    }
    Ok(())
}

async fn carry_out(attack: Arc<Attack>, mode: Mode, end: Instant) -> Verdict {
    let counts = Arc::new(Counts::default());
    let (mut first_cut_off_ms, mut came_back) = (None, None);
    if mode.has_identity() {
        while Instant::now() < end {
            let me = raw::identity();
            let start = Instant::now();
            let Some(client) = attack.target.connect(&me, mode.reply(), &counts).await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let mut was_cut_off = client.closed();
            tokio::select! {
                () = attack.carry_out(mode, &client, end) => {}
                () = was_cut_off.wait() => {}
                () = tokio::time::sleep_until(end.into()) => {}
            }
            // What stopped since the node closed is as good as cut off, once it is known.
            let grace = tokio::time::timeout(Duration::from_secs(1), was_cut_off.wait());
            if grace.await.is_err() {
                continue;
            }
            counts.cut_off();
            if first_cut_off_ms.is_none() {
                first_cut_off_ms = u64::try_from(start.elapsed().as_millis()).ok();
                came_back = Some(attack.target.lets_in(&me, &counts).await);
            }
        }
    } else {
        attack.without_identity(mode, &counts, end).await;
    }
    let [messages, bytes, connections, cut_off, refused] = counts.all();
    Verdict { mode: mode.to_string(), messages, bytes, connections, cut_off, refused, first_cut_off_ms, came_back }
}
