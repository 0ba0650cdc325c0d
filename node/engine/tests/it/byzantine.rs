//! One of four lies: the other three go on, agree, accuse nobody who is honest, and the liar where it signed twice.
//!
//! 8 blocks a lie, or as many as `WRIT_BYZANTINE` says; the liar proposes in every fourth of them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use writ_engine::{Act, Evidence, Misbehaviour, Proposed, Source, proposer};
use writ_proto::hash::{Digest, Domain};
use writ_proto::key::KeyId;

use crate::cluster::Cluster;
use crate::harness::{BAD_ITEM, CHAIN, ITEMS_AT, Ledger, RESULT, Store, TestSigner, digest, secret, validators, value};

/// The node that lies, and its number.
const LIAR: usize = 3;
const LIAR_N: u8 = 4;
const HONEST: [usize; 3] = [0, 1, 2];

/// What the honest hold against the liar.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Proof {
    /// Two statements for one step, of these kinds, whoever looks.
    Certain(&'static [Domain]),
    /// Nothing, or two statements for one step if both arrived in time.
    Possible,
    /// It never signed twice.
    Impossible,
}

/// What shows that the liar really lied.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trace {
    /// Nothing that would stay.
    None,
    /// Whenever it was its turn, the height took another round.
    Rounds,
    /// Its vote is in no certificate.
    Votes,
    /// Both.
    RoundsAndVotes,
    /// All the honest found a value of its invalid.
    Refused,
    /// The same, and rounds.
    RefusedAndRounds,
    /// It signed two proposals for one round of a height that is decided.
    TwoProposals,
}

/// Whose turn it is.
fn turn(height: u64, round: u32) -> KeyId {
    proposer(&Ledger::new(None, validators(1..=4)).order(height), round).unwrap()
}

fn blocks() -> u64 {
    match std::env::var("WRIT_BYZANTINE") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("WRIT_BYZANTINE is `{text}`, expected a number")),
        Err(_) => 8,
    }
}

/// Four validators, the last of which does `acts`, and proposes what `twist` makes of a value.
async fn cluster(acts: &[Act], twist: Option<fn(&mut Vec<u8>)>, followers: u8) -> Cluster {
    let mut cluster = Cluster::start(4, followers).await;
    cluster.stop_node(LIAR).await;
    let liar = &mut cluster.nodes[LIAR];
    liar.signer = Some(TestSigner::reckless(LIAR_N));
    liar.misbehaviour = Some(Misbehaviour::new(acts.iter().cloned()));
    liar.ledger.lock().twist = twist;
    cluster.start_node(LIAR).await;
    cluster
}

/// The whole of it: items one by one, each in a block at all the honest.
async fn lie(what: &str, acts: &[Act], twist: Option<fn(&mut Vec<u8>)>, proof: Proof, trace: Trace) {
    println!("{what}");
    let mut cluster = cluster(acts, twist, 0).await;
    // Time to hear both statements of somebody who makes two.
    if proof != Proof::Impossible {
        HONEST.iter().for_each(|at| cluster.nodes[*at].ledger.lock().judging = Duration::from_millis(30));
    }
    let at_least = cluster.highest() + blocks();
    let mut item = 1000;
    let is_certain = matches!(proof, Proof::Certain(_));
    while cluster.nodes[0].ledger.tip() < at_least || (is_certain && !is_accused(&cluster)) {
        item += 1;
        assert!(item < 1000 + 20 * blocks(), "{what}: still nobody is accused");
        go_on(&cluster, what, item).await;
    }
    judge(&cluster, what, proof);
    assert_trace(&cluster, what, trace);
    stop(&mut cluster).await;
}

/// The chain of an honest node shows what the liar did.
fn assert_trace(cluster: &Cluster, what: &str, trace: Trace) {
    let liar = secret(LIAR_N).public().id();
    if matches!(trace, Trace::Refused | Trace::RefusedAndRounds) {
        let unimpressed = HONEST.into_iter().find(|at| cluster.nodes[*at].ledger.lock().refused.is_empty());
        assert_eq!(unimpressed, None, "{what}: this node refused nothing");
    }
    let store = cluster.nodes[0].ledger.lock();
    if trace == Trace::TwoProposals {
        let twice = cluster.nodes[LIAR].signer.as_ref().expect("it signs").proposed_twice();
        assert!(twice.iter().any(|height| *height <= store.tip()), "{what}: it proposed one value each");
    }
    let its_turn = |height: u64| turn(height, 0) == liar;
    let of_rounds = matches!(trace, Trace::Rounds | Trace::RoundsAndVotes | Trace::RefusedAndRounds);
    let mut turns = 0;
    for (_, certificate) in &store.blocks {
        let (height, round) = (certificate.height, certificate.round);
        if of_rounds && its_turn(height) {
            turns += 1;
            assert!(round > 0, "{what}: height {height} was decided in the liar's own round");
        }
        if matches!(trace, Trace::Votes | Trace::RoundsAndVotes) {
            let voted = certificate.signatures.iter().any(|(voter, _)| *voter == liar);
            assert!(!voted, "{what}: the liar voted for height {height}");
        }
    }
    assert!(turns > 0 || !of_rounds, "{what}: it was never its turn");
}

async fn go_on(cluster: &Cluster, what: &str, item: u64) {
    cluster.submit(item);
    for at in HONEST {
        cluster.nodes[at].ledger.until(what, |store| store.items().contains(&item)).await;
    }
}

fn is_accused(cluster: &Cluster) -> bool {
    HONEST.iter().any(|at| !cluster.nodes[*at].ledger.lock().evidence.is_empty())
}

fn judge(cluster: &Cluster, what: &str, proof: Proof) {
    let liar = secret(LIAR_N).public();
    let accused = cluster.agree_among(&HONEST);
    match proof {
        Proof::Certain(_) => assert_eq!(accused, [liar.id()], "{what}"),
        Proof::Possible => assert!(accused.is_empty() || accused == [liar.id()], "{what}: {accused:?}"),
        Proof::Impossible => assert_eq!(accused, [], "{what}"),
    }
    for at in HONEST {
        let store = cluster.nodes[at].ledger.lock();
        store.evidence.iter().for_each(is_sound);
        if let Proof::Certain(kinds) = proof {
            let is_of = |evidence: &Evidence| kinds.iter().any(|kind| evidence.first.bytes.starts_with(kind.tag()));
            assert!(store.evidence.iter().all(is_of), "{what}: evidence of what it did not do: {:?}", store.evidence);
        }
        assert!(!store.items().contains(&BAD_ITEM), "{what}: nothing invalid was decided");
    }
}

/// Evidence speaks for itself: two different statements about one step of this chain, both really signed.
fn is_sound(evidence: &Evidence) {
    let liar = secret(LIAR_N).public();
    assert_ne!(evidence.first.bytes, evidence.second.bytes);
    for statement in [&evidence.first, &evidence.second] {
        assert!(statement.bytes.windows(32).any(|part| part == CHAIN.0), "of this chain");
        liar.verify(&statement.bytes, &statement.signature).expect("and really signed");
    }
}

/// The liar may be in any state by now.
async fn stop(cluster: &mut Cluster) {
    for at in 0..cluster.nodes.len() {
        let Some(mut engine) = cluster.nodes[at].engine.take() else { continue };
        engine.stop();
        let end = engine.stopped().await;
        assert!(at == LIAR || end.is_ok(), "an honest node ends in order: {end:?}");
    }
}

/// Another value that follows as well.
fn twin() -> Act {
    Act::ProposeTwins(Arc::new(|honest| {
        let bytes: Bytes = [&honest.bytes[..], b"twin"].concat().into();
        Proposed { value: digest(&bytes), bytes }
    }))
}

#[tokio::test]
async fn who_votes_twice_is_caught() {
    lie("votes twice", &[Act::VoteTwice], None, Proof::Certain(&[Domain::Vote]), Trace::None).await;
}

#[tokio::test]
async fn who_proposes_twice_is_caught() {
    let of_proposals = Proof::Certain(&[Domain::Proposal]);
    lie("proposes twice", &[twin()], None, of_proposals, Trace::TwoProposals).await;
    lie("proposes twice, once without bytes", &[Act::ProposeTwice], None, of_proposals, Trace::TwoProposals).await;
    let of_both = Proof::Certain(&[Domain::Proposal, Domain::Vote]);
    lie("proposes and votes twice", &[twin(), Act::VoteTwice], None, of_both, Trace::TwoProposals).await;
}

#[tokio::test]
async fn who_says_nothing_costs_only_time() {
    lie("never votes", &[Act::DropVotes], None, Proof::Impossible, Trace::Votes).await;
    lie("never proposes", &[Act::DropProposals], None, Proof::Impossible, Trace::Rounds).await;
    lie("does not listen", &[Act::IgnoreProposals], None, Proof::Impossible, Trace::None).await;
    lie(
        "says nothing at all",
        &[Act::DropVotes, Act::DropProposals, Act::IgnoreProposals],
        None,
        Proof::Impossible,
        Trace::RoundsAndVotes,
    )
    .await;
}

#[tokio::test]
async fn who_votes_against_what_is_good_costs_only_time() {
    lie("never precommits", &[Act::PrecommitNil], None, Proof::Impossible, Trace::Votes).await;
}

#[tokio::test]
async fn a_proposal_whose_bytes_do_not_come_is_passed_over() {
    lie("withholds bytes", &[Act::WithholdParts], None, Proof::Impossible, Trace::Rounds).await;
    lie("sends garbage", &[Act::GarbageParts], None, Proof::Impossible, Trace::Rounds).await;
    lie("sends too much", &[Act::OversizedParts], None, Proof::Impossible, Trace::Rounds).await;
}

#[tokio::test]
async fn a_value_that_does_not_follow_is_not_decided() {
    let wrong_result: fn(&mut Vec<u8>) = |bytes| bytes[RESULT.start] ^= 1;
    lie("lies about the result", &[], Some(wrong_result), Proof::Impossible, Trace::Rounds).await;
    let bad_item: fn(&mut Vec<u8>) = |bytes| {
        let had = Store::items_of(bytes);
        // The first item is exchanged for one that is none, and the result is right for that.
        let result = u64::from_le_bytes(bytes[RESULT].try_into().unwrap());
        let result = result.wrapping_sub(*had.first().unwrap_or(&0)).wrapping_add(BAD_ITEM);
        bytes[RESULT].copy_from_slice(&result.to_le_bytes());
        match had.is_empty() {
            true => *bytes = [&bytes[..RESULT.end], &1u64.to_le_bytes(), &BAD_ITEM.to_le_bytes()].concat(),
            false => bytes[ITEMS_AT..ITEMS_AT + 8].copy_from_slice(&BAD_ITEM.to_le_bytes()),
        }
    };
    lie("puts in what is no item", &[], Some(bad_item), Proof::Impossible, Trace::Rounds).await;
    let other_parent: fn(&mut Vec<u8>) = |bytes| bytes[8] ^= 1;
    lie("builds on another block", &[], Some(other_parent), Proof::Impossible, Trace::Rounds).await;
    let other_height: fn(&mut Vec<u8>) = |bytes| bytes[0] ^= 1;
    lie("builds for another height", &[], Some(other_height), Proof::Impossible, Trace::Rounds).await;
    let nonsense: fn(&mut Vec<u8>) = |bytes| bytes.truncate(7);
    lie("proposes what is no value at all", &[], Some(nonsense), Proof::Impossible, Trace::Rounds).await;
}

/// Proposals for heights to come, whose parent is not decided, must wait: the ledger of these tests panics if it is asked
/// to judge one before its parent, and the engine keeps a verdict for good.
#[tokio::test]
async fn a_value_for_a_height_to_come_is_not_judged_early() {
    let guess = |sum: u64| {
        Act::ProposeEarly(Arc::new(move |height| {
            let mine = |round: &u32| turn(height, *round) == secret(LIAR_N).public().id();
            let round = (0..4).find(mine)?;
            let bytes: Bytes = value(height, Digest([9; 32]), sum, &[height]).into();
            Some((round, Proposed { value: digest(&bytes), bytes }))
        }))
    };
    // What was proposed early and what is proposed in turn are two proposals of one round.
    lie("proposes early, and again in turn", &[guess(0)], None, Proof::Possible, Trace::Refused).await;
    let acts = [guess(1), Act::DropProposals];
    lie("proposes early, and not in turn", &acts, None, Proof::Possible, Trace::RefusedAndRounds).await;
}

#[tokio::test]
async fn who_exaggerates_its_tip_moves_nobody() {
    for by in [1, 1000, u64::MAX] {
        lie("exaggerates its tip", &[Act::ExaggerateTip(by)], None, Proof::Impossible, Trace::None).await;
    }
}

#[tokio::test]
async fn an_idle_chain_with_a_liar_about_tips_makes_few_blocks() {
    let mut cluster = cluster(&[Act::ExaggerateTip(5)], None, 0).await;
    go_on(&cluster, "the first item", 1).await;
    let before = cluster.highest();
    for _ in 0..4 {
        crate::harness::idle().await;
    }
    let made = cluster.highest() - before;
    // Each of the three may believe it after 0, 1, 3 and 7 seconds.
    assert!(made <= 3 * 4, "{made} blocks for nothing");
    go_on(&cluster, "and goes on with work", 2).await;
    judge(&cluster, "an idle chain", Proof::Impossible);
    stop(&mut cluster).await;
}

/// A node that lags asks its peers, the liar among them, which answers with anything but the truth.
#[tokio::test]
async fn who_lags_is_not_led_astray() {
    for (what, acts) in [
        ("answers falsely", vec![Act::AnswerFalsely]),
        ("answers falsely and draws questions", vec![Act::AnswerFalsely, Act::ExaggerateTip(3)]),
    ] {
        println!("{what}");
        let mut cluster = cluster(&acts, None, 1).await;
        let follower = 4;
        cluster.stop_node(follower).await;
        let items = 1..=2 * blocks();
        for item in items.clone() {
            go_on(&cluster, what, item).await;
        }
        cluster.start_node(follower).await;
        let ledger = cluster.nodes[follower].ledger.clone();
        ledger
            .until("the follower has everything", |store| items.clone().all(|item| store.items().contains(&item)))
            .await;
        assert!(ledger.lock().judged.contains(&(1, Source::Synced)), "it was fetched");
        cluster.agree_among(&[0, 1, 2, follower]);
        judge(&cluster, what, Proof::Impossible);

        // And a validator, which is needed as soon as another one is gone.
        cluster.stop_node(1).await;
        for item in 100..100 + blocks() {
            cluster.submit(item);
            cluster.nodes[0].ledger.until(what, |store| store.items().contains(&item)).await;
        }
        cluster.start_node(1).await;
        cluster.nodes[1].ledger.until("it is back", |store| store.items().contains(&(99 + blocks()))).await;
        judge(&cluster, what, Proof::Impossible);
        stop(&mut cluster).await;
    }
}

/// A guarded signer does not sign twice, whatever is asked of it: a liar that keeps its guard ends itself.
#[tokio::test]
async fn a_guard_stops_who_would_sign_twice() {
    let mut cluster = Cluster::start(4, 0).await;
    cluster.stop_node(LIAR).await;
    let signer = TestSigner::new(LIAR_N);
    cluster.nodes[LIAR].signer = Some(Arc::clone(&signer));
    cluster.nodes[LIAR].misbehaviour = Some(Misbehaviour::new([Act::VoteTwice]));
    cluster.start_node(LIAR).await;
    for item in 1..=blocks() {
        go_on(&cluster, "the honest go on", item).await;
    }
    let mut engine = cluster.nodes[LIAR].engine.take().expect("it was started");
    let end = engine.stopped().await.expect_err("its guard refused");
    assert!(matches!(&end, writ_engine::EngineError::SignRefused(_)), "{end:?}");
    judge(&cluster, "guarded", Proof::Impossible);
    stop(&mut cluster).await;
}
