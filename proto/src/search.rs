//! Who can, what can, what changed, what was: complete answers about many names at once.
//!
//! ```text
//!   object   --pairs, members, backwards-->  candidates  --decision-->  who can
//!   subject  --closure, pairs, forwards--->  candidates  --rights---->  what can
//!   the two  --actions on their entries--->  candidates  --decision-->  which actions
//!   two moments --entries that differ----->  candidates  --rights x2->  who gained and lost what
//! ```
//!
//! Candidates are a superset, found through the index; each is kept only if the decision itself says so. So a
//! search agrees with check for every name, whatever the candidates were. A name takes part if some entry
//! known at the moment names it: as a subject in [`WhoCan`], as an object in [`WhatCan`], roles in either
//! place, as an action in [`WhichActions`]. A pattern takes part as what it is on the entries: it stands for any name below it that no entry
//! names and no narrower pattern covers.
//!
//! Names come in the order in which the log first named them, which never changes: pages neither skip nor
//! repeat, whatever is appended between them. Searches are taken in steps of bounded work, so whoever holds
//! the index for them can let it go in between; their moment is fixed when they begin.

mod candidates;
mod changes;
mod ending;
mod evaluating;
mod history;
mod preview;
mod rights;
mod wanted;
mod what_can;
mod which_actions;
mod who_can;

use crate::condition::Evaluation;
use crate::index::{Index, TextId};
use crate::name::{Action, ROLE_TYPE};
use evaluating::Evaluating;

pub use changes::{Change, Changes};
pub use ending::ending;
pub use history::{Event, EventKind, History};
pub use preview::{Preview, Proposed, Remark};
pub use wanted::Wanted;
pub use what_can::{Possession, WhatCan};
pub use which_actions::WhichActions;
pub use who_can::WhoCan;

/// A question that a search asks on its way, in full texts. A pattern stands for names that are not known.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Who.
    pub sub: &'a str,
    /// Which action; `None`: every one.
    pub act: Option<&'a Action>,
    /// What.
    pub obj: &'a str,
}

/// How a condition's text is evaluated, for each question. What that costs counts as look-ups.
pub type Conditions<'a> = &'a dyn Fn(&Asked<'_>, &str) -> Evaluation;

/// How far a search may go in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Results of this step, at most.
    pub results: usize,
    /// Look-ups of this step, about: a step ends with the first name that reaches it. A decision
    /// takes some thirty, and what a condition goes through counts too.
    pub lookups: u32,
}

/// Whether a text is a pattern that covers many names.
pub fn is_pattern(text: &str) -> bool {
    text.ends_with('*')
}

fn is_role(text: &str) -> bool {
    text.split_once(':').is_some_and(|(type_, _)| type_ == ROLE_TYPE)
}

/// Whether a text stands on some entry of `height` or before as a subject; a role, in whichever place.
fn is_named_subject(index: &Index, text: TextId, height: u64) -> bool {
    let known = |since: Option<u64>| since.is_some_and(|since| since <= height);
    known(index.subject_since(text)) || (is_exact_role(index, text) && known(index.object_since(text)))
}

/// Whether a text stands on some entry of `height` or before as an object; a role, in whichever place.
fn is_named_object(index: &Index, text: TextId, height: u64) -> bool {
    let known = |since: Option<u64>| since.is_some_and(|since| since <= height);
    known(index.object_since(text)) || (is_exact_role(index, text) && known(index.subject_since(text)))
}

fn is_exact_role(index: &Index, text: TextId) -> bool {
    let text = index.text(text);
    is_role(text) && !is_pattern(text)
}
