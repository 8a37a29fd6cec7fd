//! The values of a statement's current row.

use std::ffi::{CStr, c_char, c_int};
use std::marker::PhantomData;
use std::slice;

use rusqlite::ffi;

/// A value with its storage class, as <https://www.sqlite.org/datatype3.html> calls it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(&'a [u8]),
    Blob(&'a [u8]),
}

/// The current row of a cursor, valid until its next step.
pub(crate) struct Row<'a> {
    pub(super) statement: *mut ffi::sqlite3_stmt,
    pub(super) first: *mut ffi::sqlite3_value,
    /// Bytes from one value to the next; 0 if unknown.
    pub(super) distance: usize,
    pub(super) borrowed: PhantomData<&'a ()>,
}

impl Row<'_> {
    /// Returns the value of a column, whose index must be one of the statement's.
    #[expect(clippy::inline_always, reason = "see `ColumnDecoder::push`")]
    #[inline(always)]
    pub(crate) fn value(&self, column: c_int) -> Cell<'_> {
        // SAFETY: `Cursor::row` has made sure that the values of all columns stand at this
        // distance. Values are not protected by a mutex, and need none: connection and statement
        // belong to this thread alone. A text or blob stays where it is until the next step, which
        // takes the cursor mutably.
        unsafe {
            let value = if self.distance == 0 {
                ffi::sqlite3_column_value(self.statement, column)
            } else {
                self.first.byte_add(self.distance * super::length(column))
            };
            match ffi::sqlite3_value_type(value) {
                ffi::SQLITE_INTEGER => Cell::Integer(ffi::sqlite3_value_int64(value)),
                ffi::SQLITE_FLOAT => Cell::Real(ffi::sqlite3_value_double(value)),
                ffi::SQLITE_TEXT => {
                    let start = ffi::sqlite3_value_text(value);
                    Cell::Text(bytes(start.cast(), ffi::sqlite3_value_bytes(value)))
                }
                ffi::SQLITE_BLOB => {
                    let start = ffi::sqlite3_value_blob(value);
                    Cell::Blob(bytes(start.cast(), ffi::sqlite3_value_bytes(value)))
                }
                _ => Cell::Null,
            }
        }
    }
}

/// Returns the bytes of a text or blob, whose address may be null if it is empty.
///
/// # Safety
///
/// `start` must be null or point to `length` bytes that outlive `'a`.
#[inline]
unsafe fn bytes<'a>(start: *const u8, length: c_int) -> &'a [u8] {
    if start.is_null() {
        return &[];
    }
    // SAFETY: by this function's own contract.
    unsafe { slice::from_raw_parts(start, super::length(length)) }
}

/// # Safety
///
/// `start` must be null or point to a text that ends with a NUL.
pub(super) unsafe fn text(start: *const c_char) -> Option<String> {
    if start.is_null() {
        return None;
    }
    // SAFETY: by this function's own contract.
    let text = unsafe { CStr::from_ptr(start) };
    Some(text.to_string_lossy().into_owned())
}
