//! Statements that begin sessions and transactions.

/// Settings of every session: texts in UTF-8, timestamps in UTC, each statement its own transaction,
/// all rows of a result, and patience with a reader that stops for a while.
pub(crate) const SETTINGS: &str = "SET NAMES utf8mb4, time_zone = '+00:00', autocommit = 1, \
     sql_select_limit = 18446744073709551615, net_write_timeout = 31536000";

/// The mode of the session, which decides how quotes are read.
pub(crate) const SQL_MODE: &str = "SELECT @@sql_mode";

/// Keeps the statements of a read from writing.
pub(crate) const READ_ONLY: &str = "SET SESSION TRANSACTION READ ONLY";

/// Returns the statement that ends another session's statement.
pub(crate) fn kill(connection: u32) -> String {
    format!("KILL QUERY {connection}")
}
