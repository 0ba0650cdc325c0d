//! Every malformed request gets the documented status, code and field, and changes nothing.

use axum::http::Method;
use serde_json::{Value, json};
use writ_proto::api::to_base64;
use writ_proto::key::SecretKey;
use writ_proto::record::{Body as Says, Effect};

use super::super::records::{BATCH_BODY_BYTES_MAX, ONE_BYTES_MAX};
use super::world::{World, access, time};

/// What is sent.
struct Sent {
    method: Method,
    path: String,
    media: Option<&'static str>,
    body: Vec<u8>,
}

fn get(path: impl Into<String>) -> Sent {
    Sent { method: Method::GET, path: path.into(), media: None, body: Vec::new() }
}

fn bytes(path: &str, body: impl Into<Vec<u8>>) -> Sent {
    Sent { method: Method::POST, path: path.into(), media: Some("application/octet-stream"), body: body.into() }
}

fn json_text(path: &str, body: impl Into<Vec<u8>>) -> Sent {
    Sent { media: Some("application/json"), ..bytes(path, body) }
}

fn json_of(path: &str, body: Value) -> Sent {
    json_text(path, body.to_string())
}

/// Each case: what is sent, and status, code and field of the answer; a field `""` is none.
async fn refuses(world: &World, cases: Vec<(Sent, u16, &str, &str)>) {
    for (Sent { method, path, media, body }, status, code, field) in cases {
        let before = world.mark();
        let headers: Vec<_> = media.iter().map(|media| ("content-type", *media)).collect();
        let shown = String::from_utf8_lossy(&body[..body.len().min(120)]).into_owned();
        let reply = world.call(method.clone(), &path, &headers, body).await;
        let field = (!field.is_empty()).then(|| field.to_owned());
        assert_eq!(reply.problem(), (status, code.to_owned(), field), "{method} {path} {shown}: {}", reply.text());
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(world.mark(), before, "{method} {path} {shown}");
    }
}

/// A world with a few blocks, and the id of an entry in it.
fn world() -> (World, String) {
    let world = World::new();
    let entry = world.grant("alice", "read", "file:acl/x");
    world.append(&[&entry]);
    world.append(&[&world.deny("bob", "*", "file:acl/x")]);
    (world, entry.id().to_string())
}

#[tokio::test]
async fn paths_and_methods() {
    let (world, id) = world();
    refuses(
        &world,
        vec![
            (get("/"), 404, "not_found", ""),
            (get("/v1"), 404, "not_found", ""),
            (get("/v1/"), 404, "not_found", ""),
            (get("/v1/chek?sub=a&obj=b"), 404, "not_found", ""),
            (get("/v1/check/"), 404, "not_found", ""),
            (get("/V1/check"), 404, "not_found", ""),
            (get("/v1/records/"), 404, "not_found", ""),
            (get(format!("/v1/records/{id}/x")), 404, "not_found", ""),
            (get("/%ff"), 404, "not_found", ""),
        ],
    )
    .await;
    for (method, path, allow) in [
        (Method::POST, "/v1/check", "GET,HEAD"),
        (Method::DELETE, "/v1/entries", "GET,HEAD"),
        (Method::OPTIONS, "/v1/check", "GET,HEAD"),
        (Method::TRACE, "/v1/status", "GET,HEAD"),
        (Method::GET, "/v1/records", "POST"),
        (Method::GET, "/v1/records/batch", "POST"),
        (Method::PUT, "/v1/records/prepare", "POST"),
        (Method::PATCH, "/metrics", "GET,HEAD"),
        (Method::from_bytes(b"FROB").unwrap(), "/healthz", "GET,HEAD"),
    ] {
        let reply = world.call(method.clone(), path, &[], Vec::new()).await;
        assert_eq!(reply.problem(), (405, "method_not_allowed".into(), None), "{method} {path}");
        assert_eq!(reply.header("allow"), Some(allow), "{method} {path}");
    }
}

fn endpoint_method(endpoint: &super::super::Endpoint) -> axum::http::Method {
    let is_post = endpoint.method == axum::routing::MethodFilter::POST;
    if is_post { axum::http::Method::POST } else { axum::http::Method::GET }
}

#[tokio::test]
async fn every_path_refuses_parameters_that_it_does_not_know() {
    let (world, id) = world();
    let mut cases = Vec::new();
    for endpoint in super::super::ENDPOINTS {
        let path = endpoint.path.replace("{id}", &id).replace("{height}", "1");
        if super::super::authzen::speaks_at(&path) {
            let reply = world.call(endpoint_method(endpoint), &format!("{path}?heigth=1"), &[], Vec::new()).await;
            assert_eq!(reply.status, 400, "{path}");
            continue;
        }
        let sent = |query: &str| match endpoint.method == axum::routing::MethodFilter::POST {
            true => json_text(&format!("{path}?{query}"), "{}"),
            false => get(format!("{path}?{query}")),
        };
        cases.push((sent("heigth=1"), 400, "bad_request", "heigth"));
        cases.push((sent("%zz"), 400, "bad_request", "%zz"));
        for parameter in endpoint.parameters {
            cases.push((sent(&format!("{parameter}=1&{parameter}=1")), 400, "bad_request", *parameter));
            cases.push((sent(&format!("{parameter}=%ff")), 400, "bad_request", *parameter));
            cases.push((sent(&format!("{parameter}=%4")), 400, "bad_request", *parameter));
        }
    }
    assert!(cases.len() > 100);
    refuses(&world, cases).await;
}

#[tokio::test]
async fn questions() {
    let (world, _) = world();
    let ask = |query: &str| get(format!("/v1/check?{query}"));
    let long = "x".repeat(257);
    let bad = |query: &str, field: &'static str| (ask(query), 400, "bad_request", field);
    refuses(
        &world,
        vec![
            bad("", "sub"),
            bad("obj=file:x", "sub"),
            bad("sub=alice", "obj"),
            bad("sub=&obj=file:x", "sub"),
            bad("sub=alice&obj=", "obj"),
            // Patterns may not stand in a question.
            bad("sub=user:*&obj=file:x", "sub"),
            bad("sub=*&obj=file:x", "sub"),
            bad("sub=user:a/*&obj=file:x", "sub"),
            bad("sub=alice&obj=file:acl/*", "obj"),
            bad("sub=alice&obj=*", "obj"),
            bad("sub=alice&act=*&obj=file:x", "act"),
            bad("sub=a*b&obj=file:x", "sub"),
            // Names.
            bad("sub=:a&obj=file:x", "sub"),
            bad("sub=1a:b&obj=file:x", "sub"),
            bad("sub=us%20er:b&obj=file:x", "sub"),
            bad("sub=user:&obj=file:x", "sub"),
            bad(&format!("sub={long}&obj=file:x"), "sub"),
            bad(&format!("sub={}:a&obj=file:x", "t".repeat(33)), "sub"),
            bad(&format!("sub=alice&obj=file:{}", "a/".repeat(16)), "obj"),
            bad("sub=%25user:%25zz&obj=file:x", "sub"),
            bad("sub=alice&act=&obj=file:x", "act"),
            bad("sub=alice&act=re%20ad&obj=file:x", "act"),
            bad("sub=alice&act=caf%C3%A9&obj=file:x", "act"),
            bad(&format!("sub=alice&act={}&obj=file:x", "a".repeat(65)), "act"),
            // Times.
            bad("sub=alice&obj=file:x&at=", "at"),
            bad("sub=alice&obj=file:x&at=now", "at"),
            bad("sub=alice&obj=file:x&at=2026-11-22", "at"),
            bad("sub=alice&obj=file:x&at=2026-11-22T10:15:03", "at"),
            bad("sub=alice&obj=file:x&at=2026-11-22T10:15:03%2B01:00", "at"),
            bad("sub=alice&obj=file:x&at=2026-11-22t10:15:03z", "at"),
            bad("sub=alice&obj=file:x&at=2026-02-30T00:00:00Z", "at"),
            bad("sub=alice&obj=file:x&at=2026-11-22T10:15:03.1234Z", "at"),
            bad("sub=alice&obj=file:x&at=1969-12-31T23:59:59Z", "at"),
            bad("sub=alice&obj=file:x&as_of=1600000000", "as_of"),
            bad("sub=alice&obj=file:x&as_of=2000-01-01T00:00:00Z", "as_of"),
            bad("sub=alice&obj=file:x&as_of=2027-01-15T08:00:02Z&at=2027-01-15T08:00:02Z", "as_of"),
            bad("sub=alice&obj=file:x&as_of=2027-01-15T08:00:02Z&height=1", "as_of"),
            // Heights and tokens.
            bad("sub=alice&obj=file:x&height=-1", "height"),
            bad("sub=alice&obj=file:x&height=one", "height"),
            bad("sub=alice&obj=file:x&height=99999999999999999999", "height"),
            bad("sub=alice&obj=file:x&at_least=", "at_least"),
            bad("sub=alice&obj=file:x&at_least=1", "at_least"),
            bad("sub=alice&obj=file:x&at_least=01.0000000000000000", "at_least"),
            bad("sub=alice&obj=file:x&at_least=1.00000000", "at_least"),
            bad("sub=alice&obj=file:x&at_least=1.00000000000000AB", "at_least"),
            bad("sub=alice&obj=file:x&wait_ms=60001", "wait_ms"),
            bad("sub=alice&obj=file:x&explain=yes", "explain"),
            bad("sub=alice&obj=file:x&explain=", "explain"),
            (ask("sub=alice&obj=file:x&height=3"), 409, "not_yet", "height"),
            (ask("sub=alice&obj=file:x&at_least=3.0000000000000000&wait_ms=0"), 409, "not_yet", "at_least"),
            (ask("sub=alice&obj=file:x&at_least=2.0000000000000000"), 400, "wrong_chain", "at_least"),
            (ask("sub=alice&obj=file:x&at_least=0.0000000000000000"), 400, "wrong_chain", "at_least"),
            (ask("sub=alice&obj=file:x&context=a"), 400, "bad_request", "context"),
            (ask("sub=alice&obj=file:x&context=%5B%5D"), 400, "bad_request", "context"),
            (ask("sub=alice&obj=file:x&proof=true"), 400, "unsupported", "proof"),
            (ask("sub=alice&obj=file:x&allow_stale=true"), 400, "unsupported", "allow_stale"),
        ],
    )
    .await;
}

#[tokio::test]
async fn listings_chain_and_proofs() {
    let (world, id) = world();
    let bad = |path: &str, field: &'static str| (get(path), 400, "bad_request", field);
    let unknown = "ab".repeat(32);
    refuses(
        &world,
        vec![
            bad("/v1/entries?sub=a*b", "sub"),
            bad("/v1/entries?sub=", "sub"),
            bad("/v1/entries?obj=file:*x", "obj"),
            bad("/v1/entries?act=re*", "act"),
            bad("/v1/entries?access=revoked", "access"),
            bad("/v1/entries?access=Granted", "access"),
            bad("/v1/entries?authority=", "authority"),
            bad("/v1/entries?authority=a%20b", "authority"),
            bad("/v1/entries?from_index=-1", "from_index"),
            bad("/v1/entries?to_index=x", "to_index"),
            bad("/v1/entries?from_index=5&to_index=4", "to_index"),
            bad("/v1/entries?height=0", "height"),
            bad("/v1/entries?outcome=rejected", "outcome"),
            bad("/v1/entries?limit=0", "limit"),
            bad("/v1/entries?limit=1001", "limit"),
            bad("/v1/entries?cursor=", "cursor"),
            bad("/v1/entries?cursor=5", "cursor"),
            bad("/v1/entries?cursor=x-000000000000", "cursor"),
            bad("/v1/entries?cursor=5-000000000000", "cursor"),
            bad("/v1/entries?cursor=%2B5-000000000000", "cursor"),
            bad("/v1/headers?from=0", "from"),
            bad("/v1/headers?limit=0", "limit"),
            bad("/v1/headers?limit=1001", "limit"),
            bad("/v1/blocks?from=x", "from"),
            (get("/v1/headers?from=4"), 409, "not_yet", "from"),
            (get("/v1/blocks?from=4"), 409, "not_yet", "from"),
            (get("/v1/blocks/0"), 404, "not_found", "height"),
            (get("/v1/blocks/3"), 404, "not_found", "height"),
            bad("/v1/blocks/x", "height"),
            bad("/v1/blocks/-1", "height"),
            bad("/v1/blocks/+1", "height"),
            bad("/v1/blocks/%31", "height"),
            bad("/v1/blocks/99999999999999999999", "height"),
            bad("/v1/records/x", "id"),
            bad(&format!("/v1/records/{}", id.to_uppercase()), "id"),
            bad(&format!("/v1/records/{id}0"), "id"),
            bad("/v1/records/%ff", "id"),
            (get(format!("/v1/records/{unknown}")), 404, "not_found", "id"),
            bad("/v1/proofs/inclusion", "id"),
            bad("/v1/proofs/inclusion?id=x", "id"),
            bad(&format!("/v1/proofs/inclusion?id={id}&size=0"), "size"),
            (get(format!("/v1/proofs/inclusion?id={id}&size=5")), 409, "not_yet", "size"),
            (get(format!("/v1/proofs/inclusion?id={unknown}")), 404, "not_found", "id"),
            bad("/v1/proofs/consistency", "from"),
            bad("/v1/proofs/consistency?to=4", "from"),
            bad("/v1/proofs/consistency?from=0", "from"),
            bad("/v1/proofs/consistency?from=3&to=2", "from"),
            bad("/v1/proofs/consistency?from=1&to=x", "to"),
            (get("/v1/proofs/consistency?from=1&to=5"), 409, "not_yet", "to"),
            (get("/v1/proofs/consistency?from=5"), 409, "not_yet", "from"),
        ],
    )
    .await;
    // The second record is no leaf of the first block's log.
    let second = world.grant("c", "read", "file:c");
    world.append(&[&second]);
    let path = format!("/v1/proofs/inclusion?id={}&size=2", second.id());
    refuses(&world, vec![bad(&path, "size")]).await;
}

#[tokio::test]
async fn records() {
    let (world, _) = world();
    let good = world.grant("alice", "write", "file:y");
    let stranger = SecretKey::from_seed(&[77; 32]);
    let (one, two) = (world.keys_of("org1")[0].clone_for_test(), world.keys_of("pair")[0].clone_for_test());
    let says = |effect| Says::Access(access(effect, "carol", "read", "file:y"));
    let soon = time(600_000);
    let strange = world.sign_as("org1", &[&stranger], says(Effect::Deny), soon);
    let half = world.sign_as("pair", &[&two], says(Effect::Deny), soon);
    let past = world.sign_as("org1", &[&one], says(Effect::Grant), time(500));
    let far = world.sign_as("org1", &[&one], says(Effect::Grant), time(4_000_000));
    let nobody = world.sign_as("nobody", &[&one], says(Effect::Deny), soon);
    let outside = world.entry("narrow", Effect::Grant, "carol", "read", "file:y");
    let other = World::of("ledger.example/other", Default::default());
    let foreign = other.grant("alice", "read", "file:x");
    let conditional = {
        let mut access = access(Effect::Deny, "carol", "read", "file:y");
        access.cond = Some("context.x ==".into());
        world.sign("org1", Says::Access(access))
    };
    let mut forged = good.bytes().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let mut longer = good.bytes().to_vec();
    longer.push(0);
    let mut kind = good.bytes().to_vec();
    kind[15] = 99;
    let lift = world.revoke(strange.id(), Effect::Deny);

    let path = "/v1/records?wait=none";
    let base64 = to_base64(good.bytes());
    refuses(
        &world,
        vec![
            (bytes(path, ""), 400, "bad_request", "record"),
            (bytes(path, "garbage"), 400, "bad_request", "record"),
            (bytes(path, &good.bytes()[..40]), 400, "bad_request", "record"),
            (bytes(path, &good.bytes()[..good.bytes().len() - 1]), 400, "bad_request", "signatures"),
            (bytes(path, longer), 400, "bad_request", "signatures"),
            (bytes(path, kind), 400, "unsupported", "record"),
            (bytes(path, vec![0; 8193]), 413, "too_large", "record"),
            (bytes(path, vec![0; ONE_BYTES_MAX + 1]), 413, "too_large", ""),
            (bytes(path, forged), 400, "bad_signature", "signatures"),
            (bytes(path, strange.bytes()), 400, "unknown_key", "signatures"),
            (bytes(path, half.bytes()), 400, "threshold_not_met", "signatures"),
            (bytes(path, nobody.bytes()), 400, "unknown_authority", "issuingAuth"),
            (bytes(path, foreign.bytes()), 400, "wrong_chain", "chain"),
            (bytes(path, past.bytes()), 400, "expired_submission", "submit_by"),
            (bytes(path, far.bytes()), 400, "expired_submission", "submit_by"),
            (bytes(path, conditional.bytes()), 400, "bad_condition", "cond"),
            (bytes(path, outside.bytes()), 403, "out_of_scope", "obj"),
            (bytes(path, lift.bytes()), 404, "not_found", "target"),
            // The envelope of JSON.
            (json_text(path, ""), 400, "bad_request", ""),
            (json_text(path, "[]"), 400, "bad_request", ""),
            (json_text(path, "{\"record\":"), 400, "bad_request", ""),
            (json_text(path, b"{\"record\":\"\xff\"}".to_vec()), 400, "bad_request", ""),
            (json_text(path, format!("{{\"record\":{}1{}}}", "[".repeat(40), "]".repeat(40))), 400, "bad_request", ""),
            (json_text(path, format!("{{\"record\":{}", "[".repeat(50_000))), 400, "bad_request", ""),
            (
                json_text(path, format!("{{\"record\":\"{base64}\",\"record\":\"{base64}\"}}")),
                400,
                "bad_request",
                "record",
            ),
            (json_of(path, json!({})), 400, "bad_request", "record"),
            (json_of(path, json!({"record": null})), 400, "bad_request", "record"),
            (json_of(path, json!({"record": 5})), 400, "bad_request", "record"),
            (json_of(path, json!({"record": "%"})), 400, "bad_request", "record"),
            (
                json_of(path, json!({"record": base64.trim_end_matches('=').to_owned() + "\n"})),
                400,
                "bad_request",
                "record",
            ),
            (json_of(path, json!({"record": base64, "wait": "none"})), 400, "bad_request", "wait"),
            (json_of(path, json!({"record": "AAAA"})), 400, "bad_request", "record"),
            // The head.
            (Sent { media: None, ..bytes(path, good.bytes()) }, 400, "bad_request", "content-type"),
            (Sent { media: Some("text/plain"), ..bytes(path, good.bytes()) }, 400, "bad_request", "content-type"),
            (
                Sent { media: Some("application/jsonx"), ..bytes(path, good.bytes()) },
                400,
                "bad_request",
                "content-type",
            ),
            (bytes("/v1/records?wait=everywhere", good.bytes()), 400, "unsupported", "wait"),
            (bytes("/v1/records?wait=sometime", good.bytes()), 400, "bad_request", "wait"),
            (bytes("/v1/records?wait=", good.bytes()), 400, "bad_request", "wait"),
            (bytes("/v1/records?wait_ms=60001", good.bytes()), 400, "bad_request", "wait_ms"),
            (bytes("/v1/records?wait_ms=1s", good.bytes()), 400, "bad_request", "wait_ms"),
        ],
    )
    .await;
    for (name, value) in [("content-encoding", "gzip"), ("content-type", "application/json")] {
        let headers = [("content-type", "application/octet-stream"), (name, value)];
        let reply = world.call(Method::POST, path, &headers, good.bytes().to_vec()).await;
        assert_eq!(reply.problem(), (400, "bad_request".into(), Some(name.into())));
    }
}

#[tokio::test]
async fn batches() {
    let (world, _) = world();
    let path = "/v1/records/batch?wait=none";
    let framed = |records: &[&[u8]]| -> Vec<u8> {
        records
            .iter()
            .flat_map(|record| [&u32::try_from(record.len()).unwrap().to_le_bytes()[..], record].concat())
            .collect()
    };
    let many: Vec<&[u8]> = vec![b"x"; 4097];
    let large: Vec<&[u8]> = vec![&[7; 8192]; 513];
    refuses(
        &world,
        vec![
            (bytes(path, ""), 400, "bad_request", "records"),
            (bytes(path, [1, 0, 0]), 400, "bad_request", "records"),
            (bytes(path, [2, 0, 0, 0, 9]), 400, "bad_request", "records"),
            (bytes(path, [0xff; 64]), 413, "too_large", "records"),
            (bytes(path, framed(&[&[0; 8193]])), 413, "too_large", "records"),
            (bytes(path, framed(&many)), 413, "too_large", "records"),
            (bytes(path, framed(&large)), 413, "too_large", "records"),
            (bytes(path, vec![0; BATCH_BODY_BYTES_MAX + 1]), 413, "too_large", ""),
            (json_of(path, json!({})), 400, "bad_request", "records"),
            (json_of(path, json!({"records": []})), 400, "bad_request", "records"),
            (json_of(path, json!({"records": "AAAA"})), 400, "bad_request", "records"),
            (json_of(path, json!({"records": [1]})), 400, "bad_request", "records"),
            (json_of(path, json!({"records": ["AAAA", "!"]})), 400, "bad_request", "records"),
            (json_of(path, json!({"records": ["AAAA"], "record": "AAAA"})), 400, "bad_request", "record"),
            (json_of(path, json!({"records": vec!["AAAA"; 4097]})), 413, "too_large", "records"),
            (Sent { media: Some("text/csv"), ..bytes(path, "a,b") }, 400, "bad_request", "content-type"),
            (bytes("/v1/records/batch?wait=everywhere", "x"), 400, "unsupported", "wait"),
        ],
    )
    .await;
    // What is wrong with single records is told in their place.
    let reply = world.post_json(path, &json!({"records": ["AAAA", ""]})).await;
    assert_eq!(reply.status, 200);
    for result in reply.json()["results"].as_array().unwrap() {
        assert_eq!((result["status"].as_u64(), result["code"].as_str()), (Some(400), Some("bad_request")), "{result}");
    }
}

#[tokio::test]
async fn preparations() {
    let (world, id) = world();
    let path = "/v1/records/prepare";
    let with = |member: &str, value: Value| {
        let mut entry = json!({"sub": "alice", "obj": "file:acl/x"});
        entry[member] = value;
        json_of(path, json!({"authority": "org1", "entry": entry}))
    };
    let beside = |member: &str, value: Value| {
        let mut wish = json!({"authority": "org1", "entry": {"sub": "alice", "obj": "file:acl/x"}});
        wish[member] = value;
        json_of(path, wish)
    };
    let bad = |sent: Sent, field: &'static str| (sent, 400, "bad_request", field);
    let in_effect = world.grant("alice", "read", "file:acl/y");
    world.append(&[&in_effect]);
    let revocation = world.revoke(in_effect.id(), Effect::Grant);
    world.append(&[&revocation]);
    refuses(
        &world,
        vec![
            bad(json_of(path, json!({})), "authority"),
            bad(json_of(path, json!({"authority": "org1"})), "entry"),
            bad(json_of(path, json!({"authority": "a b", "revoke": id})), "authority"),
            bad(beside("revoke", json!(id)), "revoke"),
            bad(beside("entry", json!([])), "entry"),
            bad(beside("entry", json!({"obj": "x"})), "sub"),
            bad(beside("entry", json!({"sub": "x"})), "obj"),
            bad(beside("nonce", json!("00")), "nonce"),
            bad(beside("nonce", json!("AB".repeat(16))), "nonce"),
            bad(beside("nonce", json!(7)), "nonce"),
            bad(beside("submit_by", json!("tomorrow")), "submit_by"),
            bad(beside("sumbit_by", json!("2027-01-15T08:30:00Z")), "sumbit_by"),
            bad(with("sub", json!("a*b")), "sub"),
            bad(with("sub", json!(["alice"])), "sub"),
            bad(with("obj", json!("")), "obj"),
            bad(with("act", json!("re ad")), "act"),
            bad(with("act", json!("member")), "obj"),
            bad(with("access", json!("revoked")), "access"),
            bad(with("iss", json!("tomorrow")), "iss"),
            bad(with("exp", json!("2026-11-23")), "exp"),
            bad(with("exp", json!(1_800_000_000)), "exp"),
            bad(with("issuingAuth", json!("org2")), "issuingAuth"),
            bad(with("ref", json!("")), "ref"),
            bad(with("ref", json!("x".repeat(257))), "ref"),
            bad(with("id", json!(id)), "id"),
            (with("cond", json!("context.a +")), 400, "bad_condition", "cond"),
            bad(json_of(path, json!({"authority": "org1", "revoke": "x"})), "revoke"),
            (json_of(path, json!({"authority": "org1", "revoke": "ab".repeat(32)})), 404, "not_found", "revoke"),
            (json_of(path, json!({"authority": "org1", "revoke": revocation.id()})), 409, "conflict", "revoke"),
            (json_of(path, json!({"authority": "nobody", "revoke": id})), 400, "unknown_authority", "authority"),
            bad(
                json_of(path, json!({"authority": "org1", "revoke": id, "submit_by": "2027-01-15T08:30:00Z"})),
                "submit_by",
            ),
            (
                json_of(path, json!({"authority": "narrow", "entry": {"sub": "a", "obj": "file:b"}})),
                403,
                "out_of_scope",
                "obj",
            ),
            bad(beside("entry", json!("user:a")), "entry"),
            bad(json_of(path, json!({"authority": "org1", "set": [{"sub": "a", "obj": "b"}, 7]})), "set[1]"),
            bad(json_of(path, json!({"authority": "org1", "set": [[]]})), "set[0]"),
            bad(json_of(path, json!({"authority": "org1", "set": [null]})), "set[0]"),
            bad(json_of(path, json!({"authority": "org1", "set": [{"revoke": null}]})), "set[0].revoke"),
            bad(json_of(path, json!({"authority": "org1", "set": [{"set": []}]})), "set[0].sub"),
            bad(bytes(path, "x"), "content-type"),
            (json_text(path, vec![b' '; ONE_BYTES_MAX + 1]), 413, "too_large", ""),
        ],
    )
    .await;
    let both = json!({"authority": "org1", "entry": {"sub": "a", "obj": "b", "iss": "2026-11-24T00:00:00Z", "exp": "2026-11-23T00:00:00Z"}});
    refuses(&world, vec![bad(json_of(path, both), "exp")]).await;
}

/// A key of the test world again.
trait CloneForTest {
    fn clone_for_test(&self) -> Self;
}

impl CloneForTest for SecretKey {
    fn clone_for_test(&self) -> Self {
        Self::from_seed(&self.to_seed())
    }
}
