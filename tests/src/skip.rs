//! What this machine cannot do is left out, loudly.
//!
//! A test that needs root, a kernel feature or a program that is not there says so where it cannot be overheard, beside
//! the captured output of the tests. With `WRIT_NO_SKIP` set, it fails instead.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Why a test cannot run here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing(pub String);

/// What `needed` gives, or nothing after saying what is missing.
pub fn unless<T>(test: &str, needed: Result<T, Missing>) -> Option<T> {
    match needed {
        Ok(found) => Some(found),
        Err(Missing(what)) => {
            assert!(std::env::var_os("WRIT_NO_SKIP").is_none(), "{test}: {what}, and WRIT_NO_SKIP is set");
            // Not `eprintln`, which a test's output captures.
            let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {what}");
            None
        }
    }
}

/// Whether this process is root.
pub fn root() -> Result<(), Missing> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().nth(1));
    match effective {
        Some("0") => Ok(()),
        _ => Err(Missing("it needs root".into())),
    }
}

/// Whether a program is on the PATH.
pub fn program(name: &str) -> Result<(), Missing> {
    let found = Command::new("sh").args(["-c", &format!("command -v {name}")]).stdout(Stdio::null()).status();
    match found.is_ok_and(|status| status.success()) {
        true => Ok(()),
        false => Err(Missing(format!("it needs the program `{name}`, which scripts/setup.sh installs"))),
    }
}

/// Whether a file or device is there.
pub fn file(path: &str) -> Result<(), Missing> {
    if Path::new(path).exists() { Ok(()) } else { Err(Missing(format!("it needs `{path}`"))) }
}

/// Runs a command of the system that may not be possible here.
pub fn run(program: &str, arguments: &[&str]) -> Result<(), Missing> {
    said(program, arguments).map(|_| ())
}

/// The same; gives what it printed.
pub fn said(program: &str, arguments: &[&str]) -> Result<String, Missing> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| Missing(format!("`{program}` does not start: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Missing(format!("`{program} {}` fails: {}", arguments.join(" "), said.trim())))
}
