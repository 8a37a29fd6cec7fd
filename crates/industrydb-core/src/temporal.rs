//! Dates and times as ISO 8601 text: `YYYY-MM-DD`, `HH:MM`, `HH:MM:SS`, `HH:MM:SS.fraction`, and both with `T` or
//! a blank between them and `Z`, `+HH:MM` or `-HH:MM` behind.

const SECONDS_PER_DAY: i64 = 86_400;
const NANOSECONDS_PER_SECOND: i64 = 1_000_000_000;

/// Days since 1970-01-01 of a text `YYYY-MM-DD`, as nearly all dates are.
#[inline]
pub fn date(text: &[u8]) -> Option<i32> {
    match take_date(text) {
        Some((days, [])) => Some(days),
        _ => None,
    }
}

/// Nanoseconds since midnight.
pub fn time(text: &[u8]) -> Option<i64> {
    match take_time(text)? {
        (nanoseconds, []) => Some(nanoseconds),
        _ => None,
    }
}

/// Seconds since 1970-01-01 00:00 UTC, and nanoseconds behind them. A zone is subtracted; a date alone is its
/// midnight.
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
}
