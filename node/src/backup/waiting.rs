//! The second file of a backup: records that were acknowledged and are in no block yet.
//!
//! ```text
//!   "writ/waiting/v1\0"
//!   chain 32 | digest of the backup's first file, as its trailer says it 32
//!   count | count * (length | the record's bytes)
//!   SHA-256 of every byte before
//! ```
//!
//! Numbers are eight bytes, little-endian. The records are signed, so nobody can add one; the checksum is against
//! accidents, and the digest against the second file of another backup.

use writ_proto::hash::Digest;
use writ_proto::limits::RECORD_BYTES_MAX;

/// The first bytes of such a file.
const START: &[u8] = b"writ/waiting/v1\0";

/// What such a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The chain that the records are for.
    pub chain: Digest,
    /// The digest in the trailer of the backup that it belongs to.
    pub backup: Digest,
    /// The records' bytes, in the order of their ids.
    pub records: Vec<Vec<u8>>,
}

/// Why bytes are not such a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitingError {
    /// It starts with other bytes.
    #[error("it does not start with the bytes of a file of waiting records of version 1")]
    NotWaiting,
    /// It was changed or cut.
    #[error("its checksum does not fit: it was changed, or cut short")]
    Checksum,
    /// What it says of itself does not add up.
    #[error("its parts do not add up at byte {at}")]
    Malformed {
        /// Where.
        at: usize,
    },
}

impl Waiting {
    /// The bytes of the file.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = [START, &self.chain.0, &self.backup.0].concat();
        bytes.extend((self.records.len() as u64).to_le_bytes());
        for record in &self.records {
            bytes.extend((record.len() as u64).to_le_bytes());
            bytes.extend(record);
        }
        let checksum = Digest::of(&[&bytes]);
        bytes.extend(checksum.0);
        bytes
    }

    /// Reads the bytes of a file; every byte counts.
    pub fn decode(bytes: &[u8]) -> Result<Self, WaitingError> {
        if !bytes.starts_with(START) {
            return Err(WaitingError::NotWaiting);
        }
        let (body, checksum) = bytes.split_last_chunk::<32>().ok_or(WaitingError::Checksum)?;
        if Digest::of(&[body]).0 != *checksum {
            return Err(WaitingError::Checksum);
        }
        let mut rest = &body[START.len().min(body.len())..];
        let end = body.len();
        let (chain, backup) = (Digest(take(&mut rest, end)?), Digest(take(&mut rest, end)?));
        let count = u64::from_le_bytes(take(&mut rest, end)?);
        let mut records = Vec::new();
        for _ in 0..count {
            let length = usize::try_from(u64::from_le_bytes(take(&mut rest, end)?)).unwrap_or(usize::MAX);
            let malformed = WaitingError::Malformed { at: end - rest.len() };
            if length > RECORD_BYTES_MAX || length > rest.len() {
                return Err(malformed);
            }
            let (record, after) = rest.split_at(length);
            records.push(record.to_vec());
            rest = after;
        }
        match rest {
            [] => Ok(Self { chain, backup, records }),
            _ => Err(WaitingError::Malformed { at: end - rest.len() }),
        }
    }
}

fn take<const N: usize>(rest: &mut &[u8], end: usize) -> Result<[u8; N], WaitingError> {
    let (taken, after) = rest.split_first_chunk().ok_or(WaitingError::Malformed { at: end - rest.len() })?;
    *rest = after;
    Ok(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Waiting {
        Waiting { chain: Digest([1; 32]), backup: Digest([2; 32]), records: vec![vec![3; 5], vec![4]] }
    }

    #[test]
    fn the_bytes_are_pinned() {
        let bytes = some().encode();
        let body = [
            &hex::encode(START),
            &"01".repeat(32),
            &"02".repeat(32),
            "0200000000000000",
            "0500000000000000",
            "0303030303",
            "0100000000000000",
            "04",
        ];
        assert_eq!(hex::encode(&bytes[..bytes.len() - 32]), body.concat());
        assert_eq!(Waiting::decode(&bytes), Ok(some()));
        let none = Waiting { records: Vec::new(), ..some() };
        assert_eq!(Waiting::decode(&none.encode()), Ok(none));
    }

    #[test]
    fn every_bit_and_every_byte_counts() {
        let bytes = some().encode();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                assert!(Waiting::decode(&changed).is_err(), "bit {bit} of byte {at}");
            }
            assert!(Waiting::decode(&bytes[..at]).is_err(), "cut after {at}");
        }
        assert!(Waiting::decode(&[bytes, vec![0]].concat()).is_err());
    }

    #[test]
    fn a_checksum_does_not_excuse_lengths_that_do_not_add_up() {
        let good = some().encode();
        let body = &good[..good.len() - 32];
        let count_at = START.len() + 64;
        for (at, value) in
            [(count_at, 1_u64), (count_at, 3), (count_at, u64::MAX), (count_at + 8, u64::MAX), (count_at + 8, 9_000)]
        {
            let mut changed = body.to_vec();
            changed[at..at + 8].copy_from_slice(&value.to_le_bytes());
            let checksum = Digest::of(&[&changed]);
            changed.extend(checksum.0);
            assert!(matches!(Waiting::decode(&changed), Err(WaitingError::Malformed { .. })), "{value} at {at}");
        }
    }
}
