//! Lookups in the schemas of a connection's files.

use industrydb_core::shape::mentions;
use rusqlite::{Connection, OptionalExtension, Row};

use super::transaction::databases;
use crate::sql::dialect::{LEXICON, quoted};
use crate::sql::table::Table;

/// Finds a table in the schema. Returns `None` if the table has no b-tree of its own, or if its
/// name without a database means a view of another database.
pub(crate) fn table(
    connection: &Connection,
    database: &str,
    name: &str,
) -> rusqlite::Result<Option<Table>> {
    match named(connection, database, name) {
        // A name that is not UTF-8 cannot be written in a statement.
        Err(rusqlite::Error::Utf8Error(..)) => Ok(None),
        found => found,
    }
}

fn named(connection: &Connection, database: &str, name: &str) -> rusqlite::Result<Option<Table>> {
    let sql = format!(
        "SELECT rootpage FROM {}.sqlite_schema WHERE type = 'table' AND name = ? COLLATE NOCASE",
        quoted(database)
    );
    let root: Option<u32> = connection
        .query_row(&sql, [name], |row| row.get(0))
        .optional()?;
    let Some(root) = root.filter(|root| *root > 0) else {
        return Ok(None);
    };
    if stands_for_a_view(connection, database, name)? {
        return Ok(None);
    }
    let mut columns = columns(connection, database, name)?;
    columns.sort_by_key(|column| column.in_key);
    let key: Vec<String> = if has_no_rowid(connection, database, name)? {
        let in_key = columns.into_iter().filter(|column| column.in_key > 0);
        in_key.map(|column| column.name).collect()
    } else {
        // A column may have taken one of the rowid's names.
        let is_free = |name: &&str| {
            let mut columns = columns.iter();
            !columns.any(|column| column.name.eq_ignore_ascii_case(name))
        };
        let names = ["rowid", "_rowid_", "oid"].into_iter();
        names.filter(is_free).take(1).map(Into::into).collect()
    };
    Ok((!key.is_empty()).then(|| Table {
        database: database.to_owned(),
        name: name.to_owned(),
        root,
        key,
    }))
}

/// Returns whether a database that SQLite searches before this one has a view of this name. The
/// unqualified name then means the view, whose columns may come from the table of that name.
/// <https://www.sqlite.org/lang_naming.html>
fn stands_for_a_view(
    connection: &Connection,
    database: &str,
    name: &str,
) -> rusqlite::Result<bool> {
    let mut searched = databases(connection)?;
    // SQLite searches the temporary database first, and lists it only once it holds something.
    searched.sort_by_key(|database| database != "temp");
    let before = searched.iter().take_while(|other| *other != database);
    for other in before {
        let sql = format!(
            "SELECT 1 FROM {}.sqlite_schema WHERE type = 'view' AND name = ? COLLATE NOCASE",
            quoted(other)
        );
        if connection.prepare(&sql)?.exists([name])? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A table's column, as the schema declares it.
pub(crate) struct Column {
    pub(crate) number: u32,
    pub(crate) name: String,
    pub(crate) declared: String,
    pub(crate) default: Option<String>,
    /// Position in the primary key, from 1; 0 if the column is not in the key.
    pub(crate) in_key: u32,
    /// 2 for a virtual generated column, 3 for a stored one.
    pub(crate) hidden: u32,
}

/// Returns a table's columns in order.
///
/// Uses the `PRAGMA` and not the table-valued function of the same name, since a table can have
/// that name. `PRAGMA table_list` would tell more, but compiles all views of the file.
pub(crate) fn columns(
    connection: &Connection,
    database: &str,
    table: &str,
) -> rusqlite::Result<Vec<Column>> {
    let sql = format!("PRAGMA {}.table_xinfo({})", quoted(database), quoted(table));
    let mut statement = connection.prepare(&sql)?;
    let column = |row: &Row| {
        Ok(Column {
            number: row.get("cid")?,
            name: row.get("name")?,
            declared: row.get("type")?,
            default: row.get("dflt_value")?,
            in_key: row.get("pk")?,
            hidden: row.get("hidden")?,
        })
    };
    statement.query_map([], column)?.collect()
}

/// Returns the name of the column that stands for a table's rowid, if there is one.
/// <https://sqlite.org/lang_createtable.html#rowids_and_the_integer_primary_key>
pub(crate) fn rowid(
    connection: &Connection,
    database: &str,
    table: &str,
) -> rusqlite::Result<Option<String>> {
    let mut columns = columns(connection, database, table)?;
    columns.retain(|column| column.in_key > 0);
    let is_rowid = columns.len() == 1
        && columns[0].declared.eq_ignore_ascii_case("INTEGER")
        && !has_no_rowid(connection, database, table)?;
    Ok(columns.pop().filter(|_| is_rowid).map(|column| column.name))
}

/// Returns whether a table is `WITHOUT ROWID`: SQLite lists such a table as an index of the same
/// name.
fn has_no_rowid(connection: &Connection, database: &str, table: &str) -> rusqlite::Result<bool> {
    let sql = format!("PRAGMA {}.index_info({})", quoted(database), quoted(table));
    connection.prepare(&sql)?.exists([])
}

/// Returns the column numbers of a `WITHOUT ROWID` table in the order of its records' fields.
pub(crate) fn order_of_fields(
    connection: &Connection,
    database: &str,
    table: &str,
) -> rusqlite::Result<Vec<u32>> {
    let sql = format!("PRAGMA {}.index_xinfo({})", quoted(database), quoted(table));
    let mut statement = connection.prepare(&sql)?;
    statement.query_map([], |row| row.get("cid"))?.collect()
}

/// Returns the other tables with rows that their foreign keys delete or change together with this
/// table's rows; none if foreign keys are off.
pub(crate) fn changed_with(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut changed = Vec::new();
    let is_on: bool = connection.query_row("PRAGMA foreign_keys", [], |row| row.get(0))?;
    if !is_on {
        return Ok(changed);
    }
    for database in databases(connection)? {
        for name in tables(connection, &database)? {
            if !name.eq_ignore_ascii_case(table)
                && refers_to(connection, &database, &name, table)?
                && has_rows(connection, &database, &name)?
            {
                changed.push(name);
            }
        }
    }
    Ok(changed)
}

fn tables(connection: &Connection, database: &str) -> rusqlite::Result<Vec<String>> {
    let sql = format!(
        "SELECT name FROM {}.sqlite_schema WHERE type = 'table'",
        quoted(database)
    );
    let mut statement = connection.prepare(&sql)?;
    statement.query_map([], |row| row.get(0))?.collect()
}

/// Returns whether a foreign key of `table` deletes or changes its rows when rows of `other` are
/// deleted.
fn refers_to(
    connection: &Connection,
    database: &str,
    table: &str,
    other: &str,
) -> rusqlite::Result<bool> {
    let (database, table) = (quoted(database), quoted(table));
    let mut statement =
        connection.prepare(&format!("PRAGMA {database}.foreign_key_list({table})"))?;
    let keys = statement.query_map([], |row| Ok((row.get("table")?, row.get("on_delete")?)))?;
    let keys: Vec<(String, String)> = keys.collect::<rusqlite::Result<_>>()?;
    let mut keys = keys.iter();
    Ok(keys.any(|(parent, on_delete)| {
        let stays = matches!(on_delete.as_str(), "NO ACTION" | "RESTRICT");
        !stays && parent.eq_ignore_ascii_case(other)
    }))
}

fn has_rows(connection: &Connection, database: &str, table: &str) -> rusqlite::Result<bool> {
    let sql = format!("SELECT 1 FROM {}.{}", quoted(database), quoted(table));
    connection.prepare(&sql)?.exists([])
}

/// Returns the names of all views, with the statements that created them.
pub(crate) fn views(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let mut views = Vec::new();
    for database in databases(connection)? {
        let sql = format!(
            "SELECT name, sql FROM {}.sqlite_schema WHERE type = 'view'",
            quoted(&database)
        );
        let mut found = connection.prepare(&sql)?;
        let found = found.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        views.extend(found.collect::<rusqlite::Result<Vec<_>>>()?);
    }
    Ok(views)
}

/// Returns the statements that created the views which the query reads, directly or through other
/// views.
pub(crate) fn views_of(connection: &Connection, query: &str) -> rusqlite::Result<Vec<String>> {
    let mut others = views(connection)?;
    let mut found = Vec::new();
    let mut texts = vec![query.to_owned()];
    while let Some(text) = texts.pop() {
        let is_read =
            |(name, _): &mut (String, String)| mentions(&text, LEXICON, std::slice::from_ref(name));
        for (_, sql) in others.extract_if(.., is_read) {
            found.push(sql.clone());
            texts.push(sql);
        }
    }
    Ok(found)
}
