//! The commands, one file each.

mod audit;
mod check;
mod combine;
mod diff;
mod dry_run;
mod entry;
mod expiring;
mod export;
mod find;
mod history;
mod import;
mod key;
mod log;
pub(crate) mod parameter;
mod progress;
mod revoke;
mod send;
mod set;
mod sign;
mod state;
mod status;
mod submit;
pub(crate) mod validator;
mod watch;
mod what_can;
mod who_can;

use clap::Subcommand;
use writ_proto::record::Effect;

use crate::args::{KeyCommand, ParameterCommand, ValidatorCommand};
use crate::context::Context;
use crate::exit::{Exit, Failure};

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make and show issuer keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Grant access: sign an entry and append it
    Grant(state::Options),
    /// Deny access, whatever else grants it: sign an entry and append it
    Deny(state::Options),
    /// End an entry, granted or denied
    Revoke(revoke::Options),
    /// Grant, deny and revoke several things at once, all or nothing: sign them as one set and append it
    #[command(after_help = set::AFTER_HELP)]
    Set(set::Options),
    /// Ask: may this subject do this to this object?
    Check(check::Options),
    /// List everybody who can do this to this object
    WhoCan(who_can::Options),
    /// List everything that this subject can do
    WhatCan(what_can::Options),
    /// List the entries that end by themselves, soonest first
    Expiring(expiring::Options),
    /// Tell the story of a subject and an object: every entry, revocation and change of the answer
    #[command(after_help = history::AFTER_HELP)]
    History(history::Options),
    /// Compare two points of the log: who gained and lost what
    #[command(after_help = diff::AFTER_HELP)]
    Diff(diff::Options),
    /// Show a record: what became of it, and the checked proof that it is in the log
    Entry(entry::Options),
    /// List the entries of the log
    Log(log::Options),
    /// Tell what happens to entries, as it is committed, until interrupted
    #[command(after_help = watch::AFTER_HELP)]
    Watch(watch::Options),
    /// Import a file of access rows, CSV or JSON lines
    #[command(after_help = import::AFTER_HELP)]
    Import(import::Options),
    /// Write the whole chain to a file, every block verified
    Export(export::Options),
    /// Verify everything: an export, or what the nodes have, trusting none of them
    Audit(audit::Options),
    /// Show how the nodes stand, and whether they contradict each other
    Status,
    /// Change and list the validators, which takes a quorum of the root authorities
    #[command(subcommand, after_help = sign::TOGETHER)]
    Validator(ValidatorCommand),
    /// Change and show the chain's parameters, which takes a quorum of the root authorities
    #[command(subcommand, after_help = sign::TOGETHER)]
    Parameter(ParameterCommand),
    /// Show in words what a record says, and sign it
    #[command(after_help = sign::TOGETHER)]
    Sign(sign::Options),
    /// Put the signatures of several people on one record together
    Combine(combine::Options),
    /// Append a record that enough people have signed
    Submit(submit::Options),
}

/// Does it.
pub(crate) fn run(command: Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::Key(KeyCommand::New { out }) => key::new(&out, context),
        Command::Key(KeyCommand::Show { file }) => key::show(&file, context),
        Command::Grant(options) => state::run(options, Effect::Grant, context),
        Command::Deny(options) => state::run(options, Effect::Deny, context),
        Command::Revoke(options) => revoke::run(&options, context),
        Command::Set(options) => set::run(&options, context),
        Command::Check(options) => check::run(&options, context),
        Command::History(options) => history::run(&options, context),
        Command::Diff(options) => diff::run(&options, context),
        Command::WhoCan(options) => who_can::run(&options, context),
        Command::WhatCan(options) => what_can::run(&options, context),
        Command::Expiring(options) => expiring::run(&options, context),
        Command::Entry(options) => entry::run(&options, context),
        Command::Log(options) => log::run(&options, context),
        Command::Watch(options) => watch::run(&options, context),
        Command::Import(options) => import::run(&options, context),
        Command::Export(options) => export::run(&options, context),
        Command::Audit(options) => audit::run(&options, context),
        Command::Status => status::run(context),
        Command::Validator(ValidatorCommand::List) => validator::list(context),
        Command::Validator(ValidatorCommand::Add(options)) => validator::add(&options, context),
        Command::Validator(ValidatorCommand::Remove(options)) => validator::remove(&options, context),
        Command::Validator(ValidatorCommand::Replace(options)) => validator::replace(&options, context),
        Command::Parameter(ParameterCommand::Show) => parameter::show(context),
        Command::Parameter(ParameterCommand::Set(options)) => parameter::set(&options, context),
        Command::Parameter(ParameterCommand::Activate(options)) => parameter::activate(&options, context),
        Command::Sign(options) => sign::run(&options, context),
        Command::Combine(options) => combine::run(&options, context),
        Command::Submit(options) => submit::run(&options, context),
    }
}
