//! Cases for the state machine: what a block may hold, the bounds, and that building and executing agree.

mod governing;
mod sets;

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::block::Outcome;
use crate::genesis::{Parameters, RootAuthority};
use crate::key::SecretKey;
use crate::limits::{
    LIVE_GRANTS_PER_KEY_MAX, LIVE_MEMBERSHIPS_PER_SUBJECT_MAX, REJECTED_PER_KEY_MAX, WAITING_REVOCATIONS_MAX,
};
use crate::name::{ActionPattern, Pattern, Side};
use crate::record::{Access, Class, Effect, EnrolledKey, Nonce, Revoke, Statement};
use crate::scope::{Rule, Scope};

const START: u64 = 1_000_000;

fn key(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

fn enrolled(n: u8) -> EnrolledKey {
    EnrolledKey { key: key(n).public(), possession: key(n).prove_possession(&Digest::ZERO) }
}

fn at(ms: u64) -> LedgerTime {
    LedgerTime::from_millis(ms).unwrap()
}

/// `org1` may do everything with one key; `org2` only below its own tree, and two of its keys must sign.
fn genesis() -> Genesis {
    let root = |name: &str, keys: Vec<EnrolledKey>, threshold, scope| RootAuthority {
        name: name.parse().unwrap(),
        keys,
        threshold,
        scope,
    };
    let own_tree = Rule { objects: vec![Pattern::parse("file:org2/*", Side::Object).unwrap()], ..Rule::everything() };
    Genesis {
        protocol: 1,
        chain: "writ.example/state".into(),
        time: at(START),
        parameters: Parameters::default(),
        authorities: vec![
            root("org1", vec![enrolled(1)], 1, Scope::everything()),
            root(
                "org2",
                vec![enrolled(2), enrolled(3), enrolled(4)],
                2,
                Scope { rules: vec![own_tree], enrol_depth: 0 },
            ),
        ],
        root_quorum: 1,
        validators: vec![ValidatorKeys { name: "v0".parse().unwrap(), vote: enrolled(5), checkpoint: enrolled(6) }],
    }
}

fn state() -> State {
    State::new(genesis()).unwrap()
}

fn proposer() -> KeyId {
    key(5).public().id()
}

fn access(effect: Effect, sub: &str, act: &str, obj: &str) -> Access {
    Access {
        sub: Pattern::parse(sub, Side::Subject).unwrap(),
        obj: Pattern::parse(obj, Side::Object).unwrap(),
        act: ActionPattern::parse(act).unwrap(),
        effect,
        iss: None,
        exp: None,
        cond: None,
        reference: None,
    }
}

fn grant(sub: &str, obj: &str) -> Body {
    Body::Access(access(Effect::Grant, sub, "read", obj))
}

fn deny(sub: &str, obj: &str) -> Body {
    Body::Access(access(Effect::Deny, sub, "read", obj))
}

fn revoke(target: RecordId, effect: Effect) -> Body {
    Body::Revoke(Revoke { target, effect })
}

/// A record of `authority`, by `keys`, told apart from its equals by `n`.
fn signed_by(state: &State, authority: &str, keys: &[u8], n: u64, body: Body) -> Signed {
    let mut nonce = [0; 16];
    nonce[..8].copy_from_slice(&n.to_le_bytes());
    let submit_by = (body.class() == Class::Permissive).then(|| state.tip().time.saturating_add_millis(600_000));
    let statement = Statement {
        chain: *state.chain(),
        authority: authority.parse().unwrap(),
        nonce: Nonce(nonce),
        body,
        submit_by,
    };
    let keys: Vec<SecretKey> = keys.iter().map(|n| key(*n)).collect();
    statement.sign(&keys.iter().collect::<Vec<_>>()).unwrap()
}

fn org1(state: &State, n: u64, body: Body) -> Verified {
    state.verify(signed_by(state, "org1", &[1], n, body)).unwrap()
}

fn org2(state: &State, n: u64, body: Body) -> Verified {
    state.verify(signed_by(state, "org2", &[2, 3], n, body)).unwrap()
}

/// Builds the next block, checks that executing it gives the same, and commits it.
fn commit(state: &mut State, records: Vec<Verified>) -> Built {
    let time = state.tip().time.saturating_add_millis(1000);
    let built = state.build(time, proposer(), records).unwrap();
    let verified = built.changes.records.iter().map(|placed| placed.record.clone()).collect();
    let executed = state.execute(&built.block, verified).unwrap();
    assert_eq!(executed.leaf, built.changes.leaf);
    assert_eq!(executed.nodes, built.changes.nodes);
    state.commit(executed);
    built
}

fn codes(built: &Built) -> Vec<Code> {
    built.refused.iter().map(|(_, refusal)| refusal.code).collect()
}

fn outcomes(built: &Built) -> Vec<Outcome> {
    built.changes.records.iter().map(|placed| placed.outcome).collect()
}

#[test]
fn a_record_is_verified_only_if_its_authority_meant_it_for_this_chain() {
    let state = state();
    let body = || grant("ada", "file:org2/x");
    let fault = |signed: Signed| state.verify(signed).err().map(|refusal| refusal.code);
    assert_eq!(fault(signed_by(&state, "org1", &[1], 0, body())), None);
    assert_eq!(fault(signed_by(&state, "org3", &[1], 0, body())), Some(Code::UnknownAuthority));
    assert_eq!(fault(signed_by(&state, "org1", &[2], 0, body())), Some(Code::UnknownKey));
    assert_eq!(fault(signed_by(&state, "org1", &[1, 2], 0, body())), Some(Code::UnknownKey));
    assert_eq!(fault(signed_by(&state, "org2", &[2], 0, body())), Some(Code::ThresholdNotMet));
    assert_eq!(fault(signed_by(&state, "org2", &[2, 4], 0, body())), None);
    assert_eq!(fault(signed_by(&state, "org2", &[2, 3, 4], 0, body())), None);
    let mut other = genesis();
    other.chain = "writ.example/other".into();
    let other = State::new(other).unwrap();
    assert_eq!(fault(signed_by(&other, "org1", &[1], 0, body())), Some(Code::WrongChain));
    let good = signed_by(&state, "org1", &[1], 0, body());
    let forged = Signed::assemble(
        good.signed_bytes().to_vec(),
        vec![(key(1).public().id(), key(2).sign_in(crate::hash::Domain::Record, good.signed_bytes()))],
    );
    assert_eq!(fault(forged.unwrap()), Some(Code::BadSignature));
}

#[test]
fn what_widens_access_is_left_out_and_what_reduces_it_is_settled_as_rejected() {
    let mut state = state();
    let (wide, narrow) = (grant("ada", "file:org1/x"), deny("ada", "file:org1/x"));
    let records = vec![org2(&state, 0, wide), org2(&state, 1, narrow)];
    let built = commit(&mut state, records);
    assert_eq!(codes(&built), [Code::OutOfScope]);
    assert_eq!(outcomes(&built), [Outcome::Rejected(Code::OutOfScope)]);
    assert_eq!(state.index().len(), 0, "a rejected denial never counts");
    let again = org2(&state, 1, deny("ada", "file:org1/x"));
    assert_eq!(state.admit(&again, at(START + 9000)).unwrap_err().code, Code::Conflict, "but it is settled");
}

#[test]
fn one_key_fills_no_block_with_rejected_denials() {
    let mut state = state();
    let records = (0..20).map(|n| org2(&state, n, deny("ada", "file:org1/x"))).collect();
    let built = commit(&mut state, records);
    assert_eq!(outcomes(&built).len(), REJECTED_PER_KEY_MAX);
    assert_eq!(built.refused.len(), 20 - REJECTED_PER_KEY_MAX);
}

#[test]
fn submit_by_is_judged_by_the_blocks_time_at_both_ends() {
    let state = state();
    let ahead = Parameters::default().submit_ahead_ms_max;
    let record = |submit_by| {
        let body = grant("ada", "file:x");
        let statement = Statement {
            chain: *state.chain(),
            authority: "org1".parse().unwrap(),
            nonce: Nonce([0; 16]),
            body,
            submit_by: Some(submit_by),
        };
        state.verify(statement.sign(&[&key(1)]).unwrap()).unwrap()
    };
    let now = at(START + 1000);
    for (submit_by, admitted) in [
        (now, true),
        (at(START + 999), false),
        (now.saturating_add_millis(ahead), true),
        (now.saturating_add_millis(ahead + 1), false),
    ] {
        let judged = state.admit(&record(submit_by), now).map_err(|refusal| refusal.code);
        assert_eq!(judged, if admitted { Ok(()) } else { Err(Code::ExpiredSubmission) }, "{submit_by}");
    }
}

#[test]
fn the_257th_live_grant_of_one_root_on_one_key_waits_until_one_is_gone() {
    let mut state = state();
    let max = LIVE_GRANTS_PER_KEY_MAX as u64;
    // Half in one block, half and one too many in the next: both the index and the block's own are counted.
    let first = (0..max / 2).map(|n| org1(&state, n, grant("ada", "file:org2/x"))).collect();
    assert_eq!(codes(&commit(&mut state, first)), []);
    let second = (max / 2..=max).map(|n| org1(&state, n, grant("ada", "file:org2/x"))).collect();
    assert_eq!(codes(&commit(&mut state, second)), [Code::LimitExceeded]);
    // Somebody else's grant on the same key, another key, a denial: not affected.
    let others = vec![
        org2(&state, 9001, grant("ada", "file:org2/x")),
        org1(&state, 9002, grant("bob", "file:org2/x")),
        org1(&state, 9003, Body::Access(access(Effect::Grant, "ada", "write", "file:org2/x"))),
        org1(&state, 9004, deny("ada", "file:org2/x")),
    ];
    assert_eq!(codes(&commit(&mut state, others)), []);
    // One revoked in the same block makes room for one.
    let target = state.index().entry(3).id;
    let records = vec![
        org1(&state, 9005, revoke(target, Effect::Grant)),
        org1(&state, 9006, grant("ada", "file:org2/x")),
        org1(&state, 9007, grant("ada", "file:org2/x")),
    ];
    assert_eq!(codes(&commit(&mut state, records)), [Code::LimitExceeded]);
    // One that has ended by itself does not count either.
    let ended = Access { exp: Some(state.tip().time), ..access(Effect::Grant, "ada", "read", "file:org2/x") };
    let record = org1(&state, 9008, Body::Access(ended));
    assert_eq!(codes(&commit(&mut state, vec![record])), []);
}

#[test]
fn grants_that_ended_before_they_came_take_no_room_in_their_block() {
    let mut state = state();
    let max = LIVE_GRANTS_PER_KEY_MAX as u64;
    let dead = Access { exp: Some(at(START)), ..access(Effect::Grant, "ada", "read", "file:org2/x") };
    let mut records: Vec<_> = (0..max).map(|n| org1(&state, n, Body::Access(dead.clone()))).collect();
    records.push(org1(&state, max, grant("ada", "file:org2/x")));
    assert_eq!(codes(&commit(&mut state, records)), []);
}

#[test]
fn a_wait_for_what_turns_out_to_be_no_grant_is_over() {
    let mut state = state();
    let rejected = org2(&state, 0, deny("ada", "file:org1/x"));
    let records = vec![org1(&state, 1, revoke(rejected.id(), Effect::Grant))];
    commit(&mut state, records);
    assert_eq!(state.waiting.len(), 1);
    assert_eq!(outcomes(&commit(&mut state, vec![rejected])), [Outcome::Rejected(Code::OutOfScope)]);
    assert!(state.waiting.is_empty() && state.waiting_of.values().all(|count| *count == 0));
}

#[test]
fn a_validators_key_is_used_for_nothing_else() {
    for (case, change) in [
        ("votes and cosigns", (|genesis| genesis.validators[0].checkpoint = enrolled(5)) as fn(&mut Genesis)),
        ("cosigns and issues", |genesis| genesis.validators[0].checkpoint = enrolled(1)),
        ("votes and issues", |genesis| genesis.validators[0].vote = enrolled(3)),
    ] {
        let mut genesis = genesis();
        change(&mut genesis);
        assert_eq!(State::new(genesis).map(drop).unwrap_err().field, Some("validators"), "{case}");
    }
}

#[test]
fn the_65th_live_membership_of_one_subject_is_refused() {
    let mut state = state();
    let member = |n: u64| Body::Access(access(Effect::Grant, "ada", "member", &format!("role:r{n}")));
    let max = LIVE_MEMBERSHIPS_PER_SUBJECT_MAX as u64;
    let first = (0..max / 2).map(|n| org1(&state, n, member(n))).collect();
    commit(&mut state, first);
    let second = (max / 2..=max).map(|n| org1(&state, n, member(n))).collect();
    assert_eq!(codes(&commit(&mut state, second)), [Code::LimitExceeded]);
}

#[test]
fn a_revocation_ends_its_own_authoritys_entry_and_no_other() {
    let mut state = state();
    let target = org1(&state, 0, grant("ada", "file:org2/x"));
    let id = target.id();
    commit(&mut state, vec![target]);
    let records = vec![org2(&state, 1, revoke(id, Effect::Grant)), org1(&state, 2, revoke(id, Effect::Deny))];
    let built = commit(&mut state, records);
    assert_eq!(
        outcomes(&built),
        [Outcome::Rejected(Code::Forbidden)],
        "a stranger's revocation is settled and does nothing"
    );
    assert_eq!(codes(&built), [Code::Conflict], "a lift of a grant makes no sense");
    assert_eq!(state.index().entry(0).revoked, None);
    let own = org1(&state, 3, revoke(id, Effect::Grant));
    commit(&mut state, vec![own]);
    let revoked = state.index().entry(0).revoked.unwrap();
    assert_eq!((revoked.height, revoked.at), (3, state.tip().time));
    let again = org1(&state, 4, revoke(id, Effect::Grant));
    assert_eq!(outcomes(&commit(&mut state, vec![again])), [Outcome::Accepted]);
    assert_eq!(state.index().entry(0).revoked, Some(revoked), "the first one counts");
}

#[test]
fn a_revocation_may_come_before_its_grant_but_a_lift_not_before_its_denial() {
    let mut state = state();
    let later = org1(&state, 0, grant("ada", "file:org2/x"));
    let foreign = org1(&state, 1, grant("bob", "file:org2/x"));
    let unknown = RecordId(Digest([9; 32]));
    let records = vec![
        org1(&state, 2, revoke(later.id(), Effect::Grant)),
        org2(&state, 3, revoke(foreign.id(), Effect::Grant)),
        org1(&state, 4, revoke(unknown, Effect::Deny)),
    ];
    let built = commit(&mut state, records);
    assert_eq!(outcomes(&built), [Outcome::Accepted; 2]);
    assert_eq!(codes(&built), [Code::NotFound]);
    commit(&mut state, vec![later, foreign]);
    let entries: Vec<_> = state.index().entries().collect();
    assert_eq!(
        entries[0].revoked.map(|revoked| (revoked.height, revoked.at)),
        Some((2, entries[0].added)),
        "it never holds"
    );
    assert_eq!(entries[1].revoked, None, "a stranger's revocation waited for nothing");
    assert!(state.waiting.is_empty() && state.waiting_of.values().all(|count| *count == 0));
}

#[test]
fn in_one_block_a_revocation_and_its_grant_meet_in_either_order() {
    for revocation_first in [true, false] {
        let mut state = state();
        let grant = org1(&state, 0, grant("ada", "file:org2/x"));
        let revocation = org1(&state, 1, revoke(grant.id(), Effect::Grant));
        let records = if revocation_first { vec![revocation, grant] } else { vec![grant, revocation] };
        commit(&mut state, records);
        let entry = state.index().entry(0);
        assert_eq!(entry.revoked.map(|revoked| revoked.at), Some(entry.added));
        assert!(state.waiting.is_empty());
    }
}

#[test]
fn revocations_that_wait_are_bounded_per_authority() {
    let mut state = state();
    let target = |n: u64| RecordId(Digest::of(&[&n.to_le_bytes()]));
    let max = WAITING_REVOCATIONS_MAX as u64;
    let records = (0..=max).map(|n| org1(&state, n, revoke(target(n), Effect::Grant))).collect();
    let built = commit(&mut state, records);
    assert_eq!(outcomes(&built).iter().filter(|outcome| **outcome == Outcome::Accepted).count() as u64, max);
    assert_eq!(outcomes(&built).last(), Some(&Outcome::Rejected(Code::LimitExceeded)));
    let other = org2(&state, 0, revoke(target(0), Effect::Grant));
    assert!(state.admit(&other, at(START + 9000)).is_ok(), "another authority has a bound of its own");
}

#[test]
fn a_block_whose_header_says_anything_else_is_invalid() {
    let state = state();
    let record = org1(&state, 0, grant("ada", "file:org2/x"));
    let built = state.build(at(START + 1), proposer(), vec![record.clone()]).unwrap();
    let judge = |change: &dyn Fn(&mut Block)| {
        let mut block = built.block.clone();
        change(&mut block);
        state.execute(&block, vec![record.clone()]).err()
    };
    assert_eq!(judge(&|_| {}), None);
    let other = Digest([9; 32]);
    type Change<'a> = &'a dyn Fn(&mut Block);
    let cases: [(&str, Change<'_>); 8] = [
        ("version", &|block| block.header.version = 2),
        ("chain", &|block| block.header.chain = other),
        ("height", &|block| block.header.height = 2),
        ("previous", &|block| block.header.previous = other),
        ("time", &|block| block.header.time = at(START)),
        ("proposer", &|block| block.header.proposer = KeyId(other.0)),
        ("records", &|block| block.header.records = other),
        ("result", &|block| block.header.result = other),
    ];
    for (name, change) in cases {
        assert!(matches!(judge(change), Some(Invalid::Header { field, .. }) if field == name), "{name}");
    }
    // A later time is a different result of nothing: only the header's own hash changes.
    assert_eq!(judge(&|block| block.header.time = at(START + 2)), None);
}

#[test]
fn a_record_stands_in_the_log_once() {
    let mut state = state();
    let record = org1(&state, 0, grant("ada", "file:org2/x"));
    let built = state.build(at(START + 1), proposer(), vec![record.clone(), record.clone()]).unwrap();
    assert_eq!(codes(&built), [Code::Conflict]);
    commit(&mut state, vec![record.clone()]);
    assert_eq!(state.admit(&record, at(START + 9000)).unwrap_err().code, Code::Conflict);
}

#[test]
fn a_block_never_grows_beyond_its_bounds() {
    let state = state();
    let reference = |n: u64| Access {
        reference: Some("x".repeat(256)),
        cond: Some("y".repeat(1000)),
        ..access(Effect::Deny, &format!("u{n}"), "read", "file:org2/x")
    };
    let records: Vec<Verified> = (0..800).map(|n| org1(&state, n, Body::Access(reference(n)))).collect();
    let built = state.build(at(START + 1), proposer(), records).unwrap();
    let bytes = built.block.encode().len();
    assert!(bytes <= BLOCK_BYTES_MAX && bytes > BLOCK_BYTES_MAX - 2048, "{bytes}");
    assert_eq!(Block::decode(&built.block.encode()), Ok(built.block));
}

#[test]
fn time_leads_to_heights_and_back() {
    let mut state = state();
    for n in 0..3 {
        let record = org1(&state, n, grant("ada", "file:org2/x"));
        commit(&mut state, vec![record]);
    }
    let time = |height| state.time_of(height).unwrap();
    assert_eq!((time(0), time(3)), (at(START), at(START + 3000)));
    assert_eq!(state.time_of(4), None);
    for (asked, height) in [
        (at(START - 1), None),
        (at(START), Some(0)),
        (at(START + 999), Some(0)),
        (at(START + 1000), Some(1)),
        (at(START + 2999), Some(2)),
        (LedgerTime::MAX, Some(3)),
    ] {
        assert_eq!(state.height_at(asked), height, "{asked}");
    }
}
