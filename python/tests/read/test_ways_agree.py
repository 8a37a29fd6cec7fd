"""A query has the same columns, types and rows in every way of reading."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pytest

import industrydb

MIDNIGHT, DATETIME = datetime(2020, 1, 1), pl.Datetime("us")  # noqa: DTZ001, SQLite's have no zone


def read(uri: str, query: str, _: Path) -> pl.DataFrame:
    """Read with `read_sql`."""
    return industrydb.read_sql(uri, query)


def batches(uri: str, query: str, _: Path) -> pl.DataFrame:
    """Read in batches, and assert that each has the announced schema."""
    with industrydb.read_sql_batches(uri, query) as frames:
        found = list(frames)
        assert all(frame.schema == frames.schema for frame in found)
        return pl.concat(found) if found else pl.DataFrame(schema=frames.schema)


def scan(uri: str, query: str, _: Path) -> pl.DataFrame:
    """Collect a lazy frame, and assert that it has the announced schema."""
    lazy = industrydb.scan_sql(uri, query)
    announced, found = lazy.collect_schema(), lazy.collect()
    assert found.schema == announced
    return found


def plan(uri: str, query: str, _: Path) -> pl.DataFrame:
    """Read the partitions of a plan, and assert that they have the announced schema."""
    made = industrydb.plan_sql(uri, query)
    parts = [made.read(number) for number in range(len(made))]
    assert all(part.schema == made.schema for part in [*parts, made.read()])
    return pl.concat(parts)


def extract(uri: str, query: str, folder: Path) -> pl.DataFrame:
    """Read the files that an extract has written."""
    industrydb.extract(uri, query, folder / "out")
    return pl.read_parquet(folder / "out/*.parquet")


def execute(uri: str, query: str, _: Path) -> pl.DataFrame:
    """Read on a kept session."""
    with industrydb.Connection(uri) as connection:
        return connection.execute(query)


WAYS = [read, batches, scan, plan, extract, execute]
Way = Callable[[str, str, Path], pl.DataFrame]
LISTS = pl.List(pl.List(pl.Int32))


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
def way(request: pytest.FixtureRequest) -> Way:
    """Return one way to read; the test runs once for each."""
    found: Way = request.param
    return found


@pytest.fixture
def sqlite_uri(tmp_path: Path) -> str:
    """Create a file with declared types of all kinds; return its URI."""
    with closing(sqlite3.connect(tmp_path / "ways.db")) as connection:
        connection.executescript("""
            CREATE TABLE a (x DATETIME, d DATE, b BOOLEAN, i INTEGER);
            INSERT INTO a VALUES ('2020-01-01 00:00:00', '2020-01-01', 1, 1), (NULL, NULL, NULL, NULL);
            CREATE TABLE nameless ("" INTEGER, column_0 INTEGER);
            INSERT INTO nameless VALUES (1, 2);
        """)
    return f"sqlite://{tmp_path}/ways.db"


# Queries on SQLite, the types of their columns, and their rows in any order.
SQLITE: list[tuple[str, dict[str, Any], list[tuple[object, ...]]]] = [
    ("SELECT x FROM a UNION ALL SELECT NULL", {"x": DATETIME}, [(MIDNIGHT,), (None,), (None,)]),
    ("SELECT x FROM a UNION SELECT NULL", {"x": DATETIME}, [(MIDNIGHT,), (None,)]),
    ("SELECT x FROM a EXCEPT SELECT NULL", {"x": DATETIME}, [(MIDNIGHT,)]),
    ("SELECT d FROM a UNION SELECT x FROM a", {"d": pl.Date}, [(None,), (date(2020, 1, 1),), (date(2020, 1, 1),)]),
    (
        "SELECT NULL AS x UNION ALL SELECT x FROM a",
        {"x": pl.String},
        [("2020-01-01 00:00:00",), (None,), (None,)],
    ),
    ("SELECT b FROM a UNION ALL SELECT 5", {"b": pl.Int64}, [(1,), (5,), (None,)]),
    (
        "SELECT x FROM (SELECT x FROM a UNION ALL SELECT 'z')",
        {"x": pl.String},
        [("2020-01-01 00:00:00",), ("z",), (None,)],
    ),
    ("SELECT * FROM nameless", {"": pl.Int64, "column_0": pl.Int64}, [(1, 2)]),
    ('SELECT "" FROM nameless', {"": pl.Int64}, [(1,)]),
    ('SELECT "", i FROM nameless, a', {"": pl.Int64, "i": pl.Int64}, [(1, 1), (1, None)]),
]


@pytest.mark.parametrize(("query", "schema", "rows"), SQLITE, ids=[query for query, *_ in SQLITE])
def test_sqlite_reads_the_same_by_every_way(  # noqa: PLR0913, PLR0917
    sqlite_uri: str, tmp_path: Path, way: Way, query: str, schema: dict[str, Any], rows: list[tuple[object, ...]]
) -> None:
    """Compound queries with several declarations, and columns with an empty name, are read the same in every way."""
    frame = way(sqlite_uri, query, tmp_path)
    assert frame.schema == schema
    assert sorted(frame.rows(), key=repr) == sorted(rows, key=repr)


@pytest.fixture(scope="module", autouse=True)
def types(postgres: psycopg.Connection) -> Iterator[None]:
    """Create types with arrays in them, and a table."""
    drop = (
        """DROP TABLE IF EXISTS ways_table; DROP TYPE IF EXISTS ways_pair CASCADE; DROP DOMAIN IF EXISTS ways_numbers"""
    )
    postgres.execute(drop)
    postgres.execute("CREATE TYPE ways_pair AS (a int, b int[]); CREATE DOMAIN ways_numbers AS int[]")
    postgres.execute("CREATE TABLE ways_table AS SELECT i, ARRAY[[i]] AS a FROM generate_series(1, 1000) AS i")
    yield
    postgres.execute(drop)


PAIR = pl.Struct({"a": pl.Int32, "b": LISTS})
# Queries on PostgreSQL, the type of their column `a`, and its values.
POSTGRES: list[tuple[str, Any, list[object]]] = [
    ("SELECT ARRAY[[1, 2], [3, NULL]] AS a", LISTS, [[[1, 2], [3, None]]]),
    ("SELECT ARRAY[[[1]]] AS a", pl.List(LISTS), [[[[1]]]]),
    ("SELECT '{}'::int[] AS a UNION ALL SELECT ARRAY[[1]] UNION ALL SELECT NULL", LISTS, [[], [[1]], None]),
    ("SELECT ARRAY[1] AS a UNION ALL SELECT '{}'", pl.List(pl.Int32), [[1], []]),
    ("SELECT NULL::int[] AS a", pl.List(pl.Int32), [None]),
    ("SELECT ARRAY[['a']] AS a", pl.List(pl.List(pl.String)), [[["a"]]]),
    ("SELECT ARRAY[['::1'::inet]] AS a", pl.List(pl.List(pl.String)), [[["::1"]]]),
    ("SELECT ARRAY[[1.50]] AS a", pl.List(pl.List(pl.Decimal(38, 1))), [[[Decimal("1.5")]]]),
    ("SELECT '{{1}}'::ways_numbers AS a", LISTS, [[[1]]]),
    ("SELECT (1, ARRAY[[1]])::ways_pair AS a", PAIR, [{"a": 1, "b": [[1]]}]),
    ("SELECT ARRAY[(1, ARRAY[[1]])::ways_pair] AS a", pl.List(PAIR), [[{"a": 1, "b": [[1]]}]]),
]


@pytest.mark.parametrize(("query", "dtype", "values"), POSTGRES, ids=[query for query, *_ in POSTGRES])
def test_arrays_have_the_same_dimensions_by_every_way(  # noqa: PLR0913, PLR0917
    postgres_uri: str, tmp_path: Path, way: Way, query: str, dtype: object, values: list[object]
) -> None:
    """The values of an array column decide its dimensions in every way of reading, also within rows and domains."""
    frame = way(postgres_uri, query, tmp_path)
    assert frame.schema == {"a": dtype}
    assert frame["a"].to_list() == values


@pytest.mark.parametrize("how", [{"partitions": 3}, {"partition_on": "i", "partitions": 3}], ids=["blocks", "key"])
def test_arrays_have_the_same_dimensions_in_partitions(postgres_uri: str, how: dict[str, Any]) -> None:
    """Array columns have the same dimensions in partitions: in batches, in scans, and in a plan's partitions."""
    query, expected = "SELECT i, a FROM ways_table", [(i, [[i]]) for i in range(1, 1001)]
    with industrydb.read_sql_batches(postgres_uri, query, **how) as frames:
        assert pl.concat(frames).sort("i").rows() == expected
    made = industrydb.plan_sql(postgres_uri, query, **how)
    assert len(made) == 3
    assert made.schema == {"i": pl.Int32(), "a": LISTS}
    assert pl.concat(made.read(number) for number in range(len(made))).sort("i").rows() == expected
    lazy = industrydb.scan_sql(postgres_uri, "ways_table", **how)
    assert lazy.filter(pl.col("i") == 7).select("a").collect().rows() == [([[7]],)]


def test_rows_without_columns_are_counted(postgres_uri: str, tmp_path: Path, way: Way) -> None:
    """A SELECT without columns has as many rows as it finds, in every way of reading."""
    frame = way(postgres_uri, "SELECT FROM ways_table", tmp_path)
    assert frame.shape == (1000, 0)
    assert way(postgres_uri, "SELECT FROM ways_table WHERE false", tmp_path / "none").shape == (0, 0)


def test_rows_without_columns_are_counted_in_a_scan(postgres_uri: str) -> None:
    """Rows without columns are counted by `pl.len`, by `head`, and in an Arrow table."""
    lazy = industrydb.scan_sql(postgres_uri, "SELECT FROM ways_table")
    assert lazy.select(pl.len()).collect().item() == 1000
    assert lazy.head(7).collect().height == 7
    assert industrydb.read_sql(postgres_uri, "SELECT FROM ways_table", return_type="arrow").num_rows == 1000
