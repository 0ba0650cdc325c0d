//! Real processes: a chain in a folder of its own with a running node, and what a process costs.
//!
//! The programs `writ-node` and `writ` must stand beside the bench: `cargo build --release` puts them there.
//! The harness of the system tests starts and stops them; where it cannot go on it panics, which ends the run
//! and every process with it.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;
use writ_proto::hash::Digest;
use writ_tests::http::Http;
use writ_tests::issuer::Issuer;
use writ_tests::node::Node;
use writ_tests::process::command;
use writ_tests::programs;
use writ_tests::world::text;
use writ_tests::writ::{Said, writ};

/// A chain with one node. Its authorities may speak of everything: `importer`, whose key is a file for `writ`, and
/// `signer`, who signs in this process.
pub(crate) struct Chain {
    folder: TempDir,
    node: Node,
    signer: Issuer,
}

impl Chain {
    /// A new chain in a folder below `scratch`, its node running.
    ///
    /// # Errors
    /// If the folder cannot be made, or the programs are not there.
    pub(crate) fn start(scratch: &Path) -> anyhow::Result<Self> {
        let folder = TempDir::new_in(scratch).context("cannot make a folder for the chain")?;
        let path = |name: &str| text(&folder.path().join(name));
        let signer = Issuer::new("signer", 1);
        let public = signer.write_public(folder.path());
        writ(["key", "new", "--out", &path("importer.key")]).expect(0);
        let (importer, signing) =
            (format!("importer={}.pub", path("importer.key")), format!("signer={}", text(&public)));
        let arguments = ["init", "--home", &path("chain"), "--chain", "ledger.example/bench"];
        let arguments = arguments.into_iter().chain(["--authority", &importer, "--authority", &signing]);
        let output = command(&programs::writ_node(), arguments).output().context("`writ-node init` does not start")?;
        ensure!(output.status.success(), "`writ-node init`: {}", String::from_utf8_lossy(&output.stderr));
        let node = Node::run(&folder.path().join("chain").join("node0"));
        let signer = signer.on_chain(node.http().status().chain);
        Ok(Self { folder, node, signer })
    }

    /// Its node.
    pub(crate) fn node(&mut self) -> &mut Node {
        &mut self.node
    }

    /// How to speak to its node.
    pub(crate) fn http(&self) -> &Http {
        self.node.http()
    }

    /// The authority that signs in this process.
    pub(crate) fn signer(&self) -> &Issuer {
        &self.signer
    }

    /// The chain id.
    pub(crate) fn id(&self) -> Digest {
        self.http().status().chain
    }

    /// The home of its node.
    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("chain").join("node0")
    }

    /// Where a file for this chain belongs.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where its node listens.
    pub(crate) fn address(&self) -> anyhow::Result<SocketAddr> {
        self.http().address().parse().context("the node said no address")
    }

    /// What its node costs so far.
    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of(self.node.process_id())
    }

    /// `writ` with these arguments on this chain: how long it took, and what it said.
    pub(crate) fn writ(&self, arguments: &[&str]) -> (Duration, Said) {
        let key = text(&self.file("importer.key"));
        let common = ["--node", self.node.url(), "--key", &key, "--authority", "importer"];
        let start = Instant::now();
        let said = writ(arguments.iter().copied().chain(common)).expect(0);
        (start.elapsed(), said)
    }

    /// Imports `rows` (CSV without its first line), every one of which must be new and good; how long it took.
    pub(crate) fn import(&self, name: &str, rows: impl IntoIterator<Item = String>) -> anyhow::Result<Duration> {
        let (file, mut csv, mut count) = (self.file(name), String::from("sub,act,obj,access,exp,ref\n"), 0_u64);
        for row in rows {
            csv.push_str(&row);
            csv.push('\n');
            count += 1;
        }
        fs::write(&file, csv).with_context(|| format!("cannot write `{}`", file.display()))?;
        let (took, said) = self.writ(&["import", &text(&file), "--json"]);
        let appended = said.json()["appended"].as_u64();
        ensure!(appended == Some(count), "imported {appended:?} of {count} rows: {}", said.out);
        Ok(took)
    }

    /// A number of the node's metrics.
    pub(crate) fn metric(&self, name: &str) -> anyhow::Result<f64> {
        metric(self.http(), name)
    }
}

/// A number of a node's metrics; `name` as its line begins, with a space at the end.
///
/// # Errors
/// If the node has no such metric.
pub(crate) fn metric(http: &Http, name: &str) -> anyhow::Result<f64> {
    let answer = http.get("/metrics").text();
    let value = answer.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.with_context(|| format!("the node has no metric `{name}`"))
}

/// What a process costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Processor time, in seconds, its threads together.
    pub(crate) seconds: f64,
    /// Memory in RAM, in bytes.
    pub(crate) resident: u64,
    /// Of that, what is no part of a file.
    pub(crate) anonymous: u64,
}

impl Usage {
    /// Of the process of this number.
    ///
    /// # Errors
    /// If `/proc` does not tell.
    pub(crate) fn of(process: u32) -> anyhow::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).context("the process is not there")?;
        // The name in parentheses may hold spaces; utime and stime are members 14 and 15.
        let words: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks =
            |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok()).context("an unknown form of `stat`");
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let value = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
            value.map(|value| value * 1024).with_context(|| format!("no `{name}` in `status`"))
        };
        let seconds = (ticks(11)? + ticks(12)?) as f64 / TICKS;
        Ok(Self { seconds, resident: kib("VmRSS:")?, anonymous: kib("RssAnon:")? })
    }
}

/// Processor time of a process and of all that it started and that they started, in seconds; also of those that ended.
///
/// # Errors
/// If `/proc` does not tell.
pub(crate) fn seconds_of_all(process: u32) -> anyhow::Result<f64> {
    let mut seconds = ticks_of(&process.to_string()).context("the process is not there")?.own as f64 / TICKS;
    let mut above = vec![process];
    let entries = fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    // Whoever ends meanwhile counts with the process that waited for it, the next time.
    let all: Vec<Ticks> = entries.filter_map(|name| ticks_of(&name)).collect();
    while let Some(parent) = above.pop() {
        for child in all.iter().filter(|child| child.parent == parent) {
            seconds += child.own as f64 / TICKS;
            above.push(child.process);
        }
    }
    Ok(seconds)
}

/// A tick of the kernel's clock is a hundredth of a second on every Linux that this was tried on.
const TICKS: f64 = 100.0;

/// A process in the kernel's words.
struct Ticks {
    process: u32,
    parent: u32,
    /// Ticks of its threads, and of the processes that it waited for.
    own: u64,
}

fn ticks_of(process: &str) -> Option<Ticks> {
    let id = process.parse().ok()?;
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // As above: after the name come the state, the parent, and as members 14 to 17 utime, stime and those of children.
    let words: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let own = (11..15).map(|at| words.get(at)?.parse::<u64>().ok()).sum::<Option<u64>>()?;
    Some(Ticks { process: id, parent: words.get(1)?.parse().ok()?, own })
}

/// Bytes that the files below `folder` take on disk: whole blocks, reserved ones too.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn disk_bytes(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read `{}`", folder.display()))? {
        let entry = entry?;
        // RocksDB may delete a file meanwhile.
        let Ok(metadata) = entry.metadata() else { continue };
        bytes += if metadata.is_dir() { disk_bytes(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(bytes)
}
