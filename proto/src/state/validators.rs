//! Who votes: the validators of the next height, and every name and key that one ever had.
//!
//! A change counts from the height after its block. Within a block each change is judged against what the ones
//! before it left. Names and keys are used once: what was signed with a key stays one validator's for ever, also
//! after it has left.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Authorities;
use crate::genesis::Genesis;
use crate::hash::Digest;
use crate::key::{KeyId, PublicKey};
use crate::limits::GENESIS_MEMBERS_MAX;
use crate::record::{AuthorityName, EnrolledKey, ValidatorChange, ValidatorKeys};
use crate::refusal::{Code, Refusal};

/// The member at fault, in every refusal here.
const FIELD: &str = "validator";

#[derive(Clone, Debug)]
pub(super) struct Validators {
    /// In the order of the log: who is added comes last, who is replaced keeps its place.
    present: Vec<ValidatorKeys>,
    names: BTreeSet<AuthorityName>,
    keys: BTreeSet<PublicKey>,
}

/// What a new validator's names and keys are held against.
pub(super) struct Known<'a> {
    pub(super) chain: &'a Digest,
    pub(super) authorities: &'a Authorities,
}

impl Validators {
    pub(super) fn of(genesis: &Genesis) -> Self {
        let mut all = Self { present: Vec::new(), names: BTreeSet::new(), keys: BTreeSet::new() };
        genesis.validators.iter().for_each(|validator| all.add(validator));
        all
    }

    pub(super) fn present(&self) -> &[ValidatorKeys] {
        &self.present
    }

    /// The ids of the voting keys, ascending.
    pub(super) fn voters(&self) -> Vec<KeyId> {
        let mut voters: Vec<KeyId> = self.present.iter().map(|validator| validator.vote.key.id()).collect();
        voters.sort_unstable();
        voters
    }

    /// Whether the change can be carried out.
    pub(super) fn judge(&self, change: &ValidatorChange, known: &Known<'_>) -> Result<(), Refusal> {
        match change {
            ValidatorChange::Add(new) => {
                if self.present.len() >= GENESIS_MEMBERS_MAX {
                    let detail = format!("there are {GENESIS_MEMBERS_MAX} validators, and no more are allowed");
                    return Err(Refusal::of(Code::LimitExceeded, FIELD, detail));
                }
                self.judge_new(new, None, known)
            }
            ValidatorChange::Remove(key) => {
                self.find(key)?;
                if self.present.len() == 1 {
                    return Err(conflict(format!("{key} is the last validator: without one nothing is ever decided")));
                }
                Ok(())
            }
            ValidatorChange::Replace { old, new } => {
                let old = &self.present[self.find(old)?];
                if (old.vote, old.checkpoint) == (new.vote, new.checkpoint) {
                    return Err(conflict(format!("validator `{}` has just these keys", old.name)));
                }
                self.judge_new(new, Some(old), known)
            }
        }
    }

    /// Whether `new` may stand among the validators, in the place of `old` if that is given: what it keeps of `old`
    /// is known already.
    fn judge_new(&self, new: &ValidatorKeys, old: Option<&ValidatorKeys>, known: &Known<'_>) -> Result<(), Refusal> {
        if new.vote.key == new.checkpoint.key {
            let detail = format!("one key to vote and to cosign, {}: two are needed", new.vote.key);
            return Err(Refusal::of(Code::BadRequest, FIELD, detail));
        }
        let is_kept = old.is_some_and(|old| old.name == new.name);
        if !is_kept && (self.names.contains(&new.name) || known.authorities.by_name(&new.name).is_some()) {
            return Err(conflict(format!("the name `{}` is or was another's", new.name)));
        }
        let changed = |new: EnrolledKey, old: Option<EnrolledKey>| (Some(new) != old).then_some(new);
        let keys = [changed(new.vote, old.map(|old| old.vote)), changed(new.checkpoint, old.map(|old| old.checkpoint))];
        for enrolled in keys.iter().flatten() {
            let of_authority = known.authorities.iter().flat_map(|authority| &authority.keys);
            if self.keys.contains(&enrolled.key) || of_authority.into_iter().any(|(_, own)| own.key == enrolled.key) {
                return Err(conflict(format!("the key {} is or was another's", enrolled.key)));
            }
        }
        for enrolled in keys.iter().flatten() {
            enrolled
                .key
                .admit_possessed(known.chain, &enrolled.possession)
                .map_err(|error| Refusal::of(Code::BadRequest, FIELD, format!("the key {}: {error}", enrolled.key)))?;
        }
        Ok(())
    }

    /// Carries out a change that [`Validators::judge`] found good.
    pub(super) fn apply(&mut self, change: &ValidatorChange) {
        match change {
            ValidatorChange::Add(new) => self.add(new),
            ValidatorChange::Remove(key) => self.present.retain(|validator| validator.vote.key.id() != *key),
            ValidatorChange::Replace { old, new } => {
                let at = self.find(old).expect("a change is carried out only if it was found good");
                self.remember(new);
                self.present[at] = new.clone();
            }
        }
    }

    fn add(&mut self, new: &ValidatorKeys) {
        self.remember(new);
        self.present.push(new.clone());
    }

    fn remember(&mut self, new: &ValidatorKeys) {
        self.names.insert(new.name.clone());
        self.keys.extend([new.vote.key, new.checkpoint.key]);
    }

    fn find(&self, key: &KeyId) -> Result<usize, Refusal> {
        let at = self.present.iter().position(|validator| validator.vote.key.id() == *key);
        at.ok_or_else(|| Refusal::of(Code::NotFound, FIELD, format!("no validator votes with key {key}")))
    }
}

fn conflict(detail: String) -> Refusal {
    Refusal::of(Code::Conflict, FIELD, detail)
}
