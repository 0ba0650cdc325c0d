//! A validator under attack by peers that say whatever no node says: they are cut off, its memory stays within what the
//! bounds of the network add up to, and the chain goes on.

use std::path::PathBuf;
use std::time::Duration;

use writ_tests::attack::{Attack, Usage, Verdict};
use writ_tests::cluster::Cluster;
use writ_tests::load::Load;
use writ_tests::random::Random;
use writ_tests::wait;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// Connections that the attacked node has with whoever comes; and bytes a second of gossip that it hears of each.
const PEERS_MAX: u64 = 16;
const GOSSIP_BYTES_PER_S: u64 = MIB;

/// Whoever has sent so much was cut off: twice ten seconds' worth at once, twice the rate, and what is under way.
const FLOOD: u64 = 64 * MIB;

/// What each connection can hold of a peer: the questions that are answered at a time with the windows of their streams
/// (16 of 256 KiB and 20 KiB), a gossip stream with its grown window (256 KiB and 4 MiB) and a packet (129 KiB, and again
/// as messages), and the frames of yamux and Noise.
const CONNECTION: u64 = 16 * (256 + 20) * KIB + (256 + 2 * 129) * KIB + 4 * MIB + 256 * KIB;
/// What all hold together: the messages that wait to be looked at (64, each at most an answer of 528 KiB), the answers that
/// wait to be read (16 MiB, and again as bytes), the ids of messages that were heard within five seconds (120,000 of
/// 200 bytes) and connections that are being made (256 of 64 KiB).
const SHARED: u64 = 64 * 528 * KIB + 2 * 16 * MIB + 120_000 * 200 + 256 * 64 * KIB;
/// What the node's own work takes beside that while the load goes on: the log and its index grow, tables are written.
const OWN: u64 = 32 * MIB;
/// How much memory an attack may cost.
const BOUND: u64 = PEERS_MAX * CONNECTION + SHARED + OWN;

/// Peers that must have known what they do: each of them ends shut out.
const TO_BLAME: &[&[&str]] = &[
    &["no-batch", "no-cosignature", "authored", "foreign", "prunes", "control"],
    &["long-questions", "long-answers", "wrong-claim", "forged"],
];
/// Floods of gossip end shut out too; who dawdles, says again what is true, or asks no faster than this machine lets it
/// need not.
const FLOODS: &[&[&str]] = &[&["flood", "drizzle", "questions"], &["topics", "slow", "long-packets", "replay"]];
/// Who only wants to take up room, with connections and with sockets on which nothing is said.
const CROWDS: &[&[&str]] = &[&["crowd"], &["identities"]];
const SOCKETS: &[&[&str]] = &[&["sockets"]];

/// How long each of the four parts lasts.
fn lasts() -> Duration {
    let seconds = std::env::var("WRIT_HOSTILE_SECONDS").map_or(6, |text| {
        text.parse().unwrap_or_else(|_| panic!("WRIT_HOSTILE_SECONDS is `{text}`, expected a number"))
    });
    Duration::from_secs(seconds)
}

/// Node 0, with small bounds of its own so that they are reached.
fn tighten(cluster: &mut Cluster) {
    cluster.stop(0);
    let file = cluster.home(0).join("writ.toml");
    let text = std::fs::read_to_string(&file).expect("a home has its configuration");
    let set = |text: String, name: &str, value: u64| {
        let is_it = |line: &&str| line.starts_with(&format!("{name} = "));
        assert_eq!(text.lines().filter(is_it).count(), 1, "`{name}` in {text}");
        let line = |line: &str| if is_it(&line) { format!("{name} = {value}\n") } else { format!("{line}\n") };
        text.lines().map(line).collect::<String>()
    };
    let text = set(text, "peers_max", PEERS_MAX);
    std::fs::write(&file, set(text, "gossip_bytes_per_s_max", GOSSIP_BYTES_PER_S)).expect("it can be written to");
    cluster.start(0);
}

/// True records, as anybody may have them who asks a node.
fn true_records(cluster: &Cluster) -> PathBuf {
    let file = cluster.folder().join("records");
    let lines: String = cluster.grow(1, 40).iter().map(|record| format!("{}\n", hex::encode(record.bytes()))).collect();
    std::fs::write(&file, lines).expect("a temporary folder can be written to");
    file
}

fn usage(cluster: &mut Cluster, n: usize) -> Usage {
    Usage::of(cluster.node(n).process_id())
}

#[test]
fn hostile_peers_are_cut_off_and_cost_no_more_memory_than_is_stated() {
    let mut cluster = Cluster::new(4, 0);
    tighten(&mut cluster);
    let records = true_records(&cluster);
    let load = Load::start(&cluster, 3, &mut Random::from_environment("hostile"));
    load.until_committed("all are well", 50);
    let before = usage(&mut cluster, 0);

    for (part, groups) in [("to blame", TO_BLAME), ("floods", FLOODS), ("crowds", CROWDS), ("sockets", SOCKETS)] {
        let attack = Attack::start(&cluster, 0, groups, lasts(), &records);
        load.until_committed(&format!("under attack ({part})"), 30);
        let verdicts = attack.wait();
        let now = usage(&mut cluster, 0);
        let cost = now.resident_max.saturating_sub(before.resident);
        println!("{part}: {} MiB more than before at most, {} open files", cost / MIB, now.files);
        verdicts.values().for_each(|verdict| println!("  {verdict:?}"));
        assert!(cost <= BOUND, "{part}: it cost {} MiB, the bounds allow {} MiB", cost / MIB, BOUND / MIB);
        for verdict in verdicts.values() {
            assert!(verdict.connections > 0, "{verdict:?}: it came through to the node");
            assert_cut_off(verdict);
        }
    }

    // It is as before: it takes records, nothing of the attack is left, and it knows what the others know.
    load.at(&cluster, &[0]);
    load.until_committed("the node that was attacked takes records", 20);
    load.stop();
    let mut last = 0;
    wait::until_within(Duration::from_secs(120), "the connections of the attack to be gone", || {
        let files = usage(&mut cluster, 0).files;
        if files != last {
            println!("{files} open files, {} before", before.files);
            last = files;
        }
        (files <= before.files + 4).then_some(())
    });
    assert!(cluster.node(0).is_ready());
    cluster.until_level(&[0, 1, 2, 3]);
    let answers = |n: usize| cluster.http(n).who_can("obj=file:x&act=read");
    let first = answers(1);
    for n in [0, 2, 3] {
        assert_eq!(answers(n), first, "node {n} answers as node 1 does");
    }
    cluster.verify();
}

fn assert_cut_off(verdict: &Verdict) {
    let is_to_blame = TO_BLAME.iter().any(|group| group.contains(&verdict.mode.as_str()));
    match verdict.mode.as_str() {
        // On a slow machine it may not have come to be one.
        "flood" | "drizzle" if verdict.bytes > FLOOD => {
            assert!(verdict.cut_off > 0, "{verdict:?}: a flood is cut off");
            assert_eq!(verdict.came_back, Some(false), "{verdict:?}: and stays outside");
        }
        "replay" => assert_eq!(verdict.cut_off, 0, "{verdict:?}: who says again what is true is no enemy"),
        "crowd" => assert!(verdict.cut_off + verdict.refused > 0, "{verdict:?}: there is no room for all"),
        "sockets" => assert!(verdict.cut_off > 0, "{verdict:?}: a socket on which nothing is said is closed"),
        _ if is_to_blame => {
            assert!(verdict.cut_off > 0, "{verdict:?}: it is cut off");
            assert_eq!(verdict.came_back, Some(false), "{verdict:?}: and stays outside");
        }
        _ => {}
    }
}
