//! `writ grant`, `deny`, `revoke`, `entry`, `log`.

use writ_proto::record::Effect;

use crate::node::Faults;
use crate::program::World;

const FILE: [&str; 4] = ["--sub", "alice", "--obj", "file:x"];

fn with<'a>(command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&[command][..], &FILE, more].concat()
}

#[test]
fn a_grant_prints_its_id_and_says_what_it_did() {
    let world = World::new(&["org1"]);
    let said = world.sign("org1", &with("grant", &["--act", "read", "--for", "8h", "--ref", "T-1"])).expect(0);
    let entry = &world.node.entries()[0];
    assert_eq!(said.out, format!("{}\n", entry.id));
    assert!(said.err.starts_with("done: org1 grants alice `read` on file:x, until "), "{}", said.err);
    assert!(said.err.contains("index 0, height 1, the proof leads to the root of 2 leaves"), "{}", said.err);
    assert_eq!((entry.sub.as_str(), entry.obj.as_str(), entry.act.as_str()), ("alice", "file:x", "read"));
    assert_eq!((entry.access, entry.reference.as_deref()), (Effect::Grant, Some("T-1")));
    assert!(entry.exp.unwrap().millis_since(entry.added).abs_diff(8 * 3_600_000) < 60_000);

    let receipt = world.sign("org1", &with("deny", &["--json"])).expect(0).json();
    assert_eq!((receipt["status"].as_str(), receipt["height"].as_u64()), (Some("committed"), Some(2)));
    assert_eq!(receipt["id"], world.node.entries()[1].id.to_string());
}

#[test]
fn times_are_understood_as_people_write_them() {
    let world = World::new(&["org1"]);
    world.sign("org1", &with("grant", &["--from", "tomorrow", "--until", "tomorrow+1"])).expect(0);
    world.sign("org1", &with("grant", &["--from", "2030-01-01", "--for", "+2w"])).expect(0);
    let entries = world.node.entries();
    let today = entries[0].added.start_of_day();
    assert_eq!(entries[0].iss.unwrap().millis_since(today), 86_400_000);
    assert_eq!(entries[0].exp.unwrap().millis_since(today), 2 * 86_400_000);
    assert_eq!(entries[1].exp.unwrap().to_string(), "2030-01-15T00:00:00Z");
}

#[test]
fn an_entry_that_has_ended_is_made_with_a_warning() {
    let world = World::new(&["org1"]);
    let said = world.sign("org1", &with("grant", &["--until", "2020-01-01"])).expect(0);
    assert!(said.err.contains("warning: this entry ended 2020-01-01T00:00:00Z"), "{}", said.err);
    let said = world.sign("org1", &with("grant", &["--until", "-1h"])).expect(0);
    assert!(said.err.contains("it will never hold"), "{}", said.err);
}

#[test]
fn names_are_any_text() {
    let world = World::new(&["org1"]);
    world
        .sign("org1", &["grant", "--sub", "zoe\u{308}", "--obj", "Büro & Co/100% +*?".trim_end_matches("*?")])
        .expect(0);
    let entry = &world.node.entries()[0];
    assert_eq!((entry.sub.as_str(), entry.obj.as_str()), ("zoë", "Büro & Co/100% +"));
    world.ask(&["check", "--sub", "zoë", "--obj", "Büro & Co/100% +"]).expect(0);
    world.ask(&["check", "--sub", "zoe\u{308}", "--obj", "Büro & Co/100% +"]).expect(0);
    let listed = world.ask(&["log", "--obj", "Büro & Co/100% +", "--json"]).expect(0);
    assert_eq!(listed.json()["sub"], "zoë");
}

#[test]
fn an_entry_is_revoked_by_its_id_or_the_start_of_it() {
    let world = World::new(&["org1"]);
    let grant = world.id("org1", &with("grant", &[]));
    let denial = world.id("org1", &with("deny", &[]));
    world.ask(&with("check", &[])).expect(3);
    let said = world.sign("org1", &["revoke", &denial[..8]]).expect(0);
    assert!(said.err.contains("org1 lifts the denial"), "{}", said.err);
    world.ask(&with("check", &[])).expect(0);
    let said = world.sign("org1", &["revoke", &grant]).expect(0);
    assert!(said.err.contains("org1 ends the grant"), "{}", said.err);
    world.ask(&with("check", &[])).expect(3);

    let said = world.sign("org1", &["revoke", &"0".repeat(64)]).expect(1);
    assert!(said.err.contains("no record") && said.err.contains("--effect granted"), "{}", said.err);
    world.sign("org1", &["revoke", &"0".repeat(64), "--effect", "granted"]).expect(0);
    let said = world.sign("org1", &["revoke", "00000000"]).expect(1);
    assert!(said.err.contains("no entry has an id that starts with 00000000"), "{}", said.err);
    world.sign("org1", &["revoke", "000000"]).expect(2);
    let said = world.sign("org1", &["revoke", &grant, "--effect", "denied"]).expect(2);
    assert!(said.err.contains("is `granted`, not `denied`"), "{}", said.err);
}

#[test]
fn what_the_node_refuses_fails_with_its_code() {
    let world = World::new(&["org1", "org2"]);
    let grant = world.id("org1", &with("grant", &[]));
    let said = world.sign("org2", &["revoke", &grant, "--json"]).expect(1);
    assert_eq!(said.problem()["code"], "forbidden");
    assert!(said.out.is_empty());
    let said = world.sign("org1", &with("grant", &["--authority", "org2"])).expect(1);
    assert!(said.err.contains("does not belong to authority `org2`"), "{}", said.err);
    let said = world.sign("org1", &with("grant", &["--chain", &"0".repeat(64)])).expect(1);
    assert!(said.err.contains("expected 0000"), "{}", said.err);
    assert_eq!(world.node.entries().len(), 1);
}

#[test]
fn a_receipt_that_proves_nothing_is_a_failure() {
    let world = World::new(&["org1"]);
    world.sign("org1", &with("grant", &[])).expect(0);
    world.node.faults(Faults { lies: true, ..Faults::default() });
    let said = world.sign("org1", &with("grant", &["--json"])).expect(1);
    assert_eq!(said.problem()["code"], "bad_proof");
    let id = world.node.entries()[0].id.to_string();
    let said = world.ask(&["entry", &id]).expect(1);
    assert!(said.err.contains("cannot prove what it answers"), "{}", said.err);
}

#[test]
fn who_does_not_wait_or_waits_in_vain_is_told() {
    let world = World::new(&["org1"]);
    let said = world.sign("org1", &with("grant", &["--no-wait"])).expect(0);
    assert!(said.err.starts_with("sent: ") && said.out.len() == 65, "{said:?}");
    world.node.faults(Faults { is_slow: 1, ..Faults::default() });
    let said = world.sign("org1", &with("grant", &[])).expect(1);
    assert!(said.err.contains("is not in the log yet") && said.err.contains("nothing is lost"), "{}", said.err);
    assert_eq!(said.out.len(), 65, "the id is told all the same");
}

#[test]
fn a_log_is_listed_for_people_and_for_programs() {
    let world = World::new(&["org1", "org2"]);
    for n in 0..7 {
        world.sign("org1", &["grant", "--sub", &format!("u{n}"), "--obj", "file:x"]).expect(0);
    }
    world.sign("org2", &["deny", "--sub", "u3", "--obj", "file:*"]).expect(0);
    let listed = world.ask(&["log"]).expect(0);
    assert_eq!(listed.out.lines().count(), 9);
    assert!(listed.out.lines().next().unwrap().contains("index  id"), "{}", listed.out);
    let lines = |arguments: &[&str]| world.ask(&[&["log", "--json"], arguments].concat()).expect(0).out.lines().count();
    assert_eq!(lines(&[]), 8);
    assert_eq!(lines(&["--limit", "3"]), 3);
    assert_eq!(lines(&["--limit", "0"]), 0);
    assert_eq!(lines(&["--authority", "org2"]), 1);
    assert_eq!(lines(&["--sub", "u3"]), 2);
    assert_eq!(lines(&["--sub", "u3", "--access", "denied"]), 1);
    assert_eq!(lines(&["--obj", "file:*"]), 1);
    assert_eq!(lines(&["--from-index", "9"]), 3);
    let none = world.ask(&["log", "--sub", "nobody"]).expect(0);
    assert!(none.out.is_empty() && none.err.contains("there is no such entry"), "{none:?}");
}
