//! A database in memory whose partitions follow a script.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use industrydb_core::builders::PrimitiveBuilder;
use industrydb_core::narrow::Narrowing;
use industrydb_core::statements::Statement;
use industrydb_core::{
    Chunk, ChunkColumn, ColumnType, Connection, DatabaseConnector, Described, Divisible, Division,
    Error, Field, Output, Parameters, Partition, Phase, Reader, Request, Result, Sample, Stop,
    Target, Value,
};

use crate::connection::FakeConnection;

/// Longest time that a scripted wait lasts: a test that would wait for ever fails instead.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A gate that is closed until a test or a script opens it.
#[derive(Clone, Default)]
pub struct Gate(Arc<AtomicBool>);

impl Gate {
    /// Opens the gate for all threads that wait at it.
    pub fn open(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Returns whether the gate is open.
    pub fn is_open(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Waits until the gate is open.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`] where `stop` is set first; [`Error::Internal`] after [`PATIENCE`].
    pub fn wait(&self, stop: &Stop) -> Result<()> {
        wait_until(|| self.is_open(), stop)
    }
}

fn wait_until(is_done: impl Fn() -> bool, stop: &Stop) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    while !is_done() {
        stop.check()?;
        if Instant::now() >= until {
            return Err(Error::Internal("nobody opened the gate".to_owned()));
        }
        thread::yield_now();
    }
    Ok(())
}

/// One step of a script that reading a partition follows.
#[derive(Clone)]
pub enum Step {
    /// Reads these values.
    Rows(Range<i64>),
    /// Opens a gate.
    Open(Gate),
    /// Waits at a gate.
    Wait(Gate),
    /// Waits until the read is stopped, and fails as a cancelled statement does.
    WaitForStop,
    /// Fails with this message, as a query of a database does.
    Fail(&'static str),
    /// Makes the column need more than 32 bits: chunks that were read with 32 bits are stale.
    Widen,
    /// Panics, as only a fault of a connector can.
    Panic,
}

/// Record of what happened in the fake database, for tests.
#[derive(Debug, Default, Clone)]
pub struct Journal {
    /// The queries that were read, in the order in which their reads began.
    pub reads: Vec<String>,
    /// Number of partitions that are being read.
    pub now: usize,
    /// Largest number of partitions that were read at the same time.
    pub most: usize,
    /// Number of batches that were handed over.
    pub pushed: usize,
    /// Number of workers that gave back their sessions.
    pub retired: usize,
    /// Number of described queries that are alive; each stands for the sessions of a read.
    pub open: usize,
    /// Number of times that a query was described.
    pub described: usize,
}

struct Database {
    scripts: HashMap<String, Vec<Step>>,
    /// The keys of the table `keys`.
    keys: Vec<Option<i64>>,
    /// Number of further calls of `begin` that report changed columns.
    changes: AtomicUsize,
    is_wide: AtomicBool,
    journal: Mutex<Journal>,
}

impl Database {
    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connector of a database in memory, with one column `v` of integers; -1 stands for NULL.
///
/// Each query is the name of a script, which reading the query follows, or `keys`, a table whose
/// partitions hold the keys between their cuts.
///
/// # Examples
///
/// ```
/// use industrydb_core::Stop;
/// use industrydb_core::executor::{MAX_SESSIONS, read};
/// use industrydb_testkit::{FakeConnector, Step};
///
/// let fake = FakeConnector::new([("a", vec![Step::Rows(0..3)]), ("b", vec![Step::Rows(3..5)])]);
/// let request = FakeConnector::request(["a", "b"]);
/// let frame = read(&fake, &request, None, MAX_SESSIONS, &Default::default(), &Stop::default())?;
/// assert_eq!(frame.height(), 5);
/// # Ok::<(), industrydb_core::Error>(())
/// ```
pub struct FakeConnector(Arc<Database>);

impl FakeConnector {
    /// Creates a database with these queries, and the scripts that reading them follows.
    pub fn new<'a>(scripts: impl IntoIterator<Item = (&'a str, Vec<Step>)>) -> Self {
        let scripts = scripts.into_iter();
        Self::with(
            scripts
                .map(|(name, steps)| (name.to_owned(), steps))
                .collect(),
            Vec::new(),
        )
    }

    /// Creates a database with the table `keys`.
    pub fn table(keys: Vec<Option<i64>>) -> Self {
        Self::with(HashMap::new(), keys)
    }

    fn with(scripts: HashMap<String, Vec<Step>>, keys: Vec<Option<i64>>) -> Self {
        Self(Arc::new(Database {
            scripts,
            keys,
            changes: AtomicUsize::new(0),
            is_wide: AtomicBool::new(false),
            journal: Mutex::default(),
        }))
    }

    /// Makes the next `times` reads find that the query's columns have changed since it was
    /// described.
    pub fn change_columns(&self, times: usize) {
        self.0.changes.store(times, Ordering::SeqCst);
    }

    /// Returns a copy of the journal so far.
    pub fn journal(&self) -> Journal {
        self.0.journal().clone()
    }

    /// Returns a request for queries of this database, in one snapshot.
    pub fn request<'a>(queries: impl IntoIterator<Item = &'a str>) -> Request {
        Request {
            queries: queries.into_iter().map(str::to_owned).collect(),
            parameters: Parameters::default(),
            setup: Vec::new(),
            snapshot: true,
            held: None,
            overrides: Vec::new(),
            settled: Vec::new(),
            narrowing: None,
        }
    }
}

impl DatabaseConnector for FakeConnector {
    fn describe(&self, request: &Request, stop: &Stop) -> Result<Described> {
        stop.check()?;
        let mut journal = self.0.journal();
        journal.open += 1;
        journal.described += 1;
        drop(journal);
        Ok(Described {
            fields: vec![Field::new("v", "int", ColumnType::Int32)],
            queries: request.queries.clone(),
            reader: Box::new(FakeReader {
                database: Arc::clone(&self.0),
            }),
        })
    }

    fn connect(&self, _stop: &Stop) -> Result<Box<dyn Connection>> {
        Ok(Box::new(FakeConnection::default()))
    }
}

struct FakeReader {
    database: Arc<Database>,
}

impl Drop for FakeReader {
    fn drop(&mut self) {
        self.database.journal().open -= 1;
    }
}

impl FakeReader {
    /// Returns the script of a query; for a partition of the table `keys`, the rows between its
    /// cuts.
    fn steps(&self, query: &str) -> Result<Vec<Step>> {
        if let Some(steps) = self.database.scripts.get(query) {
            return Ok(steps.clone());
        }
        let words: Vec<&str> = query.split(' ').collect();
        let bound = |index: usize| words.get(index).and_then(|word| word.parse::<i64>().ok());
        let (lower, upper) = (bound(1), bound(2));
        if words.first() != Some(&"keys") {
            return Err(Error::configuration(format!(
                "no script is named {query:?}"
            )));
        }
        let is_in = |key: &Option<i64>| match key {
            None => lower.is_none(),
            Some(key) => lower.is_none_or(|l| l <= *key) && upper.is_none_or(|u| *key < u),
        };
        let keys = self.database.keys.iter().filter(|key| is_in(key));
        Ok(keys
            .map(|key| key.map_or(Step::Rows(-1..0), |key| Step::Rows(key..key + 1)))
            .collect())
    }

    fn read_steps(&self, query: &str, output: &mut Output, stop: &Stop) -> Result<()> {
        let mut rows: Vec<i64> = Vec::new();
        for step in self.steps(query)? {
            stop.check()?;
            match step {
                Step::Rows(values) => {
                    for value in values {
                        rows.push(value);
                        if !output.is_whole() && rows.len() == output.batch_rows() {
                            self.push(&mut rows, output)?;
                        }
                    }
                    output.meter.has_read(rows.len());
                }
                Step::Open(gate) => gate.open(),
                Step::Wait(gate) => gate.wait(stop)?,
                Step::WaitForStop => wait_until(|| false, stop)?,
                Step::Fail(message) => {
                    return Err(Error::Query {
                        message: message.to_owned(),
                        code: None,
                        partition: None,
                        is_transient: false,
                    });
                }
                Step::Widen => self.database.is_wide.store(true, Ordering::SeqCst),
                Step::Panic => panic!("a scripted fault"),
            }
        }
        self.push(&mut rows, output)
    }

    fn push(&self, rows: &mut Vec<i64>, output: &mut Output) -> Result<()> {
        let height = rows.len();
        let column = if self.database.is_wide.load(Ordering::SeqCst) {
            let mut builder = PrimitiveBuilder::<i64>::default();
            rows.drain(..).for_each(|value| builder.push(value));
            ChunkColumn {
                column_type: ColumnType::Int64,
                array: builder.finish(),
            }
        } else {
            let mut builder = PrimitiveBuilder::<i32>::default();
            for value in rows.drain(..) {
                let value = i32::try_from(value);
                builder.push(value.map_err(|e| Error::Internal(e.to_string()))?);
            }
            ChunkColumn {
                column_type: ColumnType::Int32,
                array: builder.finish(),
            }
        };
        let columns = vec![column];
        output.push(Chunk { height, columns })?;
        self.database.journal().pushed += 1;
        Ok(())
    }
}

/// A guard that counts a partition as being read until the guard is dropped, also by a panic.
struct Reading<'a>(&'a Database);

impl<'a> Reading<'a> {
    fn new(database: &'a Database, query: &str) -> Self {
        let mut journal = database.journal();
        journal.reads.push(query.to_owned());
        journal.now += 1;
        journal.most = journal.most.max(journal.now);
        drop(journal);
        Self(database)
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.journal().now -= 1;
    }
}

impl Reader for FakeReader {
    fn begin(&self, partitions: usize, max_sessions: usize, _stop: &Stop) -> Result<Option<usize>> {
        let less = |times: usize| times.checked_sub(1);
        let changes = &self.database.changes;
        if changes
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
            .is_ok()
        {
            return Ok(None);
        }
        Ok(Some(partitions.min(max_sessions)))
    }

    fn retire(&self) {
        self.database.journal().retired += 1;
    }

    fn release(&self) {}

    fn divide(&self, _target: Target, _stop: &Stop) -> Result<Division<'_>> {
        Ok(Division::Cut(Box::new(FakeDivided(&self.database))))
    }

    fn narrowed(
        &self,
        query: &str,
        _narrowing: &Narrowing,
        parameters: &Parameters,
        _stop: &Stop,
    ) -> Result<Statement> {
        Ok((query.to_owned(), parameters.clone()))
    }

    fn read_into(&self, partition: &Partition, output: &mut Output, stop: &Stop) -> Result<()> {
        let _reading = Reading::new(&self.database, &partition.query);
        output.meter.reach(Phase::Connected);
        self.read_steps(&partition.query, output, stop)
    }

    fn is_stale(&self, chunk: &Chunk) -> bool {
        let is_narrow = |column: &ChunkColumn| column.column_type == ColumnType::Int32;
        self.database.is_wide.load(Ordering::SeqCst) && chunk.columns.iter().any(is_narrow)
    }
}

/// The table `keys`, split by its keys.
struct FakeDivided<'a>(&'a Database);

impl Divisible for FakeDivided<'_> {
    fn sample(&self, _partitions: usize, _stop: &Stop) -> Result<Sample> {
        let mut keys = self.0.keys.clone();
        keys.sort_unstable();
        let mut sample: Vec<(Value, f64)> = Vec::new();
        for key in keys {
            let key = key.map_or(Value::Null, Value::Integer);
            match sample.last_mut() {
                Some((last, rows)) if *last == key => *rows += 1.0,
                _ => sample.push((key, 1.0)),
            }
        }
        Ok(Sample { keys: sample })
    }

    fn select(&self, lower: Option<&Value>, upper: Option<&Value>) -> String {
        let bound = |bound: Option<&Value>| match bound {
            Some(Value::Integer(key)) => key.to_string(),
            _ => "-".to_owned(),
        };
        format!("keys {} {}", bound(lower), bound(upper))
    }
}
