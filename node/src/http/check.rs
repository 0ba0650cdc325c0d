//! `GET /v1/check`: the decision, for people and their tools.
//!
//! The answer is computed under one hold of the state's lock, clock included: interval, position and
//! entries belong to one moment. In doubt there is no answer rather than one that may be wrong.

use axum::http::StatusCode;
use writ_proto::api::{CheckAnswer, ExplainedRole, Explanation, is_readable, position_token, question_of};
use writ_proto::decision::{Decision, Moment, Question, ReachedRole, Truth, Why, explain, resolve};
use writ_proto::hash::Digest;
use writ_proto::name::{Name, Side};
use writ_proto::record::{AuthorityName, Effect};
use writ_proto::time::Interval;

use super::error::ApiError;
use super::json::answer;
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
const UNSUPPORTED: [(&str, &str); 3] = [
    ("context", "conditions are not supported by this version"),
    ("proof", "decisions with their proof are not supported by this version"),
    ("allow_stale", "leases are not supported by this version, so there is nothing to allow"),
];

/// What is asked, and when.
struct Asked {
    question: Question,
    when: When,
    explain: bool,
}

/// The answer before ids are looked up.
struct Resolved {
    decision: Decision,
    roles: Vec<ReachedRole>,
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
        Ok(Self { question, when, explain: query.flag("explain")? })
    }
}

fn resolve_now(ledger: &Ledger, asked: &Asked) -> Result<Resolved, ApiError> {
    caught_up(ledger)?;
    let state = ledger.read();
    let tip = state.tip();
    let moment = asked.when.moment(ledger, &state)?;
    let Moment { interval, height } = moment;
    // No node admits an entry with a condition yet; should one stand in the log, nobody can evaluate it.
    let conditions = |_: &str| Truth::Indeterminate;
    let (decision, roles) = if asked.explain {
        explain(state.index(), &asked.question, &moment, &conditions)
    } else {
        (resolve(state.index(), &asked.question, &moment, &conditions), Vec::new())
    };
    let cut = decision.cut_roots.iter().filter_map(|root| Some(state.authorities().get(*root)?.name.clone())).collect();
    let leaf = (height == tip.height).then_some(tip.commit_leaf);
    Ok(Resolved { decision, roles, cut, interval, height, leaf })
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
        explain: explained.then(|| explanation(ledger, &resolved)).transpose()?,
    })
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
