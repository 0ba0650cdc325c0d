//! Everything that check grants to a subject, and which actions on it.

use alloc::vec::Vec;

use super::candidates::{Candidates, Walk};
use super::rights::{self, Met};
use super::{Budget, Conditions, Wanted, is_named_object};
use crate::decision::{Moment, Party, Reach, Reader, Rights, Truth};
use crate::index::{Index, Pair, TextId};
use crate::name::{Action, Name};

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
    act: Option<Action>,
    wanted: Wanted,
    moment: Moment,
    walk: Walk,
}

impl WhatCan {
    /// Begins a search for what `sub` can do (`act` alone, if it is given) at `moment` to the objects `wanted`, with the
    /// text `from`: 0, or where an earlier search of the same question and moment ended.
    ///
    /// Costs a step for each object that the subject or one of its roles has an entry on, to some 65,000.
    pub fn new(index: &Index, sub: Name, act: Option<Action>, wanted: Wanted, moment: Moment, from: TextId) -> Self {
        // Whatever a condition says: more are candidates than will be found.
        let mut reader = Reader::new(index, &moment, &|_| Truth::Indeterminate);
        let subject = Party::of_name(&mut reader, &sub);
        let reach = Reach::of(&mut reader, &subject);
        let granted = |pair: &Pair| pair.grants(true).next().map(|_| pair.obj);
        let pairs = reach.bearers().flat_map(|sub| index.pairs_of_sub(sub));
        let candidates = Candidates::of(index, pairs.map(granted));
        Self { sub, act, wanted, moment, walk: Walk::new(index, candidates, from) }
    }

    /// Where the search goes on; `None`: it is at its end.
    pub fn at(&self) -> Option<TextId> {
        self.walk.at()
    }

    /// Goes on for a step, and adds what was found, patterns too.
    pub fn step(&mut self, index: &Index, conditions: Conditions<'_>, budget: Budget, found: &mut Vec<Possession>) {
        let Self { sub, act, wanted, moment, walk } = self;
        let moment = *moment;
        let met = Met::default();
        let see = |_: &str| met.see();
        let mut reader = Reader::new(index, &moment, &see);
        let subject = Party::of_name(&mut reader, sub);
        let reach = Reach::of(&mut reader, &subject);
        let is_reach_conditional = met.take();
        // To begin is not counted, or a subject with many roles would never get on.
        reader.lookups = 0;
        walk.step(&mut reader, budget, found, |reader, obj| {
            if !wanted.includes(index.text(obj)) || !is_named_object(index, obj, moment.height) {
                return None;
            }
            let object = Party::on_entries(reader, obj);
            let parties = ((&subject, sub.as_str()), (&object, index.text(obj)));
            let rights = if let Some(act) = act {
                let mut granted = reach.decide(reader, &object, Some(act)).is_granted();
                if met.take() || is_reach_conditional {
                    granted = rights::is_granted(reader, parties, Some(act), conditions);
                }
                Rights { every: false, actions: granted.then(|| act.as_str().into()).into_iter().collect() }
            } else {
                let rights = reach.rights(reader, &object);
                if met.take() || is_reach_conditional {
                    rights::asked(reader, parties, conditions, moment.height)
                } else {
                    rights
                }
            };
            (!rights.is_none()).then_some(Possession { obj, rights })
        });
    }
}
