//! The engine's signer: the sign guard, asked in the engine's words.

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

    fn sign_vote(&self, vote: &Vote) -> Result<Signature, SignRefused> {
        let kind = match vote.kind {
            VoteKind::Prevote => "prevote",
            VoteKind::Precommit => "precommit",
        };
        let what = || format!("{kind} of height {}, round {}", vote.height, vote.round);
        let signature = self.0.sign_vote(vote).map_err(|reason| refused(what(), reason))?;
        tracing::debug!(key = %vote.voter, "signed {}: {:?}", what(), vote.value);
        Ok(signature)
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
