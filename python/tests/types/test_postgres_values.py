"""PostgreSQL values that have no row in a type table: random ones, extreme ones, and those that do not fit."""

import json
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from random import Random

import polars as pl
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

import industrydb
from tests.kit.support import with_options

# PostgreSQL's text can have all characters but NUL. Polars stores texts of more than twelve bytes differently.
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TEXTS = st.text(CHARACTERS) | st.text("aé€𝄞", min_size=3, max_size=14) | st.text(CHARACTERS).map(lambda text: text * 99)


def nullable(values: st.SearchStrategy[object]) -> st.SearchStrategy[list[object]]:
    """Return a strategy for columns of values and NULLs."""
    return st.lists(st.none() | values, max_size=40)


def repeated(shape: tuple[Sequence[object], int, int]) -> list[object] | None:
    """Return an array of three dimensions, or an empty one."""
    row, rows, planes = shape
    return [[row] * rows] * planes if row else []


@st.composite
def decimals(draw: st.DrawFn) -> list[object]:
    """Draw a column of numbers that have 38 digits altogether."""
    scale = draw(st.integers(0, 38))
    whole = 10 ** (38 - scale)
    numbers = st.decimals(1 - whole, whole - 1, places=scale) if whole > 1 else st.decimals(0, 0)
    return draw(nullable(numbers))


def round_trip(postgres: psycopg.Connection, uri: str, database_type: str, values: Sequence[object]) -> list[object]:
    """Write values with psycopg; return them as industrydb reads them."""
    postgres.execute(f"DROP TABLE IF EXISTS round_trip; CREATE TABLE round_trip (n int, v {database_type})")
    with postgres.cursor() as cursor:
        cursor.executemany("INSERT INTO round_trip VALUES (%s, %s)", enumerate(values))
    return industrydb.read_sql(uri, "SELECT v FROM round_trip ORDER BY n")["v"].to_list()


@given(values=nullable(TEXTS))
def test_texts_come_back(postgres: psycopg.Connection, postgres_uri: str, values: list[object]) -> None:
    """Every text comes back unchanged."""
    assert round_trip(postgres, postgres_uri, "text", values) == values


@given(values=decimals())
def test_decimals_come_back(postgres: psycopg.Connection, postgres_uri: str, values: list[object]) -> None:
    """Every numeric comes back unchanged, whatever scales are in one column."""
    assert round_trip(postgres, postgres_uri, "numeric", values) == values


ARRAYS = st.lists(st.none() | st.integers(-(2**31), 2**31 - 1), max_size=3)


@given(
    values=st.lists(
        st.none() | st.just([]) | st.tuples(ARRAYS, st.integers(1, 3), st.integers(1, 3)).map(repeated), max_size=20
    ),
    partitions=st.integers(1, 4),
)
def test_arrays_of_several_dimensions_are_lists_of_lists(
    postgres: psycopg.Connection, postgres_uri: str, values: list[object], partitions: int
) -> None:
    """Arrays of three dimensions are nested lists; empty arrays have no dimensions, and fit any column."""
    postgres.execute("DROP TABLE IF EXISTS arrays; CREATE TABLE arrays (i int, v int[])")
    for number, value in enumerate(values):
        literal = None if value is None else json.dumps(value).translate(str.maketrans("[]", "{}"))
        postgres.execute("INSERT INTO arrays VALUES (%s, %s::int[])", [number, literal])
    query = "SELECT i, v FROM arrays"
    frame = industrydb.read_sql(postgres_uri, query, partition_on="i", partitions=partitions)
    assert frame.sort("i").rows() == postgres.execute(f"{query} ORDER BY i").fetchall()
    depth = 3 if any(values) else 1
    dtype: pl.DataType = pl.Int32()
    for _ in range(depth):
        dtype = pl.List(dtype)
    assert frame.schema["v"] == dtype


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("'{{1,2},{3,NULL}}'::int8[]", [[1, 2], [3, None]]),
        ("'[-3:-2][0:0]={{a},{b c}}'::text[]", [["a"], ["b c"]]),
        ("'{{{{{{1.50}}}}}}'::numeric[]", [[[[[[Decimal("1.50")]]]]]]),
        ("'{{1,0},{1,1}}'::bit(1)[]", [["1", "0"], ["1", "1"]]),
        ("'{{1 day},{02:00}}'::interval[]", [[timedelta(days=1)], [timedelta(hours=2)]]),
        ("'{{1 mon},{NULL}}'::interval[]", [["1 mon"], [None]]),
    ],
)
def test_dimensions_of_all_types(postgres_uri: str, expression: str, expected: list[object]) -> None:
    """Arrays of several dimensions are nested lists, whatever their type; lower bounds are not kept."""
    assert industrydb.read_sql(postgres_uri, f"SELECT {expression} AS v").rows() == [(expected,)]


def test_dimensions_that_differ(postgres_uri: str) -> None:
    """Arrays of different dimensions have no common type, in one partition or in several, and the error says so."""
    query = "SELECT i, CASE i WHEN 1 THEN '{1}' ELSE '{{1}}' END::int[] AS v FROM generate_series(1, 2) AS i"
    with pytest.raises(industrydb.TypeConversionError, match=r'"v" \(int4\[\]\), row 2: an array of 2 dim.*text'):
        industrydb.read_sql(postgres_uri, query)
    with pytest.raises(industrydb.TypeConversionError, match=r'"v".*List.*text'):
        industrydb.read_sql(postgres_uri, query, partition_on="i", partitions=2)


def test_intervals_print_as_postgresql_prints_them(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """One interval with months makes its column text, as PostgreSQL prints it."""
    random = Random(18)  # noqa: S311, nobody guesses it
    parts = [
        (random.choice([0, 1, -1, 11, 13, -25]), random.choice([0, 1, -1, 40, -400]), random.randint(-(10**12), 10**12))
        for _ in range(50)
    ]
    parts += [(1, 0, 0), (0, 0, 0), (0, 0, -1), (0, 0, 60_000_000), (0, 5, 10), (-13, 5, -10), (12, 0, 10)]
    rows = ", ".join(f"('{months} months {days} days {us} microseconds'::interval)" for months, days, us in parts)
    frame = industrydb.read_sql(postgres_uri, f"SELECT v FROM (VALUES {rows}) AS t(v)")
    expected = postgres.execute(f"SELECT v::text FROM (VALUES {rows}) AS t(v)").fetchall()
    assert frame.dtypes == [pl.String]
    assert frame.rows() == expected


DAYS = [
    "4714-11-24 BC",
    "4713-01-01 BC",
    "0001-02-29 BC",
    "0001-12-31 BC",
    "0001-01-01",
    "0004-02-29",
    "1582-10-10",
    "1900-03-01",
    "2000-02-29",
    "9999-12-31",
    "10000-01-01",
    "262142-12-31",
]


def test_dates_beyond_pythons(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """Dates beyond Python's are exact, from PostgreSQL's first to the last that Polars can print."""
    rows = ", ".join(f"('{day}'::date)" for day in DAYS)
    frame = industrydb.read_sql(postgres_uri, f"SELECT v FROM (VALUES {rows}) AS t(v)")
    assert frame.dtypes == [pl.Date]
    expected = postgres.execute(f"SELECT v - date '1970-01-01' FROM (VALUES {rows}) AS t(v)").fetchall()
    assert frame.select(pl.col("v").to_physical()).rows() == expected


def test_timestamps_beyond_pythons(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """Timestamps beyond Python's are exact to the microsecond."""
    rows = ", ".join(f"('{day}'::timestamp + '23:59:59.999999')" for day in DAYS)
    query = f"SELECT v, v::timestamptz AS z FROM (VALUES {rows}) AS t(v)"
    frame = industrydb.read_sql(postgres_uri, query)
    assert frame.dtypes == [pl.Datetime("us"), pl.Datetime("us", "UTC")]
    counts = "(extract(epoch FROM v) * 1000000)::int8, (extract(epoch FROM z) * 1000000)::int8"
    expected = postgres.execute(f"SELECT {counts} FROM ({query}) AS q").fetchall()
    assert frame.select(pl.all().to_physical()).rows() == expected


def test_a_numeric_column_has_the_scale_that_its_values_need(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """A numeric column has the scale that its values need, also if they are in another partition or in an array."""
    query = """SELECT i, CASE i WHEN 3 THEN 0.125 WHEN 8 THEN 1.50 WHEN 4 THEN NULL ELSE i END AS v,
               ARRAY[i * 1.50, NULL] AS a FROM generate_series(1, 8) AS i"""
    for partitions in (1, 2, 8):
        frame = industrydb.read_sql(postgres_uri, query, partition_on="i", partitions=partitions)
        assert frame.dtypes == [pl.Int32, pl.Decimal(38, 3), pl.List(pl.Decimal(38, 1))]
        assert frame.rows() == postgres.execute(query).fetchall()


def test_an_interval_column_is_text_in_all_partitions(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """Months in the last partition make the column text in all partitions, in arrays too."""
    query = """SELECT i, v, ARRAY[v, NULL] AS a FROM (
               SELECT i, CASE i WHEN 8 THEN '1 mon' ELSE '-1 day 00:00:01' END::interval AS v
               FROM generate_series(1, 8) AS i) AS q"""
    frame = industrydb.read_sql(postgres_uri, query, partition_on="i", partitions=4)
    assert frame.rows() == postgres.execute(f"SELECT i, v::text, a::text[] FROM ({query}) AS q ORDER BY i").fetchall()


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("'NaN'::numeric", "NaN"),
        ("'Infinity'::numeric", "Infinity"),
        ("'-Infinity'::numeric", "-Infinity"),
        ("'NaN'::numeric(10,2)", "NaN"),
        ("1e38::numeric", f"1{38 * '0'}"),
        ("-123456789012345678901234567890123456789.5::numeric", "-1.234567890123456789012345678901234567895e38"),
        ("1e-39::numeric", "1e-39"),
        ("ARRAY[1, 1e38]::numeric[]", f"1{38 * '0'}"),
        ("'infinity'::date", "infinity"),
        ("'-infinity'::date", "-infinity"),
        ("'infinity'::timestamp", "infinity"),
        ("'-infinity'::timestamptz", "-infinity"),
        ("ARRAY['infinity'::date]", "infinity"),
        ("'24:00:00'::time", "24:00:00"),
        ("'262143-01-01'::date", "262142-12-31,"),
        ("'290000-01-01'::timestamp", "262142-12-31,"),
    ],
)
def test_values_that_do_not_fit_are_named(postgres_uri: str, expression: str, shown: str) -> None:
    """A value that does not fit raises an error with its column, row and text."""
    query = f'SELECT CASE WHEN i = 3 THEN {expression} END AS "Betrag (€)" FROM generate_series(1, 3) AS i'
    with pytest.raises(industrydb.TypeConversionError) as raised:
        industrydb.read_sql(postgres_uri, query)
    message = str(raised.value)
    assert "Betrag (€)" in message
    assert "row 3" in message
    assert f" {shown} " in f" {message} "
    assert raised.value.code is None


@pytest.mark.parametrize("partitions", [1, 2])
def test_numbers_that_fit_no_common_scale_are_refused(postgres_uri: str, partitions: int) -> None:
    """Two numbers that each fit a decimal, but not with a common scale, are refused."""
    query = "SELECT i, CASE i WHEN 1 THEN 1e37 ELSE 0.01 END AS price FROM generate_series(1, 2) AS i"
    with pytest.raises(industrydb.TypeConversionError, match=r'"price".*(10{37} |0\.01|1e-2)'):
        industrydb.read_sql(postgres_uri, query, partition_on="i", partitions=partitions)


def test_long_values_and_wide_rows(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """A value larger than any buffer, and a result with as many columns as PostgreSQL allows, are read."""
    query = "SELECT i, repeat('é', 2000000 * i) AS t, repeat('a', 13 - i) AS s FROM generate_series(0, 2) AS i"
    assert industrydb.read_sql(postgres_uri, query).rows() == postgres.execute(query).fetchall()
    query = "SELECT " + ", ".join(f"{n} AS c{n}" for n in range(1664))
    assert industrydb.read_sql(postgres_uri, query).rows() == postgres.execute(query).fetchall()


def test_databases_of_other_encodings(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """Text of other encodings arrives as Unicode; bytes in no known encoding are refused, and never replaced."""
    for encoding in ("LATIN1", "SQL_ASCII"):
        postgres.execute(f"DROP DATABASE IF EXISTS in_{encoding}")
        postgres.execute(f"CREATE DATABASE in_{encoding} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
    latin = with_options(postgres_uri, dbname="in_latin1")
    assert industrydb.read_sql(latin, "SELECT 'Ä'||chr(233) AS v, 'ö' AS \"ö\"").rows() == [("Äé", "ö")]
    ascii_only = with_options(postgres_uri, dbname="in_sql_ascii")
    with psycopg.connect(ascii_only, autocommit=True) as connection:
        connection.execute(rb"CREATE TABLE t AS SELECT E'caf\351' AS v")
    with pytest.raises(industrydb.QueryExecutionError, match="0xe9") as raised:
        industrydb.read_sql(ascii_only, "SELECT v FROM t")
    assert raised.value.code == "22021"
