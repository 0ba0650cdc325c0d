//! A lone validator who lies: every hash, link, certificate and trailer fits, and the audit still refuses.
//!
//! The [`Forger`] builds blocks by hand, from whatever records and outcomes it is told, and signs them with
//! the validator's key. It has no authority's key. That it forges well is shown first: honest contents pass.

use writ_proto::audit::{Finding, Part, audit_export};
use writ_proto::block::{
    BLOCK_VERSION, Block, CommitLeaf, Executed, Header, Outcome, outcomes_root, records_root, validators_hash,
};
use writ_proto::certificate::VoteKind;
use writ_proto::codec::Blob;
use writ_proto::export::{End, Frame};
use writ_proto::genesis::{Genesis, Parameters};
use writ_proto::hash::{Digest, Domain};
use writ_proto::key::{KeyId, SecretKey, Signature};
use writ_proto::limits::{ACTIVATION_LEAD_MIN, BLOCK_RECORDS_MAX, LIVE_GRANTS_PER_KEY_MAX, REJECTED_PER_KEY_MAX};
use writ_proto::merkle::{self, Frontier};
use writ_proto::record::{Access, AuthorityChange, Body, Effect, ParameterChange, Signed, ValidatorChange};
use writ_proto::refusal::Code;
use writ_proto::time::LedgerTime;

use crate::chain::{
    access, certify, export_parts, genesis, joining, key, revoke, rule, sign, statement, time, validator,
};

const HOUR_MS: u64 = 3_600_000;

#[derive(Clone)]
struct Forger {
    genesis: Genesis,
    chain: Digest,
    previous: Digest,
    log: Frontier,
    frames: Vec<Frame>,
    /// Changes the header and what its `result` hashes, before they are hashed and signed.
    twist: fn(&mut Header, &mut Executed),
    /// Changes the header after its `result` was made.
    header_twist: fn(&mut Header),
    votes: (VoteKind, &'static [u8]),
}

impl Forger {
    fn new(validators: u8) -> Self {
        let genesis = genesis(validators);
        let chain = genesis.chain_id();
        let votes: (_, &[u8]) = (VoteKind::Precommit, if validators == 1 { &[0] } else { &[0, 1, 2] });
        let (twist, header_twist) = (|_: &mut _, _: &mut _| (), |_: &mut _| ());
        Self { genesis, chain, previous: chain, log: Frontier::new(), frames: Vec::new(), twist, header_twist, votes }
    }

    fn sign(&self, authority: &str, nonce: u64, body: Body) -> Signed {
        sign(&self.chain, authority, nonce, body, HOUR_MS / 2)
    }

    /// Appends a block of these bytes with these outcomes.
    fn append(&mut self, time: LedgerTime, records: &[Vec<u8>], outcomes: &[Outcome]) {
        for record in records {
            self.log.push(merkle::leaf_hash(record));
        }
        let mut executed = Executed {
            outcomes: outcomes_root(outcomes.iter().copied()),
            next_validators: validators_hash(&self.genesis.validators),
            map_root: Digest::ZERO,
            log_size: self.log.size(),
            log_root: self.log.root(),
        };
        let mut header = Header {
            version: BLOCK_VERSION,
            chain: self.chain,
            height: self.frames.len() as u64 + 1,
            previous: self.previous,
            time,
            proposer: self.genesis.validators[0].vote.key.id(),
            records: records_root(records.iter().map(Vec::as_slice)),
            result: Digest::ZERO,
        };
        (self.twist)(&mut header, &mut executed);
        header.result = executed.hash();
        (self.header_twist)(&mut header);
        let certificate = certify(&self.chain, header.height, header.hash(), self.votes.0, self.votes.1);
        let leaf = CommitLeaf { version: BLOCK_VERSION, header: header.clone(), executed };
        self.previous = leaf.hash();
        self.log.push(leaf.hash());
        let block = Block { header, records: records.iter().cloned().map(Blob).collect() };
        self.frames.push(Frame { block: Blob(block.encode()), certificate });
    }

    /// Appends a block of accepted records, `ms` after the genesis.
    fn accept(&mut self, ms: u64, records: &[Signed]) {
        let bytes: Vec<_> = records.iter().map(|record| record.bytes().to_vec()).collect();
        self.append(time(ms), &bytes, &vec![Outcome::Accepted; records.len()]);
    }

    /// What the audit says of the whole.
    fn audit(&self) -> Result<u64, Finding> {
        let height = self.frames.len() as u64;
        let end = End { height, log_size: self.log.size(), log_root: self.log.root(), commit_leaf: self.previous };
        let file = export_parts(&self.genesis, &self.frames, end).concat();
        audit_export([file], Some(&self.chain)).map(|audited| audited.report.end.height)
    }

    fn refused(&self, what: &str, height: u64, part: Part, code: Option<Code>) {
        match self.audit() {
            Ok(_) => panic!("{what}: the audit finds nothing"),
            Err(found) => {
                assert_eq!((found.height, found.part, found.code), (Some(height), part, code), "{what}: {found}")
            }
        }
    }
}

fn grant(sub: &str) -> Access {
    access(Effect::Grant, sub, "read", "file:plan")
}

fn deny(sub: &str) -> Access {
    access(Effect::Deny, sub, "read", "file:plan")
}

/// Two honest blocks: a grant of `org1`, and a denial of `org2` that is out of its scope.
fn honest() -> (Forger, Signed) {
    let mut forger = Forger::new(1);
    let first = forger.sign("org1", 1, Body::Access(grant("user:alice")));
    forger.accept(1000, std::slice::from_ref(&first));
    let outside = forger.sign("org2", 2, Body::Access(deny("user:bob")));
    forger.append(time(2000), &[outside.bytes().to_vec()], &[Outcome::Rejected(Code::OutOfScope)]);
    (forger, first)
}

#[test]
fn what_the_forger_makes_of_honest_contents_passes() {
    let (mut forger, first) = honest();
    assert_eq!(forger.audit(), Ok(2));
    forger.accept(3000, &[]);
    let end = forger.sign("org1", 3, revoke(first.id(), Effect::Grant));
    forger.accept(3001, &[end, forger.sign("org1", 4, Body::Access(grant("user:bob")))]);
    assert_eq!(forger.audit(), Ok(4));
    let mut four = Forger::new(4);
    four.accept(1, &[]);
    assert_eq!(four.audit(), Ok(1));
}

#[test]
fn a_record_that_may_not_stand_in_the_block_is_named() {
    let (forger, first) = honest();
    let chain = forger.chain;
    let good = |nonce, access| forger.sign("org1", nonce, Body::Access(access));
    let bytes = |records: &[&Signed]| records.iter().map(|record| record.bytes().to_vec()).collect::<Vec<_>>();
    let ahead = |ms| sign(&chain, "org1", 9, Body::Access(grant("user:eve")), ms);
    let ours = |authority: &str, body| statement(&chain, authority, 9, body, HOUR_MS);
    let eve = Body::Access(grant("user:eve"));
    let fits = good(10, grant("user:carol"));

    // The forger has the validator's key, and no authority's.
    let own_key = ours("org1", eve.clone()).sign(&[&key(100)]).expect("well formed");
    let with_signature = |key_id: KeyId, signature| {
        let (signed_bytes, _) = ours("org1", eve.clone()).signed_bytes().expect("well formed");
        Signed::assemble(signed_bytes, vec![(key_id, signature)]).expect("well formed")
    };
    let signed_by_own_key = own_key.signatures()[0].1;
    let known_id = key(1).public().id();
    let one_of_two = ours("org2", Body::Access(access(Effect::Deny, "user:eve", "*", "role:staff")))
        .sign(&[&key(2)])
        .expect("well formed");
    let elsewhere = sign(&Digest([5; 32]), "org1", 9, eve.clone(), HOUR_MS);
    let stranger = ours("org9", eve.clone()).sign(&[&key(1)]).expect("well formed");
    let retire = Body::Authority(AuthorityChange::Retire { name: "org2".parse().expect("a name") });
    let newcomer = |quorum: bool, validator| {
        let body = Body::Validator(ValidatorChange::Add(validator));
        if quorum { rule(&chain, 9, body, HOUR_MS) } else { sign(&chain, "org1", 9, body, HOUR_MS) }
    };
    let removal = Body::Validator(ValidatorChange::Remove(key(100).public().id()));
    let timeless = Parameters { submit_ahead_ms_max: 0, ..Parameters::default() };
    let activation =
        |height| rule(&chain, 9, Body::Parameter(ParameterChange::Activate { protocol: 2, height }), HOUR_MS);
    let resubmitted = sign(&chain, "org1", 1, Body::Access(grant("user:alice")), HOUR_MS / 2 + 1);
    assert_eq!(resubmitted.id(), first.id());
    let mut surplus = fits.bytes().to_vec();
    surplus.push(0);

    type Case<'a> = (&'a str, Vec<Vec<u8>>, usize, Code);
    let cases: Vec<Case<'_>> = vec![
        ("a signature of the forger's own key", bytes(&[&fits, &own_key]), 1, Code::UnknownKey),
        (
            "that signature under the authority's key id",
            bytes(&[&with_signature(known_id, signed_by_own_key)]),
            0,
            Code::BadSignature,
        ),
        ("an invented signature", bytes(&[&with_signature(known_id, Signature([3; 64]))]), 0, Code::BadSignature),
        (
            "the signature of another record",
            bytes(&[&fits, &with_signature(known_id, first.signatures()[0].1)]),
            1,
            Code::BadSignature,
        ),
        ("one signature where two are needed", bytes(&[&one_of_two]), 0, Code::ThresholdNotMet),
        ("an authority that nobody named", bytes(&[&stranger]), 0, Code::UnknownAuthority),
        ("a record for another chain", bytes(&[&elsewhere]), 0, Code::WrongChain),
        (
            "a grant outside its authority's scope",
            bytes(&[&fits, &forger.sign("org2", 9, eve.clone())]),
            1,
            Code::OutOfScope,
        ),
        ("a record of an earlier block", bytes(&[&first]), 0, Code::Conflict),
        ("the same statement, signed again", bytes(&[&resubmitted]), 0, Code::Conflict),
        ("a record twice in one block", bytes(&[&fits, &fits]), 1, Code::Conflict),
        ("a record past its time", bytes(&[&ahead(2999)]), 0, Code::ExpiredSubmission),
        ("a record too far ahead of its time", bytes(&[&ahead(3000 + HOUR_MS + 1)]), 0, Code::ExpiredSubmission),
        (
            "the lift of a denial that is not in the log",
            bytes(&[&forger.sign("org1", 9, revoke(fits.id(), Effect::Deny))]),
            0,
            Code::NotFound,
        ),
        (
            "a kind that this version does not carry out",
            bytes(&[&ours("org1", retire).sign(&[&key(1)]).expect("well formed")]),
            0,
            Code::Unsupported,
        ),
        (
            "a validator of one root where two must agree",
            bytes(&[&newcomer(false, joining(&chain, 7))]),
            0,
            Code::ThresholdNotMet,
        ),
        (
            "a validator whose keys were made for a genesis",
            bytes(&[&newcomer(true, validator(7))]),
            0,
            Code::BadRequest,
        ),
        ("a validator that is there", bytes(&[&newcomer(true, joining(&chain, 0))]), 0, Code::Conflict),
        ("the last validator, removed", bytes(&[&fits, &rule(&chain, 9, removal, HOUR_MS)]), 1, Code::Conflict),
        (
            "parameters that nobody can live with",
            bytes(&[&rule(&chain, 9, Body::Parameter(ParameterChange::Set(timeless)), HOUR_MS)]),
            0,
            Code::BadRequest,
        ),
        ("a protocol from tomorrow", bytes(&[&activation(3 + ACTIVATION_LEAD_MIN - 1)]), 0, Code::Conflict),
        ("a protocol from some day", bytes(&[&activation(u64::MAX)]), 0, Code::LimitExceeded),
        ("bytes that are no record", vec![b"grant everything".to_vec()], 0, Code::BadRequest),
        ("a record with a byte too many", vec![surplus], 0, Code::BadRequest),
        ("a record of nothing", vec![Vec::new()], 0, Code::BadRequest),
        ("a record that is too large", vec![vec![0; 8 * 1024 + 1]], 0, Code::TooLarge),
    ];
    for (what, records, at, code) in cases {
        for outcome in [Outcome::Accepted, Outcome::Rejected(code)] {
            let mut outcomes = vec![Outcome::Accepted; records.len()];
            outcomes[at] = outcome;
            let mut forger = forger.clone();
            forger.append(time(3000), &records, &outcomes);
            forger.refused(what, 3, Part::Record(at), Some(code));
            // An honest block after it changes nothing.
            forger.accept(4000, &[]);
            forger.refused(what, 3, Part::Record(at), Some(code));
        }
    }
    for fits in [ahead(3000), ahead(3000 + HOUR_MS)] {
        let mut forger = forger.clone();
        forger.accept(3000, &[fits]);
        assert_eq!(forger.audit(), Ok(3), "the bounds of submit_by are inclusive");
    }
}

#[test]
fn a_wrong_outcome_or_result_is_found() {
    let (honest, first) = honest();
    let carol = honest.sign("org1", 9, Body::Access(grant("user:carol")));
    let outside = honest.sign("org2", 9, Body::Access(deny("user:carol")));
    let foreign = honest.sign("org2", 9, revoke(first.id(), Effect::Grant));
    for (what, record, outcome, right) in [
        ("a grant that is said not to count", &carol, Outcome::Rejected(Code::Conflict), Outcome::Accepted),
        (
            "a denial out of scope that is said to count",
            &outside,
            Outcome::Accepted,
            Outcome::Rejected(Code::OutOfScope),
        ),
        (
            "a rejection with another code",
            &outside,
            Outcome::Rejected(Code::Forbidden),
            Outcome::Rejected(Code::OutOfScope),
        ),
        (
            "a stranger's revocation that is said to count",
            &foreign,
            Outcome::Accepted,
            Outcome::Rejected(Code::Forbidden),
        ),
    ] {
        let mut forger = honest.clone();
        forger.append(time(3000), &[record.bytes().to_vec()], &[outcome]);
        forger.refused(what, 3, Part::Header("result"), None);
        let mut forger = honest.clone();
        forger.append(time(3000), &[record.bytes().to_vec()], &[right]);
        assert_eq!(forger.audit(), Ok(3), "{what}: the right outcome passes");
    }

    type Twist = (&'static str, fn(&mut Header, &mut Executed));
    let twists: [Twist; 5] = [
        ("outcomes", |_, executed| executed.outcomes.0[0] ^= 1),
        ("the next validators", |_, executed| {
            executed.next_validators = validators_hash(&[validator(0), validator(9)])
        }),
        ("the map", |_, executed| executed.map_root = Digest([1; 32])),
        ("the log's size", |_, executed| executed.log_size += 1),
        ("the log's root", |_, executed| executed.log_root = Digest([2; 32])),
    ];
    for (what, twist) in twists {
        let mut forger = Forger { twist, ..honest.clone() };
        forger.accept(3000, std::slice::from_ref(&carol));
        forger.refused(what, 3, Part::Header("result"), None);
    }
}

#[test]
fn a_header_that_does_not_follow_is_found() {
    let (honest, _) = honest();
    type Twist = (&'static str, fn(&mut Header));
    let twists: [Twist; 8] = [
        ("version", |header| header.version = 2),
        ("chain", |header| header.chain = Digest([4; 32])),
        ("height", |header| header.height = 4),
        ("previous", |header| header.previous = Digest([4; 32])),
        ("time", |header| header.time = time(2000)),
        ("proposer", |header| header.proposer = key(1).public().id()),
        ("records", |header| header.records = Digest([4; 32])),
        ("result", |header| header.result = Digest([4; 32])),
    ];
    for (member, header_twist) in twists {
        let mut forger = Forger { header_twist, ..honest.clone() };
        forger.accept(3000, &[]);
        forger.refused(member, 3, Part::Header(member), None);
    }
    for (what, time) in
        [("the same time", time(2000)), ("an earlier time", time(1999)), ("the epoch", LedgerTime::EPOCH)]
    {
        let mut forger = honest.clone();
        forger.append(time, &[], &[]);
        forger.refused(what, 3, Part::Header("time"), None);
    }
    let mut forger = Forger::new(1);
    forger.accept(0, &[]);
    forger.refused("the genesis time", 1, Part::Header("time"), None);
    let mut forger = honest.clone();
    forger.accept(2001, &[]);
    assert_eq!(forger.audit(), Ok(3), "a millisecond later is later");
}

#[test]
fn a_certificate_without_a_quorum_is_found() {
    let votes: [(_, _, &'static [u8]); 6] = [
        ("two of four", VoteKind::Precommit, &[0, 1]),
        ("one of them twice", VoteKind::Precommit, &[0, 1, 1]),
        ("a stranger among them", VoteKind::Precommit, &[0, 1, 9]),
        ("a stranger beside a quorum", VoteKind::Precommit, &[0, 1, 2, 9]),
        ("first votes only", VoteKind::Prevote, &[0, 1, 2]),
        ("nobody", VoteKind::Precommit, &[]),
    ];
    for (what, kind, voters) in votes {
        let mut forger = Forger { votes: (kind, voters), ..Forger::new(4) };
        forger.accept(1000, &[]);
        forger.refused(what, 1, Part::Certificate, None);
    }
    type Twist = (&'static str, fn(&mut Frame));
    let twists: [Twist; 5] = [
        ("another round", |frame| frame.certificate.round = 1),
        ("another height", |frame| frame.certificate.height = 2),
        ("another block", |frame| frame.certificate.block = Digest([6; 32])),
        ("votes exchanged", |frame| {
            let (a, b) = (frame.certificate.signatures[0].1, frame.certificate.signatures[1].1);
            frame.certificate.signatures[0].1 = b;
            frame.certificate.signatures[1].1 = a;
        }),
        ("a nil vote's signature", |frame| {
            use writ_proto::certificate::Vote;
            let secret = key(100);
            let chain = genesis(4).chain_id();
            let voter = secret.public().id();
            let nil = Vote { kind: VoteKind::Precommit, height: 1, round: 0, value: None, voter };
            frame.certificate.signatures[0].1 = secret.sign_in(Domain::Vote, &nil.signed_bytes(&chain));
        }),
    ];
    for (what, twist) in twists {
        let mut forger = Forger::new(4);
        forger.accept(1000, &[]);
        twist(&mut forger.frames[0]);
        forger.refused(what, 1, Part::Certificate, None);
    }
}

#[test]
fn bounds_on_a_block_are_found() {
    let forger = Forger::new(1);
    let bytes = |records: &[Signed]| records.iter().map(|record| record.bytes().to_vec()).collect::<Vec<_>>();

    // Refused denials of one key: sixteen in a block, not one more.
    let denial = |n: usize| {
        let body = Body::Access(deny(&format!("user:{n}")));
        let (a, b): (SecretKey, SecretKey) = (key(2), key(3));
        statement(&forger.chain, "org2", n as u64, body, 0).sign(&[&a, &b]).expect("well formed")
    };
    for (count, refused) in [(REJECTED_PER_KEY_MAX, false), (REJECTED_PER_KEY_MAX + 1, true)] {
        let mut forger = forger.clone();
        let records: Vec<_> = (0..count).map(denial).collect();
        forger.append(time(1000), &bytes(&records), &vec![Outcome::Rejected(Code::OutOfScope); count]);
        if refused {
            let part = Part::Record(REJECTED_PER_KEY_MAX);
            forger.refused("too many rejections", 1, part, Some(Code::OutOfScope));
        } else {
            assert_eq!(forger.audit(), Ok(1));
        }
    }

    // Live grants on one subject, object and action: the bound, not one more, and room again after it ended.
    let again = |n: usize| forger.sign("org1", n as u64, Body::Access(grant("user:alice")));
    let grants: Vec<_> = (0..=LIVE_GRANTS_PER_KEY_MAX).map(again).collect();
    let mut full = forger.clone();
    full.accept(1000, &grants[..LIVE_GRANTS_PER_KEY_MAX]);
    assert_eq!(full.audit(), Ok(1));
    let mut over = full.clone();
    over.accept(2000, &grants[LIVE_GRANTS_PER_KEY_MAX..]);
    over.refused("a grant too many", 2, Part::Record(0), Some(Code::LimitExceeded));
    full.accept(
        2000,
        &[forger.sign("org1", 9999, revoke(grants[0].id(), Effect::Grant)), grants[LIVE_GRANTS_PER_KEY_MAX].clone()],
    );
    assert_eq!(full.audit(), Ok(2));

    // Records and bytes of a block.
    let mut crowded = forger.clone();
    let small = vec![vec![1]; BLOCK_RECORDS_MAX + 1];
    crowded.append(time(1000), &small, &vec![Outcome::Accepted; small.len()]);
    crowded.refused("too many records", 1, Part::Block, Some(Code::TooLarge));
    let mut large = forger.clone();
    let records = vec![vec![1; 8 * 1024]; 128];
    large.append(time(1000), &records, &vec![Outcome::Accepted; records.len()]);
    large.refused("too many bytes", 1, Part::Block, Some(Code::TooLarge));
}
