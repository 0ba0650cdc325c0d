//! Golden bytes for every encoded thing: a change of the format is a change of a file that people review.
//!
//! `WRIT_BLESS=1 cargo test --release -p writ-proto --test format every_encoded_thing` writes the files anew. A
//! commit that does so says why.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use writ_proto::block::{Block, CommitLeaf, Executed, Header, Outcome, outcomes_root, records_root, validators_hash};
use writ_proto::certificate::{Certificate, Proposal, Vote, VoteKind};
use writ_proto::checkpoint::{Checkpoint, Cosignature, Cosigners};
use writ_proto::codec::{self, Blob};
use writ_proto::export::{End, Frame, Trailer};
use writ_proto::genesis::{Genesis, Parameters};
use writ_proto::hash::{Digest, Domain};
use writ_proto::key::{KeyId, SecretKey};
use writ_proto::limits::{BLOCK_BYTES_MAX, GENESIS_BYTES_MAX};
use writ_proto::merkle;
use writ_proto::name::{ActionPattern, Pattern};
use writ_proto::record::{
    Access, AtomicSet, AuthorityChange, Body, Effect, ParameterChange, RecordId, Revoke, SetMember, Signed,
    ValidatorChange, ValidatorKeys,
};
use writ_proto::refusal::Code;
use writ_proto::scope::{Rule, Scope};

use crate::chain::{Chain, access, certify, enrolled, joining, key, revoke, sign, statement, time, validator};
use crate::example::{FIRST_BLOCK_MS, SUBMIT_BY_MS, example};
use crate::files;

/// Decodes and encodes again; `None`: the bytes do not decode.
type Again = fn(&[u8]) -> Option<Vec<u8>>;

struct Item {
    name: String,
    bytes: Vec<u8>,
    again: Option<Again>,
}

struct File {
    name: &'static str,
    about: &'static str,
    items: Vec<Item>,
}

impl File {
    fn new(name: &'static str, about: &'static str) -> Self {
        Self { name, about, items: Vec::new() }
    }

    /// Bytes that nothing decodes: hashes, tags, signed bytes.
    fn plain(mut self, name: impl Into<String>, bytes: impl AsRef<[u8]>) -> Self {
        self.items.push(Item { name: name.into(), bytes: bytes.as_ref().to_vec(), again: None });
        self
    }

    /// A value by the codec.
    fn value<T: Serialize + DeserializeOwned>(mut self, name: impl Into<String>, value: &T) -> Self {
        let again: Again = |bytes| Some(codec::encode(&codec::decode::<T, GENESIS_BYTES_MAX>(bytes).ok()?));
        self.items.push(Item { name: name.into(), bytes: codec::encode(value), again: Some(again) });
        self
    }

    fn with(mut self, name: impl Into<String>, bytes: Vec<u8>, again: Again) -> Self {
        self.items.push(Item { name: name.into(), bytes, again: Some(again) });
        self
    }

    /// A record and its id.
    fn record(self, name: &str, record: &Signed) -> Self {
        self.with(name, record.bytes().to_vec(), record_again).plain(format!("{name}.id"), record.id().0.0)
    }

    /// Records of these bodies, signed by `org1` for the example chain.
    fn bodies<const N: usize>(self, bodies: [(&str, Body); N]) -> Self {
        let chain = crate::chain::genesis(1).chain_id();
        let add =
            |file: Self, (name, body): (&str, Body)| file.record(name, &sign(&chain, "org1", 7, body, SUBMIT_BY_MS));
        bodies.into_iter().fold(self, add)
    }
}

fn record_again(bytes: &[u8]) -> Option<Vec<u8>> {
    let record = Signed::decode(bytes.to_vec()).ok()?;
    let (signed_bytes, _) = record.statement().signed_bytes().expect("what decodes makes sense");
    Some(Signed::assemble(signed_bytes, record.signatures().to_vec()).expect("a good form").bytes().to_vec())
}

fn files() -> Vec<File> {
    vec![
        codec_file(),
        domains(),
        keys(),
        genesis(),
        access_records(),
        revoke_records(),
        authority_records(),
        validator_records(),
        parameter_records(),
        set_records(),
        signatures(),
        blocks(),
        results(),
        outcomes(),
        commit_leaves(),
        votes(),
        proposals(),
        certificates(),
        checkpoints(),
        log(),
        export(),
        changes(),
        sets(),
        import_nonces(),
    ]
}

fn codec_file() -> File {
    File::new("codec", "Primitives of the codec.")
        .value("u8-7", &7_u8)
        .value("u16-0x0102", &0x0102_u16)
        .value("u32-0x01020304", &0x0102_0304_u32)
        .value("u64-0x0102030405060708", &0x0102_0304_0506_0708_u64)
        .value("no", &false)
        .value("yes", &true)
        .value("text-abc", &String::from("abc"))
        .value("text-empty", &String::new())
        .value("list-of-u16-1-2", &vec![1_u16, 2])
        .value("optional-u64-none", &None::<u64>)
        .value("optional-u64-7", &Some(7_u64))
        .value("choice-granted", &Effect::Grant)
        .value("choice-denied", &Effect::Deny)
        .value("bytes-0a0b", &Blob(vec![0x0a, 0x0b]))
        .value("digest", &Digest([0xd1; 32]))
        .value("time-2026-11-22T00:00:00Z", &time(0))
}

fn domains() -> File {
    let file =
        File::new("domains", "Every domain: its tag, and the hash of the tag followed by the three bytes `abc`.");
    Domain::ALL.into_iter().fold(file, |file, domain| {
        file.plain(format!("{domain:?}.tag"), domain.tag())
            .plain(format!("{domain:?}.hash-of-abc"), domain.hash(&[b"a", b"bc"]).0)
    })
}

fn keys() -> File {
    let chain = Digest([0xc1; 32]);
    [1, 2, 100].into_iter().fold(
        File::new("keys", "Key pairs by their seed (one byte, 32 times): public key, key id, proofs of possession."),
        |file, n| {
            file.plain(format!("seed-{n}"), key(n).to_seed())
                .value(format!("seed-{n}.public"), &key(n).public())
                .value(format!("seed-{n}.key-id"), &key(n).public().id())
                .value(format!("seed-{n}.possession-in-a-genesis"), &key(n).prove_possession(&Digest::ZERO))
                .value(format!("seed-{n}.possession-on-chain-c1c1c1"), &key(n).prove_possession(&chain))
        },
    )
}

fn genesis() -> File {
    let again: Again = |bytes| Some(Genesis::decode(bytes).ok()?.encode());
    let add = |file: File, validators: u8| {
        let genesis = crate::chain::genesis(validators);
        let set: &[ValidatorKeys] = &genesis.validators;
        file.with(format!("validators-{validators}"), genesis.encode(), again)
            .plain(format!("validators-{validators}.chain-id"), genesis.chain_id().0)
            .plain(format!("validators-{validators}.validators-hash"), validators_hash(set).0)
    };
    let file = File::new("genesis", "A genesis with one validator (genesis.json spells it in JSON) and one with four.");
    [1, 4].into_iter().fold(file, add)
}

fn access_records() -> File {
    let smallest = || access(Effect::Grant, "user:alice", "read", "file:org1/plan");
    let denial = || Access { effect: Effect::Deny, ..smallest() };
    let (cond, reference) = (Some(String::from("context.mfa == true")), Some(String::from("TICKET-1")));
    let all = |access: Access| Access {
        iss: Some(time(0)),
        exp: Some(time(1)),
        cond: cond.clone(),
        reference: reference.clone(),
        ..access
    };
    File::new("record-access", "Records of kind `access`, one option after the other, signed by `org1`.").bodies([
        ("grant", Body::Access(smallest())),
        ("grant-iss", Body::Access(Access { iss: Some(time(0)), ..smallest() })),
        ("grant-exp", Body::Access(Access { exp: Some(time(1)), ..smallest() })),
        ("grant-cond", Body::Access(Access { cond: cond.clone(), ..smallest() })),
        ("grant-ref", Body::Access(Access { reference: reference.clone(), ..smallest() })),
        ("grant-all", Body::Access(all(smallest()))),
        ("denial", Body::Access(denial())),
        ("denial-iss", Body::Access(Access { iss: Some(time(0)), ..denial() })),
        ("denial-exp", Body::Access(Access { exp: Some(time(1)), ..denial() })),
        ("denial-cond", Body::Access(Access { cond: cond.clone(), ..denial() })),
        ("denial-ref", Body::Access(Access { reference: reference.clone(), ..denial() })),
        ("denial-all", Body::Access(all(denial()))),
        ("membership", Body::Access(access(Effect::Grant, "user:org1/*", "member", "role:staff"))),
        ("membership-denial", Body::Access(access(Effect::Deny, "*", "member", "role:*"))),
        ("escaped", Body::Access(access(Effect::Grant, "user:caf%C3%A9", "*", "file:100%25/a b%20"))),
    ])
}

fn revoke_records() -> File {
    let target = RecordId(Digest([0x7a; 32]));
    File::new("record-revoke", "Records of kind `revoke`.").bodies([
        ("of-a-grant", Body::Revoke(Revoke { target, effect: Effect::Grant })),
        ("of-a-denial", Body::Revoke(Revoke { target, effect: Effect::Deny })),
    ])
}

fn authority_records() -> File {
    let name = || "team-1".parse().expect("a name");
    let pattern = |text| Pattern::parse_full(text).expect("a pattern");
    let narrow = Rule {
        subjects: vec![pattern("user:team-1/*"), pattern("role:team-1/*")],
        objects: vec![pattern("file:team-1/*")],
        actions: vec![ActionPattern::parse("read").expect("an action"), ActionPattern::Any],
        grants: true,
        denials: false,
        lifetime_ms_max: Some(86_400_000),
        open_ended: false,
    };
    let scope = Scope { rules: vec![Rule::everything(), narrow], enrol_depth: 1 };
    let keys = || vec![enrolled(11), enrolled(12)];
    let change = Body::Authority;
    let repudiate = |key: Option<KeyId>, void_restrictions| {
        change(AuthorityChange::Repudiate { name: name(), key, from_height: 17, void_restrictions })
    };
    File::new("record-authority", "Records of kind `authority`.").bodies([
        ("enrol", change(AuthorityChange::Enrol { name: name(), keys: keys(), threshold: 2, scope })),
        ("rotate", change(AuthorityChange::Rotate { name: name(), keys: keys(), threshold: 1 })),
        ("retire", change(AuthorityChange::Retire { name: name() })),
        ("suspend", change(AuthorityChange::Suspend { name: name() })),
        ("resume", change(AuthorityChange::Resume { name: name() })),
        ("repudiate-all", repudiate(None, false)),
        ("repudiate-one-key", repudiate(Some(key(11).public().id()), false)),
        ("repudiate-with-restrictions", repudiate(None, true)),
    ])
}

fn validator_records() -> File {
    let old = key(100).public().id();
    File::new("record-validator", "Records of kind `validator`.").bodies([
        ("add", Body::Validator(ValidatorChange::Add(validator(1)))),
        ("remove", Body::Validator(ValidatorChange::Remove(old))),
        ("replace", Body::Validator(ValidatorChange::Replace { old, new: validator(2) })),
    ])
}

fn parameter_records() -> File {
    File::new("record-parameter", "Records of kind `parameter`.").bodies([
        ("set", Body::Parameter(ParameterChange::Set(Parameters::default()))),
        ("activate", Body::Parameter(ParameterChange::Activate { protocol: 2, height: 1000 })),
    ])
}

fn set_records() -> File {
    let grant = SetMember::Access(access(Effect::Grant, "user:alice", "read", "file:a"));
    let revoke = SetMember::Revoke(Revoke { target: RecordId(Digest([0x7a; 32])), effect: Effect::Grant });
    File::new("record-set", "Records of kind `set`.").bodies([
        ("one", Body::Set(AtomicSet { members: vec![grant.clone()], unchanged_since: None })),
        ("two", Body::Set(AtomicSet { members: vec![grant, revoke], unchanged_since: Some(120) })),
    ])
}

fn signatures() -> File {
    let chain = crate::chain::genesis(1).chain_id();
    let body = Body::Access(access(Effect::Deny, "user:alice", "read", "file:org1/plan"));
    let statement = statement(&chain, "org1", 7, body, SUBMIT_BY_MS);
    let signed_by = |keys: &[u8]| {
        let keys: Vec<SecretKey> = keys.iter().map(|n| key(*n)).collect();
        statement.sign(&keys.iter().collect::<Vec<_>>()).expect("a well-formed record")
    };
    let (one, other) = (signed_by(&[1]), signed_by(&[2]));
    let later = |ms| sign(&chain, "org1", 7, Body::Access(access(Effect::Grant, "user:a", "read", "file:a")), ms);
    File::new("record-signatures", "One statement with one, two and sixteen signatures; and one resubmitted later.")
        .plain("unsigned", one.signed_bytes())
        .record("one", &one)
        .record("another-one", &other)
        .record("two", &signed_by(&[1, 2]))
        .record("sixteen", &signed_by(&core::array::from_fn::<u8, 16, _>(|n| n as u8)))
        .record("grant", &later(SUBMIT_BY_MS))
        .record("grant-resubmitted", &later(SUBMIT_BY_MS + 1))
}

fn block_again(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(Block::decode(bytes).ok()?.encode())
}

fn blocks() -> File {
    let example = example();
    let mut file = File::new("block", "The blocks of the example chain, and an empty one.");
    for (n, frame) in (1..).zip(&example.chain.frames) {
        let block = Block::decode(&frame.block.0).expect("a block");
        file = file
            .value::<Header>(format!("{n}.header"), &block.header)
            .plain(format!("{n}.hash"), block.header.hash().0)
            .plain(format!("{n}.records-root"), records_root(block.records.iter().map(|r| r.0.as_slice())).0)
            .with(format!("{n}.block"), frame.block.0.clone(), block_again);
    }
    let mut empty = Chain::new(1);
    empty.append(FIRST_BLOCK_MS, &[]);
    file.with("empty.block", empty.frames[0].block.0.clone(), block_again)
}

fn results() -> File {
    let example = example();
    let file = File::new("result", "What the `result` of a header hashes, and the hash.");
    (1..).zip(&example.leaves).fold(file, |file, (n, leaf)| {
        file.value::<Executed>(format!("{n}.executed"), &leaf.executed)
            .plain(format!("{n}.hash"), leaf.executed.hash().0)
    })
}

fn outcomes() -> File {
    let number: Again = |bytes| {
        let outcome = Outcome::from_number(u16::from_le_bytes(bytes.try_into().ok()?))?;
        Some(outcome.number().to_le_bytes().to_vec())
    };
    let leaf = |outcome: Outcome| outcome.number().to_le_bytes().to_vec();
    let mut file = File::new("outcomes", "Every outcome as a leaf of the tree of outcomes, and roots of such trees.")
        .with("accepted", leaf(Outcome::Accepted), number);
    for (code, _) in Code::ALL {
        file = file.with(code.as_str(), leaf(Outcome::Rejected(code)), number);
    }
    let rejected = Outcome::Rejected(Code::OutOfScope);
    file.plain("root-of-none", outcomes_root([]).0)
        .plain("root-of-accepted", outcomes_root([Outcome::Accepted]).0)
        .plain("root-of-rejected-accepted", outcomes_root([rejected, Outcome::Accepted]).0)
}

fn commit_leaves() -> File {
    let again: Again = |bytes| Some(CommitLeaf::from_bytes(bytes).ok()?.to_bytes());
    let example = example();
    let file = File::new("commit-leaf", "The commit leaves of the example chain, and their leaf hashes.");
    (1..).zip(&example.leaves).fold(file, |file, (n, leaf)| {
        file.with(format!("{n}.leaf"), leaf.to_bytes(), again).plain(format!("{n}.hash"), leaf.hash().0)
    })
}

fn votes() -> File {
    let example = example();
    let block = Block::decode(&example.chain.frames[0].block.0).expect("a block").header.hash();
    let secret = key(100);
    let mut file = File::new("vote", "Votes of the example chain's validator: encoding, signed bytes, signature.");
    for (name, kind, value) in [
        ("prevote", VoteKind::Prevote, Some(block)),
        ("prevote-nil", VoteKind::Prevote, None),
        ("precommit", VoteKind::Precommit, Some(block)),
        ("precommit-nil", VoteKind::Precommit, None),
    ] {
        let vote = Vote { kind, height: 1, round: 0, value, voter: secret.public().id() };
        let bytes = vote.signed_bytes(example.chain.state.chain());
        file = file.value(name, &vote).plain(format!("{name}.signed-bytes"), &bytes);
        file = file.value(format!("{name}.signature"), &secret.sign_in(Domain::Vote, &bytes));
    }
    file
}

fn proposals() -> File {
    let example = example();
    let value = Block::decode(&example.chain.frames[0].block.0).expect("a block").header.hash();
    let secret = key(100);
    let file = File::new("proposal", "Proposals of the example chain's validator.");
    [("fresh", 0, None), ("again", 3, Some(1))].into_iter().fold(file, |file, (name, round, valid_round)| {
        let proposal = Proposal { height: 1, round, value, valid_round, proposer: secret.public().id() };
        let bytes = proposal.signed_bytes(example.chain.state.chain());
        file.value(name, &proposal)
            .plain(format!("{name}.signed-bytes"), &bytes)
            .value(format!("{name}.signature"), &secret.sign_in(Domain::Proposal, &bytes))
    })
}

fn certificates() -> File {
    let example = example();
    let four = Chain::random(4, 1, 1);
    let nobody = certify(example.chain.state.chain(), 1, Digest([1; 32]), VoteKind::Precommit, &[]);
    File::new("certificate", "Certificates: the example chain's two, one of three votes, one of none.")
        .value::<Certificate>("1", &example.chain.frames[0].certificate)
        .value::<Certificate>("2", &example.chain.frames[1].certificate)
        .value::<Certificate>("of-three", &four.frames[0].certificate)
        .value::<Certificate>("of-nobody", &nobody)
}

fn checkpoints() -> File {
    let validators: Vec<ValidatorKeys> = (0..4).map(validator).collect();
    let cosigners = Cosigners::of("ledger.example/test", &validators);
    let checkpoint = Checkpoint { origin: "ledger.example/test".into(), size: 70_000, root: Digest([0xd1; 32]) };
    let time = |n: u8| 1_795_305_600 + u64::from(n);
    let signed: Vec<_> = (0..4).map(|n| Cosignature::sign(&checkpoint, 9, &key(200 + n), time(n))).collect();
    let again: Again = |bytes| Some(Cosignature::decode(bytes).ok()?.encode());
    let note = cosigners.assemble(&checkpoint, &signed[..3]).expect("a quorum");
    let mut file = File::new(
        "checkpoint",
        "A checkpoint of four validators (checkpoint seeds 200 to 203), signed by three of them.",
    )
    .plain("body", checkpoint.body())
    .plain("cosigned-by-validator0", checkpoint.cosigned_bytes(time(0)));
    for (n, (member, one)) in cosigners.members().iter().zip(&signed).enumerate() {
        file = file
            .plain(format!("validator{n}.log-key-id"), member.log_key().id())
            .plain(format!("validator{n}.log-vkey"), member.log_key().to_vkey())
            .plain(format!("validator{n}.cosigner-key-id"), member.cosigner_key().id())
            .plain(format!("validator{n}.cosigner-vkey"), member.cosigner_key().to_vkey())
            .with(format!("validator{n}.wire"), one.encode(), again);
    }
    file.plain("note", note).plain("policy", cosigners.to_policy())
}

fn log() -> File {
    let example = example();
    let mut file =
        File::new("log", "The log of the example chain: each leaf, its hash, its id, and the root at each size.")
            .plain("root-at-0", merkle::EMPTY_ROOT.0);
    let mut hashes = Vec::new();
    let leaves = [&example.grant, &example.denial, &example.revocation].map(|record| record.bytes().to_vec());
    let [grant, denial, revocation] = leaves;
    let [first, second] = example.leaves.each_ref().map(CommitLeaf::to_bytes);
    for (name, bytes) in [
        ("0-grant", grant),
        ("1-commit-leaf", first),
        ("2-denial", denial),
        ("3-revocation", revocation),
        ("4-commit-leaf", second),
    ] {
        hashes.push(merkle::leaf_hash(&bytes));
        file = match Signed::decode(bytes.clone()) {
            Ok(record) => file.record(name, &record),
            Err(_) => file.plain(name, &bytes),
        };
        file = file
            .plain(format!("{name}.leaf-hash"), hashes[hashes.len() - 1].0)
            .plain(format!("root-at-{}", hashes.len()), merkle::root_of(hashes.iter().copied()).0);
    }
    assert_eq!(merkle::root_of(hashes), example.chain.state.log().root());
    file
}

fn export() -> File {
    let example = example();
    let frame: Again = |bytes| Some(Frame::decode_all(bytes).ok()?.iter().flat_map(Frame::encode_framed).collect());
    let trailer: Again = |bytes| {
        let trailer = Trailer::decode(bytes.strip_prefix(&[0; 8])?).ok()?;
        Some([&[0; 8], trailer.encode().as_slice()].concat())
    };
    let [header, first, second, last] = example.chain.parts().try_into().expect("four parts");
    let [only_header, only_trailer] = Chain::new(1).parts().try_into().expect("two parts");
    assert_eq!(header, only_header);
    File::new("export", "The export of the example chain in its parts, and the trailer of one without blocks.")
        .value::<End>("end", &End::of(&example.chain.state))
        .plain("header", header)
        .with("frame-1", first, frame)
        .with("frame-2", second, frame)
        .with("trailer", last, trailer)
        .with("trailer-of-no-blocks", only_trailer, trailer)
}

/// A chain of four validators that changes itself: in block 1 a validator comes, in block 2 one goes and one gets a new
/// voting key, in block 3 the parameters change, block 4 activates a protocol version.
fn changes() -> File {
    let mut chain = Chain::new(4);
    let id = *chain.state.chain();
    let voter = |n: u8| key(100 + n).public().id();
    let renewed = ValidatorKeys { name: validator(0).name, checkpoint: validator(0).checkpoint, ..joining(&id, 5) };
    let bounds = Parameters { submit_ahead_ms_max: 7_200_000, clock_bound_ms: 250, proposal_age_ms_max: 1_000 };
    let blocks = [
        vec![Body::Validator(ValidatorChange::Add(joining(&id, 4)))],
        vec![
            Body::Validator(ValidatorChange::Remove(voter(1))),
            Body::Validator(ValidatorChange::Replace { old: voter(0), new: renewed }),
        ],
        vec![Body::Parameter(ParameterChange::Set(bounds))],
        vec![Body::Parameter(ParameterChange::Activate { protocol: 2, height: 12 })],
    ];
    let mut file = File::new("changes", "The export of a chain that changes its validators, parameters and protocol.");
    for (bodies, height) in blocks.into_iter().zip(1..) {
        let ms = height * 1000;
        let records: Vec<Signed> = bodies.into_iter().map(|body| chain.rule(body, ms)).collect();
        chain.append(ms, &records);
        file = file.plain(format!("validators-hash-after-{height}"), validators_hash(chain.state.validators()).0);
    }
    let parts = chain.parts();
    let (first, rest) = parts.split_first().expect("a header");
    let (last, frames) = rest.split_last().expect("a trailer");
    file = file.plain("header", first);
    for (bytes, height) in frames.iter().zip(1..) {
        file = file.plain(format!("frame-{height}"), bytes);
    }
    file.plain("trailer", last)
}

/// A chain under protocol 2: in block 1 a grant and a set of two entries; in block 2 a mover's set, which ends an entry of
/// each of them and gives their like to others, if nothing changed since; and a revocation of what a set made.
fn sets() -> File {
    let mut chain = Chain::under(2, 1);
    let id = *chain.state.chain();
    let says = |effect, sub: &str, obj: &str| SetMember::Access(access(effect, sub, "read", obj));
    let grant = chain.sign("org1", Body::Access(access(Effect::Grant, "user:alice", "read", "file:plan")), 1000);
    let members = vec![says(Effect::Grant, "user:alice", "file:draft"), says(Effect::Deny, "user:*", "file:secret")];
    let first = chain.sign("org1", Body::Set(AtomicSet { members, unchanged_since: None }), 1000);
    chain.append(1000, &[grant.clone(), first.clone()]);
    let size = chain.state.log().size();
    let end = |target, effect| SetMember::Revoke(Revoke { target, effect });
    let members = vec![
        end(grant.id(), Effect::Grant),
        says(Effect::Grant, "user:bob", "file:plan"),
        end(first.id().of_member(0), Effect::Grant),
        says(Effect::Grant, "user:bob", "file:draft"),
    ];
    let mover = chain.sign("org1", Body::Set(AtomicSet { members, unchanged_since: Some(size) }), 2000);
    let lift = chain.sign("org1", revoke(first.id().of_member(1), Effect::Deny), 2000);
    chain.append(2000, &[mover.clone(), lift]);
    let about = "The export of a chain with sets, the sets in it, and the ids of the entries that they make.";
    let mut file = File::new("sets", about).plain("chain-id", id.0);
    for (name, set) in [("first", &first), ("mover", &mover)] {
        file = file.record(name, set);
        for made in set.entries() {
            let place = made.member.expect("an entry of a set");
            file = file.plain(format!("{name}.member-{place}"), made.id.0.0);
        }
    }
    let parts = chain.parts();
    let (header, rest) = parts.split_first().expect("a header");
    let (trailer, frames) = rest.split_last().expect("a trailer");
    file = file.plain("header", header);
    for (bytes, height) in frames.iter().zip(1..) {
        file = file.plain(format!("frame-{height}"), bytes);
    }
    file.plain("trailer", trailer)
}

fn import_nonces() -> File {
    let chain = crate::chain::genesis(1).chain_id();
    let nonce = |row: &str, ordinal: u64| {
        let preimage = codec::encode(&(chain, "org1", row, ordinal));
        let Digest(hash) = Domain::ImportNonce.hash(&[&preimage]);
        (preimage, hash[..16].to_vec())
    };
    let row = "1234-org2,file.dat,granted";
    [0, 1].into_iter().fold(
        File::new(
            "import-nonce",
            "The nonce of an imported row, and what is hashed for it: chain, authority, row, ordinal.",
        ),
        |file, ordinal| {
            let (preimage, nonce) = nonce(row, ordinal);
            file.plain(format!("row-{ordinal}.hashed"), preimage).plain(format!("row-{ordinal}"), nonce)
        },
    )
}

#[test]
fn every_encoded_thing_has_its_golden_bytes() {
    let bless = std::env::var_os("WRIT_BLESS").is_some_and(|value| value == "1");
    let mut wanted: BTreeMap<String, String> = files()
        .into_iter()
        .map(|file| {
            let items: Vec<_> = file.items.into_iter().map(|item| (item.name, item.bytes)).collect();
            (format!("{}.txt", file.name), files::to_text(file.about, &items))
        })
        .collect();
    let json = serde_json::to_string_pretty(&crate::chain::genesis(1)).expect("a genesis in JSON");
    wanted.insert("genesis.json".into(), json + "\n");
    if bless {
        for (name, text) in &wanted {
            std::fs::write(files::folder().join(name), text).expect("a writable folder");
        }
    }
    for (name, text) in &wanted {
        let found = std::fs::read_to_string(files::folder().join(name)).unwrap_or_default();
        if found != *text {
            let line = text.lines().zip(found.lines()).position(|(wanted, found)| wanted != found);
            panic!("tests/golden/{name} differs from line {line:?} on: if that is meant, WRIT_BLESS=1 writes it anew");
        }
    }
    for entry in std::fs::read_dir(files::folder()).expect("the folder of golden files") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        assert!(wanted.contains_key(&name), "tests/golden/{name} is no golden file any more");
    }
}

#[test]
fn golden_bytes_decode_and_encode_again() {
    let golden = files::all();
    for file in files() {
        for item in file.items {
            let bytes = &golden[&format!("{}/{}", file.name, item.name)];
            if let Some(again) = item.again {
                assert_eq!(again(bytes).as_ref(), Some(bytes), "{}/{}", file.name, item.name);
            }
        }
    }
    assert_eq!(golden["keys/seed-1"], [1; 32]);
}

#[test]
fn a_flipped_byte_never_reads_as_the_same_value() {
    for file in files() {
        for Item { name, bytes, again } in file.items {
            let Some(again) = again else { continue };
            let original = Signed::decode(bytes.clone()).ok();
            for at in 0..bytes.len() {
                for flip in (0..8).map(|bit| 1 << bit).chain([0xff]) {
                    let mut flipped = bytes.clone();
                    flipped[at] ^= flip;
                    // What encodes to these bytes is another value than what encodes to the original.
                    let read = again(&flipped);
                    assert!(read.is_none_or(|read| read == flipped), "{}/{name}: byte {at} by {flip}", file.name);
                    if let (Some(original), Ok(read)) = (&original, Signed::decode(flipped)) {
                        let value = |record: &Signed| (record.statement().clone(), record.signatures().to_vec());
                        assert_ne!(value(&read), value(original), "{}/{name}: byte {at} by {flip}", file.name);
                    }
                }
            }
        }
    }
}

#[test]
fn the_genesis_in_json_is_the_genesis_in_bytes() {
    let text = std::fs::read_to_string(files::folder().join("genesis.json")).expect("the golden genesis");
    let genesis: Genesis = serde_json::from_str(&text).expect("a genesis");
    assert_eq!(genesis.check(), Ok(()));
    assert_eq!(genesis.encode(), files::all()["genesis/validators-1"]);
    // White space and the order of members do not matter, names of members do.
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let compact: Genesis = serde_json::from_str(&value.to_string()).expect("a genesis");
    assert_eq!(compact.chain_id(), genesis.chain_id());
    let unknown = text.replacen("\"root_quorum\"", "\"root_quorums\"", 1);
    assert!(serde_json::from_str::<Genesis>(&unknown).is_err());
}

#[test]
fn a_statement_signed_anew_is_the_same_record() {
    let golden = files::all();
    let same =
        |a: &str, b: &str| golden[&format!("record-signatures/{a}")] == golden[&format!("record-signatures/{b}")];
    assert!(same("one.id", "two.id") && same("one.id", "sixteen.id") && same("one.id", "another-one.id"));
    assert!(same("grant.id", "grant-resubmitted.id") && !same("grant", "grant-resubmitted"));
    assert!(!same("one.id", "grant.id"));
    let largest = golden["record-signatures/sixteen"].len();
    assert_eq!(largest, golden["record-signatures/unsigned"].len() + 1 + 16 * 96);
    assert!(golden["block/1.block"].len() < BLOCK_BYTES_MAX);
}

#[test]
fn bytes_that_decode_but_are_not_the_encoding_of_their_value_are_refused() {
    /// Reads upper-case letters as lower-case ones, so that two byte strings decode to one value.
    #[derive(Debug, PartialEq, Serialize)]
    struct Lower(String);

    impl<'de> serde::Deserialize<'de> for Lower {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Ok(Self(String::deserialize(deserializer)?.to_lowercase()))
        }
    }

    let read = |text: &str| codec::decode::<Lower, 64>(&codec::encode(text));
    assert_eq!(read("abc"), Ok(Lower("abc".into())));
    assert_eq!(read("aBc"), Err(codec::CodecError::NotCanonical));
}
