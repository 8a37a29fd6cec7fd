//! Decodes values and converts them to another type that the caller asks for.

use industrydb_core::CellResult;
use industrydb_core::ColumnType;
use industrydb_core::convert::{Converter, misfit};
use industrydb_core::scalar::Scalar;
use polars_arrow::array::Array;

use super::fixed::{boolean, bytes};
use super::{interval, numeric, temporal, text};
use crate::types::Decoding;

const MICROSECONDS_PER_SECOND: i64 = 1_000_000;

/// A column whose values are converted to another type than the database's.
pub(crate) struct ConvertingDecoder {
    source: Decoding,
    converter: Converter,
}

impl ConvertingDecoder {
    pub(super) fn new(source: &Decoding, converter: Converter) -> Self {
        Self {
            source: source.clone(),
            converter,
        }
    }

    pub(super) fn push_null(&mut self) {
        self.converter.push_null();
    }

    /// Appends a value.
    pub(super) fn decode(&mut self, field: &[u8]) -> CellResult {
        let scalar = match &self.source {
            Decoding::Bool => Scalar::Boolean(boolean(field)?),
            Decoding::Int2 => Scalar::Integer(i16::from_be_bytes(bytes(field)?).into()),
            Decoding::Int4 => Scalar::Integer(i32::from_be_bytes(bytes(field)?).into()),
            Decoding::Int8 => Scalar::Integer(i64::from_be_bytes(bytes(field)?)),
            Decoding::Oid => Scalar::Integer(u32::from_be_bytes(bytes(field)?).into()),
            Decoding::Float4 => Scalar::Float32(f32::from_be_bytes(bytes(field)?)),
            Decoding::Float8 => Scalar::Float64(f64::from_be_bytes(bytes(field)?)),
            Decoding::Numeric { .. } | Decoding::AnyNumeric => {
                return numeric::convert(field, &mut self.converter);
            }
            Decoding::Date => Scalar::Date(temporal::date(field)?),
            Decoding::Time => Scalar::Time(temporal::time(field)?),
            Decoding::Timestamp { .. } => instant(temporal::timestamp(field)?),
            Decoding::Interval => {
                let interval = interval::interval(field)?;
                if *self.converter.column_type() == ColumnType::String {
                    let text = interval.to_string();
                    return self.converter.push(Scalar::Text(text.as_bytes()));
                }
                let asked = self.converter.column_type().clone();
                let pushed = interval.to_microseconds().and_then(|microseconds| {
                    self.converter.push(Scalar::Duration(microseconds)).ok()
                });
                return pushed.ok_or_else(|| misfit(interval.to_string(), &asked));
            }
            Decoding::Uuid => return self.converter.push(Scalar::Text(&text::uuid(field)?)),
            Decoding::Bytea => Scalar::Bytes(field),
            Decoding::Jsonb => Scalar::Text(text::jsonb(field)?),
            // Texts are converted as they are; the others are never converted here.
            Decoding::Text
            | Decoding::List { .. }
            | Decoding::Composite(_)
            | Decoding::Cast(..)
            | Decoding::Converted(..) => Scalar::Text(field),
        };
        self.converter.push(scalar)
    }

    /// Returns the column's type and array.
    pub(super) fn finish(self) -> (ColumnType, Box<dyn Array>) {
        self.converter.finish()
    }
}

fn instant(microseconds: i64) -> Scalar<'static> {
    let behind = microseconds.rem_euclid(MICROSECONDS_PER_SECOND);
    Scalar::Datetime {
        seconds: microseconds.div_euclid(MICROSECONDS_PER_SECOND),
        nanoseconds: u32::try_from(behind).unwrap_or_default() * 1000,
    }
}
