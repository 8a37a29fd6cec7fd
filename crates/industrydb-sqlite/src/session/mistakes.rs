//! Adds to the error of a refused statement where in the statement it is, and what may be meant.

use industrydb_core::foreign::{Catalog, Ways, syntax_hint};
use industrydb_core::mistakes::{
    self, LOOKUP_LIMIT, MOST_NAMES, Part, names, near_defined, near_name, offset_of,
};
use industrydb_core::{Error, Result, Stop};
use rusqlite::{Connection, ffi};

use crate::ffi::cursor::Cursor;
use crate::ffi::errors::{code_name, error_offset};
use crate::ffi::row::Cell;
use crate::sql::dialect::{LEXICON, quoted};

const WAYS: Ways = Ways {
    marks: "? (with params a list) or :name (with params a dict)",
    mark_begins: &["?", ":", "@", "$"],
    quoting: "names are quoted by double quotes here, such as \"a name\"",
    foreign_quotes: &[], // it has those of all others
    foreign_limit: Some(("TOP", "LIMIT 5 at the end of the query")),
    catalog: Some(Catalog {
        databases: "SELECT name, file FROM pragma_database_list",
        tables: "SELECT name FROM sqlite_schema WHERE type = 'table'",
        columns: "SELECT name, type FROM pragma_table_info(TABLE)",
    }),
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
    let ends_too_early = message.contains("incomplete input");
    let offset = error_offset(connection).or(ends_too_early.then_some(statement.len()));
    let unknown = unknown(message);
    let hint = match &unknown {
        Some((what, name)) => meant(connection, *what, name, statement, stop)
            .or_else(|| near_defined(name, statement, LEXICON)),
        None if message.contains("syntax error") || ends_too_early => {
            syntax_hint(statement, offset, LEXICON, &WAYS)
        }
        None => None,
    };
    // SQLite does not say where the name of a table is.
    let name = unknown.as_ref().map(|(_, name)| name.as_str());
    let offset = offset.or_else(|| offset_of(statement, name.or_else(|| other(message))?, LEXICON));
    mistakes::explained(error, statement, whole, offset, hint)
}

/// Adds to the error of a value that does not fit the rowid the column that stands for it: SQLite
/// does not name that. `target` is the table as a statement names it.
pub(crate) fn mismatched(connection: &Connection, error: Error, target: &str) -> Error {
    if error.code() != Some(&code_name(ffi::SQLITE_MISMATCH)) {
        return error;
    }
    let sql = format!("SELECT rowid FROM {target}");
    let found = Cursor::prepare_if_valid(connection, &sql, &Stop::default());
    let origin = found
        .ok()
        .flatten()
        .and_then(|cursor| cursor.origin(0))
        .filter(|(_, _, column)| column != "rowid");
    match origin {
        Some((_, table, column)) => error.hint(&format!(
            "{column}, the INTEGER PRIMARY KEY of {table}, takes integers only"
        )),
        None => error,
    }
}

/// Does the same as [`mismatched`] for a statement that writes into a table.
pub(crate) fn mismatched_by(connection: &Connection, error: Error, statement: &str) -> Error {
    let names = names(statement, LEXICON);
    let is_before = |name: &Part| {
        ["INTO", "UPDATE"]
            .map(str::to_owned)
            .contains(&name.text.to_uppercase())
    };
    // `INSERT INTO main.t` and `UPDATE OR IGNORE t` have other names in front of the table's.
    let behind = names.iter().skip_while(|name| !is_before(name)).skip(1);
    let known = tables(connection, &Stop::default()).unwrap_or_default();
    let is_table = |name: &&Part| {
        known
            .iter()
            .any(|table| table.eq_ignore_ascii_case(&name.text))
    };
    match behind.into_iter().find(is_table) {
        Some(table) => mismatched(connection, error, &quoted(&table.text)),
        None => error,
    }
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

/// Returns the name of something else than a table or a column that SQLite's message tells.
fn other(message: &str) -> Option<&str> {
    const MESSAGES: [&str; 4] = [
        "no such index: ",
        "no such window: ",
        "cannot join using column ",
        "no such savepoint: ",
    ];
    let rest = |before| message.split_once(before).map(|(_, rest)| rest);
    MESSAGES
        .iter()
        .find_map(rest)?
        .split([' ', '(', '['])
        .next()
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
