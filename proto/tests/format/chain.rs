//! A chain in a test: real signatures, real certificates, and the export of all of it.

use writ_proto::certificate::{Certificate, Vote, VoteKind};
use writ_proto::codec::Blob;
use writ_proto::export::{End, Frame, Writer};
use writ_proto::genesis::{Genesis, Parameters, RootAuthority};
use writ_proto::hash::{Digest, Domain};
use writ_proto::key::SecretKey;
use writ_proto::name::{ActionPattern, Pattern};
use writ_proto::record::{
    Access, AtomicSet, Body, Class, Effect, EnrolledKey, Nonce, RecordId, Revoke, SetMember, Signed, Statement,
    ValidatorKeys,
};
use writ_proto::scope::{Rule, Scope};
use writ_proto::state::State;
use writ_proto::time::LedgerTime;

use crate::random::Random;

/// The genesis time of every chain here: 2026-11-22T00:00:00Z.
pub(crate) const START_MS: u64 = 1_795_305_600_000;

const HOUR_MS: u64 = 3_600_000;

/// `ms` milliseconds after the genesis.
pub(crate) fn time(ms: u64) -> LedgerTime {
    LedgerTime::from_millis(START_MS + ms).expect("a time of the ledger")
}

/// The key pair of a number.
pub(crate) fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

/// The key of an authority's or validator's number with its proof of possession.
pub(crate) fn enrolled(number: u8) -> EnrolledKey {
    EnrolledKey { key: key(number).public(), possession: key(number).prove_possession(&Digest::ZERO) }
}

/// Validator `n`, from 0.
pub(crate) fn validator(n: u8) -> ValidatorKeys {
    ValidatorKeys {
        name: format!("validator{n}").parse().expect("a name"),
        vote: enrolled(100 + n),
        checkpoint: enrolled(200 + n),
    }
}

/// Validator `n` with keys that were made for chain `chain`, as a record names it.
pub(crate) fn joining(chain: &Digest, n: u8) -> ValidatorKeys {
    let enrolled = |number| EnrolledKey { key: key(number).public(), possession: key(number).prove_possession(chain) };
    ValidatorKeys { vote: enrolled(100 + n), checkpoint: enrolled(200 + n), ..validator(n) }
}

/// The number of a validator, from its voting key.
pub(crate) fn number_of(validator: &ValidatorKeys) -> u8 {
    let number = (0..100).find(|n| key(100 + n).public() == validator.vote.key);
    number.expect("a validator of these tests")
}

/// The genesis of a chain of so many validators: `org1` may say everything with key 1; `org2` speaks of what
/// is below `file:org2`, and of roles, for at most a day, with two of the keys 2, 3 and 4.
pub(crate) fn genesis(validators: u8) -> Genesis {
    let pattern = |text| Pattern::parse_full(text).expect("a pattern");
    let narrow = Rule {
        objects: ["file:org2/*", "role:*"].map(pattern).into(),
        lifetime_ms_max: Some(24 * HOUR_MS),
        open_ended: false,
        ..Rule::everything()
    };
    let root = |name: &str, keys: &[u8], threshold, scope| RootAuthority {
        name: name.parse().expect("a name"),
        keys: keys.iter().map(|n| enrolled(*n)).collect(),
        threshold,
        scope,
    };
    Genesis {
        protocol: 1,
        chain: "ledger.example/test".into(),
        time: time(0),
        parameters: Parameters::default(),
        authorities: vec![
            root("org1", &[1], 1, Scope::everything()),
            root("org2", &[2, 3, 4], 2, Scope { rules: vec![narrow], enrol_depth: 0 }),
        ],
        root_quorum: 2,
        validators: (0..validators).map(validator).collect(),
    }
}

/// An access entry without bounds in time and without condition; names are full texts.
pub(crate) fn access(effect: Effect, sub: &str, act: &str, obj: &str) -> Access {
    Access {
        sub: Pattern::parse_full(sub).expect("a subject"),
        obj: Pattern::parse_full(obj).expect("an object"),
        act: ActionPattern::parse(act).expect("an action"),
        effect,
        iss: None,
        exp: None,
        cond: None,
        reference: None,
    }
}

/// The revocation of an entry.
pub(crate) fn revoke(target: RecordId, effect: Effect) -> Body {
    Body::Revoke(Revoke { target, effect })
}

/// The keys that sign for an authority.
pub(crate) fn signers(authority: &str) -> Vec<SecretKey> {
    if authority == "org1" { vec![key(1)] } else { vec![key(2), key(4)] }
}

/// What `authority` states; `ms` is the `submit_by` of permissive records, after the genesis.
pub(crate) fn statement(chain: &Digest, authority: &str, nonce: u64, body: Body, ms: u64) -> Statement {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&nonce.to_le_bytes());
    let submit_by = (body.class() == Class::Permissive).then(|| time(ms));
    Statement { chain: *chain, authority: authority.parse().expect("a name"), nonce: Nonce(bytes), body, submit_by }
}

/// A body that the root quorum of these chains signs: both roots, in the name of `org1`.
pub(crate) fn rule(chain: &Digest, nonce: u64, body: Body, ms: u64) -> Signed {
    let keys = [1, 2, 4].map(key);
    statement(chain, "org1", nonce, body, ms).sign(&keys.each_ref()).expect("a well-formed record")
}

/// The same, signed.
pub(crate) fn sign(chain: &Digest, authority: &str, nonce: u64, body: Body, ms: u64) -> Signed {
    let keys = signers(authority);
    let keys: Vec<&SecretKey> = keys.iter().collect();
    statement(chain, authority, nonce, body, ms).sign(&keys).expect("a well-formed record")
}

/// A certificate of these validators' votes.
pub(crate) fn certify(chain: &Digest, height: u64, block: Digest, kind: VoteKind, voters: &[u8]) -> Certificate {
    let vote = |n: &u8| {
        let secret = key(100 + n);
        let vote = Vote { kind, height, round: 0, value: Some(block), voter: secret.public().id() };
        (vote.voter, secret.sign_in(Domain::Vote, &vote.signed_bytes(chain)))
    };
    Certificate { height, round: 0, block, signatures: voters.iter().map(vote).collect() }
}

/// A chain whose blocks are built by the real state machine.
#[derive(Clone)]
pub(crate) struct Chain {
    pub(crate) state: State,
    pub(crate) frames: Vec<Frame>,
    nonce: u64,
}

impl Chain {
    /// A chain of so many validators before its first block.
    pub(crate) fn new(validators: u8) -> Self {
        Self::under(1, validators)
    }

    /// The same, of a chain that begins with this protocol version.
    pub(crate) fn under(protocol: u32, validators: u8) -> Self {
        let state = State::new(Genesis { protocol, ..genesis(validators) }).expect("a good genesis");
        Self { state, frames: Vec::new(), nonce: 0 }
    }

    /// The validators that vote for the next block: just a quorum, the last ones.
    pub(crate) fn voters(&self) -> Vec<u8> {
        let validators = self.state.validators();
        let first = validators.len() - writ_proto::certificate::quorum(validators.len());
        validators[first..].iter().map(number_of).collect()
    }

    /// Signs a body for this chain, to be submitted within the hour from `ms` on.
    pub(crate) fn sign(&mut self, authority: &str, body: Body, ms: u64) -> Signed {
        self.nonce += 1;
        sign(self.state.chain(), authority, self.nonce, body, ms + HOUR_MS)
    }

    /// Signs a body for this chain as its root quorum, to be submitted within the hour from `ms` on.
    pub(crate) fn rule(&mut self, body: Body, ms: u64) -> Signed {
        self.nonce += 1;
        rule(self.state.chain(), self.nonce, body, ms + HOUR_MS)
    }

    /// Appends a block of all these records.
    pub(crate) fn append(&mut self, ms: u64, records: &[Signed]) {
        let verified = records.iter().map(|record| self.state.verify(record.clone()).expect("good signatures"));
        let voters = self.voters();
        let proposer = key(100 + voters[0]).public().id();
        let built = self.state.build(time(ms), proposer, verified).expect("a later time");
        assert_eq!(built.refused, [], "every record may stand in the block");
        let header = &built.block.header;
        let certificate = certify(self.state.chain(), header.height, header.hash(), VoteKind::Precommit, &voters);
        self.frames.push(Frame { block: Blob(built.block.encode()), certificate });
        self.state.commit(built.changes);
    }

    /// The parts of its export: header, frames, trailer.
    pub(crate) fn parts(&self) -> Vec<Vec<u8>> {
        export_parts(self.state.genesis(), &self.frames, End::of(&self.state))
    }

    /// A chain of `blocks` blocks with records of every sort that a block may hold.
    pub(crate) fn random(validators: u8, blocks: u64, seed: u64) -> Self {
        Self::random_under(1, validators, blocks, seed)
    }

    /// The same under a protocol version; with sets, if it has them.
    pub(crate) fn random_under(protocol: u32, validators: u8, blocks: u64, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut chain = Self::under(protocol, validators);
        let mut stated: Vec<(RecordId, Effect)> = Vec::new();
        for height in 1..=blocks {
            let ms = height * 60_000 + random.next() % 60_000;
            let mut records = Vec::new();
            for _ in 0..random.below(7) {
                let authority = random.pick(&["org1", "org2"]);
                let body = match protocol >= 2 && random.below(3) == 0 {
                    true => random_set(&mut random, ms, &stated, chain.state.log().size()),
                    false => random_body(&mut random, ms, &stated),
                };
                let record = chain.sign(authority, body, ms);
                let verified = chain.state.verify(record.clone()).expect("good signatures");
                // What a block may not hold is left out. Judged alone: that is enough for these few records.
                if record.class() == Class::Permissive && chain.state.admit(&verified, time(ms)).is_err() {
                    continue;
                }
                // A set may be against what stands before it in its block.
                if let Body::Set(_) = record.body() {
                    let together = records.iter().chain([&record]).cloned();
                    let together = together.map(|record: Signed| chain.state.verify(record).expect("good signatures"));
                    let proposer = key(100).public().id();
                    if !chain.state.build(time(ms), proposer, together).expect("a later time").refused.is_empty() {
                        continue;
                    }
                }
                stated.extend(record.entries().map(|made| (made.id, made.access.effect)));
                records.push(record);
            }
            chain.append(ms, &records);
        }
        chain
    }
}

fn random_body(random: &mut Random, ms: u64, stated: &[(RecordId, Effect)]) -> Body {
    match random.below(10) {
        0 | 1 if !stated.is_empty() => {
            let (target, effect) = random.pick(stated);
            return revoke(target, effect);
        }
        2 => return revoke(RecordId(Digest([random.below(200) as u8; 32])), Effect::Grant),
        _ => {}
    }
    let sub = random.pick(&["user:alice", "user:bob", "user:org2/*", "role:staff", "user:caf%C3%A9"]);
    let effect = random.pick(&[Effect::Grant, Effect::Grant, Effect::Deny]);
    let (act, obj) = random.pick(&[
        ("read", "file:org1/plan"),
        ("*", "file:org2/*"),
        ("write", "file:org2/x/y"),
        ("member", "role:staff"),
        ("member", "role:boss"),
    ]);
    let mut access = access(effect, sub, act, obj);
    access.iss = random.pick(&[None, None, Some(time(ms + 1000))]);
    access.exp = random.pick(&[None, Some(time(ms + HOUR_MS)), Some(time(ms + HOUR_MS)), Some(time(ms + 2000))]);
    access.cond = random.pick(&[None, None, Some("context.mfa == true".into())]);
    access.reference = random.pick(&[None, Some("TICKET-1".into())]);
    Body::Access(access)
}

fn random_set(random: &mut Random, ms: u64, stated: &[(RecordId, Effect)], size: u64) -> Body {
    let members = (0..1 + random.below(4)).map(|_| match random_body(random, ms, stated) {
        Body::Revoke(revoke) => SetMember::Revoke(revoke),
        Body::Access(access) => SetMember::Access(access),
        _ => unreachable!("nothing else is made"),
    });
    let members = members.collect();
    Body::Set(AtomicSet { members, unchanged_since: random.pick(&[None, Some(size), Some(size / 2)]) })
}

/// The parts of an export.
pub(crate) fn export_parts(genesis: &Genesis, frames: &[Frame], end: End) -> Vec<Vec<u8>> {
    let mut writer = Writer::new();
    let mut parts = vec![writer.header(genesis)];
    parts.extend(frames.iter().map(|frame| writer.frame(frame)));
    parts.push(writer.trailer(end));
    parts
}
