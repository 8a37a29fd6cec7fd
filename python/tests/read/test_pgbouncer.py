"""Reads through PgBouncer share its connections with others, leave no settings on them, and close none."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import polars as pl
import psycopg
import pytest

import industrydb
from industrydb import QueryExecutionError, QueryTimeoutError, TypeConversionError
from tests.kit.pgbouncer import Pooler, pgbouncer
from tests.kit.servers import Server
from tests.kit.support import PATIENCE_S, eventually

ROWS = 3000
QUERY = "SELECT i, v FROM pooled"

# Far longer than any of these reads takes, unless it waits for its own connections.
TIMEOUT_S = 20

MODES = ["session", "transaction"]
each_mode = pytest.mark.parametrize("mode", MODES)


TENANTS = ["ana", "bob"]


@pytest.fixture(autouse=True)
def tables(own_server: Server) -> None:
    """Create a table, and one for each tenant."""
    with psycopg.connect(own_server.uri, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS pooled; DROP SCHEMA IF EXISTS ana, bob CASCADE")
        connection.execute(f"CREATE TABLE pooled AS SELECT i, i * 2 AS v FROM generate_series(1, {ROWS}) AS i")
        for tenant in TENANTS:
            connection.execute(f"CREATE SCHEMA {tenant}".encode())
            rows = f"SELECT i, '{tenant}' AS owner FROM generate_series(1, {ROWS}) AS i"
            connection.execute(f"CREATE TABLE {tenant}.owned AS {rows}".encode())
        connection.execute("CREATE VIEW ana.both AS SELECT * FROM ana.owned UNION ALL SELECT * FROM bob.owned")
        connection.execute("ANALYZE")


def split(partitions: int) -> dict[str, Any]:
    """Return the arguments of a read in so many partitions."""
    return {"partition_on": "i", "partitions": partitions, "timeout": TIMEOUT_S}


def has_all_rows(frame: pl.DataFrame) -> bool:
    """Tell whether a frame has every row once."""
    return sorted(frame["i"]) == list(range(1, ROWS + 1))


@each_mode
@pytest.mark.parametrize(("pool", "partitions"), [(8, 9), (1, 4), (3, 16)])
def test_more_partitions_than_connections(own_server: Server, mode: str, pool: int, partitions: int) -> None:
    """A read with more partitions than the pool has connections goes on with the sessions that it has."""
    with pgbouncer(own_server, mode, pool) as pooler:
        assert has_all_rows(industrydb.read_sql(pooler.uri, QUERY, **split(partitions)))


@each_mode
def test_several_reads_that_want_more_connections_than_there_are(own_server: Server, mode: str) -> None:
    """Several reads finish, although each holds connections that the others need."""
    with pgbouncer(own_server, mode, pool=8) as pooler, ThreadPoolExecutor() as executor:
        reads = [executor.submit(lambda: industrydb.read_sql(pooler.uri, QUERY, **split(7))) for _ in range(3)]
        assert [has_all_rows(read.result(timeout=PATIENCE_S)) for read in reads] == [True] * 3


@each_mode
def test_a_session_whose_work_is_done_is_given_back(own_server: Server, mode: str) -> None:
    """A session whose partition is read gives its connection back while another partition is still being read."""
    # Only the test holds this lock, and so decides how long the second query takes.
    slow = f"{QUERY} WHERE pg_advisory_xact_lock_shared(4711)::text IS NOT NULL AND i = 1"
    with (
        pgbouncer(own_server, mode, pool=2, patience_s=10) as pooler,
        psycopg.connect(own_server.uri, autocommit=True) as holder,
        ThreadPoolExecutor() as executor,
    ):
        holder.execute("SELECT pg_advisory_lock(4711)")
        try:
            read = executor.submit(
                lambda: industrydb.read_sql(pooler.uri, [f"{QUERY} WHERE i > 1", slow], timeout=3 * TIMEOUT_S)
            )
            eventually(lambda: waits_for_advice(holder) or read.done())
            with psycopg.connect(pooler.uri, autocommit=True) as other:
                assert other.execute("SELECT 1").fetchall() == [(1,)]
            assert not read.done()
        finally:
            holder.execute("SELECT pg_advisory_unlock(4711)")
        assert has_all_rows(read.result(timeout=PATIENCE_S))


def waits_for_advice(connection: psycopg.Connection) -> bool:
    """Tell whether a session waits for an advisory lock."""
    found = connection.execute("SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    return bool(found.fetchall())


def _batches(uri: str) -> pl.DataFrame:
    with industrydb.read_sql_batches(uri, QUERY, batch_size=500, **split(4)) as reader:
        batches = list(reader)
    frame: pl.DataFrame = pl.concat(batches)
    return frame


READS: dict[str, Callable[[str], pl.DataFrame]] = {
    "whole": lambda uri: industrydb.read_sql(uri, QUERY),
    "by_key": lambda uri: industrydb.read_sql(uri, QUERY, **split(4)),
    "by_blocks": lambda uri: industrydb.read_sql(uri, QUERY, partitions=4),
    "parameters": lambda uri: industrydb.read_sql(uri, f"{QUERY} WHERE i > $1", params=[0], **split(4)),
    "without_snapshot": lambda uri: industrydb.read_sql(uri, QUERY, snapshot=False, **split(4)),
    "batches": _batches,
    "scan": lambda uri: industrydb.scan_sql(uri, QUERY, **split(4)).collect(),
    "plan": lambda uri: industrydb.plan_sql(uri, QUERY, **split(4)).read(),
}


@each_mode
@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_reads_close_no_connection(own_server: Server, mode: str, read: Callable[[str], pl.DataFrame]) -> None:
    """Twenty reads close none of the pooler's connections: each session ends its transaction before it disconnects."""
    with pgbouncer(own_server, mode, pool=8) as pooler:
        assert has_all_rows(read(pooler.uri))
        before = pooler.connections()
        assert before, "the first read has closed all connections"
        for _ in range(20):
            read(pooler.uri)
        closed = before - pooler.connections()
        assert not closed, f"{len(closed)} of {len(before)} connections were closed"


# How a tenant is set, and a query that shows whose rows are read.
PREPARATIONS = {
    "search_path": ("SET search_path = {tenant}", "SELECT i, owner FROM owned"),
    "setting": (
        "SET my.tenant = '{tenant}'",
        "SELECT i, owner FROM ana.both WHERE owner = current_setting('my.tenant')",
    ),
}


@pytest.mark.parametrize("arguments", [{}, {"partition_on": "i", "partitions": 3}], ids=["whole", "by_key"])
@pytest.mark.parametrize("preparation", PREPARATIONS)
def test_tenants_do_not_mix(own_server: Server, preparation: str, arguments: dict[str, Any]) -> None:
    """Tenants that read through one pool at the same time get their own rows; their settings are gone afterwards."""
    statement, query = PREPARATIONS[preparation]

    def owners(uri: str, tenant: str) -> set[tuple[str, int]]:
        frames = [
            industrydb.read_sql(
                uri, query, pre_execution_query=statement.format(tenant=tenant), timeout=60, **arguments
            )
            for _ in range(10)
        ]
        return {(owner, frame.height) for frame in frames for owner in frame["owner"].unique()}

    with pgbouncer(own_server, "transaction", pool=4) as pooler, ThreadPoolExecutor() as executor:
        reads = [executor.submit(owners, pooler.uri, tenant) for tenant in TENANTS]
        assert [read.result(timeout=2 * PATIENCE_S) for read in reads] == [{(tenant, ROWS)} for tenant in TENANTS]
        assert left_settings(pooler, 4) == {('"$user", public', None)}


def left_settings(pooler: Pooler, pool: int) -> set[tuple[str, str | None]]:
    """Return the settings that other clients find on each of the pooler's connections."""
    with ExitStack() as stack:
        clients = [stack.enter_context(psycopg.connect(pooler.uri)) for _ in range(pool)]
        settings = "SELECT current_setting('search_path'), NULLIF(current_setting('my.tenant', true), '')"
        # Each transaction stays open, and so each client has a connection of its own.
        found = [client.execute(settings).fetchall() for client in clients]
        return {row for rows in found for row in rows}


@pytest.mark.parametrize("arguments", [{}, split(3)], ids=["whole", "by_key"])
def test_statement_mode(own_server: Server, arguments: dict[str, Any]) -> None:
    """In statement mode, the error names `snapshot=False`, which reads, with parameters and a preparation too."""
    with pgbouncer(own_server, "statement", pool=4) as pooler:
        with pytest.raises(QueryExecutionError, match="snapshot=False"):
            industrydb.read_sql(pooler.uri, QUERY, **arguments)
        for setup in (None, "SET work_mem = '8MB'"):
            for query, params in ((QUERY, None), (f"{QUERY} WHERE i > $1", [0])):
                frame = industrydb.read_sql(
                    pooler.uri, query, params=params, snapshot=False, pre_execution_query=setup, **arguments
                )
                assert has_all_rows(frame)


SLOW = "SELECT i, pg_sleep(600)::text AS s FROM generate_series(1, 3) AS i"


def _timed_out(uri: str) -> None:
    with pytest.raises(QueryTimeoutError):
        industrydb.read_sql(uri, SLOW, timeout=0.3)


def _let_go(uri: str) -> None:
    query = f"{QUERY} ORDER BY i"
    wide = f"SELECT i, repeat('x', 9999) AS x FROM ({query}) AS q CROSS JOIN generate_series(1, 9)"
    with industrydb.read_sql_batches(uri, wide, batch_size=100) as batches:
        next(batches)


def _failed(uri: str) -> None:
    query = "SELECT CASE WHEN i < 3000 THEN '1' ELSE 'none' END AS x, repeat('x', 9999) FROM pooled ORDER BY i"
    with pytest.raises(TypeConversionError):
        industrydb.read_sql(uri, query, schema_overrides={"x": pl.Int64})


@each_mode
@pytest.mark.parametrize("end", [_timed_out, _let_go, _failed])
def test_a_read_that_is_ended_harms_no_other(own_server: Server, mode: str, end: Callable[[str], None]) -> None:
    """Ending a read neither crashes PgBouncer, by a cancel request taken back, nor cancels another client's query."""
    with pgbouncer(own_server, mode, pool=2) as pooler:
        for _ in range(4):
            end(pooler.uri)
            with psycopg.connect(pooler.uri, autocommit=True) as other:
                for _ in range(5):
                    assert other.execute("SELECT 1").fetchone() == (1,)
        assert has_all_rows(industrydb.read_sql(pooler.uri, QUERY, **split(2)))
    with psycopg.connect(own_server.uri, autocommit=True) as connection:
        left = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()"
        eventually(lambda: connection.execute(left).fetchone() == (0,))
