//! Random ledgers, and random questions about them, from a seed.
//!
//! The universe of names is small and everything in it lies close together: the same subjects, nested
//! paths, patterns over them, roles in roles, windows that begin and end at block times or a
//! millisecond beside. So most records meet others, and most questions meet records. Each ledger has a
//! character of its own (many denials or none, many conditions or none), because an even mixture of
//! everything would nearly always answer `deny`.

use writ_proto::decision::{Moment, Question};
use writ_proto::name::{Action, Name};
use writ_proto::record::{Access, AtomicSet, Body, Effect, RecordId, Revoke, SetMember, Signed};
use writ_proto::time::{Interval, LedgerTime};

use crate::chain::{Chain, ROOTS, START_MS, access, revoke, sign, time};
use crate::naive::Says;

/// SplitMix64: small, and good enough to choose with.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True in `percent` of 100 cases.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of `choices`.
    pub(crate) fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize].clone()
    }

    /// `items` in another order.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at as u64 + 1) as usize);
        }
    }
}

const USERS: [&str; 4] = ["user:a", "user:org/b", "user:org/x/c", "thing:org/b"];
const ROLES: [&str; 5] = ["role:r0", "role:r1", "role:r1/x", "role:r1/x/y", "role:s"];
const SUBJECT_PATTERNS: [&str; 6] = ["*", "user:*", "user:org/*", "role:*", "role:r1/*", "role:r1/x/*"];
const FILES: [&str; 6] = ["file:acl", "file:acl2", "file:acl/", "file:acl/x", "file:acl/x/y", "thing:acl/x"];
const OBJECT_PATTERNS: [&str; 6] = ["*", "file:*", "file:acl/*", "file:acl/x/*", "role:*", "role:r1/*"];
const ACTIONS: [&str; 3] = ["read", "write", "member"];

/// What a ledger is like: percentages.
struct Character {
    conditions: u64,
    windows: u64,
    patterns: u64,
    memberships: u64,
    denials: u64,
    revocations: u64,
    sets: u64,
    /// Of subjects that are no patterns: how many are one and the same.
    favoured: u64,
    favourite: &'static str,
    roots: usize,
    roles: usize,
}

impl Character {
    fn new(random: &mut Random) -> Self {
        Self {
            conditions: random.pick(&[0, 10, 50]),
            windows: random.pick(&[0, 30, 70]),
            patterns: random.pick(&[0, 15, 40]),
            memberships: random.pick(&[10, 40, 60]),
            denials: random.pick(&[0, 15, 40]),
            revocations: random.pick(&[0, 10, 25]),
            sets: random.pick(&[0, 10, 40]),
            favoured: random.pick(&[0, 0, 60]),
            favourite: random.pick(&["user:a", "user:org/b", "role:r0"]),
            roots: 1 + random.below(ROOTS.len() as u64) as usize,
            roles: 2 + random.below(ROLES.len() as u64 - 1) as usize,
        }
    }
}

/// The blocks of a ledger as they were submitted: what a seed stands for.
pub(crate) struct Script {
    /// Time (milliseconds after the genesis) and records of each block.
    pub(crate) blocks: Vec<(u64, Vec<Signed>)>,
}

/// The script of a seed.
pub(crate) fn script(seed: u64) -> Script {
    let mut random = Random::new(seed);
    let character = Character::new(&mut random);
    write(random, character)
}

/// A script without sets: every record of it stands by itself, so that they may be put in another order.
pub(crate) fn script_without_sets(seed: u64) -> Script {
    let mut random = Random::new(seed);
    let character = Character { sets: 0, ..Character::new(&mut random) };
    write(random, character)
}

fn write(mut random: Random, character: Character) -> Script {
    let heights = 1 + random.below(12);
    let step = random.pick(&[1, 5, 20]);
    let mut writer = Writer::new(random, character, step, heights * step);
    let mut blocks = Vec::new();
    let mut now = 0;
    for _ in 0..heights {
        now += 1 + writer.random.below(step);
        let count = writer.random.below(10);
        let records = (0..count).flat_map(|_| writer.records(now)).collect();
        blocks.push((now, records));
    }
    Script { blocks }
}

/// So many random entries of a random character, for one block.
pub(crate) fn entries_of(seed: u64, count: usize) -> Vec<Signed> {
    let mut random = Random::new(seed);
    let character = Character { memberships: 50, sets: 0, ..Character::new(&mut random) };
    let mut writer = Writer::new(random, character, 1, 3);
    (0..count).flat_map(|_| writer.records(2)).collect()
}

impl Script {
    /// The chain that comes of it.
    pub(crate) fn run(&self) -> Chain {
        let mut chain = Chain::new();
        for (ms, records) in &self.blocks {
            chain.append(*ms, records);
        }
        chain
    }
}

/// Writes the records of one ledger.
struct Writer {
    random: Random,
    character: Character,
    nonce: u64,
    /// Records of entries made so far; those held back too.
    made: Vec<Signed>,
    /// Their entries and those of sets, each with its signer.
    targets: Vec<(&'static str, RecordId, Effect)>,
    /// Entries whose revocation goes first.
    held_back: Vec<Signed>,
    step: u64,
    horizon: u64,
}

impl Writer {
    fn new(random: Random, character: Character, step: u64, horizon: u64) -> Self {
        let (made, targets, held_back) = (Vec::new(), Vec::new(), Vec::new());
        Self { random, character, nonce: 0, made, targets, held_back, step, horizon }
    }

    fn records(&mut self, now: u64) -> Vec<Signed> {
        if !self.held_back.is_empty() && self.random.percent(30) {
            let at = self.random.below(self.held_back.len() as u64) as usize;
            return vec![self.held_back.swap_remove(at)];
        }
        if !self.targets.is_empty() && self.random.percent(self.character.revocations) {
            let target = self.random.pick(&self.targets);
            return vec![self.revocation(target)];
        }
        if !self.made.is_empty() && self.random.percent(2) {
            return vec![self.random.pick(&self.made)];
        }
        let by = ROOTS[self.random.below(self.character.roots as u64) as usize];
        let entry = match self.random.percent(self.character.sets) {
            true => self.set(by, now),
            false => {
                let entry = self.entry(now);
                self.sign(by, Body::Access(entry))
            }
        };
        self.made.push(entry.clone());
        let made: Vec<_> = entry.entries().map(|made| (by, made.id, made.access.effect)).collect();
        self.targets.extend(&made);
        if !made.is_empty() && self.random.percent(self.character.revocations / 4) {
            self.held_back.push(entry);
            let target = self.random.pick(&made);
            return vec![self.revocation(target)];
        }
        vec![entry]
    }

    /// Mostly entries; some of the rest of it is not admissible: a stranger's target, or one that is not there yet.
    fn set(&mut self, by: &'static str, now: u64) -> Signed {
        let count = 1 + self.random.below(5);
        let members = (0..count).map(|_| {
            let own: Vec<_> = self.targets.iter().copied().filter(|target| target.0 == by).collect();
            let among = if self.random.percent(95) { own } else { self.targets.clone() };
            if !among.is_empty() && self.random.percent(30) {
                let (_, target, effect) = self.random.pick(&among);
                return SetMember::Revoke(Revoke { target, effect });
            }
            SetMember::Access(self.entry(now))
        });
        let members = members.collect();
        let unchanged_since = self.random.percent(30).then(|| self.random.below(60));
        self.sign(by, Body::Set(AtomicSet { members, unchanged_since }))
    }

    fn sign(&mut self, by: &str, body: Body) -> Signed {
        self.nonce += 1;
        sign(by, self.nonce, body)
    }

    /// Most of the time a revocation that is right; sometimes a stranger's, or one of the wrong effect.
    fn revocation(&mut self, (by, target, right): (&'static str, RecordId, Effect)) -> Signed {
        let by = if self.random.percent(85) { by } else { self.random.pick(&ROOTS) };
        let wrong = if right == Effect::Grant { Effect::Deny } else { Effect::Grant };
        let effect = if self.random.percent(90) { right } else { wrong };
        self.sign(by, revoke(target, effect))
    }

    fn entry(&mut self, now: u64) -> Access {
        let denied = self.random.percent(self.character.denials);
        let effect = if denied { Effect::Deny } else { Effect::Grant };
        let sub = self.subject();
        let membership = self.random.percent(self.character.memberships);
        let (act, obj) = if membership {
            // A denial of membership may use `*` and patterns; a grant may not.
            let act = if denied && self.random.percent(40) { "*" } else { "member" };
            let obj = match denied && self.random.percent(30) {
                true => self.random.pick(&["*", "role:*", "role:r1/*", "role:r1/x/*"]),
                false => self.role(),
            };
            (act, obj)
        } else {
            let act = self.random.pick(&["read", "read", "write", "*"]);
            (act, self.object())
        };
        let mut entry = access(effect, sub, act, obj);
        if self.random.percent(self.character.windows) {
            let (start, end) = (self.instant(now), self.instant(now));
            let (start, end) = (start.min(end), start.max(end) + 1);
            entry.iss = self.random.percent(60).then(|| time(start));
            entry.exp = self.random.percent(60).then(|| time(end));
        }
        if self.random.percent(self.character.conditions) {
            entry.cond = Some(self.random.pick(&["true", "false", "?", "?", "sub", "obj", "action"]).to_owned());
        }
        entry
    }

    fn role(&mut self) -> &'static str {
        ROLES[self.random.below(self.character.roles as u64) as usize]
    }

    fn subject(&mut self) -> &'static str {
        if self.random.percent(self.character.patterns) {
            return self.random.pick(&SUBJECT_PATTERNS);
        }
        if self.random.percent(self.character.favoured) {
            return self.character.favourite;
        }
        if self.random.percent(55) { self.role() } else { self.random.pick(&USERS) }
    }

    fn object(&mut self) -> &'static str {
        if self.random.percent(self.character.patterns) {
            return self.random.pick(&OBJECT_PATTERNS);
        }
        if self.random.percent(15) { self.role() } else { self.random.pick(&FILES) }
    }

    /// An instant near the blocks, some before `now`.
    fn instant(&mut self, now: u64) -> u64 {
        if self.random.percent(50) {
            let back = self.random.below(2 * self.step + 1);
            return (now + self.step).saturating_sub(back);
        }
        self.random.below(self.horizon + self.step)
    }
}

/// Asks about a chain.
pub(crate) struct Asker {
    random: Random,
    /// The instants at which something begins, ends or is written.
    instants: Vec<u64>,
    /// Subject, action and object of every entry.
    entries: Vec<(String, String, String)>,
}

impl Asker {
    pub(crate) fn new(seed: u64, chain: &Chain) -> Self {
        let mut instants: Vec<LedgerTime> = chain.times.clone();
        let mut entries = Vec::new();
        for record in &chain.log {
            if let Says::Access(access) = &record.says {
                instants.extend(access.iss.into_iter().chain(access.exp));
                let texts = [access.sub.as_str(), access.act.as_str(), access.obj.as_str()].map(str::to_owned);
                entries.push(texts.into());
            }
        }
        let instants = instants.into_iter().map(LedgerTime::as_millis).collect();
        Self { random: Random::new(!seed), instants, entries }
    }

    /// A question: mostly about what some entry speaks of, asked for any subject or for its own.
    pub(crate) fn question(&mut self) -> Question {
        let any_sub = if self.random.percent(70) { self.random.pick(&USERS) } else { self.random.pick(&ROLES) };
        let any_obj = if self.random.percent(75) { self.random.pick(&FILES) } else { self.random.pick(&ROLES) };
        let any_act = if any_obj.starts_with("role:") { "member" } else { self.random.pick(&ACTIONS) };
        let (mut sub, mut act, mut obj) = (any_sub.to_owned(), any_act.to_owned(), any_obj.to_owned());
        if !self.entries.is_empty() && self.random.percent(80) {
            let entry = self.random.pick(&self.entries);
            if !entry.0.contains('*') && self.random.percent(50) {
                sub = entry.0;
            }
            if entry.1 != "*" {
                act = entry.1;
            }
            if !entry.2.contains('*') {
                obj = entry.2;
            }
        }
        let act = (!self.random.percent(10)).then(|| Action::parse(&act).expect("an action"));
        Question { sub: name(&sub), act, obj: name(&obj) }
    }

    /// An instant: one at which something happens, or one beside it.
    pub(crate) fn instant(&mut self) -> LedgerTime {
        let (one, other) = (self.random.pick(&self.instants), self.random.pick(&self.instants));
        // Later instants have more behind them.
        let near = if self.random.percent(60) { one.max(other) } else { one } + self.random.below(3);
        LedgerTime::from_millis(near - 1).expect("a time of the ledger")
    }

    /// Now: an interval that does not begin before the last block.
    pub(crate) fn now(&mut self, chain: &Chain) -> Moment {
        let tip = chain.times[chain.times.len() - 1];
        let (one, other) = (self.instant().max(tip), self.instant().max(tip));
        let hi = if self.random.percent(50) { one.max(other) } else { one.min(other) };
        Moment { interval: Interval::new(one.min(other), hi).expect("in order"), height: chain.height() }
    }

    /// A moment of one of the kinds that can be asked about: now, `at`, `height`, `as_of`.
    pub(crate) fn moment(&mut self, chain: &Chain) -> Moment {
        let at = self.instant();
        match self.random.below(4) {
            0 => self.now(chain),
            1 => Moment { interval: Interval::at(at), height: self.random.pick(&[chain.height(), u64::MAX]) },
            2 => {
                let other = self.instant();
                let interval = Interval::new(at.min(other), at.max(other)).expect("in order");
                Moment {
                    interval,
                    height: (self.random.below(chain.height() + 1)).max(self.random.below(chain.height() + 1)),
                }
            }
            _ => {
                let at = at.max(LedgerTime::from_millis(START_MS).expect("the genesis time"));
                let height = chain.height_as_of(at).expect("not before the genesis");
                assert_eq!(chain.state.height_at(at), Some(height), "the height as of {at}");
                Moment { interval: Interval::at(at), height }
            }
        }
    }
}

/// A name by its full text.
pub(crate) fn name(text: &str) -> Name {
    Name::parse_full(text).expect("a name")
}
