//! What a statement says of its columns.

use industrydb_core::{Error, Result};
use rusqlite::ffi;

use super::errors::{code_name, passes};

/// A column as a statement names it, and as its table declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declaration {
    pub(crate) name: String,
    /// Empty for an expression, and for a column without a type.
    pub(crate) declared_type: String,
}

impl Declaration {
    /// Refuses columns that are no longer those that were described: their values would be taken
    /// for others.
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
