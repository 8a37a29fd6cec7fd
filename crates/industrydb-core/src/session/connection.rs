//! A session that a caller keeps: statements that may change the database, and transactions.

use polars_core::prelude::{DataFrame, NamedFrom, Series};

use crate::base::error::{Error, Result};
use crate::base::stop::Stop;
use crate::data::chunk::Chunk;
use crate::data::stack::stack;
use crate::schema::field::Field;
use crate::schema::value::Parameters;
use crate::sql::dialect::Dialect;
use crate::write::frame::{Frame, OnConflict};

/// What a statement gives.
pub enum Answer {
    /// Rows, with the columns that they have.
    Rows(Vec<Field>, Chunk),
    /// None; the number of rows that it has changed.
    Changed(u64),
}

impl Answer {
    /// The rows, or one row of one column `rows_affected`.
    ///
    /// # Errors
    ///
    /// Where two columns have the same name.
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

/// A session that runs one statement at a time. Each is a transaction of its own unless one has
/// been begun.
pub trait Connection: Send {
    /// Runs a statement, with the values of its parameters.
    ///
    /// # Errors
    ///
    /// When the database refuses it, or breaks off.
    fn execute(&mut self, statement: &str, parameters: &Parameters, stop: &Stop) -> Result<Answer>;

    /// Adds the rows of a frame to a table, all of them or none; returns how many the database says
    /// it has written.
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

    /// Whether there is a table of this name, or a view.
    ///
    /// # Errors
    ///
    /// When the database fails.
    fn has_table(&mut self, table: &str, stop: &Stop) -> Result<bool>;

    /// Refuses to replace a table if the database would change rows of other tables with it,
    /// without a word.
    ///
    /// # Errors
    ///
    /// If that is so, or when the database fails.
    fn reject_replacing(&mut self, _table: &str, _stop: &Stop) -> Result<()> {
        Ok(())
    }

    /// Whether a transaction is open, as far as the session is told.
    fn in_transaction(&self) -> Option<bool> {
        None
    }

    /// How the database writes what is put around names and values.
    fn dialect(&self) -> &'static Dialect;
}
