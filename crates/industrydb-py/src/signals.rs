//! Runs work that signals can end, without the GIL.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use industrydb_core::{Error, Stop, workers};
use pyo3::intern;
use pyo3::prelude::*;

use crate::errors::{ConnectionClosedError, to_python};

/// Runs `work` without the GIL, which is taken only to check for signals. Ctrl-C and the timeout
/// set `stop`.
pub(crate) fn without_gil<T: Send>(
    py: Python<'_>,
    stop: &Stop,
    timeout: Option<Duration>,
    work: impl FnOnce() -> Result<T, Error> + Send,
) -> PyResult<T> {
    watched(py, stop, timeout, |_| Ok(()), work)
}

/// Runs `work` like [`without_gil`], and calls `show` whenever it has the GIL; an error from `show`
/// also ends the work.
pub(crate) fn watched<T: Send>(
    py: Python<'_>,
    stop: &Stop,
    timeout: Option<Duration>,
    show: impl Fn(Python<'_>) -> PyResult<()> + Sync,
    work: impl FnOnce() -> Result<T, Error> + Send,
) -> PyResult<T> {
    if is_finalizing(py) {
        let message =
            "Python is shutting down, and its threads have ended: read before the program ends";
        return Err(ConnectionClosedError::new_err(message));
    }
    let signal = Mutex::new(None);
    let tick = || {
        Python::attach(|py| match py.check_signals().and_then(|()| show(py)) {
            Ok(()) => true,
            Err(error) => {
                *signal.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                false
            }
        })
    };
    let result = py.detach(|| workers::interruptible(stop, timeout, tick, work));
    // The work may have ended before the next tick checked for signals.
    if let (Err(error), Ok(None)) = (py.check_signals(), signal.lock().as_deref()) {
        stop.set();
        return Err(error);
    }
    match signal.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(raised) => Err(raised),
        None => result.map_err(|error| to_python(py, &error)),
    }
}

/// Returns whether the interpreter is shutting down. A thread that asks for the GIL then waits for
/// ever.
fn is_finalizing(py: Python<'_>) -> bool {
    let asked = py
        .import(intern!(py, "sys"))
        .and_then(|sys| sys.call_method0(intern!(py, "is_finalizing")))
        .and_then(|answer| answer.is_truthy());
    asked.unwrap_or(true)
}
