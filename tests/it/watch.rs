//! Watching a network: who is cut off at any moment, and goes on at any other node, sees everything once and in order.
//!
//! 6 rounds, or as many as `WRIT_ROUNDS` says; the seed is printed, and taken from `WRIT_SEED` if that is set.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use writ_proto::record::{Effect, RecordId, Signed};
use writ_tests::cluster::Cluster;
use writ_tests::http::Http;
use writ_tests::issuer::Issuer;
use writ_tests::random::Random;
use writ_tests::wait;
use writ_tests::watcher::{Event, Watcher};
use writ_tests::world::World;
use writ_tests::writ;

const OBJECTS: [&str; 6] = ["file:a", "file:acl/x", "file:acl/y/z", "file:acl/*", "file:*", "thing:acl/x"];

/// A query, and which rows it is for.
type Asked = (&'static str, fn(&Value) -> bool);

/// What each reader asks for, and what that means for a row, told apart from the node.
const INTERESTS: [Asked; 4] = [
    ("", |_| true),
    ("obj=file:acl/x", |row| ["file:acl/x", "file:acl/*", "file:*"].contains(&text(row, "obj"))),
    ("obj=thing:*&memberships=true", |row| text(row, "obj").starts_with("thing:") || text(row, "act") == "member"),
    ("access=denied", |row| text(row, "access") == "denied"),
];

fn text<'a>(row: &'a Value, member: &str) -> &'a str {
    row[member].as_str().unwrap_or_default()
}

/// Appends entries and revocations of all kinds, to whichever node takes them, until told to stop.
fn write(nodes: &[Http], issuer: &Issuer, random: &mut Random, is_over: &AtomicBool) -> u64 {
    let mut made: Vec<(RecordId, Effect)> = Vec::new();
    let (mut early, mut taken): (Vec<Signed>, u64) = (Vec::new(), 0);
    while !is_over.load(Ordering::Relaxed) {
        let obj = *random.pick(&OBJECTS);
        let record = match random.below(10) {
            0..=1 if !made.is_empty() => {
                let (target, effect) = made.swap_remove(random.place(made.len()));
                issuer.revoke(target, effect)
            }
            2 => {
                // Its revocation goes first.
                let late = issuer.grant("user:late", "read", obj);
                let revocation = issuer.revoke(late.id(), Effect::Grant);
                early.push(late);
                revocation
            }
            3 if !early.is_empty() => early.swap_remove(random.place(early.len())),
            4 => issuer.deny("user:a", "write", obj),
            5 => issuer.grant(&format!("user:m{}", random.below(1000)), "member", "role:staff"),
            _ => issuer.grant(&format!("user:u{}", random.below(1000)), "read", obj),
        };
        let answer = random.pick(nodes).try_submit(&record, "wait=committed&wait_ms=2000");
        if answer.is_ok_and(|answer| answer.status == 200) {
            taken += 1;
            if let writ_proto::record::Body::Access(access) = record.body() {
                made.push((record.id(), access.effect));
            }
        }
    }
    taken
}

/// Reads what is told, changing the node at random moments, until all nodes are at rest and everything is told.
fn read(nodes: &[Http], query: &str, random: &mut Random, rest_at: &(AtomicBool, AtomicU64)) -> (Vec<Event>, u64) {
    let (mut events, mut last, mut cuts): (Vec<Event>, Option<String>, u64) = (Vec::new(), None, 0);
    loop {
        let node = random.pick(nodes);
        let opened = Watcher::open(node.base(), &format!("from_index=0&{query}"), last.as_deref());
        let Ok(mut watcher) = opened else {
            std::thread::sleep(Duration::from_millis(20));
            continue;
        };
        // Some stay until their node ends, most go away in between, some at once.
        let patience = *random.pick(&[0, 1, 2, 3, 5, 20, u64::MAX]);
        for _ in 0..patience {
            let Ok(event) = watcher.next_event() else { break };
            last = Some(event.id.clone());
            match event.position() {
                None => events.push(event),
                Some(position) => {
                    let is_rest =
                        rest_at.0.load(Ordering::Acquire) && position.log_size >= rest_at.1.load(Ordering::Acquire);
                    if is_rest {
                        return (events, cuts);
                    }
                }
            }
        }
        cuts += 1;
    }
}

#[test]
fn whoever_is_cut_off_at_random_sees_everything_once_and_in_order() {
    let rounds: u64 = match std::env::var("WRIT_ROUNDS") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("WRIT_ROUNDS is `{text}`, expected a number")),
        Err(_) => 6,
    };
    let mut random = Random::from_environment("watch");
    let mut cluster = Cluster::new(4, 1);
    let nodes: Vec<Http> =
        (0..cluster.len()).map(|n| Http::impatient(cluster.http(n).base(), Duration::from_secs(5))).collect();
    let issuer = cluster.issuer().clone();
    let is_over = AtomicBool::new(false);
    let rest_at = (AtomicBool::new(false), AtomicU64::new(0));

    // The program, too, which is told of all nodes.
    let mut arguments = vec!["watch".to_owned(), "--json".into(), "--from-index".into(), "0".into()];
    arguments.extend(nodes.iter().flat_map(|node| ["--node".to_owned(), node.base().to_owned()]));
    let mut program = writ::start(&cluster.folder().join("watch-stderr"), &arguments);
    let program_says = program.lines();

    let seeds: Vec<u64> = (0..2 + 2 * INTERESTS.len()).map(|_| random.number()).collect();
    let (taken, told) = std::thread::scope(|scope| {
        let (nodes, issuer, is_over, rest_at) = (&nodes, &*issuer, &is_over, &rest_at);
        let writers: Vec<_> = seeds[..2]
            .iter()
            .map(|seed| scope.spawn(move || write(nodes, issuer, &mut Random::new(*seed), is_over)))
            .collect();
        let readers: Vec<_> = seeds[2..]
            .iter()
            .enumerate()
            .map(|(n, seed)| {
                scope.spawn(move || read(nodes, INTERESTS[n % INTERESTS.len()].0, &mut Random::new(*seed), rest_at))
            })
            .collect();
        for round in 1..=rounds {
            std::thread::sleep(Duration::from_millis(300 + random.below(1_200)));
            let n = random.place(cluster.len());
            println!("round {round}: node {n} is killed");
            cluster.kill(n);
            std::thread::sleep(Duration::from_millis(random.below(1_500)));
            cluster.start(n);
        }
        is_over.store(true, Ordering::Relaxed);
        let taken: u64 = writers.into_iter().map(|writer| writer.join().expect("no writer panics")).sum();
        cluster.until_level(&(0..cluster.len()).collect::<Vec<_>>());
        let size = (0..cluster.len()).filter_map(|n| cluster.status(n)).map(|status| status.log_size).max();
        rest_at.1.store(size.expect("all nodes run"), Ordering::Release);
        rest_at.0.store(true, Ordering::Release);
        let told: Vec<_> = readers.into_iter().map(|reader| reader.join().expect("no reader panics")).collect();
        (taken, told)
    });

    // A fresh reader at each node sees one sequence, and it is that of the log.
    let fresh = |n: usize, query: &str| {
        let mut watcher =
            Watcher::open(nodes[n].base(), &format!("from_index=0&{query}"), None).expect("the node answers");
        watcher.until_position().expect("it is told everything").0
    };
    let whole = fresh(0, "");
    (1..cluster.len()).for_each(|n| assert_eq!(fresh(n, ""), whole, "node {n} tells another story"));
    let entries = cluster.http(0).entries("");
    let came = whole.iter().filter(|event| event.event == "entry").map(|event| event.json()["id"].clone());
    assert_eq!(came.collect::<Vec<_>>(), entries.iter().map(|entry| entry.id.to_string()).collect::<Vec<_>>());
    let revoked = whole.iter().filter(|event| event.event == "revoked").count();
    assert_eq!(revoked, entries.iter().filter(|entry| entry.revoked.is_some()).count());
    println!("{taken} records taken; {} events, of which {revoked} revocations", whole.len());
    assert!(revoked > 0 && whole.len() > 20, "too little happened");

    for (n, (events, cuts)) in told.iter().enumerate() {
        let (query, wants) = INTERESTS[n % INTERESTS.len()];
        let want: Vec<&Event> = whole.iter().filter(|event| wants(&event.json())).collect();
        println!("reader {n} `{query}`: {} events, cut {cuts} times", events.len());
        assert_eq!(events.iter().collect::<Vec<_>>(), want, "reader {n} `{query}`, cut {cuts} times");
        assert!(!events.is_empty(), "reader {n} was never told anything");
    }
    let cuts: u64 = told.iter().map(|(_, cuts)| *cuts).sum();
    assert!(cuts > told.len() as u64, "{cuts} cuts");

    // The program has told the same, and ends as done when it is interrupted.
    let mut lines: Vec<(String, String, Value)> = Vec::new();
    let is_event = |line: &Value| ["entry", "revoked"].contains(&text(line, "event"));
    while lines.len() < whole.len() {
        let line = program_says.recv_timeout(wait::LONG).expect("the program goes on");
        let line: Value = serde_json::from_str(&line).expect("a line is JSON");
        if is_event(&line) {
            lines.push((text(&line, "event").into(), text(&line, "id").into(), line["data"].clone()));
        }
    }
    let want: Vec<_> = whole.iter().map(|event| (event.event.clone(), event.id.clone(), event.json())).collect();
    assert_eq!(lines, want);
    program.interrupt();
    assert_eq!(program.wait(wait::LONG).code(), Some(0), "{}", program.said());
    cluster.verify();
}

#[test]
fn a_node_that_lags_goes_on_where_another_one_ended() {
    // Node 4 follows.
    let mut cluster = Cluster::new(4, 1);
    cluster.grow(0, 3);
    cluster.kill(4);
    cluster.grow(0, 30);
    let mut ahead = Watcher::open(cluster.http(0).base(), "from_index=0", None).expect("node 0 answers");
    let (events, _) = ahead.until_position().expect("it is told everything");
    assert_eq!(events.len(), 33);
    let last = events[32].id.clone();
    cluster.launch(4);
    let base = cluster.http(4).base().to_owned();
    // It listens before it has caught up, or not: either way nothing is told twice.
    let mut behind = wait::until("node 4 to listen", || Watcher::open(&base, "from_index=0", Some(&last)).ok());
    let more = cluster.grow(1, 2);
    let (rest, position) = behind.until_position().expect("it is told the rest");
    let rest = match rest.len() {
        // The position was told between them.
        0 | 1 => [rest, behind.until_position().expect("it is told the rest").0].concat(),
        _ => rest,
    };
    assert!(position.log_size > 33);
    assert_eq!(
        rest.iter().map(|event| event.json()["id"].clone()).collect::<Vec<_>>(),
        more.iter().map(|record| record.id().to_string()).collect::<Vec<_>>()
    );
    cluster.verify();
}

#[test]
fn the_program_tells_a_line_for_each_event_and_ends_as_done() {
    let world = World::new(&["org1"]);
    let mut node = world.run();
    let issuer = world.issuer("org1");
    let grant = issuer.grant("alice", "read", "file:plan");
    for record in [&grant, &issuer.grant("bob", "member", "role:staff"), &issuer.revoke(grant.id(), Effect::Grant)] {
        node.http().submit(record);
    }
    let url = node.http().base().to_owned();
    let watch = |more: &[&str]| writ::writ([&["watch", "--node", &url][..], more].concat());

    let said = watch(&["--from-index", "0", "--limit", "3"]).expect(0);
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines.len(), 3, "{}", said.out);
    let id = &grant.id().to_string()[..12];
    for (line, word, says) in [
        (lines[0], "  entry    ", "org1 grants alice `read` on file:plan"),
        (lines[1], "  entry    ", "bob"),
        (lines[2], "  revoked  ", "org1 grants alice `read` on file:plan"),
    ] {
        assert!(line.contains(word) && line.contains(says), "{line}");
    }
    assert!(lines[0].contains(id) && lines[2].contains(id), "{}", said.out);

    // What a filter leaves out is not counted; a place goes on, also of a text line.
    let said = watch(&["--from-index", "0", "--obj", "file:*", "--limit", "2", "--json"]).expect(0);
    let events = said.json_lines();
    let told: Vec<_> = events.iter().filter(|event| event["event"] != "position").collect();
    assert_eq!(told.iter().map(|event| text(event, "event")).collect::<Vec<_>>(), ["entry", "revoked"], "{}", said.out);
    let first = lines[0].split("  ").last().expect("a line has parts");
    let said = watch(&["--after", first, "--obj", "file:*", "--memberships", "--limit", "2", "--json"]).expect(0);
    let told: Vec<_> = said.json_lines().into_iter().filter(|event| event["event"] != "position").collect();
    assert_eq!(text(&told[0]["data"], "sub"), "bob", "{}", said.out);
    assert_eq!(told[1]["id"], events.last().expect("an event")["id"], "{}", said.out);

    for (misuse, word) in [
        (vec!["--obj", "file:a*"], "--obj"),
        (vec!["--sub", ""], "--sub"),
        (vec!["--act", "a b"], "--act"),
        (vec!["--after", "5.1"], "--after"),
        (vec!["--after", first, "--from-index", "0"], "--after"),
    ] {
        let said = watch(&misuse).expect(2);
        assert!(said.err.contains(word), "{misuse:?}: {}", said.err);
    }
    let stranger = format!("{}.{}", first.rsplit_once('.').expect("an id has a mark").0, "0".repeat(16));
    assert!(watch(&["--after", &stranger]).expect(1).err.contains("another chain"));

    // Nobody reads any more, and nothing happens: it ends all the same.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let said = folder.path().join("stderr");
    let mut program = writ::start(&said, &["watch", "--node", &url, "--from-index", "0"]);
    let mut pipe = program.stdout().expect("stdout is a pipe");
    std::io::Read::read_exact(&mut pipe, &mut [0; 10]).expect("it tells something");
    drop(pipe);
    assert_eq!(program.wait(wait::LONG).code(), Some(0), "{}", program.said());
    // So it does when it is told to, though it has told nothing.
    let mut program = writ::start(&said, &["watch", "--node", &url, "--obj", "thing:z", "--json"]);
    let lines = program.lines();
    assert!(lines.recv_timeout(wait::LONG).expect("the position is told").contains("position"));
    program.ask_to_stop();
    assert_eq!(program.wait(wait::LONG).code(), Some(0), "{}", program.said());
    assert!(node.stop().success());
}
