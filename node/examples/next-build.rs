//! A newer build of the node: it speaks the protocol version after the last that `writ-node` does. The test of a network of two
//! builds (`tests/it/upgrade.rs`) runs both side by side.

use std::process::ExitCode;

use clap::Parser as _;
use writ_node::cli::Cli;
use writ_node::exit::Exit;
use writ_proto::genesis::PROTOCOL;

fn main() -> ExitCode {
    writ_node::start_logging();
    match writ_node::run_speaking(Cli::parse().command, PROTOCOL + 1) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            Exit::of(&error).into()
        }
    }
}
