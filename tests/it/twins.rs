//! Homes of validators rolled back, cloned and run twice, among four that run: the keys of none of them ever sign two
//! statements for one step, nor a smaller checkpoint, nor another one of a size.
//!
//! Every process tells in its log what it signs, before that leaves it, and all of that is held against each other. The
//! other nodes should notice too: two signed statements for one step are evidence, and so is a cosignature of
//! a smaller log at a later time, or of another log. 4 trials of each kind in CI, or as
//! many as `WRIT_TWINS` says of all kinds together; `node/tests/twins.rs` does the same to the guard alone, far more often.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use writ_tests::cluster::{Cluster, Plan};
use writ_tests::files;
use writ_tests::load::Load;
use writ_tests::node::{Node, Start};
use writ_tests::random::Random;

fn trials() -> usize {
    match std::env::var("WRIT_TWINS") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("WRIT_TWINS is `{text}`, expected a number")),
        Err(_) => 20,
    }
}

#[derive(Clone, Copy, Debug)]
enum Trial {
    /// The home is put back as it was, and run.
    RollBack,
    /// The home is put back as it was an instant ago, and run.
    RollBackLittle,
    /// The home is put back as it was, in place, as a machine's snapshot does: the guards cannot tell. It runs, and goes
    /// on as the validator.
    RollBackInPlace,
    /// A copy of the home runs beside it.
    Clone,
    /// The home runs twice.
    Twin,
}

#[test]
fn no_key_signs_twice_whatever_is_done_with_its_home() {
    let mut random = Random::from_environment("twins");
    let environment = (0..4).map(|n| (n, "RUST_LOG".to_owned(), LOGS.to_owned())).collect();
    let plan = Plan { validators: 4, environment, ..Plan::default() };
    let mut cluster = Cluster::planned(plan).expect("nothing special is needed");
    let load = Load::start(&cluster, 3, &mut random);
    load.until_committed("all are well", 10);
    let mut ran = 0;
    for number in 0..trials() {
        let kinds = [Trial::RollBack, Trial::RollBackInPlace, Trial::RollBackLittle, Trial::Clone, Trial::Twin];
        let (kind, n) = (kinds[number % kinds.len()], random.place(4));
        println!("trial {number}: {kind:?} of node {n}");
        ran += usize::from(carry_out(kind, &mut cluster, n, &load, &mut random, number));
        load.at(&cluster, &[0, 1, 2, 3]);
        load.until_committed(&format!("trial {number}: all are well again"), 10);
        assert_nobody_is_accused(&cluster, number);
        assert_nothing_is_signed_twice(&cluster, number);
    }
    println!("{ran} of {} copies came up", trials());
    load.stop();
    assert_nobody_is_accused(&cluster, trials());
    let signed = assert_nothing_is_signed_twice(&cluster, trials());
    println!("{signed} statements were signed");
    assert!(signed > 1000, "only {signed}: the logs do not tell");
    cluster.verify();
}

/// Gives whether the process that should not be came up at all.
fn carry_out(kind: Trial, cluster: &mut Cluster, n: usize, load: &Load, random: &mut Random, number: usize) -> bool {
    let others: Vec<usize> = (0..4).filter(|other| *other != n).collect();
    let copy = cluster.folder().join(format!("copy{number}"));
    let home = cluster.home(n).to_owned();
    match kind {
        Trial::RollBack | Trial::RollBackLittle => {
            cluster.kill(n);
            files::copy(&home, &copy);
            load.at(cluster, &others);
            let more = if matches!(kind, Trial::RollBack) { 30 } else { 1 };
            cluster.start(n);
            load.until_committed("time passes", more);
            cluster.kill(n);
            // The real home keeps its inodes and comes back afterwards.
            let aside = cluster.folder().join(format!("aside{number}"));
            std::fs::rename(&home, &aside).expect("a home can be moved");
            files::copy(&copy, &home);
            let came_up = run_for_a_while(telling(Start::new("run", &home)), load, random);
            files::remove(&home);
            std::fs::rename(&aside, &home).expect("and moved back");
            cluster.start(n);
            came_up
        }
        Trial::RollBackInPlace => {
            cluster.kill(n);
            files::copy(&home, &copy);
            cluster.start(n);
            load.until_committed("time passes", 1 + random.below(30));
            cluster.kill(n);
            files::overwrite(&copy, &home);
            cluster.start(n);
            load.until_committed("it is back", 10);
            true
        }
        Trial::Clone => {
            // While it runs, as a careless backup does; or while it does not.
            let stopped = random.percent(50);
            if stopped {
                cluster.kill(n);
            }
            copy_live(&home, &copy);
            cluster.elsewhere(n, &copy);
            if stopped {
                cluster.start(n);
            }
            run_for_a_while(at_any_port(&copy), load, random)
        }
        Trial::Twin => run_for_a_while(at_any_port(&home), load, random),
    }
}

/// What the processes log: what they sign, too.
const LOGS: &str = "warn,writ_node=info,writ_node::signer=debug,writ_node::checkpoints=debug";

fn telling(mut start: Start) -> Start {
    start.environment.push(("RUST_LOG".into(), LOGS.into()));
    start
}

fn at_any_port(home: &Path) -> Start {
    let mut start = telling(Start::new("run", home));
    start.arguments.extend(["--listen", "127.0.0.1:0"].map(str::to_owned));
    start
}

/// Runs a node that should not be while blocks are made; gives whether it came up.
fn run_for_a_while(start: Start, load: &Load, random: &mut Random) -> bool {
    match Node::launch(start) {
        Err(refused) => {
            assert!(refused.said.contains("guard") || refused.said.contains("in use"), "it says why: {}", refused.said);
            false
        }
        Ok(mut node) => {
            load.until_committed("blocks beside it", 20);
            std::thread::sleep(Duration::from_millis(random.below(500)));
            node.kill();
            true
        }
    }
}

/// Copies a home whose files may change and go meanwhile.
fn copy_live(home: &Path, to: &Path) {
    for file in files::list(home) {
        let target: PathBuf = to.join(file.strip_prefix(home).expect("it lies below"));
        std::fs::create_dir_all(target.parent().expect("it has a folder")).expect("a folder can be made");
        // RocksDB removes files as it goes.
        let _ = std::fs::copy(&file, &target);
    }
}

/// No node holds two statements for one step that one key signed.
fn assert_nobody_is_accused(cluster: &Cluster, number: usize) {
    for n in 0..cluster.len() {
        let found: serde_json::Value = cluster.http(n).read("/v1/evidence");
        assert_eq!(
            found,
            serde_json::json!({ "evidence": [] }),
            "trial {number}: somebody signed twice, says node {n}"
        );
        let metrics = cluster.http(n).get("/metrics").text();
        for accused in ["contradicts this node's log", "smaller than what its signer cosigned before"] {
            assert!(!metrics.contains(accused), "trial {number}: a checkpoint {accused}, says node {n}");
        }
    }
}

/// What all processes that ever ran have signed, from their logs: for no step two statements of one key, no checkpoint
/// smaller than one before it, and for no size two. Gives how many there were.
fn assert_nothing_is_signed_twice(cluster: &Cluster, number: usize) -> usize {
    let logs = files::list(cluster.folder());
    let logs = logs.iter().filter(|file| file.extension().is_some_and(|extension| extension == "stderr"));
    let lines: Vec<String> = logs
        .flat_map(|file| {
            let bytes = std::fs::read(file).expect("a log can be read");
            String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    // By key and step, or key and size: what it says.
    let mut said: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    // When, by which key, of which size.
    let mut cosigned: Vec<(&str, &str, u64)> = Vec::new();
    for Statement { time, key, what, value } in lines.iter().filter_map(|line| statement(line)) {
        let before = said.insert((key, what), value);
        assert!(
            before.is_none_or(|before| before == value),
            "trial {number}: key {key} said {before:?} and {value} as {what}"
        );
        if let Some(size) = what.strip_prefix("size ") {
            cosigned.push((time, key, size.parse().expect("a size")));
        }
    }
    // All processes have one clock.
    cosigned.sort_unstable();
    let mut largest = BTreeMap::new();
    for (time, key, size) in cosigned {
        let before = largest.insert(key, size).unwrap_or(0);
        assert!(before <= size, "trial {number}: at {time} key {key} cosigned size {size} after {before}");
    }
    said.len()
}

/// A line of a log that tells what a key has signed.
#[derive(Debug, PartialEq)]
struct Statement<'a> {
    time: &'a str,
    key: &'a str,
    /// The step, or the size.
    what: &'a str,
    value: &'a str,
}

fn statement(line: &str) -> Option<Statement<'_>> {
    let (rest, key) = line.split_once(" key=")?;
    let (head, statement) = rest.split_once(": signed ").or_else(|| rest.split_once(": cosigned "))?;
    let (what, value) = statement.split_once(": ").expect("what, and what of it");
    // A twin writes into the log of the node whose home it runs: what it says may stand before the time.
    let (before, _) = head.split_once(" DEBUG ").expect("signatures are told at this level");
    let time = before.rsplit(' ').next().expect("a split gives something");
    assert!(time.starts_with("20") && time.ends_with('Z'), "a line has its time: {line}");
    Some(Statement { time, key, what, value })
}

#[test]
fn a_statement_is_found_in_a_line_that_another_process_began() {
    let told = "2026-11-29T05:30:15.080686Z DEBUG writ_node::checkpoints: cosigned size 515: 1f8e key=cec9";
    let expected = Statement { time: "2026-11-29T05:30:15.080686Z", key: "cec9", what: "size 515", value: "1f8e" };
    for line in [told.to_owned(), format!("error: {told}")] {
        assert_eq!(statement(&line).as_ref(), Some(&expected), "{line}");
    }
    assert_eq!(statement("error: the guard is in use"), None);
}
