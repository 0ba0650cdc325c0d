//! The program `writ`, as a user runs it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use writ_client::keys;

use crate::node::{Node, key};

/// What a run said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }

    /// The problem on standard error.
    #[track_caller]
    pub(crate) fn problem(&self) -> Value {
        serde_json::from_str(&self.err).unwrap_or_else(|error| panic!("{error}: {}", self.err))
    }
}

/// Runs `writ`, with nothing of this machine's environment.
pub(crate) fn writ(arguments: &[&str]) -> Said {
    let output = command(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Said { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_writ"));
    command.args(arguments).env_clear();
    command
}

/// A folder, a node, and keys of its authorities.
pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) node: Node,
}

impl World {
    pub(crate) fn new(authorities: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, n) in authorities.iter().zip(1..) {
            keys::create(&folder.path().join(format!("{name}.key")), &key(n), None).unwrap();
        }
        Self { folder, node: Node::new(authorities) }
    }

    /// The same before a node of that genesis.
    pub(crate) fn of(authorities: &[&str], node: Node) -> Self {
        Self { node, ..Self::new(authorities) }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.text(name)
    }

    /// Runs `writ` against the node.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Said {
        writ(&[arguments, &["--node", self.node.url()]].concat())
    }

    /// Runs `writ` against the node with the key of `authority`.
    pub(crate) fn sign(&self, authority: &str, arguments: &[&str]) -> Said {
        let key = self.text(&format!("{authority}.key"));
        self.ask(&[arguments, &["--key", &key]].concat())
    }

    /// The same, of which the id is wanted.
    pub(crate) fn id(&self, authority: &str, arguments: &[&str]) -> String {
        self.sign(authority, arguments).expect(0).out.trim().to_owned()
    }
}

/// Whether a file is there.
pub(crate) fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
