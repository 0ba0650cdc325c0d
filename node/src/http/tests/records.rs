//! Records in, and what became of them.

use std::collections::BTreeMap;

use axum::http::Method;
use serde_json::{Value, json};
use writ_proto::api::{
    BatchAnswer, BatchResult, BriefAnswer, Receipt, RecordStatus, digest_from_base64, from_base64, to_base64,
};
use writ_proto::key::Signature;
use writ_proto::merkle;
use writ_proto::record::{Body as Says, Effect, Revoke, Signed};

use super::world::{World, access, batch};
use crate::mempool::PoolLimits;

/// Checks a receipt's proof as an outsider would.
fn proves(receipt: &Receipt, record: &Signed) {
    let place = receipt.place.as_ref().expect("a place");
    let proof: Vec<_> = place.inclusion.iter().map(|hash| digest_from_base64(hash).unwrap()).collect();
    let root = digest_from_base64(&place.log_root).unwrap();
    merkle::verify_inclusion(place.index, place.log_size, &merkle::leaf_hash(record.bytes()), &proof, &root).unwrap();
}

fn receipt(json: &Value) -> Receipt {
    serde_json::from_value(json.clone()).unwrap()
}

#[tokio::test]
async fn a_committed_record_gets_a_receipt_that_proves_its_place() {
    let world = World::new();
    world.run();
    for n in 0..5 {
        let record = world.grant(&format!("user{n}"), "read", "file:x");
        let reply = if n % 2 == 0 {
            world.submit("", &record).await
        } else {
            world.post_json("/v1/records?wait=committed", &json!({"record": to_base64(record.bytes())})).await
        };
        assert_eq!(reply.status, 200);
        let first = receipt(&reply.json());
        assert_eq!((first.id, first.status, first.duplicate), (record.id(), RecordStatus::Committed, false));
        proves(&first, &record);
        let status = world.get("/v1/status").await.json();
        assert_eq!(status["position"], first.place.as_ref().unwrap().position);
        assert_eq!(status["log_root"], first.place.as_ref().unwrap().log_root);

        // The same again: the place that it has, and nothing new.
        let mark = world.mark();
        for query in ["", "?wait=none", "?wait=seen", "?wait_ms=0"] {
            let again = world.submit(query, &record).await;
            assert_eq!(again.status, 200);
            let again = receipt(&again.json());
            assert_eq!(again, Receipt { duplicate: true, ..first.clone() });
        }
        assert_eq!(world.mark(), mark);
    }
}

#[tokio::test]
async fn a_record_has_one_receipt_whenever_it_is_asked_for() {
    let world = World::new();
    let record = world.grant("alice", "read", "file:x");
    world.append(&[&record, &world.grant("b", "read", "file:x"), &world.grant("c", "read", "file:x")]);
    let path = format!("/v1/records/{}", record.id());
    let early = receipt(&world.get(&path).await.json());
    for n in 0..9 {
        world.append(&[&world.grant(&format!("d{n}"), "read", "file:x")]);
    }
    let late = receipt(&world.get(&path).await.json());
    assert_eq!(early.place, late.place);
    proves(&late, &record);
    assert_eq!(late.record.as_deref().and_then(from_base64).as_deref(), Some(record.bytes()));
    assert_eq!(late.entry.as_ref().unwrap().id, record.id());
}

#[tokio::test]
async fn a_statement_signed_anew_is_the_same_record_and_its_receipt_carries_what_is_proved() {
    let world = World::new();
    let first = world.grant("alice", "read", "file:x");
    world.append(&[&first]);
    let keys = world.keys_of("org1");
    let mut statement = first.statement().clone();
    statement.submit_by = Some(super::world::time(3_000_000));
    let anew = statement.sign(&[&keys[0]]).unwrap();
    assert_eq!((anew.id(), anew.bytes() == first.bytes()), (first.id(), false));
    let reply = world.submit("", &anew).await;
    assert_eq!(reply.status, 200);
    let receipt = receipt(&reply.json());
    assert!(receipt.duplicate);
    assert_eq!(receipt.record.as_deref().and_then(from_base64).as_deref(), Some(first.bytes()));
    proves(&receipt, &first);
}

#[tokio::test]
async fn what_is_not_waited_for_is_pending_and_durable() {
    let world = World::new();
    let (a, b) = (world.grant("alice", "read", "file:x"), world.deny("bob", "read", "file:x"));
    for (query, record) in [("?wait=none", &a), ("?wait=seen", &b)] {
        let reply = world.submit(query, record).await;
        assert_eq!(reply.status, 202);
        let pending = receipt(&reply.json());
        assert_eq!((pending.id, pending.status, pending.duplicate), (record.id(), RecordStatus::Pending, false));
        assert_eq!(pending.place, None);
        // Known, though not in the log: a duplicate all the same.
        let again = world.submit(query, record).await;
        assert_eq!((again.status.as_u16(), again.json()["duplicate"].clone()), (200, json!(true)));
        // Waited for in vain.
        let again = world.submit("?wait_ms=20", record).await;
        assert_eq!((again.status.as_u16(), again.json()["duplicate"].clone()), (202, json!(true)));
        let shown = world.get(&format!("/v1/records/{}", record.id())).await;
        assert_eq!((shown.status.as_u16(), shown.json()["status"].clone()), (200, json!("pending")));
        assert_eq!(shown.json()["record"], to_base64(record.bytes()));
    }
    let kept: Vec<_> = world.ledger.store().pooled().unwrap().into_iter().map(|(id, _)| id).collect();
    assert!(kept.contains(&a.id()) && kept.contains(&b.id()), "{kept:?}");
    assert_eq!(world.mark().1, 0);
    assert_eq!(world.get("/v1/status").await.json()["pending"], 2);

    world.commit();
    for record in [&a, &b] {
        let reply = world.submit("?wait_ms=0", record).await;
        assert_eq!((reply.status.as_u16(), reply.json()["status"].clone()), (200, json!("committed")));
    }
}

#[tokio::test]
async fn a_wait_that_runs_out_loses_nothing() {
    let world = World::new();
    let record = world.grant("alice", "read", "file:x");
    let reply = world.submit("?wait_ms=30", &record).await;
    assert_eq!((reply.status.as_u16(), reply.json()["id"].clone()), (202, json!(record.id().to_string())));
    let mut waiting = Box::pin(world.submit("?wait_ms=5000", &record));
    tokio::select! {
        biased;
        reply = &mut waiting => panic!("{}", reply.text()),
        () = tokio::time::sleep(std::time::Duration::from_millis(50)) => {}
    }
    world.commit();
    let reply = waiting.await;
    assert_eq!((reply.status.as_u16(), reply.json()["status"].clone()), (200, json!("committed")));
}

#[tokio::test]
async fn a_record_that_the_chain_rejects_is_never_a_success() {
    let world = World::new();
    let grant = world.grant("alice", "read", "file:x");
    world.append(&[&grant]);
    // Both revoke a stranger's entry, which fails only by state; admission would stop them, so they come
    // with the block of another proposer.
    let stranger = world.sign("org2", Says::Revoke(Revoke { target: grant.id(), effect: Effect::Grant }));
    let refused = world.submit("", &stranger).await;
    assert_eq!(refused.problem(), (403, "forbidden".into(), Some("target".into())));
    {
        let state = world.ledger.read();
        let verified = state.verify(stranger.clone()).unwrap();
        world.ledger.pool().insert(verified, 0).unwrap();
    }
    world.commit();

    let reply = world.submit("", &stranger).await;
    assert_eq!(reply.problem(), (403, "forbidden".into(), None));
    assert_eq!(reply.json()["id"], stranger.id().to_string());
    let shown = world.get(&format!("/v1/records/{}", stranger.id())).await.json();
    assert_eq!((shown["status"].clone(), shown["code"].clone()), (json!("rejected"), json!("forbidden")));
    proves(&receipt(&shown), &stranger);
    let results = world.post_json("/v1/records/batch", &batch(&[&stranger, &grant])).await.json();
    assert_eq!(results["results"][0]["code"], "forbidden");
    assert_eq!(results["results"][1]["status"], "committed");
}

#[tokio::test]
async fn a_record_that_can_no_longer_be_included_says_so() {
    let world = World::new();
    let says = Says::Access(access(Effect::Grant, "alice", "read", "file:x"));
    let keys = world.keys_of("org1");
    let record = world.sign_as("org1", &[&keys[0]], says, super::world::time(5_000));
    assert_eq!(world.submit("?wait=none", &record).await.status, 202);
    world.pass(10_000);
    let shown = world.get(&format!("/v1/records/{}", record.id())).await.json();
    assert_eq!((shown["status"].clone(), shown["code"].clone()), (json!("pending"), json!("expired_submission")));
    world.ledger.pool().refuse_expired(super::world::time(11_000));
    let shown = world.get(&format!("/v1/records/{}", record.id())).await.json();
    assert_eq!((shown["status"].clone(), shown["code"].clone()), (json!("refused"), json!("expired_submission")));
    assert_eq!(world.submit("", &record).await.problem(), (400, "expired_submission".into(), Some("submit_by".into())));
}

#[tokio::test]
async fn a_full_pool_says_when_to_come_back_and_drops_nothing() {
    let world = World::with_pool(PoolLimits { records_max: 2, ..PoolLimits::default() });
    let records: Vec<Signed> = (0..4).map(|n| world.grant(&format!("user{n}"), "read", "file:x")).collect();
    let some: Vec<&Signed> = records.iter().take(3).collect();
    let reply = world.post_json("/v1/records/batch?wait=none", &batch(&some)).await;
    assert_eq!(reply.status, 202);
    let results = reply.json()["results"].clone();
    assert_eq!((results[0]["status"].clone(), results[1]["status"].clone()), (json!("pending"), json!("pending")));
    assert_eq!(results[2]["code"], "overloaded");

    let reply = world.submit("?wait=none", &records[3]).await;
    assert_eq!(reply.problem(), (429, "overloaded".into(), None));
    assert_eq!(reply.header("retry-after"), Some("1"));
    let reply = world.post_json("/v1/records/batch", &batch(&[&records[2], &records[3]])).await;
    assert_eq!((reply.problem(), reply.header("retry-after")), ((429, "overloaded".into(), None), Some("1")));
    // What was taken is still known.
    assert_eq!(world.submit("?wait=none", &records[0]).await.json()["duplicate"], true);
    world.commit();
    assert_eq!(world.mark().1, 3);
    assert_eq!(world.submit("?wait=none", &records[3]).await.status, 202);
}

#[tokio::test]
async fn a_node_whose_disk_is_nearly_full_takes_nothing_and_goes_on_answering() {
    let world = World::new();
    let old = world.grant("alice", "read", "file:x");
    world.append(&[&old]);
    world.ledger.set_writable(false);
    let reply = world.submit("", &world.grant("bob", "read", "file:x")).await;
    assert_eq!(reply.problem(), (503, "read_only".into(), None));
    assert_eq!(world.submit("", &old).await.json()["duplicate"], true);
    assert_eq!(world.get("/v1/check?sub=alice&act=read&obj=file:x").await.json()["decision"], "granted");
    assert_eq!(world.get("/readyz").await.problem(), (503, "not_ready".into(), Some("writable".into())));
    assert_eq!(world.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_batch_answers_for_each_record_in_order() {
    let world = World::new();
    world.run();
    let good: Vec<Signed> = (0..40).map(|n| world.grant(&format!("user{n}"), "read", "file:x")).collect();
    let known = world.grant("known", "read", "file:x");
    assert_eq!(world.submit("", &known).await.status, 200);
    let outside = world.entry("narrow", Effect::Grant, "carol", "read", "file:y");
    let mut records: Vec<&Signed> = good.iter().collect();
    records.insert(3, &outside);
    records.insert(7, &known);
    records.push(&good[0]);

    let as_bytes: Vec<u8> = records
        .iter()
        .flat_map(|record| [&u32::try_from(record.bytes().len()).unwrap().to_le_bytes()[..], record.bytes()].concat())
        .collect();
    for (round, reply) in [
        (0, world.post_json("/v1/records/batch", &batch(&records)).await),
        (1, world.post("/v1/records/batch", "application/octet-stream", as_bytes).await),
    ] {
        assert_eq!(reply.status, 200);
        let BatchAnswer { results } = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(results.len(), records.len());
        for (at, (record, result)) in records.iter().zip(results).enumerate() {
            match result {
                BatchResult::Receipt(receipt) => {
                    assert_eq!((receipt.id, receipt.status), (record.id(), RecordStatus::Committed));
                    let again = round == 1 || record.id() == known.id() || at + 1 == records.len();
                    assert_eq!(receipt.duplicate, again, "{at}");
                    proves(&receipt, record);
                }
                BatchResult::Problem(problem) => {
                    assert_eq!((at, problem.code.as_str(), problem.field.as_deref()), (3, "out_of_scope", Some("obj")));
                }
            }
        }
    }
}

#[tokio::test]
async fn a_brief_answer_proves_all_records_of_a_block_at_once() {
    let world = World::new();
    world.run();
    let known = world.grant("known", "read", "file:x");
    assert_eq!(world.submit("", &known).await.status, 200);
    // More than are verified in one piece.
    let good: Vec<Signed> = (0..600).map(|n| world.grant(&format!("user{n}"), "read", "file:x")).collect();
    let outside = world.entry("narrow", Effect::Grant, "carol", "read", "file:y");
    let mut records: Vec<&Signed> = good.iter().collect();
    records.insert(3, &outside);
    records.insert(7, &known);
    records.push(&good[0]);
    for round in 0..2 {
        let reply = world.post_json("/v1/records/batch?receipts=brief", &batch(&records)).await;
        assert_eq!(reply.status, 200);
        let BriefAnswer { results, blocks } = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(results.len(), records.len());
        let mut placed: BTreeMap<u64, Vec<_>> = BTreeMap::new();
        let mut last = 0;
        for (at, (record, result)) in records.iter().zip(results).enumerate() {
            if let Some(problem) = result.problem {
                assert_eq!((at, result.status, problem.code.as_str()), (3, RecordStatus::Refused, "out_of_scope"));
                continue;
            }
            let again = round == 1 || record.id() == known.id() || at + 1 == records.len();
            assert_eq!((result.status, result.duplicate), (RecordStatus::Committed, again), "{at}");
            let (index, height) = result.index.zip(result.height).unwrap();
            assert_eq!(world.ledger.read().settled(&record.id()).unwrap().index, index);
            if !again {
                assert!(index > last, "the log has them in the order of the batch");
                last = index;
                placed.entry(height).or_default().push((index, merkle::leaf_hash(record.bytes())));
            }
        }
        assert_eq!(
            blocks.iter().map(|block| block.height).collect::<Vec<_>>(),
            placed.keys().copied().collect::<Vec<_>>()
        );
        for block in blocks {
            let proof: Vec<_> = block.proof.iter().map(|hash| digest_from_base64(hash).unwrap()).collect();
            let root = merkle::root_from_leaves(&placed[&block.height], block.log_size, &proof).unwrap();
            assert_eq!(Some(root), digest_from_base64(&block.log_root));
        }
    }
    let wrong = world.post_json("/v1/records/batch?receipts=none", &batch(&records)).await;
    assert_eq!(wrong.problem(), (400, "bad_request".into(), Some("receipts".into())));
}

#[tokio::test]
async fn a_brief_answer_tells_what_waits_and_what_does_not_count() {
    let world = World::new();
    let waits = world.grant("alice", "read", "file:x");
    let reply = world.post_json("/v1/records/batch?receipts=brief&wait=none", &batch(&[&waits])).await;
    assert_eq!((reply.status.as_u16(), reply.json()), (202, json!({"results": [{"status": "pending"}], "blocks": []})));
    world.commit();
    // Of another authority, in the log all the same.
    let stranger = world.sign("org2", Says::Revoke(Revoke { target: waits.id(), effect: Effect::Grant }));
    {
        let state = world.ledger.read();
        let verified = state.verify(stranger.clone()).unwrap();
        world.ledger.pool().insert(verified, 0).unwrap();
    }
    world.commit();
    let reply = world.post_json("/v1/records/batch?receipts=brief", &batch(&[&stranger])).await.json();
    assert_eq!((&reply["results"][0]["status"], &reply["blocks"]), (&json!("rejected"), &json!([])));
    assert_eq!(reply["results"][0]["problem"]["code"], "forbidden");
    assert_eq!(reply["results"][0]["index"], 2);
}

#[tokio::test]
async fn no_record_of_a_batch_is_taken_after_one_that_found_no_room() {
    let bytes_max = 3 * 400;
    let world = World::with_pool(PoolLimits { bytes_max, ..PoolLimits::default() });
    let long = |n: usize| world.grant(&format!("user{n}{}", "x".repeat(200)), "read", "file:x");
    let (large, small): (Vec<Signed>, Signed) = ((0..5).map(long).collect(), world.grant("a", "read", "file:x"));
    let mut records: Vec<&Signed> = large.iter().collect();
    records.push(&small);
    let results = world.post_json("/v1/records/batch?wait=none", &batch(&records)).await.json()["results"].clone();
    let taken: Vec<bool> = results.as_array().unwrap().iter().map(|result| result["status"] == "pending").collect();
    assert!(taken.is_sorted_by(|one, other| one >= other) && taken[0] && !taken[5], "{taken:?}");
    let (_, held) = world.ledger.pooled();
    assert!(held + small.bytes().len() <= bytes_max, "there would have been room for the last");
}

#[tokio::test]
async fn what_is_prepared_can_be_signed_elsewhere_and_submitted() {
    let world = World::new();
    world.run();
    let tuple = json!({"sub": "1234-org2", "obj": "file.dat", "access": "granted", "iss": "2027-01-16T00:00:00Z",
        "exp": "2027-01-17T00:00:00Z", "issuingAuth": "pair", "added": "whenever", "ref": "ticket 7"});
    let nonce = "0123456789abcdef0123456789abcdef";
    let wish = json!({"authority": "pair", "entry": tuple, "nonce": nonce});
    let prepared = world.post_json("/v1/records/prepare", &wish).await;
    assert_eq!(prepared.status, 200);
    let prepared = prepared.json();
    assert_eq!(prepared["threshold"], 2);
    assert_eq!(world.post_json("/v1/records/prepare", &wish).await.json()["id"], prepared["id"], "the nonce was given");

    let bytes = from_base64(prepared["bytes"].as_str().unwrap()).unwrap();
    let (statement, id) = Signed::read_unsigned(&bytes).unwrap();
    assert_eq!(id.to_string(), prepared["id"]);
    assert_eq!(statement.submit_by, Some(world.ledger.clock().now().saturating_add_millis(3_600_000)));
    let signatures: Vec<(_, Signature)> = {
        let keys = world.keys_of("pair");
        let signed = statement.sign(&keys.iter().collect::<Vec<_>>()).unwrap();
        signed.signatures().to_vec()
    };
    let record = Signed::assemble(bytes, signatures).unwrap();
    assert_eq!(world.submit("", &record).await.json()["status"], "committed");

    let entry = world.get(&format!("/v1/records/{id}")).await.json()["entry"].clone();
    for member in ["sub", "obj", "access", "iss", "exp", "issuingAuth", "ref"] {
        assert_eq!(entry[member], tuple[member], "{member}");
    }
    assert_eq!(entry["act"], "*");

    // Revocations carry their target's effect; a denial has no `submit_by`, its lift has.
    let deny = world.deny("bob", "read", "file:x");
    world.submit("", &deny).await;
    for (target, effect, has_submit_by) in [(id, Effect::Grant, false), (deny.id(), Effect::Deny, true)] {
        let wish = json!({"authority": "pair", "revoke": target});
        let prepared = world.post_json("/v1/records/prepare", &wish).await.json();
        let (statement, _) = Signed::read_unsigned(&from_base64(prepared["bytes"].as_str().unwrap()).unwrap()).unwrap();
        assert_eq!(statement.body, Says::Revoke(Revoke { target, effect }));
        assert_eq!(statement.submit_by.is_some(), has_submit_by);
    }
    let other = json!({"authority": "pair", "entry": {"sub": "a", "obj": "b"}});
    let first = world.post_json("/v1/records/prepare", &other).await.json();
    let second = world.post_json("/v1/records/prepare", &other).await.json();
    assert_ne!(first["id"], second["id"], "the node draws a nonce each time");
}

#[tokio::test]
async fn media_types_may_carry_parameters_and_any_case() {
    let world = World::new();
    let record = world.grant("alice", "read", "file:x");
    let body = json!({"record": to_base64(record.bytes())}).to_string();
    for media in ["application/json; charset=utf-8", "Application/JSON", "application/json;"] {
        let reply = world.post("/v1/records?wait=none", media, body.clone()).await;
        assert!(reply.status.is_success(), "{media}: {}", reply.text());
    }
    let headers = [("content-type", "application/octet-stream"), ("content-encoding", "identity")];
    let reply = world.call(Method::POST, "/v1/records?wait=none", &headers, record.bytes().to_vec()).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn a_store_that_fails_is_our_fault_and_tells_nothing() {
    let world = World::new();
    world.disk.fail_after(0);
    let reply = world.submit("?wait=none", &world.grant("alice", "read", "file:x")).await;
    assert_eq!(reply.problem(), (500, "internal".into(), None));
    assert!(!reply.text().contains("database"), "{}", reply.text());
}
