//! Cases for records: what reads back, what is refused, and what the class is.

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::hash::Digest;
use crate::key::SecretKey;
use crate::name::{ActionPattern, Pattern, Side};
use crate::refusal::Code;
use crate::time::LedgerTime;

fn key(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

fn access(sub: &str, act: &str, obj: &str, effect: Effect) -> Access {
    Access {
        sub: Pattern::parse(sub, Side::Subject).unwrap(),
        obj: Pattern::parse(obj, Side::Object).unwrap(),
        act: ActionPattern::parse(act).unwrap(),
        effect,
        iss: None,
        exp: None,
        cond: None,
        reference: None,
    }
}

fn statement(body: Body) -> Statement {
    let submit_by = (body.class() == Class::Permissive).then_some(LedgerTime::from_millis(5_000).unwrap());
    Statement { chain: Digest([7; 32]), authority: "org1".parse().unwrap(), nonce: Nonce([1; 16]), body, submit_by }
}

fn grant() -> Statement {
    statement(Body::Access(access("ada", "read", "file:plan", Effect::Grant)))
}

#[test]
fn what_was_signed_reads_back() {
    let record = grant().sign(&[&key(1), &key(2)]).unwrap();
    let read = Signed::decode(record.bytes().to_vec()).unwrap();
    assert_eq!(read, record);
    assert_eq!(*read.statement(), grant());
    assert_eq!(read.id(), grant().id().unwrap());
    for (id, signature) in read.signatures() {
        let signer = [key(1), key(2)].into_iter().find(|key| key.public().id() == *id).unwrap();
        assert_eq!(signer.public().verify(read.signed_bytes(), signature), Ok(()));
    }
    assert_eq!(Signed::read_unsigned(read.signed_bytes()).unwrap(), (grant(), read.id()));
}

#[test]
fn signing_again_with_a_later_submit_by_is_the_same_record() {
    let later = Statement { submit_by: Some(LedgerTime::from_millis(9_000).unwrap()), ..grant() };
    assert_eq!(later.id().unwrap(), grant().id().unwrap());
    assert_ne!(later.sign(&[&key(1)]).unwrap().bytes(), grant().sign(&[&key(1)]).unwrap().bytes());
    let signers_differ = grant().sign(&[&key(3)]).unwrap();
    assert_eq!(signers_differ.id(), grant().id().unwrap());
}

#[test]
fn whatever_is_stated_differently_is_another_record() {
    let id = grant().id().unwrap();
    for other in [
        Statement { chain: Digest([8; 32]), ..grant() },
        Statement { authority: "org2".parse().unwrap(), ..grant() },
        Statement { nonce: Nonce([2; 16]), ..grant() },
        statement(Body::Access(access("ada", "write", "file:plan", Effect::Grant))),
        statement(Body::Access(access("ada", "read", "file:plan", Effect::Deny))),
    ] {
        assert_ne!(other.id().unwrap(), id);
    }
}

#[test]
fn the_class_follows_from_the_bytes() {
    let revoke = |effect| Body::Revoke(Revoke { target: RecordId(Digest::ZERO), effect });
    let name: AuthorityName = "org2".parse().unwrap();
    let repudiate = |void_restrictions| AuthorityChange::Repudiate {
        name: name.clone(),
        key: None,
        from_height: 3,
        void_restrictions,
    };
    let set = Body::Set(AtomicSet {
        members: vec![SetMember::Access(access("ada", "read", "file:plan", Effect::Deny))],
        unchanged_since: None,
    });
    for (body, class) in [
        (Body::Access(access("ada", "*", "x", Effect::Grant)), Class::Permissive),
        (Body::Access(access("ada", "*", "x", Effect::Deny)), Class::Restrictive),
        (revoke(Effect::Grant), Class::Restrictive),
        (revoke(Effect::Deny), Class::Permissive),
        (Body::Authority(AuthorityChange::Retire { name: name.clone() }), Class::Restrictive),
        (Body::Authority(AuthorityChange::Suspend { name: name.clone() }), Class::Restrictive),
        (Body::Authority(AuthorityChange::Resume { name: name.clone() }), Class::Permissive),
        (Body::Authority(repudiate(false)), Class::Restrictive),
        (Body::Authority(repudiate(true)), Class::Permissive),
        (set, Class::Permissive),
    ] {
        assert_eq!(body.class(), class, "{body:?}");
        let signed = statement(body.clone()).sign(&[&key(1)]).unwrap();
        assert_eq!(*signed.body(), body);
        let mut wrong = statement(body.clone());
        wrong.submit_by = if wrong.submit_by.is_some() { None } else { Some(LedgerTime::EPOCH) };
        assert_eq!(wrong.sign(&[&key(1)]).unwrap_err().field, Some("submit_by"), "{body:?}");
    }
}

#[test]
fn membership_is_granted_on_one_exact_role_and_denied_where_roles_can_be() {
    for (effect, obj, fits) in [
        (Effect::Grant, "role:staff", true),
        (Effect::Grant, "role:*", false),
        (Effect::Grant, "role:a/*", false),
        (Effect::Grant, "*", false),
        (Effect::Grant, "file:x", false),
        (Effect::Grant, "staff", false),
        (Effect::Deny, "role:staff", true),
        (Effect::Deny, "role:*", true),
        (Effect::Deny, "role:a/*", true),
        (Effect::Deny, "*", true),
        (Effect::Deny, "file:x", false),
        (Effect::Deny, "file:*", false),
    ] {
        let body = Body::Access(access("ada", "member", obj, effect));
        let signed = statement(body).sign(&[&key(1)]);
        assert_eq!(
            signed.as_ref().err().map(|refusal| refusal.field),
            (!fits).then_some(Some("obj")),
            "{effect:?} {obj}"
        );
    }
    assert!(!access("ada", "*", "role:staff", Effect::Grant).is_membership());
}

#[test]
fn an_entry_that_makes_no_sense_is_refused_with_its_member() {
    let at = |ms| Some(LedgerTime::from_millis(ms).unwrap());
    let plain = || access("ada", "read", "file:plan", Effect::Grant);
    for (access, field) in [
        (Access { iss: at(5), exp: at(5), ..plain() }, "exp"),
        (Access { iss: at(6), exp: at(5), ..plain() }, "exp"),
        (Access { cond: Some("x".repeat(1025)), ..plain() }, "cond"),
        (Access { cond: Some("".into()), ..plain() }, "cond"),
        (Access { reference: Some("x".repeat(257)), ..plain() }, "ref"),
    ] {
        let refusal = statement(Body::Access(access)).sign(&[&key(1)]).unwrap_err();
        assert_eq!((refusal.code, refusal.field), (Code::BadRequest, Some(field)));
    }
    let longest =
        Access { cond: Some("x".repeat(1024)), reference: Some("x".repeat(256)), iss: at(4), exp: at(5), ..plain() };
    assert!(statement(Body::Access(longest)).sign(&[&key(1)]).is_ok());
}

/// Consensus takes any text as a condition, whoever submits is told of a slip.
#[test]
fn a_condition_is_opaque_in_the_record_and_checked_apart() {
    let with = |cond: &str| Access { cond: Some(cond.into()), ..access("user:a", "read", "file:x", Effect::Grant) };
    let (good, bad) = (with("context.mfa"), with("context.mfa &&"));
    let set = |members: &[&Access]| {
        let members = members.iter().map(|access| SetMember::Access((*access).clone())).collect();
        Body::Set(AtomicSet { members, unchanged_since: None })
    };
    for (body, want) in [
        (Body::Access(access("user:a", "read", "file:x", Effect::Deny)), Ok(())),
        (Body::Access(good.clone()), Ok(())),
        (set(&[&good, &good]), Ok(())),
        (Body::Access(bad.clone()), Err((Code::BadCondition, Some("cond")))),
        (set(&[&good, &bad]), Err((Code::BadCondition, Some("cond")))),
    ] {
        assert_eq!(body.check_conditions().map_err(|refusal| (refusal.code, refusal.field)), want, "{body:?}");
        let signed = statement(body.clone()).sign(&[&key(1)]).expect("it makes sense");
        let decoded = Signed::decode(signed.bytes().to_vec()).expect("its form is good");
        assert_eq!(decoded.body(), &body);
    }
}

#[test]
fn signatures_are_one_to_sixteen_and_strictly_ascending() {
    let keys: Vec<SecretKey> = (1..=17).map(key).collect();
    let sign = |n: usize| grant().sign(&keys.iter().take(n).collect::<Vec<_>>());
    assert_eq!(sign(0).unwrap_err().field, Some("signatures"));
    assert!(sign(16).is_ok());
    assert_eq!(sign(17).unwrap_err().field, Some("signatures"));
    assert_eq!(grant().sign(&[&keys[0], &keys[0]]).unwrap_err().field, Some("signatures"));

    let two = sign(2).unwrap();
    let mut swapped = two.bytes().to_vec();
    let pairs = swapped.len() - 2 * 96;
    swapped[pairs..].rotate_left(96);
    assert_eq!(Signed::decode(swapped).unwrap_err().field, Some("signatures"));
}

#[test]
fn another_kind_or_a_longer_record_is_refused() {
    let record = grant().sign(&[&key(1)]).unwrap();
    let mut unknown = record.bytes().to_vec();
    unknown[crate::hash::Domain::Record.tag().len()] = 99;
    assert_eq!(Signed::decode(unknown).unwrap_err().code, Code::Unsupported);
    assert_eq!(Signed::decode(vec![b'w'; 8193]).unwrap_err().code, Code::TooLarge);
    assert_eq!(Signed::decode(Vec::new()).unwrap_err().code, Code::BadRequest);
}

#[test]
fn every_cut_and_every_extra_byte_is_refused() {
    let bytes = grant().sign(&[&key(1)]).unwrap().bytes().to_vec();
    for cut in 0..bytes.len() {
        assert!(Signed::decode(bytes[..cut].to_vec()).is_err(), "cut at {cut}");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert!(Signed::decode(longer).is_err());
}

proptest! {
    /// No byte string is two records, and no record is two byte strings: what decodes is what it encodes to.
    #[test]
    fn a_changed_byte_is_refused_or_is_another_record(at in 0_usize..400, flip in 1_u8..=255) {
        let record = grant().sign(&[&key(1)]).unwrap();
        let mut bytes = record.bytes().to_vec();
        let at = at % bytes.len();
        bytes[at] ^= flip;
        if let Ok(read) = Signed::decode(bytes.clone()) {
            prop_assert_eq!(read.bytes(), &bytes[..]);
            prop_assert_ne!(&read, &record);
            let again = read.statement().signed_bytes().unwrap().0;
            prop_assert_eq!(read.signed_bytes(), &again[..]);
        }
    }

    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..600), tagged in any::<bool>(), kind in 0_u8..8) {
        let mut all = if tagged { [crate::hash::Domain::Record.tag(), &[kind]].concat() } else { Vec::new() };
        all.extend(bytes);
        let _ = Signed::decode(all.clone());
        let _ = Signed::read_unsigned(&all);
    }
}
