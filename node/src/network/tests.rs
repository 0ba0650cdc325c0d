//! Real swarms on loopback over ledgers in memory: what is told reaches everybody, and who tells lies is shut out.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use libp2p::gossipsub::IdentTopic;
use libp2p::request_response::{self, Message as Pull};
use libp2p::swarm::SwarmEvent;
use libp2p::{PeerId, Swarm};
use tokio::sync::watch;
use writ_proto::codec::Blob;
use writ_proto::hash::Digest;
use writ_proto::key::SecretKey;
use writ_proto::record::RecordId;
use writ_proto::state::State;

use super::behaviour::{self, Behaviour, BehaviourEvent, Guests, Topics};
use super::wire::{Ask, Tell, encode_batch};
use super::{Endpoint, Network, Setup, keypair};
use crate::checkpoints::Checkpoints;
use crate::clock::{Clock, Reading, Source};
use crate::config;
use crate::consensus::EnginePeers;
use crate::ledger::Ledger;
use crate::mempool::PoolLimits;
use crate::metrics::Metrics;
use crate::recollection::{Memory, Recollection};
use crate::storage::memory::MemoryDisk;
use crate::storage::sample::{START_MS, Sample};

/// How long anything may take before a test gives up: far longer than it does.
const PATIENCE: Duration = Duration::from_secs(60);

/// For swarms that are not a node's.
const ANYBODY: Guests<'_> = Guests { peers_max: 8, named: &[], addresses: &[], open: true };

fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed(&[200 + n; 32])
}

/// A node's part that these tests are about.
struct Node {
    ledger: Ledger,
    network: Network,
    metrics: Metrics,
    _stop: watch::Sender<bool>,
    _home: tempfile::TempDir,
}

impl Node {
    async fn start(n: u8, sample: &Sample, peers: Vec<Endpoint>, open: bool) -> Self {
        Self::start_with(n, sample, config::Network::new("/ip4/127.0.0.1/tcp/0".parse().unwrap(), peers, open)).await
    }

    async fn start_with(n: u8, sample: &Sample, config: config::Network) -> Self {
        let (disk, home) = (MemoryDisk::new(), tempfile::tempdir().unwrap());
        let store = disk.open(&sample.chain()).unwrap();
        store.put_genesis(&sample.genesis()).unwrap();
        let clock = Clock::in_memory(500, Source::of(|| Reading { wall_ms: START_MS + 1_000, boot_ms: 1_000 }));
        let state = State::new(sample.state.genesis().clone()).unwrap();
        let ledger = Ledger::new(state, store, clock, PoolLimits::default());
        let (stop, stopping) = watch::channel(false);
        let metrics = Metrics::new();
        let checkpoints = Checkpoints::new(ledger.clone(), None, home.path().join("checkpoint"));
        let me = secret(n).public().id();
        let setup = Setup {
            identity: secret(n),
            config,
            ledger: ledger.clone(),
            recollection: Recollection::new(ledger.clone(), checkpoints.clone(), None, me).unwrap(),
            checkpoints,
            claim: None,
            engine_peers: EnginePeers::default(),
            engine_port: watch::channel(None).1,
            metrics: metrics.clone(),
            stopping,
        };
        let network = Network::start(setup).await.unwrap();
        Self { ledger, network, metrics, _stop: stop, _home: home }
    }

    fn holds(&self, id: &RecordId) -> bool {
        self.ledger.waiting(id).is_some()
    }

    /// A number that is counted.
    fn counted(&self, line: &str) -> u64 {
        let text = self.metrics.encode(&crate::metrics::Standing::default(), "");
        let found = text.lines().find_map(|own| own.strip_prefix(line)?.strip_prefix(' ')?.parse().ok());
        found.unwrap_or(0)
    }
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what}: still not so");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A peer that says what it likes. It is driven by a task, which answers questions with what it was given.
struct Hostile {
    swarm: Swarm<Behaviour>,
    topics: Topics,
    node: PeerId,
    /// How it answers `Ids` and `Records`.
    ids: Vec<RecordId>,
    records: Vec<Vec<u8>>,
}

impl Hostile {
    async fn connect(n: u8, chain: &Digest, node: Endpoint) -> Self {
        let topics = Topics::of(chain);
        let mut swarm = behaviour::swarm(keypair(&secret(n)).unwrap(), chain, &topics, &ANYBODY).unwrap();
        swarm.dial(node.to_multiaddr()).unwrap();
        let mut hostile = Self { swarm, topics, node: node.peer.unwrap(), ids: Vec::new(), records: Vec::new() };
        // The node must know that it listens to the topic, or nothing that is published goes anywhere.
        let subscribed =
            hostile.drive(|me| me.swarm.behaviour().gate.gossip.all_peers().any(|(_, topics)| topics.len() == 2));
        assert!(subscribed.await, "a peer of the same chain is let in");
        hostile
    }

    fn publish(&mut self, topic: &IdentTopic, bytes: Vec<u8>) {
        // Once it is shut out there is nobody to publish to.
        let _ = self.swarm.behaviour_mut().gate.gossip.publish(topic.clone(), bytes);
    }

    fn batch(&mut self, records: Vec<Vec<u8>>) {
        let topic = self.topics.records.clone();
        self.publish(&topic, encode_batch(records));
    }

    /// Goes on until `done`, or time is up; says whether it was.
    async fn drive(&mut self, mut done: impl FnMut(&Self) -> bool) -> bool {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if done(self) {
                return true;
            }
            let Ok(event) = tokio::time::timeout(Duration::from_millis(20), self.swarm.select_next_some()).await else {
                continue;
            };
            if let SwarmEvent::Behaviour(BehaviourEvent::Pull(request_response::Event::Message {
                message: Pull::Request { request, channel, .. },
                ..
            })) = event
            {
                let tell = match request {
                    Ask::Hello(mut hello) => {
                        // As if much waited here.
                        hello.waiting.count = 7;
                        hello.waiting.mix = Digest([9; 32]);
                        Tell::Hello(hello)
                    }
                    Ask::Ids { .. } | Ask::Nonsense => Tell::Ids(self.ids.clone()),
                    Ask::Records(_) => Tell::Records(self.records.iter().cloned().map(Blob).collect()),
                    Ask::Cosignatures => Tell::Cosignatures(Vec::new()),
                    Ask::Remembered(_) => Tell::Remembered(Memory::default()),
                };
                let _ = self.swarm.behaviour_mut().pull.send_response(channel, tell);
            }
        }
        false
    }

    /// Goes on for a while.
    async fn linger(&mut self, time: Duration) {
        let end = Instant::now() + time;
        self.drive(|_| Instant::now() >= end).await;
    }

    fn is_connected(&self) -> bool {
        self.swarm.is_connected(&self.node)
    }

    async fn is_shut_out(&mut self) -> bool {
        self.drive(|me| !me.is_connected()).await
    }
}

#[tokio::test]
async fn what_is_submitted_at_one_node_is_soon_at_all() {
    let mut sample = Sample::new("network");
    let first = Node::start(0, &sample, Vec::new(), true).await;
    let second = Node::start(1, &sample, vec![first.network.endpoint()], true).await;
    // It was told of the second only.
    let third = Node::start(2, &sample, vec![second.network.endpoint()], true).await;
    until("all are connected", || first.network.peers() > 0 && third.network.peers() > 0).await;
    let records: Vec<_> = (0..3).map(|_| sample.grant()).collect();
    third.ledger.submit(records[0].bytes().to_vec()).unwrap();
    first.ledger.submit_many(records[1..].iter().map(|record| record.bytes().to_vec()).collect()).await;
    for (name, node) in [("first", &first), ("second", &second), ("third", &third)] {
        for record in &records {
            until(&format!("{name} has {}", record.id()), || node.holds(&record.id())).await;
        }
    }
    until("and the third knows the first too", || third.network.peers() == 2).await;
}

#[tokio::test]
async fn what_gossip_did_not_bring_is_pulled() {
    let mut sample = Sample::new("network");
    let early = Node::start(0, &sample, Vec::new(), true).await;
    let records: Vec<_> = (0..600).map(|_| sample.grant()).collect();
    for record in &records {
        early.ledger.submit(record.bytes().to_vec()).unwrap();
    }
    // Long told to nobody.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let late = Node::start(1, &sample, vec![early.network.endpoint()], true).await;
    for record in &records {
        until("the late one has all", || late.holds(&record.id())).await;
    }
}

#[tokio::test]
async fn a_closed_network_lets_in_whom_it_names() {
    let sample = Sample::new("network");
    let known = Node::start(0, &sample, Vec::new(), true).await;
    let closed = Node::start(1, &sample, vec![known.network.endpoint()], false).await;
    until("its peer is connected", || closed.network.peers() == 1).await;
    let topics = Topics::of(&sample.chain());
    let mut stranger = behaviour::swarm(keypair(&secret(7)).unwrap(), &sample.chain(), &topics, &ANYBODY).unwrap();
    stranger.dial(closed.network.endpoint().to_multiaddr()).unwrap();
    let refused = async {
        loop {
            match stranger.select_next_some().await {
                SwarmEvent::OutgoingConnectionError { .. } | SwarmEvent::ConnectionClosed { .. } => return,
                _ => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.expect("a stranger is not let in");
    assert_eq!(closed.network.peers(), 1);
}

#[tokio::test]
async fn nodes_of_another_chain_have_nothing_to_say_to_each_other() {
    let (sample, other) = (Sample::new("network"), Sample::new("another"));
    let node = Node::start(0, &sample, Vec::new(), true).await;
    let stranger = Node::start(1, &other, vec![node.network.endpoint()], true).await;
    let mut record = Sample::new("another");
    let record = record.grant();
    stranger.ledger.submit(record.bytes().to_vec()).unwrap();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert!(!node.holds(&record.id()));
    until("they part", || node.network.peers() == 0).await;
    assert_eq!(node.counted("writ_gossip_received_total{kind=\"records\"}"), 0);
}

#[tokio::test]
async fn who_sends_what_is_bad_for_everybody_is_shut_out_and_nobody_else_is() {
    let mut sample = Sample::new("network");
    let node = Node::start(0, &sample, Vec::new(), true).await;
    let honest = Node::start(1, &sample, vec![node.network.endpoint()], true).await;
    until("the honest one is connected", || node.network.peers() == 1).await;

    let good = sample.grant();
    let mut forged = sample.grant().bytes().to_vec();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let foreign = Sample::new("another").grant().bytes().to_vec();
    let cases: [(&str, Vec<Vec<u8>>); 4] = [
        ("bytes that are no record", vec![vec![1, 2, 3]]),
        ("a forged signature behind a good record", vec![good.bytes().to_vec(), forged]),
        ("a record of another chain", vec![foreign]),
        ("a record cut short", vec![good.bytes()[..40].to_vec()]),
    ];
    for ((case, records), n) in cases.into_iter().zip(10..) {
        let mut hostile = Hostile::connect(n, &sample.chain(), node.network.endpoint()).await;
        // Each time other bytes, since the same ones are only heard once.
        for spoil in 0..4_u8 {
            let mut records = records.clone();
            records.extend(std::iter::repeat_n(vec![spoil], usize::from(spoil)));
            hostile.batch(records);
        }
        assert!(hostile.is_shut_out().await, "{case}");
        let mut again =
            behaviour::swarm(keypair(&secret(n)).unwrap(), &sample.chain(), &Topics::of(&sample.chain()), &ANYBODY)
                .unwrap();
        again.dial(node.network.endpoint().to_multiaddr()).unwrap();
        let refused = async {
            loop {
                match again.select_next_some().await {
                    SwarmEvent::OutgoingConnectionError { .. } | SwarmEvent::ConnectionClosed { .. } => return,
                    _ => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, refused).await.unwrap_or_else(|_| panic!("{case}: it comes back at once"));
    }
    assert_eq!(node.network.peers(), 1, "the honest one stays");
    let after = sample.grant();
    honest.ledger.submit(after.bytes().to_vec()).unwrap();
    until("and is heard", || node.holds(&after.id())).await;
}

#[tokio::test]
async fn bytes_that_are_no_message_shut_a_peer_out() {
    let sample = Sample::new("network");
    let node = Node::start(0, &sample, Vec::new(), true).await;
    for (n, records) in [(20, true), (21, false)] {
        let mut hostile = Hostile::connect(n, &sample.chain(), node.network.endpoint()).await;
        let topic = if records { hostile.topics.records.clone() } else { hostile.topics.checkpoints.clone() };
        for spoil in 0..4_u8 {
            hostile.publish(&topic, vec![spoil; 300]);
        }
        assert!(hostile.is_shut_out().await, "topic {topic}");
    }
}

#[tokio::test]
async fn what_may_be_an_honest_difference_costs_a_peer_nothing() {
    let mut sample = Sample::new("network");
    let node = Node::start(0, &sample, Vec::new(), true).await;
    let known = sample.grant();
    node.ledger.submit(known.bytes().to_vec()).unwrap();
    // Of an authority that this chain does not know, perhaps yet.
    let stranger = {
        let statement =
            writ_proto::record::Statement { authority: "org9".parse().unwrap(), ..known.statement().clone() };
        statement.sign(&[&SecretKey::from_seed(&[9; 32])]).unwrap()
    };
    let mut peer = Hostile::connect(30, &sample.chain(), node.network.endpoint()).await;
    for n in 1..20 {
        peer.batch(vec![known.bytes().to_vec(); n]);
        peer.batch(vec![stranger.bytes().to_vec(); n]);
    }
    peer.linger(Duration::from_secs(2)).await;
    assert!(peer.is_connected(), "replays and what is not known yet are nobody's fault");
    let new = sample.grant();
    peer.batch(vec![new.bytes().to_vec()]);
    peer.drive(|_| node.holds(&new.id())).await;
    assert!(node.holds(&new.id()), "and it is heard as before");
}

#[tokio::test]
async fn who_answers_questions_with_lies_is_shut_out() {
    let mut sample = Sample::new("network");
    let node = Node::start(0, &sample, Vec::new(), true).await;
    let id = |n: u8| RecordId(Digest([n; 32]));
    let mut forged = sample.grant().bytes().to_vec();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    for (n, case, ids, records) in [
        (40, "ids out of order", vec![id(2), id(1)], vec![]),
        (41, "records that are none", vec![id(1)], vec![vec![1]]),
        (42, "forged records", vec![id(1)], vec![forged]),
    ] {
        let mut hostile = Hostile::connect(n, &sample.chain(), node.network.endpoint()).await;
        (hostile.ids, hostile.records) = (ids, records);
        assert!(hostile.is_shut_out().await, "{case}");
    }
    assert_eq!(node.ledger.pooled().0, 0);
}

#[tokio::test]
async fn a_flood_is_dropped_and_memory_stays_where_it_was() {
    let mut sample = Sample::new("network");
    let node = Node::start(0, &sample, Vec::new(), true).await;
    let record = sample.grant().bytes().to_vec();
    let mut hostile = Hostile::connect(50, &sample.chain(), node.network.endpoint()).await;
    // Messages that are each a different, useless batch of the largest size: a hundred megabytes and more.
    let fits = super::wire::BATCH_BYTES_MAX / (record.len() + 8) - 2;
    for round in 0..1_000_usize {
        let mut records = vec![record.clone(); fits - round % 200];
        records[0] = sample.grant().bytes().to_vec();
        hostile.batch(records);
        hostile.linger(Duration::from_millis(1)).await;
    }
    let honest = Node::start(1, &sample, vec![node.network.endpoint()], true).await;
    let after = sample.grant();
    honest.ledger.submit(after.bytes().to_vec()).unwrap();
    hostile.drive(|_| node.holds(&after.id())).await;
    assert!(node.holds(&after.id()), "an honest peer is heard meanwhile");
    let dropped = node.counted("writ_gossip_ignored_total{kind=\"messages\",reason=\"more than one peer may send\"}")
        + node.counted("writ_gossip_ignored_total{kind=\"messages\",reason=\"too many wait to be looked at\"}");
    let heard = node.counted("writ_gossip_received_total{kind=\"records\"}");
    assert!(dropped > 0 || heard < 1_000 * 200, "what exceeds a peer's share is dropped ({dropped}, {heard})");
}

#[tokio::test]
async fn who_sends_far_more_than_it_may_is_shut_out_though_nothing_in_it_is_bad() {
    let mut sample = Sample::new("network");
    let config = config::Network::new("/ip4/127.0.0.1/tcp/0".parse().unwrap(), Vec::new(), true);
    let node = Node::start_with(0, &sample, config::Network { gossip_bytes_per_s_max: 64 * 1024, ..config }).await;
    let mut hostile = Hostile::connect(52, &sample.chain(), node.network.endpoint()).await;
    let records: Vec<_> = (0..100).map(|_| sample.grant().bytes().to_vec()).collect();
    let start = Instant::now();
    for n in 0.. {
        if !hostile.is_connected() {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "it is shut out");
        // Each time other bytes.
        let (before, after) = records.split_at(n % records.len());
        hostile.batch([after, before, &records[..n / records.len()]].concat());
        hostile.linger(Duration::from_millis(1)).await;
    }
    assert_eq!(node.counted("writ_peers_banned_total{reason=\"a flood of bytes\"}"), 1);
}

#[tokio::test]
async fn who_asks_without_end_is_shut_out() {
    let sample = Sample::new("network");
    let node = Node::start(0, &sample, Vec::new(), true).await;
    let mut hostile = Hostile::connect(53, &sample.chain(), node.network.endpoint()).await;
    let start = Instant::now();
    while hostile.is_connected() {
        assert!(start.elapsed() < PATIENCE, "it is shut out");
        // As many as one connection carries at a time, and some are still to be answered.
        for _ in 0..8 {
            hostile.swarm.behaviour_mut().pull.send_request(&hostile.node, Ask::Cosignatures);
        }
        hostile.linger(Duration::from_millis(1)).await;
    }
    assert_eq!(node.counted("writ_peers_banned_total{reason=\"a flood of questions\"}"), 1);
}

#[tokio::test]
async fn noise_on_the_port_is_cut_off() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let sample = Sample::new("network");
    let node = Node::start(0, &sample, Vec::new(), true).await;
    for noise in [vec![0_u8; 100_000], b"GET / HTTP/1.1\r\n\r\n".to_vec(), vec![0x13; 40]] {
        let mut socket = tokio::net::TcpStream::connect(node.network.endpoint().socket).await.unwrap();
        // It may be cut off before all is written.
        let _ = socket.write_all(&noise).await;
        let mut all = Vec::new();
        let end = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut all)).await;
        assert!(end.is_ok(), "a connection that is none is closed");
    }
    assert_eq!(node.network.peers(), 0);
}

#[tokio::test]
async fn sockets_on_which_nothing_is_said_are_closed_and_keep_nobody_out() {
    use tokio::io::AsyncReadExt as _;

    let sample = Sample::new("network");
    let node = Node::start(0, &sample, Vec::new(), true).await;
    let place = node.network.endpoint();
    let mut sockets = Vec::new();
    for _ in 0..60 {
        sockets.push(tokio::net::TcpStream::connect(place.socket).await.unwrap());
    }
    let honest = Node::start(1, &sample, vec![place], true).await;
    until("an honest peer is let in", || honest.network.peers() == 1).await;
    for mut socket in sockets {
        let mut all = Vec::new();
        let end = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut all)).await;
        assert!(end.is_ok(), "a socket on which nothing is said is closed");
    }
}
