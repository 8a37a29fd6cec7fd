//! One decoder per column: the bytes of a binary row become values in the column's builder.
//!
//! Decoders know only bytes and builders, neither sockets nor their own place in a row. Formats:
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html>

mod bits;
mod convert;
mod decimal;
mod geometry;
mod rounded;
mod temporal;
mod value;
mod vector;

use industrydb_core::builders::{
    BinaryBuilder, BooleanBuilder, DecimalBuilder, PrimitiveBuilder, TextBuilder,
};
use industrydb_core::convert::Converter;
use industrydb_core::{CellResult, ChunkColumn, ColumnType};

use self::convert::ConvertingDecoder;
use self::rounded::Digits;
use self::temporal::ZeroDates;
use self::value::{fixed, variable, variable_and_more};
use self::vector::VectorDecoder;
use crate::types::Decoding;
use crate::wire::bytes::Bytes;

/// A column's decoder with its builder.
///
/// An enum, because the loop over the cells of a row then branches instead of calling through a
/// pointer, and the short decoders are compiled into it.
pub(crate) enum ColumnDecoder {
    Int8(PrimitiveBuilder<i8>),
    Int16(PrimitiveBuilder<i16>),
    Int32(PrimitiveBuilder<i32>),
    Int64(PrimitiveBuilder<i64>),
    UInt8(PrimitiveBuilder<u8>),
    UInt16(PrimitiveBuilder<u16>),
    UInt32(PrimitiveBuilder<u32>),
    UInt64(PrimitiveBuilder<u64>),
    Float32(PrimitiveBuilder<f32>),
    Float64(PrimitiveBuilder<f64>),
    Rounded(PrimitiveBuilder<f64>, Digits),
    ShortRounded(PrimitiveBuilder<f32>, Digits),
    Decimal(DecimalBuilder),
    Date(PrimitiveBuilder<i32>, ZeroDates),
    Datetime(PrimitiveBuilder<i64>, bool, ZeroDates),
    Time(PrimitiveBuilder<i64>),
    Bit(BooleanBuilder),
    Bits(PrimitiveBuilder<u64>),
    Text(TextBuilder),
    Bytes(BinaryBuilder),
    Geometry(BinaryBuilder),
    Vector(Box<VectorDecoder>),
    Converted(Box<ConvertingDecoder>),
}

impl ColumnDecoder {
    pub(crate) fn new(decoding: &Decoding, zero_dates: ZeroDates) -> Self {
        match decoding {
            Decoding::Int8 => Self::Int8(PrimitiveBuilder::default()),
            Decoding::Int16 => Self::Int16(PrimitiveBuilder::default()),
            Decoding::Int32 => Self::Int32(PrimitiveBuilder::default()),
            Decoding::Int64 => Self::Int64(PrimitiveBuilder::default()),
            Decoding::UInt8 => Self::UInt8(PrimitiveBuilder::default()),
            Decoding::UInt16 => Self::UInt16(PrimitiveBuilder::default()),
            Decoding::UInt32 => Self::UInt32(PrimitiveBuilder::default()),
            Decoding::UInt64 => Self::UInt64(PrimitiveBuilder::default()),
            Decoding::Float32 => Self::Float32(PrimitiveBuilder::default()),
            Decoding::Float64 => Self::Float64(PrimitiveBuilder::default()),
            Decoding::ShortRounded { digits } => {
                Self::ShortRounded(PrimitiveBuilder::default(), Digits::new(*digits))
            }
            Decoding::Rounded { digits } => {
                Self::Rounded(PrimitiveBuilder::default(), Digits::new(*digits))
            }
            Decoding::Decimal { precision, scale } => {
                Self::Decimal(DecimalBuilder::new(*precision, *scale))
            }
            Decoding::Date => Self::Date(PrimitiveBuilder::default(), zero_dates),
            Decoding::Datetime { utc } => {
                Self::Datetime(PrimitiveBuilder::default(), *utc, zero_dates)
            }
            Decoding::Time => Self::Time(PrimitiveBuilder::default()),
            Decoding::Bit => Self::Bit(BooleanBuilder::default()),
            Decoding::Bits => Self::Bits(PrimitiveBuilder::default()),
            Decoding::Text | Decoding::Number => Self::Text(TextBuilder::default()),
            Decoding::Bytes => Self::Bytes(BinaryBuilder::default()),
            Decoding::Geometry => Self::Geometry(BinaryBuilder::default()),
            Decoding::Vector => Self::Vector(Box::default()),
            Decoding::Converted(source, asked) => match Converter::new(asked) {
                Some(converter) => {
                    let decoder = ConvertingDecoder::new(source, converter, zero_dates);
                    Self::Converted(Box::new(decoder))
                }
                None => Self::new(source, zero_dates), // nothing is converted to such a type
            },
        }
    }

    /// Takes a value of the row, and appends it.
    #[expect(
        clippy::inline_always,
        reason = "left to the compiler, it is called for each cell, which costs a tenth of a read's user time"
    )]
    #[inline(always)]
    pub(crate) fn decode(&mut self, row: &mut Bytes) -> CellResult {
        match self {
            Self::Int8(builder) => builder.push(i8::from_le_bytes(fixed(row)?)),
            Self::Int16(builder) => builder.push(i16::from_le_bytes(fixed(row)?)),
            Self::Int32(builder) => builder.push(i32::from_le_bytes(fixed(row)?)),
            Self::Int64(builder) => builder.push(i64::from_le_bytes(fixed(row)?)),
            Self::UInt8(builder) => builder.push(u8::from_le_bytes(fixed(row)?)),
            Self::UInt16(builder) => builder.push(u16::from_le_bytes(fixed(row)?)),
            Self::UInt32(builder) => builder.push(u32::from_le_bytes(fixed(row)?)),
            Self::UInt64(builder) => builder.push(u64::from_le_bytes(fixed(row)?)),
            Self::Float32(builder) => builder.push(f32::from_le_bytes(fixed(row)?)),
            Self::Float64(builder) => builder.push(f64::from_le_bytes(fixed(row)?)),
            Self::ShortRounded(builder, digits) => {
                builder.push(digits.round_short(f32::from_le_bytes(fixed(row)?)));
            }
            Self::Rounded(builder, digits) => {
                builder.push(digits.round(f64::from_le_bytes(fixed(row)?)));
            }
            Self::Decimal(builder) => {
                let (bytes, length) = variable_and_more(row)?;
                decimal::push(bytes, length, builder)?;
            }
            Self::Date(builder, zero_dates) => {
                let bytes = variable(row)?;
                match temporal::plain_days(bytes) {
                    Some(days) => builder.push(days),
                    None => temporal::push_other_date(bytes, builder, *zero_dates)?,
                }
            }
            Self::Datetime(builder, _, zero_dates) => {
                let moment = temporal::moment(variable(row)?)?;
                match moment.microseconds() {
                    Some(microseconds) => builder.push(microseconds),
                    None if *zero_dates == ZeroDates::Null => builder.push_null(),
                    None => return Err(moment.in_no_calendar()),
                }
            }
            Self::Time(builder) => builder.push(temporal::time(variable(row)?)?),
            Self::Bit(builder) => builder.push(bits::bits(variable(row)?)? != 0),
            Self::Bits(builder) => builder.push(bits::bits(variable(row)?)?),
            Self::Text(builder) => builder.push(variable(row)?)?,
            Self::Bytes(builder) => builder.push(variable(row)?),
            Self::Geometry(builder) => geometry::push(variable(row)?, builder)?,
            Self::Vector(decoder) => decoder.decode(variable(row)?)?,
            Self::Converted(decoder) => decoder.decode(row)?,
        }
        Ok(())
    }

    /// Appends a NULL.
    #[inline]
    pub(crate) fn push_null(&mut self) {
        match self {
            Self::Int8(builder) => builder.push_null(),
            Self::Int16(builder) => builder.push_null(),
            Self::Int32(builder) | Self::Date(builder, _) => builder.push_null(),
            Self::Int64(builder) | Self::Datetime(builder, ..) | Self::Time(builder) => {
                builder.push_null();
            }
            Self::UInt8(builder) => builder.push_null(),
            Self::UInt16(builder) => builder.push_null(),
            Self::UInt32(builder) => builder.push_null(),
            Self::UInt64(builder) | Self::Bits(builder) => builder.push_null(),
            Self::Float32(builder) | Self::ShortRounded(builder, _) => builder.push_null(),
            Self::Float64(builder) | Self::Rounded(builder, _) => builder.push_null(),
            Self::Decimal(builder) => builder.push_null(),
            Self::Bit(builder) => builder.push_null(),
            Self::Text(builder) => builder.push_null(),
            Self::Bytes(builder) | Self::Geometry(builder) => builder.push_null(),
            Self::Vector(decoder) => decoder.push_null(),
            Self::Converted(decoder) => decoder.push_null(),
        }
    }

    /// Returns the finished column.
    pub(crate) fn finish(self) -> ChunkColumn {
        use ColumnType as T;
        let (column_type, array) = match self {
            Self::Int8(builder) => (T::Int8, builder.finish()),
            Self::Int16(builder) => (T::Int16, builder.finish()),
            Self::Int32(builder) => (T::Int32, builder.finish()),
            Self::Int64(builder) => (T::Int64, builder.finish()),
            Self::UInt8(builder) => (T::UInt8, builder.finish()),
            Self::UInt16(builder) => (T::UInt16, builder.finish()),
            Self::UInt32(builder) => (T::UInt32, builder.finish()),
            Self::UInt64(builder) | Self::Bits(builder) => (T::UInt64, builder.finish()),
            Self::Float32(builder) | Self::ShortRounded(builder, _) => {
                (T::Float32, builder.finish())
            }
            Self::Float64(builder) | Self::Rounded(builder, _) => (T::Float64, builder.finish()),
            Self::Decimal(builder) => builder.finish(),
            Self::Date(builder, _) => (T::Date, builder.finish()),
            Self::Datetime(builder, utc, _) => {
                let datetime = if utc { T::DATETIME_UTC } else { T::DATETIME };
                (datetime, builder.finish())
            }
            Self::Time(builder) => (T::DURATION, builder.finish()),
            Self::Bit(builder) => (T::Boolean, builder.finish()),
            Self::Text(builder) => (T::String, builder.finish()),
            Self::Bytes(builder) | Self::Geometry(builder) => (T::Binary, builder.finish()),
            Self::Vector(decoder) => decoder.finish(),
            Self::Converted(decoder) => decoder.finish(),
        };
        ChunkColumn { column_type, array }
    }
}
