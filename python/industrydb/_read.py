"""``read_sql``: what the arguments mean, before they go to Rust."""

from __future__ import annotations

import operator
import os
from typing import TYPE_CHECKING, Literal, overload

from industrydb.industrydb import MAX_PARTITIONS, ConfigurationError
from industrydb.industrydb import read_sql as _read_sql

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


@overload
def read_sql(
    uri: str,
    query: str,
    *,
    partition_on: str | None = None,
    partitions: int | None = None,
    return_type: Literal["polars"] = "polars",
) -> pl.DataFrame: ...
@overload
def read_sql(
    uri: str,
    query: str,
    *,
    partition_on: str | None = None,
    partitions: int | None = None,
    return_type: Literal["arrow"],
) -> pa.Table: ...
@overload
def read_sql(
    uri: str,
    query: str,
    *,
    partition_on: str | None = None,
    partitions: int | None = None,
    return_type: Literal["pandas"],
) -> pd.DataFrame: ...
def read_sql(
    uri: str,
    query: str,
    *,
    partition_on: str | None = None,
    partitions: int | None = None,
    return_type: Literal["polars", "arrow", "pandas"] = "polars",
) -> pl.DataFrame | pa.Table | pd.DataFrame:
    """
    Read the result of a SQL query into one DataFrame.

    With `partition_on`, the query is split into ranges of that column, which are read at the same
    time, each over a session of its own. Every row arrives exactly once, in the order of the ranges:
    the first and the last range are open, and rows whose key is NULL come with the first.

    Parameters
    ----------
    uri
        Where the database is: ``postgresql://user:password@host:port/database?option=value`` or
        ``sqlite:///path/to/file.db`` (absolute; with two slashes relative). Special characters in a
        part are percent-encoded. PostgreSQL's options are ``host`` (also the folder of a Unix
        socket), ``port``, ``user``, ``password``, ``dbname``, ``sslmode``, ``sslrootcert``,
        ``channel_binding``, ``application_name``, ``connect_timeout`` (seconds) and ``options``.
    query
        A single statement that returns rows. It may end with a semicolon or comments.
    partition_on
        A column of the query's result, by its exact name, whose type is an integer or a float.
    partitions
        How many ranges to make, from 1 to 4096; as many as there are CPUs if not given. At most 32
        are read at the same time.
    return_type
        ``"polars"``, or ``"arrow"`` for a ``pyarrow.Table``, or ``"pandas"``.

    Returns
    -------
    polars.DataFrame
        One row per row of the result, with one chunk per partition. The documentation's type tables
        say which data type each column has.

    Raises
    ------
    ConfigurationError
        An argument cannot be carried out. The query was not run.
    DatabaseConnectionError
        The database cannot be reached, refuses the login, or breaks off.
    QueryExecutionError
        The database refuses the query, or fails to run it; ``code`` is the database's own code.
    QueryTimeoutError
        The database ended the query because it took too long.
    TypeConversionError
        A value does not fit the type of its column; nothing is rounded or replaced.
    KeyboardInterrupt
        On Ctrl-C; the database's work is then cancelled too.

    Examples
    --------
    >>> import industrydb
    >>> industrydb.read_sql(uri, "SELECT id, name FROM person", partition_on="id", partitions=2)
    shape: (3, 2)
    ┌─────┬───────┐
    │ id  ┆ name  │
    │ --- ┆ ---   │
    │ i64 ┆ str   │
    ╞═════╪═══════╡
    │ 1   ┆ Ada   │
    │ 2   ┆ Grace │
    │ 3   ┆ null  │
    └─────┴───────┘
    """
    if return_type not in ("polars", "arrow", "pandas"):
        msg = f"return_type must be 'polars', 'arrow' or 'pandas', not {return_type!r}"
        raise ConfigurationError(msg)
    frame = _read_sql(uri, query, partition_on, _partition_count(partition_on, partitions))
    if return_type == "arrow":
        return frame.to_arrow()
    if return_type == "pandas":
        return frame.to_pandas()
    return frame


def _partition_count(partition_on: str | None, partitions: int | None) -> int:
    if partitions is None:
        return min(os.cpu_count() or 1, MAX_PARTITIONS)
    count = operator.index(partitions)
    if not 1 <= count <= MAX_PARTITIONS:
        msg = f"partitions must be from 1 to {MAX_PARTITIONS}, not {count}"
        raise ConfigurationError(msg)
    if partition_on is None and count > 1:
        msg = f"partitions={count} needs partition_on: the column whose ranges are to be read at the same time"
        raise ConfigurationError(msg)
    return count
