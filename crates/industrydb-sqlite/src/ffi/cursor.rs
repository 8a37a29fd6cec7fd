//! A prepared statement of the C interface: `rusqlite` gives no access to its values without a
//! branch and a check per cell, which costs as much as all the rest of a read.

use std::ffi::{CString, c_int};
use std::marker::PhantomData;
use std::time::Duration;
use std::{mem, ptr};

use industrydb_core::shape::begins_with;
use industrydb_core::{Error, Result, Stop};
use rusqlite::{Connection, ffi};

use super::collation;
use super::declaration::Declaration;
use super::errors::{code_name, constraint, no_collation, passes};
use super::row::{Row, text};
use super::watch::Watch;
use super::{handle, length};
use crate::sql::dialect::LEXICON;

/// A prepared statement of a connection.
pub(crate) struct Cursor<'c> {
    pub(super) statement: *mut ffi::sqlite3_stmt,
    connection: *mut ffi::sqlite3,
    column_count: c_int,
    /// Offset of the text behind the statement.
    end: usize,
    watch: Watch<'c>,
}

/// A compiled statement without rows, to run again. It must be dropped before its connection.
pub(crate) struct Compiled {
    statement: *mut ffi::sqlite3_stmt,
    end: usize,
    busy_timeout: Option<Duration>,
}

// SAFETY: SQLite lets threads use a statement one after the other, together with its connection.
unsafe impl Send for Compiled {}

impl Drop for Compiled {
    fn drop(&mut self) {
        // SAFETY: as for `Cursor`.
        unsafe {
            ffi::sqlite3_finalize(self.statement);
        }
    }
}

impl<'c> Cursor<'c> {
    /// Ends the statement's run, and returns the statement.
    pub(crate) fn into_compiled(mut self) -> Compiled {
        self.rewind();
        let statement = mem::replace(&mut self.statement, ptr::null_mut());
        // SAFETY: as in `step`.
        unsafe {
            ffi::sqlite3_clear_bindings(statement);
        }
        Compiled {
            statement,
            end: self.end,
            busy_timeout: self.watch.busy_timeout(),
        }
    }

    /// Creates a cursor of a statement that this connection has compiled, and whose lock timeout
    /// has not changed. SQLite compiles it again at its first step if that may have another meaning
    /// since.
    pub(crate) fn again(connection: &'c Connection, mut compiled: Compiled, stop: &Stop) -> Self {
        let watch = Watch::with_timeout(connection, stop, compiled.busy_timeout);
        collation::take_missed(); // an earlier statement's
        let statement = mem::replace(&mut compiled.statement, ptr::null_mut());
        Self {
            statement,
            connection: handle(connection),
            // SAFETY: as in `step`.
            column_count: unsafe { ffi::sqlite3_column_count(statement) },
            end: compiled.end,
            watch,
        }
    }

    /// Compiles a statement without running it.
    pub(crate) fn prepare(connection: &'c Connection, sql: &str, stop: &Stop) -> Result<Self> {
        let length = c_int::try_from(sql.len())
            .map_err(|_| Error::configuration("the query is longer than 2 GiB"))?;
        // A PRAGMA that sets or reads the busy timeout must find the connection's own.
        let is_pragma = begins_with(sql, LEXICON, &["PRAGMA"]);
        let watch = Watch::of(connection, stop, !is_pragma);
        collation::take_missed(); // an earlier statement's
        let connection = handle(connection);
        let (mut statement, mut tail) = (ptr::null_mut(), ptr::null());
        // SAFETY: the text is `length` bytes long; the tail will point into it.
        let code = unsafe {
            ffi::sqlite3_prepare_v2(
                connection,
                sql.as_ptr().cast(),
                length,
                &raw mut statement,
                &raw mut tail,
            )
        };
        let cursor = Self {
            end: tail.addr().saturating_sub(sql.as_ptr().addr()),
            statement,
            connection,
            // SAFETY: a null statement has no columns.
            column_count: unsafe { ffi::sqlite3_column_count(statement) },
            watch,
        };
        if code != ffi::SQLITE_OK {
            return Err(cursor.error(code));
        }
        if statement.is_null() {
            return Err(Error::configuration("the query is empty"));
        }
        Ok(cursor)
    }

    /// Compiles a statement; `None` if SQLite refuses it.
    pub(crate) fn prepare_if_valid(
        connection: &'c Connection,
        sql: &str,
        stop: &Stop,
    ) -> Result<Option<Self>> {
        match Self::prepare(connection, sql, stop) {
            Ok(cursor) => Ok(Some(cursor)),
            Err(Error::Query { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Returns the offset of the text behind the statement.
    pub(crate) fn end(&self) -> usize {
        self.end
    }

    /// Steps to the next row; `false` after the last row.
    #[inline]
    pub(crate) fn step(&mut self) -> Result<bool> {
        // SAFETY: the statement lives as long as the cursor.
        match unsafe { ffi::sqlite3_step(self.statement) } {
            ffi::SQLITE_ROW => Ok(true),
            ffi::SQLITE_DONE => self.end_of_rows(),
            code => Err(self.error(code)),
        }
    }

    /// Returns `false` at the end of the rows, or an error if rows are missing because they could
    /// not be compared.
    #[expect(
        clippy::unused_self,
        reason = "it is of the statement that this thread has just run"
    )]
    fn end_of_rows(&self) -> Result<bool> {
        collation::take_missed().map_or(Ok(false), |name| Err(no_collation(&name)))
    }

    /// Steps to the first row; `false` if there is none. If the tables have changed since the
    /// statement was compiled, SQLite compiles it again at its first step: from then on the columns
    /// are those of the rows.
    pub(crate) fn first(&mut self) -> Result<bool> {
        let found = self.step()?;
        // SAFETY: as in `step`.
        self.column_count = unsafe { ffi::sqlite3_column_count(self.statement) };
        Ok(found)
    }

    /// Resets the statement, so that the next step is to the first row.
    pub(crate) fn rewind(&mut self) {
        // SAFETY: as in `step`. The result repeats the error of the last step.
        unsafe {
            ffi::sqlite3_reset(self.statement);
        }
    }

    /// Returns the current row.
    ///
    /// SQLite keeps a row's values side by side, and finding each by `sqlite3_column_value` costs
    /// an eighth of a whole read. So only the first two values and the last one are asked for. If
    /// the last value is where equal distances put it, the others are found by their distance;
    /// otherwise each is asked for.
    #[inline]
    pub(crate) fn row(&self) -> Row<'_> {
        let last = self.column_count - 1;
        // SAFETY: for an index without a value, SQLite returns a static NULL value.
        let [first, second, last_value] =
            [0, 1, last].map(|column| unsafe { ffi::sqlite3_column_value(self.statement, column) });
        let distance = (second as usize).wrapping_sub(first as usize);
        let expected = (first as usize).wrapping_add(distance.wrapping_mul(length(last)));
        Row {
            statement: self.statement,
            first,
            distance: if last > 0 && last_value as usize == expected {
                distance
            } else {
                0
            },
            borrowed: PhantomData,
        }
    }

    /// Returns the number of columns; 0 for a statement that returns no rows.
    pub(crate) fn column_count(&self) -> c_int {
        self.column_count
    }

    /// Returns the name of a column.
    pub(crate) fn column_name(&self, column: c_int) -> String {
        // SAFETY: as in `step`; the name is copied at once.
        unsafe { text(ffi::sqlite3_column_name(self.statement, column)) }.unwrap_or_default()
    }

    /// Returns the declared type of a column; `None` for an expression or a column without a type.
    pub(crate) fn declared_type(&self, column: c_int) -> Option<String> {
        // SAFETY: as in `column_name`.
        unsafe { text(ffi::sqlite3_column_decltype(self.statement, column)) }
    }

    /// Returns whether the column is an expression or has a collation that every SQLite knows, and
    /// not one of the program that made the file.
    pub(crate) fn has_known_collation(&self, column: c_int) -> bool {
        let Some((database, table, name)) = self.origin(column) else {
            return true;
        };
        let (Ok(database), Ok(table), Ok(name)) = (
            CString::new(database),
            CString::new(table),
            CString::new(name),
        ) else {
            return false;
        };
        let mut collation = ptr::null();
        // SAFETY: the names live until the call returns, and what it returns is copied at once.
        unsafe {
            ffi::sqlite3_table_column_metadata(
                self.connection,
                database.as_ptr(),
                table.as_ptr(),
                name.as_ptr(),
                ptr::null_mut(),
                &raw mut collation,
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
            );
            text(collation).is_none_or(|name| {
                let mut built_in = collation::BUILT_IN.iter();
                built_in.any(|known| known.eq_ignore_ascii_case(&name))
            })
        }
    }

    /// Returns the names and declared types of the columns, in order.
    pub(crate) fn columns(&self) -> Vec<Declaration> {
        let column = |index| Declaration {
            name: self.column_name(index),
            declared_type: self.declared_type(index).unwrap_or_default(),
        };
        (0..self.column_count).map(column).collect()
    }

    /// Returns whether running the statement changes nothing.
    pub(crate) fn is_read_only(&self) -> bool {
        // SAFETY: as in `step`.
        unsafe { ffi::sqlite3_stmt_readonly(self.statement) != 0 }
    }

    /// Returns the database, table and column that a column's values come from; `None` for an
    /// expression.
    pub(crate) fn origin(&self, column: c_int) -> Option<(String, String, String)> {
        // SAFETY: as in `column_name`.
        unsafe {
            Some((
                text(ffi::sqlite3_column_database_name(self.statement, column))?,
                text(ffi::sqlite3_column_table_name(self.statement, column))?,
                text(ffi::sqlite3_column_origin_name(self.statement, column))?,
            ))
        }
    }

    /// Returns the error for the connection's last failure.
    #[cold]
    pub(super) fn error(&self, code: c_int) -> Error {
        if self.watch.is_stopped() {
            return Error::Interrupted;
        }
        if let Some(name) = collation::take_missed() {
            return no_collation(&name);
        }
        // SAFETY: the connection outlives the cursor; the message is copied at once.
        let (extended, message) = unsafe {
            (
                ffi::sqlite3_extended_errcode(self.connection),
                text(ffi::sqlite3_errmsg(self.connection)),
            )
        };
        let code = if extended & 0xff == code & 0xff {
            extended
        } else {
            code
        };
        let message = message.unwrap_or_else(|| "SQLite failed".to_owned());
        if code & 0xff == ffi::SQLITE_CONSTRAINT {
            return constraint(message, code);
        }
        Error::Query {
            message,
            code: Some(code_name(code)),
            partition: None,
            is_transient: passes(code),
        }
    }
}

impl Drop for Cursor<'_> {
    fn drop(&mut self) {
        // SAFETY: the statement is not used again; finalizing a null statement does nothing.
        unsafe {
            ffi::sqlite3_finalize(self.statement);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::row::Cell;

    #[test]
    fn every_storage_class_comes_out() {
        let connection = Connection::open_in_memory().expect("memory");
        let stop = Stop::default();
        let sql = "SELECT NULL, -5, 0.5, 'a' || char(0) || 'ä', x'00ff', '', x''";
        let mut cursor = Cursor::prepare(&connection, sql, &stop).expect("valid");
        assert!(cursor.step().expect("a row"));
        let row = cursor.row();
        let values: Vec<_> = (0..cursor.column_count()).map(|i| row.value(i)).collect();
        assert_eq!(
            values,
            [
                Cell::Null,
                Cell::Integer(-5),
                Cell::Real(0.5),
                Cell::Text("a\0ä".as_bytes()),
                Cell::Blob(b"\0\xff"),
                Cell::Text(b""),
                Cell::Blob(b""),
            ]
        );
        assert!(!cursor.step().expect("the end"));
    }

    #[test]
    fn one_column_has_no_neighbour() {
        let connection = Connection::open_in_memory().expect("memory");
        let mut cursor = Cursor::prepare(&connection, "SELECT 7", &Stop::default()).expect("valid");
        assert!(cursor.step().expect("a row"));
        assert_eq!(cursor.row().value(0), Cell::Integer(7));
    }

    #[test]
    fn an_endless_statement_can_be_stopped() {
        let connection = Connection::open_in_memory().expect("memory");
        let stop = Stop::default();
        let sql =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
        let mut cursor = Cursor::prepare(&connection, sql, &stop).expect("valid");
        stop.set();
        assert!(matches!(cursor.step(), Err(Error::Interrupted)));
    }

    #[test]
    fn errors_carry_sqlites_message_and_code() {
        let connection = Connection::open_in_memory().expect("memory");
        let error = Cursor::prepare(&connection, "SELECT FROM", &Stop::default());
        let error = error.err().expect("no statement");
        assert_eq!(error.code(), Some("SQLITE_ERROR"));
        assert!(error.to_string().contains("syntax error"), "{error}");
    }
}
