//! Statements in which a common table expression replaces a table by some of its rows.

use industrydb_core::Value;
use industrydb_core::shape::without_schema;

use super::derived::{derived, keys};
use super::dialect::{LEXICON, literal, quoted};

/// Name of a table that no database has.
pub(crate) const NO_TABLE: &str = "industrydb: no such table";

/// A table whose rows can be looked up by a key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    pub(crate) database: String,
    pub(crate) name: String,
    /// Number of the first page of the table's b-tree.
    pub(crate) root: u32,
    /// Columns that identify a row: a name of the rowid, or the columns of the primary key.
    pub(crate) key: Vec<String>,
}

impl Table {
    /// Returns the query with this table's name without its schema, so that a common table
    /// expression can replace the table.
    pub(crate) fn freed(&self, query: &str) -> String {
        without_schema(query, LEXICON, &self.database, &self.name)
    }

    /// Returns the table's quoted name, qualified with its database.
    fn path(&self) -> String {
        format!("{}.{}", quoted(&self.database), quoted(&self.name))
    }

    /// Returns the quoted column by which the table's rows are split: the rowid, or the first
    /// column of the primary key.
    fn first_key(&self) -> String {
        self.key.first().map(|key| quoted(key)).unwrap_or_default()
    }
}

/// Returns a statement for the column by which the table's rows are split, named `key`, of all
/// rows.
pub(crate) fn keys_of_all(table: &Table) -> String {
    format!("SELECT {} AS key FROM {}", table.first_key(), table.path())
}

/// Returns the query restricted to a range of the table's rowids, or of its primary key's first
/// column. A common table expression replaces the table, so the query must name the table without
/// its schema.
pub(crate) fn rows(
    query: &str,
    table: &Table,
    lower: Option<&Value>,
    upper: Option<&Value>,
) -> String {
    let key = table.first_key();
    let from = lower.map(|value| format!("{key} >= {}", literal(value)));
    let to = upper.map(|value| format!("{key} < {}", literal(value)));
    let conditions: Vec<String> = from.into_iter().chain(to).collect();
    let rows = format!("WHERE {}", conditions.join(" AND "));
    in_place_of(table, &rows, &derived(query))
}

/// Returns the statement with a common table expression that replaces the table by some of its
/// rows.
fn in_place_of(table: &Table, rows: &str, statement: &str) -> String {
    let (name, path) = (quoted(&table.name), table.path());
    format!("WITH {name} AS (SELECT * FROM {path} {rows}) {statement}")
}

/// Returns a statement that fails to compile for a missing table if, and only if, a common table
/// expression replaces the table in the query.
pub(crate) fn replaced(query: &str, table: &Table) -> String {
    let (name, missing) = (quoted(&table.name), quoted(NO_TABLE));
    format!(
        "WITH {name} AS (SELECT * FROM {missing}) {}",
        derived(query)
    )
}

/// Returns the query with the table replaced by a materialized copy.
pub(crate) fn all_rows_first(query: &str, table: &Table) -> String {
    let (name, path) = (quoted(&table.name), table.path());
    let query = derived(query);
    format!("WITH {name} AS MATERIALIZED (SELECT * FROM {path}) {query}")
}

/// Returns a statement for the distinct keys and their row counts, NULL first, of the query on the
/// table's rows with these row keys.
pub(crate) fn keys_of_rows(
    query: &str,
    key: &str,
    table: &Table,
    row_keys: &[Vec<Value>],
) -> String {
    in_place_of(table, &among(table, row_keys), &keys(query, key, 1))
}

/// Returns a statement for the values, and their counts, of the column by which the table's rows
/// are split, in the rows with these keys.
pub(crate) fn row_keys(table: &Table, row_keys: &[Vec<Value>]) -> String {
    let (key, path, rows) = (table.first_key(), table.path(), among(table, row_keys));
    format!("SELECT {key}, count(*) FROM {path} {rows} GROUP BY 1 ORDER BY 1")
}

fn among(table: &Table, row_keys: &[Vec<Value>]) -> String {
    let list = |items: Vec<String>| items.join(", ");
    let names = list(table.key.iter().map(|name| quoted(name)).collect());
    let row = |key: &Vec<Value>| format!("({})", list(key.iter().map(literal).collect()));
    let rows = list(row_keys.iter().map(row).collect());
    format!("WHERE ({names}) IN (VALUES {rows})")
}
