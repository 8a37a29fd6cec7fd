//! Adds to the error of a refused statement where in the statement it is, and what may be meant.

use industrydb_core::mistakes::{
    self, LOOKUP_LIMIT, MOST_NAMES, Marks, Part, names, near_defined, near_name, offset_of,
    syntax_hint,
};
use industrydb_core::{Error, Result, Stop};
use rusqlite::Connection;

use crate::ffi::cursor::Cursor;
use crate::ffi::errors::error_offset;
use crate::ffi::row::Cell;
use crate::sql::dialect::{LEXICON, quoted};

const MARKS: Marks = Marks {
    own: "? (with params a list) or :name (with params a dict)",
    begin: &["?", ":", "@", "$"],
};

/// Adds the line of a statement that could not be compiled, and a name that may be meant. `whole`
/// is the caller's text, which contains the statement. Must be called before anything else is done
/// on the connection.
pub(crate) fn explained(
    connection: &Connection,
    error: Error,
    statement: &str,
    whole: &str,
    stop: &Stop,
) -> Error {
    let Error::Query { message, .. } = &error else {
        return error;
    };
    let offset = error_offset(connection);
    let unknown = unknown(message);
    let hint = match &unknown {
        Some((what, name)) => meant(connection, *what, name, statement, stop)
            .or_else(|| near_defined(name, statement, LEXICON)),
        None if message.contains("syntax error") || message.contains("incomplete input") => {
            syntax_hint(statement, LEXICON, MARKS)
        }
        None => None,
    };
    // SQLite does not say where the name of a table is.
    let name = unknown.as_ref().map(|(_, name)| name);
    let offset = offset.or_else(|| offset_of(statement, name?, LEXICON));
    mistakes::explained(error, statement, whole, offset, hint)
}

/// What an unknown name is to name.
#[derive(Clone, Copy, PartialEq)]
enum What {
    Table,
    Column,
}

/// Returns the unknown name that SQLite's message tells.
fn unknown(message: &str) -> Option<(What, String)> {
    const MESSAGES: [(&str, What); 3] = [
        ("no such table: ", What::Table),
        ("no such column: ", What::Column),
        (" has no column named ", What::Column),
    ];
    MESSAGES.iter().find_map(|(before, what)| {
        let (_, name) = message.split_once(before)?;
        // A quoted name may be followed by advice.
        let name = name.split(" - ").next()?.trim_matches('"');
        // The database, or the table, may stand in front.
        let name = name.rsplit('.').next()?;
        Some((*what, name.to_owned()))
    })
}

/// Returns a name of the file's schema that may be meant by an unknown one.
fn meant(
    connection: &Connection,
    what: What,
    name: &str,
    statement: &str,
    stop: &Stop,
) -> Option<String> {
    let known = stop.within(LOOKUP_LIMIT, |stop| {
        let tables = tables(connection, stop)?;
        match what {
            What::Table => Ok(tables),
            What::Column => columns(connection, &tables, &names(statement, LEXICON), stop),
        }
    });
    let known: Vec<Vec<String>> = known?.ok()?.into_iter().map(|name| vec![name]).collect();
    near_name(name, &known, quoted)
}

/// Returns the names of tables and views. The schema is in memory, so that no lock is waited for.
fn tables(connection: &Connection, stop: &Stop) -> Result<Vec<String>> {
    let mut cursor = Cursor::prepare(connection, "PRAGMA table_list", stop)?;
    let mut found = Vec::new();
    while cursor.step()? && found.len() < MOST_NAMES {
        if let Cell::Text(name) = cursor.row().value(1) {
            found.push(String::from_utf8_lossy(name).into_owned());
        }
    }
    Ok(found)
}

/// Returns the names of the columns of those tables that a statement names.
fn columns(
    connection: &Connection,
    tables: &[String],
    names: &[Part],
    stop: &Stop,
) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let is_named = |table: &&String| {
        names
            .iter()
            .any(|name| name.text.eq_ignore_ascii_case(table))
    };
    for table in tables.iter().filter(is_named) {
        stop.check()?;
        let sql = format!("SELECT * FROM {}", quoted(table));
        if let Some(cursor) = Cursor::prepare_if_valid(connection, &sql, stop)? {
            found.extend((0..cursor.column_count()).map(|index| cursor.column_name(index)));
        }
    }
    Ok(found)
}
