//! Listings: every entry once, in order, whatever grows meanwhile.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};
use writ_proto::record::{Body as Says, Class, Effect, Revoke, Signed};

use super::world::{World, access};

/// Whether an entry fits a filter.
type Keep = Box<dyn Fn(&Value) -> bool>;

async fn page(world: &World, query: &str) -> (Vec<Value>, Option<String>) {
    let reply = world.get(&format!("/v1/entries?{query}")).await;
    assert_eq!(reply.status, 200, "{query}: {}", reply.text());
    let json = reply.json();
    (json["entries"].as_array().unwrap().clone(), json["next"].as_str().map(str::to_owned))
}

/// All pages of a listing, one after another; `between` happens between them.
async fn pages(world: &World, query: &str, mut between: impl FnMut()) -> Vec<Value> {
    let mut all = Vec::new();
    let mut next = String::new();
    for _ in 0..500 {
        let (entries, cursor) = page(world, &format!("{query}{next}")).await;
        all.extend(entries);
        let Some(cursor) = cursor else { return all };
        next = format!("&cursor={cursor}");
        between();
    }
    panic!("the listing `{query}` does not end");
}

fn ids(entries: &[Value]) -> Vec<String> {
    entries.iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect()
}

/// A world with some of everything, and its access entries in order.
pub(super) fn mixed() -> (World, Vec<Signed>, Vec<Signed>) {
    let world = World::new();
    let (mut accepted, mut rejected) = (Vec::new(), Vec::new());
    for n in 0..30 {
        let mut records = Vec::new();
        for m in 0..n % 5 {
            let (sub, obj) = (["alice", "bob", "user:*"][(n + m) % 3], ["file:x", "file:acl/*", "file:acl/x"][n % 3]);
            let by = ["org1", "org2"][m % 2];
            let effect = if (n + m) % 4 == 0 { Effect::Deny } else { Effect::Grant };
            records.push(world.entry(by, effect, sub, ["read", "*"][m % 2], obj));
        }
        world.append(&records.iter().collect::<Vec<_>>());
        // A block begins with what is restrictive.
        records.sort_by_key(|record| record.class() != Class::Restrictive);
        accepted.extend(records);
        if n % 7 == 3 {
            let target = &accepted[n % accepted.len()];
            let Says::Access(access) = target.body() else { unreachable!() };
            let revoke = Says::Revoke(Revoke { target: target.id(), effect: access.effect });
            world.append(&[&world.sign(target.statement().authority.as_str(), revoke)]);
        }
        if n % 6 == 5 {
            // Out of scope, but not by admission here: from the block of another proposer.
            let stray = world.entry("narrow", Effect::Deny, "alice", "read", "file:x");
            let verified = world.ledger.read().verify(stray.clone()).unwrap();
            world.ledger.pool().insert(verified, 0).unwrap();
            world.commit();
            rejected.push(stray);
        }
    }
    (world, accepted, rejected)
}

#[tokio::test]
async fn an_entry_reads_back_as_it_was_written() {
    let world = World::new();
    let mut tuple = access(Effect::Grant, "1234-org2", "*", "file.dat");
    tuple.exp = Some(super::world::time(90_000));
    tuple.reference = Some("ticket 7".into());
    let record = world.sign("org1", Says::Access(tuple));
    world.append(&[&world.deny("x", "read", "file:y")]);
    world.append(&[&record]);
    let revoke = world.revoke(record.id(), Effect::Grant);
    let (entries, next) = page(&world, "sub=1234-org2&limit=1").await;
    assert_eq!(next, None);
    let mut want = json!({"sub": "1234-org2", "obj": "file.dat", "act": "*", "access": "granted", "iss": null,
        "exp": super::world::time(90_000), "issuingAuth": "org1", "added": super::world::time(1_001), "ref": "ticket 7", "cond": null,
        "id": record.id(), "index": 2, "height": 2, "revoked": null});
    assert_eq!(entries, [want.clone()]);
    world.append(&[&revoke]);
    want["revoked"] = json!({"by": revoke.id(), "height": 3, "at": super::world::time(1_002)});
    assert_eq!(page(&world, "sub=user:1234-org2").await.0, [want]);
}

#[tokio::test]
async fn filters_compare_what_is_stored() {
    let (world, accepted, rejected) = mixed();
    let all = pages(&world, "limit=1000", || {}).await;
    assert_eq!(ids(&all), accepted.iter().map(|record| record.id().to_string()).collect::<Vec<_>>());
    assert!(all.iter().all(|entry| entry.get("outcome").is_none()));
    assert!(all.is_sorted_by_key(|entry| entry["index"].as_u64()));

    let is = |member: &'static str, value: &'static str| move |entry: &Value| entry[member] == value;
    let filters: [(&str, Keep); 13] = [
        ("sub=alice", Box::new(is("sub", "alice"))),
        ("sub=user:alice", Box::new(is("sub", "alice"))),
        ("sub=user:*", Box::new(is("sub", "user:*"))),
        ("sub=nobody", Box::new(|_| false)),
        ("obj=file:acl/*", Box::new(is("obj", "file:acl/*"))),
        ("obj=file:acl/x", Box::new(is("obj", "file:acl/x"))),
        ("act=*", Box::new(is("act", "*"))),
        ("access=denied", Box::new(is("access", "denied"))),
        ("authority=org2", Box::new(is("issuingAuth", "org2"))),
        ("authority=unheard-of", Box::new(|_| false)),
        ("height=9", Box::new(|entry| entry["height"] == 9)),
        ("height=9999", Box::new(|_| false)),
        ("from_index=17&to_index=42", Box::new(|entry| (17..=42).contains(&entry["index"].as_u64().unwrap()))),
    ];
    for (filter, keep) in &filters {
        let want: Vec<&Value> = all.iter().filter(|entry| keep(entry)).collect();
        for limit in [1, 3, 1000] {
            let found = pages(&world, &format!("{filter}&limit={limit}"), || {}).await;
            assert_eq!(found.iter().collect::<Vec<_>>(), want, "{filter} limit={limit}");
        }
    }

    let with_rejected = pages(&world, "outcome=all&limit=1000", || {}).await;
    let of = |outcome: &str| {
        let entries: Vec<Value> = with_rejected
            .iter()
            .filter(|entry| (entry["outcome"] == "accepted") == (outcome == "accepted"))
            .cloned()
            .collect();
        ids(&entries)
    };
    assert_eq!(of("accepted"), ids(&all));
    assert_eq!(of("rejected"), rejected.iter().map(|record| record.id().to_string()).collect::<Vec<_>>());
    assert!(with_rejected.is_sorted_by_key(|entry| entry["index"].as_u64()));
    for (filter, keep) in &filters {
        let want: Vec<&Value> = with_rejected.iter().filter(|entry| keep(entry)).collect();
        for limit in [1, 4, 1000] {
            let found = pages(&world, &format!("{filter}&outcome=all&limit={limit}"), || {}).await;
            assert_eq!(found.iter().collect::<Vec<_>>(), want, "{filter} outcome=all limit={limit}");
        }
    }
    // A rejected entry alone.
    let found = pages(&world, "authority=narrow&outcome=all", || {}).await;
    assert_eq!((found.len(), &found[0]["outcome"]), (rejected.len(), &json!("out_of_scope")));
    assert_eq!(pages(&world, "authority=narrow", || {}).await, Vec::<Value>::new());
}

#[tokio::test]
async fn pages_neither_skip_nor_repeat_while_the_log_grows() {
    for query in ["limit=3", "limit=2&sub=alice", "limit=1&outcome=all", "limit=7&access=granted&outcome=all"] {
        let (world, _, _) = mixed();
        let before = pages(&world, query, || {}).await;
        let mut grown = 0;
        let during = pages(&world, query, || {
            if grown < 20 {
                grown += 1;
                world.append(&[&world.grant("alice", "read", "file:x"), &world.deny("bob", "read", "file:z")]);
            }
        })
        .await;
        let after = pages(&world, query, || {}).await;
        assert_eq!(ids(&during), ids(&after), "{query}");
        assert_eq!(ids(&after)[..before.len()], ids(&before), "{query}");
        assert_eq!(ids(&after).iter().collect::<BTreeSet<_>>().len(), after.len());
    }
}

#[tokio::test]
async fn a_walk_is_bounded_and_says_where_to_go_on() {
    // In tests a walk looks at 50 entries, or 40 places between them.
    let world = World::new();
    let mut last = None;
    for n in 0..130 {
        let record = world.grant(&format!("user{}", n / 100), "read", &format!("file:{n}"));
        world.append(&[&record]);
        last = Some(record);
    }
    let wanted = ids(&[json!({"id": last.unwrap().id()})]);
    let mut pages_seen = 0;
    let (mut next, mut found) = (String::new(), Vec::new());
    loop {
        let (entries, cursor) = page(&world, &format!("obj=file:129{next}")).await;
        pages_seen += 1;
        found.extend(ids(&entries));
        let Some(cursor) = cursor else { break };
        next = format!("&cursor={cursor}");
    }
    assert_eq!((pages_seen, found), (3, wanted));
    let all = pages(&world, "outcome=all&limit=1000", || {}).await;
    assert_eq!(all.len(), 130);
}

#[tokio::test]
async fn a_cursor_belongs_to_its_filters() {
    let (world, _, _) = mixed();
    let (_, next) = page(&world, "sub=alice&limit=1").await;
    let next = next.unwrap();
    assert_eq!(
        page(&world, &format!("sub=user:alice&limit=5&cursor={next}")).await.0.len(),
        5,
        "the same filter in other words"
    );
    for other in ["", "sub=bob&", "sub=alice&access=granted&", "sub=alice&outcome=all&", "obj=alice&"] {
        let reply = world.get(&format!("/v1/entries?{other}cursor={next}")).await;
        assert_eq!(reply.problem(), (400, "bad_request".into(), Some("cursor".into())), "{other}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever the filter and the size of pages, the pages hold what one look at the whole log would.
    #[test]
    fn pages_are_a_filter_of_the_log(
        from in 0..90_u64, to in 0..120_u64, limit in 1..12_u64, sub in 0..4_usize, rejected in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (world, _, _) = mixed();
            let outcome = if rejected { "&outcome=all" } else { "" };
            let all = pages(&world, &format!("limit=1000{outcome}"), || {}).await;
            let sub = ["", "alice", "bob", "user:*"][sub];
            let filter = if sub.is_empty() { String::new() } else { format!("&sub={sub}") };
            if from > to { return; }
            let found = pages(&world, &format!("limit={limit}&from_index={from}&to_index={to}{filter}{outcome}"), || {}).await;
            let keep = |entry: &&Value| (from..=to).contains(&entry["index"].as_u64().unwrap()) && (sub.is_empty() || entry["sub"] == sub);
            assert_eq!(found.iter().collect::<Vec<_>>(), all.iter().filter(keep).collect::<Vec<_>>());
        });
    }
}
