//! `meta`: what there is one of.
//!
//! ```text
//!   key "format"    ->  u32            the version of the schema; the first thing ever written
//!   key "genesis"   ->  its canonical encoding, as it is
//!   key "tip"       ->  height u64 | block 32 | commit leaf 32 | log size u64 | time u64
//! ```

use serde::{Deserialize, Serialize};
use writ_proto::codec;
use writ_proto::hash::Digest;
use writ_proto::time::LedgerTime;

use super::{StoreError, Table, decode};
use crate::storage::StoredTip;

pub(crate) const FORMAT: &[u8] = b"format";
pub(crate) const GENESIS: &[u8] = b"genesis";
pub(crate) const TIP: &[u8] = b"tip";

#[derive(Serialize, Deserialize)]
struct Tip {
    height: u64,
    block: Digest,
    commit_leaf: Digest,
    log_size: u64,
    time: LedgerTime,
}

pub(crate) fn format_value(format: u32) -> Vec<u8> {
    codec::encode(&format)
}

pub(crate) fn read_format(bytes: &[u8]) -> Result<u32, StoreError> {
    decode::<_, 4>(Table::Meta, "format", bytes)
}

pub(crate) fn tip_value(tip: &StoredTip) -> Vec<u8> {
    let StoredTip { height, block, commit_leaf, log_size, time } = *tip;
    codec::encode(&Tip { height, block, commit_leaf, log_size, time })
}

pub(crate) fn read_tip(bytes: &[u8]) -> Result<StoredTip, StoreError> {
    let Tip { height, block, commit_leaf, log_size, time } = decode::<_, 128>(Table::Meta, "tip", bytes)?;
    Ok(StoredTip { height, block, commit_leaf, log_size, time })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_pinned() {
        assert_eq!(hex::encode(format_value(1)), "01000000");
        let tip = StoredTip {
            height: 7,
            block: Digest([0xaa; 32]),
            commit_leaf: Digest([0xbb; 32]),
            log_size: 258,
            time: LedgerTime::from_millis(1_800_000_000_000).unwrap(),
        };
        let bytes = tip_value(&tip);
        let golden =
            ["0700000000000000", &"aa".repeat(32), &"bb".repeat(32), "0201000000000000", "00505c18a3010000"].concat();
        assert_eq!(hex::encode(&bytes), golden);
        assert_eq!(read_tip(&bytes).unwrap(), tip);
        assert!(read_tip(&bytes[1..]).is_err());
        assert!(read_format(&[1, 0, 0]).is_err());
    }
}
