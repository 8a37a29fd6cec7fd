"""The compiled part of industrydb; use what ``industrydb`` itself exports."""

from typing import Final

import polars as pl

from industrydb._request import Request

__all__ = [
    "MAX_PARTITIONS",
    "ConfigurationError",
    "ConnectionClosedError",
    "ConstraintViolationError",
    "DatabaseConnectionError",
    "IndustryDbError",
    "QueryExecutionError",
    "QueryTimeoutError",
    "TypeConversionError",
    "__version__",
    "_read_sql_with_addresses",
    "plan_sql",
    "read_sql",
    "without_password",
]

__version__: Final[str]
MAX_PARTITIONS: Final[int]

def read_sql(call: Request) -> pl.DataFrame: ...
def plan_sql(call: Request) -> tuple[pl.DataFrame, list[tuple[str, float | None]], str | None]: ...
def without_password(uri: str) -> str: ...
def _read_sql_with_addresses(call: Request) -> tuple[pl.DataFrame, list[list[list[int]]]]: ...

class IndustryDbError(Exception):
    """The base of all errors that industrydb raises."""

    code: str | None
    """
    The database's own code where it gave one: an SQLSTATE for PostgreSQL, a result code's name for SQLite, a number for
    SQL Server.
    """

class DatabaseConnectionError(IndustryDbError):
    """No session with the database could be opened, or an open one broke."""

class QueryExecutionError(IndustryDbError):
    """The database refused a statement, or failed to run it."""

class QueryTimeoutError(QueryExecutionError):
    """The database ended a statement because it took too long."""

class ConfigurationError(IndustryDbError):
    """The arguments cannot be carried out; the query was not run."""

class ConnectionClosedError(IndustryDbError):
    """The connection was closed before this call."""

class ConstraintViolationError(IndustryDbError):
    """A row breaks a constraint of its table."""

class TypeConversionError(IndustryDbError):
    """A value does not fit its column's type. The message names column, row, value and remedy."""
