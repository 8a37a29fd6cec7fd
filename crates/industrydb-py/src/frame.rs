//! Hands frames over to Python.

use polars_core::prelude::DataFrame;
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3_polars::PySeries;

use crate::errors::ConfigurationError;

/// A frame that is handed over to Python unchanged. The conversion by pyo3-polars renames a column
/// with an empty name, and loses the number of rows of a frame without columns; and Python's
/// constructor of a frame, which it calls, takes longer than all of this.
pub(crate) struct Handed(pub(crate) DataFrame);

impl<'py> IntoPyObject<'py> for Handed {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        let mut columns = self
            .0
            .columns()
            .iter()
            .map(|column| PySeries(column.as_materialized_series().clone()).into_pyobject(py));
        let Some(first) = columns.next().transpose()? else {
            return without_columns(py, self.0.height());
        };
        let frame = first.call_method0(intern!(py, "to_frame"))?;
        let others = columns.collect::<PyResult<Vec<_>>>()?;
        if others.is_empty() {
            return Ok(frame);
        }
        frame.call_method1(intern!(py, "hstack"), (others,))
    }
}

/// Creates a frame of `height` rows without columns.
fn without_columns(py: Python<'_>, height: usize) -> PyResult<Bound<'_, PyAny>> {
    let arguments = PyDict::new(py);
    if height > 0 {
        arguments.set_item("height", height)?;
    }
    let frame = py
        .import("polars")?
        .call_method("DataFrame", (), Some(&arguments));
    frame.map_err(|error| {
        if !error.is_instance_of::<PyTypeError>(py) {
            return error;
        }
        ConfigurationError::new_err(format!(
            "the query has {height} rows and no columns, which this version of Polars has no frame for: name a column, \
             or upgrade Polars"
        ))
    })
}
