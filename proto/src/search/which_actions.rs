//! Every action that check grants to a subject on an object.

use alloc::vec::Vec;

use super::candidates::{Candidates, Walk};
use super::{Asked, Budget, Conditions, Evaluating};
use crate::decision::{Moment, Party, Reach, Reader, Truth};
use crate::index::{Index, TextId};
use crate::name::{Action, ActionPattern, Name};

/// A search for actions. See the module's doc.
///
/// Where every action is granted, these are the actions that some entry known at the moment names, whatever it is
/// about.
#[derive(Clone, Debug)]
pub struct WhichActions {
    sub: Name,
    obj: Name,
    moment: Moment,
    walk: Walk,
}

impl WhichActions {
    /// Begins a search for what `sub` can do to `obj` at `moment`, with the text `from`: 0, or where an earlier search
    /// of the same question and moment ended.
    ///
    /// Costs a step for each action of an entry between the two; where one is of every action, for each of the log, to
    /// some 65,000.
    pub fn new(index: &Index, sub: Name, obj: Name, moment: Moment, from: TextId) -> Self {
        // Whatever a condition says: more are candidates than will be found.
        let mut reader = Reader::new(index, &moment, &|_| Truth::Indeterminate);
        let (subject, object) = (Party::of_name(&mut reader, &sub), Party::of_name(&mut reader, &obj));
        let named = Reach::of(&mut reader, &subject).named_actions(&mut reader, &object);
        let candidates = if named.contains(ActionPattern::ANY) {
            Candidates::of(index, index.actions().map(Some))
        } else {
            Candidates::of(index, named.iter().map(|act| index.text_id(act)))
        };
        Self { sub, obj, moment, walk: Walk::new(index, candidates, from) }
    }

    /// Where the search goes on; `None`: it is at its end.
    pub fn at(&self) -> Option<TextId> {
        self.walk.at()
    }

    /// Goes on for a step, and adds the actions found.
    pub fn step(&mut self, index: &Index, conditions: Conditions<'_>, budget: Budget, found: &mut Vec<TextId>) {
        let Self { sub, obj, moment, walk } = self;
        let moment = *moment;
        // Each action is asked about with conditions of its own.
        let mut reader = Reader::new(index, &moment, &|_| Truth::Indeterminate);
        let (subject, object) = (Party::of_name(&mut reader, sub), Party::of_name(&mut reader, obj));
        reader.lookups = 0;
        walk.step(&mut reader, budget, found, |reader, text| {
            index.action_since(text).filter(|since| *since <= moment.height)?;
            let act = Action::parse(index.text(text)).ok()?;
            let asked = Asked { sub: sub.as_str(), act: Some(&act), obj: obj.as_str() };
            let evaluating = Evaluating::of(conditions, asked);
            let truth = |text: &str| evaluating.truth(text);
            let mut own = reader.under(&truth);
            let is_granted = Reach::of(&mut own, &subject).decide(&mut own, &object, Some(&act)).is_granted();
            reader.lookups += own.lookups + evaluating.lookups();
            is_granted.then_some(text)
        });
    }
}
