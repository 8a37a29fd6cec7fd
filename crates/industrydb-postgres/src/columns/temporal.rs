//! Dates and times: counts from 2000-01-01 on the wire, from 1970-01-01 in Polars.

use industrydb_core::{CellError, CellResult};

use super::fixed::bytes;

pub(crate) const DAYS_1970_TO_2000: i32 = 10_957;
const MICROSECONDS_PER_DAY: i64 = 86_400_000_000;
pub(crate) const MICROSECONDS_1970_TO_2000: i64 = DAYS_1970_TO_2000 as i64 * MICROSECONDS_PER_DAY;

/// PostgreSQL's first day, 4714-11-24 BC, in days since 1970-01-01.
const FIRST_DAY: i32 = -2_440_588;
/// The last day that Polars can print, 262142-12-31: PostgreSQL's dates go on to the year 5874897.
const LAST_DAY: i32 = 95_026_236;

const REMEDY: &str = "cast the column to text in the query";

const INFINITY_REMEDY: &str =
    "schema_overrides can ask for pl.String; or replace it in the query, by nullif for example";

/// Decodes a `date`: days, with `infinity` and `-infinity` at the ends of the range.
#[inline]
pub(super) fn date(field: &[u8]) -> CellResult<i32> {
    let days = i32::from_be_bytes(bytes(field)?);
    match days.checked_add(DAYS_1970_TO_2000) {
        Some(since_1970 @ FIRST_DAY..=LAST_DAY) => Ok(since_1970),
        _ => Err(out_of_range(i64::from(days), i64::from(i32::MAX), "days")),
    }
}

/// Decodes `timestamp` and `timestamptz`: microseconds, the latter in UTC.
#[inline]
pub(super) fn timestamp(field: &[u8]) -> CellResult<i64> {
    const FIRST: i64 = FIRST_DAY as i64 * MICROSECONDS_PER_DAY;
    const LAST: i64 = (LAST_DAY as i64 + 1) * MICROSECONDS_PER_DAY - 1;
    let microseconds = i64::from_be_bytes(bytes(field)?);
    match microseconds.checked_add(MICROSECONDS_1970_TO_2000) {
        Some(since_1970 @ FIRST..=LAST) => Ok(since_1970),
        _ => Err(out_of_range(microseconds, i64::MAX, "microseconds")),
    }
}

/// Decodes a `time`: microseconds since midnight on the wire, nanoseconds in Polars.
#[inline]
pub(super) fn time(field: &[u8]) -> CellResult<i64> {
    match i64::from_be_bytes(bytes(field)?) {
        microseconds @ 0..MICROSECONDS_PER_DAY => Ok(microseconds * 1000),
        MICROSECONDS_PER_DAY => Err(CellError::new(
            "24:00:00".to_owned(),
            "is no time of day in Polars, which ends at 23:59:59.999999999",
            REMEDY,
        )),
        _ => Err(CellError::malformed("it is no time of day")),
    }
}

/// Returns the error for a value out of range. The infinities are `max` and `-max - 1`.
#[cold]
#[inline(never)]
fn out_of_range(since_2000: i64, max: i64, unit: &str) -> Box<CellError> {
    if since_2000 == max {
        CellError::new(
            "infinity".to_owned(),
            "has no place in Polars",
            INFINITY_REMEDY,
        )
    } else if since_2000 == -max - 1 {
        CellError::new(
            "-infinity".to_owned(),
            "has no place in Polars",
            INFINITY_REMEDY,
        )
    } else {
        CellError::new(
            format!("the value {since_2000} {unit} from 2000-01-01"),
            "lies beyond 262142-12-31, the last day that Polars can print",
            REMEDY,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_counted_from_1970() {
        // SELECT date_send('1970-01-01'), date_send('4714-11-24 BC'), date_send('262142-12-31')
        for (wire, days) in [
            (b"\xff\xff\xd5\x33", 0),
            (b"\xff\xda\x97\xa7", FIRST_DAY),
            (b"\x05\xa9\xd1\x6f", LAST_DAY),
        ] {
            assert_eq!(date(wire).expect("a date"), days);
        }
    }

    #[test]
    fn infinities_and_the_far_future_are_refused() {
        for (days, value) in [(i32::MAX, "infinity"), (i32::MIN, "-infinity")] {
            let error = date(&days.to_be_bytes()).expect_err("infinite");
            assert_eq!(error.value.as_deref(), Some(value));
        }
        for (microseconds, value) in [(i64::MAX, "infinity"), (i64::MIN, "-infinity")] {
            let error = timestamp(&microseconds.to_be_bytes()).expect_err("infinite");
            assert_eq!(error.value.as_deref(), Some(value));
        }
        let beyond = LAST_DAY - DAYS_1970_TO_2000 + 1;
        date(&beyond.to_be_bytes()).expect_err("beyond");
        let beyond = i64::from(beyond) * MICROSECONDS_PER_DAY;
        timestamp(&beyond.to_be_bytes()).expect_err("beyond");
        timestamp(&(beyond - 1).to_be_bytes()).expect("the last microsecond");
    }

    #[test]
    fn midnight_at_the_end_of_the_day_is_refused() {
        assert_eq!(time(&1_i64.to_be_bytes()).expect("a time"), 1000);
        time(&MICROSECONDS_PER_DAY.to_be_bytes()).expect_err("24:00:00");
        time(&(-1_i64).to_be_bytes()).expect_err("before the day");
    }
}
