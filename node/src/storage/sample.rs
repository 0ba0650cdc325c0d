//! A small chain for tests: one authority, one validator or some, grants without end.

use writ_proto::block::Block;
use writ_proto::certificate::{Certificate, Vote, VoteKind};
use writ_proto::genesis::{Genesis, PROTOCOL, Parameters, RootAuthority};
use writ_proto::hash::{Digest, Domain};
use writ_proto::key::SecretKey;
use writ_proto::name::{ActionPattern, Pattern};
use writ_proto::record::{Access, Body, Effect, EnrolledKey, Nonce, Signed, Statement, ValidatorKeys};
use writ_proto::scope::Scope;
use writ_proto::state::{Changes, State};
use writ_proto::time::LedgerTime;

use super::StoredBlock;

/// The genesis time.
pub(crate) const START_MS: u64 = 1_800_000_000_000;

/// A chain, and what signs for it.
#[derive(Clone)]
pub(crate) struct Sample {
    pub(crate) state: State,
    authority: SecretKey,
    votes: Vec<SecretKey>,
    made: u64,
}

impl Sample {
    /// A chain before its first block. Another `name` is another chain.
    pub(crate) fn new(name: &str) -> Self {
        Self::with_validators(name, 1)
    }

    /// The checkpoint key of a validator, from 0.
    pub(crate) fn checkpoint_key(validator: u8) -> SecretKey {
        SecretKey::from_seed(&[3 + 10 * validator; 32])
    }

    /// The same with so many validators, of which the first makes all blocks.
    pub(crate) fn with_validators(name: &str, validators: u8) -> Self {
        let key = |seed: u8| SecretKey::from_seed(&[seed; 32]);
        let enrolled =
            |key: &SecretKey| EnrolledKey { key: key.public(), possession: key.prove_possession(&Digest::ZERO) };
        let authority = key(1);
        let votes: Vec<SecretKey> = (0..validators).map(|n| key(2 + 10 * n)).collect();
        let genesis = Genesis {
            protocol: PROTOCOL,
            chain: name.into(),
            time: LedgerTime::from_millis(START_MS).unwrap(),
            parameters: Parameters::default(),
            authorities: vec![RootAuthority {
                name: "org1".parse().unwrap(),
                keys: vec![enrolled(&authority)],
                threshold: 1,
                scope: Scope::everything(),
            }],
            root_quorum: 1,
            validators: (0..validators)
                .map(|n| ValidatorKeys {
                    name: format!("validator{n}").parse().unwrap(),
                    vote: enrolled(&key(2 + 10 * n)),
                    checkpoint: enrolled(&Self::checkpoint_key(n)),
                })
                .collect(),
        };
        Self { state: State::new(genesis).unwrap(), authority, votes, made: 0 }
    }

    /// The first validator's voting key.
    pub(crate) fn vote(&self) -> SecretKey {
        SecretKey::from_seed(&self.votes[0].to_seed())
    }

    pub(crate) fn chain(&self) -> Digest {
        *self.state.chain()
    }

    pub(crate) fn genesis(&self) -> Vec<u8> {
        self.state.genesis().encode()
    }

    /// A grant like no other.
    pub(crate) fn grant(&mut self) -> Signed {
        let access = Access {
            sub: Pattern::parse_full(&format!("user:u{}", self.made + 1)).unwrap(),
            obj: Pattern::parse_full("file:report").unwrap(),
            act: ActionPattern::parse("read").unwrap(),
            effect: Effect::Grant,
            iss: None,
            exp: None,
            cond: None,
            reference: None,
        };
        self.sign(Body::Access(access))
    }

    /// A permissive record like no other.
    pub(crate) fn sign(&mut self, body: Body) -> Signed {
        self.made += 1;
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.made.to_le_bytes());
        let statement = Statement {
            chain: self.chain(),
            authority: "org1".parse().unwrap(),
            nonce: Nonce(nonce),
            body,
            submit_by: Some(self.state.tip().time.saturating_add_millis(60_000)),
        };
        statement.sign(&[&self.authority]).unwrap()
    }

    /// The next block, of these records; the state stays.
    pub(crate) fn build(&self, records: Vec<Signed>) -> (StoredBlock, Changes) {
        let time = self.state.tip().time.saturating_add_millis(1000);
        let records = records.into_iter().map(|record| self.state.verify(record).unwrap());
        let built = self.state.build(time, self.votes[0].public().id(), records).unwrap();
        assert!(built.refused.is_empty(), "{:?}", built.refused);
        (StoredBlock { certificate: self.certify(&built.block), block: built.block.encode() }, built.changes)
    }

    /// The next block, of as many grants; the state moves on.
    pub(crate) fn next(&mut self, grants: usize) -> (StoredBlock, Changes) {
        let records = (0..grants).map(|_| self.grant()).collect();
        let (block, changes) = self.build(records);
        self.state.commit(changes.clone());
        (block, changes)
    }

    fn certify(&self, block: &Block) -> Certificate {
        let (height, hash) = (block.header.height, block.header.hash());
        let sign = |vote: &SecretKey| {
            let voter = vote.public().id();
            let cast = Vote { kind: VoteKind::Precommit, height, round: 0, value: Some(hash), voter };
            (voter, vote.sign_in(Domain::Vote, &cast.signed_bytes(&self.chain())))
        };
        let signatures = self.votes.iter().map(sign).collect();
        Certificate { height, round: 0, block: hash, signatures }
    }
}
