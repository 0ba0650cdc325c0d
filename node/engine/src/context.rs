//! The engine's vocabulary in our words: heights, validators, votes, proposals, proposal parts.
//!
//! The engine is generic over a *context*; [`Ctx`] is ours. A value is the hash of a block
//! ([`ValueId`]): the block itself travels beside the consensus messages, as [`Part`]s. An address is the
//! id of a voting key. Everything here is checked on the way in, so that nothing below can panic on what
//! a peer sent.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use malachitebft_core_types::{self as core, LinearTimeouts, NilOrVal, Round, SignedExtension, VoteType, VotingPower};
use writ_proto::certificate;
use writ_proto::hash::Digest;
use writ_proto::key::{KeyId, PublicKey};

use crate::application::Validator;
use crate::signing::Ed25519;

/// A block's height.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Height(pub(crate) u64);

impl fmt::Display for Height {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// Heights come from peers too (`Status`, sync requests), so arithmetic on them saturates: an overflow
// check would turn a made-up height into a panic of ours.
impl core::Height for Height {
    const ZERO: Self = Self(0);
    const INITIAL: Self = Self(1);

    fn increment_by(&self, n: u64) -> Self {
        Self(self.0.saturating_add(n))
    }

    fn decrement_by(&self, n: u64) -> Option<Self> {
        self.0.checked_sub(n).map(Self)
    }

    fn as_u64(&self) -> u64 {
        self.0
    }
}

/// Who votes: the id of a voting key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Address(pub(crate) KeyId);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_short())
    }
}

impl core::Address for Address {}

/// What is voted on: the hash of a block. It is its own id, the block never enters a consensus message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ValueId(pub(crate) Digest);

impl fmt::Display for ValueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_short())
    }
}

impl fmt::Debug for ValueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::Value for ValueId {
    type Id = Self;

    fn id(&self) -> Self {
        *self
    }
}

/// What is said about a value before its bytes follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Announcement {
    pub(crate) height: u64,
    pub(crate) round: u32,
    /// The round in which a quorum already prevoted for it, for a re-proposal.
    pub(crate) valid_round: Option<u32>,
    /// Who proposes it in this round.
    pub(crate) proposer: KeyId,
    pub(crate) value: Digest,
    /// How many bytes will follow.
    pub(crate) size: u32,
}

/// A piece of a value on its way through the network: an announcement, then the bytes in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Announcement(Announcement),
    Data(Bytes),
}

impl core::ProposalPart<Ctx> for Part {
    fn is_first(&self) -> bool {
        matches!(self, Self::Announcement(_))
    }

    // The engine never asks; the announced size tells when a value is whole.
    fn is_last(&self) -> bool {
        false
    }
}

/// A proposal as the engine holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proposal {
    pub(crate) height: Height,
    pub(crate) round: Round,
    pub(crate) value: ValueId,
    pub(crate) valid_round: Round,
    pub(crate) proposer: Address,
}

impl core::Proposal<Ctx> for Proposal {
    fn height(&self) -> Height {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &ValueId {
        &self.value
    }

    fn take_value(self) -> ValueId {
        self.value
    }

    fn pol_round(&self) -> Round {
        self.valid_round
    }

    fn validator_address(&self) -> &Address {
        &self.proposer
    }
}

/// The engine's "no round" (−1) where a round is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a round from 0 is needed here, found none")]
pub(crate) struct NoRound;

/// The number of a round that must be one.
pub(crate) fn number(round: Round) -> Result<u32, NoRound> {
    round.as_u32().ok_or(NoRound)
}

impl Proposal {
    /// The statement that the proposer signs.
    pub(crate) fn statement(&self) -> Result<certificate::Proposal, NoRound> {
        Ok(certificate::Proposal {
            height: self.height.0,
            round: number(self.round)?,
            value: self.value.0,
            valid_round: self.valid_round.as_u32(),
            proposer: self.proposer.0,
        })
    }
}

impl From<certificate::Proposal> for Proposal {
    fn from(statement: certificate::Proposal) -> Self {
        Self {
            height: Height(statement.height),
            round: Round::new(statement.round),
            value: ValueId(statement.value),
            valid_round: Round::from(statement.valid_round),
            proposer: Address(statement.proposer),
        }
    }
}

/// A vote as the engine holds it. Vote extensions are not used: what carries one cannot be encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Vote {
    pub(crate) kind: VoteType,
    pub(crate) height: Height,
    pub(crate) round: Round,
    pub(crate) value: NilOrVal<ValueId>,
    pub(crate) voter: Address,
    pub(crate) extension: Option<SignedExtension<Ctx>>,
}

impl core::Vote<Ctx> for Vote {
    fn height(&self) -> Height {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &NilOrVal<ValueId> {
        &self.value
    }

    fn take_value(self) -> NilOrVal<ValueId> {
        self.value
    }

    fn vote_type(&self) -> VoteType {
        self.kind
    }

    fn validator_address(&self) -> &Address {
        &self.voter
    }

    fn extension(&self) -> Option<&SignedExtension<Ctx>> {
        self.extension.as_ref()
    }

    fn take_extension(&mut self) -> Option<SignedExtension<Ctx>> {
        self.extension.take()
    }

    fn extend(self, extension: SignedExtension<Ctx>) -> Self {
        Self { extension: Some(extension), ..self }
    }
}

impl Vote {
    /// The statement that the voter signs.
    pub(crate) fn statement(&self) -> Result<certificate::Vote, NoRound> {
        Ok(certificate::Vote {
            kind: match self.kind {
                VoteType::Prevote => certificate::VoteKind::Prevote,
                VoteType::Precommit => certificate::VoteKind::Precommit,
            },
            height: self.height.0,
            round: number(self.round)?,
            value: match self.value {
                NilOrVal::Nil => None,
                NilOrVal::Val(value) => Some(value.0),
            },
            voter: self.voter.0,
        })
    }
}

impl From<certificate::Vote> for Vote {
    fn from(statement: certificate::Vote) -> Self {
        Self {
            kind: match statement.kind {
                certificate::VoteKind::Prevote => VoteType::Prevote,
                certificate::VoteKind::Precommit => VoteType::Precommit,
            },
            height: Height(statement.height),
            round: Round::new(statement.round),
            value: statement.value.map_or(NilOrVal::Nil, |value| NilOrVal::Val(ValueId(value))),
            voter: Address(statement.voter),
            extension: None,
        }
    }
}

/// One validator, with its address worked out once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    address: Address,
    key: PublicKey,
}

impl core::Validator<Ctx> for Member {
    fn address(&self) -> &Address {
        &self.address
    }

    fn public_key(&self) -> &PublicKey {
        &self.key
    }

    fn voting_power(&self) -> VotingPower {
        1
    }
}

/// Why validators are not a set that can decide anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValidatorsError {
    /// There is none.
    #[error("there is no validator, at least one is needed")]
    Empty,
    /// Two have one key.
    #[error("the voting key {key} stands twice among the validators")]
    Repeated {
        /// The id of that key.
        key: KeyId,
    },
}

/// The validators of one height: not empty, each with one vote, and the order in which they propose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Members {
    /// Ascending by the id of their key.
    sorted: Arc<[Member]>,
    /// In proposing order, as places in `sorted`.
    order: Arc<[usize]>,
}

impl Members {
    /// The validators of one height, given in proposing order.
    pub(crate) fn new(validators: &[Validator]) -> Result<Self, ValidatorsError> {
        let mut members: Vec<_> = validators
            .iter()
            .enumerate()
            .map(|(turn, v)| (turn, Member { address: Address(v.key.id()), key: v.key }))
            .collect();
        members.sort_by_key(|(_, member)| member.address);
        if members.is_empty() {
            return Err(ValidatorsError::Empty);
        }
        if let Some(pair) = members.windows(2).find(|pair| pair[0].1.address == pair[1].1.address) {
            return Err(ValidatorsError::Repeated { key: pair[0].1.address.0 });
        }
        let mut order = vec![0; members.len()];
        for (place, (turn, _)) in members.iter().enumerate() {
            order[*turn] = place;
        }
        Ok(Self { sorted: members.into_iter().map(|(_, member)| member).collect(), order: order.into() })
    }

    pub(crate) fn len(&self) -> usize {
        self.sorted.len()
    }

    pub(crate) fn contains(&self, key: &KeyId) -> bool {
        self.key(key).is_some()
    }

    /// The public key behind a key's id, if that is a validator's.
    pub(crate) fn key(&self, id: &KeyId) -> Option<&PublicKey> {
        Some(&self.find(&Address(*id))?.key)
    }

    fn find(&self, address: &Address) -> Option<&Member> {
        let at = self.sorted.binary_search_by_key(address, |member| member.address).ok()?;
        Some(&self.sorted[at])
    }

    /// Whose turn it is in a round of their height: the first in the order, then the next, and again from the start.
    pub(crate) fn proposer(&self, round: u32) -> KeyId {
        self.turn(round).address.0
    }

    fn turn(&self, round: u32) -> &Member {
        &self.sorted[self.order[round as usize % self.order.len()]]
    }
}

impl core::ValidatorSet<Ctx> for Members {
    fn count(&self) -> usize {
        self.sorted.len()
    }

    fn total_voting_power(&self) -> VotingPower {
        self.sorted.len() as VotingPower
    }

    fn get_by_address(&self, address: &Address) -> Option<&Member> {
        self.find(address)
    }

    fn get_by_index(&self, index: usize) -> Option<&Member> {
        self.sorted.get(index)
    }
}

/// Who proposes in round `round` of a height whose validators these are, in proposing order
/// ([`Application::validators`](crate::Application::validators)): the one at place `round`, modulo their number.
///
/// Fails if they are not a set: see [`ValidatorsError`].
pub fn proposer(validators: &[Validator], round: u32) -> Result<KeyId, ValidatorsError> {
    Ok(Members::new(validators)?.proposer(round))
}

/// Our context of the engine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ctx;

impl core::Context for Ctx {
    type Address = Address;
    type Height = Height;
    type ProposalPart = Part;
    type Proposal = Proposal;
    type Validator = Member;
    type ValidatorSet = Members;
    type Timeouts = LinearTimeouts;
    type Value = ValueId;
    type Vote = Vote;
    type Extension = ();
    type SigningScheme = Ed25519;

    fn select_proposer<'a>(&self, members: &'a Members, _: Height, round: Round) -> &'a Member {
        members.turn(round.as_u32().unwrap_or(0))
    }

    fn new_proposal(
        &self,
        height: Height,
        round: Round,
        value: ValueId,
        valid_round: Round,
        proposer: Address,
    ) -> Proposal {
        Proposal { height, round, value, valid_round, proposer }
    }

    fn new_prevote(&self, height: Height, round: Round, value: NilOrVal<ValueId>, voter: Address) -> Vote {
        Vote { kind: VoteType::Prevote, height, round, value, voter, extension: None }
    }

    fn new_precommit(&self, height: Height, round: Round, value: NilOrVal<ValueId>, voter: Address) -> Vote {
        Vote { kind: VoteType::Precommit, height, round, value, voter, extension: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use malachitebft_core_types::{Context as _, Height as _, Validator as _};

    fn validator(seed: u8) -> Validator {
        let key = writ_proto::key::SecretKey::from_seed(&[seed; 32]).public();
        Validator { name: format!("v{seed}"), key }
    }

    #[test]
    fn rounds_follow_the_order_that_was_given() {
        let some = [3, 1, 2].map(validator);
        let turns: Vec<_> = (0..7).map(|round| proposer(&some, round).unwrap()).collect();
        let given = some.each_ref().map(|validator| validator.key.id());
        assert_eq!(turns, [given, given, [given[0]; 3]].concat()[..7]);
        assert!(proposer(&some, u32::MAX).is_ok());
    }

    #[test]
    fn the_engine_and_the_application_agree_on_the_proposer() {
        let some = [4, 2, 1, 3].map(validator);
        let members = Members::new(&some).unwrap();
        for (height, round) in [(1, 0), (1, 3), (6, 1), (9, 7)] {
            let theirs = Ctx.select_proposer(&members, Height(height), Round::new(round)).address().0;
            assert_eq!(theirs, proposer(&some, round).unwrap());
        }
    }

    #[test]
    fn everybody_is_found_whatever_the_order() {
        use malachitebft_core_types::ValidatorSet as _;

        let some = [4, 2, 1, 3].map(validator);
        let members = Members::new(&some).unwrap();
        for validator in &some {
            let address = Address(validator.key.id());
            assert_eq!(members.get_by_address(&address).map(|member| member.key), Some(validator.key));
        }
        let sorted: Vec<_> = (0..4).filter_map(|at| members.get_by_index(at)).map(|member| member.address).collect();
        assert!(sorted.len() == 4 && sorted.is_sorted());
        assert_eq!((members.get_by_index(4), members.count()), (None, 4));
    }

    #[test]
    fn a_set_has_members_and_no_member_twice() {
        assert_eq!(Members::new(&[]), Err(ValidatorsError::Empty));
        let twice = [validator(1), validator(2), validator(1)];
        assert!(matches!(Members::new(&twice), Err(ValidatorsError::Repeated { key }) if key == twice[0].key.id()));
        let members = Members::new(&twice[..2]).unwrap();
        assert_eq!(members.key(&twice[1].key.id()), Some(&twice[1].key));
        assert!(!members.contains(&validator(9).key.id()));
    }

    #[test]
    fn heights_saturate() {
        assert_eq!(Height(u64::MAX).increment(), Height(u64::MAX));
        assert_eq!(Height(0).decrement(), None);
    }

    #[test]
    fn statements_survive_the_way_through_the_engine() {
        let voter = validator(1).key.id();
        for value in [None, Some(Digest([7; 32]))] {
            for kind in [certificate::VoteKind::Prevote, certificate::VoteKind::Precommit] {
                let vote = certificate::Vote { kind, height: 5, round: 2, value, voter };
                assert_eq!(Vote::from(vote).statement(), Ok(vote));
            }
        }
        for valid_round in [None, Some(0), Some(1)] {
            let proposal =
                certificate::Proposal { height: 5, round: 2, value: Digest([7; 32]), valid_round, proposer: voter };
            assert_eq!(Proposal::from(proposal).statement(), Ok(proposal));
        }
        let nil = Ctx.new_prevote(Height(1), Round::Nil, NilOrVal::Nil, Address(voter));
        assert_eq!(nil.statement(), Err(NoRound));
    }
}
