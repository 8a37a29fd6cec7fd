//! Units and limits of SQL Server's dates and times.

use industrydb_core::calendar::{DAYS_0001_TO_1970, DAYS_1970_TO_9999, NANOSECONDS_PER_SECOND};

/// Days from 0001-01-01, the day 0 of `date`, to 9999-12-31, its last day.
pub(crate) const DAYS_0001_TO_9999: i32 = DAYS_0001_TO_1970 + DAYS_1970_TO_9999;
/// Days from 1753-01-01, the first day of `datetime`, to 1900-01-01, its day 0.
pub(crate) const DAYS_1753_TO_1900: i32 = 53_690;

/// Nanoseconds per tick, the unit of `time`, `datetime2` and `datetimeoffset`.
pub(crate) const NANOSECONDS_PER_TICK: i64 = 100;
/// Ticks per second.
pub(crate) const TICKS_PER_SECOND: i64 = NANOSECONDS_PER_SECOND / NANOSECONDS_PER_TICK;
/// Units of `datetime` per second.
pub(crate) const DATETIME_UNITS_PER_SECOND: i64 = 300;

#[cfg(test)]
mod tests {
    use super::*;
    use industrydb_core::calendar::DAYS_1900_TO_1970;
    use industrydb_core::iso::date;

    #[test]
    fn first_and_last_days_are_their_dates() {
        let first = -DAYS_1900_TO_1970 - DAYS_1753_TO_1900;
        assert_eq!(date(b"1753-01-01"), Some(first));
        let last = DAYS_0001_TO_9999 - DAYS_0001_TO_1970;
        assert_eq!(date(b"9999-12-31"), Some(last));
    }
}
