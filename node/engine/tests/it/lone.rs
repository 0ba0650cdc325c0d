//! One validator and no network.

use std::time::{Duration, Instant};

use crate::harness::{Ledger, TestSigner, config, idle, logs, start, stop, validators};

#[tokio::test]
async fn a_lone_validator_commits_in_order_and_makes_no_block_without_work() {
    logs();
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::new(Some(1), validators([1]));
    let engine = start(config("lone", home.path(), None), &ledger, Some(TestSigner::new(1))).await.unwrap();
    assert!(engine.addresses().is_empty(), "nothing listens");

    idle().await;
    assert_eq!(ledger.tip(), 0, "not even a first block");

    for item in 1..=30 {
        ledger.submit(item);
        ledger.until("the item is committed", |store| store.items().contains(&item)).await;
    }
    assert_eq!(ledger.lock().items(), (1..=30).collect::<Vec<_>>());
    assert_eq!(ledger.lock().empty_blocks(), 0);

    let tip = ledger.tip();
    idle().await;
    assert_eq!(ledger.tip(), tip, "an idle chain stands still");
    ledger.work.notify_one();
    idle().await;
    assert_eq!(ledger.tip(), tip, "a wake-up without work changes nothing");

    ledger.submit(31);
    ledger.until("and goes on with work", |store| store.items().contains(&31)).await;
    stop(engine).await;
}

#[tokio::test]
async fn work_that_came_before_the_start_is_done_at_once() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::new(Some(1), validators([1]));
    ledger.lock().pool.extend(1..=100);
    let engine = start(config("early", home.path(), None), &ledger, Some(TestSigner::new(1))).await.unwrap();
    ledger.until("all is committed", |store| store.pool.is_empty()).await;
    assert_eq!(ledger.lock().items(), (1..=100).collect::<Vec<_>>());
    assert_eq!(ledger.tip(), 13, "eight to a block");
    stop(engine).await;
}

#[tokio::test]
async fn a_restart_goes_on_where_the_chain_stood() {
    let home = tempfile::tempdir().unwrap();
    let (ledger, signer) = (Ledger::new(Some(1), validators([1])), TestSigner::new(1));
    for run in 0..4 {
        let engine = start(config("again", home.path(), None), &ledger, Some(signer.clone())).await.unwrap();
        for item in 10 * run..10 * run + 3 {
            ledger.submit(item);
            ledger.until("the item is committed", |store| store.items().contains(&item)).await;
        }
        stop(engine).await;
    }
    assert_eq!(ledger.lock().items(), [0, 1, 2, 10, 11, 12, 20, 21, 22, 30, 31, 32]);
    assert_eq!(ledger.lock().empty_blocks(), 0);
}

#[tokio::test]
async fn a_value_that_was_decided_but_not_committed_is_committed_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let (ledger, signer) = (Ledger::new(Some(1), validators([1])), TestSigner::new(1));
    ledger.lock().fail_commit_of = Some(3);
    let mut engine = start(config("crash", home.path(), None), &ledger, Some(signer.clone())).await.unwrap();
    for item in 1..=2 {
        ledger.submit(item);
        ledger.until("the item is committed", |store| store.items().contains(&item)).await;
    }
    ledger.submit(3);
    engine.stopped().await.expect_err("the commit fails");

    // What was proposed and voted for stays, whatever comes in meanwhile: the signer would refuse another.
    ledger.lock().fail_commit_of = None;
    ledger.lock().pool.insert(0, 99);
    let engine = start(config("crash", home.path(), None), &ledger, Some(signer)).await.unwrap();
    ledger.until("both are committed", |store| store.pool.is_empty()).await;
    assert_eq!(ledger.lock().items(), [1, 2, 3, 99]);
    stop(engine).await;
}

#[tokio::test]
async fn a_large_value_fits() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::new(Some(1), validators([1]));
    ledger.lock().padding = crate::harness::VALUE_BYTES_MAX - crate::harness::ITEMS_AT - 8;
    let engine = start(config("large", home.path(), None), &ledger, Some(TestSigner::new(1))).await.unwrap();
    ledger.submit(1);
    ledger.until("the item is committed", |store| store.items() == [1]).await;
    stop(engine).await;
}

/// Not a claim but a measurement: `cargo test --release -p writ-engine -- --ignored --nocapture latency`.
#[tokio::test]
#[ignore = "a measurement"]
async fn latency_from_wake_up_to_commit() {
    let home = tempfile::tempdir_in(".").unwrap();
    let ledger = Ledger::new(Some(1), validators([1]));
    let engine = start(config("latency", home.path(), None), &ledger, Some(TestSigner::new(1))).await.unwrap();
    let mut times = Vec::new();
    for item in 0..400 {
        let begin = Instant::now();
        ledger.submit(item);
        while !ledger.lock().pool.is_empty() {
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
        times.push(begin.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!("wake-up to commit: p50 {:?}, p90 {:?}, p99 {:?}, max {:?}", at(0.5), at(0.9), at(0.99), at(1.0));
    stop(engine).await;
}
