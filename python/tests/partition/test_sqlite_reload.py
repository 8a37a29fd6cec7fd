"""Reads of an SQLite file beside a process that replaces its tables: all old rows, all new rows, or a typed error."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import industrydb
from industrydb import IndustryDbError, QueryExecutionError, QueryTimeoutError, TypeConversionError
from tests.kit.support import SqliteFile, working

# Number of reads in each way beside each writer.
READINGS = 2

# Every row holds its generation, that generation's row count, and a text made of its generation and id. So a value read
# under another column's name, or beside rows of another generation, is found.
WRITER = """
import sqlite3, sys, threading
path, uri, writer, journal = sys.argv[1:]
enough = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), enough.set()), daemon=True).start()

COLUMNS = {"id": "INTEGER PRIMARY KEY", "generation": "INTEGER", "height": "INTEGER", "s": "TEXT"}

def create(connection, table, names):
    connection.execute(f"CREATE TABLE {table} ({', '.join(f'{name} {COLUMNS[name]}' for name in names)})")

def fill(connection, table, generation):
    height = 100 + generation % 7 * 50
    connection.execute(
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {height}) "
        f"INSERT INTO {table} (id, generation, height, s) "
        f"SELECT i, {generation}, {height}, '{generation}-' || i FROM n")

def write(connection, generation):
    names = list(COLUMNS)
    if generation % 2:
        names[1:3] = reversed(names[1:3])  # the same types in another order
    if writer in ("delete", "vacuum"):
        connection.execute("BEGIN")
        connection.execute("DELETE FROM t")
        fill(connection, "t", generation)
        connection.execute("COMMIT")
        if writer == "vacuum":
            connection.execute("VACUUM")
    elif writer == "drop":
        connection.execute("BEGIN")
        connection.execute("DROP TABLE t")
        create(connection, "t", names)
        fill(connection, "t", generation)
        connection.execute("COMMIT")
    elif writer == "swap":
        create(connection, "other", names)
        fill(connection, "other", generation)
        connection.execute("BEGIN")
        connection.execute("ALTER TABLE t RENAME TO old")
        connection.execute("ALTER TABLE other RENAME TO t")
        connection.execute("DROP TABLE old")
        connection.execute("COMMIT")
    elif writer == "alter":
        connection.execute("ALTER TABLE t ADD COLUMN extra REAL DEFAULT 0.5")
        connection.execute("ALTER TABLE t RENAME COLUMN extra TO another")
        connection.execute("ALTER TABLE t DROP COLUMN another")
    else:
        height = 100 + generation % 7 * 50
        ids = range(1, height + 1)
        frame = pl.DataFrame({
            "id": ids, "generation": [generation] * height, "height": [height] * height,
            "s": [f"{generation}-{i}" for i in ids]})
        try:
            industrydb.write_sql(frame, "t", uri, if_exists="replace")
        except industrydb.IndustryDbError as error:
            assert error.code == "SQLITE_BUSY", error

connection = sqlite3.connect(path, isolation_level=None, timeout=60)
connection.execute(f"PRAGMA journal_mode = {journal}")
connection.execute("PRAGMA synchronous = OFF")
create(connection, "t", list(COLUMNS))
fill(connection, "t", 0)
if writer == "replace":
    connection.close()
    import industrydb
    import polars as pl
print("begun", flush=True)
generation = 0
while not enough.is_set():
    generation += 1
    write(connection, generation)
print(generation)
"""


def writing(file: SqliteFile, writer: str, journal: str) -> AbstractContextManager[None]:
    """Replace the table repeatedly, in another process: SQLite copies in one process drop each other's locks."""
    file.connection.close()
    return working(WRITER, str(file.path), file.uri, writer, journal, least=1)


QUERY = "SELECT * FROM t"
KEY: dict[str, Any] = {"partition_on": "id", "partitions": 3}
Way = Callable[[str, Path], list[pl.DataFrame]]


def _connection(uri: str, _: Path) -> list[pl.DataFrame]:
    with industrydb.Connection.from_uri(uri) as connection:
        return [connection.execute(QUERY), connection.select("t"), connection.execute(QUERY)]


def _extract(uri: str, target: Path, **options: object) -> list[pl.DataFrame]:
    industrydb.extract(uri, QUERY, target, **options)  # type: ignore[arg-type]
    return [pl.read_parquet(target / "*.parquet")]


def _parts(uri: str, _: Path) -> list[pl.DataFrame]:
    plan = industrydb.plan_sql(uri, QUERY, **KEY)
    return [plan.read(index) for index in range(len(plan))]


def _list(uri: str, _: Path) -> list[pl.DataFrame]:
    frame = industrydb.read_sql(uri, [f"{QUERY} WHERE id % 2 = 0", f"{QUERY} WHERE id % 2 = 1"])
    return [frame.sort("id")]


# The ways to read, each with a list of frames. Every frame must be of one moment.
WAYS: dict[str, Way] = {
    "read": lambda uri, _: [industrydb.read_sql(uri, QUERY)],
    "params": lambda uri, _: [industrydb.read_sql(uri, f"{QUERY} WHERE id > ?", params=[-1])],
    "partitions on a key": lambda uri, _: [industrydb.read_sql(uri, QUERY, **KEY)],
    "partitions of the rows": lambda uri, _: [industrydb.read_sql(uri, QUERY, partitions=3)],
    "partitions over one connection": lambda uri, _: [industrydb.read_sql(uri, QUERY, **KEY, max_connections=1)],
    "a list of queries": _list,
    "partitions of their own moment": lambda uri, _: [industrydb.read_sql(uri, QUERY, **KEY, snapshot=False)],
    "batches": lambda uri, _: [pl.concat(industrydb.read_sql_batches(uri, QUERY, batch_size=70))],
    "batches of partitions": lambda uri, _: [pl.concat(industrydb.read_sql_batches(uri, QUERY, **KEY, batch_size=70))],
    "batches of an expression": lambda uri, _: [
        pl.concat(industrydb.read_sql_batches(uri, "SELECT *, generation + 0 AS again FROM t", **KEY))
    ],
    "scan": lambda uri, _: [industrydb.scan_sql(uri, QUERY, **KEY).collect()],
    "scan with a filter": lambda uri, _: [industrydb.scan_sql(uri, QUERY).filter(pl.col("id") > 0).collect()],
    "extract": lambda uri, target: _extract(uri, target, **KEY),
    "extract since": lambda uri, target: _extract(uri, target, since="generation"),
    "plan": lambda uri, _: [industrydb.plan_sql(uri, QUERY, **KEY).read()],
    "parts of a plan": _parts,
    "connection": _connection,
}


def check(frame: pl.DataFrame, way: str, journal: str) -> None:
    """Assert that the rows are consistent, of one generation and complete, as far as the way to read promises this."""
    assert set(frame.columns) - {"extra", "another", "again"} == {"id", "generation", "height", "s"}, frame
    for row in frame.iter_rows(named=True):
        assert row["s"] == f"{row['generation']}-{row['id']}", row
        assert row["height"] == 100 + row["generation"] % 7 * 50, row
        assert row.get("extra", 0.5) == row.get("another", 0.5) == 0.5, row
    if way == "partitions of their own moment" and journal == "WAL":
        return
    if way == "extract since" and not frame.height:
        return  # the next call reads the generation that has come meanwhile
    assert frame["generation"].n_unique() <= 1, frame
    if way != "parts of a plan":
        assert frame["id"].to_list() == list(range(1, frame["height"][0] + 1)), frame


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
@pytest.mark.parametrize("writer", ["delete", "drop", "swap", "alter", "vacuum", "replace"])
def test_every_read_beside_a_reload_is_of_one_moment(
    sqlite_file: SqliteFile, tmp_path: Path, writer: str, journal: str
) -> None:
    """Every way of reading returns the rows of one moment, or raises a typed error."""
    outcomes: Counter[str] = Counter()
    with writing(sqlite_file, writer, journal):
        for way, read in WAYS.items():
            for number in range(READINGS):
                try:
                    frames = read(sqlite_file.uri, tmp_path / f"{way} {number}")
                except IndustryDbError as error:
                    outcomes[f"{way}: {type(error).__name__} {error.code}"] += 1
                    continue
                outcomes["read"] += 1
                for frame in frames:
                    check(frame, way, journal)
    print(writer, journal, dict(outcomes))
    assert outcomes["read"]  # the number depends on the machine: beside the writer "alter", most reads raise


def change(file: SqliteFile, sql: str) -> None:
    """Run statements in another process."""
    code = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(sys.argv[2])"
    subprocess.run([sys.executable, "-c", code, str(file.path), sql], check=True)


CHANGES = [
    "DROP TABLE t; CREATE TABLE t (b INTEGER, a INTEGER); INSERT INTO t VALUES (2, 1), (4, 3)",
    "DROP TABLE t; CREATE TABLE t (a INTEGER, b REAL); INSERT INTO t VALUES (1, 2.5), (3, 4.5)",
    "ALTER TABLE t ADD COLUMN c TEXT DEFAULT 'x'",
    "ALTER TABLE t DROP COLUMN b",
    "ALTER TABLE t RENAME COLUMN b TO c",
]


@pytest.fixture
def two(sqlite_file: SqliteFile) -> SqliteFile:
    """Create a table of two rows, and close the file."""
    sqlite_file.connection.executescript("CREATE TABLE t (a INTEGER, b INTEGER); INSERT INTO t VALUES (1, 2), (3, 4)")
    sqlite_file.connection.close()
    return sqlite_file


@pytest.mark.parametrize("sql", CHANGES)
def test_a_kept_connection_describes_a_changed_table_anew(two: SqliteFile, sql: str) -> None:
    """A kept connection reads a changed table with its new columns, although SQLite still reports the old ones."""
    with industrydb.Connection.from_uri(two.uri) as connection:
        assert connection.execute("SELECT * FROM t").rows() == [(1, 2), (3, 4)]
        change(two, sql)
        found = connection.execute("SELECT * FROM t")
        assert found.equals(industrydb.read_sql(two.uri, "SELECT * FROM t"))
        change(two, "DROP TABLE t; CREATE TABLE t (d TEXT, a INTEGER)")
        assert connection.execute("INSERT INTO t VALUES ('x', 1) RETURNING *").rows(named=True) == [{"d": "x", "a": 1}]


@pytest.mark.parametrize("sql", CHANGES)
def test_a_plan_is_not_read_with_other_columns(two: SqliteFile, sql: str) -> None:
    """A plan raises if the table's columns have changed since, rather than combine rows of both."""
    plan = industrydb.plan_sql(two.uri, "SELECT * FROM t", partition_on="a", partitions=2)
    assert plan.read(0).columns == ["a", "b"]
    change(two, sql)
    for index in (None, 1):
        with pytest.raises((QueryExecutionError, TypeConversionError), match="plan the read again"):
            plan.read(index)


def test_a_plan_of_a_compound_query_is_read(two: SqliteFile) -> None:
    """A UNION's plan is readable, although SQLite reports its first arm's types, and its last arm's in a subquery."""
    query = "SELECT a, b FROM t UNION ALL SELECT b, CAST(a AS TEXT) FROM t"
    plan = industrydb.plan_sql(two.uri, query, partition_on="a", partitions=2)
    assert pl.concat([plan.read(i) for i in range(len(plan))])["a"].sort().to_list() == [1, 2, 3, 4]


@pytest.mark.parametrize("options", [{}, KEY, KEY | {"snapshot": False}], ids=["whole", "partitions", "apart"])
def test_a_wait_for_a_writer_ends_with_the_time(two: SqliteFile, options: dict[str, Any]) -> None:
    """Waiting for a writer that never ends stops at `timeout`, or at the busy timeout with an error about WAL mode."""
    code = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("begun", flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", code, str(two.path)]
    query = "SELECT a AS id FROM t"
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "begun\n"
        with pytest.raises(QueryTimeoutError):
            industrydb.read_sql(two.uri, query, **options, timeout=0.2)
        if not options:  # takes the 5 s of the default busy timeout
            with pytest.raises(industrydb.DatabaseConnectionError, match="journal_mode = WAL") as raised:
                industrydb.read_sql(two.uri, query)
            assert raised.value.code == "SQLITE_BUSY"
        child.communicate()
