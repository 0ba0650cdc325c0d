//! `evidence`: validators that signed two statements of which an honest one signs at most one.
//!
//! ```text
//!   key    height u64 | round u32 | offender 32 | hash of both statements 32
//!   value  first bytes | first signature 64 | second bytes | second signature 64
//! ```
//!
//! Nothing here is ever deleted, and the same pair is kept once.

use serde::{Deserialize, Serialize};
use writ_proto::codec::{self, Blob};
use writ_proto::hash::Digest;
use writ_proto::key::{KeyId, Signature};

use super::{StoreError, Table, damaged, decode};
use crate::storage::{SignedStatement, StoredEvidence};

/// Bytes of a pair of statements: votes and proposals are a few hundred bytes long.
const PAIR_BYTES_MAX: usize = 8 * 1024;

#[derive(Serialize, Deserialize)]
struct Pair {
    first: Blob,
    first_signature: Signature,
    second: Blob,
    second_signature: Signature,
}

pub(crate) fn key(evidence: &StoredEvidence) -> Vec<u8> {
    let both = Digest::of(&[&evidence.first.bytes, &evidence.second.bytes]);
    [&evidence.height.to_be_bytes()[..], &evidence.round.to_be_bytes(), &evidence.offender.0, &both.0].concat()
}

pub(crate) fn value(evidence: &StoredEvidence) -> Vec<u8> {
    let StoredEvidence { first, second, .. } = evidence;
    codec::encode(&Pair {
        first: Blob(first.bytes.clone()),
        first_signature: first.signature,
        second: Blob(second.bytes.clone()),
        second_signature: second.signature,
    })
}

pub(crate) fn read(key: &[u8], value: &[u8]) -> Result<StoredEvidence, StoreError> {
    let name = || hex::encode(key);
    let fault = || damaged(Table::Evidence, name(), format!("a key of {} bytes, expected 76", key.len()));
    let (height, rest) = key.split_first_chunk().ok_or_else(fault)?;
    let (round, rest) = rest.split_first_chunk().ok_or_else(fault)?;
    let (offender, both) = rest.split_first_chunk().ok_or_else(fault)?;
    if both.len() != 32 {
        return Err(fault());
    }
    let pair: Pair = decode::<_, PAIR_BYTES_MAX>(Table::Evidence, name(), value)?;
    Ok(StoredEvidence {
        offender: KeyId(*offender),
        height: u64::from_be_bytes(*height),
        round: u32::from_be_bytes(*round),
        first: SignedStatement { bytes: pair.first.0, signature: pair.first_signature },
        second: SignedStatement { bytes: pair.second.0, signature: pair.second_signature },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_pinned() {
        let signed = |n: u8| SignedStatement { bytes: vec![n], signature: Signature([n; 64]) };
        let evidence =
            StoredEvidence { offender: KeyId([9; 32]), height: 258, round: 3, first: signed(1), second: signed(2) };
        let (key, value) = (key(&evidence), value(&evidence));
        assert!(hex::encode(&key).starts_with(&["0000000000000102", "00000003", &"09".repeat(32)].concat()));
        let golden = ["0100000000000000", "01", &"01".repeat(64), "0100000000000000", "02", &"02".repeat(64)].concat();
        assert_eq!(hex::encode(&value), golden);
        assert_eq!(read(&key, &value).unwrap(), evidence);
        assert!(read(&key[1..], &value).is_err() && read(&key, &value[1..]).is_err());
    }
}
