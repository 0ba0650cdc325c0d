//! `undecided`: proposals of heights that are not decided yet.
//!
//! ```text
//!   key    height u64, big-endian | value's digest 32
//!   value  round u32 | valid round (u8 0, or 1 and u32) | proposer 32 | length u64 | the value
//! ```
//!
//! What this validator proposed or voted for must be here before the vote leaves, so that after a crash it
//! proposes the same again and can commit what was decided.

use serde::{Deserialize, Serialize};
use writ_proto::codec::{self, Blob};
use writ_proto::hash::Digest;
use writ_proto::key::KeyId;
use writ_proto::limits::BLOCK_BYTES_MAX;

use super::{StoreError, Table, damaged, decode, digest};
use crate::storage::Undecided;

/// The value's own members and a block.
const VALUE_BYTES_MAX: usize = BLOCK_BYTES_MAX + 64;

#[derive(Serialize, Deserialize)]
struct Proposal {
    round: u32,
    valid_round: Option<u32>,
    proposer: KeyId,
    bytes: Blob,
}

pub(crate) fn key(height: u64, value: &Digest) -> [u8; 40] {
    let mut key = [0; 40];
    key[..8].copy_from_slice(&height.to_be_bytes());
    key[8..].copy_from_slice(&value.0);
    key
}

pub(crate) fn read_key(key: &[u8]) -> Result<(u64, Digest), StoreError> {
    let fault = || damaged(Table::Undecided, hex::encode(key), format!("a key of {} bytes, expected 40", key.len()));
    let (height, value) = key.split_first_chunk::<8>().ok_or_else(fault)?;
    Ok((u64::from_be_bytes(*height), digest(Table::Undecided, hex::encode(key), value)?))
}

pub(crate) fn value(undecided: &Undecided) -> Vec<u8> {
    let Undecided { round, valid_round, proposer, bytes } = undecided.clone();
    codec::encode(&Proposal { round, valid_round, proposer, bytes: Blob(bytes) })
}

pub(crate) fn read(key: &Digest, bytes: &[u8]) -> Result<Undecided, StoreError> {
    let Proposal { round, valid_round, proposer, bytes } = decode::<_, VALUE_BYTES_MAX>(Table::Undecided, key, bytes)?;
    Ok(Undecided { round, valid_round, proposer, bytes: bytes.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_pinned() {
        let digest = Digest([7; 32]);
        assert_eq!(hex::encode(key(258, &digest)), ["0000000000000102", &"07".repeat(32)].concat());
        assert_eq!(read_key(&key(258, &digest)).unwrap(), (258, digest));
        assert!(read_key(&[0; 39]).is_err() && read_key(&[0; 7]).is_err());
        for (valid_round, golden) in [(None, "00"), (Some(1), "0101000000")] {
            let undecided = Undecided { round: 2, valid_round, proposer: KeyId([8; 32]), bytes: b"abc".to_vec() };
            let bytes = value(&undecided);
            let golden = ["02000000", golden, &"08".repeat(32), "0300000000000000", "616263"].concat();
            assert_eq!(hex::encode(&bytes), golden);
            assert_eq!(read(&digest, &bytes).unwrap(), undecided);
        }
    }

    #[test]
    fn the_largest_block_reads_back() {
        let bytes = vec![1; BLOCK_BYTES_MAX];
        let undecided = Undecided { round: 2, valid_round: Some(1), proposer: KeyId([8; 32]), bytes };
        assert_eq!(read(&Digest::ZERO, &value(&undecided)).unwrap(), undecided);
    }
}
