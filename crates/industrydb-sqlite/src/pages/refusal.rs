//! Why a query's pages are not decoded.

use std::fmt;

use super::program::Unproven;

/// The version of SQLite whose bytecode the proof was written for. Of another one, nothing is
/// known: all is stepped.
pub(crate) const VERSION: i32 = 3_054_001;

/// Why a query is stepped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    Version(i32),
    Unproven(Unproven),
    /// Its pages might be of different moments.
    NoTransaction,
    Temporary,
    /// The program was compiled for another schema.
    Changed,
    /// A covering index looks the same.
    NoTable,
    Encoding,
    /// A name, a type or a default in the schema is not UTF-8.
    Name,
    /// The columns are not those of the table.
    Columns,
    Default(String),
    /// SQLite would compare the key by other rules than a plain one.
    Key(&'static str),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(found) => write!(f, "SQLite's version {found} is not {VERSION}"),
            Self::Unproven(why) => why.fmt(f),
            Self::NoTransaction => f.write_str("there is no transaction around it"),
            Self::Temporary => f.write_str("it reads a temporary table"),
            Self::Changed => f.write_str("the schema has changed since it was compiled"),
            Self::NoTable => f.write_str("it reads an index, or a table of SQLite's own"),
            Self::Encoding => f.write_str("the file's texts are UTF-16"),
            Self::Name => f.write_str("the schema has texts that are not UTF-8"),
            Self::Columns => f.write_str("its columns are not stored ones of one table"),
            Self::Default(name) => write!(f, "the default value of {name:?} is not known"),
            Self::Key(why) => write!(f, "the key of its partition {why}"),
        }
    }
}
