//! What may be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use writ_client::search;
use writ_proto::hash::Digest;
use writ_proto::record::AuthorityName;
use writ_proto::time::LedgerTime;

use crate::command;
use crate::context::Context;
use crate::exit::Failure;
use crate::output::beside;

/// Where a node listens that was started without further ado.
pub(crate) const DEFAULT_NODE: &str = "http://127.0.0.1:7001";

const AFTER_HELP: &str = "\
Exit codes: 0 granted or done, 1 failed, 2 misused, 3 denied.
Data goes to standard output, everything else to standard error.

Times: 2026-11-23T08:00:00Z, 2026-11-23 (00:00:00Z of that day), now, today, tomorrow, tomorrow+1,
+8h or -30m from now (w d h m s).
Names: type:id, as in file:plan.txt or role:staff; without a type a subject is a user: and an object
a resource:. In entries also patterns: file:acl/* (all below), file:* (all of the type), * (all).";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "writ", version, about = "Ask, sign and audit an access ledger", after_help = AFTER_HELP, disable_help_subcommand = true, term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: command::Command,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// What every command understands.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Common options")]
pub(crate) struct Common {
    /// A node to ask, or several [default: http://127.0.0.1:7001]
    #[arg(
        long = "node",
        value_name = "URL",
        env = "WRIT_NODE",
        value_delimiter = ',',
        global = true,
        hide_env_values = true
    )]
    pub(crate) nodes: Vec<String>,
    /// A file with a bearer token for the nodes, or with lines of a node and its token
    #[arg(long, value_name = "FILE", env = "WRIT_TOKEN_FILE", global = true, hide_env_values = true)]
    pub(crate) token_file: Option<PathBuf>,
    /// The key file to sign with, or several that sign together
    #[arg(long = "key", value_name = "FILE", env = "WRIT_KEY", global = true, hide_env_values = true)]
    pub(crate) keys: Vec<PathBuf>,
    /// The file with the passphrase of the key, or of all of them
    #[arg(long, value_name = "FILE", env = "WRIT_PASSPHRASE_FILE", global = true, hide_env_values = true)]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// The authority to speak as [default: the one with the key]; for `log` whose entries
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) authority: Option<AuthorityName>,
    /// The id of the chain that it must be
    #[arg(long, value_name = "ID", env = "WRIT_CHAIN", global = true, hide_env_values = true)]
    pub(crate) chain: Option<Digest>,
    /// Answer in JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// Who, what, which action: of a question or an entry.
#[derive(Clone, Debug, Args)]
pub(crate) struct About {
    /// The subject: who
    #[arg(long, value_name = "NAME")]
    pub(crate) sub: String,
    /// The object: what
    #[arg(long, value_name = "NAME")]
    pub(crate) obj: String,
    /// The action; without it, every action
    #[arg(long, value_name = "ACTION")]
    pub(crate) act: Option<String>,
}

/// When: of a search.
#[derive(Clone, Debug, Args)]
pub(crate) struct Moment {
    /// At this instant, by today's log
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    at: Option<String>,
    /// With the knowledge of this height
    #[arg(long, value_name = "HEIGHT")]
    height: Option<u64>,
    /// As it was: at this instant, with the knowledge of then
    #[arg(long, value_name = "TIME", conflicts_with_all = ["at", "height"], allow_hyphen_values = true)]
    as_of: Option<String>,
    /// Not before this position: the `position` of a receipt or an answer
    #[arg(long, value_name = "TOKEN")]
    at_least: Option<String>,
}

impl Moment {
    /// What it means now.
    pub(crate) fn read(&self, context: &Context) -> Result<search::Moment, Failure> {
        let time =
            |option: &str, text: &Option<String>| text.as_deref().map(|text| context.time(option, text)).transpose();
        Ok(search::Moment {
            at: time("at", &self.at)?,
            height: self.height,
            as_of: time("as-of", &self.as_of)?,
            at_least: self.at_least.clone(),
        })
    }

    /// Says which moment was answered for.
    pub(crate) fn say(&self, context: &Context, at: LedgerTime, height: u64) {
        let when = if self.at.is_none() && self.as_of.is_none() {
            format!("about now, {at}")
        } else {
            format!("about {}", beside(at, context.now()))
        };
        context.say("asked:", &format!("{when}, with the knowledge of height {height}"));
    }
}

/// The commands below `key`.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a new key: FILE, and FILE.pub with its public half
    New {
        /// Where to put it; nothing is ever written over
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Show the public half of a key
    Show {
        /// A key file, or its public half
        file: PathBuf,
    },
}

/// The commands below `validator`.
#[derive(Debug, Subcommand)]
pub(crate) enum ValidatorCommand {
    /// List the validators of the next height
    List,
    /// Add a validator
    Add(command::validator::Add),
    /// Remove a validator
    Remove(command::validator::Remove),
    /// Give a validator other keys, in one step
    Replace(command::validator::Replace),
}

/// The commands below `parameter`.
#[derive(Debug, Subcommand)]
pub(crate) enum ParameterCommand {
    /// Show the chain's parameters
    Show,
    /// Change parameters; those that are not named stay as they are
    Set(command::parameter::Set),
    /// Raise the protocol version, from a height on
    Activate(command::parameter::Activate),
}
