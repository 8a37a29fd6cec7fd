"""Results reach Python as Polars, Arrow or pandas, without a copy, and without blocking other threads."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pandas as pd
import polars as pl
import psycopg
import pyarrow as pa
import pytest

import industrydb
from industrydb import industrydb as compiled
from industrydb._request import Request
from tests.kit.databases import Database
from tests.kit.support import PATIENCE_S, SqliteFile, eventually, with_options

POSTGRES = """SELECT i, i::int2 AS i2, i::int8 AS i8, i::oid AS o, i::float4 AS f4, i::float8 AS f8,
    (i / 8.0)::numeric(12, 3) AS n, date '2024-02-29' + i AS d, time '12:34' + make_interval(secs => i) AS t,
    timestamp '2024-02-29 12:34' + make_interval(secs => i) AS s, timestamptz '2024-02-29 12:34+02' AS z,
    repeat('text ', i % 7) AS v, convert_to(repeat('byte ', i % 5), 'UTF8') AS b
    FROM generate_series(1, 20000) AS i"""

SQLITE = """WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
    SELECT i, i / 8.0 AS f, substr('text of some length', 1, i % 20) AS v, zeroblob(i % 50) AS b FROM n"""


@pytest.mark.parametrize("split", [{}, {"partition_on": "i", "partitions": 3}], ids=["whole", "partitioned"])
def test_arrow_and_pandas_have_the_same_rows(
    postgres: psycopg.Connection, postgres_uri: str, split: dict[str, Any]
) -> None:
    """Arrow tables and pandas frames hold the rows that psycopg reads."""
    query = POSTGRES.replace("20000", "100")
    expected = postgres.execute(query, binary=True).fetchall()
    table = industrydb.read_sql(postgres_uri, query, return_type="arrow", **split)
    assert isinstance(table, pa.Table)
    assert [tuple(row.values()) for row in table.to_pylist()] == expected
    data = industrydb.read_sql(postgres_uri, query, return_type="pandas", **split)
    assert isinstance(data, pd.DataFrame)
    assert list(data.columns) == table.column_names
    data["d"] = data["d"].dt.date  # pandas has only timestamps
    assert list(data.itertuples(index=False, name=None)) == expected


def addresses_in_python(column: pl.Series) -> list[list[int]]:
    """Return the addresses of each chunk's buffers, except its validity bitmap, by the Arrow C interface."""
    chunks = [chunk.to_arrow(compat_level=pl.CompatLevel.newest()) for chunk in column.get_chunks()]
    return [[buffer.address for buffer in chunk.buffers()[1:]] for chunk in chunks]


@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.parametrize("database", ["postgresql", "sqlite"], indirect=True)
def test_no_buffer_is_copied(database: Database, partitions: int) -> None:
    """Each buffer that Rust has filled is a buffer of Python's frame."""
    call = Request(
        uri=database.uri,
        password=None,
        session=None,
        queries=({"postgresql": POSTGRES, "sqlite": SQLITE}[database.name],),
        parameters=(),
        setup=(),
        snapshot=True,
        held=None,
        max_connections=None,
        partition_on="i",
        partitions=partitions,
        cuts=None,
        timeout=None,
        dtypes={},
    )
    frame, addresses = compiled._read_sql_with_addresses(call)  # noqa: SLF001, made for this test
    assert frame.shape == (20_000, len(addresses))
    for column, chunks in zip(frame, addresses, strict=True):
        assert addresses_in_python(column) == chunks, column.name
        assert len(chunks) == partitions
        assert all(chunk and all(chunk) for chunk in chunks), column.name
    texts = [chunks for column, chunks in zip(frame, addresses, strict=True) if column.dtype in (pl.String, pl.Binary)]
    assert all(len(chunk) > 1 for chunks in texts for chunk in chunks)


def test_a_copy_would_be_seen() -> None:
    """The test above can fail: a copied column has other addresses."""
    column = pl.Series(["a text that is longer than a view", "another one"])
    assert addresses_in_python(column) == addresses_in_python(column)
    copied = column.str.to_uppercase()
    assert addresses_in_python(copied) != addresses_in_python(column)


def test_other_threads_run_while_a_server_is_waited_for(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """While a read waits for a lock, the thread that holds it runs; else the server's lock timeout would end it."""
    key = 20_240_229
    uri = with_options(postgres_uri, application_name="waits for a lock", options="-c lock_timeout=20s")
    blocked = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'waits for a lock' AND wait_event = 'advisory'"
    )
    postgres.execute("SELECT pg_advisory_lock(%s)", [key])
    with ThreadPoolExecutor() as executor:
        read = executor.submit(
            industrydb.read_sql, uri, f"SELECT 1 AS a, pg_advisory_xact_lock_shared({key})::text AS b"
        )
        try:
            eventually(lambda: postgres.execute(blocked).fetchone() == (1,))
        finally:
            postgres.execute("SELECT pg_advisory_unlock(%s)", [key])
        assert read.result(timeout=PATIENCE_S)["a"].to_list() == [1]


def test_other_threads_run_while_rows_are_read(sqlite_file: SqliteFile) -> None:
    """Another thread counts in the middle of the read, not only before and after it."""
    ticks: list[float] = []
    done = threading.Event()

    def count() -> None:
        while not done.wait(0.001):
            ticks.append(time.perf_counter())

    with ThreadPoolExecutor() as executor:
        counting = executor.submit(count)
        begin = time.perf_counter()
        frame = industrydb.read_sql(sqlite_file.uri, SQLITE.replace("20000", "1000000"))
        end = time.perf_counter()
        done.set()
        counting.result(timeout=PATIENCE_S)
    assert frame["i"].to_list() == list(range(1, 1_000_001))
    quarter = (end - begin) / 4
    assert [tick for tick in ticks if begin + quarter < tick < end - quarter]


def test_many_threads_may_read_at_once(postgres_uri: str, sqlite_file: SqliteFile) -> None:
    """Many threads may read at once: each call has its own sessions."""
    with ThreadPoolExecutor(8) as executor:
        reads = [
            executor.submit(industrydb.read_sql, uri, query, partition_on="i", partitions=2)
            for _ in range(8)
            for uri, query in ((postgres_uri, POSTGRES), (sqlite_file.uri, SQLITE))
        ]
        frames = [read.result(timeout=PATIENCE_S) for read in reads]
    assert {tuple(frame["i"].to_list()) for frame in frames} == {tuple(range(1, 20_001))}
