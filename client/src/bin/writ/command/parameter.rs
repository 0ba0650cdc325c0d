//! `writ parameter`: the bounds that a chain chooses for itself, and its protocol version.

use clap::Args;
use serde_json::json;
use writ_client::circle::Needs;
use writ_proto::api::ParametersAnswer;
use writ_proto::genesis::{Genesis, Parameters};
use writ_proto::record::{Body, ParameterChange};

use super::send;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{fields, parameter_fields, print, print_line, says};

/// Which parameters to change.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true))]
pub(crate) struct Set {
    /// How far ahead of its block a record's `submit_by` may lie, in milliseconds
    #[arg(long, value_name = "MS", group = "which")]
    submit_ahead_ms_max: Option<u64>,
    /// How far ahead of a validator's clock a block's time may lie, in milliseconds
    #[arg(long, value_name = "MS", group = "which")]
    clock_bound_ms: Option<u64>,
    /// How far behind a validator's clock a fresh proposal's time may lie, in milliseconds
    #[arg(long, value_name = "MS", group = "which")]
    proposal_age_ms_max: Option<u64>,
    #[command(flatten)]
    send: send::Options,
}

/// Which protocol version, from when on.
#[derive(Debug, Args)]
pub(crate) struct Activate {
    /// The protocol version
    #[arg(long, value_name = "VERSION")]
    protocol: u32,
    /// The first height under it
    #[arg(long, value_name = "HEIGHT")]
    height: u64,
    #[command(flatten)]
    send: send::Options,
}

pub(super) fn show(context: &Context) -> Result<Exit, Failure> {
    let client = context.client()?;
    let genesis = context.genesis(&client)?;
    let told = match client.parameters()? {
        Some(told) => told,
        None => {
            context.say("note:", "the nodes do not tell of changes: these are the genesis's");
            let Genesis { protocol, ref parameters, .. } = genesis;
            ParametersAnswer { height: 1, protocol, parameters: parameters.clone(), activation: None }
        }
    };
    if context.json() {
        print_line(&json!(told).to_string())?;
        return Ok(Exit::Done);
    }
    let mut pairs = vec![("protocol", told.protocol.to_string()), ("height", told.height.to_string())];
    pairs.extend(
        told.activation.map(|next| ("to come", format!("protocol {} from height {} on", next.protocol, next.height))),
    );
    pairs.extend(parameter_fields(&told.parameters));
    pairs.push(("root_quorum", format!("{} of {}", genesis.root_quorum, genesis.authorities.len())));
    print(&fields(context.out(), &pairs))?;
    Ok(Exit::Done)
}

pub(super) fn set(options: &Set, context: &Context) -> Result<Exit, Failure> {
    let client = context.client()?;
    let speaker = options.send.speaker(Needs::Roots, &client, context)?;
    let old = speaker.circle().parameters();
    let new = Parameters {
        submit_ahead_ms_max: options.submit_ahead_ms_max.unwrap_or(old.submit_ahead_ms_max),
        clock_bound_ms: options.clock_bound_ms.unwrap_or(old.clock_bound_ms),
        proposal_age_ms_max: options.proposal_age_ms_max.unwrap_or(old.proposal_age_ms_max),
    };
    if let Err(refusal) = new.check() {
        return Err(Failure::misused(refusal.detail));
    }
    for ((name, new), (_, old)) in parameter_fields(&new).into_iter().zip(parameter_fields(old)) {
        if new != old {
            context.say("change:", &format!("{name} from {old} to {new}"));
        }
    }
    if new == *old {
        context.say("note:", "that is what they are");
    }
    let body = Body::Parameter(ParameterChange::Set(new));
    let words = says(speaker.authority(), &body);
    send::state(body, &speaker, &client, &words, &options.send, context)
}

pub(super) fn activate(options: &Activate, context: &Context) -> Result<Exit, Failure> {
    let client = context.client()?;
    let speaker = options.send.speaker(Needs::Roots, &client, context)?;
    let height = client.status()?.height;
    if options.height <= height {
        let detail = format!("height {} is not ahead: the chain has reached {height}", options.height);
        return Err(Failure::of_option("height", detail));
    }
    let change = ParameterChange::Activate { protocol: options.protocol, height: options.height };
    let body = Body::Parameter(change);
    let words = says(speaker.authority(), &body);
    send::state(body, &speaker, &client, &words, &options.send, context)
}
