//! `GET /v1/check`: the decision, for people and their tools.
//!
//! The answer is computed under one hold of the state's lock, clock included: interval, position and
//! entries belong to one moment. In doubt there is no answer rather than one that may be wrong.

use axum::http::StatusCode;
use serde_json::Value;
use writ_proto::api::{CheckAnswer, position_token, question_of};
use writ_proto::decision::{Decision, Moment, Question, Why, account, resolve};
use writ_proto::hash::Digest;
use writ_proto::record::Effect;
use writ_proto::time::Interval;

use super::circumstances::{Attributes, Circumstances, Conditions};
use super::error::ApiError;
use super::explain::Told;
use super::json::{Members, answer};
use super::moment::{When, caught_up};
use super::query::Query;
use super::{Answer, App, Call};
use crate::ledger::Ledger;

/// Parameters of [`check`].
pub(super) const PARAMETERS: &[&str] = &[
    "sub",
    "act",
    "obj",
    "at",
    "height",
    "at_least",
    "wait_ms",
    "as_of",
    "explain",
    "context",
    "proof",
    "allow_stale",
];

/// Parameters that have a meaning, which this version does not carry out.
const UNSUPPORTED: [(&str, &str); 2] = [
    ("proof", "decisions with their proof are not supported by this version"),
    ("allow_stale", "leases are not supported by this version, so there is nothing to allow"),
];

/// What is asked, and when.
struct Asked {
    question: Question,
    circumstances: Circumstances,
    when: When,
    explain: bool,
}

/// The answer before ids are looked up.
struct Resolved {
    decision: Decision,
    /// The reasons at length, if they were asked for.
    told: Option<Told>,
    missing: Vec<String>,
    interval: Interval,
    height: u64,
    /// Leaf hash of the commit leaf at `height`, if that is the tip; else it is in the store.
    leaf: Option<Digest>,
}

/// `GET /v1/check`.
pub(super) async fn check(app: App, mut call: Call) -> Answer {
    let asked = Asked::read(&mut call.query)?;
    asked.when.reach(&app).await?;
    let resolved = if asked.explain {
        // More to look at, and whole entries to read: more than a thread that serves connections should.
        app.in_turn(move |ledger| resolve_now(ledger, &asked)).await?
    } else {
        resolve_now(app.ledger(), &asked)?
    };
    app.0.metrics.decision(resolved.decision.why);
    if resolved.told.is_some() {
        let found = app.in_turn(move |ledger| answer_of(ledger, resolved)).await?;
        return answer(StatusCode::OK, &found);
    }
    answer(StatusCode::OK, &answer_of(app.ledger(), resolved)?)
}

impl Asked {
    fn read(query: &mut Query) -> Result<Self, ApiError> {
        for (name, why) in UNSUPPORTED {
            if query.take(name).is_some() {
                return Err(ApiError::of("unsupported", name, why));
            }
        }
        let (sub, obj) = (query.require("sub")?, query.require("obj")?);
        let question = question_of(&sub, query.take("act").as_deref(), &obj)?;
        let when = When::read(query)?;
        let context = query.take("context").map(|text| read_context(&text)).transpose()?.unwrap_or_default();
        let circumstances = Circumstances { context, ..Circumstances::default() };
        Ok(Self { question, circumstances, when, explain: query.flag("explain")? })
    }
}

/// The context of a question: a JSON object.
pub(super) fn read_context(text: &str) -> Result<Attributes, ApiError> {
    let members =
        Members::parse("the context", text.as_bytes()).map_err(|error| ApiError::bad("context", error.detail))?;
    Ok(members.into_map().into())
}

fn resolve_now(ledger: &Ledger, asked: &Asked) -> Result<Resolved, ApiError> {
    caught_up(ledger)?;
    let state = ledger.read();
    let tip = state.tip();
    let moment = asked.when.moment(ledger, &state)?;
    let Moment { interval, height } = moment;
    let conditions = asked.circumstances.of(&asked.question);
    let deciding = |text: &str| conditions.truth(text);
    let (decision, told) = if asked.explain {
        // Conditions that did not matter are asked here too, and nothing is missing because of them.
        let others = asked.circumstances.of(&asked.question);
        let telling = |text: &str| others.evaluate(text);
        let (decision, told) = Told::of(&state, account(state.index(), &asked.question, &moment, &deciding, &telling));
        (decision, Some(told))
    } else {
        (resolve(state.index(), &asked.question, &moment, &deciding), None)
    };
    let missing = missing_for(&decision, conditions);
    let leaf = (height == tip.height).then_some(tip.commit_leaf);
    Ok(Resolved { decision, told, missing, interval, height, leaf })
}

/// What a decision lacked: nothing, if it did not stand on something that could not be evaluated.
pub(super) fn missing_for(decision: &Decision, conditions: Conditions<'_>) -> Vec<String> {
    if decision.why == Why::Indeterminate { conditions.missing() } else { Vec::new() }
}

fn answer_of(ledger: &Ledger, resolved: Resolved) -> Result<CheckAnswer, ApiError> {
    let Resolved { decision, told, missing, interval, height, leaf } = resolved;
    let position = match leaf {
        Some(leaf) => position_token(height, &leaf),
        None => super::receipt::position_of(ledger, height)?,
    };
    let explain = told.map(|told| told.explanation(ledger, &decision, &Moment { interval, height })).transpose()?;
    Ok(CheckAnswer {
        decision: if decision.why == Why::Grant { Effect::Grant } else { Effect::Deny },
        why: decision.why.as_str().into(),
        entries: decision.ids,
        at: interval.hi(),
        height,
        position,
        valid_until: decision.valid_until,
        fresh_until: None,
        pending: false,
        missing,
        explain,
    })
}

/// All that an answer says beside the decision itself.
pub(super) fn reasons(
    ledger: &Ledger,
    decision: Decision,
    missing: Vec<String>,
    moment: &Moment,
) -> Result<Value, ApiError> {
    let Moment { interval, height } = *moment;
    let resolved = Resolved { decision, told: None, missing, interval, height, leaf: None };
    let mut shown = serde_json::to_value(answer_of(ledger, resolved)?).map_err(ApiError::internal)?;
    if let Some(members) = shown.as_object_mut() {
        members.remove("decision");
    }
    Ok(shown)
}
