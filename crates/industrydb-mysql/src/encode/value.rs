//! Values of a frame as texts.

use std::fmt::Write;

use industrydb_core::builders::{POWERS_OF_TEN, decimal_text};
use industrydb_core::calendar::{DAYS_0001_TO_1970, SECONDS_PER_DAY};
use industrydb_core::scalar::Scalar;
use industrydb_core::{CellError, CellResult, ColumnType, convert, iso};

use super::Declared;

/// Microseconds that are too many for a `time`. MySQL's own limit, 838:59:59.000000, is a little
/// less.
const TOO_LONG_TIME: u64 = 839 * 3600 * 1_000_000;

/// How the values of a column are written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Encoding {
    /// A column that has only NULLs.
    Null,
    Integer {
        least: i128,
        most: i128,
    },
    /// Floats of 32 bits, which the server rounds if the column has a number of digits behind the
    /// point, as in `float(7,3)`.
    Float32 {
        digits: Option<u8>,
    },
    Float64 {
        digits: Option<u8>,
    },
    Decimal {
        precision: u8,
        scale: u8,
        is_unsigned: bool,
    },
    Year,
    Bit {
        most: u64,
    },
    Date,
    /// Times of the day and durations, with a number of digits of a second.
    Time {
        digits: u8,
    },
    Datetime {
        digits: u8,
    },
    Text,
    /// One of an enum's values.
    Enum(Vec<String>),
    /// Some of a set's values, with commas between them.
    Set(Vec<String>),
    Bytes,
    /// Bytes of one length, to which the server pads shorter ones with zeros.
    Padded {
        length: u8,
    },
    /// A geometry, as well-known binary, or as extended WKB with its reference system.
    Geometry,
}

impl Encoding {
    /// Returns the encoding of a frame's column for a table's column; `None` if the conversion would
    /// not be exact.
    pub(crate) fn of(from: &ColumnType, to: &Declared) -> Option<Self> {
        use ColumnType as T;
        let is_number = matches!(
            from,
            T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::UInt8 | T::UInt16 | T::UInt32 | T::UInt64
        ) || matches!(from, T::Decimal { .. } | T::Float32 | T::Float64);
        let integer = |bits: u32| {
            let (least, most) = if to.is_unsigned {
                (0, (1_i128 << bits) - 1)
            } else {
                (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1)
            };
            Self::Integer { least, most }
        };
        let digits = to.number(0, 0);
        Some(match (to.name.as_str(), from) {
            (_, T::Null) => Self::Null,
            ("tinyint", T::Boolean) => integer(8),
            ("tinyint", _) if is_number => integer(8),
            ("smallint", _) if is_number => integer(16),
            ("mediumint", _) if is_number => integer(24),
            ("int" | "integer", _) if is_number => integer(32),
            ("bigint", _) if is_number => integer(64),
            ("bit", T::Boolean) => Self::Bit { most: 1 },
            ("bit", _) if is_number => Self::Bit {
                most: u64::MAX >> (64 - u32::from(to.number(0, 1).clamp(1, 64))),
            },
            ("year", _) if is_number => Self::Year,
            ("float", _) if is_number => Self::Float32 {
                digits: to.behind_point(),
            },
            ("double", _) if is_number => Self::Float64 {
                digits: to.behind_point(),
            },
            ("decimal", _) if is_number => Self::Decimal {
                precision: to.number(0, 10),
                scale: to.number(1, 0),
                is_unsigned: to.is_unsigned,
            },
            ("date", T::Date | T::Datetime { utc: false, .. }) => Self::Date,
            ("time", T::Time | T::Duration { .. }) => Self::Time { digits },
            ("datetime", T::Date | T::Datetime { utc: false, .. })
            | ("timestamp", T::Datetime { utc: true, .. }) => Self::Datetime { digits },
            ("enum", T::String) => Self::Enum(to.values().to_vec()),
            ("set", T::String) => Self::Set(to.values().to_vec()),
            (
                "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "json"
                | "uuid" | "inet4" | "inet6",
                T::String,
            ) => Self::Text,
            ("binary", T::Binary) => Self::Padded {
                length: to.number(0, 1),
            },
            ("varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob", T::Binary) => {
                Self::Bytes
            }
            (
                "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring"
                | "multipolygon" | "geometrycollection" | "geomcollection",
                T::Binary,
            ) => Self::Geometry,
            _ => return None,
        })
    }

    /// Returns the SQL expression that makes the column's value of a parameter or a variable.
    pub(crate) fn expression(&self, place: &str) -> String {
        match self {
            // The text itself would be taken for the bits.
            Self::Bit { .. } => format!("CAST({place} AS UNSIGNED)"),
            _ => place.to_owned(),
        }
    }

    /// Returns whether the values are bytes, and not texts.
    pub(crate) fn is_binary(&self) -> bool {
        matches!(self, Self::Bytes | Self::Padded { .. } | Self::Geometry)
    }

    /// Returns whether the values are texts of any characters.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self, Self::Text | Self::Enum(_) | Self::Set(_))
    }

    /// Returns a value's text, or its bytes; `scratch` holds those that the value itself does not have.
    ///
    /// # Errors
    ///
    /// If the column cannot hold the value, or would change it.
    pub(crate) fn write<'a>(
        &self,
        value: &Scalar<'a>,
        scratch: &'a mut Scratch,
    ) -> CellResult<&'a [u8]> {
        if let (Self::Text | Self::Bytes, Scalar::Text(bytes) | Scalar::Bytes(bytes)) =
            (self, *value)
        {
            return Ok(bytes);
        }
        if let (Self::Enum(values) | Self::Set(values), Scalar::Text(bytes)) = (self, *value) {
            // The server takes other letters for a value that its collation takes for equal, and some
            // texts for the number of one.
            let is_value = |part: &[u8]| values.iter().any(|value| value.as_bytes() == part);
            let is_kept = match self {
                Self::Set(_) => bytes.is_empty() || bytes.split(|byte| *byte == b',').all(is_value),
                _ => is_value(bytes),
            };
            return is_kept.then_some(bytes).ok_or_else(|| self.misfit(value));
        }
        if let (Self::Padded { length }, Scalar::Bytes(bytes)) = (self, *value) {
            let is_kept = bytes.len() == usize::from(*length);
            return is_kept.then_some(bytes).ok_or_else(|| self.misfit(value));
        }
        if let (Self::Geometry, Scalar::Bytes(bytes)) = (self, *value) {
            scratch.bytes.clear();
            return match store_geometry(bytes, &mut scratch.bytes) {
                Some(()) => Ok(&scratch.bytes),
                None => Err(self.misfit(value)),
            };
        }
        scratch.text.clear();
        match self.print(value, &mut scratch.text) {
            Some(()) => Ok(scratch.text.as_bytes()),
            None => Err(self.misfit(value)),
        }
    }

    /// Appends the text of a value; returns `None` if the column would change it.
    fn print(&self, value: &Scalar, out: &mut String) -> Option<()> {
        match *self {
            Self::Integer { least, most } => {
                let number: i128 = convert::integer(value)?;
                (least..=most).contains(&number).then_some(())?;
                // Nearly all numbers have 64 bits, which are printed faster.
                match i64::try_from(number) {
                    Ok(number) => write!(out, "{number}").ok(),
                    Err(_) => write!(out, "{number}").ok(),
                }
            }
            Self::Bit { most } => {
                let number: u64 = convert::integer(value)?;
                (number <= most).then(|| write!(out, "{number}").ok())?
            }
            Self::Year => {
                let number: u16 = convert::integer(value)?;
                // Of fewer than four digits, the server makes years of this century or the last.
                let is_kept = number == 0 || (1901..=2155).contains(&number);
                is_kept.then(|| write!(out, "{number:04}").ok())?
            }
            Self::Float32 { digits } => {
                let float = convert::exact_float32(value).filter(|float| float.is_finite())?;
                is_kept(digits, float).then_some(())?;
                // The server reads a float of 64 bits, and rounds it to 32: a shorter text could be
                // rounded twice.
                write!(out, "{:?}", f64::from(float)).ok()
            }
            Self::Float64 { digits } => {
                let float = convert::exact_float64(value).filter(|float| float.is_finite())?;
                is_kept(digits, float).then_some(())?;
                write!(out, "{float:?}").ok()
            }
            Self::Decimal {
                precision,
                scale,
                is_unsigned,
            } => print_decimal(value, precision, scale, is_unsigned, out),
            Self::Date => {
                let days = convert::date(value).filter(|days| has_year((*days).into()))?;
                iso::write_date(days, out)
            }
            Self::Time { digits } => print_time(value, digits, out),
            Self::Datetime { digits } => {
                let (seconds, nanoseconds) = match *value {
                    Scalar::Date(days) => (i64::from(days) * SECONDS_PER_DAY, 0),
                    Scalar::Datetime {
                        seconds,
                        nanoseconds,
                    } => (seconds, nanoseconds),
                    _ => return None,
                };
                let is_kept = has_year(seconds.div_euclid(SECONDS_PER_DAY))
                    && nanoseconds.is_multiple_of(step(digits));
                is_kept.then(|| iso::write_datetime(seconds, nanoseconds, out))?
            }
            Self::Null
            | Self::Text
            | Self::Enum(_)
            | Self::Set(_)
            | Self::Bytes
            | Self::Padded { .. }
            | Self::Geometry => None,
        }
    }

    #[cold]
    fn misfit(&self, value: &Scalar) -> Box<CellError> {
        let (reason, remedy) = match self {
            Self::Integer { .. } | Self::Bit { .. } => (
                "is not among the integers of the column",
                "round it, or use a wider column",
            ),
            Self::Year => (
                "is not among the years of the column, 0 and 1901 to 2155",
                "use a smallint",
            ),
            Self::Float32 { digits: Some(_) }
                if convert::exact_float32(value).is_some_and(f32::is_finite) =>
            {
                TOO_MANY_DIGITS
            }
            Self::Float64 { digits: Some(_) }
                if convert::exact_float64(value).is_some_and(f64::is_finite) =>
            {
                TOO_MANY_DIGITS
            }
            Self::Float32 { .. } | Self::Float64 { .. } => (
                "is no number that the column keeps",
                "make NaN and infinities NULL, as by fill_nan(None)",
            ),
            Self::Decimal { .. } => (
                "has more digits than the column, in front of or behind the point",
                "round it, or use a wider column",
            ),
            Self::Date => (
                "is no date of the years 1 to 9999",
                "use dt.date(), or a datetime",
            ),
            Self::Time { .. } => (
                "is finer than the column's times, or longer than 838:59:59",
                "truncate it, as by dt.truncate(\"1us\"), or use a column time(6)",
            ),
            Self::Datetime { .. } => (
                "is finer than the column's times, or not of the years 1 to 9999",
                "truncate it, as by dt.truncate(\"1us\"), or use a column with (6) behind its type",
            ),
            Self::Enum(_) | Self::Set(_) => (
                "is no value of the column, letter by letter",
                "write one of its values",
            ),
            Self::Padded { .. } => (
                "does not have the length of the column, to which the server would pad it with zeros",
                "pad it yourself, or use a varbinary",
            ),
            Self::Geometry => (
                "is no well-known binary (WKB)",
                "write WKB, or extended WKB",
            ),
            _ => ("does not fit the column", "use a column of another type"),
        };
        CellError::new(value.to_string(), reason, remedy)
    }
}

/// Why a column such as `double(10,2)` does not keep a number, and what to do.
const TOO_MANY_DIGITS: (&str, &str) = (
    "has more digits behind the point than the column",
    "round it, or use a column without a number of digits",
);

/// Buffers for the current value, where it has no text or bytes of its own.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    text: String,
    bytes: Vec<u8>,
}

/// Bit of the type in extended WKB that announces a reference system.
const HAS_SRID: u32 = 0x2000_0000;

/// Writes a geometry as the server stores it, with the number of its reference system in front;
/// returns `None` if the bytes are no WKB.
fn store_geometry(bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (order, rest) = bytes.split_first()?;
    let (kind, rest) = rest.split_first_chunk::<4>()?;
    if *order != 1 || u32::from_le_bytes(*kind) & HAS_SRID == 0 {
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(bytes);
        return Some(());
    }
    let (srid, rest) = rest.split_first_chunk::<4>()?;
    out.extend_from_slice(srid);
    out.push(*order);
    out.extend_from_slice(&(u32::from_le_bytes(*kind) & !HAS_SRID).to_le_bytes());
    out.extend_from_slice(rest);
    Some(())
}

/// Returns whether a day is in the years 1 to 9999.
fn has_year(days_since_1970: i64) -> bool {
    days_since_1970 >= -i64::from(DAYS_0001_TO_1970)
}

/// Returns whether a float has no more digits behind the point than a column keeps.
fn is_kept(digits: Option<u8>, float: impl std::fmt::Display) -> bool {
    digits.is_none_or(|digits| {
        let text = float.to_string();
        let behind = text.split_once('.').map_or("", |(_, behind)| behind);
        behind.len() <= usize::from(digits)
    })
}

/// Returns the nanoseconds of the last of a number of digits behind a second's point.
fn step(digits: u8) -> u32 {
    10_u32.pow(9 - u32::from(digits.min(6)))
}

fn print_decimal(
    value: &Scalar,
    precision: u8,
    scale: u8,
    is_unsigned: bool,
    out: &mut String,
) -> Option<()> {
    let (mut unscaled, mut behind) = match *value {
        Scalar::Decimal { unscaled, scale } => (unscaled, scale),
        Scalar::Integer(number) => (number.into(), 0),
        // The shortest decimal that is read as the same float.
        _ => {
            let scale = scale.min(30);
            (convert::decimal(value, scale)?, scale)
        }
    };
    while behind > scale {
        (unscaled % 10 == 0).then_some(())?;
        unscaled /= 10;
        behind -= 1;
    }
    let power = |digits: u8| {
        POWERS_OF_TEN
            .get(usize::from(digits))
            .map(|power| power.unsigned_abs())
    };
    let whole = unscaled.unsigned_abs() / power(behind)?;
    // A column with more digits than a number can have holds every one.
    let is_kept = power(precision.checked_sub(scale)?).is_none_or(|limit| whole < limit);
    (is_kept && !(is_unsigned && unscaled < 0)).then_some(())?;
    write!(out, "{}", decimal_text(unscaled, behind)).ok()
}

/// Writes a time of the day or a duration as hours, which may be more than 24, minutes and seconds.
fn print_time(value: &Scalar, digits: u8, out: &mut String) -> Option<()> {
    let microseconds = match *value {
        Scalar::Time(nanoseconds) => (nanoseconds % 1000 == 0).then_some(nanoseconds / 1000)?,
        Scalar::Duration(microseconds) => microseconds,
        _ => return None,
    };
    let magnitude = microseconds.unsigned_abs();
    let is_kept =
        magnitude < TOO_LONG_TIME && magnitude.is_multiple_of(u64::from(step(digits) / 1000));
    is_kept.then_some(())?;
    let (seconds, rest) = (magnitude / 1_000_000, magnitude % 1_000_000);
    let sign = if microseconds < 0 { "-" } else { "" };
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    write!(out, "{sign}{hours:02}:{minutes:02}:{seconds:02}.{rest:06}").ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(from: &ColumnType, to: &str, value: Scalar) -> Result<String, String> {
        let encoding = Encoding::of(from, &Declared::new(to)).ok_or("no way")?;
        let mut scratch = Scratch::default();
        match encoding.write(&value, &mut scratch) {
            Ok(text) => Ok(String::from_utf8_lossy(text).into_owned()),
            Err(error) => Err(error.reason),
        }
    }

    #[test]
    fn values_are_written_with_all_their_digits() {
        use ColumnType as T;
        let decimal = |unscaled, scale| Scalar::Decimal { unscaled, scale };
        let micro = polars_core::prelude::TimeUnit::Microseconds;
        let (duration, clock) = (
            T::Duration { unit: micro },
            T::Datetime {
                unit: micro,
                utc: false,
            },
        );
        let number = T::Decimal {
            precision: 38,
            scale: 4,
        };
        for (from, to, value, expected) in [
            (
                &T::Int64,
                "bigint(20)",
                Scalar::Integer(i64::MIN),
                "-9223372036854775808",
            ),
            (
                &T::UInt64,
                "bigint(20) unsigned",
                decimal(u64::MAX.into(), 0),
                "18446744073709551615",
            ),
            (&T::Boolean, "tinyint(1)", Scalar::Boolean(true), "1"),
            (
                &T::Float32,
                "float",
                Scalar::Float32(0.1),
                "0.10000000149011612",
            ),
            (&T::Float64, "double", Scalar::Float64(-0.0), "-0.0"),
            (
                &T::Float64,
                "double(10,2)",
                Scalar::Float64(12_345_678.91),
                "12345678.91",
            ),
            (&T::Float64, "decimal(5,1)", Scalar::Float64(0.5), "0.5"),
            (&number, "decimal(4,2)", decimal(-123_400, 4), "-12.34"),
            (
                &number,
                "decimal(65,0)",
                decimal(i128::MAX, 0),
                "170141183460469231731687303715884105727",
            ),
            (&T::Int16, "year(4)", Scalar::Integer(0), "0000"),
            (&T::Int16, "bit(64)", Scalar::Integer(5), "5"),
            (&T::Date, "date", Scalar::Date(-719_162), "0001-01-01"),
            (&T::Date, "datetime", Scalar::Date(1), "1970-01-02 00:00:00"),
            (
                &duration,
                "time(6)",
                Scalar::Duration(3_020_400_000_000),
                "no way",
            ),
            (
                &duration,
                "time(6)",
                Scalar::Duration(-3_020_398_000_001),
                "-838:59:58.000001",
            ),
            (
                &T::Time,
                "time",
                Scalar::Time(86_399_000_000_000),
                "23:59:59.000000",
            ),
            (&T::String, "enum('a','2')", Scalar::Text(b"2"), "2"),
            (
                &T::String,
                "longtext",
                Scalar::Text("ä\0".as_bytes()),
                "ä\0",
            ),
        ] {
            let found = written(from, to, value);
            if expected == "no way" {
                found.expect_err(to);
            } else {
                assert_eq!(found.as_deref(), Ok(expected), "{to}");
            }
        }
        let nanoseconds = 123_000_000;
        let value = Scalar::Datetime {
            seconds: 0,
            nanoseconds,
        };
        assert_eq!(
            written(&clock, "datetime(3)", value).as_deref(),
            Ok("1970-01-01 00:00:00.123")
        );
        written(&clock, "datetime(2)", value).expect_err("finer");
        written(&clock, "timestamp(3)", value).expect_err("no point in time");
    }

    #[test]
    fn geometries_are_stored_with_their_reference_system() {
        for (bytes, expected) in [
            (
                &b"\x01\x01\0\0\0xy"[..],
                Some(&b"\0\0\0\0\x01\x01\0\0\0xy"[..]),
            ),
            (
                b"\x01\x01\0\0\x20\xe6\x10\0\0xy",
                Some(b"\xe6\x10\0\0\x01\x01\0\0\0xy"),
            ),
            (b"\x01\x01\0", None),
            (b"\x01\x01\0\0\x20\xe6", None),
        ] {
            let mut out = Vec::new();
            let stored = store_geometry(bytes, &mut out).map(|()| out.as_slice());
            assert_eq!(stored, expected, "{bytes:?}");
        }
    }

    #[test]
    fn values_that_the_server_would_change_are_refused() {
        use ColumnType as T;
        for (from, to, value) in [
            (&T::Int64, "tinyint(4)", Scalar::Integer(128)),
            (&T::Int64, "bigint(20) unsigned", Scalar::Integer(-1)),
            (&T::Int64, "year(4)", Scalar::Integer(70)),
            (&T::Int64, "bit(3)", Scalar::Integer(8)),
            (&T::Float64, "double", Scalar::Float64(f64::NAN)),
            (&T::Float64, "float", Scalar::Float64(f64::INFINITY)),
            (&T::Float64, "double(10,2)", Scalar::Float64(1.005)),
            (&T::Float32, "float(7,3)", Scalar::Float32(1.0005)),
            (&T::Float64, "decimal(5,1)", Scalar::Float64(0.25)),
            (&T::Int64, "decimal(5,1)", Scalar::Integer(10_000)),
            (&T::Int64, "decimal(5,1) unsigned", Scalar::Integer(-1)),
            (&T::Date, "date", Scalar::Date(-719_163)),
            (&T::Time, "time(3)", Scalar::Time(1000)),
            (&T::String, "enum('a','b')", Scalar::Text(b"2")),
            (&T::String, "set('a','b')", Scalar::Text(b" 3")),
        ] {
            written(from, to, value).expect_err(to);
        }
    }
}
