"""Tests of reads that meet a change of their tables: the sessions of a read never wait for one another for ever."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

import polars as pl
import psycopg
import pytest

import industrydb
from industrydb import DatabaseConnectionError, QueryExecutionError, QueryTimeoutError, TypeConversionError
from tests.kit.interrupts import reading
from tests.kit.relay import Relay, relay
from tests.kit.servers import Server
from tests.kit.support import PATIENCE_S, eventually, sessions, with_options

QUERY = "SELECT i, v FROM waited_for"
ROWS = 5000

# Sent by the sessions that take the snapshot of the first one, which has described the query and holds its locks.
IMPORT = "SET TRANSACTION SNAPSHOT"

# Far more than a read needs to let a change of the table through.
TIMEOUT_S = 20

SPLIT: dict[str, Any] = {"partition_on": "i", "partitions": 4}


class Change(NamedTuple):
    """A statement that changes the table, and the number of rows afterwards; `None` if there is no table then."""

    name: str
    sql: str
    rows: int | None = ROWS


CHANGES = [
    Change("add_column", "ALTER TABLE waited_for ADD COLUMN w int"),
    Change("alter_type", "ALTER TABLE waited_for ALTER v TYPE text"),
    Change("vacuum_full", "VACUUM FULL waited_for"),
    Change("lock_table", "BEGIN; LOCK TABLE waited_for IN ACCESS EXCLUSIVE MODE; COMMIT"),
    Change("truncate", "TRUNCATE waited_for", 0),
    Change("drop", "DROP TABLE waited_for", None),
]


def read_batches(uri: str) -> pl.DataFrame:
    """Read batch by batch."""
    with industrydb.read_sql_batches(uri, QUERY, batch_size=300, timeout=TIMEOUT_S, **SPLIT) as reader:
        empty = pl.DataFrame(schema=reader.schema)
        frame: pl.DataFrame = pl.concat([empty, *reader])
    return frame


Read = Callable[[str], pl.DataFrame]

READS: dict[str, Read] = {
    "by_key": lambda uri: industrydb.read_sql(uri, QUERY, timeout=TIMEOUT_S, **SPLIT),
    "by_blocks": lambda uri: industrydb.read_sql(uri, QUERY, timeout=TIMEOUT_S, partitions=4),
    "two_sessions": lambda uri: industrydb.read_sql(uri, QUERY, timeout=TIMEOUT_S, max_connections=2, **SPLIT),
    "queries": lambda uri: industrydb.read_sql(
        uri, [f"{QUERY} WHERE i <= 100", f"{QUERY} WHERE i > 100"], timeout=TIMEOUT_S
    ),
    "parameters": lambda uri: industrydb.read_sql(uri, f"{QUERY} WHERE i > $1", params=[0], timeout=TIMEOUT_S, **SPLIT),
    "lock_timeout": lambda uri: industrydb.read_sql(
        uri, QUERY, timeout=TIMEOUT_S, pre_execution_query="SET lock_timeout = 0", **SPLIT
    ),
    "batches": read_batches,
    "scan": lambda uri: industrydb.scan_sql(uri, QUERY, timeout=TIMEOUT_S, **SPLIT).collect(),
}

each_read = pytest.mark.parametrize("read", READS.values(), ids=READS)


@pytest.fixture(autouse=True)
def table(postgres: psycopg.Connection) -> None:
    """Make the table anew."""
    postgres.execute("DROP TABLE IF EXISTS waited_for")
    rows = f"SELECT i, i * 2 AS v FROM generate_series(1, {ROWS}) AS i"
    postgres.execute(f"CREATE TABLE waited_for AS {rows}")
    postgres.execute("ANALYZE waited_for")


@pytest.fixture
def holder(postgres_uri: str) -> Iterator[psycopg.Connection]:
    """Yield a connection outside the read, whose transaction stays open."""
    with psycopg.connect(postgres_uri) as connection:
        yield connection
        connection.rollback()


def waiting(postgres: psycopg.Connection, application_name: str) -> list[int]:
    """Return the sessions of an application that wait for a lock."""
    found = postgres.execute(
        "SELECT pid FROM pg_stat_activity WHERE application_name = %s AND wait_event_type = 'Lock'",
        [application_name],
    )
    return [pid for (pid,) in found.fetchall()]


def change(uri: str, sql: str) -> None:
    """Change the table over a session of its own."""
    with psycopg.connect(uri, autocommit=True, application_name="changes") as connection:
        connection.execute(sql.encode())


class Meeting(NamedTuple):
    """A read whose first session holds its locks, and a change that waits before the other sessions ask for theirs."""

    read: Future[pl.DataFrame]
    change: Future[None]
    relay: Relay


@contextmanager
def meeting(server: Server, postgres: psycopg.Connection, read: Read, sql: str) -> Iterator[Meeting]:
    """Start a read and a change that waits for it; the read's other sessions go on once the relay is released."""
    with relay(server.socket, holds=IMPORT) as held, ThreadPoolExecutor() as executor:
        uri = f"postgresql://postgres@127.0.0.1:{held.port}/postgres"
        reads = executor.submit(read, uri)
        try:
            eventually(lambda: held.held > 0 or reads.done())
            changes = executor.submit(change, server.uri, sql)
            eventually(lambda: bool(waiting(postgres, "changes")) or changes.done())
            assert not changes.done(), "the change did not meet the read"
            yield Meeting(reads, changes, held)
        finally:
            held.release()


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
@each_read
def test_a_change_between_the_locks_of_two_sessions(
    own_server: Server, postgres: psycopg.Connection, read: Read, change: Change
) -> None:
    """A read lets the change through, and has the rows of before or after, or reports that there is no table."""
    with meeting(own_server, postgres, read, change.sql) as meets:
        meets.relay.release()
        raised = meets.read.exception(timeout=PATIENCE_S)
        assert not isinstance(raised, QueryTimeoutError), "the sessions wait for one another"
        if raised is None:
            frame = meets.read.result()
            assert frame.height in {ROWS, change.rows}
            assert sorted(frame["i"]) == list(range(1, frame.height + 1))
        elif isinstance(raised, TypeConversionError):  # a scan has reported its types before
            assert read is READS["scan"]
            assert change.name == "alter_type"
        else:
            assert isinstance(raised, QueryExecutionError)
            assert change.rows is None
        meets.change.result(timeout=PATIENCE_S)
    eventually(lambda: not sessions(postgres))


@pytest.mark.parametrize("split", [SPLIT, {**SPLIT, "max_connections": 2}], ids=["all_sessions", "two_sessions"])
def test_a_change_that_stays_in_the_queue(
    own_server: Server, postgres: psycopg.Connection, holder: psycopg.Connection, split: dict[str, Any]
) -> None:
    """If another session blocks the change, the read gives up within its timeout, and names a session in the way."""
    holder.execute("SELECT count(*) FROM waited_for")

    def read(uri: str) -> pl.DataFrame:
        frame: pl.DataFrame = industrydb.read_sql(uri, QUERY, timeout=3, **split)
        return frame

    with meeting(own_server, postgres, read, "TRUNCATE waited_for") as meets:
        pids = {holder.info.backend_pid, *waiting(postgres, "changes")}
        meets.relay.release()
        raised = meets.read.exception(timeout=PATIENCE_S)
        holder.rollback()
        meets.change.result(timeout=PATIENCE_S)
    assert isinstance(raised, QueryExecutionError)
    assert pids & {int(number) for number in re.findall(r"\d+", str(raised))}, f"{raised} names none of {pids}"
    eventually(lambda: not sessions(postgres))


def test_rows_are_handed_out_once_all_sessions_hold_their_locks(
    postgres: psycopg.Connection, postgres_uri: str
) -> None:
    """A change that comes after the first batch waits for the last, even between the partitions of a session."""
    arguments: dict[str, Any] = {**SPLIT, "max_connections": 2, "timeout": TIMEOUT_S}
    with (
        ThreadPoolExecutor() as executor,
        industrydb.read_sql_batches(postgres_uri, QUERY, batch_size=100, **arguments) as reader,
    ):
        first = next(reader)
        changes = executor.submit(change, postgres_uri, "TRUNCATE waited_for")
        eventually(lambda: bool(waiting(postgres, "changes")))
        frame = pl.concat([first, *reader])
        changes.result(timeout=PATIENCE_S)
    assert sorted(frame["i"]) == list(range(1, ROWS + 1))


WAITS: dict[str, dict[str, Any]] = {"whole": {}, "by_key": SPLIT, "without_snapshot": {"snapshot": False}}
each_wait = pytest.mark.parametrize("split", WAITS.values(), ids=WAITS)


@each_wait
def test_a_wait_for_a_change_ends_by_its_timeout(
    postgres: psycopg.Connection,
    postgres_uri: str,
    holder: psycopg.Connection,
    caplog: pytest.LogCaptureFixture,
    split: dict[str, Any],
) -> None:
    """`timeout` ends the wait for a change; the error, or a warning before it, names the session waited for."""
    holder.execute("TRUNCATE waited_for")
    with pytest.raises(QueryTimeoutError) as raised:
        industrydb.read_sql(postgres_uri, QUERY, timeout=3, **split)
    assert str(holder.info.backend_pid) in f"{raised.value} {caplog.text}"
    eventually(lambda: not sessions(postgres))


@each_wait
def test_a_wait_for_a_change_is_logged(
    postgres_uri: str, holder: psycopg.Connection, caplog: pytest.LogCaptureFixture, split: dict[str, Any]
) -> None:
    """While a read waits, a warning names the session waited for; the read goes on once that session commits."""
    holder.execute("ALTER TABLE waited_for ADD COLUMN w int")
    pid = str(holder.info.backend_pid)

    def is_logged() -> bool:
        return any(
            record.levelname == "WARNING" and record.name.startswith("industrydb") and pid in record.getMessage()
            for record in caplog.records
        )

    with ThreadPoolExecutor() as executor:
        read = executor.submit(lambda: industrydb.read_sql(postgres_uri, QUERY, timeout=TIMEOUT_S, **split))
        eventually(lambda: is_logged() or read.done())
        assert is_logged(), f"nothing names {pid}"
        holder.commit()
        assert sorted(read.result(timeout=PATIENCE_S)["i"]) == list(range(1, ROWS + 1))


@pytest.mark.parametrize("split", [[], ["split"]], ids=["whole", "by_key"])
def test_ctrl_c_ends_a_wait_for_a_change(
    postgres: psycopg.Connection, postgres_uri: str, holder: psycopg.Connection, split: list[str]
) -> None:
    """Ctrl-C ends a read that waits for a change, and its session leaves the server's queue."""
    name = f"interrupted wait {split}"
    holder.execute("TRUNCATE waited_for")
    with reading(with_options(postgres_uri, application_name=name), QUERY, *split):
        eventually(lambda: bool(waiting(postgres, name)))
    eventually(lambda: not sessions(postgres, name))


@pytest.mark.parametrize("partitions", [2, 4, 8])
def test_the_session_that_shares_its_snapshot_is_lost(
    own_server: Server, postgres: psycopg.Connection, partitions: int
) -> None:
    """If the session that shares its snapshot is lost, that is the error, and not the missing snapshot."""
    with relay(own_server.socket, holds=IMPORT) as held, ThreadPoolExecutor() as executor:
        uri = f"postgresql://postgres@127.0.0.1:{held.port}/postgres?application_name=shares"
        read = executor.submit(lambda: industrydb.read_sql(uri, QUERY, partition_on="i", partitions=partitions))
        try:
            eventually(lambda: held.held > 0)
            # Only the first session has locked the table so far.
            [(pid,)] = postgres.execute("SELECT pid FROM pg_locks WHERE relation = 'waited_for'::regclass").fetchall()
            postgres.execute("SELECT pg_terminate_backend(%s)", [pid])
            eventually(lambda: pid not in [other for other, _ in sessions(postgres, "shares")])
        finally:
            held.release()
        raised = read.exception(timeout=PATIENCE_S)
    assert type(raised) is DatabaseConnectionError, repr(raised)
    eventually(lambda: not sessions(postgres, "shares"))
