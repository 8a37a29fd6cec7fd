"""A query's own conditions are applied before added ones, and queries with NULL tests can still be split."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pytest

import industrydb

ROWS = 3000

# Every third text is not a number: casting it fails, unless the query's own condition excludes it.
TABLES = f"""
    DROP SCHEMA IF EXISTS own_cond CASCADE;
    CREATE SCHEMA own_cond;
    SET search_path = own_cond;
    CREATE FUNCTION is_number(t text) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS
        $$ BEGIN RETURN t ~ '^[0-9]+$'; END $$;
    CREATE TABLE t (i int PRIMARY KEY, a int, s text);
    INSERT INTO t SELECT i, nullif(i % 10, 0), CASE WHEN i % 3 = 0 THEN 'x' ELSE i::text END
        FROM generate_series(1, {ROWS}) AS i;
    CREATE VIEW filtered AS SELECT i, s::int AS n FROM t WHERE is_number(s);
    CREATE VIEW joined AS SELECT t.i, t.s::int AS n FROM t JOIN t AS u ON u.i = t.i AND is_number(u.s);
    CREATE VIEW appended AS SELECT i, n FROM filtered UNION ALL SELECT -i, i FROM t WHERE i % 3 = 0;
    CREATE VIEW barrier WITH (security_barrier) AS SELECT i, s::int AS n FROM t WHERE is_number(s);
    CREATE VIEW stored AS SELECT i, a, s FROM t WHERE is_number(s);
    ANALYZE t;
    RESET search_path;
"""


@pytest.fixture(scope="module")
def tables(postgres: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """Create the tables and views."""
    postgres.execute(TABLES)
    yield postgres
    postgres.execute("DROP SCHEMA own_cond CASCADE")


QUERIES = {
    "view": "SELECT * FROM own_cond.filtered",
    "view of a join": "SELECT * FROM own_cond.joined",
    "view of a union": "SELECT * FROM own_cond.appended",
    "view with a barrier": "SELECT * FROM own_cond.barrier",
    "condition": "SELECT i, s::int AS n FROM own_cond.t WHERE own_cond.is_number(s)",
    "subquery": "SELECT * FROM (SELECT i, s::int AS n FROM own_cond.t WHERE own_cond.is_number(s)) AS q",
}


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES.keys())
@pytest.mark.parametrize("how", [{}, {"partition_on": "i", "partitions": 3}, {"partition_on": "n", "partitions": 3}])
def test_keys_and_filters_come_behind_the_querys_own_conditions(
    postgres_uri: str, tables: psycopg.Connection, query: str, how: dict[str, Any]
) -> None:
    """Key and filter conditions come after the query's own; before, they would fail on non-numbers (22P02)."""
    expected = sorted(tables.execute(query).fetchall())
    assert sorted(industrydb.read_sql(postgres_uri, query, **how).rows()) == expected
    lazy = industrydb.scan_sql(postgres_uri, query, **how)
    for matches, of_row in (
        (pl.col("n") > 7, lambda row: row[1] > 7),
        (pl.col("n").is_null(), lambda _: False),
        (pl.col("n").is_not_null(), lambda _: True),
        ((pl.col("n") > 7) & (pl.col("i") < 100), lambda row: row[1] > 7 and row[0] < 100),
    ):
        assert sorted(lazy.filter(matches).collect().rows()) == list(filter(of_row, expected))


def test_extracts_go_on_by_a_column_that_a_view_computes(
    postgres_uri: str, tables: psycopg.Connection, tmp_path: Path
) -> None:
    """The extract's condition on new rows is applied after the view's own condition."""
    query = QUERIES["view"]
    industrydb.extract(postgres_uri, f"{query} WHERE i < 1000", tmp_path / "one", since="n")
    industrydb.extract(postgres_uri, query, tmp_path / "all", since="n")
    again = industrydb.extract(postgres_uri, query, tmp_path / "all", since="n")
    assert again is not None
    found = pl.read_parquet(tmp_path / "all/**/*.parquet").sort("i").rows()
    assert found == sorted(tables.execute(query).fetchall())


def test_keys_that_are_columns_of_a_views_table_are_found_by_their_index(
    postgres_uri: str, tables: psycopg.Connection
) -> None:
    """A key that needs no protection by the query's condition is compared without OFFSET 0, and so by an index."""
    plan = industrydb.plan_sql(postgres_uri, "SELECT * FROM own_cond.stored", partition_on="i", partitions=3)
    assert "OFFSET 0" not in plan.explain()
    plain = industrydb.plan_sql(postgres_uri, "SELECT lower(s) AS n FROM own_cond.t", partition_on="n", partitions=3)
    assert "OFFSET 0" not in plain.explain()
    assert len(plan) == len(plain) == 3
    assert tables.execute("SELECT count(*) FROM own_cond.stored").fetchone() == (plan.read().height,)


def test_virtual_columns_are_computed_behind_the_querys_own_conditions(
    postgres_uri: str, tables: psycopg.Connection
) -> None:
    """Virtual columns, which PostgreSQL 18 computes on reading, are computed after the query's own conditions."""
    if tables.info.server_version < 180000:
        pytest.skip("the server has no virtual columns")
    tables.execute("DROP TABLE IF EXISTS own_cond.v")
    tables.execute("CREATE TABLE own_cond.v (i int, s text, n int GENERATED ALWAYS AS (s::int) VIRTUAL)")
    tables.execute("INSERT INTO own_cond.v SELECT i, s FROM own_cond.t")
    tables.execute("ANALYZE own_cond.v")
    query = "SELECT i, n FROM own_cond.v WHERE own_cond.is_number(s)"
    expected = sorted(tables.execute(query).fetchall())
    for how in ({}, {"partition_on": "n", "partitions": 3}):
        lazy = industrydb.scan_sql(postgres_uri, query, **how)  # type: ignore[arg-type]
        assert sorted(lazy.filter(pl.col("n") > 7).collect().rows()) == [row for row in expected if row[1] > 7]


TESTS = {
    "null": (pl.col("a").is_null(), "a IS NULL"),
    "not null": (pl.col("a").is_not_null(), "a IS NOT NULL"),
    "key null": (pl.col("i").is_null(), "i IS NULL"),
    "key not null": (pl.col("i").is_not_null(), "i IS NOT NULL"),
    "null or more": (pl.col("a").is_null() | (pl.col("i") < 7), "a IS NULL OR i < 7"),
    "equal or null": (pl.col("a").eq_missing(3), "a IS NOT DISTINCT FROM 3"),
    "unequal or null": (pl.col("a").ne_missing(3), "a IS DISTINCT FROM 3"),
    "none null": (~(pl.col("a").is_null() & pl.col("s").is_null()), "NOT (a IS NULL AND s IS NULL)"),
    "never": (pl.col("i").is_null() & pl.col("i").is_not_null(), "false"),
}


@pytest.mark.parametrize(("matches", "sql"), TESTS.values(), ids=TESTS.keys())
def test_tables_are_split_beside_tests_for_null(
    postgres_uri: str, tables: psycopg.Connection, matches: pl.Expr, sql: str
) -> None:
    """A table split by where its rows are stored has the same rows with a NULL test in the filter or in the query."""
    expected = tables.execute(f"SELECT i, a, s FROM own_cond.t WHERE {sql} ORDER BY i").fetchall()
    lazy = industrydb.scan_sql(postgres_uri, "own_cond.t", partitions=3)
    assert lazy.filter(matches).collect().sort("i").rows() == expected
    query = f"SELECT i, a, s FROM own_cond.t WHERE {sql}"
    assert industrydb.read_sql(postgres_uri, query, partitions=3).sort("i").rows() == expected


def test_casts_to_types_with_time_zone_are_no_with_clause(postgres_uri: str, tables: psycopg.Connection) -> None:
    """The words `timestamp with time zone` in a query are not taken for a WITH clause: its table is split."""
    query = "SELECT i FROM own_cond.t WHERE i > 0 AND '2024-01-01'::timestamp with time zone IS NOT NULL"
    frame = industrydb.read_sql(postgres_uri, query, partitions=3)
    assert frame.n_chunks() == 3
    assert frame.height == ROWS
    assert tables.info.server_version


@pytest.mark.parametrize(
    "condition",
    ["json_valid(s)", "EXISTS (SELECT 1 FROM good WHERE good.i = t.i)", "i IN (SELECT i FROM good)"],
)
def test_sqlite_compares_keys_behind_the_querys_own_conditions(tmp_path: Path, condition: str) -> None:
    """SQLite applies key conditions after the query's own, whatever it prefers: invalid JSON would be an error."""
    with closing(sqlite3.connect(tmp_path / "own.db")) as connection:
        connection.executescript(
            "CREATE TABLE t (i INTEGER PRIMARY KEY, s TEXT); CREATE TABLE good (i INTEGER PRIMARY KEY)"
        )
        rows = [(i, f'{{"a": {i}}}' if i % 3 else "none") for i in range(1, ROWS + 1)]
        connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
        connection.execute("INSERT INTO good SELECT i FROM t WHERE i % 3 <> 0")
        connection.execute(f"CREATE VIEW v AS SELECT i, json_extract(s, '$.a') AS n FROM t WHERE {condition}")
        connection.commit()
        expected = connection.execute("SELECT i, n FROM v ORDER BY i").fetchall()
    uri = f"sqlite://{tmp_path}/own.db"
    frame = industrydb.read_sql(uri, "SELECT * FROM v", partition_on="n", partitions=3)
    assert frame.n_chunks() == 3
    assert frame.sort("i").rows() == expected
    assert industrydb.scan_sql(uri, "v").filter(pl.col("n") > 7).collect().height == len(expected) - 5
