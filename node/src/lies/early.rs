//! Blocks for heights to come: in form, of the right height and proposer, on a parent that is made up.

use std::sync::Arc;

use writ_engine::Guess;
use writ_proto::block::{Block, Header};
use writ_proto::hash::Digest;
use writ_proto::key::KeyId;

use super::seal::sealed;
use super::twist::proposed;
use crate::ledger::Ledger;

/// Guesses a block, and the round in which it is the turn of `me` if nobody misses a turn until then.
pub(super) fn guess(ledger: Ledger, me: KeyId) -> Guess {
    Arc::new(move |height| {
        let state = ledger.read();
        let mut order = state.voters();
        let first = height as usize % order.len();
        order.rotate_left(first);
        let round = order.iter().position(|voter| *voter == me)?;
        let header = Header {
            version: state.protocol_at(height) as u16,
            chain: *state.chain(),
            height,
            previous: Digest([0xee; 32]),
            time: ledger.clock().proposal_time(state.tip().time),
            proposer: me,
            records: Digest::ZERO,
            result: Digest::ZERO,
        };
        let block = sealed(&state, Block { header, records: Vec::new() });
        Some((round as u32, proposed(&block)))
    })
}
