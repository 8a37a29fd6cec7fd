//! The exception tree, and the conversion of errors to exceptions.

use industrydb_core::Error;
use industrydb_core::printable::printable;
use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

create_exception!(
    industrydb,
    IndustryDbError,
    PyException,
    r#"The base of all errors that industrydb raises.

The attribute ``code`` holds the database's own code, if it gave one: an
SQLSTATE for PostgreSQL, the name of a result code for SQLite, a number
for SQL Server. ``is_transient`` tells whether the same call may succeed
later, as the database's connector decides: after a broken connection, a
server without a free session, a deadlock or a lock. A refused login is
not transient.

Examples
--------
>>> import industrydb
>>> try:
...     industrydb.read_sql(uri, "SELECT * FROM persn")
... except industrydb.IndustryDbError as error:
...     print(error)
no such table: persn [SQLITE_ERROR]
LINE 1: SELECT * FROM persn
                      ^
HINT: did you mean person?"#
);
create_exception!(
    industrydb,
    DatabaseConnectionError,
    IndustryDbError,
    r#"No session with the database could be opened, or an open one broke.

Examples
--------
>>> import industrydb
>>> try:
...     industrydb.read_sql("sqlite://no/such/file.db", "SELECT 1")
... except industrydb.DatabaseConnectionError as error:
...     print(error.is_transient)
False"#
);
create_exception!(
    industrydb,
    QueryExecutionError,
    IndustryDbError,
    r#"The database refused a statement, or failed to run it.

Examples
--------
>>> import industrydb
>>> try:
...     industrydb.read_sql(uri, "SELECT nme FROM person")
... except industrydb.QueryExecutionError as error:
...     print(error.code)
SQLITE_ERROR"#
);
create_exception!(
    industrydb,
    QueryTimeoutError,
    QueryExecutionError,
    r#"The call or a statement took longer than its timeout.

Examples
--------
>>> import industrydb
>>> numbers = "SELECT 1 AS i UNION ALL SELECT i + 1 FROM n"
>>> endless = f"WITH RECURSIVE n AS ({numbers}) SELECT max(i) FROM n"
>>> try:
...     industrydb.read_sql(uri, endless, timeout=0.1)
... except industrydb.QueryTimeoutError as error:
...     print(error)
the call was ended after its timeout of 0.1 s"#
);
create_exception!(
    industrydb,
    ConfigurationError,
    IndustryDbError,
    r#"The arguments cannot be carried out; the query was not run.

Examples
--------
>>> import industrydb
>>> try:
...     industrydb.read_sql(uri, "SELECT name FROM person", params=[1])
... except industrydb.ConfigurationError as error:
...     print(error)
the query has 0 parameter(s), and params has 1 value(s)"#
);
create_exception!(
    industrydb,
    ConnectionClosedError,
    IndustryDbError,
    r#"The connection was closed before this call.

Examples
--------
>>> import industrydb
>>> connection = industrydb.Connection(uri)
>>> connection.close()
>>> try:
...     connection.execute("SELECT 1")
... except industrydb.ConnectionClosedError as error:
...     print(error)
the connection is closed"#
);
create_exception!(
    industrydb,
    ConstraintViolationError,
    IndustryDbError,
    r#"A row breaks a constraint of its table.

The attributes ``constraint``, ``table`` and ``column`` name the
constraint, the table, and the column or columns, as far as the database
reports them.

Examples
--------
>>> import industrydb
>>> with industrydb.Connection(uri) as connection:
...     try:
...         connection.insert("person", {"id": [1], "name": ["Ada"]})
...     except industrydb.ConstraintViolationError as error:
...         print(error.code, error.table, error.column)
SQLITE_CONSTRAINT_PRIMARYKEY person id"#
);
create_exception!(
    industrydb,
    TypeConversionError,
    IndustryDbError,
    r#"A value does not fit its column's type.

The message names the column, the row, the value and a remedy.

Examples
--------
>>> import industrydb, polars as pl
>>> small, query = {"big": pl.Int8}, "SELECT 1000 AS big"
>>> try:
...     industrydb.read_sql(uri, query, schema_overrides=small)
... except industrydb.TypeConversionError as error:
...     print(str(error).partition(", the type")[0])
column "big", row 1: 1000 is no pl.Int8"#
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
    let configuration = py.get_type::<ConfigurationError>();
    configuration.setattr("differences", PyTuple::empty(py))?;
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
