//! Days of the calendar, and constants for units of time and epochs.
//!
//! Days between epochs are days of the proleptic Gregorian calendar.

/// Seconds of a day.
pub const SECONDS_PER_DAY: i64 = 86_400;
/// Milliseconds of a day.
pub const MILLISECONDS_PER_DAY: i64 = SECONDS_PER_DAY * 1000;
/// Microseconds of a day.
pub const MICROSECONDS_PER_DAY: i64 = SECONDS_PER_DAY * 1_000_000;
/// Nanoseconds of a second.
pub const NANOSECONDS_PER_SECOND: i64 = 1_000_000_000;

/// Days from 0001-01-01 to 1970-01-01.
pub const DAYS_0001_TO_1970: i32 = 719_162;
/// Days from 1900-01-01 to 1970-01-01.
pub const DAYS_1900_TO_1970: i32 = 25_567;
/// Days from 1970-01-01 to 2000-01-01.
pub const DAYS_1970_TO_2000: i32 = 10_957;
/// Days from 1970-01-01 to 9999-12-31.
pub const DAYS_1970_TO_9999: i32 = 2_932_896;

/// First year of [`FIRST_DAYS`].
const FIRST_YEAR: u32 = 1900;
/// Number of years of [`FIRST_DAYS`].
const YEARS: u32 = 200;

/// The first day of each month of nearly all dates, and of the month behind them.
static FIRST_DAYS: [i32; 12 * YEARS as usize + 1] = {
    let mut first_days = [0; 12 * YEARS as usize + 1];
    let (mut at, mut year, mut month) = (0, FIRST_YEAR, 1);
    while at < first_days.len() {
        first_days[at] = counted(year, month, 1);
        (at, month) = (at + 1, month + 1);
        if month > 12 {
            (year, month) = (year + 1, 1);
        }
    }
    first_days
};

/// Returns the days from 1970-01-01 to a date of the proleptic Gregorian calendar, in the year 0 or
/// later; `None` if the calendar has no such date.
///
/// # Examples
///
/// ```
/// use industrydb_core::calendar::days;
///
/// assert_eq!(days(2000, 2, 29), Some(11_016));
/// assert_eq!(days(1900, 2, 29), None);
/// ```
#[inline]
pub fn days(year: u32, month: u32, day: u32) -> Option<i32> {
    let months = year.wrapping_sub(FIRST_YEAR).wrapping_mul(12);
    let index = months.wrapping_add(month.wrapping_sub(1)) as usize;
    let is_listed = year.wrapping_sub(FIRST_YEAR) < YEARS && month.wrapping_sub(1) < 12;
    let (first, next) = match FIRST_DAYS.get(index..) {
        Some([first, next, ..]) if is_listed => (*first, *next),
        _ => return other_days(year, month, day),
    };
    let days = first.wrapping_add_unsigned(day.wrapping_sub(1));
    (first..next).contains(&days).then_some(days)
}

#[cold]
fn other_days(year: u32, month: u32, day: u32) -> Option<i32> {
    const LENGTHS: [u32; 13] = [0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let longest = *LENGTHS.get(month as usize)?;
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let exists = (1..=longest).contains(&day) && (month != 2 || day < 29 || is_leap);
    exists.then(|| counted(year, month, day))
}

/// Returns the days from 1970-01-01 to a date.
///
/// Years are counted from March, so that the leap day is the last of its year. 400 years, which are
/// 146,097 days, are added, so that no year is negative: the calendar repeats after 400 years.
/// 719,468 days lie between 0000-03-01 and 1970-01-01.
#[expect(clippy::cast_possible_wrap, reason = "a few million days")]
const fn counted(year: u32, month: u32, day: u32) -> i32 {
    let (year, month) = if month > 2 {
        (year + 400, month - 3)
    } else {
        (year + 399, month + 9)
    };
    let century = year / 100;
    let days = 365 * year + year / 4 - century + century / 4 + (153 * month + 2) / 5 + day;
    days as i32 - (1 + 719_468 + 146_097)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::iso::date;

    /// A date is a day after the one before it, and there are as many as the calendar has: 97 leap
    /// days in 400 years.
    #[test]
    fn dates_follow_each_other() {
        let mut last = days(0, 1, 1).expect("a date") - 1;
        for year in 0..10_000 {
            for month in 0..=14 {
                for day in 0..=33 {
                    let found = days(year, month, day);
                    assert_eq!(found, other_days(year, month, day), "{year}-{month}-{day}");
                    if let Some(found) = found {
                        assert_eq!(found, last + 1, "{year}-{month}-{day}");
                        last = found;
                    }
                }
            }
        }
        assert_eq!(last, DAYS_1970_TO_9999);
        let all = 10_000 / 400 * (400 * 365 + 97);
        assert_eq!(last - days(0, 1, 1).expect("a date") + 1, all);
        for odd in [
            (2000, 1, u32::MAX),
            (2000, u32::MAX, 1),
            (2099, 13, 1),
            (2100, 0, 1),
        ] {
            assert_eq!(days(odd.0, odd.1, odd.2), None, "{odd:?}");
        }
    }

    #[test]
    fn epochs_are_as_far_apart_as_their_dates() {
        for (text, days) in [
            ("0001-01-01", -DAYS_0001_TO_1970),
            ("1900-01-01", -DAYS_1900_TO_1970),
            ("2000-01-01", DAYS_1970_TO_2000),
            ("9999-12-31", DAYS_1970_TO_9999),
        ] {
            assert_eq!(date(text.as_bytes()), Some(days), "{text}");
        }
    }
}
