//! Stand-ins for collations that only the program which made a file knows.
//!
//! SQLite does not compile a statement around a query whose columns have an unknown collation. So
//! each unknown collation gets a stand-in, which compares nothing: the first comparison interrupts
//! the statement, since any result could be wrong.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;

use rusqlite::{Connection, ffi};

use super::handle;

/// Collations that every SQLite has.
pub(crate) const BUILT_IN: [&str; 3] = ["BINARY", "NOCASE", "RTRIM"];

thread_local! {
    /// Unknown collation that a statement of this thread needed for a comparison.
    static MISSED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Takes the unknown collation that the last statement of this thread needed, if any.
pub(crate) fn take_missed() -> Option<String> {
    MISSED.with(RefCell::take)
}

/// Registers a callback that gives the connection a stand-in for each unknown collation.
pub(crate) fn stand_in(connection: &Connection) {
    // SAFETY: the callback uses only its arguments. The call fails only for an invalid connection.
    unsafe {
        ffi::sqlite3_collation_needed(handle(connection), ptr::null_mut(), Some(needed));
    }
}

struct StandIn {
    connection: *mut ffi::sqlite3,
    name: CString,
}

unsafe extern "C" fn needed(
    _context: *mut c_void,
    connection: *mut ffi::sqlite3,
    _encoding: c_int,
    name: *const c_char,
) {
    // SAFETY: the name is a NUL-terminated string of SQLite's that lives until the call ends.
    let name = unsafe { CStr::from_ptr(name) }.to_owned();
    let stand_in = Box::new(StandIn { connection, name });
    let name = stand_in.name.as_ptr();
    // SAFETY: SQLite copies the name, and frees the box by `forget` when the connection ends, or
    // when the collation is registered again. If the call fails, the collation stays unknown, and
    // the box leaks.
    unsafe {
        ffi::sqlite3_create_collation_v2(
            connection,
            name,
            ffi::SQLITE_UTF8,
            Box::into_raw(stand_in).cast(),
            Some(compare),
            Some(forget),
        );
    }
}

unsafe extern "C" fn compare(
    stand_in: *mut c_void,
    _: c_int,
    _: *const c_void,
    _: c_int,
    _: *const c_void,
) -> c_int {
    // SAFETY: `stand_in` is the box of `needed`, and its connection is open as long as its
    // statements run.
    unsafe {
        let StandIn { connection, name } = &*stand_in.cast::<StandIn>();
        MISSED.with(|missed| missed.replace(Some(name.to_string_lossy().into_owned())));
        ffi::sqlite3_interrupt(*connection);
    }
    0
}

unsafe extern "C" fn forget(stand_in: *mut c_void) {
    // SAFETY: `stand_in` is the box of `needed`, and SQLite gives it back once.
    drop(unsafe { Box::from_raw(stand_in.cast::<StandIn>()) });
}
