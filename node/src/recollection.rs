//! What this node's keys have signed, as others remember it.
//!
//! A home that was rolled back in place (a machine's snapshot, a backup copied over it) looks whole: its guards are
//! there, and old. What its keys signed since, the other nodes have seen. So a validator in a network asks before
//! it signs anything:
//!
//! ```text
//!   connected --Ask::Remembered(its keys)--> peer: the latest statement that it saw in consensus, or in the
//!   guards learn <--Tell::Remembered(memory)----- certificates of its last blocks; the latest cosignature
//! ```
//!
//! Every memory carries the signature of the key that it is about, so nobody can make a validator believe that it
//! signed what it did not. What one peer keeps to itself another tells: *enough* is when so many validators have told that
//! they are a quorum together with this one, which consensus needs anyway. In a network where fewer are connected
//! directly one is enough after [`ALONE_AFTER`]. What none of them has seen, nobody can hold against this node.
//!
//! A guard that learned something had been rolled back, or another process signs with its key. So it waits until its
//! key has been silent for [`SILENCE`]. The same where the engine sees a statement of this node's own key that
//! its guard does not know.
//!
//! What this does not cover: a machine that is doubled *with* its disk and runs beside its original in a network where
//! nothing is decided for so long; and a rollback of one validator at an instant at which the others, too, have lost what they
//! saw of the height under way.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use writ_engine::{Said, Signed, Witness};
use writ_proto::certificate::{Certificate, Vote, VoteKind, quorum};
use writ_proto::codec::Blob;
use writ_proto::key::KeyId;

use crate::checkpoints::Checkpoints;
use crate::guard::{GuardFileError, Learned};
use crate::ledger::Ledger;
use crate::signer::Signer;
use crate::storage::StoreError;

/// How long the key must have been silent elsewhere before this node signs again: several blocks of a chain that is in
/// use, at which another process would show itself. (On an idle chain it would not in any time.)
pub(crate) const SILENCE: Duration = Duration::from_secs(3);
/// How long a validator waits for enough others before one is enough.
pub(crate) const ALONE_AFTER: Duration = Duration::from_secs(10);
/// How many of the last certificates are looked through for what validators signed.
const CERTIFICATES: u64 = 16;

/// The keys of which a node asks what they signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Keys {
    pub(crate) vote: KeyId,
    pub(crate) checkpoint: Option<KeyId>,
}

/// What is remembered of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// The latest statement of the voting key.
    pub(crate) said: Option<Signed>,
    /// The latest cosignature of the checkpoint key, encoded.
    pub(crate) cosigned: Option<Blob>,
}

/// A handle on what is remembered. See the module's doc.
#[derive(Clone)]
pub(crate) struct Recollection(Arc<Shared>);

struct Shared {
    ledger: Ledger,
    checkpoints: Checkpoints,
    witness: Witness,
    /// `None`: nothing may be signed anyway.
    signer: Option<Arc<Signer>>,
    keys: Keys,
    started: Instant,
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Default)]
struct Inner {
    /// The validators that have told.
    told: BTreeSet<KeyId>,
    /// When something that the guard did not know was seen last.
    surprised: Option<Instant>,
    /// Enough have told.
    enough: bool,
}

impl Recollection {
    /// Of a node that votes with the key `me`; what the last certificates say is noted at once.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(crate) fn new(
        ledger: Ledger,
        checkpoints: Checkpoints,
        signer: Option<Arc<Signer>>,
        me: KeyId,
    ) -> Result<Self, StoreError> {
        let witness = Witness::default();
        let tip = ledger.read().tip().height;
        for height in tip.saturating_sub(CERTIFICATES - 1).max(1)..=tip {
            if let Some(certificate) = ledger.store().certificate(height)? {
                precommits(&certificate).for_each(|signed| witness.note(signed));
            }
        }
        let keys = Keys { vote: me, checkpoint: checkpoints.key() };
        let (started, inner, changed) = (Instant::now(), Mutex::default(), Notify::new());
        Ok(Self(Arc::new(Shared { ledger, checkpoints, witness, signer, keys, started, inner, changed })))
    }

    /// Where the engine notes what it sees.
    pub(crate) fn witness(&self) -> Witness {
        self.0.witness.clone()
    }

    /// The id of the key that this node votes with.
    pub(crate) fn voting_key(&self) -> KeyId {
        self.0.keys.vote
    }

    /// What this node remembers of another's keys.
    pub(crate) fn of(&self, keys: &Keys) -> Memory {
        let cosigned = keys.checkpoint.and_then(|key| self.0.checkpoints.latest_of(&key));
        Memory { said: self.0.witness.latest(&keys.vote), cosigned: cosigned.map(|one| Blob(one.encode())) }
    }

    /// What to ask others; `None` if enough have told.
    pub(crate) fn question(&self) -> Option<Keys> {
        (!self.lock().enough).then_some(self.0.keys)
    }

    /// A validator told what it remembers of this node's keys. Blocks for an fsync if that is more than the guards knew.
    ///
    /// # Errors
    /// If what was told could not be kept.
    pub(crate) fn told(&self, validator: KeyId, memory: &Memory) -> Result<(), GuardFileError> {
        if let Some(said) = &memory.said {
            self.learn(said)?;
        }
        if let Some(cosigned) = &memory.cosigned {
            // It is verified there, and learned if it is of this node's key.
            self.0.checkpoints.take(&cosigned.0);
        }
        self.lock().told.insert(validator);
        self.weigh();
        self.0.changed.notify_one();
        Ok(())
    }

    /// Waits until somebody has told something.
    pub(crate) async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// Whether this node's keys may sign: enough others have told what they signed, and nobody else has been seen to sign
    /// with them for a while.
    pub(crate) fn may_sign(&self) -> bool {
        if let Some(seen) = self.0.witness.latest(&self.0.keys.vote)
            && let Err(error) = self.learn(&seen)
        {
            tracing::error!(%error, "what this node's key signed could not be kept");
            return false;
        }
        self.weigh();
        let inner = self.lock();
        inner.enough && inner.surprised.is_none_or(|at| at.elapsed() >= SILENCE)
    }

    /// Whether enough have told by now.
    fn weigh(&self) {
        let others = self.others();
        let mut inner = self.lock();
        if !inner.enough && inner.is_enough(&others, self.0.started.elapsed() >= ALONE_AFTER) {
            inner.enough = true;
            tracing::info!(told = inner.told.len(), "others have told what this node's keys signed");
            self.0.checkpoints.release();
        }
    }

    /// The other validators.
    fn others(&self) -> Vec<KeyId> {
        let state = self.0.ledger.read();
        state.voters().into_iter().filter(|id| *id != self.0.keys.vote).collect()
    }

    /// Lets the guard know of a statement.
    fn learn(&self, signed: &Signed) -> Result<(), GuardFileError> {
        let Some(signer) = &self.0.signer else { return Ok(()) };
        let learned = signer.learn(signed)?;
        if matches!(learned, Learned::New | Learned::Conflict) {
            let mut inner = self.lock();
            if inner.surprised.is_none() || learned == Learned::New {
                tracing::error!(said = ?signed.said, ?learned, "this node's key has signed what its guard did not know: its home was rolled back, or another process signs with the key; it signs nothing for a while");
                inner.surprised = Some(Instant::now());
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Whether enough of the `others` have told.
    fn is_enough(&self, others: &[KeyId], waited: bool) -> bool {
        let told = others.iter().filter(|id| self.told.contains(id)).count();
        // With this node they are a quorum.
        told + 1 >= quorum(others.len() + 1) || (told > 0 && waited)
    }
}

/// The precommits in a certificate, which was verified when its block was stored.
fn precommits(certificate: &Certificate) -> impl Iterator<Item = Signed> {
    let Certificate { height, round, block, .. } = *certificate;
    certificate.signatures.iter().map(move |(voter, signature)| {
        let vote = Vote { kind: VoteKind::Precommit, height, round, value: Some(block), voter: *voter };
        Signed { said: Said::Vote(vote), signature: *signature }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enough_is_a_quorum_with_this_node() {
        let id = |n: u8| KeyId([n; 32]);
        for (case, count, told, waited, enough) in [
            ("alone", 0, vec![], false, true),
            ("of two, none", 1, vec![], true, false),
            ("of two, the other", 1, vec![1], false, true),
            ("of four, one", 3, vec![1], false, false),
            ("of four, one for a while", 3, vec![1], true, true),
            ("of four, none for a while", 3, vec![], true, false),
            ("of four, two", 3, vec![1, 3], false, true),
            ("strangers", 3, vec![7, 8, 9], true, false),
            ("of seven, four", 6, vec![1, 2, 3, 4], false, true),
            ("of seven, three", 6, vec![1, 2, 3], false, false),
        ] {
            let others: Vec<KeyId> = (1..=count).map(id).collect();
            let inner = Inner { told: told.into_iter().map(id).collect(), ..Inner::default() };
            assert_eq!(inner.is_enough(&others, waited), enough, "{case}");
        }
    }
}
