//! The type table: what a column's declaration promises, and what it becomes when values break the
//! promise.

use std::sync::atomic::{AtomicU8, Ordering};

use industrydb_core::ColumnType;
use industrydb_core::convert::is_convertible;

/// What a declared type says of its column's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Declared {
    /// An expression, or a column declared without a type or with one that SQLite gives no meaning.
    Nothing,
    Boolean,
    Integer,
    Real,
    Text,
    Blob,
    Date,
    Time,
    Datetime,
}

impl Declared {
    /// Reads a declared type: first the names that say more than SQLite's five affinities, then the
    /// rules by which SQLite finds the affinity.
    ///
    /// <https://www.sqlite.org/datatype3.html#determination_of_column_affinity>
    pub(crate) fn new(declared_type: &str) -> Self {
        let name = declared_type.to_ascii_uppercase();
        let begins = |prefix: &str| name.starts_with(prefix);
        let contains = |part: &str| name.contains(part);
        if begins("BOOL") {
            Self::Boolean
        } else if begins("DATETIME") || begins("TIMESTAMP") {
            Self::Datetime
        } else if name == "DATE" {
            Self::Date
        } else if name == "TIME" || begins("TIME(") {
            Self::Time
        } else if contains("INT") {
            Self::Integer
        } else if contains("CHAR") || contains("CLOB") || contains("TEXT") {
            Self::Text
        } else if contains("BLOB") {
            Self::Blob
        } else if ["REAL", "FLOA", "DOUB", "NUM", "DEC"]
            .into_iter()
            .any(contains)
        {
            Self::Real
        } else {
            Self::Nothing
        }
    }
}

/// As many decimal digits as every float keeps.
pub(crate) const FLOAT_DIGITS: u8 = 15;

/// The type of a table's column that keeps the values of a frame's column, and reads as the same
/// type again where there is one.
pub(crate) fn type_name(column_type: &ColumnType) -> Option<String> {
    use ColumnType as T;
    let name = match column_type {
        T::Boolean => "BOOLEAN",
        T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::UInt8 | T::UInt16 | T::UInt32 | T::UInt64 => {
            "INTEGER"
        }
        T::Float32 | T::Float64 => "REAL",
        T::Decimal { precision, scale } if *precision <= FLOAT_DIGITS => {
            return Some(format!("DECIMAL({precision},{scale})"));
        }
        T::Date => "DATE",
        T::Time => "TIME",
        T::Datetime { .. } => "DATETIME",
        T::String | T::Null | T::Decimal { .. } => "TEXT",
        T::Binary => "BLOB",
        T::Duration { .. } | T::List(_) | T::Struct(_) | T::Interval | T::Ticks { .. } => {
            return None;
        }
    };
    Some(name.to_owned())
}

/// What a column makes of the values that are written into it.
/// <https://www.sqlite.org/datatype3.html#determination_of_column_affinity>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Affinity {
    /// It keeps them.
    None,
    /// Numbers become texts.
    Text,
    /// Texts that are numbers become them.
    Numeric,
    /// So they do, and all numbers become floats.
    Real,
}

impl Affinity {
    /// The affinity of a declared type.
    pub(crate) fn new(declared_type: &str) -> Self {
        let name = declared_type.to_ascii_uppercase();
        let contains = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
        if contains(&["INT"]) {
            Self::Numeric
        } else if contains(&["CHAR", "CLOB", "TEXT"]) {
            Self::Text
        } else if contains(&["BLOB"]) || name.is_empty() {
            Self::None
        } else if contains(&["REAL", "FLOA", "DOUB"]) {
            Self::Real
        } else {
            Self::Numeric
        }
    }
}

impl Declared {
    /// Whether the caller may ask for a type. Values that are declared to be dates, say, can be of
    /// any kind.
    pub(crate) fn may_become(self, asked: &ColumnType) -> bool {
        let own = match self {
            Self::Integer | Self::Real => ColumnType::Int64,
            Self::Text => ColumnType::String,
            Self::Blob => ColumnType::Binary,
            Self::Nothing | Self::Boolean | Self::Date | Self::Time | Self::Datetime => {
                ColumnType::Null
            }
        };
        let counts_time = matches!(asked, ColumnType::Date | ColumnType::Datetime { .. });
        is_convertible(&own, asked) || (own == ColumnType::Int64 && counts_time)
    }
}

/// Kinds of values that a column's declaration has no place for, as bits.
pub(crate) mod seen {
    /// A value that is no boolean, date, time or datetime where one is declared.
    pub(crate) const UNDECLARED: u8 = 1;
    pub(crate) const INTEGER: u8 = 2;
    /// An integer that no float equals.
    pub(crate) const LARGE_INTEGER: u8 = 4;
    pub(crate) const REAL: u8 = 8;
    pub(crate) const TEXT: u8 = 16;
    pub(crate) const BLOB: u8 = 32;
}

/// What all partitions of one read know of a column: kinds of values are added, and never taken
/// away.
pub(crate) struct ColumnKind {
    pub(crate) declared: Declared,
    /// What the caller asks for: then nothing widens the column.
    pub(crate) asked: Option<ColumnType>,
    /// What the column has turned out to need before: nothing widens it any more.
    settled: Option<ColumnType>,
    seen: AtomicU8,
}

impl ColumnKind {
    pub(crate) fn new(declared: Declared, asked: Option<ColumnType>) -> Self {
        Self {
            declared,
            asked,
            settled: None,
            seen: AtomicU8::new(0),
        }
    }

    /// The same column, which keeps a type that one like it has turned out to need.
    pub(crate) fn settled_as(self, column_type: ColumnType) -> Self {
        Self {
            settled: Some(column_type),
            ..self
        }
    }

    /// Whether the column keeps its type, so that a value which does not fit is an error.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled.is_some()
    }

    /// Notes kinds of values that the column's present type has no place for.
    pub(crate) fn add(&self, kinds: u8) {
        self.seen.fetch_or(kinds, Ordering::Relaxed);
    }

    /// The narrowest type with a place for everything that was declared or seen.
    pub(crate) fn column_type(&self) -> ColumnType {
        if let Some(decided) = self.asked.as_ref().or(self.settled.as_ref()) {
            return decided.clone();
        }
        let seen = self.seen.load(Ordering::Relaxed);
        let declared = match self.declared {
            Declared::Boolean if seen & seen::UNDECLARED == 0 => return ColumnType::Boolean,
            Declared::Date if seen & seen::UNDECLARED == 0 => return ColumnType::Date,
            Declared::Time if seen & seen::UNDECLARED == 0 => return ColumnType::Time,
            Declared::Datetime if seen & seen::UNDECLARED == 0 => {
                return ColumnType::DATETIME;
            }
            Declared::Integer => seen::INTEGER,
            Declared::Real => seen::REAL,
            Declared::Text => seen::TEXT,
            Declared::Blob => seen::BLOB,
            _ => 0,
        };
        let kinds = seen | declared;
        let has = |kind: u8| kinds & kind != 0;
        if has(seen::BLOB) {
            ColumnType::Binary
        } else if has(seen::TEXT) || (has(seen::REAL) && has(seen::LARGE_INTEGER)) {
            ColumnType::String
        } else if has(seen::REAL) {
            ColumnType::Float64
        } else if has(seen::INTEGER) {
            ColumnType::Int64
        } else {
            ColumnType::Null
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_types_follow_sqlites_affinity_rules() {
        for (declared_type, declared) in [
            ("INTEGER", Declared::Integer),
            ("unsigned big int", Declared::Integer),
            ("FLOATING POINT", Declared::Integer), // SQLite's own documentation says so
            ("VARCHAR(255)", Declared::Text),
            ("NATIVE CHARACTER(70)", Declared::Text),
            ("CLOB", Declared::Text),
            ("BLOB", Declared::Blob),
            ("DOUBLE PRECISION", Declared::Real),
            ("FLOAT", Declared::Real),
            ("DECIMAL(10,5)", Declared::Real),
            ("NUMERIC", Declared::Real),
            ("boolean", Declared::Boolean),
            ("DATE", Declared::Date),
            ("DATETIME", Declared::Datetime),
            ("timestamp with time zone", Declared::Datetime),
            ("TIME", Declared::Time),
            ("JSON", Declared::Nothing),
            ("", Declared::Nothing),
        ] {
            assert_eq!(Declared::new(declared_type), declared, "{declared_type}");
        }
    }

    #[test]
    fn a_column_widens_as_far_as_its_values_need() {
        for (declared, kinds, column_type) in [
            (Declared::Nothing, 0, ColumnType::Null),
            (Declared::Nothing, seen::INTEGER, ColumnType::Int64),
            (Declared::Integer, seen::REAL, ColumnType::Float64),
            (Declared::Real, seen::LARGE_INTEGER, ColumnType::String),
            (Declared::Integer, seen::TEXT, ColumnType::String),
            (Declared::Text, seen::BLOB, ColumnType::Binary),
            (Declared::Date, seen::INTEGER, ColumnType::Date),
            (
                Declared::Date,
                seen::UNDECLARED | seen::TEXT,
                ColumnType::String,
            ),
            (
                Declared::Boolean,
                seen::UNDECLARED | seen::INTEGER,
                ColumnType::Int64,
            ),
        ] {
            let kind = ColumnKind::new(declared, None);
            kind.add(kinds);
            assert_eq!(kind.column_type(), column_type);
        }
    }
}
