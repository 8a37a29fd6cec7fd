//! Reads the partitions of a query.

use std::ffi::CString;
use std::fmt;
use std::sync::atomic::Ordering;

use industrydb_core::narrow::Narrowing;
use industrydb_core::statements::Statement;
use industrydb_core::{
    Chunk, Division, Output, Parameters, Partition, Phase, Reader, Result, Stop, Target,
};
use rusqlite::Connection;

use super::divide::Divided;
use super::part::taken_apart;
use super::query::SqliteQuery;
use super::shape::has_search;
use super::typed::is_one_select;
use crate::columns::rows;
use crate::ffi::cursor::Cursor;
use crate::ffi::descriptors::file;
use crate::ffi::errors::failed;
use crate::pages;
use crate::pages::spans::Spans;
use crate::pages::table::{Proven, prove};
use crate::session::together::{begin_together, keeps_out};

/// How a query's rows are read.
enum Way {
    /// From the pages of a table.
    Pages(Proven),
    /// By SQLite's own step loop, with the reason.
    Steps(String),
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pages(proven) => write!(f, "decoding the pages of {}", proven.table),
            Self::Steps(why) => write!(f, "stepping through the rows: {why}"),
        }
    }
}

impl SqliteQuery {
    /// Decides how a partition's rows are read.
    fn way_of(&self, connection: &Connection, query: &str, stop: &Stop) -> Result<Way> {
        if self.is_small(connection)? {
            return Ok(Way::Steps("the file is small".to_owned()));
        }
        let (whole, range) = taken_apart(connection, query, stop)?;
        Ok(match prove(connection, whole, range.as_ref(), stop)? {
            Ok(proven) if self.is_slower(connection, &proven, query, stop)? => {
                Way::Steps("an index leads to those of the partition".to_owned())
            }
            Ok(proven) => Way::Pages(proven),
            Err(refusal) => Way::Steps(refusal.to_string()),
        })
    }

    /// Returns the notes of the partitions; `None` for a database that each connection may have
    /// filled by itself.
    fn spans_of(&self, connection: &Connection, proven: &Proven) -> Option<&Spans> {
        let database = CString::new(proven.database.as_str()).ok()?;
        file(connection, &database).map(|_| &self.spans)
    }

    /// Returns whether the file is so small that stepping through all its rows takes less time than
    /// choosing how to read them.
    fn is_small(&self, connection: &Connection) -> Result<bool> {
        const PAGES: i64 = 8;
        let mut origins = self.typed.origins.iter().flatten();
        if origins.any(|(database, _)| database != "main") {
            return Ok(false);
        }
        let pages = connection.query_row("PRAGMA main.page_count", [], |row| row.get::<_, i64>(0));
        Ok(pages.map_err(|e| failed(&e))? <= PAGES)
    }

    /// Returns whether an index finds a partition's rows faster than decoding the pages of the
    /// whole table, which would be done once for each partition. For a partition that is read by
    /// itself, the number of partitions is unknown.
    fn is_slower(
        &self,
        connection: &Connection,
        proven: &Proven,
        query: &str,
        stop: &Stop,
    ) -> Result<bool> {
        /// Largest number of passes over the whole table that are assumed to cost less than
        /// stepping through the rows; a pass looks only at the key of the other partitions' rows.
        const MOST_PASSES: usize = 8;
        let parts = self.parts.load(Ordering::Relaxed).max(self.queries.len());
        if !proven.passes_over_all() || (2..=MOST_PASSES).contains(&parts) {
            return Ok(false);
        }
        has_search(connection, query, stop)
    }
}

impl Reader for SqliteQuery {
    fn begin(&self, partitions: usize, max_sessions: usize, stop: &Stop) -> Result<Option<usize>> {
        let sessions = partitions.min(max_sessions);
        self.spans.begin(self.held.is_some());
        if sessions <= 1 || self.held.is_some() {
            return Ok(Some(sessions));
        }
        let mut idle = self.idle.lock();
        let is_one_file = begin_together(&self.options, &self.setup, &mut idle, sessions, stop)?;
        self.spans.begin(is_one_file);
        Ok(is_one_file.then_some(sessions))
    }

    fn begin_apart(&self, sessions: usize, stop: &Stop) -> Result<bool> {
        self.spans.begin(false);
        let mut idle = self.idle.lock();
        let keeps_writers_out = match idle.first() {
            Some(connection) => keeps_out(connection).map_err(|e| failed(&e))?,
            None => false,
        };
        if !keeps_writers_out {
            return Ok(true);
        }
        begin_together(&self.options, &self.setup, &mut idle, sessions, stop)
    }

    fn release(&self) {
        self.idle.take_all();
    }

    fn divide(&self, target: Target, stop: &Stop) -> Result<Division<'_>> {
        Divided::of(self, target, stop)
    }

    fn narrowed(
        &self,
        query: &str,
        narrowing: &Narrowing,
        parameters: &Parameters,
        stop: &Stop,
    ) -> Result<Statement> {
        self.with_connection(stop, |connection| {
            self.typed
                .narrowed(connection, query, narrowing, parameters, stop)
        })
    }

    fn open_columns(&self, stop: &Stop) -> Result<Vec<String>> {
        self.with_connection(stop, |connection| {
            self.typed.open_columns(connection, &self.queries, stop)
        })
    }

    /// Returns a compound query unchanged: around it, SQLite would report the declared types of
    /// another of its SELECTs.
    fn measuring(&self, query: &str, _columns: &[String], stop: &Stop) -> Result<Option<String>> {
        let is_one = |connection: &_| is_one_select(connection, query, stop);
        let is_one_select = self.with_connection(stop, is_one)?;
        Ok((!is_one_select).then(|| query.to_owned()))
    }

    fn checks_often(&self) -> bool {
        self.checks_often
    }

    fn read_into(&self, partition: &Partition, output: &mut Output, stop: &Stop) -> Result<()> {
        self.with_connection(stop, |connection| {
            output.meter.reach(Phase::Connected);
            self.reject_changed(connection, partition.number, stop)?;
            let way = self.way_of(connection, &partition.query, stop)?;
            log::debug!("{way}");
            output.meter.goes(way.to_string());
            match way {
                Way::Pages(proven) => pages::read::read(
                    connection,
                    &proven,
                    self.spans_of(connection, &proven),
                    &self.typed.fields,
                    &self.typed.kinds,
                    output,
                    stop,
                ),
                Way::Steps(_) => {
                    let mut cursor = Cursor::prepare(connection, &partition.query, stop)?;
                    cursor.bind(&self.parameters)?;
                    rows::step(
                        &mut cursor,
                        &self.typed.fields,
                        &self.typed.kinds,
                        output,
                        stop,
                    )
                }
            }
        })
    }

    fn way(&self, partition: &Partition, stop: &Stop) -> Result<Option<String>> {
        self.with_connection(stop, |connection| {
            let way = self.way_of(connection, &partition.query, stop)?;
            Ok(Some(way.to_string()))
        })
    }

    fn is_stale(&self, chunk: &Chunk) -> bool {
        rows::is_stale(chunk, &self.typed.kinds)
    }
}
