//! A node from its start to its end: quiet when idle, alone in its home, cautious about whom it trusts.

use std::time::{Duration, Instant};

use writ_proto::api::{BatchAnswer, BatchResult, RecordStatus};
use writ_proto::record::{Effect, Signed};
use writ_tests::node::{Node, assert_sound, fsck};
use writ_tests::process::command;
use writ_tests::programs;
use writ_tests::wait;
use writ_tests::world::{World, text};
use writ_tests::writ::writ;

/// How long an idle chain is watched: long beside the fraction of a second that a block takes.
const WATCHED: Duration = Duration::from_secs(4);

#[test]
fn an_idle_chain_makes_no_blocks() {
    let world = World::new(&["org1"]);
    let mut node = world.run();
    let issuer = world.issuer("org1");
    assert_idle(&node, "a fresh chain");
    assert!(node.http().status().height <= 1, "nothing was said, so at most the first block was needed");

    let before = node.http().status().height;
    let receipt = node.http().submit(&issuer.grant("alice", "read", "file:x"));
    assert_idle(&node, "after a record");
    let height = node.http().status().height;
    assert!(height <= before + 2, "one record takes one block, found {before} to {height}");
    assert_eq!(receipt.place.map(|place| place.height <= height), Some(true));

    node.kill();
    node.start_again();
    assert_idle(&node, "after a restart");
    assert!(node.http().status().height <= height + 1);
}

fn assert_idle(node: &Node, when: &str) {
    // A block may still be under way.
    let mut since = Instant::now();
    let mut height = node.http().status().height;
    let start = Instant::now();
    while since.elapsed() < WATCHED {
        let now = node.http().status().height;
        if now != height {
            (since, height) = (Instant::now(), now);
        }
        assert!(start.elapsed() < wait::LONG, "{when} the chain never rests, it is at height {now}");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(start.elapsed() < 2 * WATCHED, "{when} the chain went on for {:?}", start.elapsed());
}

#[test]
fn a_development_chain_is_for_this_machine_only() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let home = folder.path().join("dev");
    for address in ["0.0.0.0:0", "192.0.2.1:7001", "[::]:0"] {
        let output = command(&programs::writ_node(), ["dev", "--home", &text(&home), "--listen", address]).output();
        let output = output.expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]), "{address}: {said}");
        assert!(said.contains("loopback"), "{said}");
    }
    assert!(!home.exists(), "nothing was made");

    let mut node = Node::dev(&home);
    assert!(node.http().status().dev_authority);
    assert!(node.said().contains("dev"), "it says on every start that everybody may use its key: {}", node.said());
    let key = text(&home.join("dev.key"));
    let question = ["--sub", "alice", "--obj", "file:x", "--act", "read"];
    let url = node.url().to_owned();
    writ([&["grant", "--node", &url, "--key", &key, "--authority", "dev"], &question[..]].concat()).expect(0);
    writ([&["check", "--node", &url], &question[..]].concat()).expect(0);

    assert!(node.stop().success());
    node.start_again();
    writ([&["check", "--node", node.url()], &question[..]].concat()).expect(0);
}

#[test]
fn a_home_has_one_node_at_a_time() {
    let world = World::new(&["org1"]);
    let mut node = world.run();
    let issuer = world.issuer("org1");
    node.http().submit(&issuer.grant("alice", "read", "file:x"));

    let second = Node::try_run(&world.home()).expect_err("the home is taken");
    assert_eq!(second.status.code(), Some(1), "{}", second.said);
    let (code, said) = fsck(&world.home());
    assert_eq!(code, Some(1), "a home in use cannot be checked: {said}");

    node.http().submit(&issuer.grant("bob", "read", "file:x"));
    assert!(node.is_running() && node.is_ready());
    assert!(node.stop().success());
    assert_sound(&world.home());
}

#[test]
fn a_node_that_is_asked_to_stop_keeps_what_it_took() {
    let world = World::new(&["org1"]);
    let mut node = world.run();
    let issuer = world.issuer("org1");
    let http = node.http().clone();
    let taken: Vec<Signed> = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut taken = Vec::new();
            for number in 0.. {
                let record = issuer.grant(&format!("u{number}"), "read", "file:x");
                let wait = if number % 2 == 0 { "wait=none" } else { "wait=committed" };
                match http.try_submit(&record, wait) {
                    Ok(answer) if matches!(answer.status, 200 | 202) => taken.push(record),
                    // It stops: whatever it says now promises nothing.
                    _ => break,
                }
            }
            taken
        });
        wait::until("some blocks", || (http.status().height > 10).then_some(()));
        assert!(node.stop().success(), "a node that is asked to stop stops well");
        writer.join().expect("the writer ends")
    });
    assert_sound(&world.home());
    node.start_again();
    assert!(taken.len() >= 10, "only {} records were taken", taken.len());
    for record in &taken {
        wait::until("the record to be in the log", || {
            (node.http().record(&record.id()).status == RecordStatus::Committed).then_some(())
        });
    }
}

#[test]
fn a_chain_is_made_in_empty_folders_only() {
    let world = World::new(&["org1"]);
    let public = world.issuer("org1").write_public(world.folder());
    let again = |more: &[&str]| {
        let authority = format!("org1={}", text(&public));
        let chain = text(&world.folder().join("chain"));
        let arguments =
            [&["init", "--home", &chain, "--chain", "ledger.example/x", "--authority", &authority], more].concat();
        command(&programs::writ_node(), arguments).output().expect("it starts")
    };
    let before = world.genesis();
    assert_eq!(again(&[]).status.code(), Some(1), "a home is there");
    assert_eq!(world.genesis(), before);

    let elsewhere = text(&world.folder().join("elsewhere"));
    let init = |arguments: &[&str]| {
        let all = [&["init", "--home", &elsewhere], arguments].concat();
        command(&programs::writ_node(), all).output().expect("it starts").status.code()
    };
    let authority = format!("org1={}", text(&public));
    for (claim, arguments, code) in [
        ("no authority", &["--chain", "ledger.example/x"][..], 1),
        ("no chain", &["--authority", &authority], 2),
        ("a name that is none", &["--chain", "with space", "--authority", &authority], 1),
        ("an authority twice", &["--chain", "a", "--authority", &authority, "--authority", &authority], 1),
        ("a file that is not there", &["--chain", "a", "--authority", "org1=/nowhere"], 1),
        ("no validators", &["--chain", "a", "--authority", &authority, "--validators", "0"], 1),
        ("no such option", &["--chain", "a", "--authority", &authority, "--validator", "1"], 2),
    ] {
        assert_eq!(init(arguments), Some(code), "{claim}");
    }
    assert_eq!(Node::try_run(&world.folder().join("nowhere")).expect_err("no home").status.code(), Some(1));
}

#[test]
fn a_submission_that_nobody_waits_for_is_settled_all_the_same() {
    let world = World::new(&["org1"]);
    let node = world.run();
    let issuer = world.issuer("org1");
    for wait in ["wait=none", "wait=seen", "wait=committed&wait_ms=0"] {
        let record = issuer.deny("alice", "read", "file:x");
        let answer = node.http().try_submit(&record, wait).expect("an answer");
        assert!(matches!(answer.status, 200 | 202), "{wait}: {}", answer.text());
        let receipt: writ_proto::api::Receipt = answer.json();
        assert_eq!(receipt.id, record.id());
        let settled = wait::until("the record to be in the log", || {
            let receipt = node.http().record(&record.id());
            (receipt.status == RecordStatus::Committed).then_some(receipt)
        });
        assert_eq!(settled.entry.map(|entry| entry.access), Some(Effect::Deny));
        // Sent again, it is the record that it was.
        let again = node.http().submit(&record);
        assert!(again.duplicate);
        assert_eq!(again.place.map(|place| place.index), settled.place.map(|place| place.index));
    }
}

#[test]
fn a_full_pool_says_so_and_drops_nothing_that_it_took() {
    let world = World::new(&["org1"]);
    configure(&world, "records_max", "5");
    let node = world.run();
    let issuer = world.issuer("org1");
    let (mut taken, mut overloaded) = (Vec::new(), 0);
    for round in 0..3 {
        let records: Vec<Signed> =
            (0..50).map(|at| issuer.grant(&format!("u{round}-{at}"), "read", "file:x")).collect();
        let answer = node.http().try_submit_batch(&records, "wait=none").expect("an answer");
        assert!(matches!(answer.status, 200 | 202 | 429), "{}", answer.text());
        if answer.status == 429 {
            assert_eq!(answer.problem().map(|problem| problem.code), Ok("overloaded".to_owned()));
            overloaded += records.len();
            continue;
        }
        let batch: BatchAnswer = answer.json();
        assert_eq!(batch.results.len(), records.len());
        for (record, result) in records.iter().zip(batch.results) {
            match result {
                BatchResult::Receipt(receipt) => {
                    assert_eq!(receipt.id, record.id());
                    taken.push(record.id());
                }
                BatchResult::Problem(problem) => {
                    assert_eq!((problem.status, problem.code.as_str()), (429, "overloaded"), "{problem:?}");
                    overloaded += 1;
                }
            }
        }
    }
    assert!(taken.len() >= 5 && overloaded > 0, "{} taken, {overloaded} too many", taken.len());
    wait::until("the pool to empty", || (node.http().status().pending == 0).then_some(()));
    let listed = node.http().entries("");
    assert_eq!(listed.len(), taken.len(), "what was taken is there, and nothing else");
    assert!(taken.iter().all(|id| listed.iter().any(|entry| entry.id == *id)));
}

/// Changes one member of the node's configuration.
fn configure(world: &World, member: &str, value: &str) {
    let file = world.home().join("writ.toml");
    let text = std::fs::read_to_string(&file).expect("a home has its configuration");
    let line = |line: &str| match line.split_once(" = ") {
        Some((name, _)) if name == member => format!("{member} = {value}"),
        _ => line.to_owned(),
    };
    let changed: Vec<String> = text.lines().map(line).collect();
    assert_ne!(changed.join("\n"), text.trim_end(), "`{member}` stands in the configuration");
    std::fs::write(&file, changed.join("\n")).expect("a temporary folder can be written to");
}
