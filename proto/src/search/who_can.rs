//! Everybody to whom check grants an action on an object.

use alloc::vec::Vec;

use super::candidates::{Candidates, Walk};
use super::{Asked, Budget, Conditions, Evaluating, Wanted, is_named_subject, is_pattern};
use crate::decision::{Moment, Party, Reach, Reader, Truth};
use crate::index::{Index, Pair, TextId};
use crate::name::{Action, Name};

/// A search for subjects. See the module's doc.
#[derive(Clone, Debug)]
pub struct WhoCan {
    obj: Name,
    act: Option<Action>,
    wanted: Wanted,
    moment: Moment,
    walk: Walk,
}

impl WhoCan {
    /// Begins a search for those `wanted` who can do `act` (`None`: every action) to `obj` at `moment`, with the text
    /// `from`: 0, or where an earlier search of the same question and moment ended.
    ///
    /// Costs a step for each subject of an entry on the object, and for each member behind it, to some 65,000.
    pub fn new(index: &Index, obj: Name, act: Option<Action>, wanted: Wanted, moment: Moment, from: TextId) -> Self {
        let mut objects = Vec::new();
        index.covering(obj.as_str(), |text| objects.push(text));
        let granted = |pair: &Pair| pair.grants(true).next().map(|_| pair.sub);
        let pairs = objects.into_iter().flat_map(|obj| index.pairs_of_obj(obj));
        let candidates = Candidates::behind(index, pairs.map(granted));
        Self { obj, act, wanted, moment, walk: Walk::new(index, candidates, from) }
    }

    /// Where the search goes on; `None`: it is at its end.
    pub fn at(&self) -> Option<TextId> {
        self.walk.at()
    }

    /// Goes on for a step, and adds the subjects found, patterns too.
    pub fn step(&mut self, index: &Index, conditions: Conditions<'_>, budget: Budget, found: &mut Vec<TextId>) {
        let Self { obj, act, wanted, moment, walk } = self;
        let moment = *moment;
        // Each candidate is asked about with conditions of its own.
        let mut reader = Reader::new(index, &moment, &|_| Truth::Indeterminate);
        let object = Party::of_name(&mut reader, obj);
        walk.step(&mut reader, budget, found, |reader, text| {
            if !wanted.includes(index.text(text)) || !is_named_subject(index, text, moment.height) {
                return None;
            }
            let asked = Asked { sub: index.text(text), act: act.as_ref(), obj: obj.as_str() };
            let evaluating = Evaluating::of(conditions, asked);
            let truth = |text: &str| evaluating.truth(text);
            let mut own = reader.under(&truth);
            let is_granted = Reach::of_text(&mut own, text).decide(&mut own, &object, act.as_ref()).is_granted();
            reader.lookups += own.lookups + evaluating.lookups();
            is_granted.then_some(text)
        });
    }
}

impl Reach {
    /// What a text on entries reaches: a name, or any name below a pattern.
    pub(super) fn of_text(reader: &mut Reader<'_>, text: TextId) -> Self {
        let subject = Party::on_entries(reader, text);
        Self::of(reader, &subject)
    }
}

impl<'a> Party<'a> {
    /// A text on entries: a name, or any name below a pattern.
    pub(super) fn on_entries(reader: &mut Reader<'a>, text: TextId) -> Self {
        let text = reader.index.text(text);
        if is_pattern(text) { Self::below(reader, text) } else { Self::of_text(reader, text) }
    }
}
