//! What a condition is asked about.

use alloc::borrow::Cow;
use alloc::sync::Arc;

use super::syntax::Variable;
use super::value::{Map, Value};
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
    context: Arc<Map>,
}

/// What an asker tells beside the names. A copy shares all of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// `subject.properties`.
    pub subject: Arc<Map>,
    /// `action.properties`.
    pub action: Arc<Map>,
    /// `resource.properties`.
    pub resource: Arc<Map>,
    /// `context`.
    pub context: Arc<Map>,
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
        let mut request = Self::told(&Told::default());
        request.ask_about(sub, act, obj);
        request
    }

    /// A request with all that the asker tells, about nobody yet: [`Request::ask_about`] says.
    pub fn told(told: &Told) -> Self {
        let party = |properties: &Arc<Map>| Map::from([("properties".into(), Value::Map(properties.clone()))]);
        Self {
            subject: party(&told.subject),
            action: party(&told.action),
            resource: party(&told.resource),
            context: told.context.clone(),
        }
    }

    /// Makes it a request about other names, as in [`Request::about`], with the properties and the context that it has:
    /// a search asks much about many.
    pub fn ask_about(&mut self, sub: &str, act: Option<&Action>, obj: &str) {
        name(&mut self.subject, sub);
        name(&mut self.resource, obj);
        for member in ["id", "name"] {
            match act {
                Some(act) => self.action.insert(member.into(), act.as_str().into()),
                None => self.action.remove(member),
            };
        }
    }

    /// The same with this `context`.
    #[must_use]
    pub fn with_context(self, context: Map) -> Self {
        Self { context: context.into(), ..self }
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

/// Gives a party the type and the id of a full text.
fn name(party: &mut Map, text: &str) {
    let (type_, id) = text.split_once(':').unzip();
    let id = id.filter(|id| !id.ends_with('*'));
    let id = id.map(|id| escape::unescape(id).unwrap_or(Cow::Borrowed(id)));
    for (member, value) in [("type", type_), ("id", id.as_deref())] {
        match value {
            Some(value) => party.insert(member.into(), value.into()),
            None => party.remove(member),
        };
    }
}
