"""Tests of `Connection`: statements that change the database, whole transactions, and the end of a session."""

import gc
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import polars as pl
import psycopg
import pytest

import industrydb
from industrydb import (
    ConfigurationError,
    Connection,
    ConnectionClosedError,
    ConstraintViolationError,
    DatabaseConfig,
    DatabaseConnectionError,
    QueryExecutionError,
    TypeConversionError,
)
from tests.kit.databases import Database, Feature
from tests.kit.interrupts import ENDLESS
from tests.kit.servers import PASSWORDS, Server, tcp_uri
from tests.kit.support import PATIENCE_S, eventually, sessions, with_options


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    """Connect to each database, with a table of three persons."""
    with Connection.from_uri(database.uri) as connected:
        connected.execute("CREATE TABLE person (id int PRIMARY KEY, name varchar(50), score int)")
        connected.execute("INSERT INTO person VALUES (1, 'Ada', 10), (2, 'Grace', NULL), (3, 'Edsger', 30)")
        yield connected
        if not connected.is_closed():
            connected.execute("DROP TABLE person")


def persons(connection: Connection) -> list[tuple[object, ...]]:
    """Return the rows of the table."""
    return connection.select("person", order_by="id").rows()


PERSONS = [(1, "Ada", 10), (2, "Grace", None), (3, "Edsger", 30)]


def test_statements_tell_how_many_rows_they_change(connection: Connection, database: Database) -> None:
    """A statement returns its rows, or else the number of rows that it has changed as one row of one column."""
    changed = connection.execute("UPDATE person SET score = 5 WHERE id > 1")
    if database.has(Feature.COUNTS):
        assert changed.equals(pl.DataFrame({"rows_affected": [2]}))
    assert connection.execute("DELETE FROM person WHERE id = 7").item() == 0
    assert connection.execute("SELECT id, score FROM person WHERE id > 1 ORDER BY id").rows() == [(2, 5), (3, 5)]
    assert connection.execute("CREATE TABLE empty_one (a int)").item() == 0
    assert connection.execute("SELECT a FROM empty_one").height == 0
    connection.execute("DROP TABLE empty_one")


def test_errors_leave_the_connection_usable(connection: Connection) -> None:
    """A statement that the database refuses leaves the connection usable."""
    for statement in ("SELEC 1", "SELECT * FROM nothing", "INSERT INTO person (id, nowhere) VALUES (4, 4)"):
        with pytest.raises(QueryExecutionError):
            connection.execute(statement)
    assert persons(connection) == PERSONS


def test_rows_are_selected_by_their_values(connection: Connection, database: Database) -> None:
    """`where` selects rows by values: a list matches any of its elements, and `None` matches NULL."""
    if not database.has(Feature.PARAMETERS):
        pytest.skip("takes no parameters")

    def ids(**where: object) -> list[object]:
        return connection.select("person", ["id"], where=where, order_by="id")["id"].to_list()

    assert ids(name="Ada") == [1]
    assert ids(name="'; DROP TABLE person; --") == []
    assert ids(id=[1, 3, 9]) == [1, 3]
    assert ids(id=pl.Series([3, 2]), name="Grace") == [2]
    assert ids(score=None) == [2]
    assert ids(score=[10, None]) == [1, 2]
    assert ids(score=[]) == []
    assert ids(score=[None]) == [2]


def test_parts_of_a_table_are_selected(connection: Connection) -> None:
    """`select` takes columns, an order, a limit, an offset and a condition in SQL."""
    assert connection.select("person", ["name"], order_by=["id"], descending=[True], limit=2).rows() == [
        ("Edsger",),
        ("Grace",),
    ]
    assert connection.select("person", "id", order_by="id", offset=1)["id"].to_list() == [2, 3]
    assert connection.select("person", ["id"], order_by="id", limit=1, offset=2).rows() == [(3,)]
    assert connection.select("person", limit=0).height == 0
    assert connection.select("person", where="id = 2 -- the second").rows() == [(2, "Grace", None)]


@pytest.mark.parametrize("table", ["", "a..b", '"a', "[a"])
def test_tables_that_are_none_are_refused(connection: Connection, table: str) -> None:
    """A wrong table name is refused before anything is run, or by the database."""
    with pytest.raises((ConfigurationError, QueryExecutionError)):
        connection.select(table)
    assert persons(connection) == PERSONS


def test_rows_are_updated_and_deleted(connection: Connection, database: Database) -> None:
    """Rows are updated and deleted by values, by an expression in SQL, or all of them with `all_rows`."""
    if not database.has(Feature.PARAMETERS):
        pytest.skip("takes no parameters")
    assert connection.update("person", {"score": 11, "name": "Ada L."}, where={"id": 1}) == 1
    place = "$1" if database.name == "postgresql" else "?"
    assert connection.update("person", {"score": 0}, where=f"score > {place}", params=[20]) == 1
    assert persons(connection) == [(1, "Ada L.", 11), (2, "Grace", None), (3, "Edsger", 0)]
    assert connection.delete("person", where={"id": [2, 3, 4]}) == 2
    assert connection.update("person", {"score": None}, all_rows=True) == 1
    assert persons(connection) == [(1, "Ada L.", None)]
    assert connection.delete("person", all_rows=True) == 1


def test_no_where_is_no_accident(connection: Connection) -> None:
    """Without a condition or `all_rows`, nothing is changed; arguments that do not go together are refused."""
    calls: list[Callable[[], object]] = [
        lambda: connection.delete("person"),
        lambda: connection.delete("person", where={}),
        lambda: connection.delete("person", where=""),
        lambda: connection.update("person", {"score": 1}),
        lambda: connection.update("person", {}, all_rows=True),
        lambda: connection.delete("person", where={"id": 1}, params=[1]),
        lambda: connection.select("person", order_by="id", descending=[True, False]),
    ]
    for call in calls:
        with pytest.raises(ConfigurationError):
            call()
    assert persons(connection) == PERSONS


def test_transactions_are_kept_or_taken_back(connection: Connection) -> None:
    """A transaction is committed or rolled back as a whole."""
    with connection.transaction():
        connection.execute("UPDATE person SET score = 0")
    assert [score for _, _, score in persons(connection)] == [0, 0, 0]
    with suppress(ZeroDivisionError), connection.transaction():
        connection.execute("DELETE FROM person")
        assert persons(connection) == []
        raise ZeroDivisionError
    assert len(persons(connection)) == len(PERSONS)


def test_parts_of_a_transaction_are_taken_back_alone(connection: Connection) -> None:
    """A transaction within another one is a savepoint, which is rolled back alone."""
    with connection.transaction():
        connection.execute("UPDATE person SET score = 1 WHERE id = 1")
        with suppress(ZeroDivisionError), connection.transaction():
            connection.execute("UPDATE person SET score = 2 WHERE id = 2")
            with connection.transaction():
                connection.execute("UPDATE person SET score = 3 WHERE id = 3")
            raise ZeroDivisionError
        with connection.transaction():
            connection.execute("UPDATE person SET name = 'G' WHERE id = 2")
    assert persons(connection) == [(1, "Ada", 1), (2, "G", None), (3, "Edsger", 30)]


def test_a_transaction_that_has_failed_is_not_kept_silently(postgres_uri: str) -> None:
    """A transaction in which a statement has failed raises an error at its end: PostgreSQL's COMMIT raises none."""
    with Connection(postgres_uri) as connection:

        def fail_and_go_on() -> None:
            with connection.transaction():
                connection.execute("CREATE TEMP TABLE lost (a int)")
                with suppress(QueryExecutionError):
                    connection.execute("SELECT 1 / 0")

        with pytest.raises(QueryExecutionError) as raised:
            fail_and_go_on()
        assert raised.value.code == "25P02"
        with pytest.raises(QueryExecutionError, match="lost"):
            connection.execute("SELECT * FROM lost")


def test_closed_connections_say_so(connection: Connection) -> None:
    """Every use of a closed connection is an error; closing it again is none."""
    assert not connection.is_closed()
    connection.execute("DROP TABLE person")
    connection.close()
    connection.close()
    assert connection.is_closed()
    uses: list[Callable[[], object]] = [
        lambda: connection.execute("SELECT 1 AS a"),
        lambda: connection.select("person"),
        lambda: connection.update("person", {"id": 1}, all_rows=True),
        lambda: connection.delete("person", all_rows=True),
        lambda: connection.transaction().__enter__(),
    ]
    for use in uses:
        with pytest.raises(ConnectionClosedError):
            use()


def test_what_was_not_kept_is_gone_with_the_connection(tmp_path: Path) -> None:
    """A transaction that is left open is rolled back when the connection is closed."""
    uri = f"sqlite://{tmp_path}/made.db"
    with Connection(uri) as connection:
        connection.execute("CREATE TABLE t (a int)")
        connection.execute("BEGIN")
        connection.execute("INSERT INTO t VALUES (1)")
    with sqlite3.connect(tmp_path / "made.db") as other:
        assert other.execute("SELECT count(*) FROM t").fetchone() == (0,)


VIOLATIONS = [
    ("INSERT INTO child VALUES (1, 1, 5)", "23505", "SQLITE_CONSTRAINT_PRIMARYKEY", {"table": "child"}),
    ("INSERT INTO child VALUES (2, NULL, 5)", "23502", "SQLITE_CONSTRAINT_NOTNULL", {"table": "child", "column": "b"}),
    ("INSERT INTO child VALUES (2, 9, 5)", "23503", "SQLITE_CONSTRAINT_FOREIGNKEY", {}),
    ("INSERT INTO child VALUES (2, 1, -5)", "23514", "SQLITE_CONSTRAINT_CHECK", {"constraint": "positive"}),
]


@pytest.mark.parametrize(("statement", "sqlstate", "code", "told"), VIOLATIONS)
@pytest.mark.parametrize("database", ["postgresql", "sqlite"])
def test_broken_constraints_are_named(  # noqa: PLR0913, PLR0917
    postgres_uri: str, database: str, statement: str, sqlstate: str, code: str, told: dict[str, str]
) -> None:
    """The error for a broken constraint names table, column and constraint as far as the database names them."""
    with Connection(postgres_uri if database == "postgresql" else "sqlite://:memory:") as connection:
        if database == "sqlite":
            connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("CREATE TEMP TABLE parent (b int PRIMARY KEY)")
        connection.execute(
            "CREATE TEMP TABLE child (a int PRIMARY KEY, b int NOT NULL REFERENCES parent, "
            "c int CONSTRAINT positive CHECK (c > 0))"
        )
        connection.execute("INSERT INTO parent VALUES (1)")
        connection.execute("INSERT INTO child VALUES (1, 1, 1)")
        with pytest.raises(ConstraintViolationError) as raised:
            connection.execute(statement)
        assert raised.value.code == (sqlstate if database == "postgresql" else code)
        assert {name: getattr(raised.value, name) for name in told} == told
        assert connection.execute("SELECT count(*) AS n FROM child").item() == 1


PARAMETERS = [
    (True, "boolean"),
    (-(2**63), "bigint"),
    (0.1, "double precision"),
    (Decimal("123.450"), "numeric(9,3)"),
    ("it's", "text"),
    (b"\x00\xff", "bytea"),
    (date(2024, 2, 29), "date"),
    (datetime(2024, 2, 29, 12, 30, 1, 5), "timestamp"),  # noqa: DTZ001
    (datetime(2024, 2, 29, 12, 30, 1, 5, tzinfo=timezone.utc), "timestamptz"),
    (UUID(int=7), "uuid"),
    (None, "int"),
    ([1, 2, None], "int[]"),
    (["a", "b,"], "text[]"),
]


@pytest.mark.parametrize(("value", "type_name"), PARAMETERS)
def test_values_arrive_in_postgres(
    postgres: psycopg.Connection, postgres_uri: str, value: object, type_name: str
) -> None:
    """An independent driver reads the parameters from PostgreSQL, and RETURNING gives what `read_sql` reads."""
    postgres.execute("DROP TABLE IF EXISTS arriving")
    postgres.execute(f"CREATE TABLE arriving (v {type_name})")
    with Connection(postgres_uri) as connection:
        returned = connection.execute("INSERT INTO arriving VALUES ($1) RETURNING v", [value])
    found = postgres.execute("SELECT v FROM arriving", prepare=False).fetchall()
    assert found == [(value,)]
    expected = industrydb.read_sql(postgres_uri, "SELECT v FROM arriving")
    assert returned.equals(expected)
    assert returned.schema == expected.schema


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1.50::numeric(9,2) AS n, ARRAY[1.5::money] AS m, '[1,2]'::int4range AS r, '{\"a\": 1}'::jsonb AS j",
        "SELECT (1, 'x')::pg_temp.pair AS p, now() AS t, 'a b'::tsvector AS v",
        "WITH x AS (SELECT 'infinity'::timestamp::text AS i) SELECT * FROM x",
        "VALUES (1, 'a'::\"char\"), (2, 'b')",
    ],
)
def test_types_are_those_of_read_sql(postgres_uri: str, query: str) -> None:
    """`execute` returns the same types as `read_sql`, even for columns that the server sends as text."""
    with Connection(postgres_uri) as connection:
        connection.execute("CREATE TYPE pg_temp.pair AS (a int, b text)")
        found = connection.execute(query)
        setup = "CREATE TYPE pg_temp.pair AS (a int, b text)"
        query = query.replace("now()", f"'{found['t'][0]}'::timestamptz") if "now()" in query else query
        expected = industrydb.read_sql(postgres_uri, query, pre_execution_query=setup, snapshot=False)
    assert found.schema == expected.schema
    assert found.equals(expected)


def test_statements_of_other_kinds_return_their_rows(postgres_uri: str) -> None:
    """Statements of other kinds return their rows, with types without a decoder as text."""
    with Connection(postgres_uri) as connection:
        assert connection.execute("SHOW server_encoding").item() == "UTF8"
        assert "Result" in connection.execute("EXPLAIN SELECT 1")["QUERY PLAN"][0]
        connection.execute("CREATE TEMP TABLE priced (id int, price money, prices money[])")
        insert = "INSERT INTO priced VALUES (1, 2.5::numeric::money, ARRAY[1::money]) RETURNING id, price, prices"
        frame = connection.execute(insert)
        assert frame["id"].to_list() == [1]
        assert frame["price"].dtype == pl.String
        for refused in ("COPY priced FROM STDIN", "SELECT 1 AS a, 2 AS a", "SELECT 1; SELECT 2", ""):
            with pytest.raises((QueryExecutionError, ConfigurationError)):
                connection.execute(refused)
            assert connection.execute("SELECT 1 AS a").item() == 1


def test_rows_that_a_change_returns_are_not_made_twice(tmp_path: Path) -> None:
    """A change that returns rows runs once, even if a value widens its column, for which a query runs again."""
    with Connection(DatabaseConfig("sqlite", path=tmp_path / "made.db")) as connection:
        connection.execute("CREATE TABLE t (a INTEGER)")
        values = ", ".join(f"({i})" for i in range(1000)) + ", ('text')"
        returned = connection.execute(f"INSERT INTO t VALUES {values} RETURNING a")
        assert returned.height == 1001
        assert returned["a"].dtype == pl.String
        assert connection.execute("SELECT count(*) AS n FROM t").item() == 1001
        trigger = "CREATE TRIGGER g AFTER DELETE ON t BEGIN SELECT 1; SELECT 2; END;"
        assert connection.execute(trigger).item() == 0
        with pytest.raises(ConfigurationError, match="another one behind"):
            connection.execute("DELETE FROM t; DELETE FROM t")
        assert connection.execute("SELECT count(*) AS n FROM t").item() == 1001


def test_threads_take_turns_and_others_go_on(postgres_uri: str) -> None:
    """Calls on one connection wait for one another; two connections run at the same time."""
    with Connection(postgres_uri) as shared, ThreadPoolExecutor(8) as executor:
        numbers = executor.map(lambda i: shared.execute("SELECT $1::int AS i", [i]).item(), range(200))
        assert list(numbers) == list(range(200))
    # `other` waits for the lock of `one`, and `one` for that wait: in turns, both would wait for ever.
    with Connection(postgres_uri) as one, Connection(postgres_uri) as other:
        one.execute("SELECT pg_advisory_lock(4711)")
        waiting = threading.Thread(target=lambda: other.execute("SELECT pg_advisory_lock(4711)"))
        waiting.start()
        held = "SELECT count(*)::int AS n FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        eventually(lambda: one.execute(held).item() == 1)
        one.execute("SELECT pg_advisory_unlock(4711)")
        waiting.join()


def test_no_session_stays_on_the_server(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """A connection's session ends when the connection is closed or forgotten, or its block raises."""
    uri = with_options(postgres_uri, application_name="kept")
    connection = Connection(uri)
    eventually(lambda: len(sessions(postgres, "kept")) == 1)
    connection.close()
    eventually(lambda: not sessions(postgres, "kept"))
    forgotten = Connection(uri)
    del forgotten
    gc.collect()
    with pytest.raises(ZeroDivisionError), Connection(uri):
        raise ZeroDivisionError
    eventually(lambda: not sessions(postgres, "kept"))


def test_a_session_that_is_ended_by_the_server_is_closed(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """If the server ends a session, the next call is a connection error, and later ones say that it is closed."""
    connection = Connection(with_options(postgres_uri, application_name="ended"))
    [(process, _)] = sessions(postgres, "ended")
    postgres.execute("SELECT pg_terminate_backend(%s)", [process])
    eventually(lambda: not sessions(postgres, "ended"))
    with pytest.raises(DatabaseConnectionError):
        connection.execute("SELECT 1 AS a")
    assert connection.is_closed()
    with pytest.raises(ConnectionClosedError, match="it broke"):
        connection.execute("SELECT 1 AS a")


def test_logins_that_fail_have_no_password(own_server: Server) -> None:
    """The error of a failed login has no password, nor has the representation of a connection."""
    config = DatabaseConfig(
        "postgresql",
        host="127.0.0.1",
        port=own_server.port,
        username="nobody",
        password="hunter2",  # noqa: S106
        sslmode="disable",
    )
    with pytest.raises(DatabaseConnectionError) as raised:
        Connection(config)
    assert "hunter2" not in str(raised.value)
    uri = tcp_uri(own_server.port, "scram_user", PASSWORDS["scram_user"])
    with Connection(uri) as connection:
        shown = repr(connection)
    assert "password='***'" in shown
    assert PASSWORDS["scram_user"] not in shown
    assert uri not in shown


def test_values_that_cannot_be_read_leave_the_session_in_step(postgres_uri: str) -> None:
    """After a value that cannot be read, the next statement gets its own answer."""
    with Connection(postgres_uri) as connection, connection.transaction():
        with pytest.raises(TypeConversionError):
            connection.execute("SELECT 'infinity'::date AS d, g FROM generate_series(1, 1000) AS g")
        assert connection.execute("SELECT 7 AS a").item() == 7
        with pytest.raises(ConfigurationError):
            connection.execute("SELECT 1 AS a -- \0")
        assert connection.execute("SELECT 8 AS a").item() == 8
        assert connection.execute("SELECT '1'::money::text AS m, '2'::money AS n;").height == 1
        with pytest.raises(ConfigurationError, match="at most 65535 parameters"):
            connection.select("pg_class", where={"oid": list(range(70_000))})
        assert connection.execute("SELECT 9 AS a").item() == 9


@pytest.mark.parametrize("call", ["select", "delete", "update", "order"])
def test_columns_that_there_are_not_are_errors(connection: Connection, database: Database, call: str) -> None:
    """Missing columns are errors, even in SQLite, which would take a quoted name for a text."""
    if call == "order" and not database.has(Feature.LOOKS_UP_ORDER):
        pytest.skip("does not look")
    calls: dict[str, Callable[[], object]] = {
        "select": lambda: connection.select("person", ["nme"]),
        "delete": lambda: connection.delete("person", where={"nme": None}),
        "update": lambda: connection.update("person", {"score": None}, where={"nme": None}),
        "order": lambda: connection.select("person", order_by="nme"),
    }
    with pytest.raises(QueryExecutionError, match="nme"):
        calls[call]()
    assert persons(connection) == PERSONS


@pytest.mark.parametrize("more", ["; SELECT 1", "; DELETE FROM t; DELETE FROM t", ";;SELECT 1;", "; -- x\nBEGIN; END"])
def test_nothing_is_dropped_behind_a_statement(more: str) -> None:
    """Several statements in one call are refused, and none of them is run."""
    with Connection("sqlite://:memory:") as connection:
        connection.execute("CREATE TABLE t (a int);; -- the end")
        with pytest.raises(ConfigurationError, match="another one behind"):
            connection.execute("INSERT INTO t VALUES (1)" + more)
        assert connection.select("t").height == 0


def test_what_cannot_be_kept_is_taken_back(tmp_path: Path) -> None:
    """A transaction whose COMMIT fails by a deferred constraint is rolled back, and does not stay open."""
    with Connection(f"sqlite://{tmp_path}/made.db") as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("CREATE TABLE parent (a INTEGER PRIMARY KEY)")
        connection.execute("CREATE TABLE child (a int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
        with pytest.raises(ConstraintViolationError), connection.transaction():
            connection.execute("INSERT INTO child VALUES (1)")
        connection.execute("INSERT INTO child VALUES (NULL)")
        with connection.transaction():
            connection.execute("INSERT INTO parent VALUES (1)")
    with sqlite3.connect(tmp_path / "made.db") as other:
        assert other.execute("SELECT (SELECT count(*) FROM child), (SELECT count(*) FROM parent)").fetchone() == (1, 1)


@pytest.mark.parametrize("ending", ["INSERT OR ROLLBACK INTO t VALUES (1)", "ROLLBACK", "COMMIT"])
def test_a_transaction_that_ends_by_itself_ends_its_block(ending: str) -> None:
    """If a statement ends the transaction of a block, the block's next statement is refused."""
    with Connection("sqlite://:memory:") as connection:
        connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY)")
        connection.execute("INSERT INTO t VALUES (1)")

        def end_within() -> None:
            with connection.transaction():
                with suppress(ConstraintViolationError):
                    connection.execute(ending)
                connection.execute("INSERT INTO t VALUES (3)")

        with pytest.raises(QueryExecutionError, match="has ended"):
            end_within()
        assert connection.select("t").rows() == [(1,)]
        connection.execute("INSERT INTO t VALUES (4)")
        assert connection.select("t").height == 2


@pytest.mark.parametrize("database", ["postgresql", "sqlite"])
def test_transactions_of_statements_are_not_mixed_with_blocks(postgres_uri: str, database: str) -> None:
    """A transaction that a statement has begun must be ended by a statement before a block can begin one."""
    with Connection(postgres_uri if database == "postgresql" else "sqlite://:memory:") as connection:
        connection.execute("BEGIN")
        with pytest.raises(ConfigurationError, match="end it first"):
            connection.transaction().__enter__()
        connection.execute("CREATE TEMP TABLE mixed (a int)")
        connection.execute("COMMIT")
        assert connection.select("mixed").height == 0


def test_only_one_thread_is_in_a_transaction(tmp_path: Path) -> None:
    """Another thread cannot begin a transaction during one, and its attempt does not end that one."""
    with Connection(f"sqlite://{tmp_path}/made.db") as connection, ThreadPoolExecutor(1) as executor:
        connection.execute("CREATE TABLE t (a int)")
        with connection.transaction():
            connection.execute("INSERT INTO t VALUES (1)")
            refused = executor.submit(lambda: connection.transaction().__enter__()).exception()
        assert isinstance(refused, ConfigurationError)
        assert connection.select("t").rows() == [(1,)]


def test_blocks_that_end_in_the_wrong_order_keep_nothing() -> None:
    """Blocks that end in the wrong order, as those of two generators may, are rolled back."""
    with Connection("sqlite://:memory:") as connection:
        connection.execute("CREATE TABLE t (a int)")
        outer, inner = connection.transaction(), connection.transaction()
        outer.__enter__()
        inner.__enter__()
        connection.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(ConfigurationError, match="taken back"):
            outer.__exit__(None, None, None)
        with pytest.raises(ConfigurationError, match="taken back"):
            inner.__exit__(None, None, None)
        assert connection.select("t").height == 0


WAITING = """
import signal, sys
import industrydb
signal.signal(signal.SIGINT, signal.default_int_handler)
connection = industrydb.Connection(sys.argv[1])
print("begins", flush=True)
try:
    with connection.transaction():
        connection.execute("SELECT pg_sleep(60)")
except KeyboardInterrupt:
    print("interrupted", connection.is_closed(), flush=True)
"""


def test_the_values_of_a_frame_are_parameters(postgres_uri: str) -> None:
    """The values of a frame can be parameters, in every type that Polars gives to Python."""
    frame = pl.DataFrame(
        {
            "boolean": [True],
            "int8": pl.Series([-1], dtype=pl.Int16),
            "numeric": pl.Series([2**64 - 1], dtype=pl.UInt64),
            "float8": pl.Series([0.1], dtype=pl.Float32),
            "decimal": [Decimal("-1.50")],
            "text": pl.Series(["ä"], dtype=pl.Categorical),
            "bytea": [b"\x00\xff"],
            "date": [date(2024, 2, 29)],
            "time": [time(1, 2, 3, 4)],
            "timestamp": [datetime(2024, 2, 29, 1)],  # noqa: DTZ001
            "timestamptz": pl.Series([datetime(2024, 7, 1, tzinfo=timezone.utc)]).dt.convert_time_zone("Asia/Tokyo"),
            "interval": [timedelta(days=1, microseconds=5)],
            "int4[]": [[1, None]],
            "text[]": [[["a"], ["b"]]],
            "date[]": pl.Series([None], dtype=pl.List(pl.Date)),
        }
    )
    names = ", ".join(f'${number}::{name} AS "{name}"' for number, name in enumerate(frame.columns, 1))
    with Connection(postgres_uri) as connection:
        for values in (frame.row(0), [column[0] for column in frame]):  # lists, and Series in their place
            found = connection.execute(f"SELECT {names}", values).row(0)
            assert found == frame.row(0)


def test_ctrl_c_ends_a_statement_and_the_connection(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """Ctrl-C ends a statement, on the server as well, and closes the connection."""
    uri = with_options(postgres_uri, application_name="waiting")
    with subprocess.Popen([sys.executable, "-c", WAITING, uri], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "begins\n"
        eventually(lambda: [event for _, event in sessions(postgres, "waiting")] == ["PgSleep"])
        child.send_signal(signal.SIGINT)
        assert child.communicate(timeout=PATIENCE_S / 4)[0] == "interrupted True\n"
    eventually(lambda: not sessions(postgres, "waiting"))


HANDLED = """
import signal, sys
import industrydb
connection, other = industrydb.Connection(sys.argv[1]), industrydb.Connection(sys.argv[1])
def handle(number, frame):
    calls = [
        lambda: connection.execute("SELECT 1"), lambda: connection.insert("t", {"a": [1]}),
        lambda: industrydb.read_sql(connection, "SELECT 1"), connection.is_closed, connection.close,
    ]
    for call in calls:
        try:
            call()
        except industrydb.ConfigurationError as error:
            print(str(error).partition(":")[0], flush=True)
    waits = "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'handled' AND wait_event = 'advisory'"
    print(other.execute(waits).item(), flush=True)
def fail(number, frame):
    raise TimeoutError("late")
signal.signal(signal.SIGUSR1, handle)
signal.signal(signal.SIGUSR2, fail)
print(connection.execute("SELECT pg_advisory_lock(88)").height, flush=True)
try:
    connection.execute("SELECT pg_sleep(60)::text AS s")
except TimeoutError as error:
    print(error, connection.is_closed(), flush=True)
"""


def test_signals_are_handled_during_a_statement(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """A signal's handler runs while a statement waits; its exception ends the statement, and it cannot wait for it."""
    uri = with_options(postgres_uri, application_name="handled")

    def waits_for(event: str) -> None:
        eventually(lambda: event in [found for _, found in sessions(postgres, "handled")])

    postgres.execute("SELECT pg_advisory_lock(88)")
    with subprocess.Popen([sys.executable, "-c", HANDLED, uri], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        waits_for("advisory")
        child.send_signal(signal.SIGUSR1)
        refusal = "a signal has interrupted a call of this connection, and its handler calls it again\n"
        assert [child.stdout.readline() for _ in range(6)] == [refusal] * 5 + ["1\n"]
        postgres.execute("SELECT pg_advisory_unlock(88)")
        assert child.stdout.readline() == "1\n"
        waits_for("PgSleep")
        child.send_signal(signal.SIGUSR2)
        assert child.communicate(timeout=PATIENCE_S / 4)[0] == "late True\n"
    eventually(lambda: not sessions(postgres, "handled"))


HANDLED_BY_SQLITE = """
import signal, sys
import industrydb
connection = industrydb.Connection(sys.argv[1])
def handle(number, frame):
    try:
        print(connection.execute("SELECT 1").height, flush=True)
    except industrydb.ConfigurationError:
        print("refused", flush=True)
def fail(number, frame):
    raise TimeoutError("late")
signal.signal(signal.SIGUSR1, handle)
signal.signal(signal.SIGUSR2, fail)
connection.execute("PRAGMA busy_timeout = 60000")
print("begins", flush=True)
try:
    connection.execute(sys.argv[2])
except TimeoutError as error:
    print(error, connection.is_closed(), flush=True)
"""


@pytest.mark.parametrize(
    ("statement", "is_beside"),
    [
        (ENDLESS, False),
        ("BEGIN IMMEDIATE", False),
        (f"SELECT count(*) AS n FROM ({ENDLESS})", True),
        (f"CREATE TABLE made AS {ENDLESS}", True),
    ],
    ids=["computes", "waits for a lock", "counts", "writes"],
)
def test_sqlite_handles_signals_during_a_statement(tmp_path: Path, statement: str, is_beside: bool) -> None:  # noqa: FBT001
    """A signal's handler runs while a statement computes or waits for a lock, and its exception ends the statement.

    A statement whose instructions may look for no signal runs on another thread.
    """
    path = tmp_path / "x.db"
    command = [sys.executable, "-c", HANDLED_BY_SQLITE, f"sqlite://{path}", statement]
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE t (a)")
        other.execute("BEGIN IMMEDIATE" if statement == "BEGIN IMMEDIATE" else "SELECT 1")
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "begins\n"
            answer = ""
            while answer != "refused\n":  # the first signals may arrive before the statement begins
                child.send_signal(signal.SIGUSR1)
                answer = child.stdout.readline()
                assert answer
            # The thread that ran the PRAGMA may look for more work for a moment.
            eventually(lambda: ("industrydb-call" in running_threads(child.pid)) == is_beside)
            child.send_signal(signal.SIGUSR2)
            assert child.communicate(timeout=PATIENCE_S / 4)[0] == "late True\n"
        finally:
            child.kill()  # the statement has no end of its own
            child.communicate()


def running_threads(process: int) -> list[str]:
    """Return the names of a process's threads that compute."""
    threads = Path(f"/proc/{process}/task").iterdir()
    stats = [(thread / "stat").read_text() for thread in threads]
    return [stat[stat.index("(") + 1 : stat.rindex(")")] for stat in stats if stat[stat.rindex(")") + 2] == "R"]


def test_other_threads_run_during_a_statement(postgres_uri: str) -> None:
    """The GIL is free while a statement waits, on whichever thread it was called."""
    with Connection(postgres_uri) as connection, Connection(postgres_uri) as other, ThreadPoolExecutor() as executor:
        connection.execute("SELECT pg_advisory_lock(77)")
        waiting = executor.submit(other.execute, "SELECT pg_advisory_lock(77)")
        released = executor.submit(connection.execute, "SELECT pg_advisory_unlock(77) AS u")
        assert released.result(PATIENCE_S).item() is True
        assert waiting.result(PATIENCE_S).height == 1
        blocked = executor.submit(connection.execute, "SELECT pg_advisory_unlock(77) AS u")
        assert blocked.result(PATIENCE_S).item() is False
        waits = executor.submit(lambda: other.execute("SELECT pg_advisory_unlock(77) AS u").item())
        connection.execute("SELECT pg_advisory_lock(77)")  # on this thread, while the other one has it
        assert waits.result(PATIENCE_S) is True


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_process_leaves_the_session_alone(postgres_uri: str) -> None:
    """A forked process cannot use its parent's session, and does not end it by its own end."""
    script = """
import gc, os, sys
import industrydb
connection = industrydb.Connection(sys.argv[1])
if os.fork() == 0:
    try:
        connection.execute("SELECT 1 AS a")
    except industrydb.ConnectionClosedError:
        del connection
        gc.collect()
        os._exit(7)
print(os.waitstatus_to_exitcode(os.wait()[1]), connection.execute("SELECT 1 AS a").item())
"""
    printed = subprocess.check_output([sys.executable, "-c", script, postgres_uri], text=True, timeout=PATIENCE_S)
    assert printed == "7 1\n"
