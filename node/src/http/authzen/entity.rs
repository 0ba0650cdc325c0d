//! What a request is about: subject, action, resource and context, read from JSON.
//!
//! Members are looked for by name and type; all others are ignored. A fault names the member by its path, such as
//! `evaluations[3].subject.id`; until there is one, a path is not written out ([`Path`]).

use std::fmt;

use serde_json::{Map, Value};
use writ_proto::api::{check_type, to_nfc};
use writ_proto::decision::Question;
use writ_proto::name::{Action, Name, Side, escape};

use crate::http::circumstances::{Attributes, Circumstances};
use crate::http::error::ApiError;
use crate::http::json::kind;

/// Where in a request something stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Path {
    /// The item of a batch.
    item: Option<usize>,
    /// The part of a question.
    part: Option<&'static str>,
}

/// A subject or a resource.
#[derive(Clone, Debug, PartialEq)]
struct Entity {
    type_: String,
    id: String,
    properties: Attributes,
}

/// An action.
#[derive(Clone, Debug, PartialEq)]
struct Act {
    name: String,
    properties: Attributes,
}

/// One question, complete.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Evaluation {
    question: Option<Question>,
    pub(super) circumstances: Circumstances,
}

/// The parts of a question that an object names: all of one, or what items of a batch fall back on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Parts {
    subject: Option<Entity>,
    action: Option<Act>,
    resource: Option<Entity>,
    context: Option<Attributes>,
}

impl Path {
    /// The request itself.
    pub(super) const ROOT: Self = Self { item: None, part: None };

    /// An item of a batch.
    pub(super) fn item(place: usize) -> Self {
        Self { item: Some(place), part: None }
    }

    /// A part of the question that stands here.
    pub(super) fn part(self, part: &'static str) -> Self {
        Self { part: Some(part), ..self }
    }

    /// A fault of the member `name` of what stands here.
    fn fault(self, name: &str, detail: impl Into<String>) -> ApiError {
        let is_root = self == Self::ROOT;
        ApiError::bad(if is_root { name.to_owned() } else { format!("{self}.{name}") }, detail)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.item, self.part) {
            (None, None) => Ok(()),
            (None, Some(part)) => f.write_str(part),
            (Some(item), None) => write!(f, "evaluations[{item}]"),
            (Some(item), Some(part)) => write!(f, "evaluations[{item}].{part}"),
        }
    }
}

impl Parts {
    /// Takes the parts out of `members`, which stand at `path`.
    pub(super) fn take(members: &mut Map<String, Value>, path: Path) -> Result<Self, ApiError> {
        let entity = |found: Option<_>, part| found.map(|found| Entity::of(found, path.part(part))).transpose();
        Ok(Self {
            subject: entity(object(members, path, "subject")?, "subject")?,
            action: object(members, path, "action")?.map(|found| Act::of(found, path.part("action"))).transpose()?,
            resource: entity(object(members, path, "resource")?, "resource")?,
            context: object(members, path, "context")?.map(Attributes::from),
        })
    }

    /// The question that stands at `path`; a part that is not here is that of `defaults`, as a whole.
    pub(super) fn complete(self, defaults: &Self, path: Path) -> Result<Evaluation, ApiError> {
        let missing = |part: &'static str| move || path.fault(part, "it is missing");
        let subject = self.subject.as_ref().or(defaults.subject.as_ref()).ok_or_else(missing("subject"))?;
        let action = self.action.as_ref().or(defaults.action.as_ref()).ok_or_else(missing("action"))?;
        let resource = self.resource.as_ref().or(defaults.resource.as_ref()).ok_or_else(missing("resource"))?;
        let context = self.context.as_ref().or(defaults.context.as_ref()).cloned().unwrap_or_default();
        Ok(Evaluation {
            question: question(subject, action, resource),
            circumstances: Circumstances {
                subject: subject.properties.clone(),
                action: action.properties.clone(),
                resource: resource.properties.clone(),
                context,
            },
        })
    }
}

/// What a search is for: a question without what it looks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Sought {
    /// Subjects of this type.
    Subjects { type_: String, act: Action, obj: Name },
    /// Resources of this type.
    Resources { type_: String, sub: Name, act: Action },
    /// Actions.
    Actions { sub: Name, obj: Name },
}

/// A search, with what the asker tells. `None`: for something about which no entry can be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Search {
    pub(super) sought: Option<Sought>,
    pub(super) circumstances: Circumstances,
}

impl Search {
    /// Of subjects: `subject` needs a type only.
    pub(super) fn of_subjects(members: &mut Map<String, Value>) -> Result<Self, ApiError> {
        let (type_, subject) = kind_of(members, "subject")?;
        let (act, resource) = (part(members, "action", Act::of)?, part(members, "resource", Entity::of)?);
        let sought = || {
            let (act, obj) = (act.name()?, resource.name(Side::Object)?);
            Some(Sought::Subjects { type_, act, obj })
        };
        let (sought, action, resource) = (sought(), act.properties, resource.properties);
        Ok(Self { sought, circumstances: Circumstances { subject, action, resource, context: context(members)? } })
    }

    /// Of resources: `resource` needs a type only.
    pub(super) fn of_resources(members: &mut Map<String, Value>) -> Result<Self, ApiError> {
        let (type_, resource) = kind_of(members, "resource")?;
        let (subject, act) = (part(members, "subject", Entity::of)?, part(members, "action", Act::of)?);
        let sought = || {
            let (sub, act) = (subject.name(Side::Subject)?, act.name()?);
            Some(Sought::Resources { type_, sub, act })
        };
        let (sought, subject, action) = (sought(), subject.properties, act.properties);
        Ok(Self { sought, circumstances: Circumstances { subject, action, resource, context: context(members)? } })
    }

    /// Of actions: there is no `action`.
    pub(super) fn of_actions(members: &mut Map<String, Value>) -> Result<Self, ApiError> {
        let (subject, resource) = (part(members, "subject", Entity::of)?, part(members, "resource", Entity::of)?);
        let sought = || {
            let (sub, obj) = (subject.name(Side::Subject)?, resource.name(Side::Object)?);
            Some(Sought::Actions { sub, obj })
        };
        let (sought, subject, resource) = (sought(), subject.properties, resource.properties);
        let (action, context) = (Attributes::default(), context(members)?);
        Ok(Self { sought, circumstances: Circumstances { subject, action, resource, context } })
    }
}

/// A part that must be there.
fn part<T>(
    members: &mut Map<String, Value>,
    name: &'static str,
    read: fn(Map<String, Value>, Path) -> Result<T, ApiError>,
) -> Result<T, ApiError> {
    let found = object(members, Path::ROOT, name)?.ok_or_else(|| Path::ROOT.fault(name, "it is missing"))?;
    read(found, Path::ROOT.part(name))
}

/// The type and the properties of what is looked for; an id is ignored, whatever it is.
fn kind_of(members: &mut Map<String, Value>, name: &'static str) -> Result<(String, Attributes), ApiError> {
    part(members, name, |mut found, path| Ok((string(&mut found, path, "type")?, properties(&mut found, path)?)))
}

fn context(members: &mut Map<String, Value>) -> Result<Attributes, ApiError> {
    Ok(object(members, Path::ROOT, "context")?.unwrap_or_default().into())
}

fn properties(members: &mut Map<String, Value>, path: Path) -> Result<Attributes, ApiError> {
    Ok(object(members, path, "properties")?.unwrap_or_default().into())
}

/// Type and id of a name of the ledger, such that a question about them is one about the name; `None` if there are none.
pub(super) fn type_and_id(text: &str, side: Side) -> Option<(String, String)> {
    let name = Name::parse_full(text).ok()?;
    let id = escape::unescape(name.id())?.into_owned();
    let entity = Entity { type_: name.type_().to_owned(), id, properties: Attributes::default() };
    (entity.name(side).as_ref() == Some(&name)).then_some((entity.type_, entity.id))
}

impl Entity {
    fn of(mut members: Map<String, Value>, path: Path) -> Result<Self, ApiError> {
        Ok(Self {
            type_: string(&mut members, path, "type")?,
            id: string(&mut members, path, "id")?,
            properties: properties(&mut members, path)?,
        })
    }

    /// The name on the ledger, if it can be one. Nothing is normalized: another spelling is another name.
    fn name(&self, side: Side) -> Option<Name> {
        let Self { type_, id, .. } = self;
        let is_itself = check_type(type_).is_ok() && to_nfc(id) == *id;
        is_itself.then(|| Name::from_display(&format!("{type_}:{id}"), side).ok()).flatten()
    }
}

impl Act {
    fn of(mut members: Map<String, Value>, path: Path) -> Result<Self, ApiError> {
        Ok(Self { name: string(&mut members, path, "name")?, properties: properties(&mut members, path)? })
    }

    /// The action on the ledger, if it can be one.
    fn name(&self) -> Option<Action> {
        Action::parse(&self.name).ok()
    }
}

impl Evaluation {
    /// The question in the ledger's words; `None` if no entry can be about it.
    pub(super) fn question(&self) -> Option<&Question> {
        self.question.as_ref()
    }
}

fn question(subject: &Entity, action: &Act, resource: &Entity) -> Option<Question> {
    Some(Question { sub: subject.name(Side::Subject)?, act: Some(action.name()?), obj: resource.name(Side::Object)? })
}

/// A member that is an object, if it is there.
pub(super) fn object(
    members: &mut Map<String, Value>,
    path: Path,
    name: &str,
) -> Result<Option<Map<String, Value>>, ApiError> {
    match members.remove(name) {
        None => Ok(None),
        Some(Value::Object(found)) => Ok(Some(found)),
        Some(other) => Err(path.fault(name, format!("{}, expected an object", kind(&other)))),
    }
}

/// A member that must be there, a string.
fn string(members: &mut Map<String, Value>, path: Path, name: &str) -> Result<String, ApiError> {
    match members.remove(name) {
        Some(Value::String(found)) => Ok(found),
        Some(other) => Err(path.fault(name, format!("{}, expected a string", kind(&other)))),
        None => Err(path.fault(name, "it is missing")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entity(type_: &str, id: &str) -> Entity {
        Entity { type_: type_.into(), id: id.into(), properties: Attributes::default() }
    }

    #[test]
    fn a_name_is_the_very_name_or_none() {
        let name = |type_: &str, id: &str| entity(type_, id).name(Side::Subject).map(|name| name.as_str().to_owned());
        for (type_, id, want) in [
            ("user", "alice", Some("user:alice")),
            ("user", "beth@the-smiths.com", Some("user:beth@the-smiths.com")),
            ("user", "a:b", Some("user:a:b")),
            ("role", "staff", Some("role:staff")),
            ("user", "caf\u{e9}", Some("user:caf%C3%A9")),
            // What would be another name if it were folded, split elsewhere, unescaped or taken for a pattern.
            ("user", "cafe\u{301}", None),
            ("user:a", "b", None),
            ("%user", "b", None),
            ("", "b", None),
            ("user", "", None),
            ("user", "*", None),
            ("user", "a/*", None),
            ("us er", "b", None),
        ] {
            assert_eq!(name(type_, id).as_deref(), want, "{type_:?} {id:?}");
        }
        assert_ne!(name("user", "caf%C3%A9"), name("user", "caf\u{e9}"));
    }

    #[test]
    fn a_part_is_taken_as_a_whole() {
        let parts = |value: Value| Parts::take(&mut value.as_object().unwrap().clone(), Path::ROOT).unwrap();
        let defaults = parts(json!({
            "subject": {"type": "user", "id": "ada", "properties": {"a": 1}}, "action": {"name": "read"},
            "resource": {"type": "file", "id": "x"}, "context": {"b": 2}
        }));
        let own = parts(json!({"subject": {"type": "user", "id": "bo"}, "context": {}, "else": [1]}));
        let found = own.complete(&defaults, Path::ROOT).unwrap();
        assert_eq!(found.circumstances, Circumstances::default(), "nothing is merged");
        let question = found.question().unwrap();
        assert_eq!((question.sub.as_str(), question.obj.as_str()), ("user:bo", "file:x"));
    }

    #[test]
    fn a_fault_names_its_member() {
        for (value, field) in [
            (json!({"subject": 1}), "subject"),
            (json!({"subject": null}), "subject"),
            (json!({"subject": {"id": "a"}}), "subject.type"),
            (json!({"subject": {"type": "user", "id": 7}}), "subject.id"),
            (json!({"subject": {"type": "user", "id": "a", "properties": []}}), "subject.properties"),
            (json!({"action": {}}), "action.name"),
            (json!({"action": "read"}), "action"),
            (json!({"resource": {"type": "file", "id": null}}), "resource.id"),
            (json!({"context": "home"}), "context"),
            (json!({}), "subject"),
            (json!({"subject": {"type": "user", "id": "a"}, "action": {"name": "read"}}), "resource"),
        ] {
            let fault = |path: Path| {
                let parts = Parts::take(&mut value.as_object().unwrap().clone(), path);
                parts.and_then(|parts| parts.complete(&Parts::default(), path)).unwrap_err().field
            };
            assert_eq!(fault(Path::ROOT).as_deref(), Some(field), "{value}");
            let of_item = format!("evaluations[13].{field}");
            assert_eq!(fault(Path::item(13)).as_deref(), Some(of_item.as_str()), "{value}");
        }
    }
}
