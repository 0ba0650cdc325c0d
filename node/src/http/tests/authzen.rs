//! The AuthZEN paths, by the letter of the standard and of its certification scenario.

use axum::http::Method;
use serde_json::{Value, json};

use super::world::{Reply, World, access};
use writ_proto::record::{Body as Says, Effect};

const EVALUATION: &str = "/access/v1/evaluation";
const EVALUATIONS: &str = "/access/v1/evaluations";
const JSON: (&str, &str) = ("content-type", "application/json");

/// Ada may read `record-1` and everything below `acl/`, but not the secret there.
fn world() -> World {
    let world = World::new();
    let entries = [
        world.grant("user:ada", "read", "file:record-1"),
        world.grant("user:ada", "read", "file:acl/*"),
        world.deny("user:ada", "*", "file:acl/secret"),
    ];
    world.append(&entries.iter().collect::<Vec<_>>());
    world
}

fn question(sub: &str, act: &str, obj: &str) -> Value {
    json!({
        "subject": {"type": "user", "id": sub}, "action": {"name": act}, "resource": {"type": "file", "id": obj}
    })
}

async fn decisions(world: &World, body: &Value) -> Vec<bool> {
    let reply = world.post_json(EVALUATIONS, body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let answer = reply.json();
    assert_eq!(answer.as_object().unwrap().len(), 1, "nothing but the evaluations: {answer}");
    answer["evaluations"].as_array().unwrap().iter().map(|one| one["decision"].as_bool().unwrap()).collect()
}

#[tokio::test]
async fn a_decision_is_that_of_check_and_nothing_else() {
    let world = world();
    for (sub, act, obj, decision) in [
        ("ada", "read", "record-1", true),
        ("ada", "write", "record-1", false),
        ("ada", "read", "acl/a", true),
        ("ada", "read", "acl/secret", false),
        ("bo", "read", "record-1", false),
        // What no entry can hold is no error, and not what it would be if it were spelled otherwise.
        ("ada", "read", "*", false),
        ("ada", "read", "acl/*", false),
        ("", "read", "record-1", false),
        ("ada", "", "record-1", false),
        ("ada", "*", "record-1", false),
        ("ada", "READ", "record-1", false),
        (" ada", "read", "record-1", false),
        (&"x".repeat(5000), "read", "record-1", false),
    ] {
        let reply = world.post_json(EVALUATION, &question(sub, act, obj)).await;
        assert_eq!((reply.status.as_u16(), reply.json()), (200, json!({ "decision": decision })), "{sub} {act} {obj}");
    }
    let mut split = question("ada", "read", "record-1");
    split["subject"] = json!({"type": "user:ada", "id": ""});
    assert_eq!(world.post_json(EVALUATION, &split).await.json(), json!({ "decision": false }));
}

#[tokio::test]
async fn what_the_standard_does_not_name_is_ignored_everywhere() {
    let world = world();
    let body = json!({
        "subject": {"type": "user", "id": "ada", "properties": {"a": [1]}, "else": null},
        "action": {"name": "read", "properties": {}, "else": 1},
        "resource": {"type": "file", "id": "record-1", "else": {}},
        "context": {"anything": {"at": ["all"]}}, "else": "x", "options": {"else": true}
    });
    assert_eq!(world.post_json(EVALUATION, &body).await.json(), json!({ "decision": true }));
    assert_eq!(world.post_json(EVALUATIONS, &body).await.json(), json!({ "decision": true }), "no `evaluations`: one");
    let mut empty = body;
    empty["evaluations"] = json!([]);
    assert_eq!(world.post_json(EVALUATIONS, &empty).await.json(), json!({ "decision": true }));
}

#[tokio::test]
async fn a_request_at_fault_is_told_its_fault() {
    let world = world();
    let good = question("ada", "read", "record-1");
    let without = |path: &[&str]| {
        let mut body = good.clone();
        let (last, way) = path.split_last().unwrap();
        let parent = way.iter().fold(&mut body, |value, member| &mut value[*member]);
        parent.as_object_mut().unwrap().remove(*last);
        body
    };
    let with = |path: &[&str], value: Value| {
        let mut body = good.clone();
        *path.iter().fold(&mut body, |value, member| &mut value[*member]) = value;
        body
    };
    let mut cases = Vec::new();
    for path in [
        &["subject"][..],
        &["action"],
        &["resource"],
        &["subject", "type"],
        &["subject", "id"],
        &["action", "name"],
        &["resource", "type"],
        &["resource", "id"],
    ] {
        cases.push((path.join("."), without(path)));
        for value in [json!(null), json!(1), json!(["x"]), json!(true)] {
            cases.push((path.join("."), with(path, value)));
        }
    }
    for path in [&["context"][..], &["subject", "properties"], &["action", "properties"]] {
        for value in [json!(null), json!(1), json!("x"), json!([])] {
            cases.push((path.join("."), with(path, value)));
        }
    }
    // Of these only a batch has any.
    for value in [json!(null), json!(1), json!("x"), json!([]), json!({"evaluations_semantic": 5})] {
        let body = with(&["options"], value);
        assert_eq!(world.post_json(EVALUATION, &body).await.status, 200, "{body}");
        assert_eq!(world.post_json(EVALUATIONS, &body).await.status, 400, "{body}");
    }
    for (field, body) in cases {
        for path in [EVALUATION, EVALUATIONS] {
            let reply = world.post_json(path, &body).await;
            assert_eq!(reply.status, 400, "{body}");
            assert!(reply.text().starts_with(&format!("{field}: ")), "{body}: {}", reply.text());
        }
    }
    for body in ["", "{", "[]", "\"x\"", "null", "{\"subject\":1,\"subject\":2}", "{} {}", "\u{0}"] {
        let reply = world.post(EVALUATION, "application/json", body).await;
        assert_eq!(reply.status, 400, "{body:?}");
        assert!(!reply.text().is_empty() && reply.header("content-type").unwrap().starts_with("text/plain"));
    }
    for (media, status) in [
        ("text/plain", 400),
        ("application/jsonx", 400),
        ("application/x-www-form-urlencoded", 400),
        ("application/json; charset=utf-8", 200),
        ("Application/JSON", 200),
    ] {
        let reply = world.post(EVALUATION, media, good.to_string()).await;
        assert_eq!(reply.status, status, "{media}");
    }
    let reply = world.call(Method::POST, EVALUATION, &[], good.to_string().into()).await;
    assert_eq!(reply.status, 400, "no media type");
    let reply = world.call(Method::GET, EVALUATION, &[], Vec::new()).await;
    assert_eq!((reply.status.as_u16(), reply.header("allow")), (405, Some("POST")));
    assert!(reply.header("content-type").unwrap().starts_with("text/plain"));
}

#[tokio::test]
async fn an_answer_has_the_identifier_of_its_request() {
    let world = world();
    let id = "bfe9eb29 = \u{21}~ 5738";
    let call = async |method: Method, path: &str, body: &str| -> Reply {
        world.call(method, path, &[JSON, ("x-request-id", id)], body.as_bytes().to_vec()).await
    };
    let good = question("ada", "read", "record-1").to_string();
    for (method, path, body, status) in [
        (Method::POST, EVALUATION, good.as_str(), 200),
        (Method::POST, EVALUATIONS, good.as_str(), 200),
        (Method::POST, EVALUATION, "{", 400),
        (Method::PUT, EVALUATION, "", 405),
        (Method::POST, "/access/v1/nothing", "", 404),
    ] {
        let reply = call(method, path, body).await;
        assert_eq!((reply.status.as_u16(), reply.header("x-request-id")), (status, Some(id)), "{path}");
    }
    assert_eq!(world.post_json(EVALUATION, &question("ada", "read", "x")).await.header("x-request-id"), None);
}

#[tokio::test]
async fn a_batch_stops_where_its_semantic_says() {
    let world = world();
    let batch = |semantic: Option<&str>| {
        let resources = ["record-1", "record-2", "acl/a"].map(|id| json!({"resource": {"type": "file", "id": id}}));
        let mut body = json!({
            "subject": {"type": "user", "id": "ada"}, "action": {"name": "read"}, "evaluations": resources
        });
        if let Some(semantic) = semantic {
            body["options"] = json!({ "evaluations_semantic": semantic });
        }
        body
    };
    assert_eq!(decisions(&world, &batch(None)).await, [true, false, true]);
    assert_eq!(decisions(&world, &batch(Some("execute_all"))).await, [true, false, true]);
    assert_eq!(decisions(&world, &batch(Some("deny_on_first_deny"))).await, [true, false]);
    assert_eq!(decisions(&world, &batch(Some("permit_on_first_permit"))).await, [true]);
    for semantic in [json!("first"), json!(1), json!(null)] {
        let mut body = batch(None);
        body["options"] = json!({ "evaluations_semantic": semantic });
        assert_eq!(world.post_json(EVALUATIONS, &body).await.status, 400);
    }
}

#[tokio::test]
async fn an_item_replaces_parts_as_a_whole_and_fails_alone() {
    let world = world();
    let body = json!({
        "subject": {"type": "user", "id": "ada"}, "action": {"name": "read"},
        "resource": {"type": "file", "id": "record-1"},
        "evaluations": [
            {}, {"action": {"name": "write"}}, {"subject": {"id": "ada"}}, {"resource": 7}, 5, {"resource": {"type": "file", "id": "acl/a"}}
        ]
    });
    let answer = world.post_json(EVALUATIONS, &body).await.json();
    let found: Vec<_> = answer["evaluations"].as_array().unwrap().iter().collect();
    let want = [true, false, false, false, false, true];
    assert_eq!(found.iter().map(|one| one["decision"].as_bool().unwrap()).collect::<Vec<_>>(), want);
    for (at, member) in [(2, "evaluations[2].subject.type"), (3, "evaluations[3].resource"), (4, "evaluations[4]")] {
        let error = &found[at]["context"]["error"];
        assert_eq!(error["status"], 400);
        assert!(error["message"].as_str().unwrap().starts_with(member), "{error}");
    }
    assert_eq!(*found[1], json!({ "decision": false }), "a denial is no error");
    let mut lacking = json!({"action": {"name": "read"}, "evaluations": [{"resource": {"type": "file", "id": "x"}}]});
    assert_eq!(decisions(&world, &lacking).await, [false], "its subject is nowhere");
    lacking["evaluations"] = json!("x");
    assert_eq!(world.post_json(EVALUATIONS, &lacking).await.status, 400);
    lacking["evaluations"] = json!([{}]);
    lacking["subject"] = json!(3);
    assert_eq!(world.post_json(EVALUATIONS, &lacking).await.status, 400, "a default at fault is everybody's fault");
}

#[tokio::test]
async fn reasons_are_told_to_who_asks_for_them() {
    let world = world();
    let body = question("ada", "read", "acl/secret");
    let plain = world.post_json(EVALUATION, &body).await.json();
    assert_eq!(plain, json!({ "decision": false }));
    let check = world.get("/v1/check?sub=user:ada&act=read&obj=file:acl/secret").await.json();
    let mut asked = body.clone();
    asked["options"] = json!({ "reasons": true });
    let by_header =
        world.call(Method::POST, EVALUATION, &[JSON, ("writ-explain", "1")], body.to_string().into()).await.json();
    for answer in [world.post_json(EVALUATION, &asked).await.json(), by_header] {
        assert_eq!(answer["context"]["why"], "deny");
        for member in ["entries", "height", "position", "valid_until"] {
            assert_eq!(answer["context"][member], check[member], "{member}");
        }
    }
    asked["options"] = json!({ "reasons": false });
    assert_eq!(world.post_json(EVALUATION, &asked).await.json(), plain);
}

#[tokio::test]
async fn a_large_batch_is_about_one_moment_and_has_a_bound() {
    let world = world();
    let body = |count: usize| {
        let items: Vec<Value> = (0..count).map(|n| question("ada", "read", &format!("acl/{n}"))).collect();
        json!({ "evaluations": items })
    };
    assert_eq!(decisions(&world, &body(1_000)).await, vec![true; 1_000]);
    let many = json!({ "subject": {"type": "user", "id": "ada"}, "evaluations": vec![json!({}); 10_001] });
    let reply = world.post_json(EVALUATIONS, &many).await;
    assert_eq!(reply.status, 400);
    assert!(reply.text().contains("at most 10000"), "{}", reply.text());
}

/// What a batch says once is kept once: as many copies as there are items would be more than any machine has.
#[tokio::test]
async fn many_items_share_what_a_batch_says_once() {
    let world = world();
    let mut entry = access(Effect::Grant, "user:ada", "list", "file:*");
    entry.cond = Some("1 in context.list".into());
    world.append(&[&world.sign("org1", Says::Access(entry))]);
    let body = |elements: usize| {
        json!({
            "subject": {"type": "user", "id": "ada", "properties": {"text": "y".repeat(400_000)}},
            "action": {"name": "list"}, "resource": {"type": "file", "id": "x"}, "context": {"list": vec![0; elements]},
            "evaluations": vec![json!({}); 10_000]
        })
    };
    assert_eq!(decisions(&world, &body(200)).await, vec![false; 10_000]);
    let reply = world.post_json(EVALUATIONS, &body(200_000)).await;
    assert_eq!(reply.status, 413);
    assert!(reply.text().contains("go through too much"), "{}", reply.text());
}

#[tokio::test]
async fn reasons_without_end_are_refused() {
    let world = world();
    let denials: Vec<_> = (0..60).map(|_| world.deny("user:ada", "read", "file:record-1")).collect();
    world.append(&denials.iter().collect::<Vec<_>>());
    let mut body = question("ada", "read", "record-1");
    body["evaluations"] = json!(vec![json!({}); 2_000]);
    assert_eq!(decisions(&world, &body).await.len(), 2_000);
    body["options"] = json!({"reasons": true});
    let reply = world.post_json(EVALUATIONS, &body).await;
    assert_eq!(reply.status, 413);
    assert!(reply.text().contains("100000 entries"), "{}", reply.text());
}

#[tokio::test]
async fn the_configuration_says_where_everything_is() {
    let world = world();
    let path = "/.well-known/authzen-configuration";
    let reply = world.call(Method::GET, path, &[("host", "127.0.0.1:7001")], Vec::new()).await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(
        reply.json(),
        json!({
            "policy_decision_point": "http://127.0.0.1:7001",
            "access_evaluation_endpoint": "http://127.0.0.1:7001/access/v1/evaluation",
            "access_evaluations_endpoint": "http://127.0.0.1:7001/access/v1/evaluations",
            "search_subject_endpoint": "http://127.0.0.1:7001/access/v1/search/subject",
            "search_resource_endpoint": "http://127.0.0.1:7001/access/v1/search/resource",
            "search_action_endpoint": "http://127.0.0.1:7001/access/v1/search/action",
        })
    );
    assert_eq!(reply.header("cache-control"), Some("max-age=3600"));
    for host in ["", "a b", "me@here", "h/x", "h:99999999", "h:", ":80"] {
        let reply = world.call(Method::GET, path, &[("host", host)], Vec::new()).await;
        assert_eq!(reply.status, 400, "{host:?}");
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{host:?}");
    }
    let two = [("host", "pdp.example"), ("host", "pdp.example")];
    for path in [path, "/v1/status"] {
        assert_eq!(world.call(Method::GET, path, &two, Vec::new()).await.status, 400, "{path}");
    }
}

/// What the configuration says of the node's address.
async fn address_told(router: axum::Router, target: &str, host: &str) -> String {
    let near = super::super::access::Peer([127, 0, 0, 1].into());
    let request = axum::http::Request::builder().uri(target).header("host", host).extension(near);
    let request = request.body(axum::body::Body::empty()).unwrap();
    let response = tower::ServiceExt::oneshot(router, request).await.unwrap();
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let shown: Value = serde_json::from_slice(&bytes).unwrap();
    let address = shown["policy_decision_point"].as_str().unwrap();
    assert_eq!(shown["search_action_endpoint"], format!("{address}/access/v1/search/action"));
    address.to_owned()
}

#[tokio::test]
async fn the_configuration_says_where_the_node_was_called_or_what_it_was_told() {
    let world = World::new();
    let path = "/.well-known/authzen-configuration";
    // The target of a request names where it goes, if it does.
    for (target, address) in [
        (path, "https://else.example"),
        ("http://pdp.example/.well-known/authzen-configuration", "https://pdp.example"),
    ] {
        assert_eq!(address_told(world.api().into_router(), target, "else.example").await, address);
    }
    let url = crate::config::PublicUrl::try_from("https://pdp.example:8443".to_owned()).unwrap();
    let api = world.api().called_at(Some(url));
    assert_eq!(address_told(api.into_router(), path, "10.0.0.1:7001").await, "https://pdp.example:8443");
}

#[tokio::test]
async fn conditions_see_the_properties_and_the_context_of_the_request() {
    let world = World::new();
    let mut entry = access(Effect::Grant, "user:ada", "edit", "file:*");
    entry.cond = Some("resource.properties.owner == subject.id && context.mfa && action.properties.soft".into());
    world.append(&[&world.sign("org1", Says::Access(entry))]);
    let body = |owner: Value, mfa: Value| {
        json!({
            "subject": {"type": "user", "id": "ada"}, "action": {"name": "edit", "properties": {"soft": true}},
            "resource": {"type": "file", "id": "plan", "properties": {"owner": owner}}, "context": {"mfa": mfa}
        })
    };
    for (owner, mfa, decision) in [
        (json!("ada"), json!(true), true),
        (json!("bo"), json!(true), false),
        (json!("ada"), json!(false), false),
        (json!("ada"), json!("true"), false),
        (json!(["ada"]), json!(true), false),
    ] {
        let reply = world.post_json(EVALUATION, &body(owner, mfa)).await;
        assert_eq!(reply.json(), json!({ "decision": decision }), "{}", reply.text());
    }
    let mut lacking = body(json!("ada"), json!(true));
    lacking.as_object_mut().unwrap().remove("context");
    lacking["options"] = json!({ "reasons": true });
    let answer = world.post_json(EVALUATION, &lacking).await.json();
    assert_eq!((&answer["decision"], &answer["context"]["why"]), (&json!(false), &json!("indeterminate")));
    assert_eq!(answer["context"]["missing"], json!(["context.mfa"]));
}
