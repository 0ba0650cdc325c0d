//! `writ validator`: who votes.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use writ_client::circle::Needs;
use writ_client::client::Client;
use writ_proto::api::ValidatorAnswer;
use writ_proto::certificate::{faulty, quorum};
use writ_proto::hash::Digest;
use writ_proto::key::{KeyError, KeyId, PublicKey};
use writ_proto::record::{Body, EnrolledKey, ValidatorChange, ValidatorKeys};

use super::send;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{Cell, Table, print, print_line, says, short_key};

/// Which validator to add.
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// Its public keys: the file `validator.json` in its home
    #[arg(long, value_name = "FILE")]
    validator: PathBuf,
    #[command(flatten)]
    send: send::Options,
}

/// Which validator to remove.
#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// Its name, or the id of its voting key
    #[arg(value_name = "NAME|KEYID")]
    validator: String,
    #[command(flatten)]
    send: send::Options,
}

/// Which validator gets which keys.
#[derive(Debug, Args)]
pub(crate) struct Replace {
    /// Its name, or the id of its voting key
    #[arg(value_name = "NAME|KEYID")]
    old: String,
    /// Its new public keys: the file `validator.json` in its home
    #[arg(long, value_name = "FILE")]
    validator: PathBuf,
    #[command(flatten)]
    send: send::Options,
}

pub(super) fn list(context: &Context) -> Result<Exit, Failure> {
    let told = context.client()?.validators()?;
    if context.json() {
        print_line(&json!(told).to_string())?;
        return Ok(Exit::Done);
    }
    let mut table = Table::headed(&["name", "voting key", "checkpoint key"]);
    for validator in &told.validators {
        let [vote, checkpoint] = [validator.vote_key, validator.checkpoint_key].map(|key| key.id());
        let checkpoint = Cell::dim(short_key(&checkpoint));
        table.row(vec![Cell::of(validator.name.as_str()), Cell::of(vote.to_string()), checkpoint]);
    }
    print(&table.take(context.out()))?;
    context.say("at height:", &format!("{}: {}", told.height, tolerance(told.validators.len())));
    Ok(Exit::Done)
}

pub(super) fn add(options: &Add, context: &Context) -> Result<Exit, Failure> {
    change(&options.send, context, |client, chain| {
        let new = read(&options.validator, chain, None)?;
        let known = client.validators()?.validators;
        refuse_twice(&new, known.iter())?;
        Ok((ValidatorChange::Add(new), known.len() + 1))
    })
}

pub(super) fn remove(options: &Remove, context: &Context) -> Result<Exit, Failure> {
    change(&options.send, context, |client, _| {
        let known = client.validators()?.validators;
        let old = find(&options.validator, &known)?;
        if known.len() == 1 {
            return Err(Failure::failed(format!("`{}` is the only validator: nobody would vote", old.name)));
        }
        Ok((ValidatorChange::Remove(old.vote_key.id()), known.len() - 1))
    })
}

pub(super) fn replace(options: &Replace, context: &Context) -> Result<Exit, Failure> {
    change(&options.send, context, |client, chain| {
        let known = client.validators()?.validators;
        let old = find(&options.old, &known)?;
        let new = read(&options.validator, chain, Some(old))?;
        refuse_twice(&new, known.iter().filter(|validator| validator.vote_key != old.vote_key))?;
        Ok((ValidatorChange::Replace { old: old.vote_key.id(), new }, known.len()))
    })
}

/// States the change that `of` makes for the chain, and says how many validators there are afterwards.
fn change(
    options: &send::Options,
    context: &Context,
    of: impl FnOnce(&Client, &Digest) -> Result<(ValidatorChange, usize), Failure>,
) -> Result<Exit, Failure> {
    let client = context.client()?;
    let speaker = options.speaker(Needs::Roots, &client, context)?;
    let (change, count) = of(&client, &speaker.circle().genesis().chain_id())?;
    let body = Body::Validator(change);
    context.say("then:", &tolerance(count));
    let words = says(speaker.authority(), &body);
    send::state(body, &speaker, &client, &words, options, context)
}

/// What so many validators make of each other.
fn tolerance(count: usize) -> String {
    let (quorum, faulty) = (quorum(count), faulty(count));
    let validators = if count == 1 { "validator votes" } else { "validators vote" };
    format!("{count} {validators}, {quorum} must agree, {faulty} may fail or lie")
}

/// A validator's public keys, as its home describes them, fit for records of `chain`. A key of `old` that stays in its
/// place was proved when it came.
fn read(path: &Path, chain: &Digest, old: Option<&ValidatorAnswer>) -> Result<ValidatorKeys, Failure> {
    let shown = path.display();
    let wrong = |reason: &str| Failure::failed(format!("`{shown}` describes no validator: {reason}"));
    let bytes = fs::read(path).map_err(|error| Failure::failed(format!("cannot read `{shown}`: {error}")))?;
    let keys: ValidatorKeys = serde_json::from_slice(&bytes).map_err(|error| wrong(&error.to_string()))?;
    if keys.vote.key == keys.checkpoint.key {
        return Err(wrong("it votes and cosigns with one key, and each use needs its own"));
    }
    let stays = |kept: fn(&ValidatorAnswer) -> PublicKey, key| old.map(kept) == Some(key);
    for (word, EnrolledKey { key, possession }, stays) in [
        ("voting", keys.vote, stays(|old| old.vote_key, keys.vote.key)),
        ("checkpoint", keys.checkpoint, stays(|old| old.checkpoint_key, keys.checkpoint.key)),
    ] {
        if stays {
            continue;
        }
        match key.admit_possessed(chain, &possession) {
            Ok(()) => {}
            Err(KeyError::Possession) if key.admit_possessed(&Digest::ZERO, &possession).is_ok() => {
                return Err(wrong(&format!("its {word} key is proved for a genesis, not for this chain"))
                    .hint("`writ-node join` makes a home whose keys are proved for a chain that is there"));
            }
            Err(error) => return Err(wrong(&format!("its {word} key: {error}"))),
        }
    }
    Ok(keys)
}

/// The validator that was named.
fn find<'a>(typed: &str, known: &'a [ValidatorAnswer]) -> Result<&'a ValidatorAnswer, Failure> {
    let id = typed.parse().ok().map(|Digest(id)| KeyId(id));
    let fits = |validator: &&ValidatorAnswer| validator.name.as_str() == typed || Some(validator.vote_key.id()) == id;
    let mut fitting = known.iter().filter(fits);
    match (fitting.next(), fitting.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(Failure::failed(format!("there is no validator `{typed}`"))
            .code("not_found")
            .hint("`writ validator list` lists them with the ids of their voting keys")),
        (Some(_), Some(_)) => {
            Err(Failure::failed(format!("`{typed}` is the name of one validator and the key of another"))
                .code("ambiguous"))
        }
    }
}

/// Refuses names and keys that another validator has.
fn refuse_twice<'a>(new: &ValidatorKeys, others: impl Iterator<Item = &'a ValidatorAnswer>) -> Result<(), Failure> {
    for other in others {
        let own = [new.vote.key, new.checkpoint.key];
        if other.name == new.name {
            return Err(Failure::failed(format!("there is a validator `{}` already", new.name)).code("conflict"));
        }
        if let Some(key) = own.iter().find(|key| [other.vote_key, other.checkpoint_key].contains(key)) {
            return Err(Failure::failed(format!("the key {key} is one of validator `{}`", other.name)).code("conflict"));
        }
    }
    Ok(())
}
