//! What the conditions of entries do to answers.

use writ_proto::condition::{self, Map, Request, Value};
use writ_proto::decision::{Moment, Question, Why, resolve};
use writ_proto::name::{Action, Name};
use writ_proto::record::{Access, Body, Effect};
use writ_proto::time::Interval;

use crate::chain::{Chain, access, sign, time};

/// In doubt denied: what cannot be evaluated denies where it stands on a denial, and gives nothing elsewhere.
#[test]
fn answers_follow_the_context_and_in_doubt_deny() {
    let on = |cond: &str, entry: Access| Access { cond: Some(cond.into()), ..entry };
    let entries = [
        on("context.mfa == true", access(Effect::Grant, "user:a", "read", "file:x")),
        on("context.risk > 7", access(Effect::Deny, "*", "*", "file:x")),
        on("context.zone == 'office'", access(Effect::Grant, "user:b", "member", "role:staff")),
        access(Effect::Grant, "role:staff", "read", "file:y"),
        access(Effect::Deny, "role:staff", "read", "file:z"),
        access(Effect::Grant, "user:b", "read", "file:z"),
        // Another version took it; this one cannot read it.
        on("context.mfa ?: true", access(Effect::Grant, "user:c", "read", "file:x")),
        on("resource.properties.owner == subject.id", access(Effect::Grant, "user:*", "edit", "file:*")),
    ];
    let mut chain = Chain::new();
    let records: Vec<_> = (1..).zip(entries).map(|(nonce, entry)| sign("org1", nonce, Body::Access(entry))).collect();
    assert_eq!(chain.append(10, &records), []);

    let int = |name: &str, value: i64| (name.into(), Value::from(value));
    let mfa = || ("mfa".into(), Value::from(true));
    let office = || ("zone".into(), Value::from("office"));
    for (sub, act, obj, context, why, missing) in [
        ("user:a", "read", "file:x", vec![mfa(), int("risk", 1)], Why::Grant, &[][..]),
        ("user:a", "read", "file:x", vec![mfa(), int("risk", 8)], Why::Deny, &[]),
        ("user:a", "read", "file:x", vec![mfa()], Why::Indeterminate, &["context.risk"]),
        ("user:a", "read", "file:x", vec![int("risk", 1)], Why::Indeterminate, &["context.mfa"]),
        ("user:a", "read", "file:x", vec![("mfa".into(), Value::from(false)), int("risk", 1)], Why::NoMatch, &[]),
        ("user:a", "read", "file:x", vec![mfa(), ("risk".into(), Value::from("8"))], Why::Indeterminate, &[]),
        ("user:c", "read", "file:x", vec![mfa(), int("risk", 1)], Why::Indeterminate, &[]),
        // A membership: its grants need a yes, its denials only no no.
        ("user:b", "read", "file:y", vec![office()], Why::Grant, &[]),
        ("user:b", "read", "file:y", vec![], Why::Indeterminate, &["context.zone"]),
        ("user:b", "read", "file:z", vec![office()], Why::Deny, &[]),
        ("user:b", "read", "file:z", vec![], Why::Indeterminate, &["context.zone"]),
        ("user:b", "read", "file:z", vec![("zone".into(), Value::from("home"))], Why::Grant, &[]),
        ("user:o", "edit", "file:own", vec![], Why::Grant, &[]),
        ("user:a", "edit", "file:own", vec![], Why::NoMatch, &[]),
    ] {
        let name = |text: &str| Name::parse_full(text).expect("a name");
        let question = Question { sub: name(sub), act: Some(Action::parse(act).expect("an action")), obj: name(obj) };
        let request = Request::of(&question.sub, question.act.as_ref(), &question.obj)
            .with_resource_properties(Map::from([("owner".into(), Value::from("o"))]))
            .with_context(context.clone().into_iter().collect());
        let told = std::cell::RefCell::new(Vec::new());
        let conditions = |text: &str| {
            let evaluation = condition::evaluate(text, &request);
            told.borrow_mut().extend(evaluation.missing);
            evaluation.truth
        };
        let moment = Moment { interval: Interval::at(time(20)), height: chain.height() };
        let decision = resolve(chain.state.index(), &question, &moment, &conditions);
        let mut told = told.into_inner();
        told.sort();
        told.dedup();
        assert_eq!(
            (decision.why, told),
            (why, missing.iter().map(|path| path.to_string()).collect()),
            "{sub} {act} {obj} {context:?}"
        );
    }
}

/// A question for every action is granted only if every single action is. What a condition asks of the action itself is
/// not known there, not absent.
#[test]
fn what_is_granted_for_every_action_is_granted_for_each() {
    let on = |cond: &str, entry: Access| Access { cond: Some(cond.into()), ..entry };
    let conditions = [
        "has(action.name) && action.name == 'delete'",
        "has(action.id) && action.id in ['delete']",
        "'name' in action && action.name == 'delete'",
        "size(action) == 3",
        "action != subject",
        "has(action.name)",
    ];
    for cond in conditions {
        let entries =
            [access(Effect::Grant, "user:a", "*", "file:x"), on(cond, access(Effect::Deny, "user:a", "*", "file:x"))];
        let mut chain = Chain::new();
        let records: Vec<_> =
            (1..).zip(entries).map(|(nonce, entry)| sign("org1", nonce, Body::Access(entry))).collect();
        assert_eq!(chain.append(10, &records), []);
        let why = |act: Option<&str>| {
            let name = |text: &str| Name::parse_full(text).expect("a name");
            let act = act.map(|act| Action::parse(act).expect("an action"));
            let question = Question { sub: name("user:a"), act, obj: name("file:x") };
            let request = Request::of(&question.sub, question.act.as_ref(), &question.obj);
            let moment = Moment { interval: Interval::at(time(20)), height: chain.height() };
            resolve(chain.state.index(), &question, &moment, &|text: &str| condition::evaluate(text, &request).truth)
                .why
        };
        assert_eq!(why(Some("delete")), Why::Deny, "{cond}");
        assert_eq!(why(None), Why::Indeterminate, "{cond}");
    }
}
