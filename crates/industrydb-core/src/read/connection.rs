//! Trait of a session that a caller keeps: all that core knows of it.

use std::time::Duration;

use polars_core::prelude::{DataFrame, NamedFrom, Series};

use crate::base::error::{Error, Result};
use crate::base::stop::Stop;
use crate::data::chunk::Chunk;
use crate::data::stack::stack;
use crate::read::output::Output;
use crate::read::request::Request;
use crate::schema::field::Field;
use crate::schema::value::Parameters;
use crate::sql::dialect::Dialect;
use crate::sql::narrow::Narrowing;
use crate::sql::statements::Statement;
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

/// Columns of a query.
pub struct Columns {
    /// The columns, in order.
    pub fields: Vec<Field>,
    /// Names of the columns whose final type depends on their values.
    pub open: Vec<String>,
}

impl Columns {
    /// Creates columns that are open where their field [is](Field::is_open).
    pub fn of(fields: Vec<Field>) -> Self {
        let is_open = fields.iter().filter(|field| field.is_open);
        let open = is_open.map(|field| field.name.clone()).collect();
        Self { fields, open }
    }
}

/// How long the rest of an answer that is not wanted any more is waited for.
pub const REST_WAIT: Duration = Duration::from_millis(100);

/// How long the end of a cancelled statement is waited for.
pub const CANCELLED_WAIT: Duration = Duration::from_secs(5);

/// Creates the error for a server that has not ended a cancelled statement within
/// [`CANCELLED_WAIT`].
pub fn not_cancelled() -> Error {
    Error::unreachable(format!(
        "the server has not cancelled it within {} s",
        CANCELLED_WAIT.as_secs()
    ))
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

    /// Describes the only query of a request without running it. The request decides the columns'
    /// types as for [`DatabaseConnector::describe`](super::connector::DatabaseConnector::describe).
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] for a statement that is no query. Otherwise as for
    /// [`execute`](Connection::execute).
    fn describe(&mut self, request: &Request, stop: &Stop) -> Result<Columns>;

    /// Returns the only query of a request for some of its columns and rows, as
    /// [`Reader::narrowed`](super::connector::Reader::narrowed) does.
    ///
    /// # Errors
    ///
    /// As for [`describe`](Connection::describe).
    fn narrowed(
        &mut self,
        request: &Request,
        narrowing: &Narrowing,
        stop: &Stop,
    ) -> Result<Statement>;

    /// Returns a query whose values tell the types of some columns, as
    /// [`Reader::measuring`](super::connector::Reader::measuring) does.
    ///
    /// # Errors
    ///
    /// As for [`describe`](Connection::describe).
    fn measuring(
        &mut self,
        _request: &Request,
        _columns: &[String],
        _stop: &Stop,
    ) -> Result<Option<String>> {
        Ok(None)
    }

    /// Reads the rows of the only query of a request into `output`, in the state that the session
    /// sees. Calls `begin` with the columns before the first row. Columns have the types that
    /// [`Reader::read_into`](super::connector::Reader::read_into) gives them.
    ///
    /// An error other than [`Error::Connection`] may leave the session in the middle of the answer;
    /// [`end_statement`](Connection::end_statement) then frees it.
    ///
    /// # Errors
    ///
    /// The error of `begin`. Otherwise as for [`describe`](Connection::describe).
    fn read(
        &mut self,
        request: &Request,
        begin: &mut dyn FnMut(&[Field]) -> Result<()>,
        output: &mut Output,
        stop: &Stop,
    ) -> Result<()>;

    /// Ends a statement whose answer has not been received to its end, so that the session can run
    /// the next one: receives the rest if it is short, and cancels the statement otherwise. Does
    /// nothing if there is no such statement.
    ///
    /// # Errors
    ///
    /// If the session cannot be used any more.
    fn end_statement(&mut self) -> Result<()> {
        Ok(())
    }

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
