//! Cases for the records that change the chain itself: validators, parameters, protocol versions.

use super::*;
use crate::block::validators_hash;
use crate::limits::{ACTIVATION_LEAD_MAX, ACTIVATION_LEAD_MIN, GENESIS_MEMBERS_MAX};
use crate::record::{ParameterChange, ValidatorChange};

/// The chain of the other tests with a third root, which has the key of the first and one of its own, and `quorum`
/// roots that must sign.
fn federation(quorum: u8) -> State {
    let mut genesis = genesis();
    genesis.authorities.push(RootAuthority {
        name: "org3".parse().unwrap(),
        keys: vec![enrolled(1), enrolled(7)],
        threshold: 1,
        scope: Scope::everything(),
    });
    genesis.root_quorum = quorum;
    State::new(genesis).unwrap()
}

/// A validator with the keys `n` and `n + 1`, which were made for this chain.
fn candidate(state: &State, name: &str, n: u8) -> ValidatorKeys {
    let enrolled = |n| EnrolledKey { key: key(n).public(), possession: key(n).prove_possession(state.chain()) };
    ValidatorKeys { name: name.parse().unwrap(), vote: enrolled(n), checkpoint: enrolled(n + 1) }
}

fn add(state: &State, name: &str, n: u8) -> Body {
    Body::Validator(ValidatorChange::Add(candidate(state, name, n)))
}

fn remove(n: u8) -> Body {
    Body::Validator(ValidatorChange::Remove(key(n).public().id()))
}

fn replace(n: u8, new: ValidatorKeys) -> Body {
    Body::Validator(ValidatorChange::Replace { old: key(n).public().id(), new })
}

fn set(parameters: Parameters) -> Body {
    Body::Parameter(ParameterChange::Set(parameters))
}

fn activate(protocol: u32, height: u64) -> Body {
    Body::Parameter(ParameterChange::Activate { protocol, height })
}

/// A record of the whole quorum of [`state`], which is `org1` alone.
fn ruled(state: &State, n: u64, body: Body) -> Verified {
    state.verify(signed_by(state, "org1", &[1], n, body)).unwrap()
}

fn names(state: &State) -> Vec<String> {
    state.validators().iter().map(|validator| validator.name.to_string()).collect()
}

fn judge(state: &State, body: Body) -> Result<(), Code> {
    state.admit(&ruled(state, 999, body), state.tip().time.saturating_add_millis(1000)).map_err(|refusal| refusal.code)
}

#[test]
fn the_chain_is_changed_by_enough_roots_each_with_enough_keys() {
    type Case = (&'static str, u8, &'static str, &'static [u8], Result<(), Code>);
    let cases: [Case; 14] = [
        ("one root of one", 1, "org1", &[1], Ok(())),
        ("one root of one, by two of its keys", 1, "org2", &[2, 4], Ok(())),
        ("too few keys of the only root that signs", 1, "org2", &[2], Err(Code::ThresholdNotMet)),
        ("a key of two roots counts for both", 2, "org1", &[1], Ok(())),
        ("whichever of them is named", 2, "org3", &[1], Ok(())),
        ("the second root's own key counts once", 2, "org3", &[7], Err(Code::ThresholdNotMet)),
        ("two roots of two", 2, "org2", &[2, 3, 7], Ok(())),
        ("the second root with too few keys", 2, "org3", &[3, 7], Err(Code::ThresholdNotMet)),
        ("enough roots, but the one that is named has not signed", 2, "org2", &[1, 7], Err(Code::ThresholdNotMet)),
        ("nor with enough keys", 2, "org2", &[1, 2, 7], Err(Code::ThresholdNotMet)),
        ("all three", 3, "org1", &[1, 2, 4], Ok(())),
        ("two where all three must", 3, "org1", &[1, 2], Err(Code::ThresholdNotMet)),
        ("a validator's key", 1, "org1", &[1, 5], Err(Code::UnknownKey)),
        ("a root that nobody knows", 1, "org9", &[1], Err(Code::UnknownAuthority)),
    ];
    for (case, quorum, named, keys, expected) in cases {
        let state = federation(quorum);
        for body in [add(&state, "v1", 20), remove(5), set(Parameters::default()), activate(2, 100)] {
            let verified = state.verify(signed_by(&state, named, keys, 0, body));
            if let Ok(verified) = &verified {
                assert_eq!(verified.keys().len(), keys.len(), "{case}: every key that signed");
                assert!(verified.keys().is_sorted(), "{case}");
            }
            assert_eq!(verified.map(drop).map_err(|refusal| refusal.code), expected, "{case}");
        }
    }
    // Nothing of this helps a record of another kind.
    let state = federation(1);
    let foreign = state.verify(signed_by(&state, "org1", &[1, 7], 0, grant("ada", "file:org2/x")));
    assert_eq!(foreign.unwrap_err().code, Code::UnknownKey);
}

#[test]
fn every_signature_of_a_quorum_must_fit() {
    let state = federation(2);
    let good = signed_by(&state, "org1", &[1, 2, 3], 0, add(&state, "v1", 20));
    for at in 0..3 {
        let mut signatures = good.signatures().to_vec();
        signatures[at].1 = key(9).sign_in(crate::hash::Domain::Record, good.signed_bytes());
        let forged = Signed::assemble(good.signed_bytes().to_vec(), signatures).unwrap();
        assert_eq!(state.verify(forged.clone()).unwrap_err().code, Code::BadSignature, "{at}");
        assert!(state.recall(forged).is_ok(), "what was checked before is not checked again");
    }
    let few = signed_by(&state, "org2", &[2, 3], 0, add(&state, "v1", 20));
    assert_eq!(state.recall(few).unwrap_err().code, Code::ThresholdNotMet, "but the quorum is counted");
}

#[test]
fn a_new_validator_has_a_name_and_keys_of_its_own() {
    let state = state();
    let with = |change: fn(&mut ValidatorKeys)| {
        let mut new = candidate(&state, "v1", 20);
        change(&mut new);
        judge(&state, Body::Validator(ValidatorChange::Add(new)))
    };
    assert_eq!(with(|_| ()), Ok(()));
    type Case = (&'static str, Code, fn(&mut ValidatorKeys));
    let cases: [Case; 10] = [
        ("a validator's name", Code::Conflict, |new| new.name = "v0".parse().unwrap()),
        ("an authority's name", Code::Conflict, |new| new.name = "org2".parse().unwrap()),
        ("a validator's voting key", Code::Conflict, |new| new.vote = enrolled(5)),
        ("a validator's voting key, to cosign", Code::Conflict, |new| new.checkpoint = enrolled(5)),
        ("a validator's checkpoint key, to vote", Code::Conflict, |new| new.vote = enrolled(6)),
        ("an authority's key", Code::Conflict, |new| new.checkpoint = enrolled(3)),
        ("one key for both", Code::BadRequest, |new| new.checkpoint = new.vote),
        ("a possession that was proved for a genesis", Code::BadRequest, |new| new.vote = enrolled(20)),
        ("another key's possession", Code::BadRequest, |new| new.vote.possession = new.checkpoint.possession),
        ("a key that none may have", Code::BadRequest, |new| new.checkpoint.key = PublicKey([0; 32])),
    ];
    for (case, code, change) in cases {
        assert_eq!(with(change), Err(code), "{case}");
    }
}

#[test]
fn a_change_counts_from_the_next_height_on() {
    let mut state = state();
    let before = state.validators().to_vec();
    let added = ruled(&state, 0, add(&state, "v1", 20));
    let built = commit(&mut state, vec![added]);
    assert_eq!(outcomes(&built), [Outcome::Accepted]);
    assert_ne!(built.changes.leaf.executed.next_validators, validators_hash(&before));
    assert_eq!(built.changes.leaf.executed.next_validators, validators_hash(state.validators()));
    assert_eq!(names(&state), ["v0", "v1"]);
    // The new one may propose now, and may not have before.
    let time = at(START + 60_000);
    let by_new = state.build(time, key(20).public().id(), Vec::new()).unwrap();
    assert!(state.execute(&by_new.block, Vec::new()).is_ok());
    let early = super::state().build(time, key(20).public().id(), Vec::new()).unwrap();
    let refused = super::state().execute(&early.block, Vec::new()).unwrap_err();
    assert!(matches!(refused, Invalid::Header { field: "proposer", .. }), "{refused}");
    // Who is removed still proposes the block that removes it, and none after.
    let removed = ruled(&state, 1, remove(5));
    commit(&mut state, vec![removed]);
    assert_eq!(names(&state), ["v1"]);
    let late = state.build(at(START + 90_000), proposer(), Vec::new()).unwrap();
    assert!(state.execute(&late.block, Vec::new()).is_err());
    assert_eq!(state.settled(&built.changes.records[0].record.id()).map(|settled| settled.entry), Some(None));
}

#[test]
fn the_last_validator_stays_and_there_are_never_too_many() {
    let mut genesis = genesis();
    for n in 1..GENESIS_MEMBERS_MAX {
        let enrolled = |seed: [u8; 32]| {
            let key = SecretKey::from_seed(&seed);
            EnrolledKey { key: key.public(), possession: key.prove_possession(&Digest::ZERO) }
        };
        let seed = |role: u8| Digest::of(&[&[role], &n.to_le_bytes()]).0;
        genesis.validators.push(ValidatorKeys {
            name: format!("v{n}").parse().unwrap(),
            vote: enrolled(seed(0)),
            checkpoint: enrolled(seed(1)),
        });
    }
    let mut full = State::new(genesis).unwrap();
    assert_eq!(judge(&full, add(&full, "more", 20)), Err(Code::LimitExceeded));
    let records = vec![ruled(&full, 0, remove(5)), ruled(&full, 1, add(&full, "more", 20))];
    assert_eq!(codes(&commit(&mut full, records)), [], "one goes, one comes, in one block");
    assert_eq!(full.validators().len(), GENESIS_MEMBERS_MAX);

    let alone = state();
    assert_eq!(judge(&alone, remove(5)), Err(Code::Conflict));
    assert_eq!(judge(&alone, remove(6)), Err(Code::NotFound), "a checkpoint key names nobody");
    assert_eq!(judge(&alone, replace(20, candidate(&alone, "v1", 30))), Err(Code::NotFound));
}

#[test]
fn in_one_block_each_change_stands_on_those_before_it() {
    let mut state = state();
    let records = [
        add(&state, "v1", 20),
        add(&state, "v1", 30),
        add(&state, "v2", 20),
        remove(5),
        remove(20),
        remove(5),
        add(&state, "v3", 40),
        remove(20),
        add(&state, "v1", 50),
    ];
    let records: Vec<_> = records.into_iter().zip(0..).map(|(body, n)| ruled(&state, n, body)).collect();
    let built = commit(&mut state, records);
    // Its name is taken; its keys are taken; it is the last; it is gone; what a past one had is never used again.
    let expected = [Code::Conflict, Code::Conflict, Code::Conflict, Code::NotFound, Code::Conflict];
    assert_eq!(codes(&built), expected);
    assert_eq!(names(&state), ["v3"]);
    assert_eq!(judge(&state, add(&state, "v0", 60)), Err(Code::Conflict), "nor in a later block");
    assert_eq!(judge(&state, add(&state, "v9", 5)), Err(Code::Conflict));
}

#[test]
fn a_validator_gets_new_keys_in_its_place_and_may_keep_what_it_has() {
    let mut state = state();
    let second = ruled(&state, 0, add(&state, "v1", 20));
    commit(&mut state, vec![second]);
    let old = state.validators()[0].clone();
    let fresh = candidate(&state, "v0", 30);
    let cases = [
        ("both keys", fresh.clone(), Ok(())),
        ("the voting key alone", ValidatorKeys { checkpoint: old.checkpoint, ..fresh.clone() }, Ok(())),
        ("the checkpoint key alone", ValidatorKeys { vote: old.vote, ..fresh.clone() }, Ok(())),
        ("another name too", ValidatorKeys { name: "v7".parse().unwrap(), ..fresh.clone() }, Ok(())),
        ("nothing", old.clone(), Err(Code::Conflict)),
        ("only the name", ValidatorKeys { name: "v7".parse().unwrap(), ..old.clone() }, Err(Code::Conflict)),
        ("another's name", ValidatorKeys { name: "v1".parse().unwrap(), ..fresh.clone() }, Err(Code::Conflict)),
        (
            "another's key",
            ValidatorKeys { vote: candidate(&state, "v1", 20).vote, ..fresh.clone() },
            Err(Code::Conflict),
        ),
        (
            "its keys the other way round",
            ValidatorKeys { vote: old.checkpoint, checkpoint: old.vote, ..fresh.clone() },
            Err(Code::Conflict),
        ),
        (
            "its voting key to cosign too",
            ValidatorKeys { vote: old.vote, checkpoint: old.vote, ..fresh.clone() },
            Err(Code::BadRequest),
        ),
        (
            "a key it has with another possession",
            ValidatorKeys { vote: candidate(&state, "v0", 5).vote, ..fresh.clone() },
            Err(Code::Conflict),
        ),
    ];
    for (case, new, expected) in cases {
        assert_eq!(judge(&state, replace(5, new)), expected, "{case}");
    }
    let renewed = ValidatorKeys { checkpoint: old.checkpoint, ..fresh };
    let record = ruled(&state, 1, replace(5, renewed.clone()));
    assert_eq!(codes(&commit(&mut state, vec![record])), []);
    assert_eq!(state.validators()[0], renewed, "in its place");
    assert_eq!(judge(&state, replace(30, old)), Err(Code::Conflict), "and never back");
}

#[test]
fn parameters_count_from_the_next_block_on() {
    let mut state = state();
    let short = Parameters { submit_ahead_ms_max: 1000, ..Parameters::default() };
    // In the block itself the old ones hold, also for what stands behind the change.
    let records = vec![
        ruled(&state, 0, set(short.clone())),
        ruled(&state, 1, set(Parameters { clock_bound_ms: 7, ..short.clone() })),
        org1(&state, 2, grant("ada", "file:org2/x")),
    ];
    assert_eq!(codes(&commit(&mut state, records)), []);
    assert_eq!(state.parameters(), &Parameters { clock_bound_ms: 7, ..short }, "the last one counts");
    assert_eq!(state.genesis().parameters, Parameters::default());
    let record = org1(&state, 3, grant("ada", "file:org2/y"));
    assert_eq!(state.admit(&record, at(START + 2000)).unwrap_err().code, Code::ExpiredSubmission);
    let back = super::state();
    let good = Parameters::default();
    for (case, parameters, expected) in [
        ("no time to submit", Parameters { submit_ahead_ms_max: 0, ..good.clone() }, Err(Code::BadRequest)),
        ("no clock bound", Parameters { clock_bound_ms: 0, ..good.clone() }, Err(Code::BadRequest)),
        ("no age", Parameters { proposal_age_ms_max: 0, clock_bound_ms: 1000, ..good.clone() }, Ok(())),
        ("no age and little bound", Parameters { proposal_age_ms_max: 0, ..good.clone() }, Err(Code::BadRequest)),
        (
            "just too little together",
            Parameters { clock_bound_ms: 1, proposal_age_ms_max: 998, ..good.clone() },
            Err(Code::BadRequest),
        ),
        ("just enough together", Parameters { clock_bound_ms: 1, proposal_age_ms_max: 999, ..good.clone() }, Ok(())),
        ("a day", Parameters { clock_bound_ms: 86_400_000, proposal_age_ms_max: 86_400_000, ..good.clone() }, Ok(())),
        ("more than a day", Parameters { clock_bound_ms: 86_400_001, ..good.clone() }, Err(Code::BadRequest)),
        ("an age of more", Parameters { proposal_age_ms_max: 86_400_001, ..good.clone() }, Err(Code::BadRequest)),
        ("for ever", Parameters { submit_ahead_ms_max: u64::MAX, ..good.clone() }, Err(Code::BadRequest)),
    ] {
        assert_eq!(judge(&back, set(parameters.clone())), expected, "{case}");
        assert_eq!(State::new(Genesis { parameters, ..genesis() }).is_ok(), expected.is_ok(), "{case}, in a genesis");
    }
}

#[test]
fn a_protocol_version_is_activated_ahead_and_one_at_a_time() {
    let mut state = state();
    commit(&mut state, Vec::new());
    // The next block is 2.
    let (first, last) = (2 + ACTIVATION_LEAD_MIN, 2 + ACTIVATION_LEAD_MAX);
    for (protocol, height, expected) in [
        (2, first, Ok(())),
        (2, last, Ok(())),
        (3, first, Ok(())),
        (u32::from(u16::MAX), first, Ok(())),
        (2, first - 1, Err(Code::Conflict)),
        (2, 0, Err(Code::Conflict)),
        (2, last + 1, Err(Code::LimitExceeded)),
        (2, u64::MAX, Err(Code::LimitExceeded)),
        (1, first, Err(Code::Conflict)),
        (0, first, Err(Code::Conflict)),
        (u32::from(u16::MAX) + 1, first, Err(Code::BadRequest)),
    ] {
        assert_eq!(judge(&state, activate(protocol, height)), expected, "{protocol} at {height}");
    }
    let records = vec![ruled(&state, 0, activate(2, first)), ruled(&state, 1, activate(3, first + 1))];
    assert_eq!(codes(&commit(&mut state, records)), [Code::Conflict]);
    assert_eq!(judge(&state, activate(3, first + 20)), Err(Code::Conflict), "one is pending");
    assert_eq!(state.pending_activation(), Some(Activation { protocol: 2, height: first }));
    assert_eq!([0, 1, first - 1, first, u64::MAX].map(|height| state.protocol_at(height)), [1, 1, 1, 2, 2]);
}

#[test]
fn two_builds_agree_up_to_the_height_at_which_the_older_one_stops() {
    let (mut old, mut new) = (state().speaking(1), state().speaking(2));
    let first = 1 + ACTIVATION_LEAD_MIN;
    let record = ruled(&old, 0, activate(2, first));
    let mut records = vec![record];
    while old.tip().height + 1 < first {
        let (of_old, of_new) = (commit(&mut old, records.clone()), commit(&mut new, core::mem::take(&mut records)));
        assert_eq!((&of_old.block, &of_old.changes.leaf), (&of_new.block, &of_new.changes.leaf));
        assert_eq!(of_new.block.header.version, 1);
        records.clear();
    }
    assert_eq!((old.tip(), old.log()), (new.tip(), new.log()));
    assert_eq!((old.pending_activation(), new.next_protocol()), (None, Ok(2)));
    let stop = UnsupportedProtocol { height: first, needs: 2, speaks: 1 };
    assert_eq!(old.next_protocol(), Err(stop));
    assert_eq!(stop.to_string(), "block 9 needs protocol 2, this program speaks up to 1");

    let built = commit(&mut new, Vec::new());
    assert_eq!((built.block.header.version, built.changes.leaf.version), (2, 1));
    assert_eq!(old.execute(&built.block, Vec::new()).err(), Some(Invalid::Protocol(stop)));
    let time = old.tip().time.saturating_add_millis(1);
    assert_eq!(old.build(time, proposer(), Vec::new()).err(), Some(Invalid::Protocol(stop)));
    // To call it the old version does not help, on either side.
    let mut disguised = built.block.clone();
    disguised.header.version = 1;
    assert_eq!(old.execute(&disguised, Vec::new()).err(), Some(Invalid::Protocol(stop)));
    let mut before = old.clone().speaking(2);
    let refused = before.execute(&disguised, Vec::new()).unwrap_err();
    assert!(matches!(refused, Invalid::Header { field: "version", .. }), "{refused}");
    // The old build goes on where it stopped once it is the new one.
    commit(&mut before, Vec::new());
    assert_eq!(before.tip(), new.tip());
    assert_eq!(judge(&new, activate(2, 100)), Err(Code::Conflict), "it is in force");
    assert_eq!(judge(&new, activate(3, 100)), Ok(()));
}

#[test]
fn who_proposes_follows_from_the_blocks_and_the_validators() {
    let mut state = state();
    assert_eq!(state.proposing_order(), [proposer()]);
    let records = vec![ruled(&state, 0, add(&state, "v1", 20)), ruled(&state, 1, add(&state, "v2", 30))];
    commit(&mut state, records);
    let everybody = state.validators.voters();
    assert_eq!(everybody.len(), 3);
    // Blocks are all built by the first validator, so the others miss their turns, once each in 20 heights.
    let mut firsts = Vec::new();
    for _ in 0..20 {
        let order = state.proposing_order();
        firsts.push(order[0]);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, everybody);
        commit(&mut state, Vec::new());
    }
    let missed = firsts.iter().filter(|first| **first != proposer()).count();
    assert!((2..=4).contains(&missed), "{missed} turns of those who are away");
    let removed = ruled(&state, 2, remove(20));
    commit(&mut state, vec![removed]);
    assert_eq!(state.proposing_order().len(), 2);
    assert_eq!(state.turns.order(&state.validators.voters(), state.tip().height + 1), state.proposing_order());
}
