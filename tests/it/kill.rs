//! Kill -9 at random moments of appends: what was acknowledged is in the log exactly once, whatever else happened.
//!
//! 10 rounds, or as many as `WRIT_KILLS` says; the seed is printed, and taken from `WRIT_SEED` if that is set.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use writ_proto::api::{BatchAnswer, BatchResult, Receipt, RecordStatus, to_base64};
use writ_proto::block::Outcome;
use writ_proto::hash::Digest;
use writ_proto::record::{Effect, RecordId, Signed};
use writ_tests::auditor::Follower;
use writ_tests::http::{Answer, Broken, Http};
use writ_tests::issuer::Issuer;
use writ_tests::node::{Node, assert_sound};
use writ_tests::random::Random;
use writ_tests::receipts::{Seen, assert_grown, assert_included};
use writ_tests::wait;
use writ_tests::world::World;

const WRITERS: u64 = 3;

/// What the writers know.
#[derive(Default)]
struct Memory {
    /// Everything ever sent.
    sent: BTreeMap<RecordId, Signed>,
    /// What a node said that it took: into the log, or to be waited for.
    acknowledged: BTreeMap<RecordId, Acknowledged>,
    /// Grants in the log, to be revoked.
    grants: Vec<RecordId>,
    /// The largest log that anybody was told of.
    seen: Option<Seen>,
    /// How often what was promised.
    tally: BTreeMap<&'static str, u64>,
}

#[derive(Clone, Debug, PartialEq)]
enum Acknowledged {
    /// `200`, with its place.
    Committed(Box<Receipt>),
    /// `202`: nothing is lost.
    Taken,
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let rounds = match std::env::var("WRIT_KILLS") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("WRIT_KILLS is `{text}`, expected a number")),
        Err(_) => 10,
    };
    let mut random = Random::from_environment("kill");
    let world = World::new(&["org1"]);
    let issuer = world.issuer("org1");
    let mut follower = Follower::new(world.genesis());
    let memory = Mutex::new(Memory::default());
    let mut node = world.run();
    for round in 1..=rounds {
        // At the first moments as well as in the middle of a long run.
        let moment = random.pick(&[5, 50, 400, 1_500]);
        let moment = Duration::from_millis(1 + random.below(*moment));
        println!("round {round}: killed after {moment:?}");
        let stop = AtomicBool::new(false);
        let seeds: Vec<u64> = (0..WRITERS).map(|_| random.number()).collect();
        let http = node.http().clone();
        std::thread::scope(|scope| {
            for seed in seeds {
                let (http, memory, stop) = (&http, &memory, &stop);
                scope.spawn(move || write(http, issuer, &mut Random::new(seed), memory, stop));
            }
            std::thread::sleep(moment);
            node.kill();
            stop.store(true, Ordering::Relaxed);
        });
        if random.percent(30) {
            assert_sound(&world.home());
        }
        if random.percent(20) {
            // Once more, in the middle of recovery.
            node.crash_while_starting(Duration::from_millis(random.below(150)));
        }
        node.start_again();
        let mut memory = memory.lock().expect("no writer has panicked");
        judge(&node, &mut follower, &mut memory, &mut random);
    }
    let memory = memory.into_inner().expect("no writer has panicked");
    println!("{rounds} kills: {} sent, {:?}, log of {} leaves", memory.sent.len(), memory.tally, follower.seen().size);
    assert!(memory.tally.keys().len() >= 4, "every way of submitting was acknowledged sometimes: {:?}", memory.tally);
    assert!(node.stop().success(), "a node that is asked to stop stops well");
    assert_sound(&world.home());
}

/// Appends until the node is gone: single records and batches, grants, denials and revocations, with every sort
/// of waiting.
fn write(http: &Http, issuer: &Issuer, random: &mut Random, memory: &Mutex<Memory>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let count = if random.percent(50) { 1 } else { 1 + random.below(40) };
        let records: Vec<Signed> = (0..count).map(|_| record(issuer, random, memory)).collect();
        lock(memory).sent.extend(records.iter().map(|record| (record.id(), record.clone())));
        let wait =
            *random.pick(&["wait=committed", "wait=committed", "wait=committed&wait_ms=0", "wait=seen", "wait=none"]);
        let (kind, answered) = match &records[..] {
            [record] if random.percent(80) => ("single", http.try_submit(record, wait)),
            _ => ("batch", http.try_submit_batch(&records, wait)),
        };
        match answered {
            Ok(answer) => note(&answer, kind, &mut lock(memory)),
            Err(error) if is_cut(&error) => return,
            Err(error) => panic!("a submission ended with {error}"),
        }
    }
}

fn lock(memory: &Mutex<Memory>) -> std::sync::MutexGuard<'_, Memory> {
    memory.lock().expect("no writer has panicked")
}

/// The connection broke: what became of the records is not known.
fn is_cut(error: &Broken) -> bool {
    !matches!(**error, ureq::Error::Timeout(_) | ureq::Error::BadUri(_) | ureq::Error::StatusCode(_))
}

fn record(issuer: &Issuer, random: &mut Random, memory: &Mutex<Memory>) -> Signed {
    let (sub, obj) = (format!("user:{}", random.below(50)), format!("file:{}", random.below(50)));
    match random.below(10) {
        0..=5 => issuer.grant(&sub, "read", &obj),
        6 | 7 => issuer.deny(&sub, "write", &obj),
        // Sent before, perhaps answered, perhaps not: it must stay one record.
        8 => {
            let known = lock(memory);
            let mut somewhere = Digest::ZERO;
            somewhere.0[..8].copy_from_slice(&random.number().to_be_bytes());
            let next = known.sent.range(RecordId(somewhere)..).next();
            next.map_or_else(|| issuer.grant(&sub, "*", &obj), |(_, record)| record.clone())
        }
        _ => {
            let mut known = lock(memory);
            match known.grants.pop() {
                Some(target) => issuer.revoke(target, Effect::Grant),
                None => issuer.grant(&sub, "list", &obj),
            }
        }
    }
}

fn note(answer: &Answer, kind: &'static str, memory: &mut Memory) {
    assert!(matches!(answer.status, 200 | 202), "{kind}: {} {}", answer.status, answer.text());
    let receipts: Vec<Receipt> = match kind {
        "single" => vec![answer.json()],
        _ => {
            let batch: BatchAnswer = answer.json();
            let receipt = |result| match result {
                BatchResult::Receipt(receipt) => receipt,
                BatchResult::Problem(problem) => panic!("a good record of a batch is refused: {problem:?}"),
            };
            batch.results.into_iter().map(receipt).collect()
        }
    };
    for receipt in receipts {
        let id = receipt.id;
        let record = memory.sent.get(&id).unwrap_or_else(|| panic!("a receipt for {id}, which nobody sent"));
        let (acknowledged, how) = match (receipt.status, &receipt.place) {
            (RecordStatus::Committed, Some(place)) => {
                assert_included(record, place);
                let seen = Seen::at(place);
                if memory.seen.is_none_or(|other| other.size < seen.size) {
                    memory.seen = Some(seen);
                }
                if memory.grants.len() < 100 && is_grant(record) {
                    memory.grants.push(id);
                }
                (Acknowledged::Committed(Box::new(receipt)), "committed")
            }
            (RecordStatus::Pending, None) => (Acknowledged::Taken, "taken"),
            _ => panic!("{kind}: a good record, and this receipt: {receipt:?}"),
        };
        let known = memory.acknowledged.entry(id).or_insert(Acknowledged::Taken);
        if matches!(acknowledged, Acknowledged::Committed(_)) {
            *known = acknowledged;
        }
        let word = match (kind, how) {
            ("single", "committed") => "single committed",
            ("single", _) => "single taken",
            (_, "committed") => "batch committed",
            _ => "batch taken",
        };
        *memory.tally.entry(word).or_default() += 1;
    }
}

fn is_grant(record: &Signed) -> bool {
    matches!(record.body(), writ_proto::record::Body::Access(access) if access.effect == Effect::Grant)
}

/// What must hold after a kill and a restart.
fn judge(node: &Node, follower: &mut Follower, memory: &mut Memory, random: &mut Random) {
    let http = node.http();
    if let Some(seen) = memory.seen {
        assert_grown(http, seen);
    }
    // What was taken without being in the log yet goes there now, by itself.
    wait::until("the pool to empty", || (http.status().pending == 0).then_some(()));

    // The blocks, read anew from where the last round stood: every link, hash and signature is checked, and no record
    // stands twice.
    follower.follow(http);
    memory.seen = Some(follower.seen());
    for (id, acknowledged) in &memory.acknowledged {
        let logged =
            follower.find(id).unwrap_or_else(|| panic!("{id} was acknowledged ({acknowledged:?}) and is lost"));
        assert_eq!(logged.outcome, Outcome::Accepted, "{id}");
        if let Acknowledged::Committed(receipt) = acknowledged {
            let place = receipt.place.as_ref().expect("a committed record has its place");
            assert_eq!((place.index, place.height), (logged.index, logged.height), "the place of {id}");
        }
    }
    // One by one, a sample.
    let ids: Vec<&RecordId> = memory.acknowledged.keys().collect();
    for _ in 0..ids.len().min(200) {
        let id = *random.pick(&ids);
        let served = http.record(id);
        let (record, logged) = (&memory.sent[id], follower.find(id).expect("it is in the log"));
        assert_eq!(served.status, RecordStatus::Committed);
        assert_eq!(served.record, Some(to_base64(record.bytes())), "the bytes of {id}");
        let place = served.place.expect("a committed record has its place");
        assert_eq!(place.index, logged.index);
        assert_included(record, &place);
    }
    // And as entries: each once, in the order of the log. A block that was proposed when the node was killed may have
    // been decided since the log was read; nobody was promised what it holds.
    let listed = http.entries("").into_iter().filter(|entry| entry.index < follower.seen().size);
    let listed: Vec<(u64, RecordId)> = listed.map(|entry| (entry.index, entry.id)).collect();
    let entries = follower.records().iter().filter(|logged| {
        matches!(logged.signed.body(), writ_proto::record::Body::Access(_)) && logged.outcome == Outcome::Accepted
    });
    let expected: Vec<(u64, RecordId)> = entries.map(|logged| (logged.index, logged.signed.id())).collect();
    let differs = listed.iter().zip(&expected).position(|(one, other)| one != other);
    assert!(
        differs.is_none() && listed.len() == expected.len(),
        "the log has {} entries, {} are listed; the first that differs is at {differs:?}",
        expected.len(),
        listed.len()
    );
}
