//! `writ set`: several things at once.

use writ_proto::record::{Body, Signed};

use crate::program::World;

const GRANT: [&str; 7] = ["grant", "--sub", "ada", "--obj", "file:x", "--act", "read"];

/// A file that moves the right of `held` from `ada` to `bob`.
fn mover(world: &World, held: &str) -> String {
    let lines = format!("{{\"revoke\":\"{held}\"}}\n\n{{\"sub\":\"bob\",\"obj\":\"file:x\",\"act\":\"read\"}}\n");
    world.write("move.jsonl", &lines)
}

#[test]
fn a_set_is_one_record_and_says_what_it_holds() {
    let world = World::new(&["org1"]);
    let held = world.id("org1", &GRANT);
    let size = world.node.log_size();
    let said = world.sign("org1", &["set", &mover(&world, &held[..12])]).expect(0);
    assert!(said.err.contains("done: org1 states 2 things, all of them or none; index 2"), "{}", said.err);
    assert_eq!(world.node.log_size(), size + 2, "one leaf and the commit leaf");
    let entries = world.node.entries();
    assert_eq!(
        (entries[1].sub.as_str(), entries[1].set.map(|set| set.to_string())),
        ("bob", Some(said.out.trim().into()))
    );
    assert_eq!(entries[0].revoked.map(|revoked| revoked.by), entries[1].set);

    let shown = world.ask(&["entry", &entries[1].id.to_string()]).expect(0);
    assert!(shown.out.contains(&format!("set          {}", said.out.trim())), "{}", shown.out);
    let shown = world.ask(&["entry", said.out.trim()]).expect(0);
    assert!(shown.out.contains(&format!("entry     {}", entries[1].id)), "{}", shown.out);
    // An entry of a set is ended like any other, a set is not.
    let refused = world.sign("org1", &["revoke", said.out.trim()]).expect(2);
    assert!(refused.err.contains("is a set: its entries are revoked one by one"), "{}", refused.err);
    world.sign("org1", &["revoke", &entries[1].id.to_string()]).expect(0);
}

#[test]
fn rows_that_revoke_end_what_is_live_of_ones_own() {
    let world = World::new(&["org1", "org2"]);
    world.id("org1", &GRANT);
    world.id("org2", &GRANT);
    let row = "{\"sub\":\"ada\",\"obj\":\"file:x\",\"act\":\"read\",\"access\":\"revoked\"}\n";
    let file = world.write("rows.jsonl", row);
    world.sign("org1", &["set", &file]).expect(0);
    let ended: Vec<bool> = world.node.entries().iter().map(|entry| entry.revoked.is_some()).collect();
    assert_eq!(ended, [true, false]);
    let nothing = world.sign("org1", &["set", &file, "--json"]).expect(1);
    assert_eq!(nothing.problem()["code"], "bad_file");
}

#[test]
fn unchanged_since_takes_a_position_and_is_signed_as_a_size() {
    let world = World::new(&["org1"]);
    let held = world.id("org1", &GRANT);
    let status = world.ask(&["status", "--json"]).expect(0).json();
    let (size, position) =
        (world.node.log_size(), status["nodes"][0]["position"].as_str().or(status["position"].as_str()));
    let position = position.unwrap_or_else(|| panic!("a position in {status}")).to_owned();
    let file = mover(&world, &held);
    let paper = world.text("paper");
    world.sign("org1", &["set", &file, "--unchanged-since", &position, "--out", &paper]).expect(0);
    let shown = world.ask(&["sign", "--bytes", &paper]).expect(0).out;
    for part in [
        "org1 states 2 things, all of them or none",
        "member           0: org1 ends the grant",
        "1: org1 grants bob `read` on file:x",
        &format!("a log of {size} leaves"),
    ] {
        assert!(shown.contains(part), "`{part}` in {shown}");
    }
    // Both say the same; only one can be taken.
    world.sign("org1", &["set", &file, "--unchanged-since", &size.to_string()]).expect(0);
    let Body::Set(set) = Signed::decode(world.node.received().pop().unwrap()).unwrap().body().clone() else {
        panic!("a set")
    };
    assert_eq!(set.unchanged_since, Some(size));
    let lost = world.sign("org1", &["set", &file, "--unchanged-since", &position, "--json"]).expect(1);
    assert_eq!((&lost.problem()["code"], &lost.problem()["field"]), (&"conflict".into(), &"members[0]".into()));
    let other = format!("{}{}", &position[..2], "0123456789abcdef");
    let wrong = world.sign("org1", &["set", &file, "--unchanged-since", &other]).expect(1);
    assert!(wrong.err.contains("another block"), "{}", wrong.err);
    world.sign("org1", &["set", &file, "--unchanged-since", "soon"]).expect(2);
}

#[test]
fn lines_at_fault_are_named_and_nothing_is_sent() {
    let world = World::new(&["org1"]);
    let held = world.id("org1", &GRANT);
    let size = world.node.log_size();
    let unknown = "ab".repeat(32);
    let many: String = (0..65).map(|n| format!("{{\"sub\":\"u{n}\",\"obj\":\"file:x\"}}\n")).collect();
    for (text, code, words) in [
        (String::new(), "bad_file", "makes no set"),
        ("{\"sub\":\"ada\"}\n".into(), "bad_request", "line 1: obj"),
        (
            format!("{{\"revoke\":\"{held}\"}}\n{{\"sub\":\"a\",\"obj\":\"b\",\"more\":1}}\n"),
            "bad_request",
            "line 2: more",
        ),
        (format!("{{\"revoke\":\"{unknown}\"}}\n"), "not_found", "in a set none is waited for"),
        (many, "too_large", "65 members"),
    ] {
        let file = world.write("bad.jsonl", &text);
        let said = world.sign("org1", &["set", &file, "--json"]).expect(1);
        assert_eq!(said.problem()["code"], code, "{}", said.err);
        assert!(said.err.contains(words), "`{words}` in {}", said.err);
    }
    world.sign("org1", &["set", &world.text("nothing")]).expect(1);
    assert_eq!(world.node.log_size(), size);
}
