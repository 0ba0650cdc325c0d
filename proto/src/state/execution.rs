//! The execution of one block: records judged one after another, each against what the earlier ones left.
//!
//! The state below is only read; what the block itself brings lies in an overlay. A record that may not
//! stand in the block is refused and leaves no trace; a restrictive one that fails only by state is taken
//! with the outcome *rejected*.

use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;

use super::changes::{Changes, Placed};
use super::overlay::Overlay;
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
use crate::record::{Access, Body, Class, Effect, Made, ParameterChange, RecordId, Revoke, ValidatorChange, Verified};
use crate::refusal::{Code, Refusal};
use crate::time::LedgerTime;

/// What becomes of a record that may stand in the block.
#[derive(Debug)]
pub(super) enum Judgement {
    /// It counts, and brings this.
    Accepted(Overlay),
    /// It is settled, and does nothing.
    Rejected(Refusal),
}

/// The entry that a revocation is to end.
pub(super) struct Target<'a> {
    pub(super) effect: Effect,
    pub(super) authority: u32,
    /// Its ordinal, if an earlier block brought it.
    before: Option<EntryOrdinal>,
    is_revoked: bool,
    /// What it says, if this block brought it.
    here: Option<&'a Access>,
    pub(super) sub: &'a str,
    pub(super) obj: &'a str,
}

pub(super) struct Execution<'a> {
    pub(super) base: &'a State,
    time: LedgerTime,
    pub(super) height: u64,
    placed: Vec<Placed>,
    /// Where each record of this block stands in `placed`.
    ids: BTreeMap<RecordId, usize>,
    /// The same of the entries of its sets, with the place in the set.
    members: BTreeMap<RecordId, (usize, u8)>,
    /// What the accepted ones bring.
    pub(super) block: Overlay,
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
            members: BTreeMap::new(),
            block: Overlay::default(),
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

    /// The leaf of the record that is judged next.
    pub(super) fn next_leaf(&self) -> u64 {
        self.log.size()
    }

    /// Judges a record as the next of this block. An error: it may not stand in it.
    pub(super) fn judge(&self, record: &Verified) -> Result<Judgement, Refusal> {
        let id = record.id();
        if self.base.settled(&id).is_some() || self.ids.contains_key(&id) || self.members.contains_key(&id) {
            return Err(Refusal::whole(Code::Conflict, format!("record {id} is in the log already")));
        }
        self.check_submit_by(record)?;
        let mut brings = Overlay::default();
        let judged = match record.signed().body() {
            Body::Access(access) => {
                let made = Made { id, member: None, access };
                self.judge_access(record.authority, made, &mut brings)
            }
            Body::Revoke(revoke) => self.judge_revoke(record.authority, revoke, &mut brings),
            Body::Validator(change) => self.judge_validator(change),
            Body::Parameter(change) => self.judge_parameter(change),
            Body::Set(set) => self.judge_set(record.authority, id, set, &mut brings),
            // To include one of these without carrying it out would settle it for ever, so a block that holds one
            // is not valid under this protocol version.
            Body::Authority(_) => {
                let kind = record.signed().body().kind().as_str();
                return Err(Refusal::of(
                    Code::Unsupported,
                    "record",
                    format!("records of kind `{kind}` are not supported by this version"),
                ));
            }
        };
        match (judged, record.class()) {
            (Ok(()), _) => Ok(Judgement::Accepted(brings)),
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
            Ok(Judgement::Accepted(brings)) => {
                self.block.merge(brings);
                Outcome::Accepted
            }
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
                Body::Validator(change) => self.validators.to_mut().apply(change),
                Body::Parameter(ParameterChange::Set(parameters)) => *self.parameters.to_mut() = parameters.clone(),
                Body::Parameter(ParameterChange::Activate { protocol, height }) => {
                    self.protocols.to_mut().activate(Activation { protocol: *protocol, height: *height });
                }
                // All that these bring lies in the overlay.
                Body::Access(_) | Body::Revoke(_) | Body::Set(_) | Body::Authority(_) => {}
            }
        }
        self.end_wait(id);
        let at = self.placed.len();
        for Made { id, member, .. } in record.signed().entries() {
            if let Some(place) = member {
                self.end_wait(id);
                self.members.insert(id, (at, place));
            }
        }
        self.ids.insert(id, at);
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
        let (revoked, now_waiting) = self.block.finish();
        Changes {
            records: self.placed,
            leaf,
            leaf_index,
            nodes: self.nodes,
            revoked,
            now_waiting,
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

    /// Judges an access entry on top of what its record brings so far, and adds what it brings itself.
    pub(super) fn judge_access(&self, authority: u32, made: Made<'_>, brings: &mut Overlay) -> Result<(), Refusal> {
        let Made { id, access, .. } = made;
        let speaker = self.base.authorities.get(authority).expect("a verified record's authority is known");
        speaker.scope.permits(access, self.time)?;
        let root = self.base.authorities.root_of(authority);
        // What has ended already is dead on arrival and never counts against a bound.
        let is_bounded = access.effect == Effect::Grant && access.exp.is_none_or(|exp| exp > self.time);
        if is_bounded {
            self.check_live_bounds(root, access, brings)?;
        }
        brings.note_change(access.sub.as_str(), access.obj.as_str(), self.next_leaf());
        if access.effect == Effect::Grant {
            // A revocation that came first ends it as it begins, if its signer may.
            let earlier = self.base.waiting.get(&id).into_iter().flatten();
            let here = self.block.waiting().iter().filter(|(target, _)| *target == id).map(|(_, waiting)| waiting);
            let entitled = earlier
                .chain(here)
                .find(|waiting| self.base.authorities.is_self_or_ancestor(waiting.authority, authority));
            if let Some(waiting) = entitled.copied() {
                let revoked = Revoked { by: waiting.index, height: self.height, at: self.time };
                brings.note_end(id, None, revoked);
            } else if is_bounded {
                brings.note_grant(root, id, access);
            }
        }
        Ok(())
    }

    /// The bounds that keep one root's grants from slowing decisions about others.
    fn check_live_bounds(&self, root: u32, access: &Access, brings: &Overlay) -> Result<(), Refusal> {
        let index = &self.base.index;
        let unrevoked = |ordinal: &EntryOrdinal| !self.block.ends_before(*ordinal) && !brings.ends_before(*ordinal);
        let is_live = |id: &&RecordId| !self.block.ends(id) && !brings.ends(id);
        let live = |here: &[RecordId]| here.iter().filter(is_live).count();

        let here = live(self.block.grants(root, access)) + live(brings.grants(root, access));
        if here + index.live_grants(root, access, self.time).filter(unrevoked).count() >= LIVE_GRANTS_PER_KEY_MAX {
            return Err(too_many_grants());
        }
        if access.is_membership() {
            let here = live(self.block.memberships(root, access)) + live(brings.memberships(root, access));
            if here + index.live_memberships(root, access, self.time).filter(unrevoked).count()
                >= LIVE_MEMBERSHIPS_PER_SUBJECT_MAX
            {
                return Err(too_many_memberships());
            }
        }
        Ok(())
    }

    fn judge_revoke(&self, authority: u32, revoke: &Revoke, brings: &mut Overlay) -> Result<(), Refusal> {
        if let Some(target) = self.target(&revoke.target)? {
            return self.judge_end(authority, revoke, &target, brings);
        }
        if revoke.effect == Effect::Deny {
            return Err(Refusal::of(Code::NotFound, "target", format!("no denial {} is in the log", revoke.target)));
        }
        let waiting = self.base.waiting_of.get(&authority).copied().unwrap_or(0)
            + self.block.waiting().iter().filter(|(_, waiting)| waiting.authority == authority).count();
        if waiting >= WAITING_REVOCATIONS_MAX {
            let detail =
                format!("{WAITING_REVOCATIONS_MAX} revocations of this authority already wait for their targets");
            return Err(Refusal::of(Code::LimitExceeded, "target", detail));
        }
        brings.note_wait(revoke.target, Waiting { authority, index: self.next_leaf() });
        Ok(())
    }

    /// Judges the revocation of an entry that is there, on top of what its record brings so far, and adds what it
    /// brings itself.
    pub(super) fn judge_end(
        &self,
        authority: u32,
        revoke: &Revoke,
        target: &Target<'_>,
        brings: &mut Overlay,
    ) -> Result<(), Refusal> {
        if target.effect != revoke.effect {
            let detail = format!(
                "the target's effect is `{}`, the revocation says `{}`",
                target.effect.as_str(),
                revoke.effect.as_str()
            );
            return Err(Refusal::of(Code::Conflict, "effect", detail));
        }
        if !self.base.authorities.is_self_or_ancestor(authority, target.authority) {
            return Err(not_ones_own());
        }
        // The first one counts.
        if !target.is_revoked && !brings.ends(&revoke.target) {
            let revoked = Revoked { by: self.next_leaf(), height: self.height, at: self.time };
            brings.note_end(revoke.target, target.before, revoked);
            brings.note_change(target.sub, target.obj, self.next_leaf());
            if let Some(access) = target.here {
                brings.note_gone(self.base.authorities.root_of(target.authority), revoke.target, access);
            }
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

    /// A revocation's target, if that is an accepted entry of the log or of this block; nothing if there is no such
    /// record; an error if it is a record of another sort.
    pub(super) fn target(&self, id: &RecordId) -> Result<Option<Target<'_>>, Refusal> {
        let other = || Refusal::of(Code::Conflict, "target", format!("record {id} is no access entry that counts"));
        if let Some(settled) = self.base.settled(id) {
            let ordinal = settled.entry.ok_or_else(other)?;
            let index = &self.base.index;
            let entry = index.entry(ordinal);
            return Ok(Some(Target {
                effect: entry.effect,
                authority: entry.authority,
                before: Some(ordinal),
                is_revoked: entry.revoked.is_some() || self.block.ends(id),
                here: None,
                sub: index.text(entry.sub),
                obj: index.text(entry.obj),
            }));
        }
        let at = self.ids.get(id).or_else(|| self.members.get(id).map(|(at, _)| at));
        let Some(placed) = at.map(|at| &self.placed[*at]) else { return Ok(None) };
        let made = placed.record.signed().entries().find(|made| made.id == *id);
        let Some(Made { access, .. }) = made.filter(|_| placed.is_accepted()) else { return Err(other()) };
        Ok(Some(Target {
            effect: access.effect,
            authority: placed.record.authority,
            before: None,
            is_revoked: self.block.ends(id),
            here: Some(access),
            sub: access.sub.as_str(),
            obj: access.obj.as_str(),
        }))
    }

    /// Whatever waited for this id, its wait is over, also if the id is no grant that counts.
    fn end_wait(&mut self, id: RecordId) {
        self.block.end_wait(id);
        if self.base.waiting.contains_key(&id) {
            self.no_longer_waiting.insert(id);
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
