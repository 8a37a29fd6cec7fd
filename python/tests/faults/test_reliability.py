"""Tests of servers that are silent, slow, gone or hostile: a typed error in time, and nothing left behind."""

import asyncio
import logging
import multiprocessing
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

import industrydb
from industrydb import (
    ConfigurationError,
    Connection,
    DatabaseConnectionError,
    IndustryDbError,
    QueryExecutionError,
    QueryTimeoutError,
)
from tests.kit.databases import Database, Feature
from tests.kit.relay import relay
from tests.kit.servers import Server, postgres_server, tcp_uri
from tests.kit.sql_server import port_of
from tests.kit.support import PATIENCE_S, SqliteFile, eventually, sessions, with_options

SOON_S = 0.3


@contextmanager
def answering(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serve each client by a function in a thread; yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        clients: list[socket.socket] = []

        def serve() -> None:
            with suppress(OSError):  # closing the listener ends it
                while True:
                    client, _ = listener.accept()
                    clients.append(client)
                    threading.Thread(target=talk_to, args=(client,), daemon=True).start()

        def talk_to(client: socket.socket) -> None:
            with suppress(OSError):  # the client may have gone
                talk(client)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        for client in clients:
            client.close()


def silence(client: socket.socket) -> None:
    """Receive everything, and send nothing."""
    while client.recv(1 << 16):
        pass


def trickle(client: socket.socket) -> None:
    """Announce a message as long as a login may have, and send its bytes one by one, with pauses."""
    client.recv(1 << 16)
    client.sendall(b"R\x00\x00\x7f\x00")
    while True:
        client.sendall(b"\0")
        threading.Event().wait(SOON_S / 3)


URIS = ["postgresql://ana@127.0.0.1:{}/db?sslmode=disable", "mssql://ana:x@127.0.0.1:{}/db?encrypt=false"]


@pytest.mark.parametrize(
    ("uri", "talk"),
    [
        *((uri, talk) for uri in URIS for talk in (silence, trickle)),
        ("postgresql://ana@127.0.0.1:{}/db?sslmode=require", silence),
    ],
)
def test_a_timeout_ends_the_wait_for_a_login(uri: str, talk: Callable[[socket.socket], None]) -> None:
    """`timeout` ends the wait for a login long before `connect_timeout` would."""
    with answering(talk) as port, pytest.raises(QueryTimeoutError, match=r"timeout of 0\.3 s"):
        industrydb.read_sql(uri.format(port), "SELECT 1 AS one", timeout=SOON_S)


def tls_trickle(client: socket.socket) -> None:
    """Agree to TLS, announce a record, and send its bytes one by one, with pauses."""
    client.recv(8)
    client.sendall(b"S")
    client.recv(1 << 16)
    client.sendall(b"\x16\x03\x03\x40\x00")
    while True:
        client.sendall(b"\0")
        threading.Event().wait(SOON_S / 10)


@pytest.mark.parametrize("timeout", [SOON_S, PATIENCE_S])
def test_a_timeout_ends_a_handshake_that_creeps(timeout: float) -> None:
    """`timeout` or `connect_timeout` ends a slow TLS handshake, where OpenSSL would wait for the whole record."""
    uri = "postgresql://a@127.0.0.1:{}/db?sslmode=require&connect_timeout=1"
    with answering(tls_trickle) as port, pytest.raises(IndustryDbError) as raised:
        industrydb.read_sql(uri.format(port), "SELECT 1", timeout=timeout)
    expected = QueryTimeoutError if timeout == SOON_S else DatabaseConnectionError
    assert type(raised.value) is expected


def test_a_timeout_ends_the_sending_of_a_statement() -> None:
    """`timeout` ends the sending of a statement to a server that receives no more."""

    def stop_reading(client: socket.socket) -> None:
        client.recv(1 << 16)
        client.sendall(LOGGED_IN)
        threading.Event().wait(PATIENCE_S)

    long = f"SELECT 1 -- {'x' * 30_000_000}"
    with answering(stop_reading) as port, pytest.raises(QueryTimeoutError):
        industrydb.read_sql(relayed(port), long, timeout=SOON_S, snapshot=False)


def test_a_pipe_is_no_certificate(tmp_path: Path) -> None:
    """A named pipe is refused as a certificate, since a read of it could wait without an end."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for option in ("sslmode=require&sslrootcert", f"sslmode=require&sslkey={pipe}&sslcert"):
        with answering(tls_trickle) as port, pytest.raises(ConfigurationError, match="no file"):
            industrydb.read_sql(f"postgresql://a@127.0.0.1:{port}/db?{option}={pipe}", "SELECT 1")


FORKED = """
import os, sys, threading
import industrydb
connection = industrydb.Connection(sys.argv[1])
watcher = industrydb.Connection(sys.argv[1])
thread = threading.Thread(target=connection.execute, args=("SELECT pg_sleep(1)",))
thread.start()
napping = "SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
while watcher.execute(napping).item() == 0:
    pass
if os.fork() == 0:
    try:
        connection.execute("SELECT 1 AS a")
    except industrydb.ConnectionClosedError:
        os._exit(7)
    os._exit(8)
print(os.waitstatus_to_exitcode(os.wait()[1]))
thread.join()
"""


def test_a_forked_process_does_not_wait_for_a_thread_that_it_has_not(postgres_uri: str) -> None:
    """A forked process gets an error from a connection that another thread of its parent was using."""
    printed = subprocess.check_output([sys.executable, "-c", FORKED, postgres_uri], text=True, timeout=PATIENCE_S)
    assert printed == "7\n"


FORKED_FROM_A_READER = """
import os, sys, warnings
import industrydb
warnings.simplefilter("ignore")  # of forks of processes with threads
uri, other, attach = sys.argv[1:]

def in_a_fork(uri, **options):
    process = os.fork()
    if process:
        return os.waitstatus_to_exitcode(os.wait()[1])
    try:
        height = industrydb.read_sql(uri, "SELECT * FROM t", **options).height
    except industrydb.DatabaseConnectionError as error:
        os._exit(7 if "forked" in str(error) else 8)
    os._exit(0 if height == 1000 else 9)

print(in_a_fork(uri))
batches = industrydb.read_sql_batches(uri, "SELECT * FROM t", batch_size=1)
next(batches)
print(in_a_fork(uri), in_a_fork(other), in_a_fork(other, pre_execution_query=attach))
batches.close()
with industrydb.Connection(uri):
    print(in_a_fork(uri), in_a_fork(other))
print(in_a_fork(uri))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_process_that_was_forked_during_a_read_of_a_file_gets_an_error(tmp_path: Path, mode: str) -> None:
    """A process forked while its parent has an SQLite file open cannot read that file, but any other one."""
    uris = []
    for name in ("held", "other"):
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT i FROM n"
            connection.executescript(f"PRAGMA journal_mode = {mode}; CREATE TABLE t AS {rows}")
        uris.append(f"sqlite://{tmp_path / name}")
    attach = f"ATTACH '{tmp_path / 'held'}' AS held"
    command = [sys.executable, "-c", FORKED_FROM_A_READER, *uris, attach]
    printed = subprocess.check_output(command, text=True, timeout=PATIENCE_S)
    assert printed.splitlines() == ["0", "7 0 7", "7 0", "0"]


@contextmanager
def unanswered() -> Iterator[int]:
    """Yield a port whose connections are neither accepted nor refused."""
    with socket.socket() as listener, ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):  # the queue is full with fewer
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.mark.parametrize("uri", URIS)
def test_a_timeout_ends_an_attempt_to_connect(uri: str) -> None:
    """`timeout` ends an attempt to connect that the system itself would go on with."""
    with unanswered() as port, pytest.raises(QueryTimeoutError):
        industrydb.read_sql(uri.format(port), "SELECT 1 AS one", timeout=timedelta(seconds=SOON_S))


@pytest.mark.parametrize(
    "query",
    ["SELECT pg_sleep(60)", "SELECT count(*) FROM held", "SELECT max(i) FROM generate_series(1, 1e12::int8) AS i"],
)
@pytest.mark.parametrize("split", [{}, {"snapshot": False}])
def test_a_timeout_ends_a_statement_on_the_server(
    postgres: psycopg.Connection, postgres_uri: str, query: str, split: dict[str, Any]
) -> None:
    """`timeout` ends a statement on the server, working or waiting; the session ends, and the next call works."""
    uri = with_options(postgres_uri, application_name="limited")
    postgres.execute("CREATE TABLE IF NOT EXISTS held (a int)")
    with psycopg.connect(postgres_uri) as blocker:
        blocker.execute("LOCK TABLE held")
        with pytest.raises(QueryTimeoutError) as raised:
            industrydb.read_sql(uri, [query, query], timeout=SOON_S, **split)
    assert raised.value.code is None
    eventually(lambda: not sessions(postgres, "limited"))
    assert industrydb.read_sql(uri, "SELECT 1 AS one", timeout=PATIENCE_S).item() == 1
    postgres.execute("DROP TABLE held")


def test_the_servers_own_limit_is_told_as_such(postgres_uri: str) -> None:
    """The server's own statement timeout is reported by its code and message."""
    uri = with_options(postgres_uri, options="-c statement_timeout=50")
    with pytest.raises(QueryTimeoutError, match="statement timeout") as raised:
        industrydb.read_sql(uri, "SELECT pg_sleep(60)", timeout=PATIENCE_S)
    assert raised.value.code == "57014"


NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 9999)"
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) AS i FROM n"


def test_a_timeout_ends_sqlite(sqlite_file: SqliteFile) -> None:
    """`timeout` ends a read of SQLite in the middle of a statement, and while it waits for a lock."""
    with pytest.raises(QueryTimeoutError):
        industrydb.read_sql(sqlite_file.uri, ENDLESS, timeout=SOON_S)
    sqlite_file.execute("CREATE TABLE t (a)")
    with Connection(sqlite_file.uri) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(QueryTimeoutError):
            industrydb.read_sql(sqlite_file.uri, "SELECT * FROM t", timeout=SOON_S)
    assert industrydb.read_sql(sqlite_file.uri, "SELECT * FROM t", timeout=PATIENCE_S).height == 0


def test_a_plan_keeps_its_timeout(postgres_uri: str) -> None:
    """The `timeout` of a plan limits each read of the plan."""
    plan = industrydb.plan_sql(postgres_uri, "SELECT 1 AS one, pg_sleep(60)::text AS nap", timeout=SOON_S)
    with pytest.raises(QueryTimeoutError):
        plan.read()


@pytest.mark.parametrize("timeout", [1e-9, timedelta.resolution])
def test_the_shortest_timeouts_are_over_at_once(postgres_uri: str, timeout: float | timedelta) -> None:
    """The shortest timeouts end a call at once."""
    with pytest.raises(QueryTimeoutError):
        industrydb.read_sql(postgres_uri, "SELECT pg_sleep(60)", timeout=timeout)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), 1e300, timedelta(0)])
def test_wrong_timeouts_are_refused(timeout: float) -> None:
    """Wrong timeouts are refused before anything else is done."""
    with pytest.raises(ConfigurationError, match="timeout must be"):
        industrydb.read_sql("postgresql://127.0.0.1:1/db", "SELECT 1", timeout=timeout)


def test_connecting_is_tried_again_if_asked_for(own_server: Server) -> None:
    """Connecting is tried again as often as `connect_retries` says, and no more."""
    for turned_away, retries, works in ((2, 2, True), (2, 1, False), (1, 0, False)):
        with relay(own_server.socket, turned_away=turned_away) as late:
            uri = f"postgresql://postgres@127.0.0.1:{late.port}/postgres?sslmode=disable&connect_retries={retries}"
            if works:
                assert industrydb.read_sql(uri, "SELECT 1 AS one").item() == 1
            else:
                with pytest.raises(DatabaseConnectionError):
                    industrydb.read_sql(uri, "SELECT 1 AS one")


def test_connecting_to_sql_server_is_tried_again(own_mssql_uri: str) -> None:
    """Connecting to SQL Server is tried again as often as `connect_retries` says, and no more."""
    port = port_of(own_mssql_uri)
    for retries, works in ((2, True), (1, False)):
        with relay(port, turned_away=2) as late:
            uri = with_options(own_mssql_uri.replace(str(port), str(late.port)), connect_retries=str(retries))
            if works:
                assert industrydb.read_sql(uri, "SELECT 1 AS one").item() == 1
            else:
                with pytest.raises(DatabaseConnectionError):
                    industrydb.read_sql(uri, "SELECT 1 AS one")


def test_wrong_passwords_are_not_tried_again(own_server: Server, postgres: psycopg.Connection) -> None:
    """A wrong password is tried once, since more attempts could lock an account."""
    with relay(own_server.port) as counted:
        uri = tcp_uri(counted.port, "scram_user", "wrong") + "?sslmode=disable&connect_retries=5"
        with pytest.raises(DatabaseConnectionError) as raised:
            industrydb.read_sql(uri, "SELECT 1")
        assert raised.value.code == "28P01"
        assert counted.asked.count(b"SCRAM-SHA-256\0") == 1
    assert postgres.execute("SELECT 1").fetchone() == (1,)


def test_a_password_file_is_looked_into(
    own_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A password file is used unless other users may read it."""
    path = tmp_path / "passwords"
    path.write_bytes(
        b"\xef\xbb\xbf# gr\xfc\xdfe\n" + f"127.0.0.1:{own_server.port}:*:scram_user:s@c\\:r/e?t#1%\n".encode()
    )
    monkeypatch.delenv("PGPASSWORD", raising=False)
    monkeypatch.setenv("PGPASSFILE", str(path))
    uri = tcp_uri(own_server.port, "scram_user", None)
    path.chmod(0o644)
    with pytest.raises(DatabaseConnectionError, match="nor a password file"):
        industrydb.read_sql(uri, "SELECT 1")
    assert "is ignored" in caplog.text
    path.chmod(0o600)
    assert industrydb.read_sql(uri, "SELECT 1 AS one").item() == 1


def test_roles_that_may_not_come_in_are_told_why(own_server: Server, postgres: psycopg.Connection) -> None:
    """A role that `pg_hba.conf` does not mention, and one with too many connections, get the server's reason."""
    postgres.execute("CREATE ROLE unmentioned LOGIN PASSWORD 'x'")
    with pytest.raises(DatabaseConnectionError, match=r"no pg_hba\.conf entry") as raised:
        industrydb.read_sql(tcp_uri(own_server.port, "unmentioned", "x"), "SELECT 1")
    assert raised.value.code == "28000"
    postgres.execute("ALTER ROLE scram_user CONNECTION LIMIT 2")
    uri = with_options(own_server.uri, user="scram_user", application_name="crowd")
    query = "SELECT i FROM generate_series(1, 1000) AS i"
    with pytest.raises(DatabaseConnectionError, match="too many connections") as raised:
        industrydb.read_sql(uri, query, partition_on="i", partitions=8)
    assert raised.value.code == "53300"
    eventually(lambda: not sessions(postgres, "crowd"))
    postgres.execute("ALTER ROLE scram_user CONNECTION LIMIT -1; DROP ROLE unmentioned")
    assert industrydb.read_sql(uri, query, partition_on="i", partitions=8).height == 1000


ROWS = "SELECT i, 'row ' || i AS v FROM generate_series(1, 3000) AS i"


def test_a_connection_may_break_anywhere(own_server: Server) -> None:
    """A connection that breaks at any of hundreds of places is an error, also in one partition of several."""
    chance = random.Random(20)  # noqa: S311, a schedule and no secret
    with relay(own_server.socket) as whole:
        assert industrydb.read_sql(relayed(whole.port), ROWS).height == 3000
    for place in sorted(chance.sample(range(whole.answered), 200)):
        with relay(own_server.socket, cut_after=place) as broken, pytest.raises(DatabaseConnectionError):
            industrydb.read_sql(relayed(broken.port), ROWS)
    for place in sorted(chance.sample(range(2000, whole.answered // 4), 30)):
        with relay(own_server.socket, cut_after=place) as broken, pytest.raises(DatabaseConnectionError):
            industrydb.read_sql(relayed(broken.port), ROWS, partition_on="i", partitions=3)


@pytest.mark.parametrize("piece", [1, 2, 3, 5, 1000])
def test_answers_may_come_in_pieces(own_server: Server, piece: int) -> None:
    """Answers in pieces of any size, in the login and in the rows, are read completely."""
    with relay(own_server.socket, piece=piece) as dripping:
        frame = industrydb.read_sql(relayed(dripping.port), ROWS.replace("3000", "50"), partition_on="i", partitions=2)
    assert frame.rows() == [(i, f"row {i}") for i in range(1, 51)]


def relayed(port: int) -> str:
    """Return the URI of a relay."""
    return f"postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable"


def test_a_server_that_is_killed() -> None:
    """If SIGKILL ends a session's server process, the read fails; once the server is back, the next call works."""
    with postgres_server() as server, ThreadPoolExecutor() as executor:
        uri = with_options(server.uri, application_name="bereft")
        nap = "SELECT i, pg_sleep(60)::text AS nap FROM generate_series(1, 4) AS i"
        read = executor.submit(lambda: industrydb.read_sql(uri, [nap, nap]))
        with psycopg.connect(server.uri, autocommit=True) as watcher:
            eventually(lambda: [event for _, event in sessions(watcher, "bereft")] == ["PgSleep"] * 2)
            os.kill(sessions(watcher, "bereft")[0][0], signal.SIGKILL)
        assert isinstance(read.exception(timeout=PATIENCE_S), DatabaseConnectionError)
        retried = with_options(server.uri, connect_retries="20")
        assert industrydb.read_sql(retried, "SELECT 1 AS one").item() == 1


def message(tag: bytes, body: bytes) -> bytes:
    """Return a message of PostgreSQL's protocol."""
    return tag + (len(body) + 4).to_bytes(4, "big") + body


READY = message(b"Z", b"I")
LOGGED_IN = message(b"R", bytes(4)) + message(b"K", bytes(8)) + READY
NOTICE = message(b"N", b"SNOTICE\0VNOTICE\0C00000\0M" + b"x" * 1000 + b"\0\0")


def column(name: bytes) -> bytes:
    """Return an int4 column of a RowDescription message."""
    return name + b"\0" + bytes(6) + (23).to_bytes(4, "big") + b"\0\4\xff\xff\xff\xff\0\1"


HOSTILE = {
    "2 GiB": b"T\x7f\xff\xff\xff",
    "a negative length": b"T\xff\xff\xff\xff",
    "no length": b"T\0\0\0\0",
    "a tag that there is not": message(b"\xff", b"x" * 100) + READY,
    "garbage": bytes(range(256)) * 100,
    "zeros": bytes(1000),
    "columns that do not come": message(b"1", b"") + message(b"T", b"\x7f\xff" + column(b"a")),
    "a negative number of columns": message(b"1", b"") + message(b"T", b"\xff\xff"),
    "a name that does not end": message(b"1", b"") + message(b"T", b"\0\1" + b"a" * 1000),
    "an error without an end": message(b"E", b"SERROR"),
    "an error of nothing": message(b"E", b"\0") + READY,
    "invalid UTF-8": message(b"E", b"SERROR\0VERROR\0C42601\0Mbad \xff\xfe\0\0") + READY,
    "another login": message(b"R", bytes(4)) + READY,
    "rows out of nowhere": message(b"D", b"\0\1\0\0\0\4\0\0\0\1") + READY,
    "nothing": b"",
}


def speaking(answer: bytes, *, ends: bool) -> Callable[[socket.socket], None]:
    """Log each client in, and give it one answer."""

    def talk(client: socket.socket) -> None:
        client.recv(1 << 16)
        client.sendall(LOGGED_IN)
        client.recv(1 << 16)
        client.sendall(READY)  # to BEGIN
        client.recv(1 << 16)
        client.sendall(answer)
        if ends:
            client.shutdown(socket.SHUT_RDWR)
        else:
            silence(client)

    return talk


@pytest.mark.parametrize("answer", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("ends", [True, False])
def test_a_hostile_server_gets_nothing_but_an_error(answer: bytes, ends: bool) -> None:  # noqa: FBT001
    """A hostile answer is a typed error; if the server then keeps the connection open, `timeout` ends the wait."""
    with answering(speaking(answer, ends=ends)) as port, pytest.raises(IndustryDbError) as raised:
        industrydb.read_sql(relayed(port), "SELECT 1", timeout=SOON_S)
    assert type(raised.value) is not IndustryDbError, "it is no defect of ours"


def test_endless_notices_end_with_the_timeout() -> None:
    """Endless notices end with the timeout, and take less than 100 MiB of memory."""

    def shout(client: socket.socket) -> None:
        client.recv(1 << 16)
        client.sendall(LOGGED_IN)
        while True:
            client.sendall(NOTICE * 100)

    before = memory_kib()
    with answering(shout) as port, pytest.raises(QueryTimeoutError):
        industrydb.read_sql(relayed(port), "SELECT 1", timeout=1)
    assert memory_kib() - before < 100 << 10


SECRET = "hunter2"  # noqa: S105, of no real account
CALLS: dict[str, Callable[[str], object]] = {
    "read": lambda uri: industrydb.read_sql(uri, "SELECT 1", timeout=SOON_S),
    "plan": lambda uri: industrydb.plan_sql(uri, "SELECT 1", partition_on="i", partitions=2, timeout=SOON_S),
    "connect": lambda uri: Connection(uri).execute("SELECT 1"),
    "write": lambda uri: industrydb.write_sql({"a": [1]}, "t", uri),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize("scheme", ["postgresql", "mssql"])
@pytest.mark.parametrize("answer", [b"", b"garbage" * 100, HOSTILE["an error of nothing"], HOSTILE["invalid UTF-8"]])
def test_no_error_tells_a_password(
    caplog: pytest.LogCaptureFixture, call: Callable[[str], object], scheme: str, answer: bytes
) -> None:
    """No error and no log record has the password, whatever the server answers."""
    options = "sslmode=disable&connect_timeout=1" if scheme == "postgresql" else "encrypt=false&connect_timeout=1"
    with answering(speaking(answer, ends=True)) as port, caplog.at_level(logging.DEBUG):
        uri = f"{scheme}://ana:{SECRET}@127.0.0.1:{port}/db?{options}"
        with pytest.raises(IndustryDbError) as raised:
            call(uri)
    told = [str(raised.value), repr(raised.value), caplog.text, *traceback.format_exception(raised.value)]
    assert not [text for text in told if SECRET in text]
    assert "internal error" not in str(raised.value)


def memory_kib() -> int:
    """Return the resident memory of this process."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0])


WAITING = """
import asyncio, signal, sys
import industrydb
signal.signal(signal.SIGINT, signal.default_int_handler)
how, uri, query = sys.argv[1:4]

async def cell():
    industrydb.read_sql(uri, query)

try:
    print("begins", flush=True)
    if how == "notebook":
        asyncio.new_event_loop().run_until_complete(cell())
    elif how == "connect":
        industrydb.Connection(uri)
    elif how == "write":
        industrydb.Connection(uri).execute(query)
    else:
        industrydb.plan_sql(uri, query, partition_on="i", partitions=4)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@contextmanager
def interrupted(how: str, uri: str, query: str = "SELECT 1") -> Iterator[None]:
    """Make a call in another process, interrupt it at the end of the block, and check that it was interrupted."""
    command = [sys.executable, "-c", WAITING, how, uri, query]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "begins\n"
            yield
            child.send_signal(signal.SIGINT)
            assert child.communicate(timeout=PATIENCE_S / 4)[0] == "interrupted\n"
        finally:
            child.kill()


def test_ctrl_c_ends_a_cell_of_a_notebook(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """Ctrl-C ends a read in a running event loop, as in a cell of a notebook."""
    with interrupted("notebook", with_options(postgres_uri, application_name="cell"), "SELECT pg_sleep(60)"):
        eventually(lambda: [event for _, event in sessions(postgres, "cell")] == ["PgSleep"])
    eventually(lambda: not sessions(postgres, "cell"))


def test_ctrl_c_ends_planning(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """Ctrl-C ends the planning of partitions, which waits for a locked table."""
    postgres.execute("CREATE TABLE lagging AS SELECT i FROM generate_series(1, 10) AS i")
    uri = with_options(postgres_uri, application_name="planner")
    with psycopg.connect(postgres_uri) as blocker:
        blocker.execute("LOCK TABLE lagging")
        with interrupted("plan", uri, "SELECT * FROM lagging"):
            eventually(lambda: [event for _, event in sessions(postgres, "planner")] == ["relation"])
        eventually(lambda: not sessions(postgres, "planner"))
    postgres.execute("DROP TABLE lagging")


@pytest.mark.parametrize("uri", URIS)
def test_ctrl_c_ends_an_attempt_to_connect(uri: str) -> None:
    """Ctrl-C ends an attempt to connect, whether the server is silent or the connection is not even accepted."""
    connected = threading.Event()

    def meet(client: socket.socket) -> None:
        connected.set()
        silence(client)

    with answering(meet) as port, interrupted("connect", uri.format(port)):
        assert connected.wait(PATIENCE_S)
    # Nothing tells that the wait has begun: the interrupt ends the call at any moment.
    with unanswered() as port, interrupted("connect", uri.format(port)):
        pass


def test_ctrl_c_ends_the_wait_for_a_lock_of_sqlite(sqlite_file: SqliteFile) -> None:
    """Ctrl-C ends the wait for a lock of SQLite before SQLite itself would give up, and nothing is written."""
    sqlite_file.connection.execute("CREATE TABLE t (a)")
    sqlite_file.connection.execute("BEGIN IMMEDIATE")
    with interrupted("write", f"{sqlite_file.uri}", "INSERT INTO t VALUES (1)"):
        pass
    sqlite_file.connection.execute("COMMIT")
    sqlite_file.connection.execute("BEGIN EXCLUSIVE")
    with interrupted("connect", sqlite_file.uri):
        pass
    sqlite_file.connection.execute("COMMIT")
    assert sqlite_file.connection.execute("SELECT * FROM t").fetchall() == []


def test_a_pragma_decides_how_long_a_lock_is_waited_for(sqlite_file: SqliteFile) -> None:
    """`PRAGMA busy_timeout` sets how long later statements of the connection wait for a lock."""
    with Connection(sqlite_file.uri) as connection:
        assert connection.execute("PRAGMA busy_timeout").item() == 5000
        connection.execute("PRAGMA busy_timeout = 700")
        connection.execute("SELECT 1")
        assert connection.execute("PRAGMA busy_timeout").item() == 700
        connection.execute("PRAGMA busy_timeout = 0")
        connection.execute("CREATE TABLE t (a)")
        with (
            Connection(sqlite_file.uri) as other,
            other.transaction(),
            pytest.raises(QueryExecutionError, match="locked"),
        ):
            connection.execute("INSERT INTO t VALUES (1)")


def test_other_threads_read_on_when_the_main_one_waits(postgres_uri: str) -> None:
    """`timeout` ends a read in another thread, while the main thread waits for it."""
    loop = asyncio.new_event_loop()
    read = loop.run_in_executor(None, lambda: industrydb.read_sql(postgres_uri, "SELECT pg_sleep(60)", timeout=SOON_S))
    with pytest.raises(QueryTimeoutError):
        loop.run_until_complete(read)
    loop.close()


def read_one(uri: str) -> int:
    """Read two rows in two partitions; return the number of rows."""
    return industrydb.read_sql(uri, "SELECT 1 AS i UNION ALL SELECT 2", partition_on="i", partitions=2).height


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes_read(postgres_uri: str, method: str) -> None:
    """Other processes can read, forked or spawned, even if this process has read before."""
    assert read_one(postgres_uri) == 2
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"there is no {method}")
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        assert list(executor.map(read_one, [postgres_uri] * 4)) == [2] * 4


MANY = """
import sys, threading
from pathlib import Path
import industrydb

def used():
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return len(list(Path("/proc/self/fd").iterdir())), int(status["Threads"]), int(status["VmRSS"].split()[0])

def work(uri, count):
    for _ in range(count):
        industrydb.read_sql(uri, "SELECT 1 AS i UNION ALL SELECT 2", partition_on="i", partitions=2)
        for query in ("SELECT 1/0 AS i", "SELECT nothing", "SELECT 'x' AS i, abs(-9223372036854775807 - 2) AS j"):
            try:
                industrydb.read_sql(uri, query)
            except industrydb.IndustryDbError:
                pass
        with industrydb.Connection(uri) as connection:
            connection.execute("SELECT 1 AS i")

uri = sys.argv[1]
work(uri, 50)
before = used()
work(uri, int(sys.argv[2]))
print(*before, *used())
"""


@pytest.mark.needs(Feature.DRIVER)
def test_nothing_piles_up(database: Database) -> None:
    """Hundreds of reads, failures and connections leave no files open, no threads and no memory in use."""
    printed = subprocess.check_output([sys.executable, "-c", MANY, database.uri, "200"], text=True, timeout=PATIENCE_S)
    files, threads, memory, *after = map(int, printed.split())
    assert after[0] <= files
    assert after[1] <= threads
    assert after[2] <= 1.05 * memory


def test_a_corrupt_file_is_told(sqlite_file: SqliteFile) -> None:
    """A corrupt file is an error with SQLite's own code."""
    sqlite_file.connection.execute(f"CREATE TABLE t AS {NUMBERS} SELECT i, hex(randomblob(50)) AS v FROM n")
    content = bytearray(sqlite_file.path.read_bytes())
    for page in range(5, len(content) // 4096, 3):
        content[page * 4096 : page * 4096 + 100] = b"\xff" * 100
    broken = sqlite_file.path.with_name("broken.db")
    broken.write_bytes(content)
    with pytest.raises(QueryExecutionError) as raised:
        industrydb.read_sql(f"sqlite://{broken}", "SELECT * FROM t")
    assert raised.value.code == "SQLITE_CORRUPT"


def test_a_full_disk_is_told(sqlite_file: SqliteFile) -> None:
    """A full disk (here a limit on the file's pages) is an error, and no row of the write is kept."""
    with Connection(sqlite_file.uri) as connection:
        connection.execute("CREATE TABLE t (a TEXT)")
        connection.execute("PRAGMA max_page_count = 20")
        with pytest.raises(QueryExecutionError) as raised:
            connection.insert("t", {"a": ["x" * 1000] * 1000})
        assert raised.value.code == "SQLITE_FULL"
        assert connection.select("t").height == 0


def test_a_file_that_is_replaced_is_read_as_it_was(sqlite_file: SqliteFile, tmp_path: Path) -> None:
    """A connection whose file is replaced reads one file or the other completely; a new call reads the new file."""
    sqlite_file.connection.execute("CREATE TABLE t AS SELECT 1 AS a")
    other = tmp_path / "other.db"
    industrydb.write_sql({"a": [2, 3]}, "t", f"sqlite://{other}")
    with Connection(sqlite_file.uri) as connection:
        assert connection.select("t")["a"].to_list() == [1]
        other.replace(sqlite_file.path)
        assert connection.select("t")["a"].to_list() in ([1], [2, 3])
    assert industrydb.read_sql(sqlite_file.uri, "SELECT * FROM t")["a"].to_list() == [2, 3]


# Reads in a finalizer that runs while the interpreter shuts down.
LATE = """
import sys, industrydb

class Late:
    def __del__(self, read=industrydb.read_sql, is_finalizing=sys.is_finalizing, uri=sys.argv[1]):
        try:
            read(uri, "SELECT 1 AS one")
        except Exception as error:
            print(is_finalizing(), error)

assert industrydb.read_sql(sys.argv[1], "SELECT 1 AS one").item() == 1
late = Late()
"""


def test_a_call_while_python_shuts_down_raises(sqlite_file: SqliteFile) -> None:
    """A call in a finalizer at the end of the program raises, instead of waiting for a thread that has ended."""
    command = [sys.executable, "-c", LATE, sqlite_file.uri]
    told = subprocess.check_output(command, text=True, timeout=PATIENCE_S)
    assert told.startswith("True Python is shutting down")
