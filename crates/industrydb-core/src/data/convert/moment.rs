//! Converts scalars to dates, times and durations.

use polars_core::prelude::TimeUnit;

use crate::data::scalar::Scalar;
use crate::schema::calendar::SECONDS_PER_DAY;
use crate::schema::iso;

/// Converts a value to days since 1970-01-01; `None` if a time of day would be lost.
pub fn date(value: &Scalar) -> Option<i32> {
    match *value {
        Scalar::Date(days) => Some(days),
        _ => match instant(value)? {
            (seconds, 0) if seconds % SECONDS_PER_DAY == 0 => {
                i32::try_from(seconds / SECONDS_PER_DAY).ok()
            }
            _ => None, // a time would be lost
        },
    }
}

/// Converts a value to nanoseconds since midnight.
pub(super) fn time(value: &Scalar) -> Option<i64> {
    match *value {
        Scalar::Time(nanoseconds) => Some(nanoseconds),
        Scalar::Text(text) => iso::time(text.trim_ascii()),
        _ => None,
    }
}

/// Converts a value to a count of `unit` since 1970-01-01 00:00; `None` if it is not a whole number
/// of units.
pub fn datetime(value: &Scalar, unit: TimeUnit) -> Option<i64> {
    let (seconds, nanoseconds) = instant(value)?;
    let nanoseconds = i64::from(nanoseconds);
    let (per_second, length) = match unit {
        TimeUnit::Nanoseconds => (1_000_000_000, 1),
        TimeUnit::Microseconds => (1_000_000, 1000),
        TimeUnit::Milliseconds => (1000, 1_000_000),
    };
    let whole = nanoseconds % length == 0;
    let count = i128::from(seconds) * per_second + i128::from(nanoseconds / length);
    i64::try_from(count).ok().filter(|_| whole)
}

fn instant(value: &Scalar) -> Option<(i64, u32)> {
    match *value {
        Scalar::Datetime {
            seconds,
            nanoseconds,
        } => Some((seconds, nanoseconds)),
        Scalar::Date(days) => Some((i64::from(days) * SECONDS_PER_DAY, 0)),
        Scalar::Text(text) => iso::datetime(text.trim_ascii()),
        _ => None,
    }
}

/// Converts a duration to a count of `unit`; `None` if it is not a whole number of units.
pub(super) fn duration(value: &Scalar, unit: TimeUnit) -> Option<i64> {
    let Scalar::Duration(microseconds) = *value else {
        return None;
    };
    match unit {
        TimeUnit::Nanoseconds => microseconds.checked_mul(1000),
        TimeUnit::Microseconds => Some(microseconds),
        TimeUnit::Milliseconds => (microseconds % 1000 == 0).then_some(microseconds / 1000),
    }
}
