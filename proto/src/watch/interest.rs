//! Of which entries somebody wants to hear.

use crate::index::{self, EntryOrdinal, Index};
use crate::name::{Action, ActionPattern, Pattern, overlap_texts};
use crate::record::{AuthorityName, Effect, may_cover_role};
use crate::state::State;

/// Of which entries somebody wants to hear. What is `None` is asked of nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Entries whose subject overlaps this.
    pub sub: Option<Pattern>,
    /// Entries whose object overlaps this.
    pub obj: Option<Pattern>,
    /// Entries whose action is this, or every action.
    pub act: Option<ActionPattern>,
    /// Entries of this effect.
    pub access: Option<Effect>,
    /// Entries of this authority.
    pub authority: Option<AuthorityName>,
    /// Also entries that make or deny members of roles, whatever their subject, object and action: over roles they bear
    /// on everything.
    pub memberships: bool,
}

/// An interest in the terms of one state.
#[derive(Clone, Copy, Debug)]
pub struct Listening<'a> {
    interest: &'a Interest,
    index: &'a Index,
    /// The authority that is asked for; the inner `None`: one that the chain does not know.
    authority: Option<Option<u32>>,
}

impl Interest {
    /// The same in the terms of `state`, for as long as that does not change.
    pub fn in_terms_of<'a>(&'a self, state: &'a State) -> Listening<'a> {
        let ordinal = |name| state.authorities().by_name(name).map(|(ordinal, _)| ordinal);
        Listening { interest: self, index: state.index(), authority: self.authority.as_ref().map(ordinal) }
    }
}

impl Listening<'_> {
    /// Whether this entry is to be told.
    pub fn wants(&self, entry: EntryOrdinal) -> bool {
        let Self { interest, index, authority } = self;
        let entry = index.entry(entry);
        let overlaps =
            |wanted: Option<&str>, found| wanted.is_none_or(|wanted| overlap_texts(wanted, index.text(found)));
        let is_about = || {
            overlaps(interest.sub.as_ref().map(Pattern::as_str), entry.sub)
                && overlaps(interest.obj.as_ref().map(Pattern::as_str), entry.obj)
                && overlaps(interest.act.as_ref().map(ActionPattern::as_str), entry.act)
        };
        interest.access.is_none_or(|effect| effect == entry.effect)
            && authority.is_none_or(|wanted| wanted == Some(entry.authority))
            && (is_about() || (interest.memberships && bears_on_members(index, &entry)))
    }
}

/// Whether an entry can make somebody a member of a role, or keep him from being one.
fn bears_on_members(index: &Index, entry: &index::Entry<'_>) -> bool {
    let (act, obj) = (index.text(entry.act), index.text(entry.obj));
    match entry.effect {
        Effect::Grant => act == Action::MEMBER,
        Effect::Deny => (act == Action::MEMBER || act == ActionPattern::ANY) && may_cover_role(obj),
    }
}
