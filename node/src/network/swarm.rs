//! The loop: what happens when something is heard, and every second.
//!
//! One task owns the swarm and never waits for the ledger: records go to a second task, one message at a time, and
//! its verdicts come back. What does not fit into the short queue between them is dropped.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt as _;
use libp2p::gossipsub::{self, IdentTopic, MessageAcceptance, MessageId, PublishError};
use libp2p::request_response::{self, InboundRequestId, Message as Pull, OutboundFailure, OutboundRequestId};
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, ping};
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use writ_proto::certificate::faulty;
use writ_proto::codec::Blob;
use writ_proto::hash::Digest;
use writ_proto::key::KeyId;
use writ_proto::record::RecordId;

use super::address::Endpoint;
use super::behaviour::{self, Behaviour, BehaviourEvent, Guests, Topics};
use super::gate;
use super::intake::{Worth, is_bad_everywhere, worth, worth_of};
use super::peers::{Blame, Bucket, Contact};
use super::wire::{
    ASKED_RECORDS_MAX, Ask, BATCH_BYTES_MAX, BATCH_RECORDS_MAX, COSIGNATURES_MAX, Claim, Hello, IDS_MAX,
    INTRODUCED_MAX, Summary, TOLD_RECORDS_BYTES_MAX, Tell, decode_batch, encode_batch, is_nonsense,
};
use super::{LISTEN_PATIENCE, NetworkError, Setup, keypair};
use crate::checkpoints::{Checkpoints, Verdict};
use crate::clock::Offset;
use crate::consensus::EnginePeers;
use crate::ledger::{Ledger, SubmitError, Submitted};
use crate::metrics::{self, Metrics, Way};
use crate::recollection::{Memory, Recollection};
use crate::shutdown::stopped;

/// How often peers are called and greeted.
const TICK: Duration = Duration::from_millis(250);
const GREET_EVERY: Duration = Duration::from_secs(1);
/// A record that has waited so long should be everywhere.
const AGED: Duration = Duration::from_secs(1);
/// Messages with records that wait to be looked at.
const TO_JUDGE_MAX: usize = 64;
/// Batches of this node's own that wait to be sent.
const TO_SEND_MAX: usize = 16;
/// The least time between two batches of this node's own: what is submitted meanwhile goes together.
const SEND_EVERY: Duration = Duration::from_millis(2);
/// Lists of ids that one peer is asked for in a row: a whole pool, and no endless one.
const PAGES_MAX: usize = 16;
/// Questions a second that one peer may ask.
const ASKS_PER_S: u64 = 20;
/// Questions a second that no node asks, however much it lacks: a whole pool asked for again and again.
const FLOOD_OF_ASKS_PER_S: u64 = 200;
/// Bytes of answers that wait to be read, of all peers together. What exceeds it is asked for again.
const ANSWERS_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What an answer costs beside the records and ids in it.
const ANSWER_BYTES: usize = 8 * 1024;
/// Nodes that are called because another node named them.
const INTRODUCED_CALLED_MAX: usize = 4;

/// Where a message with records came from.
enum From {
    Gossip(MessageId),
    Pull,
}

/// What a peer told.
enum What {
    /// Records, for the ledger.
    Records(Vec<Vec<u8>>),
    /// Cosignatures, for the checkpoints.
    Cosignatures(Vec<Vec<u8>>),
    /// What a validator remembers of this node's keys.
    Memory(KeyId, Box<Memory>),
}

/// What a peer told, on its way to whoever judges it.
struct Told {
    peer: PeerId,
    from: From,
    what: What,
}

/// What they were worth.
struct Judged {
    peer: PeerId,
    from: From,
    worth: Worth,
    /// Whether these were all the cosignatures that the peer knows.
    all_cosignatures: bool,
}

/// A peer that is connected.
struct Peer {
    /// Its address as this node sees it.
    ip: Option<IpAddr>,
    gossip: Bucket,
    asks: Bucket,
    /// What it may send beyond that, unheard, before it is shut out.
    more_gossip: Bucket,
    more_asks: Bucket,
    /// How many lists of ids it is being asked for, one after another; 0: none now.
    pages: usize,
    /// The key that it votes with, if it has shown one.
    votes_with: Option<KeyId>,
    /// The greeting that is not answered yet, and the boot time at which it was sent.
    greeting: Option<(OutboundRequestId, u64)>,
    /// What its clock is.
    clock: Option<Offset>,
}

struct Loop {
    swarm: Swarm<Behaviour>,
    topics: Topics,
    open: bool,
    gossip_bytes_per_s: u64,
    ledger: Ledger,
    checkpoints: Checkpoints,
    recollection: Recollection,
    claim: Option<Claim>,
    engine_peers: EnginePeers,
    engine_port: watch::Receiver<Option<u16>>,
    heard: Arc<AtomicBool>,
    metrics: Metrics,
    connected: Arc<AtomicUsize>,
    contacts: Vec<Contact>,
    calls: HashMap<ConnectionId, Endpoint>,
    peers: HashMap<PeerId, Peer>,
    blame: Blame,
    /// The answers that are being sent, with their sizes.
    answers: HashMap<InboundRequestId, usize>,
    to_judge: mpsc::Sender<Told>,
    greeted: Instant,
    /// What has waited here a while, and all that waits, as of the last greeting.
    aged: Summary,
    all: Summary,
}

/// Listens; gives where, and the loop to run.
pub(super) async fn start(
    setup: Setup,
    connected: Arc<AtomicUsize>,
    heard: Arc<AtomicBool>,
) -> Result<(Endpoint, impl Future<Output = ()>), NetworkError> {
    let Setup { identity, config, ledger, checkpoints, recollection, claim, .. } = setup;
    let Setup { engine_peers, engine_port, metrics, stopping, .. } = setup;
    let chain = *ledger.read().chain();
    let topics = Topics::of(&chain);
    let named = config.peers.iter().filter_map(|peer| peer.peer);
    let named: Vec<_> = named.chain(config.allow.iter().copied()).collect();
    let addresses: Vec<_> = config.peers.iter().map(|peer| peer.socket.ip()).collect();
    let guests = Guests { peers_max: config.peers_max, named: &named, addresses: &addresses, open: config.open };
    let mut swarm = behaviour::swarm(keypair(&identity)?, &chain, &topics, &guests)?;
    let listening = listen(&mut swarm, config.listen).await?;
    let endpoint = Endpoint { peer: Some(*swarm.local_peer_id()), ..listening };
    tracing::info!(%endpoint, open = config.open, "other nodes can reach this one");

    let (to_judge, told) = mpsc::channel(TO_JUDGE_MAX);
    let (tell, judged) = mpsc::channel(TO_JUDGE_MAX);
    let (to_send, batches) = mpsc::channel(TO_SEND_MAX);
    let now = Instant::now();
    let me = Loop {
        topics,
        open: config.open,
        gossip_bytes_per_s: config.gossip_bytes_per_s_max,
        recollection: recollection.clone(),
        claim,
        engine_peers,
        engine_port: engine_port.clone(),
        heard,
        metrics: metrics.clone(),
        connected,
        contacts: config.peers.iter().map(|peer| Contact::new(*peer, now)).collect(),
        calls: HashMap::new(),
        peers: HashMap::new(),
        blame: Blame::default(),
        answers: HashMap::new(),
        to_judge,
        greeted: now,
        aged: Summary::default(),
        all: Summary::default(),
        ledger: ledger.clone(),
        checkpoints: checkpoints.clone(),
        swarm,
    };
    let own = checkpoints.outgoing();
    let run = async move {
        tokio::select! {
            () = stopped(stopping) => {}
            () = judge(ledger.clone(), checkpoints, recollection, metrics, told, tell) => {}
            () = collect(ledger, to_send) => {}
            () = me.run(judged, batches, own, engine_port) => {}
        }
    };
    Ok((endpoint, run))
}

/// Listens, and learns where: port 0 takes any.
async fn listen(swarm: &mut Swarm<Behaviour>, at: Endpoint) -> Result<Endpoint, NetworkError> {
    let fault = |reason: String| NetworkError::NotListening { address: Box::new(at), reason };
    // The swarm would share a port with another process without a word.
    std::net::TcpListener::bind(at.socket).map_err(|error| fault(error.to_string()))?;
    swarm.listen_on(at.to_multiaddr()).map_err(|error| fault(error.to_string()))?;
    let listening = async {
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::NewListenAddr { address, .. } => {
                    return Endpoint::of(&address).ok_or_else(|| fault(format!("it listens at `{address}`")));
                }
                SwarmEvent::ListenerClosed { reason: Err(error), .. } | SwarmEvent::ListenerError { error, .. } => {
                    return Err(fault(error.to_string()));
                }
                _ => {}
            }
        }
    };
    let patience = tokio::time::timeout(LISTEN_PATIENCE, listening).await;
    patience.unwrap_or_else(|_| Err(fault("it does not come to listen".into())))
}

/// Hands what peers told to the ledger and the checkpoints, one message at a time.
async fn judge(
    ledger: Ledger,
    checkpoints: Checkpoints,
    recollection: Recollection,
    metrics: Metrics,
    mut told: mpsc::Receiver<Told>,
    judged: mpsc::Sender<Judged>,
) {
    while let Some(Told { peer, from, what }) = told.recv().await {
        let all_cosignatures = matches!((&what, &from), (What::Cosignatures(_), From::Pull));
        let worth = match what {
            What::Records(records) => {
                let results = ledger.take_from_peer(records).await;
                count_records(metrics.network(), &results);
                worth(&results)
            }
            What::Cosignatures(cosignatures) => worth_of(cosignatures.iter().map(|one| {
                let verdict = checkpoints.take(one);
                metrics.checkpoints().cosignature(match verdict {
                    Verdict::Accept => "accepted",
                    Verdict::Ignore(why) | Verdict::Reject(why) => why,
                });
                verdict
            })),
            What::Memory(validator, memory) => {
                if let Err(error) = recollection.told(validator, &memory) {
                    tracing::error!(%error, "what this node's key signed could not be kept");
                }
                continue;
            }
        };
        if judged.send(Judged { peer, from, worth, all_cosignatures }).await.is_err() {
            return;
        }
    }
}

/// Counts what became of the records of one message.
fn count_records(counts: &metrics::Network, results: &[Result<Submitted, SubmitError>]) {
    counts.received("records", results.len() as u64);
    for result in results {
        match result {
            Ok(Submitted::New(_)) => counts.accepted("records", 1),
            Ok(_) => counts.ignored("records", "known", 1),
            Err(SubmitError::Refused(refusal)) if is_bad_everywhere(refusal.code) => {
                counts.rejected("records", refusal.code.as_str(), 1);
            }
            Err(SubmitError::Refused(refusal)) => counts.ignored("records", refusal.code.as_str(), 1),
            Err(SubmitError::Overloaded { .. }) => counts.ignored("records", "overloaded", 1),
            Err(SubmitError::ReadOnly) => counts.ignored("records", "read_only", 1),
            Err(SubmitError::Store(_)) => counts.ignored("records", "internal", 1),
        }
    }
}

/// Puts what was submitted here into batches.
async fn collect(ledger: Ledger, to_send: mpsc::Sender<Vec<u8>>) {
    loop {
        for batch in in_batches(ledger.outgoing().await) {
            if to_send.send(encode_batch(batch)).await.is_err() {
                return;
            }
        }
        tokio::time::sleep(SEND_EVERY).await;
    }
}

/// Tells one list of cosignatures from another.
fn digest_of(cosignatures: &[Vec<u8>]) -> Digest {
    let parts: Vec<&[u8]> = cosignatures.iter().map(Vec::as_slice).collect();
    Digest::of(&parts)
}

/// Records in order, in batches that keep their bounds.
fn in_batches(records: Vec<Vec<u8>>) -> Vec<Vec<Vec<u8>>> {
    let mut batches: Vec<Vec<Vec<u8>>> = Vec::new();
    // The count of the list, and the length of each record.
    let mut bytes = 8;
    for record in records {
        bytes += 8 + record.len();
        match batches.last_mut() {
            Some(batch) if batch.len() < BATCH_RECORDS_MAX && bytes <= BATCH_BYTES_MAX => batch.push(record),
            _ => {
                bytes = 8 + 8 + record.len();
                batches.push(vec![record]);
            }
        }
    }
    batches
}

impl Loop {
    async fn run(
        mut self,
        mut judged: mpsc::Receiver<Judged>,
        mut batches: mpsc::Receiver<Vec<u8>>,
        mut own: watch::Receiver<Option<Bytes>>,
        mut engine_port: watch::Receiver<Option<u16>>,
    ) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.hear(event),
                Some(judged) = judged.recv() => self.conclude(judged),
                Some(batch) = batches.recv() => self.publish(self.topics.records.clone(), batch),
                Ok(()) = own.changed() => {
                    let cosignature = own.borrow_and_update().clone();
                    if let Some(cosignature) = cosignature {
                        self.publish(self.topics.checkpoints.clone(), cosignature.to_vec());
                    }
                }
                // Where the engine listens, others wait to hear.
                Ok(()) = engine_port.changed() => self.greet_all(),
                _ = ticks.tick() => self.tick(),
                else => return,
            }
        }
    }

    fn hear(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                let called = self.calls.remove(&connection_id);
                self.connected_to(peer_id, endpoint.get_remote_address(), called);
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } => self.disconnected_from(&peer_id),
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                if let Some(called) = self.calls.remove(&connection_id) {
                    self.call_failed(called, &error);
                }
            }
            SwarmEvent::Behaviour(BehaviourEvent::Ping(ping::Event { connection, result: Err(error), .. })) => {
                tracing::debug!(%error, "a peer does not answer");
                self.swarm.close_connection(connection);
            }
            SwarmEvent::Behaviour(BehaviourEvent::Gate(event)) => self.gate(event),
            SwarmEvent::Behaviour(BehaviourEvent::Pull(event)) => self.pull(event),
            _ => {}
        }
    }

    // Connections.

    fn connected_to(&mut self, peer: PeerId, address: &Multiaddr, called: Option<Endpoint>) {
        let now = Instant::now();
        let ip = Endpoint::of(address).map(|endpoint| endpoint.socket.ip());
        for contact in &mut self.contacts {
            if contact.endpoint.peer == Some(peer) || called.is_some_and(|called| called == contact.endpoint) {
                contact.reached(peer);
            }
        }
        let is_new = !self.peers.contains_key(&peer);
        let rate = self.gossip_bytes_per_s;
        let known = self.peers.entry(peer).or_insert_with(|| Peer {
            ip,
            gossip: Bucket::new(rate, now),
            asks: Bucket::new(ASKS_PER_S, now),
            more_gossip: Bucket::new(rate, now),
            more_asks: Bucket::new(FLOOD_OF_ASKS_PER_S, now),
            pages: 0,
            votes_with: None,
            greeting: None,
            clock: None,
        });
        if called.is_some() {
            // Where it was called is where it can be called again.
            known.ip = ip;
        }
        self.count_peers();
        if is_new {
            tracing::info!(%peer, %address, called = called.is_some(), "connected");
        }
        let hello = self.hello();
        self.greet(peer, hello);
    }

    fn disconnected_from(&mut self, peer: &PeerId) {
        if self.peers.remove(peer).is_some() {
            tracing::info!(%peer, "disconnected");
        }
        self.count_peers();
        let now = Instant::now();
        for contact in self.contacts.iter_mut().filter(|contact| contact.found == Some(*peer)) {
            contact.lost(now);
        }
    }

    fn count_peers(&self) {
        self.connected.store(self.peers.len(), Ordering::Relaxed);
        self.metrics.network().peers(self.peers.len());
    }

    fn call_failed(&mut self, called: Endpoint, error: &DialError) {
        let now = Instant::now();
        match error {
            // Its own address was given to it as a peer's.
            DialError::LocalPeerId { .. } => {
                tracing::warn!(%called, "this node itself answers where a peer was to be");
                self.contacts.retain(|contact| contact.endpoint != called);
            }
            DialError::WrongPeerId { obtained, .. } => {
                tracing::warn!(%called, found = %obtained, "another peer answers there");
            }
            error => tracing::debug!(%called, %error, "a peer cannot be reached"),
        }
        for contact in self.contacts.iter_mut().filter(|contact| contact.endpoint == called) {
            contact.lost(now);
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        for peer in self.blame.forgiven(now) {
            self.swarm.behaviour_mut().shut_out.unblock_peer(peer);
        }
        self.call(now);
        if now.duration_since(self.greeted) >= GREET_EVERY {
            self.greeted = now;
            // Once for all peers: the pool may be long.
            (self.aged, self.all) = (self.ledger.summary(AGED), self.ledger.summary(Duration::ZERO));
            self.greet_all();
        }
    }

    /// Calls the contacts that are not connected.
    fn call(&mut self, now: Instant) {
        self.contacts.retain(|contact| !contact.is_given_up());
        for contact in &mut self.contacts {
            let away =
                contact.found.is_none_or(|peer| !self.peers.contains_key(&peer) && !self.blame.is_shut_out(&peer));
            if !away || !contact.is_due(now) {
                continue;
            }
            let place = contact.endpoint.place().to_multiaddr();
            let call: DialOpts = match contact.endpoint.peer {
                Some(peer) => DialOpts::peer_id(peer).addresses(vec![place]).condition(PeerCondition::Always).build(),
                None => DialOpts::unknown_peer_id().address(place).build(),
            };
            let id = call.connection_id();
            match self.swarm.dial(call) {
                Ok(()) => {
                    self.calls.insert(id, contact.endpoint);
                }
                Err(error) => {
                    tracing::debug!(called = %contact.endpoint, %error, "a peer cannot be called");
                    contact.lost(now);
                }
            }
        }
    }

    /// Blames a peer, and shuts it out if that was one time too many.
    fn blame(&mut self, peer: PeerId, what: &'static str) {
        tracing::debug!(%peer, what, "a peer sent what it must have known to be bad");
        if self.blame.strike(peer, Instant::now()) {
            self.shut_out(peer, what);
        }
    }

    /// Shuts out a peer that sends far more than any node has to say.
    fn flooded(&mut self, peer: PeerId, what: &'static str) {
        // What was on its way when it was shut out is no news.
        if !self.blame.is_shut_out(&peer) {
            self.blame.shut_out(peer, Instant::now());
            self.shut_out(peer, what);
        }
    }

    fn shut_out(&mut self, peer: PeerId, what: &'static str) {
        tracing::warn!(%peer, what, "a peer is shut out for a minute");
        self.metrics.network().banned(what);
        self.swarm.behaviour_mut().shut_out.block_peer(peer);
    }

    // Gossip.

    fn publish(&mut self, topic: IdentTopic, message: Vec<u8>) {
        self.metrics.network().bytes(Way::Out, message.len() as u64);
        match self.swarm.behaviour_mut().gate.gossip.publish(topic, message) {
            Ok(_) | Err(PublishError::Duplicate | PublishError::NoPeersSubscribedToTopic) => {}
            // Peers pull what they were not told.
            Err(error) => tracing::debug!(%error, "a message was not gossiped"),
        }
    }

    fn gate(&mut self, event: gate::Event) {
        match event {
            gate::Event::Gossip(gossipsub::Event::Message { propagation_source, message_id, message }) => {
                self.gossip(propagation_source, message_id, &message);
            }
            gate::Event::Gossip(_) => {}
            gate::Event::Bad(peer, what) => self.blame(peer, what),
            gate::Event::Flood(peer) => self.flooded(peer, "a flood of messages"),
            gate::Event::Dropped(messages) => {
                self.metrics.network().ignored("messages", "more than strangers may send", messages as u64);
            }
        }
    }

    fn gossip(&mut self, peer: PeerId, id: MessageId, message: &gossipsub::Message) {
        let now = Instant::now();
        self.metrics.network().bytes(Way::In, message.data.len() as u64);
        if !self.may_send(peer, message.data.len(), now) {
            return self.report(&id, &peer, MessageAcceptance::Ignore);
        }
        if message.topic == self.topics.records.hash() {
            match decode_batch(&message.data) {
                Some(records) => self.hand_over(Told { peer, from: From::Gossip(id), what: What::Records(records) }),
                None => {
                    self.report(&id, &peer, MessageAcceptance::Reject);
                    self.blame(peer, "bytes that are no batch of records");
                }
            }
        } else {
            let what = What::Cosignatures(vec![message.data.clone()]);
            self.hand_over(Told { peer, from: From::Gossip(id), what });
        }
    }

    /// Draws on what a peer may send. What exceeds it is not looked at.
    fn within_rate(&mut self, peer: PeerId, bytes: usize, now: Instant) -> bool {
        let within = self.peers.get_mut(&peer).is_some_and(|known| known.gossip.take(bytes, now));
        if !within {
            self.metrics.network().ignored("messages", "more than one peer may send", 1);
        }
        within
    }

    /// The same for what nobody asked for: as much again, and the peer is shut out.
    fn may_send(&mut self, peer: PeerId, bytes: usize, now: Instant) -> bool {
        let within = self.within_rate(peer, bytes, now);
        if !within && self.peers.get_mut(&peer).is_some_and(|known| !known.more_gossip.take(bytes, now)) {
            self.flooded(peer, "a flood of bytes");
        }
        within
    }

    fn report(&mut self, id: &MessageId, peer: &PeerId, verdict: MessageAcceptance) {
        self.swarm.behaviour_mut().gate.gossip.report_message_validation_result(id, peer, verdict);
    }

    /// To whoever judges it, if they keep up; else it is dropped, and pulled later.
    fn hand_over(&mut self, told: Told) {
        let Err(error) = self.to_judge.try_send(told) else { return };
        self.metrics.network().ignored("messages", "too many wait to be looked at", 1);
        if let Told { peer, from: From::Gossip(id), .. } = error.into_inner() {
            self.report(&id, &peer, MessageAcceptance::Ignore);
        }
    }

    fn conclude(&mut self, judged: Judged) {
        let Judged { peer, from, worth, all_cosignatures } = judged;
        if all_cosignatures && worth != Worth::Bad {
            self.heard.store(true, Ordering::Relaxed);
        }
        if let From::Gossip(id) = &from {
            let verdict = match worth {
                Worth::New => MessageAcceptance::Accept,
                Worth::Nothing => MessageAcceptance::Ignore,
                Worth::Bad => MessageAcceptance::Reject,
            };
            self.report(id, &peer, verdict);
        }
        if worth == Worth::Bad {
            self.blame(peer, "a record or a cosignature that is bad for everybody");
        }
    }

    // Pull.

    fn hello(&self) -> Hello {
        let known = self.contacts.iter().filter(|contact| contact.found.is_some());
        let name = |contact: &Contact| Endpoint { peer: contact.found, ..contact.endpoint }.to_string();
        Hello {
            consensus_port: self.engine_port.borrow().unwrap_or(0),
            claim: self.claim.clone(),
            clock: self.ledger.clock().read().wall_ms,
            tip: self.ledger.read().tip().height,
            waiting: self.aged,
            cosigned: digest_of(&self.checkpoints.latest()),
            introduced: known.map(name).take(INTRODUCED_MAX).collect(),
        }
    }

    fn ask(&mut self, peer: PeerId, ask: Ask) -> OutboundRequestId {
        self.swarm.behaviour_mut().pull.send_request(&peer, ask)
    }

    fn greet(&mut self, peer: PeerId, hello: Hello) {
        let boot_ms = self.ledger.clock().read().boot_ms;
        let request = self.ask(peer, Ask::Hello(hello));
        if let Some(known) = self.peers.get_mut(&peer) {
            known.greeting = Some((request, boot_ms));
        }
    }

    fn greet_all(&mut self) {
        let hello = self.hello();
        let peers: Vec<_> = self.peers.keys().copied().collect();
        peers.into_iter().for_each(|peer| self.greet(peer, hello.clone()));
    }

    fn pull(&mut self, event: request_response::Event<Ask, Tell>) {
        match event {
            request_response::Event::Message {
                peer, message: Pull::Request { request_id, request, channel }, ..
            } => {
                if request == Ask::Nonsense {
                    return self.blame(peer, "bytes that are no question");
                }
                if !self.may_ask(peer) {
                    // The question is dropped; who keeps on asking gets nothing.
                    return self.metrics.network().pulled(Way::In, "dropped");
                }
                let tell = self.answer(peer, request);
                let bytes = ANSWER_BYTES + tell.bytes();
                if self.answers.values().sum::<usize>() + bytes > ANSWERS_BYTES_MAX {
                    return self.metrics.network().pulled(Way::In, "dropped");
                }
                self.metrics.network().pulled(Way::In, "answered");
                // Whoever asked may be gone.
                if self.swarm.behaviour_mut().pull.send_response(channel, tell).is_ok() {
                    self.answers.insert(request_id, bytes);
                }
            }
            request_response::Event::Message { peer, message: Pull::Response { request_id, response }, .. } => {
                self.metrics.network().pulled(Way::Out, "answered");
                if let Tell::Hello(hello) = &response {
                    self.told_time(peer, request_id, hello.clock);
                }
                self.answered(peer, response);
            }
            request_response::Event::OutboundFailure { peer, error: OutboundFailure::UnsupportedProtocols, .. } => {
                // The protocol's name carries the chain.
                if self.peers.contains_key(&peer) {
                    tracing::warn!(%peer, "a peer is of another chain, or another version of this program");
                }
                let contacts = self.contacts.iter_mut().filter(|contact| contact.found == Some(peer));
                contacts.for_each(Contact::is_foreign);
                // It may be gone by itself.
                let _ = self.swarm.disconnect_peer_id(peer);
            }
            request_response::Event::OutboundFailure { peer, error, .. } => {
                tracing::debug!(%peer, %error, "a peer did not answer");
                self.metrics.network().pulled(Way::Out, "failed");
                self.finish_pull(&peer);
                if matches!(&error, OutboundFailure::Io(error) if is_nonsense(error)) {
                    self.blame(peer, "bytes that are no answer");
                }
            }
            request_response::Event::InboundFailure { request_id, .. }
            | request_response::Event::ResponseSent { request_id, .. } => {
                self.answers.remove(&request_id);
            }
        }
    }

    /// Draws on what a peer may ask.
    fn may_ask(&mut self, peer: PeerId) -> bool {
        let now = Instant::now();
        let Some(known) = self.peers.get_mut(&peer) else { return false };
        if known.asks.take(1, now) {
            return true;
        }
        if !known.more_asks.take(1, now) {
            self.flooded(peer, "a flood of questions");
        }
        false
    }

    fn answer(&mut self, peer: PeerId, ask: Ask) -> Tell {
        match ask {
            Ask::Hello(hello) => {
                self.greeted_by(peer, hello);
                Tell::Hello(self.hello())
            }
            Ask::Ids { after } => Tell::Ids(self.ids_after(after)),
            Ask::Records(ids) => Tell::Records(self.records(&ids)),
            Ask::Cosignatures => {
                let latest = self.checkpoints.latest().into_iter().take(COSIGNATURES_MAX);
                Tell::Cosignatures(latest.map(Blob).collect())
            }
            Ask::Remembered(keys) => Tell::Remembered(self.recollection.of(&keys)),
            // It was blamed on its sender; nothing is known of it.
            Ask::Nonsense => Tell::Ids(Vec::new()),
        }
    }

    fn answered(&mut self, peer: PeerId, response: Tell) {
        match response {
            Tell::Hello(hello) => self.greeted_by(peer, hello),
            Tell::Ids(ids) => self.told_ids(peer, &ids),
            Tell::Records(records) => {
                let records: Vec<_> = records.into_iter().map(|record| record.0).collect();
                if records.len() > ASKED_RECORDS_MAX {
                    return self.blame(peer, "more records than were asked for");
                }
                let bytes = records.iter().map(Vec::len).sum();
                if !records.is_empty() && self.within_rate(peer, bytes, Instant::now()) {
                    self.hand_over(Told { peer, from: From::Pull, what: What::Records(records) });
                }
            }
            Tell::Cosignatures(all) if all.len() > COSIGNATURES_MAX => {
                self.blame(peer, "more cosignatures than there are validators");
            }
            Tell::Cosignatures(all) => {
                let what = What::Cosignatures(all.into_iter().map(|one| one.0).collect());
                self.hand_over(Told { peer, from: From::Pull, what });
            }
            Tell::Remembered(memory) => {
                if let Some(validator) = self.peers.get(&peer).and_then(|known| known.votes_with) {
                    let what = What::Memory(validator, Box::new(memory));
                    self.hand_over(Told { peer, from: From::Pull, what });
                }
            }
        }
    }

    fn finish_pull(&mut self, peer: &PeerId) {
        if let Some(known) = self.peers.get_mut(peer) {
            known.pages = 0;
        }
    }

    /// A peer said what it has and where it can be reached.
    fn greeted_by(&mut self, peer: PeerId, hello: Hello) {
        let Hello { consensus_port, claim, waiting, cosigned, introduced, .. } = hello;
        self.claimed(peer, claim.as_ref());
        if cosigned == digest_of(&self.checkpoints.latest()) {
            self.heard.store(true, Ordering::Relaxed);
        } else {
            self.ask(peer, Ask::Cosignatures);
        }
        let is_contact = self.contacts.iter().any(|contact| contact.found == Some(peer));
        let Some(known) = self.peers.get_mut(&peer) else { return };
        if let (true, Some(ip), 1..) = (is_contact, known.ip, consensus_port) {
            self.engine_peers.add(Endpoint { socket: (ip, consensus_port).into(), peer: Some(peer) });
        }
        if waiting.count > 0 && waiting != self.all && known.pages == 0 {
            known.pages = 1;
            self.ask(peer, Ask::Ids { after: None });
        }
        if is_contact && self.open {
            self.meet(introduced);
        }
    }

    /// A peer showed which key it votes with, and is asked what it remembers of this node's.
    fn claimed(&mut self, peer: PeerId, claim: Option<&Claim>) {
        let (Some(claim), Some(known)) = (claim, self.peers.get_mut(&peer)) else { return };
        if known.votes_with != Some(claim.key.id()) {
            // Its signature is checked once; a peer that votes with a new key shows another.
            let Some(key) = claim.check(&peer, self.ledger.read().chain()) else {
                return self.blame(peer, "a claim to a voting key that is not its own");
            };
            known.votes_with = Some(key);
        }
        if let Some(keys) = self.recollection.question() {
            self.ask(peer, Ask::Remembered(keys));
        }
    }

    /// A peer told its time in answer to a greeting.
    fn told_time(&mut self, peer: PeerId, request: OutboundRequestId, theirs: u64) {
        let boot_ms = self.ledger.clock().read().boot_ms;
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let Some((_, asked)) = known.greeting.take_if(|(greeting, _)| *greeting == request) else { return };
        known.clock = Some(Offset::new(theirs, asked, boot_ms));
        let (validators, me) = (self.ledger.read().voters(), self.recollection.voting_key());
        // One for each validator, though several peers may claim its key.
        let others: BTreeMap<KeyId, Offset> = self
            .peers
            .values()
            .filter_map(|peer| Some((peer.votes_with?, peer.clock?)))
            .filter(|(key, _)| *key != me && validators.contains(key))
            .collect();
        let others: Vec<Offset> = others.into_values().collect();
        // So many that one of them is honest.
        self.ledger.clock().compare(&others, faulty(validators.len()) + 1);
    }

    /// Nodes that a contact named: a node that was told of one only should not depend on it.
    fn meet(&mut self, introduced: Vec<String>) {
        let me = *self.swarm.local_peer_id();
        for text in introduced.into_iter().take(INTRODUCED_MAX) {
            let Ok(endpoint) = text.parse::<Endpoint>() else { continue };
            let Some(peer) = endpoint.peer else { continue };
            let is_known = peer == me || self.contacts.iter().any(|contact| contact.found == Some(peer));
            let introduced = self.contacts.iter().filter(|contact| contact.introduced).count();
            if !is_known && introduced < INTRODUCED_CALLED_MAX {
                self.contacts.push(Contact::introduced(endpoint, Instant::now()));
            }
        }
    }

    fn ids_after(&self, after: Option<RecordId>) -> Vec<RecordId> {
        let ids = self.ledger.aged(AGED);
        ids.into_iter().filter(|id| after.is_none_or(|after| *id > after)).take(IDS_MAX).collect()
    }

    fn records(&self, ids: &[RecordId]) -> Vec<Blob> {
        let mut bytes = 0;
        let waiting = ids.iter().take(ASKED_RECORDS_MAX).filter_map(|id| self.ledger.waiting(id));
        let fitting = waiting.take_while(|record| {
            bytes += 8 + record.len();
            bytes <= TOLD_RECORDS_BYTES_MAX
        });
        fitting.map(Blob).collect()
    }

    fn told_ids(&mut self, peer: PeerId, ids: &[RecordId]) {
        if ids.len() > IDS_MAX || !ids.is_sorted_by(|a, b| a < b) {
            self.finish_pull(&peer);
            return self.blame(peer, "a list of ids that is none");
        }
        let lacking = self.ledger.lacks(ids);
        for some in lacking.chunks(ASKED_RECORDS_MAX) {
            self.ask(peer, Ask::Records(some.to_vec()));
        }
        let Some(known) = self.peers.get_mut(&peer) else { return };
        match ids.last() {
            Some(last) if ids.len() == IDS_MAX && known.pages < PAGES_MAX => {
                known.pages += 1;
                self.ask(peer, Ask::Ids { after: Some(*last) });
            }
            _ => self.finish_pull(&peer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_keep_order_and_bounds() {
        let records: Vec<Vec<u8>> = (0..2000_usize).map(|n| vec![n as u8; 1 + n % 700]).collect();
        let batches = in_batches(records.clone());
        assert!(batches.len() > 2 && batches.iter().all(|batch| decode_batch(&encode_batch(batch.clone())).is_some()));
        assert_eq!(batches.concat(), records);
        let small = in_batches(vec![vec![1]; BATCH_RECORDS_MAX + 1]);
        assert_eq!(small.iter().map(Vec::len).collect::<Vec<_>>(), [BATCH_RECORDS_MAX, 1]);
        assert!(in_batches(Vec::new()).is_empty());
    }
}
