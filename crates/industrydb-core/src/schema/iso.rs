//! Parses and writes dates and times as ISO 8601 text: `YYYY-MM-DD`, `HH:MM`, `HH:MM:SS`,
//! `HH:MM:SS.fraction`, and a date and a time with `T` or a space between them and `Z`, `+HH:MM` or
//! `-HH:MM` at the end.

use super::calendar::{DAYS_1970_TO_9999, NANOSECONDS_PER_SECOND, SECONDS_PER_DAY, days};

/// Parses `YYYY-MM-DD`, the form of nearly all dates, to days since 1970-01-01.
#[inline]
pub fn date(text: &[u8]) -> Option<i32> {
    match take_date(text) {
        Some((days, [])) => Some(days),
        _ => None,
    }
}

/// Parses a time to nanoseconds since midnight.
pub fn time(text: &[u8]) -> Option<i64> {
    match take_time(text)? {
        (nanoseconds, []) => Some(nanoseconds),
        _ => None,
    }
}

/// Parses a date, with or without a time and a zone, to seconds since 1970-01-01 00:00 UTC and the
/// nanoseconds after them. The offset of the zone is subtracted; a date alone is its midnight.
pub fn datetime(text: &[u8]) -> Option<(i64, u32)> {
    let (days, rest) = take_date(text)?;
    let midnight = i64::from(days) * SECONDS_PER_DAY;
    let rest = match rest {
        [] => return Some((midnight, 0)),
        [b' ' | b'T', rest @ ..] => rest,
        _ => return None,
    };
    let (time, zone) = take_time(rest)?;
    let offset = zone_seconds(zone.trim_ascii_start())?;
    let nanoseconds = u32::try_from(time % NANOSECONDS_PER_SECOND).ok()?;
    Some((
        midnight + time / NANOSECONDS_PER_SECOND - offset,
        nanoseconds,
    ))
}

/// Parses `YYYY-MM-DD` at the start of a text; returns days since 1970-01-01, and the text after
/// it.
#[inline]
fn take_date(text: &[u8]) -> Option<(i32, &[u8])> {
    let (&[y1, y2, y3, y4, dash1, m1, m2, dash2, d1, d2], rest) = text.split_first_chunk::<10>()?;
    // All digits are checked at once: a byte that is no digit has one of its four high bits set, or
    // gets one when 6 is added.
    let digits = u64::from_le_bytes([y1, y2, y3, y4, m1, m2, d1, d2]) ^ 0x3030_3030_3030_3030;
    let wrong = (digits | digits.wrapping_add(0x0606_0606_0606_0606)) & 0xf0f0_f0f0_f0f0_f0f0;
    if wrong != 0 || [dash1, dash2] != *b"--" {
        return None;
    }
    let [y1, y2, y3, y4, m1, m2, d1, d2] = digits.to_le_bytes().map(u32::from);
    let year = y1 * 1000 + y2 * 100 + y3 * 10 + y4;
    let (month, day) = (m1 * 10 + m2, d1 * 10 + d2);
    Some((days(year, month, day)?, rest))
}

/// Parses `HH:MM`, `HH:MM:SS` or `HH:MM:SS.fraction` at the start of a text; returns nanoseconds
/// since midnight, and the text after it.
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

/// Parses the digits of a second's fraction; returns nanoseconds, and the text after the digits.
/// `None` if there are no digits, or if they are finer than nanoseconds.
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

/// Parses a zone, which is nothing, `Z`, `+HH:MM` or `-HH:MM`, to its offset in seconds.
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

/// Writes a day, counted from 1970-01-01, as `YYYY-MM-DD`; returns `None` if its year is not from 0
/// to 9999.
pub fn write_date(days: i32, out: &mut String) -> Option<()> {
    /// The days 0000-01-01 to 9999-12-31.
    const DAYS: std::ops::RangeInclusive<i32> = -719_528..=DAYS_1970_TO_9999;
    if !DAYS.contains(&days) {
        return None;
    }
    // Inverse of `calendar::days`, with the constants of its formula.
    let days = u32::try_from(days + 719_468 + 146_097).ok()?;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 {
        (400 * era + year_of_era - 400, month + 3)
    } else {
        (400 * era + year_of_era - 399, month - 9)
    };
    write_digits(year, 4, out);
    out.push('-');
    write_digits(month, 2, out);
    out.push('-');
    write_digits(day, 2, out);
    Some(())
}

/// Writes nanoseconds since midnight as `HH:MM:SS`, with as many digits after the point as are
/// needed.
pub fn write_time(nanoseconds: i64, out: &mut String) {
    let seconds = u32::try_from(nanoseconds / NANOSECONDS_PER_SECOND).unwrap_or_default();
    write_digits(seconds / 3600, 2, out);
    out.push(':');
    write_digits(seconds / 60 % 60, 2, out);
    out.push(':');
    write_digits(seconds % 60, 2, out);
    let fraction = u32::try_from(nanoseconds % NANOSECONDS_PER_SECOND).unwrap_or_default();
    if fraction > 0 {
        out.push('.');
        write_digits(fraction, 9, out);
        out.truncate(out.trim_end_matches('0').len());
    }
}

/// Writes seconds since 1970-01-01 00:00, and the nanoseconds after them, as a date, a space and a
/// time; returns `None` as [`write_date`] does.
///
/// # Examples
///
/// ```
/// use industrydb_core::iso::write_datetime;
///
/// let mut text = String::new();
/// assert!(write_datetime(86_399, 120_000_000, &mut text).is_some());
/// assert_eq!(text, "1970-01-01 23:59:59.12");
/// ```
pub fn write_datetime(seconds: i64, nanoseconds: u32, out: &mut String) -> Option<()> {
    let days = i32::try_from(seconds.div_euclid(SECONDS_PER_DAY)).ok()?;
    write_date(days, out)?;
    out.push(' ');
    let second = seconds.rem_euclid(SECONDS_PER_DAY);
    write_time(
        second * NANOSECONDS_PER_SECOND + i64::from(nanoseconds),
        out,
    );
    Some(())
}

fn write_digits(number: u32, digits: u32, out: &mut String) {
    for place in (0..digits).rev() {
        let digit = number / 10_u32.pow(place) % 10;
        out.push(char::from_digit(digit, 10).unwrap_or('0'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_ten_thousand_years_follows_the_last() {
        let mut expected = -719_528;
        for year in 0..10_000 {
            for month in 1..=12 {
                for day in 1..=31 {
                    let text = format!("{year:04}-{month:02}-{day:02}");
                    if let Some((days, _)) = take_date(text.as_bytes()) {
                        assert_eq!(days, expected, "{text}");
                        let mut written = String::new();
                        assert_eq!(write_date(days, &mut written), Some(()), "{text}");
                        assert_eq!(written, text);
                        expected += 1;
                    }
                }
            }
        }
        assert_eq!(expected, 2_932_897, "10000-01-01");
        assert_eq!(write_date(expected, &mut String::new()), None);
        assert_eq!(write_date(-719_529, &mut String::new()), None);
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
            assert_eq!(time(text.as_bytes()), nanoseconds, "{text}");
        }
        assert_eq!(
            datetime(b"1969-12-31T23:59:59.999999999-00:01"),
            Some((59, 999_999_999))
        );
    }

    #[test]
    fn what_is_written_reads_the_same() {
        for (seconds, nanoseconds, text) in [
            (0, 0, "1970-01-01 00:00:00"),
            (-1, 999_999_999, "1969-12-31 23:59:59.999999999"),
            (86_399, 120_000_000, "1970-01-01 23:59:59.12"),
            (-62_167_219_200, 1000, "0000-01-01 00:00:00.000001"),
        ] {
            let mut written = String::new();
            assert_eq!(write_datetime(seconds, nanoseconds, &mut written), Some(()));
            assert_eq!(written, text);
            assert_eq!(datetime(text.as_bytes()), Some((seconds, nanoseconds)));
        }
    }
}
