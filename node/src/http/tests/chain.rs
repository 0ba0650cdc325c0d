//! The chain as an auditor reads it over HTTP.

use axum::http::Method;
use serde_json::{Value, json};
use writ_proto::api::{HeadersPage, digest_from_base64, from_base64};
use writ_proto::block::Block;
use writ_proto::export::Frame;
use writ_proto::genesis::Genesis;
use writ_proto::merkle;

use super::super::chain::BLOCKS_BYTES_MAX;
use super::world::World;

async fn json_at(world: &World, path: &str) -> Value {
    let reply = world.get(path).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    reply.json()
}

#[tokio::test]
async fn genesis_gives_the_chain_id_of_status() {
    let world = World::new();
    let genesis: Genesis = serde_json::from_value(json_at(&world, "/v1/genesis").await).unwrap();
    let status = json_at(&world, "/v1/status").await;
    assert_eq!(json!(genesis.chain_id()), status["chain"]);
    assert_eq!(
        (&status["height"], &status["log_size"], &status["commit_leaf"]),
        (&json!(0), &json!(0), &status["chain"])
    );
    assert_eq!(digest_from_base64(status["log_root"].as_str().unwrap()), Some(merkle::EMPTY_ROOT));
    assert_eq!((&status["role"], &status["dev_authority"]), (&json!("validator"), &json!(false)));
}

#[tokio::test]
async fn an_empty_chain_answers_everywhere() {
    let world = World::new();
    assert_eq!(json_at(&world, "/v1/headers").await, json!({"headers": [], "next": null}));
    assert_eq!(json_at(&world, "/v1/entries?outcome=all").await, json!({"entries": [], "next": null}));
    assert_eq!(world.get("/v1/blocks").await.body, b"");
    assert_eq!(json_at(&world, "/v1/check?sub=a&obj=b").await["why"], "no_match");
    assert_eq!(
        world.get("/v1/proofs/consistency?from=1").await.problem(),
        (409, "not_yet".into(), Some("from".into()))
    );
    let named = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(named(&json_at(&world, "/v1/authorities").await["authorities"]), ["narrow", "org1", "org2", "pair"]);
    let validators = json_at(&world, "/v1/validators").await;
    assert_eq!((named(&validators["validators"]), &validators["height"]), (vec!["validator0".to_owned()], &json!(1)));
}

#[tokio::test]
async fn headers_blocks_and_frames_tell_one_chain() {
    let world = World::new();
    for n in 0..12 {
        let records: Vec<_> =
            (0..n % 4).map(|m| world.grant(&format!("user{m}"), "read", &format!("file:{n}"))).collect();
        world.append(&records.iter().collect::<Vec<_>>());
    }
    let mut from = Some(1);
    let mut headers = Vec::new();
    while let Some(next) = from {
        let page: HeadersPage =
            serde_json::from_value(json_at(&world, &format!("/v1/headers?from={next}&limit=5")).await).unwrap();
        headers.extend(page.headers);
        from = page.next;
    }
    assert_eq!(headers.len(), 12);
    assert_eq!(json_at(&world, "/v1/headers?from=13").await, json!({"headers": [], "next": null}));

    let mut frames = Frame::decode_all(&world.get("/v1/blocks?limit=7").await.body).unwrap();
    assert_eq!(frames.len(), 7);
    frames.extend(Frame::decode_all(&world.get("/v1/blocks?from=8").await.body).unwrap());
    assert_eq!(world.get("/v1/blocks?from=13").await.body, b"");

    let mut previous = world.chain;
    for (n, (header, frame)) in headers.iter().zip(&frames).enumerate() {
        let height = n as u64 + 1;
        let block = Block::decode(&frame.block.0).unwrap();
        assert_eq!(
            (&block.header, block.header.hash(), block.header.previous),
            (&header.header, header.hash, previous)
        );
        assert_eq!((header.header.height, header.records), (height, n % 4));
        assert_eq!(frame.certificate.block, header.hash);
        assert_eq!(header.executed.hash(), header.header.result);
        previous = header.commit_leaf;
        let whole = json_at(&world, &format!("/v1/blocks/{height}")).await;
        assert_eq!(from_base64(whole["block"].as_str().unwrap()).as_ref(), Some(&frame.block.0));
        assert_eq!(whole["hash"], json!(header.hash));
        assert_eq!(whole["outcomes"], json!(vec!["accepted"; n % 4]));
    }
    assert_eq!(json_at(&world, "/v1/status").await["commit_leaf"], json!(previous));
}

#[tokio::test]
async fn frames_end_at_their_bound_between_blocks() {
    let world = World::new();
    // Nine blocks of nearly a mebibyte each.
    for n in 0..9 {
        let records: Vec<_> = (0..1000)
            .map(|m| {
                let mut access = super::world::access(
                    writ_proto::record::Effect::Deny,
                    &format!("{}-{n}-{m}", "s".repeat(240)),
                    "read",
                    &"o".repeat(256),
                );
                access.reference = Some("r".repeat(256));
                world.sign("org1", writ_proto::record::Body::Access(access))
            })
            .collect();
        world.append(&records.iter().collect::<Vec<_>>());
    }
    let body = world.get("/v1/blocks").await.body;
    let frames = Frame::decode_all(&body).unwrap();
    assert!(body.len() <= BLOCKS_BYTES_MAX && frames.len() < 9, "{} bytes, {} frames", body.len(), frames.len());
    let rest = Frame::decode_all(&world.get(&format!("/v1/blocks?from={}", frames.len() + 1)).await.body).unwrap();
    assert_eq!(frames.len() + rest.len(), 9);
}

#[tokio::test]
async fn every_leaf_and_every_two_sizes_are_proved() {
    let world = World::new();
    let mut records = Vec::new();
    for n in 0..6 {
        let block: Vec<_> =
            (0..=n % 3).map(|m| world.grant(&format!("user{m}"), "read", &format!("file:{n}"))).collect();
        world.append(&block.iter().collect::<Vec<_>>());
        records.extend(block);
    }
    let size = world.mark().1;
    let digests = |value: &Value| -> Vec<_> {
        value.as_array().unwrap().iter().map(|hash| digest_from_base64(hash.as_str().unwrap()).unwrap()).collect()
    };
    let digest = |value: &Value| digest_from_base64(value.as_str().unwrap()).unwrap();
    let tip_root = world.ledger.read().log().root();
    for record in &records {
        for query in [String::new(), format!("&size={size}")] {
            let answer = json_at(&world, &format!("/v1/proofs/inclusion?id={}{query}", record.id())).await;
            let (index, leaf) = (answer["index"].as_u64().unwrap(), merkle::leaf_hash(record.bytes()));
            assert_eq!((digest(&answer["leaf_hash"]), digest(&answer["root"])), (leaf, tip_root));
            merkle::verify_inclusion(index, size, &leaf, &digests(&answer["proof"]), &tip_root).unwrap();
        }
    }
    let mut roots = Vec::new();
    for from in 1..=size {
        for to in from..=size {
            let answer = json_at(&world, &format!("/v1/proofs/consistency?from={from}&to={to}")).await;
            let (old, new) = (digest(&answer["from_root"]), digest(&answer["to_root"]));
            merkle::verify_consistency(from, to, &digests(&answer["proof"]), &old, &new).unwrap();
            roots.push((from, old));
            roots.push((to, new));
        }
    }
    roots.sort_by_key(|(size, _)| *size);
    roots.dedup();
    assert_eq!(roots.len() as u64, size, "one root for each size");
    assert_eq!(roots.last(), Some(&(size, tip_root)));
    let pending = world.grant("later", "read", "file:x");
    world.pool(&[&pending]);
    let reply = world.get(&format!("/v1/proofs/inclusion?id={}", pending.id())).await;
    assert_eq!(reply.problem(), (409, "not_yet".into(), Some("id".into())));
}

#[tokio::test]
async fn head_tells_what_get_would_without_the_body() {
    let world = World::new();
    let record = world.grant("alice", "read", "file:x");
    world.append(&[&record]);
    world.cosign();
    for endpoint in
        super::super::ENDPOINTS.iter().filter(|endpoint| endpoint.method == axum::routing::MethodFilter::GET)
    {
        let path = endpoint.path.replace("{id}", &record.id().to_string()).replace("{height}", "1");
        let path = match endpoint.path {
            "/v1/check" | "/v1/history" => format!("{path}?sub=alice&obj=file:x"),
            "/v1/diff" => "/v1/diff?from=0".to_owned(),
            "/v1/who-can" => "/v1/who-can?obj=file:x".to_owned(),
            "/v1/what-can" => "/v1/what-can?sub=alice".to_owned(),
            "/v1/expiring" => "/v1/expiring?within_ms=1000".to_owned(),
            "/v1/proofs/inclusion" => format!("/v1/proofs/inclusion?id={}", record.id()),
            "/v1/proofs/consistency" => "/v1/proofs/consistency?from=1".to_owned(),
            _ => path,
        };
        let host = [("host", "localhost:7001")];
        let get = world.call(Method::GET, &path, &host, Vec::new()).await;
        assert_eq!(get.status, 200, "{path}");
        let head = world.call(Method::HEAD, &path, &host, Vec::new()).await;
        assert_eq!((head.status, head.header("content-type")), (get.status, get.header("content-type")), "{path}");
        if let Some(length) = head.header("content-length")
            && path != "/metrics"
        {
            assert_eq!(length, get.body.len().to_string(), "{path}");
        }
        assert_eq!(get.header("x-content-type-options"), Some("nosniff"));
    }
}

#[tokio::test]
async fn metrics_tell_how_the_ledger_stands_and_what_was_asked() {
    let world = World::new();
    world.append(&[&world.grant("alice", "read", "file:x")]);
    world.get("/v1/check?sub=alice&act=read&obj=file:x").await;
    world.get("/v1/check?sub=alice&act=read&obj=file:y").await;
    world.get("/nowhere").await;
    world.submit("?wait=none", &world.grant("b", "read", "file:x")).await;
    world.post("/v1/records", "application/octet-stream", "x").await;
    let reply = world.get("/metrics").await;
    assert_eq!(reply.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    let text = reply.text();
    for line in [
        "writ_height 1",
        "writ_log_size 2",
        "writ_pooled_records 1",
        r#"writ_decisions_total{why="grant"} 1"#,
        r#"writ_decisions_total{why="no_match"} 1"#,
        r#"writ_admissions_total{outcome="new"} 1"#,
        r#"writ_admissions_total{outcome="bad_request"} 1"#,
        r#"writ_http_requests_total{method="GET",route="/v1/check",status="200"} 2"#,
        r#"writ_http_requests_total{method="GET",route="none",status="404"} 1"#,
    ] {
        assert!(text.lines().any(|own| own == line), "{line} is missing from\n{text}");
    }
    assert!(text.ends_with("# EOF\n") && text.matches("# EOF").count() == 1);
}
