//! The program `writ`, as people run it.

use std::ffi::OsStr;
use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::process::{Process, command};
use crate::programs;

/// What a run of the program said.
#[derive(Clone, Debug)]
pub struct Said {
    /// The arguments, for messages.
    pub arguments: String,
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// Longer than any command takes that ends.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs `writ` with these arguments to its end.
pub fn writ<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Said {
    let arguments: Vec<S> = arguments.into_iter().collect();
    let shown = arguments.iter().map(|one| one.as_ref().to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut process = start(&folder.path().join("stderr"), &arguments);
    let mut pipe = process.stdout().expect("stdout is a pipe");
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).map(|_| bytes)
    });
    let status = process.wait(PATIENCE);
    let out = reader.join().expect("a reader does not panic").expect("a pipe can be read");
    let out = String::from_utf8(out).expect("the output is text");
    Said { arguments: shown, code: status.code(), out, err: process.said() }
}

/// Starts `writ` and does not wait for it; stderr goes into the file `said`.
pub fn start<S: AsRef<OsStr>>(said: &Path, arguments: &[S]) -> Process {
    let mut command = command(&programs::writ(), arguments);
    command.stdout(Stdio::piped());
    Process::start(command, said)
}

impl Said {
    /// The same, if the program ended with `code`.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "writ {}\nstdout: {}\nstderr: {}", self.arguments, self.out, self.err);
        self
    }

    /// The first line of standard output.
    pub fn first_line(&self) -> &str {
        self.out.lines().next().unwrap_or_default()
    }

    /// Standard output as one JSON value.
    #[track_caller]
    pub fn json(&self) -> Value {
        let read = serde_json::from_str(&self.out);
        read.unwrap_or_else(|error| panic!("writ {}: {error} in `{}`", self.arguments, self.out))
    }

    /// Standard output as one JSON value a line.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<Value> {
        let read = |line: &str| {
            let read = serde_json::from_str(line);
            read.unwrap_or_else(|error| panic!("writ {}: {error} in `{line}`", self.arguments))
        };
        self.out.lines().map(read).collect()
    }
}
