//! The chain itself: genesis, status, headers, blocks, authorities, validators.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response, StatusCode};
use hyper::body::Body as HttpBody;
use writ_proto::api::{
    AuthorityAnswer, BlockAnswer, EvidenceAnswer, HeaderAnswer, HeadersPage, SignedAnswer, Status, ValidatorAnswer,
    position_token, to_base64,
};
use writ_proto::block::Outcome;
use writ_proto::codec::Blob;
use writ_proto::export::Frame;
use writ_proto::key::KeyId;

use super::error::ApiError;
use super::json::answer;
use super::query::Query;
use super::receipt::commit_leaf;
use super::{Answer, App, Call};
use crate::init::DEV_AUTHORITY;
use crate::ledger::Ledger;
use crate::storage::{SignedStatement, StoredBlock, StoredEvidence};

/// Parameters of [`headers`] and [`blocks`].
pub(super) const RUN: &[&str] = &["from", "limit"];

/// Headers or blocks of an answer, if the caller does not say, and at most.
pub(super) const LIMIT: u64 = 100;
pub(super) const LIMIT_MAX: u64 = 1000;
/// Bytes of an answer with blocks.
pub(super) const BLOCKS_BYTES_MAX: usize = 8 * 1024 * 1024;

/// `GET /v1/genesis`.
pub(super) async fn genesis(app: App, _: Call) -> Answer {
    let mut response = Response::new(Body::from(app.0.genesis.clone()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// `GET /v1/status`.
pub(super) async fn status(app: App, _: Call) -> Answer {
    let ledger = app.ledger();
    let (pending, _) = ledger.pooled();
    let status = {
        let state = ledger.read();
        let (tip, genesis) = (state.tip(), state.genesis());
        Status {
            chain: *state.chain(),
            name: genesis.chain.clone(),
            role: app.role(&state).into(),
            height: tip.height,
            log_size: state.log().size(),
            log_root: to_base64(&state.log().root().0),
            commit_leaf: tip.commit_leaf,
            position: position_token(tip.height, &tip.commit_leaf),
            time: tip.time,
            caught_up: ledger.is_caught_up(),
            peers: (app.0.peers)(),
            endpoint: app.0.endpoint.map(|endpoint| endpoint.to_string()),
            pending,
            dev_authority: genesis.authorities.iter().any(|root| root.name.as_str() == DEV_AUTHORITY),
            version: env!("CARGO_PKG_VERSION").into(),
        }
    };
    answer(StatusCode::OK, &status)
}

/// A run of heights, `from..to`, of which none is beyond the tip.
fn run_of(ledger: &Ledger, query: &mut Query) -> Result<(u64, u64, u64), ApiError> {
    let from = query.number("from", 1, u64::MAX)?.unwrap_or(1);
    let limit = query.number("limit", 1, LIMIT_MAX)?.unwrap_or(LIMIT);
    let tip = ledger.read().tip().height;
    // Right after the tip is where a follower asks on; there is nothing yet. Further on is a mistake.
    if from > tip + 1 {
        return Err(ApiError::of(
            "not_yet",
            "from",
            format!("height {from} is asked for, this node has reached {tip}"),
        ));
    }
    Ok((from, from.saturating_add(limit).min(tip + 1), tip))
}

/// `GET /v1/headers`.
pub(super) async fn headers(app: App, mut call: Call) -> Answer {
    let (from, to, tip) = run_of(app.ledger(), &mut call.query)?;
    let read = move |ledger: &Ledger| (from..to).map(|height| header(ledger, height)).collect::<Result<Vec<_>, _>>();
    let headers = app.in_turn(read).await?;
    answer(StatusCode::OK, &HeadersPage { headers, next: (to <= tip).then_some(to) })
}

fn header(ledger: &Ledger, height: u64) -> Result<HeaderAnswer, ApiError> {
    let leaf = commit_leaf(ledger, height)?;
    let leaf_index = leaf.executed.log_size;
    let first = match height {
        1 => 0,
        _ => commit_leaf(ledger, height - 1)?.executed.log_size + 1,
    };
    Ok(HeaderAnswer {
        hash: leaf.header.hash(),
        commit_leaf: leaf.hash(),
        leaf_index,
        records: usize::try_from(leaf_index - first).unwrap_or(usize::MAX),
        executed: leaf.executed,
        header: leaf.header,
    })
}

/// `GET /v1/blocks/{height}`.
pub(super) async fn block(app: App, call: Call) -> Answer {
    let text = call.segment();
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let height: u64 =
        text.parse().ok().filter(|_| plain).ok_or_else(|| {
            ApiError::bad("height", format!("`{}` is no height", writ_proto::time::Excerpt::of(text)))
        })?;
    let tip = app.ledger().read().tip().height;
    if height == 0 || height > tip {
        return Err(ApiError::of(
            "not_found",
            "height",
            format!("there is no block {height}, this node has 1 to {tip}"),
        ));
    }
    let block = app.in_turn(move |ledger| whole_block(ledger, height)).await?;
    answer(StatusCode::OK, &block)
}

fn stored_block(ledger: &Ledger, height: u64) -> Result<StoredBlock, ApiError> {
    ledger.store().block(height)?.ok_or_else(|| ApiError::internal(format!("block {height} is missing")))
}

fn whole_block(ledger: &Ledger, height: u64) -> Result<BlockAnswer, ApiError> {
    let StoredBlock { block, certificate } = stored_block(ledger, height)?;
    let header = header(ledger, height)?;
    let first = header.leaf_index - header.records as u64;
    let mut outcomes = Vec::with_capacity(header.records);
    for index in first..header.leaf_index {
        let place = ledger.store().place_at(index)?;
        let place = place.ok_or_else(|| ApiError::internal(format!("leaf {index} has no place")))?;
        outcomes.push(match place.outcome {
            Outcome::Accepted => "accepted".to_owned(),
            Outcome::Rejected(code) => code.as_str().to_owned(),
        });
    }
    Ok(BlockAnswer { header, block: to_base64(&block), outcomes, certificate })
}

/// `GET /v1/blocks`: the frames of an export, one after another, each after its length.
pub(super) async fn blocks(app: App, mut call: Call) -> Answer {
    let (from, to, _) = run_of(app.ledger(), &mut call.query)?;
    let mut response = Response::new(Body::new(Frames { ledger: app.ledger().clone(), next: from, to, sent: 0 }));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    Ok(response)
}

/// Blocks on their way out, one in memory at a time, so that a slow reader costs one block and no more.
struct Frames {
    ledger: Ledger,
    next: u64,
    to: u64,
    sent: usize,
}

/// A block was not there halfway through an answer; the connection is cut, so that nobody takes it for whole.
#[derive(Debug, thiserror::Error)]
#[error("a block could not be read")]
struct Unreadable;

impl HttpBody for Frames {
    type Data = Bytes;
    type Error = Unreadable;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Unreadable>>> {
        if self.next >= self.to {
            return Poll::Ready(None);
        }
        // Its cause is logged where it is found.
        let Ok(StoredBlock { block, certificate }) = stored_block(&self.ledger, self.next) else {
            return Poll::Ready(Some(Err(Unreadable)));
        };
        let frame = Frame { block: Blob(block), certificate }.encode_framed();
        if self.sent > 0 && self.sent + frame.len() > BLOCKS_BYTES_MAX {
            self.next = self.to;
            return Poll::Ready(None);
        }
        self.sent += frame.len();
        self.next += 1;
        Poll::Ready(Some(Ok(hyper::body::Frame::data(frame.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.next >= self.to
    }
}

/// `GET /v1/authorities`.
pub(super) async fn authorities(app: App, _: Call) -> Answer {
    let all: Vec<AuthorityAnswer> = {
        let state = app.ledger().read();
        let name = |ordinal| Some(state.authorities().get(ordinal)?.name.clone());
        let known = state.authorities().iter().map(|authority| AuthorityAnswer {
            name: authority.name.clone(),
            parent: authority.parent.and_then(name),
            keys: authority.keys.iter().map(|(_, known)| known.key).collect(),
            threshold: authority.threshold,
            scope: authority.scope.clone(),
        });
        known.collect()
    };
    answer(StatusCode::OK, &serde_json::json!({ "authorities": all }))
}

/// `GET /v1/validators`.
pub(super) async fn validators(app: App, _: Call) -> Answer {
    let (height, all): (u64, Vec<ValidatorAnswer>) = {
        let state = app.ledger().read();
        let answer = |validator: &writ_proto::record::ValidatorKeys| ValidatorAnswer {
            name: validator.name.clone(),
            vote_key: validator.vote.key,
            checkpoint_key: validator.checkpoint.key,
        };
        (state.tip().height + 1, state.validators().iter().map(answer).collect())
    };
    answer(StatusCode::OK, &serde_json::json!({ "height": height, "validators": all }))
}

/// Pairs of an answer.
const EVIDENCE_MAX: usize = 1000;

/// `GET /v1/evidence`: validators that signed two statements of which an honest one signs at most one.
pub(super) async fn evidence(app: App, _: Call) -> Answer {
    let found = app.in_turn(|ledger| Ok(ledger.store().evidence(EVIDENCE_MAX)?)).await?;
    let names: BTreeMap<KeyId, String> = {
        let state = app.ledger().read();
        state.validators().iter().map(|keys| (keys.vote.key.id(), keys.name.to_string())).collect()
    };
    let signed = |statement: &SignedStatement| SignedAnswer {
        bytes: to_base64(&statement.bytes),
        signature: to_base64(&statement.signature.0),
    };
    let pair = |found: &StoredEvidence| EvidenceAnswer {
        offender: found.offender.to_string(),
        name: names.get(&found.offender).cloned(),
        height: found.height,
        round: found.round,
        first: signed(&found.first),
        second: signed(&found.second),
    };
    let evidence: Vec<_> = found.iter().map(pair).collect();
    answer(StatusCode::OK, &serde_json::json!({ "evidence": evidence }))
}
