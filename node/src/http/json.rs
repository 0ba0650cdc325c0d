//! JSON from callers, read strictly, and JSON to them.
//!
//! What a caller sends is first read as a plain value, with two things that a JSON reader usually lets
//! pass refused on the way: nesting beyond [`DEPTH_MAX`], and a member that stands twice (two readers could
//! see two different texts in it). Then the members are taken one by one, so that a fault names its member,
//! and what is left over is refused.

use std::fmt;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response, StatusCode};
use serde::Serialize;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use writ_proto::time::Excerpt;

use super::error::ApiError;

/// Bytes of a usual answer: a decision over a few entries.
const USUAL_BYTES: usize = 512;
/// How deep arrays and objects of a request may nest.
pub(super) const DEPTH_MAX: usize = 32;

/// An answer of status `status` that carries `answer`.
pub(super) fn answer<T: Serialize>(status: StatusCode, answer: &T) -> Result<Response<Body>, ApiError> {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    serde_json::to_writer(&mut bytes, answer).map_err(ApiError::internal)?;
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// The members of an object that a caller sent. Each is taken once.
#[derive(Debug)]
pub(super) struct Members(Map<String, Value>);

impl Members {
    /// Reads the one object that the bytes of `what` hold: `the body`.
    pub(super) fn parse(what: &str, bytes: &[u8]) -> Result<Self, ApiError> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            ApiError::whole("bad_request", format!("{what} is not UTF-8 from byte {} on", error.valid_up_to()))
        })?;
        let mut reader = serde_json::Deserializer::from_str(text);
        let value = Strict { depth: 0 }.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
        match value {
            Ok(Value::Object(members)) => Ok(Self(members)),
            Ok(other) => {
                Err(ApiError::whole("bad_request", format!("{what} is {}, expected a JSON object", kind(&other))))
            }
            Err(error) => Err(malformed(what, &error)),
        }
    }

    /// The members of an object that is a member itself.
    pub(super) fn of(value: Value, field: &'static str) -> Result<Self, ApiError> {
        match value {
            Value::Object(members) => Ok(Self(members)),
            other => Err(ApiError::bad(field, format!("`{field}` is {}, expected an object", kind(&other)))),
        }
    }

    /// The members of an object that stands in a list. If it is none no member is at fault: its place says which it is.
    pub(super) fn of_item(value: Value) -> Result<Self, ApiError> {
        match value {
            Value::Object(members) => Ok(Self(members)),
            other => Err(ApiError::whole("bad_request", format!("{}, expected an object", kind(&other)))),
        }
    }

    /// Whether a member is there, whatever it is.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A member, if it is there and not `null`.
    pub(super) fn take<T: DeserializeOwned>(&mut self, name: &'static str) -> Result<Option<T>, ApiError> {
        let Some(value) = self.0.remove(name) else { return Ok(None) };
        serde_json::from_value(value)
            .map_err(|error| ApiError::bad(name, format!("`{name}`: {}", Excerpt::of(&error.to_string()))))
    }

    /// A member that must be there.
    pub(super) fn require<T: DeserializeOwned>(&mut self, name: &'static str) -> Result<T, ApiError> {
        self.take(name)?.ok_or_else(|| ApiError::bad(name, format!("`{name}` is missing")))
    }

    /// All of them, for a reader that ignores what it does not know.
    pub(super) fn into_map(self) -> Map<String, Value> {
        self.0
    }

    /// Refuses what is left over.
    pub(super) fn finish(self) -> Result<(), ApiError> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => {
                let name = Excerpt::of(name).to_string();
                Err(ApiError::bad(name.clone(), format!("there is no member `{name}`")))
            }
        }
    }
}

/// What a value is, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Marks the fault of a member that stands twice, so that its name can be told from the words around it.
const TWICE: &str = "a member stands twice: ";

fn malformed(what: &str, error: &serde_json::Error) -> ApiError {
    let words = error.to_string();
    match words.strip_prefix(TWICE).and_then(|rest| rest.rsplit_once(" at line ")) {
        Some((name, _)) => ApiError::bad(name.to_owned(), format!("`{name}` stands twice, expected once")),
        None => ApiError::whole("bad_request", format!("{what} is not the JSON that was expected: {words}")),
    }
}

/// Reads a value `depth` arrays and objects deep.
struct Strict {
    depth: usize,
}

impl Strict {
    fn inner<E: serde::de::Error>(&self) -> Result<Self, E> {
        if self.depth == DEPTH_MAX {
            return Err(E::custom(format_args!("arrays and objects nest deeper than {DEPTH_MAX}")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(self.inner()?)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = |own: &Self| own.inner();
        let mut values = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if values.contains_key(&name) {
                return Err(A::Error::custom(format_args!("{TWICE}{}", Excerpt::of(&name))));
            }
            let value = members.next_value_seed(inner(&self)?)?;
            values.insert(name, value);
        }
        Ok(Value::Object(values))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

    use super::*;

    fn field_of(error: ApiError) -> Option<String> {
        assert_eq!(error.code, "bad_request");
        error.field.map(Into::into)
    }

    #[test]
    fn an_object_gives_its_members() {
        let mut members = Members::parse("the body", br#"{"a":1,"b":["x","y"],"c":null,"d":{"e":-1.5}}"#).unwrap();
        assert_eq!(members.require::<u64>("a"), Ok(1));
        assert_eq!(members.take::<Vec<String>>("b"), Ok(Some(vec!["x".into(), "y".into()])));
        assert_eq!(members.take::<String>("c"), Ok(None));
        assert!(Members::of(members.require("d").unwrap(), "d").is_ok());
        assert_eq!(members.finish(), Ok(()));
    }

    #[test]
    fn what_is_not_one_object_is_refused() {
        for body in [
            "",
            " ",
            "null",
            "[]",
            "1",
            "\"a\"",
            "{",
            "{}}",
            "{} {}",
            "{\"a\":}",
            "{'a':1}",
            "{a:1}",
            "{\"a\":1,}",
            "\u{feff}{}",
        ] {
            assert_eq!(field_of(Members::parse("the body", body.as_bytes()).unwrap_err()), None, "{body}");
        }
        assert_eq!(field_of(Members::parse("the body", b"{\"a\":\"\xff\"}").unwrap_err()), None);
        assert_eq!(field_of(Members::parse("the body", b"{\"a\":\"\\ud800\"}").unwrap_err()), None);
    }

    #[test]
    fn a_member_that_stands_twice_is_named_however_deep() {
        for body in [r#"{"a":1,"a":1}"#, r#"{"b":[{"a":1,"\u0061":2}]}"#] {
            assert_eq!(
                field_of(Members::parse("the body", body.as_bytes()).unwrap_err()).as_deref(),
                Some("a"),
                "{body}"
            );
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        assert!(Members::parse("the body", nested(DEPTH_MAX).as_bytes()).is_ok());
        for depth in [DEPTH_MAX + 1, 200, 100_000] {
            assert_eq!(field_of(Members::parse("the body", nested(depth).as_bytes()).unwrap_err()), None, "{depth}");
        }
    }

    #[test]
    fn faults_name_their_member() {
        let mut members = Members::parse("the body", br#"{"a":"x","other":1}"#).unwrap();
        assert_eq!(field_of(members.take::<u64>("a").unwrap_err()).as_deref(), Some("a"));
        assert_eq!(field_of(members.require::<u64>("b").unwrap_err()).as_deref(), Some("b"));
        assert_eq!(field_of(members.finish().unwrap_err()).as_deref(), Some("other"));
        assert_eq!(field_of(Members::of(Value::Null, "entry").unwrap_err()).as_deref(), Some("entry"));
    }
}
