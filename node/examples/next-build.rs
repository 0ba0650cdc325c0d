//! A newer build of the node: it speaks protocol version 2, which `writ-node` does not. The test of a network of two
//! builds (`tests/it/upgrade.rs`) runs both side by side.

use std::process::ExitCode;

use clap::Parser as _;
use writ_node::cli::Cli;
use writ_node::exit::Exit;

fn main() -> ExitCode {
    writ_node::start_logging();
    match writ_node::run_speaking(Cli::parse().command, 2) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            Exit::of(&error).into()
        }
    }
}
