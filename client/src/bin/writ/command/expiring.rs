//! `writ expiring`: what ends by itself, soonest first.

use clap::Args;
use writ_client::search::{Expiring, Until};
use writ_client::when::Span;
use writ_proto::api::Entry;
use writ_proto::record::Effect;
use writ_proto::time::LedgerTime;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{Cell, Style, Table, beside, clean, print, print_line, short};

/// Until when.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Options {
    /// Within so long from now: 14d, 2w, 90m
    #[arg(long, value_name = "DURATION")]
    within: Option<String>,
    /// Until this instant
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
}

pub(super) fn run(options: &Options, context: &Context) -> Result<Exit, Failure> {
    let until = match (&options.within, &options.until) {
        (Some(within), _) => {
            let span: Span = within.parse().map_err(|error| Failure::of_option("within", error))?;
            Until::WithinMs(span.0)
        }
        (None, Some(until)) => Until::At(context.time("until", until)?),
        (None, None) => return Err(Failure::misused("neither `--within` nor `--until` says until when")),
    };
    let client = context.client()?;
    let mut table = Table::headed(&["ends", "id", "access", "sub", "act", "obj", "by"]);
    let mut is_empty = true;
    for page in client.expiring_pages(&Expiring { until, page: None }) {
        let page = page?;
        if context.json() {
            for entry in &page.entries {
                print_line(&serde_json::to_string(entry).expect("an entry is JSON"))?;
            }
            continue;
        }
        if !page.entries.is_empty() {
            is_empty = false;
            page.entries.iter().for_each(|entry| table.row(row(entry, context.now())));
            print(&table.take(context.out()))?;
        }
        if is_empty && page.next.is_none() {
            context.say("note:", &format!("nothing ends by itself until {}", page.until));
        }
    }
    Ok(Exit::Done)
}

fn row(entry: &Entry, now: LedgerTime) -> Vec<Cell> {
    let effect = Cell::of(entry.access.as_str());
    let effect = match entry.access {
        Effect::Grant => effect.painted(Style::green),
        Effect::Deny => effect.painted(Style::red),
    };
    vec![
        Cell::of(entry.exp.map_or_else(String::new, |exp| beside(exp, now))),
        Cell::dim(short(&entry.id.0)),
        effect,
        Cell::of(clean(&entry.sub)),
        Cell::of(clean(&entry.act)),
        Cell::of(clean(&entry.obj)),
        Cell::of(entry.issuing_auth.to_string()),
    ]
}
