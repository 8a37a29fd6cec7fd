//! Collations that only the program which has made a file knows.
//!
//! SQLite compiles no statement around a query whose columns have one. So each gets a stand-in, by
//! which nothing is compared: the first comparison ends the statement, since any answer could be a
//! wrong one.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;

use rusqlite::{Connection, ffi};

use super::handle;

/// Those that every SQLite has.
pub(crate) const BUILT_IN: [&str; 3] = ["BINARY", "NOCASE", "RTRIM"];

thread_local! {
    /// The collation by which a statement of this thread was to compare, and could not.
    static MISSED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Takes the collation that the last statement of this thread has missed.
pub(crate) fn take_missed() -> Option<String> {
    MISSED.with(RefCell::take)
}

/// Gives a connection a stand-in for each collation that it does not know.
pub(crate) fn stand_in(connection: &Connection) {
    // SAFETY: the callback uses nothing but what it is given. It can only fail where the connection
    // is not one.
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
    // SAFETY: SQLite gives a text that lives until the call ends.
    let name = unsafe { CStr::from_ptr(name) }.to_owned();
    let stand_in = Box::new(StandIn { connection, name });
    let name = stand_in.name.as_ptr();
    // SAFETY: SQLite copies the name, and frees the box by `forget` when the connection ends, or
    // anew is given one. Where it fails, the collation stays unknown, and the box is left.
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
    // SAFETY: it is the box of `needed`, whose connection is open as long as its statements run.
    unsafe {
        let StandIn { connection, name } = &*stand_in.cast::<StandIn>();
        MISSED.with(|missed| missed.replace(Some(name.to_string_lossy().into_owned())));
        ffi::sqlite3_interrupt(*connection);
    }
    0
}

unsafe extern "C" fn forget(stand_in: *mut c_void) {
    // SAFETY: it is the box of `needed`, which SQLite gives back once.
    drop(unsafe { Box::from_raw(stand_in.cast::<StandIn>()) });
}
