use proptest::prelude::*;
use proptest::sample::subsequence;
use writ_proto::hash::Digest;
use writ_proto::record::{Body, Nonce, ValidatorChange};
use writ_proto::time::LedgerTime;

use super::*;

fn key(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

fn statement(nonce: u8) -> Statement {
    Statement {
        chain: Digest([7; 32]),
        authority: "org1".parse().unwrap(),
        nonce: Nonce([nonce; 16]),
        body: Body::Validator(ValidatorChange::Remove(key(9).public().id())),
        submit_by: Some(LedgerTime::from_millis(1_000_000).unwrap()),
    }
}

fn draft(nonce: u8, keys: &[u8]) -> Draft {
    let mut draft = Draft::new(&statement(nonce)).unwrap();
    keys.iter().for_each(|n| assert!(draft.sign(&key(*n)).unwrap()));
    draft
}

#[test]
fn a_draft_becomes_the_record_that_all_would_have_signed_at_once() {
    let keys = [key(5), key(1), key(3)];
    let record = draft(1, &[3, 5, 1]).record().unwrap();
    assert_eq!(record, statement(1).sign(&keys.iter().collect::<Vec<_>>()).unwrap());
    assert_eq!(record.id(), draft(1, &[]).id());
    assert!(record.signatures().is_sorted_by_key(|(id, _)| *id));
    assert!(matches!(draft(1, &[]).record(), Err(DraftError::Unsigned)));
}

#[test]
fn a_draft_is_read_in_every_form_that_it_comes_in() {
    let whole = draft(1, &[1, 2]);
    assert_eq!(Draft::read(whole.to_json().as_bytes()).unwrap(), whole);
    let unsigned = draft(1, &[]);
    let base64 = to_base64(unsigned.bytes());
    let prepared = Prepared { bytes: base64.clone(), id: unsigned.id(), keys: Vec::new(), threshold: 1 };
    for form in [
        unsigned.to_json().into_bytes(),
        unsigned.bytes().to_vec(),
        format!("{base64}\n").into_bytes(),
        serde_json::to_vec(&prepared).unwrap(),
    ] {
        assert_eq!(Draft::read(&form).unwrap(), unsigned);
    }
}

#[test]
fn what_is_no_draft_is_refused_with_the_reason() {
    let good = draft(1, &[1, 2]);
    let (json, signature) = (good.to_json(), hex::encode(key(2).sign_in(Domain::Record, good.bytes()).0));
    let twice = Wire {
        version: 1,
        bytes: to_base64(good.bytes()),
        signatures: [1, 1]
            .map(|n| WireSignature { key: key(n).public(), signature: good.signatures[&key(1).public().id()].1 })
            .into(),
    };
    let record = good.record().unwrap();
    for (form, want) in [
        (String::new(), "the bytes do not start with the tag"),
        ("{}".into(), "missing field"),
        ("hello".into(), "not base64"),
        (to_base64(record.bytes()), "follow the end of the statement"),
        (to_base64(&good.bytes()[..40]), "the head is"),
        (json.replace("\"version\": 1", "\"version\": 2"), "its version is 2, this program knows 1"),
        (json.replace("\"version\": 1", "\"version\": 1, \"says\": \"nothing\""), "unknown field `says`"),
        (json.replace(&signature, &"00".repeat(64)), &format!("key {} is not one of these", key(2).public())),
        (serde_json::to_string(&twice).unwrap(), "stands twice"),
    ] {
        let error = Draft::read(form.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(want), "{error}, expected {want}");
    }
    // Signatures of another statement do not come along with other bytes.
    let moved = json.replace(&to_base64(good.bytes()), &to_base64(draft(2, &[]).bytes()));
    assert!(matches!(Draft::read(moved.as_bytes()), Err(DraftError::Signature { .. })));
}

#[test]
fn only_drafts_of_the_same_bytes_are_joined() {
    let mut one = draft(1, &[1]);
    assert!(matches!(one.join(&draft(2, &[2])), Err(DraftError::OtherBytes { .. })));
    // The same statement with another `submit_by` is the same record, but other bytes to sign.
    let later = Statement { submit_by: Some(LedgerTime::from_millis(2_000_000).unwrap()), ..statement(1) };
    let mut later = Draft::new(&later).unwrap();
    later.sign(&key(2)).unwrap();
    assert_eq!(later.id(), one.id());
    assert!(matches!(one.join(&later), Err(DraftError::OtherBytes { .. })));
    assert_eq!(one, draft(1, &[1]));
}

#[test]
fn a_record_has_room_for_sixteen_signatures() {
    let mut full = draft(1, &(1..=16).collect::<Vec<_>>());
    assert!(!full.sign(&key(7)).unwrap());
    assert!(matches!(full.sign(&key(17)), Err(DraftError::Full)));
    assert!(matches!(full.join(&draft(1, &[17])), Err(DraftError::Full)));
    assert_eq!(full.record().unwrap().signatures().len(), 16);
}

#[test]
fn a_file_is_made_whole_and_in_the_place_of_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("draft");
    draft(1, &[1]).create(&path).unwrap();
    assert!(matches!(draft(1, &[]).create(&path), Err(DraftError::Exists { .. })));
    assert_eq!(Draft::open(&path).unwrap(), draft(1, &[1]));
    draft(1, &[1, 2]).replace(&path).unwrap();
    assert_eq!(Draft::open(&path).unwrap(), draft(1, &[1, 2]));
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["draft"]);
}

proptest! {
    /// Whoever signs first, and however often drafts are joined, the same record comes out.
    #[test]
    fn joining_commutes_and_is_idempotent(
        a in subsequence((1..=8_u8).collect::<Vec<_>>(), 0..=8),
        b in subsequence((1..=8_u8).collect::<Vec<_>>(), 0..=8),
    ) {
        let (one, other) = (draft(1, &a), draft(1, &b));
        let (mut ab, mut ba) = (one.clone(), other.clone());
        let new = ab.join(&other).unwrap();
        ba.join(&one).unwrap();
        prop_assert_eq!(&ab, &ba);
        prop_assert_eq!(new, b.iter().filter(|n| !a.contains(n)).count());
        prop_assert_eq!(ab.join(&ba).unwrap(), 0);
        prop_assert_eq!(ab.to_json(), ba.to_json());
    }
}
