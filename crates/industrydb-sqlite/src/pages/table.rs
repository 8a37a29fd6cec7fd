//! Finds the stored table that a plain program reads, and checks that the table's pages can be
//! decoded.

use std::collections::BTreeMap;

use industrydb_core::shape::last_words;
use industrydb_core::{Result, Stop, Value};
use rusqlite::{Connection, Row, types};

use super::cut::{Bound, Cut};
use super::damage::corrupt;
use super::pager::{self, Pager};
use super::program::{self, Place, Projection};
use super::refusal::{Refusal, VERSION};
use crate::ffi::cursor::Cursor;
use crate::ffi::errors::failed;
use crate::ffi::row::Cell;
use crate::session::catalog::{Column, columns, order_of_fields};
use crate::session::explain::instructions;
use crate::session::transaction::numbered_databases;
use crate::sql::dialect::{LEXICON, quoted};
use crate::types::Affinity;

/// A query whose pages can be decoded.
#[derive(Debug)]
pub(crate) struct Proven {
    pub(crate) database: String,
    pub(crate) table: String,
    pub(crate) root: u32,
    pub(crate) is_index: bool,
    pub(crate) sources: Vec<Source>,
    cut: Option<(Cut, types::Value)>,
}

/// Where a result column's values come from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Source {
    pub(crate) place: Place,
    /// Value of the column in records that are older than the column.
    default: types::Value,
}

/// Range of keys of a partition.
#[derive(Debug, Clone)]
pub(crate) struct Range {
    pub(crate) key: Key,
    pub(crate) lower: Option<Value>,
    pub(crate) upper: Option<Value>,
}

/// Key by which the rows are split into partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// The values of a result column.
    Column(usize),
    /// The rowid, or the first column of the primary key.
    Row,
}

impl Source {
    /// Returns the column's value in records that are older than the column.
    pub(crate) fn default(&self) -> Cell<'_> {
        cell(&self.default)
    }
}

fn cell(value: &types::Value) -> Cell<'_> {
    match value {
        types::Value::Null => Cell::Null,
        types::Value::Integer(value) => Cell::Integer(*value),
        types::Value::Real(value) => Cell::Real(*value),
        types::Value::Text(text) => Cell::Text(text.as_bytes()),
        types::Value::Blob(bytes) => Cell::Blob(bytes),
    }
}

impl Proven {
    /// Returns the range of keys, and the key's value in records that are older than the key's
    /// column.
    pub(crate) fn cut(&self) -> Option<(&Cut, Cell<'_>)> {
        self.cut.as_ref().map(|(cut, default)| (cut, cell(default)))
    }

    /// Returns whether all rows of the table are visited to find those of the range.
    pub(crate) fn passes_over_all(&self) -> bool {
        self.cut.as_ref().is_some_and(|(cut, _)| !cut.is_order)
    }

    /// Returns how many of a record's first fields must be parsed to get all columns.
    pub(crate) fn wanted(&self) -> usize {
        let fields = self.sources.iter().map(|source| source.place.fields());
        fields.max().unwrap_or_default()
    }

    pub(crate) fn pager<'c>(&self, connection: &'c Connection) -> Result<Pager<'c>> {
        let pager = Pager::new(connection, &self.database).map_err(|e| failed(&e))?;
        pager.ok_or_else(|| corrupt(1, "is not the first one of a database"))
    }
}

/// Makes sure that a query's rows, or those of a range of them, can be read from the pages of a
/// table, in the present transaction.
///
/// # Errors
///
/// When the database fails.
pub(crate) fn prove(
    connection: &Connection,
    query: &str,
    range: Option<&Range>,
    stop: &Stop,
) -> Result<std::result::Result<Proven, Refusal>> {
    let version = rusqlite::version_number();
    if version != VERSION {
        return Ok(Err(Refusal::Version(version)));
    }
    if !pager::exists() {
        return Ok(Err(Refusal::NoPages));
    }
    if connection.is_autocommit() {
        return Ok(Err(Refusal::NoTransaction));
    }
    let projection = match program::prove(&instructions(connection, query, stop)?) {
        Ok(projection) => projection,
        Err(why) => return Ok(Err(Refusal::Unproven(why))),
    };
    let origins = origins(connection, query, stop)?;
    let found = found(connection, &projection, &origins, range);
    match found {
        Ok(proven) => Ok(Ok(proven)),
        Err(Missing::Refused(refusal)) => Ok(Err(refusal)),
        Err(Missing::Failed(error)) => {
            stop.check()?;
            Err(failed(&error))
        }
    }
}

/// Why no table was found.
enum Missing {
    Refused(Refusal),
    Failed(rusqlite::Error),
}

impl From<rusqlite::Error> for Missing {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::Utf8Error(..) => Self::Refused(Refusal::Name),
            error => Self::Failed(error),
        }
    }
}

impl From<Refusal> for Missing {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Database, table and column of each result column, where SQLite tells them.
type Origins = Vec<Option<(String, String, String)>>;

fn origins(connection: &Connection, query: &str, stop: &Stop) -> Result<Origins> {
    let cursor = Cursor::prepare(connection, query, stop)?;
    Ok((0..cursor.column_count())
        .map(|column| cursor.origin(column))
        .collect())
}

/// A column as it is stored.
struct Stored {
    name: String,
    affinity: Affinity,
    default: Option<String>,
}

fn found(
    connection: &Connection,
    projection: &Projection,
    origins: &Origins,
    range: Option<&Range>,
) -> std::result::Result<Proven, Missing> {
    const TEMPORARY: i64 = 1;
    if projection.database == TEMPORARY {
        return Err(Refusal::Temporary.into());
    }
    let mut databases = numbered_databases(connection)?.into_iter();
    let database = databases.find(|(number, _)| *number == projection.database);
    let (_, database) = database.ok_or(Refusal::NoTable)?;
    let sql = format!("PRAGMA {}.schema_version", quoted(&database));
    let cookie: i64 = connection.query_row(&sql, [], |row| row.get(0))?;
    if cookie != projection.cookie {
        return Err(Refusal::Changed.into());
    }
    let (table, is_strict) = table_of(connection, &database, projection)?;
    let encoding: String = connection.query_row("PRAGMA encoding", [], |row| row.get(0))?;
    if encoding != "UTF-8" {
        return Err(Refusal::Encoding.into());
    }
    let stored = stored(
        connection,
        &database,
        &table,
        projection.is_index,
        is_strict,
    )?;
    let mut sources = Vec::new();
    if origins.len() != projection.columns.len() {
        return Err(Refusal::Columns.into());
    }
    for (column, origin) in projection.columns.iter().zip(origins) {
        let field = match column.place {
            Place::Rowid => None,
            Place::Field { index, .. } => Some(stored.get(index).ok_or(Refusal::Columns)?),
        };
        if let Some((of_database, of_table, of_column)) = origin {
            let is_column = field.is_none_or(|field| field.name == *of_column);
            if *of_database != database || *of_table != table || !is_column {
                return Err(Refusal::Columns.into());
            }
        }
        let default = match field.filter(|_| column.has_default) {
            Some(field) => default_of(field, is_strict)?,
            None => types::Value::Null,
        };
        sources.push(Source {
            place: column.place,
            default,
        });
    }
    let cut = match range {
        None => None,
        Some(range) => {
            let (place, default) = key_of(range, projection, &stored, origins, &sources)?;
            let affinity = match place {
                Place::Rowid => Affinity::Numeric,
                Place::Field { index, .. } => {
                    let column = stored.get(index).ok_or(Refusal::Columns)?;
                    let names = (database.as_str(), table.as_str(), column.name.as_str());
                    let (_, collation, ..) =
                        connection.column_metadata(Some(names.0), names.1, names.2)?;
                    if collation
                        .is_some_and(|name| !name.to_bytes().eq_ignore_ascii_case(b"BINARY"))
                    {
                        return Err(Refusal::Key("has a collation of its own").into());
                    }
                    column.affinity
                }
            };
            Some((cut_of(range, place, affinity, projection)?, default))
        }
    };
    Ok(Proven {
        database,
        table,
        root: projection.root,
        is_index: projection.is_index,
        sources,
        cut,
    })
}

/// Returns the one table that the b-tree belongs to, and whether the table is `STRICT`. A table's
/// b-tree without rowids is that of a `WITHOUT ROWID` table.
fn table_of(
    connection: &Connection,
    database: &str,
    projection: &Projection,
) -> std::result::Result<(String, bool), Missing> {
    let sql = format!(
        "SELECT type, name, sql FROM {}.sqlite_schema WHERE rootpage = ?",
        quoted(database)
    );
    let mut statement = connection.prepare(&sql)?;
    let entry = |row: &Row| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let mut entries: Vec<(String, String, String)> = statement
        .query_map([projection.root], entry)?
        .collect::<rusqlite::Result<_>>()?;
    match (entries.pop(), entries.is_empty()) {
        (Some((kind, table, sql)), true) if kind == "table" => {
            let options = last_words(&sql, LEXICON);
            let mut options = options.iter();
            let is_strict = options.any(|option| option.eq_ignore_ascii_case("STRICT"));
            Ok((table, is_strict))
        }
        _ => Err(Refusal::NoTable.into()),
    }
}

/// Returns the columns in the order of a record's fields.
fn stored(
    connection: &Connection,
    database: &str,
    table: &str,
    has_no_rowid: bool,
    is_strict: bool,
) -> std::result::Result<Vec<Stored>, Missing> {
    /// A generated column that is not stored.
    const VIRTUAL: u32 = 2;
    let columns = columns(connection, database, table)?;
    let stored = |column: Column| Stored {
        affinity: match column.declared.as_str() {
            any if is_strict && any.eq_ignore_ascii_case("ANY") => Affinity::None,
            declared => Affinity::new(declared),
        },
        name: column.name,
        default: column.default,
    };
    if !has_no_rowid {
        let columns = columns
            .into_iter()
            .filter(|column| column.hidden != VIRTUAL);
        return Ok(columns.map(stored).collect());
    }
    if columns.iter().any(|column| column.hidden != 0) {
        return Err(Refusal::Columns.into());
    }
    // The primary key's columns come first.
    let order = order_of_fields(connection, database, table)?;
    let mut columns: BTreeMap<u32, Column> = columns
        .into_iter()
        .map(|column| (column.number, column))
        .collect();
    let fields: Option<Vec<Stored>> = order
        .iter()
        .map(|number| columns.remove(number).map(stored))
        .collect();
    Ok(fields
        .filter(|_| columns.is_empty())
        .ok_or(Refusal::Columns)?)
}

/// Returns a column's value in records that are older than the column. SQLite computes it: such a
/// column is added to a table in memory that has a record already.
fn default_of(column: &Stored, is_strict: bool) -> std::result::Result<types::Value, Missing> {
    let unknown = || Refusal::Default(column.name.clone());
    let default = column.default.as_ref().ok_or_else(unknown)?;
    let declared = match (column.affinity, is_strict) {
        (Affinity::None, true) => "ANY",
        (Affinity::None, false) => "BLOB",
        (Affinity::Text, _) => "TEXT",
        (Affinity::Numeric, _) => "INTEGER",
        (Affinity::Real, _) => "REAL",
    };
    let evaluated = || {
        let memory = Connection::open_in_memory()?;
        let strict = if is_strict { "STRICT" } else { "" };
        memory.execute(&format!("CREATE TABLE t (x INTEGER) {strict}"), [])?;
        memory.execute("INSERT INTO t VALUES (1)", [])?;
        memory.execute(
            &format!("ALTER TABLE t ADD COLUMN d {declared} DEFAULT ({default})"),
            [],
        )?;
        memory.query_row("SELECT d FROM t", [], |row| row.get(0))
    };
    evaluated().map_err(|_: rusqlite::Error| unknown().into())
}

/// Returns the place of a range's key, and the key's value in records that are older than its
/// column.
fn key_of(
    range: &Range,
    projection: &Projection,
    stored: &[Stored],
    origins: &Origins,
    sources: &[Source],
) -> std::result::Result<(Place, types::Value), Missing> {
    match range.key {
        Key::Row if projection.is_index => {
            let is_real = stored
                .first()
                .is_some_and(|column| column.affinity == Affinity::Real);
            Ok((Place::Field { index: 0, is_real }, types::Value::Null))
        }
        Key::Row => Ok((Place::Rowid, types::Value::Null)),
        Key::Column(index) => {
            if origins.get(index).is_none_or(Option::is_none) {
                return Err(Refusal::Key("is an expression").into());
            }
            let source = sources.get(index).ok_or(Refusal::Columns)?;
            Ok((source.place, source.default.clone()))
        }
    }
}

fn cut_of(
    range: &Range,
    place: Place,
    affinity: Affinity,
    projection: &Projection,
) -> std::result::Result<Cut, Missing> {
    let bound = |value: &Option<Value>| match value {
        None => Ok(None),
        Some(value) => {
            let bound = Bound::new(value, affinity);
            bound
                .map(Some)
                .ok_or(Refusal::Key("is compared with a value of another kind"))
        }
    };
    let is_order = match place {
        Place::Rowid => true,
        Place::Field { index, .. } => index == 0 && projection.is_index && projection.ascends,
    };
    Ok(Cut {
        place,
        lower: bound(&range.lower)?,
        upper: bound(&range.upper)?,
        has_nulls: range.lower.is_none() && range.key != Key::Row,
        is_order,
    })
}
