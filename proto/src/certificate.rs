//! The votes that made a block final, and the bytes that validators sign.
//!
//! Consensus itself lives in the engine; what its votes sign is ours, so that an auditor checks a
//! certificate with nothing but this page. Certificates differ between nodes (each keeps the votes that
//! it saw), so they stand beside a block and are never hashed or compared.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::hash::{Digest, Domain};
use crate::key::{KeyId, Signature};
use crate::limits::GENESIS_MEMBERS_MAX;
use crate::record::ValidatorKeys;

/// Which of the two votes of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum VoteKind {
    /// The first vote: this value is good.
    Prevote,
    /// The second vote: a quorum found it good.
    Precommit,
}

/// One validator's vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// First or second.
    pub kind: VoteKind,
    /// The height voted on.
    pub height: u64,
    /// The round within the height, from 0.
    pub round: u32,
    /// The block hash; `None`: for no block in this round.
    pub value: Option<Digest>,
    /// The id of the voting key.
    pub voter: KeyId,
}

impl Vote {
    /// The bytes that the voter signs on chain `chain`.
    pub fn signed_bytes(&self, chain: &Digest) -> Vec<u8> {
        [Domain::Vote.tag(), &chain.0, &codec::encode(self)].concat()
    }

    /// Whether both are of one step: of one voter, kind, height and round. It signs one of them only.
    pub fn is_of_step_of(&self, other: &Self) -> bool {
        Self { value: other.value, ..*self } == *other
    }

    /// Whether it binds its voter in later rounds: a precommit for a block does. Who makes it votes for no other block
    /// afterwards without a reason that came later. A prevote, and a precommit for no block, say nothing about them.
    pub fn binds(&self) -> bool {
        self.kind == VoteKind::Precommit && self.value.is_some()
    }
}

/// One validator's proposal of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The height proposed for.
    pub height: u64,
    /// The round within the height, from 0.
    pub round: u32,
    /// The block hash.
    pub value: Digest,
    /// The round in which a quorum already prevoted for it, for a re-proposal.
    pub valid_round: Option<u32>,
    /// The id of the proposer's voting key.
    pub proposer: KeyId,
}

impl Proposal {
    /// The bytes that the proposer signs on chain `chain`.
    pub fn signed_bytes(&self, chain: &Digest) -> Vec<u8> {
        [Domain::Proposal.tag(), &chain.0, &codec::encode(self)].concat()
    }
}

/// The precommits that made a block final.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The block's height.
    pub height: u64,
    /// The round in which it was decided.
    pub round: u32,
    /// The block hash.
    pub block: Digest,
    /// Who precommitted, and the signatures.
    pub signatures: Vec<(KeyId, Signature)>,
}

/// Why a certificate does not make a block final.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// For another block or height.
    #[error("the certificate is for block {found} at height {height}")]
    OtherBlock {
        /// The block it is for.
        found: Digest,
        /// The height it is for.
        height: u64,
    },
    /// A signer that is no validator of this height.
    #[error("the signer {voter} is no validator at this height")]
    Stranger {
        /// Who signed.
        voter: KeyId,
    },
    /// One validator counted twice.
    #[error("the signer {voter} stands twice")]
    Repeated {
        /// Who signed.
        voter: KeyId,
    },
    /// A signature that does not fit.
    #[error("the signature of {voter} does not fit")]
    BadSignature {
        /// Whose signature.
        voter: KeyId,
    },
    /// Fewer signatures than a quorum.
    #[error("{found} signatures, a quorum is {quorum}")]
    NoQuorum {
        /// How many there are.
        found: usize,
        /// How many there must be.
        quorum: usize,
    },
}

/// How many of `validators` are a quorum: ⌊2n/3⌋ + 1.
pub const fn quorum(validators: usize) -> usize {
    2 * validators / 3 + 1
}

/// How many of `validators` may fail or lie: ⌊(n−1)/3⌋. Of one more, one at least is honest.
pub const fn faulty(validators: usize) -> usize {
    validators.saturating_sub(1) / 3
}

impl Certificate {
    /// The most bytes that a certificate's encoding takes.
    pub const BYTES_MAX: usize = 64 + GENESIS_MEMBERS_MAX * 96;

    /// Whether a quorum of `validators` precommitted the block `block` at `height` on chain `chain`.
    /// Any signature that does not fit refuses the whole. Costs one signature check per signer.
    pub fn verify(
        &self,
        chain: &Digest,
        height: u64,
        block: &Digest,
        validators: &[ValidatorKeys],
    ) -> Result<(), CertificateError> {
        if self.height != height || self.block != *block {
            return Err(CertificateError::OtherBlock { found: self.block, height: self.height });
        }
        for (at, (voter, signature)) in self.signatures.iter().enumerate() {
            if self.signatures[..at].iter().any(|(other, _)| other == voter) {
                return Err(CertificateError::Repeated { voter: *voter });
            }
            let key = validators
                .iter()
                .map(|validator| validator.vote.key)
                .find(|key| key.id() == *voter)
                .ok_or(CertificateError::Stranger { voter: *voter })?;
            let vote =
                Vote { kind: VoteKind::Precommit, height, round: self.round, value: Some(*block), voter: *voter };
            key.verify(&vote.signed_bytes(chain), signature)
                .map_err(|_| CertificateError::BadSignature { voter: *voter })?;
        }
        let quorum = quorum(validators.len());
        if self.signatures.len() < quorum {
            return Err(CertificateError::NoQuorum { found: self.signatures.len(), quorum });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;
    use crate::record::EnrolledKey;

    fn secret(n: u8) -> SecretKey {
        SecretKey::from_seed(&[n; 32])
    }

    fn validator(n: u8) -> ValidatorKeys {
        let enrolled =
            |key: SecretKey| EnrolledKey { key: key.public(), possession: key.prove_possession(&Digest::ZERO) };
        ValidatorKeys {
            name: std::format!("v{n}").parse().unwrap(),
            vote: enrolled(secret(n)),
            checkpoint: enrolled(secret(n + 100)),
        }
    }

    fn signed(chain: Digest, block: Digest, kind: VoteKind, signers: &[u8]) -> Certificate {
        let signatures = signers.iter().map(|n| {
            let voter = secret(*n).public().id();
            let vote = Vote { kind, height: 7, round: 2, value: Some(block), voter };
            (voter, secret(*n).sign_in(Domain::Vote, &vote.signed_bytes(&chain)))
        });
        Certificate { height: 7, round: 2, block, signatures: signatures.collect() }
    }

    #[test]
    fn a_quorum_is_more_than_two_thirds() {
        assert_eq!([1, 2, 3, 4, 5, 6, 7, 10].map(quorum), [1, 2, 3, 3, 4, 5, 5, 7]);
    }

    #[test]
    fn only_a_quorum_of_precommits_for_this_block_on_this_chain_is_final() {
        let validators: Vec<_> = (1..=4).map(validator).collect();
        let (chain, block) = (Digest([1; 32]), Digest([2; 32]));
        let precommits = |signers: &[u8]| signed(chain, block, VoteKind::Precommit, signers);
        let judge = |certificate: &Certificate| certificate.verify(&chain, 7, &block, &validators);
        assert_eq!(judge(&precommits(&[1, 2, 3])), Ok(()));
        assert_eq!(judge(&precommits(&[4, 2, 1, 3])), Ok(()));
        let few = CertificateError::NoQuorum { found: 2, quorum: 3 };
        assert_eq!(judge(&precommits(&[1, 2])), Err(few));
        assert!(matches!(judge(&precommits(&[1, 2, 2])), Err(CertificateError::Repeated { .. })));
        assert!(matches!(judge(&precommits(&[1, 2, 9])), Err(CertificateError::Stranger { .. })));
        let prevotes = signed(chain, block, VoteKind::Prevote, &[1, 2, 3]);
        assert!(matches!(judge(&prevotes), Err(CertificateError::BadSignature { .. })));
        let elsewhere = signed(Digest([9; 32]), block, VoteKind::Precommit, &[1, 2, 3]);
        assert!(matches!(judge(&elsewhere), Err(CertificateError::BadSignature { .. })));
        let other = signed(chain, Digest([3; 32]), VoteKind::Precommit, &[1, 2, 3]);
        assert!(matches!(judge(&other), Err(CertificateError::OtherBlock { .. })));
        let other_round = Certificate { round: 3, ..precommits(&[1, 2, 3]) };
        assert!(matches!(judge(&other_round), Err(CertificateError::BadSignature { .. })));
    }
}
