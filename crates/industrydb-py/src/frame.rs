//! Hands frames over to Python.

use polars_core::prelude::DataFrame;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3_polars::{PyDataFrame, PySeries};

use crate::errors::ConfigurationError;

/// A frame that is handed over to Python unchanged. The conversion by pyo3-polars renames a column
/// with an empty name, and loses the number of rows of a frame without columns.
pub(crate) struct Handed(pub(crate) DataFrame);

impl<'py> IntoPyObject<'py> for Handed {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        let columns = self.0.columns();
        if columns.is_empty() && self.0.height() > 0 {
            return without_columns(py, self.0.height());
        }
        if columns.iter().all(|column| !column.name().is_empty()) {
            return PyDataFrame(self.0).into_pyobject(py);
        }
        let named = PyDict::new(py);
        for column in columns {
            let series = PySeries(column.as_materialized_series().clone());
            named.set_item(column.name().as_str(), series)?;
        }
        py.import("polars")?.call_method1("DataFrame", (named,))
    }
}

/// Creates a frame of `height` rows without columns.
fn without_columns(py: Python<'_>, height: usize) -> PyResult<Bound<'_, PyAny>> {
    let arguments = PyDict::new(py);
    arguments.set_item("height", height)?;
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
