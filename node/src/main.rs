//! `writ-node`: parse, start logging, call [`writ_node`].

use std::process::ExitCode;

use clap::Parser as _;
use writ_node::cli::Cli;
use writ_node::exit::Exit;

fn main() -> ExitCode {
    // A broken invariant ends the whole process: no other thread may answer from what it left behind.
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print(panic);
        std::process::abort();
    }));
    let cli = Cli::parse();
    writ_node::start_logging();
    match writ_node::run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            Exit::of(&error).into()
        }
    }
}
