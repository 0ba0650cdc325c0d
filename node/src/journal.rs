//! What operators took upon themselves: `HOME/guard/repairs.log`, one line of JSON each, only ever appended to.
//!
//! A line is on disk before what it tells of is done, so there is no repair without its line. (A line whose repair then
//! failed is followed by the next attempt's.)

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use serde_json::Value;

use crate::clock;
use crate::guard::durable;
use crate::home::Home;

/// Where the lines are.
pub fn path(home: &Home) -> PathBuf {
    home.guard().join("repairs.log")
}

/// Appends a line, durably: `what` was done, and the members of `told`.
pub fn note(home: &Home, what: &str, mut told: Value) -> io::Result<()> {
    told["time"] = clock::wall_time().to_string().into();
    told["what"] = what.into();
    told["version"] = env!("CARGO_PKG_VERSION").into();
    let path = path(home);
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
    file.write_all(format!("{told}\n").as_bytes())?;
    file.sync_all()?;
    durable::sync_folder(&path)
}
