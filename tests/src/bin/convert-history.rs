//! Converts an access history to rows for `writ import`:
//! `cargo run --release -p writ-tests --bin convert-history -- events.csv > rows.csv`.

use std::process::ExitCode;

use writ_tests::history;

fn main() -> ExitCode {
    let Some(file) = std::env::args().nth(1) else {
        eprintln!("error: no file\nhint: convert-history EVENTS.csv > ROWS.csv");
        return ExitCode::from(2);
    };
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("error: cannot read `{file}`: {error}");
            return ExitCode::FAILURE;
        }
    };
    match history::read_events(&text) {
        Ok(events) => {
            print!("{}", history::import_rows(&events));
            ExitCode::SUCCESS
        }
        Err(malformed) => {
            eprintln!("error: `{file}`: {malformed}");
            ExitCode::FAILURE
        }
    }
}
