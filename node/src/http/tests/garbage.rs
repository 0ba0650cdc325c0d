//! Whatever is sent: never a failure of ours, never a panic, never a change.

use axum::http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};
use writ_proto::api::to_base64;

use super::super::ENDPOINTS;
use super::world::World;

/// JSON of any shape, in which the members that paths know are likely.
fn any_json() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        prop::sample::select(vec![
            "record",
            "records",
            "authority",
            "entry",
            "revoke",
            "nonce",
            "submit_by",
            "sub",
            "obj",
            "act",
            "access",
            "iss",
            "exp",
            "cond",
            "ref",
            "issuingAuth",
            "added",
        ])
        .prop_map(str::to_owned),
        ".*",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
        prop::sample::select(vec!["org1", "granted", "denied", "user:*", "file:acl/x", "2027-01-15T08:00:00Z"])
            .prop_map(Value::from),
        prop::collection::vec(any::<u8>(), 0..80).prop_map(|bytes| to_base64(&bytes).into()),
    ];
    leaf.prop_recursive(4, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..6)
                .prop_map(|members| json!(members.into_iter().collect::<serde_json::Map<_, _>>())),
        ]
    })
}

/// Bytes of any kind, records that were bent among them.
fn any_body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..600),
        any_json().prop_map(|value| value.to_string().into_bytes()),
        (any::<prop::sample::Index>(), any::<u8>(), 0..3_u8).prop_map(|(at, byte, how)| {
            let mut bytes = World::new().grant("alice", "read", "file:x").bytes().to_vec();
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] ^= byte.max(1),
                1 => bytes.truncate(at),
                _ => bytes.insert(at, byte),
            }
            bytes
        }),
    ]
}

/// What may stand in a request's target, escapes and all.
fn any_target() -> impl Strategy<Value = String> {
    let known = ENDPOINTS.iter().flat_map(|endpoint| endpoint.parameters).copied().collect::<Vec<_>>();
    let name = prop_oneof![prop::sample::select(known).prop_map(str::to_owned), "[a-z_%]{0,8}"];
    let value = prop_oneof![
        "[!-~&&[^#&]]{0,30}",
        prop::sample::select(vec![
            "alice",
            "file:x",
            "*",
            "1",
            "0",
            "18446744073709551615",
            "2027-01-15T08:00:00Z",
            "true",
            "all",
            "1.0000000000000000",
            "%ff",
            "%00",
            "user:%2A",
            "5-000000000000",
            "18446744073709551615-000000000000",
        ])
        .prop_map(str::to_owned),
    ];
    let pairs = prop::collection::vec((name, value), 0..5);
    let paths =
        ENDPOINTS.iter().map(|endpoint| endpoint.path).chain(["/", "/v1/records/%", "/v1//check", "/v1/blocks/1"]);
    (prop::sample::select(paths.collect::<Vec<_>>()), "[0-9a-f]{0,66}", pairs).prop_map(|(path, segment, pairs)| {
        let path = path.replace("{id}", &segment).replace("{height}", &segment);
        let query: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn garbage_is_never_our_fault_and_changes_nothing(
        target in any_target(),
        body in any_body(),
        method in prop::sample::select(vec!["GET", "HEAD", "POST", "POST", "POST", "PUT", "DELETE"]),
        media in prop::sample::select(vec!["application/json", "application/octet-stream", "text/plain", ""]),
    ) {
        thread_local! {
            static WORLD: World = {
                let world = World::new();
                world.append(&[&world.grant("alice", "read", "file:x"), &world.deny("bob", "*", "file:*")]);
                world
            };
        }
        // A wait would only make the test slow; nothing gets that far.
        let target = target.replace("wait_ms=", "limit=");
        let Ok(uri) = target.parse::<axum::http::Uri>() else { return Ok(()) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        WORLD.with(|world| {
            let before = world.mark();
            let headers = if media.is_empty() { vec![] } else { vec![("content-type", media)] };
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let slow = uri.query().is_some_and(|query| query.contains("at_least="));
            if slow { return; }
            let reply = runtime.block_on(world.call(method, &uri.to_string(), &headers, body));
            assert!(!reply.status.is_server_error(), "{target}: {}", reply.text());
            assert_eq!(world.mark(), before, "{target}");
        });
    }

    #[test]
    fn a_position_token_is_judged_whatever_it_is(token in "[0-9]{0,3}\\.?[0-9a-g]{0,17}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new();
            world.append(&[&world.grant("alice", "read", "file:x")]);
            let reply = world.get(&format!("/v1/check?sub=a&obj=b&wait_ms=0&at_least={token}")).await;
            assert!(matches!(reply.status.as_u16(), 400 | 409), "{token}: {}", reply.text());
        });
    }
}
