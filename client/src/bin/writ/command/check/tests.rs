use writ_proto::api::{Entry, ExplainedRole};
use writ_proto::hash::Digest;
use writ_proto::record::RecordId;

use super::*;

fn time(text: &str) -> LedgerTime {
    text.parse().unwrap()
}

fn now() -> LedgerTime {
    time("2026-11-22T10:15:03.120Z")
}

fn entry(access: Effect, sub: &str, act: &str, obj: &str, n: u8) -> Entry {
    Entry {
        sub: sub.into(),
        obj: obj.into(),
        act: act.into(),
        access,
        iss: None,
        exp: Some(time("2026-11-24T10:15:03Z")),
        issuing_auth: "org1".parse().unwrap(),
        added: time("2026-11-22T09:15:03.120Z"),
        reference: None,
        cond: None,
        id: RecordId(Digest([n; 32])),
        set: None,
        index: 5,
        height: 2,
        revoked: None,
        outcome: None,
    }
}

fn answer(decision: Effect, why: &str, entries: Vec<Entry>) -> CheckAnswer {
    CheckAnswer {
        decision,
        why: why.into(),
        entries: entries.iter().map(|entry| entry.id).collect(),
        at: now(),
        height: 17,
        position: "17.0123456789abcdef".into(),
        valid_until: None,
        fresh_until: None,
        pending: false,
        missing: Vec::new(),
        explain: Some(Explanation {
            entries,
            roles: Vec::new(),
            considered: Vec::new(),
            more: false,
            why_not: None,
            cut_authorities: Vec::new(),
            interval: [now(), now()],
            lookups: 4,
        }),
    }
}

fn asked_for(sub: &str) -> Question {
    Question { sub: sub.into(), act: Some("read".into()), obj: "file.dat".into(), ..Question::default() }
}

#[test]
fn a_grant_is_told_in_plain_words() {
    let answer = CheckAnswer {
        valid_until: Some(time("2026-11-24T10:15:03Z")),
        ..answer(Effect::Grant, "grant", vec![entry(Effect::Grant, "alice", "read", "file.dat", 0xab)])
    };
    assert_eq!(
        words(&answer, &asked_for("alice"), false, Style::PLAIN, now()),
        "granted\n\
         because     org1 grants alice `read` on file.dat, until 2026-11-24T10:15:03Z (in 48 h)  [abababababab]\n\
         asked       about now, 2026-11-22T10:15:03.120Z, with the knowledge of height 17\n\
         may change  2026-11-24T10:15:03Z (in 48 h), by time alone; before that, by new entries only\n\
         position    17.0123456789abcdef\n"
    );
}

#[test]
fn every_why_is_told() {
    let because = |answer: &CheckAnswer| {
        let text = words(answer, &asked_for("alice"), false, Style::PLAIN, now());
        let line = text.lines().nth(1).unwrap().to_owned();
        line.strip_prefix("because   ").unwrap().to_owned()
    };
    assert_eq!(because(&answer(Effect::Deny, "no_match", vec![])), "no entry in force grants alice `read` on file.dat");
    assert_eq!(
        because(&answer(Effect::Deny, "indeterminate", vec![])),
        "a condition cannot be evaluated; in doubt it is denied"
    );
    let denial = entry(Effect::Deny, "*", "*", "file.dat", 1);
    assert!(
        because(&answer(Effect::Deny, "deny", vec![denial]))
            .starts_with("org1 denies * every action on file.dat, until ")
    );
    let unexplained = CheckAnswer {
        explain: None,
        entries: vec![RecordId(Digest([2; 32]))],
        ..answer(Effect::Grant, "grant", vec![])
    };
    assert_eq!(because(&unexplained), format!("entry {}", "02".repeat(32)));
}

#[test]
fn roles_intervals_and_what_was_left_out_are_told_at_length_only() {
    let role = |name: &str, entered, denied| ExplainedRole {
        role: name.into(),
        over: RecordId(Digest([3; 32])),
        denied,
        entered,
    };
    let mut answer = answer(Effect::Deny, "no_match", vec![]);
    answer.explain = Some(Explanation {
        roles: vec![role("role:a", true, false), role("role:b", false, true), role("role:c", false, false)],
        cut_authorities: vec!["org9".parse().unwrap()],
        interval: [now(), now().saturating_add_millis(500)],
        ..answer.explain.unwrap()
    });
    let short = words(&answer, &asked_for("alice"), false, Style::PLAIN, now());
    assert!(!short.contains("role:") && !short.contains("interval"), "{short}");
    let long = words(&answer, &asked_for("alice"), true, Style::PLAIN, now());
    for want in [
        "interval  2026-11-22T10:15:03.120Z to 2026-11-22T10:15:03.620Z",
        "lookups   4",
        "left out  grants of org9",
        "role:a  030303030303  its grants and its denials",
        "role:b  030303030303  its denials alone: a membership is denied",
        "role:c  030303030303  its denials alone: the membership is not sure",
    ] {
        assert!(long.contains(want), "{want}: {long}");
    }
}

#[test]
fn the_decision_is_alone_on_its_line_in_colour_too() {
    let answer = answer(Effect::Deny, "no_match", vec![]);
    let text = words(&answer, &asked_for("a\u{1b}b"), true, Style::PLAIN, now());
    assert_eq!(text.lines().next(), Some("denied"));
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn circumstances_are_json_or_text() {
    let given = |pairs: &[&str]| circumstances(&pairs.iter().map(|pair| (*pair).to_owned()).collect::<Vec<_>>());
    assert_eq!(given(&[]).unwrap(), None);
    let object = given(&["ip=10.0.0.1", "n=3", "vip=true", "list=[1,2]", "empty="]).unwrap();
    assert_eq!(object.as_deref(), Some(r#"{"empty":"","ip":"10.0.0.1","list":[1,2],"n":3,"vip":true}"#));
    assert!(given(&["n=1", "n=2"]).is_err() && given(&["n"]).is_err() && given(&["=1"]).is_err());
}
