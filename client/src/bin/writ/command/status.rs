//! `writ status`: how a node stands.

use writ_client::Client;
use writ_proto::api::Status;
use writ_proto::checkpoint::{Checkpoint, Cosigners};
use writ_proto::time::LedgerTime;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{Style, beside, clean, fields, print, print_line};

pub(super) fn run(context: &Context) -> Result<Exit, Failure> {
    let client = context.client()?;
    let text = client.status_json()?;
    if context.json() {
        print_line(text.trim_end())?;
        return Ok(Exit::Done);
    }
    let status: Status =
        serde_json::from_str(&text).map_err(|error| Failure::failed(format!("the node answers no status: {error}")))?;
    print(&words(&status, &checkpoint(&client, &status)?, context.out(), context.now()))?;
    Ok(Exit::Done)
}

/// The final checkpoint in words. Its validators are those whom the node names: `writ audit` looks closer.
fn checkpoint(client: &Client, status: &Status) -> Result<String, Failure> {
    let Some(note) = client.checkpoint()? else { return Ok("none yet".into()) };
    let policy = Cosigners::from_policy(&client.policy()?).map_err(|error| Failure::failed(error.to_string()))?;
    Ok(match policy.verify(&note) {
        Ok(cosigned) if policy.origin() == status.name => {
            let Checkpoint { size, .. } = cosigned.checkpoint();
            let (signers, all) = (cosigned.signers().len(), policy.members().len());
            format!("{size} leaves, signed by {signers} of {all} validators")
        }
        Ok(_) => format!("not of this chain, but of `{}`", clean(policy.origin())),
        Err(error) => format!("not to be trusted: {}", clean(&error.to_string())),
    })
}

fn words(status: &Status, checkpoint: &str, style: Style, now: LedgerTime) -> String {
    let caught_up =
        if status.caught_up { style.green("caught up") } else { style.red("catching up, and does not answer yet") };
    let dev =
        if status.dev_authority { style.yellow("trusted: for trying things out only") } else { "not trusted".into() };
    let pairs = [
        ("chain", format!("{} ({})", status.chain, clean(&status.name))),
        ("node", format!("{}, {caught_up}, version {}", clean(&status.role), clean(&status.version))),
        ("height", format!("{}, of {}", status.height, beside(status.time, now))),
        ("log", format!("{} leaves, root {}", status.log_size, clean(&status.log_root))),
        ("checkpoint", checkpoint.into()),
        ("position", clean(&status.position)),
        ("pending", status.pending.to_string()),
        ("peers", status.peers.to_string()),
        ("authority dev", dev),
    ];
    fields(style, &pairs)
}
