//! `writ revoke`: end an entry.

use clap::Args;
use writ_client::circle::Needs;
use writ_client::client::Client;
use writ_proto::api::from_base64;
use writ_proto::record::{Body, Effect, RecordId, Revoke, Signed};

use super::{dry_run, find, send};
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::says;

/// Which entry to end.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The entry's id, or at least its first 8 digits
    id: String,
    /// What the entry is, for one that the nodes do not know yet
    #[arg(long, value_name = "EFFECT", value_parser = ["granted", "denied"])]
    effect: Option<String>,
    #[command(flatten)]
    dry_run: dry_run::Options,
    #[command(flatten)]
    send: send::Options,
}

pub(super) fn run(options: &Options, context: &Context) -> Result<Exit, Failure> {
    let client = context.client()?;
    let speaker = options.send.speaker(Needs::Authority, &client, context)?;
    let target = find::id_of(&options.id, &client, None, context)?;
    let said = options.effect.as_deref().map(|effect| if effect == "denied" { Effect::Deny } else { Effect::Grant });
    let effect = match (effect_of(&client, target)?, said) {
        (Some(known), Some(said)) if known != said => {
            return Err(Failure::misused(format!("entry {target} is `{}`, not `{}`", known.as_str(), said.as_str())));
        }
        (Some(known), _) => known,
        (None, Some(said)) => said,
        (None, None) => {
            return Err(Failure::failed(format!("no record {target} is known"))
                .code("not_found")
                .hint("to revoke an entry before it arrives, say what it is: `--effect granted`"));
        }
    };
    let body = Body::Revoke(Revoke { target, effect });
    let words = says(speaker.authority(), &body);
    if options.dry_run.is_wanted() {
        return dry_run::statement(&body, speaker.authority(), &client, &words, context);
    }
    send::state(body, &speaker, &client, &words, &options.send, context)
}

/// What the target is, by its own bytes; `None` if no node knows it.
pub(super) fn effect_of(client: &Client, target: RecordId) -> Result<Option<Effect>, Failure> {
    let Some(receipt) = client.record_if_any(target)? else { return Ok(None) };
    let bytes = receipt.record.as_deref().and_then(from_base64);
    let Some(signed) = bytes.and_then(|bytes| Signed::decode(bytes).ok()) else { return Ok(None) };
    if let Some(made) = signed.entries().find(|made| made.id == target) {
        return Ok(Some(made.access.effect));
    }
    if signed.id() != target {
        return Ok(None);
    }
    match signed.body() {
        Body::Set(_) => Err(Failure::misused(format!("record {target} is a set: its entries are revoked one by one"))
            .hint("`writ entry` lists their ids")),
        other => {
            let kind = other.kind().as_str();
            Err(Failure::misused(format!(
                "record {target} is of kind `{kind}`, only grants and denials can be revoked"
            )))
        }
    }
}
