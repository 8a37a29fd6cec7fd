//! A request whose columns are known, with the connections that read it.

use std::collections::HashSet;
use std::sync::atomic::AtomicUsize;

use industrydb_core::{Error, Field, Idle, Parameters, Result, Stop};
use rusqlite::Connection;

use super::shape::Shape;
use crate::config::options::Options;
use crate::ffi::cursor::Cursor;
use crate::ffi::declaration::Declaration;
use crate::session::held::{self, HeldFiles};
use crate::types::{ColumnKind, Declared};

/// A request whose columns are known.
pub(crate) struct SqliteQuery {
    pub(crate) options: Options,
    pub(crate) setup: Vec<String>,
    /// State that another process holds for this read, which all connections see.
    pub(crate) held: Option<HeldFiles>,
    pub(crate) queries: Vec<String>,
    pub(crate) parameters: Parameters,
    pub(crate) fields: Vec<Field>,
    /// Declared columns of each query.
    pub(crate) declarations: Vec<Vec<Declaration>>,
    /// Whether all queries check their stop signal often.
    pub(crate) checks_often: bool,
    pub(crate) kinds: Vec<ColumnKind>,
    pub(crate) origins: Vec<Option<(String, String)>>,
    /// Whether each column has a collation that every SQLite knows.
    pub(crate) collates: Vec<bool>,
    /// Idle connections, among them the one that described the query.
    pub(crate) idle: Idle<Connection>,
    /// Number of partitions that the query was split into.
    pub(crate) parts: AtomicUsize,
}

impl SqliteQuery {
    /// Runs `work` on an idle connection, or a new one. After an error, the connection is closed.
    pub(crate) fn with_connection<T>(
        &self,
        stop: &Stop,
        work: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        let open = || held::open(&self.options, &self.setup, self.held.as_ref(), stop);
        self.idle.with(open, |connection| work(connection))
    }

    /// Returns an error if a query's columns are no longer those that were described. Another
    /// process may have changed its tables before the connections began together, or since then if
    /// each partition reads its own state. The whole query is checked and not a partition's
    /// statement: around a compound query, SQLite reports the declared types of another SELECT.
    pub(super) fn reject_changed(
        &self,
        connection: &Connection,
        number: usize,
        stop: &Stop,
    ) -> Result<()> {
        let found = Cursor::prepare(connection, &self.queries[number], stop)?.columns();
        Declaration::reject_changed(&self.declarations[number], &found)
    }

    /// Returns whether the query keeps its columns when it becomes a derived table in the statement
    /// `sql`. PRAGMA and EXPLAIN cannot be derived tables; columns whose names differ only in case,
    /// or are `true` or `false`, would get other names.
    pub(super) fn can_stand_in(&self, sql: &str, stop: &Stop) -> Result<bool> {
        let folded = |field: &Field| field.name.to_ascii_lowercase();
        let names: HashSet<String> = self.fields.iter().map(folded).collect();
        if names.len() < self.fields.len() {
            return Ok(false);
        }
        self.with_connection(stop, |connection| {
            Ok(Cursor::prepare_if_valid(connection, sql, stop)?.is_some())
        })
    }

    /// Returns whether the query is a single SELECT, so that all values of a table's column come
    /// from that table.
    pub(super) fn is_one_select(&self, query: &str, stop: &Stop) -> Result<bool> {
        self.with_connection(stop, |connection| {
            let shape = explained(connection, query, stop)?;
            Ok(shape.is_some_and(|shape| !shape.is_compound))
        })
    }

    /// Returns whether a condition on a table's columns in the result is a condition on that
    /// table's single rows: the query is a single SELECT that makes no groups.
    pub(super) fn is_row_by_row(&self, query: &str, stop: &Stop) -> Result<bool> {
        self.with_connection(stop, |connection| {
            match explained(connection, query, stop)? {
                Some(shape) => Ok(!shape.is_compound && !shape.makes_groups(connection, query)?),
                None => Ok(false),
            }
        })
    }

    /// Returns whether SQLite sorts the columns' stored values in the same order as the values that
    /// are read. SQLite sorts numbers before text, whatever they mean, and text by characters:
    /// dates in several formats, zones or fractions sort differently, and so do numbers stored as
    /// text.
    pub(super) fn orders_alike(
        &self,
        query: &str,
        columns: &[String],
        stop: &Stop,
    ) -> Result<bool> {
        let is_one_select = self.is_one_select(query, stop)?;
        let is_alike = |index: usize| match self.kinds[index].declared {
            // An INTEGER column stores no text that is an integer, and other text cannot be read as
            // an integer.
            Declared::Integer => is_one_select && self.origins[index].is_some(),
            // The column gets the type of its largest value, and text and blobs are larger than all
            // numbers.
            Declared::Nothing => true,
            _ => false,
        };
        let is_wanted = |field: &Field| columns.contains(&field.name);
        let mut wanted = self
            .fields
            .iter()
            .enumerate()
            .filter(|(_, field)| is_wanted(field));
        Ok(wanted.all(|(index, field)| !field.is_converted() && is_alike(index)))
    }
}

/// Returns the query's shape; `None` for a statement that SQLite does not explain, such as PRAGMA
/// and EXPLAIN.
fn explained(connection: &Connection, query: &str, stop: &Stop) -> Result<Option<Shape>> {
    match Shape::new(connection, query, stop) {
        Ok(shape) => Ok(Some(shape)),
        Err(Error::Query { .. }) => Ok(None),
        Err(other) => Err(other),
    }
}
