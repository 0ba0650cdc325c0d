//! `writ what-can`: everything that somebody can do.

use clap::Args;
use writ_client::search::WhatCan;
use writ_proto::api::{Possession, check_type, question_of};

use super::check::circumstances;
use crate::args::Moment;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{Cell, Table, clean, print, print_line};

/// Who, and when.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The subject: who
    #[arg(long, value_name = "NAME")]
    sub: String,
    /// To objects of this type only
    #[arg(long = "type", value_name = "TYPE")]
    type_: Option<String>,
    /// A circumstance that conditions may look at, once for each; JSON, or else a text
    #[arg(long = "context", value_name = "NAME=VALUE")]
    told: Vec<String>,
    #[command(flatten)]
    moment: Moment,
}

pub(super) fn run(options: &Options, context: &Context) -> Result<Exit, Failure> {
    let Options { sub, type_, told, moment } = options;
    // Judged here first, so that a mistyped name is a misuse; any object does.
    question_of(sub, None, "anything")?;
    if let Some(type_) = type_ {
        check_type(type_).map_err(|error| Failure::of_option("type", error))?;
    }
    let question = WhatCan {
        sub: sub.clone(),
        type_: type_.clone(),
        context: circumstances(told)?,
        moment: moment.read(context)?,
        page: None,
    };
    let found = context.client()?.what_can(&question)?;
    if context.json() {
        print_line(&serde_json::to_string(&found).expect("names are JSON"))?;
        return Ok(Exit::Done);
    }
    moment.say(context, found.at, found.height);
    if found.results.is_empty() && found.patterns.is_empty() {
        context.say("note:", "nothing is granted");
    }
    let mut table = Table::default();
    found.results.iter().for_each(|possession| table.row(row(possession, "")));
    found.patterns.iter().for_each(|possession| table.row(row(possession, "(pattern: whatever else it covers)")));
    print(&table.take(context.out()))?;
    Ok(Exit::Done)
}

/// Object, action, and what is left out.
fn row(possession: &Possession, mark: &str) -> Vec<Cell> {
    let Possession { obj, act, except } = possession;
    let except: Vec<String> = except.iter().map(|act| clean(act)).collect();
    let but = if except.is_empty() { String::new() } else { format!("but not {}", except.join(", ")) };
    vec![Cell::of(clean(obj)), Cell::of(clean(act)), Cell::of(but), Cell::dim(mark)]
}
