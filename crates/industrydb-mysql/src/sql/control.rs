//! Statements that begin sessions and transactions.

use crate::sql::dialect::{quoted, string};

/// Settings of every session: texts in UTF-8, timestamps in UTC, each statement its own transaction,
/// whose end begins no other one, all rows of a result, and patience with a reader that stops for a
/// while.
pub(crate) const SETTINGS: &str = "SET NAMES utf8mb4, time_zone = '+00:00', autocommit = 1, completion_type = 0, \
     sql_select_limit = 18446744073709551615, net_write_timeout = 31536000";

/// Restores the settings by which values are read and written, and inserts are committed.
pub(crate) const RESTORED: &str = "SET NAMES utf8mb4, time_zone = '+00:00', completion_type = 0";

/// The mode of the session, which decides how quotes are read, the server, and its version: behind a
/// proxy, or a name with several addresses, another session may reach another one.
pub(crate) const MODE_AND_SERVER: &str =
    "SELECT @@sql_mode, CONCAT_WS(' ', @@hostname, @@port, @@server_id), @@version";

/// Keeps the statements of a read from writing, and lets each transaction of it see one state.
pub(crate) const READ_ONLY: &str =
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";

/// Begins a transaction, whose snapshot is taken by its first read.
pub(crate) const BEGIN: &str = "START TRANSACTION READ ONLY";

/// Begins a transaction and takes its snapshot.
pub(crate) const BEGIN_SNAPSHOT: &str = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";

pub(crate) const ROLLBACK: &str = "ROLLBACK";

/// The place in the binlog to which a session's snapshot belongs; of the servers that have it.
pub(crate) const POSITION: &str = "SHOW STATUS WHERE Variable_name IN ('binlog_snapshot_file', \
     'binlog_snapshot_position')";

/// Whether the server writes a binlog.
pub(crate) const LOG_BIN: &str = "SELECT @@log_bin";

/// Limits the waits for locks of tables, in seconds.
pub(crate) fn lock_wait(seconds: u32) -> String {
    format!("SET SESSION lock_wait_timeout = {seconds}")
}

/// Does nothing.
pub(crate) const NOTHING: &str = "DO 0";

/// Returns the statement that ends another session's statement.
pub(crate) fn kill(connection: u32) -> String {
    format!("KILL QUERY {connection}")
}

/// Keeps a table's definition from changing until the end of the transaction, and reads nothing.
pub(crate) fn hold(table: &str) -> String {
    format!("SELECT 1 FROM {table} LIMIT 0")
}

/// Keeps others from writing into tables.
pub(crate) fn lock(tables: &[String]) -> String {
    let locks: Vec<String> = tables.iter().map(|table| format!("{table} READ")).collect();
    format!("LOCK TABLES {}", locks.join(", "))
}

/// Returns the tables and views of these names in the databases of these names or the session's own,
/// with the engine of each.
pub(crate) fn tables(names: &[String]) -> String {
    let names = list(names);
    format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, ENGINE FROM information_schema.TABLES WHERE TABLE_NAME IN \
         ({names}) AND (TABLE_SCHEMA = DATABASE() OR TABLE_SCHEMA IN ({names}))"
    )
}

/// Returns the definitions of views, by their names.
pub(crate) fn views(names: &[String]) -> String {
    let names = list(names);
    format!(
        "SELECT VIEW_DEFINITION FROM information_schema.VIEWS WHERE TABLE_NAME IN ({names}) AND \
         (TABLE_SCHEMA = DATABASE() OR TABLE_SCHEMA IN ({names}))"
    )
}

/// Returns the stored functions of these names, and the packages that own functions, in the databases
/// of other names or the session's own.
pub(crate) fn functions(functions: &[String], owners: &[String], names: &[String]) -> String {
    let is_package = match list(owners) {
        owners if owners.is_empty() => String::new(),
        owners => format!(" OR ROUTINE_TYPE = 'PACKAGE' AND ROUTINE_NAME IN ({owners})"),
    };
    let (functions, names) = (list(functions), list(names));
    format!(
        "SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE (ROUTINE_TYPE = 'FUNCTION' AND ROUTINE_NAME IN \
         ({functions}){is_package}) AND (ROUTINE_SCHEMA = DATABASE() OR ROUTINE_SCHEMA IN ({names}))"
    )
}

/// Returns the columns of a table, also of a temporary one, with their collations.
pub(crate) fn collations(schema: &str, table: &str) -> String {
    format!("SHOW FULL COLUMNS FROM {}", qualified(schema, table))
}

/// Returns an index of only the beginning of a column, if tables of these names may have one. The
/// server compares its entries otherwise than texts of rows.
pub(crate) fn short_indexes(names: &[String]) -> String {
    let names = list(names);
    format!(
        "SELECT INDEX_NAME FROM information_schema.STATISTICS WHERE SUB_PART IS NOT NULL AND INDEX_TYPE = 'BTREE' \
         AND TABLE_NAME IN ({names}) AND (TABLE_SCHEMA = DATABASE() OR TABLE_SCHEMA IN ({names})) LIMIT 1"
    )
}

/// Returns the first column of a table's primary key.
pub(crate) fn primary_key(schema: &str, table: &str) -> String {
    format!(
        "SELECT COLUMN_NAME FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {} \
         AND INDEX_NAME = 'PRIMARY' AND SEQ_IN_INDEX = 1",
        string(schema),
        string(table)
    )
}

/// Returns the names of the indexes whose first column is this one, the primary key first.
pub(crate) fn indexes(schema: &str, table: &str, column: &str) -> String {
    format!(
        "SELECT INDEX_NAME FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {} AND \
         COLUMN_NAME = {} AND SEQ_IN_INDEX = 1 AND INDEX_TYPE = 'BTREE' AND SUB_PART IS NULL \
         ORDER BY INDEX_NAME = 'PRIMARY' DESC",
        string(schema),
        string(table),
        string(column)
    )
}

/// Returns a table's name with its database's.
pub(crate) fn qualified(schema: &str, table: &str) -> String {
    format!("{}.{}", quoted(schema), quoted(table))
}

/// Returns texts as literals, separated by commas.
pub(crate) fn list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| string(name)).collect();
    names.join(", ")
}
