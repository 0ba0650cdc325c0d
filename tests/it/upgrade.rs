//! A network of two builds: a newer program is brought in node by node, the chain moves to its protocol at the height
//! that the roots named, and an old program stops there in order and goes on once it is replaced.

use std::time::Duration;

use writ_proto::genesis::PROTOCOL;
use writ_proto::record::{Body, ParameterChange, Signed};
use writ_tests::cluster::Cluster;
use writ_tests::programs;
use writ_tests::wait;

/// The exit code of a program that does not speak the chain's protocol.
const VERSION: i32 = 7;
/// How far ahead the change is announced: room to replace programs.
const AHEAD: u64 = 12;
/// The version that only the newer build speaks.
const NEXT: u32 = PROTOCOL + 1;

fn commit(cluster: &Cluster, at: usize, record: &Signed) {
    let receipt = cluster.http(at).submit(record);
    assert_eq!(receipt.status, writ_proto::api::RecordStatus::Committed, "{receipt:?}");
}

#[test]
fn an_old_program_agrees_up_to_the_change_stops_there_and_its_successor_goes_on() {
    let mut cluster = Cluster::new(4, 1);
    cluster.grow(0, 2);
    // Mixed: three of five are the newer build, and all agree.
    for n in [0, 1, 4] {
        cluster.stop(n);
        cluster.start_of(n).program = programs::next_node();
        cluster.start(n);
        cluster.grow(n, 1);
    }
    let tip = cluster.until_level(&[0, 1, 2, 3, 4]).height;
    let change =
        cluster.issuer().sign(Body::Parameter(ParameterChange::Activate { protocol: NEXT, height: tip + AHEAD }));
    commit(&cluster, 2, &change);
    cluster.stop(2);
    cluster.start_of(2).program = programs::next_node();
    cluster.start(2);
    let new = [0, 1, 2, 4];
    while cluster.until_level(&new).height + 1 < tip + AHEAD {
        cluster.grow(0, 1);
    }

    // The last block that it can judge is also the old program's last.
    let status = wait::until_within(Duration::from_secs(120), "the old program to stop", || cluster.node(3).ended());
    let said = cluster.node(3).said();
    assert_eq!(status.code(), Some(VERSION), "{said}");
    assert!(said.contains(&format!("block {} needs protocol {NEXT}", tip + AHEAD)), "{said}");
    // Three of four speak it: the chain goes on.
    for n in new {
        cluster.grow(n, 1);
    }
    let level = cluster.until_level(&new);
    assert!(level.height >= tip + AHEAD);
    let headers: serde_json::Value = cluster.http(4).read(&format!("/v1/headers?from={}&limit=1", tip + AHEAD));
    assert_eq!(headers["headers"][0]["header"]["version"], NEXT, "{headers}");

    // Its successor goes on from the same data.
    cluster.kill(3);
    cluster.start_of(3).program = programs::next_node();
    cluster.start(3);
    cluster.grow(3, 2);
    let all = [0, 1, 2, 3, 4];
    cluster.until_level(&all);
    // The auditor of these tests is of the older build too, so the logs are held beside one another.
    let headers = |n: usize| -> serde_json::Value { cluster.http(n).read("/v1/headers?limit=1000") };
    let first = headers(0);
    for n in all {
        assert_eq!(headers(n)["headers"], first["headers"], "node {n}");
    }
}
