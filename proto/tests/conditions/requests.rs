//! Requests as JSON tells them.

use serde_json::{Value as Json, json};
use writ_proto::condition::{Map, Request, Value};
use writ_proto::name::{Action, Name};

/// The value of a JSON text. It stands apart from the crate's own reader, which has its own tests.
pub(crate) fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => number
            .as_i64()
            .map(Value::Int)
            .or_else(|| number.as_u64().map(Value::Uint))
            .or_else(|| number.as_f64().map(Value::Double))
            .expect("a number"),
        Json::String(text) => text.as_str().into(),
        Json::Array(values) => Value::List(values.iter().map(value).collect()),
        Json::Object(members) => map(members).into(),
    }
}

/// The members of an object.
pub(crate) fn map(members: &serde_json::Map<String, Json>) -> Map {
    members.iter().map(|(name, member)| (name.as_str().into(), value(member))).collect()
}

/// `user:alice` wants to `read` `file:reports/q3`, with this context.
pub(crate) fn with_context(context: &Json) -> Request {
    let members = |json: &Json| map(json.as_object().expect("an object"));
    let name = |text| Name::parse_full(text).expect("a name");
    Request::of(&name("user:alice"), Some(&Action::parse("read").expect("an action")), &name("file:reports/q3"))
        .with_subject_properties(members(&json!({"department": "finance", "clearance": 3})))
        .with_action_properties(members(&json!({"reason": "audit"})))
        .with_resource_properties(members(&json!({"owner": "alice", "tags": ["confidential", "q3"]})))
        .with_context(members(context))
}

/// The request that the tables are about.
pub(crate) fn fixed() -> Request {
    with_context(&fixed_context())
}

pub(crate) fn fixed_context() -> Json {
    json!({
        "mfa": true,
        "jailbroken": false,
        "level": 3,
        "score": 2.5,
        "whole": 3.0,
        "huge": 9_007_199_254_740_993_u64,
        "most": u64::MAX,
        "zone": "intern",
        "name": "Zoë 🐱",
        "nothing": null,
        "groups": ["staff", "finance", 7],
        "again": ["staff", "finance", 7.0],
        "deep": {"a": {"b": [1, {"c": 2}]}},
        "same": {"a": {"b": [1.0, {"c": 2}]}},
        "device": {"os": "linux", "managed": true},
    })
}
