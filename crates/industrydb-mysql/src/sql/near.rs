//! Queries for the names that are near one which the server does not know.

use industrydb_core::mistakes::MOST_NAMES;

use crate::sql::control::list;

/// Returns the query for tables: each one's database, or NULL for the session's own, and name.
pub(crate) fn tables() -> String {
    format!(
        "SELECT NULLIF(TABLE_SCHEMA, DATABASE()), TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA NOT IN \
         ('mysql', 'information_schema', 'performance_schema', 'sys') ORDER BY TABLE_SCHEMA <=> DATABASE() DESC \
         LIMIT {MOST_NAMES}"
    )
}

/// Returns the query for the columns of the tables of these names in the databases of these names or
/// the session's own.
pub(crate) fn columns(names: &[String]) -> String {
    let names = list(names);
    format!(
        "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_NAME IN ({names}) AND \
         (TABLE_SCHEMA = DATABASE() OR TABLE_SCHEMA IN ({names})) LIMIT {MOST_NAMES}"
    )
}

/// Returns the query for functions. Only MariaDB lists the built-in ones.
pub(crate) fn functions() -> String {
    format!(
        "SELECT `FUNCTION` FROM information_schema.SQL_FUNCTIONS UNION SELECT ROUTINE_NAME FROM \
         information_schema.ROUTINES WHERE ROUTINE_TYPE = 'FUNCTION' AND ROUTINE_SCHEMA = DATABASE() LIMIT {MOST_NAMES}"
    )
}
