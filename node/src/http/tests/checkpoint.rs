//! Checkpoints as tools and receipts carry them.

use axum::http::Method;
use writ_proto::api::{Receipt, RecordStatus, digest_from_base64};
use writ_proto::checkpoint::Cosigners;
use writ_proto::merkle;

use super::world::{World, batch};

async fn receipt_of(world: &World, path: &str) -> Receipt {
    let reply = world.get(path).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    serde_json::from_value(reply.json()).unwrap()
}

#[tokio::test]
async fn there_is_none_before_a_quorum_signed_one() {
    let world = World::new();
    assert_eq!(world.get("/checkpoint").await.problem(), (404, "not_found".into(), None));
    world.append(&[&world.grant("alice", "read", "file:x")]);
    assert_eq!(world.get("/checkpoint").await.status, 404);
    world.cosign();
    assert_eq!(world.get("/checkpoint").await.status, 200);
    assert_eq!(world.get("/checkpoint?size=3").await.problem(), (400, "bad_request".into(), Some("size".into())));
}

#[tokio::test]
async fn the_note_opens_with_the_policy_and_is_of_this_log() {
    let world = World::new();
    let policy = world.get("/policy").await;
    assert_eq!(policy.header("content-type"), Some("text/plain; charset=utf-8"));
    let cosigners = Cosigners::from_policy(&policy.text()).unwrap();
    assert_eq!(cosigners, Cosigners::of("ledger.example/test", world.ledger.read().validators()));
    for n in 0..4 {
        world.append(&[&world.grant("alice", "read", &format!("file:{n}"))]);
        world.cosign();
        let note = world.get("/checkpoint").await;
        let of = |name| note.header(name);
        assert_eq!((of("content-type"), of("cache-control")), (Some("text/plain; charset=utf-8"), Some("max-age=1")));
        let cosigned = cosigners.verify(&note.text()).unwrap();
        let state = world.ledger.read();
        assert_eq!((cosigned.checkpoint().size, cosigned.checkpoint().root), (state.log().size(), state.log().root()));
    }
    assert_eq!(world.call(Method::HEAD, "/checkpoint", &[], Vec::new()).await.status, 200);
}

#[tokio::test]
async fn a_receipt_carries_the_checkpoint_that_covers_it_and_else_stays_the_same() {
    let world = World::new();
    let (first, second) = (world.grant("alice", "read", "file:1"), world.grant("alice", "read", "file:2"));
    world.append(&[&first]);
    let path = format!("/v1/records/{}", first.id());
    let fresh = receipt_of(&world, &path).await;
    let fresh = fresh.place.unwrap();
    assert_eq!((&fresh.checkpoint, &fresh.checkpoint_inclusion), (&None, &None));
    world.cosign();
    world.append(&[&second]);
    let later = receipt_of(&world, &format!("/v1/records/{}", second.id())).await.place.unwrap();
    assert_eq!(later.checkpoint, None, "its block is beyond the checkpoint");

    let cosigners = Cosigners::of("ledger.example/test", world.ledger.read().validators());
    for sizes in [2, 4] {
        let place = receipt_of(&world, &path).await.place.unwrap();
        let cosigned = cosigners.verify(place.checkpoint.as_ref().unwrap()).unwrap();
        assert_eq!(cosigned.checkpoint().size, sizes);
        let texts = place.checkpoint_inclusion.as_ref().unwrap();
        let proof: Vec<_> = texts.iter().map(|text| digest_from_base64(text).unwrap()).collect();
        let leaf = merkle::leaf_hash(first.bytes());
        merkle::verify_inclusion(place.index, sizes, &leaf, &proof, &cosigned.checkpoint().root).unwrap();
        assert_eq!((place.log_size, &place.log_root, &place.inclusion), (2, &fresh.log_root, &fresh.inclusion));
        world.cosign();
    }
    // Submitted again, it is in the same receipt; in a batch, it is not.
    let again: Receipt = serde_json::from_value(world.submit("", &first).await.json()).unwrap();
    assert!(again.duplicate && again.status == RecordStatus::Committed && again.place.unwrap().checkpoint.is_some());
    let many = world.post_json("/v1/records/batch", &batch(&[&first, &second])).await.json();
    assert!(many["results"].as_array().unwrap().iter().all(|one| one["checkpoint"].is_null()), "{many}");
}
