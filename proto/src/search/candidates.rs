//! Which texts a search has to look at: a superset of what it will find.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::{Budget, is_pattern, is_role};
use crate::decision::Reader;
use crate::index::{Index, Pair, TextId};
use crate::name::{Action, covers_text};
use crate::record::may_cover_role;

/// Beyond so many look-ups a search looks at all texts instead, in steps: to list them would hold everybody up.
const LISTED_MAX: usize = 65_536;

/// Texts, with all that the patterns among them cover.
#[derive(Clone, Debug)]
pub(super) struct Candidates {
    /// `None`: all texts.
    listed: Option<BTreeSet<TextId>>,
    /// Whether there are patterns among them, which bring in everything below them.
    has_patterns: bool,
}

impl Candidates {
    const ALL: Self = Self { listed: None, has_patterns: true };

    /// These texts and, where one is a pattern, all that it covers. What is none was looked at in vain; it counts too,
    /// so that to list is bounded.
    pub(super) fn of(index: &Index, texts: impl IntoIterator<Item = Option<TextId>>) -> Self {
        let mut listed = BTreeSet::new();
        for (looked, text) in texts.into_iter().enumerate() {
            if looked == LISTED_MAX {
                return Self::ALL;
            }
            listed.extend(text);
        }
        let has_patterns = listed.iter().any(|text| is_pattern(index.text(*text)));
        Self { listed: Some(listed), has_patterns }
    }

    /// These subjects, and all that ever were members of them, or of roles below them, over any membership:
    /// whoever can reach one of them. What is none counts as in [`Candidates::of`].
    pub(super) fn behind(index: &Index, subjects: impl IntoIterator<Item = Option<TextId>>) -> Self {
        let member = index.text_id(Action::MEMBER);
        let mut reached: BTreeSet<TextId> = BTreeSet::new();
        let (mut open, mut looked) = (Vec::new(), 0);
        let mut look = |open: &mut Vec<TextId>, found: &mut dyn Iterator<Item = Option<TextId>>| {
            let before = looked;
            found.take(LISTED_MAX - before).for_each(|text| {
                looked += 1;
                open.extend(text);
            });
            looked < LISTED_MAX
        };
        if !look(&mut open, &mut subjects.into_iter()) {
            return Self::ALL;
        }
        while let Some(text) = open.pop() {
            if !reached.insert(text) {
                continue;
            }
            let name = index.text(text);
            let within = if is_pattern(name) {
                let below = |role: TextId| covers_text(name, index.text(role)).then_some(role);
                !may_cover_role(name) || look(&mut open, &mut index.roles().map(below))
            } else if is_role(name) {
                let confers = |ordinal| Some(index.slot(ordinal).act) == member;
                let of = |pair: &Pair| pair.grants(true).any(confers).then_some(pair.sub);
                look(&mut open, &mut index.pairs_of_obj(text).map(of))
            } else {
                true
            };
            if !within {
                return Self::ALL;
            }
        }
        Self::of(index, reached.into_iter().map(Some))
    }

    /// The first candidate from `from` on and before `end`; counts what it looked at in `looked`.
    pub(super) fn next(&self, index: &Index, from: TextId, end: TextId, looked: &mut u32, most: u32) -> Next {
        if let (Some(listed), true) = (&self.listed, !self.has_patterns) {
            return listed.range(from..).next().copied().filter(|text| *text < end).map_or(Next::None, Next::Some);
        }
        for text in from..end {
            if *looked >= most {
                return Next::Later(text);
            }
            *looked += 1;
            if self.contains(index, text, looked) {
                return Next::Some(text);
            }
        }
        Next::None
    }

    fn contains(&self, index: &Index, text: TextId, looked: &mut u32) -> bool {
        let Some(listed) = &self.listed else { return true };
        let mut is_below = false;
        *looked += index.covering(index.text(text), |pattern| is_below |= listed.contains(&pattern));
        is_below
    }
}

/// A walk over the candidates from a text on, in steps.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    candidates: Candidates,
    at: Option<TextId>,
    end: TextId,
}

impl Walk {
    pub(super) fn new(index: &Index, candidates: Candidates, from: TextId) -> Self {
        let end = TextId::try_from(index.texts()).unwrap_or(TextId::MAX);
        Self { candidates, at: Some(from), end }
    }

    /// Where the walk goes on; `None`: it is at its end.
    pub(super) fn at(&self) -> Option<TextId> {
        self.at
    }

    /// Goes on until the budget is used up, and adds what `judge` makes of the candidates.
    pub(super) fn step<'a, T>(
        &mut self,
        reader: &mut Reader<'a>,
        budget: Budget,
        found: &mut Vec<T>,
        mut judge: impl FnMut(&mut Reader<'a>, TextId) -> Option<T>,
    ) {
        let before = found.len();
        while let Some(at) = self.at {
            if found.len() - before >= budget.results || reader.lookups >= budget.lookups {
                return;
            }
            match self.candidates.next(reader.index, at, self.end, &mut reader.lookups, budget.lookups) {
                Next::None => self.at = None,
                Next::Later(at) => self.at = Some(at),
                Next::Some(text) => {
                    self.at = Some(text + 1);
                    found.extend(judge(reader, text));
                }
            }
        }
    }
}

/// What comes next.
pub(super) enum Next {
    /// A candidate.
    Some(TextId),
    /// There is none before this text, and enough was looked at.
    Later(TextId),
    /// There is none.
    None,
}
