//! What is costly waits for its turn or for room, and what is cheap does not.

use std::sync::mpsc;

use serde_json::{Value, json};
use tokio::sync::oneshot;
use writ_proto::record::{Body as Says, Effect};

use super::super::{ANSWERS_BYTES_MAX, App, REQUESTS_BYTES_MAX, routed};
use super::world::{World, access};
use crate::http::room::Held;

const EVALUATION: &str = "/access/v1/evaluation";
const EVALUATIONS: &str = "/access/v1/evaluations";

/// A world, and what its endpoints share.
fn world() -> (World, App) {
    let mut world = World::new();
    let app = world.api().into_app();
    world.router = routed(app.clone());
    let mut entry = access(Effect::Grant, "user:ada", "read", "file:*");
    entry.cond = Some("'zz' in context.groups".into());
    world.append(&[&world.sign("org1", Says::Access(entry))]);
    (world, app)
}

/// Whether ada may read, told so many groups.
fn asked(groups: usize) -> Value {
    json!({
        "subject": {"type": "user", "id": "ada"}, "action": {"name": "read"}, "resource": {"type": "file", "id": "x"},
        "context": {"groups": vec![0; groups]}
    })
}

#[tokio::test]
async fn a_turn_lasts_as_long_as_its_work_also_when_its_caller_has_gone() {
    let (_world, app) = world();
    let free = app.0.turns.available_permits();
    let (begin, begun) = oneshot::channel();
    let (end, may_end) = mpsc::channel::<()>();
    let caller = tokio::spawn({
        let app = app.clone();
        async move {
            let work = move |_: &_| {
                begin.send(()).unwrap();
                // Its end, or that nobody is left to tell it.
                let _ = may_end.recv();
                Ok(())
            };
            app.in_turn(work).await
        }
    });
    begun.await.unwrap();
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    assert_eq!(app.0.turns.available_permits(), free - 1, "the work goes on");
    end.send(()).unwrap();
    while app.0.turns.available_permits() < free {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn large_bodies_and_costly_batches_take_a_turn_and_cheap_ones_do_not() {
    let (world, app) = world();
    let all = u32::try_from(app.0.turns.available_permits()).unwrap();
    let many = |count: usize, groups: usize| {
        let mut batch = asked(groups);
        batch["evaluations"] = json!(vec![json!({}); count]);
        batch
    };
    let cases = [
        ("a question", EVALUATION, asked(10), false),
        ("with a large context", EVALUATION, asked(40_000), true),
        ("a batch", EVALUATIONS, many(64, 10), false),
        ("a larger one", EVALUATIONS, many(65, 10), true),
        ("whose conditions go through much", EVALUATIONS, many(64, 7_500), true),
    ];
    for (case, path, body, _) in &cases {
        assert_eq!(world.post_json(path, body).await.status, 200, "{case}");
    }
    let _taken = app.0.turns.clone().acquire_many_owned(all).await.unwrap();
    for (case, path, body, takes_a_turn) in &cases {
        let status = if *takes_a_turn { 429 } else { 200 };
        assert_eq!(world.post_json(path, body).await.status, status, "{case}");
    }
}

#[tokio::test]
async fn a_large_body_has_its_room_until_it_is_answered_and_so_has_a_large_answer() {
    let (world, app) = world();
    let large = asked(40_000);
    let mut told = asked(1);
    told["evaluations"] = json!(vec![json!({}); 400]);
    told["options"] = json!({ "reasons": true });
    for (path, body) in [(EVALUATION, &large), (EVALUATIONS, &told)] {
        assert_eq!(world.post_json(path, body).await.status, 200);
    }
    // Room for the body's bytes, and not for what it becomes.
    let mut others = Held::default();
    app.0.requests.take(&mut others, REQUESTS_BYTES_MAX - 100_000).unwrap();
    assert_eq!(world.post_json(EVALUATION, &large).await.status, 429);
    assert_eq!(world.post_json(EVALUATION, &asked(1)).await.status, 200);
    drop(others);
    let mut others = Held::default();
    app.0.answers.take(&mut others, ANSWERS_BYTES_MAX - 10_000).unwrap();
    assert_eq!(world.post_json(EVALUATIONS, &told).await.status, 429);
    assert_eq!(world.post_json(EVALUATION, &large).await.status, 200);
}
