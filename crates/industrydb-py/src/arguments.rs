//! Converts the arguments of `DatabaseConfig` to text and numbers, and finds the names that may be
//! meant by unknown ones. Errors never show the values.

use industrydb_core::suggest::meant;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyString};

use crate::errors::ConfigurationError;

/// Returns the known name that is most similar to an unknown one, or else all that contain it.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "as they come from Python")]
pub(crate) fn near_names(name: &str, known: Vec<String>) -> Vec<String> {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let meant = meant(name, &known).into_iter();
    meant.map(str::to_owned).collect()
}

/// Converts a port, which is a number from 1 to 65535.
pub(crate) fn port(value: &Bound<'_, PyAny>) -> PyResult<u16> {
    let port = value.extract::<u16>().ok().filter(|port| *port > 0);
    let kind = if value.is_instance_of::<PyString>() {
        ", not a str"
    } else {
        ""
    };
    port.ok_or_else(|| {
        let message = format!("the port must be a number from 1 to 65535{kind}");
        ConfigurationError::new_err(message)
    })
}

/// Converts the value of an argument to text, as in a URI. Errors never show the value: it may be a
/// misplaced password.
pub(crate) fn text(name: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    if value.is_instance_of::<PyBool>() {
        return Ok(value.extract::<bool>()?.to_string());
    }
    let is_number = value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>();
    if is_number || value.is_instance_of::<PyString>() {
        // The original error would show the value.
        return value.str()?.extract().map_err(|_| {
            ConfigurationError::new_err(format!("{name} has characters that are no text in UTF-8"))
        });
    }
    Err(ConfigurationError::new_err(format!(
        "{name} must be a str, a number or a bool, not {}",
        value.get_type().name()?
    )))
}

/// Returns an argument that must be a text.
pub(crate) fn argument(name: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    match value.cast::<PyString>() {
        Ok(text) => text.extract(),
        Err(_) => Err(wrong_type(name, "a str", value)),
    }
}

/// Creates the error for an argument of another type than `what`.
pub(crate) fn wrong_type(name: &str, what: &str, value: &Bound<'_, PyAny>) -> PyErr {
    let kind = value.get_type();
    let kind = kind
        .name()
        .map_or_else(|_| "this".to_owned(), |name| name.to_string());
    PyTypeError::new_err(format!("{name} must be {what}, not {kind}"))
}

/// Converts a path to text.
pub(crate) fn path(value: &Bound<'_, PyAny>) -> PyResult<String> {
    let text = value.py().import("os")?.call_method1("fspath", (value,))?;
    text.extract()
}
