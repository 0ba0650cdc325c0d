//! Four validators and what befalls them: one is killed, paused, cut off, with a wrong clock or a full disk, and the others
//! go on; two are, and the chain waits. Nobody forks, nothing acknowledged is lost, and whoever was away comes back by
//! itself.

use std::time::{Duration, Instant};

use writ_tests::cluster::{Cluster, Disk, Plan};
use writ_tests::load::Load;
use writ_tests::netlab::Netlab;
use writ_tests::random::Random;
use writ_tests::scenario::{Choice, Fault, Step};
use writ_tests::skip;
use writ_tests::wait;

/// How long a chain that must not go on is watched: many times what a block takes.
const WATCHED: Duration = Duration::from_secs(4);

fn four(lab: bool) -> Option<Cluster> {
    let planned = || {
        let lab = if lab { Some(Netlab::new(5)?) } else { None };
        Cluster::planned(Plan { validators: 4, full_nodes: 1, lab, ..Plan::default() })
    };
    skip::unless("a cluster in a network of its own", planned())
}

#[test]
fn one_of_four_killed_does_not_hold_up_the_others() {
    let mut cluster = Cluster::new(4, 1);
    let load = Load::start(&cluster, 4, &mut Random::from_environment("kill one"));
    load.until_committed("all are well", 20);
    for n in 0..4 {
        let others: Vec<usize> = (0..5).filter(|other| *other != n).collect();
        cluster.kill(n);
        load.at(&cluster, &others);
        load.until_committed("three go on", 20);
        cluster.start(n);
        load.at(&cluster, &[n]);
        load.until_committed("and so does the fourth, once it is back", 5);
    }
    load.stop();
    cluster.verify();
}

#[test]
fn one_of_four_paused_for_ten_seconds_comes_back_by_itself() {
    let mut cluster = Cluster::new(4, 1);
    let load = Load::start(&cluster, 4, &mut Random::from_environment("pause one"));
    load.until_committed("all are well", 20);
    cluster.pause(1);
    load.at(&cluster, &[0, 2, 3, 4]);
    let pause = Instant::now();
    load.until_committed("three go on", 50);
    std::thread::sleep(Duration::from_secs(10).saturating_sub(pause.elapsed()));
    cluster.resume(1);
    load.at(&cluster, &[1]);
    load.until_committed("the fourth is back", 20);
    load.stop();
    cluster.verify();
}

/// Asserts that the chain stands still, and that a node still answers what it knows.
fn assert_halted(cluster: &Cluster, at: usize, what: &str) {
    let height = || cluster.status(at).map(|status| status.height);
    // A height under way may still be decided.
    std::thread::sleep(Duration::from_secs(1));
    let (before, start) = (height(), Instant::now());
    assert!(before.is_some(), "{what}: node {at} answers");
    while start.elapsed() < WATCHED {
        assert_eq!(height(), before, "{what}: without a quorum nothing is decided");
        let answer = cluster.http(at).get("/v1/check?sub=u0&obj=file:x&act=read");
        assert_eq!(answer.status, 200, "{what}: reads go on: {}", answer.text());
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn without_a_quorum_the_chain_waits_and_reads_go_on() {
    let mut cluster = Cluster::new(4, 1);
    let load = Load::start(&cluster, 4, &mut Random::from_environment("no quorum"));
    load.until_committed("all are well", 20);
    cluster.kill(0);
    cluster.kill(1);
    load.at(&cluster, &[2, 3, 4]);
    for at in [2, 3, 4] {
        assert_halted(&cluster, at, "two of four are away");
    }
    cluster.launch(0);
    load.until_committed("three of four go on", 20);
    cluster.launch(1);
    load.stop();
    cluster.verify();
}

#[test]
fn all_four_killed_under_load_go_on_where_they_were() {
    let mut random = Random::from_environment("kill all");
    let mut cluster = Cluster::new(4, 1);
    let load = Load::start(&cluster, 6, &mut random);
    for _ in 0..3 {
        load.until_committed("all are well", 20);
        std::thread::sleep(Duration::from_millis(random.below(300)));
        (0..5).for_each(|n| cluster.kill(n));
        cluster.start_all();
    }
    load.until_committed("all are back", 20);
    load.stop();
    cluster.verify();
}

#[test]
fn a_full_disk_stops_one_node_only() {
    let plan = Plan { validators: 4, disks: vec![(2, Disk::Small(192))], ..Plan::default() };
    let Some(mut cluster) = skip::unless("a_full_disk_stops_one_node_only", Cluster::planned(plan)) else { return };
    let load = Load::start(&cluster, 4, &mut Random::from_environment("full disk"));
    load.until_committed("all are well", 20);
    let ballast = cluster.volume(2).fill();
    load.at(&cluster, &[0, 1, 3]);
    load.until_committed("three go on", 50);
    // As soon as it has noticed it takes no records, or has ended; what it takes until then it has written down.
    wait::until("the full node to take no more", || match cluster.http(2).try_submit(&cluster.record(), "wait=none") {
        Ok(answer) if answer.status < 500 => None,
        Ok(_) | Err(_) => Some(()),
    });
    std::fs::remove_file(&ballast).expect("the ballast is there");
    wait::until("the node with room again to be ready", || {
        cluster.supervise();
        cluster.http(2).try_get("/readyz").is_ok_and(|answer| answer.status == 200).then_some(())
    });
    load.at(&cluster, &[2]);
    wait::until("it to take records again", || {
        let answer = cluster.http(2).try_submit(&cluster.record(), "wait=none").ok()?;
        matches!(answer.status, 200 | 202).then_some(())
    });
    load.until_committed("the node with room again takes records", 5);
    load.stop();
    cluster.verify();
}

/// The library that changes what a process is told about the time.
fn faketime() -> Result<String, skip::Missing> {
    let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib", "/usr/local/lib"];
    let library = folders.iter().map(|folder| format!("{folder}/faketime/libfaketimeMT.so.1"));
    let found = library.into_iter().find(|path| std::path::Path::new(path).exists());
    found.ok_or_else(|| skip::Missing("it needs libfaketime, which scripts/setup.sh installs".into()))
}

#[test]
fn a_clock_that_is_off_by_two_hours_holds_up_nobody() {
    let Some(library) = skip::unless("a_clock_that_is_off_by_two_hours_holds_up_nobody", faketime()) else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let clock = folder.path().join("clock");
    std::fs::write(&clock, "+0").expect("a temporary folder can be written to");
    let environment = [
        ("LD_PRELOAD", library.as_str()),
        ("FAKETIME_TIMESTAMP_FILE", clock.to_str().expect("a plain name")),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    let environment = environment.map(|(name, value)| (3, name.to_owned(), value.to_owned())).into();
    let plan = Plan { validators: 4, environment, ..Plan::default() };
    let mut cluster = Cluster::planned(plan).expect("nothing special is needed");
    let load = Load::start(&cluster, 4, &mut Random::from_environment("clock"));
    load.until_committed("all are well", 20);
    let set = |off: &str| std::fs::write(&clock, off).expect("a temporary folder can be written to");
    for (off, from_start) in [("-2h", false), ("+2h", false), ("-2h", true), ("+2h", true)] {
        let what = format!("a clock at {off}{}", if from_start { " from the start" } else { "" });
        set(off);
        load.at(&cluster, &[0, 1, 2]);
        if from_start {
            cluster.kill(3);
            cluster.launch(3);
        }
        load.until_committed(&format!("three go on beside {what}"), 50);
        let height = cluster.status(0).expect("it answers").height;
        wait::until("the node with the wrong clock to follow", || {
            cluster.supervise();
            cluster.status(3).filter(|status| status.height >= height).map(|_| ())
        });
        // Nothing is granted by a clock that cannot be trusted.
        if let Ok(answer) = cluster.http(3).try_get("/v1/check?sub=nobody&obj=file:x&act=read") {
            assert!(!answer.text().contains("granted"), "{what}: {}", answer.text());
        }
        set("+0");
        // It needs no start for that: the others agree with its clock, which is enough after a jump.
        wait::until(&format!("the node with {what}, put right, to be ready"), || {
            cluster.supervise();
            cluster.http(3).try_get("/readyz").is_ok_and(|answer| answer.status == 200).then_some(())
        });
        load.at(&cluster, &[3]);
        load.until_committed(&format!("the node with {what}, put right, takes records and answers"), 10);
    }
    let times: Vec<u64> = block_times(&cluster);
    let now = writ_tests::issuer::now().as_millis();
    assert!(times.iter().all(|time| *time < now + 60_000), "no block has a time of the wrong clock");
    load.at(&cluster, &[0, 1, 2, 3]);
    load.until_committed("all are well again", 20);
    load.stop();
    cluster.verify();
}

fn block_times(cluster: &Cluster) -> Vec<u64> {
    let mut follower = writ_tests::auditor::Follower::new(cluster.genesis().clone());
    follower.follow(cluster.http(0));
    follower.times().iter().map(|time| time.as_millis()).collect()
}

#[test]
fn one_of_four_cut_off_knows_nothing_new_and_comes_back_by_itself() {
    let Some(cluster) = four(true) else { return };
    let load = Load::start(&cluster, 4, &mut Random::from_environment("isolate"));
    load.until_committed("all are well", 20);
    cluster.lab().isolate(3);
    load.at(&cluster, &[0, 1, 2, 4]);
    load.until_committed("three go on", 50);
    let alone = cluster.status(3).expect("who is cut off still answers").height;
    let others = cluster.status(0).expect("it answers").height;
    assert!(alone < others, "it is behind: {alone} of {others}");
    // What it takes meanwhile is not lost.
    let taken = cluster.record();
    let answer = cluster.http(3).try_submit(&taken, "wait=none").expect("it answers");
    assert!(matches!(answer.status, 200 | 202), "{} {}", answer.status, answer.text());
    cluster.lab().heal();
    cluster.until_logged(&[0, 1, 2, 3, 4], &taken);
    load.at(&cluster, &[3]);
    load.until_committed("the fourth is back", 10);
    load.stop();
    cluster.verify();
}

#[test]
fn a_network_in_two_halves_waits_and_one_that_is_slow_does_not() {
    let Some(cluster) = four(true) else { return };
    let load = Load::start(&cluster, 4, &mut Random::from_environment("halves"));
    load.until_committed("all are well", 20);
    // The full node is with the first half.
    cluster.lab().partition(&[&[0, 1, 4], &[2, 3]]);
    for at in [0, 2, 4] {
        assert_halted(&cluster, at, "two and two");
    }
    cluster.lab().heal();
    load.until_committed("the halves are together again", 20);
    // Who hears and is not heard; and who is heard and does not hear.
    for others in 0..3 {
        cluster.lab().cut(3, others);
    }
    load.at(&cluster, &[0, 1, 2]);
    load.until_committed("one is not heard", 20);
    cluster.lab().heal();
    for others in 0..3 {
        cluster.lab().cut(others, 3);
    }
    load.until_committed("one does not hear", 20);
    cluster.lab().heal();
    cluster.lab().stretch(40, 10, 20);
    load.at(&cluster, &[0, 1, 2, 3, 4]);
    load.until_committed("80 ms there and back, and 2 % lost", 20);
    load.stop();
    cluster.verify();
}

/// A short random campaign; a long one is `just soak`.
#[test]
fn whatever_comes_in_whatever_order() {
    let steps = match std::env::var("WRIT_STEPS") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("WRIT_STEPS is `{text}`, expected a number")),
        Err(_) => 6,
    };
    let mut random = Random::from_environment("soak");
    let (mut cluster, mut faults) = match four(true) {
        Some(cluster) => (cluster, vec![Fault::Isolate, Fault::Silence]),
        None => (Cluster::new(4, 1), Vec::new()),
    };
    faults.extend([Fault::Kill, Fault::KillTwice, Fault::Stop, Fault::Pause]);
    let load = Load::start(&cluster, 4, &mut random);
    load.until_committed("all are well", 20);
    let one = Choice { faults, validators: 4, away_max: 1, lasts_max: Duration::from_secs(3) };
    let many = Choice { away_max: 4, ..one.clone() };
    for step in 1..=steps {
        let choice = if random.percent(70) { &one } else { &many };
        print!("step {step} of {steps}: ");
        Step::random(choice, &mut random).carry_out(&mut cluster, &load, 4);
        if step % 10 == 0 {
            load.rest();
            cluster.agree(&[0, 1, 2, 3, 4]);
        }
    }
    println!("{} records committed", load.committed());
    load.stop();
    cluster.verify();
}
