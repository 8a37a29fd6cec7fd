//! Queries for the names that are near one which the server does not know.

use industrydb_core::mistakes::MOST_NAMES;

/// SQLSTATE of a relation that does not exist.
pub(crate) const UNDEFINED_TABLE: &str = "42P01";

/// SQLSTATE of a column that does not exist.
pub(crate) const UNDEFINED_COLUMN: &str = "42703";

/// SQLSTATE of a function that does not exist.
pub(crate) const UNDEFINED_FUNCTION: &str = "42883";

/// SQLSTATE of another object that does not exist, such as a setting.
pub(crate) const UNDEFINED_OBJECT: &str = "42704";

/// SQLSTATE of a statement that cannot be parsed.
pub(crate) const SYNTAX_ERROR: &str = "42601";

/// Condition on schemas that users' tables are in.
const OF_USERS: &str = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'";

/// Returns the query for tables: each one's name, and how a statement names it.
pub(crate) fn tables() -> String {
    format!(
        "SELECT c.relname, CASE WHEN pg_catalog.pg_table_is_visible(c.oid) THEN '' \
         ELSE pg_catalog.quote_ident(n.nspname) || '.' END || pg_catalog.quote_ident(c.relname) \
         FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {OF_USERS} \
         ORDER BY pg_catalog.pg_table_is_visible(c.oid) DESC, c.oid LIMIT {MOST_NAMES}"
    )
}

/// Returns the query for the columns of tables that are named by `$1`, an array: each one's name,
/// and how a statement names it.
pub(crate) fn columns() -> String {
    format!(
        "SELECT a.attname, pg_catalog.quote_ident(a.attname) FROM pg_catalog.pg_attribute AS a \
         JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid \
         JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
         WHERE c.relname = ANY ($1::pg_catalog.text[]) AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 \
         AND NOT a.attisdropped AND {OF_USERS} LIMIT {MOST_NAMES}"
    )
}

/// Returns the query for the functions that need no schema: each one's name, twice.
pub(crate) fn functions() -> String {
    format!(
        "SELECT DISTINCT p.proname, pg_catalog.quote_ident(p.proname) FROM pg_catalog.pg_proc AS p \
         WHERE pg_catalog.pg_function_is_visible(p.oid) LIMIT {MOST_NAMES}"
    )
}

/// Writes texts as the literal of an array.
pub(crate) fn array(texts: &[String]) -> String {
    let quoted = |text: &String| {
        let text = text.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{text}\"")
    };
    format!(
        "{{{}}}",
        texts.iter().map(quoted).collect::<Vec<_>>().join(",")
    )
}
