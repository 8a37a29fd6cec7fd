//! Encodes a frame's values in the binary form of PostgreSQL's types: the opposite of
//! [`crate::columns`].
//!
//! The forms are those of the types' `recv` functions, which are documented by their source only:
//! <https://github.com/postgres/postgres/tree/master/src/backend/utils/adt>

use industrydb_core::builders::POWERS_OF_TEN;
use industrydb_core::convert;
use industrydb_core::frame::Cells;
use industrydb_core::scalar::Scalar;
use industrydb_core::{CellError, CellResult, ColumnType};
use polars_arrow::array::Array;
use polars_core::prelude::TimeUnit;
use uuid::Uuid;

use crate::columns::numeric::{INFINITY, NAN, NEGATIVE, NEGATIVE_INFINITY};
use crate::columns::temporal::{DAYS_1970_TO_2000, MICROSECONDS_1970_TO_2000};
use crate::types::Decoding;

/// A length that stands for NULL.
const NULL: i32 = -1;

/// How the values of a column are written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Encoding {
    /// A column that has only NULLs.
    Null,
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Numeric,
    Date,
    Time,
    Timestamp,
    Interval,
    Uuid,
    /// Texts or bytes, sent as they are.
    Bytes,
    Jsonb,
    /// Arrays: the OID of the element type, and the encoding of the elements.
    Array(u32, Box<Encoding>),
    /// Composite values: for each field the OID of its type, its position in the struct, and its
    /// encoding.
    Composite(Vec<(u32, usize, Encoding)>),
}

impl Encoding {
    /// Returns the encoding of a frame's column for a type that is neither array nor composite;
    /// `None` if the conversion would not be exact.
    pub(crate) fn of(from: &ColumnType, to: &Decoding) -> Option<Self> {
        use ColumnType as T;
        let is_number = from.is_number();
        Some(match (to, from) {
            (Decoding::Bool, T::Boolean) => Self::Bool,
            (Decoding::Int2, _) if is_number => Self::Int2,
            (Decoding::Int4, _) if is_number => Self::Int4,
            (Decoding::Int8, _) if is_number => Self::Int8,
            (Decoding::Oid, _) if is_number => Self::Oid,
            (Decoding::Float4, _) if is_number => Self::Float4,
            (Decoding::Float8, _) if is_number => Self::Float8,
            (Decoding::AnyNumeric, _) if is_number => Self::Numeric,
            (Decoding::Date, T::Date | T::Datetime { utc: false, .. }) => Self::Date,
            (Decoding::Time, T::Time) => Self::Time,
            (Decoding::Timestamp { utc: false }, T::Date | T::Datetime { utc: false, .. })
            | (Decoding::Timestamp { utc: true }, T::Datetime { utc: true, .. }) => Self::Timestamp,
            (Decoding::Interval, T::Duration { .. }) => Self::Interval,
            (Decoding::Uuid, T::String | T::Binary) => Self::Uuid,
            (Decoding::Bytea, T::Binary) | (Decoding::Text, T::String) => Self::Bytes,
            (Decoding::Jsonb, T::String) => Self::Jsonb,
            _ => return None,
        })
    }

    /// Writes a value, with its length in front.
    #[inline]
    pub(crate) fn write(&self, cells: &Cells, row: usize, out: &mut Vec<u8>) -> CellResult {
        match (self, cells) {
            (Self::Array(element, encoding), Cells::List(..)) => {
                write_array(*element, encoding, cells, row, out)
            }
            (Self::Composite(fields), Cells::Struct(array, values)) if array.is_valid(row) => {
                write_composite(fields, values, row, out)
            }
            _ => {
                let Some(value) = cells.get(row)? else {
                    put_null(out);
                    return Ok(());
                };
                let written = self.write_value(&value, out)?;
                written.ok_or_else(|| misfit(&value, self))
            }
        }
    }

    /// Writes a value that is neither array nor composite; returns `None` if the type cannot hold
    /// it.
    #[inline]
    fn write_value(&self, value: &Scalar, out: &mut Vec<u8>) -> CellResult<Option<()>> {
        let written = match (self, *value) {
            (Self::Bool, Scalar::Boolean(value)) => put(out, [u8::from(value)]),
            (Self::Int2, _) => {
                convert::integer(value).and_then(|value: i16| put(out, value.to_be_bytes()))
            }
            (Self::Int4, _) => {
                convert::integer(value).and_then(|value: i32| put(out, value.to_be_bytes()))
            }
            (Self::Int8, _) => {
                convert::integer(value).and_then(|value: i64| put(out, value.to_be_bytes()))
            }
            (Self::Oid, _) => {
                convert::integer(value).and_then(|value: u32| put(out, value.to_be_bytes()))
            }
            (Self::Float4, _) => {
                convert::exact_float32(value).and_then(|value| put(out, value.to_be_bytes()))
            }
            (Self::Float8, _) => {
                convert::exact_float64(value).and_then(|value| put(out, value.to_be_bytes()))
            }
            (Self::Numeric, Scalar::Decimal { unscaled, scale }) => {
                put_numeric(out, unscaled, scale)
            }
            (Self::Numeric, Scalar::Integer(value)) => put_numeric(out, value.into(), 0),
            // The shortest decimal that reads back as the same float.
            (Self::Numeric, Scalar::Float32(value)) => {
                put_float(out, value.into(), &format!("{value:e}"))
            }
            (Self::Numeric, Scalar::Float64(value)) => put_float(out, value, &format!("{value:e}")),
            (Self::Date, _) => convert::date(value)
                .and_then(|days| days.checked_sub(DAYS_1970_TO_2000))
                // The ends of the range stand for the infinities.
                .filter(|days| *days > i32::MIN && *days < i32::MAX)
                .and_then(|days| put(out, days.to_be_bytes())),
            (Self::Time, Scalar::Time(nanoseconds)) if nanoseconds % 1000 == 0 => {
                put(out, (nanoseconds / 1000).to_be_bytes())
            }
            (Self::Timestamp, _) => convert::datetime(value, TimeUnit::Microseconds)
                .and_then(|count| count.checked_sub(MICROSECONDS_1970_TO_2000))
                .filter(|count| *count > i64::MIN && *count < i64::MAX)
                .and_then(|count| put(out, count.to_be_bytes())),
            (Self::Interval, Scalar::Duration(microseconds)) => {
                // Zero days and zero months.
                put(out, (i128::from(microseconds) << 64).to_be_bytes())
            }
            (Self::Uuid, Scalar::Text(text)) => {
                let parsed = Uuid::try_parse_ascii(text).ok();
                parsed.and_then(|uuid| put(out, uuid.into_bytes()))
            }
            (Self::Uuid, Scalar::Bytes(bytes)) => {
                let uuid = Uuid::from_slice(bytes).ok();
                uuid.and_then(|uuid| put(out, uuid.into_bytes()))
            }
            (Self::Bytes, Scalar::Text(bytes) | Scalar::Bytes(bytes)) => {
                out.extend(count(bytes.len())?.to_be_bytes());
                out.extend_from_slice(bytes);
                Some(())
            }
            (Self::Jsonb, Scalar::Text(bytes)) => {
                out.extend(count(bytes.len() + 1)?.to_be_bytes());
                out.push(1); // version of the format
                out.extend_from_slice(bytes);
                Some(())
            }
            _ => None,
        };
        Ok(written)
    }
}

/// Writes a value of a fixed length. Always returns `Some`, so that it can end a chain of
/// `Option`s.
#[inline]
#[expect(clippy::unnecessary_wraps, reason = "see there")]
fn put<const LENGTH: usize>(out: &mut Vec<u8>, bytes: [u8; LENGTH]) -> Option<()> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "at most 16"
    )]
    out.extend((LENGTH as i32).to_be_bytes());
    out.extend(bytes);
    Some(())
}

#[inline]
fn put_null(out: &mut Vec<u8>) {
    out.extend(NULL.to_be_bytes());
}

/// Converts a number of bytes or elements to the 32 bits that it has on the wire.
fn count(number: usize) -> CellResult<i32> {
    i32::try_from(number).map_err(|_| {
        CellError::new(
            format!("{number} bytes"),
            "are more than PostgreSQL holds in one value",
            "divide it",
        )
    })
}

/// Writes what `write` appends, with its length in front.
fn sized(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> CellResult) -> CellResult {
    let start = out.len();
    out.extend([0; 4]);
    write(out)?;
    let length = count(out.len() - start - 4)?;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

#[cold]
#[inline(never)]
fn misfit(value: &Scalar, encoding: &Encoding) -> Box<CellError> {
    let (reason, remedy) = match encoding {
        Encoding::Int2 | Encoding::Int4 | Encoding::Int8 | Encoding::Oid => (
            "is not among the integers of the column",
            "round it, or use a wider column",
        ),
        Encoding::Date => ("is no date without a time", "use dt.date(), or a timestamp"),
        Encoding::Time | Encoding::Timestamp => (
            "is finer than a microsecond, or beyond PostgreSQL's years",
            "truncate it, as by dt.truncate(\"1us\")",
        ),
        Encoding::Uuid => ("is no UUID", "write it into a text column"),
        _ => ("does not fit the column", "use a column of another type"),
    };
    CellError::new(value.to_string(), reason, remedy)
}

/// Number of decimal digits in one group, which is one digit to the base 10000 on the wire.
const GROUP: u8 = 4;
const GROUP_LIMIT: u128 = 10_000;
/// Largest number of groups: 38 decimal digits on each side of the decimal point.
const MAX_GROUPS: usize = 20;

/// Writes a `numeric`: the number of base-10000 digits, the weight of the first, the sign, the
/// scale to display, and the digits. See [`crate::columns`].
#[expect(clippy::unnecessary_wraps, reason = "as `put`")]
fn put_numeric(out: &mut Vec<u8>, unscaled: i128, scale: u8) -> Option<()> {
    let mut groups = [0_u16; MAX_GROUPS];
    let magnitude = unscaled.unsigned_abs();
    let factor = POWERS_OF_TEN[usize::from(scale)].unsigned_abs();
    let (mut whole, mut fraction) = divided(magnitude, factor);
    // The whole part is written from its last group on, the fraction from its first group on.
    let mut start = MAX_GROUPS / 2;
    while whole > 0 {
        let (rest, group) = divided(whole, GROUP_LIMIT);
        start -= 1;
        groups[start] = small(group);
        whole = rest;
    }
    let before = MAX_GROUPS / 2 - start;
    let mut end = MAX_GROUPS / 2;
    let mut digits = scale;
    while fraction > 0 {
        let group = if digits >= GROUP {
            digits -= GROUP;
            let (group, rest) =
                divided(fraction, POWERS_OF_TEN[usize::from(digits)].unsigned_abs());
            fraction = rest;
            group
        } else {
            let missing = POWERS_OF_TEN[usize::from(GROUP - digits)].unsigned_abs();
            std::mem::take(&mut fraction) * missing
        };
        groups[end] = small(group);
        end += 1;
    }
    let groups = &groups[start..end];
    let length = 8 + 2 * groups.len();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "at most 48 bytes, 20 groups"
    )]
    {
        out.extend((length as i32).to_be_bytes());
        out.extend((groups.len() as i16).to_be_bytes());
        out.extend((before as i16 - 1).to_be_bytes());
    }
    out.extend(if unscaled < 0 { NEGATIVE } else { 0 }.to_be_bytes());
    out.extend(u16::from(scale).to_be_bytes());
    for group in groups {
        out.extend(group.to_be_bytes());
    }
    Some(())
}

/// Writes a float as a `numeric`, from its text with an exponent, such as `-1.5e-7`.
fn put_float(out: &mut Vec<u8>, value: f64, printed: &str) -> Option<()> {
    let special = |out: &mut Vec<u8>, sign: u16| {
        let sign = sign.to_be_bytes();
        put(out, [0, 0, 0, 0, sign[0], sign[1], 0, 0])
    };
    if !value.is_finite() {
        return match (value.is_nan(), value > 0.0) {
            (true, _) => special(out, NAN),
            (false, true) => special(out, INFINITY),
            (false, false) => special(out, NEGATIVE_INFINITY),
        };
    }
    let (mantissa, exponent) = printed.split_once('e')?;
    let (whole, behind) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{}{behind}", whole.trim_start_matches('-'));
    // Zeros are appended until the exponent of the last digit is a multiple of `GROUP`.
    let exponent = exponent.parse::<i32>().ok()? - i32::try_from(behind.len()).ok()?;
    let zeros = exponent.rem_euclid(i32::from(GROUP));
    let mut number =
        digits.parse::<u128>().ok()? * POWERS_OF_TEN[usize::try_from(zeros).ok()?].unsigned_abs();
    let mut groups = Vec::new();
    while number > 0 {
        let (rest, group) = divided(number, GROUP_LIMIT);
        groups.push(small(group));
        number = rest;
    }
    let lowest = exponent.div_euclid(i32::from(GROUP));
    let count = i32::try_from(groups.len()).ok()?;
    let weight = i16::try_from(lowest + count - 1).ok()?;
    let sign = if value < 0.0 { NEGATIVE } else { 0 };
    out.extend((8 + 2 * count).to_be_bytes());
    out.extend(i16::try_from(count).ok()?.to_be_bytes());
    out.extend(weight.to_be_bytes());
    out.extend(sign.to_be_bytes());
    out.extend(u16::try_from(-exponent.min(0)).ok()?.to_be_bytes());
    for group in groups.iter().rev() {
        out.extend(group.to_be_bytes());
    }
    Some(())
}

/// Returns quotient and remainder. Most numbers fit into 64 bits, whose division is ten times as
/// fast.
#[inline]
fn divided(number: u128, by: u128) -> (u128, u128) {
    match (u64::try_from(number), u64::try_from(by)) {
        (Ok(number), Ok(by)) => ((number / by).into(), (number % by).into()),
        _ => (number / by, number % by),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "below 10000")]
fn small(group: u128) -> u16 {
    group as u16
}

/// Writes a composite value: the number of fields, and for each field the OID of its type and its
/// value.
fn write_composite(
    fields: &[(u32, usize, Encoding)],
    values: &[Cells],
    row: usize,
    out: &mut Vec<u8>,
) -> CellResult {
    sized(out, |out| {
        out.extend(count(fields.len())?.to_be_bytes());
        for (oid, place, encoding) in fields {
            out.extend(oid.to_be_bytes());
            match values.get(*place) {
                Some(cells) => encoding.write(cells, row, out)?,
                None => put_null(out),
            }
        }
        Ok(())
    })
}

/// Writes an array: the number of dimensions, a flag for NULLs, the OID of the element type, the
/// length and first index of each dimension, and the elements.
fn write_array(
    element: u32,
    encoding: &Encoding,
    cells: &Cells,
    row: usize,
    out: &mut Vec<u8>,
) -> CellResult {
    let Cells::List(list, values) = cells else {
        put_null(out);
        return Ok(());
    };
    if list.is_null(row) {
        put_null(out);
        return Ok(());
    }
    // The inner lists of a list are adjacent, so their elements are a contiguous range too.
    let mut lengths = vec![list.offsets().length_at(row)];
    let (mut from, mut to) = list.offsets().start_end(row);
    let mut elements: &Cells = values;
    while let Cells::List(list, values) = elements {
        if from == to {
            break;
        }
        let length = list.offsets().length_at(from);
        for index in from..to {
            if list.is_null(index) || list.offsets().length_at(index) != length || length == 0 {
                return Err(CellError::new(
                    None,
                    "is a list of lists which are NULL, empty, or of different lengths: PostgreSQL's arrays are \
                     rectangular",
                    "fill the lists up",
                ));
            }
        }
        lengths.push(length);
        (from, to) = (
            list.offsets().start_end(from).0,
            list.offsets().start_end(to - 1).1,
        );
        elements = values;
    }
    sized(out, |out| {
        if from == to {
            lengths.clear();
        }
        out.extend(count(lengths.len())?.to_be_bytes());
        out.extend(1_i32.to_be_bytes()); // there may be NULLs
        out.extend(element.to_be_bytes());
        for length in &lengths {
            out.extend(count(*length)?.to_be_bytes());
            out.extend(1_i32.to_be_bytes());
        }
        (from..to).try_for_each(|index| encoding.write(elements, index, out))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number is written as its count of base-10000 digits, the weight of the first, the sign,
    /// the scale, and the digits.
    #[test]
    fn numbers_are_groups_of_four_digits() {
        for (unscaled, scale, expected) in [
            // Without digits, the weight has no meaning.
            (0, 0, &[0, 0xffff, 0, 0][..]),
            (0, 2, &[0, 0xffff, 0, 2]),
            (1, 0, &[1, 0, 0, 0, 1]),
            (-123_456_700, 2, &[2, 1, 0x4000, 2, 123, 4567]),
            (-1_234_567, 2, &[3, 1, 0x4000, 2, 1, 2345, 6700]),
            (5, 4, &[1, 0xffff, 0, 4, 5]),
            (5, 5, &[2, 0xffff, 0, 5, 0, 5000]),
            (120_000, 1, &[2, 1, 0, 1, 1, 2000]),
        ] {
            let mut out = Vec::new();
            put_numeric(&mut out, unscaled, scale);
            let digits: Vec<u16> = out[4..]
                .chunks(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                .collect();
            assert_eq!(digits, expected, "{unscaled} of scale {scale}");
            assert_eq!(out[3] as usize, out.len() - 4);
        }
    }

    #[test]
    fn the_largest_numbers_have_room() {
        let largest = POWERS_OF_TEN[38] - 1;
        for scale in 0..=38 {
            let mut out = Vec::new();
            put_numeric(&mut out, largest, scale);
            put_numeric(&mut out, -largest, scale);
        }
    }
}
