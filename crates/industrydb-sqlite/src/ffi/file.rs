//! Reads a database's file past SQLite's page cache, many pages at a time.

use std::ffi::{CString, c_int, c_void};
use std::ptr;

use rusqlite::{Connection, ffi};

use super::handle;

/// The file of a database whose every page has in the file the bytes that the connection's
/// transaction sees.
///
/// SQLite's locks keep the bytes as they are until the transaction ends. A reader's SHARED lock
/// excludes the EXCLUSIVE lock that a writer needs to change the file. In WAL mode a reader that
/// sees no frame of the log holds `WAL_READ_LOCK(0)`, which excludes the checkpointer; see "Locks"
/// in <https://www.sqlite.org/walformat.html>.
pub(crate) struct DatabaseFile<'c> {
    connection: &'c Connection,
    database: CString,
    file: *mut ffi::sqlite3_file,
}

impl<'c> DatabaseFile<'c> {
    /// Returns the file of a database that the connection's transaction has already read; `None` if
    /// the transaction may see other bytes: its own changes, or frames of a write-ahead log.
    pub(crate) fn new(connection: &'c Connection, database: &str) -> Option<Self> {
        let database = CString::new(database).ok()?;
        let file = pointer(connection, &database, ffi::SQLITE_FCNTL_FILE_POINTER)?;
        let log = pointer(connection, &database, ffi::SQLITE_FCNTL_JOURNAL_POINTER);
        let file = Self {
            connection,
            database,
            file,
        };
        (file.is_only_read() && log.is_none_or(|log| size(log) == Some(0))).then_some(file)
    }

    /// Fills `bytes` with those from `offset`; zeros stand for what is behind the end of the file.
    pub(crate) fn read(&self, offset: i64, bytes: &mut [u8]) -> rusqlite::Result<()> {
        let failed = |code| rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        let length = c_int::try_from(bytes.len()).map_err(|_| failed(ffi::SQLITE_TOOBIG))?;
        // SAFETY: `pointer` has made sure that the file is open, and SQLite closes the file of a
        // database no earlier than the connection. `bytes` has room for `length` bytes.
        let code = unsafe {
            let read = (*(*self.file).pMethods).xRead;
            let read = read.ok_or_else(|| failed(ffi::SQLITE_INTERNAL))?;
            read(self.file, bytes.as_mut_ptr().cast(), length, offset)
        };
        match code {
            ffi::SQLITE_OK | ffi::SQLITE_IOERR_SHORT_READ if self.is_only_read() => Ok(()),
            ffi::SQLITE_OK | ffi::SQLITE_IOERR_SHORT_READ => Err(failed(ffi::SQLITE_ABORT)),
            code => Err(failed(code)),
        }
    }

    /// Returns whether a transaction holds the database's locks, and has not begun to write.
    fn is_only_read(&self) -> bool {
        // SAFETY: the connection and the name live until the call returns.
        let state =
            unsafe { ffi::sqlite3_txn_state(handle(self.connection), self.database.as_ptr()) };
        state == ffi::SQLITE_TXN_READ
    }
}

/// Returns whether the path of a database leads to another file than the connection has open, or to
/// none.
pub(crate) fn has_moved(connection: &Connection, database: &str) -> bool {
    let Ok(database) = CString::new(database) else {
        return false;
    };
    let mut has_moved: c_int = 0;
    // SAFETY: the connection and the name live until the call returns, which writes an integer. It
    // leaves the integer as it is for a database without a file.
    unsafe {
        ffi::sqlite3_file_control(
            handle(connection),
            database.as_ptr(),
            ffi::SQLITE_FCNTL_HAS_MOVED,
            (&raw mut has_moved).cast::<c_void>(),
        );
    }
    has_moved != 0
}

/// Returns a file that a connection has open for a database.
fn pointer(
    connection: &Connection,
    database: &CString,
    operation: c_int,
) -> Option<*mut ffi::sqlite3_file> {
    let mut file: *mut ffi::sqlite3_file = ptr::null_mut();
    // SAFETY: the connection and the name live until the call returns, and these operations write a
    // pointer. A file without methods is not open.
    unsafe {
        let code = ffi::sqlite3_file_control(
            handle(connection),
            database.as_ptr(),
            operation,
            (&raw mut file).cast::<c_void>(),
        );
        (code == ffi::SQLITE_OK && !file.is_null() && !(*file).pMethods.is_null()).then_some(file)
    }
}

/// Returns the size of an open file in bytes.
fn size(file: *mut ffi::sqlite3_file) -> Option<i64> {
    let mut size = 0;
    // SAFETY: `pointer` has made sure that the file is open.
    let code = unsafe {
        (*(*file).pMethods)
            .xFileSize
            .map(|ask| ask(file, &raw mut size))
    };
    (code == Some(ffi::SQLITE_OK)).then_some(size)
}
