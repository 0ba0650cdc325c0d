//! Chains of validators who lie together: whatever they put into their blocks, the verifier and the audit say the same
//! of it, and name the same block and part.
//!
//! The honest chains are made by the state machine in this process, with what nodes do not take in yet (conditions)
//! and what needs several keys; the forged ones are these with one thing wrong in one block.

use std::path::PathBuf;

use serde_json::json;
use writ_proto::audit::audit_export;
use writ_proto::block::Outcome;
use writ_proto::decision::{Moment, Question, Truth, Why, resolve};
use writ_proto::genesis::{Genesis, PROTOCOL, Parameters, RootAuthority};
use writ_proto::hash::{Digest, Domain};
use writ_proto::key::{SecretKey, Signature};
use writ_proto::limits::{
    LIVE_GRANTS_PER_KEY_MAX, LIVE_MEMBERSHIPS_PER_SUBJECT_MAX, REJECTED_PER_KEY_MAX, WAITING_REVOCATIONS_MAX,
};
use writ_proto::name::{Action, Name, Pattern};
use writ_proto::record::{
    Access, Body, Class, Effect, EnrolledKey, Nonce, RecordId, Revoke, Signed, Statement, ValidatorKeys,
};
use writ_proto::refusal::Code;
use writ_proto::scope::{Rule, Scope};
use writ_proto::state::State;
use writ_proto::time::{Interval, LedgerTime};
use writ_tests::forger::{Claimed, LIES, Lie, forge};
use writ_tests::issuer::access;
use writ_tests::random::Random;

use super::{answers, assert_alike, assert_same_decision, judge, keep};
use crate::naive::{self, LogRecord, Says};

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

/// Just a quorum of the validators.
fn voters() -> Vec<SecretKey> {
    (101..104).map(key).collect()
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
        let genesis = genesis();
        let state = State::new(genesis.clone()).expect("a good genesis");
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
            ledger.append(time, records);
        }
        ledger
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
        let proposer = self.genesis.validators[self.blocks.len() % 4].vote.key.id();
        let built = self.state.build(time, proposer, verified).expect("the time goes on");
        for (id, _) in &built.refused {
            let refused = records.iter().find(|record| record.id() == *id).expect("it was among them");
            self.kept_out.push((self.blocks.len(), refused.bytes().to_vec()));
        }
        let height = self.blocks.len() as u64 + 1;
        let accepted = built.changes.records.iter().filter(|placed| placed.outcome == Outcome::Accepted);
        self.log
            .extend(accepted.filter_map(|placed| LogRecord::new(placed.index, height, time, placed.record.signed())));
        let placed = built.changes.records.iter();
        let records = placed.map(|placed| (placed.record.signed().bytes().to_vec(), placed.outcome)).collect();
        self.blocks.push(Claimed { time, proposer, records, lie: Lie::None });
        self.state.commit(built.changes);
    }

    fn export(&self) -> Vec<u8> {
        forge(&self.genesis, &voters(), &self.blocks)
    }

    /// The same with one thing wrong, or one thing more that nobody can tell from right.
    fn forged(&self, random: &mut Random) -> (Vec<u8>, String) {
        let mut blocks = self.blocks.clone();
        let at = random.place(blocks.len());
        let block = &mut blocks[at];
        let count = block.records.len();
        let what = match random.below(12) {
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
        (forge(&self.genesis, &voters(), &blocks), format!("block {}: {what}", at + 1))
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
    let body = if !made.is_empty() && random.percent(25) {
        let (signer, target) = random.pick(made).clone();
        let effect = match target.body() {
            Body::Access(access) => access.effect,
            _ => Effect::Grant,
        };
        let other = if effect == Effect::Grant { Effect::Deny } else { Effect::Grant };
        let effect = if random.percent(85) { effect } else { other };
        let by = if random.percent(80) { signer } else { by };
        return pen.sign(by, Body::Revoke(Revoke { target: target.id(), effect }), submit_by);
    } else {
        Body::Access(loop {
            let made = entry(by_now, random);
            if made.check().is_ok() {
                break made;
            }
        })
    };
    let signed = pen.sign(by, body, submit_by);
    made.push((by, signed.clone()));
    if random.percent(6) {
        // Its revocation first; the record itself may never come.
        return pen.sign(by, Body::Revoke(Revoke { target: signed.id(), effect: Effect::Grant }), submit_by);
    }
    match random.percent(3) {
        // One that was made before, signed again or come again.
        true => random.pick(made).1.clone(),
        false => signed,
    }
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
    let (mut good, mut bad) = (0, 0);
    for _ in 0..4 {
        let ledger = Ledger::random(&mut random);
        let mut files = vec![(ledger.export(), "honest".to_owned())];
        files.extend((0..50).map(|_| ledger.forged(&mut random)));
        let verdicts = compare(folder.path(), &ledger.genesis.chain_id(), &files);
        assert!(verdicts[0], "what was built is good");
        good += verdicts.iter().filter(|good| **good).count();
        bad += verdicts.iter().filter(|good| !**good).count();
    }
    println!("{good} good, {bad} bad");
    assert!(bad > 100, "only {bad} of {} forgeries are bad", good + bad);
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
        let ledger = Ledger::random(&mut random);
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
            assert_same_decision(line, theirs, expected.why.as_str(), &expected.entries, || {
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
        files.push((forge(&ledger.genesis, &voters(), &forged), "one beyond a bound".to_owned()));
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
    files.push((forge(&ledger.genesis, &voters(), &forged), "a rejected record too many".to_owned()));

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
        assert_same_decision(&json!(obj), theirs, expected.why.as_str(), &expected.entries, || {
            naive::decide(&ledger.log, &question, &moment, &|_| Truth::Indeterminate)
        });
    }
}

#[test]
fn a_genesis_that_starts_no_chain_is_refused_by_both() {
    type Change = fn(&mut Genesis);
    let changes: [(&str, bool, Change); 20] = [
        ("nothing", true, |_| ()),
        ("two authorities with a key in common", true, |g| g.authorities[1].keys[2] = g.authorities[0].keys[0]),
        ("a rule that allows nothing", true, |g| g.authorities[0].scope.rules[0].grants = false),
        ("another protocol", false, |g| g.protocol = 2),
        ("no name", false, |g| g.chain.clear()),
        ("a name with a plus", false, |g| g.chain.push('+')),
        ("a name with a space", false, |g| g.chain.push(' ')),
        ("a name that is too long", false, |g| g.chain = "a".repeat(256)),
        ("no time to submit", false, |g| g.parameters.submit_ahead_ms_max = 0),
        ("no clock bound", false, |g| g.parameters.clock_bound_ms = 0),
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
        (forge(&genesis, &voters(), &[]), what, is_good)
    };
    let made: Vec<_> = changes.into_iter().chain([("another key's possession", false, another)]).map(with).collect();
    let paths: Vec<PathBuf> = made.iter().enumerate().map(|(at, (bytes, ..))| keep(folder.path(), at, bytes)).collect();
    for ((bytes, what, is_good), theirs) in made.iter().zip(judge(&paths, None)) {
        let ours = audit_export([bytes], None).err();
        assert_eq!(ours.is_none(), *is_good, "{what}: {ours:?}");
        assert_alike(what, &theirs, ours.as_ref());
    }
}
