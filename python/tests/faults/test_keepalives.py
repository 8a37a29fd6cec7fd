"""Tests of TCP keepalives, by which a peer that is gone without a word is noticed, with the options of libpq."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import psycopg
import pytest

import industrydb
from tests.kit.servers import PASSWORDS, Server, tcp_uri
from tests.kit.sql_server import port_of
from tests.kit.support import with_options

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for sockets in /proc/self/fd")

# Whether keepalives are on, the idle time before the first, the interval (both in seconds), and how many may fail.
SETTINGS = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPIDLE", 0)),
    (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPINTVL", 0)),
    (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPCNT", 0)),
)


def keepalives(port: int) -> Iterator[list[int]]:
    """Yield the keepalive settings of each connection of this process to a port."""
    for path in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if not str(path.readlink()).startswith("socket:"):
                continue
            with closing(socket.socket(fileno=os.dup(int(path.name)))) as connection:
                if connection.family == socket.AF_INET and connection.getpeername()[1] == port:
                    yield [connection.getsockopt(*setting) for setting in SETTINGS]


def uri_of(server: Server, **options: str) -> str:
    """Return the URI of a server over TCP."""
    return with_options(tcp_uri(server.port, "md5_user", PASSWORDS["md5_user"]), **options)


@pytest.mark.parametrize(
    "options",
    [
        {"keepalives": "0"},
        {"keepalives": "0", "keepalives_idle": "7"},
        {"keepalives": "1", "keepalives_idle": "31", "keepalives_interval": "7", "keepalives_count": "3"},
        {"keepalives": "2", "keepalives_idle": "32767", "keepalives_interval": "32767", "keepalives_count": "127"},
    ],
    ids=lambda options: " ".join(f"{name}={value}" for name, value in options.items()),
)
def test_options_are_libpqs(own_server: Server, options: dict[str, str]) -> None:
    """The keepalive options of a URI have the same effect as in psycopg, which uses libpq."""
    uri = uri_of(own_server, **options)
    with psycopg.connect(uri):
        [expected] = keepalives(own_server.port)
    with industrydb.Connection.from_uri(uri):
        assert list(keepalives(own_server.port)) == [expected]


def test_zeros_are_the_systems_own(own_server: Server) -> None:
    """Zeros leave the system's defaults, as libpq's documentation says; its code sets zeros, which Linux refuses."""
    with psycopg.connect(uri_of(own_server)):
        [expected] = keepalives(own_server.port)
    zeros = {"keepalives_idle": "0", "keepalives_interval": "0", "keepalives_count": "0"}
    with industrydb.Connection.from_uri(uri_of(own_server, **zeros)):
        assert list(keepalives(own_server.port)) == [expected]


def test_they_are_on_in_each_session(own_server: Server) -> None:
    """Each session sends keepalives after 60 s, every 10 s, 6 times; the system's default would wait for two hours."""
    query = "SELECT i FROM generate_series(1, 100000) AS i"
    expected = [1, 60, 10, 6]
    with industrydb.Connection.from_uri(uri_of(own_server)):
        assert list(keepalives(own_server.port)) == [expected]
    batches = industrydb.read_sql_batches(uri_of(own_server), query, partition_on="i", partitions=3, batch_size=100)
    with closing(batches):
        next(batches)
        assert list(keepalives(own_server.port)) == [expected] * 3


def test_sql_servers_driver_has_them_on(own_mssql_uri: str) -> None:
    """Sessions on SQL Server send keepalives after 30 s and every second, as Microsoft's drivers do."""
    with industrydb.Connection.from_uri(own_mssql_uri):
        [settings] = keepalives(port_of(own_mssql_uri))
    assert settings[:3] == [1, 30, 1]
