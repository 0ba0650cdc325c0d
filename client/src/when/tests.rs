use proptest::prelude::*;

use super::*;

/// Sunday, 2026-11-22, a quarter past ten.
fn now() -> LedgerTime {
    "2026-11-22T10:15:03.120Z".parse().unwrap()
}

#[test]
fn what_people_write_means_what_they_mean() {
    for (text, want) in [
        ("now", "2026-11-22T10:15:03.120Z"),
        ("today", "2026-11-22T00:00:00Z"),
        ("today+0", "2026-11-22T00:00:00Z"),
        ("today+30", "2026-12-22T00:00:00Z"),
        ("tomorrow", "2026-11-23T00:00:00Z"),
        ("tomorrow+1", "2026-11-24T00:00:00Z"),
        ("yesterday", "2026-11-21T00:00:00Z"),
        ("yesterday+1", "2026-11-22T00:00:00Z"),
        ("+90s", "2026-11-22T10:16:33.120Z"),
        ("+30m", "2026-11-22T10:45:03.120Z"),
        ("+8h", "2026-11-22T18:15:03.120Z"),
        ("+2d", "2026-11-24T10:15:03.120Z"),
        ("+1w", "2026-11-29T10:15:03.120Z"),
        ("+1d12h30m", "2026-11-23T22:45:03.120Z"),
        ("-8h", "2026-11-22T02:15:03.120Z"),
        ("2026-12-01", "2026-12-01T00:00:00Z"),
        ("2026-12-01T08:30:00.5Z", "2026-12-01T08:30:00.500Z"),
    ] {
        assert_eq!(parse_at(text, now()).map(|time| time.to_string()), Ok(want.into()), "{text}");
    }
}

#[test]
fn what_is_no_time_is_refused_and_said_so() {
    for (text, want) in [
        ("", "is no time"),
        ("noon", "is no time"),
        ("Now", "is no time"),
        (" now", "is no time"),
        ("now+1", "is no time"),
        ("tomorrow1", "is no time"),
        ("tomorrow+", "is no time"),
        ("tomorrow+-1", "is no time"),
        ("tomorrow+1h", "is no time"),
        ("tomorrow-1", "is no time"),
        ("8h", "is no date"),
        ("+8", "is no length of time"),
        ("+", "is no length of time"),
        ("+h", "is no length of time"),
        ("+8H", "is no length of time"),
        ("+8 h", "is no length of time"),
        ("+1.5h", "is no length of time"),
        ("+1h1h", "is no length of time"),
        ("+30m1h", "is no length of time"),
        ("+9999999999s", "is no length of time"),
        ("--8h", "is no length of time"),
        ("2026-11-31", "no day"),
        ("2026-11-22T10:15:03", "expected `Z`"),
        ("2026-11-22T10:15:03+01:00", "expected `Z`"),
        ("+999999999w", "leads out of the years"),
        ("today+999999999", "leads out of the years"),
        ("-999999999h", "leads out of the years"),
    ] {
        let error = parse_at(text, now()).expect_err(text).to_string();
        assert!(error.contains(want), "{text}: {error}");
    }
}

#[test]
fn a_day_has_no_time_before_the_epoch() {
    let early = LedgerTime::from_millis(5).unwrap();
    assert_eq!(parse_at("today", early), Ok(LedgerTime::EPOCH));
    assert!(parse_at("yesterday", early).is_err());
    assert!(parse_at("-1s", early).is_err());
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_fall(text in ".{0,40}") {
        let _ = parse_at(&text, now());
    }

    #[test]
    fn an_instant_reads_back(millis in 0..=LedgerTime::MAX.as_millis()) {
        let time = LedgerTime::from_millis(millis).unwrap();
        prop_assert_eq!(time.to_string().parse::<When>(), Ok(When::At(time)));
    }

    /// Relative times move with the clock, absolute ones do not.
    #[test]
    fn only_relative_times_depend_on_the_clock(hours in 0..100_000_u32, shift in 1..1_000_000_u64) {
        let later = now().saturating_add_millis(shift);
        let relative: When = format!("+{hours}h").parse().unwrap();
        prop_assert!(relative.is_relative());
        prop_assert_eq!(relative.resolve(later).unwrap().millis_since(relative.resolve(now()).unwrap()), shift);
        let absolute: When = "2026-12-01".parse().unwrap();
        prop_assert!(!absolute.is_relative());
        prop_assert_eq!(absolute.resolve(later), absolute.resolve(now()));
    }
}
