//! A session that Python keeps: `python/industrydb/_connection.py` explains it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::thread::{self, ThreadId};
use std::time::Duration;
use std::{mem, process};

use industrydb_core::statements::{self, Condition, Selection, Statement};
use industrydb_core::{Answer, Connection, Error, Frame, OnConflict, Parameters, Result, Stop};
use pyo3::prelude::*;
use pyo3_polars::PyDataFrame;

use crate::config::PyDatabaseConfig;
use crate::databases::connector;
use crate::frame::Handed;
use crate::parameters::{PyParameters, PyValue};
use crate::read::without_gil;

/// A session with a database, whose calls wait for one another.
#[pyclass(module = "industrydb.industrydb", frozen)]
pub(crate) struct Session {
    state: Mutex<State>,
    /// The process whose session it is.
    process: u32,
}

struct State {
    connection: Option<Box<dyn Connection>>,
    /// How many transactions have been begun, one within the other.
    depth: usize,
    /// The thread that has begun them.
    owner: Option<ThreadId>,
    /// Why there is no connection, as the end of a message.
    reason: String,
    /// The process whose session it is.
    process: u32,
}

impl State {
    /// Uses the connection; an error behind which nobody knows what it is about to send closes it.
    fn with<T>(&mut self, work: impl FnOnce(&mut dyn Connection) -> Result<T>) -> Result<T> {
        let Some(connection) = &mut self.connection else {
            return Err(Error::Closed(self.reason.clone()));
        };
        let result = work(connection.as_mut());
        match &result {
            Err(Error::Connection { message, .. }) => {
                self.close(&format!(": it broke ({message})"));
            }
            Err(Error::Interrupted) => self.close(INTERRUPTED),
            Err(Error::Internal(_)) => self.close(""),
            _ => {}
        }
        result
    }

    /// Runs a statement of the caller's.
    fn execute(&mut self, statement: &str, parameters: &Parameters, stop: &Stop) -> Result<Answer> {
        let depth = self.depth;
        self.with(|connection| {
            if depth > 0 && connection.in_transaction() == Some(false) {
                return Err(ended());
            }
            connection.execute(statement, parameters, stop)
        })
    }

    fn insert(
        &mut self,
        table: &str,
        frame: &Frame,
        on_conflict: OnConflict,
        stop: &Stop,
    ) -> Result<u64> {
        let depth = self.depth;
        self.with(|connection| {
            if depth > 0 && connection.in_transaction() == Some(false) {
                return Err(ended());
            }
            connection.insert(table, frame, on_conflict, stop)
        })
    }

    fn run(&mut self, statement: &str, stop: &Stop) -> Result<()> {
        self.with(|connection| connection.execute(statement, &Parameters::default(), stop))
            .map(drop)
    }

    fn begin(&mut self, owner: ThreadId, stop: &Stop) -> Result<usize> {
        let depth = self.depth;
        if depth > 0 && self.owner != Some(owner) {
            return Err(Error::configuration(
                "another thread is in a transaction of this connection: give each thread its own",
            ));
        }
        let statement = self.with(|connection| {
            let dialect = connection.dialect();
            match (depth, connection.in_transaction()) {
                (0, Some(true)) => Err(Error::configuration(
                    "a statement has begun a transaction that is still open: end it first",
                )),
                (0, _) => Ok(dialect.begin.to_owned()),
                (_, Some(false)) => Err(ended()),
                (depth, _) => Ok(format!("{} {}", dialect.savepoint, savepoint(depth))),
            }
        })?;
        self.run(&statement, stop)?;
        self.depth += 1;
        self.owner = Some(owner);
        Ok(self.depth)
    }

    /// Keeps what the transaction at a depth has done.
    fn commit(&mut self, depth: usize, stop: &Stop) -> Result<()> {
        if depth != self.depth {
            self.roll_back(1, stop)?;
            return Err(Error::configuration(
                "a transaction that was begun within this one has not ended, or this one has: all is taken back",
            ));
        }
        let statement = self.with(|connection| {
            if connection.in_transaction() == Some(false) {
                return Err(ended());
            }
            let dialect = connection.dialect();
            Ok(match depth - 1 {
                0 => Some(dialect.commit.to_owned()),
                part => dialect
                    .release
                    .map(|release| format!("{release} {}", savepoint(part))),
            })
        });
        let kept = match statement {
            Ok(Some(statement)) => self.run(&statement, stop),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if kept.is_err() {
            let _ = self.roll_back(depth, stop); // why it could not be kept is what counts
        }
        self.depth = self.depth.min(depth - 1);
        kept
    }

    /// Takes back what the transaction at a depth has done, and those within it.
    fn roll_back(&mut self, depth: usize, stop: &Stop) -> Result<()> {
        if depth > self.depth {
            return Ok(()); // it has been
        }
        self.depth = depth - 1;
        let statements = self.with(|connection| {
            let dialect = connection.dialect();
            Ok(match (connection.in_transaction(), depth - 1) {
                (Some(false), _) => Vec::new(),
                (_, 0) => vec![dialect.rollback.to_owned()],
                (_, part) => [Some(dialect.rollback_to), dialect.release]
                    .into_iter()
                    .flatten()
                    .map(|word| format!("{word} {}", savepoint(part)))
                    .collect(),
            })
        })?;
        let mut statements = statements.iter();
        statements.try_for_each(|statement| self.run(statement, stop))
    }

    fn close(&mut self, reason: &str) {
        self.connection = None;
        self.depth = 0;
        reason.clone_into(&mut self.reason);
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if self.process != process::id() {
            // To say goodbye would end the session of the process that this one was forked from.
            mem::forget(self.connection.take());
        }
    }
}

const INTERRUPTED: &str = ": a call was interrupted";

/// How long a call waits before it looks again whether another one has ended.
const POLL: Duration = Duration::from_millis(1);

fn ended() -> Error {
    Error::Query {
        message: "the transaction of this block has ended by itself, or by a statement: nothing more belongs to it"
            .to_owned(),
        code: None,
        partition: None,
    }
}

/// The name of a part of a transaction.
fn savepoint(depth: usize) -> String {
    format!("industrydb_{depth}")
}

/// Which rows: those with some values, or for which an expression is true.
fn condition(
    equal: Option<Vec<(String, PyValue)>>,
    sql: Option<String>,
    parameters: PyParameters,
) -> Condition {
    match (equal, sql) {
        (Some(pairs), _) => Condition::Equal(
            pairs
                .into_iter()
                .map(|(name, value)| (name, value.0))
                .collect(),
        ),
        (None, Some(sql)) => Condition::Sql(sql, parameters.0),
        (None, None) => Condition::All,
    }
}

impl Session {
    /// Waits until no other thread's call uses the session. In a process that was forked meanwhile, that would be never.
    fn lock(&self, stop: &Stop) -> Result<MutexGuard<'_, State>> {
        if self.process != process::id() {
            return Err(Error::Closed(
                ": it belongs to the process that this one was forked from".to_owned(),
            ));
        }
        loop {
            match self.state.try_lock() {
                Ok(state) => return Ok(state),
                Err(TryLockError::Poisoned(state)) => {
                    // Nobody knows what the call that panicked has left.
                    let mut state = state.into_inner();
                    state.close(": an earlier call failed in the middle");
                    self.state.clear_poison();
                    return Ok(state);
                }
                Err(TryLockError::WouldBlock) => thread::sleep(POLL),
            }
            stop.check()?;
        }
    }

    /// Does something with the session, without the GIL. A signal that raises closes it, also where the work was done
    /// before: the caller will not know.
    fn call<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut State, &Stop) -> Result<T> + Send,
    ) -> PyResult<T> {
        let stop = Stop::default();
        let was_used = AtomicBool::new(false);
        let result = without_gil(py, &stop, None, || {
            let mut state = self.lock(&stop)?;
            was_used.store(true, Ordering::Relaxed);
            work(&mut state, &stop)
        });
        if stop.is_set() && was_used.load(Ordering::Relaxed) {
            py.detach(|| {
                if let Ok(mut state) = self.lock(&Stop::default()) {
                    state.close(INTERRUPTED);
                }
            });
        }
        result
    }

    /// Runs a statement that is made for a table; returns the number of rows that it concerned.
    fn change(
        &self,
        py: Python<'_>,
        statement: impl FnOnce(&statements::Dialect) -> Result<Statement> + Send,
    ) -> PyResult<u64> {
        self.call(py, |state, stop| {
            let (sql, parameters) = state.with(|connection| statement(connection.dialect()))?;
            let answer = state.execute(&sql, &parameters, stop)?;
            Ok(match answer {
                Answer::Changed(rows) => rows,
                Answer::Rows(_, chunk) => chunk.height as u64,
            })
        })
    }
}

#[pymethods]
impl Session {
    #[new]
    fn new(py: Python<'_>, config: &Bound<'_, PyDatabaseConfig>) -> PyResult<Self> {
        let config = config.get().0.clone();
        let stop = Stop::default();
        let connection = without_gil(py, &stop, None, || connector(&config)?.connect(&stop))?;
        let state = Mutex::new(State {
            connection: Some(connection),
            depth: 0,
            owner: None,
            reason: String::new(),
            process: process::id(),
        });
        Ok(Self {
            state,
            process: process::id(),
        })
    }

    #[expect(clippy::needless_pass_by_value, reason = "as they come from Python")]
    fn execute(
        &self,
        py: Python<'_>,
        statement: &str,
        parameters: PyParameters,
    ) -> PyResult<Handed> {
        let frame = self.call(py, |state, stop| {
            state.execute(statement, &parameters.0, stop)?.into_frame()
        })?;
        Ok(Handed(frame))
    }

    #[expect(clippy::too_many_arguments, reason = "as Python's own")]
    fn select(
        &self,
        py: Python<'_>,
        table: &str,
        columns: Vec<String>,
        equal: Option<Vec<(String, PyValue)>>,
        sql: Option<String>,
        parameters: PyParameters,
        order_by: Vec<(String, bool)>,
        limit: Option<u64>,
        offset: Option<u64>,
    ) -> PyResult<Handed> {
        let selection = Selection {
            columns,
            condition: condition(equal, sql, parameters),
            order_by,
            limit,
            offset,
        };
        let frame = self.call(py, |state, stop| {
            let (sql, parameters) = state
                .with(|connection| statements::select(connection.dialect(), table, &selection))?;
            state.execute(&sql, &parameters, stop)?.into_frame()
        })?;
        Ok(Handed(frame))
    }

    fn update(
        &self,
        py: Python<'_>,
        table: &str,
        values: Vec<(String, PyValue)>,
        equal: Option<Vec<(String, PyValue)>>,
        sql: Option<String>,
        parameters: PyParameters,
    ) -> PyResult<u64> {
        let set: Vec<_> = values
            .into_iter()
            .map(|(name, value)| (name, value.0))
            .collect();
        let condition = condition(equal, sql, parameters);
        self.change(py, |dialect| {
            statements::update(dialect, table, &set, &condition)
        })
    }

    fn delete(
        &self,
        py: Python<'_>,
        table: &str,
        equal: Option<Vec<(String, PyValue)>>,
        sql: Option<String>,
        parameters: PyParameters,
    ) -> PyResult<u64> {
        let condition = condition(equal, sql, parameters);
        self.change(py, |dialect| statements::delete(dialect, table, &condition))
    }

    fn insert(
        &self,
        py: Python<'_>,
        table: &str,
        frame: PyDataFrame,
        on_conflict: &str,
    ) -> PyResult<u64> {
        let on_conflict = match on_conflict {
            "ignore" => OnConflict::Ignore,
            "replace" => OnConflict::Replace,
            _ => OnConflict::Error,
        };
        self.call(py, |state, stop| {
            let frame = Frame::new(frame.0)?;
            state.insert(table, &frame, on_conflict, stop)
        })
    }

    /// Makes a table for a frame, and adds its rows.
    fn write(
        &self,
        py: Python<'_>,
        table: &str,
        frame: PyDataFrame,
        if_exists: &str,
    ) -> PyResult<u64> {
        let if_exists = if_exists.to_owned();
        let owner = thread::current().id();
        self.call(py, |state, stop| {
            let frame = Frame::new(frame.0)?;
            state.with(|connection| connection.dialect().target(table, &frame).map(drop))?;
            let has_table = state.with(|connection| connection.has_table(table, stop))?;
            let mut statements = Vec::new();
            state.with(|connection| {
                let dialect = connection.dialect();
                if has_table && if_exists == "replace" {
                    statements.push(format!("DROP TABLE {}", dialect.table(table)?));
                }
                if !has_table || if_exists != "append" {
                    statements.push(statements::create_table(dialect, table, &frame)?);
                }
                Ok(())
            })?;
            let depth = state.begin(owner, stop)?;
            let written = statements
                .iter()
                .try_for_each(|statement| state.run(statement, stop))
                .and_then(|()| state.insert(table, &frame, OnConflict::Error, stop));
            match written {
                Ok(rows) => state.commit(depth, stop).map(|()| rows),
                Err(error) => {
                    let _ = state.roll_back(depth, stop); // the first error is what counts
                    Err(error)
                }
            }
        })
    }

    /// Begins a transaction, or a part of the one that has been begun; returns how deep it is.
    fn begin(&self, py: Python<'_>) -> PyResult<usize> {
        let owner = thread::current().id();
        self.call(py, |state, stop| state.begin(owner, stop))
    }

    /// Keeps what the transaction at a depth has done.
    fn commit(&self, py: Python<'_>, depth: usize) -> PyResult<()> {
        self.call(py, |state, stop| state.commit(depth.max(1), stop))
    }

    /// Takes back what the transaction at a depth has done.
    fn rollback(&self, py: Python<'_>, depth: usize) -> PyResult<()> {
        self.call(py, |state, stop| state.roll_back(depth.max(1), stop))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.call(py, |state, _| {
            if state.connection.is_some() {
                state.close("");
            }
            Ok(())
        })
    }

    fn is_closed(&self, py: Python<'_>) -> PyResult<bool> {
        self.call(py, |state, _| Ok(state.connection.is_none()))
    }
}
