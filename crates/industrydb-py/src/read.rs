//! The compiled part of `read_sql` and `plan_sql`, from the call to the frame.

use std::sync::OnceLock;

use industrydb_core::stack::empty;
use industrydb_core::{DatabaseConfig, Meters, Stop, executor};
use pyo3::prelude::*;

use crate::call::Call;
use crate::databases::schemes;
use crate::dtypes::PyColumnType;
use crate::errors::to_python;
use crate::frame::Handed;
use crate::interrupts::PyStop;
use crate::measured::measured;
use crate::signals::{in_place, watched, without_gil};

/// Reads a query into one frame. Passes the measurements of the partitions to `watch` a few times a
/// second, and at the end. `settled` holds the types of all columns if they are known; a value that
/// does not fit its type is then an error. `stop` ends the read from outside. A read on the open
/// session of a connection is not measured.
#[pyfunction]
#[pyo3(signature = (call, watch=None, settled=None, stop=None))]
pub(crate) fn read_sql(
    py: Python<'_>,
    call: Call,
    watch: Option<&Bound<'_, PyAny>>,
    settled: Option<Vec<(String, PyColumnType)>>,
    stop: Option<&PyStop>,
) -> PyResult<Handed> {
    let (max_sessions, timeout) = (call.max_sessions(), call.timeout);
    let session = call.session.as_ref().map(|session| session.clone_ref(py));
    let (database, mut request, split) = call.into_parts();
    if let Some(session) = session {
        let stop = stop.map_or_else(Stop::default, |stop| stop.0.clone());
        return session.get().read(py, &request, timeout, &stop);
    }
    let settled = settled.unwrap_or_default().into_iter();
    request.settled = settled.map(|(name, known)| (name, known.0)).collect();
    // One query of one session, which nothing ends or watches but this thread.
    let is_plain = request.queries.len() == 1
        && request.setup.is_empty()
        && matches!((timeout, watch, stop), (None, None, None));
    let stop = stop.map_or_else(Stop::default, |stop| stop.0.clone());
    let meters = OnceLock::<Meters>::new();
    let watch = watch.map(|watch| watch.clone().unbind());
    let show = |py: Python<'_>| match (&watch, meters.get()) {
        (Some(watch), Some(meters)) => watch.call1(py, (measured(meters),)).map(drop),
        _ => Ok(()),
    };
    let connector = py.detach(|| database.connector());
    let connector = connector.map_err(|error| to_python(py, &error))?;
    let connector = connector.as_ref();
    let split = split.as_ref();
    let read =
        |stop: &Stop| executor::read(connector, &request, split, max_sessions, &meters, stop);
    let frame = if is_plain && split.is_none() && connector.checks_often() {
        in_place(py, read).1?
    } else {
        watched(py, &stop, timeout, show, || read(&stop))?
    };
    show(py)?;
    Ok(Handed(frame))
}

/// The parts of a plan: a frame without rows, each partition's query and estimated rows, a note for
/// the caller, and how the first partition is read.
type PlanParts = (
    Handed,
    Vec<(String, Option<f64>)>,
    Option<String>,
    Option<String>,
);

/// Cuts a query into partitions without reading them. With `settle`, the columns whose values
/// decide their type are read, and have the type that all of their values need instead of the
/// described one.
#[pyfunction]
#[pyo3(signature = (call, *, settle=false))]
pub(crate) fn plan_sql(py: Python<'_>, call: Call, settle: bool) -> PyResult<PlanParts> {
    let (max_sessions, timeout) = (call.max_sessions(), call.timeout);
    let (database, request, split) = call.into_parts();
    let stop = Stop::default();
    let (frame, plan, way) = without_gil(py, &stop, timeout, || {
        let connector = database.connector()?;
        let connector = connector.as_ref();
        let plan = if settle {
            executor::settled_plan
        } else {
            executor::plan
        };
        let (query, plan) = plan(connector, &request, split.as_ref(), max_sessions, &stop)?;
        let first = plan.partitions.first();
        let way = first.map(|first| query.reader.way(first, &stop));
        Ok((empty(&query.fields)?, plan, way.transpose()?.flatten()))
    })?;
    let partitions = plan.partitions.into_iter();
    let partitions = partitions.map(|part| (part.query, part.estimated_rows));
    Ok((Handed(frame), partitions.collect(), plan.note, way))
}

/// Returns the names of the columns whose values decide their type.
#[pyfunction]
pub(crate) fn open_columns_sql(py: Python<'_>, call: Call) -> PyResult<Vec<String>> {
    let timeout = call.timeout;
    let (database, request, _) = call.into_parts();
    let stop = Stop::default();
    without_gil(py, &stop, timeout, || {
        let connector = database.connector()?;
        executor::open_columns(connector.as_ref(), &request, &stop)
    })
}

/// Returns a URI without its password.
#[pyfunction]
pub(crate) fn without_password(py: Python<'_>, uri: &str) -> PyResult<String> {
    DatabaseConfig::without_password(uri, &schemes()).map_err(|error| to_python(py, &error))
}
