//! Statements that ask the server about its transactions, tables, and the columns of a query.

use industrydb_core::mistakes::MOST_NAMES;

use crate::sql::dialect::{quoted, string};
use crate::sql::keys::printed;

/// Query for the number of nested open transactions.
pub(crate) const DEPTH: &str = "SELECT @@TRANCOUNT AS depth";

/// Returns the query for the tables of the database: each one's schema and name.
pub(crate) fn table_names() -> String {
    format!(
        "SELECT TOP ({MOST_NAMES}) TABLE_SCHEMA AS s, TABLE_NAME AS o FROM INFORMATION_SCHEMA.TABLES"
    )
}

/// Returns the query for the columns of tables.
pub(crate) fn column_names(tables: &[String]) -> String {
    let tables: Vec<String> = tables.iter().map(|table| string(table)).collect();
    format!(
        "SELECT TOP ({MOST_NAMES}) COLUMN_NAME AS c FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_NAME IN ({})",
        tables.join(", ")
    )
}

/// Returns the query for a table's object id, which is NULL if there is no such table.
pub(crate) fn has_table(table: &str) -> String {
    format!("SELECT OBJECT_ID(N'{}') AS id", table.replace('\'', "''"))
}

/// Returns the query for the columns of a table, given the parts of its name, and the rule of each
/// column: `computed`, `rowversion`, `default` or an empty text. The defaults of a view are
/// unknown; its columns count as having one.
pub(crate) fn column_rules(parts: &[String]) -> String {
    let is_temporary = |table: &String| table.starts_with('#');
    let database = match parts {
        [database, _, _] => Some(database.as_str()),
        [.., table] if is_temporary(table) => Some("tempdb"),
        _ => None,
    };
    let name = parts.iter().map(|part| quoted(part)).collect::<Vec<_>>();
    let (name, sys) = match (database, parts) {
        (Some(database), [_, _, _]) => (name.join("."), format!("{}.sys", quoted(database))),
        (Some(database), _) => (
            format!("{database}..{}", name.last().map_or("", String::as_str)),
            format!("{database}.sys"),
        ),
        (None, _) => (name.join("."), "sys".to_owned()),
    };
    format!(
        "SELECT c.name AS name, CASE WHEN c.is_computed = 1 THEN N'computed' \
         WHEN c.system_type_id = {ROWVERSION} THEN N'rowversion' \
         WHEN c.default_object_id <> 0 OR RTRIM(o.type) <> 'U' THEN N'default' ELSE N'' END AS column_rule \
         FROM {sys}.columns AS c JOIN {sys}.objects AS o ON o.object_id = c.object_id \
         WHERE c.object_id = OBJECT_ID({})",
        string(&name)
    )
}

/// Type id of `rowversion` in the server's catalog.
const ROWVERSION: u8 = 189;

/// Returns the call that describes the columns of a query's result without running the query; with
/// `browse`, also the table column that each one comes from.
/// <https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-describe-first-result-set-transact-sql>
pub(crate) fn describe(query: &str, declarations: &str, browse: bool) -> String {
    format!(
        "EXEC sys.sp_describe_first_result_set {}, {}, {}",
        string(query),
        string(declarations),
        u8::from(browse)
    )
}

/// Table column that a result column comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) database: Option<String>,
    pub(crate) schema: String,
    pub(crate) table: String,
    pub(crate) column: String,
}

impl Source {
    /// Tests whether another column belongs to the same table.
    pub(crate) fn is_beside(&self, other: &Self) -> bool {
        (&self.database, &self.schema, &self.table)
            == (&other.database, &other.schema, &other.table)
    }

    /// Returns the table's full name as a string literal.
    fn table(&self) -> String {
        let names = self.database.iter().chain([&self.schema, &self.table]);
        string(&names.map(|name| quoted(name)).collect::<Vec<_>>().join("."))
    }

    /// Returns the schema of the catalog views in the table's database.
    fn sys(&self) -> String {
        self.database
            .as_ref()
            .map_or_else(|| "sys".to_owned(), |name| format!("{}.sys", quoted(name)))
    }
}

/// Returns the query for the first column of a table's primary key.
pub(crate) fn primary_key(source: &Source) -> String {
    let (sys, table) = (source.sys(), source.table());
    format!(
        "SELECT c.name FROM {sys}.indexes AS i \
         JOIN {sys}.index_columns AS ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id \
         JOIN {sys}.columns AS c ON c.object_id = ic.object_id AND c.column_id = ic.column_id \
         WHERE i.object_id = OBJECT_ID({table}) AND i.is_primary_key = 1 AND ic.key_ordinal = 1"
    )
}

/// Returns the query for the steps of a column's histogram: the highest key, the number of rows
/// with that key, and the number of rows between the previous step and that key. It takes the
/// newest histogram without a filter; a histogram is ignored if more than a tenth of the rows have
/// changed since.
/// <https://learn.microsoft.com/sql/relational-databases/system-dynamic-management-views/sys-dm-db-stats-histogram-transact-sql>
pub(crate) fn histogram(source: &Source, key_type: &str) -> String {
    let (sys, table, column) = (source.sys(), source.table(), string(&source.column));
    let key = printed(key_type, &format!("CONVERT({key_type}, h.range_high_key)"));
    format!(
        "SELECT {key} AS k, h.equal_rows, h.range_rows FROM (SELECT TOP (1) s.object_id, s.stats_id \
         FROM {sys}.stats AS s \
         JOIN {sys}.stats_columns AS sc ON sc.object_id = s.object_id AND sc.stats_id = s.stats_id \
         JOIN {sys}.columns AS c ON c.object_id = sc.object_id AND c.column_id = sc.column_id \
         CROSS APPLY {sys}.dm_db_stats_properties(s.object_id, s.stats_id) AS p \
         WHERE s.object_id = OBJECT_ID({table}) AND c.name = {column} AND sc.stats_column_id = 1 \
         AND s.has_filter = 0 AND p.modification_counter <= p.rows / 10 \
         ORDER BY p.last_updated DESC) AS s \
         CROSS APPLY {sys}.dm_db_stats_histogram(s.object_id, s.stats_id) AS h ORDER BY h.step_number"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_named_in_full() {
        let mut source = Source {
            database: Some("d".to_owned()),
            schema: "s".to_owned(),
            table: "t'".to_owned(),
            column: "c".to_owned(),
        };
        assert!(primary_key(&source).contains("FROM [d].sys.indexes"));
        assert!(primary_key(&source).contains("OBJECT_ID(N'[d].[s].[t'']')"));
        source.database = None;
        assert!(
            histogram(&source, "decimal(9,2)").contains("CONVERT(decimal(9,2), h.range_high_key)")
        );
        assert!(histogram(&source, "int").contains("FROM sys.stats"));
    }
}
