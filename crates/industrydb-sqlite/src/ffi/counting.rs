//! Finds the statements that count rows: SQLite counts those of a whole table by one instruction,
//! which calls no handler.

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use rusqlite::{Connection, ffi};

use super::handle;

/// A look at the functions of the statements that a connection compiles, until it is dropped.
pub(super) struct Counting<'c> {
    connection: &'c Connection,
    /// Whether one of the functions was `count`.
    found: Box<Cell<bool>>,
}

impl<'c> Counting<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        let found = Box::new(Cell::new(false));
        let context: *const Cell<bool> = &raw const *found;
        // SAFETY: the callback is removed in `drop`, before the box that it writes to is freed.
        unsafe {
            ffi::sqlite3_set_authorizer(handle(connection), Some(note), context.cast_mut().cast());
        }
        Self { connection, found }
    }

    pub(super) fn found(&self) -> bool {
        self.found.get()
    }
}

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        // SAFETY: the connection outlives this guard, which borrows it.
        unsafe {
            ffi::sqlite3_set_authorizer(handle(self.connection), None, ptr::null_mut());
        }
    }
}

/// Authorizer, which SQLite asks about each function of a statement, and which allows all.
unsafe extern "C" fn note(
    found: *mut c_void,
    action: c_int,
    _: *const c_char,
    name: *const c_char,
    _: *const c_char,
    _: *const c_char,
) -> c_int {
    if action == ffi::SQLITE_FUNCTION && !name.is_null() {
        // SAFETY: the name is a NUL-terminated string of SQLite's that lives until the call ends;
        // `Counting` keeps the cell alive as long as the callback is registered.
        let (name, found) = unsafe { (CStr::from_ptr(name), &*found.cast::<Cell<bool>>()) };
        found.set(found.get() || name.to_bytes().eq_ignore_ascii_case(b"count"));
    }
    ffi::SQLITE_OK
}
