//! Converts Polars data types from Python.

use industrydb_core::ColumnType;
use industrydb_core::column_type::MAX_PRECISION;
use polars_core::prelude::TimeUnit;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

/// A data type that a caller asks for a column to be read as;
/// `python/industrydb/_text/overrides.py` has refused unsupported ones.
pub(crate) struct PyColumnType(pub(crate) ColumnType);

impl<'a, 'py> FromPyObject<'a, 'py> for PyColumnType {
    type Error = PyErr;

    fn extract(dtype: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        use ColumnType as T;
        let name = dtype.get_type().qualname()?;
        let column_type = match name.to_str()? {
            "Null" => T::Null, // of a column that is known to hold only NULLs
            "Boolean" => T::Boolean,
            "Int8" => T::Int8,
            "Int16" => T::Int16,
            "Int32" => T::Int32,
            "Int64" => T::Int64,
            "UInt8" => T::UInt8,
            "UInt16" => T::UInt16,
            "UInt32" => T::UInt32,
            "UInt64" => T::UInt64,
            "Float32" => T::Float32,
            "Float64" => T::Float64,
            "Date" => T::Date,
            "Time" => T::Time,
            "String" => T::String,
            "Binary" => T::Binary,
            "Decimal" => {
                let precision: Option<u8> = dtype.getattr("precision")?.extract()?;
                T::Decimal {
                    precision: precision.unwrap_or(MAX_PRECISION),
                    scale: dtype.getattr("scale")?.extract()?,
                }
            }
            "Datetime" => T::Datetime {
                unit: unit(&dtype)?,
                utc: !dtype.getattr("time_zone")?.is_none(),
            },
            "Duration" => T::Duration {
                unit: unit(&dtype)?,
            },
            "List" => {
                let inner: Self = dtype.getattr("inner")?.extract()?;
                T::List(Box::new(inner.0))
            }
            "Struct" => {
                let fields: Vec<Bound<'_, PyAny>> = dtype.getattr("fields")?.extract()?;
                let field = |field: &Bound<'_, PyAny>| {
                    let inner: Self = field.getattr("dtype")?.extract()?;
                    Ok((field.getattr("name")?.extract()?, inner.0))
                };
                T::Struct(fields.iter().map(field).collect::<PyResult<_>>()?)
            }
            _ => {
                let message = format!("no column can be read as {}", dtype.str()?);
                return Err(PyTypeError::new_err(message));
            }
        };
        Ok(Self(column_type))
    }
}

fn unit(dtype: &Bound<'_, PyAny>) -> PyResult<TimeUnit> {
    let unit: String = dtype.getattr("time_unit")?.extract()?;
    Ok(match unit.as_str() {
        "ns" => TimeUnit::Nanoseconds,
        "ms" => TimeUnit::Milliseconds,
        _ => TimeUnit::Microseconds,
    })
}
