//! One builder per column: a value that the driver has decoded is appended exactly, or refused.

use industrydb_core::builders::{
    BinaryBuilder, BooleanBuilder, DecimalBuilder, ListBuilder, PrimitiveBuilder, TextBuilder,
};
use industrydb_core::convert::Converter;
use industrydb_core::scalar::Scalar;
use industrydb_core::{CellError, CellResult, ChunkColumn, ColumnType};

use crate::types::Decoding;
use crate::types::calendar::TICKS_PER_SECOND;

const MICROSECONDS_PER_SECOND: i64 = 1_000_000;

/// The builder of a column.
pub(crate) enum Column {
    Boolean(BooleanBuilder),
    UInt8(PrimitiveBuilder<u8>),
    Int16(PrimitiveBuilder<i16>),
    Int32(PrimitiveBuilder<i32>),
    Int64(PrimitiveBuilder<i64>),
    Float32(PrimitiveBuilder<f32>),
    Float64(PrimitiveBuilder<f64>),
    Decimal(DecimalBuilder),
    Date(PrimitiveBuilder<i32>),
    Time(PrimitiveBuilder<i64>),
    Datetime(PrimitiveBuilder<i64>, ColumnType),
    Ticks(PrimitiveBuilder<i64>, ColumnType),
    Text(TextBuilder),
    Binary(BinaryBuilder),
    Vector(ListBuilder, PrimitiveBuilder<f32>),
    Variant(TextBuilder),
    Asked(Converter),
}

impl Column {
    pub(crate) fn new(decoding: &Decoding) -> Self {
        use ColumnType as T;
        match decoding {
            Decoding::Variant => Self::Variant(TextBuilder::default()),
            Decoding::Asked(asked) => match Converter::new(asked) {
                Some(converter) => Self::Asked(converter),
                None => Self::Text(TextBuilder::default()), // callers cannot ask for such a type
            },
            Decoding::Own(own) => match own {
                T::Boolean => Self::Boolean(BooleanBuilder::default()),
                T::UInt8 => Self::UInt8(PrimitiveBuilder::default()),
                T::Int16 => Self::Int16(PrimitiveBuilder::default()),
                T::Int32 => Self::Int32(PrimitiveBuilder::default()),
                T::Int64 => Self::Int64(PrimitiveBuilder::default()),
                T::Float32 => Self::Float32(PrimitiveBuilder::default()),
                T::Float64 => Self::Float64(PrimitiveBuilder::default()),
                T::Decimal { precision, scale } => {
                    Self::Decimal(DecimalBuilder::new(*precision, *scale))
                }
                T::Date => Self::Date(PrimitiveBuilder::default()),
                T::Time => Self::Time(PrimitiveBuilder::default()),
                T::Datetime { .. } => Self::Datetime(PrimitiveBuilder::default(), own.clone()),
                T::Ticks { .. } => Self::Ticks(PrimitiveBuilder::default(), own.clone()),
                T::Binary => Self::Binary(BinaryBuilder::default()),
                T::List(_) => Self::Vector(ListBuilder::default(), PrimitiveBuilder::default()),
                _ => Self::Text(TextBuilder::default()),
            },
        }
    }

    /// Appends a value.
    #[expect(
        clippy::inline_always,
        reason = "the caller knows the kind of the value, and the match over kinds goes away"
    )]
    #[inline(always)]
    pub(crate) fn push(&mut self, value: Scalar) -> CellResult {
        match (self, value) {
            (Self::Boolean(builder), Scalar::Boolean(value)) => builder.push(value),
            (Self::UInt8(builder), Scalar::Integer(value)) => builder.push(narrow(value)?),
            (Self::Int16(builder), Scalar::Integer(value)) => builder.push(narrow(value)?),
            (Self::Int32(builder), Scalar::Integer(value)) => builder.push(narrow(value)?),
            (Self::Int64(builder), Scalar::Integer(value)) => builder.push(value),
            (Self::Float32(builder), Scalar::Float32(value)) => builder.push(value),
            (Self::Float64(builder), Scalar::Float64(value)) => builder.push(value),
            (Self::Decimal(builder), Scalar::Decimal { unscaled, scale })
                if scale == builder.scale() =>
            {
                builder.push(unscaled)?;
            }
            (Self::Date(builder), Scalar::Date(days)) => builder.push(days),
            (Self::Time(builder), Scalar::Time(nanoseconds)) => builder.push(nanoseconds),
            (
                Self::Datetime(builder, _),
                Scalar::Datetime {
                    seconds,
                    nanoseconds,
                },
            ) if nanoseconds % 1000 == 0 => {
                builder.push(seconds * MICROSECONDS_PER_SECOND + i64::from(nanoseconds / 1000));
            }
            (
                Self::Ticks(builder, _),
                Scalar::Datetime {
                    seconds,
                    nanoseconds,
                },
            ) => builder.push(seconds * TICKS_PER_SECOND + i64::from(nanoseconds / 100)),
            (Self::Text(builder), Scalar::Text(text)) => builder.push(text)?,
            (Self::Binary(builder), Scalar::Bytes(bytes)) => builder.push(bytes),
            (Self::Asked(converter), value) => converter.push(value)?,
            (Self::Variant(builder), value) => push_any(builder, value)?,
            (_, value) => return Err(unexpected(&value)),
        }
        Ok(())
    }

    /// Appends a point in time in UTC; the text of a `sql_variant` shows the time in its own zone.
    pub(crate) fn push_zoned(&mut self, value: Scalar, minutes: i16) -> CellResult {
        let (
            Self::Variant(builder),
            Scalar::Datetime {
                seconds,
                nanoseconds,
            },
        ) = (&mut *self, value)
        else {
            return self.push(value);
        };
        let local = Scalar::Datetime {
            seconds: seconds + 60 * i64::from(minutes),
            nanoseconds,
        };
        let sign = if minutes < 0 { '-' } else { '+' };
        let (hours, minutes) = (minutes.abs() / 60, minutes.abs() % 60);
        builder.push_str(&format!("{local} {sign}{hours:02}:{minutes:02}"));
        Ok(())
    }

    /// Appends a vector.
    pub(crate) fn push_vector(&mut self, values: &[f32]) -> CellResult {
        let Self::Vector(lists, elements) = self else {
            return Err(CellError::malformed(
                "it is a vector, which was not announced",
            ));
        };
        for value in values {
            elements.push(*value);
        }
        lists.push(u32::try_from(values.len()).unwrap_or_default());
        Ok(())
    }

    /// Returns the bytes that long texts, binary values and vectors take.
    pub(crate) fn long_bytes(&self) -> usize {
        match self {
            Self::Text(builder) | Self::Variant(builder) => builder.long_bytes(),
            Self::Binary(builder) => builder.long_bytes(),
            Self::Vector(lists, _) => lists.elements() * size_of::<f32>(),
            Self::Asked(converter) => converter.long_bytes(),
            _ => 0,
        }
    }

    /// Appends a NULL.
    #[inline]
    pub(crate) fn push_null(&mut self) {
        match self {
            Self::Boolean(builder) => builder.push_null(),
            Self::UInt8(builder) => builder.push_null(),
            Self::Int16(builder) => builder.push_null(),
            Self::Int32(builder) | Self::Date(builder) => builder.push_null(),
            Self::Int64(builder)
            | Self::Time(builder)
            | Self::Datetime(builder, _)
            | Self::Ticks(builder, _) => builder.push_null(),
            Self::Float32(builder) => builder.push_null(),
            Self::Float64(builder) => builder.push_null(),
            Self::Decimal(builder) => builder.push_null(),
            Self::Text(builder) | Self::Variant(builder) => builder.push_null(),
            Self::Binary(builder) => builder.push_null(),
            Self::Vector(lists, _) => lists.push_null(),
            Self::Asked(converter) => converter.push_null(),
        }
    }

    /// Finishes the column.
    pub(crate) fn finish(self) -> ChunkColumn {
        let (column_type, array) = match self {
            Self::Boolean(builder) => (ColumnType::Boolean, builder.finish()),
            Self::UInt8(builder) => (ColumnType::UInt8, builder.finish()),
            Self::Int16(builder) => (ColumnType::Int16, builder.finish()),
            Self::Int32(builder) => (ColumnType::Int32, builder.finish()),
            Self::Int64(builder) => (ColumnType::Int64, builder.finish()),
            Self::Float32(builder) => (ColumnType::Float32, builder.finish()),
            Self::Float64(builder) => (ColumnType::Float64, builder.finish()),
            Self::Decimal(builder) => builder.finish(),
            Self::Date(builder) => (ColumnType::Date, builder.finish()),
            Self::Time(builder) => (ColumnType::Time, builder.finish()),
            Self::Datetime(builder, own) | Self::Ticks(builder, own) => (own, builder.finish()),
            Self::Text(builder) | Self::Variant(builder) => (ColumnType::String, builder.finish()),
            Self::Binary(builder) => (ColumnType::Binary, builder.finish()),
            Self::Vector(lists, elements) => lists.finish(ColumnType::Float32, elements.finish()),
            Self::Asked(converter) => converter.finish(),
        };
        ChunkColumn { column_type, array }
    }
}

fn narrow<T: TryFrom<i64>>(value: i64) -> CellResult<T> {
    T::try_from(value).map_err(|_| unexpected(&Scalar::Integer(value)))
}

/// Appends a value of any type as text, with binary values in hexadecimal digits as in T-SQL.
fn push_any(builder: &mut TextBuilder, value: Scalar) -> CellResult {
    match value {
        Scalar::Text(text) => builder.push(text),
        Scalar::Boolean(value) => {
            builder.push_str(if value { "1" } else { "0" });
            Ok(())
        }
        Scalar::Bytes(bytes) => {
            let mut text = String::from("0x");
            for byte in bytes {
                for digit in [byte >> 4, byte & 15] {
                    text.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
                }
            }
            builder.push_str(&text);
            Ok(())
        }
        other => {
            builder.push_str(&other.to_string());
            Ok(())
        }
    }
}

#[cold]
#[inline(never)]
fn unexpected(value: &Scalar) -> Box<CellError> {
    CellError::new(
        value.to_string(),
        "is of another type than the server had announced",
        "the query's columns have changed since it was described: read it again",
    )
}
