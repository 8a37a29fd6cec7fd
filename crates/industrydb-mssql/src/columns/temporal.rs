//! Converts dates and times from the driver's units to industrydb's.

use industrydb_core::CellError;
use industrydb_core::calendar::{DAYS_0001_TO_1970, NANOSECONDS_PER_SECOND, SECONDS_PER_DAY};
use industrydb_core::scalar::Scalar;
use mssql_tds::datatypes::column_values::{SqlDateTime2, SqlTime};

use crate::types::calendar::{DAYS_0001_TO_9999, NANOSECONDS_PER_TICK, TICKS_PER_SECOND};

/// Last day of SQL Server's calendar, as the driver counts days from 0001-01-01.
pub(crate) const LAST_DAY: u32 = DAYS_0001_TO_9999.cast_unsigned();
/// Ticks per day.
pub(crate) const TICKS_PER_DAY: u64 = (SECONDS_PER_DAY * TICKS_PER_SECOND).cast_unsigned();

/// Returns the point in time of days since 1970-01-01 and nanoseconds of the day.
#[inline]
pub(crate) fn instant(days: i64, nanoseconds: u64) -> Scalar<'static> {
    const PER_SECOND: u64 = NANOSECONDS_PER_SECOND.cast_unsigned();
    let seconds = i64::try_from(nanoseconds / PER_SECOND).unwrap_or_default();
    Scalar::Datetime {
        seconds: days * SECONDS_PER_DAY + seconds,
        nanoseconds: u32::try_from(nanoseconds % PER_SECOND).unwrap_or_default(),
    }
}

/// Returns the point in time of the driver's day and time; `None` if SQL Server has no such day or
/// time.
#[inline]
pub(crate) fn moment(value: &SqlDateTime2) -> Option<Scalar<'static>> {
    let is_in_range = value.days <= LAST_DAY && value.time.time_nanoseconds < TICKS_PER_DAY;
    let days = i64::from(value.days) - i64::from(DAYS_0001_TO_1970);
    is_in_range.then(|| instant(days, nanoseconds(&value.time)))
}

#[cold]
pub(crate) fn out_of_range() -> Box<CellError> {
    CellError::malformed("it is a date or a time that SQL Server does not have")
}

/// Returns the nanoseconds of a time. The driver's field `time_nanoseconds` counts ticks, despite
/// its name.
#[inline]
pub(crate) fn nanoseconds(time: &SqlTime) -> u64 {
    const PER_TICK: u64 = NANOSECONDS_PER_TICK.cast_unsigned();
    time.time_nanoseconds.saturating_mul(PER_TICK)
}
