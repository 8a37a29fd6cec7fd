"""What happens when the server, a session or a statement fails: typed errors, and nothing left behind."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import Any
from urllib.parse import quote

import pytest

import industrydb
from industrydb import (
    Connection,
    ConstraintViolationError,
    DatabaseConnectionError,
    IndustryDbError,
    QueryExecutionError,
    QueryTimeoutError,
)
from tests.kit.interrupts import reading
from tests.kit.mariadb import PASSWORDS, MariaDb, Pymysql, mariadb_server, series
from tests.kit.mysql_script import OK, Conversation, scripted
from tests.kit.support import PATIENCE_S, eventually

# Waits for a minute in the middle of its rows.
STALLING = f"SELECT seq AS i, IF(seq = 3, SLEEP(60), 0) AS s, '{{}}' AS mark FROM {series(5)}"


def working(mysql: Pymysql, mark: str) -> list[int]:
    """Return the ids of the sessions that run a statement with this mark."""
    query = "SELECT id FROM information_schema.processlist WHERE info LIKE %s AND id <> connection_id()"
    return [number for (number,) in mysql.execute(query, [f"%{mark}%"]).fetchall()]


def read_while(mysql: Pymysql, uri: str, mark: str, do: str, **options: Any) -> BaseException | None:  # noqa: ANN401
    """Read, run a statement for the reading session once it works, and return the error of the read."""
    query = STALLING.format(mark)
    with ThreadPoolExecutor() as executor:
        read = executor.submit(lambda: industrydb.read_sql(uri, query, **options))
        eventually(lambda: bool(working(mysql, mark)))
        for number in working(mysql, mark):
            mysql.execute(do.format(number))
        return read.exception(timeout=PATIENCE_S / 4)


def test_a_session_that_is_killed_is_told(mysql: Pymysql, mysql_uri: str) -> None:
    """A session that is killed is a broken connection, which may be tried again."""
    error = read_while(mysql, mysql_uri, "killed", "KILL {}")
    assert isinstance(error, DatabaseConnectionError)
    assert error.is_transient


def test_a_statement_that_is_killed_is_told(mysql: Pymysql, mysql_uri: str) -> None:
    """A statement that is killed is an error with the server's number, and the session is closed."""
    error = read_while(mysql, mysql_uri, "ended", "KILL QUERY {}")
    assert isinstance(error, industrydb.IndustryDbError)
    assert error.code == "1317"


def test_a_timeout_ends_the_statement(mysql: Pymysql, mysql_uri: str) -> None:
    """`timeout` ends the call, and the statement on the server."""
    with pytest.raises(QueryTimeoutError, match=r"timeout of 0\.3 s"):
        industrydb.read_sql(mysql_uri, STALLING.format("timed"), timeout=0.3)
    eventually(lambda: not working(mysql, "timed"))


def test_the_servers_own_limit_is_a_timeout(mysql: Pymysql, mysql_uri: str) -> None:
    """MariaDB's `max_statement_time` and MySQL's `max_execution_time` are timeouts with their numbers."""
    limit, code = ("max_statement_time = 0.2", "1969") if mysql.is_mariadb else ("max_execution_time = 200", "3024")
    numbers = f"(SELECT seq FROM {series(100_000)})"
    with pytest.raises(QueryTimeoutError) as raised:
        industrydb.read_sql(
            mysql_uri,
            f"SELECT count(*) AS n FROM {numbers} AS a, {numbers} AS b WHERE a.seq + b.seq < 0",
            pre_execution_query=f"SET {limit}",
        )
    assert raised.value.code == code


@pytest.mark.parametrize("split", [[], ["split"]], ids=["whole", "split"])
def test_ctrl_c_ends_a_read(mysql: Pymysql, mysql_uri: str, split: list[str]) -> None:
    """Ctrl-C ends a read, and its statements on the server."""
    with reading(mysql_uri, STALLING.format("interrupted"), *split):
        eventually(lambda: bool(working(mysql, "interrupted")))
    eventually(lambda: not working(mysql, "interrupted"))


WAITING = """
import signal, sys
import industrydb
signal.signal(signal.SIGINT, signal.default_int_handler)
connection = industrydb.Connection(sys.argv[1])
print("begins", flush=True)
try:
    with connection.transaction():
        connection.execute("SELECT SLEEP(60) AS s, 'kept' AS mark")
except KeyboardInterrupt:
    print("interrupted", connection.is_closed(), flush=True)
"""


def test_ctrl_c_ends_a_statement_and_the_connection(mysql: Pymysql, mysql_uri: str) -> None:
    """Ctrl-C ends a statement of a connection, on the server as well, and closes the connection."""
    with subprocess.Popen([sys.executable, "-c", WAITING, mysql_uri], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "begins\n"
        eventually(lambda: bool(working(mysql, "kept")))
        child.send_signal(signal.SIGINT)
        assert child.communicate(timeout=PATIENCE_S / 4)[0] == "interrupted True\n"
    eventually(lambda: not working(mysql, "kept"))


@pytest.fixture
def own() -> Iterator[MariaDb]:
    """Serve MariaDB for one test, which may end it or change its settings."""
    with mariadb_server() as server:
        yield server


def test_a_server_that_is_killed_is_told(own: MariaDb) -> None:
    """A server that is killed in the middle of a read is a broken connection; later calls say that nobody answers."""
    batches = industrydb.read_sql_batches(own.uri, "SELECT seq AS i FROM seq_1_to_50000000", batch_size=1000)
    connection = Connection(own.uri)
    assert next(batches).height == 1000
    own.process.kill()
    own.process.wait()

    def take_all() -> None:
        for _ in batches:
            pass

    with pytest.raises(DatabaseConnectionError) as raised:
        take_all()
    assert raised.value.is_transient
    with pytest.raises(DatabaseConnectionError):
        connection.execute("SELECT 1 AS a")
    assert connection.is_closed()
    with pytest.raises(DatabaseConnectionError, match="cannot connect") as raised:
        industrydb.read_sql(own.uri, "SELECT 1 AS a")
    assert raised.value.is_transient


def test_too_many_connections_are_told(own: MariaDb) -> None:
    """A server without a free connection is an error that may be tried again."""
    password = quote(PASSWORDS["native_user"], safe="")
    uri = f"mysql://native_user:{password}@127.0.0.1:{own.port}/test"
    with closing(Pymysql(own.uri)) as root:
        root.execute("SET GLOBAL max_connections = 10")
        kept = [Connection(uri) for _ in range(9)]
        with pytest.raises(DatabaseConnectionError) as raised:
            industrydb.read_sql(uri, "SELECT 1 AS a")
        assert raised.value.code == "1040"
        assert raised.value.is_transient
        for connection in kept:
            connection.close()
        eventually(lambda: industrydb.read_sql(f"{uri}?connect_retries=3", "SELECT 1 AS a").item() == 1)


def test_slow_consumers_keep_their_session(own: MariaDb) -> None:
    """A server that gives up slow clients does not give up a read whose batches are taken slowly."""
    with closing(Pymysql(own.uri)) as root:
        root.execute("SET GLOBAL net_write_timeout = 1")
        root.execute("SET GLOBAL wait_timeout = 1")
        query = "SELECT seq AS i, repeat('x', 1000) AS v FROM seq_1_to_30000"
        with industrydb.read_sql_batches(own.uri, query, batch_size=1000) as batches:
            height = next(batches).height
            # Another session, which the server gives up, shows that the time is over.
            with closing(Pymysql(own.uri)) as other:
                number = other.execute("SELECT connection_id()").fetchall()[0][0]
                there = f"SELECT count(*) FROM information_schema.processlist WHERE id = {number}"
                root.execute("SET SESSION wait_timeout = 600")
                eventually(lambda: [*root.execute(there).fetchall()] == [(0,)])
            height += sum(batch.height for batch in batches)
        assert height == 30_000


def test_a_statement_that_is_too_long_is_told(mysql_uri: str) -> None:
    """A statement of more bytes than the server takes is an error that names its limit."""
    with closing(Pymysql(mysql_uri)) as other:
        other.execute("SET GLOBAL max_allowed_packet = 1048576")
    try:
        with pytest.raises((QueryExecutionError, DatabaseConnectionError)):
            industrydb.read_sql(mysql_uri, f"SELECT '{'x' * 2_000_000}' AS a")
    finally:
        with closing(Pymysql(mysql_uri)) as other:
            other.execute("SET GLOBAL max_allowed_packet = 16777216")


def test_waits_for_locks_and_deadlocks_are_told(mysql: Pymysql, mysql_uri: str) -> None:
    """A wait for a row's lock that ends, and a deadlock, are errors that may be tried again."""
    mysql.execute("CREATE TABLE locked (id int PRIMARY KEY, v int); INSERT INTO locked VALUES (1, 0), (2, 0)")
    try:
        with Connection(mysql_uri) as one, Connection(mysql_uri) as other:
            with one.transaction():
                one.execute("UPDATE locked SET v = 1 WHERE id = 1")
                other.execute("SET innodb_lock_wait_timeout = 1")
                with pytest.raises(QueryExecutionError) as raised:
                    other.execute("UPDATE locked SET v = 2 WHERE id = 1")
                assert (raised.value.code, raised.value.is_transient) == ("1205", True)
            one.execute("BEGIN")
            other.execute("BEGIN")
            other.execute("SET innodb_lock_wait_timeout = 60")
            one.execute("UPDATE locked SET v = 1 WHERE id = 1")
            other.execute("UPDATE locked SET v = 1 WHERE id = 2")
            failed: list[QueryExecutionError] = []

            def update(connection: Connection, number: int) -> None:
                try:
                    connection.execute(f"UPDATE locked SET v = 1 WHERE id = {number}")
                except QueryExecutionError as error:
                    failed.append(error)

            waiting = threading.Thread(target=update, args=(one, 2))
            waiting.start()
            update(other, 1)
            waiting.join()
            assert [(error.code, error.is_transient) for error in failed] == [("1213", True)]
    finally:
        mysql.execute("DROP TABLE locked")


VIOLATIONS = [
    ("INSERT INTO child VALUES (1, 1, 5)", "1062", {"constraint": "PRIMARY"}),
    ("INSERT INTO child VALUES (2, NULL, 5)", "1048", {"column": "b"}),
    ("INSERT INTO child (a, c) VALUES (2, 5)", "1364", {"column": "b"}),
    ("INSERT INTO child VALUES (2, 9, 5)", "1452", {"table": "child", "constraint": "to_parent", "column": "b"}),
    ("DELETE FROM parent WHERE b = 1", "1451", {"table": "child", "constraint": "to_parent", "column": "b"}),
    ("INSERT INTO child VALUES (2, 1, -5)", "4025", {"constraint": "positive", "table": "child"}),
]


@pytest.mark.parametrize(("statement", "code", "told"), VIOLATIONS, ids=[row[1] for row in VIOLATIONS])
def test_broken_constraints_are_named(
    mysql: Pymysql, mysql_uri: str, statement: str, code: str, told: dict[str, str]
) -> None:
    """The error for a broken constraint names table, column and constraint as far as the server names them."""
    if code == "4025" and not mysql.is_mariadb:
        code, told = "3819", {"constraint": "positive"}
    with Connection(mysql_uri) as connection:
        connection.execute("DROP TABLE IF EXISTS child, parent")
        connection.execute("CREATE TABLE parent (b int PRIMARY KEY)")
        connection.execute(
            "CREATE TABLE child (a int PRIMARY KEY, b int NOT NULL, c int, CONSTRAINT positive CHECK (c > 0), "
            "CONSTRAINT to_parent FOREIGN KEY (b) REFERENCES parent (b))"
        )
        try:
            connection.execute("INSERT INTO parent VALUES (1)")
            connection.execute("INSERT INTO child VALUES (1, 1, 1)")
            with pytest.raises(ConstraintViolationError) as raised:
                connection.execute(statement)
            assert raised.value.code == code
            assert {name: getattr(raised.value, name) for name in told} == told
            assert connection.execute("SELECT count(*) AS n FROM child").item() == 1
        finally:
            connection.execute("DROP TABLE child, parent")


REFUSED = [
    "SELECT 1 AS a INTO OUTFILE '/tmp/industrydb-never'",
    "SELECT 1 AS a INTO DUMPFILE '/tmp/industrydb-never'",
    "SELECT 1 INTO @a",
    "SELECT a FROM kept FOR UPDATE",
    "SELECT a FROM kept LOCK IN SHARE MODE",
    "INSERT INTO kept VALUES (2) RETURNING a",
    "DELETE FROM kept RETURNING a",
    "REPLACE INTO kept VALUES (3) RETURNING a",
    "UPDATE kept SET a = 5",
    "SELECT a FROM kept; DELETE FROM kept",
    "SELECT a /*! INTO OUTFILE '/tmp/industrydb-never' */ FROM kept",
    "SELECT change_kept() AS a",
    "CALL clear_kept()",
    "CREATE TABLE kept_too AS SELECT 1 AS a",
    "TRUNCATE kept",
    "SET GLOBAL max_connections = 1",
    "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE kept",
]


@pytest.mark.parametrize("split", [{}, {"partition_on": "a", "partitions": 2}], ids=["whole", "split"])
@pytest.mark.parametrize("snapshot", [True, False])
@pytest.mark.parametrize("query", REFUSED)
def test_statements_that_change_something(
    mysql: Pymysql,
    mysql_uri: str,
    query: str,
    snapshot: bool,  # noqa: FBT001
    split: dict[str, Any],
) -> None:
    """A statement that changes anything is refused, however it is read, and has changed nothing."""
    mysql.execute("DROP TABLE IF EXISTS kept; CREATE TABLE kept (a int); INSERT INTO kept VALUES (1)")
    mysql.execute("DROP FUNCTION IF EXISTS change_kept; DROP PROCEDURE IF EXISTS clear_kept")
    mysql.execute("CREATE FUNCTION change_kept() RETURNS int MODIFIES SQL DATA BEGIN DELETE FROM kept; RETURN 1; END")
    mysql.execute("CREATE PROCEDURE clear_kept() BEGIN DELETE FROM kept; SELECT 1 AS a; END")
    with pytest.raises((industrydb.ConfigurationError, QueryExecutionError)):
        industrydb.read_sql(mysql_uri, query, snapshot=snapshot, **split)
    assert [*mysql.execute("SELECT a FROM kept").fetchall()] == [(1,)]
    assert not mysql.execute("SHOW TABLES LIKE 'kept_too'").fetchall()


def test_nothing_piles_up_on_the_server(mysql: Pymysql, mysql_uri: str) -> None:
    """After reads and failures, no session of theirs is left on the server."""
    own = "SELECT count(*) FROM information_schema.processlist WHERE command <> 'Daemon'"
    before = mysql.execute(own).fetchall()
    for _ in range(5):
        industrydb.read_sql(mysql_uri, f"SELECT seq AS i FROM {series(100)}", partition_on="i", partitions=3)
        with pytest.raises(QueryExecutionError):
            industrydb.read_sql(mysql_uri, "SELECT nothing FROM nowhere")
        with industrydb.read_sql_batches(mysql_uri, f"SELECT seq AS i FROM {series(1_000_000)}") as batches:
            next(batches)
    eventually(lambda: mysql.execute(own).fetchall() == before)


def test_a_server_that_asks_for_files_without_end() -> None:
    """A second request for a file ends the session: the answers to such a server have an end."""

    def script(with_client: Conversation) -> None:
        with_client.greet("mysql_native_password")
        with_client.login()
        with_client.send(OK)
        with suppress(OSError):  # the client closes the connection
            for _ in range(100_000):
                with_client.receive()
                with_client.send(b"\xfb/etc/passwd")

    with scripted(script) as port, pytest.raises(IndustryDbError, match="the end of a statement"):
        industrydb.read_sql(f"mysql://ana@127.0.0.1:{port}/test?ssl-mode=disabled", "SELECT 1 AS a")
