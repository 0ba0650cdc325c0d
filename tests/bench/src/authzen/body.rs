//! Questions and answers as AuthZEN has them, in JSON.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::traffic::Asked;

/// An answer to one question.
#[derive(Debug, Deserialize)]
pub(super) struct Decision {
    /// Whether it is yes.
    pub(super) decision: bool,
}

/// An answer to a batch.
#[derive(Debug, Deserialize)]
pub(super) struct Decisions {
    /// In the order of the questions.
    pub(super) evaluations: Vec<Decision>,
}

/// An answer to a search. `page` is there if it is not complete.
#[derive(Debug, Deserialize)]
pub(super) struct Found {
    /// What was found.
    pub(super) results: Vec<Entity>,
    /// Where it goes on.
    #[serde(default)]
    pub(super) page: Option<Value>,
}

/// A subject or resource.
#[derive(Debug, Deserialize)]
pub(super) struct Entity {
    /// Its type.
    #[serde(rename = "type")]
    pub(super) type_: String,
    /// Its id.
    pub(super) id: String,
}

/// A full name as type and id. The dataset has no name that the ledger would spell otherwise.
pub(super) fn entity(name: &str) -> Value {
    let (type_, id) = name.split_once(':').unwrap_or((name, ""));
    json!({ "type": type_, "id": id })
}

/// The same with properties.
pub(super) fn entity_with(name: &str, properties: Value) -> Value {
    let mut entity = entity(name);
    entity["properties"] = properties;
    entity
}

/// An action.
pub(super) fn action(name: &str) -> Value {
    json!({ "name": name })
}

/// All parts of a question.
fn parts(question: &Asked) -> Value {
    let Asked { sub, act, obj } = question;
    json!({ "subject": entity(sub), "action": action(act), "resource": entity(obj) })
}

/// One question.
pub(super) fn evaluation(question: &Asked) -> String {
    parts(question).to_string()
}

/// A batch whose questions have all parts of their own.
pub(super) fn evaluations(questions: &[Asked]) -> String {
    json!({ "evaluations": questions.iter().map(parts).collect::<Vec<_>>() }).to_string()
}

/// A batch about one part of each question, `subject` or `resource`; the others stand once, in `shared`.
pub(super) fn evaluations_of<'a>(
    shared: Map<String, Value>,
    part: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> String {
    let mut body = shared;
    let item = |name: &str| Value::Object(Map::from_iter([(part.to_owned(), entity(name))]));
    body.insert("evaluations".into(), names.into_iter().map(item).collect());
    Value::Object(body).to_string()
}

/// Some members of an object.
pub(super) fn members<const N: usize>(members: [(&str, Value); N]) -> Map<String, Value> {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
