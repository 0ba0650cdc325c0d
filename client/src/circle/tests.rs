use writ_proto::genesis::{Parameters, RootAuthority};
use writ_proto::key::SecretKey;
use writ_proto::record::EnrolledKey;
use writ_proto::scope::Scope;
use writ_proto::time::LedgerTime;

use super::*;

fn key(n: u8) -> PublicKey {
    SecretKey::from_seed(&[n; 32]).public()
}

fn keys(numbers: &[u8]) -> Vec<PublicKey> {
    numbers.iter().copied().map(key).collect()
}

fn name(text: &str) -> AuthorityName {
    text.parse().unwrap()
}

fn authority(text: &str, parent: Option<&str>, numbers: &[u8], threshold: u8) -> AuthorityAnswer {
    let (name, parent) = (name(text), parent.map(name));
    AuthorityAnswer { name, parent, keys: keys(numbers), threshold, scope: Scope::everything() }
}

/// Two of three roots must sign a change of validators; `d` is below `a`.
fn circle() -> Circle {
    let secret = SecretKey::from_seed(&[1; 32]);
    let root = RootAuthority {
        name: name("a"),
        keys: vec![EnrolledKey { key: secret.public(), possession: secret.prove_possession(&Digest::ZERO) }],
        threshold: 1,
        scope: Scope::everything(),
    };
    let genesis = Genesis {
        protocol: 1,
        chain: "ledger.example/test".into(),
        time: LedgerTime::EPOCH,
        parameters: Parameters::default(),
        authorities: vec![root],
        root_quorum: 2,
        validators: Vec::new(),
    };
    let authorities = vec![
        authority("a", None, &[1], 1),
        authority("b", None, &[2, 3], 2),
        authority("c", None, &[4, 5], 1),
        authority("d", Some("a"), &[6, 7, 1], 1),
        authority("e", Some("c"), &[4], 1),
    ];
    Circle::new(genesis, authorities)
}

#[test]
fn keys_speak_for_the_one_authority_that_they_leave_no_doubt_of() {
    use Needs::{Authority, Roots};
    let circle = circle();
    for (needs, numbers, named, want) in [
        (Authority, &[5][..], None, Ok("c")),
        (Authority, &[2, 3], None, Ok("b")),
        (Authority, &[1], None, Err("several authorities: `a`, `d`")),
        (Authority, &[1], Some("d"), Ok("d")),
        (Authority, &[9], None, Err("belongs to no authority")),
        (Authority, &[2, 4], None, Err("does not belong to authority `b`")),
        (Authority, &[2], Some("a"), Err("does not belong to authority `a`")),
        (Authority, &[2], Some("z"), Err("no authority `z`")),
        (Authority, &[], None, Err("no authority is named")),
        (Authority, &[], Some("d"), Ok("d")),
        // A root's key signs for its root, whatever else has it.
        (Roots, &[1], None, Ok("a")),
        (Roots, &[4], None, Ok("c")),
        (Roots, &[2, 4], None, Ok("c")),
        (Roots, &[2, 3, 4], None, Ok("b")),
        (Roots, &[2], None, Ok("b")),
        (Roots, &[2, 4], Some("c"), Ok("c")),
        (Roots, &[2], Some("c"), Ok("c")),
        (Roots, &[6], None, Err("belongs to no root authority")),
        (Roots, &[2, 6], None, Err("belongs to no root authority")),
        (Roots, &[9], None, Err("belongs to no authority")),
        (Roots, &[1], Some("d"), Err("`d` is no root authority")),
        (Roots, &[], Some("a"), Ok("a")),
        (Roots, &[], None, Err("no authority is named")),
    ] {
        let named = named.map(name);
        let found = circle.speaker(needs, &keys(numbers), named.as_ref());
        match (found, want) {
            (Ok(found), Ok(want)) => assert_eq!(found, name(want), "{needs:?} {numbers:?} {named:?}"),
            (Err(found), Err(want)) => assert!(found.to_string().contains(want), "{found}"),
            (found, want) => panic!("{needs:?} {numbers:?} {named:?}: {found:?}, expected {want:?}"),
        }
    }
}

#[test]
fn a_quorum_of_roots_is_counted_root_by_root() {
    let circle = circle();
    for (numbers, signed, met) in [
        (&[][..], [0, 0, 0], false),
        (&[1], [1, 0, 0], false),
        // Two signatures, of one root alone.
        (&[4, 5], [0, 0, 2], false),
        // Two roots, one below its threshold.
        (&[1, 2], [1, 1, 0], false),
        (&[1, 2, 3], [1, 2, 0], true),
        (&[1, 4], [1, 0, 1], true),
        // Enough roots, but not the one that is named.
        (&[2, 3, 4], [0, 2, 1], false),
        (&[1, 2, 3, 4, 5], [1, 2, 2], true),
    ] {
        let tally = circle.tally(Needs::Roots, &name("a"), &keys(numbers)).unwrap();
        let found: Vec<usize> = tally.parts.iter().map(|part| part.signed).collect();
        assert_eq!((found.as_slice(), tally.is_met()), (&signed[..], met), "{numbers:?}");
    }
    assert!(circle.tally(Needs::Roots, &name("a"), &keys(&[1, 6])).is_err());
    let unheard = circle.tally(Needs::Roots, &name("a"), &keys(&[2, 3, 4])).unwrap().check().unwrap_err();
    assert!(unheard.to_string().contains("`a` needs 1 signatures, 0 of its keys sign"), "{unheard}");
    let few = circle.tally(Needs::Roots, &name("a"), &keys(&[1])).unwrap().check().unwrap_err();
    assert!(few.to_string().contains("2 root authorities must sign this"), "{few}");
}

#[test]
fn any_other_record_needs_its_own_authority_alone() {
    let circle = circle();
    let met = |of: &str, numbers: &[u8]| {
        circle.tally(Needs::Authority, &name(of), &keys(numbers)).map(|tally| (tally.parts.len(), tally.is_met()))
    };
    assert_eq!(met("b", &[2]).unwrap(), (1, false));
    assert_eq!(met("b", &[2, 3]).unwrap(), (1, true));
    assert_eq!(met("d", &[7]).unwrap(), (1, true));
    assert!(met("b", &[2, 4]).is_err());
}
