//! Converts values to a type that the user asks for in place of the type table's.
//!
//! A connector's decoder hands over a [`Scalar`], and a [`Converter`] appends it to a column of the
//! asked type: with exactly its value, or not at all. Only a conversion to floats rounds, to the
//! nearest float.

mod moment;
mod number;
mod rules;

use polars_arrow::array::Array;
use polars_arrow::types::NativeType;

pub use moment::{date, datetime};
pub use number::{boolean_text, decimal, exact_float32, exact_float64, float32, float64, integer};
pub use rules::is_convertible;

use self::moment::{duration, time};
use self::number::boolean;
use crate::base::error::{CellError, CellResult};
use crate::data::builders::{
    BinaryBuilder, BooleanBuilder, DecimalBuilder, PrimitiveBuilder, TextBuilder,
};
use crate::data::scalar::Scalar;
use crate::schema::column_type::ColumnType;

/// Builder of a column of an asked type.
pub struct Converter {
    column_type: ColumnType,
    column: Box<dyn Column + Send>,
}

impl Converter {
    /// Creates an empty column; `None` for lists, and for types to which nothing [is
    /// convertible](is_convertible).
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

    /// Returns how many bytes the column's long texts or binary values have; 0 for other types.
    pub fn long_bytes(&self) -> usize {
        self.column.long_bytes()
    }

    /// Appends a value.
    ///
    /// # Errors
    ///
    /// If the column's type cannot hold the value.
    #[inline]
    pub fn push(&mut self, value: Scalar) -> CellResult {
        if self.column.push(&value)? {
            Ok(())
        } else {
            Err(misfit(value.to_string(), &self.column_type))
        }
    }

    /// Returns the asked type.
    pub fn column_type(&self) -> &ColumnType {
        &self.column_type
    }

    /// Appends a NULL.
    #[inline]
    pub fn push_null(&mut self) {
        self.column.push_null();
    }

    /// Returns the asked type and the finished column.
    pub fn finish(self) -> (ColumnType, Box<dyn Array>) {
        (self.column_type, self.column.finish())
    }
}

/// Creates the error for a value, as the database prints it, that an asked or settled type cannot
/// hold.
#[cold]
pub fn misfit(value: String, asked: &ColumnType) -> Box<CellError> {
    CellError::new(
        value,
        format!("is no {asked}, the type that the column is read as"),
        "ask for a type that has it by schema_overrides, or change the value in the query",
    )
}

/// Common interface of the columns of all types.
trait Column {
    /// Appends a value; returns `false` if the type cannot hold it.
    fn push(&mut self, value: &Scalar) -> CellResult<bool>;
    fn push_null(&mut self);
    fn finish(self: Box<Self>) -> Box<dyn Array>;

    /// Returns how many bytes the column's long texts or binary values have; 0 for other types.
    fn long_bytes(&self) -> usize {
        0
    }
}

/// Column of fixed-width values, with the conversion of a scalar to such a value.
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

#[cfg(test)]
mod tests {
    use super::*;
    use polars_arrow::array::PrimitiveArray;
    use polars_core::prelude::TimeUnit;

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
