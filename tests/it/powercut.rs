//! Power cuts: what a node acknowledged is on its disk, and its guards with it.
//!
//! A killed process proves little: the kernel still writes what it wrote. Here each node has a disk whose power is cut while
//! the node stands still, so that it can promise nothing after that moment. 3 cuts in CI, or as many as `WRIT_CUTS` says.

use std::time::Duration;

use writ_tests::cluster::{Cluster, Disk, Plan};
use writ_tests::load::Load;
use writ_tests::random::Random;
use writ_tests::skip;

const DISK: Disk = Disk::Power(384);

fn cuts() -> usize {
    match std::env::var("WRIT_CUTS") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("WRIT_CUTS is `{text}`, expected a number")),
        Err(_) => 3,
    }
}

/// The power of these nodes goes and comes back.
fn cut(cluster: &mut Cluster, nodes: &[usize]) {
    nodes.iter().for_each(|n| cluster.pause(*n));
    for n in nodes {
        cluster.volume(*n).cut().unwrap_or_else(|missing| panic!("the power cannot be cut: {missing:?}"));
    }
    nodes.iter().for_each(|n| cluster.kill(*n));
    nodes.iter().for_each(|n| cluster.volume(*n).restore());
}

#[test]
fn a_lone_validator_loses_nothing_it_acknowledged() {
    let plan = Plan { validators: 1, disks: vec![(0, DISK)], ..Plan::default() };
    let Some(mut cluster) = skip::unless("powercut: a lone validator", Cluster::planned(plan)) else { return };
    let mut random = Random::from_environment("powercut, alone");
    let load = Load::start(&cluster, 4, &mut random);
    for _ in 0..cuts() {
        load.until_committed("it takes records", 20);
        std::thread::sleep(Duration::from_millis(random.below(500)));
        cut(&mut cluster, &[0]);
        cluster.start(0);
        load.rest();
        cluster.agree(&[0]);
        load.at(&cluster, &[0]);
    }
    load.stop();
    cluster.verify();
}

#[test]
fn one_of_four_loses_its_power_and_then_all_do() {
    let disks = (0..4).map(|n| (n, DISK)).collect();
    let plan = Plan { validators: 4, disks, ..Plan::default() };
    let Some(mut cluster) = skip::unless("powercut: four validators", Cluster::planned(plan)) else { return };
    let mut random = Random::from_environment("powercut, four");
    let load = Load::start(&cluster, 4, &mut random);
    for _ in 0..cuts() {
        load.until_committed("all are well", 20);
        let one = random.place(4);
        cut(&mut cluster, &[one]);
        let others: Vec<usize> = (0..4).filter(|n| *n != one).collect();
        load.at(&cluster, &others);
        load.until_committed("three go on", 10);
        cluster.start(one);
        load.at(&cluster, &[0, 1, 2, 3]);
        load.until_committed("all are well", 20);
        std::thread::sleep(Duration::from_millis(random.below(500)));
        cut(&mut cluster, &[0, 1, 2, 3]);
        cluster.start_all();
    }
    load.until_committed("all are back", 10);
    load.stop();
    cluster.verify();
}
