//! `writ-bench`: how fast Writ is, beside named baselines in the same run.
//!
//! ```text
//!   parts -> sections of figures -> raw figures (JSON, among the build artefacts)
//!                                -> docs/benchmarks.md, between markers
//!                                -> docs/benchmarks/*.svg
//! ```
//!
//! `docs/benchmarks.md` tells how to read the figures, `docs/decisions/0011-benchmarks.md` why they are
//! measured in this way.

mod audit;
mod authzen;
mod dataset;
mod decision;
mod empty;
mod figure;
mod footprint;
mod format;
mod histogram;
mod ingest;
mod ledger;
mod load;
mod machine;
mod network;
mod plot;
mod processes;
mod random;
mod report;
mod run;
mod serve;
mod stats;
mod throughput;
mod traffic;
mod verify;

use std::fs;
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context as _, ensure};
use clap::{Args, Parser, Subcommand};

use figure::Findings;
use run::{Part, Run};

/// All parts, in the order in which a full run measures them.
const PARTS: &[Part] =
    &[decision::PART, serve::PART, authzen::PART, ingest::PART, audit::PART, footprint::PART, network::PART];

/// The file of raw figures among the build artefacts.
const RAW: &str = "figures.json";

/// Measures Writ beside named baselines.
#[derive(Parser)]
#[command(version, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Measures parts: all of them, or those named
    Run(RunArgs),
    /// Lists the parts
    List,
    /// Writes docs/benchmarks.md again from the raw figures of the last run
    Page,
    /// Measures one thing for a part, in a process of its own; called by the bench itself
    #[command(hide = true)]
    Child {
        /// The part and its own arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
}

#[derive(Args)]
struct RunArgs {
    /// The parts to measure; none: all
    parts: Vec<String>,
    /// Tiny sizes: shows that everything works and agrees, its times mean nothing
    #[arg(long)]
    short: bool,
    /// How often each figure is measured
    #[arg(long, default_value_t = 3, value_name = "N")]
    repetitions: usize,
    /// Numbers of entries to measure at, instead of each part's own
    #[arg(long, value_delimiter = ',', value_name = "N,N")]
    entries: Vec<Size>,
    /// From which all randomness follows
    #[arg(long, default_value_t = 3, value_name = "N")]
    seed: u64,
    /// Writes the sections and plots into docs/benchmarks.md
    #[arg(long, conflicts_with = "short")]
    write: bool,
}

/// A number of entries, as in `10k`, `1m` or `250000`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Size(u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (digits, unit) = match text.as_bytes().last() {
            Some(b'k' | b'K') => (&text[..text.len() - 1], 1_000),
            Some(b'm' | b'M') => (&text[..text.len() - 1], 1_000_000),
            _ => (text, 1),
        };
        let number: Option<u64> = digits.parse().ok().and_then(|number: u64| number.checked_mul(unit));
        let number = number.filter(|number| *number > 0);
        number.map(Self).ok_or_else(|| format!("found `{text}`, expected a number like `250000`, `100k` or `1m`"))
    }
}

fn main() -> ExitCode {
    match carry_out(Cli::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(task: Task) -> anyhow::Result<()> {
    match task {
        Task::Run(args) => measure(&args),
        Task::List => {
            for part in PARTS {
                println!("{:<12} {}", part.name, part.about);
            }
            Ok(())
        }
        Task::Page => {
            let findings = report::read_raw(&run::artefacts()?.join(RAW))?;
            report::write_page(&findings, &run::repository().join("docs"))
        }
        Task::Child { words } => {
            let (part, words) = words.split_first().context("a child needs to be told its part")?;
            match part.as_str() {
                "decision" => decision::child(words),
                "serve" => serve::child(words),
                other => anyhow::bail!("part `{other}` has no children"),
            }
        }
    }
}

fn measure(args: &RunArgs) -> anyhow::Result<()> {
    ensure!(args.repetitions > 0, "found 0 repetitions, expected at least 1");
    let known = |name: &String| PARTS.iter().any(|part| part.name == name);
    if let Some(unknown) = args.parts.iter().find(|name| !known(name)) {
        let names: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
        anyhow::bail!("no part `{unknown}`, expected one of {}", names.join(", "));
    }
    let artefacts = run::artefacts()?;
    let scratch = artefacts.join("scratch");
    fs::create_dir_all(&scratch).with_context(|| format!("cannot make `{}`", scratch.display()))?;
    let run = Run {
        short: args.short,
        repetitions: args.repetitions,
        seed: args.seed,
        sizes: args.entries.iter().map(|size| size.0).collect(),
        scratch,
    };
    let mut findings = Findings::default();
    for part in PARTS.iter().filter(|part| args.parts.is_empty() || args.parts.iter().any(|name| name == part.name)) {
        findings.sections.push(run.part(part)?);
        // After each part, so that a fault in a later one does not cost the figures of the earlier.
        report::write_raw(&findings, &artefacts.join(RAW))?;
    }
    print!("{}", report::as_text(&findings)?);
    if args.write {
        report::write_page(&findings, &run::repository().join("docs"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, number) in [("7", 7), ("100k", 100_000), ("10M", 10_000_000)] {
            assert_eq!(text.parse(), Ok(Size(number)));
        }
        for text in ["", "k", "0", "1g", "-1", "99999999999999999999m"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }
}
