//! `places`: what became of the record at a leaf, and who signed it.
//!
//! ```text
//!   key    index u64, big-endian; commit leaves have no entry
//!   value  height u64 | outcome u16 | authority u32 | count u64 | count * key u32
//! ```
//!
//! The outcome is the number that the block's root of outcomes commits to. Authority and keys are
//! ordinals: their places among all that the chain ever admitted.

use serde::{Deserialize, Serialize};
use writ_proto::block::Outcome;
use writ_proto::codec;

use super::{StoreError, Table, damaged, decode};
use crate::storage::StoredPlace;

#[derive(Serialize, Deserialize)]
struct Place {
    height: u64,
    outcome: u16,
    authority: u32,
    keys: Vec<u32>,
}

pub(crate) fn key(index: u64) -> [u8; 8] {
    index.to_be_bytes()
}

pub(crate) fn value(place: &StoredPlace) -> Vec<u8> {
    let StoredPlace { index: _, height, outcome, authority, ref keys } = *place;
    codec::encode(&Place { height, outcome: outcome.number(), authority, keys: keys.clone() })
}

pub(crate) fn read(index: u64, bytes: &[u8]) -> Result<StoredPlace, StoreError> {
    let Place { height, outcome, authority, keys } = decode::<_, 256>(Table::Places, index, bytes)?;
    let outcome = Outcome::from_number(outcome)
        .ok_or_else(|| damaged(Table::Places, index, format!("outcome {outcome} is not known")))?;
    Ok(StoredPlace { index, height, outcome, authority, keys })
}

#[cfg(test)]
mod tests {
    use super::*;
    use writ_proto::refusal::Code;

    #[test]
    fn the_bytes_are_pinned() {
        assert_eq!(hex::encode(key(258)), "0000000000000102");
        let place = StoredPlace {
            index: 9,
            height: 3,
            outcome: Outcome::Rejected(Code::OutOfScope),
            authority: 2,
            keys: vec![1, 258],
        };
        let bytes = value(&place);
        assert_eq!(hex::encode(&bytes), "03000000000000000a000200000002000000000000000100000002010000");
        assert_eq!(read(9, &bytes).unwrap(), place);
    }

    #[test]
    fn an_unknown_outcome_is_damage() {
        let place = StoredPlace { index: 9, height: 3, outcome: Outcome::Accepted, authority: 0, keys: vec![] };
        let mut bytes = value(&place);
        bytes[8] = 99;
        assert!(matches!(read(9, &bytes), Err(StoreError::Damaged { .. })));
    }

    #[test]
    fn a_place_with_every_signature_reads_back() {
        let keys = (0..writ_proto::limits::SIGNATURES_MAX as u32).collect();
        let place = StoredPlace { index: 9, height: u64::MAX, outcome: Outcome::Accepted, authority: u32::MAX, keys };
        assert_eq!(read(9, &value(&place)).unwrap(), place);
    }
}
