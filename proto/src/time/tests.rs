use alloc::format;
use alloc::string::{String, ToString};

use proptest::prelude::*;

use super::*;

fn at(millis: u64) -> LedgerTime {
    LedgerTime::from_millis(millis).expect("a time of the ledger")
}

fn read(text: &str) -> Result<LedgerTime, TimeError> {
    text.parse()
}

#[test]
fn known_instants_are_written_and_read() {
    // The numbers are from `date -u -d TEXT +%s%3N`.
    for (text, millis) in [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.001Z", 1),
        ("1970-01-01T23:59:59.999Z", 86_399_999),
        ("1999-12-31T23:59:59Z", 946_684_799_000),
        ("2000-02-29T12:34:56.789Z", 951_827_696_789),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000),
        ("2026-11-22T10:15:03.120Z", 1_795_342_503_120),
        ("2026-11-23T00:00:00Z", 1_795_392_000_000),
        ("2100-03-01T00:00:00Z", 4_107_542_400_000),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
    ] {
        assert_eq!(at(millis).to_string(), text);
        assert_eq!(read(text), Ok(at(millis)));
    }
    assert_eq!(read("1970-01-01T00:00:00Z"), Ok(LedgerTime::EPOCH));
    assert_eq!(read("9999-12-31T23:59:59.999Z"), Ok(LedgerTime::MAX));
}

#[test]
fn short_fractions_are_read_and_written_in_full() {
    for (text, millis, written) in [
        ("1970-01-01T00:00:01.5Z", 1500, "1970-01-01T00:00:01.500Z"),
        ("1970-01-01T00:00:01.05Z", 1050, "1970-01-01T00:00:01.050Z"),
        ("1970-01-01T00:00:01.005Z", 1005, "1970-01-01T00:00:01.005Z"),
        ("1970-01-01T00:00:01.0Z", 1000, "1970-01-01T00:00:01Z"),
        ("1970-01-01T00:00:01.000Z", 1000, "1970-01-01T00:00:01Z"),
    ] {
        assert_eq!(read(text), Ok(at(millis)));
        assert_eq!(at(millis).to_string(), written);
    }
}

#[test]
fn every_other_form_is_refused_as_no_time() {
    for text in [
        "",
        "Z",
        "now",
        "2026-11-23",
        "2026-11-23T",
        "2026-11-23T00:00Z",
        "2026-11-23T00:00:0Z",
        "2026-11-23t00:00:00Z",
        "2026-11-23T00:00:00z",
        "2026-11-23 00:00:00Z",
        " 2026-11-23T00:00:00Z",
        "2026-11-23T00:00:00Z ",
        "2026-11-23T00:00:00Z\n",
        "2026-11-23T00:00:00ZZ",
        "2026-11-23T00:00:00 Z",
        "2026-11-23T00:00:00.Z",
        "2026-11-23T00:00:00,5Z",
        "2026-11-23T00:00:00.5.5Z",
        "2026-11-23T00:00:00.-1Z",
        "2026-1-23T00:00:00Z",
        "26-11-23T00:00:00Z",
        "+2026-11-23T00:00:00Z",
        "-2026-11-23T00:00:00Z",
        "12026-11-23T00:00:00Z",
        "2026/11/23T00:00:00Z",
        "2026-11-23T00.00.00Z",
        "20261123T000000Z",
        "1795392000000",
        "+026-11-23T00:00:00Z",
        "2026-11-23T00:00:0٣Z",
        "2026-11-23T00:00:00\0Z",
        "２０２６-11-23T00:00:00Z",
        "2026-11-23T00:00:0é",
    ] {
        assert_eq!(read(text), Err(TimeError::NotATime { found: text.into() }), "{text:?}");
    }
}

#[test]
fn offsets_are_refused_with_a_hint() {
    for (text, found) in [
        ("2026-11-23T00:00:00+00:00", "+00:00"),
        ("2026-11-23T00:00:00-00:00", "-00:00"),
        ("2026-11-23T00:00:00.5+02:00", "+02:00"),
        ("2026-11-23T00:00:00", ""),
        ("2026-11-23T00:00:00.123", ""),
    ] {
        let error = read(text).expect_err(text);
        assert_eq!(error, TimeError::NotUtc { found: found.into() });
        assert!(error.to_string().contains("in UTC"), "{error}");
    }
}

#[test]
fn a_finer_fraction_is_refused_and_not_rounded() {
    for (text, digits) in
        [("2026-11-23T00:00:00.0000Z", 4), ("2026-11-23T00:00:00.1234Z", 4), ("2026-11-23T00:00:00.999999999Z", 9)]
    {
        let error = read(text).expect_err(text);
        assert_eq!(error, TimeError::TooFine { digits });
        assert!(error.to_string().contains("no finer than a millisecond"), "{error}");
    }
}

#[test]
fn only_days_of_the_calendar_are_read() {
    for (year, month, day) in [
        (2026, 0, 1),
        (2026, 1, 0),
        (2026, 1, 32),
        (2026, 2, 29),
        (2026, 4, 31),
        (2026, 13, 1),
        (2100, 2, 29),
        (2024, 2, 30),
        (9999, 99, 99),
    ] {
        let text = format!("{year:04}-{month:02}-{day:02}");
        let error = TimeError::NoSuchDay { year, month, day };
        assert_eq!(read(&format!("{text}T00:00:00Z")), Err(error.clone()));
        assert_eq!(LedgerTime::parse_date(&text), Err(error.clone()));
        assert_eq!(LedgerTime::from_date(year, month, day), Err(error));
    }
    for text in ["2024-02-29", "2000-02-29", "2400-02-29", "9999-12-31"] {
        assert_eq!(LedgerTime::parse_date(text).map(|time| time.to_string()), Ok(format!("{text}T00:00:00Z")));
    }
    assert_eq!(read("1969-12-31T23:59:59.999Z"), Err(TimeError::TooEarly { year: 1969 }));
    assert_eq!(LedgerTime::parse_date("0000-01-01"), Err(TimeError::TooEarly { year: 0 }));
    assert_eq!(LedgerTime::from_date(10_000, 1, 1), Err(TimeError::NoSuchDay { year: 10_000, month: 1, day: 1 }));
}

#[test]
fn only_times_of_a_day_are_read() {
    for (hour, minute, second) in [(24, 0, 0), (0, 60, 0), (23, 59, 60), (99, 99, 99)] {
        let text = format!("2016-12-31T{hour:02}:{minute:02}:{second:02}Z");
        assert_eq!(read(&text), Err(TimeError::NoSuchTimeOfDay { hour, minute, second }), "{text}");
    }
}

#[test]
fn only_dates_are_read_as_dates() {
    for text in
        ["", "2026-11-23T00:00:00Z", "2026-11-2", "2026-11-233", "2026-1-023", "26-11-23", "today", "2026-11-2é"]
    {
        assert_eq!(LedgerTime::parse_date(text), Err(TimeError::NotADate { found: text.into() }), "{text:?}");
    }
}

#[test]
fn messages_quote_little_and_only_what_is_inert() {
    let text = "\x1b[2J".repeat(10_000);
    for error in [read(&text).expect_err("no time"), LedgerTime::parse_date(&text).expect_err("no date")] {
        let message = error.to_string();
        assert!(message.len() < 300 && !message.contains('\x1b'), "{message}");
    }
    let zone = format!("2026-11-23T00:00:00+{text}");
    let message = read(&zone).expect_err("no zone").to_string();
    assert!(message.len() < 300 && !message.contains('\x1b'), "{message}");
}

#[test]
fn nothing_is_later_than_the_last_instant() {
    let last = LedgerTime::MAX.as_millis();
    assert_eq!(LedgerTime::from_millis(last), Ok(LedgerTime::MAX));
    for found in [last + 1, u64::MAX] {
        assert_eq!(LedgerTime::from_millis(found), Err(TimeError::TooLate { found }));
    }
    for (start, millis, sum) in [
        (0, 0, Some(0)),
        (0, last, Some(last)),
        (0, last + 1, None),
        (1, last, None),
        (last, 0, Some(last)),
        (last, 1, None),
        (last, u64::MAX, None),
    ] {
        assert_eq!(at(start).checked_add_millis(millis), sum.map(at), "{start} + {millis}");
        assert_eq!(at(start).saturating_add_millis(millis), at(sum.unwrap_or(last)), "{start} + {millis}");
    }
    assert_eq!(at(5).saturating_sub_millis(2), at(3));
    assert_eq!(at(5).saturating_sub_millis(6), LedgerTime::EPOCH);
    assert_eq!((at(5).millis_since(at(2)), at(2).millis_since(at(5))), (3, 0));
}

#[test]
fn a_day_starts_at_midnight_utc() {
    for (text, start) in [
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
        ("2024-02-29T23:59:59.999Z", "2024-02-29T00:00:00Z"),
        ("2024-03-01T00:00:00Z", "2024-03-01T00:00:00Z"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T00:00:00Z"),
    ] {
        assert_eq!(read(text).map(LedgerTime::start_of_day), read(start), "{text}");
    }
}

#[test]
fn serde_carries_text_for_people_and_the_bare_number_elsewhere_and_checks_both() {
    assert_eq!(serde_json::to_string(&at(1500)).ok().as_deref(), Some("\"1970-01-01T00:00:01.500Z\""));
    assert_eq!(serde_json::from_str::<LedgerTime>("\"9999-12-31T23:59:59.999Z\"").ok(), Some(LedgerTime::MAX));
    for bad in ["1500", "-1", "null", "\"1500\"", "\"1970-01-01\"", "\"1970-01-01T00:00:00+00:00\""] {
        assert!(serde_json::from_str::<LedgerTime>(bad).is_err(), "{bad}");
    }
    let fixed = bincode::config::legacy();
    for (millis, bytes) in
        [(0x0102, [2, 1, 0, 0, 0, 0, 0, 0]), (LedgerTime::MAX.as_millis(), 253_402_300_799_999_u64.to_le_bytes())]
    {
        assert_eq!(bincode::serde::encode_to_vec(at(millis), fixed).ok().as_deref(), Some(&bytes[..]));
        assert_eq!(bincode::serde::decode_from_slice(&bytes, fixed).ok(), Some((at(millis), 8)));
    }
    for bad in [LedgerTime::MAX.as_millis() + 1, u64::MAX] {
        assert!(bincode::serde::decode_from_slice::<LedgerTime, _>(&bad.to_le_bytes(), fixed).is_err(), "{bad}");
    }
}

#[test]
fn an_interval_does_not_run_backwards() {
    assert_eq!(Interval::new(at(2), at(1)), Err(TimeError::Backwards { lo: at(2), hi: at(1) }));
    let interval = Interval::new(at(1), at(2)).expect("forwards");
    assert_eq!((interval.lo(), interval.hi()), (at(1), at(2)));
    assert_eq!(Interval::new(at(1), at(1)), Ok(Interval::at(at(1))));
}

#[test]
fn windows_hold_from_their_start_up_to_their_end() {
    // On [10, 20]: throughout, within.
    let interval = Interval::new(at(10), at(20)).expect("forwards");
    for (start, end, throughout, within) in [
        (10, Some(21), true, true),
        (10, Some(20), false, true),
        (11, Some(21), false, true),
        (0, None, true, true),
        (10, None, true, true),
        (11, None, false, true),
        (20, None, false, true),
        (21, None, false, false),
        (0, Some(10), false, false),
        (0, Some(11), false, true),
        (20, Some(21), false, true),
        (15, Some(16), false, true),
        (15, Some(15), false, false),
        (16, Some(15), false, false),
        (10, Some(10), false, false),
        (20, Some(11), false, false),
    ] {
        let window = Window { start: at(start), end: end.map(at) };
        assert_eq!(window.holds_throughout(interval), throughout, "{window:?}");
        assert_eq!(window.holds_within(interval), within, "{window:?}");
    }
}

proptest! {
    #[test]
    fn every_time_reads_back(millis in 0..=LedgerTime::MAX.as_millis()) {
        let time = at(millis);
        prop_assert_eq!(read(&time.to_string()), Ok(time));
        prop_assert_eq!(LedgerTime::parse_date(&time.to_string()[..10]), Ok(time.start_of_day()));
    }

    /// Text sorts as time does, as long as both are whole seconds: the form has a fixed width.
    #[test]
    fn whole_seconds_sort_as_text(a in 0..=LedgerTime::MAX.as_millis() / 1000, b in 0..=LedgerTime::MAX.as_millis() / 1000) {
        let (a, b) = (at(a * 1000), at(b * 1000));
        prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
    }

    #[test]
    fn what_is_read_is_written_with_all_its_digits(text in "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{1,4})?[Z+]") {
        if let Ok(time) = read(&text) {
            let full: String = match text.trim_end_matches('Z').split_once('.') {
                None => text.clone(),
                Some((whole, fraction)) => match format!("{fraction:0<3}").as_str() {
                    "000" => format!("{whole}Z"),
                    fraction => format!("{whole}.{fraction}Z"),
                },
            };
            prop_assert_eq!(time.to_string(), full);
        }
    }

    #[test]
    fn any_text_is_answered_without_a_panic(text in ".{0,40}") {
        let _ = (read(&text), LedgerTime::parse_date(&text));
    }

    /// Both rules of a window are what they say, instant by instant.
    #[test]
    fn windows_agree_with_instants(start in 0..12_u64, end in proptest::option::of(0..12_u64), lo in 0..12_u64, length in 0..6_u64) {
        let window = Window { start: at(start), end: end.map(at) };
        let interval = Interval::new(at(lo), at(lo + length)).expect("forwards");
        let holds = |t: u64| start <= t && end.is_none_or(|end| t < end);
        prop_assert_eq!(window.holds_throughout(interval), (lo..=lo + length).all(holds));
        prop_assert_eq!(window.holds_within(interval), (lo..=lo + length).any(holds));
        prop_assert_eq!(window.contains(at(lo)), holds(lo));
        prop_assert_eq!(window.is_empty(), !(0..100).any(holds));
    }
}
