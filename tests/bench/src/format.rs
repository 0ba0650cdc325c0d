//! Quantities as people read them: three significant digits and a fitting unit.

use crate::figure::{Goal, Unit};
use crate::stats::Summary;

/// One quantity, with its unit: `4.21 µs`, `12.3 k/s`, `1.5 GiB`.
pub(crate) fn quantity(value: f64, unit: Unit) -> String {
    let (value, suffix) = scaled(value, unit, value);
    format!("{}{suffix}", digits(value))
}

/// Median and spread in the unit that fits the median: `4.21 µs (4.10..4.52)`.
pub(crate) fn spread(summary: Summary, unit: Unit) -> String {
    let Summary { median, min, max } = summary;
    if min == max {
        return quantity(median, unit);
    }
    let of = |value| digits(scaled(value, unit, median).0);
    format!("{} ({}..{})", quantity(median, unit), of(min), of(max))
}

/// A ratio with its spread: `0.21 (0.19..0.24)`.
pub(crate) fn ratio(summary: Summary) -> String {
    let Summary { median, min, max } = summary;
    if min == max {
        return format!("{} ×", digits(median));
    }
    format!("{} × ({}..{})", digits(median), digits(min), digits(max))
}

/// What is to be reached: `at most 5.00 µs`.
pub(crate) fn goal(goal: Goal, unit: Unit) -> String {
    match goal {
        Goal::AtMost(bound) => format!("at most {}", quantity(bound, unit)),
        Goal::AtLeast(bound) => format!("at least {}", quantity(bound, unit)),
        Goal::RatioAtMost(bound) => format!("at most {} ×", digits(bound)),
        Goal::RatioAtLeast(bound) => format!("at least {} ×", digits(bound)),
    }
}

/// A number of things in full or in short, as in an id: `100k`, `1m`, `250`.
pub(crate) fn count(number: u64) -> String {
    match number {
        _ if number >= 1_000_000 && number.is_multiple_of(1_000_000) => format!("{}m", number / 1_000_000),
        _ if number >= 1_000 && number.is_multiple_of(1_000) => format!("{}k", number / 1_000),
        _ => number.to_string(),
    }
}

/// A number with spaces between its thousands, for people: `10 000 000`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// Three significant digits, without an exponent.
fn digits(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if size >= 100.0 || size == 0.0 => format!("{value:.0}"),
        _ if size >= 10.0 => format!("{value:.1}"),
        _ if size >= 1.0 => format!("{value:.2}"),
        _ if size >= 0.01 => format!("{value:.3}"),
        _ => format!("{value:.5}"),
    }
}

/// `value` in the unit that fits `like`, and that unit.
fn scaled(value: f64, unit: Unit, like: f64) -> (f64, &'static str) {
    let steps: &[(f64, &str)] = match unit {
        Unit::Nanoseconds => &[(1e9, " s"), (1e6, " ms"), (1e3, " µs"), (1.0, " ns")],
        Unit::Seconds => &[(1.0, " s"), (1e-3, " ms"), (1e-6, " µs")],
        Unit::PerSecond => &[(1e6, " M/s"), (1e3, " k/s"), (1.0, " /s")],
        Unit::Bytes => &[(1_073_741_824.0, " GiB"), (1_048_576.0, " MiB"), (10_240.0 / 10.0, " KiB"), (1.0, " B")],
        Unit::Count => &[(1e6, " M"), (1e3, " k"), (1.0, "")],
        Unit::Share => &[(0.01, " %")],
    };
    let fitting = steps.iter().find(|(step, _)| like.abs() >= *step).or(steps.last());
    fitting.map_or((value, ""), |(step, suffix)| (value / step, *suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_has_three_digits_and_a_fitting_unit() {
        for (value, unit, text) in [
            (950.0, Unit::Nanoseconds, "950 ns"),
            (4_210.0, Unit::Nanoseconds, "4.21 µs"),
            (12_340_000.0, Unit::Nanoseconds, "12.3 ms"),
            (12_345.0, Unit::PerSecond, "12.3 k/s"),
            (250.0, Unit::Bytes, "250 B"),
            (3_221_225_472.0, Unit::Bytes, "3.00 GiB"),
            (0.25, Unit::Share, "25.0 %"),
            (0.004, Unit::Share, "0.400 %"),
            (0.0, Unit::Count, "0"),
            (23.5, Unit::Count, "23.5"),
        ] {
            assert_eq!(quantity(value, unit), text);
        }
    }

    #[test]
    fn a_spread_keeps_the_unit_of_its_median() {
        let summary = Summary { median: 1_500.0, min: 900.0, max: 12_000.0 };
        assert_eq!(spread(summary, Unit::Nanoseconds), "1.50 µs (0.900..12.0)");
        assert_eq!(spread(Summary { median: 2.0, min: 2.0, max: 2.0 }, Unit::Count), "2.00");
    }

    #[test]
    fn counts_are_short_in_ids_and_grouped_for_people() {
        assert_eq!([count(100_000), count(10_000_000), count(1_234)], ["100k", "10m", "1234"]);
        assert_eq!(grouped(10_000_000), "10\u{202f}000\u{202f}000");
        assert_eq!(grouped(999), "999");
    }
}
