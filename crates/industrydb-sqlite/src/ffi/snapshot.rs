//! Snapshots of a file, which connections can share.

use std::ffi::CString;
use std::ptr;

use rusqlite::{Connection, ffi};

use super::handle;

/// A snapshot of a file in WAL mode, which remains as long as a transaction sees it.
/// <https://www.sqlite.org/c3ref/snapshot.html>
pub(crate) struct Snapshot(ptr::NonNull<ffi::sqlite3_snapshot>);

impl Snapshot {
    /// Returns the snapshot that the connection's transaction sees; `None` if SQLite has no
    /// snapshot of the database, as outside of WAL mode.
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

    /// Returns whether two snapshots of one file are the same state.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        // SAFETY: both snapshots live until the call returns, which changes neither.
        unsafe { ffi::sqlite3_snapshot_cmp(self.0.as_ptr(), other.0.as_ptr()) == 0 }
    }

    /// Makes a transaction that has not read the file yet see this snapshot.
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
        // SAFETY: the snapshot is not used again.
        unsafe { ffi::sqlite3_snapshot_free(self.0.as_ptr()) }
    }
}
