//! `read_sql` and `plan_sql`, from the call to the frame.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use industrydb_core::stack::empty;
use industrydb_core::{DatabaseConfig, Error, Meters, Request, Split, Stop, executor};
use pyo3::prelude::*;

use crate::databases::connector;
use crate::dtypes::PyColumnType;
use crate::errors::to_python;
use crate::filter::PyNarrowing;
use crate::frame::Handed;
use crate::parameters::{PyParameters, PyValue};
use crate::stream::measured;

/// The arguments of a call, as `python/industrydb/_request.py` has checked and explained them.
pub(crate) struct Call {
    uri: String,
    queries: Vec<String>,
    parameters: PyParameters,
    setup: Vec<String>,
    snapshot: bool,
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

    /// By hand, since errors come as they are then.
    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        Ok(Self {
            uri: object.getattr("uri")?.extract()?,
            queries: object.getattr("queries")?.extract()?,
            parameters: object.getattr("parameters")?.extract()?,
            setup: object.getattr("setup")?.extract()?,
            snapshot: object.getattr("snapshot")?.extract()?,
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
            overrides: overrides.map(|(name, asked)| (name, asked.0)).collect(),
            settled: Vec::new(),
            narrowing: self.narrowing.map(|narrowing| narrowing.0),
        };
        (self.uri, request, split)
    }
}

/// Reads a query into one frame. What is measured of the partitions is shown to `watch` a few times a second, and at the
/// end. `settled` are the types of all columns where they are known: a value that does not fit is an error.
#[pyfunction]
#[pyo3(signature = (call, watch=None, settled=None))]
pub(crate) fn read_sql(
    py: Python<'_>,
    call: Call,
    watch: Option<&Bound<'_, PyAny>>,
    settled: Option<Vec<(String, PyColumnType)>>,
) -> PyResult<Handed> {
    let (max_sessions, timeout) = (call.max_sessions(), call.timeout);
    let (uri, mut request, split) = call.into_parts();
    let settled = settled.unwrap_or_default().into_iter();
    request.settled = settled.map(|(name, known)| (name, known.0)).collect();
    let (stop, meters) = (Stop::default(), OnceLock::<Meters>::new());
    let watch = watch.map(|watch| watch.clone().unbind());
    let show = |py: Python<'_>| match (&watch, meters.get()) {
        (Some(watch), Some(meters)) => watch.call1(py, (measured(meters),)).map(drop),
        _ => Ok(()),
    };
    let frame = watched(py, &stop, timeout, show, || {
        let connector = connector(&DatabaseConfig::from_uri(&uri)?)?;
        let connector = connector.as_ref();
        let split = split.as_ref();
        executor::read(connector, &request, split, max_sessions, &meters, &stop)
    })?;
    show(py)?;
    Ok(Handed(frame))
}

/// A frame without rows; each partition's query and estimated rows; what the caller should know; how the first partition is
/// read.
type PlanParts = (
    Handed,
    Vec<(String, Option<f64>)>,
    Option<String>,
    Option<String>,
);

/// Cuts a query into partitions, which are not read. With `settle`, columns whose values decide are: their types are then
/// those that all of their values need, not the described ones.
#[pyfunction]
#[pyo3(signature = (call, *, settle=false))]
pub(crate) fn plan_sql(py: Python<'_>, call: Call, settle: bool) -> PyResult<PlanParts> {
    let (max_sessions, timeout) = (call.max_sessions(), call.timeout);
    let (uri, request, split) = call.into_parts();
    let stop = Stop::default();
    let (frame, plan, way) = without_gil(py, &stop, timeout, || {
        let connector = connector(&DatabaseConfig::from_uri(&uri)?)?;
        let connector = connector.as_ref();
        let plan = if settle {
            executor::settled_plan
        } else {
            executor::plan
        };
        let (query, plan) = plan(connector, &request, split.as_ref(), max_sessions, &stop)?;
        let first = plan.partitions.first();
        let way = first.map(|first| query.way(&first.query, &stop));
        Ok((empty(query.fields())?, plan, way.transpose()?.flatten()))
    })?;
    let partitions = plan.partitions.into_iter();
    let partitions = partitions.map(|part| (part.query, part.estimated_rows));
    Ok((Handed(frame), partitions.collect(), plan.note, way))
}

/// The URI without its password.
#[pyfunction]
pub(crate) fn without_password(py: Python<'_>, uri: &str) -> PyResult<String> {
    DatabaseConfig::without_password(uri).map_err(|error| to_python(py, &error))
}

/// Runs `work` without the GIL, which is taken only to look for signals: Ctrl-C and the end of the time set `stop`.
pub(crate) fn without_gil<T: Send>(
    py: Python<'_>,
    stop: &Stop,
    timeout: Option<Duration>,
    work: impl FnOnce() -> Result<T, Error> + Send,
) -> PyResult<T> {
    watched(py, stop, timeout, |_| Ok(()), work)
}

/// As [`without_gil`], and calls `show` whenever it has the GIL; an error of its ends the work as well.
fn watched<T: Send>(
    py: Python<'_>,
    stop: &Stop,
    timeout: Option<Duration>,
    show: impl Fn(Python<'_>) -> PyResult<()> + Sync,
    work: impl FnOnce() -> Result<T, Error> + Send,
) -> PyResult<T> {
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
    let result = py.detach(|| executor::interruptible(stop, timeout, tick, work));
    // The work may have ended before anybody looked.
    if let (Err(error), Ok(None)) = (py.check_signals(), signal.lock().as_deref()) {
        stop.set();
        return Err(error);
    }
    match signal.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(raised) => Err(raised),
        None => result.map_err(|error| to_python(py, &error)),
    }
}
