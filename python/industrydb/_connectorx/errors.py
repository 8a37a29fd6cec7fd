"""The errors of industrydb that are, as connectorx's, a `RuntimeError` too."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import industrydb
from industrydb import IndustryDbError

if TYPE_CHECKING:
    from collections.abc import Iterator


class ConfigurationError(industrydb.ConfigurationError, RuntimeError):
    """An `industrydb.ConfigurationError` that is a `RuntimeError`."""


class ConnectionClosedError(industrydb.ConnectionClosedError, RuntimeError):
    """An `industrydb.ConnectionClosedError` that is a `RuntimeError`."""


class ConstraintViolationError(industrydb.ConstraintViolationError, RuntimeError):
    """An `industrydb.ConstraintViolationError` that is a `RuntimeError`."""


class DatabaseConnectionError(industrydb.DatabaseConnectionError, RuntimeError):
    """An `industrydb.DatabaseConnectionError` that is a `RuntimeError`."""


class QueryExecutionError(industrydb.QueryExecutionError, RuntimeError):
    """An `industrydb.QueryExecutionError` that is a `RuntimeError`."""


class QueryTimeoutError(industrydb.QueryTimeoutError, RuntimeError):
    """An `industrydb.QueryTimeoutError` that is a `RuntimeError`."""


class TypeConversionError(industrydb.TypeConversionError, RuntimeError):
    """An `industrydb.TypeConversionError` that is a `RuntimeError`."""


# The errors of this module by those of industrydb.
ERRORS: dict[type, type[IndustryDbError]] = {
    industrydb.ConfigurationError: ConfigurationError,
    industrydb.ConnectionClosedError: ConnectionClosedError,
    industrydb.ConstraintViolationError: ConstraintViolationError,
    industrydb.DatabaseConnectionError: DatabaseConnectionError,
    industrydb.QueryExecutionError: QueryExecutionError,
    industrydb.QueryTimeoutError: QueryTimeoutError,
    industrydb.TypeConversionError: TypeConversionError,
}


@contextmanager
def runtime_errors() -> Iterator[None]:
    """Raise industrydb's errors as a RuntimeError too."""
    try:
        yield
    except IndustryDbError as error:
        kind = ERRORS.get(type(error))
        if kind is None:
            raise
        raised = kind(*error.args)
        vars(raised).update(vars(error))
        raise raised.with_traceback(error.__traceback__) from None
