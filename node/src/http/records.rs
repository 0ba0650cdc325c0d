//! Records in: one, many, prepared for signing; and what became of one.
//!
//! | answer | means |
//! |---|---|
//! | `200` | done as far as `wait` asked: the receipt; for a record that was known before, with `duplicate` |
//! | `202` | taken and durable, not in the log yet |
//! | a problem | not taken; or, with `id`, taken and then refused or rejected by the chain |
//!
//! A record that the chain rejected is a problem although it is in the log, so that a caller who looks at
//! the status alone never takes a denial for made that does not count.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde_json::Value;
use writ_proto::api::{
    BatchAnswer, BatchResult, BriefAnswer, BriefResult, Prepared, Receipt, RecordStatus, Since, Tuple, from_base64,
    statement_of, to_base64,
};
use writ_proto::block::Outcome;
use writ_proto::limits::RECORD_BYTES_MAX;
use writ_proto::record::{Access, AuthorityName, Body, Class, Nonce, RecordId, Revoke, Signed, Statement};
use writ_proto::refusal::Code;
use writ_proto::state::State;
use writ_proto::time::{Excerpt, LedgerTime};

use super::body::Media;
use super::error::ApiError;
use super::json::{Members, answer};
use super::query::Query;
use super::receipt::{Receipts, Standing, bare, entry_at, record_at, standing_of_rejected};
use super::sets::{SetWish, renamed, set_of, size_of};
use super::{Answer, App, Call};
use crate::checkpoints::FinalCheckpoint;
use crate::ledger::{Fate, Ledger, SubmitError, Submitted};

/// Parameters of [`submit`].
pub(super) const SUBMIT: &[&str] = &["wait", "wait_ms"];
/// Parameters of [`submit_many`].
pub(super) const SUBMIT_MANY: &[&str] = &["wait", "wait_ms", "receipts"];

/// Bytes of a body with one record or one tuple: the largest in base64, with room to spare.
pub(super) const ONE_BYTES_MAX: usize = 64 * 1024;
/// Records of a batch.
pub(super) const BATCH_RECORDS_MAX: usize = 4096;
/// Bytes of a batch's records.
pub(super) const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of a body with a batch: its records in base64, each in quotes with a comma and white space.
pub(super) const BATCH_BODY_BYTES_MAX: usize = 6 * 1024 * 1024;

/// How long a submission waits if it does not say.
pub(super) const WAIT_MS: u64 = 10_000;
/// How long anything may ask to wait.
pub(super) const WAIT_MS_MAX: u64 = 60_000;

/// How long a block that is in the store may take to be in the state too.
const APPLYING_TIME_MAX: Duration = Duration::from_secs(5);

/// What a submission waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// Until the record is in the log, or the deadline.
    Committed(Instant),
    /// Until this node has it and will not lose it.
    Seen,
}

impl Wait {
    fn read(query: &mut Query) -> Result<Self, ApiError> {
        let wait_ms = query.number("wait_ms", 0, WAIT_MS_MAX)?.unwrap_or(WAIT_MS);
        match query.take("wait").as_deref() {
            None | Some("committed") => Ok(Self::Committed(Instant::now() + Duration::from_millis(wait_ms))),
            // Whoever asks for less gets it at once: a record is durable before anybody hears that it is taken.
            Some("seen" | "none") => Ok(Self::Seen),
            Some("everywhere") => {
                Err(ApiError::of("unsupported", "wait", "`everywhere` is not supported by this version"))
            }
            Some(other) => {
                let detail = format!("`{}`, expected `committed`, `seen` or `none`", Excerpt::of(other));
                Err(ApiError::bad("wait", detail))
            }
        }
    }
}

/// `POST /v1/records`.
pub(super) async fn submit(app: App, mut call: Call) -> Answer {
    let wait = Wait::read(&mut call.query)?;
    let (media, content) = call.content(&app, &[Media::Json, Media::Bytes], ONE_BYTES_MAX).await?;
    let record = match media {
        Media::Bytes => content.bytes,
        Media::Json => {
            let mut members = Members::parse("the body", &content.bytes)?;
            let text: String = members.require("record")?;
            members.finish()?;
            record_from_base64(&text, "record", "`record`")?
        }
    };
    drop(content.held);
    let sent = record.clone();
    let submitted = app.in_turn(move |ledger| Ok(ledger.submit(record))).await?;
    count(&app, &submitted);
    let submitted = submitted?;
    let known = submitted.is_duplicate();
    let waits = matches!(wait, Wait::Committed(_));
    let fates = fates_of(&app, vec![Ok(submitted)], wait).await?;
    let checkpoint = app.final_checkpoint();
    let mut results = app.in_turn(move |ledger| Ok(receipts_of(ledger, checkpoint, fates))).await?;
    let mut receipt = results.pop().ok_or_else(|| ApiError::internal("a submission without a result"))??;
    if let (true, Some(place)) = (known, &receipt.place) {
        // The same statement may have been signed anew; the proof is of the bytes that are in the log.
        let own = record_at(app.ledger(), place.index)?;
        receipt.record = (own.bytes() != sent).then(|| to_base64(own.bytes()));
    }
    answer(status_of(&receipt, known, waits), &receipt)
}

/// A duplicate is `200`, but for one that was waited for in vain.
fn status_of(receipt: &Receipt, known: bool, waits: bool) -> StatusCode {
    match receipt.status {
        RecordStatus::Pending if waits || !known => StatusCode::ACCEPTED,
        _ => StatusCode::OK,
    }
}

/// `POST /v1/records/batch`.
pub(super) async fn submit_many(app: App, mut call: Call) -> Answer {
    let wait = Wait::read(&mut call.query)?;
    let brief = match call.query.take("receipts").as_deref() {
        None | Some("full") => false,
        Some("brief") => true,
        Some(other) => {
            return Err(ApiError::bad("receipts", format!("`{}`, expected `full` or `brief`", Excerpt::of(other))));
        }
    };
    let (media, content) = call.content(&app, &[Media::Json, Media::Bytes], BATCH_BODY_BYTES_MAX).await?;
    let (bytes, held) = (content.bytes, content.held);
    let read = move |_: &Ledger| match media {
        Media::Bytes => batch_from_bytes(&bytes),
        Media::Json => batch_from_json(&bytes),
    };
    let records = app.in_turn(read).await?;
    let submitted = app.ledger().submit_many(records).await;
    submitted.iter().for_each(|result| count(&app, result));
    if let Some(overloaded) = all_overloaded(&submitted) {
        return Err(overloaded);
    }
    let fates = fates_of(&app, submitted, wait).await?;
    let is_pending = |fate: &Known| matches!(fate, Ok((_, Fate::Pending { .. })));
    let status = if fates.iter().any(is_pending) { StatusCode::ACCEPTED } else { StatusCode::OK };
    let response = if brief {
        let batch = app.in_turn(move |ledger| brief_answer(ledger, fates)).await?;
        answer(status, &batch)
    } else {
        // The same note in each of thousands of receipts would be most of the answer: `GET /checkpoint` has it.
        let results = app.in_turn(move |ledger| Ok(receipts_of(ledger, None, fates))).await?;
        let result = |result: Result<Receipt, ApiError>| match result {
            Ok(receipt) => BatchResult::Receipt(receipt),
            Err(error) => BatchResult::Problem(error.to_problem()),
        };
        answer(status, &BatchAnswer { results: results.into_iter().map(result).collect() })
    };
    drop(held);
    response
}

/// What became of each record, and one proof for each block.
fn brief_answer(ledger: &Ledger, fates: Vec<Known>) -> Result<BriefAnswer, ApiError> {
    let mut proved: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let mut results = Vec::with_capacity(fates.len());
    for fate in fates {
        let refused = |error: ApiError| BriefResult {
            status: RecordStatus::Refused,
            duplicate: false,
            index: None,
            height: None,
            problem: Some(error.to_problem()),
        };
        results.push(match fate {
            Err(error) => refused(error),
            Ok((submitted, Fate::Settled(place))) => {
                let duplicate = submitted.is_duplicate();
                let (index, height) = (Some(place.index), Some(place.height));
                if let Outcome::Rejected(code) = place.outcome {
                    let problem = Some(rejected(submitted.id(), code, place.index).to_problem());
                    BriefResult { status: RecordStatus::Rejected, duplicate, index, height, problem }
                } else {
                    if !duplicate {
                        proved.entry(place.height).or_default().push(place.index);
                    }
                    BriefResult { status: RecordStatus::Committed, duplicate, index, height, problem: None }
                }
            }
            Ok((submitted, Fate::Pending { .. })) => BriefResult {
                status: RecordStatus::Pending,
                duplicate: submitted.is_duplicate(),
                index: None,
                height: None,
                problem: None,
            },
            Ok((_, Fate::Refused(refusal))) => refused(refusal.into()),
            Ok((submitted, Fate::Unknown)) => refused(unknown(submitted.id())),
        });
    }
    let mut receipts = Receipts::of(ledger);
    let mut blocks = Vec::with_capacity(proved.len());
    for (height, mut indexes) in proved {
        indexes.sort_unstable();
        blocks.push(receipts.block(height, &indexes)?);
    }
    Ok(BriefAnswer { results, blocks })
}

/// Where no record of a batch found room, the batch as a whole is to come back.
fn all_overloaded(results: &[Result<Submitted, SubmitError>]) -> Option<ApiError> {
    let mut longest = 0;
    for result in results {
        match result {
            Err(SubmitError::Overloaded { retry_after_s }) => longest = longest.max(*retry_after_s),
            _ => return None,
        }
    }
    Some(SubmitError::Overloaded { retry_after_s: longest }.into())
}

fn batch_from_json(bytes: &[u8]) -> Result<Vec<Vec<u8>>, ApiError> {
    let mut members = Members::parse("the body", bytes)?;
    let texts: Vec<String> = members.require("records")?;
    members.finish()?;
    check_count(texts.len())?;
    let mut records = Vec::with_capacity(texts.len());
    for (at, text) in texts.iter().enumerate() {
        records.push(record_from_base64(text, "records", &format!("record {at}"))?);
    }
    check_bytes(records.iter().map(Vec::len).sum())?;
    Ok(records)
}

/// Records one after another, each after its length, four bytes, little-endian.
fn batch_from_bytes(bytes: &[u8]) -> Result<Vec<Vec<u8>>, ApiError> {
    let mut records: Vec<Vec<u8>> = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let at = records.len();
        check_count(at + 1)?;
        let (len, after) = rest
            .split_first_chunk()
            .ok_or_else(|| ApiError::bad("records", format!("the body ends within the length of record {at}")))?;
        let len = usize::try_from(u32::from_le_bytes(*len)).unwrap_or(usize::MAX);
        if len > RECORD_BYTES_MAX {
            return Err(too_long(len, &format!("record {at}")));
        }
        let (record, after) = after.split_at_checked(len).ok_or_else(|| {
            ApiError::bad("records", format!("record {at} has {} bytes, its length says {len}", after.len()))
        })?;
        records.push(record.to_vec());
        rest = after;
    }
    check_count(records.len())?;
    check_bytes(records.iter().map(Vec::len).sum())?;
    Ok(records)
}

fn check_count(found: usize) -> Result<(), ApiError> {
    match found {
        0 => Err(ApiError::bad("records", format!("0 records, expected 1 to {BATCH_RECORDS_MAX}"))),
        found if found > BATCH_RECORDS_MAX => {
            Err(ApiError::of("too_large", "records", format!("more than {BATCH_RECORDS_MAX} records in one batch")))
        }
        _ => Ok(()),
    }
}

fn check_bytes(found: usize) -> Result<(), ApiError> {
    if found > BATCH_BYTES_MAX {
        let detail = format!("{found} bytes of records, at most {BATCH_BYTES_MAX} are allowed in one batch");
        return Err(ApiError::of("too_large", "records", detail));
    }
    Ok(())
}

fn too_long(len: usize, which: &str) -> ApiError {
    let detail = format!("{which} has {len} bytes, at most {RECORD_BYTES_MAX} are allowed");
    ApiError::of("too_large", "records", detail)
}

fn record_from_base64(text: &str, field: &'static str, which: &str) -> Result<Vec<u8>, ApiError> {
    from_base64(text)
        .ok_or_else(|| ApiError::bad(field, format!("{which} is not base64 (the standard alphabet, padded)")))
}

fn count(app: &App, submitted: &Result<Submitted, SubmitError>) {
    app.0.metrics.admission(match submitted {
        Ok(submitted) if submitted.is_duplicate() => "duplicate",
        Ok(_) => "new",
        Err(SubmitError::Refused(refusal)) => refusal.code.as_str(),
        Err(SubmitError::Overloaded { .. }) => "overloaded",
        Err(SubmitError::ReadOnly) => "read_only",
        Err(SubmitError::Store(_)) => "internal",
    });
}

/// What is known of a submission, or why it was not taken.
type Known = Result<(Submitted, Fate), ApiError>;

/// What became of each submission once `wait` is over, in order. What still waits then is durable.
async fn fates_of(
    app: &App,
    submitted: Vec<Result<Submitted, SubmitError>>,
    wait: Wait,
) -> Result<Vec<Known>, ApiError> {
    let taken: Vec<RecordId> = submitted.iter().flatten().map(Submitted::id).collect();
    let deadline = match wait {
        Wait::Committed(deadline) => deadline,
        Wait::Seen => Instant::now(),
    };
    let mut fates = app.ledger().all_settled(&taken, deadline).await?.into_iter();
    let last = fates.as_slice().iter().max_by_key(|fate| match fate {
        Fate::Settled(place) => place.height,
        _ => 0,
    });
    if let Some(last) = last {
        applied(app, last.clone()).await;
    }
    let mut known: Vec<Known> = Vec::with_capacity(submitted.len());
    for result in submitted {
        known.push(match result {
            Err(error) => Err(error.into()),
            Ok(submitted) => {
                let fate = fates.next().ok_or_else(|| ApiError::internal("a submission without a fate"))?;
                Ok((submitted, fate))
            }
        });
    }
    let waiting = known.iter().flatten().filter(|(_, fate)| matches!(fate, Fate::Pending { .. }));
    let waiting: Vec<RecordId> = waiting.map(|(submitted, _)| submitted.id()).collect();
    if !waiting.is_empty() {
        // Nobody hears that a record is taken before it is durable.
        app.in_turn(move |ledger| Ok(ledger.keep(&waiting)?)).await?;
    }
    Ok(known)
}

fn receipts_of(
    ledger: &Ledger,
    checkpoint: Option<FinalCheckpoint>,
    fates: Vec<Known>,
) -> Vec<Result<Receipt, ApiError>> {
    let mut receipts = Receipts::of(ledger).with_checkpoint(checkpoint);
    let receipt = |fate: Known| fate.and_then(|(known, fate)| receipt_of(&mut receipts, known, fate));
    fates.into_iter().map(receipt).collect()
}

/// A block is in the store a moment before the state has it. Nobody hears of a place before questions are
/// answered from it: whoever was told *committed* then asks, and must see what he wrote.
pub(super) async fn applied(app: &App, fate: Fate) -> Fate {
    if let Fate::Settled(place) = &fate {
        app.ledger().reached(place.height, Instant::now() + APPLYING_TIME_MAX).await;
    }
    fate
}

fn receipt_of(receipts: &mut Receipts<'_>, submitted: Submitted, fate: Fate) -> Result<Receipt, ApiError> {
    let id = submitted.id();
    match fate {
        Fate::Settled(place) => match place.outcome {
            Outcome::Accepted => receipts.settled(id, &place, submitted.is_duplicate()),
            Outcome::Rejected(code) => Err(rejected(id, code, place.index)),
        },
        Fate::Pending { expired } => Ok(Receipt { duplicate: submitted.is_duplicate(), ..pending(id, expired) }),
        Fate::Refused(refusal) => Err(ApiError::from(refusal).about(id)),
        Fate::Unknown => Err(unknown(id)),
    }
}

fn rejected(id: RecordId, code: Code, index: u64) -> ApiError {
    let detail = format!("record {id} is in the log at index {index} and does not count: its block rejected it");
    ApiError::whole(code.as_str(), detail).about(id)
}

fn unknown(id: RecordId) -> ApiError {
    ApiError::internal(format!("record {id} was taken and is unknown now"))
}

fn pending(id: RecordId, expired: bool) -> Receipt {
    let receipt = bare(id, RecordStatus::Pending);
    if !expired {
        return receipt;
    }
    Receipt {
        code: Some("expired_submission".into()),
        field: Some("submit_by".into()),
        detail: Some("its `submit_by` has passed: it will be refused, sign it again with a later one".into()),
        ..receipt
    }
}

/// `GET /v1/records/{id}`.
pub(super) async fn show(app: App, call: Call) -> Answer {
    let id = id_of(call.segment(), "id")?;
    let fate = applied(&app, app.ledger().fate(&id)?).await;
    let checkpoint = app.final_checkpoint();
    let receipt = app.in_turn(move |ledger| shown(ledger, checkpoint, id, fate)).await?;
    answer(StatusCode::OK, &receipt)
}

/// Reads a record's id.
pub(super) fn id_of(text: &str, field: &'static str) -> Result<RecordId, ApiError> {
    text.parse().map_err(|error: writ_proto::hash::DigestError| ApiError::bad(field, error.to_string()))
}

fn shown(ledger: &Ledger, checkpoint: Option<FinalCheckpoint>, id: RecordId, fate: Fate) -> Result<Receipt, ApiError> {
    match fate {
        Fate::Unknown => Err(ApiError::of("not_found", "id", format!("no record {id} is known here"))),
        Fate::Pending { expired } => {
            let record = ledger.waiting(&id).map(|bytes| to_base64(&bytes));
            Ok(Receipt { record, ..pending(id, expired) })
        }
        Fate::Refused(refusal) => Ok(Receipt {
            code: Some(refusal.code.as_str().into()),
            field: refusal.path(),
            detail: Some(refusal.detail),
            ..bare(id, RecordStatus::Refused)
        }),
        Fate::Settled(place) => {
            let signed = record_at(ledger, place.index)?;
            let standing = Standing::by_id(&ledger.read(), &id);
            let standing = match standing {
                Some(standing) => standing,
                None => standing_of_rejected(ledger, place.index, place.height)?,
            };
            let entry = entry_at(ledger, &signed, &standing)?;
            let receipt = Receipts::of(ledger).with_checkpoint(checkpoint).settled(id, &place, false)?;
            Ok(Receipt { entry, record: Some(to_base64(signed.bytes())), ..receipt })
        }
    }
}

/// What [`prepare`] is asked for.
struct Wish {
    authority: AuthorityName,
    what: What,
    nonce: Nonce,
    submit_by: Option<LedgerTime>,
}

enum What {
    Entry(Access),
    Revoke(RecordId),
    Set(SetWish),
}

/// `POST /v1/records/prepare`.
pub(super) async fn prepare(app: App, mut call: Call) -> Answer {
    let (_, content) = call.content(&app, &[Media::Json], ONE_BYTES_MAX).await?;
    let wish = read_wish(&content.bytes)?;
    answer(StatusCode::OK, &prepared(app.ledger(), wish)?)
}

fn read_wish(bytes: &[u8]) -> Result<Wish, ApiError> {
    let mut members = Members::parse("the body", bytes)?;
    let authority: AuthorityName = members.require("authority")?;
    let (entry, revoke): (Option<Value>, Option<String>) = (members.take("entry")?, members.take("revoke")?);
    let set: Option<Vec<Value>> = members.take("set")?;
    let since: Option<Since> = members.take("unchanged_since")?;
    let nonce = members.take::<String>("nonce")?.map_or_else(draw_nonce, |text| read_nonce(&text))?;
    let submit_by: Option<LedgerTime> = members.take("submit_by")?;
    members.finish()?;
    if since.is_some() && set.is_none() {
        return Err(ApiError::bad("unchanged_since", "`unchanged_since` is for a `set`, found none"));
    }
    let what = match (entry, revoke, set) {
        (Some(entry), None, None) => What::Entry(read_tuple(Members::of(entry, "entry")?, &authority)?),
        (None, Some(target), None) => What::Revoke(id_of(&target, "revoke")?),
        (None, None, Some(set)) => What::Set(SetWish::read(set, since, &authority)?),
        (None, None, None) => {
            return Err(ApiError::bad("entry", "neither `entry`, `revoke` nor `set` is there, expected one of them"));
        }
        (None, Some(_), Some(_)) | (Some(_), None, Some(_)) => {
            return Err(ApiError::bad("set", "a `set` and another are there, expected one of them"));
        }
        (Some(_), Some(_), _) => {
            return Err(ApiError::bad("revoke", "both `entry` and `revoke` are there, expected one of them"));
        }
    };
    Ok(Wish { authority, what, nonce, submit_by })
}

/// The entry that a tuple states, which `authority` would sign.
pub(super) fn read_tuple(mut members: Members, authority: &AuthorityName) -> Result<Access, ApiError> {
    let tuple = Tuple {
        sub: members.require("sub")?,
        obj: members.require("obj")?,
        act: members.take("act")?,
        access: members.take("access")?,
        iss: members.take("iss")?,
        exp: members.take("exp")?,
        issuing_auth: members.take("issuingAuth")?,
        added: members.take("added")?,
        cond: members.take("cond")?,
        reference: members.take("ref")?,
    };
    members.finish()?;
    if tuple.issuing_auth.as_deref().is_some_and(|named| named != authority.as_str()) {
        return Err(ApiError::bad(
            "issuingAuth",
            format!("the entry names another authority than `{authority}`, which will sign"),
        ));
    }
    let access = tuple.to_access()?;
    access.check_condition()?;
    Ok(access)
}

fn read_nonce(text: &str) -> Result<Nonce, ApiError> {
    let mut nonce = [0; 16];
    match hex::decode_to_slice(text, &mut nonce) {
        Ok(()) if !text.bytes().any(|byte| byte.is_ascii_uppercase()) => Ok(Nonce(nonce)),
        _ => Err(ApiError::bad("nonce", format!("`{}`, expected 32 lower-case hexadecimal digits", Excerpt::of(text)))),
    }
}

fn draw_nonce() -> Result<Nonce, ApiError> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(ApiError::internal)?;
    Ok(Nonce(nonce))
}

fn prepared(ledger: &Ledger, wish: Wish) -> Result<Prepared, ApiError> {
    let since = match &wish.what {
        What::Set(set) => size_of(ledger, set.unchanged_since.as_ref())?,
        What::Entry(_) | What::Revoke(_) => None,
    };
    let state = ledger.read();
    let (ordinal, authority) = state.authorities().by_name(&wish.authority).ok_or_else(|| {
        ApiError::of(
            "unknown_authority",
            "authority",
            format!("authority `{}` is not known to this chain", wish.authority),
        )
    })?;
    let (keys, threshold) = (authority.keys.iter().map(|(_, known)| known.key).collect(), authority.threshold);
    let body = match wish.what {
        What::Entry(access) => {
            authority.scope.permits(&access, ledger.clock().proposal_time(state.tip().time))?;
            Body::Access(access)
        }
        What::Revoke(target) => Body::Revoke(revocation(&state, target)?),
        What::Set(wish) => {
            let set = set_of(&state, wish.members, since)?;
            let time = ledger.clock().proposal_time(state.tip().time);
            state.admit_set(ordinal, &set, time).map_err(|refusal| renamed(refusal.into()))?;
            Body::Set(set)
        }
    };
    if body.class() == Class::Restrictive && wish.submit_by.is_some() {
        let detail = "a record that can only reduce access has no `submit_by`, found one";
        return Err(ApiError::bad("submit_by", detail));
    }
    let ahead = state.parameters().submit_ahead_ms_max;
    let latest = ledger.clock().now().max(state.tip().time).saturating_add_millis(ahead);
    let submit_by = wish.submit_by.unwrap_or(latest);
    let statement = statement_of(*state.chain(), wish.authority, wish.nonce, body, submit_by);
    check_fits(&statement, threshold)?;
    let (bytes, _) = statement.signed_bytes()?;
    // Whoever signs reads these bytes first; so do we, that nobody is given bytes that no node takes.
    let (_, id) = Signed::read_unsigned(&bytes)?;
    Ok(Prepared { bytes: to_base64(&bytes), id, keys, threshold })
}

/// Whether a statement fits into a record once as many keys have signed it as have to.
pub(super) fn check_fits(statement: &Statement, threshold: u8) -> Result<(), ApiError> {
    let bytes = statement.record_bytes(threshold.into())?;
    if bytes > RECORD_BYTES_MAX {
        let detail = format!("a record of {bytes} bytes once it is signed, at most {RECORD_BYTES_MAX} are allowed");
        return Err(ApiError::of("too_large", "record", detail));
    }
    Ok(())
}

/// The revocation of an entry that is in the log: it carries its target's effect.
pub(super) fn revocation(state: &State, target: RecordId) -> Result<Revoke, ApiError> {
    let settled = state
        .settled(&target)
        .ok_or_else(|| ApiError::of("not_found", "revoke", format!("no record {target} is in the log")))?;
    let entry = settled
        .entry
        .ok_or_else(|| ApiError::of("conflict", "revoke", format!("record {target} is no access entry that counts")))?;
    Ok(Revoke { target, effect: state.index().entry(entry).effect })
}
