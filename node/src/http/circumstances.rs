//! What a question tells beside who, what and which action: the circumstances that conditions look at.
//!
//! They stay the JSON that they came as until an entry with a condition matters; most questions never get there.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeSet;

use serde_json::{Map, Value};
use writ_proto::condition::{self, Request};
use writ_proto::decision::{Question, Truth};
use writ_proto::search::Asked;

/// Names of what is missing that one answer tells, at most.
const MISSING_MAX: usize = 64;

/// Attributes of the parties, and the context.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Circumstances {
    pub(super) subject: Map<String, Value>,
    pub(super) action: Map<String, Value>,
    pub(super) resource: Map<String, Value>,
    pub(super) context: Map<String, Value>,
}

/// Evaluates the conditions that one question meets.
pub(super) struct Conditions<'a> {
    question: &'a Question,
    circumstances: &'a Circumstances,
    request: OnceCell<Request>,
    missing: RefCell<BTreeSet<String>>,
}

impl Circumstances {
    pub(super) fn of<'a>(&'a self, question: &'a Question) -> Conditions<'a> {
        Conditions { question, circumstances: self, request: OnceCell::new(), missing: RefCell::default() }
    }
}

impl Conditions<'_> {
    /// What a condition comes to. One that does not parse is indeterminate.
    pub(super) fn truth(&self, text: &str) -> Truth {
        let evaluation = condition::evaluate(text, self.request.get_or_init(|| self.request()));
        let mut missing = self.missing.borrow_mut();
        let room = MISSING_MAX.saturating_sub(missing.len());
        missing.extend(evaluation.missing.into_iter().take(room));
        evaluation.truth
    }

    /// What conditions that could not be evaluated looked for in vain, such as `context.mfa`.
    pub(super) fn missing(self) -> Vec<String> {
        self.missing.into_inner().into_iter().collect()
    }

    fn request(&self) -> Request {
        let Question { sub, act, obj } = self.question;
        let Circumstances { subject, action, resource, context } = self.circumstances;
        Request::of(sub, act.as_ref(), obj)
            .with_subject_properties(values(subject))
            .with_action_properties(values(action))
            .with_resource_properties(values(resource))
            .with_context(values(context))
    }
}

/// Evaluates a condition for a question of a search, about which nothing else is known.
pub(super) fn unknown(asked: &Asked<'_>, text: &str) -> Truth {
    condition::evaluate(text, &Request::about(asked.sub, asked.act, asked.obj)).truth
}

/// JSON as values of conditions. What is no value there is missing.
fn values(members: &Map<String, Value>) -> condition::Map {
    let value = |(name, value): (&String, &Value)| {
        let value = serde_json::from_value(value.clone()).ok()?;
        Some((name.as_str().into(), value))
    };
    members.iter().filter_map(value).collect()
}
