"""``scan_sql``: a query as a LazyFrame, of which the database sends only what the frame needs."""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from polars.io.plugins import register_io_source

from industrydb._read.batches import BATCH_SIZE, BatchReader
from industrydb._request import Parameters, Request, request
from industrydb._text.overrides import SchemaOverrides, finished
from industrydb._text.predicate import Predicate, translated
from industrydb._watch.interrupts import interruptible
from industrydb.industrydb import QueryExecutionError, schema_sql

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    import polars as pl

    from industrydb.industrydb import DatabaseConfig

# A name, or several with points between them, each as it is or in quotes.
NAME = r'(?:[^\s"\[\]`\'().,;*]+|"(?:[^"]|"")+"|\[(?:[^\]]|\]\])+\]|`(?:[^`]|``)+`)'
TABLE = re.compile(rf"\s*{NAME}(?:\.{NAME})*\s*")


def narrowed(call: Request, predicate: Predicate) -> Request:
    """Return the call for at least the rows for which a predicate is true."""
    return replace(call, narrowing=([], predicate, None, False))


def scan_sql(  # noqa: PLR0913, as for read_sql
    uri: str | DatabaseConfig,
    query: str,
    *,
    params: Parameters | None = None,
    partition_on: str | None = None,
    partitions: int | None = None,
    partition_range: tuple[object, object] | None = None,
    schema_overrides: SchemaOverrides | None = None,
    pre_execution_query: str | list[str] | None = None,
    snapshot: bool = True,
    max_connections: int | None = None,
    timeout: float | timedelta | None = None,
    ordered: bool = True,
) -> pl.LazyFrame:
    """
    Make a LazyFrame of a query or a table, which is read when the frame is collected.

    The database is asked for the columns at once, and for the rows with each collection.

    What the frame does with it becomes part of the statement: columns that are not needed are not selected, filters
    become a WHERE with bound values, and `head` becomes a LIMIT. Polars applies its own filter to what comes, so that a
    filter, or a part of it, that the database would understand otherwise is never given to it: the frame has the same
    rows with and without. Polars' streaming engine reads it in bounded memory.

    Parameters
    ----------
    uri, params, partition_on, partitions, partition_range, schema_overrides
        As for `read_sql`.
    query
        A single statement that returns rows, or the name of a table: ``orders``, ``sales.orders``, ``"my table"``.
    pre_execution_query, snapshot, max_connections
        As for `read_sql`. Each collection is a read of its own, and sees the database as it then is.
    timeout
        As for `read_sql_batches`, for each collection.
    ordered
        As for `read_sql_batches`.

    Returns
    -------
    polars.LazyFrame
        Its ``explain()`` shows which columns, filters and slices are handed to the scan. The statement that comes of
        them is in the log, as a message of the logger ``industrydb.core`` at the level ``DEBUG``.

    Raises
    ------
    ConfigurationError, DatabaseConnectionError, QueryExecutionError, QueryTimeoutError
        As `read_sql` does, from asking for the columns; errors of reading are raised when the frame is collected.
    KeyboardInterrupt
        On Ctrl-C, also while the frame is collected; the database's work is then cancelled too.

    Examples
    --------
    >>> import industrydb
    >>> import polars as pl
    >>> people = industrydb.scan_sql(uri, "person")
    >>> people.filter(pl.col("name").is_not_null()).select(pl.len()).collect().item()
    2
    """
    if not isinstance(query, str):
        msg = f"query must be a str, not {type(query).__name__}: a scan is of one query"
        raise TypeError(msg)
    call = request(
        uri,
        f"SELECT * FROM {query}" if TABLE.fullmatch(query) else query,  # noqa: S608, a name ends no statement
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
    scan = _Scan(call, ordered=bool(ordered))
    return register_io_source(scan.batches, schema=scan.schema, **_shown(call))


class _Scan:
    """A query that is read when Polars asks for it."""

    def __init__(self, call: Request, *, ordered: bool) -> None:
        self._call = call
        self._ordered = ordered
        empty = schema_sql(call)
        # The types that are read, which a part of the query must have too, and what becomes of them.
        self._read = empty.schema
        self.schema = finished(empty, call.dtypes).schema

    def batches(
        self, with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        """Read the columns that Polars needs, and of the first `n_rows` rows those that match."""
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
        """Raise if the columns that are read are not those of the frame that the call is for."""
        names = (call.narrowing and call.narrowing[0]) or list(self.schema)
        # Beside those that were asked for there may be others, where a query cannot be narrowed.
        columns = {name: dtype for name, dtype in found.items() if call.narrowing is None or name in names}
        expected = {name: self.schema[name] for name in names}
        if list(columns.items()) != list(expected.items()):
            msg = (
                f"the query's columns have changed since the scan was made: they were {expected}, and are "
                f"{dict(found)}; make the scan again"
            )
            raise QueryExecutionError(msg)

    def _needed(self, with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None) -> Request:
        """Return the call for what Polars needs, and perhaps more."""
        call, schema = self._call, self.schema
        wanted = set(schema) if with_columns is None else set(with_columns)
        if predicate is not None:
            wanted.update(predicate.meta.root_names())
        if n_rows is not None:
            # The first rows are those of one cursor; the filter is for them, not for what it would find behind them.
            call = replace(call, partition_on=None, partitions=None, cuts=None)
        elif call.partition_on is not None:
            wanted.add(call.partition_on)
        columns = [name for name in schema if name in wanted] or list(schema)[:1]
        tree = None if predicate is None or n_rows is not None else translated(predicate, schema)
        if tree is None and n_rows is None and len(columns) == len(schema):
            return call
        return replace(call, narrowing=(columns, tree, n_rows, False))


def _shown(call: Request) -> dict[str, Any]:
    """Return what `explain` shows of a scan, where Polars takes it."""
    if "explain_name" not in inspect.signature(register_io_source).parameters:
        return {}
    split = "" if call.partitions is None else f", {call.partitions} partitions of {call.partition_on or 'the rows'}"
    return {"explain_name": "industrydb", "explain_detail": f"{' '.join(call.queries[0].split())}{split}"}
