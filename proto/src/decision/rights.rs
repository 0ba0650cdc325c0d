//! Which actions a subject may do to an object: the answers to all questions about the two at once.

use alloc::collections::BTreeSet;

use super::{Found, Party, Reach, Reader, Truth};
use crate::index::TextId;
use crate::name::{Action, ActionPattern};
use crate::record::Effect;

/// The actions that a decision would grant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rights {
    /// Whether every action is granted, also those that no entry names, but for `actions`.
    pub(crate) every: bool,
    /// The exceptions, if `every`; else the granted actions.
    pub(crate) actions: BTreeSet<TextId>,
    /// Whether `member` is not granted though `every` is: no entry that says `*` confers membership.
    pub(crate) but_member: bool,
}

impl Rights {
    /// Whether no action is granted.
    pub(crate) fn is_none(&self) -> bool {
        !self.every && self.actions.is_empty()
    }
}

impl Reach {
    /// What a decision on `object` would grant, action by action. Agrees with [`Reach::decide`] for every one.
    pub(crate) fn rights(&self, reader: &mut Reader<'_>, object: &Party) -> Rights {
        let found = self.find(reader, object);
        // Nearly all objects that one looks at in a search bear no grant of this subject.
        if found.is_empty() {
            return Rights::default();
        }
        let denied = self.denied_actions(reader, &found);
        let any = reader.index.text_id(ActionPattern::ANY);
        if any.is_some_and(|any| denied.contains(&any)) {
            return Rights::default();
        }
        let granted = self.granted_actions(reader, &found, object);
        if !any.is_some_and(|any| granted.contains(&any)) {
            return Rights { every: false, actions: &granted - &denied, but_member: false };
        }
        let member = reader.index.text_id(Action::MEMBER);
        let is_member = member.is_some_and(|member| granted.contains(&member));
        // `member` is an action on roles alone; elsewhere nobody asks for it.
        let already = member.is_some_and(|member| denied.contains(&member));
        Rights { every: true, actions: denied, but_member: object.may_be_role() && !is_member && !already }
    }

    fn denied_actions(&self, reader: &Reader<'_>, found: &[Found<'_>]) -> BTreeSet<TextId> {
        let entries = found.iter().flat_map(|found| found.pair.denials(reader.with_past));
        let slots = entries.map(|ordinal| reader.index.slot(ordinal));
        slots
            .filter(|entry| reader.holds_somewhere(entry) && reader.truth(entry) != Truth::False)
            .inspect(|entry| debug_assert_eq!(entry.effect, Effect::Deny))
            .map(|entry| entry.act)
            .collect()
    }

    fn granted_actions(&self, reader: &Reader<'_>, found: &[Found<'_>], object: &Party) -> BTreeSet<TextId> {
        let narrow = self.narrow();
        let member = reader.index.text_id(Action::MEMBER);
        let mut granted = BTreeSet::new();
        for Found { bearer, obj, pair } in found {
            if narrow.nearest(&self.wide, &self.wide.bearers()[*bearer]).is_none() {
                continue;
            }
            for ordinal in pair.grants(reader.with_past) {
                let entry = reader.index.slot(ordinal);
                let confers = Some(entry.act) != member || object.own == Some(*obj);
                if confers
                    && !self.wide.is_cut(reader.index.root_of(entry))
                    && reader.holds_throughout(entry)
                    && reader.truth(entry) == Truth::True
                {
                    granted.insert(entry.act);
                }
            }
        }
        granted
    }
}
