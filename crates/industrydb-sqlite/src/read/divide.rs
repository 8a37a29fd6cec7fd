//! Splits the query of a request: decides whether that is possible, and writes the statements of
//! the partitions.

use std::sync::atomic::Ordering;

use industrydb_core::planner::no_table;
use industrydb_core::{Divisible, Division, Error, Result, Sample, Stop, Target, Value};
use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::clock;
use super::samples;
use super::shape::{Shape, has_limited_view, reject_unnamed};
use crate::ffi::cursor::Cursor;
use crate::ffi::errors::failed;
use crate::read::query::SqliteQuery;
use crate::session::catalog;
use crate::sql::derived;
use crate::sql::table::{self, Table};

/// A query that is split by the values of a column, or by the rows of its table.
pub(crate) struct Divided<'a> {
    reader: &'a SqliteQuery,
    target: Target,
    /// The query, with one fixed time for all partitions in the places that ask for the current
    /// time.
    query: String,
    /// Properties of the query from SQLite's plan and program.
    shape: Shape,
    /// Table whose rows are split; `None` if the query is split by a column.
    table: Option<Table>,
}

impl<'a> Divided<'a> {
    /// Checks whether the query can be split, and prepares that.
    pub(crate) fn of(reader: &'a SqliteQuery, target: Target, stop: &Stop) -> Result<Division<'a>> {
        reader.with_connection(stop, |connection| {
            let query = timed_query(reader, connection, stop)?;
            let shape = Shape::new(connection, &query, stop)?;
            let mut divided = Self {
                reader,
                target,
                query,
                shape,
                table: None,
            };
            Ok(match divided.prepare(connection, stop)? {
                Some(reason) => Division::Whole(reason),
                None => Division::Cut(Box::new(divided)),
            })
        })
    }

    /// Checks the query, and finds the table if its rows are to be split. Returns the reason if the
    /// query must stay whole.
    fn prepare(&mut self, connection: &Connection, stop: &Stop) -> Result<Option<&'static str>> {
        let key_is_column = match self.target {
            Target::Column(index) => {
                self.reader.typed.origins[index].is_some() && !self.shape.is_compound
            }
            Target::Rows => true,
        };
        let parameters = &self.reader.parameters;
        let reason = self
            .shape
            .indivisible(&self.query, parameters, key_is_column);
        if reason.is_some() {
            return Ok(reason);
        }
        if has_limited_view(connection, &self.query)? {
            return Ok(Some("a view of the query has a LIMIT"));
        }
        match self.target {
            Target::Column(index) => {
                let name = &self.reader.typed.fields[index].name;
                reject_unnamed(connection, &self.query, name, stop)?;
            }
            Target::Rows => self.table = Some(self.table_to_split(connection, stop)?),
        }
        Ok(None)
    }

    /// Returns whether the key is compared without an affinity: a column of a compound query may
    /// have several affinities, and SQLite does not report the affinity of an expression.
    fn has_no_affinity(&self, index: usize) -> bool {
        self.shape.is_compound || self.reader.typed.origins[index].is_none()
    }

    /// Returns the one table that the query reads, whose rows are split among the partitions.
    fn table_to_split(&self, connection: &Connection, stop: &Stop) -> Result<Table> {
        let Some((database, name)) = self.reader.typed.origins.iter().flatten().next() else {
            return Err(no_table("no column of this one is a table's"));
        };
        let table = catalog::table(connection, database, name).map_err(|e| failed(&e))?;
        let table =
            table.ok_or_else(|| no_table(&format!("the rows of {name:?} cannot be numbered")))?;
        let part = table::rows(
            &table.freed(&self.query),
            &table,
            Some(&Value::Integer(0)),
            None,
        );
        // A common table expression has no rowid, and SQLite would read a "rowid" in the query as a
        // string.
        let texts_in_quotes = |allowed| {
            connection
                .set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, allowed)
                .map_err(|e| failed(&e))
        };
        texts_in_quotes(false)?;
        let prepared = Cursor::prepare(connection, &part, stop).map(drop);
        texts_in_quotes(true)?;
        match prepared {
            Err(Error::Query { message, .. }) => {
                Err(no_table(&format!("this one cannot be split ({message})")))
            }
            other => other.map(drop),
        }?;
        if !self
            .shape
            .is_scan_of(connection, &self.query, &table, stop)?
        {
            return Err(no_table("this query does more"));
        }
        Ok(table)
    }
}

impl Divisible for Divided<'_> {
    fn sample(&self, partitions: usize, stop: &Stop) -> Result<Sample> {
        let keys = Sample::size(partitions);
        let (reader, query) = (self.reader, &self.query);
        reader.with_connection(stop, |connection| match (self.target, &self.table) {
            (Target::Column(index), _) => {
                let table = match &reader.typed.origins[index] {
                    Some((database, name)) if !self.has_no_affinity(index) => {
                        catalog::table(connection, database, name).map_err(|e| failed(&e))?
                    }
                    _ => None,
                };
                let (key, table) = (&reader.typed.fields[index].name, table.as_ref());
                samples::sample_column(
                    connection,
                    query,
                    key,
                    table,
                    keys,
                    &reader.parameters,
                    stop,
                )
            }
            (Target::Rows, Some(table)) => samples::row_sample(table, connection, keys, stop),
            (Target::Rows, None) => Err(no_table("no table was found")),
        })
    }

    fn select(&self, lower: Option<&Value>, upper: Option<&Value>) -> String {
        self.reader.parts.fetch_add(1, Ordering::Relaxed);
        match (self.target, &self.table) {
            (Target::Rows, Some(table)) => {
                table::rows(&table.freed(&self.query), table, lower, upper)
            }
            (Target::Rows, None) => self.query.clone(),
            (Target::Column(index), _) => {
                let (key, bare) = (
                    &self.reader.typed.fields[index].name,
                    self.has_no_affinity(index),
                );
                if bare && lower.or(upper).is_some() {
                    let query = derived::evaluated_first(&self.query);
                    derived::range(&query, key, bare, lower, upper)
                } else {
                    derived::range(&self.query, key, bare, lower, upper)
                }
            }
        }
    }
}

/// Returns the query with one fixed time for all partitions in the places that ask for the current
/// time.
fn timed_query(reader: &SqliteQuery, connection: &Connection, stop: &Stop) -> Result<String> {
    let query = reader.queries.first().cloned().unwrap_or_default();
    let Some(described) = reader.declarations.first() else {
        return Ok(query);
    };
    let now = clock::present(connection)?;
    let timed = clock::with_one_time(connection, &query, described, now, stop)?;
    Ok(timed.unwrap_or(query))
}
