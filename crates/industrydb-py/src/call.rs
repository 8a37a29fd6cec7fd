//! The arguments of a call.

use std::time::Duration;

use industrydb_core::{Request, Split, executor};
use pyo3::prelude::*;

use crate::dtypes::PyColumnType;
use crate::filter::PyNarrowing;
use crate::parameters::{PyParameters, PyValue};

/// The arguments of a call, which `python/industrydb/_request.py` has checked, and documents.
pub(crate) struct Call {
    uri: String,
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
        Ok(Self {
            uri: object.getattr("uri")?.extract()?,
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

    pub(crate) fn into_parts(self) -> (String, Request, Option<Split>) {
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
        (self.uri, request, split)
    }
}
