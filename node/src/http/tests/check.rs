//! Questions and answers.

use serde_json::{Value, json};
use writ_proto::record::{Body as Says, Effect};

use super::world::{World, access, time};
use crate::mempool::PoolLimits;

async fn ask(world: &World, query: &str) -> Value {
    let reply = world.get(&format!("/v1/check?{query}")).await;
    assert_eq!(reply.status, 200, "{query}: {}", reply.text());
    reply.json()
}

/// Decision, why, and which of `entries` are named.
async fn says(world: &World, query: &str) -> (String, String, Vec<String>) {
    let answer = ask(world, query).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&answer["decision"]), text(&answer["why"]), answer["entries"].as_array().unwrap().iter().map(text).collect())
}

fn granted(ids: &[String]) -> (String, String, Vec<String>) {
    ("granted".into(), "grant".into(), ids.to_vec())
}

fn denied(why: &str, ids: &[String]) -> (String, String, Vec<String>) {
    ("denied".into(), why.into(), ids.to_vec())
}

#[tokio::test]
async fn the_answer_names_what_decided() {
    let world = World::new();
    let grants = [world.grant("alice", "read", "file:acl/*"), world.grant("user:*", "read", "file:acl/x")];
    world.append(&[&grants[0], &grants[1]]);
    let member = world.grant("bob", "member", "role:staff");
    let role = world.grant("role:staff", "*", "file:b");
    world.append(&[&role, &member]);
    let deny = world.deny("alice", "*", "file:acl/secret");
    world.append(&[&deny]);
    let id = |signed: &writ_proto::record::Signed| signed.id().to_string();

    assert_eq!(says(&world, "sub=alice&act=read&obj=file:acl/x").await, granted(&[id(&grants[0]), id(&grants[1])]));
    assert_eq!(says(&world, "sub=user:alice&act=write&obj=file:acl/x").await, denied("no_match", &[]));
    assert_eq!(says(&world, "sub=alice&act=read&obj=file:acl/secret").await, denied("deny", &[id(&deny)]));
    assert_eq!(says(&world, "sub=bob&obj=file:b").await, granted(&[id(&role), id(&member)]));
    assert_eq!(says(&world, "sub=alice&obj=file:acl/x").await, denied("no_match", &[]), "`read` is not every action");
    let answer = ask(&world, "sub=bob&obj=file:b").await;
    let status = world.get("/v1/status").await.json();
    assert_eq!((&answer["height"], &answer["position"]), (&json!(3), &status["position"]));
    assert_eq!((&answer["pending"], &answer["fresh_until"]), (&json!(false), &Value::Null));
    assert_eq!(answer["at"], json!(time(1002)), "the last block's time is later than the clock");
    assert_eq!(answer.get("explain"), None);

    let explained = ask(&world, "sub=bob&obj=file:b&explain=true").await;
    assert_eq!(explained["entries"], answer["entries"]);
    assert_eq!(explained["explain"]["entries"][1]["obj"], "role:staff");
    let staff = json!({"role": "role:staff", "over": id(&member), "denied": false, "entered": true});
    assert_eq!(explained["explain"]["roles"], json!([staff]));
    assert_eq!(explained["explain"]["interval"], json!([time(1002), time(1002)]));
}

#[tokio::test]
async fn at_moves_the_instant_height_the_knowledge_and_as_of_both() {
    let world = World::new();
    let mut tomorrow = access(Effect::Grant, "alice", "read", "file:x");
    (tomorrow.iss, tomorrow.exp) = (Some(time(100_000)), Some(time(200_000)));
    world.append(&[&world.sign("org1", Says::Access(tomorrow))]);
    world.pass(10_000);
    let deny = world.deny("alice", "read", "file:x");
    world.append(&[&deny]);
    world.pass(10_000);
    let lift = world.revoke(deny.id(), Effect::Deny);
    world.append(&[&lift]);
    world.pass(1_000);

    let why = async |query: String| ask(&world, &format!("sub=alice&act=read&obj=file:x{query}")).await["why"].clone();
    assert_eq!(why(String::new()).await, "no_match");
    for (at, want) in [(99_999, "no_match"), (100_000, "grant"), (199_999, "grant"), (200_000, "no_match")] {
        assert_eq!(why(format!("&at={}", time(at))).await, want, "at {at}");
    }
    // At height 2 the denial was there and not lifted yet.
    for (height, at, want) in
        [(1, 150_000, "grant"), (2, 150_000, "deny"), (3, 150_000, "grant"), (0, 150_000, "no_match")]
    {
        assert_eq!(why(format!("&height={height}&at={}", time(at))).await, want, "height {height} at {at}");
    }
    assert_eq!(why("&height=2".into()).await, "deny");
    for (as_of, want, height) in [
        (0, "no_match", 0),
        (1_000, "no_match", 1),
        (10_999, "no_match", 1),
        (11_000, "deny", 2),
        (21_000, "no_match", 3),
    ] {
        let answer = ask(&world, &format!("sub=alice&act=read&obj=file:x&as_of={}", time(as_of))).await;
        assert_eq!((&answer["why"], &answer["height"]), (&json!(want), &json!(height)), "as of {as_of}");
        assert_eq!(answer["at"], json!(time(as_of)));
        let height = answer["height"].as_u64().unwrap();
        assert!(answer["position"].as_str().unwrap().starts_with(&format!("{height}.")));
    }
    let valid_until = ask(&world, "sub=alice&act=read&obj=file:x").await["valid_until"].clone();
    assert_eq!(valid_until, json!(time(100_000)));
}

#[tokio::test]
async fn a_question_waits_for_its_position_within_bounds() {
    let world = World::new();
    let world = &world;
    world.append(&[&world.grant("alice", "read", "file:x")]);
    let query = |token: &str, ms: u64| format!("/v1/check?sub=bob&act=read&obj=file:x&at_least={token}&wait_ms={ms}");
    let started = std::time::Instant::now();
    let reply = world.get(&query("2.0000000000000000", 50)).await;
    assert_eq!(reply.problem(), (409, "not_yet".into(), Some("at_least".into())));
    assert!((50..5_000).contains(&started.elapsed().as_millis()));

    // A token is only known once its block is there, so learn it from a ledger that goes the same way.
    let twin = World::new();
    twin.append(&[&twin.grant("alice", "read", "file:x")]);
    let grants = [world.grant("bob", "read", "file:x"), twin.grant("bob", "read", "file:x")];
    assert_eq!(grants[0].bytes(), grants[1].bytes());
    twin.append(&[&grants[1]]);
    let token = twin.get("/v1/status").await.json()["position"].as_str().unwrap().to_owned();
    let path = query(&token, 10_000);
    let mut waiting = Box::pin(world.get(&path));
    tokio::select! {
        biased;
        reply = &mut waiting => panic!("{}", reply.text()),
        () = tokio::time::sleep(std::time::Duration::from_millis(30)) => {}
    }
    world.append(&[&grants[0]]);
    let reply = waiting.await;
    assert_eq!((reply.json()["why"].clone(), reply.json()["position"].clone()), (json!("grant"), json!(token)));

    // Later on it holds at once, but not for knowledge from before it.
    world.append(&[&world.grant("carol", "read", "file:x")]);
    assert_eq!(world.get(&query(&token, 0)).await.json()["height"], 3);
    let reply = world.get(&format!("{}&height=1", query(&token, 0))).await;
    assert_eq!(reply.problem(), (400, "bad_request".into(), Some("at_least".into())));
    let zero = format!("0.{}", &world.chain.to_string()[..16]);
    assert_eq!(world.get(&query(&zero, 0)).await.status, 200);
}

#[tokio::test]
async fn a_token_of_another_chain_is_refused() {
    let (world, other) = (World::new(), World::of("ledger.example/other", PoolLimits::default()));
    for world in [&world, &other] {
        world.append(&[&world.grant("alice", "read", "file:x")]);
        world.append(&[&world.grant("bob", "read", "file:x")]);
    }
    let token = other.get("/v1/status").await.json()["position"].as_str().unwrap().to_owned();
    for token in [token.clone(), token.replacen('2', "1", 1), format!("0.{}", &other.chain.to_string()[..16])] {
        let reply = world.get(&format!("/v1/check?sub=alice&obj=file:x&at_least={token}")).await;
        assert_eq!(reply.problem(), (400, "wrong_chain".into(), Some("at_least".into())), "{token}");
    }
}

#[tokio::test]
async fn without_a_clock_there_is_no_now() {
    let world = World::new();
    world.append(&[&world.grant("alice", "read", "file:x")]);
    let question = "sub=alice&act=read&obj=file:x";
    assert_eq!(ask(&world, question).await["why"], "grant");
    for wall in [100_000, 0] {
        world.set_wall(wall);
        for query in ["", "&height=1", "&explain=true"] {
            let reply = world.get(&format!("/v1/check?{question}{query}")).await;
            assert_eq!(reply.problem(), (503, "clock".into(), None), "{query}");
            assert!(!reply.text().contains("granted"));
        }
        let at = time(2_000);
        for query in [format!("&at={at}"), format!("&as_of={at}"), format!("&at={at}&height=1")] {
            assert_eq!(ask(&world, &format!("{question}{query}")).await["why"], "grant", "{query}");
        }
        assert_eq!(world.get("/readyz").await.problem(), (503, "not_ready".into(), Some("clock".into())));
    }
    world.set_wall(1_000);
    assert_eq!(ask(&world, question).await["why"], "grant");
    assert_eq!(world.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn names_are_read_as_people_write_them() {
    let world = World::new();
    world.append(&[&world.grant("Zoë", "read", "file:menu/café 1%")]);
    for query in [
        "sub=Zo%C3%AB&act=read&obj=file:menu/caf%C3%A9%201%25",
        // Decomposed, and with a plus for the space.
        "sub=Zoe%CC%88&act=read&obj=file:menu/cafe%CC%81+1%25",
        "sub=user:Zo%C3%AB&act=read&obj=file%3Amenu%2Fcaf%C3%A9%201%25",
        // Ledger form, marked.
        "sub=%25user:Zo%25C3%25AB&act=read&obj=file:menu/caf%C3%A9%201%25",
    ] {
        assert_eq!(ask(&world, query).await["why"], "grant", "{query}");
    }
    assert_eq!(ask(&world, "sub=Zo%C3%AB&act=read&obj=file:menu/caf%C3%A9%2B1%25").await["why"], "no_match");
}

#[tokio::test]
async fn what_the_disk_lost_is_our_fault_and_never_granted() {
    let world = World::new();
    world.append(&[&world.grant("alice", "read", "file:x")]);
    world.disk.change(|tables| tables.retain(|(table, _), _| format!("{table:?}") != "Leaves"));
    let reply = world.get("/v1/check?sub=alice&act=read&obj=file:x&explain=true").await;
    assert_eq!(reply.problem(), (500, "internal".into(), None));
    assert!(!reply.text().contains("granted") && !reply.text().contains("leaf"), "{}", reply.text());
}

#[tokio::test]
async fn a_condition_counts_in_the_circumstances_that_it_asks_for() {
    let world = World::new();
    let with = |effect, sub: &str, cond: &str| {
        let mut entry = access(effect, sub, "read", "file:x");
        entry.cond = Some(cond.into());
        world.sign("org1", Says::Access(entry))
    };
    let grant = with(Effect::Grant, "alice", "context.mfa == true");
    let deny = with(Effect::Deny, "user:*", "context.zone == 'abroad'");
    world.append(&[&grant, &deny]);
    for (context, decision, why, missing) in [
        ("", "denied", "indeterminate", json!(["context.zone"])),
        (r#"{"mfa":true}"#, "denied", "indeterminate", json!(["context.zone"])),
        (r#"{"zone":"home"}"#, "denied", "indeterminate", json!(["context.mfa"])),
        (r#"{"mfa":true,"zone":"home"}"#, "granted", "grant", Value::Null),
        (r#"{"mfa":false,"zone":"home"}"#, "denied", "no_match", Value::Null),
        (r#"{"mfa":true,"zone":"abroad"}"#, "denied", "deny", Value::Null),
        (r#"{"mfa":"yes","zone":"home"}"#, "denied", "no_match", Value::Null),
    ] {
        let parameter = if context.is_empty() { String::new() } else { format!("&context={}", escaped(context)) };
        let answer = ask(&world, &format!("sub=alice&act=read&obj=file:x{parameter}")).await;
        assert_eq!((&answer["decision"], &answer["why"]), (&json!(decision), &json!(why)), "{context}");
        assert_eq!(answer.get("missing").unwrap_or(&Value::Null), &missing, "{context}");
    }
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
