//! `read_sql`, from the call to the frame.

use std::sync::{Mutex, PoisonError};

use industrydb_core::executor::{self, Split};
use industrydb_core::{Error, Stop};
use polars_core::prelude::DataFrame;
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
    Ok(PyDataFrame(read(py, uri, query, partition_on, partitions)?))
}

/// The read itself; Python calls it through `read_sql`.
pub(crate) fn read(
    py: Python<'_>,
    uri: &str,
    query: &str,
    partition_on: Option<String>,
    partitions: usize,
) -> PyResult<DataFrame> {
    let split = partition_on.map(|column| Split { column, partitions });
    let stop = Stop::default();
    let interrupt = Mutex::new(None);
    let result = {
        let work = || {
            let connector = connector(uri)?;
            executor::read(connector.as_ref(), query, split.as_ref(), &stop)
        };
        without_gil(py, &stop, &interrupt, work)
    };
    match (
        result,
        interrupt
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner),
    ) {
        (_, Some(interrupt)) => Err(interrupt),
        (Ok(frame), None) => Ok(frame),
        (Err(error), None) => Err(to_python(py, &error)),
    }
}

/// Runs `work` without the GIL, which is taken only to look for signals: Ctrl-C ends the work.
fn without_gil<T: Send>(
    py: Python<'_>,
    stop: &Stop,
    interrupt: &Mutex<Option<PyErr>>,
    work: impl FnOnce() -> Result<T, Error> + Send,
) -> Result<T, Error> {
    let tick = || {
        Python::attach(|py| match py.check_signals() {
            Ok(()) => true,
            Err(error) => {
                *interrupt.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                false
            }
        })
    };
    py.detach(|| executor::interruptible(stop, tick, work))
}
