//! `writ import`: a file of access rows.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use writ_client::append::{AppendError, Appender};
use writ_client::author::Author;
use writ_client::client::Client;
use writ_client::import::journal::{Journal, JournalError, path_of};
use writ_client::import::preview::{self as import_preview, Mode, Preview, RowNote};
use writ_client::import::rows::{Format, Row, read};
use writ_client::import::whole::{Whole, import_set};
use writ_client::import::{Failure as Stop, Refused, Summary, import};
use writ_proto::api::{PreviewAsked, Since};

use super::set::size_since;
use super::{dry_run, progress};
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{Cell, Style, Table, clean, print, print_line};

/// Refused rows that are listed at most; all of them with `--json`.
const LISTED_MAX: usize = 50;

/// Lines of entries that had ended already that are named at most; all of them with `--json`.
const LINES_MAX: usize = 5;

/// What to import.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The file: .csv or .jsonl
    file: PathBuf,
    /// The journal, which makes importing again safe [default: FILE.writ-journal]
    #[arg(long, value_name = "PATH")]
    journal: Option<PathBuf>,
    /// csv or jsonl; without it, as the file's name says
    #[arg(long, value_name = "FORMAT", value_parser = ["csv", "jsonl"], hide_possible_values = true)]
    format: Option<String>,
    /// All rows or none, in one instant: the whole file is one set, of 64 entries and 8 KiB at most
    #[arg(long)]
    atomic: bool,
    /// With --atomic: only if nothing on its subjects and objects changed since this position, or size of the log
    #[arg(long, value_name = "TOKEN|SIZE", requires = "atomic")]
    unchanged_since: Option<Since>,
    /// Only tell who would gain or lose what, and what would be refused: nothing is signed, sent or written
    #[arg(long)]
    dry_run: bool,
}

pub(super) const AFTER_HELP: &str = "\
Columns or members: sub, obj, act, access, iss, exp, ref, cond; only sub and obj are required. access is
`granted` (the default), `denied`, or `revoked`, which ends your own entries on exactly that sub, obj and
act. Rows take effect in file order. A file may be imported again, also after a crash: nothing is added or
taken away twice. Rows may be added to it, and those that were refused may be corrected. With --atomic all
rows take effect in one instant or none does, and a file that was imported so stays as it is.
With --json the counts and refusals, and `ended`, the lines of entries that had ended already; with
--dry-run the counts and refusals, and notes, changes, at, height and more.";

pub(super) fn run(options: &Options, context: &Context) -> Result<Exit, Failure> {
    let file = &options.file;
    let bytes =
        fs::read(file).map_err(|error| Failure::failed(format!("cannot read `{}`: {error}", file.display())))?;
    let format = match options.format.as_deref() {
        Some("csv") => Format::Csv,
        Some(_) => Format::JsonLines,
        None => Format::guess(&file.to_string_lossy(), &bytes),
    };
    let client = context.client()?;
    let author = context.author(&client)?;
    let rows = read(&bytes, format, author.authority()).map_err(|fault| {
        let failure = Failure::of(&fault).code("bad_file").about(&format!("`{}`", file.display()));
        failure.hint(
            "the first line of CSV names the columns, as in `sub,obj,act,access`; `--format jsonl` reads JSON lines",
        )
    })?;
    let path = options.journal.clone().unwrap_or_else(|| path_of(file));
    if options.dry_run {
        return preview(&rows, &bytes, &path, options, &client, &author, context);
    }
    let mut journal = Journal::open(&path, author.chain(), author.authority()).map_err(|error| of_journal(&error))?;
    let is_new = journal.rows().is_empty();
    let mut appender = Appender::new(&client, &author);
    let done = if options.atomic {
        let since = size_since(options.unchanged_since.as_ref(), &client)?;
        import_set(&rows, &bytes, since, &author, &mut journal, &mut appender, context.now())
    } else {
        let bar = progress::bar(rows.len() as u64, "rows", context.json());
        let done = import(&rows, &author, &mut journal, &mut appender, context.now(), |done| bar.set_position(done));
        bar.finish_and_clear();
        done
    };
    let summary = done.map_err(of_stop)?;
    if is_new && summary.duplicate > 0 {
        let text = "some rows are in the ledger already, from another file or journal: an equal row of the same authority is the same \
                    record. To say a thing again, tell the rows apart, by `ref` for example";
        context.say("note:", text);
    }
    if let Some(text) = ended(&summary.ended) {
        context.say("warning:", &text);
    }
    if context.json() {
        print_line(&serde_json::to_string(&summary).expect("counts and texts are JSON"))?;
    } else {
        print(&words(&summary, context.out()))?;
    }
    Ok(if summary.refused == 0 { Exit::Done } else { Exit::Failed })
}

/// What the import would do.
fn preview(
    rows: &[Row],
    text: &[u8],
    path: &Path,
    options: &Options,
    client: &Client,
    author: &Author,
    context: &Context,
) -> Result<Exit, Failure> {
    let (kept, set) = Journal::peek(path, author.chain(), author.authority()).map_err(|error| of_journal(&error))?;
    let mode = match (options.atomic, set) {
        (false, Some(_)) => return Err(of_stop(Stop::AsSet)),
        (false, None) => Mode::Rows,
        (true, set) => {
            let since = size_since(options.unchanged_since.as_ref(), client)?;
            Mode::Set(Whole::of(text, since, author, &kept, set).map_err(of_stop)?)
        }
    };
    let mut appender = Appender::new(client, author);
    let ask = |asked: &PreviewAsked| Ok(client.preview(asked)?);
    let told =
        import_preview::preview(rows, &kept, mode, author, &mut appender, context.now(), ask).map_err(of_preview)?;
    if context.json() {
        print_line(&serde_json::to_string(&told).expect("counts and texts are JSON"))?;
        return Ok(Exit::Done);
    }
    let Preview { rows, appended, duplicate, revoked, entries_revoked, nothing_to_revoke, refused, .. } = told;
    let refusals = told.refusals;
    context.say("dry run:", "what the import would come to; nothing is signed, sent or written");
    let counts = Summary { rows, appended, duplicate, revoked, ..Summary::default() };
    let summary = Summary { entries_revoked, nothing_to_revoke, refused, refusals, ..counts };
    print(&words(&summary, context.out()))?;
    for RowNote { line, note, entries } in told.notes.iter().take(LISTED_MAX) {
        context.say("note:", &format!("line {line}: {}", dry_run::idle(*note, entries)));
    }
    if told.notes.len() > LISTED_MAX {
        context.say("note:", &format!("and {} more rows of that kind", told.notes.len() - LISTED_MAX));
    }
    let Some(at) = told.at else { return Ok(Exit::Done) };
    if !told.changes.is_empty() {
        print("\n")?;
    }
    dry_run::effect(&told.changes, at, told.more, context)
}

/// A dry run leaves nothing to be gone on with.
fn of_preview(stop: Stop<AppendError>) -> Failure {
    match stop {
        Stop::Ledger { source, .. } => {
            let failure = Failure::from(source);
            match failure.is_too_large() {
                true => failure.hint("a preview takes 20,000 statements at most: split the file for it"),
                false => failure,
            }
        }
        stop => of_stop(stop),
    }
}

/// What is said of entries that had ended when they came into the log, by their lines.
fn ended(lines: &[u64]) -> Option<String> {
    let shown: Vec<String> = lines.iter().take(LINES_MAX).map(u64::to_string).collect();
    let (last, first) = shown.split_last()?;
    let which = match (first, lines.len() - shown.len()) {
        ([], _) => return Some(format!("the entry of line {last} had ended already: it will never hold")),
        (first, 0) => format!("{} and {last}", first.join(", ")),
        (_, more) => format!("{} and {more} more", shown.join(", ")),
    };
    Some(format!("{} entries had ended already: they will never hold; lines {which}", lines.len()))
}

fn words(summary: &Summary, style: Style) -> String {
    let Summary { appended, duplicate, revoked, entries_revoked, nothing_to_revoke, refused, refusals, .. } = summary;
    let mut table = Table::default();
    let entries = if revoked == entries_revoked { String::new() } else { format!("{entries_revoked} entries") };
    for (name, count, note) in [
        ("appended", *appended, ""),
        ("duplicate", *duplicate, ""),
        ("revoked", *revoked, entries.as_str()),
        ("nothing to revoke", *nothing_to_revoke, ""),
        ("refused", *refused, ""),
    ] {
        let name = if name == "refused" && count > 0 { Cell::of(name).painted(Style::red) } else { Cell::of(name) };
        table.row(vec![name, Cell::number(count), Cell::dim(note)]);
    }
    let mut text = table.take(style);
    if refusals.is_empty() {
        return text;
    }
    let mut table = Table::headed(&["line", "code", "field", "why"]);
    for Refused { line, code, field, detail } in refusals.iter().take(LISTED_MAX) {
        let field = field.as_deref().unwrap_or("-");
        table.row(vec![Cell::number(*line), Cell::of(clean(code)), Cell::of(clean(field)), Cell::of(clean(detail))]);
    }
    text.push('\n');
    text.push_str(&table.take(style));
    if refusals.len() > LISTED_MAX {
        text.push_str(&format!("and {} more; `--json` lists them all\n", refusals.len() - LISTED_MAX));
    }
    text
}

fn of_journal(error: &JournalError) -> Failure {
    let hint = match error {
        JournalError::Busy { .. } => "wait until it has come to its end",
        JournalError::OtherChain { .. } | JournalError::OtherAuthority { .. } => {
            "`--journal PATH` keeps another journal for another chain or authority"
        }
        JournalError::Foreign { .. } | JournalError::Io { .. } => {
            "`--journal PATH` names another place for the journal"
        }
        _ => "the journal knows what relative times and withdrawals were resolved to; restore it rather than delete it",
    };
    Failure::of(error).code("journal").hint(hint)
}

fn of_stop(stop: Stop<AppendError>) -> Failure {
    match stop {
        Stop::Mismatch(_) => Failure::of(&stop).code("changed_file").hint(
            "rows that were sent must stay, in their order; new rows may be added anywhere. What a row did is undone by a row with \
             access `revoked`, not by taking it out. `--journal PATH` starts anew: then rows with relative times are new rows",
        ),
        Stop::Journal(error) => of_journal(&error),
        Stop::Ledger { done, rows, source } => {
            Failure::from(source).about(&format!("stopped after {done} of {rows} rows")).hint("run it again: it goes on where it stopped")
        }
        Stop::TooLarge(_) => {
            Failure::of(&stop).code("too_large").hint("without --atomic a file may have any number of rows; or split it into several sets")
        }
        Stop::OtherSet => Failure::of(&stop).code("changed_file").hint(
            "one set is all of its file: put it back as it was, and import what is new from another file",
        ),
        Stop::NotAsSet => Failure::of(&stop).code("changed_file").hint(
            "import it without --atomic, or what is new from another file with it",
        ),
        Stop::AsSet => Failure::of(&stop).code("changed_file").hint("import it with --atomic"),
        other => Failure::of(&other),
    }
}

#[cfg(test)]
mod tests;
