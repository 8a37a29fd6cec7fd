"""The functions of connectorx, by industrydb.

A program that uses connectorx needs one other line, the first:

>>> import industrydb.connectorx as cx
>>> cx.read_sql(uri, "SELECT id FROM person", return_type="polars").height
3

Arguments, defaults and the types of frames are those of connectorx 0.4.
The rows are those of `industrydb.read_sql`: rows with a NULL key, and rows
outside of `partition_range`, are read too, and all partitions see the same
state of the database. `docs/migrating.md` lists the differences. Databases
that industrydb does not read are passed on to connectorx, if it is
installed.
"""

from __future__ import annotations

import importlib
import sys
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args
from urllib.parse import quote, urlencode

import polars as pl

import industrydb
from industrydb._connectorx.errors import ConfigurationError, runtime_errors
from industrydb._connectorx.frames import OF_PANDAS, to_pandas
from industrydb._plan import planned
from industrydb._request import request
from industrydb._text.arguments import folded
from industrydb._text.near import near

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType

    import pandas as pd
    from typing_extensions import Self

    from industrydb._text.address import Address

__all__ = [
    "ConnectionUrl",
    "get_meta",
    "install",
    "partition_sql",
    "read_sql",
    "read_sql_pandas",
    "uninstall",
]

__version__ = "0.4.6"
"""Version of connectorx whose functions these are; libraries compare it."""

Protocol: TypeAlias = Literal["csv", "binary", "cursor", "simple", "text"]
PROTOCOLS = get_args(Protocol)
ReturnType: TypeAlias = Literal["pandas", "polars", "arrow", "modin", "dask", "arrow_stream"]


class ConnectionUrl(str):
    """
    A connection string, given as one or made of its parts.

    Parameters
    ----------
    raw_connection
        The whole connection string; the other arguments are then left out.
    backend
        The kind of database, such as ``"postgresql"`` or ``"sqlite"``.
    username, password, server, port, database
        Address of a server and its login, percent-encoded as in a URI.
    database_options
        The options after the ``?``.
    db_path
        Path of an SQLite file.

    Examples
    --------
    >>> import industrydb.connectorx as cx
    >>> str(cx.ConnectionUrl(backend="sqlite", db_path="/data/my file.db"))
    'sqlite:///data/my%20file.db'
    """

    __slots__ = ()

    def __new__(  # noqa: PLR0913, the arguments of connectorx
        cls,
        raw_connection: str | None = None,
        *,
        backend: str = "",
        username: str = "",
        password: str = "",
        server: str = "",
        port: int | None = None,
        database: str = "",
        database_options: dict[str, str] | None = None,
        db_path: str | Path = "",
    ) -> Self:
        """Make the connection string."""
        if raw_connection is not None:
            return super().__new__(cls, raw_connection)
        if not backend:
            msg = "ConnectionUrl needs a raw_connection or a backend"
            raise ValueError(msg)
        if backend in {"sqlite", "bigquery"}:
            return super().__new__(cls, f"{backend}://{quote(str(db_path))}")
        options = f"?{urlencode(database_options)}" if database_options else ""
        return super().__new__(cls, f"{backend}://{username}:{password}@{server}:{port}/{database}{options}")

    def __repr__(self) -> str:
        """Return the kind of database alone: the rest may hold a password."""
        scheme, mark, _ = self.partition("://")
        return f"ConnectionUrl('{scheme}{mark}…')" if mark else "ConnectionUrl('…')"

    def __class_getitem__(cls, _: object) -> type[Self]:
        """Return the class: connectorx's is generic in the kind of database."""
        return cls


folded(ConnectionUrl.__new__)


@folded
def read_sql(  # noqa: PLR0913, the arguments of connectorx
    conn: Address | dict[str, Any],
    query: list[str] | str,
    *,
    return_type: ReturnType = "pandas",
    protocol: Protocol | None = None,
    partition_on: str | None = None,
    partition_range: tuple[int, int] | None = None,
    partition_num: int | None = None,
    index_col: str | None = None,
    strategy: str | None = None,
    pre_execution_query: list[str] | str | None = None,
    batch_size: int = 10_000,
    **_ignored: object,
) -> Any:  # noqa: ANN401, one of six types
    """
    Read the result of a query, as ``connectorx.read_sql`` does.

    Parameters
    ----------
    conn
        The connection string. Databases that industrydb does not read, and
        a dict of connections for a federated query, are passed on to
        connectorx.
    query
        A query, or a list of queries with the same columns.
    return_type
        ``"pandas"``, ``"polars"``, ``"arrow"`` (a ``pyarrow.Table``),
        ``"arrow_stream"`` (a ``pyarrow.RecordBatchReader``), ``"modin"`` or
        ``"dask"``.
    protocol
        One of connectorx's protocols. All read the same rows.
    partition_on
        The column whose ranges are the partitions.
    partition_range
        Smallest and largest key that the ranges are made of. Rows outside
        of it are read too.
    partition_num
        The number of partitions.
    index_col
        The column that becomes the index, for ``"pandas"``, ``"modin"`` and
        ``"dask"``.
    strategy
        Only for federated queries.
    pre_execution_query
        Statements that each session runs first.
    batch_size
        The number of rows of a batch, for ``"arrow_stream"``.
    **_ignored
        Other arguments are ignored, as in connectorx.

    Raises
    ------
    RuntimeError
        The errors of `industrydb.read_sql`: each is a `RuntimeError` here
        as well as an `IndustryDbError`. An error while a stream is consumed
        is an `OSError` of pyarrow, with the same message.
    ValueError
        If `return_type` or `protocol` is unknown, or if a list of queries
        is to be partitioned.

    Examples
    --------
    >>> import industrydb.connectorx as cx
    >>> cx.read_sql(
    ...     uri, "SELECT id, name FROM person", return_type="polars"
    ... ).columns
    ['id', 'name']
    """
    if isinstance(query, list) and len(query) == 1:
        [query] = query
    if (other := _for_connectorx(conn)) is not None:
        arguments: dict[str, Any] = {
            "return_type": return_type,
            "protocol": protocol,
            "partition_on": partition_on,
            "partition_range": partition_range,
            "partition_num": partition_num,
            "index_col": index_col,
            "strategy": strategy,
            "pre_execution_query": pre_execution_query,
        }
        if return_type == "arrow_stream":
            arguments["batch_size"] = batch_size
        return other.read_sql(conn, query, **arguments)
    _check_protocol(protocol)
    if return_type not in (kinds := get_args(ReturnType)):
        msg = f"return_type must be one of {', '.join(kinds)}, not {return_type!r}{near(return_type, kinds)}"
        raise ValueError(msg)
    if not isinstance(query, str) and partition_on is not None:
        msg = "Partition on multiple queries is not supported."
        raise ValueError(msg)
    reads: dict[str, Any] = {"pre_execution_query": pre_execution_query}
    split = {} if partition_on is None else _split(partition_on, partition_num, partition_range)
    uri = _uri(conn)
    with runtime_errors():
        if return_type == "arrow_stream":
            size = max(int(batch_size), 1)
            batches = _folded(industrydb.read_sql_batches, uri, query, split, batch_size=size, **reads)
            return importlib.import_module("pyarrow").RecordBatchReader.from_stream(batches)
        kind = "arrow" if return_type == "arrow" else "polars"
        read = _folded(industrydb.read_sql, uri, query, split, return_type=kind, **reads)
        if return_type in {"polars", "arrow"}:
            return read
        columns, height = read.get_columns(), read.height
        del read  # the list then holds the only references
        frame = to_pandas(columns, height)
    return OF_PANDAS[return_type](frame if index_col is None else frame.set_index(index_col))


@folded
def read_sql_pandas(  # noqa: PLR0913, PLR0917, the arguments of connectorx
    sql: list[str] | str,
    con: Address | dict[str, Any],
    index_col: str | None = None,
    protocol: Protocol | None = None,
    partition_on: str | None = None,
    partition_range: tuple[int, int] | None = None,
    partition_num: int | None = None,
    pre_execution_queries: list[str] | str | None = None,
) -> pd.DataFrame:
    """Read into a pandas frame, with the arguments of ``pandas.read_sql``.

    Examples
    --------
    >>> import industrydb.connectorx as cx
    >>> len(cx.read_sql_pandas("SELECT id, name FROM person", uri))
    3
    """
    frame: pd.DataFrame = read_sql(
        con,
        sql,
        return_type="pandas",
        protocol=protocol,
        partition_on=partition_on,
        partition_range=partition_range,
        partition_num=partition_num,
        index_col=index_col,
        pre_execution_query=pre_execution_queries,
    )
    return frame


@folded
def get_meta(conn: Address, query: str, protocol: Protocol | None = None) -> pd.DataFrame:
    """Return a pandas frame with the columns and types of a query, and no rows.

    Examples
    --------
    >>> import industrydb.connectorx as cx
    >>> list(cx.get_meta(uri, "SELECT id, name FROM person").columns)
    ['id', 'name']
    """
    if (other := _for_connectorx(conn)) is not None:
        meta: pd.DataFrame = other.get_meta(conn, query, protocol)
        return meta
    _check_protocol(protocol)
    with runtime_errors():
        return to_pandas(pl.DataFrame(schema=_plan(conn, query).schema).get_columns(), 0)


@folded
def partition_sql(
    conn: Address,
    query: str,
    partition_on: str,
    partition_num: int,
    partition_range: tuple[int, int] | None = None,
) -> list[str]:
    """
    Return the queries of the partitions.

    Together they return every row once, as long as the rows do not change
    between them.

    Examples
    --------
    >>> import industrydb.connectorx as cx
    >>> len(cx.partition_sql(uri, "SELECT id, name FROM person", "id", 2))
    2
    """
    if (other := _for_connectorx(conn)) is not None:
        queries: list[str] = other.partition_sql(conn, query, partition_on, partition_num, partition_range)
        return queries
    with runtime_errors():
        split = _split(partition_on, partition_num, partition_range)
        return list(_folded(_plan, conn, query, split).sql)


def install() -> None:
    """
    Let ``import connectorx`` return this module in the whole process.

    It is for libraries that import connectorx themselves. Modules that have
    imported connectorx before keep it. `uninstall` undoes this.

    Examples
    --------
    >>> import industrydb.connectorx
    >>> industrydb.connectorx.install()
    >>> import connectorx
    >>> connectorx is industrydb.connectorx
    True
    >>> industrydb.connectorx.uninstall()
    """
    this = sys.modules[__name__]
    if sys.modules.get("connectorx") is not this:
        _real[:] = [module] if (module := sys.modules.get("connectorx")) else []
        sys.modules["connectorx"] = this


def uninstall() -> None:
    """Let ``import connectorx`` return connectorx again.

    Examples
    --------
    >>> import industrydb.connectorx
    >>> industrydb.connectorx.install()
    >>> industrydb.connectorx.uninstall()
    >>> import sys
    >>> sys.modules.get("connectorx") is industrydb.connectorx
    False
    """
    if sys.modules.get("connectorx") is sys.modules[__name__]:
        del sys.modules["connectorx"]
        if _real:
            sys.modules["connectorx"] = _real[0]


# connectorx itself, while this module stands in its place, once it was imported.
_real: list[ModuleType] = []
_importing = Lock()


# Databases that only connectorx reads.
OTHERS = ("redshift", "redshift-iam", "clickhouse", "oracle", "bigquery", "trino")


def _for_connectorx(conn: object) -> ModuleType | None:
    """Return connectorx if only connectorx can open the connection; raise if it is needed and not installed."""
    scheme = conn.partition(":")[0].partition("+")[0].lower() if isinstance(conn, str) else ""
    if scheme not in OTHERS and not isinstance(conn, dict):
        return None
    try:
        return _connectorx()
    except ImportError:
        what = "a federated query" if isinstance(conn, dict) else f"{scheme!r}"
        msg = f"industrydb does not read {what}, and connectorx, which does, is not installed: pip install connectorx"
        raise ConfigurationError(msg) from None


def _connectorx() -> ModuleType:
    """Import connectorx itself, also while this module stands in its place."""
    with _importing:
        if sys.modules.get("connectorx") is not sys.modules[__name__]:
            return importlib.import_module("connectorx")
        if not _real:
            uninstall()
            try:
                importlib.import_module("connectorx")
            finally:
                install()
        return _real[0]


def _check_protocol(protocol: str | None) -> None:
    if protocol and protocol not in PROTOCOLS:
        msg = f"protocol must be one of {', '.join(PROTOCOLS)}, not {protocol!r}{near(protocol, PROTOCOLS)}"
        raise ValueError(msg)


def _plan(conn: Any, query: str, **split: Any) -> industrydb.ReadPlan:  # noqa: ANN401, an address and arguments
    """Plan a query without reading values, so that types may be wider than those of a read."""
    others = ("params", "schema_overrides", "pre_execution_query", "max_connections", "timeout")
    nothing = dict.fromkeys([*others, "partition_on", "partitions", "partition_range"])
    return planned(request(_uri(conn), query, **{**nothing, "snapshot": True, **split}), settle=False)


def _split(partition_on: str, partition_num: int | None, partition_range: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the arguments of industrydb for partitions: a column's name without quotes, and Python numbers."""
    if len(partition_on) > 1 and partition_on[0] == partition_on[-1] in {'"', "`"}:
        quote = partition_on[0]
        partition_on = partition_on[1:-1].replace(2 * quote, quote)
    ends = tuple(getattr(end, "item", lambda end=end: end)() for end in partition_range or ())
    return {
        "partition_on": partition_on,
        "partitions": partition_num,
        "partition_range": ends if any(end is not None for end in ends) else None,
    }


def _folded(read: Callable[..., Any], conn: Any, query: Any, split: dict[str, Any], **more: Any) -> Any:  # noqa: ANN401
    """Read with a split; by the column whose name differs only in upper and lower case, if there is no such column."""
    try:
        return read(conn, query, **split, **more)
    except industrydb.ConfigurationError:
        given = str(split.get("partition_on") or "").casefold()
        found = [name for name in _plan(conn, query).schema if name.casefold() == given] if given else []
        if len(found) != 1 or found == [split["partition_on"]]:
            raise
        return read(conn, query, **{**split, "partition_on": found[0]}, **more)


def _uri(conn: Any) -> Any:  # noqa: ANN401, an address in and out
    """Return the connection without connectorx's own option, which names a protocol."""
    if not isinstance(conn, str):
        return conn
    address, mark, options = conn.partition("?")
    kept = [option for option in options.split("&") if not option.startswith("cxprotocol=")]
    return address + mark * any(kept) + "&".join(kept)
