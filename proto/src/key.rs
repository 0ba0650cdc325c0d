//! Strict Ed25519 keys and signatures.
//!
//! Whether a signature is valid is consensus-critical, so there is exactly one check,
//! [`OpenedKey::verify`] (and [`PublicKey::verify`], which reads the point first), with exactly one rule: ed25519-dalek's `verify_strict`, one signature at a
//! time. Batch verification is never used: it disagrees with single verification on crafted keys.
//! A key enters the ledger only through [`PublicKey::admit`]: canonical, not weak, torsion-free.
//! See `docs/decisions/0001-encoding-and-signed-bytes.md`.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use crate::hash::{Digest, Domain, serde_as_hex_or_bytes};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};

/// Why a public key is not admitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not 64 hexadecimal digits.
    #[error("a public key is 64 lower-case hexadecimal digits, found {found} characters or another letter")]
    Malformed {
        /// How many characters there were.
        found: usize,
    },
    /// Not a point of the curve in its one canonical encoding.
    #[error("the public key is not a canonically encoded curve point")]
    NotCanonical,
    /// A key of small order: one signature would be valid for many messages.
    #[error("the public key is weak (of small order)")]
    Weak,
    /// A point with a torsion component: verifiers of other libraries would disagree about it.
    #[error("the public key has a torsion component")]
    Torsion,
    /// The proof of possession is not a signature of that key over the expected statement.
    #[error("the proof of possession does not fit the key")]
    Possession,
}

/// A signature does not fit its key and message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not fit the key and the signed bytes")]
pub struct BadSignature;

/// The 32 bytes of an Ed25519 public key.
///
/// Any 32 bytes can be held; only [`PublicKey::admit`] says whether they are a key we accept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

/// The id under which a key's signatures stand on a record: a tagged hash of the key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 32]);

/// An Ed25519 signature: 64 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

impl PublicKey {
    /// The id of this key.
    pub fn id(&self) -> KeyId {
        KeyId(Domain::KeyId.hash(&[&self.0]).0)
    }

    /// Whether this key may enter the ledger: a canonical encoding of a point that is neither weak nor
    /// has a torsion component.
    pub fn admit(&self) -> Result<(), KeyError> {
        let key = VerifyingKey::from_bytes(&self.0).map_err(|_| KeyError::NotCanonical)?;
        // Decompression accepts y >= p; the round trip does not.
        if key.to_edwards().compress().to_bytes() != self.0 {
            return Err(KeyError::NotCanonical);
        }
        if key.is_weak() {
            return Err(KeyError::Weak);
        }
        if !key.to_edwards().is_torsion_free() {
            return Err(KeyError::Torsion);
        }
        Ok(())
    }

    /// Admits this key together with its proof of possession for chain `chain`
    /// (32 zero bytes in a genesis, whose hash is not known yet).
    pub fn admit_possessed(&self, chain: &Digest, possession: &Signature) -> Result<(), KeyError> {
        self.admit()?;
        self.verify(&possession_bytes(chain, self), possession).map_err(|_| KeyError::Possession)
    }

    /// The one signature check of the protocol: strict, single.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        self.open()?.verify(message, signature)
    }

    /// The key as a point, for who checks many signatures with it: reading the point is a tenth of a check.
    ///
    /// # Errors
    /// If the bytes are no point; then no signature fits.
    pub fn open(&self) -> Result<OpenedKey, BadSignature> {
        VerifyingKey::from_bytes(&self.0).map(OpenedKey).map_err(|_| BadSignature)
    }
}

/// A public key whose point is read: checks what [`PublicKey::verify`] checks.
#[derive(Clone, Copy, Debug)]
pub struct OpenedKey(VerifyingKey);

impl OpenedKey {
    /// The one signature check of the protocol: strict, single.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        self.0.verify_strict(message, &signature).map_err(|_| BadSignature)
    }
}

/// An Ed25519 key pair; the secret is erased from memory when dropped.
///
/// There is no public `sign(bytes)`: each thing that is signed has a method or function of its own,
/// which goes through [`SecretKey::sign_in`] with bytes that start with that thing's [`Domain`] tag.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// The key pair of a 32-byte seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The seed, to be stored. Handle with care.
    pub fn to_seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs `message`, which must start with the tag of `domain`.
    ///
    /// # Panics
    /// If it does not: signing under the wrong tag would defeat the separation of purposes.
    pub fn sign_in(&self, domain: Domain, message: &[u8]) -> Signature {
        assert!(message.starts_with(domain.tag()), "signed bytes start with their domain tag");
        Signature(self.0.sign(message).to_bytes())
    }

    /// Signs the text of a note, whose form C2SP fixes without a tag of ours. Only for
    /// [`crate::checkpoint::Checkpoint::sign`]: such a text has no zero byte, with which each of our tags ends.
    pub(crate) fn sign_note(&self, text: &[u8]) -> Signature {
        Signature(self.0.sign(text).to_bytes())
    }

    /// The proof that whoever presents this key holds its secret, for chain `chain`
    /// (32 zero bytes in a genesis).
    pub fn prove_possession(&self, chain: &Digest) -> Signature {
        self.sign_in(Domain::Possession, &possession_bytes(chain, &self.public()))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public())
    }
}

fn possession_bytes(chain: &Digest, key: &PublicKey) -> alloc::vec::Vec<u8> {
    [Domain::Possession.tag(), &chain.0, &key.0].concat()
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let digest: Digest = text.parse().map_err(|_| KeyError::Malformed { found: text.chars().count() })?;
        Ok(Self(digest.0))
    }
}

impl KeyId {
    /// The first eight hexadecimal digits, for logs.
    pub fn to_short(&self) -> String {
        hex::encode(&self.0[..4])
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", hex::encode(self.0))
    }
}

serde_as_hex_or_bytes!(PublicKey, 32);
serde_as_hex_or_bytes!(KeyId, 32);
serde_as_hex_or_bytes!(Signature, 64);

#[cfg(test)]
mod tests {
    use super::*;

    fn hex32(text: &str) -> [u8; 32] {
        hex::decode(text).unwrap().try_into().unwrap()
    }

    /// A point of order eight.
    const SMALL: &str = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a";

    #[test]
    fn only_a_canonical_key_of_full_order_is_admitted() {
        let honest = SecretKey::from_seed(&[1; 32]).public();
        assert_eq!(honest.admit(), Ok(()));
        assert_eq!(PublicKey(hex32(SMALL)).admit(), Err(KeyError::Weak));
        // y = p + 1 is the identity's y, written a second way.
        let mut again = [0xff; 32];
        (again[0], again[31]) = (0xee, 0x7f);
        assert_eq!(PublicKey(again).admit(), Err(KeyError::NotCanonical));
        let point = |key: &[u8; 32]| VerifyingKey::from_bytes(key).unwrap().to_edwards();
        let mixed = PublicKey((point(&honest.0) + point(&hex32(SMALL))).compress().to_bytes());
        assert_eq!(mixed.admit(), Err(KeyError::Torsion));
    }

    #[test]
    fn a_key_of_small_order_signs_nothing() {
        // The identity as key and as R, and S = 0, satisfies the plain equation for every message.
        let mut identity = [0; 32];
        identity[0] = 1;
        let mut forged = [0; 64];
        forged[0] = 1;
        assert_eq!(PublicKey(identity).verify(b"anything", &Signature(forged)), Err(BadSignature));
    }

    #[test]
    fn a_proof_of_possession_is_for_one_key_and_one_chain() {
        let (key, other) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]));
        let (here, there) = (Digest([1; 32]), Digest([2; 32]));
        let proof = key.prove_possession(&here);
        assert_eq!(key.public().admit_possessed(&here, &proof), Ok(()));
        assert_eq!(key.public().admit_possessed(&there, &proof), Err(KeyError::Possession));
        assert_eq!(other.public().admit_possessed(&here, &proof), Err(KeyError::Possession));
    }
}
