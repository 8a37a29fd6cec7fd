"""Read a SQL query in parallel into one Polars DataFrame.

>>> import industrydb
>>> query = "SELECT * FROM person"
>>> df = industrydb.read_sql(uri, query, partition_on="id", partitions=2)
>>> df.rows()
[(1, 'Ada'), (2, 'Grace'), (3, None)]
"""

from importlib import import_module
from typing import TYPE_CHECKING

from industrydb.industrydb import (
    ConfigurationError,
    ConnectionClosedError,
    ConstraintViolationError,
    DatabaseConfig,
    DatabaseConnectionError,
    IndustryDbError,
    QueryExecutionError,
    QueryTimeoutError,
    TypeConversionError,
    __version__,
)

__all__ = [
    "BatchReader",
    "ConfigurationError",
    "Connection",
    "ConnectionClosedError",
    "ConstraintViolationError",
    "DatabaseConfig",
    "DatabaseConnectionError",
    "Extract",
    "HeldSnapshot",
    "IndustryDbError",
    "QueryExecutionError",
    "QueryTimeoutError",
    "ReadPlan",
    "TypeConversionError",
    "__version__",
    "database",
    "extract",
    "hold_snapshot",
    "plan_sql",
    "read_sql",
    "read_sql_async",
    "read_sql_batches",
    "read_sql_batches_async",
    "scan_sql",
    "write_sql",
]

if TYPE_CHECKING:
    from industrydb._connection import Connection
    from industrydb._extract import Extract, extract
    from industrydb._hold import HeldSnapshot, hold_snapshot
    from industrydb._plan import ReadPlan, plan_sql
    from industrydb._read import read_sql
    from industrydb._read.asynchronous import read_sql_async, read_sql_batches_async
    from industrydb._read.batches import BatchReader, read_sql_batches
    from industrydb._scan import scan_sql
    from industrydb._text.databases import database
    from industrydb._write import write_sql
else:
    # The module of each name that needs Polars. Importing Polars takes half a second, which neither
    # `industrydb --version` nor the completion of a command line should take.
    _MODULES = {
        "BatchReader": "_read.batches",
        "Connection": "_connection",
        "Extract": "_extract",
        "HeldSnapshot": "_hold",
        "ReadPlan": "_plan",
        "database": "_text.databases",
        "extract": "_extract",
        "hold_snapshot": "_hold",
        "plan_sql": "_plan",
        "read_sql": "_read",
        "read_sql_async": "_read.asynchronous",
        "read_sql_batches": "_read.batches",
        "read_sql_batches_async": "_read.asynchronous",
        "scan_sql": "_scan",
        "write_sql": "_write",
    }

    def __getattr__(name: str) -> object:
        """Import the module of a public name when the name is first used."""
        if name not in _MODULES:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
