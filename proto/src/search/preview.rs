//! What the answers would be if some statements were made: a copy of the index that has taken them in.
//!
//! ```text
//!   index --copy--> judge, insert, judge, insert, ... --> index' --Changes--> who would gain and lose what
//! ```
//!
//! Each statement is judged against what the earlier ones left, as a block judges its records, and what would
//! be refused is left out. What differs before and after is nothing but the statements: both moments are of the
//! instant at which all of them have begun.

use alloc::vec::Vec;

use super::rights;
use super::{Asked, Changes, Conditions};
use crate::decision::{Decision, Moment, Party, Reach, Reader, Rights, Truth, Why};
use crate::hash::Digest;
use crate::index::{Entry, EntryOrdinal, Index, NewEntry, Revoked};
use crate::limits::{LIVE_GRANTS_PER_KEY_MAX, LIVE_MEMBERSHIPS_PER_SUBJECT_MAX};
use crate::name::ActionPattern;
use crate::record::{Access, AtomicSet, Effect, RecordId, SetMember};
use crate::refusal::Refusal;
use crate::state::{State, not_ones_own, too_many_grants, too_many_memberships};
use crate::time::{Interval, LedgerTime};

/// Something that might be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proposed {
    /// A grant or a denial.
    Access(Access),
    /// The end of an entry.
    Revoke(EntryOrdinal),
    /// The end of the entry that the statement at this place of the list makes.
    Withdraw(usize),
    /// Nothing new: the statement is in the log already, as this entry if it counts.
    Known(Option<EntryOrdinal>),
}

/// A copy of the index that has taken statements in.
#[derive(Clone, Debug)]
pub struct Preview {
    /// The copy.
    pub index: Index,
    /// What is known without the statements, at the instant at which all of them have begun.
    pub before: Moment,
    /// The same instant, with them.
    pub after: Moment,
    /// What would be refused, by its place in the list, and why.
    pub refused: Vec<(usize, Refusal)>,
    /// Leaves in the log: entries from here on are proposed.
    pub log_size: u64,
    /// The entry that each statement made, or had made before.
    made: Vec<Option<EntryOrdinal>>,
}

/// Why a statement by itself changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remark {
    /// It is in the log already.
    Known,
    /// What it says holds without it: its grant is granted, its denial denied.
    Covered,
    /// Its grant is denied all the same: by these denials of the log, or, if there are none, by the list itself.
    Denied(Vec<RecordId>),
    /// It has ended by then; or what it is to end has ended already.
    Over,
}

impl State {
    /// A copy of the index in which `authority` has said all of `proposed`, in one more block of time `time`, and
    /// the two moments between which nothing differs but that: the instant at which all of it has begun, and
    /// what is known without it and with it.
    ///
    /// What a block of that time would refuse is left out: for its authority's scope, for a bound on live entries, or
    /// because its target is not the authority's own. Signatures, conditions, and how many records a block takes are
    /// not looked at. Costs a copy of the index.
    pub fn preview(&self, authority: u32, proposed: &[Proposed], time: LedgerTime) -> Preview {
        let (tip, log_size) = (self.tip(), self.log().size());
        let (height, added) = (tip.height + 1, time.max(tip.time.saturating_add_millis(1)));
        let mut index = self.index().clone();
        let mut instant = added;
        let mut made = Vec::with_capacity(proposed.len());
        let mut refused = Vec::new();
        let root = self.authorities().root_of(authority);
        for (leaf, proposed) in (log_size..).zip(proposed) {
            if let Err(refusal) = self.judge(&index, authority, proposed, added) {
                refused.push((made.len(), refusal));
                made.push(None);
                continue;
            }
            let revoked = Revoked { by: leaf, height, at: added };
            made.push(match proposed {
                Proposed::Access(access) => {
                    instant = instant.max(access.iss.unwrap_or(added));
                    let id = RecordId(Digest::of(&[b"proposed", &leaf.to_le_bytes()]));
                    let (at, member) = (leaf, None);
                    let new = NewEntry { id, access, index: at, member, height, added, authority, root, signers: 0 };
                    Some(index.insert(new))
                }
                Proposed::Revoke(entry) => {
                    index.revoke(*entry, revoked);
                    None
                }
                Proposed::Withdraw(at) => {
                    if let Some(Some(entry)) = made.get(*at).copied() {
                        index.revoke(entry, revoked);
                    }
                    None
                }
                Proposed::Known(entry) => *entry,
            });
        }
        index.advance(added);
        let moment = |height| Moment { interval: Interval::at(instant), height };
        Preview { index, before: moment(tip.height), after: moment(height), refused, log_size, made }
    }

    /// The same of one atomic set: all of it, or why a block would refuse it.
    ///
    /// # Errors
    /// What the next block would say of it, except of its signatures and `submit_by`.
    pub fn preview_set(&self, authority: u32, set: &AtomicSet, time: LedgerTime) -> Result<Preview, Refusal> {
        let time = time.max(self.tip().time.saturating_add_millis(1));
        self.admit_set(authority, set, time)?;
        let proposed = |member: &SetMember| match member {
            SetMember::Access(access) => Proposed::Access(access.clone()),
            // What is judged good has its targets in the log.
            SetMember::Revoke(revoke) => {
                self.index().by_id(&revoke.target).map_or(Proposed::Known(None), Proposed::Revoke)
            }
        };
        let members: Vec<Proposed> = set.members.iter().map(proposed).collect();
        Ok(self.preview(authority, &members, time))
    }

    /// What a block would say, as far as it depends on the authority and on the entries so far.
    fn judge(&self, index: &Index, authority: u32, proposed: &Proposed, time: LedgerTime) -> Result<(), Refusal> {
        match proposed {
            Proposed::Access(access) => {
                if let Some(speaker) = self.authorities().get(authority) {
                    speaker.scope.permits(access, time)?;
                }
                let is_bounded = access.effect == Effect::Grant && access.exp.is_none_or(|exp| exp > time);
                let root = self.authorities().root_of(authority);
                if is_bounded && index.live_grants(root, access, time).count() >= LIVE_GRANTS_PER_KEY_MAX {
                    return Err(too_many_grants());
                }
                let is_member = is_bounded && access.is_membership();
                if is_member && index.live_memberships(root, access, time).count() >= LIVE_MEMBERSHIPS_PER_SUBJECT_MAX {
                    return Err(too_many_memberships());
                }
                Ok(())
            }
            Proposed::Revoke(entry) if !self.is_own(authority, index.entry(*entry).authority) => Err(not_ones_own()),
            Proposed::Revoke(_) | Proposed::Withdraw(_) | Proposed::Known(_) => Ok(()),
        }
    }

    fn is_own(&self, authority: u32, target: u32) -> bool {
        self.authorities().is_self_or_ancestor(authority, target)
    }
}

impl Preview {
    /// The search for what the statements would change, on [`Preview::index`].
    pub fn changes(&self) -> Changes {
        Changes::new(&self.index, self.before, self.after, (0, 0))
    }

    /// Why one of the statements that were taken in changes nothing by itself, if that is so. Costs a few decisions.
    pub fn remark(&self, proposed: &Proposed, conditions: Conditions<'_>) -> Option<Remark> {
        match proposed {
            Proposed::Access(access) => self.remark_access(access, conditions),
            Proposed::Revoke(entry) => self.was_over(*entry).then_some(Remark::Over),
            Proposed::Withdraw(at) => {
                let was_over = self.made.get(*at).copied().flatten().is_some_and(|entry| self.was_over(entry));
                was_over.then_some(Remark::Over)
            }
            Proposed::Known(_) => Some(Remark::Known),
        }
    }

    /// Whether an entry of the log has ended without the statements.
    fn was_over(&self, entry: EntryOrdinal) -> bool {
        let entry = self.index.entry(entry);
        let revoked = entry.revoked.is_some_and(|revoked| revoked.height <= self.before.height);
        revoked || entry.end.is_some_and(|end| end <= self.before.interval.lo())
    }

    fn remark_access(&self, access: &Access, conditions: Conditions<'_>) -> Option<Remark> {
        if access.exp.is_some_and(|exp| exp <= self.after.interval.lo()) {
            return Some(Remark::Over);
        }
        match access.effect {
            Effect::Deny => {
                // One in doubt may be none for who tells more.
                let (_, denied) = self.answer(access, &self.before, conditions, Truth::False)?;
                (!denied.is_empty()).then_some(Remark::Covered)
            }
            Effect::Grant => {
                let (before, _) = self.answer(access, &self.before, conditions, Truth::Indeterminate)?;
                let (after, denied_after) = self.answer(access, &self.after, conditions, Truth::Indeterminate)?;
                let granted = |rights: &Rights| match &access.act {
                    ActionPattern::Any => rights.every,
                    ActionPattern::Exact(action) => rights.grants(action.as_str()),
                };
                let adds_nothing = access.act.as_exact().is_some() || after.without(&before).is_none();
                if granted(&before) && granted(&after) && adds_nothing {
                    return Some(Remark::Covered);
                }
                let is_of_the_log = |id: &&RecordId| self.entry(id).is_some_and(|entry| entry.index < self.log_size);
                let ids = || denied_after.iter().filter(is_of_the_log).copied().collect();
                (!granted(&after) && !denied_after.is_empty()).then(|| Remark::Denied(ids()))
            }
        }
    }

    /// What the subject of a statement may do to its object, and the denials that stand against its very action, where
    /// conditions that cannot be evaluated count as `in_doubt`.
    fn answer(
        &self,
        access: &Access,
        moment: &Moment,
        conditions: Conditions<'_>,
        in_doubt: Truth,
    ) -> Option<(Rights, Vec<RecordId>)> {
        let index = &self.index;
        let (sub, obj) = (index.text_id(access.sub.as_str())?, index.text_id(access.obj.as_str())?);
        let asked = Asked { sub: index.text(sub), act: access.act.as_exact(), obj: index.text(obj) };
        let truth = |text: &str| match conditions(&asked, text).truth {
            Truth::Indeterminate => in_doubt,
            truth => truth,
        };
        let mut reader = Reader::new(index, moment, &truth);
        let subject = Party::on_entries(&mut reader, sub);
        let object = Party::on_entries(&mut reader, obj);
        let rights =
            rights::asked(&mut reader, ((&subject, asked.sub), (&object, asked.obj)), conditions, self.after.height);
        let reach = Reach::of(&mut reader, &subject);
        let Decision { why, ids, .. } = reach.decide(&mut reader, &object, asked.act);
        let denies = |id: &RecordId| {
            self.entry(id).is_some_and(|entry| {
                let act = index.text(entry.act);
                entry.effect == Effect::Deny && (act == ActionPattern::ANY || act == access.act.as_str())
            })
        };
        let decided = matches!(why, Why::Deny | Why::Indeterminate);
        let denials = ids.into_iter().filter(|id| decided && denies(id)).collect();
        Some((rights, denials))
    }

    fn entry(&self, id: &RecordId) -> Option<Entry<'_>> {
        self.index.by_id(id).map(|ordinal| self.index.entry(ordinal))
    }
}
