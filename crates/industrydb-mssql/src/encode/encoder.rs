//! Encodes values of a frame's column for a column of a table.

use industrydb_core::convert;
use industrydb_core::frame::Cells;
use industrydb_core::scalar::Scalar;
use industrydb_core::{CellError, CellResult, ColumnType, Error, Result};
use mssql_tds::datatypes::bulk_copy_metadata::{BulkCopyColumnMetadata, SqlDbType};
use mssql_tds::datatypes::column_values::{
    ColumnValues, SqlDate, SqlDateTimeOffset, SqlMoney, SqlSmallMoney,
};
use mssql_tds::datatypes::decoder::DecimalParts;
use mssql_tds::datatypes::sql_string::{EncodingType, ResolvedEncoding, SqlString};
use mssql_tds::datatypes::sql_vector::SqlVector;
use polars_arrow::array::Array;
use uuid::Uuid;

use crate::encode::temporal::{datetime, datetime2, day, small_datetime, time};
use crate::wire::code_page;

/// Encodes the values of a frame's column for a column of a table.
pub(crate) struct ColumnEncoder {
    /// Index of the column in the frame.
    source: usize,
    /// The table's column, as the protocol describes it.
    metadata: BulkCopyColumnMetadata,
    /// Name of the column's type, for messages.
    type_name: String,
    /// Encoding of the column's text; `None` if that is UTF-16.
    encoding: Option<ResolvedEncoding>,
}

impl ColumnEncoder {
    /// Makes the encoder from the type of a frame's column for a column of a table.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] if values of that type cannot be written into the column.
    pub(crate) fn new(
        source: usize,
        from: &ColumnType,
        metadata: BulkCopyColumnMetadata,
    ) -> Result<Self> {
        let name = &metadata.column_name;
        let type_name = metadata.get_sql_type_definition();
        let type_name = type_name.map_err(|error| Error::Internal(error.to_string()))?;
        if !is_writable(from, metadata.sql_type) {
            return Err(Error::configuration(format!(
                "column {name:?} is {type_name}, which cannot be made of {from}: convert it first"
            )));
        }
        let encoding = match metadata.sql_type {
            SqlDbType::Char | SqlDbType::VarChar | SqlDbType::Text => {
                let collation = metadata.collation.map(EncodingType::LcidBased);
                let encoding = collation.and_then(code_page::of);
                Some(encoding.ok_or_else(|| {
                    Error::configuration(format!(
                        "column {name:?} is {type_name} of a collation whose code page is not known: \
                         use nvarchar"
                    ))
                })?)
            }
            _ => None,
        };
        Ok(Self {
            source,
            metadata,
            type_name,
            encoding,
        })
    }

    /// Returns the name of the column in the table.
    pub(crate) fn name(&self) -> &str {
        &self.metadata.column_name
    }

    /// Returns the type name of the column in the table.
    pub(crate) fn type_name(&self) -> &str {
        &self.type_name
    }

    /// Returns the index of the column in the frame.
    pub(crate) fn source(&self) -> usize {
        self.source
    }

    /// Tests whether the table still has the same column.
    pub(crate) fn is_of(&self, found: &BulkCopyColumnMetadata) -> bool {
        let definition = found.get_sql_type_definition();
        definition.is_ok_and(|definition| definition == self.type_name)
            && found.collation_name == self.metadata.collation_name
            && found.is_identity == self.metadata.is_identity
    }

    /// Encodes the value of a row.
    pub(crate) fn value(&self, cells: &Cells, row: usize) -> CellResult<ColumnValues> {
        if let Cells::List(..) = cells {
            return vector(cells, row);
        }
        let Some(value) = cells.get(row)? else {
            return Ok(ColumnValues::Null);
        };
        let metadata = &self.metadata;
        let found = match metadata.sql_type {
            SqlDbType::Bit => Some(ColumnValues::Bit(value == Scalar::Boolean(true))),
            SqlDbType::TinyInt => convert::integer(&value).map(ColumnValues::TinyInt),
            SqlDbType::SmallInt => convert::integer(&value).map(ColumnValues::SmallInt),
            SqlDbType::Int => convert::integer(&value).map(ColumnValues::Int),
            SqlDbType::BigInt => convert::integer(&value).map(ColumnValues::BigInt),
            SqlDbType::Real => {
                let float = convert::exact_float32(&value).filter(|float| float.is_finite());
                float.map(ColumnValues::Real)
            }
            SqlDbType::Float => {
                let float = convert::exact_float64(&value).filter(|float| float.is_finite());
                float.map(ColumnValues::Float)
            }
            SqlDbType::Decimal | SqlDbType::Numeric => {
                decimal(&value, metadata.precision, metadata.scale).map(ColumnValues::Decimal)
            }
            SqlDbType::Money => money(&value),
            SqlDbType::SmallMoney => {
                let units = convert::decimal(&value, MONEY_SCALE);
                let units = units.and_then(|units| i32::try_from(units).ok());
                units.map(|units| ColumnValues::SmallMoney(SqlSmallMoney::from(units)))
            }
            SqlDbType::Date => convert::date(&value).and_then(|days| {
                let days = day(i64::from(days))?;
                Some(ColumnValues::Date(SqlDate::create(days).ok()?))
            }),
            SqlDbType::Time => match value {
                Scalar::Time(nanoseconds) => time(
                    u64::try_from(nanoseconds).unwrap_or_default(),
                    metadata.scale,
                )
                .map(ColumnValues::Time),
                _ => None,
            },
            SqlDbType::DateTime2 => datetime2(&value, metadata.scale).map(ColumnValues::DateTime2),
            SqlDbType::DateTimeOffset => datetime2(&value, metadata.scale).map(|datetime2| {
                ColumnValues::DateTimeOffset(SqlDateTimeOffset {
                    datetime2,
                    offset: 0,
                })
            }),
            SqlDbType::DateTime => datetime(&value),
            SqlDbType::SmallDateTime => small_datetime(&value),
            SqlDbType::UniqueIdentifier => match value {
                Scalar::Text(text) => Uuid::try_parse_ascii(text).ok().map(ColumnValues::Uuid),
                _ => None,
            },
            SqlDbType::Binary | SqlDbType::VarBinary | SqlDbType::Image | SqlDbType::Udt => {
                match value {
                    Scalar::Bytes(bytes) if self.holds(bytes.len()) => {
                        Some(ColumnValues::Bytes(bytes.to_vec()))
                    }
                    _ => None,
                }
            }
            _ => self.text(&value),
        };
        found.ok_or_else(|| self.misfit(&value))
    }

    /// Encodes text in the column's encoding; `None` if the text does not fit into the column.
    fn text(&self, value: &Scalar) -> Option<ColumnValues> {
        let Scalar::Text(text) = value else {
            return None;
        };
        let text = std::str::from_utf8(text).ok()?;
        let (bytes, encoding) =
            if let (Some(page), Some(collation)) = (self.encoding, self.metadata.collation) {
                let (bytes, _, has_losses) = page.encode(text);
                if has_losses {
                    return None;
                }
                (bytes.into_owned(), EncodingType::LcidBased(collation))
            } else {
                let units = text.encode_utf16().flat_map(u16::to_le_bytes);
                (units.collect(), EncodingType::Utf16)
            };
        self.holds(bytes.len())
            .then(|| ColumnValues::String(SqlString::new(bytes, encoding)))
    }

    /// Tests whether the column can hold a value of `bytes` bytes.
    fn holds(&self, bytes: usize) -> bool {
        let is_long = matches!(
            self.metadata.sql_type,
            SqlDbType::Text | SqlDbType::NText | SqlDbType::Image
        );
        is_long
            || self.metadata.is_plp()
            || usize::try_from(self.metadata.length).is_ok_and(|length| bytes <= length)
    }

    #[cold]
    fn misfit(&self, value: &Scalar) -> Box<CellError> {
        use SqlDbType as S;
        let (reason, remedy) = match self.metadata.sql_type {
            S::Real | S::Float => (
                "is no number in SQL Server",
                "make it NULL by fill_nan(None)",
            ),
            S::TinyInt | S::SmallInt | S::Int | S::BigInt => (
                "is not among the integers of the column",
                "round it, or use a wider column",
            ),
            S::Decimal | S::Numeric | S::Money | S::SmallMoney => (
                "has more digits than the column, in front of or behind the point",
                "round it, or use a wider column",
            ),
            S::Date => ("is no date without a time", "use dt.date(), or datetime2"),
            S::Time | S::DateTime2 | S::DateTimeOffset | S::DateTime | S::SmallDateTime => (
                "is finer than the column's times, or beyond its years",
                "truncate it, as by dt.truncate(\"1us\")",
            ),
            S::UniqueIdentifier => ("is no UUID", "write it into a text column"),
            _ if self.encoding.is_some() => (
                "is longer than the column, or has characters that its code page lacks",
                "use nvarchar",
            ),
            _ => ("is longer than the column", "use a longer column"),
        };
        CellError::new(value.to_string(), reason, remedy)
    }
}

/// Scale of `money`: the number of its digits after the decimal point.
const MONEY_SCALE: u8 = 4;

fn decimal(value: &Scalar, precision: u8, scale: u8) -> Option<DecimalParts> {
    let unscaled = convert::decimal(value, scale)?;
    let magnitude = unscaled.unsigned_abs();
    let limit = 10_u128.checked_pow(precision.into())?;
    (magnitude < limit).then(|| DecimalParts::new(unscaled >= 0, precision, scale, magnitude))
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves")]
fn money(value: &Scalar) -> Option<ColumnValues> {
    let units = i64::try_from(convert::decimal(value, MONEY_SCALE)?).ok()?;
    let halves = (units as i32, (units >> 32) as i32);
    Some(ColumnValues::Money(SqlMoney::from(halves)))
}

fn vector(cells: &Cells, row: usize) -> CellResult<ColumnValues> {
    let Cells::List(list, values) = cells else {
        return Ok(ColumnValues::Null);
    };
    if list.is_null(row) {
        return Ok(ColumnValues::Null);
    }
    let (from, to) = list.offsets().start_end(row);
    let mut floats = Vec::with_capacity(to - from);
    for index in from..to {
        match values.get(index)? {
            Some(Scalar::Float32(value)) if value.is_finite() => floats.push(value),
            _ => {
                return Err(CellError::new(
                    None,
                    "has elements that are NULL or no numbers",
                    "fill them",
                ));
            }
        }
    }
    let vector = SqlVector::try_from_f32(floats)
        .map_err(|error| CellError::new(None, error.to_string(), "change its length"))?;
    Ok(ColumnValues::Vector(vector))
}

/// Tests whether values of a frame's column may be written as a SQL Server type.
fn is_writable(from: &ColumnType, to: SqlDbType) -> bool {
    use ColumnType as T;
    use SqlDbType as S;
    let is_number = from.is_number();
    let is_wall_clock = matches!(from, T::Date | T::Datetime { utc: false, .. });
    match to {
        _ if *from == T::Null => true,
        S::Bit => *from == T::Boolean,
        S::TinyInt
        | S::SmallInt
        | S::Int
        | S::BigInt
        | S::Real
        | S::Float
        | S::Decimal
        | S::Numeric
        | S::Money
        | S::SmallMoney => is_number,
        S::Date | S::DateTime | S::DateTime2 | S::SmallDateTime => is_wall_clock,
        S::Time => *from == T::Time,
        S::DateTimeOffset => matches!(from, T::Datetime { utc: true, .. }),
        S::Char
        | S::VarChar
        | S::Text
        | S::NChar
        | S::NVarChar
        | S::NText
        | S::Xml
        | S::Json
        | S::UniqueIdentifier => *from == T::String,
        S::Binary | S::VarBinary | S::Image | S::Udt => *from == T::Binary,
        S::Vector => matches!(from, T::List(inner) if **inner == T::Float32),
        S::Variant => false,
    }
}
