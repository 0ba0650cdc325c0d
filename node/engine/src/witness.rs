//! What validators were seen to sign.
//!
//! A validator whose home was rolled back does not know what it has signed since. The others do: each statement
//! whose signature the engine checks passes here, and the latest of each validator is kept. Whoever starts asks the
//! others for its own, and signs nothing before that. The same shows a validator that a second process signs with its
//! key.
//!
//! Only what the engine has checked comes here, and it checks statements of validators only: one statement for each
//! key that ever was a validator while the process runs. It is lost when the process ends, but for what
//! certificates of decided blocks hold ([`Witness::note`] is for them).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use malachitebft_core_types::{ValidatorProof, VoteExtensionScope};
use malachitebft_signing::{Error, VerificationResult, Verifier};
use serde::{Deserialize, Serialize};
use writ_proto::certificate::{Proposal, Vote, VoteKind};
use writ_proto::hash::Digest;
use writ_proto::key::{KeyId, PublicKey, Signature};

use crate::context::{self, Ctx};
use crate::signing::{Checker, Sig};

/// What a validator says in consensus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Said {
    /// A vote.
    Vote(Vote),
    /// A proposal.
    Proposal(Proposal),
}

impl Said {
    /// The id of the key that says it.
    pub fn author(&self) -> KeyId {
        match self {
            Self::Vote(vote) => vote.voter,
            Self::Proposal(proposal) => proposal.proposer,
        }
    }

    /// The bytes that its author signs on chain `chain`.
    pub fn signed_bytes(&self, chain: &Digest) -> Vec<u8> {
        match self {
            Self::Vote(vote) => vote.signed_bytes(chain),
            Self::Proposal(proposal) => proposal.signed_bytes(chain),
        }
    }

    /// Height, round, and 0 to 2 for proposal, prevote and precommit: the order in which they are signed.
    fn step(&self) -> (u64, u32, u8) {
        match self {
            Self::Proposal(proposal) => (proposal.height, proposal.round, 0),
            Self::Vote(vote) => (vote.height, vote.round, if vote.kind == VoteKind::Prevote { 1 } else { 2 }),
        }
    }
}

/// A statement with its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// What is said.
    pub said: Said,
    /// Its author's signature.
    pub signature: Signature,
}

impl Signed {
    /// Whether `key` signed it on chain `chain`, in its own name. Costs a signature check.
    pub fn is_by(&self, key: &PublicKey, chain: &Digest) -> bool {
        self.said.author() == key.id() && key.verify(&self.said.signed_bytes(chain), &self.signature).is_ok()
    }
}

/// The latest statement of each validator, as far as it was seen. Clones share what they know.
#[derive(Clone, Debug, Default)]
pub struct Witness(Arc<Mutex<BTreeMap<KeyId, Signed>>>);

impl Witness {
    /// Notes a statement whose signature was checked.
    pub fn note(&self, signed: Signed) {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = latest.entry(signed.said.author()).or_insert(signed);
        if known.said.step() < signed.said.step() {
            *known = signed;
        }
    }

    /// The latest of one key that was seen.
    pub fn latest(&self, author: &KeyId) -> Option<Signed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(author).copied()
    }
}

/// Checks signatures for the engine, and lets the witness see what was good.
#[derive(Clone, Debug)]
pub(crate) struct Watchful {
    pub(crate) checker: Checker,
    pub(crate) witness: Witness,
}

impl Watchful {
    fn settle(&self, said: Option<Said>, signature: &Sig, is_good: bool) -> Result<VerificationResult, Error> {
        if let (Some(said), true) = (said, is_good) {
            self.witness.note(Signed { said, signature: signature.0 });
        }
        Ok(VerificationResult::from_bool(is_good))
    }
}

#[async_trait]
impl Verifier<Ctx> for Watchful {
    async fn verify_signed_vote(
        &self,
        vote: &context::Vote,
        signature: &Sig,
        key: &PublicKey,
    ) -> Result<VerificationResult, Error> {
        let said = vote.statement().ok().map(Said::Vote);
        self.settle(said, signature, self.checker.vote(vote, signature, key))
    }

    async fn verify_signed_proposal(
        &self,
        proposal: &context::Proposal,
        signature: &Sig,
        key: &PublicKey,
    ) -> Result<VerificationResult, Error> {
        let said = proposal.statement().ok().map(Said::Proposal);
        self.settle(said, signature, self.checker.proposal(proposal, signature, key))
    }

    // Nobody of ours extends votes, so no extension is one.
    async fn verify_signed_vote_extension(
        &self,
        _: &VoteExtensionScope<Ctx>,
        _: &(),
        _: &Sig,
        _: &PublicKey,
    ) -> Result<VerificationResult, Error> {
        Ok(VerificationResult::Invalid)
    }

    async fn verify_validator_proof(&self, proof: &ValidatorProof<Ctx>) -> Result<VerificationResult, Error> {
        Ok(VerificationResult::from_bool(self.checker.peer_claim(proof).is_some()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use writ_proto::hash::Domain;
    use writ_proto::key::SecretKey;

    const CHAIN: Digest = Digest([9; 32]);

    fn vote(by: &SecretKey, kind: VoteKind, height: u64, round: u32) -> Signed {
        let vote = Vote { kind, height, round, value: None, voter: by.public().id() };
        Signed { said: Said::Vote(vote), signature: by.sign_in(Domain::Vote, &vote.signed_bytes(&CHAIN)) }
    }

    #[test]
    fn the_latest_of_each_key_is_kept() {
        let (one, two) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]));
        let witness = Witness::default();
        assert_eq!(witness.latest(&one.public().id()), None);
        let latest = vote(&one, VoteKind::Prevote, 5, 2);
        let before = [
            vote(&one, VoteKind::Precommit, 5, 1),
            vote(&one, VoteKind::Precommit, 4, 7),
            vote(&two, VoteKind::Precommit, 9, 0),
        ];
        [before[0], latest, before[1], before[2]].into_iter().for_each(|signed| witness.note(signed));
        assert_eq!(witness.latest(&one.public().id()), Some(latest));
        assert_eq!(witness.clone().latest(&two.public().id()), Some(before[2]));
        let later = vote(&one, VoteKind::Precommit, 5, 2);
        witness.note(later);
        assert_eq!(witness.latest(&one.public().id()), Some(later));
    }

    #[tokio::test]
    async fn only_what_is_signed_well_is_seen() {
        let key = SecretKey::from_seed(&[1; 32]);
        let watchful = Watchful { checker: Checker { chain: CHAIN }, witness: Witness::default() };
        let signed = vote(&key, VoteKind::Prevote, 5, 2);
        let Said::Vote(statement) = signed.said else { panic!("a vote") };
        let (heard, mut forged) = (context::Vote::from(statement), signed.signature);
        forged.0[7] ^= 1;
        let verdict = watchful.verify_signed_vote(&heard, &Sig(forged), &key.public()).await.unwrap();
        assert!(matches!(verdict, VerificationResult::Invalid));
        assert_eq!(watchful.witness.latest(&key.public().id()), None);
        let verdict = watchful.verify_signed_vote(&heard, &Sig(signed.signature), &key.public()).await.unwrap();
        assert!(matches!(verdict, VerificationResult::Valid));
        assert_eq!(watchful.witness.latest(&key.public().id()), Some(signed));
    }

    #[test]
    fn a_statement_is_its_authors_on_its_chain() {
        let (key, other) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]));
        let signed = vote(&key, VoteKind::Prevote, 5, 2);
        assert!(signed.is_by(&key.public(), &CHAIN));
        assert!(!signed.is_by(&other.public(), &CHAIN) && !signed.is_by(&key.public(), &Digest([8; 32])));
    }
}
