//! `certificates`: the votes that made a block final, as this node saw them.
//!
//! ```text
//!   key    height u64, big-endian
//!   value  codec(Certificate): height u64 | round u32 | block 32 | count u64 | count * (key id 32 | signature 64)
//! ```
//!
//! Certificates differ between nodes, so they stand apart from what every node stores alike.

use writ_proto::certificate::Certificate;
use writ_proto::codec;

use super::{StoreError, Table, decode};

pub(crate) fn key(height: u64) -> [u8; 8] {
    height.to_be_bytes()
}

pub(crate) fn value(certificate: &Certificate) -> Vec<u8> {
    codec::encode(certificate)
}

pub(crate) fn read(height: u64, bytes: &[u8]) -> Result<Certificate, StoreError> {
    decode::<_, { Certificate::BYTES_MAX }>(Table::Certificates, height, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use writ_proto::hash::Digest;
    use writ_proto::key::{KeyId, Signature};

    #[test]
    fn the_bytes_are_pinned() {
        let signatures = vec![(KeyId([1; 32]), Signature([2; 64]))];
        let certificate = Certificate { height: 3, round: 4, block: Digest([5; 32]), signatures };
        let bytes = value(&certificate);
        let golden =
            ["030000000000000004000000", &"05".repeat(32), "0100000000000000", &"01".repeat(32), &"02".repeat(64)];
        assert_eq!(hex::encode(&bytes), golden.concat());
        assert_eq!(read(3, &bytes).unwrap(), certificate);
        assert!(read(3, &bytes[..bytes.len() - 1]).is_err());
    }

    #[test]
    fn the_largest_certificate_reads_back() {
        let most = writ_proto::limits::GENESIS_MEMBERS_MAX;
        let signatures = (0..most).map(|n| (KeyId([n as u8; 32]), Signature([0; 64]))).collect();
        let certificate = Certificate { height: 3, round: 4, block: Digest::ZERO, signatures };
        assert_eq!(read(3, &value(&certificate)).unwrap(), certificate);
    }
}
