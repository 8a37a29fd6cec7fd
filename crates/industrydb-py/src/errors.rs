//! The exception tree, and the conversion of errors to exceptions.

use industrydb_core::Error;
use industrydb_core::printable::printable;
use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

create_exception!(
    industrydb,
    IndustryDbError,
    PyException,
    "The base of all errors that industrydb raises.\n\nThe attribute ``code`` holds the database's own \
     code where it gave one: an SQLSTATE for PostgreSQL, a result code's name for SQLite, a number for SQL Server.\n``is_transient`` tells \
     whether the same call may succeed later: a broken connection, a server without a place, a deadlock, a lock."
);
create_exception!(
    industrydb,
    DatabaseConnectionError,
    IndustryDbError,
    "No session with the database could be opened, or an open one broke."
);
create_exception!(
    industrydb,
    QueryExecutionError,
    IndustryDbError,
    "The database refused a statement, or failed to run it."
);
create_exception!(
    industrydb,
    QueryTimeoutError,
    QueryExecutionError,
    "The database ended a statement because it took too long."
);
create_exception!(
    industrydb,
    ConfigurationError,
    IndustryDbError,
    "The arguments cannot be carried out; the query was not run."
);
create_exception!(
    industrydb,
    ConnectionClosedError,
    IndustryDbError,
    "The connection was closed before this call."
);
create_exception!(
    industrydb,
    ConstraintViolationError,
    IndustryDbError,
    "A row breaks a constraint of its table."
);
create_exception!(
    industrydb,
    TypeConversionError,
    IndustryDbError,
    "A value does not fit its column's type. The message names column, row, value and remedy."
);

/// Adds the exceptions to the module.
pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    for exception in [
        py.get_type::<IndustryDbError>(),
        py.get_type::<DatabaseConnectionError>(),
        py.get_type::<QueryExecutionError>(),
        py.get_type::<QueryTimeoutError>(),
        py.get_type::<ConfigurationError>(),
        py.get_type::<ConnectionClosedError>(),
        py.get_type::<ConstraintViolationError>(),
        py.get_type::<TypeConversionError>(),
    ] {
        module.add(exception.name()?, exception)?;
    }
    // Every exception has these attributes, also one that is raised from Python.
    let base = py.get_type::<IndustryDbError>();
    base.setattr("code", py.None())?;
    base.setattr("is_transient", false)?;
    let violation = py.get_type::<ConstraintViolationError>();
    for name in ["constraint", "table", "column"] {
        violation.setattr(name, py.None())?;
    }
    Ok(())
}

/// Converts an error to its exception.
pub(crate) fn to_python(py: Python<'_>, error: &Error) -> PyErr {
    // The message may quote a server, other users or a file, so control characters are escaped.
    let message = printable(&error.to_string()).into_owned();
    let exception = match error {
        Error::Constraint {
            constraint,
            table,
            column,
            ..
        } => {
            let exception = ConstraintViolationError::new_err(message);
            let value = exception.value(py);
            for (name, told) in [
                ("constraint", constraint),
                ("table", table),
                ("column", column),
            ] {
                if let Err(failure) = value.setattr(name, told) {
                    return failure;
                }
            }
            exception
        }
        Error::Closed(_) => ConnectionClosedError::new_err(message),
        Error::Configuration(_) => ConfigurationError::new_err(message),
        Error::Connection { .. } => DatabaseConnectionError::new_err(message),
        Error::Query { .. } => QueryExecutionError::new_err(message),
        Error::Timeout { .. } => QueryTimeoutError::new_err(message),
        Error::Conversion(_) => TypeConversionError::new_err(message),
        _ => IndustryDbError::new_err(message),
    };
    match told(exception.value(py), error) {
        Ok(()) => exception,
        Err(failure) => failure,
    }
}

/// Sets an exception's `code` and `is_transient` from its error.
fn told(exception: &Bound<'_, pyo3::exceptions::PyBaseException>, error: &Error) -> PyResult<()> {
    if let Some(code) = error.code() {
        exception.setattr("code", printable(code))?;
    }
    if error.is_transient() {
        exception.setattr("is_transient", true)?;
    }
    Ok(())
}
