//! A session that Python keeps; `python/industrydb/_connection.py` documents it.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use industrydb_core::dialect::Dialect;
use industrydb_core::kept;
use industrydb_core::statements::{self, Condition, Selection, Statement};
use industrydb_core::table::{self, IfExists};
use industrydb_core::{
    Answer, Error, Frame, KeptConnection, Lent, OnConflict, Request, Result, Stop,
};
use pyo3::prelude::*;
use pyo3_polars::PyDataFrame;

use crate::config::PyDatabaseConfig;
use crate::databases::connector;
use crate::errors::ConfigurationError;
use crate::frame::Handed;
use crate::parameters::{PyParameters, PyValue};
use crate::signals::{in_place, without_gil};

/// A session with a database, which runs the calls of several threads one after another.
#[pyclass(module = "industrydb.industrydb", frozen)]
pub(crate) struct Session {
    state: Arc<Mutex<KeptConnection>>,
    /// Whether statements may run on the thread that calls, which has to look for signals.
    in_place: bool,
    /// Thread that runs a call itself.
    caller: Mutex<Option<ThreadId>>,
    /// Id of the process that opened the session.
    process: u32,
}

/// Interval at which a waiting call checks whether the session is free.
const POLL: Duration = Duration::from_millis(1);

/// Creates the condition on rows: equal to some values, an SQL expression, or none.
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
    /// Locks the session once no other thread's call uses it. Fails in a forked process, where the
    /// lock might never be released.
    fn lock(&self, stop: &Stop) -> Result<MutexGuard<'_, KeptConnection>> {
        if self.process != process::id() {
            return Err(Error::Closed(
                ": it belongs to the process that this one was forked from".to_owned(),
            ));
        }
        loop {
            match self.state.try_lock() {
                Ok(state) => return Ok(state),
                Err(TryLockError::Poisoned(state)) => {
                    // The call that panicked may have left the session in any state.
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

    /// Returns the thread that runs a call itself.
    fn caller(&self) -> MutexGuard<'_, Option<ThreadId>> {
        self.caller.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lends the session to a read of the query, which `stop` ends.
    pub(crate) fn lend(&self, query: &str, stop: &Stop) -> Result<Lent> {
        let lent = self.lock(stop)?.lend(query, stop)?;
        Ok(Lent::new(lent, Arc::clone(&self.state)))
    }

    /// Reads the only query of a request into one frame; `stop` ends the read from outside.
    pub(crate) fn read(
        &self,
        py: Python<'_>,
        request: &Request,
        timeout: Option<Duration>,
        stop: &Stop,
    ) -> PyResult<Handed> {
        let frame = self.call_within(py, stop, timeout, |state, stop| {
            state.read(request, stop)?.into_frame()
        })?;
        Ok(Handed(frame))
    }

    /// Locks the session like [`lock`](Session::lock), without a read that has it: ends such a read,
    /// and waits until it has given the session back.
    fn lock_alone(&self, stop: &Stop) -> Result<MutexGuard<'_, KeptConnection>> {
        loop {
            let state = self.lock(stop)?;
            if !state.stop_reader() {
                return Ok(state);
            }
            drop(state);
            thread::sleep(POLL);
            stop.check()?;
        }
    }

    /// Refuses a call within another one of this thread, which would wait for itself.
    pub(crate) fn reject_nested(&self) -> PyResult<()> {
        if *self.caller() == Some(thread::current().id()) {
            return Err(ConfigurationError::new_err(
                "a signal has interrupted a call of this connection, and its handler calls it again: \
                 give the handler a connection of its own",
            ));
        }
        Ok(())
    }

    /// Runs a statement like [`call`](Session::call), on this thread if the session allows that.
    fn run<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut KeptConnection, &Stop) -> Result<T> + Send,
    ) -> PyResult<T> {
        if !self.in_place {
            return self.call(py, work);
        }
        self.reject_nested()?;
        let was_used = AtomicBool::new(false);
        let (stop, result) = in_place(py, |stop| {
            let mut state = self.lock(stop)?;
            let _called = Called::here(self);
            was_used.store(true, Ordering::Relaxed);
            work(&mut state, stop)
        });
        self.close_interrupted(py, &stop, &was_used);
        result
    }

    /// Runs work on the session, without the GIL. A signal that raises also closes the session,
    /// even if the work was already done: the caller cannot know whether it was.
    fn call<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut KeptConnection, &Stop) -> Result<T> + Send,
    ) -> PyResult<T> {
        self.call_within(py, &Stop::default(), None, work)
    }

    /// Runs work like [`call`](Session::call); `stop` and the timeout end it, too, and close the
    /// session.
    fn call_within<T: Send>(
        &self,
        py: Python<'_>,
        stop: &Stop,
        timeout: Option<Duration>,
        work: impl FnOnce(&mut KeptConnection, &Stop) -> Result<T> + Send,
    ) -> PyResult<T> {
        self.reject_nested()?;
        let was_used = AtomicBool::new(false);
        let result = without_gil(py, stop, timeout, || {
            let mut state = self.lock(stop)?;
            was_used.store(true, Ordering::Relaxed);
            work(&mut state, stop)
        });
        self.close_interrupted(py, stop, &was_used);
        result
    }

    /// Closes the session if its work was to stop: nobody knows how far it came.
    fn close_interrupted(&self, py: Python<'_>, stop: &Stop, was_used: &AtomicBool) {
        if stop.is_set() && was_used.load(Ordering::Relaxed) {
            py.detach(|| {
                if let Ok(mut state) = self.lock(&Stop::default()) {
                    state.close(kept::INTERRUPTED);
                }
            });
        }
    }

    /// Runs a statement that is built for the dialect; returns the number of rows that it changed
    /// or returned.
    fn change(
        &self,
        py: Python<'_>,
        statement: impl FnOnce(&Dialect) -> Result<Statement> + Send,
    ) -> PyResult<u64> {
        self.run(py, |state, stop| {
            let (sql, parameters) = state.with(|connection| statement(connection.dialect()))?;
            let answer = state.execute(&sql, &parameters, stop)?;
            Ok(match answer {
                Answer::Changed(rows) => rows,
                Answer::Rows(_, chunk) => chunk.height as u64,
            })
        })
    }
}

/// Marks a session as called by this thread, until it is dropped.
struct Called<'a>(&'a Session);

impl<'a> Called<'a> {
    fn here(session: &'a Session) -> Self {
        *session.caller() = Some(thread::current().id());
        Self(session)
    }
}

impl Drop for Called<'_> {
    fn drop(&mut self) {
        *self.0.caller() = None;
    }
}

#[pymethods]
impl Session {
    #[new]
    fn new(py: Python<'_>, config: &Bound<'_, PyDatabaseConfig>) -> PyResult<Self> {
        let config = config.get().config.clone();
        let stop = Stop::default();
        let connection = without_gil(py, &stop, None, || connector(&config)?.connect(&stop))?;
        let kept = KeptConnection::new(connection);
        Ok(Self {
            in_place: kept.checks_often(),
            state: Arc::new(Mutex::new(kept)),
            caller: Mutex::new(None),
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
        let frame = self.run(py, |state, stop| {
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
        let frame = self.run(py, |state, stop| {
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

    /// Inserts a frame; errors count its rows from `rows_before`, those of earlier frames.
    #[pyo3(signature = (table, frame, on_conflict, rows_before=0))]
    fn insert(
        &self,
        py: Python<'_>,
        table: &str,
        frame: PyDataFrame,
        on_conflict: &str,
        rows_before: usize,
    ) -> PyResult<u64> {
        let on_conflict = match on_conflict {
            "ignore" => OnConflict::Ignore,
            "replace" => OnConflict::Replace,
            _ => OnConflict::Error,
        };
        self.call(py, |state, stop| {
            let frame = Frame::new(frame.0)?;
            let inserted = state.insert(table, &frame, on_conflict, stop);
            inserted.map_err(|mut error| {
                if let Error::Conversion(conversion) = &mut error {
                    conversion.row = conversion.row.map(|row| row + rows_before);
                }
                error
            })
        })
    }

    /// Inserts a frame into a table, which is created or replaced as `if_exists` says.
    fn write(
        &self,
        py: Python<'_>,
        table: &str,
        frame: PyDataFrame,
        if_exists: &str,
    ) -> PyResult<u64> {
        let if_exists = match if_exists {
            "append" => IfExists::Append,
            "replace" => IfExists::Replace,
            _ => IfExists::Fail,
        };
        let owner = thread::current().id();
        self.call(py, |state, stop| {
            let frame = Frame::new(frame.0)?;
            table::write(state, table, &frame, if_exists, owner, stop)
        })
    }

    /// Returns whether statements that create tables are part of a transaction.
    fn creates_in_transaction(&self, py: Python<'_>) -> PyResult<bool> {
        self.call(py, |state, _| {
            state.with(|connection| Ok(connection.dialect().rename_tables.is_none()))
        })
    }

    /// Begins a transaction, or a savepoint within the open one; returns its depth.
    fn begin(&self, py: Python<'_>) -> PyResult<usize> {
        let owner = thread::current().id();
        self.run(py, |state, stop| state.begin(owner, stop))
    }

    /// Commits the transaction or savepoint at a depth; rolls it back if a read still has the session.
    fn commit(&self, py: Python<'_>, depth: usize) -> PyResult<()> {
        let committed = self.run(py, |state, stop| state.commit(depth.max(1), stop));
        if committed.is_err() {
            let _ = self.rollback(py, depth); // the error of the commit counts
        }
        committed
    }

    /// Rolls back the transaction or savepoint at a depth, after a read that has the session. A
    /// signal that ends the wait for the session closes it: its transaction would stay open.
    fn rollback(&self, py: Python<'_>, depth: usize) -> PyResult<()> {
        self.reject_nested()?;
        let work = |stop: &Stop| {
            let mut state = self.lock_alone(stop)?;
            let _called = self.in_place.then(|| Called::here(self));
            state.roll_back(depth.max(1), stop)
        };
        let (stop, result) = if self.in_place {
            in_place(py, work)
        } else {
            let stop = Stop::default();
            let result = without_gil(py, &stop, None, || work(&stop));
            (stop, result)
        };
        self.close_interrupted(py, &stop, &AtomicBool::new(true));
        result
    }

    /// Closes the session, after a read that has it.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.reject_nested()?;
        let stop = Stop::default();
        without_gil(py, &stop, None, || {
            let mut state = self.lock_alone(&stop)?;
            if !state.is_closed() {
                state.close("");
            }
            Ok(())
        })
    }

    /// Returns whether the session is open, closed, or in use by a call, without waiting for it.
    fn state(&self) -> &'static str {
        match self.state.try_lock() {
            Ok(state) if state.is_lent() => "busy",
            Ok(state) if !state.is_closed() => "open",
            Ok(_) | Err(TryLockError::Poisoned(_)) => "closed",
            Err(TryLockError::WouldBlock) => "busy",
        }
    }

    fn is_closed(&self, py: Python<'_>) -> PyResult<bool> {
        self.call(py, |state, _| Ok(state.is_closed()))
    }
}
