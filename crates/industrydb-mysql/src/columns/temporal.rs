//! Decodes dates and times.

use industrydb_core::builders::PrimitiveBuilder;
use industrydb_core::calendar::{MICROSECONDS_PER_DAY, days};
use industrydb_core::{CellError, CellResult};

pub(crate) use crate::config::options::ZeroDates;

/// A date, with a time or without, as it is sent: no calendar may have it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Moment {
    year: u16,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
    microsecond: u32,
    has_time: bool,
}

/// Returns the days since 1970-01-01 of a date that is sent without a time; `None` for anything
/// else, and for a date that no calendar has.
#[inline]
pub(super) fn plain_days(bytes: &[u8]) -> Option<i32> {
    let [year, century, month, day] = *<&[u8; 4]>::try_from(bytes).ok()?;
    days(
        u16::from_le_bytes([year, century]).into(),
        month.into(),
        day.into(),
    )
}

/// Parses a date or a datetime: the parts that are zero at its end are left out.
#[expect(
    clippy::inline_always,
    reason = "returned by way of memory, its parts would be waited for"
)]
#[inline(always)]
pub(super) fn moment(bytes: &[u8]) -> CellResult<Moment> {
    let mut moment = Moment::default();
    let (date, time) = match bytes.split_first_chunk::<4>() {
        Some(parts) => parts,
        None if bytes.is_empty() => return Ok(moment),
        None => return Err(malformed()),
    };
    moment.year = u16::from_le_bytes([date[0], date[1]]);
    (moment.month, moment.day) = (date[2], date[3]);
    let fraction = match time {
        [] => return Ok(moment),
        [hour, minute, second, fraction @ ..] => {
            (moment.hour, moment.minute, moment.second) = (*hour, *minute, *second);
            fraction
        }
        _ => return Err(malformed()),
    };
    moment.has_time = true;
    moment.microsecond = match fraction {
        [] => 0,
        [a, b, c, d] => u32::from_le_bytes([*a, *b, *c, *d]),
        _ => return Err(malformed()),
    };
    if moment.hour > 23 || moment.minute > 59 || moment.second > 59 || moment.microsecond > 999_999
    {
        return Err(malformed());
    }
    Ok(moment)
}

impl Moment {
    /// Returns the days since 1970-01-01; `None` for a date that no calendar has.
    #[inline]
    pub(super) fn days(&self) -> Option<i32> {
        days(self.year.into(), self.month.into(), self.day.into())
    }

    /// Returns the microseconds since 1970-01-01 00:00; `None` for a date that no calendar has.
    #[inline]
    pub(super) fn microseconds(&self) -> Option<i64> {
        let time =
            i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second);
        let time = time * 1_000_000 + i64::from(self.microsecond);
        Some(i64::from(self.days()?) * MICROSECONDS_PER_DAY + time)
    }

    /// Returns the text that the database prints.
    pub(super) fn text(&self) -> String {
        let date = format!("{:04}-{:02}-{:02}", self.year, self.month, self.day);
        let time = format!("{:02}:{:02}:{:02}", self.hour, self.minute, self.second);
        match (self.has_time, self.microsecond) {
            (false, _) => date,
            (true, 0) => format!("{date} {time}"),
            (true, fraction) => format!("{date} {time}.{fraction:06}"),
        }
    }

    #[cold]
    pub(super) fn in_no_calendar(&self) -> Box<CellError> {
        CellError::new(
            self.text(),
            "is a date that no calendar has",
            "ask for pl.String by schema_overrides to keep it, or for NULL by zero_dates=null in the URI",
        )
    }
}

/// Appends a date that [`plain_days`] makes nothing of.
#[cold]
pub(super) fn push_other_date(
    bytes: &[u8],
    builder: &mut PrimitiveBuilder<i32>,
    zero_dates: ZeroDates,
) -> CellResult {
    let moment = moment(bytes)?;
    match moment.days() {
        Some(days) => builder.push(days),
        None if zero_dates == ZeroDates::Null => builder.push_null(),
        None => return Err(moment.in_no_calendar()),
    }
    Ok(())
}

/// Parses a time, which may be negative and beyond a day, to microseconds.
pub(super) fn time(bytes: &[u8]) -> CellResult<i64> {
    let (is_negative, days, clock, fraction) = match bytes {
        [] => return Ok(0),
        [sign @ 0..=1, a, b, c, d, clock @ ..] => {
            let days = u32::from_le_bytes([*a, *b, *c, *d]);
            match clock {
                [hour, minute, second] => (*sign == 1, days, [*hour, *minute, *second], 0),
                [hour, minute, second, a, b, c, d] => {
                    let fraction = u32::from_le_bytes([*a, *b, *c, *d]);
                    (*sign == 1, days, [*hour, *minute, *second], fraction)
                }
                _ => return Err(malformed()),
            }
        }
        _ => return Err(malformed()),
    };
    let [hour, minute, second] = clock.map(i64::from);
    if days > 10_000 || hour > 23 || minute > 59 || second > 59 || fraction > 999_999 {
        return Err(malformed());
    }
    let seconds = i64::from(days) * 86_400 + hour * 3600 + minute * 60 + second;
    let microseconds = seconds * 1_000_000 + i64::from(fraction);
    Ok(if is_negative {
        -microseconds
    } else {
        microseconds
    })
}

#[cold]
fn malformed() -> Box<CellError> {
    CellError::malformed("it is no date or time")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of MariaDB 10.11, each under the text that it printed.
    #[test]
    fn parts_that_are_zero_are_left_out() {
        for (bytes, text) in [
            (&b""[..], "0000-00-00"),
            (b"\xe8\x07\x00\x0a", "2024-00-10"),
            (b"\xe8\x07\x02\x1d", "2024-02-29"),
            (b"\xe8\x07\x02\x1d\x17\x3b\x3b", "2024-02-29 23:59:59"),
            (
                b"\xe8\x07\x02\x1d\x17\x3b\x3b\x3f\x42\x0f\x00",
                "2024-02-29 23:59:59.999999",
            ),
        ] {
            assert_eq!(moment(bytes).expect("a date").text(), text);
        }
        assert_eq!(
            moment(b"\xe8\x07\x02\x1d").expect("a date").days(),
            Some(19_782)
        );
        assert_eq!(moment(b"").expect("a date").days(), None);
        assert_eq!(
            moment(b"\xb2\x07\x01\x01\x00\x00\x01")
                .expect("a date")
                .microseconds(),
            Some(1_000_000)
        );
        for bytes in [
            &b"\x01"[..],
            b"\xe8\x07\x02\x1d\x18\x00\x00",
            b"\xe8\x07\x02\x1d\x00",
        ] {
            assert!(moment(bytes).is_err());
        }
    }

    #[test]
    fn times_may_be_negative_and_beyond_a_day() {
        let hours_838 = 838 * 3600 + 59 * 60 + 59;
        for (bytes, microseconds) in [
            (&b""[..], 0),
            (b"\x00\x00\x00\x00\x00\x0c\x22\x38", 45_296_000_000),
            (b"\x01\x22\x00\x00\x00\x16\x3b\x3b", -hours_838 * 1_000_000),
            (b"\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00", -1),
        ] {
            assert_eq!(time(bytes).ok(), Some(microseconds));
        }
        for bytes in [&b"\x00"[..], b"\x02\x00\x00\x00\x00\x00\x00\x00"] {
            assert!(time(bytes).is_err());
        }
    }
}
