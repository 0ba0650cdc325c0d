//! `refused`: why records that waited will not be in the log.
//!
//! ```text
//!   key    record id 32
//!   value  sequence u64 | code u16 | field (u8 0, or 1 and text) | detail text
//! ```
//!
//! The sequence counts refusals, so that the oldest can be forgotten first.

use serde::{Deserialize, Serialize};
use writ_proto::codec;
use writ_proto::record::RecordId;
use writ_proto::refusal::{Code, Refusal};

use super::{StoreError, Table, damaged, decode, digest};
use crate::storage::StoredRefusal;

/// Bytes of the words that are kept: a sentence, with a name or two of the largest size in it.
const DETAIL_BYTES_MAX: usize = 2048;

#[derive(Serialize, Deserialize)]
struct Entry {
    sequence: u64,
    code: u16,
    field: Option<String>,
    detail: String,
}

pub(crate) fn key(id: &RecordId) -> [u8; 32] {
    id.0.0
}

pub(crate) fn read_key(key: &[u8]) -> Result<RecordId, StoreError> {
    digest(Table::Refused, hex::encode(key), key).map(RecordId)
}

pub(crate) fn value(sequence: u64, refusal: &Refusal) -> Vec<u8> {
    let end = refusal.detail.floor_char_boundary(DETAIL_BYTES_MAX);
    codec::encode(&Entry {
        sequence,
        code: refusal.code.number(),
        field: refusal.path(),
        detail: refusal.detail[..end].to_owned(),
    })
}

/// The sequence and the refusal.
pub(crate) fn read(id: &RecordId, bytes: &[u8]) -> Result<(u64, StoredRefusal), StoreError> {
    let Entry { sequence, code, field, detail } = decode::<_, { DETAIL_BYTES_MAX + 256 }>(Table::Refused, id, bytes)?;
    let code =
        Code::from_number(code).ok_or_else(|| damaged(Table::Refused, id, format!("code {code} is not known")))?;
    Ok((sequence, StoredRefusal { code, field, detail }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use writ_proto::hash::Digest;

    #[test]
    fn the_bytes_are_pinned() {
        let id = RecordId(Digest([7; 32]));
        let bytes = value(258, &Refusal::of(Code::OutOfScope, "sub", "no"));
        let golden = ["0201000000000000", "0a00", "01", "0300000000000000", "737562", "0200000000000000", "6e6f"];
        assert_eq!(hex::encode(&bytes), golden.concat());
        let stored = StoredRefusal { code: Code::OutOfScope, field: Some("sub".into()), detail: "no".into() };
        assert_eq!(read(&id, &bytes).unwrap(), (258, stored));
        assert_eq!(read_key(&key(&id)).unwrap(), id);
    }

    #[test]
    fn words_without_end_are_cut_at_a_letter() {
        let id = RecordId(Digest([7; 32]));
        let long = "é".repeat(DETAIL_BYTES_MAX) + "x";
        let (_, stored) = read(&id, &value(1, &Refusal::whole(Code::Conflict, format!("x{long}")))).unwrap();
        assert_eq!(stored.detail.len(), DETAIL_BYTES_MAX - 1);
        assert!(format!("x{long}").starts_with(&stored.detail));
    }
}
