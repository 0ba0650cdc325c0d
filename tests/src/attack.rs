//! Hostile peers as processes (`node/examples/hostile`), and what a process takes of its machine meanwhile.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;

use crate::cluster::Cluster;
use crate::process::{Process, command};
use crate::programs;
use crate::wait::LONG;

/// What became of one way to attack.
#[derive(Clone, Debug, Deserialize)]
pub struct Verdict {
    /// Which.
    pub mode: String,
    /// Messages that went out.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Connections that were made.
    pub connections: u64,
    /// Those of them that the node ended.
    pub cut_off: u64,
    /// Connections that the node did not take.
    pub refused: u64,
    /// When the first was cut off, in milliseconds.
    pub first_cut_off_ms: Option<u64>,
    /// Whether the identity that was cut off first was let in when it called again at once.
    pub came_back: Option<bool>,
}

/// Hostile peers at work.
#[derive(Debug)]
pub struct Attack {
    processes: Vec<Process>,
    lasts: Duration,
}

impl Attack {
    /// One process for each group of modes, all against node `n`; they may know the true records in a file.
    pub fn start(cluster: &Cluster, n: usize, groups: &[&[&str]], lasts: Duration, records: &Path) -> Self {
        let (peer, chain, seconds) = (cluster.peer(n), cluster.chain().to_string(), lasts.as_secs().to_string());
        let records = records.to_str().expect("temporary folders have plain names");
        let start = |modes: &&[&str]| {
            let modes = modes.join(",");
            let arguments =
                ["--node", &peer, "--chain", &chain, "--seconds", &seconds, "--records", records, "--modes", &modes];
            let mut command = command(&programs::hostile(), arguments);
            command.stdout(Stdio::piped());
            Process::start(command, &cluster.folder().join("hostile.stderr"))
        };
        Self { processes: groups.iter().map(start).collect(), lasts }
    }

    /// Waits until it is over.
    pub fn wait(mut self) -> BTreeMap<String, Verdict> {
        let mut verdicts = BTreeMap::new();
        for process in &mut self.processes {
            let pipe = process.stdout().expect("stdout is a pipe");
            for line in BufReader::new(pipe).lines() {
                let line = line.expect("a pipe can be read");
                let verdict: Verdict = serde_json::from_str(&line).expect("each line is a verdict");
                verdicts.insert(verdict.mode.clone(), verdict);
            }
            let status = process.wait(self.lasts + LONG);
            assert!(status.success(), "a hostile peer did not come to its end: {status}, {}", process.said());
        }
        verdicts
    }
}

/// What a process takes of its machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Bytes in memory now.
    pub resident: u64,
    /// The most that it ever was.
    pub resident_max: u64,
    /// Open files and connections.
    pub files: usize,
}

impl Usage {
    /// Of a process that runs.
    pub fn of(process: u32) -> Self {
        let text = std::fs::read_to_string(format!("/proc/{process}/status")).expect("the process runs");
        let member = |name: &str| -> u64 {
            let number =
                |line: &str| -> Option<u64> { line.strip_prefix(name)?.split_whitespace().next()?.parse().ok() };
            1024 * text.lines().find_map(number).unwrap_or_else(|| panic!("no `{name}` in {text}"))
        };
        let files = std::fs::read_dir(format!("/proc/{process}/fd")).expect("it is this user's").count();
        Self { resident: member("VmRSS:"), resident_max: member("VmHWM:"), files }
    }
}
