//! `GET /v1/check`: the decision, for people and their tools.
//!
//! The answer is computed under one hold of the state's lock, clock included: interval, position and
//! entries belong to one moment. In doubt there is no answer rather than one that may be wrong.

use axum::http::StatusCode;
use serde_json::{Map, Value};
use writ_proto::api::{CheckAnswer, ExplainedRole, Explanation, is_readable, position_token, question_of};
use writ_proto::decision::{Decision, Moment, Question, ReachedRole, Why, explain, resolve};
use writ_proto::hash::Digest;
use writ_proto::name::{Name, Side};
use writ_proto::record::{AuthorityName, Effect};
use writ_proto::time::Interval;

use super::circumstances::{Circumstances, Conditions};
use super::error::ApiError;
use super::json::{Members, answer};
use super::moment::{When, caught_up};
use super::query::Query;
use super::receipt::{entry_at, id_at, record_at, standing_of};
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
    roles: Vec<ReachedRole>,
    missing: Vec<String>,
    cut: Vec<AuthorityName>,
    interval: Interval,
    height: u64,
    /// Leaf hash of the commit leaf at `height`, if that is the tip; else it is in the store.
    leaf: Option<Digest>,
}

/// `GET /v1/check`.
pub(super) async fn check(app: App, mut call: Call) -> Answer {
    let asked = Asked::read(&mut call.query)?;
    asked.when.reach(&app).await?;
    let resolved = resolve_now(app.ledger(), &asked)?;
    app.0.metrics.decision(resolved.decision.why);
    if asked.explain {
        // Whole entries and their revocations: more to read than a thread that serves connections should.
        let found = app.in_turn(move |ledger| answer_of(ledger, resolved, true)).await?;
        return answer(StatusCode::OK, &found);
    }
    answer(StatusCode::OK, &answer_of(app.ledger(), resolved, false)?)
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
fn read_context(text: &str) -> Result<Map<String, Value>, ApiError> {
    let members = Members::parse(text.as_bytes()).map_err(|error| ApiError::bad("context", error.detail))?;
    Ok(members.into_map())
}

fn resolve_now(ledger: &Ledger, asked: &Asked) -> Result<Resolved, ApiError> {
    caught_up(ledger)?;
    let state = ledger.read();
    let tip = state.tip();
    let moment = asked.when.moment(ledger, &state)?;
    let Moment { interval, height } = moment;
    let conditions = asked.circumstances.of(&asked.question);
    let truth = |text: &str| conditions.truth(text);
    let (decision, roles) = if asked.explain {
        explain(state.index(), &asked.question, &moment, &truth)
    } else {
        (resolve(state.index(), &asked.question, &moment, &truth), Vec::new())
    };
    let missing = missing_for(&decision, conditions);
    let cut = decision.cut_roots.iter().filter_map(|root| Some(state.authorities().get(*root)?.name.clone())).collect();
    let leaf = (height == tip.height).then_some(tip.commit_leaf);
    Ok(Resolved { decision, roles, missing, cut, interval, height, leaf })
}

/// What a decision lacked: nothing, if it did not stand on something that could not be evaluated.
pub(super) fn missing_for(decision: &Decision, conditions: Conditions<'_>) -> Vec<String> {
    if decision.why == Why::Indeterminate { conditions.missing() } else { Vec::new() }
}

fn answer_of(ledger: &Ledger, resolved: Resolved, explained: bool) -> Result<CheckAnswer, ApiError> {
    let Resolved { decision, interval, height, .. } = &resolved;
    let position = match resolved.leaf {
        Some(leaf) => position_token(*height, &leaf),
        None => super::receipt::position_of(ledger, *height)?,
    };
    Ok(CheckAnswer {
        decision: if decision.why == Why::Grant { Effect::Grant } else { Effect::Deny },
        why: decision.why.as_str().into(),
        entries: decision.ids.clone(),
        at: interval.hi(),
        height: *height,
        position,
        valid_until: decision.valid_until,
        fresh_until: None,
        pending: false,
        missing: resolved.missing.clone(),
        explain: explained.then(|| explanation(ledger, &resolved)).transpose()?,
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
    let (roles, cut) = (Vec::new(), Vec::new());
    let resolved = Resolved { decision, roles, missing, cut, interval, height, leaf: None };
    let mut shown = serde_json::to_value(answer_of(ledger, resolved, false)?).map_err(ApiError::internal)?;
    if let Some(members) = shown.as_object_mut() {
        members.remove("decision");
    }
    Ok(shown)
}

fn explanation(ledger: &Ledger, resolved: &Resolved) -> Result<Explanation, ApiError> {
    let Resolved { decision, interval, .. } = resolved;
    let mut entries = Vec::with_capacity(decision.entries.len());
    for index in &decision.entries {
        let place =
            ledger.store().place_at(*index)?.ok_or_else(|| ApiError::internal(format!("leaf {index} has no place")))?;
        let standing = standing_of(ledger, *index, place.height)?;
        entries.extend(entry_at(ledger, &record_at(ledger, *index)?, &standing)?);
    }
    let role = |reached: &ReachedRole| {
        let shown =
            Name::parse_full(&reached.role).map_err(ApiError::internal)?.to_display_if(Side::Object, is_readable);
        Ok(ExplainedRole {
            role: shown,
            over: id_at(ledger, reached.over)?,
            denied: reached.denied,
            entered: reached.entered,
        })
    };
    Ok(Explanation {
        entries,
        roles: resolved.roles.iter().map(role).collect::<Result<_, ApiError>>()?,
        cut_authorities: resolved.cut.clone(),
        interval: [interval.lo(), interval.hi()],
        lookups: decision.lookups,
    })
}
