//! The execution of one block: records judged one after another, each against what the earlier ones left.
//!
//! The state below is only read; what the block itself brings lies in an overlay. A record that may not
//! stand in the block is refused and leaves no trace; a restrictive one that fails only by state is taken
//! with the outcome *rejected*.

use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::changes::{Changes, Placed};
use super::protocol::Protocols;
use super::validators::{Known, Validators};
use super::{Activation, State, Waiting};
use crate::block::{BLOCK_VERSION, CommitLeaf, Executed, Outcome, outcomes_root, records_root, validators_hash};
use crate::genesis::Parameters;
use crate::hash::Digest;
use crate::index::{EntryOrdinal, Revoked};
use crate::key::KeyId;
use crate::limits::{
    LIVE_GRANTS_PER_KEY_MAX, LIVE_MEMBERSHIPS_PER_SUBJECT_MAX, REJECTED_PER_KEY_MAX, WAITING_REVOCATIONS_MAX,
};
use crate::merkle::{self, Frontier, NodeId};
use crate::record::{Access, Body, Class, Effect, ParameterChange, RecordId, Revoke, ValidatorChange, Verified};
use crate::refusal::{Code, Refusal};
use crate::time::LedgerTime;

/// What becomes of a record that may stand in the block.
#[derive(Debug)]
pub(super) enum Judgement {
    Accepted,
    Rejected(Refusal),
}

pub(super) struct Execution<'a> {
    base: &'a State,
    time: LedgerTime,
    height: u64,
    placed: Vec<Placed>,
    /// Where each record of this block stands in `placed`.
    ids: BTreeMap<RecordId, usize>,
    /// Accepted grants of this block by (root, subject, object, action), as places in `placed`.
    grants: BTreeMap<(u32, String, String, String), Vec<usize>>,
    /// Accepted membership grants of this block by (root, subject).
    memberships: BTreeMap<(u32, String), Vec<usize>>,
    /// Entries that this block ends, and those among them that earlier blocks brought, by ordinal.
    revoked: BTreeMap<RecordId, Revoked>,
    revoked_before: BTreeSet<EntryOrdinal>,
    now_waiting: Vec<(RecordId, Waiting)>,
    no_longer_waiting: BTreeSet<RecordId>,
    rejected_of: BTreeMap<u32, usize>,
    /// What holds from the next height on, as the records of this block so far leave it.
    validators: Cow<'a, Validators>,
    parameters: Cow<'a, Parameters>,
    protocols: Cow<'a, Protocols>,
    log: Frontier,
    nodes: Vec<(NodeId, Digest)>,
}

impl<'a> Execution<'a> {
    pub(super) fn new(base: &'a State, time: LedgerTime) -> Self {
        Self {
            base,
            time,
            height: base.tip.height + 1,
            placed: Vec::new(),
            ids: BTreeMap::new(),
            grants: BTreeMap::new(),
            memberships: BTreeMap::new(),
            revoked: BTreeMap::new(),
            revoked_before: BTreeSet::new(),
            now_waiting: Vec::new(),
            no_longer_waiting: BTreeSet::new(),
            rejected_of: BTreeMap::new(),
            validators: Cow::Borrowed(&base.validators),
            parameters: Cow::Borrowed(&base.parameters),
            protocols: Cow::Borrowed(&base.protocols),
            log: base.log.clone(),
            nodes: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.placed.len()
    }

    pub(super) fn records(&self) -> impl Iterator<Item = &[u8]> {
        self.placed.iter().map(|placed| placed.record.signed().bytes())
    }

    /// Judges a record as the next of this block. An error: it may not stand in it.
    pub(super) fn judge(&self, record: &Verified) -> Result<Judgement, Refusal> {
        let id = record.id();
        if self.base.settled(&id).is_some() || self.ids.contains_key(&id) {
            return Err(Refusal::whole(Code::Conflict, format!("record {id} is in the log already")));
        }
        self.check_submit_by(record)?;
        let judged = match record.signed().body() {
            Body::Access(access) => self.judge_access(record, access),
            Body::Revoke(revoke) => self.judge_revoke(record, revoke),
            Body::Validator(change) => self.judge_validator(change),
            Body::Parameter(change) => self.judge_parameter(change),
            // To include one of these without carrying it out would settle it for ever, so a block that holds one
            // is not valid under this protocol version.
            Body::Authority(_) | Body::Set(_) => {
                let kind = record.signed().body().kind().as_str();
                return Err(Refusal::of(
                    Code::Unsupported,
                    "record",
                    format!("records of kind `{kind}` are not supported by this version"),
                ));
            }
        };
        match (judged, record.class()) {
            (Ok(()), _) => Ok(Judgement::Accepted),
            (Err(refusal), Class::Permissive) => Err(refusal),
            (Err(refusal), Class::Restrictive) => {
                let full = record
                    .keys
                    .iter()
                    .any(|key| self.rejected_of.get(key).is_some_and(|count| *count >= REJECTED_PER_KEY_MAX));
                if full { Err(refusal) } else { Ok(Judgement::Rejected(refusal)) }
            }
        }
    }

    /// Judges a record and takes it in. An error: it may not stand in this block.
    pub(super) fn take(&mut self, record: Verified) -> Result<(), (RecordId, Refusal)> {
        let id = record.id();
        let outcome = match self.judge(&record) {
            Ok(Judgement::Accepted) => Outcome::Accepted,
            Ok(Judgement::Rejected(refusal)) => {
                for key in &record.keys {
                    *self.rejected_of.entry(*key).or_default() += 1;
                }
                Outcome::Rejected(refusal.code)
            }
            Err(refusal) => return Err((id, refusal)),
        };
        let index = self.log.size();
        self.push_leaf(merkle::leaf_hash(record.signed().bytes()));
        if outcome == Outcome::Accepted {
            match record.signed().body() {
                Body::Access(access) => self.note_access(&record, access),
                Body::Revoke(revoke) => self.note_revoke(&record, revoke, index),
                Body::Validator(change) => self.validators.to_mut().apply(change),
                Body::Parameter(ParameterChange::Set(parameters)) => *self.parameters.to_mut() = parameters.clone(),
                Body::Parameter(ParameterChange::Activate { protocol, height }) => {
                    self.protocols.to_mut().activate(Activation { protocol: *protocol, height: *height });
                }
                Body::Authority(_) | Body::Set(_) => {}
            }
        }
        self.end_wait(id);
        self.ids.insert(id, self.placed.len());
        self.placed.push(Placed { index, record, outcome });
        Ok(())
    }

    /// Ends the block: `result`, header, commit leaf.
    pub(super) fn finish(mut self, proposer: KeyId) -> Changes {
        let executed = Executed {
            outcomes: outcomes_root(self.placed.iter().map(|placed| placed.outcome)),
            next_validators: validators_hash(self.validators.present()),
            map_root: Digest::ZERO,
            log_size: self.log.size(),
            log_root: self.log.root(),
        };
        let records = records_root(self.records());
        let header = self.base.next_header(self.time, proposer, records, executed.hash());
        let leaf = CommitLeaf { version: BLOCK_VERSION, header, executed };
        let leaf_index = self.log.size();
        self.push_leaf(leaf.hash());
        Changes {
            records: self.placed,
            leaf,
            leaf_index,
            nodes: self.nodes,
            revoked: self.revoked.into_iter().collect(),
            now_waiting: self.now_waiting,
            no_longer_waiting: self.no_longer_waiting,
            validators: changed(self.validators),
            parameters: changed(self.parameters),
            protocols: changed(self.protocols),
            log: self.log,
        }
    }

    fn push_leaf(&mut self, leaf: Digest) {
        let nodes = &mut self.nodes;
        self.log.push_with(leaf, |node, hash| nodes.push((node, hash)));
    }

    fn check_submit_by(&self, record: &Verified) -> Result<(), Refusal> {
        let Some(submit_by) = record.signed().statement().submit_by else { return Ok(()) };
        let refuse = |detail| Err(Refusal::of(Code::ExpiredSubmission, "submit_by", detail));
        if submit_by < self.time {
            return refuse(format!("to be submitted by {submit_by}, the block's time is {}", self.time));
        }
        let latest = self.time.saturating_add_millis(self.base.parameters.submit_ahead_ms_max);
        if submit_by > latest {
            return refuse(format!("`submit_by` {submit_by} is too far ahead, at most {latest} is allowed now"));
        }
        Ok(())
    }

    fn judge_access(&self, record: &Verified, access: &Access) -> Result<(), Refusal> {
        let authority = self.base.authorities.get(record.authority).expect("a verified record's authority is known");
        authority.scope.permits(access, self.time)?;
        if access.effect == Effect::Grant && access.exp.is_none_or(|exp| exp > self.time) {
            self.check_live_bounds(record, access)?;
        }
        Ok(())
    }

    /// The bounds that keep one root's grants from slowing decisions about others.
    fn check_live_bounds(&self, record: &Verified, access: &Access) -> Result<(), Refusal> {
        let root = self.base.authorities.root_of(record.authority);
        let index = &self.base.index;
        let unrevoked = |ordinal: &EntryOrdinal| !self.revoked_before.contains(ordinal);
        let is_live = |at: &&usize| !self.revoked.contains_key(&self.placed[**at].record.id());
        let own = |places: Option<&Vec<usize>>| places.map_or(0, |places| places.iter().filter(is_live).count());

        let here = own(self.grants.get(&grant_key(root, access)));
        if here + index.live_grants(root, access, self.time).filter(unrevoked).count() >= LIVE_GRANTS_PER_KEY_MAX {
            return Err(too_many_grants());
        }
        if access.is_membership() {
            let here = own(self.memberships.get(&(root, access.sub.as_str().into())));
            if here + index.live_memberships(root, access, self.time).filter(unrevoked).count()
                >= LIVE_MEMBERSHIPS_PER_SUBJECT_MAX
            {
                return Err(too_many_memberships());
            }
        }
        Ok(())
    }

    fn judge_revoke(&self, record: &Verified, revoke: &Revoke) -> Result<(), Refusal> {
        let Some((access, authority)) = self.target(&revoke.target)? else {
            if revoke.effect == Effect::Deny {
                return Err(Refusal::of(
                    Code::NotFound,
                    "target",
                    format!("no denial {} is in the log", revoke.target),
                ));
            }
            let waiting = self.base.waiting_of.get(&record.authority).copied().unwrap_or(0)
                + self.now_waiting.iter().filter(|(_, waiting)| waiting.authority == record.authority).count();
            if waiting >= WAITING_REVOCATIONS_MAX {
                let detail =
                    format!("{WAITING_REVOCATIONS_MAX} revocations of this authority already wait for their targets");
                return Err(Refusal::of(Code::LimitExceeded, "target", detail));
            }
            return Ok(());
        };
        if access != revoke.effect {
            let detail = format!(
                "the target's effect is `{}`, the revocation says `{}`",
                access.as_str(),
                revoke.effect.as_str()
            );
            return Err(Refusal::of(Code::Conflict, "effect", detail));
        }
        if !self.base.authorities.is_self_or_ancestor(record.authority, authority) {
            return Err(not_ones_own());
        }
        Ok(())
    }

    fn judge_validator(&self, change: &ValidatorChange) -> Result<(), Refusal> {
        let known = Known { chain: &self.base.chain, authorities: &self.base.authorities };
        self.validators.judge(change, &known)
    }

    fn judge_parameter(&self, change: &ParameterChange) -> Result<(), Refusal> {
        match change {
            ParameterChange::Set(parameters) => parameters.check(),
            ParameterChange::Activate { protocol, height } => {
                self.protocols.judge(Activation { protocol: *protocol, height: *height }, self.height)
            }
        }
    }

    /// Effect and authority of a revocation's target, if that is an accepted entry of the log or of this
    /// block; nothing if there is no such record; an error if it is a record of another sort.
    fn target(&self, id: &RecordId) -> Result<Option<(Effect, u32)>, Refusal> {
        let other = || Refusal::of(Code::Conflict, "target", format!("record {id} is no access entry that counts"));
        if let Some(settled) = self.base.settled(id) {
            let entry = self.base.index.entry(settled.entry.ok_or_else(other)?);
            return Ok(Some((entry.effect, entry.authority)));
        }
        let Some(placed) = self.ids.get(id).map(|at| &self.placed[*at]) else { return Ok(None) };
        match (placed.record.signed().body(), placed.outcome) {
            (Body::Access(access), Outcome::Accepted) => Ok(Some((access.effect, placed.record.authority))),
            _ => Err(other()),
        }
    }

    fn note_access(&mut self, record: &Verified, access: &Access) {
        let id = record.id();
        // What has ended already is dead on arrival and never counts against a bound.
        if access.effect == Effect::Grant && access.exp.is_none_or(|exp| exp > self.time) {
            let root = self.base.authorities.root_of(record.authority);
            let at = self.placed.len();
            self.grants.entry(grant_key(root, access)).or_default().push(at);
            if access.is_membership() {
                self.memberships.entry((root, access.sub.as_str().into())).or_default().push(at);
            }
        }
        if access.effect == Effect::Grant {
            // A revocation that came first ends it as it begins, if its signer may.
            let earlier = self.base.waiting.get(&id).into_iter().flatten();
            let here = self.now_waiting.iter().filter(|(target, _)| *target == id).map(|(_, waiting)| waiting);
            let entitled = earlier
                .chain(here)
                .find(|waiting| self.base.authorities.is_self_or_ancestor(waiting.authority, record.authority));
            if let Some(waiting) = entitled.copied() {
                self.revoked.insert(id, Revoked { by: waiting.index, height: self.height, at: self.time });
            }
        }
    }

    /// Whatever waited for this id, its wait is over, also if the id is no grant that counts.
    fn end_wait(&mut self, id: RecordId) {
        self.now_waiting.retain(|(target, _)| *target != id);
        if self.base.waiting.contains_key(&id) {
            self.no_longer_waiting.insert(id);
        }
    }

    fn note_revoke(&mut self, record: &Verified, revoke: &Revoke, index: u64) {
        let is_known = self.base.settled(&revoke.target).is_some() || self.ids.contains_key(&revoke.target);
        if !is_known {
            self.now_waiting.push((revoke.target, Waiting { authority: record.authority, index }));
            return;
        }
        let before = self.base.index.by_id(&revoke.target);
        if before.is_none_or(|ordinal| self.base.index.entry(ordinal).revoked.is_none()) {
            self.revoked_before.extend(before);
            self.revoked.entry(revoke.target).or_insert(Revoked { by: index, height: self.height, at: self.time });
        }
    }
}

/// What a block made of something, if it changed it.
fn changed<T: Clone>(now: Cow<'_, T>) -> Option<T> {
    match now {
        Cow::Borrowed(_) => None,
        Cow::Owned(now) => Some(now),
    }
}

/// The refusal of one more grant on a key.
pub(crate) fn too_many_grants() -> Refusal {
    let detail = format!("{LIVE_GRANTS_PER_KEY_MAX} live grants on this subject, object and action already stand");
    Refusal::of(Code::LimitExceeded, "sub", detail)
}

/// The refusal of one more membership of a subject.
pub(crate) fn too_many_memberships() -> Refusal {
    let detail = format!("{LIVE_MEMBERSHIPS_PER_SUBJECT_MAX} live memberships of this subject already stand");
    Refusal::of(Code::LimitExceeded, "sub", detail)
}

/// The refusal of a revocation of what another authority said.
pub(crate) fn not_ones_own() -> Refusal {
    let detail = "the target is an entry of another authority, neither the signer's nor below it";
    Refusal::of(Code::Forbidden, "target", detail)
}

fn grant_key(root: u32, access: &Access) -> (u32, String, String, String) {
    (root, access.sub.as_str().into(), access.obj.as_str().into(), access.act.as_str().into())
}
