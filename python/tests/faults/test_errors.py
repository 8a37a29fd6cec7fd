"""Tests of calls that cannot be carried out: a typed error says why, and nothing is changed or left behind."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

import industrydb
from industrydb import ConfigurationError, QueryExecutionError
from tests.kit.databases import Database, Feature
from tests.kit.support import SqliteFile, eventually, sessions

pytestmark = pytest.mark.needs(Feature.DRIVER)


EXCEPTIONS = {
    "IndustryDbError": "Exception",
    "DatabaseConnectionError": "IndustryDbError",
    "QueryExecutionError": "IndustryDbError",
    "QueryTimeoutError": "QueryExecutionError",
    "ConfigurationError": "IndustryDbError",
    "ConnectionClosedError": "IndustryDbError",
    "ConstraintViolationError": "IndustryDbError",
    "TypeConversionError": "IndustryDbError",
}


@pytest.fixture
def uri(database: Database) -> Iterator[str]:
    """Yield the URI of each database with a table ``kept`` of three rows, and check that they are unchanged."""
    database.script("DROP TABLE IF EXISTS kept; CREATE TABLE kept (id INTEGER, name TEXT)")
    database.execute("INSERT INTO kept VALUES (1, 'a'), (2, 'b'), (3, NULL)")
    query = "SELECT id, name FROM kept ORDER BY id"
    expected = database.rows(query)
    yield database.uri
    assert database.rows(query) == expected
    assert industrydb.read_sql(database.uri, query).rows() == expected
    if isinstance(database.connection, psycopg.Connection):
        eventually(lambda: not sessions(database.connection))


def test_every_exception_has_its_place_in_the_tree() -> None:
    """Each exception has its documented base class, and a `code`."""
    for name, base in EXCEPTIONS.items():
        exception = getattr(industrydb, name)
        assert [parent.__name__ for parent in exception.__bases__] == [base]
        assert exception.__module__ == "industrydb"
        assert exception("why").code is None
    named = {name for name in industrydb.__all__ if name.endswith("Error")}
    assert named == EXCEPTIONS.keys()


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("", "not a database URI"),
        ("data.db", "not a database URI"),
        ("oracle://host/db", 'unknown database "oracle"'),
        ("mssql://host/db", "SQL Server"),
        ("sqlite://", "no file"),
        ("sqlite://:memory:", "in-memory"),
        ("sqlite:///x.db?cache=shared", '"cache"'),
        ("postgresql://ana@host:0/db", "port"),
        ("postgresql://ana@host:65536/db", "port"),
        ("postgresql://ana@host:5432x/db", "port"),
        ("postgresql://ana@[::1/db", "\\["),
        ("postgresql://ana@host/db?sslmode", "option=value"),
        ("postgresql://ana@host/db?sslmode=sometimes", '"sometimes"'),
        ("postgresql://ana@host/db?sslmod=require", '"sslmod"'),
        ("postgresql://ana@host/db?connect_timeout=soon", "connect_timeout"),
        ("postgresql://ana@one,two/db?port=1,2,3", "3 ports are named for 2 hosts"),
        ("postgresql://ana@one:0,two:1/db", "port must be"),
        ("sqlite://x.db?port=1,2", '"port"'),
        ("postgresql://ana:%ff@host/db", "UTF-8"),
    ],
)
def test_uris_that_mean_nothing(uri: str, message: str) -> None:
    """An invalid URI is refused by a message that says what is wrong, before any connection."""
    with pytest.raises(ConfigurationError, match=message):
        industrydb.read_sql(uri, "SELECT 1 AS a")


@pytest.mark.parametrize(
    ("query", "arguments", "message"),
    [
        ("", {}, "empty"),
        (" ; -- nothing", {}, "empty"),
        ("SELECT 1 AS a; SELECT 2 AS a", {}, "more than one statement"),
        ("SELECT 1 AS a;; DELETE FROM kept", {}, "more than one statement"),
        ("SELECT 1 AS a, 2 AS b, 3 AS a", {}, '"a"'),
        ("SELECT id FROM kept", {"partition_on": "Id", "partitions": 2}, '"Id".*"id"'),
        ("SELECT id FROM kept", {"partition_on": "", "partitions": 2}, '""'),
        ("SELECT id FROM kept", {"partition_on": "id", "partitions": 0}, "0"),
        ("SELECT id FROM kept", {"partition_on": "id", "partitions": -1}, "-1"),
        ("SELECT id FROM kept", {"partition_on": "id", "partitions": 4097}, "4097"),
        ("SELECT id FROM kept", {"partition_on": "id", "partitions": 10**30}, str(10**30)),
        ("SELECT count(*) AS n FROM kept", {"partitions": 2}, "partition_on"),
        ("SELECT id FROM kept", {"return_type": "polar"}, "'polar'"),
        ("CREATE TABLE made (i INTEGER)", {}, r"no rows|is no query"),
        ("DROP TABLE kept", {}, r"no rows|is no query"),
        ("INSERT INTO kept VALUES (4, 'd')", {}, r"no rows|is no query"),
        ("UPDATE kept SET name = 'x'", {}, r"no rows|is no query"),
        ("DELETE FROM kept", {}, r"no rows|is no query"),
        ("COMMIT", {}, r"no rows|is no query"),
        ("SELECT 1 AS a UNION ALL SELECT 2\0", {}, None),
        ("SELECT 1 AS a \0UNION ALL SELECT 2", {}, None),
    ],
)
def test_arguments_that_cannot_be_carried_out(
    uri: str, query: str, arguments: dict[str, Any], message: str | None
) -> None:
    """Arguments that cannot be carried out are refused before anything is run."""
    with pytest.raises(ConfigurationError, match=message):
        industrydb.read_sql(uri, query, **arguments)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO kept VALUES (4, 'd') RETURNING id",
        "UPDATE kept SET name = 'x' RETURNING id",
        "DELETE FROM kept RETURNING id",
    ],
)
@pytest.mark.parametrize("arguments", [{}, {"partition_on": "id", "partitions": 2}], ids=["whole", "partitioned"])
def test_statements_that_return_rows_and_change_some(uri: str, statement: str, arguments: dict[str, Any]) -> None:
    """A statement that changes rows and returns some is refused; the fixture checks that no row has changed."""
    with pytest.raises((ConfigurationError, QueryExecutionError)):
        industrydb.read_sql(uri, statement, **arguments)


@pytest.mark.parametrize(
    "statement",
    [
        "WITH gone AS (DELETE FROM kept RETURNING id) SELECT id FROM gone",
        "SELECT forget() AS id",
        "SELECT nextval('counter') AS id",
        "SELECT id FROM kept FOR UPDATE",
        "SELECT set_config('transaction_read_only', 'off', false) AS id, forget()",
    ],
)
def test_selects_that_change_rows_on_the_side(postgres: psycopg.Connection, postgres_uri: str, statement: str) -> None:
    """A SELECT that changes rows on the side is refused by PostgreSQL itself."""
    postgres.execute("""
        DROP TABLE IF EXISTS kept;
        CREATE TABLE kept AS SELECT 1 AS id;
        CREATE SEQUENCE IF NOT EXISTS counter;
        CREATE OR REPLACE FUNCTION forget() RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM kept; RETURN 1; END';
    """)
    before = postgres.execute("SELECT last_value, is_called FROM counter").fetchone()
    with pytest.raises(QueryExecutionError, match="read") as raised:
        industrydb.read_sql(postgres_uri, statement)
    assert raised.value.code in {"25006", "25001"}
    assert postgres.execute("SELECT id FROM kept").fetchall() == [(1,)]
    assert postgres.execute("SELECT last_value, is_called FROM counter").fetchone() == before


@pytest.mark.parametrize("arguments", [{}, {"partition_on": "id", "partitions": 2}], ids=["whole", "partitioned"])
@pytest.mark.parametrize(
    ("query", "on_postgres", "on_sqlite", "on_mysql"),
    [
        (
            "SELECT FROM FROM kept",
            ('syntax error at or near "FROM"', "42601"),
            ('near "FROM"', "SQLITE_ERROR"),
            ("near 'FROM…'", "1064"),
        ),
        (
            "SELECT id FROM nowhere",
            ('relation "nowhere" does', "42P01"),
            ("no such table: nowhere", "SQLITE_ERROR"),
            ("nowhere' does", "1146"),
        ),
        (
            "SELECT absent AS id",
            ('column "absent"', "42703"),
            ("no such column: absent", "SQLITE_ERROR"),
            ("column 'absent'", "1054"),
        ),
        (
            "SELECT 'abc",
            ("unterminated quoted string", "42601"),
            ("unrecognized token", "SQLITE_ERROR"),
            ("near ''…'", "1064"),
        ),
        (
            "SELECT abs(id, id) AS id FROM kept",
            ("HINT", "42883"),
            ("wrong number", "SQLITE_ERROR"),
            ("parameter count", "1582"),
        ),
    ],
)
def test_queries_that_the_database_refuses(  # noqa: PLR0913, PLR0917, the answers of each database
    uri: str,
    query: str,
    arguments: dict[str, Any],
    on_postgres: tuple[str, str],
    on_sqlite: tuple[str, str],
    on_mysql: tuple[str, str],
) -> None:
    """The error for a query that the database refuses has the database's message and code."""
    message, code = {"postgresql": on_postgres, "sqlite": on_sqlite, "mysql": on_mysql}[uri.partition(":")[0]]
    with pytest.raises(QueryExecutionError, match=message) as raised:
        industrydb.read_sql(uri, query, **arguments)
    assert raised.value.code == code
    assert type(raised.value) is QueryExecutionError


def test_a_query_that_fails_in_one_partition(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """A query that fails in one partition returns no rows of the others, and leaves no session."""
    query = "SELECT i, 1 / (i - 99999) AS x FROM generate_series(1, 100000) AS i"
    with pytest.raises(QueryExecutionError, match="partition 8: division by zero") as raised:
        industrydb.read_sql(postgres_uri, query, partition_on="i", partitions=8)
    assert raised.value.code == "22012"
    eventually(lambda: not sessions(postgres))


def test_a_query_that_fails_on_the_way(sqlite_file: SqliteFile) -> None:
    """A query that fails on the way returns none of the rows before the failure."""
    query = """WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
               SELECT i, iif(i = 4000, abs(-9223372036854775807 - 1), i) AS x FROM n"""
    for arguments in ({}, {"partition_on": "i", "partitions": 4}):
        with pytest.raises(QueryExecutionError, match="integer overflow"):
            industrydb.read_sql(sqlite_file.uri, query, **arguments)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "arguments",
    [
        (None, "SELECT 1 AS a"),
        (b"sqlite://x.db", "SELECT 1 AS a"),
        (5, "SELECT 1 AS a"),
        ("sqlite://x.db", None),
        ("sqlite://x.db", 1),
        ("sqlite://x.db", [1]),
        ("sqlite://x.db", ["SELECT 1 AS a", None]),
        ("sqlite://x.db", [b"SELECT 1 AS a"]),
        ("sqlite://x.db", {1: 2}),
    ],
)
def test_arguments_of_other_types(arguments: tuple[Any, Any]) -> None:
    """An argument of a wrong type raises Python's own `TypeError`."""
    with pytest.raises(TypeError):
        industrydb.read_sql(*arguments)


@pytest.mark.parametrize(
    "arguments",
    [{"partition_on": 1}, {"partition_on": ["a"]}, {"partitions": 1.0}, {"partitions": "2"}, {"progres": True}],
)
def test_options_of_other_types(arguments: dict[str, Any]) -> None:
    """An option of a wrong type, or an unknown one, raises Python's own `TypeError`."""
    with pytest.raises(TypeError):
        industrydb.read_sql("sqlite://x.db", "SELECT 1 AS a", **arguments)
