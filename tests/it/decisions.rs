//! A real node and the naive evaluator give one answer: random ledgers, random questions, over HTTP.
//!
//! Most ledgers share one chain, each with names of its own, so that every look-up has strangers beside it; the others
//! have a chain to themselves and patterns that cover everything. The naive evaluator reads the blocks that the node
//! serves. Windows lie around the real now: while questions are asked, some begin and some end.
//!
//! 24 ledgers with 100 questions each, or as many ledgers as `WRIT_LEDGERS` says; the seed is printed.

use std::collections::BTreeMap;

use writ_proto::api::CheckAnswer;
use writ_proto::block::Outcome;
use writ_proto::decision::{Moment, Question, Truth, Why};
use writ_proto::name::{Action, Name};
use writ_proto::record::{Access, AtomicSet, Body, Effect, RecordId, SetMember, Signed};
use writ_proto::time::{Interval, LedgerTime};
use writ_tests::auditor::Follower;
use writ_tests::http::{Http, escape};
use writ_tests::issuer::{access, now};
use writ_tests::node::assert_sound;
use writ_tests::random::Random;
use writ_tests::world::World;

use crate::naive::{self, LogRecord};

const QUESTIONS: usize = 100;
const ROOTS: [&str; 2] = ["org1", "org2"];

#[test]
fn a_node_and_the_naive_evaluator_agree_on_random_ledgers() {
    let ledgers: u64 = match std::env::var("WRIT_LEDGERS") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("WRIT_LEDGERS is `{text}`, expected a number")),
        Err(_) => 24,
    };
    let mut random = Random::from_environment("decisions");
    let mut tally = Tally::default();
    // Chains of so many ledgers at most: the naive evaluator reads all of a chain for every question.
    let mut left = ledgers;
    while left > 0 {
        let here = left.min(24);
        let alone = here.div_ceil(8);
        play(&mut random, here - alone, false, &mut tally);
        for _ in 0..alone {
            play(&mut random, 1, true, &mut tally);
        }
        left -= here;
    }
    println!("{ledgers} ledgers: {tally:?}");
    assert_eq!(tally.whys.values().sum::<usize>(), ledgers as usize * QUESTIONS);
    // A generator that never comes to an answer, or never asks in some way, proves nothing about it.
    for why in [Why::Grant, Why::Deny, Why::NoMatch] {
        let count = tally.whys.get(why.as_str()).copied().unwrap_or(0);
        assert!(count * 50 > ledgers as usize * QUESTIONS, "only {count} answers `{}`", why.as_str());
    }
    assert!(tally.ways.len() == 5, "some way of asking is missing: {:?}", tally.ways);
}

#[derive(Debug, Default)]
struct Tally {
    whys: BTreeMap<String, usize>,
    ways: BTreeMap<&'static str, usize>,
    with_end: usize,
}

/// Writes so many ledgers onto one chain and asks about each, at once and again in the end.
fn play(random: &mut Random, ledgers: u64, alone: bool, tally: &mut Tally) {
    let world = World::new(&ROOTS);
    let mut node = world.run();
    let mut follower = Follower::new(world.genesis());
    let mut all = Vec::new();
    for number in 0..ledgers {
        let mut ledger = Ledger::new(number, alone, random);
        ledger.write(&world, node.http(), random);
        follower.follow(node.http());
        ask(node.http(), &follower, &ledger, QUESTIONS / 2, random, tally);
        all.push(ledger);
    }
    for ledger in &all {
        ask(node.http(), &follower, ledger, QUESTIONS - QUESTIONS / 2, random, tally);
    }
    assert!(node.stop().success());
    assert_sound(&world.home());
}

/// What a ledger is like: percentages.
struct Character {
    windows: u64,
    patterns: u64,
    memberships: u64,
    denials: u64,
    revocations: u64,
    sets: u64,
}

/// The names of one ledger, and what was said with them.
pub(crate) struct Ledger {
    character: Character,
    pub(crate) users: Vec<String>,
    pub(crate) roles: Vec<String>,
    pub(crate) files: Vec<String>,
    subject_patterns: Vec<String>,
    role_patterns: Vec<String>,
    object_patterns: Vec<String>,
    /// Entries made so far, each with its signer.
    made: Vec<(&'static str, Signed)>,
    /// Entries whose revocation went first.
    held_back: Vec<Signed>,
    pub(crate) instants: Vec<u64>,
}

impl Ledger {
    pub(crate) fn new(number: u64, alone: bool, random: &mut Random) -> Self {
        let character = Character {
            windows: *random.pick(&[0, 30, 60]),
            patterns: *random.pick(&[0, 15, 35]),
            memberships: *random.pick(&[10, 35, 50]),
            denials: *random.pick(&[0, 10, 30]),
            revocations: *random.pick(&[0, 10, 25]),
            sets: *random.pick(&[0, 10, 30]),
        };
        let names = |form: &str, ids: &[&str]| -> Vec<String> {
            ids.iter().map(|id| form.replace('#', &number.to_string()).replace('@', id)).collect()
        };
        let mut subject_patterns = names("u#:@", &["*", "org/*"]);
        let mut role_patterns = names("role:l#/@", &["*", "r1/*", "r1/x/*"]);
        let mut object_patterns = names("f#:@", &["*", "acl/*", "acl/x/*"]);
        subject_patterns.extend(role_patterns.iter().cloned());
        if alone {
            subject_patterns.extend(["*", "role:*"].map(str::to_owned));
            role_patterns.extend(["*", "role:*"].map(str::to_owned));
            object_patterns.push("*".to_owned());
        }
        Self {
            character,
            users: names("u#:@", &["a", "org/b", "org/x/c", "d"]),
            roles: names("role:l#/@", &["r0", "r1", "r1/x", "r1/x/y", "s"]),
            files: names("f#:@", &["acl", "acl2", "acl/", "acl/x", "acl/x/y"]),
            subject_patterns,
            role_patterns,
            object_patterns,
            made: Vec::new(),
            held_back: Vec::new(),
            instants: Vec::new(),
        }
    }

    /// Submits a few blocks' worth of records, single ones and batches. What the node refuses is not in the log.
    pub(crate) fn write(&mut self, world: &World, http: &Http, random: &mut Random) {
        for _ in 0..2 + random.below(8) {
            let count = 1 + random.below(12);
            let records: Vec<Signed> = (0..count).map(|_| self.record(world, random)).collect();
            http.submit_batch(&records);
        }
    }

    fn record(&mut self, world: &World, random: &mut Random) -> Signed {
        if !self.held_back.is_empty() && random.percent(30) {
            return self.held_back.swap_remove(random.place(self.held_back.len()));
        }
        if !self.made.is_empty() && random.percent(self.character.revocations) {
            let (by, target) = random.pick(&self.made).clone();
            return revocation(world, by, &target, random);
        }
        let by = *random.pick(&ROOTS);
        let body = match random.percent(self.character.sets) {
            true => {
                let members = (0..1 + random.below(4)).map(|_| SetMember::Access(self.entry(random))).collect();
                Body::Set(AtomicSet { members, unchanged_since: None })
            }
            false => Body::Access(self.entry(random)),
        };
        let signed = world.issuer(by).sign(body);
        self.made.push((by, signed.clone()));
        if random.percent(self.character.revocations / 4) {
            self.held_back.push(signed.clone());
            return revocation(world, by, &signed, random);
        }
        signed
    }

    fn entry(&mut self, random: &mut Random) -> Access {
        let denied = random.percent(self.character.denials);
        let effect = if denied { Effect::Deny } else { Effect::Grant };
        let patterns = random.percent(self.character.patterns);
        let sub = match patterns {
            true => random.pick(&self.subject_patterns),
            false if random.percent(55) => random.pick(&self.roles),
            false => random.pick(&self.users),
        };
        let (act, obj) = if random.percent(self.character.memberships) {
            // A denial of membership may use `*` and patterns; a grant may not.
            let act = if denied && random.percent(40) { "*" } else { "member" };
            let wide = denied && random.percent(30);
            (act, random.pick(if wide { &self.role_patterns } else { &self.roles }))
        } else {
            let patterns = random.percent(self.character.patterns);
            let exact = if random.percent(15) { &self.roles } else { &self.files };
            (
                *random.pick(&["read", "read", "write", "*"]),
                random.pick(if patterns { &self.object_patterns } else { exact }),
            )
        };
        let mut entry = access(effect, sub, act, obj);
        if random.percent(self.character.windows) {
            let (start, end) = (around_now(random), around_now(random));
            let (start, end) = (start.min(end), start.max(end) + 1);
            entry.iss = random.percent(60).then(|| time(start));
            entry.exp = random.percent(60).then(|| time(end));
            self.instants.extend([start, end]);
        }
        entry
    }

    /// A question: mostly about what some entry speaks of, asked for any subject or for its own.
    pub(crate) fn question(&self, random: &mut Random) -> (Question, String) {
        let subs = if random.percent(70) { &self.users } else { &self.roles };
        let objs = if random.percent(75) { &self.files } else { &self.roles };
        let (mut sub, mut obj) = (random.pick(subs).clone(), random.pick(objs).clone());
        let mut act = if obj.starts_with("role:") { "member" } else { *random.pick(&["read", "write"]) }.to_owned();
        if !self.made.is_empty() && random.percent(90) {
            let (_, signed) = random.pick(&self.made);
            if let Some(entry) = signed.entries().next().map(|made| made.access) {
                let exact = |text: &str| !text.contains('*');
                if exact(entry.sub.as_str()) && random.percent(60) {
                    sub = entry.sub.as_str().to_owned();
                }
                if exact(entry.act.as_str()) {
                    act = entry.act.as_str().to_owned();
                }
                if exact(entry.obj.as_str()) {
                    obj = entry.obj.as_str().to_owned();
                }
            }
        }
        let act = (!random.percent(10)).then_some(act);
        let mut query = format!("sub={}&obj={}", escape(&sub), escape(&obj));
        if let Some(act) = &act {
            query += &format!("&act={}", escape(act));
        }
        let name = |text: &str| Name::parse_full(text).expect("a full name");
        let act = act.map(|act| Action::parse(&act).expect("an action"));
        (Question { sub: name(&sub), act, obj: name(&obj) }, query)
    }
}

/// Most of the time a revocation that is right; sometimes a stranger's, or one of the wrong effect.
fn revocation(world: &World, by: &str, target: &Signed, random: &mut Random) -> Signed {
    let by = if random.percent(85) { by } else { *random.pick(&ROOTS) };
    let made: Vec<(RecordId, Effect)> = target.entries().map(|made| (made.id, made.access.effect)).collect();
    let (target, right) = *random.pick(&made);
    let other = if right == Effect::Grant { Effect::Deny } else { Effect::Grant };
    let effect = if random.percent(90) { right } else { other };
    world.issuer(by).revoke(target, effect)
}

fn around_now(random: &mut Random) -> u64 {
    let now = now().as_millis();
    if random.percent(70) { now - 3_000 + random.below(8_000) } else { now - 60_000 + random.below(120_000) }
}

fn time(millis: u64) -> LedgerTime {
    LedgerTime::from_millis(millis).expect("a time of the ledger")
}

/// Asks the node and the naive evaluator.
fn ask(http: &Http, follower: &Follower, ledger: &Ledger, count: usize, random: &mut Random, tally: &mut Tally) {
    let log: Vec<LogRecord> = follower
        .records()
        .iter()
        .filter(|logged| logged.outcome == Outcome::Accepted)
        .flat_map(|logged| LogRecord::all_of(logged.index, logged.height, logged.added, &logged.signed))
        .collect();
    let instants: Vec<u64> =
        follower.times().iter().map(|time| time.as_millis()).chain(ledger.instants.iter().copied()).collect();
    for _ in 0..count {
        let (question, mut query) = ledger.question(random);
        // Late ones mostly: they have more behind them.
        let (one, other) = (*random.pick(&instants), *random.pick(&instants));
        let instant = time(if random.percent(60) { one.max(other) } else { one } + random.below(3) - 1);
        let height = random.below(follower.height() + 1).max(random.below(follower.height() + 1));
        let way = *random.pick(&["now", "at", "height", "at and height", "as_of"]);
        let since_genesis = instant.max(follower.times()[0]).min(now());
        match way {
            "at" => query += &format!("&at={instant}"),
            "height" => query += &format!("&height={height}"),
            "at and height" => query += &format!("&at={instant}&height={height}"),
            "as_of" => query += &format!("&as_of={since_genesis}"),
            _ => {}
        }
        // Only an explanation tells the interval that `now` was.
        let before = now();
        let explained = matches!(way, "now" | "height") || random.percent(30);
        let answer = http.check(&format!("{query}{}", if explained { "&explain=true" } else { "" }));
        let interval = match way {
            "now" | "height" => interval_of(&answer, before),
            "as_of" => Interval::at(since_genesis),
            _ => Interval::at(instant),
        };
        let known = match way {
            "height" | "at and height" => height,
            "as_of" => follower.times().partition_point(|time| *time <= since_genesis) as u64 - 1,
            _ => follower.height(),
        };
        if let Some(explain) = &answer.explain {
            assert_eq!(explain.interval, [interval.lo(), interval.hi()], "{query}");
        }
        let moment = Moment { interval, height: known };
        let naive = naive::decide(&log, &question, &moment, &|_| Truth::Indeterminate);
        compare(&answer, &naive, &moment, &log).unwrap_or_else(|difference| {
            panic!("{query} ({way}, {moment:?}): {difference}\nnode:  {answer:?}\nnaive: {naive:?}\n{}", words(&log))
        });
        *tally.whys.entry(answer.why).or_default() += 1;
        *tally.ways.entry(way).or_default() += 1;
        tally.with_end += usize::from(answer.valid_until.is_some());
    }
}

/// The interval of a question without an instant: never before the last block, and around the clock.
fn interval_of(answer: &CheckAnswer, before: LedgerTime) -> Interval {
    let explain = answer.explain.as_ref().expect("an explanation was asked for");
    let [lo, hi] = explain.interval;
    assert_eq!(answer.at, hi);
    assert!(hi >= before, "now is {hi}, asked at {before}");
    assert!(hi.millis_since(now()) < 2_000, "now is {hi}, answered at {}", now());
    Interval::new(lo, hi).expect("an interval in order")
}

fn compare(answer: &CheckAnswer, naive: &naive::Answer, moment: &Moment, log: &[LogRecord]) -> Result<(), String> {
    let granted = naive.why == Why::Grant;
    let decision = if granted { Effect::Grant } else { Effect::Deny };
    if (answer.decision, answer.why.as_str()) != (decision, naive.why.as_str()) {
        return Err(format!("decision {:?} {}", answer.decision, answer.why));
    }
    if answer.height != moment.height || answer.at != moment.interval.hi() || answer.pending {
        return Err("height, at or pending".to_owned());
    }
    let mut entries = Vec::new();
    for id in &answer.entries {
        let entry = log.iter().find(|record| record.id == *id);
        entries.push(entry.ok_or_else(|| format!("{id} is not in the log"))?.place());
    }
    naive.agrees_with(naive.why, &entries, answer.valid_until)
}

fn words(log: &[LogRecord]) -> String {
    log.iter().map(|record| format!("{record:?}\n")).collect()
}
