//! All that core knows of a database.

use std::cmp::Ordering;

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
use crate::session::connection::Connection;
use crate::sql::narrow::Narrowing;
use crate::sql::statements::Statement;

/// The longest answer, in bytes, that a server may give to a question of our own: what columns and
/// types are, how large a table is, a sample of keys. The rows of a query are bounded by nobody.
pub const ANSWER_BYTES: usize = 128 << 20;

/// A database that can be read.
pub trait DatabaseConnector: Send + Sync {
    /// Asks the database for the names and types of the queries' columns, without running them, and
    /// picks a decoder for each.
    ///
    /// # Errors
    ///
    /// When no session can be opened, the database refuses a query, a query is no single statement
    /// that returns rows, or the queries' columns differ.
    fn describe(&self, request: &Request, stop: &Stop) -> Result<Described>;

    /// Opens a session for the caller to keep, which may also change the database.
    ///
    /// # Errors
    ///
    /// When no session can be opened.
    fn connect(&self, stop: &Stop) -> Result<Box<dyn Connection>>;
}

/// A kind of database: how its URIs begin, which options they have, and the connector that reads
/// it.
pub trait Database: DatabaseConnector + Sized + 'static {
    /// How its URIs begin.
    const SCHEME: Scheme;

    /// Whether several sessions can see one state of the database.
    const SHARES_SNAPSHOTS: bool;

    /// Refuses options that the database does not have, without a look at their values.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`](crate::Error::Configuration) that names the option.
    fn check_options(config: &DatabaseConfig) -> Result<()>;

    /// Checks what the configuration asks for; connects to nothing yet.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`](crate::Error::Configuration) for options that the database does not
    /// have, and values that they cannot have.
    fn new(config: &DatabaseConfig) -> Result<Self>;
}

/// A request whose columns are known.
pub struct Described {
    /// The columns, in order.
    pub fields: Vec<Field>,
    /// The texts of the queries, without what may stand behind a statement.
    pub queries: Vec<String>,
    /// What reads them.
    pub reader: Box<dyn Reader>,
}

impl Described {
    /// The partition of all rows of a query, by the query's number from 0.
    pub fn whole(&self, number: usize) -> Option<Partition> {
        let query = self.queries.get(number)?;
        Some(Partition::whole(number, query))
    }

    /// The names of the columns whose values decide which types they become.
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

    /// Reads one partition, all of it.
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

/// Reads the partitions of a request whose columns are known. Workers share it; each partition is
/// read in a session of its own.
pub trait Reader: Send + Sync {
    /// Opens the sessions that read `partitions` partitions, up to `max_sessions` at the same time:
    /// each holds all locks of the whole query, and all see one state of the database. Returns how
    /// many partitions can be read at the same time; `None` where the query's columns are no longer
    /// those that were described.
    ///
    /// # Errors
    ///
    /// When the database cannot give one state or its locks, or fails.
    fn begin(&self, partitions: usize, max_sessions: usize, stop: &Stop) -> Result<Option<usize>>;

    /// Prepares up to `sessions` sessions that read at the same time, where they need not see one
    /// state of the database: takes what they would otherwise wait for while others of them hold
    /// it.
    ///
    /// # Errors
    ///
    /// When the database cannot give it, or fails.
    fn begin_apart(&self, _sessions: usize, _stop: &Stop) -> Result<()> {
        Ok(())
    }

    /// Gives back the session of a worker that has no more partitions to read.
    fn retire(&self) {}

    /// Closes all sessions: what is read later is of a later moment, and waits for no lock that one
    /// of them holds.
    fn release(&self);

    /// Asks whether the rows of the only query can come in parts, and prepares to cut it.
    ///
    /// # Errors
    ///
    /// When the target does not fit the query, or the database fails.
    fn divide(&self, target: Target, stop: &Stop) -> Result<Division<'_>>;

    /// The names of the columns whose values decide which types they become, beside those whose
    /// [fields](Field::is_open) say so.
    ///
    /// # Errors
    ///
    /// When the database fails.
    fn open_columns(&self, _stop: &Stop) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// A query for some of the columns and rows of one of the queries, with the values of its
    /// parameters: it has at least the rows for which the filter holds.
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

    /// A query of the connector's own by whose values the types of some columns can be told, with
    /// the parameters of `query`; `None` where the query for these columns alone tells them.
    ///
    /// # Errors
    ///
    /// When the database fails.
    fn measuring(&self, _query: &str, _columns: &[String], _stop: &Stop) -> Result<Option<String>> {
        Ok(None)
    }

    /// In which of several ways a partition is read, and why; `None` where the database has one.
    ///
    /// # Errors
    ///
    /// When the database fails.
    fn way(&self, _partition: &Partition, _stop: &Stop) -> Result<Option<String>> {
        Ok(None)
    }

    /// Reads one partition into `output`, blocking until its last row.
    ///
    /// Where the output takes batches, or the column's type is [settled](Request::settled), a
    /// column keeps the type of its field, and a value that does not fit is an error; a whole
    /// chunk's other columns have the types that all its values need.
    ///
    /// # Errors
    ///
    /// When the database fails, a value does not fit, or `stop` was set: what was handed over is
    /// then not the partition.
    fn read_into(&self, partition: &Partition, output: &mut Output, stop: &Stop) -> Result<()>;

    /// Whether a chunk must be read again because of what a later partition has shown of a column.
    fn is_stale(&self, _chunk: &Chunk) -> bool {
        false
    }
}

/// Whether the rows of a query can come in parts.
pub enum Division<'a> {
    /// No, and why: the query may give other rows each time it is evaluated, so that its rows must
    /// come from a single evaluation.
    Whole(&'static str),
    /// Yes, by this.
    Cut(Box<dyn Divisible + 'a>),
}

/// A query whose rows can come in parts.
pub trait Divisible {
    /// About `keys` of the target's keys, evenly from all rows.
    ///
    /// # Errors
    ///
    /// When the target's values have no order, or the database fails.
    fn sample(&self, keys: usize, stop: &Stop) -> Result<Sample>;

    /// The query for the rows with `lower <= key`, and `key < upper`; without a lower bound, also
    /// the rows whose key is NULL.
    fn select(&self, lower: Option<&Value>, upper: Option<&Value>) -> String;

    /// How each cut compares with the next one, in the order by which [`select`](Divisible::select)
    /// compares them with the keys; `None` where the database cannot compare them. Without this,
    /// they rise.
    ///
    /// # Errors
    ///
    /// When the database fails.
    fn compare_cuts(&self, cuts: &[Value], _stop: &Stop) -> Result<Option<Vec<Ordering>>> {
        Ok(Some(vec![Ordering::Less; cuts.len().saturating_sub(1)]))
    }
}
