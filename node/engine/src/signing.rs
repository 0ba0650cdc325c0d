//! Signatures: how the engine asks for them, and how it checks them.
//!
//! The engine never sees a secret key. Whoever holds it implements [`VoteSigner`] and keeps, durably and
//! *before* each signature leaves, what was signed last, so that no two votes for one step ever exist. Asked for
//! another vote than it signed for a step, it may give that one again, and the engine says it in the place of its own.
//! A refusal is final: no signature leaves, and the engine stops with that error. There is no
//! `sign(bytes)`: each thing that is signed has its own method.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use malachitebft_core_types::{
    SignedExtension, SignedMessage, SignedProposal, SignedVote, SigningScheme, ValidatorProof, VoteExtensionScope,
};
use malachitebft_signing::{Error, Signer};
use tokio::sync::mpsc;
use writ_proto::certificate;
use writ_proto::hash::Digest;
use writ_proto::key::{PublicKey, Signature};

use crate::context::{Ctx, Proposal, Vote};

/// A signature that was asked for and not given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signer refused to sign {what}: {reason}")]
pub struct SignRefused {
    /// What was to be signed, for example `prevote of height 7, round 0`.
    pub what: String,
    /// Why it was not.
    pub reason: String,
    /// The same, in a word for programs.
    pub because: Refusing,
}

/// Why a signature was not given, as far as it matters to whoever may start the node again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusing {
    /// It must not be given: asked again it would be refused again.
    Guard,
    /// What was to be signed could not be written down.
    Disk,
}

impl SignRefused {
    fn because_of_guard(what: impl Into<String>, reason: impl ToString) -> Self {
        Self { what: what.into(), reason: reason.to_string(), because: Refusing::Guard }
    }
}

/// Holds the voting key and signs with it, guarded against signing two statements for one step.
///
/// Every method may block (an fsync): they are called on a thread that may. Asked for the same statement
/// again, it gives a signature again; the engine does that after a crash.
pub trait VoteSigner: Send + Sync + 'static {
    /// The public half of the voting key.
    fn public_key(&self) -> PublicKey;

    /// Signs [`Vote::signed_bytes`](certificate::Vote::signed_bytes); or gives the vote, of another value, that it signed
    /// for the same step before.
    ///
    /// The engine then says that one. It asks for another where it has forgotten why it voted so: its log lost what came
    /// after the last flush, or time ran out now and did not then.
    fn sign_vote(&self, vote: &certificate::Vote) -> Result<(certificate::Vote, Signature), SignRefused>;

    /// Signs [`Proposal::signed_bytes`](certificate::Proposal::signed_bytes).
    fn sign_proposal(&self, proposal: &certificate::Proposal) -> Result<Signature, SignRefused>;

    /// Signs [`PeerClaim::signed_bytes`].
    fn sign_peer_claim(&self, claim: &PeerClaim) -> Result<Signature, SignRefused>;
}

/// The statement "the network peer `peer` is the validator that votes with `key`", made once at each start.
///
/// Peers use it to tell validators from other nodes; no vote counts because of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerClaim {
    /// The voting key.
    pub key: PublicKey,
    /// The bytes of the peer id.
    pub peer: Vec<u8>,
}

impl PeerClaim {
    /// The tag that its signed bytes start with.
    pub const TAG: &'static [u8] = b"writ/peer/v1\0";

    /// The bytes that are signed on chain `chain`.
    pub fn signed_bytes(&self, chain: &Digest) -> Vec<u8> {
        [Self::TAG, &chain.0, &self.key.0, &self.peer].concat()
    }
}

/// Ed25519 as the engine sees it: public keys and signatures of ours, and no secret keys at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ed25519;

/// A signature with an order, which the engine wants and nobody uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sig(pub(crate) Signature);

impl Ord for Sig {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.0.cmp(&other.0.0)
    }
}

impl PartialOrd for Sig {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl SigningScheme for Ed25519 {
    type DecodingError = std::array::TryFromSliceError;
    type Signature = Sig;
    type PublicKey = PublicKey;
    type PrivateKey = ();

    fn decode_signature(bytes: &[u8]) -> Result<Sig, Self::DecodingError> {
        Ok(Sig(Signature(bytes.try_into()?)))
    }

    fn encode_signature(signature: &Sig) -> Vec<u8> {
        signature.0.0.to_vec()
    }

    fn decode_public_key(bytes: &[u8]) -> Result<PublicKey, Self::DecodingError> {
        Ok(PublicKey(bytes.try_into()?))
    }

    fn encode_public_key(key: &PublicKey) -> Vec<u8> {
        key.0.to_vec()
    }
}

/// Checks signatures on one chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checker {
    pub(crate) chain: Digest,
}

impl Checker {
    pub(crate) fn vote(&self, vote: &Vote, signature: &Sig, key: &PublicKey) -> bool {
        vote.statement().is_ok_and(|statement| key.verify(&statement.signed_bytes(&self.chain), &signature.0).is_ok())
    }

    pub(crate) fn proposal(&self, proposal: &Proposal, signature: &Sig, key: &PublicKey) -> bool {
        proposal
            .statement()
            .is_ok_and(|statement| key.verify(&statement.signed_bytes(&self.chain), &signature.0).is_ok())
    }

    /// The voting key that `proof` shows to belong to its peer, if it shows that.
    pub(crate) fn peer_claim(&self, proof: &ValidatorProof<Ctx>) -> Option<PublicKey> {
        let key = proof.decoded_public_key().ok()?;
        let claim = PeerClaim { key, peer: proof.peer_id.clone() };
        key.verify(&claim.signed_bytes(&self.chain), &proof.signature.0).ok()?;
        Some(key)
    }
}

/// The engine's way to the [`VoteSigner`]: off the async threads, checked, and loud when it refuses.
#[derive(Clone)]
pub(crate) struct Guarded {
    signer: Arc<dyn VoteSigner>,
    checker: Checker,
    refusals: mpsc::UnboundedSender<SignRefused>,
    /// Own votes that the engine's log held when it was read.
    recalled: Arc<Mutex<Vec<(certificate::Vote, Sig)>>>,
}

impl Guarded {
    pub(crate) fn new(
        signer: Arc<dyn VoteSigner>,
        checker: Checker,
        refusals: mpsc::UnboundedSender<SignRefused>,
    ) -> Self {
        Self { signer, checker, refusals, recalled: Arc::default() }
    }

    /// Runs `sign` where it may block, and checks what it gives: a wrong signature must not leave either.
    async fn ask<T: Send + 'static>(
        &self,
        what: String,
        sign: impl FnOnce(&dyn VoteSigner) -> Result<(T, Signature), SignRefused> + Send + 'static,
        signed_bytes: impl FnOnce(&T) -> Vec<u8> + Send + 'static,
    ) -> Result<(T, Sig), SignRefused> {
        let signer = Arc::clone(&self.signer);
        let answer = tokio::task::spawn_blocking(move || {
            let (statement, signature) = sign(signer.as_ref())?;
            match signer.public_key().verify(&signed_bytes(&statement), &signature) {
                Ok(()) => Ok((statement, Sig(signature))),
                Err(wrong) => Err(SignRefused::because_of_guard(what, wrong)),
            }
        });
        let panicked = |panic: tokio::task::JoinError| SignRefused::because_of_guard("anything", panic);
        answer.await.map_err(panicked)?
    }

    /// Lets an own vote be given again that the engine's log held. It has left this process before.
    pub(crate) fn recall(&self, vote: &SignedVote<Ctx>) {
        if let Ok(statement) = vote.message.statement() {
            self.recalled().push((statement, vote.signature));
        }
    }

    fn recalled(&self) -> MutexGuard<'_, Vec<(certificate::Vote, Sig)>> {
        self.recalled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The vote of the same step that the log held, if it is the one that is asked for or may be said in its place.
    fn recalled_for(&self, asked: &certificate::Vote) -> Option<(certificate::Vote, Sig)> {
        let recalled = self.recalled();
        recalled.iter().find(|(vote, _)| vote.is_of_step_of(asked) && (vote == asked || !vote.binds())).copied()
    }

    /// The proof that the peer `peer` is this validator.
    pub(crate) async fn peer_claim(&self, peer: Vec<u8>) -> Result<ValidatorProof<Ctx>, SignRefused> {
        let claim = PeerClaim { key: self.signer.public_key(), peer };
        let chain = self.checker.chain;
        let sign = |signer: &dyn VoteSigner| signer.sign_peer_claim(&claim).map(|signature| (claim, signature));
        let (claim, signature) = self.ask("peer claim".into(), sign, move |claim| claim.signed_bytes(&chain)).await?;
        Ok(ValidatorProof::new(claim.key.0.to_vec(), claim.peer, signature))
    }

    /// Tells the host, which stops everything. The engine itself stops on the error too.
    fn report(&self, refusal: SignRefused) -> Error {
        let error = Error::from_source(refusal.to_string());
        // Without a receiver the host has already stopped.
        let _ = self.refusals.send(refusal);
        error
    }
}

#[async_trait]
impl Signer<Ctx> for Guarded {
    async fn sign_vote(&self, vote: Vote) -> Result<SignedVote<Ctx>, Error> {
        let kind = format!("{:?}", vote.kind).to_lowercase();
        let what = format!("{kind} of height {}, round {}", vote.height, vote.round);
        let asked =
            vote.statement().map_err(|error| self.report(SignRefused::because_of_guard(what.as_str(), error)))?;
        if let Some((vote, signature)) = self.recalled_for(&asked) {
            return Ok(SignedMessage::new(vote.into(), signature));
        }
        let chain = self.checker.chain;
        let signed =
            self.ask(what.clone(), move |signer| signer.sign_vote(&asked), move |vote| vote.signed_bytes(&chain));
        let signed = signed.await.and_then(|(given, signature)| match given.is_of_step_of(&asked) {
            true => Ok((given, signature)),
            false => Err(SignRefused::because_of_guard(what, format!("{given:?} was signed in its place"))),
        });
        let (given, signature) = signed.map_err(|refusal| self.report(refusal))?;
        Ok(SignedMessage::new(given.into(), signature))
    }

    async fn sign_proposal(&self, proposal: Proposal) -> Result<SignedProposal<Ctx>, Error> {
        let what = format!("proposal of height {}, round {}", proposal.height, proposal.round);
        let statement =
            proposal.statement().map_err(|error| self.report(SignRefused::because_of_guard(what.as_str(), error)))?;
        let chain = self.checker.chain;
        let sign = move |signer: &dyn VoteSigner| Ok((statement, signer.sign_proposal(&statement)?));
        let signed = self.ask(what, sign, move |statement| statement.signed_bytes(&chain)).await;
        let (_, signature) = signed.map_err(|refusal| self.report(refusal))?;
        Ok(SignedMessage::new(proposal, signature))
    }

    async fn sign_vote_extension(&self, scope: VoteExtensionScope<Ctx>, (): ()) -> Result<SignedExtension<Ctx>, Error> {
        let what = format!("vote extension of height {}, round {}", scope.height, scope.round);
        Err(self.report(SignRefused::because_of_guard(what, "vote extensions are not used")))
    }

    // Unused by the engine: the peer claim is made before it starts.
    async fn sign_validator_proof(&self, _: Vec<u8>, peer: Vec<u8>) -> Result<ValidatorProof<Ctx>, Error> {
        self.peer_claim(peer).await.map_err(|refusal| self.report(refusal))
    }
}
