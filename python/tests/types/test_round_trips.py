"""Thousands of random values of each type, written by other drivers, come back as those drivers read them."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from itertools import cycle
from typing import NamedTuple

import polars as pl
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

import industrydb
from tests.kit.support import SqliteFile

# Each example is a batch of values, since the few round trips of an example take most of the time.
BATCHES = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
MAX_BATCH = 300

# PostgreSQL's text can have all characters but NUL. Polars stores texts of more than twelve bytes differently.
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TEXTS = st.text(CHARACTERS, max_size=20) | st.text("aé€𝄞\\\"',{}()[] \n", min_size=3, max_size=14)
BYTES = st.binary(max_size=20) | st.binary(min_size=11, max_size=14)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=4,
)
MICROSECONDS = st.integers(-(10**17), 10**17)
DECIMALS = st.builds(Decimal.scaleb, st.integers(1 - 10**19, 10**19 - 1).map(Decimal), st.integers(-19, 0))
MOODS = ["sad", "très content", 'a "b" {c},', ""]


def integers(bits: int) -> st.SearchStrategy[int]:
    """Return a strategy for signed integers of so many bits, as often near the ends and zero as between."""
    end = 2 ** (bits - 1)
    return st.integers(-end, end - 1) | st.sampled_from([-end, -1, 0, end - 1])


def batches(values: st.SearchStrategy[object], least: int = 120) -> st.SearchStrategy[list[object]]:
    """Return a strategy for columns of values and NULLs."""
    return st.lists(st.none() | values, min_size=least, max_size=MAX_BATCH)


class Case(NamedTuple):
    """A database type, values of it, its dtype, and the type that psycopg reads it as."""

    database_type: str
    values: st.SearchStrategy[object]
    dtype: pl.DataType
    read_as: str = ""

    def expression(self, value: str, dimensions: str = "") -> str:
        """Return psycopg's expression for a value or an array. An ``inet`` is printed, as a cast would add a mask."""
        if self.database_type == "inet":
            printed = f"textin({'array' if dimensions else 'inet'}_out({value}))"
            return f"{printed}::text{dimensions}"
        return f"{value}::{self.read_as or self.database_type}{dimensions}"


TEXT, DURATION = pl.String(), pl.Duration("us")
CASES = [
    Case("bool", st.booleans(), pl.Boolean()),
    Case("int2", integers(16), pl.Int16()),
    Case("int4", integers(32), pl.Int32()),
    Case("int8", integers(64), pl.Int64()),
    Case("oid", st.integers(0, 2**32 - 1), pl.UInt32()),
    Case("float4", st.floats(width=32), pl.Float32()),
    Case("float8", st.floats(), pl.Float64()),
    Case("numeric", DECIMALS, pl.Decimal(38, 19)),
    Case("numeric(12,3)", st.decimals(-(10**9) + 1, 10**9 - 1, places=3), pl.Decimal(12, 3)),
    Case("numeric(60,30)", DECIMALS, TEXT, "text"),
    Case("text", TEXTS, TEXT),
    Case("varchar(20)", TEXTS, TEXT),
    Case("char(20)", TEXTS, TEXT),
    Case("name", st.text("aä", max_size=31), TEXT, "text"),
    Case("bytea", BYTES, pl.Binary()),
    Case("date", st.dates(), pl.Date()),
    Case("time", st.times(), pl.Time()),
    Case("timestamp", st.datetimes(), pl.Datetime("us")),
    Case("timestamptz", st.datetimes(timezones=st.just(timezone.utc)), pl.Datetime("us", "UTC")),
    Case("interval", MICROSECONDS.map(lambda count: timedelta(microseconds=count)), DURATION),
    Case("uuid", st.uuids(), TEXT, "text"),
    Case("json", DOCUMENTS.map(json.dumps), TEXT, "text"),
    Case("jsonb", DOCUMENTS.map(Jsonb), TEXT, "text"),
    Case("mood", st.sampled_from(MOODS), TEXT, "text"),
    Case("positive", st.integers(1, 2**31 - 1), pl.Int32(), "int"),
    Case("inet", st.ip_addresses(), TEXT, "text"),
    Case("bit varying", st.text("01", max_size=70), TEXT, "text"),
]


class Table(NamedTuple):
    """A table that values of one type are written to."""

    connection: psycopg.Connection
    uri: str

    def create(self, columns: str) -> None:
        """Recreate the table, with a number and other columns."""
        self.connection.execute(f"DROP TABLE IF EXISTS round_trips; CREATE TABLE round_trips (n int, {columns})")

    def write(self, rows: Sequence[Sequence[object]]) -> None:
        """Replace all rows."""
        with self.connection.transaction(), self.connection.cursor() as cursor:
            cursor.execute("DELETE FROM round_trips")
            with cursor.copy("COPY round_trips FROM STDIN") as copy:
                for number, row in enumerate(rows):
                    copy.write_row((number, *row))

    def read(self, columns: str, partitions: int) -> pl.DataFrame:
        """Return columns as industrydb reads them."""
        query = f"SELECT n, {columns} FROM round_trips"
        return industrydb.read_sql(self.uri, query, partition_on="n", partitions=partitions).sort("n")

    def expected(self, expression: str) -> list[object]:
        """Return an expression's values by psycopg, in binary."""
        query = f"SELECT {expression} FROM round_trips ORDER BY n"
        return [value for (value,) in self.connection.execute(query, binary=True)]


@pytest.fixture(scope="module")
def table(postgres: psycopg.Connection, postgres_uri: str) -> Iterator[Table]:
    """Create the types of the cases; yield a table whose connection prepares no statements, as their types change."""
    moods = ", ".join(f"'{mood}'" for mood in MOODS)
    postgres.execute("DROP SCHEMA IF EXISTS round_trip CASCADE; CREATE SCHEMA round_trip")
    options = f"{postgres_uri}{'&' if '?' in postgres_uri else '?'}options=-c%20search_path%3Dround_trip"
    with psycopg.connect(options, autocommit=True, prepare_threshold=None) as connection:
        connection.execute(f"CREATE TYPE mood AS ENUM ({moods}); CREATE DOMAIN positive AS int CHECK (VALUE > 0)")
        yield Table(connection, options)


def exact(value: object) -> object:
    """Make values comparable by ``==`` to the bit; all NaNs are the same, since PostgreSQL has one."""
    if isinstance(value, (list, tuple)):
        return [exact(element) for element in value]
    if isinstance(value, dict):
        return {name: exact(field) for name, field in value.items()}
    return repr(value) if isinstance(value, float) else value


def nested(elements: Iterator[object], lengths: Sequence[int]) -> list[object]:
    """Return an array of the given dimensions; one without elements has none."""
    first, *inner = lengths
    return [nested(elements, inner) if inner else next(elements) for _ in range(first)] if all(lengths) else []


def bounds(lower: int, array: object) -> str:
    """Return the bounds of an array's indices, as its literal has them."""
    return f"[{lower}:{lower + len(array) - 1}]{bounds(lower, array[0])}" if isinstance(array, list) and array else ""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.database_type)
def test_values_come_back(table: Table, case: Case) -> None:
    """Every value comes back unchanged, also in arrays of any dimensions and bounds, and in partitions."""
    table.create(f"v {case.database_type}, b text, a {case.database_type}[]")
    moved = f"coalesce((b || '=' || a::text)::{case.database_type}[], a)"

    @BATCHES
    @given(
        values=batches(case.values),
        shapes=st.integers(1, 3).flatmap(lambda count: st.lists(st.tuples(*[st.integers(0, 3)] * count), min_size=1)),
        lower=st.integers(-1, 3),
        partitions=st.sampled_from([1, 1, 3]),
    )
    def come_back(values: list[object], shapes: list[tuple[int, ...]], lower: int, partitions: int) -> None:
        elements = cycle(values)
        arrays = [nested(elements, shape) if shape else None for shape, _ in zip(cycle([*shapes, ()]), values)]
        table.write([(value, bounds(lower, a) or None, a) for value, a in zip(values, arrays, strict=True)])
        frame = table.read(f"v, {moved} AS a", partitions)
        assert exact(frame["v"].to_list()) == exact(table.expected(case.expression("v")))
        assert exact(frame["a"].to_list()) == exact(table.expected(case.expression("a", "[]")))
        assert frame["v"].dtype == case.dtype or case.database_type == "numeric"  # numeric has the scale of the values
        assert str(frame["a"].dtype).count("List(") == (len(shapes[0]) if any(arrays) else 1)

    come_back()


@BATCHES
@given(data=st.data(), precision=st.integers(1, 45), scale=st.integers(-10, 50), partitions=st.sampled_from([1, 3]))
def test_declared_numerics_come_back(
    table: Table, data: st.DataObject, precision: int, scale: int, partitions: int
) -> None:
    """A numeric of any precision and scale is the decimal that holds it up to 38 digits, and text beyond."""
    end = 10**precision
    numbers = data.draw(batches(st.integers(1 - end, end - 1)))
    table.create(f"v numeric({precision}, {scale})")
    table.write([(None if number is None else f"{number}e{-scale}",) for number in numbers])
    digits = max(precision - min(scale, 0), scale)
    column = table.read("v", partitions)["v"]
    assert column.dtype == (pl.Decimal(digits, max(scale, 0)) if digits <= 38 else TEXT)
    assert column.to_list() == table.expected("v" if digits <= 38 else "v::text")


@BATCHES
@given(
    rows=batches(st.tuples(integers(32), integers(32), integers(62)), least=50),
    partitions=st.sampled_from([1, 3]),
)
def test_intervals_with_months_come_back(table: Table, rows: list[object], partitions: int) -> None:
    """Intervals with months come back as the text that the server prints."""
    table.create("v interval")
    table.write(
        [(f"{row[0]} months {row[1]} days {row[2]} us" if isinstance(row, tuple) else "1 month",) for row in rows]
    )
    assert table.read("v", partitions)["v"].to_list() == table.expected("v::text")


FIELDS = [case for case in CASES if case.database_type not in ("json", "jsonb", "positive")]


@pytest.mark.parametrize(
    "fields", [FIELDS[number::4] for number in range(4)], ids=lambda fields: fields[0].database_type
)
def test_composites_come_back(table: Table, fields: list[Case]) -> None:
    """Fields of rows are read like columns of their types, and a NULL is not a row of NULLs."""
    attributes = ", ".join(f"f{number} {case.database_type}" for number, case in enumerate(fields))
    table.connection.execute(f"DROP TYPE IF EXISTS composite CASCADE; CREATE TYPE composite AS ({attributes})")
    table.create(f"is_null bool, {attributes}")
    names = ", ".join(f"f{number}" for number in range(len(fields)))
    value = f"CASE WHEN NOT is_null THEN ROW({names})::composite END"

    @BATCHES
    @given(
        rows=st.lists(st.tuples(st.booleans(), *(st.none() | case.values for case in fields)), min_size=50),
        partitions=st.sampled_from([1, 3]),
    )
    def come_back(rows: list[tuple[object, ...]], partitions: int) -> None:
        table.write(rows)
        casts = (case.expression(f"f{n}") for n, case in enumerate(fields))
        columns = [table.expected(cast) for cast in casts]
        expected = [
            None if is_null else {f"f{n}": field for n, field in enumerate(row)}
            for (is_null, *_), row in zip(rows, zip(*columns, strict=True), strict=True)
        ]
        assert exact(table.read(f"{value} AS v", partitions)["v"].to_list()) == exact(expected)

    come_back()


def iso(parse: Callable[[str], object]) -> Callable[[object], object]:
    """Return a function that parses a text in ISO form."""
    return lambda text: parse(str(text))


# A declared type, values, the conversion of what sqlite3 reads (`None` for none), and the column's dtype.
SQLITE: list[tuple[str, st.SearchStrategy[object], Callable[[object], object] | None, pl.DataType]] = [
    ("INTEGER", integers(64), None, pl.Int64()),
    ("BIGINT", integers(64), None, pl.Int64()),
    ("REAL", st.floats(allow_nan=False), None, pl.Float64()),
    ("DOUBLE PRECISION", st.floats(allow_nan=False) | st.integers(-(2**53), 2**53), None, pl.Float64()),
    ("DECIMAL(10,5)", st.floats(allow_nan=False) | st.integers(-9, 9), float, pl.Float64()),  # type: ignore[list-item]
    ("TEXT", st.text(st.characters(exclude_categories=["Cs"])), None, TEXT),
    ("VARCHAR(3)", TEXTS, None, TEXT),
    ("BLOB", BYTES, None, pl.Binary()),
    ("BOOLEAN", st.booleans(), bool, pl.Boolean()),
    ("DATE", st.dates().map(str), iso(date.fromisoformat), pl.Date()),
    ("TIME", st.times().map(str), iso(time.fromisoformat), pl.Time()),
    ("DATETIME", st.datetimes().map(str), iso(datetime.fromisoformat), pl.Datetime("us")),
    ("TIMESTAMP", st.datetimes().map(datetime.isoformat), iso(datetime.fromisoformat), pl.Datetime("us")),
    ("", integers(64), None, pl.Int64()),
    ("", st.floats(allow_nan=False), None, pl.Float64()),
    ("", TEXTS, None, TEXT),
    ("JSON", BYTES, None, pl.Binary()),
]


@pytest.mark.parametrize(("declared", "values", "convert", "dtype"), SQLITE)
def test_sqlite_values_come_back(
    shared_sqlite_file: SqliteFile,
    declared: str,
    values: st.SearchStrategy[object],
    convert: Callable[[object], object] | None,
    dtype: pl.DataType,
) -> None:
    """Every value comes back as sqlite3 reads it, in one partition or several."""
    connection, uri = shared_sqlite_file.connection, shared_sqlite_file.uri
    connection.executescript(f"DROP TABLE IF EXISTS t; CREATE TABLE t (n INTEGER PRIMARY KEY, v {declared})")

    @BATCHES
    @given(drawn=batches(values), partitions=st.sampled_from([1, 3]))
    def come_back(drawn: list[object], partitions: int) -> None:
        connection.execute("DELETE FROM t")
        connection.executemany("INSERT INTO t VALUES (?, ?)", enumerate(drawn))
        column = industrydb.read_sql(uri, "SELECT n, v FROM t", partition_on="n", partitions=partitions)["v"]
        stored = [value for (value,) in connection.execute("SELECT v FROM t ORDER BY n")]
        expected = [value if convert is None or value is None else convert(value) for value in stored]
        assert exact(column.to_list()) == exact(expected)
        assert column.dtype == dtype or column.null_count() == len(column)

    come_back()
