//! `writ diff`: who gained and lost what between two points of the log.

use clap::Args;
use writ_proto::api::LogPoint;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{beside, changes, print, print_line};

/// Between which points.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The earlier point: a height (0: before the first block), or a time
    #[arg(long, value_name = "HEIGHT|TIME", allow_hyphen_values = true)]
    from: String,
    /// The later point; without it, the last block
    #[arg(long, value_name = "HEIGHT|TIME", allow_hyphen_values = true)]
    to: Option<String>,
}

pub(super) const AFTER_HELP: &str = "\
A height means what was known at that block, as of the time of that block. A time means the last block by then,
as of that time, so what ended by itself is told too.
With --json one object: changes (each sub, obj, gained, lost), from, to (each height, at).";

pub(super) fn run(options: &Options, context: &Context) -> Result<Exit, Failure> {
    let from = point("from", &options.from, context)?;
    let to = options.to.as_deref().map(|to| point("to", to, context)).transpose()?;
    let diff = context.client()?.diff(&from, to.as_deref())?;
    if context.json() {
        print_line(&serde_json::to_string(&diff).expect("changes are JSON"))?;
        return Ok(Exit::Done);
    }
    let words = |point: LogPoint| format!("height {}, {}", point.height, beside(point.at, context.now()));
    context.say("between:", &format!("{} and {}", words(diff.from), words(diff.to)));
    if diff.changes.is_empty() {
        context.say("note:", "nobody gained or lost anything");
    }
    print(&changes(&diff.changes, ["gained", "lost"], context.out()))?;
    Ok(Exit::Done)
}

/// A height as it is, a time as the interface writes it.
fn point(option: &str, text: &str, context: &Context) -> Result<String, Failure> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(text.into());
    }
    Ok(context.time(option, text)?.to_string())
}
