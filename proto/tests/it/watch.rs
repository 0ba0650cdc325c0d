//! What is told of a log: all of it, once, in one order, wherever somebody goes on; and to whom it matters.

use std::collections::BTreeMap;

use writ_proto::decision::{Decision, Moment, Question};
use writ_proto::index::EntryOrdinal;
use writ_proto::name::{ActionPattern, Pattern, candidates};
use writ_proto::record::{Access, Body, Effect, RecordId, Signed};
use writ_proto::time::Interval;
use writ_proto::watch::{Event, Happened, Interest, Place, events_from};

use crate::chain::{Chain, access, revoke, sign, words_of};
use crate::ledgers::{Asker, Script, script};
use crate::naive::Says;

const LEDGERS: u64 = 150;

fn events(chain: &Chain, from: Place) -> Vec<Event> {
    events_from(chain.state.index(), from).collect()
}

/// What is told of a plain log: of each entry that it came, at its leaf, and that it was revoked, at the leaf where that
/// came to be known.
fn told_naively(chain: &Chain) -> Vec<(u64, Happened, RecordId)> {
    let mut told = Vec::new();
    for (entry, record) in chain.log.iter().enumerate() {
        let Says::Access(access) = &record.says else { continue };
        told.push((record.index, Happened::Added, entry, record.id));
        let ends = |other: &&crate::naive::LogRecord| match &other.says {
            Says::Revoke(revoke) => {
                let is_entitled = record.lineage.contains(&other.lineage[0]);
                revoke.target == record.id && revoke.effect == access.effect && is_entitled
            }
            Says::Access(_) => false,
        };
        if let Some(by) = chain.log.iter().find(ends) {
            told.push((by.index.max(record.index), Happened::Revoked, entry, record.id));
        }
    }
    // At one leaf entries come in their order, and then are revoked in theirs.
    told.sort_unstable();
    told.into_iter().map(|(leaf, happened, _, id)| (leaf, happened, id)).collect()
}

#[test]
fn what_is_told_follows_from_the_log_and_never_changes() {
    let (mut revoked, mut waited) = (0, 0);
    for seed in 0..LEDGERS {
        let script = script(0x7a7c_0000 + seed);
        let mut chain = Chain::new();
        let mut before: Vec<Event> = Vec::new();
        for (ms, records) in &script.blocks {
            chain.append(*ms, records);
            let now = events(&chain, Place::default());
            assert!(now.starts_with(&before), "seed {seed}: a block changed what was told before");
            before = now;
        }
        let index = chain.state.index();
        let plain = |event: &Event| (event.after.leaf, event.happened, index.entry(event.entry).id);
        assert_eq!(
            before.iter().map(plain).collect::<Vec<_>>(),
            told_naively(&chain),
            "seed {seed}\n{}",
            chain.words()
        );
        revoked += before.iter().filter(|event| event.happened == Happened::Revoked).count();
        waited += before.iter().filter(|event| event.after.told == 2).count();
    }
    assert!(revoked > 300 && waited > 20, "only {revoked} revocations, of which {waited} waited");
}

#[test]
fn wherever_somebody_goes_on_the_rest_follows() {
    for seed in 0..LEDGERS {
        let chain = script(0x7a7c_0000 + seed).run();
        let all = events(&chain, Place::default());
        assert!(all.is_sorted_by_key(|event| event.after) && all.iter().all(|event| event.after.told > 0));
        for (at, event) in all.iter().enumerate() {
            assert_eq!(events(&chain, event.after), all[at + 1..], "seed {seed}, after {:?}", event.after);
        }
        for leaf in 0..=chain.state.log().size() {
            let rest: Vec<Event> = all.iter().copied().filter(|event| event.after.leaf >= leaf).collect();
            assert_eq!(events(&chain, Place::before(leaf)), rest, "seed {seed}, from leaf {leaf}");
            let beyond = Place { leaf, told: u32::MAX };
            let rest: Vec<Event> = all.iter().copied().filter(|event| event.after.leaf > leaf).collect();
            assert_eq!(events(&chain, beyond), rest, "seed {seed}, beyond leaf {leaf}");
        }
    }
}

#[test]
fn a_revocation_is_told_where_it_comes_to_count() {
    let grant = |nonce, sub| sign("org1", nonce, Body::Access(access(Effect::Grant, sub, "read", "file:x")));
    let end = |nonce, target: &Signed| sign("org1", nonce, revoke(target.id(), Effect::Grant));
    let (a, b, c) = (grant(1, "user:a"), grant(2, "user:b"), grant(3, "user:c"));
    let mut chain = Chain::new();
    // Leaves 0 to 2, and the commit leaf 3: the revocation of `b` waits, that of `a` works.
    chain.append(10, &[a.clone(), end(4, &b), end(5, &a)]);
    // Leaves 4 to 7: a second revocation of `a` changes nothing; `c` is revoked before it comes, in its own block.
    chain.append(20, &[b.clone(), end(6, &a), end(7, &c), c.clone()]);
    let index = chain.state.index();
    let told: Vec<_> = events(&chain, Place::default())
        .into_iter()
        .map(|Event { happened, entry, after }| (after.leaf, after.told, happened, index.entry(entry).id))
        .collect();
    assert_eq!(
        told,
        [
            (0, 1, Happened::Added, a.id()),
            (2, 1, Happened::Revoked, a.id()),
            (4, 1, Happened::Added, b.id()),
            (4, 2, Happened::Revoked, b.id()),
            (7, 1, Happened::Added, c.id()),
            (7, 2, Happened::Revoked, c.id()),
        ]
    );
}

fn pattern(text: &str) -> Pattern {
    Pattern::parse_full(text).expect("a pattern")
}

#[test]
fn an_interest_is_in_what_overlaps_it() {
    use Effect::{Deny, Grant};
    let entries = [
        (Grant, "user:a", "read", "file:org1/x"),    // 0
        (Grant, "user:b", "*", "file:org1/*"),       // 1
        (Deny, "user:*", "write", "file:*"),         // 2
        (Grant, "role:r", "read", "*"),              // 3
        (Grant, "user:a", "member", "role:r"),       // 4
        (Deny, "user:a", "*", "role:*"),             // 5
        (Deny, "*", "*", "*"),                       // 6
        (Grant, "user:org/a", "read", "file:org10"), // 7
        (Grant, "user:a", "read", "file:org1"),      // 8
        (Deny, "user:a", "read", "role:r"),          // 9
        (Grant, "thing:a", "*", "role:r"),           // 10
    ];
    let records: Vec<Signed> = entries
        .iter()
        .zip(1..)
        .map(|((effect, sub, act, obj), nonce)| {
            sign(["org1", "org2"][nonce as usize % 2], nonce, Body::Access(access(*effect, sub, act, obj)))
        })
        .collect();
    let mut chain = Chain::new();
    chain.append(10, &records);
    let told = |interest: &Interest| -> Vec<u32> {
        let listening = interest.in_terms_of(&chain.state);
        (0..entries.len() as EntryOrdinal).filter(|entry| listening.wants(*entry)).collect()
    };
    let everything = Interest::default();
    let obj = |text| Interest { obj: Some(pattern(text)), ..Interest::default() };
    let sub = |text| Interest { sub: Some(pattern(text)), ..Interest::default() };
    let act = |text| Interest { act: Some(ActionPattern::parse(text).expect("an action")), ..Interest::default() };
    let by = |name: &str| Interest { authority: Some(name.parse().expect("a name")), ..Interest::default() };
    for (case, interest, want) in [
        ("everything", everything.clone(), (0..11).collect()),
        ("an object", obj("file:org1/x"), vec![0, 1, 2, 3, 6]),
        ("an object that nothing names", obj("file:org1/y"), vec![1, 2, 3, 6]),
        ("below an object", obj("file:org1/*"), vec![0, 1, 2, 3, 6]),
        ("an object is not below itself", obj("file:org1"), vec![2, 3, 6, 8]),
        ("a type", obj("file:*"), vec![0, 1, 2, 3, 6, 7, 8]),
        ("all objects", obj("*"), (0..11).collect()),
        ("a role as object", obj("role:r"), vec![3, 4, 5, 6, 9, 10]),
        ("another type", obj("thing:x"), vec![3, 6]),
        ("a subject", sub("user:a"), vec![0, 2, 4, 5, 6, 8, 9]),
        ("below a subject", sub("user:org/*"), vec![2, 6, 7]),
        ("an action", act("read"), vec![0, 1, 3, 5, 6, 7, 8, 9, 10]),
        ("every action", act("*"), (0..11).collect()),
        ("membership", act("member"), vec![1, 4, 5, 6, 10]),
        ("denials", Interest { access: Some(Deny), ..everything.clone() }, vec![2, 5, 6, 9]),
        ("an authority", by("org1"), vec![1, 3, 5, 7, 9]),
        ("an authority that nobody knows", by("nobody"), vec![]),
        (
            "all of it at once",
            Interest { sub: sub("user:a").sub, act: act("read").act, access: Some(Grant), ..obj("file:org1/x") },
            vec![0],
        ),
        ("with members", Interest { memberships: true, ..obj("thing:x") }, vec![3, 4, 5, 6]),
        (
            "with members, whose subjects and actions are others",
            Interest { memberships: true, sub: sub("thing:z").sub, act: act("write").act, ..obj("thing:x") },
            vec![4, 5, 6],
        ),
        (
            "with members, of one effect",
            Interest { memberships: true, access: Some(Deny), ..obj("thing:x") },
            vec![5, 6],
        ),
        (
            "with members, of one authority",
            Interest { memberships: true, authority: by("org2").authority, ..obj("thing:x") },
            vec![4, 6],
        ),
    ] {
        assert_eq!(told(&interest), want, "{case}");
    }
}

/// Each record of a script in a block of its own.
fn one_by_one(script: &Script, is_kept: impl Fn(&Signed) -> bool) -> Vec<Signed> {
    script.blocks.iter().flat_map(|(_, records)| records).filter(|record| is_kept(record)).cloned().collect()
}

/// The part of an answer that a cache keeps.
fn kept(decision: Decision) -> (writ_proto::decision::Why, Vec<u64>, Option<writ_proto::time::LedgerTime>) {
    (decision.why, decision.entries, decision.valid_until)
}

/// Grows ledgers record by record, and holds each change of an answer against what is told of that record to those who
/// have the interests that `interests` gives for the question. Gives how often an answer changed, and how many events
/// some interest passed over.
fn changes_are_told(is_kept: impl Fn(&Signed) -> bool, interests: impl Fn(&Question) -> Vec<Interest>) -> [u64; 2] {
    let (mut changed, mut passed_over) = (0, 0);
    for seed in 0..LEDGERS {
        let records = one_by_one(&script(0x7a7c_1000 + seed), &is_kept);
        let mut chain = Chain::new();
        let mut places = BTreeMap::new();
        for (record, ms) in records.iter().zip(1..) {
            let before = Place::before(chain.state.log().size());
            chain.append(ms, std::slice::from_ref(record));
            places.insert(chain.height(), events(&chain, before));
        }
        let mut asker = Asker::new(seed, &chain);
        for _ in 0..30 {
            let (question, at) = (asker.question(), asker.instant());
            let answer = |height| kept(chain.real(&question, &Moment { interval: Interval::at(at), height }));
            let interests = interests(&question);
            let mut last = answer(0);
            for (height, told) in &places {
                let now = answer(*height);
                changed += u64::from(now != last);
                for interest in &interests {
                    // An entry on the same names with another action may shorten how long an answer is said to hold,
                    // which changes nothing about an answer that was kept.
                    let is_changed = match interest.act {
                        None => now != last,
                        Some(_) => (now.0, &now.1) != (last.0, &last.1),
                    };
                    let listening = interest.in_terms_of(&chain.state);
                    let heard = told.iter().filter(|event| listening.wants(event.entry)).count();
                    passed_over += (told.len() - heard) as u64;
                    let moment = Moment { interval: Interval::at(at), height: *height };
                    assert!(
                        !is_changed || heard > 0,
                        "seed {seed}: {} changed from {last:?} to {now:?}, not told to {interest:?}\n{}",
                        words_of(&question, &moment),
                        chain.words()
                    );
                }
                last = now;
            }
        }
    }
    [changed, passed_over]
}

/// The name itself and every pattern above it.
fn over(name: &writ_proto::name::Name) -> Vec<Pattern> {
    candidates(name).map(|text| pattern(&text)).collect()
}

#[test]
fn whatever_changes_an_answer_is_told_to_whoever_asks_for_the_object_and_for_memberships() {
    let [changed, passed_over] = changes_are_told(
        |_| true,
        |question| {
            let acts = [None, question.act.clone().map(ActionPattern::from)];
            let interest = |obj: &Pattern, act: &Option<ActionPattern>| Interest {
                obj: Some(obj.clone()),
                act: act.clone(),
                memberships: true,
                ..Interest::default()
            };
            over(&question.obj).iter().flat_map(|obj| acts.each_ref().map(|act| interest(obj, act))).collect()
        },
    );
    assert!(changed > 2_000 && passed_over > 10_000, "{changed} changes, {passed_over} passed over: too few");
}

#[test]
fn without_roles_it_is_told_to_whoever_asks_for_the_object_or_the_subject() {
    let is_about_members = |access: &Access| access.act.is_member() || access.obj.as_str().starts_with("role:");
    let [changed, passed_over] = changes_are_told(
        |record| !record.entries().any(|made| is_about_members(made.access)),
        |question| {
            let objects = over(&question.obj).into_iter().map(|obj| Interest { obj: Some(obj), ..Interest::default() });
            let subjects =
                over(&question.sub).into_iter().map(|sub| Interest { sub: Some(sub), ..Interest::default() });
            let both = over(&question.sub).into_iter().zip(over(&question.obj)).map(|(sub, obj)| Interest {
                sub: Some(sub),
                obj: Some(obj),
                ..Interest::default()
            });
            objects.chain(subjects).chain(both).collect()
        },
    );
    assert!(changed > 1_000 && passed_over > 10_000, "{changed} changes, {passed_over} passed over: too few");
}
