//! Records that go from hand to hand: `--out`, `writ sign`, `combine`, `submit`.

use writ_client::draft::Draft;
use writ_client::keys;
use writ_proto::api::{Prepared, to_base64};
use writ_proto::record::{Body, Signed};

use crate::node::{Faults, Node, key};
use crate::program::{World, exists, writ};
use crate::trust::{received, sign, validator_file, world};

const GRANT: [&str; 5] = ["grant", "--sub", "alice", "--obj", "file:x"];

fn draft(world: &World, name: &str) -> Draft {
    Draft::open(&world.path(name)).unwrap()
}

#[test]
fn a_record_goes_from_hand_to_hand_until_enough_have_signed() {
    let world = world();
    let file = validator_file(&world, "v1", [210, 211], &world.node.genesis().chain_id());
    let paper = world.text("paper");
    let said = sign(&world, &["a"], &["validator", "add", "--validator", &file, "--out", &paper]).expect(0);
    let id = draft(&world, "paper").id().to_string();
    assert_eq!(said.out.trim(), id);
    assert!(said.err.contains("written: a adds the validator `v1`"), "{}", said.err);
    assert!(said.err.contains("signed: a 1 of 1; 1 of the 2 root authorities needed"), "{}", said.err);
    assert!(world.node.received().is_empty(), "nothing is sent");
    // Nearly an hour: what the chain allows.
    let submit_by = draft(&world, "paper").statement().submit_by.unwrap();
    assert!(submit_by.millis_since(writ_client::clock::now()) > 3_500_000);

    // Whoever is asked to sign looks first.
    let before = std::fs::read(&paper).unwrap();
    let looked = world.ask(&["sign", &paper]).expect(0);
    assert!(looked.out.starts_with("a adds the validator `v1`\n"), "{}", looked.out);
    for part in ["ledger.example/test", &key(210).public().to_string(), "1 of the 2 root authorities needed", &id] {
        assert!(looked.out.contains(part), "{part}: {}", looked.out);
    }
    assert!(looked.err.contains("nothing is signed"), "{}", looked.err);
    assert_eq!(std::fs::read(&paper).unwrap(), before);

    // Below its threshold `b` does not count.
    let said = sign(&world, &["b"], &["sign", &paper]).expect(0);
    assert!(said.err.contains("a 1 of 1, b 1 of 2; 1 of the 2"), "{}", said.err);
    let said = sign(&world, &["b2"], &["sign", &paper, "--json"]).expect(0);
    assert_eq!((said.json()["complete"].as_bool(), said.json()["keys"].as_array().unwrap().len()), (Some(true), 3));
    // Once more changes nothing.
    let before = std::fs::read(&paper).unwrap();
    let said = sign(&world, &["b", "b2"], &["sign", &paper]).expect(0);
    assert!(said.err.contains("2 of these signatures stood on it already"), "{}", said.err);
    assert_eq!(std::fs::read(&paper).unwrap(), before);

    let said = world.ask(&["submit", &paper, "--no-wait"]).expect(0);
    assert_eq!(said.out.trim(), id);
    let record = received(&world);
    assert_eq!((record.id().to_string(), record.signatures().len()), (id, 3));
    assert!(record.signatures().is_sorted_by_key(|(id, _)| *id));
}

#[test]
fn what_people_signed_apart_is_put_together() {
    let world = world();
    let paper = world.text("paper");
    world.ask(&["validator", "remove", "v0", "--authority", "a", "--out", &paper]).expect(1);
    world.ask(&["parameter", "set", "--clock-bound-ms", "700", "--authority", "a", "--out", &paper]).expect(0);
    assert!(draft(&world, "paper").keys().is_empty());
    for name in ["a", "c"] {
        sign(&world, &[name], &["sign", &paper, "--out", &world.text(&format!("{name}.signed"))]).expect(0);
    }
    assert!(draft(&world, "paper").keys().is_empty(), "the file itself stays as it is");
    let files = [world.text("a.signed"), world.text("c.signed"), world.text("whole")];
    let combine = ["combine", &files[0], &files[1], &paper, "--out", &files[2]];
    let said = world.ask(&combine).expect(0);
    assert!(
        said.err.contains("2 of the 2 root authorities needed") && said.err.contains("next: `writ submit"),
        "{}",
        said.err
    );
    assert_eq!(draft(&world, "whole").keys().len(), 2);
    assert!(world.ask(&combine).expect(1).err.contains("is there already, and may hold signatures"));

    // A paper that looks alike is another statement.
    let other = world.text("other");
    sign(&world, &["c"], &["parameter", "set", "--clock-bound-ms", "700", "--out", &other]).expect(0);
    let said = world.ask(&["combine", &files[0], &other, "--out", &world.text("mixed"), "--json"]).expect(1);
    assert_eq!(said.problem()["code"], "conflict");
    assert!(said.problem()["detail"].as_str().unwrap().contains("do not say the same"), "{}", said.err);
    assert!(!exists(&world.path("mixed")));
    world.ask(&["submit", &files[2], "--no-wait"]).expect(0);
    assert_eq!(received(&world).signatures().len(), 2);
}

#[test]
fn a_grant_that_takes_two_people_is_granted() {
    let world = world();
    world.node.faults(Faults::default());
    let said = sign(&world, &["b"], &GRANT).expect(1);
    assert!(said.err.contains("authority `b` needs 2 signatures, 1 of its keys sign"), "{}", said.err);
    assert!(said.err.contains("--out FILE"), "{}", said.err);
    sign(&world, &["b", "b2"], &GRANT).expect(0);
    assert_eq!(world.node.entries().len(), 1);

    let paper = world.text("paper");
    sign(&world, &["b"], &[&GRANT[..], &["--act", "read", "--out", &paper]].concat()).expect(0);
    // Too early: the chain counts, and we say who is missing.
    let said = world.ask(&["submit", &paper]).expect(1);
    assert!(said.err.contains("signed so far: b 1 of 2"), "{}", said.err);
    let said = sign(&world, &["b2"], &["sign", &paper]).expect(0);
    assert!(
        said.out.starts_with("b grants alice `read` on file:x\n") && said.err.contains("signed: b 2 of 2"),
        "{said:?}"
    );
    let said = world.ask(&["submit", &paper]).expect(0);
    assert!(said.err.contains("done: b grants alice `read` on file:x; index "), "{}", said.err);
    // Twice is once.
    let again = world.ask(&["submit", &paper, "--json"]).expect(0).json();
    assert_eq!((again["duplicate"].as_bool(), world.node.entries().len()), (Some(true), 2));
    let paper = world.text("revocation");
    let id = said.out.trim();
    sign(&world, &["b"], &["revoke", id, "--out", &paper]).expect(0);
    sign(&world, &["b2"], &["sign", &paper]).expect(0);
    world.ask(&["submit", &paper]).expect(0);
    world.ask(&["check", "--sub", "alice", "--obj", "file:x", "--act", "read"]).expect(0);
    assert!(world.node.entries()[1].revoked.is_some());
}

#[test]
fn a_stranger_signs_nothing() {
    let world = world();
    let paper = world.text("paper");
    sign(&world, &["c"], &[&GRANT[..], &["--out", &paper]].concat()).expect(0);
    let before = std::fs::read(&paper).unwrap();
    for keys in [&["other"][..], &["a"], &["a", "other"]] {
        let said = sign(&world, keys, &["sign", &paper, "--json"]).expect(1);
        assert_eq!(said.problem()["code"], "unknown_key", "{keys:?}");
    }
    // A paper of another chain.
    let elsewhere = Node::of(crate::node::genesis(&["a", "b", "c"]));
    let said = writ(&["sign", &paper, "--key", &world.text("c.key"), "--node", elsewhere.url(), "--json"]).expect(1);
    assert_eq!(said.problem()["code"], "wrong_chain");
    sign(&world, &["c"], &["sign", &paper, "--chain", &"0".repeat(64)]).expect(1);
    assert_eq!(std::fs::read(&paper).unwrap(), before);
}

#[test]
fn a_machine_without_a_network_signs() {
    let world = world();
    let paper = world.text("paper");
    world.ask(&[&GRANT[..], &["--authority", "c", "--out", &paper]].concat()).expect(0);
    let (key, nowhere) = (world.text("c.key"), ["--node", "http://127.0.0.1:9"]);
    let said = writ(&[&["sign", &paper, "--key", &key], &nowhere[..]].concat()).expect(0);
    assert!(said.err.contains("no node answers") && said.out.contains("no node here tells its name"), "{said:?}");
    assert_eq!(draft(&world, "paper").keys(), [crate::node::key(3).public()]);
    let whole = world.text("whole");
    writ(&[&["combine", &paper, "--out", &whole], &nowhere[..]].concat()).expect(0);
    world.node.faults(Faults::default());
    world.ask(&["submit", &whole]).expect(0);
}

#[test]
fn bytes_to_sign_are_shown_in_words() {
    let world = world();
    let paper = world.text("paper");
    world.ask(&[&GRANT[..], &["--authority", "c", "--ref", "T-1", "--out", &paper]].concat()).expect(0);
    let unsigned = draft(&world, "paper");
    let prepared = Prepared { bytes: to_base64(unsigned.bytes()), id: unsigned.id(), keys: Vec::new(), threshold: 1 };
    std::fs::write(world.path("raw"), unsigned.bytes()).unwrap();
    world.write("base64", &to_base64(unsigned.bytes()));
    world.write("prepared", &serde_json::to_string(&prepared).unwrap());
    for name in ["raw", "base64", "prepared", "paper"] {
        let before = std::fs::read(world.path(name)).unwrap();
        // A key changes nothing: bytes are only shown.
        let said = sign(&world, &["c"], &["sign", "--bytes", &world.text(name)]).expect(0);
        assert!(said.out.starts_with("c grants alice every action on file:x\n"), "{name}: {}", said.out);
        assert!(said.out.contains("T-1") && said.out.contains("nobody yet"), "{name}: {}", said.out);
        assert_eq!(std::fs::read(world.path(name)).unwrap(), before);
        let json = world.ask(&["sign", "--bytes", &world.text(name), "--json"]).expect(0).json();
        assert_eq!((json["body"]["ref"].as_str(), json["complete"].as_bool()), (Some("T-1"), Some(false)));
    }
    // What a node prepared is signed with our tools, too.
    sign(&world, &["c"], &["sign", &world.text("prepared"), "--out", &world.text("signed")]).expect(0);
    world.node.faults(Faults::default());
    world.ask(&["submit", &world.text("signed")]).expect(0);
    let said = world.ask(&["sign", "--bytes", &world.write("junk", "hello")]).expect(1);
    assert!(said.err.contains("that is no record to sign"), "{}", said.err);
    world.ask(&["sign"]).expect(2);
    world.ask(&["sign", &paper, "--bytes", &paper]).expect(2);
}

#[test]
fn what_comes_too_late_is_not_signed() {
    let world = world();
    let paper = world.text("paper");
    world.ask(&[&GRANT[..], &["--authority", "c", "--out", &paper, "--submit-within", "1s"]].concat()).expect(0);
    while draft(&world, "paper").statement().submit_by.unwrap() > writ_client::clock::now() {
        std::thread::yield_now();
    }
    let said = sign(&world, &["c"], &["sign", &paper, "--json"]).expect(1);
    assert_eq!(said.problem()["code"], "expired_submission");
    assert!(draft(&world, "paper").keys().is_empty());
    for (within, want) in [("2h", "at most 3599 s"), ("0s", "too short"), ("soon", "is no length of time")] {
        let out = world.text("late");
        let said = world.ask(&[&GRANT[..], &["--authority", "c", "--out", &out, "--submit-within", within]].concat());
        assert!(said.expect(2).err.contains(want), "{within}");
        assert!(!exists(&world.path("late")));
    }
}

#[test]
fn nobody_changes_what_others_signed() {
    let world = world();
    let paper = world.text("paper");
    sign(&world, &["c"], &[&GRANT[..], &["--out", &paper]].concat()).expect(0);
    let good = std::fs::read_to_string(&paper).unwrap();
    let other = world.text("other");
    world.ask(&["grant", "--sub", "mallory", "--obj", "file:x", "--authority", "c", "--out", &other]).expect(0);
    let forged = good.replace(&to_base64(draft(&world, "paper").bytes()), &to_base64(draft(&world, "other").bytes()));
    assert_ne!(forged, good);
    let forged = world.write("forged", &forged);
    for command in [&["sign", &forged][..], &["submit", &forged], &["combine", &forged, "--out", &world.text("o")]] {
        let said = world.ask(&[command, &["--json"]].concat()).expect(1);
        assert_eq!(said.problem()["code"], "bad_signature", "{command:?}");
    }
    let unsigned = world.ask(&["submit", &other, "--json"]).expect(1);
    assert_eq!(unsigned.problem()["code"], "threshold_not_met");
    assert!(world.node.received().is_empty());
    // A signature that was made with other tools is taken in.
    let mut whole = draft(&world, "other");
    whole.add(key(3).public(), key(3).sign_in(writ_proto::hash::Domain::Record, whole.bytes())).unwrap();
    whole.create(&world.path("whole")).unwrap();
    world.ask(&["submit", &world.text("whole"), "--no-wait"]).expect(0);
    let Body::Access(access) = Signed::decode(world.node.received().remove(0)).unwrap().body().clone() else {
        panic!()
    };
    assert_eq!(access.sub.to_string(), "user:mallory");
}

#[test]
fn an_import_is_signed_with_one_key() {
    let world = world();
    keys::create(&world.path("c2.key"), &key(4), None).unwrap();
    let file = world.write("rows.csv", "sub,obj\na,x\n");
    let said = sign(&world, &["c", "c2"], &["import", &file]).expect(2);
    assert!(said.err.contains("an import is signed with one key"), "{}", said.err);
}
