//! `writ watch`: what happens to entries, as it is committed, until nobody listens any more.

use std::io;
use std::process;
use std::sync::{Mutex, PoisonError, TryLockError};
use std::thread;
use std::time::Duration;

use clap::Args;
use rustix::event::{PollFd, PollFlags, poll};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use writ_client::watch::{Interest, News, Start, WatchEvent};
use writ_proto::api::{Entry, to_nfc};
use writ_proto::name::{ActionPattern, Pattern, Side};
use writ_proto::record::Effect;
use writ_proto::watch::EventId;

use super::history::bounds;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{Style, clean, print_line, sentence, short};

/// Held while a line is written, so that the program does not end in the middle of one.
static WRITING: Mutex<()> = Mutex::new(());

/// How long a line may take that is being written when the program is told to end.
const LAST_LINE: Duration = Duration::from_secs(1);

/// Which entries, and from where on.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Entries whose object overlaps this name or pattern
    #[arg(long, value_name = "PATTERN")]
    obj: Option<String>,
    /// Entries whose subject overlaps this name or pattern
    #[arg(long, value_name = "PATTERN")]
    sub: Option<String>,
    /// Entries of this action, or of every action
    #[arg(long, value_name = "ACTION")]
    act: Option<String>,
    /// Only what is granted, or denied
    #[arg(long, value_name = "EFFECT", value_parser = ["granted", "denied"])]
    access: Option<String>,
    /// Also who becomes a member of a role or is kept from it, whatever else is asked for
    #[arg(long)]
    memberships: bool,
    /// From this place in the log on; 0: from its beginning [default: from now on]
    #[arg(long, value_name = "INDEX", conflicts_with = "after")]
    from_index: Option<u64>,
    /// Behind the event of this id: where an earlier watch ended
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    /// End after so many entries and revocations
    #[arg(long, value_name = "COUNT")]
    limit: Option<u64>,
}

pub(super) const AFTER_HELP: &str = "\
An entry overlaps a pattern if its text covers it or is covered by it: --obj 'file:acl/*' tells what is
written of file:acl/x, of file:acl/* and of file:*, that is, whatever bears on an object below.
A connection that ends is taken up again, with the next node, behind what was told last. What the chain
rejected is not told, nor what begins or ends by time alone: the entry said so when it came.
With --json one event a line: event (entry, revoked, position, lost), data, id (for --after).";

pub(super) fn run(options: &Options, context: &Context) -> Result<Exit, Failure> {
    // Judged here first, so that what is mistyped is a misuse.
    let pattern = |option: &str, text: &Option<String>, side| match text {
        Some(text) => {
            Pattern::from_display(&to_nfc(text), side).map(drop).map_err(|error| Failure::of_option(option, error))
        }
        None => Ok(()),
    };
    pattern("obj", &options.obj, Side::Object)?;
    pattern("sub", &options.sub, Side::Subject)?;
    if let Some(act) = &options.act {
        ActionPattern::parse(act).map_err(|error| Failure::of_option("act", error))?;
    }
    if let Some(after) = &options.after {
        after.parse::<EventId>().map_err(|error| Failure::of_option("after", error))?;
    }
    let access = options.access.as_deref().map(|access| if access == "denied" { Effect::Deny } else { Effect::Grant });
    let interest = Interest {
        sub: options.sub.clone(),
        obj: options.obj.clone(),
        act: options.act.clone(),
        access,
        authority: context.authority().map(ToString::to_string),
        memberships: options.memberships,
    };
    let start = match (options.from_index, &options.after) {
        (Some(index), _) => Start::Index(index),
        (None, Some(id)) => Start::After(id.clone()),
        (None, None) => Start::Now,
    };
    let mut left = options.limit.unwrap_or(u64::MAX);
    if left == 0 {
        return Ok(Exit::Done);
    }
    end_with_listeners()?;
    let client = context.client()?;
    for event in client.watch(interest, start) {
        match show(&event?, context) {
            Ok(false) => continue,
            Ok(true) => left -= 1,
            Err(failure) if failure.is_silent() => break,
            Err(failure) => return Err(failure),
        }
        if left == 0 {
            break;
        }
    }
    Ok(Exit::Done)
}

/// Shows an event, and says whether it is an entry's.
fn show(event: &WatchEvent, context: &Context) -> Result<bool, Failure> {
    if context.json() {
        tell(&serde_json::to_string(event).expect("an event is JSON"))?;
    } else {
        match &event.news {
            News::Entry(entry) => tell(&line(event, "entry", entry, context.out()))?,
            News::Revoked(entry) => tell(&line(event, "revoked", entry, context.out()))?,
            News::Position(_) => {}
            News::Lost { node, reason } => context.say("note:", &format!("{node} {reason}; the next one is asked")),
        }
    }
    Ok(matches!(event.news, News::Entry(_) | News::Revoked(_)))
}

fn tell(line: &str) -> Result<(), Failure> {
    let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    print_line(line)
}

/// One line: when, what happened, and to what.
fn line(event: &WatchEvent, word: &str, entry: &Entry, style: Style) -> String {
    let at = entry.revoked.map_or(entry.added, |revoked| revoked.at);
    let bounds = if entry.revoked.is_some() { String::new() } else { bounds(entry) };
    let word = format!("{word:<7}");
    let gives = (entry.access == Effect::Grant) == entry.revoked.is_none();
    let id = event.id.as_deref().unwrap_or_default();
    format!(
        "{at}  {}  {}{bounds}  [{}]  {}",
        style.verdict(gives, &word),
        sentence(entry),
        short(&entry.id.0),
        style.dim(&clean(id))
    )
}

/// Ends the program, as done, when it is told to, or when nobody reads what it writes: it waits for what may not come for
/// days.
fn end_with_listeners() -> Result<(), Failure> {
    let mut signals = Signals::new([SIGINT, SIGTERM])
        .map_err(|error| Failure::failed(format!("cannot listen for signals: {error}")))?;
    thread::spawn(move || {
        if signals.forever().next().is_some() {
            end();
        }
    });
    thread::spawn(|| {
        let out = io::stdout();
        loop {
            // Nothing is asked for, so only that the other end is gone is told.
            let mut watched = [PollFd::new(&out, PollFlags::empty())];
            match poll(&mut watched, None) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => end(),
                Err(_) => return,
            }
        }
    });
    Ok(())
}

/// Ends as done, between two lines if that is soon.
fn end() -> ! {
    const STEPS: u32 = 50;
    for _ in 0..STEPS {
        match WRITING.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(LAST_LINE / STEPS),
            Ok(_) | Err(TryLockError::Poisoned(_)) => process::exit(0),
        }
    }
    process::exit(0)
}
