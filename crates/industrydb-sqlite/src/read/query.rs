//! A request whose columns are known: what is asked of it, and how its partitions are read.

use std::collections::HashSet;
use std::sync::atomic::AtomicUsize;

use industrydb_core::{Error, Field, Idle, Parameters, Result, Stop};
use rusqlite::Connection;

use super::shape::Shape;
use crate::config::options::Options;
use crate::ffi::cursor::Cursor;
use crate::ffi::declaration::Declaration;
use crate::types::{ColumnKind, Declared};

/// A request whose columns are known.
pub(crate) struct SqliteQuery {
    pub(crate) options: Options,
    pub(crate) setup: Vec<String>,
    pub(crate) queries: Vec<String>,
    pub(crate) parameters: Parameters,
    pub(crate) fields: Vec<Field>,
    /// The columns of each query.
    pub(crate) declarations: Vec<Vec<Declaration>>,
    pub(crate) kinds: Vec<ColumnKind>,
    pub(crate) origins: Vec<Option<(String, String)>>,
    /// Which columns have a collation that is known.
    pub(crate) collates: Vec<bool>,
    /// Connections between two uses; the one that described the query also reads.
    pub(crate) idle: Idle<Connection>,
    /// Into how many partitions the query was split.
    pub(crate) parts: AtomicUsize,
}

impl SqliteQuery {
    /// Uses an idle connection, or a new one; after an error it is closed.
    pub(crate) fn with_connection<T>(
        &self,
        stop: &Stop,
        work: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        let open = || self.options.open(&self.setup, stop);
        self.idle.with(open, |connection| work(connection))
    }

    /// Refuses a query whose columns are not those that were described: another process may have
    /// changed its tables, before the connections began together, or since, where each partition is
    /// of its own moment. A partition's own statement tells less: around a compound query, SQLite
    /// names types of another SELECT of it.
    pub(super) fn reject_changed(
        &self,
        connection: &Connection,
        number: usize,
        stop: &Stop,
    ) -> Result<()> {
        let found = Cursor::prepare(connection, &self.queries[number], stop)?.columns();
        Declaration::reject_changed(&self.declarations[number], &found)
    }

    /// Whether a query in the place of a table is the same: PRAGMA and EXPLAIN cannot stand there,
    /// and columns whose names differ in nothing but their case, or are `true` or `false`, get
    /// other names.
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

    /// Whether the values of columns that are a table's all come from there.
    pub(super) fn is_one_select(&self, query: &str, stop: &Stop) -> Result<bool> {
        self.with_connection(stop, |connection| {
            let shape = explained(connection, query, stop)?;
            Ok(shape.is_some_and(|shape| !shape.is_compound))
        })
    }

    /// Whether a condition on a table's columns is one on the rows of the table that they are of.
    pub(super) fn is_row_by_row(&self, query: &str, stop: &Stop) -> Result<bool> {
        self.with_connection(stop, |connection| {
            match explained(connection, query, stop)? {
                Some(shape) => Ok(!shape.is_compound && !shape.makes_groups(connection, query)?),
                None => Ok(false),
            }
        })
    }

    /// Whether SQLite's order of the columns' values is that of the values as they are read. It has
    /// numbers in front of texts, whatever they mean, and texts by their characters: dates of
    /// several forms, zones or fractions have another order, and so have numbers that are texts.
    pub(super) fn orders_alike(
        &self,
        query: &str,
        columns: &[String],
        stop: &Stop,
    ) -> Result<bool> {
        let is_one_select = self.is_one_select(query, stop)?;
        let is_alike = |index: usize| match self.kinds[index].declared {
            // A column that is declared so keeps no text that is an integer, and any other cannot
            // be read as one.
            Declared::Integer => is_one_select && self.origins[index].is_some(),
            // The type is then that of the largest value, and a text or a blob is larger than all
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

/// What a query does, if SQLite explains it: not PRAGMA and EXPLAIN.
fn explained(connection: &Connection, query: &str, stop: &Stop) -> Result<Option<Shape>> {
    match Shape::new(connection, query, stop) {
        Ok(shape) => Ok(Some(shape)),
        Err(Error::Query { .. }) => Ok(None),
        Err(other) => Err(other),
    }
}
