//! Traits that a connector implements: all that core knows of a database.

use std::cmp::Ordering;

use super::connection::Connection;
use super::held::Holder;
use super::partition::Partition;
use super::request::Request;
use crate::base::config::{DatabaseConfig, Scheme};
use crate::base::error::Result;
use crate::base::stop::Stop;
use crate::data::chunk::Chunk;
use crate::read::meter::Meter;
use crate::read::output::Output;
use crate::read::partition::{Sample, Target};
use crate::schema::field::Field;
use crate::schema::value::{Parameters, Value};
use crate::sql::narrow::Narrowing;
use crate::sql::statements::Statement;

/// Largest size, in bytes, of a server's answer to the connector's own queries: the types of
/// columns, the size of a table, a sample of keys. The rows of the caller's query have no such
/// limit.
pub const ANSWER_BYTES: usize = 128 << 20;

/// Connector of a database that can be read.
pub trait DatabaseConnector: Send + Sync {
    /// Asks the database for the names and types of the queries' columns, without running the
    /// queries, and picks a decoder for each column.
    ///
    /// # Errors
    ///
    /// When no session can be opened, the database refuses a query, a query is not a single
    /// statement that returns rows, or the queries' columns differ.
    fn describe(&self, request: &Request, stop: &Stop) -> Result<Described>;

    /// Opens a session that the caller keeps, and that may also change the database.
    ///
    /// # Errors
    ///
    /// When no session can be opened.
    fn connect(&self, stop: &Stop) -> Result<Box<dyn Connection>>;

    /// Returns whether describing and planning a query check their stop signal several times a
    /// second, also while they wait; the query's own reader tells it of the rest of the read.
    fn checks_often(&self) -> bool {
        false
    }

    /// Returns what holds snapshots for the reads of other processes; `None` by default, for
    /// databases whose sessions cannot see the snapshot of another session.
    fn holder(&self) -> Option<&dyn Holder> {
        None
    }
}

/// Kind of database: its URI scheme, its options and its connector.
pub trait Database: DatabaseConnector + Sized + 'static {
    /// URI scheme of the database.
    const SCHEME: Scheme;

    /// Whether several sessions can share one snapshot of the database.
    const SHARES_SNAPSHOTS: bool;

    /// Refuses options that the database does not have; does not check their values.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`](crate::Error::Configuration) that names the option.
    fn check_options(config: &DatabaseConfig) -> Result<()>;

    /// Checks the configuration and creates the connector, without connecting yet.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`](crate::Error::Configuration) for unknown options and invalid
    /// values.
    fn new(config: &DatabaseConfig) -> Result<Self>;
}

/// Described request, whose columns are known.
pub struct Described {
    /// The columns, in order.
    pub fields: Vec<Field>,
    /// The texts of the queries, without the white space, comments and semicolons around each
    /// statement.
    pub queries: Vec<String>,
    /// Reader of the queries' partitions.
    pub reader: Box<dyn Reader>,
}

impl Described {
    /// Returns the partition of all rows of the query with this number, counted from 0; `None` if
    /// there is no such query.
    pub fn whole(&self, number: usize) -> Option<Partition> {
        let query = self.queries.get(number)?;
        Some(Partition::whole(number, query))
    }

    /// Returns the names of the columns whose final type depends on their values.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub fn open_columns(&self, stop: &Stop) -> Result<Vec<String>> {
        let is_open = self.fields.iter().filter(|field| field.is_open);
        let mut open: Vec<String> = is_open.map(|field| field.name.clone()).collect();
        for name in self.reader.open_columns(stop)? {
            if !open.contains(&name) {
                open.push(name);
            }
        }
        Ok(open)
    }

    /// Reads a whole partition as one chunk.
    ///
    /// # Errors
    ///
    /// As for [`Reader::read_into`].
    pub fn read(&self, partition: &Partition, stop: &Stop) -> Result<Chunk> {
        Output::whole(&Meter::default(), |output| {
            self.reader.read_into(partition, output, stop)
        })
    }
}

/// Reader of the partitions of a described request. Workers share the reader; each of them reads
/// its partition in its own session.
pub trait Reader: Send + Sync {
    /// Opens up to `max_sessions` sessions to read `partitions` partitions. Each session holds all
    /// locks of the whole query, and all share one snapshot if the database [has shared
    /// snapshots](Database::SHARES_SNAPSHOTS). Returns how many partitions can be read at the same
    /// time; `None` if the query's columns, or the database at its address, have changed since then.
    ///
    /// # Errors
    ///
    /// When the database cannot give the shared snapshot or a lock, or fails.
    fn begin(&self, partitions: usize, max_sessions: usize, stop: &Stop) -> Result<Option<usize>>;

    /// Prepares up to `sessions` sessions that read at the same time without a shared snapshot, so
    /// that their waits for locks cannot block the read for ever. Returns whether the database at
    /// the query's address is still the one that was described. Does nothing by default.
    ///
    /// # Errors
    ///
    /// When the database cannot prepare the sessions, or fails.
    fn begin_apart(&self, _sessions: usize, _stop: &Stop) -> Result<bool> {
        Ok(true)
    }

    /// Returns whether reading checks its stop signal several times a second, also while it waits.
    fn checks_often(&self) -> bool {
        false
    }

    /// Closes the session of a worker that has no more partitions to read. Does nothing by default.
    fn retire(&self) {}

    /// Closes all idle sessions: later reads see a later state of the database, and do not wait for
    /// locks that these sessions held.
    fn release(&self);

    /// Finds out whether the rows of the only query can be split into partitions, and prepares to
    /// cut it.
    ///
    /// # Errors
    ///
    /// When the target does not fit the query, or the database fails.
    fn divide(&self, target: Target, stop: &Stop) -> Result<Division<'_>>;

    /// Returns the names of further columns whose final type depends on their values, besides the
    /// ones whose [field](Field::is_open) says so.
    ///
    /// # Errors
    ///
    /// When the database fails.
    fn open_columns(&self, _stop: &Stop) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// Returns a query for some of the columns and rows of `query`, with the values of its
    /// parameters. Its result has at least the rows for which the filter holds.
    ///
    /// # Errors
    ///
    /// When the database fails.
    fn narrowed(
        &self,
        query: &str,
        narrowing: &Narrowing,
        parameters: &Parameters,
        stop: &Stop,
    ) -> Result<Statement>;

    /// Returns a query of the connector, with the parameters of `query`, whose values tell the
    /// types of these columns; `None` if `query` narrowed to these columns tells them.
    ///
    /// # Errors
    ///
    /// When the database fails.
    fn measuring(&self, _query: &str, _columns: &[String], _stop: &Stop) -> Result<Option<String>> {
        Ok(None)
    }

    /// Returns how a partition is read, and why, if the connector has several ways to read; `None`
    /// if it has only one.
    ///
    /// # Errors
    ///
    /// When the database fails.
    fn way(&self, _partition: &Partition, _stop: &Stop) -> Result<Option<String>> {
        Ok(None)
    }

    /// Reads one partition into `output`, blocking until its last row.
    ///
    /// A column keeps the type of its field if the output takes batches or the column's type is
    /// [settled](Request::settled); a value that does not fit is then an error. In a whole chunk,
    /// all other columns have the type that all of their values need.
    ///
    /// # Errors
    ///
    /// When the database fails, a value does not fit, or `stop` was set: the batches handed over so
    /// far are then not the whole partition.
    fn read_into(&self, partition: &Partition, output: &mut Output, stop: &Stop) -> Result<()>;

    /// Returns whether a chunk must be read again because a later partition has widened the type of
    /// a column.
    fn is_stale(&self, _chunk: &Chunk) -> bool {
        false
    }
}

/// Result of [`Reader::divide`]: whether a query's rows can be split into partitions.
pub enum Division<'a> {
    /// The rows cannot be split, for this reason: the query may return other rows each time it is
    /// evaluated, so its rows must come from a single evaluation.
    Whole(&'static str),
    /// The rows can be split with this.
    Cut(Box<dyn Divisible + 'a>),
}

/// Query whose rows can be split into partitions.
pub trait Divisible {
    /// Returns a sample of the target's keys, taken evenly from all rows or from where so many
    /// partitions meet: about [`Sample::size`] keys, or fewer that are known better.
    ///
    /// # Errors
    ///
    /// When the target's values have no order, or the database fails.
    fn sample(&self, partitions: usize, stop: &Stop) -> Result<Sample>;

    /// Returns the query for the rows with `lower <= key` and `key < upper`; without a lower bound,
    /// also for the rows whose key is NULL.
    fn select(&self, lower: Option<&Value>, upper: Option<&Value>) -> String;

    /// Returns how each cut compares with the next one, in the order in which
    /// [`select`](Divisible::select) compares cuts with keys; `None` if the database cannot compare
    /// them. By default, each cut is less than the next one.
    ///
    /// # Errors
    ///
    /// When the database fails.
    fn compare_cuts(&self, cuts: &[Value], _stop: &Stop) -> Result<Option<Vec<Ordering>>> {
        Ok(Some(vec![Ordering::Less; cuts.len().saturating_sub(1)]))
    }
}
