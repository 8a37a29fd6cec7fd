//! Dates and times in the forms that SQLite's own functions read.
//!
//! ISO 8601 text with `T` or a blank, with or without seconds, fraction and zone; integers as seconds
//! since 1970; floats as Julian days. All are UTC, as in SQLite: a zone is subtracted.
//! <https://www.sqlite.org/lang_datefunc.html#time_values>

use crate::cursor::Cell;

const SECONDS_PER_DAY: i64 = 86_400;
const MICROSECONDS_PER_SECOND: i64 = 1_000_000;
const NANOSECONDS_PER_SECOND: i64 = 1_000_000_000;

/// Seconds of 0000-01-01 and 9999-12-31 23:59:59, between which SQLite's functions work.
const SECONDS: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

/// Days since 1970-01-01 of a text `YYYY-MM-DD`, as nearly all dates are.
#[inline]
pub(super) fn iso_date(text: &[u8]) -> Option<i32> {
    match take_date(text) {
        Some((days, [])) => Some(days),
        _ => None,
    }
}

/// Days since 1970-01-01; `None` where the value is no date, or has a time that a date would lose.
pub(super) fn date(value: Cell) -> Option<i32> {
    let microseconds = datetime(value)?;
    let per_day = SECONDS_PER_DAY * MICROSECONDS_PER_SECOND;
    if microseconds % per_day == 0 {
        i32::try_from(microseconds / per_day).ok()
    } else {
        None
    }
}

/// Nanoseconds since midnight.
pub(super) fn time(value: Cell) -> Option<i64> {
    match value {
        Cell::Text(text) => match take_time(text)? {
            (nanoseconds, []) => Some(nanoseconds),
            _ => None,
        },
        _ => None,
    }
}

/// Microseconds since 1970-01-01 00:00 UTC.
pub(super) fn datetime(value: Cell) -> Option<i64> {
    match value {
        Cell::Text(text) => text_datetime(text),
        Cell::Integer(seconds) if SECONDS.contains(&seconds) => {
            Some(seconds * MICROSECONDS_PER_SECOND)
        }
        Cell::Real(julian_day) => julian(julian_day),
        _ => None,
    }
}

/// A Julian day, to the millisecond as SQLite itself reads it.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn julian(day: f64) -> Option<i64> {
    /// 1970-01-01 00:00, in milliseconds since the first Julian day began at noon.
    const EPOCH_MILLISECONDS: i64 = 210_866_760_000_000;
    /// The Julian days of 0000-01-01 and 10000-01-01.
    const DAYS: std::ops::Range<f64> = 1_721_059.5..5_373_484.5;
    DAYS.contains(&day).then(|| {
        let milliseconds = (day * 86_400_000.0 + 0.5) as i64;
        (milliseconds - EPOCH_MILLISECONDS) * 1000
    })
}

fn text_datetime(text: &[u8]) -> Option<i64> {
    let (days, rest) = take_date(text)?;
    let midnight = i64::from(days) * SECONDS_PER_DAY * MICROSECONDS_PER_SECOND;
    let rest = match rest {
        [] => return Some(midnight),
        [b' ' | b'T', rest @ ..] => rest,
        _ => return None,
    };
    let (nanoseconds, zone) = take_time(rest)?;
    if nanoseconds % 1000 != 0 {
        return None; // a microsecond is the smallest step of the column
    }
    let offset_seconds = zone_seconds(zone.trim_ascii_start())?;
    Some(midnight + nanoseconds / 1000 - offset_seconds * MICROSECONDS_PER_SECOND)
}

/// `YYYY-MM-DD`, as days since 1970-01-01, and what follows.
#[inline]
fn take_date(text: &[u8]) -> Option<(i32, &[u8])> {
    const LENGTHS: [u32; 13] = [0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let (&[y1, y2, y3, y4, dash1, m1, m2, dash2, d1, d2], rest) = text.split_first_chunk::<10>()?;
    // All digits and both dashes are checked at once: a value above 9 shows in the four high bits, or
    // in the four low ones once 6 is added.
    let digits = u64::from_le_bytes([y1, y2, y3, y4, m1, m2, d1, d2]) ^ 0x3030_3030_3030_3030;
    let wrong = (digits | digits.wrapping_add(0x0606_0606_0606_0606)) & 0xf0f0_f0f0_f0f0_f0f0;
    if wrong != 0 || [dash1, dash2] != *b"--" {
        return None;
    }
    let [y1, y2, y3, y4, m1, m2, d1, d2] = digits.to_le_bytes().map(u32::from);
    let year = y1 * 1000 + y2 * 100 + y3 * 10 + y4;
    let (month, day) = (m1 * 10 + m2, d1 * 10 + d2);
    let length = *LENGTHS.get(month as usize)?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let exists = (1..=length).contains(&day) && (month != 2 || day < 29 || leap);
    exists.then(|| (days_since_epoch(year, month, day), rest))
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar, from the year 0 to 9999.
///
/// Years are counted from March, so that the leap day is the last of its year, and from 400 years
/// earlier, so that none is negative: the same calendar, 146,097 days longer. 719,468 days lie between
/// 0000-03-01 and 1970-01-01.
#[inline]
#[expect(clippy::cast_possible_wrap, reason = "a few million days")]
fn days_since_epoch(year: u32, month: u32, day: u32) -> i32 {
    let (year, month) = if month > 2 {
        (year + 400, month - 3)
    } else {
        (year + 399, month + 9)
    };
    let century = year / 100;
    let days = 365 * year + year / 4 - century + century / 4 + (153 * month + 2) / 5 + day;
    days as i32 - (1 + 719_468 + 146_097)
}

/// `HH:MM`, `HH:MM:SS` or `HH:MM:SS.fraction`, as nanoseconds, and what follows.
fn take_time(text: &[u8]) -> Option<(i64, &[u8])> {
    let (&[h1, h2, b':', m1, m2], mut rest) = text.split_first_chunk::<5>()? else {
        return None;
    };
    let (hour, minute) = (number([h1, h2])?, number([m1, m2])?);
    let (mut second, mut nanoseconds) = (0, 0);
    if let [b':', s1, s2, behind @ ..] = rest {
        (second, rest) = (number([*s1, *s2])?, behind);
        if let [b'.', behind @ ..] = rest {
            (nanoseconds, rest) = take_fraction(behind)?;
        }
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = i64::from(hour * 3600 + minute * 60 + second);
    Some((seconds * NANOSECONDS_PER_SECOND + nanoseconds, rest))
}

/// The digits behind the point of a second, as nanoseconds; `None` where there are none, or where
/// they say more than nanoseconds do.
fn take_fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(length);
    let mut nanoseconds = 0;
    for place in 0..9 {
        nanoseconds = nanoseconds * 10 + i64::from(digits.get(place).map_or(0, |d| d - b'0'));
    }
    let lost = digits.iter().skip(9).any(|digit| *digit != b'0');
    (length > 0 && !lost).then_some((nanoseconds, rest))
}

/// Nothing, `Z`, or `+HH:MM` and `-HH:MM`.
fn zone_seconds(zone: &[u8]) -> Option<i64> {
    match zone {
        [] | [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (number([*h1, *h2])?, number([*m1, *m2])?);
            let seconds = i64::from(hours * 3600 + minutes * 60);
            (hours <= 14 && minutes <= 59).then_some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn number(digits: [u8; 2]) -> Option<i32> {
    digits
        .iter()
        .all(u8::is_ascii_digit)
        .then(|| i32::from(digits[0] - b'0') * 10 + i32::from(digits[1] - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    /// Texts of every form, right and wrong.
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

    /// What SQLite itself makes of a value, in milliseconds since 1970.
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
                // SQLite reads on where a calendar or a clock has no such day, blank or zone.
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
    fn every_day_of_ten_thousand_years_follows_the_last() {
        let mut expected = days_since_epoch(0, 1, 1);
        assert_eq!(expected, -719_528);
        for year in 0..10_000 {
            for month in 1..=12 {
                for day in 1..=31 {
                    let text = format!("{year:04}-{month:02}-{day:02}");
                    if let Some((days, _)) = take_date(text.as_bytes()) {
                        assert_eq!(days, expected, "{text}");
                        expected += 1;
                    }
                }
            }
        }
        assert_eq!(expected, 2_932_897, "10000-01-01");
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
    }

    #[test]
    fn times_go_to_the_nanosecond() {
        for (text, nanoseconds) in [
            ("00:00", Some(0)),
            ("23:59:59.999999999", Some(86_399_999_999_999)),
            ("23:59:59.9999999999", None),
            ("12:00:00Z", None),
            ("24:00", None),
        ] {
            assert_eq!(time(Cell::Text(text.as_bytes())), nanoseconds, "{text}");
        }
        assert_eq!(datetime(Cell::Text(b"2000-01-01 00:00:00.0000001")), None);
    }
}
