//! `writ combine`: the signatures of several people on one record.

use std::path::PathBuf;

use clap::Args;
use writ_client::draft::Draft;

use super::{send, sign};
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::print_line;

/// What to put together.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Files of the same record, signed apart
    #[arg(required = true, num_args = 1.., value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The file to make, with all their signatures
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn run(options: &Options, context: &Context) -> Result<Exit, Failure> {
    let mut joined: Option<Draft> = None;
    for path in &options.files {
        let about = |failure: Failure| failure.about(&format!("`{}`", path.display()));
        let draft = Draft::open(path).map_err(|error| about(error.into()))?;
        match &mut joined {
            None => joined = Some(draft),
            Some(joined) => drop(joined.join(&draft).map_err(|error| about(error.into()))?),
        }
    }
    let Some(draft) = joined else {
        return Err(Failure::misused("no file is named"));
    };
    draft.create(&options.out)?;
    let circle = sign::circle(context)?;
    if !context.json() {
        print_line(&draft.id().to_string())?;
    }
    send::told(&draft, sign::tally(&draft, circle.as_ref()).as_ref(), &options.out, context)
}
