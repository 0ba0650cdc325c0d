//! Digests, and one domain tag for each purpose.
//!
//! Everything hashed or signed starts with a [`Domain`] tag of its own, so bytes made for one purpose
//! can never be read as bytes of another. The only exceptions are the Merkle tree (whose one-byte
//! prefixes are fixed by RFC 6962) and the leaves of the log, which start with a tag anyway.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use sha2::{Digest as _, Sha256};

/// A SHA-256 digest: 32 bytes, hex in text.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

/// A digest is 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 lower-case hexadecimal digits, found {found} characters or another letter")]
pub struct DigestError {
    /// How many characters there were.
    pub found: usize,
}

impl Digest {
    /// Thirty-two zero bytes: where a digest has no meaning yet.
    pub const ZERO: Self = Self([0; 32]);

    /// SHA-256 of `parts`, one after another, without any tag. Only the Merkle tree uses it directly.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    /// The first eight hexadecimal digits, for logs.
    pub fn to_short(&self) -> String {
        hex::encode(&self.0[..4])
    }
}

/// Implements serde for a newtype over `[u8; N]`: hex where people read it, the bare bytes elsewhere.
macro_rules! serde_as_hex_or_bytes {
    ($type:ty, $len:literal) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    return serializer.serialize_str(&hex::encode(self.0));
                }
                // serde knows tuples of any length, but arrays only up to 32.
                use serde::ser::SerializeTuple as _;
                let mut tuple = serializer.serialize_tuple($len)?;
                for byte in &self.0 {
                    tuple.serialize_element(byte)?;
                }
                tuple.end()
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl<'de> serde::de::Visitor<'de> for Visitor {
                    type Value = [u8; $len];

                    fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                        write!(f, "{} bytes", $len)
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                        let mut bytes = [0; $len];
                        let lower = !text.bytes().any(|b| b.is_ascii_uppercase());
                        match hex::decode_to_slice(text, &mut bytes) {
                            Ok(()) if lower => Ok(bytes),
                            _ => Err(E::custom(format_args!("expected {} lower-case hexadecimal digits", 2 * $len))),
                        }
                    }

                    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                        let mut bytes = [0; $len];
                        for (at, byte) in bytes.iter_mut().enumerate() {
                            *byte = seq.next_element()?.ok_or_else(|| serde::de::Error::invalid_length(at, &self))?;
                        }
                        Ok(bytes)
                    }
                }
                if deserializer.is_human_readable() {
                    deserializer.deserialize_str(Visitor).map(Self)
                } else {
                    deserializer.deserialize_tuple($len, Visitor).map(Self)
                }
            }
        }
    };
}
pub(crate) use serde_as_hex_or_bytes;

serde_as_hex_or_bytes!(Digest, 32);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let mut bytes = [0; 32];
        let lower = !text.bytes().any(|b| b.is_ascii_uppercase());
        match hex::decode_to_slice(text, &mut bytes) {
            Ok(()) if lower => Ok(Self(bytes)),
            _ => Err(DigestError { found: text.chars().count() }),
        }
    }
}

/// What a hash or a signature is for. One tag per purpose, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Domain {
    /// Start of a record's signed bytes; the kind's byte follows.
    Record,
    /// The id of a record.
    RecordId,
    /// The id of an access entry that a set makes.
    Member,
    /// The chain id: hash of the genesis.
    Genesis,
    /// The id of a public key.
    KeyId,
    /// A key's proof of possession.
    Possession,
    /// A block's hash: hash of its header.
    Block,
    /// Start of a commit leaf.
    CommitLeaf,
    /// What a header's `result` hashes.
    Outcome,
    /// The hash of a validator set.
    ValidatorSet,
    /// A consensus vote.
    Vote,
    /// A consensus proposal.
    Proposal,
    /// The nonce of an imported row.
    ImportNonce,
    /// A validator's claim to a transport key.
    PeerClaim,
}

impl Domain {
    /// Every tag, for the test that they differ and for `docs/format.md`.
    pub const ALL: [Self; 14] = [
        Self::Record,
        Self::RecordId,
        Self::Member,
        Self::Genesis,
        Self::KeyId,
        Self::Possession,
        Self::Block,
        Self::CommitLeaf,
        Self::Outcome,
        Self::ValidatorSet,
        Self::Vote,
        Self::Proposal,
        Self::ImportNonce,
        Self::PeerClaim,
    ];

    /// The tag's bytes: ASCII, ended by a zero byte, so no tag is the start of another.
    pub const fn tag(self) -> &'static [u8] {
        match self {
            Self::Record => b"writ/record/v1\0",
            Self::RecordId => b"writ/id/v1\0",
            Self::Member => b"writ/member/v1\0",
            Self::Genesis => b"writ/genesis/v1\0",
            Self::KeyId => b"writ/key/v1\0",
            Self::Possession => b"writ/possession/v1\0",
            Self::Block => b"writ/block/v1\0",
            // The first byte differs from a record's: a leaf's first byte tells which it is.
            Self::CommitLeaf => b"commit/writ/v1\0",
            Self::Outcome => b"writ/result/v1\0",
            Self::ValidatorSet => b"writ/validators/v1\0",
            Self::Vote => b"writ/vote/v1\0",
            Self::Proposal => b"writ/proposal/v1\0",
            Self::ImportNonce => b"writ/import/v1\0",
            Self::PeerClaim => b"writ/peer/v1\0",
        }
    }

    /// SHA-256 of this tag and `parts`, one after another. The caller makes the parts unambiguous.
    pub fn hash(self, parts: &[&[u8]]) -> Digest {
        let mut hasher = Sha256::new();
        hasher.update(self.tag());
        for part in parts {
            hasher.update(part);
        }
        Digest(hasher.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn no_tag_is_the_start_of_another() {
        for (i, a) in Domain::ALL.iter().enumerate() {
            for b in &Domain::ALL[i + 1..] {
                assert!(!a.tag().starts_with(b.tag()) && !b.tag().starts_with(a.tag()), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn a_commit_leaf_and_a_record_differ_in_their_first_byte() {
        assert_ne!(Domain::CommitLeaf.tag()[0], Domain::Record.tag()[0]);
    }

    #[test]
    fn digests_read_back_and_only_in_lower_case() {
        let digest = Domain::Block.hash(&[b"x"]);
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert!(digest.to_string().to_uppercase().parse::<Digest>().is_err());
        assert!("00".parse::<Digest>().is_err());
    }
}
