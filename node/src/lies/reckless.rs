//! A signer without a guard: it signs anything, and keeps no note of it.

use writ_engine::{PeerClaim, SignRefused, VoteSigner};
use writ_proto::certificate::{Proposal, Vote};
use writ_proto::hash::{Digest, Domain};
use writ_proto::key::{PublicKey, SecretKey, Signature};

/// See the module's doc.
pub(super) struct Reckless {
    chain: Digest,
    key: SecretKey,
}

impl Reckless {
    pub(super) fn new(chain: Digest, key: SecretKey) -> Self {
        Self { chain, key }
    }
}

impl VoteSigner for Reckless {
    fn public_key(&self) -> PublicKey {
        self.key.public()
    }

    fn sign_vote(&self, vote: &Vote) -> Result<(Vote, Signature), SignRefused> {
        Ok((*vote, self.key.sign_in(Domain::Vote, &vote.signed_bytes(&self.chain))))
    }

    fn sign_proposal(&self, proposal: &Proposal) -> Result<Signature, SignRefused> {
        Ok(self.key.sign_in(Domain::Proposal, &proposal.signed_bytes(&self.chain)))
    }

    fn sign_peer_claim(&self, claim: &PeerClaim) -> Result<Signature, SignRefused> {
        Ok(self.key.sign_in(Domain::PeerClaim, &claim.signed_bytes(&self.chain)))
    }
}
