//! Who can, what can, what ends: complete, of one moment, whatever the size of the pages.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use writ_proto::record::{Body as Says, Effect, Signed};

use super::world::{World, access, time};
use crate::mempool::PoolLimits;

async fn page(world: &World, path: &str) -> Value {
    let reply = world.get(path).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    reply.json()
}

/// The members `lists` of all pages, each in its order; `between` happens between pages. All pages must be of
/// one moment.
async fn pages(world: &World, path: &str, lists: &[&str], mut between: impl FnMut(usize)) -> Vec<Vec<Value>> {
    let mut all = vec![Vec::new(); lists.len()];
    let mut next = String::new();
    let mut moment = None;
    for number in 0..5_000 {
        let page = page(world, &format!("{path}{next}")).await;
        for (all, list) in all.iter_mut().zip(lists) {
            all.extend(page[list].as_array().unwrap().iter().cloned());
        }
        // The names on it, patterns too: of what somebody can do there may be several rows to one.
        let limit = path.split_once("limit=").map(|(_, rest)| rest.split('&').next().unwrap().parse().unwrap());
        let listed = lists.iter().flat_map(|list| page[list].as_array().unwrap());
        let names: BTreeSet<String> = listed
            .map(|row| row.get("obj").filter(|_| row.get("except").is_some()).unwrap_or(row).to_string())
            .collect();
        assert!(names.len() <= limit.unwrap_or(100), "{path}: {} in page {number}", names.len());
        let own = [&page["at"], &page["until"], &page["height"], &page["position"]].map(Clone::clone);
        assert_eq!(*moment.get_or_insert(own.clone()), own, "{path}: page {number} is of another moment");
        let Some(cursor) = page["next"].as_str() else { return all };
        next = format!("&cursor={cursor}");
        between(number);
    }
    panic!("`{path}` does not end");
}

async fn both(world: &World, path: &str) -> Value {
    let [results, patterns] = &pages(world, path, &["results", "patterns"], |_| {}).await[..] else { unreachable!() };
    json!([results, patterns])
}

/// Roles, patterns, denials, ends to come, revocations, in several blocks.
pub(super) fn mixed(seed: u64) -> World {
    let world = World::new();
    let mut state = seed;
    let mut below = |most: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % most
    };
    const SUBJECTS: [&str; 12] = [
        "alice",
        "bob",
        "org/carol",
        "org/dan",
        "role:a",
        "role:b",
        "role:b/c",
        "user:*",
        "user:org/*",
        "role:*",
        "role:b/*",
        "*",
    ];
    const ROLES: [&str; 4] = ["role:a", "role:b", "role:b/c", "role:d"];
    const OBJECTS: [&str; 9] =
        ["file:x", "file:acl/x", "file:acl/y/z", "doc", "role:a", "file:acl/*", "file:*", "role:*", "*"];
    let mut made: Vec<(Signed, Effect)> = Vec::new();
    for _ in 0..14 {
        // A denial that is not in the log cannot be lifted.
        let (mut records, mut new) = (Vec::new(), Vec::new());
        for _ in 0..1 + below(4) {
            if !made.is_empty() && below(5) == 0 {
                let (target, effect) = made.swap_remove(below(made.len()));
                records.push(world.revoke(target.id(), effect));
                continue;
            }
            let effect = if below(4) == 0 { Effect::Deny } else { Effect::Grant };
            let most = if below(3) == 0 { 12 } else { 7 };
            let sub = SUBJECTS[below(most)];
            let (act, obj) = match (below(3), effect) {
                (0, Effect::Grant) => ("member", ROLES[below(4)]),
                (0, Effect::Deny) => ("member", ["role:a", "role:b", "role:*", "*"][below(4)]),
                _ => (["read", "write", "*"][below(3)], OBJECTS[below(9)]),
            };
            let mut access = access(effect, sub, act, obj);
            access.exp = (below(4) == 0).then(|| time(1_000 + 500 * below(40) as u64));
            let record = world.sign("org1", Says::Access(access));
            new.push((record.clone(), effect));
            records.push(record);
        }
        world.append(&records.iter().collect::<Vec<_>>());
        made.append(&mut new);
        world.pass(700);
    }
    world
}

/// The names and patterns that stand on entries of `height` or before: as subjects and as objects.
async fn named(world: &World, height: u64) -> [BTreeSet<String>; 2] {
    let entries = &pages(world, "/v1/entries?limit=1000", &["entries"], |_| {}).await[0];
    let (mut subs, mut objs) = (BTreeSet::new(), BTreeSet::new());
    for entry in entries.iter().filter(|entry| entry["height"].as_u64().unwrap() <= height) {
        let text = |member: &str| entry[member].as_str().unwrap().to_owned();
        let (sub, obj) = (text("sub"), text("obj"));
        let is_role = |name: &String| name.starts_with("role:") && !name.ends_with('*');
        objs.extend(is_role(&sub).then(|| sub.clone()));
        subs.extend(is_role(&obj).then(|| obj.clone()));
        subs.insert(sub);
        objs.insert(obj);
    }
    [subs, objs]
}

/// A name that the pattern covers and that stands on no entry; a name for itself.
fn someone(text: &str) -> String {
    match text.strip_suffix('*') {
        Some("") => "thing:nobody".into(),
        Some(prefix) => format!("{prefix}nobody"),
        None => text.into(),
    }
}

async fn is_granted(world: &World, sub: &str, act: Option<&str>, obj: &str, when: &str) -> bool {
    let act = act.map_or(String::new(), |act| format!("&act={act}"));
    let answer = page(world, &format!("/v1/check?sub={}&obj={}{act}{when}", someone(sub), someone(obj))).await;
    answer["decision"] == "granted"
}

/// Sorted texts, names and patterns apart.
fn apart(texts: impl IntoIterator<Item = String>) -> [BTreeSet<String>; 2] {
    let (patterns, names) = texts.into_iter().partition(|text| text.ends_with('*'));
    [names, patterns]
}

fn texts(values: &[Value]) -> BTreeSet<String> {
    values.iter().map(|value| value.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn who_can_is_every_name_of_the_log_that_check_grants_it_to() {
    let mut granted = 0;
    for seed in 1..5 {
        let world = mixed(seed);
        let tip = world.ledger.read().tip().height;
        let moments = [
            (String::new(), tip),
            (format!("&at={}", time(6_000)), tip),
            ("&height=6".into(), 6),
            (format!("&height=9&at={}", time(4_000)), 9),
            (format!("&as_of={}", time(3_600)), world.ledger.read().height_at(time(3_600)).unwrap()),
        ];
        for (when, height) in &moments {
            let [subs, _] = named(&world, *height).await;
            for obj in ["file:x", "file:acl/x", "file:never", "doc", "role:a", "role:d"] {
                for act in [None, Some("read"), Some("member"), Some("unheard-of")] {
                    let mut want = BTreeSet::new();
                    for sub in &subs {
                        if is_granted(&world, sub, act, obj, when).await {
                            want.insert(sub.clone());
                        }
                    }
                    granted += want.len();
                    let asked = act.map_or(String::new(), |act| format!("&act={act}"));
                    let path = format!("/v1/who-can?obj={obj}{asked}{when}");
                    let found = pages(&world, &path, &["results", "patterns"], |_| {}).await;
                    assert_eq!([texts(&found[0]), texts(&found[1])], apart(want), "{seed}: {path}");
                    assert_eq!(found[0].len() + found[1].len(), texts(&found[0]).len() + texts(&found[1]).len());
                }
            }
        }
    }
    assert!(granted > 500, "{granted}");
}

#[tokio::test]
async fn what_can_is_every_object_of_the_log_that_check_grants() {
    let actions = ["read", "write", "member", "unheard-of"];
    let mut granted = 0;
    for seed in 1..5 {
        let world = mixed(seed);
        let tip = world.ledger.read().tip().height;
        let moments = [
            (String::new(), tip),
            (format!("&at={}", time(6_000)), tip),
            ("&height=6".into(), 6),
            (format!("&as_of={}", time(3_600)), world.ledger.read().height_at(time(3_600)).unwrap()),
        ];
        for (when, height) in &moments {
            let [_, objs] = named(&world, *height).await;
            for sub in ["alice", "org/dan", "org/stranger", "role:a", "role:b/c", "robot:x"] {
                let path = format!("/v1/what-can?sub={sub}{when}");
                let found = pages(&world, &path, &["results", "patterns"], |_| {}).await;
                let mut rows: BTreeMap<String, Vec<(String, BTreeSet<String>)>> = BTreeMap::new();
                for (list, is_pattern) in found.iter().zip([false, true]) {
                    for row in list {
                        let text = |member: &str| row[member].as_str().unwrap().to_owned();
                        assert_eq!(text("obj").ends_with('*'), is_pattern, "{row}");
                        let except = texts(row["except"].as_array().unwrap());
                        assert!(text("act") == "*" || except.is_empty(), "{row}");
                        rows.entry(text("obj")).or_default().push((text("act"), except));
                    }
                }
                assert!(rows.keys().all(|obj| objs.contains(obj)), "{path}: {rows:?} of {objs:?}");
                for obj in &objs {
                    let own = rows.get(obj).map_or(&[][..], Vec::as_slice);
                    assert!(own.len() <= 1 || own.iter().all(|(act, _)| act != "*"), "{path}: {obj}: {own:?}");
                    for act in actions {
                        let says = own.iter().any(|(own, except)| match own.as_str() {
                            "*" => !except.contains(act),
                            own => own == act,
                        });
                        // Membership is of roles; of what cannot be one, no row speaks of it.
                        if act != "member" || obj.starts_with("role:") || obj == "*" {
                            let want = is_granted(&world, sub, Some(act), obj, when).await;
                            assert_eq!(says, want, "{seed}: {path}: {act} {obj}: {own:?}");
                        }
                        granted += usize::from(says);
                    }
                }
            }
        }
    }
    assert!(granted > 300, "{granted}");
}

/// A few entries whose answers can be told by looking.
fn small() -> World {
    let world = World::new();
    world.append(&[&world.grant("zoe", "read", "file:x"), &world.grant("alice", "*", "file:x")]);
    world.append(&[&world.grant("role:staff", "read", "file:*"), &world.grant("bob", "member", "role:staff")]);
    world.append(&[&world.grant("user:org1/*", "*", "file:x"), &world.deny("bob", "write", "file:x")]);
    world.append(&[&world.grant("Zoë 1", "read", "file:x"), &world.deny("alice", "read", "file:acl/x")]);
    world.append(&[&world.grant("alice", "*", "file:acl/*"), &world.grant("alice", "*", "role:staff")]);
    world.append(&[&world.grant("a\u{1b}b", "read", "file:x"), &world.grant("alice", "read", "*")]);
    world
}

#[tokio::test]
async fn names_come_as_people_write_them_in_the_order_of_the_log() {
    let world = small();
    let who = async |query: &str| both(&world, &format!("/v1/who-can?{query}")).await;
    let all = json!([["zoe", "alice", "role:staff", "bob", "Zoë 1", "%user:a%1Bb"], ["user:org1/*"]]);
    assert_eq!(who("obj=file:x&act=read").await, all);
    assert_eq!(who("obj=file:x&act=write").await, json!([["alice"], ["user:org1/*"]]));
    assert_eq!(who("obj=file:x").await, json!([["alice"], ["user:org1/*"]]), "every action");
    assert_eq!(who("obj=file:y&act=read").await, json!([["alice", "role:staff", "bob"], []]));
    assert_eq!(who("obj=role:staff&act=member").await, json!([["bob"], []]));
    assert_eq!(who("obj=other").await, json!([[], []]));
    assert_eq!(who("obj=file:x&act=read&height=1").await, json!([["zoe", "alice"], []]));
    assert_eq!(who("obj=file:x&act=read&height=0").await, json!([[], []]));

    let row = |obj: &str, act: &str, except: &[&str]| json!({"obj": obj, "act": act, "except": except});
    let what = async |query: &str| both(&world, &format!("/v1/what-can?{query}")).await;
    assert_eq!(what("sub=zoe").await, json!([[row("file:x", "read", &[])], []]));
    assert_eq!(
        what("sub=alice").await,
        json!([
            [row("file:x", "*", &[]), row("role:staff", "*", &["member"]), row("file:acl/x", "*", &["read"])],
            // The text `*` stood there first as an action.
            [row("*", "read", &[]), row("file:*", "read", &[]), row("file:acl/*", "*", &[])]
        ])
    );
    assert_eq!(
        what("sub=bob&type=file").await,
        json!([
            [row("file:x", "read", &[]), row("file:acl/x", "read", &[])],
            [row("file:*", "read", &[]), row("file:acl/*", "read", &[])]
        ])
    );
    assert_eq!(what("sub=bob&type=role").await, json!([[row("role:staff", "member", &[])], []]));
    assert_eq!(what("sub=alice&type=doc").await, json!([[], [row("*", "read", &[])]]), "`*` is of every type");
    assert_eq!(what("sub=nobody").await, json!([[], []]));
    let page = page(&world, "/v1/who-can?obj=file:x").await;
    let status = world.get("/v1/status").await.json();
    assert_eq!((&page["height"], &page["position"], &page["next"]), (&json!(6), &status["position"], &Value::Null));
}

#[tokio::test]
async fn small_pages_while_the_log_grows_are_one_large_page_of_before() {
    let paths = ["/v1/who-can?obj=file:acl/x&act=read", "/v1/what-can?sub=alice", "/v1/who-can?obj=role:a&act=member"];
    let (mut found, mut grown) = (0, 0);
    for (path, seed) in paths.iter().flat_map(|path| (3..9).map(move |seed| (path, seed))) {
        for limit in [1, 2, 5] {
            let world = mixed(seed);
            let before = both(&world, &format!("{path}&limit=1000")).await;
            let during = pages(&world, &format!("{path}&limit={limit}"), &["results", "patterns"], |number| {
                // Names that are new, grants to everybody, denials of what was granted, and time.
                let new = [
                    world.grant(&format!("new{number}"), "*", "*"),
                    world.grant(&format!("new{number}"), "member", "role:a"),
                    world.grant("user:*", "read", &format!("file:acl/{number}")),
                    world.grant("role:*", "*", &format!("file:acl/x/{number}")),
                    world.deny("alice", "*", &format!("file:{number}")),
                    world.deny("bob", "*", "role:*"),
                ];
                if number < 12 {
                    world.append(&new.iter().collect::<Vec<_>>());
                    world.pass(300);
                }
            })
            .await;
            assert_eq!(json!(during), before, "{seed} {path} limit={limit}");
            found += during.iter().map(Vec::len).sum::<usize>();
            let after = both(&world, &format!("{path}&limit=1000")).await;
            grown += usize::from(after != before);
        }
    }
    // A log that changes no answer proves nothing.
    assert!(found > 60 && grown > 9, "{found} results, {grown} answers that changed");
}

#[tokio::test]
async fn a_request_does_bounded_work_and_says_where_to_go_on() {
    // In tests a step makes 60 look-ups, and a request three steps.
    let world = World::new();
    let records: Vec<Signed> = (0..400).map(|n| world.grant(&format!("u{n}"), "read", &format!("file:{n}"))).collect();
    world.append(&records.iter().collect::<Vec<_>>());
    let last = [world.grant("user:*", "read", "file:all"), world.grant("u0", "read", "file:*")];
    world.append(&[&last[0], &last[1], &world.deny("u7", "read", "file:all")]);
    let path = "/v1/who-can?obj=file:all&act=read&limit=1000";
    let first = page(&world, path).await;
    assert!(first["next"].is_string() && first["results"].as_array().unwrap().len() < 200, "{first}");
    let found = pages(&world, path, &["results", "patterns"], |_| {}).await;
    let want: Vec<Value> = (0..400).filter(|n| *n != 7).map(|n| json!(format!("u{n}"))).collect();
    assert_eq!(found, [want, vec![json!("user:*")]]);
    let found = pages(&world, "/v1/what-can?sub=u0", &["results", "patterns"], |_| {}).await;
    assert_eq!((found[0].len(), found[1].len()), (401, 1));
    // Most pages of this one are empty.
    let found = pages(&world, "/v1/what-can?sub=u0&type=none", &["results", "patterns"], |_| {}).await;
    assert!(found.iter().all(Vec::is_empty), "{found:?}");
}

#[tokio::test]
async fn a_cursor_belongs_to_its_question_and_its_chain() {
    let world = small();
    let first = async |path: &str| page(&world, path).await["next"].as_str().unwrap().to_owned();
    let who = first("/v1/who-can?obj=file:x&act=read&limit=1").await;
    let what = first("/v1/what-can?sub=alice&limit=1").await;
    // The same question in other words, and larger pages.
    page(&world, &format!("/v1/who-can?act=read&obj=file%3Ax&limit=9&cursor={who}")).await;
    page(&world, &format!("/v1/what-can?sub=user:alice&cursor={what}")).await;
    let refused = async |path: String| {
        let reply = world.get(&path).await;
        assert_eq!(reply.problem(), (400, "bad_request".into(), Some("cursor".into())), "{path}");
    };
    for query in ["obj=file:x", "obj=file:y&act=read", "obj=file:x&act=write", "obj=file:x&act=read&height=6"] {
        refused(format!("/v1/who-can?{query}&cursor={who}")).await;
    }
    for query in ["sub=bob", "sub=alice&type=file", &format!("sub=alice&at={}", time(1))] {
        refused(format!("/v1/what-can?{query}&cursor={what}")).await;
    }
    refused(format!("/v1/what-can?sub=alice&cursor={who}")).await;
    refused(format!("/v1/expiring?within_ms=9&cursor={who}")).await;
    let mark = who.rsplit_once('-').unwrap().1;
    for bad in
        ["", "-", "1", mark, &format!("1-{mark}"), &format!("4294967296-1-1-1-{mark}"), &format!("1-2-1-1-{mark}")]
    {
        refused(format!("/v1/who-can?obj=file:x&act=read&cursor={bad}")).await;
    }
    refused(format!("/v1/who-can?obj=file:x&act=read&cursor=1-1-18446744073709551615-1-{mark}")).await;
    // Beyond its end there is nothing, and beyond its height a node cannot answer.
    let end = page(&world, &format!("/v1/who-can?obj=file:x&act=read&cursor=4294967295-1-1-1-{mark}")).await;
    assert_eq!((&end["results"], &end["next"]), (&json!([]), &Value::Null));
    let reply = world.get(&format!("/v1/who-can?obj=file:x&act=read&cursor=1-1-1-7-{mark}")).await;
    assert_eq!(reply.problem(), (409, "not_yet".into(), Some("cursor".into())));
    let other = World::of("ledger.example/other", PoolLimits::default());
    other.append(&[&other.grant("alice", "read", "file:x")]);
    let reply = other.get(&format!("/v1/who-can?obj=file:x&act=read&cursor={who}")).await;
    assert_eq!(reply.problem(), (400, "bad_request".into(), Some("cursor".into())));
}

#[tokio::test]
async fn bad_questions_are_refused_and_name_the_member() {
    let world = small();
    let early = time(0).saturating_sub_millis(1);
    for (path, status, code, field) in [
        ("/v1/who-can".into(), 400, "bad_request", "obj"),
        ("/v1/who-can?obj=file:%2A".into(), 400, "bad_request", "obj"),
        ("/v1/who-can?obj=file:x&act=%2A".into(), 400, "bad_request", "act"),
        ("/v1/who-can?obj=file:x&sub=alice".into(), 400, "bad_request", "sub"),
        ("/v1/who-can?obj=file:x&limit=0".into(), 400, "bad_request", "limit"),
        ("/v1/who-can?obj=file:x&limit=1001".into(), 400, "bad_request", "limit"),
        ("/v1/who-can?obj=file:x&height=7".into(), 409, "not_yet", "height"),
        (format!("/v1/who-can?obj=file:x&as_of={early}"), 400, "bad_request", "as_of"),
        (format!("/v1/who-can?obj=file:x&height=1&as_of={early}"), 400, "bad_request", "as_of"),
        ("/v1/who-can?obj=file:x&at_least=9.0000000000000000&wait_ms=1".into(), 409, "not_yet", "at_least"),
        ("/v1/what-can".into(), 400, "bad_request", "sub"),
        ("/v1/what-can?sub=user:%2A".into(), 400, "bad_request", "sub"),
        ("/v1/what-can?sub=alice&type=".into(), 400, "bad_request", "type"),
        ("/v1/what-can?sub=alice&type=file:x".into(), 400, "bad_request", "type"),
        ("/v1/what-can?sub=alice&act=read".into(), 400, "bad_request", "act"),
        ("/v1/expiring".into(), 400, "bad_request", "until"),
        (format!("/v1/expiring?until={early}&within_ms=1"), 400, "bad_request", "within_ms"),
        ("/v1/expiring?within_ms=18446744073709551615".into(), 400, "bad_request", "within_ms"),
        ("/v1/expiring?within_ms=14d".into(), 400, "bad_request", "within_ms"),
        ("/v1/expiring?until=tomorrow".into(), 400, "bad_request", "until"),
    ] {
        let reply = world.get(&path).await;
        assert_eq!(reply.problem(), (status, code.into(), Some(field.to_owned())), "{path}: {}", reply.text());
    }
}

#[tokio::test]
async fn a_node_that_is_behind_or_without_a_clock_does_not_answer() {
    let world = small();
    world.set_wall(100_000);
    for path in ["/v1/who-can?obj=file:x", "/v1/what-can?sub=alice&height=1", "/v1/expiring?within_ms=1"] {
        assert_eq!(world.get(path).await.problem(), (503, "clock".into(), None), "{path}");
    }
    assert_eq!(world.get(&format!("/v1/who-can?obj=file:x&at={}", time(1_005))).await.status, 200);
    world.set_wall(1_000);
    world.ledger.set_may_answer(false);
    for path in [
        "/v1/who-can?obj=file:x",
        "/v1/what-can?sub=alice",
        "/v1/expiring?within_ms=1",
        "/v1/who-can?obj=file:x&height=1",
    ] {
        let reply = world.get(path).await;
        assert_eq!(reply.problem(), (503, "stale".into(), None), "{path}");
    }
}

/// An entry of alice on `file:n` that ends then.
fn ending(world: &World, n: u32, effect: Effect, exp: Option<u64>) -> Signed {
    let mut access = access(effect, "alice", "read", &format!("file:{n}"));
    access.exp = exp.map(time);
    world.sign("org1", Says::Access(access))
}

#[tokio::test]
async fn what_ends_comes_soonest_first_and_once() {
    let world = World::new();
    let mut later = access(Effect::Grant, "bob", "read", "file:later");
    (later.iss, later.exp) = (Some(time(50_000)), Some(time(60_000)));
    let later = world.sign("org1", Says::Access(later));
    let entries = [
        ending(&world, 0, Effect::Grant, Some(90_000)),
        ending(&world, 1, Effect::Grant, None),
        ending(&world, 2, Effect::Grant, Some(20_000)),
        ending(&world, 3, Effect::Grant, Some(2_000)),
        ending(&world, 4, Effect::Grant, Some(20_000)),
        ending(&world, 5, Effect::Grant, Some(30_000)),
    ];
    world.append(&entries.iter().collect::<Vec<_>>());
    let denied = ending(&world, 6, Effect::Deny, Some(10_000));
    world.append(&[&denied, &later, &world.revoke(entries[5].id(), Effect::Grant)]);
    world.pass(1_500);
    let ids = |entries: &[Value]| -> Vec<String> {
        entries.iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect()
    };
    let list = |records: &[&Signed]| -> Vec<String> { records.iter().map(|record| record.id().to_string()).collect() };
    // The one of 2 s has ended, though no block came since.
    let all = list(&[&denied, &entries[2], &entries[4], &later, &entries[0]]);
    let found =
        async |query: String| ids(&pages(&world, &format!("/v1/expiring?{query}"), &["entries"], |_| {}).await[0]);
    assert_eq!(found(format!("until={}", time(1_000_000))).await, all);
    for limit in [1, 2, 3] {
        assert_eq!(found(format!("within_ms=1000000&limit={limit}")).await, all);
    }
    for (until, count) in [(9_999, 0), (10_000, 1), (20_000, 3), (60_000, 4), (89_999, 4), (90_000, 5)] {
        assert_eq!(found(format!("until={}", time(until))).await, all[..count], "until {until}");
        // The clock shows 2,500 after the genesis, and the last block is not later.
        assert_eq!(found(format!("within_ms={}", until - 2_500)).await, all[..count], "until {until}");
    }
    assert_eq!(found(format!("until={}", time(0))).await, [] as [String; 0]);
    let page = page(&world, "/v1/expiring?within_ms=7500").await;
    assert_eq!((&page["until"], &page["height"]), (&json!(time(10_000)), &json!(2)));
    assert_eq!(page["entries"][0]["access"], "denied");

    // What came since the first page is not on the later ones, what was revoked since neither.
    let during = pages(&world, "/v1/expiring?within_ms=1000000&limit=1", &["entries"], |number| {
        let n = 100 + u32::try_from(number).unwrap();
        world
            .append(&[&ending(&world, n, Effect::Grant, Some(15_000)), &ending(&world, n, Effect::Deny, Some(70_000))]);
        if number == 1 {
            world.append(&[&world.revoke(later.id(), Effect::Grant)]);
        }
    })
    .await;
    let kept: Vec<String> = all.iter().filter(|id| **id != later.id().to_string()).cloned().collect();
    assert_eq!(ids(&during[0]), kept);
}

#[tokio::test]
async fn a_page_of_what_ends_does_bounded_work() {
    let world = World::new();
    let old = [0, 1, 2].map(|n| ending(&world, n, Effect::Grant, Some(90_000 + 1_000 * u64::from(n))));
    world.append(&old.iter().collect::<Vec<_>>());
    let path = "/v1/expiring?within_ms=1000000&limit=1";
    // In tests a page looks at 30 entries. These come after the first page, and end before the last of the old ones.
    let new: Vec<Signed> = (3..83).map(|n| ending(&world, n, Effect::Grant, Some(91_500))).collect();
    let mut pages_seen = 1;
    let found = pages(&world, path, &["entries"], |number| {
        if number == 0 {
            world.append(&new.iter().collect::<Vec<_>>());
        }
        pages_seen += 1;
    })
    .await;
    let ids: Vec<&str> = found[0].iter().map(|entry| entry["id"].as_str().unwrap()).collect();
    assert_eq!(ids, old.each_ref().map(|record| record.id().to_string()));
    assert!(pages_seen >= 5, "{pages_seen}");
    let all = pages(&world, "/v1/expiring?within_ms=1000000&limit=1000", &["entries"], |_| {}).await;
    assert_eq!(all[0].len(), 83);
}
