//! States of a file, which connections can share.

use std::ffi::CString;
use std::ptr;

use rusqlite::{Connection, ffi};

use super::handle;

/// The state of a file in WAL mode, which remains as long as a transaction sees it.
/// <https://www.sqlite.org/c3ref/snapshot.html>
pub(crate) struct Snapshot(ptr::NonNull<ffi::sqlite3_snapshot>);

impl Snapshot {
    /// The state that the connection's transaction sees, if it can be named.
    pub(crate) fn new(connection: &Connection, database: &str) -> Option<Self> {
        let name = CString::new(database).ok()?;
        let mut snapshot = ptr::null_mut();
        // SAFETY: the connection and the name live until the call returns. Without success, no
        // snapshot is made.
        let code = unsafe {
            ffi::sqlite3_snapshot_get(handle(connection), name.as_ptr(), &raw mut snapshot)
        };
        (code == ffi::SQLITE_OK)
            .then(|| ptr::NonNull::new(snapshot))
            .flatten()
            .map(Self)
    }

    /// Whether two states of one file are the same.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        // SAFETY: both live until the call returns, and it changes neither.
        unsafe { ffi::sqlite3_snapshot_cmp(self.0.as_ptr(), other.0.as_ptr()) == 0 }
    }

    /// Lets a transaction that has not read the file yet see the same state.
    pub(crate) fn open(&self, connection: &Connection, database: &str) -> rusqlite::Result<()> {
        let name = CString::new(database)?;
        // SAFETY: as in `new`; the snapshot is freed only when it is dropped.
        let code = unsafe {
            ffi::sqlite3_snapshot_open(handle(connection), name.as_ptr(), self.0.as_ptr())
        };
        if code == ffi::SQLITE_OK {
            Ok(())
        } else {
            Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
        }
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // SAFETY: it is not used again.
        unsafe { ffi::sqlite3_snapshot_free(self.0.as_ptr()) }
    }
}
