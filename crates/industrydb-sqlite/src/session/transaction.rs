//! The transaction in which a connection reads.

use rusqlite::Connection;

use crate::sql::dialect::quoted;

/// Begins a transaction that sees the current state of the files; `databases` are the names of the
/// connection's databases.
pub(super) fn begin(connection: &Connection, databases: &[String]) -> rusqlite::Result<()> {
    commit(connection)?;
    connection.execute_batch("BEGIN")?;
    pragma(connection, databases, "schema_version").map(drop)
}

/// Returns the names of the connection's databases: `main`, and those that were attached.
pub(crate) fn databases(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let numbered = numbered_databases(connection)?;
    Ok(numbered.into_iter().map(|(_, name)| name).collect())
}

/// Returns the names of the connection's databases, with their numbers in bytecode.
pub(crate) fn numbered_databases(connection: &Connection) -> rusqlite::Result<Vec<(i64, String)>> {
    let mut statement = connection.prepare("PRAGMA database_list")?;
    let found = statement.query_map([], |row| Ok((row.get("seq")?, row.get("name")?)))?;
    found.collect()
}

/// Returns the integer value of a PRAGMA for each of the databases.
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

/// Updates the connection's cached schemas to those of its current transaction.
///
/// SQLite keeps a cached schema from one transaction to the next, compiles statements with it, and
/// checks only at a statement's first step whether it is still current. The columns that were
/// described before may then be those of another table. Running a statement here makes that check
/// and updates the cached schema.
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
