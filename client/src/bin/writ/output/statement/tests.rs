use writ_proto::hash::Digest;
use writ_proto::key::SecretKey;
use writ_proto::record::{AtomicSet, Nonce, RecordId, Statement};

use super::*;

fn now() -> LedgerTime {
    "2026-11-22T10:15:03Z".parse().unwrap()
}

fn key(n: u8) -> EnrolledKey {
    let secret = SecretKey::from_seed(&[n; 32]);
    EnrolledKey { key: secret.public(), possession: secret.prove_possession(&Digest::ZERO) }
}

fn name(text: &str) -> AuthorityName {
    text.parse().unwrap()
}

fn access() -> Access {
    let tuple = Tuple {
        sub: "zoë".into(),
        obj: "file:*".into(),
        act: Some("read".into()),
        exp: Some("2026-11-23T00:00:00Z".into()),
        reference: Some("T-1\u{1b}[2J".into()),
        cond: Some("context.x == 1".into()),
        ..Tuple::default()
    };
    tuple.to_access().unwrap()
}

fn keys() -> ValidatorKeys {
    ValidatorKeys { name: name("v5"), vote: key(1), checkpoint: key(2) }
}

/// A body, its sentence, and everything that must be shown of it.
fn bodies() -> Vec<(Body, &'static str, Vec<String>)> {
    let id = key(1).key.id();
    let (target, short) = (RecordId(Digest([0xab; 32])), "abababababab");
    let validator: Vec<String> = [
        "v5".into(),
        key(1).key.to_string(),
        hex::encode(key(1).possession.0),
        key(2).key.to_string(),
        hex::encode(key(2).possession.0),
    ]
    .into();
    let bounded = Rule { lifetime_ms_max: Some(77), open_ended: false, denials: false, ..Rule::everything() };
    let scope = Scope { rules: vec![Rule::everything(), bounded], enrol_depth: 3 };
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let said = ["zoë", "file:*", "read", "granted", "2026-11-23T00:00:00Z", "T-1\\u{1b}[2J", "context.x == 1"];
    let parameters = Parameters { submit_ahead_ms_max: 11_111, clock_bound_ms: 2_222, proposal_age_ms_max: 3_333 };
    let enrol = AuthorityChange::Enrol { name: name("org2"), keys: vec![key(1), key(2)], threshold: 2, scope };
    let rotate = AuthorityChange::Rotate { name: name("org2"), keys: vec![key(1)], threshold: 1 };
    let repudiate = |key, void_restrictions| AuthorityChange::Repudiate {
        name: name("org2"),
        key,
        from_height: 4_321,
        void_restrictions,
    };
    let set = AtomicSet {
        members: vec![SetMember::Access(access()), SetMember::Revoke(Revoke { target, effect: Effect::Deny })],
        unchanged_since: Some(987),
    };
    let own = |body, says, shown: &[&str]| (body, says, texts(shown));
    vec![
        own(Body::Access(access()), "org1 grants zoë `read` on file:*", &said),
        own(
            Body::Access(Access { effect: Effect::Deny, ..access() }),
            "org1 denies zoë `read` on file:*",
            &["denied", "restrictive"],
        ),
        own(
            Body::Revoke(Revoke { target, effect: Effect::Grant }),
            "org1 ends the grant abababababab",
            &[&target.to_string(), "granted"],
        ),
        own(
            Body::Revoke(Revoke { target, effect: Effect::Deny }),
            "org1 lifts the denial abababababab",
            &[&target.to_string(), "denied"],
        ),
        own(
            Body::Authority(enrol),
            "org1 enrols the authority `org2` with 2 keys, of which 2 must sign",
            &[
                &key(1).key.to_string(),
                &key(2).key.to_string(),
                "threshold    2",
                "may grant and deny: subjects *; objects *; actions *\n",
                "may grant: subjects *; objects *; actions *, for at most 77 ms, always with an end",
                "enrol_depth  3",
            ],
        ),
        own(
            Body::Authority(rotate),
            "org1 gives the authority `org2` other keys: 1 key, of which 1 must sign",
            &[&key(1).key.to_string(), "threshold    1"],
        ),
        own(
            Body::Authority(AuthorityChange::Retire { name: name("org2") }),
            "org1 retires the authority `org2`",
            &["org2"],
        ),
        own(
            Body::Authority(AuthorityChange::Suspend { name: name("org2") }),
            "org1 suspends the authority `org2`",
            &["org2"],
        ),
        own(
            Body::Authority(AuthorityChange::Resume { name: name("org2") }),
            "org1 ends the suspension of the authority `org2`",
            &["org2", "submit_by"],
        ),
        own(
            Body::Authority(repudiate(None, false)),
            "org1 voids what the authority `org2` signed from height 4321 on",
            &["4321", "none: all of its keys", "false"],
        ),
        own(
            Body::Authority(repudiate(Some(id), true)),
            Box::leak(
                format!(
                    "org1 voids what key {} signed for the authority `org2` from height 4321 on, its denials too",
                    short_key(&id)
                )
                .into_boxed_str(),
            ),
            &[&id.to_string(), "true"],
        ),
        (Body::Validator(ValidatorChange::Add(keys())), "org1 adds the validator `v5`", validator.clone()),
        own(
            Body::Validator(ValidatorChange::Remove(KeyId([0xab; 32]))),
            "org1 removes the validator whose voting key is abababababab",
            &[&"ab".repeat(32)],
        ),
        (
            Body::Validator(ValidatorChange::Replace { old: KeyId([0xab; 32]), new: keys() }),
            "org1 replaces the validator whose voting key is abababababab with `v5`",
            [validator, vec!["ab".repeat(32), short.into()]].concat(),
        ),
        own(
            Body::Parameter(ParameterChange::Set(parameters)),
            "org1 sets the chain's parameters",
            &["11111", "2222", "3333", "submit_ahead_ms_max", "clock_bound_ms", "proposal_age_ms_max"],
        ),
        own(
            Body::Parameter(ParameterChange::Activate { protocol: 7, height: 5_432 }),
            "org1 makes 7 the protocol version from height 5432 on",
            &["protocol     7", "height       5432"],
        ),
        own(
            Body::Set(set),
            "org1 states 2 things, all of them or none",
            &[&said[..], &["a log of 987 leaves", &target.to_string(), "denied"]].concat(),
        ),
    ]
}

#[test]
fn every_field_of_every_kind_is_shown() {
    for (body, want, shown) in bodies() {
        let submit_by = (body.class() == Class::Permissive).then(|| now().saturating_add_millis(3_600_000));
        let (chain, nonce) = (Digest([0xcd; 32]), Nonce([0xef; 16]));
        let statement = Statement { chain, authority: name("org1"), nonce, body, submit_by };
        let mut draft = Draft::new(&statement).unwrap();
        assert!(words(&draft).contains("signed by        nobody yet") || words(&draft).contains("nobody yet"));
        draft.sign(&SecretKey::from_seed(&[9; 32])).unwrap();
        let text = words(&draft);
        assert_eq!(text.lines().next(), Some(want));
        let mut all = shown;
        all.extend(["org1".into(), "cd".repeat(32), "ef".repeat(16), draft.id().to_string()]);
        all.extend([key(9).key.to_string(), statement.body.kind().as_str().into()]);
        all.extend(submit_by.map(|_| "2026-11-22T11:15:03Z (in 60 min)".into()));
        // Whatever the width of the columns.
        let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in all {
            assert!(squeezed(&text).contains(&squeezed(&part)), "{part} is not shown:\n{text}");
        }
        assert!(!text.contains('\u{1b}'), "{text:?}");

        let json = Shown { draft: &draft, circle: None, now: now() }.json();
        assert_eq!(json["says"], want);
        assert_eq!((&json["chain"], &json["issuingAuth"]), (&"cd".repeat(32).into(), &"org1".into()));
        assert!(json["body"].is_object() && json["complete"].is_null(), "{json}");
    }
}

fn words(draft: &Draft) -> String {
    Shown { draft, circle: None, now: now() }.words(Style::PLAIN)
}

#[test]
fn a_time_that_is_over_is_told() {
    let body = Body::Parameter(ParameterChange::Activate { protocol: 2, height: 9 });
    let (chain, nonce) = (Digest([1; 32]), Nonce([2; 16]));
    let statement = Statement { chain, authority: name("org1"), nonce, body, submit_by: Some(now()) };
    let text = words(&Draft::new(&statement).unwrap());
    assert!(text.contains("2026-11-22T10:15:03Z (just now); that is over"), "{text}");
}

#[test]
fn signatures_are_told_as_far_as_they_go() {
    use writ_client::circle::Part;
    let part = |text: &str, signed, threshold| Part { name: name(text), signed, threshold };
    for (parts, needed, want) in [
        (vec![part("a", 1, 2)], 1, "a 1 of 2"),
        (
            vec![part("a", 0, 1), part("b", 0, 1)],
            2,
            "nobody; 0 of the 2 root authorities needed, a must be one of them",
        ),
        (
            vec![part("a", 1, 1), part("b", 1, 2), part("c", 0, 1)],
            2,
            "a 1 of 1, b 1 of 2; 1 of the 2 root authorities needed",
        ),
        (vec![part("a", 1, 1), part("b", 0, 2)], 1, "a 1 of 1; 1 of the 1 root authority needed"),
    ] {
        assert_eq!(tally_words(&Tally { parts, needed, speaker: name("a") }), want);
    }
}
