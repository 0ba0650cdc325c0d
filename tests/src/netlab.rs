//! A network of our own that can be cut and stretched: one namespace for each node, and a hub between them.
//!
//! ```text
//!    this process --- door ---+                               door --- this process
//!                             |                                |
//!    [ namespace 0: node 0, 10.99.0.1 ] -- hub -- [ namespace 1: node 1, 10.99.0.2 ] ...
//! ```
//!
//! The hub (`tests/faults/hub.py`) carries every packet between the nodes, and does with it what it is told: nothing, delay,
//! loss. Nodes answer on the loopback of their namespace; a door (`src/bin/door.rs`) leads there, whatever the hub does, so a
//! node that is cut off from the others can still be asked.
//!
//! It needs root, `ip` and `/dev/net/tun`; without them [`Netlab::new`] says what is missing.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::programs::{self, workspace};
use crate::skip::{self, Missing};
use crate::world::text;

/// The network. Whoever runs in it must have ended when it is dropped.
#[derive(Debug)]
pub struct Netlab {
    namespaces: Vec<Namespace>,
    hub: Mutex<Hub>,
    doors: Mutex<Vec<Child>>,
}

impl Netlab {
    /// A network of so many namespaces.
    pub fn new(count: usize) -> Result<Self, Missing> {
        skip::root()?;
        for needed in ["ip", "python3"] {
            skip::program(needed)?;
        }
        skip::file("/dev/net/tun")?;
        // Several test processes may have networks at one time.
        static MADE: AtomicU32 = AtomicU32::new(0);
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        let name = |n: usize| format!("writ-{}-{made}-{n}", std::process::id());
        let namespaces = (0..count).map(|n| Namespace::new(name(n))).collect::<Result<Vec<_>, _>>()?;
        let hub = Mutex::new(Hub::start(&namespaces)?);
        Ok(Self { namespaces, hub, doors: Mutex::default() })
    }

    /// The address of node `n` in this network.
    pub fn address(n: usize) -> String {
        format!("10.99.0.{}", n + 1)
    }

    /// What starts a program in the namespace of node `n`.
    pub fn wrapper(&self, n: usize) -> Vec<String> {
        ["ip", "netns", "exec", &self.namespaces[n].0].map(str::to_owned).into()
    }

    /// Opens a door to `inside`, an address in the namespace of node `n`; gives the URL on this side.
    pub fn door(&self, n: usize, inside: SocketAddr) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespaces[n].0]).arg(programs::door()).arg(inside.to_string());
        let door = command.stdin(Stdio::from(OwnedFd::from(listener))).spawn().expect("a door opens");
        self.doors.lock().expect("no door has panicked").push(door);
        format!("http://{address}")
    }

    /// No packet passes between the nodes of one group and those of another.
    pub fn partition(&self, groups: &[&[usize]]) {
        for (at, from) in groups.iter().enumerate() {
            for to in groups.iter().enumerate().filter(|(other, _)| *other != at).flat_map(|(_, group)| group.iter()) {
                from.iter().for_each(|from| self.cut(*from, *to));
            }
        }
    }

    /// Node `n` is alone.
    pub fn isolate(&self, n: usize) {
        let others: Vec<usize> = (0..self.namespaces.len()).filter(|other| *other != n).collect();
        self.partition(&[&[n], &others]);
    }

    /// No packet passes from one node to another. The other way they do.
    pub fn cut(&self, from: usize, to: usize) {
        self.tell(&format!("cut {from} {to}"));
    }

    /// Every packet passes, at once.
    pub fn heal(&self) {
        self.tell("heal");
    }

    /// Every packet takes so many milliseconds, and up to `jitter` more; of 1,000, `loss` are lost.
    pub fn stretch(&self, milliseconds: u32, jitter: u32, loss: u32) {
        self.tell(&format!("far {milliseconds} {jitter} {loss}"));
    }

    /// How many packets passed so far.
    pub fn carried(&self) -> u64 {
        self.ask("count").parse().expect("the hub counts packets")
    }

    fn tell(&self, command: &str) {
        assert_eq!(self.ask(command), "ok", "the hub does not {command}");
    }

    fn ask(&self, command: &str) -> String {
        self.hub.lock().expect("nobody panicked while the hub was asked").ask(command)
    }
}

impl Drop for Netlab {
    fn drop(&mut self) {
        let mut doors = std::mem::take(&mut *self.doors.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        for door in &mut doors {
            let _ = door.kill();
            let _ = door.wait();
        }
    }
}

/// A network namespace that goes away.
#[derive(Debug)]
struct Namespace(String);

impl Namespace {
    fn new(name: String) -> Result<Self, Missing> {
        skip::run("ip", &["netns", "add", &name])?;
        Ok(Self(name))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = skip::run("ip", &["netns", "del", &self.0]);
    }
}

/// The process that carries packets.
#[derive(Debug)]
struct Hub {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Hub {
    fn start(namespaces: &[Namespace]) -> Result<Self, Missing> {
        let program = workspace().join("tests").join("faults").join("hub.py");
        let mut command = Command::new("python3");
        command.arg(text(&program)).args(namespaces.iter().map(|namespace| &namespace.0));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| Missing(format!("the hub does not start: {error}")))?;
        let commands = child.stdin.take().expect("stdin is a pipe");
        let answers = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        let mut hub = Self { child, commands, answers };
        match hub.answer().as_str() {
            "ready" => Ok(hub),
            _ => Err(Missing("the hub cannot make its devices; what it said stands above".into())),
        }
    }

    fn ask(&mut self, command: &str) -> String {
        writeln!(self.commands, "{command}").expect("the hub listens");
        self.answer()
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        // The end of the pipe reads as an empty answer.
        let _ = self.answers.read_line(&mut line);
        line.trim().to_owned()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
