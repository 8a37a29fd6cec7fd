//! One decoder per column: a value goes into the column's builder, or shows that the column needs
//! another type.

pub(crate) mod rows;
mod temporal;

use industrydb_core::builders::{
    BinaryBuilder, BooleanBuilder, PrimitiveBuilder, TextBuilder, reject_other_than_text,
};
use industrydb_core::convert::{Converter, boolean_text};
use industrydb_core::iso;
use industrydb_core::scalar::Scalar;
use industrydb_core::{CellError, CellResult, ChunkColumn, ColumnType};
use polars_arrow::array::new_null_array;
use polars_arrow::datatypes::ArrowDataType;

use crate::ffi::row::Cell;
use crate::types::{ColumnKind, Declared, seen};

/// The decoder of one column: its builder, and the kind that all partitions share.
pub(crate) struct ColumnDecoder<'a> {
    kind: &'a ColumnKind,
    /// Whether a value that does not fit widens the column; otherwise it is an error.
    widens: bool,
    builder: Builder,
    /// Whether a wider builder has taken the place of one that held values.
    pub(crate) incomplete: bool,
}

enum Builder {
    /// Number of NULLs of a column that has no declared type, and only NULLs so far.
    Null(usize),
    Boolean(BooleanBuilder),
    Int64(PrimitiveBuilder<i64>),
    Float64(PrimitiveBuilder<f64>),
    Text(TextBuilder),
    Binary(BinaryBuilder),
    Date(PrimitiveBuilder<i32>),
    Time(PrimitiveBuilder<i64>),
    Datetime(PrimitiveBuilder<i64>),
    /// Converter to the type that the caller asks for.
    Asked(Converter),
}

impl<'a> ColumnDecoder<'a> {
    pub(crate) fn new(kind: &'a ColumnKind, widens: bool) -> Self {
        Self {
            kind,
            widens: widens && !kind.is_settled(),
            builder: Builder::for_kind(kind),
            incomplete: false,
        }
    }

    /// Appends a value.
    ///
    /// If the value does not fit, the column's kind is widened, and a builder of the wider type
    /// replaces this one. The column has then lost its earlier values: it is incomplete.
    #[expect(
        clippy::inline_always,
        reason = "the kind of a value is then found only once"
    )]
    #[inline(always)]
    pub(crate) fn push(&mut self, value: Cell) -> CellResult {
        match (&mut self.builder, value) {
            (Builder::Int64(builder), Cell::Integer(value)) => builder.push(value),
            (Builder::Float64(builder), Cell::Real(value)) => builder.push(value),
            (Builder::Text(builder), Cell::Text(value)) => return builder.push(value),
            (Builder::Date(builder), Cell::Text(value)) => match iso::date(value) {
                Some(days) => builder.push(days),
                None => return self.push_other(Cell::Text(value)),
            },
            _ => return self.push_other(value),
        }
        Ok(())
    }

    /// Appends values, as [`push`](Self::push) does; an error comes with the number of values
    /// before it.
    #[inline]
    pub(crate) fn extend<'v>(
        &mut self,
        values: impl Iterator<Item = Cell<'v>>,
    ) -> Result<(), (usize, Box<CellError>)> {
        let mut count = 0;
        let mut values = values.inspect(|_| count += 1);
        loop {
            // Each loop knows its builder, and ends at a value of another kind.
            let other = match &mut self.builder {
                Builder::Int64(builder) => builder.extend_while(&mut values, |value| match value {
                    Cell::Integer(value) => Some(*value),
                    _ => None,
                }),
                Builder::Float64(builder) => {
                    builder.extend_while(&mut values, |value| match value {
                        Cell::Real(value) => Some(*value),
                        _ => None,
                    })
                }
                Builder::Text(builder) => {
                    let mut result = Ok(());
                    let other = values.by_ref().find(|value| match value {
                        Cell::Text(text) => {
                            result = builder.push(text);
                            result.is_err()
                        }
                        _ => true,
                    });
                    if let Err(error) = result {
                        return Err((count - 1, error));
                    }
                    other
                }
                Builder::Date(builder) => builder.extend_while(&mut values, |value| match value {
                    Cell::Text(text) => iso::date(text),
                    _ => None,
                }),
                _ => values.next(),
            };
            let Some(other) = other else {
                return Ok(());
            };
            if let Err(error) = self.push_other(other) {
                return Err((count - 1, error));
            }
        }
    }

    /// Appends a value that is not of its column's most usual kind.
    #[inline(never)]
    fn push_other(&mut self, value: Cell) -> CellResult {
        if value == Cell::Null {
            self.builder.push_null();
            return Ok(());
        }
        let fits = match &mut self.builder {
            Builder::Asked(converter) => return convert(converter, value),
            Builder::Null(_) | Builder::Int64(_) => false,
            Builder::Boolean(builder) => {
                let value = match value {
                    Cell::Integer(0) => Some(false),
                    Cell::Integer(1) => Some(true),
                    Cell::Text(text) => boolean_text(text),
                    _ => None,
                };
                push_if(value, |value| builder.push(value))
            }
            Builder::Float64(builder) => push_if(exact_float(value), |value| builder.push(value)),
            Builder::Text(builder) => match value {
                Cell::Blob(_) => false,
                number => {
                    builder.push_str(&text(number));
                    true
                }
            },
            Builder::Binary(builder) => {
                match value {
                    Cell::Blob(bytes) => builder.push(bytes),
                    Cell::Text(bytes) => {
                        // Whether bytes are rejected must not depend on whether a blob was seen
                        // before them.
                        if self.kind.declared != Declared::Blob {
                            reject_other_than_text(bytes)?;
                        }
                        builder.push(bytes);
                    }
                    number => builder.push(text(number).as_bytes()),
                }
                true
            }
            Builder::Date(builder) => push_if(temporal::date(value), |days| builder.push(days)),
            Builder::Time(builder) => push_if(temporal::time(value), |time| builder.push(time)),
            Builder::Datetime(builder) => {
                push_if(temporal::datetime(value), |micros| builder.push(micros))
            }
        };
        if fits { Ok(()) } else { self.widen(value) }
    }

    #[cold]
    fn widen(&mut self, value: Cell) -> CellResult {
        if !self.widens {
            return Err(self.misfit(value));
        }
        self.kind.add(kinds_of(value, &self.builder));
        let wider = Builder::new(&self.kind.column_type());
        match std::mem::replace(&mut self.builder, wider) {
            Builder::Null(count) => (0..count).for_each(|_| self.builder.push_null()),
            _ => self.incomplete = true,
        }
        self.push(value)
    }

    /// Returns the bytes of memory that long texts and blobs take.
    pub(crate) fn long_bytes(&self) -> usize {
        match &self.builder {
            Builder::Text(builder) => builder.long_bytes(),
            Builder::Binary(builder) => builder.long_bytes(),
            Builder::Asked(converter) => converter.long_bytes(),
            _ => 0,
        }
    }

    /// Returns the error for a value that does not fit the type of a column which must keep it.
    fn misfit(&self, value: Cell) -> Box<CellError> {
        let dtype = match value {
            Cell::Blob(_) => "pl.Binary",
            _ => "pl.String",
        };
        CellError::new(
            scalar(value).map(|scalar| scalar.to_string()),
            format!(
                "is no {}, the type that the column is read as",
                self.kind.column_type()
            ),
            format!(
                "ask for the column as {dtype} by schema_overrides, or convert it in the query"
            ),
        )
    }

    /// Finishes the column.
    pub(crate) fn finish(self) -> ChunkColumn {
        let (column_type, array) = match self.builder {
            Builder::Null(count) => (ColumnType::Null, new_null_array(ArrowDataType::Null, count)),
            Builder::Boolean(builder) => (ColumnType::Boolean, builder.finish()),
            Builder::Int64(builder) => (ColumnType::Int64, builder.finish()),
            Builder::Float64(builder) => (ColumnType::Float64, builder.finish()),
            Builder::Text(builder) => (ColumnType::String, builder.finish()),
            Builder::Binary(builder) => (ColumnType::Binary, builder.finish()),
            Builder::Date(builder) => (ColumnType::Date, builder.finish()),
            Builder::Time(builder) => (ColumnType::Time, builder.finish()),
            Builder::Datetime(builder) => (ColumnType::DATETIME, builder.finish()),
            Builder::Asked(converter) => converter.finish(),
        };
        ChunkColumn { column_type, array }
    }
}

impl Builder {
    fn for_kind(kind: &ColumnKind) -> Self {
        match kind.asked.as_ref().and_then(Converter::new) {
            Some(converter) => Self::Asked(converter),
            None => Self::new(&kind.column_type()),
        }
    }

    /// Creates a builder for one of the types that [`ColumnKind::column_type`] returns.
    fn new(column_type: &ColumnType) -> Self {
        match column_type {
            ColumnType::Boolean => Self::Boolean(BooleanBuilder::default()),
            ColumnType::Int64 => Self::Int64(PrimitiveBuilder::default()),
            ColumnType::Float64 => Self::Float64(PrimitiveBuilder::default()),
            ColumnType::Binary => Self::Binary(BinaryBuilder::default()),
            ColumnType::Date => Self::Date(PrimitiveBuilder::default()),
            ColumnType::Time => Self::Time(PrimitiveBuilder::default()),
            ColumnType::Datetime { .. } => Self::Datetime(PrimitiveBuilder::default()),
            ColumnType::Null => Self::Null(0),
            _ => Self::Text(TextBuilder::default()),
        }
    }

    fn push_null(&mut self) {
        match self {
            Self::Null(count) => *count += 1,
            Self::Boolean(builder) => builder.push_null(),
            Self::Int64(builder) | Self::Time(builder) | Self::Datetime(builder) => {
                builder.push_null();
            }
            Self::Float64(builder) => builder.push_null(),
            Self::Asked(converter) => converter.push_null(),
            Self::Text(builder) => builder.push_null(),
            Self::Binary(builder) => builder.push_null(),
            Self::Date(builder) => builder.push_null(),
        }
    }
}

/// Appends a value to a column of the type that the caller asks for. Dates and times are read in
/// the formats that SQLite reads.
fn convert(converter: &mut Converter, value: Cell) -> CellResult {
    let instant = |value: Cell| {
        let (seconds, nanoseconds) = temporal::instant(value)?;
        Some(Scalar::Datetime {
            seconds,
            nanoseconds,
        })
    };
    let Some(scalar) = scalar(value) else {
        converter.push_null();
        return Ok(());
    };
    let counted = match converter.column_type() {
        ColumnType::Date | ColumnType::Datetime { .. } => instant(value),
        _ => None,
    };
    let pushed = converter.push(counted.unwrap_or(scalar));
    pushed.map_err(|mut error| {
        error.value = Some(scalar.to_string()); // as SQLite stores it
        error
    })
}

/// Returns the value as a scalar; `None` if it is NULL.
fn scalar(value: Cell) -> Option<Scalar> {
    Some(match value {
        Cell::Null => return None,
        Cell::Integer(integer) => Scalar::Integer(integer),
        Cell::Real(real) => Scalar::Float64(real),
        Cell::Text(text) => Scalar::Text(text),
        Cell::Blob(bytes) => Scalar::Bytes(bytes),
    })
}

fn push_if<T>(value: Option<T>, push: impl FnOnce(T)) -> bool {
    value.map(push).is_some()
}

/// Returns the kinds to record for a value that did not fit.
fn kinds_of(value: Cell, builder: &Builder) -> u8 {
    let kind = match value {
        Cell::Integer(_) if exact_float(value).is_none() => seen::INTEGER | seen::LARGE_INTEGER,
        Cell::Integer(_) => seen::INTEGER,
        Cell::Real(_) => seen::REAL,
        Cell::Text(_) => seen::TEXT,
        Cell::Blob(_) => seen::BLOB,
        Cell::Null => 0,
    };
    match builder {
        Builder::Boolean(_) | Builder::Date(_) | Builder::Time(_) | Builder::Datetime(_) => {
            kind | seen::UNDECLARED
        }
        _ => kind,
    }
}

/// Returns the number as a float, if that does not change it.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "checked"
)]
fn exact_float(value: Cell) -> Option<f64> {
    /// 2⁶³, the first float above all `i64`.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    match value {
        Cell::Real(value) => Some(value),
        Cell::Integer(value) => {
            let float = value as f64;
            (float < LIMIT && float as i64 == value).then_some(float)
        }
        _ => None,
    }
}

/// Formats a number as the shortest text that reads as the same number; every float has a point or
/// an exponent.
fn text(value: Cell) -> String {
    match value {
        Cell::Integer(value) => value.to_string(),
        Cell::Real(value) => format!("{value:?}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    fn column_type(declared: Declared, values: &[Cell]) -> ColumnType {
        let kind = ColumnKind::new(declared, None);
        let mut column = ColumnDecoder::new(&kind, true);
        for value in values {
            column.push(*value).expect("UTF-8");
        }
        column.finish().column_type
    }

    #[test]
    fn values_that_do_not_fit_widen_the_column() {
        use Cell::{Blob, Integer, Null, Real, Text};
        for (declared, values, expected) in [
            (Declared::Nothing, &[Null, Null][..], ColumnType::Null),
            (Declared::Nothing, &[Null, Integer(1)], ColumnType::Int64),
            (
                Declared::Integer,
                &[Integer(1), Real(0.5)],
                ColumnType::Float64,
            ),
            (
                Declared::Integer,
                &[Real(0.5), Integer((1 << 53) + 1)],
                ColumnType::String,
            ),
            (Declared::Real, &[Integer(i64::MAX)], ColumnType::String),
            (
                Declared::Real,
                &[Integer(1 << 60), Real(1.5)],
                ColumnType::Float64,
            ),
            (Declared::Integer, &[Text(b"n/a")], ColumnType::String),
            (
                Declared::Text,
                &[Text(b"a"), Blob(b"\xff")],
                ColumnType::Binary,
            ),
            (
                Declared::Boolean,
                &[Integer(0), Integer(1), Null],
                ColumnType::Boolean,
            ),
            (
                Declared::Boolean,
                &[Text(b"true"), Integer(0), Text(b"F")],
                ColumnType::Boolean,
            ),
            (Declared::Boolean, &[Integer(2)], ColumnType::Int64),
            (Declared::Boolean, &[Text(b"yes")], ColumnType::String),
            (Declared::Date, &[Text(b"2024-02-29")], ColumnType::Date),
            (Declared::Date, &[Text(b"soon")], ColumnType::String),
        ] {
            assert_eq!(column_type(declared, values), expected, "{values:?}");
        }
    }

    #[test]
    fn numbers_become_the_shortest_text_that_reads_the_same() {
        for (value, expected) in [
            (Cell::Integer(i64::MIN), "-9223372036854775808"),
            (Cell::Real(0.1), "0.1"),
            (Cell::Real(3.0), "3.0"),
            (Cell::Real(1e300), "1e300"),
        ] {
            assert_eq!(text(value), expected);
        }
    }
}
