//! Exports made here, read ahead under every kind of trouble, against the audit that looks at nothing ahead.

use writ_proto::audit::{ExportAuditor, Part};
use writ_proto::certificate::{Certificate, Vote, VoteKind};
use writ_proto::codec::Blob;
use writ_proto::export::{End, START, Writer};
use writ_proto::genesis::{Genesis, PROTOCOL, Parameters, RootAuthority};
use writ_proto::hash::Domain;
use writ_proto::key::SecretKey;
use writ_proto::record::{EnrolledKey, Nonce, ValidatorKeys};
use writ_proto::scope::Scope;
use writ_proto::state::State;
use writ_proto::time::LedgerTime;

use super::*;
use crate::author::Author;

fn key(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

fn enrolled(n: u8) -> EnrolledKey {
    EnrolledKey { key: key(n).public(), possession: key(n).prove_possession(&Digest::ZERO) }
}

fn at(second: u64) -> LedgerTime {
    LedgerTime::from_millis(1_800_000_000_000 + second * 1000).unwrap()
}

fn genesis() -> Genesis {
    let validator = ValidatorKeys { name: "v".parse().unwrap(), vote: enrolled(8), checkpoint: enrolled(9) };
    Genesis {
        protocol: PROTOCOL,
        chain: "ledger.example/ahead".into(),
        time: at(0),
        parameters: Parameters::default(),
        authorities: [("org1", 1), ("org2", 2)]
            .map(|(name, n)| RootAuthority {
                name: name.parse().unwrap(),
                keys: vec![enrolled(n)],
                threshold: 1,
                scope: Scope::everything(),
            })
            .into(),
        root_quorum: 1,
        validators: vec![validator],
    }
}

/// An export with blocks of so many records.
fn export(blocks: &[usize]) -> Vec<u8> {
    let genesis = genesis();
    let mut state = State::new(genesis.clone()).unwrap();
    let author = Author::new(&genesis, "org1".parse().unwrap(), key(1));
    let mut writer = Writer::new();
    let mut bytes = writer.header(&genesis);
    let mut made: u64 = 0;
    for (height, count) in (1..).zip(blocks) {
        let time = at(height);
        let grant = |n: u64| {
            let tuple = writ_proto::api::Tuple { sub: format!("u{n}"), obj: "file:x".into(), ..Default::default() };
            let mut nonce = [0; 16];
            nonce[..8].copy_from_slice(&n.to_le_bytes());
            let signed = author.sign(Nonce(nonce), Body::Access(tuple.to_access().unwrap()), time).unwrap();
            state.verify(signed).unwrap()
        };
        let records: Vec<_> = (made..made + *count as u64).map(grant).collect();
        made += *count as u64;
        let voter = key(8).public().id();
        let built = state.build(time, voter, records).unwrap();
        let block = built.block.header.hash();
        let vote = Vote { kind: VoteKind::Precommit, height, round: 0, value: Some(block), voter };
        let signature = key(8).sign_in(Domain::Vote, &vote.signed_bytes(state.chain()));
        let certificate = Certificate { height, round: 0, block, signatures: vec![(voter, signature)] };
        bytes.extend(writer.frame(&Frame { block: Blob(built.block.encode()), certificate }));
        state.commit(built.changes);
    }
    bytes.extend(writer.trailer(End::of(&state)));
    bytes
}

fn ahead(bytes: &[u8], is_new_circle: impl Fn(&Changes) -> bool) -> (Result<Report, Finding>, Vec<u64>) {
    let mut heights = Vec::new();
    let audited = audit(bytes, None, |block, _| heights.push(block.height), is_new_circle);
    let audited = audited.map_err(|fault| match fault {
        Fault::Finding(finding) => finding,
        Fault::Io(error) => panic!("{error}"),
    });
    (audited, heights)
}

/// The audit in proto, block after block on one core.
fn plain(bytes: &[u8]) -> (Result<Report, Finding>, Vec<u64>) {
    let mut heights = Vec::new();
    let mut auditor = ExportAuditor::new(None);
    let pushed = auditor.push(bytes, |block| heights.push(block.height));
    (pushed.and_then(|()| auditor.finish()).map(|audited| audited.report), heights)
}

#[test]
fn a_good_export_is_good_whether_or_not_the_circle_of_trust_changes() {
    let bytes = export(&[1, 300, 0, 129, 128, 1, 1, 1, 40]);
    let want = plain(&bytes);
    assert_eq!(want.0.as_ref().unwrap().totals.records, 601);
    for (what, is_new) in [("never", 0), ("always", 1), ("now and then", 3)] {
        let is_new = |changes: &Changes| changes.leaf.header.height.is_multiple_of(is_new);
        assert_eq!(ahead(&bytes, is_new), want, "{what}");
    }
}

#[test]
fn what_is_found_is_what_is_found_without_looking_ahead() {
    let good = export(&[2, 130, 3, 1]);
    let step = (good.len() / 48).max(1);
    let mut parts = std::collections::BTreeSet::new();
    for place in (START.len()..good.len()).step_by(step) {
        let mut bytes = good.clone();
        bytes[place] ^= 0x10;
        let want = plain(&bytes);
        parts.insert(want.0.as_ref().unwrap_err().part.as_str());
        assert_eq!(ahead(&bytes, changes_circle), want, "byte {place}");
        assert_eq!(ahead(&bytes, |_| true), want, "byte {place}, with a circle that changes");
        let cut = &good[..place];
        assert_eq!(ahead(cut, changes_circle), plain(cut), "cut to {place}");
    }
    for part in [Part::Record(0), Part::Trailer] {
        assert!(parts.contains(part.as_str()), "{parts:?}");
    }
}

#[test]
fn a_checker_answers_what_the_state_answers() {
    let state = State::new(genesis()).unwrap();
    let checker = Checker::of(state.clone());
    let record = |authority: &str, n: u8| {
        let author = Author::new(&genesis(), authority.parse().unwrap(), key(n));
        let tuple = writ_proto::api::Tuple { sub: "a".into(), obj: "b".into(), ..Default::default() };
        author.sign(Nonce([1; 16]), Body::Access(tuple.to_access().unwrap()), at(1)).unwrap().bytes().to_vec()
    };
    let good = record("org1", 1);
    assert!(checker.record(&good).is_ok());
    // Keys of another authority and of none, an authority that is not there, another byte anywhere.
    let mut others = vec![record("org2", 2), record("org1", 2), record("org1", 7), record("org3", 1), Vec::new()];
    others.extend((0..good.len()).map(|place| {
        let mut changed = good.clone();
        changed[place] ^= 1;
        changed
    }));
    for (n, bytes) in others.iter().enumerate() {
        let (one, other) = (checker.record(bytes), writ_proto::audit::verify_record(&state, bytes));
        assert_eq!(one.is_ok(), n == 0, "{n}");
        assert_eq!(one.map(|record| record.id()), other.map(|record| record.id()), "{n}");
    }
}

#[test]
fn what_was_checked_under_an_older_circle_of_trust_does_not_count() {
    let genesis = genesis();
    let state = State::new(genesis.clone()).unwrap();
    let author = Author::new(&genesis, "org1".parse().unwrap(), key(1));
    let tuple = writ_proto::api::Tuple { sub: "a".into(), obj: "b".into(), ..Default::default() };
    let signed = author.sign(Nonce([1; 16]), Body::Access(tuple.to_access().unwrap()), at(1)).unwrap();
    let header = state.build(at(1), key(8).public().id(), Vec::new()).unwrap().block.header;
    let block = Block { header, records: vec![Blob(signed.bytes().to_vec())] };
    for (checked_under, now, counts) in [(0, 0, true), (0, 1, false), (1, 0, false), (2, 2, true)] {
        let (sender, receiver) = channel();
        let records = Some(vec![state.verify(signed.clone()).unwrap()]);
        sender.send(Checked { share: 0, generation: checked_under, records }).unwrap();
        assert_eq!(in_order(&block, receiver, now).is_some(), counts, "{checked_under} {now}");
    }
    let (sender, receiver) = channel();
    sender.send(Checked { share: 0, generation: 0, records: None }).unwrap();
    assert!(in_order(&block, receiver, 0).is_none(), "a share with a fault is looked at again");
}

#[test]
fn a_file_that_cannot_be_read_says_so_after_the_blocks_before() {
    struct Breaks<'a>(&'a [u8]);
    impl Read for Breaks<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() { Err(io::Error::other("the disk is gone")) } else { self.0.read(into) }
        }
    }
    let bytes = export(&[200, 1]);
    let cut = bytes.len() - 10;
    let mut heights = Vec::new();
    let fault = audit(Breaks(&bytes[..cut]), None, |block, _| heights.push(block.height), changes_circle);
    assert!(matches!(fault, Err(Fault::Io(_))));
    assert_eq!(heights, [1, 2]);
}
