//! A prepared statement.

use industrydb_core::{Error, Result};

use crate::types::DescribedColumn;

/// A statement that the server has prepared.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) id: u32,
    /// Columns of the result; none for a statement without rows.
    pub(crate) columns: Vec<DescribedColumn>,
    pub(crate) parameters: usize,
}

impl Statement {
    /// Refuses another number of values than the statement has parameters.
    pub(crate) fn reject_other_count(&self, given: usize) -> Result<()> {
        if self.parameters == given {
            return Ok(());
        }
        Err(Error::configuration(format!(
            "the query has {} parameter(s) (?, ?, …), and params has {given} value(s)",
            self.parameters
        )))
    }
}
