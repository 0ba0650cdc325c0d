//! A real access history, from events to import rows and to what must hold in the end.
//!
//! `events.csv` has the columns `unix_seconds,op,sub,obj`: grants and revocations in the order in which they
//! happened. Their order matters, their times do not: an import happens now.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::programs;
use crate::random::Random;

/// Who has access to what.
pub type Right = (String, String);

/// One line of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whether the right was given; else it was taken away.
    pub is_grant: bool,
    /// Who, and what.
    pub right: Right,
}

/// Why a history cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The line, from 1.
    pub line: usize,
    /// What was found there.
    pub found: String,
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: `{}`, expected `unix_seconds,grant|revoke,sub,obj`", self.line, self.found)
    }
}

impl std::error::Error for Malformed {}

/// Where the history lies, if it is on this machine: `access-history` in the folder that `WRIT_SHARED` names, or in
/// `../shared/data` beside the workspace.
pub fn folder() -> Option<PathBuf> {
    let shared = std::env::var_os("WRIT_SHARED").map(PathBuf::from);
    let shared = shared.unwrap_or_else(|| programs::workspace().join("..").join("shared"));
    let places = [shared.join("data").join("access-history"), shared.join("access-history"), shared];
    places.into_iter().find(|folder| folder.join("events.csv").is_file())
}

/// Reads `events.csv`.
pub fn read_events(text: &str) -> Result<Vec<Event>, Malformed> {
    let mut events = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let malformed = || Malformed { line: at + 1, found: line.to_owned() };
        let fields: Vec<&str> = line.split(',').collect();
        // Quoted fields do not occur, and are not read as something else.
        let [seconds, op, sub, obj] = fields[..] else { return Err(malformed()) };
        if at == 0 && op == "op" {
            continue;
        }
        if line.contains('"') || seconds.parse::<u64>().is_err() || sub.is_empty() || obj.is_empty() {
            return Err(malformed());
        }
        let is_grant = match op {
            "grant" => true,
            "revoke" => false,
            _ => return Err(malformed()),
        };
        events.push(Event { is_grant, right: (sub.to_owned(), obj.to_owned()) });
    }
    Ok(events)
}

/// Reads `final.csv`: a right a line, under the header `sub,obj`.
pub fn read_rights(text: &str) -> Result<BTreeSet<Right>, Malformed> {
    let read = |(at, line): (usize, &str)| match line.split_once(',') {
        Some((sub, obj)) if !obj.contains([',', '"']) => Ok((sub.to_owned(), obj.to_owned())),
        _ => Err(Malformed { line: at + 1, found: line.to_owned() }),
    };
    text.lines().enumerate().skip(1).map(read).collect()
}

/// A history in the shape of the real one: rights given to many, some taken away again, a few of those given back.
pub fn made_up(random: &mut Random, count: usize) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::with_capacity(count);
    let (mut standing, mut gone): (Vec<Right>, Vec<Right>) = (Vec::new(), Vec::new());
    while events.len() < count {
        let (is_grant, right) = if !standing.is_empty() && random.percent(20) {
            let right = standing.swap_remove(random.place(standing.len()));
            gone.push(right.clone());
            (false, right)
        } else if !gone.is_empty() && random.percent(5) {
            (true, gone.swap_remove(random.place(gone.len())))
        } else {
            (true, (format!("u{:04}", random.below(1_500)), format!("release:plugin-{}", events.len())))
        };
        if is_grant {
            standing.push(right.clone());
        }
        events.push(Event { is_grant, right });
    }
    events
}

/// The rows that `writ import` reads, in the same order.
pub fn import_rows(events: &[Event]) -> String {
    let mut rows = String::from("sub,obj,access\n");
    for Event { is_grant, right: (sub, obj) } in events {
        rows += &format!("{sub},{obj},{}\n", if *is_grant { "granted" } else { "revoked" });
    }
    rows
}

/// Plays the events: the rights that stand in the end, and those that once stood and do not any more.
pub fn play(events: &[Event]) -> (BTreeSet<Right>, BTreeSet<Right>) {
    let (mut standing, mut gone) = (BTreeSet::new(), BTreeSet::new());
    for Event { is_grant, right } in events {
        let (to, from) = if *is_grant { (&mut standing, &mut gone) } else { (&mut gone, &mut standing) };
        from.remove(right);
        to.insert(right.clone());
    }
    (standing, gone)
}
