//! The arguments of a call.

use std::time::Duration;

use industrydb_core::{DatabaseConnector, Request, Result, Secret, Split, Stop, executor};
use pyo3::prelude::*;

use crate::connection::Session;
use crate::databases::{connector, from_uri};
use crate::dtypes::PyColumnType;
use crate::filter::PyNarrowing;
use crate::parameters::{PyParameters, PyValue};
use crate::password::Callable;

/// The database of a call.
pub(crate) struct Address {
    uri: String,
    /// The password if a function is asked for it.
    password: Option<Secret>,
    /// The open session to read on, if there is one, and the query that it reads.
    session: Option<(Py<Session>, String)>,
}

impl Address {
    /// Creates the connector of the database.
    pub(crate) fn connector(&self) -> Result<Box<dyn DatabaseConnector>> {
        let mut config = from_uri(&self.uri)?;
        if let Some(password) = &self.password {
            config.password = Some(password.clone());
        }
        connector(&config)
    }

    /// Creates the connector of the database, or of the open session, which is lent until the read
    /// has ended; `stop` ends the read.
    pub(crate) fn connector_until(&self, stop: &Stop) -> Result<Box<dyn DatabaseConnector>> {
        match &self.session {
            Some((session, query)) => Ok(Box::new(session.get().lend(query, stop)?)),
            None => self.connector(),
        }
    }
}

/// Returns the secret of a function that returns a password, or `None` for Python's `None`.
fn password(function: &Bound<'_, PyAny>) -> Option<Secret> {
    (!function.is_none()).then(|| Callable::new(function).secret())
}

/// The arguments of a call, which `python/industrydb/_request.py` has checked, and documents.
pub(crate) struct Call {
    uri: String,
    password: Option<Secret>,
    pub(crate) session: Option<Py<Session>>,
    queries: Vec<String>,
    parameters: PyParameters,
    setup: Vec<String>,
    snapshot: bool,
    held: Option<String>,
    max_connections: Option<usize>,
    partition_on: Option<String>,
    partitions: Option<usize>,
    cuts: Option<Vec<PyValue>>,
    pub(crate) timeout: Option<Duration>,
    overrides: Vec<(String, PyColumnType)>,
    narrowing: Option<PyNarrowing>,
}

impl<'a, 'py> FromPyObject<'a, 'py> for Call {
    type Error = PyErr;

    /// Extracts the attributes by hand: the derived implementation would wrap their errors.
    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let session: Option<Py<Session>> = object.getattr("session")?.extract()?;
        if let Some(session) = &session {
            session.get().reject_nested()?;
        }
        Ok(Self {
            uri: object.getattr("uri")?.extract()?,
            password: password(&object.getattr("password")?),
            session,
            queries: object.getattr("queries")?.extract()?,
            parameters: object.getattr("parameters")?.extract()?,
            setup: object.getattr("setup")?.extract()?,
            snapshot: object.getattr("snapshot")?.extract()?,
            held: object.getattr("held")?.extract()?,
            max_connections: object.getattr("max_connections")?.extract()?,
            partition_on: object.getattr("partition_on")?.extract()?,
            partitions: object.getattr("partitions")?.extract()?,
            cuts: object.getattr("cuts")?.extract()?,
            timeout: object.getattr("timeout")?.extract()?,
            overrides: object.getattr("overrides")?.extract()?,
            narrowing: object.getattr("narrowing")?.extract()?,
        })
    }
}

impl Call {
    pub(crate) fn max_sessions(&self) -> usize {
        self.max_connections.unwrap_or(executor::MAX_SESSIONS)
    }

    pub(crate) fn into_parts(self) -> (Address, Request, Option<Split>) {
        let split = self.partitions.map(|partitions| Split {
            column: self.partition_on,
            partitions,
            cuts: self
                .cuts
                .map(|cuts| cuts.into_iter().map(|cut| cut.0).collect()),
        });
        let overrides = self.overrides.into_iter();
        let request = Request {
            queries: self.queries,
            parameters: self.parameters.0,
            setup: self.setup,
            snapshot: self.snapshot,
            held: self.held,
            overrides: overrides.map(|(name, asked)| (name, asked.0)).collect(),
            settled: Vec::new(),
            narrowing: self.narrowing.map(|narrowing| narrowing.0),
        };
        let session = self.session.zip(request.queries.first().cloned());
        let database = Address {
            uri: self.uri,
            password: self.password,
            session,
        };
        (database, request, split)
    }
}
