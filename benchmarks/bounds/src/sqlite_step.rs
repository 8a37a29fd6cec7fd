//! Lower bound of reading from `SQLite`: steps through all rows, reads every cell, stores nothing.
//!
//! ```text
//! sqlite-step <path> <query>…
//! ```
//!
//! Runs one thread and one read-only connection per query. Each cell is read by its storage class;
//! text and blobs are read as pointer and length, from which a real reader starts to copy. The
//! additional time of a real reader is its own cost. The clock runs from before the file is opened,
//! as it does for a reader, until the last row.
//!
//! `MMAP_BYTES` in the environment sets `PRAGMA mmap_size`. The default is 0, which copies pages
//! out of the kernel's cache; that was faster wherever both were tried.
//!
//! Prints `{"rows": …, "bytes": …, "seconds": …}`; `bytes` counts text and blobs, and eight for
//! each number.

mod drained;

use std::env;
use std::ffi::{CStr, CString, c_int};
use std::hint::black_box;
use std::ptr;

use rusqlite::{Connection, OpenFlags, ffi};

use drained::{AnyError, Drained, drain_all};

fn main() -> Result<(), AnyError> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [path, queries @ ..] = arguments.as_slice() else {
        return Err("usage: sqlite-step <path> <query>…".into());
    };
    let mmap_bytes: i64 = env::var("MMAP_BYTES").map_or(Ok(0), |bytes| bytes.parse())?;
    // SAFETY: called before any other SQLite function, in the only thread. Memory statistics take a
    // lock of the whole process at every allocation; a reader can turn them off, so the bound does.
    let configured = unsafe { ffi::sqlite3_config(ffi::SQLITE_CONFIG_MEMSTATUS, 0) };
    if configured != ffi::SQLITE_OK {
        return Err(
            format!("SQLite refused to turn memory statistics off (code {configured})").into(),
        );
    }

    drain_all(queries, |query| {
        let stepped = read(path, query, mmap_bytes)?;
        Ok(Drained {
            rows: stepped.rows,
            bytes: stepped.bytes,
        })
    })
}

/// Totals of one reader.
#[derive(Default)]
struct Stepped {
    rows: u64,
    bytes: u64,
    /// Folded from every cell, so that the compiler cannot leave a read out.
    checksum: u64,
}

/// Opens the file and reads the query to its end.
fn read(path: &str, query: &str, mmap_bytes: i64) -> Result<Stepped, AnyError> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.pragma_update(None, "mmap_size", mmap_bytes)?;
    let stepped = step(&connection, &CString::new(query)?)?;
    black_box(stepped.checksum);
    Ok(stepped)
}

/// Prepares the query, steps to its end and finalizes it.
fn step(connection: &Connection, query: &CStr) -> Result<Stepped, AnyError> {
    // SAFETY: `connection` outlives this call, and only this thread uses it.
    let database = unsafe { connection.handle() };
    let mut statement = ptr::null_mut();
    // SAFETY: the query is NUL-terminated, as the length -1 says; the tail is not requested.
    let prepared = unsafe {
        ffi::sqlite3_prepare_v2(
            database,
            query.as_ptr(),
            -1,
            &raw mut statement,
            ptr::null_mut(),
        )
    };
    if prepared != ffi::SQLITE_OK {
        return Err(last_error(database));
    }
    let mut stepped = Stepped::default();
    // SAFETY: the statement was prepared above, and is finalized only below. An empty statement is
    // null: it has no columns, and stepping it returns SQLITE_MISUSE.
    let columns = unsafe { ffi::sqlite3_column_count(statement) };
    let end = loop {
        // SAFETY: as above.
        match unsafe { ffi::sqlite3_step(statement) } {
            ffi::SQLITE_ROW => {
                stepped.rows += 1;
                for column in 0..columns {
                    // SAFETY: the statement is on a row, and the column is one of its columns.
                    unsafe { stepped.cell(statement, column) };
                }
            }
            end => break end,
        }
    };
    let result = if end == ffi::SQLITE_DONE {
        Ok(stepped)
    } else {
        Err(last_error(database))
    };
    // SAFETY: the statement is not used after this. The result repeats that of the last step, which
    // has been checked.
    unsafe { ffi::sqlite3_finalize(statement) };
    result
}

impl Stepped {
    /// Reads one cell.
    ///
    /// # Safety
    ///
    /// The statement must be on a row, and `column` must be one of the row's columns.
    unsafe fn cell(&mut self, statement: *mut ffi::sqlite3_stmt, column: c_int) {
        // SAFETY: the caller guarantees the row and the column. The value is unprotected, which is
        // safe on a connection that only one thread uses; fetching it once and not at every call
        // saves a quarter of the whole time. The value's storage class decides how it is read, so
        // that nothing is converted. The pointers are not dereferenced.
        let (folded, bytes) = unsafe {
            let value = ffi::sqlite3_column_value(statement, column);
            match ffi::sqlite3_value_type(value) {
                ffi::SQLITE_INTEGER => (ffi::sqlite3_value_int64(value).cast_unsigned(), 8),
                ffi::SQLITE_FLOAT => (ffi::sqlite3_value_double(value).to_bits(), 8),
                ffi::SQLITE_TEXT => (
                    ffi::sqlite3_value_text(value).addr() as u64,
                    ffi::sqlite3_value_bytes(value),
                ),
                ffi::SQLITE_BLOB => (
                    ffi::sqlite3_value_blob(value).addr() as u64,
                    ffi::sqlite3_value_bytes(value),
                ),
                _ => (0, 0), // NULL
            }
        };
        let bytes = u64::from(bytes.cast_unsigned());
        self.bytes += bytes;
        self.checksum = self.checksum.wrapping_add(folded ^ bytes);
    }
}

/// Returns the database's message for the last failure.
fn last_error(database: *mut ffi::sqlite3) -> AnyError {
    // SAFETY: the connection is open, and its message lives until the next call on it; it is copied
    // here.
    let message = unsafe { CStr::from_ptr(ffi::sqlite3_errmsg(database)) };
    message.to_string_lossy().into_owned().into()
}
