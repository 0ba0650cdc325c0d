//! A search finds just what asking about every name would: on random ledgers, in steps of random size.

use std::collections::{BTreeMap, BTreeSet};

use writ_proto::decision::{Moment, Question, Rights, Why};
use writ_proto::index::TextId;
use writ_proto::name::{Action, Name, Pattern};
use writ_proto::record::{Body, Effect, Signed};
use writ_proto::search::{
    Budget, Change, Changes, Possession, Proposed, Wanted, WhatCan, WhichActions, WhoCan, is_pattern,
};
use writ_proto::time::LedgerTime;

use crate::chain::{Chain, access, asking, sign};
use crate::ledgers::{Asker, Random, entries_of, name, script};
use crate::naive::{self, Says};

/// An action that no entry of a random ledger names.
const UNHEARD_OF: &str = "fly";
const ACTIONS: [&str; 4] = ["read", "write", "member", UNHEARD_OF];

/// A name that stands for all that `text` covers and no entry speaks of; `text` itself, if it is exact.
fn any_below(text: &str) -> Name {
    match text.strip_suffix('*') {
        None => name(text),
        Some("") => name("nothing:anybody"),
        Some(prefix) => name(&format!("{prefix}anybody")),
    }
}

/// The texts on entries of `height` or before that stand where `place` says; roles wherever they stand.
fn named(chain: &Chain, height: u64, place: fn(&naive::LogRecord) -> Option<(&Pattern, &Pattern)>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for record in chain.log.iter().filter(|record| record.height <= height) {
        let Some((own, other)) = place(record) else { continue };
        names.insert(own.as_str().to_owned());
        names.extend(other.as_exact().filter(|other| other.is_role()).map(|role| role.as_str().to_owned()));
    }
    names
}

fn subjects(chain: &Chain, height: u64) -> BTreeSet<String> {
    named(chain, height, |record| match &record.says {
        Says::Access(access) => Some((&access.sub, &access.obj)),
        Says::Revoke(_) => None,
    })
}

fn objects(chain: &Chain, height: u64) -> BTreeSet<String> {
    named(chain, height, |record| match &record.says {
        Says::Access(access) => Some((&access.obj, &access.sub)),
        Says::Revoke(_) => None,
    })
}

fn is_granted(chain: &Chain, sub: &str, act: Option<&str>, obj: &str, moment: &Moment) -> bool {
    let act = act.map(|act| Action::parse(act).expect("an action"));
    let question = Question { sub: any_below(sub), act, obj: any_below(obj) };
    chain.naive(&question, moment).why == Why::Grant
}

/// Whether `member` can be asked about at all.
fn may_be_role(obj: &str) -> bool {
    obj == "*" || obj.starts_with("role:")
}

/// The actions that are granted, by asking for each.
fn granted(chain: &Chain, sub: &str, obj: &str, moment: &Moment) -> BTreeSet<&'static str> {
    let asked = ACTIONS.into_iter().filter(|act| *act != "member" || may_be_role(obj));
    asked.filter(|act| is_granted(chain, sub, Some(act), obj, moment)).collect()
}

fn told(rights: &Rights, obj: &str) -> BTreeSet<&'static str> {
    let asked = ACTIONS.into_iter().filter(|act| *act != "member" || may_be_role(obj));
    asked.filter(|act| rights.grants(act)).collect()
}

fn budget(random: &mut Random) -> Budget {
    Budget { results: 1 + random.below(4) as usize, lookups: 1 + random.below(60) as u32 }
}

fn text(chain: &Chain, id: TextId) -> String {
    chain.state.index().text(id).to_owned()
}

/// All that a search finds. Every step might as well be a page of its own.
fn all<S, T>(
    random: &mut Random,
    begin: impl Fn(TextId) -> S,
    step: impl Fn(&mut S, Budget, &mut Vec<T>),
    at: impl Fn(&S) -> Option<TextId>,
) -> Vec<T> {
    let mut found = Vec::new();
    let mut from = 0;
    loop {
        let mut search = begin(from);
        for _ in 0..1 + random.below(3) {
            let before = found.len();
            let budget = budget(random);
            step(&mut search, budget, &mut found);
            assert!(found.len() - before <= budget.results, "a step keeps to its budget");
        }
        match at(&search) {
            None => return found,
            Some(at) => from = at,
        }
    }
}

fn who_can_of(
    chain: &Chain,
    random: &mut Random,
    (obj, act): (&str, Option<&str>),
    wanted: &Wanted,
    moment: Moment,
) -> Vec<String> {
    let index = chain.state.index();
    let act = act.map(|act| Action::parse(act).expect("an action"));
    let begin = |from| WhoCan::new(index, name(obj), act.clone(), wanted.clone(), moment, from);
    let found = all(random, begin, |search, budget, found| search.step(index, &asking, budget, found), WhoCan::at);
    found.into_iter().map(|id| text(chain, id)).collect()
}

fn who_can(chain: &Chain, random: &mut Random, obj: &str, act: Option<&str>, moment: Moment) -> Vec<String> {
    who_can_of(chain, random, (obj, act), &Wanted::default(), moment)
}

fn what_can_of(
    chain: &Chain,
    random: &mut Random,
    (sub, act): (&str, Option<&str>),
    wanted: &Wanted,
    moment: Moment,
) -> Vec<Possession> {
    let index = chain.state.index();
    let act = act.map(|act| Action::parse(act).expect("an action"));
    let begin = |from| WhatCan::new(index, name(sub), act.clone(), wanted.clone(), moment, from);
    all(random, begin, |search, budget, found| search.step(index, &asking, budget, found), WhatCan::at)
}

fn what_can(chain: &Chain, random: &mut Random, sub: &str, moment: Moment) -> Vec<Possession> {
    what_can_of(chain, random, (sub, None), &Wanted::default(), moment)
}

fn which_actions(chain: &Chain, random: &mut Random, sub: &str, obj: &str, moment: Moment) -> Vec<String> {
    let index = chain.state.index();
    let begin = |from| WhichActions::new(index, name(sub), name(obj), moment, from);
    let found =
        all(random, begin, |search, budget, found| search.step(index, &asking, budget, found), WhichActions::at);
    found.into_iter().map(|id| text(chain, id)).collect()
}

fn changes(chain: &Chain, random: &mut Random, before: Moment, after: Moment) -> Vec<Change> {
    let index = chain.state.index();
    let mut found = Vec::new();
    let mut from = (0, 0);
    loop {
        let mut search = Changes::new(index, before, after, from);
        for _ in 0..1 + random.below(40) {
            search.step(index, &asking, budget(random), &mut found);
        }
        match search.at() {
            None => return found,
            Some(at) => from = at,
        }
    }
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

#[test]
fn who_can_is_every_name_to_whom_check_grants() {
    let (mut hits, mut patterns) = (0, 0);
    for seed in 0..300 {
        let chain = script(seed).run();
        let (mut asker, mut random) = (Asker::new(seed, &chain), Random::new(seed));
        for _ in 0..4 {
            let (Question { act, obj, .. }, moment) = (asker.question(), asker.moment(&chain));
            let act = act.as_ref().map(Action::as_str);
            let grants = |sub: &String| is_granted(&chain, sub, act, obj.as_str(), &moment);
            let expected: Vec<String> = subjects(&chain, moment.height).into_iter().filter(grants).collect();
            let found = who_can(&chain, &mut random, obj.as_str(), act, moment);
            assert_eq!(sorted(found), expected, "seed {seed}: {act:?} {obj} at {moment:?}\n{}", chain.words());
            hits += expected.len();
            patterns += expected.iter().filter(|text| is_pattern(text)).count();
        }
    }
    assert!(hits > 1000 && patterns > 100, "{hits} hits, {patterns} of them patterns");
}

#[test]
fn what_can_is_every_object_and_action_that_check_grants() {
    let (mut hits, mut with_exceptions, mut patterns) = (0, 0, 0);
    for seed in 0..300 {
        let chain = script(seed).run();
        let (mut asker, mut random) = (Asker::new(seed, &chain), Random::new(seed));
        for _ in 0..3 {
            let (Question { sub, .. }, moment) = (asker.question(), asker.moment(&chain));
            let all = objects(&chain, moment.height).into_iter();
            let expected: BTreeMap<String, BTreeSet<&str>> = all
                .map(|obj| (obj.clone(), granted(&chain, sub.as_str(), &obj, &moment)))
                .filter(|(_, granted)| !granted.is_empty())
                .collect();
            let found = what_can(&chain, &mut random, sub.as_str(), moment);
            let told: BTreeMap<String, BTreeSet<&str>> = found
                .iter()
                .map(|possession| {
                    let obj = text(&chain, possession.obj);
                    let rights = told(&possession.rights, &obj);
                    (obj, rights)
                })
                .collect();
            assert_eq!(told.len(), found.len(), "seed {seed}: an object is told once");
            assert_eq!(told, expected, "seed {seed}: {sub} at {moment:?}\n{}", chain.words());
            for Possession { obj, rights } in &found {
                let every = is_granted(&chain, sub.as_str(), None, &text(&chain, *obj), &moment);
                // `member` may be an exception because nothing grants it, or because something denies it.
                let at_most_member = rights.actions.iter().all(|act| &**act == "member");
                assert!(!every || (rights.every && at_most_member), "seed {seed}: {sub} {}", text(&chain, *obj));
                // Asked about every action at once, a condition that looks at the action is in doubt.
                let question = Question { sub: sub.clone(), act: None, obj: any_below(&text(&chain, *obj)) };
                let in_doubt = chain.naive(&question, &moment).why == Why::Indeterminate;
                assert!(
                    every || in_doubt || !rights.every || !rights.actions.is_empty(),
                    "seed {seed}: {sub} {}",
                    text(&chain, *obj)
                );
            }
            hits += found.len();
            with_exceptions +=
                found.iter().filter(|found| found.rights.every && !found.rights.actions.is_empty()).count();
            patterns += found.iter().filter(|found| is_pattern(&text(&chain, found.obj))).count();
        }
    }
    assert!(hits > 1000 && with_exceptions > 10 && patterns > 100, "{hits} {with_exceptions} {patterns}");
}

/// What a policy enforcement point asks for: names of one type, and one action.
#[test]
fn names_of_one_type_are_found_for_one_action() {
    let (mut hits, mut none) = (0, 0);
    for seed in 0..300 {
        let chain = script(seed).run();
        let (mut asker, mut random) = (Asker::new(seed, &chain), Random::new(seed));
        for _ in 0..4 {
            let (Question { sub, act, obj }, moment) = (asker.question(), asker.moment(&chain));
            let Some(act) = act.as_ref().map(Action::as_str) else { continue };
            let type_ = random.pick(&["user", "role", "file", "thing", "nothing"]);
            let wanted = Wanted::of_type(Some(type_)).only_names();
            let is_wanted = |text: &String| text.split_once(':').is_some_and(|(own, _)| own == type_);
            let is_name = |text: &String| is_wanted(text) && !is_pattern(text);

            let grants = |sub: &String| is_granted(&chain, sub, Some(act), obj.as_str(), &moment);
            let expected: Vec<String> =
                subjects(&chain, moment.height).into_iter().filter(is_name).filter(grants).collect();
            let found = who_can_of(&chain, &mut random, (obj.as_str(), Some(act)), &wanted, moment);
            assert_eq!(sorted(found), expected, "seed {seed}: {act} {obj} at {moment:?}\n{}", chain.words());
            hits += expected.len();

            let grants = |obj: &String| is_granted(&chain, sub.as_str(), Some(act), obj, &moment);
            let all = objects(&chain, moment.height).into_iter().filter(|obj| act != "member" || may_be_role(obj));
            let expected: Vec<String> = all.filter(is_name).filter(grants).collect();
            let found = what_can_of(&chain, &mut random, (sub.as_str(), Some(act)), &wanted, moment);
            assert!(
                found
                    .iter()
                    .all(|found| !found.rights.every && found.rights.actions.iter().eq([act].map(Box::from).iter()))
            );
            let found = found.iter().map(|found| text(&chain, found.obj)).collect();
            assert_eq!(sorted(found), expected, "seed {seed}: {sub} {act} at {moment:?}\n{}", chain.words());
            hits += expected.len();
            none += usize::from(expected.is_empty());
        }
    }
    assert!(hits > 300 && none > 300, "{hits} hits, none in {none} searches");
}

#[test]
fn which_actions_are_those_of_the_log_that_check_grants() {
    let (mut hits, mut whole) = (0, 0);
    for seed in 0..400 {
        let chain = script(seed).run();
        let (mut asker, mut random) = (Asker::new(seed, &chain), Random::new(seed));
        for _ in 0..6 {
            let (Question { sub, obj, .. }, moment) = (asker.question(), asker.moment(&chain));
            let known = chain.log.iter().filter(|record| record.height <= moment.height);
            let named: BTreeSet<String> = known
                .filter_map(|record| match &record.says {
                    Says::Access(access) => Some(access.act.as_exact()?.as_str().to_owned()),
                    Says::Revoke(_) => None,
                })
                .collect();
            let grants = |act: &String| is_granted(&chain, sub.as_str(), Some(act), obj.as_str(), &moment);
            let expected: Vec<String> = named.iter().filter(|act| grants(act)).cloned().collect();
            let found = which_actions(&chain, &mut random, sub.as_str(), obj.as_str(), moment);
            assert_eq!(sorted(found), expected, "seed {seed}: {sub} {obj} at {moment:?}\n{}", chain.words());
            hits += expected.len();
            whole += usize::from(expected.len() > 1);
        }
    }
    assert!(hits > 300 && whole > 50, "{hits} actions, more than one in {whole} searches");
}

/// Check, every search, the explanation and the naive fold: asked about every two names of a ledger and every action,
/// now and at past moments, they give one answer.
#[test]
fn every_way_of_asking_gives_one_answer() {
    let (mut pairs, mut granted, mut unclear) = (0, 0, 0);
    for seed in 10_000.. {
        if pairs >= 100_000 {
            break;
        }
        let chain = script(seed).run();
        let (mut asker, mut random) = (Asker::new(seed, &chain), Random::new(seed));
        let moment = asker.moment(&chain);
        let exact = |names: BTreeSet<String>| names.into_iter().filter(|text| !is_pattern(text)).collect::<Vec<_>>();
        let (subs, objs) = (exact(subjects(&chain, moment.height)), exact(objects(&chain, moment.height)));
        let named: BTreeSet<String> = {
            let known = chain.log.iter().filter(|record| record.height <= moment.height);
            let act = |record: &naive::LogRecord| match &record.says {
                Says::Access(access) => Some(access.act.as_exact()?.as_str().to_owned()),
                Says::Revoke(_) => None,
            };
            known.filter_map(act).collect()
        };
        let names = Wanted::default().only_names();
        for act in ["read", "write", "member"] {
            let who: BTreeMap<&String, BTreeSet<String>> = objs
                .iter()
                .map(|obj| {
                    (obj, who_can_of(&chain, &mut random, (obj, Some(act)), &names, moment).into_iter().collect())
                })
                .collect();
            for sub in &subs {
                let what: BTreeSet<String> = what_can_of(&chain, &mut random, (sub, Some(act)), &names, moment)
                    .into_iter()
                    .map(|found| text(&chain, found.obj))
                    .collect();
                for obj in &objs {
                    let question =
                        Question { sub: name(sub), act: Some(Action::parse(act).expect("an action")), obj: name(obj) };
                    // Check, explanation and fold.
                    let decision =
                        chain.both(&question, &moment).unwrap_or_else(|what| panic!("seed {seed}: {what:?}"));
                    let is_granted = decision.is_granted();
                    let told = [who[obj].contains(sub), what.contains(obj)];
                    assert_eq!(
                        told,
                        [is_granted; 2],
                        "seed {seed}: {sub} {act} {obj} at {moment:?}\n{}",
                        chain.words()
                    );
                    if named.contains(act) && random.percent(10) {
                        let acts = which_actions(&chain, &mut random, sub, obj, moment);
                        assert_eq!(acts.iter().any(|one| one == act), is_granted, "seed {seed}: {sub} {act} {obj}");
                    }
                    pairs += 1;
                    granted += usize::from(is_granted);
                    unclear += usize::from(decision.why == Why::Indeterminate);
                }
            }
        }
    }
    println!("{pairs} pairs: {granted} granted, {unclear} in doubt");
    assert!(granted > 5_000 && unclear > 500, "{pairs} pairs: {granted} granted, {unclear} in doubt");
}

/// What is gained and what is lost, by subject and object.
type Differences = BTreeMap<(String, String), (BTreeSet<&'static str>, BTreeSet<&'static str>)>;

/// What differs between two moments, by asking about every subject, object and action.
fn differences(chain: &Chain, before: &Moment, after: &Moment) -> Differences {
    let height = before.height.max(after.height);
    let mut differences = BTreeMap::new();
    for sub in subjects(chain, height) {
        for obj in objects(chain, height) {
            let (old, new) = (granted(chain, &sub, &obj, before), granted(chain, &sub, &obj, after));
            if old != new {
                differences.insert((sub.clone(), obj), (&new - &old, &old - &new));
            }
        }
    }
    differences
}

fn told_changes(texts: impl Fn(TextId) -> String, changes: &[Change]) -> Differences {
    let mut told_of = BTreeMap::new();
    for Change { sub, obj, gained, lost } in changes {
        let (sub, obj) = (texts(*sub), texts(*obj));
        let (more, less) = (told(gained, &obj), told(lost, &obj));
        if more.is_empty() && less.is_empty() {
            // A denial of `member` on everything is an exception also where nobody asks for `member`.
            let members = gained.actions.iter().chain(&lost.actions).all(|act| &**act == "member");
            assert!(members && !may_be_role(&obj), "{sub} {obj}: {gained:?} {lost:?}");
            continue;
        }
        assert_eq!(told_of.insert((sub, obj), (more, less)), None, "a pair is told once");
    }
    told_of
}

#[test]
fn changes_are_what_check_answers_otherwise() {
    let mut hits = 0;
    for seed in 0..150 {
        let chain = script(seed).run();
        let (mut asker, mut random) = (Asker::new(seed, &chain), Random::new(seed));
        let (one, other) = (asker.moment(&chain), asker.moment(&chain));
        let capped = |moment: Moment| Moment { height: moment.height.min(chain.height()), ..moment };
        let (before, after) = (capped(one), capped(other));
        let found = changes(&chain, &mut random, before, after);
        let told = told_changes(|id| text(&chain, id), &found);
        let expected = differences(&chain, &before, &after);
        assert_eq!(told, expected, "seed {seed}: {before:?} {after:?}\n{}", chain.words());
        hits += expected.len();
    }
    assert!(hits > 1_000, "{hits} changes");
}

#[test]
fn a_preview_tells_what_then_happens() {
    let mut hits = 0;
    for seed in 0..80 {
        let mut chain = script(seed).run();
        let mut random = Random::new(seed);
        let tip = chain.state.tip().clone();
        let now = tip.time.as_millis() - crate::chain::START_MS + 1 + random.below(5);
        let mut proposed: Vec<(Proposed, Signed)> = Vec::new();
        for (nonce, record) in (900_000..).zip(entries_of(seed, 4)) {
            let Body::Access(access) = record.body() else { continue };
            // What begins later would be told at that instant, and other things might have ended by then.
            let access = writ_proto::record::Access { iss: None, exp: None, ..access.clone() };
            let record = sign("org1", nonce, Body::Access(access.clone()));
            if chain.state.admit(&chain.state.verify(record.clone()).expect("signed"), crate::chain::time(now)).is_ok()
            {
                proposed.push((Proposed::Access(access), record));
            }
        }
        let live = chain.state.index().entries().filter(|entry| entry.revoked.is_none() && entry.authority == 0);
        let live: Vec<_> = live.map(|entry| (entry.id, entry.effect)).collect();
        if let Some((id, effect)) = (!live.is_empty()).then(|| random.pick(&live)) {
            let entry = chain.state.index().by_id(&id).expect("an entry");
            proposed.push((Proposed::Revoke(entry), sign("org1", 990_000, crate::chain::revoke(id, effect))));
        }

        let statements: Vec<Proposed> = proposed.iter().map(|(proposed, _)| proposed.clone()).collect();
        let preview = chain.state.preview(0, &statements, crate::chain::time(now));
        assert_eq!(preview.refused, [], "seed {seed}: what is admissible is not left out");
        let (index, mut search) = (&preview.index, preview.changes());
        let mut found = Vec::new();
        while search.at().is_some() {
            search.step(index, &asking, budget(&mut random), &mut found);
        }
        let told = told_changes(|id| index.text(id).to_owned(), &found);

        let records: Vec<Signed> = proposed.into_iter().map(|(_, record)| record).collect();
        assert_eq!(chain.append(now, &records), [], "seed {seed}: what was admissible is taken");
        let moment = |height| Moment {
            interval: writ_proto::time::Interval::at(
                LedgerTime::from_millis(crate::chain::START_MS + now).expect("a time"),
            ),
            height,
        };
        let expected = differences(&chain, &moment(tip.height), &moment(tip.height + 1));
        assert_eq!(told, expected, "seed {seed}\n{}", chain.words());
        hits += expected.len();
    }
    assert!(hits > 100, "{hits} changes");
}

/// There is no membership of what is no role: that the log names `member` elsewhere changes nothing about a file.
#[test]
fn a_condition_on_the_action_makes_no_exception_of_membership_where_there_is_none() {
    let says = |nonce, entry: writ_proto::record::Access| sign("org1", nonce, Body::Access(entry));
    let mut chain = Chain::new();
    let all = access(Effect::Grant, "user:a", "*", "file:x");
    chain.append(1, &[says(1, all.clone()), says(2, access(Effect::Grant, "user:b", "member", "role:r"))]);
    chain.append(2, &[says(3, writ_proto::record::Access { cond: Some("action".into()), ..all })]);
    let moment = |ms, height| Moment { interval: writ_proto::time::Interval::at(crate::chain::time(ms)), height };
    let rows = what_can(&chain, &mut Random::new(1), "user:a", moment(2, 2));
    let rights: Vec<&Rights> = rows.iter().map(|row| &row.rights).collect();
    assert_eq!(rights, [&Rights { every: true, actions: BTreeSet::new() }]);
    assert_eq!(changes(&chain, &mut Random::new(1), moment(1, 1), moment(2, 2)), []);
}

/// Whom a change cannot matter to is looked at all the same, and that takes time, too.
#[test]
fn a_step_of_a_difference_counts_what_it_takes_to_look_at_a_subject() {
    const MEMBERS: usize = 200;
    let mut chain = Chain::new();
    let joins = |n: usize| {
        let member = access(Effect::Grant, &format!("user:u{n:03}"), "member", "role:r");
        sign("org1", n as u64, Body::Access(member))
    };
    let joined: Vec<Signed> = (0..MEMBERS).map(joins).collect();
    let leaves = joined.iter().map(|record| sign("org1", 0, crate::chain::revoke(record.id(), Effect::Grant)));
    let leave: Vec<Signed> = leaves.collect();
    chain.append(1, &joined);
    chain.append(2, &leave);
    chain.append(3, &[sign("org1", 0, Body::Access(access(Effect::Grant, "role:r", "read", "file:x")))]);
    let moment = |ms, height| Moment { interval: writ_proto::time::Interval::at(crate::chain::time(ms)), height };
    let index = chain.state.index();
    let mut search = Changes::new(index, moment(2, 2), moment(3, 3), (0, 0));
    let (mut found, mut most) = (Vec::new(), 0);
    let candidates = |at: Option<(TextId, TextId)>| {
        let until = at.map_or(index.texts(), |(sub, _)| sub as usize);
        (0..until).filter(|id| index.text(*id as TextId).starts_with("user:")).count()
    };
    while search.at().is_some() {
        let before = candidates(search.at());
        search.step(index, &asking, Budget { results: 1000, lookups: 20 }, &mut found);
        most = most.max(candidates(search.at()) - before);
    }
    assert_eq!(found.len(), 1, "the role itself gained: {found:?}");
    assert!(most <= 20, "{most} subjects in one step of 20 look-ups");
}

/// A denial in doubt may be none for who tells more, so it does not make another one idle.
#[test]
fn a_denial_is_not_covered_by_one_that_cannot_be_judged() {
    use writ_proto::search::Remark;
    let denial = access(Effect::Deny, "user:a", "read", "file:x");
    let on = |cond: &str| writ_proto::record::Access { cond: Some(cond.into()), ..denial.clone() };
    for (stands, proposed, remark) in [
        (on("context.risk > 7"), denial.clone(), None),
        (on("context.risk > 7"), on("context.zone == 'home'"), None),
        (denial.clone(), on("context.risk > 7"), Some(Remark::Covered)),
        (denial.clone(), denial.clone(), Some(Remark::Covered)),
    ] {
        let mut chain = Chain::new();
        chain.append(1, &[sign("org1", 1, Body::Access(stands))]);
        let proposed = Proposed::Access(proposed);
        let preview = chain.state.preview(0, std::slice::from_ref(&proposed), crate::chain::time(2));
        assert_eq!(preview.remark(&proposed, &asking), remark, "{proposed:?}");
    }
}

/// Made by hand, so that one sees what the words of the interface come to.
#[test]
fn rows_say_every_action_but_the_denied_ones() {
    let mut chain = Chain::new();
    let says = |nonce, effect, sub: &str, act: &str, obj: &str| {
        sign("org1", nonce, Body::Access(access(effect, sub, act, obj)))
    };
    chain.append(
        1,
        &[
            says(1, Effect::Grant, "user:a", "*", "file:x"),
            says(2, Effect::Deny, "user:a", "write", "file:x"),
            says(3, Effect::Grant, "user:a", "read", "file:y"),
            says(4, Effect::Grant, "user:a", "member", "role:r"),
            says(5, Effect::Grant, "role:r", "read", "file:org/*"),
            says(6, Effect::Grant, "user:a", "*", "role:s"),
            says(7, Effect::Deny, "user:b", "read", "file:org/z"),
            says(8, Effect::Grant, "user:c/*", "member", "role:r"),
        ],
    );
    let index = chain.state.index();
    let now = Moment { interval: writ_proto::time::Interval::at(crate::chain::time(1)), height: 1 };
    let rows: Vec<(String, bool, Vec<String>)> = what_can(&chain, &mut Random::new(1), "user:a", now)
        .into_iter()
        .map(|row| {
            (text(&chain, row.obj), row.rights.every, row.rights.actions.iter().map(|act| act.to_string()).collect())
        })
        .collect();
    let row = |obj: &str, every, actions: &[&str]| {
        (obj.to_owned(), every, actions.iter().map(|act| act.to_string()).collect())
    };
    let expected: Vec<(String, bool, Vec<String>)> = vec![
        row("file:x", true, &["write"]),
        row("file:y", false, &["read"]),
        row("role:r", false, &["member"]),
        row("file:org/*", false, &["read"]),
        row("role:s", true, &["member"]),
        row("file:org/z", false, &["read"]),
    ];
    assert_eq!(rows, expected);
    assert_eq!(who_can(&chain, &mut Random::new(1), "file:org/z", Some("read"), now), ["user:a", "role:r", "user:c/*"]);
    assert_eq!(index.texts(), 13);
}
