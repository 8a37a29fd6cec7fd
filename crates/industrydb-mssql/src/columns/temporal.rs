//! Dates and times from the driver's units.

use industrydb_core::CellError;
use industrydb_core::scalar::Scalar;
use mssql_tds::datatypes::column_values::{SqlDateTime2, SqlTime};

const SECONDS_PER_DAY: i64 = 86_400;
/// Days from 0001-01-01 to 1970-01-01.
pub(crate) const DAYS_1_TO_1970: i64 = 719_162;
/// Days from 0001-01-01 to 9999-12-31.
pub(crate) const LAST_DAY: u32 = 3_652_058;
pub(crate) const TICKS_PER_DAY: u64 = 864_000_000_000;
/// Days from 1900-01-01 to 1970-01-01.
pub(crate) const DAYS_1900_TO_1970: i64 = 25_567;
pub(crate) const NANOSECONDS_PER_MINUTE: u64 = 60_000_000_000;
pub(crate) const MILLISECONDS_PER_DAY: u64 = 86_400_000;

/// A day since 1970-01-01 and a time of day, as a point in time.
pub(crate) fn instant(days: i64, nanoseconds: u64) -> Scalar<'static> {
    const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;
    let seconds = i64::try_from(nanoseconds / NANOSECONDS_PER_SECOND).unwrap_or_default();
    Scalar::Datetime {
        seconds: days * SECONDS_PER_DAY + seconds,
        nanoseconds: u32::try_from(nanoseconds % NANOSECONDS_PER_SECOND).unwrap_or_default(),
    }
}

/// The day and the time that SQL Server can have.
pub(crate) fn moment(value: &SqlDateTime2) -> Option<Scalar<'static>> {
    let is_in_range = value.days <= LAST_DAY && value.time.time_nanoseconds < TICKS_PER_DAY;
    let days = i64::from(value.days) - DAYS_1_TO_1970;
    is_in_range.then(|| instant(days, nanoseconds(&value.time)))
}

#[cold]
pub(crate) fn out_of_range() -> Box<CellError> {
    CellError::malformed("it is a date or a time that SQL Server does not have")
}

/// The driver counts in hundreds of nanoseconds, whatever its field is called.
pub(crate) fn nanoseconds(time: &SqlTime) -> u64 {
    time.time_nanoseconds.saturating_mul(100)
}
