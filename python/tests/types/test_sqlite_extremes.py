"""SQLite's limits, and tables of every kind."""

import sqlite3

import polars as pl
import pytest

import industrydb
from tests.kit.support import SqliteFile


def test_as_many_columns_as_sqlite_has(sqlite_file: SqliteFile) -> None:
    """A table with SQLite's maximum of 2000 columns, of all kinds and with NULLs, is read."""
    kinds = ("INTEGER", "TEXT", "REAL", "DATE", "")
    columns = [f'"column {number}" {kinds[number % len(kinds)]}' for number in range(2000)]
    connection = sqlite_file.connection
    connection.execute(f"CREATE TABLE wide ({', '.join(columns)})")
    values = (1, "text", 0.5, "2024-02-29", None)
    literals = ("1", "'text'", "0.5", "'2024-02-29'", "NULL")
    row = ", ".join(literals[number % len(literals)] for number in range(2000))
    connection.execute(f"INSERT INTO wide VALUES ({row}), ({row})")
    for split in (None, "column 0"):
        frame = industrydb.read_sql(sqlite_file.uri, "SELECT * FROM wide", partition_on=split)
        assert frame.shape == (2, 2000)
        assert frame.dtypes[:5] == [pl.Int64, pl.String, pl.Float64, pl.Date, pl.Null]
        assert frame.select(pl.all().cast(pl.String)).row(1) == tuple(
            None if value is None else str(value) for value in values * 400
        )


def test_a_large_blob(sqlite_file: SqliteFile) -> None:
    """A blob of 100 MB is read whole, and so are the small ones around it."""
    size = 100_000_000
    connection = sqlite_file.connection
    connection.execute("CREATE TABLE large (id INTEGER PRIMARY KEY, b BLOB)")
    connection.execute("INSERT INTO large VALUES (1, x'00'), (2, zeroblob(?)), (3, x'ff')", [size])
    frame = industrydb.read_sql(sqlite_file.uri, "SELECT b FROM large")
    assert frame["b"].bin.size().to_list() == [1, size, 1]
    assert frame["b"][2] == b"\xff"
    assert not any(frame["b"][1])


@pytest.mark.parametrize(
    ("definition", "values"),
    [
        ("(k INTEGER, v TEXT, r REAL, b BLOB, a ANY) STRICT", (7, "x", 1.5, b"\0", "any")),
        ("(k INTEGER PRIMARY KEY, v TEXT) STRICT, WITHOUT ROWID", (7, "x")),
        ("(k INTEGER, v TEXT GENERATED ALWAYS AS ('v' || k) STORED)", (7,)),
        ("(k INTEGER, v INTEGER AS (k * 2) VIRTUAL, w TEXT AS (v || '') VIRTUAL)", (7,)),
    ],
)
def test_tables_of_all_makes(sqlite_file: SqliteFile, definition: str, values: tuple[object, ...]) -> None:
    """Strict tables and tables with generated columns are read, whole and in partitions."""
    connection = sqlite_file.connection
    connection.execute(f"CREATE TABLE made {definition}")
    stored = [row for row in connection.execute("PRAGMA table_xinfo(made)") if row[6] == 0]
    names = ", ".join(row[1] for row in stored)
    places = ", ".join("?" * len(values))
    connection.execute(f"INSERT INTO made ({names}) VALUES ({places})", values)
    connection.execute("CREATE VIEW seen AS SELECT * FROM made")
    expected = connection.execute("SELECT * FROM made").fetchall()
    for relation in ("made", "seen"):
        query = f"SELECT * FROM {relation}"
        assert industrydb.read_sql(sqlite_file.uri, query).rows() == expected
        assert industrydb.read_sql(sqlite_file.uri, query, partition_on="k", partitions=3).rows() == expected
    assert industrydb.read_sql(sqlite_file.uri, "SELECT * FROM made", partitions=3).rows() == expected


def test_a_first_row_of_nulls(sqlite_file: SqliteFile) -> None:
    """After a first row of NULLs, a column has its declared type, or without one, the type of its first value."""
    connection = sqlite_file.connection
    connection.execute("CREATE TABLE late (i INTEGER, t TEXT, n, d DATE)")
    connection.execute("INSERT INTO late VALUES (NULL, NULL, NULL, NULL), (1, 'a', 2.5, '2024-02-29')")
    frame = industrydb.read_sql(sqlite_file.uri, "SELECT *, i + 1 AS e FROM late")
    assert frame.dtypes == [pl.Int64, pl.String, pl.Float64, pl.Date, pl.Int64]
    assert frame.row(0) == (None,) * 5


def test_integers_that_no_float_equals(sqlite_file: SqliteFile) -> None:
    """Integers beyond 2^53 stay exact: beside floats they are text, unless SQLite has rounded them in a REAL column."""
    connection = sqlite_file.connection
    connection.execute("CREATE TABLE large (r REAL, n NUMERIC, a)")
    number = 2**53 + 1
    connection.execute("INSERT INTO large VALUES (?, ?, ?), (0.5, 0.5, 0.5)", [number] * 3)
    frame = industrydb.read_sql(sqlite_file.uri, "SELECT * FROM large")
    assert frame.dtypes == [pl.Float64, pl.String, pl.String]
    stored = connection.execute("SELECT r, CAST(n AS TEXT), CAST(a AS TEXT) FROM large").fetchall()
    assert frame.rows() == stored


def test_the_versions_of_sqlite(sqlite_file: SqliteFile) -> None:
    """Reads do not depend on the interpreter's own SQLite, which may be older than the library's."""
    version = industrydb.read_sql(sqlite_file.uri, "SELECT sqlite_version() AS v").item()
    assert tuple(map(int, version.split("."))) >= sqlite3.sqlite_version_info
