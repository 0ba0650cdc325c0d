//! Everybody to whom check grants an action on an object.

use alloc::vec::Vec;

use super::candidates::{Candidates, Next};
use super::{Budget, Conditions, is_named_subject, is_pattern};
use crate::decision::{Moment, Party, Reach, Reader};
use crate::index::{Index, Pair, TextId};
use crate::name::{Action, Name};

/// A search for subjects. See the module's doc.
#[derive(Clone, Debug)]
pub struct WhoCan {
    obj: Name,
    act: Option<Action>,
    moment: Moment,
    candidates: Candidates,
    at: Option<TextId>,
    end: TextId,
}

impl WhoCan {
    /// Begins a search for those who can do `act` (`None`: every action) to `obj` at `moment`, with the text
    /// `from`: 0, or where an earlier search of the same question and moment ended.
    ///
    /// Costs a step for each subject of an entry on the object, and for each member behind it, to some 65,000.
    pub fn new(index: &Index, obj: Name, act: Option<Action>, moment: Moment, from: TextId) -> Self {
        let mut objects = Vec::new();
        index.covering(obj.as_str(), |text| objects.push(text));
        let granted = |pair: &Pair| pair.grants(true).next().map(|_| pair.sub);
        let pairs = objects.into_iter().flat_map(|obj| index.pairs_of_obj(obj));
        let candidates = Candidates::behind(index, pairs.map(granted));
        let end = TextId::try_from(index.texts()).unwrap_or(TextId::MAX);
        Self { obj, act, moment, candidates, at: Some(from), end }
    }

    /// Where the search goes on; `None`: it is at its end.
    pub fn at(&self) -> Option<TextId> {
        self.at
    }

    /// Goes on for a step, and adds the subjects found, patterns too.
    pub fn step(&mut self, index: &Index, conditions: Conditions<'_>, budget: Budget, found: &mut Vec<TextId>) {
        let moment = self.moment;
        let mut reader = Reader::new(index, &moment, conditions);
        let object = Party::of_name(&mut reader, &self.obj);
        let before = found.len();
        while let Some(at) = self.at {
            if found.len() - before >= budget.results || reader.lookups >= budget.lookups {
                return;
            }
            match self.candidates.next(index, at, self.end, &mut reader.lookups, budget.lookups) {
                Next::None => self.at = None,
                Next::Later(at) => self.at = Some(at),
                Next::Some(text) => {
                    self.at = Some(text + 1);
                    if is_named_subject(index, text, moment.height)
                        && Reach::of_text(&mut reader, text)
                            .decide(&mut reader, &object, self.act.as_ref())
                            .is_granted()
                    {
                        found.push(text);
                    }
                }
            }
        }
    }
}

impl Reach {
    /// What a text on entries reaches: a name, or any name below a pattern.
    pub(super) fn of_text(reader: &mut Reader<'_>, text: TextId) -> Self {
        let subject = Party::on_entries(reader, text);
        Self::of(reader, &subject)
    }
}

impl Party {
    /// A text on entries: a name, or any name below a pattern.
    pub(super) fn on_entries(reader: &mut Reader<'_>, text: TextId) -> Self {
        let text = reader.index.text(text);
        if is_pattern(text) { Self::below(reader, text) } else { Self::of_text(reader, text) }
    }
}
