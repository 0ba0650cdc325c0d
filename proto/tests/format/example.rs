//! The example chain: what the golden files hold and `docs/format.md` walks through.
//!
//! One validator, two blocks, three records: the grant of the seed tuple, a denial outside its authority's
//! scope (which is settled as rejected), and the revocation of the grant.

use writ_proto::block::{CommitLeaf, Outcome};
use writ_proto::record::{Body, Effect, Signed};
use writ_proto::refusal::Code;

use crate::chain::{Chain, access, revoke, sign, time};

const DAY_MS: u64 = 86_400_000;
/// 10:15:03.120Z on the day of the genesis.
pub(crate) const FIRST_BLOCK_MS: u64 = 36_903_120;
pub(crate) const SECOND_BLOCK_MS: u64 = FIRST_BLOCK_MS + 60_000;
pub(crate) const SUBMIT_BY_MS: u64 = FIRST_BLOCK_MS + 600_000;

pub(crate) struct Example {
    pub(crate) chain: Chain,
    pub(crate) grant: Signed,
    pub(crate) denial: Signed,
    pub(crate) revocation: Signed,
    pub(crate) leaves: [CommitLeaf; 2],
}

pub(crate) fn example() -> Example {
    let mut chain = Chain::new(1);
    let id = *chain.state.chain();
    let mut tuple = access(Effect::Grant, "user:1234-org2", "*", "resource:file.dat");
    (tuple.iss, tuple.exp) = (Some(time(DAY_MS)), Some(time(2 * DAY_MS)));
    let grant = sign(&id, "org1", 1, Body::Access(tuple), SUBMIT_BY_MS);
    let outside = access(Effect::Deny, "user:1234-org2", "read", "file:elsewhere");
    let denial = sign(&id, "org2", 2, Body::Access(outside), SUBMIT_BY_MS);
    let revocation = sign(&id, "org1", 3, revoke(grant.id(), Effect::Grant), SUBMIT_BY_MS);

    let mut leaf = |ms, records: &[Signed], outcomes: &[Outcome]| {
        let verified = records.iter().map(|record| chain.state.verify(record.clone()).expect("good signatures"));
        let proposer = chain.state.validators()[0].vote.key.id();
        let changes = chain.state.build(time(ms), proposer, verified).expect("a later time").changes;
        assert_eq!(changes.records.iter().map(|placed| placed.outcome).collect::<Vec<_>>(), outcomes);
        chain.append(ms, records);
        changes.leaf
    };
    let leaves = [
        leaf(FIRST_BLOCK_MS, std::slice::from_ref(&grant), &[Outcome::Accepted]),
        leaf(
            SECOND_BLOCK_MS,
            &[denial.clone(), revocation.clone()],
            &[Outcome::Rejected(Code::OutOfScope), Outcome::Accepted],
        ),
    ];
    Example { chain, grant, denial, revocation, leaves }
}
