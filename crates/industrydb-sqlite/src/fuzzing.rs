//! What the fuzzer calls: whatever bytes a file has, its tables are read or raise an error, and the rows fit together.

use industrydb_core::{Field, Meter, Output, Result, Stop};
use rusqlite::{Connection, ffi};

use crate::connect::handle;
use crate::cursor::Cursor;
use crate::dialect::quoted;
use crate::pages::{read, table};
use crate::types::{ColumnKind, Declared};

/// The largest file that is tried.
const MOST_BYTES: usize = 1 << 20;

/// Reads all tables of a database whose file has these bytes, from their pages; how many could be read.
pub fn file(bytes: &[u8]) -> usize {
    if bytes.len() > MOST_BYTES {
        return 0;
    }
    let Some(connection) = opened(bytes) else {
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

/// A connection to a copy of the bytes in memory.
fn opened(bytes: &[u8]) -> Option<Connection> {
    let connection = Connection::open_in_memory().ok()?;
    let flags = ffi::SQLITE_DESERIALIZE_FREEONCLOSE | ffi::SQLITE_DESERIALIZE_READONLY;
    // SAFETY: the copy is as large as the bytes, in memory of SQLite's own, which frees it with the connection or where this
    // fails.
    let code = unsafe {
        let copy: *mut u8 = ffi::sqlite3_malloc64(bytes.len().max(1) as u64).cast();
        if copy.is_null() {
            return None;
        }
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), copy, bytes.len());
        let length = i64::try_from(bytes.len()).ok()?;
        ffi::sqlite3_deserialize(
            handle(&connection),
            c"main".as_ptr(),
            copy,
            length,
            length,
            flags,
        )
    };
    (code == ffi::SQLITE_OK).then_some(connection)
}

fn read_table(connection: &Connection, name: &str) -> Result<()> {
    let (sql, stop) = (format!("SELECT * FROM {}", quoted(name)), Stop::default());
    let Ok(proven) = table::prove(connection, &sql, None, &stop)? else {
        return Ok(());
    };
    let (fields, kinds) = described(&Cursor::prepare(connection, &sql, &stop)?);
    let chunk = Output::whole(&Meter::default(), |output| {
        read::read(connection, &proven, &fields, &kinds, output, &stop)
    })?;
    let mut columns = chunk.columns.iter();
    assert!(columns.all(|column| column.array.len() == chunk.height));
    Ok(())
}

/// The columns of a statement, as none is asked for.
pub(crate) fn described(cursor: &Cursor) -> (Vec<Field>, Vec<ColumnKind>) {
    let columns = cursor.columns().into_iter().map(|column| {
        let kind = ColumnKind::new(Declared::new(&column.declared_type), None);
        let field = Field::new(&column.name, &column.declared_type, kind.column_type());
        (field, kind)
    });
    columns.unzip()
}
