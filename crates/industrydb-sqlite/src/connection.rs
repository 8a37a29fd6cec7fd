//! A connection that the caller keeps.

use std::ffi::c_int;

use industrydb_core::connector::reject_duplicate_names;
use industrydb_core::query::is_blank;
use industrydb_core::statements::Dialect;
use industrydb_core::{
    Answer, Chunk, Connection, Error, Field, Frame, Meter, OnConflict, Output, Parameters, Result,
    Stop,
};

use crate::columns::ColumnDecoder;
use crate::cursor::{Cell, Cursor};
use crate::dialect::{DIALECT, LEXICON};
use crate::insert::insert;
use crate::rows;
use crate::types::{ColumnKind, Declared};

/// A connection that may write.
pub(crate) struct SqliteConnection(pub(crate) rusqlite::Connection);

impl Connection for SqliteConnection {
    fn execute(&mut self, statement: &str, parameters: &Parameters, stop: &Stop) -> Result<Answer> {
        let mut cursor = Cursor::prepare(&self.0, statement, stop)?;
        // Triggers have semicolons inside, so that SQLite must say where the statement ends.
        let rest = statement.get(cursor.end()..).unwrap_or_default();
        if !is_blank(rest, LEXICON) {
            return Err(Error::configuration(
                "execute takes one statement, and there is another one behind it",
            ));
        }
        cursor.bind(parameters)?;
        if cursor.column_count() == 0 {
            let before = self.0.total_changes();
            while cursor.step()? {}
            let has_changed = self.0.total_changes() != before;
            return Ok(Answer::Changed(if has_changed {
                self.0.changes()
            } else {
                0
            }));
        }
        let column = |index: c_int| {
            let declared_type = cursor.declared_type(index).unwrap_or_default();
            let kind = ColumnKind::new(Declared::new(&declared_type), None);
            let field = Field::new(
                &cursor.column_name(index),
                &declared_type,
                kind.column_type(),
            );
            (field, kind)
        };
        let columns = (0..cursor.column_count()).map(column);
        let (fields, kinds): (Vec<Field>, Vec<ColumnKind>) = columns.unzip();
        reject_duplicate_names(&fields)?;
        let chunk = if cursor.is_read_only() {
            Output::whole(&Meter::default(), |output| {
                rows::read(&mut cursor, &fields, &kinds, output, stop)
            })?
        } else {
            read_changes(&mut cursor, &fields, &kinds)?
        };
        Ok(Answer::Rows(fields, chunk))
    }

    fn insert(
        &mut self,
        table: &str,
        frame: &Frame,
        on_conflict: OnConflict,
        stop: &Stop,
    ) -> Result<u64> {
        insert(&self.0, table, frame, on_conflict, stop)
    }

    fn has_table(&mut self, table: &str, stop: &Stop) -> Result<bool> {
        let sql = format!("SELECT * FROM {}", DIALECT.table(table)?);
        match Cursor::prepare(&self.0, &sql, stop) {
            Ok(_) => Ok(true),
            Err(Error::Query { message, .. }) if message.starts_with("no such table") => Ok(false),
            Err(other) => Err(other),
        }
    }

    fn in_transaction(&self) -> Option<bool> {
        Some(!self.0.is_autocommit())
    }

    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }
}

/// Reads the rows of a statement that changes the database, and so must not run again: they are kept, so that they can be
/// passed over again where a column turns out to need another type.
fn read_changes(cursor: &mut Cursor, fields: &[Field], kinds: &[ColumnKind]) -> Result<Chunk> {
    let mut rows: Vec<Vec<Kept>> = Vec::new();
    while cursor.step()? {
        let row = cursor.row();
        let values = (0..cursor.column_count()).map(|index| Kept::new(row.value(index)));
        rows.push(values.collect());
    }
    loop {
        let mut columns: Vec<ColumnDecoder> = kinds
            .iter()
            .map(|kind| ColumnDecoder::new(kind, true))
            .collect();
        for (number, row) in (1..).zip(&rows) {
            for ((column, value), field) in columns.iter_mut().zip(row).zip(fields) {
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
        if is_complete && !rows::is_stale(&chunk, kinds) {
            return Ok(chunk);
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
