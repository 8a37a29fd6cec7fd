//! A session that a caller keeps: statements that may change the database, and transactions.

use polars_core::prelude::{DataFrame, NamedFrom, Series};

use crate::base::error::{Error, Result};
use crate::base::stop::Stop;
use crate::data::chunk::Chunk;
use crate::data::stack::stack;
use crate::schema::column_type::ColumnType;
use crate::schema::field::Field;
use crate::schema::value::Parameters;
use crate::sql::dialect::Dialect;
use crate::write::frame::{Frame, OnConflict};

/// Result of a statement.
pub enum Answer {
    /// Columns and rows.
    Rows(Vec<Field>, Chunk),
    /// Number of changed rows, of a statement that returns none.
    Changed(u64),
}

impl Answer {
    /// Converts the result to a frame: the rows, or one row with the column `rows_affected`.
    ///
    /// # Errors
    ///
    /// If two columns have the same name.
    pub fn into_frame(self) -> Result<DataFrame> {
        match self {
            Self::Rows(fields, chunk) => stack(&fields, vec![chunk]),
            Self::Changed(rows) => {
                let rows = i64::try_from(rows).unwrap_or(i64::MAX);
                let column = Series::new("rows_affected".into(), [rows]);
                DataFrame::new(1, vec![column.into()])
                    .map_err(|error| Error::Internal(error.to_string()))
            }
        }
    }
}

/// Session that runs one statement at a time. Each statement is its own transaction unless a
/// transaction has been begun.
pub trait Connection: Send {
    /// Runs a statement, with the values of its parameters.
    ///
    /// # Errors
    ///
    /// When the database refuses the statement, or the connection breaks.
    fn execute(&mut self, statement: &str, parameters: &Parameters, stop: &Stop) -> Result<Answer>;

    /// Reads the rows of a query, in the state that the session sees, with the types in `overrides`
    /// for the columns of these names.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] for a statement that is no query. Otherwise as for
    /// [`execute`](Connection::execute).
    fn read(
        &mut self,
        query: &str,
        parameters: &Parameters,
        overrides: &[(String, ColumnType)],
        stop: &Stop,
    ) -> Result<Answer>;

    /// Adds the rows of a frame to a table, all of them or none; returns the number of written rows
    /// that the database reports.
    ///
    /// # Errors
    ///
    /// When the table has no such columns, a value does not fit, or the database refuses a row.
    fn insert(
        &mut self,
        table: &str,
        frame: &Frame,
        on_conflict: OnConflict,
        stop: &Stop,
    ) -> Result<u64>;

    /// Returns whether there is a table or a view of this name.
    ///
    /// # Errors
    ///
    /// When the database fails.
    fn has_table(&mut self, table: &str, stop: &Stop) -> Result<bool>;

    /// Refuses to replace a table if the database would silently change rows of other tables with
    /// it.
    ///
    /// # Errors
    ///
    /// If rows of other tables would change, or when the database fails.
    fn reject_replacing(&mut self, _table: &str, _stop: &Stop) -> Result<()> {
        Ok(())
    }

    /// Returns whether a transaction is open; `None` if the session is not told.
    fn in_transaction(&self) -> Option<bool> {
        None
    }

    /// Returns whether [`execute`](Connection::execute) checks its stop signal several times a
    /// second, also while it waits.
    fn checks_often(&self) -> bool {
        false
    }

    /// Returns the SQL dialect of the database.
    fn dialect(&self) -> &'static Dialect;
}
