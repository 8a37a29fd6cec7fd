//! The types that a column can have while it is read, and the Polars type each becomes.

use std::fmt;

use polars_arrow::array::ListArray;
use polars_arrow::datatypes::ArrowDataType;
use polars_core::prelude::{CompatLevel, DataType, TimeUnit, TimeZone};

/// The most digits that a Polars (and Arrow 128-bit) decimal holds.
pub const MAX_PRECISION: u8 = 38;

/// The type of a column: what a type table picks, what a builder makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnType {
    /// Only NULLs so far, and nothing declared.
    Null,
    /// `pl.Boolean`
    Boolean,
    /// `pl.Int16`
    Int16,
    /// `pl.Int32`
    Int32,
    /// `pl.Int64`
    Int64,
    /// `pl.UInt32`
    UInt32,
    /// `pl.Float32`
    Float32,
    /// `pl.Float64`
    Float64,
    /// `pl.Decimal`, an `i128` in units of 10⁻ˢᶜᵃˡᵉ.
    Decimal {
        /// Digits in all, at most [`MAX_PRECISION`].
        precision: u8,
        /// Digits behind the point.
        scale: u8,
    },
    /// `pl.Date`, days since 1970-01-01.
    Date,
    /// `pl.Time`, nanoseconds since midnight.
    Time,
    /// `pl.Datetime("us")`, microseconds since 1970-01-01 00:00; with zone UTC if `utc`.
    Datetime {
        /// Whether the values are points in time rather than wall-clock readings.
        utc: bool,
    },
    /// `pl.Duration("us")`
    Duration,
    /// Months, days and microseconds side by side ([`crate::builders::Interval`]): a
    /// [`Duration`](ColumnType::Duration) in the end if no value has months, otherwise text.
    Interval,
    /// `pl.String`
    String,
    /// `pl.Binary`
    Binary,
    /// `pl.List`
    List(Box<ColumnType>),
}

impl ColumnType {
    /// The Polars type, as the user sees it.
    pub fn polars(&self) -> DataType {
        match self {
            Self::Null => DataType::Null,
            Self::Boolean => DataType::Boolean,
            Self::Int16 => DataType::Int16,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::UInt32 => DataType::UInt32,
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::Decimal { precision, scale } => {
                DataType::Decimal(usize::from(*precision), usize::from(*scale))
            }
            Self::Date => DataType::Date,
            Self::Time => DataType::Time,
            Self::Datetime { utc } => {
                DataType::Datetime(TimeUnit::Microseconds, utc.then_some(TimeZone::UTC))
            }
            Self::Duration | Self::Interval => DataType::Duration(TimeUnit::Microseconds),
            Self::String => DataType::String,
            Self::Binary => DataType::Binary,
            Self::List(inner) => DataType::List(Box::new(inner.polars())),
        }
    }

    /// The Arrow type of the column's memory.
    pub fn arrow(&self) -> ArrowDataType {
        match self {
            // Raw intervals ride in 128-bit integers until they become durations or text.
            Self::Interval => ArrowDataType::Int128,
            Self::List(inner) => ListArray::<i64>::default_datatype(inner.arrow()),
            other => other.polars().to_physical().to_arrow(CompatLevel::newest()),
        }
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.polars().fmt(f)
    }
}
