//! Errors of a file that is damaged or cannot be read.

use industrydb_core::{Error, Stop};
use rusqlite::ffi;

use crate::ffi::errors::{code_name, failed};

/// Returns the error for a page of a damaged file.
#[cold]
pub(crate) fn corrupt(number: u32, what: &str) -> Error {
    Error::Query {
        message: format!(
            "database disk image is malformed: page {number} {what}; PRAGMA integrity_check shows what is damaged"
        ),
        code: Some(code_name(ffi::SQLITE_CORRUPT)),
        partition: None,
        is_transient: false,
    }
}

/// Returns that the work was stopped if it was, otherwise the error of the database.
#[cold]
pub(super) fn stopped_or_failed(stop: &Stop, error: &rusqlite::Error) -> Error {
    match stop.check() {
        Err(stopped) => stopped,
        Ok(()) => failed(error),
    }
}
