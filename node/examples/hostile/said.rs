//! Questions, as a node would ask them: a length, four bytes, little-endian, and the canonical bytes of one of these.

use serde::Serialize;
use writ_proto::codec;
use writ_proto::hash::Digest;
use writ_proto::key::{KeyId, PublicKey, Signature};
use writ_proto::record::RecordId;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Claim {
    key: PublicKey,
    signature: Signature,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    count: u64,
    mix: Digest,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Hello {
    consensus_port: u16,
    claim: Option<Claim>,
    clock: u64,
    tip: u64,
    waiting: Summary,
    cosigned: Digest,
    introduced: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Keys {
    vote: KeyId,
    checkpoint: Option<KeyId>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) enum Ask {
    Hello(Hello),
    Ids { after: Option<RecordId> },
    Records(Vec<RecordId>),
    Cosignatures,
    Remembered(Keys),
}

/// A greeting that nobody should believe; with a claim to a key that is not one's own, if asked for.
fn hello(with_claim: bool) -> Hello {
    let claim = Claim { key: PublicKey([5; 32]), signature: Signature([6; 64]) };
    Hello {
        consensus_port: 1,
        claim: with_claim.then_some(claim),
        clock: u64::MAX,
        tip: u64::MAX,
        waiting: Summary { count: u64::MAX, mix: Digest([9; 32]) },
        cosigned: Digest([7; 32]),
        introduced: (0..200).map(|n| format!("/ip4/203.0.113.{n}/tcp/{n}/nonsense")).collect(),
    }
}

fn framed(ask: &Ask) -> Vec<u8> {
    let bytes = codec::encode(ask);
    let mut framed = (bytes.len() as u32).to_le_bytes().to_vec();
    framed.extend(bytes);
    framed
}

/// The question number `n`, of every kind in turn.
pub(crate) fn question(n: u64) -> Vec<u8> {
    let digest = |n: u64| {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&n.to_le_bytes());
        Digest(bytes)
    };
    framed(&match n % 5 {
        0 => Ask::Hello(hello(false)),
        1 => Ask::Ids { after: None },
        2 => Ask::Records((0..512).map(|id| RecordId(digest(id))).collect()),
        3 => Ask::Cosignatures,
        _ => Ask::Remembered(Keys { vote: KeyId([1; 32]), checkpoint: Some(KeyId([2; 32])) }),
    })
}

/// A greeting with a claim to a key that is not one's own.
pub(crate) fn wrong_claim(_: u64) -> Vec<u8> {
    framed(&Ask::Hello(hello(true)))
}
