//! Finds the stored table that a plain program reads, and makes sure that its pages are what they
//! are taken for.

use std::fmt;

use industrydb_core::{Result, Stop, Value};
use rusqlite::{Connection, OptionalExtension, types};

use super::cut::{Bound, Cut};
use super::pager::Pager;
use super::program::{self, Place, Projection, Unproven};
use super::tree::corrupt;
use crate::ffi::cursor::Cursor;
use crate::ffi::errors::failed;
use crate::ffi::row::Cell;
use crate::session::explain::instructions;
use crate::sql::dialect::quoted;
use crate::types::Affinity;

/// The version of SQLite whose bytecode the proof was written for. Of another one, nothing is
/// known: all is stepped.
pub(crate) const VERSION: i32 = 3_054_001;

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
    /// What records that are older than the column have there.
    default: types::Value,
}

/// A partition of the query's rows.
#[derive(Debug, Clone)]
pub(crate) struct Range {
    pub(crate) key: Key,
    pub(crate) lower: Option<Value>,
    pub(crate) upper: Option<Value>,
}

/// By what the rows are parted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// The values of a result column.
    Column(usize),
    /// The rowid, or the first column of the primary key.
    Row,
}

/// Why a query is stepped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    Version(i32),
    Unproven(Unproven),
    /// Its pages might be of different moments.
    NoTransaction,
    Temporary,
    /// The program was compiled for another schema.
    Changed,
    /// A covering index looks the same.
    NoTable,
    Encoding,
    /// The columns are not those of the table.
    Columns,
    Default(String),
    /// SQLite would compare the key by other rules than a plain one.
    Key(&'static str),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(found) => write!(f, "SQLite's version {found} is not {VERSION}"),
            Self::Unproven(why) => why.fmt(f),
            Self::NoTransaction => f.write_str("there is no transaction around it"),
            Self::Temporary => f.write_str("it reads a temporary table"),
            Self::Changed => f.write_str("the schema has changed since it was compiled"),
            Self::NoTable => f.write_str("it reads an index, or a table of SQLite's own"),
            Self::Encoding => f.write_str("the file's texts are UTF-16"),
            Self::Columns => f.write_str("its columns are not stored ones of one table"),
            Self::Default(name) => write!(f, "the default value of {name:?} is not known"),
            Self::Key(why) => write!(f, "the key of its partition {why}"),
        }
    }
}

impl Source {
    /// What a record has there that is older than the column.
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
    /// The range of keys, and what records have there that are older than the key.
    pub(crate) fn cut(&self) -> Option<(&Cut, Cell<'_>)> {
        self.cut.as_ref().map(|(cut, default)| (cut, cell(default)))
    }

    /// Whether all rows of the table are looked at to find those of the cut.
    pub(crate) fn passes_over_all(&self) -> bool {
        self.cut.as_ref().is_some_and(|(cut, _)| !cut.is_order)
    }

    /// How many of a record's first fields are looked at.
    pub(crate) fn wanted(&self) -> usize {
        let cut = self.cut.iter().map(|(cut, _)| cut.place);
        let places = self.sources.iter().map(|source| source.place).chain(cut);
        let behind = places.map(|place| match place {
            Place::Rowid => 0,
            Place::Field { index, .. } => index + 1,
        });
        behind.max().unwrap_or_default()
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
        Self::Failed(error)
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
    let sql = "SELECT name FROM pragma_database_list WHERE seq = ?";
    let database: String = connection.query_row(sql, [projection.database], |row| row.get(0))?;
    let sql = format!("PRAGMA {}.schema_version", quoted(&database));
    let cookie: i64 = connection.query_row(&sql, [], |row| row.get(0))?;
    if cookie != projection.cookie {
        return Err(Refusal::Changed.into());
    }
    let (table, has_no_rowid, is_strict) = table_of(connection, &database, projection)?;
    if has_no_rowid != projection.is_index {
        return Err(Refusal::NoTable.into());
    }
    if !Pager::new(connection, &database)?.is_some_and(|pager| pager.is_utf8) {
        return Err(Refusal::Encoding.into());
    }
    let stored = stored(connection, &database, &table, has_no_rowid, is_strict)?;
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

/// The one table whose tree it is, and whether it is `WITHOUT ROWID` and `STRICT`.
fn table_of(
    connection: &Connection,
    database: &str,
    projection: &Projection,
) -> std::result::Result<(String, bool, bool), Missing> {
    let sql = format!(
        "SELECT type, name FROM {}.sqlite_schema WHERE rootpage = ?",
        quoted(database)
    );
    let mut statement = connection.prepare(&sql)?;
    let entries: Vec<(String, String)> = statement
        .query_map([projection.root], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let [(kind, table)] = entries.as_slice() else {
        return Err(Refusal::NoTable.into());
    };
    if kind != "table" {
        return Err(Refusal::NoTable.into());
    }
    let sql =
        "SELECT wr, strict FROM pragma_table_list WHERE schema = ? AND name = ? AND type = 'table'";
    let facts = connection
        .query_row(sql, (database, table), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (has_no_rowid, is_strict) = facts.ok_or(Refusal::NoTable)?;
    Ok((table.clone(), has_no_rowid, is_strict))
}

/// The columns in the order of a record's fields.
fn stored(
    connection: &Connection,
    database: &str,
    table: &str,
    has_no_rowid: bool,
    is_strict: bool,
) -> std::result::Result<Vec<Stored>, Missing> {
    /// A generated column that is not stored.
    const VIRTUAL: i64 = 2;
    let sql = "SELECT name, type, dflt_value, hidden FROM pragma_table_xinfo(?, ?) ORDER BY cid";
    let mut statement = connection.prepare(sql)?;
    let columns: Vec<(Stored, i64)> = statement
        .query_map((table, database), |row| {
            let declared: String = row.get(1)?;
            let affinity = match declared.as_str() {
                any if is_strict && any.eq_ignore_ascii_case("ANY") => Affinity::None,
                declared => Affinity::new(declared),
            };
            let column = Stored {
                name: row.get(0)?,
                affinity,
                default: row.get(2)?,
            };
            Ok((column, row.get(3)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    if !has_no_rowid {
        let stored = columns.into_iter().filter(|(_, hidden)| *hidden != VIRTUAL);
        return Ok(stored.map(|(column, _)| column).collect());
    }
    if columns.iter().any(|(_, hidden)| *hidden != 0) {
        return Err(Refusal::Columns.into());
    }
    // The primary key's columns come first.
    let sql = "SELECT x.cid FROM pragma_index_list(?1, ?2) AS l, pragma_index_xinfo(l.name, ?2) AS x \
               WHERE l.origin = 'pk' ORDER BY x.seqno";
    let mut statement = connection.prepare(sql)?;
    let order: Vec<u32> = statement
        .query_map((table, database), |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut columns: Vec<Option<Stored>> = columns
        .into_iter()
        .map(|(column, _)| Some(column))
        .collect();
    let place = |cid: &u32| columns.get_mut(*cid as usize).and_then(Option::take);
    let stored: Option<Vec<Stored>> = order.iter().map(place).collect();
    let is_all = columns.iter().all(Option::is_none);
    Ok(stored.filter(|_| is_all).ok_or(Refusal::Columns)?)
}

/// The value that records have which are older than a column: that of a record in a table to which
/// such a column was added.
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

/// Where the key of a range stands, and its value in records that are older than it.
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
