"""``read_sql``: read the result of a query into one frame."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal, overload

from industrydb._read.return_type import DtypeBackend, ReturnType, converter
from industrydb._request import Snapshot, request
from industrydb._text.arguments import explained, flag
from industrydb._text.overrides import SchemaOverrides, finished
from industrydb._watch.progress import progress_of
from industrydb._watch.shown import shown
from industrydb.industrydb import read_sql as _read_sql

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from industrydb._read.return_type import Convert
    from industrydb._request import Database, Request
    from industrydb._text.statement import Parameters, Query
    from industrydb.industrydb import Stop


@overload
def read_sql(
    uri: Database,
    query: Query,
    *,
    params: Parameters | None = None,
    partition_on: str | None = None,
    partitions: int | None = None,
    partition_range: tuple[object, object] | None = None,
    schema_overrides: SchemaOverrides | None = None,
    pre_execution_query: str | Sequence[str] | None = None,
    snapshot: Snapshot = True,
    max_connections: int | None = None,
    timeout: float | timedelta | None = None,
    progress: bool = False,
    return_type: Literal["polars"] = "polars",
) -> pl.DataFrame: ...
@overload
def read_sql(
    uri: Database,
    query: Query,
    *,
    params: Parameters | None = None,
    partition_on: str | None = None,
    partitions: int | None = None,
    partition_range: tuple[object, object] | None = None,
    schema_overrides: SchemaOverrides | None = None,
    pre_execution_query: str | Sequence[str] | None = None,
    snapshot: Snapshot = True,
    max_connections: int | None = None,
    timeout: float | timedelta | None = None,
    progress: bool = False,
    return_type: Literal["arrow"],
) -> pa.Table: ...
@overload
def read_sql(
    uri: Database,
    query: Query,
    *,
    params: Parameters | None = None,
    partition_on: str | None = None,
    partitions: int | None = None,
    partition_range: tuple[object, object] | None = None,
    schema_overrides: SchemaOverrides | None = None,
    pre_execution_query: str | Sequence[str] | None = None,
    snapshot: Snapshot = True,
    max_connections: int | None = None,
    timeout: float | timedelta | None = None,
    progress: bool = False,
    return_type: Literal["pandas"],
    dtype_backend: DtypeBackend = "numpy_nullable",
) -> pd.DataFrame: ...
@explained
def read_sql(  # noqa: PLR0913, each is a choice of its own, and has a default
    uri: Database,
    query: Query,
    *,
    params: Parameters | None = None,
    partition_on: str | None = None,
    partitions: int | None = None,
    partition_range: tuple[object, object] | None = None,
    schema_overrides: SchemaOverrides | None = None,
    pre_execution_query: str | Sequence[str] | None = None,
    snapshot: Snapshot = True,
    max_connections: int | None = None,
    timeout: float | timedelta | None = None,
    progress: bool = False,
    return_type: ReturnType = "polars",
    dtype_backend: DtypeBackend = "numpy_nullable",
) -> pl.DataFrame | pa.Table | pd.DataFrame:
    """
    Read the result of a SQL query into one DataFrame.

    With `partition_on` or `partitions`, the query is divided into
    partitions of about the same number of rows: ranges of a column's
    values, or of the places where the rows are stored. The partitions are
    read in parallel, each over a session of its own, and all see the same
    state of the database. Every row arrives exactly once, in the order of
    the partitions. The first and the last range are open, and rows with a
    NULL key belong to the first partition.

    Parameters
    ----------
    uri
        The database:
        ``postgresql://user:password@host:port/database?option=value``,
        ``sqlite:///path/to/file.db`` (absolute; with two slashes relative),
        ``mysql://user:password@host:port/database?option=value`` for MySQL
        and MariaDB, or ``mssql://…`` for SQL Server. Special characters are
        percent-encoded. Or a `DatabaseConfig`, the path of an SQLite file
        as a ``pathlib.Path``, an ``Engine`` or ``URL`` of SQLAlchemy, whose
        driver is not used, a connection string of libpq,
        ``host=db dbname=shop``, or a `Connection`, whose session reads one
        partition. PostgreSQL's options are ``host`` (also the folder of a
        Unix socket), ``port``, ``user``, ``password``, ``dbname``,
        ``hostaddr``, ``sslmode``, ``sslrootcert``, ``sslcert``, ``sslkey``,
        ``channel_binding``, ``application_name``, ``connect_timeout``
        (seconds), ``connect_retries``, ``options``, ``keepalives``,
        ``keepalives_idle`` and ``keepalives_interval`` (seconds),
        ``keepalives_count``, ``passfile``, ``service`` and
        ``target_session_attrs``. Options that the URI does not set come
        from a service or from environment variables such as ``PGHOST`` and
        ``PGSSLMODE``, as in libpq.
    query
        A single statement that returns rows, optionally followed by a
        semicolon or comments. Or a list of such statements with the same
        columns, which are read in parallel and concatenated in the order of
        the list. Or a ``text()`` or a select of SQLAlchemy, which is
        compiled for the database, with bound values.
    params
        The values of the query's parameters. The database binds them; they
        never become part of a statement's text. A list for PostgreSQL's
        ``$1``, SQLite's and MySQL's ``?`` and SQL Server's ``@p1``, a dict
        for SQLite's ``:name``, SQL Server's ``@name`` and a statement of
        SQLAlchemy. Each value is a ``bool``, ``int``, ``float``, ``str``,
        ``bytes``, ``Decimal``, ``date``, ``time``, ``datetime``,
        ``timedelta``, ``UUID``, ``None`` or, for PostgreSQL's arrays, a
        list of these.
    partition_on
        A column of the query's result, by its exact name, of any type whose
        values have an order.
    partitions
        The number of partitions, from 1 to 4096; the number of CPUs if only
        `partition_on` is given. Without `partition_on`, the query must be a
        plain ``SELECT … FROM table``, whose rows are divided by where they
        are stored, or on MySQL and SQL Server by their primary key. There
        are fewer partitions if there are fewer keys.
    partition_range
        The lowest and the highest value of `partition_on`: two numbers,
        dates or datetimes. The ranges between them are then equally wide,
        and the keys are not sampled. Rows outside the range are still read,
        with the first and the last partition.
    schema_overrides
        The data types to read columns as, by the names of the columns, in
        place of those in the type tables:
        ``{"price": pl.Float64, "kind": pl.Categorical}``. Values are
        converted exactly or not at all; only floats are rounded, to the
        nearest one. A conversion between types that have nothing in common
        raises before anything is read, and a value that does not fit the
        requested type raises a `TypeConversionError`.
    pre_execution_query
        A statement, or a list of statements, that each session runs first.
    snapshot
        Whether all sessions must see one state of the database; or a
        `HeldSnapshot`, whose state they see, or the id of a snapshot that
        another program has exported by ``pg_export_snapshot()``. ``False``
        also reads where the database, or a pooler in front of it, cannot
        provide one state; each partition then sees the state at its own
        time. SQL Server can never provide it, and a line in the log says
        so.
    max_connections
        The maximum number of sessions that are open at the same time, 32 if
        not given. Further partitions wait for a free session.
    timeout
        The number of seconds that the whole call may take, from connecting
        to the frame, or a ``timedelta``. After that, the database's work is
        cancelled, and the call raises a `QueryTimeoutError`.
    progress
        Whether to show the progress: partitions, rows, MB/s and the
        remaining time, as far as it can be estimated. At a terminal, it is
        shown on standard error, as bars with the extra ``industrydb[cli]``,
        otherwise as lines; in a notebook, as a line below the cell;
        elsewhere, as a line each minute in the log, at level INFO.
    return_type
        ``"polars"``, ``"arrow"`` for a ``pyarrow.Table``, or ``"pandas"``.
        Columns are converted one by one, and each is released after its
        conversion, so that memory holds at most one more column than the
        frame.
    dtype_backend
        For ``"pandas"``, the types of the columns, which depend on the
        database's types only: ``"numpy_nullable"`` for ``Int64``,
        ``boolean``, ``string`` and the like, ``"pyarrow"`` for Arrow's
        types.

    Returns
    -------
    polars.DataFrame or pyarrow.Table or pandas.DataFrame
        The rows of the result, in one chunk per partition. The
        documentation's type tables list the data type of each column.

    Raises
    ------
    ConfigurationError
        An argument is not valid, or asks for something that is not
        possible. The query was not run.
    DatabaseConnectionError
        The database cannot be reached, refuses the login, or drops the
        connection.
    QueryExecutionError
        The database refuses the query, or fails to run it; ``code`` is the
        database's own error code.
    QueryTimeoutError
        The call took longer than its `timeout`, or the database ended the
        query because it took too long.
    TypeConversionError
        A value does not fit the type of its column; nothing is rounded or
        replaced.
    KeyboardInterrupt
        On Ctrl-C; the database's work is then cancelled too.

    Examples
    --------
    >>> import industrydb
    >>> query = "SELECT id, name FROM person"
    >>> industrydb.read_sql(uri, query, partition_on="id", partitions=2)
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
    made: pl.DataFrame | pa.Table | pd.DataFrame = read(
        call, convert, is_converted=return_type != "polars", progress=flag("progress", progress)
    )
    return made


def read(
    call: Request, convert: Convert, *, is_converted: bool, progress: bool = False, stop: Stop | None = None
) -> Any:  # noqa: ANN401, one of three types
    """Carry out the call of a `read_sql`; `stop` ends it from outside."""
    with shown(progress and call.session is None, "read") as draw:
        watch = None if draw is None else lambda measured: draw(partial(progress_of, measured))
        frame = finished(_read_sql(call, watch, None, stop), call.dtypes)
    if not is_converted:
        return frame
    columns, height = frame.get_columns(), frame.height
    del frame  # the list then holds the only references, so that each column is released after its conversion
    return convert(columns, height)
