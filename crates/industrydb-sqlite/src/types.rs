//! The type table: the type that a column's declaration implies, and the wider type that the column
//! gets if values do not fit.

use std::sync::atomic::{AtomicU8, Ordering};

use industrydb_core::ColumnType;
use industrydb_core::convert::is_convertible;

/// Kind of values that a column's declared type implies.
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
    /// Parses a declared type: first the names that say more than SQLite's five affinities, then
    /// SQLite's rules for the affinity.
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

/// Number of decimal digits that every 64-bit float keeps.
pub(crate) const FLOAT_DIGITS: u8 = 15;

/// Returns the declared type of a column that stores the values of a frame's column, and that reads
/// as the same type again if SQLite has one. `None` if SQLite cannot store the values.
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

/// Affinity of a column: how the column converts values that are written into it.
/// <https://www.sqlite.org/datatype3.html#determination_of_column_affinity>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Affinity {
    /// Values are stored unchanged.
    None,
    /// Numbers become text.
    Text,
    /// Text that is a number becomes that number.
    Numeric,
    /// As `Numeric`, and all numbers become floats.
    Real,
}

impl Affinity {
    /// Returns the affinity of a declared type.
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
    /// Returns whether the caller may ask for this type. A column that is declared as dates, for
    /// example, can hold values of any kind.
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

/// Bits for the kinds of values that do not fit a column's declaration.
pub(crate) mod seen {
    /// A value that is no boolean, date, time or datetime where one is declared.
    pub(crate) const UNDECLARED: u8 = 1;
    pub(crate) const INTEGER: u8 = 2;
    /// An integer that no float represents exactly.
    pub(crate) const LARGE_INTEGER: u8 = 4;
    pub(crate) const REAL: u8 = 8;
    pub(crate) const TEXT: u8 = 16;
    pub(crate) const BLOB: u8 = 32;
}

/// What all partitions of one read know about a column. Kinds of values are added, and never
/// removed.
pub(crate) struct ColumnKind {
    pub(crate) declared: Declared,
    /// Type that the caller asks for; no value widens the column then.
    pub(crate) asked: Option<ColumnType>,
    /// Type that an earlier read found the column to need; no value widens the column then.
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

    /// Returns the column with a settled type, which an earlier read found it to need.
    pub(crate) fn settled_as(self, column_type: ColumnType) -> Self {
        Self {
            settled: Some(column_type),
            ..self
        }
    }

    /// Returns whether the column's type is settled, so that a value which does not fit is an
    /// error.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled.is_some()
    }

    /// Records kinds of values that do not fit the column's current type.
    pub(crate) fn add(&self, kinds: u8) {
        self.seen.fetch_or(kinds, Ordering::Relaxed);
    }

    /// Returns the type that the caller asks for or that is settled; otherwise the narrowest type
    /// that fits the declaration and all values seen so far.
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
