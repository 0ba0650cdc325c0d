//! The commands of an operator: what they do is elsewhere, what they say is here. Data on stdout, talk on stderr.

use std::path::Path;

use anyhow::{Context as _, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::backup;
use crate::cli::TokenCommand;
use crate::config::Config;
use crate::guard::Standing;
use crate::home::Home;
use crate::repair;
use crate::restore::{self, Plan, Signing};
use crate::tokens;

/// `writ-node backup`.
pub fn backup(home: &Home, to: &Path) -> anyhow::Result<()> {
    let made = backup::backup(home, to)?;
    let (height, leaves) = (made.end.height, made.end.log_size);
    eprintln!("done: {height} blocks, {leaves} leaves, root {}, {} records waiting", made.end.log_root, made.waiting);
    println!("{}\n{}", to.display(), backup::waiting_file(to).display());
    Ok(())
}

/// `writ-node restore`.
pub fn restore(home: &Home, plan: Option<&Plan>, sign_above: Option<u64>) -> anyhow::Result<()> {
    let mut silent = false;
    if let Some(plan) = plan {
        let restored = restore::restore(home, plan)?;
        let (report, end) = (&restored.report, &restored.report.end);
        println!("{}", report.chain);
        eprintln!(
            "done: {} blocks with {} records, every signature good, root {}, {} records waiting",
            end.height, report.totals.records, end.log_root, restored.waiting
        );
        if let Standing::Behind { guard, db } = restored.standing {
            eprintln!(
                "note: this home was at block {guard} before, the backup ends at block {db}: it answers once it has caught up from its peers; a lone validator needs a later copy, or `writ-node repair`"
            );
        }
        match restored.signing {
            Signing::NoKey => eprintln!(
                "note: there are no keys here, so this home is only to be looked at (`writ-node check`); to run it, make one with `writ-node join` first and restore into that"
            ),
            Signing::Guarded => eprintln!("note: the sign guard is in its place and stays as it was"),
            Signing::Above(height) => {
                eprintln!("note: the sign guard stays as it was: nothing is signed up to height {height}")
            }
            Signing::Silent => silent = true,
        }
    }
    match sign_above {
        Some(height) => {
            restore::sign_above(home, height)?;
            eprintln!("done: this validator follows up to height {height}, and signs above it");
        }
        None if silent => eprintln!(
            "note: what this validator's key signed since the backup is not known, so it does not start yet: `--sign-above HEIGHT` says above which height it may sign (the chain's only validator: `writ-node repair`)"
        ),
        None => {}
    }
    Ok(())
}

/// `writ-node repair`.
pub fn repair(home: &Home, sign_again: bool) -> anyhow::Result<()> {
    let repaired = repair::repair(home, sign_again)?;
    for lost in &repaired.lost {
        eprintln!("lost: {lost}");
    }
    eprintln!("done: the node goes on from block {}; `guard/repairs.log` says so", repaired.height);
    Ok(())
}

/// `writ-node token`.
pub fn token(command: TokenCommand) -> anyhow::Result<()> {
    let place = |home| {
        let home = Home::at(home);
        // It says where the file is, and is locked while that changes.
        let config = Config::read(&home.config())?;
        anyhow::Ok((home.tokens(&config), home.config()))
    };
    match command {
        TokenCommand::New { home, name } => {
            let (path, lock) = place(home)?;
            println!("{}", tokens::add(&path, &lock, &name)?);
            eprintln!("note: this is the only time that it is shown; callers send `Authorization: Bearer TOKEN`");
        }
        TokenCommand::List { home } => {
            let (path, _) = place(home)?;
            for token in tokens::list(&path)? {
                println!("{} {}", token.name, token.hash);
            }
        }
        TokenCommand::Remove { home, name } => {
            let (path, lock) = place(home)?;
            tokens::remove(&path, &lock, &name)?;
            eprintln!("done: a running node refuses it within a second");
        }
    }
    Ok(())
}

/// Lets the process open as many files as it may: the database and a thousand connections take their share.
pub fn raise_file_limit() {
    match raise() {
        Ok((before, now)) => tracing::info!(before, now, "open files"),
        Err(error) => tracing::warn!(%error, "the limit of open files stays as it is"),
    }
}

fn raise() -> anyhow::Result<(u64, u64)> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let (before, most) = (current.unwrap_or(u64::MAX), maximum.unwrap_or(u64::MAX));
    if before < most {
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).context("it cannot be raised")?;
    }
    let now = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    ensure!(now >= before, "it fell from {before} to {now}");
    Ok((before, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_open_files_is_raised_to_what_is_allowed() {
        let (_, now) = raise().unwrap();
        assert_eq!(Some(now), getrlimit(Resource::Nofile).maximum.or(Some(u64::MAX)));
    }
}
