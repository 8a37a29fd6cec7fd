"""Tests of `is_transient`, by which `connect_retries`, `extract` and users decide whether to try again."""

import pickle
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

import industrydb
from industrydb import (
    DatabaseConnectionError,
    IndustryDbError,
    QueryExecutionError,
    QueryTimeoutError,
    extract,
)
from industrydb._extract import extraction
from industrydb._read.batches import Partitions
from tests.kit.relay import relay
from tests.kit.servers import PASSWORDS, Server, tcp_uri
from tests.kit.sql_server import port_of, refusing
from tests.kit.support import HOLD_LOCK, SqliteFile, with_options

LOGINS_THAT_PASS = (
    *(40613, 40197, 40501, 49918, 49919, 49920, 10928, 10929, 4060),
    *(18401, 17142, 6005, 233, 64, 10053, 10054, 10060),
)
STATEMENTS_THAT_PASS = (1205, 1222, 3960, 976, 40501, 10928)


def at(uri: str, port: int, **options: str) -> str:
    """Return the URI of a relay to a server."""
    return with_options(uri.replace(str(port_of(uri)), str(port)), **options)


@pytest.mark.parametrize("number", LOGINS_THAT_PASS)
def test_logins_that_sql_server_refuses_for_now_are_tried_again(own_mssql_uri: str, number: int) -> None:
    """A login that SQL Server refuses for now is tried again as often as `connect_retries` says."""
    port = port_of(own_mssql_uri)
    with refusing(port, number, times=2) as (relayed, refusal):
        assert industrydb.read_sql(at(own_mssql_uri, relayed, connect_retries="2"), "SELECT 1 AS one").item() == 1
    assert refusal.given == 2
    with refusing(port, number, times=1) as (relayed, _), pytest.raises(DatabaseConnectionError) as raised:
        industrydb.read_sql(at(own_mssql_uri, relayed), "SELECT 1 AS one")
    assert (raised.value.code, raised.value.is_transient) == (str(number), True)


@pytest.mark.parametrize("number", [18456, 18488, 4064])
def test_logins_that_sql_server_refuses_for_good_are_not_tried_again(own_mssql_uri: str, number: int) -> None:
    """A login that SQL Server refuses for good is tried once, since more attempts could lock the account."""
    port = port_of(own_mssql_uri)
    with refusing(port, number, times=3) as (relayed, refusal), pytest.raises(DatabaseConnectionError) as raised:
        industrydb.read_sql(at(own_mssql_uri, relayed, connect_retries="3"), "SELECT 1 AS one")
    assert (refusal.given, raised.value.code, raised.value.is_transient) == (1, str(number), False)


@pytest.mark.parametrize(
    ("statement", "number", "passes"),
    [
        *(("SELECT 4711 AS v", number, True) for number in STATEMENTS_THAT_PASS),
        ("SELECT 4711 AS v", 8134, False),
        (None, 40613, True),
        (None, 18456, False),
    ],
)
def test_sql_servers_partitions_are_read_again(  # noqa: PLR0913, PLR0917
    own_mssql_uri: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    statement: str | None,
    number: int,
    passes: bool,  # noqa: FBT001
) -> None:
    """`extract` reads a partition again if the error of a statement or a login is transient, and only then."""
    monkeypatch.setattr(time, "sleep", lambda _: None)
    port = port_of(own_mssql_uri)
    with refusing(port, number, 0, statement) as (relayed, refusal):

        def planned(*arguments: object, **given: object) -> Partitions:
            refusal.times = 1  # from here on: the plan has been made
            return Partitions(*arguments, **given)  # type: ignore[arg-type]

        monkeypatch.setattr(extraction, "Partitions", planned)
        uri = at(own_mssql_uri, relayed)
        if passes:
            assert extract(uri, "SELECT 4711 AS v", tmp_path / "x").rows == 1
        else:
            with pytest.raises(IndustryDbError) as raised:
                extract(uri, "SELECT 4711 AS v", tmp_path / "x")
            assert (raised.value.code, raised.value.is_transient) == (str(number), False)
    assert refusal.given == 1


@pytest.mark.parametrize(
    ("code", "passes"),
    [
        *((code, True) for code in ("40001", "40P01", "55P03", "57P03", "53300", "08006")),
        *((code, False) for code in ("22012", "42501", "53100", "57014", "23505")),
    ],
)
def test_postgres_says_by_its_codes_what_passes(
    postgres: psycopg.Connection, postgres_uri: str, code: str, *, passes: bool
) -> None:
    """PostgreSQL's codes decide whether an error is transient, in every way to read, and pickling keeps that."""
    postgres.execute(
        "CREATE OR REPLACE FUNCTION raising(code text) RETURNS int LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'raised' USING ERRCODE = code; END $$"
    )
    query = f"SELECT raising('{code}') AS v"
    with industrydb.Connection.from_uri(postgres_uri) as connection:
        for read in (
            lambda: industrydb.read_sql(postgres_uri, query),
            lambda: industrydb.read_sql(postgres_uri, [query, query]),
            lambda: list(industrydb.read_sql_batches(postgres_uri, query)),
            lambda: connection.execute(query),
        ):
            with pytest.raises(IndustryDbError) as raised:
                read()
            told = pickle.loads(pickle.dumps(raised.value))  # noqa: S301, it is the test's own
            for error in (raised.value, told):
                assert (error.code, error.is_transient) == (code, passes)


def test_sqlite_says_what_passes(sqlite_file: SqliteFile, tmp_path: Path) -> None:
    """A lock of SQLite is a transient error; a missing table and a missing file are not."""
    sqlite_file.connection.execute("CREATE TABLE t (a INTEGER)")
    with pytest.raises(QueryExecutionError) as missing:
        industrydb.read_sql(sqlite_file.uri, "SELECT * FROM u")
    assert not missing.value.is_transient
    with pytest.raises(DatabaseConnectionError) as absent:
        industrydb.read_sql(sqlite_file.uri + ".absent", "SELECT 1")
    assert not absent.value.is_transient
    command = [sys.executable, "-c", HOLD_LOCK, str(sqlite_file.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        with industrydb.Connection.from_uri(f"sqlite://{tmp_path}/other.db") as connection:
            connection.execute("PRAGMA busy_timeout = 0")
            with pytest.raises(IndustryDbError) as locked:
                connection.execute("ATTACH ? AS held", [str(sqlite_file.path)])
        holder.communicate()
    assert (locked.value.code, locked.value.is_transient) == ("SQLITE_BUSY", True)


def test_what_is_wrong_with_a_login_does_not_pass(own_server: Server) -> None:
    """A server without TLS and a missing password are no transient errors: the server is asked once."""
    for options in ("?sslmode=require", "?sslmode=disable"):
        with relay(own_server.port) as counted:
            uri = f"postgresql://scram_user@127.0.0.1:{counted.port}/postgres{options}&connect_retries=5"
            began = counted.connections
            with pytest.raises(DatabaseConnectionError) as raised:
                industrydb.read_sql(uri, "SELECT 1")
            assert (counted.connections - began, raised.value.is_transient) == (1, False), str(raised.value)


def test_a_server_that_does_not_answer_may_later() -> None:
    """A port on which no server listens is a transient error."""
    for uri in ("postgresql://ana@127.0.0.1:1/x?sslmode=disable", "mssql://sa:x@127.0.0.1:1/master?encrypt=false"):
        with pytest.raises(DatabaseConnectionError) as raised:
            industrydb.read_sql(uri, "SELECT 1")
        assert raised.value.is_transient, str(raised.value)


@pytest.mark.parametrize("cut_after", [0, 1, 7, 40, 100, 200, 300, 400, 500])
def test_a_connection_that_breaks_may_hold_later(own_server: Server, own_mssql_uri: str, cut_after: int) -> None:
    """A connection that breaks, in the login or in an answer, is a transient error."""
    port = port_of(own_mssql_uri)
    query = "SELECT 'a long text, which no answer that is cut off has room for' AS v"
    postgres_uri = tcp_uri(own_server.port, "scram_user", PASSWORDS["scram_user"]) + "?sslmode=disable"
    for server, uri in ((port, own_mssql_uri), (own_server.port, postgres_uri)):
        with relay(server, cut_after) as cut, pytest.raises(DatabaseConnectionError) as raised:
            industrydb.read_sql(at(uri, cut.port), [query] * 20)
        assert raised.value.is_transient, str(raised.value)


def test_arguments_and_timeouts_do_not_pass(postgres_uri: str) -> None:
    """A timeout is no transient error, nor is one that other code makes."""
    with pytest.raises(QueryTimeoutError) as raised:
        industrydb.read_sql(postgres_uri, "SELECT pg_sleep(60)::text AS v", timeout=0.1)
    assert not raised.value.is_transient
    assert not IndustryDbError("why").is_transient


@pytest.mark.parametrize("database", ["postgresql", "mysql"])
@pytest.mark.parametrize("way", ["append", "insert", "ignore", "block", "replace", "execute"])
def test_a_lost_answer_to_a_commit_is_no_reason_to_repeat(
    request: pytest.FixtureRequest, database: str, way: str
) -> None:
    """If only the answer is lost, the rows are there: the error says so, and is not transient."""
    lost, passes, place = "INSERT INTO lasting" if way == "execute" else "COMMIT", 0, None
    if database == "mysql":
        server = request.getfixturevalue("own_mysql")
        address, place = server.uri.replace(f":{server.port}/", ":{}/") + "?ssl-mode=disabled", server.port
        lost = "RENAME TABLE" if way == "replace" else lost
        passes = 0 if way in {"insert", "ignore"} else 1  # other statements are prepared first
    else:
        address, place = "postgresql://postgres@127.0.0.1:{}/postgres?sslmode=disable", own_socket(request)
        passes = 1 if way == "execute" else 0
    rows = {"id": [1, 2, 3]}
    with relay(place) as whole, industrydb.Connection(address.format(whole.port)) as connection:
        industrydb.write_sql({"id": [0]}, "lasting", connection, if_exists="replace")
        with relay(place, loses=lost, passes=passes) as cut:
            with pytest.raises(DatabaseConnectionError, match="look before you repeat") as raised:
                _write(address.format(cut.port), way, rows)
            assert not raised.value.is_transient
        found = connection.execute("SELECT id FROM lasting ORDER BY id")["id"].to_list()
        assert found == ([1, 2, 3] if way == "replace" else [0, 1, 2, 3])
        connection.execute("DROP TABLE lasting")


def own_socket(request: pytest.FixtureRequest) -> Path:
    """Return the socket of the test's own PostgreSQL."""
    server: Server = request.getfixturevalue("own_server")
    return server.socket


def _write(uri: str, way: str, rows: dict[str, list[int]]) -> None:
    if way == "append":
        industrydb.write_sql(rows, "lasting", uri, if_exists="append")
    elif way == "replace":
        industrydb.write_sql(rows, "lasting", uri, if_exists="replace")
    else:
        with industrydb.Connection(uri) as connection:
            if way in {"insert", "ignore"}:
                connection.insert("lasting", rows, on_conflict="ignore" if way == "ignore" else "error")
                return
            if way == "execute":
                connection.execute("INSERT INTO lasting VALUES (1), (2), (3)")
                return
            with connection.transaction():
                for number in rows["id"]:
                    connection.execute(f"INSERT INTO lasting VALUES ({number})")
