//! Reasons why a query's pages are not decoded.

use std::fmt;

use super::program::Unproven;

/// Version of SQLite whose bytecode the proof was written for. With another version, all queries
/// are stepped.
pub(crate) const VERSION: i32 = 3_054_001;

/// Reason why a query is stepped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    Version(i32),
    /// SQLite is built without the virtual table through which pages are read.
    NoPages,
    Unproven(Unproven),
    /// Without a transaction, the pages might be of different states.
    NoTransaction,
    Temporary,
    /// The program was compiled for another schema.
    Changed,
    /// The b-tree is not a table's: a query on a covering index has the same program.
    NoTable,
    Encoding,
    /// A name, a type or a default in the schema is not UTF-8.
    Name,
    /// The result columns are not stored columns of one table.
    Columns,
    Default(String),
    /// SQLite would not compare the partition's key by plain value.
    Key(&'static str),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(found) => write!(f, "SQLite's version {found} is not {VERSION}"),
            Self::NoPages => f.write_str("SQLite is built without SQLITE_ENABLE_DBPAGE_VTAB"),
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
