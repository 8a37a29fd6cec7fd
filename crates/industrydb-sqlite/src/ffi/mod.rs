//! SQLite's C interface: the only module with `unsafe` code.

pub(crate) mod collation;
pub(crate) mod cursor;
pub(crate) mod declaration;
pub(crate) mod descriptors;
pub(crate) mod errors;
pub(crate) mod file;
#[cfg(any(fuzzing, test))]
pub(crate) mod memory;
pub(crate) mod row;
pub(crate) mod snapshot;
pub(crate) mod watch;

use rusqlite::{Connection, ffi};

/// Converts a count or an index of SQLite's, which is never negative.
pub(crate) fn length(bytes: std::ffi::c_int) -> usize {
    usize::try_from(bytes).unwrap_or(0)
}

/// Returns the connection's handle for the C interface.
pub(crate) fn handle(connection: &Connection) -> *mut ffi::sqlite3 {
    // SAFETY: the handle is used only while the connection is borrowed, and never closed.
    unsafe { connection.handle() }
}
