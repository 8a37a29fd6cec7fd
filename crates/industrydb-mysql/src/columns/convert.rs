//! Decodes values and converts them to another type that the caller asks for.

use industrydb_core::convert::Converter;
use industrydb_core::scalar::Scalar;
use industrydb_core::{CellResult, ColumnType};
use polars_arrow::array::Array;

use super::rounded::Digits;
use super::temporal::{Moment, ZeroDates};
use super::value::{fixed, variable};
use super::{bits, decimal, temporal};
use crate::types::Decoding;
use crate::wire::bytes::Bytes;

const MICROSECONDS_PER_SECOND: i64 = 1_000_000;

/// A column whose values are converted to another type than the database's.
pub(crate) struct ConvertingDecoder {
    source: Decoding,
    converter: Converter,
    zero_dates: ZeroDates,
}

impl ConvertingDecoder {
    pub(super) fn new(source: &Decoding, converter: Converter, zero_dates: ZeroDates) -> Self {
        Self {
            source: source.clone(),
            converter,
            zero_dates,
        }
    }

    pub(super) fn push_null(&mut self) {
        self.converter.push_null();
    }

    /// Takes a value of the row, and appends it.
    pub(super) fn decode(&mut self, row: &mut Bytes) -> CellResult {
        let scalar = match &self.source {
            Decoding::Int8 => Scalar::Integer(i8::from_le_bytes(fixed(row)?).into()),
            Decoding::Int16 => Scalar::Integer(i16::from_le_bytes(fixed(row)?).into()),
            Decoding::Int32 => Scalar::Integer(i32::from_le_bytes(fixed(row)?).into()),
            Decoding::Int64 => Scalar::Integer(i64::from_le_bytes(fixed(row)?)),
            Decoding::UInt8 => Scalar::Integer(u8::from_le_bytes(fixed(row)?).into()),
            Decoding::UInt16 => Scalar::Integer(u16::from_le_bytes(fixed(row)?).into()),
            Decoding::UInt32 => Scalar::Integer(u32::from_le_bytes(fixed(row)?).into()),
            Decoding::UInt64 => unsigned(u64::from_le_bytes(fixed(row)?)),
            Decoding::Float32 => Scalar::Float32(f32::from_le_bytes(fixed(row)?)),
            Decoding::Float64 => Scalar::Float64(f64::from_le_bytes(fixed(row)?)),
            Decoding::ShortRounded { digits } => {
                let float = f32::from_le_bytes(fixed(row)?);
                Scalar::Float32(Digits::new(*digits).round_short(float))
            }
            Decoding::Rounded { digits } => {
                let float = f64::from_le_bytes(fixed(row)?);
                Scalar::Float64(Digits::new(*digits).round(float))
            }
            Decoding::Decimal { scale, .. } => Scalar::Decimal {
                unscaled: decimal::long(variable(row)?, *scale)?,
                scale: *scale,
            },
            Decoding::Date => {
                let moment = temporal::moment(variable(row)?)?;
                match moment.days() {
                    Some(days) => Scalar::Date(days),
                    None => return self.push_impossible(moment),
                }
            }
            Decoding::Datetime { .. } => {
                let moment = temporal::moment(variable(row)?)?;
                match moment.microseconds() {
                    Some(microseconds) => instant(microseconds),
                    None => return self.push_impossible(moment),
                }
            }
            Decoding::Time => Scalar::Duration(temporal::time(variable(row)?)?),
            Decoding::Bit => Scalar::Boolean(bits::bits(variable(row)?)? != 0),
            Decoding::Bits => unsigned(bits::bits(variable(row)?)?),
            Decoding::Bytes | Decoding::Geometry => Scalar::Bytes(variable(row)?),
            // The others are never converted.
            Decoding::Text | Decoding::Number | Decoding::Vector | Decoding::Converted(..) => {
                Scalar::Text(variable(row)?)
            }
        };
        self.converter.push(scalar)
    }

    /// Appends a date that no calendar has: its text, or a NULL where that is asked for.
    fn push_impossible(&mut self, moment: Moment) -> CellResult {
        if *self.converter.column_type() == ColumnType::String {
            return self.converter.push(Scalar::Text(moment.text().as_bytes()));
        }
        if self.zero_dates == ZeroDates::Error {
            return Err(moment.in_no_calendar());
        }
        self.converter.push_null();
        Ok(())
    }

    /// Returns the column's type and array.
    pub(super) fn finish(self) -> (ColumnType, Box<dyn Array>) {
        self.converter.finish()
    }
}

/// Returns an integer that may be beyond 63 bits.
fn unsigned(value: u64) -> Scalar<'static> {
    match i64::try_from(value) {
        Ok(value) => Scalar::Integer(value),
        Err(_) => Scalar::Decimal {
            unscaled: value.into(),
            scale: 0,
        },
    }
}

fn instant(microseconds: i64) -> Scalar<'static> {
    let behind = microseconds.rem_euclid(MICROSECONDS_PER_SECOND);
    Scalar::Datetime {
        seconds: microseconds.div_euclid(MICROSECONDS_PER_SECOND),
        nanoseconds: u32::try_from(behind).unwrap_or_default() * 1000,
    }
}
