//! Decodes dates and times in the formats that SQLite's own functions read.
//!
//! ISO 8601 text with `T` or a blank, with or without seconds, fraction and zone; integers as
//! seconds since 1970; floats as Julian days. All are UTC, as in SQLite: a zone's offset is
//! subtracted. <https://www.sqlite.org/lang_datefunc.html#time_values>

use industrydb_core::iso;

use crate::ffi::row::Cell;

const MICROSECONDS_PER_DAY: i64 = 86_400 * MICROSECONDS_PER_SECOND;
const MICROSECONDS_PER_SECOND: i64 = 1_000_000;

/// Seconds of 0000-01-01 and 9999-12-31 23:59:59, the range of SQLite's functions.
const SECONDS: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

/// Returns the days since 1970-01-01; `None` if the value is no date, or has a time of day that a
/// date would lose.
pub(super) fn date(value: Cell) -> Option<i32> {
    let microseconds = datetime(value)?;
    if microseconds % MICROSECONDS_PER_DAY == 0 {
        i32::try_from(microseconds / MICROSECONDS_PER_DAY).ok()
    } else {
        None
    }
}

/// Returns the nanoseconds since midnight; `None` if the value is no time.
pub(super) fn time(value: Cell) -> Option<i64> {
    match value {
        Cell::Text(text) => iso::time(text),
        _ => None,
    }
}

/// Returns the microseconds since 1970-01-01 00:00 UTC; `None` if the value is no datetime, or is
/// finer than a microsecond.
pub(super) fn datetime(value: Cell) -> Option<i64> {
    let (seconds, nanoseconds) = instant(value)?;
    let microseconds = seconds * MICROSECONDS_PER_SECOND + i64::from(nanoseconds / 1000);
    (nanoseconds % 1000 == 0).then_some(microseconds)
}

/// Returns the seconds since 1970-01-01 00:00 UTC, and the nanoseconds within the second; `None` if
/// the value is no datetime.
pub(super) fn instant(value: Cell) -> Option<(i64, u32)> {
    match value {
        Cell::Text(text) => iso::datetime(text),
        Cell::Integer(seconds) => SECONDS.contains(&seconds).then_some((seconds, 0)),
        Cell::Real(julian_day) => julian(julian_day),
        Cell::Null | Cell::Blob(_) => None,
    }
}

/// Converts a Julian day, rounded to the millisecond as SQLite itself does.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn julian(day: f64) -> Option<(i64, u32)> {
    /// 1970-01-01 00:00, in milliseconds since the first Julian day began at noon.
    const EPOCH_MILLISECONDS: i64 = 210_866_760_000_000;
    /// The Julian days of 0000-01-01 and 10000-01-01.
    const DAYS: std::ops::Range<f64> = 1_721_059.5..5_373_484.5;
    DAYS.contains(&day).then(|| {
        let milliseconds = (day * 86_400_000.0 + 0.5) as i64 - EPOCH_MILLISECONDS;
        let nanoseconds = milliseconds.rem_euclid(1000) as u32 * 1_000_000;
        (milliseconds.div_euclid(1000), nanoseconds)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    /// Texts of every format, valid and invalid.
    const TEXTS: [&str; 22] = [
        "2024-02-29",
        "2023-02-29",
        "0000-01-01",
        "9999-12-31",
        "1900-02-29",
        "2000-02-29 12:34",
        "2000-02-29T12:34:56",
        "2000-02-29 12:34:56.789",
        "2000-02-29 12:34:56.789Z",
        "2000-02-29 12:34:56+05:30",
        "2000-02-29 12:34:56 -05:30",
        "2000-02-29 24:00:00",
        "2000-02-29 23:60",
        "2000-13-01",
        "2000-1-1",
        "20000101",
        "soon",
        "",
        "2000-02-29 ",
        "2000-02-29T",
        "2000-02-29 12:34:56.",
        "2000-02-29 12:34:56 CET",
    ];

    /// Converts a value by SQLite itself to milliseconds since 1970.
    fn by_sqlite(connection: &Connection, sql: &str) -> Option<i64> {
        let sql =
            format!("SELECT CAST(round((julianday({sql}) - 2440587.5) * 86400000) AS INTEGER)");
        connection
            .query_row(&sql, [], |row| row.get(0))
            .expect("valid")
    }

    #[test]
    fn texts_are_the_times_that_sqlite_says_they_are() {
        let connection = Connection::open_in_memory().expect("memory");
        for text in TEXTS {
            let expected = match text {
                // SQLite accepts these texts, although the day or hour does not exist, or nothing
                // stands behind the separator.
                "2023-02-29"
                | "1900-02-29"
                | "2000-02-29 24:00:00"
                | "2000-02-29 "
                | "2000-02-29T" => None,
                _ => by_sqlite(&connection, &format!("'{text}'")),
            };
            let ours = datetime(Cell::Text(text.as_bytes())).map(|micros| micros / 1000);
            assert_eq!(ours, expected, "{text:?}");
        }
    }

    #[test]
    fn numbers_are_seconds_or_julian_days() {
        assert_eq!(datetime(Cell::Integer(1)), Some(1_000_000));
        assert_eq!(
            datetime(Cell::Integer(1_700_000_000_000)),
            None,
            "milliseconds"
        );
        assert_eq!(datetime(Cell::Real(2_440_587.5)), Some(0));
        assert_eq!(datetime(Cell::Real(2_440_588.0)), Some(43_200_000_000));
        assert_eq!(datetime(Cell::Real(f64::NAN)), None);
        assert_eq!(datetime(Cell::Real(-1.0)), None);
        assert_eq!(date(Cell::Integer(86_400 * 3)), Some(3));
        assert_eq!(date(Cell::Integer(86_401)), None, "a time would be lost");
        assert_eq!(date(Cell::Real(2_440_588.5)), Some(1));
        assert_eq!(datetime(Cell::Text(b"2000-01-01 00:00:00.0000001")), None);
    }
}
