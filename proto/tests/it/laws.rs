//! What must be true of decisions whatever the log says, on random ledgers.
//!
//! A law compares two logs, or two questions, so it also holds evaluators to account that would be wrong
//! in the same way. Every answer here comes from the real evaluator.

use std::collections::{BTreeMap, BTreeSet};

use writ_proto::decision::{Decision, Moment, Question, Why};
use writ_proto::record::{Access, Body, Effect, RecordId, Revoke, SetMember, Signed};
use writ_proto::time::{Interval, LedgerTime};

use crate::chain::{Chain, ROOTS, revoke, sign, time, words_of};
use crate::ledgers::{Asker, Random, Script, entries_of, script, script_without_sets};

const LEDGERS: u64 = 150;
const QUESTIONS: u64 = 40;

/// For each of many ledgers: its script and seed.
fn for_each_ledger(mut law: impl FnMut(u64, Script)) {
    for seed in 0..LEDGERS {
        // Other ledgers than those of the differential test.
        law(seed, script(0x1a35_0000 + seed));
    }
}

/// The same, of ledgers without sets: what a set may hold depends on what stands before it.
fn for_each_ledger_without_sets(mut law: impl FnMut(u64, Script)) {
    for seed in 0..LEDGERS {
        law(seed, script_without_sets(0x1a35_0000 + seed));
    }
}

/// An answer without what depends on places in the log.
fn meaning(chain: &Chain, decision: &Decision) -> (Why, Option<LedgerTime>, BTreeSet<RecordId>) {
    let is_membership =
        |id: &RecordId| match chain.log.iter().find(|record| record.id == *id).map(|record| &record.says) {
            Some(crate::naive::Says::Access(access)) => access.is_membership(),
            _ => false,
        };
    // Which of several shortest ways is told may depend on the order.
    let entries = decision.ids.iter().filter(|id| !is_membership(id)).copied().collect();
    (decision.why, decision.valid_until, entries)
}

fn assert_same_meaning(seed: u64, question: &Question, moment: &Moment, one: &Chain, other: &Chain) {
    let (here, there) = (one.real(question, moment), other.real(question, moment));
    if meaning(one, &here) != meaning(other, &there) {
        let asked = words_of(question, moment);
        panic!("seed {seed}: {asked}\n{}{here:?}\n\n{}{there:?}", one.words(), other.words());
    }
}

/// Lifts behind all else, since the lift of a denial does not wait for its target.
fn lifts_last(records: &[Signed]) -> (Vec<Signed>, Vec<Signed>) {
    let is_lift = |record: &&Signed| matches!(record.body(), Body::Revoke(Revoke { effect: Effect::Deny, .. }));
    records.iter().cloned().partition(|record| !is_lift(&record))
}

#[test]
fn the_order_of_records_in_a_block_never_matters() {
    for_each_ledger_without_sets(|seed, script| {
        let mut random = Random::new(seed);
        let (mut ordered, mut shuffled) = (Chain::new(), Chain::new());
        for (ms, records) in &script.blocks {
            let (mut others, lifts) = lifts_last(records);
            ordered.append(*ms, &[others.clone(), lifts.clone()].concat());
            random.shuffle(&mut others);
            shuffled.append(*ms, &[others, lifts].concat());
        }
        let mut asker = Asker::new(seed, &ordered);
        for _ in 0..QUESTIONS {
            let (question, moment) = (asker.question(), asker.moment(&ordered));
            assert_same_meaning(seed, &question, &moment, &ordered, &shuffled);
        }
    });
}

/// Gives every entry another body; revocations follow their targets.
fn rewrite(script: &Script, mut change: impl FnMut(Access) -> Access) -> Script {
    let mut renewed: BTreeMap<RecordId, Signed> = BTreeMap::new();
    for record in script.blocks.iter().flat_map(|(_, records)| records) {
        if let Body::Access(access) = record.body() {
            let by = record.statement().authority.as_str();
            let renew = || sign(by, nonce_of(record), Body::Access(change(access.clone())));
            renewed.entry(record.id()).or_insert_with(renew);
        }
    }
    let rewritten = |record: &Signed| match record.body() {
        Body::Revoke(Revoke { target, effect }) => {
            let by = record.statement().authority.as_str();
            // Some targets never come.
            sign(by, nonce_of(record), revoke(renewed.get(target).map_or(*target, Signed::id), *effect))
        }
        _ => renewed[&record.id()].clone(),
    };
    let blocks = script.blocks.iter().map(|(ms, records)| (*ms, records.iter().map(rewritten).collect()));
    Script { blocks: blocks.collect() }
}

fn nonce_of(record: &Signed) -> u64 {
    let bytes = record.statement().nonce.0;
    bytes[..8].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// What starts only after the last block is the same whether it came in one block or in many.
#[test]
fn how_records_are_cut_into_blocks_does_not_matter_to_what_starts_later() {
    let mut compared = 0;
    for_each_ledger_without_sets(|seed, script| {
        let end = script.blocks.last().map_or(0, |(ms, _)| *ms);
        let mut random = Random::new(seed);
        let later = rewrite(&script, |mut access| {
            let start = end + 1 + random.below(20);
            access.exp = access.exp.map(|exp| time(start + 1 + exp.as_millis() % 15));
            access.iss = Some(time(start));
            access
        });
        let many = later.run();
        let mut one = Chain::new();
        let (others, lifts) =
            lifts_last(&later.blocks.iter().flat_map(|(_, records)| records.clone()).collect::<Vec<_>>());
        one.append(end, &[others, lifts].concat());
        // A lift that came before its denial is refused among many blocks, and works in one.
        let accepted = |chain: &Chain| chain.log.iter().map(|record| record.id).collect::<BTreeSet<_>>();
        if accepted(&many) != accepted(&one) {
            return;
        }
        compared += 1;
        let mut asker = Asker::new(seed, &many);
        for _ in 0..QUESTIONS {
            let (question, now) = (asker.question(), asker.now(&many));
            let moment = Moment { height: u64::MAX, ..now };
            assert_same_meaning(seed, &question, &moment, &many, &one);
        }
    });
    assert!(compared > LEDGERS / 2, "only {compared} ledgers could be compared");
}

#[test]
fn repetition_never_matters() {
    for_each_ledger_without_sets(|seed, script| {
        let (mut chain, mut repeated) = (Chain::new(), Chain::new());
        let mut copies: BTreeMap<RecordId, RecordId> = BTreeMap::new();
        for record in script.blocks.iter().flat_map(|(_, records)| records) {
            if let Body::Access(_) = record.body() {
                copies.insert(record.id(), copy(record, record.body().clone()).id());
            }
        }
        // The record itself once more, and its statement as another record.
        let twice = |record: Signed| {
            let body = match record.body() {
                Body::Revoke(Revoke { target, effect }) => {
                    // Some targets never come.
                    revoke(copies.get(target).copied().unwrap_or(*target), *effect)
                }
                other => other.clone(),
            };
            [record.clone(), record.clone(), copy(&record, body)]
        };
        for (ms, records) in &script.blocks {
            let (others, lifts) = lifts_last(records);
            let records = [others, lifts].concat();
            chain.append(*ms, &records);
            let (others, lifts) = lifts_last(&records.into_iter().flat_map(twice).collect::<Vec<_>>());
            repeated.append(*ms, &[others, lifts].concat());
        }
        assert_eq!(repeated.log.len(), 2 * chain.log.len());
        let mut asker = Asker::new(seed, &chain);
        for _ in 0..QUESTIONS {
            let (question, moment) = (asker.question(), asker.moment(&chain));
            let (once, twice) = (chain.real(&question, &moment), repeated.real(&question, &moment));
            assert_eq!((once.why, once.valid_until), (twice.why, twice.valid_until), "seed {seed}");
        }
    });
}

/// The same statement as a record of its own, or one like it.
fn copy(record: &Signed, body: Body) -> Signed {
    sign(record.statement().authority.as_str(), nonce_of(record) + 1_000_000, body)
}

#[test]
fn for_a_fixed_set_of_grants_more_denials_never_turn_a_denial_into_a_grant() {
    let mut taken = 0;
    for_each_ledger_without_sets(|seed, script| {
        let chain = script.run();
        let mut more = Chain::new();
        for (ms, records) in &script.blocks {
            // More denials: new ones, and old ones that are not lifted.
            let (mut records, _) = lifts_last(records);
            let new = entries_of(seed ^ *ms, 6).into_iter().map(|record| copy(&record, record.body().clone()));
            records.extend(
                new.filter(|record| matches!(record.body(), Body::Access(access) if access.effect == Effect::Deny)),
            );
            more.append(*ms, &records);
        }
        let mut asker = Asker::new(seed, &chain);
        for _ in 0..QUESTIONS {
            let (question, moment) = (asker.question(), asker.moment(&chain));
            let (before, after) = (chain.real(&question, &moment), more.real(&question, &moment));
            let asked = words_of(&question, &moment);
            assert!(
                before.is_granted() || !after.is_granted(),
                "seed {seed}: {asked}\n{}{}",
                chain.words(),
                more.words()
            );
            taken += u64::from(before.is_granted() && !after.is_granted());
        }
    });
    assert!(taken > 50, "only {taken} grants were taken away: too few denials to learn from");
}

#[test]
fn before_valid_until_time_alone_changes_nothing() {
    let mut later = 0;
    for_each_ledger(|seed, script| {
        let chain = script.run();
        let mut asker = Asker::new(seed, &chain);
        for _ in 0..QUESTIONS {
            let (question, now) = (asker.question(), asker.now(&chain));
            let decision = chain.real(&question, &now);
            let hi = now.interval.hi();
            let end = decision.valid_until.map_or(hi.as_millis() + 1_000_000, LedgerTime::as_millis);
            if end <= hi.as_millis() {
                continue;
            }
            for at in [hi.as_millis(), (hi.as_millis() + end) / 2, end - 1] {
                let at = LedgerTime::from_millis(at).expect("a time of the ledger");
                let moment = Moment { interval: Interval::at(at), ..now };
                let then = chain.real(&question, &moment);
                let asked = words_of(&question, &now);
                assert_eq!(decision, then, "seed {seed}: {asked}, and at {at}\n{}", chain.words());
            }
            later += 1;
        }
    });
    assert!(later > LEDGERS * QUESTIONS / 4, "only {later} answers outlived their interval");
}

#[test]
fn what_is_granted_over_an_interval_is_granted_at_every_instant_of_it() {
    let mut granted = 0;
    for_each_ledger(|seed, script| {
        let chain = script.run();
        let mut asker = Asker::new(seed, &chain);
        for _ in 0..2 * QUESTIONS {
            let (question, one, other) = (asker.question(), asker.instant(), asker.instant());
            let (lo, hi) = (one.min(other), one.max(other));
            let moment = |lo, hi| Moment { interval: Interval::new(lo, hi).expect("in order"), height: chain.height() };
            if !chain.real(&question, &moment(lo, hi)).is_granted() {
                continue;
            }
            granted += 1;
            for at in lo.as_millis()..=hi.as_millis() {
                let at = LedgerTime::from_millis(at).expect("a time of the ledger");
                let asked = words_of(&question, &moment(lo, hi));
                assert!(
                    chain.real(&question, &moment(at, at)).is_granted(),
                    "seed {seed}: {asked}, at {at}\n{}",
                    chain.words()
                );
            }
        }
    });
    assert!(granted > 200, "only {granted} grants over an interval");
}

#[test]
fn expired_and_dead_entries_change_nothing() {
    for_each_ledger_without_sets(|seed, script| {
        let chain = script.run();
        let mut littered = Chain::new();
        for (ms, records) in &script.blocks {
            let mut records = records.clone();
            for (at, dead) in entries_of(!seed ^ *ms, 8).into_iter().enumerate() {
                let Body::Access(mut access) = dead.body().clone() else {
                    continue;
                };
                let ended = at % 2 == 0 && access.effect == Effect::Grant;
                if !ended {
                    (access.iss, access.exp) = (None, Some(time(*ms - at as u64 % 2)));
                }
                let by = ROOTS[at % ROOTS.len()];
                let record = sign(by, 2_000_000 + 1_000 * *ms + at as u64, Body::Access(access));
                let revocation = sign(by, 3_000_000 + 1_000 * *ms + at as u64, revoke(record.id(), Effect::Grant));
                // Half of the revoked ones end before they come.
                match (ended, at % 4) {
                    (false, _) => records.push(record),
                    (true, 0) => records.extend([revocation, record]),
                    (true, _) => records.extend([record, revocation]),
                }
            }
            littered.append(*ms, &records);
        }
        let mut asker = Asker::new(seed, &chain);
        for _ in 0..QUESTIONS {
            let (question, moment) = (asker.question(), asker.moment(&chain));
            assert_same_meaning(seed, &question, &moment, &chain, &littered);
        }
    });
}

#[test]
fn what_was_known_at_a_height_never_changes() {
    for_each_ledger(|seed, script| {
        let mut chain = Chain::new();
        let mut past = vec![chain.clone()];
        for (ms, records) in &script.blocks {
            chain.append(*ms, records);
            past.push(chain.clone());
        }
        let mut asker = Asker::new(seed, &chain);
        for _ in 0..QUESTIONS {
            let (question, moment) = (asker.question(), asker.moment(&chain));
            let height = moment.height.min(chain.height());
            let then = past[height as usize].real(&question, &moment);
            let now = chain.real(&question, &moment);
            // How many keys were looked up is no part of the answer.
            let now = Decision { lookups: then.lookups, ..now };
            assert_eq!(then, now, "seed {seed}: {}\n{}", words_of(&question, &moment), chain.words());
        }
    });
}

/// The members of a set as records of their own, told apart by `nonce`; `renamed` says which targets have another id.
fn unrolled(record: &Signed, nonce: u64, renamed: &BTreeMap<RecordId, RecordId>) -> Vec<Signed> {
    let by = record.statement().authority.as_str();
    let own = |(nonce, member): (u64, &SetMember)| match member {
        SetMember::Access(access) => sign(by, nonce, Body::Access(access.clone())),
        SetMember::Revoke(Revoke { target, effect }) => {
            sign(by, nonce, revoke(renamed.get(target).copied().unwrap_or(*target), *effect))
        }
    };
    let Body::Set(set) = record.body() else { return Vec::new() };
    (nonce..).zip(&set.members).map(own).collect()
}

/// A set is what its members are, one after another, as records of their own.
#[test]
fn a_set_that_is_taken_means_what_its_members_mean() {
    let (mut sets, mut refused) = (0, 0);
    for_each_ledger(|seed, script| {
        let nonce_of_set = |record: &Signed| 5_000_000 + 100 * nonce_of(record);
        // The ids of entries do not depend on those of others, so they can be told before all else.
        let mut renamed: BTreeMap<RecordId, RecordId> = BTreeMap::new();
        for record in script.blocks.iter().flat_map(|(_, records)| records) {
            for (place, own) in (0..).zip(unrolled(record, nonce_of_set(record), &renamed)) {
                renamed.insert(record.id().of_member(place), own.id());
            }
        }
        let (mut whole, mut apart) = (Chain::new(), Chain::new());
        let mut unrolled_before = BTreeSet::new();
        for (ms, records) in &script.blocks {
            whole.append(*ms, records);
            let mut members = Vec::new();
            for record in records {
                match record.body() {
                    Body::Set(_) if whole.log.iter().all(|entry| entry.id != record.id().of_member(0)) => refused += 1,
                    Body::Set(_) if unrolled_before.insert(record.id()) => {
                        sets += 1;
                        members.extend(unrolled(record, nonce_of_set(record), &renamed));
                    }
                    Body::Set(_) => {}
                    Body::Revoke(Revoke { target, effect }) => {
                        let target = renamed.get(target).copied().unwrap_or(*target);
                        let by = record.statement().authority.as_str();
                        members.push(sign(by, nonce_of(record), revoke(target, *effect)));
                    }
                    _ => members.push(record.clone()),
                }
            }
            apart.append(*ms, &members);
        }
        let mut asker = Asker::new(seed, &whole);
        for _ in 0..QUESTIONS {
            let (question, moment) = (asker.question(), asker.moment(&whole));
            let (why, until, ids) = meaning(&whole, &whole.real(&question, &moment));
            let ids = ids.into_iter().map(|id| renamed.get(&id).copied().unwrap_or(id)).collect();
            let there = meaning(&apart, &apart.real(&question, &moment));
            let asked = words_of(&question, &moment);
            let logs = || format!("{}\n{}", whole.words(), apart.words());
            assert_eq!((why, until, ids), there, "seed {seed}: {asked}\n{}", logs());
        }
    });
    assert!(sets > 300 && refused > 30, "{sets} sets were taken, {refused} refused");
}
