//! What was, what changed, and what would change: histories, differences, previews.

use writ_proto::api::{AccessChange, DiffPage, HistoryEvent, HistoryPage, LogPoint, PreviewAnswer, PreviewAsked};

use crate::client::Client;
use crate::error::ClientError;
use crate::transport::with_query;

/// Results on one page.
const PAGE: usize = 1000;

/// Who gained and lost what between two points of the log.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Diff {
    /// The changes, in the order in which the log first named the subjects, then the objects.
    pub changes: Vec<AccessChange>,
    /// The earlier point.
    pub from: LogPoint,
    /// The later point.
    pub to: LogPoint,
}

/// The events of a history, asked for page by page. All pages tell of the moment of the first.
#[derive(Debug)]
pub struct Events<'a> {
    client: &'a Client,
    sub: String,
    obj: String,
    page: std::vec::IntoIter<HistoryEvent>,
    /// The cursor to go on with; empty before the first page.
    next: Option<String>,
}

impl Client {
    /// Every entry, revocation and change of the answer on a subject and an object, in the order of time.
    pub fn history(&self, sub: &str, obj: &str) -> Events<'_> {
        let (sub, obj, next) = (sub.into(), obj.into(), Some(String::new()));
        Events { client: self, sub, obj, page: Vec::new().into_iter(), next }
    }

    /// Who gained and lost what between two points, each a height or an instant (RFC 3339 with `Z`); without `to`,
    /// up to the last block. Asks for all pages.
    ///
    /// # Errors
    /// If no node answers, or one says no.
    pub fn diff(&self, from: &str, to: Option<&str>) -> Result<Diff, ClientError> {
        let mut diff: Option<Diff> = None;
        let mut cursor: Option<String> = None;
        loop {
            let pairs = [
                ("from", Some(from.into())),
                ("to", to.map(Into::into)),
                ("limit", Some(PAGE.to_string())),
                ("cursor", cursor.take()),
            ];
            let page: DiffPage = self.get_from(with_query("/v1/diff", pairs), "page of changes")?.1;
            let DiffPage { changes, from, to, next } = page;
            diff.get_or_insert(Diff { changes: Vec::new(), from, to }).changes.extend(changes);
            match (next, diff.take()) {
                (None, Some(diff)) => return Ok(diff),
                (next, so_far) => (cursor, diff) = (next, so_far),
            }
        }
    }

    /// What some statements would change, if they were made. Nothing is signed or kept.
    ///
    /// # Errors
    /// If no node answers, or one says no. Statements that would be refused are no error: the answer tells them.
    pub fn preview(&self, asked: &PreviewAsked) -> Result<PreviewAnswer, ClientError> {
        self.post("/v1/preview", asked, "preview")
    }
}

impl Iterator for Events<'_> {
    type Item = Result<HistoryEvent, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(event) = self.page.next() {
                return Some(Ok(event));
            }
            let cursor = self.next.take()?;
            let pairs = [
                ("sub", Some(self.sub.clone())),
                ("obj", Some(self.obj.clone())),
                ("limit", Some(PAGE.to_string())),
                ("cursor", Some(cursor).filter(|cursor| !cursor.is_empty())),
            ];
            match self.client.get_from::<HistoryPage>(with_query("/v1/history", pairs), "page of a history") {
                Ok((_, page)) => (self.page, self.next) = (page.events.into_iter(), page.next),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
