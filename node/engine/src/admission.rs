//! Which values are worth judging: those that the proposer really proposed.
//!
//! To judge a value is to execute and to store a block, and the pieces of a value carry no signature: any
//! peer can publish some. So a value is handed to the ledger only if somebody vouches for it:
//!
//! - it was published by the peer of the validator whose turn it is (that peer has shown a signed
//!   [`PeerClaim`](crate::PeerClaim), and the transport authenticates publishers), or
//! - the proposer's *signed proposal* names it. The engine can do nothing with a value before it has that
//!   proposal, so waiting for it loses nothing.
//!
//! And only if it is for the height after the tip: what is further ahead is kept until its parent is
//! applied. So a node that catches up while the chain is busy already has the next values when it arrives at
//! the present, and takes part again. What waits is charged to the neighbour that delivered it, like its
//! pieces; who exceeds a share loses what is furthest ahead.

use std::collections::{BTreeMap, VecDeque};

use malachitebft_app_channel::app::types::ProposedValue;
use malachitebft_core_types::{SignedProposal, ValidatorProof};
use malachitebft_peer::PeerId;
use ractor::RpcReplyPort;
use writ_proto::hash::Digest;
use writ_proto::key::KeyId;

use crate::context::{Ctx, Members};
use crate::parts::Whole;
use crate::signing::Checker;

/// How many heights after the tip are of interest, here and in the engine's own queue: as many as a busy chain
/// decides while a node that is behind asks for what it lacks.
pub(crate) const HEIGHTS_AHEAD: u64 = 64;
/// Bytes that wait for one neighbour: one value fits always, many of the usual size.
const WAITING_BYTES_PER_NEIGHBOUR: usize = 8 * 1024 * 1024;
/// Bytes that wait in all.
const WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What a waiting value counts at least, so that many small ones are not free.
const WAITING_BYTES_MIN: usize = 16 * 1024;
/// Signed proposals remembered for one proposer and height: its honest ones, one a round, are few.
const PROPOSALS_PER_PROPOSER: usize = 8;

/// Where the engine wants the answer about a value that arrived in pieces.
pub(crate) type Reply = RpcReplyPort<ProposedValue<Ctx>>;

/// A value that arrived, its digest, and who waits for the verdict.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) whole: Whole,
    pub(crate) value: Digest,
    pub(crate) reply: Reply,
}

/// A proposal that was signed by its proposer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Signed {
    proposer: KeyId,
    round: u32,
    value: Digest,
}

/// The waiting room before the ledger.
#[derive(Debug)]
pub(crate) struct Admission {
    checker: Checker,
    /// By voting key: the peer that speaks for it.
    peers: BTreeMap<KeyId, PeerId>,
    /// By height: what validators have signed as proposals.
    proposals: BTreeMap<u64, Vec<Signed>>,
    waiting: VecDeque<Arrival>,
}

impl Admission {
    pub(crate) fn new(checker: Checker) -> Self {
        Self { checker, peers: BTreeMap::new(), proposals: BTreeMap::new(), waiting: VecDeque::new() }
    }

    /// A peer claims to be a validator. Claims of others than `members` are of no use here.
    pub(crate) fn claim(&mut self, peer: PeerId, proof: &ValidatorProof<Ctx>, members: &Members) {
        if proof.peer_id != peer.to_bytes() {
            return;
        }
        if let Some(key) = self.checker.peer_claim(proof).filter(|key| members.contains(&key.id())) {
            self.peers.insert(key.id(), peer);
        }
    }

    /// How many of `members` have shown since the start that a peer speaks for them.
    pub(crate) fn introduced(&self, members: &Members) -> usize {
        self.peers.keys().filter(|key| members.contains(key)).count()
    }

    /// A proposal was heard: whether one of `members` really signed it, for a height after `tip`.
    pub(crate) fn proposal(&mut self, proposal: &SignedProposal<Ctx>, tip: u64, members: &Members) -> bool {
        let Ok(statement) = proposal.message.statement() else { return false };
        let Some(key) = members.key(&statement.proposer) else { return false };
        if statement.height <= tip || !self.checker.proposal(&proposal.message, &proposal.signature, key) {
            return false;
        }
        if statement.height <= tip.saturating_add(HEIGHTS_AHEAD) {
            let signed = Signed { proposer: statement.proposer, round: statement.round, value: statement.value };
            let known = self.proposals.entry(statement.height).or_default();
            let of_proposer = known.iter().filter(|other| other.proposer == signed.proposer).count();
            if of_proposer < PROPOSALS_PER_PROPOSER && !known.contains(&signed) {
                known.push(signed);
            }
        }
        true
    }

    /// A value arrived. It comes back at once, or waits here until [`next`](Self::next) gives it.
    pub(crate) fn arrive(&mut self, arrival: Arrival, tip: u64, members: &Members) -> Option<Arrival> {
        let height = arrival.whole.announcement.height;
        if height <= tip || height > tip.saturating_add(HEIGHTS_AHEAD) {
            return None;
        }
        if self.is_due(&arrival, tip, members) {
            return Some(arrival);
        }
        let from = arrival.whole.from;
        self.waiting.push_back(arrival);
        while self.waiting_for(from) > WAITING_BYTES_PER_NEIGHBOUR {
            self.drop_furthest_of(from);
        }
        while self.waiting.iter().map(charge).sum::<usize>() > WAITING_BYTES_MAX {
            let busiest =
                self.waiting.iter().map(|arrival| arrival.whole.from).max_by_key(|from| self.waiting_for(*from));
            busiest.into_iter().for_each(|from| self.drop_furthest_of(from));
        }
        None
    }

    /// A value that has become due, if any; to be called until there is none, after each proposal heard and
    /// each height committed.
    pub(crate) fn next(&mut self, tip: u64, members: &Members) -> Option<Arrival> {
        let at = self.waiting.iter().position(|arrival| self.is_due(arrival, tip, members))?;
        self.waiting.remove(at)
    }

    /// Forgets what belongs to heights up to `tip`, and peers that no longer speak for a validator.
    pub(crate) fn prune(&mut self, tip: u64, members: &Members) {
        self.proposals.retain(|height, _| *height > tip);
        self.waiting.retain(|arrival| arrival.whole.announcement.height > tip);
        self.peers.retain(|key, _| members.contains(key));
    }

    fn is_due(&self, arrival: &Arrival, tip: u64, members: &Members) -> bool {
        let Arrival { whole, value, .. } = arrival;
        let announcement = &whole.announcement;
        let proposer = members.proposer(announcement.round);
        let published = || whole.published_by.is_some() && self.peers.get(&proposer) == whole.published_by.as_ref();
        // Like the engine, go by the value alone: a re-proposal is signed for another round than the pieces
        // that may still be under way. It must be its signer's turn in the round that was signed.
        let signed = |s: &Signed| s.value == *value && s.proposer == members.proposer(s.round);
        announcement.height == tip + 1
            && announcement.proposer == proposer
            && (published() || self.proposals.get(&announcement.height).is_some_and(|known| known.iter().any(signed)))
    }

    fn waiting_for(&self, from: PeerId) -> usize {
        self.waiting.iter().filter(|arrival| arrival.whole.from == from).map(charge).sum()
    }

    /// Drops what a neighbour has furthest ahead: the oldest of that height, which nobody vouched for longest.
    fn drop_furthest_of(&mut self, from: PeerId) {
        let of_neighbour = self.waiting.iter().enumerate().filter(|(_, arrival)| arrival.whole.from == from);
        let furthest =
            of_neighbour.max_by_key(|(at, arrival)| (arrival.whole.announcement.height, std::cmp::Reverse(*at)));
        if let Some((at, _)) = furthest {
            self.waiting.remove(at);
        }
    }
}

fn charge(arrival: &Arrival) -> usize {
    arrival.whole.bytes.len().max(WAITING_BYTES_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::application::Validator;
    use crate::context::{Announcement, Proposal};
    use crate::signing::{PeerClaim, Sig};
    use bytes::Bytes;
    use ed25519_dalek::Signer as _;
    use malachitebft_core_types::SignedMessage;
    use writ_proto::certificate;
    use writ_proto::hash::Domain;
    use writ_proto::key::{SecretKey, Signature};

    const CHAIN: Digest = Digest([9; 32]);
    const TIP: u64 = 6;

    fn secret(n: u8) -> SecretKey {
        SecretKey::from_seed(&[n; 32])
    }

    fn peer(n: u8) -> PeerId {
        let keys = malachitebft_app_channel::app::types::Keypair::ed25519_from_bytes([n + 1; 32]).unwrap();
        PeerId::from_bytes(&keys.public().to_peer_id().to_bytes()).unwrap()
    }

    fn members() -> Members {
        let validator = |n| Validator { name: format!("v{n}"), key: secret(n).public() };
        Members::new(&[1, 2, 3, 4].map(validator)).unwrap()
    }

    /// The secret key of whoever proposes in `round`.
    fn turn(round: u32) -> SecretKey {
        let proposer = members().proposer(round);
        (1..=4).map(secret).find(|key| key.public().id() == proposer).unwrap()
    }

    fn arrival(height: u64, round: u32, value: u8, from: PeerId, published_by: Option<PeerId>) -> Arrival {
        let proposer = turn(round).public().id();
        let value = Digest([value; 32]);
        let announcement = Announcement { height, round, valid_round: None, proposer, value, size: 1 };
        let (reply, _) = tokio::sync::oneshot::channel();
        Arrival {
            whole: Whole { announcement, bytes: Bytes::from_static(b"x"), from, published_by },
            value,
            reply: reply.into(),
        }
    }

    fn signed(height: u64, round: u32, value: u8, by: &SecretKey) -> SignedProposal<Ctx> {
        let statement = certificate::Proposal {
            height,
            round,
            value: Digest([value; 32]),
            valid_round: None,
            proposer: by.public().id(),
        };
        let signature = by.sign_in(Domain::Proposal, &statement.signed_bytes(&CHAIN));
        SignedMessage::new(Proposal::from(statement), Sig(signature))
    }

    fn claim(peer: PeerId, by: &SecretKey) -> ValidatorProof<Ctx> {
        let claim = PeerClaim { key: by.public(), peer: peer.to_bytes() };
        let signing = ed25519_dalek::SigningKey::from_bytes(&by.to_seed());
        let signature = Signature(signing.sign(&claim.signed_bytes(&CHAIN)).to_bytes());
        ValidatorProof::new(claim.key.0.to_vec(), claim.peer, Sig(signature))
    }

    fn admission() -> Admission {
        Admission::new(Checker { chain: CHAIN })
    }

    #[test]
    fn a_value_waits_for_the_signed_proposal_that_names_it() {
        let (mut admission, members) = (admission(), members());
        assert!(admission.arrive(arrival(7, 0, 1, peer(1), None), TIP, &members).is_none());
        assert!(admission.proposal(&signed(7, 0, 2, &turn(0)), TIP, &members));
        assert!(admission.next(TIP, &members).is_none(), "another value");
        assert!(admission.proposal(&signed(7, 0, 1, &turn(0)), TIP, &members));
        assert_eq!(admission.next(TIP, &members).unwrap().value, Digest([1; 32]));
        assert!(admission.next(TIP, &members).is_none(), "once");
        assert!(admission.arrive(arrival(7, 0, 1, peer(2), None), TIP, &members).is_some(), "the proposal came first");
    }

    #[test]
    fn a_proposal_counts_only_if_its_proposer_signed_it_in_turn() {
        let (mut admission, members) = (admission(), members());
        assert!(admission.arrive(arrival(7, 0, 1, peer(1), None), TIP, &members).is_none());
        let mut forged = signed(7, 0, 1, &turn(0));
        forged.message.round = malachitebft_core_types::Round::new(4);
        assert!(!admission.proposal(&forged, TIP, &members), "the signature is for another round");
        assert!(!admission.proposal(&signed(7, 0, 1, &secret(8)), TIP, &members), "a stranger");
        assert!(!admission.proposal(&signed(6, 0, 1, &turn(0)), TIP, &members), "decided already");
        assert!(admission.proposal(&signed(7, 0, 1, &turn(1)), TIP, &members), "a validator signed it,");
        assert!(admission.next(TIP, &members).is_none(), "but not in its turn");
    }

    #[test]
    fn the_proposers_own_peer_needs_no_proposal() {
        let (mut admission, members) = (admission(), members());
        let proposer = turn(0);
        admission.claim(peer(1), &claim(peer(1), &proposer), &members);
        admission.claim(peer(2), &claim(peer(3), &proposer), &members);
        admission.claim(peer(4), &claim(peer(4), &secret(8)), &members);
        assert!(admission.arrive(arrival(7, 0, 1, peer(9), Some(peer(1))), TIP, &members).is_some(), "published by it");
        assert!(
            admission.arrive(arrival(7, 0, 1, peer(1), None), TIP, &members).is_none(),
            "delivered, not published, by it"
        );
        assert!(
            admission.arrive(arrival(7, 0, 1, peer(2), Some(peer(2))), TIP, &members).is_none(),
            "a claim for another peer"
        );
        assert!(admission.arrive(arrival(7, 1, 1, peer(1), Some(peer(1))), TIP, &members).is_none(), "not its turn");
        let mut mine = arrival(7, 1, 1, peer(1), Some(peer(1)));
        mine.whole.announcement.proposer = proposer.public().id();
        assert!(admission.arrive(mine, TIP, &members).is_none(), "nor if it says so");
    }

    #[test]
    fn what_is_ahead_waits_until_its_parent_is_applied() {
        let (mut admission, members) = (admission(), members());
        assert!(admission.proposal(&signed(8, 0, 1, &turn(0)), TIP, &members));
        assert!(admission.arrive(arrival(8, 0, 1, peer(1), None), TIP, &members).is_none());
        assert!(admission.next(TIP, &members).is_none());
        admission.prune(TIP + 1, &members);
        assert!(admission.next(TIP + 1, &members).is_some());
        assert!(admission.arrive(arrival(6, 0, 1, peer(1), None), TIP, &members).is_none());
        assert!(admission.arrive(arrival(7 + HEIGHTS_AHEAD, 0, 1, peer(1), None), TIP, &members).is_none());
        assert!(admission.waiting.is_empty(), "neither the past nor the far future is kept");
    }

    #[test]
    fn a_flood_pushes_out_its_own_values_only() {
        let (mut admission, members) = (admission(), members());
        assert!(admission.arrive(arrival(7, 0, 1, peer(0), None), TIP, &members).is_none());
        let large = Bytes::from(vec![0; 1024 * 1024]);
        for n in 0..200 {
            let mut flood = arrival(7, 0, 2 + n, peer(1 + n % 20), None);
            flood.whole.bytes = large.clone();
            assert!(admission.arrive(flood, TIP, &members).is_none());
        }
        assert!(admission.waiting.iter().map(charge).sum::<usize>() <= WAITING_BYTES_MAX);
        for n in 0..2000 {
            assert!(admission.arrive(arrival(7, n, 2, peer(21), None), TIP, &members).is_none());
        }
        assert!(admission.waiting_for(peer(21)) <= WAITING_BYTES_PER_NEIGHBOUR, "small ones neither");
        assert!(admission.proposal(&signed(7, 0, 1, &turn(0)), TIP, &members));
        assert!(admission.next(TIP, &members).is_some());
        for round in 0..100 {
            admission.proposal(&signed(7, 4 * round, 3, &turn(0)), TIP, &members);
        }
        assert_eq!(admission.proposals[&7].len(), PROPOSALS_PER_PROPOSER);
    }

    #[test]
    fn the_next_height_is_the_last_to_be_pushed_out() {
        let (mut admission, members) = (admission(), members());
        let large = Bytes::from(vec![0; 1024 * 1024]);
        for height in (7..=30).rev() {
            let mut ahead = arrival(height, 0, 1, peer(1), None);
            ahead.whole.bytes = large.clone();
            assert!(admission.arrive(ahead, TIP, &members).is_none());
        }
        let mut heights: Vec<_> = admission.waiting.iter().map(|arrival| arrival.whole.announcement.height).collect();
        heights.sort();
        assert_eq!(heights, (7..=14).collect::<Vec<_>>());
    }
}
