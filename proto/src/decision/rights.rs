//! Which actions a subject may do to an object: the answers to all questions about the two at once.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;

use super::{Found, Party, Reach, Reader, Truth};
use crate::index::TextId;
use crate::name::Action;

/// The actions that decisions on one subject and one object grant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// Whether every action is granted, also those that no entry names, but for `actions`.
    pub every: bool,
    /// The exceptions, if `every`; else the granted actions. `member` is an exception on what may be a role,
    /// unless it is granted by name: `*` never confers membership.
    pub actions: BTreeSet<Box<str>>,
}

impl Rights {
    /// Whether no action is granted.
    pub fn is_none(&self) -> bool {
        !self.every && self.actions.is_empty()
    }

    /// Whether this action is granted.
    pub fn grants(&self, action: &str) -> bool {
        self.every != self.actions.contains(action)
    }

    /// What is granted here and not by `other`.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let (own, theirs) = (&self.actions, &other.actions);
        let (every, actions) = match (self.every, other.every) {
            (true, true) => (false, theirs - own),
            (true, false) => (true, own | theirs),
            (false, true) => (false, own & theirs),
            (false, false) => (false, own - theirs),
        };
        Self { every, actions }
    }
}

impl Reach {
    /// What a decision on `object` would grant, action by action. Agrees with [`Reach::decide`] for every one; `member` only
    /// counts on a role, which is for the caller to see.
    pub(crate) fn rights(&self, reader: &mut Reader<'_>, object: &Party<'_>) -> Rights {
        let found = self.find(reader, object);
        if found.is_empty() {
            return Rights::default();
        }
        let index = reader.index;
        let any = index.any();
        let is_any = |actions: &BTreeSet<TextId>| any.is_some_and(|any| actions.contains(&any));
        let denied = denied_actions(reader, &found);
        if is_any(&denied) {
            return Rights::default();
        }
        let granted = self.granted_actions(reader, &found, object);
        let every = is_any(&granted);
        let mut actions: BTreeSet<Box<str>> =
            (if every { denied } else { &granted - &denied }).into_iter().map(|act| index.text(act).into()).collect();
        let is_member = index.text_id(Action::MEMBER).is_some_and(|member| granted.contains(&member));
        if every && object.may_be_role() && !is_member {
            actions.insert(Action::MEMBER.into());
        }
        Rights { every, actions }
    }

    /// The actions that entries between the subject and `object` name, `*` too. The reader's conditions see those of
    /// all these entries.
    pub(crate) fn named_actions(&self, reader: &mut Reader<'_>, object: &Party<'_>) -> BTreeSet<Box<str>> {
        let found = self.find(reader, object);
        let entries = found.iter().flat_map(|found| {
            let Found { pair, .. } = found;
            pair.grants(reader.with_past).chain(pair.denials(reader.with_past))
        });
        let entries = entries.map(|ordinal| reader.index.slot(ordinal));
        entries.inspect(|entry| _ = reader.truth(entry)).map(|entry| reader.index.text(entry.act).into()).collect()
    }

    fn granted_actions(&self, reader: &Reader<'_>, found: &[Found<'_>], object: &Party<'_>) -> BTreeSet<TextId> {
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

fn denied_actions(reader: &Reader<'_>, found: &[Found<'_>]) -> BTreeSet<TextId> {
    let entries = found.iter().flat_map(|found| found.pair.denials(reader.with_past));
    let applies = |ordinal| {
        let entry = reader.index.slot(ordinal);
        (reader.holds_somewhere(entry) && reader.truth(entry) != Truth::False).then_some(entry.act)
    };
    entries.filter_map(applies).collect()
}
