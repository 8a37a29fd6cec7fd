"""Tests of reads that end before their last row, by a killed session, a broken connection or Ctrl-C, without rows."""

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, NamedTuple

import psycopg
import pytest

import industrydb
from industrydb import DatabaseConnectionError, QueryTimeoutError
from tests.kit.interrupts import ENDLESS, STALLING, is_being_read, reading, waiting
from tests.kit.relay import Relay, relay
from tests.kit.servers import Server
from tests.kit.support import PATIENCE_S, SqliteFile, eventually, sessions, with_options


class Killing(NamedTuple):
    """The server's function that ends a session, and the exception and code that the reader gets."""

    function: str
    exception: type[industrydb.IndustryDbError]
    code: str


@pytest.mark.parametrize(
    "killing",
    [
        Killing("pg_terminate_backend", DatabaseConnectionError, "57P01"),
        Killing("pg_cancel_backend", QueryTimeoutError, "57014"),
    ],
    ids=lambda killing: killing.function,
)
@pytest.mark.parametrize("split", [{}, {"partition_on": "i", "partitions": 4}], ids=["whole", "partitioned"])
def test_a_session_killed_midway(
    postgres: psycopg.Connection, postgres_uri: str, split: dict[str, Any], killing: Killing
) -> None:
    """If a session is killed midway, no rows are returned, and the other sessions of the read end too."""
    name = f"victim of {killing.function}, {len(split)}"
    uri = with_options(postgres_uri, application_name=name)
    with ThreadPoolExecutor() as executor:
        read = executor.submit(lambda: industrydb.read_sql(uri, STALLING, **split))
        eventually(lambda: bool(waiting(postgres, name)))
        [process] = waiting(postgres, name)
        postgres.execute(f"SELECT {killing.function}(%s)", [process])
        raised = read.exception(timeout=PATIENCE_S)
    assert type(raised) is killing.exception
    assert raised.code == killing.code
    eventually(lambda: not sessions(postgres, name))


ROWS = "SELECT i, 'row ' || i AS v FROM generate_series(1, 1000) AS i"


@pytest.fixture(scope="module")
def length(own_server: Server) -> int:
    """Return the number of bytes that the server answers to a read of all rows."""
    with relay(own_server.socket) as whole:
        frame = industrydb.read_sql(relayed_uri(whole), ROWS)
    assert frame.rows() == [(i, f"row {i}") for i in range(1, 1001)]
    return whole.answered


def relayed_uri(relay: Relay) -> str:
    """Return the URI of a relay."""
    return f"postgresql://postgres@127.0.0.1:{relay.port}/postgres?sslmode=disable"


@pytest.mark.parametrize("position", [*range(0, 1500, 97), 5_000, 20_000, -100, -20, -10, -6, -5, -1])
def test_a_connection_that_breaks(own_server: Server, length: int, position: int) -> None:
    """A connection that breaks in the login, the description, a row or after the last row is an error."""
    with relay(own_server.socket, cut_after=position % length) as broken, pytest.raises(DatabaseConnectionError):
        industrydb.read_sql(relayed_uri(broken), ROWS)
    assert broken.answered == position % length


@pytest.mark.parametrize("split", [[], ["split"]], ids=["whole", "partitioned"])
def test_ctrl_c_ends_a_query_on_postgres(postgres: psycopg.Connection, postgres_uri: str, split: list[str]) -> None:
    """Ctrl-C ends a read and its query on the server, which would have slept on."""
    name = f"interrupted {split}"
    with reading(with_options(postgres_uri, application_name=name), STALLING, *split):
        eventually(lambda: bool(waiting(postgres, name)))
    eventually(lambda: not sessions(postgres, name))


@pytest.mark.parametrize("query", [ENDLESS, f"SELECT count(*) AS n FROM ({ENDLESS})"], ids=["computes", "counts"])
def test_ctrl_c_ends_a_query_on_sqlite(sqlite_file: SqliteFile, query: str) -> None:
    """Ctrl-C ends a query on SQLite that would never end by itself, on whichever thread it runs."""
    sqlite_file.connection.execute("CREATE TABLE t (i INTEGER)")
    with reading(sqlite_file.uri, query):
        eventually(lambda: is_being_read(sqlite_file.path))


def test_ctrl_c_ends_a_preparation_on_sqlite(sqlite_file: SqliteFile) -> None:
    """Ctrl-C ends a statement that runs before the query."""
    sqlite_file.connection.execute("CREATE TABLE t (i INTEGER)")
    with reading(sqlite_file.uri, "SELECT 1 AS i", "whole", f"BEGIN; SELECT * FROM t; {ENDLESS}"):
        eventually(lambda: is_being_read(sqlite_file.path))


@pytest.mark.parametrize(
    ("scheme", "option"),
    [
        ("postgresql", "sslmode=disable"),
        ("postgresql", "sslmode=prefer"),
        ("postgresql", "sslmode=require"),
        ("mssql", "encrypt=true"),
        ("mssql", "encrypt=strict"),
    ],
)
def test_ctrl_c_ends_a_login_that_nobody_answers(scheme: str, option: str) -> None:
    """Ctrl-C ends a login that the server does not answer, long before `connect_timeout` does."""
    with socket.create_server(("127.0.0.1", 0)) as silent, ExitStack() as held:
        port = silent.getsockname()[1]
        uri = f"{scheme}://ana@127.0.0.1:{port}/db?connect_timeout=600&{option}"
        with reading(uri, "SELECT 1 AS i"):
            held.enter_context(silent.accept()[0])
