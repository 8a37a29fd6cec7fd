//! Snapshots of a file, which connections can share.

use std::ffi::{CString, c_char, c_int};
use std::ptr;

use rusqlite::{Connection, ffi};

use super::handle;

/// SQLite's functions for snapshots; `None` if SQLite is built without `SQLITE_ENABLE_SNAPSHOT`.
/// They are named only where the build script found the flag: a module that names a function that
/// its SQLite lacks does not load.
pub(crate) const FUNCTIONS: Option<Functions> = {
    #[cfg(has_snapshots)]
    let functions = Some(Functions {
        get: ffi::sqlite3_snapshot_get,
        compare: ffi::sqlite3_snapshot_cmp,
        open: ffi::sqlite3_snapshot_open,
        free: ffi::sqlite3_snapshot_free,
    });
    #[cfg(not(has_snapshots))]
    let functions = None;
    functions
};

/// Number of bytes of a snapshot.
pub(crate) const BYTES: usize = 48;

type Pointer = *mut ffi::sqlite3_snapshot;

#[derive(Clone, Copy)]
pub(crate) struct Functions {
    get: unsafe extern "C" fn(*mut ffi::sqlite3, *const c_char, *mut Pointer) -> c_int,
    compare: unsafe extern "C" fn(Pointer, Pointer) -> c_int,
    open: unsafe extern "C" fn(*mut ffi::sqlite3, *const c_char, Pointer) -> c_int,
    free: unsafe extern "C" fn(Pointer),
}

/// A snapshot of a file in WAL mode, which remains as long as a transaction sees it.
/// <https://www.sqlite.org/c3ref/snapshot.html>
pub(crate) struct Snapshot {
    pointer: ptr::NonNull<ffi::sqlite3_snapshot>,
    functions: Functions,
}

impl Snapshot {
    /// Returns the snapshot that the connection's transaction sees; `None` if SQLite has no
    /// snapshot of the database, as outside of WAL mode.
    pub(crate) fn new(connection: &Connection, database: &str) -> Option<Self> {
        let functions = FUNCTIONS?;
        let name = CString::new(database).ok()?;
        let mut snapshot = ptr::null_mut();
        // SAFETY: the connection and the name live until the call returns. Without success, no
        // snapshot is made.
        let code = unsafe { (functions.get)(handle(connection), name.as_ptr(), &raw mut snapshot) };
        let pointer = ptr::NonNull::new(snapshot).filter(|_| code == ffi::SQLITE_OK)?;
        Some(Self { pointer, functions })
    }

    /// Creates the snapshot with these bytes, which [`bytes`](Self::bytes) of any process has
    /// returned; `None` if SQLite has no snapshots.
    pub(crate) fn from_bytes(hidden: [u8; BYTES]) -> Option<Self> {
        let functions = FUNCTIONS?;
        // SAFETY: SQLite's own memory, because `free` returns it to SQLite; it is large enough for
        // the structure, and aligned for any.
        let pointer = unsafe {
            let made = ffi::sqlite3_malloc64(size_of::<ffi::sqlite3_snapshot>() as u64);
            let made = ptr::NonNull::new(made.cast::<ffi::sqlite3_snapshot>())?;
            made.write(ffi::sqlite3_snapshot { hidden });
            made
        };
        Some(Self { pointer, functions })
    }

    /// Returns the bytes of the snapshot, by which other connections can open it.
    pub(crate) fn bytes(&self) -> [u8; BYTES] {
        // SAFETY: the snapshot lives, and nobody changes it.
        unsafe { self.pointer.as_ref().hidden }
    }

    /// Returns whether two snapshots of one file are the same state.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.compare(other) == 0
    }

    /// Returns whether this snapshot of a file is a later state than the other one.
    pub(crate) fn is_later(&self, other: &Self) -> bool {
        self.compare(other) > 0
    }

    fn compare(&self, other: &Self) -> c_int {
        // SAFETY: both snapshots live until the call returns, which changes neither.
        unsafe { (self.functions.compare)(self.pointer.as_ptr(), other.pointer.as_ptr()) }
    }

    /// Makes a transaction that has not read the file yet see this snapshot.
    pub(crate) fn open(&self, connection: &Connection, database: &str) -> rusqlite::Result<()> {
        let name = CString::new(database)?;
        // SAFETY: as in `new`; the snapshot is freed only when it is dropped.
        let code = unsafe {
            (self.functions.open)(handle(connection), name.as_ptr(), self.pointer.as_ptr())
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
        unsafe { (self.functions.free)(self.pointer.as_ptr()) }
    }
}
