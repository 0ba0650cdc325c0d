//! `GET /v1/check`: the decision, for people and their tools.
//!
//! The answer is computed under one hold of the state's lock, clock included: interval, position and
//! entries belong to one moment. In doubt there is no answer rather than one that may be wrong.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use writ_proto::api::{
    CheckAnswer, ExplainedRole, Explanation, is_readable, position_token, question_of, read_position_token,
};
use writ_proto::decision::{Decision, Moment, Question, ReachedRole, Truth, Why, explain, resolve};
use writ_proto::hash::Digest;
use writ_proto::name::{Name, Side};
use writ_proto::record::{AuthorityName, Effect};
use writ_proto::time::{Excerpt, Interval, LedgerTime};

use super::error::ApiError;
use super::json::answer;
use super::query::Query;
use super::receipt::{commit_leaf, entry_at, id_at, record_at, standing_of};
use super::records::WAIT_MS_MAX;
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

/// How long a question waits for its `at_least` if it does not say.
const WAIT_MS: u64 = 2_000;

/// What is asked, and when.
struct Asked {
    question: Question,
    at: Option<LedgerTime>,
    height: Option<u64>,
    as_of: Option<LedgerTime>,
    at_least: Option<Token>,
    wait: Duration,
    explain: bool,
}

/// A position token that was read.
struct Token {
    height: u64,
    mark: String,
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
    if let Some(token) = &asked.at_least {
        reach(&app, token, asked.wait).await?;
    }
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
        let (at, as_of) = (query.time("at")?, query.time("as_of")?);
        let height = query.number("height", 0, u64::MAX)?;
        if as_of.is_some() && (at.is_some() || height.is_some()) {
            let other = if at.is_some() { "at" } else { "height" };
            return Err(ApiError::bad(
                "as_of",
                format!("`as_of` says both instant and height, found `{other}` beside it"),
            ));
        }
        let wait = Duration::from_millis(query.number("wait_ms", 0, WAIT_MS_MAX)?.unwrap_or(WAIT_MS));
        let at_least = query.take("at_least").map(|text| Token::read(&text)).transpose()?;
        Ok(Self { question, at, height, as_of, at_least, wait, explain: query.flag("explain")? })
    }
}

impl Token {
    fn read(text: &str) -> Result<Self, ApiError> {
        let (height, mark) = read_position_token(text).ok_or_else(|| {
            let detail = format!("`{}` is no position token, expected the `position` of an answer", Excerpt::of(text));
            ApiError::bad("at_least", detail)
        })?;
        Ok(Self { height, mark: mark.to_owned() })
    }
}

/// Waits until the chain has reached a token's height, and checks that it is a token of this chain.
async fn reach(app: &App, token: &Token, wait: Duration) -> Result<(), ApiError> {
    let ledger = app.ledger();
    if ledger.read().tip().height < token.height {
        // Where too many wait already, a further question does not.
        let reached = match app.0.waiting_questions.try_acquire() {
            Ok(_waiting) => ledger.reached(token.height, Instant::now() + wait).await,
            Err(_) => false,
        };
        if !reached {
            return Err(not_yet("at_least", token.height, ledger.read().tip().height));
        }
    }
    let leaf = {
        let state = ledger.read();
        let tip = state.tip();
        match token.height {
            0 => Some(*state.chain()),
            height => (height == tip.height).then_some(tip.commit_leaf),
        }
    };
    let own = position_token(
        token.height,
        &leaf.map_or_else(|| Ok(commit_leaf(ledger, token.height)?.hash()), Ok::<_, ApiError>)?,
    );
    if own.split_once('.').is_none_or(|(_, mark)| mark != token.mark) {
        let detail = format!("the token names another block at height {} than this chain has", token.height);
        return Err(ApiError::of("wrong_chain", "at_least", detail));
    }
    Ok(())
}

fn not_yet(field: &'static str, asked: u64, tip: u64) -> ApiError {
    ApiError::of("not_yet", field, format!("height {asked} is asked for, this node has reached {tip}"))
}

fn resolve_now(ledger: &Ledger, asked: &Asked) -> Result<Resolved, ApiError> {
    if !ledger.is_caught_up() {
        return Err(ApiError::whole("stale", "the node has not caught up with what it knows to exist"));
    }
    let state = ledger.read();
    let tip = state.tip();
    let (interval, height) = match asked.as_of {
        Some(instant) => {
            let height = state.height_at(instant).ok_or_else(|| {
                ApiError::bad("as_of", format!("{instant} is before the chain began, at {}", state.genesis().time))
            })?;
            (Interval::at(instant), height)
        }
        None => {
            let height = asked.height.unwrap_or(tip.height);
            if height > tip.height {
                return Err(not_yet("height", height, tip.height));
            }
            let interval = match asked.at {
                Some(instant) => Interval::at(instant),
                None => ledger.clock().interval(tip.time)?,
            };
            (interval, height)
        }
    };
    if let Some(token) = &asked.at_least
        && token.height > height
    {
        let detail = format!("knowledge of height {} at least is asked for, and of {height} at most", token.height);
        return Err(ApiError::bad("at_least", detail));
    }
    let moment = Moment { interval, height };
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
