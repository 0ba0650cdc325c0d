use std::string::ToString as _;
use std::vec;

use proptest::prelude::*;

use super::*;
use crate::hash::Domain;
use crate::record::{EnrolledKey, ValidatorKeys};

const ORIGIN: &str = "ledger.example/main";
const TIME: u64 = 1_800_000_000;

fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

fn validator(n: u8) -> ValidatorKeys {
    let enrolled = |key: SecretKey| EnrolledKey { key: key.public(), possession: key.prove_possession(&Digest::ZERO) };
    ValidatorKeys {
        name: format!("validator{n}").parse().unwrap(),
        vote: enrolled(secret(n + 100)),
        checkpoint: enrolled(secret(n)),
    }
}

fn cosigners(n: u8) -> Cosigners {
    let validators: Vec<_> = (0..n).map(validator).collect();
    Cosigners::of(ORIGIN, &validators)
}

fn checkpoint() -> Checkpoint {
    Checkpoint { origin: ORIGIN.into(), size: 70_000, root: Digest([7; 32]) }
}

fn signed_by(signers: &[u8]) -> Vec<Cosignature> {
    signers.iter().map(|n| Cosignature::sign(&checkpoint(), 9, &secret(*n), TIME + u64::from(*n))).collect()
}

fn note(signers: &[u8]) -> String {
    cosigners(4).assemble(&checkpoint(), &signed_by(signers)).unwrap()
}

#[test]
fn a_quorum_makes_a_note_and_the_note_says_who_and_when() {
    let cosigners = cosigners(4);
    let text = note(&[2, 0, 3]);
    let read = cosigners.verify(&text).unwrap();
    assert_eq!(*read.checkpoint(), checkpoint());
    let of = |n: u8| (secret(n).public().id(), TIME + u64::from(n));
    assert_eq!(read.signers(), [of(0), of(2), of(3)]);
    assert_eq!(text.lines().count(), 4 + 6);
    assert!(text.starts_with("ledger.example/main\n70000\nBwcH"), "{text}");
    assert_eq!(text.matches("\u{2014} ledger.example/main ").count(), 3);
    assert_eq!(text.matches("\u{2014} ledger.example/main/validator2 ").count(), 1);
}

#[test]
fn only_signatures_of_this_checkpoint_by_members_count_each_once() {
    let cosigners = cosigners(4);
    let make = |signatures: &[Cosignature]| cosigners.assemble(&checkpoint(), signatures);
    assert!(make(&signed_by(&[0, 1])).is_none());
    assert!(make(&signed_by(&[0, 1, 1])).is_none(), "one stands twice");
    assert!(make(&signed_by(&[0, 1, 9])).is_none(), "one is a stranger");
    let other = Checkpoint { size: 70_001, ..checkpoint() };
    let foreign = Cosignature::sign(&other, 9, &secret(2), TIME);
    assert!(make(&[signed_by(&[0, 1]), vec![foreign]].concat()).is_none(), "one is of another size");
    let elsewhere = Checkpoint { origin: "ledger.example/other".into(), ..checkpoint() };
    assert!(cosigners.assemble(&elsewhere, &signed_by(&[0, 1, 2])).is_none());
    let all = make(&[signed_by(&[0, 1, 2, 3]), signed_by(&[1]), vec![foreign]].concat()).unwrap();
    assert_eq!(cosigners.verify(&all).unwrap().signers().len(), 4);
}

#[test]
fn a_lone_validator_is_its_own_quorum() {
    let text = cosigners(1).assemble(&checkpoint(), &signed_by(&[0])).unwrap();
    assert!(cosigners(1).verify(&text).is_ok());
}

/// The signature lines of a note.
fn lines(text: &str) -> Vec<&str> {
    text.split_once("\n\n").unwrap().1.split_inclusive('\n').collect()
}

/// The note's text with these signature lines.
fn with_lines(lines: &[&str]) -> String {
    checkpoint().body() + "\n" + &lines.concat()
}

#[test]
fn notes_that_are_no_final_checkpoint_are_refused_and_say_why() {
    let good = note(&[0, 1, 2]);
    let own = lines(&good);
    let body = checkpoint().body();
    let line = |name: &str, bytes: &[u8]| format!("\u{2014} {name} {}\n", STANDARD.encode(bytes));
    let log_id = |n: u8| cosigners(4).members()[usize::from(n)].log_key().id();
    // A log signature under the key that its id names, of another text.
    let (foreign, _) = Checkpoint { size: 3, ..checkpoint() }.sign(&secret(3), TIME);
    let wrong = line(ORIGIN, &[log_id(3).as_slice(), &foreign.0].concat());
    let short = line(ORIGIN, &[log_id(3).as_slice(), &foreign.0[..63]].concat());
    let unknown = line("witness.example/w1", &[9; 76]);
    let empty = line(ORIGIN, &log_id(3));
    let many = std::iter::repeat_n(unknown.as_str(), SIGNATURE_LINES_MAX + 1).collect::<Vec<_>>();
    type Is = fn(&NoteError) -> bool;
    let form: Is = |error| matches!(error, NoteError::Form { .. });
    let text: Is = |error| matches!(error, NoteError::Body { .. });
    let unread: Is = |error| matches!(error, NoteError::Line { .. });
    let unfit: Is = |error| matches!(error, NoteError::BadSignature { line: 7, .. });
    let few: Is = |error| matches!(error, NoteError::NoQuorum { found: 2, quorum: 3 });
    let cases: Vec<(&str, String, Is)> = vec![
        ("nothing", String::new(), form),
        ("no signatures", body.clone() + "\n", form),
        ("no empty line", good.replacen("\n\n", "\n", 1), form),
        ("no last line end", good.trim_end().to_string(), form),
        ("an empty line at its end", good.clone() + "\n", form),
        ("a carriage return", good.replace('\n', "\r\n"), form),
        ("a zero byte", good.replacen("main", "ma\0n", 1), form),
        ("too long", good.clone() + &"x".repeat(NOTE_BYTES_MAX), |e| {
            matches!(e, NoteError::TooLong { what: "bytes", .. })
        }),
        ("too many lines", with_lines(&many), |e| matches!(e, NoteError::TooLong { what: "signatures", .. })),
        ("two lines", good.replacen("70000\n", "", 1), text),
        ("an extension", good.replacen("\n\n", "\nmore\n\n", 1), text),
        ("an empty line more", good.replacen("\n\n", "\n\n\n", 1), text),
        ("no origin", good.replacen(ORIGIN, "", 1), text),
        ("a size with a zero", good.replacen("70000", "070000", 1), text),
        ("a size with a sign", good.replacen("70000", "+70000", 1), text),
        ("no size", good.replacen("70000", "", 1), text),
        ("a size beyond all", good.replacen("70000", "9223372036854775808", 1), text),
        ("a size beyond a number", good.replacen("70000", "18446744073709551616", 1), text),
        ("a root without padding", good.replacen("=\n\n", "\n\n", 1), text),
        ("a root with loose bits", good.replacen("c=\n\n", "d=\n\n", 1), text),
        ("a root of 31 bytes", good.replacen("BwcH", "", 1), text),
        ("another origin", good.replacen(ORIGIN, "ledger.example/mainx", 1), |e| {
            matches!(e, NoteError::OtherOrigin { .. })
        }),
        ("another size", good.replacen("70000", "70001", 1), |e| matches!(e, NoteError::BadSignature { line: 1, .. })),
        ("a hyphen for the dash", good.replacen('\u{2014}', "-", 1), unread),
        ("two spaces", good.replacen("\u{2014} ", "\u{2014}  ", 1), unread),
        ("a name with `+`", good.replacen("\u{2014} ledger", "\u{2014} led+ger", 1), unread),
        ("a name with a wide space", good.replacen("\u{2014} ledger", "\u{2014} led\u{3000}ger", 1), unread),
        ("no signature after the id", with_lines(&[&own[..], &[&empty]].concat()), unread),
        ("a line of words", with_lines(&[&own[..], &["\u{2014} name words\n"]].concat()), unread),
        ("a known key that signed another text", with_lines(&[&own[..], &[&wrong]].concat()), unfit),
        ("a known key whose signature is cut", with_lines(&[&own[..], &[&short]].concat()), unfit),
        ("one line twice", with_lines(&[&own[..], &[own[0]]].concat()), |e| {
            matches!(e, NoteError::Repeated { line: 7, .. })
        }),
        ("one cosignature twice", with_lines(&[&own[..], &[own[5]]].concat()), |e| {
            matches!(e, NoteError::Repeated { line: 7, .. })
        }),
        ("one without its log signature", with_lines(&own[1..]), few),
        ("one without its cosignature", with_lines(&own[..5]), few),
        ("strangers instead", with_lines(&[own[0], own[1], own[3], own[4], &unknown]), few),
    ];
    for (case, changed, is) in cases {
        let found = cosigners(4).verify(&changed);
        assert!(found.as_ref().is_err_and(is), "{case}: {found:?}");
    }
    // Lines of keys that nobody here knows are passed over.
    assert!(cosigners(4).verify(&with_lines(&[&own[..], &[&unknown]].concat())).is_ok());
}

#[test]
fn every_flip_of_a_byte_is_refused() {
    let good = note(&[0, 1, 3]);
    for at in 0..good.len() {
        for flip in [0x01, 0x20, 0x80] {
            let mut bytes = good.clone().into_bytes();
            bytes[at] ^= flip;
            // What is no text is no note.
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            assert!(cosigners(4).verify(&changed).is_err(), "byte {at} flipped with {flip:#x}");
        }
    }
}

#[test]
fn a_key_that_was_searched_for_to_share_an_id_spoils_nothing() {
    // As if validator 1 had found a key whose log id is that of validator 0: the line names both.
    let member = |n: u8| cosigners(4).members()[usize::from(n)].clone();
    let members: Vec<Cosigner> = (0..4).map(member).collect();
    let twin = Cosigners::new(ORIGIN, vec![members[0].with_log_id(members[1].log_key().id()), members[1].clone()], 2);
    for signers in [[0, 1], [1, 0]] {
        let text = twin.assemble(&checkpoint(), &signed_by(&signers)).unwrap();
        assert_eq!(twin.verify(&text).unwrap().signers().len(), 2);
    }
}

#[test]
fn no_origin_makes_the_two_texts_meet_each_other_or_anything_else_of_ours() {
    for origin in ["cosignature/v1", "a", "time 5", "writ/vote/v1", "subtree/v1"] {
        let one = Checkpoint { origin: origin.into(), ..checkpoint() };
        let (body, cosigned) = (one.body(), one.cosigned_bytes(5));
        assert!(Checkpoint::from_body(&cosigned).is_err());
        for text in [&body, &cosigned] {
            assert!(Domain::ALL.iter().all(|domain| !text.as_bytes().starts_with(domain.tag())), "{origin}");
            assert!(!text.as_bytes().contains(&0), "every tag of ours ends with a zero byte");
        }
    }
}

#[test]
#[should_panic(expected = "what is signed reads as what was meant")]
fn an_origin_of_two_lines_is_never_signed() {
    let two = Checkpoint { origin: "cosignature/v1\ntime 5".into(), ..checkpoint() };
    two.sign(&secret(1), TIME);
}

#[test]
fn a_cosignature_travels_in_one_form_and_is_of_one_key_log_size_root_and_time() {
    let one = signed_by(&[3])[0];
    let bytes = one.encode();
    assert_eq!(bytes.len(), Cosignature::BYTES);
    assert_eq!(Cosignature::decode(&bytes), Ok(one));
    let key = secret(3).public();
    assert_eq!(one.verify(ORIGIN, &key), Ok(()));
    assert!(one.verify("ledger.example/other", &key).is_err());
    assert!(one.verify(ORIGIN, &secret(2).public()).is_err());
    for changed in [
        Cosignature { size: one.size + 1, ..one },
        Cosignature { root: Digest([8; 32]), ..one },
        Cosignature { time: one.time + 1, ..one },
        Cosignature { key: secret(2).public().id(), ..one },
        Cosignature { log_signature: one.cosignature, ..one },
        Cosignature { cosignature: one.log_signature, ..one },
    ] {
        assert!(changed.verify(ORIGIN, &key).is_err(), "{changed:?}");
    }
    for changed in [Cosignature { size: 1 << 63, ..one }, Cosignature { time: 1 << 63, ..one }] {
        assert!(Cosignature::decode(&changed.encode()).is_err(), "{changed:?}");
    }
    for length in (0..bytes.len()).chain([bytes.len() + 1, 4096]) {
        let cut: Vec<u8> = bytes.iter().copied().chain(std::iter::repeat(0)).take(length).collect();
        assert!(Cosignature::decode(&cut).is_err(), "{length} bytes");
    }
}

#[test]
fn a_policy_reads_back_and_a_note_is_judged_by_it_alike() {
    for n in [1, 2, 4, 7, 128] {
        let own = cosigners(n);
        let policy = own.to_policy();
        assert_eq!(Cosigners::from_policy(&policy), Ok(own), "{n} validators");
    }
    let spaced = "# ours\n\n\t".to_string() + &cosigners(4).to_policy().replace(' ', " \t ");
    let read = Cosigners::from_policy(&spaced).unwrap();
    assert!(read.verify(&note(&[0, 1, 2])).is_ok());
}

#[test]
fn a_policy_that_says_more_or_less_is_refused() {
    let good = cosigners(4).to_policy();
    let (first, rest) = good.split_once('\n').unwrap();
    let witness = good.lines().nth(4).unwrap();
    let other = NoteKey::new("other.example/log".into(), KeyType::Log, secret(9).public()).to_vkey();
    let named = |name: &str| NoteKey::new(name.into(), KeyType::Cosigner, secret(0).public()).to_vkey();
    let elsewhere = format!("witness ledger.example/main/validator0 {}", named("ledger.example/mainvalidator0"));
    let twin = format!("witness ledger.example/main/validator0 {}", named("ledger.example/main/validator1"));
    for (case, changed) in [
        ("nothing", String::new()),
        ("two witnesses of one name", good.replace(witness, &twin)),
        ("no quorum", good.replace("quorum validators\n", "")),
        ("quorum none", good.replace("quorum validators", "quorum none")),
        ("the quorum of one witness", good.replace("quorum validators", "quorum ledger.example/main/validator0")),
        ("two quorums", good.clone() + "quorum validators\n"),
        ("a group of none", good.replace("validators 3", "validators 0")),
        ("a group of more than all", good.replace("validators 3", "validators 5")),
        ("a number with a zero", good.replace("validators 3", "validators 03")),
        ("a member that is missing", good.replace(" ledger.example/main/validator3\n", "\n")),
        ("a member twice", good.replace(" ledger.example/main/validator3\n", " ledger.example/main/validator2\n")),
        ("a log that is missing", rest.to_string()),
        ("a log twice", [first, "\n", &good].concat()),
        ("another log", format!("log {other}\n{good}")),
        ("a witness twice", good.replace("group", &[witness, "\ngroup"].concat())),
        ("a witness of another name", good.replace(witness, &elsewhere)),
        ("a key of the other type", good.replacen("log ledger", "witness x ledger", 1)),
        ("a key with another id", good.replacen("log ledger.example/main+", "log ledger.example/main+0", 1)),
        ("an unknown word", good.clone() + "witnes\n"),
        ("a control character", good.replacen(' ', " \u{b}", 1)),
        ("too long", good.clone() + &" ".repeat(POLICY_BYTES_MAX)),
    ] {
        assert!(Cosigners::from_policy(&changed).is_err(), "{case}");
    }
}

#[test]
fn bounds_hold_the_largest_note_and_policy() {
    let origin = "o".repeat(255);
    let named = |n: u8| ValidatorKeys { name: format!("{n:v<64}").parse().unwrap(), ..validator(n % 100) };
    let validators: Vec<_> = (0..128).map(named).collect();
    let cosigners = Cosigners::of(&origin, &validators);
    assert!(cosigners.to_policy().len() <= POLICY_BYTES_MAX);
    let (id, [a, b]) = ([0; 4], [Signature([0; 64]); 2]);
    let lines = cosigners
        .members()
        .iter()
        .map(|member| member.log_key().log_line(&a).len() + member.cosigner_key().cosignature_line(TIME_MAX, &b).len());
    assert!(lines.sum::<usize>() + 512 < NOTE_BYTES_MAX, "{id:?}");
}

proptest! {
    /// Whoever signs, in whatever order and with whatever damage: a note is made and opens just where a quorum of
    /// the validators signed it, and opens with the signers that were put in.
    #[test]
    fn a_note_is_made_and_opens_just_with_a_quorum(n in 1_u8..8, signs in prop::collection::vec(any::<bool>(), 8), drop in prop::option::of(0_usize..16)) {
        let cosigners = cosigners(n);
        let signers: Vec<u8> = (0..n).filter(|n| signs[usize::from(*n)]).collect();
        let made = cosigners.assemble(&checkpoint(), &signed_by(&signers));
        prop_assert_eq!(made.is_some(), signers.len() >= cosigners.quorum());
        if let Some(text) = made {
            prop_assert_eq!(cosigners.verify(&text).unwrap().signers().len(), signers.len());
            let all = lines(&text);
            if let Some(drop) = drop.filter(|drop| *drop < all.len()) {
                let kept: Vec<&str> = all.iter().enumerate().filter(|(at, _)| *at != drop).map(|(_, line)| *line).collect();
                let left = with_lines(&kept);
                prop_assert_eq!(cosigners.verify(&left).is_ok(), signers.len() > cosigners.quorum(), "without line {}", drop);
            }
        }
    }

    /// No text makes the readers panic, and what is read reads back.
    #[test]
    fn any_text_is_judged(text in "[a+/=\u{2014} \n0-9]{0,80}") {
        let _ = cosigners(1).verify(&text);
        let _ = Cosigners::from_policy(&text);
        if let Ok(read) = Checkpoint::from_body(&text) {
            prop_assert_eq!(read.body(), text);
        }
    }

    #[test]
    fn a_flipped_cosignature_is_refused(at in 8_usize..Cosignature::BYTES, bit in 0_u8..8) {
        let mut bytes = signed_by(&[1])[0].encode();
        bytes[at] ^= 1 << bit;
        let fits = Cosignature::decode(&bytes).is_ok_and(|read| read.verify(ORIGIN, &secret(1).public()).is_ok());
        prop_assert!(!fits);
    }
}
