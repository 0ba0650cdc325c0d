//! Servers of others on the same questions, in the same run, with the same generator: PostgreSQL and Cerbos.
//!
//! They are at hand where `scripts/peers.sh` has put them among the build artefacts:
//!
//! ```text
//!   bench/peers/cerbos        the program
//!   bench/peers/postgresql    the folder of its server's programs
//! ```
//!
//! Whoever is not at hand is left out, and the page says so.

mod cerbos;
mod postgres;
mod rights;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;

use anyhow::{Context as _, bail};
use tempfile::TempDir;
use writ_tests::process::{Process, tail};
use writ_tests::wait;

use super::{CONNECTIONS, World, agree, decisions};
use crate::figure::{Cell, Figure, Section, Table, Unit};
use crate::format::grouped;
use crate::load::{self, Script};
use crate::run::{Run, artefacts};
use crate::throughput::{self, Target, Throughput};

/// Questions that everybody is asked, over and over; their answers are compared with Writ's, all of them.
const QUESTIONS: usize = 20_000;

/// A server that runs until this is dropped.
struct Server {
    process: Process,
    address: SocketAddr,
    /// Its files.
    _folder: TempDir,
}

pub(super) fn measure(run: &Run, section: &mut Section, world: &World) -> anyhow::Result<()> {
    let peers = artefacts()?.join("peers");
    let questions = &world.uniform[..QUESTIONS.min(world.uniform.len())];
    let own = world.evaluations(questions);
    let known = world.decisions(&own, questions.len())?;

    let postgres = match at_hand(section, &peers.join("postgresql"), "PostgreSQL") {
        Some(programs) => Some(postgres::start(&programs, &world.dataset)?),
        None => None,
    };
    let cerbos = match at_hand(section, &peers.join("cerbos"), "Cerbos") {
        Some(program) => Some(cerbos::start(&program)?),
        None => None,
    };
    let sql = postgres::script(questions)?;
    let (told, bytes) = match &cerbos {
        Some(server) => cerbos::script(server.address, &world.dataset, questions)?,
        None => (Script::post("", "", []), 0),
    };
    let mut targets = vec![Target {
        name: "writ",
        what: "Writ, AuthZEN".into(),
        address: world.address,
        process: world.process,
        script: &own,
    }];
    if let Some(Server { process, address, .. }) = &postgres {
        agree("PostgreSQL", &known, &postgres::decisions(*address, &sql, questions.len())?, questions)?;
        let what = "PostgreSQL, one function call, its own protocol".into();
        targets.push(Target { name: "postgresql", what, address: *address, process: process.id(), script: &sql });
    }
    if let Some(Server { process, address, .. }) = &cerbos {
        agree("Cerbos", &known, &decisions(*address, &told, questions.len())?, questions)?;
        let what = "Cerbos, AuthZEN, told every role and list".into();
        targets.push(Target { name: "cerbos", what, address: *address, process: process.id(), script: &told });
        section.note(format!(
            "A question to Cerbos has {bytes} bytes on the mean, since it carries what Writ and PostgreSQL look up."
        ));
    }
    if targets.len() > 1 {
        tables(section, &targets, throughput::measure(run, CONNECTIONS, &targets)?);
        section.note(format!(
            "All peers gave the same answers as Writ to all {} questions.",
            grouped(questions.len() as u64)
        ));
    }
    Ok(())
}

/// The peer at `path`, or a note that it is not there.
fn at_hand(section: &mut Section, path: &Path, name: &str) -> Option<std::path::PathBuf> {
    // Through a link, to where the programs really are.
    let found = path.canonicalize().ok();
    if found.is_none() {
        section.note(format!("{name} was not at hand and is left out; `scripts/peers.sh` fetches it."));
    }
    found
}

fn tables(section: &mut Section, targets: &[Target<'_>], found: Vec<Throughput>) {
    let caption = "The same questions about all users alike, the same connections and generator (closed loop).";
    let columns = ["server", "answers", "÷ Writ", "processor time of the server per answer", "÷ Writ's"];
    let mut table = Table::new(caption, &columns);
    for (target, Throughput { rates, costs }) in targets.iter().zip(found) {
        let id = |what: &str| format!("authzen/peers/{}/{what}", target.name);
        let mut rate = Figure::new(id("rate"), target.what.clone(), Unit::PerSecond, rates);
        let mut cost =
            Figure::new(id("processor"), format!("{}: processor time", target.what), Unit::Nanoseconds, costs);
        let is_peer = target.name != "writ";
        if is_peer {
            rate = rate.against("authzen/peers/writ/rate");
            cost = cost.against("authzen/peers/writ/processor");
        }
        let (rate, cost) = (section.figure(rate), section.figure(cost));
        let ratio = |id: &String| if is_peer { Cell::Ratio(id.clone()) } else { "".into() };
        let ratios = [ratio(&rate), ratio(&cost)];
        let [rates, costs] = ratios;
        table.row(vec![target.what.clone().into(), Cell::Value(rate), rates, Cell::Value(cost), costs]);
    }
    section.tables.push(table);
}

/// A port at which nobody listens.
fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Waits until a server answers the first request of `script`.
fn ready(mut process: Process, folder: TempDir, port: u16, script: &Script) -> anyhow::Result<Server> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let ended = wait::until("a peer to answer", || match process.ended() {
        Some(status) => Some(Some(status)),
        // What does not answer yet breaks the connection, or says that it is starting.
        None => TcpStream::connect(address).ok().and_then(|_| load::answers(address, script, 1).ok()).map(|_| None),
    });
    if let Some(status) = ended {
        bail!("a peer ended with {status}: {}", tail(&process.said(), 10));
    }
    Ok(Server { process, address, _folder: folder })
}

/// Runs a program to its end.
fn run_to_end(mut command: std::process::Command) -> anyhow::Result<()> {
    let done = command.output().with_context(|| format!("cannot start {command:?}"))?;
    if !done.status.success() {
        let said = [done.stdout, done.stderr].concat();
        bail!("{command:?} ended with {}: {}", done.status, tail(&String::from_utf8_lossy(&said), 10));
    }
    Ok(())
}
