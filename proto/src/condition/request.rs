//! What a condition is asked about.

use alloc::borrow::Cow;

use super::syntax::Variable;
use super::value::Map;
use crate::name::{Action, Name, escape};

/// What a condition is asked about: who, what, which action, and the circumstances.
///
/// ```text
///   subject    type  id  properties        properties: what the asker tells about it, {} if nothing
///   resource   type  id  properties
///   action     name  id  properties        id = name; neither if the question is for every action
///   context    whatever the asker tells
/// ```
///
/// The default request knows nothing at all: every member is missing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    // INVARIANT: `subject`, `resource` and `action` have no members but those of `Variable::members`.
    subject: Map,
    action: Map,
    resource: Map,
    context: Map,
}

impl Request {
    /// A request about these names, without properties and context. Ids are as people write them, decoded
    /// from the ledger's form; one that is no text there stays in that form.
    pub fn of(sub: &Name, act: Option<&Action>, obj: &Name) -> Self {
        Self::about(sub.as_str(), act, obj.as_str())
    }

    /// A request about these full texts. One that is a pattern stands for names that are not known: it has no `id`, and a
    /// `type` only if that is not part of the pattern.
    pub fn about(sub: &str, act: Option<&Action>, obj: &str) -> Self {
        let mut action = Map::from([("properties".into(), Map::new().into())]);
        if let Some(act) = act {
            action.extend(["id", "name"].map(|member| (member.into(), act.as_str().into())));
        }
        Self { subject: party(sub), action, resource: party(obj), context: Map::new() }
    }

    /// The same with this `context`.
    #[must_use]
    pub fn with_context(self, context: Map) -> Self {
        Self { context, ..self }
    }

    /// The same with these `subject.properties`.
    #[must_use]
    pub fn with_subject_properties(mut self, properties: Map) -> Self {
        self.subject.insert("properties".into(), properties.into());
        self
    }

    /// The same with these `action.properties`.
    #[must_use]
    pub fn with_action_properties(mut self, properties: Map) -> Self {
        self.action.insert("properties".into(), properties.into());
        self
    }

    /// The same with these `resource.properties`.
    #[must_use]
    pub fn with_resource_properties(mut self, properties: Map) -> Self {
        self.resource.insert("properties".into(), properties.into());
        self
    }

    pub(super) fn variable(&self, variable: Variable) -> &Map {
        match variable {
            Variable::Context => &self.context,
            Variable::Subject => &self.subject,
            Variable::Action => &self.action,
            Variable::Resource => &self.resource,
        }
    }
}

fn party(text: &str) -> Map {
    let mut members = Map::from([("properties".into(), Map::new().into())]);
    if let Some((type_, id)) = text.split_once(':') {
        members.insert("type".into(), type_.into());
        if !id.ends_with('*') {
            let id = escape::unescape(id).unwrap_or(Cow::Borrowed(id));
            members.insert("id".into(), (*id).into());
        }
    }
    members
}
