//! Column families: one file each, with its key and its value.
//!
//! Keys are written by hand, integers big-endian, so that the order of bytes is the order of numbers.
//! Values go through `proto::codec`, so they are canonical and bounded like everything else; leaves, which
//! have their own encoding, stand as they are. Each file pins its bytes in a test. A change here is another
//! [`super::STORAGE_FORMAT`].

pub(crate) mod blocks;
pub(crate) mod certificates;
pub(crate) mod evidence;
pub(crate) mod ids;
pub(crate) mod leaves;
pub(crate) mod meta;
pub(crate) mod nodes;
pub(crate) mod places;
pub(crate) mod pooled;
pub(crate) mod refused;
pub(crate) mod undecided;

use serde::Serialize;
use serde::de::DeserializeOwned;
use writ_proto::codec;
use writ_proto::hash::Digest;

use super::StoreError;

/// A column family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Table {
    Meta,
    Blocks,
    Certificates,
    Leaves,
    Places,
    Ids,
    Nodes,
    Undecided,
    Pooled,
    Refused,
    Evidence,
}

impl Table {
    pub(crate) const ALL: [Self; 11] = [
        Self::Meta,
        Self::Blocks,
        Self::Certificates,
        Self::Leaves,
        Self::Places,
        Self::Ids,
        Self::Nodes,
        Self::Undecided,
        Self::Pooled,
        Self::Refused,
        Self::Evidence,
    ];

    /// The column family's name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Blocks => "blocks",
            Self::Certificates => "certificates",
            Self::Leaves => "leaves",
            Self::Places => "places",
            Self::Ids => "ids",
            Self::Nodes => "nodes",
            Self::Undecided => "undecided",
            Self::Pooled => "pooled",
            Self::Refused => "refused",
            Self::Evidence => "evidence",
        }
    }
}

/// An entry of `table` that is not what was stored.
pub(crate) fn damaged(table: Table, key: impl ToString, detail: impl ToString) -> StoreError {
    StoreError::Damaged { table: table.name(), key: key.to_string(), detail: detail.to_string() }
}

/// Reads a value of at most `MAX` bytes; `key` is for the error.
fn decode<T: Serialize + DeserializeOwned, const MAX: usize>(
    table: Table,
    key: impl ToString,
    bytes: &[u8],
) -> Result<T, StoreError> {
    codec::decode::<T, MAX>(bytes).map_err(|error| damaged(table, key, error))
}

/// Reads a digest that stands alone.
fn digest(table: Table, key: impl ToString, bytes: &[u8]) -> Result<Digest, StoreError> {
    match bytes.try_into() {
        Ok(bytes) => Ok(Digest(bytes)),
        Err(_) => Err(damaged(table, key, format!("{} bytes, expected 32", bytes.len()))),
    }
}

/// Reads a big-endian number that is a whole key.
fn number(table: Table, key: &[u8]) -> Result<u64, StoreError> {
    match key.try_into() {
        Ok(bytes) => Ok(u64::from_be_bytes(bytes)),
        Err(_) => Err(damaged(table, hex::encode(key), format!("a key of {} bytes, expected 8", key.len()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn column_families_have_names_of_their_own() {
        for (at, a) in Table::ALL.iter().enumerate() {
            assert!(Table::ALL[at + 1..].iter().all(|b| b.name() != a.name()), "{a:?}");
            assert_ne!(a.name(), "default", "RocksDB's own");
        }
    }

    #[test]
    fn the_order_of_keys_is_the_order_of_numbers() {
        let numbers = [0, 1, 255, 256, 65_535, 65_536, u64::MAX - 1, u64::MAX];
        for pair in numbers.windows(2) {
            assert!(leaves::key(pair[0]) < leaves::key(pair[1]), "{pair:?}");
            assert!(blocks::key(pair[0]) < blocks::key(pair[1]), "{pair:?}");
            assert!(undecided::key(pair[0], &Digest([255; 32])) < undecided::key(pair[1], &Digest::ZERO), "{pair:?}");
        }
        assert_eq!(number(Table::Leaves, &leaves::key(0x0102_0304_0506_0708)).unwrap(), 0x0102_0304_0506_0708);
        assert!(matches!(number(Table::Leaves, &[0; 7]), Err(StoreError::Damaged { table: "leaves", .. })));
    }
}
