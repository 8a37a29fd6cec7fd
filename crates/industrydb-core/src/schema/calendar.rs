//! Constants for units of time and epochs.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::iso::date;

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
