"""Read a SQL query in parallel partitions into one Polars DataFrame.

>>> import industrydb
>>> df = industrydb.read_sql(uri, "SELECT * FROM lineitem", partition_on="l_orderkey", partitions=8)
... # doctest: +SKIP
"""

from industrydb._connection import Connection
from industrydb._extract import Extract, extract
from industrydb._plan import ReadPlan, plan_sql
from industrydb._read import read_sql
from industrydb._read.batches import BatchReader, read_sql_batches
from industrydb._scan import scan_sql
from industrydb._write import write_sql
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
    "IndustryDbError",
    "QueryExecutionError",
    "QueryTimeoutError",
    "ReadPlan",
    "TypeConversionError",
    "__version__",
    "extract",
    "plan_sql",
    "read_sql",
    "read_sql_batches",
    "scan_sql",
    "write_sql",
]
