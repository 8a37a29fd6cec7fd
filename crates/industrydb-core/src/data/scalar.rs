//! One value, on its way from a database to a column, or from a column to a database.

use std::fmt::{self, Display};

use polars_arrow::temporal_conversions::{date32_to_date_opt, time64ns_to_time_opt};

use super::builders::{Interval, decimal_text};
use crate::schema::calendar::{DAYS_0001_TO_1970, NANOSECONDS_PER_SECOND, SECONDS_PER_DAY};

/// Largest number of bytes of a binary value that a message shows.
const MAX_SHOWN_BYTES: usize = 20;

/// One value, as a database has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar<'a> {
    /// A truth value.
    Boolean(bool),
    /// An integer.
    Integer(i64),
    /// An exact number.
    Decimal {
        /// The number in units of 10⁻ˢᶜᵃˡᵉ.
        unscaled: i128,
        /// Number of digits after the point.
        scale: u8,
    },
    /// A float of 32 bits, which prints with fewer digits than the same one of 64 bits.
    Float32(f32),
    /// A float of 64 bits.
    Float64(f64),
    /// An exact number of any length, as text.
    Number(&'a str),
    /// A text, which may turn out not to be UTF-8.
    Text(&'a [u8]),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Days since 1970-01-01.
    Date(i32),
    /// Nanoseconds since midnight.
    Time(i64),
    /// A wall-clock reading or a point in time, counted from 1970-01-01 00:00.
    Datetime {
        /// Whole seconds, rounded down.
        seconds: i64,
        /// Nanoseconds after the whole seconds.
        nanoseconds: u32,
    },
    /// A duration in microseconds.
    Duration(i64),
}

/// Prints a value as messages show it, and as it becomes text if the database does not print it. A
/// float is the shortest number that parses to the same float, always with a point or an exponent.
impl Display for Scalar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Boolean(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Decimal { unscaled, scale } => decimal_text(unscaled, scale).fmt(f),
            Self::Float32(value) => write!(f, "{value:?}"),
            Self::Float64(value) => write!(f, "{value:?}"),
            Self::Number(text) => text.fmt(f),
            Self::Text(text) => write!(f, "{:?}", String::from_utf8_lossy(text)),
            Self::Bytes(bytes) => {
                f.write_str("x'")?;
                for byte in bytes.iter().take(MAX_SHOWN_BYTES) {
                    write!(f, "{byte:02x}")?;
                }
                f.write_str(if bytes.len() > MAX_SHOWN_BYTES {
                    "…'"
                } else {
                    "'"
                })
            }
            // Arrow's own conversion adds the days before 1970 to any number, which may overflow.
            Self::Date(days) => match Some(days)
                .filter(|days| *days < i32::MAX - DAYS_0001_TO_1970)
                .and_then(date32_to_date_opt)
            {
                Some(date) => date.fmt(f),
                None => write!(f, "the day {days} of 1970"),
            },
            Self::Time(nanoseconds) => match time64ns_to_time_opt(nanoseconds) {
                Some(time) => time.fmt(f),
                None => nanoseconds.fmt(f),
            },
            Self::Datetime {
                seconds,
                nanoseconds,
            } => {
                let days = i32::try_from(seconds.div_euclid(SECONDS_PER_DAY));
                let second = seconds.rem_euclid(SECONDS_PER_DAY);
                let time = Self::Time(second * NANOSECONDS_PER_SECOND + i64::from(nanoseconds));
                write!(f, "{} {time}", Self::Date(days.unwrap_or(i32::MAX)))
            }
            Self::Duration(microseconds) => Interval {
                months: 0,
                days: 0,
                microseconds,
            }
            .fmt(f),
        }
    }
}
