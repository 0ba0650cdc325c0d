//! Atomic sets on a network: no moment of both or neither, one winner of a race, all or nothing after kill -9.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use writ_proto::api::{EntriesPage, Receipt, RecordStatus};
use writ_proto::genesis::Genesis;
use writ_proto::limits::SET_MEMBERS_MAX;
use writ_proto::record::{AtomicSet, Body, Effect, ParameterChange, RecordId, Revoke, SetMember, Signed};
use writ_tests::cluster::Cluster;
use writ_tests::http::{Http, escape};
use writ_tests::issuer::{Issuer, access};
use writ_tests::node::{Node, assert_sound};
use writ_tests::process::command;
use writ_tests::programs;
use writ_tests::random::Random;
use writ_tests::wait;
use writ_tests::world::{World, text};
use writ_tests::writ::writ;

fn gives(sub: &str, obj: &str) -> SetMember {
    SetMember::Access(access(Effect::Grant, sub, "read", obj))
}

fn ends(target: RecordId) -> SetMember {
    SetMember::Revoke(Revoke { target, effect: Effect::Grant })
}

fn set(issuer: &Issuer, members: Vec<SetMember>, unchanged_since: Option<u64>) -> Signed {
    issuer.sign(Body::Set(AtomicSet { members, unchanged_since }))
}

fn committed(http: &Http, record: &Signed) -> Receipt {
    let receipt = http.submit(record);
    assert_eq!(receipt.status, RecordStatus::Committed, "{receipt:?}");
    let own: Vec<RecordId> = record.entries().filter(|made| made.member.is_some()).map(|made| made.id).collect();
    assert_eq!(receipt.entries, own, "a receipt names the entries of its set");
    receipt
}

/// Sets a flag when it goes, also where an assertion fails: or those who wait for the flag would wait for ever.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What `ada` may do at a node now, all of it of one moment.
fn holdings(http: &Http) -> Vec<String> {
    http.what_can("sub=ada")[0].iter().map(|possession| possession.obj.clone()).collect()
}

#[test]
fn a_movers_change_has_no_moment_of_both_or_neither() {
    const MOVES: usize = 12;
    let cluster = Cluster::new(4, 1);
    let issuer = cluster.issuer();
    let first = set(issuer, vec![gives("ada", "file:a")], None);
    let mut held = committed(cluster.http(0), &first).entries[0];
    let all = [0, 1, 2, 3, 4];
    cluster.until_level(&all);
    let (stop, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for n in all {
            let (http, stop, asked) = (cluster.http(n), &stop, &asked);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let held = holdings(http);
                    assert_eq!(held.len(), 1, "node {n}: {held:?}");
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let _ending = Ending(&stop);
        let mut height = 0;
        for turn in 0..MOVES {
            let to = if turn % 2 == 0 { "file:b" } else { "file:a" };
            let mover = set(issuer, vec![ends(held), gives("ada", to)], None);
            // A set waits for nothing: the node must know what it ends.
            let http = cluster.http(turn % 5);
            wait::until("a node to follow", || (http.status().height >= height).then_some(()));
            let receipt = committed(http, &mover);
            held = receipt.entries[0];
            height = receipt.place.expect("a committed record has its place").height;
        }
    });
    let height = cluster.until_level(&all).height;
    println!("{MOVES} moves, asked {asked:?} times");
    assert!(asked.into_inner() > 50, "somebody asked in between");
    // And at every height, as of every block and a millisecond beside it: exactly one of the two.
    for n in all {
        let mut moves = 0;
        let mut before = None;
        for at in 1..=height {
            let header: Value = cluster.http(n).read(&format!("/v1/headers?from={at}&limit=1"));
            let time = header["headers"][0]["header"]["time"].as_str().expect("a time").to_owned();
            let which = |query: &str| {
                let granted = |obj: &str| {
                    let asked = format!("sub=ada&act=read&obj={}&{query}", escape(obj));
                    cluster.http(n).check(&asked).decision == Effect::Grant
                };
                [granted("file:a"), granted("file:b")]
            };
            let then = which(&format!("as_of={}", escape(&time)));
            assert!(then[0] != then[1], "node {n}, height {at}: {then:?}");
            assert_eq!(then, which(&format!("height={at}&at={}", escape(&time))));
            moves += usize::from(before.is_some_and(|before| before != then));
            before = Some(then);
        }
        assert_eq!(moves, MOVES, "node {n}");
    }
    cluster.verify();
}

#[test]
fn of_sets_that_race_for_a_key_exactly_one_is_taken_and_the_others_hear_409() {
    const ROUNDS: usize = 15;
    const NODES: usize = 4;
    let cluster = Cluster::new(NODES, 0);
    let issuer = cluster.issuer();
    let all = [0, 1, 2, 3];
    let first = issuer.grant("ada", "read", "file:prize");
    let mut held = cluster.http(0).submit(&first).id;
    let mut winners = [0; NODES];
    for round in 0..ROUNDS {
        let size = cluster.until_level(&all).log_size;
        let racers: Vec<Signed> = (0..NODES)
            .map(|n| {
                // Some state the same, some what no other does: the key that they end is one.
                let sub = if round % 2 == 0 { "bob".to_owned() } else { format!("bob{n}") };
                set(issuer, vec![ends(held), gives(&sub, "file:prize")], Some(size))
            })
            .collect();
        let start = Barrier::new(NODES);
        let answers = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for (n, racer) in racers.iter().enumerate() {
                let (http, start, answers) = (cluster.http(n), &start, &answers);
                scope.spawn(move || {
                    start.wait();
                    let answer = http.try_submit(racer, "wait=committed&wait_ms=60000").expect("an answer");
                    answers.lock().expect("no racer has panicked").push((n, answer));
                });
            }
        });
        let answers = answers.into_inner().expect("no racer has panicked");
        let won: Vec<usize> = answers.iter().filter(|(_, answer)| answer.status == 200).map(|(n, _)| *n).collect();
        assert_eq!(won.len(), 1, "round {round}: {:?}", answers.iter().map(|(n, a)| (n, a.text())).collect::<Vec<_>>());
        for (n, answer) in answers.iter().filter(|(n, _)| *n != won[0]) {
            let problem = answer.problem().unwrap_or_else(|fault| panic!("round {round}, node {n}: {fault}"));
            assert_eq!((problem.status, problem.code.as_str()), (409, "conflict"), "{problem:?}");
            assert_eq!(problem.field.as_deref(), Some("members[0]"), "{problem:?}");
        }
        winners[won[0]] += 1;
        held = racers[won[0]].id().of_member(1);
        cluster.until_level(&all);
        for n in all {
            let live: Vec<RecordId> = cluster
                .http(n)
                .entries("")
                .into_iter()
                .filter(|entry| entry.revoked.is_none())
                .map(|entry| entry.id)
                .collect();
            assert_eq!(live, [held], "round {round}, node {n}");
            for (at, racer) in racers.iter().enumerate() {
                let expected = if at == won[0] { RecordStatus::Committed } else { RecordStatus::Refused };
                let status = wait::until("what became of a racer", || {
                    let answer = cluster.http(n).get(&format!("/v1/records/{}", racer.id()));
                    // A node that heard of it only after the other had won never took it.
                    (answer.status == 404).then_some(RecordStatus::Refused).or_else(|| {
                        let status = answer.json::<Receipt>().status;
                        (status != RecordStatus::Pending).then_some(status)
                    })
                });
                assert_eq!(status, expected, "round {round}, node {n}, racer {at}");
            }
        }
    }
    println!("winners by node: {winners:?}");
    cluster.verify();
}

#[test]
fn kill_9_of_all_nodes_leaves_all_of_a_set_or_nothing() {
    const ROUNDS: u64 = 5;
    const MEMBERS: usize = 12;
    let mut random = Random::from_environment("sets");
    let mut cluster = Cluster::new(4, 0);
    let all = [0, 1, 2, 3];
    cluster.grow(0, 1);
    let issuer = cluster.issuer().clone();
    let (mut whole, mut none) = (0, 0);
    for round in 0..ROUNDS {
        let sets: Vec<Signed> = (0..8)
            .map(|n| {
                let member = |at| gives(&format!("r{round}/{n}"), &format!("file:{at}"));
                set(&issuer, (0..MEMBERS).map(member).collect(), None)
            })
            .collect();
        let taken = Mutex::new(Vec::new());
        let moment = Duration::from_millis(1 + random.below(250));
        let https: Vec<Http> = all.iter().map(|n| cluster.http(*n).clone()).collect();
        std::thread::scope(|scope| {
            for (http, own) in https.iter().zip(sets.chunks(2)) {
                let taken = &taken;
                scope.spawn(move || {
                    for one in own {
                        if let Ok(answer) = http.try_submit(one, "wait=committed")
                            && matches!(answer.status, 200 | 202)
                        {
                            taken.lock().expect("no writer has panicked").push(one.id());
                        }
                    }
                });
            }
            std::thread::sleep(moment);
            all.iter().for_each(|n| cluster.kill(*n));
        });
        cluster.start_all();
        let taken = taken.into_inner().expect("no writer has panicked");
        for n in all {
            wait::until("the pool to empty", || (cluster.http(n).status().pending == 0).then_some(()));
        }
        cluster.until_level(&all);
        for one in &sets {
            let sub = one.entries().next().expect("an entry").access.sub.as_str().to_owned();
            for n in all {
                let entries = cluster.http(n).entries(&format!("&sub={}", escape(&sub)));
                assert!(matches!(entries.len(), 0 | MEMBERS), "round {round}, node {n}: {} of a set", entries.len());
                assert!(entries.iter().all(|entry| entry.set == Some(one.id())));
                if taken.contains(&one.id()) {
                    assert_eq!(entries.len(), MEMBERS, "round {round}, node {n}: what was acknowledged is lost");
                }
                if n == 0 {
                    *(if entries.is_empty() { &mut none } else { &mut whole }) += 1;
                }
            }
        }
    }
    println!("{whole} sets are in the log, {none} are not");
    assert!(whole > 0, "some were taken");
    cluster.verify();
}

#[test]
fn pages_go_through_the_middle_of_a_set() {
    let world = World::new(&["org1"]);
    let node = world.run();
    let (http, issuer) = (node.http(), world.issuer("org1"));
    for n in 0..3 {
        http.submit(&issuer.grant("ada", "read", &format!("file:before{n}")));
        committed(http, &set(issuer, (0..7).map(|at| gives("ada", &format!("file:{n}/{at}"))).collect(), None));
    }
    let most = set(issuer, (0..SET_MEMBERS_MAX).map(|at| gives("eve", &format!("file:most/{at}"))).collect(), None);
    committed(http, &most);
    let all = http.entries("");
    assert_eq!(all.len(), 3 * 8 + SET_MEMBERS_MAX);
    for limit in [1, 2, 3, 5, 7, 8, 60, 64, 100] {
        for filter in ["", "&outcome=all", "&sub=eve"] {
            let expected: Vec<RecordId> = all
                .iter()
                .filter(|entry| !filter.contains("eve") || entry.sub == "eve")
                .map(|entry| entry.id)
                .collect();
            let (mut found, mut cursor) = (Vec::new(), String::new());
            loop {
                let page: EntriesPage = http.read(&format!("/v1/entries?limit={limit}{filter}{cursor}"));
                assert!(page.entries.len() <= limit);
                found.extend(page.entries.into_iter().map(|entry| entry.id));
                // The log grows while somebody pages.
                let Some(next) = page.next else { break };
                cursor = format!("&cursor={}", escape(&next));
            }
            assert_eq!(found, expected, "{limit} a page{filter}");
        }
    }
    // From a leaf on: all of the set that stands there.
    let index = all[1].index;
    let from: EntriesPage = http.read(&format!("/v1/entries?from_index={index}&to_index={index}"));
    assert_eq!(from.entries.len(), 7);
    // Each entry is shown by its own id, with the receipt of its set; the set by its own, without an entry.
    for entry in &from.entries {
        let shown = http.record(&entry.id);
        assert_eq!((shown.status, shown.entry.as_ref()), (RecordStatus::Committed, Some(entry)));
        assert_eq!(shown.place.map(|place| place.index), Some(index));
    }
    let shown = http.record(&from.entries[0].set.expect("it is of a set"));
    assert_eq!((shown.entry, shown.entries.len()), (None, 7));
    let check = http.check("sub=ada&act=read&obj=file:0/3&explain=true");
    assert_eq!(check.entries, [from.entries[3].id]);
    assert_eq!(check.explain.expect("it was asked for").entries, [from.entries[3].clone()]);
    // Ended one by one, also one of many.
    let target = from.entries[3].id;
    http.submit(&issuer.revoke(target, Effect::Grant));
    let ended: Vec<RecordId> =
        http.entries("").into_iter().filter(|entry| entry.revoked.is_some()).map(|entry| entry.id).collect();
    assert_eq!(ended, [target]);
    assert_eq!(http.check("sub=ada&act=read&obj=file:0/3").decision, Effect::Deny);
}

#[test]
fn sets_are_prepared_previewed_and_refused_by_their_members() {
    let world = World::new(&["org1", "org2"]);
    let node = world.run();
    let (http, issuer) = (node.http(), world.issuer("org1"));
    let held = http.submit(&issuer.grant("ada", "read", "file:a"));
    let position = held.place.as_ref().expect("a place").position.clone();
    let size = http.status().log_size;
    let tuple = |sub: &str| json!({ "sub": sub, "obj": "file:a", "act": "read" });
    let post = |path: &str, body: &Value| http.post(path, "application/json", body.to_string().as_bytes());
    let wish =
        json!({ "authority": "org1", "set": [{ "revoke": held.id }, tuple("bob")], "unchanged_since": position });
    let prepared: Value = post("/v1/records/prepare", &wish).expect(200, "prepared");
    let bytes = writ_proto::api::from_base64(prepared["bytes"].as_str().expect("bytes")).expect("base64");
    let (statement, _) = Signed::read_unsigned(&bytes).expect("a statement");
    let Body::Set(made) = &statement.body else { panic!("{statement:?}") };
    assert_eq!((made.members.len(), made.unchanged_since), (2, Some(size)), "the token is that of the tip");

    let preview = json!({ "issuingAuth": "org1", "statements": [{ "revoke": held.id }, tuple("bob")], "atomic": true });
    let told: Value = post("/v1/preview", &preview).expect(200, "a preview");
    assert_eq!(
        (told["changes"].as_array().map(Vec::len), told["refused"].as_array().map(Vec::len)),
        (Some(2), Some(0))
    );

    let foreign = http.submit(&world.issuer("org2").grant("eve", "read", "file:e"));
    for (case, change, code, field) in [
        ("a stranger's", json!({ "set": [tuple("bob"), { "revoke": foreign.id }] }), "forbidden", "set[1].target"),
        ("nothing", json!({ "set": [] }), "bad_request", "set"),
        ("not there", json!({ "set": [tuple("bob"), { "revoke": "ab".repeat(32) }] }), "not_found", "set[1].revoke"),
        ("a bad name", json!({ "set": [tuple("bob"), tuple("")] }), "bad_request", "set[1].sub"),
        ("another member", json!({ "set": [{ "revoke": held.id, "sub": "x" }] }), "bad_request", "set[0].sub"),
        ("too many", json!({ "set": vec![tuple("bob"); 65] }), "bad_request", "set"),
        (
            "too large",
            json!({ "set": vec![json!({ "sub": "bob", "obj": "file:a", "ref": "r".repeat(256) }); 40] }),
            "too_large",
            "record",
        ),
        ("changed", json!({ "set": [tuple("ada")], "unchanged_since": 0 }), "conflict", "set[0]"),
        ("a future", json!({ "set": [tuple("ada")], "unchanged_since": 10_000 }), "not_found", "unchanged_since"),
        ("no size", json!({ "set": [tuple("ada")], "unchanged_since": "soon" }), "bad_request", "unchanged_since"),
        ("no object", json!({ "set": [tuple("ada"), "bob"] }), "bad_request", "set[1]"),
        ("no set", json!({ "entry": tuple("ada"), "unchanged_since": 1 }), "bad_request", "unchanged_since"),
        ("two things", json!({ "entry": tuple("ada"), "set": [tuple("ada")] }), "bad_request", "set"),
    ] {
        let mut wish = change.clone();
        wish["authority"] = json!("org1");
        let problem = post("/v1/records/prepare", &wish).problem().unwrap_or_else(|fault| panic!("{case}: {fault}"));
        assert_eq!((problem.code.as_str(), problem.field.as_deref()), (code, Some(field)), "{case}: {problem:?}");
    }
    let preview = json!({
        "issuingAuth": "org1", "statements": [tuple("bob"), { "revoke": foreign.id }], "atomic": true,
    });
    let told: Value = post("/v1/preview", &preview).expect(200, "a preview");
    assert_eq!((&told["changes"], &told["refused"][0]["statement"]), (&json!([]), &json!(1)), "none of it is taken");
    assert_eq!(told["refused"][0]["code"], "forbidden");
    // A fault of the set as a whole is of no statement.
    let preview = json!({
        "issuingAuth": "org1", "statements": [tuple("bob")], "atomic": true, "unchanged_since": 10_000,
    });
    let told: Value = post("/v1/preview", &preview).expect(200, "a preview");
    let fault = &told["refused"][0];
    assert_eq!((&fault["statement"], &fault["field"]), (&Value::Null, &json!("unchanged_since")), "{told}");

    // Of a record itself, the answer names the member.
    let bad = set(issuer, vec![gives("bob", "file:a"), ends(foreign.id)], None);
    let problem = http.try_submit(&bad, "wait=committed").expect("an answer").problem().expect("a problem");
    assert_eq!((problem.code.as_str(), problem.field.as_deref()), ("forbidden", Some("members[1].target")));
}

#[test]
fn a_chain_of_protocol_1_takes_sets_from_the_height_on_that_its_roots_name() {
    let world = World::new(&["org1"]);
    // The same chain, if it had begun under the first protocol.
    let mut genesis = world.genesis();
    (genesis.protocol, genesis.validators) = (1, Vec::new());
    let old = world.folder().join("old");
    let file = world.folder().join("genesis-1.json");
    std::fs::write(&file, serde_json::to_string(&genesis).expect("a genesis is JSON")).expect("a writable folder");
    let arguments = ["init".to_owned(), "--genesis-file".into(), text(&file), "--home".into(), text(&old)];
    let output = command(&programs::writ_node(), &arguments).output().expect("`writ-node init` starts");
    assert!(output.status.success(), "`writ-node init`: {}", String::from_utf8_lossy(&output.stderr));
    let mut node = Node::run(&old.join("node0"));
    let made = std::fs::read_to_string(old.join("node0").join("genesis.json")).expect("a home has its genesis");
    let genesis: Genesis = serde_json::from_str(&made).expect("a genesis");
    let issuer = world.issuer("org1").on_chain(genesis.chain_id());
    let say = || set(&issuer, vec![gives("ada", "file:a"), gives("bob", "file:a")], None);
    let problem = node.http().try_submit(&say(), "wait=committed").expect("an answer").problem().expect("a problem");
    assert_eq!((problem.status, problem.code.as_str(), problem.field.as_deref()), (400, "unsupported", Some("record")));
    assert!(problem.detail.contains("need protocol 2") && problem.detail.contains("under protocol 1"), "{problem:?}");
    let statement = json!({ "sub": "ada", "obj": "file:a", "act": "read" });
    let preview = json!({ "issuingAuth": "org1", "statements": [statement], "atomic": true }).to_string();
    let told: Value = node.http().post("/v1/preview", "application/json", preview.as_bytes()).expect(200, "a preview");
    let fault = &told["refused"][0];
    let found = [&fault["statement"], &fault["code"], &fault["field"], &fault["detail"]];
    assert_eq!(found, [&Value::Null, &json!("unsupported"), &json!("record"), &json!(problem.detail)]);
    let first = node.http().status().height + 9;
    let activate = Body::Parameter(ParameterChange::Activate { protocol: 2, height: first });
    node.http().submit(&issuer.sign(activate));
    while node.http().status().height + 1 < first {
        assert_eq!(node.http().try_submit(&say(), "wait=committed").expect("an answer").status, 400);
        node.http().submit(&issuer.grant("eve", "read", "file:e"));
    }
    committed(node.http(), &say());
    // Rebuilt from the log it is the same.
    node.kill();
    node.start_again();
    assert_eq!(node.http().entries("&sub=bob").len(), 1);
    assert!(node.stop().success());
    assert_sound(&old.join("node0"));
}

#[test]
fn the_program_makes_sets_and_imports_files_whole() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let home = folder.path().join("home");
    let node = Node::dev(&home);
    let http = node.http();
    let key = text(&home.join("dev.key"));
    let common = ["--node", node.url(), "--key", &key];
    let run = |arguments: &[&str]| writ(arguments.iter().chain(&common).copied());
    let grant =
        || run(&["grant", "--sub", "ada", "--obj", "file:a", "--act", "read"]).expect(0).first_line().to_owned();
    let held = grant();
    let file = folder.path().join("move.jsonl");
    let lines = format!("{{\"revoke\":\"{held}\"}}\n{{\"sub\":\"bob\",\"obj\":\"file:a\",\"act\":\"read\"}}\n");
    std::fs::write(&file, lines).expect("a writable folder");
    let file = text(&file);
    let size = http.status().log_size.to_string();
    let position = http.status().position;

    let dry = run(&["set", &file, "--dry-run"]).expect(0);
    assert!(dry.out.contains("ada") && dry.out.contains("bob"), "{dry:?}");
    assert_eq!(http.status().log_size.to_string(), size, "nothing was sent");
    // A fault of the whole set is of none of its members, dry and in earnest.
    let future = ["set", &file, "--unchanged-since", "10000"];
    let (dry, real) = (run(&[&future[..], &["--dry-run"]].concat()).expect(0), run(&future).expect(1));
    assert!(dry.out.contains("not_found  unchanged_since  no log of size 10000"), "{dry:?}");
    assert!(real.err.contains("no log of size 10000") && !real.err.contains("members["), "{real:?}");
    let receipt: Value = run(&["set", &file, "--unchanged-since", &position, "--json"]).expect(0).json();
    assert_eq!((receipt["status"].as_str(), receipt["entries"].as_array().map(Vec::len)), (Some("committed"), Some(1)));
    let lost = run(&["set", &file, "--unchanged-since", &size]).expect(1);
    assert!(lost.err.contains("members[0]") || lost.err.contains("conflict"), "{lost:?}");
    let entry = receipt["entries"][0].as_str().expect("an id");
    let shown = run(&["entry", entry]).expect(0);
    assert!(shown.out.contains(receipt["id"].as_str().expect("an id")), "it names its set: {shown:?}");
    let shown = run(&["entry", receipt["id"].as_str().expect("an id")]).expect(0);
    assert!(shown.out.contains(entry), "it names its entries: {shown:?}");
    run(&["revoke", entry]).expect(0);

    let rows = folder.path().join("rows.csv");
    let table = "sub,obj,act,access\ncid,file:c,read,granted\ndan,file:d,read,denied\nada,file:a,read,revoked\n";
    std::fs::write(&rows, table).expect("a writable folder");
    let rows_path = text(&rows);
    grant();
    let dry: Value = run(&["import", &rows_path, "--atomic", "--dry-run", "--json"]).expect(0).json();
    assert_eq!((dry["appended"].as_u64(), dry["revoked"].as_u64()), (Some(2), Some(1)), "{dry}");
    let future = ["import", &rows_path, "--atomic", "--unchanged-since", "10000", "--json"];
    let (dry, real) = (run(&[&future[..], &["--dry-run"]].concat()).expect(0), run(&future).expect(1));
    let (dry, real): (Value, Value) = (dry.json(), real.json());
    for count in ["rows", "appended", "revoked", "refused", "refusals"] {
        assert_eq!(dry[count], real[count], "{count}: {dry} {real}");
    }
    let refusal = json!([dry["refusals"][0]["line"], dry["refusals"][0]["code"], dry["refusals"][0]["field"]]);
    assert_eq!((refusal, &dry["refused"]), (json!([0, "not_found", "unchanged_since"]), &json!(3)), "{dry}");
    let before = http.status().log_size;
    let summary: Value = run(&["import", &rows_path, "--atomic", "--json"]).expect(0).json();
    assert_eq!((summary["appended"].as_u64(), summary["revoked"].as_u64()), (Some(2), Some(1)), "{summary}");
    assert_eq!(http.status().log_size, before + 2, "one record and its commit leaf");
    let again: Value = run(&["import", &rows_path, "--atomic", "--json"]).expect(0).json();
    assert_eq!(again["duplicate"], 3, "{again}");
    assert_eq!(http.status().log_size, before + 2);
    run(&["import", &rows_path]).expect(1);
    std::fs::write(&rows, format!("{table}eve,file:e,read,granted\n")).expect("a writable folder");
    let changed = run(&["import", &rows_path, "--atomic"]).expect(1);
    assert!(changed.err.contains("has changed since"), "{changed:?}");

    let many = folder.path().join("many.jsonl");
    let line = |n| format!("{{\"sub\":\"u{n}\",\"obj\":\"file:m\"}}\n");
    std::fs::write(&many, (0..65).map(line).collect::<String>()).expect("a writable folder");
    let too_many = run(&["import", &text(&many), "--atomic"]).expect(1);
    assert!(too_many.err.contains("65 members") && too_many.err.contains("at most 64 members"), "{too_many:?}");
    let dry = run(&["import", &text(&many), "--atomic", "--dry-run"]).expect(1);
    assert!(dry.err.contains("65 members") && dry.err.contains("at most 64 members"), "{dry:?}");

    let export = folder.path().join("chain.writ");
    run(&["export", "--out", &text(&export)]).expect(0);
    writ(["audit", "--file", &text(&export), "--genesis", &text(&home.join("genesis.json"))]).expect(0);
}
