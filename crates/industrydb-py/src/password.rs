//! A password that a Python function is asked for at each login.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use industrydb_core::{Error, Result, Secret, Stop};
use pyo3::prelude::*;

/// Interval at which a login that waits for the function checks whether the call was ended.
const TICK: Duration = Duration::from_millis(50);

/// A Python function that returns a password.
#[derive(Clone)]
pub(crate) struct Callable(Arc<Py<PyAny>>);

impl Callable {
    pub(crate) fn new(function: &Bound<'_, PyAny>) -> Self {
        Self(Arc::new(function.clone().unbind()))
    }

    /// Returns the function itself.
    pub(crate) fn function<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.0.bind(py).clone()
    }

    /// Returns the secret that asks the function. Secrets of the same function are equal.
    pub(crate) fn secret(&self) -> Secret {
        let callable = self.clone();
        let ask = move |stop: &Stop| callable.ask(stop);
        Secret::asked(self.0.as_ptr() as usize, Arc::new(ask))
    }

    /// Calls the function in a thread of its own, since it cannot be interrupted, and a call that
    /// waits for it can.
    fn ask(&self, stop: &Stop) -> Result<String> {
        let (answer, answered) = mpsc::channel();
        let callable = self.clone();
        let call = move || {
            let _ = answer.send(callable.call()); // nobody may wait for it any more
        };
        thread::Builder::new()
            .name("industrydb-password".to_owned())
            .spawn(call)
            .map_err(|error| Error::Internal(format!("cannot start a thread: {error}")))?;
        loop {
            match answered.recv_timeout(TICK) {
                Ok(password) => return password,
                Err(RecvTimeoutError::Timeout) => stop.check()?,
                Err(RecvTimeoutError::Disconnected) => return Err(refused("ended by itself")),
            }
        }
    }

    fn call(&self) -> Result<String> {
        let called = Python::try_attach(|py| {
            let returned = self.0.bind(py).call0().map_err(|error| {
                refused(&format!("raised {error}")) // the type and the text of the exception
            })?;
            returned.extract().map_err(|_| {
                let kind = returned.get_type();
                let kind = kind
                    .name()
                    .map_or_else(|_| "?".to_owned(), |name| name.to_string());
                refused(&format!("returned no str, but {kind}"))
            })
        });
        called.unwrap_or_else(|| Err(refused("was not called: Python is shutting down")))
    }
}

fn refused(why: &str) -> Error {
    Error::connection(format!("the function that password is asked from {why}"))
}
