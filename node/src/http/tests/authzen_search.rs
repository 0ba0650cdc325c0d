//! The AuthZEN searches: what they find is what evaluations say yes to, whole, of one moment, page by page.

use std::collections::BTreeSet;

use axum::http::Method;
use serde_json::{Value, json};
use writ_proto::record::{Access, Body as Says, Effect};

use super::search::mixed;
use super::world::{World, access};

const SUBJECT: &str = "/access/v1/search/subject";
const RESOURCE: &str = "/access/v1/search/resource";
const ACTION: &str = "/access/v1/search/action";
const EVALUATION: &str = "/access/v1/evaluation";

/// An entry under a condition.
fn under(entry: Access, cond: &str) -> Says {
    Says::Access(Access { cond: Some(cond.into()), ..entry })
}

/// The fixture of the certification scenario (version of June 2026, section 1), as entries.
fn fixture() -> World {
    let world = World::new();
    let grant = |sub: &str, act: &str, obj: &str| access(Effect::Grant, sub, act, obj);
    let entries = [
        Says::Access(grant("user:alice", "read", "record:record-1")),
        under(
            grant("user:alice", "write", "record:*"),
            "!has(resource.properties.status) || resource.properties.status != 'archived'",
        ),
        Says::Access(grant("user:bob", "read", "record:record-1")),
        under(
            grant("user:*", "write", "record:*"),
            "has(subject.properties.role) && subject.properties.role == 'admin' && has(resource.properties.status) && resource.properties.status == 'archived'",
        ),
        // What the asker does not tell, the ledger must know: bob is an admin, record-2 is archived.
        Says::Access(grant("user:bob", "write", "record:record-2")),
        under(grant("user:alice", "delete", "record:record-1"), "action.properties.soft"),
    ];
    let records: Vec<_> = entries.into_iter().map(|entry| world.sign("org1", entry)).collect();
    world.append(&records.iter().collect::<Vec<_>>());
    world
}

async fn answer(world: &World, path: &str, body: &Value) -> Value {
    let reply = world.post_json(path, body).await;
    assert_eq!(reply.status, 200, "{path} {body}: {}", reply.text());
    assert_eq!(reply.header("content-type"), Some("application/json"));
    reply.json()
}

/// The results of one page that is the whole.
async fn results(world: &World, path: &str, body: &Value) -> Value {
    let answer = answer(world, path, body).await;
    assert_eq!(answer.as_object().unwrap().len(), 1, "nothing but the results: {answer}");
    answer["results"].clone()
}

/// All pages, put together; `between` happens between them.
async fn pages(world: &World, path: &str, body: &Value, limit: usize, mut between: impl FnMut(usize)) -> Vec<Value> {
    let mut all = Vec::new();
    let mut page = json!({ "limit": limit });
    for number in 0..3_000 {
        let mut asked = body.clone();
        asked["page"] = page.clone();
        let answer = answer(world, path, &asked).await;
        let results = answer["results"].as_array().unwrap();
        assert!(results.len() <= limit && answer["page"]["count"] == results.len(), "{answer}");
        all.extend(results.iter().cloned());
        let token = answer["page"]["next_token"].as_str().unwrap();
        if token.is_empty() {
            return all;
        }
        // The limit may be said again, and need not be.
        page = if number % 2 == 0 { json!({ "token": token }) } else { json!({ "token": token, "limit": limit }) };
        between(number);
    }
    panic!("{path} {body} does not end");
}

fn user(id: &str) -> Value {
    json!({ "type": "user", "id": id })
}

fn record(id: &str) -> Value {
    json!({ "type": "record", "id": id })
}

#[tokio::test]
async fn the_certification_fixture_is_found() {
    let world = fixture();
    let readers = json!({"subject": {"type": "user"}, "action": {"name": "read"}, "resource": record("record-1")});
    let both = json!([user("alice"), user("bob")]);
    assert_eq!(results(&world, SUBJECT, &readers).await, both);
    for (member, value) in
        [("context", json!({"time": "2024-10-26T01:22-07:00"})), ("subject", user("alice")), ("else", json!([1]))]
    {
        let mut more = readers.clone();
        more[member] = value;
        assert_eq!(results(&world, SUBJECT, &more).await, both, "{more}");
    }
    let mut numbered = readers.clone();
    numbered["subject"] = json!({"type": "user", "id": 7, "else": null});
    assert_eq!(results(&world, SUBJECT, &numbered).await, both, "an id is ignored, whatever it is");

    let reads = json!({"subject": user("alice"), "action": {"name": "read"}, "resource": {"type": "record"}});
    assert_eq!(results(&world, RESOURCE, &reads).await, json!([record("record-1")]));
    let acts = json!({"subject": user("alice"), "resource": record("record-1"), "action": {"name": 3}});
    assert_eq!(results(&world, ACTION, &acts).await, json!([{"name": "read"}, {"name": "write"}]));

    let archived = json!({"type": "record", "id": "record-2", "properties": {"status": "archived"}});
    let admin = json!({"type": "user", "id": "bob", "properties": {"role": "admin"}});
    let writers = json!({"subject": {"type": "user"}, "action": {"name": "write"}, "resource": archived});
    assert_eq!(results(&world, SUBJECT, &writers).await, json!([user("bob")]));
    let writes = json!({"subject": admin, "action": {"name": "write"}, "resource": {"type": "record"}});
    assert_eq!(results(&world, RESOURCE, &writes).await, json!([record("record-2")]));
    let acts = json!({"subject": admin, "resource": archived});
    assert_eq!(results(&world, ACTION, &acts).await, json!([{"name": "write"}]));
    // What is told of the subjects that are looked for is told of each.
    let mut admins = writers.clone();
    admins["subject"] = json!({"type": "user", "properties": {"role": "admin"}});
    assert_eq!(results(&world, SUBJECT, &admins).await, both);

    for (sub, act, obj, decision) in [
        (user("alice"), json!({"name": "write"}), archived.clone(), false),
        (admin, json!({"name": "write"}), archived, true),
        (user("alice"), json!({"name": "delete", "properties": {"soft": true}}), record("record-1"), true),
        (user("alice"), json!({"name": "delete", "properties": {"soft": false}}), record("record-1"), false),
        (user("bob"), json!({"name": "write"}), record("record-1"), false),
    ] {
        let body = json!({"subject": sub, "action": act, "resource": obj});
        assert_eq!(answer(&world, EVALUATION, &body).await, json!({ "decision": decision }), "{body}");
    }
}

#[tokio::test]
async fn nothing_is_found_of_what_nobody_knows() {
    let world = fixture();
    let read = json!({"name": "read"});
    for (path, body) in [
        (ACTION, json!({"subject": user("nonexistent-user"), "resource": record("record-1")})),
        (SUBJECT, json!({"subject": {"type": "spaceship"}, "action": read, "resource": record("record-1")})),
        (SUBJECT, json!({"subject": {"type": "no type"}, "action": read, "resource": record("record-1")})),
        (SUBJECT, json!({"subject": {"type": "user"}, "action": {"name": "*"}, "resource": record("record-1")})),
        (SUBJECT, json!({"subject": {"type": "user"}, "action": read, "resource": record("*")})),
        (SUBJECT, json!({"subject": {"type": "user"}, "action": read, "resource": record("")})),
        (RESOURCE, json!({"subject": user("*"), "action": read, "resource": {"type": "record"}})),
        (RESOURCE, json!({"subject": user("alice"), "action": read, "resource": {"type": ""}})),
        (RESOURCE, json!({"subject": user("alice"), "action": {"name": ""}, "resource": {"type": "record"}})),
        (ACTION, json!({"subject": user("alice"), "resource": record("cafe\u{301}")})),
    ] {
        assert_eq!(results(&world, path, &body).await, json!([]), "{path} {body}");
        let mut paged = body.clone();
        paged["page"] = json!({ "limit": 5 });
        let want = json!({"page": {"next_token": "", "count": 0}, "results": []});
        assert_eq!(answer(&world, path, &paged).await, want, "{path} {body}");
    }
}

#[tokio::test]
async fn a_search_at_fault_is_told_its_fault() {
    let world = fixture();
    let good = [
        (SUBJECT, json!({"subject": {"type": "user"}, "action": {"name": "read"}, "resource": record("record-1")})),
        (RESOURCE, json!({"subject": user("alice"), "action": {"name": "read"}, "resource": {"type": "record"}})),
        (ACTION, json!({"subject": user("alice"), "resource": record("record-1")})),
    ];
    for (path, body) in good {
        let fault = async |asked: &Value, field: &str| {
            let reply = world.post_json(path, asked).await;
            assert_eq!(reply.status, 400, "{path} {asked}: {}", reply.text());
            assert!(reply.text().starts_with(&format!("{field}: ")), "{path} {asked}: {}", reply.text());
        };
        for (name, part) in body.as_object().unwrap() {
            for wrong in [json!(null), json!(1), json!([]), json!("x")] {
                let mut asked = body.clone();
                asked[name] = wrong;
                fault(&asked, name).await;
            }
            let mut lacking = body.clone();
            lacking.as_object_mut().unwrap().remove(name);
            fault(&lacking, name).await;
            for member in part.as_object().unwrap().keys() {
                let mut lacking = body.clone();
                lacking[name].as_object_mut().unwrap().remove(member);
                fault(&lacking, &format!("{name}.{member}")).await;
                lacking[name][member] = json!(["x"]);
                fault(&lacking, &format!("{name}.{member}")).await;
            }
            let mut told = body.clone();
            told[name]["properties"] = json!([]);
            fault(&told, &format!("{name}.properties")).await;
        }
        for (member, wrong, field) in [
            ("context", json!([]), "context"),
            ("page", json!("x"), "page"),
            ("page", json!({"limit": -1}), "page.limit"),
            ("page", json!({"limit": 1.5}), "page.limit"),
            ("page", json!({"limit": "1"}), "page.limit"),
            ("page", json!({"limit": null}), "page.limit"),
            ("page", json!({"token": 1}), "page.token"),
            ("page", json!({"token": ""}), "page.token"),
            ("page", json!({"token": "0-1-1-1-10-abcdefabcdef"}), "page.token"),
            ("page", json!({"properties": 1}), "page.properties"),
        ] {
            let mut asked = body.clone();
            asked[member] = wrong;
            fault(&asked, field).await;
        }
        // The standard names no options of a search.
        for options in [json!([]), json!(null), json!({"evaluations_semantic": 5})] {
            let mut asked = body.clone();
            asked["options"] = options;
            assert_eq!(world.post_json(path, &asked).await.status, 200, "{asked}");
        }
        let reply = world.call(Method::GET, path, &[], Vec::new()).await;
        assert_eq!((reply.status.as_u16(), reply.header("allow")), (405, Some("POST")));
        for (media, text, status) in [
            ("text/plain", body.to_string(), 400),
            ("application/json", "[]".into(), 400),
            ("application/json", "{".into(), 400),
        ] {
            assert_eq!(world.post(path, media, text).await.status, status);
        }
        let large = json!({"context": {"x": "y".repeat(70_000)}}).to_string();
        assert_eq!(world.post(path, "application/json", large).await.status, 413);
        let named = [("content-type", "application/json"), ("x-request-id", "a b")];
        let reply = world.call(Method::POST, path, &named, body.to_string().into()).await;
        assert_eq!(reply.header("x-request-id"), Some("a b"));
    }
}

/// Whatever stands in the ledger, a search finds those names to which an evaluation says yes, and all of them.
#[tokio::test]
async fn a_search_finds_what_evaluations_grant() {
    let (subjects, objects) = (["alice", "bob", "org/carol", "org/dan"], ["x", "acl/x", "acl/y/z"]);
    let roles = ["a", "b", "b/c", "d"];
    let actions = ["read", "write", "member"];
    let mut hits = 0;
    for seed in 0..12 {
        let world = mixed(seed);
        let granted = async |sub: &Value, act: &str, obj: &Value| {
            let body = json!({"subject": sub, "action": {"name": act}, "resource": obj});
            answer(&world, EVALUATION, &body).await["decision"] == json!(true)
        };
        let typed = |type_: &str, ids: &[&str]| -> Vec<Value> {
            ids.iter().map(|id| json!({"type": type_, "id": id})).collect()
        };
        for (type_, ids) in [("user", &subjects[..]), ("role", &roles[..])] {
            for act in actions {
                for obj in typed("file", &objects).into_iter().chain(typed("role", &roles)) {
                    let body = json!({"subject": {"type": type_}, "action": {"name": act}, "resource": obj});
                    let found = pages(&world, SUBJECT, &body, 1 + hits % 3, |_| {}).await;
                    let named = names(&found);
                    assert_eq!(named.len(), found.len(), "nothing stands twice");
                    for sub in typed(type_, ids) {
                        let is_known = known(&world, &sub).await;
                        let want = is_known && granted(&sub, act, &obj).await;
                        assert_eq!(named.contains(&sub.to_string()), want, "seed {seed}: {sub} {act} {obj}");
                        hits += usize::from(want);
                    }
                    assert!(found.iter().all(|found| typed(type_, ids).contains(found)), "{found:?}");
                }
            }
        }
        for sub in typed("user", &subjects) {
            for act in actions {
                for (type_, ids) in [("file", &objects[..]), ("role", &roles[..])] {
                    let body = json!({"subject": sub, "action": {"name": act}, "resource": {"type": type_}});
                    let found = pages(&world, RESOURCE, &body, 1 + hits % 3, |_| {}).await;
                    let named = names(&found);
                    assert_eq!(named.len(), found.len(), "nothing stands twice");
                    for obj in typed(type_, ids) {
                        let want = known(&world, &obj).await && granted(&sub, act, &obj).await;
                        assert_eq!(named.contains(&obj.to_string()), want, "seed {seed}: {sub} {act} {obj}");
                        hits += usize::from(want);
                    }
                }
            }
            for obj in typed("file", &objects).into_iter().chain(typed("role", &roles)) {
                let body = json!({"subject": sub, "resource": obj});
                let found = names(&pages(&world, ACTION, &body, 1, |_| {}).await);
                for act in actions {
                    let is_named =
                        world.get("/v1/entries?limit=1000").await.text().contains(&format!("\"act\":\"{act}\""));
                    let want = is_named && granted(&sub, act, &obj).await;
                    assert_eq!(
                        found.contains(&json!({ "name": act }).to_string()),
                        want,
                        "seed {seed}: {sub} {act} {obj}"
                    );
                }
            }
        }
    }
    assert!(hits > 500, "{hits}");
}

fn names(found: &[Value]) -> BTreeSet<String> {
    found.iter().map(Value::to_string).collect()
}

/// Whether an entry names it; a role in either place.
async fn known(world: &World, entity: &Value) -> bool {
    let (type_, id) = (entity["type"].as_str().unwrap(), entity["id"].as_str().unwrap());
    let entries = world.get("/v1/entries?limit=1000").await.json();
    let text = match type_ {
        "user" => id.to_owned(),
        _ => format!("{type_}:{id}"),
    };
    let places: &[&str] = match type_ {
        "user" => &["sub"],
        "file" => &["obj"],
        _ => &["sub", "obj"],
    };
    entries["entries"].as_array().unwrap().iter().any(|entry| places.iter().any(|place| entry[*place] == *text))
}

#[tokio::test]
async fn pages_neither_skip_nor_repeat_while_the_log_grows() {
    for limit in [1, 2, 3, 7, 100] {
        let world = World::new();
        let grants: Vec<_> = (0..20).map(|n| world.grant(&format!("user:u{n}"), "read", "file:x")).collect();
        world.append(&grants.iter().collect::<Vec<_>>());
        let body =
            json!({"subject": {"type": "user"}, "action": {"name": "read"}, "resource": {"type": "file", "id": "x"}});
        let (first, last) = (grants[0].id(), grants[19].id());
        let found = pages(&world, SUBJECT, &body, limit, |number| {
            // Taken away at the front, at the end, and more before and behind: none of it is of this moment.
            let target = if number == 0 { first } else { last };
            let more = [world.grant(&format!("user:v{number}"), "read", "file:x"), world.revoke(target, Effect::Grant)];
            world.append(&more.iter().collect::<Vec<_>>());
            world.pass(1_000);
        })
        .await;
        let want: Vec<Value> = (0..20).map(|n| user(&format!("u{n}"))).collect();
        assert_eq!(found, want, "limit {limit}");
    }
}

#[tokio::test]
async fn the_last_page_says_that_it_is_the_last() {
    let world = fixture();
    let readers = json!({"subject": {"type": "user"}, "action": {"name": "read"}, "resource": record("record-1")});
    let reads = json!({"subject": user("alice"), "action": {"name": "read"}, "resource": {"type": "record"}});
    let acts = json!({"subject": user("alice"), "resource": record("record-1")});
    let nobodys = json!({"subject": user("nobody"), "resource": record("record-1")});
    for (path, body, found) in
        [(SUBJECT, &readers, 2), (RESOURCE, &reads, 1), (ACTION, &acts, 2), (ACTION, &nobodys, 0)]
    {
        for limit in 0..=3 {
            let mut asked = body.clone();
            asked["page"] = json!({ "limit": limit });
            let mut left: usize = found;
            loop {
                let answer = answer(&world, path, &asked).await;
                let count = answer["results"].as_array().unwrap().len();
                assert_eq!(count, left.min(limit), "{asked}");
                left -= count;
                let token = &answer["page"]["next_token"];
                assert_eq!(*token == json!(""), left == 0, "{asked}: {answer}");
                if left == 0 || limit == 0 {
                    break;
                }
                asked["page"] = json!({ "token": token });
            }
        }
    }
}

#[tokio::test]
async fn a_token_is_of_one_search_alone() {
    let world = World::new();
    let grants: Vec<_> = (0..9).map(|n| world.grant(&format!("user:u{n}"), "read", "file:x")).collect();
    world.append(&grants.iter().collect::<Vec<_>>());
    let mut body = json!({
        "subject": {"type": "user"}, "action": {"name": "read"}, "resource": {"type": "file", "id": "x"},
        "page": {"limit": 4, "properties": {"sort": "up"}}
    });
    let token = answer(&world, SUBJECT, &body).await["page"]["next_token"].clone();
    body["page"]["token"] = token.clone();
    assert_eq!(answer(&world, SUBJECT, &body).await["results"].as_array().unwrap().len(), 4);
    for (path, value) in [
        ("/subject/type", json!("role")),
        ("/action/name", json!("write")),
        ("/resource/id", json!("y")),
        ("/page/limit", json!(5)),
        ("/page/properties", json!({})),
    ] {
        let mut other = body.clone();
        *other.pointer_mut(path).unwrap() = value;
        assert_eq!(world.post_json(SUBJECT, &other).await.status, 400, "{other}");
    }
    let mut other = body.clone();
    other["context"] = json!({"mfa": true});
    assert_eq!(world.post_json(SUBJECT, &other).await.status, 400, "{other}");
    let elsewhere = json!({"subject": user("u1"), "resource": {"type": "file", "id": "x"}, "page": {"token": token}});
    assert_eq!(world.post_json(ACTION, &elsewhere).await.status, 400);
    // What is not part of the search may differ, and a number has several spellings.
    other = body.clone();
    other["page"]["limit"] = json!(4.0);
    other["else"] = json!(1);
    other["page"]["else"] = json!(1);
    other["subject"]["id"] = json!(7);
    other["subject"]["else"] = json!({});
    other["context"] = json!({});
    assert_eq!(world.post_json(SUBJECT, &other).await.status, 200);
    // None at all is a page too, after which all are still to come.
    body["page"] = json!({"limit": 0});
    let none = answer(&world, SUBJECT, &body).await;
    assert_eq!((&none["results"], none["page"]["next_token"] != json!("")), (&json!([]), true));
}

#[tokio::test]
async fn what_is_found_can_be_asked_about() {
    let world = World::new();
    // The last cannot be asked about here: it is written in the ledger's own form alone.
    let names = ["user:caf\u{e9}", "user:a b", "user:a:b", "user:100%", "user:*", "%user:cafe%CC%81", "%user:%FF"];
    let grants: Vec<_> = names.iter().map(|name| world.grant(name, "read", "file:x")).collect();
    world.append(&grants.iter().collect::<Vec<_>>());
    let body =
        json!({"subject": {"type": "user"}, "action": {"name": "read"}, "resource": {"type": "file", "id": "x"}});
    let found = results(&world, SUBJECT, &body).await;
    assert_eq!(found, json!([user("caf\u{e9}"), user("a b"), user("a:b"), user("100%")]));
    for sub in found.as_array().unwrap() {
        let asked = json!({"subject": sub, "action": {"name": "read"}, "resource": {"type": "file", "id": "x"}});
        assert_eq!(answer(&world, EVALUATION, &asked).await, json!({ "decision": true }));
    }
}

#[tokio::test]
async fn conditions_are_asked_with_the_request_s_context_for_each_name() {
    let world = World::new();
    let entries = [
        under(access(Effect::Grant, "user:*", "read", "file:*"), "context.mfa && subject.id != 'mallory'"),
        under(access(Effect::Grant, "user:ann", "*", "file:plan"), "action.name in context.allowed"),
        Says::Access(access(Effect::Grant, "user:mallory", "write", "file:other")),
        under(access(Effect::Deny, "user:bo", "read", "file:plan"), "resource.properties.secret"),
        Says::Access(access(Effect::Grant, "user:bo", "list", "file:other")),
    ];
    let records: Vec<_> = entries.into_iter().map(|entry| world.sign("org1", entry)).collect();
    world.append(&records.iter().collect::<Vec<_>>());
    let plan = |secret: bool| json!({"type": "file", "id": "plan", "properties": {"secret": secret}});
    for (context, resource, want) in [
        (json!({"mfa": true}), plan(false), json!([user("ann"), user("bo")])),
        (json!({"mfa": true}), plan(true), json!([user("ann")])),
        // A denial that cannot be evaluated denies.
        (json!({"mfa": true}), json!({"type": "file", "id": "plan"}), json!([user("ann")])),
        (json!({"mfa": false}), plan(false), json!([])),
        (json!({"mfa": false, "allowed": ["read"]}), plan(false), json!([user("ann")])),
        (json!({}), plan(false), json!([])),
    ] {
        let body = json!({
            "subject": {"type": "user"}, "action": {"name": "read"}, "resource": resource, "context": context
        });
        let found = results(&world, SUBJECT, &body).await;
        assert_eq!(names(found.as_array().unwrap()), names(want.as_array().unwrap()), "{body}");
    }
    let acts = |allowed: &[&str]| json!({"subject": user("ann"), "resource": plan(false), "context": {"mfa": false, "allowed": allowed}});
    assert_eq!(results(&world, ACTION, &acts(&["write", "list"])).await, json!([{"name": "write"}, {"name": "list"}]));
    assert_eq!(results(&world, ACTION, &acts(&["fly"])).await, json!([]), "what no entry names is not listed");
    let who = |context: &str| format!("/v1/who-can?act=read&obj=file:plan&context={context}");
    let found = world.get(&who("%7B%22mfa%22:true%7D")).await.json();
    assert_eq!(found["results"], json!(["ann"]), "bo's denial asks for what a resource's properties say");
    assert_eq!(found["patterns"], json!([]), "a pattern has no id");
    assert_eq!(world.get("/v1/who-can?act=read&obj=file:plan").await.json()["results"], json!([]));
    assert_eq!(world.get(&who("[]")).await.problem(), (400, "bad_request".into(), Some("context".into())));
    let what = world.get("/v1/what-can?sub=ann&context=%7B%22mfa%22:false,%22allowed%22:[%22write%22]%7D").await.json();
    assert_eq!(what["results"], json!([{"obj": "file:plan", "act": "write", "except": []}]));
}

#[tokio::test]
async fn a_page_tells_its_moment_to_who_asks() {
    let world = fixture();
    let body = json!({
        "subject": user("alice"), "resource": record("record-1"), "options": {"reasons": true}, "page": {"limit": 1}
    });
    let first = answer(&world, ACTION, &body).await;
    world.append(&[&world.grant("user:x", "read", "file:x")]);
    world.pass(5_000);
    let mut next = body;
    next["page"] = json!({"token": first["page"]["next_token"]});
    let second = answer(&world, ACTION, &next).await;
    assert_eq!(first["context"]["height"], 1);
    assert_eq!(first["context"], second["context"]);
    let text = world.post_json(ACTION, &next).await.text();
    let at = ["page", "context", "results"].map(|member| text.find(&format!("\"{member}\":")).unwrap());
    assert!(at.is_sorted(), "who reads it as it comes knows the page first: {text}");
}
