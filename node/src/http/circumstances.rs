//! What a question tells beside who, what and which action: the circumstances that conditions look at.
//!
//! They stay the JSON that they came as until an entry with a condition matters; most questions never get there. A
//! search makes them into values once, for all that it asks.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::Deserialize as _;
use serde_json::{Map, Value};
use writ_proto::condition::{self, Evaluation, Request, STEPS_MAX, Told};
use writ_proto::decision::{Question, Truth};
use writ_proto::search::Asked;

use crate::conditions;

/// Names of what is missing that one answer tells, at most.
const MISSING_MAX: usize = 64;

/// Attributes of the parties, and the context.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Circumstances {
    pub(super) subject: Attributes,
    pub(super) action: Attributes,
    pub(super) resource: Attributes,
    pub(super) context: Attributes,
}

/// Members as they came, and as values once they were needed. A copy shares both: what a batch says once is kept once.
#[derive(Clone, Debug, Default)]
pub(super) struct Attributes(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    members: Map<String, Value>,
    values: OnceLock<Arc<condition::Map>>,
}

impl From<Map<String, Value>> for Attributes {
    fn from(members: Map<String, Value>) -> Self {
        Self(Arc::new(Shared { members, values: OnceLock::new() }))
    }
}

impl PartialEq for Attributes {
    fn eq(&self, other: &Self) -> bool {
        self.0.members == other.0.members
    }
}

impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = serde_json::to_string(&self.0.members).map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

impl Attributes {
    fn values(&self) -> Arc<condition::Map> {
        self.0.values.get_or_init(|| Arc::new(values(&self.0.members))).clone()
    }
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
        Searching(RefCell::new(self.told()))
    }

    /// A request with all that the asker tells.
    fn told(&self) -> Request {
        let Self { subject, action, resource, context } = self;
        let (subject, action) = (subject.values(), action.values());
        Request::told(&Told { subject, action, resource: resource.values(), context: context.values() })
    }
}

impl Searching {
    /// What a condition comes to for a question of the search.
    pub(super) fn evaluate(&self, asked: &Asked<'_>, text: &str) -> Evaluation {
        let mut request = self.0.borrow_mut();
        request.ask_about(asked.sub, asked.act, asked.obj);
        conditions::evaluate(text, &request)
    }
}

impl Conditions<'_> {
    /// What a condition comes to. One that does not parse is indeterminate.
    pub(super) fn truth(&self, text: &str) -> Truth {
        self.evaluate(text).truth
    }

    /// The same, and what it lacked. Nothing is evaluated any more once all of them took too much.
    pub(super) fn evaluate(&self, text: &str) -> Evaluation {
        if self.steps.get() > STEPS_MAX {
            return Truth::Indeterminate.into();
        }
        let evaluation = conditions::evaluate(text, self.request.get_or_init(|| self.request()));
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
        let mut request = self.circumstances.told();
        request.ask_about(sub.as_str(), act.as_ref(), obj.as_str());
        request
    }
}

/// Evaluates a condition for a question of a search, about which nothing else is known.
pub(super) fn unknown(asked: &Asked<'_>, text: &str) -> Evaluation {
    conditions::evaluate(text, &Request::about(asked.sub, asked.act, asked.obj))
}

/// JSON as values of conditions. What is no value there is missing.
fn values(members: &Map<String, Value>) -> condition::Map {
    let value = |(name, value): (&String, &Value)| {
        let value = condition::Value::deserialize(value).ok()?;
        Some((name.as_str().into(), value))
    };
    members.iter().filter_map(value).collect()
}
