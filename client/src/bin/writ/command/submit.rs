//! `writ submit`: append a record that was signed before.

use std::path::PathBuf;

use clap::Args;
use writ_client::circle::Circle;
use writ_client::draft::Draft;

use super::{send, sign};
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{says, tally_words};

/// What to append.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The file with the signed record
    file: PathBuf,
    /// Do not wait until the record is in the log; `writ entry ID` tells what became of it
    #[arg(long)]
    no_wait: bool,
}

pub(super) fn run(options: &Options, context: &Context) -> Result<Exit, Failure> {
    let draft = Draft::open(&options.file)?;
    let record = draft.record()?;
    let client = context.client()?;
    let circle = Circle::ask(&client, context.chain())?;
    let words = says(&draft.statement().authority, &draft.statement().body);
    send::send(&record, &client, &words, options.no_wait, context).map_err(|failure| {
        // The chain has counted; what we count only says who is missing.
        match sign::tally(&draft, Some(&circle)).filter(|tally| failure.is_of("threshold_not_met") && !tally.is_met()) {
            Some(tally) => failure.hint(format!("signed so far: {}", tally_words(&tally))),
            None => failure,
        }
    })
}
