//! Frame that is written to a table: its columns, and their values one at a time.

use polars_arrow::array::{
    Array, BinaryViewArray, BooleanArray, ListArray, PrimitiveArray, StaticArray, StructArray,
    Utf8ViewArray,
};
use polars_arrow::types::NativeType;
use polars_core::prelude::{DataFrame, DataType, TimeUnit};

use crate::base::error::{CellError, CellResult, Error, Result};
use crate::data::scalar::Scalar;
use crate::schema::column_type::ColumnType;
use crate::schema::column_type::MAX_PRECISION;

/// Treatment of a row whose key is already in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// The row causes an error, and no row is written.
    Error,
    /// The row is left out.
    Ignore,
    /// The row's values replace those in the table.
    Replace,
}

/// Rows to be written, in pieces that are contiguous in memory.
///
/// # Examples
///
/// ```
/// use industrydb_core::Frame;
/// use industrydb_core::scalar::Scalar;
/// use polars_core::prelude::{DataFrame, NamedFrom, Series};
///
/// let numbers = Series::new("n".into(), [Some(7_i64), None]);
/// let frame = Frame::new(DataFrame::new(2, vec![numbers.into()])?)?;
/// for piece in frame.pieces() {
///     let (height, columns) = piece?;
///     assert_eq!(height, 2);
///     assert_eq!(columns[0].get(0).ok(), Some(Some(Scalar::Integer(7))));
///     assert_eq!(columns[0].get(1).ok(), Some(None));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Frame {
    columns: Vec<(String, ColumnType)>,
    height: usize,
    /// Arrays of each piece, one per column.
    pieces: Vec<Vec<Box<dyn Array>>>,
}

impl Frame {
    /// Takes over a frame. Its values are copied only if its columns are divided into different
    /// chunks.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] for columns of types that no database has, and for a frame without
    /// columns.
    pub fn new(mut frame: DataFrame) -> Result<Self> {
        if frame.width() == 0 {
            return Err(Error::configuration("the data have no columns"));
        }
        // In this thread, not in parallel: a forked process has no other threads.
        frame.align_chunks();
        let column = |column: &polars_core::prelude::Column| {
            let name = column.name().to_string();
            match column_type(column.dtype()) {
                Some(column_type) => Ok((name, column_type)),
                None => Err(Error::configuration(format!(
                    "column {name:?} is {}, which no database has: cast it",
                    column.dtype()
                ))),
            }
        };
        let columns = frame.columns().iter().map(column).collect::<Result<_>>()?;
        let series = frame.materialized_column_iter();
        let chunks: Vec<_> = series
            .map(|series| series.to_physical_repr().chunks().clone())
            .collect();
        let count = chunks.iter().map(Vec::len).min().unwrap_or_default();
        let piece = |index: usize| chunks.iter().map(|arrays| arrays[index].clone()).collect();
        Ok(Self {
            columns,
            height: frame.height(),
            pieces: (0..count).map(piece).collect(),
        })
    }

    /// Returns the names and types of the columns.
    pub fn columns(&self) -> &[(String, ColumnType)] {
        &self.columns
    }

    /// Returns the number of rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Returns whether the column at an index has a NULL.
    pub fn has_nulls(&self, column: usize) -> bool {
        let mut arrays = self.pieces.iter().filter_map(|arrays| arrays.get(column));
        arrays.any(|array| array.null_count() > 0)
    }

    /// Returns the pieces in order: the number of rows of each, and the values of its columns.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`] if an array does not have the memory layout of its type.
    pub fn pieces(&self) -> impl Iterator<Item = Result<(usize, Vec<Cells<'_>>)>> {
        self.pieces.iter().map(|arrays| {
            let cells = arrays.iter().zip(&self.columns);
            let cells = cells.map(|(array, (_, column_type))| {
                Cells::new(array.as_ref(), column_type).ok_or_else(|| {
                    Error::Internal(format!("an array of {column_type} has other memory"))
                })
            });
            let height = arrays.first().map_or(0, |array| array.len());
            Ok((height, cells.collect::<Result<_>>()?))
        })
    }
}

/// Returns the type of a frame's column, if a database can have it.
fn column_type(dtype: &DataType) -> Option<ColumnType> {
    use ColumnType as T;
    Some(match dtype {
        DataType::Null => T::Null,
        DataType::Boolean => T::Boolean,
        DataType::Int8 => T::Int8,
        DataType::Int16 => T::Int16,
        DataType::Int32 => T::Int32,
        DataType::Int64 => T::Int64,
        DataType::UInt8 => T::UInt8,
        DataType::UInt16 => T::UInt16,
        DataType::UInt32 => T::UInt32,
        DataType::UInt64 => T::UInt64,
        DataType::Float32 => T::Float32,
        DataType::Float64 => T::Float64,
        DataType::Decimal(precision, scale) => T::Decimal {
            precision: u8::try_from(*precision)
                .ok()
                .filter(|p| *p <= MAX_PRECISION)?,
            scale: u8::try_from(*scale).ok()?,
        },
        DataType::Date => T::Date,
        DataType::Time => T::Time,
        DataType::Datetime(unit, zone) => T::Datetime {
            unit: *unit,
            utc: zone.is_some(),
        },
        DataType::Duration(unit) => T::Duration { unit: *unit },
        DataType::String => T::String,
        DataType::Binary => T::Binary,
        DataType::List(inner) => T::List(Box::new(column_type(inner)?)),
        DataType::Struct(fields) => {
            let field = |field: &polars_core::prelude::Field| {
                Some((field.name().to_string(), column_type(field.dtype())?))
            };
            T::Struct(fields.iter().map(field).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

/// The values of one column of a piece.
pub enum Cells<'a> {
    /// NULLs only.
    Null,
    /// Truth values.
    Boolean(&'a BooleanArray),
    /// Integers of 8 bits.
    Int8(&'a PrimitiveArray<i8>),
    /// Integers of 16 bits.
    Int16(&'a PrimitiveArray<i16>),
    /// Integers of 32 bits.
    Int32(&'a PrimitiveArray<i32>),
    /// Integers of 64 bits.
    Int64(&'a PrimitiveArray<i64>),
    /// Integers of 8 bits, without a sign.
    UInt8(&'a PrimitiveArray<u8>),
    /// Integers of 16 bits, without a sign.
    UInt16(&'a PrimitiveArray<u16>),
    /// Integers of 32 bits, without a sign.
    UInt32(&'a PrimitiveArray<u32>),
    /// Integers of 64 bits, without a sign.
    UInt64(&'a PrimitiveArray<u64>),
    /// Floats of 32 bits.
    Float32(&'a PrimitiveArray<f32>),
    /// Floats of 64 bits.
    Float64(&'a PrimitiveArray<f64>),
    /// Exact numbers, and their number of digits after the point.
    Decimal(&'a PrimitiveArray<i128>, u8),
    /// Days since 1970-01-01.
    Date(&'a PrimitiveArray<i32>),
    /// Nanoseconds since midnight.
    Time(&'a PrimitiveArray<i64>),
    /// Wall-clock readings or points in time.
    Datetime(&'a PrimitiveArray<i64>, TimeUnit),
    /// Durations.
    Duration(&'a PrimitiveArray<i64>, TimeUnit),
    /// Texts.
    String(&'a Utf8ViewArray),
    /// Bytes.
    Binary(&'a BinaryViewArray),
    /// Lists, and the values that they consist of.
    List(&'a ListArray<i64>, Box<Cells<'a>>),
    /// Structs, and their fields.
    Struct(&'a StructArray, Vec<Cells<'a>>),
}

impl<'a> Cells<'a> {
    fn new(array: &'a dyn Array, column_type: &ColumnType) -> Option<Self> {
        use ColumnType as T;
        fn numbers<T: NativeType>(array: &dyn Array) -> Option<&PrimitiveArray<T>> {
            array.as_any().downcast_ref()
        }
        Some(match column_type {
            T::Null => Self::Null,
            T::Boolean => Self::Boolean(array.as_any().downcast_ref()?),
            T::Int8 => Self::Int8(numbers(array)?),
            T::Int16 => Self::Int16(numbers(array)?),
            T::Int32 => Self::Int32(numbers(array)?),
            T::Int64 => Self::Int64(numbers(array)?),
            T::UInt8 => Self::UInt8(numbers(array)?),
            T::UInt16 => Self::UInt16(numbers(array)?),
            T::UInt32 => Self::UInt32(numbers(array)?),
            T::UInt64 => Self::UInt64(numbers(array)?),
            T::Float32 => Self::Float32(numbers(array)?),
            T::Float64 => Self::Float64(numbers(array)?),
            T::Decimal { scale, .. } => Self::Decimal(numbers(array)?, *scale),
            T::Date => Self::Date(numbers(array)?),
            T::Time => Self::Time(numbers(array)?),
            T::Datetime { unit, .. } => Self::Datetime(numbers(array)?, *unit),
            T::Duration { unit } => Self::Duration(numbers(array)?, *unit),
            T::String => Self::String(array.as_any().downcast_ref()?),
            T::Binary => Self::Binary(array.as_any().downcast_ref()?),
            T::List(inner) => {
                let list: &ListArray<i64> = array.as_any().downcast_ref()?;
                let values = Self::new(list.values().as_ref(), inner)?;
                Self::List(list, Box::new(values))
            }
            T::Struct(fields) => {
                let array: &StructArray = array.as_any().downcast_ref()?;
                let values = array.values().iter().zip(fields);
                let values = values.map(|(values, (_, field))| Self::new(values.as_ref(), field));
                Self::Struct(array, values.collect::<Option<_>>()?)
            }
            T::Interval | T::Ticks { .. } => return None,
        })
    }

    /// Returns the value of a row; `None` for NULL. Always `None` for lists and structs, whose
    /// parts have the values.
    ///
    /// # Errors
    ///
    /// For durations that are not a whole number of microseconds, or too long to count in them.
    #[inline]
    pub fn get(&self, row: usize) -> CellResult<Option<Scalar<'a>>> {
        fn integer<T: NativeType + Into<i64>>(
            array: &PrimitiveArray<T>,
            row: usize,
        ) -> Option<Scalar<'static>> {
            array.get(row).map(|value| Scalar::Integer(value.into()))
        }
        Ok(match self {
            Self::Null | Self::List(..) | Self::Struct(..) => None,
            Self::Boolean(array) => array.get(row).map(Scalar::Boolean),
            Self::Int8(array) => integer(array, row),
            Self::Int16(array) => integer(array, row),
            Self::Int32(array) => integer(array, row),
            Self::Int64(array) => integer(array, row),
            Self::UInt8(array) => integer(array, row),
            Self::UInt16(array) => integer(array, row),
            Self::UInt32(array) => integer(array, row),
            Self::UInt64(array) => array.get(row).map(|value| match i64::try_from(value) {
                Ok(value) => Scalar::Integer(value),
                Err(_) => Scalar::Decimal {
                    unscaled: value.into(),
                    scale: 0,
                },
            }),
            Self::Float32(array) => array.get(row).map(Scalar::Float32),
            Self::Float64(array) => array.get(row).map(Scalar::Float64),
            Self::Decimal(array, scale) => array.get(row).map(|unscaled| Scalar::Decimal {
                unscaled,
                scale: *scale,
            }),
            Self::Date(array) => array.get(row).map(Scalar::Date),
            Self::Time(array) => array.get(row).map(Scalar::Time),
            Self::Datetime(array, unit) => array.get(row).map(|value| datetime(value, *unit)),
            Self::Duration(array, unit) => match array.get(row) {
                Some(value) => Some(Scalar::Duration(microseconds(value, *unit)?)),
                None => None,
            },
            Self::String(array) => array.get(row).map(|text| Scalar::Text(text.as_bytes())),
            Self::Binary(array) => array.get(row).map(Scalar::Bytes),
        })
    }
}

fn datetime(value: i64, unit: TimeUnit) -> Scalar<'static> {
    let (per_second, length) = match unit {
        TimeUnit::Nanoseconds => (1_000_000_000, 1),
        TimeUnit::Microseconds => (1_000_000, 1000),
        TimeUnit::Milliseconds => (1000, 1_000_000),
    };
    let rest = value.rem_euclid(per_second) * length;
    Scalar::Datetime {
        seconds: value.div_euclid(per_second),
        nanoseconds: u32::try_from(rest).unwrap_or_default(), // below a second
    }
}

fn microseconds(value: i64, unit: TimeUnit) -> CellResult<i64> {
    let microseconds = match unit {
        TimeUnit::Nanoseconds => (value % 1000 == 0).then_some(value / 1000),
        TimeUnit::Microseconds => Some(value),
        TimeUnit::Milliseconds => value.checked_mul(1000),
    };
    let name = match unit {
        TimeUnit::Nanoseconds => "ns",
        TimeUnit::Microseconds => "us",
        TimeUnit::Milliseconds => "ms",
    };
    microseconds.ok_or_else(|| {
        CellError::new(
            format!("{value} {name}"),
            "is no whole number of microseconds, or too many of them",
            "round it, as by dt.cast_time_unit(\"us\")",
        )
    })
}
