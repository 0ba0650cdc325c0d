//! Appending one record, for the commands that make one.

use clap::Args;
use writ_client::author::{Author, random_nonce};
use writ_client::client::{Client, Wait};
use writ_proto::api::{Receipt, RecordStatus};
use writ_proto::record::Body;

use super::dry_run;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{print_line, short};

/// How a record is appended.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Do not wait until the record is in the log; `writ entry ID` tells what became of it
    #[arg(long)]
    no_wait: bool,
    /// Only tell who would gain or lose what, or why it would be refused: nothing is signed or sent
    #[arg(long, conflicts_with = "no_wait")]
    dry_run: bool,
}

/// Signs and appends `body`, and prints the id; or only tells what it would change. `words` says for people what it
/// states.
pub(super) fn append(
    body: Body,
    author: &Author,
    client: &Client,
    words: &str,
    options: &Options,
    context: &Context,
) -> Result<Exit, Failure> {
    if options.dry_run {
        return dry_run::statement(&body, author.authority(), client, words, context);
    }
    let nonce = random_nonce().map_err(|error| Failure::of(&error))?;
    let record = author.sign(nonce, body, writ_client::clock::now())?;
    let receipt = client.submit(&record, if options.no_wait { Wait::Seen } else { Wait::Committed })?;
    if context.json() {
        print_line(&serde_json::to_string(&receipt).expect("a receipt is JSON"))?;
    } else {
        print_line(&receipt.id.to_string())?;
    }
    conclude(&receipt, words, options.no_wait, context)
}

fn conclude(receipt: &Receipt, words: &str, no_wait: bool, context: &Context) -> Result<Exit, Failure> {
    let id = short(&receipt.id.0);
    match (receipt.status, &receipt.place) {
        (RecordStatus::Committed, Some(place)) => {
            let proof = format!("the proof leads to the root of {} leaves", place.log_size);
            context.say("done:", &format!("{words}; index {}, height {}, {proof}", place.index, place.height));
            Ok(Exit::Done)
        }
        (RecordStatus::Pending, _) if no_wait => {
            context.say("sent:", &format!("{words}; `writ entry {id}` tells what becomes of it"));
            Ok(Exit::Done)
        }
        (RecordStatus::Pending, _) => {
            Err(Failure::failed(format!("record {id} is not in the log yet")).code("pending").hint(format!(
                "nothing is lost: the node keeps it, and `writ entry {}` tells what becomes of it",
                receipt.id
            )))
        }
        _ => {
            let code = receipt.code.as_deref().unwrap_or("rejected");
            let detail = receipt.detail.as_deref().unwrap_or("no reason is given");
            Err(Failure::failed(format!("record {id} does not count: {detail}")).code(code))
        }
    }
}
