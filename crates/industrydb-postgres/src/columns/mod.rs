//! One decoder per column: a field's bytes become a value in the column's builder.
//!
//! Decoders know bytes and builders, and neither sockets nor where they are. Binary formats are those
//! of each type's `…send` function in PostgreSQL's `src/backend/utils/adt`.

mod composite;
mod convert;
mod fixed;
mod interval;
mod list;
mod numeric;
mod temporal;
mod text;
mod wire;

use industrydb_core::builders::{BinaryBuilder, BooleanBuilder, PrimitiveBuilder, TextBuilder};
use industrydb_core::convert::Converter;
use industrydb_core::types::MAX_PRECISION;
use industrydb_core::{CellResult, ChunkColumn, ColumnType};
use polars_arrow::array::Array;

use crate::types::Decoding;
use composite::CompositeDecoder;
use convert::ConvertingDecoder;
use list::ListDecoder;
use numeric::NumericDecoder;

/// A column's decoder with its builder.
///
/// An enum, because the loop over the cells of a row then branches instead of calling through a
/// pointer, and the short decoders are compiled into it.
pub(crate) enum ColumnDecoder {
    Bool(BooleanBuilder),
    Int2(PrimitiveBuilder<i16>),
    Int4(PrimitiveBuilder<i32>),
    Int8(PrimitiveBuilder<i64>),
    Oid(PrimitiveBuilder<u32>),
    Float4(PrimitiveBuilder<f32>),
    Float8(PrimitiveBuilder<f64>),
    Numeric(NumericDecoder),
    Date(PrimitiveBuilder<i32>),
    Time(PrimitiveBuilder<i64>),
    Timestamp(PrimitiveBuilder<i64>, bool),
    Interval(PrimitiveBuilder<i128>),
    Uuid(TextBuilder),
    Bytea(BinaryBuilder),
    Text(TextBuilder),
    Jsonb(TextBuilder),
    List(Box<ListDecoder>),
    Composite(Box<CompositeDecoder>),
    Converted(Box<ConvertingDecoder>),
}

impl ColumnDecoder {
    pub(crate) fn new(decoding: &Decoding) -> Self {
        match decoding {
            Decoding::Bool => Self::Bool(BooleanBuilder::default()),
            Decoding::Int2 => Self::Int2(PrimitiveBuilder::default()),
            Decoding::Int4 => Self::Int4(PrimitiveBuilder::default()),
            Decoding::Int8 => Self::Int8(PrimitiveBuilder::default()),
            Decoding::Oid => Self::Oid(PrimitiveBuilder::default()),
            Decoding::Float4 => Self::Float4(PrimitiveBuilder::default()),
            Decoding::Float8 => Self::Float8(PrimitiveBuilder::default()),
            Decoding::Numeric { precision, scale } => {
                Self::Numeric(NumericDecoder::declared(*precision, *scale))
            }
            Decoding::AnyNumeric => Self::Numeric(NumericDecoder::widening(MAX_PRECISION)),
            Decoding::Date => Self::Date(PrimitiveBuilder::default()),
            Decoding::Time => Self::Time(PrimitiveBuilder::default()),
            Decoding::Timestamp { utc } => Self::Timestamp(PrimitiveBuilder::default(), *utc),
            Decoding::Interval => Self::Interval(PrimitiveBuilder::default()),
            Decoding::Uuid => Self::Uuid(TextBuilder::default()),
            Decoding::Bytea => Self::Bytea(BinaryBuilder::default()),
            Decoding::Text => Self::Text(TextBuilder::default()),
            Decoding::Jsonb => Self::Jsonb(TextBuilder::default()),
            Decoding::List {
                element,
                dimensions,
            } => Self::List(Box::new(ListDecoder::new(Self::new(element), *dimensions))),
            Decoding::Composite(fields) => Self::Composite(Box::new(CompositeDecoder::new(fields))),
            Decoding::Cast(_, decoding) => Self::new(decoding),
            Decoding::Converted(source, asked) => match Converter::new(asked) {
                Some(converter) => {
                    Self::Converted(Box::new(ConvertingDecoder::new(source, converter)))
                }
                None => Self::new(source), // lists are converted by their elements
            },
        }
    }

    /// Appends a value.
    #[inline]
    pub(crate) fn decode(&mut self, bytes: &[u8]) -> CellResult {
        match self {
            Self::Bool(builder) => builder.push(fixed::boolean(bytes)?),
            Self::Int2(builder) => builder.push(i16::from_be_bytes(fixed::bytes(bytes)?)),
            Self::Int4(builder) => builder.push(i32::from_be_bytes(fixed::bytes(bytes)?)),
            Self::Int8(builder) => builder.push(i64::from_be_bytes(fixed::bytes(bytes)?)),
            Self::Oid(builder) => builder.push(u32::from_be_bytes(fixed::bytes(bytes)?)),
            Self::Float4(builder) => builder.push(f32::from_be_bytes(fixed::bytes(bytes)?)),
            Self::Float8(builder) => builder.push(f64::from_be_bytes(fixed::bytes(bytes)?)),
            Self::Numeric(decoder) => decoder.decode(bytes)?,
            Self::Date(builder) => builder.push(temporal::date(bytes)?),
            Self::Time(builder) => builder.push(temporal::time(bytes)?),
            Self::Timestamp(builder, _) => builder.push(temporal::timestamp(bytes)?),
            Self::Interval(builder) => builder.push(interval::interval(bytes)?.to_bits()),
            Self::Uuid(builder) => builder.push(&text::uuid(bytes)?)?,
            Self::Bytea(builder) => builder.push(bytes),
            Self::Text(builder) => builder.push(bytes)?,
            Self::Jsonb(builder) => builder.push(text::jsonb(bytes)?)?,
            Self::List(decoder) => decoder.decode(bytes)?,
            Self::Composite(decoder) => decoder.decode(bytes)?,
            Self::Converted(decoder) => decoder.decode(bytes)?,
        }
        Ok(())
    }

    /// Appends a NULL.
    #[inline]
    pub(crate) fn push_null(&mut self) {
        match self {
            Self::Bool(builder) => builder.push_null(),
            Self::Int2(builder) => builder.push_null(),
            Self::Int4(builder) | Self::Date(builder) => builder.push_null(),
            Self::Int8(builder) | Self::Time(builder) | Self::Timestamp(builder, _) => {
                builder.push_null();
            }
            Self::Oid(builder) => builder.push_null(),
            Self::Float4(builder) => builder.push_null(),
            Self::Float8(builder) => builder.push_null(),
            Self::Numeric(decoder) => decoder.push_null(),
            Self::Interval(builder) => builder.push_null(),
            Self::Uuid(builder) | Self::Text(builder) | Self::Jsonb(builder) => {
                builder.push_null();
            }
            Self::Bytea(builder) => builder.push_null(),
            Self::List(decoder) => decoder.push_null(),
            Self::Composite(decoder) => decoder.push_null(),
            Self::Converted(decoder) => decoder.push_null(),
        }
    }

    /// The column, with the type that its data has turned out to need.
    pub(crate) fn finish(self) -> ChunkColumn {
        let (column_type, array) = self.finish_parts();
        ChunkColumn { column_type, array }
    }

    fn finish_parts(self) -> (ColumnType, Box<dyn Array>) {
        match self {
            Self::Bool(builder) => (ColumnType::Boolean, builder.finish()),
            Self::Int2(builder) => (ColumnType::Int16, builder.finish()),
            Self::Int4(builder) => (ColumnType::Int32, builder.finish()),
            Self::Int8(builder) => (ColumnType::Int64, builder.finish()),
            Self::Oid(builder) => (ColumnType::UInt32, builder.finish()),
            Self::Float4(builder) => (ColumnType::Float32, builder.finish()),
            Self::Float8(builder) => (ColumnType::Float64, builder.finish()),
            Self::Numeric(decoder) => decoder.finish(),
            Self::Date(builder) => (ColumnType::Date, builder.finish()),
            Self::Time(builder) => (ColumnType::Time, builder.finish()),
            Self::Timestamp(builder, false) => (ColumnType::DATETIME, builder.finish()),
            Self::Timestamp(builder, true) => (ColumnType::DATETIME_UTC, builder.finish()),
            Self::Interval(builder) => (ColumnType::Interval, builder.finish()),
            Self::Uuid(builder) | Self::Text(builder) | Self::Jsonb(builder) => {
                (ColumnType::String, builder.finish())
            }
            Self::Bytea(builder) => (ColumnType::Binary, builder.finish()),
            Self::List(decoder) => decoder.finish(),
            Self::Composite(decoder) => decoder.finish(),
            Self::Converted(decoder) => decoder.finish(),
        }
    }
}
