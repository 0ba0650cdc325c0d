//! Everything that check grants to a subject, and which actions on it.

use alloc::vec::Vec;

use super::candidates::{Candidates, Next};
use super::{Budget, Conditions, is_named_object};
use crate::decision::{Moment, Party, Reach, Reader, Rights};
use crate::index::{Index, Pair, TextId};
use crate::name::Name;

/// An object, or a pattern of objects, and what the subject may do to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Possession {
    /// The object or pattern.
    pub obj: TextId,
    /// The actions: never none.
    pub rights: Rights,
}

/// A search for objects. See the module's doc.
#[derive(Clone, Debug)]
pub struct WhatCan {
    sub: Name,
    /// With its colon.
    type_: Option<alloc::string::String>,
    moment: Moment,
    candidates: Candidates,
    at: Option<TextId>,
    end: TextId,
}

impl WhatCan {
    /// Begins a search for what `sub` can do at `moment`, to objects of type `type_` only if it is given,
    /// with the text `from`: 0, or where an earlier search of the same question and moment ended.
    ///
    /// Costs a step for each object that the subject or one of its roles has an entry on, to some 65,000.
    pub fn new(
        index: &Index,
        sub: Name,
        type_: Option<&str>,
        moment: Moment,
        conditions: Conditions<'_>,
        from: TextId,
    ) -> Self {
        let mut reader = Reader::new(index, &moment, conditions);
        let subject = Party::of_name(&mut reader, &sub);
        let reach = Reach::of(&mut reader, &subject);
        let granted = |pair: &Pair| pair.grants(true).next().map(|_| pair.obj);
        let pairs = reach.bearers().flat_map(|sub| index.pairs_of_sub(sub));
        let candidates = Candidates::of(index, pairs.map(granted));
        let end = TextId::try_from(index.texts()).unwrap_or(TextId::MAX);
        let type_ = type_.map(|type_| [type_, ":"].concat());
        Self { sub, type_, moment, candidates, at: Some(from), end }
    }

    /// Where the search goes on; `None`: it is at its end.
    pub fn at(&self) -> Option<TextId> {
        self.at
    }

    /// Goes on for a step, and adds what was found, patterns too.
    pub fn step(&mut self, index: &Index, conditions: Conditions<'_>, budget: Budget, found: &mut Vec<Possession>) {
        let moment = self.moment;
        let mut reader = Reader::new(index, &moment, conditions);
        let subject = Party::of_name(&mut reader, &self.sub);
        let reach = Reach::of(&mut reader, &subject);
        let before = found.len();
        // To begin is not counted, or a subject with many roles would never get on.
        reader.lookups = 0;
        while let Some(at) = self.at {
            if found.len() - before >= budget.results || reader.lookups >= budget.lookups {
                return;
            }
            match self.candidates.next(index, at, self.end, &mut reader.lookups, budget.lookups) {
                Next::None => self.at = None,
                Next::Later(at) => self.at = Some(at),
                Next::Some(obj) => {
                    self.at = Some(obj + 1);
                    if self.is_of_type(index.text(obj)) && is_named_object(index, obj, moment.height) {
                        let object = Party::on_entries(&mut reader, obj);
                        let rights = reach.rights(&mut reader, &object);
                        if !rights.is_none() {
                            found.push(Possession { obj, rights });
                        }
                    }
                }
            }
        }
    }

    /// `*` is of every type.
    fn is_of_type(&self, text: &str) -> bool {
        self.type_.as_ref().is_none_or(|type_| text.starts_with(type_.as_str()) || text == "*")
    }
}
