//! Opens connections, read-only: nothing is ever created or changed.

use std::path::{Path, PathBuf};

use industrydb_core::{DatabaseConfig, Error, Result};
use rusqlite::{Connection, OpenFlags, ffi};

use crate::cursor::code_name;

/// Where the database is.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    path: PathBuf,
}

impl Options {
    pub(crate) fn new(config: &DatabaseConfig) -> Result<Self> {
        if let Some(name) = config.options.keys().next() {
            return Err(Error::configuration(format!(
                "unknown option {name:?} in the SQLite URI, which takes none; a ? in a file's name \
                 must be written %3F"
            )));
        }
        match config.database.as_deref() {
            None => Err(Error::configuration(
                "the SQLite URI names no file: sqlite:///absolute/path.db or sqlite://relative.db",
            )),
            Some(":memory:") => Err(Error::configuration(
                "an in-memory SQLite database belongs to the connection that made it; read a file",
            )),
            Some(path) => Ok(Self { path: path.into() }),
        }
    }

    /// Opens a connection of its own for one thread, in a transaction that begins with its first
    /// read: all statements of the connection see the same state.
    pub(crate) fn open(&self) -> Result<Connection> {
        let path = &self.path;
        let cannot = |why: &str| {
            Error::connection(format!(
                "cannot open the SQLite file {}: {why}",
                path.display()
            ))
        };
        if !path.exists() {
            return Err(cannot(&format!(
                "there is no such file{}",
                absolute_hint(path)
            )));
        }
        if !path.is_file() {
            return Err(cannot("it is not a file"));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(path, flags).map_err(|error| cannot(&error.to_string()))?;
        connection
            .execute_batch("BEGIN")
            .map_err(|error| cannot(&error.to_string()))?;
        // The first look into the file tells whether it is a database at all.
        let looked = connection.query_row("PRAGMA schema_version", [], |_| Ok(()));
        looked.map_err(|error| match error.sqlite_error() {
            Some(failure) if failure.code == rusqlite::ErrorCode::NotADatabase => {
                cannot("it is not an SQLite database, or it is encrypted")
            }
            failure => Error::Connection {
                message: cannot(&error.to_string()).to_string(),
                code: failure.map(|failure| code_name(failure.extended_code)),
            },
        })?;
        Ok(connection)
    }
}

/// Two slashes make a relative path: the commonest slip.
fn absolute_hint(path: &Path) -> &'static str {
    if path.is_relative() {
        " (the path is relative; an absolute one has three slashes: sqlite:///…)"
    } else {
        ""
    }
}

/// The number of bytes behind a pointer of SQLite's, which are never negative.
pub(crate) fn length(bytes: std::ffi::c_int) -> usize {
    usize::try_from(bytes).unwrap_or(0)
}

/// The handle that the C interface takes.
pub(crate) fn handle(connection: &Connection) -> *mut ffi::sqlite3 {
    // SAFETY: the handle is used only while the connection is borrowed, and never closed.
    unsafe { connection.handle() }
}
