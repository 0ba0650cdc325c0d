//! The chain of a liar: it judges and commits like the honest one, and proposes something else.

use bytes::Bytes;
use writ_engine::{Application, Candidate, Evidence, Fatal, Held, Proposed, Validator, Verdict};
use writ_proto::block::Block;
use writ_proto::certificate::Certificate;
use writ_proto::checkpoint::{Checkpoint, Cosignature};
use writ_proto::codec::Blob;
use writ_proto::hash::Digest;
use writ_proto::key::SecretKey;

use super::Lie;
use super::twist::proposed;
use crate::chain::Chain;
use crate::checkpoints::Checkpoints;
use crate::consensus::Setup;
use crate::ledger::Ledger;

/// See the module's doc.
pub(crate) struct Twisted {
    chain: Chain,
    ledger: Ledger,
    checkpoints: Checkpoints,
    /// None: it is honest.
    lie: Option<Lie>,
    checkpoint_key: SecretKey,
}

impl Twisted {
    pub(super) fn new(chain: Chain, setup: &Setup, lie: Option<Lie>, checkpoint_key: SecretKey) -> Self {
        let (ledger, checkpoints) = (setup.ledger.clone(), setup.checkpoints.clone());
        Self { chain, ledger, checkpoints, lie, checkpoint_key }
    }

    /// A record that is in the log, the latest.
    fn logged(&self) -> Option<Blob> {
        (1..=self.chain.tip()).rev().find_map(|height| {
            let (bytes, _) = self.chain.decided(height).ok()??;
            Block::decode(&bytes).ok()?.records.pop()
        })
    }

    /// Cosigns a log that there is not, of the size that there is.
    fn cosign_another_root(&self) {
        let state = self.ledger.read();
        let (height, size) = (state.tip().height, state.log().size());
        let origin = state.genesis().chain.clone();
        let checkpoint = Checkpoint { origin, size, root: Digest([0xee; 32]) };
        let now = self.ledger.clock().now().as_millis() / 1000;
        let cosignature = Cosignature::sign(&checkpoint, height, &self.checkpoint_key, now);
        self.checkpoints.say(cosignature.encode().into());
    }
}

impl Application for Twisted {
    fn propose(&mut self, height: u64, round: u32) -> Result<Proposed, Fatal> {
        let honest = self.chain.propose(height, round)?;
        let Some(Lie::Twisted(twist)) = self.lie else { return Ok(honest) };
        let block = Block::decode(&honest.bytes).expect("what this node proposes is a block");
        let logged = self.logged();
        Ok(proposed(&twist.of(&self.ledger.read(), block, logged)))
    }

    fn commit(&mut self, value: Digest, certificate: Certificate) -> Result<(), Fatal> {
        self.chain.commit(value, certificate)?;
        if self.lie == Some(Lie::OtherRoot) {
            self.cosign_another_root();
        }
        Ok(())
    }

    fn tip(&self) -> u64 {
        self.chain.tip()
    }

    fn validators(&self) -> Vec<Validator> {
        self.chain.validators()
    }

    fn has_work(&self) -> bool {
        self.chain.has_work()
    }

    fn value_of(&self, bytes: &[u8]) -> Option<Digest> {
        self.chain.value_of(bytes)
    }

    fn judge(&mut self, candidate: Candidate) -> Result<Verdict, Fatal> {
        self.chain.judge(candidate)
    }

    fn undecided(&mut self, height: u64) -> Result<Vec<Held>, Fatal> {
        self.chain.undecided(height)
    }

    fn undecided_bytes(&self, height: u64, value: &Digest) -> Result<Option<Bytes>, Fatal> {
        self.chain.undecided_bytes(height, value)
    }

    fn decided(&self, height: u64) -> Result<Option<(Bytes, Certificate)>, Fatal> {
        self.chain.decided(height)
    }

    fn evidence(&mut self, evidence: Evidence) -> Result<(), Fatal> {
        self.chain.evidence(evidence)
    }
}
