//! A connection that the caller keeps open, and runs statements on.

use industrydb_core::dialect::Dialect;
use industrydb_core::field::reject_duplicate_names;
use industrydb_core::statements::Statement;
use industrydb_core::tokens::is_blank;
use industrydb_core::workers::beside;
use industrydb_core::{
    Answer, Chunk, Columns, Connection, Error, Field, Frame, Meter, Narrowing, OnConflict, Output,
    Parameters, Request, Result, Stop,
};

use rusqlite::{TransactionState, ffi};

use crate::columns::{ColumnDecoder, rows};
use crate::ffi::cursor::Cursor;
use crate::ffi::declaration::Declaration;
use crate::ffi::errors::{code_name, failed};
use crate::ffi::noting::{Noted, Noting};
use crate::ffi::row::Cell;
use crate::read::typed::{self, Typed, is_one_select, returns_no_rows};
use crate::session::catalog::changed_with;
use crate::session::mistakes::{explained, mismatched_by};
use crate::session::others::{look_before_closing, look_before_reading, look_before_writing};
use crate::session::repeated::Repeated;
use crate::session::transaction::{databases, refresh};
use crate::sql::dialect::{DIALECT, LEXICON};
use crate::types::{ColumnKind, Declared};
use crate::write::insert::insert;

/// Number of attempts to run a read-only statement if other connections change its tables as it
/// begins.
const MOST_ATTEMPTS: u32 = 5;

/// A connection that may write.
pub(crate) struct SqliteConnection {
    /// Queries that may come again. They, and `noting`, end before the connection.
    repeated: Repeated,
    noting: Noting,
    connection: rusqlite::Connection,
}

impl Drop for SqliteConnection {
    fn drop(&mut self) {
        look_before_closing(&self.connection);
    }
}

impl SqliteConnection {
    pub(crate) fn new(connection: rusqlite::Connection) -> Self {
        Self {
            repeated: Repeated::default(),
            noting: Noting::new(&connection),
            connection,
        }
    }

    /// Compiles a query and binds its parameters. Refuses any other statement.
    fn query(
        &mut self,
        query: &str,
        parameters: &Parameters,
        stop: &Stop,
    ) -> Result<(Cursor<'_>, Noted)> {
        let (connection, noting) = (&self.connection, &self.noting);
        let repeated = &mut self.repeated;
        let (cursor, noted) = prepared(connection, noting, repeated, query, parameters, stop)?;
        if !cursor.is_read_only() || cursor.column_count() == 0 {
            return Err(returns_no_rows());
        }
        Ok((cursor, noted))
    }

    /// Updates the cached schema, which may be that of before another connection's changes.
    fn refresh(&self) -> Result<()> {
        let connection = &self.connection;
        let names = if connection.is_autocommit() {
            look_before_reading(connection)?;
            databases(connection).map_err(|e| failed(&e))?
        } else {
            vec!["main".to_owned()] // a lock on another database would last until the end
        };
        refresh(connection, &names).map_err(|e| failed(&e))
    }

    /// Returns the text and the columns of the only query of a request.
    fn typed(&mut self, request: &Request, stop: &Stop) -> Result<(String, Typed)> {
        let query = request.statement(LEXICON)?;
        self.refresh()?;
        self.repeated.take(&query); // it has the columns of when it was compiled
        let (cursor, _) = self.query(&query, &request.parameters, stop)?;
        let typed = Typed::new(typed::described(&cursor), request)?;
        reject_duplicate_names(&typed.fields)?;
        Ok((query, typed))
    }
}

/// Compiles a single statement, unless it is kept, and binds its parameters; also returns what it
/// does.
fn prepared<'c>(
    connection: &'c rusqlite::Connection,
    noting: &Noting,
    repeated: &mut Repeated,
    statement: &str,
    parameters: &Parameters,
    stop: &Stop,
) -> Result<(Cursor<'c>, Noted)> {
    if connection.is_autocommit() {
        look_before_reading(connection)?;
    }
    let (mut cursor, noted) = if let Some((compiled, noted)) = repeated.take(statement) {
        (Cursor::again(connection, compiled, stop), noted)
    } else {
        compiled(connection, noting, statement, stop)?
    };
    repeated.end_before(noted);
    // A trigger has semicolons inside, so only SQLite can tell where the statement ends.
    let rest = statement.get(cursor.end()..).unwrap_or_default();
    if !is_blank(rest, LEXICON) {
        return Err(Error::configuration(
            "execute takes one statement, and there is another one behind it",
        ));
    }
    cursor.bind(parameters)?;
    Ok((cursor, noted))
}

/// Compiles a statement; also returns what it does.
fn compiled<'c>(
    connection: &'c rusqlite::Connection,
    noting: &Noting,
    statement: &str,
    stop: &Stop,
) -> Result<(Cursor<'c>, Noted)> {
    let compile = || noting.of(|| Cursor::prepare(connection, statement, stop));
    let (mut cursor, mut noted) = compile();
    // The cached schema may be outdated, because another connection has changed the tables.
    if let Err(Error::Query { .. }) = cursor {
        let names = databases(connection).map_err(|e| failed(&e))?;
        refresh(connection, &names).map_err(|e| failed(&e))?;
        (cursor, noted) = compile();
        cursor = cursor.map_err(|error| explained(connection, error, statement, statement, stop));
    }
    Ok((cursor?, noted))
}

/// Returns an error if a statement begins to write, or commits what was written, while another
/// library of the process has the file open.
fn reject_shared(connection: &rusqlite::Connection, cursor: &Cursor, noted: Noted) -> Result<()> {
    let state = connection.transaction_state(None::<&str>);
    let has_written = state.map_err(|e| failed(&e))? == TransactionState::Write;
    if has_written && noted.commits || !has_written && !cursor.is_read_only() {
        look_before_writing(connection)?;
    }
    Ok(())
}

/// Returns whether running a statement checks its stop signal often. A count of rows looks only
/// whether another thread interrupts it, as does the end of a transaction, which may write the log
/// into the file.
fn checks_often(cursor: &Cursor, noted: Noted) -> bool {
    cursor.is_read_only() && noted == Noted::default()
}

/// Describes a statement's columns: their fields and kinds.
fn described(cursor: &Cursor) -> (Vec<Field>, Vec<ColumnKind>) {
    let column = |Declaration {
                      name,
                      declared_type,
                  }| {
        let kind = ColumnKind::new(Declared::new(&declared_type), None);
        (Field::new(&name, &declared_type, kind.column_type()), kind)
    };
    cursor.columns().into_iter().map(column).unzip()
}

/// Describes a query's columns like [`described`], with the types that the request asks for.
fn described_as(cursor: &Cursor, request: &Request) -> Result<(Vec<Field>, Vec<ColumnKind>)> {
    let typed = Typed::new(typed::described(cursor), request)?;
    Ok((typed.fields, typed.kinds))
}

/// Reads the rows of a query that is compiled.
fn read_rows(cursor: &mut Cursor, request: &Request, stop: &Stop) -> Result<Answer> {
    let (fields, kinds) = described_as(cursor, request)?;
    reject_duplicate_names(&fields)?;
    let chunk = Output::whole(&Meter::default(), |output| {
        rows::step(cursor, &fields, &kinds, output, stop)
    })?;
    Ok(Answer::Rows(fields, chunk))
}

/// Returns whether the error says that the columns have changed since they were described.
fn is_change(error: &Error) -> bool {
    error.code() == Some(&code_name(ffi::SQLITE_SCHEMA))
}

impl Connection for SqliteConnection {
    fn execute(&mut self, statement: &str, parameters: &Parameters, stop: &Stop) -> Result<Answer> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let (connection, noting) = (&self.connection, &self.noting);
            let repeated = &mut self.repeated;
            let (mut cursor, noted) =
                prepared(connection, noting, repeated, statement, parameters, stop)?;
            if stop.looks_here() && !checks_often(&cursor, noted) {
                drop(cursor);
                return beside(stop, || self.execute(statement, parameters, stop));
            }
            reject_shared(connection, &cursor, noted)?;
            if cursor.column_count() == 0 {
                let before = connection.total_changes();
                let next = |cursor: &mut Cursor| {
                    let stepped = cursor.step();
                    stepped.map_err(|error| mismatched_by(connection, error, statement))
                };
                while next(&mut cursor)? {}
                let has_changed = connection.total_changes() != before;
                return Ok(Answer::Changed(if has_changed {
                    connection.changes()
                } else {
                    0
                }));
            }
            if !cursor.is_read_only() {
                reject_duplicate_names(&described(&cursor).0)?;
                return read_changes(&mut cursor);
            }
            let as_declared = Request::of(statement, &Parameters::default(), &[]);
            let read = || read_rows(&mut cursor, &as_declared, stop);
            let (read, counts) = noting.without_counts(stop.looks_here(), read);
            match read {
                // The failed attempt has updated the connection's cached schema.
                Err(error) if (is_change(&error) || counts) && attempts < MOST_ATTEMPTS => {}
                Ok(answer) => {
                    repeated.keep(statement, cursor.into_compiled(), noted);
                    return Ok(answer);
                }
                failed => return failed,
            }
        }
    }

    fn describe(&mut self, request: &Request, stop: &Stop) -> Result<Columns> {
        let (query, typed) = self.typed(request, stop)?;
        let open = typed.open_columns(&self.connection, &[query], stop)?;
        Ok(Columns {
            fields: typed.fields,
            open,
        })
    }

    fn narrowed(
        &mut self,
        request: &Request,
        narrowing: &Narrowing,
        stop: &Stop,
    ) -> Result<Statement> {
        let (query, typed) = self.typed(request, stop)?;
        let parameters = &request.parameters;
        typed.narrowed(&self.connection, &query, narrowing, parameters, stop)
    }

    fn measuring(
        &mut self,
        request: &Request,
        _columns: &[String],
        stop: &Stop,
    ) -> Result<Option<String>> {
        let query = request.statement(LEXICON)?;
        let is_one_select = is_one_select(&self.connection, &query, stop)?;
        Ok((!is_one_select).then_some(query))
    }

    fn read(
        &mut self,
        request: &Request,
        begin: &mut dyn FnMut(&[Field]) -> Result<()>,
        output: &mut Output,
        stop: &Stop,
    ) -> Result<()> {
        let query = request.statement(LEXICON)?;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let (mut cursor, noted) = self.query(&query, &request.parameters, stop)?;
            let (fields, kinds) = described_as(&cursor, request)?;
            reject_duplicate_names(&fields)?;
            begin(&fields)?;
            match rows::step(&mut cursor, &fields, &kinds, output, stop) {
                // SQLite notices a change at the first step, so that no row has been handed over.
                Err(error) if is_change(&error) && attempts < MOST_ATTEMPTS => {}
                Ok(()) => {
                    let compiled = cursor.into_compiled();
                    self.repeated.keep(&query, compiled, noted);
                    return Ok(());
                }
                failed => return failed,
            }
        }
    }

    fn insert(
        &mut self,
        table: &str,
        frame: &Frame,
        on_conflict: OnConflict,
        stop: &Stop,
    ) -> Result<u64> {
        insert(&self.connection, table, frame, on_conflict, stop)
            .map_err(|error| explained(&self.connection, error, "", "", stop))
    }

    fn has_table(&mut self, table: &str, stop: &Stop) -> Result<bool> {
        if self.connection.is_autocommit() {
            look_before_reading(&self.connection)?;
        }
        let sql = format!("SELECT * FROM {}", DIALECT.table(table)?);
        match Cursor::prepare(&self.connection, &sql, stop) {
            Ok(_) => Ok(true),
            Err(Error::Query { message, .. }) if message.starts_with("no such table") => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// Returns an error if dropping the table would change other tables: SQLite deletes a dropped
    /// table's rows first, and with them the rows that refer to them by ON DELETE actions.
    fn reject_replacing(&mut self, table: &str, _stop: &Stop) -> Result<()> {
        let name = DIALECT.parts(table)?.pop().unwrap_or_default();
        let children = changed_with(&self.connection, &name).map_err(|e| failed(&e))?;
        if children.is_empty() {
            return Ok(());
        }
        Err(Error::configuration(format!(
            "{table} cannot be replaced: to drop it deletes or changes the rows of {children:?} that refer to its own \
             (ON DELETE): delete rows of it and append, or drop it by a Connection after PRAGMA foreign_keys = OFF"
        )))
    }

    fn in_transaction(&self) -> Option<bool> {
        Some(!self.connection.is_autocommit())
    }

    fn checks_often(&self) -> bool {
        true
    }

    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }
}

/// Reads the rows of a statement that changes the database, and so must not run again. The rows are
/// kept, so that they can be decoded again if a column needs another type.
fn read_changes(cursor: &mut Cursor) -> Result<Answer> {
    let mut rows: Vec<Vec<Kept>> = Vec::new();
    let mut found = cursor.first()?;
    // Another connection may have changed the table since the statement was compiled.
    let (fields, kinds) = described(cursor);
    reject_duplicate_names(&fields)?;
    while found {
        let row = cursor.row();
        let values = (0..cursor.column_count()).map(|index| Kept::new(row.value(index)));
        rows.push(values.collect());
        found = cursor.step()?;
    }
    loop {
        let mut columns: Vec<ColumnDecoder> = kinds
            .iter()
            .map(|kind| ColumnDecoder::new(kind, true))
            .collect();
        for (number, row) in (1..).zip(&rows) {
            for ((column, value), field) in columns.iter_mut().zip(row).zip(&fields) {
                column
                    .push(value.cell())
                    .map_err(|error| error.at(&field.name, &field.database_type, Some(number)))?;
            }
        }
        let is_complete = !columns.iter().any(|column| column.incomplete);
        let chunk = Chunk {
            height: rows.len(),
            columns: columns.into_iter().map(ColumnDecoder::finish).collect(),
        };
        if is_complete && !rows::is_stale(&chunk, &kinds) {
            return Ok(Answer::Rows(fields, chunk));
        }
    }
}

/// A value that outlives its row.
enum Kept {
    Null,
    Integer(i64),
    Real(f64),
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

impl Kept {
    fn new(cell: Cell) -> Self {
        match cell {
            Cell::Null => Self::Null,
            Cell::Integer(value) => Self::Integer(value),
            Cell::Real(value) => Self::Real(value),
            Cell::Text(text) => Self::Text(text.to_vec()),
            Cell::Blob(bytes) => Self::Blob(bytes.to_vec()),
        }
    }

    fn cell(&self) -> Cell<'_> {
        match self {
            Self::Null => Cell::Null,
            Self::Integer(value) => Cell::Integer(*value),
            Self::Real(value) => Cell::Real(*value),
            Self::Text(text) => Cell::Text(text),
            Self::Blob(bytes) => Cell::Blob(bytes),
        }
    }
}
