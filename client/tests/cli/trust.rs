//! `writ validator` and `writ parameter`, signed by keys of one hand.
//!
//! The node in memory refuses what its state machine does not carry out; what is sent is looked at byte by byte.

use serde_json::json;
use writ_client::keys;
use writ_proto::genesis::{Genesis, Parameters};
use writ_proto::hash::Digest;
use writ_proto::record::{Body, EnrolledKey, ParameterChange, Signed, ValidatorChange, ValidatorKeys};

use crate::node::{Faults, Node, genesis, key};
use crate::program::{Said, World};

/// Roots `a` (key 1), `b` (two of keys 2 and 12) and `c` (key 3), of which two must sign.
pub(crate) fn federation() -> Genesis {
    let mut genesis = genesis(&["a", "b", "c"]);
    genesis.authorities[1].keys.push(enrolled(12, &Digest::ZERO));
    genesis.authorities[1].threshold = 2;
    genesis.root_quorum = 2;
    genesis
}

fn enrolled(n: u8, chain: &Digest) -> EnrolledKey {
    EnrolledKey { key: key(n).public(), possession: key(n).prove_possession(chain) }
}

/// A world of that federation, whose node takes everything without a look.
pub(crate) fn world() -> World {
    let world = World::of(&["a", "b", "c"], Node::of(federation()));
    keys::create(&world.path("b2.key"), &key(12), None).unwrap();
    keys::create(&world.path("other.key"), &key(77), None).unwrap();
    world.node.faults(Faults { is_slow: usize::MAX, ..Faults::default() });
    world
}

/// Runs with these keys.
pub(crate) fn sign(world: &World, keys: &[&str], arguments: &[&str]) -> Said {
    let paths: Vec<String> = keys.iter().map(|name| world.text(&format!("{name}.key"))).collect();
    let keys: Vec<&str> = paths.iter().flat_map(|path| ["--key", path.as_str()]).collect();
    world.ask(&[arguments, &keys].concat())
}

/// The file that a validator's home has.
pub(crate) fn validator_file(world: &World, name: &str, numbers: [u8; 2], chain: &Digest) -> String {
    let [vote, checkpoint] = numbers.map(|n| enrolled(n, chain));
    let keys = ValidatorKeys { name: name.parse().unwrap(), vote, checkpoint };
    world.write(&format!("{name}.json"), &serde_json::to_string_pretty(&keys).unwrap())
}

/// The only record that the node received, whose signatures are good.
#[track_caller]
pub(crate) fn received(world: &World) -> Signed {
    let received = world.node.received();
    assert_eq!(received.len(), 1);
    let signed = Signed::decode(received[0].clone()).unwrap();
    for (id, signature) in signed.signatures() {
        let signer = (0..=255).map(|n| key(n).public()).find(|key| key.id() == *id).unwrap();
        signer.verify(signed.signed_bytes(), signature).unwrap();
    }
    signed
}

#[test]
fn a_validator_is_added_by_a_quorum_of_the_roots() {
    let world = world();
    let chain = world.node.genesis().chain_id();
    let file = validator_file(&world, "v1", [210, 211], &chain);
    let add = ["validator", "add", "--validator", &file, "--no-wait"];
    let said = sign(&world, &["a", "c"], &add).expect(0);
    let record = received(&world);
    assert_eq!(said.out.trim(), record.id().to_string());
    assert!(said.err.contains("then: 2 validators vote, 2 must agree, 0 may fail or lie"), "{}", said.err);
    assert!(said.err.contains("sent: a adds the validator `v1`"), "{}", said.err);
    let Body::Validator(ValidatorChange::Add(keys)) = record.body() else { panic!("{record:?}") };
    assert_eq!(
        serde_json::to_value(keys).unwrap(),
        serde_json::from_str::<serde_json::Value>(&std::fs::read_to_string(&file).unwrap()).unwrap()
    );
    assert_eq!((record.statement().chain, record.signatures().len()), (chain, 2));
    let within = record.statement().submit_by.unwrap().millis_since(writ_client::clock::now());
    assert!((500_000..=600_000).contains(&within), "{within}");
}

#[test]
fn too_few_roots_are_refused_before_anything_is_sent() {
    let world = world();
    let file = validator_file(&world, "v1", [210, 211], &world.node.genesis().chain_id());
    let add = ["validator", "add", "--validator", &file, "--no-wait"];
    for (keys, code, want) in [
        (&["a"][..], "threshold_not_met", "2 root authorities must sign this"),
        // One of two keys is no root.
        (&["a", "b"], "threshold_not_met", "2 root authorities must sign this"),
        (&["b", "b2"], "threshold_not_met", "2 root authorities must sign this"),
        (&["a", "a"], "threshold_not_met", "2 root authorities must sign this"),
        (&["a", "a", "c", "--authority"], "threshold_not_met", "`b` needs 2 signatures, 0 of its keys sign"),
        (&["a", "other"], "unknown_key", "belongs to no root authority"),
        (&["other"], "unknown_key", "belongs to no authority"),
    ] {
        let (keys, named) = match keys {
            [keys @ .., "--authority"] => (keys, &["--authority", "b"][..]),
            keys => (keys, &[][..]),
        };
        let said = sign(&world, keys, &[&add[..], named, &["--json"]].concat()).expect(1);
        let problem = said.problem();
        assert_eq!(problem["code"], code, "{keys:?}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(want), "{keys:?}: {problem}");
    }
    sign(&world, &[], &add).expect(2);
    assert!(world.node.received().is_empty());
    sign(&world, &["a", "b", "b2"], &add).expect(0);
    assert_eq!(received(&world).signatures().len(), 3);
}

#[test]
fn a_file_that_describes_no_validator_is_refused() {
    let world = world();
    let chain = world.node.genesis().chain_id();
    let add = |file: &str| {
        let said = sign(&world, &["a", "c"], &["validator", "add", "--validator", file, "--no-wait"]).expect(1);
        assert!(said.out.is_empty(), "{said:?}");
        said.err
    };
    for (file, want) in [
        (world.text("missing"), "cannot read `"),
        (world.write("x.json", "{}"), "describes no validator: missing field"),
        (validator_file(&world, "one-key", [210, 210], &chain), "votes and cosigns with one key"),
        (validator_file(&world, "early", [210, 211], &Digest::ZERO), "its voting key is proved for a genesis"),
        (validator_file(&world, "foreign", [210, 211], &Digest([9; 32])), "its voting key: "),
        (validator_file(&world, "v0", [210, 211], &chain), "there is a validator `v0` already"),
        (validator_file(&world, "again", [200, 211], &chain), "is one of validator `v0`"),
        (validator_file(&world, "swapped", [201, 211], &chain), "is one of validator `v0`"),
    ] {
        let err = add(&file);
        assert!(err.contains(want), "{file}: {err}");
    }
    assert!(world.node.received().is_empty());
}

#[test]
fn a_validator_is_named_by_its_name_or_its_voting_key() {
    let id = key(200).public().id();
    let mut founded = federation();
    founded.validators.push(ValidatorKeys {
        name: "v1".parse().unwrap(),
        vote: enrolled(202, &Digest::ZERO),
        checkpoint: enrolled(203, &Digest::ZERO),
    });
    for typed in ["v0", &id.to_string()] {
        let world = World::of(&["a", "b", "c"], Node::of(founded.clone()));
        world.node.faults(Faults { is_slow: usize::MAX, ..Faults::default() });
        let said = sign(&world, &["a", "c"], &["validator", "remove", typed, "--no-wait"]).expect(0);
        assert!(said.err.contains("then: 1 validator votes, 1 must agree"), "{}", said.err);
        assert_eq!(received(&world).body(), &Body::Validator(ValidatorChange::Remove(id)));
    }
    let world = World::of(&["a", "b", "c"], Node::of(founded));
    world.node.faults(Faults { is_slow: usize::MAX, ..Faults::default() });
    let said = sign(&world, &["a", "c"], &["validator", "remove", "v9", "--no-wait", "--json"]).expect(1);
    assert_eq!(said.problem()["code"], "not_found");
    // Its own name may stay, another's may not.
    let chain = world.node.genesis().chain_id();
    let other = validator_file(&world, "v1", [210, 211], &chain);
    let replace =
        |file: &str| sign(&world, &["a", "c"], &["validator", "replace", "v0", "--validator", file, "--no-wait"]);
    assert!(replace(&other).expect(1).err.contains("there is a validator `v1` already"));
    let own = validator_file(&world, "v0", [210, 211], &chain);
    replace(&own).expect(0);
    let record = received(&world);
    let Body::Validator(ValidatorChange::Replace { old, new }) = record.body() else { panic!("{record:?}") };
    assert_eq!((*old, new.vote), (id, enrolled(210, &chain)));
    // So may its checkpoint key, proved for the genesis when it came; in the other place it would be a new one.
    let keys = |vote, checkpoint| ValidatorKeys { name: "v0".parse().unwrap(), vote, checkpoint };
    let (new, kept) = (enrolled(210, &chain), enrolled(201, &Digest::ZERO));
    let file = |keys: ValidatorKeys| world.write("kept.json", &serde_json::to_string(&keys).unwrap());
    replace(&file(keys(new, kept))).expect(0);
    assert!(replace(&file(keys(kept, new))).expect(1).err.contains("proved for a genesis"));
}

#[test]
fn the_last_validator_stays() {
    let world = world();
    let said = sign(&world, &["a", "c"], &["validator", "remove", "v0"]).expect(1);
    assert!(said.err.contains("`v0` is the only validator"), "{}", said.err);
    assert!(world.node.received().is_empty());
}

#[test]
fn validators_are_listed_with_the_ids_of_their_keys() {
    let world = world();
    let said = world.ask(&["validator", "list"]).expect(0);
    assert!(said.out.contains("v0") && said.out.contains(&key(200).public().id().to_string()), "{}", said.out);
    assert!(said.err.contains("at height: 1: 1 validator votes"), "{}", said.err);
    let told = world.ask(&["validator", "list", "--json"]).expect(0).json();
    assert_eq!(told["validators"][0]["vote_key"], key(200).public().to_string());
}

#[test]
fn parameters_that_are_not_named_stay_as_they_are_now() {
    let world = world();
    let shown = world.ask(&["parameter", "show"]).expect(0);
    assert!(shown.err.contains("these are the genesis's") && shown.out.contains("3600000"), "{shown:?}");
    assert!(shown.out.contains("2 of 3"), "{}", shown.out);
    let now = Parameters { submit_ahead_ms_max: 60_000, clock_bound_ms: 900, proposal_age_ms_max: 1_000 };
    world.node.parameters(now.clone());
    let shown = world.ask(&["parameter", "show", "--json"]).expect(0).json();
    assert_eq!(shown["parameters"], json!(now));

    let said = sign(&world, &["a", "c"], &["parameter", "set", "--clock-bound-ms", "750", "--no-wait"]).expect(0);
    assert!(said.err.contains("change: clock_bound_ms from 900 to 750\n"), "{}", said.err);
    assert_eq!(said.err.matches("change:").count(), 1, "{}", said.err);
    let record = received(&world);
    assert_eq!(record.body(), &Body::Parameter(ParameterChange::Set(Parameters { clock_bound_ms: 750, ..now })));
    // The chain allows a minute by now, less what clocks may disagree.
    let within = record.statement().submit_by.unwrap().millis_since(writ_client::clock::now());
    assert!(within <= 59_100, "{within}");
    sign(&world, &["a", "c"], &["parameter", "set"]).expect(2);
    sign(&world, &["a", "c"], &["parameter", "set", "--clock-bound-ms", "0"]).expect(2);
}

#[test]
fn a_protocol_version_is_activated_at_a_height_to_come() {
    let world = world();
    let activate = |height: &str| {
        sign(&world, &["a", "c"], &["parameter", "activate", "--protocol", "3", "--height", height, "--no-wait"])
    };
    assert!(activate("0").expect(2).err.contains("the chain has reached 0"));
    let said = activate("500").expect(0);
    assert!(said.err.contains("a makes 3 the protocol version from height 500 on"), "{}", said.err);
    let change = ParameterChange::Activate { protocol: 3, height: 500 };
    assert_eq!(received(&world).body(), &Body::Parameter(change));
}

#[test]
fn what_the_chain_refuses_fails_with_its_code() {
    let world = world();
    world.node.faults(Faults::default());
    // The name of an authority is none for a validator.
    let file = validator_file(&world, "a", [210, 211], &world.node.genesis().chain_id());
    let said = sign(&world, &["a", "c"], &["validator", "add", "--validator", &file, "--json"]).expect(1);
    assert!(said.problem()["status"].is_number() && said.out.is_empty(), "{said:?}");
}

#[test]
fn what_a_quorum_signed_changes_the_chain() {
    let world = world();
    world.node.faults(Faults::default());
    let chain = world.node.genesis().chain_id();
    // Parameters first: the node in memory votes alone, so a second validator would leave it without a quorum.
    let said = sign(&world, &["a", "c"], &["parameter", "set", "--submit-ahead-ms-max", "90000"]).expect(0);
    assert!(said.err.contains("done: a sets the chain's parameters; index 0, height 1"), "{}", said.err);
    let said =
        sign(&world, &["b", "b2", "a"], &["parameter", "activate", "--protocol", "3", "--height", "500"]).expect(0);
    assert!(said.err.contains("done: b makes 3 the protocol version"), "{}", said.err);
    let file = validator_file(&world, "v1", [210, 211], &chain);
    let paper = world.text("paper");
    sign(&world, &["a"], &["validator", "add", "--validator", &file, "--out", &paper]).expect(0);
    let early = world.ask(&["submit", &paper, "--json"]).expect(1);
    assert_eq!(early.problem()["code"], "threshold_not_met");
    assert!(early.problem()["hint"].as_str().unwrap().contains("a 1 of 1; 1 of the 2"), "{}", early.err);
    sign(&world, &["c"], &["sign", &paper]).expect(0);
    world.ask(&["submit", &paper]).expect(0);
    let listed = world.ask(&["validator", "list"]).expect(0);
    assert!(listed.out.contains("v1") && listed.err.contains("4: 2 validators vote"), "{listed:?}");
    sign(&world, &["a", "c"], &["validator", "remove", "v0"]).expect(0);
    assert!(!world.ask(&["validator", "list"]).expect(0).out.contains("v0"));
}
