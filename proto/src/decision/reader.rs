//! The index as one question sees it: its moment, its conditions, and what it has looked at.

use alloc::borrow::Cow;

use smallvec::SmallVec;

use super::{Moment, Truth};
use crate::index::{Index, Pair, Slot, TextId};
use crate::name::{Name, ROLE_TYPE};
use crate::time::{LedgerTime, Window};

pub(crate) struct Reader<'a> {
    pub(crate) index: &'a Index,
    pub(crate) moment: &'a Moment,
    conditions: &'a dyn Fn(&str) -> Truth,
    /// Whether entries that ended before the last block may matter.
    pub(crate) with_past: bool,
    pub(super) valid_until: Option<LedgerTime>,
    pub(crate) lookups: u32,
}

/// A subject or an object that is asked about: a name, or whatever else a pattern covers.
pub(crate) struct Party<'a> {
    /// Its full text, if it stands on some entry.
    pub(crate) own: Option<TextId>,
    /// The texts on entries that cover it, the most specific first.
    pub(crate) covering: SmallVec<[TextId; 8]>,
    pub(super) text: Cow<'a, str>,
}

impl<'a> Party<'a> {
    /// A name.
    pub(crate) fn of_name(reader: &mut Reader<'_>, name: &'a Name) -> Self {
        Self::of_text(reader, name.as_str())
    }

    /// The name with this full text.
    pub(crate) fn of_text(reader: &mut Reader<'_>, text: impl Into<Cow<'a, str>>) -> Self {
        let text = text.into();
        let mut covering = SmallVec::new();
        reader.lookups += reader.index.covering(&text, |id| covering.push(id));
        let own = covering.first().copied().filter(|first| reader.index.text(*first) == text);
        Self { own, covering, text }
    }

    /// Any name that the pattern `text` covers, no entry names, and no narrower pattern covers.
    pub(crate) fn below(reader: &mut Reader<'_>, text: &str) -> Self {
        // A zero byte stands in no name, so nothing narrower covers this.
        let prefix = text.strip_suffix('*').unwrap_or(text);
        Self::of_text(reader, [prefix, "\0"].concat())
    }

    pub(super) fn is_role(&self) -> bool {
        self.text.split_once(':').is_some_and(|(type_, _)| type_ == ROLE_TYPE)
    }

    /// As [`Party::is_role`], and also anything of any type.
    pub(crate) fn may_be_role(&self) -> bool {
        self.is_role() || !self.text.contains(':')
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn new(index: &'a Index, moment: &'a Moment, conditions: &'a dyn Fn(&str) -> Truth) -> Self {
        let with_past = index.needs_past(moment.interval.lo(), moment.height);
        Self { index, moment, conditions, with_past, valid_until: None, lookups: 0 }
    }

    /// The same moment under other conditions, with nothing looked at yet.
    pub(crate) fn under<'b>(&self, conditions: &'b dyn Fn(&str) -> Truth) -> Reader<'b>
    where
        'a: 'b,
    {
        let Self { index, moment, with_past, .. } = *self;
        Reader { index, moment, conditions, with_past, valid_until: None, lookups: 0 }
    }

    pub(crate) fn pair(&mut self, sub: TextId, obj: TextId) -> Option<&'a Pair> {
        self.lookups += 1;
        self.index.pair(sub, obj)
    }

    /// The window of an entry that exists at the moment's height; none otherwise.
    fn window(&self, entry: &Slot) -> Option<Window> {
        (entry.height() <= self.moment.height).then(|| self.index.window(entry, self.moment.height))
    }

    /// Step 1.
    pub(crate) fn holds_somewhere(&self, entry: &Slot) -> bool {
        self.window(entry).is_some_and(|window| window.holds_within(self.moment.interval))
    }

    /// Step 1.
    pub(crate) fn holds_throughout(&self, entry: &Slot) -> bool {
        self.window(entry).is_some_and(|window| window.holds_throughout(self.moment.interval))
    }

    /// Step 3.
    pub(crate) fn truth(&self, entry: &Slot) -> Truth {
        entry.cond().map_or(Truth::True, |cond| (self.conditions)(self.index.text(cond)))
    }

    /// Step 11: takes an entry on a key that was looked at into account.
    pub(super) fn note(&mut self, entry: &Slot) {
        let Some(window) = self.window(entry) else { return };
        if window.is_empty() || self.index.revoked_by(entry, self.moment.height).is_some() {
            return;
        }
        let lo = self.moment.interval.lo();
        for edge in [Some(window.start), window.end].into_iter().flatten().filter(|edge| *edge > lo) {
            self.valid_until = Some(self.valid_until.map_or(edge, |least| least.min(edge)));
        }
    }
}
