//! The types that a column can have while it is read, and the Polars type each becomes.

use std::fmt;

use polars_arrow::array::ListArray;
use polars_arrow::datatypes::{ArrowDataType, Field as ArrowField};
use polars_core::prelude::{CompatLevel, DataType, Field, TimeUnit, TimeZone};

/// The most digits that a Polars (and Arrow 128-bit) decimal holds.
pub const MAX_PRECISION: u8 = 38;

/// Type of a column, as a type table picks it and a builder makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnType {
    /// Only NULLs so far, and nothing declared.
    Null,
    /// `pl.Boolean`
    Boolean,
    /// `pl.Int8`
    Int8,
    /// `pl.Int16`
    Int16,
    /// `pl.Int32`
    Int32,
    /// `pl.Int64`
    Int64,
    /// `pl.UInt8`
    UInt8,
    /// `pl.UInt16`
    UInt16,
    /// `pl.UInt32`
    UInt32,
    /// `pl.UInt64`
    UInt64,
    /// `pl.Float32`
    Float32,
    /// `pl.Float64`
    Float64,
    /// `pl.Decimal`, an `i128` in units of 10⁻ˢᶜᵃˡᵉ.
    Decimal {
        /// Number of digits in all, at most [`MAX_PRECISION`].
        precision: u8,
        /// Number of digits after the point.
        scale: u8,
    },
    /// `pl.Date`, days since 1970-01-01.
    Date,
    /// `pl.Time`, nanoseconds since midnight.
    Time,
    /// `pl.Datetime`, counted from 1970-01-01 00:00; with zone UTC if `utc`.
    Datetime {
        /// Unit that is counted.
        unit: TimeUnit,
        /// Whether the values are points in time rather than wall-clock readings.
        utc: bool,
    },
    /// Hundreds of nanoseconds since 1970-01-01 00:00. Becomes a [`Datetime`](ColumnType::Datetime)
    /// in nanoseconds if all values lie in its range, the years 1677 to 2262, otherwise in
    /// microseconds.
    Ticks {
        /// Whether the values are points in time.
        utc: bool,
    },
    /// `pl.Duration`
    Duration {
        /// Unit that is counted.
        unit: TimeUnit,
    },
    /// Months, days and microseconds in one integer ([`crate::builders::Interval`]). Becomes a
    /// [`DURATION`](ColumnType::DURATION) if no value has months, otherwise text.
    Interval,
    /// `pl.String`
    String,
    /// `pl.Binary`
    Binary,
    /// `pl.List`
    List(Box<ColumnType>),
    /// `pl.Struct`, whose fields have distinct names.
    Struct(Vec<(String, ColumnType)>),
}

impl ColumnType {
    /// Wall-clock readings in microseconds, as the databases have them.
    pub const DATETIME: Self = Self::Datetime {
        unit: TimeUnit::Microseconds,
        utc: false,
    };
    /// Points in time in microseconds.
    pub const DATETIME_UTC: Self = Self::Datetime {
        unit: TimeUnit::Microseconds,
        utc: true,
    };
    /// Durations in microseconds.
    pub const DURATION: Self = Self::Duration {
        unit: TimeUnit::Microseconds,
    };

    /// Returns whether the values decide which Polars type this becomes.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Null | Self::Interval | Self::Ticks { .. } => true,
            Self::List(inner) => inner.is_open(),
            Self::Struct(fields) => fields.iter().any(|(_, field)| field.is_open()),
            _ => false,
        }
    }

    /// Returns whether the values are integers.
    ///
    /// # Examples
    ///
    /// ```
    /// use industrydb_core::ColumnType;
    ///
    /// assert!(ColumnType::UInt8.is_integer());
    /// assert!(!ColumnType::Boolean.is_integer());
    /// ```
    pub fn is_integer(&self) -> bool {
        matches!(
            self,
            Self::Int8
                | Self::Int16
                | Self::Int32
                | Self::Int64
                | Self::UInt8
                | Self::UInt16
                | Self::UInt32
                | Self::UInt64
        )
    }

    /// Returns whether the values are integers, floats or decimals.
    ///
    /// # Examples
    ///
    /// ```
    /// use industrydb_core::ColumnType;
    ///
    /// assert!(ColumnType::Float32.is_number());
    /// assert!(!ColumnType::Date.is_number());
    /// ```
    pub fn is_number(&self) -> bool {
        self.is_integer() || matches!(self, Self::Float32 | Self::Float64 | Self::Decimal { .. })
    }

    /// Returns whether values can turn this into another type, which is then exact for all of them.
    ///
    /// # Examples
    ///
    /// ```
    /// use industrydb_core::ColumnType;
    ///
    /// assert!(ColumnType::Interval.may_settle_as(&ColumnType::String));
    /// assert!(!ColumnType::Interval.may_settle_as(&ColumnType::Float64));
    /// ```
    pub fn may_settle_as(&self, settled: &Self) -> bool {
        match (self, settled) {
            (Self::Null, _) | (Self::Interval, Self::String) => true,
            (Self::Ticks { utc }, Self::Datetime { unit, utc: other }) => {
                utc == other && *unit != TimeUnit::Milliseconds
            }
            // The values decide the scale.
            (
                Self::Decimal { precision, .. },
                Self::Decimal {
                    precision: other, ..
                },
            ) => precision == other,
            // Arrays may have more dimensions than are declared.
            (Self::List(inner), Self::List(other)) => {
                inner.may_settle_as(other) || self.may_settle_as(other)
            }
            (Self::Struct(fields), Self::Struct(others)) => {
                let may =
                    |((name, field), (other, settled)): (&(String, Self), &(String, Self))| {
                        name == other && field.may_settle_as(settled)
                    };
                fields.len() == others.len() && fields.iter().zip(others).all(may)
            }
            _ => self.settled() == *settled,
        }
    }

    /// Returns the type that this becomes without any values: the one that
    /// [`polars`](ColumnType::polars) shows.
    #[must_use]
    pub fn settled(&self) -> Self {
        match self {
            Self::Interval => Self::DURATION,
            Self::Ticks { utc } => Self::Datetime {
                unit: TimeUnit::Nanoseconds,
                utc: *utc,
            },
            Self::List(inner) => Self::List(Box::new(inner.settled())),
            Self::Struct(fields) => Self::Struct(
                fields
                    .iter()
                    .map(|(name, field)| (name.clone(), field.settled()))
                    .collect(),
            ),
            other => other.clone(),
        }
    }

    /// Returns the Polars type, as the user sees it.
    pub fn polars(&self) -> DataType {
        match self {
            Self::Null => DataType::Null,
            Self::Boolean => DataType::Boolean,
            Self::Int8 => DataType::Int8,
            Self::Int16 => DataType::Int16,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::UInt8 => DataType::UInt8,
            Self::UInt16 => DataType::UInt16,
            Self::UInt32 => DataType::UInt32,
            Self::UInt64 => DataType::UInt64,
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::Decimal { precision, scale } => {
                DataType::Decimal(usize::from(*precision), usize::from(*scale))
            }
            Self::Date => DataType::Date,
            Self::Time => DataType::Time,
            Self::Datetime { unit, utc } => DataType::Datetime(*unit, utc.then_some(TimeZone::UTC)),
            Self::Duration { unit } => DataType::Duration(*unit),
            Self::Interval => Self::DURATION.polars(),
            Self::Ticks { utc } => {
                DataType::Datetime(TimeUnit::Nanoseconds, utc.then_some(TimeZone::UTC))
            }
            Self::String => DataType::String,
            Self::Binary => DataType::Binary,
            Self::List(inner) => DataType::List(Box::new(inner.polars())),
            Self::Struct(fields) => DataType::Struct(
                fields
                    .iter()
                    .map(|(name, field)| Field::new(name.into(), field.polars()))
                    .collect(),
            ),
        }
    }

    /// Returns the Arrow type of the column's memory.
    pub fn arrow(&self) -> ArrowDataType {
        match self {
            // Raw intervals are 128-bit integers until they become durations or text.
            Self::Interval => ArrowDataType::Int128,
            Self::List(inner) => ListArray::<i64>::default_datatype(inner.arrow()),
            Self::Struct(fields) => ArrowDataType::Struct(
                fields
                    .iter()
                    .map(|(name, field)| ArrowField::new(name.into(), field.arrow(), true))
                    .collect(),
            ),
            other => other.polars().to_physical().to_arrow(CompatLevel::newest()),
        }
    }
}

/// Shows the Polars type as a caller writes it: `pl.Int8`, which no database's `int8` is.
impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zone = |utc: &bool| if *utc { r#", "UTC""# } else { "" };
        let letters = |unit: &TimeUnit| match unit {
            TimeUnit::Nanoseconds => "ns",
            TimeUnit::Microseconds => "us",
            TimeUnit::Milliseconds => "ms",
        };
        match self {
            Self::Decimal { precision, scale } => write!(f, "pl.Decimal({precision}, {scale})"),
            Self::Datetime { unit, utc } => {
                write!(f, "pl.Datetime({:?}{})", letters(unit), zone(utc))
            }
            Self::Ticks { utc } => write!(f, "pl.Datetime(\"ns\"{})", zone(utc)),
            Self::Duration { unit } => write!(f, "pl.Duration({:?})", letters(unit)),
            Self::Interval => Self::DURATION.fmt(f),
            Self::List(inner) => write!(f, "pl.List({inner})"),
            Self::Struct(fields) => {
                f.write_str("pl.Struct({")?;
                for (index, (name, field)) in fields.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{name:?}: {field}")?;
                }
                f.write_str("})")
            }
            // The other variants are named as in Python.
            other => write!(f, "pl.{other:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_shown_as_python_writes_them() {
        use ColumnType as T;
        let decimal = T::Decimal {
            precision: 38,
            scale: 2,
        };
        let moment = T::Datetime {
            unit: TimeUnit::Microseconds,
            utc: true,
        };
        let record = T::Struct(vec![("a".to_owned(), moment)]);
        for (column_type, shown) in [
            (T::Int8, "pl.Int8"),
            (T::Null, "pl.Null"),
            (T::List(Box::new(decimal)), "pl.List(pl.Decimal(38, 2))"),
            (record, r#"pl.Struct({"a": pl.Datetime("us", "UTC")})"#),
            (T::DURATION, r#"pl.Duration("us")"#),
            (T::Interval, r#"pl.Duration("us")"#),
        ] {
            assert_eq!(column_type.to_string(), shown);
        }
    }

    #[test]
    fn a_settled_type_is_shown_as_before_and_has_the_memory_that_is_shown() {
        let struct_of = |field: ColumnType| ColumnType::Struct(vec![("a".to_owned(), field)]);
        for open in [ColumnType::Interval, ColumnType::Ticks { utc: true }] {
            for column_type in [
                ColumnType::List(Box::new(open.clone())),
                struct_of(open.clone()),
                open,
            ] {
                let settled = column_type.settled();
                assert!(column_type.is_open() && !settled.is_open(), "{settled:?}");
                assert_eq!(settled.polars(), column_type.polars());
                let physical = settled.polars().to_physical();
                assert_eq!(settled.arrow(), physical.to_arrow(CompatLevel::newest()));
            }
        }
    }

    #[test]
    fn values_make_a_type_become_one_that_is_exact_for_them() {
        use ColumnType as T;
        let decimal = |precision, scale| T::Decimal { precision, scale };
        let list = |inner: &T| T::List(Box::new(inner.clone()));
        let record = |field: &T| T::Struct(vec![("a".to_owned(), field.clone())]);
        for (open, settled, may) in [
            (T::Null, T::String, true),
            (T::Interval, T::DURATION, true),
            (T::Interval, T::String, true),
            (T::Interval, T::Int64, false),
            (T::Ticks { utc: true }, T::DATETIME_UTC, true),
            (T::Ticks { utc: true }, T::DATETIME, false),
            (decimal(38, 0), decimal(38, 7), true),
            (decimal(38, 0), decimal(12, 2), false),
            (decimal(38, 0), T::Float32, false),
            (T::Float64, T::Float32, false),
            (T::Int32, T::Int32, true),
        ] {
            assert_eq!(open.may_settle_as(&settled), may, "{open:?} {settled:?}");
            assert_eq!(record(&open).may_settle_as(&record(&settled)), may);
            assert_eq!(list(&open).may_settle_as(&list(&settled)), may);
            assert_eq!(list(&open).may_settle_as(&list(&list(&settled))), may);
            assert!(!list(&list(&settled)).may_settle_as(&list(&open)) || open == T::Null);
        }
    }
}
