//! Values on their way to a type that the user asks for in place of the type table's.
//!
//! A connector's decoder hands over a [`Scalar`], and a [`Converter`] appends it to a column of the asked
//! type: as it is, or not at all. Only floats round, to the nearest one, since that is what they are for.

use std::fmt::{self, Display};
use std::str::FromStr;

use polars_arrow::array::Array;
use polars_arrow::temporal_conversions::{date32_to_date_opt, time64ns_to_time_opt};
use polars_arrow::types::NativeType;
use polars_core::prelude::TimeUnit;

use crate::base::error::{CellError, CellResult};
use crate::data::builders::{
    BinaryBuilder, BooleanBuilder, DecimalBuilder, Interval, POWERS_OF_TEN, PrimitiveBuilder,
    TextBuilder, decimal_text,
};
use crate::schema::calendar as temporal;
use crate::schema::column_type::ColumnType;

const SECONDS_PER_DAY: i64 = 86_400;
const DAYS_0001_TO_1970: i32 = 719_163;

/// How much of a long value a message shows.
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
        /// Digits behind the point.
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
    /// A wall-clock reading or a point in time, from 1970-01-01 00:00.
    Datetime {
        /// Whole seconds, rounded down.
        seconds: i64,
        /// What is behind them.
        nanoseconds: u32,
    },
    /// Microseconds.
    Duration(i64),
}

/// Whether values of one type may also be had as another. A [`Null`](ColumnType::Null) stands for values of
/// any kind.
pub fn is_convertible(from: &ColumnType, to: &ColumnType) -> bool {
    use ColumnType as T;
    match (from, to) {
        (T::List(from), T::List(to)) => is_convertible(from, to),
        (_, T::Null | T::Interval | T::Ticks { .. } | T::List(_) | T::Struct(_)) => false,
        (_, T::String)
        | (T::Binary, T::Binary)
        | (T::Time, T::Time)
        | (T::Date | T::Datetime { .. } | T::Ticks { .. }, T::Date | T::Datetime { .. })
        | (T::Interval | T::Duration { .. }, T::Duration { .. }) => true,
        (T::Null | T::String, to) => !matches!(to, T::Duration { .. }),
        (T::Boolean, to) => *to == T::Boolean || is_integer(to),
        (from, T::Boolean) => is_integer(from),
        (from, to) => is_number(from) && is_number(to),
    }
}

fn is_integer(column_type: &ColumnType) -> bool {
    use ColumnType as T;
    matches!(
        column_type,
        T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::UInt8 | T::UInt16 | T::UInt32 | T::UInt64
    )
}

fn is_number(column_type: &ColumnType) -> bool {
    use ColumnType as T;
    is_integer(column_type) || matches!(column_type, T::Float32 | T::Float64 | T::Decimal { .. })
}

/// A growing column of an asked type.
pub struct Converter {
    column_type: ColumnType,
    column: Box<dyn Column + Send>,
}

impl Converter {
    /// An empty column; `None` for the types that [`is_convertible`] gives nothing for, and lists.
    pub fn new(column_type: &ColumnType) -> Option<Self> {
        use ColumnType as T;
        let column: Box<dyn Column + Send> = match *column_type {
            T::Boolean => Box::new(BooleanBuilder::default()),
            T::Int8 => Box::new(Values::new(integer::<i8>)),
            T::Int16 => Box::new(Values::new(integer::<i16>)),
            T::Int32 => Box::new(Values::new(integer::<i32>)),
            T::Int64 => Box::new(Values::new(integer::<i64>)),
            T::UInt8 => Box::new(Values::new(integer::<u8>)),
            T::UInt16 => Box::new(Values::new(integer::<u16>)),
            T::UInt32 => Box::new(Values::new(integer::<u32>)),
            T::UInt64 => Box::new(Values::new(integer::<u64>)),
            T::Float32 => Box::new(Values::new(float32)),
            T::Float64 => Box::new(Values::new(float64)),
            T::Decimal { precision, scale } => Box::new(DecimalBuilder::new(precision, scale)),
            T::Date => Box::new(Values::new(date)),
            T::Time => Box::new(Values::new(time)),
            T::Datetime { unit, .. } => {
                Box::new(Values::new(move |value: &Scalar| datetime(value, unit)))
            }
            T::Duration { unit } => {
                Box::new(Values::new(move |value: &Scalar| duration(value, unit)))
            }
            T::String => Box::new(TextBuilder::default()),
            T::Binary => Box::new(BinaryBuilder::default()),
            T::Null | T::Interval | T::Ticks { .. } | T::List(_) | T::Struct(_) => return None,
        };
        Some(Self {
            column_type: column_type.clone(),
            column,
        })
    }

    /// How many bytes long texts and bytes have.
    pub fn long_bytes(&self) -> usize {
        self.column.long_bytes()
    }

    /// Appends a value.
    ///
    /// # Errors
    ///
    /// Where the column's type has no such value.
    #[inline]
    pub fn push(&mut self, value: Scalar) -> CellResult {
        if self.column.push(&value)? {
            Ok(())
        } else {
            Err(misfit(value.to_string(), &self.column_type))
        }
    }

    /// The asked type.
    pub fn column_type(&self) -> &ColumnType {
        &self.column_type
    }

    /// Appends a NULL.
    #[inline]
    pub fn push_null(&mut self) {
        self.column.push_null();
    }

    /// The column.
    pub fn finish(self) -> (ColumnType, Box<dyn Array>) {
        (self.column_type, self.column.finish())
    }
}

/// The error for a value, as the database prints it, that an asked or settled type does not have.
#[cold]
pub fn misfit(value: String, asked: &ColumnType) -> Box<CellError> {
    CellError::new(
        value,
        format!("is no {asked}, the type that the column is read as"),
        "ask for a type that has it by schema_overrides, or change the value in the query",
    )
}

/// What the columns of all types have in common.
trait Column {
    /// Appends a value; `false` where the type does not have it.
    fn push(&mut self, value: &Scalar) -> CellResult<bool>;
    fn push_null(&mut self);
    fn finish(self: Box<Self>) -> Box<dyn Array>;

    /// How many bytes long texts and bytes have.
    fn long_bytes(&self) -> usize {
        0
    }
}

/// A column of fixed-width values, and how one is made of a scalar.
struct Values<T, F> {
    builder: PrimitiveBuilder<T>,
    read: F,
}

impl<T: NativeType, F: Fn(&Scalar) -> Option<T>> Values<T, F> {
    fn new(read: F) -> Self {
        Self {
            builder: PrimitiveBuilder::default(),
            read,
        }
    }
}

impl<T: NativeType, F: Fn(&Scalar) -> Option<T>> Column for Values<T, F> {
    fn push(&mut self, value: &Scalar) -> CellResult<bool> {
        let value = (self.read)(value).map(|value| self.builder.push(value));
        Ok(value.is_some())
    }

    fn push_null(&mut self) {
        self.builder.push_null();
    }

    fn finish(self: Box<Self>) -> Box<dyn Array> {
        self.builder.finish()
    }
}

impl Column for BooleanBuilder {
    fn push(&mut self, value: &Scalar) -> CellResult<bool> {
        let value = boolean(value).map(|value| self.push(value));
        Ok(value.is_some())
    }

    fn push_null(&mut self) {
        self.push_null();
    }

    fn finish(self: Box<Self>) -> Box<dyn Array> {
        (*self).finish()
    }
}

impl Column for DecimalBuilder {
    fn push(&mut self, value: &Scalar) -> CellResult<bool> {
        match decimal(value, self.scale()) {
            Some(unscaled) if self.holds(unscaled) => self.push(unscaled).map(|()| true),
            _ => Ok(false),
        }
    }

    fn push_null(&mut self) {
        self.push_null();
    }

    fn finish(self: Box<Self>) -> Box<dyn Array> {
        (*self).finish().1
    }
}

impl Column for TextBuilder {
    fn push(&mut self, value: &Scalar) -> CellResult<bool> {
        match value {
            Scalar::Text(bytes) | Scalar::Bytes(bytes) => self.push(bytes)?,
            other => self.push_str(&other.to_string()),
        }
        Ok(true)
    }

    fn push_null(&mut self) {
        self.push_null();
    }

    fn finish(self: Box<Self>) -> Box<dyn Array> {
        (*self).finish()
    }

    fn long_bytes(&self) -> usize {
        self.long_bytes()
    }
}

impl Column for BinaryBuilder {
    fn push(&mut self, value: &Scalar) -> CellResult<bool> {
        match value {
            Scalar::Text(bytes) | Scalar::Bytes(bytes) => self.push(bytes),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn push_null(&mut self) {
        self.push_null();
    }

    fn finish(self: Box<Self>) -> Box<dyn Array> {
        (*self).finish()
    }

    fn long_bytes(&self) -> usize {
        self.long_bytes()
    }
}

fn boolean(value: &Scalar) -> Option<bool> {
    match value {
        Scalar::Boolean(value) => Some(*value),
        Scalar::Text(text) => boolean_text(text),
        other => match whole(other)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
    }
}

/// The texts that databases and their tools write for truth values, in any case.
pub fn boolean_text(text: &[u8]) -> Option<bool> {
    let text = text.trim_ascii();
    let is_one_of = |words: [&str; 3]| {
        words
            .iter()
            .any(|word| text.eq_ignore_ascii_case(word.as_bytes()))
    };
    if is_one_of(["true", "t", "1"]) {
        Some(true)
    } else if is_one_of(["false", "f", "0"]) {
        Some(false)
    } else {
        None
    }
}

/// The number, if it is a whole one that the type holds.
pub fn integer<T: TryFrom<i128>>(value: &Scalar) -> Option<T> {
    T::try_from(whole(value)?).ok()
}

/// The number, if it is a whole one.
fn whole(value: &Scalar) -> Option<i128> {
    match *value {
        Scalar::Boolean(value) => Some(value.into()),
        Scalar::Integer(value) => Some(value.into()),
        Scalar::Text(text) => parse(text),
        Scalar::Float32(value) => whole(&Scalar::Float64(value.into())),
        Scalar::Float64(value) => whole_float(value),
        _ => decimal(value, 0),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "checked")]
fn whole_float(value: f64) -> Option<i128> {
    /// Above all integers of 64 bits, and far below those of 128.
    const LIMIT: f64 = 1e30;
    (value.fract() == 0.0 && value.abs() < LIMIT).then_some(value as i128)
}

/// The number in units of 10⁻ˢᶜᵃˡᵉ, if it is a whole number of them. A float is the shortest decimal that reads as
/// the same float.
pub fn decimal(value: &Scalar, scale: u8) -> Option<i128> {
    let wanted = scale;
    match *value {
        Scalar::Integer(value) => i128::from(value).checked_mul(power_of_ten(scale.into())?),
        Scalar::Decimal { unscaled, scale } if scale <= wanted => {
            unscaled.checked_mul(power_of_ten(i32::from(wanted - scale))?)
        }
        Scalar::Decimal { unscaled, scale } => {
            let factor = power_of_ten(i32::from(scale - wanted))?;
            (unscaled % factor == 0).then_some(unscaled / factor)
        }
        Scalar::Float32(value) => parse_decimal(&format!("{value:?}"), scale),
        Scalar::Float64(value) => parse_decimal(&format!("{value:?}"), scale),
        Scalar::Number(text) => parse_decimal(text, scale),
        Scalar::Text(text) => parse_decimal(std::str::from_utf8(text).ok()?.trim_ascii(), scale),
        _ => None,
    }
}

/// A sign, digits with or without a point, and an exponent or none.
fn parse_decimal(text: &str, scale: u8) -> Option<i128> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.as_bytes() {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    let point = digits.iter().position(|byte| *byte == b'.');
    let (before, behind) = digits.split_at(point.unwrap_or(digits.len()));
    let behind = behind.get(1..).unwrap_or_default();
    if before.is_empty() && behind.is_empty() {
        return None;
    }
    // Zeros at the end say nothing, and could be more than a number holds.
    let zeros = behind
        .iter()
        .rev()
        .take_while(|byte| **byte == b'0')
        .count();
    let behind = &behind[..behind.len() - zeros];
    let unscaled = before
        .iter()
        .chain(behind)
        .try_fold(0_i128, |number, byte| {
            let digit = byte.is_ascii_digit().then(|| i128::from(byte - b'0'))?;
            number.checked_mul(10)?.checked_add(digit)
        })?;
    let unscaled = if negative { -unscaled } else { unscaled };
    let shift = exponent
        .checked_add(scale.into())?
        .checked_sub(i32::try_from(behind.len()).ok()?)?;
    match shift {
        _ if unscaled == 0 => Some(0),
        0.. => unscaled.checked_mul(power_of_ten(shift)?),
        _ => {
            let factor = power_of_ten(shift.checked_neg()?)?;
            (unscaled % factor == 0).then_some(unscaled / factor)
        }
    }
}

fn power_of_ten(exponent: i32) -> Option<i128> {
    POWERS_OF_TEN.get(usize::try_from(exponent).ok()?).copied()
}

fn parse<T: FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.trim_ascii().parse().ok()
}

/// The float that is nearest to a number; `None` where the largest is far from it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "rounds to the nearest"
)]
pub fn float32(value: &Scalar) -> Option<f32> {
    match *value {
        Scalar::Float32(value) => Some(value),
        Scalar::Float64(value) => {
            let rounded = value as f32;
            (rounded.is_finite() || !value.is_finite()).then_some(rounded)
        }
        Scalar::Integer(value) => Some(value as f32),
        Scalar::Decimal { unscaled, scale } => decimal_text(unscaled, scale).parse().ok(),
        Scalar::Number(text) => float32(&Scalar::Text(text.as_bytes())),
        Scalar::Text(text) => parse(text).filter(|value: &f32| says(text, value.is_infinite())),
        _ => None,
    }
}

/// The float that is nearest to a number.
#[expect(clippy::cast_precision_loss, reason = "rounds to the nearest")]
pub fn float64(value: &Scalar) -> Option<f64> {
    /// Up to here all integers are floats …
    const EXACT: u128 = 1 << 53;
    /// … and all powers of ten.
    const EXACT_SCALE: usize = 22;
    match *value {
        Scalar::Float32(value) => Some(value.into()),
        Scalar::Float64(value) => Some(value),
        Scalar::Integer(value) => Some(value as f64),
        Scalar::Decimal { unscaled, scale }
            if unscaled.unsigned_abs() <= EXACT && usize::from(scale) <= EXACT_SCALE =>
        {
            // A single division of two exact numbers rounds only once.
            Some(unscaled as f64 / POWERS_OF_TEN[usize::from(scale)] as f64)
        }
        Scalar::Decimal { unscaled, scale } => decimal_text(unscaled, scale).parse().ok(),
        Scalar::Number(text) => float64(&Scalar::Text(text.as_bytes())),
        Scalar::Text(text) => parse(text).filter(|value: &f64| says(text, value.is_infinite())),
        _ => None,
    }
}

/// As [`float64`]; `None` where a whole number would become another one.
///
/// # Examples
///
/// ```
/// use industrydb_core::convert::{Scalar, exact_float64};
///
/// assert_eq!(exact_float64(&Scalar::Integer(1 << 53)), Some(9_007_199_254_740_992.0));
/// assert_eq!(exact_float64(&Scalar::Integer((1 << 53) + 1)), None);
/// ```
pub fn exact_float64(value: &Scalar) -> Option<f64> {
    let float = float64(value)?;
    is_kept(value, float).then_some(float)
}

/// As [`float32`]; `None` where a whole number would become another one.
pub fn exact_float32(value: &Scalar) -> Option<f32> {
    let float = float32(value)?;
    // One that is too small for the type becomes zero.
    let is_zero = float == 0.0 && float64(value)? != 0.0;
    (!is_zero && is_kept(value, float.into())).then_some(float)
}

fn is_kept(value: &Scalar, float: f64) -> bool {
    match value {
        Scalar::Integer(_) | Scalar::Decimal { .. } => {
            whole(value).is_none_or(|number| Some(number) == exact_integer(float))
        }
        _ => true,
    }
}

/// The integer that a float is.
#[expect(clippy::cast_possible_truncation, reason = "checked")]
fn exact_integer(float: f64) -> Option<i128> {
    /// Of integers of 128 bits.
    const LIMIT: f64 = 1.7e38;
    (float.fract() == 0.0 && float.abs() < LIMIT).then_some(float as i128)
}

/// Whether a float that was read from a text is infinite because the text says so, or not infinite.
fn says(text: &[u8], is_infinite: bool) -> bool {
    !is_infinite || !text.iter().any(u8::is_ascii_digit)
}

/// The day, if no time of it would be lost.
pub fn date(value: &Scalar) -> Option<i32> {
    match *value {
        Scalar::Date(days) => Some(days),
        _ => match instant(value)? {
            (seconds, 0) if seconds % SECONDS_PER_DAY == 0 => {
                i32::try_from(seconds / SECONDS_PER_DAY).ok()
            }
            _ => None, // a time would be lost
        },
    }
}

fn time(value: &Scalar) -> Option<i64> {
    match *value {
        Scalar::Time(nanoseconds) => Some(nanoseconds),
        Scalar::Text(text) => temporal::time(text.trim_ascii()),
        _ => None,
    }
}

/// The count of a unit, if it is a whole number of them.
pub fn datetime(value: &Scalar, unit: TimeUnit) -> Option<i64> {
    let (seconds, nanoseconds) = instant(value)?;
    let nanoseconds = i64::from(nanoseconds);
    let (per_second, length) = match unit {
        TimeUnit::Nanoseconds => (1_000_000_000, 1),
        TimeUnit::Microseconds => (1_000_000, 1000),
        TimeUnit::Milliseconds => (1000, 1_000_000),
    };
    let whole = nanoseconds % length == 0;
    let count = i128::from(seconds) * per_second + i128::from(nanoseconds / length);
    i64::try_from(count).ok().filter(|_| whole)
}

fn instant(value: &Scalar) -> Option<(i64, u32)> {
    match *value {
        Scalar::Datetime {
            seconds,
            nanoseconds,
        } => Some((seconds, nanoseconds)),
        Scalar::Date(days) => Some((i64::from(days) * SECONDS_PER_DAY, 0)),
        Scalar::Text(text) => temporal::datetime(text.trim_ascii()),
        _ => None,
    }
}

fn duration(value: &Scalar, unit: TimeUnit) -> Option<i64> {
    let Scalar::Duration(microseconds) = *value else {
        return None;
    };
    match unit {
        TimeUnit::Nanoseconds => microseconds.checked_mul(1000),
        TimeUnit::Microseconds => Some(microseconds),
        TimeUnit::Milliseconds => (microseconds % 1000 == 0).then_some(microseconds / 1000),
    }
}

/// As messages show a value, and as it becomes text where the database does not print it: the shortest number that
/// reads the same, with a point in every float.
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
            // Arrow's own conversion adds the days before 1970 to whatever it gets.
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
                let time = Self::Time(second * 1_000_000_000 + i64::from(nanoseconds));
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

#[cfg(test)]
mod tests {
    use super::*;
    use polars_arrow::array::PrimitiveArray;

    const DATETIME_NS: ColumnType = ColumnType::Datetime {
        unit: TimeUnit::Nanoseconds,
        utc: false,
    };
    const PRICE: ColumnType = ColumnType::Decimal {
        precision: 5,
        scale: 2,
    };

    fn converted(value: Scalar, to: &ColumnType) -> CellResult<Box<dyn Array>> {
        let mut converter = Converter::new(to).expect("a scalar type");
        converter.push_null();
        converter.push(value)?;
        let (column_type, array) = converter.finish();
        assert_eq!(column_type, *to);
        assert!(array.is_null(0) && array.is_valid(1));
        Ok(array)
    }

    fn number<T: NativeType>(value: Scalar, to: &ColumnType) -> Option<T> {
        let array = converted(value, to).ok()?;
        let array = array.as_any().downcast_ref::<PrimitiveArray<T>>();
        Some(array.expect("of that width").value(1))
    }

    #[test]
    fn integers_are_as_they_are_or_refused() {
        let half = Scalar::Decimal {
            unscaled: 5,
            scale: 1,
        };
        let seven = Scalar::Decimal {
            unscaled: 700,
            scale: 2,
        };
        for (value, expected) in [
            (Scalar::Integer(-128), Some(-128)),
            (Scalar::Integer(128), None),
            (Scalar::Boolean(true), Some(1)),
            (Scalar::Float64(7.0), Some(7)),
            (Scalar::Float64(7.5), None),
            (Scalar::Float64(f64::NAN), None),
            (Scalar::Float64(1e300), None),
            (Scalar::Float64(f64::INFINITY), None),
            (seven, Some(7)),
            (half, None),
            (Scalar::Text(b" -7 "), Some(-7)),
            (Scalar::Text(b"7.0"), None),
            (Scalar::Text(b""), None),
            (Scalar::Text(b"\xff"), None),
            (Scalar::Date(7), None),
        ] {
            assert_eq!(number::<i8>(value, &ColumnType::Int8), expected, "{value}");
        }
        for (float, expected) in [
            (Scalar::Float32(1_073_741_824.0), 1 << 30),
            (Scalar::Float64(1_152_921_504_606_846_976.0), 1 << 60),
            (Scalar::Float64(-9_223_372_036_854_775_808.0), i64::MIN),
        ] {
            assert_eq!(number(float, &ColumnType::Int64), Some(expected));
        }
        let large = Scalar::Decimal {
            unscaled: u64::MAX.into(),
            scale: 0,
        };
        assert_eq!(number(large, &ColumnType::UInt64), Some(u64::MAX));
    }

    #[test]
    fn decimals_keep_every_digit_or_are_refused() {
        for (value, expected) in [
            (Scalar::Integer(999), Some(99_900)),
            (Scalar::Integer(1000), None),
            (Scalar::Float64(0.1), Some(10)),
            (Scalar::Float32(0.1), Some(10)),
            (Scalar::Float64(1e-2), Some(1)),
            (Scalar::Float64(0.001), None),
            (Scalar::Float64(-0.0), Some(0)),
            (Scalar::Float64(f64::INFINITY), None),
            (
                Scalar::Text(b"-1.5000000000000000000000000000000000000000000"),
                Some(-150),
            ),
            (Scalar::Text(b"+.5"), Some(50)),
            (Scalar::Text(b"5."), Some(500)),
            (Scalar::Text(b"12e-1"), Some(120)),
            (Scalar::Text(b"0e999999999"), Some(0)),
            (Scalar::Text(b"1e999999999999"), None),
            (Scalar::Text(b"1e-2147483648"), None),
            (Scalar::Text(b"."), None),
            (Scalar::Text(b"-"), None),
            (Scalar::Text(b"1,5"), None),
            (Scalar::Text(b"--1"), None),
        ] {
            assert_eq!(number::<i128>(value, &PRICE), expected, "{value}");
        }
    }

    #[test]
    fn floats_are_the_nearest_ones() {
        let decimal = |unscaled, scale| Scalar::Decimal { unscaled, scale };
        let seventeenths = 123_456_789_012_345_678_901_234_567_890_i128;
        for (value, expected) in [
            (decimal(1, 1), Some(0.1)),
            (decimal(-12_345, 2), Some(-123.45)),
            (decimal((1 << 53) + 1, 0), Some(9_007_199_254_740_992.0)),
            (decimal(seventeenths, 30), Some(0.123_456_789_012_345_68)),
            (decimal(1, 38), Some(1e-38)),
            (Scalar::Float32(0.1), Some(0.100_000_001_490_116_12)),
            (Scalar::Text(b"1e-400"), Some(0.0)),
            (Scalar::Text(b"-Infinity"), Some(f64::NEG_INFINITY)),
            (Scalar::Text(b"1e400"), None),
            (Scalar::Text(b"one"), None),
            (Scalar::Boolean(true), None),
        ] {
            assert_eq!(
                number::<f64>(value, &ColumnType::Float64),
                expected,
                "{value}"
            );
        }
        assert_eq!(
            number(Scalar::Float64(1e300), &ColumnType::Float32),
            None::<f32>
        );
        assert_eq!(number(decimal(1, 1), &ColumnType::Float32), Some(0.1_f32));
    }

    #[test]
    fn times_are_as_fine_as_their_unit_or_refused() {
        let microsecond = Scalar::Datetime {
            seconds: -1,
            nanoseconds: 999_999_000,
        };
        let datetime = |unit| ColumnType::Datetime { unit, utc: true };
        assert_eq!(number(microsecond, &DATETIME_NS), Some(-1000_i64));
        assert_eq!(number(microsecond, &ColumnType::DATETIME), Some(-1_i64));
        let milliseconds = datetime(TimeUnit::Milliseconds);
        assert_eq!(number(microsecond, &milliseconds), None::<i64>);
        assert_eq!(number(microsecond, &ColumnType::Date), None::<i32>);
        for (value, day) in [
            (Scalar::Date(-1), Some(-1)),
            (Scalar::Text(b"1969-12-31"), Some(-1)),
            (Scalar::Text(b"1970-01-02T00:00:00+00:00 "), Some(1)),
            (Scalar::Text(b"1970-01-02 00:01"), None),
            (Scalar::Text(b"tomorrow"), None),
        ] {
            assert_eq!(number::<i32>(value, &ColumnType::Date), day, "{value}");
        }
        let beyond = Scalar::Date(200_000);
        assert_eq!(number(beyond, &DATETIME_NS), None::<i64>);
        assert_eq!(
            number(beyond, &ColumnType::DATETIME),
            Some(200_000 * 86_400_000_000_i64)
        );
        let milliseconds = ColumnType::Duration {
            unit: TimeUnit::Milliseconds,
        };
        assert_eq!(number(Scalar::Duration(5000), &milliseconds), Some(5_i64));
        assert_eq!(number(Scalar::Duration(5001), &milliseconds), None::<i64>);
    }

    #[test]
    fn a_refusal_shows_the_value() {
        for (value, to, shown) in [
            (Scalar::Integer(300), ColumnType::Int8, "300"),
            (Scalar::Text(b"a\"b"), ColumnType::Int8, r#""a\"b""#),
            (
                Scalar::Datetime {
                    seconds: 1,
                    nanoseconds: 500_000_000,
                },
                ColumnType::Date,
                "1970-01-01 00:00:01.500",
            ),
            (Scalar::Date(200_000), DATETIME_NS, "2517-08-01"),
            (
                Scalar::Decimal {
                    unscaled: 12_345,
                    scale: 3,
                },
                PRICE,
                "12.345",
            ),
        ] {
            let error = converted(value, &to).expect_err("does not fit");
            assert_eq!(error.value.as_deref(), Some(shown));
            assert!(
                error.remedy.contains("schema_overrides"),
                "{}",
                error.remedy
            );
        }
    }

    #[test]
    fn what_is_convertible_has_a_column_to_go_to() {
        use ColumnType as T;
        let types = [
            T::Null,
            T::Boolean,
            T::Int8,
            T::UInt64,
            T::Float32,
            PRICE,
            T::Date,
            T::Time,
            T::DATETIME,
            T::DURATION,
            T::Interval,
            T::String,
            T::Binary,
        ];
        for to in &types {
            let any = types.iter().any(|from| is_convertible(from, to));
            assert_eq!(any, Converter::new(to).is_some(), "{to}");
            let is_typed = !matches!(to, T::Null | T::Interval);
            assert_eq!(is_convertible(to, to), is_typed, "{to}");
        }
        let list = |inner: &ColumnType| T::List(Box::new(inner.clone()));
        assert!(is_convertible(&list(&T::Int8), &list(&T::Float64)));
        assert!(!is_convertible(&list(&T::Date), &list(&T::Float64)));
        assert!(!is_convertible(&T::Int8, &list(&T::Int8)));
        assert!(!is_convertible(&T::Date, &T::Int8));
        assert!(!is_convertible(&T::Binary, &T::Int8));
    }
}
