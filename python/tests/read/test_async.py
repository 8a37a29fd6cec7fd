"""Reads by asyncio: the loop goes on, and cancelling a task cancels its statement on the server."""

import asyncio
import threading
from contextlib import aclosing
from typing import Any

import polars as pl
import psycopg
import pytest

import industrydb
from industrydb import QueryExecutionError
from tests.kit.interrupts import STALLING, waiting
from tests.kit.support import PATIENCE_S, eventually, sessions, with_options

ROWS = "SELECT i, i * 2 AS twice FROM generate_series(1, 1000) AS i"


def test_the_loop_goes_on(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """The loop runs callbacks all the time that the database works: until one of them lets the query end."""
    uri = with_options(postgres_uri, application_name="ticks")

    async def main() -> int:
        ticks = 0
        task = asyncio.create_task(industrydb.read_sql_async(uri, "SELECT pg_advisory_lock(77)::text AS got"))
        while not [pid for pid, event in sessions(postgres, "ticks") if event == "advisory"]:
            ticks += 1
            await asyncio.sleep(0)  # lets the loop run, and waits for nothing
            assert not task.done()
        ticks_before = ticks
        for _ in range(100):
            await asyncio.sleep(0)
            ticks += 1
        assert not task.done()  # the query still waits for the lock
        postgres.execute("SELECT pg_advisory_unlock(77)")
        assert (await task).height == 1
        return ticks - ticks_before

    postgres.execute("SELECT pg_advisory_lock(77)")
    try:
        assert asyncio.run(main()) == 100
    finally:
        postgres.execute("SELECT pg_advisory_unlock_all()")


def test_many_reads_at_once(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """Reads of one loop run at the same time, more of them than asyncio's own pool has threads."""
    many = 12
    uri = with_options(postgres_uri, application_name="at once")

    async def main() -> list[pl.DataFrame]:
        query = "SELECT pg_advisory_lock_shared(78)::text AS got"
        reads = [asyncio.create_task(industrydb.read_sql_async(uri, query)) for _ in range(many)]
        while len([pid for pid, event in sessions(postgres, "at once") if event == "advisory"]) < many:
            await asyncio.sleep(0)
            assert not any(task.done() for task in reads)
        postgres.execute("SELECT pg_advisory_unlock(78)")
        return await asyncio.gather(*reads)

    postgres.execute("SELECT pg_advisory_lock(78)")
    try:
        assert len(asyncio.run(main())) == many
    finally:
        postgres.execute("SELECT pg_advisory_unlock_all()")


@pytest.mark.parametrize("return_type", ["polars", "arrow", "pandas"])
def test_results_are_those_of_read_sql(postgres_uri: str, return_type: Any) -> None:  # noqa: ANN401, a literal
    """Frames and batches are those of `read_sql`, in every return type."""

    async def main() -> tuple[Any, list[Any]]:
        frame = await industrydb.read_sql_async(
            postgres_uri, ROWS, partition_on="i", partitions=3, return_type=return_type
        )
        batches = industrydb.read_sql_batches_async(postgres_uri, ROWS, batch_size=300, return_type=return_type)
        return frame, [batch async for batch in batches]

    frame, batches = asyncio.run(main())
    expected = industrydb.read_sql(postgres_uri, ROWS, partition_on="i", partitions=3, return_type=return_type)
    assert type(frame) is type(expected)
    assert frame.equals(expected)
    assert [len(batch) for batch in batches] == [300, 300, 300, 100]
    assert all(type(batch) is type(expected) for batch in batches)


def test_errors_are_raised_in_the_task(postgres_uri: str) -> None:
    """An error of the database is raised where the task awaits, and wrong arguments before anything runs."""
    with pytest.raises(QueryExecutionError, match="nowhere"):
        asyncio.run(industrydb.read_sql_async(postgres_uri, "SELECT * FROM nowhere"))

    async def batches(**options: Any) -> None:  # noqa: ANN401, passed on
        query = "SELECT 1 / (i - 900) AS a FROM generate_series(1, 999) AS i"
        async for _ in industrydb.read_sql_batches_async(postgres_uri, query, **options):
            pass

    with pytest.raises(QueryExecutionError, match="division by zero"):
        asyncio.run(batches())
    with pytest.raises(industrydb.ConfigurationError, match="batch_size"):
        asyncio.run(batches(batch_size=0))


@pytest.mark.parametrize("kind", ["frame", "batches", "open batches"])
def test_cancelling_a_task_cancels_the_statement(postgres: psycopg.Connection, postgres_uri: str, kind: str) -> None:
    """The task ends as cancelled, its sessions are gone by then, and so are its threads."""
    name = f"cancelled {kind}"
    uri = with_options(postgres_uri, application_name=name)

    async def read() -> None:
        if kind == "frame":
            await industrydb.read_sql_async(uri, STALLING)
        else:
            size = 100 if kind == "open batches" else 100_000
            async for _ in industrydb.read_sql_batches_async(uri, STALLING, batch_size=size):
                pass

    async def main() -> None:
        task = asyncio.create_task(read())
        while not waiting(postgres, name):
            await asyncio.sleep(0)
            assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(asyncio.shield(task), PATIENCE_S / 4)
        assert task.cancelled()

    asyncio.run(main())
    eventually(lambda: not sessions(postgres, name))  # the server takes a moment to end a session
    eventually(lambda: not [thread for thread in threading.enumerate() if thread.name == "industrydb-async"])


def test_a_timeout_of_asyncio_cancels_too(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """``asyncio.wait_for`` ends the statement on the server."""
    uri = with_options(postgres_uri, application_name="waited for")

    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(industrydb.read_sql_async(uri, STALLING), 0.2)

    asyncio.run(main())
    eventually(lambda: not sessions(postgres, "waited for"))


def test_a_loop_that_ends_early_closes_the_read(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """The end of ``aclosing`` ends the statement; the sessions are gone."""
    uri = with_options(postgres_uri, application_name="left early")

    async def main() -> int:
        async with aclosing(industrydb.read_sql_batches_async(uri, STALLING, batch_size=100)) as batches:
            async for batch in batches:
                return batch.height
        return 0

    assert asyncio.run(main()) == 100
    eventually(lambda: not sessions(postgres, "left early"))
