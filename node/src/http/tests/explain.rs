//! What is said of each entry that bears on a question, and how near a grant was.

use serde_json::{Value, json};
use writ_proto::record::{Access, Body as Says, Effect, Signed};

use super::world::{World, access, time};

async fn explained(world: &World, question: &str) -> Value {
    let reply = world.get(&format!("/v1/check?{question}&explain=true")).await;
    assert_eq!(reply.status, 200, "{question}: {}", reply.text());
    reply.json()
}

fn grant(sub: &str, act: &str, obj: &str) -> Access {
    access(Effect::Grant, sub, act, obj)
}

/// A world with these entries, and their ids.
fn with(entries: Vec<Access>) -> (World, Vec<String>) {
    let world = World::new();
    let records: Vec<Signed> = entries.into_iter().map(|entry| world.sign("org1", Says::Access(entry))).collect();
    world.append(&records.iter().collect::<Vec<_>>());
    let ids = records.iter().map(|record| record.id().to_string()).collect();
    (world, ids)
}

#[tokio::test]
async fn the_nearest_grant_and_what_was_in_its_way_are_told() {
    let later = |entry: Access| Access { iss: Some(time(90_000_000)), ..entry };
    let over = |entry: Access| Access { exp: Some(time(1_500)), ..entry };
    let under = |cond: &str, entry: Access| Access { cond: Some(cond.into()), ..entry };
    let read = || grant("ada", "read", "file:x");
    let staff = || grant("ada", "member", "role:staff");
    let of_staff = || grant("role:staff", "read", "file:*");
    let starts = time(90_000_000);
    let granted = "a grant of `read` on `file:x` to `ada` exists, but";
    let to_staff = "a grant of `read` on `file:*` to `role:staff` exists, but";
    for (entries, want) in [
        (vec![], "no entry grants it, nor ever did, to the subject or to a role that it could be in".to_owned()),
        (vec![later(read())], format!("{granted} it starts at {starts}")),
        (vec![over(read())], format!("{granted} it ended at {}", time(1_500))),
        (
            vec![under("context.mfa", read())],
            format!("{granted} the condition of it needs `context.mfa`: `context.mfa`"),
        ),
        (
            vec![under("subject.id == 'bo'", read())],
            format!("{granted} the condition of it is false: `subject.id == 'bo'`"),
        ),
        (vec![under("size(1)", read())], format!("{granted} the condition of it cannot be evaluated: `size(1)`")),
        (
            vec![grant("ada", "write", "file:x")],
            "a grant of `write` on `file:x` to `ada` exists, but it is about `write` alone".into(),
        ),
        (
            vec![staff(), of_staff(), access(Effect::Deny, "ada", "member", "role:staff")],
            format!("{to_staff} the membership of `ada` in `role:staff` is denied"),
        ),
        (
            vec![later(staff()), of_staff()],
            format!("{to_staff} the membership of `ada` in `role:staff` starts at {starts}"),
        ),
        (
            vec![later(staff()), over(of_staff())],
            format!(
                "{to_staff} the membership of `ada` in `role:staff` starts at {starts}, and it ended at {}",
                time(1_500)
            ),
        ),
        // The one with fewer in its way.
        (vec![later(staff()), over(of_staff()), over(read())], format!("{granted} it ended at {}", time(1_500))),
        (
            vec![under("context.mfa", staff()), of_staff(), over(read())],
            format!(
                "{to_staff} the condition of the membership of `ada` in `role:staff` needs `context.mfa`: `context.mfa`"
            ),
        ),
        // A denial outweighs all of them.
        (
            vec![read(), access(Effect::Deny, "*", "read", "file:x")],
            "a denial stands; without, a grant of `read` on `file:x` to `ada` would count".into(),
        ),
        (
            vec![later(read()), access(Effect::Deny, "*", "read", "file:x"), access(Effect::Deny, "ada", "*", "*")],
            format!("2 denials stand, and of a grant of `read` on `file:x` to `ada`, it starts at {starts}"),
        ),
        (vec![access(Effect::Deny, "ada", "*", "*")], "a denial stands, and no entry grants it".into()),
    ] {
        let (world, _) = with(entries.clone());
        world.pass(2_000);
        let answer = explained(&world, "sub=ada&act=read&obj=file:x").await;
        assert_eq!(answer["decision"], "denied", "{entries:?}");
        assert_eq!(answer["explain"]["why_not"], json!(want), "{entries:?}");
        assert_eq!(answer["explain"]["more"], false);
    }
}

#[tokio::test]
async fn every_entry_that_bears_on_it_is_told_with_its_verdict() {
    let mut denial = access(Effect::Deny, "role:staff", "read", "file:x");
    denial.cond = Some("context.outside".into());
    let (world, ids) = with(vec![
        grant("ada", "read", "file:x"),
        grant("ada", "member", "role:staff"),
        denial,
        grant("role:staff", "*", "file:*"),
        grant("bo", "read", "file:x"),
    ]);
    let revocation = world.revoke(ids[0].parse().unwrap(), Effect::Grant);
    world.append(&[&revocation]);
    world.pass(3_000);
    let answer = explained(&world, "sub=ada&act=read&obj=file:x&context=%7B%22outside%22:false%7D").await;
    assert_eq!((&answer["decision"], &answer["explain"]["why_not"]), (&json!("granted"), &Value::Null));
    let revoked_at = &answer["explain"]["considered"][2]["obstacles"][0]["at"];
    let want = json!([
        {
            "id": ids[2], "access": "denied", "sub": "role:staff", "act": "read", "obj": "file:x", "over": [ids[1]],
            "verdict": "does_not_apply",
            "obstacles": [{
                "code": "condition_false", "entry": ids[2], "detail": "the condition of it is false: `context.outside`"
            }]
        },
        {
            "id": ids[3], "access": "granted", "sub": "role:staff", "act": "*", "obj": "file:*", "over": [ids[1]],
            "verdict": "applies", "obstacles": []
        },
        {
            "id": ids[0], "access": "granted", "sub": "ada", "act": "read", "obj": "file:x", "over": [],
            "verdict": "does_not_apply",
            "obstacles": [{
                "code": "revoked", "entry": ids[0], "by": revocation.id().to_string(), "at": revoked_at,
                "detail": format!("it was revoked at {}", revoked_at.as_str().unwrap())
            }]
        },
    ]);
    assert_eq!(answer["explain"]["considered"], want, "{:#}", answer["explain"]);

    // Without the context the denial denies, in doubt; what it lacked is told of it, and of the answer.
    let answer = explained(&world, "sub=ada&act=read&obj=file:x").await;
    assert_eq!((&answer["why"], &answer["missing"]), (&json!("indeterminate"), &json!(["context.outside"])));
    let first = &answer["explain"]["considered"][0];
    assert_eq!(
        (&first["verdict"], &first["obstacles"][0]["missing"]),
        (&json!("unclear"), &json!(["context.outside"]))
    );
}

#[tokio::test]
async fn what_is_missing_is_missing_for_the_decision_alone() {
    let under = |cond: &str, entry: Access| Access { cond: Some(cond.into()), ..entry };
    let (world, _) = with(vec![
        under("context.inside", access(Effect::Deny, "ada", "read", "file:x")),
        under("context.mfa", grant("ada", "read", "file:x")),
        under("context.role", grant("ada", "member", "role:staff")),
        under("context.other", grant("ada", "write", "file:x")),
    ]);
    world.pass(3_000);
    for (act, missing) in
        [("read", vec!["context.inside", "context.role"]), ("write", vec!["context.other", "context.role"])]
    {
        let question = format!("sub=ada&act={act}&obj=file:x&at={}", time(2_500));
        let mut answer = explained(&world, &question).await;
        let lacked: Vec<&Value> = answer["explain"]["considered"].as_array().unwrap().iter().collect();
        assert!(lacked.len() > 1, "{lacked:?}");
        answer.as_object_mut().unwrap().remove("explain");
        let plain = world.get(&format!("/v1/check?{question}")).await.json();
        assert_eq!(answer, plain, "an explanation changes nothing of the answer");
        assert_eq!(answer["missing"], json!(missing));
    }
}

#[tokio::test]
async fn what_was_revoked_later_was_not_known_to_be() {
    let (world, ids) = with(vec![grant("ada", "read", "file:x")]);
    world.append(&[&world.revoke(ids[0].parse().unwrap(), Effect::Grant)]);
    let at = time(2_500);
    for (height, decision, revoked) in [(1, "granted", false), (2, "denied", true)] {
        let answer = explained(&world, &format!("sub=ada&act=read&obj=file:x&at={at}&height={height}")).await;
        assert_eq!(answer["decision"], decision, "{answer}");
        let told = answer["explain"]["entries"].as_array().unwrap();
        assert!(told.iter().all(|entry| entry["revoked"].is_null()), "{answer}");
        assert_eq!(answer["explain"]["considered"].to_string().contains("\"revoked\""), revoked, "{answer}");
    }
}

#[tokio::test]
async fn an_explanation_is_bounded_and_says_so() {
    let entries = (0..200).map(|n| grant("ada", &format!("act-{n}"), "file:x"));
    let (world, _) = with(entries.chain((0..100).map(|n| grant("*", &format!("act-{n}"), "file:*"))).collect());
    let answer = explained(&world, "sub=ada&act=act-150&obj=file:x").await;
    let considered = answer["explain"]["considered"].as_array().unwrap();
    assert_eq!((considered.len(), &answer["explain"]["more"]), (256, &json!(true)));
    assert_eq!((&considered[0]["act"], &considered[0]["verdict"]), (&json!("act-150"), &json!("applies")));
}
