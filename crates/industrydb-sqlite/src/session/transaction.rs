//! The transaction in which a connection reads.

use rusqlite::Connection;

use crate::sql::dialect::quoted;

/// Begins a transaction that sees the files as they are now: `databases` are the names of the
/// connection's.
pub(super) fn begin(connection: &Connection, databases: &[String]) -> rusqlite::Result<()> {
    commit(connection)?;
    connection.execute_batch("BEGIN")?;
    pragma(connection, databases, "schema_version").map(drop)
}

/// The names of the connection's files: `main`, and those that were attached.
pub(crate) fn databases(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let numbered = numbered_databases(connection)?;
    Ok(numbered.into_iter().map(|(_, name)| name).collect())
}

/// The same, with the numbers that bytecode has for them.
pub(crate) fn numbered_databases(connection: &Connection) -> rusqlite::Result<Vec<(i64, String)>> {
    let mut statement = connection.prepare("PRAGMA database_list")?;
    let found = statement.query_map([], |row| Ok((row.get("seq")?, row.get("name")?)))?;
    found.collect()
}

/// A number of each of the files.
pub(super) fn pragma(
    connection: &Connection,
    databases: &[String],
    name: &str,
) -> rusqlite::Result<Vec<i64>> {
    let number = |database: &String| {
        let sql = format!("PRAGMA {}.{name}", quoted(database));
        connection.query_row(&sql, [], |row| row.get(0))
    };
    databases.iter().map(number).collect()
}

/// Makes the connection's own copy of the schemas that of the transaction that it is in.
///
/// SQLite keeps what it knows of the tables from one transaction to the next, compiles a statement
/// by that, and looks only at the statement's first step whether it is still so. Then the columns
/// that were told before are those of another table. A statement that has looked leaves the schema
/// as it is now.
pub(crate) fn refresh(connection: &Connection, databases: &[String]) -> rusqlite::Result<()> {
    databases.iter().try_for_each(|database| {
        let sql = format!("SELECT 1 FROM {}.sqlite_schema LIMIT 1", quoted(database));
        let mut statement = connection.prepare(&sql)?;
        statement.exists([]).map(drop)
    })
}

/// Ends the transaction, if there is one.
pub(super) fn commit(connection: &Connection) -> rusqlite::Result<()> {
    if connection.is_autocommit() {
        Ok(())
    } else {
        connection.execute_batch("COMMIT")
    }
}
