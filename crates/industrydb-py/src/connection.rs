//! A session that Python keeps: `python/industrydb/_connection.py` explains it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use industrydb_core::statements::{self, Condition, Selection, Statement};
use industrydb_core::{Answer, Connection, Error, Parameters, Result, Stop};
use pyo3::prelude::*;
use pyo3_polars::PyDataFrame;

use crate::config::PyDatabaseConfig;
use crate::databases::connector;
use crate::parameters::{PyParameters, PyValue};
use crate::read::without_gil;

/// A session with a database, whose calls wait for one another.
#[pyclass(module = "industrydb.industrydb", frozen)]
pub(crate) struct Session(Mutex<State>);

struct State {
    connection: Option<Box<dyn Connection>>,
    /// How many transactions have been begun, one within the other.
    depth: usize,
    /// Why there is no connection, as the end of a message.
    reason: String,
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
            Err(Error::Interrupted) => self.close(": a call was interrupted"),
            Err(Error::Internal(_)) => self.close(""),
            _ => {}
        }
        result
    }

    fn run(&mut self, statement: &str, stop: &Stop) -> Result<()> {
        self.with(|connection| connection.execute(statement, &Parameters::default(), stop))
            .map(drop)
    }

    fn close(&mut self, reason: &str) {
        self.connection = None;
        self.depth = 0;
        reason.clone_into(&mut self.reason);
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
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the session, without the GIL.
    fn call<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut State, &Stop) -> Result<T> + Send,
    ) -> PyResult<T> {
        let stop = Stop::default();
        without_gil(py, &stop, || work(&mut self.lock(), &stop))
    }

    /// Runs a statement that is made for a table; returns the number of rows that it concerned.
    fn change(
        &self,
        py: Python<'_>,
        statement: impl FnOnce(&statements::Dialect) -> Result<Statement> + Send,
    ) -> PyResult<u64> {
        self.call(py, |state, stop| {
            let answer = state.with(|connection| {
                let (sql, parameters) = statement(connection.dialect())?;
                connection.execute(&sql, &parameters, stop)
            })?;
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
        let connection = without_gil(py, &stop, || connector(&config)?.connect(&stop))?;
        Ok(Self(Mutex::new(State {
            connection: Some(connection),
            depth: 0,
            reason: String::new(),
        })))
    }

    #[expect(clippy::needless_pass_by_value, reason = "as they come from Python")]
    fn execute(
        &self,
        py: Python<'_>,
        statement: &str,
        parameters: PyParameters,
    ) -> PyResult<PyDataFrame> {
        let frame = self.call(py, |state, stop| {
            let answer = state.with(|c| c.execute(statement, &parameters.0, stop))?;
            answer.into_frame()
        })?;
        Ok(PyDataFrame(frame))
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
    ) -> PyResult<PyDataFrame> {
        let selection = Selection {
            columns,
            condition: condition(equal, sql, parameters),
            order_by,
            limit,
            offset,
        };
        let frame = self.call(py, |state, stop| {
            let answer = state.with(|connection| {
                let (sql, parameters) =
                    statements::select(connection.dialect(), table, &selection)?;
                connection.execute(&sql, &parameters, stop)
            })?;
            answer.into_frame()
        })?;
        Ok(PyDataFrame(frame))
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

    /// Begins a transaction, or a part of the one that has been begun; returns how deep it is.
    fn begin(&self, py: Python<'_>) -> PyResult<usize> {
        self.call(py, |state, stop| {
            let depth = state.depth;
            let statement = state.with(|connection| {
                let dialect = connection.dialect();
                Ok(match depth {
                    0 => dialect.begin.to_owned(),
                    depth => format!("{} {}", dialect.savepoint, savepoint(depth)),
                })
            })?;
            state.run(&statement, stop)?;
            state.depth += 1;
            Ok(state.depth)
        })
    }

    /// Keeps what the innermost transaction has done.
    fn commit(&self, py: Python<'_>) -> PyResult<()> {
        self.call(py, |state, stop| {
            let depth = state.depth.saturating_sub(1);
            let statement = state.with(|connection| {
                let dialect = connection.dialect();
                Ok(match depth {
                    0 => Some(dialect.commit.to_owned()),
                    depth => dialect
                        .release
                        .map(|release| format!("{release} {}", savepoint(depth))),
                })
            })?;
            state.depth = depth;
            statement.map_or(Ok(()), |statement| state.run(&statement, stop))
        })
    }

    /// Takes back what the innermost transaction has done.
    fn rollback(&self, py: Python<'_>) -> PyResult<()> {
        self.call(py, |state, stop| {
            let depth = state.depth.saturating_sub(1);
            let statements = state.with(|connection| {
                let dialect = connection.dialect();
                Ok(match depth {
                    0 => vec![dialect.rollback.to_owned()],
                    depth => [Some(dialect.rollback_to), dialect.release]
                        .into_iter()
                        .flatten()
                        .map(|word| format!("{word} {}", savepoint(depth)))
                        .collect(),
                })
            })?;
            state.depth = depth;
            statements
                .iter()
                .try_for_each(|statement| state.run(statement, stop))
        })
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
