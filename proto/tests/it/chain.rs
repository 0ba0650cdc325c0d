//! A chain in a test: the real state machine, and beside it the plain log for the naive evaluator.
//!
//! Every block is built, encoded, decoded, executed (which must give just what building gave) and
//! committed. What the log holds is taken from the block, and indexes are counted here once more, so the
//! naive evaluator does not lean on what the state machine remembers.

use std::str::FromStr as _;
use std::sync::LazyLock;

use writ_proto::block::{Block, Outcome};
use writ_proto::condition::{self, Evaluation, Request};
use writ_proto::decision::{Account, Decision, Moment, Question, ReachedRole, Truth, Verdict, Why, account, resolve};
use writ_proto::genesis::{Genesis, PROTOCOL, Parameters, RootAuthority};
use writ_proto::hash::Digest;
use writ_proto::key::SecretKey;
use writ_proto::name::{Action, ActionPattern, Pattern};
use writ_proto::record::{
    Access, AuthorityName, Body, Class, Effect, EnrolledKey, Nonce, RecordId, Revoke, Signed, Statement, ValidatorKeys,
};
use writ_proto::refusal::Refusal;
use writ_proto::scope::{Rule, Scope};
use writ_proto::search::Asked;
use writ_proto::state::{Changes, State};
use writ_proto::time::LedgerTime;

use crate::naive::{self, Answer, LogRecord, Place, Says};

/// The genesis time. Tests count milliseconds from it.
pub(crate) const START_MS: u64 = 1_800_000_000_000;

/// The roots of every test chain; the last may only speak of what lies below `file:acl`, for an hour.
pub(crate) const ROOTS: [&str; 3] = ["org1", "org2", "org3"];

const TEN_YEARS_MS: u64 = 10 * 365 * 86_400_000;

/// `ms` milliseconds after the genesis.
pub(crate) fn time(ms: u64) -> LedgerTime {
    LedgerTime::from_millis(START_MS + ms).expect("a time of the ledger")
}

/// Evaluates the conditions of tests for a request that tells nothing: `true`, `false`, and all else, which may not
/// even parse, is indeterminate.
pub(crate) fn conditions(text: &str) -> Truth {
    condition::evaluate(text, &Request::default()).truth
}

/// The same for a question: `sub` and `obj` are also about the type of that name, which a pattern has too; `action` is
/// about that.
pub(crate) fn asking(asked: &Asked<'_>, text: &str) -> Evaluation {
    truth(asked, text).into()
}

fn truth(asked: &Asked<'_>, text: &str) -> Truth {
    let of = |name: &str, right: &str| match name.split_once(':').map(|(type_, _)| type_) {
        Some(type_) if type_ == right => Truth::True,
        Some("role") => Truth::False,
        _ => Truth::Indeterminate,
    };
    match text {
        "sub" => of(asked.sub, "user"),
        "obj" => of(asked.obj, "file"),
        "action" => match asked.act.map(Action::as_str) {
            Some("read") => Truth::True,
            Some("write") => Truth::False,
            _ => Truth::Indeterminate,
        },
        text => conditions(text),
    }
}

/// The conditions of one question.
pub(crate) fn conditions_of(question: &Question) -> impl Fn(&str) -> Truth + '_ {
    move |text| truth(&asked_of(question), text)
}

fn asked_of(question: &Question) -> Asked<'_> {
    let Question { sub, act, obj } = question;
    Asked { sub: sub.as_str(), act: act.as_ref(), obj: obj.as_str() }
}

/// A chain.
#[derive(Clone)]
pub(crate) struct Chain {
    /// The real state machine.
    pub(crate) state: State,
    /// The accepted records, for the naive evaluator.
    pub(crate) log: Vec<LogRecord>,
    /// The time of each block; at 0 the genesis time.
    pub(crate) times: Vec<LedgerTime>,
    leaves: u64,
}

struct Secrets {
    roots: Vec<SecretKey>,
    vote: SecretKey,
    empty: State,
}

static SECRETS: LazyLock<Secrets> = LazyLock::new(|| {
    let key = |number: u8| SecretKey::from_seed(&[number; 32]);
    let enrolled = |key: &SecretKey| EnrolledKey { key: key.public(), possession: key.prove_possession(&Digest::ZERO) };
    let roots: Vec<SecretKey> = (1..).take(ROOTS.len()).map(key).collect();
    let (vote, checkpoint) = (key(101), key(102));
    let root = |(name, key): (&&str, &SecretKey)| RootAuthority {
        name: authority(name),
        keys: vec![enrolled(key)],
        threshold: 1,
        scope: if *name == "org3" { narrow_scope() } else { Scope::everything() },
    };
    let genesis = Genesis {
        protocol: PROTOCOL,
        chain: "ledger.example/test".into(),
        time: time(0),
        parameters: Parameters { submit_ahead_ms_max: TEN_YEARS_MS, ..Parameters::default() },
        authorities: ROOTS.iter().zip(&roots).map(root).collect(),
        root_quorum: 1,
        validators: vec![ValidatorKeys {
            name: authority("validator"),
            vote: enrolled(&vote),
            checkpoint: enrolled(&checkpoint),
        }],
    };
    let empty = State::new(genesis).expect("the genesis of tests is good");
    Secrets { roots, vote, empty }
});

fn narrow_scope() -> Scope {
    let objects = ["file:acl/*", "role:*"].map(|text| Pattern::parse_full(text).expect("a pattern"));
    let rule = Rule { objects: objects.into(), ..Rule::everything() };
    Scope { rules: vec![rule], enrol_depth: 0 }
}

fn authority(name: &str) -> AuthorityName {
    AuthorityName::from_str(name).expect("a name of an authority")
}

/// An access entry without bounds in time and without condition. The names are full texts.
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

/// The revocation of `target`, an entry of effect `effect`.
pub(crate) fn revoke(target: RecordId, effect: Effect) -> Body {
    Body::Revoke(Revoke { target, effect })
}

/// `body` signed by the root `by`. Equal statements are told apart by `nonce`.
pub(crate) fn sign(by: &str, nonce: u64, body: Body) -> Signed {
    try_sign(by, nonce, body).expect("a well-formed record")
}

/// As [`sign`], for a body that may make no sense.
pub(crate) fn try_sign(by: &str, nonce: u64, body: Body) -> Result<Signed, Refusal> {
    let secrets = &*SECRETS;
    let at = ROOTS.iter().position(|root| *root == by).expect("a root of the test chains");
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&nonce.to_le_bytes());
    let submit_by = (body.class() == Class::Permissive).then(|| time(TEN_YEARS_MS / 2));
    let statement =
        Statement { chain: *secrets.empty.chain(), authority: authority(by), nonce: Nonce(bytes), body, submit_by };
    statement.sign(&[&secrets.roots[at]])
}

impl Chain {
    /// A chain before its first block.
    pub(crate) fn new() -> Self {
        Self { state: SECRETS.empty.clone(), log: Vec::new(), times: vec![time(0)], leaves: 0 }
    }

    /// The last height.
    pub(crate) fn height(&self) -> u64 {
        self.times.len() as u64 - 1
    }

    /// Appends a block of those of `records` that can be in it; gives what became of each record that did
    /// not count, with its place in `records`.
    pub(crate) fn append(&mut self, ms: u64, records: &[Signed]) -> Vec<(usize, Refusal)> {
        let mut refused = Vec::new();
        let mut verified = Vec::new();
        for (at, record) in records.iter().enumerate() {
            match self.state.verify(record.clone()) {
                Ok(record) => verified.push(record),
                Err(refusal) => refused.push((at, refusal)),
            }
        }
        let proposer = SECRETS.vote.public().id();
        let built = self.state.build(time(ms), proposer, verified.clone()).expect("a later time");

        let block = Block::decode(&built.block.encode()).expect("an encoded block decodes");
        let in_block = |bytes: &[u8]| verified.iter().find(|record| record.signed().bytes() == bytes).cloned();
        let again = block.records.iter().map(|blob| in_block(&blob.0).expect("one of the records")).collect();
        let changes = self.state.execute(&block, again).expect("what was built can be executed");
        assert_same(&changes, &built.changes);

        let height = self.height() + 1;
        for placed in &changes.records {
            let signed = placed.record.signed();
            assert_eq!(placed.index, self.leaves, "indexes follow one another");
            if placed.outcome == Outcome::Accepted {
                self.log.extend(LogRecord::all_of(self.leaves, height, time(ms), signed));
            } else if let Some(at) = records.iter().position(|record| record.id() == signed.id()) {
                refused.push((at, Refusal::whole(rejection(placed.outcome), "rejected in its block")));
            }
            self.leaves += 1;
        }
        assert_eq!(changes.leaf_index, self.leaves, "the commit leaf is a block's last leaf");
        self.leaves += 1;
        self.times.push(time(ms));
        for (id, refusal) in built.refused {
            if let Some(at) = records.iter().position(|record| record.id() == id) {
                refused.push((at, refusal));
            }
        }
        self.state.commit(changes);
        assert_eq!((self.state.tip().height, self.state.tip().time), (height, time(ms)));
        refused
    }

    /// The last block whose time is at most `at`: the height of a question as of then.
    pub(crate) fn height_as_of(&self, at: LedgerTime) -> Option<u64> {
        self.times.iter().rposition(|time| *time <= at).map(|height| height as u64)
    }

    /// The answer of the real evaluator.
    pub(crate) fn real(&self, question: &Question, moment: &Moment) -> Decision {
        resolve(self.state.index(), question, moment, &conditions_of(question))
    }

    /// The answer of the naive one.
    pub(crate) fn naive(&self, question: &Question, moment: &Moment) -> Answer {
        naive::decide(&self.log, question, moment, &conditions_of(question))
    }

    /// Where the entries stand that a decision of the real evaluator names.
    pub(crate) fn places(&self, decision: &Decision) -> Vec<Place> {
        let index = self.state.index();
        let entry = |id| index.entry(index.by_id(id).expect("a decision names entries"));
        let places: Vec<Place> = decision.ids.iter().map(entry).map(|entry| (entry.index, entry.member)).collect();
        assert!(places.iter().map(|(index, _)| index).eq(&decision.entries), "ids and indexes tell of the same");
        places
    }

    /// The answer of both, which must agree.
    pub(crate) fn both(&self, question: &Question, moment: &Moment) -> Result<Decision, Difference> {
        let (real, naive) = (self.real(question, moment), self.naive(question, moment));
        let evaluate = |text: &str| asking(&asked_of(question), text);
        let told = account(self.state.index(), question, moment, &conditions_of(question), &evaluate);
        let same = naive
            .agrees_with(real.why, &self.places(&real), real.valid_until)
            .and_then(|()| self.same_closures(&naive, &real, &told.roles))
            .and_then(|()| self.same_account(&real, &told));
        match same {
            Ok(()) => Ok(real),
            Err(what) => Err(Difference(format!(
                "{}\nquestion: {}\nreal differs: {what}\nreal:  {real:?}\n       reached {:?}\nnaive: {naive:?}",
                self.words(),
                words_of(question, moment),
                told.roles,
            ))),
        }
    }

    /// Whether the account of a decision is of that decision: what it says of each entry comes to the same.
    fn same_account(&self, real: &Decision, told: &Account) -> Result<(), String> {
        let index = self.state.index();
        let Account { decision, considered, more, .. } = told;
        if decision != real {
            return Err(format!("its account is of {decision:?}"));
        }
        // What is only in doubt may be beyond its bounds, and then it says so.
        if *more && real.why == Why::Indeterminate {
            return Ok(());
        }
        let of = |effect: Effect, verdict: Verdict| {
            let all = considered.iter().filter(move |one| one.effect == effect && one.verdict == verdict);
            all.collect::<Vec<_>>()
        };
        let applies = of(Effect::Deny, Verdict::Applies);
        let (unclear, grants) = (of(Effect::Deny, Verdict::Unclear), of(Effect::Grant, Verdict::Applies));
        let hopes = of(Effect::Grant, Verdict::Unclear);
        let (why, decided) = match (applies.is_empty(), unclear.is_empty(), grants.is_empty(), hopes.is_empty()) {
            (false, ..) => (Why::Deny, [applies, unclear].concat()),
            (true, false, ..) => (Why::Indeterminate, unclear),
            (true, true, false, _) => (Why::Grant, grants),
            (true, true, true, false) => (Why::Indeterminate, hopes),
            (true, true, true, true) => (Why::NoMatch, Vec::new()),
        };
        let mut leaves: Vec<u64> = decided.iter().map(|one| index.entry(one.entry).index).collect();
        leaves.sort_unstable();
        // A grant stands with the memberships that lead to it.
        let is_same = match why {
            Why::Grant => {
                leaves.iter().all(|leaf| real.entries.contains(leaf)) && {
                    let over = decided.iter().flat_map(|one| one.over.iter().map(|over| index.entry(*over).index));
                    let own =
                        over.chain(leaves.iter().copied()).all(|leaf| self.log.iter().any(|one| one.index == leaf));
                    own && real.entries.len() >= leaves.len()
                }
            }
            _ => leaves == real.entries,
        };
        if why != real.why || !is_same {
            return Err(format!("its account comes to {why:?} by {leaves:?}: {considered:?}"));
        }
        Ok(())
    }

    fn same_closures(&self, naive: &Answer, real: &Decision, reached: &[ReachedRole]) -> Result<(), String> {
        let root = |ordinal: &u32| self.state.authorities().get(*ordinal).map(|root| root.name.to_string());
        let cut = real.cut_roots.iter().map(root).collect::<Option<_>>();
        if cut.as_ref() != Some(&naive.cut) {
            return Err(format!("it cuts {:?}, expected {:?}", real.cut_roots, naive.cut));
        }
        let found = reached.iter().map(|role| (role.role.to_string(), (role.denied, role.entered))).collect();
        if naive.reached != found || reached.len() != found.len() {
            return Err(format!("it reaches (denied, entered) {found:?}, expected {:?}", naive.reached));
        }
        for role in reached {
            let over = self.log.iter().find(|record| record.id == role.over).map(|record| &record.says);
            match over {
                Some(Says::Access(over)) if over.is_membership() && over.obj.as_str() == &*role.role => {}
                _ => return Err(format!("it reaches {} over {over:?}", role.role)),
            }
        }
        Ok(())
    }

    /// The log in words.
    pub(crate) fn words(&self) -> String {
        let mut text = format!("block times: {:?}\n", self.times.iter().map(|time| ms(*time)).collect::<Vec<_>>());
        for record in &self.log {
            let (by, says) = (&record.lineage[0], &record.says);
            let words = match says {
                Says::Revoke(Revoke { target, effect }) => {
                    let target = self.log.iter().find(|record| record.id == *target);
                    let target = target.map_or("what never came".into(), |record| format!("#{}", number(record)));
                    format!("ends {target}, a {}", if *effect == Effect::Grant { "grant" } else { "denial" })
                }
                Says::Access(access) => words_of_access(access),
            };
            text += &format!("#{} h{} t{}: {by} {words}\n", number(record), record.height, ms(record.added));
        }
        text
    }
}

fn number(record: &LogRecord) -> String {
    record.member.map_or_else(|| record.index.to_string(), |member| format!("{}.{member}", record.index))
}

/// Two evaluators, two answers; in words, with the log.
#[derive(Debug)]
pub(crate) struct Difference(pub(crate) String);

fn words_of_access(access: &Access) -> String {
    let sign = if access.effect == Effect::Grant { "+" } else { "-" };
    let window = match (access.iss, access.exp) {
        (None, None) => String::new(),
        (iss, exp) => format!(" {}..{}", iss.map_or(String::new(), ms), exp.map_or(String::new(), ms)),
    };
    let cond = access.cond.as_ref().map_or(String::new(), |cond| format!(" if {cond}"));
    format!("{sign} {} {} {}{window}{cond}", access.sub.as_str(), access.act.as_str(), access.obj.as_str())
}

/// A question in words.
pub(crate) fn words_of(question: &Question, moment: &Moment) -> String {
    let act = question.act.as_ref().map_or("(every)", |act| act.as_str());
    let (lo, hi) = (ms(moment.interval.lo()), ms(moment.interval.hi()));
    format!("{} {act} {} @{lo}..={hi} h{}", question.sub.as_str(), question.obj.as_str(), moment.height)
}

fn ms(time: LedgerTime) -> String {
    (i128::from(time.as_millis()) - i128::from(START_MS)).to_string()
}

fn rejection(outcome: Outcome) -> writ_proto::refusal::Code {
    match outcome {
        Outcome::Rejected(code) => code,
        Outcome::Accepted => unreachable!("asked only of what was rejected"),
    }
}

fn assert_same(executed: &Changes, built: &Changes) {
    let records = |changes: &Changes| -> Vec<_> {
        changes.records.iter().map(|placed| (placed.index, placed.record.id(), placed.outcome)).collect()
    };
    assert_eq!(records(executed), records(built));
    assert_eq!(executed.leaf, built.leaf);
    assert_eq!(executed.leaf_index, built.leaf_index);
    assert_eq!(executed.nodes, built.nodes);
    assert_eq!(executed.revoked, built.revoked);
    assert_eq!(executed.log(), built.log());
}
