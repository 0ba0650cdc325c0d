//! A child process: killed when dropped, and heard out when it ends.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::wait;

/// A running program. What it says on stderr goes into a file.
#[derive(Debug)]
pub struct Process {
    child: Child,
    said: PathBuf,
}

/// A program of ours, without what the surroundings may say to it.
pub fn command<S: AsRef<OsStr>>(program: &Path, arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name == "RUST_LOG" || name.to_string_lossy().starts_with("WRIT_") {
            command.env_remove(name);
        }
    }
    command
}

impl Process {
    /// Starts it; stderr is appended to the file `said`.
    pub fn start(mut command: Command, said: &Path) -> Self {
        let log = File::options().create(true).append(true).open(said);
        let log = log.unwrap_or_else(|error| panic!("cannot open `{}`: {error}", said.display()));
        let child = command.stderr(log).spawn();
        let child = child.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Self { child, said: said.to_owned() }
    }

    /// Its standard output, if that was asked to be a pipe and was not taken before.
    pub fn stdout(&mut self) -> Option<std::process::ChildStdout> {
        self.child.stdout.take()
    }

    /// Its number, by which the system knows it.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Waits until it ends by itself.
    pub fn wait(&mut self, patience: Duration) -> ExitStatus {
        let id = self.child.id();
        wait::until_within(patience, &format!("process {id} to end"), || self.ended())
    }

    /// SIGKILL: no chance to do anything more.
    pub fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM: asks it to stop.
    pub fn ask_to_stop(&self) {
        self.signal("TERM");
    }

    /// SIGINT, as from a keyboard.
    pub fn interrupt(&self) {
        self.signal("INT");
    }

    /// The lines of its standard output, as they come; it must have been asked to be a pipe.
    pub fn lines(&mut self) -> Receiver<String> {
        let pipe = self.stdout().expect("stdout is a pipe that nobody has taken");
        let (lines, receiver) = channel();
        std::thread::spawn(move || {
            // Whoever listened has gone, or the program has.
            let _ = BufReader::new(pipe).lines().map_while(Result::ok).try_for_each(|line| lines.send(line));
        });
        receiver
    }

    /// SIGSTOP: it stands still, and does not notice.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// SIGCONT: it goes on after [`Process::pause`].
    pub fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let id = self.child.id();
        // The shell has `kill` built in, so no further program is needed.
        let sent = Command::new("sh").arg("-c").arg(format!("kill -{name} {id}")).status();
        assert!(sent.is_ok_and(|status| status.success()), "cannot send SIG{name} to process {id}");
    }

    /// What it has said on stderr so far.
    pub fn said(&self) -> String {
        let mut bytes = Vec::new();
        // What cannot be read is told as nothing: this is for messages.
        let _ = File::open(&self.said).and_then(|mut file| file.read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The last lines of a long text.
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
