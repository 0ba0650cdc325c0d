//! `writ history`: what was said of a subject and an object, and when the answer changed.

use clap::Args;
use writ_proto::api::{Entry, Happening, HistoryEvent, question_of};
use writ_proto::time::LedgerTime;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{Cell, Style, Table, beside, clean, print, print_line, rights, sentence, short};

/// Rows that are measured together for the width of columns.
const ROWS_AT_ONCE: usize = 200;

/// Of whom and what.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The subject: who
    #[arg(long, value_name = "NAME")]
    sub: String,
    /// The object: what
    #[arg(long, value_name = "NAME")]
    obj: String,
}

pub(super) const AFTER_HELP: &str = "\
Told are all entries that bear on the two, now or ever: also on patterns above them, and on roles that the
subject was ever in. Up to now; what is still to come, the entries themselves say.
With --json one event a line: at, height, event (added, began, ended, revoked, answer), entry, by, rights.";

pub(super) fn run(options: &Options, context: &Context) -> Result<Exit, Failure> {
    let Options { sub, obj } = options;
    // Judged here first, so that a mistyped name is a misuse.
    question_of(sub, None, obj)?;
    let client = context.client()?;
    let mut table = Table::headed(&["when", "height", "event", "what"]);
    let (mut rows, mut last) = (0_usize, None);
    for event in client.history(sub, obj) {
        let event = event?;
        if context.json() {
            print_line(&serde_json::to_string(&event).expect("an event is JSON"))?;
            continue;
        }
        table.row(row(&event, last == Some(event.at), sub, obj, context.now()));
        last = Some(event.at);
        rows += 1;
        if rows.is_multiple_of(ROWS_AT_ONCE) {
            print(&table.take(context.out()))?;
        }
    }
    if context.json() {
        return Ok(Exit::Done);
    }
    if rows == 0 {
        context.say("note:", &format!("no entry ever bore on {sub} and {obj}"));
        return Ok(Exit::Done);
    }
    print(&table.take(context.out()))?;
    Ok(Exit::Done)
}

/// One line; the time only where it is another than on the line before.
fn row(event: &HistoryEvent, is_same_time: bool, sub: &str, obj: &str, now: LedgerTime) -> Vec<Cell> {
    let (when, height) = match is_same_time {
        true => (Cell::of(""), Cell::of("")),
        false => (Cell::of(beside(event.at, now)), Cell::number(event.height)),
    };
    let paint: fn(Style, &str) -> String = match (event.event, event.rights.as_deref()) {
        (Happening::Answer, Some([])) => Style::red,
        (Happening::Answer, _) => Style::green,
        _ => Style::dim,
    };
    let word = match event.event {
        Happening::Added => "added",
        Happening::Began => "began",
        Happening::Ended => "ended",
        Happening::Revoked => "revoked",
        Happening::Answer => "answer",
    };
    vec![when, height, Cell::of(word).painted(paint), Cell::of(what(event, sub, obj))]
}

fn what(event: &HistoryEvent, sub: &str, obj: &str) -> String {
    let Some(entry) = &event.entry else {
        let rights = rights(event.rights.as_deref().unwrap_or_default());
        return format!("{} may do {rights} on {}", clean(sub), clean(obj));
    };
    let said = match &event.by {
        Some(by) => format!("by {} [{}]: {}", by.issuing_auth, short(&by.id.0), sentence(entry)),
        None => sentence(entry),
    };
    let bounds = if event.event == Happening::Added { bounds(entry) } else { String::new() };
    format!("{said}{bounds}  [{}]", short(&entry.id.0))
}

/// What else an entry says when it comes.
pub(super) fn bounds(entry: &Entry) -> String {
    let mut text = String::new();
    for (word, time) in [("from", entry.iss), ("until", entry.exp)] {
        text.extend(time.map(|time| format!(", {word} {time}")));
    }
    for (word, said) in [("if", &entry.cond), ("ref", &entry.reference)] {
        text.extend(said.as_ref().map(|said| format!(", {word} {}", clean(said))));
    }
    text
}
