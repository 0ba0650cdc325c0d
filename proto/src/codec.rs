//! The canonical encoding: one value, one byte string.
//!
//! bincode 2 with fixed-width little-endian integers, behind this module alone. bincode does not
//! promise that two byte strings never decode to one value, so [`decode`] checks it: what does not
//! encode back to the same bytes is refused. Lengths are bounded before anything is allocated, the
//! whole input must be consumed, and encoded types hold no maps and no floats.
//!
//! The layout, for readers in other languages (`docs/format.md` has the tables):
//!
//! | value | bytes |
//! |---|---|
//! | `u8`, `u16`, `u32`, `u64` | 1, 2, 4, 8, little-endian |
//! | `bool` | one byte, 0 or 1 |
//! | text, bytes, list | length as `u64`, then the items |
//! | optional | one byte 0, or 1 and the value |
//! | choice | the case's number as `u32`, then its members |
//! | digest, key, signature | its 32 or 64 bytes, without a length |

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

use bincode::error::DecodeError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Why bytes are not the canonical encoding of a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// More bytes than the bound.
    #[error("{found} bytes, at most {max} are allowed")]
    TooLong {
        /// How many bytes there were.
        found: usize,
        /// The bound.
        max: usize,
    },
    /// The bytes do not decode.
    #[error("not decodable: {reason}")]
    Malformed {
        /// What the decoder said.
        reason: String,
    },
    /// Bytes are left over.
    #[error("{found} bytes follow the end of the value")]
    Trailing {
        /// How many.
        found: usize,
    },
    /// The bytes decode, but are not the one encoding of their value.
    #[error("not the canonical encoding of its value")]
    NotCanonical,
}

/// A value's canonical encoding.
///
/// # Panics
/// If the type cannot be encoded at all (a map of unknown length, say): no type of the protocol is.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let config = bincode::config::standard().with_fixed_int_encoding();
    bincode::serde::encode_to_vec(value, config).expect("types of the protocol can be encoded")
}

/// Decodes a whole byte string of at most `MAX` bytes.
pub fn decode<T: Serialize + DeserializeOwned, const MAX: usize>(bytes: &[u8]) -> Result<T, CodecError> {
    let (value, used) = decode_prefix::<T, MAX>(bytes)?;
    if used != bytes.len() {
        return Err(CodecError::Trailing { found: bytes.len() - used });
    }
    Ok(value)
}

/// Decodes a value from the start of `bytes` and says how many bytes it took.
pub fn decode_prefix<T: Serialize + DeserializeOwned, const MAX: usize>(
    bytes: &[u8],
) -> Result<(T, usize), CodecError> {
    if bytes.len() > MAX {
        return Err(CodecError::TooLong { found: bytes.len(), max: MAX });
    }
    let config = bincode::config::standard().with_fixed_int_encoding().with_limit::<MAX>();
    let (value, used): (T, usize) = bincode::serde::decode_from_slice(bytes, config)
        .map_err(|error| CodecError::Malformed { reason: reason(error) })?;
    if encode(&value) != bytes[..used] {
        return Err(CodecError::NotCanonical);
    }
    Ok((value, used))
}

/// What the decoder said, in the words of the format.
fn reason(error: DecodeError) -> String {
    match error {
        DecodeError::UnexpectedEnd { .. } => "the bytes end before the value does".into(),
        DecodeError::LimitExceeded => "a length is beyond the bound".into(),
        DecodeError::Utf8 { .. } => "a text is not UTF-8".into(),
        DecodeError::InvalidBooleanValue(found) => format!("a flag is {found}, expected 0 or 1"),
        DecodeError::UnexpectedVariant { found, .. } => format!("a choice is {found}, which is none of the cases"),
        DecodeError::OtherString(said) => said,
        other => other.to_string(),
    }
}

/// A byte string that travels as one, not as a list of numbers.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Blob(pub Vec<u8>);

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.0.len())
    }
}

impl Serialize for Blob {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }

            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }
        }
        deserializer.deserialize_byte_buf(Visitor).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn a_length_beyond_the_input_is_refused_before_it_is_allocated() {
        let huge = u64::MAX.to_le_bytes();
        assert!(matches!(decode::<String, 64>(&huge), Err(CodecError::Malformed { .. })));
        assert!(matches!(decode::<Vec<u64>, 64>(&huge), Err(CodecError::Malformed { .. })));
        assert!(matches!(decode::<Blob, 64>(&huge), Err(CodecError::Malformed { .. })));
    }

    #[test]
    fn trailing_and_surplus_bytes_are_refused() {
        let mut bytes = encode(&7_u32);
        assert_eq!(decode::<u32, 8>(&bytes), Ok(7));
        bytes.push(0);
        assert_eq!(decode::<u32, 8>(&bytes), Err(CodecError::Trailing { found: 1 }));
        assert_eq!(decode::<u32, 4>(&bytes), Err(CodecError::TooLong { found: 5, max: 4 }));
    }

    #[test]
    fn integers_are_fixed_and_little_endian() {
        assert_eq!(encode(&(1_u8, 0x0203_u16, Some("a"))), vec![1, 3, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, b'a']);
    }

    #[test]
    fn a_flag_is_zero_or_one() {
        assert!(decode::<bool, 8>(&[2]).is_err());
        assert!(decode::<Option<u8>, 8>(&[2, 0]).is_err());
    }
}
