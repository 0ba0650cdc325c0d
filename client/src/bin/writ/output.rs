//! What people get to read.
//!
//! Whatever comes from the ledger was written by somebody: before it reaches a terminal, characters that
//! would steer it are written as escapes ([`clean`]). Colours only where a terminal shows them, and not if
//! `NO_COLOR` is set.

mod entry;
mod rights;
mod statement;
mod table;
mod times;

use std::io::{self, IsTerminal as _, Write as _};

pub(crate) use entry::{Said, action, entry_fields, holds, sentence};
pub(crate) use rights::{changes, rights};
pub(crate) use statement::{Shown, parameter_fields, says, short_key, tally_words};
pub(crate) use table::{Cell, Table, fields};
pub(crate) use times::{ago, beside};
use writ_proto::hash::Digest;

use crate::exit::Failure;

/// Whether to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    colours: bool,
}

impl Style {
    /// No colours.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self { colours: false };

    /// As standard output shows it.
    pub(crate) fn of_stdout() -> Self {
        Self::when(io::stdout().is_terminal())
    }

    /// As standard error shows it.
    pub(crate) fn of_stderr() -> Self {
        Self::when(io::stderr().is_terminal())
    }

    fn when(is_terminal: bool) -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let dumb = set("TERM").is_some_and(|term| term == "dumb");
        Self { colours: is_terminal && !dumb && set("NO_COLOR").is_none() }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colours { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.into() }
    }

    /// Important.
    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// Beside the point.
    pub(crate) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// Gives access, or good.
    pub(crate) fn green(self, text: &str) -> String {
        self.paint("1;32", text)
    }

    /// Takes access away, or bad.
    pub(crate) fn red(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// To be looked at.
    pub(crate) fn yellow(self, text: &str) -> String {
        self.paint("1;33", text)
    }

    /// `granted` or `denied`, and whatever means as much.
    pub(crate) fn verdict(self, good: bool, text: &str) -> String {
        if good { self.green(text) } else { self.red(text) }
    }
}

/// Text from outside as it may be shown: characters that steer a terminal or turn the direction of writing
/// stand as `\u{..}`.
pub(crate) fn clean(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{2028}' | '\u{2029}')
    };
    if !text.chars().any(steers) {
        return text.into();
    }
    text.chars().map(|c| if steers(c) { c.escape_unicode().to_string() } else { c.into() }).collect()
}

/// Digits of a digest that are enough to know it by.
pub(crate) const SHORT_DIGITS: usize = 12;

/// The first digits of a digest.
pub(crate) fn short(digest: &Digest) -> String {
    let mut text = digest.to_string();
    text.truncate(SHORT_DIGITS);
    text
}

/// Writes data to standard output.
///
/// # Errors
/// If it cannot be written; a failure that says nothing if nobody reads on, as after `| head`.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::silent(),
        _ => Failure::failed(format!("cannot write to standard output: {error}")),
    })
}

/// Writes one line of data to standard output.
pub(crate) fn print_line(line: &str) -> Result<(), Failure> {
    print(&format!("{line}\n"))
}

#[cfg(test)]
mod tests;
