//! A read that returns its result to Python batch by batch; `python/industrydb/_read/batches.py`
//! documents it.

use std::process;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use industrydb_core::stream::{self, Options, Stream};
use industrydb_core::{ColumnType, Error, Result, Stop};
use pyo3::prelude::*;

use crate::call::Call;
use crate::dtypes::PyColumnType;
use crate::errors::to_python;
use crate::frame::Handed;
use crate::interrupts::PyStop;
use crate::logging;
use crate::measured::{Measured, measured};
use crate::signals::without_gil;

/// Returns a frame without rows, with the schema of all batches.
#[pyfunction]
pub(crate) fn schema_sql(py: Python<'_>, call: Call) -> PyResult<Handed> {
    let timeout = call.timeout;
    let (database, request, _) = call.into_parts();
    let stop = Stop::default();
    let schema = without_gil(py, &stop, timeout, || {
        let connector = database.connector_until(&stop)?;
        stream::schema(connector.as_ref(), &request, &stop)
    })?;
    Ok(Handed(schema))
}

/// A read that returns its result batch by batch, to one or several threads.
#[pyclass(module = "industrydb.industrydb", frozen, name = "Stream")]
pub(crate) struct PyStream {
    /// The read; `None` once it is closed.
    stream: RwLock<Option<Stream>>,
    stop: Stop,
    /// Whether the read has the session of a connection.
    is_lent: bool,
    /// Id of the process whose threads run the read.
    process: u32,
}

#[pymethods]
impl PyStream {
    /// Starts the read; `stop` ends it from outside, also during planning. `settled` holds the types
    /// of all columns if a plan has found them.
    #[new]
    #[pyo3(signature = (call, batch_rows, separately, known, stop=None, settled=None))]
    fn new(
        py: Python<'_>,
        call: Call,
        batch_rows: usize,
        separately: bool,
        known: Vec<(String, PyColumnType)>,
        stop: Option<&PyStop>,
        settled: Option<Vec<(String, PyColumnType)>>,
    ) -> PyResult<Self> {
        let types = |named: Vec<(String, PyColumnType)>| -> Vec<(String, ColumnType)> {
            named
                .into_iter()
                .map(|(name, known)| (name, known.0))
                .collect()
        };
        let settled = types(settled.unwrap_or_default());
        let options = Options {
            batch_rows,
            separately,
            max_sessions: call.max_sessions(),
            known: types(known).into_iter().chain(settled.clone()).collect(),
            timeout: call.timeout,
        };
        let is_lent = call.session.is_some();
        let (database, mut request, split) = call.into_parts();
        request.settled = settled;
        let stop = stop.map_or_else(Stop::default, |stop| stop.0.clone());
        let stream = without_gil(py, &stop, options.timeout, || {
            let connector = database.connector_until(&stop)?;
            Stream::start(
                connector.as_ref(),
                &request,
                split.as_ref(),
                &options,
                &stop,
            )
        })?;
        Ok(Self {
            stream: RwLock::new(Some(stream)),
            stop,
            is_lent,
            process: process::id(),
        })
    }

    /// Returns a frame without rows, with the schema of all batches.
    fn schema(&self, py: Python<'_>) -> PyResult<Handed> {
        self.with(py, |stream| Handed(stream.schema().clone()))
    }

    /// Returns each partition's query and estimated rows.
    fn partitions(&self, py: Python<'_>) -> PyResult<Vec<(String, Option<f64>)>> {
        let part = |part: &industrydb_core::partition::Partition| {
            (part.query.clone(), part.estimated_rows)
        };
        self.with(py, |stream| stream.partitions().iter().map(part).collect())
    }

    fn measured(&self, py: Python<'_>) -> PyResult<Vec<Measured>> {
        self.with(py, |stream| measured(stream.meters()))
    }

    /// Returns the next batch of a channel; `None` after the last batch of a partition.
    fn receive(&self, py: Python<'_>, channel: usize) -> PyResult<Option<Handed>> {
        loop {
            logging::look(py)?;
            let message = py.detach(|| match &*self.read()? {
                Some(stream) if channel < stream.channel_count() => Ok(stream.receive(channel)),
                Some(_) => Err(Error::configuration(format!(
                    "there is no partition {channel}"
                ))),
                None => Err(self.closed()),
            });
            match message.map_err(|error| to_python(py, &error))? {
                Some(Ok(batch)) => return Ok(batch.map(Handed)),
                // The read was closed or stopped from outside meanwhile.
                Some(Err(Error::Interrupted)) => {
                    return Err(to_python(py, &self.closed()));
                }
                Some(Err(error)) => return Err(to_python(py, &error)),
                None => py.check_signals()?,
            }
        }
    }

    /// Ends the read; threads that wait for a batch get an error.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.end());
    }
}

impl PyStream {
    /// Returns the error for a read that was ended before its last row.
    fn closed(&self) -> Error {
        Error::Closed(if self.is_lent {
            " for this reader: it was closed, or its connection or transaction has ended".to_owned()
        } else {
            String::new()
        })
    }

    fn read(&self) -> Result<RwLockReadGuard<'_, Option<Stream>>> {
        if process::id() != self.process {
            return Err(Error::Closed(
                ": it belongs to the process that opened it".to_owned(),
            ));
        }
        Ok(self.stream.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn with<T: Send>(&self, py: Python<'_>, look: impl Fn(&Stream) -> T + Sync) -> PyResult<T> {
        let seen = py.detach(|| match &*self.read()? {
            Some(stream) => Ok(look(stream)),
            None => Err(self.closed()),
        });
        seen.map_err(|error| to_python(py, &error))
    }

    fn end(&self) {
        if process::id() != self.process {
            // A fork lacks the read's threads, and a lock that one of them held is never released.
            if let Ok(mut stream) = self.stream.try_write()
                && let Some(mut stream) = stream.take()
            {
                stream.forget();
            }
            return;
        }
        self.stop.set(); // threads that wait for a batch release the lock
        let stream = self
            .stream
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(stream);
    }
}

impl Drop for PyStream {
    /// Ends the read without the GIL, which its threads may need for log messages.
    fn drop(&mut self) {
        if Python::try_attach(|py| py.detach(|| self.end())).is_none() {
            self.end();
        }
    }
}
