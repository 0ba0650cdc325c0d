//! What a node answers about many names at once: who can, what can, what ends.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{Entry, is_readable};
use crate::decision::Rights;
use crate::name::{ActionPattern, Name, NameError, Pattern, Side};
use crate::time::{Excerpt, LedgerTime};

/// Some of those who can do something, in the order in which the log first named them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhoCanPage {
    /// Subjects that some entry names, to whom check grants it; roles too, as `role:x`.
    pub results: Vec<String>,
    /// Patterns: check grants it to whatever they cover that no entry names and no narrower pattern covers.
    pub patterns: Vec<String>,
    /// The instant asked about, of all pages: the end of the interval, or the `at` asked.
    pub at: LedgerTime,
    /// The height whose knowledge is used, of all pages.
    pub height: u64,
    /// The token of that height.
    pub position: String,
    /// The cursor of the next page; `None`: this is the last one. A page may be empty though there is a next one.
    pub next: Option<String>,
}

/// An object, or a pattern of objects, and what a subject may do to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Possession {
    /// The object or pattern.
    pub obj: String,
    /// The action; `*`: every action, also ones that no entry names, but those in `except`.
    pub act: String,
    /// The exceptions of `*`, ascending; empty beside any other action.
    pub except: Vec<String>,
}

/// Some of what a subject can do, in the order in which the log first named the objects. All rows of an object stand
/// in one page: one with `*`, or one for each action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhatCanPage {
    /// Objects that some entry names.
    pub results: Vec<Possession>,
    /// Patterns: the same is granted on whatever they cover that no entry names and no narrower pattern covers.
    pub patterns: Vec<Possession>,
    /// The instant asked about, of all pages: the end of the interval, or the `at` asked.
    pub at: LedgerTime,
    /// The height whose knowledge is used, of all pages.
    pub height: u64,
    /// The token of that height.
    pub position: String,
    /// The cursor of the next page; `None`: this is the last one. A page may be empty though there is a next one.
    pub next: Option<String>,
}

/// Some entries that end by themselves, soonest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpiringPage {
    /// The entries, grants and denials, in force or still to begin.
    pub entries: Vec<Entry>,
    /// The last instant at which they may end, of all pages.
    pub until: LedgerTime,
    /// The height whose entries are looked at, of all pages.
    pub height: u64,
    /// The token of that height.
    pub position: String,
    /// The cursor of the next page; `None`: this is the last one.
    pub next: Option<String>,
}

/// A name or pattern of the ledger (a full text) as people write it.
///
/// # Errors
/// If it is neither, which no text on an entry is.
pub fn shown(text: &str, side: Side) -> Result<String, NameError> {
    Ok(Pattern::parse_full(text)?.to_display_if(side, is_readable))
}

/// Checks that `text` can be the type of a name.
///
/// # Errors
/// If it cannot: the letters are wrong, or there are too many.
pub fn check_type(text: &str) -> Result<(), NameError> {
    let name = Name::parse_full(&[text, ":x"].concat())?;
    // A colon inside would end the type there.
    if name.type_() == text { Ok(()) } else { Err(NameError::BadType { found: Excerpt::of(text) }) }
}

/// The rows of one object.
pub fn possessions_of(obj: &str, rights: &Rights) -> Vec<Possession> {
    let actions = rights.actions.iter().map(|act| String::from(&**act));
    let row = |act: String, except| Possession { obj: obj.into(), act, except };
    if rights.every {
        vec![row(ActionPattern::ANY.into(), actions.collect())]
    } else {
        actions.map(|act| row(act, Vec::new())).collect()
    }
}
