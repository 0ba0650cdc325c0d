//! Cases for the pool.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

use writ_proto::record::{Body, Effect, Nonce, Revoke, Statement};

use super::*;
use crate::storage::sample::{START_MS, Sample};

fn at(ms: u64) -> LedgerTime {
    LedgerTime::from_millis(START_MS + ms).unwrap()
}

fn grant(sample: &mut Sample) -> Verified {
    let signed = sample.grant();
    sample.state.verify(signed).unwrap()
}

/// The revocation of a grant that is not there yet: restrictive.
fn revocation(sample: &Sample, n: u8) -> Verified {
    let body = Body::Revoke(Revoke { target: RecordId(writ_proto::hash::Digest([n; 32])), effect: Effect::Grant });
    let authority = "org1".parse().unwrap();
    let statement = Statement { chain: sample.chain(), authority, nonce: Nonce([n; 16]), body, submit_by: None };
    let key = writ_proto::key::SecretKey::from_seed(&[1; 32]);
    sample.state.verify(statement.sign(&[&key]).unwrap()).unwrap()
}

fn ids(records: &[Verified]) -> Vec<RecordId> {
    records.iter().map(Verified::id).collect()
}

#[test]
fn what_takes_access_away_goes_first_and_each_lane_keeps_its_order() {
    let mut sample = Sample::new("pool");
    let mut pool = Mempool::new(PoolLimits::default(), 1);
    let (a, b) = (grant(&mut sample), grant(&mut sample));
    let (x, y) = (revocation(&sample, 1), revocation(&sample, 2));
    for record in [&a, &y, &b, &x, &a] {
        pool.insert(record.clone(), 0).unwrap();
    }
    assert_eq!(ids(&pool.candidates(at(0), 9)), ids(&[y.clone(), x, a, b]));
    assert_eq!(ids(&pool.candidates(at(0), 1)), ids(&[y]));
    assert_eq!(pool.len(), 4);
}

#[test]
fn a_full_pool_refuses_the_newcomer_and_drops_nobody() {
    let mut sample = Sample::new("pool");
    let (a, b, c) = (grant(&mut sample), grant(&mut sample), grant(&mut sample));
    let mut pool = Mempool::new(PoolLimits { records_max: 2, bytes_max: 1 << 20 }, 1);
    assert_eq!([&a, &b, &c].map(|record| pool.insert(record.clone(), 0)), [Ok(()), Ok(()), Err(Full)]);
    assert_eq!(pool.insert(a.clone(), 0), Ok(()), "one that waits already needs no room");
    pool.settle([&a.id()]);
    assert_eq!(pool.insert(c.clone(), 0), Ok(()));
    assert_eq!(ids(&pool.candidates(at(0), 9)), ids(&[b.clone(), c]));

    let len = a.signed().bytes().len();
    let mut narrow = Mempool::new(PoolLimits { records_max: 9, bytes_max: 2 * len }, 1);
    assert_eq!([&a, &b].map(|record| narrow.insert(record.clone(), 0)), [Ok(()), Ok(())]);
    assert_eq!(narrow.bytes(), 2 * len);
    assert_eq!(narrow.insert(grant(&mut sample), 0), Err(Full));
}

#[test]
fn past_its_submit_by_a_record_is_not_proposed_and_a_later_block_refuses_it() {
    let mut sample = Sample::new("pool");
    let mut pool = Mempool::new(PoolLimits::default(), 1);
    let (record, restrictive) = (grant(&mut sample), revocation(&sample, 1));
    pool.insert(record.clone(), 0).unwrap();
    // The sample's grants are to be submitted within a minute.
    assert!(pool.has_candidates(at(60_000)));
    assert!(!pool.has_candidates(at(60_001)));
    pool.insert(restrictive.clone(), 0).unwrap();
    assert_eq!(ids(&pool.candidates(at(60_001), 9)), [restrictive.id()]);
    assert!(pool.refuse_expired(at(60_000)).is_empty());
    let refused = pool.refuse_expired(at(60_001));
    assert_eq!(refused.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [record.id()]);
    assert_eq!(pool.refusal(&record.id()).unwrap().code, Code::ExpiredSubmission);
    assert!(pool.get(&record.id()).is_none() && pool.get(&restrictive.id()).is_some());
    pool.insert(record.clone(), 0).unwrap();
    assert!(pool.refusal(&record.id()).is_none(), "signed anew it waits again");
}

#[test]
fn a_refusal_of_what_does_not_wait_is_not_remembered() {
    let mut sample = Sample::new("pool");
    let mut pool = Mempool::new(PoolLimits::default(), 1);
    let record = grant(&mut sample);
    pool.refuse(record.id(), Refusal::whole(Code::Conflict, "no"));
    assert!(pool.refusal(&record.id()).is_none());
}

#[test]
fn who_floods_leaves_every_other_root_its_share() {
    let mut sample = Sample::new("pool");
    let mut pool = Mempool::new(PoolLimits { records_max: 16, bytes_max: 1 << 20 }, 4);
    let mut taken = 0;
    while pool.insert(grant(&mut sample), 0).is_ok() {
        taken += 1;
    }
    assert_eq!(taken, 8 + 2, "the common half and the own share");
    for root in 1..4 {
        let got: Vec<_> = (0..3).map(|_| pool.insert(grant(&mut sample), root)).collect();
        assert_eq!(got, [Ok(()), Ok(()), Err(Full)], "root {root}");
    }
    assert_eq!(pool.len(), 16);
    let one = pool.candidates(at(0), 1)[0].id();
    pool.settle([&one]);
    assert_eq!(pool.insert(grant(&mut sample), 1), Ok(()), "what the flooder leaves is common again");
    assert_eq!(pool.insert(grant(&mut sample), 0), Err(Full));
}

#[test]
fn bytes_have_shares_too() {
    let mut sample = Sample::new("pool");
    let len = grant(&mut sample).signed().bytes().len();
    let mut pool = Mempool::new(PoolLimits { records_max: 1000, bytes_max: 8 * len + 64 }, 2);
    let fits = |pool: &mut Mempool, sample: &mut Sample, root| pool.insert(grant(sample), root).is_ok();
    let first = (0..8).filter(|_| fits(&mut pool, &mut sample, 0)).count();
    let second = (0..8).filter(|_| fits(&mut pool, &mut sample, 1)).count();
    assert_eq!((first, second), (6, 2));
}

#[test]
fn what_waited_through_a_block_lingers_and_what_is_settled_is_not_refused() {
    let mut sample = Sample::new("pool");
    let mut pool = Mempool::new(PoolLimits::default(), 1);
    let (old, new, restrictive) = (grant(&mut sample), grant(&mut sample), revocation(&sample, 1));
    pool.insert(old.clone(), 0).unwrap();
    pool.insert(restrictive, 0).unwrap();
    assert!(pool.lingering(9).is_empty());
    pool.mark_block();
    pool.insert(new, 0).unwrap();
    assert_eq!(ids(&pool.lingering(9)), [old.id()]);
    pool.refuse(old.id(), Refusal::whole(Code::Conflict, "no"));
    assert!(pool.lingering(9).is_empty());
    pool.settle([&old.id()]);
    assert!(pool.refusal(&old.id()).is_none(), "another node had it in a block");
}

#[test]
fn only_what_has_waited_is_told_to_peers() {
    let mut sample = Sample::new("pool");
    let mut pool = Mempool::new(PoolLimits::default(), 1);
    let record = grant(&mut sample);
    pool.insert(record.clone(), 0).unwrap();
    assert_eq!(pool.aged(Duration::from_secs(3600), at(0)).count(), 0);
    assert_eq!(pool.aged(Duration::ZERO, at(0)).collect::<Vec<_>>(), [&record.id()]);
    assert_eq!(pool.aged(Duration::ZERO, at(60_001)).count(), 0, "past its time");
}
