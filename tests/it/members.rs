//! Validators come and go by records, in a running network of real processes.

use std::path::Path;

use writ_proto::record::{Body, Signed, ValidatorChange, ValidatorKeys};
use writ_tests::cluster::Cluster;
use writ_tests::wait;

fn keys(home: &Path) -> ValidatorKeys {
    let text = std::fs::read_to_string(home.join("validator.json")).expect("a home has its public keys");
    serde_json::from_str(&text).expect("they can be read")
}

fn commit(cluster: &Cluster, at: usize, body: ValidatorChange) -> Signed {
    let record = cluster.issuer().sign(Body::Validator(body));
    let receipt = cluster.http(at).submit(&record);
    assert_eq!(receipt.status, writ_proto::api::RecordStatus::Committed, "{receipt:?}");
    record
}

fn role(cluster: &Cluster, n: usize) -> String {
    cluster.status(n).map_or_else(String::new, |status| status.role)
}

#[test]
fn a_full_node_becomes_a_validator_one_leaves_and_one_gets_other_keys() {
    // Nodes 4 and 5 follow.
    let mut cluster = Cluster::new(4, 2);
    let all = [0, 1, 2, 3, 4, 5];
    cluster.grow(4, 2);
    assert_eq!((role(&cluster, 3).as_str(), role(&cluster, 4).as_str()), ("validator", "full"));

    let add = commit(&cluster, 5, ValidatorChange::Add(keys(cluster.home(4))));
    cluster.until_logged(&all, &add);
    wait::until("the fifth to be one", || (role(&cluster, 4) == "validator").then_some(()));
    cluster.grow(4, 3);
    // Four of five are a quorum now: without the fifth and one more there is none, with it there is.
    cluster.kill(0);
    cluster.grow(1, 2);
    cluster.start(0);
    cluster.until_level(&all);

    // The first leaves; it goes on following.
    let first = keys(cluster.home(0)).vote.key.id();
    let remove = commit(&cluster, 1, ValidatorChange::Remove(first));
    cluster.until_logged(&all, &remove);
    wait::until("the first to be none", || (role(&cluster, 0) == "full").then_some(()));
    cluster.grow(0, 2);

    // The second hands over to the sixth.
    let second = keys(cluster.home(1)).vote.key.id();
    let replace = commit(&cluster, 2, ValidatorChange::Replace { old: second, new: keys(cluster.home(5)) });
    cluster.until_logged(&all, &replace);
    wait::until("the sixth to be one", || (role(&cluster, 5) == "validator").then_some(()));
    cluster.grow(5, 3);
    cluster.until_level(&all);
    cluster.verify();
}
