//! Blocks that are not good: in each of them one thing is wrong, and everything else fits.

use bytes::Bytes;
use writ_engine::Proposed;
use writ_proto::block::Block;
use writ_proto::codec::Blob;
use writ_proto::hash::Domain;
use writ_proto::key::SecretKey;
use writ_proto::name::{ActionPattern, Pattern, Side};
use writ_proto::record::{Access, Body, Effect, Nonce, Signed, Statement};
use writ_proto::state::State;

use super::seal::sealed;

/// How far ahead a wrong time lies: beyond any clock, and before the records' own ends.
const AHEAD_MS: u64 = 10 * 60 * 1000;

/// What is wrong with a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Twist {
    /// Its result.
    Result,
    /// Its time, which lies ahead.
    Time,
    /// The name of who built it.
    Name,
    /// A record that its authority never signed.
    Forged,
    /// A bit of a signature on a record that all have in their pools.
    Tampered,
    /// A record that is in the log already.
    Repeated,
}

impl Twist {
    /// What becomes of an honest block on top of `state`; `logged` is a record that is in the log. The same of the same.
    pub(super) fn of(self, state: &State, honest: Block, logged: Option<Blob>) -> Block {
        assert_eq!(sealed(state, honest.clone()), honest, "the hashes of a liar fit");
        let mut block = honest;
        let header = &mut block.header;
        match self {
            Self::Result => header.result.0[0] ^= 1,
            Self::Time => header.time = header.time.saturating_add_millis(AHEAD_MS),
            Self::Name => {
                header.proposer =
                    state.voters().into_iter().find(|name| *name != header.proposer).unwrap_or(header.proposer);
            }
            Self::Forged => {
                let forged = forged(state, &block);
                block.records.push(Blob(forged.bytes().to_vec()));
            }
            Self::Tampered => {
                if let Some(last) = block.records.first_mut().and_then(|record| record.0.last_mut()) {
                    *last ^= 1;
                }
            }
            Self::Repeated => block.records.extend(logged),
        }
        match self {
            Self::Result | Self::Time | Self::Name => block,
            Self::Forged | Self::Tampered | Self::Repeated => sealed(state, block),
        }
    }
}

/// Another good block for one that is good: a millisecond later.
pub(super) fn twin(honest: &Proposed) -> Proposed {
    let mut block = Block::decode(&honest.bytes).expect("what this node proposes is a block");
    block.header.time = block.header.time.saturating_add_millis(1);
    proposed(&block)
}

/// A block as it is proposed.
pub(super) fn proposed(block: &Block) -> Proposed {
    Proposed { value: block.header.hash(), bytes: Bytes::from(block.encode()) }
}

/// A grant in the name of the first authority, signed with a key that is not its own.
fn forged(state: &State, block: &Block) -> Signed {
    let authority = state.authorities().roots().next().expect("a chain has authorities");
    let (key, _) = authority.keys.first().expect("an authority has keys");
    let mut nonce = [0xee; 16];
    nonce[..8].copy_from_slice(&block.header.height.to_le_bytes());
    let statement = Statement {
        chain: *state.chain(),
        authority: authority.name.clone(),
        nonce: Nonce(nonce),
        body: Body::Access(Access {
            sub: Pattern::from_display("user:eve", Side::Subject).expect("a subject"),
            obj: Pattern::from_display("file:secret", Side::Object).expect("an object"),
            act: ActionPattern::parse("read").expect("an action"),
            effect: Effect::Grant,
            iss: None,
            exp: None,
            cond: None,
            reference: None,
        }),
        submit_by: Some(block.header.time.saturating_add_millis(AHEAD_MS)),
    };
    let (bytes, _) = statement.signed_bytes().expect("a statement in form");
    let signature = SecretKey::from_seed(&[0xee; 32]).sign_in(Domain::Record, &bytes);
    Signed::assemble(bytes, vec![(*key, signature)]).expect("a record in form")
}
