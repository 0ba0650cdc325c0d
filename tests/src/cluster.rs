//! A chain of several nodes, each a process, that can be killed, paused, cut off and brought back.
//!
//! The validators are nodes 0, 1, ...; full nodes follow. Whatever was done to them, a test ends with [`Cluster::verify`]:
//! it waits until all nodes agree, and then holds against one another what they have.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tempfile::TempDir;
use writ_proto::api::Status;
use writ_proto::block::Outcome;
use writ_proto::genesis::Genesis;
use writ_proto::hash::Digest;
use writ_proto::record::{RecordId, Signed};

use crate::auditor::{Follower, Mark};
use crate::http::Http;
use crate::issuer::Issuer;
use crate::netlab::Netlab;
use crate::node::{Node, Start, assert_sound};
use crate::process::{command, tail};
use crate::programs;
use crate::random::Random;
use crate::skip::Missing;
use crate::volume::Volume;
use crate::wait;
use crate::world::text;

/// How long the nodes may take until they agree again after anything.
const PATIENCE: Duration = Duration::from_secs(120);

/// One cluster at a time: together they would only wait for the processor.
static TURN: Mutex<()> = Mutex::new(());

/// What a cluster is to be.
#[derive(Debug, Default)]
pub struct Plan {
    /// How many validators.
    pub validators: usize,
    /// How many full nodes.
    pub full_nodes: usize,
    /// The network that they run in, one namespace for each; else they share that of the machine.
    pub lab: Option<Netlab>,
    /// Nodes with a disk of their own.
    pub disks: Vec<(usize, Disk)>,
    /// Environment variables of nodes.
    pub environment: Vec<(usize, String, String)>,
}

/// A disk of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// In memory, of so many MiB.
    Small(u64),
    /// One whose power can be cut, of so many MiB.
    Power(u64),
}

/// What was acknowledged: by a `200` or a `202`.
#[derive(Debug, Default)]
pub struct Memory {
    /// Every record that a node took.
    pub acknowledged: BTreeMap<RecordId, Signed>,
    /// How many of them were in the log already when they were answered.
    pub committed: u64,
}

/// See the module's doc. The order of the members is that in which they end.
#[derive(Debug)]
pub struct Cluster {
    members: Vec<Member>,
    lab: Option<Netlab>,
    volumes: BTreeMap<usize, Volume>,
    genesis: Genesis,
    issuer: Arc<Issuer>,
    memory: Arc<Mutex<Memory>>,
    ports: Ports,
    folder: TempDir,
    _turn: MutexGuard<'static, ()>,
}

/// A node, whether it runs or not.
#[derive(Debug)]
struct Member {
    home: PathBuf,
    http: Http,
    start: Start,
    node: Option<Node>,
    is_paused: bool,
}

impl Cluster {
    /// So many validators and full nodes, all running and ready.
    pub fn new(validators: usize, full_nodes: usize) -> Self {
        let plan = Plan { validators, full_nodes, ..Plan::default() };
        Self::planned(plan).unwrap_or_else(|missing| panic!("nothing special is needed here: {missing:?}"))
    }

    /// A cluster as planned, all running and ready; or what this machine lacks for it.
    pub fn planned(plan: Plan) -> Result<Self, Missing> {
        // A test that failed before does not matter here.
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let chain = folder.path().join("chain");
        let count = plan.validators + plan.full_nodes;
        let home = |n: usize| chain.join(format!("node{n}"));
        let mut volumes = BTreeMap::new();
        for (n, disk) in &plan.disks {
            let image = folder.path().join(format!("disk{n}"));
            let volume = match disk {
                Disk::Small(mib) => Volume::small(&home(*n), *mib)?,
                Disk::Power(mib) => Volume::ext4(&image, &home(*n), *mib)?,
            };
            // A home is made in an empty folder, and a new ext4 has one thing in it.
            let _ = std::fs::remove_dir(home(*n).join("lost+found"));
            volumes.insert(*n, volume);
        }

        let issuer = Issuer::new("org1", 1);
        let public = issuer.write_public(folder.path());
        let ports = Ports::free(count);
        let validators = plan.validators.to_string();
        run(&[
            "init",
            "--home",
            &text(&chain),
            "--chain",
            "ledger.example/cluster",
            "--validators",
            &validators,
            "--authority",
            &format!("org1={}", text(&public)),
            "--listen",
            &ports.http(0).to_string(),
            "--network-listen",
            &ports.network(0),
        ]);
        let genesis_file = home(0).join("genesis.json");
        let genesis = std::fs::read_to_string(&genesis_file).expect("a home has its genesis");
        let genesis: Genesis = serde_json::from_str(&genesis).expect("the genesis can be read");
        for n in plan.validators..count {
            run(&[
                "join",
                "--home",
                &text(&home(n)),
                "--genesis",
                &text(&genesis_file),
                "--peer",
                &peer(&home(0)),
                "--listen",
                &ports.http(n).to_string(),
                "--network-listen",
                &ports.network(n),
            ]);
        }

        let member = |n: usize| {
            let mut start = Start::new("run", &home(n));
            if let Some(lab) = &plan.lab {
                relocate(&home(n), count, &ports);
                start.wrapper = lab.wrapper(n);
                start.door = Some(lab.door(n, ports.http(n)));
            }
            let own = plan.environment.iter().filter(|(of, ..)| *of == n);
            start.environment = own.map(|(_, name, value)| (name.clone(), value.clone())).collect();
            let url = start.door.clone().unwrap_or_else(|| format!("http://{}", ports.http(n)));
            Member { home: home(n), http: Http::new(&url), start, node: None, is_paused: false }
        };
        let members = (0..count).map(member).collect();
        let issuer = Arc::new(issuer.on_chain(genesis.chain_id()));
        let (lab, memory) = (plan.lab, Arc::default());
        let mut cluster = Self { members, lab, volumes, genesis, issuer, memory, ports, folder, _turn: turn };
        cluster.start_all();
        Ok(cluster)
    }

    /// How many nodes there are, running or not.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// A cluster has nodes.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// How to speak to node `n`, whether it runs or not.
    pub fn http(&self, n: usize) -> &Http {
        &self.members[n].http
    }

    /// Where node `n` lives.
    pub fn home(&self, n: usize) -> &Path {
        &self.members[n].home
    }

    /// Where the others reach node `n`.
    pub fn peer(&self, n: usize) -> String {
        peer(self.home(n))
    }

    /// A folder for other files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The authority that the chain trusts.
    pub fn issuer(&self) -> &Arc<Issuer> {
        &self.issuer
    }

    /// Where the chain starts.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The chain id.
    pub fn chain(&self) -> Digest {
        self.genesis.chain_id()
    }

    /// What was acknowledged so far.
    pub fn memory(&self) -> &Arc<Mutex<Memory>> {
        &self.memory
    }

    /// The network that the nodes run in.
    pub fn lab(&self) -> &Netlab {
        self.lab.as_ref().expect("this cluster was planned with a network of its own")
    }

    /// The disk of node `n`.
    pub fn volume(&mut self, n: usize) -> &mut Volume {
        self.volumes.get_mut(&n).expect("this node was planned with a disk of its own")
    }

    /// Node `n`, which runs.
    pub fn node(&mut self, n: usize) -> &mut Node {
        self.members[n].node.as_mut().unwrap_or_else(|| panic!("node {n} does not run"))
    }

    /// The nodes that run and are not paused.
    pub fn present(&self) -> Vec<usize> {
        (0..self.len()).filter(|n| self.members[*n].node.is_some() && !self.members[*n].is_paused).collect()
    }

    /// SIGKILL.
    pub fn kill(&mut self, n: usize) {
        self.node(n).kill();
        self.members[n].node = None;
        self.members[n].is_paused = false;
    }

    /// SIGTERM, and waits for an end in order.
    pub fn stop(&mut self, n: usize) {
        let status = self.node(n).stop();
        assert!(status.success(), "node {n} does not stop in order: {status}, {}", tail(&self.node(n).said(), 20));
        self.members[n].node = None;
    }

    /// SIGSTOP.
    pub fn pause(&mut self, n: usize) {
        self.node(n).pause();
        self.members[n].is_paused = true;
    }

    /// SIGCONT.
    pub fn resume(&mut self, n: usize) {
        self.node(n).resume();
        self.members[n].is_paused = false;
    }

    /// Starts node `n` again, without waiting until it is ready.
    pub fn launch(&mut self, n: usize) {
        assert!(self.members[n].node.is_none(), "node {n} runs already");
        let node = Node::launch(self.members[n].start.clone());
        let node = node.unwrap_or_else(|refused| panic!("node {n} does not start: {refused:?}"));
        self.members[n].node = Some(node);
    }

    /// How node `n` is started: to be changed while it does not run.
    pub fn start_of(&mut self, n: usize) -> &mut Start {
        &mut self.members[n].start
    }

    /// Starts node `n` again and waits until it is ready.
    pub fn start(&mut self, n: usize) {
        self.launch(n);
        self.until_ready(n);
    }

    /// Starts all that do not run, and waits until all are ready.
    pub fn start_all(&mut self) {
        let absent: Vec<usize> = (0..self.len()).filter(|n| self.members[*n].node.is_none()).collect();
        absent.iter().for_each(|n| self.launch(*n));
        (0..self.len()).for_each(|n| self.until_ready(n));
    }

    /// Makes the copy `home` of the home of node `n` listen at ports of its own.
    pub fn elsewhere(&self, n: usize, home: &Path) {
        let own = Ports::free(1);
        let file = home.join("writ.toml");
        let mut text = std::fs::read_to_string(&file).expect("a home has its configuration");
        for (from, to) in self.ports.of_network(n).iter().zip(own.of_network(0)) {
            text = text.replace(&format!("/tcp/{from}"), &format!("/tcp/{to}"));
        }
        std::fs::write(&file, text).expect("a home can be written to");
    }

    /// As a supervisor does: starts again whoever ended by itself; gives who did.
    pub fn supervise(&mut self) -> Vec<usize> {
        let ended = |member: &mut Member| member.node.as_mut().is_some_and(|node| !node.is_running());
        let ended: Vec<usize> = (0..self.len()).filter(|n| ended(&mut self.members[*n])).collect();
        for n in &ended {
            self.members[*n].node = None;
            self.launch(*n);
        }
        ended
    }

    fn until_ready(&mut self, n: usize) {
        let ready = self.node(n).await_ready();
        ready.unwrap_or_else(|refused| panic!("node {n} does not become ready: {refused:?}"));
    }

    /// Where node `n` stands, if it answers.
    pub fn status(&self, n: usize) -> Option<Status> {
        self.members[n]
            .http
            .try_get("/v1/status")
            .ok()
            .filter(|answer| answer.status == 200)
            .map(|answer| answer.json())
    }

    /// Submits so many records to node `n`, one after another, each of which must come to be in the log.
    pub fn grow(&self, n: usize, count: usize) -> Vec<Signed> {
        let records: Vec<Signed> = (0..count).map(|_| self.record()).collect();
        for record in &records {
            self.members[n].http.submit(record);
            let mut memory = lock(&self.memory);
            memory.acknowledged.insert(record.id(), record.clone());
            memory.committed += 1;
        }
        records
    }

    /// A record that was never there.
    pub fn record(&self) -> Signed {
        new_record(&self.issuer)
    }

    /// Waits until every node of `nodes` has the record in its log.
    pub fn until_logged(&self, nodes: &[usize], record: &Signed) {
        for n in nodes {
            let path = format!("/v1/records/{}", record.id());
            wait::until_within(PATIENCE, &format!("node {n} to have record {}", record.id()), || {
                let answer = self.members[*n].http.try_get(&path).ok().filter(|answer| answer.status == 200)?;
                let receipt: writ_proto::api::Receipt = answer.json();
                receipt.place.map(|_| ())
            });
        }
    }

    /// Waits until these nodes stand at one place with nothing pending, and gives it.
    pub fn until_level(&self, nodes: &[usize]) -> Status {
        let level = || {
            let found: Vec<Status> = nodes.iter().map(|n| self.status(*n)).collect::<Option<_>>()?;
            let first = found.first()?.clone();
            let same = |other: &Status| (other.height, other.commit_leaf) == (first.height, first.commit_leaf);
            found.iter().all(|status| same(status) && status.pending == 0).then_some(first)
        };
        let start = std::time::Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = level() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let stand = |n: &usize| format!("{:?}", self.status(*n).map(|status| (status.height, status.pending)));
        panic!(
            "waited {PATIENCE:?} in vain for nodes {nodes:?} to agree: {:?}",
            nodes.iter().map(stand).collect::<Vec<_>>()
        )
    }

    /// Holds the logs of these nodes against one another: one chain, and everything acknowledged in it exactly once.
    /// All of them must run, and agree before long.
    ///
    /// Under load they hardly ever agree: [`crate::load::Load::rest`] first.
    pub fn agree(&self, nodes: &[usize]) {
        // What is acknowledged while this looks need not be there yet.
        let promised: Vec<RecordId> = lock(&self.memory).acknowledged.keys().copied().collect();
        self.until_level(nodes);
        let follow = |n: &usize| {
            let mut follower = Follower::new(self.genesis.clone());
            follower.follow(&self.members[*n].http);
            follower
        };
        // Each of them derives everything again, from the blocks and certificates of its own node.
        let followers: Vec<Follower> = nodes.iter().map(follow).collect();
        let common = followers.iter().map(|follower| follower.marks().len()).min().unwrap_or(0);
        for height in 0..common {
            let marks: Vec<Mark> = followers.iter().map(|follower| follower.marks()[height]).collect();
            let differs = marks.iter().position(|mark| *mark != marks[0]);
            assert_eq!(differs, None, "a fork: of the nodes {nodes:?}, at height {} they have {marks:?}", height + 1);
        }
        for (n, follower) in nodes.iter().zip(&followers) {
            self.assert_served(*n, follower);
            for id in &promised {
                let logged = follower.find(id);
                let logged =
                    logged.unwrap_or_else(|| panic!("{id} was acknowledged, and is not in the log of node {n}"));
                assert_eq!(logged.outcome, Outcome::Accepted, "{id} at node {n}");
            }
        }
    }

    /// What a node says about its heights is what its blocks make.
    fn assert_served(&self, n: usize, follower: &Follower) {
        let mut from = 1;
        while let Some(expected) = follower.marks().get(from - 1..).filter(|rest| !rest.is_empty()) {
            let page: writ_proto::api::HeadersPage =
                self.members[n].http.read(&format!("/v1/headers?from={from}&limit=1000"));
            assert!(!page.headers.is_empty(), "node {n} serves no headers from height {from}");
            for (header, mark) in page.headers.iter().zip(expected) {
                let (height, found) = (mark.height, (header.hash, header.commit_leaf));
                assert_eq!(found, (mark.block, mark.commit_leaf), "the header of height {height} at node {n}");
            }
            from += page.headers.len();
        }
    }

    /// The end of every test: all nodes are brought back, agree, hold everything that was acknowledged, stop in order, and
    /// are found sound; and none of them ever panicked.
    pub fn verify(mut self) {
        for n in 0..self.len() {
            if self.members[n].is_paused {
                self.resume(n);
            }
        }
        if let Some(lab) = &self.lab {
            lab.heal();
        }
        self.supervise();
        self.start_all();
        let all: Vec<usize> = (0..self.len()).collect();
        self.agree(&all);
        for n in all {
            let said = self.node(n).said();
            let panicked = said.lines().position(|line| line.contains("panicked at"));
            assert_eq!(panicked.map(|at| said.lines().skip(at).take(4).collect::<Vec<_>>()), None, "node {n} panicked");
            self.stop(n);
            assert_sound(self.home(n));
        }
    }
}

/// The lock of what was acknowledged.
pub fn lock(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    memory.lock().expect("nobody panicked while taking note")
}

/// A record of this issuer that was never there.
pub fn new_record(issuer: &Issuer) -> Signed {
    let statement = issuer.statement(writ_proto::record::Body::Access(crate::issuer::access(
        writ_proto::record::Effect::Grant,
        "user:u",
        "read",
        "file:x",
    )));
    let sub = format!("user:u{}", hex::encode(statement.nonce.0));
    issuer.grant(&sub, "read", "file:x")
}

/// Runs `writ-node` to its end, which must be good; gives what it printed.
fn run(arguments: &[&str]) -> String {
    let output = command(&programs::writ_node(), arguments).output().expect("`writ-node` starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`writ-node {}`: {said}", arguments.join(" "));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Where the others reach the node that lives in `home`.
fn peer(home: &Path) -> String {
    run(&["id", "--home", &text(home)])
}

/// Moves a node from the loopback that all share into a network in which each node has an address of its own.
fn relocate(home: &Path, count: usize, ports: &Ports) {
    let file = home.join("writ.toml");
    let mut text = std::fs::read_to_string(&file).expect("a home has its configuration");
    for n in 0..count {
        for port in ports.of_network(n) {
            let here = format!("/ip4/127.0.0.1/tcp/{port}");
            text = text.replace(&here, &format!("/ip4/{}/tcp/{port}", Netlab::address(n)));
        }
    }
    std::fs::write(&file, text).expect("a home can be written to");
}

/// The ports of a cluster: free a moment ago, and out of the range from which the system takes its own.
#[derive(Clone, Copy, Debug)]
struct Ports {
    base: u16,
    count: u16,
}

impl Ports {
    const FIRST: u64 = 10_000;
    const LAST: u64 = 32_000;

    fn free(count: usize) -> Self {
        let count = count as u16;
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let mut random = Random::new(since.map_or(0, |since| since.as_nanos() as u64) ^ u64::from(std::process::id()));
        for _ in 0..100 {
            let base = Self::FIRST + random.below(Self::LAST - Self::FIRST - 3 * u64::from(count));
            let base = base as u16;
            let all: Result<Vec<_>, _> =
                (base..base + 3 * count).map(|port| TcpListener::bind(("127.0.0.1", port))).collect();
            if all.is_ok() {
                return Self { base, count };
            }
        }
        panic!("no {} free ports in a row", 3 * count)
    }

    fn http(&self, n: usize) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.base + n as u16))
    }

    /// For records, and for consensus.
    fn of_network(&self, n: usize) -> [u16; 2] {
        let first = self.base + self.count + 2 * n as u16;
        [first, first + 1]
    }

    fn network(&self, n: usize) -> String {
        format!("/ip4/127.0.0.1/tcp/{}", self.of_network(n)[0])
    }
}
