//! PostgreSQL's `interval`, which consists of three numbers.

use std::fmt;

use crate::schema::calendar::MICROSECONDS_PER_DAY;

/// Interval of months, days and microseconds, which cannot be converted into one another: a month
/// has no fixed number of days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// Whole months.
    pub months: i32,
    /// Whole days.
    pub days: i32,
    /// Microseconds.
    pub microseconds: i64,
}

impl Interval {
    /// Value that PostgreSQL 17 and newer sends for `infinity`.
    const INFINITY: Self = Self {
        months: i32::MAX,
        days: i32::MAX,
        microseconds: i64::MAX,
    };
    /// Value that PostgreSQL 17 and newer sends for `-infinity`.
    const NEGATIVE_INFINITY: Self = Self {
        months: i32::MIN,
        days: i32::MIN,
        microseconds: i64::MIN,
    };

    /// Packs the three numbers into one integer.
    pub fn to_bits(self) -> i128 {
        let upper = i128::from(self.months) << 96;
        let middle = i128::from(self.days.cast_unsigned()) << 64;
        upper | middle | i128::from(self.microseconds.cast_unsigned())
    }

    /// Unpacks an integer that [`to_bits`](Interval::to_bits) has made.
    #[expect(clippy::cast_possible_truncation, reason = "takes the parts out")]
    pub fn from_bits(bits: i128) -> Self {
        Self {
            months: (bits >> 96) as i32,
            days: (bits >> 64) as i32,
            microseconds: bits as i64,
        }
    }

    /// Returns the length in microseconds, a day taken as 24 hours; `None` if there are months, or
    /// more microseconds than an `i64` holds.
    pub fn to_microseconds(self) -> Option<i64> {
        if self.months != 0 {
            return None;
        }
        i64::from(self.days)
            .checked_mul(MICROSECONDS_PER_DAY)?
            .checked_add(self.microseconds)
    }
}

/// Prints the interval as PostgreSQL does in its default `IntervalStyle`, `postgres`:
/// `1 year 2 mons -3 days +04:05:06.7`.
impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::INFINITY => return f.write_str("infinity"),
            Self::NEGATIVE_INFINITY => return f.write_str("-infinity"),
            _ => {}
        }
        let mut first = true;
        let mut after_negative = false;
        for (count, unit) in [
            (self.months / 12, "year"),
            (self.months % 12, "mon"),
            (self.days, "day"),
        ] {
            if count == 0 {
                continue;
            }
            let space = if first { "" } else { " " };
            let plus = if after_negative && count > 0 { "+" } else { "" };
            let plural = if count == 1 { "" } else { "s" };
            write!(f, "{space}{plus}{count} {unit}{plural}")?;
            after_negative = count < 0;
            first = false;
        }
        if self.microseconds == 0 && !first {
            return Ok(());
        }
        let space = if first { "" } else { " " };
        let sign = match (self.microseconds < 0, after_negative) {
            (true, _) => "-",
            (false, true) => "+",
            (false, false) => "",
        };
        let microseconds = self.microseconds.unsigned_abs();
        let seconds = microseconds / 1_000_000;
        write!(
            f,
            "{space}{sign}{:02}:{:02}:{:02}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        )?;
        match microseconds % 1_000_000 {
            0 => Ok(()),
            fraction => write!(f, ".{}", format!("{fraction:06}").trim_end_matches('0')),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each text is what `SELECT make_interval(…)::text` of PostgreSQL 18 printed.
    const PRINTED: [(i32, i32, i64, &str); 9] = [
        (0, 0, 0, "00:00:00"),
        (14, 3, 14_706_789_000, "1 year 2 mons 3 days 04:05:06.789"),
        (
            -14,
            3,
            -14_706_000_000,
            "-1 years -2 mons +3 days -04:05:06",
        ),
        (-1, 0, 1_000_000, "-1 mons +00:00:01"),
        (0, 1, 0, "1 day"),
        (0, 0, -1, "-00:00:00.000001"),
        (0, 0, 360_000_000_000, "100:00:00"),
        (i32::MAX, i32::MAX, i64::MAX, "infinity"),
        (i32::MIN, i32::MIN, i64::MIN, "-infinity"),
    ];

    #[test]
    fn intervals_print_as_postgresql_prints_them() {
        for (months, days, microseconds, text) in PRINTED {
            let interval = Interval {
                months,
                days,
                microseconds,
            };
            assert_eq!(interval.to_string(), text);
            assert_eq!(Interval::from_bits(interval.to_bits()), interval);
        }
    }

    #[test]
    fn months_and_overflow_make_no_duration() {
        let interval = |months, days, microseconds| Interval {
            months,
            days,
            microseconds,
        };
        assert_eq!(
            interval(0, -1, 5).to_microseconds(),
            Some(5 - MICROSECONDS_PER_DAY)
        );
        assert_eq!(interval(1, 0, 0).to_microseconds(), None);
        assert_eq!(interval(0, i32::MAX, 0).to_microseconds(), None);
        assert_eq!(interval(0, 1, i64::MAX).to_microseconds(), None);
    }
}
