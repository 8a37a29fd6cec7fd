"""With `schema_overrides`, each value arrives exactly, or as the nearest float, or an error names it."""

import math
import pickle
import re
import struct
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any, TypeAlias

import polars as pl
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

import industrydb
from tests.kit.databases import Database, Feature
from tests.kit.postgres_types import NATIVE, TEXTUAL, by_psycopg, create_extension, with_null
from tests.kit.support import SqliteFile, plain

pytestmark = pytest.mark.needs(Feature.DRIVER)

# A value of a database. Numbers, texts, dates and times have no type in common.
Value: TypeAlias = Any

UTC = timezone.utc
TOKYO = pl.Datetime("us", "Asia/Tokyo")
MS, US, NS = pl.Datetime("ms"), pl.Datetime("us"), pl.Datetime("ns")
SIGNED = {pl.Int8(): 7, pl.Int16(): 15, pl.Int32(): 31, pl.Int64(): 63}
UNSIGNED = {pl.UInt8(): 8, pl.UInt16(): 16, pl.UInt32(): 32, pl.UInt64(): 64}
INTEGERS: dict[pl.DataType, tuple[int, int]] = {
    **{dtype: (-(2**bits), 2**bits - 1) for dtype, bits in SIGNED.items()},
    **{dtype: (0, 2**bits - 1) for dtype, bits in UNSIGNED.items()},
}


def float32(value: Fraction | Decimal | int) -> float:
    """Round an exact number to the nearest float of 32 bits, ties to even, in integers."""
    exact = Fraction(value)
    exponent = exact.numerator.bit_length() - exact.denominator.bit_length() - 24
    exponent = max(exponent + (abs(exact) >= Fraction(2) ** (exponent + 24)), -149)
    # A whole number of units of the last place: 24 bits, or fewer near zero.
    rounded = round(exact / Fraction(2) ** exponent) * Fraction(2) ** exponent
    return float(rounded) if abs(rounded) < 2**128 else math.inf


def midnight(value: Value) -> datetime:
    """Return the beginning of a day."""
    return datetime.combine(value, time())


@pytest.fixture
def uri(database: Database) -> str:
    """Return the database's URI."""
    return database.uri


# SQL for a value, the requested dtype, and the function that makes psycopg's value the expected one.
Pair = tuple[str, pl.DataType, Callable[[Any], object]]

PAIRS: list[Pair] = [
    ("true", pl.UInt8(), int),
    ("'NaN'::numeric", pl.Float64(), float),
    ("'-Infinity'::numeric", pl.Float32(), float),
    ("3.4028235677973362e38::numeric", pl.Float32(), float32),
    ("1.00000005960464477539062500000000000001::numeric", pl.Float32(), float32),  # just above a tie
    ("9007199254740993.00000000000000000000000000000000000000000001::numeric", pl.Float64(), float),
    ("1234567890123456789012345678901234567890.5::numeric(50,10)", pl.Float64(), float),
    ("12345.678::numeric(50,10)", pl.Decimal(8, 3), Decimal),
    (f"1.5{'0' * 60}::numeric", pl.Decimal(2, 1), Decimal),
    ("'0.1'::float4", pl.Decimal(2, 1), lambda _: Decimal("0.1")),
    ("'0.1'::float4", pl.Float64(), lambda _: struct.unpack("f", struct.pack("f", 0.1))[0]),
    ("' -7 '::text", pl.Int8(), int),
    ("'1.5'::char(9)", pl.Decimal(5, 3), lambda text: Decimal(text.strip())),
    ("'T'::text", pl.Boolean(), lambda _: True),
    ("'2024-02-29'::char(20)", pl.Date(), lambda text: date.fromisoformat(text.strip())),
    ("'2024-02-29 12:34:56+05:45'::text", TOKYO, datetime.fromisoformat),
    ("'a'::text", pl.Categorical(), lambda value: value),
    ("'a'::varchar", pl.Enum(["b", "a"]), lambda value: value),
    ("'2024-02-29 00:00'::timestamp", pl.Date(), lambda value: value.date()),
    ("'2262-04-11 23:47:16.854775'::timestamp", NS, lambda value: value),
    ("'2024-02-29 12:34:56.789+05:45'::timestamptz", TOKYO, lambda value: value),
    ("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", pl.Binary(), lambda value: value.bytes),
]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair[0]} as {pair[1]}")
def test_values_become_those_of_the_asked_type(postgres_uri: str, postgres: psycopg.Connection, pair: Pair) -> None:
    """A value becomes that of the requested type, alone, in lists, in lists of lists and in arrays; NULLs stay."""
    expression, dtype, expected = pair
    value = plain(expected(by_psycopg(postgres, f"SELECT {expression}")[0]))
    for sql, asked, cell in (
        (expression, dtype, value),
        (f"ARRAY[{expression}, NULL]", pl.List(dtype), [value, None]),
        (f"ARRAY[{expression}, NULL]", pl.Array(dtype, 2), [value, None]),
        (f"ARRAY[[{expression}]]", pl.List(pl.List(dtype)), [[value]]),
    ):
        column = industrydb.read_sql(postgres_uri, with_null(sql), schema_overrides={"value": asked})["value"]
        assert column.dtype == asked
        assert plain(column.to_list()) == [cell, None]


@pytest.mark.parametrize("expression", [expression for expression, _ in NATIVE if "char(" not in expression] + TEXTUAL)
def test_everything_becomes_the_text_that_postgresql_prints(
    postgres_uri: str, postgres: psycopg.Connection, expression: str
) -> None:
    """Every type can be read as the text that PostgreSQL prints, and its arrays as lists of such texts."""
    query = f"SELECT {expression} AS v"
    is_native = expression not in TEXTUAL
    expected = by_psycopg(postgres, f"SELECT {'v::text' if is_native else 'concat(v)'} FROM ({query}) AS q")
    frame = industrydb.read_sql(postgres_uri, query, schema_overrides={"v": pl.String})
    assert frame.schema == {"v": pl.String}
    assert frame["v"].to_list() == expected
    if "[]" not in expression and "ARRAY" not in expression:
        query = f"SELECT ARRAY[{expression}, NULL] AS v"
        lists = industrydb.read_sql(postgres_uri, query, schema_overrides={"v": pl.List(pl.String)})
        assert lists["v"].to_list() == [[*expected, None]]


def test_fractions_go_to_the_nanosecond(uri: str) -> None:
    """A text's fraction of a second is read to the nanosecond, which is finer than PostgreSQL's types."""
    asked = {"t": NS, "n": pl.Time()}
    query = "SELECT '1970-01-01 00:00:01.000000001' AS t, '00:00:01.000000001' AS n"
    frame = industrydb.read_sql(uri, query, schema_overrides=asked)
    assert frame.schema == asked
    assert frame.select(pl.all().to_physical()).rows() == [(10**9 + 1, 10**9 + 1)]


def test_types_of_users_and_extensions(postgres_uri: str, postgres: psycopg.Connection) -> None:
    """Overrides apply to enums, composites, money, a user's type of that name, and vectors."""
    create_extension(postgres, "vector")
    postgres.execute("""
        DROP SCHEMA IF EXISTS overridden CASCADE; CREATE SCHEMA overridden;
        CREATE TYPE overridden.grade AS ENUM ('2', '10'); CREATE TYPE overridden.pair AS (a int, b text);
        CREATE TYPE overridden.money AS ENUM ('1.5');
    """)
    enum, vector = pl.Enum(["2", "10"]), "'[1,0.1]'::vector"
    rows: list[tuple[str, pl.DataType, str]] = [
        ("'10'::overridden.grade", enum, "'10'"),
        ("'10'::overridden.grade", pl.Int8(), "10"),
        ("ARRAY['2', NULL]::overridden.grade[]", pl.List(enum), "ARRAY['2', NULL]"),
        ("ARRAY[(1, 'b')::overridden.pair]", pl.List(pl.String()), "ARRAY['(1,b)']"),
        ("'1.5'::overridden.money", pl.Float64(), "1.5::float8"),
        ("'-1234.5'::pg_catalog.money", pl.Decimal(10, 2), "'-1234.5'::pg_catalog.money::numeric"),
        (vector, pl.List(pl.Float64()), f"{vector}::float4[]::float8[]"),
        (vector, pl.Array(pl.Float32(), 2), f"{vector}::float4[]"),
    ]
    for expression, dtype, expected in rows:
        frame = industrydb.read_sql(postgres_uri, f"SELECT {expression} AS v", schema_overrides={"v": dtype})
        assert frame.dtypes == [dtype]
        assert frame["v"].to_list() == by_psycopg(postgres, f"SELECT {expected}"), (expression, dtype)


def test_types_may_be_given_as_classes_or_pythons(uri: str) -> None:
    """Overrides may be classes or types of Python, in any mapping, and mean what Polars makes of them."""
    kinds = [(int, pl.Int64), (str, pl.String), (float, pl.Float64), (bool, pl.Boolean), (bytes, pl.Binary)]
    kinds += [(date, pl.Date), (datetime, pl.Datetime), (time, pl.Time), (pl.UInt8, pl.UInt8)]
    query = "SELECT " + ", ".join(f"NULL AS c{number}" for number in range(len(kinds)))
    asked = MappingProxyType({f"c{number}": kind for number, (kind, _) in enumerate(kinds)})
    frame = industrydb.read_sql(uri, query, schema_overrides=asked)
    assert frame.dtypes == [dtype for _, dtype in kinds]


# A declared type, SQL for its values, the requested dtype, and the function from sqlite3's to the expected values.
SQLITE: list[tuple[str, str, pl.DataType, Callable[[Any], object]]] = [
    ("INTEGER", "5, '7', 3.0", pl.Int16(), int),
    ("INTEGER", "5, 'x'", pl.Enum(["x", "5"]), str),
    ("INTEGER", "1709210096, -1", pl.Datetime("ms", "Asia/Tokyo"), lambda n: datetime.fromtimestamp(n, UTC)),
    ("REAL", "2440588.25", US, lambda day: datetime(1970, 1, 1) + timedelta(days=day - 2440587.5)),  # noqa: DTZ001
    ("NUMERIC", "9007199254740993, 0.5", pl.Float64(), float),
    ("TEXT", "'true', 'F', '0'", pl.Boolean(), lambda text: text == "true"),
    ("TEXT", "'2024-02-29T12:34:56+05:45'", TOKYO, datetime.fromisoformat),
    ("TEXT", "'ä', x'ff'", pl.Binary(), lambda value: value if isinstance(value, bytes) else value.encode()),
    ("BLOB", "x'c3a4', 'a', x''", pl.String(), lambda value: value if isinstance(value, str) else value.decode()),
    ("DATETIME", "1709210096, 1, '12'", pl.Int64(), int),
    ("DATETIME", "'2024-02-29 12:34', 5, 0.5, 'soon'", pl.String(), str),
    ("", "NULL, '7', 8, 9.0", pl.UInt8(), int),
]


@pytest.mark.parametrize("column", SQLITE, ids=lambda column: f"{column[0]}: {column[1]} as {column[2]}")
@pytest.mark.parametrize("expression", ["v", "iif(true, v, NULL)"])
def test_sqlite_values_become_those_of_the_asked_type(
    sqlite_file: SqliteFile, column: tuple[str, str, pl.DataType, Callable[[Any], object]], expression: str
) -> None:
    """Columns and expressions have the values of the requested type, in one partition and in several."""
    declared, values, dtype, expected = column
    sqlite_file.connection.execute(f"CREATE TABLE t (i INTEGER PRIMARY KEY, v {declared})")
    sqlite_file.connection.executescript("".join(f"INSERT INTO t (v) VALUES ({one});" for one in values.split(", ")))
    query = f"SELECT i, {expression} AS v FROM t"
    stored = [value for _, value in sqlite_file.connection.execute(query)]
    for partitions in (1, 3):
        frame = industrydb.read_sql(
            sqlite_file.uri, query, partition_on="i", partitions=partitions, schema_overrides={"v": dtype}
        )
        assert frame.dtypes == [pl.Int64, dtype]
        assert plain(frame["v"].to_list()) == plain([None if value is None else expected(value) for value in stored])


# SQL for a value of PostgreSQL, a requested dtype that cannot hold it, and its text in the message.
MISFITS: list[tuple[str, pl.DataType, str]] = [
    *((f"({end})::numeric", dtype, str(end)) for dtype, (low, high) in INTEGERS.items() for end in (low - 1, high + 1)),
    ("'Infinity'::numeric", pl.Int8(), "inf"),
    ("1e400::numeric", pl.Float64(), "1e400"),
    ("'2024-02-29 12:00:00.0000001'::text", US, '"2024-02-29 12:00:00.0000001"'),
    ("'b'::text", pl.Enum(["a"]), "'b'"),
    ("'2024-02-29 00:00:00.000001'::timestamp", pl.Date(), "2024-02-29 00:00:00.000001"),
    ("'1 mon'::interval", pl.Duration("us"), "1 mon"),
    ("ARRAY[1, 300]", pl.List(pl.Int8()), "300"),
    ("ARRAY[1, 2]", pl.Array(pl.Int8(), 3), "[1, 2]"),
    ("ARRAY[1, 2]", pl.List(pl.List(pl.Int32())), "an array of 1 dimension"),
    ("ARRAY[[1]]", pl.List(pl.Int32()), "an array of 2 dimension"),
]


@pytest.mark.parametrize("misfit", MISFITS, ids=lambda misfit: f"{misfit[0]} as {misfit[1]}")
def test_values_that_the_asked_type_does_not_have(postgres_uri: str, misfit: tuple[str, pl.DataType, str]) -> None:
    """A value that does not fit raises an error with its column, row and text; without its row, the others are read."""
    expression, dtype, shown = misfit
    query = f'SELECT i, CASE i WHEN 3 THEN {expression} END AS "Betrag (€)" FROM generate_series(1, 4) AS i'
    asked = {"Betrag (€)": dtype}
    with pytest.raises(industrydb.TypeConversionError) as raised:
        industrydb.read_sql(postgres_uri, query, schema_overrides=asked)
    assert "Betrag (€)" in str(raised.value)
    assert "row 3" in str(raised.value)
    assert f" {shown}" in str(raised.value)
    frame = industrydb.read_sql(postgres_uri, f"{query} WHERE i <> 3", schema_overrides=asked)
    assert frame.to_dict(as_series=False) == {"i": [1, 2, 4], "Betrag (€)": [None] * 3}


@pytest.mark.parametrize("value", ["128", "0.5", "-9223372036854775808", "'x'", "' '", "x'ff'", "9e999"])
@pytest.mark.parametrize("declared", ["INTEGER", "REAL", "TEXT", "BOOLEAN", "DATETIME", ""])
def test_asked_columns_of_sqlite_do_not_widen(sqlite_file: SqliteFile, declared: str, value: str) -> None:
    """An SQLite column with an override is not widened: a value that does not fit ends the read, wherever it is."""
    sqlite_file.connection.execute(f"CREATE TABLE t (i INTEGER PRIMARY KEY, v {declared})")
    for one in ["1", "NULL"] * 20 + [value]:
        sqlite_file.connection.execute(f"INSERT INTO t (v) VALUES ({one})")
    [(stored, kind)] = sqlite_file.connection.execute("SELECT v, typeof(v) FROM t WHERE i = 41")
    shown = re.escape({"blob": "x'ff'", "text": f'"{stored}"'}.get(kind, str(stored)[:6]))
    query = "SELECT i, v FROM t"
    for partitions, row in ((1, "row 41:"), (3, r"row \d+ of partition 3:")):
        with pytest.raises(industrydb.TypeConversionError, match=rf'"v".*, {row} {shown}'):
            industrydb.read_sql(
                sqlite_file.uri, query, partition_on="i", partitions=partitions, schema_overrides={"v": pl.Int8}
            )


def test_misfits_are_found_everywhere(uri: str) -> None:
    """A value that does not fit is found in a list's last query, a partition of a read or plan, and with parameters."""
    if uri.startswith("mysql"):
        pytest.skip("in the SQL of PostgreSQL and SQLite")
    mark = "?" if uri.startswith("sqlite") else "$1"
    rows = "WITH RECURSIVE t(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM t WHERE i < 40) SELECT i, i * 4 AS v FROM t"
    asked = {"v": pl.Int8()}
    queries = [f"{rows} WHERE i {which}" for which in ("< 9", "= 9", "> 30")]
    with pytest.raises(industrydb.TypeConversionError, match=r'"v".*, row 2 of partition 3: 128 '):
        industrydb.read_sql(uri, queries, schema_overrides=asked)
    cut = industrydb.plan_sql(
        uri, rows, partition_on="i", partitions=2, partition_range=(1, 40), schema_overrides=asked
    )
    assert cut.read(0)["v"].to_list() == list(range(4, 84, 4))
    with pytest.raises(industrydb.TypeConversionError, match=r'"v".*, row 12: 128 '):
        cut.read(1)
    with pytest.raises(industrydb.TypeConversionError, match=r'"v".*, row 12 of partition 2: 128 '):
        cut.read()
    query = f"{rows} WHERE i = CAST({mark} AS integer)"
    assert industrydb.read_sql(uri, query, params=[31], schema_overrides=asked).rows() == [(31, 124)]
    with pytest.raises(industrydb.TypeConversionError, match=r'"v".*, row 1: 128 '):
        industrydb.read_sql(uri, query, params=[32], schema_overrides=asked)


IMPOSSIBLE: list[tuple[str, str, tuple[pl.DataType, ...]]] = [
    ("postgresql", "1", (pl.Date(), pl.Time(), US, pl.Duration("us"), pl.Binary(), pl.List(pl.Int32()))),
    ("postgresql", "2", (pl.Array(pl.Int32(), 1), pl.Struct({"a": pl.Int32}), pl.Object(), pl.Null())),
    ("postgresql", "'2024-02-29'::date", (pl.Int32(), pl.Time(), pl.Float64(), pl.Boolean(), pl.Binary())),
    ("postgresql", "'12:00'::time", (US, pl.Duration("us"), pl.Int64())),
    ("postgresql", "B'1'", (pl.Int8(), pl.Boolean(), pl.Binary())),
    ("postgresql", r"'\x31'::bytea", (pl.Int8(), pl.Float64(), pl.Date())),
    ("postgresql", "'10.0.0.1'::inet", (pl.Int64(), pl.Binary())),
    ("postgresql", "ROW(1, 2)", (pl.Int8(), pl.List(pl.Int8()), pl.Struct({"f1": pl.Int32}))),
    ("postgresql", "ARRAY[1]", (pl.Int32(), pl.List(pl.Date()), pl.List(pl.Struct({})), pl.Binary())),
    ("sqlite", "INTEGER", (pl.Time(), pl.Binary(), pl.Duration("ms"), pl.List(pl.Int8()))),
    ("sqlite", "BLOB", (pl.Int8(), pl.Float64(), pl.Date())),
    ("sqlite", "DATE", (pl.Duration("us"), pl.Array(pl.String(), 1), pl.Null())),
]


@pytest.mark.parametrize(("database", "column", "dtypes"), IMPOSSIBLE, ids=str, indirect=["database"])
def test_impossible_pairs_are_refused_before_anything_is_read(
    database: Database, column: str, dtypes: tuple[pl.DataType, ...]
) -> None:
    """An impossible type is refused before the query is run: the query would fail, and does with a possible type."""
    uri, query = database.uri, f"SELECT 1 / (1 - i) AS i, {column} AS v FROM generate_series(1, 3) AS i"
    if database.name == "sqlite":
        database.script(f"CREATE TABLE t (v {column}); INSERT INTO t VALUES (1)")
        query = "SELECT v, abs(-9223372036854775807 - rowid) AS i FROM t"
    for dtype in dtypes:
        for key in (None, "i"):
            with pytest.raises(industrydb.ConfigurationError, match="schema_overrides"):
                industrydb.plan_sql(uri, query, partition_on=key, schema_overrides={"v": dtype})
            with pytest.raises(industrydb.ConfigurationError, match="schema_overrides"):
                industrydb.read_sql(uri, query, partition_on=key, schema_overrides={"v": dtype})
    possible = {"v": pl.List(pl.String) if column.startswith("ARRAY") else pl.String}
    with pytest.raises(industrydb.QueryExecutionError, match=r"division by zero|overflow"):
        industrydb.read_sql(uri, query, schema_overrides=possible)


WRONG: list[Any] = [
    *([("v", pl.Int8)], "v", 5, {1: pl.Int8}, {None: pl.Int8}, {b"v": pl.Int8}),
    *({"v": dtype} for dtype in (None, 5, "Int8", ..., object, list, dict, timezone, pl.Field("v", pl.Int8))),
    *({"v": dtype} for dtype in (pl.List, pl.Array, pl.Struct, pl.Enum, pl.Object, pl.Null, pl.Unknown)),
    *({"v": dtype} for dtype in (pl.List(pl.List), pl.List(pl.Enum), pl.Array(pl.List, 1), pl.List(pl.Null))),
    *({"v": dtype} for dtype in (pl.Datetime("us", "Nowhere/City"), pl.List(pl.Datetime("us", "CEST+1")))),
    *({"v": pl.Decimal(*digits)} for digits in ((39, 0), (5, 6), (0, 0), (300, 0))),
]


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
@pytest.mark.parametrize("query", ["SELECT NULL AS v", "SELECT now() AS v", "SELECT ARRAY[1] AS v"])
def test_wrong_arguments(postgres_uri: str, wrong: Value, query: str) -> None:
    """A wrong `schema_overrides` raises a TypeError or a ConfigurationError."""
    with pytest.raises((TypeError, industrydb.ConfigurationError)):
        industrydb.read_sql(postgres_uri, query, schema_overrides=wrong)


def test_columns_that_are_not_there_are_listed(uri: str) -> None:
    """Columns that are not there are listed, with those of the query; names must match exactly."""
    with pytest.raises(industrydb.ConfigurationError, match=r'\["V", "w"\].*\["v", "i"\]'):
        industrydb.plan_sql(uri, "SELECT 1 AS v, 2 AS i", schema_overrides={"V": int, "v": int, "w": int})


# Columns, named after their types in the database, and the requested dtypes.
ASKED: dict[str, pl.DataType] = {f"int4 {number}": dtype for number, dtype in enumerate(INTEGERS)}
ASKED |= {"int4 f": pl.Float32(), "int4 s": pl.String(), "int4 b": pl.Boolean(), "numeric d": pl.Decimal(9, 2)}
ASKED |= {"text e": pl.Enum(["a", "b"]), "text c": pl.Categorical(), "text t": pl.Time(), "text y": pl.Binary()}
ASKED |= {"timestamptz m": pl.Datetime("ms", "Asia/Tokyo"), "timestamptz n": pl.Datetime("ns", "UTC"), "date n": NS}
ASKED_OF_POSTGRES = ASKED | {"interval m": pl.Duration("ms"), "uuid b": pl.Binary(), "money f": pl.Float64()}
ASKED_OF_POSTGRES |= {"int4[] a": pl.Array(pl.Int8(), 3), "int4[] z": pl.List(pl.Array(pl.Int64(), 2))}
ASKED_OF_POSTGRES |= {"text[] e": pl.List(pl.Enum(["a"])), "numeric(50,10) f": pl.Float64()}


@pytest.mark.parametrize("nothing", ["WHERE 1 = 0", ""], ids=["no rows", "only NULLs"])
def test_asked_types_do_not_depend_on_values(uri: str, nothing: str) -> None:
    """Requested types do not depend on values, in frames, plans, pickles, Arrow and pandas."""
    if uri.startswith("mysql"):
        pytest.skip("in the SQL of PostgreSQL and SQLite")
    asked, of_type = (ASKED, "NULL") if uri.startswith("sqlite") else (ASKED_OF_POSTGRES, "NULL::{}")
    columns = ", ".join(f'{of_type.format(name.split(" ")[0])} AS "{name}"' for name in asked)
    query = f"SELECT {columns} {nothing}"
    plan = industrydb.plan_sql(uri, query, schema_overrides=asked)
    copy = pickle.loads(pickle.dumps(plan))  # noqa: S301, made here
    frame = industrydb.read_sql(uri, query, schema_overrides=asked)
    for schema in (frame.schema, plan.schema, plan.read().schema, plan.read(0).schema, copy.schema, copy.read().schema):
        assert dict(schema) == asked
    assert frame.null_count().row(0) == (frame.height,) * frame.width
    query = "SELECT {} FROM ({}) AS q".format(", ".join(f'"{name}"' for name in asked), query)
    table = industrydb.read_sql(uri, query, schema_overrides=asked, return_type="arrow")
    assert table.schema == frame.select(list(asked)).to_arrow().schema
    pandas = industrydb.read_sql(uri, query, schema_overrides=asked, return_type="pandas")
    assert list(pandas.columns) == list(asked)
    assert pandas["date n"].dtype == "datetime64[ns]"


# SQL that makes a key of the integer i, and the requested dtype of the key.
KEYS: list[tuple[str, str, pl.DataType]] = [
    *[("postgresql", "i", dtype) for dtype in (pl.String(), pl.UInt8(), pl.Float32(), pl.Decimal(4, 1))],
    *[("postgresql", "i", dtype) for dtype in (pl.Categorical(), pl.Enum([str(i) for i in range(101)]))],
    ("postgresql", "i::numeric(50,10)", pl.Int16()),
    ("postgresql", "i::money", pl.Decimal(5, 2)),
    ("postgresql", "lpad(i::text, 4, '0')", pl.Int8()),
    ("postgresql", "timestamptz '2024-01-01+00' + i * interval '1 hour'", pl.Datetime("ns", "Asia/Tokyo")),
    *[("sqlite", "i", dtype) for dtype in (pl.String(), pl.UInt8(), pl.Decimal(4, 1), US, pl.Categorical())],
    *[("sqlite", "i / 2.0", dtype) for dtype in (pl.Decimal(4, 1), pl.String())],
]


@pytest.mark.parametrize(("database", "key", "dtype"), KEYS, ids=lambda part: str(part)[:40], indirect=["database"])
def test_the_key_may_be_asked_for(database: Database, key: str, dtype: pl.DataType) -> None:
    """Every row comes once, in the database's order of the key, whatever type is requested for the key."""
    uri = database.uri
    query = f"""WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 100)
                SELECT {key} AS key, i FROM r"""
    plan = industrydb.plan_sql(uri, query, partition_on="key", partitions=4, schema_overrides={"key": dtype})
    assert len(plan) == 4
    frame = plan.read()
    assert frame.schema["key"] == dtype
    assert frame["i"].to_list() == list(range(1, 101))
    whole = industrydb.read_sql(uri, query, schema_overrides={"key": dtype})
    assert frame["key"].to_list() == whole["key"].to_list()


# Stands for a value that the requested dtype cannot hold.
MISFIT = object()


def as_number(value: Value, dtype: pl.DataType) -> object:
    """Return a number, or the number that a text holds, as a dtype should hold it, by Python's exact arithmetic."""
    if isinstance(value, str):
        value = Decimal(value)
    if isinstance(value, float) and not math.isfinite(value):
        return value if dtype.is_float() else MISFIT
    if dtype == pl.Float64:
        return float(value)
    if dtype == pl.Float32:
        nearest = float32(Fraction(value))
        return MISFIT if math.isinf(nearest) else math.copysign(nearest, value)
    if isinstance(dtype, pl.Decimal):
        exact = Fraction(repr(value)) if isinstance(value, float) else Fraction(value)
        units = exact * 10**dtype.scale
        holds = units.denominator == 1 and abs(units) < 10 ** (dtype.precision or 38)
        return Decimal(f"{units.numerator}e-{dtype.scale}") if holds else MISFIT
    if dtype == pl.Boolean:
        return bool(value) if value in (0, 1) else MISFIT
    low, high = INTEGERS[dtype]
    return int(value) if value == int(value) and low <= value <= high else MISFIT


def as_moment(value: Value, dtype: pl.DataType) -> object:
    """Return a date, datetime or timedelta as a count of the dtype's units."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, date):
        value = value if isinstance(value, datetime) else midnight(value)
        value -= datetime(1970, 1, 1, tzinfo=value.tzinfo)
    nanoseconds = value // timedelta(microseconds=1) * 1000
    length = {"ns": 1, "us": 1000, "ms": 10**6}.get(getattr(dtype, "time_unit", ""), 86_400 * 10**9)
    count, rest = divmod(nanoseconds, length)
    return MISFIT if rest or not -(2**63) <= count < 2**63 else count


def literal(value: Value) -> object:
    """Return a literal that PostgreSQL reads as the value."""
    return f"{value // timedelta.resolution} microseconds" if isinstance(value, timedelta) else value


# A database type, values of it, requested dtypes, and the function that makes a value the expected one.
Source = tuple[str, st.SearchStrategy[Any], st.SearchStrategy[pl.DataType], Callable[[Any, pl.DataType], object]]

INT8 = st.integers(-(2**63), 2**63 - 1) | st.integers(-300, 300)
# Every integer up to 2**53 is a float, and beyond, every float is an integer.
FLOATS = st.integers(-(2**53), 2**53).map(float) | st.floats(-300, 300).map(lambda value: round(value, 2))
# Zeros have no sign, as in numeric.
NUMERIC = st.builds(
    lambda units, scale: Decimal(f"{units}e-{scale}") if units else Decimal(),
    st.integers(-(10**38), 10**38) | st.integers(-1000, 1000),
    st.integers(0, 38) | st.integers(0, 2),
)
WHOLE = st.sampled_from(list(INTEGERS))
BROKEN = st.sampled_from([pl.Float32(), pl.Float64()]) | st.builds(
    lambda scale, digits: pl.Decimal(max(scale, digits), scale), st.integers(0, 38), st.integers(1, 38)
)
UNITS = st.sampled_from([MS, US, NS])
DURATIONS = st.sampled_from([pl.Duration("ms"), pl.Duration("us"), pl.Duration("ns")])
SOURCES: list[Source] = [
    ("int8", INT8, WHOLE | BROKEN | st.just(pl.Boolean()), as_number),
    ("numeric", NUMERIC, WHOLE | BROKEN, as_number),
    ("float8", FLOATS, WHOLE, as_number),
    ("float8", FLOATS | st.floats(), BROKEN, as_number),
    ("text", INT8.map(str), WHOLE, as_number),
    ("text", NUMERIC.map("{:f}".format), BROKEN, as_number),
    ("text", st.datetimes().map(str), UNITS | st.just(pl.Date()), as_moment),
    ("timestamp", st.datetimes() | st.dates().map(midnight), UNITS | st.just(pl.Date()), as_moment),
    ("date", st.dates(), UNITS, as_moment),
    ("interval", st.timedeltas(timedelta(days=-(10**8)), timedelta(days=10**8)), DURATIONS, as_moment),
]
AFFINITIES = {"int8": "INTEGER", "float8": "REAL", "text": "TEXT"}
CASES = [("postgresql", source) for source in SOURCES]
CASES += [("sqlite", source) for source in SOURCES if source[0] in AFFINITIES]


@pytest.mark.parametrize(("database", "source"), CASES, ids=lambda part: part if isinstance(part, str) else part[0])
@given(data=st.data())
def test_values_arrive_exactly_or_not_at_all(
    postgres_uri: str, shared_sqlite_file: SqliteFile, database: str, source: Source, data: st.DataObject
) -> None:
    """A value is what Python's exact arithmetic says, or the error names the first row that does not fit."""
    database_type, some, targets, expected = source
    values, asked = data.draw(st.lists(st.none() | some, min_size=1, max_size=4)), data.draw(targets)
    if database == "sqlite":
        uri, connection = shared_sqlite_file.uri, shared_sqlite_file.connection
        connection.executescript(f"DROP TABLE IF EXISTS t; CREATE TABLE t (v {AFFINITIES[database_type]})")
        connection.executemany("INSERT INTO t VALUES (?)", [(value,) for value in values])
        query = "SELECT v FROM t ORDER BY rowid"
        values = [value for (value,) in connection.execute(query)]  # SQLite stores NaN as NULL
    else:
        uri, literals = postgres_uri, ["NULL" if value is None else f"'{literal(value)}'" for value in values]
        rows = ", ".join(f"({i}, {one}::{database_type})" for i, one in enumerate(literals))
        query = f"SELECT v FROM (VALUES {rows}) AS t(i, v) ORDER BY i"
    outcomes = [None if value is None else expected(value, asked) for value in values]
    if MISFIT in outcomes:
        with pytest.raises(industrydb.TypeConversionError, match=rf'"v".*, row {outcomes.index(MISFIT) + 1}: '):
            industrydb.read_sql(uri, query, schema_overrides={"v": asked})
        return
    column = industrydb.read_sql(uri, query, schema_overrides={"v": asked})["v"]
    assert column.dtype == asked
    assert plain((column.to_physical() if asked.is_temporal() else column).to_list()) == plain(outcomes)


@pytest.mark.parametrize(
    ("dtype", "reason"),
    [
        (pl.Decimal, "how many digits"),
        (Decimal, "how many digits"),
        (pl.Decimal(5, -1), ""),
        (pl.Int128, "Int128"),
        (pl.Datetime("us", "*"), "can have this type"),
        (pl.Datetime("us", ""), "can have this type"),
        (pl.Datetime("us", "Mars/Phobos"), "Mars/Phobos"),
    ],
)
def test_types_that_no_column_can_have(uri: str, dtype: pl.DataType, reason: str) -> None:
    """A type that no column can have is refused, by a message of a single line."""
    with pytest.raises(industrydb.ConfigurationError, match="'v'.*" + reason) as raised:
        industrydb.read_sql(uri, "SELECT 1 AS v", schema_overrides={"v": dtype})
    assert "\n" not in str(raised.value)


def test_ranges_are_those_of_the_key_itself(postgres_uri: str) -> None:
    """A `partition_range` has values of the key's own type, not of the requested type."""

    def read(query: str, dtype: pl.DataType) -> pl.DataFrame:
        return industrydb.read_sql(
            postgres_uri,
            query,
            partition_on="v",
            partitions=2,
            partition_range=(1, 4),
            schema_overrides={"v": dtype},
        )

    frame = read("SELECT i AS v FROM generate_series(1, 4) AS i", pl.String())
    assert frame.rows() == [("1",), ("2",), ("3",), ("4",)]
    with pytest.raises(industrydb.ConfigurationError, match="partition_range"):
        read("SELECT '1'::text AS v", pl.Int64())


@pytest.mark.parametrize(
    ("first", "second", "dtype"),
    [
        ("1::int4", "2::int8", pl.Int64()),
        ("1.5::numeric(5,2)", "2.5::numeric(50,10)", pl.Float64()),
        ("'a'::text", "'10.0.0.1'::cidr", pl.String()),
        ("'a'::text", "'b'::\"char\"", None),
    ],
)
def test_queries_of_one_list_come_from_different_types(
    postgres_uri: str, postgres: psycopg.Connection, first: str, second: str, dtype: pl.DataType | None
) -> None:
    """Queries of one list may have different types, if they become the same dtype."""
    queries = [f"SELECT {value} AS v" for value in (first, second)]
    frame = industrydb.read_sql(postgres_uri, queries, schema_overrides={"v": dtype} if dtype else None)
    expected = "float8" if dtype == pl.Float64() else "text"
    shown = postgres.execute(f"SELECT ({first})::{expected} UNION ALL SELECT ({second})::{expected}").fetchall()
    assert [str(value) for (value,) in frame.rows()] == [str(value) for (value,) in shown]


def test_blanks_around_truth_values(postgres_uri: str) -> None:
    """Blanks around truth values are ignored, as around numbers."""
    query = "SELECT 'true'::char(6) AS v UNION ALL SELECT ' F'"
    assert industrydb.read_sql(postgres_uri, query, schema_overrides={"v": bool})["v"].to_list() == [True, False]
