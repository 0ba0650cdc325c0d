//! Exports of real nodes: verified, asked about, and changed.

use serde_json::{Value, json};
use writ_proto::audit::audit_export;
use writ_proto::block::Outcome;
use writ_proto::decision::{Moment, Question, Truth};
use writ_proto::record::RecordId;
use writ_proto::time::{Interval, LedgerTime};
use writ_tests::auditor::Follower;
use writ_tests::damage::Export;
use writ_tests::issuer::now;
use writ_tests::node::Node;
use writ_tests::python;
use writ_tests::random::Random;
use writ_tests::world::{World, text};
use writ_tests::writ::writ;

use super::{answers, assert_alike, assert_same_decision, judge, keep};
use crate::decisions::Ledger;
use crate::naive::{self, LogRecord, Place};

/// Chains, ledgers on each, and questions about each ledger.
const CHAINS: u64 = 3;
const LEDGERS: u64 = 6;
const QUESTIONS: usize = 150;

#[test]
fn the_verifier_answers_as_the_nodes_did() {
    let mut random = Random::from_environment("verifier");
    let (mut count, mut granted) = (0, 0);
    for _ in 0..CHAINS {
        let world = World::new(&["org1", "org2"]);
        let node = world.run();
        let mut follower = Follower::new(world.genesis());
        let (mut questions, mut asked) = (Vec::new(), Vec::new());
        for number in 0..LEDGERS {
            let mut ledger = Ledger::new(number, number == 0, &mut random);
            ledger.write(&world, node.http(), &mut random);
            follower.follow(node.http());
            for _ in 0..QUESTIONS {
                let (question, answered) = ask(&node, &follower, &ledger, &mut random);
                questions.push(question);
                asked.push(answered);
            }
        }
        let file = world.folder().join("chain.writ");
        writ(["export", "--out", &text(&file), "--node", node.url()]).expect(0);
        let log = log_of(&follower);
        let found = answers(&file, &world.chain(), &questions);
        for ((theirs, asked), question) in found.iter().zip(&asked).zip(&questions) {
            assert_same_decision(question, theirs, &asked.why, &asked.entries, || {
                naive::decide(&log, &asked.question, &asked.moment, &|_| Truth::Indeterminate)
            });
            granted += usize::from(asked.why == "grant");
        }
        count += questions.len();
    }
    println!("{count} questions, {granted} granted");
    assert!(granted * 20 > count && (count - granted) * 20 > count, "{granted} of {count} granted: too one-sided");
}

/// A question, and what the node answered.
struct Asked {
    question: Question,
    moment: Moment,
    why: String,
    entries: Vec<Place>,
}

/// What the naive evaluator reads.
fn log_of(follower: &Follower) -> Vec<LogRecord> {
    let accepted = follower.records().iter().filter(|logged| logged.outcome == Outcome::Accepted);
    accepted.flat_map(|one| LogRecord::all_of(one.index, one.height, one.added, &one.signed)).collect()
}

/// Asks the node; the question also as the verifier reads it.
fn ask(node: &Node, follower: &Follower, ledger: &Ledger, random: &mut Random) -> (Value, Asked) {
    let (question, mut query) = ledger.question(random);
    let times = follower.times().iter().map(|time| time.as_millis());
    let instants: Vec<u64> = times.chain(ledger.instants.iter().copied()).collect();
    let at = (*random.pick(&instants)).max(*random.pick(&instants)) + random.below(3) - 1;
    let at = LedgerTime::from_millis(at).expect("a time of the ledger");
    let since_genesis = at.max(follower.times()[0]).min(now());
    match random.below(5) {
        0 => query += &format!("&at={at}"),
        1 => query += &format!("&height={}", random.below(follower.height() + 1)),
        2 => query += &format!("&at={at}&height={}", random.below(follower.height() + 1)),
        3 => query += &format!("&as_of={since_genesis}"),
        _ => {}
    }
    let answer = node.http().check(&format!("{query}&explain=true"));
    let interval = answer.explain.as_ref().expect("an explanation was asked for").interval;
    let mut line = json!({
        "sub": question.sub.as_str(),
        "obj": question.obj.as_str(),
        "at": [interval[0].as_millis(), interval[1].as_millis()],
        "height": answer.height,
    });
    if let Some(act) = &question.act {
        line["act"] = json!(act.as_str());
    }
    let log = log_of(follower);
    let place = |id: &RecordId| {
        log.iter().find(|one| one.id == *id).unwrap_or_else(|| panic!("{id} is not in the log")).place()
    };
    let entries: Vec<Place> = answer.entries.iter().map(place).collect();
    let interval = Interval::new(interval[0], interval[1]).expect("an interval in order");
    let moment = Moment { interval, height: answer.height };
    (line, Asked { question, moment, why: answer.why, entries })
}

#[test]
fn the_program_writ_and_the_verifier_agree_on_its_names_and_exit_codes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let home = folder.path().join("dev");
    let node = Node::dev(&home);
    let key = text(&home.join("dev.key"));
    let with = |arguments: &[&str]| {
        let common = ["--node", node.url(), "--key", &key];
        writ(arguments.iter().chain(&common))
    };
    with(&["grant", "--sub", "alice", "--obj", "plan", "--act", "read"]).expect(0);
    with(&["grant", "--sub", "Zoë M", "--obj", "file:100 %", "--for", "1h"]).expect(0);
    with(&["grant", "--sub", "user:org/*", "--obj", "role:staff", "--act", "member"]).expect(0);
    with(&["grant", "--sub", "role:staff", "--obj", "file:*", "--act", "read"]).expect(0);
    with(&["deny", "--sub", "org/eve", "--obj", "*", "--act", "read"]).expect(0);
    let file = text(&folder.path().join("chain.writ"));
    let genesis = text(&home.join("genesis.json"));
    writ(["export", "--out", &file, "--node", node.url()]).expect(0);
    // As `writ check` takes a name, and as it stands on the ledger.
    for (sub, on_ledger, obj, obj_on_ledger, act) in [
        ("alice", "alice", "plan", "plan", Some("read")),
        ("alice", "user:alice", "plan", "resource:plan", None),
        ("Zoë M", "Zo%C3%AB M", "file:100 %", "file:100 %25", None),
        ("org/bob", "org/bob", "file:a/b", "file:a/b", Some("read")),
        ("org/eve", "org/eve", "file:a/b", "file:a/b", Some("read")),
        ("org", "org", "file:a/b", "file:a/b", Some("read")),
        ("role:staff", "role:staff", "role:staff", "role:staff", Some("member")),
    ] {
        let act: Vec<&str> = act.into_iter().flat_map(|act| ["--act", act]).collect();
        let said = with(&[&["check", "--sub", sub, "--obj", obj], act.as_slice()].concat());
        let question = [&["--sub", on_ledger, "--obj", obj_on_ledger], act.as_slice()].concat();
        let arguments: Vec<&str> = [&[file.as_str(), "--genesis", &genesis], question.as_slice()].concat();
        let own = python::run("verify.py", &arguments.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>(), "");
        let out = String::from_utf8_lossy(&own.stdout);
        assert_eq!(own.status.code(), said.code, "{question:?}: {out}{}", String::from_utf8_lossy(&own.stderr));
        assert_eq!(out.lines().next(), Some(said.first_line()), "{question:?}");
    }
    for (misuse, code) in [
        (vec!["--sub", "alice"], 2),
        (vec!["--sub", "user:*", "--obj", "plan"], 2),
        (vec!["--sub", "Zoë", "--obj", "plan"], 2),
        (vec!["--sub", "alice", "--obj", "plan", "--at", "yesterday"], 2),
        (vec!["--sub", "alice", "--obj", "plan", "--height", "99"], 2),
        (vec!["--chain", "00"], 2),
        (vec!["--quickly"], 2),
        (vec!["--chain", &"00".repeat(32)], 1),
        (vec!["--chain", &"00".repeat(32), "--sub", "alice", "--obj", "plan"], 1),
    ] {
        let arguments: Vec<String> =
            [&[file.as_str()], misuse.as_slice()].concat().iter().map(|one| (*one).to_owned()).collect();
        let own = python::run("verify.py", &arguments, "");
        assert_eq!(own.status.code(), Some(code), "{misuse:?}: {}", String::from_utf8_lossy(&own.stderr));
        assert!(!String::from_utf8_lossy(&own.stdout).contains("granted"), "{misuse:?}");
    }
}

#[test]
fn what_the_audit_finds_in_a_changed_export_the_verifier_finds_too() {
    let mut random = Random::from_environment("verifier-tamper");
    let world = World::new(&["org1", "org2"]);
    let export = Export::new(crate::tamper::export_file(&world));
    let chain = world.chain();
    let folder = tempfile::tempdir().expect("a temporary folder");
    for pinned in [Some(&chain), None] {
        let damaged: Vec<_> = (0..80).map(|_| export.damage(&mut random)).collect();
        let keep = |(at, one): (usize, &writ_tests::damage::Damaged)| keep(folder.path(), at, &one.bytes);
        let files: Vec<_> = damaged.iter().enumerate().map(keep).collect();
        for (one, theirs) in damaged.iter().zip(judge(&files, pinned)) {
            let ours = audit_export([&one.bytes], pinned).expect_err("a changed export is found out");
            assert_alike(&one.what, &theirs, Some(&ours));
        }
    }
}
