//! `writ log`: list entries.

use clap::Args;
use writ_client::client::Filter;
use writ_proto::api::Entry;
use writ_proto::record::Effect;
use writ_proto::time::LedgerTime;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{Cell, Style, Table, clean, holds, print, print_line, short};

/// Rows that are measured together for the width of columns.
const ROWS_AT_ONCE: usize = 200;

/// Which entries.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Entries whose subject is written just so; a pattern matches itself
    #[arg(long, value_name = "NAME")]
    sub: Option<String>,
    /// Entries whose object is written just so; a pattern matches itself
    #[arg(long, value_name = "NAME")]
    obj: Option<String>,
    /// Entries whose action is written just so
    #[arg(long, value_name = "ACTION")]
    act: Option<String>,
    /// Only what is granted, or denied
    #[arg(long, value_name = "EFFECT", value_parser = ["granted", "denied"])]
    access: Option<String>,
    /// From this place in the log on
    #[arg(long, value_name = "INDEX")]
    from_index: Option<u64>,
    /// Entries of this block
    #[arg(long, value_name = "HEIGHT")]
    height: Option<u64>,
    /// At most so many entries
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    /// Also entries that were rejected, and never count
    #[arg(long)]
    all: bool,
}

pub(super) fn run(options: &Options, context: &Context) -> Result<Exit, Failure> {
    let access = options.access.as_deref().map(|access| if access == "denied" { Effect::Deny } else { Effect::Grant });
    let limit = options.limit.unwrap_or(usize::MAX);
    let filter = Filter {
        sub: options.sub.clone(),
        obj: options.obj.clone(),
        act: options.act.clone(),
        access,
        authority: context.authority().map(ToString::to_string),
        from_index: options.from_index,
        height: options.height,
        rejected_too: options.all,
        page: Some(limit.clamp(1, 1000)),
    };
    let client = context.client()?;
    let entries = client.entries(filter).take(limit);
    if context.json() {
        for entry in entries {
            print_line(&serde_json::to_string(&entry?).expect("an entry is JSON"))?;
        }
        return Ok(Exit::Done);
    }
    let mut table = Table::headed(&["index", "id", "access", "sub", "act", "obj", "by", "holds"]);
    let mut rows = 0;
    for entry in entries {
        table.row(row(&entry?, context.now()));
        rows += 1;
        if rows % ROWS_AT_ONCE == 0 {
            print(&table.take(context.out()))?;
        }
    }
    if rows == 0 {
        context.say("note:", "there is no such entry");
        return Ok(Exit::Done);
    }
    print(&table.take(context.out()))?;
    Ok(Exit::Done)
}

fn row(entry: &Entry, now: LedgerTime) -> Vec<Cell> {
    let over = entry.revoked.is_some() || entry.exp.is_some_and(|exp| exp <= now);
    let effect = Cell::of(entry.access.as_str());
    let effect = match entry.access {
        _ if over => effect.painted(Style::dim),
        Effect::Grant => effect.painted(Style::green),
        Effect::Deny => effect.painted(Style::red),
    };
    vec![
        Cell::number(entry.index),
        Cell::dim(short(&entry.id.0)),
        effect,
        Cell::of(clean(&entry.sub)),
        Cell::of(clean(&entry.act)),
        Cell::of(clean(&entry.obj)),
        Cell::of(entry.issuing_auth.to_string()),
        Cell::of(holds(entry, now)),
    ]
}
