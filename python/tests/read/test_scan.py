"""``scan_sql``: the rows of ``read_sql`` and a filter, while the database sends no more than is needed."""

import logging
import re
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import polars as pl
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import industrydb
from industrydb import ConfigurationError, QueryExecutionError
from tests.kit.mariadb import Pymysql
from tests.kit.support import SqliteFile

POSTGRES_COLUMNS = {
    "small": "int2",
    "number": "int4",
    "Big one": "int8",
    "price": "numeric(12, 3)",
    "single": "float4",
    "double": "float8",
    "flag": "bool",
    "text": "text",
    "folded": 'varchar(20) COLLATE "C"',
    "padded": "char(4)",
    "day": "date",
    "moment": "timestamp",
    "instant": "timestamptz",
    "clock": "time",
    "bytes": "bytea",
    "kind": "scan_kind",
    "id": "uuid",
}
SQLITE_COLUMNS = {
    "number": "INTEGER",
    "Big one": "BIGINT",
    "double": "REAL",
    "text": "TEXT",
    "folded": "VARCHAR(20) COLLATE NOCASE",
    "day": "DATE",
    "moment": "DATETIME",
    "clock": "TIME",
    "flag": "BOOLEAN",
    "bytes": "BLOB",
}
MYSQL_COLUMNS = {
    "small": "smallint",
    "number": "int",
    "Big one": "bigint",
    "price": "decimal(12, 3)",
    "single": "float",
    "double": "double",
    "flag": "bit(1)",
    "text": "text",
    "folded": "varchar(20) COLLATE utf8mb4_bin",
    "padded": "char(4)",
    "western": "varchar(20) CHARACTER SET latin1",
    "day": "date",
    "moment": "datetime(6)",
    "instant": "timestamp(6) NULL",
    "bytes": "varbinary(10)",
    "kind": "enum('one', 'two')",
}
TEXTS = ["", "a", "A", "ab", "a%", "a_b", "ä", "Ä", "z", "ab ", " ab", "aB\\", "😀", "it's", "\x7f"]
VALUES: dict[str, list[Any]] = {
    "small": [-32768, -1, 0, 7, 32767],
    "number": [-(2**31), -1, 0, 1, 7, 2**31 - 1],
    "Big one": [-(2**63), -1, 0, 2**53 + 1, 2**63 - 1],
    "price": [Decimal("-999999999.999"), Decimal("-0.001"), Decimal(0), Decimal("7.000"), Decimal("12.345")],
    "single": [-1.5, 0.0, 0.1, 7.0, float("inf"), float("nan")],
    "double": [-1.5, 0.0, 0.1, 7.0, 1e300, float("-inf"), float("nan")],
    "flag": [True, False],
    "text": TEXTS,
    "folded": TEXTS,
    "padded": ["", "a", "ab", "abcd"],
    "western": TEXTS,
    "day": [date(1, 1, 1), date(1969, 12, 31), date(2024, 2, 29), date(9999, 12, 31)],
    "moment": [datetime(1, 1, 1), datetime(2024, 2, 29, 12, 34, 56, 789000), datetime(2024, 3, 1)],  # noqa: DTZ001
    "instant": [datetime(2024, 2, 29, 23, 59, 59, tzinfo=timezone.utc), datetime(1970, 1, 1, tzinfo=timezone.utc)],
    "clock": [time(0), time(12, 34, 56, 789), time(23, 59, 59, 999999)],
    "bytes": [b"", b"\0", b"a\xff", b"it's"],
    "kind": ["one", "two"],
    "id": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "00000000-0000-0000-0000-000000000000"],
}
# How SQLite stores the values of its columns, where that differs.
STORED: dict[str, list[Any]] = {
    "double": [-1.5, 0.0, 0.1, 7.0, 1e300, 9e999],
    "day": ["0001-01-01", "1969-12-31", "2024-02-29", 1709164800],
    "moment": ["0001-01-01 00:00:00", "2024-02-29T12:34:56.789", 2460370.0],
    "clock": ["00:00:00", "12:34:56.000789", "23:59"],
    "flag": [0, 1, "true", "f"],
}
# What MySQL has no values for is left out.
STORED_IN_MYSQL: dict[str, list[Any]] = {
    "single": [-1.5, 0.0, 0.1, 7.0],
    "double": [-1.5, 0.0, 0.1, 7.0, 1e300],
    "western": [text for text in TEXTS if text != "😀"],
    "instant": [datetime(2024, 2, 29, 23, 59, 59), datetime(1970, 1, 1, 0, 0, 1)],  # noqa: DTZ001
}


def rows_of(columns: dict[str, str], values: dict[str, list[Any]]) -> list[list[Any]]:
    """Return rows with every value of every column and with NULLs, and a row with NULLs only."""
    width = 2 + max(map(len, values.values()))
    return [
        [
            None if (row + place) % width > len(values[name]) - 1 else values[name][(row + place) % width]
            for name in columns
        ]
        for place, row in ((place, row) for row in range(width) for place in range(3))
    ] + [[None] * len(columns)]


@pytest.fixture(scope="module")
def postgres_table(postgres: psycopg.Connection) -> str:
    """Create a table of many types; return its name."""
    postgres.execute("CREATE TYPE scan_kind AS ENUM ('one', 'two')")
    columns = ", ".join(f'"{name}" {declared}' for name, declared in POSTGRES_COLUMNS.items())
    postgres.execute(f"CREATE TABLE scanned ({columns})")
    places = ", ".join("%s" for _ in POSTGRES_COLUMNS)
    with postgres.cursor() as cursor:
        cursor.executemany(f"INSERT INTO scanned VALUES ({places})", rows_of(POSTGRES_COLUMNS, VALUES))
    return "scanned"


@pytest.fixture(scope="module")
def sqlite_table(shared_sqlite_file: SqliteFile) -> str:
    """Create a table of many types; return the file's URI."""
    connection = shared_sqlite_file.connection
    columns = ", ".join(f'"{name}" {declared}' for name, declared in SQLITE_COLUMNS.items())
    connection.execute(f"CREATE TABLE scanned ({columns})")
    places = ", ".join("?" for _ in SQLITE_COLUMNS)
    connection.executemany(f"INSERT INTO scanned VALUES ({places})", rows_of(SQLITE_COLUMNS, VALUES | STORED))
    return shared_sqlite_file.uri


@pytest.fixture(scope="module")
def mysql_table(mysql: Pymysql) -> Iterator[str]:
    """Create a table of many types; return its name."""
    columns = ", ".join(f"`{name}` {declared}" for name, declared in MYSQL_COLUMNS.items())
    mysql.execute(f"SET time_zone = '+00:00'; CREATE TABLE scanned ({columns})")
    places = ", ".join("%s" for _ in MYSQL_COLUMNS)
    for row in rows_of(MYSQL_COLUMNS, VALUES | STORED_IN_MYSQL):
        mysql.execute(f"INSERT INTO scanned VALUES ({places})", row)
    yield "scanned"
    mysql.execute("SET time_zone = DEFAULT; DROP TABLE scanned")


OPERATORS: list[Callable[[pl.Expr, object], pl.Expr]] = [
    pl.Expr.eq,
    pl.Expr.ne,
    pl.Expr.lt,
    pl.Expr.le,
    pl.Expr.gt,
    pl.Expr.ge,
    pl.Expr.eq_missing,
    pl.Expr.ne_missing,
]
SEARCHES: list[Callable[[pl.Expr, str], pl.Expr]] = [
    lambda column, text: column.str.starts_with(text),
    lambda column, text: column.str.ends_with(text),
    lambda column, text: column.str.contains(text, literal=True),
]
PARTS: list[Callable[[pl.Expr], pl.Expr]] = [
    lambda column: column.dt.year(),
    lambda column: column.dt.month(),
    lambda column: column.dt.day(),
]


@st.composite
def conditions(draw: st.DrawFn, columns: dict[str, str]) -> pl.Expr:
    """Draw a condition on one column."""
    name = draw(st.sampled_from(list(columns)))
    column, values = pl.col(name), st.sampled_from(VALUES[name])
    ways = ["is_null", "compare", "is_in", "between"]
    if name in {"text", "folded", "padded", "western", "kind", "id"}:
        ways.append("search")
    if name in {"day", "moment", "instant"}:
        ways.append("part")
    match draw(st.sampled_from(ways)):
        case "is_null":
            return column.is_null()
        case "is_in" if name not in {"price", "clock"}:  # Polars' is_in takes no lists of these
            return column.is_in(
                pl.Series(draw(st.lists(values, min_size=1, max_size=3))).cast(dtype_of(name)).to_list()
            )
        case "between":
            return column.is_between(
                draw(values), draw(values), draw(st.sampled_from(["both", "left", "right", "none"]))
            )
        case "search":
            return draw(st.sampled_from(SEARCHES))(column, draw(st.sampled_from(TEXTS[1:])))
        case "part":
            number = draw(st.sampled_from([1, 2, 12, 29, 1969, 2024]))
            return draw(st.sampled_from(OPERATORS[:6]))(draw(st.sampled_from(PARTS))(column), number)
        case _:
            return draw(st.sampled_from(OPERATORS))(column, draw(values))


def dtype_of(name: str) -> pl.DataType:
    """Return the dtype that a list of a column's values must have."""
    return {"small": pl.Int16(), "number": pl.Int32(), "single": pl.Float32()}.get(name) or pl.Series(
        VALUES[name]
    ).dtype


def predicates(columns: dict[str, str]) -> st.SearchStrategy[pl.Expr]:
    """Return a strategy for conditions on a few columns."""
    return st.recursive(
        conditions(columns),
        lambda inner: st.one_of(
            inner.map(lambda a: ~a),
            st.builds(lambda a, b: a & b, inner, inner),
            st.builds(lambda a, b: a | b, inner, inner),
        ),
        max_leaves=5,
    )


def check(scan: pl.LazyFrame, whole: pl.DataFrame, predicate: pl.Expr) -> None:
    """Assert that a filtered scan has the rows of a filtered read, by each engine."""
    try:
        expected = whole.filter(predicate)
    except pl.exceptions.PolarsError:  # Polars has no such comparison
        return
    for engine in ENGINES:
        got = scan.filter(predicate).collect(engine=engine)
        assert_frame_equal(got, expected)


ENGINES: list[Literal["in-memory", "streaming"]] = ["in-memory", "streaming"]


@given(predicate=predicates(POSTGRES_COLUMNS))
@settings(max_examples=150)
def test_a_filtered_scan_of_postgresql_is_a_filtered_read(
    postgres_uri: str, postgres_table: str, predicate: pl.Expr
) -> None:
    """A filtered scan has the rows of a filtered read, whatever the server's collations, paddings and orders."""
    whole = industrydb.read_sql(postgres_uri, f"SELECT * FROM {postgres_table}")
    check(industrydb.scan_sql(postgres_uri, postgres_table), whole, predicate)


@given(predicate=predicates(SQLITE_COLUMNS))
@settings(max_examples=150)
def test_a_filtered_scan_of_sqlite_is_a_filtered_read(sqlite_table: str, predicate: pl.Expr) -> None:
    """A filtered scan has the rows of a filtered read, whatever the storage classes and collations."""
    whole = industrydb.read_sql(sqlite_table, "SELECT * FROM scanned")
    check(industrydb.scan_sql(sqlite_table, "scanned"), whole, predicate)


@given(predicate=predicates(MYSQL_COLUMNS))
@settings(max_examples=150)
def test_a_filtered_scan_of_mysql_is_a_filtered_read(mysql_uri: str, mysql_table: str, predicate: pl.Expr) -> None:
    """A filtered scan has the rows of a filtered read, whatever the collations and the character sets."""
    whole = industrydb.read_sql(mysql_uri, f"SELECT * FROM {mysql_table}")
    check(industrydb.scan_sql(mysql_uri, mysql_table), whole, predicate)


@pytest.fixture(params=["postgresql", "sqlite", "mysql"])
def scanned(request: pytest.FixtureRequest) -> tuple[str, dict[str, str]]:
    """Return the URI of a database with the table of many types, and the table's columns."""
    match request.param:
        case "postgresql":
            request.getfixturevalue("postgres_table")
            return request.getfixturevalue("postgres_uri"), POSTGRES_COLUMNS
        case "mysql":
            request.getfixturevalue("mysql_table")
            return request.getfixturevalue("mysql_uri"), MYSQL_COLUMNS
        case _:
            return request.getfixturevalue("sqlite_table"), SQLITE_COLUMNS


def test_every_value_is_found_again(scanned: tuple[str, dict[str, str]]) -> None:
    """Each value is compared with its column by ``==``, ``!=`` and ``<`` as Polars compares it."""
    uri, columns = scanned
    whole = industrydb.read_sql(uri, "SELECT * FROM scanned")
    scan = industrydb.scan_sql(uri, "scanned")
    for name in columns:
        for value in VALUES[name]:
            for operator in OPERATORS[:3]:
                check(scan, whole, operator(pl.col(name), value))


def test_what_is_negated_is_exact(scanned: tuple[str, dict[str, str]]) -> None:
    """Negated conditions are exact: a comparison that matches more texts than Polars' would lose rows here."""
    uri, _ = scanned
    whole = industrydb.read_sql(uri, "SELECT * FROM scanned")
    scan = industrydb.scan_sql(uri, "scanned")
    for name in ("text", "folded"):
        for value in TEXTS:
            check(scan, whole, ~((pl.col(name) == value) & pl.col("number").is_not_null()))
            check(scan, whole, ~((pl.col(name).is_in([value, "zz"])) | (pl.col("number") == 7)))


@pytest.fixture
def statements(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Return a function that returns the statements sent since its last call, each in one line."""
    caplog.set_level(logging.DEBUG, "industrydb.core")

    def asked() -> list[str]:
        told = [re.sub(r"\s+", " ", record.getMessage()) for record in caplog.records]
        caplog.clear()
        return [text.removeprefix("reading no more than ") for text in told if text.startswith("reading no more")]

    return asked


@pytest.fixture
def orders(sqlite_file: SqliteFile) -> str:
    """Create a table of orders; return the file's URI."""
    sqlite_file.connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, amount REAL, day DATE)")
    rows = [(n, f"c{n % 10}", n / 4, f"2024-01-{n % 28 + 1:02}") for n in range(1, 1001)]
    sqlite_file.connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", rows)
    return sqlite_file.uri


ORDERS = "FROM ( SELECT * FROM orders ) AS q"


@pytest.mark.parametrize(
    ("lazily", "expected"),
    [
        (lambda frame: frame.select("amount"), f"SELECT q.`amount` AS `amount` {ORDERS}"),
        (lambda frame: frame.select(pl.len()), f"SELECT q.`id` AS `id` {ORDERS}"),
        (lambda frame: frame.head(5), f"SELECT q.`id` AS `id`, * {ORDERS} LIMIT 5"),
        (
            lambda frame: frame.filter(pl.col("id") > 990).select("id"),
            f'SELECT q.`id` AS `id` {ORDERS} WHERE q."id" > ?',
        ),
        (
            lambda frame: frame.filter(pl.col("customer") == "c3", pl.col("amount").is_between(1, 9)).select(
                "customer"
            ),
            'WHERE ((q."amount" >= ? AND q."amount" <= ?) AND q."customer" = ?)',
        ),
        (
            lambda frame: frame.filter(pl.col("day") > date(2024, 1, 20), pl.col("id") < 9).select("day", "id"),
            f'SELECT q.`id` AS `id`, q.`day` AS `day` {ORDERS} WHERE q."id" < ?',
        ),
        (
            lambda frame: frame.filter(pl.col("customer").str.starts_with("c1") | (pl.col("id") == 3)).select("id"),
            'WHERE (instr(q."customer", ?) = 1 OR q."id" = ?)',
        ),
        (
            lambda frame: frame.filter(~pl.col("customer").is_null()).select("customer"),
            'WHERE (NOT (q."customer" IS NULL))',
        ),
    ],
)
def test_what_the_frame_needs_becomes_the_statement(
    orders: str, statements: Callable[[], list[str]], lazily: Callable[[pl.LazyFrame], pl.LazyFrame], expected: str
) -> None:
    """Columns, filters and limits go into the statement, except those that the database evaluates differently."""
    frame = lazily(industrydb.scan_sql(orders, "orders"))
    got = frame.collect()
    (asked,) = statements()
    if "*" in expected.split("FROM", maxsplit=1)[0]:
        assert asked.endswith(" LIMIT 5")
    else:
        assert expected in asked
    whole = industrydb.read_sql(orders, "SELECT * FROM orders")
    assert_frame_equal(got, lazily(whole.lazy()).collect())


def test_values_are_bound(postgres_uri: str, postgres: psycopg.Connection, statements: Callable[[], list[str]]) -> None:
    """A filter's values are bound, and never part of the statement."""
    postgres.execute("CREATE TABLE scan_bound (a text)")
    postgres.execute("INSERT INTO scan_bound VALUES (%s)", ["'; DROP TABLE scan_bound; --"])
    scan = industrydb.scan_sql(postgres_uri, "scan_bound")
    assert scan.filter(pl.col("a") == "'; DROP TABLE scan_bound; --").collect().height == 1
    assert scan.filter(pl.col("a") == "' OR true --").collect().height == 0
    assert "DROP" not in "".join(statements())


def test_the_callers_own_parameters_stay(postgres_uri: str, orders: str) -> None:
    """A filter's parameters are placed behind the caller's own."""
    scan = industrydb.scan_sql(
        postgres_uri, "SELECT n, n % $2::int AS rest FROM generate_series(1, $1::int) AS n", params=[100, 7]
    )
    assert scan.filter(pl.col("rest") == 3, pl.col("n") > 90).collect()["n"].to_list() == [94]
    named = industrydb.scan_sql(orders, "SELECT * FROM orders WHERE customer = :c", params={"c": "c3"})
    assert named.filter(pl.col("id") < 20).collect()["id"].to_list() == [3, 13]
    placed = industrydb.scan_sql(orders, "SELECT * FROM orders WHERE customer = ?", params=["c3"])
    assert placed.filter(pl.col("id") < 20, pl.col("amount") > 1).collect()["id"].to_list() == [13]


@pytest.mark.parametrize("partition_on", ["id", None])
def test_partitions_are_read_of_what_is_left(orders: str, partition_on: str | None) -> None:
    """Partitions are read with the filter and the columns of the scan; the key need not be one of the columns."""
    scan = industrydb.scan_sql(orders, "orders", partition_on=partition_on, partitions=3)
    got = scan.filter(pl.col("amount") > 100).select("customer").collect()
    whole = industrydb.read_sql(orders, "SELECT * FROM orders")
    assert_frame_equal(got, whole.filter(pl.col("amount") > 100).select("customer"))


def test_the_callers_names_of_parameters_are_left_alone(orders: str) -> None:
    """A filter's parameters have other names than the caller's."""
    for name in ("industrydb_1", "INDUSTRYDB_1", "industrydb__1"):
        scan = industrydb.scan_sql(orders, f"SELECT * FROM orders WHERE id >= :{name}", params={name: 997})
        assert scan.filter(pl.col("amount") > 249.5).collect()["id"].to_list() == [999, 1000]


def test_more_values_than_a_statement_takes_stay_with_polars(orders: str) -> None:
    """A filter with more values than SQLite can bind, 32,766, stays with Polars."""
    lists = [pl.col("id").is_in(list(range(1000 * n, 1000 * n + 999))) for n in range(40)]
    predicate = lists[0]
    for each in lists[1:]:
        predicate |= each
    assert industrydb.scan_sql(orders, "orders").filter(predicate).collect().height == 999


GUARDED = [
    "SELECT id, v::int AS n FROM scan_guarded WHERE v ~ '^[0-9]+$'",
    "SELECT id, 10 / (id - 1) AS n FROM scan_guarded WHERE id <> 1",
]


@pytest.mark.parametrize("query", GUARDED)
def test_a_filter_is_not_tried_on_rows_that_the_query_keeps_away(
    postgres_uri: str, postgres: psycopg.Connection, query: str
) -> None:
    """A filter on an expression stays with Polars: the server might evaluate it on rows that the query excludes."""
    postgres.execute("CREATE TABLE IF NOT EXISTS scan_guarded (id int, v text)")
    postgres.execute("INSERT INTO scan_guarded VALUES (1, 'n/a'), (2, '20'), (3, 'none')")
    whole = industrydb.read_sql(postgres_uri, query)
    assert_frame_equal(
        industrydb.scan_sql(postgres_uri, query).filter(pl.col("n") > 5).collect(), whole.filter(pl.col("n") > 5)
    )


def test_rows_of_nulls_are_not_null(postgres_uri: str, postgres: psycopg.Connection) -> None:
    """A row of NULLs is not null in a scan's filter, although PostgreSQL's IS NULL is true of it."""
    postgres.execute("CREATE TYPE scan_pair AS (a int, b int)")
    postgres.execute("CREATE TYPE scan_empty AS ()")
    postgres.execute("CREATE TABLE scan_rows (p scan_pair, e scan_empty)")
    postgres.execute("INSERT INTO scan_rows VALUES (ROW(NULL, NULL), ROW()), (NULL, NULL), (ROW(1, 2), ROW())")
    scan = industrydb.scan_sql(postgres_uri, "scan_rows")
    for name in ("p", "e"):
        assert scan.filter(pl.col(name).is_not_null()).collect().height == 2
        assert scan.filter(pl.col(name).is_null()).collect().height == 1
    records = industrydb.scan_sql(postgres_uri, "SELECT ROW(NULL, NULL) AS r UNION ALL SELECT ROW(1, 2)")
    assert records.filter(pl.col("r").is_not_null()).collect().height == 2


def test_a_slice_is_of_the_rows_before_the_filter_behind_it(orders: str) -> None:
    """A slice before a filter is taken of the unfiltered rows, and a slice behind it of the filtered rows."""
    scan = industrydb.scan_sql(orders, "orders")
    assert scan.head(10).filter(pl.col("id") > 8).collect()["id"].to_list() == [9, 10]
    assert scan.filter(pl.col("id") > 8).head(2).collect()["id"].to_list() == [9, 10]
    assert scan.slice(3, 2).collect()["id"].to_list() == [4, 5]
    assert scan.tail(2).collect()["id"].to_list() == [999, 1000]


def test_the_schema_is_known_before_anything_is_read(orders: str, statements: Callable[[], list[str]]) -> None:
    """A scan's schema, by which Polars plans, is known before anything is read."""
    scan = industrydb.scan_sql(orders, "SELECT id, customer, amount * 2 AS twice FROM orders")
    assert scan.collect_schema() == {"id": pl.Int64, "customer": pl.String, "twice": pl.Float64}
    assert statements() == []
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        scan.select("nothing").collect_schema()


def test_polars_streams_what_it_scans(orders: str, tmp_path: Path) -> None:
    """Polars streams a scan into a file, and within a join."""
    scan = industrydb.scan_sql(orders, "orders", partition_on="id", partitions=2)
    path = tmp_path / "orders.parquet"
    scan.filter(pl.col("id") > 500).sink_parquet(path)
    assert pl.read_parquet(path)["id"].to_list() == list(range(501, 1001))
    joined = scan.join(scan.filter(pl.col("id") < 4), on="customer").group_by("customer").len().sort("customer")
    assert joined.collect(engine="streaming").rows() == [("c1", 100), ("c2", 100), ("c3", 100)]


def test_explain_shows_what_is_handed_to_the_scan(orders: str) -> None:
    """`explain` shows the filter, the columns, the query and the partitions of a scan."""
    shown = industrydb.scan_sql(orders, "orders", partitions=2).filter(pl.col("id") > 5).select("id").explain()
    assert 'SELECTION: col("id") > 5' in shown
    assert re.search(r"PROJECT 1/4 COLUMNS", shown)
    assert "PYTHON[industrydb] SCAN" in shown
    assert "SELECT * FROM orders, 2 partitions of the rows" in shown


def test_an_error_comes_when_the_frame_is_collected(postgres_uri: str) -> None:
    """A query's error is raised on collecting, by this library or by Polars with its text; a missing table at once."""
    scan = industrydb.scan_sql(postgres_uri, "SELECT 1 / (n - 50000) AS v FROM generate_series(1, 100000) AS n")
    for engine in ENGINES:
        with pytest.raises((QueryExecutionError, pl.exceptions.PolarsError), match="division by zero"):
            scan.collect(engine=engine)
    with pytest.raises(QueryExecutionError, match="no_such_table"):
        industrydb.scan_sql(postgres_uri, "no_such_table")


@pytest.mark.parametrize("name", ["odd name", 'quo"ted', "semi;colon", "select", "größe"])
def test_a_table_is_scanned_by_its_name(postgres_uri: str, postgres: psycopg.Connection, name: str) -> None:
    """A table is scanned by its name, quoted where the name needs it."""
    quoted = '"' + name.replace('"', '""') + '"'
    postgres.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted}")
    postgres.execute(f"CREATE TABLE {quoted}.{quoted} ({quoted} int)")
    postgres.execute(f"INSERT INTO {quoted}.{quoted} VALUES (1), (2)")
    scan = industrydb.scan_sql(postgres_uri, f"{quoted}.{quoted}")
    assert scan.filter(pl.col(name) > 1).collect()[name].to_list() == [2]


def test_bad_arguments_are_refused_at_once(orders: str) -> None:
    """Bad arguments are refused by the call, before the scan is collected."""
    with pytest.raises(ConfigurationError, match="partitions must be"):
        industrydb.scan_sql(orders, "orders", partitions=0)
    with pytest.raises(TypeError, match="query must be a str"):
        industrydb.scan_sql(orders, ["SELECT 1"])  # type: ignore[arg-type]


# Values that are written differently but count as equal: texts by collation, numbers, and texts with blanks at the end.
EQUALS: dict[str, list[Any]] = {
    "name": ["a", "A", "b", "B", "a ", "c"],
    "other": ["x", "X", "x ", "y"],
    "n": [1, 2, 3],
    "amount": [Decimal("1.0"), Decimal("1.00"), Decimal(2)],
    "double": [0.0, -0.0, 1.5],
    "padded": ["a", "a ", "A", "b"],
}
GROUPED = [
    "SELECT DISTINCT name FROM {}",
    "SELECT DISTINCT name, n FROM {}",
    "SELECT DISTINCT n, other FROM {}",
    "SELECT DISTINCT amount, double FROM {}",
    "SELECT DISTINCT padded FROM {}",
    "SELECT name, count(*) AS rows FROM {} GROUP BY name",
    "SELECT name, other, count(*) AS rows FROM {} GROUP BY name, other HAVING count(*) > 1",
    "SELECT double, n, count(*) AS rows FROM {} GROUP BY double, n",
    "SELECT name FROM {0} WHERE n = 1 UNION SELECT name FROM {0} WHERE n > 1",
    "SELECT name FROM {0} INTERSECT SELECT name FROM {0} WHERE n > 1",
    "SELECT name FROM {0} EXCEPT SELECT name FROM {0} WHERE other = 'y'",
    "SELECT * FROM (SELECT name FROM {0} UNION SELECT name FROM {0}) AS u",
    "SELECT name, n, row_number() OVER (PARTITION BY name ORDER BY n) AS place FROM {}",
    "SELECT name, n, count(*) OVER (PARTITION BY name) AS rows FROM {}",
    "SELECT name, other, first_value(other) OVER (PARTITION BY name ORDER BY n) AS of_first FROM {}",
    "WITH d AS (SELECT DISTINCT name FROM {}) SELECT name FROM d",
    "SELECT * FROM {}_view",
    "SELECT v.name FROM {}_view AS v",
]
ON_POSTGRES = [
    "SELECT DISTINCT ON (name) name, n, other FROM {}",
    "SELECT DISTINCT ON (name) name, n FROM {} ORDER BY name, n DESC",
    "SELECT DISTINCT name FROM {} WHERE name = 'a'",
    "SELECT name FROM {} GROUP BY name LIMIT 2",
]
ON_SQLITE = [
    "SELECT name, n, other FROM {} GROUP BY name",
    "SELECT name, max(n) AS n FROM {}",
    "SELECT DISTINCT untyped FROM {}",
    "SELECT name COLLATE BINARY AS name, count(*) AS rows FROM {} GROUP BY name",
    "SELECT name FROM {} GROUP BY other COLLATE NOCASE",
]


def of_equals(frame: pl.DataFrame) -> Iterator[pl.Expr]:
    """Yield conditions on a frame's columns."""
    for name in frame.columns:
        column = pl.col(name)
        for value in EQUALS.get(name, [])[:3]:
            yield from (column == value, column != value)
        if name in {"name", "other"}:
            yield from (column.is_in(["A", "X", "zz"]), column < "a", ~(column == "A"))
        if name == "n":
            yield column > 1


def rows_of_equals(count: int) -> list[tuple[Any, ...]]:
    """Return rows in which the values of each column are combined with those of the others, in some order."""
    columns = [EQUALS[name] for name in EQUALS]
    steps = (1, 5, 7, 11, 13, 3)
    return [
        tuple(values[(row * step + row // 7) % len(values)] for values, step in zip(columns, steps, strict=True))
        for row in range(count)
    ]


def check_grouped(uri: str, query: str) -> None:
    """Compare filtered scans with filtered reads, regardless of the order of rows."""
    whole = industrydb.read_sql(uri, query)
    scan = industrydb.scan_sql(uri, query)
    for predicate in of_equals(whole):
        got, expected = scan.filter(predicate).collect(), whole.filter(predicate)
        shown = [sorted(map(repr, frame.rows())) for frame in (got, expected)]
        assert shown[0] == shown[1], predicate


@pytest.fixture(scope="module", params=["folded", "indexed", "default"])
def postgres_equals(request: pytest.FixtureRequest, postgres: psycopg.Connection) -> Iterator[str]:
    """Create a table with a case-insensitive collation, also with indexes, or with the default one; yield its name."""
    table = f"equals_{request.param}"
    collate = ""
    if request.param != "default":
        try:
            postgres.execute(
                "CREATE COLLATION IF NOT EXISTS folding "
                "(provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
            )
        except psycopg.Error as error:
            pytest.skip(f"the server has no ICU: {error}")
        collate = "COLLATE folding"
    postgres.execute(
        f"CREATE TABLE {table} (name text {collate}, other text {collate}, n int, amount numeric, double float8, "
        "padded char(3))"
    )
    with postgres.cursor() as cursor:
        cursor.executemany(f"INSERT INTO {table} VALUES (%s, %s, %s, %s, %s, %s)", rows_of_equals(200))
    if request.param == "indexed":
        postgres.execute(f"CREATE INDEX ON {table} (name, other); CREATE INDEX ON {table} (n)")
    postgres.execute(f"CREATE VIEW {table}_view AS SELECT DISTINCT name FROM {table}")
    postgres.execute(f"ANALYZE {table}")
    yield table
    postgres.execute(f"DROP TABLE {table} CASCADE")


@pytest.mark.parametrize("query", [*GROUPED, *ON_POSTGRES])
def test_a_filtered_scan_of_groups_in_postgresql_is_a_filtered_read(
    postgres_uri: str, postgres_equals: str, query: str
) -> None:
    """A filter is applied behind groups: values that are equal for the query, but not for the filter, stay together."""
    check_grouped(postgres_uri, query.format(postgres_equals))


@pytest.fixture(scope="module", params=["NOCASE", "RTRIM", "BINARY", "NOCASE, indexed"])
def sqlite_equals(request: pytest.FixtureRequest, shared_sqlite_file: SqliteFile) -> tuple[str, str]:
    """Create a table with a collation and perhaps indexes; return the URI and the table's name."""
    connection = shared_sqlite_file.connection
    collation, *indexed = request.param.split(", ")
    table = f"equals_{collation}_{len(indexed)}"
    connection.executescript(f"DROP VIEW IF EXISTS {table}_view; DROP TABLE IF EXISTS {table}")
    connection.execute(
        f"CREATE TABLE {table} (name TEXT COLLATE {collation}, other TEXT COLLATE {collation}, n INTEGER, "
        f"amount NUMERIC, double REAL, padded CHAR(3) COLLATE RTRIM, untyped)"
    )
    places = "?, ?, ?, CAST(? AS NUMERIC), ?, ?, CASE rowid % 3 WHEN 0 THEN 1 ELSE 1.0 END"
    places = places.replace("rowid % 3", "?")
    rows = [(*row[:3], str(row[3]), *row[4:], number % 3) for number, row in enumerate(rows_of_equals(200))]
    connection.executemany(f"INSERT INTO {table} VALUES ({places})", rows)
    if indexed:
        connection.execute(f"CREATE INDEX {table}_names ON {table} (name, other)")
        connection.execute(f"CREATE INDEX {table}_numbers ON {table} (n, name)")
        connection.execute("ANALYZE")
    connection.execute(f'CREATE VIEW "{table}_view" AS SELECT DISTINCT name FROM {table}')
    return shared_sqlite_file.uri, table


@pytest.mark.parametrize("query", [*GROUPED, *ON_SQLITE])
def test_a_filtered_scan_of_groups_in_sqlite_is_a_filtered_read(sqlite_equals: tuple[str, str], query: str) -> None:
    """A filtered scan of groups has the rows of a filtered read, whichever of the equal values SQLite shows."""
    uri, table = sqlite_equals
    check_grouped(uri, query.format(table))


def check_groups(uri: str, table: str) -> None:
    """Compare the groups of partitions with those of one read; any of the equal rows may represent a group."""
    for query in GROUPED:
        sql = query.format(table)
        whole = industrydb.read_sql(uri, sql)
        parts = industrydb.read_sql(uri, sql, partition_on=whole.columns[0], partitions=3)
        keys = [frame.to_series(0).cast(pl.String).str.to_lowercase().str.strip_chars() for frame in (whole, parts)]
        assert sorted(keys[0]) == sorted(keys[1]), sql


def test_partitions_of_groups_in_postgresql_have_those_of_one_read(postgres_uri: str, postgres_equals: str) -> None:
    """Keys that count as equal are in the same partition, so groups are the same as in one read."""
    check_groups(postgres_uri, postgres_equals)


def test_partitions_of_groups_in_sqlite_have_those_of_one_read(sqlite_equals: tuple[str, str]) -> None:
    """Keys that count as equal are in the same partition, so groups are the same as in one read."""
    check_groups(*sqlite_equals)


def test_a_filter_on_plain_rows_stays_in_the_statement(
    postgres_uri: str, postgres: psycopg.Connection, statements: Callable[[], list[str]]
) -> None:
    """Only a query with groups is fenced, by OFFSET 0; other queries can use an index for the filter."""
    postgres.execute("CREATE TABLE IF NOT EXISTS plainly AS SELECT 1 AS id, 'a' AS name")
    joined = "SELECT a.id, b.name FROM plainly AS a JOIN plainly AS b ON a.id = b.id"
    for query, is_fenced in ((joined, False), ("SELECT DISTINCT name FROM plainly", True)):
        industrydb.scan_sql(postgres_uri, query).filter(pl.col("name") == "a").collect()
        (asked,) = statements()
        assert "WHERE" in asked
        assert ("OFFSET 0" in asked) == is_fenced
