//! SQLite's C interface: the one room with `unsafe` code.

pub(crate) mod collation;
pub(crate) mod cursor;
pub(crate) mod declaration;
pub(crate) mod descriptors;
pub(crate) mod errors;
#[cfg(any(fuzzing, test))]
pub(crate) mod memory;
pub(crate) mod row;
pub(crate) mod snapshot;
pub(crate) mod watch;

use rusqlite::{Connection, ffi};

/// The number of bytes behind a pointer of SQLite's, which are never negative.
pub(crate) fn length(bytes: std::ffi::c_int) -> usize {
    usize::try_from(bytes).unwrap_or(0)
}

/// The handle that the C interface takes.
pub(crate) fn handle(connection: &Connection) -> *mut ffi::sqlite3 {
    // SAFETY: the handle is used only while the connection is borrowed, and never closed.
    unsafe { connection.handle() }
}
