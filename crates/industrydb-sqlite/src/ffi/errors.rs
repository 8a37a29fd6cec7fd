//! Converts SQLite's errors to the core's.

use std::ffi::c_int;

use industrydb_core::Error;
use rusqlite::{Connection, ffi};

use super::handle;

/// Converts an error of `rusqlite`.
pub(crate) fn failed(error: &rusqlite::Error) -> Error {
    let code = error.sqlite_error().map(|failure| failure.extended_code);
    Error::Query {
        message: error.to_string(),
        code: code.map(code_name),
        partition: None,
        is_transient: code.is_some_and(passes),
    }
}

/// Returns the byte of the statement that the connection's last error is about, if SQLite knows it.
pub(crate) fn error_offset(connection: &Connection) -> Option<usize> {
    // SAFETY: the connection is open.
    let offset = unsafe { ffi::sqlite3_error_offset(handle(connection)) };
    usize::try_from(offset).ok()
}

/// Returns whether a statement that failed with this result code may succeed when repeated: another
/// connection was in the way, or has changed the tables.
pub(crate) fn passes(code: c_int) -> bool {
    const TRANSIENT: [c_int; 4] = [
        ffi::SQLITE_BUSY,
        ffi::SQLITE_LOCKED,
        ffi::SQLITE_PROTOCOL,
        ffi::SQLITE_SCHEMA,
    ];
    // The lowest byte of an extended code is its primary code.
    TRANSIENT.contains(&(code & 0xff)) || code == ffi::SQLITE_ERROR_SNAPSHOT
}

/// Returns the error for a comparison of strings by an unknown collation.
pub(super) fn no_collation(name: &str) -> Error {
    Error::Query {
        message: format!(
            "no such collation sequence: {name}: the program that made the file has it, and nobody else can compare texts \
             by it; COLLATE BINARY in the query compares them by their characters, partition_on takes another column, \
             and partitions without it the rowid"
        ),
        code: Some(code_name(ffi::SQLITE_ERROR_MISSING_COLLSEQ)),
        partition: None,
        is_transient: false,
    }
}

/// Returns the error for a violated constraint, which its message names:
/// `UNIQUE constraint failed: t.a, t.b`, or the name or the text of a CHECK.
pub(super) fn constraint(message: String, code: c_int) -> Error {
    let (kind, what) = message
        .split_once(" constraint failed: ")
        .unwrap_or((&message, ""));
    let is_columns = matches!(kind, "UNIQUE" | "NOT NULL");
    let columns = what
        .split(", ")
        .filter(|_| is_columns)
        .filter_map(|part| part.split_once('.'));
    let (tables, names): (Vec<&str>, Vec<&str>) = columns.unzip();
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    Error::Constraint {
        constraint: given(what).filter(|_| kind == "CHECK"),
        table: tables.first().and_then(|table| given(table)),
        column: given(&names.join(", ")),
        code: Some(code_name(code)),
        message,
    }
}

/// Returns the name of a result code, as <https://www.sqlite.org/rescode.html> lists them.
pub(crate) fn code_name(code: c_int) -> String {
    const CONSTRAINTS: [(c_int, &str); 11] = [
        (ffi::SQLITE_CONSTRAINT_CHECK, "CHECK"),
        (ffi::SQLITE_CONSTRAINT_COMMITHOOK, "COMMITHOOK"),
        (ffi::SQLITE_CONSTRAINT_FOREIGNKEY, "FOREIGNKEY"),
        (ffi::SQLITE_CONSTRAINT_FUNCTION, "FUNCTION"),
        (ffi::SQLITE_CONSTRAINT_NOTNULL, "NOTNULL"),
        (ffi::SQLITE_CONSTRAINT_PRIMARYKEY, "PRIMARYKEY"),
        (ffi::SQLITE_CONSTRAINT_TRIGGER, "TRIGGER"),
        (ffi::SQLITE_CONSTRAINT_UNIQUE, "UNIQUE"),
        (ffi::SQLITE_CONSTRAINT_VTAB, "VTAB"),
        (ffi::SQLITE_CONSTRAINT_ROWID, "ROWID"),
        (ffi::SQLITE_CONSTRAINT_DATATYPE, "DATATYPE"),
    ];
    if let Some((_, kind)) = CONSTRAINTS.iter().find(|(known, _)| *known == code) {
        return format!("SQLITE_CONSTRAINT_{kind}");
    }
    let primary = match code & 0xff {
        ffi::SQLITE_ERROR => "SQLITE_ERROR",
        ffi::SQLITE_BUSY => "SQLITE_BUSY",
        ffi::SQLITE_LOCKED => "SQLITE_LOCKED",
        ffi::SQLITE_NOMEM => "SQLITE_NOMEM",
        ffi::SQLITE_READONLY => "SQLITE_READONLY",
        ffi::SQLITE_INTERRUPT => "SQLITE_INTERRUPT",
        ffi::SQLITE_IOERR => "SQLITE_IOERR",
        ffi::SQLITE_CORRUPT => "SQLITE_CORRUPT",
        ffi::SQLITE_FULL => "SQLITE_FULL",
        ffi::SQLITE_CANTOPEN => "SQLITE_CANTOPEN",
        ffi::SQLITE_SCHEMA => "SQLITE_SCHEMA",
        ffi::SQLITE_TOOBIG => "SQLITE_TOOBIG",
        ffi::SQLITE_MISMATCH => "SQLITE_MISMATCH",
        ffi::SQLITE_AUTH => "SQLITE_AUTH",
        ffi::SQLITE_NOTADB => "SQLITE_NOTADB",
        ffi::SQLITE_CONSTRAINT => "SQLITE_CONSTRAINT",
        _ => return format!("SQLite result code {code}"),
    };
    if code & 0xff == code {
        primary.to_owned()
    } else {
        format!("{primary}, extended code {code}")
    }
}
