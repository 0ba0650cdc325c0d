//! The attacks, each in a few lines.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libp2p::multiaddr::Protocol;
use libp2p::swarm::Stream;
use tokio::io::AsyncReadExt as _;
use writ_proto::codec::{self, Blob};

use crate::raw::{Client, Counts, Reply, Target, identity};
use crate::rpc::{Control, Packet, varint};
use crate::said;

/// About as much as a packet of gossip may hold.
const PACKET: usize = 120 * 1024;
/// Connections that are held without a use for them.
const CROWD: usize = 200;
/// Sockets that never say a word.
const SOCKETS: usize = 500;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// Bytes that are no batch of records.
    NoBatch,
    /// Bytes that are no cosignature.
    NoCosignature,
    /// Messages with an author and a signature.
    Authored,
    /// Packets longer than any may be.
    LongPackets,
    /// Questions longer than any may be, and bytes that are no question.
    LongQuestions,
    /// Answers longer than any may be.
    LongAnswers,
    /// Questions that never come to their end, thousands of them.
    Slow,
    /// Questions of every kind without end, whose answers are not read.
    Questions,
    /// Greetings with a claim to a key that is another's.
    WrongClaim,
    /// Records with a wrong signature.
    Forged,
    /// True records again and again, at a moderate rate.
    Replay,
    /// Large batches at line rate, of true records so that nothing in them is bad.
    Flood,
    /// The same with the smallest batches.
    Drizzle,
    /// Messages of another chain.
    Foreign,
    /// Subscriptions to topics that nobody has heard of.
    Topics,
    /// Control messages of every kind, about such topics too, and with ids of any length.
    Control,
    /// Only those that ask to be left alone for an hour, about such topics.
    Prunes,
    /// Connections that are held, each of another identity.
    Crowd,
    /// Connections of ever new identities.
    Identities,
    /// Sockets on which nothing is said.
    Sockets,
}

impl Mode {
    pub(crate) fn all() -> Vec<Self> {
        <Self as clap::ValueEnum>::value_variants().to_vec()
    }

    /// Whether one identity after another carries it out, each until it is cut off.
    pub(crate) fn has_identity(self) -> bool {
        !matches!(self, Self::Crowd | Self::Identities | Self::Sockets)
    }

    pub(crate) fn reply(self) -> Reply {
        match self {
            Self::Questions | Self::Control => Reply::Deaf,
            Self::LongAnswers => Reply::Oversize,
            _ => Reply::None,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = clap::ValueEnum::to_possible_value(self);
        f.write_str(value.as_ref().map_or("", clap::builder::PossibleValue::get_name))
    }
}

/// Numbers as good as random ones.
struct Noise(u64);

impl Noise {
    fn new() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self(since.map_or(1, |since| since.as_nanos() as u64) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        bytes.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]));
        bytes
    }

    fn text(&mut self, len: usize) -> String {
        let start = format!("{:016x}", self.next());
        start.chars().cycle().take(len).collect()
    }
}

/// Whom to attack, and with what.
pub(crate) struct Attack {
    pub(crate) target: Target,
    /// True records of the chain.
    pub(crate) records: Vec<Vec<u8>>,
}

impl Attack {
    /// Goes on until nothing more goes out.
    pub(crate) async fn carry_out(&self, mode: Mode, client: &Client, end: Instant) {
        let (records, checkpoints) = (&self.target.records, &self.target.checkpoints);
        let foreign = records.replace("/writ/", "/writ/0");
        let mut noise = Noise::new();
        match mode {
            Mode::NoBatch => self.gossip(client, |_| (1, Packet::default().publish(records, &noise.bytes(300)))).await,
            Mode::NoCosignature => {
                self.gossip(client, |_| (1, Packet::default().publish(checkpoints, &noise.bytes(300)))).await;
            }
            Mode::Authored => {
                let packet = |_| (1, Packet::default().publish_signed(records, &noise.bytes(300)));
                self.gossip(client, packet).await;
            }
            Mode::LongPackets => self.long_packets(client).await,
            Mode::LongQuestions => self.long_questions(client, &mut noise).await,
            Mode::LongAnswers => std::future::pending().await,
            Mode::Slow => self.slow(client, end).await,
            Mode::Questions => self.questions(client, said::question, Duration::ZERO).await,
            Mode::WrongClaim => {
                self.questions(client, said::wrong_claim, Duration::from_millis(20)).await;
            }
            Mode::Forged => {
                let packet = |n: u64| {
                    let mut record = self.pick(&mut noise).to_vec();
                    let last = record.len() - 1 - n as usize % 8;
                    record[last] ^= 1 + (n % 255) as u8;
                    (1, Packet::default().publish(records, &batch(&[&record])))
                };
                self.gossip(client, packet).await;
            }
            Mode::Replay => {
                let Some(mut stream) = self.subscribed(client).await else { return };
                loop {
                    let packet = Packet::default().publish(records, &self.batch(&mut noise, 3));
                    if !client.send(&mut stream, 1, &packet.bytes()).await {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            Mode::Flood => {
                let fits = PACKET / self.records.iter().map(|record| record.len() + 8).max().unwrap_or(PACKET);
                let batch = |noise: &mut Noise| self.batch(noise, fits.min(500));
                self.gossip(client, |_| (1, Packet::default().publish(records, &batch(&mut noise)))).await;
            }
            Mode::Drizzle => {
                let packet = |_| {
                    let fill = |packet: Packet, _| packet.publish(records, &self.batch(&mut noise, 3));
                    (60, (0..60).fold(Packet::default(), fill))
                };
                self.gossip(client, packet).await;
            }
            Mode::Foreign => {
                let mut large = noise.bytes(PACKET);
                let packet = |n: u64| {
                    large[..8].copy_from_slice(&n.to_le_bytes());
                    (1, Packet::default().publish(&foreign, &large))
                };
                self.gossip(client, packet).await;
            }
            Mode::Topics => {
                let packet = |n: u64| match n % 2 {
                    0 => (1, Packet::default().subscribe(&noise.text(PACKET))),
                    _ => (50, (0..50).fold(Packet::default(), |packet, _| packet.subscribe(&noise.text(16)))),
                };
                self.gossip(client, packet).await;
            }
            Mode::Prunes => {
                let prune = |noise: &mut Noise| Control::prune(&noise.text(2_000), 3_600);
                let packet =
                    |_| (60, Packet::default().control((0..60).map(|_| prune(&mut noise)).collect::<Vec<_>>()));
                self.gossip(client, packet).await;
            }
            Mode::Control => self.gossip(client, |n| (60, control(&mut noise, n, records))).await,
            Mode::Crowd | Mode::Identities | Mode::Sockets => {}
        }
    }

    /// A stream for gossip, by which the node knows that this is a peer.
    async fn subscribed(&self, client: &Client) -> Option<Stream> {
        let mut stream = client.gossip().await?;
        let (records, checkpoints) = (&self.target.records, &self.target.checkpoints);
        let packet = Packet::default().subscribe(records).subscribe(checkpoints);
        client.send(&mut stream, 1, &packet.bytes()).await.then_some(stream)
    }

    /// Packet after packet, as fast as they go out.
    async fn gossip(&self, client: &Client, mut packet: impl FnMut(u64) -> (usize, Packet)) {
        let mut n = 0;
        while !client.is_closed() {
            let Some(mut stream) = self.subscribed(client).await else { return };
            loop {
                let (messages, packet) = packet(n);
                n += 1;
                if !client.send(&mut stream, messages, &packet.bytes()).await {
                    break;
                }
            }
        }
    }

    async fn long_packets(&self, client: &Client) {
        let mut start = Vec::new();
        varint(&mut start, 1 << 30);
        let some = vec![0; 256 * 1024];
        while !client.is_closed() {
            let Some(mut stream) = client.gossip().await else { return };
            let mut goes_out = client.send(&mut stream, 1, &start).await;
            while goes_out {
                goes_out = client.send(&mut stream, 0, &some).await;
            }
        }
    }

    async fn long_questions(&self, client: &Client, noise: &mut Noise) {
        for n in 0_u64.. {
            let Some(mut stream) = client.ask().await else { return };
            let bytes = match n % 3 {
                0 => [vec![255; 4], vec![0; 60_000]].concat(),
                1 => [300_u32.to_le_bytes().to_vec(), noise.bytes(300)].concat(),
                _ => noise.bytes(60_000),
            };
            client.send(&mut stream, 1, &bytes).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Streams that each say a byte a second, until the node has had enough of the connection.
    async fn slow(&self, client: &Client, end: Instant) {
        for _ in 0..4_000 {
            let Some(mut stream) = client.ask().await else { return };
            let client = client.clone();
            tokio::spawn(async move {
                let mut goes_on = client.send(&mut stream, 1, &[0, 16, 0, 0]).await;
                while goes_on && Instant::now() < end {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    goes_on = client.send(&mut stream, 0, &[1]).await;
                }
            });
        }
        std::future::pending().await
    }

    /// Questions whose answers nobody reads, several at a time.
    async fn questions(&self, client: &Client, question: fn(u64) -> Vec<u8>, pause: Duration) {
        futures::future::join_all((0..4).map(|_| self.ask_on(client, question, pause))).await;
    }

    async fn ask_on(&self, client: &Client, question: fn(u64) -> Vec<u8>, pause: Duration) {
        let mut unread = VecDeque::new();
        for n in 0.. {
            let Some(mut stream) = client.ask().await else { return };
            client.send(&mut stream, 1, &question(n)).await;
            unread.push_back(stream);
            if unread.len() > 3 {
                unread.pop_front();
            }
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
    }

    fn pick(&self, noise: &mut Noise) -> &[u8] {
        let count = self.records.len().max(1);
        self.records.get(noise.next() as usize % count).map_or(b"no record was given", Vec::as_slice)
    }

    /// True records in an order that was never there.
    fn batch(&self, noise: &mut Noise, count: usize) -> Vec<u8> {
        let records: Vec<&[u8]> = (0..count).map(|_| self.pick(noise)).collect();
        batch(&records)
    }

    /// Attacks that are not one connection's.
    pub(crate) async fn without_identity(&self, mode: Mode, counts: &Arc<Counts>, end: Instant) {
        match mode {
            Mode::Crowd => self.crowd(counts, end).await,
            Mode::Identities => {
                futures::future::join_all((0..8).map(|_| self.identities(counts, end))).await;
            }
            Mode::Sockets => self.sockets(counts, end).await,
            _ => {}
        }
    }

    /// Holds as many connections as the node lets it.
    async fn crowd(&self, counts: &Arc<Counts>, end: Instant) {
        let mut held: Vec<Client> = Vec::new();
        while Instant::now() < end {
            let before = held.len();
            held.retain(|client| !client.is_closed());
            (held.len()..before).for_each(|_| counts.cut_off());
            if held.len() < CROWD {
                held.extend(self.target.connect(&identity(), Reply::None, counts).await);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Comes as somebody else each time, says that it is there, and goes.
    async fn identities(&self, counts: &Arc<Counts>, end: Instant) {
        while Instant::now() < end {
            let Some(client) = self.target.connect(&identity(), Reply::None, counts).await else { continue };
            self.subscribed(&client).await;
        }
    }

    /// Opens sockets and says nothing; those that the node closes are opened again.
    async fn sockets(&self, counts: &Arc<Counts>, end: Instant) {
        let mut place = (None, None);
        for part in &self.target.address {
            match part {
                Protocol::Ip4(ip) => place.0 = Some(std::net::IpAddr::from(ip)),
                Protocol::Ip6(ip) => place.0 = Some(std::net::IpAddr::from(ip)),
                Protocol::Tcp(port) => place.1 = Some(port),
                _ => {}
            }
        }
        let (Some(ip), Some(port)) = place else { return };
        let hold = || async {
            while Instant::now() < end {
                let Ok(mut socket) = tokio::net::TcpStream::connect((ip, port)).await else {
                    counts.refused();
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                counts.connected();
                let mut all = Vec::new();
                let closed = tokio::time::timeout_at(end.into(), socket.read_to_end(&mut all)).await;
                if closed.is_ok() {
                    counts.cut_off();
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        };
        futures::future::join_all((0..SOCKETS).map(|_| hold())).await;
    }
}

fn batch(records: &[&[u8]]) -> Vec<u8> {
    codec::encode(&records.iter().map(|record| Blob(record.to_vec())).collect::<Vec<_>>())
}

/// Control messages of every kind in turn.
fn control(noise: &mut Noise, n: u64, topic: &str) -> Packet {
    let some = |one: &mut dyn FnMut() -> Control| (0..60).map(|_| one()).collect::<Vec<_>>();
    Packet::default().control(match n % 6 {
        0 => some(&mut || Control::prune(&noise.text(2_000), 1 << 40)),
        1 => some(&mut || Control::idontwant(&noise.bytes(2_000))),
        2 => some(&mut || Control::ihave(topic, &noise.bytes(2_000))),
        3 => vec![Control::graft(topic), Control::prune(topic, 60)],
        4 => some(&mut || Control::iwant(&noise.bytes(32))),
        _ => some(&mut || Control::ihave(&noise.text(40), &noise.bytes(32))),
    })
}
