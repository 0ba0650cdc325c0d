//! A real node tells who gained and lost what, and what would change: just as its own answers, before and after.
//!
//! Random worlds of a few names, written in batches. The seed is printed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use writ_proto::api::{
    AccessChange, BatchResult, DiffPage, Happening, HistoryPage, PreviewAnswer, PreviewAsked, Proposal, RecordStatus,
    Right, Tuple,
};
use writ_proto::record::{Body, Effect, Signed};
use writ_proto::time::LedgerTime;
use writ_tests::http::{Http, escape};
use writ_tests::issuer::access;
use writ_tests::node::assert_sound;
use writ_tests::random::Random;
use writ_tests::world::World;
use writ_tests::writ::writ;

const ROOTS: [&str; 2] = ["org1", "org2"];
const SUBJECTS: [&str; 5] = ["a", "org/b", "org/c", "role:r", "role:s"];
const OBJECTS: [&str; 5] = ["file:x", "file:d/y", "file:d/z", "role:r", "role:s"];
const ACTIONS: [&str; 3] = ["read", "member", "unheard"];

/// Who may do what: subject, object, action.
type May = BTreeSet<(String, String, String)>;

#[test]
fn differences_and_previews_agree_with_the_answers_before_and_after() {
    let mut random = Random::from_environment("changes");
    let world = World::new(&ROOTS);
    let mut node = world.run();
    let http = node.http();
    let (mut made, mut told_changes, mut rounds) = (Vec::new(), 0, 0);
    // Some rounds change little: until there is enough to compare.
    while rounds < 16 || (told_changes <= 20 && rounds < 100) {
        rounds += 1;
        let before = http.status().height;
        let by = *random.pick(&ROOTS);
        let (proposals, records) = statements(&world, by, &mut made, &mut random);
        let told = preview(http, by, proposals);
        assert_eq!(http.status().height, before, "a preview changes nothing");
        let results = http.submit_batch(&records).results;
        let refused: Vec<usize> = told.refused.iter().filter_map(|refusal| refusal.statement).collect();
        let taken = |result: &BatchResult| match result {
            BatchResult::Receipt(receipt) => receipt.status == RecordStatus::Committed,
            BatchResult::Problem(_) => false,
        };
        let really: Vec<usize> = (0..results.len()).filter(|at| !taken(&results[*at])).collect();
        assert_eq!(refused, really, "what would be refused is refused: {told:?} {results:?}");
        let done = diff(http, &format!("from={before}"));
        assert_eq!(sorted(&told.changes), sorted(&done), "the dry run says what then happens");
        told_changes += done.len();
    }
    assert!(told_changes > 20, "{told_changes} changes");

    let tip = http.status().height;
    let heights: Vec<u64> = (0..=tip).collect();
    let answers: BTreeMap<u64, May> = heights.iter().map(|height| (*height, may(http, *height))).collect();
    let mut named: BTreeMap<String, u64> = BTreeMap::new();
    for entry in http.entries("") {
        named.entry(entry.sub).or_insert(entry.height);
        named.entry(entry.obj).or_insert(entry.height);
    }
    for _ in 0..25 {
        let (one, other) = (*random.pick(&heights), *random.pick(&heights));
        let (from, to) = (one.min(other), one.max(other));
        let changes = diff(http, &format!("from={from}&to={to}&limit={}", 1 + random.below(5)));
        // What no entry names yet stands below the patterns.
        let minus = |one: u64, other: u64| -> May {
            let is_named = |name: &String| named.get(name).is_some_and(|since| *since <= to);
            let differing = answers[&one].difference(&answers[&other]);
            differing.filter(|(sub, obj, _)| is_named(sub) && is_named(obj)).cloned().collect()
        };
        let (gained, lost) = (minus(to, from), minus(from, to));
        assert_eq!(rows(&changes, |change| &change.gained), gained, "gained from {from} to {to}");
        assert_eq!(rows(&changes, |change| &change.lost), lost, "lost from {from} to {to}");
    }
    let all = diff(http, "from=0");
    let said = writ(["diff", "--from", "0", "--node", node.url(), "--json"]).expect(0).json();
    assert_eq!(said["changes"], json!(all));
    histories(http, &answers);
    assert!(node.stop().success());
    assert_sound(&world.home());
}

/// A few statements, and the records that make them. `made` are the entries so far, each with its signer.
fn statements(
    world: &World,
    by: &'static str,
    made: &mut Vec<(&'static str, Signed)>,
    random: &mut Random,
) -> (Vec<Proposal>, Vec<Signed>) {
    let (mut proposals, mut records): (Vec<Proposal>, Vec<Signed>) = (Vec::new(), Vec::new());
    let mut fresh: Vec<(usize, Signed)> = Vec::new();
    // What is not in the log yet is withdrawn by its place, not revoked by its id.
    let mut new = Vec::new();
    for _ in 0..1 + random.below(6) {
        if random.percent(20) && !made.is_empty() {
            // Mostly ones own: what another authority said is not revoked.
            let (_, target) = random.pick(made).clone();
            let Body::Access(entry) = target.body() else { continue };
            proposals.push(Proposal::Revoke { revoke: target.id() });
            records.push(world.issuer(by).revoke(target.id(), entry.effect));
            continue;
        }
        if random.percent(10) && !fresh.is_empty() {
            let (withdraw, target) = fresh.remove(0);
            proposals.push(Proposal::Withdraw { withdraw });
            records.push(world.issuer(by).revoke(target.id(), Effect::Grant));
            continue;
        }
        let effect = if random.percent(25) { Effect::Deny } else { Effect::Grant };
        let sub = *random.pick(&["a", "org/b", "org/c", "role:r", "role:s", "user:org/*", "*"]);
        let (act, obj) = match random.below(3) {
            0 => ("member", *random.pick(&["role:r", "role:s"])),
            _ => {
                (*random.pick(&["read", "*"]), *random.pick(&["file:x", "file:d/y", "file:d/z", "file:d/*", "file:*"]))
            }
        };
        let entry = access(effect, sub, act, obj);
        let signed = world.issuer(by).sign(Body::Access(entry.clone()));
        if effect == Effect::Grant {
            fresh.push((proposals.len(), signed.clone()));
        }
        new.push((by, signed.clone()));
        proposals.push(Proposal::State { tuple: Tuple::from(&entry), id: Some(signed.id()) });
        records.push(signed);
    }
    made.extend(new);
    (proposals, records)
}

fn preview(http: &Http, by: &str, statements: Vec<Proposal>) -> PreviewAnswer {
    let issuing_auth = by.parse().expect("a name");
    let asked = PreviewAsked { issuing_auth, statements, atomic: false, unchanged_since: None, limit: None };
    let body = serde_json::to_vec(&asked).expect("texts and numbers are JSON");
    let told: PreviewAnswer = http.post("/v1/preview", "application/json", &body).expect(200, "a preview");
    assert!(!told.more);
    told
}

/// All changes, page by page.
fn diff(http: &Http, query: &str) -> Vec<AccessChange> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page: DiffPage = http.read(&format!("/v1/diff?{query}{cursor}"));
        all.extend(page.changes);
        match page.next {
            Some(next) => cursor = format!("&cursor={}", escape(&next)),
            None => return all,
        }
    }
}

fn sorted(changes: &[AccessChange]) -> BTreeSet<String> {
    changes.iter().map(|change| json!(change).to_string()).collect()
}

/// What check grants at a height, at the instant of its block.
fn may(http: &Http, height: u64) -> May {
    let at = time_of(http, height);
    let mut all = May::new();
    for sub in SUBJECTS {
        for obj in OBJECTS {
            for act in ACTIONS.into_iter().filter(|act| means(act, obj)) {
                let query = format!("sub={}&obj={}&act={act}&height={height}&at={at}", escape(sub), escape(obj));
                if http.check(&query).decision == Effect::Grant {
                    all.insert((sub.to_owned(), obj.to_owned(), act.to_owned()));
                }
            }
        }
    }
    all
}

/// `member` means something on roles alone.
fn means(act: &str, obj: &str) -> bool {
    act != "member" || obj.starts_with("role:")
}

fn time_of(http: &Http, height: u64) -> LedgerTime {
    let page: DiffPage = http.read(&format!("/v1/diff?from={height}&to={height}"));
    page.from.at
}

/// The same from changes; those of patterns are of no name here.
fn rows(changes: &[AccessChange], of: impl Fn(&AccessChange) -> &Vec<Right>) -> May {
    let mut all = May::new();
    for change in changes.iter().filter(|change| !change.sub.contains('*') && !change.obj.contains('*')) {
        for right in of(change) {
            let covers =
                |act: &str| right.act == act || (right.act == "*" && !right.except.iter().any(|own| own == act));
            let acts = ACTIONS.into_iter().filter(|act| covers(act) && means(act, &change.obj));
            all.extend(acts.map(|act| (change.sub.clone(), change.obj.clone(), act.to_owned())));
        }
    }
    all
}

/// The last answer of every history is the answer at the tip.
fn histories(http: &Http, answers: &BTreeMap<u64, May>) {
    let last = answers.last_key_value().map(|(_, may)| may).expect("there is a tip");
    for sub in SUBJECTS {
        for obj in OBJECTS {
            let page: HistoryPage =
                http.read(&format!("/v1/history?limit=1000&sub={}&obj={}", escape(sub), escape(obj)));
            assert_eq!(page.next, None);
            let answer = page.events.iter().rfind(|event| event.event == Happening::Answer);
            let rights = answer.and_then(|event| event.rights.clone()).unwrap_or_default();
            let change = AccessChange { sub: sub.into(), obj: obj.into(), gained: rights, lost: Vec::new() };
            let of_pair = last.iter().filter(|(own, what, _)| own == sub && what == obj).cloned();
            assert_eq!(rows(&[change], |change| &change.gained), of_pair.collect::<May>(), "{sub} {obj}");
        }
    }
}
