//! `read_sql`, from the call to the frame.

use std::sync::{Mutex, PoisonError};

use industrydb_core::executor::{self, Split};
use industrydb_core::{Error, Stop};
use pyo3::prelude::*;
use pyo3_polars::PyDataFrame;

use crate::databases::connector;
use crate::errors::to_python;

/// Reads a query into one frame. The arguments are explained in `python/industrydb/_read.py`.
#[pyfunction]
pub(crate) fn read_sql(
    py: Python<'_>,
    uri: &str,
    query: &str,
    partition_on: Option<String>,
    partitions: usize,
) -> PyResult<PyDataFrame> {
    let split = partition_on.map(|column| Split { column, partitions });
    let stop = Stop::default();
    let frame = without_gil(py, &stop, || {
        let connector = connector(uri)?;
        executor::read(connector.as_ref(), query, split.as_ref(), &stop)
    })?;
    Ok(PyDataFrame(frame))
}

/// Runs `work` without the GIL, which is taken only to look for signals: Ctrl-C sets `stop`.
fn without_gil<T: Send>(
    py: Python<'_>,
    stop: &Stop,
    work: impl FnOnce() -> Result<T, Error> + Send,
) -> PyResult<T> {
    let signal = Mutex::new(None);
    let tick = || {
        Python::attach(|py| match py.check_signals() {
            Ok(()) => true,
            Err(error) => {
                *signal.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                false
            }
        })
    };
    let result = py.detach(|| executor::interruptible(stop, tick, work));
    match signal.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(raised) => Err(raised),
        None => result.map_err(|error| to_python(py, &error)),
    }
}
