"""Tests of logins to PostgreSQL: passwords, TLS, options, and ports on which no PostgreSQL server answers."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
import pytest

import industrydb
from industrydb import DatabaseConnectionError
from tests.kit.servers import PASSWORDS, Server, free_port, tcp_uri
from tests.kit.support import eventually, sessions, with_options

WHO = "SELECT current_user::text AS who, current_database()::text AS database"


@pytest.mark.parametrize("user", PASSWORDS)
@pytest.mark.parametrize("sslmode", [None, "disable", "prefer"])
def test_passwords_open_a_session(own_server: Server, user: str, sslmode: str | None) -> None:
    """Passwords open a session by SCRAM, by md5 and in clear text, with and without asking for TLS first."""
    uri = tcp_uri(own_server.port, user, PASSWORDS[user])
    if sslmode:
        uri = with_options(uri, sslmode=sslmode)
    assert industrydb.read_sql(uri, WHO).rows() == [(user, "postgres")]


def test_a_password_may_stand_elsewhere(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password may be given in the URI's options or in the environment."""
    password = PASSWORDS["scram_user"]
    uri = tcp_uri(own_server.port, "scram_user", None)
    assert industrydb.read_sql(with_options(uri, password=password), WHO).height == 1
    monkeypatch.setenv("PGPASSWORD", password)
    assert industrydb.read_sql(uri, WHO).height == 1


@pytest.mark.parametrize("user", PASSWORDS)
def test_wrong_passwords_are_refused(own_server: Server, user: str) -> None:
    """A wrong password is refused with PostgreSQL's own code."""
    with pytest.raises(DatabaseConnectionError, match=f'password authentication failed for user "{user}"') as raised:
        industrydb.read_sql(tcp_uri(own_server.port, user, "wrong"), WHO)
    assert raised.value.code == "28P01"


@pytest.mark.parametrize("user", PASSWORDS)
def test_missing_passwords_are_asked_for(own_server: Server, monkeypatch: pytest.MonkeyPatch, user: str) -> None:
    """The error for a missing password says where one may be given."""
    monkeypatch.delenv("PGPASSWORD", raising=False)
    with pytest.raises(DatabaseConnectionError, match=f'password of user "{user}".*PGPASSWORD'):
        industrydb.read_sql(tcp_uri(own_server.port, user, None), WHO)


@pytest.mark.parametrize(
    ("options", "code"),
    [({"dbname": "nowhere"}, "3D000"), ({"user": "stranger"}, "28000"), ({"options": "-c x=1"}, "42704")],
)
def test_logins_that_the_server_refuses(own_server: Server, options: dict[str, str], code: str) -> None:
    """A database, user or setting that does not exist is refused with PostgreSQL's own code."""
    uri = tcp_uri(own_server.port, "md5_user", PASSWORDS["md5_user"])
    with pytest.raises(DatabaseConnectionError) as raised:
        industrydb.read_sql(with_options(uri, **options), WHO)
    assert raised.value.code == code


@pytest.mark.parametrize("sslmode", ["require", "verify-full"])
def test_a_server_without_tls_is_not_trusted(own_server: Server, sslmode: str) -> None:
    """An `sslmode` that requires TLS never sends a password without TLS."""
    uri = with_options(tcp_uri(own_server.port, "cleartext_user", PASSWORDS["cleartext_user"]), sslmode=sslmode)
    with pytest.raises(DatabaseConnectionError, match="TLS"):
        industrydb.read_sql(uri, WHO)


def test_channel_binding_needs_tls(own_server: Server) -> None:
    """A login that must be bound to a TLS channel is not made without one, whatever the server asks for."""
    for user, password in PASSWORDS.items():
        uri = with_options(tcp_uri(own_server.port, user, password), channel_binding="require")
        with pytest.raises(DatabaseConnectionError, match="channel_binding"):
            industrydb.read_sql(uri, WHO)


def test_too_many_sessions(own_server: Server, postgres: psycopg.Connection) -> None:
    """A limit of connections that a partitioned read reaches ends the whole read."""
    postgres.execute("ALTER ROLE scram_user CONNECTION LIMIT 2")
    uri = tcp_uri(own_server.port, "scram_user", PASSWORDS["scram_user"])
    query = "SELECT i FROM generate_series(1, 100) AS i"
    try:
        with pytest.raises(DatabaseConnectionError) as raised:
            industrydb.read_sql(uri, query, partition_on="i", partitions=8)
    finally:
        postgres.execute("ALTER ROLE scram_user CONNECTION LIMIT -1")
    assert raised.value.code == "53300"
    eventually(lambda: not sessions(postgres))


def test_options_reach_the_server(postgres_uri: str) -> None:
    """Options of the URI set the server's settings, and the name in the server's list of sessions."""
    uri = with_options(postgres_uri, application_name="nightly job", options="-c work_mem=7MB -c statement_timeout=1h")
    names = ["application_name", "work_mem", "statement_timeout"]
    query = "SELECT " + ", ".join(f"current_setting('{name}') AS {name}" for name in names)
    assert industrydb.read_sql(uri, query).rows() == [("nightly job", "7MB", "1h")]


def test_a_time_limit_has_an_error_of_its_own(postgres_uri: str) -> None:
    """The server's own time limit for a statement raises `QueryTimeoutError`."""
    uri = with_options(postgres_uri, options="-c statement_timeout=50ms")
    with pytest.raises(industrydb.QueryTimeoutError, match="statement timeout") as raised:
        industrydb.read_sql(uri, "SELECT 1 AS a FROM pg_sleep(60)")
    assert raised.value.code == "57014"


@contextmanager
def listener(answer: bytes | None) -> Iterator[int]:
    """Listen on a port as no PostgreSQL server would: send an answer and hang up, or send nothing at all."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = []

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                held.append(connection)
                if answer is not None:
                    with suppress(OSError):  # the other side may have gone first
                        connection.sendall(answer)
                        connection.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in held:
                connection.close()


@pytest.mark.parametrize("sslmode", ["disable", "prefer", "require"])
@pytest.mark.parametrize(
    "answer",
    [None, b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x28", b"R\0\0\0\x08\0\0\0\x07"],
)
def test_servers_that_are_no_postgresql(answer: bytes | None, sslmode: str) -> None:
    """A port that answers wrongly, hangs up or never answers is a connection error."""
    with listener(answer) as port:
        uri = with_options(tcp_uri(port, "ana", "x"), sslmode=sslmode, connect_timeout="1")
        with pytest.raises(DatabaseConnectionError):
            industrydb.read_sql(uri, WHO)


def test_nobody_listens() -> None:
    """The error names the port, socket folder or host at which no server listens."""
    port = free_port()
    with pytest.raises(DatabaseConnectionError, match=f"127\\.0\\.0\\.1:{port}"):
        industrydb.read_sql(tcp_uri(port, "ana", "x"), WHO)
    with pytest.raises(DatabaseConnectionError, match="/nowhere"):
        industrydb.read_sql("postgresql://ana@/db?host=/nowhere", WHO)
    with pytest.raises(DatabaseConnectionError, match=r"nowhere\.invalid"):
        industrydb.read_sql("postgresql://ana@nowhere.invalid/db", WHO)
