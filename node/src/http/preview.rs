//! `POST /v1/preview`: what some statements would change, if they were made.
//!
//! They are taken into a copy of the index, which is thrown away. The copy is made under the state's lock, so it is
//! the one thing that holds the lock for longer than a step: of a million entries at most, and one preview at a
//! time. The search then goes over the copy, and holds no lock at all.

use std::time::Instant;

use axum::http::StatusCode;
use serde_json::Value;
use writ_proto::api::{Idle, PreviewAnswer, RefusedStatement, Since, StatementNote, statement_of};
use writ_proto::record::{Access, AtomicSet, AuthorityName, Body, Effect, Nonce, RecordId, Revoke, SetMember};
use writ_proto::refusal::Refusal;
use writ_proto::search::{Budget, Preview, Proposed, Remark};
use writ_proto::state::{Authority, State};
use writ_proto::time::LedgerTime;

use super::body::Media;
use super::changes::{Named, STEP_LOOKUPS, WORK_TIME_MAX};
use super::circumstances::unknown;
use super::error::ApiError;
use super::json::{Members, answer};
use super::moment::caught_up;
use super::records::{check_fits, id_of, read_tuple};
use super::sets::{check_count, size_of};
use super::{Answer, App, Call, TURN_TIME_MAX};
use crate::ledger::Ledger;

/// Entries of which a copy is made.
const ENTRIES_MAX: usize = if cfg!(test) { 200 } else { 1_000_000 };
/// Statements of one preview.
pub(super) const STATEMENTS_MAX: usize = 20_000;
/// Bytes of its body: so many statements of ordinary length.
pub(super) const BYTES_MAX: usize = 8 * 1024 * 1024;
/// Changes that are told if the caller does not say, and at most.
const LIMIT: usize = 1000;
const LIMIT_MAX: usize = 10_000;

/// What is asked.
struct Wish {
    authority: AuthorityName,
    /// What is well-formed, at its place; the others are refused.
    statements: Vec<Result<Statement, ApiError>>,
    /// Whether they stand in one set, and since when nothing on its keys may have changed.
    set: Option<Option<Since>>,
    limit: usize,
}

/// A statement in its own words.
enum Statement {
    State { access: Access, id: Option<RecordId> },
    Revoke(RecordId),
    Withdraw(usize),
}

/// `POST /v1/preview`.
pub(super) async fn preview(app: App, mut call: Call) -> Answer {
    caught_up(app.ledger())?;
    let (_, content) = call.content(&app, &[Media::Json], BYTES_MAX).await?;
    let turn = tokio::time::timeout(TURN_TIME_MAX, app.0.previews.clone().acquire_owned()).await;
    let Ok(Ok(turn)) = turn else {
        return Err(ApiError::overloaded("one preview is made at a time, and others wait already", 1));
    };
    let told = app
        .in_turn(move |ledger| {
            let _turn = turn;
            let wish = Wish::read(&content.bytes)?;
            drop(content);
            told(ledger, wish)
        })
        .await?;
    answer(StatusCode::OK, &told)
}

impl Wish {
    fn read(bytes: &[u8]) -> Result<Self, ApiError> {
        let mut members = Members::parse("the body", bytes)?;
        let authority: AuthorityName = members.require("issuingAuth")?;
        let values: Vec<Value> = members.require("statements")?;
        let limit = members.take::<usize>("limit")?.unwrap_or(LIMIT);
        let atomic = members.take::<bool>("atomic")?.unwrap_or(false);
        let since: Option<Since> = members.take("unchanged_since")?;
        members.finish()?;
        if since.is_some() && !atomic {
            return Err(ApiError::bad("unchanged_since", "`unchanged_since` is for a set, found no `atomic`"));
        }
        if atomic {
            check_count(values.len(), "statements")?;
        }
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(ApiError::bad("limit", format!("{limit}, expected 1 to {LIMIT_MAX}")));
        }
        match values.len() {
            0 => return Err(ApiError::bad("statements", format!("0 statements, expected 1 to {STATEMENTS_MAX}"))),
            found if found > STATEMENTS_MAX => {
                let detail = format!("{found} statements, at most {STATEMENTS_MAX} are allowed in one preview");
                return Err(ApiError::of("too_large", "statements", detail));
            }
            _ => {}
        }
        let read = |(at, value)| Statement::read(value, at, &authority);
        let statements = values.into_iter().enumerate().map(read).collect();
        Ok(Self { authority, statements, set: atomic.then_some(since), limit })
    }
}

impl Statement {
    fn read(value: Value, at: usize, authority: &AuthorityName) -> Result<Self, ApiError> {
        let mut members = Members::of_item(value)?;
        if members.has("revoke") {
            let target: String = members.require("revoke")?;
            members.finish()?;
            return Ok(Self::Revoke(id_of(&target, "revoke")?));
        }
        if members.has("withdraw") {
            let target: usize = members.require("withdraw")?;
            members.finish()?;
            if target >= at {
                let detail = format!("{target}, expected the place of an earlier statement than this, {at}");
                return Err(ApiError::bad("withdraw", detail));
            }
            return Ok(Self::Withdraw(target));
        }
        let id = members.take::<String>("id")?.map(|id| id_of(&id, "id")).transpose()?;
        Ok(Self::State { access: read_tuple(members, authority)?, id })
    }

    /// The same as a member of a set. Whether a set may end what is named is for the state to judge.
    fn member(&self, state: &State) -> Result<SetMember, ApiError> {
        match self {
            Self::State { access, .. } => Ok(SetMember::Access(access.clone())),
            Self::Revoke(target) => {
                let entry = state.settled(target).and_then(|settled| settled.entry);
                // What is no entry is refused as that, whatever its effect would be.
                let effect = entry.map_or(Effect::Grant, |entry| state.index().entry(entry).effect);
                Ok(SetMember::Revoke(Revoke { target: *target, effect }))
            }
            Self::Withdraw(_) => Err(ApiError::bad("withdraw", "in a set nothing can end what the set itself makes")),
        }
    }

    /// The same in the terms of the state.
    fn proposed(self, state: &State) -> Result<Proposed, ApiError> {
        match self {
            Self::State { access, id } => Ok(match id.and_then(|id| state.settled(&id)) {
                Some(settled) => Proposed::Known(settled.entry),
                None => Proposed::Access(access),
            }),
            Self::Withdraw(at) => Ok(Proposed::Withdraw(at)),
            Self::Revoke(id) => {
                let no_record = || ApiError::of("not_found", "revoke", format!("no record {id} is in the log"));
                let no_entry =
                    || ApiError::of("conflict", "revoke", format!("record {id} is no access entry that counts"));
                let settled = state.settled(&id).ok_or_else(no_record)?;
                settled.entry.map(Proposed::Revoke).ok_or_else(no_entry)
            }
        }
    }
}

fn refused(statement: Option<usize>, error: &ApiError) -> RefusedStatement {
    RefusedStatement {
        statement,
        code: error.code.into(),
        field: error.field.as_deref().map(Into::into),
        detail: error.detail.clone(),
    }
}

fn told(ledger: &Ledger, wish: Wish) -> Result<PreviewAnswer, ApiError> {
    let Wish { authority, statements, set, limit } = wish;
    let made = match set {
        None => copy(ledger, &authority, statements)?,
        Some(since) => match copy_with_set(ledger, &authority, statements, since.as_ref())? {
            Ok(made) => made,
            Err(refused) => return Ok(refused),
        },
    };
    let (proposed, mut refusals, preview) = made;
    refusals.extend(preview.refused.iter().map(|(at, refusal)| refused(Some(*at), &refusal.clone().into())));
    refusals.sort_by_key(|refusal| refusal.statement);

    let began = Instant::now();
    let is_over = || began.elapsed() >= WORK_TIME_MAX;
    let (mut changes, mut search) = (Vec::new(), preview.changes());
    // One more than asked for, to know whether there is one.
    while search.at().is_some() && changes.len() <= limit && !is_over() {
        let budget = Budget { results: limit + 1 - changes.len(), lookups: STEP_LOOKUPS };
        search.step(&preview.index, &unknown, budget, &mut changes);
    }
    let mut more = changes.len() > limit || search.at().is_some();
    changes.truncate(limit);
    let mut notes = Vec::new();
    let is_refused = |at: &usize| refusals.binary_search_by_key(&Some(*at), |refusal| refusal.statement).is_ok();
    for (statement, proposed) in proposed.iter().enumerate().filter(|(at, _)| !is_refused(at)) {
        // Half of the time at least is for the changes.
        if began.elapsed() >= 2 * WORK_TIME_MAX || notes.len() >= LIMIT_MAX {
            more = true;
            break;
        }
        notes.extend(preview.remark(proposed, &unknown).map(|remark| note(statement, remark)));
    }
    let named = changes.into_iter().map(|change| Named::of(&preview.index, change).shown());
    Ok(PreviewAnswer {
        changes: named.collect::<Result<_, _>>()?,
        refused: refusals,
        notes,
        at: preview.after.interval.lo(),
        height: preview.before.height,
        more,
    })
}

/// The statements of one set, and the copy that has taken all of them in; or the answer that names the fault for which
/// none is taken: the one that a submission of the set would be refused for.
#[expect(clippy::type_complexity, reason = "what `copy` gives, or an answer")]
fn copy_with_set(
    ledger: &Ledger,
    name: &AuthorityName,
    statements: Vec<Result<Statement, ApiError>>,
    since: Option<&Since>,
) -> Result<Result<(Vec<Proposed>, Vec<RefusedStatement>, Preview), PreviewAnswer>, ApiError> {
    let unchanged_since = size_of(ledger, since)?;
    let state = ledger.read();
    let (authority, speaker) = known(&state, name)?;
    let time = ledger.clock().proposal_time(state.tip().time);
    let fault = |at: Option<usize>, error: &ApiError| PreviewAnswer {
        changes: Vec::new(),
        refused: vec![refused(at, error)],
        notes: Vec::new(),
        at: time,
        height: state.tip().height,
        more: false,
    };
    let mut members = Vec::with_capacity(statements.len());
    for (at, statement) in statements.iter().enumerate() {
        match statement.as_ref().map_err(Clone::clone).and_then(|statement| statement.member(&state)) {
            Ok(member) => members.push(member),
            Err(error) => return Ok(Err(fault(Some(at), &error))),
        }
    }
    check_copied(&state)?;
    let set = AtomicSet { members, unchanged_since };
    let said = statement_of(*state.chain(), name.clone(), Nonce([0; 16]), Body::Set(set.clone()), LedgerTime::EPOCH);
    if let Err(error) = check_fits(&said, speaker.threshold) {
        return Ok(Err(fault(None, &error)));
    }
    match state.preview_set(authority, &set, time) {
        Ok(preview) => {
            let proposed = statements.into_iter().map(|statement| statement?.proposed(&state));
            Ok(Ok((proposed.collect::<Result<_, ApiError>>()?, Vec::new(), preview)))
        }
        Err(refusal) => {
            let at = refusal.member.map(usize::from);
            // The place in the list says which member it is.
            let refusal = Refusal { member: None, ..refusal };
            Ok(Err(fault(at, &refusal.into())))
        }
    }
}

fn known<'a>(state: &'a State, authority: &AuthorityName) -> Result<(u32, &'a Authority), ApiError> {
    state.authorities().by_name(authority).ok_or_else(|| {
        let detail = format!("authority `{authority}` is not known to this chain");
        ApiError::of("unknown_authority", "issuingAuth", detail)
    })
}

fn check_copied(state: &State) -> Result<(), ApiError> {
    let entries = state.index().len();
    if entries > ENTRIES_MAX {
        let detail = format!("the log holds {entries} entries, a preview copies at most {ENTRIES_MAX}");
        return Err(ApiError::whole("limit_exceeded", detail));
    }
    Ok(())
}

/// The statements in the terms of the state, those among them that are refused already, and the copy that has taken
/// in the others. The one place where the lock is held for longer than a step.
fn copy(
    ledger: &Ledger,
    authority: &AuthorityName,
    statements: Vec<Result<Statement, ApiError>>,
) -> Result<(Vec<Proposed>, Vec<RefusedStatement>, Preview), ApiError> {
    let state = ledger.read();
    let (authority, _) = known(&state, authority)?;
    check_copied(&state)?;
    let (mut proposed, mut refusals) = (Vec::with_capacity(statements.len()), Vec::new());
    for (at, statement) in statements.into_iter().enumerate() {
        proposed.push(statement.and_then(|statement| statement.proposed(&state)).unwrap_or_else(|error| {
            refusals.push(refused(Some(at), &error));
            Proposed::Known(None)
        }));
    }
    let time = ledger.clock().proposal_time(state.tip().time);
    let preview = state.preview(authority, &proposed, time);
    Ok((proposed, refusals, preview))
}

fn note(statement: usize, remark: Remark) -> StatementNote {
    let (note, entries) = match remark {
        Remark::Known => (Idle::Known, Vec::new()),
        Remark::Covered => (Idle::Covered, Vec::new()),
        Remark::Denied(entries) => (Idle::Denied, entries),
        Remark::Over => (Idle::Over, Vec::new()),
    };
    StatementNote { statement, note, entries }
}
