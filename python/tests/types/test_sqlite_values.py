"""Unusual SQLite tables, files and values."""

import sqlite3
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

import industrydb
from tests.kit.support import SqliteFile

# Each creates a table or view `t` with some rows.
TABLES = {
    "without rowid": "CREATE TABLE t (k TEXT PRIMARY KEY, v REAL) WITHOUT ROWID; INSERT INTO t VALUES ('b', 1)",
    "strict": "CREATE TABLE t (i INT, a ANY) STRICT; INSERT INTO t VALUES (1, 'x'), (2, 'y')",
    "view": "CREATE TABLE b (i INT); INSERT INTO b VALUES (1); CREATE VIEW t AS SELECT i AS j, i + 1 FROM b",
    "generated": "CREATE TABLE t (i INT, d INT AS (i * 2) STORED, e AS (i || 'x')); INSERT INTO t VALUES (1), (2)",
    "rowid alias": "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (-5, NULL), (7, 0.5)",
    "odd names": 'CREATE TABLE t ("a ""b""" INT, [c d] INT, `e;f` INT, "größe" INT); INSERT INTO t VALUES (1, 2, 3, 4)',
    "late values": """CREATE TABLE t (a, b INTEGER); INSERT INTO t
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
        SELECT iif(i > 4990, i, NULL), iif(i > 4990, i, NULL) FROM n""",
}


@pytest.mark.parametrize("script", TABLES.values(), ids=TABLES.keys())
def test_tables_of_all_kinds(sqlite_file: SqliteFile, script: str) -> None:
    """Tables and views of all kinds have sqlite3's column names and rows."""
    sqlite_file.connection.executescript(script)
    cursor = sqlite_file.connection.execute("SELECT * FROM t")
    frame = industrydb.read_sql(sqlite_file.uri, "SELECT * FROM t")
    assert frame.columns == [name for name, *_ in cursor.description]
    assert frame.rows() == cursor.fetchall()


EXPRESSIONS = [
    ("count(*)", pl.Int64()),
    ("total(1)", pl.Float64()),
    ("'a' || 'b'", pl.String()),
    ("x'00ff'", pl.Binary()),
    ("NULL", pl.Null()),
    ("max(1, 2.5)", pl.Float64()),
    ("1 = 1", pl.Int64()),
    ("date('2024-02-29')", pl.String()),
    ("9223372036854775807", pl.Int64()),
    ("-9223372036854775808", pl.Int64()),
    ("json_object('ä', 1)", pl.String()),
    ("'a' || char(0) || 'b'", pl.String()),
    ("CAST(x'c3a4' AS TEXT)", pl.String()),
]


@pytest.mark.parametrize(("expression", "dtype"), EXPRESSIONS)
def test_expressions_have_the_type_of_their_values(
    sqlite_file: SqliteFile, expression: str, dtype: pl.DataType
) -> None:
    """An expression, which has no declared type, has the type of its value, and SQLite's name."""
    cursor = sqlite_file.connection.execute(f"SELECT {expression}")
    frame = industrydb.read_sql(sqlite_file.uri, f"SELECT {expression}")
    assert frame.columns == [name for name, *_ in cursor.description]
    assert frame.dtypes == [dtype]
    assert frame.rows() == cursor.fetchall()


def test_many_texts(sqlite_file: SqliteFile) -> None:
    """A hundred thousand texts of many lengths are read unchanged."""
    sqlite_file.connection.executescript("""
        CREATE TABLE t (i INTEGER PRIMARY KEY, v TEXT);
        INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
        SELECT i, CASE WHEN i % 10 THEN substr('Ünïcödé text of a fair length ' || i * i, 1, i % 45) END FROM n
    """)
    expected = sqlite_file.connection.execute("SELECT v FROM t ORDER BY i").fetchall()
    for partitions in (1, 3):
        frame = industrydb.read_sql(sqlite_file.uri, "SELECT v, i FROM t", partition_on="i", partitions=partitions)
        assert frame.select("v").rows() == expected


def test_long_values(sqlite_file: SqliteFile) -> None:
    """Values longer than any buffer, and texts with NULs, are read unchanged."""
    rows = [("é" * 3_000_000, b"\0\xff" * 5_000_000), ("a\0b\0" * 10, b"\0" * 12), ("", b"")]
    sqlite_file.connection.execute("CREATE TABLE t (v TEXT, w BLOB)")
    sqlite_file.connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
    assert industrydb.read_sql(sqlite_file.uri, "SELECT * FROM t").rows() == rows


@pytest.mark.parametrize("sql", ["CAST(x'ff' AS TEXT)", "CAST(x'61616161616161616161616161e282' AS TEXT)"])
def test_text_that_is_no_utf8_is_named(sqlite_file: SqliteFile, sql: str) -> None:
    """A text that is not UTF-8 raises an error with its column and row; nothing is replaced."""
    sqlite_file.connection.execute('CREATE TABLE t ("Größe" TEXT)')
    sqlite_file.connection.execute(f"INSERT INTO t VALUES ('fine'), ({sql})")
    with pytest.raises(industrydb.TypeConversionError, match=r'"Größe".*row 2.*not UTF-8'):
        industrydb.read_sql(sqlite_file.uri, "SELECT * FROM t")
    assert industrydb.read_sql(sqlite_file.uri, 'SELECT CAST("Größe" AS BLOB) AS b FROM t').dtypes == [pl.Binary]


@pytest.mark.parametrize("encoding", ["UTF-16le", "UTF-16be"])
def test_files_in_utf16(tmp_path: Path, encoding: str) -> None:
    """Texts and names of a UTF-16 file are read, as SQLite converts them to UTF-8."""
    texts = ["", "é€𝄞", "a text of more than twelve bytes: ü", "a\0b", None, "x" * 100_000]
    path = tmp_path / "utf16.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA encoding = '{encoding}'")
        connection.execute('CREATE TABLE "tä" ("sö" TEXT, i INTEGER)')
        connection.executemany('INSERT INTO "tä" VALUES (?, ?)', [(text, i) for i, text in enumerate(texts)])
    frame = industrydb.read_sql(f"sqlite://{path}", 'SELECT * FROM "tä"', partition_on="i", partitions=2)
    assert frame.columns == ["sö", "i"]
    assert frame["sö"].to_list() == texts


def test_floats_as_text_are_the_same_floats(sqlite_file: SqliteFile) -> None:
    """A column of floats and one text is text that keeps every bit of the floats."""
    floats = [0.1, 1e300, 5e-324, 1 / 3, -2.5e-7, 1e15, 123456789012345680.0]
    sqlite_file.connection.execute("CREATE TABLE t (v)")
    sqlite_file.connection.executemany("INSERT INTO t VALUES (?)", [(value,) for value in [*floats, "n/a"]])
    texts = industrydb.read_sql(sqlite_file.uri, "SELECT v FROM t")["v"].to_list()
    assert texts.pop() == "n/a"
    assert [float(text) for text in texts] == floats
