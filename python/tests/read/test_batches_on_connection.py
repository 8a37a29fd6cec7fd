"""`read_sql_batches` and `scan_sql` on a `Connection`: a reader has its session, and gives it back."""

import asyncio
import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any

import polars as pl
import psycopg
import pytest

import industrydb
from industrydb import (
    ConfigurationError,
    Connection,
    ConnectionClosedError,
    DatabaseConnectionError,
    IndustryDbError,
    QueryExecutionError,
    QueryTimeoutError,
    TypeConversionError,
)
from tests.kit.databases import Database, Feature
from tests.kit.support import PATIENCE_S, SqliteFile, eventually, sessions, with_options

ROWS = 64_000
FEWER = 2_000  # for the emulator of SQL Server

# More than any socket buffers: the server is in the middle of its answer while a reader is open.
WIDE = "x" * 400

LARGE = "SELECT a, b FROM large ORDER BY a"


def fill(connection: Connection, rows: int = ROWS) -> None:
    """Make the table `large`."""
    if "'mssql'" in repr(connection):  # whose emulator takes no bulk load
        with suppress(QueryExecutionError):
            connection.execute("DROP TABLE large")
        connection.execute("CREATE TABLE large (a BIGINT, b NVARCHAR(450))")
        rows = min(rows, FEWER)
        made = min(rows, 500)
        values = ", ".join(f"({number}, N'{number} {WIDE}')" for number in range(made))
        connection.execute(f"INSERT INTO large VALUES {values}")
        while made < rows:
            also = (
                f"SELECT a + {made}, CAST(a + {made} AS NVARCHAR(20)) + N' {WIDE}' FROM large WHERE a < {rows - made}"
            )
            connection.execute(f"INSERT INTO large {also}")
            made *= 2
        return
    frame = pl.select(a=pl.int_range(rows)).with_columns(b=pl.format("{} {}", pl.col("a"), pl.lit(WIDE)))
    industrydb.write_sql(frame, "large", connection, if_exists="replace")


def is_free(connection: Connection) -> bool:
    """Tell whether a statement runs on the connection."""
    return bool(connection.execute("SELECT 1 AS one").item() == 1)


@pytest.mark.needs(Feature.DRIVER)
def test_batches_have_the_rows_of_the_driver(database: Database) -> None:
    """The batches have the values and the order of another driver, and the types of a read by the URI."""
    with Connection(database.uri) as connection:
        fill(connection)
        batches = list(industrydb.read_sql_batches(connection, LARGE, batch_size=7_000))
        assert [batch.height for batch in batches] == [7_000] * 9 + [1_000]
        assert pl.concat(batches).rows() == [tuple(row) for row in database.rows(LARGE)]
        [by_uri] = industrydb.read_sql_batches(database.uri, f"{LARGE} LIMIT 1")
        assert batches[0].schema == by_uri.schema
        assert is_free(connection)
        connection.execute("DROP TABLE large")


@pytest.mark.needs(Feature.PARAMETERS)
def test_parameters_and_conversions_are_those_of_a_read(database: Database) -> None:
    """`params` are bound, and `schema_overrides` convert."""
    with Connection(database.uri) as connection:
        fill(connection, 100)
        query = f"SELECT a, b FROM large WHERE a > {database.mark(1)} ORDER BY a"
        asked = {"a": pl.Float64}
        reader = industrydb.read_sql_batches(connection, query, params=[97], schema_overrides=asked)
        assert reader.schema == {"a": pl.Float64, "b": pl.String}
        assert pl.concat(reader)["a"].to_list() == [98.0, 99.0]
        connection.execute("DROP TABLE large")


@pytest.mark.needs(Feature.PARAMETERS)
def test_readers_see_the_transaction(database: Database) -> None:
    """A reader and a scan see what their connection has not committed."""
    with Connection(database.uri) as connection:
        fill(connection, 3)
        with suppress(ZeroDivisionError), connection.transaction():
            connection.insert("large", {"a": [3], "b": ["y"]})
            assert pl.concat(industrydb.read_sql_batches(connection, LARGE))["a"].to_list() == [0, 1, 2, 3]
            assert industrydb.scan_sql(connection, "large").filter(pl.col("a") > 1).collect().height == 2
            raise ZeroDivisionError
        assert industrydb.scan_sql(connection, "large").select(pl.len()).collect().item() == 3
        connection.execute("DROP TABLE large")


def test_temporary_tables_are_seen(database: Database) -> None:
    """A temporary table belongs to the session, which the reader and the scan have."""
    name, made = (
        ("#mine", "CREATE TABLE #mine") if database.name == "mssql" else ("mine", "CREATE TEMPORARY TABLE mine")
    )
    with Connection(database.uri) as connection:
        connection.execute(f"{made} (a INT, b INT)")
        connection.execute(f"INSERT INTO {name} VALUES (1, 10), (2, 20)")
        query = f"SELECT a, b FROM {name} ORDER BY a"
        assert pl.concat(industrydb.read_sql_batches(connection, query, batch_size=1)).rows() == [(1, 10), (2, 20)]
        scan = industrydb.scan_sql(connection, f"SELECT a, b FROM {name}")
        assert scan.filter(pl.col("b") == 20).select("a").collect().item() == 2
        assert scan.head(1).collect().height == 1


@pytest.mark.needs(Feature.PARAMETERS)
def test_an_empty_result_has_its_types(database: Database) -> None:
    """Without rows, there is no batch, and the schema is that of the query."""
    with Connection(database.uri) as connection:
        fill(connection, 1)
        reader = industrydb.read_sql_batches(connection, "SELECT a, b FROM large WHERE a > 5")
        assert reader.schema == {"a": pl.Int64, "b": pl.String}
        assert list(reader) == []
        assert industrydb.scan_sql(connection, "SELECT a, b FROM large WHERE a > 5").collect().schema == reader.schema
        assert is_free(connection)
        connection.execute("DROP TABLE large")


def close(reader: Any) -> None:  # noqa: ANN401, of either kind
    """Close a reader."""
    reader.close()


ENDS: dict[str, Callable[[Any], None]] = {"closed": close, "dropped": lambda _: None}


@pytest.mark.parametrize("end", ENDS)
def test_a_reader_that_ends_early_frees_the_session(database: Database, end: str) -> None:
    """After the first of many batches, the connection goes on, with the same transaction."""
    with Connection(database.uri) as connection:
        fill(connection)
        with connection.transaction():
            connection.execute("DELETE FROM large WHERE a = 5")
            for _ in range(3):
                reader = industrydb.read_sql_batches(connection, LARGE, batch_size=100)
                assert next(reader).height == 100
                ENDS[end](reader)
                del reader
                gc.collect()
                assert is_free(connection)
            connection.execute("DELETE FROM large WHERE a = 6")
        ends = industrydb.read_sql(connection, "SELECT a FROM large WHERE a < 8 ORDER BY a")
        assert ends["a"].to_list() == [0, 1, 2, 3, 4, 7]
        connection.execute("DROP TABLE large")


def begin(connection: Connection) -> None:
    """Begin a transaction, and end it."""
    with connection.transaction():
        pass


BUSY: dict[str, Callable[[Connection], object]] = {
    "execute": lambda c: c.execute("SELECT 1 AS one"),
    "select": lambda c: c.select("large"),
    "update": lambda c: c.update("large", {"a": 1}, all_rows=True),
    "delete": lambda c: c.delete("large", where={"a": 1}),
    "insert": lambda c: c.insert("large", {"a": [1]}),
    "transaction": begin,
    "write_sql": lambda c: industrydb.write_sql({"a": [1]}, "other", c),
    "read_sql": lambda c: industrydb.read_sql(c, "SELECT 1 AS one"),
    "read_sql_batches": lambda c: industrydb.read_sql_batches(c, "SELECT 1 AS one"),
    "scan_sql": lambda c: industrydb.scan_sql(c, "SELECT 1 AS one"),
}


def test_a_busy_connection_says_who_has_it(database: Database) -> None:
    """While a reader is open, all else raises at once, in every thread, and names the reader's query."""
    with Connection(database.uri) as connection:
        fill(connection, 1_000)
        scan = industrydb.scan_sql(connection, "SELECT a FROM large")
        calls: dict[str, Callable[[Connection], object]] = {**BUSY, "collect": lambda _: scan.collect()}
        with industrydb.read_sql_batches(connection, LARGE, batch_size=1) as reader:
            next(reader)
            assert "busy" in repr(connection)
            assert not connection.is_closed()
            for name, call in calls.items():
                started = time.monotonic()
                with pytest.raises(IndustryDbError, match=r"busy: a reader .*SELECT a, b FROM large") as raised:
                    call(connection)
                assert name == "collect" or raised.type is ConfigurationError
                assert time.monotonic() - started < 5
            found: list[BaseException] = []

            def elsewhere() -> None:
                try:
                    connection.execute("SELECT 1 AS one")
                except ConfigurationError as error:
                    found.append(error)

            thread = threading.Thread(target=elsewhere)
            thread.start()
            thread.join(PATIENCE_S)
            assert len(found) == 1
            assert next(reader)["a"].to_list() == [1]
        assert "open" in repr(connection)
        assert scan.select(pl.len()).collect().item() == 1_000
        connection.execute("DROP TABLE large")


# A query whose last row fails.
FAILING = {
    "postgresql": f"SELECT a, b, 1 / ({ROWS} - 1 - a) AS c FROM large",
    "mssql": f"SELECT a, b, 1 / ({FEWER} - 1 - a) AS c FROM large",
    "sqlite": f"SELECT a, b, CASE WHEN a = {ROWS} - 1 THEN abs(-9223372036854775807 - 1) END AS c FROM large",
    "mysql": f"SELECT a, b, IF(a < {ROWS} - 1, 1, (SELECT 1 UNION SELECT 2)) AS c FROM large",
}


def test_an_error_in_the_last_row_arrives(database: Database) -> None:
    """The rows before it arrive, then the typed error, and the session is free; PostgreSQL's transaction has failed."""
    with Connection(database.uri) as connection:
        fill(connection)
        types = {"c": pl.Int64}  # which SQLite would read first to find its type
        got: list[int] = []
        with pytest.raises(QueryExecutionError) as raised:  # noqa: PT012, the emulator computes all rows first
            reader = industrydb.read_sql_batches(
                connection, FAILING[database.name], batch_size=1_000, schema_overrides=types
            )
            got.extend(batch.height for batch in reader)
        assert raised.value.code in {"22012", "8134", "SQLITE_ERROR", "1242"}
        if database.has(Feature.PARAMETERS):
            assert sum(got) >= (FEWER if database.name == "mssql" else ROWS) - 1_000
        assert is_free(connection)
        with suppress(IndustryDbError), connection.transaction():
            list(industrydb.read_sql_batches(connection, FAILING[database.name], batch_size=1_000))
        assert is_free(connection)
        if database.name == "postgresql":
            with pytest.raises(QueryExecutionError), connection.transaction():  # noqa: PT012
                with pytest.raises(QueryExecutionError, match="zero"):
                    list(industrydb.read_sql_batches(connection, FAILING[database.name]))
                with pytest.raises(QueryExecutionError, match="aborted") as aborted:
                    connection.execute("SELECT 1")
                assert aborted.value.code == "25P02"
            assert is_free(connection)
        connection.execute("DROP TABLE large")


def test_a_value_that_does_not_fit_leaves_the_session_free(database: Database) -> None:
    """A value that cannot be converted is an error at its row; the same transaction goes on."""
    with Connection(database.uri) as connection:
        fill(connection)
        with connection.transaction():
            connection.execute("DELETE FROM large WHERE a = 1")
            for _ in range(2):
                with pytest.raises(TypeConversionError, match=r'"a" .*row 128'):
                    list(industrydb.read_sql_batches(connection, LARGE, schema_overrides={"a": pl.Int8}, batch_size=50))
                assert is_free(connection)
        left = industrydb.read_sql(connection, "SELECT a FROM large WHERE a < 3 ORDER BY a")
        assert left["a"].to_list() == [0, 2]
        connection.execute("DROP TABLE large")


KILLS = {"postgresql": "SELECT pg_terminate_backend({})", "mysql": "KILL {}"}
IDS = {"postgresql": "SELECT pg_backend_pid() AS id", "mysql": "SELECT CONNECTION_ID() AS id"}


@pytest.mark.parametrize("name", KILLS)
def test_a_killed_session_raises(request: pytest.FixtureRequest, name: str) -> None:
    """If the server ends the session halfway, the reader raises, and the connection is closed and says why."""
    server = {"postgresql": "postgres"}.get(name, name)
    uri, other = request.getfixturevalue(f"{server}_uri"), request.getfixturevalue(server)
    connection = Connection(uri)
    fill(connection)
    reader = industrydb.read_sql_batches(connection, LARGE, batch_size=100)
    identity = None
    with Connection(uri) as twin:  # the reader has the session, so that its id was asked for before
        identity = twin.execute(IDS[name]).item()
    assert identity is not None
    reader.close()
    identity = connection.execute(IDS[name]).item()
    reader = industrydb.read_sql_batches(connection, LARGE, batch_size=100)
    next(reader)
    other.execute(KILLS[name].format(identity))
    with pytest.raises(DatabaseConnectionError):
        list(reader)
    assert connection.is_closed()
    with pytest.raises(ConnectionClosedError, match="it broke"):
        connection.execute("SELECT 1")
    other.execute("DROP TABLE large")


def test_closing_the_connection_ends_its_reader(database: Database) -> None:
    """`close` ends an open reader, which then raises; nothing waits, and no session is left."""
    uri = with_options(database.uri, application_name="closed") if database.name == "postgresql" else database.uri
    connection = Connection(uri)
    fill(connection)
    reader = industrydb.read_sql_batches(connection, LARGE, batch_size=100)
    next(reader)
    started = time.monotonic()
    connection.close()
    assert time.monotonic() - started < PATIENCE_S / 2
    assert connection.is_closed()
    with pytest.raises(ConnectionClosedError, match="for this reader"):
        list(reader)
    with pytest.raises(ConnectionClosedError):
        industrydb.read_sql_batches(connection, LARGE)
    if database.name == "postgresql":
        eventually(lambda: not sessions(database.connection, "closed"))
    with Connection(uri) as again:
        again.execute("DROP TABLE large")


def test_a_transaction_does_not_end_around_its_reader(database: Database) -> None:
    """A block that ends while a reader is open raises and is rolled back; one that fails is rolled back, too."""
    with Connection(database.uri) as connection:
        fill(connection)
        reader: Any = None
        with pytest.raises(ConfigurationError, match="busy: a reader"), connection.transaction():  # noqa: PT012
            connection.execute("DELETE FROM large WHERE a = 1")
            reader = industrydb.read_sql_batches(connection, LARGE, batch_size=100)
            next(reader)
        with pytest.raises(ConnectionClosedError, match="its connection or transaction has ended"):
            list(reader)
        with pytest.raises(ZeroDivisionError), connection.transaction():  # noqa: PT012
            connection.execute("DELETE FROM large WHERE a = 2")
            reader = industrydb.read_sql_batches(connection, LARGE, batch_size=100)
            next(reader)
            raise ZeroDivisionError
        kept = industrydb.read_sql(connection, "SELECT a FROM large WHERE a < 4 ORDER BY a")
        assert kept["a"].to_list() == [0, 1, 2, 3]
        with connection.transaction():
            connection.execute("DELETE FROM large WHERE a = 3")
        assert industrydb.read_sql(connection, "SELECT a FROM large WHERE a = 3").height == 0
        connection.execute("DROP TABLE large")


def test_a_failed_transaction_is_rolled_back_beside_other_threads(database: Database) -> None:
    """A block that ends with an open reader is rolled back, also while other threads ask for the connection."""
    with Connection(database.uri) as connection:
        fill(connection, 500)
        ended = threading.Event()

        def ask() -> None:
            while not ended.is_set():
                with suppress(ConfigurationError):
                    is_free(connection)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        counts = []
        try:
            for number in range(20):
                with suppress(ZeroDivisionError, ConfigurationError), connection.transaction():
                    connection.execute("DELETE FROM large WHERE a < 100")
                    next(industrydb.read_sql_batches(connection, LARGE, batch_size=1))
                    reader = industrydb.read_sql_batches(connection, LARGE, batch_size=1)
                    next(reader)
                    if number % 2:
                        raise ZeroDivisionError
                counts.append(connection.execute("SELECT count(*) AS n FROM large").item())
        finally:
            ended.set()
            for thread in threads:
                thread.join()
        assert counts == [500] * 20
        connection.execute("DROP TABLE large")


# A query that works for a minute before its first row.
SLOW = {
    "postgresql": "SELECT pg_sleep(60)::text AS a",
    "mysql": "SELECT SLEEP(60) AS a",
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) AS a FROM n",
}


@pytest.mark.parametrize("name", SLOW)
@pytest.mark.parametrize("way", ["timeout", "signal"])
def test_timeout_and_ctrl_c_free_the_session(request: pytest.FixtureRequest, name: str, way: str) -> None:
    """Both end a reader whose server works: its statement is cancelled, and the session goes on."""
    server = {"postgresql": "postgres"}.get(name, name)
    uri = request.getfixturevalue("sqlite_file").uri if name == "sqlite" else request.getfixturevalue(f"{server}_uri")
    schema = {"a": pl.Int64} if name == "sqlite" else None  # so that its type is not asked for
    with Connection(uri) as connection:
        started = time.monotonic()
        if way == "timeout":
            with pytest.raises(QueryTimeoutError, match=r"timeout of 0\.3 s"):
                list(industrydb.read_sql_batches(connection, SLOW[name], schema_overrides=schema, timeout=0.3))
        else:
            timer = threading.Timer(0.3, os.kill, [os.getpid(), signal.SIGINT])
            timer.start()
            with pytest.raises(KeyboardInterrupt):
                list(industrydb.read_sql_batches(connection, SLOW[name], schema_overrides=schema))
            timer.join()
        assert is_free(connection)
        assert time.monotonic() - started < 5


def test_a_slow_statement_is_cancelled_without_its_transaction(mysql_uri: str) -> None:
    """MySQL ends a statement alone: what the transaction has written stays."""
    with Connection(mysql_uri) as connection:
        connection.execute("CREATE TABLE slow (a INT)")
        with connection.transaction():
            connection.execute("INSERT INTO slow VALUES (1)")
            with pytest.raises(QueryTimeoutError):
                list(industrydb.read_sql_batches(connection, "SELECT SLEEP(60) AS a", timeout=0.2))
            connection.execute("INSERT INTO slow VALUES (2)")
        assert industrydb.read_sql(connection, "SELECT a FROM slow ORDER BY a")["a"].to_list() == [1, 2]
        connection.execute("DROP TABLE slow")


# Runs in its own process, and prints by how much the read has raised the peak memory.
MEMORY = """
import resource, sys
import industrydb

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

connection = industrydb.Connection(sys.argv[1])
for batch in industrydb.read_sql_batches(connection, sys.argv[2], batch_size=2_000):
    break
before = peak()
rows, size = 0, 0
for batch in industrydb.read_sql_batches(connection, sys.argv[2], batch_size=2_000):
    rows += batch.height
    size += batch.estimated_size()
print(rows, size, (peak() - before) * 1024)
"""


@pytest.mark.needs(Feature.DRIVER)
def test_memory_stays_with_the_batches(database: Database) -> None:
    """Memory holds a few batches, and not the result."""
    with Connection(database.uri) as connection:
        fill(connection)
        query = "SELECT x.a, x.b FROM large x JOIN large y ON y.a < 5"
        command = [sys.executable, "-c", MEMORY, database.uri, query]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE_S)
        rows, size, peak = map(int, done.stdout.split())
        assert rows == 5 * ROWS
        assert peak < size / 4
        connection.execute("DROP TABLE large")


def test_no_session_is_opened(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """Readers and scans use the connection's own session, and nothing else is left when they end."""
    uri = with_options(postgres_uri, application_name="only one")
    with Connection(uri) as connection:
        fill(connection)
        threads = threading.active_count()
        for _ in range(5):
            reader = industrydb.read_sql_batches(connection, LARGE, batch_size=100)
            next(reader)
            assert len(sessions(postgres, "only one")) == 1
            reader.close()
        assert threading.active_count() == threads
        industrydb.scan_sql(connection, "large").head(5).collect()
        assert len(sessions(postgres, "only one")) == 1
        connection.execute("DROP TABLE large")
    eventually(lambda: not sessions(postgres, "only one"))


def test_open_types_are_settled(postgres_uri: str) -> None:
    """Columns whose values decide their type have the types of batches by the URI."""
    query = "SELECT n * 1.5 AS a, ARRAY[n] AS b, n::text AS c FROM generate_series(1, 3000) AS n"
    with Connection(postgres_uri) as connection:
        reader = industrydb.read_sql_batches(connection, query, batch_size=1000)
        expected = industrydb.read_sql_batches(postgres_uri, query, batch_size=1000)
        assert reader.schema == expected.schema
        assert pl.concat(reader).equals(pl.concat(expected))


def test_expressions_of_sqlite_are_settled(sqlite_file: SqliteFile) -> None:
    """A column without a declared type gets the type of its values, also within a transaction."""
    with Connection(sqlite_file.uri) as connection:
        connection.execute("CREATE TABLE t (a, b)")
        with connection.transaction():
            connection.execute("INSERT INTO t VALUES (1, 'x'), (2.5, NULL)")
            queries = ["SELECT a, b, a + 1 AS c FROM t", "SELECT a FROM t UNION ALL SELECT 7"]
            frames = [pl.concat(industrydb.read_sql_batches(connection, query, batch_size=1)) for query in queries]
        assert frames[0].rows() == [(1.0, "x", 2.0), (2.5, None, 3.5)]
        assert frames[0].schema == {"a": pl.Float64, "b": pl.String, "c": pl.Float64}
        assert frames[1]["a"].to_list() == [1.0, 2.5, 7.0]


DELETES = """
import sqlite3, sys
try:
    with sqlite3.connect(sys.argv[1], timeout=0) as other:
        deleted = other.execute("DELETE FROM large WHERE a = 1").rowcount
        other.commit()
    print(deleted, "deleted")
except sqlite3.OperationalError as error:
    print(error)
"""


def test_a_file_is_free_after_a_reader(sqlite_file: SqliteFile) -> None:
    """No statement of a closed reader holds a lock of an SQLite file: the connection and others write to it."""
    with Connection(sqlite_file.uri) as connection:
        fill(connection, 5_000)
        reader = industrydb.read_sql_batches(connection, LARGE, batch_size=10)
        next(reader)
        # Another process: POSIX locks do not hold within one.
        command = [sys.executable, "-c", DELETES, str(sqlite_file.path)]
        assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "database is locked\n"
        reader.close()
        assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "1 deleted\n"
        connection.delete("large", where={"a": 2})
        assert connection.execute("SELECT count(*) AS n FROM large").item() == 4_998
        connection.execute("DROP TABLE large")


def end(postgres: psycopg.Connection, name: str) -> None:
    """Have the server end the sessions of this name."""
    postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [name])
    eventually(lambda: not sessions(postgres, name))


def test_the_server_says_why_it_ends_a_session(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """A session that ends between two batches, or two statements, raises what the server has said."""
    uri = with_options(postgres_uri, application_name="ended")
    reason = "administrator command"
    with Connection(uri) as connection:
        reader = industrydb.read_sql_batches(connection, "SELECT generate_series(1, 5000000) AS n", batch_size=10)
        next(reader)
        end(postgres, "ended")
        with pytest.raises(DatabaseConnectionError, match=reason) as raised:
            list(reader)
        assert raised.value.code == "57P01"
        with pytest.raises(ConnectionClosedError, match=reason):
            connection.execute("SELECT 1")
    with Connection(uri) as connection:
        end(postgres, "ended")
        with pytest.raises(DatabaseConnectionError, match=reason) as raised:
            connection.execute("SELECT 1")
        assert raised.value.code == "57P01"


ALTERS = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute(sys.argv[2])"


@pytest.mark.parametrize("way", ["alone", "transaction"])
def test_tables_that_others_have_altered_are_read_as_they_are(sqlite_file: SqliteFile, way: str) -> None:
    """A reader's columns are those of its table now, and not those that SQLite has cached."""

    def alter(statement: str) -> None:
        command = [sys.executable, "-c", ALTERS, str(sqlite_file.path), statement]
        subprocess.run(command, check=True, capture_output=True)

    query = "SELECT * FROM altered"
    with Connection(sqlite_file.uri) as connection:
        connection.execute("CREATE TABLE altered (a INTEGER)")
        connection.execute("INSERT INTO altered VALUES (1), (2)")
        for statement, rows in [
            ("SELECT 1", [(1,), (2,)]),
            ("ALTER TABLE altered ADD COLUMN b TEXT DEFAULT 'x'", [(1, "x"), (2, "x")]),
            ("ALTER TABLE altered RENAME COLUMN a TO c", [(1, "x"), (2, "x")]),
            ("ALTER TABLE altered DROP COLUMN b", [(1,), (2,)]),
        ]:
            alter(statement)
            with connection.transaction() if way == "transaction" else nullcontext():
                reader = industrydb.read_sql_batches(connection, query)
                assert pl.concat(reader).rows() == rows
                assert industrydb.scan_sql(connection, query).collect().rows() == rows
        scan = industrydb.scan_sql(connection, query)
        alter("ALTER TABLE altered RENAME COLUMN c TO d")
        with pytest.raises(QueryExecutionError, match="since the scan was made"):
            scan.collect()
        alter("DROP TABLE altered")
        with pytest.raises(QueryExecutionError, match="no such table: altered"):
            industrydb.read_sql_batches(connection, query)


def test_scans_leave_no_savepoint(postgres_uri: str) -> None:
    """What a transaction writes after a filtered scan is its own, and no savepoint's."""
    with Connection(postgres_uri) as connection:
        connection.execute("CREATE TABLE written (a INT, b TEXT)")
        scans = [
            industrydb.scan_sql(connection, "written").filter(pl.col("a") > 0),
            industrydb.scan_sql(connection, "SELECT a, count(*) AS n FROM written GROUP BY a").filter(pl.col("a") > 0),
        ]
        with connection.transaction():
            for number, scan in enumerate(scans):
                connection.execute("INSERT INTO written VALUES ($1)", [number])
                scan.collect()
            connection.execute("INSERT INTO written VALUES (9)")
        # A savepoint's rows have a transaction number of their own.
        assert connection.execute("SELECT count(DISTINCT xmin::text) FROM written").item() == 1
        connection.execute("DROP TABLE written")


def test_the_database_in_memory_is_streamed() -> None:
    """An SQLite database in memory is read by batches, scanned, and written to afterwards."""
    with Connection("sqlite://:memory:") as connection:
        fill(connection, 10_000)
        reader = industrydb.read_sql_batches(connection, LARGE, batch_size=1_000)
        assert next(reader)["a"].to_list() == list(range(1_000))
        reader.close()
        connection.execute("DELETE FROM large WHERE a >= 100")
        scan = industrydb.scan_sql(connection, "large")
        assert scan.filter(pl.col("a") >= 90).select(pl.col("a").sum()).collect().item() == sum(range(90, 100))
        assert scan.tail(1).collect()["a"].to_list() == [99]


def test_a_failed_start_frees_the_session(database: Database) -> None:
    """A query that is refused leaves the connection free."""
    with Connection(database.uri) as connection:
        for query in ["SELECT nothing FROM nowhere", "DELETE FROM nowhere"]:
            with pytest.raises(IndustryDbError):
                industrydb.read_sql_batches(connection, query)
            with pytest.raises(IndustryDbError):
                industrydb.scan_sql(connection, query)
            assert is_free(connection)


def test_scans_send_columns_filters_and_limits(postgres_uri: str, caplog: pytest.LogCaptureFixture) -> None:
    """What a scan of a connection sends to the database is what a scan of the URI sends."""
    with Connection(postgres_uri) as connection:
        fill(connection, 100)
        statements, frames = [], []
        for of in (connection, postgres_uri):
            caplog.clear()
            scan = industrydb.scan_sql(of, "large")
            with caplog.at_level(logging.DEBUG, "industrydb.core"), connection.transaction():
                frames += [scan.filter(pl.col("a") > 97).select("a").collect(), scan.head(2).collect()]
            statements.append([text for text in caplog.messages if "reading no more than" in text])
        assert statements[0] == statements[1]
        assert "WHERE" in statements[0][0]
        assert "LIMIT 2" in statements[0][1]
        assert frames[0]["a"].to_list() == [98, 99]
        assert frames[0].equals(frames[2])
        assert frames[1].equals(frames[3])
        connection.execute("DROP TABLE large")


@pytest.mark.needs(Feature.DRIVER)
@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
def test_scans_agree_with_scans_of_the_uri(database: Database, engine: Any) -> None:  # noqa: ANN401, a literal
    """Projections, filters and slices give the same rows on a connection and by the URI."""
    with Connection(database.uri) as connection:
        fill(connection, 1_000)
        for of in (connection, database.uri):
            scan = industrydb.scan_sql(of, "SELECT a, b FROM large ORDER BY a")
            assert scan.filter(pl.col("b").str.starts_with("99")).select("a").collect(engine=engine)["a"].to_list() == [
                99,
                *range(990, 1000),
            ]
            assert scan.slice(3, 2).collect(engine=engine)["a"].to_list() == [3, 4]
            assert scan.select(pl.col("a").sum()).collect(engine=engine).item() == sum(range(1_000))
        assert is_free(connection)
        connection.execute("DROP TABLE large")


def test_async_batches_on_a_connection(database: Database) -> None:
    """A task reads batches on a connection; ending early frees it."""

    async def read(connection: Connection) -> list[int]:
        heights = []
        batches = industrydb.read_sql_batches_async(connection, LARGE, batch_size=400)
        async for batch in batches:
            heights.append(batch.height)
            if len(heights) == 2:
                break
        await batches.aclose()
        heights += [batch.height async for batch in industrydb.read_sql_batches_async(connection, LARGE)]
        return heights

    with Connection(database.uri) as connection:
        fill(connection, 1_000)
        assert asyncio.run(read(connection)) == [400, 400, 1_000]
        connection.execute("DROP TABLE large")


REFUSED: dict[str, Callable[[Connection], object]] = {
    "reads one partition: 2 were asked for": lambda c: industrydb.read_sql_batches(c, "SELECT 1 AS a", partitions=2),
    "reads one partition: 3 were asked for": lambda c: industrydb.scan_sql(c, "SELECT 1 AS a", partitions=3),
    "one query: pass the URI": lambda c: industrydb.read_sql_batches(c, ["SELECT 1 AS a", "SELECT 2 AS a"]),
    "by its execute": lambda c: industrydb.scan_sql(c, "SELECT 1 AS a", pre_execution_query="SELECT 1"),
    "not a held snapshot": lambda c: industrydb.read_sql_batches(c, "SELECT 1 AS a", snapshot="00000003-1B-1"),
    "not a held snapshot: pass": lambda c: industrydb.read_sql(c, "SELECT 1 AS a", snapshot="00000003-1B-1"),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_one_session_cannot_do_is_refused(message: str) -> None:
    """Partitions, lists of queries, statements in front and held snapshots need sessions of their own."""
    with Connection("sqlite://:memory:") as connection:
        with pytest.raises(ConfigurationError, match=message):
            REFUSED[message](connection)
        assert is_free(connection)
