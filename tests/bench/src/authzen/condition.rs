//! What a condition adds to a question, in process: making the request from JSON, parsing, evaluating.
//!
//! ```text
//!   members of the body, as JSON  --request-->  Request  \
//!   the entry's text  --parse-->  Condition  -------------evaluate-->  truth
//! ```
//!
//! A node keeps conditions that it parsed, by their text, and makes the request once for all conditions that a question
//! meets. So the goal is on looking one up and evaluating it, which each condition costs; beside it stands what a question
//! with one condition pays.

#[cfg(feature = "cel")]
mod cel;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::Deserialize as _;
use serde_json::{Map, Value, json};
use writ_node::conditions;
use writ_proto::condition::{self, Condition, Request, Told, Truth};
use writ_proto::name::{Action, Name, Side};

use crate::figure::{Cell, Figure, Goal, Section, Table, Unit};
use crate::run::Run;

/// What each is to take at most, in nanoseconds.
const GOAL: f64 = 2_000.0;

/// Conditions as people write them: a name, words, the text.
const CONDITIONS: [(&str, &str, &str); 3] = [
    ("mfa", "a second factor", "context.mfa == true"),
    ("owner", "only what one owns", "resource.properties.owner == subject.id"),
    (
        "long",
        "five clauses",
        "context.acr in [\"phr\", \"phrh\"] && context.auth_age_s <= 900 \
         && (context.zone == \"office\" || context.zone.startsWith(\"vpn-\")) \
         && subject.properties.clearance >= resource.properties.classification \
         && !(\"export-controlled\" in resource.properties.tags)",
    ),
];

/// What is measured, in the order of the columns.
const STEPS: [(&str, &str); 6] = [
    ("request", "request from JSON"),
    ("parse", "parse"),
    ("evaluate", "evaluate"),
    ("both", "parse and evaluate"),
    ("kept", "look up and evaluate"),
    ("all", "request, look up, evaluate"),
];

/// Whoever evaluates conditions: nanoseconds of each of [`STEPS`], for each repetition.
type Times = [Vec<f64>; STEPS.len()];

/// What a caller tells beside the names: the members of a request's body.
fn told() -> Value {
    json!({
        "subject": {"type": "user", "id": "alice", "properties": {"department": "finance", "clearance": 3}},
        "action": {"name": "read"},
        "resource": {
            "type": "file", "id": "reports/q3",
            "properties": {"owner": "alice", "classification": 2, "tags": ["q3", "draft"]},
        },
        "context": {"mfa": true, "acr": "phr", "auth_age_s": 300, "zone": "vpn-2"},
    })
}

pub(super) fn measure(run: &Run, section: &mut Section) -> anyhow::Result<()> {
    let columns: Vec<&str> = ["condition", "bytes", "who"]
        .into_iter()
        .chain(STEPS.map(|(_, words)| words))
        .chain(["÷ `cel`", "goal of look up and evaluate"])
        .collect();
    let caption = "What a condition costs a question, in process on one thread; `cel` keeps its program too, and is compared on the whole.";
    let mut table = Table::new(caption, &columns);
    let told = told();
    for (name, words, text) in CONDITIONS {
        let own = ("writ", "Writ", writ(run, text, &told)?);
        #[cfg(feature = "cel")]
        let everybody = [own, ("cel", "`cel` crate", cel::measure(run, text, &told)?)];
        #[cfg(not(feature = "cel"))]
        let everybody = [own];
        let has_cel = everybody.len() > 1;
        for (id, who, times) in everybody {
            let mut row: Vec<Cell> = vec![words.into(), text.len().to_string().into(), who.into()];
            let mut last = String::new();
            for ((step, step_words), values) in STEPS.into_iter().zip(times) {
                let of = |who: &str| format!("authzen/condition/{name}/{who}/{step}");
                let mut figure =
                    Figure::new(of(id), format!("{who}, {words}: {step_words}"), Unit::Nanoseconds, values);
                if id == "writ" && has_cel {
                    figure = figure.against(of("cel"));
                }
                if id == "writ" && step == "kept" {
                    figure = figure.goal(Goal::AtMost(GOAL));
                }
                last = section.figure(figure);
                row.push(if step == "all" { Cell::Value(last.clone()) } else { Cell::Median(last.clone()) });
            }
            let ratio = if id == "writ" && has_cel { Cell::Ratio(last) } else { "".into() };
            row.push(ratio);
            row.push(match id {
                "writ" => Cell::Goal(format!("authzen/condition/{name}/writ/kept")),
                _ => "".into(),
            });
            table.row(row);
        }
    }
    section.tables.push(table);
    section.note(
        "A condition is true for what is told in the bench, so no clause is spared. The request is made from JSON that was read \
         before, as a node does when it meets the first condition.",
    );
    Ok(())
}

fn writ(run: &Run, text: &str, told: &Value) -> anyhow::Result<Times> {
    let parts = Parts::of(told)?;
    let (request, parsed) = (parts.request(), Condition::parse(text)?);
    let truth = condition::evaluate(text, &request).truth;
    ensure!(truth == Truth::True, "`{text}` is {truth:?}, expected true");
    Ok([
        timed(run, || parts.request()),
        timed(run, || Condition::parse(black_box(text))),
        timed(run, || parsed.evaluate(black_box(&request))),
        timed(run, || condition::evaluate(black_box(text), black_box(&request))),
        timed(run, || conditions::evaluate(black_box(text), black_box(&request))),
        timed(run, || conditions::evaluate(black_box(text), &parts.request())),
    ])
}

/// A question with what is told, as a node has it once the body is read.
struct Parts<'a> {
    sub: Name,
    act: Action,
    obj: Name,
    told: [&'a Map<String, Value>; 3],
}

impl<'a> Parts<'a> {
    fn of(told: &'a Value) -> anyhow::Result<Self> {
        let object = |path: &str| told.pointer(path).and_then(Value::as_object).context("an object");
        Ok(Self {
            sub: Name::parse("user:alice", Side::Subject)?,
            act: Action::parse("read")?,
            obj: Name::parse("file:reports/q3", Side::Object)?,
            told: [object("/subject/properties")?, object("/resource/properties")?, object("/context")?],
        })
    }

    fn request(&self) -> Request {
        let [subject, resource, context] = self.told.map(|members| Arc::new(values(members)));
        let mut request = Request::told(&Told { subject, action: Arc::default(), resource, context });
        request.ask_about(self.sub.as_str(), Some(&self.act), self.obj.as_str());
        request
    }
}

/// As a node does it.
fn values(members: &Map<String, Value>) -> condition::Map {
    let value = |(name, value): (&String, &Value)| {
        let value = condition::Value::deserialize(value).ok()?;
        Some((name.as_str().into(), value))
    };
    members.iter().filter_map(value).collect()
}

/// Nanoseconds that `work` takes, what it gives dropped, for each repetition; a thousand between two readings of the clock.
fn timed<T>(run: &Run, mut work: impl FnMut() -> T) -> Vec<f64> {
    let (times, least) = if run.short { (100, Duration::from_millis(1)) } else { (1_000, Duration::from_millis(300)) };
    let mut once = || {
        let (start, mut count) = (Instant::now(), 0_u64);
        while start.elapsed() < least {
            for _ in 0..times {
                black_box(work());
            }
            count += times;
        }
        start.elapsed().as_nanos() as f64 / count as f64
    };
    // The first is not counted.
    once();
    (0..run.repetitions).map(|_| once()).collect()
}
