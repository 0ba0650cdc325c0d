//! `writ check` and `writ status`.

use crate::node::{Faults, Node};
use crate::program::{Said, World, writ};

#[test]
fn the_decision_stands_alone_on_the_first_line_and_is_the_exit_code() {
    let world = World::new(&["org1", "org2"]);
    let check = |more: &[&str]| world.ask(&[&["check", "--sub", "alice", "--obj", "file.dat"], more].concat());
    let said = check(&[]).expect(3);
    assert_begins(&said, ["denied", "because no entry in force grants alice every action on file.dat"]);
    assert!(said.err.is_empty(), "{}", said.err);

    world.sign("org1", &["grant", "--sub", "alice", "--obj", "file.dat", "--for", "8h"]).expect(0);
    let said = check(&[]).expect(0);
    assert_begins(&said, ["granted", "because org1 grants alice every action on file.dat, until "]);
    assert!(said.out.contains("may change"), "{}", said.out);
    check(&["--at", "+9h"]).expect(3);
    check(&["--at", "-1h"]).expect(3);
    check(&["--height", "0"]).expect(3);
    check(&["--as-of", "now"]).expect(0);

    world.sign("org2", &["deny", "--sub", "alice", "--obj", "*", "--act", "read"]).expect(0);
    let said = check(&["--act", "read"]).expect(3);
    assert_begins(&said, ["denied", "because org2 denies alice `read` on *, since "]);
    check(&["--act", "write"]).expect(0);
    check(&["--height", "1"]).expect(0);
    let explained = check(&["--act", "read", "--explain"]).expect(3);
    assert!(explained.out.contains("issuingAuth  org2") && explained.out.contains("lookups"), "{}", explained.out);
}

/// The first two lines, whatever the width of the columns.
#[track_caller]
fn assert_begins(said: &Said, lines: [&str; 2]) {
    let mut own = said.out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + " ");
    assert_eq!(own.next().as_deref(), Some(format!("{} ", lines[0]).as_str()));
    assert!(own.next().is_some_and(|line| line.starts_with(lines[1])), "{}", said.out);
}

#[test]
fn json_is_what_the_node_said() {
    let world = World::new(&["org1"]);
    let id = world.id("org1", &["grant", "--sub", "alice", "--obj", "file.dat"]);
    let answer = world.ask(&["check", "--sub", "alice", "--obj", "file.dat", "--json"]).expect(0).json();
    assert_eq!((answer["decision"].as_str(), answer["why"].as_str()), (Some("granted"), Some("grant")));
    assert_eq!(answer["entries"][0], id);
    assert!(answer.get("explain").is_none(), "{answer}");
    let answer = world.ask(&["check", "--sub", "alice", "--obj", "other", "--json", "--explain"]).expect(3).json();
    assert_eq!((answer["decision"].as_str(), answer["why"].as_str()), (Some("denied"), Some("no_match")));
    assert!(answer["explain"].is_object(), "{answer}");
    assert_eq!(world.ask(&["status", "--json"]).expect(0).json()["height"], 1);
    let shown = world.ask(&["entry", &id, "--json"]).expect(0).json();
    assert_eq!((shown["status"].as_str(), shown["entry"]["sub"].as_str()), (Some("committed"), Some("alice")));
}

#[test]
fn a_question_that_cannot_be_answered_is_no_denial() {
    let world = World::new(&["org1"]);
    let question = ["check", "--sub", "alice", "--obj", "file.dat"];
    let said = world.ask(&[&question[..], &["--height", "7", "--json"]].concat()).expect(1);
    assert_eq!(said.problem()["code"], "not_yet");
    assert!(said.out.is_empty());
    let nowhere = writ(&[&question[..], &["--node", "http://127.0.0.1:9"]].concat()).expect(1);
    assert!(nowhere.out.is_empty());
    assert!(
        nowhere.err.starts_with("error: no node answers: http://127.0.0.1:9 (refuses connections)\nhint: "),
        "{}",
        nowhere.err
    );
    world.node.faults(Faults { is_stale: true, ..Faults::default() });
    let said = world.ask(&[&question[..], &["--json"]].concat()).expect(1);
    assert_eq!((said.problem()["code"].as_str(), said.problem()["status"].as_u64()), (Some("stale"), Some(503)));
}

#[test]
fn a_node_that_is_away_or_behind_is_passed_over() {
    let world = World::new(&["org1"]);
    world.sign("org1", &["grant", "--sub", "alice", "--obj", "file.dat"]).expect(0);
    let stale = Node::new(&["org1"]);
    stale.faults(Faults { is_stale: true, ..Faults::default() });
    let nodes = ["--node", "http://127.0.0.1:9", "--node", stale.url(), "--node", world.node.url()];
    writ(&[&["check", "--sub", "alice", "--obj", "file.dat"], &nodes[..]].concat()).expect(0);
    let listed = format!("http://127.0.0.1:9,{}", world.node.url());
    let said =
        crate::program::command(&["check", "--sub", "alice", "--obj", "file.dat"]).env("WRIT_NODE", listed).output();
    assert_eq!(said.unwrap().status.code(), Some(0), "WRIT_NODE names several");
}

#[test]
fn nobody_paints_the_terminal() {
    let world = World::new(&["org1"]);
    world.sign("org1", &["grant", "--sub", "a\u{202e}b", "--obj", "f", "--ref", "\u{1b}[2J\u{7}\u{9b}31m"]).expect(0);
    let id = world.node.entries()[0].id.to_string();
    world.sign("org1", &["deny", "--sub", "a", "--obj", "f\u{202e}", "--for", "1h"]).expect(0);
    world.sign("org1", &["grant", "--sub", "a", "--obj", "f\u{202e}/*"]).expect(0);
    for arguments in [
        &["log"][..],
        &["entry", &id],
        &["check", "--sub", "a\u{202e}b", "--obj", "f", "--explain"],
        &["who-can", "--obj", "f"],
        &["what-can", "--sub", "a"],
        &["expiring", "--within", "1d"],
    ] {
        let out = world.ask(arguments).out;
        assert!(!out.contains(['\u{1b}', '\u{7}', '\u{202e}', '\u{9b}']), "{arguments:?}: {out:?}");
        assert!(out.contains("\\u{202e}"), "{arguments:?}: {out}");
    }
}
