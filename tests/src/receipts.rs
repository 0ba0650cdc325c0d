//! Receipts and proofs, checked with nothing but `writ_proto::merkle`.

use writ_proto::api::{ConsistencyAnswer, Place, Status, digest_from_base64};
use writ_proto::hash::Digest;
use writ_proto::merkle;
use writ_proto::record::Signed;

use crate::http::Http;

/// The log's size and root, as somebody saw them once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Leaves.
    pub size: u64,
    /// The root over them.
    pub root: Digest,
}

impl Seen {
    /// What a node's status says.
    pub fn of(status: &Status) -> Self {
        Self { size: status.log_size, root: digest(&status.log_root) }
    }

    /// What a receipt says.
    pub fn at(place: &Place) -> Self {
        Self { size: place.log_size, root: digest(&place.log_root) }
    }
}

/// Checks that the record is in the log that its receipt speaks of.
pub fn assert_included(record: &Signed, place: &Place) {
    let proof: Vec<Digest> = place.inclusion.iter().map(|hash| digest(hash)).collect();
    let leaf = merkle::leaf_hash(record.bytes());
    let judged = merkle::verify_inclusion(place.index, place.log_size, &leaf, &proof, &digest(&place.log_root));
    judged.unwrap_or_else(|error| panic!("record {} is not in its log: {error}; {place:?}", record.id()));
}

/// Checks that the log of a node still begins with what was seen before; gives what it is now.
pub fn assert_grown(http: &Http, seen: Seen) -> Seen {
    let now = Seen::of(&http.status());
    assert!(now.size >= seen.size, "the log shrank from {} to {} leaves", seen.size, now.size);
    if seen.size == 0 {
        return now;
    }
    let answer: ConsistencyAnswer = http.read(&format!("/v1/proofs/consistency?from={}&to={}", seen.size, now.size));
    let proof: Vec<Digest> = answer.proof.iter().map(|hash| digest(hash)).collect();
    assert_eq!((answer.from, answer.to), (seen.size, now.size));
    let judged = merkle::verify_consistency(seen.size, now.size, &proof, &seen.root, &now.root);
    judged.unwrap_or_else(|error| panic!("the log was rewritten: {error}"));
    now
}

/// A hash of a proof.
pub fn digest(text: &str) -> Digest {
    digest_from_base64(text).unwrap_or_else(|| panic!("`{text}` is no digest in base64"))
}
