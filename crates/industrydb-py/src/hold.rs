//! A snapshot that a session holds; `python/industrydb/_hold.py` documents it.

use std::mem;
use std::process;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use industrydb_core::{Error, HeldSnapshot, Hold, Stop, executor};
use pyo3::prelude::*;

use crate::databases::{connector, from_uri};
use crate::errors::to_python;
use crate::signals::without_gil;

/// A session that holds a snapshot.
#[pyclass(module = "industrydb.industrydb", frozen)]
pub(crate) struct Holder {
    /// The snapshot; `None` once it is released.
    held: Mutex<Option<Box<dyn HeldSnapshot>>>,
    /// Id of the process that opened the session.
    process: u32,
}

#[pymethods]
impl Holder {
    /// Opens the session, with the locks of these queries and tables.
    #[new]
    fn new(
        py: Python<'_>,
        uri: &str,
        queries: Vec<String>,
        tables: Vec<String>,
        setup: Vec<String>,
        timeout: Option<Duration>,
    ) -> PyResult<Self> {
        let hold = Hold {
            queries,
            tables,
            setup,
        };
        let stop = Stop::default();
        let snapshot = without_gil(py, &stop, timeout, || {
            let connector = connector(&from_uri(uri)?)?;
            executor::hold(connector.as_ref(), &hold, &stop)
        })?;
        Ok(Self {
            held: Mutex::new(Some(snapshot)),
            process: process::id(),
        })
    }

    /// Returns the text by which a request of any process names the snapshot.
    fn token(&self, py: Python<'_>) -> PyResult<String> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let token = held.as_ref().map(|held| held.token().to_owned());
        token.ok_or_else(|| {
            let ended = Error::Closed(": the block of hold_snapshot has ended".to_owned());
            to_python(py, &ended)
        })
    }

    /// Ends the session. A fork leaves it to the process that opened it.
    fn release(&self, py: Python<'_>) {
        py.detach(|| self.end());
    }
}

impl Holder {
    fn end(&self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let held = held.take();
        if self.process != process::id() {
            mem::forget(held);
        }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.end();
    }
}
