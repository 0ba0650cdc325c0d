//! The sign guard: one object that holds the voting key and never signs two statements for one step.
//!
//! A validator that signs twice for one (height, round, step) can fork the chain. The engine's own log does not
//! rule that out: it can be cut off, lost, restored from a backup, or run twice. So every statement goes through here, and
//! what was signed is on disk *before* the signature leaves:
//!
//! | asked to sign | answer |
//! |---|---|
//! | a later step than any before | write it, fsync, give the signature |
//! | a statement that was signed at this height | the same signature again |
//! | another statement for a step that was signed | refused ([`SignGuard::said_instead`] gives the vote that was) |
//! | an earlier step, or a lower height | refused |
//!
//! Steps are ordered by height, round, and within a round proposal < prevote < precommit. The guard remembers
//! every statement of the present height (the last [`STEPS_MAX`] of them), not only the last: after a crash the
//! engine may ask again for those whose record in its own log was lost, and a refusal stops it.
//!
//! ```text
//!   HOME/keys/sign-guard = slots of: key id 32 | inode u64 | born (u8 0, or 1 and u64) | floor u64 | height u64
//!                                    | count u64 | count * (round u32 | step u32 | value (u8 0, or 1 and 32)
//!                                                           | valid round (u8 0, or 1 and u32) | signature 64)
//! ```
//!
//! **A guard belongs to one place.** It knows the inode it was made in (and when that was born, where the file
//! system tells), so a copied home, or one restored from a backup, is refused, because such a guard may have
//! forgotten what was signed since. It is locked while it is open, so two processes cannot use it. A missing guard is never made
//! silently: [`SignGuard::create`] is for `init`, [`SignGuard::create_above`] and [`SignGuard::adopt`] for an
//! operator who knows that the key signs nowhere else, and from which height on it may.
//!
//! A home that was rolled back *in place* has the right inode. What its key signed since, others have seen:
//! [`SignGuard::learn_vote`] takes it over from them, and [`crate::recollection`] sees to it that this comes first.
//!
//! Checkpoints have a file of the same make beside this one ([`super::checkpoint`]), because they are signed with a
//! key of their own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use serde::{Deserialize, Serialize};
use writ_proto::certificate::{Proposal, Vote, VoteKind};
use writ_proto::hash::{Digest, Domain};
use writ_proto::key::{KeyId, PublicKey, SecretKey, Signature};

use super::Learned;
use super::place::Place;
use super::slots::{GuardFileError, Kept, SlotFile};

/// How many statements of the present height are remembered: ten rounds.
pub const STEPS_MAX: usize = 32;

/// The three things a validator signs in a round, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Step {
    /// A proposal.
    Proposal,
    /// The first vote.
    Prevote,
    /// The second vote.
    Precommit,
}

impl Step {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proposal => "proposal",
            Self::Prevote => "prevote",
            Self::Precommit => "precommit",
        }
    }
}

/// A statement that was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedStep {
    /// The round.
    pub round: u32,
    /// The step.
    pub step: Step,
    /// The block hash; `None`: for no block.
    pub value: Option<Digest>,
    /// A proposal's valid round.
    pub valid_round: Option<u32>,
    /// The signature.
    pub signature: Signature,
}

impl SignedStep {
    fn at(&self) -> (u32, Step) {
        (self.round, self.step)
    }
}

/// What the voting key signed last, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SignMark {
    key: KeyId,
    place: Place,
    /// Nothing is signed at this height or below.
    floor: u64,
    height: u64,
    /// INVARIANT: strictly ascending by round and step, at most `STEPS_MAX`.
    steps: Vec<SignedStep>,
}

impl Kept for SignMark {
    const TAG: &'static [u8; 16] = b"writ/sign/v1\0\0\0\0";
}

/// Why the sign guard cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignGuardError {
    /// It is missing: what the key signed is not known.
    #[error("the sign guard `{path}` is missing, so what the voting key signed is not known, and it signs no more")]
    GuardMissing {
        /// Which file.
        path: PathBuf,
    },
    /// Its file cannot be used.
    #[error(transparent)]
    File(#[from] GuardFileError),
    /// It guards another key.
    #[error("the sign guard `{path}` is of key {found}, expected key {expected}")]
    OtherKey {
        /// Which file.
        path: PathBuf,
        /// The key it is of.
        found: KeyId,
        /// The key that was given.
        expected: KeyId,
    },
    /// It was copied.
    #[error(
        "the sign guard `{path}` was copied or restored: what the voting key signed since is not known, and it signs no more"
    )]
    Copied {
        /// Which file.
        path: PathBuf,
    },
    /// To be adopted at a height at which it already signed.
    #[error("the key signed at height {signed} already, so it can start above that only, not above {floor}")]
    FloorTooLow {
        /// The floor that was given.
        floor: u64,
        /// Where it signed last.
        signed: u64,
    },
}

/// Why a signature was not given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignRefused {
    /// Before what was signed already.
    #[error("height {height}, round {round}, {step} comes before height {last_height}, round {last_round}, {last_step}, which was signed", step = .step.as_str(), last_step = .last_step.as_str())]
    Behind {
        /// The height asked for.
        height: u64,
        /// The round asked for.
        round: u32,
        /// The step asked for.
        step: Step,
        /// The last height signed.
        last_height: u64,
        /// The last round signed.
        last_round: u32,
        /// The last step signed.
        last_step: Step,
    },
    /// Another statement was signed for this step.
    #[error("another {step} was signed for height {height}, round {round}", step = .step.as_str())]
    Conflict {
        /// The height.
        height: u64,
        /// The round.
        round: u32,
        /// The step.
        step: Step,
    },
    /// At or below the height that an operator gave.
    #[error("the sign guard was begun anew above height {floor}, nothing is signed at height {height}")]
    BelowFloor {
        /// The height asked for.
        height: u64,
        /// The floor.
        floor: u64,
    },
    /// In the name of another key.
    #[error("a statement of key {found} was to be signed with key {own}")]
    OtherVoter {
        /// The key named.
        found: KeyId,
        /// The key held.
        own: KeyId,
    },
    /// What was to be signed could not be made durable.
    #[error("what was to be signed could not be kept")]
    NotKept(#[source] GuardFileError),
}

/// The one object that signs with the voting key. See the module's doc.
#[derive(Debug)]
pub struct SignGuard {
    chain: Digest,
    key: SecretKey,
    id: KeyId,
    path: PathBuf,
    file: Mutex<SlotFile<SignMark>>,
}

/// What is to be signed, in the guard's own terms.
#[derive(Clone, Copy)]
struct Asked {
    height: u64,
    round: u32,
    step: Step,
    value: Option<Digest>,
    valid_round: Option<u32>,
}

impl Asked {
    fn vote(vote: &Vote) -> Self {
        let Vote { kind, height, round, value, .. } = *vote;
        let step = match kind {
            VoteKind::Prevote => Step::Prevote,
            VoteKind::Precommit => Step::Precommit,
        };
        Self { height, round, step, value, valid_round: None }
    }

    fn proposal(proposal: &Proposal) -> Self {
        let Proposal { height, round, value, valid_round, .. } = *proposal;
        Self { height, round, step: Step::Proposal, value: Some(value), valid_round }
    }
}

impl SignGuard {
    /// The guard file in the folder `dir`.
    pub fn path(dir: &Path) -> PathBuf {
        dir.join("sign-guard")
    }

    /// Begins the guard of a key that has never signed, in the folder `dir`. Only for `init`.
    ///
    /// # Errors
    /// If there is one already.
    pub fn create(dir: &Path, chain: &Digest, key: &PublicKey) -> Result<(), SignGuardError> {
        Self::create_above(dir, chain, key, 0)
    }

    /// Begins the guard of a key whose own guard was lost, by an operator's word: it signs nowhere else, and may
    /// sign above height `floor`, which lies beyond anything it may have signed.
    ///
    /// # Errors
    /// If there is one already.
    pub fn create_above(dir: &Path, chain: &Digest, key: &PublicKey, floor: u64) -> Result<(), SignGuardError> {
        let key = key.id();
        let mark = |file: &File| Ok(SignMark { key, place: Place::of(file)?, floor, height: 0, steps: Vec::new() });
        Ok(SlotFile::create(&Self::path(dir), chain, mark)?)
    }

    /// Accepts a guard that was copied or restored, by an operator's word: the key signs nowhere else, and may
    /// sign above height `floor`, which lies beyond anything it may have signed since the copy was made.
    pub fn adopt(dir: &Path, chain: &Digest, key: &PublicKey, floor: u64) -> Result<(), SignGuardError> {
        let mut file = open_of(&Self::path(dir), chain, key.id())?;
        let mark = file.get().clone();
        if floor < mark.height.max(mark.floor) {
            return Err(SignGuardError::FloorTooLow { floor, signed: mark.height.max(mark.floor) });
        }
        let place = Place::of(file.file()).map_err(|source| GuardFileError::Io {
            doing: "read",
            path: Self::path(dir),
            source,
        })?;
        file.set(SignMark { place, floor, ..mark })?;
        Ok(())
    }

    /// Whether the guard in the folder `dir`, wherever it was made, has never signed anything nor been begun anew: that of
    /// a home that was made on one machine, to be run on another. (A copy does not know what its original signed since.)
    pub fn was_never_used(dir: &Path, chain: &Digest, key: &PublicKey) -> bool {
        open_of(&Self::path(dir), chain, key.id()).is_ok_and(|file| {
            let mark = file.get();
            (mark.floor, mark.height, mark.steps.len()) == (0, 0, 0)
        })
    }

    /// Opens the guard of `key` in the folder `dir`.
    ///
    /// # Errors
    /// If it is missing, damaged, copied, in use, or of another key or chain: then nothing may be signed.
    pub fn open(dir: &Path, chain: &Digest, key: SecretKey) -> Result<Self, SignGuardError> {
        let path = Self::path(dir);
        let id = key.public().id();
        let file = open_of(&path, chain, id)?;
        let place = Place::of(file.file()).map_err(|source| GuardFileError::Io {
            doing: "read",
            path: path.clone(),
            source,
        })?;
        if !place.is(file.get().place) {
            return Err(SignGuardError::Copied { path });
        }
        Ok(Self { chain: *chain, key, id, path, file: Mutex::new(file) })
    }

    /// The public half of the voting key.
    pub fn public_key(&self) -> PublicKey {
        self.key.public()
    }

    /// Signs a vote, unless another one was signed for its step or a later step was. Blocks for an fsync.
    pub fn sign_vote(&self, vote: &Vote) -> Result<Signature, SignRefused> {
        let signature = || self.key.sign_in(Domain::Vote, &vote.signed_bytes(&self.chain));
        self.sign(Asked::vote(vote), vote.voter, signature)
    }

    /// The vote that was signed for the step of `vote`, if it may be said again in the place of `vote`: if it does not
    /// [bind](Vote::binds). An engine that wants another does not know that it made it, and would not keep to it.
    pub fn said_instead(&self, vote: &Vote) -> Option<(Vote, Signature)> {
        let (asked, file) = (Asked::vote(vote), self.lock().ok()?);
        let mark = file.get();
        if vote.voter != self.id || mark.height != asked.height || asked.height <= mark.floor {
            return None;
        }
        let signed = mark.steps.iter().find(|signed| signed.at() == (asked.round, asked.step))?;
        let said = Vote { value: signed.value, ..*vote };
        (!said.binds()).then_some((said, signed.signature))
    }

    /// Signs a proposal, unless another one was signed for its round or a later step was. Blocks for an fsync.
    pub fn sign_proposal(&self, proposal: &Proposal) -> Result<Signature, SignRefused> {
        let signature = || self.key.sign_in(Domain::Proposal, &proposal.signed_bytes(&self.chain));
        self.sign(Asked::proposal(proposal), proposal.proposer, signature)
    }

    /// Signs the statement that the network peer with the id `peer` is the validator of this key. It is no step of
    /// consensus, so it may be said any number of times.
    pub fn sign_peer_claim(&self, peer: &[u8]) -> Signature {
        let tag = Domain::PeerClaim.tag();
        self.key.sign_in(Domain::PeerClaim, &[tag, &self.chain.0, &self.key.public().0, peer].concat())
    }

    /// Takes over a vote of this key that others have kept. Blocks for an fsync if it is new.
    ///
    /// # Errors
    /// If it could not be kept.
    pub fn learn_vote(&self, vote: &Vote, signature: Signature) -> Result<Learned, GuardFileError> {
        self.learn(Asked::vote(vote), vote.voter, &vote.signed_bytes(&self.chain), signature)
    }

    /// The same for a proposal.
    ///
    /// # Errors
    /// As [`SignGuard::learn_vote`].
    pub fn learn_proposal(&self, proposal: &Proposal, signature: Signature) -> Result<Learned, GuardFileError> {
        self.learn(Asked::proposal(proposal), proposal.proposer, &proposal.signed_bytes(&self.chain), signature)
    }

    /// The height and the statement that were signed last; `None` if nothing was.
    pub fn last(&self) -> Result<Option<(u64, SignedStep)>, GuardFileError> {
        let file = self.lock()?;
        let mark = file.get();
        Ok(mark.steps.last().map(|step| (mark.height, *step)))
    }

    /// The least height at which it may be asked to sign: that of what was signed last, or the first that an operator
    /// allows; 0 if nothing was.
    pub fn height(&self) -> u64 {
        let least = |mark: &SignMark| match mark.floor {
            0 => mark.height,
            floor => mark.height.max(floor.saturating_add(1)),
        };
        // A guard that cannot be read signs nothing.
        self.lock().map_or(u64::MAX, |file| least(file.get()))
    }

    /// The value of the proposal that was signed for a round of the present height.
    pub fn signed_proposal(&self, height: u64, round: u32) -> Option<Digest> {
        let file = self.lock().ok()?;
        let mark = file.get();
        let of_round = |signed: &&SignedStep| mark.height == height && signed.at() == (round, Step::Proposal);
        mark.steps.iter().find(of_round)?.value
    }

    /// Nothing is signed at this height or below it; 0 for a guard that was never begun anew.
    pub fn floor(&self) -> u64 {
        self.lock().map_or(u64::MAX, |file| file.get().floor)
    }

    /// How many fsyncs there were.
    pub fn syncs(&self) -> u64 {
        self.lock().map_or(0, |file| file.syncs())
    }

    fn sign(
        &self,
        asked: Asked,
        voter: KeyId,
        signature: impl FnOnce() -> Signature,
    ) -> Result<Signature, SignRefused> {
        if voter != self.id {
            return Err(SignRefused::OtherVoter { found: voter, own: self.id });
        }
        let mut file = self.lock().map_err(SignRefused::NotKept)?;
        if let Some(signature) = file.get().judge(&asked)? {
            return Ok(signature);
        }
        // It is computed here and leaves below: nobody has seen it before it is on disk.
        let signature = signature();
        let mark = file.get().with(&asked, signature);
        file.set(mark).map_err(SignRefused::NotKept)?;
        Ok(signature)
    }

    fn learn(
        &self,
        asked: Asked,
        voter: KeyId,
        signed_bytes: &[u8],
        signature: Signature,
    ) -> Result<Learned, GuardFileError> {
        if voter != self.id || self.key.public().verify(signed_bytes, &signature).is_err() {
            return Ok(Learned::Foreign);
        }
        let mut file = self.lock()?;
        match file.get().judge(&asked) {
            // Neither is anything signed at that step or before it.
            Ok(Some(_)) | Err(SignRefused::Behind { .. } | SignRefused::BelowFloor { .. }) => Ok(Learned::Known),
            Ok(None) => {
                let mark = file.get().with(&asked, signature);
                file.set(mark)?;
                Ok(Learned::New)
            }
            Err(_) => Ok(Learned::Conflict),
        }
    }

    fn lock(&self) -> Result<MutexGuard<'_, SlotFile<SignMark>>, GuardFileError> {
        // Poisoned: a write was cut off by a panic.
        self.file.lock().map_err(|_| GuardFileError::Failed { path: self.path.clone() })
    }
}

impl SignMark {
    /// The rule: nothing if a statement may be signed, its signature if it was signed before, or why not.
    fn judge(&self, asked: &Asked) -> Result<Option<Signature>, SignRefused> {
        let Asked { height, round, step, value, valid_round } = *asked;
        if height <= self.floor {
            return Err(SignRefused::BelowFloor { height, floor: self.floor });
        }
        if height > self.height {
            return Ok(None);
        }
        // A height is noted together with its first statement.
        let Some(last) = self.steps.last() else { return Ok(None) };
        let behind = SignRefused::Behind {
            height,
            round,
            step,
            last_height: self.height,
            last_round: last.round,
            last_step: last.step,
        };
        if height < self.height {
            return Err(behind);
        }
        match self.steps.iter().find(|signed| signed.at() == (round, step)) {
            Some(signed) if (signed.value, signed.valid_round) == (value, valid_round) => Ok(Some(signed.signature)),
            Some(_) => Err(SignRefused::Conflict { height, round, step }),
            None if (round, step) < last.at() => Err(behind),
            None => Ok(None),
        }
    }

    /// The mark once a statement that may be signed is.
    fn with(&self, asked: &Asked, signature: Signature) -> Self {
        let Asked { height, round, step, value, valid_round } = *asked;
        // What was signed at lower heights is never needed again: those are refused.
        let mut steps = if height == self.height { self.steps.clone() } else { Vec::new() };
        if steps.len() == STEPS_MAX {
            steps.remove(0);
        }
        steps.push(SignedStep { round, step, value, valid_round, signature });
        Self { height, steps, ..self.clone() }
    }
}

fn open_of(path: &Path, chain: &Digest, key: KeyId) -> Result<SlotFile<SignMark>, SignGuardError> {
    let file = SlotFile::<SignMark>::open(path, chain).map_err(|error| match error {
        GuardFileError::Missing { path } => SignGuardError::GuardMissing { path },
        error => error.into(),
    })?;
    let found = file.get().key;
    if found != key {
        return Err(SignGuardError::OtherKey { path: path.into(), found, expected: key });
    }
    Ok(file)
}

#[cfg(test)]
mod tests;
