//! Programs of `tests/outside`: written in Go against stock libraries, as an outsider would.
//!
//! They are built once for a test, without a network: their libraries come from Debian (`scripts/setup.sh`). A test
//! without Go fails: nothing is skipped.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::programs::workspace;
use crate::world::text;

/// Builds `tests/outside/<name>.go` into `folder`.
pub fn build(name: &str, folder: &Path) -> PathBuf {
    let program = folder.join(name);
    let source = workspace().join("tests").join("outside").join(format!("{name}.go"));
    let mut go = Command::new("go");
    go.args(["build", "-o", &text(&program), &text(&source)]).current_dir(folder);
    // No modules, hence no downloads; everything that is written stays below the folder.
    go.envs([("GO111MODULE", "off"), ("GOPATH", "/usr/share/gocode"), ("GOFLAGS", ""), ("CGO_ENABLED", "0")]);
    go.env("GOCACHE", folder.join("go-cache"));
    let output = go.output().unwrap_or_else(|error| panic!("cannot start go: {error}; scripts/setup.sh installs it"));
    assert!(output.status.success(), "{}: {}", source.display(), String::from_utf8_lossy(&output.stderr));
    program
}
