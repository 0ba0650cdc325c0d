//! RFC 9162 proofs: that a record is in the log, and that the log only grew.

use axum::http::StatusCode;
use writ_proto::api::{ConsistencyAnswer, InclusionAnswer, to_base64};
use writ_proto::merkle;
use writ_proto::record::RecordId;

use super::error::ApiError;
use super::json::answer;
use super::receipt::{Nodes, hashes_to_base64, proved};
use super::records::{applied, id_of};
use super::{Answer, App, Call};
use crate::ledger::{Fate, Ledger};

/// Parameters of [`inclusion`].
pub(super) const INCLUSION: &[&str] = &["id", "size"];
/// Parameters of [`consistency`].
pub(super) const CONSISTENCY: &[&str] = &["from", "to"];

/// `GET /v1/proofs/inclusion`.
pub(super) async fn inclusion(app: App, mut call: Call) -> Answer {
    let id = id_of(&call.query.require("id")?, "id")?;
    let size = call.query.number("size", 1, u64::MAX)?;
    let fate = applied(&app, app.ledger().fate(&id)?).await;
    let proof = app.in_turn(move |ledger| prove_inclusion(ledger, id, fate, size)).await?;
    answer(StatusCode::OK, &proof)
}

fn prove_inclusion(ledger: &Ledger, id: RecordId, fate: Fate, size: Option<u64>) -> Result<InclusionAnswer, ApiError> {
    let index = match fate {
        Fate::Settled(place) => place.index,
        Fate::Pending { .. } => return Err(ApiError::of("not_yet", "id", format!("record {id} waits for a block"))),
        Fate::Refused(_) | Fate::Unknown => {
            return Err(ApiError::of("not_found", "id", format!("record {id} is not in the log")));
        }
    };
    let size = size_up_to_tip(ledger, size, "size")?;
    if size <= index {
        return Err(ApiError::bad(
            "size",
            format!("a log of {size} leaves does not hold the record, which has index {index}"),
        ));
    }
    let leaf = ledger.store().leaf(index)?.ok_or_else(|| ApiError::internal(format!("leaf {index} is missing")))?;
    let nodes = Nodes::of(ledger);
    let proof = proved(merkle::prove_inclusion(&nodes, index, size))?;
    Ok(InclusionAnswer {
        id,
        index,
        size,
        leaf_hash: to_base64(&merkle::leaf_hash(&leaf).0),
        root: to_base64(&proved(merkle::root_at(&nodes, size))?.0),
        proof: hashes_to_base64(&proof),
    })
}

/// `GET /v1/proofs/consistency`.
pub(super) async fn consistency(app: App, mut call: Call) -> Answer {
    let from = call.query.number("from", 1, u64::MAX)?.ok_or_else(|| ApiError::bad("from", "`from` is missing"))?;
    let to = call.query.number("to", 1, u64::MAX)?;
    let proof = app.in_turn(move |ledger| prove_consistency(ledger, from, to)).await?;
    answer(StatusCode::OK, &proof)
}

fn prove_consistency(ledger: &Ledger, from: u64, to: Option<u64>) -> Result<ConsistencyAnswer, ApiError> {
    if let Some(to) = to
        && from > to
    {
        return Err(ApiError::bad("from", format!("the size {from} is larger than `to`, {to}")));
    }
    let from = size_up_to_tip(ledger, Some(from), "from")?;
    let to = size_up_to_tip(ledger, to, "to")?;
    let nodes = Nodes::of(ledger);
    let proof = proved(merkle::prove_consistency(&nodes, from, to))?;
    Ok(ConsistencyAnswer {
        from,
        to,
        from_root: to_base64(&proved(merkle::root_at(&nodes, from))?.0),
        to_root: to_base64(&proved(merkle::root_at(&nodes, to))?.0),
        proof: hashes_to_base64(&proof),
    })
}

/// A size that the log has had; left out: the one it has.
fn size_up_to_tip(ledger: &Ledger, asked: Option<u64>, field: &'static str) -> Result<u64, ApiError> {
    let size = ledger.read().log().size();
    match asked {
        Some(asked) if asked > size => {
            Err(ApiError::of("not_yet", field, format!("a log of {asked} leaves is asked for, this node has {size}")))
        }
        asked => Ok(asked.unwrap_or(size)),
    }
}
