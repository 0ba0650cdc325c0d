//! `POST /access/v1/evaluation` and `/evaluations`.
//!
//! All questions of a batch are answered about one moment: the clock is read once, and the height is that of the
//! first. A large batch lets the state's lock go now and then, so that blocks go on.

use std::cell::Cell;

use axum::http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};
use writ_proto::decision::{Decision, Moment, Why, resolve};

use super::entity::{Evaluation, Parts, Path};
use super::{asks_for_reasons, members};
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
/// Questions that are answered under one hold of the state's lock; a batch of no more needs no turn of its own.
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
    let members = members(&app, &mut call, BYTES_MAX).await?;
    // Here the standard names no options, so what is wrong with them is ignored.
    let reasons = asks_for_reasons(members.get("options"), &call.parts.headers);
    one(&app, members, Options { semantic: Semantic::ExecuteAll, reasons })
}

/// `POST /access/v1/evaluations`.
pub(in crate::http) async fn evaluate_many(app: App, mut call: Call) -> Answer {
    let mut members = members(&app, &mut call, BYTES_MAX).await?;
    let options = Options::take(&mut members, &call.parts.headers)?;
    let evaluations = match members.remove("evaluations") {
        None => Vec::new(),
        Some(Value::Array(evaluations)) => evaluations,
        Some(other) => {
            return Err(ApiError::bad("evaluations", format!("{}, expected an array", kind(&other))));
        }
    };
    if evaluations.is_empty() {
        return one(&app, members, options);
    }
    if evaluations.len() > EVALUATIONS_MAX {
        let detail = format!("{} questions, at most {EVALUATIONS_MAX} fit one request", evaluations.len());
        return Err(ApiError::bad("evaluations", detail));
    }
    let defaults = Parts::take(&mut members, Path::ROOT)?;
    let item = |(n, value): (usize, Value)| {
        let path = Path::item(n);
        match value {
            Value::Object(mut members) => Parts::take(&mut members, path)?.complete(&defaults, path),
            other => Err(ApiError::bad(path.to_string(), format!("{}, expected an object", kind(&other)))),
        }
    };
    let items: Vec<Item> = evaluations.into_iter().enumerate().map(item).collect();
    let answers = if items.len() > AT_ONCE || options.reasons {
        app.in_turn(move |ledger| answers(ledger, &items, options)).await?
    } else {
        answers(app.ledger(), &items, options)?
    };
    for why in answers.iter().filter_map(|(why, _)| *why) {
        app.0.metrics.decision(why);
    }
    let evaluations: Vec<Value> = answers.into_iter().map(|(_, shown)| shown).collect();
    answer(StatusCode::OK, &json!({ "evaluations": evaluations }))
}

/// The answer to the question that the members are.
fn one(app: &App, mut members: Map<String, Value>, options: Options) -> Answer {
    let evaluation = Parts::take(&mut members, Path::ROOT)?.complete(&Parts::default(), Path::ROOT)?;
    let (why, shown) = answers(app.ledger(), &[Ok(evaluation)], options)?.remove(0);
    why.into_iter().for_each(|why| app.0.metrics.decision(why));
    answer(StatusCode::OK, &shown)
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

/// Each question's answer and why it is that (none for one at fault), up to where the semantic stops.
fn answers(ledger: &Ledger, items: &[Item], options: Options) -> Result<Vec<(Option<Why>, Value)>, ApiError> {
    caught_up(ledger)?;
    let mut fixed: Option<Moment> = None;
    let mut answers = Vec::with_capacity(items.len());
    let (mut entries, mut in_all) = (0, 0_u64);
    let mut rest = items;
    while !rest.is_empty() {
        let (decisions, moment) = {
            let state = ledger.read();
            let tip = state.tip();
            let moment = match fixed {
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
            in_all = in_all.saturating_add(steps.get());
            (decisions, moment)
        };
        if in_all > STEPS_IN_ALL_MAX {
            let detail = "the conditions that these questions meet go through too much, ask about fewer at a time";
            return Err(ApiError::whole("too_large", detail));
        }
        fixed = Some(moment);
        let some;
        (some, rest) = rest.split_at(decisions.len());
        for (item, decision) in some.iter().zip(decisions) {
            entries += decision.as_ref().map_or(0, |(decision, _)| decision.ids.len());
            if options.reasons && entries > ENTRIES_MAX {
                let detail = format!("the reasons name more than {ENTRIES_MAX} entries, ask about fewer at a time");
                return Err(ApiError::whole("too_large", detail));
            }
            let (why, shown) = show(ledger, item, decision, &moment, options.reasons)?;
            answers.push((why, shown));
            let is_last = match options.semantic {
                Semantic::ExecuteAll => false,
                Semantic::DenyOnFirstDeny => why != Some(Why::Grant),
                Semantic::PermitOnFirstPermit => why == Some(Why::Grant),
            };
            if is_last {
                return Ok(answers);
            }
        }
    }
    Ok(answers)
}

/// One answer. A question without a decision is about a name that no entry can hold.
fn show(
    ledger: &Ledger,
    item: &Item,
    decision: Option<(Decision, Vec<String>)>,
    moment: &Moment,
    with_reasons: bool,
) -> Result<(Option<Why>, Value), ApiError> {
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
