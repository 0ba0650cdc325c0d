//! `writ who-can`: everybody who can do something.

use clap::Args;
use writ_client::search::WhoCan;
use writ_proto::api::question_of;

use super::check::circumstances;
use crate::args::Moment;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{clean, print, print_line};

/// To what, and when.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The object: what
    #[arg(long, value_name = "NAME")]
    obj: String,
    /// The action; without it, every action
    #[arg(long, value_name = "ACTION")]
    act: Option<String>,
    /// A circumstance that conditions may look at, once for each; JSON, or else a text
    #[arg(long = "context", value_name = "NAME=VALUE")]
    told: Vec<String>,
    #[command(flatten)]
    moment: Moment,
}

pub(super) fn run(options: &Options, context: &Context) -> Result<Exit, Failure> {
    let Options { obj, act, told, moment } = options;
    // Judged here first, so that a mistyped name is a misuse; any subject does.
    question_of("anybody", act.as_deref(), obj)?;
    let question = WhoCan {
        obj: obj.clone(),
        act: act.clone(),
        context: circumstances(told)?,
        moment: moment.read(context)?,
        page: None,
    };
    let found = context.client()?.who_can(&question)?;
    if context.json() {
        print_line(&serde_json::to_string(&found).expect("names are JSON"))?;
        return Ok(Exit::Done);
    }
    moment.say(context, found.at, found.height);
    if found.results.is_empty() && found.patterns.is_empty() {
        context.say("note:", "nobody can");
    }
    let mut text: String = found.results.iter().map(|name| clean(name) + "\n").collect();
    for pattern in &found.patterns {
        text += &format!("{}  {}\n", clean(pattern), context.out().dim("(pattern: whoever else it covers)"));
    }
    print(&text)?;
    Ok(Exit::Done)
}
