//! `POST /access/v1/evaluation` and `/evaluations`.
//!
//! All questions of a batch are answered about one moment: the clock is read once, and the height is that of the
//! first. A large batch lets the state's lock go now and then, so that blocks go on.

use std::cell::Cell;

use axum::http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};
use writ_proto::decision::{Decision, Moment, Why, resolve};

use super::entity::{Evaluation, Parts, Path};
use super::{Asked, asks_for_reasons};
use crate::http::check::{missing_for, reasons};
use crate::http::error::ApiError;
use crate::http::json::{answer, kind};
use crate::http::moment::caught_up;
use crate::http::{Answer, App, Call};
use crate::ledger::Ledger;

/// Bytes of a request.
const BYTES_MAX: usize = 1024 * 1024;
/// Questions of one batch.
const EVALUATIONS_MAX: usize = 10_000;
/// Questions that are answered under one hold of the state's lock; a small batch of no more begins without a turn.
const AT_ONCE: usize = 64;
/// Steps that their conditions take under it, about: a few milliseconds' worth.
const STEPS_AT_ONCE: u64 = 400_000;

/// Steps that the conditions of one batch take, about: a second or two of one core.
const STEPS_IN_ALL_MAX: u64 = 200_000_000;
/// Entries that the reasons of one batch name.
const ENTRIES_MAX: usize = 100_000;

/// When a batch stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Semantic {
    ExecuteAll,
    DenyOnFirstDeny,
    PermitOnFirstPermit,
}

/// What is asked beside the questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Options {
    semantic: Semantic,
    reasons: bool,
}

/// A question of a batch, or why it is none.
type Item = Result<Evaluation, ApiError>;

/// `POST /access/v1/evaluation`.
pub(in crate::http) async fn evaluate(app: App, mut call: Call) -> Answer {
    let asked = Asked::read(&app, &mut call, BYTES_MAX).await?;
    // Here the standard names no options, so what is wrong with them is ignored.
    let reasons = asks_for_reasons(asked.members.get("options"), &call.parts.headers);
    one(&app, asked, Options { semantic: Semantic::ExecuteAll, reasons }).await
}

/// `POST /access/v1/evaluations`.
pub(in crate::http) async fn evaluate_many(app: App, mut call: Call) -> Answer {
    let mut asked = Asked::read(&app, &mut call, BYTES_MAX).await?;
    let members = &mut asked.members;
    let options = Options::take(members, &call.parts.headers)?;
    let evaluations = match members.remove("evaluations") {
        None => Vec::new(),
        Some(Value::Array(evaluations)) => evaluations,
        Some(other) => {
            return Err(ApiError::bad("evaluations", format!("{}, expected an array", kind(&other))));
        }
    };
    if evaluations.is_empty() {
        return one(&app, asked, options).await;
    }
    if evaluations.len() > EVALUATIONS_MAX {
        let detail = format!("{} questions, at most {EVALUATIONS_MAX} fit one request", evaluations.len());
        return Err(ApiError::bad("evaluations", detail));
    }
    let defaults = Parts::take(members, Path::ROOT)?;
    let item = |(n, value): (usize, Value)| {
        let path = Path::item(n);
        match value {
            Value::Object(mut members) => Parts::take(&mut members, path)?.complete(&defaults, path),
            other => Err(ApiError::bad(path.to_string(), format!("{}, expected an object", kind(&other)))),
        }
    };
    let items: Vec<Item> = evaluations.into_iter().enumerate().map(item).collect();
    let is_small = !asked.is_large && !options.reasons && items.len() <= AT_ONCE;
    let answers = answered(&app, Batch::new(items, options), is_small).await?;
    let evaluations: Vec<Value> = answers.into_iter().map(|(_, shown)| shown).collect();
    answer(StatusCode::OK, &json!({ "evaluations": evaluations }))
}

/// The answer to the question that the members are.
async fn one(app: &App, mut asked: Asked, options: Options) -> Answer {
    let evaluation = Parts::take(&mut asked.members, Path::ROOT)?.complete(&Parts::default(), Path::ROOT)?;
    let (_, shown) = answered(app, Batch::new(vec![Ok(evaluation)], options), !asked.is_large).await?.remove(0);
    answer(StatusCode::OK, &shown)
}

/// The answers of a batch. A small one is begun here, since a turn costs more than most of them do; what its conditions
/// leave over takes one.
async fn answered(app: &App, mut batch: Batch, is_small: bool) -> Result<Vec<Answered>, ApiError> {
    caught_up(app.ledger())?;
    if is_small {
        batch.go_on(app.ledger())?;
    }
    if !batch.is_over() {
        let rest = move |ledger: &Ledger| {
            while !batch.is_over() {
                batch.go_on(ledger)?;
            }
            Ok(batch)
        };
        batch = app.in_turn(rest).await?;
    }
    for why in batch.answers.iter().filter_map(|(why, _)| *why) {
        app.0.metrics.decision(why);
    }
    Ok(batch.answers)
}

impl Options {
    fn take(members: &mut Map<String, Value>, headers: &HeaderMap) -> Result<Self, ApiError> {
        let mut options = super::entity::object(members, Path::ROOT, "options")?.unwrap_or_default();
        let semantic = match options.remove("evaluations_semantic") {
            None => Semantic::ExecuteAll,
            Some(Value::String(word)) => match word.as_str() {
                "execute_all" => Semantic::ExecuteAll,
                "deny_on_first_deny" => Semantic::DenyOnFirstDeny,
                "permit_on_first_permit" => Semantic::PermitOnFirstPermit,
                _ => {
                    let expected = "expected execute_all, deny_on_first_deny or permit_on_first_permit";
                    return Err(ApiError::bad("options.evaluations_semantic", expected));
                }
            },
            Some(other) => {
                let detail = format!("{}, expected a string", kind(&other));
                return Err(ApiError::bad("options.evaluations_semantic", detail));
            }
        };
        Ok(Self { semantic, reasons: asks_for_reasons(Some(&Value::Object(options)), headers) })
    }
}

/// Why a question has its answer (none: it is at fault), and the answer.
type Answered = (Option<Why>, Value);

/// Questions, and the answers as far as they go.
struct Batch {
    items: Vec<Item>,
    options: Options,
    /// That of the first question, and so of all.
    moment: Option<Moment>,
    answers: Vec<Answered>,
    /// Whether the semantic stops here.
    is_last: bool,
    /// Entries that the reasons have named, and steps that conditions have taken.
    entries: usize,
    steps: u64,
}

impl Batch {
    fn new(items: Vec<Item>, options: Options) -> Self {
        let answers = Vec::with_capacity(items.len());
        Self { items, options, moment: None, answers, is_last: false, entries: 0, steps: 0 }
    }

    fn is_over(&self) -> bool {
        self.is_last || self.answers.len() == self.items.len()
    }

    /// Answers some more, under one hold of the state's lock.
    fn go_on(&mut self, ledger: &Ledger) -> Result<(), ApiError> {
        let rest = &self.items[self.answers.len()..];
        let (decisions, moment) = {
            let state = ledger.read();
            let tip = state.tip();
            let moment = match self.moment {
                Some(moment) => moment,
                None => Moment { interval: ledger.clock().interval(tip.time)?, height: tip.height },
            };
            let steps = Cell::new(0_u64);
            let decide = |item: &Item| {
                let evaluation = item.as_ref().ok()?;
                let question = evaluation.question()?;
                let conditions = evaluation.circumstances.of(question);
                let decision = resolve(state.index(), question, &moment, &|text: &str| conditions.truth(text));
                steps.set(steps.get().saturating_add(conditions.steps()));
                let missing = missing_for(&decision, conditions);
                Some((decision, missing))
            };
            let mut decisions = Vec::new();
            for item in rest.iter().take(AT_ONCE) {
                decisions.push(decide(item));
                if steps.get() > STEPS_AT_ONCE {
                    break;
                }
            }
            self.steps = self.steps.saturating_add(steps.get());
            (decisions, moment)
        };
        if self.steps > STEPS_IN_ALL_MAX {
            let detail = "the conditions that these questions meet go through too much, ask about fewer at a time";
            return Err(ApiError::whole("too_large", detail));
        }
        self.moment = Some(moment);
        for (item, decision) in rest.iter().zip(decisions) {
            self.entries += decision.as_ref().map_or(0, |(decision, _)| decision.ids.len());
            if self.options.reasons && self.entries > ENTRIES_MAX {
                let detail = format!("the reasons name more than {ENTRIES_MAX} entries, ask about fewer at a time");
                return Err(ApiError::whole("too_large", detail));
            }
            let (why, shown) = show(ledger, item, decision, &moment, self.options.reasons)?;
            self.answers.push((why, shown));
            self.is_last = match self.options.semantic {
                Semantic::ExecuteAll => false,
                Semantic::DenyOnFirstDeny => why != Some(Why::Grant),
                Semantic::PermitOnFirstPermit => why == Some(Why::Grant),
            };
            if self.is_last {
                break;
            }
        }
        Ok(())
    }
}

/// One answer. A question without a decision is about a name that no entry can hold.
fn show(
    ledger: &Ledger,
    item: &Item,
    decision: Option<(Decision, Vec<String>)>,
    moment: &Moment,
    with_reasons: bool,
) -> Result<Answered, ApiError> {
    if let Err(error) = item {
        let error = json!({ "status": error.status().as_u16(), "message": super::message(error) });
        return Ok((None, json!({ "decision": false, "context": { "error": error } })));
    }
    let why = decision.as_ref().map_or(Why::NoMatch, |(decision, _)| decision.why);
    let mut shown = Map::from_iter([("decision".to_owned(), Value::Bool(why == Why::Grant))]);
    if with_reasons {
        let context = match decision {
            Some((decision, missing)) => reasons(ledger, decision, missing, moment)?,
            None => json!({ "why": why.as_str(), "entries": [] }),
        };
        shown.insert("context".to_owned(), context);
    }
    Ok((Some(why), Value::Object(shown)))
}
