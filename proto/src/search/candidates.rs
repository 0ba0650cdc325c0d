//! Which texts a search has to look at: a superset of what it will find.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::{is_pattern, is_role};
use crate::index::{Index, TextId};
use crate::name::{Action, covers_text};
use crate::record::may_cover_role;

/// Beyond so many texts a search looks at all of them instead: to list them costs more than it saves.
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
    /// These texts and, where one is a pattern, all that it covers.
    pub(super) fn of(index: &Index, texts: impl IntoIterator<Item = TextId>) -> Self {
        let mut listed = BTreeSet::new();
        for text in texts {
            listed.insert(text);
            if listed.len() > LISTED_MAX {
                return Self { listed: None, has_patterns: true };
            }
        }
        let has_patterns = listed.iter().any(|text| is_pattern(index.text(*text)));
        Self { listed: Some(listed), has_patterns }
    }

    /// These subjects, and all that ever were members of them, or of roles below them, over any membership:
    /// whoever can reach one of them.
    pub(super) fn behind(index: &Index, subjects: impl IntoIterator<Item = TextId>) -> Self {
        let member = index.text_id(Action::MEMBER);
        let all = Self { listed: None, has_patterns: true };
        let mut open: Vec<TextId> = Vec::new();
        let mut reached: BTreeSet<TextId> = BTreeSet::new();
        for text in subjects {
            if reached.insert(text) {
                open.push(text);
            }
            if reached.len() > LISTED_MAX {
                return all;
            }
        }
        while let Some(text) = open.pop() {
            let name = index.text(text);
            if is_pattern(name) {
                if may_cover_role(name) {
                    let covered = index.roles().filter(|role| covers_text(name, index.text(*role)));
                    open.extend(covered.filter(|role| reached.insert(*role)));
                }
            } else if is_role(name) {
                let confers = |ordinal| Some(index.slot(ordinal).act) == member;
                let members = index.pairs_of_obj(text).filter(|pair| pair.grants(true).any(confers));
                // One more than fit, so that it shows below that they do not.
                let new = members.map(|pair| pair.sub).filter(|sub| reached.insert(*sub)).take(LISTED_MAX + 1);
                open.extend(new);
            }
            if reached.len() > LISTED_MAX {
                return all;
            }
        }
        Self::of(index, reached)
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
            if self.contains(index, text) {
                return Next::Some(text);
            }
        }
        Next::None
    }

    fn contains(&self, index: &Index, text: TextId) -> bool {
        let Some(listed) = &self.listed else { return true };
        let mut is_below = false;
        index.covering(index.text(text), |pattern| is_below |= listed.contains(&pattern));
        is_below
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
