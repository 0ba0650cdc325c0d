//! What a subject may do to an object, where conditions look at the question itself.
//!
//! A closure is walked once for many objects, and an entry is looked at once for many actions: that is right only while
//! no condition is met, since one condition may be true for one question and false for the next. So the usual way is
//! gone first, with an eye on conditions; where one was met, each action that an entry between the two names is asked by
//! itself, and each that any entry names, where conditions look at the action and one of the entries is on every action.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::vec::Vec;
use core::cell::Cell;

use super::{Asked, Conditions, Evaluating};
use crate::decision::{Party, Reach, Reader, Rights, Truth};
use crate::index::{Index, TextId};
use crate::name::{Action, ActionPattern};

/// Sees whether a condition is met, and evaluates none.
#[derive(Debug, Default)]
pub(super) struct Met(Cell<bool>);

impl Met {
    /// In the place of conditions.
    pub(super) fn see(&self) -> Truth {
        self.0.set(true);
        Truth::Indeterminate
    }

    /// Whether one was met since this was asked last.
    pub(super) fn take(&self) -> bool {
        self.0.take()
    }
}

/// An action that no entry names.
fn unheard_of(index: &Index) -> Option<Action> {
    (0..)
        .map(|n| format!("unheard-of-{n}"))
        .find(|text| index.text_id(text).is_none())
        .and_then(|text| Action::parse(&text).ok())
}

/// Where the log named more actions than this by then, an entry on every action whose condition looks at the action is asked
/// only about those that stand between subject and object: to ask about all would hold everybody up.
const ACTIONS_ASKED_MAX: usize = 1_024;

/// Whether a condition can be true for one action and not for another: it would have to spell the variable's name.
fn may_look_at_action(text: &str) -> bool {
    text.contains("action")
}

/// A subject and an object, each with its text.
type Parties<'a> = ((&'a Party<'a>, &'a str), (&'a Party<'a>, &'a str));

/// Whether the subject may do `act` (none: one that no entry names) to the object. `reader` has the moment; its
/// conditions are not asked.
pub(super) fn is_granted(
    reader: &mut Reader<'_>,
    ((subject, sub), (object, obj)): Parties<'_>,
    act: Option<&Action>,
    conditions: Conditions<'_>,
) -> bool {
    let unheard = if act.is_none() { unheard_of(reader.index) } else { None };
    let evaluating = Evaluating::of(conditions, Asked { sub, act, obj });
    let truth = |text: &str| evaluating.truth(text);
    let mut own = reader.under(&truth);
    let granted = Reach::of(&mut own, subject).decide(&mut own, object, act.or(unheard.as_ref())).is_granted();
    reader.lookups += own.lookups + evaluating.lookups();
    granted
}

/// The rights of the subject on the object, action by action: of those actions that entries of height `named_by` or
/// before name. `reader` has the moment; its conditions are not asked. What is compared must be of the same actions, so
/// that of an earlier moment is not of those alone that were named by then.
pub(super) fn asked(
    reader: &mut Reader<'_>,
    parties: Parties<'_>,
    conditions: Conditions<'_>,
    named_by: u64,
) -> Rights {
    let ((subject, _), (object, _)) = parties;
    let by_action = Cell::new(false);
    let blind = |text: &str| {
        by_action.set(by_action.get() || may_look_at_action(text));
        Truth::Indeterminate
    };
    let mut wide = reader.under(&blind);
    let mut named = Reach::of(&mut wide, subject).named_actions(&mut wide, object);
    reader.lookups += wide.lookups;
    let index = reader.index;
    if by_action.get() && named.contains(ActionPattern::ANY) {
        // What an entry gives or takes on every action may then be another thing for each.
        let known = index.actions().filter(|act| index.action_since(*act).is_some_and(|since| since <= named_by));
        let known: Vec<TextId> = known.take(ACTIONS_ASKED_MAX + 1).collect();
        if known.len() <= ACTIONS_ASKED_MAX {
            let known = known.into_iter().map(|act| index.text(act));
            // What is no role has no members, and nobody asks for any.
            named.extend(known.filter(|act| *act != Action::MEMBER || object.may_be_role()).map(Box::from));
        }
    }
    let mut grants = |act: Option<&Action>| is_granted(reader, parties, act, conditions);
    // Actions that no entry names stand and fall together; conditions do not learn which it is.
    let every = grants(None);
    let mut actions: BTreeSet<Box<str>> = BTreeSet::new();
    let member = (every && object.may_be_role()).then_some(Action::MEMBER);
    let named = named.iter().map(AsRef::as_ref).filter(|act| *act != ActionPattern::ANY);
    for text in named.chain(member) {
        let Ok(act) = Action::parse(text) else { continue };
        if grants(Some(&act)) != every {
            actions.insert(text.into());
        }
    }
    Rights { every, actions }
}
