//! A request whose columns are known, with the connections that read it.

use std::sync::atomic::AtomicUsize;

use industrydb_core::{Idle, Parameters, Result, Stop};
use rusqlite::Connection;

use super::typed::Typed;
use crate::config::options::Options;
use crate::ffi::cursor::Cursor;
use crate::ffi::declaration::Declaration;
use crate::pages::spans::Spans;
use crate::session::held::{self, HeldFiles};

/// A request whose columns are known.
pub(crate) struct SqliteQuery {
    pub(crate) options: Options,
    pub(crate) setup: Vec<String>,
    /// State that another process holds for this read, which all connections see.
    pub(crate) held: Option<HeldFiles>,
    pub(crate) queries: Vec<String>,
    pub(crate) parameters: Parameters,
    pub(crate) typed: Typed,
    /// Declared columns of each query.
    pub(crate) declarations: Vec<Vec<Declaration>>,
    /// Whether all queries check their stop signal often.
    pub(crate) checks_often: bool,
    /// Idle connections, among them the one that described the query.
    pub(crate) idle: Idle<Connection>,
    /// Number of partitions that the query was split into.
    pub(crate) parts: AtomicUsize,
    pub(crate) spans: Spans,
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
}
