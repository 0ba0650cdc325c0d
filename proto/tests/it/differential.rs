//! The real evaluator and the naive one give one answer, on random ledgers and random questions.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use writ_proto::decision::Why;

use crate::ledgers::{Asker, script};

const QUESTIONS: u64 = 100;

/// 1,000 ledgers, or as many as `WRIT_LEDGERS` says; from seed `WRIT_SEED` on.
#[test]
fn the_naive_evaluator_agrees_on_random_ledgers() {
    let number = |name: &str, default| match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is `{text}`, expected a number")),
        Err(_) => default,
    };
    let (ledgers, first) = (number("WRIT_LEDGERS", 1_000), number("WRIT_SEED", 0));
    let next = AtomicU64::new(first);
    let tally = Mutex::new(BTreeMap::<&str, u64>::new());
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed - first >= ledgers {
                        break;
                    }
                    let counts = one_ledger(seed);
                    let mut tally = tally.lock().expect("no other thread has failed");
                    for (what, count) in counts {
                        *tally.entry(what).or_default() += count;
                    }
                }
            });
        }
    });
    let tally = tally.into_inner().expect("no thread has failed");
    println!("{ledgers} ledgers from seed {first}, {QUESTIONS} questions each: {tally:?}");
    assert_eq!(tally.values().sum::<u64>(), ledgers * QUESTIONS);
    // A generator that never comes to an answer proves nothing about it.
    for why in [Why::Grant, Why::Deny, Why::NoMatch, Why::Indeterminate] {
        let count = tally.get(why.as_str()).copied().unwrap_or(0);
        assert!(ledgers < 100 || count * 50 > ledgers * QUESTIONS, "only {count} answers `{}`", why.as_str());
    }
}

fn one_ledger(seed: u64) -> BTreeMap<&'static str, u64> {
    let chain = script(seed).run();
    let mut asker = Asker::new(seed, &chain);
    let mut tally = BTreeMap::new();
    for _ in 0..QUESTIONS {
        let (question, moment) = (asker.question(), asker.moment(&chain));
        match chain.both(&question, &moment) {
            Ok(decision) => *tally.entry(decision.why.as_str()).or_default() += 1,
            Err(difference) => panic!("seed {seed}\n{}", difference.0),
        }
    }
    tally
}
