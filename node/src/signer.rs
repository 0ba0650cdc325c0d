//! The engine's signer: the sign guard, asked in the engine's words. Where it refuses a vote because another was signed
//! for its step, that one is said again, if it may be ([`SignGuard::said_instead`]).

use writ_engine::{PeerClaim, Refusing, Said, SignRefused, Signed, VoteSigner};
use writ_proto::certificate::{Proposal, Vote, VoteKind};
use writ_proto::key::{PublicKey, Signature};

use crate::guard::{GuardFileError, Learned, SignGuard};

/// Signs for the engine, through the guard.
pub struct Signer(pub SignGuard);

impl Signer {
    /// Lets the guard know what others have kept.
    pub(crate) fn learn(&self, signed: &Signed) -> Result<Learned, GuardFileError> {
        match &signed.said {
            Said::Vote(vote) => self.0.learn_vote(vote, signed.signature),
            Said::Proposal(proposal) => self.0.learn_proposal(proposal, signed.signature),
        }
    }
}

fn refused(what: String, reason: crate::guard::SignRefused) -> SignRefused {
    // The cause says which disk or which earlier signature stands behind it.
    let because = match reason {
        crate::guard::SignRefused::NotKept(_) => Refusing::Disk,
        _ => Refusing::Guard,
    };
    let reason = format!("{:#}", anyhow::Error::new(reason));
    SignRefused { what, reason, because }
}

impl VoteSigner for Signer {
    fn public_key(&self) -> PublicKey {
        self.0.public_key()
    }

    fn sign_vote(&self, vote: &Vote) -> Result<(Vote, Signature), SignRefused> {
        let kind = match vote.kind {
            VoteKind::Prevote => "prevote",
            VoteKind::Precommit => "precommit",
        };
        let what = || format!("{kind} of height {}, round {}", vote.height, vote.round);
        let (given, signature) = match self.0.sign_vote(vote) {
            Ok(signature) => (*vote, signature),
            Err(reason @ crate::guard::SignRefused::Conflict { .. }) => {
                let (earlier, signature) = self.0.said_instead(vote).ok_or_else(|| refused(what(), reason))?;
                tracing::info!(wanted = ?vote.value, "says again what it signed before as {}", what());
                (earlier, signature)
            }
            Err(reason) => return Err(refused(what(), reason)),
        };
        tracing::debug!(key = %vote.voter, "signed {}: {:?}", what(), given.value);
        Ok((given, signature))
    }

    fn sign_proposal(&self, proposal: &Proposal) -> Result<Signature, SignRefused> {
        let what = || format!("proposal of height {}, round {}", proposal.height, proposal.round);
        let signature = self.0.sign_proposal(proposal).map_err(|reason| refused(what(), reason))?;
        let Proposal { value, valid_round, .. } = proposal;
        tracing::debug!(key = %proposal.proposer, "signed {}: {value}, valid {valid_round:?}", what());
        Ok(signature)
    }

    fn sign_peer_claim(&self, claim: &PeerClaim) -> Result<Signature, SignRefused> {
        Ok(self.0.sign_peer_claim(&claim.peer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use writ_proto::hash::Digest;
    use writ_proto::key::SecretKey;

    #[test]
    fn a_vote_that_conflicts_gives_way_to_the_one_that_was_signed_or_is_refused() {
        let (chain, key) = (Digest([7; 32]), SecretKey::from_seed(&[1; 32]));
        let dir = tempfile::tempdir().unwrap();
        SignGuard::create(dir.path(), &chain, &key.public()).unwrap();
        let signer = Signer(SignGuard::open(dir.path(), &chain, key.clone()).unwrap());
        let vote = |kind, value: Option<u8>| Vote {
            kind,
            height: 3,
            round: 0,
            value: value.map(|n| Digest([n; 32])),
            voter: key.public().id(),
        };
        let (prevote, precommit) = (vote(VoteKind::Prevote, None), vote(VoteKind::Precommit, Some(1)));
        for signed in [prevote, precommit] {
            assert_eq!(signer.sign_vote(&signed).unwrap().0, signed);
        }
        let (given, signature) = signer.sign_vote(&vote(VoteKind::Prevote, Some(1))).unwrap();
        assert_eq!(given, prevote);
        assert!(signer.public_key().verify(&given.signed_bytes(&chain), &signature).is_ok());
        let refusal = signer.sign_vote(&vote(VoteKind::Precommit, None)).unwrap_err();
        assert_eq!(refusal.what, "precommit of height 3, round 0");
    }
}
