//! Values as JSON tells them.

use serde_json::json;
use writ_proto::condition::{Condition, Map, Request, Truth, VALUE_DEPTH_MAX, Value};

fn read(json: &str) -> Result<Value, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

#[test]
fn json_reads_as_values() {
    for (json, want) in [
        ("null", Value::Null),
        ("true", Value::Bool(true)),
        ("3", Value::Int(3)),
        ("-3", Value::Int(-3)),
        ("9223372036854775807", Value::Int(i64::MAX)),
        ("-9223372036854775808", Value::Int(i64::MIN)),
        ("9223372036854775808", Value::Uint(1 << 63)),
        ("18446744073709551615", Value::Uint(u64::MAX)),
        ("3.0", Value::Double(3.0)),
        ("3e0", Value::Double(3.0)),
        ("-0", Value::Double(-0.0)),
        (r#""é\ud83d\ude00""#, "é😀".into()),
        ("[1, [\"a\"]]", Value::from(vec![1_i64.into(), Value::from(vec!["a".into()])])),
        (
            r#"{"b": {"c": null}, "a": 1}"#,
            Map::from([("a".into(), 1_i64.into()), ("b".into(), Map::from([("c".into(), Value::Null)]).into())]).into(),
        ),
    ] {
        assert_eq!(read(json), Ok(want.clone()), "{json}");
        // A tree that was read before gives the same.
        let tree: serde_json::Value = serde_json::from_str(json).expect("JSON");
        assert_eq!(serde_json::from_value::<Value>(tree).expect("a value"), want, "{json}");
    }
}

#[test]
fn what_is_told_twice_or_nested_too_deep_is_refused() {
    assert_eq!(read(r#"{"mfa": false, "mfa": true}"#), Err("member `mfa` is there twice at line 1 column 27".into()));
    let nested = |levels: usize| ["[".repeat(levels), "]".repeat(levels)].concat();
    assert!(read(&nested(VALUE_DEPTH_MAX)).is_ok());
    let refused = read(&nested(VALUE_DEPTH_MAX + 1)).expect_err("one level too many");
    assert!(refused.starts_with("more than 32 levels of lists and objects"), "{refused}");
}

/// Whoever writes `>= 3` need not know how a level was written in JSON.
#[test]
fn numbers_of_json_compare_with_numbers_of_conditions() {
    for (level, want) in [
        (json!(3), Truth::True),
        (json!(3.0), Truth::True),
        (json!(3.5), Truth::True),
        (json!(u64::MAX), Truth::True),
        (json!(2), Truth::False),
        (json!(2.999), Truth::False),
        (json!("3"), Truth::Indeterminate),
        (json!(null), Truth::Indeterminate),
    ] {
        let context: Map = serde_json::from_value(json!({"level": level})).expect("an object");
        for text in ["context.level >= 3", "context.level >= 3u", "context.level >= 3.0"] {
            let condition = Condition::parse(text).expect("it parses");
            let request = Request::default().with_context(context.clone());
            assert_eq!(condition.evaluate(&request).truth, want, "{text} of {level}");
        }
    }
}

#[test]
fn a_number_that_readers_round_is_refused() {
    for text in
        ["18446744073709551616", "100000000000000000001", "-9223372036854775809", "1e30", "-1e30", "{\"a\": [1e19]}"]
    {
        let read: Result<Value, _> = serde_json::from_str(text);
        assert_eq!(read.is_err(), text != "{\"a\": [1e19]}", "{text}: {read:?}");
    }
    for (text, want) in [
        ("18446744073709551615", Value::Uint(u64::MAX)),
        ("-9223372036854775808", Value::Int(i64::MIN)),
        ("1e19", Value::Double(1e19)),
        ("0.1", Value::Double(0.1)),
    ] {
        assert_eq!(serde_json::from_str::<Value>(text).expect("a value"), want, "{text}");
    }
}
