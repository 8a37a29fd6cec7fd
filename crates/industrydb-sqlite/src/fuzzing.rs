//! Entry point of the fuzzer: for a file of any bytes, reading a table must succeed or return an
//! error, and all columns of a table must have the same length.

use industrydb_core::{Field, Meter, Output, Result, Stop};
use rusqlite::Connection;

use crate::ffi::cursor::Cursor;
use crate::ffi::memory;
use crate::pages::{read, table};
use crate::sql::dialect::quoted;
use crate::types::{ColumnKind, Declared};

/// Size of the largest file that is tried, in bytes.
const MOST_BYTES: usize = 1 << 20;

/// Reads all tables of a database file with these bytes from their pages, and returns how many were
/// read without an error.
pub fn file(bytes: &[u8]) -> usize {
    if bytes.len() > MOST_BYTES {
        return 0;
    }
    let Some(connection) = memory::of_bytes(bytes) else {
        return 0;
    };
    let begun = connection.execute_batch("BEGIN; SELECT 1 FROM sqlite_schema LIMIT 1");
    let names = begun.and_then(|()| {
        let mut names =
            connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?;
        let names = names.query_map([], |row| row.get::<_, String>(0))?;
        names.collect::<rusqlite::Result<Vec<_>>>()
    });
    let names = names.unwrap_or_default();
    names
        .iter()
        .filter(|name| read_table(&connection, name).is_ok())
        .count()
}

fn read_table(connection: &Connection, name: &str) -> Result<()> {
    let (sql, stop) = (format!("SELECT * FROM {}", quoted(name)), Stop::default());
    let Ok(proven) = table::prove(connection, &sql, None, &stop)? else {
        return Ok(());
    };
    let (fields, kinds) = described(&Cursor::prepare(connection, &sql, &stop)?);
    let chunk = Output::whole(&Meter::default(), |output| {
        read::read(connection, &proven, None, &fields, &kinds, output, &stop)
    })?;
    let mut columns = chunk.columns.iter();
    assert!(columns.all(|column| column.array.len() == chunk.height));
    Ok(())
}

/// Describes a statement's columns, without a type that the caller asks for.
pub(crate) fn described(cursor: &Cursor) -> (Vec<Field>, Vec<ColumnKind>) {
    let columns = cursor.columns().into_iter().map(|column| {
        let kind = ColumnKind::new(Declared::new(&column.declared_type), None);
        let field = Field::new(&column.name, &column.declared_type, kind.column_type());
        (field, kind)
    });
    columns.unzip()
}
