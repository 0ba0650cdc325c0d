//! `writ`: asks, signs and audits an access ledger.
//!
//! `args` says what may be typed, `command` has one file for each command, `output` what people get to read
//! and `exit` how it ends.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "in a test a panic is the verdict"))]

mod args;
mod command;
mod context;
mod exit;
mod output;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = match args::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::misuse(&error),
    };
    let context = context::Context::new(cli.common);
    match command::run(cli.command, &context) {
        Ok(exit) => exit.into(),
        Err(failure) => failure.report(&context),
    }
}
