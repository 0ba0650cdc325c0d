//! `writ sign`: show what a record says, and sign it.

use std::path::PathBuf;

use clap::Args;
use writ_client::AuthorError;
use writ_client::circle::{Circle, Needs, Tally};
use writ_client::draft::Draft;
use writ_proto::key::{PublicKey, SecretKey};

use super::send;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{Shown, print, print_line};

pub(super) const TOGETHER: &str = "\
A record that several people must sign goes from hand to hand: `--out FILE` at the command that makes it
writes it to a file instead of sending it, `writ sign FILE` shows it in words and adds a signature,
`writ combine` puts together what several people signed apart, `writ submit FILE` appends it. Keys of one
hand sign together: `--key A --key B`.";

/// What to sign.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The file to show and to sign; the signature goes into it
    #[arg(required_unless_present = "bytes")]
    file: Option<PathBuf>,
    /// Only show what this file says: one of `--out`, an answer of /v1/records/prepare, or bytes to sign
    #[arg(long, value_name = "FILE", conflicts_with_all = ["file", "out"])]
    bytes: Option<PathBuf>,
    /// Leave the file as it is, and write the signed one here
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(options: &Options, context: &Context) -> Result<Exit, Failure> {
    let Some(path) = options.bytes.as_ref().or(options.file.as_ref()) else {
        return Err(Failure::misused("no file is named"));
    };
    let mut draft = Draft::open(path)?;
    let statement = draft.statement().clone();
    if let Some(expected) = context.chain().filter(|chain| **chain != statement.chain) {
        return Err(Failure::failed(format!("the record is for chain {}, expected {expected}", statement.chain))
            .code("wrong_chain"));
    }
    let circle = circle(context)?;
    let shown = Shown { draft: &draft, circle: circle.as_ref(), now: context.now() };
    let keys = if options.bytes.is_some() { Vec::new() } else { context.keys()? };
    // A program that signs hears how far the signatures go, and one that looks what is said.
    if context.json() {
        if keys.is_empty() {
            print_line(&shown.json().to_string())?;
        }
    } else {
        print(&shown.words(context.out()))?;
    }
    let foreign = circle.as_ref().map(|circle| circle.genesis().chain_id()).filter(|id| *id != statement.chain);
    if keys.is_empty() {
        if let Some(found) = foreign {
            context.say("warning:", &format!("the nodes are of another chain: {found}"));
        }
        if options.bytes.is_none() {
            context.say("note:", "nothing is signed: `--key FILE` names the key to sign with");
        }
        return Ok(Exit::Done);
    }
    if let Some(found) = foreign {
        return Err(Failure::failed(format!("the record is for chain {}, the nodes are of {found}", statement.chain))
            .code("wrong_chain")
            .hint("`--node URL` names nodes of that chain"));
    }
    if let Some(submit_by) = statement.submit_by.filter(|time| *time <= context.now()) {
        return Err(Failure::failed(format!("it had to be in the log by {submit_by}"))
            .code("expired_submission")
            .hint("make it again: the signatures on this one are of no use any more"));
    }
    // All or none: a file with half of the signatures that were asked for would be a surprise.
    let signing: Vec<PublicKey> = keys.iter().map(SecretKey::public).collect();
    match &circle {
        Some(circle) => drop(circle.tally(Needs::of(&statement.body), &statement.authority, &signing)?),
        None => context.say("warning:", "no node tells whether these keys may sign it"),
    }
    let mut new = 0;
    for key in &keys {
        new += usize::from(draft.sign(key)?);
    }
    if new < keys.len() {
        context.say("note:", &format!("{} of these signatures stood on it already", keys.len() - new));
    }
    match &options.out {
        Some(out) => draft.create(out)?,
        None if new > 0 => draft.replace(path)?,
        None => {}
    }
    send::told(&draft, tally(&draft, circle.as_ref()).as_ref(), options.out.as_ref().unwrap_or(path), context)
}

/// What the nodes tell about who must sign; `None` if there are no nodes here, as on a machine that only signs.
pub(super) fn circle(context: &Context) -> Result<Option<Circle>, Failure> {
    match Circle::ask(&context.client()?, None) {
        Ok(circle) => Ok(Some(circle)),
        Err(AuthorError::Client(error)) if error.is_passing() => {
            context.say("note:", "no node answers: neither the chain's name nor who must sign is known here");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// How far the signatures go, where that is known and all of them count.
pub(super) fn tally(draft: &Draft, circle: Option<&Circle>) -> Option<Tally> {
    let statement = draft.statement();
    let circle = circle.filter(|circle| circle.genesis().chain_id() == statement.chain)?;
    circle.tally(Needs::of(&statement.body), &statement.authority, &draft.keys()).ok()
}
