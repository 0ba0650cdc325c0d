//! `writ entry`: show a record and the proof that it is in the log.

use clap::Args;
use writ_proto::api::{Receipt, RecordStatus};

use super::find;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{clean, entry_fields, fields, print, print_line};

/// Which record.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The record's id, or at least the first 8 digits of an entry's
    id: String,
}

pub(super) fn run(options: &Options, context: &Context) -> Result<Exit, Failure> {
    let client = context.client()?;
    let id = find::id_of(&options.id, &client, context.authority(), context)?;
    let (receipt, json) = client.record_json(id)?;
    if context.json() {
        print_line(json.trim_end())?;
        return Ok(Exit::Done);
    }
    let style = context.out();
    let mut pairs = receipt.entry.as_ref().map_or_else(Vec::new, |entry| entry_fields(style, entry, context.now()));
    pairs.extend(standing(&receipt));
    print(&fields(style, &pairs))?;
    Ok(Exit::Done)
}

fn standing(receipt: &Receipt) -> Vec<(&'static str, String)> {
    let status = match receipt.status {
        RecordStatus::Pending => "pending: it waits for a block",
        RecordStatus::Committed => "committed",
        RecordStatus::Rejected => "rejected: it is in the log and does not count",
        RecordStatus::Refused => "refused: it is not in the log",
    };
    let mut pairs = vec![("status", status.to_owned())];
    if receipt.entry.is_none() {
        pairs.push(("id", receipt.id.to_string()));
        pairs.extend(receipt.entries.iter().map(|id| ("entry", id.to_string())));
        pairs.extend(
            receipt.place.as_ref().map(|place| ("place", format!("index {}, height {}", place.index, place.height))),
        );
    }
    if let Some(code) = &receipt.code {
        let detail = receipt.detail.as_deref().unwrap_or_default();
        pairs.push(("why", clean(&format!("{code}: {detail}"))));
    }
    if let Some(place) = &receipt.place {
        pairs.push(("position", clean(&place.position)));
        pairs.push((
            "proof",
            format!("checked: it leads to the root of {} leaves, {}", place.log_size, clean(&place.log_root)),
        ));
    }
    pairs
}
