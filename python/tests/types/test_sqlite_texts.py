"""SQLite's texts with a collation that is not known here, and texts that are not UTF-8."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import industrydb
from industrydb import QueryExecutionError, TypeConversionError
from tests.kit.support import SqliteFile

ROWS = 2000
QUERY = "SELECT i, s, n FROM t"


@pytest.fixture
def collated(tmp_path: Path) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    """Create a file whose collation belongs to another program; yield its URI and rows."""
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as connection:
        # Longer texts come first.
        connection.create_collation("own", lambda a, b: (len(b) > len(a)) - (len(b) < len(a)) or (a > b) - (a < b))
        connection.execute("CREATE TABLE t (i INTEGER PRIMARY KEY, s TEXT COLLATE own, n NUMERIC)")
        connection.execute("CREATE TABLE w (s TEXT COLLATE own PRIMARY KEY, n INTEGER) WITHOUT ROWID")
        connection.execute("CREATE INDEX by_text ON t (s)")
        connection.execute("BEGIN")
        rows = [(i, f"x{i % 1500}", i % 7) for i in range(ROWS)]
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
        connection.executemany("INSERT INTO w VALUES (?, ?)", [(f"x{i}", i) for i in range(ROWS)])
        connection.execute("COMMIT")
        yield f"sqlite://{tmp_path}/a.db", connection.execute(QUERY).fetchall()


def test_ranges_of_other_columns_need_no_collation(collated: tuple[str, list[tuple[Any, ...]]], tmp_path: Path) -> None:
    """Every way of reading works without the collation, with every key but the text itself."""
    uri, rows = collated
    ways: list[dict[str, Any]] = [{}, {"partitions": 3}, *({"partition_on": key, "partitions": 3} for key in "in")]
    for given in ways:
        assert industrydb.read_sql(uri, QUERY, **given).sort("i").rows() == rows, given
        assert pl.concat(industrydb.read_sql_batches(uri, QUERY, **given)).sort("i").rows() == rows, given
        assert industrydb.scan_sql(uri, QUERY, **given).collect().sort("i").rows() == rows, given
        assert industrydb.plan_sql(uri, QUERY, **given).read().sort("i").rows() == rows, given
        folder = tmp_path / f"x{len(given)}{given.get('partition_on')}"
        assert industrydb.extract(uri, QUERY, folder, **given).rows == ROWS
    lazy = industrydb.scan_sql(uri, QUERY)
    for condition in (pl.col("s") == "x7", pl.col("s") != "x7", pl.col("s").is_in(["x7", "y"]), pl.col("i") > 1990):
        expected = pl.DataFrame(rows, ["i", "s", "n"], orient="row").filter(condition)
        assert lazy.filter(condition).collect().select("i", "s").rows() == expected.select("i", "s").rows()
    assert industrydb.extract(uri, QUERY, tmp_path / "since", since="i", partition_on="i", partitions=3).rows == ROWS
    assert industrydb.read_sql(uri, "SELECT s, n FROM w").height == ROWS
    assert industrydb.read_sql(uri, "SELECT s, n FROM w", partition_on="n", partitions=3).height == ROWS


@pytest.mark.parametrize(
    "query",
    [
        "SELECT i FROM t WHERE s = 'x7'",
        "SELECT i FROM t WHERE s > 'x7'",
        "SELECT i FROM t WHERE s IN ('x7', 'x8')",
        "SELECT DISTINCT s FROM t",
        "SELECT s, count(*) AS n FROM t GROUP BY s",
        "SELECT max(s) AS s FROM t NOT INDEXED",
        "SELECT count(DISTINCT s) AS n FROM t",
        "SELECT a.i FROM t AS a JOIN t AS b USING (s)",
        "SELECT s FROM t NOT INDEXED ORDER BY s LIMIT 1",
        "SELECT EXISTS (SELECT 1 FROM t WHERE s = 'none') AS e",
        "SELECT (SELECT i FROM t WHERE s = 'x7') AS e",
        "SELECT i FROM t WHERE s BETWEEN 'x1' AND 'x2'",
        "SELECT s FROM t UNION SELECT 'a'",
        "SELECT CASE s WHEN 'x7' THEN 1 ELSE 0 END AS e FROM t",
    ],
)
def test_what_compares_by_an_unknown_collation_is_an_error(
    collated: tuple[str, list[tuple[Any, ...]]], query: str
) -> None:
    """A query that compares by an unknown collation raises, and never returns the rows of another order."""
    uri, _ = collated
    with pytest.raises(QueryExecutionError, match="no such collation sequence: own"):
        industrydb.read_sql(uri, query)
    with pytest.raises(QueryExecutionError, match="no such collation sequence: own"):
        list(industrydb.read_sql_batches(uri, query))


def test_the_text_itself_divides_nothing(collated: tuple[str, list[tuple[Any, ...]]]) -> None:
    """A key with an unknown collation is refused, with advice to use COLLATE BINARY, which works."""
    uri, _ = collated
    cases: list[tuple[str, dict[str, Any]]] = [(QUERY, {"partition_on": "s"}), ("SELECT s, n FROM w", {})]
    for query, given in cases:
        with pytest.raises(QueryExecutionError, match="COLLATE BINARY") as raised:
            industrydb.read_sql(uri, query, partitions=3, **given)
        assert str(raised.value.code).startswith("SQLITE_ERROR")
    query = "SELECT i, s COLLATE BINARY AS s FROM t"
    assert industrydb.read_sql(uri, query, partition_on="s", partitions=3).height == ROWS


BAD = "CAST(x'6bff' AS TEXT)"


@pytest.mark.parametrize("declared", ["", "TEXT", "INTEGER", "DATETIME"])
@pytest.mark.parametrize("values", [(BAD, "x'00'"), ("x'00'", BAD), (BAD, "1"), ("'a'", BAD)])
def test_what_is_no_text_is_refused_however_it_is_read(
    sqlite_file: SqliteFile, declared: str, values: tuple[str, str]
) -> None:
    """A text that is not UTF-8 is refused in every way of reading, whatever is before it or in another partition."""
    sqlite_file.connection.execute(f"CREATE TABLE t (i INTEGER PRIMARY KEY, v {declared})")
    sqlite_file.connection.execute(f"INSERT INTO t VALUES (1, {values[0]}), (1000, {values[1]})")
    uri, query = sqlite_file.uri, "SELECT i, v FROM t"
    for given in WAYS:
        with pytest.raises(TypeConversionError, match=r'column "v".*is not UTF-8'):
            industrydb.read_sql(uri, query, **given)
        with pytest.raises(TypeConversionError, match='column "v"'):
            list(industrydb.read_sql_batches(uri, query, **given))
        with pytest.raises(TypeConversionError, match='column "v"'):
            industrydb.scan_sql(uri, query, **given).collect()


WAYS: list[dict[str, Any]] = [{}, {"partition_on": "i", "partitions": 2, "partition_range": (1, 1000)}]


@pytest.mark.parametrize("values", [(BAD, "x'00'"), ("x'00'", BAD), ("'a'", BAD)])
def test_what_is_no_text_can_be_asked_for_as_bytes(sqlite_file: SqliteFile, values: tuple[str, str]) -> None:
    """A text that is not UTF-8 is read as its bytes on request, in one partition or in several."""
    sqlite_file.connection.execute("CREATE TABLE t (i INTEGER PRIMARY KEY, v TEXT)")
    sqlite_file.connection.execute(f"INSERT INTO t VALUES (1, {values[0]}), (1000, {values[1]})")
    expected = sqlite_file.connection.execute("SELECT i, CAST(v AS BLOB) FROM t").fetchall()
    for given in WAYS:
        read = industrydb.read_sql(sqlite_file.uri, "SELECT i, v FROM t", schema_overrides={"v": pl.Binary}, **given)
        assert read.rows() == expected


def test_a_column_of_bytes_keeps_texts_of_any_kind(sqlite_file: SqliteFile) -> None:
    """A column that is declared as bytes keeps texts of any encoding as bytes."""
    sqlite_file.connection.execute("CREATE TABLE t (i INTEGER PRIMARY KEY, v BLOB)")
    sqlite_file.connection.execute(f"INSERT INTO t VALUES (1, {BAD}), (2, x'00')")
    assert industrydb.read_sql(sqlite_file.uri, "SELECT v FROM t")["v"].to_list() == [b"k\xff", b"\0"]
