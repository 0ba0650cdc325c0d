//! The history of a pair against the naive evaluator: the answer at every instant, and every entry that bears on it.

use std::collections::{BTreeMap, BTreeSet};

use writ_proto::decision::{Moment, Question, Rights, Why};
use writ_proto::name::Action;
use writ_proto::record::{Access, Effect};
use writ_proto::search::{Budget, Event, EventKind, History};
use writ_proto::time::{Interval, LedgerTime};

use crate::chain::{Chain, START_MS, access, asking, revoke, sign, time};
use crate::ledgers::{Random, name, script};
use crate::naive::{Place, Says};

const SUBJECTS: [&str; 7] =
    ["user:a", "user:org/b", "user:org/x/c", "user:nobody", "role:r0", "role:r1/x", "role:nothing"];
const OBJECTS: [&str; 6] = ["file:acl", "file:acl/x", "file:acl/x/y", "thing:acl/x", "role:r1", "file:unheard"];
/// The last stands on no entry: `*` alone grants it.
const ACTIONS: [&str; 4] = ["read", "write", "member", "unheard"];

const WHOLE: Budget = Budget { results: usize::MAX / 2, lookups: u32::MAX };

/// What is known at a height, up to an instant.
#[derive(Clone, Copy)]
struct View {
    height: u64,
    now: LedgerTime,
}

impl View {
    /// All that ever is.
    fn of(chain: &Chain) -> Self {
        Self { height: chain.height(), now: time(1_000_000) }
    }

    /// The events, asked for in steps of this budget, each of which a new question goes on with.
    fn events(self, chain: &Chain, sub: &str, obj: &str, budget: Budget) -> Vec<Event> {
        let index = chain.state.index();
        let mut events = Vec::new();
        let mut from = (LedgerTime::EPOCH, 0);
        for _ in 0..100_000 {
            let mut history = History::new(index, name(sub), name(obj), self.height, self.now, from);
            let before = events.len();
            while history.at().is_some() && events.len() == before {
                history.step(index, &asking, budget, &mut events);
            }
            match history.at() {
                Some(at) => from = at,
                None => return events,
            }
        }
        panic!("the history of {sub} and {obj} does not end");
    }
}

/// The events that the log itself tells of the entries that bear on the pair, by a plain reading.
fn expected(chain: &Chain, sub: &str, obj: &str, view: View) -> BTreeSet<(Place, LedgerTime, &'static str)> {
    let covers = |pattern: &str, name: &str| match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    };
    let known: Vec<_> = chain.log.iter().filter(|record| record.height <= view.height).collect();
    let entries: Vec<(&crate::naive::LogRecord, &Access)> = known
        .iter()
        .filter_map(|record| match &record.says {
            Says::Access(access) => Some((*record, access)),
            Says::Revoke(_) => None,
        })
        .collect();
    let mut names = BTreeSet::from([sub.to_owned()]);
    loop {
        let before = names.len();
        for (_, access) in entries.iter().filter(|(_, access)| access.is_membership()) {
            if names.iter().any(|name| covers(access.sub.as_str(), name)) {
                names.insert(access.obj.as_str().to_owned());
            }
        }
        if names.len() == before {
            break;
        }
    }
    let is_role_denial =
        |access: &Access| access.effect == Effect::Deny && matches!(access.act.as_str(), "member" | "*");
    let mut events = BTreeSet::new();
    for (record, access) in entries {
        let roles = || names.iter().filter(|name| name.starts_with("role:"));
        let bears = names.iter().any(|name| covers(access.sub.as_str(), name))
            && (covers(access.obj.as_str(), obj)
                || access.is_membership()
                || (is_role_denial(access) && roles().any(|role| covers(access.obj.as_str(), role))));
        if !bears {
            continue;
        }
        let ends = |target: &&&crate::naive::LogRecord| match &target.says {
            Says::Revoke(revoke) => {
                revoke.target == record.id
                    && revoke.effect == access.effect
                    && record.lineage.contains(&target.lineage[0])
            }
            Says::Access(_) => false,
        };
        let revoked = known.iter().find(ends).map(|revocation| revocation.added.max(record.added));
        let mut tell = |at: LedgerTime, what| {
            if at <= view.now {
                events.insert((record.place(), at, what));
            }
        };
        tell(record.added, "added");
        let lasts = |at: LedgerTime| at > record.added && revoked.is_none_or(|revoked| at < revoked);
        access.iss.filter(|iss| lasts(*iss)).into_iter().for_each(|iss| tell(iss, "began"));
        access.exp.filter(|exp| lasts(*exp)).into_iter().for_each(|exp| tell(exp, "ended"));
        revoked.into_iter().for_each(|revoked| tell(revoked, "revoked"));
    }
    events
}

fn told(chain: &Chain, events: &[Event]) -> BTreeSet<(Place, LedgerTime, &'static str)> {
    let place = |ordinal| {
        let entry = chain.state.index().entry(ordinal);
        (entry.index, entry.member)
    };
    let tell = |event: &Event| {
        let (ordinal, what) = match event.kind {
            EventKind::Added(ordinal) => (ordinal, "added"),
            EventKind::Began(ordinal) => (ordinal, "began"),
            EventKind::Ended(ordinal) => (ordinal, "ended"),
            EventKind::Revoked(ordinal) => (ordinal, "revoked"),
            EventKind::Answer(_) => return None,
        };
        Some((place(ordinal), event.at, what))
    };
    let all: Vec<_> = events.iter().filter_map(tell).collect();
    let set: BTreeSet<_> = all.iter().copied().collect();
    assert_eq!(all.len(), set.len(), "an event is told once");
    set
}

/// Checks one history; gives how many answers it tells.
fn check(chain: &Chain, sub: &str, obj: &str, view: View) -> usize {
    let events = view.events(chain, sub, obj, WHOLE);
    let what = || format!("{sub} {obj} h{} until {}\n{}\n{events:#?}", view.height, view.now, chain.words());
    assert!(events.windows(2).all(|pair| pair[0].at <= pair[1].at), "in the order of time: {}", what());
    assert_eq!(told(chain, &events), expected(chain, sub, obj, view), "{}", what());

    let mut answers: BTreeMap<LedgerTime, Rights> = BTreeMap::new();
    for event in &events {
        let height = chain.height_as_of(event.at).map(|height| height.min(view.height));
        assert_eq!(Some(event.height), height, "{}", what());
        if let EventKind::Answer(rights) = &event.kind {
            let before = answers.last_key_value().map(|(_, rights)| rights.clone()).unwrap_or_default();
            assert_ne!(before, *rights, "an answer is told where it changes: {}", what());
            assert!(answers.insert(event.at, rights.clone()).is_none(), "one answer an instant: {}", what());
        }
    }
    for at in instants(chain, view) {
        let Some(height) = chain.height_as_of(at) else { continue };
        let moment = Moment { interval: Interval::at(at), height: height.min(view.height) };
        let rights = answers.range(..=at).next_back().map(|(_, rights)| rights.clone()).unwrap_or_default();
        let granted = |act: Option<&str>| {
            let act = act.map(|act| Action::parse(act).expect("an action"));
            chain.naive(&Question { sub: name(sub), act, obj: name(obj) }, &moment).why == Why::Grant
        };
        // `*` says nothing of `member`; on what is no role it means nothing, so nobody asks.
        for act in ACTIONS.into_iter().filter(|act| *act != "member" || obj.starts_with("role:")) {
            assert_eq!(rights.grants(act), granted(Some(act)), "{act} at {at}: {}", what());
        }
    }
    answers.len()
}

/// Every instant of the log up to now, and the milliseconds beside it.
fn instants(chain: &Chain, view: View) -> BTreeSet<LedgerTime> {
    let mut instants: BTreeSet<LedgerTime> = chain.times.iter().copied().chain([view.now]).collect();
    for record in &chain.log {
        if let Says::Access(access) = &record.says {
            instants.extend(access.iss.into_iter().chain(access.exp));
        }
    }
    let beside = |at: LedgerTime| [at.saturating_sub_millis(1), at, at.saturating_add_millis(1)];
    instants.into_iter().flat_map(beside).filter(|at| *at <= view.now).collect()
}

#[test]
fn the_answer_of_a_history_is_the_naive_one_at_every_instant() {
    let ledgers: u64 = std::env::var("WRIT_LEDGERS").map_or(400, |text| text.parse().expect("a number"));
    let mut answers = 0;
    for seed in 0..ledgers {
        let chain = script(seed).run();
        let mut random = Random::new(seed);
        for round in 0..5 {
            let (sub, obj) = (random.pick(&SUBJECTS), random.pick(&OBJECTS));
            // Now and then of an earlier height, or of an instant before the last.
            let view = match round {
                0 => View { height: random.below(chain.height() + 1), ..View::of(&chain) },
                1 => View { now: random.pick(&chain.times), ..View::of(&chain) },
                _ => View::of(&chain),
            };
            answers += check(&chain, sub, obj, view);
        }
    }
    println!("{answers} answers in {ledgers} ledgers");
    assert!(answers as u64 > ledgers, "a generator without answers proves nothing: {answers}");
}

#[test]
fn pages_of_any_size_tell_the_same_and_growth_in_between_changes_nothing() {
    for seed in 0..40 {
        let script = script(seed);
        let whole = script.run();
        let half = script.blocks.len() / 2;
        let mut growing = Chain::new();
        for (ms, records) in &script.blocks[..half] {
            growing.append(*ms, records);
        }
        let view = View::of(&growing);
        let mut random = Random::new(seed);
        for _ in 0..6 {
            let (sub, obj) = (random.pick(&SUBJECTS), random.pick(&OBJECTS));
            let all = view.events(&growing, sub, obj, WHOLE);
            for (results, lookups) in [(1, u32::MAX), (2, 1), (3, 7), (1000, 1)] {
                let budget = Budget { results, lookups };
                assert_eq!(view.events(&growing, sub, obj, budget), all, "{sub} {obj} seed {seed}");
            }
            // What was told of a height stands, whatever came after it.
            let now = growing.times[growing.times.len() - 1];
            let early = View { now, ..view };
            assert_eq!(early.events(&whole, sub, obj, WHOLE), early.events(&growing, sub, obj, WHOLE), "seed {seed}");
        }
    }
}

/// A condition that looks at the action is asked about every action that the log names, if there are not too many of
/// them: of them, too, only those count that were named by then.
#[test]
fn actions_that_were_named_later_do_not_change_what_is_told_of_a_height() {
    let says = |nonce, entry: Access| sign("org1", nonce, writ_proto::record::Body::Access(entry));
    let mut chain = Chain::new();
    let conditional = Access { cond: Some("action".into()), ..access(Effect::Grant, "user:a", "*", "file:x") };
    chain.append(1, &[says(1, conditional), says(2, access(Effect::Grant, "user:b", "read", "file:y"))]);
    let view = View { height: 1, now: time(1) };
    let before = view.events(&chain, "user:a", "file:x", WHOLE);
    let answers = before.iter().filter(|event| matches!(event.kind, EventKind::Answer(_))).count();
    assert_eq!(answers, 1, "`read` is granted: {before:?}");
    let later = (0..1_100).map(|n| says(10 + n, access(Effect::Grant, "user:b", &format!("act{n}"), "file:y")));
    assert_eq!(chain.append(2, &later.collect::<Vec<_>>()), []);
    assert_eq!(view.events(&chain, "user:a", "file:x", WHOLE), before);
}

#[test]
fn a_history_begun_goes_on_while_the_log_grows() {
    let script = script(7);
    let mut chain = Chain::new();
    for (ms, records) in &script.blocks[..script.blocks.len() / 2] {
        chain.append(*ms, records);
    }
    let view = View { height: chain.height(), now: chain.times[chain.times.len() - 1] };
    for (sub, obj) in [("user:a", "file:acl/x"), ("user:org/b", "file:acl"), ("role:r0", "file:acl/x/y")] {
        let all = view.events(&chain, sub, obj, WHOLE);
        let mut growing = chain.clone();
        let mut rest = script.blocks[script.blocks.len() / 2..].iter();
        let from = (LedgerTime::EPOCH, 0);
        let mut history = History::new(growing.state.index(), name(sub), name(obj), view.height, view.now, from);
        let mut events = Vec::new();
        while history.at().is_some() {
            history.step(growing.state.index(), &asking, Budget { results: 1, lookups: 1 }, &mut events);
            if let Some((ms, records)) = rest.next() {
                growing.append(*ms, records);
            }
        }
        assert_eq!(events, all, "{sub} {obj}");
    }
}

#[test]
fn a_history_reads_as_a_story() {
    let mut chain = Chain::new();
    let membership =
        sign("org1", 1, writ_proto::record::Body::Access(access(Effect::Grant, "user:a", "member", "role:s")));
    let mut scheduled = access(Effect::Grant, "role:s", "read", "file:*");
    (scheduled.iss, scheduled.exp) = (Some(time(20)), Some(time(40)));
    let scheduled = sign("org2", 2, writ_proto::record::Body::Access(scheduled));
    let denial = sign("org2", 3, writ_proto::record::Body::Access(access(Effect::Deny, "user:a", "*", "role:*")));
    let stranger = sign("org1", 4, writ_proto::record::Body::Access(access(Effect::Grant, "user:b", "*", "file:x")));
    chain.append(10, &[membership.clone(), scheduled, stranger]);
    chain.append(30, std::slice::from_ref(&denial));
    chain.append(35, &[sign("org2", 5, revoke(denial.id(), Effect::Deny))]);
    chain.append(50, &[sign("org1", 6, revoke(membership.id(), Effect::Grant))]);
    let events = View::of(&chain).events(&chain, "user:a", "file:x", WHOLE);
    let words = |event: &Event| {
        let at = event.at.as_millis() - START_MS;
        let kind = match &event.kind {
            EventKind::Answer(rights) if rights.is_none() => "may nothing".to_owned(),
            EventKind::Answer(rights) => format!("may {:?}", rights.actions),
            other => format!("{other:?}").to_lowercase(),
        };
        format!("{at} h{} {kind}", event.height)
    };
    let story: Vec<String> = events.iter().map(words).collect();
    assert_eq!(
        story,
        [
            "10 h1 added(0)",
            "10 h1 added(1)",
            "20 h1 began(1)",
            "20 h1 may {\"read\"}",
            "30 h2 added(3)",
            "30 h2 may nothing",
            "35 h3 revoked(3)",
            "35 h3 may {\"read\"}",
            "40 h3 ended(1)",
            "40 h3 may nothing",
            "50 h4 revoked(0)",
        ]
    );
    let nothing: Vec<Event> = View::of(&chain).events(&chain, "user:c", "file:x", WHOLE);
    assert_eq!(nothing, []);
}
