//! What records bring on top of a state: those of the block so far, or the one that is being judged.
//!
//! A record is judged wholly before any of it is taken over, so one that may not stand in the block leaves no trace,
//! however many members of its set were good.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use super::Waiting;
use crate::index::{EntryOrdinal, Revoked};
use crate::record::{Access, RecordId};

/// Entries that are ended, by id.
type Ends = Vec<(RecordId, Revoked)>;

/// Revocations that wait, by target, in the order of the log.
type Waits = Vec<(RecordId, Waiting)>;

/// Root, subject, object, action.
type GrantKey = (u32, String, String, String);

#[derive(Debug, Default)]
pub(super) struct Overlay {
    /// Accepted grants that have not ended by themselves, nor by an earlier record.
    grants: BTreeMap<GrantKey, Vec<RecordId>>,
    /// Those among them that are memberships, by root and subject.
    memberships: BTreeMap<(u32, String), Vec<RecordId>>,
    /// Grants of earlier records that this one ends.
    gone: Vec<(GrantKey, RecordId)>,
    /// Entries that are ended, and those among them that earlier blocks brought, by ordinal.
    revoked: BTreeMap<RecordId, Revoked>,
    revoked_before: BTreeSet<EntryOrdinal>,
    /// The last leaf that changed something on a subject and object.
    changed: BTreeMap<(String, String), u64>,
    now_waiting: Waits,
}

impl Overlay {
    /// Takes in what came after this.
    pub(super) fn merge(&mut self, later: Self) {
        for (key, ids) in later.grants {
            self.grants.entry(key).or_default().extend(ids);
        }
        for (key, ids) in later.memberships {
            self.memberships.entry(key).or_default().extend(ids);
        }
        self.revoked.extend(later.revoked);
        self.revoked_before.extend(later.revoked_before);
        self.changed.extend(later.changed);
        self.now_waiting.extend(later.now_waiting);
        // Kept, the dead would be looked at for each grant to come, and a block can hold thousands of them on one key.
        for (key, id) in later.gone {
            let membership = (key.0, key.1.clone());
            for list in [self.grants.get_mut(&key), self.memberships.get_mut(&membership)].into_iter().flatten() {
                list.retain(|own| *own != id);
            }
        }
    }

    pub(super) fn note_grant(&mut self, root: u32, id: RecordId, access: &Access) {
        self.grants.entry(grant_key(root, access)).or_default().push(id);
        if access.is_membership() {
            self.memberships.entry((root, access.sub.as_str().into())).or_default().push(id);
        }
    }

    /// Notes that the leaf `index` changed something on these two.
    pub(super) fn note_change(&mut self, sub: &str, obj: &str, index: u64) {
        self.changed.insert((sub.into(), obj.into()), index);
    }

    /// Notes the end of an entry; `before` is its ordinal, if an earlier block brought it.
    pub(super) fn note_end(&mut self, id: RecordId, before: Option<EntryOrdinal>, revoked: Revoked) {
        self.revoked.insert(id, revoked);
        self.revoked_before.extend(before);
    }

    /// Notes that a grant of an earlier record of the block is over.
    pub(super) fn note_gone(&mut self, root: u32, id: RecordId, access: &Access) {
        self.gone.push((grant_key(root, access), id));
    }

    pub(super) fn note_wait(&mut self, target: RecordId, waiting: Waiting) {
        self.now_waiting.push((target, waiting));
    }

    pub(super) fn end_wait(&mut self, target: RecordId) {
        self.now_waiting.retain(|(waited_for, _)| *waited_for != target);
    }

    /// The grants on exactly this key, also those that the record which is being judged ends.
    pub(super) fn grants(&self, root: u32, access: &Access) -> &[RecordId] {
        self.grants.get(&grant_key(root, access)).map_or(&[], Vec::as_slice)
    }

    /// The memberships of exactly this subject, also those that the record which is being judged ends.
    pub(super) fn memberships(&self, root: u32, access: &Access) -> &[RecordId] {
        self.memberships.get(&(root, access.sub.as_str().into())).map_or(&[], Vec::as_slice)
    }

    pub(super) fn ends(&self, id: &RecordId) -> bool {
        self.revoked.contains_key(id)
    }

    pub(super) fn ends_before(&self, ordinal: EntryOrdinal) -> bool {
        self.revoked_before.contains(&ordinal)
    }

    pub(super) fn changed(&self, sub: &str, obj: &str) -> Option<u64> {
        self.changed.get(&(sub.into(), obj.into())).copied()
    }

    /// Revocations that wait for a target, in the order of the log.
    pub(super) fn waiting(&self) -> &[(RecordId, Waiting)] {
        &self.now_waiting
    }

    /// What a block's changes keep of it.
    pub(super) fn finish(self) -> (Ends, Waits) {
        (self.revoked.into_iter().collect(), self.now_waiting)
    }
}

fn grant_key(root: u32, access: &Access) -> GrantKey {
    (root, access.sub.as_str().into(), access.obj.as_str().into(), access.act.as_str().into())
}
