//! Databases in memory, for tests and the fuzzer.

use rusqlite::{Connection, ffi};

use super::handle;

/// Opens a connection to a copy of the bytes in memory; `None` if that fails.
pub(crate) fn of_bytes(bytes: &[u8]) -> Option<Connection> {
    let connection = Connection::open_in_memory().ok()?;
    let flags = ffi::SQLITE_DESERIALIZE_FREEONCLOSE | ffi::SQLITE_DESERIALIZE_READONLY;
    // SAFETY: the copy is as large as the bytes, in memory of SQLite's own, which frees it with the
    // connection or where this fails.
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

/// Opens a new database with `count` reserved bytes at the end of each page.
#[cfg(test)]
pub(crate) fn with_reserved_bytes(count: std::ffi::c_int) -> Connection {
    let connection = Connection::open_in_memory().expect("memory");
    let mut reserved = count;
    // SAFETY: the number outlives the call, which reads and writes it.
    let code = unsafe {
        ffi::sqlite3_file_control(
            handle(&connection),
            c"main".as_ptr(),
            ffi::SQLITE_FCNTL_RESERVE_BYTES,
            (&raw mut reserved).cast(),
        )
    };
    assert_eq!(code, ffi::SQLITE_OK);
    connection
}
