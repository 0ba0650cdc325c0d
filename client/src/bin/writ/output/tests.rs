use writ_proto::api::{Entry, RevokedBy};
use writ_proto::record::{Effect, RecordId};
use writ_proto::time::LedgerTime;

use super::*;

fn time(text: &str) -> LedgerTime {
    text.parse().unwrap()
}

fn now() -> LedgerTime {
    time("2026-11-22T10:15:03.120Z")
}

/// An open grant, added an hour ago.
fn entry() -> Entry {
    Entry {
        sub: "1234-org2".into(),
        obj: "file.dat".into(),
        act: "*".into(),
        access: Effect::Grant,
        iss: None,
        exp: None,
        issuing_auth: "org1".parse().unwrap(),
        added: time("2026-11-22T09:15:03.120Z"),
        reference: None,
        cond: None,
        id: RecordId(Digest([0xab; 32])),
        set: None,
        index: 5,
        height: 2,
        revoked: None,
        outcome: None,
    }
}

#[test]
fn times_are_told_as_people_think_of_them() {
    const H: u64 = 3_600_000;
    for (millis, after, before) in [
        (0, "just now", "just now"),
        (999, "just now", "just now"),
        (1_000, "in 1 s", "1 s ago"),
        (119_400, "in 119 s", "119 s ago"),
        (120_000, "in 2 min", "2 min ago"),
        (8 * H - 50, "in 8 h", "8 h ago"),
        (47 * H, "in 47 h", "47 h ago"),
        (48 * H, "in 2 days", "2 days ago"),
        (59 * 24 * H, "in 59 days", "59 days ago"),
        (90 * 24 * H, "in 3 months", "3 months ago"),
        (729 * 24 * H, "in 24 months", "24 months ago"),
        (10 * 365 * 24 * H, "in 10 years", "10 years ago"),
    ] {
        assert_eq!(ago(now().saturating_add_millis(millis), now()), after, "{millis}");
        assert_eq!(ago(now().saturating_sub_millis(millis), now()), before, "{millis}");
    }
    assert_eq!(beside(time("2026-11-23T00:00:00Z"), now()), "2026-11-23T00:00:00Z (in 14 h)");
}

#[test]
fn an_entry_tells_when_it_holds() {
    let revoked = |at: &str| Some(RevokedBy { by: RecordId(Digest([1; 32])), height: 3, at: time(at) });
    let (yesterday, tomorrow, later) =
        (Some(time("2026-11-21T10:15:03Z")), Some(time("2026-11-23T00:00:00Z")), Some(time("2026-11-24T00:00:00Z")));
    for (case, entry, want) in [
        ("open", entry(), "since 2026-11-22T09:15:03.120Z (60 min ago)"),
        (
            "begun before it was added",
            Entry { iss: yesterday, ..entry() },
            "since 2026-11-22T09:15:03.120Z (60 min ago)",
        ),
        ("bounded", Entry { exp: tomorrow, ..entry() }, "until 2026-11-23T00:00:00Z (in 14 h)"),
        ("scheduled", Entry { iss: tomorrow, ..entry() }, "from 2026-11-23T00:00:00Z (in 14 h)"),
        (
            "scheduled and bounded",
            Entry { iss: tomorrow, exp: later, ..entry() },
            "from 2026-11-23T00:00:00Z (in 14 h) until 2026-11-24T00:00:00Z",
        ),
        (
            "ended",
            Entry { exp: Some(time("2026-11-22T10:00:00Z")), ..entry() },
            "ended 2026-11-22T10:00:00Z (15 min ago)",
        ),
        (
            "ended too early",
            Entry { exp: yesterday, ..entry() },
            "never: it ended 2026-11-21T10:15:03Z before it was added",
        ),
        (
            "revoked",
            Entry { revoked: revoked("2026-11-22T10:10:03.120Z"), exp: tomorrow, ..entry() },
            "revoked 2026-11-22T10:10:03.120Z (5 min ago)",
        ),
        (
            "revoked before it began",
            Entry { iss: tomorrow, revoked: revoked("2026-11-22T10:10:03.120Z"), ..entry() },
            "never: revoked 5 min ago",
        ),
        ("rejected", Entry { outcome: Some("out_of_scope".into()), ..entry() }, "never: rejected (out_of_scope)"),
        (
            "accepted",
            Entry { outcome: Some("accepted".into()), ..entry() },
            "since 2026-11-22T09:15:03.120Z (60 min ago)",
        ),
    ] {
        assert_eq!(holds(&entry, now()), want, "{case}");
    }
}

#[test]
fn an_entry_is_a_sentence() {
    let with = |act: &str, access| Entry { act: act.into(), access, ..entry() };
    for (entry, want) in [
        (with("*", Effect::Grant), "org1 grants 1234-org2 every action on file.dat"),
        (with("read", Effect::Grant), "org1 grants 1234-org2 `read` on file.dat"),
        (with("*", Effect::Deny), "org1 denies 1234-org2 every action on file.dat"),
        (with("member", Effect::Grant), "org1 makes 1234-org2 a member of file.dat"),
        (with("member", Effect::Deny), "org1 denies 1234-org2 the membership of file.dat"),
    ] {
        assert_eq!(sentence(&entry), want);
    }
}

#[test]
fn an_entry_at_length_is_as_it_was_looked_at() {
    let entry = Entry { reference: Some("T-17".into()), exp: Some(time("2026-11-24T00:00:00Z")), ..entry() };
    let id = "ab".repeat(32);
    assert_eq!(
        fields(Style::PLAIN, &entry_fields(Style::PLAIN, &entry, now())),
        format!(
            "sub          1234-org2\n\
             obj          file.dat\n\
             act          *\n\
             access       granted\n\
             holds        until 2026-11-24T00:00:00Z (in 38 h)\n\
             iss          none: from when it was added\n\
             exp          2026-11-24T00:00:00Z (in 38 h)\n\
             issuingAuth  org1\n\
             added        2026-11-22T09:15:03.120Z (60 min ago)\n\
             ref          T-17\n\
             id           {id}\n\
             place        index 5, height 2\n"
        )
    );
}

#[test]
fn columns_stand_below_one_another_whatever_the_letters() {
    let mut table = Table::headed(&["index", "who", "what"]);
    table.row(vec![Cell::number(7), Cell::of("zoë"), Cell::of("x")]);
    table.row(vec![Cell::number(12345678), Cell::of("部長"), Cell::of("")]);
    assert_eq!(table.take(Style::PLAIN), "index     who   what\n       7  zoë   x\n12345678  部長\n");
    // The widths stay for the rows to come.
    table.row(vec![Cell::number(1), Cell::of("a"), Cell::of("b")]);
    assert_eq!(table.take(Style::PLAIN), "       1  a     b\n");
}

#[test]
fn colours_are_around_the_text_and_not_counted() {
    let style = Style { colours: true };
    assert_eq!(style.green("granted"), "\u{1b}[1;32mgranted\u{1b}[0m");
    assert_eq!(Style::PLAIN.green("granted"), "granted");
    let mut table = Table::default();
    table.row(vec![Cell::of("a").painted(Style::red), Cell::of("b")]);
    table.row(vec![Cell::of("long"), Cell::of("b")]);
    assert_eq!(table.take(style), "\u{1b}[1;31ma\u{1b}[0m     b\nlong  b\n");
}

#[test]
fn what_would_steer_a_terminal_is_written_as_escapes() {
    for (text, want) in [
        ("plain, zoë, 部長", "plain, zoë, 部長"),
        ("\u{1b}[2J", "\\u{1b}[2J"),
        ("a\nb\tc\r", "a\\u{a}b\\u{9}c\\u{d}"),
        ("\u{9b}31m", "\\u{9b}31m"),
        ("a\u{202e}b", "a\\u{202e}b"),
        ("a\u{2066}b\u{feff}", "a\\u{2066}b\\u{feff}"),
    ] {
        assert_eq!(clean(text), want);
    }
}

#[test]
fn a_short_id_is_the_start_of_it() {
    assert_eq!(short(&Digest([0xab; 32])), "abababababab");
}
