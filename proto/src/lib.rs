//! The Writ protocol: what every party must compute to the same bit.
//!
//! Pure and deterministic: no clock, disk, network, randomness or hash-map order. The crate is
//! `no_std`, so the compiler keeps those out. A module uses only the modules listed above it.
//!
//! | module | idea |
//! |---|---|
//! | [`limits`] | every bound of the protocol, each with its reason |
//! | [`hash`] | digests, and one domain tag for each purpose |
//! | [`time`] | milliseconds, and RFC 3339 text |
//! | [`name`] | who, what and which action, and the patterns over them |
//! | [`key`] | strict Ed25519 keys and signatures |
//! | [`codec`] | the canonical encoding; the only user of bincode |
//! | [`refusal`] | why a record is not taken: code, field, words |
//! | [`condition`] | under which circumstances an entry counts: a closed subset of CEL |
//! | [`scope`] | what an authority may speak of |
//! | [`record`] | what an authority signs: the envelope and all kinds of bodies |
//! | [`genesis`] | where a chain starts; its hash is the chain id |
//! | [`merkle`] | the RFC 6962 tree, inclusion and consistency proofs |
//! | [`block`] | header, block, outcomes, and the commit leaf that ends each block |
//! | [`certificate`] | the votes that made a block final |
//! | [`checkpoint`] | what validators sign about the log, as transparency tools read it |
//! | [`index`] | the access entries, arranged for decisions |
//! | [`state`] | the deterministic state machine: a block in, changes and outcomes out |
//! | [`decision`] | may this subject do this to this object |
//! | [`search`] | who can, what can, what changed: complete answers about many names |
//! | [`watch`] | what happened, in the order of the log, and who wants to hear of it |
//! | [`export`] | a whole chain in one file |
//! | [`audit`] | re-derives everything from genesis and blocks, trusting nobody |
//! | `api` | wire types of HTTP, and text as people write it (feature `api`) |
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

#[cfg(feature = "api")]
pub mod api;
pub mod audit;
pub mod block;
pub mod certificate;
pub mod checkpoint;
pub mod codec;
pub mod condition;
pub mod decision;
pub mod export;
pub mod genesis;
pub mod hash;
pub mod index;
pub mod key;
pub mod limits;
pub mod merkle;
pub mod name;
pub mod record;
pub mod refusal;
pub mod scope;
pub mod search;
pub mod state;
pub mod time;
pub mod watch;
