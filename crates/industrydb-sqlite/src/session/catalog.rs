//! What the files' schemas tell.

use industrydb_core::shape::mentions;
use rusqlite::{Connection, OptionalExtension};

use super::transaction::databases;
use crate::sql::dialect::{LEXICON, quoted};
use crate::sql::table::Table;

/// Finds a table in the schema, if its rows are stored in a tree of their own.
pub(crate) fn table(
    connection: &Connection,
    database: &str,
    name: &str,
) -> rusqlite::Result<Option<Table>> {
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
    let sql = "SELECT wr FROM pragma_table_list WHERE schema = ? AND name = ? COLLATE NOCASE";
    let has_no_rowid: bool = connection
        .query_row(sql, (database, name), |row| row.get(0))
        .optional()?
        .unwrap_or_default();
    let sql = "SELECT name, pk FROM pragma_table_xinfo(?, ?) ORDER BY pk";
    let mut statement = connection.prepare(sql)?;
    let columns: Vec<(String, i64)> = statement
        .query_map((name, database), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let key: Vec<String> = if has_no_rowid {
        let in_key = columns.into_iter().filter(|(_, place)| *place > 0);
        in_key.map(|(name, _)| name).collect()
    } else {
        // A column may have taken one of the rowid's names.
        let is_free = |name: &&str| !columns.iter().any(|(c, _)| c.eq_ignore_ascii_case(name));
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

/// The names of all views, and the statements that have made them.
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

/// The statements that have made the views which a query reads, and those which these read.
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
