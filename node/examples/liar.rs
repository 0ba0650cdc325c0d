//! A validator that lies: a node with the command line of `writ-node`, which tells the lie that `WRIT_LIE` names (see
//! `writ_node::lies`). The test of a network with one of them (`tests/it/byzantine.rs`) runs it beside honest nodes.

use std::process::ExitCode;

use clap::Parser as _;
use writ_node::cli::Cli;
use writ_node::exit::Exit;
use writ_node::lies::Lie;

fn main() -> ExitCode {
    let cli = Cli::parse();
    writ_node::start_logging();
    match Lie::asked().and_then(|_| writ_node::run(cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            Exit::of(&error).into()
        }
    }
}
