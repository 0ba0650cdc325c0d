//! Which texts a search has to look at: a superset of what it will find.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::{is_pattern, is_role};
use crate::index::{Index, TextId};
use crate::name::{Action, covers_text};
use crate::record::may_cover_role;

/// Beyond so many texts a search looks at all of them instead: to list them costs more than it saves.
const LISTED_MAX: usize = 65_536;

/// Texts by list and by pattern.
#[derive(Clone, Debug)]
pub(super) struct Candidates {
    /// `None`: all texts.
    listed: Option<BTreeSet<TextId>>,
    /// Everything below these.
    patterns: Vec<TextId>,
}

impl Candidates {
    /// These texts and, where one is a pattern, all that it covers.
    pub(super) fn of(index: &Index, texts: impl IntoIterator<Item = TextId>) -> Self {
        let mut listed = BTreeSet::new();
        for text in texts {
            listed.insert(text);
            if listed.len() > LISTED_MAX {
                return Self { listed: None, patterns: Vec::new() };
            }
        }
        let patterns = listed.iter().copied().filter(|text| is_pattern(index.text(*text))).collect();
        Self { listed: Some(listed), patterns }
    }

    /// These subjects, and all that ever were members of them, or of roles below them, over any membership:
    /// whoever can reach one of them.
    pub(super) fn behind(index: &Index, subjects: impl IntoIterator<Item = TextId>) -> Self {
        let member = index.text_id(Action::MEMBER);
        let mut reached: BTreeSet<TextId> = BTreeSet::new();
        let mut open: Vec<TextId> = subjects.into_iter().collect();
        while let Some(text) = open.pop() {
            if !reached.insert(text) {
                continue;
            }
            if reached.len() > LISTED_MAX {
                return Self { listed: None, patterns: Vec::new() };
            }
            let name = index.text(text);
            if is_pattern(name) {
                if may_cover_role(name) {
                    open.extend(index.roles().filter(|role| covers_text(name, index.text(*role))));
                }
            } else if is_role(name) {
                let confers = |ordinal| Some(index.slot(ordinal).act) == member;
                let members = index.pairs_of_obj(text).filter(|pair| pair.grants(true).any(confers));
                open.extend(members.map(|pair| pair.sub));
            }
        }
        Self::of(index, reached)
    }

    /// The first candidate from `from` on and before `end`; counts what it looked at in `looked`.
    pub(super) fn next(&self, index: &Index, from: TextId, end: TextId, looked: &mut u32, most: u32) -> Next {
        if let (Some(listed), true) = (&self.listed, self.patterns.is_empty()) {
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
        listed.contains(&text) || self.patterns.iter().any(|below| covers_text(index.text(*below), index.text(text)))
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
