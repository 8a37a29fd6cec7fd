"""``scan_sql``: a query as a LazyFrame, for which the database sends only the needed columns and rows."""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from polars.io.plugins import register_io_source

from industrydb._read.batches import BATCH_SIZE, BatchReader
from industrydb._request import Request, Snapshot, request
from industrydb._text.arguments import explained, flag
from industrydb._text.overrides import SchemaOverrides, finished
from industrydb._text.predicate import Predicate, translated
from industrydb._text.statement import is_statement
from industrydb._watch.interrupts import interruptible
from industrydb.industrydb import QueryExecutionError, schema_sql

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    import polars as pl

    from industrydb._request import Database
    from industrydb._text.statement import Parameters, Statement

# The name of a table: one or more parts with points between them, each plain or quoted.
NAME = r'(?:[^\s"\[\]`\'().,;*]+|"(?:[^"]|"")+"|\[(?:[^\]]|\]\])+\]|`(?:[^`]|``)+`)'
TABLE = re.compile(rf"\s*{NAME}(?:\.{NAME})*\s*")


def narrowed(call: Request, predicate: Predicate) -> Request:
    """Return the call with a filter: it reads at least the rows for which the predicate is true."""
    return replace(call, narrowing=([], predicate, None, False))


@explained
def scan_sql(  # noqa: PLR0913, as for read_sql
    uri: Database,
    query: str | Statement,
    *,
    params: Parameters | None = None,
    partition_on: str | None = None,
    partitions: int | None = None,
    partition_range: tuple[object, object] | None = None,
    schema_overrides: SchemaOverrides | None = None,
    pre_execution_query: str | list[str] | None = None,
    snapshot: Snapshot = True,
    max_connections: int | None = None,
    timeout: float | timedelta | None = None,
    ordered: bool = True,
) -> pl.LazyFrame:
    """
    Make a LazyFrame of a query or a table.

    The call itself asks the database for the columns only; each collection
    reads the rows.

    Operations on the frame become part of the statement: columns that are
    not needed are not selected, filters become a WHERE with bound values,
    and `head` becomes a LIMIT. A filter, or a part of it, that the database
    would evaluate differently is not sent to the database, and Polars
    applies the whole filter to the received rows. The frame therefore has
    the same rows as without any of this. Polars' streaming engine reads it
    in bounded memory.

    On a `Connection`, each collection has its session until the end, as a
    reader of `read_sql_batches` has: two scans of one connection in one
    query raise a `ConfigurationError`.

    Parameters
    ----------
    uri, params, partition_on, partitions, partition_range, schema_overrides
        As for `read_sql`.
    query
        A single statement that returns rows, also a ``text()`` or select of
        SQLAlchemy, or the name of a table: ``orders``, ``sales.orders``,
        ``"my table"``.
    pre_execution_query, snapshot, max_connections
        As for `read_sql`. Each collection is a read of its own, and sees
        the database's state at that time.
    timeout
        As for `read_sql_batches`, for each collection.
    ordered
        As for `read_sql_batches`.

    Returns
    -------
    polars.LazyFrame
        The frame's ``explain()`` shows which columns, filters and slices
        Polars hands to the scan. The logger ``industrydb.core`` logs the
        resulting statement at the level ``DEBUG``.

    Raises
    ------
    ConfigurationError, DatabaseConnectionError, QueryExecutionError,
    QueryTimeoutError
        As for `read_sql`, while the columns are asked for; collecting the
        frame raises the errors of the read.
    KeyboardInterrupt
        On Ctrl-C, also while the frame is collected; the database's work is
        then cancelled too.

    Examples
    --------
    >>> import industrydb
    >>> import polars as pl
    >>> people = industrydb.scan_sql(uri, "person")
    >>> named = people.filter(pl.col("name").is_not_null())
    >>> named.select(pl.len()).collect().item()
    2
    """
    if not isinstance(query, str) and not is_statement(query):
        msg = f"query must be a str, not {type(query).__name__}: a scan is of one query"
        raise TypeError(msg)
    call = request(
        uri,
        f"SELECT * FROM {query}" if isinstance(query, str) and TABLE.fullmatch(query) else query,  # noqa: S608, a name ends no statement
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
    scan = _Scan(call, ordered=flag("ordered", ordered))
    return register_io_source(scan.batches, schema=scan.schema, **_shown(call))


class _Scan:
    """A query and the callback that reads it for Polars."""

    def __init__(self, call: Request, *, ordered: bool) -> None:
        self._call = call
        self._ordered = ordered
        empty = schema_sql(call)
        # `_read` has the types to decode, which a narrowed query must have as well; `schema` has those of the frame.
        self._read = empty.schema
        self.schema = finished(empty, call.dtypes).schema

    def batches(
        self, with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        """Yield the rows that Polars needs: its columns, and those of the first `n_rows` rows that match."""
        call = self._needed(with_columns, predicate, n_rows)
        size = batch_size or BATCH_SIZE
        left = n_rows
        with (
            interruptible() as stop,
            BatchReader(call, batch_size=size, ordered=self._ordered, known=self._read, stop=stop) as batches,
        ):
            self._reject_changed(batches.schema, call)
            for batch in batches:
                rows = batch if left is None else batch.head(left)
                left = None if left is None else left - rows.height
                rows = rows if predicate is None else rows.filter(predicate)
                yield rows if with_columns is None else rows.select(with_columns)

    def _reject_changed(self, found: pl.Schema, call: Request) -> None:
        """Raise if the columns of the read differ from those that the scan was made with."""
        names = (call.narrowing and call.narrowing[0]) or list(self.schema)
        # A query that cannot be narrowed returns more columns than were asked for.
        columns = {name: dtype for name, dtype in found.items() if call.narrowing is None or name in names}
        expected = {name: self.schema[name] for name in names}
        if list(columns.items()) != list(expected.items()):
            msg = (
                f"the query's columns have changed since the scan was made: they were {expected}, and are "
                f"{dict(found)}; make the scan again"
            )
            raise QueryExecutionError(msg)

    def _needed(self, with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None) -> Request:
        """Return the call for the columns and rows that Polars needs, or a superset of them."""
        call, schema = self._call, self.schema
        wanted = set(schema) if with_columns is None else set(with_columns)
        if predicate is not None:
            wanted.update(predicate.meta.root_names())
        if n_rows is not None:
            # `n_rows` counts the first rows of a single cursor, and the filter applies to these rows only. A filter in
            # the statement would skip rows that do not match and return later ones.
            call = replace(call, partition_on=None, partitions=None, cuts=None)
        elif call.partition_on is not None:
            wanted.add(call.partition_on)
        columns = [name for name in schema if name in wanted] or list(schema)[:1]
        tree = None if predicate is None or n_rows is not None else translated(predicate, schema)
        if tree is None and n_rows is None and len(columns) == len(schema):
            return call
        return replace(call, narrowing=(columns, tree, n_rows, False))


def _shown(call: Request) -> dict[str, Any]:
    """Return the arguments for what `explain` shows of a scan, empty for a version of Polars without them."""
    if "explain_name" not in inspect.signature(register_io_source).parameters:
        return {}
    split = "" if call.partitions is None else f", {call.partitions} partitions of {call.partition_on or 'the rows'}"
    return {"explain_name": "industrydb", "explain_detail": f"{' '.join(call.queries[0].split())}{split}"}
