//! Cases for scopes.

use alloc::vec;

use super::*;
use crate::name::Side;

fn subject(text: &str) -> Pattern {
    Pattern::parse(text, Side::Subject).unwrap()
}

fn object(text: &str) -> Pattern {
    Pattern::parse(text, Side::Object).unwrap()
}

fn action(text: &str) -> ActionPattern {
    ActionPattern::parse(text).unwrap()
}

fn at(ms: u64) -> LedgerTime {
    LedgerTime::from_millis(ms).unwrap()
}

/// What `org1` may do: grant and deny reading and writing below its own tree, for an hour at most.
fn narrow() -> Rule {
    Rule {
        subjects: vec![subject("user:org1/*"), subject("role:org1/*")],
        objects: vec![object("file:org1/*")],
        actions: vec![action("read"), action("write")],
        grants: true,
        denials: true,
        lifetime_ms_max: Some(3_600_000),
        open_ended: false,
    }
}

fn access() -> Access {
    Access {
        sub: subject("user:org1/ada"),
        obj: object("file:org1/plan"),
        act: action("read"),
        effect: Effect::Grant,
        iss: None,
        exp: Some(at(4_600_000)),
        cond: None,
        reference: None,
    }
}

fn scope(rules: Vec<Rule>) -> Scope {
    Scope { rules, enrol_depth: 1 }
}

#[test]
fn a_record_must_fit_one_rule_in_every_member_and_the_fault_is_named() {
    let narrow = scope(vec![narrow()]);
    for (case, access, fault) in [
        ("inside", access(), None),
        ("a pattern inside", Access { obj: object("file:org1/deep/*"), ..access() }, None),
        ("the whole tree", Access { obj: object("file:org1/*"), ..access() }, None),
        ("exactly the longest lifetime", Access { exp: Some(at(1_000_000 + 3_600_000)), ..access() }, None),
        ("from a later start", Access { iss: Some(at(5_000_000)), exp: Some(at(8_600_000)), ..access() }, None),
        ("someone else's subject", Access { sub: subject("user:org2/bob"), ..access() }, Some("sub")),
        ("all subjects of the type", Access { sub: subject("user:*"), ..access() }, Some("sub")),
        ("everything", Access { sub: subject("*"), ..access() }, Some("sub")),
        ("the tree's own name", Access { obj: object("file:org1"), ..access() }, Some("obj")),
        ("a longer name", Access { obj: object("file:org1x/plan"), ..access() }, Some("obj")),
        ("another action", Access { act: action("delete"), ..access() }, Some("act")),
        ("every action", Access { act: action("*"), ..access() }, Some("act")),
        ("no end", Access { exp: None, ..access() }, Some("exp")),
        ("one millisecond too long", Access { exp: Some(at(1_000_000 + 3_600_001)), ..access() }, Some("exp")),
        (
            "a start in the past does not lengthen it",
            Access { iss: Some(at(0)), exp: Some(at(4_600_000)), ..access() },
            None,
        ),
    ] {
        let refusal = narrow.permits(&access, at(1_000_000)).err();
        assert_eq!(refusal.as_ref().and_then(|refusal| refusal.field), fault, "{case}");
        assert!(refusal.is_none_or(|refusal| refusal.code == Code::OutOfScope), "{case}");
    }
}

#[test]
fn an_effect_needs_its_own_permission() {
    let grants_only = scope(vec![Rule { denials: false, ..narrow() }]);
    let deny = Access { effect: Effect::Deny, ..access() };
    assert!(grants_only.permits(&access(), at(1_000_000)).is_ok());
    assert_eq!(grants_only.permits(&deny, at(1_000_000)).unwrap_err().field, Some("access"));
}

#[test]
fn two_narrow_rules_do_not_add_up_to_a_wide_one() {
    let files = Rule { subjects: vec![subject("user:org1/*")], ..narrow() };
    let others = Rule { objects: vec![object("api:*")], subjects: vec![subject("user:org2/*")], ..narrow() };
    let both = scope(vec![files, others]);
    let mixed = Access { sub: subject("user:org2/bob"), ..access() };
    assert_eq!(both.permits(&mixed, at(1_000_000)).unwrap_err().field, Some("obj"));
}

#[test]
fn a_child_lies_inside_one_rule_of_its_parent_and_never_gains() {
    let parent = Scope { rules: vec![narrow()], enrol_depth: 2 };
    let child = |rule: Rule| Scope { rules: vec![rule], enrol_depth: 1 };
    for (case, scope, inside) in [
        ("the same rule", child(narrow()), true),
        ("a part of it", child(Rule { objects: vec![object("file:org1/hr/*")], ..narrow() }), true),
        ("less of everything", child(Rule { denials: false, lifetime_ms_max: Some(5), ..narrow() }), true),
        ("as deep as the parent", Scope { enrol_depth: 2, ..child(narrow()) }, false),
        ("a wider object", child(Rule { objects: vec![object("file:*")], ..narrow() }), false),
        (
            "one more subject",
            child(Rule { subjects: vec![subject("user:org1/*"), subject("user:x")], ..narrow() }),
            false,
        ),
        ("every action", child(Rule { actions: vec![ActionPattern::Any], ..narrow() }), false),
        ("open-ended", child(Rule { open_ended: true, ..narrow() }), false),
        ("any lifetime", child(Rule { lifetime_ms_max: None, ..narrow() }), false),
        ("a longer lifetime", child(Rule { lifetime_ms_max: Some(3_600_001), ..narrow() }), false),
    ] {
        assert_eq!(parent.contains(&scope), inside, "{case}");
    }
    let grants = Scope { rules: vec![Rule { denials: false, ..narrow() }], enrol_depth: 2 };
    assert!(!grants.contains(&child(narrow())), "a denial that the parent may not make");
}

#[test]
fn a_scope_without_rules_or_with_too_many_is_refused() {
    assert!(Scope { rules: vec![], enrol_depth: 0 }.check().is_err());
    assert!(Scope { rules: vec![narrow(); SCOPE_RULES_MAX], enrol_depth: 0 }.check().is_ok());
    assert!(Scope { rules: vec![narrow(); SCOPE_RULES_MAX + 1], enrol_depth: 0 }.check().is_err());
    assert!(scope(vec![Rule { actions: vec![], ..narrow() }]).check().is_err());
    assert!(scope(vec![Rule { objects: vec![object("file:*"); SCOPE_PATTERNS_MAX + 1], ..narrow() }]).check().is_err());
}
