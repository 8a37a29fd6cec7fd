//! SQLite's C interface: the only module with `unsafe` code.

mod bind;
pub(crate) mod collation;
pub(crate) mod cursor;
pub(crate) mod declaration;
pub(crate) mod descriptors;
pub(crate) mod errors;
pub(crate) mod file;
#[cfg(any(fuzzing, test))]
pub(crate) mod memory;
pub(crate) mod noting;
pub(crate) mod row;
pub(crate) mod snapshot;
pub(crate) mod watch;

use std::ffi::{CStr, c_int};

use rusqlite::{Connection, ffi};

/// Returns whether SQLite is built with an option, such as `c"ENABLE_DBPAGE_VTAB"`.
pub(crate) fn is_built_with(option: &CStr) -> bool {
    // SAFETY: the function only compares the name with those of the options.
    unsafe { ffi::sqlite3_compileoption_used(option.as_ptr()) != 0 }
}

/// Converts a count or an index of SQLite's, which is never negative.
pub(crate) fn length(bytes: c_int) -> usize {
    usize::try_from(bytes).unwrap_or(0)
}

/// Returns the connection's handle for the C interface.
pub(crate) fn handle(connection: &Connection) -> *mut ffi::sqlite3 {
    // SAFETY: the handle is used only while the connection is borrowed, and never closed.
    unsafe { connection.handle() }
}
