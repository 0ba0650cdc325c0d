//! Our evaluator and the `cel` crate give one answer, on random conditions and random requests.

use std::collections::HashMap;
use std::sync::Arc;

use cel::objects::{Key, Map as CelMap};
use cel::{Context, Program, Value as CelValue};
use serde_json::{Value as Json, json};
use writ_proto::condition::{Condition, Truth};
use writ_proto::limits::CONDITION_BYTES_MAX;

use crate::generator;
use crate::random::Random;
use crate::requests::{fixed_context, with_context};

/// Requests for each condition: reading one costs the oracle more than evaluating it.
const REQUESTS: u64 = 4;

/// As [`crate::requests::value`] reads it.
fn value(json: &Json) -> CelValue {
    match json {
        Json::Null => CelValue::Null,
        Json::Bool(value) => CelValue::Bool(*value),
        Json::Number(number) => number
            .as_i64()
            .map(CelValue::Int)
            .or_else(|| number.as_u64().map(CelValue::UInt))
            .or_else(|| number.as_f64().map(CelValue::Float))
            .expect("a number"),
        Json::String(text) => CelValue::String(Arc::new(text.clone())),
        Json::Array(values) => CelValue::List(Arc::new(values.iter().map(value).collect())),
        Json::Object(members) => {
            let member = |(name, member): (&String, &Json)| (Key::String(Arc::new(name.clone())), value(member));
            CelValue::Map(CelMap { map: Arc::new(members.iter().map(member).collect::<HashMap<_, _>>()) })
        }
    }
}

/// The request of [`with_context`], as the oracle takes it.
fn bindings(context: &Json) -> Context<'static, 'static> {
    let mut bindings = Context::default();
    for (variable, json) in [
        ("subject", json!({"type": "user", "id": "alice", "properties": {"department": "finance", "clearance": 3}})),
        ("action", json!({"name": "read", "id": "read", "properties": {"reason": "audit"}})),
        (
            "resource",
            json!({"type": "file", "id": "reports/q3", "properties": {"owner": "alice", "tags": ["confidential", "q3"]}}),
        ),
        ("context", context.clone()),
    ] {
        bindings.add_variable_from_value(variable, value(&json));
    }
    bindings
}

fn oracle(program: &Program, context: &Json) -> Truth {
    match program.execute(&bindings(context)) {
        Ok(CelValue::Bool(true)) => Truth::True,
        Ok(CelValue::Bool(false)) => Truth::False,
        _ => Truth::Indeterminate,
    }
}

/// What the oracle says to a condition; an error if it does not read it.
pub(crate) fn answer(text: &str, context: &Json) -> Result<Truth, String> {
    let program = Program::compile(text).map_err(|error| error.to_string())?;
    Ok(oracle(&program, context))
}

/// Where the oracle is not what the specification says: the condition, our answer, the oracle's (none: it does
/// not read it), and what the specification says where.
pub(crate) const DEVIATIONS: &[(&str, Truth, Option<Truth>, &str)] = &[
    ("context.huge == 9007199254740992.0", Truth::False, Some(Truth::True), ON_ONE_LINE),
    ("context.huge > 9007199254740992.0", Truth::True, Some(Truth::False), ON_ONE_LINE),
    ("9007199254740992.0 < context.huge", Truth::True, Some(Truth::False), ON_ONE_LINE),
    ("context.most == 18446744073709551616.0", Truth::False, Some(Truth::True), ON_ONE_LINE),
    ("context.most < 18446744073709551616.0", Truth::True, Some(Truth::False), ON_ONE_LINE),
    ("9223372036854775807 < 9223372036854775808.0", Truth::True, Some(Truth::False), ON_ONE_LINE),
    ("!!1 == 1", Truth::Indeterminate, Some(Truth::True), ON_TRUTHS),
    ("!!context.zone == 'intern'", Truth::Indeterminate, Some(Truth::True), ON_TRUTHS),
];

const ON_ONE_LINE: &str = "langdef, Equality, Numbers: numeric types compare as on one continuous number line. The crate \
     rounds whole numbers to doubles first";
const ON_TRUTHS: &str = "langdef, Standard Definitions: `!` takes a bool. The crate's parser strikes pairs of `!` out, \
     whatever they stand before";

/// A deviation that is gone after an upgrade of the crate is to be struck off.
#[test]
fn the_oracle_deviates_where_it_is_known_to() {
    for (text, ours, theirs, why) in DEVIATIONS {
        let condition = Condition::parse(text).unwrap_or_else(|error| panic!("`{text}`: {error}"));
        assert_eq!(condition.evaluate(&with_context(&fixed_context())).truth, *ours, "`{text}`: {why}");
        assert_eq!(answer(text, &fixed_context()).ok(), *theirs, "`{text}`: {why}");
        assert_ne!(Some(*ours), *theirs, "`{text}`");
    }
}

/// 20,000 cases, or as many as `WRIT_CONDITIONS` says; from seed `WRIT_SEED` on.
#[test]
fn the_oracle_agrees_on_random_conditions() {
    let number = |name: &str, default| match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is `{text}`, expected a number")),
        Err(_) => default,
    };
    let (cases, first): (u64, u64) = (number("WRIT_CONDITIONS", 20_000), number("WRIT_SEED", 0));
    let (mut seed, mut tally) = (first, [0_u64; 3]);
    while tally.iter().sum::<u64>() < cases {
        let random = &mut Random::new(seed);
        let depth = random.below(5);
        let text = generator::condition(random, depth);
        seed += 1;
        if text.len() > CONDITION_BYTES_MAX {
            continue;
        }
        let condition = Condition::parse(&text).unwrap_or_else(|error| panic!("seed {}: `{text}`: {error}", seed - 1));
        let program = Program::compile(&text).unwrap_or_else(|error| panic!("seed {}: `{text}`: {error}", seed - 1));
        for _ in 0..REQUESTS {
            let context = generator::context(random);
            let ours = condition.evaluate(&with_context(&context)).truth;
            let theirs = oracle(&program, &context);
            assert_eq!(ours, theirs, "seed {}: `{text}`\nread as `{condition}`\nwith {context}", seed - 1);
            tally[ours as usize] += 1;
        }
    }
    println!("{} conditions from seed {first}: [true, false, indeterminate] = {tally:?}", seed - first);
    // A generator that never comes to an answer proves nothing about it.
    assert!(cases < 1_000 || tally.iter().all(|count| count * 8 > cases), "{tally:?}");
}

/// Whatever is a condition is CEL: random changes of conditions, of which some are conditions again.
#[test]
fn what_is_read_here_is_read_there() {
    let pieces =
        ["(", ")", "[", "]", ",", "!", "-", ".", "in", "==", "<", "&&", "||", " ", "1", "1u", "'a'", "x", "//", "\n"];
    let mut read = 0;
    for seed in 0..20_000 {
        let random = &mut Random::new(seed);
        let text: Vec<char> = generator::condition(random, 2).chars().collect();
        let at = random.below(text.len());
        let cut = at + random.below(3).min(text.len() - at);
        let text =
            [text[..at].iter().collect(), random.pick(&pieces).to_owned(), text[cut..].iter().collect()].concat();
        if let Ok(condition) = Condition::parse(&text) {
            read += 1;
            let program = Program::compile(&text).unwrap_or_else(|error| panic!("seed {seed}: `{text}`: {error}"));
            // Pairs of `!` are a deviation.
            if !condition.to_string().contains("!!") {
                let context = generator::context(random);
                let ours = condition.evaluate(&with_context(&context)).truth;
                let theirs = oracle(&program, &context);
                assert_eq!(ours, theirs, "seed {seed}: `{text}`, read as `{condition}`, with {context}");
            }
        }
    }
    assert!(read > 1_000, "only {read} were conditions");
}
