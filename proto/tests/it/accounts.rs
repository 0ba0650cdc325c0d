//! What an account tells of each entry, and which grant it calls the nearest. That it comes to the decision is held
//! against every question of the other tests.

use std::cell::RefCell;
use std::collections::BTreeSet;

use writ_proto::decision::{Account, Decision, Moment, ObstacleKind, Question, Truth, Verdict, Why, account, resolve};
use writ_proto::name::Action;
use writ_proto::record::{Access, Body, Effect, Signed};
use writ_proto::time::Interval;

use crate::chain::{Chain, access, revoke, sign, time};
use crate::ledgers::name;

fn grant(sub: &str, act: &str, obj: &str) -> Access {
    access(Effect::Grant, sub, act, obj)
}

/// The same, over before it began.
fn over(entry: Access) -> Access {
    Access { exp: Some(time(5)), ..entry }
}

fn signed(entries: Vec<Access>) -> Vec<Signed> {
    (1..).zip(entries).map(|(nonce, entry)| sign("org1", nonce, Body::Access(entry))).collect()
}

fn told(chain: &Chain, sub: &str, obj: &str, at: u64, height: u64) -> Account {
    let act = Some(Action::parse("read").expect("an action"));
    let question = Question { sub: name(sub), act, obj: name(obj) };
    let moment = Moment { interval: Interval::at(time(at)), height };
    let unknown = |_: &str| Truth::Indeterminate;
    account(chain.state.index(), &question, &moment, &unknown, &|text: &str| unknown(text).into())
}

#[test]
fn the_way_with_the_fewest_obstacles_is_told() {
    let mut chain = Chain::new();
    let mut conditional = over(grant("user:u", "read", "file:f"));
    conditional.cond = Some("context.mfa".into());
    let entries = [
        over(grant("user:u", "member", "role:a")),
        over(grant("user:u", "member", "role:b")),
        grant("role:a", "member", "role:c"),
        grant("role:b", "member", "role:c"),
        grant("role:c", "member", "role:d"),
        access(Effect::Deny, "role:a", "member", "role:d"),
        grant("role:d", "read", "file:f"),
        conditional,
    ];
    chain.append(1, &signed(entries.to_vec()));
    let account = told(&chain, "user:u", "file:f", 10, 1);
    let nearest = &account.considered[0];
    let index = chain.state.index();
    assert_eq!(index.text(index.entry(nearest.entry).sub), "role:d", "{:?}", account.considered);
    assert_eq!(nearest.obstacles.len(), 1, "one membership is over: {nearest:?}");
    assert_eq!((nearest.over.len(), account.considered.len(), account.more), (3, 2, false));
}

/// Who renews the membership is told beforehand that it would be denied.
#[test]
fn a_denied_membership_is_told_also_of_a_role_that_the_subject_is_not_in() {
    let mut chain = Chain::new();
    let entries = vec![
        over(grant("user:u", "member", "role:a")),
        access(Effect::Deny, "user:u", "member", "role:a"),
        grant("role:a", "read", "file:f"),
    ];
    chain.append(10, &signed(entries));
    let account = told(&chain, "user:u", "file:f", 20, 1);
    let kinds: Vec<_> = account.considered[0].obstacles.iter().map(|obstacle| &obstacle.kind).collect();
    assert!(
        matches!(kinds[..], [ObstacleKind::Never, ObstacleKind::MembershipDenied { definite: true, .. }]),
        "{:?}",
        account.considered
    );
}

#[test]
fn why_an_entry_does_not_hold_is_true_whenever_it_is_asked_about() {
    let mut chain = Chain::new();
    let later = |start: u64| Access { iss: Some(time(start)), ..grant("user:u", "read", "file:f") };
    let records = signed(vec![later(100), over(grant("user:u", "read", "file:f"))]);
    chain.append(10, &records);
    assert_eq!(kind_of(&chain, 0), ObstacleKind::NotYet(time(100)));
    // It was over before the log took it in.
    assert_eq!(kind_of(&chain, 1), ObstacleKind::Never);
    chain.append(20, &[sign("org1", 50, revoke(records[0].id(), Effect::Grant))]);
    // It is revoked before it starts: it starts at no instant, whichever is asked about.
    for at in [15, 20, 60, 150] {
        let account = told(&chain, "user:u", "file:f", at, 2);
        let one = account.considered.iter().find(|one| chain.state.index().entry(one.entry).id == records[0].id());
        let kind = &one.expect("the entry").obstacles[0].kind;
        assert!(matches!(kind, ObstacleKind::Revoked(revoked) if revoked.at == time(20)), "{at}: {kind:?}");
    }
    // With the knowledge of before, it still was to come.
    let before = told(&chain, "user:u", "file:f", 15, 1);
    assert!(before.considered.iter().any(|one| one.obstacles[0].kind == ObstacleKind::NotYet(time(100))));
}

/// What is said of the entry at this place of the log, asked about at instant 20.
fn kind_of(chain: &Chain, at: usize) -> ObstacleKind {
    let account = told(chain, "user:u", "file:f", 20, 1);
    let id = chain.state.index().entries().nth(at).expect("an entry").id;
    let one = account.considered.into_iter().find(|one| chain.state.index().entry(one.entry).id == id);
    one.expect("it bears on the question").obstacles.remove(0).kind
}

type Deciding<'a> = &'a dyn Fn(&str) -> Truth;

/// So what is missing for the decision can be told from what is missing for the rest.
#[test]
fn a_question_is_decided_once_and_what_did_not_matter_is_asked_about_apart() {
    let mut chain = Chain::new();
    let under = |cond: &str, entry: Access| Access { cond: Some(cond.into()), ..entry };
    chain.append(
        1,
        &signed(vec![
            under("context.a", grant("user:u", "member", "role:r")),
            under("context.b", access(Effect::Deny, "role:r", "read", "file:f")),
            under("context.c", grant("user:u", "read", "file:f")),
            under("context.d", grant("role:s", "read", "file:f")),
            over(under("context.e", grant("user:u", "member", "role:s"))),
            under("context.f", access(Effect::Deny, "user:u", "member", "role:r")),
        ]),
    );
    let question = Question { sub: name("user:u"), act: Some(Action::parse("read").unwrap()), obj: name("file:f") };
    let moment = Moment { interval: Interval::at(time(10)), height: 1 };
    let (index, unclear) = (chain.state.index(), Truth::Indeterminate);
    let asked = |decide: &dyn Fn(Deciding<'_>) -> Decision| {
        let asked = RefCell::new(Vec::new());
        let decision = decide(&|text: &str| {
            asked.borrow_mut().push(text.to_owned());
            unclear
        });
        (decision, asked.into_inner())
    };
    let told = RefCell::new(BTreeSet::new());
    let telling = |text: &str| {
        assert!(told.borrow_mut().insert(text.to_owned()), "`{text}` is evaluated twice");
        unclear.into()
    };
    let resolved = asked(&|deciding| resolve(index, &question, &moment, deciding));
    let accounted = asked(&|deciding| account(index, &question, &moment, deciding, &telling).decision);
    assert_eq!(resolved, accounted);
    assert!(resolved.0.why == Why::Indeterminate && resolved.1.iter().all(|text| text != "context.d"), "{resolved:?}");
    let all = ["a", "b", "c", "d", "e", "f"].map(|name| format!("context.{name}"));
    assert_eq!(told.into_inner(), BTreeSet::from(all));
}

#[test]
fn an_account_says_that_there_is_more_and_tells_all_that_decided() {
    let mut chain = Chain::new();
    let others = (0..300).map(|n| grant("user:u", &format!("act{n}"), "file:f"));
    let denials = (0..280).map(|_| access(Effect::Deny, "user:u", "read", "file:f"));
    chain.append(1, &signed(others.clone().collect()));
    let account = told(&chain, "user:u", "file:f", 2, 1);
    assert_eq!((account.considered.len(), account.more), (256, true));

    let mut chain = Chain::new();
    chain.append(1, &signed(denials.clone().collect()));
    let account = told(&chain, "user:u", "file:f", 2, 1);
    assert_eq!((account.considered.len(), account.more), (280, false), "all of them decided");

    let mut chain = Chain::new();
    chain.append(1, &signed(denials.chain(others).collect()));
    let account = told(&chain, "user:u", "file:f", 2, 1);
    assert_eq!((account.considered.len(), account.more), (280, true));
    assert!(account.considered.iter().all(|one| one.verdict == Verdict::Applies));
}

#[test]
fn names_beyond_the_bound_are_told_to_be_there() {
    for (length, more) in [(1_000, false), (1_100, true)] {
        let mut chain = Chain::new();
        let role = |n: usize| format!("role:k{n}");
        let mut entries = vec![over(grant("user:u", "member", "role:k0"))];
        entries.extend((0..length).map(|n| grant(&role(n), "member", &role(n + 1))));
        entries.push(grant(&role(length), "read", "file:f"));
        chain.append(1, &signed(entries));
        let account = told(&chain, "user:u", "file:f", 10, 1);
        assert_eq!((account.considered.is_empty(), account.more), (more, more), "{length} roles");
    }
}
