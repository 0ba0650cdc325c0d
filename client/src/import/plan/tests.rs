use writ_proto::name::{ActionPattern, Pattern, Side};

use super::*;
use crate::import::rows::{Format, read};

fn org1() -> AuthorityName {
    "org1".parse().unwrap()
}

fn chain() -> Digest {
    Digest([1; 32])
}

fn now() -> LedgerTime {
    "2026-11-22T10:15:03.120Z".parse().unwrap()
}

fn rows(text: &str) -> Vec<Row> {
    read(format!("sub,obj,access,iss,exp\n{text}").as_bytes(), Format::Csv, &org1()).unwrap()
}

fn draft(text: &str, kept: &[Kept]) -> Result<Draft, Mismatch> {
    Draft::new(&rows(text), kept, &chain(), &org1(), now())
}

fn key(sub: &str) -> Key {
    Key {
        sub: Pattern::parse(sub, Side::Subject).unwrap(),
        obj: Pattern::parse("f", Side::Object).unwrap(),
        act: ActionPattern::Any,
    }
}

fn target(n: u8) -> Target {
    Target { id: RecordId(Digest([n; 32])), effect: Effect::Grant }
}

fn id(plan: &Plan, row: usize) -> RecordId {
    match &plan.rows[row].deed {
        Ok(Deed::State { id, .. }) => *id,
        other => panic!("{other:?}"),
    }
}

fn targets(plan: &Plan, row: usize) -> Vec<RecordId> {
    match &plan.rows[row].deed {
        Ok(Deed::Withdraw { targets }) => targets.iter().map(|target| target.id).collect(),
        other => panic!("{other:?}"),
    }
}

/// What the journal holds after the plan's rows were added.
fn kept_after(plan: &Plan, before: &[Kept]) -> Vec<Kept> {
    let mut kept = before.to_vec();
    for (at, row) in &plan.fresh {
        kept.insert(*at, row.clone());
    }
    kept
}

#[test]
fn the_nonce_of_a_row_is_pinned() {
    let nonce = |text: &[u8], ordinal| hex::encode(nonce_of(&chain(), &org1(), text, ordinal).0);
    // Changing these would add every imported row once more.
    assert_eq!(nonce(b"alice,file", 0), GOLDEN_NONCES[0]);
    assert_eq!(nonce(b"alice,file", 1), GOLDEN_NONCES[1]);
    assert_eq!(nonce(br#"{"sub":"a","obj":"b"}"#, 0), GOLDEN_NONCES[2]);
}

/// From another program, which knows only the documented bytes.
const GOLDEN_NONCES: [&str; 3] =
    ["e00cb14cf3c3a9a9dd646ef559a7ed3a", "c3aec524ac4e7f4c0f6b930a19fec047", "8089e6248b0bdbad22e41f821bc6b3fc"];

#[test]
fn a_nonce_hangs_on_chain_authority_text_and_ordinal() {
    let org = |name: &str| name.parse::<AuthorityName>().unwrap();
    let all = [
        nonce_of(&chain(), &org1(), b"a,b", 0),
        nonce_of(&Digest([2; 32]), &org1(), b"a,b", 0),
        nonce_of(&chain(), &org("org"), b"a,b", 0),
        nonce_of(&chain(), &org("org"), b"1a,b", 0),
        nonce_of(&chain(), &org1(), b"a,", 0),
        nonce_of(&chain(), &org1(), b"a,b", 1),
        nonce_of(&chain(), &org1(), b"a,b\x01", 0),
    ];
    for (at, nonce) in all.iter().enumerate() {
        assert!(!all[..at].contains(nonce), "{at}");
    }
}

#[test]
fn a_withdrawal_ends_what_earlier_rows_made_and_what_was_there() {
    let text =
        "a,f,granted,,\nb,f,granted,,\na,f,denied,,\na,f,revoked,,\na,f,granted,,\na,f,revoked,,\na,f,revoked,,\n";
    let draft = draft(text, &[]).unwrap();
    assert_eq!(draft.keys_to_look_up(), BTreeSet::from([key("a")]));
    let found = Found::from([(key("a"), vec![target(7)]), (key("b"), vec![target(8)])]);
    let plan = draft.complete(found);
    assert_eq!(targets(&plan, 3), [target(7).id, id(&plan, 0), id(&plan, 2)]);
    assert_eq!(targets(&plan, 5), [id(&plan, 4)]);
    assert_eq!(targets(&plan, 6), [], "nothing is withdrawn twice");
    assert_eq!(plan.fresh[3].1.resolved.found, [target(7)], "the journal keeps what was there");
    assert_eq!(plan.fresh[5].1.resolved.found, []);
}

#[test]
fn what_a_later_row_makes_is_not_withdrawn_even_if_it_is_there_already() {
    let text = "a,f,revoked,,\na,f,granted,,\n";
    let plan = draft(text, &[]).unwrap().complete(Found::new());
    let already = Target { id: id(&plan, 1), effect: Effect::Grant };
    let again = draft(text, &[]).unwrap().complete(Found::from([(key("a"), vec![already, target(3)])]));
    assert_eq!(targets(&again, 0), [target(3).id]);
}

#[test]
fn only_the_same_subject_object_and_action_is_withdrawn() {
    let rows = read(
        b"sub,obj,act,access\na,f,,granted\na,f,read,granted\na,g,,granted\nuser:a,resource:f,*,granted\na,f,,revoked\na/*,f,,granted\n",
        Format::Csv,
        &org1(),
    );
    let plan = Draft::new(&rows.unwrap(), &[], &chain(), &org1(), now()).unwrap().complete(Found::new());
    assert_eq!(targets(&plan, 4), [id(&plan, 0), id(&plan, 3)], "spelling does not matter, `*` is left out or written");
}

#[test]
fn relative_times_mean_what_they_meant_at_first() {
    let text = "a,f,granted,tomorrow,tomorrow+1\nb,f,granted,2027-01-01,\n";
    let first = draft(text, &[]).unwrap().complete(Found::new());
    let kept = kept_after(&first, &[]);
    assert_eq!(kept[0].resolved.iss, Some("2026-11-23T00:00:00Z".parse().unwrap()));
    assert_eq!(kept[0].resolved.exp, Some("2026-11-24T00:00:00Z".parse().unwrap()));
    let a_week_later = now().saturating_add_millis(7 * 86_400_000);
    let again = Draft::new(&rows(text), &kept, &chain(), &org1(), a_week_later).unwrap().complete(Found::new());
    assert_eq!(again.rows, first.rows);
    assert_eq!(again.fresh, []);
    let anew = Draft::new(&rows(text), &[], &chain(), &org1(), a_week_later).unwrap().complete(Found::new());
    assert_ne!(id(&anew, 0), id(&first, 0), "a relative time means something else a week later");
    assert_eq!(id(&anew, 1), id(&first, 1), "an absolute one does not");
}

#[test]
fn what_was_found_at_first_is_not_looked_up_again() {
    let text = "a,f,revoked,,\n";
    let first = draft(text, &[]).unwrap().complete(Found::from([(key("a"), vec![target(1)])]));
    let kept = kept_after(&first, &[]);
    let again = draft(text, &kept).unwrap();
    assert_eq!(again.keys_to_look_up(), BTreeSet::new());
    let again = again.complete(Found::from([(key("a"), vec![target(2)])]));
    assert_eq!(targets(&again, 0), [target(1).id]);
}

#[test]
fn a_file_may_grow_and_refused_rows_may_change_but_sent_rows_may_not() {
    let before = "a,f,granted,,\nbad*,f,granted,,\nb,f,granted,,\n";
    let first = draft(before, &[]).unwrap().complete(Found::new());
    assert!(first.rows[1].deed.is_err());
    let kept = kept_after(&first, &[]);
    assert_eq!(kept.len(), 2);
    for (case, text, want) in [
        ("as it was", before, Ok(0)),
        ("grown at its end", "a,f,granted,,\nbad*,f,granted,,\nb,f,granted,,\nc,f,granted,,\n", Ok(1)),
        ("the bad row corrected", "a,f,granted,,\ngood,f,granted,,\nb,f,granted,,\n", Ok(1)),
        ("the bad row taken out", "a,f,granted,,\nb,f,granted,,\n", Ok(0)),
        ("grown in between", "z,f,granted,,\na,f,granted,,\ny,f,granted,,\nb,f,granted,,\n", Ok(2)),
        ("a row changed", "a,g,granted,,\nb,f,granted,,\n", Err(Mismatch::Missing { line: 2 })),
        ("a row taken out", "a,f,granted,,\n", Err(Mismatch::Missing { line: 4 })),
        ("two rows swapped", "b,f,granted,,\na,f,granted,,\n", Err(Mismatch::Reordered { line: 2 })),
        ("another file", "c,f,granted,,\n", Err(Mismatch::Missing { line: 2 })),
    ] {
        match (draft(text, &kept).map(|draft| draft.complete(Found::new())), want) {
            (Ok(plan), Ok(fresh)) => {
                assert_eq!(plan.fresh.len(), fresh, "{case}");
                let good: Vec<_> = plan.rows.iter().filter(|row| row.deed.is_ok()).map(|row| row.nonce).collect();
                let journal: Vec<_> = kept_after(&plan, &kept).iter().map(|kept| kept.nonce).collect();
                assert_eq!(journal, good, "{case}: the journal is in file order");
            }
            (Err(found), Err(want)) => assert_eq!(found, want, "{case}"),
            (found, want) => panic!("{case}: {found:?}, expected {want:?}"),
        }
    }
}

#[test]
fn a_row_that_is_put_in_between_takes_part_in_what_follows() {
    let first = draft("a,f,granted,,\na,f,revoked,,\n", &[]).unwrap().complete(Found::new());
    let kept = kept_after(&first, &[]);
    let text = "a,f,granted,,\na,f,denied,,\na,f,revoked,,\n";
    let grown = draft(text, &kept).unwrap().complete(Found::new());
    assert_eq!(targets(&grown, 2), [id(&grown, 0), id(&grown, 1)]);
}

#[test]
fn times_that_make_no_sense_refuse_their_row() {
    for (text, want) in [
        ("a,f,granted,tomorrow,tomorrow\n", "exp"),
        ("a,f,granted,2027-01-01,2026-12-01\n", "exp"),
        ("a,f,granted,+999999999w,\n", "iss"),
        ("a,f,granted,,+999999999w\n", "exp"),
        ("a,f,revoked,tomorrow,\n", "iss"),
    ] {
        let plan = draft(text, &[]).unwrap().complete(Found::new());
        match &plan.rows[0].deed {
            Err(fault) => assert_eq!(fault.field.as_deref(), Some(want), "{text}"),
            other => panic!("{text}: {other:?}"),
        }
        assert_eq!(plan.fresh, [], "{text}");
    }
    for text in ["a,f,revoked,now,\n", "a,f,revoked,2016-01-01,\n"] {
        assert!(draft(text, &[]).unwrap().complete(Found::new()).rows[0].deed.is_ok(), "{text}");
    }
}
