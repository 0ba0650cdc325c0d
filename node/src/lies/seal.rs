//! What a block's header must say of its records, computed as a liar does: whatever the records are, all of them count.

use writ_proto::block::{Block, Executed, Outcome, outcomes_root, records_root, validators_hash};
use writ_proto::hash::Digest;
use writ_proto::merkle;
use writ_proto::state::State;

/// The block with a header that fits its records, on top of `state`. Of an honest block of grants it is that block.
pub(super) fn sealed(state: &State, mut block: Block) -> Block {
    let records = || block.records.iter().map(|record| record.0.as_slice());
    let mut log = state.log().clone();
    records().for_each(|record| log.push(merkle::leaf_hash(record)));
    let executed = Executed {
        outcomes: outcomes_root(records().map(|_| Outcome::Accepted)),
        next_validators: validators_hash(state.validators()),
        map_root: Digest::ZERO,
        log_size: log.size(),
        log_root: log.root(),
    };
    let root = records_root(records());
    block.header.records = root;
    block.header.result = executed.hash();
    block
}
