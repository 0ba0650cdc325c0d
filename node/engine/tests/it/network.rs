//! Several honest nodes, and one that signs twice.

use writ_engine::{EngineError, Source, proposer};
use writ_proto::certificate::VoteKind;
use writ_proto::hash::Digest;

use crate::cluster::{Cluster, Node};
use crate::harness::{CHAIN, Store, TestSigner, config, idle, network, secret, start, validators};

#[tokio::test]
async fn four_validators_agree_and_an_idle_chain_stands_still() {
    let cluster = Cluster::start(4, 0).await;
    idle().await;
    assert_eq!(cluster.highest(), 0, "no block before there is work");
    for item in 1..=20 {
        cluster.submit(item);
        cluster.until_committed(item).await;
    }
    let tip = cluster.settle().await;
    idle().await;
    assert_eq!(cluster.highest(), tip, "nor after it");
    cluster.agree();
    for node in &cluster.nodes {
        assert_eq!(node.ledger.lock().items(), (1..=20).collect::<Vec<_>>());
        assert!(node.ledger.lock().judged.iter().all(|(_, source)| *source != Source::Synced), "all were live");
    }
    cluster.stop().await;
}

#[tokio::test]
async fn three_of_four_go_on_and_the_fourth_catches_up_while_the_chain_is_idle() {
    let mut cluster = Cluster::start(4, 0).await;
    cluster.submit(1);
    cluster.until_committed(1).await;
    cluster.stop_node(3).await;
    for item in 2..=6 {
        cluster.submit(item);
        cluster.until_committed(item).await;
    }
    cluster.settle().await;
    assert_eq!(cluster.nodes[3].ledger.tip(), 1);

    // It learns from its peers that it is behind: nobody has to make a block for that.
    cluster.nodes[3].ledger.lock().pool.clear();
    let tip = cluster.highest();
    cluster.start_node(3).await;
    cluster.until_committed(6).await;
    idle().await;
    assert_eq!(
        cluster.nodes.iter().map(|node| node.ledger.tip()).collect::<Vec<_>>(),
        [tip; 4],
        "and no block was made"
    );
    let judged = cluster.nodes[3].ledger.lock().judged.clone();
    assert!(judged.contains(&(tip, Source::Synced)), "it was fetched: {judged:?}");

    // And it is needed again once another one is gone.
    cluster.stop_node(0).await;
    for item in 7..=9 {
        cluster.submit(item);
        cluster.until_committed(item).await;
    }
    cluster.agree();
    cluster.stop().await;
}

#[tokio::test]
async fn who_comes_back_to_a_busy_chain_takes_part_again() {
    let mut cluster = Cluster::start(4, 0).await;
    cluster.submit(1);
    cluster.until_committed(1).await;
    cluster.stop_node(3).await;
    cluster.submit(2);
    cluster.until_committed(2).await;
    // From here on the other three decide one height after another, without a pause.
    for item in 1000..20_000 {
        cluster.nodes[..3].iter().for_each(|node| node.ledger.lock().pool.push(item));
    }
    cluster.submit(3);
    cluster.start_node(3).await;
    let back = &cluster.nodes[3].ledger;
    back.until("it hears new values", |store| {
        store.judged.last().is_some_and(|(_, source)| *source == Source::Fresh) && store.tip() > 10
    })
    .await;
    let voter = validators([4])[0].key.id();
    let votes = |store: &Store| {
        store
            .blocks
            .iter()
            .rev()
            .take(8)
            .any(|(_, certificate)| certificate.signatures.iter().any(|(by, _)| *by == voter))
    };
    cluster.nodes[0].ledger.until("and its votes count", votes).await;
    assert!(!cluster.nodes[0].ledger.lock().pool.is_empty(), "the chain was busy all the time");
    cluster.agree();
    cluster.stop().await;
}

#[tokio::test]
async fn a_chain_without_quorum_waits_and_goes_on_when_it_is_back() {
    let mut cluster = Cluster::start(4, 0).await;
    cluster.submit(1);
    cluster.until_committed(1).await;
    cluster.settle().await;
    let tip = cluster.highest();
    cluster.stop_node(2).await;
    cluster.stop_node(3).await;
    cluster.submit(2);
    idle().await;
    assert_eq!(cluster.highest(), tip, "two of four decide nothing");
    cluster.start_node(2).await;
    cluster.until_committed(2).await;
    cluster.agree();
    cluster.stop().await;
}

#[tokio::test]
async fn a_restart_of_all_makes_no_block() {
    let mut cluster = Cluster::start(4, 0).await;
    for item in 1..=3 {
        cluster.submit(item);
        cluster.until_committed(item).await;
    }
    let tip = cluster.settle().await;
    for at in 0..4 {
        cluster.stop_node(at).await;
    }
    for at in 0..4 {
        cluster.start_node(at).await;
    }
    idle().await;
    assert_eq!(cluster.highest(), tip);
    cluster.submit(4);
    cluster.until_committed(4).await;
    cluster.agree();
    cluster.stop().await;
}

#[tokio::test]
async fn a_full_node_follows_and_large_values_reach_it() {
    let mut cluster = Cluster::start(4, 1).await;
    cluster.nodes.iter().for_each(|node| node.ledger.lock().padding = 700_000);
    cluster.stop_node(4).await;
    for item in 1..=12 {
        cluster.submit(item);
        cluster.until_committed(item).await;
    }
    cluster.start_node(4).await;
    cluster.until_committed(12).await;
    let follower = cluster.nodes[4].ledger.clone();
    assert!(follower.lock().judged.contains(&(1, Source::Synced)), "what it missed it fetched");
    for item in 13..=15 {
        cluster.submit(item);
        cluster.until_committed(item).await;
    }
    assert!(follower.lock().judged.iter().any(|(_, source)| *source == Source::Fresh), "what is new it heard");
    let tip = cluster.settle().await;
    idle().await;
    assert_eq!(cluster.highest(), tip);
    cluster.agree();
    cluster.stop().await;
}

#[tokio::test]
async fn a_lone_validator_serves_followers_also_when_it_has_been_idle_since_its_start() {
    let mut cluster = Cluster::start(1, 1).await;
    for item in 1..=3 {
        cluster.submit(item);
        cluster.until_committed(item).await;
    }
    cluster.stop_node(1).await;
    cluster.submit(4);
    cluster.until_committed(4).await;
    cluster.stop_node(0).await;
    cluster.start_node(0).await;
    cluster.start_node(1).await;
    cluster.until_committed(4).await;
    idle().await;
    assert_eq!(cluster.nodes[0].ledger.lock().empty_blocks(), 0, "without a block for it");
    cluster.agree();
    cluster.stop().await;
}

#[tokio::test]
async fn who_signs_twice_is_caught_and_the_chain_goes_on() {
    let mut cluster = Cluster::start(4, 0).await;
    // The fourth validator's key runs twice, each time with a signer that does not remember, and the two
    // propose different values: their ledgers have different work. The others take their time to judge, so
    // that both proposals reach them while the height is open.
    cluster.nodes[..3].iter().for_each(|node| node.ledger.lock().judging = std::time::Duration::from_millis(100));
    cluster.stop_node(3).await;
    cluster.nodes[3].signer = Some(TestSigner::reckless(4));
    let mut twin = Node::new(4, 4, true);
    twin.signer = Some(TestSigner::reckless(4));
    let peers: Vec<_> = cluster.nodes.iter().filter_map(Node::address).collect();
    let mut twins_network = network(14, peers);
    twins_network.status_interval = std::time::Duration::from_millis(500);
    let engine =
        start(config("twin", twin.home.path(), Some(twins_network)), &twin.ledger, twin.signer.clone()).await.unwrap();
    twin.engine = Some(engine);
    cluster.start_node(3).await;
    let accused = |store: &Store| !store.evidence.is_empty();
    for item in 1..=60 {
        cluster.submit(item);
        twin.ledger.submit(1000 + item);
        for node in &cluster.nodes[..3] {
            node.ledger.until("the honest go on", |store| store.items().contains(&item)).await;
        }
        if cluster.nodes[..3].iter().any(|node| accused(&node.ledger.lock())) {
            break;
        }
    }
    let evidence = cluster.nodes[..3].iter().find_map(|node| node.ledger.lock().evidence.first().cloned());
    let evidence = evidence.expect("sixty blocks with a validator that signs twice");
    let offender = validators([4])[0].key;
    assert_eq!(evidence.offender, offender.id());
    assert_ne!(evidence.first.bytes, evidence.second.bytes);
    for statement in [&evidence.first, &evidence.second] {
        assert!(statement.bytes[..].windows(32).any(|part| part == CHAIN.0), "of this chain");
        offender.verify(&statement.bytes, &statement.signature).expect("and really signed");
    }
    twin.stop().await;
    cluster.nodes.iter().for_each(|node| node.ledger.lock().evidence.clear());
    cluster.stop().await;
}

/// The nodes whose turn it is not to propose first.
fn not_first(cluster: &Cluster) -> Vec<usize> {
    let first = proposer(&cluster.nodes[0].ledger.order(1), 0).unwrap();
    (0..cluster.nodes.len()).filter(|at| secret(cluster.nodes[*at].n).public().id() != first).collect()
}

/// Two of four have voted at height 1 and forgotten it: for nothing, where they would vote for the value now, or for one
/// that nobody proposes any more. Without them there is no quorum.
#[tokio::test]
async fn validators_that_forgot_how_they_voted_say_it_again_and_the_chain_goes_on() {
    for value in [None, Some(Digest([7; 32]))] {
        let cluster = Cluster::start(4, 0).await;
        let forgetful = &not_first(&cluster)[..2];
        for at in forgetful {
            cluster.nodes[*at].signer.as_ref().unwrap().has_prevoted(value);
        }
        for item in 1..=3 {
            cluster.submit(item);
            cluster.until_committed(item).await;
        }
        for at in forgetful {
            let signer = cluster.nodes[*at].signer.as_ref().unwrap();
            assert_eq!(signer.voted(VoteKind::Prevote, 1, 0), Some(value), "it said nothing else");
            assert!(signer.voted(VoteKind::Prevote, 1, 1).is_some(), "so the first round decided nothing");
        }
        cluster.agree();
        cluster.stop().await;
    }
}

/// Its log then holds another vote than the engine derives from it, and after many rounds its signer does not hold it any more.
#[tokio::test]
async fn a_validator_that_said_a_vote_again_can_read_its_log() {
    for forgets in [false, true] {
        let mut cluster = Cluster::start(4, 0).await;
        let at = not_first(&cluster)[0];
        cluster.nodes[at].signer.as_ref().unwrap().has_prevoted(None);
        cluster.nodes[at].ledger.lock().fail_commit_of = Some(1);
        cluster.submit(1);
        let mut engine = cluster.nodes[at].engine.take().unwrap();
        let error = engine.stopped().await.expect_err("the commit fails, so the log is still about this height");
        assert!(error.to_string().contains("failed to commit"), "{error}");

        cluster.nodes[at].ledger.lock().fail_commit_of = None;
        if forgets {
            cluster.nodes[at].signer.as_ref().unwrap().forget_all_but_the_last();
        }
        cluster.start_node(at).await;
        cluster.submit(2);
        cluster.until_committed(2).await;
        let mut engine = cluster.nodes[at].engine.take().unwrap();
        engine.stop();
        let ended = engine.stopped().await;
        assert!(matches!(ended, Ok(()) | Err(EngineError::Stopped)), "{ended:?}");
        cluster.agree();
        cluster.stop().await;
    }
}
