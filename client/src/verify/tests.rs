use proptest::prelude::*;
use writ_proto::api::{RecordStatus, Tuple, to_base64};
use writ_proto::checkpoint::Cosignature;
use writ_proto::key::SecretKey;
use writ_proto::merkle::MemoryTree;
use writ_proto::record::{Body, EnrolledKey, Nonce, Statement, ValidatorKeys};
use writ_proto::time::LedgerTime;

use super::*;

fn record(n: u8) -> Signed {
    record_by(n, 1_000)
}

fn record_by(n: u8, submit_by: u64) -> Signed {
    let tuple = Tuple { sub: "alice".into(), obj: "file:x".into(), ..Tuple::default() };
    let statement = Statement {
        chain: Digest([1; 32]),
        authority: "org1".parse().unwrap(),
        nonce: Nonce([n; 16]),
        body: Body::Access(tuple.to_access().unwrap()),
        submit_by: LedgerTime::from_millis(submit_by).ok(),
    };
    statement.sign(&[&SecretKey::from_seed(&[7; 32])]).unwrap()
}

/// A log of these records.
fn tree(records: &[Signed]) -> MemoryTree {
    records.iter().map(|record| merkle::leaf_hash(record.bytes())).collect()
}

fn texts(hashes: &[Digest]) -> Vec<String> {
    hashes.iter().map(|hash| to_base64(&hash.0)).collect()
}

fn receipt(records: &[Signed], index: u64) -> Receipt {
    let tree = tree(records);
    let place = Place {
        index,
        height: 3,
        position: "3.0123456789abcdef".into(),
        log_size: tree.size(),
        log_root: to_base64(&tree.root().0),
        inclusion: texts(&merkle::prove_inclusion(&tree, index, tree.size()).unwrap()),
        checkpoint: None,
        checkpoint_inclusion: None,
    };
    let id = records[index as usize].id();
    let (status, duplicate) = (RecordStatus::Committed, false);
    Receipt {
        id,
        status,
        duplicate,
        place: Some(place),
        code: None,
        field: None,
        detail: None,
        entry: None,
        entries: Vec::new(),
        record: None,
    }
}

fn log() -> Vec<Signed> {
    (0..7).map(record).collect()
}

#[test]
fn a_receipt_proves_that_the_record_is_in_the_log() {
    let log = log();
    for index in 0..7 {
        let view = check_receipt(&log[index as usize], &receipt(&log, index)).unwrap();
        assert_eq!(view, Some(View { size: 7, root: tree(&log).root() }));
    }
}

#[test]
fn a_receipt_that_does_not_is_refused() {
    let log = log();
    let good = receipt(&log, 2);
    let with = |change: &dyn Fn(&mut Place)| {
        let mut receipt = good.clone();
        change(receipt.place.as_mut().unwrap());
        check_receipt(&log[2], &receipt).unwrap_err()
    };
    let other = to_base64(&[9; 32]);
    assert!(matches!(check_receipt(&log[3], &good), Err(ProofFault::OtherRecord { .. })));
    assert!(matches!(with(&|place| place.index = 3), ProofFault::Proof(_)));
    assert!(matches!(with(&|place| place.log_size = 99), ProofFault::Proof(_)));
    assert!(matches!(with(&|place| place.log_root = other.clone()), ProofFault::Proof(_)));
    assert!(matches!(with(&|place| place.inclusion[0] = other.clone()), ProofFault::Proof(_)));
    assert!(matches!(with(&|place| place.inclusion.push(other.clone())), ProofFault::Proof(_)));
    assert!(matches!(with(&|place| drop(place.inclusion.pop())), ProofFault::Proof(_)));
    assert_eq!(with(&|place| place.log_root = "?".into()), ProofFault::Unreadable { member: "log_root" });
    assert_eq!(with(&|place| place.inclusion = vec!["AAAA".into()]), ProofFault::Unreadable { member: "inclusion" });
    assert_eq!(
        with(&|place| place.inclusion = vec![other.clone(); 99]),
        ProofFault::Unreadable { member: "inclusion" }
    );
    assert_eq!(with(&|place| place.position = "3".into()), ProofFault::Unreadable { member: "position" });
    assert_eq!(with(&|place| place.height = 4), ProofFault::Position { found: 3, expected: 4 });
    let placeless = Receipt { place: None, ..good.clone() };
    assert_eq!(check_receipt(&log[2], &placeless), Err(ProofFault::NoPlace));
    let pending = Receipt { status: RecordStatus::Pending, ..placeless };
    assert_eq!(check_receipt(&log[2], &pending), Ok(None));
}

/// The validators of a chain, with the checkpoint keys of these seeds.
fn cosigners(seeds: [u8; 4]) -> Cosigners {
    let enrolled = |n: u8| {
        let key = SecretKey::from_seed(&[n; 32]);
        EnrolledKey { key: key.public(), possession: key.prove_possession(&Digest::ZERO) }
    };
    let validator = |n: u8| ValidatorKeys {
        name: format!("v{n}").parse().unwrap(),
        vote: enrolled(100 + n),
        checkpoint: enrolled(n),
    };
    Cosigners::of("ledger.example/main", &seeds.map(validator))
}

/// A receipt with a checkpoint of the whole log, signed by the validators of these seeds.
fn with_checkpoint(records: &[Signed], later: &[Signed], index: u64, seeds: &[u8]) -> Place {
    let (all, mut place) = ([records, later].concat(), receipt(records, index).place.unwrap());
    let tree = tree(&all);
    let checkpoint = Checkpoint { origin: "ledger.example/main".into(), size: tree.size(), root: tree.root() };
    let sign = |n: &u8| Cosignature::sign(&checkpoint, 9, &SecretKey::from_seed(&[*n; 32]), 1_800_000_000);
    let signed: Vec<_> = seeds.iter().map(sign).collect();
    // Made by those who trust the signers; who reads it may trust others.
    place.checkpoint = cosigners([1, 2, 3, 4]).assemble(&checkpoint, &signed);
    place.checkpoint_inclusion = Some(texts(&merkle::prove_inclusion(&tree, index, tree.size()).unwrap()));
    place
}

#[test]
fn a_checkpoint_in_a_receipt_is_held_against_the_validators_and_the_record() {
    let (log, later) = (log(), [record(20), record(21)]);
    let bytes = log[2].bytes();
    let good = with_checkpoint(&log, &later, 2, &[1, 2, 3]);
    let trusted = cosigners([1, 2, 3, 4]);
    let whole = tree(&[&log[..], &later].concat());
    let view = View { size: 9, root: whole.root() };
    assert_eq!(check_checkpoint(bytes, &good, &trusted), Ok(Some(view)));
    assert_eq!(check_place(bytes, &good).unwrap().size, 7);
    assert_eq!(check_checkpoint(bytes, &receipt(&log, 2).place.unwrap(), &trusted), Ok(None));

    let with = |change: &dyn Fn(&mut Place)| {
        let mut place = good.clone();
        change(&mut place);
        place
    };
    let proof = |place: &mut Place| place.checkpoint_inclusion.as_mut().unwrap().swap(0, 1);
    let other_log = with_checkpoint(&log, &later, 3, &[1, 2, 3]).checkpoint_inclusion;
    let forged =
        with(&|place| place.checkpoint = place.checkpoint.as_ref().map(|note| note.replacen("\n9\n", "\n8\n", 1)));
    for (case, place) in [
        ("a proof in another order", with(&proof)),
        ("a proof of another record", with(&|place| place.checkpoint_inclusion = other_log.clone())),
        ("no proof", with(&|place| place.checkpoint_inclusion = None)),
        ("another size", forged),
        ("no note", with(&|place| place.checkpoint = Some("x".into()))),
    ] {
        assert!(check_checkpoint(bytes, &place, &trusted).is_err(), "{case}");
        assert!(check_place(bytes, &place).is_err(), "{case}: also for who knows no validator");
    }
    // Whom one trusts matters, and how many they are.
    let strangers = check_checkpoint(bytes, &good, &cosigners([1, 2, 8, 9]));
    assert!(matches!(strangers, Err(ProofFault::Checkpoint(NoteError::NoQuorum { found: 2, quorum: 3 }))));
    let elsewhere = Cosigners::from_policy(&trusted.to_policy().replace("validators 3", "validators 4")).unwrap();
    assert!(check_checkpoint(bytes, &good, &elsewhere).is_err());
    let with_record = Receipt { record: Some(to_base64(bytes)), place: Some(good), ..receipt(&log, 2) };
    assert_eq!(check_receipt_checkpoint(&log[2], &with_record, &trusted), Ok(Some(view)));
}

#[test]
fn a_duplicate_may_stand_there_as_it_was_signed_before() {
    let mut log = log();
    log[4] = record_by(4, 500);
    let again = record_by(4, 2_000);
    assert_eq!(again.id(), log[4].id());
    let without = receipt(&log, 4);
    assert!(matches!(check_receipt(&again, &without), Err(ProofFault::Proof(_))));
    let with = Receipt { record: Some(to_base64(log[4].bytes())), ..without.clone() };
    assert!(check_receipt(&again, &with).is_ok());
    let foreign = Receipt { record: Some(to_base64(log[5].bytes())), ..without };
    assert!(matches!(check_receipt(&again, &foreign), Err(ProofFault::OtherRecord { .. })));
}

#[test]
fn a_record_that_was_asked_for_comes_with_its_bytes() {
    let log = log();
    let full = Receipt { record: Some(to_base64(log[2].bytes())), ..receipt(&log, 2) };
    let (signed, view) = check_record(log[2].id(), &full).unwrap().unwrap();
    assert_eq!((signed.bytes(), view.size), (log[2].bytes(), 7));
    assert!(matches!(check_record(log[3].id(), &full), Err(ProofFault::OtherRecord { .. })));
    assert_eq!(check_record(log[2].id(), &receipt(&log, 2)), Err(ProofFault::Unreadable { member: "record" }));
}

#[test]
fn an_inclusion_answer_is_checked_by_our_own_leaf_hash() {
    let log = log();
    let tree = tree(&log);
    let answer = |index: u64| InclusionAnswer {
        id: log[2].id(),
        index,
        size: 7,
        leaf_hash: to_base64(&merkle::leaf_hash(log[index as usize].bytes()).0),
        root: to_base64(&tree.root().0),
        proof: texts(&merkle::prove_inclusion(&tree, index, 7).unwrap()),
    };
    assert!(check_inclusion(&log[2], &answer(2)).is_ok());
    // A good proof of another leaf, with that leaf's hash beside it.
    assert!(matches!(check_inclusion(&log[2], &answer(3)), Err(ProofFault::Proof(_))));
}

#[test]
fn growth_is_proved_for_the_sizes_and_roots_that_we_saw() {
    let log = log();
    let tree = tree(&log);
    let view = |size| View { size, root: merkle::root_at(&tree, size).unwrap() };
    let answer = ConsistencyAnswer {
        from: 3,
        to: 7,
        from_root: to_base64(&view(3).root.0),
        to_root: to_base64(&view(7).root.0),
        proof: texts(&merkle::prove_consistency(&tree, 3, 7).unwrap()),
    };
    assert_eq!(check_consistency(view(3), view(7), &answer), Ok(()));
    assert!(matches!(check_consistency(view(2), view(7), &answer), Err(ProofFault::OtherSizes { .. })));
    let forged = View { root: Digest([9; 32]), ..view(3) };
    assert!(matches!(check_consistency(forged, view(7), &answer), Err(ProofFault::Proof(_))));
}

proptest! {
    /// No other place in the log, and no other record, has the same proof.
    #[test]
    fn a_receipt_fits_one_record_at_one_place(index in 0..7_u64, claimed in 0..7_u64, which in 0..7_usize) {
        let log = log();
        let mut receipt = receipt(&log, index);
        receipt.id = log[which].id();
        receipt.place.as_mut().unwrap().index = claimed;
        let fits = check_receipt(&log[which], &receipt).is_ok();
        prop_assert_eq!(fits, claimed == index && which as u64 == index);
    }
}
