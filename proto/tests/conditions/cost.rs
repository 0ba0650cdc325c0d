//! What an evaluation looks at is bounded by the condition's length times the size of what it touches.
//! Counted, not timed.

use serde_json::{Value as Json, json};
use writ_proto::condition::{Condition, Request, STEPS_MAX, Truth, Value};
use writ_proto::limits::CONDITION_BYTES_MAX;

use crate::requests::with_context;

/// The size as the CEL specification counts it: bytes of texts, names and values, and one for each value.
fn size(json: &Json) -> u64 {
    1 + match json {
        Json::String(text) => text.len() as u64,
        Json::Array(values) => values.iter().map(size).sum(),
        Json::Object(members) => members.iter().map(|(name, value)| name.len() as u64 + size(value)).sum(),
        _ => 0,
    }
}

/// As many times as fits a condition.
fn repeated(part: &str, operator: &str) -> String {
    let times = CONDITION_BYTES_MAX / (part.len() + operator.len());
    vec![part; times].join(operator)
}

#[test]
fn the_worst_conditions_stay_within_their_bound() {
    let long = "x".repeat(4_000);
    let almost = format!("{}y", &long[1..]);
    let nested = (0..30).fold(json!([long]), |inner, _| json!([inner, 1]));
    let wide: Json = (0..1_000).map(|n| (format!("member{n:04}"), json!(n))).collect::<serde_json::Map<_, _>>().into();
    let list: Json = (0..1_000).map(|n| json!([n, "y"])).collect();
    let context = json!({"a": long, "b": long, "c": almost, "l": list, "k": list, "m": wide, "n": wide, "d": nested, "e": nested});
    let request = with_context(&context);
    let bound = CONDITION_BYTES_MAX as u64 * size(&context);
    for part in [
        "context.a!=context.b",
        "context.a<context.c",
        "context.a==context.c",
        "size(context.a)<1",
        "context.a.startsWith(context.c)",
        "context.l!=context.k",
        "context.m!=context.n",
        "context.d!=context.e",
        "context.a in context.l",
        "[context.a]in context.l",
        "context.d in[context.e,1]",
        "[context]!=[context]",
        "[context,context,context]!=[context,context,context]",
        "context!=context",
        "context in[context.a,context,context]==false",
        "context.m.member0999<0",
        "context.aa.b",
    ] {
        for operator in ["||", "&&"] {
            let text = repeated(part, operator);
            let condition = Condition::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let evaluation = condition.evaluate(&request);
            assert!(evaluation.steps <= bound, "{part}: {} steps, at most {bound}", evaluation.steps);
            assert!(evaluation.missing.len() <= 1);
        }
    }
}

/// Twice the condition or twice the request is at most twice the work.
#[test]
fn work_grows_with_the_condition_and_with_the_request() {
    let steps = |parts: usize, bytes: usize| {
        let text = vec!["context.a != context.b"; parts].join(" || ");
        let value = "x".repeat(bytes);
        let evaluation =
            Condition::parse(&text).expect("it parses").evaluate(&with_context(&json!({"a": value, "b": value})));
        assert_eq!(evaluation.truth, Truth::False);
        evaluation.steps
    };
    let one = steps(1, 1_000);
    assert!(one >= 1_000, "what is compared is counted, not only {one}");
    assert!(steps(10, 1_000) <= 11 * one);
    assert!(steps(1, 10_000) <= 11 * one);
    assert!(steps(10, 10_000) <= 110 * one);
}

/// What is settled is not gone on with.
#[test]
fn a_settled_run_ends() {
    let request = with_context(&json!({"a": "x".repeat(100_000), "yes": true}));
    for text in ["context.yes || size(context.a) == 1", "!context.yes && size(context.a) == 1"] {
        let evaluation = Condition::parse(text).expect("it parses").evaluate(&request);
        assert!(evaluation.steps < 50, "{text}: {}", evaluation.steps);
    }
}

#[test]
fn what_takes_too_much_cannot_be_evaluated() {
    let list = |count: usize| Value::from((0..count).map(|n| Value::Int(n as i64)).collect::<Vec<_>>());
    let conditions = ["-1 in context.l".to_owned(), vec!["-1 in context.l"; 50].join(" || ")];
    for (count, text, want) in [
        (10_000, &conditions[0], Truth::False),
        (10_000, &conditions[1], Truth::False),
        (30_000, &conditions[0], Truth::False),
        (30_000, &conditions[1], Truth::Indeterminate),
    ] {
        let request = Request::default().with_context([("l".into(), list(count))].into());
        let evaluation = writ_proto::condition::evaluate(text, &request);
        assert_eq!(evaluation.truth, want, "{count} elements, {} bytes", text.len());
        assert!(evaluation.steps <= STEPS_MAX + count as u64 + 100, "{} steps", evaluation.steps);
    }
}
