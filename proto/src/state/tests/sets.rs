//! Cases for atomic sets: what may stand in a block, what it brings, and what changed since when.

use super::*;
use crate::limits::SET_MEMBERS_MAX;
use crate::record::{AtomicSet, SetMember};

/// The chain of the other tests under the first protocol that has sets.
fn state() -> State {
    State::new(Genesis { protocol: 2, ..genesis() }).unwrap()
}

fn says(effect: Effect, sub: &str, obj: &str) -> SetMember {
    SetMember::Access(access(effect, sub, "read", obj))
}

fn gives(sub: &str, obj: &str) -> SetMember {
    says(Effect::Grant, sub, obj)
}

fn takes(sub: &str, obj: &str) -> SetMember {
    says(Effect::Deny, sub, obj)
}

fn ends(target: RecordId, effect: Effect) -> SetMember {
    SetMember::Revoke(Revoke { target, effect })
}

fn set(members: Vec<SetMember>) -> Body {
    Body::Set(AtomicSet { members, unchanged_since: None })
}

fn set_since(since: u64, members: Vec<SetMember>) -> Body {
    Body::Set(AtomicSet { members, unchanged_since: Some(since) })
}

/// Code and path of what is said of a body, by `org1` or `org2`, as the next record.
fn fault(state: &State, by: fn(&State, u64, Body) -> Verified, body: Body) -> Option<(Code, Option<String>)> {
    let record = by(state, 999_999, body);
    let refused = state.admit(&record, state.tip().time.saturating_add_millis(1000)).err()?;
    Some((refused.code, refused.path()))
}

#[test]
fn every_member_becomes_an_entry_at_the_leaf_of_its_set() {
    let mut state = state();
    let old = org1(&state, 0, grant("ada", "file:a"));
    let old_id = old.id();
    commit(&mut state, vec![old]);
    let members = vec![gives("ada", "file:b"), ends(old_id, Effect::Grant), takes("bob", "file:a")];
    let moved = org1(&state, 1, set(members));
    let (id, before, after) =
        (moved.id(), org1(&state, 2, grant("x", "file:x")), org1(&state, 3, grant("y", "file:y")));
    commit(&mut state, vec![before, moved, after]);

    let entries: Vec<_> = state.index().entries().map(|entry| (entry.index, entry.member, entry.id)).collect();
    assert_eq!(entries.len(), 5);
    assert_eq!(entries[2..4], [(3, Some(0), id.of_member(0)), (3, Some(2), id.of_member(2))]);
    assert_eq!(entries[4].0, 4);
    assert_ne!(id.of_member(0), id.of_member(2));
    let revoked = state.index().entry(0).revoked.unwrap();
    assert_eq!((revoked.by, revoked.height, revoked.at), (3, 2, state.tip().time));
    // The set itself is settled and no entry; an entry of it is found by its own id; its revocation is nobody's.
    assert_eq!(state.settled(&id), Some(Settled { index: 3, entry: None }));
    assert_eq!(state.settled(&id.of_member(2)), Some(Settled { index: 3, entry: Some(3) }));
    assert_eq!(state.settled(&id.of_member(1)), None);
    let places = |entries: &mut dyn Iterator<Item = crate::index::Entry<'_>>| -> Vec<_> {
        entries.map(|entry| (entry.index, entry.member)).collect()
    };
    assert_eq!(places(&mut state.index().entries_at(3)), [(3, Some(0)), (3, Some(2))]);
    for (from, rest) in [((3, 0), 3), ((3, 1), 2), ((3, 2), 2), ((3, 3), 1), ((4, 0), 1), ((2, 0), 4), ((2, 1), 3)] {
        assert_eq!(state.index().entries_from_member(from.0, from.1).count(), rest, "from {from:?}");
    }
}

#[test]
fn one_bad_member_refuses_the_set_and_is_named() {
    let mut state = state();
    let (own, foreign, denial) = (
        org2(&state, 0, grant("ada", "file:org2/a")),
        org1(&state, 1, grant("ada", "file:org2/b")),
        org2(&state, 2, deny("ada", "file:org2/c")),
    );
    let ended = org2(&state, 3, grant("ada", "file:org2/d"));
    let end = org2(&state, 4, revoke(ended.id(), Effect::Grant));
    let rejected = org2(&state, 5, deny("ada", "file:elsewhere"));
    let ids = [&own, &foreign, &denial, &ended, &end, &rejected].map(Verified::id);
    let [own_id, foreign_id, denial_id, ended_id, end_id, rejected_id] = ids;
    let built = commit(&mut state, vec![own, foreign, denial, ended, end, rejected]);
    assert_eq!(outcomes(&built).last(), Some(&Outcome::Rejected(Code::OutOfScope)));

    let good = || gives("bob", "file:org2/x");
    let nobody = RecordId(Digest([9; 32]));
    let at = |place: usize, field: &str| Some(format!("members[{place}].{field}"));
    type Case = (&'static str, Vec<SetMember>, Option<(Code, Option<String>)>);
    let cases: Vec<Case> = vec![
        ("good ones", vec![good(), ends(own_id, Effect::Grant), ends(denial_id, Effect::Deny)], None),
        ("the same twice", vec![good(), good()], None),
        ("the end of one thing twice", vec![ends(own_id, Effect::Grant), ends(own_id, Effect::Grant)], None),
        ("the end of what is over", vec![good(), ends(ended_id, Effect::Grant)], None),
        ("out of scope", vec![good(), gives("bob", "file:x")], Some((Code::OutOfScope, at(1, "obj")))),
        ("a denial out of scope", vec![good(), takes("bob", "file:x")], Some((Code::OutOfScope, at(1, "obj")))),
        ("a grant that is not there", vec![ends(nobody, Effect::Grant)], Some((Code::NotFound, at(0, "target")))),
        (
            "a denial that is not there",
            vec![good(), ends(nobody, Effect::Deny)],
            Some((Code::NotFound, at(1, "target"))),
        ),
        ("a stranger's", vec![good(), ends(foreign_id, Effect::Grant)], Some((Code::Forbidden, at(1, "target")))),
        ("the wrong effect", vec![ends(own_id, Effect::Deny)], Some((Code::Conflict, at(0, "effect")))),
        ("a revocation", vec![ends(end_id, Effect::Grant)], Some((Code::Conflict, at(0, "target")))),
        ("what was rejected", vec![ends(rejected_id, Effect::Deny)], Some((Code::Conflict, at(0, "target")))),
        (
            "the first fault",
            vec![ends(nobody, Effect::Grant), gives("bob", "file:x")],
            Some((Code::NotFound, at(0, "target"))),
        ),
    ];
    for (case, members, expected) in cases {
        assert_eq!(fault(&state, org2, set(members)), expected, "{case}");
    }
}

#[test]
fn a_refused_set_leaves_no_trace_in_its_block() {
    let mut state = state();
    let first = org2(&state, 0, grant("ada", "file:org2/a"));
    let target = first.id();
    commit(&mut state, vec![first]);
    let size = state.log().size();
    // What the refused set states and ends before its fault would stand in the way of every other record.
    let bad = org2(
        &state,
        1,
        set(vec![ends(target, Effect::Grant), gives("ada", "file:org2/a"), gives("eve", "file:elsewhere")]),
    );
    let unchanged = org2(&state, 2, set_since(size, vec![takes("ada", "file:org2/a")]));
    let pointless = org2(&state, 3, revoke(bad.id().of_member(1), Effect::Grant));
    let built = commit(&mut state, vec![bad, unchanged, pointless]);
    assert_eq!(codes(&built), [Code::OutOfScope]);
    assert_eq!(outcomes(&built), [Outcome::Accepted; 2]);
    assert_eq!((state.index().len(), state.index().entry(0).revoked), (2, None));
    assert_eq!(built.changes.revoked, []);
    assert_eq!(state.waiting.len(), 1, "the revocation of what never came waits");
}

#[test]
fn the_bounds_count_what_earlier_members_bring_and_end() {
    let mut state = state();
    let max = LIVE_MEMBERSHIPS_PER_SUBJECT_MAX;
    let member = |n: usize| SetMember::Access(access(Effect::Grant, "ada", "member", &format!("role:r{n}")));
    let full = org1(&state, 0, set((0..max).map(member).collect()));
    let first = full.id().of_member(0);
    assert_eq!(max, SET_MEMBERS_MAX, "a set can fill the bound alone");
    commit(&mut state, vec![full]);
    assert_eq!(state.index().len(), max);
    for (case, members, expected) in [
        ("one more", vec![member(max)], Some(0)),
        ("one ended first", vec![ends(first, Effect::Grant), member(max)], None),
        ("ended too late", vec![member(max), ends(first, Effect::Grant)], Some(0)),
        ("one ended, two made", vec![ends(first, Effect::Grant), member(max), member(max + 1)], Some(2)),
        (
            "the same one ended twice",
            vec![ends(first, Effect::Grant), ends(first, Effect::Grant), member(0), member(1)],
            Some(3),
        ),
    ] {
        let path = expected.map(|place| (Code::LimitExceeded, Some(format!("members[{place}].sub"))));
        assert_eq!(fault(&state, org1, set(members)), path, "{case}");
    }
    // Within one block: a set that ends one makes room for a record behind it, and fills it for the next.
    let swap = org1(&state, 1, set(vec![ends(first, Effect::Grant), gives("x", "file:x")]));
    let more = |n: u64| org1(&state, n, Body::Access(access(Effect::Grant, "ada", "member", "role:more")));
    let records = vec![swap, more(2), more(3)];
    assert_eq!(codes(&commit(&mut state, records)), [Code::LimitExceeded]);

    let key_max = LIVE_GRANTS_PER_KEY_MAX as u64;
    let same = || vec![gives("bob", "file:b"); SET_MEMBERS_MAX];
    let sets = (0..key_max / SET_MEMBERS_MAX as u64).map(|n| org1(&state, 10 + n, set(same()))).collect();
    assert_eq!(codes(&commit(&mut state, sets)), []);
    assert_eq!(
        fault(&state, org1, set(vec![gives("x", "file:y"), gives("bob", "file:b")])),
        Some((Code::LimitExceeded, Some("members[1].sub".into())))
    );
}

#[test]
fn a_revocation_may_come_before_the_set_that_makes_its_target() {
    let mut state = state();
    let moved = org1(&state, 0, set(vec![gives("ada", "file:a"), gives("ada", "file:b"), takes("ada", "file:c")]));
    let of = |place| moved.id().of_member(place);
    let early = org1(&state, 1, revoke(of(0), Effect::Grant));
    let foreign = org2(&state, 2, revoke(of(1), Effect::Grant));
    let of_a_denial = org1(&state, 3, revoke(of(2), Effect::Grant));
    commit(&mut state, vec![early, foreign, of_a_denial]);
    assert_eq!(state.waiting.len(), 3);
    let late = org1(&state, 4, revoke(of(1), Effect::Grant));
    commit(&mut state, vec![moved, late]);
    let ended: Vec<_> = state.index().entries().map(|entry| entry.revoked.map(|revoked| revoked.by)).collect();
    // Leaf 4 is the set, leaf 5 the revocation behind it.
    assert_eq!(ended, [Some(0), Some(5), None]);
    assert!(state.waiting.is_empty() && state.waiting_of.values().all(|count| *count == 0));
}

#[test]
fn sets_may_end_what_stands_before_them_in_their_block() {
    let mut state = state();
    let first = org1(&state, 0, set(vec![gives("ada", "file:a"), takes("bob", "file:b")]));
    let (grant_id, denial_id) = (first.id().of_member(0), first.id().of_member(1));
    let second = org1(&state, 1, set(vec![ends(grant_id, Effect::Grant), ends(denial_id, Effect::Deny)]));
    // Another authority's, the set itself, and in the wrong order.
    let foreign = org2(&state, 2, set(vec![ends(grant_id, Effect::Grant)]));
    let whole = org1(&state, 3, set(vec![ends(first.id(), Effect::Grant)]));
    let built = commit(&mut state, vec![second.clone(), first, foreign, whole]);
    assert_eq!(codes(&built), [Code::NotFound, Code::Forbidden, Code::Conflict]);
    commit(&mut state, vec![second]);
    assert!(state.index().entries().all(|entry| entry.revoked.is_some_and(|revoked| revoked.by == 2)));

    let both = org1(&state, 5, set(vec![gives("ada", "file:a")]));
    let end = org1(&state, 6, set(vec![ends(both.id().of_member(0), Effect::Grant)]));
    assert_eq!(codes(&commit(&mut state, vec![both, end])), []);
    let entry = state.index().entry(2);
    assert_eq!(entry.revoked.map(|revoked| revoked.at), Some(entry.added), "it never holds");
}

#[test]
fn a_key_is_unchanged_if_nothing_on_exactly_it_was_stated_or_ended() {
    let mut state = state();
    let (one, other) = (org1(&state, 0, grant("ada", "file:a")), org1(&state, 1, deny("ada", "file:b")));
    let (one_id, other_id) = (one.id(), other.id());
    commit(&mut state, vec![one, other]);
    // Leaves: 0 and 1, the commit leaf 2. From here on: 3 a lift, 4 another action, 5 a pattern; 6.
    let later = vec![
        org1(&state, 2, revoke(other_id, Effect::Deny)),
        org1(&state, 3, Body::Access(access(Effect::Grant, "bob", "write", "file:c"))),
        org1(&state, 4, grant("*", "file:*")),
        // Leaf 6: revoked again, which changes nothing. Leaf 7: waits, which changes nothing yet.
        org1(&state, 5, revoke(other_id, Effect::Deny)),
        org1(&state, 6, revoke(org1(&state, 8, grant("dan", "file:d")).id(), Effect::Grant)),
    ];
    assert_eq!(codes(&commit(&mut state, later)), []);
    // Leaf 8 is the commit leaf; 9 the target that was waited for.
    let waited_for = org1(&state, 8, grant("dan", "file:d"));
    commit(&mut state, vec![waited_for]);
    let size = state.log().size();
    assert_eq!(size, 11);
    let conflict = |place: usize| Some((Code::Conflict, Some(format!("members[{place}]"))));
    for (case, since, members, expected) in [
        ("as old as the entry itself", 0, vec![gives("ada", "file:a")], conflict(0)),
        ("after it", 1, vec![gives("ada", "file:a")], None),
        ("its end is on its key", 1, vec![ends(one_id, Effect::Grant)], None),
        ("before it", 0, vec![ends(one_id, Effect::Grant)], conflict(0)),
        ("before the lift", 3, vec![gives("ada", "file:b")], conflict(0)),
        ("after the lift", 4, vec![gives("ada", "file:b")], None),
        ("what ended meanwhile", 3, vec![ends(other_id, Effect::Deny)], conflict(0)),
        ("what had ended", 4, vec![ends(other_id, Effect::Deny)], None),
        ("any action counts", 4, vec![gives("bob", "file:c")], conflict(0)),
        ("a pattern is a key of its own", 5, vec![gives("*", "file:*")], conflict(0)),
        ("and covers nobody's key", 5, vec![gives("ada", "file:a"), gives("eve", "file:e")], None),
        ("a target that was waited for", 9, vec![takes("dan", "file:d")], conflict(0)),
        ("behind it", 10, vec![takes("dan", "file:d")], None),
        ("the second member", 4, vec![gives("ada", "file:a"), gives("bob", "file:c")], conflict(1)),
        (
            "its own members are no change",
            size,
            vec![gives("ada", "file:a"), takes("ada", "file:a"), ends(one_id, Effect::Grant)],
            None,
        ),
        ("the whole log", size, vec![gives("ada", "file:a")], None),
        ("beyond it", size + 1, vec![gives("eve", "file:e")], Some((Code::NotFound, Some("unchanged_since".into())))),
        (
            "far beyond it",
            u64::MAX,
            vec![gives("eve", "file:e")],
            Some((Code::NotFound, Some("unchanged_since".into()))),
        ),
    ] {
        assert_eq!(fault(&state, org1, set_since(since, members)), expected, "{case}");
    }
}

#[test]
fn of_sets_that_race_for_a_key_exactly_one_is_taken() {
    for in_one_block in [true, false] {
        let mut state = state();
        let held = org1(&state, 0, grant("ada", "file:a"));
        let (id, old) = (held.id(), state.log().size());
        commit(&mut state, vec![held]);
        let size = state.log().size();
        let mover = |state: &State, n: u64, to: &str| {
            org1(state, n, set_since(size, vec![ends(id, Effect::Grant), gives(to, "file:a")]))
        };
        let racers = vec![mover(&state, 1, "bob"), mover(&state, 2, "eve"), mover(&state, 3, "bob")];
        let late = org1(&state, 4, set_since(old, vec![gives("zoe", "file:z")]));
        let mut refused = Vec::new();
        if in_one_block {
            refused = codes(&commit(&mut state, racers.into_iter().chain([late]).collect()));
        } else {
            for racer in racers.into_iter().chain([late]) {
                refused.extend(codes(&commit(&mut state, vec![racer])));
            }
        }
        assert_eq!(refused, [Code::Conflict; 2]);
        let live: Vec<_> = state.index().entries().filter(|entry| entry.revoked.is_none()).collect();
        let subs: Vec<_> = live.iter().map(|entry| state.index().text(entry.sub)).collect();
        assert_eq!(subs, ["user:bob", "user:zoe"]);
    }
    // A plain record that comes between is a change too, in the same block.
    let mut state = state();
    let plain = org2(&state, 1, deny("ada", "file:org2/a"));
    let racer = org1(&state, 2, set_since(0, vec![gives("ada", "file:org2/a")]));
    assert_eq!(codes(&commit(&mut state, vec![plain, racer])), [Code::Conflict]);
}

#[test]
fn under_protocol_1_a_set_is_unsupported_and_from_the_activation_on_it_is_taken() {
    let mut state = super::state();
    let body = || set(vec![gives("ada", "file:a")]);
    let refusal = state.admit(&org1(&state, 0, body()), at(START + 1)).unwrap_err();
    assert_eq!((refusal.code, refusal.path().as_deref()), (Code::Unsupported, Some("record")));
    assert_eq!(refusal.detail, "records of kind `set` need protocol 2, block 1 is under protocol 1");
    let first = 1 + crate::limits::ACTIVATION_LEAD_MIN;
    let activation = Body::Parameter(crate::record::ParameterChange::Activate { protocol: 2, height: first });
    let activation = org1(&state, 1, activation);
    commit(&mut state, vec![activation]);
    for height in 2..first {
        let early = org1(&state, height, body());
        let built = commit(&mut state, vec![early]);
        assert_eq!((built.block.header.version, codes(&built)), (1, vec![Code::Unsupported]), "at {height}");
    }
    let taken = org1(&state, 99, body());
    let built = commit(&mut state, vec![taken]);
    assert_eq!((built.block.header.version, codes(&built)), (2, vec![]));
    assert_eq!(state.index().len(), 1);
    // A block that was made under the old version with a set in it is invalid to everybody.
    let mut old = super::state();
    let record = org1(&old, 5, body());
    let time = old.tip().time.saturating_add_millis(1000);
    let empty = old.build(time, proposer(), Vec::new()).unwrap().block;
    let root = crate::block::records_root([record.signed().bytes()]);
    let header = crate::block::Header { records: root, ..empty.header };
    let forged = Block { header, records: vec![crate::codec::Blob(record.signed().bytes().to_vec())] };
    let found = old.execute(&forged, vec![record]).unwrap_err();
    assert!(matches!(&found, Invalid::Record { at: 0, refusal, .. } if refusal.code == Code::Unsupported), "{found}");
    commit(&mut old, Vec::new());
}

#[test]
fn a_set_at_its_bounds_is_taken_and_one_beyond_them_is_not() {
    let mut state = state();
    let most = org1(&state, 0, set((0..SET_MEMBERS_MAX).map(|n| gives("a", &format!("file:{n}"))).collect()));
    commit(&mut state, vec![most]);
    assert_eq!(state.index().entries_at(0).count(), SET_MEMBERS_MAX);
    let long = |n: usize, extra: usize| {
        SetMember::Access(Access {
            reference: Some("r".repeat(256)),
            cond: Some("c".repeat(700 + extra)),
            ..access(Effect::Grant, "ada", "read", &format!("file:{n}"))
        })
    };
    let sign = |members: Vec<SetMember>| {
        let statement = Statement {
            chain: *state.chain(),
            authority: "org1".parse().unwrap(),
            nonce: Nonce([7; 16]),
            body: set(members),
            submit_by: Some(state.tip().time.saturating_add_millis(600_000)),
        };
        statement.sign(&[&key(1)])
    };
    let near = sign((0..7).map(|n| long(n, 0)).collect()).unwrap().bytes().len();
    let room = crate::limits::RECORD_BYTES_MAX - near;
    let with = |extra| (0..7).map(|n| long(n, if n < 6 { extra / 7 } else { extra - 6 * (extra / 7) })).collect();
    let full = sign(with(room)).unwrap();
    assert_eq!(full.bytes().len(), crate::limits::RECORD_BYTES_MAX);
    assert_eq!(sign(with(room + 1)).unwrap_err().code, Code::TooLarge);
    let full = state.verify(full).unwrap();
    assert_eq!(codes(&commit(&mut state, vec![full])), []);
    assert_eq!(state.index().len(), SET_MEMBERS_MAX + 7);
}

/// Else a block of sets that give and take one and the same thing would look at all the dead for each grant.
#[test]
fn what_a_block_gave_and_took_again_is_not_looked_at_any_longer() {
    let state = state();
    let member = || access(Effect::Grant, "ada", "member", "role:r");
    let give =
        org1(&state, 0, set(vec![SetMember::Access(member()), SetMember::Access(member()), gives("ada", "file:a")]));
    let [first, second, other] = [0, 1, 2].map(|place| give.id().of_member(place));
    let take = org1(&state, 1, set(vec![ends(first, Effect::Grant), ends(other, Effect::Grant)]));
    let waits = org1(&state, 2, set(vec![SetMember::Access(member())]));
    let early = org1(&state, 3, revoke(waits.id().of_member(0), Effect::Grant));
    let late = org1(&state, 4, revoke(second, Effect::Grant));

    let mut execution = Execution::new(&state, at(START + 1000));
    for (record, left) in [(give, 2), (take, 1), (early, 1), (waits, 1), (late, 0)] {
        execution.take(record).unwrap();
        assert_eq!(execution.block.grants(0, &member()).len(), left);
        assert_eq!(execution.block.memberships(0, &member()).len(), left);
    }
    assert!(execution.block.grants(0, &access(Effect::Grant, "ada", "read", "file:a")).is_empty());
}
