"""Tests of fake servers: their answers take bounded memory and time, and put no control codes on a terminal."""

import base64
import logging
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psycopg
import pytest

import industrydb
from industrydb import ConfigurationError, DatabaseConnectionError, IndustryDbError
from tests.kit.servers import tcp_uri
from tests.kit.support import SqliteFile, with_options

AUTHENTICATION_OK = b"R\0\0\0\x08\0\0\0\0"
READY = b"Z\0\0\0\5I"
# Bytes: more than the buffers of sockets hold, and less than a machine's memory.
PLENTY = 64 << 20
QUERY = "SELECT 1 AS one"


class FakeServer:
    """A server that counts its connections, and the bytes that clients have taken."""

    def __init__(self, serve: "Callable[[FakeServer, socket.socket], None]") -> None:
        """Listen; each connection is served in a thread."""
        self.sent = 0
        self.connections = 0
        self._serve = serve
        self._ends: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):  # closing the listener ends it
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                self._ends.append(client)
                self._threads.append(threading.Thread(target=self._talk, args=(client,)))
                self._threads[-1].start()

    def _talk(self, client: socket.socket) -> None:
        with suppress(OSError):
            self._serve(self, client)

    def send(self, client: socket.socket, data: bytes) -> None:
        """Send data to a client, and count it."""
        client.sendall(data)
        self.sent += len(data)

    def close(self) -> None:
        """Close all connections, and wait for the threads."""
        for end in (self._listener, *self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in (self._listener, *self._ends):
            end.close()


@contextmanager
def serving(serve: Callable[[FakeServer, socket.socket], None]) -> Iterator[FakeServer]:
    """Serve until the end of the block."""
    server = FakeServer(serve)
    try:
        yield server
    finally:
        server.close()


def message(tag: bytes, body: bytes) -> bytes:
    """Return a message of PostgreSQL's protocol."""
    return tag + struct.pack("!i", len(body) + 4) + body


def uri_of(server: FakeServer, **options: str) -> str:
    """Return the URI of a fake server, without TLS unless the options ask for it."""
    return with_options(tcp_uri(server.port, "ana", "x"), **{"sslmode": "disable", "connect_timeout": "30", **options})


def packet(client: socket.socket) -> bytes:
    """Receive a startup packet, which has no tag; return its body."""
    (length,) = struct.unpack("!i", client.recv(4, socket.MSG_WAITALL))
    return client.recv(length - 4, socket.MSG_WAITALL)


@pytest.mark.parametrize("tag", [b"R", b"E", b"N", b"S", b"K", b"v"])
@pytest.mark.parametrize("length", [0x7FFFFFFF, 1 << 20])
def test_messages_of_a_login_are_short(tag: bytes, length: int) -> None:
    """A login message whose header announces a great length is refused before the body is received."""

    def serve(server: FakeServer, client: socket.socket) -> None:
        packet(client)
        server.send(client, tag + struct.pack("!i", length))
        while server.sent < PLENTY:
            server.send(client, bytes(1 << 16))

    with serving(serve) as server:
        with pytest.raises(DatabaseConnectionError, match=f"message of {length - 4} bytes"):
            industrydb.read_sql(uri_of(server), QUERY)
        assert server.sent < PLENTY // 2


@pytest.mark.parametrize("has_let_in", [False, True])
def test_a_login_is_short(has_let_in: bool) -> None:  # noqa: FBT001
    """A login of endless short messages is refused, before and after the password is accepted."""

    def serve(server: FakeServer, client: socket.socket) -> None:
        packet(client)
        server.send(client, AUTHENTICATION_OK if has_let_in else b"")
        number = 0
        while server.sent < PLENTY:
            server.send(client, message(b"S", b"setting %d\0%s\0" % (number, b"x" * 4000)))
            number += 1

    with serving(serve) as server:
        with pytest.raises(DatabaseConnectionError, match="has not let us in"):
            industrydb.read_sql(uri_of(server), QUERY)
        assert server.sent < PLENTY // 2


@pytest.mark.parametrize("rounds", [2147483647, 100_001])
def test_a_password_is_hashed_a_bounded_number_of_times(rounds: int) -> None:
    """A SCRAM challenge with too many rounds, which could keep the machine busy for an hour, is refused."""

    def serve(server: FakeServer, client: socket.socket) -> None:
        packet(client)
        server.send(client, message(b"R", struct.pack("!i", 10) + b"SCRAM-SHA-256\0\0"))
        first = client.recv(1 << 16)
        nonce = first.rsplit(b"r=", 1)[1]
        challenge = b"r=%sx,s=%s,i=%d" % (nonce, base64.b64encode(bytes(16)), rounds)
        server.send(client, message(b"R", struct.pack("!i", 11) + challenge))
        client.recv(1)

    with (
        serving(serve) as server,
        pytest.raises(DatabaseConnectionError, match=rf"{rounds} rounds of hashing.*scram_iterations"),
    ):
        industrydb.read_sql(uri_of(server), QUERY)


def test_who_wants_a_bound_login_proves_nothing_to_others() -> None:
    """With `channel_binding=require`, a server without binding gets no proof of the password to test guesses on."""
    received = []

    def serve(server: FakeServer, client: socket.socket) -> None:
        packet(client)
        server.send(client, message(b"R", struct.pack("!i", 10) + b"SCRAM-SHA-256\0\0"))
        received.append(client.recv(1 << 16))

    with serving(serve) as server, pytest.raises(DatabaseConnectionError, match="channel_binding=require"):
        industrydb.read_sql(uri_of(server, channel_binding="require"), QUERY)
    assert received in ([], [b""], [message(b"X", b"")])


def test_a_handshake_that_breaks_off_is_tried_again() -> None:
    """A TLS handshake that breaks off is tried again, unlike a wrong certificate."""

    def serve(_: FakeServer, client: socket.socket) -> None:
        client.recv(8, socket.MSG_WAITALL)
        client.sendall(b"S")
        client.recv(5, socket.MSG_WAITALL)  # the client's first record
        client.sendall(b"\x16\x03\x03\x00\x7a\x02")  # a part of the answer
        client.shutdown(socket.SHUT_WR)
        while client.recv(1 << 16):
            pass

    with serving(serve) as server:
        with pytest.raises(DatabaseConnectionError) as raised:
            industrydb.read_sql(uri_of(server, sslmode="require", connect_retries="2"), QUERY)
        assert server.connections == 3
    assert raised.value.is_transient


@pytest.mark.parametrize(
    ("told", "is_transient"),
    [
        ("no more connections allowed (max_client_conn)", True),
        ("query_wait_timeout", True),
        ("server login has been failing, try again later (server_login_retry)", True),
        ("SASL authentication failed", False),
        ("password authentication failed", False),
        ("login rejected", False),
        ("no such database: x", False),
        ("unsupported startup parameter: options", False),
    ],
)
def test_a_pooler_says_all_by_one_code(told: str, is_transient: bool) -> None:  # noqa: FBT001
    """A pooler's errors, all of one code, are told apart by their text; a refused login is tried once."""

    def serve(server: FakeServer, client: socket.socket) -> None:
        packet(client)
        server.send(client, message(b"E", b"SFATAL\0VFATAL\0C08P01\0M" + told.encode() + b"\0\0"))

    with serving(serve) as server:
        with pytest.raises(DatabaseConnectionError, match=re.escape(told)) as raised:
            industrydb.read_sql(uri_of(server, connect_retries="2"), QUERY)
        assert server.connections == (3 if is_transient else 1)
    assert raised.value.is_transient == is_transient


def test_nobody_is_let_in_without_a_verdict() -> None:
    """A server that sends no verdict on the login is refused, since it would skip the channel binding too."""

    def serve(server: FakeServer, client: socket.socket) -> None:
        packet(client)
        server.send(client, READY)
        client.recv(1)

    with serving(serve) as server, pytest.raises(DatabaseConnectionError, match="verdict on the login"):
        industrydb.read_sql(uri_of(server, channel_binding="require"), QUERY)


def test_connect_timeout_is_for_all_attempts() -> None:
    """`connect_timeout` limits all attempts: after a TLS handshake that times out, none without TLS follows."""

    def serve(server: FakeServer, client: socket.socket) -> None:
        packet(client)
        server.send(client, b"S")
        while client.recv(1 << 16):
            pass

    with serving(serve) as server:
        with pytest.raises(DatabaseConnectionError, match="in time"):
            industrydb.read_sql(uri_of(server, sslmode="prefer", connect_timeout="1"), QUERY)
        assert server.connections == 1


def logged_in(server: FakeServer, client: socket.socket) -> None:
    """Accept the login of a client."""
    packet(client)
    parameters = message(b"S", b"server_version\x0018.0\0") + message(b"S", b"client_encoding\0UTF8\0")
    server.send(client, AUTHENTICATION_OK + parameters + READY)


@pytest.mark.parametrize("unit", [b"", b"x" * 100_000], ids=["many rows", "long rows"])
def test_answers_to_our_own_questions_are_bounded(unit: bytes) -> None:
    """Answers to the library's own queries, such as whether a table exists, are limited to 128 MiB."""
    row = message(b"D", struct.pack("!h", 1) + struct.pack("!i", len(unit)) + unit)
    rows = row * max(1, 100_000 // len(row))

    def serve(server: FakeServer, client: socket.socket) -> None:
        logged_in(server, client)
        while server.sent < 1 << 30:
            server.send(client, rows)

    with serving(serve) as server:
        with pytest.raises(DatabaseConnectionError, match="longer than 128 MiB"):
            industrydb.write_sql({"a": [1]}, "t", uri_of(server))
        assert server.sent < 1 << 29


def test_one_long_answer_is_bounded() -> None:
    """A single message of such an answer is refused by its header if it announces a great length."""

    def serve(server: FakeServer, client: socket.socket) -> None:
        logged_in(server, client)
        server.send(client, b"D" + struct.pack("!i", 0x7FFFFFFF))
        while server.sent < PLENTY:
            server.send(client, bytes(1 << 16))

    with serving(serve) as server:
        with pytest.raises(DatabaseConnectionError, match="message of 2147483643 bytes"):
            industrydb.write_sql({"a": [1]}, "t", uri_of(server))
        assert server.sent < PLENTY // 2


def tds_packet(payload: bytes, *, is_last: bool) -> bytes:
    """Return a packet of SQL Server's protocol with a part of an answer."""
    return struct.pack("!BBHHBB", 4, int(is_last), len(payload) + 8, 0, 1, 0) + payload


# The PRELOGIN answer: a version, and that there is no encryption.
PRELOGIN = b"\0\0\x0b\0\6\1\0\x11\0\1\xff" + b"\x0f\0\0\0\0\0" + b"\2"
INFO = struct.pack("<IBBH", 5701, 1, 0, 1000) + "x".encode("utf-16-le") * 1000 + b"\0\0" + struct.pack("<I", 1)
INFO = b"\xab" + struct.pack("<H", len(INFO)) + INFO


@pytest.mark.parametrize("greets", [False, True])
@pytest.mark.parametrize("unit", [b"", tds_packet(INFO, is_last=False)], ids=["silence", "endless words"])
def test_a_login_to_sql_server_ends_in_time(greets: bool, unit: bytes) -> None:  # noqa: FBT001
    """`connect_timeout` limits the whole login to SQL Server, whatever the server sends meanwhile."""

    def serve(server: FakeServer, client: socket.socket) -> None:
        client.recv(1 << 16)
        if greets:
            server.send(client, tds_packet(PRELOGIN, is_last=True))
            client.recv(1 << 16)
        while unit:
            server.send(client, unit)
        while client.recv(1 << 16):
            pass

    with serving(serve) as server:
        uri = f"mssql://sa:x@127.0.0.1:{server.port}/master?encrypt=false&connect_timeout=1"
        with pytest.raises(DatabaseConnectionError, match="cannot connect to the SQL Server"):
            industrydb.read_sql(uri, QUERY)
        assert server.connections == 1


# Control codes that clear a terminal, write in red, ring, return to the line's start, and reverse the text.
COMMANDS = "a\x1b[2J\x1b[31mb\x07\rc\x9b0m\u202ed"
SHOWN = r"a\x1b[2J\x1b[31mb\x07\x0dc\x9b0m\u202ed"


def test_a_servers_words_before_the_login_are_printable() -> None:
    """Control codes in a server's error before the login are escaped."""

    def serve(server: FakeServer, client: socket.socket) -> None:
        packet(client)
        fields = {b"S": b"FATAL", b"V": b"FATAL", b"C": b"\x1b[1m", b"M": COMMANDS.encode(), b"D": COMMANDS.encode()}
        server.send(client, message(b"E", b"".join(tag + text + b"\0" for tag, text in fields.items()) + b"\0"))

    with serving(serve) as server, pytest.raises(DatabaseConnectionError) as raised:
        industrydb.read_sql(uri_of(server), QUERY)
    assert str(raised.value) == f"{SHOWN} [\\x1b[1m]\nDETAIL: {SHOWN}"
    assert raised.value.code == r"\x1b[1m"


def test_postgresqls_words_are_printable(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """Control codes in an error of PostgreSQL are escaped; line breaks stay."""
    literal = postgres.execute("SELECT quote_literal(%s)", [COMMANDS]).fetchone()
    assert literal is not None
    raising = f"DO $$ BEGIN RAISE EXCEPTION USING MESSAGE = {literal[0]}, HINT = 'two\nlines'; END $$"
    with (
        industrydb.Connection.from_uri(postgres_uri) as connection,
        pytest.raises(industrydb.QueryExecutionError) as raised,
    ):
        connection.execute(raising)
    assert str(raised.value).startswith(f"{SHOWN} [P0001]\nHINT: two\nlines")


def test_sqlites_words_are_printable(sqlite_file: SqliteFile) -> None:
    """Control codes in an error of SQLite are escaped: a file may have triggers and names made by others."""
    sqlite_file.execute("CREATE TABLE t (a)")
    sqlite_file.execute(f"CREATE TRIGGER r BEFORE INSERT ON t BEGIN SELECT raise(ABORT, '{COMMANDS}'); END")
    with industrydb.Connection.from_uri(sqlite_file.uri) as connection, pytest.raises(IndustryDbError) as raised:
        connection.execute("INSERT INTO t VALUES (1)")
    assert SHOWN in str(raised.value)


def test_sql_servers_words_are_printable(mssql_uri: str) -> None:
    """Control codes in an error of SQL Server are escaped."""
    with (
        industrydb.Connection.from_uri(mssql_uri) as connection,
        pytest.raises(industrydb.QueryExecutionError) as raised,
    ):
        connection.execute(f"THROW 50001, '{COMMANDS}', 1")
    assert str(raised.value).startswith(f"{SHOWN} (class 16, state 1")


def test_what_is_logged_is_printable(caplog: pytest.LogCaptureFixture) -> None:
    """Control codes in log messages are escaped."""

    def serve(server: FakeServer, client: socket.socket) -> None:
        packet(client)
        server.send(client, message(b"E", b"C57P03\0M%s\0\0" % COMMANDS.encode()))

    with serving(serve) as server, caplog.at_level(logging.DEBUG), pytest.raises(DatabaseConnectionError):
        industrydb.read_sql(uri_of(server, connect_retries="1"), QUERY)
    [record] = [record for record in caplog.records if "connecting again" in record.getMessage()]
    assert SHOWN in record.getMessage()


def test_options_that_are_no_numbers_are_refused() -> None:
    """An option that must be a number is refused by a message that says the valid range."""
    with pytest.raises(
        ConfigurationError, match=r"keepalives_idle must be a whole number from 0 to 32767, not \"soon\""
    ):
        industrydb.read_sql("postgresql://ana@nowhere.invalid/db?keepalives_idle=soon", QUERY)
