"""``read_sql``: what the arguments mean, before they go to Rust."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal, overload

from industrydb._read.return_type import DtypeBackend, ReturnType, converter
from industrydb._request import Parameters, request
from industrydb._text.overrides import SchemaOverrides, finished
from industrydb._watch.progress import progress_of, shown
from industrydb.industrydb import read_sql as _read_sql

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from industrydb.industrydb import DatabaseConfig


@overload
def read_sql(
    uri: str | DatabaseConfig,
    query: str | Sequence[str],
    *,
    params: Parameters | None = None,
    partition_on: str | None = None,
    partitions: int | None = None,
    partition_range: tuple[object, object] | None = None,
    schema_overrides: SchemaOverrides | None = None,
    pre_execution_query: str | Sequence[str] | None = None,
    snapshot: bool = True,
    max_connections: int | None = None,
    timeout: float | timedelta | None = None,
    progress: bool = False,
    return_type: Literal["polars"] = "polars",
) -> pl.DataFrame: ...
@overload
def read_sql(
    uri: str | DatabaseConfig,
    query: str | Sequence[str],
    *,
    params: Parameters | None = None,
    partition_on: str | None = None,
    partitions: int | None = None,
    partition_range: tuple[object, object] | None = None,
    schema_overrides: SchemaOverrides | None = None,
    pre_execution_query: str | Sequence[str] | None = None,
    snapshot: bool = True,
    max_connections: int | None = None,
    timeout: float | timedelta | None = None,
    progress: bool = False,
    return_type: Literal["arrow"],
) -> pa.Table: ...
@overload
def read_sql(
    uri: str | DatabaseConfig,
    query: str | Sequence[str],
    *,
    params: Parameters | None = None,
    partition_on: str | None = None,
    partitions: int | None = None,
    partition_range: tuple[object, object] | None = None,
    schema_overrides: SchemaOverrides | None = None,
    pre_execution_query: str | Sequence[str] | None = None,
    snapshot: bool = True,
    max_connections: int | None = None,
    timeout: float | timedelta | None = None,
    progress: bool = False,
    return_type: Literal["pandas"],
    dtype_backend: DtypeBackend = "numpy_nullable",
) -> pd.DataFrame: ...
def read_sql(  # noqa: PLR0913, each is a choice of its own, and has a default
    uri: str | DatabaseConfig,
    query: str | Sequence[str],
    *,
    params: Parameters | None = None,
    partition_on: str | None = None,
    partitions: int | None = None,
    partition_range: tuple[object, object] | None = None,
    schema_overrides: SchemaOverrides | None = None,
    pre_execution_query: str | Sequence[str] | None = None,
    snapshot: bool = True,
    max_connections: int | None = None,
    timeout: float | timedelta | None = None,
    progress: bool = False,
    return_type: ReturnType = "polars",
    dtype_backend: DtypeBackend = "numpy_nullable",
) -> pl.DataFrame | pa.Table | pd.DataFrame:
    """
    Read the result of a SQL query into one DataFrame.

    With `partition_on` or `partitions`, the query is cut into ranges of a column's values, or of where
    the rows are stored, that have about the same number of rows. They are read at the same time, each over
    a session of its own, and all see the same state of the database. Every row arrives exactly once, in the
    order of the ranges: the first and the last range are open, and rows whose key is NULL come with the
    first.

    Parameters
    ----------
    uri
        Where the database is: ``postgresql://user:password@host:port/database?option=value``,
        ``sqlite:///path/to/file.db`` (absolute; with two slashes relative), or
        ``mssql://user:password@host:port/database?option=value`` for SQL Server. Special characters in a
        part are percent-encoded. Or a `DatabaseConfig`. PostgreSQL's options are ``host`` (also the folder of a Unix
        socket), ``port``, ``user``, ``password``, ``dbname``, ``hostaddr``, ``sslmode``, ``sslrootcert``,
        ``sslcert``, ``sslkey``, ``channel_binding``, ``application_name``, ``connect_timeout`` (seconds),
        ``connect_retries``, ``options``, ``keepalives``, ``keepalives_idle`` and ``keepalives_interval`` (seconds),
        ``keepalives_count``, ``passfile`` and ``service``; where it is silent, a service and the environment's
        ``PGHOST``, ``PGSSLMODE`` and so on count, as for libpq.
    query
        A single statement that returns rows. It may end with a semicolon or comments. Or a list of
        such statements with the same columns, whose results are read at the same time and put under one
        another in the order of the list.
    params
        The values of the query's parameters, which are bound by the database and never part of a
        statement: a list for PostgreSQL's ``$1``, SQLite's ``?`` and SQL Server's ``@p1``, a dict for SQLite's
        ``:name`` and SQL Server's ``@name``. Each is a ``bool``, ``int``, ``float``, ``str``, ``bytes``, ``Decimal``,
        ``date``, ``time``, ``datetime``, ``timedelta``, ``UUID``, ``None`` or, for PostgreSQL's arrays, a list of them.
    partition_on
        A column of the query's result, by its exact name, of any type whose values have an order.
    partitions
        How many ranges to make, from 1 to 4096; as many as there are CPUs if only `partition_on` is
        given. Without `partition_on`, the query must be a plain ``SELECT … FROM table``, whose rows are
        split by where they are stored, or on SQL Server by their primary key. There are fewer where there are
        fewer keys.
    partition_range
        The lowest and the highest value of `partition_on`: two numbers, dates or datetimes. The ranges are
        then equally wide between them, and the database is not asked where the keys lie. Rows outside are
        still read, with the first and the last range.
    schema_overrides
        The data types to read columns as in place of the ones that the type tables say, by the names of the
        columns: ``{"price": pl.Float64, "kind": pl.Categorical}``. Values arrive as they are or not at all; only floats
        are rounded, to the nearest one. A pair of types that have nothing in common raises before anything is
        read, and a value that the asked type does not have raises a `TypeConversionError`.
    pre_execution_query
        A statement, or a list of them, that each session runs before anything else.
    snapshot
        Whether all sessions are to see one state of the database. ``False`` reads where the database, or a
        pooler in front of it, cannot give that; each range is then read as it is at its own moment. SQL
        Server never can: a line in the log says so.
    max_connections
        The most sessions to open at the same time, 32 if not given. Further ranges wait for a free one.
    timeout
        The seconds that the whole call may take, from connecting to the frame, or a ``timedelta``. Then the
        database's work is cancelled, and the call raises a `QueryTimeoutError`.
    progress
        Whether to show on standard error how far the read has come: partitions, rows, MB/s and the time that is left,
        as far as the plan can tell. Nothing is shown where that is no terminal and no notebook. With the extra
        ``industrydb[cli]`` there are bars, otherwise lines.
    return_type
        ``"polars"``, or ``"arrow"`` for a ``pyarrow.Table``, or ``"pandas"``. Columns are converted one by one, and
        each is released then: beside the frame, memory holds one more column.
    dtype_backend
        For ``"pandas"``, the types of its columns, which depend on the database's types alone: ``"numpy_nullable"`` for
        ``Int64``, ``boolean``, ``string`` and the like, ``"pyarrow"`` for those of Arrow.

    Returns
    -------
    polars.DataFrame or pyarrow.Table or pandas.DataFrame
        One row per row of the result, with one chunk per range. The documentation's type tables
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
        The call took longer than its `timeout`, or the database ended the query because it took too long.
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
    convert = converter(return_type, dtype_backend)
    call = request(
        uri,
        query,
        params=params,
        partition_on=partition_on,
        partitions=partitions,
        partition_range=partition_range,
        schema_overrides=schema_overrides,
        pre_execution_query=pre_execution_query,
        snapshot=snapshot,
        max_connections=max_connections,
        timeout=timeout,
    )
    with shown(bool(progress), "read") as draw:
        watch = None if draw is None else lambda measured: draw(partial(progress_of, measured))
        frame = finished(_read_sql(call, watch), call.dtypes)
    if return_type == "polars":
        return frame
    columns, height = frame.get_columns(), frame.height
    del frame  # so that the columns are nobody else's
    made: pa.Table | pd.DataFrame = convert(columns, height)
    return made
