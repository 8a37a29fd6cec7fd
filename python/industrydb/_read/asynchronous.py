"""``read_sql_async`` and ``read_sql_batches_async``: reads for programs that run on asyncio."""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from industrydb._read import read
from industrydb._read.batches import BATCH_SIZE, BatchReader, checked_size
from industrydb._read.return_type import DtypeBackend, ReturnType, converter
from industrydb._request import request
from industrydb._text.arguments import explained
from industrydb.industrydb import Stop

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator, Callable, Sequence
    from datetime import timedelta
    from typing import TypedDict

    import pandas as pd
    import polars as pl
    import pyarrow as pa
    from typing_extensions import Unpack

    from industrydb._request import Database, Snapshot
    from industrydb._text.overrides import SchemaOverrides
    from industrydb._text.statement import Parameters, Query

    class Options(TypedDict, total=False):
        """The arguments of a read besides those that its result's type depends on."""

        params: Parameters | None
        partition_on: str | None
        partitions: int | None
        partition_range: tuple[object, object] | None
        schema_overrides: SchemaOverrides | None
        pre_execution_query: str | Sequence[str] | None
        snapshot: Snapshot
        max_connections: int | None
        timeout: float | timedelta | None

    class BatchOptions(Options, total=False):
        """The arguments of a read by batches."""

        batch_size: int
        ordered: bool


T = TypeVar("T")


@overload
async def read_sql_async(
    uri: Database, query: Query, *, return_type: Literal["polars"] = "polars", **options: Unpack[Options]
) -> pl.DataFrame: ...
@overload
async def read_sql_async(
    uri: Database, query: Query, *, return_type: Literal["arrow"], **options: Unpack[Options]
) -> pa.Table: ...
@overload
async def read_sql_async(
    uri: Database,
    query: Query,
    *,
    return_type: Literal["pandas"],
    dtype_backend: DtypeBackend = "numpy_nullable",
    **options: Unpack[Options],
) -> pd.DataFrame: ...
@explained
async def read_sql_async(  # noqa: PLR0913, as for read_sql
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
    return_type: ReturnType = "polars",
    dtype_backend: DtypeBackend = "numpy_nullable",
) -> pl.DataFrame | pa.Table | pd.DataFrame:
    """
    Read a SQL query into one DataFrame while asyncio's loop goes on.

    The read runs in threads of its own. Cancelling the task cancels the
    database's work, and ends once the sessions are closed.

    Parameters
    ----------
    uri, query, params, partition_on, partitions, partition_range,
    schema_overrides
        As for `read_sql`.
    pre_execution_query, snapshot, max_connections, timeout, return_type,
    dtype_backend
        As for `read_sql`.

    Returns
    -------
    polars.DataFrame or pyarrow.Table or pandas.DataFrame
        As for `read_sql`.

    Raises
    ------
    IndustryDbError
        As for `read_sql`.
    asyncio.CancelledError
        The task was cancelled.

    Examples
    --------
    >>> import asyncio
    >>> import industrydb
    >>> async def main():
    ...     values = ("count(*)", "max(id)")
    ...     queries = [f"SELECT {n} AS n FROM person" for n in values]
    ...     frames = await asyncio.gather(
    ...         *(industrydb.read_sql_async(uri, each) for each in queries)
    ...     )
    ...     return [frame.item() for frame in frames]
    >>> asyncio.run(main())
    [3, 3]
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
    stop = Stop()
    work = partial(read, call, convert, is_converted=return_type != "polars", stop=stop)
    frame: pl.DataFrame | pa.Table | pd.DataFrame = await _in_thread(work, stop.set)
    return frame


@overload
def read_sql_batches_async(
    uri: Database, query: Query, *, return_type: Literal["polars"] = "polars", **options: Unpack[BatchOptions]
) -> AsyncGenerator[pl.DataFrame, None]: ...
@overload
def read_sql_batches_async(
    uri: Database, query: Query, *, return_type: Literal["arrow"], **options: Unpack[BatchOptions]
) -> AsyncGenerator[pa.Table, None]: ...
@overload
def read_sql_batches_async(
    uri: Database,
    query: Query,
    *,
    return_type: Literal["pandas"],
    dtype_backend: DtypeBackend = "numpy_nullable",
    **options: Unpack[BatchOptions],
) -> AsyncGenerator[pd.DataFrame, None]: ...
@explained
async def read_sql_batches_async(  # noqa: PLR0913, as for read_sql
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
) -> AsyncGenerator[Any, None]:
    """
    Read a SQL query's result batch by batch while asyncio's loop goes on.

    The read begins with the first batch. Cancelling the task, and closing
    the generator, cancels the database's work. A loop that ends early
    leaves the generator to asyncio, which closes it later;
    ``contextlib.aclosing`` closes it at once.

    Parameters
    ----------
    uri, query, params, partition_on, partitions, partition_range,
    schema_overrides
        As for `read_sql`.
    pre_execution_query, snapshot, max_connections
        As for `read_sql`.
    timeout, batch_size, ordered, return_type, dtype_backend
        As for `read_sql_batches`.

    Yields
    ------
    polars.DataFrame or pyarrow.Table or pandas.DataFrame
        The batches.

    Raises
    ------
    IndustryDbError
        As for `read_sql_batches`.
    asyncio.CancelledError
        The task was cancelled.

    Examples
    --------
    >>> import asyncio
    >>> import industrydb
    >>> async def main():
    ...     batches = industrydb.read_sql_batches_async(
    ...         uri, "SELECT id FROM person", batch_size=2
    ...     )
    ...     return [batch.height async for batch in batches]
    >>> asyncio.run(main())
    [2, 1]
    """
    convert = None if return_type == "polars" else converter(return_type, dtype_backend)
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
    stop = Stop()

    def begin() -> BatchReader[Any]:
        return BatchReader(call, batch_size=size, ordered=bool(ordered), convert=convert, stop=stop)

    reader = await _in_thread(begin, stop.set)
    try:
        while (batch := await _in_thread(partial(next, reader, None), stop.set)) is not None:
            yield batch
    finally:
        stop.set()
        await _in_thread(reader.close, stop.set)


async def _in_thread(work: Callable[[], T], end: Callable[[], None]) -> T:
    """Run work in a thread of its own; if the task is cancelled, end the work and wait for its end."""
    import asyncio  # noqa: PLC0415, the import takes time, and whoever awaits has it already

    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def finish(result: T | None, error: BaseException | None) -> None:
        if not done.done():
            if error is None:
                done.set_result(result)  # type: ignore[arg-type]
            else:
                done.set_exception(error)

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as raised:  # noqa: BLE001, the task raises it
            error = raised
        with suppress(RuntimeError):  # the loop was closed, and nobody waits
            loop.call_soon_threadsafe(finish, result, error)

    threading.Thread(target=run, name="industrydb-async").start()
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        end()
        while not done.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([done])
        done.exception()  # it is not raised, as the task is cancelled
        raise
