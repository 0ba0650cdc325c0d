//! One root's flood of roles costs that root its grants, and nobody else anything.
//!
//! A flood is a tree: 32 roles of the first level, and below them as many as are wanted, because one
//! subject may have 64 memberships of one root at most.

use writ_proto::decision::Moment;
use writ_proto::limits::CLOSURE_ROLES_MAX;
use writ_proto::record::{Body, Effect, Signed};
use writ_proto::time::Interval;

use crate::chain::{Chain, access, sign, time};
use crate::ledgers::{Asker, entries_of, name};
use crate::naive::decide_within;

const FIRST_LEVEL: usize = 32;

/// The memberships by which `by` leads `top` to `count` roles `role:<prefix>...`, bytewise in the order in
/// which they are counted.
fn flood(by: &str, top: &str, prefix: &str, count: usize) -> Vec<Signed> {
    let role = |at: usize| format!("role:{prefix}{at:04}");
    let membership = |at: usize| {
        let above = if at < FIRST_LEVEL { top.to_owned() } else { role((at - FIRST_LEVEL) % FIRST_LEVEL) };
        sign(by, 1_000_000 + at as u64, Body::Access(access(Effect::Grant, &above, "member", &role(at))))
    };
    (0..count).map(membership).collect()
}

fn grant(by: &str, sub: &str, act: &str, obj: &str) -> Signed {
    sign(by, 0, Body::Access(access(Effect::Grant, sub, act, obj)))
}

fn deny(by: &str, sub: &str, act: &str, obj: &str) -> Signed {
    sign(by, 0, Body::Access(access(Effect::Deny, sub, act, obj)))
}

/// A chain with these records, one block for each list.
fn chain(blocks: &[Vec<Signed>]) -> Chain {
    let mut chain = Chain::new();
    for (at, records) in blocks.iter().enumerate() {
        let refused = chain.append(at as u64 + 1, records);
        assert!(refused.is_empty(), "{refused:?}");
    }
    chain
}

/// Asks both evaluators, now and with all knowledge.
fn ask(chain: &Chain, sub: &str, act: &str, obj: &str) -> (&'static str, Vec<u32>) {
    let act = Some(writ_proto::name::Action::parse(act).expect("an action"));
    let question = writ_proto::decision::Question { sub: name(sub), act, obj: name(obj) };
    let moment = Moment { interval: Interval::at(time(100)), height: chain.height() };
    match chain.both(&question, &moment) {
        Ok(decision) => (decision.why.as_str(), decision.cut_roots),
        // The log is too long to be read here.
        Err(difference) => panic!("{}", difference.0.lines().rev().take(6).collect::<Vec<_>>().join("\n")),
    }
}

#[test]
fn as_many_roles_as_the_bound_are_followed_and_one_more_cuts_the_root() {
    let last = format!("role:f{:04}", CLOSURE_ROLES_MAX - 1);
    let others = || {
        vec![
            grant("org1", &last, "read", "file:x"),
            grant("org1", "user:a", "read", "file:direct"),
            grant("org1", "*", "read", "file:everybody"),
            grant("org2", &last, "read", "file:y"),
            grant("org2", "user:a", "member", "role:f0000"),
            grant("org2", "role:f0000", "read", "file:z"),
            deny("org1", &last, "read", "file:denied"),
            grant("org2", "user:a", "read", "file:denied"),
        ]
    };

    let full = chain(&[flood("org1", "user:a", "f", CLOSURE_ROLES_MAX), others()]);
    for obj in ["file:x", "file:direct", "file:everybody", "file:y", "file:z"] {
        assert_eq!(ask(&full, "user:a", "read", obj), ("grant", vec![]), "{obj}");
    }
    assert_eq!(ask(&full, "user:a", "read", "file:denied"), ("deny", vec![]));

    let cut = chain(&[flood("org1", "user:a", "f", CLOSURE_ROLES_MAX + 1), others()]);
    for (obj, why) in [
        // Its own grants are gone, also those that need no role.
        ("file:x", "no_match"),
        ("file:direct", "no_match"),
        ("file:everybody", "no_match"),
        // Its memberships lead nobody to another's grant.
        ("file:y", "no_match"),
        // Another root's membership and grant stand, on a role that both lead to.
        ("file:z", "grant"),
        // What it reached still carries denials.
        ("file:denied", "deny"),
    ] {
        assert_eq!(ask(&cut, "user:a", "read", obj), (why, vec![0]), "{obj}");
    }
    // Whoever is not flooded is not concerned.
    assert_eq!(ask(&cut, "user:b", "read", "file:everybody"), ("grant", vec![]));
    assert_eq!(ask(&cut, &last, "read", "file:x"), ("grant", vec![]));
}

#[test]
fn roles_are_counted_by_level_then_bytewise_and_what_comes_later_leads_nowhere() {
    let beyond = format!("role:f{CLOSURE_ROLES_MAX:04}");
    let last = format!("role:f{:04}", CLOSURE_ROLES_MAX - 1);
    let cut = chain(&[
        flood("org1", "user:a", "f", CLOSURE_ROLES_MAX + 1),
        vec![
            // Bytewise the very first, but a level later.
            grant("org1", &last, "member", "role:a"),
            grant("org2", &last, "member", "role:b"),
            grant("org1", "role:b", "member", "role:c"),
            deny("org2", &beyond, "read", "file:beyond"),
            deny("org2", "role:a", "read", "file:a"),
            deny("org2", "role:b", "read", "file:b"),
            deny("org2", "role:c", "read", "file:c"),
            deny("org2", &last, "read", "file:last"),
            grant("org2", "user:a", "read", "*"),
        ],
    ]);
    for (obj, why) in
        [("file:last", "deny"), ("file:beyond", "grant"), ("file:a", "grant"), ("file:b", "deny"), ("file:c", "grant")]
    {
        assert_eq!(ask(&cut, "user:a", "read", obj), (why, vec![0]), "{obj}");
    }
}

#[test]
fn a_role_beyond_the_bound_of_one_root_is_reached_over_another() {
    let beyond = format!("role:f{CLOSURE_ROLES_MAX:04}");
    let cut = chain(&[
        flood("org1", "user:a", "f", CLOSURE_ROLES_MAX + 1),
        vec![
            grant("org2", "role:f0000", "member", &beyond),
            deny("org1", &beyond, "read", "file:beyond"),
            grant("org2", &beyond, "read", "file:x"),
            grant("org2", "user:a", "read", "*"),
            grant("org3", "user:a", "member", &beyond),
            grant("org2", &beyond, "write", "file:y"),
        ],
    ]);
    assert_eq!(ask(&cut, "user:a", "read", "file:beyond"), ("deny", vec![0]));
    assert_eq!(ask(&cut, "user:a", "write", "file:y"), ("grant", vec![0]));
}

#[test]
fn the_subject_the_dead_and_the_repeated_do_not_count() {
    let mut expired = access(Effect::Grant, "user:a", "member", "role:expired");
    expired.exp = Some(time(50));
    let mut scheduled = access(Effect::Grant, "user:a", "member", "role:scheduled");
    scheduled.iss = Some(time(150));
    let mut never = access(Effect::Grant, "user:a", "member", "role:never");
    never.cond = Some("false".into());
    let revoked = grant("org1", "user:a", "member", "role:revoked");
    let full = chain(&[
        flood("org1", "role:top", "f", CLOSURE_ROLES_MAX),
        vec![
            // A way back, a second way, and a way that another root has taken before.
            grant("org1", "role:f0000", "member", "role:top"),
            grant("org1", "role:f0000", "member", "role:f0001"),
            grant("org2", "role:top", "member", "role:f0002"),
            grant("org2", "user:a", "member", "role:top"),
            sign("org1", 1, Body::Access(expired)),
            sign("org1", 2, Body::Access(scheduled)),
            sign("org1", 3, Body::Access(never)),
            revoked.clone(),
            sign("org1", 4, crate::chain::revoke(revoked.id(), Effect::Grant)),
            grant("org1", "role:f0003", "read", "file:x"),
        ],
    ]);
    assert_eq!(ask(&full, "role:top", "read", "file:x"), ("grant", vec![]));
    // From outside the role at the top is one more, but not on that root's account.
    assert_eq!(ask(&full, "user:a", "read", "file:x"), ("no_match", vec![0]));

    let outside = chain(&[
        flood("org1", "role:top", "f", CLOSURE_ROLES_MAX),
        vec![grant("org2", "user:a", "member", "role:top"), grant("org1", "role:f0003", "read", "file:x")],
    ]);
    assert_eq!(ask(&outside, "user:a", "read", "file:x"), ("grant", vec![]));
}

#[test]
fn each_root_has_a_bound_of_its_own() {
    let full = chain(&[
        flood("org1", "user:a", "f", CLOSURE_ROLES_MAX),
        flood("org2", "user:a", "g", CLOSURE_ROLES_MAX),
        vec![grant("org1", "role:f1000", "read", "file:x"), grant("org1", "role:g1000", "read", "file:y")],
    ]);
    assert_eq!(ask(&full, "user:a", "read", "file:x"), ("grant", vec![]));
    assert_eq!(ask(&full, "user:a", "read", "file:y"), ("grant", vec![]));
}

/// Random records on top of a flood that is nearly full: some fill it, some cut the root.
#[test]
fn the_naive_evaluator_agrees_at_the_edge_of_the_bound() {
    let base = |below: usize| {
        let mut chain = Chain::new();
        chain.append(1, &flood("org1", "role:r0", "r1/x/", CLOSURE_ROLES_MAX - below));
        chain
    };
    let bases = [base(0), base(1), base(2), base(3)];
    let (mut cuts, mut whole) = (0, 0);
    for seed in 0..24 {
        let mut chain = bases[seed as usize % bases.len()].clone();
        chain.append(2, &entries_of(seed, 40));
        let mut asker = Asker::new(seed, &chain);
        for _ in 0..8 {
            let question = asker.question();
            let moment = Moment { interval: Interval::at(time(2)), height: 2 };
            match chain.both(&question, &moment) {
                Ok(decision) if decision.cut_roots.is_empty() => whole += 1,
                Ok(_) => cuts += 1,
                // The log is too long to be read here.
                Err(difference) => {
                    panic!("seed {seed}\n{}", difference.0.lines().rev().take(6).collect::<Vec<_>>().join("\n"))
                }
            }
        }
    }
    assert!(cuts > 20 && whole > 20, "{cuts} answers with a cut root, {whole} without");
}

/// The naive evaluator itself, with a bound that can be counted on fingers.
#[test]
fn the_naive_evaluator_cuts_where_the_decision_record_says() {
    let small = chain(&[vec![
        grant("org1", "user:a", "member", "role:b"),
        grant("org1", "user:a", "member", "role:c"),
        grant("org1", "role:c", "member", "role:a"),
        grant("org2", "role:c", "member", "role:d"),
    ]]);
    let question = writ_proto::decision::Question { sub: name("user:a"), act: None, obj: name("file:x") };
    let moment = Moment { interval: Interval::at(time(100)), height: 1 };
    for (roles_max, reached, cut) in [
        (3, vec!["role:a", "role:b", "role:c", "role:d"], vec![]),
        (2, vec!["role:b", "role:c", "role:d"], vec!["org1"]),
        (1, vec!["role:b"], vec!["org1"]),
        (0, vec![], vec!["org1"]),
    ] {
        let answer = decide_within(roles_max, &small.log, &question, &moment, &crate::chain::conditions);
        assert_eq!(answer.reached.keys().map(String::as_str).collect::<Vec<_>>(), reached, "{roles_max}");
        assert_eq!(answer.cut.iter().map(String::as_str).collect::<Vec<_>>(), cut, "{roles_max}");
    }
}

/// Else one root could have everybody's decisions take the product of its two bounds.
#[test]
fn a_membership_on_a_pattern_is_followed_once_for_all_names_below_it() {
    let role = |n: usize| format!("role:k{n}");
    let mut conditional = access(Effect::Grant, "role:*", "member", "role:last");
    conditional.cond = Some("true".into());
    let mut records = vec![
        grant("org1", "user:a", "member", &role(0)),
        sign("org1", 0, Body::Access(conditional)),
        grant("org1", "role:last", "read", "file:x"),
    ];
    records.extend((0..50).map(|n| grant("org1", &role(n), "member", &role(n + 1))));
    let chain = chain(&[records]);
    assert_eq!(ask(&chain, "user:a", "read", "file:x"), ("grant", vec![]));

    let act = Some(writ_proto::name::Action::parse("read").expect("an action"));
    let question = writ_proto::decision::Question { sub: name("user:a"), act, obj: name("file:x") };
    let moment = Moment { interval: Interval::at(time(100)), height: chain.height() };
    let asked = std::cell::Cell::new(0);
    let decision = writ_proto::decision::resolve(chain.state.index(), &question, &moment, &|_| {
        asked.set(asked.get() + 1);
        writ_proto::decision::Truth::True
    });
    assert_eq!(decision.entries.len(), 3, "the nearest way is told: {decision:?}");
    assert!(asked.get() <= 2, "the one condition was asked for {} times", asked.get());
}
