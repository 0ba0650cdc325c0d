//! What ends an engine, and what it says then.

use writ_engine::EngineError;

use crate::harness::{Ledger, TestSigner, config, network, start, stop, validators};

#[tokio::test]
async fn a_signer_that_refuses_stops_the_engine_and_is_named() {
    let home = tempfile::tempdir().unwrap();
    let (ledger, signer) = (Ledger::new(Some(1), validators([1])), TestSigner::refusing(1, 3));
    let mut engine = start(config("refused", home.path(), None), &ledger, Some(signer.clone())).await.unwrap();
    for item in 1..=2 {
        ledger.submit(item);
        ledger.until("the item is committed", |store| store.items().contains(&item)).await;
    }
    ledger.submit(3);
    let error = engine.stopped().await.expect_err("the third height is refused");
    assert!(matches!(&error, EngineError::SignRefused(refusal) if refusal.reason == "the guard is shut"), "{error:?}");
    assert_eq!(error.to_string(), "the signer refused to sign step (3, 0, 0): the guard is shut");
    assert_eq!(ledger.tip(), 2);
    assert!(signer.heights().iter().all(|height| *height < 3), "and nothing was signed");
    assert!(matches!(engine.stopped().await, Err(EngineError::Stopped)), "it tells once");
}

#[tokio::test]
async fn a_signer_with_another_key_than_it_says_stops_the_engine() {
    struct Wrong(std::sync::Arc<TestSigner>, writ_proto::key::PublicKey);
    impl writ_engine::VoteSigner for Wrong {
        fn public_key(&self) -> writ_proto::key::PublicKey {
            self.1
        }
        fn sign_vote(
            &self,
            vote: &writ_proto::certificate::Vote,
        ) -> Result<(writ_proto::certificate::Vote, writ_proto::key::Signature), writ_engine::SignRefused> {
            self.0.sign_vote(vote)
        }
        fn sign_proposal(
            &self,
            proposal: &writ_proto::certificate::Proposal,
        ) -> Result<writ_proto::key::Signature, writ_engine::SignRefused> {
            self.0.sign_proposal(proposal)
        }
        fn sign_peer_claim(
            &self,
            claim: &writ_engine::PeerClaim,
        ) -> Result<writ_proto::key::Signature, writ_engine::SignRefused> {
            self.0.sign_peer_claim(claim)
        }
    }
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::new(Some(1), validators([1]));
    let signer = std::sync::Arc::new(Wrong(TestSigner::new(2), crate::harness::secret(1).public()));
    let work = std::sync::Arc::clone(&ledger.work);
    let mut engine = writ_engine::Engine::start(config("wrong", home.path(), None), ledger.clone(), Some(signer), work)
        .await
        .unwrap();
    ledger.submit(1);
    let error = engine.stopped().await.expect_err("its signatures do not fit");
    assert!(
        matches!(&error, EngineError::SignRefused(refusal) if refusal.what == "proposal of height 1, round 0"),
        "{error:?}"
    );
    assert_eq!(ledger.tip(), 0);
}

#[tokio::test]
async fn a_ledger_that_cannot_commit_stops_the_engine_and_is_not_asked_again() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::new(Some(1), validators([1]));
    ledger.lock().fail_commit_of = Some(1);
    let mut engine = start(config("fatal", home.path(), None), &ledger, Some(TestSigner::new(1))).await.unwrap();
    ledger.submit(1);
    let error = engine.stopped().await.expect_err("the commit fails");
    assert_eq!(error.to_string(), "the ledger failed to commit a value");
    let fatal = std::error::Error::source(&error).expect("has a cause");
    assert_eq!(fatal.source().expect("has a cause").to_string(), "the disk is on fire");
    assert_eq!(ledger.tip(), 0);
}

#[tokio::test]
async fn a_ledger_that_panics_stops_the_engine() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::new(Some(1), validators([1]));
    ledger.lock().panic_in_propose = true;
    let mut engine = start(config("panic", home.path(), None), &ledger, Some(TestSigner::new(1))).await.unwrap();
    ledger.submit(1);
    let error = engine.stopped().await.expect_err("the ledger panicked");
    assert!(matches!(error, EngineError::Panicked), "{error:?}");
}

#[tokio::test]
async fn a_value_larger_than_values_may_be_stops_the_engine() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::new(Some(1), validators([1]));
    ledger.lock().padding = crate::harness::VALUE_BYTES_MAX;
    let mut engine = start(config("larger", home.path(), None), &ledger, Some(TestSigner::new(1))).await.unwrap();
    ledger.submit(1);
    let error = engine.stopped().await.expect_err("nobody could receive it");
    assert!(matches!(error, EngineError::ValueSize { height: 1, .. }), "{error:?}");

    let unbounded = writ_engine::Config { value_bytes_max: usize::MAX, ..config("unbounded", home.path(), None) };
    let error = start(unbounded, &ledger, Some(TestSigner::new(1))).await.unwrap_err();
    assert!(matches!(error, EngineError::ValueBound { .. }), "{error:?}");
}

#[tokio::test]
async fn a_damaged_log_stops_the_engine_and_no_second_statement_is_signed() {
    let home = tempfile::tempdir().unwrap();
    let (ledger, signer) = (Ledger::new(Some(1), validators([1])), TestSigner::new(1));
    ledger.lock().fail_commit_of = Some(1);
    let mut engine = start(config("damage", home.path(), None), &ledger, Some(signer.clone())).await.unwrap();
    ledger.submit(1);
    engine.stopped().await.expect_err("the commit fails, so the log is still about this height");
    ledger.lock().fail_commit_of = None;

    // A byte of the first entry: after the file's head (12 bytes) and the entry's (13).
    let path = home.path().join("wal/consensus.wal");
    let mut log = std::fs::read(&path).unwrap();
    log[40] ^= 0x10;
    std::fs::write(&path, log).unwrap();
    let signed = signer.heights();
    let mut engine = start(config("damage", home.path(), None), &ledger, Some(signer.clone())).await.unwrap();
    let error = engine.stopped().await.expect_err("the log does not add up");
    assert!(matches!(error, EngineError::Halted), "{error:?}");
    assert_eq!((ledger.tip(), signer.heights()), (0, signed));
    assert!(engine.vitals().has_halted(), "the engine says so itself, whether the host noticed or not");
}

/// Whether a question to the host is answered within so many looks.
fn answers(mut pulse: writ_engine::Pulse, looks: u32) -> bool {
    (0..looks).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        pulse.is_answered()
    })
}

#[tokio::test]
async fn a_validator_without_a_quorum_is_alive() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::new(Some(1), validators([1, 2, 3, 4]));
    let network = network(1, Vec::new());
    let engine = start(config("alone", home.path(), Some(network)), &ledger, Some(TestSigner::new(1))).await.unwrap();
    let vitals = engine.vitals();
    ledger.submit(1);
    for _ in 0..20 {
        assert!(answers(vitals.ask(), 3_000), "it waits for the others, and answers");
    }
    assert!(!vitals.has_halted());
    stop(engine).await;
}

#[tokio::test]
async fn a_thread_that_hangs_in_the_ledger_does_not_answer_until_it_is_back() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::new(Some(1), validators([1]));
    let engine = start(config("hangs", home.path(), None), &ledger, Some(TestSigner::new(1))).await.unwrap();
    let vitals = engine.vitals();
    assert!(answers(vitals.ask(), 3_000));
    let held = ledger.lock();
    // An idle engine asks the ledger whether there is work, and waits for the lock.
    ledger.work.notify_one();
    let hangs = (0..300).find_map(|_| {
        let pulse = vitals.ask();
        let mut seen = vitals.ask();
        std::thread::sleep(std::time::Duration::from_millis(50));
        (!seen.is_answered()).then_some(pulse)
    });
    let pulse = hangs.expect("it hangs");
    assert!(!answers(vitals.ask(), 20));
    drop(held);
    assert!(answers(pulse, 3_000), "and is back");
    assert!(!vitals.has_halted());
    stop(engine).await;
    assert!(answers(vitals.ask(), 1), "an engine that ended says so elsewhere");
}

#[tokio::test]
async fn a_set_without_members_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::new(Some(1), Vec::new());
    let error = start(config("empty", home.path(), None), &ledger, Some(TestSigner::new(1))).await.unwrap_err();
    assert!(matches!(error, EngineError::Validators { height: 1, .. }), "{error:?}");
}

#[tokio::test]
async fn a_log_that_another_engine_uses_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::new(Some(1), validators([1]));
    let engine = start(config("first", home.path(), None), &ledger, Some(TestSigner::new(1))).await.unwrap();
    let error = start(config("second", home.path(), None), &ledger, Some(TestSigner::new(1))).await.unwrap_err();
    assert!(matches!(error, EngineError::Log { .. }), "{error:?}");
    stop(engine).await;
}

#[tokio::test]
async fn addresses_that_cannot_be_used_are_refused_with_their_text() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::new(Some(1), validators([1]));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for (case, listen, peer) in [
        ("no address", "127.0.0.1:26656", "/ip4/127.0.0.1/tcp/1"),
        ("no transport", "/ip4/127.0.0.1", "/ip4/127.0.0.1/tcp/1"),
        ("a peer without one", "/ip4/127.0.0.1/tcp/0", "localhost"),
    ] {
        let mut network = network(1, vec![peer.to_owned()]);
        network.listen = listen.to_owned();
        let error =
            start(config("address", home.path(), Some(network)), &ledger, Some(TestSigner::new(1))).await.unwrap_err();
        let bad = if peer == "localhost" { peer } else { listen };
        assert!(matches!(&error, EngineError::Address { found, .. } if found == bad), "{case}: {error:?}");
    }
    let mut network = network(1, Vec::new());
    network.listen = format!("/ip4/127.0.0.1/tcp/{port}");
    let error =
        start(config("taken", home.path(), Some(network)), &ledger, Some(TestSigner::new(1))).await.unwrap_err();
    assert!(
        matches!(&error, EngineError::NotListening { address } if address.ends_with(&port.to_string())),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_engine_that_nobody_owns_ends() {
    let home = tempfile::tempdir().unwrap();
    let (ledger, signer) = (Ledger::new(Some(1), validators([1])), TestSigner::new(1));
    drop(start(config("dropped", home.path(), None), &ledger, Some(signer.clone())).await.unwrap());
    // Its log is free for the next one.
    let engine = start(config("next", home.path(), None), &ledger, Some(signer)).await.unwrap();
    stop(engine).await;
}
