//! `writ-node`: parse, start logging, call [`writ_node`].

use std::io::Write as _;
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
            // In one write: a line that another process writes into the same file must not come into the middle of it.
            let _ = std::io::stderr().write_all(format!("error: {error:#}\n").as_bytes());
            Exit::of(&error).into()
        }
    }
}
