//! `writ export` and `writ audit`.

use writ_proto::api::digest_from_base64;
use writ_proto::checkpoint::{Checkpoint, Cosignature, Cosigners};
use writ_proto::key::SecretKey;
use writ_proto::record::ValidatorKeys;

use crate::node::{Node, enrolled, key};
use crate::program::{World, exists, writ};

/// A world with some blocks.
fn story() -> World {
    let world = World::new(&["org1", "org2"]);
    for n in 0..5 {
        let grant = world.id("org1", &["grant", "--sub", &format!("u{n}"), "--obj", "file:x"]);
        if n % 2 == 0 {
            world.sign("org1", &["revoke", &grant]).expect(0);
        }
    }
    let rows: String = (0..50).map(|n| format!("u{n},x\n")).collect();
    let file = world.write("rows.csv", &format!("sub,obj\n{rows}"));
    world.sign("org2", &["import", &file]).expect(0);
    world
}

#[test]
fn a_good_export_is_good_and_says_how_much_it_holds() {
    let world = story();
    let (file, genesis) =
        (world.text("chain.writ"), world.write("genesis.json", &serde_json::to_string(&world.node.genesis()).unwrap()));
    let said = world.ask(&["export", "--out", &file]).expect(0);
    assert!(
        said.out.is_empty() && said.err.contains("done: 9 blocks with 58 records, 67 leaves, verified"),
        "{said:?}"
    );
    let said = writ(&["audit", "--file", &file, "--genesis", &genesis]).expect(0);
    assert!(said.out.starts_with("good\n") && said.out.contains("58 on records, 9 of validators"), "{}", said.out);
    assert!(said.err.is_empty(), "{}", said.err);
    let said = writ(&["audit", "--file", &file]).expect(0);
    assert!(said.err.contains("note: the file's own genesis is believed"), "{}", said.err);
    let report = writ(&["audit", "--file", &file, "--json", "--from", "8"]).expect(0).json();
    assert_eq!((report["verdict"].as_str(), report["height"].as_u64()), (Some("good"), Some(9)));
    assert_eq!(report["listed"].as_array().unwrap().len(), 2);
    let status = world.ask(&["status", "--json"]).expect(0).json();
    for member in ["log_root", "log_size", "commit_leaf", "chain"] {
        assert_eq!(report[member], status[member], "{member}");
    }
    // To standard output, byte for byte the same.
    let piped = crate::program::command(&["export", "--node", world.node.url()]).output().unwrap();
    assert_eq!(piped.stdout, std::fs::read(&file).unwrap());
    // Twice, the first stays until the second is whole.
    world.ask(&["export", "--out", &file]).expect(0);
}

#[test]
fn a_damaged_export_is_bad_and_the_place_is_named() {
    let world = story();
    let file = world.text("chain.writ");
    world.ask(&["export", "--out", &file]).expect(0);
    let bytes = std::fs::read(&file).unwrap();
    for at in [0, 20, 400, bytes.len() / 2, bytes.len() - 200, bytes.len() - 1] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x40;
        std::fs::write(&file, damaged).unwrap();
        let genesis = world.write("genesis.json", &serde_json::to_string(&world.node.genesis()).unwrap());
        let said = writ(&["audit", "--file", &file, "--genesis", &genesis]).expect(1);
        assert!(said.out.starts_with("bad\n") && said.out.contains("part"), "byte {at}: {}", said.out);
        assert!(said.err.starts_with("error: the chain is not good: "), "byte {at}: {}", said.err);
        let said = writ(&["audit", "--file", &file, "--genesis", &genesis, "--json"]).expect(1);
        assert_eq!(said.json()["verdict"], "bad");
        assert_eq!(said.problem()["code"], "bad_chain");
    }
    std::fs::write(&file, &bytes[..bytes.len() - 300]).unwrap();
    let said = writ(&["audit", "--file", &file]).expect(1);
    assert!(said.out.contains("the bytes end"), "{}", said.out);
}

#[test]
fn another_genesis_is_another_chain() {
    let world = story();
    let file = world.text("chain.writ");
    world.ask(&["export", "--out", &file]).expect(0);
    let other = world.write("other.json", &serde_json::to_string(&Node::new(&["org1"]).genesis()).unwrap());
    let said = writ(&["audit", "--file", &file, "--genesis", &other]).expect(1);
    assert!(said.out.contains("genesis"), "{said:?}");
    world.ask(&["audit", "--genesis", &other]).expect(1);
    world.ask(&["audit", "--chain", &"0".repeat(64)]).expect(1);
    writ(&["audit", "--file", &file, "--chain", &"0".repeat(64)]).expect(1);
}

#[test]
fn the_nodes_are_verified_and_compared() {
    let world = story();
    let said = world.ask(&["audit"]).expect(0);
    assert!(
        said.out.starts_with("good\n") && said.out.contains(&format!("{} agrees, at height 9", world.node.url())),
        "{}",
        said.out
    );
    assert!(said.err.contains("note: the nodes' own genesis is believed"), "{}", said.err);

    // A node of the same chain that is behind agrees; one that went another way does not.
    let behind = Node::of(world.node.genesis());
    let both = ["audit", "--node", behind.url(), "--node", world.node.url()];
    let said = writ(&both).expect(0);
    assert!(said.out.contains("agrees, at height 0") && said.out.contains("agrees, at height 9"), "{}", said.out);
    let said = writ(&[&both[..], &["--node", "http://127.0.0.1:9"]].concat()).expect(0);
    assert!(said.out.contains("http://127.0.0.1:9 did not answer"), "{}", said.out);
    let key = world.text("org1.key");
    writ(&["grant", "--sub", "mallory", "--obj", "file:x", "--key", &key, "--node", behind.url()]).expect(0);
    for nodes in [[behind.url(), world.node.url()], [world.node.url(), behind.url()]] {
        let said = writ(&["audit", "--node", nodes[0], "--node", nodes[1]]).expect(1);
        assert!(
            said.out.starts_with("bad\n") && said.out.contains("commit leaf") || said.out.contains("previous"),
            "{}",
            said.out
        );
    }
}

#[test]
fn a_checkpoint_is_of_the_chain_and_of_its_validators_or_the_audit_is_bad() {
    let world = story();
    let origin = world.node.genesis().chain;
    let validator = key(201);
    let client = writ_client::Client::new([world.node.url()]).unwrap();
    let status = client.status().unwrap();
    let (size, root) = (status.log_size, digest_from_base64(&status.log_root).unwrap());
    let note = |size, root, key: &SecretKey| {
        let keys = ValidatorKeys { checkpoint: enrolled(key), ..world.node.genesis().validators[0].clone() };
        let one = Cosignature::sign(&Checkpoint { origin: origin.clone(), size, root }, 1, key, 5);
        Cosigners::of(&origin, &[keys]).assemble(&one.checkpoint(&origin), &[one]).unwrap()
    };
    world.node.show_checkpoint(note(size, root, &validator));
    let said = world.ask(&["audit"]).expect(0);
    assert!(said.out.contains(&format!("a checkpoint of {size} leaves that a quorum signed")), "{}", said.out);
    let said = world.ask(&["status"]).expect(0);
    assert!(said.out.contains(&format!("{size} leaves, signed by 1 of 1 validators")), "{}", said.out);
    assert_eq!(world.ask(&["audit", "--json"]).expect(0).json()["nodes"][0]["checkpoint"], size);
    // An older one is a part of the chain, and one of a log that went on.
    world.sign("org1", &["grant", "--sub", "late", "--obj", "file:x"]).expect(0);
    world.ask(&["audit"]).expect(0);

    let other = writ_proto::hash::Digest([9; 32]);
    for (case, bad) in [
        ("another root", note(size, other, &validator)),
        ("another root of a size within a block", note(size - 1, other, &validator)),
        ("a stranger", note(size, root, &key(77))),
        ("no note", "x".into()),
    ] {
        world.node.show_checkpoint(bad);
        let said = world.ask(&["audit"]).expect(1);
        assert!(said.out.starts_with("bad\n") && said.out.contains("checkpoint"), "{case}: {}", said.out);
        assert_eq!(world.ask(&["audit", "--json"]).expect(1).json()["part"], "checkpoint", "{case}");
    }
    let said = world.ask(&["status"]).expect(0);
    assert!(said.out.contains("not to be trusted"), "{}", said.out);
}

#[test]
fn an_export_that_fails_leaves_nothing() {
    let world = story();
    let file = world.text("chain.writ");
    let said = writ(&["export", "--out", &file, "--node", "http://127.0.0.1:9"]).expect(1);
    assert!(said.err.contains("no node answers"), "{}", said.err);
    assert!(!exists(&world.path("chain.writ")));
    let left: Vec<_> = std::fs::read_dir(world.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains(".part")), "{left:?}");
}

#[test]
fn an_empty_chain_is_good() {
    let world = World::new(&["org1"]);
    let file = world.text("chain.writ");
    world.ask(&["export", "--out", &file]).expect(0);
    let said = writ(&["audit", "--file", &file]).expect(0);
    assert!(said.out.starts_with("good\n") && said.out.contains("none yet"), "{}", said.out);
    world.ask(&["audit"]).expect(0);
}
