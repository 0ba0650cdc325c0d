//! Homes of validators rolled back, cloned and run twice, among four that run: the key of none of them ever signs two
//! statements for one step.
//!
//! The others would notice, and say so: two signed statements for one step are evidence. 5 trials of each kind in CI, or as
//! many as `WRIT_TWINS` says of all kinds together; `node/tests/twins.rs` does the same to the guard alone, far more often.

use std::path::{Path, PathBuf};
use std::time::Duration;

use writ_tests::cluster::Cluster;
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
    /// A copy of the home runs beside it.
    Clone,
    /// The home runs twice.
    Twin,
}

#[test]
fn no_key_signs_twice_whatever_is_done_with_its_home() {
    let mut random = Random::from_environment("twins");
    let mut cluster = Cluster::new(4, 0);
    let load = Load::start(&cluster, 3, &mut random);
    load.until_committed("all are well", 10);
    let mut ran = 0;
    for number in 0..trials() {
        let kinds = [Trial::RollBack, Trial::RollBackLittle, Trial::Clone, Trial::Twin];
        let (kind, n) = (kinds[number % kinds.len()], random.place(4));
        println!("trial {number}: {kind:?} of node {n}");
        ran += usize::from(carry_out(kind, &mut cluster, n, &load, &mut random, number));
        load.at(&cluster, &[0, 1, 2, 3]);
        load.until_committed(&format!("trial {number}: all are well again"), 10);
        assert_nobody_is_accused(&cluster, number);
    }
    println!("{ran} of {} copies came up", trials());
    load.stop();
    assert_nobody_is_accused(&cluster, trials());
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
            let came_up = run_for_a_while(Start::new("run", &home), load, random);
            files::remove(&home);
            std::fs::rename(&aside, &home).expect("and moved back");
            cluster.start(n);
            came_up
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

fn at_any_port(home: &Path) -> Start {
    let mut start = Start::new("run", home);
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
    }
}
