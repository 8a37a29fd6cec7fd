"""`read_sql` and `write_sql` on a `Connection`: its transaction, its temporary tables, its database in memory."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import polars as pl
import psycopg
import pytest

import industrydb
from industrydb import (
    ConfigurationError,
    Connection,
    ConnectionClosedError,
    QueryExecutionError,
    QueryTimeoutError,
    TypeConversionError,
)
from tests.kit.databases import Database, Feature
from tests.kit.support import sessions, with_options


@pytest.mark.needs(Feature.PARAMETERS)
def test_reads_see_the_transaction(database: Database) -> None:
    """A read sees what its connection has not committed yet; a read of its own session does not."""
    if database.name == "sqlite":
        database.script("PRAGMA journal_mode = WAL")
    with Connection(database.uri) as connection:
        industrydb.write_sql({"a": [1]}, "seen", connection, if_exists="replace")
        with connection.transaction():
            connection.insert("seen", {"a": [2]})
            assert industrydb.read_sql(connection, "SELECT a FROM seen ORDER BY a")["a"].to_list() == [1, 2]
            if database.name != "mssql":  # whose sessions wait for one another
                assert industrydb.read_sql(database.uri, "SELECT a FROM seen")["a"].to_list() == [1]
        connection.execute("DROP TABLE seen")


def test_a_database_in_memory_is_read_and_written() -> None:
    """An SQLite database in memory belongs to its connection."""
    with Connection("sqlite://:memory:") as connection:
        assert industrydb.write_sql({"a": [1, 2], "b": ["x", None]}, "t", connection) == 2
        frame = industrydb.read_sql(connection, "SELECT * FROM t WHERE a > ?", params=[1])
        assert frame.rows() == [(2, None)]
        assert frame.schema == {"a": pl.Int64, "b": pl.String}


def test_temporary_tables_are_read(postgres_uri: str) -> None:
    """A temporary table of PostgreSQL belongs to its session; reads have the types of `read_sql`."""
    query = "SELECT * FROM mine ORDER BY 1"
    with Connection(postgres_uri) as connection:
        row = "SELECT 1.50::numeric(10,2) AS a, '{1,2}'::int[] AS b, 'x'::text AS c, '1 day'::interval AS d"
        connection.execute(f"CREATE TEMPORARY TABLE mine AS {row}")
        frame = industrydb.read_sql(connection, query)
        expected = industrydb.read_sql(postgres_uri, row)
        assert frame.equals(expected)
        assert frame.schema == expected.schema
        asked = industrydb.read_sql(connection, query, schema_overrides={"a": pl.Float64, "c": pl.Categorical})
        assert asked["a"].to_list() == [1.5]
        assert asked.schema["c"] == pl.Categorical


@pytest.mark.needs(Feature.PARAMETERS)
def test_overrides_convert_as_in_read_sql(database: Database) -> None:
    """`schema_overrides` gives the same frame as a read of the URI, and the same errors."""
    with Connection(database.uri) as connection:
        industrydb.write_sql({"a": ["1", "20"], "b": [1, 2]}, "texts", connection, if_exists="replace")
        query, asked = "SELECT a, b FROM texts ORDER BY b", {"a": pl.Int32, "b": pl.Float64}
        expected = industrydb.read_sql(database.uri, query, schema_overrides=asked)
        frame = industrydb.read_sql(connection, query, schema_overrides=asked)
        assert frame.equals(expected)
        assert frame.schema == expected.schema
        with pytest.raises(ConfigurationError, match=r'schema_overrides names \["c"\]'):
            industrydb.read_sql(connection, query, schema_overrides={"c": pl.Int8})
        connection.insert("texts", {"a": ["x"], "b": [3]})
        with pytest.raises(TypeConversionError, match=r'"a".*row 3'):
            industrydb.read_sql(connection, query, schema_overrides=asked)
        assert industrydb.read_sql(connection, query).height == 3  # the session is in step
        connection.execute("DROP TABLE texts")


@pytest.mark.parametrize("return_type", ["arrow", "pandas"])
def test_every_return_type(return_type: Any) -> None:  # noqa: ANN401, a literal
    """The frame is converted as that of any read."""
    with Connection("sqlite://:memory:") as connection:
        frame = industrydb.read_sql(connection, "SELECT 1 AS a", return_type=return_type)
        assert type(frame).__module__.partition(".")[0] == {"arrow": "pyarrow"}.get(return_type, return_type)
        assert frame.shape == (1, 1)


MORE: dict[str, Callable[[Connection], object]] = {
    "reads one partition: 2": lambda c: industrydb.read_sql(c, "SELECT 1 AS a", partition_on="a", partitions=2),
    "one query: pass the URI": lambda c: industrydb.read_sql(c, ["SELECT 1 AS a", "SELECT 2 AS a"]),
    "run the statement by its execute": lambda c: industrydb.read_sql(c, "SELECT 1", pre_execution_query="SELECT 1"),
    "a plan is read by other sessions, .* pass the URI": lambda c: industrydb.plan_sql(c, "SELECT 1"),  # type: ignore[arg-type]
    "an extract opens sessions .* pass the URI": lambda c: industrydb.extract(c, "SELECT 1", "no"),  # type: ignore[arg-type]
    "a snapshot is held by .* pass the URI": lambda c: industrydb.hold_snapshot(c, tables="t"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("message", MORE)
def test_what_one_session_cannot_do_is_refused(message: str) -> None:
    """More than one partition, query or session raises a `ConfigurationError`, and the connection stays open."""
    with Connection("sqlite://:memory:") as connection:
        with pytest.raises(ConfigurationError, match=message):
            MORE[message](connection)
        assert industrydb.read_sql(connection, "SELECT 1 AS a", partition_on="a", partitions=1).item() == 1


@pytest.mark.needs(Feature.PARAMETERS)
@pytest.mark.parametrize(
    "statement",
    [
        *("DELETE FROM kept", "INSERT INTO kept VALUES (2)", "DROP TABLE kept", "UPDATE kept SET a = 5"),
        *("INSERT INTO kept VALUES (2) RETURNING a", "SELECT 1; DELETE FROM kept"),
        "WITH x AS (SELECT 1) DELETE FROM kept",
    ],
)
def test_reads_change_nothing(database: Database, statement: str) -> None:
    """A statement that is no query is refused before it runs, also on a connection that may write."""
    with Connection(database.uri) as connection:
        industrydb.write_sql({"a": [1]}, "kept", connection, if_exists="replace")
        # MariaDB has no DELETE behind a WITH.
        unknown = database.name == "mysql" and statement.startswith("WITH") and database.connection.is_mariadb
        with pytest.raises(QueryExecutionError if unknown else ConfigurationError):
            industrydb.read_sql(connection, statement)
        assert connection.select("kept")["a"].to_list() == [1]
        connection.execute("DROP TABLE kept")


def test_parameters_and_names(postgres_uri: str) -> None:
    """Parameters are bound; two columns of the same name raise; a closed connection says so."""
    with Connection(postgres_uri) as connection:
        assert industrydb.read_sql(connection, "SELECT $1::int + 1 AS a", params=[41]).item() == 42
        with pytest.raises(ConfigurationError, match="distinct names"):
            industrydb.read_sql(connection, "SELECT 1 AS a, 2 AS a")
        assert industrydb.read_sql(connection, "SELECT 1 AS a;  -- all").item() == 1
    with pytest.raises(ConnectionClosedError):
        industrydb.read_sql(connection, "SELECT 1")


def test_a_timeout_ends_the_statement_and_the_session(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """After a timeout, nobody knows the state of the session: it is closed, and gone from the server."""
    connection = Connection(with_options(postgres_uri, application_name="late"))
    with pytest.raises(QueryTimeoutError):
        industrydb.read_sql(connection, "SELECT pg_sleep(60)::text AS a", timeout=0.2)
    assert connection.is_closed()
    assert not [event for _, event in sessions(postgres, "late") if event == "PgSleep"]


def test_an_async_read_on_a_connection(postgres_uri: str) -> None:
    """Also a task may read on a connection."""
    with Connection(postgres_uri) as connection:
        assert asyncio.run(industrydb.read_sql_async(connection, "SELECT 1 AS a")).item() == 1


@pytest.mark.needs(Feature.PARAMETERS)
def test_a_write_is_part_of_the_transaction(database: Database) -> None:
    """`write_sql` on a connection is taken back with its transaction, table and all."""
    if database.name == "mysql":
        pytest.skip("CREATE TABLE ends MySQL's transactions")
    with Connection(database.uri) as connection:
        with suppress(ZeroDivisionError), connection.transaction():
            assert industrydb.write_sql({"a": [1]}, "taken_back", connection) == 1
            raise ZeroDivisionError
        with pytest.raises(industrydb.QueryExecutionError):
            connection.select("taken_back")


def test_a_session_of_sql_server_reads(mssql_uri: str) -> None:
    """A read on a session of SQL Server sees its temporary table, converts as asked, and changes nothing."""
    with Connection(mssql_uri) as connection:
        connection.execute("CREATE TABLE #mine (a INT, b NVARCHAR(20))")
        connection.execute("INSERT INTO #mine VALUES (1, '10'), (2, '20')")
        query = "SELECT a, b FROM #mine ORDER BY a"
        assert industrydb.read_sql(connection, query).rows() == [(1, "10"), (2, "20")]
        asked = industrydb.read_sql(connection, query, schema_overrides={"a": pl.Float64, "b": pl.Int16})
        assert asked.rows() == [(1.0, 10), (2.0, 20)]
        assert asked.schema == {"a": pl.Float64, "b": pl.Int16}
        with pytest.raises(ConfigurationError, match="not a single SELECT"):
            industrydb.read_sql(connection, "DELETE FROM #mine")
        with pytest.raises(ConfigurationError, match=r'names \["c"\]'):
            industrydb.read_sql(connection, query, schema_overrides={"c": pl.Int16})
        assert industrydb.read_sql(connection, query).height == 2
