//! Runs work that signals can end, without the GIL.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use industrydb_core::{Error, Stop, workers};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::errors::{ConnectionClosedError, to_python};
use crate::logging;

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
    reject_finalizing(py)?;
    logging::look(py)?;
    let raised = Raised::default();
    let tick = || raised.look(&show);
    let result = py.detach(|| workers::interruptible(stop, timeout, tick, work));
    raised.or(py, stop, result)
}

/// Runs `work` without the GIL on this thread, which saves the time to wake another one. The work
/// checks its stop signal several times a second, which looks for signals.
pub(crate) fn in_place<T: Send>(
    py: Python<'_>,
    work: impl FnOnce(&Stop) -> Result<T, Error> + Send,
) -> (Stop, PyResult<T>) {
    let raised = Raised::default();
    let looked = raised.clone();
    let stop = Stop::looking(move || looked.look(|_| Ok(())));
    let ready = reject_finalizing(py).and_then(|()| logging::look(py));
    let result = ready.and_then(|()| {
        let work = || workers::in_place(|| work(&stop));
        let result = py.detach(|| logging::aside(work));
        raised.or(py, &stop, result)
    });
    (stop, result)
}

/// The exception of a signal that has arrived during some work.
#[derive(Clone, Default)]
struct Raised(Arc<Mutex<Option<PyErr>>>);

impl Raised {
    /// Checks for signals, and calls `show`; returns `false` if one of them has raised.
    fn look(&self, show: impl Fn(Python<'_>) -> PyResult<()>) -> bool {
        let look = |py: Python<'_>| {
            py.check_signals()?;
            show(py)?;
            logging::look(py)
        };
        Python::attach(|py| match look(py) {
            Ok(()) => true,
            Err(error) => {
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                false
            }
        })
    }

    /// Returns the exception, or the result of the work if there is none. The work may have ended
    /// before the last signal was looked for.
    fn or<T>(&self, py: Python<'_>, stop: &Stop, result: Result<T, Error>) -> PyResult<T> {
        let raised = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (raised, py.check_signals()) {
            (Some(raised), _) => Err(raised),
            (None, Err(raised)) => {
                stop.set();
                Err(raised)
            }
            (None, Ok(())) => result.map_err(|error| to_python(py, &error)),
        }
    }
}

fn reject_finalizing(py: Python<'_>) -> PyResult<()> {
    if is_finalizing(py) {
        let message =
            "Python is shutting down, and its threads have ended: read before the program ends";
        return Err(ConnectionClosedError::new_err(message));
    }
    Ok(())
}

/// Returns whether the interpreter is shutting down. A thread that asks for the GIL then waits for
/// ever.
fn is_finalizing(py: Python<'_>) -> bool {
    static ASKED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let asked = ASKED
        .import(py, "sys", "is_finalizing")
        .and_then(Bound::call0)
        .and_then(|answer| answer.is_truthy());
    asked.unwrap_or(true)
}
