//! Complete answers about many names: who can, what can, what ends.
//!
//! A node answers page by page; here the pages are put together. All of them must be of one moment, and a listing that
//! does not go on is an error: an answer is whole, or it is none.

use serde::Serialize;
use serde::de::DeserializeOwned;
use writ_proto::api::{Entry, ExpiringPage, Possession, WhatCanPage, WhoCanPage};
use writ_proto::time::LedgerTime;

use crate::client::Client;
use crate::error::ClientError;
use crate::transport::with_query;

/// Results of one page, where nobody says how many: the most that a node gives.
const PAGE: usize = 1000;

/// Which moment a search is about; the default: now, with all that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// At which instant, on today's log.
    pub at: Option<LedgerTime>,
    /// With the knowledge of which height.
    pub height: Option<u64>,
    /// As of which instant: both knowledge and instant. Not together with the others.
    pub as_of: Option<LedgerTime>,
    /// Not before this position.
    pub at_least: Option<String>,
}

/// The question who can do something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WhoCan {
    /// To what.
    pub obj: String,
    /// Which action; `None`: every action.
    pub act: Option<String>,
    /// The circumstances that conditions look at: a JSON object.
    pub context: Option<String>,
    /// When.
    pub moment: Moment,
    /// How many in one page; `None`: as many as a node gives.
    pub page: Option<usize>,
}

/// The question what somebody can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WhatCan {
    /// Who.
    pub sub: String,
    /// To objects of this type only.
    pub type_: Option<String>,
    /// The circumstances that conditions look at: a JSON object.
    pub context: Option<String>,
    /// When.
    pub moment: Moment,
    /// How many objects in one page; `None`: as many as a node gives.
    pub page: Option<usize>,
}

/// The question what ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiring {
    /// Until when.
    pub until: Until,
    /// How many in one page; `None`: as many as a node gives.
    pub page: Option<usize>,
}

/// Until when something ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Until this instant.
    At(LedgerTime),
    /// So many milliseconds from now on, by the node's clock.
    WithinMs(u64),
}

/// Everything found, names and patterns each in bytewise order, and the one moment it is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found<T> {
    /// What stands for itself.
    pub results: Vec<T>,
    /// Patterns: whatever they cover that no entry names and no narrower pattern covers.
    pub patterns: Vec<T>,
    /// The instant asked about.
    pub at: LedgerTime,
    /// The height whose knowledge was used.
    pub height: u64,
    /// The token of that height.
    pub position: String,
}

/// A page of a listing.
pub trait Page: DeserializeOwned {
    /// What makes it a page of the same answer as another one.
    #[doc(hidden)]
    fn mark(&self) -> (LedgerTime, u64, &str);
    /// The cursor of the next page.
    #[doc(hidden)]
    fn next(&self) -> Option<&str>;
}

/// The pages of a listing, asked for one after another. After an error there is none.
#[derive(Debug)]
pub struct Pages<'a, P> {
    client: &'a Client,
    path: &'static str,
    what: &'static str,
    query: Vec<(&'static str, Option<String>)>,
    /// `None`: there is none.
    next: Option<Next>,
    kind: std::marker::PhantomData<P>,
}

/// The page to ask for.
#[derive(Debug)]
enum Next {
    First,
    /// The one at this cursor, which must be of the moment of the first one.
    After {
        cursor: String,
        mark: (LedgerTime, u64, String),
    },
}

impl Client {
    /// Everybody who can do something: every subject that some entry names (roles too) to whom check grants it,
    /// and apart from them patterns. Asks for as many pages as it takes.
    pub fn who_can(&self, question: &WhoCan) -> Result<Found<String>, ClientError> {
        gather(self.who_can_pages(question).map(|page| {
            let WhoCanPage { results, patterns, at, height, position, next: _ } = page?;
            Ok(Found { results, patterns, at, height, position })
        }))
    }

    /// The same page by page, in the order in which the log first named the subjects.
    pub fn who_can_pages(&self, question: &WhoCan) -> Pages<'_, WhoCanPage> {
        let WhoCan { obj, act, context, moment, page } = question;
        let own = vec![("obj", Some(obj.clone())), ("act", act.clone()), ("context", context.clone())];
        Pages::new(self, "/v1/who-can", "page of subjects", own, Some(moment), *page)
    }

    /// Everything that somebody can do: every object that some entry names, and apart from them patterns. Of one
    /// object there is a row with `*`, or one for each action. Asks for as many pages as it takes.
    pub fn what_can(&self, question: &WhatCan) -> Result<Found<Possession>, ClientError> {
        gather(self.what_can_pages(question).map(|page| {
            let WhatCanPage { results, patterns, at, height, position, next: _ } = page?;
            Ok(Found { results, patterns, at, height, position })
        }))
    }

    /// The same page by page, in the order in which the log first named the objects.
    pub fn what_can_pages(&self, question: &WhatCan) -> Pages<'_, WhatCanPage> {
        let WhatCan { sub, type_, context, moment, page } = question;
        let own = vec![("sub", Some(sub.clone())), ("type", type_.clone()), ("context", context.clone())];
        Pages::new(self, "/v1/what-can", "page of objects", own, Some(moment), *page)
    }

    /// Every entry that ends by itself until then, soonest first. Asks for as many pages as it takes.
    pub fn expiring(&self, question: &Expiring) -> Result<Vec<Entry>, ClientError> {
        let mut entries = Vec::new();
        for page in self.expiring_pages(question) {
            entries.extend(page?.entries);
        }
        Ok(entries)
    }

    /// The same page by page.
    pub fn expiring_pages(&self, question: &Expiring) -> Pages<'_, ExpiringPage> {
        let own = match question.until {
            Until::At(until) => ("until", Some(until.to_string())),
            Until::WithinMs(within) => ("within_ms", Some(within.to_string())),
        };
        Pages::new(self, "/v1/expiring", "page of entries that end", vec![own], None, question.page)
    }
}

/// All pages as one answer.
fn gather<T: Ord>(pages: impl Iterator<Item = Result<Found<T>, ClientError>>) -> Result<Found<T>, ClientError> {
    let mut whole: Option<Found<T>> = None;
    for page in pages {
        let page = page?;
        match &mut whole {
            None => whole = Some(page),
            Some(whole) => {
                whole.results.extend(page.results);
                whole.patterns.extend(page.patterns);
            }
        }
    }
    let mut whole = whole.expect("a listing has a first page, or an error");
    whole.results.sort_unstable();
    whole.patterns.sort_unstable();
    Ok(whole)
}

impl<'a, P> Pages<'a, P> {
    fn new(
        client: &'a Client,
        path: &'static str,
        what: &'static str,
        mut query: Vec<(&'static str, Option<String>)>,
        moment: Option<&Moment>,
        page: Option<usize>,
    ) -> Self {
        if let Some(Moment { at, height, as_of, at_least }) = moment {
            query.extend([
                ("at", at.map(|at| at.to_string())),
                ("height", height.map(|height| height.to_string())),
                ("as_of", as_of.map(|as_of| as_of.to_string())),
                ("at_least", at_least.clone()),
            ]);
        }
        query.push(("limit", Some(page.unwrap_or(PAGE).clamp(1, PAGE).to_string())));
        Self { client, path, what, query, next: Some(Next::First), kind: std::marker::PhantomData }
    }
}

impl<P: Page> Iterator for Pages<'_, P> {
    type Item = Result<P, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (cursor, first) = match self.next.take()? {
            Next::First => (None, None),
            Next::After { cursor, mark } => (Some(cursor), Some(mark)),
        };
        let query = self.query.iter().cloned().chain([("cursor", cursor.clone())]);
        let (node, page): (String, P) = match self.client.get_from(with_query(self.path, query), self.what) {
            Ok(read) => read,
            Err(error) => return Some(Err(error)),
        };
        let fault = |reason: &str| Some(Err(ClientError::Answer { node, what: self.what, reason: reason.into() }));
        let (at, height, position) = page.mark();
        let mark = (at, height, position.to_owned());
        if first.is_some_and(|first| first != mark) {
            return fault("it is of another moment than the first page");
        }
        self.next = match page.next() {
            Some(next) if Some(next) == cursor.as_deref() => return fault("it leads to itself"),
            next => next.map(|cursor| Next::After { cursor: cursor.to_owned(), mark }),
        };
        Some(Ok(page))
    }
}

impl Page for WhoCanPage {
    fn mark(&self) -> (LedgerTime, u64, &str) {
        (self.at, self.height, &self.position)
    }

    fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }
}

impl Page for WhatCanPage {
    fn mark(&self) -> (LedgerTime, u64, &str) {
        (self.at, self.height, &self.position)
    }

    fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }
}

impl Page for ExpiringPage {
    fn mark(&self) -> (LedgerTime, u64, &str) {
        (self.until, self.height, &self.position)
    }

    fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }
}
