//! Histories, differences and previews: complete, of one moment, and nothing is changed by asking.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use writ_proto::api::{Tuple, statement_of};
use writ_proto::hash::Domain;
use writ_proto::limits::RECORD_BYTES_MAX;
use writ_proto::record::{Access, AtomicSet, Body as Says, Effect, Nonce, RecordId, Revoke, SetMember, Signed};

use super::world::{World, access, time};

/// All pages of a listing, one after another; `between` happens between them.
async fn pages(world: &World, path: &str, member: &str, mut between: impl FnMut()) -> Vec<Value> {
    let mut all = Vec::new();
    let mut next = String::new();
    for _ in 0..1000 {
        let reply = world.get(&format!("{path}{next}")).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        let json = reply.json();
        all.extend(json[member].as_array().unwrap().iter().cloned());
        let Some(cursor) = json["next"].as_str() else { return all };
        next = format!("&cursor={cursor}");
        between();
    }
    panic!("`{path}` does not end");
}

async fn preview(world: &World, by: &str, statements: Value) -> Value {
    let before = world.mark();
    let reply = world.post_json("/v1/preview", &json!({"issuingAuth": by, "statements": statements})).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(world.mark(), before, "a preview changes nothing");
    reply.json()
}

fn scheduled(world: &World, sub: &str, obj: &str, from: u64, until: u64) -> Signed {
    let mut entry = access(Effect::Grant, sub, "read", obj);
    (entry.iss, entry.exp) = (Some(time(from)), Some(time(until)));
    world.sign("org2", Says::Access(entry))
}

/// Some of everything, in seven blocks, the last at 8 s; the clock is at 100 s.
fn story() -> World {
    let world = World::new();
    let membership = world.grant("alice", "member", "role:staff");
    world.append(&[&membership]);
    world.pass(1000);
    world.append(&[&scheduled(&world, "role:staff", "file:*", 4_000, 50_000), &world.grant("bob", "*", "file:x")]);
    world.pass(3000);
    let denial = world.deny("user:*", "write", "file:x");
    world.append(&[&denial, &world.grant("carol", "write", "file:x")]);
    world.pass(1000);
    world.append(&[&world.revoke(denial.id(), Effect::Deny)]);
    world.append(&[&world.grant("*", "list", "file:*")]);
    world.pass(1000);
    world.append(&[&world.revoke(membership.id(), Effect::Grant)]);
    world.append(&[&scheduled(&world, "dave", "file:y", 200_000, 300_000)]);
    world.pass(93_000);
    world
}

#[tokio::test]
async fn a_history_tells_who_said_what_and_when_the_answer_changed() {
    let world = story();
    let events = pages(&world, "/v1/history?sub=alice&obj=file:z", "events", || {}).await;
    let words = |event: &Value| {
        let what = event["event"].as_str().unwrap();
        let at = event["at"].as_str().unwrap().parse::<writ_proto::time::LedgerTime>().unwrap();
        let entry = &event["entry"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let said = format!("{} {} {}", text(&entry["sub"]), text(&entry["act"]), text(&entry["obj"]));
        let tail = match what {
            "answer" => event["rights"].to_string(),
            "revoked" => format!("{said} by {}", text(&event["by"]["issuingAuth"])),
            _ => format!("{said} of {}", text(&entry["issuingAuth"])),
        };
        format!("{} h{} {what} {tail}", at.millis_since(time(0)), event["height"])
    };
    let told: Vec<String> = events.iter().map(words).collect();
    assert_eq!(
        told,
        [
            "1000 h1 added alice member role:staff of org1",
            "2000 h2 added role:staff read file:* of org2",
            "4000 h2 began role:staff read file:* of org2",
            r#"4000 h2 answer [{"act":"read","except":[]}]"#,
            "6001 h5 added * list file:* of org1",
            r#"6001 h5 answer [{"act":"list","except":[]},{"act":"read","except":[]}]"#,
            "7000 h6 revoked alice member role:staff by org1",
            r#"7000 h6 answer [{"act":"list","except":[]}]"#,
            "50000 h7 ended role:staff read file:* of org2",
        ]
    );
    let revoked = &events[6];
    assert_eq!(revoked["entry"]["revoked"]["by"], revoked["by"]["id"]);
    let bob = pages(&world, "/v1/history?sub=bob&obj=file:x", "events", || {}).await;
    let answers: Vec<&Value> =
        bob.iter().filter(|event| event["event"] == "answer").map(|event| &event["rights"]).collect();
    let every = |except: &[&str]| json!([{"act": "*", "except": except}]);
    assert_eq!(answers, [&every(&[]), &every(&["write"]), &every(&[])]);
}

#[tokio::test]
async fn pages_of_one_event_are_the_whole_and_tell_of_the_moment_of_the_first() {
    let world = story();
    for path in ["/v1/history?sub=alice&obj=file:z", "/v1/history?sub=bob&obj=file:x"] {
        for limit in [1, 2, 3] {
            let whole = pages(&world, path, "events", || {}).await;
            assert!(whole.len() > 5);
            let path = format!("{path}&limit={limit}");
            let one = pages(&world, &path, "events", || {
                world.pass(10_000);
                world.append(&[&world.grant("user:*", "*", "*")]);
            });
            assert_eq!(one.await, whole, "{path} {limit}");
        }
    }
    // What came in between is told by the next question.
    let later = pages(&world, "/v1/history?sub=bob&obj=file:x", "events", || {}).await;
    assert!(later.len() > 20);
}

#[tokio::test]
async fn a_history_that_is_too_long_is_refused_and_not_cut() {
    let world = World::new();
    for _ in 0..3 {
        let records: Vec<Signed> = (0..67).map(|_| world.grant("alice", "read", "file:x")).collect();
        world.append(&records.iter().collect::<Vec<_>>());
    }
    assert_eq!(world.get("/v1/history?sub=alice&obj=file:x").await.problem(), (429, "limit_exceeded".into(), None));
    assert_eq!(world.get("/v1/history?sub=alice&obj=file:y").await.status, 200);
}

/// Who may do what at a height, by check alone, over names and actions.
async fn may(world: &World, height: u64, at: &str) -> BTreeSet<(String, String, String)> {
    let mut all = BTreeSet::new();
    for sub in ["alice", "bob", "carol", "dave", "role:staff"] {
        for obj in ["file:x", "file:y", "role:staff"] {
            for act in ["read", "write", "list", "member", "unheard"] {
                let query = format!("/v1/check?sub={sub}&obj={obj}&act={act}&height={height}&at={at}");
                if world.get(&query).await.json()["decision"] == "granted" {
                    all.insert((sub.to_owned(), obj.to_owned(), act.to_owned()));
                }
            }
        }
    }
    all
}

/// Whether some entry of [`story`] names a name by this height.
fn is_named(name: &str, height: usize) -> bool {
    let since = match name {
        "alice" | "role:staff" => 1,
        "bob" | "file:x" => 2,
        "carol" => 3,
        _ => 7,
    };
    since <= height
}

/// The same from the rows of a difference.
fn rows(changes: &[Value], member: &str) -> BTreeSet<(String, String, String)> {
    let mut all = BTreeSet::new();
    for change in changes {
        let (sub, obj) = (change["sub"].as_str().unwrap(), change["obj"].as_str().unwrap());
        if sub.contains('*') || obj.contains('*') {
            continue;
        }
        for right in change[member].as_array().unwrap() {
            let excepted = |act: &&str| right["except"].as_array().unwrap().iter().any(|other| other == *act);
            let acts = ["read", "write", "list", "member", "unheard"].into_iter();
            let granted = acts.filter(|act| right["act"] == *act || (right["act"] == "*" && !excepted(act)));
            // `*` says nothing of `member`, which means nothing on what is no role.
            let asked = granted.filter(|act| *act != "member" || obj.starts_with("role:"));
            all.extend(asked.map(|act| (sub.to_owned(), obj.to_owned(), act.to_owned())));
        }
    }
    all
}

#[tokio::test]
async fn a_difference_is_that_of_the_answers_of_check() {
    let world = story();
    let times: Vec<String> = (0..=7).map(|height| world.ledger.read().time_of(height).unwrap().to_string()).collect();
    let mut answers = Vec::new();
    for height in 0..=7 {
        answers.push(may(&world, height, &times[height as usize]).await);
    }
    let mut seen = 0;
    for from in 0..=7_usize {
        for to in from..=7 {
            let path = format!("/v1/diff?from={from}&to={to}");
            let changes = pages(&world, &path, "changes", || {}).await;
            // What no entry names yet stands below the patterns.
            let minus = |one: usize, other: usize| -> BTreeSet<_> {
                let named = |(sub, obj, _): &&(String, String, String)| is_named(sub, to) && is_named(obj, to);
                answers[one].difference(&answers[other]).filter(named).cloned().collect()
            };
            let (gained, lost) = (minus(to, from), minus(from, to));
            assert_eq!((rows(&changes, "gained"), rows(&changes, "lost")), (gained, lost), "{path}: {changes:#?}");
            seen += changes.len();
        }
    }
    assert!(seen > 50, "{seen} changes");
    // As of instants: what time alone ends is lost, too.
    let path = format!("/v1/diff?from={}&to={}", time(49_999), time(50_000));
    let reply = world.get(&path).await.json();
    assert_eq!(reply["changes"][0]["sub"], "role:staff", "{reply}");
    assert_eq!(reply["changes"][0]["lost"], json!([{"act": "read", "except": []}]));
    assert_eq!((&reply["from"]["height"], &reply["to"]["at"]), (&json!(7), &json!(time(50_000).to_string())));
    // Without `to`: up to the last block.
    let (open, closed) = (world.get("/v1/diff?from=2").await.json(), world.get("/v1/diff?from=2&to=7").await.json());
    assert_eq!(open, closed);
}

#[tokio::test]
async fn pages_of_a_difference_are_the_whole_whatever_grows_in_between() {
    let world = story();
    let whole = pages(&world, "/v1/diff?from=0", "changes", || {}).await;
    assert!(whole.len() > 5, "{whole:#?}");
    for limit in [1, 2] {
        let from = "/v1/diff?from=0&to=7";
        let path = format!("{from}&limit={limit}");
        let paged = pages(&world, &path, "changes", || {
            world.pass(1000);
            world.append(&[&world.grant("user:*", "*", "*"), &world.deny("zoe", "*", "*")]);
        });
        assert_eq!(paged.await, whole);
    }
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_with_its_field() {
    let world = story();
    for (path, want) in [
        ("/v1/diff", (400, "bad_request", "from")),
        ("/v1/diff?from=x", (400, "bad_request", "from")),
        ("/v1/diff?from=", (400, "bad_request", "from")),
        ("/v1/diff?from=-1", (400, "bad_request", "from")),
        ("/v1/diff?from=99999999999999999999", (400, "bad_request", "from")),
        ("/v1/diff?from=8", (409, "not_yet", "from")),
        ("/v1/diff?from=1&to=8", (409, "not_yet", "to")),
        ("/v1/diff?from=3&to=2", (400, "bad_request", "to")),
        ("/v1/diff?from=2001-01-01T00:00:00Z", (400, "bad_request", "from")),
        ("/v1/diff?from=1&limit=0", (400, "bad_request", "limit")),
        ("/v1/diff?from=1&limit=1001", (400, "bad_request", "limit")),
        ("/v1/diff?from=1&cursor=7", (400, "bad_request", "cursor")),
        ("/v1/diff?from=1&cursor=1-2-3-4-5-6-0123456789ab", (400, "bad_request", "cursor")),
        ("/v1/diff?from=1&at=3", (400, "bad_request", "at")),
        ("/v1/history?sub=alice", (400, "bad_request", "obj")),
        ("/v1/history?sub=user:*&obj=x", (400, "bad_request", "sub")),
        ("/v1/history?sub=a&obj=file:*", (400, "bad_request", "obj")),
        ("/v1/history?sub=a&obj=x&act=read", (400, "bad_request", "act")),
        ("/v1/history?sub=a&obj=x&cursor=1-2-3-x-0123456789ab", (400, "bad_request", "cursor")),
    ] {
        let (status, code, field) = want;
        assert_eq!(world.get(path).await.problem(), (status, code.into(), Some(field.into())), "{path}");
    }
    // A cursor belongs to its question.
    let next = |reply: Value| reply["next"].as_str().unwrap().to_owned();
    let diff = next(world.get("/v1/diff?from=0&limit=1").await.json());
    let history = next(world.get("/v1/history?sub=bob&obj=file:x&limit=1").await.json());
    for path in [
        format!("/v1/diff?from=1&cursor={diff}"),
        format!("/v1/diff?from=0&to=7&cursor={diff}"),
        format!("/v1/diff?from=0&cursor={history}"),
        format!("/v1/history?sub=bob&obj=file:y&cursor={history}"),
        format!("/v1/history?sub=carol&obj=file:x&cursor={history}"),
    ] {
        assert_eq!(world.get(&path).await.problem(), (400, "bad_request".into(), Some("cursor".into())), "{path}");
    }
}

#[tokio::test]
async fn forged_cursors_are_refused_or_harmless() {
    let world = story();
    let cursor = world.get("/v1/diff?from=0&limit=1").await.json()["next"].as_str().unwrap().to_owned();
    let mark = cursor.rsplit_once('-').unwrap().1;
    for numbers in [
        "0-0-7-0-0-0",
        "7-1800000000000-0-0-4294967295-4294967295",
        "0-0-7-0-3-4294967295",
        "0-1-8-1-0-0",
        "0-0-7-0-4294967296-0",
        "0-18446744073709551615-7-0-0-0",
    ] {
        let reply = world.get(&format!("/v1/diff?from=0&cursor={numbers}-{mark}")).await;
        assert!(matches!(reply.status.as_u16(), 200 | 400 | 409), "{numbers}: {}", reply.text());
    }
    let cursor = world.get("/v1/history?sub=bob&obj=file:x&limit=1").await.json()["next"].as_str().unwrap().to_owned();
    let mark = cursor.rsplit_once('-').unwrap().1;
    for numbers in
        ["0-0-0-0", "7-253402300799999-253402300799999-18446744073709551615", "8-0-0-0", "7-18446744073709551615-0-0"]
    {
        let reply = world.get(&format!("/v1/history?sub=bob&obj=file:x&cursor={numbers}-{mark}")).await;
        assert!(matches!(reply.status.as_u16(), 200 | 400 | 409), "{numbers}: {}", reply.text());
    }
}

#[tokio::test]
async fn a_preview_is_the_difference_that_the_statements_make() {
    let world = story();
    let old = world.grant("erin", "read", "file:old");
    let base = world.append(&[&old]);
    let told = preview(
        &world,
        "org1",
        json!([
            {"sub": "alice", "obj": "role:staff", "act": "member"},
            {"sub": "user:*", "obj": "file:x", "act": "list", "access": "denied"},
            {"revoke": old.id()},
            {"sub": "frank", "obj": "file:new"},
            {"sub": "gina", "obj": "file:new"},
            {"withdraw": 4},
        ]),
    )
    .await;
    assert_eq!((&told["more"], &told["height"]), (&json!(false), &json!(base)));
    assert_eq!((&told["refused"], &told["notes"]), (&json!([]), &json!([])));

    let gina = world.grant("gina", "*", "file:new");
    let before = world.ledger.read().tip().height;
    world.append(&[
        &world.grant("alice", "member", "role:staff"),
        &world.deny("user:*", "list", "file:x"),
        &world.revoke(old.id(), Effect::Grant),
        &world.grant("frank", "*", "file:new"),
        &gina,
    ]);
    world.append(&[&world.revoke(gina.id(), Effect::Grant)]);
    let after = before + 2;
    let done = pages(&world, &format!("/v1/diff?from={before}&to={after}"), "changes", || {}).await;
    let sorted = |changes: &[Value]| changes.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    // At the instant of the preview `role:staff` has nothing on `file:*` any more, and no more it has afterwards.
    assert_eq!(sorted(told["changes"].as_array().unwrap()), sorted(&done));
    assert!(done.len() > 3, "{done:#?}");
}

#[tokio::test]
async fn statements_that_would_be_refused_are_told_and_left_out() {
    let world = story();
    let foreign = world.entry("org2", Effect::Grant, "henry", "read", "file:acl/x");
    let known = world.grant("ina", "read", "file:acl/x");
    world.append(&[&foreign, &known]);
    let told = preview(
        &world,
        "narrow",
        json!([
            {"sub": "jo", "obj": "file:x"},
            {"sub": "jo*", "obj": "file:acl/x"},
            {"sub": "jo", "obj": "file:acl/x", "cond": "now > 3"},
            {"sub": "jo", "obj": "file:acl/x", "iss": "2027-01-01T00:00:00Z", "exp": "2026-01-01T00:00:00Z"},
            {"sub": "jo", "obj": "file:acl/x", "act": "member"},
            {"sub": "jo", "obj": "file:acl/x", "issuingAuth": "org1"},
            {"sub": "jo", "obj": "file:acl/x", "what": 1},
            {"revoke": foreign.id()},
            {"revoke": "0".repeat(64)},
            {"revoke": "12"},
            {"withdraw": 10},
            {"withdraw": 0},
            {"sub": "jo", "obj": "file:acl/x", "id": "x"},
            7,
            {"sub": "jo", "obj": "file:acl/x", "id": 5},
            {"revoke": null},
            {"sub": "jo", "obj": "file:acl/x", "act": "read"},
        ]),
    )
    .await;
    let refused: Vec<(u64, &str, &str)> = told["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (one["statement"].as_u64().unwrap(), one["code"].as_str().unwrap(), one["field"].as_str().unwrap_or("-"))
        })
        .collect();
    assert_eq!(
        refused,
        [
            (0, "out_of_scope", "obj"),
            (1, "bad_request", "sub"),
            (2, "bad_condition", "cond"),
            (3, "bad_request", "exp"),
            (4, "bad_request", "obj"),
            (5, "bad_request", "issuingAuth"),
            (6, "bad_request", "what"),
            (7, "forbidden", "target"),
            (8, "not_found", "revoke"),
            (9, "bad_request", "revoke"),
            (10, "bad_request", "withdraw"),
            (12, "bad_request", "id"),
            // It is no member of anything: its place says which it is.
            (13, "bad_request", "-"),
            (14, "bad_request", "id"),
            (15, "bad_request", "revoke"),
        ]
    );
    let read = json!([{"act": "read", "except": []}]);
    assert_eq!(told["changes"], json!([{"sub": "jo", "obj": "file:acl/x", "gained": read, "lost": []}]));

    // A block would stop at the bound, and so does a preview; what is withdrawn makes room.
    let mut many: Vec<Value> = (0..257).map(|_| json!({"sub": "kim", "obj": "file:acl/x"})).collect();
    let told = preview(&world, "org1", json!(many)).await;
    assert_eq!((told["refused"].as_array().unwrap().len(), &told["refused"][0]["statement"]), (1, &json!(256)));
    assert_eq!(told["refused"][0]["code"], "limit_exceeded");
    many.insert(256, json!({"withdraw": 3}));
    assert_eq!(preview(&world, "org1", json!(many)).await["refused"], json!([]));
    let many: Vec<Value> =
        (0..65).map(|n| json!({"sub": "kim", "obj": format!("role:r{n}"), "act": "member"})).collect();
    let told = preview(&world, "org1", json!(many)).await;
    assert_eq!((&told["refused"][0]["statement"], &told["refused"][0]["code"]), (&json!(64), &json!("limit_exceeded")));
}

/// What the preview of a set of `org1` says of it: its fault as a submission tells it, none if there is none.
async fn previewed_set(world: &World, statements: &Value, since: Option<u64>) -> Option<(String, Option<String>)> {
    let mut body = json!({"issuingAuth": "org1", "statements": statements, "atomic": true});
    since.into_iter().for_each(|since| body["unchanged_since"] = json!(since));
    let reply = world.post_json("/v1/preview", &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let told = reply.json();
    let refused = told["refused"].as_array().unwrap();
    assert!(refused.len() <= 1 && (refused.is_empty() || told["changes"] == json!([])), "all or nothing: {told}");
    refused.first().map(|fault| {
        let (place, field) = (fault["statement"].as_u64(), fault["field"].as_str());
        let path = match (place, field) {
            (None, field) => field.map(Into::into),
            (Some(place), None) => Some(format!("members[{place}]")),
            (Some(place), Some(field)) => Some(format!("members[{place}].{field}")),
        };
        (fault["code"].as_str().unwrap().to_owned(), path)
    })
}

#[tokio::test]
async fn a_set_is_refused_by_its_preview_as_by_its_submission() {
    let world = World::new();
    let held = world.grant("ada", "read", "file:x");
    let foreign = world.entry("org2", Effect::Grant, "eve", "read", "file:e");
    let denial = world.deny("ada", "write", "file:x");
    let lift = world.revoke(denial.id(), Effect::Deny);
    world.append(&[&held, &foreign, &denial]);
    world.append(&[&lift]);
    let unknown: RecordId = "ab".repeat(32).parse().unwrap();
    let gives = |sub: &str, reference: usize| {
        let reference = (reference > 0).then(|| "r".repeat(reference));
        SetMember::Access(Access { reference, ..access(Effect::Grant, sub, "read", "file:x") })
    };
    let ends = |target| SetMember::Revoke(Revoke { target, effect: Effect::Grant });
    let large = |last: usize| [vec![gives("bo", 256); 25], vec![gives("bo", last)]].concat();
    let signed_bytes = |members: Vec<SetMember>, unchanged_since| {
        let says = Says::Set(AtomicSet { members, unchanged_since });
        let (authority, nonce) = ("org1".parse().unwrap(), Nonce([9; 16]));
        statement_of(world.chain, authority, nonce, says, time(600_000)).signed_bytes().unwrap().0
    };
    // With it the record, which has one signature, has 8 KiB to the byte.
    let full = RECORD_BYTES_MAX - (1 + 32 + 64) - signed_bytes(large(1), None).len() + 1;
    for (case, members, since, want) in [
        ("good", vec![gives("bo", 0), ends(held.id())], None, None),
        (
            "a stranger's",
            vec![gives("bo", 0), ends(foreign.id())],
            None,
            Some(("forbidden", Some("members[1].target"))),
        ),
        ("not there", vec![gives("bo", 0), ends(unknown)], None, Some(("not_found", Some("members[1].target")))),
        ("no entry", vec![ends(lift.id())], None, Some(("conflict", Some("members[0].target")))),
        ("two faults", vec![ends(foreign.id()), ends(unknown)], None, Some(("forbidden", Some("members[0].target")))),
        ("changed", vec![gives("bo", 0), gives("ada", 0)], Some(3), Some(("conflict", Some("members[1]")))),
        ("a future", vec![gives("bo", 0)], Some(10_000), Some(("not_found", Some("unchanged_since")))),
        ("full", large(full), None, None),
        ("too large", large(full + 1), None, Some(("too_large", Some("record")))),
        ("too large, and bad", [vec![ends(unknown)], large(256)].concat(), None, Some(("too_large", Some("record")))),
    ] {
        let statement = |member: &SetMember| match member {
            SetMember::Access(access) => serde_json::to_value(Tuple::from(access)).unwrap(),
            SetMember::Revoke(revoke) => json!({"revoke": revoke.target}),
        };
        let statements: Vec<Value> = members.iter().map(statement).collect();
        let want = want.map(|(code, path)| (code.to_owned(), path.map(str::to_owned)));
        assert_eq!(previewed_set(&world, &json!(statements), since).await, want, "{case}: the preview");

        let (bytes, key) = (signed_bytes(members, since), &world.keys_of("org1")[0]);
        let signature = key.sign_in(Domain::Record, &bytes);
        let record = [&bytes[..], &[1], &key.public().id().0, &signature.0].concat();
        let reply = world.post("/v1/records?wait=none", "application/octet-stream", record).await;
        let told = (reply.status != 202).then(|| reply.problem()).map(|(_, code, path)| (code, path));
        assert_eq!(told, want, "{case}: the submission");
    }
}

#[tokio::test]
async fn statements_that_change_nothing_are_told_apart() {
    let world = story();
    let denial = world.deny("lee", "*", "file:x");
    let known = world.grant("lee", "read", "file:y");
    let ended = world.grant("lee", "read", "file:z");
    world.append(&[&denial, &known, &ended]);
    world.append(&[&world.revoke(ended.id(), Effect::Grant)]);
    let told = preview(
        &world,
        "org1",
        json!([
            {"sub": "lee", "obj": "file:y", "act": "read"},
            {"sub": "lee", "obj": "file:x", "act": "read"},
            {"sub": "lee", "obj": "file:x", "act": "read", "access": "denied"},
            {"sub": "lee", "obj": "file:y", "act": "read", "id": known.id()},
            {"sub": "lee", "obj": "file:q", "exp": "2020-01-01T00:00:00Z"},
            {"revoke": ended.id()},
            {"sub": "mia", "obj": "file:x"},
            {"sub": "mia", "obj": "file:x", "access": "denied"},
        ]),
    )
    .await;
    let denied_by_list = json!([]);
    assert_eq!(
        told["notes"],
        json!([
            {"statement": 0, "note": "covered", "entries": []},
            {"statement": 1, "note": "denied", "entries": [denial.id()]},
            {"statement": 2, "note": "covered", "entries": []},
            {"statement": 3, "note": "known", "entries": []},
            {"statement": 4, "note": "over", "entries": []},
            {"statement": 5, "note": "over", "entries": []},
            {"statement": 6, "note": "denied", "entries": denied_by_list},
        ])
    );
    assert_eq!(told["changes"].as_array().unwrap().len(), 1, "mia can no longer list: {told}");
    assert_eq!(told["changes"][0]["lost"], json!([{"act": "list", "except": []}]));
}

#[tokio::test]
async fn a_preview_is_told_of_the_instant_at_which_all_has_begun() {
    let world = World::new();
    world.append(&[&world.grant("a", "read", "file:x")]);
    let told = preview(
        &world,
        "org1",
        json!([
            {"sub": "nia", "obj": "file:x", "act": "read", "iss": time(500_000).to_string()},
            {"sub": "oli", "obj": "file:x", "act": "read", "exp": time(400_000).to_string()},
        ]),
    )
    .await;
    assert_eq!(told["at"], time(500_000).to_string());
    assert_eq!(told["notes"], json!([{"statement": 1, "note": "over", "entries": []}]));
    assert_eq!(told["changes"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_preview_has_its_bounds_and_says_so() {
    let world = World::new();
    let ask = |body: Value| {
        let world = &world;
        async move { world.post_json("/v1/preview", &body).await.problem() }
    };
    let one = json!([{"sub": "a", "obj": "x"}]);
    let field = |name: &str| Some(name.to_owned());
    for (body, want) in [
        (json!({"statements": one}), (400, "bad_request".into(), field("issuingAuth"))),
        (json!({"issuingAuth": "org1"}), (400, "bad_request".into(), field("statements"))),
        (json!({"issuingAuth": "org9", "statements": one}), (400, "unknown_authority".into(), field("issuingAuth"))),
        (json!({"issuingAuth": "org1", "statements": []}), (400, "bad_request".into(), field("statements"))),
        (json!({"issuingAuth": "org1", "statements": one, "limit": 0}), (400, "bad_request".into(), field("limit"))),
        (json!({"issuingAuth": "org1", "statements": one, "x": 0}), (400, "bad_request".into(), field("x"))),
    ] {
        assert_eq!(ask(body.clone()).await, want, "{body}");
    }
    let many = json!({"issuingAuth": "org1", "statements": vec![json!({"revoke": "1"}); 20_001]});
    assert_eq!(ask(many).await, (413, "too_large".into(), field("statements")));

    // More changes than asked for are not cut without a word.
    let three = json!([{"sub": "a", "obj": "x"}, {"sub": "b", "obj": "x"}, {"sub": "c", "obj": "x"}]);
    let body = json!({"issuingAuth": "org1", "statements": three, "limit": 2});
    let told = world.post_json("/v1/preview", &body).await.json();
    assert_eq!((told["changes"].as_array().unwrap().len(), &told["more"]), (2, &json!(true)));

    for n in 0..3 {
        let records: Vec<Signed> = (0..67).map(|m| world.grant(&format!("u{n}-{m}"), "read", "file:x")).collect();
        world.append(&records.iter().collect::<Vec<_>>());
    }
    let told = ask(json!({"issuingAuth": "org1", "statements": one})).await;
    assert_eq!(told, (429, "limit_exceeded".into(), None), "of so many entries no copy is made");
}
