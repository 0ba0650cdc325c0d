//! Searches agree with check: on random ledgers, what `/v1/who-can` and `/v1/what-can` say of every name of
//! `/v1/entries` is what `/v1/check` says of it, now and at past moments.
//!
//! 6 ledgers, or as many as `WRIT_LEDGERS` says; the seed is printed. Windows lie around the real now, so a search
//! is asked for a first result, and all else about the instant and height that this answered for.

use std::collections::{BTreeMap, BTreeSet};

use writ_proto::api::{Possession, WhatCanPage, WhoCanPage};
use writ_proto::record::Effect;
use writ_proto::time::LedgerTime;
use writ_tests::http::{Http, escape};
use writ_tests::issuer::now;
use writ_tests::node::assert_sound;
use writ_tests::random::Random;
use writ_tests::world::World;
use writ_tests::writ::writ;

use crate::decisions::Ledger;

const ROOTS: [&str; 2] = ["org1", "org2"];

#[test]
fn searches_agree_with_check_about_every_name_of_the_log() {
    let ledgers: u64 = match std::env::var("WRIT_LEDGERS") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("WRIT_LEDGERS is `{text}`, expected a number")),
        Err(_) => 6,
    };
    let mut random = Random::from_environment("searches");
    let mut granted = 0;
    // Some share a chain, with strangers beside them; others have patterns that cover everything, and a chain to themselves.
    let alone = ledgers.div_ceil(3);
    granted += play(&mut random, ledgers - alone, false);
    for _ in 0..alone {
        granted += play(&mut random, 1, true);
    }
    println!("{ledgers} ledgers: {granted} answers granted");
    // A generator that grants next to nothing proves nothing.
    assert!(granted > 4 * ledgers, "only {granted} answers are granted");
}

fn play(random: &mut Random, ledgers: u64, alone: bool) -> u64 {
    let world = World::new(&ROOTS);
    let mut node = world.run();
    let mut all = Vec::new();
    for number in 0..ledgers {
        let mut ledger = Ledger::new(number, alone, random);
        ledger.write(&world, node.http(), random);
        all.push(ledger);
    }
    let granted = all.iter().map(|ledger| compare(node.http(), ledger, random)).sum();
    assert!(node.stop().success());
    assert_sound(&world.home());
    granted
}

/// Asks about each moment a few questions of each kind; gives how many answers were granted.
fn compare(http: &Http, ledger: &Ledger, random: &mut Random) -> u64 {
    let status = http.status();
    let first = http.entries("").first().map_or(status.time, |entry| entry.added);
    let mut instants = ledger.instants.clone();
    instants.extend([first.as_millis(), status.time.as_millis()]);
    let instant = |random: &mut Random| {
        let millis = *random.pick(&instants) + random.below(3) - 1;
        LedgerTime::from_millis(millis).expect("a time of the ledger")
    };
    let mut granted = 0;
    for way in ["now", "at", "height", "as_of"] {
        let when = match way {
            "at" => format!("&at={}", instant(random)),
            "height" => {
                // Late ones mostly: they have more behind them.
                let height = random.below(status.height + 1).max(random.below(status.height + 1));
                format!("&height={height}&at={}", instant(random))
            }
            "as_of" => format!("&as_of={}", instant(random).max(first).min(now())),
            _ => String::new(),
        };
        for _ in 0..4 {
            let objs = if random.percent(70) { &ledger.files } else { &ledger.roles };
            let obj = random.pick(objs).clone();
            let act = if obj.starts_with("role:") { "member" } else { *random.pick(&["read", "write"]) };
            let act = (!random.percent(25)).then_some(act);
            granted += who_can(http, &obj, act, &when, random);
            let subs = if random.percent(70) { &ledger.users } else { &ledger.roles };
            granted += what_can(http, &random.pick(subs).clone(), &when, random);
        }
    }
    granted
}

/// Names and patterns on entries up to a height: subjects, and objects; exact roles are both.
fn named(http: &Http, height: u64) -> [BTreeSet<String>; 2] {
    let (mut subs, mut objs) = (BTreeSet::new(), BTreeSet::new());
    for entry in http.entries("").into_iter().filter(|entry| entry.height <= height) {
        let is_role = |name: &str| name.starts_with("role:") && !name.ends_with('*');
        objs.extend(is_role(&entry.sub).then(|| entry.sub.clone()));
        subs.extend(is_role(&entry.obj).then(|| entry.obj.clone()));
        subs.insert(entry.sub);
        objs.insert(entry.obj);
    }
    [subs, objs]
}

/// The name itself, or one below the pattern that nothing else names or covers.
fn someone(text: &str) -> String {
    match text.strip_suffix('*') {
        Some("") => "unheard:of".to_owned(),
        Some(prefix) => format!("{prefix}unheard-of"),
        None => text.to_owned(),
    }
}

fn is_granted(http: &Http, sub: &str, act: Option<&str>, obj: &str, when: &str) -> bool {
    let act = act.map_or(String::new(), |act| format!("&act={act}"));
    let (sub, obj) = (escape(&someone(sub)), escape(&someone(obj)));
    http.check(&format!("sub={sub}&obj={obj}{act}{when}")).decision == Effect::Grant
}

/// The moment of an answer as a question names it.
fn moment(at: LedgerTime, height: u64) -> String {
    format!("&at={at}&height={height}")
}

fn who_can(http: &Http, obj: &str, act: Option<&str>, when: &str, random: &mut Random) -> u64 {
    let mut query = format!("obj={}{when}", escape(obj));
    if let Some(act) = act {
        query += &format!("&act={act}");
    }
    let first: WhoCanPage = http.read(&format!("/v1/who-can?{query}&limit=1"));
    let when = moment(first.at, first.height);
    let [subs, _] = named(http, first.height);
    let want: BTreeSet<String> = subs.into_iter().filter(|sub| is_granted(http, sub, act, obj, &when)).collect();
    let act = act.map_or(String::new(), |act| format!("&act={act}"));
    let limit = 1 + random.below(9);
    let [results, patterns] = http.who_can(&format!("obj={}{act}{when}&limit={limit}", escape(obj)));
    let is_pattern = |text: &String| text.ends_with('*');
    assert!(patterns.iter().all(is_pattern) && !results.iter().any(is_pattern), "{query}{when}");
    let count = results.len() + patterns.len();
    let found: BTreeSet<String> = results.into_iter().chain(patterns).collect();
    assert_eq!((&found, count), (&want, want.len()), "{query}{when}");
    count as u64
}

fn what_can(http: &Http, sub: &str, when: &str, random: &mut Random) -> u64 {
    let query = format!("sub={}", escape(sub));
    let first: WhatCanPage = http.read(&format!("/v1/what-can?{query}{when}&limit=1"));
    let when = moment(first.at, first.height);
    let [_, objs] = named(http, first.height);
    let limit = 1 + random.below(9);
    let mut rows: BTreeMap<String, Vec<Possession>> = BTreeMap::new();
    for row in http.what_can(&format!("{query}{when}&limit={limit}")).into_iter().flatten() {
        assert!(objs.contains(&row.obj), "{query}{when}: nothing names {}", row.obj);
        rows.entry(row.obj.clone()).or_default().push(row);
    }
    let mut granted = 0;
    for obj in &objs {
        let own = rows.get(obj).map_or(&[][..], Vec::as_slice);
        // Membership is of roles; of what cannot be one, no row speaks of it.
        let may_be_role = obj.starts_with("role:") || obj == "*";
        for act in ["read", "write", "unheard-of"].into_iter().chain(may_be_role.then_some("member")) {
            let says = own
                .iter()
                .any(|row| if row.act == "*" { !row.except.iter().any(|own| own == act) } else { row.act == act });
            granted += u64::from(says);
            assert_eq!(says, is_granted(http, sub, Some(act), obj, &when), "{query}{when}: {act} {obj}: {own:?}");
        }
    }
    granted
}

#[test]
fn the_program_puts_all_pages_together_while_the_log_grows() {
    let world = World::new(&["org1"]);
    let node = world.run();
    let org1 = world.issuer("org1");
    // More than one page of a thousand.
    let records: Vec<_> = (0..2_200).map(|n| org1.grant(&format!("user{n:04}"), "read", "file:x")).collect();
    for batch in records.chunks(1_000) {
        node.http().submit_batch(batch);
    }
    let height = node.http().status().height;
    let want: Vec<String> = (0..2_200).map(|n| format!("user{n:04}")).collect();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                node.http().submit(&org1.grant(&format!("a-late-one{n}"), "read", "file:*"));
                n += 1;
            }
        });
        for _ in 0..5 {
            let now =
                writ(["who-can", "--obj", "file:x", "--act", "read", "--node", node.url(), "--json"]).expect(0).json();
            let names = now["results"].as_array().expect("a list");
            let late =
                names.iter().take_while(|name| name.as_str().is_some_and(|name| name.starts_with("a-late"))).count();
            assert_eq!(names.len(), late + want.len(), "of one moment");
            let height = height.to_string();
            let said = writ(["who-can", "--obj", "file:x", "--act", "read", "--height", &height, "--node", node.url()]);
            assert_eq!(said.expect(0).out.lines().collect::<Vec<_>>(), want);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let what = writ(["what-can", "--sub", "user0007", "--node", node.url(), "--json"]).expect(0).json();
    assert_eq!(what["results"], serde_json::json!([{"obj": "file:x", "act": "read", "except": []}]));
}
