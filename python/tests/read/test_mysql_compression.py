"""`compress=zlib`: MySQL's compressed protocol, against MariaDB, and against a script that also sends wrong bytes."""

import hashlib
import random
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from urllib.parse import quote

import polars as pl
import pytest

import industrydb
from industrydb import ConfigurationError, Connection, DatabaseConnectionError, IndustryDbError, QueryTimeoutError
from tests.kit.mariadb import PASSWORDS, MariaDb, Pymysql, mariadb_server
from tests.kit.mysql_script import COMPRESS, OK, Conversation, error, scripted
from tests.kit.support import eventually


@pytest.fixture(scope="module")
def server() -> Iterator[MariaDb]:
    """Serve MariaDB with packets of up to 64 MiB."""
    with mariadb_server(settings=["--max-allowed-packet=64M"]) as started:
        yield started


WAYS = {"tls": "?compress=zlib&ssl-mode=required", "plain": "?compress=ZLIB&ssl-mode=disabled", "socket": ""}


@pytest.fixture(params=WAYS)
def uri(server: MariaDb, request: pytest.FixtureRequest) -> str:
    """Return a URI that asks for compression, over TLS, TCP, and the Unix socket."""
    if request.param == "socket":
        path = quote(str(server.socket), safe="")
        return f"mysql://root:{quote(PASSWORDS['root'], safe='')}@/test?unix_socket={path}&compress=zlib"
    return server.uri + WAYS[request.param]


STATUS = "SELECT variable_value AS v FROM information_schema.session_status WHERE variable_name = 'Compression'"


def test_compression_is_asked_for(server: MariaDb, uri: str) -> None:
    """The server says that a session is compressed if the URI asks for it, and only then."""
    assert industrydb.read_sql(uri, STATUS).item() == "ON"
    assert industrydb.read_sql(server.uri, STATUS).item() == "OFF"
    assert industrydb.read_sql(f"{server.uri}?compress=none", STATUS).item() == "OFF"


def test_fewer_bytes_are_sent(server: MariaDb) -> None:
    """The server sends a tenth of the bytes for rows that repeat each other."""
    sent = "SELECT variable_value FROM information_schema.session_status WHERE variable_name = 'Bytes_sent'"
    counts = []
    for options in ["", "?compress=zlib"]:
        with Connection(server.uri + options) as connection:
            connection.execute("SELECT seq AS i, repeat('all work ', 20) AS v FROM seq_1_to_20000")
            counts.append(int(connection.execute(sent).item()))
    assert counts[1] * 10 < counts[0]


def test_rows_are_those_of_pymysql(server: MariaDb, uri: str) -> None:
    """Rows of all kinds, in partitions, in batches and on a connection, are those of another driver."""
    generator = random.Random(0)  # noqa: S311, for data
    rows = [
        (
            number,
            None if number % 7 == 0 else generator.randbytes(number % 300),
            "ä" * (number % 90),
            Decimal(number) / 100,
            datetime(2024, 2, 29, 1, 2, 3, number),  # noqa: DTZ001
            generator.random(),
        )
        for number in range(5000)
    ]
    with closing(Pymysql(server.uri)) as other:
        other.execute(
            "CREATE OR REPLACE TABLE kinds (i int PRIMARY KEY, b blob, s varchar(90), d decimal(9,2), t datetime(6), "
            "f double)"
        )
        with other.driver.cursor() as cursor:
            cursor.executemany("INSERT INTO kinds VALUES (%s, %s, %s, %s, %s, %s)", rows)
        expected = other.execute("SELECT * FROM kinds ORDER BY i").fetchall()
    assert expected == rows
    query = "SELECT * FROM kinds ORDER BY i"
    assert industrydb.read_sql(uri, query).rows() == expected
    parts = industrydb.read_sql(uri, "SELECT * FROM kinds", partition_on="i", partitions=3)
    assert sorted(parts.rows()) == sorted(expected)
    batches = pl.concat(industrydb.read_sql_batches(uri, query, batch_size=999))
    assert batches.rows() == expected
    with Connection(uri) as connection:
        assert connection.execute(query).rows() == expected
        assert connection.execute("SELECT s FROM kinds WHERE i = ?", [4]).item() == "ä" * 4


@pytest.mark.parametrize(("way", "size"), [("plain", 49), ("plain", 16_777_208), ("tls", 20_000_000)])
@pytest.mark.parametrize("kind", ["repeated", "random"])
def test_packets_of_any_length(server: MariaDb, way: str, size: int, kind: str) -> None:
    """Long packets, which are several ones in several parts, go to the server and come back."""
    value = random.Random(size).randbytes(size) if kind == "random" else b"ab" * (size // 2)  # noqa: S311, for data
    with Connection(server.uri + WAYS[way]) as connection:
        (row,) = connection.execute("SELECT ? AS v, md5(?) AS m, 7 AS n", [value, value]).rows()
    assert row == (value, hashlib.md5(value).hexdigest(), 7)  # noqa: S324, what the server also has


def test_rows_are_written(server: MariaDb, uri: str) -> None:
    """Rows are loaded from memory, and inserted, as pymysql reads them."""
    generator = random.Random(1)  # noqa: S311, for data
    frame = pl.DataFrame(
        {
            "i": range(50_000),
            "b": [generator.randbytes(number % 40) for number in range(50_000)],
            "s": ["x" * (number % 50) for number in range(50_000)],
        }
    )
    with closing(Pymysql(server.uri)) as other:
        loads = "SHOW GLOBAL STATUS LIKE 'Com_load'"
        before = other.execute(loads).fetchall()
        assert industrydb.write_sql(frame, "written", uri, if_exists="replace") == frame.height
        assert other.execute(loads).fetchall() != before
        assert other.execute("SELECT i, b, s FROM written ORDER BY i").fetchall() == frame.rows()
    with Connection(uri) as connection:
        connection.execute("SET GLOBAL local_infile = 0")
        try:
            assert connection.insert("written", frame.head(5000)) == 5000
        finally:
            connection.execute("SET GLOBAL local_infile = 1")
        assert connection.execute("SELECT count(*) AS n FROM written").item() == 55_000


def test_statements_are_cancelled(uri: str) -> None:
    """A statement that takes too long is ended on the server."""
    mark = "SELECT count(*) FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP(55)%'"
    with pytest.raises(QueryTimeoutError):
        industrydb.read_sql(uri, "SELECT SLEEP(55) AS s", timeout=0.3)
    eventually(lambda: industrydb.read_sql(uri, mark).item() == 0)


def test_other_values_are_refused(server: MariaDb) -> None:
    """Another compression raises, and names what there is."""
    with pytest.raises(ConfigurationError, match=r'compress must be one of \["none", "zlib"\], not "zstd"'):
        industrydb.read_sql(f"{server.uri}?compress=zstd", "SELECT 1 AS a")


# A server by script, whose parts are made by Python's zlib.


def read(port: int) -> None:
    """Read from the script."""
    industrydb.read_sql(f"mysql://ana:x@127.0.0.1:{port}/test?ssl-mode=disabled&compress=zlib", "SELECT 1 AS a")


def logged_in(with_client: Conversation) -> None:
    """Let the client in; all that follows is compressed."""
    with_client.greet("mysql_native_password", offers_compression=True)
    with_client.login()
    assert with_client.capabilities & COMPRESS
    with_client.send(OK)
    with_client.is_compressed = True


def test_statements_are_compressed_if_they_are_long() -> None:
    """Statements come compressed if they have 50 bytes or more; answers are understood however they are cut."""
    talks: list[Conversation] = []

    def script(with_client: Conversation) -> None:
        talks.append(with_client)
        logged_in(with_client)
        while packet := with_client.receive():
            answer = error(1235, "the script has ended") if b"SELECT 1 AS a" in packet else OK
            if b"@@sql_mode" in packet:
                answer = error(1105, "no mode")
            packed = len(answer).to_bytes(3, "little") + b"\1" + answer
            for byte in packed[:3]:
                with_client.send_part(0, bytes([byte]))
            with_client.send_part(0, b"")
            with_client.send_part(len(packed) - 3, zlib.compress(packed[3:]))

    with scripted(script) as port, pytest.raises(IndustryDbError, match="no mode"):
        read(port)
    (settings, unpacked), (mode, plain), (end, plain_too) = talks[0].parts
    assert settings < unpacked
    # This one would be no shorter.
    assert (mode, plain) == (
        5 + len("SELECT @@sql_mode, CONCAT_WS(' ', @@hostname, @@port, @@server_id), @@version"),
        0,
    )
    assert (end, plain_too) == (5, 0)


def test_a_server_without_compression_is_refused() -> None:
    """A server that does not offer compression gets no login if the URI asks for it."""

    def script(with_client: Conversation) -> None:
        with_client.greet("mysql_native_password")
        assert with_client.receive() == b""

    with scripted(script) as port, pytest.raises(DatabaseConnectionError, match="compress=zlib"):
        read(port)


LETTERS = zlib.compress(b"\x60\0\0\1" + b"a" * 96)

WRONG: dict[str, tuple[Callable[[Conversation], None], str]] = {
    "number": (lambda talk: talk.send_part(100, LETTERS, number=9), "part 9 came where 1 was expected"),
    "too long": (lambda talk: talk.send_part(99, LETTERS), "longer than its header says"),
    "too short": (lambda talk: talk.send_part(101, LETTERS), "another length"),
    "false length": (lambda talk: talk.send_part(0xFFFFFF, LETTERS), "another length"),
    "bytes behind": (lambda talk: talk.send_part(100, LETTERS + b"x"), "another length"),
    "cut off": (lambda talk: talk.send_part(100, LETTERS[:-1]), "in the middle"),
    "empty": (lambda talk: talk.send_part(100, b""), "in the middle"),
    "no zlib": (lambda talk: talk.send_part(100, b"a" * 60), "not compressed by zlib"),
    "bad sum": (lambda talk: talk.send_part(100, LETTERS[:-1] + b"!"), "not compressed by zlib"),
    "bomb": (lambda talk: talk.send_part(60, zlib.compress(bytes(0xFFFFFF))), "longer than its header says"),
    "closed": (lambda talk: talk.client.sendall(b"\x50\0\0\1\0"), "closed the connection"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_bytes_are_told(name: str) -> None:
    """Wrong lengths and numbers, streams that are cut off or no zlib, and bombs are errors of the connection."""
    send, why = WRONG[name]

    def script(with_client: Conversation) -> None:
        logged_in(with_client)
        with_client.receive()
        send(with_client)
        if name == "closed":
            with_client.client.close()
        while with_client.receive():
            pass

    with scripted(script) as port, pytest.raises(DatabaseConnectionError, match=why):
        read(port)
