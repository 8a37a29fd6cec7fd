"""``read_sql_batches``: read a result that may be larger than memory, batch by batch."""

from __future__ import annotations

import atexit
import sys
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, Literal, overload
from weakref import WeakSet

from industrydb._read.return_type import Convert, DtypeBackend, ReturnType, converter
from industrydb._request import Snapshot, request
from industrydb._text.arguments import explained, flag, folded, whole
from industrydb._text.html import table
from industrydb._text.overrides import SchemaOverrides, finished
from industrydb._watch.progress import progress_of
from industrydb.industrydb import ConfigurationError, ConnectionClosedError, Stream, arrow_stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import timedelta

    import pandas as pd
    import polars as pl
    import pyarrow as pa
    from typing_extensions import Self, TypeVar

    from industrydb._request import Database, Request
    from industrydb._text.statement import Parameters, Query
    from industrydb._watch.progress import Progress
    from industrydb.industrydb import Measured, Stop

    Batch = TypeVar("Batch", default=pl.DataFrame)
else:
    from typing import TypeVar

    Batch = TypeVar("Batch")

BATCH_SIZE = 65_536

_open: WeakSet[Reading] = WeakSet()


@atexit.register
def _close_all() -> None:
    """Close all open reads at exit, while their threads can still take the GIL to log."""
    for reader in list(_open):
        reader.close()


class Reading:
    """A read that runs in threads of its own until it is closed.

    `settled` are the types of all columns, as a plan has fixed them.
    """

    schema: pl.Schema
    _is_closed = False

    def __init__(  # noqa: PLR0913, the read's settings
        self,
        call: Request,
        *,
        batch_size: int,
        separately: bool,
        known: Mapping[str, pl.DataType] | None,
        stop: Stop | None = None,
        settled: list[tuple[str, pl.DataType]] | None = None,
    ) -> None:
        self._call = call
        self._stream = Stream(call, batch_size, separately, list((known or {}).items()), stop, settled)
        _open.add(self)
        self._empty = finished(self._stream.schema(), call.dtypes)
        self.schema = self._empty.schema

    def close(self) -> None:
        """
        End the read, and cancel its work in the database.

        Examples
        --------
        >>> import industrydb
        >>> query = "SELECT id FROM person"
        >>> batches = industrydb.read_sql_batches(uri, query)
        >>> batches.close()
        >>> batches
        <BatchReader: closed, id>
        """
        self._is_closed = True
        self._stream.close()

    def __enter__(self) -> Self:
        """Return the reader."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the reader."""
        self.close()


class BatchReader(Reading, Generic[Batch]):
    """
    An iterator over the batches of a read, as the database sends them.

    Made by `read_sql_batches`. Each batch is a DataFrame, or of the
    `return_type` that was asked for. The reader is also a context manager,
    which closes it at the end of the block. Other libraries take the
    batches through the Arrow C stream interface, whatever `return_type` is:
    ``pyarrow.RecordBatchReader.from_stream(reader)``,
    ``pyarrow.table(reader)``, or a DuckDB query that names the variable of
    the reader as a table.

    Attributes
    ----------
    schema : polars.Schema
        The columns of every batch.

    Examples
    --------
    >>> import industrydb
    >>> with industrydb.read_sql_batches(
    ...     uri, "SELECT id, name FROM person ORDER BY id", batch_size=2
    ... ) as batches:
    ...     print(dict(batches.schema))
    ...     for batch in batches:
    ...         print(batch.rows())
    {'id': Int64, 'name': String}
    [(1, 'Ada'), (2, 'Grace')]
    [(3, None)]
    """

    def __init__(  # noqa: PLR0913, the read's settings, and the conversion of its batches
        self,
        call: Request,
        *,
        batch_size: int,
        ordered: bool,
        known: Mapping[str, pl.DataType] | None = None,
        convert: Convert | None = None,
        stop: Stop | None = None,
        settled: list[tuple[str, pl.DataType]] | None = None,
    ) -> None:
        super().__init__(call, batch_size=batch_size, separately=ordered, known=known, stop=stop, settled=settled)
        self._convert = convert
        self._lock = Lock()
        self._taken = False
        self._ordered = ordered
        self._ended = 0
        self._partitions = len(self._stream.partitions())

    def __iter__(self) -> Self:
        """Return the reader itself: it can be passed over only once."""
        return self

    def __next__(self) -> Batch:
        """
        Wait for the next batch, and return it.

        Returns
        -------
        polars.DataFrame or pyarrow.Table or pandas.DataFrame
            The next rows of the result.

        Raises
        ------
        ConnectionClosedError
            The reader was closed before its last batch.
        IndustryDbError
            As for `read_sql`. No further batches follow, and the batches so
            far are not the whole result.
        """
        batch = self._receive()
        if batch is None:
            raise StopIteration
        made: Any = batch
        if self._convert is not None:
            try:
                made = self._convert(batch.get_columns(), batch.height)
            except BaseException:
                self.close()
                raise
        taken: Batch = made
        return taken

    def _frames(self) -> Iterator[pl.DataFrame]:
        """Yield the remaining batches as Polars frames, to one consumer. A look at a stream's schema takes none."""
        with self._lock:
            self._check_not_taken()
            self._taken = True
        while (batch := self._receive()) is not None:
            yield batch

    def _receive(self) -> pl.DataFrame | None:
        """Wait for the next batch, and return it as a Polars frame; return `None` after the last one."""
        with self._lock:
            try:
                while self._ended < self._partitions:
                    batch = self._stream.receive(self._ended if self._ordered else 0)
                    if batch is not None:
                        return finished(batch, self._call.dtypes, of="the batch")
                    self._ended += 1
            except BaseException:
                self.close()
                raise
            self.close()
            return None

    def __repr__(self) -> str:
        """Return whether the reader is open, and the names of the columns."""
        return f"<BatchReader: {self._state()}, {', '.join(self.schema)}>"

    def _repr_html_(self) -> str:
        """Return the columns as a table for a notebook."""
        return table(f"BatchReader: {self._state()}", ("column", "type"), self.schema.items())

    def _state(self) -> str:
        return "closed" if self._is_closed else "open"

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """
        Hand the batches over through the Arrow C stream interface.

        Parameters
        ----------
        requested_schema
            A schema with the same columns. Its types of text, bytes and
            lists are honoured: ``string_view`` is handed over without a
            copy, ``string`` has 32-bit offsets. Without a schema, they are
            ``large_string``, ``large_binary`` and ``large_list``. All other
            types stay those of `schema`, as the interface allows.

        Returns
        -------
        object
            A capsule with an ``ArrowArrayStream``. Its errors have the same
            messages as those of `read_sql_batches`.

        Raises
        ------
        ConfigurationError
            The requested schema has different columns.
        ConnectionClosedError
            The batches have already been handed over or read, as only one
            pass over them is possible.
        """
        self._check_not_taken()
        return arrow_stream(self._frames(), self._empty, requested_schema)

    def _check_not_taken(self) -> None:
        """Raise if a consumer has begun to take the batches."""
        if self._taken or self._ended == self._partitions:
            msg = "the batches have been taken already: a reader has one pass, so read once more"
            raise ConnectionClosedError(msg)


folded(BatchReader.__init__)


class Partitions(Reading):
    """A read that returns the batches of each partition separately; an error in one partition does not end others."""

    def __init__(self, call: Request, *, batch_size: int, schema: Mapping[str, pl.DataType] | None = None) -> None:
        known = {name: dtype for name, dtype in (schema or {}).items() if name not in call.dtypes}
        super().__init__(call, batch_size=batch_size, separately=True, known=known)

    def read(self, index: int) -> Iterator[pl.DataFrame]:
        """Yield the batches of a partition, once per partition; several threads may read different partitions."""
        while (batch := self._stream.receive(index)) is not None:
            yield finished(batch, self._call.dtypes, of="the batch")

    def progress(self) -> Progress:
        """Return the progress of the read so far."""
        return progress_of(self.measured())

    def measured(self) -> list[Measured]:
        """Return the measurements of the partitions so far."""
        return self._stream.measured()


def checked_size(batch_size: int) -> int:
    """Return the number of rows of a batch; raise if it is not at least 1."""
    size = whole("batch_size", batch_size)
    if size < 1:
        msg = f"batch_size must be at least 1, not {size}"
        raise ConfigurationError(msg)
    return min(size, sys.maxsize)


@overload
def read_sql_batches(
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
    batch_size: int = BATCH_SIZE,
    ordered: bool = True,
    return_type: Literal["polars"] = "polars",
) -> BatchReader[pl.DataFrame]: ...
@overload
def read_sql_batches(
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
    batch_size: int = BATCH_SIZE,
    ordered: bool = True,
    return_type: Literal["arrow"],
) -> BatchReader[pa.Table]: ...
@overload
def read_sql_batches(
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
    batch_size: int = BATCH_SIZE,
    ordered: bool = True,
    return_type: Literal["pandas"],
    dtype_backend: DtypeBackend = "numpy_nullable",
) -> BatchReader[pd.DataFrame]: ...
@explained
def read_sql_batches(  # noqa: PLR0913, as for read_sql
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
    batch_size: int = BATCH_SIZE,
    ordered: bool = True,
    return_type: ReturnType = "polars",
    dtype_backend: DtypeBackend = "numpy_nullable",
) -> BatchReader[Any]:
    """
    Read a SQL query's result in batches, in the memory of a few.

    Workers read the partitions in parallel, as for `read_sql`. Each worker
    holds its batch until the consumer takes it. Memory therefore holds at
    most two batches per worker, and a slow consumer slows the database
    down.

    On a `Connection`, the reader has its session until the last row or its
    `close`. Meanwhile, all other calls on the connection raise. Then, the
    same transaction goes on.

    Parameters
    ----------
    uri, query, params, partition_on, partitions, partition_range,
    schema_overrides
        As for `read_sql`.
    pre_execution_query, snapshot, max_connections
        As for `read_sql`.
    timeout
        The number of seconds that the whole read may take, from this call
        to the last batch, or a ``timedelta``. The time that the consumer
        spends between batches counts, too.
    batch_size
        The number of rows of a batch. The last batch of a partition may
        have fewer, and so may batches of large values, which have little
        more than 64 MiB, unless single values are larger than 1 MiB.
    ordered
        Whether the batches come in the order of the partitions. The other
        workers then wait with the first batch of their partition until it
        is that partition's turn. Otherwise, batches come as they arrive,
        and all workers run at full speed.
    return_type, dtype_backend
        As for `read_sql`, for each batch.

    Returns
    -------
    BatchReader
        An iterator over frames of `return_type`, all with one schema. To
        find it, columns whose type depends on their values, such as
        PostgreSQL's ``numeric`` without precision or SQLite's expressions,
        are first read once, by themselves; `schema_overrides` saves that
        read. A value that later does not fit raises a
        `TypeConversionError`.

    Raises
    ------
    ConfigurationError, DatabaseConnectionError, QueryExecutionError,
    QueryTimeoutError
        As for `read_sql`, while the read is planned; errors of the read are
        raised in place of a batch.

    Examples
    --------
    >>> import industrydb
    >>> batches = industrydb.read_sql_batches(uri, "SELECT * FROM person")
    >>> sum(batch.height for batch in batches)
    3
    """
    convert = converter(return_type, dtype_backend)
    size = checked_size(batch_size)
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
    return BatchReader(
        call, batch_size=size, ordered=flag("ordered", ordered), convert=None if return_type == "polars" else convert
    )
