//! Several nodes: which is asked when one cannot answer, what they say of each other, and who gets to see a token.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use writ_client::append::{AppendError, Appender};
use writ_client::client::{Client, Options, Question, Wait};
use writ_client::import::Ledger as _;
use writ_client::import::run::Settled;
use writ_client::token::{Token, Tokens};
use writ_client::{Author, ClientError, clock};
use writ_proto::api::{RecordStatus, Tuple};
use writ_proto::record::{Body, Effect, Nonce, Revoke};

use crate::node::{Faults, Node, key};
use crate::program::{Said, World, writ};

const NOWHERE: &str = "http://127.0.0.1:9";

fn asked<'a>(arguments: &[&'a str], nodes: &[&'a str]) -> Said {
    let nodes: Vec<&str> = nodes.iter().flat_map(|node| ["--node", node]).collect();
    writ(&[arguments, &nodes].concat())
}

fn faulty(world: &World, faults: Faults) -> Node {
    let node = world.node.twin();
    node.faults(faults);
    node
}

/// Every command that asks nodes, against a node that cannot answer before one that can.
#[test]
fn every_command_goes_on_to_the_next_node() {
    let world = World::new(&["org1"]);
    let grant = world.id("org1", &["grant", "--sub", "alice", "--obj", "file:x"]);
    let genesis = world.write("genesis.json", &serde_json::to_string(&world.node.genesis()).unwrap());
    let rows = world.write("rows.csv", "sub,obj\nbob,file:y\n");
    let (key, paper) = (world.text("org1.key"), world.text("paper"));
    let down = [
        faulty(&world, Faults { is_stale: true, ..Faults::default() }),
        faulty(&world, Faults { answers: Some((500, "internal")), ..Faults::default() }),
        faulty(&world, Faults { answers: Some((429, "overloaded")), ..Faults::default() }),
    ];
    let down: Vec<&str> = down.iter().map(Node::url).chain([NOWHERE]).collect();
    for (at, down) in down.iter().enumerate() {
        let nodes = [*down, world.node.url()];
        let sub = format!("carol{at}");
        let with_key = |arguments: &[&str]| asked(&[arguments, &["--key", &key]].concat(), &nodes);
        asked(&["check", "--sub", "alice", "--obj", "file:x"], &nodes).expect(0);
        for arguments in [
            &["who-can", "--obj", "file:x"][..],
            &["what-can", "--sub", "alice"],
            &["expiring", "--within", "1d"],
            &["history", "--sub", "alice", "--obj", "file:x"],
            &["diff", "--from", "0"],
            &["entry", &grant],
            &["log"],
            &["validator", "list"],
            &["parameter", "show"],
            &["status"],
            &["audit", "--genesis", &genesis],
        ] {
            let said = asked(arguments, &nodes);
            assert_eq!(said.code, 0, "{down} {arguments:?}: {}", said.err);
        }
        asked(&["export", "--out", &world.text("chain.writ")], &nodes).expect(0);
        with_key(&["grant", "--sub", &sub, "--obj", "file:x"]).expect(0);
        let id = with_key(&["deny", "--sub", &sub, "--obj", "file:x"]).expect(0).out;
        with_key(&["revoke", id.trim()]).expect(0);
        with_key(&["import", &rows]).expect(0);
        let paper = format!("{paper}{at}");
        with_key(&["grant", "--sub", "dave", "--obj", "file:x", "--out", &paper]).expect(0);
        with_key(&["sign", &paper]).expect(0);
        asked(&["submit", &paper], &nodes).expect(0);
    }
    // Two for each, one row that was imported once, one grant at the beginning, and what went by paper.
    assert_eq!(world.node.entries().len(), 1 + 2 * down.len() + 1 + down.len());
}

#[test]
fn a_callers_fault_is_not_carried_from_node_to_node() {
    let world = World::new(&["org1"]);
    for (status, code) in
        [(400, "bad_request"), (401, "unauthenticated"), (403, "out_of_scope"), (404, "not_found"), (413, "too_large")]
    {
        let refusing = faulty(&world, Faults { answers: Some((status, code)), ..Faults::default() });
        let before = world.node.authorizations().len();
        let said =
            asked(&["check", "--sub", "a", "--obj", "b", "--json"], &[refusing.url(), world.node.url()]).expect(1);
        assert_eq!(said.problem()["code"], code);
        assert_eq!(world.node.authorizations().len(), before, "{code}: nobody else was asked");
    }
}

fn client(nodes: &[&Node], answer_within: Duration) -> Client {
    let options = Options { answer_within, ..Options::default() };
    Client::with(nodes.iter().map(|node| node.url()), &options).unwrap()
}

fn grant(author: &Author, n: u8) -> writ_proto::record::Signed {
    let tuple = Tuple { sub: format!("u{n}"), obj: "file:x".into(), ..Tuple::default() };
    author.sign(Nonce([n; 16]), Body::Access(tuple.to_access().unwrap()), clock::now()).unwrap()
}

#[test]
fn a_node_that_hangs_is_given_up_and_the_next_gets_the_same_bytes() {
    let world = World::new(&["org1"]);
    let author = Author::new(&world.node.genesis(), "org1".parse().unwrap(), key(1));
    let record = grant(&author, 1);
    let hanging = faulty(&world, Faults { hangs: true, ..Faults::default() });
    let client = client(&[&hanging, &world.node], Duration::from_millis(300));
    assert!(!client.submit(&record, Wait::None).unwrap().duplicate);
    assert_eq!(client.submit(&record, Wait::Seen).unwrap().status, RecordStatus::Pending);
    assert_eq!(world.node.received(), [record.bytes(), record.bytes()]);
    let question = Question { sub: "u1".into(), obj: "file:x".into(), ..Question::default() };
    client.check(&question).unwrap();
    let alone = client.apart().next().unwrap();
    assert!(matches!(alone.status(), Err(ClientError::Unreachable { .. })));
}

#[test]
fn a_record_that_one_node_does_not_get_into_a_block_goes_to_the_next() {
    let world = World::new(&["org1"]);
    let cut_off = faulty(&world, Faults { is_slow: usize::MAX, ..Faults::default() });
    let key = world.text("org1.key");
    let grant = ["grant", "--sub", "alice", "--obj", "file:x", "--key", &key];
    let said = asked(&grant, &[cut_off.url(), world.node.url()]).expect(0);
    assert!(said.err.contains("done: ") && said.err.contains("height 1"), "{}", said.err);
    assert_eq!(cut_off.received(), world.node.received());
    // Who does not wait is content with the first.
    asked(&[&grant[..], &["--no-wait"]].concat(), &[cut_off.url(), world.node.url()]).expect(0);
    assert_eq!((cut_off.received().len(), world.node.received().len()), (2, 1));
    // And if no node gets it in, it is pending, whatever the others say.
    for other in [NOWHERE, faulty(&world, Faults { answers: Some((400, "bad_request")), ..Faults::default() }).url()] {
        let said = asked(&grant, &[cut_off.url(), other]).expect(1);
        assert!(said.err.contains("is not in the log yet"), "{}", said.err);
    }
}

/// A node that took a record and failed before it answered, and one that lags and refuses it.
#[test]
fn a_refusal_that_may_be_for_lag_is_believed_once_every_node_was_asked() {
    let world = World::new(&["org1"]);
    let author = Author::new(&world.node.genesis(), "org1".parse().unwrap(), key(1));
    let tuple = Tuple { sub: "u1".into(), obj: "file:x".into(), access: Some("denied".into()), ..Tuple::default() };
    let denial = author.sign(Nonce([1; 16]), Body::Access(tuple.to_access().unwrap()), clock::now()).unwrap();
    let ahead = client(&[&world.node], Duration::from_secs(5));
    ahead.submit(&denial, Wait::Committed).unwrap();
    let lift = Body::Revoke(Revoke { target: denial.id(), effect: Effect::Deny });
    let lift = |nonce: u8| author.sign(Nonce([nonce; 16]), lift.clone(), clock::now()).unwrap();
    let (lagging, other) = (Node::of(world.node.genesis()), Node::of(world.node.genesis()));
    let settled = |client: &Client, nonce: u8| {
        Appender::new(client, &author).with_patience(Duration::from_millis(300)).append(vec![lift(nonce)])
    };

    // It is in the log of a node that is asked second.
    ahead.submit(&lift(2), Wait::Committed).unwrap();
    let found = settled(&client(&[&lagging, &world.node], Duration::from_secs(5)), 2).unwrap();
    assert_eq!(found, [Settled::Appended { id: lift(2).id() }]);
    // Nobody has it.
    let found = settled(&client(&[&lagging, &other], Duration::from_secs(5)), 3).unwrap();
    assert!(matches!(&found[..], [Settled::Refused { fault, .. }] if fault.code == "not_found"), "{found:?}");
    // Somebody may have it who does not answer.
    let untold = Client::with([NOWHERE, lagging.url()], &Options::default()).unwrap();
    assert!(matches!(settled(&untold, 4), Err(AppendError::Stalled { open: 1, .. })));
}

#[test]
fn a_position_that_one_node_has_not_reached_is_asked_of_the_next() {
    let world = World::new(&["org1"]);
    world.sign("org1", &["grant", "--sub", "bob", "--obj", "file:x"]).expect(0);
    let behind = world.node.twin();
    let receipt = world.sign("org1", &["grant", "--sub", "alice", "--obj", "file:x", "--json"]).expect(0).json();
    let token = receipt["position"].as_str().unwrap();
    let check = ["check", "--sub", "alice", "--obj", "file:x"];
    let fresh = [&check[..], &["--at-least", token]].concat();
    // Without the token the node that is behind answers by what it knows; with it, it never does.
    asked(&check, &[behind.url(), world.node.url()]).expect(3);
    asked(&fresh, &[behind.url(), world.node.url()]).expect(0);
    asked(&fresh, &[behind.url(), NOWHERE, world.node.url()]).expect(0);
    let said = asked(&[&fresh[..], &["--json"]].concat(), &[behind.url()]).expect(1);
    assert_eq!((said.problem()["code"].as_str(), said.problem()["status"].as_u64()), (Some("not_yet"), Some(409)));
    assert!(said.out.is_empty(), "that is no denial: {}", said.out);
    let said = asked(&fresh, &[behind.url(), NOWHERE]).expect(1);
    assert!(said.err.contains("has not reached that height"), "{}", said.err);
    // A token of another chain is the caller's fault.
    let elsewhere = World::new(&["org1"]);
    let other = elsewhere.sign("org1", &["grant", "--sub", "a", "--obj", "b", "--json"]).expect(0).json();
    let said = asked(&[&check[..], &["--at-least", other["position"].as_str().unwrap()]].concat(), &[world.node.url()]);
    assert!(said.expect(1).err.contains("a token of another chain"));
}

#[test]
fn nodes_that_tell_of_one_log_are_listed_beside_each_other() {
    let world = World::new(&["org1"]);
    world.sign("org1", &["grant", "--sub", "bob", "--obj", "file:x"]).expect(0);
    let behind = world.node.twin();
    world.sign("org1", &["grant", "--sub", "alice", "--obj", "file:x"]).expect(0);
    let empty = Node::of(world.node.genesis());
    let nodes = [world.node.url(), behind.url(), empty.url(), NOWHERE];
    let said = asked(&["status"], &nodes).expect(0);
    let lines: Vec<String> =
        said.out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(lines.len(), 5, "{}", said.out);
    for (line, want) in lines[1..].iter().zip(["validator 2 4", "validator 1 2", "validator 0 0", "no answer"]) {
        assert!(line.split_once(' ').unwrap().1.starts_with(want), "{want}: {}", said.out);
    }
    assert!(said.err.contains("no answer: ") && said.err.contains("refuses connections"), "{}", said.err);
    assert!(said.err.contains("compared: 3 nodes"), "{}", said.err);
    let told = asked(&["status", "--json"], &nodes).expect(0).json();
    assert_eq!(told["nodes"][1]["status"]["height"], 1);
    assert!(told["nodes"][3]["error"].is_string() && told["contradictions"].as_array().unwrap().is_empty(), "{told}");
    asked(&["status"], &[NOWHERE, "http://127.0.0.1:11"]).expect(1);
}

#[test]
fn a_fork_is_shouted_and_its_first_height_named() {
    let world = World::new(&["org1"]);
    let key = world.text("org1.key");
    let grant = |sub: &str, node: &Node| {
        asked(&["grant", "--sub", sub, "--obj", "file:x", "--key", &key], &[node.url()]).expect(0)
    };
    grant("a", &world.node);
    grant("b", &world.node);
    let fork = world.node.twin();
    let behind = world.node.twin();
    for n in 0..5 {
        grant(&format!("c{n}"), &world.node);
    }
    // At the same height, and at another.
    for n in 0..5 {
        grant(&format!("m{n}"), &fork);
        if n == 0 || n == 4 {
            for nodes in [[world.node.url(), fork.url()], [fork.url(), world.node.url()]] {
                let said = asked(&["status"], &nodes).expect(1);
                assert!(
                    said.err.starts_with("error: FORK: at height 3 http://") && said.err.contains("hint: "),
                    "{}",
                    said.err
                );
                assert!(said.out.contains("commit leaf"), "the table is told all the same: {}", said.out);
                let told = asked(&["status", "--json"], &nodes).expect(1);
                assert_eq!(
                    (told.json()["contradictions"][0]["height"].as_u64(), told.problem()["code"].as_str()),
                    (Some(3), Some("fork"))
                );
                let said = asked(&["audit"], &nodes).expect(1);
                assert!(said.out.starts_with("bad\n") && said.out.contains("block     3\n"), "{}", said.out);
                assert!(
                    said.err.contains("FORK: ") && said.err.contains("has another block at height 3"),
                    "{}",
                    said.err
                );
            }
        }
    }
    // One that is behind the fork contradicts neither, and hides nothing.
    asked(&["status"], &[behind.url(), fork.url()]).expect(0);
    asked(&["status"], &[behind.url(), fork.url(), world.node.url()]).expect(1);
}

#[test]
fn nodes_of_different_chains_or_with_a_damaged_log_are_told_apart() {
    let world = World::new(&["org1"]);
    world.sign("org1", &["grant", "--sub", "a", "--obj", "b"]).expect(0);
    let other = World::new(&["org2"]);
    let said = asked(&["status"], &[world.node.url(), other.node.url()]).expect(1);
    assert!(said.err.starts_with("error: DIFFERENT CHAINS: "), "{}", said.err);
    let said = asked(&["audit"], &[world.node.url(), other.node.url()]).expect(1);
    assert!(said.out.starts_with("bad\n") && said.err.contains("is of chain"), "{said:?}");
    let damaged = faulty(&world, Faults { is_damaged: true, ..Faults::default() });
    let said = asked(&["status"], &[world.node.url(), damaged.url()]).expect(1);
    assert!(said.err.starts_with("error: CONTRADICTION: at height 1 "), "{}", said.err);
}

#[test]
fn a_token_is_shown_to_its_node_and_to_nobody_else() {
    let world = World::new(&["org1"]);
    world.node.faults(Faults { wants_token: Some("s3cret"), ..Faults::default() });
    let check = ["check", "--sub", "a", "--obj", "b", "--node", world.node.url()];
    let said = writ(&[&check[..], &["--json"]].concat()).expect(1);
    assert_eq!(
        (said.problem()["code"].as_str(), said.problem()["status"].as_u64()),
        (Some("unauthenticated"), Some(401))
    );
    assert!(said.problem()["hint"].as_str().unwrap().contains("--token-file"), "{}", said.err);

    let private = |name: &str, text: &str| {
        let path = world.write(name, text);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let token = private("token", "s3cret\n");
    let said = writ(&[&check[..], &["--token-file", &token]].concat()).expect(3);
    assert!(said.err.is_empty(), "{}", said.err);
    let said = crate::program::command(&check).env("WRIT_TOKEN_FILE", &token).output().unwrap();
    assert_eq!(said.status.code(), Some(3));
    // Submissions too.
    world.sign("org1", &["grant", "--sub", "a", "--obj", "b", "--token-file", &token]).expect(0);

    // Somebody who sends elsewhere sends the token nowhere.
    let elsewhere = Node::new(&["org1"]);
    let url: &'static str = elsewhere.url().to_owned().leak();
    world.node.faults(Faults { wants_token: Some("s3cret"), sends_to: Some(url), ..Faults::default() });
    let said = writ(&[&check[..], &["--token-file", &token]].concat()).expect(1);
    assert!(said.err.contains("status 307: it sends elsewhere") && !said.err.contains("s3cret"), "{}", said.err);
    assert!(elsewhere.authorizations().is_empty(), "nobody else was asked");

    // A token for one node does not go to the other, also where that one is asked next.
    world.node.faults(Faults { is_stale: true, wants_token: Some("s3cret"), ..Faults::default() });
    let own = private("own", &format!("{} s3cret\n", world.node.url()));
    writ(&[&check[..], &["--node", elsewhere.url(), "--token-file", &own]].concat()).expect(3);
    assert_eq!(elsewhere.authorizations(), [None]);
    asked(&["status", "--token-file", &own], &[world.node.url(), elsewhere.url()]).expect(0);
    assert_eq!(elsewhere.authorizations(), [None, None]);
}

#[test]
fn a_token_file_that_is_none_is_told_without_its_text() {
    let world = World::new(&["org1"]);
    let file = world.write("token", "two s3crets here");
    let check = ["check", "--sub", "a", "--obj", "b", "--token-file", &file];
    let said = world.ask(&check).expect(1);
    assert!(said.err.contains("is no token file") && !said.err.contains("s3cret"), "{}", said.err);
    let said = world.ask(&["check", "--sub", "a", "--obj", "b", "--token-file", &world.text("missing")]).expect(1);
    assert!(said.err.contains("cannot read `"), "{}", said.err);
    std::fs::write(&file, "s3cret").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let said = world.ask(&check).expect(3);
    assert!(said.err.contains("warning: others than you may read") && !said.err.contains("s3cret"), "{}", said.err);
    let tokens = Tokens::for_all(Token::new("s3cret").unwrap());
    let client = Client::with([world.node.url()], &Options { tokens, ..Options::default() }).unwrap();
    assert!(!format!("{client:?}").contains("s3cret"), "{client:?}");
}
