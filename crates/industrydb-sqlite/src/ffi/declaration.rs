//! Names and declared types of a statement's columns.

use industrydb_core::{Error, Result};
use rusqlite::ffi;

use super::errors::{code_name, passes};

/// A result column's name, and the type that its table declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declaration {
    pub(crate) name: String,
    /// Empty for an expression, and for a column without a type.
    pub(crate) declared_type: String,
}

impl Declaration {
    /// Returns an error if the columns are no longer those that were described, since values would
    /// be taken for those of other columns.
    pub(crate) fn reject_changed(described: &[Self], found: &[Self]) -> Result<()> {
        if described == found {
            return Ok(());
        }
        let shown = |columns: &[Self]| {
            columns
                .iter()
                .map(Self::shown)
                .collect::<Vec<_>>()
                .join(", ")
        };
        Err(Error::Query {
            message: format!(
                "the query's columns have changed since they were described: they were {}, and are {}; read again",
                shown(described),
                shown(found)
            ),
            code: Some(code_name(ffi::SQLITE_SCHEMA)),
            partition: None,
            is_transient: passes(ffi::SQLITE_SCHEMA),
        })
    }

    fn shown(&self) -> String {
        match self.declared_type.as_str() {
            "" => format!("{:?}", self.name),
            declared_type => format!("{:?} {declared_type}", self.name),
        }
    }
}
