//! Days since the epoch, and days of the calendar.
//!
//! Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil` and
//! `civil_from_days`. The names are his; negative years are left out, because no time of the ledger is
//! before 1970. The year begins in March here, so that the leap day is its last day, and 400 years (an
//! *era*) always have the same number of days.

/// The year of the epoch.
pub(super) const FIRST_YEAR: u16 = 1970;
/// The last year of four digits.
pub(super) const LAST_YEAR: u16 = 9999;

const DAYS_OF_ERA: u32 = 146_097;
/// Days from 0000-03-01, where the first era starts, to 1970-01-01.
const DAYS_TO_EPOCH: u32 = 719_468;

/// Whether the calendar has this day.
pub(super) fn is_day(year: u32, month: u32, day: u32) -> bool {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return false,
    };
    (1..=days).contains(&day)
}

/// Days from 1970-01-01 to a day that [`is_day`] knows, not before it.
pub(super) fn days_from_civil(year: u32, month: u32, day: u32) -> u32 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year / 400;
    let year_of_era = year % 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * DAYS_OF_ERA + day_of_era - DAYS_TO_EPOCH
}

/// Year, month and day so many days after 1970-01-01.
pub(super) fn civil_from_days(days: u32) -> (u32, u32, u32) {
    let days = days + DAYS_TO_EPOCH;
    let era = days / DAYS_OF_ERA;
    let day_of_era = days % DAYS_OF_ERA;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u32::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_day_by_day_gives_the_same_calendar_up_to_its_end() {
        let mut days = 0;
        for year in u32::from(FIRST_YEAR)..=LAST_YEAR.into() {
            for month in 1..=12 {
                // Days of the month, by another rule than `is_day`: the knuckles of a hand.
                let length = match month {
                    2 if year % 400 == 0 || (year % 4 == 0 && year % 100 != 0) => 29,
                    2 => 28,
                    m if m < 8 => 30 + m % 2,
                    m => 31 - m % 2,
                };
                assert!(!is_day(year, month, 0) && !is_day(year, month, length + 1), "{year}-{month}");
                for day in 1..=length {
                    assert!(is_day(year, month, day), "{year}-{month}-{day}");
                    assert_eq!(days_from_civil(year, month, day), days, "{year}-{month}-{day}");
                    assert_eq!(civil_from_days(days), (year, month, day));
                    days += 1;
                }
            }
            assert!(!is_day(year, 0, 1) && !is_day(year, 13, 1));
        }
        // The days of 8,030 years: 365 each, and 1,947 leap days.
        assert_eq!(days, 8030 * 365 + 1947);
    }
}
