//! One decoder per column: a field's bytes become a value in the column's builder.
//!
//! Decoders know only bytes and builders, neither sockets nor their own place in a row. Binary
//! formats are those of each type's `…send` function in PostgreSQL's `src/backend/utils/adt`.

mod composite;
mod convert;
mod fixed;
mod interval;
mod list;
pub(crate) mod numeric;
pub(crate) mod temporal;
mod text;
mod wire;

use industrydb_core::builders::{BinaryBuilder, BooleanBuilder, PrimitiveBuilder, TextBuilder};
use industrydb_core::column_type::MAX_PRECISION;
use industrydb_core::convert::Converter;
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

    /// Appends an element of an array or a field of a composite value.
    #[inline(never)]
    fn decode_part(&mut self, bytes: &[u8]) -> CellResult {
        self.decode(bytes)
    }

    /// Appends a value.
    #[expect(
        clippy::inline_always,
        reason = "left to the compiler, it is called for each cell: a fifth more of a read's user time"
    )]
    #[inline(always)]
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

    /// Returns the column, with the type that its data has turned out to need.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that PostgreSQL 18 has sent are decoded to the values of their SQL. Each case has the
    /// SQL, the decoding, the bytes, and the column's array.
    #[test]
    fn captured_bytes_are_the_values_of_their_sql() {
        let numeric = Decoding::Numeric {
            precision: 15,
            scale: 2,
        };
        let row = [
            ("n", Decoding::Int4),
            ("t", Decoding::Text),
            ("m", Decoding::Int4),
        ];
        let row = row.map(|(name, decoding)| (name.to_owned(), decoding));
        let captured: [(&str, Decoding, &[u8], &str); 22] = [
            ("'t'::bool", Decoding::Bool, b"\x01", "BooleanArray[true]"),
            ("(-32768)::int2", Decoding::Int2, b"\x80\0", "Int16[-32768]"),
            ("(-2147483648)::int4", Decoding::Int4, b"\x80\0\0\0", "Int32[-2147483648]"),
            ("9223372036854775807::int8", Decoding::Int8, b"\x7f\xff\xff\xff\xff\xff\xff\xff", "Int64[9223372036854775807]"),
            ("4294967295::oid", Decoding::Oid, b"\xff\xff\xff\xff", "UInt32[4294967295]"),
            ("'-0'::float4", Decoding::Float4, b"\x80\0\0\0", "Float32[-0]"),
            ("'-Infinity'::float8", Decoding::Float8, b"\xff\xf0\0\0\0\0\0\0", "Float64[-inf]"),
            ("1e-30::numeric", Decoding::AnyNumeric, b"\0\x01\xff\xf8\0\0\0\x1e\0d", "Int128[1]"),
            ("1234567890123.45::numeric(15,2)", numeric, b"\0\x05\0\x03\0\0\0\x02\0\x01\x09)\x1a\x85\0{\x11\x94", "Int128[123456789012345]"),
            ("'2024-02-29'::date", Decoding::Date, b"\0\0\x22y", "Int32[19782]"),
            ("'12:34:56.789'::time", Decoding::Time, b"\0\0\0\x0a\x8b\xe6&\x08", "Int64[45296789000000]"),
            ("'1969-12-31 23:59:59.999999'::timestamp", Decoding::Timestamp { utc: false }, b"\xff\xfc\xa2\xfe\xc4\xc8\x1f\xff", "Int64[-1]"),
            ("'2024-02-29 12:34:56+05:45'::timestamptz", Decoding::Timestamp { utc: true }, b"\0\x02\xb5~o\x95\x8d\0", "Int64[1709189396000000]"),
            ("'-3 days 04:05:06.789'::interval", Decoding::Interval, b"\0\0\0\x03l\x97\xca\x88\xff\xff\xff\xfd\0\0\0\0", "Int128[79228162458924105387122084488]"),
            ("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", Decoding::Uuid, b"\xa0\xee\xbc\x99\x9c\x0bN\xf8\xbbmk\xb9\xbd8\x0a\x11", "Utf8ViewArray[a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11]"),
            ("'\\x00ff'::bytea", Decoding::Bytea, b"\0\xff", "BinaryViewArray[[0, 255]]"),
            ("'größer'::text", Decoding::Text, b"gr\xc3\xb6\xc3\x9fer", "Utf8ViewArray[größer]"),
            (r#"'{"a": 1}'::jsonb"#, Decoding::Jsonb, b"\x01{\x22a\x22: 1}", r#"Utf8ViewArray[{"a": 1}]"#),
            ("'{1,NULL}'::int[]", Decoding::list(Decoding::Int4), b"\0\0\0\x01\0\0\0\x01\0\0\0\x17\0\0\0\x02\0\0\0\x01\0\0\0\x04\0\0\0\x01\xff\xff\xff\xff", "LargeListArray[[1, None]]"),
            ("'{{a},{b}}'::text[]", Decoding::list(Decoding::Text), b"\0\0\0\x02\0\0\0\0\0\0\0\x19\0\0\0\x02\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01a\0\0\0\x01b", "LargeListArray[[[[97]], [[98]]]]"),
            ("'{1.5,2.25}'::numeric[]", Decoding::list(Decoding::AnyNumeric), b"\0\0\0\x01\0\0\0\0\0\0\x06\xa4\0\0\0\x02\0\0\0\x01\0\0\0\x0c\0\x02\0\0\0\0\0\x01\0\x01\x13\x88\0\0\0\x0c\0\x02\0\0\0\0\0\x02\0\x02\x09\xc4", "LargeListArray[[150, 225]]"),
            ("ROW(7, 'a', NULL::int)", Decoding::Composite(row.to_vec()), b"\0\0\0\x03\0\0\0\x17\0\0\0\x04\0\0\0\x07\0\0\x02\xc1\0\0\0\x01a\0\0\0\x17\xff\xff\xff\xff", "StructArray[{n: 7, t: [97], m: None}]"),
        ];
        for (sql, decoding, bytes, expected) in captured {
            let mut decoder = ColumnDecoder::new(&decoding);
            decoder.decode(bytes).expect(sql);
            assert_eq!(format!("{:?}", decoder.finish().array), expected, "{sql}");
        }
    }
}
