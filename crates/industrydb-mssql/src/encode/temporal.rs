//! Converts dates and times from industrydb's units to the driver's.

use industrydb_core::calendar::{
    DAYS_0001_TO_1970, DAYS_1900_TO_1970, DAYS_1970_TO_9999, NANOSECONDS_PER_SECOND,
    SECONDS_PER_DAY,
};
use industrydb_core::scalar::Scalar;
use mssql_tds::datatypes::column_values::{
    ColumnValues, SqlDateTime, SqlDateTime2, SqlSmallDateTime, SqlTime,
};

use crate::types::calendar::{
    DATETIME_UNITS_PER_SECOND, DAYS_0001_TO_9999, DAYS_1753_TO_1900, NANOSECONDS_PER_TICK,
};

/// Converts days since 1970-01-01 to days since 0001-01-01; `None` if SQL Server has no such day.
pub(crate) fn day(since_1970: i64) -> Option<u32> {
    let days = since_1970.checked_add(DAYS_0001_TO_1970.into())?;
    (0..=DAYS_0001_TO_9999.into())
        .contains(&days)
        .then(|| u32::try_from(days).ok())?
}

/// Converts nanoseconds of the day to the driver's ticks; `None` if they are finer than the scale.
pub(crate) fn time(nanoseconds: u64, scale: u8) -> Option<SqlTime> {
    let step = 10_u64.checked_pow(u32::from(9_u8.checked_sub(scale)?))?;
    nanoseconds.is_multiple_of(step).then_some(SqlTime {
        time_nanoseconds: nanoseconds / NANOSECONDS_PER_TICK.cast_unsigned(),
        scale,
    })
}

/// Splits a point in time into days, seconds of the day, and nanoseconds of the second.
fn parts(value: &Scalar) -> Option<(i64, i64, u32)> {
    match *value {
        Scalar::Date(days) => Some((days.into(), 0, 0)),
        Scalar::Datetime {
            seconds,
            nanoseconds,
        } => Some((
            seconds.div_euclid(SECONDS_PER_DAY),
            seconds.rem_euclid(SECONDS_PER_DAY),
            nanoseconds,
        )),
        _ => None,
    }
}

/// Encodes a `datetime2`; `None` if the value is out of its range or finer than its scale.
pub(crate) fn datetime2(value: &Scalar, scale: u8) -> Option<SqlDateTime2> {
    let (days, seconds, nanoseconds) = parts(value)?;
    let nanoseconds = seconds * NANOSECONDS_PER_SECOND + i64::from(nanoseconds);
    Some(SqlDateTime2 {
        days: day(days)?,
        time: time(u64::try_from(nanoseconds).ok()?, scale)?,
    })
}

/// Encodes a `datetime`, rounded to the nearest 1/300 of a second, as the server itself rounds;
/// `None` if the value is out of its range.
pub(crate) fn datetime(value: &Scalar) -> Option<ColumnValues> {
    let (days, seconds, nanoseconds) = parts(value)?;
    let part = i64::from(nanoseconds) * DATETIME_UNITS_PER_SECOND;
    let part = (part + NANOSECONDS_PER_SECOND / 2) / NANOSECONDS_PER_SECOND;
    let parts = seconds * DATETIME_UNITS_PER_SECOND + part;
    let parts_per_day = SECONDS_PER_DAY * DATETIME_UNITS_PER_SECOND;
    let days = days.checked_add(i64::from(DAYS_1900_TO_1970) + parts / parts_per_day)?;
    let days = i32::try_from(days).ok()?;
    let last = DAYS_1900_TO_1970 + DAYS_1970_TO_9999;
    (-DAYS_1753_TO_1900..=last).contains(&days).then_some(())?;
    Some(ColumnValues::DateTime(SqlDateTime {
        days,
        time: u32::try_from(parts % parts_per_day).ok()?,
    }))
}

/// Encodes a `smalldatetime`; `None` if the value is out of its range or not a whole minute.
pub(crate) fn small_datetime(value: &Scalar) -> Option<ColumnValues> {
    let (days, seconds, nanoseconds) = parts(value)?;
    let days = u16::try_from(days.checked_add(DAYS_1900_TO_1970.into())?).ok()?;
    (seconds % 60 == 0 && nanoseconds == 0).then(|| {
        ColumnValues::SmallDateTime(SqlSmallDateTime {
            days,
            time: u16::try_from(seconds / 60).unwrap_or_default(), // minutes of a day always fit
        })
    })
}
