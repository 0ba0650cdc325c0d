//! Chains of validators who lie together: whatever they put into their blocks, the verifier and the audit say the same
//! of it, and name the same block and part.
//!
//! The honest chains are made by the state machine in this process, with what nodes do not take in yet (conditions)
//! and what needs several keys; the forged ones are these with one thing wrong in one block.

use std::path::PathBuf;

use serde_json::json;
use writ_proto::audit::audit_export;
use writ_proto::block::Outcome;
use writ_proto::certificate::quorum;
use writ_proto::decision::{Decision, Moment, Question, Truth, Why, resolve};
use writ_proto::genesis::{Genesis, PROTOCOL, Parameters, RootAuthority};
use writ_proto::hash::{Digest, Domain};
use writ_proto::key::{SecretKey, Signature};
use writ_proto::limits::{
    LIVE_GRANTS_PER_KEY_MAX, LIVE_MEMBERSHIPS_PER_SUBJECT_MAX, REJECTED_PER_KEY_MAX, WAITING_REVOCATIONS_MAX,
};
use writ_proto::name::{Action, Name, Pattern};
use writ_proto::record::{
    Access, AtomicSet, Body, Class, Effect, EnrolledKey, Nonce, ParameterChange, RecordId, Revoke, SetMember, Signed,
    Statement, ValidatorChange, ValidatorKeys,
};
use writ_proto::refusal::Code;
use writ_proto::scope::{Rule, Scope};
use writ_proto::state::State;
use writ_proto::time::{Interval, LedgerTime};
use writ_tests::forger::{Claimed, LIES, Lie, forge};
use writ_tests::issuer::access;
use writ_tests::random::Random;

use super::{answers, assert_alike, assert_same_decision, judge, keep};
use crate::naive::{self, LogRecord, Place, Says};

const START_MS: u64 = 1_795_000_000_000;
const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// The authorities, each with the seeds of its keys and how many of them must sign.
const AUTHORITIES: [(&str, &[u8], u8); 3] = [("org1", &[1], 1), ("org2", &[2, 3, 4], 2), ("org3", &[5, 6], 1)];

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn time(millis: u64) -> LedgerTime {
    LedgerTime::from_millis(millis).expect("a time of the ledger")
}

fn genesis() -> Genesis {
    let enrolled = |seed| {
        let key = key(seed);
        EnrolledKey { key: key.public(), possession: key.prove_possession(&Digest::ZERO) }
    };
    let pattern = |text| Pattern::parse_full(text).expect("a pattern");
    let narrow = Rule {
        objects: ["file:org2/*", "role:*"].map(pattern).into(),
        lifetime_ms_max: Some(HOUR_MS),
        open_ended: false,
        ..Rule::everything()
    };
    let no_denials = Rule { denials: false, ..Rule::everything() };
    let scopes = [
        Scope::everything(),
        Scope { rules: vec![narrow, Rule { grants: false, ..Rule::everything() }], enrol_depth: 0 },
    ];
    let scopes = scopes.into_iter().chain([Scope { rules: vec![no_denials], enrol_depth: 1 }]);
    let root = |((name, keys, threshold), scope): ((&str, &[u8], u8), Scope)| RootAuthority {
        name: name.parse().expect("a name"),
        keys: keys.iter().map(|seed| enrolled(*seed)).collect(),
        threshold,
        scope,
    };
    let validator = |number: u8| ValidatorKeys {
        name: format!("validator{number}").parse().expect("a name"),
        vote: enrolled(100 + number),
        checkpoint: enrolled(200 + number),
    };
    Genesis {
        protocol: PROTOCOL,
        chain: "ledger.example/forged".into(),
        time: time(START_MS),
        parameters: Parameters::default(),
        authorities: AUTHORITIES.into_iter().zip(scopes).map(root).collect(),
        root_quorum: 2,
        validators: (0..4).map(validator).collect(),
    }
}

/// Just a quorum of these validators, the last ones.
fn voters(validators: &[ValidatorKeys]) -> Vec<SecretKey> {
    let first = validators.len() - quorum(validators.len());
    let secret = |validator: &ValidatorKeys| {
        let found = (0..=u8::MAX).map(key).find(|key| key.public() == validator.vote.key);
        found.expect("a validator of these tests")
    };
    validators[first..].iter().map(secret).collect()
}

/// Somebody who signs anything in anybody's name.
struct Pen {
    chain: Digest,
    nonce: u64,
}

impl Pen {
    fn statement(&mut self, authority: &str, body: Body, submit_by: LedgerTime) -> Statement {
        self.nonce += 1;
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.nonce.to_le_bytes());
        let submit_by = (body.class() == Class::Permissive).then_some(submit_by);
        let authority = authority.parse().expect("a name of an authority");
        Statement { chain: self.chain, authority, nonce: Nonce(nonce), body, submit_by }
    }

    /// Signed with keys of whoever is there: `org1` and `org2` are a quorum of the roots, `org1` alone is none.
    fn rule(&mut self, body: Body, submit_by: LedgerTime, seeds: &[u8]) -> Signed {
        let keys: Vec<SecretKey> = seeds.iter().map(|seed| key(*seed)).collect();
        let statement = self.statement("org1", body, submit_by);
        statement.sign(&keys.iter().collect::<Vec<_>>()).unwrap_or_else(|refusal| panic!("{refusal}: {statement:?}"))
    }

    /// Signed with as many keys as are needed.
    fn sign(&mut self, authority: &str, body: Body, submit_by: LedgerTime) -> Signed {
        let (_, seeds, threshold) =
            AUTHORITIES.into_iter().find(|(name, ..)| *name == authority).expect("an authority");
        let keys: Vec<SecretKey> = seeds.iter().take(threshold.into()).map(|seed| key(*seed)).collect();
        let statement = self.statement(authority, body, submit_by);
        statement.sign(&keys.iter().collect::<Vec<_>>()).unwrap_or_else(|refusal| panic!("{refusal}: {statement:?}"))
    }
}

/// A chain of random blocks that all hold, and records that would not have.
struct Ledger {
    genesis: Genesis,
    blocks: Vec<Claimed>,
    /// Each with the block that it was kept out of, as a place in `blocks`.
    kept_out: Vec<(usize, Vec<u8>)>,
    /// What the naive evaluator reads.
    log: Vec<LogRecord>,
    state: State,
}

impl Ledger {
    fn empty() -> Self {
        Self::of(genesis())
    }

    fn of(genesis: Genesis) -> Self {
        // It goes on also where the audit and the verifier stop.
        let state = State::new(genesis.clone()).expect("a good genesis").speaking(u16::MAX.into());
        Self { genesis, blocks: Vec::new(), kept_out: Vec::new(), log: Vec::new(), state }
    }

    fn random(random: &mut Random) -> Self {
        let mut ledger = Self::empty();
        let mut pen = Pen { chain: ledger.genesis.chain_id(), nonce: 0 };
        let mut made = Vec::new();
        for _ in 0..6 + random.below(6) {
            let time = time(ledger.state.tip().time.as_millis() + 1 + random.below(15 * MINUTE_MS));
            let count = random.below(12);
            let mut records: Vec<Signed> = (0..count).map(|_| candidate(&mut pen, &mut made, time, random)).collect();
            if random.percent(10) {
                records.extend(doubtful_role(&mut pen, time));
            }
            if random.percent(40) {
                records.push(newcomer(&mut pen, ledger.blocks.len() as u8, time));
            }
            ledger.append(time, records);
        }
        ledger
    }

    /// Whether all of it is under the protocol that the audit and the verifier speak.
    fn is_known(&self) -> bool {
        self.blocks.iter().all(|block| u32::from(block.version) <= PROTOCOL)
    }

    /// Appends a block of what of this may stand in it.
    fn append(&mut self, time: LedgerTime, records: Vec<Signed>) {
        let mut verified = Vec::new();
        for record in &records {
            match self.state.verify(record.clone()) {
                Ok(good) => verified.push(good),
                Err(_) => self.kept_out.push((self.blocks.len(), record.bytes().to_vec())),
            }
        }
        let validators = self.state.validators().to_vec();
        let proposer = validators[self.blocks.len() % validators.len()].vote.key.id();
        let built = self.state.build(time, proposer, verified).expect("the time goes on");
        for (id, _) in &built.refused {
            let refused = records.iter().find(|record| record.id() == *id).expect("it was among them");
            self.kept_out.push((self.blocks.len(), refused.bytes().to_vec()));
        }
        let height = self.blocks.len() as u64 + 1;
        let accepted = built.changes.records.iter().filter(|placed| placed.outcome == Outcome::Accepted);
        self.log
            .extend(accepted.flat_map(|placed| LogRecord::all_of(placed.index, height, time, placed.record.signed())));
        let placed = built.changes.records.iter();
        let records = placed.map(|placed| (placed.record.signed().bytes().to_vec(), placed.outcome)).collect();
        let version = built.block.header.version;
        self.state.commit(built.changes);
        let next_validators = self.state.validators().to_vec();
        let voters = voters(&validators);
        self.blocks.push(Claimed { time, proposer, records, version, voters, next_validators, lie: Lie::None });
    }

    fn export(&self) -> Vec<u8> {
        forge(&self.genesis, &self.blocks)
    }

    /// The same with one thing wrong, or one thing more that nobody can tell from right.
    fn forged(&self, random: &mut Random) -> (Vec<u8>, String) {
        let mut blocks = self.blocks.clone();
        let at = random.place(blocks.len());
        let block = &mut blocks[at];
        let count = block.records.len();
        let what = match random.below(15) {
            0..=2 => {
                block.lie = *random.pick(&LIES);
                format!("{:?}", block.lie)
            }
            3..=5 if !self.kept_out.is_empty() => {
                let (at, record) = random.pick(&self.kept_out).clone();
                let outcome = if random.percent(70) { Outcome::Accepted } else { Outcome::Rejected(Code::OutOfScope) };
                let records = &mut blocks[at].records;
                records.insert(random.place(records.len() + 1), (record, outcome));
                format!("a record put in that was kept out, as {outcome:?}")
            }
            6 if count > 0 => {
                block.records.remove(random.place(count));
                "a record dropped".to_owned()
            }
            7 if count > 1 => {
                block.records.swap(random.place(count), count - 1);
                "two records swapped".to_owned()
            }
            8 if count > 0 => {
                let place = random.place(count);
                let codes = [Code::OutOfScope, Code::Conflict, Code::Forbidden, Code::NotFound, Code::LimitExceeded];
                block.records[place].1 = match block.records[place].1 {
                    Outcome::Accepted => Outcome::Rejected(*random.pick(&codes)),
                    Outcome::Rejected(_) => Outcome::Accepted,
                };
                format!("another outcome of record {place}")
            }
            9 if count > 0 => {
                let copy = random.pick(&block.records).clone();
                let into = at + random.place(blocks.len() - at);
                blocks[into].records.push(copy);
                "a record repeated".to_owned()
            }
            10 => {
                let millis = block.time.as_millis();
                let before = at.checked_sub(1).map_or(START_MS, |before| self.blocks[before].time.as_millis());
                let moved =
                    *random.pick(&[before, before, before + 1, millis - HOUR_MS, millis + 2 * HOUR_MS, millis + 1]);
                block.time = time(moved);
                format!("another time, {moved} for {millis}")
            }
            11 => {
                let other = random.place(self.blocks.len());
                block.voters = self.blocks[other].voters.clone();
                format!("voted for by those of block {}", other + 1)
            }
            12 => {
                let other = random.place(self.blocks.len());
                block.next_validators = self.blocks[other].next_validators.clone();
                format!("followed by the validators after block {}", other + 1)
            }
            13 => {
                let other = random.place(self.blocks.len());
                block.proposer = self.blocks[other].proposer;
                format!("proposed by the proposer of block {}", other + 1)
            }
            _ if count > 0 => {
                let place = random.place(count);
                let record = &mut block.records[place].0;
                let byte = random.place(record.len());
                record[byte] ^= 1 << random.below(8);
                format!("byte {byte} of record {place} changed")
            }
            _ => {
                block.proposer = key(1).public().id();
                "proposed by a stranger".to_owned()
            }
        };
        (forge(&self.genesis, &blocks), format!("block {}: {what}", at + 1))
    }
}

const SUBJECTS: [&str; 7] = ["user:a", "user:x/c", "role:r", "role:s", "role:s/t", "user:x/*", "*"];
const OBJECTS: [&str; 7] = ["file:a", "file:org2/b", "role:r", "role:s", "role:s/t", "file:org2/*", "*"];

/// A record that may be right or wrong in any way.
fn candidate(pen: &mut Pen, made: &mut Vec<(&'static str, Signed)>, now: LedgerTime, random: &mut Random) -> Signed {
    let by = random.pick(&AUTHORITIES).0;
    let by_now = now.as_millis();
    let ahead = *random.pick(&[HOUR_MS / 2, HOUR_MS / 2, HOUR_MS / 2, HOUR_MS / 2, 0, HOUR_MS, HOUR_MS + 1]);
    let submit_by = time(if random.percent(4) { by_now - 1 } else { by_now + ahead });
    if random.percent(5) {
        return wrong(pen, by, submit_by, random);
    }
    if random.percent(20) {
        return ruling(pen, submit_by, random);
    }
    let body = if !made.is_empty() && random.percent(25) {
        let (signer, target) = random.pick(made).clone();
        let entries: Vec<(RecordId, Effect)> = target.entries().map(|made| (made.id, made.access.effect)).collect();
        let (target, effect) = *random.pick(&entries);
        let other = if effect == Effect::Grant { Effect::Deny } else { Effect::Grant };
        let effect = if random.percent(85) { effect } else { other };
        let by = if random.percent(80) { signer } else { by };
        return pen.sign(by, Body::Revoke(Revoke { target, effect }), submit_by);
    } else {
        let mut entry = || loop {
            let made = entry(by_now, random);
            if made.check().is_ok() {
                break made;
            }
        };
        let first = entry();
        let more: Vec<Access> = (0..4).map(|_| entry()).collect();
        match random.percent(25) {
            true => set_of(by, first, more, made, random),
            false => Body::Access(first),
        }
    };
    let signed = pen.sign(by, body, submit_by);
    made.push((by, signed.clone()));
    if random.percent(6) {
        // The revocation of what it makes first; the record itself may never come.
        let target = signed.entries().next().expect("it makes an entry").id;
        return pen.sign(by, Body::Revoke(Revoke { target, effect: Effect::Grant }), submit_by);
    }
    match random.percent(3) {
        // One that was made before, signed again or come again.
        true => random.pick(made).1.clone(),
        false => signed,
    }
}

/// A set of `first`, of some of the others, and of revocations that may be wrong in any way.
fn set_of(by: &str, first: Access, more: Vec<Access>, made: &[(&'static str, Signed)], random: &mut Random) -> Body {
    let mut members = vec![SetMember::Access(first)];
    for access in more.into_iter().take(random.below(5) as usize) {
        let own: Vec<&Signed> = made.iter().filter(|(signer, _)| *signer == by).map(|(_, signed)| signed).collect();
        if own.is_empty() || random.percent(60) {
            members.push(SetMember::Access(access));
            continue;
        }
        let target = if random.percent(90) { *random.pick(&own) } else { &random.pick(made).1 };
        let entries: Vec<(RecordId, Effect)> = target.entries().map(|made| (made.id, made.access.effect)).collect();
        let (target, effect) = *random.pick(&entries);
        members.push(SetMember::Revoke(Revoke { target, effect }));
    }
    let unchanged_since = random.percent(40).then(|| random.below(60));
    Body::Set(AtomicSet { members, unchanged_since })
}

/// The places of the entries that a decision names.
fn places_of(state: &State, decision: &Decision) -> Vec<Place> {
    let entry = |id| state.index().entry(state.index().by_id(id).expect("a decision names entries"));
    decision.ids.iter().map(entry).map(|entry| (entry.index, entry.member)).collect()
}

/// One more validator, of whom nobody heard before: chance makes this too rarely.
fn newcomer(pen: &mut Pen, number: u8, now: LedgerTime) -> Signed {
    let enrolled = |seed| EnrolledKey { key: key(seed).public(), possession: key(seed).prove_possession(&pen.chain) };
    let name = format!("newcomer{number}").parse().expect("a name");
    let new = ValidatorKeys { name, vote: enrolled(10 + number), checkpoint: enrolled(30 + number) };
    pen.rule(Body::Validator(ValidatorChange::Add(new)), now.saturating_add_millis(1), &[1, 2, 3])
}

/// A change of the validators, the parameters or the protocol, which may be wrong in any way.
fn ruling(pen: &mut Pen, submit_by: LedgerTime, random: &mut Random) -> Signed {
    let enrolled = |seed: u8, random: &mut Random| {
        let chain = if random.percent(90) { pen.chain } else { Digest::ZERO };
        EnrolledKey { key: key(seed).public(), possession: key(seed).prove_possession(&chain) }
    };
    // Seeds from 100 on are the genesis', some below 10 an authority's; each of the others may come more than once.
    let seed = |random: &mut Random| match random.below(12) {
        0 => *random.pick(&[2, 100, 201]),
        _ => 60 + random.below(40) as u8,
    };
    let voter = |random: &mut Random| {
        let seed = if random.percent(60) { 100 + random.below(4) as u8 } else { 60 + random.below(40) as u8 };
        key(seed).public().id()
    };
    let validator = |random: &mut Random| {
        let name = match random.below(12) {
            0 => (*random.pick(&["validator0", "org2"])).to_owned(),
            _ => format!("later{}", random.below(30)),
        };
        let (vote, checkpoint) = (seed(random), seed(random));
        let name = name.parse().expect("a name");
        ValidatorKeys { name, vote: enrolled(vote, random), checkpoint: enrolled(checkpoint, random) }
    };
    // As it stands in the genesis, with a new voting key.
    let renewed = |random: &mut Random| {
        let number = random.below(4) as usize;
        let kept = genesis().validators.swap_remove(number);
        let new = ValidatorKeys { vote: enrolled(seed(random), random), ..kept.clone() };
        ValidatorChange::Replace { old: kept.vote.key.id(), new }
    };
    let body = match random.below(10) {
        0..=3 => Body::Validator(ValidatorChange::Add(validator(random))),
        4 => Body::Validator(ValidatorChange::Remove(voter(random))),
        5 => Body::Validator(ValidatorChange::Replace { old: voter(random), new: validator(random) }),
        6 => Body::Validator(renewed(random)),
        7 | 8 => {
            let some = |random: &mut Random, choices: &[u64]| *random.pick(choices);
            Body::Parameter(ParameterChange::Set(Parameters {
                submit_ahead_ms_max: some(random, &[HOUR_MS, HOUR_MS, HOUR_MS / 2, 2 * HOUR_MS, 0, u64::MAX]),
                clock_bound_ms: some(random, &[500, 500, 1, 86_400_000, 0, 86_400_001]),
                proposal_age_ms_max: some(random, &[2000, 0, 499, 86_400_000, 86_400_001]),
            }))
        }
        _ => Body::Parameter(ParameterChange::Activate {
            protocol: *random.pick(&[3, 3, 2, 0, 65_535, 65_536]),
            height: 1 + random.below(20) + if random.percent(20) { 1_000_000 } else { 0 },
        }),
    };
    let signers: &[u8] = match random.below(10) {
        // A root alone; too few keys of the second; not the root that is named; a key of nobody's.
        0 => &[1],
        1 => &[1, 4],
        2 => &[2, 3, 5],
        3 => &[1, 2, 3, 9],
        4 | 5 => &[1, 6],
        _ => &[1, 2, 3],
    };
    pen.rule(body, submit_by, signers)
}

fn entry(now: u64, random: &mut Random) -> Access {
    let effect = if random.percent(30) { Effect::Deny } else { Effect::Grant };
    let act = *random.pick(&["read", "read", "*", "member", "member", "member"]);
    let of_roles = act == "member" || random.percent(15);
    let roles = |text: &&str| text.starts_with("role:") == of_roles || *text == "*";
    let objects: Vec<&str> = OBJECTS.into_iter().filter(roles).collect();
    let (sub, obj) = (*random.pick(&SUBJECTS), *random.pick(&objects));
    let mut entry = access(effect, sub, act, obj);
    let near = |random: &mut Random| time(now - HOUR_MS / 2 + random.below(2 * HOUR_MS));
    entry.iss = random.percent(30).then(|| near(random));
    entry.exp = random.percent(50).then(|| near(random));
    entry.cond = random.percent(30).then(|| "context.x == 1".into());
    entry.reference = random.percent(10).then(|| "ticket Nº 7".into());
    entry
}

/// A grant over a role, of which a condition says whether the subject is denied it: chance makes this too rarely.
fn doubtful_role(pen: &mut Pen, now: LedgerTime) -> [Signed; 3] {
    let mut denial = access(Effect::Deny, "user:a", "member", "role:s/t");
    denial.cond = Some("context.x == 1".into());
    let member = access(Effect::Grant, "user:a", "member", "role:s/t");
    let grant = access(Effect::Grant, "role:s/t", "read", "file:org2/b");
    [denial, member, grant].map(|entry| pen.sign("org1", Body::Access(entry), now.saturating_add_millis(1)))
}

/// A record that no chain takes.
fn wrong(pen: &mut Pen, by: &str, submit_by: LedgerTime, random: &mut Random) -> Signed {
    let mut statement = pen.statement(by, Body::Access(access(Effect::Grant, "user:eve", "*", "file:a")), submit_by);
    match random.below(5) {
        0 => statement.chain = Digest([7; 32]),
        1 => statement.authority = "org9".parse().expect("a name"),
        _ => {}
    }
    let own = AUTHORITIES.into_iter().find(|(name, ..)| *name == by).map_or(1, |(_, keys, _)| keys[0]);
    let (bytes, _) = statement.signed_bytes().expect("well formed");
    let signature = match random.below(3) {
        0 => key(9).sign_in(Domain::Record, &bytes),
        1 => key(own).sign_in(Domain::Record, &bytes),
        _ => Signature([3; 64]),
    };
    let signer = if random.percent(70) { key(own) } else { key(9) };
    Signed::assemble(bytes, vec![(signer.public().id(), signature)]).expect("well formed")
}

#[test]
fn what_liars_put_into_their_blocks_is_judged_alike() {
    let mut random = Random::from_environment("verifier-forged");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut good, mut bad, mut sets) = (0, 0, 0);
    for _ in 0..4 {
        let ledger = Ledger::random(&mut random);
        let follow = ledger.blocks.windows(2);
        sets += follow.filter(|pair| pair[0].next_validators != pair[1].next_validators).count();
        let mut files = vec![(ledger.export(), "honest".to_owned())];
        files.extend((0..50).map(|_| ledger.forged(&mut random)));
        let verdicts = compare(folder.path(), &ledger.genesis.chain_id(), &files);
        assert_eq!(
            verdicts[0],
            ledger.is_known(),
            "what was built is good, as far as it is under a protocol that they speak"
        );
        good += verdicts.iter().filter(|good| **good).count();
        bad += verdicts.iter().filter(|good| !**good).count();
    }
    println!("{good} good, {bad} bad, {sets} changes of the validators");
    assert!(bad > 100, "only {bad} of {} forgeries are bad", good + bad);
    assert!(sets > 3, "only {sets} changes of the validators");
}

/// Whether each file is good, once the verifier and the audit agree about it.
fn compare(folder: &std::path::Path, chain: &Digest, files: &[(Vec<u8>, String)]) -> Vec<bool> {
    let paths: Vec<PathBuf> = files.iter().enumerate().map(|(at, (bytes, _))| keep(folder, at, bytes)).collect();
    let judged = judge(&paths, Some(chain));
    let both = files.iter().zip(&judged).map(|((bytes, what), theirs)| {
        let ours = audit_export([bytes], Some(chain)).err();
        assert_alike(what, theirs, ours.as_ref());
        ours.is_none()
    });
    both.collect()
}

#[test]
fn conditions_count_as_indeterminate_in_both() {
    let mut random = Random::from_environment("verifier-conditions");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut whys = std::collections::BTreeMap::<_, usize>::new();
    for number in 0..4 {
        let ledger = loop {
            let ledger = Ledger::random(&mut random);
            if ledger.is_known() {
                break ledger;
            }
        };
        let file = keep(folder.path(), number, &ledger.export());
        let (mut questions, mut asked) = (Vec::new(), Vec::new());
        for _ in 0..300 {
            let exact = |random: &mut Random, texts: &[&'static str]| loop {
                let text = *random.pick(texts);
                if !text.contains('*') {
                    break text;
                }
            };
            let (mut sub, mut obj) = (exact(&mut random, &SUBJECTS), exact(&mut random, &OBJECTS));
            let mut act = *random.pick(&[Some("read"), Some("write"), Some("member"), None]);
            let mut lo = START_MS + random.below(3 * HOUR_MS / 2);
            // Mostly about what some entry speaks of.
            if let Says::Access(entry) = &random.pick(&ledger.log).says {
                let one_of = |texts: &[&'static str], text: &str| texts.iter().copied().find(|one| *one == text);
                let is_exact = |text: &&str| !text.contains('*');
                let own = one_of(&SUBJECTS, entry.sub.as_str()).filter(|text| is_exact(text) && random.percent(50));
                sub = own.unwrap_or(sub);
                obj = one_of(&OBJECTS, entry.obj.as_str()).filter(is_exact).unwrap_or(obj);
                act = one_of(&["read", "write", "member"], entry.act.as_str()).map_or(act, Some);
                lo = entry.iss.map_or(lo, |iss| iss.as_millis() + random.below(MINUTE_MS));
            }
            if random.percent(10) {
                (sub, obj, act) = ("user:a", "file:org2/b", Some("read"));
            }
            let hi = lo + if random.percent(50) { 0 } else { random.below(10 * MINUTE_MS) };
            let heights = ledger.blocks.len() as u64 + 1;
            let height = random.below(heights).max(random.below(heights)).max(random.below(heights));
            questions.push(json!({ "sub": sub, "obj": obj, "act": act, "at": [lo, hi], "height": height }));
            let name = |text| Name::parse_full(text).expect("a full name");
            let act = act.map(|act| Action::parse(act).expect("an action"));
            let question = Question { sub: name(sub), act, obj: name(obj) };
            let moment = Moment { interval: Interval::new(time(lo), time(hi)).expect("in order"), height };
            let expected = resolve(ledger.state.index(), &question, &moment, &|_| Truth::Indeterminate);
            asked.push((question, moment, expected));
        }
        let found = answers(&file, &ledger.genesis.chain_id(), &questions);
        for ((theirs, (question, moment, expected)), line) in found.iter().zip(&asked).zip(&questions) {
            assert_same_decision(line, theirs, expected.why.as_str(), &places_of(&ledger.state, expected), || {
                naive::decide(&ledger.log, question, moment, &|_| Truth::Indeterminate)
            });
            *whys.entry(expected.why.as_str()).or_default() += 1;
        }
    }
    println!("{whys:?}");
    assert!(whys.len() == 4 && whys.values().all(|count| *count > 5), "one-sided: {whys:?}");
}

#[test]
fn the_bounds_are_the_same_to_the_last_record() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let chain = genesis().chain_id();
    let mut pen = Pen { chain, nonce: 0 };
    let at = |minutes: u64| time(START_MS + minutes * MINUTE_MS);
    let grant = |pen: &mut Pen, sub: &str, act: &str, obj: &str| {
        pen.sign("org1", Body::Access(access(Effect::Grant, sub, act, obj)), at(30))
    };
    let revoke = |pen: &mut Pen, by: &str, target: RecordId| {
        pen.sign(by, Body::Revoke(Revoke { target, effect: Effect::Grant }), at(30))
    };
    let mut files = Vec::new();

    // One grant, one membership too many; and one that fits since another was revoked.
    let mut ledger = Ledger::empty();
    let mut same: Vec<Signed> =
        (0..LIVE_GRANTS_PER_KEY_MAX).map(|_| grant(&mut pen, "user:a", "read", "file:a")).collect();
    let role = |number: usize| format!("role:r{number}");
    same.extend((0..LIVE_MEMBERSHIPS_PER_SUBJECT_MAX).map(|at| grant(&mut pen, "user:a", "member", &role(at))));
    ledger.append(at(1), same.clone());
    let more = [grant(&mut pen, "user:a", "read", "file:a"), grant(&mut pen, "user:a", "member", "role:more")];
    ledger.append(at(2), more.to_vec());
    assert_eq!(ledger.kept_out.len(), 2, "both are beyond a bound");
    for record in &more {
        let mut forged = ledger.blocks.clone();
        forged[1].records.push((record.bytes().to_vec(), Outcome::Accepted));
        files.push((forge(&ledger.genesis, &forged), "one beyond a bound".to_owned()));
    }
    let ends: Vec<Signed> =
        [&same[0], &same[LIVE_GRANTS_PER_KEY_MAX]].map(|one| revoke(&mut pen, "org1", one.id())).into();
    ledger.append(at(3), [ends, more.to_vec()].concat());
    assert_eq!(ledger.kept_out.len(), 2, "there is room again");
    files.push((ledger.export(), "room again".to_owned()));

    // Rejected records of one key.
    let mut ledger = Ledger::empty();
    let outside =
        |pen: &mut Pen| pen.sign("org3", Body::Access(access(Effect::Deny, "user:a", "read", "file:a")), at(30));
    ledger.append(at(1), (0..=REJECTED_PER_KEY_MAX).map(|_| outside(&mut pen)).collect());
    assert_eq!((ledger.blocks[0].records.len(), ledger.kept_out.len()), (REJECTED_PER_KEY_MAX, 1));
    files.push((ledger.export(), "as many rejected records as may be".to_owned()));
    let mut forged = ledger.blocks.clone();
    forged[0].records.push((ledger.kept_out[0].1.clone(), Outcome::Rejected(Code::OutOfScope)));
    files.push((forge(&ledger.genesis, &forged), "a rejected record too many".to_owned()));

    // Revocations that wait: one more is rejected, also in the block in which one ceases to wait, though what ends the
    // wait is itself rejected; in the next block there is room.
    let mut ledger = Ledger::empty();
    let denial = outside(&mut pen);
    let mut early = || {
        let target = grant(&mut pen, "user:w", "read", "file:w").id();
        revoke(&mut pen, "org1", target)
    };
    let mut waiting: Vec<Signed> = (1..WAITING_REVOCATIONS_MAX).map(|_| early()).collect();
    let (one, two, three) = (early(), early(), early());
    waiting.push(revoke(&mut pen, "org1", denial.id()));
    ledger.append(at(1), [waiting, vec![one]].concat());
    ledger.append(at(2), vec![denial, two]);
    ledger.append(at(3), vec![three]);
    let outcomes = |height: usize| ledger.blocks[height - 1].records.last().map(|(_, outcome)| *outcome);
    let full = Some(Outcome::Rejected(Code::LimitExceeded));
    assert_eq!((outcomes(1), outcomes(2), outcomes(3)), (full, full, Some(Outcome::Accepted)));
    files.push((ledger.export(), "as many waiting revocations as may be".to_owned()));

    let good = compare(folder.path(), &chain, &files);
    assert_eq!(good, [false, false, true, true, false, true]);
}

#[test]
fn what_the_root_quorum_may_say_is_the_same_in_both() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let chain = genesis().chain_id();
    let at = |minutes: u64| time(START_MS + minutes * MINUTE_MS);
    let enrolled =
        |seed, chain: &Digest| EnrolledKey { key: key(seed).public(), possession: key(seed).prove_possession(chain) };
    let new = |name: &str, vote, checkpoint| ValidatorKeys {
        name: name.parse().expect("a name"),
        vote: enrolled(vote, &chain),
        checkpoint: enrolled(checkpoint, &chain),
    };
    let add = |validator| Body::Validator(ValidatorChange::Add(validator));
    let remove = |seed| Body::Validator(ValidatorChange::Remove(key(seed).public().id()));
    let replace = |seed, new| Body::Validator(ValidatorChange::Replace { old: key(seed).public().id(), new });
    let set = |ahead, clock, age| {
        Body::Parameter(ParameterChange::Set(Parameters {
            submit_ahead_ms_max: ahead,
            clock_bound_ms: clock,
            proposal_age_ms_max: age,
        }))
    };
    let activate = |protocol, height| Body::Parameter(ParameterChange::Activate { protocol, height });
    let first = genesis().validators[0].clone();
    let from_genesis =
        |validator: ValidatorKeys, seed| ValidatorKeys { vote: enrolled(seed, &Digest::ZERO), ..validator };
    let good_one = || new("one", 60, 61);

    // What is said, by the keys of whom (in the name of `org1`), and whether it may be: in block 3, where validator `past`
    // (50, 51) has come in block 1 and gone in block 2.
    let quorum: &[u8] = &[1, 2, 3];
    let cases: Vec<(&str, Vec<Body>, &[u8], bool)> = vec![
        ("one more", vec![add(good_one())], quorum, true),
        ("by all three", vec![add(good_one())], &[1, 2, 4, 5], true),
        ("by the third for the second", vec![add(good_one())], &[1, 6], true),
        ("by one root", vec![add(good_one())], &[1], false),
        ("by one root and a half", vec![add(good_one())], &[1, 4], false),
        ("not by the one that is named", vec![add(good_one())], &[2, 3, 5], false),
        ("by a validator too", vec![add(good_one())], &[1, 2, 3, 100], false),
        ("parameters by one root", vec![set(HOUR_MS, 1, 1)], &[1], false),
        ("a protocol by one root", vec![activate(3, 20)], &[1], false),
        ("an authority's name", vec![add(new("org3", 60, 61))], quorum, false),
        ("a validator's name", vec![add(new("validator2", 60, 61))], quorum, false),
        ("a past one's name", vec![add(new("past", 60, 61))], quorum, false),
        ("a past one's key", vec![add(new("one", 60, 50))], quorum, false),
        ("an authority's key", vec![add(new("one", 4, 61))], quorum, false),
        ("another's checkpoint key", vec![add(new("one", 203, 61))], quorum, false),
        ("one key for both", vec![add(new("one", 60, 60))], quorum, false),
        ("a possession for a genesis", vec![add(from_genesis(good_one(), 60))], quorum, false),
        ("two with one name", vec![add(good_one()), add(new("one", 62, 63))], quorum, false),
        ("two with one key", vec![add(good_one()), add(new("two", 62, 61))], quorum, false),
        ("two", vec![add(good_one()), add(new("two", 62, 63))], quorum, true),
        ("one less", vec![remove(100)], quorum, true),
        ("one less, by its checkpoint key", vec![remove(200)], quorum, false),
        ("one less twice", vec![remove(100), remove(100)], quorum, false),
        ("all but one", vec![remove(100), remove(101), remove(102)], quorum, true),
        ("all", vec![remove(100), remove(101), remove(102), remove(103)], quorum, false),
        ("come and gone", vec![add(good_one()), remove(60)], quorum, true),
        ("come, gone, come again", vec![add(good_one()), remove(60), add(good_one())], quorum, false),
        ("new keys", vec![replace(100, new("validator0", 60, 61))], quorum, true),
        ("new keys and another name", vec![replace(100, good_one())], quorum, true),
        (
            "a new voting key",
            vec![replace(100, ValidatorKeys { vote: enrolled(60, &chain), ..first.clone() })],
            quorum,
            true,
        ),
        (
            "a new checkpoint key",
            vec![replace(100, ValidatorKeys { checkpoint: enrolled(60, &chain), ..first.clone() })],
            quorum,
            true,
        ),
        ("no new key", vec![replace(100, first.clone())], quorum, false),
        ("only a new possession", vec![replace(100, new("validator0", 100, 200))], quorum, false),
        ("a new one for who is not there", vec![replace(50, good_one())], quorum, false),
        ("a new key that is its checkpoint key", vec![replace(100, new("validator0", 200, 61))], quorum, false),
        ("replaced twice", vec![replace(100, good_one()), replace(60, new("one", 62, 63))], quorum, true),
        ("replaced by what was replaced", vec![replace(100, good_one()), replace(60, first.clone())], quorum, false),
        ("parameters", vec![set(1, 1, 999), set(315_360_000_000, 86_400_000, 86_400_000)], quorum, true),
        ("too little for a proposal", vec![set(1, 1, 998)], quorum, false),
        ("no time", vec![set(0, 1, 999)], quorum, false),
        ("too much time", vec![set(315_360_000_001, 1, 999)], quorum, false),
        ("no clock bound", vec![set(1, 0, 1000)], quorum, false),
        ("too wide a clock bound", vec![set(1, 86_400_001, 0)], quorum, false),
        ("too old a proposal", vec![set(1, 1, 86_400_001)], quorum, false),
        ("the next protocol", vec![activate(3, 11)], quorum, true),
        ("the last protocol, at last", vec![activate(65_535, 1_000_003)], quorum, true),
        ("a protocol too early", vec![activate(3, 10)], quorum, false),
        ("a protocol too late", vec![activate(3, 1_000_004)], quorum, false),
        ("this protocol", vec![activate(2, 11)], quorum, false),
        ("a protocol that no header can say", vec![activate(65_536, 11)], quorum, false),
        ("two protocols", vec![activate(3, 11), activate(4, 12)], quorum, false),
    ];
    let mut pen = Pen { chain, nonce: 0 };
    let (mut files, mut expected) = (Vec::new(), Vec::new());
    for (what, bodies, signers, good) in cases {
        let mut ledger = Ledger::empty();
        let before = [add(new("past", 50, 51)), remove(50)].map(|body| pen.rule(body, at(30), quorum));
        for (record, minutes) in before.into_iter().zip(1..) {
            ledger.append(at(minutes), vec![record]);
        }
        let records: Vec<Signed> = bodies.into_iter().map(|body| pen.rule(body, at(30), signers)).collect();
        ledger.append(at(3), records.clone());
        // Whoever votes for the next block has taken over what this one did.
        ledger.append(at(4), Vec::new());
        assert_eq!(ledger.kept_out.is_empty(), good, "{what}");
        let put_in = records.iter().map(|record| (record.bytes().to_vec(), Outcome::Accepted)).collect();
        ledger.blocks[2].records = put_in;
        files.push((ledger.export(), what.to_owned()));
        expected.push(good);
    }
    assert_eq!(compare(folder.path(), &chain, &files), expected);
}

#[test]
fn parameters_hold_from_the_next_block_on_in_both() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let chain = genesis().chain_id();
    let at = |minutes: u64| time(START_MS + minutes * MINUTE_MS);
    let mut pen = Pen { chain, nonce: 0 };
    let mut files = Vec::new();
    // How far ahead the new bound and a grant's `submit_by` are, in minutes: the bound before is an hour.
    for (bound, ahead) in [(10, 30), (120, 90)] {
        for block in [1, 2] {
            let parameters = Parameters { submit_ahead_ms_max: bound * MINUTE_MS, ..Parameters::default() };
            let set = pen.rule(Body::Parameter(ParameterChange::Set(parameters)), at(30), &[1, 2, 3]);
            let entry = access(Effect::Grant, "user:a", "read", "file:a");
            let grant = pen.sign("org1", Body::Access(entry), at(block + ahead));
            let mut ledger = Ledger::empty();
            let (first, second) =
                if block == 1 { (vec![set, grant.clone()], Vec::new()) } else { (vec![set], vec![grant.clone()]) };
            ledger.append(at(1), first);
            ledger.append(at(2), second);
            let good = ledger.kept_out.is_empty();
            assert_eq!(good, (block == 1) == (ahead <= 60), "{bound} minutes, {ahead} ahead in block {block}");
            if !good {
                let put_in = (grant.bytes().to_vec(), Outcome::Accepted);
                ledger.blocks[block as usize - 1].records.push(put_in);
            }
            files.push((ledger.export(), format!("{bound} minutes, {ahead} ahead in block {block}")));
        }
    }
    assert_eq!(compare(folder.path(), &chain, &files), [true, false, false, true]);
}

#[test]
fn both_stop_at_a_protocol_that_they_do_not_speak() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut ledger = Ledger::empty();
    let chain = ledger.genesis.chain_id();
    let at = |minutes: u64| time(START_MS + minutes * MINUTE_MS);
    let body = Body::Parameter(ParameterChange::Activate { protocol: 3, height: 9 });
    let record = Pen { chain, nonce: 0 }.rule(body, at(30), &[1, 2, 3]);
    ledger.append(at(1), vec![record]);
    (2..9).for_each(|minutes| ledger.append(at(minutes), Vec::new()));
    let before = ledger.export();
    ledger.append(at(9), Vec::new());
    let versions: Vec<u16> = ledger.blocks.iter().map(|block| block.version).collect();
    assert_eq!(versions, [2, 2, 2, 2, 2, 2, 2, 2, 3]);
    let beyond = ledger.export();
    let mut early = ledger.blocks.clone();
    early[7].version = 3;
    let mut late = ledger.blocks.clone();
    late[8].version = 2;
    let files = [
        (before, "up to the activation".to_owned()),
        (beyond, "beyond it".to_owned()),
        (forge(&ledger.genesis, &early), "too early".to_owned()),
        (forge(&ledger.genesis, &late), "under the old version".to_owned()),
    ];
    assert_eq!(compare(folder.path(), &chain, &files), [true, false, false, false]);
}

#[test]
fn a_root_that_leads_to_too_many_roles_loses_its_own_grants_in_both() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut ledger = Ledger::empty();
    let mut pen = Pen { chain: ledger.genesis.chain_id(), nonce: 0 };
    let at = |minutes: u64| time(START_MS + minutes * MINUTE_MS);
    let mut sign = |by: &str, effect, sub: &str, act: &str, obj: &str| {
        pen.sign(by, Body::Access(access(effect, sub, act, obj)), at(30))
    };
    let mut records = Vec::new();
    // 64 roles, and 17 behind each: more than 1024.
    for first in 10..74 {
        records.push(sign("org1", Effect::Grant, "user:a", "member", &format!("role:{first}")));
        for second in 10..27 {
            let (sub, obj) = (format!("role:{first}"), format!("role:{first}/{second}"));
            records.push(sign("org1", Effect::Grant, &sub, "member", &obj));
        }
    }
    records.extend([
        sign("org1", Effect::Grant, "user:a", "read", "file:own"),
        sign("org3", Effect::Grant, "user:a", "read", "file:other"),
        sign("org3", Effect::Grant, "user:a", "member", "role:safe"),
        sign("org3", Effect::Grant, "role:safe", "read", "file:over-safe"),
        sign("org3", Effect::Grant, "role:10", "read", "file:over-cut"),
        sign("org1", Effect::Deny, "role:10/10", "read", "file:denied"),
        sign("org1", Effect::Deny, "role:73/26", "read", "file:beyond"),
        sign("org3", Effect::Grant, "user:a", "read", "file:*"),
    ]);
    ledger.append(at(1), records);
    assert!(ledger.kept_out.is_empty(), "all of it is admissible");
    let file = keep(folder.path(), 0, &ledger.export());
    let asked = ["own", "other", "over-safe", "over-cut", "denied", "beyond"].map(|file| format!("file:{file}"));
    let line = |obj: &String| json!({ "sub": "user:a", "obj": obj, "act": "read", "at": at(2).as_millis() });
    let found = answers(&file, &ledger.genesis.chain_id(), &asked.each_ref().map(line));
    for (obj, theirs) in asked.iter().zip(&found) {
        let name = |text| Name::parse_full(text).expect("a full name");
        let act = Some(Action::parse("read").expect("an action"));
        let question = Question { sub: name("user:a"), act, obj: name(obj) };
        let moment = Moment { interval: Interval::at(at(2)), height: 1 };
        let expected = resolve(ledger.state.index(), &question, &moment, &|_| Truth::Indeterminate);
        assert_eq!(expected.cut_roots.len(), 1, "{obj}: one root is cut");
        assert_eq!(
            (expected.why == Why::Deny, expected.why == Why::Grant),
            (obj == "file:denied", obj != "file:denied")
        );
        assert_same_decision(&json!(obj), theirs, expected.why.as_str(), &places_of(&ledger.state, &expected), || {
            naive::decide(&ledger.log, &question, &moment, &|_| Truth::Indeterminate)
        });
    }
}

#[test]
fn a_genesis_that_starts_no_chain_is_refused_by_both() {
    type Change = fn(&mut Genesis);
    let changes: [(&str, bool, Change); 28] = [
        ("nothing", true, |_| ()),
        ("two authorities with a key in common", true, |g| g.authorities[1].keys[2] = g.authorities[0].keys[0]),
        ("a rule that allows nothing", true, |g| g.authorities[0].scope.rules[0].grants = false),
        ("the first protocol", true, |g| g.protocol = 1),
        ("the next protocol", false, |g| g.protocol = 3),
        ("no protocol", false, |g| g.protocol = 0),
        ("no name", false, |g| g.chain.clear()),
        ("a name with a plus", false, |g| g.chain.push('+')),
        ("a name with a space", false, |g| g.chain.push(' ')),
        ("a name that is too long", false, |g| g.chain = "a".repeat(256)),
        ("no time to submit", false, |g| g.parameters.submit_ahead_ms_max = 0),
        ("no clock bound", false, |g| g.parameters.clock_bound_ms = 0),
        ("too little for a proposal to arrive", false, |g| g.parameters.proposal_age_ms_max = 499),
        ("just enough for it", true, |g| g.parameters.proposal_age_ms_max = 500),
        ("ten years to submit", true, |g| g.parameters.submit_ahead_ms_max = 315_360_000_000),
        ("more than that", false, |g| g.parameters.submit_ahead_ms_max = 315_360_000_001),
        ("clocks that may be a day apart", false, |g| g.parameters.clock_bound_ms = 86_400_001),
        ("a proposal of the day before", false, |g| g.parameters.proposal_age_ms_max = 86_400_001),
        ("no quorum", false, |g| g.root_quorum = 0),
        ("a quorum of more than there are", false, |g| g.root_quorum = 4),
        ("an authority twice", false, |g| g.authorities[1].name = g.authorities[0].name.clone()),
        ("a key twice in an authority", false, |g| g.authorities[1].keys[2] = g.authorities[1].keys[0]),
        ("more signatures than keys", false, |g| g.authorities[0].threshold = 2),
        ("no signature", false, |g| g.authorities[0].threshold = 0),
        ("no rules", false, |g| g.authorities[0].scope.rules.clear()),
        ("a validator twice", false, |g| g.validators[1].name = g.validators[0].name.clone()),
        ("one key to vote and to cosign", false, |g| g.validators[1].checkpoint = g.validators[0].vote),
        ("an authority's key that votes", false, |g| g.validators[1].vote = g.authorities[0].keys[0]),
    ];
    let another: Change = |g| g.validators[1].vote.possession = g.validators[0].vote.possession;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let with = |(what, is_good, change): (&'static str, bool, Change)| {
        let mut genesis = genesis();
        change(&mut genesis);
        (forge(&genesis, &[]), what, is_good)
    };
    let made: Vec<_> = changes.into_iter().chain([("another key's possession", false, another)]).map(with).collect();
    let paths: Vec<PathBuf> = made.iter().enumerate().map(|(at, (bytes, ..))| keep(folder.path(), at, bytes)).collect();
    for ((bytes, what, is_good), theirs) in made.iter().zip(judge(&paths, None)) {
        let ours = audit_export([bytes], None).err();
        assert_eq!(ours.is_none(), *is_good, "{what}: {ours:?}");
        assert_alike(what, &theirs, ours.as_ref());
    }
}

#[test]
fn what_a_set_may_hold_is_the_same_in_both() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let chain = genesis().chain_id();
    let at = |minutes: u64| time(START_MS + minutes * MINUTE_MS);
    let mut pen = Pen { chain, nonce: 0 };
    let says = |effect, sub: &str, obj: &str| SetMember::Access(access(effect, sub, "read", obj));
    let gives = |sub: &str| says(Effect::Grant, sub, "file:org2/x");
    let ends = |target, effect| SetMember::Revoke(Revoke { target, effect });
    let own = pen.sign("org1", Body::Access(access(Effect::Grant, "user:a", "read", "file:a")), at(30));
    let denial = pen.sign("org1", Body::Access(access(Effect::Deny, "user:b", "read", "file:a")), at(30));
    let foreign = pen.sign("org3", Body::Access(access(Effect::Grant, "user:c", "read", "file:a")), at(30));
    let rejected = pen.sign("org2", Body::Access(access(Effect::Deny, "user:d", "write", "file:a")), at(30));
    let early =
        pen.sign("org1", Body::Revoke(Revoke { target: RecordId(Digest([9; 32])), effect: Effect::Grant }), at(30));
    let lift = pen.sign("org1", Body::Revoke(Revoke { target: denial.id(), effect: Effect::Deny }), at(30));
    let first = [own.clone(), denial.clone(), foreign.clone(), rejected.clone(), early.clone()];
    // Leaves 0 to 4 and the commit leaf 5; leaf 6 is the lift, 7 its commit leaf.
    let size = 8;
    let (own, denial, foreign, nobody) = (own.id(), denial.id(), foreign.id(), RecordId(Digest([8; 32])));
    type Case = (&'static str, Vec<SetMember>, Option<u64>, bool);
    let cases: Vec<Case> = vec![
        ("one grant", vec![gives("user:a")], None, true),
        ("the end of a grant and a denial", vec![ends(own, Effect::Grant), ends(denial, Effect::Deny)], None, true),
        ("the end of one twice", vec![ends(own, Effect::Grant), ends(own, Effect::Grant)], Some(size), true),
        ("the wrong effect", vec![gives("user:a"), ends(own, Effect::Deny)], None, false),
        ("a stranger's grant", vec![gives("user:a"), ends(foreign, Effect::Grant)], None, false),
        ("a grant that is not there", vec![ends(nobody, Effect::Grant)], None, false),
        ("a denial that is not there", vec![ends(nobody, Effect::Deny)], None, false),
        ("a revocation", vec![ends(early.id(), Effect::Grant)], None, false),
        ("what was rejected", vec![ends(rejected.id(), Effect::Deny)], None, false),
        ("as many as there may be", vec![gives("user:a"); 64], None, true),
        ("since the whole log", vec![says(Effect::Grant, "user:b", "file:a")], Some(size), true),
        ("since before the lift", vec![says(Effect::Grant, "user:b", "file:a")], Some(6), false),
        ("since before the lift, by its target", vec![ends(denial, Effect::Deny)], Some(6), false),
        ("since after the entry", vec![ends(own, Effect::Grant)], Some(1), true),
        ("since the entry", vec![ends(own, Effect::Grant)], Some(0), false),
        ("since beyond the log", vec![gives("user:e")], Some(size + 1), false),
        ("what it changes itself", vec![gives("user:e"), gives("user:e")], Some(size), true),
    ];
    let (mut files, mut expected) = (Vec::new(), Vec::new());
    for (what, members, unchanged_since, good) in cases {
        let mut ledger = Ledger::empty();
        ledger.append(at(1), first.to_vec());
        ledger.append(at(2), vec![lift.clone()]);
        assert!(ledger.kept_out.is_empty() && ledger.state.log().size() == size, "{what}");
        let set = pen.sign("org1", Body::Set(AtomicSet { members, unchanged_since }), at(30));
        ledger.append(at(3), vec![set.clone()]);
        ledger.append(at(4), Vec::new());
        assert_eq!(ledger.kept_out.is_empty(), good, "{what}");
        ledger.blocks[2].records = vec![(set.bytes().to_vec(), Outcome::Accepted)];
        files.push((ledger.export(), what.to_owned()));
        expected.push(good);
    }
    // Two of one block that race for a key; and one under the protocol that has none.
    for racers in [1, 2] {
        let mut ledger = Ledger::empty();
        let sets: Vec<Signed> = (0..racers)
            .map(|_| {
                let set = AtomicSet { members: vec![gives("user:a")], unchanged_since: Some(0) };
                pen.sign("org1", Body::Set(set), at(30))
            })
            .collect();
        ledger.append(at(1), sets.clone());
        assert_eq!(ledger.kept_out.len(), racers - 1);
        ledger.blocks[0].records = sets.iter().map(|set| (set.bytes().to_vec(), Outcome::Accepted)).collect();
        files.push((ledger.export(), format!("{racers} that race")));
        expected.push(racers == 1);
    }
    assert_eq!(compare(folder.path(), &chain, &files), expected);

    let mut ledger = Ledger::of(Genesis { protocol: 1, ..genesis() });
    let chain = ledger.genesis.chain_id();
    let set = AtomicSet { members: vec![gives("user:a")], unchanged_since: None };
    let set = Pen { chain, nonce: 0 }.sign("org1", Body::Set(set), at(30));
    ledger.append(at(1), vec![set.clone()]);
    assert_eq!(ledger.kept_out.len(), 1);
    ledger.blocks[0].records = vec![(set.bytes().to_vec(), Outcome::Accepted)];
    let files = [(ledger.export(), "a set under protocol 1".to_owned())];
    assert_eq!(compare(folder.path(), &chain, &files), [false]);
}
