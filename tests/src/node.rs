//! A running `writ-node`.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::http::Http;
use crate::process::{Process, command, tail};
use crate::programs;
use crate::wait::LONG;

/// A node: a process, and how to speak to it.
#[derive(Debug)]
pub struct Node {
    start: Start,
    log: PathBuf,
    process: Process,
    http: Http,
}

/// How a node is started.
#[derive(Clone, Debug)]
pub struct Start {
    /// The program.
    pub program: PathBuf,
    /// What the program is told.
    pub arguments: Vec<String>,
    /// A program that starts it, with its arguments: to start it in another network, say. It must become the node, not
    /// remain beside it.
    pub wrapper: Vec<String>,
    /// Environment variables.
    pub environment: Vec<(String, String)>,
    /// Where it answers, if that is not where it says: behind the door of another network.
    pub door: Option<String>,
}

impl Start {
    /// `writ-node VERB --home HOME`.
    pub fn new(verb: &str, home: &Path) -> Self {
        let arguments = [verb, "--home", &text(home)].map(str::to_owned).into();
        Self { program: programs::writ_node(), arguments, wrapper: Vec::new(), environment: Vec::new(), door: None }
    }

    fn command(&self) -> Command {
        let program = &self.program;
        let mut command = match self.wrapper.split_first() {
            None => command(program, &self.arguments),
            Some((wrapper, arguments)) => {
                let all = arguments.iter().cloned().chain([text(program)]).chain(self.arguments.iter().cloned());
                command(Path::new(wrapper), all)
            }
        };
        command.envs(self.environment.iter().cloned());
        command
    }
}

/// A node that did not come up: how it ended, and what it said.
#[derive(Debug)]
pub struct Refused {
    /// How it ended.
    pub status: ExitStatus,
    /// What it said.
    pub said: String,
}

impl Node {
    /// `writ-node run` on a home that is made; waits until it is ready.
    pub fn run(home: &Path) -> Self {
        Self::start(arguments("run", home)).unwrap_or_else(|refused| panic!("the node does not start: {refused:?}"))
    }

    /// The same, for a node that may refuse to.
    pub fn try_run(home: &Path) -> Result<Self, Refused> {
        Self::start(arguments("run", home))
    }

    /// `writ-node dev`; waits until it is ready.
    pub fn dev(home: &Path) -> Self {
        Self::start(arguments("dev", home)).unwrap_or_else(|refused| panic!("the node does not start: {refused:?}"))
    }

    /// `writ-node` with these arguments, up to the URL that it prints; the node need not be ready.
    pub fn start_unready(home: &Path) -> Result<Self, Refused> {
        Self::launch(arguments("run", home))
    }

    fn start(start: Start) -> Result<Self, Refused> {
        let mut node = Self::launch(start)?;
        node.await_ready()?;
        Ok(node)
    }

    /// Waits until it is ready, or has ended.
    pub fn await_ready(&mut self) -> Result<(), Refused> {
        let start = Instant::now();
        while !self.is_ready() {
            if let Some(status) = self.process.ended() {
                return Err(Refused { status, said: self.process.said() });
            }
            assert!(start.elapsed() < LONG, "not ready after {LONG:?}: {}", tail(&self.process.said(), 40));
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Starts a node, up to the URL that it prints; it need not be ready.
    pub fn launch(start: Start) -> Result<Self, Refused> {
        let home = start.arguments.get(2).expect("the home is the second argument");
        let log = PathBuf::from(format!("{home}.stderr"));
        let mut command = start.command();
        command.stdout(Stdio::piped());
        let mut process = Process::start(command, &log);
        let lines = lines_of(process.stdout().expect("stdout is a pipe"));
        let url = match lines.recv_timeout(LONG) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => panic!("no URL after {LONG:?}: {}", tail(&process.said(), 40)),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Refused { status: process.wait(LONG), said: process.said() });
            }
        };
        assert!(url.starts_with("http://"), "the one line on stdout is the URL, found `{url}`");
        let http = Http::new(start.door.as_ref().unwrap_or(&url));
        Ok(Self { start, log, process, http })
    }

    /// How to speak to it.
    pub fn http(&self) -> &Http {
        &self.http
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        self.http.base()
    }

    /// The number of its process.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Whether it says that it is ready.
    pub fn is_ready(&self) -> bool {
        self.http.try_get("/readyz").is_ok_and(|answer| answer.status == 200)
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.ended()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.ended().is_none()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGSTOP.
    pub fn pause(&self) {
        self.process.pause();
    }

    /// SIGCONT, after [`Node::pause`].
    pub fn resume(&self) {
        self.process.resume();
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(&mut self) -> ExitStatus {
        self.process.ask_to_stop();
        self.process.wait(LONG)
    }

    /// Runs the same again (after [`Node::kill`] or [`Node::stop`]), at another port.
    pub fn start_again(&mut self) {
        self.process.kill();
        let again = Self::start(self.start.clone());
        *self = again.unwrap_or_else(|refused| panic!("the node does not start again: {refused:?}"));
    }

    /// Starts the same again (after [`Node::kill`]), and kills it `after` so long, perhaps before it is up.
    pub fn crash_while_starting(&mut self, after: Duration) {
        self.process.kill();
        let mut command = self.start.command();
        command.stdout(Stdio::null());
        self.process = Process::start(command, &self.log);
        std::thread::sleep(after);
        self.process.kill();
    }

    /// What it said on stderr, from all its starts.
    pub fn said(&self) -> String {
        self.process.said()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("-- the last lines of {}\n{}", self.log.display(), tail(&self.process.said(), 30));
        }
    }
}

/// `check --home` on a home without a running node: exit code and all that was said.
pub fn fsck(home: &Path) -> (Option<i32>, String) {
    let output = command(&programs::writ_node(), ["check", "--home", &text(home)]).output();
    let output = output.unwrap_or_else(|error| panic!("`writ-node check` does not start: {error}"));
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// As [`fsck`], where everything must be sound.
pub fn assert_sound(home: &Path) {
    let (code, said) = fsck(home);
    assert_eq!(code, Some(0), "`writ-node check` found something: {said}");
}

/// At any free port.
fn arguments(verb: &str, home: &Path) -> Start {
    let mut start = Start::new(verb, home);
    start.arguments.extend(["--listen", "127.0.0.1:0"].map(str::to_owned));
    start
}

fn text(path: &Path) -> String {
    path.to_str().expect("temporary folders have plain names").to_owned()
}

/// The lines of a pipe, read on until it closes so that the writer never waits.
fn lines_of(pipe: std::process::ChildStdout) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            // Nobody listens after the first line.
            let _ = sender.send(line);
        }
    });
    receiver
}
