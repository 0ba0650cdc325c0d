//! What a question tells beside who, what and which action: the circumstances that conditions look at.
//!
//! They stay the JSON that they came as until an entry with a condition matters; most questions never get there. A
//! search makes them into values once, for all that it asks.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeSet;

use serde_json::{Map, Value};
use writ_proto::condition::{self, Evaluation, Request};
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
    steps: Cell<u64>,
}

/// Evaluates the conditions that the questions of a search meet, all under the same circumstances.
pub(super) struct Searching(RefCell<Request>);

impl Circumstances {
    pub(super) fn of<'a>(&'a self, question: &'a Question) -> Conditions<'a> {
        let (request, missing) = (OnceCell::new(), RefCell::default());
        Conditions { question, circumstances: self, request, missing, steps: Cell::new(0) }
    }

    pub(super) fn searching(&self) -> Searching {
        Searching(RefCell::new(self.told_to(Request::default())))
    }

    /// A request with all that the asker tells.
    fn told_to(&self, request: Request) -> Request {
        let Self { subject, action, resource, context } = self;
        request
            .with_subject_properties(values(subject))
            .with_action_properties(values(action))
            .with_resource_properties(values(resource))
            .with_context(values(context))
    }
}

impl Searching {
    /// What a condition comes to for a question of the search.
    pub(super) fn evaluate(&self, asked: &Asked<'_>, text: &str) -> Evaluation {
        let mut request = self.0.borrow_mut();
        request.ask_about(asked.sub, asked.act, asked.obj);
        condition::evaluate(text, &request)
    }
}

impl Conditions<'_> {
    /// What a condition comes to. One that does not parse is indeterminate.
    pub(super) fn truth(&self, text: &str) -> Truth {
        self.evaluate(text).truth
    }

    /// The same, and what it lacked.
    pub(super) fn evaluate(&self, text: &str) -> Evaluation {
        let evaluation = condition::evaluate(text, self.request.get_or_init(|| self.request()));
        let mut missing = self.missing.borrow_mut();
        let room = MISSING_MAX.saturating_sub(missing.len());
        missing.extend(evaluation.missing.iter().take(room).cloned());
        self.steps.set(self.steps.get().saturating_add(evaluation.steps));
        evaluation
    }

    /// How many steps all conditions took so far.
    pub(super) fn steps(&self) -> u64 {
        self.steps.get()
    }

    /// What conditions that could not be evaluated looked for in vain, such as `context.mfa`.
    pub(super) fn missing(self) -> Vec<String> {
        self.missing.into_inner().into_iter().collect()
    }

    fn request(&self) -> Request {
        let Question { sub, act, obj } = self.question;
        self.circumstances.told_to(Request::of(sub, act.as_ref(), obj))
    }
}

/// Evaluates a condition for a question of a search, about which nothing else is known.
pub(super) fn unknown(asked: &Asked<'_>, text: &str) -> Evaluation {
    condition::evaluate(text, &Request::about(asked.sub, asked.act, asked.obj))
}

/// JSON as values of conditions. What is no value there is missing.
fn values(members: &Map<String, Value>) -> condition::Map {
    let value = |(name, value): (&String, &Value)| {
        let value = serde_json::from_value(value.clone()).ok()?;
        Some((name.as_str().into(), value))
    };
    members.iter().filter_map(value).collect()
}
