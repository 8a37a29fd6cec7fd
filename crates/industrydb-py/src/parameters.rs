//! Converts values from Python, without rounding, to types that every database understands.

use industrydb_core::{Parameters, Value};
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple,
};

use crate::errors::ConfigurationError;

/// A value for a parameter, or a cut.
pub(crate) struct PyValue(pub(crate) Value);

impl<'a, 'py> FromPyObject<'a, 'py> for PyValue {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        value(&object, 0).map(Self)
    }
}

/// The values for a query's parameters: a list, or a dict by name.
pub(crate) struct PyParameters(pub(crate) Parameters);

impl<'a, 'py> FromPyObject<'a, 'py> for PyParameters {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(named) = object.cast::<PyDict>() {
            let named = named
                .iter()
                .map(|(name, object)| Ok((name.extract()?, value(&object, 0)?)));
            return Ok(Self(Parameters::Named(named.collect::<PyResult<_>>()?)));
        }
        let positional = object.try_iter()?.map(|object| value(&object?, 0));
        let positional = positional.collect::<PyResult<_>>()?;
        Ok(Self(Parameters::Positional(positional)))
    }
}

/// Maximum number of dimensions of a PostgreSQL array.
const MAX_DEPTH: usize = 6;

/// Converts a Python object, inside `depth` lists, to a value.
pub(crate) fn value(object: &Bound<'_, PyAny>, depth: usize) -> PyResult<Value> {
    let text = |method: &str| -> PyResult<String> { object.call_method0(method)?.extract() };
    if object.is_none() {
        return Ok(Value::Null);
    }
    if object.is_instance_of::<PyBool>() {
        return Ok(Value::Boolean(object.extract()?));
    }
    if object.is_instance_of::<PyInt>() {
        return match object.extract() {
            Ok(integer) => Ok(Value::Integer(integer)),
            Err(_) => Ok(Value::Decimal(text("__repr__")?)),
        };
    }
    if object.is_instance_of::<PyFloat>() {
        return Ok(Value::Float(object.extract()?));
    }
    if object.is_instance_of::<PyString>() {
        return Ok(Value::Text(object.extract()?));
    }
    if object.is_instance_of::<PyBytes>() || object.is_instance_of::<PyByteArray>() {
        return Ok(Value::Bytes(object.extract()?));
    }
    if object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>() {
        if depth == MAX_DEPTH {
            return Err(ConfigurationError::new_err(format!(
                "a list within {MAX_DEPTH} lists cannot be passed to a database"
            )));
        }
        let elements = object
            .try_iter()?
            .map(|element| value(&element?, depth + 1));
        return Ok(Value::List(elements.collect::<PyResult<_>>()?));
    }
    let py = object.py();
    let is = |module: &str, class: &str| -> PyResult<bool> {
        object.is_instance(&py.import(module)?.getattr(class)?)
    };
    if is("decimal", "Decimal")? {
        return Ok(Value::Decimal(text("__str__")?));
    }
    if is("datetime", "datetime")? {
        // SQLite's own functions and its users write a blank between date and time, and the other
        // databases accept one.
        let text = object.call_method1("isoformat", (" ",))?;
        return Ok(Value::Temporal(text.extract()?));
    }
    if is("datetime", "date")? || is("datetime", "time")? {
        return Ok(Value::Temporal(text("isoformat")?));
    }
    if is("datetime", "timedelta")? {
        let unit = py.import("datetime")?.getattr("timedelta")?;
        let unit = unit.call1((0, 0, 1))?; // a microsecond
        let microseconds = object.call_method1("__floordiv__", (unit,))?.extract()?;
        return Ok(Value::Duration { microseconds });
    }
    if is("uuid", "UUID")? {
        return Ok(Value::Text(text("__str__")?));
    }
    let class = object.get_type();
    // A Polars Series: a row of a Polars frame has one for a list.
    if class.name()? == "Series" && class.module()?.to_str()?.starts_with("polars.") {
        return value(&object.call_method0("to_list")?, depth);
    }
    // A NumPy scalar, whose `item` returns the equivalent Python value.
    if class.module()? == "numpy" && object.hasattr("item")? {
        let item = object.call_method0("item")?;
        // A time in nanoseconds is returned as an integer, which must not be passed as a number.
        let is_time = class.name()? == "datetime64" || class.name()? == "timedelta64";
        let is_python = !item.get_type().is(&class);
        if is_python && !(is_time && item.is_instance_of::<PyInt>()) {
            return value(&item, depth);
        }
    }
    Err(ConfigurationError::new_err(format!(
        "a value of the type {} cannot be passed to a database",
        class.fully_qualified_name()?
    )))
}
