"""What schema_overrides promises: each value arrives exactly, floats nearest, or the call says which one cannot."""

import math
import pickle
import re
import struct
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql

import industrydb

from .support import SqliteFile, plain
from .test_postgres_types import NATIVE, TEXTUAL, by_psycopg, create_extension, with_null

UTC = timezone.utc
TOKYO = pl.Datetime("us", "Asia/Tokyo")
MS, US, NS = pl.Datetime("ms"), pl.Datetime("us"), pl.Datetime("ns")
INTEGERS: dict[pl.DataType, tuple[int, int]] = {
    pl.Int8(): (-(2**7), 2**7 - 1),
    pl.Int16(): (-(2**15), 2**15 - 1),
    pl.Int32(): (-(2**31), 2**31 - 1),
    pl.Int64(): (-(2**63), 2**63 - 1),
    pl.UInt8(): (0, 2**8 - 1),
    pl.UInt16(): (0, 2**16 - 1),
    pl.UInt32(): (0, 2**32 - 1),
    pl.UInt64(): (0, 2**64 - 1),
    pl.Int128(): (1 - 10**38, 10**38 - 1),  # as far as a decimal goes
}


def float32(value: Fraction | Decimal | int) -> float:
    """Round an exact number to the nearest float of 32 bits, ties to even, in integers."""
    exact = Fraction(value)
    exponent = exact.numerator.bit_length() - exact.denominator.bit_length() - 24
    exponent = max(exponent + (abs(exact) >= Fraction(2) ** (exponent + 24)), -149)
    # As many units of the last place: 24 bits, or fewer near zero.
    return math.ldexp(round(exact / Fraction(2) ** exponent), exponent)


def same(value: Any) -> Any:
    """Expect the value as it is."""
    return value


def in_utc(value: Any) -> datetime:
    """Expect the clock in Greenwich."""
    moment: datetime = value.astimezone(UTC)
    return moment.replace(tzinfo=None)


def midnight(value: Any) -> datetime:
    """Expect the beginning of a day."""
    return datetime.combine(value, time())


# SQL for a value, what it is asked for as, and what becomes of psycopg's value.
Pair = tuple[str, pl.DataType, Callable[[Any], object]]

ENDS: list[Pair] = [
    (f"({end})::{'int8' if dtype in (pl.Int8(), pl.Int64()) else 'numeric'}", dtype, int)
    for dtype, ends in INTEGERS.items()
    for end in ends
]
NUMBERS: list[Pair] = [
    ("(-128)::int2", pl.Int8(), int),
    ("255::int2", pl.UInt8(), int),
    ("4294967295::oid", pl.Int64(), int),
    ("7::oid", pl.Int8(), int),
    ("1", pl.Boolean(), bool),
    ("0::int8", pl.Boolean(), bool),
    ("true", pl.UInt8(), int),
    ("false", pl.Int64(), int),
    ("9223372036854775807", pl.Float64(), float),
    ("16777217", pl.Float32(), float32),
    ("9007199791611905", pl.Float32(), float32),  # by way of 64 bits, it would round twice
    ("(-999)::int2", pl.Decimal(5, 2), Decimal),
    ("9223372036854775807", pl.Decimal(19, 0), Decimal),
    ("0.1::numeric(5,2)", pl.Float64(), float),
    ("'NaN'::numeric", pl.Float64(), float),
    ("'-Infinity'::numeric", pl.Float32(), float),
    ("1e300::numeric", pl.Float64(), float),
    ("1e-400::numeric", pl.Float64(), float),
    ("3.4028235677973362e38::numeric", pl.Float32(), float32),
    ("1.00000005960464477539062500000000000001::numeric", pl.Float32(), float32),  # just above a tie
    ("9007199254740993::numeric", pl.Float64(), float),
    ("9007199254740993.00000000000000000000000000000000000000000001::numeric", pl.Float64(), float),
    ("1234567890123456789012345678901234567890.5::numeric(50,10)", pl.Float64(), float),
    ("12345.678::numeric(50,10)", pl.Decimal(8, 3), Decimal),
    ("7::numeric(50,10)", pl.UInt8(), int),
    ("7.000::numeric", pl.Int8(), int),
    ("1.50000::numeric(10,5)", pl.Decimal(3, 1), Decimal),
    ("1.5::numeric", pl.Decimal(38, 37), Decimal),
    (f"1.5{'0' * 60}::numeric", pl.Decimal(2, 1), Decimal),
    ("0.1::float8", pl.Decimal(38, 20), lambda value: Decimal(repr(value))),
    ("'0.1'::float4", pl.Decimal(2, 1), lambda _: Decimal("0.1")),
    ("'0.1'::float4", pl.Float64(), lambda _: struct.unpack("f", struct.pack("f", 0.1))[0]),
    ("1e-7::float8", pl.Decimal(7, 7), lambda value: Decimal(repr(value))),
    ("(-4503599627370497)::float8", pl.Int64(), int),
    ("7::float4", pl.Int8(), int),
    ("'NaN'::float8", pl.Float32(), same),
    ("0.1::float8", pl.Float32(), float32),
    ("5::int8", pl.Int128(), int),
]
TEXTS: list[Pair] = [
    ("' -7 '::text", pl.Int8(), int),
    ("'18446744073709551615'::varchar", pl.UInt64(), int),
    ("'12'::char(9)", pl.Int16(), int),
    ("'1.5e-3'::varchar(9)", pl.Float64(), float),
    ("'nan'::text", pl.Float64(), float),
    ("'-inf'::text", pl.Float32(), float),
    ("'16777217'::text", pl.Float32(), lambda text: float32(Fraction(text))),
    ("'1.5'::char(9)", pl.Decimal(5, 3), lambda text: Decimal(text.strip())),
    ("'-1.5e3'::text", pl.Decimal(4, 0), Decimal),
    ("'T'::text", pl.Boolean(), lambda _: True),
    ("'false'::varchar", pl.Boolean(), lambda _: False),
    ("'2024-02-29'::char(20)", pl.Date(), lambda text: date.fromisoformat(text.strip())),
    ("'2024-02-29 00:00'::text", pl.Date(), lambda text: datetime.fromisoformat(text).date()),
    ("'23:59:59.999999'::text", pl.Time(), time.fromisoformat),
    ("'2024-02-29 12:34:56.789'::text", MS, datetime.fromisoformat),
    ("'1969-12-31T23:59:59.999999'::text", US, datetime.fromisoformat),
    ("'2024-02-29 12:34:56.123456'::varchar", NS, datetime.fromisoformat),
    ("'2024-02-29 12:34:56+05:45'::text", TOKYO, datetime.fromisoformat),
    ("'größer'::text", pl.Binary(), lambda text: text.encode()),
    ("'7'::json", pl.Int8(), int),
    ("'a'::text", pl.Categorical(), same),
    ("'a'::varchar", pl.Enum(["b", "a"]), same),
    ("'7'::name", pl.Int8(), int),
]
TIMES: list[Pair] = [
    ("'2024-02-29'::date", MS, midnight),
    ("'0001-01-01'::date", US, midnight),
    ("'2024-02-29'::date", NS, midnight),
    ("'2024-02-29 00:00'::timestamp", pl.Date(), lambda value: value.date()),
    ("'1969-12-31 23:59:59.999'::timestamp", MS, same),
    ("'1969-12-31 23:59:59.999999'::timestamp", NS, same),
    ("'1677-09-21 00:12:43.145225'::timestamp", NS, same),
    ("'2262-04-11 23:47:16.854775'::timestamp", NS, same),
    ("'2024-02-29 12:34:56.789+05:45'::timestamptz", TOKYO, same),
    ("'2024-10-27 00:30+00'::timestamptz", pl.Datetime("ms", "Europe/Berlin"), same),
    ("'2024-10-27 01:30+00'::timestamptz", pl.Datetime("ns", "Europe/Berlin"), same),
    ("'2024-02-29 12:34+05:45'::timestamptz", US, in_utc),
    ("'-00:00:00.001'::interval", pl.Duration("ms"), same),
    ("'-3 days 04:05:06.789123'::interval", pl.Duration("us"), same),
    ("'100000 days'::interval", pl.Duration("ns"), same),
    ("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", pl.Binary(), lambda value: value.bytes),
]
PAIRS = ENDS + NUMBERS + TEXTS + TIMES


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair[0]} as {pair[1]}")
def test_values_become_those_of_the_asked_type(postgres_uri: str, postgres: psycopg.Connection, pair: Pair) -> None:
    """Alone, in lists, in lists of lists and in arrays; NULLs stay."""
    expression, dtype, expected = pair
    one, arrays = with_null(expression), with_null(f"ARRAY[{expression}, NULL]")
    nested = with_null(f"ARRAY[[{expression}]]")
    value = plain(expected(by_psycopg(postgres, one)[0]))
    for query, asked, cell in (
        (one, dtype, value),
        (arrays, pl.List(dtype), [value, None]),
        (arrays, pl.Array(dtype, 2), [value, None]),
        (nested, pl.List(pl.List(dtype)), [[value]]),
    ):
        column = industrydb.read_sql(postgres_uri, query, schema_overrides={"value": asked})["value"]
        assert column.dtype == asked
        assert plain([_lists(row) for row in column.to_list()]) == [cell, None]


def _lists(value: object) -> object:
    """Make lists of the rows of arrays."""
    return value.to_list() if isinstance(value, pl.Series) else value


@pytest.mark.parametrize("expression", [expression for expression, _ in NATIVE if "char(" not in expression] + TEXTUAL)
def test_everything_becomes_the_text_that_postgresql_prints(
    postgres_uri: str, postgres: psycopg.Connection, expression: str
) -> None:
    """Also in lists, where arrays of the type are no arrays themselves."""
    query = f"SELECT {expression} AS v"
    expected = by_psycopg(postgres, f"SELECT v::text FROM ({query}) AS q")
    frame = industrydb.read_sql(postgres_uri, query, schema_overrides={"v": pl.String})
    assert frame.schema == {"v": pl.String}
    assert frame["v"].to_list() == expected
    if "[]" not in expression and "ARRAY" not in expression:
        query = f"SELECT ARRAY[{expression}, NULL] AS v"
        lists = industrydb.read_sql(postgres_uri, query, schema_overrides={"v": pl.List(pl.String)})
        assert lists["v"].to_list() == [[*expected, None]]


def test_fractions_go_to_the_nanosecond(postgres_uri: str, sqlite_file: SqliteFile) -> None:
    """A text may say more than PostgreSQL's types do."""
    asked = {"t": NS, "n": pl.Time()}
    literals = "'1970-01-01 00:00:01.000000001', '00:00:01.000000001'"
    for uri, query in (
        (postgres_uri, f"SELECT * FROM (VALUES ({literals})) AS q(t, n)"),
        (sqlite_file.uri, f"WITH q(t, n) AS (VALUES ({literals})) SELECT * FROM q"),
    ):
        frame = industrydb.read_sql(uri, query, schema_overrides=asked)
        assert frame.schema == asked
        assert frame.select(pl.all().to_physical()).rows() == [(10**9 + 1, 10**9 + 1)]


def test_types_of_users_and_extensions(postgres_uri: str, postgres: psycopg.Connection) -> None:
    """Enums, composites, domains, money and vectors."""
    create_extension(postgres, "vector")
    postgres.execute("""
        DROP SCHEMA IF EXISTS overridden CASCADE; CREATE SCHEMA overridden; SET search_path = overridden, public;
        CREATE TYPE grade AS ENUM ('2', '10'); CREATE TYPE pair AS (a int, b text);
        CREATE DOMAIN price AS numeric(50, 10); CREATE TYPE money AS ENUM ('1.5');
    """)
    enum, vector = pl.Enum(["2", "10"]), "'[1,0.1]'::vector"
    rows: list[tuple[str, pl.DataType, str]] = [
        ("'10'::overridden.grade", enum, "'10'"),
        ("'10'::overridden.grade", pl.Categorical(), "'10'"),
        ("'10'::overridden.grade", pl.Int8(), "10"),
        ("ARRAY['2', NULL]::overridden.grade[]", pl.List(enum), "ARRAY['2', NULL]"),
        ("(1, 'a b')::overridden.pair", pl.String(), "(1, 'a b')::overridden.pair::text"),
        ("ARRAY[(1, 'b')::overridden.pair]", pl.List(pl.String()), "ARRAY['(1,b)']"),
        ("1.5::overridden.price", pl.Decimal(3, 1), "1.5"),
        ("'1.5'::overridden.money", pl.Float64(), "1.5::float8"),
        ("'-1234.5'::pg_catalog.money", pl.Decimal(10, 2), "'-1234.5'::pg_catalog.money::numeric"),
        ("'1234.5'::pg_catalog.money", pl.Float64(), "1234.5::float8"),
        (vector, pl.List(pl.Float64()), f"{vector}::float4[]::float8[]"),
        (vector, pl.Array(pl.Float32(), 2), f"{vector}::float4[]"),
        (vector, pl.List(pl.Decimal(2, 1)), "ARRAY[1.0, 0.1]"),
        (vector, pl.String(), f"{vector}::text"),
    ]
    try:
        for expression, dtype, expected in rows:
            frame = industrydb.read_sql(postgres_uri, f"SELECT {expression} AS v", schema_overrides={"v": dtype})
            assert frame.dtypes == [dtype]
            assert [_lists(frame["v"][0])] == by_psycopg(postgres, f"SELECT {expected}"), (expression, dtype)
    finally:
        postgres.execute("RESET search_path; DROP SCHEMA overridden CASCADE")


def test_types_may_be_given_as_classes_or_pythons(postgres_uri: str, sqlite_file: SqliteFile) -> None:
    """They stand for what Polars makes of them, in any mapping."""
    given_types: dict[str, Any] = {
        **{"int": int, "str": str, "float": float, "bool": bool, "bytes": bytes, "date": date},
        **{"datetime": datetime, "time": time, "Datetime": pl.Datetime, "UInt8": pl.UInt8, "list": pl.List(int)},
    }
    expected = [pl.Int64, pl.String, pl.Float64, pl.Boolean, pl.Binary, pl.Date, US, pl.Time, US, pl.UInt8]
    columns = ", ".join(f'NULL AS "{name}"' for name in given_types if name != "list")
    for uri, query in (
        (postgres_uri, f"SELECT {columns}, NULL::text[] AS list"),
        (sqlite_file.uri, f"SELECT {columns}"),
    ):
        asked = {name: dtype for name, dtype in given_types.items() if name != "list" or uri == postgres_uri}
        frame = industrydb.read_sql(uri, query.replace("text[]", "int[]"), schema_overrides=MappingProxyType(asked))
        assert frame.dtypes == [*expected, pl.List(pl.Int64)][: frame.width]


# A column's declared type, SQL for its values, what it is asked for as, and what becomes of sqlite3's values.
SQLITE: list[tuple[str, str, pl.DataType, Callable[[Any], object]]] = [
    ("INTEGER", "-128, NULL, 127", pl.Int8(), int),
    ("INTEGER", "0, 1", pl.Boolean(), bool),
    ("INTEGER", "9223372036854775807", pl.Float32(), float32),
    ("INTEGER", "-5, 999", pl.Decimal(5, 2), Decimal),
    ("INTEGER", "5, '7', 3.0", pl.Int16(), int),
    ("INTEGER", "5, NULL", pl.Int128(), int),
    ("INTEGER", "5, 'x'", pl.Enum(["x", "5"]), str),
    ("INTEGER", "1709210096, -1", pl.Datetime("ms", "Asia/Tokyo"), lambda n: datetime.fromtimestamp(n, UTC)),
    ("INTEGER", "86400", pl.Date(), lambda n: datetime.fromtimestamp(n, UTC).date()),
    ("REAL", "0.1, 3, 1e-7", pl.Decimal(20, 10), lambda number: Decimal(repr(number))),
    ("REAL", "3.0, -4503599627370497.0", pl.Int64(), int),
    ("REAL", "0.1, 9e999", pl.Float32(), lambda number: struct.unpack("f", struct.pack("f", number))[0]),
    ("REAL", "0.1, 3", pl.String(), repr),
    ("REAL", "2440588.25", US, lambda day: datetime(1970, 1, 1) + timedelta(days=day - 2440587.5)),  # noqa: DTZ001
    ("REAL", "2440588.5", pl.Date(), lambda day: date(1970, 1, 1) + timedelta(days=day - 2440587.5)),
    ("NUMERIC", "9007199254740993, 0.5", pl.Float64(), float),
    ("NUMERIC", "9007199254740993, 0.5", pl.Decimal(20, 2), lambda number: Decimal(repr(number))),
    ("TEXT", "'1', ' -5 '", pl.Int8(), int),
    ("TEXT", "'1.50', '-2e1'", pl.Decimal(5, 2), Decimal),
    ("TEXT", "'true', 'F', '0'", pl.Boolean(), lambda text: text == "true"),
    ("TEXT", "'2024-02-29', '0001-01-01'", pl.Date(), date.fromisoformat),
    ("TEXT", "'12:34', '23:59:59.999999'", pl.Time(), time.fromisoformat),
    ("TEXT", "'2024-02-29 12:34:56.789'", MS, datetime.fromisoformat),
    ("TEXT", "'2024-02-29T12:34:56+05:45'", TOKYO, datetime.fromisoformat),
    ("TEXT", "'ä', x'ff'", pl.Binary(), lambda value: value if isinstance(value, bytes) else value.encode()),
    ("BLOB", "x'c3a4', 'a', x''", pl.String(), lambda value: value if isinstance(value, str) else value.decode()),
    ("BOOLEAN", "1, 0", pl.Int8(), int),
    ("BOOLEAN", "1, 'true'", pl.String(), str),
    ("DATE", "'2024-02-29'", US, datetime.fromisoformat),
    ("DATE", "'2024-02-29', 86400", pl.String(), str),
    ("DATETIME", "1709210096, 1, '12'", pl.Int64(), int),
    ("DATETIME", "'2024-02-29 12:34', 5, 0.5, 'soon'", pl.String(), str),
    ("DATETIME", "2440587.5", pl.Float64(), float),
    ("DATETIME", "'2024-02-29 00:00'", pl.Date(), lambda text: datetime.fromisoformat(text).date()),
    ("TIME", "'12:34', 5", pl.String(), str),
    ("", "1, NULL, 0.5", pl.Float32(), float),
    ("", "1, 'a', 0.5", pl.String(), str),
    ("", "NULL, '7', 8, 9.0", pl.UInt8(), int),
]


@pytest.mark.parametrize("column", SQLITE, ids=lambda column: f"{column[0]}: {column[1]} as {column[2]}")
@pytest.mark.parametrize("expression", ["v", "iif(true, v, NULL)"])
def test_sqlite_values_become_those_of_the_asked_type(
    sqlite_file: SqliteFile, column: tuple[str, str, pl.DataType, Callable[[Any], object]], expression: str
) -> None:
    """Of columns and of expressions, in one partition and in several."""
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


# SQL for a value that PostgreSQL has, the asked type that does not have it, and how messages show it.
MISFITS: list[tuple[str, pl.DataType, str]] = [
    *((f"({low - 1})::numeric", dtype, str(low - 1)) for dtype, (low, _) in INTEGERS.items() if dtype != pl.Int128()),
    *(
        (f"({high + 1})::numeric", dtype, str(high + 1))
        for dtype, (_, high) in INTEGERS.items()
        if dtype != pl.Int128()
    ),
    ("128", pl.Int8(), "128"),
    ("(-1)::int2", pl.UInt64(), "-1"),
    ("2", pl.Boolean(), "2"),
    ("1e38::numeric", pl.Int128(), f"1{38 * '0'}"),
    ("7.5", pl.Int32(), "7.5"),
    ("7.5::float8", pl.Int32(), "7.5"),
    ("'NaN'::float8", pl.Int64(), "NaN"),
    ("'NaN'::numeric", pl.Decimal(5, 2), "NaN"),
    ("'Infinity'::numeric", pl.Int8(), "inf"),
    ("1e300::float8", pl.Float32(), "1e300"),
    ("1e400::numeric", pl.Float64(), "1e400"),
    ("1000", pl.Decimal(5, 2), "1000"),
    ("999.995", pl.Decimal(5, 2), "999.995"),
    ("1000::numeric(50,10)", pl.Decimal(5, 2), "1000"),
    ("0.001::float8", pl.Decimal(5, 2), "0.001"),
    ("9223372036854775807", pl.Decimal(18, 0), "9223372036854775807"),
    ("'1e400'::text", pl.Float64(), '"1e400"'),
    ("'7.5'::text", pl.Int8(), '"7.5"'),
    ("''::text", pl.Int8(), '""'),
    ("''::text", pl.Boolean(), '""'),
    ("'2023-02-29'::text", pl.Date(), '"2023-02-29"'),
    ("'2024-02-29 00:01'::text", pl.Date(), '"2024-02-29 00:01"'),
    ("'24:00'::text", pl.Time(), '"24:00"'),
    ("'2024-02-29 12:00:00.0001'::text", MS, '"2024-02-29 12:00:00.0001"'),
    ("'2024-02-29 12:00:00.0000001'::text", US, '"2024-02-29 12:00:00.0000001"'),
    ("'9999-12-31'::text", NS, '"9999-12-31"'),
    ("'b'::text", pl.Enum(["a"]), "'b'"),
    ("'2024-02-29 00:00:00.000001'::timestamp", pl.Date(), "2024-02-29 00:00:00.000001"),
    ("'1969-12-31 23:59:59.9999'::timestamp", MS, "1969-12-31 23:59:59.999900"),
    ("'2262-04-11 23:47:16.854776'::timestamp", NS, "2262-04-11 23:47:16.854776"),
    ("'1677-09-21 00:12:43.145224'::timestamptz", pl.Datetime("ns", "UTC"), "1677-09-20 18:30:59.145224"),
    ("'2300-01-01'::date", NS, "2300-01-01"),
    ("'infinity'::date", US, "infinity"),
    ("'1 mon'::interval", pl.Duration("us"), "1 mon"),
    ("'-00:00:00.0001'::interval", pl.Duration("ms"), "-00:00:00.0001"),
    ("'200000 days'::interval", pl.Duration("ns"), ""),
    ("ARRAY[1, 300]", pl.List(pl.Int8()), "300"),
    ("ARRAY[1, 2]", pl.Array(pl.Int8(), 3), "[1, 2]"),
    ("ARRAY[1, 2]", pl.List(pl.List(pl.Int32())), "an array of 1 dimension"),
    ("ARRAY[[1]]", pl.List(pl.Int32()), "an array of 2 dimension"),
]


@pytest.mark.parametrize("misfit", MISFITS, ids=lambda misfit: f"{misfit[0]} as {misfit[1]}")
def test_values_that_the_asked_type_does_not_have(postgres_uri: str, misfit: tuple[str, pl.DataType, str]) -> None:
    """The message names the column, the row and the value; without the row, the others are read."""
    expression, dtype, shown = misfit
    if "timestamptz" in expression:
        expression = expression.replace("'::", "+05:41:44'::")
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
    """A misfit ends the read, wherever it stands."""
    sqlite_file.connection.execute(f"CREATE TABLE t (i INTEGER PRIMARY KEY, v {declared})")
    for one in ["1", "NULL"] * 20 + [value]:
        sqlite_file.connection.execute(f"INSERT INTO t (v) VALUES ({one})")
    [(stored, kind)] = sqlite_file.connection.execute("SELECT v, typeof(v) FROM t WHERE i = 41")
    shown = re.escape({"blob": "1 bytes", "text": f'"{stored}"'}.get(kind, str(stored)[:6]))
    for partitions, row in ((1, "row 41:"), (3, r"row \d+ of partition 3:")):
        with pytest.raises(industrydb.TypeConversionError, match=rf'"v".*, {row} {shown}'):
            industrydb.read_sql(
                sqlite_file.uri,
                "SELECT i, v FROM t",
                partition_on="i",
                partitions=partitions,
                schema_overrides={"v": pl.Int8},
            )


@pytest.mark.parametrize("uri_of", ["postgres_uri", "sqlite_file"])
def test_misfits_are_found_everywhere(request: pytest.FixtureRequest, uri_of: str) -> None:
    """In the last partition, in the second query of a list, in a plan's partition, and among parameters."""
    source = request.getfixturevalue(uri_of)
    uri, mark = (source.uri, "?") if isinstance(source, SqliteFile) else (source, "$1")
    rows = "WITH RECURSIVE t(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM t WHERE i < 40) SELECT i, i * 4 AS v FROM t"
    asked = {"v": pl.Int8()}
    with pytest.raises(industrydb.TypeConversionError, match=r'"v".*, row 2 of partition 4: 128 '):
        industrydb.read_sql(
            uri,
            rows,
            partition_on="i",
            partitions=4,
            partition_range=(21, 40),
            schema_overrides=asked | {"i": pl.Int64},
        ) if uri_of == "" else industrydb.read_sql(
            uri, [f"{rows} WHERE i {where}" for where in ("< 9", "= 9", "= 10", "> 30")], schema_overrides=asked
        )
    plan = industrydb.plan_sql(
        uri, rows, partition_on="i", partitions=2, partition_range=(1, 40), schema_overrides=asked
    )
    assert plan.read(0)["v"].to_list() == list(range(4, 84, 4))
    with pytest.raises(industrydb.TypeConversionError, match=r'"v".*, row 12: 128 '):
        plan.read(1)
    for params, value in (([31], 124), ([32], None)):
        query = f"{rows} WHERE i = CAST({mark} AS integer)"
        if value:
            assert industrydb.read_sql(uri, query, params=params, schema_overrides=asked).rows() == [(31, value)]
            continue
        with pytest.raises(industrydb.TypeConversionError, match=r'"v".*, row 1: 128 '):
            industrydb.read_sql(uri, query, params=params, schema_overrides=asked)
