//! A list of entries in two parts: *live* ones may still hold at or after the last block, *past* ones cannot.
//!
//! Most lists hold one entry for ever, so one costs no allocation.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::slice::from_ref;

/// The place of an entry among the access entries, from 0. (Its *index* is its leaf in the log.)
pub type EntryOrdinal = u32;

#[derive(Clone, Debug, Default)]
pub(super) enum Track {
    #[default]
    Empty,
    Live(EntryOrdinal),
    Past(EntryOrdinal),
    Many(Box<Lists>),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Lists {
    /// Ascending.
    live: Vec<EntryOrdinal>,
    /// In the order in which they became past.
    past: Vec<EntryOrdinal>,
}

impl Track {
    /// The live entries, and the past ones too where the question needs them.
    pub(super) fn read(&self, with_past: bool) -> impl Iterator<Item = EntryOrdinal> + use<'_> {
        let past = if with_past { self.past() } else { &[] };
        self.live().iter().chain(past).copied()
    }

    pub(super) fn len(&self, with_past: bool) -> usize {
        self.live().len() + if with_past { self.past().len() } else { 0 }
    }

    fn live(&self) -> &[EntryOrdinal] {
        match self {
            Self::Live(entry) => from_ref(entry),
            Self::Many(lists) => &lists.live,
            Self::Empty | Self::Past(_) => &[],
        }
    }

    fn past(&self) -> &[EntryOrdinal] {
        match self {
            Self::Past(entry) => from_ref(entry),
            Self::Many(lists) => &lists.past,
            Self::Empty | Self::Live(_) => &[],
        }
    }

    /// Adds an entry; ordinals come in ascending order.
    pub(super) fn push(&mut self, entry: EntryOrdinal, is_live: bool) {
        if let Self::Empty = self {
            *self = if is_live { Self::Live(entry) } else { Self::Past(entry) };
            return;
        }
        let lists = self.lists();
        if is_live { lists.live.push(entry) } else { lists.past.push(entry) }
    }

    /// Moves an entry from the live part to the past one.
    pub(super) fn retire(&mut self, entry: EntryOrdinal) {
        match self {
            Self::Live(own) if *own == entry => *self = Self::Past(entry),
            Self::Many(lists) => {
                if let Ok(at) = lists.live.binary_search(&entry) {
                    lists.live.remove(at);
                    lists.past.push(entry);
                }
            }
            Self::Empty | Self::Live(_) | Self::Past(_) => {}
        }
    }

    fn lists(&mut self) -> &mut Lists {
        if !matches!(self, Self::Many(_)) {
            let lists = Lists { live: self.live().to_vec(), past: self.past().to_vec() };
            *self = Self::Many(Box::new(lists));
        }
        match self {
            Self::Many(lists) => lists,
            _ => unreachable!("it was made so above"),
        }
    }
}
