"""A query that a `Connection` to SQLite repeats is compiled once, and returns what it would return the first time."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Timer

import polars as pl
import pytest

from industrydb import Connection, ConnectionClosedError, QueryExecutionError

QUERY = "SELECT * FROM t WHERE id = ?"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Make a file with a table of three rows."""
    made = tmp_path / "repeated.db"
    with closing(sqlite3.connect(made)) as connection, connection:
        connection.executescript(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 10), (2, 20), (3, 30);"
        )
    return made


@pytest.fixture
def connection(path: Path) -> Iterator[Connection]:
    """Connect to the file."""
    with Connection(f"sqlite://{path}") as opened:
        yield opened


CHANGES = {
    "type": ["CREATE TABLE t (id INTEGER, v TEXT)", "INSERT INTO t VALUES (3, 'a')"],
    "columns": ["CREATE TABLE t (id INTEGER, w REAL, v INT)", "INSERT INTO t VALUES (3, 0.5, 7)"],
    "rows": ["CREATE TABLE t (id INTEGER, v INT)", "INSERT INTO t VALUES (3, 31), (3, 32)"],
    "view": ["CREATE VIEW t AS SELECT 3 AS id, 'of a view' AS v"],
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("ours", [True, False], ids=["by itself", "by another connection"])
def test_the_table_is_changed(path: Path, connection: Connection, change: str, ours: bool) -> None:  # noqa: FBT001
    """Another table, or a view, that takes the name has its own columns, types and rows at once."""
    for _ in range(3):
        assert connection.execute(QUERY, [3]).rows() == [(3, 30)]
    statements = ["DROP TABLE t", *CHANGES[change]]
    if ours:
        for statement in statements:
            connection.execute(statement)
    else:
        with Connection(f"sqlite://{path}") as other:
            for statement in statements:
                other.execute(statement)
    with closing(sqlite3.connect(path)) as independent:
        expected = independent.execute(QUERY, [3])
        names, rows = [column[0] for column in expected.description], expected.fetchall()
    for _ in range(3):
        found = connection.execute(QUERY, [3])
        assert (found.columns, found.rows()) == (names, rows)


def test_names_mean_other_tables(path: Path, connection: Connection) -> None:
    """A temporary table hides the table of its name while it is there; an attached file's table is no other's."""
    query = "SELECT v FROM t WHERE id = 3"

    def value() -> object:
        return connection.execute(query).item()

    assert [value(), value()] == [30, 30]
    connection.execute("CREATE TEMP TABLE t (id INTEGER, v TEXT)")
    connection.execute("INSERT INTO temp.t VALUES (3, 'hides')")
    assert [value(), value()] == ["hides", "hides"]
    connection.execute("DROP TABLE temp.t")
    assert [value(), value()] == [30, 30]
    connection.execute(f"ATTACH '{path.parent / 'other.db'}' AS other")
    connection.execute("CREATE TABLE other.x (v)")
    connection.execute("INSERT INTO other.x VALUES ('attached')")
    assert [connection.execute("SELECT v FROM x").item() for _ in range(2)] == ["attached"] * 2
    connection.execute("CREATE TABLE main.x (v)")
    connection.execute("INSERT INTO main.x VALUES ('nearer')")
    assert [connection.execute("SELECT v FROM x").item() for _ in range(2)] == ["nearer"] * 2
    connection.execute("DROP TABLE main.x")
    connection.execute("DETACH other")
    with pytest.raises(QueryExecutionError, match="no such table: x"):
        connection.execute("SELECT v FROM x")


def test_a_view_becomes_a_count(connection: Connection) -> None:
    """A kept query whose view counts rows now, which runs elsewhere, has the new rows."""
    query = "SELECT n FROM v"
    connection.execute("CREATE TEMP VIEW v AS SELECT 1 AS n")
    assert [connection.execute(query).item() for _ in range(2)] == [1, 1]
    connection.execute("DROP VIEW v")
    connection.execute("CREATE TEMP VIEW v AS SELECT count(*) AS n FROM t")
    assert [connection.execute(query).item() for _ in range(2)] == [3, 3]
    connection.execute("DROP VIEW v")
    connection.execute("CREATE TEMP VIEW v AS SELECT 1 AS n")
    assert [connection.execute(query).item() for _ in range(2)] == [1, 1]


def test_settings_of_the_connection(connection: Connection) -> None:
    """A PRAGMA that changes what a query means, or does not let it write, counts from the next time on."""
    query = "SELECT 'A' LIKE 'a' AS v"
    assert [connection.execute(query).item() for _ in range(2)] == [1, 1]
    connection.execute("PRAGMA case_sensitive_like = ON")
    assert [connection.execute(query).item() for _ in range(2)] == [0, 0]
    descending = "SELECT group_concat(v) AS v FROM (SELECT v FROM t)"
    assert [connection.execute(descending).item() for _ in range(2)] == ["10,20,30"] * 2
    connection.execute("PRAGMA reverse_unordered_selects = ON")
    assert [connection.execute(descending).item() for _ in range(2)] == ["30,20,10"] * 2


def test_the_timeout_of_locks(path: Path, connection: Connection) -> None:
    """A repeated query waits for a lock as long as the connection's last PRAGMA says."""
    connection.execute("PRAGMA busy_timeout = 0")
    assert [connection.execute(QUERY, [1]).height for _ in range(2)] == [1, 1]
    with Connection(f"sqlite://{path}") as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(QueryExecutionError, match="locked"):
            connection.execute(QUERY, [1])
        connection.execute("PRAGMA busy_timeout = 60000")
        release = Timer(0.2, other.execute, ["COMMIT"])
        release.start()
        assert connection.execute(QUERY, [1]).height == 1
        release.join()


def test_parameters_and_types_are_those_of_the_call(connection: Connection) -> None:
    """Each call has its own values, and a column without a type the type of its own rows."""
    query = "SELECT ?1 AS v"
    for value in (1, "one", None, b"\0", 0.5, 2**62):
        assert connection.execute(query, [value]).item() == value
    overridden = "SELECT v FROM t WHERE id < 3"
    assert connection.execute(overridden).schema == {"v": pl.Int64}
    assert connection.execute(overridden)["v"].to_list() == [10, 20]


def test_a_query_leaves_no_lock_behind(path: Path, connection: Connection) -> None:
    """A kept query holds no lock on the file, nor does a failed one, and others can drop its table."""
    for _ in range(3):
        assert connection.execute("SELECT * FROM t").height == 3
        with pytest.raises(QueryExecutionError, match="integer overflow"):
            connection.execute("SELECT abs(-9223372036854775808) FROM t")
    with closing(sqlite3.connect(path, timeout=0)) as other, other:
        other.execute("DELETE FROM t WHERE id = 1")
    assert connection.execute("SELECT * FROM t").height == 2


def test_more_queries_than_are_kept(connection: Connection) -> None:
    """Of many queries, each returns its own rows, and closing the connection ends them all."""
    for _ in range(2):
        for number in range(40):
            assert connection.execute(f"SELECT v + {number} AS v FROM t WHERE id = 1").item() == 10 + number
    connection.close()
    with pytest.raises(ConnectionClosedError):
        connection.execute("SELECT 1")
