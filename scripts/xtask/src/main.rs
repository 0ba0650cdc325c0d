//! The project's own chores. `cargo xtask tidy` checks what the compiler does not.

mod tidy;

use std::process::ExitCode;

fn main() -> ExitCode {
    let task = std::env::args().nth(1);
    let done = match task.as_deref() {
        Some("tidy") => tidy::tidy(),
        other => Err(anyhow::anyhow!("unknown task `{}`, expected `tidy`", other.unwrap_or_default())),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
