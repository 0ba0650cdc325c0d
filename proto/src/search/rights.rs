//! What a subject may do to an object, where conditions look at the question itself.
//!
//! A closure is walked once for many objects, and an entry is looked at once for many actions: that is right only while
//! no condition is met, since one condition may be true for one question and false for the next. So the usual way is
//! gone first, with an eye on conditions; where one was met, each action that some entry names is asked by itself.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::format;
use core::cell::Cell;

use super::{Asked, Conditions};
use crate::decision::{Party, Reach, Reader, Rights, Truth};
use crate::index::Index;
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

/// The rights of `subject` on `object`, action by action. `reader` has the moment; its conditions are not asked.
pub(super) fn asked(
    reader: &mut Reader<'_>,
    (subject, sub): (&Party<'_>, &str),
    (object, obj): (&Party<'_>, &str),
    conditions: Conditions<'_>,
) -> Rights {
    let blind = |_: &str| Truth::Indeterminate;
    let mut wide = reader.under(&blind);
    let named = Reach::of(&mut wide, subject).named_actions(&mut wide, object);
    reader.lookups += wide.lookups;
    let unheard = unheard_of(reader.index);
    let mut grants = |act: Option<&Action>| {
        let question = Asked { sub, act, obj };
        let truth = |text: &str| conditions(&question, text);
        let mut own = reader.under(&truth);
        let granted = Reach::of(&mut own, subject).decide(&mut own, object, act.or(unheard.as_ref())).is_granted();
        reader.lookups += own.lookups;
        granted
    };
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
